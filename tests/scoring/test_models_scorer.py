"""Scores of several models in one run: each equals the run of that model alone, in every output."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import assert_refused, run, run_well
from scoring_jobs import track_scorer
from small_models import small_classifier, small_encoder, small_enformer

import genoformer as gf
from genoformer.formats.vcf import open_vcf
from genoformer.formats.vcf_records import parse_info
from genoformer.genome.minhash import Sketch
from genoformer.genome.reference import Genome
from genoformer.models import folders, registry
from genoformer.scoring.heads_scorer import HeadsScorer
from genoformer.scoring.models_scorer import ModelsScorer
from genoformer.scoring.noise import measure
from genoformer.scoring.scorers import make_scorer
from genoformer.scoring.scores import SCORES
from genoformer.scoring.settings import Scoring
from genoformer.tokenizers import BaseTokenizer, KmerTokenizer

MODELS = ("tokens", "tracks", "classes-1")
RUN = ("--strand", "forward", "--device", "cpu", "--threads", "1")
NOISE = ("--noise-places", "3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A genome, a model of each kind, and variants, one of which is too long for the two models of short windows."""
    folder, random = tmp_path_factory.mktemp("input"), np.random.default_rng(0)
    text = "".join(random.choice(list("ACGT"), 1500))
    (folder / "g.fa").write_text(f">chr1\n{text}\n")
    registry.save(small_encoder(BaseTokenizer(), context_length=40), folder / "tokens")
    registry.save(small_enformer(heads={"human": 3}), folder / "tracks")
    registry.save(small_classifier(KmerTokenizer(3), window=40), folder / "classes-1")
    rows = [(pos, text[pos - 1], "ACGT"["ACGT".index(text[pos - 1]) - 1]) for pos in range(300, 1200, 60)]
    rows += [
        (500, text[499:502], text[499]),
        (700, text[699], text[699] + "GT"),
        (800, text[799:850], text[799]),
        (900, "N", "A"),
    ]
    rows += [(1000, text[999], "A,*" if text[999] != "A" else "C,*")]
    head = "##fileformat=VCFv4.3\n##contig=<ID=chr1,length=1500>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    (folder / "v.vcf").write_text(head + "".join(f"chr1\t{p}\t.\t{r}\t{a}\t.\t.\t.\n" for p, r, a in sorted(rows)))
    return folder


def score(folder: Path, models: tuple[str, ...], out: Path, *more: object) -> pd.DataFrame:
    """The table of a run; columns after the status are the scores."""
    words = [*(word for name in models for word in ("-m", folder / name)), *(NOISE if "tracks" in models else ())]
    run_well("score", folder / "v.vcf", "-f", folder / "g.fa", *words, *RUN, *more, "-o", out)
    return pd.read_csv(out, sep="\t", keep_default_na=False) if out.suffix == ".tsv" else pd.DataFrame()


def scores_of(table: pd.DataFrame) -> pd.DataFrame:
    return table.iloc[:, list(table.columns).index("status") + 1 :]


def test_each_model_scores_as_it_does_alone(folder: Path, tmp_path: Path) -> None:
    together = score(folder, MODELS, tmp_path / "all.tsv", "--each-model", "--verify", 3)
    columns = []
    for name in MODELS:
        alone = scores_of(score(folder, (name,), tmp_path / f"{name}.tsv"))
        bases = sorted({column.partition("_")[0] for column in alone})
        for column in alone:
            base = next(one for one in bases if column == one or column.startswith(f"{one}_"))
            renamed = f"{base}_{name}{column.removeprefix(base)}"
            columns.append(renamed)
            numbers = [pd.to_numeric(of, errors="coerce") for of in (together[renamed], alone[column])]
            if numbers[1].isna().all():
                assert together[renamed].tolist() == alone[column].tolist(), renamed
            else:
                np.testing.assert_allclose(*numbers, rtol=1e-3, atol=1e-6, err_msg=renamed)
    assert sorted(scores_of(together).columns) == sorted(columns)
    assert {"LLR_tokens", "SAD_tracks", "SAD_tracks_TRACK", "SAD_tracks_NOISE", "LOGIT_classes-1"} <= set(columns)
    long = together[together.ref.str.len() == 51].iloc[0]
    assert (long["PLL_tokens"], long["LOGIT_classes-1"], long["status"]) == ("", "", ".")
    assert long["SAD_tracks"] != ""  # the only model whose window holds it
    assert {".", "STAR"} < set(together.status)


