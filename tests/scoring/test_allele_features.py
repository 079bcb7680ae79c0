"""Scores of the encoder against a naive reader that makes every window as text and runs the whole model on it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scoring_jobs import scorer_of
from small_models import small_encoder

from genoformer import inference
from genoformer.errors import ConfigError
from genoformer.formats.vcf import Record
from genoformer.genome.codes import decode, encode, reverse_complement
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Status, Variant
from genoformer.models.transformer.model import Encoder
from genoformer.scoring.allele_features import AlleleScorer, VariantEvidence
from genoformer.scoring.masked_likelihoods import MaskedLikelihoods
from genoformer.scoring.scores import DEFAULT_SCORES, DEFAULT_TRACK_SCORES, SCORES, parse_scores
from genoformer.scoring.variant_windows import FLANK
from genoformer.tokenizers import BaseTokenizer, BPETokenizer, KmerTokenizer

LENGTH = 40
OF_TOKENS = [name for name, score in SCORES.items() if not score.per_output and name not in ("TOKEN_LLR", "JSD")]
random = np.random.default_rng(11)
SEQUENCE = decode(random.integers(0, 4, 400, dtype=np.uint8))


def make_model(tokenizer, **fields) -> Encoder:
    return small_encoder(tokenizer, seed=1, context_length=LENGTH, init_std=0.4, **fields)


@pytest.fixture(scope="module")
def genome(tmp_path_factory) -> Genome:
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    path.write_text(f">c\n{SEQUENCE}\n>n\n{SEQUENCE[:100]}{'N' * 30}{SEQUENCE[130:]}\n>a\n{'A' * 60}{SEQUENCE}\n")
    return Genome(path)


@pytest.fixture(scope="module", params=["base", "kmer"])
def model(request) -> Encoder:
    return make_model(BaseTokenizer() if request.param == "base" else KmerTokenizer(3))


def naive_log2_p(model: Encoder, text: str, hidden: range, base: str) -> float:
    """log2 P(base at hidden[0]) of a window of text in which the bases `hidden` are not known."""
    tokenizer, target = model.tokenizer, hidden[0]
    ids = tokenizer.encode(encode(text)[None]).ids[0].tolist()
    starts = tokenizer.starts(len(text))
    for t, s in enumerate(starts):
        if any(s <= i < s + tokenizer.k for i in hidden):
            ids[t + 1] = 4
    with torch.no_grad():
        logits = model(torch.tensor([ids]))[0].double()
    kept = []
    for t, s in enumerate(starts):
        covered = range(s, s + tokenizer.k)
        if target in covered and not any(i in covered for i in hidden if i != target):
            kmers = [(text[:target] + b + text[target + 1 :])[s : s + tokenizer.k] for b in "ACGT"]
            kept.append(logits[t + 1][[tokenizer.vocab[kmer] for kmer in kmers]].log_softmax(0))
    mean = torch.stack(kept).mean(0).log_softmax(0)
    return (mean["ACGT".index(base)] / np.log(2)).item()


def strands(text: str, start: int, end: int):
    """A window and an interval in it, as both strands read them."""
    yield text, start, end
    yield decode(reverse_complement(encode(text))), len(text) - end, len(text) - start


def score(reader: AlleleScorer, name: str, variants) -> np.ndarray:
    entry = SCORES[name]
    pairs = entry.input.from_sequence(VariantEvidence(reader, variants, with_distribution=True))
    return np.mean([entry.function(pair.ref, pair.alt) for pair in pairs], axis=0)


def snvs(positions) -> list[Variant]:
    return [Variant("c", p, SEQUENCE[p - 1], alt) for p in positions for alt in "ACGT" if alt != SEQUENCE[p - 1]]


def test_llr_and_entropy_of_snvs_equal_the_naive_reading(model, genome) -> None:
    variants = snvs([120, 121, 250])
    reader = AlleleScorer(model, genome)
    found, entropy = score(reader, "LLR", variants), score(reader, "ENTROPY", variants)
    for variant, llr, bits in zip(variants, found, entropy, strict=True):
        start = variant.start - LENGTH // 2
        ratios, entropies = [], []
        for text, at, _ in strands(SEQUENCE[start : start + LENGTH], LENGTH // 2, LENGTH // 2 + 1):
            turned = text != SEQUENCE[start : start + LENGTH]
            ref, alt = (b.translate(str.maketrans("ACGT", "TGCA")) if turned else b for b in (variant.ref, variant.alt))
            p = {b: naive_log2_p(model, text, range(at, at + 1), b) for b in "ACGT"}
            ratios.append(p[alt] - p[ref])
            entropies.append(-sum(2**x * x for x in p.values()))
        assert llr == pytest.approx(np.mean(ratios), abs=1e-4)
        assert bits == pytest.approx(np.mean(entropies), abs=1e-4)


def test_llr_of_several_bases_is_the_chain_rule(model, genome) -> None:
    """Three bases: log2 P(x1) + log2 P(x2 | x1) + log2 P(x3 | x1 x2), those still to come hidden, on each strand."""
    ref = SEQUENCE[199:202]
    alt = "".join("CATG"["ACGT".index(b)] for b in ref)
    found = score(AlleleScorer(model, genome, both_strands=False), "LLR", [Variant("c", 200, ref, alt)])[0]
    start = 199 + 1 - LENGTH // 2
    at, window = 199 - start, SEQUENCE[start : start + LENGTH]
    expected = 0.0
    for sign, allele in ((1, alt), (-1, ref)):
        for i in range(3):
            text = window[:at] + allele + window[at + 3 :]
            expected += sign * naive_log2_p(model, text, range(at + i, at + 3), allele[i])
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("pos", "n_deleted", "inserted"), [(150, 0, "GATTA"), (150, 4, ""), (222, 2, "CCCTA")])
def test_pll_is_the_sum_over_equally_many_bases_of_both_alleles(model, genome, pos, n_deleted, inserted) -> None:
    anchor = SEQUENCE[pos - 1]
    variant = Variant("c", pos, anchor + SEQUENCE[pos : pos + n_deleted], anchor + inserted)
    reader = AlleleScorer(model, genome, both_strands=False)
    shortest = reader.windows.shortest(variant)  # its spelling is tested with normalise
    v, n_ref, n_alt = shortest.start, len(shortest.ref), len(shortest.alt)
    changed = SEQUENCE[:v] + shortest.alt + SEQUENCE[v + n_ref :]
    start = v + n_ref // 2 - LENGTH // 2
    cut = start + n_alt // 2 - n_ref // 2
    sums = []
    for whole, first, n in ((SEQUENCE, start, n_ref), (changed, cut, n_alt)):
        text = whole[first : first + LENGTH]
        n_flank = 2 * FLANK + max(n_ref, n_alt) - n
        low = v - first - (n_flank + 1) // 2
        places = range(low, low + max(n_ref, n_alt) + 2 * FLANK)
        sums.append(sum(naive_log2_p(model, text, range(i, i + 1), text[i]) for i in places))
    assert score(reader, "PLL", [variant])[0] == pytest.approx(sums[1] - sums[0], abs=1e-3)


def test_an_alt_that_is_the_ref_changes_no_embedding(model, genome) -> None:
    same = [
        Variant("c", pos, SEQUENCE[pos - 1 : pos + i % 3], SEQUENCE[pos - 1 : pos + i % 3])
        for i, pos in enumerate(range(100, 240, 7))
    ]
    others = [Variant("c", 150, SEQUENCE[149], SEQUENCE[149] + "GG"), Variant("c", 160, SEQUENCE[159:165], SEQUENCE[159])]
    for name in ("COSINE", "L2"):
        found = score(AlleleScorer(model, genome), name, [*same[:9], *others, *same[9:]])
        assert found[9:11].min() > 0
        assert not np.delete(found, [9, 10]).any()


def test_embedding_distances_equal_the_naive_mean_over_touching_tokens(model, genome) -> None:
    variant = Variant("c", 150, SEQUENCE[149], SEQUENCE[149] + "GG")
    reader = AlleleScorer(model, genome, both_strands=False)
    shortest = reader.windows.shortest(variant)
    a = reader.windows.place(shortest)
    means = []
    for codes, start, n in ((a.ref, a.ref_start, a.ref_length), (a.alt, a.alt_start, a.alt_length)):
        encoding = model.tokenizer.encode(codes[None])
        with torch.no_grad():
            x = model.embed(torch.from_numpy(encoding.ids))[0]
        rows = [t for t, (s, e) in enumerate(encoding.spans[0]) if e > s and s < start + n + 1 and e > start - 1]
        means.append(x[rows].mean(0).double().numpy())
    ref, alt = means
    cosine = 1 - ref @ alt / np.linalg.norm(ref) / np.linalg.norm(alt)
    assert score(reader, "COSINE", [variant])[0] == pytest.approx(cosine, abs=1e-5)
    assert score(reader, "L2", [variant])[0] == pytest.approx(np.linalg.norm(ref - alt), abs=1e-4)


@pytest.mark.parametrize("contig", ["c", "n"])
def test_both_sums_of_an_indel_have_equally_many_terms_everywhere(model, genome, contig) -> None:
    """At the ends of a contig, beside N, and with alleles as long as a window takes: else each base adds two bits."""
    reader = AlleleScorer(model, genome)
    longest = reader.longest_allele
    text = decode(genome.window(contig, 0, 400))
    places = [1, 2, 7, 90, 97, 99, 131, 140, 390, 395, 399] if contig == "n" else [1, 3, 20, 200, 380, 394, 399]
    for pos in places:
        for n_ref, n_alt in ((1, 2), (1, 6), (4, 1), (6, 3), (1, longest), (min(longest, 401 - pos), 1)):
            ref = text[pos - 1 : pos - 1 + n_ref]
            if n_ref == n_alt or len(ref) < n_ref or "N" in ref:
                continue
            alt = ref[0] + "GATTACA" * 10
            placed = reader.windows.place(reader.windows.shortest(Variant(contig, pos, ref, alt[:n_alt])))
            for strand in "+-":
                sides = MaskedLikelihoods(model, reader.windows)._each_base(placed, strand)
                assert len(sides[0]) == len(sides[1])
                assert all(q.base < 4 and q.codes[q.target] == q.base for side in sides for q in side)
    near = [Variant(contig, pos, text[pos - 1], text[pos - 1] + "GAT") for pos in places if text[pos - 1] != "N"]
    middle = [Variant("c", pos, SEQUENCE[pos - 1], SEQUENCE[pos - 1] + "GAT") for pos in range(150, 250, 5)]
    typical = np.abs(score(reader, "PLL", middle)).max()
    assert (np.abs(score(reader, "PLL", near)) < 2 * typical + 2).all()


def test_a_base_alone_between_n_leaves_no_answer(tmp_path) -> None:
    """Two changed bases beside N: the strand that reads from the N has no whole 3-mer for its first, so there is no LLR."""
    path = tmp_path / "n.fa"
    path.write_text(f">c\n{SEQUENCE[:200]}N{SEQUENCE[201:]}\n")
    kmer = make_model(KmerTokenizer(3))
    ref = SEQUENCE[201:203]
    double = Variant("c", 202, ref, ref.translate(str.maketrans("ACGT", "CATG")))
    assert np.isnan(score(AlleleScorer(kmer, Genome(path)), "LLR", [double])).all()
    assert np.isfinite(
        score(AlleleScorer(kmer, Genome(path), both_strands=False), "PLL", [Variant("c", 202, ref, ref[0])])
    ).all()


MIXED = [
    Variant("c", 150, SEQUENCE[149], "ACGT"[("ACGT".index(SEQUENCE[149]) + 1) % 4]),
    Variant("c", 180, SEQUENCE[179:182], SEQUENCE[179:182].translate(str.maketrans("ACGT", "GTAC"))),
    Variant("c", 210, SEQUENCE[209], SEQUENCE[209] + "TTGA"),
    Variant("c", 230, SEQUENCE[229:235], SEQUENCE[229]),
]


def fitting(name: str) -> list[Variant]:
    kind = SCORES[name].alleles
    return [v for v in MIXED if kind == "any" or (kind == "substitution") == (len(v.ref) == len(v.alt))]


@pytest.mark.parametrize("name", OF_TOKENS)
def test_equal_alleles_give_zero(name, model, genome) -> None:
    if not SCORES[name].zero_at_reference:  # ENTROPY, of the place and not of the alleles: it must not depend on ALT
        values = score(AlleleScorer(model, genome), name, snvs([150]))
        assert values == pytest.approx(np.full(3, values[0]))
        return
    same = [v._replace(alt=v.ref) for v in fitting(name)]
    assert score(AlleleScorer(model, genome), name, same) == pytest.approx(np.zeros(len(same)), abs=1e-6)


@pytest.mark.parametrize("name", OF_TOKENS)
def test_swapping_the_alleles_turns_the_sign_exactly_when_signed(name, model, genome, tmp_path) -> None:
    """The genome is rewritten to carry ALT, and ALT and REF change places."""
    for variant in fitting(name):
        swapped = Variant("c", variant.pos, variant.alt, variant.ref)
        path = tmp_path / f"{variant.pos}.fa"
        path.write_text(f">c\n{SEQUENCE[: variant.start]}{variant.alt}{SEQUENCE[variant.end :]}\n")
        before = score(AlleleScorer(model, genome), name, [variant])[0]
        after = score(AlleleScorer(model, Genome(path)), name, [swapped])[0]
        assert after == pytest.approx(-before if SCORES[name].signed else before, abs=1e-4)


@pytest.mark.parametrize("name", OF_TOKENS)
def test_the_other_strand_of_the_genome_gives_the_same_score(name, model, genome, tmp_path) -> None:
    """Substitutions: exactly. (An indel is shifted to the left of whichever strand, so its window may differ.)"""
    path = tmp_path / "turned.fa"
    path.write_text(f">c\n{decode(reverse_complement(encode(SEQUENCE)))}\n")
    variants = [v for v in fitting(name) if len(v.ref) == 1 == len(v.alt)]
    turned = [Variant("c", 400 - v.pos + 1, *(decode(reverse_complement(encode(x))) for x in (v.ref, v.alt))) for v in variants]
    odd = AlleleScorer(model, genome, 41), AlleleScorer(model, Genome(path), 41)  # an odd window has a middle on both strands
    if variants:
        assert score(odd[0], name, variants) == pytest.approx(score(odd[1], name, turned), abs=1e-4)


@pytest.mark.parametrize("name", OF_TOKENS)
def test_batches_and_company_do_not_matter(name, model, genome) -> None:
    variants = fitting(name) * 2
    together = score(AlleleScorer(model, genome), name, variants)
    alone = [score(AlleleScorer(model, genome, batch_size=1), name, [v])[0] for v in variants]
    assert together == pytest.approx(alone, abs=1e-4)


def test_spellings_of_one_indel_agree(model, genome) -> None:
    """An A more in a run of A: at its left end, at its right end, or with bases to spare."""
    run = "a", 60 + len(SEQUENCE) - len(SEQUENCE.lstrip("A"))
    text = "A" * 60 + SEQUENCE
    spellings = [
        Variant("a", 30, "A", "AA"),
        Variant("a", 55, "AAA", "AAAA"),
        Variant("a", run[1], text[run[1] - 1 : run[1] + 2], "A" + text[run[1] - 1 : run[1] + 2]),
    ]
    values = score(AlleleScorer(model, genome), "PLL", spellings)
    assert values == pytest.approx(np.full(3, values[0]), abs=1e-5)


def test_n_around_leaves_no_answer_and_near_leaves_one(genome) -> None:
    """Contig n has N from 100 to 130: beside it a 3-mer model still has tokens without N, in a lone base it has not."""
    kmer = make_model(KmerTokenizer(3))
    near = Variant("n", 100, SEQUENCE[99], "ACGT"[("ACGT".index(SEQUENCE[99]) + 1) % 4])
    assert np.isfinite(score(AlleleScorer(kmer, genome), "LLR", [near])).all()


LONE = decode(np.tile(encode("ACGTTGCA"), 10))
AMONG_N = "N" * 20 + LONE[:2] + "N" * 20 + LONE[:60]  # two bases alone, which no 3-mer without N covers
S, NO = Status.OK, Status.NO_SCORE
# names of scores; contig, POS, REF, ALT; what is defined of LLR, PLL, ENTROPY, COSINE; the status
DEFINED: list[tuple[str, tuple[str, int, str, str], str, Status]] = [
    ("LLR,PLL,ENTROPY", ("m", 5, "T", "A"), "LLR ENTROPY", S),
    ("LLR,PLL,ENTROPY", ("m", 5, "T", "T"), "LLR ENTROPY", S),  # ALT equal to REF
    ("LLR,PLL,ENTROPY", ("m", 5, "TGCA", "TGCA"), "LLR ENTROPY", S),
    ("LLR,PLL,ENTROPY", ("m", 5, "TGCA", "AGCC"), "LLR ENTROPY", S),
    ("LLR,PLL,ENTROPY", ("m", 5, "T", "TA"), "PLL", S),  # one of three is enough
    ("LLR,PLL,ENTROPY", ("m", 5, "TGCA", "T"), "PLL", S),
    ("LLR,PLL,ENTROPY,COSINE", ("m", 5, "T", "TA"), "PLL COSINE", S),
    ("LLR,PLL,ENTROPY", ("m", 1, "A", "C"), "LLR ENTROPY", S),  # at the ends of a contig
    ("LLR,PLL,ENTROPY", ("m", 80, "A", "C"), "LLR ENTROPY", S),
    ("LLR,PLL", ("m", 1, "A", "AGG"), "PLL", S),
    ("LLR", ("m", 5, "T", "TA"), "", NO),
    ("PLL", ("m", 5, "T", "A"), "", NO),
    ("PLL", ("m", 5, "T", "T"), "", NO),
    ("LLR,ENTROPY", ("n", 21, "A", "G"), "", NO),  # REF is known, but no 3-mer over it
    ("LLR,ENTROPY", ("n", 21, "A", "A"), "LLR", S),  # equal alleles: 0 whatever is around
    ("LLR,ENTROPY,L2", ("n", 21, "A", "G"), "L2", S),
]


@pytest.mark.parametrize(("names", "place", "defined", "status"), DEFINED)
def test_a_status_is_true_for_the_allele_and_the_scores(tmp_path, names, place, defined, status) -> None:
    (tmp_path / "g.fa").write_text(f">m\n{LONE}\n>n\n{AMONG_N}\n")
    chosen = parse_scores(names)
    answers = scorer_of(make_model(KmerTokenizer(3)), Genome(tmp_path / "g.fa"), names).score([Variant(*place)])
    found = " ".join(score.name for score, value in zip(chosen, answers.values[0], strict=True) if np.isfinite(value))
    assert (found, answers.statuses) == (defined, [status])


def test_the_entropy_of_an_alt_equal_to_ref_is_that_of_the_place(model, genome) -> None:
    other = SEQUENCE[150].translate(str.maketrans("ACGT", "CGTA"))
    rows = [Variant("c", 151, SEQUENCE[150], alt) for alt in (other, SEQUENCE[150])]
    rows.append(Variant("c", 151, SEQUENCE[150:153], SEQUENCE[150:153]))
    values = scorer_of(model, genome, "ENTROPY,LLR,COSINE").score(rows).values
    assert values[0, 0] == values[1, 0] == values[2, 0] > 0
    assert values[1:, 1].tolist() == [0, 0]
    assert values[1:, 2] == pytest.approx([0, 0], abs=1e-6)


def test_a_causal_model_compares_whole_windows(genome) -> None:
    model = make_model(BaseTokenizer(), causal=True)
    variant = MIXED[0]
    start = variant.start - LENGTH // 2
    ref = SEQUENCE[start : start + LENGTH]
    alt = ref[: LENGTH // 2] + variant.alt + ref[LENGTH // 2 + 1 :]
    sums = []
    for text in (ref, alt):
        ids = torch.from_numpy(model.tokenizer.encode(encode(text)[None]).ids)
        with torch.no_grad():
            log_p = model(ids)[0, :, 5:9].double().log_softmax(-1)
        sums.append(sum(log_p[t, ids[0, t + 1] - 5].item() for t in range(1, LENGTH)) / np.log(2))
    assert score(AlleleScorer(model, genome, both_strands=False), "LLR", [variant])[0] == pytest.approx(
        sums[1] - sums[0], abs=1e-4
    )


def test_what_a_model_cannot_tell_is_refused_at_once(genome) -> None:
    bpe = make_model(BPETokenizer.train([encode(SEQUENCE)], 32))
    causal = make_model(BaseTokenizer(), causal=True)
    with pytest.raises(ConfigError, match="BPE"):
        scorer_of(bpe, genome, "LLR")
    scorer_of(bpe, genome, "L2")
    with pytest.raises(ConfigError, match="causal"):
        scorer_of(causal, genome, "ENTROPY")
    with pytest.raises(ConfigError, match="at most 38"):
        AlleleScorer(make_model(BaseTokenizer(), position="learned", max_tokens=40), genome)
    with pytest.raises(ConfigError, match="at least"):
        AlleleScorer(causal, genome, 10)


def test_every_score_explains_itself() -> None:
    for name, entry in SCORES.items():
        assert name == entry.name == entry.name.upper()
        assert entry.unit
        assert len(entry.meaning.split()) >= 8
        assert entry.function.__doc__
        assert '"' not in entry.meaning  # it stands in a VCF header
    assert [s.name for s in parse_scores(" llr, PLL,llr")] == ["LLR", "PLL"]
    assert [s.name for s in parse_scores("GF_LLR,LLR,gf_pll")] == ["LLR", "PLL"]  # keys in INFO
    assert {s.alleles for s in parse_scores(DEFAULT_SCORES)} == {"substitution", "indel"}  # between them, every allele
    assert all(s.alleles == "any" for s in parse_scores(DEFAULT_TRACK_SCORES))
    with pytest.raises(ConfigError, match=r"unknown score SAT; the closest to SAT are S\w+, S\w+(, \w+){3}; `genoformer score"):
        parse_scores("SAT")
    with pytest.raises(ConfigError, match=r"unknown score GENE_MASK_SPLICING_101; the closest .* are GENE_MASK_SPLICING, "):
        parse_scores("GENE_MASK_SPLICING_101")
    with pytest.raises(ConfigError, match="no score is named; give some, such as LLR,PLL"):
        parse_scores("")


@pytest.mark.parametrize(("ref", "alt", "expected"), [([-1.0], [-3.0], -2.0), ([0.0], [0.0], 0.0)])
def test_log_ratio_by_hand(ref, alt, expected) -> None:
    assert SCORES["LLR"].function(np.array(ref), np.array(alt)) == pytest.approx([expected])


def test_other_scores_by_hand() -> None:
    uniform, certain = np.log2(np.full((1, 4), 0.25)), np.log2(np.array([[1 - 3e-9, 1e-9, 1e-9, 1e-9]]))
    assert SCORES["ENTROPY"].function(uniform, uniform) == pytest.approx([2.0])
    assert SCORES["ENTROPY"].function(certain, certain) == pytest.approx([0.0], abs=1e-6)
    a, b = np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]])
    assert SCORES["COSINE"].function(a, b) == pytest.approx([1.0])
    assert SCORES["L2"].function(a, b) == pytest.approx([5**0.5])


def test_windows_are_shared_between_the_alts_of_a_place(model, genome, monkeypatch) -> None:
    """Three ALTs at one place and the same place again: one window is asked about per strand."""
    from genoformer import inference

    asked = []
    true = inference.sliding_posteriors
    monkeypatch.setattr(
        inference, "sliding_posteriors", lambda m, codes, *a, **k: asked.append(len(codes)) or true(m, codes, *a, **k)
    )
    score(AlleleScorer(model, genome), "LLR", snvs([150]) * 2)
    assert asked == [1, 1]


@pytest.mark.parametrize(
    ("alts", "cost"),
    [(("A", "C"), 1), (("CT",), 24), (("C" * 15,), 50), (("A", "CT", "CTT"), 24 + 26), (("<DEL>", "C" * 40), 1), ((), 1)],
)
def test_the_cost_of_a_record_is_what_the_model_is_asked(genome, monkeypatch, alts: tuple[str, ...], cost: int) -> None:
    """A deletion or insertion: each base of both alleles, with five on either side, where the shorter one has more of them."""
    scorer = scorer_of(small_encoder(BaseTokenizer(), context_length=40), genome, "LLR,PLL", both_strands=False)
    ref = decode(genome.window("c", 99, 1))
    asked: list[int] = []
    true = inference.posteriors
    monkeypatch.setattr(inference, "posteriors", lambda m, codes, *a, **k: asked.append(len(codes)) or true(m, codes, *a, **k))
    record = Record("", "c", 100, ".", ref, tuple(ref + alt[1:] if len(alt) > 1 and alt.isalpha() else alt for alt in alts))
    assert scorer.cost(record) == cost
    fitting = [alt for alt in record.alts if alt.isalpha() and alt != ref and len(alt) <= scorer.longest_allele]
    scorer.score([Variant("c", 100, ref, alt) for alt in fitting])
    assert cost / 2 <= max(1, sum(asked)) <= cost
