"""Records -> statuses, scores and matrix rows of all their ALTs, the work of one part."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import chain

import numpy as np

from genoformer.formats.vcf_records import Record, column
from genoformer.genome.fit import FIX_MEANING, FIX_WORDS, Fit, check_fit
from genoformer.genome.reference import Genome
from genoformer.genome.variants import ContigNames, Status, Variant
from genoformer.scoring.parts import STATUSES, PartResult
from genoformer.scoring.score_types import ScoreBatch, TrackScoreMatrix
from genoformer.scoring.variant_scorer import VariantScorer
from genoformer.writers import Column

_NUMBER = {status: i for i, status in enumerate(STATUSES)}


def score_records(records: Sequence[Record], genome: Genome, scorer: VariantScorer, names: ContigNames) -> PartResult:
    """Return the statuses and values of all ALTs of some records; they depend on the arguments only.

    names: a Fit, whose corrections add a column, or only names of contigs.
    """
    checked = check_fit(records, genome, names, scorer.longest_allele)
    statuses = list(chain.from_iterable(checked.statuses))
    rows, variants = _scored(checked.records, statuses, names)
    values = np.full((len(statuses), len(scorer.columns)), np.nan, dtype=np.float32)
    scores = scorer.score(variants) if variants else ScoreBatch([], values[:0])
    values[rows] = scores.values
    for i, status in zip(rows, scores.statuses, strict=True):
        statuses[i] = status
    if isinstance(names, Fit) and names.is_asked:
        fixes = [fix for fix, row in zip(checked.fixes, checked.statuses, strict=True) for _ in row]
        is_fixed = (np.array(fixes) >= 0) & ~np.isnan(values).all(axis=1)
        values = np.hstack([values, np.where(is_fixed, fixes, np.nan)[:, None].astype(np.float32)])
    n_tracks = scorer.n_matrix
    matrix = _expand_to_all_alts(scores.matrix, rows, records, len(scorer.scores), n_tracks) if n_tracks else None
    return PartResult(np.array([_NUMBER[status] for status in statuses], dtype=np.uint8), values, *(matrix or ()))


def _scored(records: Sequence[Record], statuses: Sequence[Status], names: ContigNames) -> tuple[list[int], list[Variant]]:
    """Return the ALTs that can be scored: their rows in `statuses`, and their variants in upper case."""
    rows: list[int] = []
    variants: list[Variant] = []
    row, new = 0, partial(tuple.__new__, Variant)
    contigs = {chrom: names.get(chrom) for chrom in set(column(records, "chrom"))}
    for _, chrom, pos, _, ref, alts in records:
        for alt in alts or (".",):
            if statuses[row] is Status.OK:
                rows.append(row)
                variants.append(new((contigs[chrom], pos, ref.upper(), alt.upper())))
            row += 1
    return rows, variants


def fix_columns(fixes: Sequence[str]) -> list[Column]:
    """Return the column with the correction of each ALT, if corrections are requested."""
    meaning = ", ".join(f"{word} ({text})" for word, text in FIX_MEANING.values())
    text = f"Correction of REF, ALT or POS for the scores of this ALT, missing if they were read as written: {meaning}."
    return [Column("FIX", "a fix", text, FIX_WORDS)] if fixes else []


def _expand_to_all_alts(
    matrix: TrackScoreMatrix | None, rows: Sequence[int], records: Sequence[Record], n_scores: int, n_tracks: int
) -> TrackScoreMatrix:
    """Expand the matrix of the scored variants in `rows` to all ALTs; ALTs without a score get rows of NaN."""
    numbers = [0, *np.cumsum([max(1, len(record.alts)) for record in records]).tolist()]
    alts = [numbers[i] + j for i, record in enumerate(records) for j in range(len(record.alts))]
    missing = [(row, score, -1, 1) for row in sorted(set(alts) - set(rows)) for score in range(n_scores)]
    index = np.array(missing, dtype=np.int32).reshape(-1, 4)
    values = np.full((len(missing), n_tracks), np.nan, dtype=np.float32)
    if matrix is not None:
        known = matrix.rows.copy()
        known[:, 0] = np.asarray(rows)[known[:, 0]]
        index, values = np.concatenate([known, index]), np.concatenate([matrix.values, values])
    order = np.argsort(index[:, 0], kind="stable")
    return TrackScoreMatrix(index[order], values[order])
