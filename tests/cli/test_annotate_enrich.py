"""`genoformer annotate`, `enrich` and `score -a` through the command line, on the demo world and with bad input."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pysam
import pytest
from click.testing import CliRunner, Result
from genoformer_cli.main import main

from genoformer.formats.bigwig_writer import write_bigwig
from genoformer.formats.motif_files import write_meme
from genoformer.formats.motif_matrix import Matrix
from genoformer.formats.vcf import open_vcf
from genoformer.formats.vcf_records import parse_info

DEMO = Path(str(files("genoformer_data") / "demo"))
VCF, FASTA = DEMO / "variants.vcf.gz", DEMO / "genome.fa.gz"
STATES, PEAKS, SITES, GTF = (DEMO / name for name in ("states.bed.gz", "peaks.narrowPeak.gz", "motifs.bed.gz", "genes.gtf.gz"))


def run(*arguments: object, ok: bool = True) -> Result:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="genoformer")
    assert (done.exit_code == 0) == ok, done.output
    return done


def test_annotate_knows_the_states_of_the_demo(tmp_path: Path) -> None:
    """The world's own VCF says the state of the base at POS; the elements of its BED are found there."""
    out = tmp_path / "out.vcf.gz"
    done = run(
        "annotate", VCF, "-a", f"STATE={STATES}", "-a", f"PEAK={PEAKS}", "--gtf", GTF, "-o", out, "--figures", tmp_path / "f"
    )
    assert "annotated 2,000 records" in done.stderr
    n = 0
    with pysam.VariantFile(str(out)) as file:
        for record in file:
            assert record.info["STATE"][0] == record.info["ELEMENT"]
            assert ("PEAK" in record.info) == ("PEAK_SUMMIT" in record.info)
            assert isinstance(record.info["GF_TSS_DISTANCE"], int)
            n += 1
    assert n == 2_000
    assert {path.name for path in (tmp_path / "f").iterdir()} == {
        "breakdown.tsv",
        *(f"{name}.{suffix}" for name in ("STATE", "breakdown", "gene_parts") for suffix in ("png", "svg")),
    }


def test_annotate_through_pipes() -> None:
    command = [sys.executable, "-m", "genoformer_cli", "annotate", "-", "-a", f"STATE={STATES}"]
    done = subprocess.run(command, input=VCF.read_bytes(), capture_output=True, check=True)
    lines = [line for line in done.stdout.decode().splitlines() if not line.startswith("#")]
    assert len(lines) == 2_000
    assert all(";STATE=" in line for line in lines)


