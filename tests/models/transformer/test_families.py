"""Published families with random weights: logits as transformers or a formula in float64 gives them, folders both ways."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from genoformer.errors import CheckpointError
from genoformer.models import registry
from genoformer.models.base import Classifies, PredictsBases, SequenceLikelihood
from genoformer.tokenizers import BlockTokenizer, BPETokenizer, KmerTokenizer, save_tokenizer

transformers = pytest.importorskip("transformers", reason="transformers is the reference (extra: dev)")

BPE = BPETokenizer.train(np.random.default_rng(0).integers(0, 4, (40, 120), dtype=np.uint8), 64)
BLOCKS = BlockTokenizer.new(3)
SIZES = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 48}


def perturbed(model: torch.nn.Module, seed: int = 0) -> Any:
    """Give norms and biases values other than 1 and 0, so that a wrong one shows, and larger weights."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            scale = 0.1 if parameter.dim() == 1 else 0.08
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def bert(**fields: Any) -> Any:
    return transformers.BertForMaskedLM(transformers.BertConfig(vocab_size=64, max_position_embeddings=80, **SIZES, **fields))


def esm(**fields: Any) -> Any:
    values = {"pad_token_id": BLOCKS.pad_id, "mask_token_id": BLOCKS.mask_id, "max_position_embeddings": 82}
    return transformers.EsmForMaskedLM(transformers.EsmConfig(vocab_size=BLOCKS.n_vocab, **values, **SIZES, **fields))


def modernbert(**fields: Any) -> Any:
    values = {
        "local_attention": 8,
        "global_attn_every_n_layers": 3,
        "reference_compile": False,
        "pad_token_id": 0,
        "vocab_size": 64,
    }
    config = transformers.ModernBertConfig(attn_implementation="eager", **{**values, **SIZES, **fields})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the module compiles a function when it is imported
        return transformers.ModernBertForMaskedLM(config)


def llama(**fields: Any) -> Any:
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(vocab_size=64, num_key_value_heads=2, pad_token_id=0, **SIZES, **fields)
    )


def qwen3(**fields: Any) -> Any:
    return transformers.Qwen3ForCausalLM(
        transformers.Qwen3Config(vocab_size=64, num_key_value_heads=2, head_dim=16, pad_token_id=0, **SIZES, **fields)
    )


CASES: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "bert": (bert, {}),
    "bert-untied": (bert, {"tie_word_embeddings": False}),
    "esm-learned": (esm, {"position_embedding_type": "absolute", "token_dropout": True, "emb_layer_norm_before": True}),
    "esm-untied": (
        esm,
        {"position_embedding_type": "absolute", "token_dropout": True, "tie_word_embeddings": False},
    ),
    "esm-rotary": (esm, {"position_embedding_type": "rotary", "token_dropout": False}),
    "modernbert": (modernbert, {}),
    "modernbert-biases": (modernbert, {"attention_bias": True, "mlp_bias": True, "norm_bias": True, "classifier_bias": True}),
    "llama": (llama, {}),
    "llama-tied": (llama, {"tie_word_embeddings": True, "attention_bias": True}),
    "qwen3": (qwen3, {}),
}


def write_folder(model: Any, folder: Path) -> None:
    model.save_pretrained(folder)
    if model.config.vocab_size == BLOCKS.n_vocab:
        (folder / "vocab.txt").write_text("\n".join(BLOCKS.tokens) + "\n")
    else:
        (folder / "tokenizer.json").write_text(json.dumps(BPE.to_dict()["model"]))


@pytest.fixture(scope="module", params=CASES)
def both(request, tmp_path_factory):
    """A model of transformers, its folder, and the model that is loaded from it."""
    build, fields = CASES[request.param]
    torch.manual_seed(0)
    theirs = perturbed(build(**fields))
    folder = tmp_path_factory.mktemp(request.param)
    write_folder(theirs, folder)
    return theirs, folder, registry.load(folder)


