"""Alleles of variants -> the motifs whose best score over the changed bases rises and falls most -> fields of records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
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
from genoformer.genome.codes import Codes, encode
from genoformer.genome.fit import check_fit
from genoformer.genome.normalise import normalise, trimmed
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Status, Variant
from genoformer.writers import Field, Source

NAME = "GF_MOTIF"
LONGEST = 1_000  # bases of an allele
_AT_ONCE = 2_048  # variants

DIRECTIONS = ("GAINED", "LOST")


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
    """Motif changes as INFO fields, one value for each ALT: read from a motif file, with the genome of the variants.

    Alleles without a sequence, on unknown contigs, or whose REF disagrees with the genome have no value; `notes` counts them.
    """

    path: Path
    genome: Genome
    threshold: float = 1e-4  # largest P of a hit
    _left_out: dict[str, int] = field(default_factory=dict)
    _n_alleles: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise OptionError("motif_p", f"is {self.threshold:g}, expected a number between 0 and 1; give one such as 1e-4.")
        matrices = read_matrices(self.path)
        self.motifs = MotifSet(matrices, self.threshold)
        self._names: dict[str, str | None] = {}

    @property
    def fields(self) -> list[Field]:
        rows = []
        for word in DIRECTIONS:
            rises = "rises" if word == "GAINED" else "falls"
            rows += [
                Field(f"{NAME}_{word}", "String", f"motif of {self.path.name} whose best score {rises} most, for each ALT"),
                Field(f"{NAME}_{word}_REF", "Float", "its best score over REF, in bits"),
                Field(f"{NAME}_{word}_ALT", "Float", "its best score over ALT, in bits"),
                Field(f"{NAME}_{word}_P", "Float", "P of a change like this in a random window"),
            ]
        return rows

    @property
    def source(self) -> Source:
        return Source(NAME, self.path.name, sha256_of(self.path), tuple(field.key for field in self.fields))

    def values(self, records: Sequence[Record], first: int) -> Iterator[FieldValues]:
        """Yield the field values of records, which are numbered from 0; first: index of the first field."""
        checked = check_fit(records, self.genome, _Contigs(self), LONGEST)
        places, variants = [], []
        for i, (record, statuses) in enumerate(zip(checked.records, checked.statuses, strict=True)):
            for j, (alt, status) in enumerate(zip(record.alts, statuses, strict=True)):
                self._n_alleles += 1
                if status is not Status.OK:
                    self._left_out[status] = self._left_out.get(status, 0) + 1
                elif record.ref.upper() != alt.upper():
                    chrom = self.contig(record.chrom)
                    assert chrom is not None
                    places.append((i, j))
                    variants.append(Variant(chrom, record.pos, record.ref.upper(), alt.upper()))
        if not variants:
            return
        for number, changes in enumerate(motif_changes(self.motifs, self.genome, variants)):
            texts = self._columns(changes)
            rows: dict[int, list[tuple[str, ...]]] = {}
            for (i, j), has_motif, of in zip(places, changes.motif >= 0, zip(*texts, strict=True), strict=True):
                if has_motif:
                    rows.setdefault(i, [(".",) * 4] * len(records[i].alts))[j] = of
            flat = [of for i in rows for of in rows[i]]
            if flat:
                index = np.repeat(np.array(list(rows)), [len(of) for of in rows.values()])
                yield FieldValues(first + 4 * number, index, [list(column) for column in zip(*flat, strict=True)])

    def _columns(self, changes: MotifChange) -> list[list[str]]:
        numbers = [[f"{value:.2f}" for value in of.tolist()] for of in (changes.ref, changes.alt)]
        names = [self.motifs.names[motif] for motif in changes.motif.tolist()]
        return [names, *numbers, [f"{value:.2g}" for value in changes.p.tolist()]]

    def contig(self, name: str) -> str | None:
        """Return the genome's name of a contig of the VCF, or None."""
        if name not in self._names:
            try:
                self._names[name] = self.genome.resolve(name)
            except ContigError:
                self._names[name] = None
        return self._names[name]

    def notes(self) -> list[str]:
        """Return a note on the alleles without motif changes, by reason."""
        if not self._left_out:
            return []
        reasons = ", ".join(f"{n:,} {status}" for status, n in sorted(self._left_out.items()))
        return [f"{sum(self._left_out.values()):,} of {self._n_alleles:,} alleles were not scanned for motifs: {reasons}."]


class _Contigs:
    """Mapping from the names of a VCF to those of the genome."""

    def __init__(self, annotation: MotifAnnotation) -> None:
        self._annotation = annotation

    def get(self, name: str, /) -> str | None:
        return self._annotation.contig(name)
