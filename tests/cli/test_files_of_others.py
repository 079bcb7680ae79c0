"""Files of others from the command line on: tables, GFF3, rows beyond a contig, addresses."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import Result
from commands import run

HEAD = "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=3000>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
GFF = (
    "##gff-version 3\nchr1\tx\tgene\t1001\t2500\t.\t+\t.\tID=g;Name=AB\nchr1\tx\tmRNA\t1001\t2500\t.\t+\t.\tID=t;Parent=g\n"
    "chr1\tx\texon\t1001\t2500\t.\t+\t.\tParent=t\nchr1\tx\tCDS\t1101\t2400\t.\t+\t0\tParent=t\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Variants at 1001, 1100 and 2001 of chr1, of 3,000 bases."""
    (tmp_path / "v.vcf").write_text(HEAD + "".join(f"chr1\t{pos}\t.\tA\tG\t.\tPASS\t.\n" for pos in (1001, 1100, 2001)))
    (tmp_path / "g.fa").write_text(">chr1\n" + "ACGTTGCA" * 375 + "\n>chr2\n" + "ACGGTTCA" * 375 + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def infos(result: Result) -> list[str]:
    """The last column of each record."""
    assert result.exit_code == 0, result.output
    return [line.split("\t")[7] for line in result.stdout.splitlines() if not line.startswith("#")]


def write(path: Path, *rows: str) -> Path:
    path.write_text("".join("\t".join(row.split("|")) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("rows", "columns", "expected", "said"),
    [
        (
            ["seqnames|start|end|width|strand", "chr1|1001|1350|350|*", "chr1|2001|2300|300|*"],
            (),
            ["1001-1350", "1001-1350", "2001-2300"],
            "counts from 1",
        ),
        (["chr1|1000|1350|EH38D1|EH38E1|pELS", "chr1|2000|2300|EH38D2|EH38E2|dELS"], (), ["pELS", "pELS", "dELS"], ""),
        (
            ["chr1|1000|1350|EH38D1|EH38E1|pELS", "chr1|2000|2300|EH38D2|EH38E2|dELS"],
            ("name=5",),
            ["EH38E1", "EH38E1", "EH38E2"],
            "",
        ),
        (["chr1|1001|1050|x", "chr1|1100|2000|y"], ("X:base=1",), ["x", "y", ""], ""),
        (["chr1|1000|2300|t|0|+|1000|2300|0|2|20,300,|0,1000,"], (), ["t", "", "t"], "BED12; the 2 blocks of its 1 row are"),
        (["chr1|1000|2300|t|0|+|1000|2300|0|2|20,300,|0,1000,"], ("blocks=none",), ["t", "t", "t"], ""),
    ],
)
def test_annotate_reads_each_kind(
    folder: Path, rows: list[str], columns: tuple[str, ...], expected: list[str], said: str
) -> None:
    write(folder / "x.bed", *rows)
    result = run("annotate", "v.vcf", "-a", "X=x.bed", *(word for text in columns for word in ("--columns", text)))
    assert infos(result) == [f"X={text}" if text else "." for text in expected]
    assert said in result.stderr


def test_gff3_is_taken_where_gtf_is(folder: Path) -> None:
    (folder / "a.gff3").write_text(GFF)
    for arguments in (("--gtf", "a.gff3"), ("-a", "genes=a.gff3")):
        result = run("annotate", "v.vcf", *arguments)
        assert infos(result)[1] == "GF_PART=5UTR;GF_GENE=AB;GF_TSS=AB;GF_TSS_DISTANCE=99"
        assert "a.gff3 is GFF3; its genes, transcripts, exons and CDS are read by Parent" in result.stderr
    built = run("data", "build", "set", "-f", "g.fa", "-p", "promoter=a.gff3", "--length", "60", "--negatives", "dinucleotide")
    assert built.exit_code == 0, built.output
    assert built.stderr.count("a.gff3 is GFF3") == 1
    (row,) = [line.split("\t") for line in (folder / "set" / "train.tsv").read_text().splitlines() if "\tpromoter\t" in line]
    assert row[2:6] == ["chr1", "950", "1010", "+"]  # 50 bases before the start site, at 1000, and 10 from it on


def test_columns_of_data_build(folder: Path) -> None:
    write(folder / "p.bed", "x|chr1|1001|1100|no strand")
    refused = run("data", "build", "set", "-f", "g.fa", "-p", "P=p.bed", "--length", "20", "--negatives", "dinucleotide")
    assert refused.exit_code == 2
    taken = run(
        *("data", "build", "set", "-f", "g.fa", "-p", "P=p.bed", "--length", "20", "--negatives", "dinucleotide"),
        *("--columns", "P:chrom=2,start=3,end=4,name=1,strand=none,base=1"),
    )
    assert taken.exit_code == 0, taken.output
    assert "chr1\t1040\t1060\t.\tx" in (folder / "set" / "train.tsv").read_text()  # around the middle of 1000 to 1100


@pytest.mark.parametrize(
    "command",
    [
        ("interpret", "ism", "edge.bed", "-f", "g.fa", "-m", "demo", "--length", "60", "-o", "out", "--figures", "0"),
        ("interpret", "attention", "edge.bed", "-f", "g.fa", "-m", "demo", "-o", "out"),
        ("haplotypes", "v.vcf", "-f", "g.fa", "-m", "mini-tracks", "-b", "edge.bed", "-o", "out.tsv"),
        ("predict", "-f", "g.fa", "-m", "mini-tracks", "-b", "edge.bed", "--plan"),
    ],
)
def test_rows_beyond_a_contig_are_refused_with_their_numbers(folder: Path, command: tuple[str, ...]) -> None:
    write(folder / "edge.bed", "chr1|3010|3100|g")
    result = run(*command)
    assert result.exit_code == 2, result.output
    assert "edge.bed, line 1: chr1:3,010-3,100 lies beyond the end of chr1 of g.fa, which has 3,000 bases" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("annotate", "gs://a/v.vcf", "-a", "X=x.bed"), "gs://a/v.vcf is an address, and only local files and https, http"),
        (("annotate", "v.vcf", "-a", "X=s3://b/x.bed"), "s3://b/x.bed is an address"),
        (("annotate", "v.vcf", "--gtf", "ftp://a.org/x.gtf"), "ftp://a.org/x.gtf is an address"),
        (("annotate", "v.vcf", "-a", "X=x.bed", "-o", "s3://b/o.vcf"), "only local files can be written"),
        (("score", "v.vcf", "-f", "ftp://a.org//g.fa", "-m", "demo", "-o", "o.vcf"), "g.fa is an address"),
        (("score", "v.vcf", "-f", "g.fa", "-m", "https://a.org/m", "-o", "o.vcf"), "https://a.org/m is an address"),
        (("data", "build", "o", "-f", "https://a.org/g.fa", "-p", "P=x.bed"), "https://a.org/g.fa is an address"),
        (("data", "build", "o", "-f", "g.fa", "-p", "P=gs://b/x.bed"), "(gsutil cp gs://b/x.bed .)"),
        (("annotate", "v.vcf", "-a", "K=http://a.org/x.vcf.gz:AF,ID"), "(curl -LO http://a.org/x.vcf.gz)"),
        (("annotate", "v.vcf", "-a", "http://a.org:80/x.tsv.gz:PHRED"), "(curl -LO http://a.org:80/x.tsv.gz)"),
        (("enrich", "https://a.org/x.bed", "-a", "X=x.bed"), "(curl -LO https://a.org/x.bed)"),
        (("interpret", "ism", "s3://b/x.bed", "-f", "g.fa", "-m", "demo", "-o", "out"), "s3://b/x.bed is an address"),
        (("embed", "https://a.org/x.csv", "-m", "demo", "-o", "o.npy"), "https://a.org/x.csv is an address"),
    ],
)
def test_addresses_are_refused_as_they_were_typed(folder: Path, command: tuple[str, ...], said: str) -> None:
    result = run(*command)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.startswith("Error: ")
    assert "Traceback" not in result.output
