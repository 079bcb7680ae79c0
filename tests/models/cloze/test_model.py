"""The cloze model against loops in float64: what a state depends on, both strands, padding, and all that takes an encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from naive_families import attention, double, gelu, layer_norm, linear, turned
from small_models import shaken
from torch import Tensor

from genoformer import inference
from genoformer.errors import ConfigError, OptionError
from genoformer.genome.codes import encode, reverse_complement
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.inference.base_probabilities import posteriors, posteriors_together, predict_bases
from genoformer.inference.base_readers import open_reader
from genoformer.models import registry
from genoformer.models.base import Attends, PredictsBases, SequenceLikelihood, has
from genoformer.models.cloze.config import ClozeConfig
from genoformer.models.cloze.model import Cloze
from genoformer.models.families import family_of
from genoformer.models.heads import ClassifierConfig, SequenceClassifier
from genoformer.models.onehot import OneHotModel
from genoformer.scoring.scores import SCORES
from genoformer.scoring.sequence_scorer import SequenceScorer
from genoformer.scoring.settings import Scoring
from genoformer.tokenizers import BaseTokenizer

SMALL: dict[str, Any] = {"width": 12, "n_layers": 2, "n_heads": 2, "ffn_width": 10, "join_width": 14, "context_length": 32}
COMPLEMENT = [0, 1, 3, 2, 4, 6, 5, 8, 7]  # of the tokens: the ends change places, A and T, C and G


def small_cloze(seed: int = 0, **fields: Any) -> Cloze:
    """A cloze model in eval mode with its tokenizer; no weight is 0 or 1 as it is before training."""
    torch.manual_seed(seed)
    model = Cloze(ClozeConfig(**{**SMALL, **fields}))
    model.tokenizer = BaseTokenizer()
    model = shaken(model, lambda: None)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape)
    return model


def random_ids(n: int, length: int, seed: int = 0) -> Tensor:
    """Token ids [n, length + 2] of random bases and N."""
    codes = np.random.default_rng(seed).integers(0, 5, (n, length)).astype(np.uint8)
    return torch.from_numpy(BaseTokenizer().encode(codes).ids)


# --- the same in loops


def tower(rows: list[Tensor], tensors: dict[str, Tensor], n_layers: int, n_heads: int) -> list[Tensor]:
    """The states of a reading; a token sees itself and those before it."""
    for i in range(n_layers):
        name = f"layers.{i}"
        qkv = [linear(layer_norm(x, tensors, f"{name}.norm_attention", 1e-5), tensors, f"{name}.attention.qkv") for x in rows]
        q, k, v = ([x.chunk(3)[part] for x in qkv] for part in range(3))
        q, k = ([turned(x, t, n_heads) for t, x in enumerate(part)] for part in (q, k))
        mixed = attention(q, k, v, n_heads, lambda _, query, key: 0.0 if key <= query else -torch.inf)
        rows = [x + linear(y, tensors, f"{name}.attention.out") for x, y in zip(rows, mixed, strict=True)]
        feed = [gelu(linear(layer_norm(x, tensors, f"{name}.norm_feed", 1e-5), tensors, f"{name}.up")) for x in rows]
        rows = [x + linear(y, tensors, f"{name}.down") for x, y in zip(rows, feed, strict=True)]
    return rows


def naive_logits(model: Cloze, ids: list[int]) -> Tensor:
    """The logits of one sequence without padding, [T, V], in float64."""
    config, tensors = model.config, double(dict(model.state_dict()))
    table, nothing = tensors["tokens.weight"], torch.zeros(config.width, dtype=torch.float64)
    forward = tower([table[i] for i in ids], tensors, config.n_layers, config.n_heads)
    backward = tower([table[COMPLEMENT[i]] for i in reversed(ids)], tensors, config.n_layers, config.n_heads)
    forward, backward = ([layer_norm(x, tensors, "norm", 1e-5) for x in rows] for rows in (forward, backward))
    logits = []
    for t in range(len(ids)):
        before = forward[t - 1] if t else nothing
        behind = backward[len(ids) - t - 2] if t < len(ids) - 1 else nothing
        found = []
        for pair in ((before, behind), (behind, before)):
            joined = gelu(linear(gelu(linear(torch.cat(pair), tensors, "join")), tensors, "narrow"))
            found.append(linear(layer_norm(joined, tensors, "norm_joined", 1e-5), tensors, "decoder"))
        logits.append(found[0] + found[1][COMPLEMENT])
    return torch.stack(logits)


@pytest.mark.parametrize("length", [1, 2, 13])
def test_logits_are_those_of_loops(length: int) -> None:
    model, ids = small_cloze(), random_ids(1, length)
    with torch.no_grad():
        found, expected = model(ids)[0], naive_logits(model, ids[0].tolist())
    torch.testing.assert_close(found.double(), expected, atol=2e-5, rtol=2e-5)


# --- what a state depends on


def test_a_state_depends_on_all_tokens_but_its_own() -> None:
    model, ids = small_cloze(), random_ids(1, 9)
    with torch.no_grad():
        states = model.embed(ids)[0]
        for at in range(1, 10):
            changed = ids.clone()
            changed[0, at] = 5 if ids[0, at] != 5 else 8
            difference = (model.embed(changed)[0] - states).abs().amax(1)
            assert difference[at] == 0
            assert (difference[torch.arange(11) != at] > 1e-6).all()


def test_masking_a_base_changes_no_probability_of_it() -> None:
    model, codes = small_cloze(), encode("ACGTTGCAGGATACCA")[None]
    at = np.array([6])
    with torch.no_grad():
        masked = model.base_log2_probs(codes, at, at + 1)[0]
        whole = model(torch.from_numpy(BaseTokenizer().encode(codes).ids))[0, 7, [5, 7, 8, 6]]
    torch.testing.assert_close(masked, whole.log_softmax(-1) / np.log(2))


def test_the_reverse_complement_has_the_same_probabilities() -> None:
    model, codes = small_cloze(), encode("ACGTTGCANGATACCA")[None]
    forward, backward = (torch.from_numpy(BaseTokenizer().encode(of).ids) for of in (codes, reverse_complement(codes)))
    with torch.no_grad():
        torch.testing.assert_close(model(backward).flip(1)[..., COMPLEMENT], model(forward), atol=1e-5, rtol=1e-5)


def test_padding_changes_no_state() -> None:
    model, ids = small_cloze(), random_ids(3, 19)
    padded = torch.nn.functional.pad(ids, (0, 6), value=1)  # a token that would be seen
    padded[1, 15:] = 1
    n = torch.tensor([21, 15, 21])
    keep = torch.arange(padded.shape[1]) < n[:, None]
    with torch.no_grad():
        for layer in (None, 1):
            found = model.embed(padded, keep, layer=layer)
            for i, length in enumerate(n.tolist()):
                alone = model.embed(padded[i : i + 1, :length], layer=layer)[0]
                torch.testing.assert_close(found[i, :length], alone, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("n_bases", [19, 60])  # many of the tokens, or so few that the last layer is computed for them alone
def test_states_of_some_positions_are_those_of_all(n_bases: int) -> None:
    model, ids = small_cloze(), random_ids(2, n_bases)
    rows = torch.tensor([[0, n_bases + 1, 7], [3, 4, 5]])
    for layer in (None, 0, 1, 2):
        with torch.no_grad():
            everything, some = model.embed(ids, layer=layer), model.embed(ids, rows=rows, layer=layer)
        torch.testing.assert_close(some, everything.gather(1, rows[..., None].expand(-1, -1, 12)), atol=1e-5, rtol=1e-5)
    with pytest.raises(ConfigError, match=r"layer 3: this model has layers 0 \(the embeddings\) to 2"):
        model.embed(ids, layer=3)


def test_no_reading_goes_on_behind_the_requested_tokens() -> None:
    """Tokens 20 to 22 of 41 need the 22 before the last of them and the 20 behind the first; a multiple of 8 is read."""
    model, lengths = small_cloze(), []
    model.layers[0].register_forward_hook(lambda layer, inputs, output: lengths.append(inputs[0].shape[1]))
    with torch.no_grad():
        model.embed(random_ids(1, 39), rows=torch.tensor([[20, 21, 22]]))
    assert lengths == [24]


# --- all that takes an encoder


def classifier(encoder: Cloze) -> SequenceClassifier:
    torch.manual_seed(1)
    head = ClassifierConfig(encoder.config, "classification", ("no", "yes"), window=40, family="cloze")
    model = SequenceClassifier(head).eval()
    model.encoder.load_state_dict(encoder.state_dict())
    model.tokenizer = encoder.tokenizer
    return model


def test_capabilities() -> None:
    model = small_cloze()
    assert family_of(model) == "cloze"
    assert has(model, PredictsBases, Attends)
    assert not has(model, SequenceLikelihood)
    assert model.longest_window is None


def test_folder_round_trip(tmp_path: Path) -> None:
    model, ids = small_cloze(), random_ids(2, 12)
    registry.save(model, tmp_path / "m")
    again = registry.load(tmp_path / "m")
    assert isinstance(again, Cloze)
    with torch.no_grad():
        assert torch.equal(again(ids), model(ids))


def test_one_hot_dna_has_the_logits_of_its_tokens() -> None:
    model = classifier(small_cloze())
    codes = encode("ACGTTGCANGATACCA")[None]
    onehot = torch.zeros(1, 4, 16)
    for i, code in enumerate(codes[0]):
        if code < 4:
            onehot[0, code, i] = 1
    onehot.requires_grad_()
    found = OneHotModel(model)(onehot)
    torch.testing.assert_close(found, model.logits(codes), atol=1e-5, rtol=1e-5)
    found.sum().backward()
    assert onehot.grad is not None
    assert onehot.grad.abs().amax(1).min() > 0


def test_padding_of_one_sequence_changes_no_logit_of_a_classifier() -> None:
    model = classifier(small_cloze())
    sequences = [encode("ACGTTGCAGGATACCA"), encode("ACGTTGCAGGATACCAGATTACACCAGT"), encode("ACG")]
    together = inference.predictions(model, sequences, batch_size=3).values
    alone = np.concatenate([inference.predictions(model, [codes]).values for codes in sequences])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_half_of_the_heads_look_back_and_half_ahead() -> None:
    model, codes = small_cloze(), encode("ACGTTGCAGGATACCA")[None]
    at = torch.arange(18)
    with torch.no_grad():
        for layer in model.attention(codes):
            whole = layer(0, 18)
            assert whole.shape == (1, 4, 18, 18)
            torch.testing.assert_close(whole.sum(-1), torch.ones(1, 4, 18))
            assert (whole[:, :2] > 0).equal((at[:, None] >= at).expand(1, 2, -1, -1))
            assert (whole[:, 2:] > 0).equal((at[:, None] <= at).expand(1, 2, -1, -1))
            torch.testing.assert_close(layer(5, 7), whole[:, :, 5:12])


def test_wrong_shapes() -> None:
    for fields, message in ({"width": 13, "n_heads": 1}, "even"), ({"n_heads": 5}, "multiple"), ({"dropout": 1.0}, "dropout"):
        with pytest.raises(ConfigError, match=message):
            ClozeConfig(**{**SMALL, **fields})


def test_one_pass_gives_the_probabilities_of_all_bases() -> None:
    """A stride of 1: no base is masked, and each has the probabilities that it has alone in the same window."""
    model = small_cloze()
    codes = np.random.default_rng(5).integers(0, 4, (3, 32)).astype(np.uint8)
    targets = np.tile(np.arange(8, 24), (3, 1))
    together = posteriors_together(model, codes, targets)
    for i in range(16):
        np.testing.assert_allclose(together[:, i], posteriors(model, codes, targets[:, i]), atol=1e-5)
    reader = open_reader(model, 32, 1, both_strands=False)
    assert (reader.grid.step, reader.n_passes(np.ones((5, 16), bool))) == (16, 5)
    with pytest.raises(OptionError, match="stride is 0, expected 1 to 16 bases"):
        open_reader(model, 32, 0, both_strands=False)


@pytest.mark.parametrize("name", ["LLR", "PLL"])
def test_scores_of_both_strands_come_from_one_reading(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SNVs and indels, as if each strand were read; alleles of several bases are read in the order of each strand."""
    path = tmp_path / "g.fa"
    bases = "".join(np.random.default_rng(3).choice(list("ACGT"), 200))
    path.write_text(f">c\n{bases}\n")
    ref = bases[100:102]
    other = {"A": "C", "C": "G", "G": "T", "T": "A"}
    variants = [
        Variant("c", 101, ref[0], other[ref[0]]),
        Variant("c", 101, ref[0], ref[0] + "GA"),
        Variant("c", 101, ref, ref[0]),
    ]
    pair = Variant("c", 101, ref, other[ref[0]] + other[ref[1]])
    model, found, read = small_cloze(), [], []
    embed = Cloze.embed
    monkeypatch.setattr(
        Cloze, "embed", lambda self, ids, *rest, **more: read.append(len(ids)) or embed(self, ids, *rest, **more)
    )
    for agree in (True, False):
        monkeypatch.setattr(Cloze, "strands_agree", agree)
        scorer = SequenceScorer(Genome(path), Scoring((model,), (SCORES[name],)))
        found.append((scorer.score(variants).values, sum(read), scorer.score([pair]).values))
        read.clear()
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-5)
    assert found[1][1] == 2 * found[0][1]
    np.testing.assert_allclose(found[0][2], found[1][2], atol=1e-5)


def test_tracks_of_both_strands_come_from_one_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    model, found = small_cloze(), []
    codes, wanted = np.random.default_rng(5).integers(0, 4, (3, 32)).astype(np.uint8), np.ones((3, 16), bool)
    sequence = np.random.default_rng(6).integers(0, 4, 70).astype(np.uint8)
    for agree in (True, False):
        monkeypatch.setattr(Cloze, "strands_agree", agree)
        found.append(
            (open_reader(model, 32, 1, both_strands=True).read(codes, wanted, None), predict_bases(model, sequence, 5, 9))
        )
    assert len(found[0][0]) == 2
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-5)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-5)
