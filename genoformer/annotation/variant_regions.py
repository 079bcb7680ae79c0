"""Variants or a BED -> their regions as arrays of contig, start, end, MAF, score and trait."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from genoformer.addresses import refuse_address
from genoformer.annotation.breakdown import info_of_record, read_frequencies
from genoformer.annotation.frequency import frequency_reader, minor
from genoformer.errors import FileFormatError, OptionError
from genoformer.formats.bed import bed_rows
from genoformer.formats.bed_kinds import layout_of
from genoformer.formats.vcf import open_vcf
from genoformer.formats.vcf_blocks import iter_blocks
from genoformer.formats.vcf_selection import merged_spans
from genoformer.genome.contigs import canonical_key
from genoformer.genome.digits import is_count
from genoformer.genome.reference import Genome
from genoformer.genome.region_sources import Regions, Selection, select_regions
from genoformer.genome.variant_input import VariantInput, VariantSource, selected_variants
from genoformer.writers.scored_tables import declared_key, scored_vcf

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_TABLES = re.compile(r"\.(bed|narrowpeak|broadpeak|gappedpeak|bed\d+)(\.b?gz)?$", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class VariantRegions:
    """Regions of n variants, 0-based half-open; unknown numbers are NaN."""

    name: str
    contigs: tuple[str, ...]
    contig: NDArray[np.int32]  # [n], index in `contigs`
    starts: Integers  # [n]
    ends: Integers  # [n]
    frequency: Floats  # [n], MAF
    score: Floats  # [n], largest absolute value over all ALTs
    trait: NDArray[np.int32]  # [n], index in `traits`; -1 for none
    traits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # on irregularities of the file

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, rows: Integers | NDArray[np.bool_]) -> VariantRegions:
        return VariantRegions(
            self.name,
            self.contigs,
            self.contig[rows],
            self.starts[rows],
            self.ends[rows],
            self.frequency[rows],
            self.score[rows],
            self.trait[rows],
            self.traits,
        )

    def keys(self) -> NDArray[np.void]:
        """Return keys [n], equal for equal regions, independent of the contig names in different files."""
        numbers = np.array([_number_of(canonical_key(name)) for name in self.contigs], dtype=np.int64)
        table = np.stack([numbers[self.contig], self.starts, self.ends], axis=1) if len(self) else np.zeros((0, 3), np.int64)
        return np.ascontiguousarray(table).view(np.dtype((np.void, 24))).reshape(-1)

    def by_contig(self) -> Iterable[tuple[str, Integers]]:
        """Yield (contig, rows on it)."""
        order = np.argsort(self.contig, kind="stable")
        edges = np.searchsorted(self.contig[order], np.arange(len(self.contigs) + 1))
        for i, name in enumerate(self.contigs):
            if edges[i + 1] > edges[i]:
                yield name, order[edges[i] : edges[i + 1]]


def _number_of(key: str) -> int:
    """Return a number for a contig, the same for every file."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=7).digest(), "big")


def read_variant_regions(
    source: VariantSource,
    *,
    af_key: str = "AF",
    score_key: str | None = None,
    trait: str | None = None,
    most: int | None = None,
    seed: int = 0,
    genome: Genome | None = None,
    region: Regions | None = None,
) -> VariantRegions:
    """Read variants as `score` takes them, a table that it wrote, or the rows of a BED.

    The suffix of a BED is .bed, .narrowPeak ..., plain or gzipped. genome: tells REF of a table with effect and other allele.
    region: keep only records whose REF, or rows that, overlap a region. score_key, trait: INFO keys (for a BED column numbers)
    of scores and traits. most: of a larger file, keep a random sample of between `most` and twice as many records.

    Raises: MissingFileError; FileFormatError with the line number; ConfigError if a score is not a number or is always missing.
    """
    if (path := _bed_path(source)) is not None:
        places = _read_bed(path, score_key, trait)
        return places if region is None else _within(places, region, genome)
    with _without_scored_table(source) as variants, selected_variants(variants, genome, region) as given:
        places = _read_vcf(given, af_key, score_key, trait, most, seed)
    _require(places, score_key, trait, "INFO")
    return places


def _without_scored_table(source: VariantSource) -> AbstractContextManager[VariantSource]:
    """Replace a table that `score` wrote by a VCF; leave other variants as they are."""
    if isinstance(source, str | Path) and Path(source).is_file():
        return scored_vcf(source)
    return nullcontext(source)


def _bed_path(source: VariantSource) -> Path | None:
    """Return the path of a BED; None for variants. MissingFileError for a BED at an address, which is not read."""
    if not isinstance(source, str | Path) or not _TABLES.search(str(source)):
        return None
    refuse_address(source)
    return Path(source)


def refuse_remote_bed(source: VariantSource) -> None:
    """Raise MissingFileError for a BED at an address; variants at an address are read."""
    _bed_path(source)


def layout_notes(source: VariantSource) -> list[str]:
    """Return the notes on how the columns of a BED are read; none for variants."""
    path = _bed_path(source)
    return [] if path is None else [f"{path.name}: {note}" for note in layout_of(path).notes]


