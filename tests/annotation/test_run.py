"""VCF in, annotated VCF, TSV and Parquet out: against a loop over all pairs, bedtools, and what the input held."""

from __future__ import annotations

import csv
import gzip
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import numpy as np
import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoformer import annotation
from genoformer.annotation.elements import Elements, read_elements
from genoformer.annotation.figures import write_breakdown
from genoformer.annotation.overlap import Annotations
from genoformer.annotation.run import annotate_variants
from genoformer.errors import ConfigError, ContigError, FileFormatError
from genoformer.formats.vcf import open_vcf
from genoformer.formats.vcf_blocks import iter_blocks

pq = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra: pip install genoformer[parquet]")

HEAD = """\
##fileformat=VCFv4.2
##contig=<ID=1,length=1000>
##INFO=<ID=AF,Number=A,Type=Float,Description="frequency">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
"""
RECORDS = """\
1\t101\ta\tA\tC\t.\t.\tAF=0.3
1\t150\tb\tAC\tA\t.\t.\t.
1\t151\tc\tA\tC,G\t.\t.\tAF=0.001,0.002
1\t299\td\tACG\tA\t.\tPASS\tAF=0.01;DB
2\t5\te\tA\tC\t.\t.\tAF=0.9
"""
PEAKS = "chr1\t100\t150\tp1\t900\t.\t7.5\t-1\t3.2\t30\nchr1\t145\t300\tp 2\t800\t.\t6.5\t-1\t3.1\t-1\n"
STATES = "chr1\t0\t120\tR\nchr1\t120\t300\tE\nchr1\t300\t1000\tTSS\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, list[str]]:
    vcf = tmp_path / "in.vcf"
    vcf.write_text(HEAD + RECORDS)
    (tmp_path / "p.narrowPeak").write_text(PEAKS)
    (tmp_path / "s.bed").write_text(STATES)
    return vcf, [f"P={tmp_path / 'p.narrowPeak'}", f"S={tmp_path / 's.bed'}"]


INFO = [
    "AF=0.3;P=p1;P_SCORE=900;P_SIGNAL=7.5;P_SUMMIT=-30;S=R",
    "P=p1,p%202;P_SCORE=900,800;P_SIGNAL=7.5,6.5;P_SUMMIT=19,.;S=E",
    "AF=0.001,0.002;P=p%202;P_SCORE=800;P_SIGNAL=6.5;P_SUMMIT=.;S=E",
    "AF=0.01;DB;P=p%202;P_SCORE=800;P_SIGNAL=6.5;P_SUMMIT=.;S=E,TSS",  # REF covers the border of two states
    "AF=0.9",
]


