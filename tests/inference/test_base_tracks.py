"""Tracks of language models: equal to `score` base by base, to naive loops with several masks, and to formulas by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scoring_jobs import scorer_of
from small_models import small_encoder, small_enformer

import genoformer as gf
from genoformer.errors import CheckpointError, ConfigError, OptionError
from genoformer.genome.codes import encode, reverse_complement
from genoformer.genome.variants import Variant
from genoformer.inference.base_tracks import BASE_TRACKS, base_tracks_named, track_values
from genoformer.models.transformer.model import Encoder
from genoformer.tokenizers import BaseTokenizer, BlockTokenizer, BPETokenizer, KmerTokenizer

WINDOW = 24
NAMES = list(BASE_TRACKS)


def made(tokenizer: Any, **fields: Any) -> Encoder:
    """A model whose posteriors differ visibly between bases."""
    return small_encoder(tokenizer, context_length=WINDOW, max_tokens=64, init_std=0.5, **fields)


@pytest.fixture
def contigs() -> dict[str, str]:
    """A contig with an N run and a single N, and one shorter than a window."""
    random = np.random.default_rng(3)
    text = {name: "".join(random.choice(list("ACGT"), n)) for name, n in (("chr1", 90), ("chr2", 13))}
    text["chr1"] = text["chr1"][:30] + "N" * 14 + text["chr1"][44:60] + "N" + text["chr1"][61:]
    return text


@pytest.fixture
def fasta(make_fasta, contigs) -> Path:
    return make_fasta(**contigs)


def test_the_tracks_of_probabilities_worked_out_by_hand() -> None:
    log2_p = np.log2([[1 / 2, 1 / 4, 1 / 8, 1 / 8], [1 / 4, 1 / 4, 1 / 4, 1 / 4]]).astype(np.float32)
    bases = np.array([2, 3], dtype=np.uint8)
    # entropy 1/2 + 2/4 + 3/8 + 3/8; of G: P 1/8, changes to A, C, T have 4, 2 and 1 times its P
    expected = {"entropy": [1.75, 2], "information": [0.25, 0], "logprob": [-3, -2], "constraint": [(2 + 1 + 0) / 3, 0]}
    values = track_values(base_tracks_named(NAMES), [log2_p], bases)
    np.testing.assert_allclose(values.T, [expected[name] for name in NAMES], atol=1e-6)
    both = track_values(base_tracks_named(["entropy"]), [log2_p, log2_p[::-1]], bases)  # the mean over strands
    np.testing.assert_allclose(both[:, 0], [1.875, 1.875])


@pytest.mark.parametrize("both_strands", [True, False])
@pytest.mark.parametrize(
    "tokenizer",
    [BaseTokenizer(), KmerTokenizer(3), KmerTokenizer(4, stride=2), BlockTokenizer.new(1), BlockTokenizer.new(3)],
    ids=["base", "3-mers", "4-mers of stride 2", "blocks of 1", "blocks of 3"],
)
def test_each_base_has_the_numbers_of_score(fasta, contigs, tokenizer, both_strands) -> None:
    model = made(tokenizer)
    strand = "both" if both_strands else "forward"
    table = gf.predict(fasta, None, model, track=["entropy", "information", "constraint"], strand=strand)
    assert len(table) == sum(map(len, contigs.values()))
    known = table[[contigs[row.chrom][row.start] != "N" for row in table.itertuples()]]
    assert table.drop(known.index)[["entropy", "constraint"]].isna().all(axis=None)
    assert (known.end == known.start + 1).all()
    refs = [contigs[row.chrom][row.start] for row in known.itertuples()]
    variants = [
        Variant(row.chrom, row.end, ref, alt)
        for row, ref in zip(known.itertuples(), refs, strict=True)
        for alt in "ACGT"
        if alt != ref
    ]
    with gf.Genome(fasta) as genome:
        scores = scorer_of(model, genome, "LLR,ENTROPY", both_strands=both_strands).score(variants).values.reshape(-1, 3, 2)
    np.testing.assert_allclose(known.constraint, scores[:, :, 0].mean(axis=1), atol=2e-5)
    np.testing.assert_allclose(known.entropy, scores[:, 0, 1], atol=2e-5)
    np.testing.assert_allclose(known.information, 2 - scores[:, 0, 1], atol=2e-5)
    assert table.entropy.std() > 0.05


@pytest.mark.parametrize("both_strands", [True, False])
@pytest.mark.parametrize(
    "tokenizer", [KmerTokenizer(4, stride=2), BlockTokenizer.new(3)], ids=["4-mers of stride 2", "blocks of 3"]
)
def test_all_phases_give_the_numbers_of_score_with_all_phases(fasta, contigs, tokenizer, both_strands) -> None:
    model = made(tokenizer)
    options: dict[str, Any] = {"track": ["entropy", "logprob", "constraint"], "strand": "both" if both_strands else "forward"}
    table = gf.predict(fasta, "chr1:1-90", model, phases="all", **options)
    known = table[table.entropy.notna()]
    variants = [
        Variant(row.chrom, row.end, contigs["chr1"][row.start], alt)
        for row in known.itertuples()
        for alt in "ACGT"
        if alt != contigs["chr1"][row.start]
    ]
    with gf.Genome(fasta) as genome:
        scorer = scorer_of(model, genome, "LLR,ENTROPY", both_strands=both_strands, phases="all")
        scores = scorer.score(variants).values.reshape(-1, 3, 2)
    np.testing.assert_allclose(known.constraint, scores[:, :, 0].mean(axis=1), atol=2e-5)
    np.testing.assert_allclose(known.entropy, scores[:, 0, 1], atol=2e-5)
    one = gf.predict(fasta, "chr1:1-90", model, **options)
    assert (table.entropy - one.entropy).abs().max() > 1e-3
    far_from_n = [*range(1, 12), *range(74, 89)]
    assert table.entropy[far_from_n].notna().all()


def test_phases_of_single_bases_are_one(fasta) -> None:
    model = made(BaseTokenizer())
    tables = [gf.predict(fasta, "chr1:1-20", model, track="entropy", phases=phases) for phases in ("one", "all")]
    np.testing.assert_array_equal(tables[0].entropy, tables[1].entropy)


@pytest.mark.parametrize("stride", [None, 6])
def test_several_models_give_the_mean_of_their_tracks(fasta, stride) -> None:
    models = [made(BaseTokenizer()), made(KmerTokenizer(3), seed=1), made(BaseTokenizer(), seed=2)]
    options: dict[str, Any] = {"track": ["entropy", "constraint"], "stride": stride}
    table = gf.predict(fasta, "chr1:1-90", models, **options)
    each = [gf.predict(fasta, "chr1:1-90", model, **options) for model in models]
    for name in ("entropy", "constraint"):
        np.testing.assert_allclose(table[name], np.mean([of[name] for of in each], axis=0), atol=1e-5)


def test_logprob_is_that_of_the_base_masked_in_the_middle(fasta, contigs) -> None:
    model = made(BaseTokenizer())
    table = gf.predict(fasta, "chr1:1-25", model, track="logprob", strand="forward")
    text = "N" * WINDOW + contigs["chr1"] + "N" * WINDOW
    for at, value in enumerate(table.logprob):
        window = encode(text[at + WINDOW - WINDOW // 2 :][:WINDOW])
        ids = model.tokenizer.encode(window[None]).ids
        ids[0, 1 + WINDOW // 2] = model.tokenizer.mask_id
        logits = model(torch.from_numpy(ids))[0, 1 + WINDOW // 2]
        candidates = [model.tokenizer.vocab[base] for base in "ACGT"]
        log_p = logits[candidates].log_softmax(0)[window[WINDOW // 2]] / np.log(2)
        assert value == pytest.approx(float(log_p.detach()), abs=1e-5)


def naive_with_stride(model: Encoder, contig: str, base: int, stride: int) -> float | None:
    """log2 P of a base: its cell has as many bases as `stride` fits into half a window, and each stride-th is masked."""
    if contig[base] == "N":
        return None
    step = WINDOW // 2 // stride * stride
    cell = base // step * step
    start = cell - (WINDOW - step + 1) // 2
    text = "".join(contig[i] if 0 <= i < len(contig) else "N" for i in range(start, start + WINDOW))
    masked = [i - start for i in range(cell + (base - cell) % stride, cell + step, stride) if text[i - start] != "N"]
    forward = naive_posterior(model, encode(text), masked, base - start)
    backward = naive_posterior(
        model, reverse_complement(encode(text)), [WINDOW - 1 - i for i in masked], WINDOW - 1 - base + start
    )
    return float(np.mean([forward, backward]))


def naive_posterior(model: Encoder, codes: np.ndarray, masked: list[int], target: int) -> float:
    """log2 P of the base at `target`, from every k-mer over it whose other bases are known; NaN if there is none."""
    tokenizer, encoding = model.tokenizer, model.tokenizer.encode(codes[None])
    ids, spans = encoding.ids[0].copy(), encoding.spans[0]
    for i in masked:
        ids[(spans[:, 0] <= i) & (spans[:, 1] > i)] = tokenizer.mask_id
    logits = model(torch.from_numpy(ids)[None])[0].detach().numpy().astype(float)
    terms = []
    for token, (first, end) in enumerate(spans):
        kmer = codes[first:end].copy()
        if first <= target < end and (kmer < 4).all():
            numbers = []
            for letter in range(4):
                kmer[target - first] = letter
                numbers.append(tokenizer.vocab[gf.genome.codes.decode(kmer)])
            terms.append(logits[token, numbers] - np.log(np.exp(logits[token, numbers]).sum()))
    if not terms:
        return np.nan
    log_p = np.mean(terms, axis=0)
    return float((log_p - np.log(np.exp(log_p).sum()))[codes[target]] / np.log(2))


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("stride", [6, 8])
def test_a_stride_masks_bases_of_one_window_together(fasta, contigs, k, stride) -> None:
    model = made(KmerTokenizer(k))
    table = gf.predict(fasta, None, model, track="logprob", stride=stride)
    expected = [naive_with_stride(model, contigs[row.chrom], row.start, stride) for row in table.itertuples()]
    np.testing.assert_allclose(table.logprob, np.array(expected, dtype=float), atol=2e-5)
    alone = gf.predict(fasta, None, model, track="logprob")
    assert (table.logprob - alone.logprob).abs().max() > 1e-3


@pytest.mark.parametrize("k", [1, 3])
def test_a_stride_of_half_a_window_masks_one_block_in_a_pass(fasta, contigs, k) -> None:
    model, half = made(BlockTokenizer.new(k)), WINDOW // 2
    found = gf.predict(fasta, "chr2", model, track="entropy", stride=half, strand="forward").entropy
    codes = encode("N" * half + contigs["chr2"] + "N" * WINDOW)
    for base in range(13):
        cell = base // half * half
        target = np.array([base - cell + half // 2])
        windows = codes[None, half + cell - half // 2 :][:, :WINDOW]
        p = np.exp2(model.base_log2_probs(windows, target, target + 1).detach().numpy())
        assert found[base] == pytest.approx(-(p * np.log2(p)).sum(), abs=1e-5)


@pytest.mark.parametrize("stride", [None, 4])
def test_a_value_does_not_depend_on_the_other_regions_parts_and_batches(tmp_path: Path, fasta, stride) -> None:
    (tmp_path / "a.bed").write_text("chr1\t3\t5\nchr1\t7\t8\nchr1\t50\t89\nchr2\t12\t13\n")
    model = made(BaseTokenizer())
    options = {"track": "constraint", "stride": stride}
    whole = gf.predict(fasta, None, model, **options)
    by_base = {(row.chrom, row.start): row.constraint for row in whole.itertuples()}
    for more in ({}, {"part_size": 1}, {"part_size": 30, "batch_size": 2}):
        some = gf.predict(fasta, None, model, bed=tmp_path / "a.bed", **options, **more)
        assert some.start.to_list() == [3, 4, 7, *range(50, 89), 12]
        for row in some.itertuples():
            assert row.constraint == pytest.approx(by_base[row.chrom, row.start], abs=1e-5, nan_ok=True)


def test_wrong_options_are_refused_in_one_sentence(tmp_path: Path, fasta) -> None:
    model = made(BaseTokenizer())

    def refused(error: type[Exception], match: str, *, of: Any = model, **options: Any) -> None:
        with pytest.raises(error, match=match):
            gf.predict(fasta, options.pop("region", "chr1:1-5"), of, **{"track": "entropy"} | options)

    refused(OptionError, "option track names 'entropie', expected entropy, information, logprob, constraint", track="entropie")
    refused(OptionError, "option track names no tracks", track=" , ")
    refused(OptionError, "option stride is 13, expected 2 to 12 bases, half of the window", stride=13)
    refused(OptionError, "option stride is 5, expected 6 to 12 bases", of=made(KmerTokenizer(3)), stride=5)
    refused(OptionError, "option phases is 'some', expected one or all", phases="some")
    refused(
        OptionError,
        "option phases is all, which reads one base in a pass",
        of=made(BlockTokenizer.new(3)),
        phases="all",
        stride=6,
    )
    refused(
        OptionError, "option phases needs a language model, found a track model", of=small_enformer(), track=(), phases="all"
    )
    several = [model, small_encoder(BaseTokenizer(), context_length=32)]
    refused(OptionError, "option context is missing, and the models read windows of 24 and 32 bases", of=several)
    refused(OptionError, "option model is several only for tracks of language models", of=several, track=())
    blocks = [made(BlockTokenizer.new(2)), made(BlockTokenizer.new(3))]
    refused(OptionError, "option model has models whose tokens have different numbers", of=blocks, phases="all")
    causal = [model, made(BaseTokenizer(), causal=True)]
    refused(OptionError, "option model has masked and causal models", of=causal)
    refused(OptionError, "option model is empty", of=[])
    refused(OptionError, "option tracks is not for tracks of a language model", tracks="0")
    refused(OptionError, "option step is not for tracks of a language model", step=5)
    refused(ConfigError, "a window of 1 bases does not suit this model; choose at least 2", context=1)
    refused(ConfigError, "windows of 400 bases, and the model is made for 24", context=400)
    refused(CheckpointError, "reads BPE tokens, which have no fixed number of bases; give a language", of=made(trained_bpe()))
    refused(CheckpointError, "; give a language model", of=small_enformer())
    refused(CheckpointError, r"which predicts bases; name a track \(entropy, information", track=())
    refused(OptionError, "option stride needs a language model, found a track model", of=small_enformer(), track=(), stride=4)
    broken = made(BaseTokenizer())
    torch.nn.init.constant_(broken.decoder.bias, torch.nan)
    refused(
        CheckpointError, "predicts NaN or infinite values at chr1:13; are its weights damaged", of=broken, region="chr1:13-14"
    )


def trained_bpe() -> BPETokenizer:
    return BPETokenizer.train([np.random.default_rng(0).integers(0, 4, 500, dtype=np.uint8)], 64)
