"""EvidenceScores: the tracks of both alleles in a window -> scores of every track, gene and transcript."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import CheckpointError
from genoformer.formats.squashed_scale import UndoneSteps
from genoformer.formats.track_table import on_strand
from genoformer.scoring.allele_tracks import WindowEvidence
from genoformer.scoring.gene_inputs import ItemInput
from genoformer.scoring.score_types import Score
from genoformer.scoring.track_scores import Item, TrackScores
from genoformer.writers import Floats

if TYPE_CHECKING:
    from genoformer.genome.genes import Genes

NOT_FINITE = "the model predicts values that are no numbers; are its weights damaged?"


class EvidenceScores:
    """Scores of the evidence of a window.

    strands: of the tracks, [K], "+", "-" or ".". steps: steps of a squashed scale that are undone; the evidence has the K
    tracks once for each of them.
    """

    def __init__(
        self, scores: Sequence[Score], strands: NDArray[np.str_], genes: Genes | None, steps: Sequence[UndoneSteps]
    ) -> None:
        self.scores, self.strands, self.genes, self.steps = scores, strands, genes, steps
        self.n_tracks = len(strands)
        self.of_genes = [i for i, score in enumerate(scores) if score.input.per_gene]

    def of(self, evidence: WindowEvidence) -> TrackScores:
        """Return the scores of a variant in a window."""
        values: Floats = np.full((len(self.scores), self.n_tracks), np.nan)
        items: dict[Item, Floats] = {}
        for number, of_step in enumerate(self._by_steps(evidence)):
            chosen = [i for i, score in enumerate(self.scores) if self._step_of(score) == number]
            for rows, part in of_step.parts():
                for i in chosen:
                    score = self.scores[i]
                    if not score.of_tracks and rows.start:
                        continue
                    pair = score.input.from_tracks(part)
                    if pair is not None:
                        values[i, rows if score.of_tracks else slice(1)] = score.function(pair.ref, pair.alt)
            items |= self._of_items(of_step, [i for i in self.of_genes if i in chosen])
        return TrackScores(values, items)

    def _by_steps(self, evidence: WindowEvidence) -> list[WindowEvidence]:
        """Return the evidence with each of `steps` undone."""
        if len(self.steps) == 1:
            return [evidence]
        n = self.n_tracks
        return [evidence.of_tracks(slice(first, first + n)) for first in range(0, n * len(self.steps), n)]

    def _step_of(self, score: Score) -> int:
        """Return the index in `steps` of a score; the first for a score of embeddings."""
        return self.steps.index(score.published_steps) if len(self.steps) > 1 and score.of_tracks else 0

    def _of_items(self, evidence: WindowEvidence, scores: Sequence[int]) -> dict[Item, Floats]:
        """Return the scores of each gene and transcript in the window; NaN on tracks of the other strand."""
        items = {}
        for i in scores:
            source = cast(ItemInput, self.scores[i].input)
            assert self.genes is not None
            for number, strand, pair in source.items(evidence, self.genes):
                kept = on_strand(self.strands, strand) if source.on_strand else np.ones(self.n_tracks, dtype=np.bool_)
                values: Floats = np.full(self.n_tracks, np.nan)
                values[kept] = self.scores[i].function(pair.ref[kept], pair.alt[kept])
                if not np.isfinite(values[kept]).all():
                    raise CheckpointError(NOT_FINITE)
                items[Item(i, number)] = values
        return items


def of_same_items(first: TrackScores, second: TrackScores) -> list[TrackScores]:
    """Return both scores without the genes and transcripts that only one of them is of."""
    return [
        one._replace(items={item: values for item, values in one.items.items() if item in other.items})
        for one, other in ((first, second), (second, first))
    ]
