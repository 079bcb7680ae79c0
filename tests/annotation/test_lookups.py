"""Look-ups of alleles: against a dictionary of changed sequences, bcftools, and what the test wrote into the files."""

from __future__ import annotations

import csv
import hashlib
import os
import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import genoformer_data
import numpy as np
import pysam
import pytest
from commands import assert_refused, run, run_well
from hypothesis import given, settings
from hypothesis import strategies as st

from genoformer.annotation import read_annotations, source_hash
from genoformer.annotation.run import Summary, annotate_variants
from genoformer.errors import ConfigError, FileFormatError, MissingFileError, OptionError
from genoformer.formats.bigwig import BigWig
from genoformer.formats.bigwig_writer import write_bigwig
from genoformer.formats.vcf import open_vcf
from genoformer.formats.vcf_records import parse_info
from genoformer.genome.reference import Genome
from genoformer.writers import UnfitRecordError

pq = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra: pip install genoformer[parquet]")

HEAD = """\
##fileformat=VCFv4.2
##contig=<ID={contig},length={length}>
##INFO=<ID=N,Number=A,Type=Integer,Description="number of the allele">
##INFO=<ID=R,Number=R,Type=Integer,Description="per allele">
##INFO=<ID=G,Number=G,Type=Integer,Description="per genotype">
##INFO=<ID=ONE,Number=1,Type=Float,Description="one value">
##INFO=<ID=ANY,Number=.,Type=String,Description="any \\"number\\"">
##INFO=<ID=FLAG,Number=0,Type=Flag,Description="a flag">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
"""
ROW = tuple[int, str, str]  # POS, REF, ALT


def write_vcf(path: Path, rows: Sequence[str], contig: str = "chr1", length: int = 1000, head: str = HEAD) -> Path:
    """Write lines of a VCF; with the suffix .gz as bgzip with an index, with .bcf as BCF with an index."""
    text = head.format(contig=contig, length=length) + "".join(f"{row}\n" for row in rows)
    plain = path.with_name(f"{path.name}.txt")
    plain.write_text(text)
    if path.suffix == ".gz":
        pysam.tabix_compress(str(plain), str(path), force=True)
        pysam.tabix_index(str(path), preset="vcf", force=True)
    elif path.suffix == ".bcf":
        with pysam.VariantFile(str(plain)) as source, pysam.VariantFile(str(path), "wb", header=source.header) as out:
            for record in source:
                out.write(record)
        pysam.tabix_index(str(path), preset="bcf", force=True)
    else:
        path.write_text(text)
    return path


def write_fasta(path: Path, sequence: str, contig: str = "chr1") -> Path:
    path.write_text(f">{contig}\n{sequence}\n")
    return path


def annotate(vcf: Path, sources: Sequence[str], out: Path, genome: Path | None = None, columns: Sequence[str] = ()) -> Summary:
    opened = Genome(genome) if genome is not None else None
    return annotate_variants(vcf, read_annotations(sources, columns=columns), out, genome=opened)


def info_texts(path: Path) -> list[str]:
    with open_vcf(path) as file:
        return [record.line.split("\t")[7] for record in file]


def header_of(path: Path) -> list[str]:
    with open_vcf(path) as file:
        return file.header


def infos(path: Path) -> list[dict[str, str]]:
    with open_vcf(path) as file:
        return [parse_info(record) for record in file]


# --- a dictionary of changed sequences


@st.composite
def alleles(draw: st.DrawFn, sequence: str) -> ROW:
    """A change of a sequence, spelled with up to three bases around it."""
    start = draw(st.integers(0, len(sequence) - 1))
    end = draw(st.integers(start, min(start + 4, len(sequence))))
    inserted = draw(st.text("ACG", max_size=4))
    before, behind = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    low, high = max(start - before, 0), min(end + behind, len(sequence))
    ref, alt = sequence[low:high], sequence[low:start] + inserted + sequence[end:high]
    if not ref or not alt:  # VCF has an anchor base
        if low > 0:
            low -= 1
            ref, alt = sequence[low] + ref, sequence[low] + alt
        else:
            ref, alt = ref + sequence[high : high + 1], alt + sequence[high : high + 1]
    return (low + 1, ref or "A", alt or "A")


@st.composite
def worlds(draw: st.DrawFn) -> tuple[str, list[tuple[int, str, list[str]]], list[tuple[int, str, list[str]]]]:
    """A sequence with repeats, and records of two VCFs on it, some with several ALTs."""
    unit = draw(st.text("ACG", min_size=1, max_size=3))
    sequence = draw(st.text("ACG", min_size=1, max_size=4)) + unit * draw(st.integers(1, 6)) + draw(st.text("ACG", max_size=6))
    files = []
    for _ in range(2):
        by_place: dict[tuple[int, str], list[str]] = {}
        for pos, ref, alt in draw(st.lists(alleles(sequence), min_size=1, max_size=12)):
            together = by_place.setdefault((pos, ref), [])
            if ref != alt and alt not in together:
                together.append(alt)
        files.append(sorted((pos, ref, alts) for (pos, ref), alts in by_place.items() if alts))
    return sequence, files[0], files[1]


def changed(sequence: str, pos: int, ref: str, alt: str) -> str:
    assert sequence[pos - 1 : pos - 1 + len(ref)] == ref
    return sequence[: pos - 1] + alt + sequence[pos - 1 + len(ref) :]