def inputs(n_vocab: int, pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids [3, 60] of known tokens, of which two rows are padded, and True where they are not."""
    ids = torch.randint(5, n_vocab, (3, 60), generator=torch.Generator().manual_seed(1))
    keep = torch.arange(60)[None] < torch.tensor([60, 41, 17])[:, None]
    return torch.where(keep, ids, pad_id), keep


def test_logits_equal_those_of_transformers(both) -> None:
    theirs, _, ours = both
    ids, keep = inputs(ours.config.n_vocab, ours.tokenizer.pad_id)
    with torch.no_grad():
        expected = theirs(ids, attention_mask=keep.long()).logits
        logits = ours(ids, keep)
    assert (logits - expected)[keep].abs().max() <= 1e-4
    assert expected[keep].std() > 0.1  # logits that are all alike would agree with anything


def test_masked_tokens_and_unpadded_rows_equal_those_of_transformers(both) -> None:
    theirs, _, ours = both
    ids, _ = inputs(ours.config.n_vocab, ours.tokenizer.pad_id)
    ids = ids[:1].clone()
    ids[0, 7:12] = ours.tokenizer.mask_id  # ESM rescales all embeddings by the share of masked tokens
    with torch.no_grad():
        assert (ours(ids) - theirs(ids).logits).abs().max() <= 1e-4


def test_a_folder_is_written_back_bit_for_bit(both, tmp_path) -> None:
    _, folder, ours = both
    registry.save(ours, tmp_path / "again", layout=registry.layout_of(folder))
    before, after = load_file(folder / "model.safetensors"), load_file(tmp_path / "again" / "model.safetensors")
    missing = before.keys() - after.keys()
    assert {name for name in missing if not re.search("contact_head|position_ids|inv_freq", name)} == set()
    assert all(torch.equal(before[name], tensor) for name, tensor in after.items())


def test_transformers_reads_the_written_folder(both, tmp_path) -> None:
    theirs, folder, ours = both
    registry.save(ours, tmp_path / "again", layout=registry.layout_of(folder))
    again = type(theirs).from_pretrained(tmp_path / "again", attn_implementation="eager").eval()
    ids, keep = inputs(ours.config.n_vocab, ours.tokenizer.pad_id)
    with torch.no_grad():
        torch.testing.assert_close(
            again(ids, attention_mask=keep.long()).logits, theirs(ids, attention_mask=keep.long()).logits, atol=1e-5, rtol=0
        )


def test_genoformers_own_layout_keeps_the_model(both, tmp_path) -> None:
    _, _, ours = both
    registry.save(ours, tmp_path / "own")
    again = registry.load(tmp_path / "own")
    assert again.config == ours.config
    assert again.tokenizer.to_dict() == ours.tokenizer.to_dict()
    ids, keep = inputs(ours.config.n_vocab, ours.tokenizer.pad_id)
    with torch.no_grad():
        assert torch.equal(again(ids, keep), ours(ids, keep))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files_are_read(both, tmp_path, dtype) -> None:
    theirs, _, _ = both
    write_folder(theirs, tmp_path)
    path = tmp_path / "model.safetensors"
    save_file({name: tensor.to(dtype) for name, tensor in load_file(path).items()}, path, metadata={"format": "pt"})
    ours = registry.load(tmp_path)
    assert ours.tokens.weight.dtype == torch.float32
    assert torch.equal(ours.tokens.weight, theirs.get_input_embeddings().weight.to(dtype).float())


def rewritten(folder: Path, **fields: Any) -> Path:
    """The folder with other fields in its config.json; None removes one."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({name: value for name, value in config.items() if value is not None}))
    return folder


def in_version_5(every: int, full: float, sliding: float) -> dict[str, Any]:
    """Fields of transformers 5 for those of version 4, which they replace."""
    kinds = ["sliding_attention" if i % every else "full_attention" for i in range(SIZES["num_hidden_layers"])]
    bases = {"full_attention": full, "sliding_attention": sliding}
    older = dict.fromkeys(("global_attn_every_n_layers", "global_rope_theta", "local_rope_theta"))
    rope = {kind: {"rope_type": "default", "rope_theta": base} for kind, base in bases.items()}
    return {**older, "layer_types": kinds, "rope_parameters": rope}


@pytest.mark.parametrize("every", [1, 2, SIZES["num_hidden_layers"]])
def test_a_modernbert_of_transformers_5_has_the_same_logits(every, tmp_path) -> None:
    torch.manual_seed(0)
    theirs = perturbed(modernbert(global_attn_every_n_layers=every, global_rope_theta=900.0, local_rope_theta=70.0))
    write_folder(theirs, tmp_path)
    ours = registry.load(rewritten(tmp_path, **in_version_5(every, 900.0, 70.0)))
    ids, keep = inputs(ours.config.n_vocab, ours.tokenizer.pad_id)
    with torch.no_grad():
        assert (ours(ids, keep) - theirs(ids, attention_mask=keep.long()).logits)[keep].abs().max() <= 1e-4


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"layer_types": ["sliding_attention", "full_attention"]}, "expected full_attention in the first layer"),
        ({"layer_types": ["full_attention", "chunked_attention"]}, "expected full_attention in the first layer"),
        ({"rope_parameters": {"full_attention": {"rope_type": "yarn"}}}, "has rope_type 'yarn', expected 'default'"),
    ],
)
def test_layers_and_rotations_that_no_modernbert_here_has_are_refused(fields, words, tmp_path) -> None:
    write_folder(modernbert(), tmp_path)
    with pytest.raises(CheckpointError, match=words):
        registry.load(rewritten(tmp_path, **fields))


