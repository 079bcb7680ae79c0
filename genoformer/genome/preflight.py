"""Preflight check of a VCF against a reference: VCF + FASTA -> counts, REF agreement, builds -> pass, or the reason to stop.

The check reads the VCF once, before any model is loaded, in constant memory.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from genoformer.errors import ConfigError, PreflightError
from genoformer.formats.vcf import joined, open_vcf
from genoformer.formats.vcf_records import column
from genoformer.formats.vcf_selection import lists_overlapping
from genoformer.genome.agreement import Evidence, Judgement, judge
from genoformer.genome.assemblies import BUILDS
from genoformer.genome.causes import chance_agreement
from genoformer.genome.contigs import (
    ContigMap,
    builds_of_accessions,
    canonical_key,
    likely_build,
    renaming_by_length,
    renaming_table,
)
from genoformer.genome.preflight_result import N_NAMES, ContigUse, LengthDifference, Preflight
from genoformer.genome.readings import Reading
from genoformer.genome.region_sources import Regions, Selection, select_regions, selection_notes
from genoformer.genome.sample import Sample
from genoformer.genome.tally import Tally
from genoformer.genome.variants import RefState
from genoformer.progress import ProgressCallback, Stage

if TYPE_CHECKING:
    from genoformer.genome.reference import Genome

FIXES = ("swap", "strand", "shift")  # fixes that can be requested
_BATCH = 4_096  # records

# Spellings of builds in ##reference, ##assembly and ##contig lines.
_BUILD_NAMES = {
    "hg19": r"hg19|grch37|ncbi37|hs37d?\d?|g1k_v37|(?<![a-z0-9])b37(?![a-z0-9])",
    "hg38": r"hg38|grch38|ncbi38|hs38|(?<![a-z0-9])b38(?![a-z0-9])",
    "chm13": r"chm13|t2t",
    "mm10": r"(?<![a-z0-9])mm10(?![a-z0-9])|grcm38",
    "mm39": r"(?<![a-z0-9])mm39(?![a-z0-9])|grcm39",
}


def preflight(
    vcf: str | Path,
    genome: Genome,
    *,
    max_length: int = sys.maxsize,
    region: Regions | Selection | None = None,
    name: str | Path | None = None,
    fix: Sequence[str] = (),
    force: bool = False,
    progress: ProgressCallback = None,
) -> Preflight:
    """Read a VCF once and compare it with the reference; only a malformed file or a region outside its contig is refused.

    Parameters: max_length, the longest REF or ALT that the model can score, in bases; region, count only records whose REF
    overlaps it, or one of several; name, the name of the VCF in messages if `vcf` is a copy of it; fix, names from FIXES:
    requested readings of records whose REF disagrees; force, score contigs that do not belong, too; progress, called with the
    number of records read so far.
    Raises: FileFormatError, ConfigError for a region beyond the end of its contig.

    >>> from importlib.resources import files
    >>> from genoformer.genome.reference import Genome
    >>> demo = files("genoformer_data") / "demo"
    >>> with Genome(demo / "genome.fa.gz") as genome:
    ...     found = preflight(demo / "variants.vcf.gz", genome, max_length=100, region="chrS1:1-20,000")
    >>> found.n_records, found.n_agreeing
    (31, 31)
    """
    chosen = region if isinstance(region, Selection) else select_regions(region, genome.contigs, genome.name)
    tally = Tally(genome, max_length, swaps="swap" in fix, strands="strand" in fix, shifts="shift" in fix)
    n_records = n_alts = longest = 0
    stage, sample = Stage(progress, "preflight"), Sample()
    with open_vcf(vcf, fingerprint=True, name=name) as file:
        header, lengths, notes = file.header, file.contig_lengths, file.notes
        shown = file.name
        lists = lists_overlapping(file, chosen.intervals if chosen else None, genome.contigs)
        for batch in joined(lists, _BATCH):
            longest = max(longest, max(map(len, column(batch, "line"))))
            tally.add(batch)
            sample.add(batch)
            n_records += len(batch)
            n_alts += sum(map(len, column(batch, "alts")))
            stage.report(n_records)
        sha256 = file.sha256
    if chosen:
        notes = [*notes, *chosen.notes, *selection_notes(chosen, genome, tally.names, shown, n_records)]
    n_on = tally.n_records
    notes = [*notes, *ContigMap(n_on, genome.contigs).remarks(genome.name)]
    renaming = _renaming(tally.names, lengths, genome)
    if renaming and any(tally.names.values()):
        notes.append(f"contigs are the same by length under other names: {renaming_table(renaming, shown)}")
    builds = builds_of_accessions(n_on)
    chance = chance_agreement(sample.letters)
    judged = tuple(judge(_evidence(tally, lengths, genome), chance, fix))
    return Preflight(
        vcf=shown,
        reference=genome.name,
        n_records=n_records,
        n_alts=n_alts,
        statuses=tally.statuses(judged, force=force),
        contigs=tuple(ContigUse(name, tally.names[name], n) for name, n in n_on.items()),
        n_compared=tally.n_in(RefState.DIFFERS, RefState.AGREES),
        n_agreeing=tally.n_in(RefState.AGREES),
        n_outside=tally.n_in(RefState.OUTSIDE),
        chance=chance,
        judged=judged,
        asked=tuple(fix),
        force=force,
        reference_build=likely_build(genome.contigs),
        vcf_build=None if len(builds) > 1 else likely_build(dict.fromkeys(n_on, 0) | lengths) or _named_build(header),
        accession_builds=builds,
        length_differences=tuple(_length_differences(lengths, genome)),
        reference_contigs=tuple(islice(genome.contigs, N_NAMES + 1)),
        sha256=sha256,
        header=tuple(header),
        notes=tuple(notes),
        places=tuple(_as_meant(sample.places(tally.names), judged, force=force)),
        places_with_bases=tuple(_as_meant(sample.places(tally.names, with_bases=True), judged, force=force)),
        longest=longest,
        renaming=renaming,
    )


def fixes_named(names: str | Iterable[str]) -> tuple[str, ...]:
    """Parse names of FIXES from a list or from text with commas, each once and in order; ConfigError for unknown names.

    >>> fixes_named("strand, swap")
    ('swap', 'strand')
    """
    texts = [names] if isinstance(names, str) else list(names)
    requested = {name.strip().lower() for text in texts for name in text.split(",")} - {""}
    if unknown := sorted(requested - set(FIXES)):
        raise ConfigError(f"fix {unknown[0]!r}: allowed are {', '.join(FIXES)}, or several of them with commas.")
    return tuple(name for name in FIXES if name in requested)


def warn_of_findings(result: Preflight) -> None:
    """Issue a UserWarning for each contig and cause that does not fit, for users who do not read the log."""
    for text in result.findings:
        warnings.warn(text, stacklevel=4)


def check_preflight(result: Preflight, *, force: bool = False) -> None:
    """Raise PreflightError with the problem, if there is one and `force` is off."""
    problem = result.problem()
    if problem and not (force or result.force):
        text, *table = problem.split("\n")
        raise PreflightError(text, table=table)


def _as_meant(places: Iterable[tuple[str, int]], judged: Iterable[Judgement], *, force: bool) -> list[tuple[str, int]]:
    """Map positions (VCF contig, 0-based start) to the genome, shifted by fixes; keep contigs that belong if there are any."""
    of_name = {of.evidence.name: of for of in judged}
    moves = {name: (1 if of.fix & Reading.NEXT else -1 if of.fix & Reading.PREVIOUS else 0) for name, of in of_name.items()}
    moved = [(of_name[name], start + moves[name]) for name, start in places]
    known = [pair for pair in moved if force or not pair[0].is_other] or moved
    return [(of.evidence.reference, start) for of, start in known]


def _evidence(tally: Tally, lengths: Mapping[str, int], genome: Genome) -> list[Evidence]:
    """Return the evidence for each contig that the FASTA has."""
    return [
        Evidence(name, reference, genome.contigs[reference], stated or _length_by_name(name), of, is_named=not stated)
        for name, of in tally.counts().items()
        if (reference := tally.names[name]) is not None
        for stated in [lengths.get(name)]
    ]


def _length_by_name(name: str) -> int | None:
    """Return the length of the contig that an accession names, such as NC_000020.11."""
    build = likely_build({name: 0})
    if build is not None:
        return BUILDS[build][canonical_key(name)]
    return BUILDS["hg38"]["MT"] if name.startswith(("NC_012920", "J01415", "CP068254")) else None


def _renaming(names: Mapping[str, str | None], lengths: Mapping[str, int], genome: Genome) -> dict[str, str]:
    """Match contigs that have another name in the FASTA by their length."""
    absent = {name: lengths.get(name, 0) for name, reference in names.items() if reference is None}
    used = set(names.values())
    return renaming_by_length(absent, {name: length for name, length in genome.contigs.items() if name not in used})


def _named_build(header: list[str]) -> str | None:
    """Return the build that the header names, or None unless it names exactly one."""
    lines = "\n".join(line for line in header if line.startswith(("##reference", "##assembly", "##contig"))).lower()
    builds = [build for build, pattern in _BUILD_NAMES.items() if re.search(pattern, lines)]
    return builds[0] if len(builds) == 1 else None


def _length_differences(lengths: dict[str, int], genome: Genome) -> Iterable[LengthDifference]:
    contigs = ContigMap(lengths, genome.contigs)
    for name, length in lengths.items():
        reference = contigs.get(name)
        if reference is not None and genome.contigs[reference] != length:
            yield LengthDifference(name, length, reference, genome.contigs[reference])
