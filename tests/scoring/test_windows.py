"""Windows of variants: starts on the grid and around the variant, alleles laid out, and stretches of shared windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genoformer.genome.codes import encode
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.scoring.windows import Windows

SEQUENCE = "".join(np.random.default_rng(0).choice(list("ACGT"), 2_000))


@pytest.fixture
def genome(make_fasta) -> Genome:
    path: Path = make_fasta(one=SEQUENCE, two=SEQUENCE)
    return Genome(path)


def windows(genome: Genome, anchor: str = "grid", indels: str = "realign", length: int = 128) -> Windows:
    return Windows(genome, length, 8, anchor, indels)  # type: ignore[arg-type]


def snv(pos: int, chrom: str = "one") -> Variant:
    ref = SEQUENCE[pos - 1]
    return Variant(chrom, pos, ref, "ACGT"[("ACGT".index(ref) + 1) % 4])


@pytest.mark.parametrize(("pos", "start"), [(1_001, 936), (1_004, 936), (1_005, 944), (1_012, 944), (1_013, 952)])
def test_windows_on_the_grid_begin_at_the_nearest_whole_bin(genome: Genome, pos: int, start: int) -> None:
    """The centre of 128 bases is base 64: an SNV at position 1,001 (index 1,000) would begin at 936."""
    assert windows(genome).start_of(snv(pos)) == start
    assert windows(genome, "variant").start_of(snv(pos)) == pos - 1 - 64


def test_a_job_holds_the_window_with_the_alternative(genome: Genome) -> None:
    variant = snv(1_001)
    (job,) = windows(genome).jobs([variant], shift=3)
    assert (job.row, job.chrom, job.start, job.centre) == (0, "one", 939, 1_000)
    expected = encode(SEQUENCE[939 : 939 + 128]).copy()
    expected[1_000 - 939] = encode(variant.alt)[0]
    assert [codes.tolist() for codes in job.alternatives] == [expected.tolist()]


@pytest.mark.parametrize(("indels", "n"), [("realign", 1), ("left", 1), ("right", 1), ("stitch", 2)])
def test_an_insertion_has_an_alternative_for_each_side_that_is_laid_out(genome: Genome, indels: str, n: int) -> None:
    variant = Variant("one", 1_001, SEQUENCE[1_000], SEQUENCE[1_000] + "ACGTACG")
    (job,) = windows(genome, indels=indels).jobs([variant], shift=0)
    assert [len(codes) for codes in job.alternatives] == [128] * n


def test_jobs_are_sorted_and_stretches_share_whole_bins(genome: Genome) -> None:
    laid = windows(genome, "variant")
    jobs = laid.jobs([snv(1_009), snv(500, "two"), snv(1_001), snv(1_017), snv(1_020), snv(1_500)], shift=0)
    assert [job.row for job in jobs] == [2, 0, 3, 4, 5, 1]
    # 8 and 16 bases further on share bins; 19 bases do not; 1,500 is beyond 1.5 windows; "two" is another contig
    assert [[job.row for job in stretch] for stretch in laid.stretches(jobs)] == [[2, 0, 3], [4], [5], [1]]
    assert list(laid.stretches([])) == []
