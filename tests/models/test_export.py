"""Folders for transformers: of its own classes where one computes the model, else of those of genoformer.huggingface."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import assert_refused, run, run_well
from safetensors.torch import load_file
from small_models import small_encoder, small_enformer

from genoformer.errors import CheckpointError, ConfigError
from genoformer.genome.codes import decode
from genoformer.models import export, folders, registry
from genoformer.models.base import Classifies
from genoformer.models.heads import ClassifierConfig, SequenceClassifier
from genoformer.models.transformer.config import SHAPES
from genoformer.tokenizers import BaseTokenizer, BlockTokenizer, BPETokenizer, KmerTokenizer

transformers = pytest.importorskip("transformers", reason="transformers reads the folders (extra: hf)")

_spec = importlib.util.spec_from_file_location("families", Path(__file__).parent / "transformer" / "test_families.py")
assert _spec is not None
assert _spec.loader is not None
families: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(families)

CODES = np.random.default_rng(5).integers(0, 4, (3, 48), dtype=np.uint8)
LLAMA = {name: value for name, value in SHAPES["llama"].items() if name != "dropout"}


def is_stock(model: Any) -> bool:
    return type(model).__module__.startswith("transformers.")


@pytest.mark.parametrize("case", families.CASES)
def test_published_families_are_written_for_the_classes_of_transformers(case, tmp_path) -> None:
    build, fields = families.CASES[case]
    torch.manual_seed(0)
    families.write_folder(families.perturbed(build(**fields)), tmp_path / "in")
    run_well("models", "convert", tmp_path / "in", tmp_path / "out", "--to", "hf")
    ours = registry.load(tmp_path / "in")
    auto = transformers.AutoModelForCausalLM if ours.causal else transformers.AutoModelForMaskedLM
    theirs, info = auto.from_pretrained(tmp_path / "out", attn_implementation="eager", output_loading_info=True)
    assert is_stock(theirs)
    assert [name for name in info["missing_keys"] if not re.search("contact_head|inv_freq|position_embeddings", name)] == []
    ids, keep = families.inputs(ours.config.n_vocab, ours.tokenizer.pad_id)
    with torch.no_grad():
        logits = theirs.eval()(ids, attention_mask=keep.long()).logits
        assert (logits - ours(ids, keep))[keep].abs().max() <= 1e-5
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    texts = [decode(row) for row in CODES]
    expected = ours.tokenizer.encode(CODES[:1]).ids[0].tolist()
    assert tokenizer(texts[0])["input_ids"] == expected
    batch = tokenizer([texts[0], texts[1][:20]], padding=True, return_tensors="pt")
    with torch.no_grad():
        assert torch.isfinite(theirs(**batch).logits).all()


def fine_tuned(encoder: Any, **fields: Any) -> SequenceClassifier:
    """A classifier on an encoder, with random weights."""
    values = {"task": "classification", "classes": ("no", "weak", "yes"), "window": 40}
    model = SequenceClassifier(ClassifierConfig(encoder.config, **{**values, **fields}))
    model.tokenizer = encoder.tokenizer
    model.encoder.load_state_dict(encoder.state_dict())
    return families.perturbed(model)


@pytest.mark.parametrize("case", families.FINE_TUNED)
def test_fine_tuned_models_are_written_for_the_classes_of_transformers(case, tmp_path) -> None:
    name, fields = families.FINE_TUNED[case]
    families.write_folder(families.sequence_classifier(name, **fields), tmp_path / "in")
    run_well("models", "convert", tmp_path / "in", tmp_path / "out", "--to", "hf")
    ours = registry.load(tmp_path / "in", Classifies)
    auto = transformers.AutoModelForSequenceClassification
    theirs = auto.from_pretrained(tmp_path / "out", attn_implementation="eager").eval()
    assert is_stock(theirs)
    assert tuple(theirs.config.id2label.values()) == ours.config.classes
    ids = torch.from_numpy(ours.tokenizer.encode(CODES).ids)
    with torch.no_grad():
        logits = theirs(ids, attention_mask=(ids != ours.tokenizer.pad_id).long()).logits
        assert (logits - ours.logits(CODES)).abs().max() <= 1e-5


def test_a_head_of_bert_on_an_encoder_that_was_trained_here_is_berts(tmp_path) -> None:
    """The head of the language model is left out: BERT's class for sequences has none."""
    encoder = small_encoder(KmerTokenizer(3), position="learned")
    model = fine_tuned(encoder, head="tanh", pooling="cls")
    registry.save(model, tmp_path / "out", layout="hf")
    assert registry.layout_of(tmp_path / "out") == "dnabert-classifier"
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    assert type(theirs).__name__ == "BertForSequenceClassification"
    ids = torch.from_numpy(model.tokenizer.encode(CODES).ids)
    with torch.no_grad():
        assert (theirs(ids).logits - model.logits(CODES)).abs().max() <= 1e-5


