"""enrich_variants(): variants -> regions -> matched controls -> overlaps of both -> counts and P."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.annotation.enrichment import TraitMatrix, enrich, enrich_traits
from genoformer.annotation.matching import (
    FEWEST,
    MEANING,
    Described,
    covariates,
    coverage,
    match,
    membership,
    unmatched,
)
from genoformer.annotation.overlap import Annotations, contig_notes, require_shared
from genoformer.annotation.random_regions import random_regions, random_space
from genoformer.annotation.request import AUTO, EnrichmentRequest
from genoformer.annotation.study_result import Compared, Study
from genoformer.annotation.variant_regions import (
    VariantRegions,
    excluded_bases,
    fill_frequencies,
    layout_notes,
    read_variant_regions,
    thinned,
    unique_regions,
)
from genoformer.errors import ConfigError, OptionError
from genoformer.genome.contigs import ContigMap
from genoformer.genome.variant_input import VariantSource
from genoformer.option_checks import names_unknown_options
from genoformer.progress import Progress, ProgressCallback

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

MOST_CONTROLS = 1_000_000  # controls from a background file


@names_unknown_options("enrich_variants")
def enrich_variants(
    variants: VariantSource,
    annotations: Annotations,
    background: str | Path = AUTO,
    *,
    progress: ProgressCallback = None,
    **options: Any,
) -> Study:
    """Test if variants overlap annotations more often than matched controls.

    Controls always match the length of a variant to a factor of two, and lie on contigs covered by the same annotations. "af"
    needs frequencies of the variants, or of the background at the same position; "tss" needs TSSs in the annotations; "gc"
    needs a genome. Bins are widened if variants have too few controls.

    Parameters: see `EnrichmentRequest`; options are its other fields, such as genome, match_on, score, trait and seed.

    Raises: ConfigError if nothing can be matched or no variant is left, and the errors of the readers.

    >>> from importlib.resources import files
    >>> from genoformer.annotation import read_annotations
    >>> from genoformer.genome.reference import Genome
    >>> demo = files("genoformer_data") / "demo"
    >>> states = read_annotations(f"STATE={demo / 'states.bed.gz'}")
    >>> with Genome(demo / "genome.fa.gz") as genome:
    ...     study = enrich_variants(demo / "variants.vcf.gz", states, genome=genome)
    >>> [int(n) for n in study.compared[0].enrichment.observed]  # one of study.annotations each
    [245, 44, 700, 223, 97, 328, 364]
    """
    return run_enrichment(EnrichmentRequest(variants, annotations, background, **options), progress=progress)


def run_enrichment(request: EnrichmentRequest, *, progress: ProgressCallback = None) -> Study:
    """Read variants and controls, match them, and count the overlaps of both; parameters and errors: see `enrich_variants`."""
    began = time.monotonic()
    report = progress or (lambda _: None)
    notes = [note for source in request.annotations.all for note in source.notes]
    records = _read_variants(request, notes)
    report(Progress("read", len(records), None))
    records, pool = _read_controls(request, records, notes)
    matched_on = _covariates(request, records, pool, notes)
    regions = unique_regions(records)
    if len(regions) < len(records):
        n, best = len(records) - len(regions), ", with the largest score" if request.score is not None else ""
        notes.append(f"{n:,} of {len(records):,} records repeat the position of another; each position counts once{best}.")
    names, variants = _group(request, regions, matched_on)
    _, controls = _group(request, unique_regions(pool), matched_on)
    report(Progress("overlaps", len(controls.regions), None))
    compared: list[Compared] = []
    matrix: TraitMatrix | None = None
    control_keys = controls.regions.keys()
    for name, rows, others in _selections(request, variants.regions, controls.regions, notes):
        chosen = variants.take(rows)
        others = others[~np.isin(control_keys[others], chosen.regions.keys())]
        comparison, matrix = _compare(request, name, chosen, controls.take(others), records, notes)
        compared.append(comparison)
        report(Progress("resample", len(compared) * request.resamplings, None))
    settings = _settings(request, records, regions, pool.name, matched_on)
    return Study(names, compared, list(records.traits), matrix, matched_on, settings, notes, time.monotonic() - began)


class _Group(NamedTuple):
    """Variants or controls, with what they are matched on and their overlaps."""

    described: Described
    overlaps: Flags  # [n, A]
    possible: Flags  # [n, A], the annotation has the contig of the region

    @property
    def regions(self) -> VariantRegions:
        return self.described.regions

    def take(self, rows: Integers | Flags) -> _Group:
        return _Group(self.described.take(rows), self.overlaps[rows], self.possible[rows])


def _group(request: EnrichmentRequest, regions: VariantRegions, matched_on: Sequence[str]) -> tuple[list[str], _Group]:
    """Return the names of the annotations [A], and the regions with their properties and overlaps."""
    names, overlaps, possible = membership(regions, request.annotations)
    values = covariates(regions, matched_on, request.annotations, request.genome)
    return names, _Group(Described(regions, values, coverage(regions, request.annotations)), overlaps, possible)


def _read_variants(request: EnrichmentRequest, notes: list[str]) -> VariantRegions:
    """Read the variants, and add notes on the file and on its contigs."""
    records = read_variant_regions(
        request.variants,
        af_key=request.af_key,
        score_key=request.score,
        trait=request.trait,
        seed=request.seed,
        genome=request.genome,
        region=request.region,
    )
    notes += [*records.notes, *layout_notes(request.variants)]
    require_shared(request.annotations, dict.fromkeys(records.contigs, 0), records.name)
    known = dict(request.genome.contigs) if request.genome is not None else dict(request.sizes or {})
    names = ContigMap(records.contigs, known)
    lengths = {name: known.get(names.get(name) or "", 0) for name in records.contigs}
    notes += contig_notes(request.annotations, lengths, records.name)
    return records


def _read_controls(
    request: EnrichmentRequest, records: VariantRegions, notes: list[str]
) -> tuple[VariantRegions, VariantRegions]:
    """Return the variants, with the frequencies that a background has of them, and the controls."""
    if request.has_own_controls:
        return records, records
    if request.has_random_controls:
        space = random_space(
            records,
            request.genome,
            request.sizes,
            excluded_bases(records, request.exclude or {}, request.region, request.genome),
        )
        notes += space.notes
        lengths = np.maximum(records.ends - records.starts, 1)
        return records, random_regions(space, request.controls, lengths, np.random.default_rng([request.seed, 1]))
    pool = read_variant_regions(
        request.background,
        af_key=request.af_key,
        most=MOST_CONTROLS,
        seed=request.seed,
        genome=request.genome,
        region=request.region,
    )
    notes += pool.notes
    return fill_frequencies(records, pool), pool


def _compare(
    request: EnrichmentRequest, name: str, variants: _Group, controls: _Group, records: VariantRegions, notes: list[str]
) -> tuple[Compared, TraitMatrix | None]:
    """Match variants with controls and count their overlaps, also by trait if a trait is requested."""
    strata = match(variants.described, controls.described)
    lost = unmatched(strata)
    reasons = _reasons(lost, {key: np.isnan(values) for key, values in variants.described.covariates.items()})
    n = len(variants.regions)
    if lost.all():
        counts = ", ".join(f"{reason}: {n_lost:,}" for reason, n_lost in reasons.items())
        raise ConfigError(
            f"none of {n:,} variants has enough controls ({counts}); match on fewer properties, or give another background."
        )
    left, of_left = variants.take(~lost), strata.variants[~lost]
    sampling = {"n_resamplings": request.resamplings, "seed": request.seed}
    matrix = None
    if request.trait is not None:
        members = _members(records, left.regions, request.prune)
        matrix = enrich_traits(left.overlaps, of_left, controls.overlaps, strata.controls, left.possible, members, **sampling)
    kept = np.arange(len(of_left))
    if request.prune:
        kept = thinned(left.regions, request.prune)
        n_pruned = len(of_left) - len(kept)
        notes.append(
            f"{name}: {n_pruned:,} of {len(of_left):,} variants lie within {request.prune:,} bases of another that is kept."
        )
    pruned = left.take(kept)
    enrichment = enrich(pruned.overlaps, of_left[kept], controls.overlaps, strata.controls, pruned.possible, **sampling)
    return Compared(name, enrichment, strata, n, len(kept), len(controls.regions), reasons), matrix


def _settings(
    request: EnrichmentRequest, records: VariantRegions, regions: VariantRegions, controls: str, matched_on: Sequence[str]
) -> dict[str, Any]:
    return {
        "variants": records.name,
        "records": len(records),
        "places": len(regions),
        "controls": controls,
        "matched_on": {key: MEANING[key] for key in matched_on},
        "resamplings": request.resamplings,
        "seed": request.seed,
        "prune": request.prune,
        "annotations": {source.name: {"file": source.file, "sha256": source.sha256} for source in request.annotations.sources},
    }


def _reasons(lost: Flags, unknown: Mapping[str, Flags]) -> dict[str, int]:
    """Count unmatched variants by reason, each once; unknown: for each covariate, flags of variants without it."""
    counts, counted = {}, np.zeros(len(lost), dtype=bool)
    for key, flags in unknown.items():
        counts[f"no {MEANING[key]}"] = int((flags & ~counted).sum())
        counted |= flags
    counts[f"fewer than {FEWEST} controls like it"] = int((lost & ~counted).sum())
    return {reason: n for reason, n in counts.items() if n}


def _covariates(request: EnrichmentRequest, records: VariantRegions, pool: VariantRegions, notes: list[str]) -> list[str]:
    """Return the requested covariates, or by default all that are known; ConfigError for a requested unknown one."""
    why_not = {}
    if np.isnan(pool.frequency).all() or np.isnan(records.frequency).all():
        group = "controls" if np.isnan(pool.frequency).all() else "variants"
        why_not["af"] = f"the {group} have no frequencies"
    if request.annotations.genes is None:
        why_not["tss"] = "there are no TSSs or genes"
    if request.genome is None:
        why_not["gc"] = "there is no genome"
    if request.match_on is not None:
        if missing := [key for key in request.match_on if key in why_not]:
            raise OptionError("match_on", f"is {missing[0]}, but {why_not[missing[0]]}; give them, or match on less.")
        return list(request.match_on)
    notes += [f"not matched on {MEANING[key]}: {reason}." for key, reason in why_not.items()]
    return [key for key in MEANING if key not in why_not]


def _selections(
    request: EnrichmentRequest, variants: VariantRegions, controls: VariantRegions, notes: list[str]
) -> list[tuple[str, Integers, Integers]]:
    """Return (name, rows of variants, rows of controls) for each comparison."""
    others = np.arange(len(controls))
    if request.score is None:
        return [("all", np.arange(len(variants)), others)]
    known = np.flatnonzero(np.isfinite(variants.score))
    if len(known) < len(variants):
        notes.append(f"{len(variants) - len(known):,} of {len(variants):,} records have no {request.score} and are left out.")
    selections = []
    for top in sorted(request.tops, reverse=True):
        least = np.quantile(variants.score[known], 1 - top)
        rows = known[variants.score[known] >= least]
        if request.has_own_controls:
            others = np.flatnonzero(np.isfinite(controls.score) & (controls.score < least))
        if not len(others):
            raise OptionError(
                "top",
                f"is {top:g}, but no record has a |{request.score}| below {least:.4g} and could be a control; give a "
                "background, or another score.",
            )
        selections.append((f"|{request.score}| >= {least:.4g} (top {top:.3g})", rows, others))
    return selections


def _members(records: VariantRegions, regions: VariantRegions, prune: int) -> tuple[Integers, Integers, int]:
    """Return the distinct pairs (trait, region) of records in these regions, and the number of traits."""
    keys, record_keys = regions.keys(), records.keys()
    order = np.argsort(keys)
    at = np.minimum(np.searchsorted(keys[order], record_keys), len(keys) - 1)
    inside = (keys[order][at] == record_keys) & (records.trait >= 0)
    pairs = np.unique(np.stack([records.trait[inside].astype(np.int64), order[at][inside]], axis=1), axis=0)
    if prune:
        groups = np.split(pairs[:, 1], np.flatnonzero(np.diff(pairs[:, 0])) + 1)
        kept = [rows[thinned(regions.take(rows), prune)] for rows in groups if len(rows)]
        traits = np.unique(pairs[:, 0])
        pairs = np.concatenate([np.stack([np.full(len(rows), t), rows], axis=1) for t, rows in zip(traits, kept, strict=True)])
    return pairs[:, 0], pairs[:, 1], len(records.traits)
