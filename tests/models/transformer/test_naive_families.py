"""DNABERT-2, GENA-LM and Nucleotide Transformer v2 in folders as they are published, against formulas in float64."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from naive_families import (
    Tensors,
    dnabert2_logits,
    dnabert2_shapes,
    dnabert2_states,
    gena_logits,
    gena_shapes,
    gena_states,
    nt2_logits,
    nt2_shapes,
    random_tensors,
)
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer as HuggingFaceTokenizer
from tokenizers import models, processors, trainers

from genoformer.errors import CheckpointError
from genoformer.genome.codes import encode
from genoformer.models import registry
from genoformer.models.base import Classifies
from genoformer.tokenizers import BlockTokenizer, BPETokenizer

DNA = ["".join(np.random.default_rng(i).choice(list("ACGT"), 200)) for i in range(30)]
OTHER_ORDER = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]  # of DNABERT-2 and GENA-LM; padding is 3
NT = BlockTokenizer.new(6)


def bpe_json(n_vocab: int = 60, specials: tuple[str, ...] = tuple(OTHER_ORDER)) -> str:
    """A tokenizer.json as `tokenizers` writes it, with [CLS] and [SEP] around a sequence."""
    tokenizer = HuggingFaceTokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.train_from_iterator(DNA, trainers.BpeTrainer(vocab_size=n_vocab, special_tokens=list(specials)))
    frame = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=frame)
    return tokenizer.to_str()


BERT_CONFIG = {
    "architectures": ["BertForMaskedLM"],
    "attention_probs_dropout_prob": 0.0,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 24,
    "initializer_range": 0.02,
    "intermediate_size": 20,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "model_type": "bert",
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "pad_token_id": 3,
    "position_embedding_type": "absolute",
    "torch_dtype": "float32",
    "type_vocab_size": 2,
    "vocab_size": 64,
}
DNABERT2_CONFIG = BERT_CONFIG | {
    "_name_or_path": "zhihan1996/DNABERT-2-117M",
    "alibi_starting_size": 512,
    "auto_map": {"AutoModelForMaskedLM": "bert_layers.BertForMaskedLM"},
    "num_attention_heads": 6,  # no power of two: half of the slopes are those between
}
GENA_CONFIG = BERT_CONFIG | {"pre_layer_norm": True}  # last_layer_norm has the same value unless it is given
NT2_CONFIG = {
    "add_bias_fnn": False,
    "architectures": ["EsmForMaskedLM"],
    "attention_probs_dropout_prob": 0.0,
    "auto_map": {"AutoModelForMaskedLM": "modeling_esm.EsmForMaskedLM"},
    "emb_layer_norm_before": False,
    "esmfold_config": None,
    "hidden_dropout_prob": 0.0,
    "hidden_size": 24,
    "initializer_range": 0.02,
    "intermediate_size": 20,
    "is_folding_model": False,
    "layer_norm_eps": 1e-12,
    "mask_token_id": 2,
    "max_position_embeddings": 2050,
    "model_type": "esm",
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "pad_token_id": 1,
    "position_embedding_type": "rotary",
    "tie_word_embeddings": False,
    "token_dropout": False,
    "torch_dtype": "float32",
    "use_cache": False,
    "vocab_list": None,
    "vocab_size": 4107,
}


class Case(NamedTuple):
    """A published kind of folder."""

    config: dict[str, Any]
    shapes: Callable[[Any], dict[str, tuple[int, ...]]]
    logits: Callable[[Tensors, Any, list[int]], torch.Tensor]
    layout: str
    extra: dict[str, tuple[int, ...]]  # tensors of the file that no logit depends on


CASES = {
    "dnabert2": Case(
        DNABERT2_CONFIG,
        dnabert2_shapes,
        dnabert2_logits,
        "dnabert2",
        {"bert.pooler.dense.weight": (24, 24), "bert.pooler.dense.bias": (24,), "bert.embeddings.position_ids": (1, 512)},
    ),
    "gena-lm": Case(
        GENA_CONFIG,
        gena_shapes,
        gena_logits,
        "gena-lm",
        {"cls.seq_relationship.weight": (2, 24), "cls.seq_relationship.bias": (2,)},
    ),
    "nt2": Case(
        NT2_CONFIG,
        nt2_shapes,
        nt2_logits,
        "esm",
        {
            "esm.embeddings.position_embeddings.weight": (2050, 24),
            "esm.contact_head.regression.weight": (1, 8),
            "esm.encoder.layer.0.attention.self.rotary_embeddings.inv_freq": (3,),
        },
    ),
}


def write_tokenizer(folder: Path, case: Case) -> None:
    if case.layout == "esm":
        (folder / "vocab.txt").write_text("\n".join(NT.tokens))
        config = {"cls_token": "<cls>", "eos_token": None, "mask_token": "<mask>", "pad_token": "<pad>", "unk_token": "<unk>"}
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    else:
        (folder / "tokenizer.json").write_text(bpe_json())  # 60 tokens, and an embedding of 64 rows


def write_folder(folder: Path, case: Case, tensors: Tensors, **changed: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**case.config, **changed}))
    save_file(dict(tensors), folder / "model.safetensors", metadata={"format": "pt"})
    write_tokenizer(folder, case)
    return folder


@pytest.fixture(scope="module", params=CASES)
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, Path, Tensors]:
    case = CASES[request.param]
    tensors = random_tensors(case.shapes(case.config))
    if case.layout != "esm":  # as the files of BERT have them
        tensors["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"].clone()
    folder = tmp_path_factory.mktemp(request.param)
    write_folder(folder, case, {**tensors, **random_tensors(case.extra, seed=1)})
    return case, folder, tensors


def ids_of(model: Any, rows: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids [B, T], padded, and True where they are not."""
    encoded = [model.tokenizer.encode(codes_of(text)).ids[0] for text in rows]
    ids = np.full((len(rows), max(map(len, encoded))), model.tokenizer.pad_id)
    for i, row in enumerate(encoded):
        ids[i, : len(row)] = row
    return torch.from_numpy(ids), torch.from_numpy(ids != model.tokenizer.pad_id)


