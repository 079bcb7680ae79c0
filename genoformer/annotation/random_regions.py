"""Contigs of variants -> bases from which controls are drawn -> random regions of the variants' lengths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.annotation.variant_regions import VariantRegions
from genoformer.errors import ConfigError, FileFormatError
from genoformer.formats.bed import Intervals
from genoformer.formats.text import numbered_lines
from genoformer.genome.assemblies import BUILDS
from genoformer.genome.contigs import ContigIndex, ContigMap, join_names, without_chr
from genoformer.genome.digits import is_count
from genoformer.genome.reference import Genome
from genoformer.genome.regions import merge, runs_of_bases, subtract

Integers = NDArray[np.int64]

_FEW, _NARROW = 10, 0.1  # number of regions, and fraction of a contig


class RandomSpace(NamedTuple):
    """Intervals by contig from which random regions are drawn."""

    intervals: dict[str, Intervals]
    notes: tuple[str, ...]


def random_space(
    places: VariantRegions, genome: Genome | None, sizes: Mapping[str, int] | None, exclude: Mapping[str, Intervals]
) -> RandomSpace:
    """Return the bases of the regions' contigs, without N (if a genome is given) and without excluded intervals.

    If all regions of a contig, at least ten, lie in less than a tenth of it, only the bases from the first to the last region
    are returned: a locus selected by the user is not compared with the rest of its contig.

    Raises ConfigError if no length of a contig is known.
    """
    spaces: dict[str, Intervals] = {}
    unknown, narrow = [], []
    lengths = dict(genome.contigs) if genome is not None else dict(sizes or {})
    names = ContigMap(places.contigs, lengths)
    excluded: dict[str, list[Intervals]] = {}
    for contig, intervals in exclude.items():
        excluded.setdefault(without_chr(contig), []).append(intervals)
    out = ContigIndex(excluded)
    for name, rows in places.by_contig():
        reference = names.get(name)
        if reference is None:
            unknown.append(name)
            continue
        length = lengths[reference]
        bases = runs_of_bases(genome, reference) if genome is not None else np.array([[0, length]])
        first, last = int(places.starts[rows].min()), int(places.ends[rows].max())
        holes = [*excluded.get(out.get(name) or "", [])]
        if len(rows) >= _FEW and last - first < _NARROW * length:
            narrow.append(f"{name}:{first + 1:,}-{last:,}")
            holes.append(np.array([[0, first], [last, max(length, last + 1)]]))
        spaces[name] = subtract(bases, np.concatenate(holes)) if holes else merge(bases)
    if not any(len(rows) for rows in spaces.values()):
        raise ConfigError(
            "random controls need the lengths of contigs; give a FASTA, sizes (hg19, hg38 or a file), or a background."
        )
    notes = [f"no controls on {join_names(unknown)}, whose length is not known."] if unknown else []
    if narrow:
        notes.append(f"all variants lie close together, so random controls are drawn from {join_names(narrow)} only.")
    return RandomSpace({name: rows for name, rows in spaces.items() if len(rows)}, tuple(notes))


def random_regions(ground: RandomSpace, n: int, lengths: Integers, rng: np.random.Generator) -> VariantRegions:
    """Draw n regions with starts uniform over `ground` and lengths drawn from `lengths`."""
    names = tuple(ground.intervals)
    rows = np.concatenate([ground.intervals[name] for name in names])
    contig = np.repeat(np.arange(len(names), dtype=np.int32), [len(ground.intervals[name]) for name in names])
    reach = np.cumsum(rows[:, 1] - rows[:, 0])
    at = np.sort(rng.integers(0, reach[-1], n))
    which = np.searchsorted(reach, at, side="right")
    starts = rows[which, 1] - (reach[which] - at)
    unknown = np.full(n, np.nan)
    none = np.full(n, -1, dtype=np.int32)
    ends = starts + rng.choice(lengths, n)
    return VariantRegions("random loci", names, contig[which], starts, ends, unknown, unknown, none)


def read_sizes(source: str) -> dict[str, int]:
    """Read contig lengths from a known build (hg19, hg38, mm10 ...) or a file with name and length in its first columns."""
    if source in BUILDS:
        return {f"chr{name}": length for name, length in BUILDS[source].items()}
    sizes = {}
    for number, line in numbered_lines(source, f"{', '.join(BUILDS)}, or a file of contigs and lengths"):
        fields = line.split()
        if len(fields) < 2 or not is_count(fields[1]):
            raise FileFormatError(f"{source}, line {number}: a contig and its length are expected; correct it.")
        sizes[fields[0]] = int(fields[1])
    return sizes