@settings(max_examples=150, deadline=None)
@given(worlds(), st.sampled_from((".vcf", ".vcf.gz", ".bcf")))
def test_an_allele_is_found_if_it_gives_the_same_sequence(tmp_path_factory, world, suffix: str) -> None:
    sequence, queries, sources = world
    folder = tmp_path_factory.mktemp("look")
    fasta = write_fasta(folder / "g.fa", sequence)
    numbers: dict[str, set[str]] = {}  # changed sequence -> numbers of its alleles
    rows, n = [], 0
    for pos, ref, alts in sources:
        for i, alt in enumerate(alts):
            numbers.setdefault(changed(sequence, pos, ref, alt), set()).add(str(n + i))
        rows.append(f"chr1\t{pos}\t.\t{ref}\t{','.join(alts)}\t.\t.\tN={','.join(str(n + i) for i in range(len(alts)))}")
        n += len(alts)
    source = write_vcf(folder / f"s{suffix}", rows, length=len(sequence))
    vcf = write_vcf(
        folder / "q.vcf", [f"1\t{pos}\t.\t{ref}\t{','.join(alts)}\t.\t.\t." for pos, ref, alts in queries], "1", len(sequence)
    )
    summary = annotate(vcf, [f"S={source}:N"], folder / "out.vcf", fasta)
    n_found = 0
    for (pos, ref, alts), info in zip(queries, infos(folder / "out.vcf"), strict=True):
        values = info.get("S_N", ",".join("." * len(alts))).split(",")
        for alt, value in zip(alts, values, strict=True):
            expected = numbers.get(changed(sequence, pos, ref, alt), {"."})
            assert value in expected
            n_found += value != "."
    counts = summary.lookups["S"]
    assert (counts.matched, counts.alleles) == (n_found, sum(len(alts) for _, _, alts in queries))
    assert counts.not_matched == counts.alleles - n_found


# --- values


SOURCES = [
    "chr1\t10\trs1;rs2\tA\tC,G\t7\tPASS\tN=1,2;R=90,91,92;G=0,1,2,3,4,5;ONE=0.5;ANY=x,y%2Cz;FLAG",
    "chr1\t20\t.\tA\tT\t.\tq10;s50\tN=3;R=5,6;G=7,8,9;ANY=.",
    "chr1\t20\tagain\tA\tT\t.\tPASS\tN=4",
    "chr1\t30\t.\tC\t<DEL>\t.\tPASS\tN=5",
]


