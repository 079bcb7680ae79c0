"""Self-check of a run: scores of random records compared with the reference implementation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from genoformer.formats.vcf import Record
from genoformer.genome.wording import counted
from genoformer.scoring.parts import PartResult, Parts
from genoformer.writers import Column


def verify_note(
    lists: Callable[[], Iterable[Sequence[Record]]],
    parts: Parts,
    n: int,
    columns: Sequence[Column],
    again: Callable[[Sequence[Record]], PartResult],
) -> str:
    """Return a sentence on the largest difference between the scores of n random records and those that `again` computes."""
    rng = np.random.default_rng(0)
    picked: list[tuple[float, int, int]] = []  # (random number, part, record in the part)
    for i, chunk in enumerate(lists()):
        scored = parts.get(i)
        assert scored is not None
        at = 0
        for j, record in enumerate(chunk):
            n_rows = max(1, len(record.alts))
            if not np.isnan(scored.values[at : at + n_rows]).all():
                picked.append((float(rng.random()), i, j))
            at += n_rows
        picked = sorted(picked)[:n]
    records_of_part: dict[int, list[int]] = {}
    for _, i, j in picked:
        records_of_part.setdefault(i, []).append(j)
    numbers = [column for column, of in enumerate(columns) if not of.words]
    largest, scale, n_done = 0.0, 0.0, 0
    for i, chunk in enumerate(lists()):
        if i not in records_of_part:
            continue
        scored = parts.get(i)
        assert scored is not None
        ends = np.cumsum([max(1, len(record.alts)) for record in chunk])
        for j in sorted(records_of_part[i]):
            values = scored.values[(ends[j - 1] if j else 0) : ends[j]][:, numbers]
            naive = again([chunk[j]]).values[:, numbers]
            both = np.isfinite(values) & np.isfinite(naive)
            if (np.isfinite(values) != np.isfinite(naive)).any():
                return (
                    f"verified: the scores of {chunk[j].chrom}:{chunk[j].pos} and those of the reference implementation have "
                    "missing values at different places; report this as a bug."
                )
            largest = max(largest, float(np.abs(values - naive)[both].max(initial=0)))
            scale = max(scale, float(np.abs(naive)[both].max(initial=0)))
            n_done += 1
    if not n_done:
        return "verified: found no record with a score to compare."
    return (
        f"verified: {counted(n_done, 'random record')}, scored again with the reference implementation on the CPU in float32; "
        f"the largest difference is {largest:.2g}, and the largest score {scale:.3g}."
    )
