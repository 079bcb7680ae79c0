"""Scores of every track of every variant -> Parquet, one row an ALT and score, one column a track."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from genoformer.errors import ConfigError
from genoformer.genome.vcf import Record
from genoformer.scoring.scores import Floats


class MatrixFile:
    """Takes records in order; the file has its final name only after a block that ended well."""

    def __init__(self, path: str | Path, scores: Sequence[str], tracks: Sequence[str]) -> None:
        self.path, self.scores, self.tracks = Path(path), list(scores), list(tracks)
        if self.path.suffix != ".parquet":
            raise ConfigError(f"{path}: the matrix is written as Parquet; end its name in .parquet.")
        if not self.path.absolute().parent.is_dir():
            raise ConfigError(f"the folder {self.path.parent} does not exist; create it, or write the matrix elsewhere.")
        self.temporary = self.path.with_name(f".{self.path.name}.partial")
        self._rows = max(1, (1 << 24) // (len(self.scores) * len(self.tracks)))  # ALTs in a row group: 64 MB of numbers
        self._places: list[tuple[str, int, str, str, str]] = []
        self._values: list[Floats] = []

    def __enter__(self) -> MatrixFile:
        import pyarrow as pa
        import pyarrow.parquet as pq

        place = [("chrom", pa.string()), ("pos", pa.int64()), *((name, pa.string()) for name in ("id", "ref", "alt", "score"))]
        self._schema = pa.schema([*place, *((name, pa.float32()) for name in self.tracks)])
        self._writer = pq.ParquetWriter(str(self.temporary), self._schema, compression="zstd")
        return self

    def write(self, record: Record, values: Floats) -> None:
        """One record; values [ALTs, scores, K]."""
        for alt, of in zip(record.alts, values, strict=False):
            self._places.append((record.chrom, record.pos, record.line.split("\t", 3)[2], record.ref, alt))
            self._values.append(of)
        if len(self._places) >= self._rows:
            self._flush()

    def _flush(self) -> None:
        import numpy as np
        import pyarrow as pa

        if not self._places:
            return
        n = len(self.scores)
        columns = [pa.array([value for value in of for _ in range(n)]) for of in zip(*self._places, strict=True)]
        columns.append(pa.array(self.scores * len(self._places)))
        numbers = np.stack(self._values).reshape(-1, len(self.tracks))
        columns += [pa.array(column, mask=np.isnan(column)) for column in numbers.T.astype(np.float32)]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))
        self._places.clear()
        self._values.clear()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        whole = False
        try:
            if kind is None:
                self._flush()
            self._writer.close()
            whole = kind is None
        finally:
            if whole:
                self.temporary.replace(self.path)
            else:
                self.temporary.unlink(missing_ok=True)