def outside(selection: Selection, contigs: Iterable[str], known: Iterable[str]) -> dict[str, Integers]:
    """Return the bases outside the selected regions, [n, 2] for each contig.

    known: names of the reference contigs, by which those of regions and contigs are matched.
    """
    holes = {}
    for contig in contigs:
        starts, ends = merged_spans(contig, selection.intervals, known)
        edges = np.array([0, *(edge for pair in zip(starts, ends, strict=True) for edge in pair), sys.maxsize], dtype=np.int64)
        rows = edges.reshape(-1, 2)
        holes[contig] = rows[rows[:, 0] < rows[:, 1]]
    return holes


def excluded_bases(
    places: VariantRegions, exclude: Mapping[str, Integers], region: Regions | None, genome: Genome | None
) -> dict[str, Integers]:
    """Return the intervals without random controls: those of `exclude`, and for a region what lies outside of it."""
    if region is None:
        return dict(exclude)
    known = genome.contigs if genome is not None else places.contigs
    holes = outside(chosen_regions(region, places, genome), places.contigs, known)
    both = {name: np.concatenate([rows, exclude[name]]) if name in exclude else rows for name, rows in holes.items()}
    return {**exclude, **both}


def chosen_regions(region: Regions, places: VariantRegions, genome: Genome | None) -> Selection:
    """Return the selected regions; names of contigs are those of the genome, without one those of the variants."""
    known, name = (genome.contigs, genome.name) if genome is not None else (dict.fromkeys(places.contigs, 0), places.name)
    selection = select_regions(region, known, name)
    assert selection is not None
    return selection


def _within(places: VariantRegions, region: Regions, genome: Genome | None) -> VariantRegions:
    """Return the rows that overlap a region; FileFormatError if none does."""
    selection = chosen_regions(region, places, genome)
    known = genome.contigs if genome is not None else places.contigs
    kept = np.zeros(len(places), dtype=bool)
    for contig, rows in places.by_contig():
        starts, ends = (np.array(edges, dtype=np.int64) for edges in merged_spans(contig, selection.intervals, known))
        if not len(starts):
            continue
        at = np.searchsorted(ends, places.starts[rows], side="right")  # the first region that ends behind the start
        is_before_end = starts[np.minimum(at, len(starts) - 1)] < np.maximum(places.ends, places.starts + 1)[rows]
        kept[rows] = (at < len(ends)) & is_before_end
    if not kept.any():
        raise FileFormatError(f"no row of {places.name} lies in {selection.text}; give another region.")
    return replace(places.take(kept), notes=(*places.notes, *selection.notes))


def _read_vcf(
    given: VariantInput, af_key: str, score_key: str | None, trait: str | None, most: int | None, seed: int
) -> VariantRegions:
    frequency_of = frequency_reader(af_key)
    numbers: dict[str, int] = {}
    traits: dict[str, int] = {}
    kept: list[tuple[NDArray[np.int32], Integers, Integers, Floats, Floats, NDArray[np.int32]]] = []
    rng, share, n = np.random.default_rng(seed), 1.0, 0
    with open_vcf(given.path, name=given.name) as file:
        score_of = _value_of(declared_key(file.header, score_key)) if score_key else None
        trait_of = _value_of(trait) if trait else None
        for block in iter_blocks(file):
            rows = np.arange(len(block.starts))
            if share < 1:
                rows = rows[rng.random(len(rows)) < share]
            contig = np.empty(len(block.starts), dtype=np.int32)
            for name, i, j in block.contigs:
                contig[i:j] = numbers.setdefault(name, len(numbers))
            infos = [info_of_record(block, i) for i in rows.tolist()]
            frequency = read_frequencies(block, rows, frequency_of, given.name)
            score = np.full(len(rows), np.nan)
            if score_of:
                score = np.array([_largest(score_of(info), str(score_key)) for info in infos], dtype=np.float64)
            of = np.full(len(rows), -1, dtype=np.int32)
            if trait_of:  # a record with several traits becomes one record per trait
                several = [trait_of(info).split(",") for info in infos]
                again = np.repeat(np.arange(len(rows)), [len(names) for names in several])
                rows, frequency, score = rows[again], frequency[again], score[again]
                names_of_traits = (unquote(name) for names in several for name in names)
                of = np.array(
                    [traits.setdefault(name, len(traits)) if name else -1 for name in names_of_traits], dtype=np.int32
                )
            kept.append((contig[rows], block.starts[rows], block.ends[rows], minor(frequency), score, of))
            n += len(rows)
            while most is not None and n > 2 * most:
                share /= 2
                halves = [rng.random(len(each[0])) < 0.5 for each in kept]
                kept = [tuple(column[half] for column in each) for each, half in zip(kept, halves, strict=True)]  # type: ignore[misc]
                n = sum(len(each[0]) for each in kept)
        notes = (*given.notes, *file.notes)
    if not n:
        raise FileFormatError(f"{given.name} has no records to read; give a VCF with some, or other regions.")
    contigs, starts, ends, frequencies, scores, of_rows = (np.concatenate(column) for column in zip(*kept, strict=True))
    return VariantRegions(
        Path(given.name).name, tuple(numbers), contigs, starts, ends, frequencies, scores, of_rows, tuple(traits), notes
    )


