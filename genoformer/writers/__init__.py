"""Records -> VCF, TSV or Parquet, with scores and annotations added; nothing else in a record changes."""

from __future__ import annotations

from pathlib import Path

from genoformer.errors import ConfigError
from genoformer.writers.base import (
    NO_CELLS,
    Cells,
    Column,
    Field,
    Floats,
    Header,
    Provenance,
    RecordWriter,
    Sink,
    Source,
    UnfitRecordError,
    escaped,
    info_key,
    number,
)
from genoformer.writers.tables import ParquetSink, TSVSink
from genoformer.writers.vcf import VCFSink, VCFWriter

__all__ = [
    "NO_CELLS",
    "SINKS",
    "Cells",
    "Column",
    "Field",
    "Floats",
    "Header",
    "ParquetSink",
    "Provenance",
    "RecordWriter",
    "Sink",
    "Source",
    "TSVSink",
    "UnfitRecordError",
    "VCFSink",
    "VCFWriter",
    "escaped",
    "info_key",
    "number",
    "open_sink",
]


def open_sink(path: str | Path) -> Sink:
    """Return the sink for the ending of a file name; "-" is VCF on standard output."""
    name = str(path)
    if name == "-":
        return VCFSink(path)
    for suffix, kind in SINKS.items():
        if name.endswith(suffix):
            return kind(path)
    raise ConfigError(f"{name}: the suffix names no known format; end the name in {', '.join(SINKS)}, or give -.")


SINKS: dict[str, type[Sink]] = {
    ".vcf": VCFSink,
    ".vcf.gz": VCFSink,
    ".vcf.bgz": VCFSink,
    ".tsv": TSVSink,
    ".tsv.gz": TSVSink,
    ".parquet": ParquetSink,
}