@pytest.mark.parametrize("suffix", [".vcf", ".vcf.gz"])
def test_values_of_each_number_and_type(tmp_path: Path, suffix: str) -> None:
    source = write_vcf(tmp_path / f"s{suffix}", SOURCES)
    rows = [
        "1\t10\t.\tA\tG\t.\t.\t.",
        "1\t10\t.\tA\tT,C,G\t.\t.\tX=1",
        "1\t20\t.\tA\tT\t.\t.\t.",
        "1\t30\t.\tC\t<DEL>,T\t.\t.\t.",
    ]
    vcf = write_vcf(tmp_path / "q.vcf", rows, "1")
    out = tmp_path / "out.vcf"
    summary = annotate(vcf, [f"S={source}:*,ID,QUAL,FILTER"], out)
    assert info_texts(out) == [
        "S_N=2;S_R=90,92;S_G=0,3,5;S_ONE=0.5;S_ANY=x,y%2Cz;S_FLAG=1;S_ID=rs1,rs2;S_QUAL=7;S_FILTER=PASS",
        "X=1;S_N=.,1,2;S_R=90,.,91,92;S_G=0,.,.,1,.,2,3,.,.,5;S_ONE=.,0.5,0.5;S_ANY=.,x&y%2Cz,x&y%2Cz;S_FLAG=.,1,1;"
        "S_ID=.,rs1&rs2,rs1&rs2;S_QUAL=.,7,7;S_FILTER=.,PASS,PASS",
        "S_N=3;S_R=5,6;S_G=7,8,9;S_FLAG=0;S_FILTER=q10,s50",
        ".",
    ]
    counts = summary.lookups["S"]
    assert (counts.alleles, counts.matched, counts.ambiguous, counts.no_sequence) == (7, 4, 1, 1)
    assert "4 of 7 alleles found in" in summary.found[0]
    assert "S: contig 1 of the VCF is chr1 in" in " ".join(summary.notes)
    declared = {line.split(",")[0]: line for line in header_of(out) if line.startswith("##INFO=<ID=S_")}
    for key, number, kind in (("N", "A", "Integer"), ("R", "R", "Integer"), ("G", "G", "Integer"), ("ONE", "A", "Float")):
        assert f"Number={number},Type={kind}" in declared[f"##INFO=<ID=S_{key}"]
    assert f'ANY of the same allele in {source.name}: any \\"number\\"' in declared["##INFO=<ID=S_ANY"]
    with pysam.VariantFile(str(out)) as typed:  # htslib agrees with the header
        first, second, *_ = typed
        assert (first.info["S_N"], first.info["S_R"], second.info["S_ONE"]) == ((2,), (90, 92), (None, 0.5, 0.5))
    annotate(vcf, [f"S={source}:N,ANY"], tmp_path / "out.tsv")
    with (tmp_path / "out.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [(row["alt"], row["S_N"], row["S_ANY"]) for row in rows[:4]] == [
        ("G", "2", "x,y;z"),
        ("T", "", ".,x&y;z,x&y;z"),
        ("C", "1", ".,x&y;z,x&y;z"),
        ("G", "2", ".,x&y;z,x&y;z"),
    ]
    annotate(vcf, [f"S={source}:N,R"], tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet").to_pydict()
    assert table["S_N"] == [2, None, 1, 2, 3, None, None]  # a row per ALT
    assert table["S_R"][:2] == [[90, 92], [90, None, 91, 92]]


def test_without_fields_the_id_or_the_record_is_named(tmp_path: Path) -> None:
    source = write_vcf(tmp_path / "dbsnp.vcf", SOURCES)
    vcf = write_vcf(tmp_path / "q.vcf", ["1\t10\t.\tA\tG\t.\t.\t.", "1\t20\t.\tA\tT\t.\t.\t."], "1")
    annotate(vcf, [str(source)], tmp_path / "out.vcf")
    assert [info["dbsnp"] for info in infos(tmp_path / "out.vcf")] == ["rs1,rs2", "chr1:20:A:T"]


def test_several_files_of_all_kinds_in_one_run(tmp_path: Path) -> None:
    source = write_vcf(tmp_path / "s.vcf.gz", SOURCES)
    table = tmp_path / "cadd.tsv"
    table.write_text(
        "## CADD\n#Chrom\tPos\tRef\tAlt\tRawScore\tPHRED\n1\t10\tA\tC\t0.25\t3.5\n1\t10\tA\tG\t0.5\t12\n1\t20\tA\tT\tNA\t7\n"
    )
    write_bigwig(tmp_path / "phylop.bw", {"chr1": 1000}, [("chr1", [9, 20], [10, 24], [1.5, 2.0])])
    (tmp_path / "e.bed").write_text("chr1\t5\t15\tpeak\n")
    vcf = write_vcf(
        tmp_path / "q.vcf", ["1\t10\t.\tA\tG,C\t.\t.\t.", "1\t20\t.\tA\tT\t.\t.\t.", "1\t20\t.\tACGTAC\tA\t.\t.\t."], "1"
    )
    sources = [f"E={tmp_path}/e.bed", f"S={source}:N", f"CADD={table}", f"PHYLOP={tmp_path}/phylop.bw"]
    summary = annotate(vcf, sources, tmp_path / "out.vcf")
    assert info_texts(tmp_path / "out.vcf") == [
        "E=peak;S_N=2,1;CADD_RawScore=0.5,0.25;CADD_PHRED=12,3.5;PHYLOP=1.5,1.5",
        "S_N=3;CADD_PHRED=7",
        "PHYLOP=2",  # mean of the deleted bases 21-25 that have a value
    ]
    assert summary.overlapping == {"E": 1}
    assert {name: of.matched for name, of in summary.lookups.items()} == {"S": 3, "CADD": 3, "PHYLOP": 3}
    header = header_of(tmp_path / "out.vcf")
    assert sum("##genoformer_annotation=<ID=" in line and "sha256=" in line for line in header) == 4


def test_bigwig_means(tmp_path: Path) -> None:
    runs = [("chr1", [0, 1, 3, 4], [1, 3, 4, 5], [1.0, 2.0, 4.0, 8.0])]
    write_bigwig(tmp_path / "v.bw", {"chr1": 1000}, runs)
    rows = [
        "1\t1\t.\tA\tC\t.\t.\t.",  # 1
        "1\t1\t.\tAC\tA\t.\t.\t.",  # base 2: 2
        "1\t3\t.\tG\tGT\t.\t.\t.",  # between 3 and 4: 2 and 4
        "1\t3\t.\tGTA\tG\t.\t.\t.",  # bases 4 and 5: 4 and 8
        "1\t4\t.\tTAG\tCCC\t.\t.\t.",  # bases 4, 5 and 6, which has none
        "1\t7\t.\tA\tG\t.\t.\t.",
    ]
    vcf = write_vcf(tmp_path / "q.vcf", rows, "1")
    annotate(vcf, [f"V={tmp_path}/v.bw"], tmp_path / "out.vcf")
    assert [info.get("V") for info in infos(tmp_path / "out.vcf")] == ["1", "2", "3", "6", "6", None]


def test_positions_of_a_table_without_alleles(tmp_path: Path) -> None:
    (tmp_path / "c.tsv").write_text("chrom\tposition\tvalue\tclass\nchr1\t5\t0.5\ta\nchr1\t6\tnone\tb\nchr1\t8\t2\ta,b\n")
    rows = ["1\t5\t.\tA\tC\t.\t.\t.", "1\t5\t.\tAC\tA\t.\t.\t.", "1\t8\t.\tA\tAT\t.\t.\t."]
    vcf = write_vcf(tmp_path / "q.vcf", rows, "1")
    annotate(vcf, [f"C={tmp_path}/c.tsv:value,class"], tmp_path / "out.vcf")
    expected = [{"C_value": "0.5", "C_class": "a"}, {"C_value": "none", "C_class": "b"}, {"C_value": "2", "C_class": "a%2Cb"}]
    assert infos(tmp_path / "out.vcf") == expected


def test_values_that_are_no_numbers_are_counted(tmp_path: Path) -> None:
    rows = "".join(f"chr1\t{i}\tA\tC\t{i}\n" for i in range(1, 1_500)) + "chr1\t1600\tA\tC\tbad\n"
    (tmp_path / "t.tsv").write_text("#chrom\tpos\tref\talt\tscore\n" + rows)
    vcf = write_vcf(tmp_path / "q.vcf", ["1\t7\t.\tA\tC\t.\t.\t.", "1\t1600\t.\tA\tC\t.\t.\t."], "1")
    summary = annotate(vcf, [f"T={tmp_path}/t.tsv"], tmp_path / "out.vcf")
    assert infos(tmp_path / "out.vcf") == [{"T_score": "7"}, {".": ""}]
    assert "T: values that are no numbers were left out of the columns score (1)." in summary.notes


def test_one_value_with_a_comma_stays_one(tmp_path: Path) -> None:
    head = HEAD.replace("Number=1,Type=Float", "Number=1,Type=String")
    source = write_vcf(tmp_path / "s.vcf", ["chr1\t10\t.\tA\tC\t.\t.\tONE=a,b%3Bc"], head=head)
    vcf = write_vcf(tmp_path / "q.vcf", ["1\t10\t.\tA\tC\t.\t.\t.", "1\t10\t.\tA\tG,C\t.\t.\t."], "1")
    annotate(vcf, [f"S={source}:ONE"], tmp_path / "out.vcf")
    assert info_texts(tmp_path / "out.vcf") == ["S_ONE=a%2Cb%3Bc", "S_ONE=.,a%2Cb%3Bc"]


def test_values_that_are_not_what_the_header_says(tmp_path: Path) -> None:
    source = write_vcf(tmp_path / "s.vcf", [])
    source.write_bytes(source.read_bytes() + b"chr1\t10\t.\tA\tC\t.\t.\tN=x;ANY=a\xffb\n")
    vcf = write_vcf(tmp_path / "q.vcf", ["1\t10\t.\tA\tC\t.\t.\t."], "1")
    annotate(vcf, [f"S={source}:N,ANY"], tmp_path / "out.vcf")
    assert (tmp_path / "out.vcf").read_bytes().endswith(b"\tS_N=x;S_ANY=a\xffb\n")
    with pytest.raises(UnfitRecordError, match="S_N is 'x', which Parquet cannot hold as Integer"):
        annotate(vcf, [f"S={source}:N"], tmp_path / "out.parquet")


def test_a_table_of_regions_with_alleles_has_elements(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("chrom\tstart\tend\tname\tpos\tref\talt\nchr1\t5\t15\tpeak\t6\tA\tC\n")
    vcf = write_vcf(tmp_path / "q.vcf", ["1\t10\t.\tA\tC\t.\t.\t."], "1")
    annotate(vcf, [f"T={tmp_path}/t.tsv"], tmp_path / "out.vcf")
    assert info_texts(tmp_path / "out.vcf") == ["T=peak"]


def test_columns_without_a_header(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("7\tchr1\t3\tA\tC\n8\tchr1\t4\tA\tC\n")
    vcf = write_vcf(tmp_path / "q.vcf", ["1\t4\t.\tA\tC\t.\t.\t.", "1\t5\t.\tA\tC\t.\t.\t."], "1")
    columns = ["T:chrom=2,pos=3,ref=4,alt=5,base=0"]
    annotate(vcf, [f"T={tmp_path}/t.tsv:1"], tmp_path / "out.vcf", columns=columns)
    assert infos(tmp_path / "out.vcf") == [{"T_column1": "7"}, {"T_column1": "8"}]
    with pytest.raises(OptionError, match="no line of it names the columns"):
        read_annotations(f"T={tmp_path}/t.tsv:1")


def test_a_name_is_given_once(tmp_path: Path) -> None:
    path = write_vcf(tmp_path / "d.vcf", [])
    with pytest.raises(ConfigError, match=r"d.vcf:R: another file has the name D; give NAME=FILE:FIELD,... once"):
        read_annotations([f"D={path}", f"D={path}:R"])
    (tmp_path / "e.bed").write_text("chr1\t5\t15\n")
    with pytest.raises(ConfigError, match="another file has the name D"):
        read_annotations([f"D={path}:R", f"D={tmp_path}/e.bed"])
    assert len(read_annotations([f"D={path}", f"E={path}:R"]).lookups) == 2


def test_a_table_is_separated_by_tabs_and_has_the_fields(tmp_path: Path) -> None:
    text = "chrom,pos,ref,alt,eur\nchr1,6,A,C,0.1\n"
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(FileFormatError, match=r"t.csv has columns separated by commas, expected tabs in a look-up table"):
        read_annotations(f"T={tmp_path}/t.csv:eur")
    (tmp_path / "t.tsv").write_text(text.replace(",", "\t"))
    says = r"a field of T=t.tsv names the column 'nope', but its columns are chrom, pos, ref, alt, eur; give one of them or a"
    with pytest.raises(FileFormatError, match=says):
        read_annotations(f"T={tmp_path}/t.tsv:nope")


def test_an_address_in_python_is_quoted_without_its_fields() -> None:
    for name in ("http://a.org/x.vcf.gz:AF", "http://a.org/x.tsv.gz:AF,ID"):
        with pytest.raises(MissingFileError, match=r"\(curl -LO http://a.org/x\.(vcf|tsv)\.gz\) and give"):
            read_annotations(f"K={name}")


# --- order


def sources_by_place(n: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    places = sorted(rng.sample(range(1, 3_000_000), n))
    return [
        f"chr{c}\t{pos}\t.\tA\tC\t.\t.\tN={i};ANY={'x' * rng.randrange(60)}" for c in (1, 2, 10) for i, pos in enumerate(places)
    ]


MANY = HEAD.replace("##contig", "##contig=<ID=chr2>\n##contig=<ID=chr10>\n##contig", 1)


@pytest.mark.parametrize("suffix", [".vcf.gz", ".bcf"])
@pytest.mark.parametrize("order", ["sorted", "shuffled", "few", "other contigs first"])
def test_an_index_serves_variants_in_any_order(tmp_path: Path, suffix: str, order: str) -> None:
    lines = sources_by_place(12_000)
    source = write_vcf(tmp_path / f"s{suffix}", lines, length=3_000_000, head=MANY)
    rng = random.Random(1)
    chosen = rng.sample(range(len(lines)), 20 if order == "few" else 500)
    chosen = chosen if order == "shuffled" else sorted(chosen)
    if order == "other contigs first":
        chosen.sort(key=lambda i: (-(i // 12_000), i))
    rows = [lines[i].split("\tN=")[0] + "\t." for i in chosen]
    vcf = write_vcf(tmp_path / "q.vcf", rows, length=3_000_000, head=MANY)
    summary = annotate(vcf, [f"S={source}:N"], tmp_path / "out.vcf")
    assert [info["S_N"] for info in infos(tmp_path / "out.vcf")] == [str(i % 12_000) for i in chosen]
    assert summary.lookups["S"].matched == len(chosen)


def test_without_an_index_the_same_order_is_needed(tmp_path: Path) -> None:
    lines = sources_by_place(2_000)
    source = write_vcf(tmp_path / "s.vcf", lines, length=3_000_000, head=MANY)
    rows = [lines[i].rsplit("\t", 1)[0] + "\t." for i in (5, 100, 2_100, 5_900)]
    vcf = write_vcf(tmp_path / "q.vcf", rows, length=3_000_000, head=MANY)
    annotate(vcf, [f"S={source}:N"], tmp_path / "out.vcf")
    assert [info["S_N"] for info in infos(tmp_path / "out.vcf")] == ["5", "100", "100", "1900"]
    write_vcf(tmp_path / "q.vcf", rows[::-1], length=3_000_000, head=MANY)
    with pytest.raises(FileFormatError, match=r"s.vcf has no index, and its records at 1:.* sort the variants"):
        annotate(vcf, [f"S={source}:N"], tmp_path / "out.vcf")


def test_a_contig_that_the_file_lacks_does_not_read_it_to_the_end(tmp_path: Path) -> None:
    source = write_vcf(tmp_path / "s.vcf", [*sources_by_place(100)[:100], "chr10\t5\t.\tA\tC\t.\t.\tN=7"], head=MANY)
    rows = ["chr2\t5\t.\tA\tC\t.\t.\t.", "chrX\t5\t.\tA\tC\t.\t.\t.", "chr10\t5\t.\tA\tC\t.\t.\t."]
    vcf = write_vcf(tmp_path / "q.vcf", [rows[0], rows[2], rows[1]], head=MANY)
    source.write_text(
        source.read_text()
        .replace("##contig=<ID=chr1,length=1000>\n", "")
        .replace("##contig", "##contig=<ID=chr1>\n##contig", 1)
    )
    summary = annotate(vcf, [f"S={source}:N"], tmp_path / "out.vcf")
    assert [info.get("S_N") for info in infos(tmp_path / "out.vcf")] == [None, "7", None]
    assert summary.lookups["S"].no_contig == 1  # chr2 is in the header


def test_an_index_that_is_older_than_its_file_is_reported(tmp_path: Path) -> None:
    source = write_vcf(tmp_path / "s.vcf.gz", SOURCES)
    vcf = write_vcf(tmp_path / "q.vcf", ["1\t10\t.\tA\tG\t.\t.\t."], "1")
    assert "older" not in " ".join(annotate(vcf, [f"S={source}:N"], tmp_path / "out.vcf").notes)
    os.utime(f"{source}.tbi", ns=(0, 0))
    notes = annotate(vcf, [f"S={source}:N"], tmp_path / "out.vcf").notes
    assert "the index s.vcf.gz.tbi is older than s.vcf.gz; if the file has changed since" in " ".join(notes)


@pytest.mark.parametrize("suffix", [".vcf.gz", ".bcf"])
def test_a_damaged_index_is_refused(tmp_path: Path, suffix: str) -> None:
    source = write_vcf(tmp_path / f"s{suffix}", [SOURCES[0]])
    vcf = write_vcf(tmp_path / "q.vcf", ["1\t10\t.\tA\tG\t.\t.\t."], "1")
    index = Path(f"{source}{'.csi' if suffix == '.bcf' else '.tbi'}")
    index.write_bytes(index.read_bytes()[:20])
    with pytest.raises(FileFormatError, match=r"index .*damaged|damaged; make it again"):
        annotate(vcf, [f"S={source}:N"], tmp_path / "out.vcf")


def test_an_unsorted_source_is_refused(tmp_path: Path) -> None:
    source = write_vcf(tmp_path / "s.vcf", SOURCES[::-1])
    vcf = write_vcf(tmp_path / "q.vcf", ["1\t10\t.\tA\tG\t.\t.\t."], "1")
    with pytest.raises(FileFormatError, match=r"s.vcf, chr1:20: the lines are not sorted"):
        annotate(vcf, [f"S={source}:N"], tmp_path / "out.vcf")
    assert not (tmp_path / "out.vcf").exists()


# --- wrong input


def test_wrong_files_and_fields(tmp_path: Path) -> None:
    source = write_vcf(tmp_path / "s.vcf", SOURCES)
    write_bigwig(tmp_path / "v.bw", {"chr1": 1000}, [("chr1", [9], [10], [1.5])])
    vcf = write_vcf(tmp_path / "q.vcf", ["1\t10\t.\tA\tG\t.\t.\t."], "1")
    with pytest.raises(ConfigError, match="has no INFO key 'AF'; name some of N, R, G, ONE, ANY, FLAG, ID, QUAL or FILTER"):
        read_annotations(f"S={source}:AF")
    with pytest.raises(ConfigError, match="is a bigWig, which has one value per base and no fields"):
        read_annotations(f"V={tmp_path}/v.bw:x")
    with pytest.raises(MissingFileError, match="does not exist or is no file"):
        read_annotations(f"S={tmp_path}/none.vcf.gz")
    with pytest.raises(ConfigError, match="another has the key S_N"):
        read_annotations([f"S={source}:N", f"S={source}:N"])
    with pytest.raises(ConfigError, match="cannot be a key of INFO"):
        read_annotations(f"AF={source}:N")
    (tmp_path / "t.tsv").write_text("chrom\tpos\tref\talt\tx\nchr1\tten\tA\tC\t1\n")
    with pytest.raises(FileFormatError, match=r"the line .*ten.* is not readable"):
        annotate(vcf, [f"T={tmp_path}/t.tsv"], tmp_path / "out.vcf")
    (tmp_path / "e.bed").write_text("chr1\t5\t15\tpeak\n")
    with pytest.raises(OptionError, match="holds regions, which have no ref"):
        read_annotations(f"E={tmp_path}/e.bed", columns=["E:end=3,ref=4"])


def test_ref_that_the_genome_does_not_have_is_compared_as_it_is(tmp_path: Path) -> None:
    fasta = write_fasta(tmp_path / "g.fa", "GCACACACATTT")
    source = write_vcf(tmp_path / "s.vcf", ["chr1\t1\t.\tGCA\tG\t.\t.\tN=1", "chr1\t4\t.\tGGA\tGA\t.\t.\tN=2"], length=12)
    rows = ["chr1\t7\t.\tACA\tA\t.\t.\t.", "chr1\t4\t.\tGGA\tGA\t.\t.\t."]
    vcf = write_vcf(tmp_path / "q.vcf", rows, length=12)
    summary = annotate(vcf, [f"S={source}:N"], tmp_path / "out.vcf", fasta)
    assert [info.get("S_N") for info in infos(tmp_path / "out.vcf")] == ["1", "2"]
    assert summary.lookups["S"].not_aligned == 1
    summary = annotate(vcf, [f"S={source}:N"], tmp_path / "out.vcf")  # without a genome
    assert [info.get("S_N") for info in infos(tmp_path / "out.vcf")] == [None, "2"]
    assert "2 insertions and deletions without a FASTA were compared without shifting them" in " ".join(summary.notes)


# --- bcftools on real records

needs_bcftools = pytest.mark.skipif(shutil.which("bcftools") is None, reason="bcftools is not installed")
KEYS = ("AC", "AN", "AF", "EAS_AF", "VT", "NS")


def bcftools(*arguments: object) -> None:
    subprocess.run(["bcftools", *map(str, arguments)], check=True, capture_output=True)


@needs_bcftools
def test_all_records_of_1000_genomes_equal_bcftools(tmp_path: Path, real_data: Path) -> None:
    """96,711 records: two thirds as they are and one third with another ALT get the values that bcftools gives them."""
    source, vcf = tmp_path / "s.vcf.gz", tmp_path / "q.vcf"
    original = real_data / "hg38" / "1000G.chr21-22.sites.vcf.gz"
    bcftools("norm", "-m-", original, "-Oz", "-o", source)
    bcftools("index", "-t", source)
    with open_vcf(original) as file:
        lines = [record.line.split("\t")[:7] for record in file]
    for i in range(0, len(lines), 3):
        lines[i][4] = lines[i][3] + "ACGTACGTAC"  # insertions that the file does not have
    head = [line for line in header_of(original) if not line.startswith("##INFO")]
    vcf.write_text("\n".join(head) + "\n" + "".join("\t".join([*line, "."]) + "\n" for line in lines))
    bcftools("view", vcf, "-Oz", "-o", tmp_path / "q.vcf.gz")
    bcftools("index", "-t", tmp_path / "q.vcf.gz")
    bcftools(
        "annotate", "-a", source, "-c", ",".join(f"INFO/{key}" for key in KEYS), f"{vcf}.gz", "-o", tmp_path / "theirs.vcf"
    )
    summary = annotate(vcf, [f"K={original}:{','.join(KEYS)}"], tmp_path / "ours.vcf")  # plain gzip, a stream
    theirs, ours = by_record(tmp_path / "theirs.vcf"), by_record(tmp_path / "ours.vcf", "K_")
    assert len(ours) == 96_711
    assert ours == theirs
    assert summary.lookups["K"].matched == sum("AC=" in info for _, info in theirs) > 60_000
    annotate(vcf, [f"K={source}:{','.join(KEYS)}"], tmp_path / "indexed.vcf")
    assert by_record(tmp_path / "indexed.vcf", "K_") == ours


def by_record(path: Path, prefix: str = "") -> list[tuple[tuple[str, ...], str]]:
    """Return the first five columns and INFO of each record, sorted: bcftools reorders records of one position."""
    with open_vcf(path) as file:
        lines = [record.line.split("\t") for record in file]
    return sorted((tuple(line[:5]), line[7].replace(prefix, "")) for line in lines)


@needs_bcftools
def test_records_in_other_spellings_equal_bcftools_norm_and_annotate(tmp_path: Path, real_data: Path) -> None:
    """28,998 records of chr20, joined to multi-allelic ones and moved to the right in their repeats."""
    original = real_data / "hg19" / "1000G.chr20_1000001-2000000.vcf.gz"
    fasta = real_data / "hg19" / "hg19.sparse.fa.gz"
    genome = Genome(fasta)
    rng = random.Random(0)
    moved = []
    with open_vcf(original) as file:
        for record in file:
            ref, alt, pos = record.ref, record.alts[0], record.pos
            if len(record.alts) == 1 and len(ref) != len(alt) and min(len(ref), len(alt)) == 1 and alt[0] != "<":
                while rng.random() < 0.8:
                    behind = genome.extract(_Place("chr20", pos - 1 + len(ref), pos + len(ref)))
                    ref, alt = ref + behind, alt + behind
                    if ref[0] == alt[0]:
                        ref, alt, pos = ref[1:], alt[1:], pos + 1
                    if min(len(ref), len(alt)) == 0 or ref[0] != alt[0]:
                        ref, alt, pos = record.ref, record.alts[0], record.pos
                        break
            moved.append((pos, record.id, ref, ",".join((alt, *record.alts[1:]))))
    moved.sort()
    lines = [f"chr20\t{pos}\t{name}\t{ref}\t{alt}\t.\t.\t.\n" for pos, name, ref, alt in moved if "<" not in alt]
    vcf = tmp_path / "q.vcf"
    vcf.write_text(
        "##fileformat=VCFv4.2\n##contig=<ID=chr20,length=63025520>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        + "".join(lines)
    )
    renamed, split, plain = tmp_path / "renamed.vcf.gz", tmp_path / "s.vcf.gz", tmp_path / "plain.vcf.gz"
    (tmp_path / "names.txt").write_text("20 chr20\n")
    bcftools("annotate", "--rename-chrs", tmp_path / "names.txt", original, "-Oz", "-o", renamed)
    bcftools("norm", "-m-", "-f", fasta, renamed, "-Oz", "-o", split)
    bcftools("norm", "-m-", "-f", fasta, vcf, "-Oz", "-o", plain)
    for path in (split, plain):
        bcftools("index", "-t", path)
    bcftools("annotate", "-a", split, "-c", "INFO/AC,INFO/AF", plain, "-o", tmp_path / "theirs.vcf")
    joined = tmp_path / "joined.vcf"
    bcftools("norm", "-m+any", vcf, "-o", joined)
    summary = annotate(joined, [f"K={original}:AC,AF"], tmp_path / "ours.vcf", fasta)
    theirs: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    with open_vcf(tmp_path / "theirs.vcf") as file:
        for record in file:
            theirs.setdefault((str(record.pos), record.ref, record.alts[0]), []).append(parse_info(record))
    bcftools("norm", "-m-", "-f", fasta, tmp_path / "ours.vcf", "-o", tmp_path / "ours.split.vcf")
    n = 0
    with open_vcf(tmp_path / "ours.split.vcf") as file:
        for record in file:
            mine = {key.removeprefix("K_"): value for key, value in parse_info(record).items() if value != "."}
            assert mine in [
                {key: value for key, value in of.items() if value != "."}
                for of in theirs[str(record.pos), record.ref, record.alts[0]]
            ]
            n += "AC" in mine
    assert n == summary.lookups["K"].matched > 28_900


class _Place:
    """Interval of `Genome.extract`."""

    def __init__(self, chrom: str, start: int, end: int) -> None:
        self.chrom, self.start, self.end = chrom, start, end

    def width(self) -> int:
        return self.end - self.start


# --- score, and where the values come from


def test_score_adds_the_values_that_annotate_adds(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="models need torch")
    demo = Path(genoformer_data.__file__).parent / "demo"
    vcf, fasta = demo / "variants.vcf.gz", demo / "genome.fa.gz"
    source = f"V={vcf}:AF,TRUTH,ELEMENT"
    out = tmp_path / "scored.vcf"
    words = ["-f", fasta, "-m", "demo", "-a", source, "-r", "chrS1:1-40,000", "--workers", 1, "--part-size", 7]
    result = run_well("score", vcf, *words, "-o", out)
    assert "alleles found in variants.vcf.gz" in result.stderr
    run_well("annotate", vcf, "-f", fasta, "-a", source, "-o", tmp_path / "known.vcf")
    with open_vcf(tmp_path / "known.vcf") as file:
        known = {record.line.split("\t")[:5][1]: parse_info(record) for record in file if record.chrom == "chrS1"}
    with open_vcf(out) as file:
        records = list(file)
    assert len(records) > 20
    for record in records:
        info = parse_info(record)
        assert info["V_AF"] == info["AF"]
        for key in ("V_AF", "V_TRUTH", "V_ELEMENT"):
            assert info[key] == known[str(record.pos)][key]
    assert any("GF_LLR" in parse_info(record) for record in records)


def test_several_processes_give_the_same_file(tmp_path: Path) -> None:
    """Elements come from the processes, look-ups from the one that writes; the VCF has several blocks."""
    lines = [f"chr1\t{pos}\t.\tA\tC\t.\t.\tN={pos}" for pos in range(10, 900_000, 18)]
    source = write_vcf(tmp_path / "s.vcf.gz", lines, length=1_000_000)
    vcf = write_vcf(tmp_path / "q.vcf", [line.rsplit("\t", 1)[0] + "\tONE=1" for line in lines], length=1_000_000)
    (tmp_path / "e.bed").write_text("chr1\t5\t15\tpeak\nchr1\t800000\t900000\tlast\n")
    assert vcf.stat().st_size > 1 << 20
    words = ["annotate", vcf, "-a", f"S={source}:N", "-a", f"E={tmp_path}/e.bed"]
    run_well(*words, "-o", tmp_path / "one.vcf")
    result = run_well(*words, "--workers", 2, "-o", tmp_path / "two.vcf")
    assert "49,999 of 49,999 alleles found" in result.stderr or "50,000 of 50,000 alleles found" in result.stderr
    assert (tmp_path / "one.vcf").read_bytes() == (tmp_path / "two.vcf").read_bytes()


def test_scores_of_another_run_are_a_source(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="models need torch")
    demo = Path(genoformer_data.__file__).parent / "demo"
    vcf, fasta = demo / "variants.vcf.gz", demo / "genome.fa.gz"
    words = ["-f", fasta, "-m", "demo", "-r", "chrS1:1-20,000", "--workers", 1]
    run_well("score", vcf, *words, "-o", tmp_path / "one.vcf.gz")
    run_well(
        "annotate",
        tmp_path / "one.vcf.gz",
        "-f",
        fasta,
        "-a",
        f"OTHER={tmp_path / 'one.vcf.gz'}:GF_LLR",
        "-o",
        tmp_path / "two.vcf",
    )
    pairs = [(info.get("GF_LLR"), info.get("OTHER_GF_LLR")) for info in infos(tmp_path / "two.vcf")]
    assert sum(one is not None for one, _ in pairs) > 10
    for one, other in pairs:
        assert one == other or set(str(one)) <= set(".,")


def test_the_hash_of_a_large_file_is_kept_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENOFORMER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(source_hash, "_WORTH_KEEPING", 10)
    path = tmp_path / "big.vcf.gz"
    path.write_bytes(b"x" * 100)
    first = hashlib.sha256(b"x" * 100).hexdigest()
    assert source_hash.identifying_hash(path) == ("sha256", first)
    monkeypatch.setattr(source_hash, "sha256_of", lambda path: "read again")
    assert source_hash.identifying_hash(path) == ("sha256", first)
    os.utime(path, ns=(0, 0))
    assert source_hash.identifying_hash(path) == ("sha256", "read again")
    monkeypatch.setattr(source_hash, "MOST_HASHED", 50)
    assert source_hash.identifying_hash(path)[0] == "sha256"  # without an index
    assert source_hash.identifying_hash(path, tmp_path / "big.vcf.gz.tbi") == ("index_sha256", "read again")
    (kept, *_) = (tmp_path / "cache" / "sha256").iterdir()
    kept.write_text("damaged")
    assert source_hash.identifying_hash(path) == ("sha256", "read again")


def test_the_header_names_the_hash_of_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_vcf(tmp_path / "s.vcf.gz", SOURCES)
    monkeypatch.setattr(source_hash, "MOST_HASHED", 10)
    vcf = write_vcf(tmp_path / "q.vcf", ["1\t10\t.\tA\tG\t.\t.\t."], "1")
    annotate(vcf, [f"S={source}:N"], tmp_path / "out.vcf")
    digest = hashlib.sha256(Path(f"{source}.tbi").read_bytes()).hexdigest()
    assert f'##genoformer_annotation=<ID=S,Keys="S_N",File="s.vcf.gz",index_sha256="{digest}">' in header_of(
        tmp_path / "out.vcf"
    )
    annotate(tmp_path / "out.vcf", [f"S={source}:N"], tmp_path / "again.vcf")  # values of the earlier run are replaced
    assert info_texts(tmp_path / "again.vcf") == ["S_N=2"]
    assert sum("##INFO=<ID=S_N" in line for line in header_of(tmp_path / "again.vcf")) == 1


# Symbolic alleles: the end, or of an insertion the length, tells which are equal

STRUCTURAL = """\
##fileformat=VCFv4.2
##contig=<ID={contig},length={length}>
##INFO=<ID=END,Number=1,Type=Integer,Description="end">
##INFO=<ID=SVLEN,Number=A,Type=Integer,Description="length">
##INFO=<ID=SVTYPE,Number=1,Type=String,Description="type">
##INFO=<ID=N,Number=A,Type=Integer,Description="number of the allele">
##INFO=<ID=G,Number=1,Type=Integer,Description="of the record">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
"""
KNOWN = [
    "chr1\t10\tdel\tA\t<DEL>\t.\t.\tSVTYPE=DEL;END=30;N=1",
    "chr1\t10\tdel2\tA\t<DEL>\t.\t.\tSVTYPE=DEL;END=31;N=2",
    "chr1\t10\tdup\tA\t<DUP:TANDEM>\t.\t.\tEND=30;N=3",
    "chr1\t10\tsnv\tA\tC\t.\t.\tN=4",
    "chr1\t40\tins\tA\t<INS>\t.\t.\tEND=40;SVLEN=50;N=5",
    "chr1\t40\talu\tA\t<INS:ME:ALU>\t.\t.\tEND=40;SVLEN=50;N=6",
    "chr1\t60\tboth\tA\t<DEL>,<INV>\t.\t.\tSVLEN=-5,9;N=7,8",
    "chr1\t90\tno_end\tA\t<DEL>\t.\t.\tN=9",
]


@pytest.mark.parametrize(
    ("alt", "info", "number"),
    [
        ("10\t<DEL>", "END=30", "1"),
        ("10\t<del>", "SVLEN=-20", "1"),  # the same end
        ("10\t<DEL>", "SVLEN=20;END=30", "1"),
        ("10\t<DEL>", "END=31", "2"),
        ("10\t<DEL>", "END=32", None),
        ("10\t<DUP>", "END=30", "3"),
        ("10\t<INV>", "END=30", None),
        ("10\t<DEL:ME>", "END=30", None),
        ("11\t<DEL>", "END=30", None),
        ("40\t<INS>", "SVLEN=50", "5"),
        ("40\t<INS>", "SVLEN=51", None),
        ("40\t<INS:ME:ALU>", "END=40;SVLEN=50", "6"),
        ("60\t<INV>", "END=69", "8"),
        ("60\t<INV>,<DEL>", "SVLEN=9,5", "8,7"),
        ("10\tC,<DEL>", "SVLEN=.,20", "4,1"),
    ],
)
@pytest.mark.parametrize("name", ["s.vcf", "s.vcf.gz", "s.bcf"])
def test_symbolic_alleles_match_by_position_end_and_type(
    tmp_path: Path, alt: str, info: str, number: str | None, name: str
) -> None:
    source = write_vcf(tmp_path / name, KNOWN, head=STRUCTURAL)
    query = write_vcf(
        tmp_path / "q.vcf",
        [f"chr1\t{alt.replace(chr(9), chr(9) + '.' + chr(9) + 'A' + chr(9))}\t.\t.\t{info}"],
        head=STRUCTURAL,
    )
    summary = annotate(query, [f"S={source}:N"], tmp_path / "out.vcf")
    assert [found.get("S_N") for found in infos(tmp_path / "out.vcf")] == [number]
    counts = summary.lookups["S"]
    assert (counts.matched, counts.no_sequence) == (len(number.split(",")) if number else 0, 0)


def test_symbolic_alleles_without_an_end_are_counted(tmp_path: Path) -> None:
    """As are those in a table or a bigWig, which know no symbols."""
    rows = ["chr1\t90\t.\tA\t<DEL>\t.\t.\t.", "chr1\t91\t.\tA\t<INS>\t.\t.\tEND=91", "chr1\t92\t.\tA\t<*>,*\t.\t.\tEND=99"]
    rows += ["chr1\t93\t.\tA\tA]chr2:5]\t.\t.\tSVTYPE=BND", "chr1\t95\t.\tA\t<DEL>\t.\t.\tEND=99", "chr1\t96\t.\tA\tC\t.\t.\t."]
    query, source = write_vcf(tmp_path / "q.vcf", rows, head=STRUCTURAL), write_vcf(tmp_path / "s.vcf", KNOWN, head=STRUCTURAL)
    (tmp_path / "t.tsv").write_text("chrom\tpos\tref\talt\tx\nchr1\t96\tA\tC\t5\n")
    write_bigwig(tmp_path / "v.bw", {"chr1": 1000}, [("chr1", np.arange(80, 120), np.arange(81, 121), np.ones(40))])
    sources = [f"S={source}:N", f"T={tmp_path}/t.tsv:x", f"W={tmp_path}/v.bw"]
    found = annotate(query, sources, tmp_path / "out.vcf").lookups
    assert {name: (of.alleles, of.matched, of.no_sequence) for name, of in found.items()} == {
        "S": (7, 0, 5),
        "T": (7, 1, 6),
        "W": (7, 1, 6),
    }


def test_score_looks_up_symbolic_alleles(tmp_path: Path, tiny_model_folder: Path) -> None:
    source = write_vcf(tmp_path / "s.vcf.gz", KNOWN, head=STRUCTURAL)
    rows = [row.replace(";N=", ";G=").replace("\tN=", "\tG=").replace("7,8", "7") for row in KNOWN]
    query = write_vcf(tmp_path / "q.vcf", rows, head=STRUCTURAL)
    genome = write_fasta(tmp_path / "g.fa", "A" * 1000)
    words = ["-f", genome, "-m", tiny_model_folder, "-s", "LLR", "-a", f"S={source}:N,ID"]
    run_well("score", query, *words, "-o", tmp_path / "out.vcf")
    assert [found.get("S_N") for found in infos(tmp_path / "out.vcf")] == ["1", "2", "3", "4", "5", "6", "7,8", None]


def test_enrichment_does_not_take_look_ups(tmp_path: Path) -> None:
    source = write_vcf(tmp_path / "s.vcf", SOURCES)
    result = run("enrich", source, "-a", f"S={source}:N")
    assert_refused(result, "S is looked up by allele or position and has no intervals; give it to annotate or score.")


def test_messages_of_the_command(tmp_path: Path) -> None:
    source = write_vcf(tmp_path / "s.vcf", SOURCES)
    (tmp_path / "t.tsv").write_text("7\tchr1\t3\tA\tC\n")
    assert_refused(run("annotate", source, "-a", f"S={source}:AF"), "has no INFO key 'AF'")
    assert_refused(
        run("annotate", source, "-a", f"T={tmp_path}/t.tsv:1"), "--columns is needed for", "chrom=1,pos=2,ref=3,alt=4"
    )
    assert_refused(run("annotate", source, "-a", f"T={tmp_path}/none.vcf.gz:AF"), "none.vcf.gz does not exist")
    result = run_well("annotate", source, "-a", f"S={source}:N,ID", "-o", tmp_path / "out.vcf")
    assert "S: 4 of 5 alleles found in s.vcf, 0 not found; 2 ambiguous" in result.stderr
    assert "1 without a sequence or an end (symbolic, breakend, *)" in result.stderr


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_bigwig_means_are_those_of_its_values(tmp_path_factory, seed: int) -> None:
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("bw")
    values = np.where(rng.random(300) < 0.6, rng.normal(size=300), np.nan).astype(np.float32)
    at = np.flatnonzero(~np.isnan(values))
    write_bigwig(folder / "v.bw", {"c": 300}, [("c", at, at + 1, values[at])] if len(at) else [])
    starts = rng.integers(0, 299, 40)
    ends = np.minimum(starts + rng.integers(1, 9, 40), 300)
    means = BigWig(folder / "v.bw").means("c", starts, ends)
    for mean, i, j in zip(means, starts, ends, strict=True):
        known = values[i:j][~np.isnan(values[i:j])].astype(np.float64)
        assert np.isnan(mean) if not len(known) else mean == pytest.approx(known.mean(), rel=1e-6)
