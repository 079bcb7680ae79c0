"""Number of chromosomes of a sample in a window, from genotypes that can be read by eye."""

from __future__ import annotations

import pytest

from genoformer.formats.vcf import Record
from genoformer.genome.genotypes import calls_of
from genoformer.scoring.ploidies import Ploidies


@pytest.mark.parametrize(
    ("texts", "ploidy"),
    [
        (["0|1"] * 9 + ["0|0|0"], 2),
        (["0|1"] * 9 + ["0|0|1"], 2),
        (["0|0"] * 9 + ["0|0|1"], 3),  # the only one with an ALT
        (["1", "0|0", "0|0"], 1),
        (["0|1", "1"], 2),  # the larger of two
        (["1", "0|1", "1|0|1", "1|0|0"], 3),
        (["1", "1", "0|1"], 1),
        (["0", "0", "0|0"], 1),
        (["0", "0|0"], 2),
        (["0|2", "0|2", "1"], 1),  # ALT 2 cannot be scored
        (["0|2", "0|2", "0"], 2),
        ([".", ".", "1"], 1),
        ([".|.", "./."], 0),
        ([], 0),
    ],
)
def test_ploidy_is_that_of_most_genotypes(texts: list[str], ploidy: int) -> None:
    found = Ploidies(2, 1)
    for text in texts:
        record = Record(f"1\t5\t.\tA\tC,G\t.\t.\t.\tGT\t{text}", "1", 5, ".", "A", ("C", "G"))
        found.add([1], calls_of(record), {1})
    assert found.most().tolist() == [[0], [ploidy]]


def test_windows_and_samples_are_counted_apart() -> None:
    found = Ploidies(3, 2)
    for windows, texts in [([0, 1], "0|1\t1"), ([1], "1\t1|1"), ([1], "1\t1|0")]:
        record = Record(f"1\t5\t.\tA\tC\t.\t.\t.\tGT\t{texts}", "1", 5, ".", "A", ("C",))
        found.add(windows, calls_of(record), {1})
    assert found.most().tolist() == [[2, 1], [1, 2], [0, 0]]
