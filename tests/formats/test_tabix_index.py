"""Places in .tbi and .csi files: reading from them meets every record that htslib finds there."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import numpy as np
import pysam
import pytest

from genoformer.errors import FileFormatError
from genoformer.formats.tabix_index import TabixIndex, index_path


def write(path: Path, rows: list[tuple[str, int, int]], csi: bool) -> Path:
    """Write records (contig, POS, length of REF) and index them."""
    lines = "".join(f"{c}\t{pos}\t.\t{'A' * n}\tC\t.\t.\tX={'y' * 40}{pos}\n" for c, pos, n in rows)
    plain = path.with_suffix(".txt")
    plain.write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + lines)
    pysam.tabix_compress(str(plain), str(path), force=True)
    pysam.tabix_index(str(path), preset="vcf", force=True, csi=csi)
    return path


@pytest.mark.parametrize("csi", [False, True])
def test_reading_from_an_offset_meets_all_records_behind_a_position(tmp_path: Path, csi: bool) -> None:
    rng = random.Random(0)
    rows = []
    for contig in ("chr2", "chr10", "x"):
        starts = sorted(rng.sample(range(50_000, 9_000_000), 1_500))
        rows += [(contig, pos, 40_000 if i % 500 == 0 else rng.choice((1, 1, 5))) for i, pos in enumerate(starts)]
    path = write(tmp_path / "a.vcf.gz", rows, csi)
    index = TabixIndex(index_path(path))  # type: ignore[arg-type]
    assert index.path.suffix == (".csi" if csi else ".tbi")
    assert index.contigs == ("chr2", "chr10", "x")
    for contig in index.contigs:
        starts = np.array([0, 10, 60_000, *(rng.randrange(10_000_000) for _ in range(60))])
        offsets = index.offsets(contig, starts)
        with pysam.BGZFile(str(path), "rb") as file, pysam.TabixFile(str(path), index=str(index.path)) as tabix:
            for start, offset in zip(starts.tolist(), offsets.tolist(), strict=True):
                file.seek(offset)
                text = file.read(1 << 22).decode()
                assert set(tabix.fetch(contig, start, None)) <= set(text.splitlines())


def test_columns_of_a_table(tmp_path: Path) -> None:
    plain = tmp_path / "t.tsv"
    plain.write_text("id\tchrom\tpos\na\t1\t7\n")
    pysam.tabix_compress(str(plain), f"{plain}.gz")
    pysam.tabix_index(f"{plain}.gz", seq_col=1, start_col=2, end_col=2, line_skip=1, meta_char="%")
    columns = TabixIndex(Path(f"{plain}.gz.tbi")).columns
    assert columns is not None
    assert (columns.chrom, columns.begin, columns.comment, columns.n_skipped) == (2, 3, "%", 1)


@pytest.mark.parametrize(
    "content", [b"", b"not an index", gzip.compress(b"TBI\x01\x05", mtime=0), gzip.compress(b"CSI\x01" + b"\xff" * 40, mtime=0)]
)
def test_damaged_indexes_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.vcf.gz.tbi"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="is no index of tabix, or is damaged"):
        TabixIndex(path)


def test_a_file_without_an_index(tmp_path: Path) -> None:
    assert index_path(tmp_path / "a.vcf.gz") is None
