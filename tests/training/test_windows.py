"""Windows of several genomes: blacklist, soft-masked repeats, weights of genomes, and windows that batches do not change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genoformer.errors import ConfigError
from genoformer.genome.codes import N, decode, encode
from genoformer.genome.reference import Genome
from genoformer.tokenizers import BaseTokenizer, KmerTokenizer
from genoformer.training.language import LanguageModelBatches
from genoformer.training.objectives import CausalLM, MaskedLM
from genoformer.training.windows import RandomWindows, Source, iter_unmasked


def numbered(n: int) -> str:
    """Bases in which every stretch of 8 occurs once, so that a window tells where it is from (n up to 4,000)."""
    random, text, known = np.random.default_rng(5), "", set()
    while len(text) < n:
        base = "ACGT"[random.integers(4)]
        word = (text + base)[-8:]
        if len(word) < 8 or word not in known:
            known.add(word)
            text += base
    return text


@pytest.fixture(scope="module")
def genome(tmp_path_factory) -> Genome:
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    path.write_text(f">one\n{numbered(4000)}\n")
    return Genome(path)


def starts_of(genome: Genome, windows: np.ndarray) -> np.ndarray:
    text = decode(genome.window("one", 0, 4000))
    return np.array([text.index(decode(row)) for row in windows])


# --- blacklist


@pytest.mark.parametrize("regions", [None, {"one": np.array([[900, 1300]])}], ids=["anywhere", "regions"])
def test_no_window_touches_the_blacklist(genome, regions) -> None:
    """[1000, 1100) and [1500, 1501): windows of 50 begin nowhere in [951, 1100) and [1451, 1501), but on either side."""
    black = {"one": np.array([[1000, 1100], [1500, 1501]])}
    source = Source(genome, ["one"], black, regions)
    found = starts_of(genome, RandomWindows([source], 50, 4000, 0, both_strands=False).batch(0))
    for first, after in ((951, 1100), (1451, 1501)):
        assert not ((found >= first) & (found < after)).any()
    assert ((found > 600) & (found < 951)).any()
    assert (found >= 1501).any()
    if regions is not None:  # windows that are centred in [900, 1300) begin in [875, 1275)
        assert {950, 1100} <= set(found)


def test_the_known_sequence_is_what_windows_can_show(genome) -> None:
    """Windows of 50 do not fit into [1030, 1070), between two intervals of the blacklist; 40 bases do."""
    black = {"one": np.array([[1000, 1030], [1070, 1100]])}
    text = decode(genome.window("one", 0, 4000))
    source = Source(genome, ["one"], black)
    assert [decode(codes) for codes in iter_unmasked([source], 50)] == [text[:1000], text[1100:]]
    assert [decode(codes) for codes in iter_unmasked([source], 40)] == [text[:1000], text[1030:1070], text[1100:]]


def test_a_genome_that_is_all_blacklist_is_refused(genome) -> None:
    with pytest.raises(ConfigError, match="all N or blacklisted"):
        RandomWindows([Source(genome, ["one"], {"one": np.array([[0, 4000]])})], 50, 4, 0)
    holes = np.array([[i, i + 20] for i in range(0, 4000, 40)])  # leaves 20 bases between two
    with pytest.raises(ConfigError, match="blacklist"):
        RandomWindows([Source(genome, ["one"], {"one": holes})], 50, 4, 0).batch(0)


# --- windows and batches


@settings(deadline=None, max_examples=20)
@given(batch_size=st.integers(1, 40), seed=st.integers(0, 5))
def test_a_window_is_the_same_whatever_the_batch(genome, batch_size, seed) -> None:
    source = Source(genome, ["one"], {"one": np.array([[1000, 1100]])}, {"one": np.array([[900, 1300]])}, 0.5)
    ten = RandomWindows([source], 50, 10, seed)
    expected = np.concatenate([ten.batch(i) for i in range(8)])
    windows = RandomWindows([source], 50, batch_size, seed)
    n = 80 // batch_size
    assert np.array_equal(np.concatenate([windows.batch(i) for i in range(n)]), expected[: n * batch_size])


def test_genomes_are_drawn_from_as_their_weights_say(tmp_path) -> None:
    """10,240 bases of A at weight 1, 5,120 of C at weight 4, 2,560 of G at weight 2: shares 2 : 4 : 1."""
    sources = []
    for base, n, weight in (("A", 40, 1.0), ("C", 20, 4.0), ("G", 10, 2.0)):
        (tmp_path / f"{base}.fa").write_text(f">x\n{base * 256 * n}\n")
        sources.append(Source(Genome(tmp_path / f"{base}.fa"), ["x"], weight=weight))
    n = 7000
    first = RandomWindows(sources, 1, n, 3, both_strands=False).batch(0)[:, 0]
    for code, share in enumerate((2 / 7, 4 / 7, 1 / 7)):
        assert abs((first == code).sum() - n * share) < 4 * np.sqrt(n * share * (1 - share))


# --- soft-masked bases

TEXT = "acGTAcgtTT"


@pytest.mark.parametrize("both_strands", [False, True])
def test_where_the_fasta_has_lower_case(tmp_path, both_strands) -> None:
    (tmp_path / "g.fa").write_text(f">x\n{TEXT}\n")
    windows = RandomWindows([Source(Genome(tmp_path / "g.fa"), ["x"])], 10, 20, 0, both_strands=both_strands)
    codes, lower = windows.drawn(np.arange(20), soft_masked=True)
    assert lower is not None
    pairs = zip(map(decode, codes), lower.tolist(), strict=True)
    seen = {"".join(base.lower() if low else base for base, low in zip(*pair, strict=True)) for pair in pairs}
    assert seen == ({TEXT, "AAacgTACgt"} if both_strands else {TEXT})
    assert windows.drawn(np.arange(20))[1] is None


def weights_of(tmp_path, tokenizer, objective, text=TEXT, soft_masked_weight=0.1):
    """label id -> the weights that it has in a batch of that one window."""
    (tmp_path / "g.fa").write_text(f">x\n{text}\n")
    windows = RandomWindows([Source(Genome(tmp_path / "g.fa"), ["x"])], len(text), 1, 0, both_strands=False)
    batch = LanguageModelBatches(windows, tokenizer, objective, soft_masked_weight)(0)
    asked = batch.labels >= 0
    return list(zip(batch.labels[asked].tolist(), [round(w, 6) for w in batch.weights[asked].tolist()], strict=True))


def test_weights_of_bases_by_eye(tmp_path) -> None:
    """acGTAcgtTT, causal: each base is asked for (A 5, T 6, C 7, G 8), and weighs 0.1 where it is lower case."""
    found = weights_of(tmp_path, BaseTokenizer(), CausalLM(BaseTokenizer()))
    a, t, c, g = 5, 6, 7, 8
    assert found == [(a, 0.1), (c, 0.1), (g, 1), (t, 1), (a, 1), (c, 0.1), (g, 0.1), (t, 0.1), (t, 1), (t, 1)]
    assert {
        weight for _, weight in weights_of(tmp_path, BaseTokenizer(), CausalLM(BaseTokenizer()), soft_masked_weight=1.0)
    } == {1}


def test_weights_of_kmers_by_eye(tmp_path) -> None:
    """2-mers ac cG GT TA Ac cg gt tT TT: two lower-case bases 0.1, one 0.55, none 1; each is masked in some of 500 windows."""
    tokenizer = KmerTokenizer(2)
    kmers = {"AC": {0.1, 0.55}, "CG": {0.55, 0.1}, "GT": {1.0, 0.1}, "TA": {1.0}, "TT": {0.55, 1.0}}
    (tmp_path / "g.fa").write_text(f">x\n{TEXT}\n")
    windows = RandomWindows([Source(Genome(tmp_path / "g.fa"), ["x"])], 10, 500, 0, both_strands=False)
    batch = LanguageModelBatches(windows, tokenizer, MaskedLM(tokenizer), 0.1)(0)
    found: dict[str, set[float]] = {}
    names = list(tokenizer.vocab)
    for label, weight in zip(batch.labels.ravel().tolist(), batch.weights.ravel().tolist(), strict=True):
        if label >= 0:
            found.setdefault(names[label], set()).add(round(weight, 6))
    assert found == kmers


def test_random_token_of_padding_is_no_padding(tmp_path) -> None:
    """All tokens are replaced or masked, one in 90 by the id of padding, and attention still sees every position."""
    (tmp_path / "g.fa").write_text(f">x\n{TEXT}\n")
    windows = RandomWindows([Source(Genome(tmp_path / "g.fa"), ["x"])], 10, 500, 0, both_strands=False)
    tokenizer = BaseTokenizer()
    batch = LanguageModelBatches(windows, tokenizer, MaskedLM(tokenizer, 0.99))(0)
    assert (batch.inputs == tokenizer.pad_id).any()
    assert batch.keep is None


def test_windows_of_n_are_left_out_and_some_n_is_borne(tmp_path) -> None:
    """2 N in 20 bases are borne, 6 are not."""
    texts = {"one": "ACGTACGTAN" * 2, "bad": "ACGTACGNNN" * 2}
    for name, text in texts.items():
        (tmp_path / f"{name}.fa").write_text(f">x\n{text}\n")
    drawn = RandomWindows([Source(Genome(tmp_path / "one.fa"), ["x"])], 20, 4, 0, both_strands=False).batch(0)
    assert np.array_equal(drawn, np.stack([encode(texts["one"])] * 4))
    assert ((drawn >= N).sum(1) == 2).all()
    with pytest.raises(ConfigError, match="all N or blacklisted"):
        RandomWindows([Source(Genome(tmp_path / "bad.fa"), ["x"])], 20, 4, 0).batch(0)
