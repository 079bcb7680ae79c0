"""One sample's genotypes in a window: chromosomes, phase sets and ploidy, by hand."""

from __future__ import annotations

import pytest

from genoformer.formats.vcf import Record
from genoformer.genome.genotypes import genotypes
from genoformer.scoring.phasing import phase


def phased(ploidy: int, *samples: str, form: str = "GT:PS", usable: tuple[int, ...] = (1, 2)):
    calls = []
    for text in samples:
        calls += genotypes(Record(f"c\t1\t.\tA\tC,G\t.\t.\t.\t{form}\t{text}", "c", 1, ".", "A", ("C", "G")))
    chromosomes, left_out = phase(calls, [usable] * len(calls), ploidy)
    return chromosomes, dict(+left_out)


@pytest.mark.parametrize(
    ("samples", "chromosomes", "left_out"),
    [
        (["0|1", "1|0"], [(0, 1), (1, 0)], {}),  # one set for all that name none
        (["0|1:5", "1|0:5", "0|1:6"], [(0, 1), (1, 0), (0, 0)], {"another phase set": 1}),
        (["0|1:5", "1|2:6"], [(0, 0), (1, 2)], {"another phase set": 1}),  # the set with most alleles stays
        (["0|1:5", "1|1:6", "0|1:5"], [(0, 1), (1, 1), (0, 1)], {}),  # alike: of all sets
        (["0|1:x*1", "1|0:x*1"], [(0, 1), (1, 0)], {}),  # PS of text
        (["0/1:5", "0|1:6"], [(0, 0), (0, 1)], {}),  # PS of a genotype without phase is of no account
        (["0|1", "1"], [(0, 1), (0, 0)], {"another ploidy": 1}),
        (["0|1", "1|1|1"], [(0, 1), (0, 0)], {"another ploidy": 3}),
        (["0|1", ".", "0", "0|x"], [(0, 1), (0, 0), (0, 0), (0, 0)], {}),
    ],
)
def test_a_sample_has_one_phase_set_and_one_ploidy(samples, chromosomes, left_out) -> None:
    assert phased(2, *samples) == (chromosomes, left_out)


def test_alleles_that_cannot_be_scored_are_of_no_account() -> None:
    assert phased(2, "2|1:5", "2|0:6", usable=(1,)) == ([(0, 1), (0, 0)], {})


def test_polyploids() -> None:
    assert phased(4, "0|0|1|1", "1|0|0|0", "1/1/1/1") == ([(0, 0, 1, 1), (1, 0, 0, 0), (1, 1, 1, 1)], {})
    assert phased(4, "0|0|1|1:1", "0|0|0|1:2", "0|1|1|1:2")[1] == {"another phase set": 1}
    assert phased(1, "1", "0", "|1", "/1") == ([(1,), (0,), (1,), (1,)], {})


@pytest.mark.parametrize(
    ("samples", "chromosomes", "left_out"),
    [
        (["|0/1:a,.", "1|0:.,a"], [(0, 1), (0, 1)], {}),  # a is the chromosome of the 0, wherever GT has it
        (["0|1:a,b", "1|0:b,a", "1|0:a,b"], [(0, 1), (0, 1), (1, 0)], {}),
        (["0|1:a,.", "0|1:c,a", "1|0:c,d"], [(0, 1), (1, 0), (0, 1)], {}),  # c is not a's, d is not c's
        (["0|1:a,b", "0|1:c,d"], [(0, 1), (0, 0)], {"another phase set": 1}),  # two blocks
        (["0|1:a,b", "0|1:c,d", "0|1:a,c"], [(0, 1), (0, 0), (0, 0)], {"another phase set": 2}),  # and what joins them late
        (["0|1:a,a", "1|0:a,a"], [(0, 1), (1, 0)], {}),  # one name for both: as PS
        (["1|1:a,b", "0|1:x,y"], [(1, 1), (0, 1)], {}),
    ],
)
def test_a_name_of_psl_is_one_chromosome(samples, chromosomes, left_out) -> None:
    assert phased(2, *samples, form="GT:PSL") == (chromosomes, left_out)


def test_names_of_psl_in_a_triploid() -> None:
    """The duplication of VCF 4.5, 1.6.2: two chromosomes without the variant are alike."""
    assert phased(3, "/0/0|1:.,.,c", "0|1|0:.,c,.", form="GT:PSL") == ([(0, 0, 1), (0, 0, 1)], {})
    assert phased(3, "0|1|0:a,b,c", "0|1|2:d,e,b", form="GT:PSL")[1] == {"another phase set": 2}
