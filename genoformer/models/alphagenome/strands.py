"""Strands of splicing outputs, which are part of AlphaGenome's layout: no file is needed for them."""

from __future__ import annotations

from functools import cache

from genoformer.formats.track_table import Track, TrackTable
from genoformer.models.alphagenome.config import PUBLISHED, SITES, USAGE, AlphaGenomeConfig, HeadName

_SITES = ("donor+", "acceptor+", "donor-", "acceptor-")  # the first four classes


def layout_table(config: AlphaGenomeConfig, name: HeadName) -> TrackTable | None:
    """Return the table of a head whose strands the layout has: classes of splice sites, and their usage; None for others.

    Usage is of the same tissues on both strands, first all of the + strand (`outputs.default_rows`).
    """
    n = config.tracks[name.organism][name.output]
    if name.output == SITES and n == len(_SITES):
        return _stranded(_SITES)
    if name.output == USAGE and config.outputs[USAGE] % 2 == n % 2 == 0:
        return _stranded(tuple(f"tissue_{i}{sign}" for sign in "+-" for i in range(n // 2)))
    return None


def is_published(config: AlphaGenomeConfig, name: HeadName) -> bool:
    """True for a head with as many tracks as the published weights have of human or of mouse."""
    return config.tracks[name.organism][name.output] in PUBLISHED[name.output][1:]


@cache
def _stranded(names: tuple[str, ...]) -> TrackTable:
    n = len(names)
    return TrackTable(tuple(Track(i, name, strand_pair=(i + n // 2) % n, strand=name[-1]) for i, name in enumerate(names)))
