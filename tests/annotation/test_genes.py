"""Parts of genes and nearest start sites: worked out by hand, and against loops over bases."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from amounts import examples
from hypothesis import given
from hypothesis import strategies as st

from genoformer.annotation import gene_tables as module
from genoformer.annotation.genes import FLANK, PARTS, PROMOTER, Sites, nearest, read_gene_map, read_sites
from genoformer.annotation.overlap import Annotations
from genoformer.errors import ConfigError, FileFormatError, MissingFileError

#  A on +, two transcripts: exons 1001-1100, 1201-1300 and 1001-1150 (of the second, which codes for nothing)
#     CDS 1051-1100 and 1201-1250 (and the stop codon 1251-1253)
#  B on -: exons 5001-5100 and 5301-5400; CDS 5051-5100 and 5301-5350
GTF = """\
chr1 x gene 1001 1300 . + . gene_id "A"; gene_name "ALPHA";
chr1 x transcript 1001 1300 . + . gene_id "A"; transcript_id "A1"; gene_name "ALPHA";
chr1 x exon 1001 1100 . + . gene_id "A"; transcript_id "A1"; gene_name "ALPHA";
chr1 x CDS 1051 1100 . + 0 gene_id "A"; transcript_id "A1"; gene_name "ALPHA";
chr1 x exon 1201 1300 . + . gene_id "A"; transcript_id "A1"; gene_name "ALPHA";
chr1 x CDS 1201 1250 . + 0 gene_id "A"; transcript_id "A1"; gene_name "ALPHA";
chr1 x stop_codon 1251 1253 . + 0 gene_id "A"; transcript_id "A1"; gene_name "ALPHA";
chr1 x exon 1001 1150 . + . gene_id "A"; transcript_id "A2"; gene_name "ALPHA";
chr1 x exon 5001 5100 . - . transcript_id "B1"; gene_id "B";
chr1 x CDS 5051 5100 . - 0 transcript_id "B1"; gene_id "B";
chr1 x exon 5301 5400 . - . transcript_id "B1"; gene_id "B";
chr1 x CDS 5301 5350 . - 0 transcript_id "B1"; gene_id "B";
chr2 x exon 101 200 . + . gene_id "C"; transcript_id "C1";
"""


def write(folder: Path, text: str = GTF) -> Path:
    path = folder / "genes.gtf"
    path.write_text("\n".join("\t".join(line.split(" ", 8)) for line in text.splitlines()) + "\n")
    return path


@pytest.mark.parametrize(
    ("pos", "parts", "genes"),
    [
        (1001, ["5UTR"], ["ALPHA"]),
        (1050, ["5UTR"], ["ALPHA"]),
        (1051, ["CDS"], ["ALPHA"]),
        (1100, ["CDS"], ["ALPHA"]),
        (1101, ["noncoding_exon"], ["ALPHA"]),  # an exon of the second transcript only
        (1151, ["intron"], ["ALPHA"]),
        (1253, ["CDS"], ["ALPHA"]),  # the stop codon
        (1254, ["3UTR"], ["ALPHA"]),
        (991, ["promoter"], ["ALPHA"]),
        (990, ["flanking"], ["ALPHA"]),
        (901, ["flanking"], ["ALPHA"]),
        (900, ["intergenic"], [""]),
        (1400, ["flanking"], ["ALPHA"]),
        (1401, ["intergenic"], [""]),
        (5001, ["3UTR"], ["B"]),  # the strand turns them round
        (5400, ["5UTR"], ["B"]),
        (5401, ["promoter"], ["B"]),
        (5410, ["promoter"], ["B"]),
        (5411, ["flanking"], ["B"]),
        (5200, ["intron"], ["B"]),
    ],
)
def test_the_part_that_a_base_is(tmp_path: Path, pos: int, parts: list[str], genes: list[str]) -> None:
    found = read_gene_map(write(tmp_path), promoter=(10, 5), flank=100)
    _, part, gene = Annotations([], found).parts("1", np.array([pos - 1]), np.array([pos]))
    assert [PARTS[p] for p in part.tolist()] == parts
    assert [found.names[g] if g >= 0 else "" for g in gene.tolist()] == genes


def test_a_long_record_has_the_first_part_of_each_gene(tmp_path: Path) -> None:
    found = read_gene_map(write(tmp_path), promoter=(10, 5), flank=100)
    index, part, gene = Annotations([], found).parts("chr1", np.array([0, 1110]), np.array([9_000, 5_030]))
    assert index.tolist() == [0, 0, 1, 1]
    assert [PARTS[p] for p in part.tolist()] == ["CDS", "CDS", "CDS", "3UTR"]
    assert gene.tolist() == [0, 1, 0, 1]


def test_contigs_without_genes_say_nothing(tmp_path: Path) -> None:
    annotations = Annotations([], read_gene_map(write(tmp_path)))
    assert [len(a) for a in annotations.parts("chr3", np.array([5]), np.array([6]))] == [0, 0, 0]
    assert annotations.nearest_site("chr3", np.array([5]), np.array([6])) is None
    assert annotations.field_values("chr3", np.array([0]), np.array([5]), np.array([6])) == []


def test_start_sites_by_strand(tmp_path: Path) -> None:
    found = read_gene_map(write(tmp_path))
    assert found.sites["chr1"].at.tolist() == [1000, 1000, 5399]
    assert found.sites["chr1"].forward.tolist() == [True, True, False]
    gene, away = Annotations([], found).nearest_site("1", np.array([900, 1200, 5500, 5300]), np.array([901, 1201, 5501, 5301]))
    assert [found.names[g] for g in gene.tolist()] == ["ALPHA", "ALPHA", "B", "B"]
    assert away.tolist() == [-100, 200, -101, 99]


BLOCKS = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 15)), min_size=1, max_size=4)
TRANSCRIPT = st.tuples(st.integers(0, 2), st.booleans(), BLOCKS, st.integers(0, 400), st.floats(0, 1), st.floats(0, 1))


@examples(100)
@given(drawn=st.lists(TRANSCRIPT, min_size=1, max_size=5))
def test_parts_are_those_of_a_loop_over_bases(tmp_path_factory, drawn) -> None:
    strand = {gene: forward for gene, forward, *_ in reversed(drawn)}
    lines, transcripts = [], []
    for t, (gene, _, blocks, start, a, b) in enumerate(drawn):
        exons, at = [], start + 1_000
        for length, gap in blocks:
            exons.append((at, at + length))
            at += length + gap + 1
        low, high = sorted((exons[0][0] + int(a * (at - start - 1_000)), exons[0][0] + int(b * (at - start - 1_000))))
        cds = [(max(x, low), min(y, high)) for x, y in exons if max(x, low) < min(y, high)]
        sign = "+" if strand[gene] else "-"
        for kind, of in (("exon", exons), ("CDS", cds)):
            lines += [f'c x {kind} {x + 1} {y} . {sign} . gene_id "G{gene}"; transcript_id "T{t}";' for x, y in of]
        transcripts.append((f"G{gene}", strand[gene], exons, cds))
    path = write(tmp_path_factory.mktemp("gtf"), "\n".join(lines))
    fast, slow = module.read_fast(path), module.read_carefully(path)
    assert fast is not None
    assert {key: fast[key].tolist() for key in slow} == {key: column.tolist() for key, column in slow.items()}
    found = read_gene_map(path, promoter=(20, 5), flank=30)
    bases = np.arange(900, 1_800)
    index, part, gene = Annotations([], found).parts("c", bases, bases + 1)
    got: dict[int, set[tuple[str, str]]] = {}
    for i, p, g in zip(index.tolist(), part.tolist(), gene.tolist(), strict=True):
        got.setdefault(i, set()).add((PARTS[p], found.names[g] if g >= 0 else ""))
    for i, base in enumerate(bases.tolist()):
        assert got[i] == naive(base, transcripts), base


def naive(base: int, transcripts) -> set[tuple[str, str]]:
    """The parts of a base, from the rules in the docstring of genes.py."""
    found: dict[str, str] = {}
    for gene in {name for name, *_ in transcripts}:
        mine = [each[1:] for each in transcripts if each[0] == gene]
        kinds = set()
        for forward, exons, cds in mine:
            start = exons[0][0] if forward else exons[-1][1] - 1
            before, behind = (20, 5) if forward else (5, 20)
            low, high = exons[0][0], exons[-1][1]
            if any(x <= base < y for x, y in cds):
                kinds.add("CDS")
            if any(x <= base < y for x, y in exons):
                if cds and not cds[0][0] <= base < cds[-1][1]:
                    kinds.add("5UTR" if (base < cds[0][0]) == forward else "3UTR")
                elif not cds:
                    kinds.add("noncoding_exon")
            if start - before <= base <= start + behind:
                kinds.add("promoter")
            if low <= base < high:
                kinds.add("intron")
            if low - 30 <= base < high + 30:
                kinds.add("flanking")
        exonic = kinds & {"CDS", "5UTR", "3UTR", "noncoding_exon"}
        if kinds:
            found[gene] = min(exonic or kinds, key=PARTS.index)
    inside = {(part, gene) for gene, part in found.items() if part != "flanking"}
    return inside or {(part, gene) for gene, part in found.items()} or {("intergenic", "")}


@given(
    at=st.lists(st.integers(0, 60), min_size=1, max_size=8),
    query=st.lists(st.tuples(st.integers(0, 80), st.integers(1, 9)), min_size=1, max_size=10),
    strands=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_the_nearest_site_is_that_of_a_loop(at: list[int], query: list[tuple[int, int]], strands: list[bool]) -> None:
    at = sorted(at)
    sites = Sites(np.array(at), np.array(strands[: len(at)]), np.arange(len(at), dtype=np.int32))
    starts = np.array([start for start, _ in query])
    ends = starts + np.array([length for _, length in query])
    site, away = nearest(sites, starts, ends)
    for k, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        distance = [start - x if x < start else x - end + 1 if x >= end else 0 for x in at]
        assert abs(away[k]) == min(distance)
        assert distance[site[k]] == min(distance)
        if away[k]:
            right = start > at[site[k]]
            assert (away[k] > 0) == (right == strands[site[k]])


def test_start_sites_of_a_bed(tmp_path: Path) -> None:
    path = tmp_path / "t.bed"
    path.write_text("1\t100\t150\tX\t0\t-\n1\t10\t11\tY\t0\t+\n")
    found = read_sites(path)
    assert found.sites["1"].at.tolist() == [10, 149]
    assert [found.names[g] for g in found.sites["1"].gene.tolist()] == ["Y", "X"]
    assert [field.key for field in found.fields] == ["GF_TSS", "GF_TSS_DISTANCE"]
    path.write_text("1\t10\t11\t.\t0\t+\n1\t20\t21\t.\t0\t-\n")
    nameless = read_sites(path)
    assert [field.key for field in nameless.fields] == ["GF_TSS_DISTANCE"]
    assert Annotations([], nameless).field_values("1", np.array([7]), np.array([22]), np.array([23]))[0].texts == [["-2"]]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('1 x exon 5 9 . + . transcript_id "T";', "line 14: exon without gene_id"),
        ('1 x exon 5 9 . x . gene_id "T";', "line 14: the strand"),
        ('1 x exon 9 5 . + . gene_id "T";', "line 14"),
        ('1 x exon 0 5 . + . gene_id "T";', "line 14"),
        ("1 x exon a 5 . + . x", "line 14"),
    ],
)
def test_malformed_gtf(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(FileFormatError, match=says):
        read_gene_map(write(tmp_path, GTF + line))


def test_files_without_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no exon lines"):
        read_gene_map(write(tmp_path, '1 x gene 1 5 . + . gene_id "G";'))
    with pytest.raises(MissingFileError):
        read_gene_map(tmp_path / "nowhere.gtf")
    with pytest.raises(ConfigError, match="numbers of bases"):
        read_gene_map(write(tmp_path), promoter=(-1, 0))
    bed = tmp_path / "t.bed"
    bed.write_text("1\t5\t6\tx\t0\t.\n")
    with pytest.raises(FileFormatError, match="line 1: a TSS needs a strand"):
        read_sites(bed)


def test_sources_of_the_distances() -> None:
    assert PROMOTER == (1_000, 100)  # HOMER, annotatePeaks.pl: promoter-TSS from -1 kb to +100 bp
    assert FLANK == 5_000  # Ensembl VEP: distance to transcript for upstream and downstream variants


@pytest.mark.parametrize("how", ["plain", "gzip", "comments", "comment in the middle", "unquoted", "crlf"])
def test_the_same_genes_however_the_file_is_written(tmp_path: Path, how: str) -> None:
    path = write(tmp_path)
    expected = read_gene_map(path)
    text = path.read_text()
    if how == "gzip":
        path = tmp_path / "genes.gtf.gz"
        path.write_bytes(gzip.compress(text.encode()))
    elif how == "comments":
        path.write_text(f"#!genome-build x\n##y\n{text}")
    elif how == "comment in the middle":
        path.write_text(text.replace("chr2", "# here\nchr2"))
    elif how == "unquoted":
        path.write_text(text.replace('gene_id "B"', "gene_id B"))
    elif how == "crlf":
        path.write_bytes(text.replace("\n", "\r\n").encode())
    found = read_gene_map(path)
    assert found.names == expected.names
    for contig, pieces in expected.pieces.items():
        for one, other in zip(found.pieces[contig], pieces, strict=True):
            assert one.tolist() == other.tolist()
        for one, other in zip(found.sites[contig], expected.sites[contig], strict=True):
            assert one.tolist() == other.tolist()


def test_a_gene_name_may_hold_the_name_of_a_key(tmp_path: Path) -> None:
    found = read_gene_map(write(tmp_path, '1 x exon 5 9 . + . old_gene_id "NO"; gene_id "G"; gene_name "N";'))
    assert found.names == ("N",)


def test_a_place_beyond_any_contig_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gtf"
    row = 'chr1\tx\texon\t1\t{}\t.\t+\t.\tgene_id "G";\n'
    path.write_text(row.format(2_000_000_000_000) + row.format(10))
    with pytest.raises(FileFormatError, match="no contig is longer"):
        read_gene_map(path)
