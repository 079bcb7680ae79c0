"""-m has no default: without it the models that are here are listed, and cards warn of what a model is not for."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest
from commands import run, run_well

pq = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra: pip install genoformer[parquet]")

DEMO = Path(str(files("genoformer_data") / "demo"))
VCF, FASTA = DEMO / "variants.vcf.gz", DEMO / "genome.fa.gz"
OTHER_GENOME = "caution: demo is for genomes with contigs such as chrS*, found chr1; its values mean nothing there."


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[Path, Path]:
    """A genome with a contig chr1, and a VCF on it."""
    (tmp_path / "g.fa").write_text(">chr1\n" + "ACGTTGCA" * 100 + "\n")
    header = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    (tmp_path / "in.vcf").write_text(f"{header}chr1\t401\t.\tA\tC\t.\t.\t.\n")
    return tmp_path / "in.vcf", tmp_path / "g.fa"


@pytest.mark.parametrize(
    "words",
    [
        ("score", "in.vcf", "-f", "g.fa", "-o", "o.vcf"),
        ("haplotypes", "in.vcf", "-f", "g.fa", "-b", "r.bed", "-o", "o.tsv"),
        ("pairs", "in.vcf", "-f", "g.fa", "-o", "o.tsv"),
        ("calibrate", "in.vcf", "-f", "g.fa"),
        ("embed", "a.fa", "-o", "o.npy"),
        ("predict", "-f", "g.fa", "-o", "o.bw"),
        ("interpret", "ism", "a.bed", "-o", "o"),
    ],
    ids=lambda words: words[0],
)
def test_without_a_model_the_models_are_listed_in_five_lines(words: tuple[str, ...]) -> None:
    result = run(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    lines = result.stderr.splitlines()
    assert len(lines) == 5
    assert lines[0] == "Error: no model is named; give one with -m: its folder, or a name."
    assert [line.split()[0] for line in lines[1:4]] == ["demo", "mini-human", "mini-tracks"]
    assert "genoformer models list" in lines[4]
    assert max(map(len, lines)) <= 110


@pytest.mark.parametrize("words", [("browse", "-f", "g.fa"), ("models", "info")], ids=" ".join)
def test_without_the_argument_model_they_are_listed_too(words: tuple[str, ...]) -> None:
    result = run(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    first, *models = result.stderr.splitlines()
    assert first == "Error: no model is named; give one as MODEL: its folder, or a name."
    assert [line.split()[0] for line in models[:3]] == ["demo", "mini-human", "mini-tracks"]


def test_the_input_check_needs_no_model() -> None:
    assert run("score", VCF, "-f", FASTA, "--preflight").exit_code == 0


def test_a_model_of_another_genome_is_warned_of_once_in_run_header_and_page(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    vcf, fasta = inputs
    outputs = [tmp_path / f"o.{suffix}" for suffix in ("vcf", "parquet")]
    for out in outputs:
        result = run_well("score", vcf, "-f", fasta, "-m", "demo", "-o", out)
        assert result.stderr.count("caution: ") == 1
        assert OTHER_GENOME in result.stderr.splitlines()
    written = OTHER_GENOME.removeprefix("caution: ")
    assert f"##genoformer_caution={written}\n" in outputs[0].read_text()
    assert pq.read_schema(outputs[1]).metadata[b"genoformer_caution"].decode() == written
    for out in outputs:
        run_well("report", out, "-o", tmp_path / "o.html")
        assert f'<p class="warning"><b>Warning:</b> {written}</p>' in (tmp_path / "o.html").read_text()
    again = tmp_path / "again.vcf"  # scored once more: one line
    run_well("score", outputs[0], "-f", fasta, "-m", "demo", "-o", again)
    assert again.read_text().count("##genoformer_caution=") == 1


def test_on_its_own_genome_there_is_no_warning(tmp_path: Path) -> None:
    result = run_well("score", VCF, "-f", FASTA, "-m", "demo", "-r", "chrS1:1-9000", "-o", tmp_path / "o.vcf")
    assert "caution" not in result.stderr + (tmp_path / "o.vcf").read_text()


def test_scores_without_a_known_effect_are_warned_of(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    vcf, fasta = inputs
    result = run_well("score", vcf, "-f", fasta, "-m", "mini-human", "-m", "demo", "--force", "-o", tmp_path / "o.vcf")
    notes = [line for line in result.stderr.splitlines() if line.startswith("caution: ")]
    assert notes == [
        "caution: mini-human: its LLR does not correlate with measured effects of variants in promoters and enhancers (median "
        "Spearman 0.04 in 16 elements of saturation mutagenesis).",
        OTHER_GENOME,
    ]
    header = re.findall("^##genoformer_caution=(.*)$", (tmp_path / "o.vcf").read_text(), re.MULTILINE)
    assert header == [" ".join(note.removeprefix("caution: ") for note in notes)]


def test_other_commands_warn_of_the_genome_only(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    _, fasta = inputs
    (tmp_path / "a.bed").write_text("chr1\t100\t200\n")
    result = run_well("embed", tmp_path / "a.bed", "-f", fasta, "-m", "demo", "-o", tmp_path / "o.npy")
    assert OTHER_GENOME in result.stderr
    result = run_well("embed", tmp_path / "a.bed", "-f", fasta, "-m", "mini-human", "-o", tmp_path / "p.npy")
    assert "caution" not in result.stderr
