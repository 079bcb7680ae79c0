"""annotate_variants(): VCF -> blocks of records -> overlaps, look-ups -> VCF, TSV or Parquet with every record."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, pairwise, repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer import __version__
from genoformer.annotation.breakdown import Breakdown
from genoformer.annotation.field_values import FieldValues
from genoformer.annotation.lookups import LookupCounts, OpenLookups
from genoformer.annotation.motif_changes import LeftOut
from genoformer.annotation.overlap import Annotations, contig_notes, require_shared, text_cells
from genoformer.annotation.parts import AnnotationTask, FieldFolder
from genoformer.annotation.request import AnnotationRequest
from genoformer.compute import InputParts, MemoryStore, PartedRun, resumable, reused_note
from genoformer.errors import ConfigError, OptionError
from genoformer.files import sha256_of
from genoformer.formats.vcf import VariantFile, open_vcf
from genoformer.formats.vcf_blocks import Block, iter_blocks
from genoformer.formats.vcf_text import ENCODING, ERRORS
from genoformer.genome.variant_input import VariantInput, VariantSource, input_name, selected_variants
from genoformer.progress import ProgressCallback, Stage
from genoformer.writers import Cells, Header, Provenance, RecordWriter, Sink, VCFWriter, escaped, open_sink

Integers = NDArray[np.int64]

_TAB, _DOT = b"\t."
_ESCAPED = "".join(letter for letter in map(chr, range(128)) if escaped(letter) != letter)


class Summary(NamedTuple):
    """Counts of annotated records."""

    records: int
    overlapping: dict[str, int]  # annotation -> records that overlap one of its elements
    parts: dict[str, int]  # first gene part -> records
    seconds: float
    notes: tuple[str, ...]
    breakdown: Breakdown | None  # if requested
    lookups: dict[str, LookupCounts]  # file that is looked up -> numbers of ALTs found and not found
    found: tuple[str, ...]  # a sentence for each of them


def annotate_variants(
    variants: VariantSource,
    annotations: Annotations,
    output: str | Path | Sink,
    *,
    progress: ProgressCallback = None,
    **options: Any,
) -> Summary:
    """Write every record of a VCF, BCF or table of variants ("-" is standard input) with its annotations.

    A record covers REF and its symbolic ALTs (`reach`); an element overlaps it if they share a base. Records are read in
    blocks and written in input order.

    Parameters: see `AnnotationRequest`; options are its other fields, such as genome, motifs and region.

    Raises: FileFormatError with the line number; ConfigError if there are no annotations or INFO already has one of their
    keys; ContigError if no annotation has a contig of the VCF.

    >>> import tempfile
    >>> from importlib.resources import files
    >>> from genoformer.annotation import read_annotations
    >>> demo = files("genoformer_data") / "demo"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     states = read_annotations(f"STATE={demo / 'states.bed.gz'}")
    ...     summary = annotate_variants(demo / "variants.vcf.gz", states, Path(folder, "out.vcf"))
    >>> summary.records
    2000
    """
    return run_annotation(AnnotationRequest(variants, annotations, output, **options), progress=progress)


def run_annotation(request: AnnotationRequest, *, progress: ProgressCallback = None) -> Summary:
    """Read the records of a VCF in blocks and write them with their annotations; errors: see `annotate_variants`.

    If several processes compute the annotations, finished blocks are kept next to the output, so that the same request resumes.
    A shard computes its blocks only.
    """
    annotations, compute = request.annotations, request.compute
    sink = request.output if isinstance(request.output, Sink) else open_sink(request.output)
    source = Path(input_name(request.variants))
    if sink.path is not None and sink.path.exists() and source.exists() and sink.path.samefile(source):
        raise ConfigError(f"{sink.path} is the input, which the output would replace; give another file with -o.")
    began = time.monotonic()
    counts = _Counts(annotations, Breakdown(request.af_key) if request.breakdown else None)
    stage = Stage(progress, "annotate")
    with (
        selected_variants(request.variants, request.genome, request.region) as given,
        open_vcf(given.path, name=given.name) as file,
        _store(request, given, sink) as store,
        annotations.open_lookups(request.genome) as lookups,
    ):
        require_shared(annotations, file.contig_lengths, file.name)
        blocks = _Blocks(given, file, keeps=store is not None)
        parts, motifs, n_fields = InputParts(blocks.blocks, compute.shard), request.motifs, len(annotations.fields)
        task = AnnotationTask(annotations.without_lookups(), motifs, n_fields)
        run = PartedRun(parts, task, store or MemoryStore(), compute, n_records)
        if compute.shard is not None:
            assert sink.path is not None  # the store has refused it
            return _shard_summary(run.compute_shard(sink.path, stage), began)
        fields, sources = list(annotations.fields), list(annotations.sources)
        if motifs is not None:
            fields, sources = fields + motifs.fields, [*sources, motifs.source]
        header = Header(file.header, {}, (), Provenance(__version__), fields, sources)
        keys, left_out = [field.key for field in fields], LeftOut(n_fields)
        with sink.reserved(), sink.writing(header) as out:
            for block, both in run.results(stage):
                values, of_motifs = ([of for of in both if (of.first < n_fields) == is_first] for is_first in (True, False))
                left_out.add(of_motifs)
                _write(file, block, [*values, *lookups.values(block.text), *of_motifs], keys, out, first=not counts.n)
                counts.add(block, values, file)
            require_shared(annotations, {**counts.contigs, **file.contig_lengths}, file.name)
        notes = [reused_note(store.n_found, compute.assemble)] if store is not None and store.n_found else []
        notes += [note for of_source in annotations.all for note in of_source.notes]
        notes += [*given.notes, *blocks.notes, *contig_notes(annotations, counts.contigs, Path(file.name).name)]
        notes += [*lookups.notes(), *left_out.notes(), *sink.notes]
    return counts.summary(time.monotonic() - began, notes, lookups)


def n_records(block: Block) -> int:
    """Return the number of records of a block."""
    return len(block.starts)


class _Blocks:
    """Blocks of a VCF: read once from the open file, or from the start on each call if a run of several processes needs it."""

    def __init__(self, variants: VariantInput, file: VariantFile, *, keeps: bool) -> None:
        self._variants, self._file, self._keeps = variants, file, keeps
        self.notes: list[str] = []  # of the last complete reading

    def blocks(self) -> Iterator[Block]:
        if not self._keeps:
            yield from iter_blocks(self._file)
            self.notes = self._file.notes
            return
        with open_vcf(self._variants.path, name=self._variants.name) as file:
            yield from iter_blocks(file)
            self.notes = file.notes


@contextmanager
def _store(request: AnnotationRequest, variants: VariantInput, sink: Sink) -> Iterator[FieldFolder | None]:
    """Yield the resume folder of the output of several processes, removed after success; None for a run in one process."""
    compute = request.compute
    if not (compute.is_parallel or compute.assemble):
        yield None
        return
    if sink.path is None or str(request.variants) == "-":
        found = "standard output" if sink.path is None else "a VCF on standard input, which several processes cannot read"
        compute.refuse_shard(found)
        raise OptionError("workers", f"keeps its parts next to an output file, found {found}; give files, or leave it out.")
    job = {
        "VCF": sha256_of(variants.path),
        "annotations": repr((request.annotations.sources, request.annotations.fields)),
        "version": __version__,
    }
    if request.motifs is not None:
        job["motifs"] = repr((request.motifs.source, request.motifs.threshold))
        job["FASTA"] = request.motifs.genome.signature
    with resumable(FieldFolder(sink.path, job), sink.path, compute) as folder:
        yield folder


def _shard_summary(note: str, began: float) -> Summary:
    """Return the summary of a shard, which has no output and no counts."""
    return Summary(0, {}, {}, time.monotonic() - began, (note,), None, {}, ())


class _Counts:
    """Counts of the records written so far, and the contigs that they lie on (name -> length, 0 if unknown)."""

    def __init__(self, annotations: Annotations, breakdown: Breakdown | None) -> None:
        self._annotations, self._breakdown = annotations, breakdown
        self.n = 0
        self.contigs: dict[str, int] = {}
        self._overlapping = {elements.name: 0 for elements in annotations.elements}
        self._parts: Counter[str] = Counter()

    def add(self, block: Block, values: Sequence[FieldValues], file: VariantFile) -> None:
        for field in values:
            name = self._annotations.keys[field.first]
            if name in self._overlapping:
                self._overlapping[name] += len(np.unique(field.records))
            elif name == "GF_PART":
                first = np.flatnonzero(np.diff(field.records, prepend=-1))
                self._parts.update(field.texts[0][i] for i in first.tolist())
        if self._breakdown is not None:
            self._breakdown.add(block, values, self._annotations, file.name)
        for name, _, _ in block.contigs:
            self.contigs.setdefault(name, file.contig_lengths.get(name, 0))
        self.n += len(block.starts)

    def summary(self, seconds: float, notes: Sequence[str], lookups: OpenLookups) -> Summary:
        return Summary(
            self.n,
            self._overlapping,
            dict(self._parts),
            seconds,
            tuple(notes),
            self._breakdown,
            dict(lookups.counts),
            lookups.sentences(),
        )


def _write(
    file: VariantFile, block: Block, values: Sequence[FieldValues], keys: Sequence[str], out: RecordWriter, *, first: bool
) -> None:
    """Write a block of records with their annotations; the first block is checked for keys missing in the header.

    VCF is written by inserting text, without parsing the rest of a record.
    """
    if isinstance(out, VCFWriter) and not out.stale and (block.info >= 0).all():
        if first:
            out.refuse_undeclared(block.text)
        out.write_text(_inserted(block, values, keys))
        for name, i, j in block.contigs:
            positions = block.starts[i:j] + 1
            rising = bool((np.diff(positions) >= 0).all())
            out.note_order(name, int(positions[0]), int(positions[-1]), int(block.ends[i:j].max()) + 1, rising=rising)
        return
    cells = text_cells(values)
    none: Cells = {}
    no_scores = np.zeros((0, 0), dtype=np.float32)
    for i, record in enumerate(file.parse_block(block.number, block.text)):
        out.write(record, (), no_scores, cells.get(i, none))


def _inserted(block: Block, values: Sequence[FieldValues], keys: Sequence[str]) -> list[bytes | memoryview]:
    """Return the text of a block in pieces, with KEY=VALUE,VALUE added at the end of INFO of annotated records."""
    added: dict[int, str] = {}
    for field in values:
        names = [repeat(f";{key}=") for key in keys[field.first : field.first + len(field.texts)]]
        rows = [_all_escaped(texts) for texts in field.texts]
        records = field.records.tolist()
        if len(field.records) and (np.diff(field.records) == 0).any():
            edges = np.flatnonzero(np.diff(field.records, prepend=-1, append=-1)).tolist()
            rows = [[",".join(texts[i:j]) for i, j in pairwise(edges)] for texts in rows]
            records = [records[i] for i in edges[:-1]]
        texts_of_records = map("".join, zip(*chain.from_iterable(zip(names, rows, strict=True)), strict=False))
        if not added:
            added = dict(zip(records, texts_of_records, strict=True))
            continue
        for record, new in zip(records, texts_of_records, strict=True):
            added[record] = added.get(record, "") + new
    annotated = np.array(sorted(added), dtype=np.int64)
    ends = block.info[annotated]
    letters = np.frombuffer(block.text, dtype=np.uint8)
    is_dot = (letters[ends - 1] == _DOT) & (letters[ends - 2] == _TAB)
    is_empty = letters[ends - 1] == _TAB
    starts = (is_dot | is_empty).astype(np.int64).tolist()  # 1: without the first semicolon
    text, done = memoryview(block.text), 0
    pieces: list[bytes | memoryview] = []
    cuts = zip(annotated.tolist(), (ends - is_dot).tolist(), ends.tolist(), starts, strict=True)
    for record, cut, end, start in cuts:
        pieces += (text[done:cut], added[record][start:].encode(ENCODING, ERRORS))
        done = end
    return [*pieces, text[done:]]


def _all_escaped(texts: list[str]) -> list[str]:
    joined = "".join(texts)
    if joined.isascii() and not any(letter in joined for letter in _ESCAPED):  # a few times as fast as a pattern
        return texts
    return list(map(escaped, texts))
