"""Insertions and deletions: tracks of the alternative sequence -> bins that stand for the same bases as the reference's."""

from __future__ import annotations

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


class Placed(NamedTuple):
    """Where a change lies, in bases from the first bin that is predicted; may lie outside of them."""

    start: int
    ref_length: int
    alt_length: int


def realigned(ref: Tracks, alt: Tracks, change: Placed, bin_size: int) -> Tracks:
    """Tracks [K, N] of an alternative that is laid to the left, in the reference's bins.

    A bin's value is spread evenly over its bases; every base of the reference takes that of its counterpart, a deleted base 0,
    and the last base before an insertion (or its own, if it replaces some) the largest among those that were inserted; bins
    are then their bases' means. What has no counterpart, because an insertion has pushed it out, keeps the reference's value.
    AlphaGenome's `align_alternate` is this for bins of one base, but that it has 0 at the end.
    """
    n = ref.shape[-1]
    length, shift = n * bin_size, change.alt_length - change.ref_length
    if not shift:
        return alt
    kept = min(change.ref_length, change.alt_length)  # bases of the allele that have a counterpart
    split = change.start + kept  # up to here bases of both have the same places
    behind = change.start + change.ref_length  # from here on they are `shift` apart
    area = np.concatenate([np.zeros((*alt.shape[:-1], 1)), alt.cumsum(-1)], axis=-1) * bin_size  # up to each edge

    def up_to(places: NDArray[np.int64]) -> Tracks:
        """The integral of the alternative over its bases before each of some places."""
        inside = places.clip(0, length)
        whole, rest = np.divmod(inside, bin_size)
        return area[..., whole] + rest * alt[..., whole.clip(max=n - 1)]

    edges = np.arange(n + 1) * bin_size
    left = up_to(edges.clip(max=split))
    right_edges = edges.clip(min=behind)
    right = up_to(right_edges + shift)
    out = np.diff(left, axis=-1) + np.diff(right, axis=-1)
    moved = right_edges + shift
    missing = np.diff(moved.clip(min=length)) + np.diff(moved.clip(max=0))  # bases that the alternative's bins do not reach
    out += missing * ref
    if shift > 0:
        anchor = split - 1  # the base that stands for the inserted ones
        if 0 <= anchor < length:
            bins = slice(anchor // bin_size, (min(split + shift, length) - 1) // bin_size + 1)
            out[..., anchor // bin_size] += alt[..., bins].max(-1) - alt[..., anchor // bin_size]
    return out / bin_size


def stitched(left: Tracks, right: Tracks, change: Placed, bin_size: int) -> Tracks:
    """Tracks [K, N] of an alternative laid to the left and to the right -> the first, behind the bin of the change the last.

    What baskerville does with insertions and deletions that are compensated on either side.
    """
    border = min(max(change.start // bin_size + 1, 0), left.shape[-1])
    return np.concatenate([left[..., :border], right[..., border:]], axis=-1)
