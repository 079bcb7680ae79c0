"""Truth of a benchmark: items (variants, or enhancer-gene pairs) with labels or effects, and their scores by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError
from genoformer.genome.codes import decode
from genoformer.genome.contigs import ContigMap, canonical_key, join_names
from genoformer.genome.reference import Genome

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
_FEWEST_REF = 0.6  # fraction of REFs that are in the genome; by chance 0.25, of another assembly little more
_SHIFTED = 0.9  # fraction of REFs one base further on: positions from 0
_FEWEST_OF_BOTH = 0.8  # the same of variants of which either allele may be REF; by chance 0.5


class Allele(NamedTuple):
    """Variant as the set writes it; pos is 1-based."""

    chrom: str
    pos: int
    ref: str
    alt: str

    @property
    def key(self) -> tuple[str, int, str, str]:
        """Contig under any naming scheme, POS, REF, ALT, as `evaluation.truth` has them."""
        return canonical_key(self.chrom), self.pos, self.ref.upper(), self.alt.upper()

    @property
    def swapped(self) -> Allele:
        return Allele(self.chrom, self.pos, self.alt, self.ref)


@dataclass(frozen=True, eq=False)
class TruthSet:
    """N items with what is known of them.

    alleles: variants; () for other items. keys: key of each item, by which scores are found. chrom: contig of each item,
    canonical. label: bool [N], or None. effect: float [N], NaN where it was not measured, or None. group: matched group of each
    item; subset: element or consequence, for metrics of each; () if the set has none. confidence: of the effects, [N], or None.
    distance: from the enhancer to the TSS in bases, [N], or None. row: number of each item in the file, for tables of scores in
    its order, or None. oriented: False if it is not known which allele is REF. turned: items whose alleles and effect were
    swapped by `oriented`, bool [N], or None. notes: sentences on items that were left out.
    """

    keys: tuple[Any, ...]
    chrom: tuple[str, ...]
    alleles: tuple[Allele, ...] = ()
    label: Bools | None = None
    effect: Floats | None = None
    group: tuple[str, ...] = ()
    subset: tuple[str, ...] = ()
    confidence: Floats | None = None
    distance: Floats | None = None
    row: Ints | None = None
    oriented: bool = True
    turned: Bools | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: Ints | Bools) -> Self:
        """Return the set with these items, in this order."""
        numbers = np.flatnonzero(rows) if rows.dtype == bool else rows
        changes: dict[str, Any] = {}
        for name in ("keys", "chrom", "alleles", "group", "subset"):
            values = getattr(self, name)
            changes[name] = tuple(values[i] for i in numbers) if values else ()
        for name in ("label", "effect", "confidence", "distance", "row", "turned"):
            array = getattr(self, name)
            changes[name] = None if array is None else array[numbers]
        return replace(self, **changes)

    def values_of(self, scores: Mapping[Any, float]) -> Floats:
        """Return the score of each item, [N], NaN for those without one.

        In a set that is not oriented, and for alleles that were turned, a score of the swapped alleles counts with the opposite
        sign.
        """
        found = np.array([scores.get(key, np.nan) for key in self.keys], dtype=np.float64)
        swappable = self.turned if self.oriented else np.ones(len(self), dtype=bool)
        if swappable is not None and self.alleles:
            for i in np.flatnonzero(np.isnan(found) & swappable):
                found[i] = -scores.get(self.alleles[i].swapped.key, np.nan)
        return found

    def in_order(self, values: Floats) -> Floats:
        """Return the values of the items, [N], from values in the order of the file; turned alleles change the sign."""
        assert self.row is not None
        return values[self.row] if self.turned is None else np.where(self.turned, -values[self.row], values[self.row])


def variant_set(alleles: Sequence[Allele], **fields: Any) -> TruthSet:
    """Return the set of variants; of those that are listed twice the first row counts.

    Raises ConfigError without a variant.
    """
    keys = tuple(allele.key for allele in alleles)
    if not keys:
        raise ConfigError("the file has no variant that the benchmark uses; is it the file that its authors publish?")
    fields.setdefault("row", np.arange(len(keys)))
    made = TruthSet(keys, tuple(key[0] for key in keys), tuple(alleles), **fields)
    if len(set(keys)) == len(keys):
        return made
    has_subsets = bool(made.subset)  # a variant may be in several elements, such as those of two cell types
    once = list({(key, made.subset[i] if has_subsets else ""): i for i, key in reversed(list(enumerate(keys)))}.values())
    n_twice = len(keys) - len(once)
    kept = made.take(np.array(sorted(once), dtype=np.int64))
    return replace(kept, notes=(*made.notes, f"{n_twice:,} repeated rows were left out.")) if n_twice else kept


def oriented(truth: TruthSet, genome: Genome) -> TruthSet:
    """Return the set with the base of the genome as REF: swapped alleles change the sign of the effect.

    Variants of which neither allele is in the genome, or whose bases it lacks, are left out with a note. Raises ConfigError if
    too few of those whose bases it has fit.
    """
    contigs = ContigMap({allele.chrom for allele in truth.alleles}, genome.contigs)
    known, kept, swapped = (np.zeros(len(truth), dtype=bool) for _ in range(3))
    for i, allele in enumerate(truth.alleles):
        base = _bases(allele, genome, contigs)
        known[i] = base is not None
        kept[i] = base == allele.ref.upper()
        if not truth.oriented and not kept[i] and len(allele.ref) == len(allele.alt):
            swapped[i] = base == allele.alt.upper()
    kept |= swapped
    if not known.any() or kept.sum() < (_FEWEST_REF if truth.oriented else _FEWEST_OF_BOTH) * known.sum():
        raise ConfigError(_refusal(truth, genome, contigs, int(kept.sum()), int(known.sum())))
    alleles = tuple(a.swapped if turn else a for a, turn in zip(truth.alleles, swapped, strict=True))
    effect = None if truth.effect is None else np.where(swapped, -truth.effect, truth.effect)
    notes = list(truth.notes)
    if n_lost := int((~kept).sum()):
        notes.append(
            f"{n_lost:,} of {len(truth):,} variants were left out: {genome.name} lacks their place, or has another base there."
        )
    if n_turned := int(swapped.sum()):
        notes.append(f"{n_turned:,} of {len(truth):,} variants were turned: the genome has their second allele.")
    turned = replace(
        truth,
        keys=tuple(allele.key for allele in alleles),
        alleles=alleles,
        effect=effect,
        oriented=True,
        turned=swapped if swapped.any() else None,
        notes=tuple(notes),
    )
    return turned.take(kept)


def _bases(allele: Allele, genome: Genome, contigs: ContigMap, shift: int = 0) -> str | None:
    """Return the bases of the genome at REF, moved by `shift`; None where it has none or an N."""
    contig, first = contigs.get(allele.chrom), allele.pos - 1 + shift
    if contig is None or first < 0 or first + len(allele.ref) > genome.contigs[contig]:
        return None
    bases = decode(genome.window(contig, first, len(allele.ref)))
    return None if "N" in bases else bases


def _refusal(truth: TruthSet, genome: Genome, contigs: ContigMap, n_fit: int, n_known: int) -> str:
    """Return why the variants do not fit the genome: its contigs, its length, positions from 0, or another assembly."""
    names = {allele.chrom for allele in truth.alleles}
    if all(contigs.get(name) is None for name in names):
        return (
            f"{genome.name} has the contigs {join_names(list(genome.contigs))}, expected those of the benchmark, "
            f"{join_names(sorted(names))}; give the genome of its assembly."
        )
    if not n_known:
        return f"{genome.name} has no bases at any of the {len(truth):,} variants; give the genome of the benchmark's assembly."
    n_next = sum(_bases(allele, genome, contigs, 1) == allele.ref.upper() for allele in truth.alleles)
    if truth.oriented and n_next >= _SHIFTED * n_known:
        return (
            f"REF of {n_next:,} of {n_known:,} variants is in {genome.name} one base after its position, so that positions "
            "count from 0; add 1 to them."
        )
    what = "REF" if truth.oriented else "one of the alleles"
    return f"{what} of {n_fit:,} of {n_known:,} variants is in {genome.name}; is it the assembly of the benchmark?"
