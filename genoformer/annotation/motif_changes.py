"""Alleles of variants -> the motifs whose best score over the changed bases rises and falls most -> fields of records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.annotation.motif_scores import UNIT, Floats, Integers, MotifSet, Units
from genoformer.annotation.overlap import FieldValues
from genoformer.errors import ContigError, OptionError
from genoformer.files import sha256_of
from genoformer.formats.motif_files import read_matrices
from genoformer.formats.vcf import Record
from genoformer.formats.vcf_text import ENCODING, ERRORS
from genoformer.genome.codes import Codes, encode
from genoformer.genome.fit import check_fit
from genoformer.genome.normalise import normalise, trimmed
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Status, Variant
from genoformer.writers import Field, Source

NAME = "GF_MOTIF"
LONGEST = 1_000  # bases of an allele
P_VALUE = 1e-4  # default of the largest P of a hit; its score is positive, too
_AT_ONCE = 2_048  # variants


class MotifChange(NamedTuple):
    """Motif of the largest change in one direction, for each of n variants; scores in bits."""

    motif: Integers  # [n], -1: no motif with a hit changes in this direction
    ref: Floats  # [n], best score of a window that touches the allele
    alt: Floats
    p: Floats  # [n], P of the change


def motif_changes(motifs: MotifSet, genome: Genome, variants: Sequence[Variant]) -> tuple[MotifChange, MotifChange]:
    """Return the most gained and the most lost motif of each variant.

    A motif is gained if the best score over the windows that touch the changed bases is higher in ALT and a hit there, and lost
    if it is lower in ALT and a hit in REF. The one with the largest difference counts; of equal ones the first. Variants are
    normalised first; an allele without bases is touched by the windows with bases on both sides of it.

    P of the change: of a random window with a random substitution (`Distribution.p_of_substitutions`), for an SNV; for others,
    of two independent random windows, one with at most the lower score and one with at least the higher.
    """
    short = [v if len(v.ref) == len(v.alt) == 1 else trimmed(normalise(v, genome)) for v in variants]
    groups: dict[tuple[int, int], list[int]] = {}
    for i, variant in enumerate(short):
        groups.setdefault((len(variant.ref), len(variant.alt)), []).append(i)
    sides = _Scores(len(variants)), _Scores(len(variants))
    for (n_ref, n_alt), rows in groups.items():
        for first in range(0, len(rows), _AT_ONCE):
            some = np.array(rows[first : first + _AT_ONCE])
            ref, alt = _windows(motifs.flank, genome, [short[i] for i in some.tolist()])
            before, after = motifs.best_scores(ref, n_ref), motifs.best_scores(alt, n_alt)
            sides[0].add(some, motifs.least_hits, before, after)
            sides[1].add(some, motifs.least_hits, after, before)
    is_snv = np.array([len(v.ref) == len(v.alt) == 1 for v in short], dtype=bool)
    gained, lost = (side.p(motifs, is_snv) for side in sides)
    low, high = ((side.low * UNIT, side.high * UNIT) for side in sides)
    return MotifChange(sides[0].motif, low[0], low[1], gained), MotifChange(sides[1].motif, high[1], high[0], lost)


class _Scores:
    """Motifs of the largest change in one direction, and their scores in units: the lower, and the higher one, a hit."""

    def __init__(self, n: int) -> None:
        self.motif = np.full(n, -1, dtype=np.int64)
        self.low, self.high = np.full(n, np.nan), np.full(n, np.nan)

    def add(self, rows: Integers, least_hits: Units, low: Units, high: Units) -> None:
        """Add variants in these rows with their best scores [B, M]."""
        counts = (high >= least_hits) & np.isfinite(low)  # without a window in the other allele there is no difference
        rise = np.where(counts, high, -np.inf) - np.where(counts, low, 0)
        motif, at = rise.argmax(axis=1), np.arange(len(rows))
        has_change = rise[at, motif] > 0
        rows, at, motif = rows[has_change], at[has_change], motif[has_change]
        self.motif[rows], self.low[rows], self.high[rows] = motif, low[at, motif], high[at, motif]

    def p(self, motifs: MotifSet, is_snv: NDArray[np.bool_]) -> Floats:
        """Return P of each change."""
        p = np.full(len(self.motif), np.nan)
        for number in np.unique(self.motif[self.motif >= 0]).tolist():
            distribution, rows = motifs.distributions[number], np.flatnonzero(self.motif == number)
            low, high = self.low[rows], self.high[rows]
            p_high = distribution.p_at_least(high)
            p[rows] = p_high * (1 - distribution.p_at_least(low + 1))
            of_snvs = is_snv[rows]
            p[rows[of_snvs]] = distribution.p_of_substitutions(low[of_snvs].astype(np.int64), high[of_snvs].astype(np.int64))
        return p


def _windows(flank: int, genome: Genome, variants: Sequence[Variant]) -> tuple[Codes, Codes]:
    """Return the codes of REF and ALT, each of one length, between their flanks: [B, flank + n + flank]."""
    n_ref = len(variants[0].ref)
    ref = np.empty((len(variants), 2 * flank + n_ref), dtype=np.uint8)
    contigs: dict[str, list[int]] = {}
    for i, variant in enumerate(variants):
        contigs.setdefault(variant.chrom, []).append(i)
    for chrom, rows in contigs.items():
        ref[rows] = genome.windows(chrom, np.array([variants[i].start for i in rows]) - flank, 2 * flank + n_ref)
    inserted = encode("".join(variant.alt for variant in variants)).reshape(len(variants), -1)
    return ref, np.concatenate([ref[:, :flank], inserted, ref[:, flank + n_ref :]], axis=1)


# Fields of records


@dataclass
class MotifAnnotation:
    """Motif changes as INFO fields, one value for each ALT: read from a motif file, with the genome of the variants."""

    path: Path
    genome: Genome
    threshold: float = P_VALUE  # largest P of a hit

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise OptionError("motif_p", f"is {self.threshold:g}, expected a number between 0 and 1; give one such as 1e-4.")
        self.motifs = MotifSet(read_matrices(self.path), self.threshold)
        self._names: dict[str, str | None] = {}

    @property
    def fields(self) -> list[Field]:
        rows = []
        for word, moves in (("GAINED", "rises"), ("LOST", "falls")):
            rows += [
                Field(f"{NAME}_{word}", "String", f"motif of {self.path.name} whose best score {moves} most", number="A"),
                Field(f"{NAME}_{word}_REF", "Float", "its best score over REF, in bits", number="A"),
                Field(f"{NAME}_{word}_ALT", "Float", "its best score over ALT, in bits", number="A"),
                Field(f"{NAME}_{word}_P", "Float", "P of a change like this in a random window", number="A"),
            ]
        return [*rows, Field(f"{NAME}_STATUS", "String", "reason why an ALT was not scanned for motifs", number="A")]

    @property
    def source(self) -> Source:
        return Source(NAME, self.path.name, sha256_of(self.path), tuple(field.key for field in self.fields))

    def values(self, text: bytes, first: int) -> list[FieldValues]:
        """Return the field values of the records of a block, whole lines of a VCF; first: index of the first field.

        An allele that does not have the status OK (`Status`) has this status in place of motifs.
        """
        records = list(_records(text))
        checked = check_fit(records, self.genome, _Contigs(self), LONGEST)
        places: list[tuple[int, int]] = []
        variants, reasons = [], _Rows(records)
        for i, (record, statuses) in enumerate(zip(checked.records, checked.statuses, strict=True)):
            chrom = self.contig(record.chrom)
            for j, (alt, status) in enumerate(zip(record.alts, statuses, strict=True)):
                if status is not Status.OK or chrom is None:
                    reasons.add((i, j), (str(status),))
                elif record.ref.upper() != alt.upper():
                    places.append((i, j))
                    variants.append(Variant(chrom, record.pos, record.ref.upper(), alt.upper()))
        values = []
        for number, changes in enumerate(motif_changes(self.motifs, self.genome, variants) if variants else ()):
            rows = _Rows(records)
            for at in np.flatnonzero(changes.motif >= 0).tolist():
                scores = (f"{changes.ref[at]:.2f}", f"{changes.alt[at]:.2f}", f"{changes.p[at]:.2g}")
                rows.add(places[at], (self.motifs.names[changes.motif[at]], *scores))
            values += rows.values(first + 4 * number)
        return [*values, *reasons.values(first + 8)]

    def contig(self, name: str) -> str | None:
        """Return the genome's name of a contig of the VCF, or None."""
        if name not in self._names:
            try:
                self._names[name] = self.genome.resolve(name)
            except ContigError:
                self._names[name] = None
        return self._names[name]


