"""Regions that the user selects: texts such as chr20:1-200, and BED files -> intervals of contigs, each base once."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from genoformer.errors import ConfigError, ContigError, OptionError
from genoformer.files import sha256_of
from genoformer.formats.bed import Intervals, read_bed
from genoformer.formats.bed_kinds import layout_of
from genoformer.genome.contigs import ContigMap, join_names
from genoformer.genome.region_text import Interval, parse_region

if TYPE_CHECKING:
    from genoformer.genome.reference import Genome

Regions = str | Path | Sequence[str | Path]  # a region or the path of a BED, or several of both
EXPECTED = "a region such as 'chr1:1-200,000', the path of a BED, or a list of them"
_FILE = re.compile(
    r".*(/.*|\.(bed\d*|narrowpeak|broadpeak|gappedpeak|bedgraph|txt|tsv|csv)(\.b?gz)?)", re.IGNORECASE | re.DOTALL
)


def region_sources(regions: Any, option: str = "region") -> tuple[str | Path, ...]:
    """Return the texts and the paths of BED files in a value of the option `region`; None gives none.

    A Path is a file; a text is one if it holds a slash or ends as files of regions do (.bed, .narrowPeak, .bed.gz ...).
    Raises OptionError for another kind of value, and for an empty list.

    >>> region_sources("chr1:1-100"), region_sources(["chr2", "sets/peaks.bed"])
    (('chr1:1-100',), ('chr2', PosixPath('sets/peaks.bed')))
    """
    if regions is None:
        return ()
    values = [regions] if isinstance(regions, str | os.PathLike) else regions
    is_list = isinstance(values, list | tuple) and not isinstance(values, Interval)
    if not is_list or not all(isinstance(value, str | os.PathLike) for value in values):
        raise OptionError(option, f"is {regions!r}, expected {EXPECTED}; give this, or leave it out.")
    if not values:
        raise OptionError(option, f"is {regions!r}, expected {EXPECTED}; give this, or leave it out for all.")
    return tuple(Path(value) if not isinstance(value, str) or _FILE.fullmatch(value) else value for value in values)


class BedRows(NamedTuple):
    """Intervals of a BED by the names of its contigs, and notes on how its columns were read and its contigs matched."""

    intervals: dict[str, Intervals]
    notes: list[str]


def read_bed_rows(
    path: str | os.PathLike[str], contigs: Mapping[str, int], genome_name: str, columns: str | None = None
) -> BedRows:
    """Read a BED of regions; at least one of its contigs must be among those of the genome.

    Raises: ConfigError for a BED without rows; ContigError if no contig matches; FileFormatError for a malformed BED.
    """
    rows = read_bed(path, columns)
    notes = [f"{Path(path).name}: {note}" for note in layout_of(Path(path), columns).notes]
    if not rows:
        raise ConfigError(f"{path} has no regions; give some, or leave it out for the whole genome.")
    contig_map = ContigMap(rows, contigs)
    if contig_map.renamed or contig_map.unmatched or contig_map.ambiguous:
        notes.append(contig_map.describe(str(path), genome_name))
    if not any(contig_map.get(name) for name in rows):
        raise ContigError(
            f"no contig of {path} ({join_names(rows)}) is in {genome_name} ({join_names(contigs)}). Is it the right FASTA?"
        )
    return BedRows(rows, notes)


class Selection(NamedTuple):
    """Selected regions: their intervals under the names in the sources, and the text that identifies them."""

    intervals: tuple[Interval, ...]
    named: tuple[Interval, ...]  # those of texts, which a typing error may have put on the wrong contig
    text: str  # for headers and for the folder of an interrupted run; of a BED its name and sha256
    notes: tuple[str, ...]


def select_regions(regions: Regions | None, contigs: Mapping[str, int], genome_name: str = "the FASTA") -> Selection | None:
    """Return the regions of a value of the option `region`; None for None. contigs: names and lengths of the genome's contigs.

    >>> select_regions(["chr1:1-100", "chr1:51-200"], {"chr1": 1000}).intervals
    (Interval(chrom='chr1', start=0, end=100), Interval(chrom='chr1', start=50, end=200))
    """
    sources = region_sources(regions)
    if not sources:
        return None
    intervals: list[Interval] = []
    named: list[Interval] = []
    texts: list[str] = []
    notes: list[str] = []
    for source in sources:
        if isinstance(source, str):
            named.append(parse_region(source, contigs))
            intervals.append(named[-1])
            texts.append(source)
            continue
        rows = read_bed_rows(source, contigs, genome_name)
        intervals += _intervals(rows.intervals)
        notes += rows.notes
        texts.append(f"{source.name} sha256:{sha256_of(source)}")
    return Selection(tuple(intervals), tuple(named), ",".join(texts), tuple(notes))


def selection_notes(chosen: Selection, genome: Genome, names: Container[str], shown: str, n_records: int) -> list[str]:
    """Refuse a region beyond its contig that selects no record, and return the note on a selection without records.

    names: contigs of the selected records; shown: name of the VCF; n_records: number of selected records.
    Raises: ContigError for the contig of a region that neither the records nor the genome have; ConfigError for a region beyond
    its contig.
    """
    for region in chosen.named if not n_records or len(chosen.intervals) > 1 else ():
        if n_records and region.chrom in names:
            continue
        reference = genome.resolve(region.chrom)  # refuses a contig that does not exist, which is a typing error
        if region.start >= genome.contigs[reference]:
            raise ConfigError(
                f"the region begins at {reference}:{region.start + 1:,}, and {reference} has "
                f"{genome.contigs[reference]:,} bases in {genome.name}; give one that lies on it."
            )
    return empty_notes(chosen, shown, n_records)


def empty_notes(chosen: Selection, shown: str, n_records: int) -> list[str]:
    """Return the note on a selection without records."""
    where = "the region" if len(chosen.intervals) == 1 else "the regions"
    return [] if n_records else [f"no record of {shown} lies in {where}."]


def _intervals(rows: Mapping[str, Intervals]) -> Iterable[Interval]:
    for chrom, of_contig in rows.items():
        for start, end in np.asarray(of_contig).tolist():
            yield Interval(chrom, start, end)