@pytest.mark.parametrize(
    ("build", "fields", "words"),
    [
        (bert, {"hidden_act": "relu"}, "has hidden_act 'relu', expected 'gelu'; take another model"),
        (bert, {"position_embedding_type": "relative_key"}, "has position_embedding_type 'relative_key', expected 'absolute'"),
        (modernbert, {"hidden_activation": "silu"}, "has hidden_activation 'silu', expected 'gelu'"),
        (qwen3, {"use_sliding_window": True}, "has use_sliding_window True, expected False"),
        (llama, {"mlp_bias": True}, "has mlp_bias True, expected False"),
        (llama, {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "has rope_type 'yarn', expected 'default'"),
        (llama, {"rope_scaling": None, "rope_parameters": {"type": "linear"}}, "has rope_type 'linear', expected 'default'"),
    ],
)
def test_a_network_that_is_not_read_is_refused_by_the_field_that_differs(build, fields, words, tmp_path) -> None:
    write_folder(build(), tmp_path)
    with pytest.raises(CheckpointError, match=words):
        registry.load(rewritten(tmp_path, **fields))


def test_the_base_of_the_rotations_of_an_esm_of_transformers_5(tmp_path) -> None:
    write_folder(esm(position_embedding_type="rotary"), tmp_path)
    assert registry.load_config(tmp_path).rotary_base == 10_000
    assert registry.load_config(rewritten(tmp_path, rope_theta=500.0)).rotary_base == 500


@pytest.mark.parametrize("name", ["bert", "esm-rotary", "modernbert", "llama"])
def test_a_model_without_a_head_embeds_and_predicts_nothing(name, tmp_path) -> None:
    build, fields = CASES[name]
    theirs = perturbed(build(**fields)).base_model
    write_folder(theirs, tmp_path)
    ours = registry.load(tmp_path)
    ids, keep = inputs(ours.config.n_vocab, ours.tokenizer.pad_id)
    with torch.no_grad():
        expected = theirs(ids, attention_mask=keep.long()).last_hidden_state
        assert (ours.embed(ids, keep) - expected)[keep].abs().max() <= 1e-4
    with pytest.raises(CheckpointError, match="has no head that predicts tokens"):
        registry.load(tmp_path, PredictsBases if not ours.causal else SequenceLikelihood)


def test_keys_and_values_kept_give_the_same_states_as_one_pass() -> None:
    """A prefix, then single tokens, then branches that see less of the prefix."""
    from genoformer.models.transformer.attention import KeyValues

    ours = loaded_qwen3()
    ids = torch.randint(5, 64, (1, 30))
    with torch.no_grad():
        whole = ours.embed(ids)
        past = [KeyValues() for _ in ours.layers]
        pieces = [ours.embed(ids[:, :20], past=past), *(ours.embed(ids[:, i : i + 1], past=past) for i in range(20, 30))]
        torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=1e-5, rtol=0)

        first = torch.tensor([4, 11, 27])
        branches = torch.randint(5, 64, (3, 6))
        for layer in past:
            layer.visible, layer.frozen = first, True
        states = ours.embed(branches, past=past)
        for row, n in enumerate(first.tolist()):
            expected = ours.embed(torch.cat([ids[:, :n], branches[row : row + 1]], dim=1))[:, n:]
            torch.testing.assert_close(states[row : row + 1], expected, atol=1e-5, rtol=0)
        assert past[0].n_tokens == 30


def loaded_qwen3() -> Any:
    from genoformer.models.transformer.config import SHAPES, EncoderConfig
    from genoformer.models.transformer.model import Encoder

    torch.manual_seed(0)
    shape = {**SHAPES["qwen3"], "n_vocab": 64, "width": 32, "n_layers": 3, "n_heads": 4, "n_kv_heads": 2, "ffn_width": 48}
    model = Encoder(EncoderConfig(**shape)).eval()
    model.tokenizer = BPE
    return perturbed(model)


