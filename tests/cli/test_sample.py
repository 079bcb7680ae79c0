"""`genoformer sample` through the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import assert_refused, run, run_well
from small_models import small_encoder

import genoformer as gf
from genoformer.models import registry
from genoformer.tokenizers import KmerTokenizer


@pytest.fixture
def model(tmp_path: Path) -> Path:
    registry.save(small_encoder(KmerTokenizer(3), causal=True, context_length=64), tmp_path / "model")
    return tmp_path / "model"


def test_fasta_on_stdout_and_in_a_file(tmp_path: Path, model: Path) -> None:
    arguments = ("sample", model, "-n", 3, "--length", 130, "--prompt", "tataaa", "--temperature", 0.8, "--seed", 4)
    done = run_well(*arguments, "--device", "cpu")
    lines = done.stdout.splitlines()
    expected = gf.sample(model, number=3, length=130, prompt="TATAAA", temperature=0.8, seed=4, device="cpu")
    assert [line for line in lines if line.startswith(">")] == [
        f">sample_{i} log_likelihood={log_p:.4f} temperature=0.8 seed=4 prompt=6" for i, (_, log_p) in enumerate(expected, 1)
    ]
    assert [len(line) for line in lines[:4]] == [len(lines[0]), 60, 60, 10]
    (tmp_path / "stdout.fa").write_text(done.stdout)
    genome = gf.Genome(tmp_path / "stdout.fa")
    for i, (bases, _) in enumerate(expected, 1):
        assert gf.genome.codes.decode(genome.window(f"sample_{i}", 0, 130)) == bases
        assert bases.startswith("TATAAA")
    done = run_well(*arguments, "--device", "cpu", "-o", tmp_path / "out.fa")
    assert done.stdout == ""
    note = "sequences have 130 bases, and the model was made for windows of 64; give a length of up to that"
    assert note in " ".join(done.stderr.split())
    assert "made for windows" not in run_well("sample", model, "-n", 1, "--length", 64, "--device", "cpu").stderr
    assert (tmp_path / "out.fa").read_bytes() == (tmp_path / "stdout.fa").read_bytes()  # the same seed, the same bytes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo"], "demo is a masked model, which has no likelihood of a sequence; give a causal language model"),
        (["model", "--prompt", "ACGX"], "the prompt is 'ACGX'; give bases A, C, G and T"),
        (["model", "--prompt", "ACGT", "--length", 4], "the prompt alone has 4 bases; give more"),
        (["model", "--temperature", -0.5], "temperature = -0.5: give 0"),
        (["no-such-model"], "no model folder 'no-such-model'"),
    ],
)
def test_a_refusal_is_one_sentence_and_leaves_nothing(tmp_path: Path, model: Path, monkeypatch, arguments, message) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(run("sample", *arguments, "-o", "out.fa"), message)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
