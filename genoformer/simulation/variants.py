"""Simulate variants: sequence + motif instances -> variants that break a motif, with their bits, and matched neutral ones."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.genome.codes import Codes, N, decode, encode, reverse_complement
from genoformer.simulation.grammar import STATES, Instance
from genoformer.simulation.motifs import best_match_bits, load_motifs, match_bits

BREAKING, NEUTRAL = "MOTIF_BREAKING", "NEUTRAL"
BREAKING_BITS = 2.0  # minimum loss in bits of a broken instance: a four-fold change of the likelihood
BREAKING_SHARE = 0.28  # fraction of the variants
INDEL_SHARE = 0.10  # fraction of the variants
MULTIALLELIC_SHARE = 0.005  # fraction of the variants; at least one breaking and one neutral
MATCHED_SHARE = 0.5  # fraction of the neutral variants that lie in elements of the same state as the breaking ones
TS_TV = 2.1  # transitions per transversion, as between human genomes
MAX_INDEL = 12
N_HAPLOTYPES = 5_008  # haplotypes of the 1000 Genomes project: the rarest allele occurs once
REGULATORY = tuple(STATES.index(state) for state in ("TSS", "E", "WE", "CTCF"))


class Record(NamedTuple):
    """VCF record; the tuples hold one entry per ALT."""

    contig: str
    pos: int  # 1-based
    ref: str
    alts: tuple[str, ...]
    afs: tuple[float, ...]
    truths: tuple[str, ...]
    bits: tuple[float, ...]  # bits that the instance loses; 0 for neutral variants
    motif: str  # "." for neutral variants
    state: str  # state of the base at `pos`


class Planted(NamedTuple):
    """Contig with planted motif instances, on which variants are drawn."""

    name: str
    codes: Codes
    states: NDArray[np.uint8]
    instances: list[Instance]

    def covered(self) -> NDArray[np.bool_]:
        """Return the mask of the bases that lie in an instance, bool [L]."""
        covered = np.zeros(len(self.codes), dtype=bool)
        for instance in self.instances:
            covered[instance.start : instance.end] = True
        return covered


class _Choices(NamedTuple):
    """Table of every substitution that breaks an instance, as columns."""

    pos: NDArray[np.int64]  # 0-based
    alt: NDArray[np.uint8]
    bits: NDArray[np.float64]
    instance: NDArray[np.int64]


def make_variants(contig: Planted, n: int, rng: np.random.Generator) -> list[Record]:
    """Draw `n` records of one contig, ascending and without overlaps.

    Breaking substitutions are drawn from all (instance, position, ALT) that cost at least BREAKING_BITS, with a ratio TS_TV
    of transitions to transversions. Each neutral substitution copies REF and ALT from a breaking one, so that both kinds
    have the same mutation spectrum, and lies outside every instance. A fraction MATCHED_SHARE of them lies in an element of
    the same state, the others outside all elements. Allele frequencies fall off as 1 / x, faster for breaking variants.
    """
    n_indels = round(INDEL_SHARE * n)
    n_breaking = round(BREAKING_SHARE * (n - n_indels))
    records = _breaking_snvs(contig, n_breaking, rng)
    records += _neutral_snvs(contig, records, n - n_indels - n_breaking, rng)
    taken = np.zeros(len(contig.codes), dtype=bool)
    taken[[record.pos - 1 for record in records]] = True
    n_breaking = round(BREAKING_SHARE * n_indels)
    records += _breaking_indels(contig, taken, n_breaking, rng)
    records += _neutral_indels(contig, taken, n_indels - n_breaking, rng)
    return sorted(records, key=lambda record: record.pos)


def snv_bits(instance: Instance, codes: Codes) -> NDArray[np.float64]:
    """Return log2 p(ref) - log2 p(alt) of every substitution in an instance, float [W, 4], forward strand; 0 for REF."""
    log2p = load_motifs()[instance.motif].log2p
    if instance.strand == "-":
        log2p = log2p[::-1, ::-1]
    site = codes[instance.start : instance.end]
    return log2p[np.arange(len(site)), site][:, None] - log2p


def indel_bits(instance: Instance, codes: Codes, pos: int, ref: Codes, alt: Codes) -> float:
    """Return the bits of the instance minus the best match to its motif nearby after `ref` at `pos` is replaced by `alt`.

    Nearby positions, on both strands, share at least one base with the location of the instance.
    """
    motif = load_motifs()[instance.motif]
    low = min(instance.start - motif.width + 1, pos)
    high = max(instance.end + motif.width - 1, pos + len(ref))
    altered = np.concatenate([codes[low:pos], alt, codes[pos + len(ref) : high]])
    site = codes[instance.start : instance.end]
    had = match_bits(motif, site if instance.strand == "+" else reverse_complement(site))
    return had - best_match_bits(motif, altered)


def _breaking_snvs(contig: Planted, n: int, rng: np.random.Generator) -> list[Record]:
    choices = _choices(contig)
    transition = (contig.codes[choices.pos] ^ choices.alt) == 2
    weight = np.where(transition, TS_TV / max(transition.sum(), 1), 1 / max((~transition).sum(), 1))
    order = np.argsort(rng.exponential(size=len(weight)) / weight)  # a weighted draw without replacement
    _, first = np.unique(choices.pos[order], return_index=True)
    picked = order[np.sort(first)][:n]
    assert len(picked) == n, "more breaking variants than positions"
    n_multi = _n_multiallelic(n)
    records = []
    for k in picked:
        pos = int(choices.pos[k])
        same = np.flatnonzero(choices.pos == pos) if n_multi else np.array([k])
        both = [k, *same[same != k]][: 2 if n_multi else 1]
        n_multi -= len(both) == 2
        alts = [choices.alt[a : a + 1] for a in both]
        bits = tuple(float(choices.bits[a]) for a in both)
        motif = contig.instances[choices.instance[k]].motif
        records.append(_record(contig, pos, contig.codes[pos : pos + 1], alts, motif, bits, rng))
    return records


def _choices(contig: Planted) -> _Choices:
    columns: list[tuple[NDArray[Any], ...]] = []
    for i, instance in enumerate(contig.instances):
        bits = snv_bits(instance, contig.codes)
        offset, alt = np.nonzero(bits >= BREAKING_BITS)
        columns.append((instance.start + offset, alt.astype(np.uint8), bits[offset, alt], np.full(len(alt), i)))
    return _Choices(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def _neutral_snvs(contig: Planted, breaking: list[Record], n: int, rng: np.random.Generator) -> list[Record]:
    wanted: dict[tuple[str, str], list[str]] = {}  # (state or "" for outside, REF) -> ALTs
    for i, matched in zip(rng.integers(len(breaking), size=n), rng.random(n) < MATCHED_SHARE, strict=True):
        like = breaking[i]
        wanted.setdefault((like.state if matched else "", like.ref), []).append(like.alts[0])
    free = ~contig.covered()
    outside = ~np.isin(contig.states, REGULATORY)
    n_multi = _n_multiallelic(n)
    records = []
    for (state, ref), alts in sorted(wanted.items()):
        where = contig.states == STATES.index(state) if state else outside
        pool = np.flatnonzero(where & free & (contig.codes == encode(ref)))
        for pos, alt in zip(rng.choice(pool, size=len(alts), replace=False), alts, strict=True):
            letters = [alt]
            if n_multi and rng.random() < 2 * MULTIALLELIC_SHARE:
                letters.append(next(base for base in "ACGT" if base not in (ref, alt)))
                n_multi -= 1
            records.append(_neutral(contig, int(pos), encode(ref), [encode(letter) for letter in letters], rng))
    return records


def _breaking_indels(contig: Planted, taken: NDArray[np.bool_], n: int, rng: np.random.Generator) -> list[Record]:
    """Draw `n` indels that fall into an instance and break it; mark their bases as taken."""
    records: list[Record] = []
    while len(records) < n:
        instance = contig.instances[rng.integers(len(contig.instances))]
        pos, ref, alt = _indel(contig.codes, int(rng.integers(instance.start, instance.end)), rng)
        if taken[pos : pos + len(ref)].any():
            continue
        bits = indel_bits(instance, contig.codes, pos, ref, alt)
        if bits >= BREAKING_BITS:
            taken[pos : pos + len(ref)] = True
            records.append(_record(contig, pos, ref, [alt], instance.motif, (bits,), rng))
    return records


def _neutral_indels(contig: Planted, taken: NDArray[np.bool_], n: int, rng: np.random.Generator) -> list[Record]:
    """Draw `n` indels that touch no instance in any equivalent placement; mark their bases as taken."""
    covered = contig.covered()
    free = ~covered & (contig.codes != N)
    inside = np.isin(contig.states, REGULATORY)
    pools = np.flatnonzero(free & inside), np.flatnonzero(free & ~inside)
    records: list[Record] = []
    while len(records) < n:
        pool = pools[0 if rng.random() < MATCHED_SHARE else 1]
        pos, ref, alt = _indel(contig.codes, int(rng.choice(pool)), rng)
        end = _rightmost_end(contig.codes, pos, ref, alt)
        if taken[pos : pos + len(ref)].any() or covered[pos:end].any() or N in contig.codes[pos:end]:
            continue
        taken[pos : pos + len(ref)] = True
        records.append(_neutral(contig, pos, ref, [alt], rng))
    return records


def _indel(codes: Codes, at: int, rng: np.random.Generator) -> tuple[int, Codes, Codes]:
    """Draw an insertion before, or a deletion from, base `at`; return 0-based position, REF and ALT, left-aligned."""
    k = min(int(rng.geometric(0.35)), MAX_INDEL)
    deleted = rng.random() < 0.5
    if deleted:
        changed = codes[at : at + k]
    elif rng.random() < 0.5:
        changed = codes[at : at + k]  # a tandem duplication
    else:
        changed = rng.integers(4, size=k).astype(np.uint8)
    changed = changed.copy()
    while codes[at - 1] == changed[-1]:
        changed = np.roll(changed, 1)
        at -= 1
    shared = codes[at - 1 : at]
    longer = np.concatenate([shared, changed])
    return (at - 1, longer, shared) if deleted else (at - 1, shared, longer)


def _rightmost_end(codes: Codes, pos: int, ref: Codes, alt: Codes) -> int:
    """Return the end of the last base that the indel touches in any of its equivalent placements."""
    changed = (ref if len(ref) > len(alt) else alt)[1:]
    end = pos + len(ref)
    while codes[end] == changed[0]:
        changed = np.roll(changed, -1)
        end += 1
    return end


def _n_multiallelic(n: int) -> int:
    return max(1, round(MULTIALLELIC_SHARE * n)) if n else 0


def _neutral(contig: Planted, pos: int, ref: Codes, alts: list[Codes], rng: np.random.Generator) -> Record:
    return _record(contig, pos, ref, alts, ".", (0.0,) * len(alts), rng)


def _record(
    contig: Planted,
    pos: int,
    ref: Codes,
    alts: list[Codes],
    motif: str,
    bits: tuple[float, ...],
    rng: np.random.Generator,
) -> Record:
    breaking = motif != "."
    # a log-uniform draw has density 1 / x; its square makes breaking alleles rarer
    u = rng.random(len(alts)) ** (2 if breaking else 1)
    counts = np.floor(N_HAPLOTYPES**u / len(alts)).clip(1)
    return Record(
        contig.name,
        pos + 1,
        decode(ref),
        tuple(decode(alt) for alt in alts),
        tuple(round(float(count) / N_HAPLOTYPES, 6) for count in counts),
        (BREAKING if breaking else NEUTRAL,) * len(alts),
        bits,
        motif,
        STATES[contig.states[pos]],
    )
