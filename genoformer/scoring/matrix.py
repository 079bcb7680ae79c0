"""Scores of every track or class -> Parquet or AnnData, a row per ALT and score (and gene), a column per track or class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError
from genoformer.extras import require_parquet
from genoformer.files import atomic_write
from genoformer.formats.vcf import Record
from genoformer.scoring.track_scores import TrackColumns
from genoformer.writers.base import Floats
from genoformer.writers.parquet import ParquetRows, Row

PLACES = ("chrom", "pos", "id", "ref", "alt", "score")
GENES = ("gene", "strongest")  # for gene scores: the gene, and True if the table has this gene
_TYPES = {"pos": "int64", "strongest": "bool"}  # all other columns that identify a row are text


class _Rows(Protocol):
    def add(self, rows: Sequence[Row], values: NDArray[Any]) -> object:
        """Add the columns that identify each row, and the values [n, K]."""


class MatrixWriter:
    """Writer of the rows of an open matrix, record by record."""

    def __init__(self, layout: TrackColumns, rows: _Rows) -> None:
        self.rows, self.scores, self.genes = rows, [score.name for score in layout.scores], _genes(layout)

    def write(self, record: Record, first: int, rows: NDArray[np.int32], values: Floats) -> None:
        """Write the rows of one record; `first` is the number of its first ALT in `rows` [R, 4], values: [R, K]."""
        places: list[Row] = []
        for alt, score, gene, strongest in rows.tolist():
            of_gene = () if self.genes is None else (self.genes[gene] if gene >= 0 else None, bool(strongest))
            place = (record.chrom, record.pos, record.id, record.ref, record.alts[alt - first], self.scores[score])
            places.append((*place, *of_gene))
        self.rows.add(places, values)


class MatrixFile:
    """Matrix that is written as Parquet or AnnData, by the suffix of its path.

    Raises ConfigError for another suffix, for a missing folder, and if AnnData is not installed; MissingExtraError for
    Parquet without pyarrow.
    """

    def __init__(self, path: str | Path, layout: TrackColumns) -> None:
        self.path, self.layout = Path(path), layout
        if self.path.suffix not in _FORMATS:
            raise ConfigError(f"{path}: a matrix is written as Parquet or AnnData; end its name in .parquet or .h5ad.")
        require_parquet(self.path)
        if self.path.suffix == ".h5ad":
            try:
                import anndata  # noqa: F401  # fails before hours of work, not after
            except ImportError as error:
                raise ConfigError(
                    f"{path}: AnnData is not installed; install genoformer[anndata], or write .parquet."
                ) from error
        if not self.path.absolute().parent.is_dir():
            raise ConfigError(f"the folder {self.path.parent} does not exist; create it, or write the matrix elsewhere.")

    @contextmanager
    def writing(self) -> Iterator[MatrixWriter]:
        """Yield a writer; the file gets its name if the block ends without an error, else it does not appear."""
        with atomic_write(self.path, exclusive=True) as part, _FORMATS[self.path.suffix](part, self.layout) as rows:
            yield MatrixWriter(self.layout, rows)


def _genes(layout: TrackColumns) -> Sequence[str] | None:
    """Return the names of the genes and transcripts, or None if the matrix has no gene scores."""
    return layout.genes.item_names if layout.of_genes and layout.genes is not None else None


def _columns(layout: TrackColumns) -> list[str]:
    """Return the names of the columns that identify a row."""
    return [*PLACES, *(GENES if _genes(layout) is not None else ())]


def _parquet(part: Path, layout: TrackColumns) -> ParquetRows:
    """Open a Parquet file: the columns that identify a row, then one float32 column per track, null if missing."""
    tracks = layout.unique_names
    n_group = max(1, (1 << 24) // max(1, len(tracks)))  # 64 MB of numbers
    return ParquetRows(part, [(name, _TYPES.get(name, "string")) for name in _columns(layout)], tracks, n_group=n_group)


class _AnnDataRows:
    """Rows of an AnnData file: the values go to a file of numbers, the columns that identify a row stay in memory."""

    def __init__(self, numbers: Any) -> None:
        self.numbers, self.rows = numbers, list[Row]()

    def add(self, rows: Sequence[Row], values: NDArray[Any]) -> None:
        self.numbers.write(np.ascontiguousarray(values, dtype=np.float32).tobytes())
        self.rows += rows


@contextmanager
def _anndata(part: Path, layout: TrackColumns) -> Iterator[_AnnDataRows]:
    """Open an AnnData file: X float32 [rows, tracks], NaN if missing; obs describes the rows, var the tracks."""
    path = part.with_suffix(".numbers")
    try:
        with path.open("wb") as numbers:
            rows = _AnnDataRows(numbers)
            yield rows
        _write_anndata(part, path, rows.rows, layout)
    finally:
        path.unlink(missing_ok=True)


def _write_anndata(part: Path, numbers: Path, rows: Sequence[Row], layout: TrackColumns) -> None:
    import pandas as pd
    from anndata import AnnData

    def texts(values: Sequence[object]) -> pd.Index[Any]:
        return pd.Index(list(values), dtype=object)  # AnnData does not write the strings of pandas 3

    tracks = layout.unique_names
    shape = (len(rows), len(tracks))
    x = np.memmap(numbers, dtype=np.float32, mode="r", shape=shape) if rows else np.zeros(shape, np.float32)
    names = _columns(layout)
    places = dict(zip(names, map(list, zip(*rows, strict=True)) if rows else [[] for _ in names], strict=True))
    columns: dict[str, Any] = {
        name: values if name in _TYPES else pd.Categorical(texts(values)) for name, values in places.items()
    }
    obs = pd.DataFrame(columns, index=texts([str(i) for i in range(len(rows))]))
    about: dict[str, Any] = {layout.word: pd.Categorical(texts(layout.names))}
    if layout.outputs.descriptions is not None:
        about["description"] = pd.Categorical(texts(layout.outputs.descriptions))
    var = pd.DataFrame(about, index=texts(tracks))
    AnnData(np.asarray(x), obs=obs, var=var).write_h5ad(part)


_FORMATS: dict[str, Callable[[Path, TrackColumns], AbstractContextManager[_Rows]]] = {
    ".parquet": _parquet,
    ".h5ad": _anndata,
}