def test_the_plan_of_several_models(folder: Path) -> None:
    models = ("-m", folder / "tokens", "-m", folder / "tracks", "--each-model")
    plan = run_well("score", folder / "v.vcf", "-f", folder / "g.fa", *models, *RUN, *NOISE, "--plan").stdout
    assert "with the noise floor at 3 loci" in plan
    assert "\nheads " not in plan


def test_the_noise_of_several_heads_of_one_of_the_models(folder: Path) -> None:
    with Genome(folder / "g.fa") as genome:
        tracks, tokens = small_enformer(), small_encoder(BaseTokenizer(), context_length=40)
        parts = [track_scorer(tracks, genome, "SAD", head=head, both_strands=False) for head in ("human", "mouse")]
        heads, language = HeadsScorer(parts), make_scorer(genome, Scoring((tokens,), (SCORES["LLR"],), both_strands=False))
        places = [("chr1", 700), ("chr1", 900)]
        alone, together = (measure(of, genome, places, 2) for of in (heads, ModelsScorer(["a", "b"], [language, heads])))
        assert alone is not None
        assert together is not None
        assert (together.names, together.n_places) == (alone.names, 2)
        assert together.indel.tolist() == alone.indel.tolist()
        assert measure(ModelsScorer(["a"], [language]), genome, places, 2) is None


def test_the_header_names_the_models(folder: Path, tmp_path: Path) -> None:
    score(folder, MODELS, tmp_path / "all.vcf", "--each-model", "-s", "LLR,COSINE,SAD,LOGIT")
    with open_vcf(tmp_path / "all.vcf") as file:
        header, infos = "\n".join(file.header), [parse_info(record) for record in file]
    assert "##genoformer_model=<ID=tokens_tracks_classes-1," in header
    for key in ("GF_LLR_tokens", "GF_COSINE_tokens", "GF_SAD_tracks", "GF_SAD_tracks_NOISE", "GF_LOGIT_classes_1"):
        assert f"##INFO=<ID={key}," in header
    assert "GF_COSINE_classes_1" not in header
    assert "context of tracks=256" in header
    assert any("GF_LLR_tokens" in info and "GF_SAD_tracks" in info for info in infos)


def test_a_plan_is_of_all_models(folder: Path, tmp_path: Path) -> None:
    words = [word for name in MODELS for word in ("-m", folder / name)]
    alone = [
        run_well("score", folder / "v.vcf", "-f", folder / "g.fa", "-m", folder / name, *RUN, "--plan").stdout
        for name in MODELS
    ]
    text = run_well("score", folder / "v.vcf", "-f", folder / "g.fa", *words, *RUN, "--each-model", "--plan").stdout
    parameters = [int(of.split("parameters")[1].split()[0].replace(",", "")) for of in (text, *alone)]
    assert parameters[0] == sum(parameters[1:])


def test_workers_and_shards_give_the_same_bytes(folder: Path, tmp_path: Path, monkeypatch) -> None:
    more = ("--each-model", "--part-size", "4")
    whole = score(folder, MODELS, tmp_path / "whole.vcf", *more, "--workers", 1)
    del whole
    score(folder, MODELS, tmp_path / "two.vcf", *more, "--workers", 2)
    models = [str(word) for name in MODELS for word in ("-m", folder / name)]
    out = str(tmp_path / "shards.vcf")
    for i in (1, 2):
        words = [
            "score",
            str(folder / "v.vcf"),
            "-f",
            str(folder / "g.fa"),
            *models,
            *RUN,
            *NOISE,
            *more,
            "-o",
            out,
            "--shard",
            f"{i}/2",
        ]
        with monkeypatch.context() as patch:
            patch.setattr("sys.argv", ["genoformer", *words])
            run_well(*words)
    run_well("merge", out)
    assert (tmp_path / "two.vcf").read_bytes() == (tmp_path / "whole.vcf").read_bytes() == Path(out).read_bytes()


