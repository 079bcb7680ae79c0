"""The noise floor of scores of tracks: reference windows that are moved by a base -> floors, flags of scores below them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.genome.codes import N, decode
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.genome.vcf import Record
from genoformer.scoring.track_scorer import TrackScorer
from genoformer.sinks import Column, Floats

MOST_PLACES = 16  # at which noise is measured, at the most
RECORDS_OF_PLACE = 20  # records for each of them
LEAST_PLACES = 8  # below which the floor is the largest value that was seen
CHEAP = 1e11  # operations of an ALT up to which that many are measured however few the records are
QUANTILE = 0.95
BELOW = "below"
_APART = 64  # of the length of a window: how far the places beside a record lie
_TRANSITION = dict(zip("ACGT", "GTAC", strict=True))


class NoiseFloor(NamedTuple):
    """Noise floor of each column of scores, measured at n positions."""

    n_places: int
    names: tuple[str, ...]
    indel: Floats  # [C], for insertions and deletions: of the reference against itself, one base further on
    substitution: Floats  # [C]: how much a substitution's score changes with a window that begins one base further on

    def text(self) -> str:
        """As the header has it."""
        floors = zip(self.names, self.indel, self.substitution, strict=True)
        return ";".join([f"places={self.n_places}", *(f"{name}={a:.3g}/{b:.3g}" for name, a, b in floors)])

    def note(self, n_tracks: int) -> str:
        """A sentence for people, of the scores themselves."""
        floors = ", ".join(
            f"|GF_{name}| {a:.3g} (indels) and {b:.3g} (substitutions)"
            for name, a, b in zip(self.names, self.indel, self.substitution, strict=True)
        )
        strongest = "" if n_tracks == 1 else ", of the strongest track"
        what = (
            f"noise: at {self.n_places} places the reference was scored against itself, one base further on, and a "
            "substitution in both windows"
        )
        if self.n_places < LEAST_PLACES:
            size = f"the largest values are {floors}{strongest}: of too few places to be sure (--noise {LEAST_PLACES})"
        else:
            size = f"{QUANTILE:.0%} of the values lie below {floors}{strongest}"
        return f"{what}; {size}. A smaller score may come only from where the window begins."


def n_places(scorer: TrackScorer, n_records: int, asked: int | None) -> int:
    """Number of positions to measure noise at: one in 20 records, 16 at the most; of a small model 8 at the least."""
    if asked is not None:
        return asked
    least = LEAST_PLACES if scorer.flops_per_variant <= CHEAP else 1
    return min(MOST_PLACES, max(least, -(-n_records // RECORDS_OF_PLACE)))


def measure(scorer: TrackScorer, genome: Genome, places: Iterable[tuple[str, int]], n: int) -> NoiseFloor | None:
    """The floors of a scorer at n of some places (contig and base of records), or beside them; None without any."""
    taken = _substitutions(scorer, genome, list(places), n)
    if not taken:
        return None
    noise = scorer.noise(taken)
    sides = ([of.of_nothing for of in noise], [of.of_window for of in noise])
    indel, substitution = (_floors(scorer, np.abs(scorer.layout.strongest(tolds)[0])) for tolds in sides)
    return NoiseFloor(len(taken), tuple(column.of for column in flag_columns(scorer)), indel, substitution)


def _substitutions(scorer: TrackScorer, genome: Genome, places: Sequence[tuple[str, int]], n: int) -> list[Variant]:
    """A transition at each of n places, evenly spread; where there are fewer, also beside them."""
    beside = scorer.length // _APART + 1  # no whole number of bins
    known: list[Variant] = []
    for step in range(2 * n):  # 0, 1, -1, 2, -2 ...
        for contig, start in places:
            at = start + (step + 1) // 2 * (1 if step % 2 else -1) * beside
            base = int(genome.window(contig, at, 1)[0])
            if base < N:
                letter = decode(np.array([base], dtype=np.uint8))
                known.append(Variant(contig, at + 1, letter, _TRANSITION[letter]))
        if len(known) >= n:
            break
    return [known[i] for i in np.unique(np.linspace(0, len(known) - 1, n).astype(int)).tolist()] if known and n else []


def _floors(scorer: TrackScorer, values: Floats) -> Floats:
    """Reduce |values| [n, scores, K] to one number for each column of scores."""
    found = []
    for i, score in enumerate(scorer.scores):
        of = values[:, i] if score.of_tracks else values[:, i, :1]
        columns = [of.max(-1)]
        if score.of_tracks and scorer.layout.chosen and len(scorer.tracks) > 1:
            columns += list(of.T)
        found += [np.quantile(each, QUANTILE) if len(each) >= LEAST_PLACES else each.max() for each in columns]
    return np.array(found)


def flag_columns(scorer: TrackScorer, floor: NoiseFloor | None = None) -> list[Column]:
    """A column for each one of scores, in which those below the floor are marked; without a floor only their names."""
    of = [column for column in scorer.columns if not column.words and not column.of]
    found = []
    for i, column in enumerate(of):
        meaning = (
            ""
            if floor is None
            else (
                f"{BELOW}: |{column.name}| is below the noise floor, {floor.indel[i]:.3g} of insertions and deletions and "
                f"{floor.substitution[i]:.3g} of substitutions ({QUANTILE:.0%} of what {floor.n_places} places "
                "without an effect "
                "give lies below): sign and size may come from where the window begins."
            )
        )
        found.append(Column(f"{column.name}_NOISE", "a flag", meaning, (BELOW,), column.name))
    return found


@dataclass
class Flags:
    """Marks scores that are below their floor, and counts them."""

    floor: NoiseFloor
    columns: list[Column]
    sources: list[int]  # of each flag the column of the score
    n_below: Counter[str] = field(default_factory=Counter)
    n_known: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of_scorer(cls, scorer: TrackScorer, floor: NoiseFloor) -> Flags:
        columns = flag_columns(scorer, floor)
        places = {column.name: i for i, column in enumerate(scorer.columns)}
        return cls(floor, columns, [places[column.of] for column in columns])

    def of(self, records: Sequence[Record], values: Floats) -> Floats:
        """0, the number of the word, where a score of these records' ALTs [n, columns] is below the floor; else NaN."""
        scores = np.abs(values[:, self.sources])
        below = scores < np.where(_substituted(records)[:, None], self.floor.substitution, self.floor.indel)
        for i, column in enumerate(self.columns):
            self.n_below[column.of] += int(below[:, i].sum())
            self.n_known[column.of] += int(np.isfinite(scores[:, i]).sum())
        return np.where(below, np.float32(0), np.float32(np.nan))

    def note(self, names: Sequence[str]) -> str:
        """A sentence for the summary, on the scores of these names."""
        counts = ", ".join(f"{name} {self.n_below[name]:,} of {self.n_known[name]:,}" for name in names)
        return f"below the noise floor: {counts} (marked in {', '.join(f'GF_{name}_NOISE' for name in names)})"


def _substituted(records: Sequence[Record]) -> NDArray[np.bool_]:
    """For each ALT, or record without one: as long as REF."""
    return np.array([len(record.ref) == len(alt) for record in records for alt in record.alts or (".",)], dtype=bool)
