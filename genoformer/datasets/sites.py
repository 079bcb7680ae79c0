"""Files of positives -> valid labelled windows of a genome around the summit, middle or TSS, each of one class only."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genoformer.errors import ConfigError, ContigError, FileFormatError
from genoformer.formats.bed import Intervals, Region, read_regions
from genoformer.formats.bed_columns import columns_by_file
from genoformer.formats.bed_kinds import layout_of
from genoformer.formats.gtf import format_note, is_gene_file, read_tss, strand_note
from genoformer.genome.beyond import beyond, row_text
from genoformer.genome.codes import Codes, N, reverse_complement
from genoformer.genome.contigs import ContigMap, join_names
from genoformer.genome.reference import Genome
from genoformer.genome.regions import n_overlaps

Files = Mapping[str, str | os.PathLike[str]]  # class name -> BED, narrowPeak, broadPeak or GTF
Spans = Mapping[str, tuple[int, int]]  # class name -> bases before the anchor, and bases from the anchor on
DEFAULT_LENGTH = 300  # bases; as in the promoter sets of EPDnew and GUE
_READ = 1 << 25  # bases in memory at a time while windows are checked


class Site(NamedTuple):
    """A labelled window [start, start + length); a shuffled window has no locus: its chrom is "." and its start 0."""

    chrom: str
    start: int
    strand: str
    label: str
    name: str


class Positives(NamedTuple):
    """Sites of each class, sorted by start on each contig.

    dropped: counts for each class and reason. covered: intervals [n, 2] of all windows and regions of each contig, including
    dropped ones. notes: sentences on contig names. outside: for each class, the first row whose window reaches beyond its
    contig, as the start of a message.
    """

    kept: dict[str, list[Site]]
    dropped: dict[str, dict[str, int]]
    covered: dict[str, Intervals]
    notes: list[str]
    outside: Mapping[str, str] = {}


def positive_sites(
    genome: Genome, files: Files, spans: Spans, blacklist: Mapping[str, Intervals], max_n: float, columns: Sequence[str] = ()
) -> Positives:
    """Return the valid windows of all classes, each of one class only; `build` describes the rules.

    Raises: FileFormatError with the line, or for a file without regions; ContigError if no contig of any file is in the genome.
    """
    layouts = columns_by_file(columns, files)
    regions, notes = dict[str, list[Region]](), []
    for name, path in files.items():
        without_strand: list[int] = []
        regions[name] = read_site_regions(path, layouts.for_file(name), without_strand)
        if without_strand:
            notes.append(strand_note(Path(path), len(without_strand)))
    if empty := [name for name, rows in regions.items() if not rows]:
        raise FileFormatError(f"{files[empty[0]]} is empty: class {empty[0]} has no region; give a file with regions.")
    names = dict.fromkeys(region.chrom for rows in regions.values() for region in rows)
    contigs = ContigMap(names, genome.contigs)
    if not any(contigs.get(name) for name in names):
        raise ContigError(
            f"no contig of the positives ({join_names(names)}) is in {genome.name} ({join_names(genome.contigs)})."
        )
    kept: dict[str, list[Site]] = {}
    dropped: dict[str, dict[str, int]] = {}
    outside: dict[str, str] = {}
    covered: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for name, rows in regions.items():
        length = sum(spans[name])
        sites = []
        reasons: Counter[str] = Counter()
        for region in rows:
            chrom = contigs.get(region.chrom)
            if chrom is None:
                reasons["no_contig"] += 1
                continue
            start = _start(region, *spans[name])
            if name not in outside and (start < 0 or start + length > genome.contigs[chrom]):
                outside[name] = _beyond(Path(files[name]), region, chrom, start, length, genome, layouts.for_file(name))
            sites.append(Site(chrom, start, region.strand, name, region.name))
            covered[chrom].append((min(start, region.start), max(start + length, region.end)))
        kept[name] = _usable(sites, genome, length, blacklist, max_n, reasons)
        dropped[name] = dict(reasons)
    kept = _distinct(kept, sum(next(iter(spans.values()))), dropped)
    if contigs.renamed or contigs.ambiguous:
        notes.append(contigs.describe("positives'", genome.name))
    return Positives(kept, dropped, {chrom: np.array(rows, dtype=np.int64) for chrom, rows in covered.items()}, notes, outside)


# --- positions of windows


def anchor_spans(
    files: Files, length: int | None = None, upstream: int | None = None, downstream: int | None = None
) -> dict[str, tuple[int, int]]:
    """Return for each class the number of bases before the anchor, and from the anchor on."""
    if (upstream is None) != (downstream is None):
        raise ConfigError("upstream and downstream go together; give both, or length.")
    if upstream is not None and downstream is not None:
        if length not in (None, upstream + downstream):
            raise ConfigError(f"length {length} is not upstream {upstream} + downstream {downstream}; leave it out.")
        if upstream < 0 or downstream < 1:
            raise ConfigError(f"upstream {upstream}, downstream {downstream}: give 0 or more, and 1 or more.")
        return dict.fromkeys(files, (upstream, downstream))
    width = DEFAULT_LENGTH if length is None else length
    if width < 1:
        raise ConfigError(f"length {width}: give 1 or more bases.")
    after = {name: width // 6 if is_gene_file(path) else width - width // 2 for name, path in files.items()}
    return {name: (width - n, n) for name, n in after.items()}


def read_site_regions(
    path: str | os.PathLike[str], columns: str | None = None, without_strand: list[int] | None = None
) -> list[Region]:
    """Read the rows of a BED-like file, or the TSS of a GTF or GFF3 (see `read_tss`); the file name gives the format."""
    if is_gene_file(path):
        return list(read_tss(path, without_strand=without_strand))
    return list(read_regions(path, columns=columns))


def format_notes(files: Files, columns: Sequence[str] = ()) -> list[str]:
    """Return notes on how the files are read: GFF3, and tables with 1-based positions."""
    layouts, notes = columns_by_file(columns, files), []
    for name, path in files.items():
        if not Path(path).is_file():
            continue  # the reader raises the error
        if is_gene_file(path):
            notes += [note for note in (format_note(Path(path)),) if note]
        else:
            notes += [f"{name}: {note}" for note in layout_of(Path(path), layouts.for_file(name)).notes]
    return notes


def _start(region: Region, upstream: int, downstream: int) -> int:
    """Return the start of the window around the summit, or else the middle; mirrored on the - strand."""
    if region.strand == "-":
        anchor = (region.start + region.end - 1) // 2 if region.summit is None else region.summit
        return anchor - downstream + 1
    anchor = (region.start + region.end) // 2 if region.summit is None else region.summit
    return anchor - upstream


def _beyond(path: Path, region: Region, chrom: str, start: int, length: int, genome: Genome, columns: str | None) -> str:
    """Describe a window or row that reaches beyond its contig: file, line, and the row as in the file."""
    if region.end > genome.contigs[chrom]:
        return beyond(path, region, chrom, genome, columns)
    row = f"{region.chrom}:{region.start + 1:,}" if is_gene_file(path) else row_text(path, region, columns)
    end = "the begin" if start < 0 else "the end"
    return (
        f"{path}, line {region.line}: the window of {length:,} bases of {row} reaches beyond {end} of {chrom} of "
        f"{genome.name}, which has {genome.contigs[chrom]:,} bases"
    )


# --- selection of windows


def _usable(
    sites: list[Site], genome: Genome, length: int, masked: Mapping[str, Intervals], max_n: float, reasons: Counter[str]
) -> list[Site]:
    """Return the sites inside their contig, outside the blacklist, and with few N; count the others."""
    of: dict[str, list[Site]] = defaultdict(list)
    for site in sites:
        of[site.chrom].append(site)
    kept = []
    for chrom, rows in of.items():
        rows.sort(key=lambda site: (site.start, site.strand, site.name))
        starts = np.array([site.start for site in rows], dtype=np.int64)
        outside = (starts < 0) | (starts + length > genome.contigs[chrom])
        hit = np.zeros(len(rows), dtype=bool)
        if chrom in masked:
            hit = n_overlaps(np.stack([starts, starts + length], axis=1), masked[chrom]) > 0
        unknown = np.zeros(len(rows), dtype=bool)
        step = max(1, _READ // length)
        todo = np.flatnonzero(~outside & ~hit)
        for i in range(0, len(todo), step):
            windows = genome.windows(chrom, starts[todo[i : i + step]], length)
            unknown[todo[i : i + step]] = (windows >= N).sum(axis=1) > max_n * length
        reasons["outside"] += int(outside.sum())
        reasons["blacklist"] += int((hit & ~outside).sum())
        reasons["too_many_n"] += int(unknown.sum())
        kept += [site for site, bad in zip(rows, outside | hit | unknown, strict=True) if not bad]
    return kept


def _distinct(kept: dict[str, list[Site]], length: int, dropped: dict[str, dict[str, int]]) -> dict[str, list[Site]]:
    """Return sites without ambiguous and repeated ones (the first of its class stays); count the others."""
    starts: dict[tuple[str, str], list[int]] = defaultdict(list)
    for name, sites in kept.items():
        for site in sites:  # sorted by start on each contig
            starts[name, site.chrom].append(site.start)
    result = {}
    for name, sites in kept.items():
        others = [other for other in kept if other != name]
        clear: list[Site] = []
        last = ("", 0)
        n_ambiguous = n_repeated = 0
        for site in sites:
            if any(_near(starts.get((other, site.chrom), []), site.start, length // 2) for other in others):
                n_ambiguous += 1
            elif last[0] == site.chrom and 2 * (site.start - last[1]) < length:
                n_repeated += 1
            else:
                clear.append(site)
                last = (site.chrom, site.start)
        reasons = dropped[name] | {"ambiguous": n_ambiguous, "repeated": n_repeated}
        dropped[name] = {reason: n for reason, n in reasons.items() if n}
        result[name] = clear
    return result


def _near(starts: list[int], start: int, most: int) -> bool:
    """True if any of the sorted starts is at most `most` bases away."""
    i = bisect_left(starts, start - most)
    return i < len(starts) and starts[i] <= start + most


# --- bases


def site_windows(genome: Genome, sites: Sequence[Site], length: int) -> Codes:
    """Return the windows [n, L] of sites, in the direction of their strand."""
    out = np.empty((len(sites), length), dtype=np.uint8)
    chroms = np.array([site.chrom for site in sites])
    starts = np.array([site.start for site in sites], dtype=np.int64)
    for chrom in dict.fromkeys(chroms.tolist()):
        rows = np.flatnonzero(chroms == chrom)
        rows = rows[np.argsort(starts[rows], kind="stable")]
        out[rows] = genome.windows(chrom, starts[rows], length)
    turned = np.array([site.strand == "-" for site in sites], dtype=bool)
    out[turned] = reverse_complement(out[turned])
    return out
