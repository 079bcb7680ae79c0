"""Noise floor of track scores: reference windows moved by one base -> floors -> flags on scores below them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from genoformer.formats.vcf import Record
from genoformer.genome.codes import N, decode
from genoformer.genome.contigs import join_names
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.genome.wording import counted
from genoformer.scoring.heads_scorer import HeadsScorer
from genoformer.scoring.score_types import Score
from genoformer.scoring.track_scores import Noise, TrackColumns
from genoformer.scoring.variant_scorer import VariantScorer, model_scorers, scorer_parts, single_scorers
from genoformer.writers import Column, Floats, info_key

MOST_PLACES = 16  # largest number of positions at which noise is measured
RECORDS_OF_PLACE = 20  # records per position
LEAST_PLACES = 8  # with fewer positions, the floor is the largest measured value
CHEAP = 1e11  # operations per ALT up to which noise is measured at LEAST_PLACES positions, even for few records
QUANTILE = 0.95
BELOW = "below"
MOST_SHOWN = 3  # scores that a note names
_APART = 64  # extra positions lie 1 / 64 of a window from a record, and from each other
_TRANSITION = dict(zip("ACGT", "GTAC", strict=True))


class NoiseFloor(NamedTuple):
    """Noise floor of each score column, measured at n positions."""

    n_places: int
    n_tracks: int
    names: tuple[str, ...]
    indel: Floats  # [C], for insertions and deletions: reference against itself, moved by one base
    substitution: Floats  # [C]: change of a substitution's score if its window moves by one base

    def text(self) -> str:
        """Return the floors as text for the header."""
        floors = zip(self.names, self.indel, self.substitution, strict=True)
        texts = (f"{name}={_number(a, '.')}/{_number(b, '.')}" for name, a, b in floors)
        return ";".join([f"places={self.n_places}", *texts])

    @property
    def note(self) -> str:
        """Return a sentence on the floors for the summary; the floors of more than a few scores are only in the header."""
        known = [i for i in range(len(self.names)) if np.isfinite((self.indel[i], self.substitution[i])).any()]
        bare = [name for i, name in enumerate(self.names) if i not in known]
        without = f"no locus of the noise floor has a value of {join_names(bare, MOST_SHOWN)}" if bare else ""
        if not known:
            return f"noise: {without}."
        what = (
            f"noise: at {counted(self.n_places, 'locus', 'loci')} the reference was scored against itself, one base further "
            "on, and a substitution in both windows"
        )
        few = self.n_places < LEAST_PLACES
        size = "the largest values are" if few else f"{100 * QUANTILE:.0f} % of the values lie below"
        if len(known) > MOST_SHOWN:
            floors = f"the floors of {len(known)} scores, which are in the descriptions of the columns that end in _NOISE"
        else:
            floors = ", ".join(
                f"|GF_{info_key(self.names[i])}| {_number(self.indel[i])} (indels) and "
                f"{_number(self.substitution[i])} (substitutions)"
                for i in known
            )
        strongest = "" if self.n_tracks == 1 or len(known) > MOST_SHOWN else ", of the strongest track"
        sure = f": of too few loci to be sure (noise_places = {LEAST_PLACES} is enough)" if few else ""
        end = f"; {without}." if without else "."
        return f"{what}; {size} {floors}{strongest}{sure}. A smaller score may come only from where the window begins{end}"


def n_places(scorer: VariantScorer, n_records: int, requested: int | None) -> int:
    """Return the number of noise positions: one per 20 records, at most 16; for a small model at least 8."""
    if requested is not None:
        return requested
    least = LEAST_PLACES if scorer.flops_per_variant <= CHEAP else 1
    return min(MOST_PLACES, max(least, -(-n_records // RECORDS_OF_PLACE)))


def measure(scorer: VariantScorer, genome: Genome, places: Iterable[tuple[str, int]], n: int) -> NoiseFloor | None:
    """Measure the noise floors of a scorer of tracks at n positions among or near `places`; None without such positions.

    Heads have their own floors, measured at the same positions; of several models each is measured as it is alone.

    places: contig and 0-based position.
    """
    places = list(places)
    if models := model_scorers(scorer):
        floors = [floor for one in models if (floor := measure(one, genome, places, n)) is not None]
        return _joined(floors) if floors else None
    parts = scorer_parts(scorer)
    if not parts and (scorer.layout is None or not scorer.has_noise_floor):
        return None
    variants = _substitutions(scorer, genome, places, n)
    if not variants:
        return None
    if parts:
        noise_of_parts = cast(HeadsScorer, scorer).noise_of_parts(variants)
        return _joined([_floor_of_head(part, noise) for part, noise in zip(parts, noise_of_parts, strict=True)])
    return _floor_of_head(scorer, scorer.noise(variants))


def _floor_of_head(scorer: VariantScorer, noise: Sequence[Noise]) -> NoiseFloor:
    """Return the floors of a scorer of one head from the noise at each position."""
    layout = scorer.layout
    assert layout is not None
    kinds = ([of.of_nothing for of in noise], [of.of_window for of in noise])
    indel, substitution = (_floors(scorer, np.abs(layout.strongest(scores)[0]), layout) for scores in kinds)
    return NoiseFloor(
        len(noise), len(layout.names), tuple(column.belongs_to for column in flag_columns(scorer)), indel, substitution
    )


def _joined(floors: Sequence[NoiseFloor]) -> NoiseFloor:
    """Return the floors of several heads as one."""
    names = tuple(name for floor in floors for name in floor.names)
    indel, substitution = (np.concatenate(sides) for sides in zip(*((of.indel, of.substitution) for of in floors), strict=True))
    return NoiseFloor(floors[0].n_places, max(floor.n_tracks for floor in floors), names, indel, substitution)


def _substitutions(scorer: VariantScorer, genome: Genome, places: Sequence[tuple[str, int]], n: int) -> list[Variant]:
    """Return transitions at n evenly spread positions among `places`; if these are too few, also at positions near them."""
    distance = scorer.window // _APART + 1  # not a whole number of bins
    known: list[Variant] = []
    for step in range(2 * n):  # 0, 1, -1, 2, -2 ...
        for contig, start in places:
            position = start + (step + 1) // 2 * (1 if step % 2 else -1) * distance
            base = int(genome.window(contig, position, 1)[0])
            if base < N:
                letter = decode(np.array([base], dtype=np.uint8))
                known.append(Variant(contig, position + 1, letter, _TRANSITION[letter]))
        if len(known) >= n:
            break
    return [known[i] for i in np.unique(np.linspace(0, len(known) - 1, n).astype(int)).tolist()] if known and n else []


def _floors(scorer: VariantScorer, values: Floats, layout: TrackColumns) -> Floats:
    """Reduce |values| [n, scores, K] to one floor per flag column; NaN for a score of genes that no place has a value of."""
    floors = []
    for i, score in enumerate(scorer.scores):
        if not score.zero_at_reference:
            continue
        known = values[~np.isnan(values[:, i]).all(-1), i]
        of_score = np.nan_to_num(known) if score.per_output else known[:, :1]
        columns = [of_score.max(-1)]
        if score.per_output and layout.has_column_per_track:
            columns += list(of_score.T)
        for column in columns:
            largest = column.max() if len(column) else np.nan
            floors.append(np.quantile(column, QUANTILE) if len(column) >= LEAST_PLACES else largest)
    return np.array(floors)


def flag_columns(scorer: VariantScorer, floor: NoiseFloor | None = None) -> list[Column]:
    """Return a flag column for each score column of a track model; without a floor its description is empty.

    A score of the level of the tracks, which is not 0 for equal alleles (ACTIVE_SUM), has no floor.
    """
    parts = single_scorers(scorer)
    columns = [column for part in parts if part.has_noise_floor and part.layout is not None for column in _of_changes(part)]
    flags = []
    for i, column in enumerate(columns):
        meaning = _meaning(column.name, i, floor) if floor is not None else ""
        flags.append(Column(f"{column.name}_NOISE", "a flag", meaning, (BELOW,), column.name))
    return flags


def _of_changes(scorer: VariantScorer) -> list[Column]:
    """Return the columns of the scores that are 0 for equal alleles."""
    assert scorer.layout is not None
    columns = [column for column in scorer.columns if not column.words and not column.belongs_to]
    n_tracks = len(scorer.layout.names) if scorer.layout.has_column_per_track else 0
    n_columns = [1 + n_tracks * score.per_output for score in scorer.scores]
    kept = np.repeat([score.zero_at_reference for score in scorer.scores], n_columns)
    return [column for column, keep in zip(columns, kept.tolist(), strict=True) if keep]


def _number(floor: float, missing: str = "not known") -> str:
    return f"{floor:.3g}" if np.isfinite(floor) else missing


def _meaning(name: str, i: int, floor: NoiseFloor) -> str:
    if not np.isfinite((floor.indel[i], floor.substitution[i])).any():
        return f"The noise floor of |{name}| is not known, as no locus of it has a value: none is marked."
    return (
        f"{BELOW}: |{name}| is below the noise floor, {_number(floor.indel[i])} of insertions and deletions and "
        f"{_number(floor.substitution[i])} of substitutions ({100 * QUANTILE:.0f} % of what {floor.n_places} loci without "
        "an effect give lies below): sign and size may come from where the window begins."
    )


@dataclass
class Flags:
    """Flags for scores below their floor, and counts of them."""

    floor: NoiseFloor
    columns: list[Column]
    sources: list[int]  # for each flag, the index of its score column
    n_below: Counter[str] = field(default_factory=Counter)
    n_known: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of_scorer(cls, scorer: VariantScorer, floor: NoiseFloor) -> Flags:
        columns = flag_columns(scorer, floor)
        places = {column.name: i for i, column in enumerate(scorer.columns)}
        return cls(floor, columns, [places[column.belongs_to] for column in columns])

    def values(self, records: Sequence[Record], values: Floats) -> Floats:
        """Return the flags of the ALTs of some records: 0 (index of BELOW) if a score is below the floor, else NaN.

        values: scores [n, columns].
        """
        scores = np.abs(values[:, self.sources])
        below = scores < np.where(_substituted(records)[:, None], self.floor.substitution, self.floor.indel)
        for i, column in enumerate(self.columns):
            self.n_below[column.belongs_to] += int(below[:, i].sum())
            self.n_known[column.belongs_to] += int(np.isfinite(scores[:, i]).sum())
        return np.where(below, np.float32(0), np.float32(np.nan))

    def flagged(self, scores: Iterable[Score]) -> list[str]:
        """Return the names of those of the scores that have a flag."""
        known = {column.belongs_to for column in self.columns}
        return [score.name for score in scores if score.name in known]

    def note(self, names: Sequence[str]) -> str:
        """Return a sentence for the summary on the scores with these names, or on all if there are many; "" for none."""
        names = [name for name in names if self.n_known[name]]
        if not names:
            return ""
        if len(names) > MOST_SHOWN:
            n_below, n_known = (sum(of[name] for name in names) for of in (self.n_below, self.n_known))
            return f"below the noise floor: {n_below:,} of {n_known:,} scores (marked in the columns that end in _NOISE)"
        counts = ", ".join(f"{name} {self.n_below[name]:,} of {self.n_known[name]:,}" for name in names)
        return f"below the noise floor: {counts} (marked in {', '.join(f'GF_{info_key(name)}_NOISE' for name in names)})"


def _substituted(records: Sequence[Record]) -> NDArray[np.bool_]:
    """Flags of ALTs (one per record without ALT) that are as long as REF."""
    return np.array([len(record.ref) == len(alt) for record in records for alt in record.alts or (".",)], dtype=bool)
