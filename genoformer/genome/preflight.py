"""Preflight check of a VCF against a reference: VCF + FASTA -> counts, REF agreement, builds -> pass, or the reason to stop.

The check reads the VCF once, before any model is loaded, in constant memory.
"""

from __future__ import annotations

import dataclasses
import re
import textwrap
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from genoformer.errors import ConfigError, PreflightError, printable
from genoformer.formats.vcf import batches, open_vcf, overlapping
from genoformer.genome import explanations
from genoformer.genome.agreement import Evidence, Judgement, belongs_as_a_whole, judge
from genoformer.genome.causes import Counts, chance_of, total
from genoformer.genome.contigs import (
    BUILDS,
    ContigMap,
    builds_of_accessions,
    canonical_key,
    join_names,
    likely_build,
    renaming_by_length,
    renaming_table,
)
from genoformer.genome.fit import Fit
from genoformer.genome.readings import Reading
from genoformer.genome.region_text import Interval, parse_region
from genoformer.genome.sample import Sample
from genoformer.genome.tally import Tally
from genoformer.genome.variants import RefState, Status
from genoformer.genome.wording import percent

if TYPE_CHECKING:
    from genoformer.genome.reference import Genome

FIXES = ("swap", "strand", "shift")  # fixes that can be requested
_BATCH = 16_384  # records
_WIDTH = 79  # columns of the table
_LABEL = 20
_N_NAMES = 5  # number of contig names shown
_NOT_IN_JSON = ("places", "places_with_bases", "accession_builds", "header")

# Spellings of builds in ##reference, ##assembly and ##contig lines.
_BUILD_NAMES = {
    "hg19": r"hg19|grch37|ncbi37|hs37d?\d?|g1k_v37|(?<![a-z0-9])b37(?![a-z0-9])",
    "hg38": r"hg38|grch38|ncbi38|hs38|(?<![a-z0-9])b38(?![a-z0-9])",
    "chm13": r"chm13|t2t",
    "mm10": r"(?<![a-z0-9])mm10(?![a-z0-9])|grcm38",
    "mm39": r"(?<![a-z0-9])mm39(?![a-z0-9])|grcm39",
}


class ContigUse(NamedTuple):
    """Contig of the VCF, its name in the FASTA (None if missing), and the number of records on it."""

    name: str
    reference: str | None
    n_records: int


class LengthDifference(NamedTuple):
    """Contig that has different lengths in the header of the VCF and in the FASTA."""

    name: str
    length: int
    reference: str
    reference_length: int


