"""Oracle of realigned tracks: a loop over bases."""

from __future__ import annotations

import numpy as np

from genoformer.scoring.alignment import AlignedChange


def realigned(ref, alt, change: AlignedChange, size: int) -> np.ndarray:
    """Base by base: what every base of the reference has in the alternative."""
    length, shift = len(ref) * size, change.alt_length - change.ref_length
    kept = min(change.ref_length, change.alt_length)
    bases = np.zeros(length)
    for i in range(length):
        if i < change.start + kept:
            at = i
        elif i < change.start + change.ref_length:
            continue  # deleted
        else:
            at = i + shift
        bases[i] = alt[at // size] if 0 <= at < length else ref[i // size]
    anchor = change.start + kept - 1
    if shift > 0 and 0 <= anchor < length:
        bases[anchor] = max(alt[at // size] for at in range(anchor, min(anchor + shift + 1, length)))
    return bases.reshape(-1, size).mean(1)