@pytest.mark.parametrize("suffix", [".vcf", ".vcf.gz"])
def test_vcf(files: tuple[Path, list[str]], tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out{suffix}"
    found = annotate_variants(files[0], annotation.read_annotations(files[1]), out)
    assert found.records == 5
    assert found.overlapping == {"P": 4, "S": 4}
    with open_vcf(out) as file:
        records = list(file)
    assert [record.line.split("\t")[7] for record in records] == INFO
    kept = [line.split("\t")[:7] for line in RECORDS.splitlines()]
    assert [record.line.split("\t")[:7] for record in records] == kept
    with pysam.VariantFile(str(out)) as typed:  # htslib agrees with the header
        first, second, *_ = typed
        assert (first.info["P"], first.info["P_SCORE"], first.info["P_SUMMIT"]) == (("p1",), (900.0,), (-30,))
        assert second.info["P_SUMMIT"] == (19, None)
    assert (tmp_path / "out.vcf.gz.tbi").exists() == (suffix == ".vcf.gz")


def test_tables_say_the_same(files: tuple[Path, list[str]], tmp_path: Path) -> None:
    annotations = annotation.read_annotations(files[1])
    annotate_variants(files[0], annotations, tmp_path / "out.tsv")
    rows = list(csv.DictReader((tmp_path / "out.tsv").read_text().splitlines(), delimiter="\t"))
    assert [row["id"] for row in rows] == ["a", "b", "c", "c", "d", "e"]  # one row an ALT
    assert [row["P"] for row in rows] == ["p1", "p1,p 2", "p 2", "p 2", "p 2", ""]
    assert [row["S"] for row in rows] == ["R", "E", "E", "E", "E,TSS", ""]
    assert "status" not in rows[0]
    annotate_variants(files[0], annotations, tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet").to_pydict()
    assert table["P"] == [["p1"], ["p1", "p 2"], ["p 2"], ["p 2"], ["p 2"], None]
    assert table["P_SCORE"] == [[900.0], [900.0, 800.0], [800.0], [800.0], [800.0], None]
    assert table["P_SUMMIT"] == [[-30], [19, None], [None], [None], [None], None]


def test_annotated_again_the_values_are_replaced(files: tuple[Path, list[str]], tmp_path: Path) -> None:
    once, twice, both = tmp_path / "1.vcf", tmp_path / "2.vcf", tmp_path / "3.vcf"
    annotate_variants(files[0], annotation.read_annotations(files[1]), once)
    annotate_variants(once, annotation.read_annotations(files[1]), twice)
    assert sorted(twice.read_text().splitlines()) == sorted(once.read_text().splitlines())
    (tmp_path / "p.narrowPeak").write_text("chr1\t100\t110\tq\t1\t.\t1\t-1\t1\t3\nchr1\t500\t510\tr\t2\t.\t2\t-1\t1\t3\n")
    annotate_variants(once, annotation.read_annotations(files[1][:1]), both)
    lines = [line for line in both.read_text().splitlines() if not line.startswith("#")]
    assert lines[0].split("\t")[7] == "AF=0.3;S=R;P=q;P_SCORE=1;P_SIGNAL=1;P_SUMMIT=-3"
    assert lines[1].split("\t")[7] == "S=E"
    head = [line for line in both.read_text().splitlines() if line.startswith("##")]
    assert sum(line.startswith("##INFO=<ID=P,") for line in head) == 1
    assert sum("genoformer_annotation=<ID=S" in line for line in head) == 1


def test_a_key_that_something_else_wrote_is_not_replaced(files: tuple[Path, list[str]], tmp_path: Path) -> None:
    taken = '##INFO=<ID=S,Number=1,Type=String,Description="x">\n'
    files[0].write_text(files[0].read_text().replace("##INFO=<ID=AF", f"{taken}##INFO=<ID=AF"))
    with pytest.raises(ConfigError, match="INFO of the VCF already has the key S"):
        annotate_variants(files[0], annotation.read_annotations(files[1]), tmp_path / "out.vcf")
    assert not list(tmp_path.glob("*out.vcf*"))


def test_a_key_that_the_header_does_not_declare(files: tuple[Path, list[str]], tmp_path: Path) -> None:
    files[0].write_text(HEAD + RECORDS.replace("AF=0.3", "S=mine"))
    with pytest.raises(ConfigError, match="INFO of the VCF already has the key S"):
        annotate_variants(files[0], annotation.read_annotations(files[1]), tmp_path / "out.vcf")
    assert not list(tmp_path.glob("*out.vcf*"))


@pytest.mark.parametrize("suffix", [".tsv", ".parquet"])
def test_a_sample_of_the_same_name(files: tuple[Path, list[str]], tmp_path: Path, suffix: str) -> None:
    head = HEAD.replace("INFO\n", "INFO\tFORMAT\tS\n")
    files[0].write_text(head + "1\t5\t.\tA\tC\t.\t.\t.\tGT\t0|1\n")
    with pytest.raises(ConfigError, match="the table already has a column S"):
        annotate_variants(files[0], annotation.read_annotations(files[1]), tmp_path / f"out{suffix}")
    assert not list(tmp_path.glob("*out*"))


def test_the_input_is_not_replaced(files: tuple[Path, list[str]]) -> None:
    before = files[0].read_bytes()
    with pytest.raises(ConfigError, match="is the input"):
        annotate_variants(files[0], annotation.read_annotations(files[1]), files[0])
    assert files[0].read_bytes() == before


def test_short_rows_have_no_score(files: tuple[Path, list[str]], tmp_path: Path) -> None:
    (tmp_path / "r.bed").write_text("chr1\t90\t110\ta\t5\nchr1\t95\t105\nchr1\t99\t102\tc\n")
    annotations = annotation.read_annotations([f"R={tmp_path / 'r.bed'}"])
    annotate_variants(files[0], annotations, tmp_path / "out.vcf")
    assert "R=a,96-105,c;R_SCORE=5,.,." in (tmp_path / "out.vcf").read_text()
    annotate_variants(files[0], annotations, tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").to_pydict()["R_SCORE"][0] == [5.0, None, None]


def test_many_contigs(tmp_path: Path) -> None:
    """Draft assemblies have thousands; the work for each does not grow with their number."""
    names = [f"scaffold_{i}" for i in range(5_000)]
    (tmp_path / "a.bed").write_text("".join(f"{name}\t5\t10\tx{i}\n" for i, name in enumerate(names)))
    vcf = tmp_path / "in.vcf"
    vcf.write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n" + "".join(f"{name}\t7\t.\tA\tC\n" for name in names))
    found = annotate_variants(vcf, annotation.read_annotations([f"A={tmp_path / 'a.bed'}"]), tmp_path / "out.vcf")
    assert found.overlapping == {"A": 5_000}


def test_no_contig_in_common_is_refused(files: tuple[Path, list[str]], tmp_path: Path) -> None:
    (tmp_path / "p.narrowPeak").write_text(PEAKS.replace("chr1", "chrX"))
    for text in (HEAD, HEAD.replace("##contig=<ID=1,length=1000>\n", "")):  # said by the header, or by the records
        files[0].write_text(text + RECORDS)
        with pytest.raises(ContigError, match=r"no annotation has a contig of .*\(1.*but they have chrX"):
            annotate_variants(files[0], annotation.read_annotations(files[1][:1]), tmp_path / "out.vcf")
        assert not list(tmp_path.glob("*out.vcf*"))


def test_a_vcf_of_one_chromosome_that_a_file_lacks(files: tuple[Path, list[str]], tmp_path: Path) -> None:
    """As where a pipeline splits a VCF: the header says that both are of one genome, so it is no mistake."""
    files[0].write_text(HEAD + "2\t5\te\tA\tC\t.\t.\tAF=0.9\n")
    found = annotate_variants(files[0], annotation.read_annotations(files[1]), tmp_path / "out.vcf")
    assert found.overlapping == {"P": 0, "S": 0}
    assert any("no record has a value from it" in note for note in found.notes)


def test_an_input_that_is_not_there_and_an_output_that_is(files: tuple[Path, list[str]], tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="does not exist"):
        annotate_variants(tmp_path / "nowhere.vcf", annotation.read_annotations(files[1]), files[0])


def test_what_is_said_of_contigs(files: tuple[Path, list[str]], tmp_path: Path) -> None:
    (tmp_path / "far.bed").write_text("# x\nchr1\t5\t10\nchr1\t900\t1001\nchr1\t990\t2000\n")
    (tmp_path / "other.bed").write_text("chr7\t5\t10\n")
    given = [*files[1], f"FAR={tmp_path / 'far.bed'}", f"OTHER={tmp_path / 'other.bed'}"]
    notes = "\n".join(annotate_variants(files[0], annotation.read_annotations(given), tmp_path / "out.vcf").notes)
    assert "in.vcf contig 1 is chr1 in p.narrowPeak, s.bed, far.bed" in notes
    assert "FAR: 2 of 3 intervals (the first in line 3) end beyond their contig" in notes
    assert "other.bed: none of its contigs is in in.vcf" in notes


def test_structural_variants_overlap_what_they_reach(tmp_path: Path) -> None:
    """The element at 501-510: a deletion and a duplication reach it; the mate of a translocation does not."""
    rows = [
        ("<DEL>", "SVLEN=-450", True),
        ("<DEL>,<DUP>", "SVLEN=-5,450", True),
        ("<INS>", "SVLEN=450", False),
        ("<DEL>", "END=505", True),
        ("<DEL>", "CHR2=2;END=505", False),
        ("<TRA>", "CHR2=2;END=505", False),
        ("A]2:505]", "SVTYPE=BND;END=505", False),
        ("<CN0>", "SVLEN=450", True),
        ("<DEL>", "SVLEN=-5;END=505", False),
        ("<DEL>", "END=7", False),
    ]
    lines = "".join(f"1\t100\t.\tA\t{alt}\t.\t.\t{info}\n" for alt, info, _ in rows)
    (tmp_path / "sv.vcf").write_text(HEAD + lines)
    (tmp_path / "e.bed").write_text("1\t500\t510\tfar\n")
    made = annotation.read_annotations([f"E={tmp_path / 'e.bed'}"])
    found = annotate_variants(tmp_path / "sv.vcf", made, tmp_path / "out.vcf")
    with open_vcf(tmp_path / "out.vcf") as file:
        assert ["E=far" in record.line for record in file] == [reaches for *_, reaches in rows]
    notes = "\n".join(found.notes)
    assert "1 record has an END that is not where SVLEN ends, and SVLEN is used (the first is at 1:100)." in notes
    assert "1 record has an END before POS, which is not used (the first is at 1:100)." in notes


def test_nothing_to_annotate_with(files: tuple[Path, list[str]], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="found no annotation, expected at least one"):
        annotate_variants(files[0], annotation.read_annotations(), tmp_path / "out.vcf")


def test_a_malformed_record_leaves_nothing(files: tuple[Path, list[str]], tmp_path: Path) -> None:
    files[0].write_text(files[0].read_text() + "1\tx\t.\tA\tC\t.\t.\t.\n")
    with pytest.raises(FileFormatError, match="line 10"):
        annotate_variants(files[0], annotation.read_annotations(files[1]), tmp_path / "out.vcf.gz")
    assert not list(tmp_path.glob("*out*"))


def test_short_records_and_no_records(files: tuple[Path, list[str]], tmp_path: Path) -> None:
    head = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n"
    files[0].write_text(head + "1\t101\ta\tA\tC\n1\t900\tb\tA\tC\n")
    annotate_variants(files[0], annotation.read_annotations(files[1][1:]), tmp_path / "out.vcf")
    lines = [line for line in (tmp_path / "out.vcf").read_text().splitlines() if not line.startswith("#")]
    assert lines == ["1\t101\ta\tA\tC\t.\t.\tS=R", "1\t900\tb\tA\tC\t.\t.\tS=TSS"]
    files[0].write_text(head)
    assert annotate_variants(files[0], annotation.read_annotations(files[1]), tmp_path / "out.vcf").records == 0


INTERVAL = st.tuples(st.sampled_from(["c1", "c2"]), st.integers(0, 60), st.integers(0, 25))


@given(
    sets=st.lists(st.lists(INTERVAL, min_size=1, max_size=12), min_size=1, max_size=3),
    queries=st.lists(st.tuples(st.integers(0, 80), st.integers(1, 12)), min_size=1, max_size=12),
)
def test_overlaps_are_those_of_a_loop_over_all_pairs(sets, queries) -> None:
    annotations = Annotations([elements_of(f"A{k}", rows) for k, rows in enumerate(sets)])
    starts = np.array([start for start, _ in queries])
    ends = starts + np.array([length for _, length in queries])
    for contig in ("c1", "c2", "chrc1", "c3"):
        expected = []
        for i, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            for k, rows in enumerate(sets):
                hits = [
                    (a, a + length, row)
                    for row, (name, a, length) in enumerate(rows)
                    if length and name == contig.removeprefix("chr") and a < end and a + length > start
                ]
                expected += [(i, k, row) for _, _, row in sorted(hits)]
        found = annotations.overlaps(contig, starts, ends)
        assert list(zip(*(column.tolist() for column in found), strict=True)) == expected


def elements_of(name: str, rows: list[tuple[str, int, int]]) -> Elements:
    contigs = tuple(dict.fromkeys(contig for contig, _, _ in rows))
    starts = np.array([start for _, start, _ in rows])
    ends = starts + np.array([length for _, _, length in rows])
    number = np.array([contigs.index(contig) for contig, _, _ in rows], dtype=np.int32)
    nothing = Path(__file__)
    return Elements(name, nothing, contigs, number, starts, ends, np.full(len(rows), -1), None, None, None, {}, ())


@pytest.mark.skipif(shutil.which("bedtools") is None, reason="bedtools is not installed (Debian package bedtools)")
@pytest.mark.parametrize(
    ("vcf", "folder", "n_files"),
    [
        ("hg19/1000G.chr20_1000001-2000000.vcf.gz", "hg19/annotation", 19),
        ("hg38/1000G.chr21-22.sites.vcf.gz", "hg38/annotation", 5),
        ("hg19/1000G.chr22.5samples_genotypes.vcf.gz", "hg19/chipseq_chr22", 2),
    ],
)
def test_overlaps_are_those_of_bedtools(real_data: Path, tmp_path: Path, vcf: str, folder: str, n_files: int) -> None:
    """Every pair of a record and an interval: bedtools intersect -wa -wb, record by record."""
    with open_vcf(real_data / vcf) as file, (tmp_path / "in.vcf").open("w") as out:
        out.write("\n".join(file.header[:-1]) + "\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for i, record in enumerate(file):
            fields = record.line.split("\t")[:8]
            out.write("\t".join([f"chr{fields[0]}", fields[1], str(i), *fields[3:]]) + "\n")
    kinds = (".bed", ".bed.gz", ".narrowPeak", ".narrowPeak.gz")
    beds = sorted(path for path in (real_data / folder).rglob("*") if path.name.endswith(kinds))
    assert len(beds) == n_files
    elements = [read_elements(path, f"A{k}") for k, path in enumerate(beds)]
    annotations = Annotations(elements)
    mine = defaultdict(list)
    with open_vcf(tmp_path / "in.vcf") as file:
        for block in iter_blocks(file):
            for contig, i, j in block.contigs:
                of = [int(block.line(k).split("\t")[2]) for k in range(i, j)]
                found = annotations.overlaps(contig, block.starts[i:j], block.ends[i:j])
                for r, k, row in zip(*(column.tolist() for column in found), strict=True):
                    each = elements[k]
                    mine[k].append((of[r], each.contigs[each.contig[row]], int(each.starts[row]), int(each.ends[row])))
    n = 0
    for k, bed in enumerate(beds):
        plain = tmp_path / "b.bed"
        raw = bed.read_bytes()
        lines = (gzip.decompress(raw) if bed.suffix == ".gz" else raw).decode().splitlines()
        plain.write_text("".join("\t".join(line.split("\t")[:3]) + "\n" for line in lines if not line.startswith("#")))
        command = ["bedtools", "intersect", "-a", str(tmp_path / "in.vcf"), "-b", str(plain), "-wa", "-wb"]
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        theirs = [line.split("\t") for line in answer.splitlines()]
        assert sorted((int(f[2]), f[8], int(f[9]), int(f[10])) for f in theirs) == sorted(mine[k]), bed.name
        n += len(theirs)
    assert n > 100


def test_breakdown_by_frequency(files: tuple[Path, list[str]], tmp_path: Path) -> None:
    annotations = annotation.read_annotations(files[1])
    found = annotate_variants(files[0], annotations, tmp_path / "out.vcf", breakdown=True).breakdown
    assert found is not None
    assert dict(found.totals) == {"common": 2, "low": 1, "rare": 1, "unknown": 1}  # 0.9 is 0.1 of the minor allele
    rows = {(name, kind, of): (n, total) for name, kind, of, n, total in found.rows()}
    assert rows["P", "P", "common"] == (1, 2)
    assert rows["S", "E", "low"] == (1, 1)
    assert rows["S", "TSS", "low"] == (1, 1)  # a record in two states is in both
    assert rows["S", "E", "rare"] == (1, 1)
    assert rows["S", "R", "unknown"] == (0, 1)
    assert found.first["S"]["E"]["low"] == 1
    assert "TSS" not in found.first["S"]  # in the composition it is in the first
    written = write_breakdown(tmp_path / "figures", found, annotations)
    assert sorted(path.name for path in written) == ["S.png", "S.svg", "breakdown.png", "breakdown.svg", "breakdown.tsv"]
    assert all(path.stat().st_size > 100 for path in written)


def test_a_frequency_that_is_none_is_refused(files: tuple[Path, list[str]], tmp_path: Path) -> None:
    files[0].write_text(HEAD + "1\t5\t.\tA\tC\t.\t.\tAF=12\n")
    with pytest.raises(ConfigError, match="AF=12 is no frequency"):
        annotate_variants(files[0], annotation.read_annotations(files[1]), tmp_path / "out.vcf", breakdown=True)
    annotate_variants(files[0], annotation.read_annotations(files[1]), tmp_path / "out.vcf")  # nobody asks for it


def test_unsorted_records_and_contigs_that_alternate(files: tuple[Path, list[str]], tmp_path: Path) -> None:
    rows = [f"{1 + i % 2}\t{200 - i}\t{i}\tA\tC\t.\t.\t." for i in range(100)]
    files[0].write_text(HEAD + "\n".join(rows) + "\n")
    found = annotate_variants(files[0], annotation.read_annotations(files[1][1:]), tmp_path / "out.vcf.gz")
    with open_vcf(tmp_path / "out.vcf.gz") as file:
        info = {record.id: (record.chrom, record.pos, record.line.split("\t")[7]) for record in file}
    assert list(info) == [str(i) for i in range(100)]
    for chrom, pos, text in info.values():
        assert text == ("." if chrom == "2" else "S=R" if pos <= 120 else "S=E")
    assert any("not sorted" in note for note in found.notes)