def test_transformers_truncates_at_the_learned_positions(tmp_path) -> None:
    """A tokenizer without a limit would hand BERT more tokens than it has positions."""
    encoder = small_encoder(KmerTokenizer(3), position="learned")
    n = encoder.config.max_tokens
    registry.save(encoder, tmp_path / "language", layout="hf")
    registry.save(fine_tuned(encoder, head="tanh", pooling="cls"), tmp_path / "classes", layout="hf")
    for folder, auto in (
        ("language", transformers.AutoModelForMaskedLM),
        ("classes", transformers.AutoModelForSequenceClassification),
    ):
        tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / folder)
        batch = tokenizer(" ".join(["ACG"] * (2 * n)), truncation=True, return_tensors="pt")
        assert batch["input_ids"].shape == (1, n)
        with torch.no_grad():
            assert torch.isfinite(auto.from_pretrained(tmp_path / folder).eval()(**batch).logits).all()
    rotary = small_encoder(BlockTokenizer.new(1), **{**SHAPES["llama"], "causal": True})
    registry.save(rotary, tmp_path / "rotary", layout="hf")
    assert "model_max_length" not in json.loads((tmp_path / "rotary" / "tokenizer_config.json").read_text())


OTHERS = {  # what no class of transformers computes
    "rotary and stem": {"conv_kernel": 5},
    "sinusoidal positions": {"position": "sinusoidal"},
    "ALiBi": {"position": "alibi", "activation": "geglu", "up_bias": False},
    "BERT without the dense layer of its head": {"position": "learned", "output": "linear"},
    "BERT with local layers": {"position": "learned", "local_window": 4, "global_every": 2},
    "BERT without biases of the norms": {"position": "learned", "norm_bias": False},
    "gated ESM": {**SHAPES["nucleotide-transformer-v2"], "embedding_norm": False},
    "GENA-LM": {**SHAPES["gena-lm"], "position": "learned"},
    "causal with a stem": {**LLAMA, "causal": True, "conv_kernel": 3},
}


@pytest.mark.parametrize("fields", OTHERS.values(), ids=OTHERS)
def test_other_models_are_written_for_the_classes_of_genoformer(fields, tmp_path) -> None:
    model = families.perturbed(small_encoder(BaseTokenizer(), **fields))
    registry.save(model, tmp_path / "in")
    done = run_well("models", "convert", tmp_path / "in", tmp_path / "out", "--to", "hf")
    assert "reads after `import genoformer.huggingface`" in done.stderr
    assert done.stdout.startswith(f"{tmp_path / 'out'}: genoformer-hf layout")
    again = registry.load(tmp_path / "out")
    assert again.config == model.config
    assert again.tokenizer.to_dict() == model.tokenizer.to_dict()
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in again.state_dict().items())


def test_own_training_in_the_shape_of_llama_is_llama(tmp_path) -> None:
    """Numbers of heads that are 0 for "as many as queries" are the same network when they are written out."""
    model = families.perturbed(small_encoder(families.BPE, **{**LLAMA, "causal": True, "dropout": 0.1}))
    registry.save(model, tmp_path / "out", layout="hf")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    assert type(theirs).__name__ == "LlamaForCausalLM"
    ids = torch.randint(5, 64, (2, 30))
    with torch.no_grad():
        assert (theirs(ids).logits - model(ids)).abs().max() <= 1e-5


