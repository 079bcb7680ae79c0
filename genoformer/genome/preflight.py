"""Does a VCF belong to a reference? VCF + FASTA -> counts, REF agreement, builds -> go on, or one sentence why not.

It reads the VCF once, before any model is loaded, and takes constant memory.
"""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from genoformer.errors import ConfigError, PreflightError
from genoformer.genome.contigs import ContigMap, likely_build, listed
from genoformer.genome.region_text import Interval, parse_region
from genoformer.genome.variants import RefState, Status, combine_statuses, compare_refs
from genoformer.genome.vcf import Record, batches, open_vcf, overlapping

if TYPE_CHECKING:
    from genoformer.genome.reference import Genome

LEAST_AGREEMENT = 0.9  # of REF; on the wrong build about 0.3 of SNVs agree by chance, on the right one nearly all
_BATCH = 16_384  # records
_WIDTH = 79  # columns of the table
_LABEL = 20
_N_NAMES = 5  # of contigs shown
_PLACES_PER_BATCH, _MOST_PLACES = 512, 8_192  # of the sample of where the records are

# What people write into ##reference, ##assembly and ##contig lines.
_BUILD_NAMES = {
    "hg19": r"hg19|grch37|ncbi37|hs37d?\d?|g1k_v37|(?<![a-z0-9])b37(?![a-z0-9])",
    "hg38": r"hg38|grch38|ncbi38|hs38|(?<![a-z0-9])b38(?![a-z0-9])",
    "chm13": r"chm13|t2t",
    "mm10": r"(?<![a-z0-9])mm10(?![a-z0-9])|grcm38",
    "mm39": r"(?<![a-z0-9])mm39(?![a-z0-9])|grcm39",
}


class ContigUse(NamedTuple):
    """A contig of the VCF, its name in the FASTA (None where it is not there), and the records on it."""

    name: str
    reference: str | None
    n_records: int


class LengthDifference(NamedTuple):
    """A contig that the header of the VCF and the FASTA both have, at different lengths."""

    name: str
    length: int
    reference: str
    reference_length: int


