"""Scores of fine-tuned models against a naive scorer: windows as text, one forward at a time, probabilities by hand."""

from __future__ import annotations

import copy
import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scoring_jobs import scoring
from small_models import small_classifier, small_encoder, small_enformer

from genoformer.errors import CheckpointError, ConfigError
from genoformer.genome.codes import decode, encode, reverse_complement
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Status, Variant
from genoformer.models.heads import SequenceClassifier
from genoformer.scoring.class_scorer import TILES
from genoformer.scoring.scorers import default_scores, make_scorer
from genoformer.scoring.scoring_choices import choose_classes
from genoformer.scoring.settings import ClassOptions
from genoformer.tokenizers import BaseTokenizer, BlockTokenizer, BPETokenizer, KmerTokenizer

BASES = decode(np.random.default_rng(11).integers(0, 4, 700, dtype=np.uint8))
CONTIG_N = "".join("N" if i % 3 == 0 else base for i, base in enumerate(BASES[:100])) + BASES[100:200]  # each N is a token
CONTIGS = {"c1": BASES, "c2": BASES[:70] + "N" * 9 + BASES[100:160]}
WINDOW = 40
TOKENIZERS = {"base": BaseTokenizer(), "3-mers": KmerTokenizer(3), "bpe": BPETokenizer.train([encode(BASES)], n_vocab=40)}
CLASSES = {"classification": ("a", "b", "c"), "multilabel": ("x", "y"), "regression": ("u", "v")}
sensitive = partial(small_classifier, std=0.6)


def another(bases: str, step: int = 1) -> str:
    return "".join("ACGT"["ACGT".index(base) - step] for base in bases)


VARIANTS = [
    Variant("c1", 301, BASES[300], another(BASES[300])),
    Variant("c1", 301, BASES[300], another(BASES[300], 2)),  # in the same window
    Variant("c1", 351, BASES[350:353], another(BASES[350:353])),
    Variant("c1", 401, BASES[400], BASES[400] + "GATTACA"),
    Variant("c1", 451, BASES[450:456], BASES[450]),
    Variant("c1", 501, BASES[500], BASES[500] + BASES[489:501] * 4),  # more bases than a window
    Variant("c1", 3, BASES[2], another(BASES[2])),  # the window begins before the contig
    Variant("c2", 66, CONTIGS["c2"][65], another(CONTIGS["c2"][65])),  # N in the window
]


@pytest.fixture(scope="module")
def genome(tmp_path_factory) -> Genome:
    return genome_of(tmp_path_factory.mktemp("genome"), CONTIGS)


def genome_of(folder, contigs: dict[str, str]) -> Genome:
    path = folder / "g.fa"
    path.write_text("".join(f">{name}\n{text}\n" for name, text in contigs.items()))
    return Genome(path)


def scored(genome: Genome, models, variants, scores="LOGIT,DIFF", *, batch_size=None, **options) -> np.ndarray:
    """Scores of every class, [n, scores, C]; options: of Scoring and of ClassOptions."""
    of_scoring = {name: options.pop(name) for name in ("context", "both_strands") if name in options}
    n = len((models[0] if isinstance(models, list) else models).config.classes)
    chosen = ClassOptions(**{"classes": range(n), **options})
    scorer = make_scorer(genome, scoring(models, scores, classes=chosen, **of_scoring), batch_size=batch_size)
    return np.stack([one.values for one in scorer.score_each(variants)])


def text_at(contig: str, start: int, length: int) -> str:
    return "".join(contig[i] if 0 <= i < len(contig) else "N" for i in range(start, start + length))


def leftmost(variant: Variant) -> tuple[int, str, str]:
    """The start, REF and ALT of a variant without shared bases, an insertion or deletion as far left as it goes."""
    start, ref, alt, contig = variant.start, variant.ref, variant.alt, CONTIGS[variant.chrom]
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while ref and alt and ref[0] == alt[0]:
        start, ref, alt = start + 1, ref[1:], alt[1:]
    while start and not (ref and alt) and (ref or alt)[-1:] == contig[start - 1]:
        base = contig[start - 1]
        start, ref, alt = start - 1, (base + ref)[: len(ref)], (base + alt)[: len(alt)]
    return start, ref, alt