@pytest.mark.parametrize(
    ("tokenizer", "text"),
    [
        (BaseTokenizer(), "ACGTNRacgtun"),
        (families.BPE, "ACGTNRacgtunACGTTGCA"),
        (BlockTokenizer.new(1), "ACGTNRacgtun"),
        (BlockTokenizer([*BlockTokenizer.new(1).tokens], start=False, end=False), "ACNNgt"),
        (BlockTokenizer.new(3), "ACGTANNACGTTTTT"),
    ],
    ids=["bases", "BPE", "single letters", "single letters without a start", "blocks"],
)
def test_stock_tokenizers_read_text_as_ours_do(tokenizer, text, tmp_path) -> None:
    from genoformer.models.transformer.weights.huggingface import write_tokenizer

    write_tokenizer(tokenizer, tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert theirs(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert theirs.pad_token_id == tokenizer.pad_id


def test_a_stock_tokenizer_of_kmers_reads_them_with_spaces_between(tmp_path) -> None:
    """As DNABERT's own does; an unknown base makes all k-mers over it unknown."""
    from genoformer.models.transformer.weights.huggingface import write_tokenizer

    write_tokenizer(KmerTokenizer(3), tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    text = "ACGTNACGT"
    assert theirs(" ".join(text[i : i + 3] for i in range(7)))["input_ids"] == KmerTokenizer(3)(text)["input_ids"]


def test_kmers_with_a_stride_are_not_berts(tmp_path) -> None:
    model = small_encoder(KmerTokenizer(3, stride=3), position="learned")
    assert registry.huggingface_layout(model) == "genoformer-hf"
    assert registry.huggingface_layout(small_encoder(KmerTokenizer(3), position="learned")) == "dnabert"


def test_settings_of_commands_are_kept_in_a_table_that_transformers_keeps(tmp_path) -> None:
    model = fine_tuned(
        small_encoder(KmerTokenizer(3), position="learned"), head="tanh", pooling="cls", both_strands=True, overlap=7
    )
    registry.save(model, tmp_path / "in")
    done = run_well("models", "convert", tmp_path / "in", tmp_path / "out", "--to", "hf")
    assert "does not keep" not in done.stderr
    auto = transformers.AutoModelForSequenceClassification
    auto.from_pretrained(tmp_path / "out").save_pretrained(tmp_path / "again")
    (tmp_path / "again" / "vocab.txt").write_bytes((tmp_path / "out" / "vocab.txt").read_bytes())
    for name in ("out", "again"):
        read = registry.load(tmp_path / name)
        assert (read.config.window, read.config.overlap, read.config.both_strands) == (40, 7, True)
        assert read.window_note("x") is None
    own = run_well("models", "convert", tmp_path / "in", tmp_path / "own", "--layout", "genoformer-hf-classifier")
    assert "does not keep" not in own.stderr
    assert registry.load(tmp_path / "own").config == model.config


def windows_of(folder: Path, **files: Any) -> tuple[int, str | None]:
    """The window of a folder of transformers with other files, and the note on it."""
    for name, fields in files.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps({**(json.loads(path.read_text()) if path.is_file() else {}), **fields}))
    model = registry.load(folder)
    return model.config.window, model.window_note("m")


def test_the_window_of_a_fine_tuned_folder_of_transformers(tmp_path) -> None:
    """512 positions hold [CLS], 510 3-mers of 512 bases, and [SEP]; 301 tokens hold 299 3-mers of 301 bases."""
    config = transformers.BertConfig(vocab_size=69, max_position_embeddings=512, **families.SIZES)
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(KmerTokenizer(3).vocab) + "\n")
    window, note = windows_of(tmp_path)
    assert window == 512
    assert note is not None
    assert "windows of 512 bases are read" in note
    assert windows_of(tmp_path, tokenizer_config={"model_max_length": 512})[1] is not None  # the positions: no news
    assert windows_of(tmp_path, tokenizer_config={"model_max_length": 1e30})[0] == 512
    assert windows_of(tmp_path, tokenizer_config={"model_max_length": 301}) == (301, None)
    assert windows_of(tmp_path, config={"genoformer_settings": {"window": 200}}) == (200, None)
    for settings, message in (
        ({"window": "200"}, "genoformer_settings: window = '200': give a whole number"),
        ({"window": 0}, "overlap = 0: give 0 up to, not including, the window of 0"),
        ({"windw": 200}, "genoformer_settings has 'windw'; known are context_length, window, overlap, both_strands: correct"),
        ([], "genoformer_settings is \\[\\]; give a table"),
    ):
        with pytest.raises(CheckpointError, match=message):
            windows_of(tmp_path, config={"genoformer_settings": settings})
    config = json.loads((tmp_path / "config.json").read_text())
    config["genoformer_setings"] = config.pop("genoformer_settings")
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="found 'genoformer_setings', which is not read, expected genoformer_settings; "):
        registry.load(tmp_path)


