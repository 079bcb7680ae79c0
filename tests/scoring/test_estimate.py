"""The cost of a scoring run: numbers worked out by hand, for every kind of model, and nothing is written."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from commands import assert_refused, run, run_well
from small_models import small_classifier, small_encoder, small_enformer

from genoformer.genome.codes import decode
from genoformer.models import cost, registry
from genoformer.scoring import estimate
from genoformer.tokenizers import BlockTokenizer, KmerTokenizer

TEXT = decode(np.random.default_rng(3).integers(0, 4, 2_000, dtype=np.uint8))
MODELS = {  # name -> model, tokens or bases of an SNV: windows times strands times their tokens
    "classes": (lambda: small_classifier(KmerTokenizer(3)), 2 * 2 * (40 - 2 + 2)),
    "blocks": (lambda: small_encoder(BlockTokenizer.new(6), context_length=96), 2 * (96 // 6 + 1)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    (folder / "g.fa").write_text(f">c1\n{TEXT}\n")
    other = {"A": "C", "C": "G", "G": "T", "T": "A"}
    rows = [f"c1\t{pos}\t.\t{TEXT[pos - 1]}\t{other[TEXT[pos - 1]]}\t.\t.\t." for pos in range(500, 1_500, 20)]
    header = ["##fileformat=VCFv4.2", "##contig=<ID=c1,length=2000>", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    (folder / "in.vcf").write_text("\n".join([*header, *rows, ""]))
    return folder


def table_of(text: str) -> dict[str, str]:
    return {line.split("  ")[0]: line.split("  ", 1)[1].strip() for line in text.splitlines()}


@pytest.mark.parametrize("name", MODELS)
def test_the_plan_of_a_model_of_tokens(name, folder, tmp_path, monkeypatch) -> None:
    build, n_tokens = MODELS[name]
    model = build()
    registry.save(model, tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    words = ("score", folder / "in.vcf", "-f", folder / "g.fa", "-m", "model", "-o", "o.vcf.gz", "--workers", 1, "--threads", 1)
    rows = table_of(run_well(*words, "--plan").stdout)
    n = cost.count_parameters(model)
    assert rows["parameters"] == f"{n:,}"
    assert rows["window"] == f"{96 if name == 'blocks' else 40} bases on both strands"
    assert rows["multiply-adds of an SNV"].startswith(f"about {n * n_tokens:,},")
    assert rows["records"] == "50"
    assert rows["processes"] == "1 with 1 thread each"
    assert rows["time of an SNV"].endswith("measured here on cpu")
    memory = re.fullmatch(r"about ([\d.]+) (GB|MB|GiB) with Python and torch, measured here", rows["memory of a process"])
    assert memory is not None
    assert float(memory[1]) > 0
    assert rows["time of the run"].startswith("about ")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_plan_of_a_track_model_and_of_an_ensemble(folder, tmp_path) -> None:
    for seed in (0, 1):
        registry.save(small_enformer(seed), tmp_path / f"{seed}")
    words = ("score", folder / "in.vcf", "-f", folder / "g.fa", "--head", "human", "--strand", "forward", "--plan")
    one = table_of(run_well(*words, "-m", tmp_path / "0").stdout)
    two = table_of(run_well(*words, "-m", tmp_path / "0", "-m", tmp_path / "1").stdout)
    assert int(two["parameters"].replace(",", "")) == 2 * int(one["parameters"].replace(",", ""))
    assert one["window"] == two["window"] == "256 bases"
    assert "heads" not in one
    assert one["time of the run"].endswith("if each record is one SNV, with the noise floor at 8 loci")
    none = table_of(run_well(*words, "-m", tmp_path / "0", "--noise-places", 0).stdout)
    assert none["time of the run"].endswith("if each record is one SNV")


def test_the_plan_of_several_heads(folder, tmp_path) -> None:
    """The operations are those of the more expensive head: both read one embedding."""
    registry.save(small_enformer(), tmp_path / "model")
    words = ("score", folder / "in.vcf", "-f", folder / "g.fa", "-m", tmp_path / "model", "--strand", "forward", "--plan")
    both, human = (
        table_of(run_well(*words, *heads).stdout) for heads in (("--head", "human", "--head", "mouse"), ("--head", "human"))
    )
    assert both["heads"] == "2: human, mouse"
    assert both["multiply-adds of an SNV"] == human["multiply-adds of an SNV"]


class Slow:
    """A scorer whose first SNV takes a given time, by a clock that only it moves."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now, self.calls = seconds, 0.0, []

    def score(self, variants) -> None:
        self.calls.append(len(variants))
        self.now += self.seconds * len(variants)


@pytest.mark.parametrize(("seconds", "calls"), [(0.5, [1, 8]), (5, [1, 6]), (16, [1]), (900, [1])])
def test_a_slow_model_is_timed_with_fewer_snvs(monkeypatch, seconds, calls) -> None:
    scorer = Slow(seconds)
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: scorer.now)
    timed = estimate._timed(scorer, list(range(8)))
    assert scorer.calls == calls
    assert timed == (seconds, calls[-1])


def test_a_plan_is_checked_as_a_run_is(folder, tmp_path) -> None:
    registry.save(small_classifier(KmerTokenizer(3)), tmp_path / "model")
    words = ("score", folder / "in.vcf", "-f", folder / "g.fa", "-m", tmp_path / "model", "--plan")
    assert_refused(run(*words, "-s", "LLR"), "LLR needs a language model")
    (tmp_path / "empty.vcf").write_text("".join((folder / "in.vcf").read_text().splitlines(keepends=True)[:3]))
    rows = table_of(run_well("score", tmp_path / "empty.vcf", *words[2:]).stdout)
    assert rows["records"] == "0"
    assert "time of the run" not in rows
