"""Scores of structural variants: those of the same variant written with its bases, for every kind of model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import run_well
from small_models import small_enformer

import genoformer as gf
from genoformer.formats.vcf import open_vcf
from genoformer.formats.vcf_records import parse_info
from genoformer.models import registry

SEQUENCE = "".join(np.random.default_rng(5).choice(list("ACGT"), 3000))
COMPLEMENT = str.maketrans("ACGT", "TGCA")
HEAD = """##fileformat=VCFv4.2
##ALT=<ID=DEL,Description="Deletion">
##INFO=<ID=END,Number=1,Type=Integer,Description="End">
##INFO=<ID=SEQ,Number=1,Type=String,Description="Inserted bases">
##INFO=<ID=IMPRECISE,Number=0,Type=Flag,Description="Imprecise">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
"""
POS, END = 1_500, 1_530
EVENT, BEFORE = SEQUENCE[POS:END], SEQUENCE[POS - 1]
KINDS = {  # symbol -> INFO, and REF and ALT in bases
    "<DEL>": (f"END={END}", BEFORE + EVENT, BEFORE),
    "<DUP>": (f"END={END}", BEFORE, BEFORE + EVENT),
    "<INV>": (f"END={END}", BEFORE + EVENT, BEFORE + EVENT.translate(COMPLEMENT)[::-1]),
    "<INS>": ("SEQ=TTGCATTACG", BEFORE, BEFORE + "TTGCATTACG"),
}


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[Path, Path, Path]:
    """FASTA, the variants as symbols (and two that cannot be scored), and in bases."""
    fasta, symbols, bases = tmp_path / "g.fa", tmp_path / "symbols.vcf", tmp_path / "bases.vcf"
    fasta.write_text(f">chr1\n{SEQUENCE}\n")
    rows = [f"chr1\t{POS}\t{alt}\t{BEFORE}\t{alt}\t.\t.\t{info}\n" for alt, (info, _, _) in KINDS.items()]
    rows += [f"chr1\t{POS}\tx\t{BEFORE}\t<DEL>\t.\t.\tIMPRECISE;END={END}\n", f"chr1\t{POS}\ty\tN\t<DEL>\t.\t.\tEND=2900\n"]
    symbols.write_text(HEAD + "".join(rows))
    explicit = [f"chr1\t{POS}\t{alt}\t{ref}\t{written}\t.\t.\t.\n" for alt, (_, ref, written) in KINDS.items()]
    bases.write_text(HEAD + "".join(explicit))
    return fasta, symbols, bases


@pytest.mark.parametrize("indels", ["realign", "stitch"])
def test_a_track_model(inputs, tmp_path: Path, indels: str) -> None:
    fasta, symbols, bases = inputs
    options = {"scores": "SAD,SAX,D2", "indels": indels, "strand": "forward", "noise_places": 0, "device": "cpu"}
    model = small_enformer(heads={"human": 5})
    scored, expected = (gf.score(vcf, fasta, model, **options) for vcf in (symbols, bases))
    names = ["SAD", "SAX", "D2"]
    np.testing.assert_array_equal(scored[names].to_numpy()[:4], expected[names].to_numpy())
    assert (scored["D2"][:4] > 0).all()
    assert scored["status"].tolist()[4:] == ["IMPRECISE", "TOO_LONG"]
    assert scored["alt"].tolist()[:4] == list(KINDS)  # the records are as they were


def test_a_language_model(inputs, tiny_model_folder, tmp_path: Path) -> None:
    fasta, symbols, bases = inputs
    scored, expected = (gf.score(vcf, fasta, tiny_model_folder, device="cpu") for vcf in (symbols, bases))
    assert scored["status"].tolist()[:4] == expected["status"].fillna(".").tolist() or scored["status"][:4].equals(
        expected["status"]
    )
    for name in ("LLR", "PLL"):
        np.testing.assert_array_equal(scored[name][:4], expected[name])
    assert scored[["LLR", "PLL"]][:4].notna().any(axis=1).tolist() == expected[["LLR", "PLL"]].notna().any(axis=1).tolist()


def test_the_output_lists_the_reasons_and_pairs_reads_symbols(inputs, tmp_path: Path) -> None:
    fasta, symbols, bases = inputs
    registry.save(small_enformer(heads={"human": 5}), tmp_path / "model")
    common = ["-f", fasta, "-m", tmp_path / "model", "--strand", "forward"]
    run_well("score", symbols, *common, "-s", "SAD", "--noise-places", "0", "-o", tmp_path / "o.vcf")
    with open_vcf(tmp_path / "o.vcf") as file:
        assert any("GF_STATUS" in line and "IMPRECISE" in line for line in file.header)
        info = [parse_info(record) for record in file]
    assert [of.get("GF_STATUS") for of in info] == [None] * 4 + ["IMPRECISE", "TOO_LONG"]
    assert all("GF_SAD" in of for of in info[:4])
    for vcf, name in ((symbols, "a.tsv"), (bases, "b.tsv")):
        lines = vcf.read_text().splitlines(keepends=True)
        extra = f"chr1\t{END + 70}\t.\t{SEQUENCE[END + 69]}\t{'A' if SEQUENCE[END + 69] != 'A' else 'C'}\t.\t.\t.\n"
        (tmp_path / "two.vcf").write_text("".join([*lines[:7], extra]))
        run_well("pairs", tmp_path / "two.vcf", *common, "-s", "SAD", "--within", "64", "-o", tmp_path / name)
    assert (tmp_path / "a.tsv").read_bytes() == (tmp_path / "b.tsv").read_bytes()


def test_haplotypes_read_a_deletion_that_begins_before_the_window(tmp_path: Path) -> None:
    fasta, bed = tmp_path / "g.fa", tmp_path / "a.bed"
    fasta.write_text(f">chr1\n{SEQUENCE}\n")
    registry.save(small_enformer(heads={"human": 5}), tmp_path / "model")
    bed.write_text("chr1\t1640\t1642\n")  # the window of 256 bases begins at 1,513, inside the deletion
    head = HEAD.replace("INFO\n", "INFO\tFORMAT\tann\n")
    gt = '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n#CHROM'
    for name, ref, alt, info in (("a", BEFORE, "<DEL>", f"END={END}"), ("b", BEFORE + EVENT, BEFORE, ".")):
        row = f"chr1\t{POS}\t.\t{ref}\t{alt}\t.\t.\t{info}\tGT\t0|1\n"
        (tmp_path / f"{name}.vcf").write_text(head.replace("#CHROM", gt) + row)
        words = ["-f", fasta, "-m", tmp_path / "model", "-b", bed, "-s", "SAD", "--strand", "forward", "--context", "256"]
        run_well("haplotypes", tmp_path / f"{name}.vcf", *words, "-o", tmp_path / f"{name}.tsv")
    assert (tmp_path / "a.tsv").read_bytes() == (tmp_path / "b.tsv").read_bytes()
    assert "\t1\t" in (tmp_path / "a.tsv").read_text().splitlines()[2]