def motif_annotation(path: str | PathLike[str], genome: Genome | None, threshold: float = P_VALUE) -> MotifAnnotation:
    """Read a file of motifs for an annotation; OptionError without a genome, which has the bases around the variants."""
    if genome is None:
        raise OptionError("motifs", "needs the bases around each variant; give the reference genome (FASTA), too.")
    return MotifAnnotation(Path(path), genome, threshold)


class LeftOut:
    """Counts of the alleles that were not scanned for motifs, by status; first: index of the first motif field."""

    def __init__(self, first: int) -> None:
        self._field, self._n = first + 8, Counter[str]()

    def add(self, values: Sequence[FieldValues]) -> None:
        """Count the alleles in the field values of a block."""
        for field in values:
            if field.first == self._field:
                self._n.update(text for text in field.texts[0] if text != ".")

    def notes(self) -> list[str]:
        """Return a note if there are some."""
        if not self._n:
            return []
        reasons = ", ".join(f"{n:,} {status}" for status, n in sorted(self._n.items()))
        return [f"{self._n.total():,} alleles were not scanned for motifs: {reasons}."]


class _Rows:
    """Texts of some alleles of records, with a dot for the other alleles of these records."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records
        self._texts: dict[int, list[tuple[str, ...]]] = {}

    def add(self, place: tuple[int, int], texts: tuple[str, ...]) -> None:
        """Add the texts of an allele: the number of its record, and its own among the ALTs."""
        record, alt = place
        if record not in self._texts:
            self._texts[record] = [(".",) * len(texts)] * len(self._records[record].alts)
        self._texts[record][alt] = texts

    def values(self, first: int) -> list[FieldValues]:
        """Return the texts as values of the fields from number `first` on, by record."""
        if not self._texts:
            return []
        rows = sorted(self._texts)
        flat = [texts for row in rows for texts in self._texts[row]]
        records = np.repeat(np.array(rows, dtype=np.int64), [len(self._texts[row]) for row in rows])
        return [FieldValues(first, records, [list(column) for column in zip(*flat, strict=True)])]


class _Contigs:
    """Mapping from the names of a VCF to those of the genome."""

    def __init__(self, annotation: MotifAnnotation) -> None:
        self._annotation = annotation

    def get(self, name: str, /) -> str | None:
        return self._annotation.contig(name)


def _records(text: bytes) -> Iterator[Record]:
    """Yield the records of a block, whose lines have been checked."""
    for line in text.decode(ENCODING, ERRORS).split("\n"):
        if not line:
            continue
        chrom, pos, name, ref, alt = line.split("\t", 5)[:5]
        yield Record(line, chrom, int(pos), name, ref, () if alt == "." else tuple(alt.split(",")))
