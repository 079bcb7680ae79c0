"""annotate_variants(): VCF -> blocks of records -> overlaps -> VCF, TSV or Parquet with every record."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer import __version__
from genoformer.annotation.breakdown import Breakdown
from genoformer.annotation.overlap import Annotations, FieldValues, cells_of, contig_notes, require_shared
from genoformer.errors import ConfigError
from genoformer.formats.vcf import VariantFile, open_vcf
from genoformer.formats.vcf_blocks import Block, blocks_of
from genoformer.progress import Progress, ProgressCallback
from genoformer.writers import Cells, Header, Provenance, RecordWriter, Sink, VCFWriter, escaped, open_sink

Integers = NDArray[np.int64]


class Summary(NamedTuple):
    """Counts of annotated records."""

    records: int
    overlapping: dict[str, int]  # annotation -> records that overlap one of its elements
    parts: dict[str, int]  # first gene part -> records
    seconds: float
    notes: tuple[str, ...]
    breakdown: Breakdown | None  # if requested


def annotate_variants(
    variants: str | Path,
    annotations: Annotations,
    sink: str | Path | Sink,
    *,
    breakdown: bool = False,
    af_key: str = "AF",
    progress: ProgressCallback = None,
) -> Summary:
    """Write every record of a VCF or BCF ("-" is standard input) to `sink` with its annotations.

    A record covers REF and its symbolic ALTs (`reach`); an element overlaps it if they share a base. Records are read in
    blocks and written in input order. breakdown: also count records by frequency (INFO `af_key`) and element.

    Raises: FileFormatError with the line number; ConfigError if there are no annotations or INFO already has one of their
    keys; ContigError if no annotation has a contig of the VCF.
    """
    if not annotations.all:
        raise ConfigError("there is nothing to annotate with; give -a NAME=FILE, or --gtf.")
    sink = sink if isinstance(sink, Sink) else open_sink(sink)
    if sink.path is not None and sink.path.exists() and Path(variants).exists() and sink.path.samefile(variants):
        raise ConfigError(f"{sink.path} is the input, which the output would replace; name another file with -o.")
    began = time.monotonic()
    counted = Breakdown(af_key) if breakdown else None
    overlapping: Counter[str] = Counter({each.name: 0 for each in annotations.elements})
    parts: Counter[str] = Counter()
    seen: dict[str, int] = {}
    n = 0
    with open_vcf(variants) as file, sink.reserved():
        require_shared(annotations, file.contig_lengths, file.name)
        header = Header(file.header, {}, (), Provenance(__version__), annotations.fields, annotations.sources)
        with sink.writing(header) as out:
            for block in blocks_of(file):
                told = list(_told(annotations, block))
                _write(file, block, told, annotations, out, first=not n)
                for each in told:
                    name = annotations.keys[each.first]
                    if name in overlapping:
                        overlapping[name] += len(np.unique(each.records))
                    elif name == "GF_PART":
                        first = np.flatnonzero(np.diff(each.records, prepend=-1))
                        parts.update(each.texts[0][i] for i in first.tolist())
                if counted is not None:
                    counted.add(block, told, annotations, file.name)
                for name, _, _ in block.contigs:
                    seen.setdefault(name, file.contig_lengths.get(name, 0))
                n += len(block.starts)
                if progress:
                    progress(Progress("annotate", n, None))
            require_shared(annotations, {**seen, **file.contig_lengths}, file.name)
        notes = [note for each in annotations.all for note in each.notes]
        notes += [*file.notes, *contig_notes(annotations, seen, Path(file.name).name), *sink.notes]
    seconds = time.monotonic() - began
    return Summary(n, dict(overlapping), dict(parts), seconds, tuple(notes), counted)


def _told(annotations: Annotations, block: Block) -> Iterator[FieldValues]:
    """Yield the field values of the records of a block, contig by contig."""
    rows: dict[str, list[Integers]] = {}
    for name, i, j in block.contigs:
        rows.setdefault(name, []).append(np.arange(i, j))
    for name, found in rows.items():
        records = np.concatenate(found)
        yield from annotations.tell(name, records, block.starts[records], block.ends[records])


def _write(
    file: VariantFile, block: Block, told: Sequence[FieldValues], annotations: Annotations, out: RecordWriter, *, first: bool
) -> None:
    """Write a block of records with their annotations; the first block is checked for keys missing in the header.

    VCF is written by inserting text, without parsing the rest of a record.
    """
    if isinstance(out, VCFWriter) and not out.stale and (block.info >= 0).all():
        if first:
            out.refuse_undeclared(block.text)
        out.write_text(_inserted(block, told, annotations.keys))
        for name, i, j in block.contigs:
            places = block.starts[i:j] + 1
            rising = bool((np.diff(places) >= 0).all())
            out.note_order(name, int(places[0]), int(places[-1]), int(block.ends[i:j].max()) + 1, rising=rising)
        return
    cells = cells_of(told)
    none: Cells = {}
    values = np.zeros((0, 0), dtype=np.float32)
    for i, record in enumerate(file.records_of(block.number, block.text)):
        out.write(record, (), values, cells.get(i, none))


def _inserted(block: Block, told: Sequence[FieldValues], keys: Sequence[str]) -> list[bytes | memoryview]:
    """Return the text of a block in pieces, with KEY=VALUE,VALUE added at the end of INFO of annotated records."""
    added: dict[int, str] = {}
    for each in told:
        template = "".join(f";{key}=%s" for key in keys[each.first : each.first + len(each.texts)])
        rows = [_all_escaped(texts) for texts in each.texts]
        records = each.records.tolist()
        if len(each.records) and (np.diff(each.records) == 0).any():
            edges = np.flatnonzero(np.diff(each.records, prepend=-1, append=-1)).tolist()
            rows = [[",".join(texts[i:j]) for i, j in pairwise(edges)] for texts in rows]
            records = [records[i] for i in edges[:-1]]
        for record, row in zip(records, map(template.__mod__, zip(*rows, strict=True)), strict=True):
            added[record] = added.get(record, "") + row
    text, done = memoryview(block.text), 0
    pieces: list[bytes | memoryview] = []
    for record in sorted(added):
        end = int(block.info[record])
        new = added[record]
        if block.text[end - 2 : end] == b"\t.":  # INFO is a dot
            pieces += [text[done : end - 1], new[1:].encode()]
        elif block.text[end - 1 : end] == b"\t":
            pieces += [text[done:end], new[1:].encode()]
        else:
            pieces += [text[done:end], new.encode()]
        done = end
    return [*pieces, text[done:]]


def _all_escaped(texts: list[str]) -> list[str]:
    whole = "".join(texts)
    return texts if escaped(whole) == whole else list(map(escaped, texts))
