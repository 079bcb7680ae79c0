"""Variants of one chromosome -> its sequence in a window, with all of them applied together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, encode
from genoformer.genome.normalise import trimmed
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant


class Change(NamedTuple):
    """Variant in a window: position of its REF in the reference, and offset of the haplotype's bases before it."""

    start: int  # in bases from the window's start
    ref_length: int
    alt_length: int
    offset: int


class Haplotype(NamedTuple):
    """Sequence of a haplotype in a window [L], and the changes in it, in order."""

    codes: Codes
    changes: tuple[Change, ...]


def haplotype(genome: Genome, variants: Sequence[Variant], chrom: str, start: int, length: int, anchor: int) -> Haplotype:
    """Return a haplotype's sequence in a window [start, start + length) in which one reference base keeps its position.

    `anchor` is a position on the contig. Variants that begin at the anchor or after it change the sequence to its right;
    variants that end before it change the sequence to its left. A variant across the anchor moves the anchor to its first
    base. Insertions push bases out at the window's ends, and deletions pull bases in. kipoiseq's VariantSeqExtractor does the
    same, except that it splits a variant across the anchor in two.

    variants: sorted, without overlap, with REF equal to the reference (`drop_overlapping`); variants outside the window have
    no effect.
    """
    if not start <= anchor <= start + length:
        raise ConfigError(f"the anchor {chrom}:{anchor + 1} does not lie in the window; choose one inside.")
    for v in variants:
        if v.start < anchor < v.end:
            anchor = v.start  # this may lie before the window
    right, changes = [], []
    place, room, offset = anchor, start + length - anchor, 0
    for v in (v for v in variants if v.start >= anchor):
        if v.start - place >= room:
            break
        right += [genome.window(chrom, place, v.start - place), encode(v.alt)]
        changes.append(Change(v.start - start, len(v.ref), len(v.alt), offset))
        room -= v.start - place + len(v.alt)
        offset += len(v.alt) - len(v.ref)
        place = v.end
        if room <= 0:
            break
    if room > 0:
        right.append(genome.window(chrom, place, room))
    left, before = [], []
    place, room, offset = anchor, anchor - start, 0
    for v in reversed([v for v in variants if v.end <= anchor and v.start < anchor]):
        if place - v.end >= room:
            break
        left += [genome.window(chrom, v.end, place - v.end), encode(v.alt)]
        room -= place - v.end + len(v.alt)
        offset -= len(v.alt) - len(v.ref)  # offset of the bases before it
        before.append(Change(v.start - start, len(v.ref), len(v.alt), offset))
        place = v.start
        if room <= 0:
            break
    if room > 0:
        left.append(genome.window(chrom, place - room, room))
    none = np.zeros(0, dtype=np.uint8)
    behind = np.concatenate([none, *right])[: start + length - anchor]
    sides = np.concatenate([none, *left[::-1]])[max(0, -room) :] if anchor > start else none, behind[max(0, start - anchor) :]
    return Haplotype(np.concatenate(sides), (*before[::-1], *changes))


def drop_overlapping(variants: Iterable[Variant]) -> tuple[list[Variant], int]:
    """Trim and sort the variants of one haplotype, and count those left out because they overlap an earlier one.

    An insertion overlaps neither a change of the base before it, which VCF pads it with, nor a change of the base after it:
    A>AT and A>G of the same A give GT together.
    """
    kept: list[Variant] = []
    n_out = 0
    short = [v for v in map(trimmed, variants) if v.ref or v.alt]
    for v in sorted(dict.fromkeys(short), key=lambda v: (v.start, v.end)):
        both_inserted = kept and v.start == kept[-1].start and not v.ref and not kept[-1].ref
        if kept and (v.start < kept[-1].end or both_inserted):
            n_out += 1
        else:
            kept.append(v)
    return kept, n_out