@dataclasses.dataclass(frozen=True)
class Preflight:
    """What a VCF holds, seen from a reference."""

    vcf: str
    reference: str  # name of the FASTA
    n_records: int  # in the region, if one was given
    n_alts: int
    statuses: dict[Status, int]  # every Status, counted over ALTs (NO_ALT: over records)
    contigs: tuple[ContigUse, ...]  # in order of appearance
    n_compared: int  # records whose REF could be compared: contig known, inside it, no N on either side
    n_agreeing: int  # of these, REF agrees
    n_swapped: int  # of these, REF does not agree, but an ALT does
    n_outside: int  # records beyond the end of their contig
    reference_build: str | None  # by the lengths of its contigs
    vcf_build: str | None  # by its header: contig lengths, accessions, else what it names
    length_differences: tuple[LengthDifference, ...]
    reference_contigs: tuple[str, ...]  # the first few
    sha256: str  # of the decompressed text of the whole VCF
    notes: tuple[str, ...] = ()
    places: tuple[tuple[str, int], ...] = ()  # contig of the FASTA and 0-based start of some records, evenly spread
    longest: int = 0  # letters of a record's line

    @property
    def n_scorable(self) -> int:
        """ALTs that a model can score."""
        return self.statuses[Status.OK]

    @property
    def agreement(self) -> float | None:
        """The share of comparable records whose REF agrees, 0 to 1; None without any."""
        return self.n_agreeing / self.n_compared if self.n_compared else None

    @property
    def likely_build(self) -> str | None:
        """The build of the VCF: the FASTA's where REF agrees, else what the header says unless that is the FASTA's."""
        if self.agreement is not None and self.agreement >= LEAST_AGREEMENT:
            return self.reference_build or self.vcf_build
        if self.agreement is not None and self.vcf_build == self.reference_build:
            return None
        return self.vcf_build

    @property
    def contig_map(self) -> dict[str, str]:
        """Name in the VCF -> name in the FASTA, for `check_batch`."""
        return {use.name: use.reference for use in self.contigs if use.reference is not None}

    def problem(self) -> str | None:
        """Why nothing should be scored, in one sentence, or None."""
        if self.contigs and not self.contig_map:
            here, there = listed(use.name for use in self.contigs), ", ".join(self.reference_contigs[:_N_NAMES])
            more = " ..." if len(self.reference_contigs) > _N_NAMES else ""
            return _printable(
                f"None of the contigs of {self.vcf} ({here}) is in {self.reference} ({there}{more}); "
                "give the FASTA of the assembly the VCF was made on."
            )
        n_known = sum(use.n_records for use in self.contigs if use.reference is not None)
        if n_known - self.n_outside < LEAST_AGREEMENT * n_known:
            return _printable(
                f"{self.n_outside:,} of {self.n_records:,} records of {self.vcf} lie beyond the ends of their contigs in "
                f"{_with_build(self.reference, self.reference_build)}; give the FASTA of the assembly the VCF was made on, "
                "whole contigs, not a part of one, or force it."
            )
        if self.agreement is None or self.agreement >= LEAST_AGREEMENT:
            return None
        found = (
            f"REF of {self.vcf} agrees with {_with_build(self.reference, self.reference_build)} in "
            f"{_percent(self.n_agreeing, self.n_compared)} of {self.n_compared:,} records "
            f"(at least {_percent(9, 10)} is asked for)"
        )
        if self.n_swapped >= LEAST_AGREEMENT * self.n_compared:
            share = _percent(self.n_swapped, self.n_compared)
            return f"{found}; REF and ALT look swapped, for ALT agrees in {share}: swap them back, or force it."
        if self.likely_build:
            return f"{found}; its header points to {self.likely_build}: give the FASTA of that build, or force it."
        return f"{found}; the VCF is probably on another build: give the FASTA it was made on, or force it."

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        fields = {name: value for name, value in dataclasses.asdict(self).items() if name != "places"}
        return fields | {
            "statuses": {status.name: n for status, n in self.statuses.items() if n},
            "contigs": [use._asdict() for use in self.contigs],
            "length_differences": [difference._asdict() for difference in self.length_differences],
            "reference_contigs": list(self.reference_contigs),
            "notes": list(self.notes),
            "n_scorable": self.n_scorable,
            "agreement": self.agreement,
            "likely_build": self.likely_build,
            "problem": self.problem(),
        }

    def table(self) -> str:
        """Two columns for people, under 80 wide."""
        skipped = [(status.name, n) for status, n in self.statuses.items() if n and status is not Status.OK]
        rows = [
            ("records", f"{self.n_records:,}"),
            ("alleles", f"{self.n_alts:,}"),
            ("to score", f"{self.n_scorable:,}"),
        ]
        rows += [(f"  {name}", f"{n:,}") for name, n in skipped]
        known = [use for use in self.contigs if use.reference is not None]
        renamed = [f"{use.name} is {use.reference}" for use in known if use.name != use.reference]
        absent = [use.name for use in self.contigs if use.reference is None]
        rows.append(("contigs", f"{len(known)} of {len(self.contigs)} in {self.reference}"))
        rows += [("  renamed", listed(renamed))] if renamed else []
        rows += [("  not there", listed(absent))] if absent else []
        if self.n_compared:
            rows.append(("REF agrees", f"{_percent(self.n_agreeing, self.n_compared)} of {self.n_compared:,}"))
        if self.n_swapped:
            rows.append(("ALT agrees instead", f"{self.n_swapped:,}"))
        rows.append(("build", f"FASTA {self.reference_build or 'unknown'}, VCF {self.vcf_build or 'not said'}"))
        if self.length_differences:
            different = (f"{d.name} {d.length:,} / {d.reference_length:,}" for d in self.length_differences)
            rows.append(("lengths VCF / FASTA", listed(different)))
        rows += [("note", note) for note in self.notes]
        return _printable("\n".join(line for label, value in rows for line in _row(label, value)))