def _read_bed(path: Path, score_column: str | None, trait_column: str | None) -> VariantRegions:
    at = {}
    for option, text in (("score", score_column), ("trait", trait_column)):
        if text is not None and not (is_count(text) and int(text) > 3):
            raise OptionError(option, f"is {text}, expected the number of a column of the BED, from 4 on; correct it.")
        at[option] = int(text) - 1 if text else None
    numbers: dict[str, int] = {}
    traits: dict[str, int] = {}
    rows: list[tuple[int, int, int, float, int]] = []
    for number, fields, chrom, start, end in bed_rows(path, zero_length=True):
        values = []
        for column in at.values():
            if column is not None and column >= len(fields):
                raise FileFormatError(
                    f"{path}, line {number}: {len(fields)} columns, but column {column + 1} is needed; give another."
                )
            values.append("" if column is None else fields[column])
        score = _largest(values[0], f"column {score_column}") if values[0] else float("nan")
        of = traits.setdefault(values[1], len(traits)) if values[1] not in ("", ".") else -1
        rows.append((numbers.setdefault(chrom, len(numbers)), start, end, score, of))
    if not rows:
        raise FileFormatError(f"{path} has no rows; give a BED with some.")
    contig, starts, ends, scores, of_rows = (np.array(column) for column in zip(*rows, strict=True))
    places = VariantRegions(
        path.name,
        tuple(numbers),
        contig.astype(np.int32),
        starts,
        ends,
        np.full(len(rows), np.nan),
        scores,
        of_rows.astype(np.int32),
        tuple(traits),
    )
    _require(places, score_column, trait_column, "the BED")
    return places


def _require(places: VariantRegions, score: str | None, trait: str | None, where: str) -> None:
    if score is not None and not np.isfinite(places.score).any():
        raise OptionError("score", f"is {score}, but no record of {places.name} has this number in {where}; give another key.")
    if trait is not None and not places.traits:
        raise OptionError("trait", f"is {trait}, but no record of {places.name} has this value in {where}; give another key.")


def _value_of(key: str) -> Callable[[str], str]:
    """Return a function that reads the value of a key from INFO; empty if it is missing or a dot."""
    pattern = re.compile(rf"(?:^|;){re.escape(key)}=([^;]*)")

    def value(info: str) -> str:
        match = pattern.search(info)
        return match[1] if match and match[1] != "." else ""

    return value


def _largest(text: str, key: str) -> float:
    """Return the largest absolute value of comma-separated numbers; NaN if there are none."""
    try:
        values = [abs(float(part)) for part in text.split(",") if part not in ("", ".")]
    except ValueError as error:
        raise OptionError("score", f"is {key}, whose value {text[:40]!r} is not a number; give the key of a score.") from error
    return max(values, default=float("nan"))


def fill_frequencies(places: VariantRegions, background: VariantRegions) -> VariantRegions:
    """Fill in unknown frequencies of regions with those of the same regions in the background."""
    keys_of_background = background.keys()
    order = np.argsort(keys_of_background)
    at = np.minimum(np.searchsorted(keys_of_background[order], keys := places.keys()), max(len(order) - 1, 0))
    shared = keys_of_background[order][at] == keys if len(order) else np.zeros(len(places), dtype=bool)
    values = np.where(shared, background.frequency[order][at], np.nan) if len(order) else np.full(len(places), np.nan)
    frequency = np.where(np.isnan(places.frequency), values, places.frequency)
    return VariantRegions(**{**places.__dict__, "frequency": frequency})


def unique_regions(places: VariantRegions) -> VariantRegions:
    """Merge equal regions, in order of first appearance, with their largest score and first known frequency."""
    _, first, which = np.unique(places.keys(), return_index=True, return_inverse=True)
    which = which.reshape(-1)
    score = np.full(len(first), -np.inf)
    np.maximum.at(score, which, np.nan_to_num(places.score, nan=-np.inf))
    frequency = np.full(len(first), np.nan)
    known = np.flatnonzero(~np.isnan(places.frequency))[::-1]
    frequency[which[known]] = places.frequency[known]  # the last value written is the first of the file
    order = np.argsort(first)
    regions = places.take(first[order])
    return replace(regions, score=np.where(np.isfinite(score), score, np.nan)[order], frequency=frequency[order])


def thinned(places: VariantRegions, distance: int) -> Integers:
    """Return rows whose starts are at least `distance` apart, chosen greedily from the left of each contig."""
    kept = []
    for _, rows in places.by_contig():
        last = None
        for row in rows[np.argsort(places.starts[rows], kind="stable")].tolist():
            start = int(places.starts[row])
            if last is None or start - last >= distance:
                kept.append(row)
                last = start
    return np.array(sorted(kept), dtype=np.int64)
