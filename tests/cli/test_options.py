"""Options and files that commands refuse, or read in one way: regions, folders of models, lengths of alleles."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import run

from genoformer.formats.vcf import open_vcf
from genoformer.genome.reference import Genome
from genoformer.inference.regions import resolve_regions

VCF = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[Path, Path]:
    fasta, vcf = tmp_path / "g.fa", tmp_path / "in.vcf"
    fasta.write_text(">chr1\n" + "ACGTTGCA" * 50 + "\n>HLA-A*01:01\n" + "ACGTTGCA" * 50 + "\n")
    rows = ["chr1\t101\t.\tT\tC", "HLA-A*01:01\t101\t.\tT\tC"]
    vcf.write_text(VCF + "".join(f"{row}\t.\t.\t.\n" for row in rows))
    return fasta, vcf


def test_a_region_that_is_nowhere_is_refused(inputs, tiny_model_folder, tmp_path) -> None:
    fasta, vcf = inputs
    done = run("score", vcf, "-f", fasta, "-m", tiny_model_folder, "-r", "chrQ", "-o", tmp_path / "o.vcf")
    assert done.exit_code == 2
    assert "chrQ" in done.stderr
    assert not (tmp_path / "o.vcf").exists()


def test_a_region_may_be_a_name_with_a_colon(inputs, tiny_model_folder, tmp_path) -> None:
    fasta, vcf = inputs
    done = run("score", vcf, "-f", fasta, "-m", tiny_model_folder, "-r", "HLA-A*01:01", "-o", tmp_path / "o.vcf")
    assert done.exit_code == 0, done.stderr
    with open_vcf(tmp_path / "o.vcf") as file:
        assert [record.chrom for record in file] == ["HLA-A*01:01"]


@pytest.mark.parametrize(
    ("region", "n"),
    [
        ("HLA-A*01:01:100-101", 1),
        ("{HLA-A*01:01}:100-101", 1),
        ("{HLA-A*01:01}", 1),
        ("HLA-A*01:01:101", 1),
        ("HLA-A*01:01:1-100", 0),
        ("HLA-A*01:01:102-", 0),
        ("HLA-A*01:01:-101", 1),
        ("1:101", 1),
    ],
)
def test_a_part_of_a_contig_with_a_colon_in_its_name(inputs, tiny_model_folder, tmp_path, region: str, n: int) -> None:
    fasta, vcf = inputs
    done = run("score", vcf, "-f", fasta, "-m", tiny_model_folder, "-r", region, "-o", tmp_path / "o.vcf")
    assert done.exit_code == 0, done.stderr
    with open_vcf(tmp_path / "o.vcf") as file:
        assert [record.chrom for record in file] == (["chr1"] if region[0] == "1" else ["HLA-A*01:01"]) * n
    ((chrom, rows),) = resolve_regions(Genome(fasta), region=region).intervals.items()
    assert chrom == ("chr1" if region[0] == "1" else "HLA-A*01:01")
    assert len(rows) == 1


def test_several_regions_and_files_of_regions_score_each_record_once(inputs, tiny_model_folder, tmp_path) -> None:
    import genoformer as gf

    fasta, vcf = inputs
    bed = tmp_path / "a.bed"
    bed.write_text("1\t100\t101\nchr1\t90\t110\n")
    options = ["-r", "chr1:50-101", "-r", "chr1:101", "-R", bed, "-R", bed]
    done = run("score", vcf, "-f", fasta, "-m", tiny_model_folder, *options, "-o", tmp_path / "o.vcf")
    assert done.exit_code == 0, done.stderr
    assert "contig 1 is chr1" in done.stderr
    with open_vcf(tmp_path / "o.vcf") as file:
        assert [record.chrom for record in file] == ["chr1"]
        assert any("region=chr1:50-101,chr1:101,a.bed sha256:" in line for line in file.header)
    table = gf.score(vcf, fasta, tiny_model_folder, region=["chr1:50-101", bed])
    assert table["chrom"].tolist() == ["chr1"]
    assert gf.score(vcf, fasta, tiny_model_folder, region=str(bed)).equals(table)
    checked = run("score", vcf, "-f", fasta, "--preflight", "--json", "-R", bed)
    assert json.loads(checked.stdout)["n_records"] == 1


def test_another_bed_of_the_same_name_does_not_resume(inputs, tiny_model_folder, tmp_path) -> None:
    """Its sha256 is part of the description of the run."""
    fasta, vcf = inputs
    bed, out = tmp_path / "a.bed", tmp_path / "o.vcf"
    bed.write_text("chr1\t100\t101\n")
    assert run("score", vcf, "-f", fasta, "-m", tiny_model_folder, "-R", bed, "-o", out, "--shard", "1/1").exit_code == 0
    bed.write_text("HLA-A*01:01\t100\t101\n")
    done = run("score", vcf, "-f", fasta, "-m", tiny_model_folder, "-R", bed, "-o", out)
    assert done.exit_code == 2
    assert "region" in done.stderr


def test_a_region_that_could_be_two_is_refused(tiny_model_folder, tmp_path) -> None:
    fasta, vcf = tmp_path / "g.fa", tmp_path / "in.vcf"
    fasta.write_text(">a\n" + "ACGTTGCA" * 50 + "\n>a:1-100\n" + "ACGTTGCA" * 50 + "\n")
    vcf.write_text(VCF + "a\t101\t.\tT\tC\t.\t.\t.\na:1-100\t101\t.\tT\tC\t.\t.\t.\n")
    done = run("score", vcf, "-f", fasta, "-m", tiny_model_folder, "-r", "a:1-100", "-o", tmp_path / "o.vcf")
    assert done.exit_code == 2
    assert "write {a:1-100} for the contig, or {a}:1-100 for the part" in done.stderr
    for region, kept in (("{a:1-100}", ["a:1-100"]), ("{a}:1-101", ["a"]), ("a", ["a"]), ("a:1-101", ["a"])):
        done = run("score", vcf, "-f", fasta, "-m", tiny_model_folder, "-r", region, "-o", tmp_path / "o.vcf")
        assert done.exit_code == 0, done.stderr
        with open_vcf(tmp_path / "o.vcf") as file:
            assert [record.chrom for record in file] == kept


def test_a_model_is_not_converted_onto_a_model(tiny_model_folder) -> None:
    before = (Path(tiny_model_folder) / "model.safetensors").read_bytes()
    done = run("models", "convert", tiny_model_folder, tiny_model_folder, "--half")
    assert done.exit_code == 2
    assert "already holds a model" in done.stderr
    assert (Path(tiny_model_folder) / "model.safetensors").read_bytes() == before


def test_preflight_and_run_agree_on_what_is_too_long(inputs, tiny_model_folder, tmp_path) -> None:
    fasta, vcf = inputs
    ref = ("ACGTTGCA" * 50)[100:220]
    vcf.write_text(VCF + f"chr1\t101\t.\t{ref}\tT\t.\t.\t.\n")
    alone = run("score", vcf, "-f", fasta, "--preflight", "--json")
    model = run("score", vcf, "-f", fasta, "-m", tiny_model_folder, "--preflight", "--json")
    assert json.loads(alone.stdout)["statuses"] == {"OK": 1}  # which lengths are too long depends on the model
    assert json.loads(model.stdout)["statuses"] == {"TOO_LONG": 1}
    done = run("score", vcf, "-f", fasta, "-m", tiny_model_folder, "-o", tmp_path / "o.vcf", "--json")
    assert json.loads(done.stderr.splitlines()[-1])["summary"]["skipped"] == {"TOO_LONG": 1}


def test_scores_of_another_model_keep_the_lines_that_say_so(inputs, tiny_model_folder, tmp_path) -> None:
    fasta, vcf = inputs
    first, second = tmp_path / "one.vcf", tmp_path / "two.vcf"
    odd = tmp_path / "my model, v2>"
    assert run("models", "convert", tiny_model_folder, odd).exit_code == 0
    assert run("score", vcf, "-f", fasta, "-m", odd, "-s", "ENTROPY", "-o", first).exit_code == 0
    assert run("score", first, "-f", fasta, "-m", tiny_model_folder, "-s", "LLR", "-o", second).exit_code == 0
    models = [line for line in second.read_text().splitlines() if line.startswith("##genoformer_model")]
    assert len(models) == 2
    assert models[0].startswith("##genoformer_model=<ID=my_model__v2_,sha256=")
    again = tmp_path / "three.vcf"
    assert run("score", first, "-f", fasta, "-m", tiny_model_folder, "-s", "ENTROPY", "-o", again).exit_code == 0
    assert again.read_text().count("##genoformer_model") == 1