def naive_windows(variant: Variant, shift: int = 0, length: int = WINDOW) -> tuple[str, str]:
    """The window of the reference, and that of the alternative with the middle of ALT where the middle of REF is."""
    start, ref, alt = leftmost(variant)
    contig = CONTIGS[variant.chrom]
    first = start + len(ref) // 2 - length // 2 + shift
    changed = contig[:start] + alt + contig[start + len(ref) :]
    return text_at(contig, first, length), text_at(changed, first + len(alt) // 2 - len(ref) // 2, length)


def naive_logits(model: SequenceClassifier, text: str) -> np.ndarray:
    """Logits of a text, the mean over windows of 40 bases if it is longer."""
    starts = [0] if len(text) <= WINDOW else [*range(0, len(text) - WINDOW, WINDOW), len(text) - WINDOW]
    with torch.no_grad():
        return np.mean([model.logits(encode(text[i : i + WINDOW])[None])[0].double().numpy() for i in starts], axis=0)


def naive_outputs(model: SequenceClassifier, logits: np.ndarray) -> tuple[list[float], list[float]]:
    """Log-odds (NaN for a regression), and probabilities or values."""
    if model.config.task == "regression":
        return [math.nan] * len(logits), [2.5 * x + 1.5 for x in logits]
    if model.config.task == "multilabel":
        p = [1 / (1 + math.exp(-x)) for x in logits]
    else:
        total = sum(math.exp(x) for x in logits)
        p = [math.exp(x) / total for x in logits]
    return [math.log(x / (1 - x)) for x in p], p


def naive(model: SequenceClassifier, variant: Variant, *, both: bool = True, **window) -> np.ndarray:
    """LOGIT and DIFF of every class, [2, C]."""
    strands = []
    for backward in (False, True)[: 1 + both]:
        texts = naive_windows(variant, **window)
        sides = [decode(reverse_complement(encode(text))) if backward else text for text in texts]
        ref, alt = (np.array(naive_outputs(model, naive_logits(model, side))) for side in sides)
        strands.append(alt - ref)
    return np.mean(strands, axis=0)


@pytest.mark.parametrize("task", CLASSES)
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_scores_are_those_of_a_naive_loop(genome, tokenizer, task) -> None:
    model = sensitive(TOKENIZERS[tokenizer], task, CLASSES[task])
    exact = copy.deepcopy(model).double()
    names = "DIFF" if task == "regression" else "LOGIT,DIFF"
    for options, windows in (
        ({}, {}),
        ({"both_strands": False, "shifts": (7,)}, {"both": False, "shift": 7}),
        ({"context": 33, "batch_size": 2}, {"length": 33}),
        ({"context": 100}, {"length": 100}),  # longer than the window of the model: cut, the logits averaged
    ):
        expected = np.stack([naive(exact, variant, **windows) for variant in VARIANTS])
        expected = expected[:, 1:] if names == "DIFF" else expected
        largest = np.abs(expected).max()
        assert largest > 1e-3
        rounding = 3e-6  # of float32, in the difference of two logits of 1 to 4
        assert scored(genome, model, VARIANTS, names, **options) == pytest.approx(expected, abs=3e-4 * largest + rounding)


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_scores_are_those_of_transformers(genome, tmp_path, task) -> None:
    """BertForSequenceClassification on k-mers as text, one sequence at a time; the window is that of --context."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    from genoformer.models import registry

    problem = {"classification": "single_label_classification", "multilabel": "multi_label_classification"}
    names = list(CLASSES[task])
    shape = BertConfig(
        vocab_size=69,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        initializer_range=0.5,
        max_position_embeddings=60,
        id2label=dict(enumerate(names)),
        problem_type=problem.get(task, task),
    )
    torch.manual_seed(3)
    bert = BertForSequenceClassification(shape).eval()
    bert.save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(KmerTokenizer(3).vocab) + "\n")
    words = BertTokenizer(str(tmp_path / "vocab.txt"), do_lower_case=False)

    def outputs(text: str) -> np.ndarray:
        with torch.no_grad():
            kmers = " ".join(text[i : i + 3] for i in range(len(text) - 2))
            x = bert(**words(kmers, return_tensors="pt")).logits[0].double()
        p = x.sigmoid() if task == "multilabel" else x.softmax(-1) if task == "classification" else x
        return np.array([(p / (1 - p)).log().numpy(), p.numpy()])

    variants = [v for v in VARIANTS if v.chrom == "c1" and v.pos > 60]  # k-mers with N are not in a vocabulary of words
    expected = np.array([outputs(alt) - outputs(ref) for ref, alt in map(naive_windows, variants)])
    scores = "DIFF" if task == "regression" else "LOGIT,DIFF"
    expected = expected[:, 1:] if task == "regression" else expected
    assert np.abs(expected).max() > 1e-3
    values = scored(genome, registry.load(tmp_path), variants, scores, both_strands=False, context=WINDOW)
    assert values == pytest.approx(expected, abs=1e-5)


def test_an_ensemble_is_the_mean_of_its_members(genome) -> None:
    models = [sensitive(KmerTokenizer(3), seed=seed) for seed in (1, 2, 3)]
    expected = np.mean([scored(genome, model, VARIANTS) for model in models], axis=0)
    assert scored(genome, models, VARIANTS) == pytest.approx(expected, abs=1e-12)


def test_tiles_are_the_mean_or_the_strongest_of_several_windows(genome) -> None:
    model = sensitive(KmerTokenizer(3))
    shifts = [round(WINDOW * tile) for tile in TILES]
    assert shifts == [-16, -8, 0, 8, 16]
    each = np.stack([scored(genome, model, VARIANTS, shifts=(shift,)) for shift in shifts])
    assert scored(genome, model, VARIANTS, tile="mean") == pytest.approx(each.mean(0), abs=1e-6)
    strongest = [[[max(each[:, v, s, c].tolist(), key=abs) for c in range(3)] for s in range(2)] for v in range(len(VARIANTS))]
    assert scored(genome, model, VARIANTS, tile="max") == pytest.approx(np.array(strongest), abs=1e-6)
    three = [scored(genome, model, VARIANTS, shifts=(shift,)) for shift in (-3, 0, 5)]
    assert scored(genome, model, VARIANTS, tile="max", shifts=(-3, 0, 5)) == pytest.approx(
        np.take_along_axis(np.stack(three), np.abs(three).argmax(0)[None], axis=0)[0], abs=1e-6
    )


@pytest.fixture(scope="module")
def genome_with_n(tmp_path_factory) -> Genome:
    return genome_of(tmp_path_factory.mktemp("n"), {"c1": CONTIG_N, "c2": BASES[:50] + "NNA" + "NN" + BASES[50:100]})


def limited_blocks() -> SequenceClassifier:
    """A model of blocks of 3 with positions for 14 tokens: windows of 39 known bases, or the middle of one with more tokens."""
    return sensitive(BlockTokenizer.new(3).limited_to(14))


def test_tiles_leave_out_windows_that_do_not_reach_the_variant(genome_with_n) -> None:
    model, at = limited_blocks(), 104
    base = BASES[at]
    snv = Variant("c1", at + 1, base, another(base))
    shifts, context = (-16, -8, 0, 8, 16), 39
    tokens = [
        [model.tokenizer.encode(encode(text)[None]).ids.tolist() for text in windows]
        for windows in (
            [text[at - 19 + shift : at + 20 + shift] for text in (CONTIG_N, CONTIG_N[:at] + snv.alt + CONTIG_N[at + 1 :])]
            for shift in shifts
        )
    ]
    read = [ref != alt for ref, alt in tokens]
    assert 2 <= sum(read) < len(shifts)
    each = np.stack(
        [scored(genome_with_n, model, [snv], both_strands=False, context=context, shifts=(shift,))[0] for shift in shifts]
    )
    assert np.isnan(each).all(axis=(1, 2)).tolist() == [not is_read for is_read in read]
    options = {"both_strands": False, "context": context, "shifts": shifts}
    assert scored(genome_with_n, model, [snv], tile="mean", **options)[0] == pytest.approx(each[read].mean(0), abs=1e-6)
    strongest = np.take_along_axis(each[read], np.abs(each[read]).argmax(0)[None], axis=0)[0]
    assert scored(genome_with_n, model, [snv], tile="max", **options)[0] == pytest.approx(strongest, abs=1e-6)
    made = scoring(model, "LOGIT", context=context, both_strands=False, classes=ClassOptions((1,), shifts))
    for scorer in (make_scorer(genome_with_n, made), make_scorer(genome_with_n, made).reference_scorer()):
        batch = scorer.score([snv])
        assert batch.statuses == [Status.OK]
        error = each[read][:, 0, 1].std(ddof=1) / math.sqrt(sum(read))
        assert batch.values[0] == pytest.approx([each[read][:, 0, 1].mean(), error], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("tile", [None, "mean", "max"])
def test_a_variant_that_no_window_reads_has_no_score(genome_with_n, tile) -> None:
    """All 3-mers over the variant have an N."""
    variants = [Variant("c2", 53, "A", "G"), Variant("c2", 53, "A", "A"), Variant("c2", 20, BASES[19], another(BASES[19]))]
    made = scoring(sensitive(KmerTokenizer(3)), "LOGIT,DIFF", classes=ClassOptions(range(3), tile=tile, matrix=True))
    scorer = make_scorer(genome_with_n, made)
    for which in (scorer, scorer.reference_scorer()):
        batch = which.score(variants)
        assert batch.statuses == [Status.NO_SCORE, Status.OK, Status.OK]
        assert np.isnan(batch.values).all(axis=1).tolist() == [True, False, False]
        assert batch.matrix is not None
        of_variant = batch.matrix.rows[:, 0]
        assert np.isnan(batch.matrix.values[of_variant == 0]).all()
        assert np.isfinite(batch.matrix.values[of_variant > 0]).all()
    assert (scored(genome_with_n, sensitive(KmerTokenizer(3)), variants[1:2], tile=tile) == 0).all()


def test_shifts_have_standard_errors_and_the_strongest_window_has_none(genome) -> None:
    model = sensitive(KmerTokenizer(3))
    made = scoring(model, "LOGIT", classes=ClassOptions((1,), (-3, 0, 5)))
    scorer = make_scorer(genome, made)
    assert [column.name for column in scorer.columns] == ["LOGIT", "LOGIT_SE"]
    each = np.stack([scored(genome, model, VARIANTS, "LOGIT", shifts=(shift,))[:, 0, 1] for shift in (-3, 0, 5)])
    values = scorer.score(VARIANTS).values
    assert values[:, 0] == pytest.approx(each.mean(0), abs=1e-6)
    assert values[:, 1] == pytest.approx(each.std(0, ddof=1) / math.sqrt(3), rel=1e-3, abs=1e-7)
    strongest = make_scorer(genome, scoring(model, "LOGIT", classes=ClassOptions((1,), (-3, 0, 5), "max")))
    assert [column.name for column in strongest.columns] == ["LOGIT"]


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("tile", [None, "mean", "max"])
def test_equal_alleles_score_exactly_0(genome, tokenizer, tile) -> None:
    model = sensitive(TOKENIZERS[tokenizer])
    same = [variant._replace(alt=variant.ref) for variant in VARIANTS]
    values = scored(genome, model, [*same, *VARIANTS], tile=tile)
    assert (values[: len(same)] == 0).all()
    assert (values[len(same) :] != 0).any(axis=(1, 2)).all()


DNA = st.text("ACGT", max_size=6)


@settings(max_examples=40)
@given(
    at=st.integers(1, 300),
    length=st.integers(0, 6),
    alt=DNA,
    kind=st.sampled_from(sorted(TOKENIZERS)),
    tile=st.sampled_from([None, "mean", "max"]),
)
def test_swapped_alleles_flip_the_sign_exactly(tmp_path_factory, at, length, alt, kind, tile) -> None:
    model = sensitive(TOKENIZERS[kind], "multilabel", ("x", "y"))
    contig = BASES[:310]
    ref = contig[at : at + length]
    anchor = contig[at - 1]  # VCF needs a base in each allele
    there = Variant("c1", at, anchor + ref, anchor + alt)
    start = there.start
    changed = contig[:start] + there.alt + contig[start + len(there.ref) :]
    back = Variant("c1", there.pos, there.alt, there.ref)
    forth = scored(genome_of(tmp_path_factory.mktemp("a"), {"c1": contig}), model, [there], tile=tile)
    again = scored(genome_of(tmp_path_factory.mktemp("b"), {"c1": changed}), model, [back], tile=tile)
    assert (forth == -again).all()
    assert (forth == 0).all() == (there.ref == there.alt)


def test_windows_are_shared_and_batched(genome, monkeypatch) -> None:
    model = sensitive(KmerTokenizer(3))
    sizes: list[int] = []
    logits = SequenceClassifier.logits
    monkeypatch.setattr(SequenceClassifier, "logits", lambda self, codes: (sizes.append(len(codes)), logits(self, codes))[1])
    three = [Variant("c1", 301, BASES[300], another(BASES[300], step)) for step in (1, 2, 3)]
    scored(genome, model, three, both_strands=False)
    assert sizes == [4]  # one reference, three alternatives
    sizes.clear()
    scored(genome, model, three, batch_size=3)
    assert sizes == [3, 3, 2]


def test_the_score_of_a_variant_depends_on_no_other_variant(genome) -> None:
    for tokenizer in TOKENIZERS.values():
        model = sensitive(tokenizer)
        together = scored(genome, model, VARIANTS[::-1])[::-1]
        alone = np.concatenate([scored(genome, model, [variant]) for variant in VARIANTS])
        assert together == pytest.approx(alone, abs=1e-5)


def test_the_reference_scorer_reads_one_window_at_a_time(genome, monkeypatch) -> None:
    model = sensitive(TOKENIZERS["bpe"])
    scorer = make_scorer(genome, scoring(model, "LOGIT,DIFF"))
    expected = scorer.score(VARIANTS).values
    sizes: list[int] = []
    logits = SequenceClassifier.logits
    monkeypatch.setattr(SequenceClassifier, "logits", lambda self, codes: (sizes.append(len(codes)), logits(self, codes))[1])
    plain = scorer.reference_scorer().score(VARIANTS).values
    assert set(sizes) == {1}
    assert len(sizes) == 4 * len(VARIANTS)  # two alleles on two strands
    assert plain == pytest.approx(expected, abs=1e-5)


# --- columns and refusals


def columns_of(genome, model, classes=None, scores="LOGIT,DIFF") -> list[str]:
    made = scoring(model, scores, classes=ClassOptions(classes))
    return [column.name for column in make_scorer(genome, made).columns]


def test_columns_are_the_strongest_class_and_the_chosen_ones(genome) -> None:
    three, two = sensitive(BaseTokenizer()), sensitive(BaseTokenizer(), classes=("no", "yes"))
    assert columns_of(genome, three, scores="LOGIT") == ["LOGIT", "LOGIT_CLASS"]
    assert columns_of(genome, three, (2, 0), "LOGIT") == ["LOGIT", "LOGIT_CLASS", "LOGIT_c", "LOGIT_a"]
    assert columns_of(genome, three, (2,)) == ["LOGIT", "DIFF"]
    assert columns_of(genome, two) == ["LOGIT", "DIFF"]
    (column, _) = make_scorer(genome, scoring(two, "LOGIT,DIFF")).columns
    assert column.meaning.endswith("The class is yes.")
    values = {
        classes: make_scorer(genome, scoring(two, "LOGIT,DIFF", classes=ClassOptions(classes))).score(VARIANTS).values
        for classes in (None, (0,), (1,))
    }
    assert (values[None] == values[1,]).all()
    assert (values[None][:, 0] == -values[0,][:, 0]).all()  # the log-odds of two classes are opposite


def test_the_strongest_class_is_the_largest_change(genome) -> None:
    model = sensitive(KmerTokenizer(3))
    each = scored(genome, model, VARIANTS)
    table = make_scorer(genome, scoring(model, "LOGIT,DIFF")).score(VARIANTS).values
    for i, of in enumerate(each):
        for s in range(2):
            assert table[i, 2 * s + 1] == np.abs(of[s]).argmax()
            assert table[i, 2 * s] == np.float32(of[s, int(table[i, 2 * s + 1])])


def test_the_matrix_has_every_class_whatever_is_chosen(genome) -> None:
    model = sensitive(KmerTokenizer(3))
    scorer = make_scorer(genome, scoring(model, "LOGIT,DIFF", classes=ClassOptions((1,), matrix=True)))
    matrix = scorer.score(VARIANTS).matrix
    assert scorer.n_matrix == 3
    assert matrix is not None
    assert matrix.values.reshape(len(VARIANTS), 2, 3) == pytest.approx(scored(genome, model, VARIANTS), abs=1e-7)


def test_default_scores_follow_the_task() -> None:
    for task, expected in (("classification", "LOGIT,DIFF"), ("multilabel", "LOGIT,DIFF"), ("regression", "DIFF")):
        model = sensitive(BaseTokenizer(), task, CLASSES[task])
        assert ",".join(score.name for score in default_scores(model)) == expected


REGRESSION = sensitive(BaseTokenizer(), "regression", ("u", "v"))
THREE = sensitive(BaseTokenizer())


@pytest.mark.parametrize(
    ("models", "scores", "message"),
    [
        (
            REGRESSION,
            "LOGIT",
            r"LOGIT needs classes or labels, and this model predicts values \(regression of u, v\); choose DIFF",
        ),
        (REGRESSION, "LLR,PLL", r"LLR, PLL need a language model, and this one was fine-tuned .*; choose DIFF\."),
        (
            THREE,
            "LLR",
            r"LLR needs a language model, and this one was fine-tuned \(classification of a, b, c\); choose LOGIT or DIFF",
        ),
        (THREE, "SAD,DIFF", "SAD needs a track model, and this one was fine-tuned .*; choose LOGIT or DIFF"),
        (small_encoder(BaseTokenizer()), "LOGIT", "LOGIT is of classes, and this is a language model; choose LLR"),
        (small_enformer(heads={"human": 3}), "DIFF", "DIFF needs a fine-tuned model, and this one predicts tracks"),
        ([THREE, REGRESSION], "DIFF", "the models of an ensemble differ: classification of a, b, c, and regression of u, v"),
        ([THREE, small_encoder(BaseTokenizer())], "LOGIT", "found models of several kinds in an ensemble, expected only"),
        (
            [THREE, sensitive(BaseTokenizer(), window=30)],
            "LOGIT",
            "the models of an ensemble have windows of 40 and 30 bases; give one as the context",
        ),
    ],
)
def test_other_scores_and_mixed_ensembles_are_refused(genome, models, scores, message) -> None:
    with pytest.raises(ConfigError, match=message):
        make_scorer(genome, scoring(models, scores))


def test_settings_that_the_model_does_not_have_are_refused(genome) -> None:
    for options, message in (
        (ClassOptions((3,)), "class 3: the model has a, b, c, numbered from 0"),
        (ClassOptions(shifts=(0, 20)), "a shift of 20 bases: give 19 at most, so that the window holds the variant"),
    ):
        with pytest.raises(ConfigError, match=message):
            make_scorer(genome, scoring(THREE, "LOGIT", classes=options))
    with pytest.raises(ConfigError, match="a window of 2 bases does not suit this model; choose at least 3"):
        make_scorer(genome, scoring(sensitive(KmerTokenizer(3)), "LOGIT", context=2))
    with pytest.raises(ConfigError, match=r"windows of 4,000 bases, and the model is made for 40"):
        make_scorer(genome, scoring(THREE, "LOGIT", context=4000))
    with pytest.raises(ConfigError, match="found options of tracks with a fine-tuned model, expected a track model"):
        make_scorer(genome, scoring(THREE, "LOGIT", head="human"))
    with pytest.raises(ConfigError, match="found options of classes, but the model has no classes"):
        make_scorer(genome, scoring(small_encoder(BaseTokenizer()), "LLR", classes=ClassOptions()))


def test_an_unknown_class_is_refused_with_the_classes_of_the_model() -> None:
    names = ("promoter", "enhancer", "CTCF, bound")
    assert choose_classes(names, "enhancer,promoter") == [1, 0]
    assert choose_classes(names, "*er") == [0, 1]
    assert choose_classes(names, "CTCF, bound") == [2]
    assert choose_classes(names, ["enhancer", "enhancer"]) == [1]
    assert choose_classes(("1", "0"), "0,1") == [1, 0]
    with pytest.raises(ConfigError, match=r"option classes has 'silencer', .*name some of promoter, enhancer, CTCF, bound"):
        choose_classes(names, "promoter,silencer")


def test_damaged_weights_are_refused(genome) -> None:
    model = sensitive(BaseTokenizer())
    torch.nn.init.constant_(model.out.bias, math.nan)
    with pytest.raises(CheckpointError, match="are its weights damaged"):
        make_scorer(genome, scoring(model, "DIFF")).score(VARIANTS)