@dataclasses.dataclass(frozen=True)
class Preflight:
    """Contents of a VCF compared with a reference."""

    vcf: str
    reference: str  # name of the FASTA
    n_records: int  # within the region, if one is set
    n_alts: int
    statuses: dict[Status, int]  # every Status, counted over ALTs (NO_ALT: over records)
    contigs: tuple[ContigUse, ...]  # in order of appearance
    n_compared: int  # all records with a comparable REF: known contig, inside it, no N in REF or reference
    n_agreeing: int  # compared records whose REF agrees
    n_outside: int  # records beyond the end of their contig
    chance: float  # the probability that a base of REF agrees by chance
    judged: tuple[Judgement, ...]  # contigs that the FASTA has, judged by their scorable alleles
    asked: tuple[str, ...]  # requested names of FIXES
    force: bool  # score contigs that do not belong, too
    reference_build: str | None  # from the lengths of its contigs
    vcf_build: str | None  # from its header: contig lengths, accessions, or a named build
    length_differences: tuple[LengthDifference, ...]
    reference_contigs: tuple[str, ...]  # the first few
    sha256: str  # of the decompressed text of the whole VCF
    notes: tuple[str, ...] = ()
    renaming: dict[str, str] = dataclasses.field(default_factory=dict)  # contigs with another name in the FASTA, by length
    places: tuple[tuple[str, int], ...] = ()  # contig of the FASTA and 0-based start of some records, evenly spread
    places_with_bases: tuple[tuple[str, int], ...] = ()  # without records that have only symbolic alleles or breakends
    longest: int = 0  # characters in the longest record line
    header: tuple[str, ...] = ()  # lines of the VCF's header, the #CHROM line last
    accession_builds: tuple[str, ...] = ()  # builds that contig accessions name; several mean no single build

    @property
    def n_scorable(self) -> int:
        """Number of ALTs that a model can score."""
        return self.statuses[Status.OK]

    @property
    def counts(self) -> Counts:
        """Counts over all contigs of the records with scorable alleles."""
        return total(judgement.counts for judgement in self.judged)

    @property
    def n_swapped(self) -> int:
        """Number of records to score whose REF disagrees but an ALT agrees."""
        return self.counts.swap

    @property
    def agreement(self) -> float | None:
        """Fraction of the records to score, among those that can be compared, whose REF agrees; None if there are none."""
        return self.counts.agree / self.counts.n if self.counts.n else None

    @property
    def belongs(self) -> bool:
        """False if records could be compared with contigs of the FASTA, and no contig or hardly any contig belongs."""
        return belongs_as_a_whole(self.judged)

    @property
    def likely_build(self) -> str | None:
        """Build of the VCF: the FASTA's build if REF agrees; otherwise the header's build, unless that is the FASTA's."""
        if self.counts.n and self.belongs:
            return self.reference_build or self.vcf_build
        if self.counts.n and self.vcf_build == self.reference_build:
            return None
        return self.vcf_build

    @property
    def contig_map(self) -> dict[str, str]:
        """Contig name in the VCF -> contig name in the FASTA."""
        return {use.name: use.reference for use in self.contigs if use.reference is not None}

    def fit(self) -> Fit:
        """Return the fit, which defines how the records are read."""
        others = frozenset() if self.force else frozenset(of.evidence.name for of in self.judged if of.is_other)
        fixes = {of.evidence.name: of.fix for of in self.judged if of.fix}
        return Fit(self.contig_map, others, fixes, is_asked=bool(self.asked))

    @property
    def findings(self) -> list[str]:
        """Sentences on contigs and records that do not fit, with the cause and the action taken."""
        if not self.belongs and not self.force:  # `problem` reports it
            return []
        told = explanations.findings(self.judged, self.asked, self.vcf, self.reference, self.chance, self.force)
        return [printable(text) for text in told]

    def problem(self) -> str | None:
        """Return the reason not to score anything, in one sentence, or None; a renaming table may follow on separate lines."""
        if self.contigs and not self.contig_map:
            here, there = join_names(use.name for use in self.contigs), ", ".join(self.reference_contigs[:_N_NAMES])
            more = " ..." if len(self.reference_contigs) > _N_NAMES else ""
            found = f"None of the contigs of {self.vcf} ({here}) is in {self.reference} ({there}{more})"
            if self.renaming:
                table = renaming_table(self.renaming, self.vcf)
                n, n_all = len(self.renaming), len(self.contigs)
                some = "they are the same sequences" if n == n_all else f"{n} of {n_all} are the same sequences"
                return f"{printable(found)}; by length {some} under other names: rename them by {table}"
            other = self.vcf_build if self.vcf_build != self.reference_build else None
            points = f"; its header points to {other}" if other else ""
            return printable(f"{found}{points}; give the FASTA of the assembly the VCF was made on.")
        if self.belongs:
            return None
        reference = _with_build(self.reference, self.reference_build)
        return printable(
            explanations.refusal(self.judged, self.asked, self.vcf, reference, self.chance, self.likely_build, self.n_records)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dict for JSON."""
        fields = {name: value for name, value in dataclasses.asdict(self).items() if name not in _NOT_IN_JSON}
        return fields | {
            "statuses": {status.name: n for status, n in self.statuses.items() if n},
            "contigs": [use._asdict() for use in self.contigs],
            "length_differences": [difference._asdict() for difference in self.length_differences],
            "reference_contigs": list(self.reference_contigs),
            "notes": list(self.notes),
            "judged": [of.to_dict() for of in self.judged],
            "findings": self.findings,
            "n_scorable": self.n_scorable,
            "n_swapped": self.n_swapped,
            "agreement": self.agreement,
            "likely_build": self.likely_build,
            "problem": self.problem(),
        }

    def table(self, *, with_notes: bool = True) -> str:
        """Return a two-column text table for display, less than 80 characters wide."""
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
        rows += [("  renamed", join_names(renamed))] if renamed else []
        rows += [("  not there", join_names(absent))] if absent else []
        if self.n_compared:
            rows.append(("REF agrees", f"{percent(self.n_agreeing, self.n_compared)} of {self.n_compared:,}"))
        counts = self.counts
        if counts.n and (counts.n, counts.agree) != (self.n_compared, self.n_agreeing):
            rows.append(("  of those to score", f"{percent(counts.agree, counts.n)} of {counts.n:,}"))
        if counts.swap:
            rows.append(("ALT agrees instead", f"{counts.swap:,}"))
        rows += [("other sequence", of.evidence.name) for of in self.judged if of.is_other][:_N_NAMES]
        several = " and ".join(self.accession_builds) if len(self.accession_builds) > 1 else "not said"
        rows.append(("build", f"FASTA {self.reference_build or 'unknown'}, VCF {self.vcf_build or several}"))
        if self.length_differences:
            different = (f"{d.name} {d.length:,} / {d.reference_length:,}" for d in self.length_differences)
            rows.append(("lengths VCF / FASTA", join_names(different)))
        rows += [("note", note) for note in (*self.notes, *self.findings) if with_notes]
        return "\n".join(printable(line) for label, value in rows for line in _row(label, value))


def preflight(
    vcf: str | Path,
    genome: Genome,
    *,
    max_length: int,
    region: str | Interval | None = None,
    name: str | Path | None = None,
    asked: Sequence[str] = (),
    force: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Preflight:
    """Read a VCF once and compare it with the reference; only a malformed file or a region outside its contig is refused.

    Parameters: max_length, the longest REF or ALT that can be scored, in bases; region, count only records whose REF
    overlaps it; name, the name of the VCF in messages if `vcf` is a copy of it; asked, names from FIXES: requested readings
    of records whose REF disagrees; force, score contigs that do not belong, too; progress, called with the number of records
    read so far.
    Raises: FileFormatError, ConfigError for a region beyond the end of its contig.
    """
    region = parse_region(region, genome.contigs) if isinstance(region, str) else region
    tally = Tally(genome, max_length, swaps="swap" in asked, strands="strand" in asked, shifts="shift" in asked)
    n_records = n_alts = longest = 0
    sample = Sample()
    with open_vcf(vcf, fingerprint=True, name=name) as file:
        header, lengths, notes = file.header, file.contig_lengths, file.notes
        shown = file.name
        records = overlapping(file, region, genome.contigs)
        for batch in batches(records, _BATCH):
            longest = max(longest, max(len(record.line) for record in batch))
            tally.add(batch)
            sample.add(batch)
            n_records += len(batch)
            n_alts += sum(len(record.alts) for record in batch)
            if progress:
                progress(n_records)
        sha256 = file.sha256
    if region and not n_records:
        here = genome.resolve(region.chrom)  # refuses a contig that does not exist, which is a typing error
        if region.start >= genome.contigs[here]:
            raise ConfigError(
                f"the region begins at {here}:{region.start + 1:,}, and {here} has {genome.contigs[here]:,} bases in "
                f"{genome.name}; give one that lies on it."
            )
        notes = [*notes, f"no record of {shown} lies in the region."]
    n_on = tally.n_records
    notes = [*notes, *ContigMap(n_on, genome.contigs).remarks(genome.name)]
    renaming = _renaming(tally.names, lengths, genome)
    if renaming and any(tally.names.values()):
        notes.append(f"contigs are the same by length under other names: {renaming_table(renaming, shown)}")
    builds = builds_of_accessions(n_on)
    chance = chance_of(sample.letters)
    judged = tuple(judge(_evidence(tally, lengths, genome), chance, asked))
    return Preflight(
        vcf=shown,
        reference=genome.name,
        n_records=n_records,
        n_alts=n_alts,
        statuses=tally.statuses(judged, force=force),
        contigs=tuple(ContigUse(name, tally.names[name], n) for name, n in n_on.items()),
        n_compared=tally.n_in(RefState.DIFFERS, RefState.AGREES),
        n_agreeing=tally.n_in(RefState.AGREES),
        n_outside=tally.n_in(RefState.OUTSIDE),
        chance=chance,
        judged=judged,
        asked=tuple(asked),
        force=force,
        reference_build=likely_build(genome.contigs),
        vcf_build=None if len(builds) > 1 else likely_build(dict.fromkeys(n_on, 0) | lengths) or _named_build(header),
        accession_builds=builds,
        length_differences=tuple(_length_differences(lengths, genome)),
        reference_contigs=tuple(islice(genome.contigs, _N_NAMES + 1)),
        sha256=sha256,
        header=tuple(header),
        notes=tuple(notes),
        places=tuple(_as_meant(sample.places(tally.names), judged, force=force)),
        places_with_bases=tuple(_as_meant(sample.places(tally.names, with_bases=True), judged, force=force)),
        longest=longest,
        renaming=renaming,
    )


def fixes_named(names: str | Iterable[str]) -> tuple[str, ...]:
    """Parse names of FIXES from a list or from text with commas, each once and in order; ConfigError for unknown names.

    >>> fixes_named("strand, swap")
    ('swap', 'strand')
    """
    texts = [names] if isinstance(names, str) else list(names)
    given = {name.strip().lower() for text in texts for name in text.split(",")} - {""}
    if unknown := sorted(given - set(FIXES)):
        raise ConfigError(f"fix {unknown[0]!r}: allowed are {', '.join(FIXES)}, or several of them with commas.")
    return tuple(name for name in FIXES if name in given)


def warn_of_findings(found: Preflight) -> None:
    """Issue a UserWarning for each contig and cause that does not fit, for users who do not read the log."""
    for text in found.findings:
        warnings.warn(text, stacklevel=4)


def check_preflight(found: Preflight, *, force: bool = False) -> None:
    """Raise PreflightError with the problem, if there is one and `force` is off."""
    problem = found.problem()
    if problem and not (force or found.force):
        text, *table = problem.split("\n")
        raise PreflightError(text, table=table)


def _as_meant(places: Iterable[tuple[str, int]], judged: Iterable[Judgement], *, force: bool) -> list[tuple[str, int]]:
    """Map positions (VCF contig, 0-based start) to the genome, shifted by fixes; keep contigs that belong if there are any."""
    of_name = {of.evidence.name: of for of in judged}
    moves = {name: (1 if of.fix & Reading.NEXT else -1 if of.fix & Reading.PREVIOUS else 0) for name, of in of_name.items()}
    moved = [(of_name[name], start + moves[name]) for name, start in places]
    known = [each for each in moved if force or not each[0].is_other] or moved
    return [(of.evidence.reference, start) for of, start in known]


def _evidence(tally: Tally, lengths: Mapping[str, int], genome: Genome) -> list[Evidence]:
    """Return the evidence for each contig that the FASTA has."""
    return [
        Evidence(name, reference, genome.contigs[reference], stated or _length_by_name(name), of, is_named=not stated)
        for name, of in tally.counts().items()
        if (reference := tally.names[name]) is not None
        for stated in [lengths.get(name)]
    ]


def _length_by_name(name: str) -> int | None:
    """Return the length of the contig that an accession names, such as NC_000020.11."""
    build = likely_build({name: 0})
    if build is not None:
        return BUILDS[build][canonical_key(name)]
    return BUILDS["hg38"]["MT"] if name.startswith(("NC_012920", "J01415", "CP068254")) else None


def _renaming(names: Mapping[str, str | None], lengths: Mapping[str, int], genome: Genome) -> dict[str, str]:
    """Match contigs that have another name in the FASTA by their length."""
    absent = {name: lengths.get(name, 0) for name, reference in names.items() if reference is None}
    used = set(names.values())
    return renaming_by_length(absent, {name: length for name, length in genome.contigs.items() if name not in used})


def _named_build(header: list[str]) -> str | None:
    """Return the build that the header names, or None unless it names exactly one."""
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


def _row(label: str, value: str) -> list[str]:
    lines = [line for part in value.split("\n") for line in textwrap.wrap(part, _WIDTH - _LABEL)] or [""]
    return [f"{label:<{_LABEL}}{lines[0]}", *(" " * _LABEL + line for line in lines[1:])]
