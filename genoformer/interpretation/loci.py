"""BED, regions, variants or FASTA -> loci with their sequences; maps of loci -> .npz and bigWig."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.addresses import readable_address, refuse_address
from genoformer.errors import ConfigError, FileFormatError, OptionError
from genoformer.files import atomic_write, write_text
from genoformer.formats.bed_columns import has_ends
from genoformer.formats.bed_kinds import layout_of
from genoformer.formats.bigwig_writer import write_bigwig
from genoformer.formats.text import numbered_lines
from genoformer.formats.variant_table import open_variant_table
from genoformer.formats.vcf import open_vcf
from genoformer.genome.beyond import Placed, placed_regions, regions_on
from genoformer.genome.codes import Codes
from genoformer.genome.contigs import join_names
from genoformer.genome.fit import scorable
from genoformer.genome.preflight import check_preflight, preflight
from genoformer.genome.reference import Genome, require_bases
from genoformer.genome.region_sources import Regions, region_sources
from genoformer.genome.structural import is_symbolic
from genoformer.genome.variant_input import VariantInput, VariantSource, input_name, is_variant, selected_variants
from genoformer.genome.variants import Alleles, Status, Variant, centred_start, place_alleles

if TYPE_CHECKING:  # loci can be read without torch
    from genoformer.inference import Floats

MATRICES = "matrices.npz"  # attention: matrix_i [T, T] and edges_i [T + 1], on the contig, of the drawn loci
MAPS = ("maps.npz", "maps.bw", "motifs.meme", "variants.tsv", MATRICES)  # files of a folder of maps
MANIFEST = "maps.json"  # marks a folder of maps that may be overwritten
_LONGEST = 1 << 21  # maximum length of a locus, twice the window of the longest models
_VCF = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")
_VARIANTS = "{} holds variants of a genome; give the FASTA of the genome, too."
_TABLES = (".tsv", ".csv", ".txt", ".tsv.gz", ".csv.gz", ".txt.gz")  # of variants, at an address
_FASTA = (".fa", ".fasta", ".fna", ".fa.gz", ".fasta.gz", ".fna.gz")


class Locus(NamedTuple):
    """A sequence and the position of its first base on a contig; a sequence without a genome has chrom "" and start 0."""

    name: str
    chrom: str
    start: int
    codes: Codes
    alleles: Alleles | None = None  # alleles of a variant; `codes` is the reference allele
    allele: Variant | None = None  # the variant, with the contig name of the genome

    @property
    def variant(self) -> tuple[int, int] | None:
        """Bases [start, end) of REF on the contig; None for a locus without a variant."""
        if self.alleles is None:
            return None
        start = self.start + self.alleles.ref_start
        return start, start + self.alleles.ref_length

    @property
    def alternative(self) -> Locus:
        """The locus with the ALT allele; only for a locus of a variant."""
        assert self.alleles is not None
        return self._replace(codes=self.alleles.alt)

    @property
    def end(self) -> int:
        return self.start + len(self.codes)


def place_text(chrom: str, start: int, length: int) -> str:
    """Return bases of a contig as text, 1-based; of a sequence without a contig, its bases.

    >>> place_text("chr1", 9, 5), place_text("", 0, 5)
    ('chr1:10-14', 'bases 1-5')
    """
    return f"{f'{chrom}:' if chrom else 'bases '}{start + 1:,}-{start + length:,}"


class Loci(NamedTuple):
    """Contents of a BED, regions, variants or a FASTA, with notes for the user."""

    loci: list[Locus]
    alleles: Sequence[Variant] = ()  # all scorable alleles of a VCF, also those too long for a window
    notes: Sequence[str] = ()


def read_loci(
    source: VariantSource | None,
    genome: Genome | None = None,
    *,
    region: Regions | None = None,
    length: int | None = None,
    columns: str | None = None,
    fix: Sequence[str] = (),
    force: bool = False,
) -> Loci:
    """Read the regions of a BED or narrowPeak, windows around the alleles of variants, or the sequences of a FASTA.

    source: a BED, a FASTA, or variants: a VCF or BCF, a table of them, an id such as chr20:1050100:A:G or several, or a
    DataFrame. Variants are compared with the genome, and their records are read, as in `score`. An ALT that cannot be scored
    (symbolic, REF differs from the reference ...) has no window. The notes have the number of these ALTs and the findings of
    the preflight.

    region: regions to read if there is no source; of variants, only those whose REF overlaps one. length: bases around the
    middle of each region or variant; by default regions keep their length. columns: names of the columns of a BED, as in
    `--columns`. fix and force: handling of variants, as in `score`.
    Raises ConfigError for regions or variants without a genome, for variants without a length, and for loci longer than any
    model reads. Refuses a region that extends beyond its contig. Raises PreflightError for variants that do not fit the genome,
    and FileFormatError for an empty file or a FASTA record without bases.
    """
    if length is not None and length > _LONGEST:
        raise ConfigError(f"length of {length:,} bases: give {_LONGEST:,} or less.")
    if source is None:
        return _read_regions(region, genome, length, columns)
    of_variants = _holds_variants(source, columns)
    path = Path(source) if isinstance(source, str | Path) else Path()  # not used of other variants
    if not of_variants:
        refuse_address(path)
        if region is not None:
            found = f"found {path}, which holds no variants"
            raise OptionError("region", f"selects variants, {found}; leave the file out, or give a BED as a region, too.")
    if not of_variants and path.name.endswith(_FASTA):
        with Genome(path) as sequences:
            require_bases(sequences)
            return Loci([Locus(name, "", 0, sequences.window(name, 0, n)) for name, n in sequences.contigs.items()])
    name = input_name(source)
    if genome is None:
        is_missing = isinstance(source, str | Path) and not is_variant(source) and not path.exists()
        raise ConfigError(_VARIANTS.format(name) if of_variants and not is_missing else _without_genome(path))
    if of_variants:
        if length is None:
            raise OptionError("length", f"is missing, and {name} holds variants; give the length of the windows around them.")
        with selected_variants(source, genome, region) as given:
            contents = _read_vcf(given, genome, length, fix, force)
    else:
        notes = [f"{path.name}: {note}" for note in layout_of(path, columns).notes]
        contents = Loci(list(_loci_of(regions_on(path, genome, columns), genome, length, str(path))), notes=notes)
    if not contents.loci:
        raise FileFormatError(f"{name} has no regions; give a BED, variants or a FASTA with at least one.")
    return contents


def _holds_variants(source: VariantSource, columns: str | None) -> bool:
    """True for a VCF, ids, a DataFrame, or a table of variants; a table with the ends of regions holds regions."""
    if not isinstance(source, str | Path) or is_variant(source) or str(source) == "-":
        return True
    path = Path(source)
    if path.name.partition("?")[0].endswith(_VCF):
        return True
    if columns is not None or path.name.endswith(_FASTA):
        return False
    if readable_address(source) is not None:
        return path.name.partition("?")[0].endswith(_TABLES)
    if not path.is_file():
        return False
    table = open_variant_table(path)
    return table is not None and not has_ends(table.layout.names)


def _read_regions(region: Regions | None, genome: Genome | None, length: int | None, columns: str | None) -> Loci:
    """Return the loci of regions without a file of data."""
    if region is None:
        raise ConfigError("found no data and no region, expected a BED, variants, a FASTA or a region; give one.")
    if genome is None:
        raise OptionError("region", "is of a genome, found none; give its FASTA, too.")
    files = [source for source in region_sources(region) if isinstance(source, Path)]
    notes = [f"{path.name}: {note}" for path in files for note in layout_of(path, columns).notes]
    loci = list(_loci_of(placed_regions(region, genome, columns), genome, length))
    if not loci:
        raise FileFormatError(f"{join_names(map(str, files))} has no regions; give a BED with at least one.")
    return Loci(loci, notes=notes)


def _without_genome(path: Path) -> str:
    """Return the reason why a file cannot be read without a genome: it holds regions, or sequences in another format.

    Raises MissingFileError without a file.
    """
    expected = "a FASTA, or a BED or VCF with the FASTA of its genome"
    for _, line in numbered_lines(path, expected):
        fields = [field.strip(' "').lower() for field in re.split("[\t,]", line)]
        if {"sequence", "seq"} & set(fields) or re.fullmatch("[acgtn]{6,}", fields[0]):
            return f"{path} is a table of sequences, expected {expected}; write its sequences as a FASTA (.fa)."
        break
    return f"{path} holds regions of a genome; give the FASTA of the genome, too."


def _loci_of(regions: Iterable[Placed], genome: Genome, length: int | None, file: str = "") -> Iterator[Locus]:
    """Yield the loci of regions; file: where they come from, for messages."""
    for region, chrom in regions:
        start, end = region.start, region.end
        if length is not None:
            start = (region.start + region.end) // 2 - length // 2
            end = start + length
        if end - start > _LONGEST:
            where = f"{file}, line {region.line}: " if file else ""
            raise ConfigError(f"{where}{chrom}:{start + 1:,}-{end:,} is longer than {_LONGEST:,} bases; give a shorter length.")
        name = region.name if region.name not in ("", ".") else f"{chrom}:{start + 1}-{end}"
        yield Locus(name, chrom, start, genome.window(chrom, start, end - start))


def _read_vcf(given: VariantInput, genome: Genome, length: int, fix: Sequence[str], force: bool) -> Loci:
    """Return windows around the alleles of at most half their length, and all scorable alleles."""
    loci, alleles, omitted = list[Locus](), list[Variant](), Counter[str]()
    check = preflight(given.path, genome, max_length=sys.maxsize, name=given.name, fix=fix, force=force)
    check_preflight(check)
    with open_vcf(given.path, name=given.name) as file:
        for record, variant in scorable(file, genome, sys.maxsize, omitted, check.fit()):
            alleles.append(variant)
            if max(len(variant.ref), len(variant.alt)) > length // 2:
                omitted[Status.TOO_LONG.value] += 1
                continue
            start = centred_start(variant, length)
            placed = place_alleles(genome, variant, start, length)
            spelled = str(variant._replace(chrom=record.chrom))
            name = f"{record.chrom}:{record.pos}:{','.join(record.alts)}" if is_symbolic(record) else spelled
            loci.append(Locus(name, variant.chrom, start, placed.ref, placed, variant))
    reasons = ", ".join(f"{n:,} {status}" for status, n in sorted(omitted.items()))
    if omitted and not loci:
        raise FileFormatError(f"no allele of {given.name} has a window of {length:,} bases: {reasons}; see `score --explain`.")
    n = omitted.total()
    notes = [f"{n:,} {'allele has' if n == 1 else 'alleles have'} no window: {reasons}."] if n else []
    return Loci(loci, alleles, [*given.notes, *check.findings, *notes])


def write_maps(path: Path, loci: Sequence[Locus], maps: Sequence[Floats], what: str) -> None:
    """Write a .npz without pickles: names, chroms, starts, `what`, and for each locus codes_i [L] and map_i [L] or [L, 4].

    Write also MANIFEST to the same folder, with the description of the maps and the number of loci.
    """
    arrays: dict[str, np.ndarray] = {
        "what": np.array(what),
        "names": np.array([locus.name for locus in loci]),
        "chroms": np.array([locus.chrom for locus in loci]),
        "starts": np.array([locus.start for locus in loci], dtype=np.int64),
    }
    for i, (locus, values) in enumerate(zip(loci, maps, strict=True)):
        arrays |= {f"codes_{i}": locus.codes, f"map_{i}": np.asarray(values, dtype=np.float32)}
    write_text(path.with_name(MANIFEST), json.dumps({"what": what, "places": len(loci)}))
    write_arrays(path, arrays)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a .npz atomically."""
    with atomic_write(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def write_map_track(path: Path, loci: Sequence[Locus], maps: Sequence[Floats], genome: Genome) -> int:
    """Write a bigWig of maps [L] on a genome, with the mean where loci overlap. Return the number of bases with a value."""
    by_contig: dict[str, list[tuple[NDArray[np.int64], NDArray[np.float64]]]] = {}
    for locus, numbers in zip(loci, maps, strict=True):
        positions, values = np.arange(locus.start, locus.end), np.asarray(numbers, dtype=float)
        known = (positions >= 0) & (positions < genome.contigs[locus.chrom]) & np.isfinite(values)
        by_contig.setdefault(locus.chrom, []).append((positions[known], values[known]))
    runs = []
    for chrom in genome.contigs:
        parts = by_contig.get(chrom, [(np.zeros(0, np.int64), np.zeros(0))])
        positions, values = (np.concatenate(x) for x in zip(*parts, strict=True))
        starts, rows, n = np.unique(positions, return_inverse=True, return_counts=True)
        if len(starts):
            runs.append((chrom, starts, starts + 1, np.bincount(rows, values) / n))
    write_bigwig(path, genome.contigs, runs)
    return sum(len(starts) for _, starts, *_ in runs)
