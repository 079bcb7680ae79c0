"""Insertions and deletions: tracks of the alternative sequence -> bins that stand for the same bases as the reference's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Tracks = NDArray[np.float64]
Indels = Literal["realign", "stitch", "left", "right", "symmetric"]

INDELS: dict[str, str] = {
    "realign": "laid to the left, then deleted bases get 0 and inserted ones the largest value among them (AlphaGenome)",
    "stitch": "laid to the left for the bins up to the variant, to the right for those behind it (baskerville)",
    "left": "laid to the left: what is right of the change is moved against the reference, and compared as it lies",
    "right": "laid to the right: what is left of the change is moved",
    "symmetric": "laid symmetrically: both sides are moved by half",
}


class AlignedChange(NamedTuple):
    """Where a change lies in the reference, in bases from the first bin that is predicted (it may lie outside of them).

    offset: how far the alternative's bases before the change lie behind their counterparts; 0 where it is laid to the left.
    """

    start: int
    ref_length: int
    alt_length: int
    offset: int = 0


def align_alternate(ref: Tracks, alt: Tracks, changes: Sequence[AlignedChange], bin_size: int) -> Tracks:
    """Tracks [K, N] of an alternative in the reference's bins; changes in order, without overlap.

    A bin's value is spread evenly over its bases; every base of the reference takes that of its counterpart, a deleted base 0,
    and the last base before an insertion (or its own, if it replaces some) the largest among those that were inserted; bins
    are then their bases' means. What has no counterpart, because an insertion has pushed it out, keeps the reference's value.
    AlphaGenome's `align_alternate` is this for one change laid to the left and bins of a base, but that it has 0 at the end.
    """
    if all(change.ref_length == change.alt_length and not change.offset for change in changes):
        return alt
    n = ref.shape[-1]
    length = n * bin_size
    area = np.concatenate([np.zeros((*alt.shape[:-1], 1)), alt.cumsum(-1)], axis=-1) * bin_size  # up to each edge
    edges = np.arange(n + 1) * bin_size
    out = np.zeros_like(alt)

    def take(start: int, end: int, offset: int) -> None:
        """Bases [start, end) of the reference have their counterparts `offset` further on."""
        places = edges.clip(start, end) + offset
        inside = places.clip(0, length)
        whole, rest = np.divmod(inside, bin_size)
        integral = area[..., whole] + rest * alt[..., whole.clip(max=n - 1)]
        missing = np.diff(places.clip(min=length)) + np.diff(places.clip(max=0))  # beyond the alternative's bins
        out[...] += np.diff(integral, axis=-1) + missing * ref

    begin = min(0, *(change.start for change in changes))
    for change in changes:
        kept = min(change.ref_length, change.alt_length)  # bases of the allele that have a counterpart
        take(begin, change.start + kept, change.offset)
        longer = change.alt_length - change.ref_length
        anchor = change.start + kept - 1  # the base that stands for the inserted ones
        first, last = anchor + change.offset, anchor + change.offset + longer
        if longer > 0 and 0 <= anchor < length and 0 <= first < length:
            bins = slice(first // bin_size, min(last, length - 1) // bin_size + 1)
            out[..., anchor // bin_size] += alt[..., bins].max(-1) - alt[..., first // bin_size]
        begin = change.start + change.ref_length
    end = changes[-1]
    take(begin, max(begin, length), end.offset + end.alt_length - end.ref_length)
    return out / bin_size


def stitch(left: Tracks, right: Tracks, change: AlignedChange, bin_size: int) -> Tracks:
    """Tracks [K, N] of an alternative laid to the left and to the right -> the first, behind the bin of the change the last.

    What baskerville does with insertions and deletions that are compensated on either side.
    """
    border = min(max(change.start // bin_size + 1, 0), left.shape[-1])
    return np.concatenate([left[..., :border], right[..., border:]], axis=-1)
