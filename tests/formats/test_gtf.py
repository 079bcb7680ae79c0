"""Transcription start sites of a GTF: a table with visible answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from genoformer.errors import FileFormatError
from genoformer.formats.gtf import read_tss

GENE = 'chr1|x|gene|101|200|.|+|.|gene_id "G1"; gene_name "ABC";'
PLUS = 'chr1|x|transcript|101|180|.|+|.|gene_id "G1"; transcript_id "T1"; note "a; b";'
MINUS = "chr1|x|transcript|121|200|.|-|.|gene_id G1; transcript_id T2;"
EXON = 'chr1|x|exon|121|130|.|-|.|gene_id "G1"; transcript_id "T2"; exon_number 1;'


def gtf(path: Path, *lines: str) -> Path:
    path.write_text("#!genome-build x\n" + "".join(line.replace("|", "\t") + "\n" for line in lines))
    return path


@pytest.mark.parametrize(
    ("lines", "feature", "expected"),
    [
        ((GENE, PLUS, MINUS, EXON), None, [("T1", 100, "+", 3), ("T2", 199, "-", 4)]),
        ((GENE, PLUS, MINUS, EXON), "gene", [("ABC", 100, "+", 2)]),
        ((GENE, EXON), None, [("ABC", 100, "+", 2)]),
        ((GENE.replace("gene_name", "gene"),), None, [("ABC", 100, "+", 2)]),  # NCBI
        ((GENE.replace("gene_name", 'gene "DEF"; gene_name'),), None, [("ABC", 100, "+", 2)]),
        ((EXON.replace("exon_number 1", 'gene "ABC"'),), "gene", [("ABC", 129, "-", 2)]),
        ((GENE.replace('gene_name "ABC";', ""),), None, [("G1", 100, "+", 2)]),
        ((EXON, EXON.replace("|130|", "|150|")), None, [("T2", 149, "-", 2)]),  # exons alone make their transcripts
        ((EXON, EXON.replace("|130|", "|150|")), "gene", [("G1", 149, "-", 2)]),
        ((EXON.replace("|exon|", "|CDS|"), EXON.replace("|exon|121|130|", "|UTR|131|150|")), None, [("T2", 149, "-", 2)]),
        ((PLUS, PLUS.replace("|+|", "|.|"), MINUS.replace("|-|", "|?|")), None, [("T1", 100, "+", 2)]),  # without strand
        ((PLUS.replace('gene_id "G1"; ', 'note "x; transcript_id Q"; '),), None, [("T1", 100, "+", 2)]),
    ],
)
def test_start_sites(
    tmp_path: Path, lines: tuple[str, ...], feature: str | None, expected: list[tuple[str, int, str, int]]
) -> None:
    found = list(read_tss(gtf(tmp_path / "a.gtf", *lines), feature))
    assert [(site.name, site.start, site.strand, site.line) for site in found] == expected
    assert all(site.end == site.start + 1 and site.summit == site.start for site in found)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((PLUS.replace("|101|", "|0|"),), "line 2: START 0 and END 180 are no 1-based interval"),
        ((PLUS.replace("|101|", "|181|"),), "line 2: START 181 and END 180"),
        ((PLUS, PLUS.replace("|+|", "|x|")), "line 3: the strand, column 7, is 'x'"),
        ((PLUS.replace("|+|", "|.|"),), "line 2: no transcript has a strand"),
        (("chr1|100|200",), "line 2: GTF has nine columns"),
        ((EXON.replace("|exon|", "|region|"),), "has no transcript or gene lines .column 3 holds region"),
        ((EXON.replace('gene_id "G1"; transcript_id "T2";', ""),), "line 2: exon without gene_id"),
        ((), "holds none"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        list(read_tss(gtf(tmp_path / "a.gtf", *lines)))
