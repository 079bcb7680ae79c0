"""Transcripts without exon lines: the same exons, start sites and parts in every command, worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genoformer.annotation import gene_tables
from genoformer.annotation.genes import PARTS, read_gene_map
from genoformer.annotation.overlap import Annotations
from genoformer.formats.gtf import read_tss
from genoformer.genome.genes import read_genes
from genoformer.genome.reference import Genome

GFF, GTF = "a.gff3", "a.gtf"
T = 'gene_id "G"; transcript_id "T";'
FLYBASE = [
    "gene 1001 3000 ID=G;Name=w",
    "mRNA 1001 3000 ID=T;Parent=G",
    "five_prime_UTR 1001 1050 Parent=T",
    "CDS 1051 2100 Parent=T",
    "three_prime_UTR 2101 3000 Parent=T",
]
SPLICED = [
    "mRNA 1001 3000 ID=T",
    "five_prime_UTR 1001 1100 Parent=T",
    "five_prime_UTR 1301 1350 Parent=T",
    "CDS 1351 1400 Parent=T",
    "CDS 2001 2100 Parent=T",
    "three_prime_UTR 2101 3000 Parent=T",
]
AUGUSTUS = ["gene 1001 3000 ID=G", "transcript 1001 3000 ID=T;Parent=G", "CDS 1051 1200 ID=c;Parent=T"]
LAYOUTS = [  # file, strand, lines, exons, start site (from 1), (position, part) ...
    (GFF, "+", FLYBASE, [(1001, 3000)], 1001, [(1001, "5UTR"), (1051, "CDS"), (2100, "CDS"), (2300, "3UTR"), (3000, "3UTR")]),
    (GFF, "-", FLYBASE, [(1001, 3000)], 3000, [(1001, "3UTR"), (1051, "CDS"), (2300, "5UTR"), (3000, "5UTR")]),
    (
        GFF,
        "+",
        SPLICED,
        [(1001, 1100), (1301, 1400), (2001, 3000)],
        1001,
        [(1100, "5UTR"), (1200, "intron"), (1350, "5UTR"), (1351, "CDS"), (1401, "intron"), (2001, "CDS"), (2101, "3UTR")],
    ),
    (GFF, "+", AUGUSTUS, [(1001, 3000)], 1001, [(1050, "5UTR"), (1051, "CDS"), (1200, "CDS"), (1201, "3UTR"), (3000, "3UTR")]),
    (
        GFF,
        "+",
        [*AUGUSTUS, "CDS 2001 2100 ID=c;Parent=T"],
        [(1001, 1200), (2001, 3000)],
        1001,
        [(1050, "5UTR"), (1200, "CDS"), (1201, "intron"), (2000, "intron"), (2101, "3UTR")],
    ),
    (GFF, "+", [AUGUSTUS[2], *AUGUSTUS[:2]], [(1001, 3000)], 1001, [(1050, "5UTR"), (1201, "3UTR")]),  # children first
    (GFF, "+", FLYBASE[1:4], [(1001, 3000)], 1001, [(2300, "3UTR")]),  # one UTR line: the transcript line has the other end
    (GFF, "+", ["CDS 1051 1200 Parent=T;gene=G"], [(1051, 1200)], None, [(1050, "promoter"), (1051, "CDS")]),
    (GTF, "+", [f"transcript 1001 3000 {T}", f"CDS 1051 2000 {T}"], [(1001, 3000)], 1001, [(1001, "5UTR"), (2300, "3UTR")]),
    (GTF, "-", [f"transcript 1001 3000 {T}", f"CDS 1051 2000 {T}"], [(1001, 3000)], 3000, [(1001, "3UTR"), (2300, "5UTR")]),
    (GTF, "+", ["gene 1001 3000 G", "transcript 1001 3000 T", f"CDS 1051 2000 {T}"], [(1001, 3000)], 1001, [(2300, "3UTR")]),
    (GTF, "+", [f"CDS 1051 2000 {T}", f"5UTR 1001 1050 {T}", f"3UTR 2001 3000 {T}"], [(1001, 3000)], 1001, [(2300, "3UTR")]),
    (GTF, "+", ['gene 1001 3000 gene_id "G";', 'CDS 1051 2000 gene_id "G";'], [(1001, 3000)], 1001, [(2300, "3UTR")]),
    (GTF, "+", [f"CDS 1051 2000 {T}", f"stop_codon 2001 2003 {T}"], [(1051, 2003)], 1051, [(2003, "CDS"), (2004, "flanking")]),
]


def write(path: Path, strand: str, lines: list[str]) -> Path:
    fields = [line.split(" ", 3) for line in lines]
    head = "##gff-version 3\n" if path.suffix == ".gff3" else ""
    rows = [f"chr1\tx\t{kind}\t{start}\t{end}\t.\t{strand}\t.\t{text}\n" for kind, start, end, text in fields]
    path.write_text(head + "".join(rows))
    return path


@pytest.mark.parametrize(("name", "strand", "lines", "exons", "site", "parts"), LAYOUTS)
def test_exons_start_site_and_parts_agree_in_all_commands(
    tmp_path: Path,
    make_fasta,
    name: str,
    strand: str,
    lines: list[str],
    exons: list[tuple[int, int]],
    site: int | None,
    parts: list[tuple[int, str]],
) -> None:
    path = write(tmp_path / name, strand, lines)
    found = read_gene_map(path, promoter=(10, 5))
    at = np.array([pos for pos, _ in parts])
    _, part, _ = Annotations([], found).parts("chr1", at - 1, at)
    assert [PARTS[i] for i in part.tolist()] == [part for _, part in parts]
    start = exons[0][0] if strand == "+" else exons[-1][1]
    assert (found.sites["chr1"].at + 1).tolist() == [start if site is None else site]
    assert "1 of 1 transcripts have no exon lines" in found.notes[-1]
    if site is not None:  # data build
        assert [region.start + 1 for region in read_tss(path)] == [site]
    with Genome(make_fasta(chr1="A" * 4_000)) as genome:  # predict --gtf, scores of genes
        (gene,) = read_genes(path, genome).over("chr1", 0, 4_000)
    assert [(a + 1, b) for a, b in gene.exons.tolist()] == exons


@pytest.mark.parametrize(("name", "strand", "lines"), [layout[:3] for layout in LAYOUTS])
def test_both_readers_make_the_same_exons(tmp_path: Path, name: str, strand: str, lines: list[str]) -> None:
    path = write(tmp_path / name, strand, lines)
    fast, careful = gene_tables.read_fast(path), gene_tables.read_carefully(path)
    if fast is None:
        assert "gene=G" in lines[0]  # a Parent that the file lacks is left to the careful reader
        return
    assert {key: column.tolist() for key, column in fast.items()} == {key: column.tolist() for key, column in careful.items()}


def test_transcripts_with_exon_lines_keep_them(tmp_path: Path) -> None:
    lines = ["mRNA 1001 3000 ID=T", "exon 1101 1300 Parent=T", "CDS 1151 1200 Parent=T", "five_prime_UTR 901 1000 Parent=T"]
    found = read_gene_map(write(tmp_path / GFF, "+", lines))
    assert found.sites["chr1"].at.tolist() == [1100]
    assert not any("no exon lines" in note for note in found.notes)


@pytest.mark.parametrize("careful", [False, True])
def test_transcripts_without_strand_are_left_out_and_counted(
    tmp_path: Path, careful: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As StringTie writes transcripts of one exon."""
    if careful:
        monkeypatch.setattr(gene_tables, "read_fast", lambda path: None)
    lines = [
        write(
            tmp_path / GTF,
            strand,
            [f'{kind} {start} {end} gene_id "S.{i}"; transcript_id "S.{i}.1"; cov "3";' for kind in ("transcript", "exon")],
        ).read_text()
        for i, (strand, start, end) in enumerate([(".", 1001, 1350), ("+", 2001, 3350), ("?", 4001, 4100)])
    ]
    path = tmp_path / "st.gtf"
    path.write_text("# stringtie\n" + "".join(lines))
    found = read_gene_map(path)
    assert (found.names, found.sites["chr1"].at.tolist()) == (("S.1",), [2000])
    assert found.notes == ("st.gtf: 2 transcripts without strand (column 7) are left out.",)
    left_out: list[int] = []
    assert [site.name for site in read_tss(path, without_strand=left_out)] == ["S.1.1"]
    assert left_out == [2, 6]
