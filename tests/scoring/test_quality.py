"""The note of --verify: the largest difference of records that are scored again, found by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from genoformer.formats.vcf import Record
from genoformer.scoring.parts import PartResult
from genoformer.scoring.quality import verify_note
from genoformer.writers import Column

NUMBER, WORD = Column("LLR", "bits", "m"), Column("NOISE", "", "m", words=("no", "yes"))
RECORDS = [Record("", "1", pos, ".", "A", tuple("CG"[: pos % 2 + 1])) for pos in range(1, 7)]  # 2 ALTs at odd positions
CHUNKS = [RECORDS[:3], RECORDS[3:]]


def scores_of(records: Sequence[Record], error: float = 0.0) -> PartResult:
    """A row (pos + ALT / 10, a word) for each ALT; position 2 has no score."""
    alts = [(record.pos, i) for record in records for i in range(len(record.alts))]
    rows = [(np.nan, np.nan) if pos == 2 else (pos + i / 10 + error, 1.0) for pos, i in alts]
    return PartResult(np.zeros(len(rows), dtype=np.uint8), np.array(rows))


class Parts(dict[int, PartResult]):
    pass


PARTS = Parts(enumerate(map(scores_of, CHUNKS)))


def note(n: int, again, columns=(NUMBER, WORD), parts=PARTS) -> str:
    return verify_note(lambda: CHUNKS, parts, n, columns, again)  # type: ignore[arg-type]


def test_the_largest_difference_and_score_are_named() -> None:
    text = note(9, lambda records: scores_of(records, 0.25 if records[0].pos == 3 else 0.0))
    assert text.startswith("verified: 5 random records, scored again")  # position 2 has nothing to compare
    assert "largest difference is 0.25, and the largest score 6." in text


@pytest.mark.parametrize("n", [1, 2, 3])
def test_as_many_records_are_scored_again_as_requested(n: int) -> None:
    again: list[int] = []

    def score(records: Sequence[Record]) -> PartResult:
        again.append(records[0].pos)
        return scores_of(records)

    assert f"verified: {n} random record{'s' * (n > 1)}, scored" in note(n, score)
    assert len(set(again)) == n
    assert 2 not in again


def test_columns_of_words_are_not_compared() -> None:
    def score(records: Sequence[Record]) -> PartResult:
        part = scores_of(records)
        part.values[:, 1] = 0
        return part

    assert "largest difference is 0," in note(9, score)


def test_a_missing_value_at_another_place_is_a_bug() -> None:
    def score(records: Sequence[Record]) -> PartResult:
        part = scores_of(records)
        return part._replace(values=np.full_like(part.values, np.nan)) if records[0].pos == 4 else part

    assert "the scores of 1:4 and those of the reference implementation have missing values" in note(9, score)


def test_nothing_to_compare_is_said() -> None:
    empty = Parts((i, part._replace(values=np.full_like(part.values, np.nan))) for i, part in PARTS.items())
    assert note(3, scores_of, parts=empty) == "verified: found no record with a score to compare."
