"""Pairs of regions are BEDPE, and numbers behind one region are not: rows as bedtools writes them, with chr and without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from genoformer.annotation.elements import read_elements
from genoformer.errors import FileFormatError
from genoformer.formats.bed import read_bed, read_regions
from genoformer.formats.bed_kinds import layout_of
from genoformer.formats.bedpe import are_pairs


def write(path: Path, rows: list[str]) -> Path:
    path.write_text("".join("\t".join(row.split()) + "\n" for row in rows))
    return path


COUNTS = {
    "coverage -a BED3": ["1 100 200 3 50 100 0.5000000", "1 300 400 7 90 100 0.9000000"],
    "coverage -a BED3, one row": ["1 100 200 3 50 100 0.5000000"],
    "coverage -a BED4": ["1 100 200 p 3 50 100 0.5000000"],
    "multicov": ["1 100 200 5 9 2", "2 100 200 40 9 2"],
    "multicov, the third more than the second": ["1 100 200 5 2 9", "2 100 200 4 7 8"],
    "multicov on contig 1, counts of 1": ["1 100 200 1 0 3", "1 300 400 1 2 2", "1 500 600 1 4 9"],
    "multicov, one row": ["1 100 200 5 2 9"],
    "annotate -counts": ["X 100 200 5 2 9", "X 300 400 0 1 2"],
    "annotate": ["1 100 200 0.5 0.25 0.1"],
    "map -c 5,5,5 -o count,min,max": ["1 100 200 3 5 9", "2 100 200 4 5 6"],
    "map -o count,min,max,collapse": ["1 100 200 2 5 9 a,b", "2 100 200 2 5 6 b,c"],
    "merge -c 4,2,3 -o count,min,max": ["1 100000 200000 3 100000 150000", "2 30000 70000 4 30000 60000"],
    "genomecov -bg": ["1 100 200 5", "2 100 200 9"],
    "bamtobed": ["1 100 150 r1/1 60 +", "1 300 350 r1/2 60 -"],
    "intersect -wa -wb of BED6": ["1 100 200 p 5 + 1 150 250 q 7 -"],
    "closest -d of BED4": ["1 100 200 p 1 300 400 q 101"],
    "labels": ["1 100 200 1 0 0", "1 300 400 0 1 0", "1 500 600 1 0 1"],
    "quantiles": ["5 100 200 5 5 5", "5 300 400 5 5 5"],
}
PAIRS = {
    "loops": ["chr1 100 200 chr1 300 400"],
    "translocation": ["chr1 100 200 chr2 300 400"],
    "without chr": ["1 100 200 1 300 400", "2 100 200 2 900 950"],
    "with a name": ["1 100 200 5 300 400 sv1"],
    "with strands": ["1 100 200 5 300 400 . 30 + -"],
    "of a sex chromosome": ["1 100 200 X 300 400"],
    "of positions": ["1 100000 100100 5 900000 900100", "3 200000 200100 2 300000 300100"],
    "the second not known": ["1 100 200 . -1 -1 r1 60 + ."],
    "some not known": ["1 100 200 1 300 400", "1 100 200 . -1 -1"],
    "of fly": ["2L 100 200 3R 300 400"],
    "scaffolds": ["GL000191.1 100 200 GL000191.1 300 400"],
    "bamtobed -bedpe": ["1 100 150 1 120 170 r1 60 + -", "2 100 150 2 180 230 r2 60 + -"],
    "one row is malformed": ["chr1 100 200 chr1 300 400", "chr1 x y", "chr1 500 600 chr1 700 800"],
}


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("prefix", ["", "chr"])
def test_numbers_behind_a_region_are_read_as_bed(tmp_path: Path, name: str, prefix: str) -> None:
    path = write(tmp_path / "a.bed", [prefix + row for row in COUNTS[name]])
    found = read_bed(path)
    rows = [row.split() for row in COUNTS[name]]
    assert {contig: len(of) for contig, of in found.items()} == {
        prefix + contig: sum(row[0] == contig for row in rows) for contig in {row[0] for row in rows}
    }
    if any(len(row) < 6 or row[5] not in ("0", "1", "-1") for row in rows):  # others may be strands, and are refused
        assert len(list(read_regions(path))) == len(read_elements(path)) == len(rows)
    assert found[prefix + rows[0][0]][0].tolist() == [int(rows[0][1]), int(rows[0][2])]


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_of_regions_are_refused_as_bedpe(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileFormatError, match=r"a.bed is BEDPE, of pairs of regions.*give one region a row"):
        layout_of(write(tmp_path / "a.bed", PAIRS[name]))


def test_no_rows_are_no_pairs() -> None:
    assert not are_pairs([])