@pytest.mark.parametrize("classes", [("activity",), ("activity", "half-life")])
@pytest.mark.parametrize("layout", ["hf", "dnabert-classifier"])
def test_values_are_exported_in_their_unit_as_a_class_of_transformers(tmp_path, classes, layout) -> None:
    """Mean and standard deviation of the values, for which BERT's class has no field, are in its output layer."""
    values = {"task": "regression", "classes": classes, "head": "tanh", "pooling": "cls"}
    scale = {"target_mean": (2.0, -40.0)[: len(classes)], "target_std": (3.0, 0.5)[: len(classes)]}
    model = fine_tuned(small_encoder(KmerTokenizer(3), position="learned"), **values, **scale)
    before = model.config, model.out.weight.clone()
    registry.save(model, tmp_path, layout=layout)
    assert model.config == before[0]
    assert torch.equal(model.out.weight, before[1])
    assert registry.layout_of(tmp_path) == "dnabert-classifier"
    reference = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert type(reference).__name__ == "BertForSequenceClassification"
    assert (reference.config.problem_type, reference.config.num_labels) == ("regression", len(classes))
    codes = np.random.default_rng(0).integers(0, 4, (3, 20), dtype=np.uint8)
    again = registry.load(tmp_path)
    with torch.no_grad():
        ids = torch.from_numpy(model.tokenizer.encode(codes).ids)
        expected = model.task.values(model.logits(codes))
        assert expected.std(0).min() > 1e-4
        assert (reference(input_ids=ids).logits - expected).abs().max() <= 1e-4
        assert (again.task.values(again.logits(codes)) - expected).abs().max() <= 1e-4
        labels = torch.arange(3.0 * len(classes)).reshape(3, -1)
        loss = reference(input_ids=ids, labels=labels if len(classes) > 1 else labels[:, 0]).loss
        assert float(loss) == pytest.approx(float(((expected - labels) ** 2).mean()), rel=1e-4)


def test_a_head_without_a_bias_keeps_the_scale_of_its_values_in_the_classes_of_genoformer() -> None:
    """Llama's output layer has no bias, which the mean needs; a mean of 0 needs none."""
    llama = small_encoder(BaseTokenizer(), **{**SHAPES["llama"], "n_kv_heads": 2})
    values = {"task": "regression", "classes": ("activity",), "head": "linear", "pooling": "last", "head_bias": False}
    scaled = fine_tuned(llama, **values, target_mean=(2.0,), target_std=(3.0,))
    assert scaled.with_plain_outputs() is scaled
    assert registry.huggingface_layout(scaled) == "genoformer-hf-classifier"
    centred = fine_tuned(llama, **values, target_mean=(0.0,), target_std=(3.0,))
    assert registry.huggingface_layout(centred) == "decoder-only-classifier"


