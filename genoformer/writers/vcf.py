"""VCF with scores and annotations in INFO."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from genoformer.errors import ConfigError
from genoformer.formats.vcf import Record
from genoformer.genome.variants import Status
from genoformer.writers.base import (
    FIX_KEY,
    NO_CELLS,
    STATUS_KEY,
    Cells,
    Floats,
    Header,
    TextSink,
    escaped,
    info_text,
    quoted,
)

_TABIX_LONGEST = 1 << 29  # limit of a .tbi index; longer contigs need a .csi


class VCFSink(TextSink):
    """VCF with scores in INFO (Number=A) and the reason for missing scores in GF_STATUS; .vcf.gz is bgzip with an index."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.bgzip = self.path is not None and self.path.suffix in (".gz", ".bgz")

    def check(self, header: Header) -> None:
        before = tuple(f"##INFO=<ID={key}," for key in _keys_of_before(header))
        others = (line for line in header.lines if not line.startswith(before))
        there = {match[1] for line in others if (match := re.match(r"##INFO=<ID=([^,>]+)", line))}
        _refuse([field.key for field in header.fields if field.key in there])

    def _head(self, header: Header) -> Iterable[str]:
        self.keys = [column.key for column in header.columns]
        self.texts = [info_text(column) for column in header.columns]
        self.fields = [field.key for field in header.fields]
        self.sorted, self.last, self.seen, self.furthest = True, ("", 0), set[str](), 0
        ours = [*self.keys, *([STATUS_KEY, FIX_KEY] if self.keys else [])]
        replaced = [*ours, *_keys_of_before(header), *_companions(header, self.keys)]
        self.stale = tuple(f"{key}=" for key in replaced)
        declared = tuple(f"##INFO=<ID={key}," for key in replaced)
        kept = [line for line in header.lines[:-1] if not line.startswith(declared)]
        self.check(header)
        gone = [f"##genoformer_annotation=<ID={source.name}," for source in header.sources]
        if not any(line.startswith("##INFO=<ID=GF_") and ",Number=A," in line for line in kept):
            gone += ["##genoformer_version=", "##genoformer_model=", "##genoformer_options=", "##genoformer_noise="]
        yield from (line for line in kept if not line.startswith(tuple(gone)))  # keep provenance of other scores
        known = {line[13:].split(",")[0].rstrip(">") for line in header.lines if line.startswith("##contig=<ID=")}
        for name, length in header.contigs.items():
            if name not in known:
                yield f"##contig=<ID={name},length={length}>"
        for column in header.columns:
            kind = "String" if column.words else "Float"
            text = quoted(column.meaning) + ("" if column.words else f" Unit: {column.unit}.")
            yield f'##INFO=<ID={column.key},Number=A,Type={kind},Description="{text}">'
        if header.columns:
            unused = {Status.OK} | (set() if FIX_KEY in self.keys else {Status.EITHER_STRAND})
            reasons = ", ".join(status.value for status in Status if status not in unused)
            text = f"Why genoformer scored this record not or only in part, of its first such ALT: {reasons}"
            yield f'##INFO=<ID={STATUS_KEY},Number=1,Type=String,Description="{text}">'
        for field in header.fields:
            n = "." if field.many else "1"
            yield f'##INFO=<ID={field.key},Number={n},Type={field.type},Description="{quoted(field.meaning)}">'
        made = header.provenance
        yield f"##genoformer_version={made.version}"
        for source in header.sources:
            of = f'Keys="{",".join(source.keys)}",File="{quoted(source.file)}",sha256="{source.sha256}"'
            yield f"##genoformer_annotation=<ID={source.name},{of}>"
        if header.columns:
            name = re.sub(r"[^\w.+-]", "_", made.model)  # characters that the VCF specification allows in an ID
            yield f'##genoformer_model=<ID={name},sha256="{made.sha256}">'
            yield f"##genoformer_options={made.options}"
        if header.noise:
            yield f"##genoformer_noise={header.noise}"
        yield header.lines[-1]

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
            added += info_of(self.fields, cells)
        if added:
            fields[7] = ";".join(([] if info in (".", "") else [info]) + added)
        else:
            fields[7] = info or "."
        self._say(["\t".join(fields)])
        self.saw(record.chrom, record.pos, record.pos, record.pos + len(record.ref))

    def refuse_undeclared(self, text: bytes) -> None:
        """Raise ConfigError if input records have a key of our fields that the input header does not declare."""
        keys = [key for key in self.fields if f"{key}=" not in self.stale]
        found = re.search(rb"[;\t](%s)=" % b"|".join(re.escape(key.encode()) for key in keys), text) if keys else None
        _refuse([found[1].decode()] if found else [])

    def write_text(self, text: Sequence[bytes | memoryview]) -> None:
        """Write complete lines, given in pieces, without a change; the caller passes their records to `saw`."""
        self._flush()
        self.file.write(b"".join(text))

    def saw(self, chrom: str, first: int, last: int, furthest: int, *, rising: bool = True) -> None:
        """Record all that the index needs to know of consecutive records on a contig.

        first, last: POS of the first and last record. furthest: largest end of a record. rising: True if they are sorted.
        """
        if chrom != self.last[0]:
            self.sorted &= chrom not in self.seen
            self.seen.add(chrom)
        elif first < self.last[1]:
            self.sorted = False
        self.sorted &= rising
        self.last = (chrom, last)
        self.furthest = max(self.furthest, furthest)

    def _finish(self, *, complete: bool) -> None:
        index = self._index() if complete and self.bgzip else None
        if complete and self.bgzip:  # an index of an earlier output would not match
            for suffix in (".tbi", ".csi"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        super()._finish(complete=complete)
        if index is not None:
            shutil.move(index, f"{self.path}{index.suffix}")  # if the output is a link, the index is next to the link

    def _index(self) -> Path | None:
        assert self.path is not None
        if not self.sorted:
            self.notes.append(f"{self.path.name} has no index, because the input is not sorted (bcftools sort).")
            return None
        import pysam

        long = max([self.furthest, *self.header.contigs.values()]) > _TABIX_LONGEST
        index = Path(f"{self.temporary}{'.csi' if long else '.tbi'}")
        verbosity = pysam.set_verbosity(0)  # htslib would also print the message of the note
        try:
            pysam.tabix_index(str(self.temporary), preset="vcf", force=True, csi=long, keep_original=True)
        except OSError:
            index.unlink(missing_ok=True)
            self.notes.append(
                f"{self.path.name} has no index, because tabix cannot make one; is a POS or END far beyond its contig?"
            )
            return None
        finally:
            pysam.set_verbosity(verbosity)
        return index


def info_of(keys: Sequence[str], cells: Cells) -> list[str]:
    """Return KEY=VALUE,VALUE for each field with values."""
    return [f"{keys[i]}={','.join(map(escaped, values))}" for i, values in cells.items()]


def _keys_of_before(header: Header) -> list[str]:
    """Return the INFO keys that an earlier run filled from annotations of the same names; they are replaced."""
    names = {source.name for source in header.sources}
    found = (re.match(r'##genoformer_annotation=<ID=([^,]+),Keys="([^"]*)"', line) for line in header.lines)
    return [key for match in found if match and match[1] in names for key in match[2].split(",")]


def _companions(header: Header, keys: Sequence[str]) -> list[str]:
    """Return the keys of errors, flags, tracks, genes and quantiles of replaced scores of an earlier run."""
    possible = {f"{key}_{what}" for key in keys for what in ("SE", "NOISE", "TRACK", "GENE", "Q")} - set(keys)
    declared = (re.match(r"##INFO=<ID=([^,>]+)", line) for line in header.lines)
    return [match[1] for match in declared if match and match[1] in possible]


def _refuse(keys: Sequence[str]) -> None:
    if keys:
        raise ConfigError(
            f"INFO has the key {keys[0]} in the VCF already, which something else wrote; give that annotation another name "
            "(-a NAME=FILE)."
        )