def test_score_writes_what_annotate_does(tiny_model_folder: Path, tmp_path: Path) -> None:
    given = ["-a", f"STATE={STATES}", "-a", f"PEAK={PEAKS}", "-a", f"genes={GTF}"]
    region = ["-r", "chrS1:1-60,000"]
    run("score", VCF, "-f", FASTA, "-m", tiny_model_folder, *given, *region, "-o", tmp_path / "both.vcf.gz")
    run("annotate", VCF, *given, "-o", tmp_path / "annotated.vcf")
    run("score", tmp_path / "annotated.vcf", "-f", FASTA, "-m", tiny_model_folder, *region, "-o", tmp_path / "after.vcf")
    with open_vcf(tmp_path / "both.vcf.gz") as one, open_vcf(tmp_path / "after.vcf") as other:
        pairs = [
            (set(a.line.split("\t")[7].split(";")), set(b.line.split("\t")[7].split(";")))
            for a, b in zip(one, other, strict=True)
        ]
        assert len(pairs) > 50
        assert all(a == b for a, b in pairs)
        assert sorted(line for line in one.header if "INFO" in line) == sorted(line for line in other.header if "INFO" in line)
    run("score", VCF, "-f", FASTA, "-m", tiny_model_folder, *given, *region, "-o", tmp_path / "both.tsv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "both.tsv").read_text()), delimiter="\t"))
    assert {"LLR", "status", "STATE", "PEAK_SUMMIT", "GF_PART"} <= rows[0].keys()


def test_score_writes_the_motifs_that_annotate_does(tiny_model_folder: Path, tmp_path: Path) -> None:
    """Also of two files of annotations in one run, and in a table."""
    random = np.random.default_rng(0)
    write_meme(tmp_path / "m.meme", [Matrix(f"m{i}", random.dirichlet([0.4] * 4, size=5 + i)) for i in range(4)])
    given = ["-a", f"STATE={STATES}", "-a", f"PEAK={PEAKS}", "--motifs", tmp_path / "m.meme", "--motif-p", 0.01]
    region = ["-r", "chrS1:1-60,000"]
    scored = run("score", VCF, "-f", FASTA, "-m", tiny_model_folder, *given, *region, "-s", "LLR", "-o", tmp_path / "s.vcf")
    annotated = run("annotate", VCF, "-f", FASTA, *given, *region, "-o", tmp_path / "a.vcf")
    with open_vcf(tmp_path / "s.vcf") as one, open_vcf(tmp_path / "a.vcf") as other:
        kept = ("GF_MOTIF", "STATE", "PEAK")
        infos = [
            [{k: v for k, v in parse_info(record).items() if k.startswith(kept)} for record in file] for file in (one, other)
        ]
        declared = [[line for line in file.header if "GF_MOTIF" in line] for file in (one, other)]
    assert infos[0] == infos[1]
    assert sum("GF_MOTIF_GAINED" in info for info in infos[0]) > 5
    assert declared[0] == declared[1]
    assert len(declared[0]) == 10  # nine keys, and the file
    assert [line for line in scored.stderr.splitlines() if "not scanned" in line] == [
        line for line in annotated.stderr.splitlines() if "not scanned" in line
    ]
    words = ["-m", tiny_model_folder, "--motifs", tmp_path / "m.meme", "--motif-p", 0.01, *region, "-s", "LLR"]
    run("score", VCF, "-f", FASTA, *words, "-o", tmp_path / "s.tsv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "s.tsv").read_text()), delimiter="\t"))
    lost = [text for info in infos[0] for text in info.get("GF_MOTIF_LOST", ".").split(",") if text != "."]
    assert [row["GF_MOTIF_LOST"] for row in rows if row["GF_MOTIF_LOST"]] == lost


def test_enrich_of_scores_attention_and_places(tmp_path: Path) -> None:
    given = ["-a", f"SITE={SITES}", "-f", FASTA, "--gtf", GTF, "--resamplings", 100]
    done = run("enrich", VCF, *given, "--score", "BITS", "--top", 0.2)  # the truth as the score: what a motif loses
    rows = {row["annotation"]: row for row in csv.DictReader(io.StringIO(done.stdout), delimiter="\t")}
    assert float(rows["SITE:CTCF"]["fold"]) > 1.5  # the highest lie in sites of the strongest motifs
    assert float(rows["SITE:CTCF"]["p"]) < 0.05
    for name in ("minor allele frequency (bins from ", "TSS distance (bins from ", "500 bp (bins from "):
        assert name in done.stderr
    done = run(
        *("enrich", VCF, "-a", f"STATE={STATES}", "-f", FASTA, "--resamplings", 50, "--controls", 20_000),
        *("-o", tmp_path / "random"),
    )
    assert "random loci" in done.stderr
    assert (tmp_path / "random" / "enrichment.png").stat().st_size > 1_000
    track = tmp_path / "attention.bw"
    places = np.arange(2_000)
    write_bigwig(track, {"chrS1": 500_000}, [("chrS1", places, places + 1, np.where(places // 100 == 13, 5.0, 1.0))])
    done = run("enrich", track, "-a", f"STATE={STATES}", "--resamplings", 50)
    rows = {row["annotation"]: row for row in csv.DictReader(io.StringIO(done.stdout), delimiter="\t")}
    assert float(rows["STATE:E"]["fold"]) > 1  # 1,235 to 1,738
    assert float(rows["STATE:R"]["fold"]) < 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["annotate", VCF], "found no annotation, expected at least one"),
        (["annotate", VCF, "-a", "X=nowhere.bed"], "nowhere.bed does not exist"),
        (["annotate", "nowhere.vcf", "-a", f"X={STATES}"], "nowhere.vcf does not exist"),
        (["annotate", VCF, "-a", f"MOTIF={SITES}"], "INFO of the VCF already has the key MOTIF"),
        (["annotate", VCF, "-a", f"AF={SITES}"], "cannot be a key of INFO"),
        (["annotate", VCF, "-a", f"X={SITES}", "-o", "out.xls"], "the suffix names no known format"),
        (["annotate", VCF, "-a", f"X={GTF}", "--gtf", GTF], "files of genes or TSSs, expected one"),
        (["annotate", VCF, "-a", f"X={STATES}", "--figures", "f", "--af-key", "ELEMENT"], "is no frequency"),
        (["annotate", VCF, "-a", f"X={STATES}", "--figures", GTF], "is a file, but must be a folder"),
        (["annotate", VCF, "-a", f"X={STATES}", "--figures", VCF], "is the input, which the output would replace"),
        (["enrich", VCF, "-a", f"X={STATES}", "-f", FASTA, "-o", GTF], "is a file, but must be a folder"),
        (["enrich", "a.bw", "-a", f"X={STATES}", "-f", FASTA], "--fasta is for variants, but a.bw is a bigWig"),
        (["enrich", VCF, "-a", f"X={STATES}", "--background", VCF, "--sizes", "hg19"], "--sizes is for random controls"),
        (["enrich", VCF, "-a", f"X={STATES}", "-f", FASTA, "--top", "0.1"], "--top needs --score"),
        (["enrich", VCF], "found no annotation with elements"),
        (["enrich", VCF, "-a", f"X={STATES}"], "need the lengths of contigs"),
        (["enrich", VCF, "-a", f"X={STATES}", "-f", FASTA, "--match", "af"], "the controls have no frequencies"),
        (["enrich", VCF, "-a", f"X={STATES}", "-f", FASTA, "--match", "ld"], "--match is ld, expected some of af, tss, gc"),
        (["enrich", VCF, "-a", f"X={STATES}", "-f", FASTA, "--trait", "NOPE"], "no record of variants.vcf.gz has this value"),
        (["enrich", VCF, "-a", f"X={STATES}", "--score", "TRUTH"], "is not a number"),
        (["enrich", VCF, "-a", f"X={STATES}", "--sizes", "hg99"], "hg99 does not exist"),
        (["enrich", FASTA, "-a", f"X={STATES}", "-f", FASTA], "is not VCF"),
        (["enrich", STATES, "-a", f"X={STATES}", "-f", FASTA, "--trait", "12"], "line 1: 9 columns, but column 12"),
    ],
)
def test_refusals_are_one_sentence(arguments: list[object], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments, ok=False)
    assert done.exit_code == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_same_run_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        run("annotate", VCF, "-a", f"STATE={STATES}", "--gtf", GTF, "-o", tmp_path / f"{name}.vcf.gz", "-q")
        run(
            *("enrich", VCF, "-a", f"STATE={STATES}", "-f", FASTA, "--resamplings", 20, "--controls", 5_000),
            *("-o", tmp_path / name, "-q"),
        )
    assert (tmp_path / "a.vcf.gz").read_bytes() == (tmp_path / "b.vcf.gz").read_bytes()
    for path in sorted((tmp_path / "a").iterdir()):
        if path.suffix != ".png":
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