def preflight(
    vcf: str | Path,
    genome: Genome,
    *,
    max_length: int,
    region: str | Interval | None = None,
    name: str | Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Preflight:
    """Reads a VCF once and compares it with the reference; nothing is refused here but a malformed file.

    Parameters: max_length, the longest REF or ALT that can be scored, in bases; region, counts only records whose REF
    overlaps it; name, what messages call the VCF where `vcf` is a copy of it; progress, called with the number of
    records read so far.
    Raises: FileFormatError, ConfigError for a region beyond the end of its contig.
    """
    region = parse_region(region, genome.contigs) if isinstance(region, str) else region
    found: dict[str, str | None] = {}
    n_on: Counter[str] = Counter()
    n_statuses: Counter[tuple[Status, ...]] = Counter()
    n_states = [0] * len(RefState)
    n_records = n_alts = n_swapped = longest = 0
    places: list[tuple[str, int]] = []
    with open_vcf(vcf, fingerprint=True, name=name) as file:
        header, lengths, notes = file.header, file.contig_lengths, file.notes
        shown = file.name
        records = overlapping(file, region, genome.contigs)
        for batch in batches(records, _BATCH):
            longest = max(longest, max(len(record.line) for record in batch))
            n_on.update(record.chrom for record in batch)
            _look_up(found, n_on, genome)
            states = compare_refs(batch, genome, found)
            n_statuses.update(combine_statuses(batch, states, max_length))
            for state in RefState:
                n_states[state] += int((states == state).sum())
            n_swapped += _n_alt_agrees([batch[i] for i in (states == RefState.DIFFERS).nonzero()[0]], genome, found)
            for record in batch[:: max(1, len(batch) // _PLACES_PER_BATCH)]:
                if (contig := found[record.chrom]) is not None:
                    places.append((contig, record.pos - 1))
            if len(places) > _MOST_PLACES:
                places = places[::2]
            n_records += len(batch)
            n_alts += sum(len(record.alts) for record in batch)
            if progress:
                progress(n_records)
        sha256 = file.sha256
    if region and not n_records:
        here = genome.resolve(region.chrom)  # a region that is nowhere is a slip of the pen; this refuses it
        if region.start >= genome.contigs[here]:
            raise ConfigError(
                f"the region begins at {here}:{region.start + 1:,}, and {here} has {genome.contigs[here]:,} bases in "
                f"{genome.name}; give one that lies on it."
            )
        notes = [*notes, f"no record of {shown} lies in the region."]
    notes = [*notes, *ContigMap(n_on, genome.contigs).remarks(genome.name)]
    statuses = dict.fromkeys(Status, 0)
    for combination, n in n_statuses.items():
        for status in combination:
            statuses[status] += n
    return Preflight(
        vcf=shown,
        reference=genome.name,
        n_records=n_records,
        n_alts=n_alts,
        statuses=statuses,
        contigs=tuple(ContigUse(name, found[name], n) for name, n in n_on.items()),
        n_compared=n_states[RefState.DIFFERS] + n_states[RefState.AGREES],
        n_agreeing=n_states[RefState.AGREES],
        n_swapped=n_swapped,
        n_outside=n_states[RefState.OUTSIDE],
        reference_build=likely_build(genome.contigs),
        vcf_build=likely_build(dict.fromkeys(n_on, 0) | lengths) or _named_build(header),
        length_differences=tuple(_length_differences(lengths, genome)),
        reference_contigs=tuple(islice(genome.contigs, _N_NAMES + 1)),
        sha256=sha256,
        notes=tuple(notes),
        places=tuple(places),
        longest=longest,
    )


def check_preflight(found: Preflight, *, force: bool = False) -> None:
    """Raises PreflightError with the problem, if there is one and it is not forced."""
    problem = found.problem()
    if problem and not force:
        raise PreflightError(problem)


def _look_up(found: dict[str, str | None], names: Iterable[str], genome: Genome) -> None:
    new = [name for name in names if name not in found]
    if new:
        contigs = ContigMap(new, genome.contigs)
        found.update((name, contigs.get(name)) for name in new)


def _n_alt_agrees(records: list[Record], genome: Genome, contigs: dict[str, str | None]) -> int:
    """Records of which some ALT, put in place of REF, agrees with the reference."""
    swapped = [(i, record._replace(ref=alt)) for i, record in enumerate(records) for alt in record.alts if alt]
    states = compare_refs([record for _, record in swapped], genome, contigs)
    return len({i for (i, _), state in zip(swapped, states.tolist(), strict=True) if state == RefState.AGREES})


def _named_build(header: list[str]) -> str | None:
    """The one build that the header names, if it is one."""
    lines = "\n".join(line for line in header if line.startswith(("##reference", "##assembly", "##contig"))).lower()
    named = [build for build, pattern in _BUILD_NAMES.items() if re.search(pattern, lines)]
    return named[0] if len(named) == 1 else None


def _length_differences(lengths: dict[str, int], genome: Genome) -> Iterable[LengthDifference]:
    contigs = ContigMap(lengths, genome.contigs)
    for name, length in lengths.items():
        reference = contigs.get(name)
        if reference is not None and genome.contigs[reference] != length:
            yield LengthDifference(name, length, reference, genome.contigs[reference])


def _with_build(name: str, build: str | None) -> str:
    return f"{name} ({build})" if build else name


def _percent(part: int, whole: int) -> str:
    return f"{1000 * part // whole / 10:g} %"  # rounded down, so that 89.99 % is not shown as the 90 % it misses


def _printable(text: str) -> str:
    """Bytes that were not UTF-8 in the VCF as escapes, which any terminal takes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _row(label: str, value: str) -> list[str]:
    lines = textwrap.wrap(value, _WIDTH - _LABEL) or [""]
    return [f"{label:<{_LABEL}}{lines[0]}", *(" " * _LABEL + line for line in lines[1:])]
