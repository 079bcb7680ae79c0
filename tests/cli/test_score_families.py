"""`genoformer score` with the families of language models: the same as gf.score, the same bytes with workers, --explain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from commands import with_five_digits
from genoformer_cli.main import main
from small_models import small_encoder

import genoformer as gf
from genoformer.formats.score_tables import read_score_table
from genoformer.genome.codes import decode, encode
from genoformer.models import registry
from genoformer.models.transformer.config import SHAPES
from genoformer.tokenizers import BlockTokenizer, BPETokenizer

SEQUENCE = decode(np.random.default_rng(8).integers(0, 4, 600, dtype=np.uint8))
BPE = BPETokenizer.train([encode(SEQUENCE)[i : i + 90] for i in range(0, 500, 60)], 40)
QWEN3 = {**SHAPES["qwen3"], "n_heads": 4, "n_kv_heads": 2, "width": 32, "ffn_width": 40, "n_layers": 2, "causal": True}
MODELS: dict[str, Callable[[], Any]] = {
    "blocks": lambda: small_encoder(BlockTokenizer.new(3), context_length=60, init_std=0.3),
    "bpe": lambda: small_encoder(BPE, context_length=60, init_std=0.3),
    "causal": lambda: small_encoder(BlockTokenizer.new(2), context_length=60, **{**QWEN3, "init_std": 0.3}),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A genome, a VCF with all kinds of variants, and a folder of each model."""
    folder = tmp_path_factory.mktemp("families")
    (folder / "g.fa").write_text(f">c\n{SEQUENCE}\n")
    lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    for pos in range(80, 500, 30):
        ref = SEQUENCE[pos - 1]
        alts = ",".join(base for base in "ACGT" if base != ref)
        kinds = [(ref, alts), (ref, ref + "GA"), (SEQUENCE[pos - 1 : pos + 2], ref)]
        lines += [f"c\t{pos}\t.\t{a}\t{b}\t.\t.\t." for a, b in kinds]
    (folder / "in.vcf").write_text("\n".join([*lines, ""]))
    for name, make in MODELS.items():
        registry.save(make(), folder / name)
    return folder


def run(folder: Path, *words: object) -> Result:
    return CliRunner().invoke(main, ["score", str(folder / "in.vcf"), "-f", str(folder / "g.fa"), *map(str, words)])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("blocks", {"scores": "LLR,PLL,TOKEN_LLR,ENTROPY,COSINE", "phases": "all"}),
        ("blocks", {}),
        ("bpe", {"scores": "PLL,COSINE,L2"}),
        ("bpe", {}),
        ("causal", {"scores": "LLR,JSD", "phases": "all", "strand": "forward"}),
        ("causal", {"scores": "LLR,PLL,JSD", "share_windows": True}),
    ],
)
def test_the_command_and_the_api_agree(folder, tmp_path, name, options) -> None:
    words = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", value) if word is not True]
    result = run(folder, "-m", folder / name, "-o", tmp_path / "out.tsv", "--part-size", 10, "--verify", 4, *words)
    assert result.exit_code == 0, result.output
    assert "verified" in result.stderr
    expected = read_score_table(tmp_path / "out.tsv")
    found = gf.score(folder / "in.vcf", folder / "g.fa", model=folder / name, part_size=10, **options)
    pd.testing.assert_frame_equal(with_five_digits(found), expected)
    chosen = options.get("scores", "PLL" if name == "bpe" else "LLR,PLL").split(",")
    assert [column for column in expected.columns if column in chosen] == chosen
    assert expected["status"].isna().all()  # "." in the file


def test_workers_give_the_same_bytes(folder, tmp_path) -> None:
    outputs = []
    for workers in (1, 2):
        out = tmp_path / f"{workers}.tsv"
        result = run(folder, "-m", folder / "causal", "-s", "LLR,JSD", "-o", out, "--workers", workers, "--part-size", 10)
        assert result.exit_code == 0, result.output
        outputs.append(out.read_bytes())
    assert outputs[0] == outputs[1]


def test_phases_are_in_the_header_and_change_the_numbers(folder, tmp_path) -> None:
    tables = []
    for words in ([], ["--phases", "all"]):
        out = tmp_path / f"{len(words)}.vcf"
        assert run(folder, "-m", folder / "blocks", "-o", out, *words).exit_code == 0
        tables.append(out.read_text())
    assert "phases" not in tables[0]
    assert "phases=all" in tables[1]
    assert tables[0].splitlines()[-1] != tables[1].splitlines()[-1]


@pytest.mark.parametrize("order", ["before", "after"])
def test_explain_says_what_each_model_supports_and_why_not(folder, order) -> None:
    models = ["-m", str(folder / "bpe"), "--model", str(folder / "causal")]
    words = ["--explain", *models] if order == "before" else [*models, "--explain"]
    result = CliRunner().invoke(main, ["score", *words])
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    assert f"{folder / 'bpe'} supports PLL, COSINE, L2." in text
    assert "LLR needs tokens of a fixed number of bases, which BPE does not have." in text
    assert f"{folder / 'causal'} supports LLR, PLL, JSD, COSINE, L2." in text
    assert "ENTROPY needs a model that sees both sides, and this one is causal." in text
    assert "GF_STATUS" in text


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("bpe", ["-s", "LLR"], "LLR needs tokens of a fixed number of bases"),
        ("bpe", ["--phases", "all"], "the bounds of BPE tokens depend on the sequence"),
        ("causal", ["-s", "TOKEN_LLR"], "TOKEN_LLR needs a model that sees both sides"),
        ("blocks", ["-s", "JSD"], "JSD needs a causal model"),
        ("mini-tracks", ["--phases", "all"], "found phases or shared windows, expected a language model"),
        ("blocks", ["--share-windows"], "--share-windows needs a causal language model"),
        ("mini-tracks", ["-s", "JSD"], "JSD needs a language model"),
    ],
)
def test_what_a_family_lacks_is_refused_in_a_sentence(folder, tmp_path, name, words, message) -> None:
    model = folder / name if name in MODELS else name
    result = run(folder, "-m", model, "-o", tmp_path / "out.vcf", *words)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert not (tmp_path / "out.vcf").exists()
