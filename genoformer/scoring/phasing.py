"""Genotypes of one sample in a window -> allele of each chromosome at every record, in one phase set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from genoformer.genome.genotypes import Genotype

ANOTHER_SET = "another phase set"
ANOTHER_PLOIDY = "another ploidy"


class _Call(NamedTuple):
    """Alleles of a genotype by chromosome, and its phase set; None if it fits every set."""

    chromosomes: tuple[int, ...]
    phase_set: str | None


def phase(
    genotypes: Sequence[Genotype], usable: Sequence[Collection[int]], ploidy: int
) -> tuple[list[tuple[int, ...]], Counter[str]]:
    """Return the allele of each chromosome for each genotype (0 for REF), and counts of alleles left out, by reason.

    usable: for each record, the numbers of the ALTs that can be scored; other alleles become 0. Only the phase set with most
    alleles is kept, because the chromosomes of different sets cannot be matched. A genotype of another ploidy is left out,
    because its chromosomes are unknown.
    """
    left_out: Counter[str] = Counter()
    none = (0,) * ploidy
    calls: list[_Call] = []
    names = _Names(ploidy)
    for genotype, alts in zip(genotypes, usable, strict=True):
        if not any(genotype.alleles):  # true for nearly all genotypes in a file with many samples
            calls.append(_Call(none, None))
            continue
        if len(genotype.alleles) != ploidy:
            left_out[ANOTHER_PLOIDY] += sum(allele in alts for allele in genotype.chromosomes)
            calls.append(_Call(none, None))
            continue
        order = list(range(ploidy))
        of = None if genotype.alike else genotype.phase_sets[0]
        if genotype.by_allele and not genotype.alike:
            found = names.place(genotype)
            if found is None:
                left_out[ANOTHER_SET] += len(set(alts).intersection(genotype.chromosomes))
                calls.append(_Call(none, None))
                continue
            of, order = found
        chromosomes = list(none)
        for c, allele in zip(order, genotype.chromosomes, strict=True):
            if allele in alts:
                chromosomes[c] = allele
        calls.append(_Call(tuple(chromosomes), of))
    n_alleles: Counter[str] = Counter()
    for call in calls:
        if call.phase_set is not None and any(call.chromosomes):
            n_alleles[call.phase_set] += len({*call.chromosomes} - {0})
    if len(n_alleles) > 1:
        ((most, _),) = n_alleles.most_common(1)
        left_out[ANOTHER_SET] += n_alleles.total() - n_alleles[most]
        calls = [call if call.phase_set in (None, most) else _Call(none, None) for call in calls]
    return [call.chromosomes for call in calls], left_out


class _Names:
    """Names of PSL, one per chromosome; names in the same genotype belong to one block."""

    def __init__(self, ploidy: int) -> None:
        self.ploidy = ploidy
        self.known: dict[str, tuple[str, int]] = {}  # name -> block, chromosome

    def place(self, genotype: Genotype) -> tuple[str, list[int]] | None:
        """Return (block, chromosome of each allele); None if it is ambiguous.

        In a new block the alleles keep the order of GT. In a known block, alleles with no name or a new name take the free
        chromosomes. This is unambiguous for a single such allele, and the order does not matter for identical ones.
        """
        names = genotype.phase_sets
        found = [self.known.get(name) if name else None for name in names]
        blocks = {each[0] for each in found if each}
        if len(blocks) > 1:
            return None
        if not blocks:
            block = "PSL " + next(name for name in names if name)
            self.known.update({name: (block, c) for c, name in enumerate(names) if name})
            return block, list(range(self.ploidy))
        left = [c for c in range(self.ploidy) if c not in {each[1] for each in found if each}]
        open_ = [i for i, each in enumerate(found) if each is None]
        if len(left) != len(open_) or len({genotype.alleles[i] for i in open_}) > 1:
            return None
        (block,) = blocks
        order = [each[1] if each else left.pop(0) for each in found]
        if len(open_) == 1 and names[open_[0]]:
            self.known[names[open_[0]]] = block, order[open_[0]]
        return block, order