def codes_of(text: str) -> np.ndarray:
    return encode(text)[None]


def test_logits_equal_the_formula_in_float64(published: tuple[Case, Path, Tensors]) -> None:
    case, folder, tensors = published
    model = registry.load(folder)
    ids, keep = ids_of(model, [DNA[0][:61], DNA[1][:32], DNA[2][:9]])
    ids[0, 4:6] = model.tokenizer.mask_id
    with torch.no_grad():
        logits = model(ids, keep)
    for row in range(3):
        n = int(keep[row].sum())
        expected = case.logits(tensors, case.config, ids[row, :n].tolist())
        assert expected.std() > 0.3
        assert (logits[row, :n] - expected).abs().max() <= 1e-4


def test_a_folder_is_written_back_bit_for_bit(published: tuple[Case, Path, Tensors], tmp_path: Path) -> None:
    case, folder, tensors = published
    model = registry.load(folder)
    assert registry.layout_of(folder) == case.layout
    registry.save(model, tmp_path / "again", layout=case.layout)
    after = load_file(tmp_path / "again" / "model.safetensors")
    written = {name: tensor for name, tensor in tensors.items() if name != "cls.predictions.decoder.weight"}
    if case.layout == "gena-lm":  # its bias has two names
        written["cls.predictions.bias"] = written.pop("cls.predictions.decoder.bias")
    assert written.keys() <= after.keys()
    assert after.keys() - written.keys() <= {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    assert all(torch.equal(after[name], tensor) for name, tensor in written.items())
    again = registry.load(tmp_path / "again")
    assert again.config == model.config
    assert again.tokenizer.to_dict() == model.tokenizer.to_dict()
    fields = json.loads((tmp_path / "again" / "config.json").read_text())
    kept = set(case.config) & set(fields) - {"architectures", "attention_probs_dropout_prob"}
    assert {name: fields[name] for name in kept} == {name: case.config[name] for name in kept}


def test_special_tokens_are_those_of_the_folder(published: tuple[Case, Path, Tensors]) -> None:
    case, folder, _ = published
    tokenizer = registry.load(folder).tokenizer
    assert tokenizer.n_vocab == case.config["vocab_size"]
    assert tokenizer.pad_id == case.config["pad_token_id"]
    if case.layout == "esm":
        assert tokenizer.mask_id == case.config["mask_token_id"]
        return
    assert (tokenizer.unknown_id, tokenizer.mask_id) == (0, 4)
    own = HuggingFaceTokenizer.from_str(bpe_json())
    text = DNA[3][:50]
    assert tokenizer.encode(codes_of(text)).ids[0].tolist() == own.encode(text).ids
    assert tokenizer.decode(tokenizer.encode(codes_of(text)).ids) == [text]


def test_shards_are_read(published: tuple[Case, Path, Tensors], tmp_path: Path) -> None:
    case, folder, _ = published
    tensors = load_file(folder / "model.safetensors")
    write_folder(tmp_path, case, {})
    (tmp_path / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, some in parts.items():
        save_file({name: tensors[name] for name in some}, tmp_path / file)
    index = {"weight_map": {name: file for file, some in parts.items() for name in some}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    one, several = registry.load(folder), registry.load(tmp_path)
    assert all(torch.equal(one.state_dict()[name], tensor) for name, tensor in several.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files_are_read(published: tuple[Case, Path, Tensors], tmp_path: Path, dtype: torch.dtype) -> None:
    case, _, tensors = published
    halves = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    model = registry.load(write_folder(tmp_path, case, halves))
    ids, keep = ids_of(model, [DNA[0][:40]])
    expected = case.logits(halves, case.config, ids[0].tolist())
    with torch.no_grad():
        assert (model(ids, keep)[0] - expected).abs().max() <= 1e-4


def test_a_pickle_of_older_folders_is_read(published: tuple[Case, Path, Tensors], tmp_path: Path) -> None:
    case, folder, tensors = published
    write_folder(tmp_path, case, {})
    (tmp_path / "model.safetensors").unlink()
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    one, old = registry.load(folder), registry.load(tmp_path)
    for name, tensor in old.state_dict().items():
        if not name.startswith("pooler"):
            assert torch.equal(one.state_dict()[name], tensor)


def test_gena_without_a_last_norm(tmp_path: Path) -> None:
    case = CASES["gena-lm"]
    config = case.config | {"last_layer_norm": False}
    tensors = {name: t for name, t in random_tensors(case.shapes(config)).items() if "last_layer_ln" not in name}
    model = registry.load(write_folder(tmp_path, case, tensors, last_layer_norm=False))
    ids, _ = ids_of(model, [DNA[0][:40]])
    with torch.no_grad():
        assert (model(ids)[0] - gena_logits(tensors, config, ids[0].tolist())).abs().max() <= 1e-4


def test_multimolecule_agrees(tmp_path: Path) -> None:
    """The same tensors in multimolecule's DNABERT-2, where it is installed, under its names."""
    multimolecule = pytest.importorskip("multimolecule", reason="multimolecule (AGPL) is not installed; the formula is tested")
    case = CASES["dnabert2"]
    tensors = random_tensors(case.shapes(case.config))
    ours = registry.load(write_folder(tmp_path, case, tensors))
    names = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "layer_norm_eps")
    config = multimolecule.DnaBert2Config(**{name: case.config[name] for name in names}, pad_token_id=3)
    theirs = multimolecule.DnaBert2ForMaskedLM(config).eval()
    left_out = theirs.load_state_dict(multimolecule_names(tensors), strict=False)
    assert not left_out.unexpected_keys
    assert {name for name in left_out.missing_keys if "decoder.weight" not in name and "pooler" not in name} == set()
    theirs.tie_weights()
    ids, _ = ids_of(ours, [DNA[0][:40]])
    with torch.no_grad():
        assert (ours(ids) - theirs(ids).logits).abs().max() <= 1e-4


def multimolecule_names(tensors: Tensors) -> dict[str, torch.Tensor]:
    named = {}
    for name, tensor in tensors.items():
        for old, new in {"LayerNorm": "layer_norm", "mlp.layernorm": "mlp.layer_norm", "gated_layers": "up_proj"}.items():
            name = name.replace(old, new)
        name = name.replace("mlp.wo", "mlp.down_proj").replace("cls.predictions", "lm_head")
        name = f"model.{name.removeprefix('bert.')}" if name.startswith("bert.") else name
        if "Wqkv" in name:
            parts = zip(("query", "key", "value"), tensor.chunk(3), strict=True)
            named |= {name.replace("Wqkv", part): piece for part, piece in parts}
        else:
            named[name] = tensor
    if "lm_head.decoder.bias" in named:
        named["lm_head.bias"] = named["lm_head.decoder.bias"]
    return named


# --- tokenizers


def test_a_list_of_pieces_without_merges_is_read_as_the_same_bpe() -> None:
    """GROVER's kind: the pieces in the order in which they were learned."""
    text = bpe_json(120)
    own = HuggingFaceTokenizer.from_str(text)
    pieces = [token for token, _ in sorted(own.get_vocab().items(), key=lambda row: row[1])]
    read = BPETokenizer.from_pieces(pieces)
    assert read.n_vocab == 120
    for i in range(50):
        sequence = "".join(np.random.default_rng(100 + i).choice(list("ACGT"), 150))
        assert read.encode(codes_of(sequence)).ids[0].tolist() == own.encode(sequence).ids


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ([*OTHER_ORDER, "A", "C", "G"], "A, C, G and T among them"),
        ([*OTHER_ORDER, "A", "C", "G", "T", "A"], "names each once"),
        ([*OTHER_ORDER, "A", "C", "G", "T", "ACGT", "AC"], "lists ACGT before the pieces that it is made of"),
        ([*OTHER_ORDER, "A", "C", "G", "T", "##A"], "WordPiece"),
    ],
)
def test_lists_of_pieces_that_are_refused(pieces: list[str], said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        BPETokenizer.from_pieces(pieces)


@pytest.mark.parametrize("file", ["tokenizer.json", "vocab.txt"])
def test_grover_is_bert_with_bpe(file: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is the reference (extra: dev)")
    fields = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 20}
    torch.manual_seed(0)
    theirs = transformers.BertForMaskedLM(transformers.BertConfig(vocab_size=100, pad_token_id=3, **fields)).eval()
    theirs.save_pretrained(tmp_path)
    text = bpe_json(100)
    own = HuggingFaceTokenizer.from_str(text)
    pieces = [token for token, _ in sorted(own.get_vocab().items(), key=lambda row: row[1])]
    (tmp_path / file).write_text(text if file == "tokenizer.json" else "\n".join(pieces) + "\n")
    ours = registry.load(tmp_path)
    ids, keep = ids_of(ours, [DNA[0][:61], DNA[1][:32]])
    assert ids[0, keep[0]].tolist() == own.encode(DNA[0][:61]).ids
    with torch.no_grad():
        expected = theirs(ids, attention_mask=keep.long()).logits
        assert (ours(ids, keep) - expected)[keep].abs().max() <= 1e-4
    registry.save(ours, tmp_path / "again", layout="dnabert")
    assert registry.load(tmp_path / "again").tokenizer.to_dict() == ours.tokenizer.to_dict()


def decoder_folder(folder: Path, n_vocab: int) -> Path:
    transformers = pytest.importorskip("transformers", reason="transformers is the reference (extra: dev)")
    fields = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 20}
    config = transformers.LlamaConfig(vocab_size=n_vocab, num_key_value_heads=2, **fields)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def test_generators_6_mers_are_read(tmp_path: Path) -> None:
    """Special tokens <oov> <s> </s> <pad> <mask>, some of genes and species, then 6-mers; <s> and </s> around a sequence."""
    specials = ["<oov>", "<s>", "</s>", "<pad>", "<mask>", *(f"<x{i}>" for i in range(27))]
    vocab = [*specials, *(token for token in NT.tokens if len(token) == 6 and set(token) <= set("ACGT"))]
    (decoder_folder(tmp_path, len(vocab)) / "vocab.txt").write_text("\n".join(vocab))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>"}))
    model = registry.load(tmp_path)
    assert model.tokenizer.encode(codes_of("AAAAAAAAAAAT")).ids.tolist() == [[1, 32, 33, 2]]  # digits A, T, C, G
    assert model.tokenizer.pad_id == 3
    for text in (DNA[0][:60], DNA[0][:61], "AAAANAAAAAAT", "NNNNNNNAAAAAT", "AAAAAAAANN", "N", "ACG"):
        blocks = re.findall("[A-Z]{6}|[A-Z]+", text)  # the pattern of the published tokenizer
        expected = [1, *(vocab.index(block) if block in vocab else 0 for block in blocks), 2]
        assert model.tokenizer.encode(codes_of(text)).ids.tolist() == [expected]
    assert registry.huggingface_layout(model) == "decoder-only"
    registry.save(model, tmp_path / "hf", layout="hf")
    again = registry.load(tmp_path / "hf")
    transformers = pytest.importorskip("transformers", reason="transformers is the reference (extra: dev)")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    for text in (DNA[0][:60], DNA[0][:61], "AAAANAAAAAAT", "NNNNNNNAAAAAT", "AAAAAAAANN", "N", "ACG"):
        ids = model.tokenizer.encode(codes_of(text)).ids[0].tolist()
        assert theirs(text)["input_ids"] == ids
        assert again.tokenizer.encode(codes_of(text)).ids[0].tolist() == ids
    assert type(transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "hf")).__name__ == "LlamaForCausalLM"