def test_dnabert_tokenizer_still_means_dnabert(tmp_path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(KmerTokenizer(3).vocab) + "\n")
    from genoformer.models.transformer.weights.huggingface import read_tokenizer

    assert isinstance(read_tokenizer(tmp_path, 69), KmerTokenizer)
    save_tokenizer(BPE.padded_to(80), tmp_path / "padded.json")
    assert BPE.padded_to(80).n_vocab == 80


# --- fine-tuned models


def sequence_classifier(name: str, **fields: Any) -> Any:
    build, more = CASES[name]
    config = build(**more).config
    for key, value in fields.items():
        setattr(config, key, value)
    kinds = {"bert": "Bert", "esm-rotary": "Esm", "modernbert": "ModernBert", "llama": "Llama", "qwen3": "Qwen3"}
    torch.manual_seed(0)
    return perturbed(getattr(transformers, f"{kinds[name]}ForSequenceClassification")(config))


FINE_TUNED = {
    "bert": ("bert", {"id2label": {0: "no", 1: "weak", 2: "strong"}}),
    "bert-labels": ("bert", {"id2label": {0: "a", 1: "b"}, "problem_type": "multi_label_classification"}),
    "bert-value": ("bert", {"id2label": {0: "activity"}}),
    "esm": ("esm-rotary", {"id2label": {0: "no", 1: "yes"}}),
    "modernbert": ("modernbert", {"id2label": {0: "no", 1: "yes"}, "classifier_bias": True}),
    "modernbert-mean": ("modernbert", {"classifier_pooling": "mean"}),
    "llama": ("llama", {}),
    "qwen3": ("qwen3", {"id2label": {0: "no", 1: "yes", 2: "maybe"}}),
}


@pytest.mark.parametrize("case", FINE_TUNED)
def test_fine_tuned_models_of_transformers(case, tmp_path) -> None:
    name, fields = FINE_TUNED[case]
    theirs = sequence_classifier(name, **fields)
    write_folder(theirs, tmp_path / "in")
    ours = registry.load(tmp_path / "in", Classifies)
    assert ours.config.classes == tuple(theirs.config.id2label.values())
    codes = np.random.default_rng(3).integers(0, 4, (3, 50), dtype=np.uint8)
    encoding = ours.tokenizer.encode(codes)
    ids = torch.from_numpy(encoding.ids)
    keep = ids != ours.tokenizer.pad_id
    with torch.no_grad():
        expected = theirs(ids, attention_mask=keep.long()).logits
        logits = ours.logits(codes)
    assert (logits - expected).abs().max() <= 1e-4
    assert expected.std() > 0.003
    registry.save(ours, tmp_path / "out", layout=registry.layout_of(tmp_path / "in"))
    again = type(theirs).from_pretrained(tmp_path / "out", attn_implementation="eager").eval()
    assert again.config.id2label == theirs.config.id2label
    with torch.no_grad():
        torch.testing.assert_close(again(ids, attention_mask=keep.long()).logits, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("fine_tuned", [False, True])
def test_learned_positions_that_a_rotary_esm_does_not_use_are_left_out(fine_tuned, tmp_path) -> None:
    """Earlier versions of transformers store them."""
    build, fields = CASES["esm-rotary"]
    theirs = sequence_classifier("esm-rotary") if fine_tuned else perturbed(build(**fields))
    write_folder(theirs, tmp_path)
    ids, _ = inputs(BLOCKS.n_vocab, BLOCKS.pad_id)
    ids = ids[:1]
    path = tmp_path / "model.safetensors"
    tensors = load_file(path) | {"esm.embeddings.position_embeddings.weight": torch.ones(82, 32)}
    save_file(tensors, path, metadata={"format": "pt"})
    ours = registry.load(tmp_path)
    with torch.no_grad():
        logits = ours(ids, torch.ones_like(ids, dtype=torch.bool)) if fine_tuned else ours(ids)
        assert (logits - theirs(ids).logits).abs().max() <= 1e-4


def test_a_fine_tuned_folder_without_its_head_is_refused(tmp_path) -> None:
    write_folder(sequence_classifier("bert"), tmp_path)
    path = tmp_path / "model.safetensors"
    save_file({n: t for n, t in load_file(path).items() if not n.startswith("classifier")}, path)
    with pytest.raises(CheckpointError, match="has no classifier, which a fine-tuned model has"):
        registry.load(tmp_path)
