"""VCF with scores and annotations in INFO."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

import numpy as np

from genoformer.errors import ConfigError
from genoformer.formats.input_columns import REASON_KEY
from genoformer.formats.vcf_records import Record, column
from genoformer.genome.variants import Status
from genoformer.writers.base import (
    FIX_KEY,
    NO_CELLS,
    NO_RECORDS,
    NUMBER,
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
        self.keys = [of.key for of in header.columns]
        self.texts = [info_text(of) for of in header.columns]
        self.fields = [field.key for field in header.fields]
        self.replaced = [*self.keys, *([STATUS_KEY, FIX_KEY] if self.keys else []), *_earlier_keys(header)]
        self.replaced += _companions(header, self.keys)
        self.stale = tuple(f"{key}=" for key in self.replaced)
        self.has_samples = header.lines[-1].count("\t") > 7
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
        for of in self.header.columns:
            kind = "String" if of.words else "Float"
            text = quoted(of.meaning) + ("" if of.words else f" Unit: {of.unit}.")
            yield f'##INFO=<ID={of.key},Number=A,Type={kind},Description="{text}">'
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
        self.write_lines([self._line(record.line, self._added(statuses, values, cells))])
        self.note_order(record.chrom, record.pos, record.pos, record.pos + len(record.ref))

    def write_all(
        self, records: Sequence[Record], statuses: Sequence[Status], values: Floats, cells: Mapping[int, Cells] = NO_RECORDS
    ) -> None:
        added = self._added_to_rows(statuses, values)
        if len(statuses) > len(records):
            n_rows = [max(1, len(alts)) for alts in column(records, "alts")]
            spans = [slice(end - n, end) for n, end in zip(n_rows, accumulate(n_rows), strict=True)]
            added = [
                added[rows.start] if n == 1 else self._added(statuses[rows], values[rows], NO_CELLS)
                for n, rows in zip(n_rows, spans, strict=True)
            ]
        for i, of in cells.items():
            added[i] = ";".join([*([added[i]] if added[i] else []), *format_info(self.fields, of)])
        lines = column(records, "line")
        if self._are_plain(lines):
            pairs = zip(lines, added, strict=True)
            self.write_list(
                [(line[:-1] if line[-2:] == "\t." else line + ";") + text if text else line for line, text in pairs]
            )
        else:
            self.write_list([self._line(line, text) for line, text in zip(lines, added, strict=True)])
        self._note_orders(records)

    def _are_plain(self, lines: Sequence[str]) -> bool:
        """True if INFO ends the lines, is not empty, and has none of the keys that are replaced."""
        if self.has_samples or any(line.count("\t") != 7 or line[-1] == "\t" for line in lines):
            return False
        text = "\n".join(lines)
        return not any(mark in text for mark in self.stale)

    def _line(self, line: str, added: str) -> str:
        """Return a line with more text in INFO; its old values of replaced keys go."""
        fields = line.split("\t", 8)
        fields += ["."] * (8 - len(fields))
        info = fields[7]
        if any(mark in info for mark in self.stale):
            info = ";".join(item for item in info.split(";") if not item.startswith(self.stale))
        if added:
            fields[7] = added if info in (".", "") else f"{info};{added}"
        else:
            fields[7] = info or "."
        return "\t".join(fields)

    def _added(self, statuses: Sequence[Status], values: Floats, cells: Cells) -> str:
        """Return the text that a record gets in INFO; "" for none."""
        added = [
            f"{key}={','.join(map(text, numbers))}"
            for key, text, numbers in zip(self.keys, self.texts, values.T.tolist(), strict=True)
            if any(value == value for value in numbers)
        ]
        reason = next((status.value for status in statuses if status is not Status.OK), None)
        if reason and self.keys:
            added.append(f"{STATUS_KEY}={reason}")
        if cells:
            added += format_info(self.fields, cells)
        return ";".join(added)

    def _added_to_rows(self, statuses: Sequence[Status], values: Floats) -> list[str]:
        """Return what `_added` does for each row alone, without cells."""
        n, columns = len(statuses), []
        for key, text, of, numbers in zip(self.keys, self.texts, self.header.columns, values.T, strict=True):
            known = np.flatnonzero(~np.isnan(numbers))
            row = numbers[known].astype(np.float64) + 0.0  # no -0
            if not len(known):
                continue
            if of.words:
                texts = [f"{key}={text(value)}" for value in row.tolist()]
            else:  # one format for all numbers takes half the time of many
                texts = (f"{key.replace('%', '%%')}={NUMBER}\n" * len(row) % tuple(row.tolist())).split("\n")[:-1]
            columns.append(texts if len(known) == n else _spread(texts, known.tolist(), n))
        if any(status is not Status.OK for status in statuses) and self.keys:
            columns.append(["" if status is Status.OK else f"{STATUS_KEY}={status.value}" for status in statuses])
        if len(columns) < 2:
            return columns[0] if columns else [""] * n
        return [";".join(filter(None, row)) for row in zip(*columns, strict=True)]

    def _note_orders(self, records: Sequence[Record]) -> None:
        """Record what the index needs to know of consecutive records."""
        positions = np.array(column(records, "pos"), dtype=np.int64)
        ends = positions + np.fromiter(map(len, column(records, "ref")), dtype=np.int64, count=len(records))
        first = 0
        for chrom, run in groupby(column(records, "chrom")):
            after = first + len(list(run))
            of_run = positions[first:after]
            is_rising = bool((of_run[1:] >= of_run[:-1]).all())
            self.note_order(chrom, int(of_run[0]), int(of_run[-1]), int(ends[first:after].max()), rising=is_rising)
            first = after

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


def _spread(texts: Sequence[str], rows: Sequence[int], n: int) -> list[str]:
    """Return n texts: those in some rows, and empty ones."""
    spread = [""] * n
    for row, text in zip(rows, texts, strict=True):
        spread[row] = text
    return spread


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
