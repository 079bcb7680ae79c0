"""Counts of a preflight check -> fit of the VCF, findings, the reason to stop, and a table."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

from genoformer.errors import printable
from genoformer.genome import explanations
from genoformer.genome.agreement import Judgement, belongs_as_a_whole
from genoformer.genome.causes import Counts, total
from genoformer.genome.contigs import join_names, likely_build, renaming_table
from genoformer.genome.fit import Fit
from genoformer.genome.variants import Status
from genoformer.genome.wording import counted, percent

_WIDTH = 79  # columns of the table
_LABEL = 20
N_NAMES = 5  # number of contig names shown
_NOT_IN_JSON = ("places", "places_with_bases", "accession_builds", "header")


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
    n_outside: int  # records beyond an end of their contig
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

    def __repr__(self) -> str:
        of = f"{counted(self.n_records, 'record')}, {self.n_scorable:,} of {counted(self.n_alts, 'allele')} to score"
        return f"Preflight({self.vcf} on {self.reference}: {of}; .table() has all)"

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

    def with_notes(self, notes: Sequence[str]) -> Preflight:
        """Return the same with further notes, before the others."""
        return dataclasses.replace(self, notes=(*notes, *self.notes)) if notes else self

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
        sentences = explanations.findings(self.judged, self.asked, self.vcf, self.reference, self.chance, self.force)
        return [printable(text) for text in sentences]

    def problem(self) -> str | None:
        """Return the reason not to score anything, in one sentence, or None; a renaming table may follow on separate lines."""
        if self.contigs and not self.contig_map:
            names, reference_names = join_names(use.name for use in self.contigs), ", ".join(self.reference_contigs[:N_NAMES])
            more = " ..." if len(self.reference_contigs) > N_NAMES else ""
            mismatch = f"None of the contigs of {self.vcf} ({names}) is in {self.reference} ({reference_names}{more})"
            if self.renaming:
                table = renaming_table(self.renaming, self.vcf)
                n, n_all = len(self.renaming), len(self.contigs)
                some = "they are the same sequences" if n == n_all else f"{n} of {n_all} are the same sequences"
                return f"{printable(mismatch)}; by length {some} under other names: rename them by {table}"
            other = self.vcf_build if self.vcf_build != self.reference_build else None
            points = f"; {self._source_of(other)}" if other else ""
            return printable(f"{mismatch}{points}; give the FASTA of the assembly the VCF was made on.")
        if self.belongs:
            return None
        reference = _with_build(self.reference, self.reference_build)
        source = self._source_of(self.likely_build) if self.likely_build else ""
        return printable(
            explanations.refusal(self.judged, self.asked, self.vcf, reference, self.chance, source, self.n_records)
        )

    def _source_of(self, build: str) -> str:
        """Return the part of a sentence that says what points to this build: the names of contigs, or the header."""
        by_names = likely_build(dict.fromkeys((use.name for use in self.contigs), 0)) == build
        return f"{'the names of its contigs point' if by_names else 'its header points'} to {build}"

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
        rows += [("  absent", join_names(absent))] if absent else []
        if self.n_compared:
            rows.append(("REF agrees", f"{percent(self.n_agreeing, self.n_compared)} of {self.n_compared:,}"))
        counts = self.counts
        if counts.n and (counts.n, counts.agree) != (self.n_compared, self.n_agreeing):
            rows.append(("  of those to score", f"{percent(counts.agree, counts.n)} of {counts.n:,}"))
        if counts.swap:
            rows.append(("ALT agrees instead", f"{counts.swap:,}"))
        rows += [("other sequence", of.evidence.name) for of in self.judged if of.is_other][:N_NAMES]
        several = " and ".join(self.accession_builds) if len(self.accession_builds) > 1 else "not stated"
        rows.append(("build", f"FASTA {self.reference_build or 'unknown'}, VCF {self.vcf_build or several}"))
        if self.length_differences:
            different = (f"{d.name} {d.length:,} / {d.reference_length:,}" for d in self.length_differences)
            rows.append(("lengths VCF / FASTA", join_names(different)))
        rows += [("note", note) for note in (*self.notes, *self.findings) if with_notes]
        return "\n".join(printable(line) for label, value in rows for line in _row(label, value))


def _with_build(name: str, build: str | None) -> str:
    return f"{name} ({build})" if build else name


def _row(label: str, value: str) -> list[str]:
    lines = [line for part in value.split("\n") for line in textwrap.wrap(part, _WIDTH - _LABEL)] or [""]
    return [f"{label:<{_LABEL}}{lines[0]}", *(" " * _LABEL + line for line in lines[1:])]
