"""Scores of the families of language models against naive loops: blocks of bases, BPE, causal models; refusals."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scoring_jobs import scorer_of
from small_models import small_encoder

from genoformer import inference
from genoformer.errors import ConfigError
from genoformer.genome.codes import decode, encode
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.inference.base_probabilities import allele_embeddings
from genoformer.inference.shared_prefix import AlleleWindows, compare_alleles
from genoformer.models.transformer.config import SHAPES
from genoformer.models.transformer.model import Encoder
from genoformer.scoring.block_likelihoods import BlockLikelihoods
from genoformer.scoring.causal_likelihoods import CausalLikelihoods, with_equal_unknown
from genoformer.scoring.scorers import default_scores
from genoformer.scoring.scores import SCORES
from genoformer.scoring.support import refusal, supported
from genoformer.scoring.variant_windows import FLANK, VariantWindows
from genoformer.tokenizers import BaseTokenizer, BlockTokenizer, BPETokenizer, KmerTokenizer

LENGTH = 42
SEQUENCE = decode(np.random.default_rng(5).integers(0, 4, 300, dtype=np.uint8))
BPE = BPETokenizer.train([encode(SEQUENCE * 3)[i : i + 90] for i in range(0, 800, 60)], 40)
GQA: dict[str, Any] = {"n_heads": 4, "n_kv_heads": 2, "width": 32, "ffn_width": 40, "n_layers": 2, "causal": True}
TURNED = str.maketrans("ACGT", "TGCA")


def other(text: str) -> str:
    """Different bases in every place."""
    return text.translate(str.maketrans("ACGT", "CATG"))


SNV = Variant("c", 120, SEQUENCE[119], other(SEQUENCE[119]))
MNV = Variant("c", 131, SEQUENCE[130:134], other(SEQUENCE[130:134]))
INSERTION = Variant("c", 150, SEQUENCE[149], SEQUENCE[149] + "GATTA")
DELETION = Variant("c", 170, SEQUENCE[169:174], SEQUENCE[169])
COMPLEX = Variant("c", 190, SEQUENCE[189:192], other(SEQUENCE[189]) + "TTCAC" + other(SEQUENCE[191]))
KINDS = {"SNV": SNV, "MNV": MNV, "insertion": INSERTION, "deletion": DELETION, "both": COMPLEX}


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    return genome_of(tmp_path_factory.mktemp("genome") / "g.fa", SEQUENCE)


def genome_of(path: Path, sequence: str) -> Genome:
    path.write_text(f">c\n{sequence}\n")
    return Genome(path)


def made(tokenizer: Any, **fields: Any) -> Encoder:
    """A model in float64, so that differences are those of the method and not of rounding."""
    return small_encoder(tokenizer, seed=2, context_length=LENGTH, init_std=0.3, **fields).double()


def causal(family: str, tokenizer: Any, **fields: Any) -> Encoder:
    return made(tokenizer, **{**SHAPES[family], **GQA, **fields})


def value(model: Any, genome: Genome, name: str, variant: Variant, **options: Any) -> float:
    return float(scorer_of(model, genome, name, **options).score([variant]).values[0, 0])


# Blocks


def block_log2_p(model: Encoder, text: str, row: int, hidden: list[int]) -> dict[str, float]:
    """log2 P of each block in place of token `row` of a text, the tokens `hidden` masked; the sum of P is 1."""
    tokenizer = model.tokenizer
    encoding = tokenizer.encode(encode(text)[None])
    ids = encoding.ids.copy()
    ids[0, hidden] = tokenizer.mask_id
    with torch.no_grad():
        logits = model(torch.from_numpy(ids))[0, row].double()
    start, end = encoding.spans[0, row]
    blocks = ["".join(bases) for bases in product("ACGT", repeat=int(end - start))]
    log_p = logits[[tokenizer.vocab[block] for block in blocks]].log_softmax(0) / np.log(2)
    return dict(zip(blocks, log_p.tolist(), strict=True))


def naive_block_scores(model: Encoder, ref: str, alt: str, first: int, n: int) -> tuple[float, float, float]:
    """LLR, TOKEN_LLR and ENTROPY of one strand: sums over all blocks, token by token from the left."""
    spans = model.tokenizer.encode(encode(ref)[None]).spans[0]
    over = [i for i, (s, e) in enumerate(spans) if s < first + n and e > first]
    llr = token_llr = 0.0
    for sign, text in ((1, alt), (-1, ref)):
        for i, row in enumerate(over):
            s, e = spans[row]
            p = block_log2_p(model, text, row, over[i:])
            changed = [j for j in range(s, e) if first <= j < first + n]
            consistent = [2**x for block, x in p.items() if all(block[j - s] == text[j] for j in changed)]
            llr += sign * np.log2(sum(consistent))
            token_llr += sign * p[text[s:e]]
    p = block_log2_p(model, ref, over[0], over)
    at = max(first, spans[over[0]][0]) - spans[over[0]][0]
    base = [sum(2**x for block, x in p.items() if block[at] == b) for b in "ACGT"]
    return llr, token_llr, -sum(x * np.log2(x) for x in base)


def strands(ref: str, alt: str, first: int, n: int):
    yield ref, alt, first
    yield ref[::-1].translate(TURNED), alt[::-1].translate(TURNED), len(ref) - first - n


def naive_substitution(model: Encoder, variant: Variant, shift: int = 0) -> np.ndarray:
    """LLR, TOKEN_LLR, ENTROPY, the mean of both strands, in the window that begins `shift` bases further left."""
    n = len(variant.ref)
    start = variant.start + n // 2 - LENGTH // 2 - shift
    first = variant.start - start
    ref = SEQUENCE[start : start + LENGTH]
    alt = ref[:first] + variant.alt + ref[first + n :]
    return np.mean([naive_block_scores(model, *texts, n) for texts in strands(ref, alt, first, n)], axis=0)


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("variant", [SNV, MNV], ids=["SNV", "MNV"])
def test_block_scores_equal_sums_over_all_blocks(k, variant, genome) -> None:
    model = made(BlockTokenizer.new(k))
    found = scorer_of(model, genome, "LLR,TOKEN_LLR,ENTROPY").score([variant]).values[0]
    assert found == pytest.approx(naive_substitution(model, variant), abs=1e-5)
    if k == 1:
        assert found[1] == pytest.approx(found[0], abs=1e-6)


def test_the_posterior_of_a_block_model_is_what_its_scores_compare(genome) -> None:
    """`predict_bases`, which maps and logos use, and the LLR of SNVs agree."""
    model = made(BlockTokenizer.new(3))
    scorer = scorer_of(model, genome, "LLR", both_strands=False)
    codes = encode(SEQUENCE[SNV.start - LENGTH // 2 :][:LENGTH])[None]
    log2_p = inference.posteriors(model, codes, np.array([LENGTH // 2]))[0]
    assert scorer.score([SNV]).values[0, 0] == pytest.approx(
        log2_p["ACGT".index(SNV.alt)] - log2_p["ACGT".index(SNV.ref)], abs=1e-5
    )


@pytest.mark.parametrize("variant", [SNV, MNV], ids=["SNV", "MNV"])
def test_all_phases_are_the_mean_over_the_window_starts(variant, genome) -> None:
    model = made(BlockTokenizer.new(3))
    scorer = scorer_of(model, genome, "LLR,TOKEN_LLR", phases="all")
    expected = np.mean([naive_substitution(model, variant, shift)[:2] for shift in range(3)], axis=0)
    assert scorer.score([variant]).values[0] == pytest.approx(expected, abs=1e-5)
    assert scorer.options["phases"] == "all"
    positions = set()
    for windows in scorer.readers[0].phases:  # the base is at each position of its token once
        a = windows.place(variant)
        spans = model.tokenizer.encode(a.ref[None]).spans[0]
        positions |= {int(a.ref_start - s) for s, e in spans if s <= a.ref_start < e}
    assert positions == {0, 1, 2}


def test_the_entropy_of_all_phases_is_that_of_the_renormalised_mean(genome) -> None:
    model = made(BlockTokenizer.new(2))
    found = value(model, genome, "ENTROPY", SNV, phases="all", both_strands=False)
    rows = []
    for shift in range(2):
        start = SNV.start - LENGTH // 2 - shift
        codes = encode(SEQUENCE[start : start + LENGTH])[None]
        rows.append(inference.posteriors(model, codes, np.array([LENGTH // 2 + shift]))[0])
    p = np.exp2(np.mean(rows, axis=0))
    p /= p.sum()
    assert found == pytest.approx(-(p * np.log2(p)).sum(), abs=1e-5)


def test_phases_do_not_depend_on_the_grid_and_one_phase_does(genome) -> None:
    """A masked token of this model sees the tokens beside it alone, so that a longer window changes only where blocks begin.

    In windows of 42, 44 and 46 bases the variant lies behind 21, 22 and 23 bases: at each position of its block once.
    """
    model: Any = made(BlockTokenizer.new(3), position="rotary", n_layers=1)
    model.layers[0].attention.reach = 1
    lengths = (LENGTH, LENGTH + 2, LENGTH + 4)
    for name in ("LLR", "TOKEN_LLR", "ENTROPY"):
        one = [value(model, genome, name, SNV, context=length, both_strands=False) for length in lengths]
        every = [value(model, genome, name, SNV, context=length, phases="all", both_strands=False) for length in lengths]
        assert len({round(x, 4) for x in one}) == 3, one
        assert every == pytest.approx([every[0]] * 3, abs=1e-6), every


def test_single_bases_have_one_phase(genome) -> None:
    single = made(BaseTokenizer())
    assert value(single, genome, "LLR", SNV, phases="all") == value(single, genome, "LLR", SNV)


@pytest.mark.parametrize("variant", [INSERTION, DELETION], ids=["insertion", "deletion"])
def test_pll_of_blocks_sums_the_marginals_of_equally_many_bases(variant, genome) -> None:
    model = made(BlockTokenizer.new(3))
    scorer = scorer_of(model, genome, "PLL", both_strands=False)
    reader = scorer.readers[0]
    a = reader.windows.place(reader.windows.shortest(variant))
    sums, n_terms = [], []
    for codes, start, n in ((a.ref, a.ref_start, a.ref_length), (a.alt, a.alt_start, a.alt_length)):
        n_more = max(a.ref_length, a.alt_length) - n + 2 * FLANK  # half of them, the larger half, on the left
        text = decode(codes)
        spans = model.tokenizer.encode(codes[None]).spans[0]
        places = range(start - (n_more + 1) // 2, start + n + n_more // 2)
        total = 0.0
        for place in places:
            (row,) = (i for i, (s, e) in enumerate(spans) if s <= place < e)
            p = block_log2_p(model, text, row, [row])
            total += np.log2(sum(2**x for block, x in p.items() if block[place - spans[row][0]] == text[place]))
        sums.append(total)
        n_terms.append(len(places))
    assert n_terms[0] == n_terms[1]
    assert scorer.score([variant]).values[0, 0] == pytest.approx(sums[1] - sums[0], abs=1e-5)


def test_bases_of_one_block_share_a_query(genome, monkeypatch) -> None:
    """PLL of an insertion of 5 bases in a model of 3-mers: 15 bases of either allele lie in at most 7 blocks."""
    from genoformer.scoring import block_likelihoods

    asked: list[int] = []
    true = block_likelihoods.token_log2_probs
    monkeypatch.setattr(
        block_likelihoods, "token_log2_probs", lambda m, ids, *a, **k: asked.append(len(ids)) or true(m, ids, *a, **k)
    )
    value(made(BlockTokenizer.new(3)), genome, "PLL", INSERTION, both_strands=False)
    assert len(asked) == 2
    assert all(5 <= n <= 7 for n in asked)


# BPE


def naive_piece_pll(model: Encoder, left: str, right: str, ref: str, alt: str) -> float:
    """The difference of bits per base, over tokens that differ or touch the allele or FLANK bases around it."""
    tokenizer = model.tokenizer
    tokens = []
    for allele in (ref, alt):
        encoding = tokenizer.encode(encode(left + allele + right)[None])
        tokens.append([(int(i), int(s), int(e)) for i, (s, e) in zip(encoding.ids[0], encoding.spans[0], strict=True)])
    values = []
    for mine, theirs, allele in ((tokens[0], tokens[1], ref), (tokens[1], tokens[0], alt)):
        n_mine, n_theirs = (max(e for _, _, e in side) for side in (mine, theirs))
        before = set(theirs)
        after = {(i, n_theirs - s, n_theirs - e) for i, s, e in theirs}
        total, n_bases = 0.0, 0
        first, last = len(left) - FLANK, len(left) + len(allele) + FLANK
        common_left = [t for t in mine if t in before and t[2] <= len(left) + len(allele)]
        for row, (i, s, e) in enumerate(mine):
            if e == s:
                continue
            is_common = (i, s, e) in common_left if s < len(left) else (i, n_mine - s, n_mine - e) in after
            if is_common and not (s < last and e > first):
                continue
            ids = torch.tensor([[token for token, _, _ in mine]])
            ids[0, row] = tokenizer.mask_id
            with torch.no_grad():
                total += model(ids)[0, row].log_softmax(0)[i].item() / np.log(2)
            n_bases += e - s
        values.append(total / n_bases)
    return values[1] - values[0]


@pytest.mark.parametrize("kind", KINDS)
def test_pll_of_bpe_is_bits_per_base_of_the_tokens_near_the_change(kind, genome) -> None:
    model = made(BPE)
    v = scorer_of(model, genome, "PLL").readers[0].windows.shortest(KINDS[kind])
    longest = max(len(v.ref), len(v.alt))
    n_left = LENGTH // 2 - longest // 2
    left, right = SEQUENCE[v.start - n_left : v.start], SEQUENCE[v.end : v.end + LENGTH - n_left - longest]
    forward = naive_piece_pll(model, left, right, v.ref, v.alt)
    turned = [text[::-1].translate(TURNED) for text in (right, left, v.ref, v.alt)]
    assert value(model, genome, "PLL", KINDS[kind], both_strands=False) == pytest.approx(forward, abs=1e-6)
    assert value(model, genome, "PLL", KINDS[kind]) == pytest.approx((forward + naive_piece_pll(model, *turned)) / 2, abs=1e-6)


def test_both_alleles_of_bpe_cover_the_same_flanks(genome) -> None:
    from genoformer.scoring.piece_likelihoods import PieceLikelihoods

    model = made(BPE)
    windows = scorer_of(model, genome, "PLL").readers[0].windows
    for variant in KINDS.values():
        for strand in "+-":
            v = windows.shortest(variant)
            ref, alt = PieceLikelihoods(model, windows)._pieces(windows.between_flanks(v, strand))
            assert alt.n_bases - ref.n_bases == len(v.alt) - len(v.ref)
            assert ref.n_bases >= len(v.ref) + 2 * FLANK


# Causal models


def naive_windows(
    model: Encoder, genome: Genome, variant: Variant, shift: int = 0, step: int = 0
) -> list[tuple[str, str, int]]:
    """For each strand both windows as text, and the number of bases that both begin with before the allele."""
    v = scorer_of(model, genome, "LLR").readers[0].windows.shortest(variant)
    changed = SEQUENCE[: v.start] + v.alt + SEQUENCE[v.end :]
    longest = max(len(v.ref), len(v.alt))
    n_left = LENGTH // 2 - longest // 2 + shift
    if step:  # the multiple of `step` that is nearest to the start of the centred window
        start = min(range(0, 300, step), key=lambda s: (abs(s - (v.start - n_left)), -s))
        n_left = v.start - start
    n_right = LENGTH - n_left - longest
    first = v.start - n_left
    ends = v.end + n_right, v.start + len(v.alt) + n_right
    back = [text[:end][-LENGTH:][::-1].translate(TURNED) for text, end in zip((SEQUENCE, changed), ends, strict=True)]
    return [(SEQUENCE[first:][:LENGTH], changed[first:][:LENGTH], n_left), (back[0], back[1], n_right)]


CAUSAL = {
    "llama, single bases": lambda: causal("llama", BaseTokenizer()),
    "qwen3, blocks": lambda: causal("qwen3", BlockTokenizer.new(3)),
    "qwen3, bases with other ids": lambda: causal("qwen3", BlockTokenizer.new(1)),
    "llama, BPE": lambda: causal("llama", BPE),
    "llama, sliding 3-mers": lambda: causal("llama", KmerTokenizer(3)),
    "learned positions": lambda: made(BlockTokenizer.new(2), causal=True, position="learned", max_tokens=44),
    "ALiBi and local layers": lambda: causal("llama", BaseTokenizer(), position="alibi", local_window=12, global_every=2),
    "convolution": lambda: made(BaseTokenizer(), causal=True, conv_kernel=3),
}


@pytest.fixture(scope="module", params=CAUSAL)
def causal_model(request) -> Encoder:
    return CAUSAL[request.param]()


def two_passes(model: Encoder, ref: str, alt: str) -> float:
    log2_p = [float(model.sequence_log2_prob(encode(text)[None])) for text in (ref, alt)]
    return log2_p[1] - log2_p[0]


@pytest.mark.parametrize("kind", KINDS)
def test_causal_scores_equal_two_whole_passes(kind, causal_model, genome) -> None:
    variant = KINDS[kind]
    with torch.no_grad():
        expected = [two_passes(causal_model, ref, alt) for ref, alt, _ in naive_windows(causal_model, genome, variant)]
    assert value(causal_model, genome, "LLR", variant) == pytest.approx(np.mean(expected), abs=1e-5)
    assert value(causal_model, genome, "LLR", variant, both_strands=False) == pytest.approx(expected[0], abs=1e-5)
    if len(variant.ref) != len(variant.alt):
        assert value(causal_model, genome, "PLL", variant) == value(causal_model, genome, "LLR", variant)


def test_many_variants_together_are_scored_as_each_alone(causal_model, genome) -> None:
    snvs = [Variant("c", p, SEQUENCE[p - 1], b) for p in (100, 101, 160) for b in "ACGT" if b != SEQUENCE[p - 1]]
    variants = [*KINDS.values(), *snvs][::-1]
    expected = np.concatenate([scorer_of(causal_model, genome, "LLR,JSD").score([v]).values for v in variants])
    for batch_size in (None, 2):
        values = scorer_of(causal_model, genome, "LLR,JSD", batch_size=batch_size).score(variants).values
        assert values == pytest.approx(expected, abs=1e-6)


def naive_jsd(model: Any, genome: Genome, variant: Variant, shift: int = 0) -> list[float]:
    """JSD of the next token after each allele on both strands, from whole passes that end with the allele."""
    tokenizer = model.tokenizer
    v = scorer_of(model, genome, "LLR").readers[0].windows.shortest(variant)
    values = []
    for ref, alt, n_left in naive_windows(model, genome, variant, shift):
        p = []
        for text, n in ((ref, len(v.ref)), (alt, len(v.alt))):
            encoding = tokenizer.encode(encode(text)[None])
            last = n_left + n - 1
            row = min(i for i, (s, e) in enumerate(encoding.spans[0]) if s <= last < e)
            with torch.no_grad():
                logits = model(torch.from_numpy(encoding.ids[:, : row + 1]))[0, -1].double()  # nothing after the token is read
            if tokenizer.sliding:
                kmer = text[encoding.spans[0, row, 0] : encoding.spans[0, row, 1]]
                logits = logits[[tokenizer.vocab[kmer[1:] + base] for base in "ACGT"]]
            p.append(logits.softmax(0).numpy())
        middle = (p[0] + p[1]) / 2
        values.append(float(sum((side * np.log2(side / middle)).sum() for side in p) / 2))
    return values


@pytest.mark.parametrize("kind", KINDS)
def test_jsd_compares_the_next_token_after_each_allele(kind, causal_model, genome) -> None:
    expected = np.mean(naive_jsd(causal_model, genome, KINDS[kind]))
    assert value(causal_model, genome, "JSD", KINDS[kind]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", ["SNV", "MNV", "deletion"])
def test_jsd_of_all_phases_is_the_mean_over_their_windows(kind, genome) -> None:
    model = causal("qwen3", BlockTokenizer.new(3))
    by_phase = [np.mean(naive_jsd(model, genome, KINDS[kind], shift)) for shift in range(3)]
    assert len({round(x, 6) for x in by_phase}) == 3
    assert value(model, genome, "JSD", KINDS[kind], phases="all") == pytest.approx(np.mean(by_phase), abs=1e-5)
    both = scorer_of(model, genome, "LLR,JSD", phases="all").score([KINDS[kind]]).values[0]
    assert both[1] == pytest.approx(np.mean(by_phase), abs=1e-5)


def test_jensen_shannon_by_hand() -> None:
    log2 = np.log2
    p, q = np.array([[0.5, 0.5, 1e-300]]), np.array([[1e-300, 0.5, 0.5]])
    jsd = SCORES["JSD"].function
    # m = (1/4, 1/2, 1/4): both divergences are 1/2 log2(2) + 1/2 log2(1) = 1/2
    assert jsd(log2(p), log2(q)) == pytest.approx([0.5])
    assert jsd(log2(p), log2(p)) == pytest.approx([0])
    with np.errstate(divide="ignore"):
        assert jsd(log2(np.array([[1.0, 0.0]])), log2(np.array([[0.0, 1.0]]))) == pytest.approx([1])


def test_phases_of_a_causal_model_of_blocks(genome) -> None:
    model = causal("qwen3", BlockTokenizer.new(3))
    with torch.no_grad():
        expected = [
            two_passes(model, ref, alt) for shift in range(3) for ref, alt, _ in naive_windows(model, genome, SNV, shift)
        ]
    assert value(model, genome, "LLR", SNV, phases="all") == pytest.approx(np.mean(expected[::2] + expected[1::2]), abs=1e-5)


def test_the_prefix_is_computed_once_for_all_alts(genome, monkeypatch) -> None:
    """Three ALTs of a site: tokens of one whole window, then of three times what follows the first changed token."""
    model = causal("llama", BaseTokenizer())
    n_tokens: list[int] = []
    true = Encoder.embed

    def embed(self, ids, *args, **kwargs):
        n_tokens.append(ids.numel())
        return true(self, ids, *args, **kwargs)

    monkeypatch.setattr(Encoder, "embed", embed)
    alts = [Variant("c", 120, SEQUENCE[119], b) for b in "ACGT" if b != SEQUENCE[119]]
    scorer_of(model, genome, "LLR", both_strands=False).score(alts)
    assert n_tokens == [LENGTH + 2, 3 * (LENGTH // 2 + 1)]


def test_windows_that_share_a_varying_number_of_tokens(genome) -> None:
    """Variants at different places of one reference window, one of which changes its first base."""
    model = causal("qwen3", BlockTokenizer.new(2), position="learned", max_tokens=24)
    ref = encode(SEQUENCE[:LENGTH])
    alt = np.stack([ref] * 5)
    for row, place in enumerate((0, 3, 20, 41, 22)):
        alt[row, place] = (alt[row, place] + 1) % 4
    alt[4, 30:] = encode(SEQUENCE[100:112])
    last = np.array([0, 3, 20, 41, 22])
    windows = AlleleWindows(ref[None], alt, np.zeros(5, np.int64), last, last)
    with torch.no_grad():
        expected = model.sequence_log2_prob(alt) - model.sequence_log2_prob(ref[None])
    assert compare_alleles(model, windows).log2_ratio == pytest.approx(expected.numpy(), abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_shared_windows_start_on_a_grid(kind, causal_model, genome) -> None:
    variant, step = KINDS[kind], LENGTH // 4
    with torch.no_grad():
        expected = [two_passes(causal_model, ref, alt) for ref, alt, _ in naive_windows(causal_model, genome, variant, 0, step)]
    scorer = scorer_of(causal_model, genome, "LLR", share_windows=True)
    assert scorer.score([variant]).values[0, 0] == pytest.approx(np.mean(expected), abs=1e-5)
    assert scorer.options["windows"] == "shared"
    assert scorer.longest_allele == LENGTH - 2 * FLANK - step


def test_neighbours_share_a_window_if_requested(genome) -> None:
    """Ten SNVs within a quarter of a window are read in at most two reference windows; centred windows are ten."""
    model = causal("llama", BaseTokenizer())
    variants = [Variant("c", p, SEQUENCE[p - 1], other(SEQUENCE[p - 1])) for p in range(120, 130)]
    for strand in "+-":
        windows = [scorer_of(model, genome, "LLR", share_windows=share).readers[0].windows for share in (True, False)]
        n_starts = [len({of.after_one_prefix(v, strand)[0] for v in variants}) for of in windows]
        assert n_starts[0] <= 2
        assert n_starts[1] == 10


def test_half_precision_is_close(genome) -> None:
    whole = causal("qwen3", BaseTokenizer()).float()
    with inference.evaluating(whole, precision="bfloat16") as half:
        assert value(half, genome, "LLR", SNV) == pytest.approx(value(whole, genome, "LLR", SNV), abs=0.3)


# Properties


FAMILIES = {
    "blocks": (lambda: made(BlockTokenizer.new(3)), ["LLR", "TOKEN_LLR", "PLL"]),
    "BPE": (lambda: made(BPE), ["PLL", "COSINE", "L2"]),
    "causal BPE": (lambda: causal("llama", BPE), ["LLR", "PLL", "JSD"]),
    "causal blocks": (lambda: causal("qwen3", BlockTokenizer.new(2)), ["LLR", "JSD", "L2"]),
}
MODELS = {name: make() for name, (make, _) in FAMILIES.items()}


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=15, deadline=None)
@given(start=st.integers(60, 230), n_ref=st.integers(1, 6), alt=st.text("ACGT", min_size=1, max_size=6))
def test_sign_and_zero(family, start, n_ref, alt, tmp_path_factory) -> None:
    """The alleles swap: a signed score has the other sign, another one stays. REF for ALT: 0."""
    model, names = MODELS[family], FAMILIES[family][1]
    folder = tmp_path_factory.mktemp("swap")
    ref = SEQUENCE[start : start + n_ref]
    here, there = (
        genome_of(folder / f"{i}.fa", SEQUENCE[:start] + x + SEQUENCE[start + n_ref :]) for i, x in enumerate((ref, alt))
    )
    scorers = [scorer_of(model, g, ",".join(names)) for g in (here, there)]
    before = scorers[0].score([Variant("c", start + 1, ref, alt)]).values[0]
    after = scorers[1].score([Variant("c", start + 1, alt, ref)]).values[0]
    signs = np.array([-1 if SCORES[name].signed else 1 for name in names])
    assert before * signs == pytest.approx(after, abs=2e-5, nan_ok=True)
    same = scorers[0].score([Variant("c", start + 1, ref, ref)]).values[0]
    assert not np.nan_to_num(same).any()


# Which family has which score


TABLE = [  # the scores of each family, and part of the reason for one that it lacks
    (lambda: made(KmerTokenizer(3)), "LLR PLL ENTROPY COSINE L2", "TOKEN_LLR", "k-mers do"),
    (lambda: made(BaseTokenizer()), "LLR PLL TOKEN_LLR ENTROPY COSINE L2", "JSD", "needs a causal model"),
    (lambda: made(BlockTokenizer.new(3)), "LLR PLL TOKEN_LLR ENTROPY COSINE L2", "SAD", "is of tracks"),
    (lambda: made(BPE), "PLL COSINE L2", "LLR", "BPE does not have"),
    (lambda: made(BPE), "PLL COSINE L2", "TOKEN_LLR", "cut the two alleles differently"),
    (lambda: causal("llama", BaseTokenizer()), "LLR PLL JSD COSINE L2", "ENTROPY", "sees both sides, and this one is causal"),
    (lambda: causal("llama", BPE), "LLR PLL JSD COSINE L2", "TOKEN_LLR", "sees both sides"),
    (lambda: causal("llama", KmerTokenizer(4, 2)), "COSINE L2", "LLR", "k-mers of stride 1"),
    (lambda: made(BlockTokenizer.new(3), output="none"), "COSINE L2", "PLL", "a head that predicts tokens"),
]


@pytest.mark.parametrize(("make", "names", "refused", "reason"), TABLE)
def test_what_a_family_supports(make, names, refused, reason, genome) -> None:
    model = make()
    assert sorted(supported(model)) == sorted(names.split())
    sentence = refusal(model, SCORES[refused])
    assert sentence is not None
    assert sentence.startswith(f"{refused} ")
    assert reason in sentence
    assert sentence.endswith(f"choose {', '.join(supported(model))}.")
    with pytest.raises(ConfigError, match=reason):
        scorer_of(model, genome, refused)
    defaults = [score.name for score in default_scores(model)]
    assert defaults == [name for name in ("LLR", "PLL") if name in names.split()] or defaults == ["COSINE", "L2"]
    scorer_of(model, genome, ",".join(defaults)).score([SNV, INSERTION])


def test_phases_are_refused_where_tokens_have_no_phase(genome) -> None:
    with pytest.raises(ConfigError, match="bounds of BPE tokens"):
        scorer_of(made(BPE), genome, "PLL", phases="all")
    with pytest.raises(ConfigError, match="give one or all"):
        scorer_of(made(BaseTokenizer()), genome, "LLR", phases="two")
    with pytest.raises(ConfigError, match="at least"):
        scorer_of(made(BlockTokenizer.new(6)), genome, "LLR", phases="all", context=20)


def test_alleles_that_the_tokens_of_a_window_do_not_reach_have_no_value(genome, tmp_path) -> None:
    """With positions for 7 tokens of 3 bases, N before an allele at the end of a window leave no token for it."""
    model = made(BlockTokenizer.new(3).limited_to(8), position="learned", max_tokens=8)
    text = "ANCNGNTNANCNG" + "ACGTACGTACGT"
    assert model.tokenizer.encode(encode(text[:21])[None]).spans[0, -1, 1] < 19
    windows = VariantWindows(genome_of(tmp_path / "n.fa", "ACGT" * 9 + text + "ACGT" * 9), 21, strands="+", shift=8)
    snv = Variant("c", 36 + 19 + 1, text[19], other(text[19]))
    found = BlockLikelihoods(model, windows).substitutions([snv], with_posterior=True)
    assert np.isnan([found.likelihoods[0].ref, found.likelihoods[0].alt, found.tokens[0].alt]).all()
    assert np.isnan(found.posteriors[0].ref).all()
    indels = BlockLikelihoods(model, windows).indels([Variant("c", snv.pos, snv.ref, snv.ref + "GA")])
    assert np.isnan([indels[0].ref, indels[0].alt]).all()
    embeddings = allele_embeddings(model, encode(text[:21])[None], np.array([19]), np.array([20]))
    assert np.isnan(embeddings).all()


def test_a_causal_model_compares_windows_of_which_it_reads_the_same_bases(tmp_path) -> None:
    """With N in a window of learned positions an insertion can change which bases are read; then the ratio has no value."""
    model = made(BlockTokenizer.new(3).limited_to(11), **{**GQA, "position": "learned", "max_tokens": 11})
    codes = np.random.default_rng(6).integers(0, 4, 400, dtype=np.uint8)
    codes[::17] = 4
    text = decode(codes)
    windows = VariantWindows(genome_of(tmp_path / "n.fa", text), 30, strands="+")
    n_equal = n_unequal = 0
    for at in range(60, 340, 7):
        if "N" in text[at - 1 : at + 1]:
            continue
        for alt in (other(text[at]), text[at] + "GA"):
            variant = Variant("c", at + 1, text[at], alt)
            (pair,), _ = CausalLikelihoods(model, windows).compare([variant], with_next=False)
            alleles, _ = with_equal_unknown(windows.after_one_prefix(windows.shortest(variant), "+")[1])
            sides = [model.tokenizer.encode(of[None]) for of in (alleles.ref, alleles.alt)]
            bounds = [(of.spans[of.is_base].min(), of.spans[of.is_base].max()) for of in sides]
            if bounds[0] != bounds[1] or (alleles.ref == 4).sum() != (alleles.alt == 4).sum():
                n_unequal += 1
                assert np.isnan(pair.alt[0])
                continue
            n_equal += 1
            full = [inference.likelihoods(model, of[None])[0] for of in (alleles.ref, alleles.alt)]
            assert pair.alt[0] - pair.ref[0] == pytest.approx(full[1] - full[0], abs=1e-4)
    assert min(n_equal, n_unequal) >= 5


def test_a_causal_model_of_blocks_on_a_grid_compares_equal_numbers_of_bases(tmp_path) -> None:
    """An N hides its whole block: if an insertion moves it into another number of blocks, the ratio has no value."""
    tokenizer = BlockTokenizer([token for token in BlockTokenizer.new(3).tokens if len(token) != 1], grid=True)
    model = causal("llama", tokenizer)
    bases = list(SEQUENCE)
    bases[150:152] = "NN"
    text = "".join(bases)
    windows = VariantWindows(genome_of(tmp_path / "n.fa", text), 30, strands="+")
    n_equal = n_unequal = 0
    for at in range(138, 150):
        variant = Variant("c", at + 1, text[at], text[at] + "G")
        (pair,), _ = CausalLikelihoods(model, windows).compare([variant], with_next=False)
        alleles, _ = with_equal_unknown(windows.after_one_prefix(windows.shortest(variant), "+")[1])
        n_blocks = [sum("N" not in of[i : i + 3] for i in range(0, 30, 3)) for of in map(decode, (alleles.ref, alleles.alt))]
        if n_blocks[0] != n_blocks[1]:
            n_unequal += 1
            assert np.isnan(pair.alt[0])
            continue
        n_equal += 1
        full = [inference.likelihoods(model, of[None])[0] for of in (alleles.ref, alleles.alt)]
        assert pair.alt[0] - pair.ref[0] == pytest.approx(full[1] - full[0], abs=1e-4)
    assert min(n_equal, n_unequal) >= 2


# Ends of contigs and gaps


def spelled(model: Encoder, before: str, allele: str, after: str) -> float:
    """log2 P of a window without N in one pass."""
    with torch.no_grad():
        return float(model.sequence_log2_prob(encode(before + allele + after)[None]))


def near_the_end(model: Encoder, sequence: str, variant: Variant) -> list[float]:
    """LLR of each strand by hand: as many known bases behind both alleles as the contig with fewer of them has."""
    ref, alt = variant.ref[1:], variant.alt[1:]  # without the anchor
    at = variant.start + 1
    n_left = LENGTH // 2 - max(len(ref), len(alt)) // 2
    n_right = LENGTH - n_left - max(len(ref), len(alt))
    turned = [text[::-1].translate(TURNED) for text in (sequence, ref, alt)]
    forward, reverse = (sequence, ref, alt), (turned[0], turned[1], turned[2])
    values = []
    for (text, of_ref, of_alt), place, n_before in (
        (forward, at, n_left),
        (reverse, len(sequence) - at - len(ref), n_right),
    ):
        before, after = text[max(0, place - n_before) : place].rjust(n_before, "N"), text[place + len(of_ref) :]
        room = LENGTH - n_before  # bases from the first of the allele on
        n_known = min(room, len(of_ref) + len(after), len(of_alt) + len(after))
        assert n_known >= max(len(of_ref), len(of_alt))
        sides = [spelled(model, before, allele, after[: n_known - len(allele)]) for allele in (of_alt, of_ref)]
        values.append(sides[0] - sides[1])
    return values


NEAR_ENDS = [(place, ref, alt) for place in (12, 17, 280, 289) for ref, alt in ((1, 4), (4, 1), (1, 2), (6, 1))]


@pytest.mark.parametrize("tokenizer", [BaseTokenizer(), KmerTokenizer(3)], ids=["bases", "k-mers"])
@pytest.mark.parametrize(("place", "n_ref", "n_alt"), NEAR_ENDS)
def test_causal_indels_near_a_contig_end_are_read_in_shorter_windows(tokenizer, place, n_ref, n_alt, genome) -> None:
    model = causal("llama", tokenizer)
    ref = SEQUENCE[place : place + n_ref]
    v = scorer_of(model, genome, "LLR").readers[0].windows.shortest(Variant("c", place + 1, ref, (ref + "GTTCA")[:n_alt]))
    anchored = Variant("c", v.start, SEQUENCE[v.start - 1] + v.ref, SEQUENCE[v.start - 1] + v.alt)  # left-aligned
    expected = np.mean(near_the_end(model, SEQUENCE, anchored))
    assert value(model, genome, "LLR", anchored) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("family", ["causal BPE", "causal blocks"])
@pytest.mark.parametrize("place", [3, 9, 20, 270, 288, 294])
def test_near_contig_ends_both_strands_and_both_alleles_are_alike(family, place, tmp_path) -> None:
    """The contig turned over has the same LLR; with the alleles swapped it has the other sign."""
    model = MODELS[family]
    alt = SEQUENCE[place] + other(SEQUENCE[place + 1]) + "AT" + other(SEQUENCE[place])  # which has one spelling
    inserted = SEQUENCE[:place] + alt + SEQUENCE[place + 1 :]
    turned, n = SEQUENCE[::-1].translate(TURNED), len(SEQUENCE)
    last = turned[n - place - 2]  # the anchor on the other strand
    genomes = [genome_of(tmp_path / f"{i}.fa", text) for i, text in enumerate((SEQUENCE, inserted, turned))]
    forward = value(model, genomes[0], "LLR", Variant("c", place + 1, SEQUENCE[place], alt))
    swapped = value(model, genomes[1], "LLR", Variant("c", place + 1, alt, SEQUENCE[place]))
    reverse = value(model, genomes[2], "LLR", Variant("c", n - place - 1, last, last + alt[1:][::-1].translate(TURNED)))
    assert np.isfinite(forward)
    assert swapped == pytest.approx(-forward, abs=2e-5)
    assert reverse == pytest.approx(forward, abs=2e-5)


def test_an_indel_with_fewer_bases_behind_it_than_it_changes_has_no_likelihood(genome) -> None:
    model = causal("llama", BaseTokenizer())
    variants = [Variant("c", 299, SEQUENCE[298], SEQUENCE[298] + "GGGG"), Variant("c", 2, SEQUENCE[1], SEQUENCE[1] + "GGGG")]
    batch = scorer_of(model, genome, "LLR").score(variants)
    assert [str(status) for status in batch.statuses] == ["NO_SCORE", "NO_SCORE"]
    assert np.isnan(batch.values).all()
    both = scorer_of(model, genome, "LLR,COSINE").score(variants)
    assert [str(status) for status in both.statuses] == [".", "."]


def test_windows_that_end_in_a_gap_are_cut_where_both_alleles_know_as_much(tmp_path) -> None:
    model = causal("llama", BaseTokenizer())
    gapped = SEQUENCE[:160] + "N" * 40 + SEQUENCE[200:]
    value_of_gap = value(model, genome_of(tmp_path / "g.fa", gapped), "LLR", INSERTION, both_strands=False)
    value_of_end = value(model, genome_of(tmp_path / "e.fa", SEQUENCE[:160]), "LLR", INSERTION, both_strands=False)
    assert np.isfinite(value_of_gap)
    assert value_of_gap == pytest.approx(value_of_end, abs=1e-6)


# Ensembles


def test_likelihoods_of_different_kinds_of_models_are_not_averaged(genome) -> None:
    kmers, bpe, llama = made(KmerTokenizer(3)), made(BPE), causal("llama", BaseTokenizer())
    for models, names, kinds in (
        ((kmers, llama), "LLR,COSINE", "causal and masked models in an ensemble, and their LLR measure"),
        ((llama, kmers), "LLR,PLL", "causal and masked models in an ensemble, and their LLR, PLL measure"),
        ((kmers, bpe), "PLL", "masked and masked BPE models in an ensemble, and their PLL measure"),
        ((bpe, llama), "PLL", "causal and masked BPE models"),
    ):
        with pytest.raises(ConfigError, match=f"found {kinds}.*score each kind alone, or choose COSINE or L2"):
            scorer_of(models, genome, names)
    together = value((kmers, llama), genome, "L2", SNV)
    assert together == pytest.approx((value(kmers, genome, "L2", SNV) + value(llama, genome, "L2", SNV)) / 2, abs=1e-5)
    bases = made(BaseTokenizer())
    expected = (value(kmers, genome, "LLR", SNV) + value(bases, genome, "LLR", SNV)) / 2
    assert value((kmers, bases), genome, "LLR", SNV) == pytest.approx(expected, abs=1e-5)  # both of the masked base
