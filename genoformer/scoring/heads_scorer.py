"""HeadsScorer: scores of several heads of a track model in one run, their columns named by head."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

import numpy as np

from genoformer.formats.vcf import Record
from genoformer.genome.variants import Status, Variant
from genoformer.models.shared_work import SharedWork
from genoformer.scoring.score_types import Score, ScoreBatch, TrackScoreMatrix
from genoformer.scoring.track_scorer import TrackScorer
from genoformer.scoring.track_scores import Noise, Outputs, TrackColumns
from genoformer.writers import Column

AT_ONCE, BASES_AT_ONCE = 16, 1 << 22  # variants, and bases of their windows, that one head scores before the next one does


class HeadsScorer:
    """Scorer of several heads; each `TrackScorer` has the scores of one, whose names end in that of the head.

    A variant has the status NO_SCORE if it has a score of no head.
    """

    has_noise_floor = True
    layout: TrackColumns | None = None  # the tracks of heads differ

    def __init__(self, parts: Sequence[TrackScorer]) -> None:
        self.parts = list(parts)
        self.window = parts[0].window
        self.work = [SharedWork() for _ in parts[0].models]
        self.at_once = max(1, min(AT_ONCE, BASES_AT_ONCE // self.window))
        self.scores: list[Score] = [score for part in parts for score in part.scores]

    @property
    def longest_allele(self) -> int:
        return min(part.longest_allele for part in self.parts)

    @property
    def columns(self) -> list[Column]:
        return [column for part in self.parts for column in part.columns]

    @property
    def flops_per_variant(self) -> float:
        """Number of operations for an ALT; of heads with the same embedding only the most expensive one counts."""
        largest: dict[str, float] = {}
        for part in self.parts:
            largest[part.embedding_kind] = max(largest.get(part.embedding_kind, 0.0), part.flops_per_variant)
        return sum(largest.values())

    @property
    def sharing_distance(self) -> int:
        return self.parts[0].sharing_distance

    @property
    def options(self) -> dict[str, str]:
        options = self.parts[0].options | {"head": ",".join(part.head for part in self.parts)}
        options.pop("tracks", None)
        chosen = {part.head: part.options["tracks"] for part in self.parts if "tracks" in part.options}
        tables = {sha256 for part in self.parts if (sha256 := part.options.get("targets"))}
        options |= {"targets": ",".join(sorted(tables))} if tables else {}
        return options | {f"tracks of {head}": tracks for head, tracks in chosen.items()}

    @property
    def inputs(self) -> dict[str, str]:
        inputs: dict[str, list[str]] = {}
        for part in self.parts:
            for name, value in part.inputs.items():
                inputs.setdefault(name, []).append(value)
        return {
            name: values[0] if len({*values}) == 1 else hashlib.sha256("".join(values).encode()).hexdigest()
            for name, values in inputs.items()
        }

    @property
    def n_matrix(self) -> int:
        return sum(part.n_matrix for part in self.parts)

    @cached_property
    def matrix_layout(self) -> TrackColumns:
        """Columns of a matrix: the tracks of all heads, named by head."""
        outputs = [(part.head, part.layout.outputs) for part in self.parts]
        names = [f"{head}:{name}" for head, of in outputs for name in of.names]
        known = [of.descriptions or [""] * len(of.names) for _, of in outputs]
        descriptions = [text for texts in known for text in texts] if any(map(any, known)) else None
        numbers = np.concatenate([of.numbers for _, of in outputs])
        genes = next((part.genes for part in self.parts if part.genes is not None), None)
        return TrackColumns(self.scores, Outputs("track", numbers, names, descriptions), genes, chosen=False)

    def window_start(self, variant: Variant) -> int:
        """Return the first base of the window of a variant: that of the head with the largest bins, for all heads."""
        return max(self.parts, key=lambda part: part.bin_size).window_start(variant)

    def covers(self, score: Score, alleles: str) -> bool:
        return score.alleles in (alleles, "any")

    def cost(self, record: Record) -> int:
        return len(record.alts)

    def score(self, variants: Sequence[Variant]) -> ScoreBatch:
        """Score variants with each head; a few of them at a time."""
        batches = [self._score(variants[i : i + self.at_once], i) for i in range(0, len(variants), self.at_once)]
        matrices = [batch.matrix for batch in batches if batch.matrix is not None]
        matrix = TrackScoreMatrix(*map(np.concatenate, zip(*matrices, strict=True))) if matrices else None
        statuses = [status for batch in batches for status in batch.statuses]
        values = np.concatenate([batch.values for batch in batches]) if batches else np.zeros((0, len(self.columns)))
        return ScoreBatch(statuses, values, matrix)

    def more_bytes(self, n_scored: int) -> int:
        """Return how many bytes more the heads keep while they score `at_once` variants than after `n_scored` variants."""
        times = max(1.0, self.at_once / n_scored)
        return sum(min(work.most_bytes, int(work.n_bytes * times)) - work.n_bytes for work in self.work)

    @contextmanager
    def sharing(self) -> Iterator[None]:
        """Let the heads compute what they have in common once while the block runs, for the same variants."""
        with ExitStack() as stack:
            for model, work in zip(self.parts[0].models, self.work, strict=True):
                work.next_round()
                stack.enter_context(model.sharing(work))
            yield

    def _score(self, variants: Sequence[Variant], first: int) -> ScoreBatch:
        with self.sharing():
            batches = [part.score(variants) for part in self.parts]
        statuses = [Status.OK if Status.OK in of else of[0] for of in zip(*(batch.statuses for batch in batches), strict=True)]
        values = np.hstack([batch.values for batch in batches])
        return ScoreBatch(statuses, values, self._matrix(batches, first) if self.n_matrix else None)

    def _matrix(self, batches: Sequence[ScoreBatch], first: int) -> TrackScoreMatrix:
        rows, values, n_scores, n_tracks = [], [], 0, 0
        for part, batch in zip(self.parts, batches, strict=True):
            assert batch.matrix is not None
            moved = batch.matrix.rows + np.array([first, n_scores, 0, 0], dtype=np.int32)
            wide = np.full((len(moved), self.n_matrix), np.nan, dtype=np.float32)
            wide[:, n_tracks : n_tracks + part.n_matrix] = batch.matrix.values
            rows.append(moved)
            values.append(wide)
            n_scores, n_tracks = n_scores + len(part.scores), n_tracks + part.n_matrix
        return TrackScoreMatrix(np.concatenate(rows), np.concatenate(values))

    def noise(self, variants: Sequence[Variant]) -> list[Noise]:
        """Return nothing: each head has its own noise (`noise_of_parts`)."""
        return []

    def noise_of_parts(self, variants: Sequence[Variant]) -> list[list[Noise]]:
        """Return `noise` of each head, whose windows are predicted whole and twice: fewer of them at a time."""
        noise: list[list[Noise]] = [[] for _ in self.parts]
        size = max(1, self.at_once // 2)
        for i in range(0, len(variants), size):
            with self.sharing():
                for of_head, part in zip(noise, self.parts, strict=True):
                    of_head += part.noise(variants[i : i + size])
        return noise

    def reference_scorer(self) -> HeadsScorer:
        """Return the reference implementation of the same scores."""
        other = copy.copy(self)
        other.parts = [part.reference_scorer() for part in self.parts]
        return other


def scorers_of_heads(scorer: Any) -> list[HeadsScorer]:
    """Return the scorers of several heads in a scorer: itself, or those of its models."""
    return [one for one in (scorer, *getattr(scorer, "parts", ())) if hasattr(one, "noise_of_parts")]