def test_single_bases_in_lower_case_are_read(tmp_path: Path) -> None:
    """MarinDNA's kind: seven tokens, of which four are bases, and a token at the start."""
    from tokenizers import normalizers, pre_tokenizers

    vocab = {"[PAD]": 0, "[UNK]": 1, "[BOS]": 2, "a": 3, "c": 4, "g": 5, "t": 6}
    tokenizer = HuggingFaceTokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(single="[BOS] $A", special_tokens=[("[BOS]", 2)])
    (decoder_folder(tmp_path, 7) / "tokenizer.json").write_text(tokenizer.to_str())
    model = registry.load(tmp_path)
    assert model.tokenizer.encode(codes_of("ACGTN")).ids.tolist() == [[2, 3, 4, 5, 6, 1]]
    assert model.tokenizer.k == 1


def test_a_vocabulary_of_text_is_refused(tmp_path: Path) -> None:
    """Carbon's kind: words of a language, and 6-mers behind <dna>."""
    words = ["".join(np.random.default_rng(i).choice(list("abcdefghijklmnop"), 6)) for i in range(300)]
    tokenizer = HuggingFaceTokenizer(models.BPE(unk_token=None))
    special = ["<|endoftext|>", "<dna>"]
    tokenizer.train_from_iterator(words + DNA, trainers.BpeTrainer(vocab_size=500, special_tokens=special))
    folder = decoder_folder(tmp_path, tokenizer.get_vocab_size())
    (folder / "tokenizer.json").write_text(tokenizer.to_str())
    with pytest.raises(CheckpointError, match=r"vocabulary of text with words such as .*, or of text with a dna_config.json"):
        registry.load(folder)


