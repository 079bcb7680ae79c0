"""Genotypes of VCF 4.1 to 4.5: GT, PS and PSL of a record -> the alleles of every sample, and their known chromosomes.

Docs: docs/genotypes.md. A phase indicator, `/` or `|`, precedes every allele. The first one may be omitted; it is then `|`
if all others are `|`, otherwise `/`. The file's VCF version does not change this rule, because many files state the wrong
version.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.formats.vcf import Record

_GT = re.compile(r"[/|]?(?:\d{1,9}|\.)(?:[/|](?:\d{1,9}|\.))*", re.ASCII)
_PARTS = re.compile(r"([/|]?)(\d+|\.)", re.ASCII)


class Genotype(NamedTuple):
    """Alleles of a sample at a record, in the order of GT.

    alleles: the number of the ALT from 1, 0 for REF, None if unknown; empty if GT is missing or unreadable. placed: True if the
    chromosome of the allele is known. phase_sets: phase set of each allele, "" if none is named.
    """

    alleles: tuple[int | None, ...] = ()
    placed: tuple[bool, ...] = ()
    phase_sets: tuple[str, ...] = ()
    by_allele: bool = False  # phase sets come from PSL: alleles with the same name are on one chromosome
    fault: str = ""  # reason for missing alleles

    @property
    def ordered(self) -> bool:
        """True if the chromosome of every allele is known."""
        return all(self.placed)

    @property
    def alike(self) -> bool:
        """True if all chromosomes have the same allele, so that phase adds no information."""
        return len(set(self.alleles)) <= 1

    @property
    def known_ploidy(self) -> int:
        """Number of chromosomes; 0 if no allele is known, because one dot is written for any ploidy."""
        return len(self.alleles) if any(allele is not None for allele in self.alleles) else 0

    @property
    def chromosomes(self) -> tuple[int, ...]:
        """Allele of each chromosome, 0 (REF) if it is unknown."""
        return tuple(allele or 0 if placed else 0 for allele, placed in zip(self.alleles, self.placed, strict=True))

    def exchanged(self, number: int) -> Genotype:
        """Return the genotype with REF and the ALT of this number swapped.

        >>> Genotype((0, 1, 2, None)).exchanged(2).alleles
        (2, 1, 0, None)
        """
        places: dict[int | None, int] = {0: number, number: 0}
        return self._replace(alleles=tuple(places.get(allele, allele) for allele in self.alleles))

    def left_out(self, n_alts: int) -> Counter[str]:
        """Count the alleles without a known chromosome, by reason; REF alleles are not counted, because they change nothing."""
        reasons = Counter([self.fault] if self.fault else [])
        for allele, placed in zip(self.alleles, self.placed, strict=True):
            if allele is None:
                reasons[NOT_KNOWN] += 1
            elif allele > n_alts:
                reasons[NO_SUCH_ALT] += 1
            elif allele and not placed:
                reasons[WITHOUT_PHASE] += 1
        return reasons


WITHOUT_PHASE = "without phase"
NOT_KNOWN = "not known"
NO_SUCH_ALT = "no such ALT"
WITHOUT_GT = "without GT"
UNREADABLE = "unreadable GT"


def genotypes(record: Record) -> Iterator[Genotype]:
    """Return the genotype of every sample of a record.

    >>> record = Record("1\\t5\\t.\\tA\\tC\\t.\\t.\\t.\\tGT:PS\\t0|1:7\\t|1\\t0/1", "1", 5, ".", "A", ("C",))
    >>> [(each.alleles, each.ordered) for each in genotypes(record)]
    [((0, 1), True), ((1,), True), ((0, 1), False)]
    """
    calls = calls_of(record)
    return (calls.kinds[number] for number in calls.numbers.tolist())


class Calls(NamedTuple):
    """Genotypes of all samples of a record; most samples have one of a few."""

    kinds: list[Genotype]  # distinct, in order of appearance
    numbers: NDArray[np.unsignedinteger]  # [samples], index into `kinds`

    def of_samples(self, columns: Sequence[int]) -> Calls:
        """Return the genotypes of some samples."""
        if list(columns) == list(range(len(self.numbers))):
            return self
        return calls_from(map(self.kinds.__getitem__, self.numbers[list(columns)].tolist()))

    def counts(self) -> dict[Genotype, int]:
        """Return the number of samples that have each genotype."""
        return dict(zip(self.kinds, np.bincount(self.numbers, minlength=len(self.kinds)).tolist(), strict=True))

    def exchanged(self, number: int) -> Calls:
        """Return the genotypes with REF and the ALT of this number swapped."""
        return self._replace(kinds=[kind.exchanged(number) for kind in self.kinds])


def calls_from(genotypes: Iterable[Genotype]) -> Calls:
    """Return the genotypes of samples as `Calls`.

    >>> calls_from([Genotype((0, 1)), Genotype((0, 0)), Genotype((0, 1))]).numbers.tolist()
    [0, 1, 0]
    """
    kinds: dict[Genotype, int] = {}
    numbers = [kinds.setdefault(genotype, len(kinds)) for genotype in genotypes]
    return Calls(list(kinds), np.array(numbers, dtype=np.min_scalar_type(len(kinds))))


def calls_of(record: Record) -> Calls:
    """Return the genotypes of all samples of a record, each distinct text of a sample parsed once."""
    fields = record.line.split("\t")[8:]
    keys, samples = fields[0].split(":") if fields else [], fields[1:]
    if "GT" not in keys:
        return Calls([NO_GENOTYPE] if samples else [], np.zeros(len(samples), dtype=np.uint8))
    at = keys.index("GT")
    sets = [(keys.index(key), key == "PSL") for key in ("PSL", "PS") if key in keys]
    kinds: dict[Genotype, int] = {}
    of_text = {text: kinds.setdefault(_genotype(text.split(":"), at, sets), len(kinds)) for text in dict.fromkeys(samples)}
    size = np.min_scalar_type(len(kinds))  # nearly always a byte per sample
    return Calls(list(kinds), np.fromiter(map(of_text.__getitem__, samples), dtype=size, count=len(samples)))


def _genotype(parts: Sequence[str], at: int, sets: Sequence[tuple[int, bool]]) -> Genotype:
    """Parse the fields of a sample. at: place of GT; sets: places of PSL and PS, and True for PSL."""
    text = parts[at] if at < len(parts) else "."
    for place, by_allele in sets:
        if place < len(parts) and parts[place].strip(".,"):
            return _parsed(text, parts[place], by_allele)
    return _parsed(text, "", False)


NO_GENOTYPE = Genotype(fault=WITHOUT_GT)


@lru_cache(maxsize=1 << 15)
def _parsed(text: str, phase_set: str, by_allele: bool) -> Genotype:
    """Parse the genotype of one text of GT, with its PS or PSL ("" for none)."""
    text = text.strip() or "."
    if not _GT.fullmatch(text):
        return Genotype(fault=UNREADABLE)
    signs, numbers = zip(*_PARTS.findall(text), strict=True)
    alleles = tuple(None if number == "." else int(number) for number in numbers)
    first = signs[0] or ("/" if "/" in signs[1:] else "|")
    phased = [sign == "|" for sign in (first, *signs[1:])]
    open_ = [allele for allele, known in zip(alleles, phased, strict=True) if not known]
    placed = tuple(known or len(open_) == 1 or len(set(open_)) == 1 for known in phased)  # one place is left, or all are equal
    if not by_allele:
        return Genotype(alleles, placed, (phase_set,) * len(alleles))
    names = [name if name != "." else "" for name in phase_set.split(",")]
    names = (names + [""] * len(alleles))[: len(alleles)]
    known_names = [name for name in names if name]
    if len(known_names) > 1 and len(set(known_names)) == 1:  # one name for all: equal to PS
        return Genotype(alleles, placed, (known_names[0],) * len(alleles))
    return Genotype(alleles, placed, tuple(names), by_allele=bool(known_names))
