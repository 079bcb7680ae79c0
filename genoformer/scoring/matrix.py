"""Scores of every track -> Parquet or AnnData, one row per ALT and score (and gene), one column per track."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError
from genoformer.files import resolve_link
from genoformer.formats.vcf import Record
from genoformer.scoring.scores import Floats
from genoformer.scoring.track_scores import TrackColumns

PLACES = ("chrom", "pos", "id", "ref", "alt", "score")
GENES = ("gene", "strongest")  # for gene scores: the gene, and True if the table has this gene


class MatrixFile(ABC):
    """Writer of a matrix, a context manager; the file gets its final name when the block ends without an error."""

    def __init__(self, path: Path, layout: TrackColumns) -> None:
        if not path.absolute().parent.is_dir():
            raise ConfigError(f"the folder {path.parent} does not exist; create it, or write the matrix elsewhere.")
        self.path, self.layout, self.tracks = path, layout, layout.unique_names
        self.scores = [score.name for score in layout.scores]
        self.temporary = resolve_link(path).with_name(f".{resolve_link(path).name}.partial")
        self.genes = layout.genes.names if layout.of_genes and layout.genes is not None else None
        self.columns = [*PLACES, *(GENES if self.genes is not None else ())]
        self._rows: list[tuple[object, ...]] = []
        self._values: list[Floats] = []
        self._at_once = max(1, (1 << 24) // max(1, len(self.tracks)))  # rows: 64 MB of numbers

    def write(self, record: Record, first: int, rows: NDArray[np.int32], values: Floats) -> None:
        """Write the rows of one record; `first` is the number of its first ALT in `rows` [R, 4], values: [R, K]."""
        for (alt, score, gene, strongest), of in zip(rows.tolist(), values, strict=True):
            of_gene = () if self.genes is None else (self.genes[gene] if gene >= 0 else None, bool(strongest))
            place = (record.chrom, record.pos, record.id, record.ref, record.alts[alt - first], self.scores[score])
            self._rows.append((*place, *of_gene))
            self._values.append(of)
        if len(self._rows) >= self._at_once:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._put(dict(zip(self.columns, map(list, zip(*self._rows, strict=True)), strict=True)), np.stack(self._values))
        self._rows.clear()
        self._values.clear()

    @abstractmethod
    def _open(self) -> None: ...
    @abstractmethod
    def _put(self, places: dict[str, list[object]], values: Floats) -> None:
        """Write some rows: `places` are the columns that identify them, values: [n, K]."""

    @abstractmethod
    def _close(self, *, whole: bool) -> None:
        """Close the temporary file; `whole` is True if all rows have been written."""

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        whole = False
        try:
            if kind is None:
                self._flush()
            self._close(whole=kind is None)
            whole = kind is None
        finally:
            if whole:
                self.temporary.replace(resolve_link(self.path))
            else:
                self.temporary.unlink(missing_ok=True)


class ParquetMatrix(MatrixFile):
    """Parquet: the columns that identify a row, then one float32 column per track; null if missing."""

    def _open(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds = {"pos": pa.int64(), "strongest": pa.bool_()}
        places = [(name, kinds.get(name, pa.string())) for name in self.columns]
        self._schema = pa.schema([*places, *((name, pa.float32()) for name in self.tracks)])
        self._writer = pq.ParquetWriter(str(self.temporary), self._schema, compression="zstd")

    def _put(self, places: dict[str, list[object]], values: Floats) -> None:
        import pyarrow as pa

        numbers = np.ascontiguousarray(values.T, dtype=np.float32)
        columns = [pa.array(places[name], type=self._schema.field(name).type) for name in self.columns]
        columns += [pa.array(column, mask=np.isnan(column)) for column in numbers]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))

    def _close(self, *, whole: bool) -> None:
        self._writer.close()


class AnnDataMatrix(MatrixFile):
    """AnnData: X float32 [rows, tracks], NaN if missing; obs describes the rows, var the tracks."""

    def __init__(self, path: Path, layout: TrackColumns) -> None:
        try:
            import anndata  # noqa: F401  # fails before hours of work, not after
        except ImportError as error:
            raise ConfigError(f"{path}: AnnData is not installed; install genoformer[anndata], or write .parquet.") from error
        super().__init__(path, layout)
        self.numbers = path.with_name(f".{path.name}.numbers")

    def _open(self) -> None:
        self._file = self.numbers.open("wb")
        self._places: dict[str, list[object]] = {name: [] for name in self.columns}

    def _put(self, places: dict[str, list[object]], values: Floats) -> None:
        self._file.write(np.ascontiguousarray(values, dtype=np.float32).tobytes())
        for name, column in places.items():
            self._places[name] += column

    def _close(self, *, whole: bool) -> None:
        self._file.close()
        try:
            if whole:
                self._write()
        finally:
            self.numbers.unlink(missing_ok=True)

    def _write(self) -> None:
        import pandas as pd
        from anndata import AnnData

        shape = (len(self._places["chrom"]), len(self.tracks))
        x = np.memmap(self.numbers, dtype=np.float32, mode="r", shape=shape) if shape[0] else np.zeros(shape, np.float32)

        def texts(of: Sequence[object]) -> pd.Index[Any]:
            return pd.Index(list(of), dtype=object)  # AnnData does not write the strings of pandas 3

        columns: dict[str, Any] = {
            name: of if name in ("pos", "strongest") else pd.Categorical(texts(of)) for name, of in self._places.items()
        }
        obs = pd.DataFrame(columns, index=texts([str(i) for i in range(shape[0])]))
        about: dict[str, Any] = {"track": pd.Categorical(texts(self.layout.names))}
        if self.layout.about is not None:
            about["description"] = pd.Categorical(texts([track.description for track in self.layout.about]))
        var = pd.DataFrame(about, index=texts(self.tracks))
        AnnData(np.asarray(x), obs=obs, var=var).write_h5ad(self.temporary)


def matrix_file(path: str | Path, layout: TrackColumns) -> MatrixFile:
    """Return the writer for the ending of the file name; ConfigError unless it is .parquet or .h5ad."""
    kinds: dict[str, type[MatrixFile]] = {".parquet": ParquetMatrix, ".h5ad": AnnDataMatrix}
    path = Path(path)
    if path.suffix not in kinds:
        raise ConfigError(f"{path}: a matrix is written as Parquet or AnnData; end its name in .parquet or .h5ad.")
    return kinds[path.suffix](path, layout)
