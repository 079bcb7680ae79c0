"""Tracks of a sequence with insertions and deletions -> tracks in the bins of the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Tracks = NDArray[np.float64]
Indels = Literal["realign", "stitch", "left", "right", "symmetric"]

INDELS: dict[str, str] = {
    "realign": "aligned at the left end; deleted bases get 0, inserted bases the largest value among them (AlphaGenome)",
    "stitch": "aligned at the left end up to the variant, at the right end after it (baskerville)",
    "left": "aligned at the left end; bases right of the change are compared with shifted bases of the reference",
    "right": "aligned at the right end; bases left of the change are compared with shifted bases of the reference",
    "symmetric": "aligned at the centre; both sides are shifted by half of the difference in length",
}


class AlignedChange(NamedTuple):
    """Position of a change in the reference, in bases from the first predicted bin; it may lie outside the bins.

    offset: distance in bases from a reference base before the change to its counterpart in the alternative; 0 if aligned left.
    """

    start: int
    ref_length: int
    alt_length: int
    offset: int = 0


def align_alternate(ref: Tracks, alt: Tracks, changes: Sequence[AlignedChange], bin_size: int) -> Tracks:
    """Return the tracks [K, N] of an alternative in the bins of the reference.

    changes: in order, without overlap. Each bin value is spread evenly over its bases, and each output bin is the mean of its
    bases. A reference base takes the value of its counterpart, and a deleted base takes 0. The last base before an insertion
    (or the last replaced base) takes the largest inserted value. A base keeps the reference value if an insertion has pushed
    its counterpart out of the window. For one left-aligned change and bins of one base this is AlphaGenome's
    `align_alternate`, which has 0 at the end of the window instead.
    """
    if all(change.ref_length == change.alt_length and not change.offset for change in changes):
        return alt
    n = ref.shape[-1]
    length = n * bin_size
    area = np.concatenate([np.zeros((*alt.shape[:-1], 1)), alt.cumsum(-1)], axis=-1) * bin_size  # integral up to each edge
    edges = np.arange(n + 1) * bin_size
    out = np.zeros_like(alt)

    def take(start: int, end: int, offset: int) -> None:
        """Add the reference bases [start, end), whose counterparts lie `offset` bases to the right."""
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
        anchor = change.start + kept - 1  # reference base that takes the largest inserted value
        first, last = anchor + change.offset, anchor + change.offset + longer
        if longer > 0 and 0 <= anchor < length and 0 <= first < length:
            bins = slice(first // bin_size, min(last, length - 1) // bin_size + 1)
            out[..., anchor // bin_size] += alt[..., bins].max(-1) - alt[..., first // bin_size]
        begin = change.start + change.ref_length
    end = changes[-1]
    take(begin, max(begin, length), end.offset + end.alt_length - end.ref_length)
    return out / bin_size


def pushed_out(changes: Sequence[AlignedChange], n: int, bin_size: int) -> Tracks | None:
    """Return the share [N] of each bin whose counterpart lies beyond the bins of the alternative; None if none does.

    `align_alternate` keeps the reference value there.

    >>> pushed_out([AlignedChange(1, 0, 3)], 4, 2).tolist()
    [0.0, 0.0, 0.5, 1.0]
    """
    shares = align_alternate(np.ones((1, n)), np.zeros((1, n)), changes, bin_size)[0]
    return shares if shares.any() else None


def stitch(left: Tracks, right: Tracks, change: AlignedChange, bin_size: int) -> Tracks:
    """Join two alignments of an alternative: the left one up to the bin of the change, the right one after it; tracks [K, N].

    Source: baskerville's stitching of insertions and deletions.
    """
    border = min(max(change.start // bin_size + 1, 0), left.shape[-1])
    return np.concatenate([left[..., :border], right[..., border:]], axis=-1)
