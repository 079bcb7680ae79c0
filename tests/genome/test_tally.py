"""Statuses and judgements of the preflight: those of the scorer, and the same whatever the size of the batches."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from genoformer.formats.vcf import Record, batches, read_variants
from genoformer.genome.fit import check_fit
from genoformer.genome.preflight import preflight
from genoformer.genome.readings import other_strand
from genoformer.genome.reference import Genome
from genoformer.genome.tally import Tally
from genoformer.genome.variants import Status

FIXES = [(), ("swap",), ("strand",), ("shift",), ("swap", "strand"), ("swap", "strand", "shift")]
N_FILES = 120


def is_plain(allele: str) -> bool:
    return not allele.strip("ACGT")


def altered(ref: str, alts: list[str], pos: int, how: str, rng: random.Random) -> tuple[str, list[str], int]:
    """REF, ALTs and POS, swapped, on the other strand, both, or moved."""
    plain = [i for i, alt in enumerate(alts) if is_plain(alt)]
    if how in ("swap", "at once") and plain:
        i = rng.choice(plain)
        ref, alts[i] = alts[i], ref
    if how in ("strand", "at once") and is_plain(ref):
        ref, alts = other_strand(ref), [other_strand(alt) if is_plain(alt) else alt for alt in alts]
    return ref, alts, pos + {"shift": -1, "back": 1}.get(how, 0)


def alts_of(ref: str, rng: random.Random) -> list[str]:
    alts = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        inserted = ref[0] + "".join(rng.choices("ACGT", k=rng.choice([1, 2, 7])))
        alt = rng.choice(["A", "C", "G", "T", inserted, ref[0], "".join(rng.choices("ACGT", k=len(ref))), "<DEL>", "*", "N"])
        if alt != ref and alt not in alts:
            alts.append(alt)
    return alts or ["."]


def random_rows(contigs: dict[str, str], rng: random.Random) -> list[tuple[str, int, str, str]]:
    """Records of three contigs, nearly all altered in one way, or each in its own."""
    mode = rng.choice(["swap", "strand", "shift", "back", "mixed", "none"])
    rows = []
    for name, text in contigs.items():
        for _ in range(rng.choice([1, 3, 8, 15, 40])):
            start = rng.randrange(2, len(text) - 8)
            ref = text[start : start + rng.choice([1, 1, 1, 1, 2, 3])]
            if "N" in ref and rng.random() < 0.95:
                continue
            how = rng.choice(["swap", "strand", "none", "at once"]) if mode == "mixed" else mode
            how = "none" if rng.random() < 0.1 else how
            ref, alts, pos = altered(ref, alts_of(ref, rng), start + 1, how, rng)
            rows.append((name, pos, ref, ",".join(alts)))
    return sorted(rows)


def write(path: Path, rows: list[tuple[str, int, str, str]]) -> Path:
    lines = [f"{chrom}\t{pos}\t.\t{ref}\t{alt}\t.\t.\t.\n" for chrom, pos, ref, alt in rows]
    path.write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + "".join(lines))
    return path


def tallied(records: list[Record], n: int, genome: Genome, longest: int) -> dict[str, object]:
    """The counts of each contig, of records that are added n at a time."""
    tally = Tally(genome, longest, swaps=True, strands=True, shifts=True)
    for batch in batches(records, n):
        tally.add(batch)
    return tally.counts()


@pytest.mark.parametrize("seed", [0, 5])
def test_preflight_and_scorer_count_the_same_with_every_fix_and_any_batch(
    seed: int, tmp_path: Path, make_fasta: Callable[..., Path]
) -> None:
    rng = random.Random(seed)
    n_fixed = 0
    for i in range(N_FILES):
        contigs = {f"chr{n}": "".join(rng.choices("ACGTN", [6, 6, 6, 6, 1], k=rng.choice([60, 300, 900]))) for n in (1, 2, 3)}
        genome = Genome(make_fasta(f"{i}.fa", **contigs))
        vcf = write(tmp_path / "in.vcf", random_rows(contigs, rng))
        asked, longest, force = rng.choice(FIXES), rng.choice([4, 100]), rng.random() < 0.3
        found = preflight(vcf, genome, max_length=longest, fix=asked, force=force)
        checked = check_fit(list(read_variants(vcf)), genome, found.fit(), longest)
        n_fixed += sum(fix >= 0 for fix in checked.fixes)
        counts = Counter(status for statuses in checked.statuses for status in statuses)
        assert {status: n for status, n in found.statuses.items() if n} == counts
        records = list(read_variants(vcf))
        assert tallied(records, 3, genome, longest) == tallied(records, len(records), genome, longest)
    assert n_fixed > N_FILES


TEXT = "".join(random.Random(1).choices("ACGT", k=400))


@pytest.mark.parametrize("n_swapped", [40, 12])
def test_a_long_ref_that_a_swap_makes_short_is_scored(n_swapped: int, tmp_path: Path, make_fasta: Callable[..., Path]) -> None:
    """The last record is 9 bases for 1 of 2 ALTs; swapped it has an ALT that is too long, and one of one base."""
    genome = Genome(make_fasta(chr1=TEXT))
    rows = [("chr1", p + 1, next(b for b in "ACGT" if b != TEXT[p]), TEXT[p]) for p in range(10, 10 + n_swapped * 5, 5)]
    other = next(b for b in "ACGT" if b != TEXT[300])
    rows.append(("chr1", 301, other * 9, f"{TEXT[300]},{other}"))
    found = preflight(write(tmp_path / "in.vcf", rows), genome, max_length=4, fix=("swap",))
    assert (found.statuses[Status.OK], found.statuses[Status.TOO_LONG]) == (n_swapped + 1, 1)


def test_agreeing_records_are_sampled_over_batches(make_fasta: Callable[..., Path]) -> None:
    genome = Genome(make_fasta(chr1="A" * 30 + "C" * 30))
    agree = [Record("", "chr1", pos, ".", "A", ("G",)) for pos in range(5, 25)]  # also one base before and after
    tally = Tally(genome, 10, swaps=False)
    for record in agree:
        tally.add([record])
    counts = tally.counts()["chr1"]
    assert (counts.sampled, counts.next_too, counts.previous_too) == (12, 12, 12)
