"""enrich_variants(): variants -> regions -> matched controls -> overlaps of both -> counts and P."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.annotation.elements import Elements
from genoformer.annotation.enrichment import Enrichment, TraitMatrix, enrich, enrich_traits
from genoformer.annotation.genes import PARTS
from genoformer.annotation.matching import FEWEST, MEANING, Strata, covariates, coverage, edges_of, match, unmatched
from genoformer.annotation.overlap import Annotations, contig_notes, require_shared
from genoformer.annotation.places import Places, ground_of, known_frequencies, layout_notes, random_places, variant_places
from genoformer.errors import ConfigError
from genoformer.genome.contigs import ContigMap
from genoformer.genome.reference import Genome
from genoformer.genome.regions import Intervals
from genoformer.progress import Progress, ProgressCallback

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

AUTO = "auto"
RESAMPLINGS = 1_000
POOL = 200_000  # random controls
MOST_CONTROLS = 1_000_000  # controls from a background file
MARK_P, MARK_OVERLAPS = 0.01, 3  # largest P and smallest number of overlaps of a marked cell


class Compared(NamedTuple):
    """Enrichment of a set of variants over its controls."""

    name: str  # "all", or the selection by score
    enrichment: Enrichment
    strata: Strata
    n_variants: int  # before matching
    n_compared: int  # after matching and pruning
    n_controls: int
    unmatched: dict[str, int]  # reason -> variants


class Study(NamedTuple):
    """Result of `enrich_variants`."""

    annotations: list[str]  # [A]
    compared: list[Compared]
    traits: list[str]
    matrix: TraitMatrix | None
    matched_on: list[str]
    settings: dict[str, Any]
    notes: list[str]
    seconds: float

    @property
    def marked(self) -> Flags:
        """Flags [T, A]: P at most 0.01 and at least three overlaps."""
        assert self.matrix is not None
        return (self.matrix.p <= MARK_P) & (self.matrix.observed >= MARK_OVERLAPS)


def enrich_variants(
    variants: str | Path,
    annotations: Annotations,
    background: str | Path = AUTO,
    *,
    genome: Genome | None = None,
    sizes: Mapping[str, int] | None = None,
    exclude: Mapping[str, Intervals] | None = None,
    match_on: Sequence[str] | None = None,
    af_key: str = "AF",
    trait: str | None = None,
    score: str | None = None,
    tops: Sequence[float] = (0.01,),
    prune: int = 0,
    n_resamplings: int = RESAMPLINGS,
    seed: int = 0,
    n_controls: int = POOL,
    progress: ProgressCallback = None,
) -> Study:
    """Test if variants overlap annotations more often than matched controls.

    variants: VCF, BCF or BED.
    background: VCF, BCF or BED of controls. "auto": random regions on the contigs of the variants, from `genome` without N,
        or from `sizes`.
    exclude: intervals without random controls.
    match_on: of "af", "tss" and "gc"; default: all that are known. "af" needs frequencies of the variants, or of the
        background at the same position; "tss" needs TSSs in the annotations; "gc" needs `genome`. Controls always match the
        length of a variant to a factor of two, and lie on contigs covered by the same annotations. Bins are widened if
        variants have too few controls.
    score: compare the variants with the largest absolute scores (tops: fractions of all) with the others, or with
        `background` if it is a file.
    trait: also count by trait.
    prune: of variants (of a trait) closer than this number of bases, keep the first.

    Raises ConfigError if nothing can be matched or no variant is left, and the errors of the readers.
    """
    began = time.monotonic()
    tell = progress or (lambda _: None)
    _check(annotations, n_resamplings, tops, trait, score)
    notes = [note for each in annotations.all for note in each.notes]
    every = variant_places(variants, af_key=af_key, score_key=score, trait=trait, seed=seed)
    notes += [*every.notes, *layout_notes(variants)]
    require_shared(annotations, dict.fromkeys(every.contigs, 0), every.name)
    lengths = ContigMap(every.contigs, known := dict(genome.contigs) if genome is not None else dict(sizes or {}))
    notes += contig_notes(annotations, {name: known.get(lengths.get(name) or "", 0) for name in every.contigs}, every.name)
    tell(Progress("read", len(every), None))
    rng = np.random.default_rng([seed, 1])
    own = score is not None and str(background) == AUTO
    if own:
        pool = every
    elif str(background) == AUTO:
        ground = ground_of(every, genome, sizes, exclude or {})
        notes += ground.notes
        pool = random_places(ground, n_controls, np.maximum(every.ends - every.starts, 1), rng)
    else:
        pool = variant_places(background, af_key=af_key, most=MOST_CONTROLS, seed=seed)
        notes += pool.notes
        every = known_frequencies(every, pool)
    chosen_by = _covariates(match_on, every, pool, annotations, genome, notes)
    places, pool = unique_places(every), unique_places(pool)
    if len(places) < len(every):
        n, best = len(every) - len(places), ", with the largest score" if score is not None else ""
        notes.append(f"{n:,} of {len(every):,} records lie where another does; each place counts once{best}.")
    names, mine, could = membership(places, annotations)
    pool_names, theirs, _ = membership(pool, annotations)
    assert names == pool_names
    tell(Progress("overlaps", len(pool), None))
    features = [covariates(each, chosen_by, annotations, genome) for each in (places, pool)]
    covered = [coverage(each, annotations) for each in (places, pool)]
    pool_keys = pool.keys()
    compared: list[Compared] = []
    matrix: TraitMatrix | None = None
    traits = list(every.traits)
    done = 0
    for name, picked, rest in _sets(places, pool, score, tops, own, notes):
        rest = rest[~np.isin(pool_keys[rest], places.keys()[picked])]
        strata = match(
            (places.take(picked), {key: of[picked] for key, of in features[0].items()}, covered[0][picked]),
            (pool.take(rest), {key: of[rest] for key, of in features[1].items()}, covered[1][rest]),
        )
        alone = unmatched(strata)
        lost = _reasons(alone, {key: np.isnan(of[picked]) for key, of in features[0].items()})
        if alone.all():
            reasons = ", ".join(f"{reason}: {n:,}" for reason, n in lost.items())
            raise ConfigError(
                f"no variant of {len(picked):,} has controls ({reasons}); match on less (--match), or name another background."
            )
        left, of_left = picked[~alone], strata.variants[~alone]
        if trait is not None:
            matrix = enrich_traits(
                mine[left],
                of_left,
                theirs[rest],
                strata.controls,
                could[left],
                _members(every, places, left, prune),
                n_resamplings=n_resamplings,
                seed=seed,
            )
        kept = thinned(places.take(left), prune) if prune else np.arange(len(left))
        if prune:
            n = len(left) - len(kept)
            notes.append(f"{name}: {n:,} of {len(left):,} variants lie within {prune:,} bases of another that is kept.")
        found = enrich(
            mine[left[kept]],
            of_left[kept],
            theirs[rest],
            strata.controls,
            could[left[kept]],
            n_resamplings=n_resamplings,
            seed=seed,
        )
        compared.append(Compared(name, found, strata, len(picked), len(kept), len(rest), lost))
        done += n_resamplings
        tell(Progress("resample", done, None))
    settings = {
        "variants": every.name,
        "records": len(every),
        "places": len(places),
        "controls": pool.name,
        "matched_on": {key: MEANING[key] for key in chosen_by},
        "resamplings": n_resamplings,
        "seed": seed,
        "prune": prune,
        "annotations": {source.name: {"file": source.file, "sha256": source.sha256} for source in annotations.sources},
    }
    return Study(names, compared, traits, matrix, list(chosen_by), settings, notes, time.monotonic() - began)


def _reasons(alone: Flags, unknown: Mapping[str, Flags]) -> dict[str, int]:
    """Count unmatched variants by reason, each once; unknown: for each covariate, flags of variants without it."""
    found, counted = {}, np.zeros(len(alone), dtype=bool)
    for key, of in unknown.items():
        found[f"no {MEANING[key]}"] = int((of & ~counted).sum())
        counted |= of
    found[f"fewer than {FEWEST} controls like it"] = int((alone & ~counted).sum())
    return {reason: n for reason, n in found.items() if n}


def membership(places: Places, annotations: Annotations) -> tuple[list[str], Flags, Flags]:
    """Return annotation names [A], flags of overlaps [n, A], and flags of possible overlaps [n, A].

    Elements with labels (states of a segmentation) give one annotation per label, genes one per first part. An overlap is
    possible if the file has the contig of the region.
    """
    names: list[str] = []
    columns: list[tuple[int, dict[str, int]]] = []  # first column of each element file, and label -> column
    for each in annotations.elements:
        labels = {label: len(names) + i for i, label in enumerate(each.labels)}
        columns.append((len(names), labels))
        names += [f"{each.name}:{label}" for label in each.labels] or [each.name]
    first_part = len(names)
    has_parts = annotations.genes is not None and bool(annotations.genes.pieces)
    names += PARTS if has_parts else []
    flags, could = np.zeros((len(places), len(names)), dtype=bool), np.zeros((len(places), len(names)), dtype=bool)
    of_rows = [_columns_of_rows(each, *column) for each, column in zip(annotations.elements, columns, strict=True)]
    for contig, rows in places.by_contig():
        starts, ends = places.starts[rows], places.ends[rows]
        found, which, element = annotations.overlaps(contig, starts, ends)
        for k, of in enumerate(of_rows):
            here = which == k
            column = of[element[here]]
            flags[rows[found[here]][column >= 0], column[column >= 0]] = True
        for (first, labels), each in zip(columns, annotations.elements, strict=True):
            if each.has(contig):
                could[rows, first : first + max(1, len(labels))] = True
        if has_parts:
            interval, part, _ = annotations.parts(contig, starts, ends)
            of_first = np.unique(interval, return_index=True)[1]
            flags[rows[interval[of_first]], first_part + part[of_first]] = True
            could[rows, first_part:] = bool(len(interval))
    return names, flags, could


def _columns_of_rows(elements: Elements, first: int, labels: Mapping[str, int]) -> Integers:
    """Return the column of each row of an element file; -1 for none."""
    if not labels:
        return np.full(len(elements), first)
    coded = elements.names.dictionary_encode()
    of = np.array([labels.get(name, -1) for name in coded.dictionary.to_pylist()])
    return of[np.asarray(coded.indices)]


def thinned(places: Places, distance: int) -> Integers:
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


def _check(annotations: Annotations, n: int, tops: Sequence[float], trait: str | None, score: str | None) -> None:
    if not annotations.elements and not (annotations.genes and annotations.genes.pieces):
        raise ConfigError("there is nothing to look for enrichment in; give -a NAME=FILE, or --gtf.")
    if n < 1:
        raise ConfigError(f"{n} resamplings: give 1 or more; 1,000 tell P down to 0.001.")
    if score is not None and not all(0 < top < 1 for top in tops):
        raise ConfigError(f"--top {', '.join(map(str, tops))}: give shares between 0 and 1, such as 0.01.")
    if score is not None and trait is not None:
        raise ConfigError("a score and traits cannot be asked for at once; give --score or --trait.")


def _covariates(
    match_on: Sequence[str] | None,
    places: Places,
    pool: Places,
    annotations: Annotations,
    genome: Genome | None,
    notes: list[str],
) -> list[str]:
    """Return the requested covariates, or by default all that are known; ConfigError for a requested unknown one."""
    why_not = {}
    if np.isnan(pool.frequency).all() or np.isnan(places.frequency).all():
        who = "controls" if np.isnan(pool.frequency).all() else "variants"
        why_not["af"] = f"the {who} have no frequencies"
    if annotations.genes is None:
        why_not["tss"] = "there are no start sites (--gtf, --tss)"
    if genome is None:
        why_not["gc"] = "there is no sequence (-f)"
    if match_on is not None:
        unknown = set(match_on) - set(MEANING)
        if unknown:
            raise ConfigError(f"--match {min(unknown)}: it is of {', '.join(MEANING)}, or none.")
        if missing := [key for key in match_on if key in why_not]:
            raise ConfigError(f"--match {missing[0]}: {why_not[missing[0]]}; give that, or match on less.")
        return list(match_on)
    for key, why in why_not.items():
        notes.append(f"not matched on {MEANING[key]}: {why}.")
    return [key for key in MEANING if key not in why_not]


def unique_places(places: Places) -> Places:
    """Merge equal regions, in order of first appearance, with their largest score and first known frequency."""
    _, first, which = np.unique(places.keys(), return_index=True, return_inverse=True)
    which = which.reshape(-1)
    score = np.full(len(first), -np.inf)
    np.maximum.at(score, which, np.nan_to_num(places.score, nan=-np.inf))
    frequency = np.full(len(first), np.nan)
    known = np.flatnonzero(~np.isnan(places.frequency))[::-1]
    frequency[which[known]] = places.frequency[known]  # the last value written is the first of the file
    order = np.argsort(first)
    found = places.take(first[order])
    return replace(found, score=np.where(np.isfinite(score), score, np.nan)[order], frequency=frequency[order])


def _sets(
    places: Places, pool: Places, score: str | None, tops: Sequence[float], own: bool, notes: list[str]
) -> list[tuple[str, Integers, Integers]]:
    """Return (name, rows of variants, rows of controls) for each comparison."""
    every = np.arange(len(pool))
    if score is None:
        return [("all", np.arange(len(places)), every)]
    known = np.flatnonzero(np.isfinite(places.score))
    if len(known) < len(places):
        notes.append(f"{len(places) - len(known):,} of {len(places):,} records have no {score} and are left out.")
    found = []
    for top in sorted(tops, reverse=True):
        least = np.quantile(places.score[known], 1 - top)
        picked = known[places.score[known] >= least]
        if own:
            every = np.flatnonzero(np.isfinite(pool.score) & (pool.score < least))
        if not len(every):
            raise ConfigError(
                f"--top {top:g}: all records with {score} have the same size, {least:.4g}, so that none is beside them as a "
                "control; name a --background, or another score."
            )
        found.append((f"|{score}| >= {least:.4g} (top {top:.3g})", picked, every))
    return found


def _members(every: Places, places: Places, left: Integers, prune: int) -> tuple[Integers, Integers, int]:
    """Return the distinct pairs (trait, variant) of records at the remaining variants, and the number of traits."""
    keys = places.keys()[left]
    order = np.argsort(keys)
    mine = every.keys()
    at = np.minimum(np.searchsorted(keys[order], mine), len(keys) - 1)
    there = (keys[order][at] == mine) & (every.trait >= 0)
    pairs = np.unique(np.stack([every.trait[there].astype(np.int64), order[at][there]], axis=1), axis=0)
    if prune:
        groups = np.split(pairs[:, 1], np.flatnonzero(np.diff(pairs[:, 0])) + 1)
        kept = [rows[thinned(places.take(left[rows]), prune)] for rows in groups if len(rows)]
        traits = np.unique(pairs[:, 0])
        pairs = np.concatenate([np.stack([np.full(len(rows), t), rows], axis=1) for t, rows in zip(traits, kept, strict=True)])
    return pairs[:, 0], pairs[:, 1], len(every.traits)


def marked_by_chance(expected: NDArray[np.float64]) -> float:
    """Return the expected number of marked cells without any enrichment, if overlaps are Poisson."""
    from scipy.stats import poisson

    least = np.maximum(poisson.isf(MARK_P, expected) + 1, MARK_OVERLAPS)  # smallest number of overlaps that is marked
    return float(poisson.sf(least - 1, expected).sum())


def describe(study: Study) -> list[str]:
    """Describe the comparisons in sentences."""
    lines = []
    for each in study.compared:
        n = each.n_variants - sum(each.unmatched.values())
        on = "; ".join(
            f"{MEANING[key]} (bins from {', '.join(f'{edge:,g}' for edge in edges_of(key, each.strata.widths[key]))})"
            for key in study.matched_on
        )
        lost = "; ".join(f"{reason}: {count:,}" for reason, count in each.unmatched.items()) or "none"
        who = "" if each.name == "all" else f"{each.name}: "
        lines.append(
            f"{who}{n:,} of {each.n_variants:,} variants beside {each.n_controls:,} controls of {study.settings['controls']}, "
            f"matched on {on or 'nothing but length and contigs'}; unmatched: {lost}"
        )
    if study.matrix is not None:
        n_cells, n_marked = int((~np.isnan(study.matrix.q)).sum()), int(study.marked.sum())
        by_chance = marked_by_chance(study.matrix.expected)
        lines.append(f"traits: {n_marked:,} of {n_cells:,} cells are marked; by chance some {by_chance:,.1f} would be")
    return [*study.notes, *lines]