def test_half_the_size_and_the_card_go_along(tmp_path) -> None:
    run_well("models", "convert", "demo", tmp_path / "out", "--to", "hf", "--half")
    assert {tensor.dtype for tensor in load_file(tmp_path / "out" / "model.safetensors").values()} == {torch.float16}
    assert (tmp_path / "out" / "card.md").read_text() == folders.read_card("demo")


def test_what_transformers_cannot_read_is_refused(tmp_path) -> None:
    registry.save(small_enformer(), tmp_path / "tracks")
    done = run("models", "convert", tmp_path / "tracks", tmp_path / "out", "--to", "hf")
    assert_refused(done, "is a track model", "expected a transformer of tokens")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match="holds fine-tuned models"):
        registry.save(small_encoder(BaseTokenizer()), tmp_path / "out", layout="genoformer-hf-classifier")
    with pytest.raises(ConfigError, match="holds language models"):
        registry.save(fine_tuned(small_encoder(BaseTokenizer())), tmp_path / "out", layout="genoformer-hf")


def test_damaged_folders_are_refused(tmp_path) -> None:
    registry.save(small_encoder(BaseTokenizer()), tmp_path / "model", layout="genoformer-hf")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    for name, value, message in (
        ("encoder", {**config["encoder"], "wdith": 3}, "wdith"),
        ("encoder", None, "config.json"),
        ("family", "nothing", "nothing"),
    ):
        path.write_text(json.dumps({**config, name: value}))
        with pytest.raises((CheckpointError, ConfigError), match=message):
            registry.load(tmp_path / "model")
    path.write_text(json.dumps(config))
    (tmp_path / "model" / "genoformer_tokenizer.json").write_text(json.dumps(KmerTokenizer(3).to_dict()))
    with pytest.raises(CheckpointError, match=r"genoformer_tokenizer\.json has 69 tokens"):
        registry.load(tmp_path / "model")


def test_only_values_that_take_effect_are_compared() -> None:
    shape = small_encoder(BaseTokenizer()).config
    assert replace(shape, n_kv_heads=2, global_every=5, local_rotary_base=3.0).effective() == shape.effective()
    assert replace(shape, n_kv_heads=1).effective() != shape.effective()
    assert replace(shape, rotary_base=3.0).effective() != shape.effective()
    assert replace(shape, position="alibi", rotary_base=3.0).effective() == replace(shape, position="alibi").effective()
    assert export.notes("dnabert", shape, replace(shape, context_length=9)) == [
        "does not keep context_length = 512, which its layout has no field for."
    ]


def test_bpe_is_written_back_as_it_was_published(tmp_path) -> None:
    """Only pieces that were learned here get a frame and a normalizer, which their file lacks."""
    from genoformer.tokenizers.huggingface import read_as_genoformer_does

    tokenizers = pytest.importorskip("tokenizers")
    model = tokenizers.Tokenizer.from_str(json.dumps(families.BPE.to_dict()["model"]))
    published = BPETokenizer(read_as_genoformer_does(model, ["[CLS]"], ["[SEP]"]).to_str())
    files = published.huggingface_files()
    assert json.loads(files["tokenizer.json"]) == published.to_dict()["model"]
    assert json.loads(families.BPE.huggingface_files()["tokenizer.json"]) == published.to_dict()["model"]


def test_a_model_in_the_shape_of_nucleotide_transformer_v1_is_written_as_esm(tmp_path) -> None:
    """Fewer positions than a window of N would have tokens: the tokenizer has their limit, as from ESM's folder."""
    fields = {**SHAPES["nucleotide-transformer"], "max_tokens": 21, "context_length": 40, "dropout": 0.0}
    registry.save(small_encoder(BlockTokenizer.new(2), **fields), tmp_path / "in")
    run_well("models", "convert", tmp_path / "in", tmp_path / "out", "--to", "hf")
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "out")
    assert type(theirs) is transformers.EsmForMaskedLM
    ours = registry.load(tmp_path / "in")
    ids = torch.tensor(ours.tokenizer.encode(CODES[:, :40]).ids)
    with torch.no_grad():
        assert (theirs.eval()(ids).logits - ours(ids)).abs().max() <= 1e-5


