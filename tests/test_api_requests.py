"""gf.evaluate, annotate_variants, enrich_variants and the maps have the defaults of the commands and give their numbers."""

from __future__ import annotations

import json
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from commands import assert_refused, parsed, run, run_well
from genoformer_cli.evaluate import sequences
from genoformer_cli.interpret import attention, attribution, ism
from small_models import small_classifier

import genoformer as gf
from genoformer.annotation.figures import enrichment_rows
from genoformer.errors import ConfigError
from genoformer.evaluation.run import EvaluationJob
from genoformer.interpretation.request import AttentionOptions, AttributionOptions, InterpretationRequest, IsmOptions
from genoformer.models import registry
from genoformer.tokenizers import BaseTokenizer

DEMO = Path(str(files("genoformer_data") / "demo"))


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (sequences, EvaluationJob),
        (attention, AttentionOptions),
        (ism, IsmOptions),
        (attribution, AttributionOptions),
        (ism, InterpretationRequest),
    ],
)
def test_options_have_the_defaults_of_the_command(command: click.Command, kind: type) -> None:
    arguments = {sequences: ["x.csv", "-m", "x"]}.get(command, ["x.bed", "-m", "x", "-o", "o"])
    by_command = parsed(command, *arguments)
    options = kind("x.csv", ["x"]) if kind is EvaluationJob else kind("x", "x") if kind is InterpretationRequest else kind()
    for field in fields(kind):
        if field.name == "compute":  # has options of its own: workers, threads, engine, shard
            assert by_command["engine"] == options.compute.engine
            continue
        given = by_command[field.name]
        if field.name not in ("data", "model", "models", "out", "device"):
            assert given == getattr(options, field.name) or (not given and not getattr(options, field.name)), field.name
    assert by_command.get("device", "auto") == "auto"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two fine-tuned models of three classes, training and test sequences."""
    folder = tmp_path_factory.mktemp("labelled")
    random = np.random.default_rng(0)
    for name, n in (("train", 60), ("test", 30)):
        rows = [f"{''.join(random.choice(list('ACGT'), 40))},{'abc'[i % 3]}" for i in range(n)]
        (folder / f"{name}.csv").write_text("\n".join(["sequence,kind", *rows, ""]))
    for name, seed in (("one", 0), ("two", 1)):
        model = small_classifier(BaseTokenizer(), seed=seed)
        registry.save(model, folder / name)
    return folder


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([], {}),
        (["-m", "two", "--seed", 3], {"model": ["one", "two"], "seed": 3}),
        (["--train", "train.csv", "--seed", 1], {"train": "train.csv", "seed": 1}),
        (
            ["--train", "train.csv", "--baselines", "kmer_regression", "-o", "report", "--precision", "bfloat16"],
            {"train": "train.csv", "baselines": ["kmer_regression"], "out": "report", "precision": "bfloat16"},
        ),
    ],
)
def test_evaluate_gives_what_the_command_prints(labelled: Path, tmp_path: Path, monkeypatch, words, options) -> None:
    monkeypatch.chdir(labelled)
    shown = run("evaluate", "test.csv", "-m", "one", "--label", "kind", "--device", "cpu", *words)
    assert shown.exit_code in (0, 1), shown.output  # 1: one class for all
    metrics = gf.evaluate("test.csv", **{"model": "one", "label": "kind", "device": "cpu", **options})
    assert json.loads(json.dumps(metrics)) == json.loads(shown.stdout)
    if "out" in options:
        assert (labelled / "report" / "metrics.json").is_file()


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--baselines", "svm", "--train", "train.csv"], {"baselines": "svm", "train": "train.csv"}),
        (["--baselines", "cnn"], {"baselines": ["cnn"]}),
        (["--precision", "float64"], {"precision": "float64"}),
        (["--seed", -1], {"seed": -1}),
        (["--device", "gpu"], {"device": "gpu"}),
        (["--train", "none.csv"], {"train": "none.csv"}),
    ],
)
def test_both_ways_to_evaluate_refuse_the_same(labelled: Path, monkeypatch, words, options) -> None:
    monkeypatch.chdir(labelled)
    result = run("evaluate", "test.csv", "-m", "one", "--label", "kind", *words)
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    with pytest.raises(gf.errors.GenoformerError):
        gf.evaluate("test.csv", "one", label="kind", **options)
    with pytest.raises(TypeError, match="labels"):
        gf.evaluate("test.csv", "one", labels="kind")


def test_annotated_records_are_those_of_the_command(tmp_path: Path) -> None:
    elements = [f"P={DEMO / 'peaks.narrowPeak.gz'}", f"S={DEMO / 'states.bed.gz'}"]
    vcf, gtf = DEMO / "variants.vcf.gz", DEMO / "genes.gtf.gz"
    words = ["-a", elements[0], "-a", elements[1], "--gtf", gtf, "--flank", 100]
    run_well("annotate", vcf, *words, "-o", tmp_path / "command.vcf")
    summary = gf.annotate_variants(vcf, gf.read_annotations(elements, gtf, flank=100), tmp_path / "call.vcf")
    assert (tmp_path / "call.vcf").read_bytes() == (tmp_path / "command.vcf").read_bytes()
    assert summary.overlapping["P"] > 0


def test_a_table_of_annotated_variants_is_that_of_the_command(tmp_path: Path) -> None:
    sources = [f"P={DEMO / 'peaks.narrowPeak.gz'}", f"V={DEMO / 'variants.vcf.gz'}:ID,AF", f"T={tmp_path / 't.tsv'}"]
    (tmp_path / "t.tsv").write_text("chrom\tpos\tscore\nchrS1\t6000\t0.5\n")
    vcf, fasta = DEMO / "variants.vcf.gz", DEMO / "genome.fa.gz"
    words = [word for source in sources for word in ("-a", source)]
    run_well("annotate", vcf, *words, "-f", fasta, "-o", tmp_path / "command.tsv")
    table = gf.annotate(vcf, sources, fasta)
    assert list(table.columns) == (tmp_path / "command.tsv").read_text().split("\n", 1)[0].split("\t")
    assert table["V_AF"].dtype == float
    known = table[table["id"].notna()]
    assert (known["V_ID"] == known["id"]).all()
    one = gf.annotate([gf.Variant("chrS1", 6000, "A", "C")], sources[2])
    assert one["T_score"].tolist() == [0.5]


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--controls", 2000], {"controls": 2000}),
        (["--match", "gc", "--seed", 4, "--controls", 2000], {"match_on": ["gc"], "seed": 4, "controls": 2000}),
    ],
)
def test_enrichment_is_that_of_the_command(words: list[Any], options: dict[str, Any]) -> None:
    vcf, element, fasta = DEMO / "variants.vcf.gz", f"P={DEMO / 'peaks.narrowPeak.gz'}", DEMO / "genome.fa.gz"
    shown = run_well("enrich", vcf, "-a", element, "-f", fasta, "--resamplings", 50, *words)
    with gf.Genome(fasta) as genome:
        study = gf.enrich_variants(vcf, gf.read_annotations(element), genome=genome, resamplings=50, **options)
    rows = ["\t".join(map(str, row)) for row in enrichment_rows(study)]
    assert shown.stdout.splitlines() == rows
    assert len(rows) > 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: AttentionOptions(profile="all"), "option profile is 'all', expected viz, cls, received, rollout or entropy"),
        (lambda: AttentionOptions(layers=3), "option layers is 3, expected whole numbers"),
        (lambda: AttentionOptions(heads=[0.5]), "option heads is [0.5], expected whole numbers"),
        (lambda: AttentionOptions(query="middle"), "option query is 'middle', expected the number of a token or bin"),
        (lambda: IsmOptions(strand="Both"), "option strand is 'Both', expected both or forward"),
        (lambda: IsmOptions(context=0), "option context is 0, expected a whole number of bases, 1 or more"),
        (lambda: IsmOptions(tracks=[]), "option tracks is [], expected whole numbers"),
        (lambda: IsmOptions(tracks=[-1]), "option tracks is [-1], expected numbers from 0"),
        (lambda: IsmOptions(tile="min"), "option tile is 'min', expected mean or max"),
        (lambda: AttributionOptions(method="ig"), "option method is 'ig', expected gradient or integrated"),
        (lambda: AttributionOptions(n_steps=20), "option n_steps needs the method integrated, found gradient"),
        (lambda: AttributionOptions("integrated", n_steps=1), "option n_steps is 1, expected a whole number, 2 or more"),
        (lambda: InterpretationRequest(Path("x"), "demo", length=0), "option length is 0, expected a whole number of bases"),
        (lambda: InterpretationRequest(Path("x"), "demo", n_figures=-1), "option n_figures is -1, expected a whole number"),
        (lambda: InterpretationRequest(Path("x"), "demo").folder, "option out is None, expected the folder of the maps"),
    ],
)
def test_wrong_values_of_maps_are_refused_by_name(call, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        call()
    assert str(error.value).startswith(message)


def test_messages_name_the_flag_on_the_command_line_and_the_option_in_python(labelled: Path, tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_text(">a\nACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTACGT\n")
    words = ("interpret", "ism", tmp_path / "a.fa", "-m", labelled / "one", "-o", tmp_path / "o")
    assert_refused(run(*words, "--class", "z"), "Error: --class is 'z', expected a class of the model; give one of a, b, c.")
    with pytest.raises(ConfigError, match=r"^option output is 'z', .*; give one of a, b, c"):
        gf.mutagenesis(tmp_path / "a.fa", "a:1-5", labelled / "one", output="z")