# --- what is refused


@pytest.mark.parametrize("field", ["sparse_config_cls", "sparse_attention"])
def test_sparse_attention_is_refused(tmp_path: Path, field: str) -> None:
    case = CASES["gena-lm"]
    write_folder(tmp_path, case, random_tensors(case.shapes(case.config)), **{field: "deepspeed:BigBirdSparsityConfig"})
    with pytest.raises(CheckpointError, match=r"names sparse attention \(BigBird\), as the long GENA-LM have"):
        registry.load(tmp_path)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "big_bird", "architectures": ["BigBirdForMaskedLM"]}, "BigBird, as some GENA-LM"),
        ({"model_type": "hyenadna", "architectures": ["HyenaDNAForCausalLM"]}, "HyenaDNA, long convolutions"),
        ({"model_type": "caduceus", "architectures": ["CaduceusForMaskedLM"]}, "Caduceus, a state-space model"),
        (
            {"model_type": "stripedhyena", "architectures": ["StripedHyenaModelForCausalLM"]},
            "Evo, attention layers with long convolutions",
        ),
        ({"model_type": "mamba"}, "Mamba, a state-space model"),
    ],
)
def test_models_of_other_architectures_are_named(config: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**config, "hidden_size": 8}))
    with pytest.raises(CheckpointError, match=said):
        registry.load(tmp_path)


