"""Count models: a naive version with dictionaries, answers by hand, both strands, N, and known numbers of hg38."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest
from amounts import FULL
from numpy.lib.stride_tricks import sliding_window_view

from genoformer.errors import ConfigError
from genoformer.genome.codes import N, decode, encode, reverse_complement
from genoformer.genome.reference import Genome
from genoformer.training.kmer_baseline import CONTEXTS, Context, CountModels, count_kmers, stretches

ORDER_0, ORDER_1, ORDER_2 = Context(0, 0), Context(1, 0), Context(2, 0)
SMALL = [ORDER_0, ORDER_1, ORDER_2, Context(3, 0), Context(1, 1), Context(2, 2), Context(3, 3)]


def random_text(n: int, seed: int, *, n_rate: float = 0.0) -> str:
    """Letters that favour A and repeat themselves, so that contexts tell something."""
    random = np.random.default_rng(seed)
    p = np.array([0.4, 0.2, 0.15, 0.25]) * (1 - n_rate)
    letters = random.choice(list("ACGTN"), size=n, p=[*p, 1 - p.sum()])
    copied = np.flatnonzero(random.random(n) < 0.5)
    for i in copied[copied > 3]:
        letters[i] = letters[i - 3]
    return "".join(letters)


def naive_bits(texts: list[str], context: Context, a: float, both_strands: bool, window: str, target: int) -> float:
    """-log2 p(window[target]) by the formula, with a dictionary of all substrings; NaN without a context."""
    strands = list(texts)
    if both_strands:
        strands += [text[::-1].translate(str.maketrans("ACGT", "TGCA")) for text in texts]
    seen = Counter(text[i : i + n] for text in strands for n in range(1, 8) for i in range(len(text) - n + 1))

    def p(base: str, left: str, right: str) -> float:
        n = {b: seen[left + b + right] for b in "ACGT"}
        shorter = p(base, left[1:], right[:-1]) if left or right else 0.25
        return (n[base] + a * shorter) / (sum(n.values()) + a)

    first, last = target - context.before, target + 1 + context.after
    if first < 0 or last > len(window) or "N" in window[first:last]:
        return float("nan")
    return -float(np.log2(p(window[target], window[first:target], window[target + 1 : last])))


def everywhere(models: CountModels, chunks) -> np.ndarray:
    """Bits [n_models, bases] of all bases of chunks with 11 known bases before and 5 after, the widest context there is."""
    found = []
    for chunk in chunks:
        around = sliding_window_view(chunk, 17) if len(chunk) >= 17 else np.empty((0, 17), dtype=np.uint8)
        found.append(models.bits(around, np.full(len(around), 11)))
    bits = np.concatenate(found, axis=1)
    return bits[:, np.isfinite(bits).all(axis=0)]


@pytest.mark.parametrize("both_strands", [True, False])
@pytest.mark.parametrize("a", [0.5, 3.0])
def test_every_answer_is_that_of_a_naive_version(a, both_strands) -> None:
    texts = [random_text(300, 0, n_rate=0.02), random_text(80, 1), "ACG", "N", "T"]
    held = random_text(60, 2, n_rate=0.05)
    models = CountModels.fit([encode(text) for text in texts], SMALL, a=a, both_strands=both_strands)
    found = models.bits(np.tile(encode(held), (60, 1)), np.arange(60))  # [n_models, 60]
    expected = [[naive_bits(texts, c, a, both_strands, held, i) for i in range(60)] for c in SMALL]
    assert np.isnan(expected).any()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_an_example_worked_by_hand() -> None:
    """AACAA: A 4 times, C once; after A come A, C, A; with a = 2 and 1/4 below."""
    models = CountModels.fit([encode("AACAA")], [ORDER_0, ORDER_1], a=2, both_strands=False)
    p_a, p_c = 4.5 / 7, 1.5 / 7  # (4 + 2/4) / (5 + 2)
    p_c_after_a = (1 + 2 * p_c) / (3 + 2)
    p_a_after_g = p_a  # G was never seen: the shorter context alone
    found = models.bits(encode("ACGA")[None].repeat(2, axis=0), [1, 3])
    np.testing.assert_allclose(2.0**-found, [[p_c, p_a], [p_c_after_a, p_a_after_g]], rtol=1e-6)
    assert (models.names, models.n_bases) == (("order 0", "order 1"), 5)


@pytest.mark.parametrize(
    ("text", "n", "both", "expected"),
    [
        ("AACG", 1, False, {"A": 2, "C": 1, "G": 1}),
        ("AACG", 2, False, {"AA": 1, "AC": 1, "CG": 1}),
        ("AACG", 2, True, {"AA": 1, "AC": 1, "CG": 2, "GT": 1, "TT": 1}),
        ("AANAC", 2, False, {"AA": 1, "AC": 1}),
        ("A", 2, True, {}),
    ],
)
def test_counts_by_eye(text, n, both, expected) -> None:
    table = count_kmers([encode(text)], [n], both_strands=both)[n]
    kmers = [decode(np.array([i // 4**place % 4 for place in range(n - 1, -1, -1)])) for i in range(4**n)]
    assert {kmer: int(count) for kmer, count in zip(kmers, table, strict=True) if count} == expected


def test_the_probabilities_of_the_four_bases_sum_to_one() -> None:
    models = CountModels.fit([encode(random_text(500, 3))], SMALL)
    windows = np.tile(encode(random_text(9, 4)), (4, 1))
    windows[:, 4] = range(4)
    np.testing.assert_allclose((2.0 ** -models.bits(windows, [4] * 4)).sum(axis=1), 1, rtol=1e-5)


def test_both_strands_are_one_training_text_and_one_answer() -> None:
    text = encode(random_text(400, 5, n_rate=0.01))
    forward, backward = CountModels.fit([text], SMALL), CountModels.fit([reverse_complement(text)], SMALL)
    windows, target = encode(random_text(20 * 30, 6)).reshape(20, 30), np.random.default_rng(0).integers(30, size=20)
    here = forward.bits(windows, target)
    assert (np.nan_to_num(here) == np.nan_to_num(backward.bits(windows, target))).all()
    two_sided = [i for i, context in enumerate(SMALL) if context.before == context.after]
    there = forward.bits(reverse_complement(windows), 29 - target)
    np.testing.assert_allclose(here[two_sided], there[two_sided], rtol=1e-5)


def test_no_context_spans_two_chunks_or_an_n() -> None:
    one, two = encode(random_text(50, 7)), encode(random_text(70, 8))
    apart = count_kmers([one, two], [1, 3])
    with_n = count_kmers([np.concatenate([one, [N], two])], [1, 3])
    together = count_kmers([np.concatenate([one, two])], [1, 3])
    assert all((apart[n] == with_n[n]).all() for n in (1, 3))
    assert apart[3].sum() == together[3].sum() - 2
    alone = count_kmers([one, two], [1, 3], n_read=1)  # each chunk is a piece of its own
    assert all((apart[n] == alone[n]).all() for n in (1, 3))


def test_order_0_on_its_own_training_text_is_the_entropy_of_its_composition() -> None:
    text = encode(random_text(30_000, 9))
    share = np.bincount(text) / len(text)
    models = CountModels.fit([text], [ORDER_0], a=1e-6, both_strands=False)
    found = models.bits(text[:, None], np.zeros(len(text), dtype=np.int64)).mean(dtype=np.float64)
    np.testing.assert_allclose(found, -(share * np.log2(share)).sum(), rtol=1e-6)


def test_on_the_training_text_more_context_fits_better() -> None:
    text = encode(random_text(30_000, 10))
    models = CountModels.fit([text], [Context(k, 0) for k in range(6)] + [Context(m, m) for m in range(4)], a=1e-6)
    both = [text, reverse_complement(text)]  # what was counted
    mean = everywhere(models, both).mean(axis=1)
    assert (np.diff(mean[:6]) < 1e-4).all()
    assert (np.diff(mean[6:]) < 1e-4).all()


@pytest.mark.parametrize(
    ("n_read", "expected"),
    [
        (4, ["ACGT", "ACGT", "ACGT", "AA", "ACG"]),
        (7, ["ACGT", "ACGTACG", "TAA", "ACG"]),
        (1 << 20, ["ACGT", "ACGTACGTAA", "ACG"]),
    ],
)
def test_stretches_are_the_known_bases(make_fasta, n_read, expected) -> None:
    genome = Genome(make_fasta(one="NNNNNNNNNNACGTNNACGTACGTAAN", two="ACG", three="N" * 20))
    assert [decode(codes) for codes in stretches(genome, ["one", "two", "three"], n_read=n_read)] == expected


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ConfigError, match="no A, C, G or T"):
        CountModels.fit([encode("NNN")], [ORDER_0])
    with pytest.raises(ConfigError, match="a = 0"):
        CountModels.fit([encode("ACG")], [ORDER_0], a=0)
    with pytest.raises(ConfigError, match="at least one context"):
        CountModels.fit([encode("ACG")], [])
    models = CountModels.fit([encode("ACGT")], [Context(2, 2)])
    for target in ([4], [-1], [0, 1]):
        with pytest.raises(ConfigError, match="from 0 to 3"):
            models.bits(encode("ACGT")[None], target)
    assert models.bits(np.empty((0, 4), dtype=np.uint8), []).shape == (1, 0)


def test_hg38_slices_give_the_known_numbers(real_data) -> None:
    """Counted on 8.3 Mb of chr2, chr10 and chr11; others found 1.748 (5+5) and 1.903 (order 5) on chr22, 1.811 (4+4)
    and 1.917 on chr1, with a weaker smoothing: ours is no worse."""
    genome = Genome(real_data / "hg38/hg38.sparse.fa.gz")
    began = time.process_time()
    models = CountModels.fit(stretches(genome, ["chr2", "chr10", "chr11"]))
    assert time.process_time() - began < 60  # 3 s; a table for each short chunk would take hours
    assert models.contexts == CONTEXTS
    assert models.n_bases == 2 * 8_323_275
    known = [("chr22", 299_000, 1.903, 1.758, 1.711)]
    if FULL:
        known.append(("chr1", 839_000, 1.917, 1.807, 1.775))
    for contig, n, order_5, around_4, around_5 in known:
        found = everywhere(models, stretches(genome, [contig]))
        bits = dict(zip(models.names, found.mean(axis=1, dtype=np.float64), strict=True))
        assert found.shape[1] > n
        for name, expected in (("order 5", order_5), ("4+4", around_4), ("5+5", around_5)):
            assert bits[name] == pytest.approx(expected, abs=0.002), (contig, name)
        assert bits["order 0"] > bits["order 5"] > bits["order 11"] > bits["4+4"] > bits["5+5"]