def test_ensembles_stay_ensembles(folder: Path, tmp_path: Path) -> None:
    """Without the option several models are averaged; with it and one model the names stay."""
    registry.save(small_encoder(BaseTokenizer(), seed=1, context_length=40), folder / "other")
    each = score(folder, ("tokens", "other"), tmp_path / "each.tsv", "--each-model", "-s", "LLR")
    mean = score(folder, ("tokens", "other"), tmp_path / "mean.tsv", "-s", "LLR")
    numbers = [pd.to_numeric(of, errors="coerce") for of in (each["LLR_tokens"], each["LLR_other"], mean["LLR"])]
    np.testing.assert_allclose((numbers[0] + numbers[1]) / 2, numbers[2], rtol=1e-3, atol=1e-5)
    assert list(scores_of(score(folder, ("tokens",), tmp_path / "one.tsv", "--each-model", "-s", "LLR"))) == ["LLR"]


@pytest.mark.parametrize("more", [("--each-model",), ()])
def test_the_overlap_with_training_data_is_of_each_model(folder: Path, tmp_path: Path, more: tuple[str, ...]) -> None:
    """One of three models has seen the genome, one a third of it, and one has no record of its training data."""
    with Genome(folder / "g.fa") as genome:
        text = genome.window("chr1", 0, 1500)
    for seed, (name, seen) in enumerate((("all", text), ("some", text[:500]), ("none", None))):
        registry.save(small_encoder(BaseTokenizer(), seed=seed, context_length=40), tmp_path / name)
        if seen is not None:
            Sketch.from_sequences(seen).save(tmp_path / name / folders.SKETCH)
    words = [word for name in ("none", "some", "all") for word in ("-m", tmp_path / name)]
    stderr = run_well("score", folder / "v.vcf", "-f", folder / "g.fa", *words, *RUN, *more, "-o", tmp_path / "o.vcf").stderr
    notes = [re.match(r"(\d+) % of the 31-mers .* in the training data of (\S+) ", line) for line in stderr.splitlines()]
    shares = {note[2]: int(note[1]) for note in notes if note}
    assert shares == {"some": pytest.approx(26, abs=12), "all": 100}


def test_in_python_models_may_be_loaded(folder: Path) -> None:
    loaded = [registry.load(folder / name) for name in ("tokens", "classes-1")]
    table = gf.score(folder / "v.vcf", folder / "g.fa", loaded, each_model=True, strand="forward", device="cpu", force=True)
    assert {"LLR_model1", "PLL_model1", "LOGIT_model2"} <= set(table.columns)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("-s", "LLR,NONE"), "NONE"),
        (("-s", "LLR,SAD"), "--scores has none that classes-1 supports"),
        (("-s", "LLR,SAD,LOGIT,LOGSED"), "--gtf is missing"),
        (("--matrix", "m.parquet"), "--matrix is of one model, found 3"),
        (("--classes", "nothing"), "--classes has 'nothing'"),
        (("-m", "DUPLICATE"), "found two models named tokens"),
    ],
)
def test_wrong_options_are_refused(folder: Path, tmp_path: Path, more: tuple[str, ...], message: str) -> None:
    words = [word for name in MODELS for word in ("-m", folder / name)]
    more = tuple(str(folder / "tokens") if word == "DUPLICATE" else word for word in more)
    more = tuple(str(tmp_path / word) if word.endswith(".parquet") else word for word in more)
    out = tmp_path / "x.tsv"
    result = run("score", folder / "v.vcf", "-f", folder / "g.fa", *words, *RUN, "--each-model", *more, "-o", out)
    assert_refused(result, message)


def test_an_option_that_no_model_has_is_refused(folder: Path, tmp_path: Path) -> None:
    words = ["-m", folder / "tokens", "-m", folder / "tokens", "--each-model", "--classes", "a"]
    assert_refused(
        run("score", folder / "v.vcf", "-f", folder / "g.fa", *words, "-o", tmp_path / "x.tsv"), "needs a fine-tuned model"
    )