def test_gena_with_other_positions_is_refused(tmp_path: Path) -> None:
    case = CASES["gena-lm"]
    write_folder(tmp_path, case, random_tensors(case.shapes(case.config)), position_embedding_type="rotary")
    with pytest.raises(CheckpointError, match="has position_embedding_type 'rotary', expected 'absolute'"):
        registry.load(tmp_path)


# --- fine-tuned DNABERT-2 and GENA-LM


@pytest.mark.parametrize(("name", "states"), [("dnabert2", dnabert2_states), ("gena-lm", gena_states)])
def test_a_fine_tuned_bert_of_another_shape(tmp_path: Path, name: str, states: Callable[..., Any]) -> None:
    """tanh of the pooler on [CLS], then the classifier."""
    case = CASES[name]
    tensors = {name: t for name, t in random_tensors(case.shapes(case.config)).items() if not name.startswith("cls.")}
    tensors |= random_tensors({"bert.pooler.dense.weight": (24, 24), "bert.pooler.dense.bias": (24,)}, seed=2)
    tensors |= random_tensors({"classifier.weight": (3, 24), "classifier.bias": (3,)}, seed=3)
    labels = {"0": "none", "1": "weak", "2": "strong"}
    folder = write_folder(tmp_path / "in", case, tensors, architectures=["BertForSequenceClassification"], id2label=labels)
    model = registry.load(folder, Classifies)
    assert registry.layout_of(folder) == f"{name}-classifier"
    ids, _ = ids_of(model, [DNA[0][:40]])
    hidden = states(tensors, case.config, ids[0].tolist())
    double = {name: tensor.double() for name, tensor in tensors.items()}
    pooled = torch.tanh(double["bert.pooler.dense.weight"] @ hidden[0] + double["bert.pooler.dense.bias"])
    expected = double["classifier.weight"] @ pooled + double["classifier.bias"]
    with torch.no_grad():
        assert (model.logits(codes_of(DNA[0][:40]))[0] - expected).abs().max() <= 1e-4
    assert model.config.classes == ("none", "weak", "strong")
    registry.save(model, tmp_path / "out", layout=f"{name}-classifier")
    again = load_file(tmp_path / "out" / "model.safetensors")
    assert {key: torch.equal(tensor, tensors[key]) for key, tensor in again.items()} == dict.fromkeys(tensors, True)