TRAINED = {  # family -> its class in transformers, the tokenizer, and the head
    "bert": ("BertForSequenceClassification", KmerTokenizer(3), "tanh"),
    "esm": ("EsmForSequenceClassification", BlockTokenizer.new(2), "tanh"),
    "nucleotide-transformer": ("EsmForSequenceClassification", BlockTokenizer.new(2), "tanh"),
    "modernbert": ("ModernBertForSequenceClassification", families.BPE, "gelu-norm"),
    "llama": ("LlamaForSequenceClassification", families.BPE, "linear"),
    "qwen3": ("Qwen3ForSequenceClassification", BlockTokenizer.new(1), "linear"),
}


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method`:DeprecationWarning")  # of Lightning with torch.compile
@pytest.mark.parametrize("family", TRAINED)
@pytest.mark.parametrize("tune", ["full", "lora"])
def test_a_head_that_was_trained_here_is_read_by_transformers_alone(family, tune, tmp_path) -> None:
    """Sequences of different lengths, and logits compared with those of the class in transformers."""
    name, tokenizer, head = TRAINED[family]
    size = {"width": 24, "n_layers": 3, "n_heads": 2, "ffn_width": 32, "max_tokens": 64, "context_length": 60}
    size["position"] = SHAPES[family].get("position", "learned")
    if family == "nucleotide-transformer":
        size["position_offset"] = tokenizer.pad_id + 1
    registry.save(families.perturbed(small_encoder(tokenizer, **{**SHAPES[family], **size})), tmp_path / "start")
    draw = np.random.default_rng(3)
    rows = [(decode(draw.integers(0, 4, int(draw.integers(20, 50)), dtype=np.uint8)), "abc"[i % 3]) for i in range(45)]
    (tmp_path / "t.csv").write_text("sequence,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    (tmp_path / "f.toml").write_text(f'[finetune]\nhead = "{head}"\nepochs = 1\nbatch_size = 9\nlearning_rate = 1e-2\n')
    done = run("finetune", tmp_path / "t.csv", "-m", tmp_path / "start", "-c", tmp_path / "f.toml", "-o", tmp_path / "own",
               "--tune", tune)  # fmt: skip
    assert (tmp_path / "own" / "config.json").is_file(), done.stderr
    run_well("models", "convert", tmp_path / "own", tmp_path / "out", "--to", "hf")
    theirs, info = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "out", attn_implementation="eager", output_loading_info=True
    )
    assert (is_stock(theirs), type(theirs).__name__) == (True, name)
    assert [key for key in info["missing_keys"] if not re.search("contact_head|inv_freq|position_embeddings", key)] == []
    ours = registry.load(tmp_path / "own", Classifies)
    encoding = [tokenizer.encode(np.array([list(map("ACGT".index, text))], dtype=np.uint8)).ids[0] for text, _ in rows[:5]]
    ids = torch.full((5, max(map(len, encoding))), tokenizer.pad_id)
    for row, tokens in zip(ids, encoding, strict=True):
        row[: len(tokens)] = torch.from_numpy(tokens)
    keep = ids != tokenizer.pad_id
    with torch.no_grad():
        logits = theirs.eval()(ids, attention_mask=keep.long()).logits
        assert (logits - ours(ids, keep, keep)).abs().max() <= 1e-5
        assert logits.std() > 1e-3
    assert tuple(theirs.config.id2label.values()) == ("a", "b", "c")


def test_a_head_of_a_name_that_does_not_exist_is_refused() -> None:
    from genoformer.training.config import TuningConfig

    with pytest.raises(ConfigError, match=r"head = 'mlp': allowed are norm-gelu, tanh, gelu-norm, linear, plain\."):
        TuningConfig(head="mlp")
    assert [TuningConfig(head=head).pooling for head in ("norm-gelu", "tanh", "gelu-norm", "linear")] == [
        "mean-max", "cls", "cls", "last",
    ]  # fmt: skip
    assert TuningConfig(head="tanh", pooling="mean").pooling == "mean"
