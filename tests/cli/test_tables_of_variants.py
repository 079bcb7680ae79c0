"""Variants without a VCF, in every command that takes variants: the same scores as of a VCF, and every column."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pysam
import pytest
from commands import run, run_well

import genoformer as gf
from genoformer.formats.vcf import open_vcf
from genoformer.formats.vcf_records import parse_info

SEQUENCE = "ACGTTGCATTACGATTTACGGCATCAGT" * 30
ROWS = [("chr1", 101, "T", "C"), ("chr1", 205, "G", "GA"), ("chr1", 310, "A", "G")]


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[Path, Path, Path]:
    """FASTA, VCF, and the same variants as summary statistics, of which every second row has REF as effect allele."""
    fasta, vcf, table = tmp_path / "g.fa", tmp_path / "in.vcf", tmp_path / "gwas.tsv.gz"
    fasta.write_text(f">chr1\n{SEQUENCE}\n")
    rows = [
        (chrom, pos, SEQUENCE[pos - 1], SEQUENCE[pos - 1] + alt[1:] if len(alt) > 1 else alt) for chrom, pos, _, alt in ROWS
    ]
    rows = [(chrom, pos, ref, "ACGT"[("ACGT".index(ref) + 1) % 4] if alt == ref else alt) for chrom, pos, ref, alt in rows]
    head = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    vcf.write_text(head + "".join(f"{chrom}\t{pos}\trs{pos}\t{ref}\t{alt}\t.\t.\t.\n" for chrom, pos, ref, alt in rows))
    lines = ["rsid\tchromosome\tbase_pair_location\teffect_allele\tother_allele\tbeta\tstudy id\n"]
    for i, (_, pos, ref, alt) in enumerate(rows):
        effect, other = (ref, alt) if i % 2 else (alt, ref)
        lines.append(f"rs{pos}\t1\t{pos}\t{effect}\t{other}\t0.{i}\tGCST{i}\n")
    with gzip.open(table, "wt") as file:
        file.writelines(lines)
    return fasta, vcf, table


def oriented(vcf: Path, tmp_path: Path) -> Path:
    """The VCF as a CSV with chrom, pos, ref and alt."""
    with open_vcf(vcf) as file:
        rows = [(record.chrom, record.pos, record.ref, record.alts[0], record.id, "x, y") for record in file]
    path = tmp_path / "in.csv"
    pd.DataFrame(rows, columns=["CHROM", "POS", "REF", "ALT", "ID", "note"]).to_csv(path, index=False)
    return path


def test_scores_are_those_of_the_vcf_and_columns_stay(inputs, tiny_model_folder, tmp_path) -> None:
    fasta, vcf, _ = inputs
    table = oriented(vcf, tmp_path)
    run_well("score", vcf, "-f", fasta, "-m", tiny_model_folder, "-o", tmp_path / "a.tsv")
    run_well("score", table, "-f", fasta, "-m", tiny_model_folder, "-o", tmp_path / "b.tsv")
    expected, scored = (pd.read_csv(tmp_path / name, sep="\t") for name in ("a.tsv", "b.tsv"))
    assert list(scored.columns) == [*expected.columns, "note"]
    pd.testing.assert_frame_equal(scored[expected.columns], expected)
    assert scored["note"].tolist() == ["x, y"] * 3


def test_summary_statistics(inputs, tiny_model_folder, tmp_path) -> None:
    fasta, vcf, table = inputs
    done = run("score", table, "-f", fasta, "-m", tiny_model_folder, "-o", tmp_path / "b.vcf.gz")
    assert done.exit_code == 0, done.stderr
    assert "the effect allele is ALT in 1 row and REF in 1; " in done.stderr  # one SNV is of a pair, C and G
    run_well("score", vcf, "-f", fasta, "-m", tiny_model_folder, "-o", tmp_path / "a.vcf")
    with open_vcf(tmp_path / "a.vcf") as expected, open_vcf(tmp_path / "b.vcf.gz") as scored:
        for plain, record in zip(expected, scored, strict=True):
            info = parse_info(record)
            assert (record.pos, record.ref, record.alts, record.id) == (plain.pos, plain.ref, plain.alts, plain.id)
            if "GF_INPUT" not in info:
                assert {key: value for key, value in info.items() if key.startswith("GF_")} == parse_info(plain)
                assert info["study_id"].startswith("GCST")
    with pysam.VariantFile(str(tmp_path / "b.vcf.gz")) as file:  # valid, and indexed
        assert len(list(file.fetch("1", 0, 300))) == 2
    run_well("score", table, "-f", fasta, "-m", tiny_model_folder, "-o", tmp_path / "b.parquet")
    frame = pd.read_parquet(tmp_path / "b.parquet")
    assert frame["beta"].tolist() == [0.0, 0.1, 0.2]
    assert frame["study id"].tolist() == ["GCST0", "GCST1", "GCST2"]
    assert set(frame["effect_is"].dropna()) <= {"ALT", "REF"}


def test_shards_workers_and_resume_give_the_same_bytes(inputs, tiny_model_folder, tmp_path) -> None:
    fasta, _, table = inputs
    common = ["score", table, "-f", fasta, "-m", tiny_model_folder, "--part-size", "1", "--threads", "1"]
    run_well(*common, "-o", tmp_path / "a.tsv")
    for i in (1, 2):
        run_well(*common, "-o", tmp_path / "b.tsv", "--shard", f"{i}/2")
    run_well(*common, "-o", tmp_path / "b.tsv")
    run_well(*common, "-o", tmp_path / "c.tsv", "--workers", "2")
    assert (tmp_path / "a.tsv").read_bytes() == (tmp_path / "b.tsv").read_bytes() == (tmp_path / "c.tsv").read_bytes()


def test_variants_on_the_command_line_and_in_python(inputs, tiny_model_folder, tmp_path) -> None:
    fasta, vcf, _ = inputs
    with open_vcf(vcf) as file:
        ids = [f"{record.chrom}:{record.pos}:{record.ref}:{record.alts[0]}" for record in file]
    (tmp_path / "ids.txt").write_text("\n".join(ids) + "\n")
    expected = gf.score(vcf, fasta, tiny_model_folder)
    tables = [gf.score(source, fasta, tiny_model_folder) for source in (ids, tuple(ids), tmp_path / "ids.txt")]
    tables.append(gf.score(pd.read_csv(oriented(vcf, tmp_path)), fasta, tiny_model_folder))
    for table in tables:
        columns = ["chrom", "pos", "ref", "alt", "status", "LLR", "PLL"]
        pd.testing.assert_frame_equal(table[columns], expected[columns])
    assert tables[0]["id"].tolist() == ids
    assert tables[3]["note"].tolist() == ["x, y"] * 3
    assert gf.score(ids[0], fasta, tiny_model_folder)["pos"].tolist() == [101]
    run_well("score", *ids, "-f", fasta, "-m", tiny_model_folder, "-o", tmp_path / "o.tsv")
    assert pd.read_csv(tmp_path / "o.tsv", sep="\t")["id"].tolist() == ids


def test_annotate_pairs_calibrate_preflight_and_report(inputs, tiny_model_folder, tmp_path) -> None:
    fasta, vcf, table = inputs
    bed = tmp_path / "a.bed"
    bed.write_text("chr1\t100\t210\tpeak\n")
    assert "give its FASTA" in run("annotate", table, "-a", f"P={bed}").stderr
    run_well("annotate", table, "-a", f"P={bed}", "-f", fasta, "-o", tmp_path / "a.tsv")
    annotated = pd.read_csv(tmp_path / "a.tsv", sep="\t")
    assert annotated["P"].fillna("").tolist() == ["peak", "peak", ""]
    assert "study id" in annotated
    done = run_well("annotate", "chr1:101:T:C", "1:205:T:G", "-a", f"P={bed}", "-o", tmp_path / "ids.tsv")
    assert "annotated 2 records" in done.stderr
    csv = oriented(vcf, tmp_path)
    run_well("score", csv, "-f", fasta, "-m", tiny_model_folder, "-o", tmp_path / "scored.vcf")
    run_well("report", tmp_path / "scored.vcf", "-f", fasta, "-o", tmp_path / "r.html")
    assert "note" in (tmp_path / "r.html").read_text()
    run_well("calibrate", csv, "-f", fasta, "-m", tiny_model_folder, "-o", tmp_path / "c.npz")
    checked = run("score", csv, "-f", fasta, "--preflight")
    assert "REF agrees          100 % of 3" in checked.stdout
    for source, target in ((vcf, "p1.tsv"), (csv, "p2.tsv")):
        run_well("pairs", source, "-f", fasta, "-m", "mini-tracks", "--within", "200", "-o", tmp_path / target)
    assert (tmp_path / "p1.tsv").read_bytes() == (tmp_path / "p2.tsv").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rs123"], "rs123 is an rsID, which names no position"),
        (["a.vcf", "b.vcf"], "found 2 arguments with 'a.vcf', expected one file, or variants alone"),
        (["chr1:101:T:C", "b.vcf"], "found 2 arguments with 'b.vcf'"),
    ],
)
def test_other_words_are_refused(inputs, tiny_model_folder, words: list[str], message: str) -> None:
    done = run("score", *words, "-f", inputs[0], "-m", tiny_model_folder)
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_table_has_no_genotypes(inputs, tmp_path) -> None:
    fasta, vcf, _ = inputs
    (tmp_path / "a.bed").write_text("chr1\t100\t210\n")
    table = oriented(vcf, tmp_path)
    done = run("haplotypes", table, "-f", fasta, "-m", "mini-tracks", "-b", tmp_path / "a.bed", "-o", tmp_path / "h.tsv")
    assert done.exit_code == 2
    assert "has no samples; haplotypes need phased genotypes" in done.stderr
