"""VCF with scores and annotations in INFO."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from genoformer.errors import ConfigError
from genoformer.formats.input_columns import REASON_KEY
from genoformer.formats.vcf import Record
from genoformer.genome.variants import Status
from genoformer.writers.base import (
    FIX_KEY,
    NO_CELLS,
    STATUS_KEY,
    Cells,
    Floats,
    Header,
    Sink,
    TextSink,
    TextWriter,
    escaped,
    info_text,
    quoted,
)

_STRUCTURAL = ("##ALT=<ID=", "##INFO=<ID=SVTYPE,", "##INFO=<ID=SVLEN,")  # lines of files with structural variants
_TABIX_LONGEST = 1 << 29  # limit of a .tbi index; longer contigs need a .csi


class VCFWriter(TextWriter):
    """Writer of a VCF: replaces the keys of an earlier run, and notes whether the records are sorted, for the index."""

    def __init__(self, sink: Sink, file: Any, header: Header) -> None:
        super().__init__(sink, file, header)
        self.keys = [column.key for column in header.columns]
        self.texts = [info_text(column) for column in header.columns]
        self.fields = [field.key for field in header.fields]
        self.replaced = [*self.keys, *([STATUS_KEY, FIX_KEY] if self.keys else []), *_earlier_keys(header)]
        self.replaced += _companions(header, self.keys)
        self.stale = tuple(f"{key}=" for key in self.replaced)
        self.is_sorted, self.last, self.contigs, self.furthest = True, ("", 0), set[str](), 0

    def head(self) -> Iterable[str]:
        header = self.header
        declared = tuple(f"##INFO=<ID={key}," for key in self.replaced)
        kept = [line for line in header.lines[:-1] if not line.startswith(declared)]
        gone = [f"##genoformer_annotation=<ID={source.name}," for source in header.sources]
        if not any(line.startswith("##INFO=<ID=GF_") and ",Number=A," in line for line in kept):
            gone += [f"##genoformer_{name}=" for name in ("version", "model", "options", "caution", "noise")]
        yield from (line for line in kept if not line.startswith(tuple(gone)))  # keep provenance of other scores
        known = {line[13:].split(",")[0].rstrip(">") for line in header.lines if line.startswith("##contig=<ID=")}
        for name, length in header.contigs.items():
            if name not in known:
                yield f"##contig=<ID={name},length={length}>"
        yield from self._declarations()
        yield from _origin(header)
        yield header.lines[-1]

    def _declarations(self) -> Iterator[str]:
        """Yield the INFO lines of the added keys."""
        for column in self.header.columns:
            kind = "String" if column.words else "Float"
            text = quoted(column.meaning) + ("" if column.words else f" Unit: {column.unit}.")
            yield f'##INFO=<ID={column.key},Number=A,Type={kind},Description="{text}">'
        if self.header.columns:
            of_table = any(line.startswith(f"##INFO=<ID={REASON_KEY},") for line in self.header.lines)
            unused = {Status.OK} | (set() if FIX_KEY in self.keys or of_table else {Status.EITHER_STRAND})
            unused |= set() if of_table else {Status.EITHER_ALLELE}
            unused |= set() if any(line.startswith(_STRUCTURAL) for line in self.header.lines) else {Status.IMPRECISE}
            reasons = ", ".join(status.value for status in Status if status not in unused)
            text = f"Why genoformer scored this record not or only in part, of its first such ALT: {reasons}"
            yield f'##INFO=<ID={STATUS_KEY},Number=1,Type=String,Description="{text}">'
        for field in self.header.fields:
            n = field.number if field.many else "1"
            yield f'##INFO=<ID={field.key},Number={n},Type={field.type},Description="{quoted(field.meaning)}">'

    def write(self, record: Record, statuses: Sequence[Status], values: Floats, cells: Cells = NO_CELLS) -> None:
        fields = record.line.split("\t", 8)
        fields += ["."] * (8 - len(fields))
        info = fields[7]
        if any(mark in info for mark in self.stale):  # the new values replace the old
            info = ";".join(item for item in info.split(";") if not item.startswith(self.stale))
        added = [
            f"{key}={','.join(map(text, column))}"
            for key, text, column in zip(self.keys, self.texts, values.T.tolist(), strict=True)
            if any(value == value for value in column)
        ]
        reason = next((status.value for status in statuses if status is not Status.OK), None)
        if reason and self.keys:
            added.append(f"{STATUS_KEY}={reason}")
        if cells:
            added += format_info(self.fields, cells)
        if added:
            fields[7] = ";".join(([] if info in (".", "") else [info]) + added)
        else:
            fields[7] = info or "."
        self.write_lines(["\t".join(fields)])
        self.note_order(record.chrom, record.pos, record.pos, record.pos + len(record.ref))

    def refuse_undeclared(self, text: bytes) -> None:
        """Raise ConfigError if input records have a key of our fields that the input header does not declare."""
        keys = [key for key in self.fields if f"{key}=" not in self.stale]
        match = re.search(rb"[;\t](%s)=" % b"|".join(re.escape(key.encode()) for key in keys), text) if keys else None
        _refuse([match[1].decode()] if match else [])

    def write_text(self, text: Sequence[bytes | memoryview]) -> None:
        """Write complete lines, given in pieces, without a change; the caller passes their records to `note_order`."""
        self.flush()
        self.file.write(b"".join(text))

    def note_order(self, chrom: str, first: int, last: int, furthest: int, *, rising: bool = True) -> None:
        """Record all that the index needs to know of consecutive records on a contig.

        first, last: POS of the first and last record. furthest: largest end of a record. rising: True if they are sorted.
        """
        if chrom != self.last[0]:
            self.is_sorted &= chrom not in self.contigs
            self.contigs.add(chrom)
        elif first < self.last[1]:
            self.is_sorted = False
        self.is_sorted &= rising
        self.last = (chrom, last)
        self.furthest = max(self.furthest, furthest)

    def index(self, part: Path) -> Path | None:
        if not self.sink.indexes:
            return None
        assert self.sink.path is not None
        name = self.sink.path.name
        if not self.is_sorted:
            self.sink.notes.append(f"{name} has no index, because the input is not sorted (bcftools sort).")
            return None
        import pysam

        is_long = max([self.furthest, *self.header.contigs.values()]) > _TABIX_LONGEST
        index = Path(f"{part}{'.csi' if is_long else '.tbi'}")
        verbosity = pysam.set_verbosity(0)  # htslib would also print the message of the note
        try:
            pysam.tabix_index(str(part), preset="vcf", force=True, csi=is_long, keep_original=True)
        except OSError:
            index.unlink(missing_ok=True)
            self.sink.notes.append(
                f"{name} has no index, because tabix cannot make one; is a POS or END far beyond its contig?"
            )
            return None
        finally:
            pysam.set_verbosity(verbosity)
        return index


class VCFSink(TextSink):
    """VCF with scores in INFO (Number=A) and the reason for missing scores in GF_STATUS; .vcf.gz is bgzip with an index."""

    writer = VCFWriter

    @property
    def bgzip(self) -> bool:
        return self.path is not None and self.path.suffix in (".gz", ".bgz")

    @property
    def indexes(self) -> tuple[str, ...]:
        return (".tbi", ".csi") if self.bgzip else ()

    def check(self, header: Header) -> None:
        before = tuple(f"##INFO=<ID={key}," for key in _earlier_keys(header))
        others = (line for line in header.lines if not line.startswith(before))
        declared = {match[1] for line in others if (match := re.match(r"##INFO=<ID=([^,>]+)", line))}
        _refuse([field.key for field in header.fields if field.key in declared])


def _origin(header: Header) -> Iterator[str]:
    """Yield the header lines with the version, the annotation files, the model and its options."""
    origin = header.provenance
    yield f"##genoformer_version={origin.version}"
    for source in header.sources:
        of = f'Keys="{",".join(source.keys)}",File="{quoted(source.file)}",{source.hashed}="{source.sha256}"'
        yield f"##genoformer_annotation=<ID={source.name},{of}>"
    if header.columns:
        yield model_line(origin.model, origin.sha256)
        yield f"##genoformer_options={origin.options}"
        if origin.caution:
            yield f"##genoformer_caution={origin.caution}"
    if header.noise:
        yield f"##genoformer_noise={header.noise}"


def model_line(model: str, sha256: str) -> str:
    """Return the header line on the model, whose name becomes an ID."""
    name = re.sub(r"[^\w.+-]", "_", model)  # characters that the VCF specification allows in an ID
    return f'##genoformer_model=<ID={name},sha256="{sha256}">'


def format_info(keys: Sequence[str], cells: Cells) -> list[str]:
    """Return KEY=VALUE,VALUE for each field with values."""
    return [f"{keys[i]}={','.join(map(escaped, values))}" for i, values in cells.items()]


def _earlier_keys(header: Header) -> list[str]:
    """Return the INFO keys that an earlier run filled from annotations of the same names; they are replaced."""
    names = {source.name for source in header.sources}
    matches = (re.match(r'##genoformer_annotation=<ID=([^,]+),Keys="([^"]*)"', line) for line in header.lines)
    return [key for match in matches if match and match[1] in names for key in match[2].split(",")]


def _companions(header: Header, keys: Sequence[str]) -> list[str]:
    """Return the keys of errors, flags, tracks, genes and quantiles of replaced scores of an earlier run."""
    possible = {f"{key}_{what}" for key in keys for what in ("SE", "NOISE", "TRACK", "GENE", "Q")} - set(keys)
    declared = (re.match(r"##INFO=<ID=([^,>]+)", line) for line in header.lines)
    return [match[1] for match in declared if match and match[1] in possible]


def _refuse(keys: Sequence[str]) -> None:
    if keys:
        raise ConfigError(
            f"INFO of the VCF already has the key {keys[0]}, which another program wrote; give that annotation another name "
            "(-a NAME=FILE)."
        )
