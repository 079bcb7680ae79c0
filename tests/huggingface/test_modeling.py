"""Models of genoformer as classes of transformers: Auto classes, losses, padding, folders both ways, the Trainer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from small_models import small_encoder

from genoformer.errors import ConfigError
from genoformer.models import registry
from genoformer.models.cloze.config import ClozeConfig
from genoformer.models.cloze.model import Cloze
from genoformer.models.heads import ClassifierConfig, SequenceClassifier
from genoformer.models.hybrid.config import HybridConfig
from genoformer.models.hybrid.model import Hybrid
from genoformer.models.transformer.config import SHAPES
from genoformer.models.transformer.model import Encoder
from genoformer.tokenizers import BaseTokenizer, BlockTokenizer, KmerTokenizer

transformers = pytest.importorskip("transformers", reason="the classes are of transformers (extra: hf)")

from genoformer.huggingface import (  # noqa: E402  # after the check that transformers is installed
    GenoformerConfig,
    GenoformerForCausalLM,
    GenoformerForMaskedLM,
    GenoformerForSequenceClassification,
    GenoformerModel,
    GenoformerTokenizer,
)

CODES = np.random.default_rng(5).integers(0, 4, (3, 48), dtype=np.uint8)
TEXTS = ["ACGTNACGTTGCATGCATTG", "acgtnnacgtt", "TTGACA"]
CAUSAL = {**SHAPES["qwen3"], "causal": True, "conv_kernel": 3}
SHAPES_OF_OURS = {
    "rotary and stem": (BaseTokenizer(), {"conv_kernel": 5}),
    "k-mers": (KmerTokenizer(3), {"position": "learned", "norm": "pre"}),
    "untied": (BaseTokenizer(), {"tied_decoder": False}),
    "token dropout": (
        BlockTokenizer.new(2),
        {**SHAPES["nucleotide-transformer-v2"], "embedding_norm": True},
    ),
    "causal": (BaseTokenizer(), CAUSAL),
}

OTHER_FAMILIES = {
    "hybrid": lambda: Hybrid(HybridConfig(n_vocab=9, width=16, n_layers=2, n_heads=2, ffn_width=24, pool=1)),
    "cloze": lambda: Cloze(ClozeConfig(width=16, n_layers=2, n_heads=2, ffn_width=24, join_width=20)),
}


def perturbed(model: Any) -> Any:
    """Weights and biases that are all different, so that an exchanged one shows."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def language_model(case: str) -> Any:
    if case in OTHER_FAMILIES:
        torch.manual_seed(0)
        model = OTHER_FAMILIES[case]()
        model.tokenizer = BaseTokenizer()
        return perturbed(model)
    tokenizer, fields = SHAPES_OF_OURS[case]
    return perturbed(small_encoder(tokenizer, **fields))


def fine_tuned(**fields: Any) -> Any:
    """A classifier with genoformer's own head."""
    encoder = small_encoder(KmerTokenizer(3), conv_kernel=5)
    values = {"task": "classification", "classes": ("no", "weak", "yes"), "window": 48}
    model = SequenceClassifier(ClassifierConfig(encoder.config, **{**values, **fields}))
    model.tokenizer = encoder.tokenizer
    return perturbed(model)


@pytest.fixture(params=[*SHAPES_OF_OURS, *OTHER_FAMILIES])
def both(request, tmp_path):
    """A language model, and the same as an Auto class of transformers loads it."""
    ours = language_model(request.param)
    registry.save(ours, tmp_path / "hf", layout="hf")
    auto = transformers.AutoModelForCausalLM if ours.causal else transformers.AutoModelForMaskedLM
    theirs, info = auto.from_pretrained(tmp_path / "hf", output_loading_info=True)
    assert {name: list(names) for name, names in info.items() if names} == {}
    return ours, theirs.eval(), tmp_path / "hf"


def test_logits_of_padded_text_equal_ours(both) -> None:
    ours, theirs, folder = both
    assert isinstance(theirs, GenoformerForCausalLM if ours.causal else GenoformerForMaskedLM)
    batch = transformers.AutoTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
    keep = batch["attention_mask"].bool()
    with torch.no_grad():
        logits = theirs(**batch).logits
        assert torch.equal(theirs(batch["input_ids"]).logits[keep], logits[keep])  # padding is known by its id, too
        for row, text in enumerate(TEXTS):
            alone = ours(torch.tensor([ours.tokenizer(text)["input_ids"]]))[0]
            torch.testing.assert_close(logits[row, : len(alone)], alone, atol=1e-5, rtol=0)


def test_folders_go_both_ways_bit_for_bit(both, tmp_path) -> None:
    ours, theirs, folder = both
    theirs.save_pretrained(tmp_path / "again")
    transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "again")
    before, after = (load_file(path / "model.safetensors") for path in (folder, tmp_path / "again"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], tensor) for name, tensor in after.items())
    again = registry.load(tmp_path / "again")
    assert again.config == ours.config
    assert again.tokenizer.to_dict() == ours.tokenizer.to_dict()
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in ours.state_dict().items())


def test_hidden_states_and_attention_are_those_of_the_encoder(both, tmp_path) -> None:
    ours, _, folder = both
    base = transformers.AutoModel.from_pretrained(folder).eval()
    assert isinstance(base, GenoformerModel)
    ids = torch.from_numpy(ours.tokenizer.encode(CODES).ids)
    with torch.no_grad():
        output = base(ids, output_hidden_states=True, output_attentions=True)
        expected = [ours.embed(ids, layer=i) for i in range(len(ours.layers) + 1)]
        first = ours.stem(expected[0]) if isinstance(ours, Encoder) and ours.stem is not None else expected[0]
        torch.testing.assert_close(list(output.hidden_states), [first, *expected[1:]], atol=1e-6, rtol=0)
        by_vector = base(inputs_embeds=base.get_input_embeddings()(ids)).last_hidden_state
    assert len(output.attentions) == len(ours.layers)
    torch.testing.assert_close(output.attentions[-1].sum(-1), torch.ones(output.attentions[-1].shape[:-1]))
    if not getattr(ours.config, "masked_in_training", False):  # vectors are not rescaled
        torch.testing.assert_close(output.last_hidden_state, by_vector, atol=1e-5 * isinstance(ours, Cloze), rtol=0)
    assert base(ids, return_dict=False)[0].shape == output.last_hidden_state.shape
    base.save_pretrained(tmp_path / "base")
    assert load_file(tmp_path / "base" / "model.safetensors")["encoder.tokens.weight"].equal(ours.tokens.weight)
    GenoformerTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "base")
    assert registry.load(tmp_path / "base").config == ours.config  # its names have no "model."
    with pytest.raises(ConfigError, match="give input_ids"):
        base()


def test_a_track_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected a transformer of tokens"):
        GenoformerModel.from_pretrained("mini-tracks")


def test_labels_give_the_cross_entropy_of_the_tokens_that_have_one(both) -> None:
    ours, theirs, _ = both
    ids = torch.from_numpy(ours.tokenizer.encode(CODES).ids)
    labels = ids.clone()
    labels[:, ::3] = -100
    with torch.no_grad():
        log_p = ours(ids).log_softmax(-1)
        loss = theirs(ids, labels=labels).loss
    at = [(b, t) for b in range(len(ids)) for t in range(1, ids.shape[1]) if labels[b, t] != -100]
    ahead = int(ours.causal)  # the token before predicts it
    expected = -np.mean([log_p[b, t - ahead, ids[b, t]].item() for b, t in at])
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_are_loaded_in_half_precision_on_request(both, dtype) -> None:
    ours, theirs, folder = both
    half = type(theirs).from_pretrained(folder, torch_dtype=dtype).eval()
    assert {parameter.dtype for parameter in half.parameters()} == {dtype}
    ids = torch.from_numpy(ours.tokenizer.encode(CODES).ids)
    with torch.no_grad():
        assert (half(ids).logits.float() - ours(ids)).abs().max() < 0.1 * ours(ids).std()


def test_folders_and_names_of_genoformer_are_loaded_as_they_are(tmp_path) -> None:
    ours = language_model("rotary and stem")
    registry.save(ours, tmp_path / "own")
    theirs = GenoformerForMaskedLM.from_pretrained(tmp_path / "own", torch_dtype=torch.bfloat16)
    assert theirs.dtype == torch.bfloat16
    assert theirs.config.name_or_path == str(tmp_path / "own")
    assert torch.equal(theirs.model.encoder.tokens.weight, ours.tokens.weight.bfloat16())
    demo = registry.load("demo")
    text = "ACGTTGCATG"
    tokenizer = GenoformerTokenizer.from_pretrained("demo")
    with torch.no_grad():
        batch = tokenizer(text, return_tensors="pt")
        logits = GenoformerForMaskedLM.from_pretrained("demo")(**batch).logits
        assert torch.equal(logits, demo(batch["input_ids"]))
    assert tokenizer(text)["input_ids"] == demo.tokenizer(text)["input_ids"]


def test_a_fine_tuned_model_goes_both_ways(tmp_path) -> None:
    ours = fine_tuned(both_strands=True, overlap=8)
    registry.save(ours, tmp_path / "own")
    registry.save(ours, tmp_path / "hf", layout="hf")
    for folder, load in (
        (tmp_path / "hf", transformers.AutoModelForSequenceClassification),
        (tmp_path / "own", GenoformerForSequenceClassification),
    ):
        theirs = load.from_pretrained(folder).eval()
        assert isinstance(theirs, GenoformerForSequenceClassification)
        assert theirs.config.id2label == {0: "no", 1: "weak", 2: "yes"}
        batch = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")(TEXTS, padding=True, return_tensors="pt")
        with torch.no_grad():
            logits = theirs(**batch).logits
            for row, text in enumerate(TEXTS):  # padding and [CLS] are no part of the mean
                alone = ours.logits(registry_codes(text))
                torch.testing.assert_close(logits[row : row + 1], alone, atol=1e-5, rtol=0)
        theirs.save_pretrained(tmp_path / "again")
        GenoformerTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "again")
        again = registry.load(tmp_path / "again")
        assert again.config == ours.config
        assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in ours.state_dict().items())


def registry_codes(text: str) -> Any:
    from genoformer.genome.codes import encode

    return encode(text)[None]


def test_values_have_their_own_unit_and_labels_their_loss() -> None:
    """mean 2, standard deviation 3: the loss is in units of the standard deviation."""
    ours = fine_tuned(task="regression", classes=("a", "b"), target_mean=(2.0, 0.0), target_std=(3.0, 0.5))
    config = GenoformerConfig.for_tokenizer(
        ours.config.encoder,
        ours.tokenizer,
        head={"window": 48, "target_mean": [2.0, 0.0], "target_std": [3.0, 0.5]},
        id2label={0: "a", 1: "b"},
        problem_type="regression",
    )
    theirs = GenoformerForSequenceClassification(config).eval()
    theirs.model.load_state_dict(ours.state_dict())
    ids = torch.from_numpy(ours.tokenizer.encode(CODES).ids)
    labels = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    with torch.no_grad():
        output = theirs(ids, labels=labels)
        raw = ours.logits(CODES)
    mean, std = torch.tensor([2.0, 0.0]), torch.tensor([3.0, 0.5])
    torch.testing.assert_close(output.logits, raw * std + mean)
    torch.testing.assert_close(output.loss, ((raw - (labels - mean) / std) ** 2).mean())


@pytest.mark.parametrize(
    ("problem", "labels"),
    [("single_label_classification", torch.tensor([0, 1, 1])), ("multi_label_classification", torch.eye(3)[:, :2])],
)
def test_losses_of_classes_and_labels(problem, labels) -> None:
    tokenizer = BaseTokenizer()
    config = GenoformerConfig.for_tokenizer(small_encoder(tokenizer).config, tokenizer, num_labels=2, problem_type=problem)
    model = GenoformerForSequenceClassification(config).eval()
    output = model(torch.from_numpy(tokenizer.encode(CODES).ids), labels=labels)
    loss = F.cross_entropy if labels.dim() == 1 else F.binary_cross_entropy_with_logits
    torch.testing.assert_close(output.loss, loss(output.logits, labels))


def test_a_language_model_becomes_a_classifier_with_a_new_head(tmp_path) -> None:
    ours = language_model("rotary and stem")
    registry.save(ours, tmp_path / "own")
    model, info = GenoformerForSequenceClassification.from_pretrained(tmp_path / "own", num_labels=4, output_loading_info=True)
    assert {name.split(".")[1] for name in info["missing_keys"]} == {"norm", "hidden", "out"}
    assert torch.equal(model.model.encoder.tokens.weight, ours.tokens.weight)
    assert model(torch.from_numpy(ours.tokenizer.encode(CODES).ids)).logits.shape == (3, 4)
    assert torch.isfinite(model.model.out.weight).all()
    assert model.model.norm.weight.eq(1).all()


def training_arguments(folder: Any, **options: Any) -> Any:
    return transformers.TrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        max_steps=3,
        learning_rate=0.02,
        per_device_train_batch_size=16,
        report_to=[],
        logging_steps=1,
        save_strategy="no",
        seed=0,
        **options,
    )


def test_the_trainer_of_transformers_trains_a_classifier(tmp_path) -> None:
    """Sequences of A and T only, against G and C only: three steps lower the loss."""
    pytest.importorskip("accelerate", reason="the Trainer of transformers needs accelerate")
    tokenizer = GenoformerTokenizer(dna=KmerTokenizer(3))
    config = GenoformerConfig.for_tokenizer(small_encoder(KmerTokenizer(3)).config, KmerTokenizer(3), num_labels=2)
    torch.manual_seed(0)
    model = GenoformerForSequenceClassification(config)
    pairs, draw = ("AT", "GC"), np.random.default_rng(0)
    examples = [{**tokenizer("".join(draw.choice(list(pairs[i % 2]), 20 + i % 5))), "labels": i % 2} for i in range(48)]
    trainer = transformers.Trainer(
        model=model,
        args=training_arguments(tmp_path),
        train_dataset=examples,
        data_collator=transformers.DataCollatorWithPadding(tokenizer),
    )
    before = trainer.evaluate(examples)["eval_loss"]
    trainer.train()
    assert trainer.evaluate(examples)["eval_loss"] < 0.9 * before
    trainer.save_model(str(tmp_path / "saved"))
    tokenizer.save_pretrained(tmp_path / "saved")
    ours = registry.load(tmp_path / "saved")
    with torch.no_grad():
        ids = torch.tensor([examples[0]["input_ids"]])
        torch.testing.assert_close(model.eval()(ids).logits, ours.logits(registry_codes(tokenizer.decode(ids[0], True))))


def test_the_trainer_of_transformers_trains_a_masked_language_model(tmp_path) -> None:
    pytest.importorskip("accelerate", reason="the Trainer of transformers needs accelerate")
    tokenizer = GenoformerTokenizer(dna=BaseTokenizer())
    torch.manual_seed(0)
    model = GenoformerForMaskedLM(GenoformerConfig.for_tokenizer(small_encoder(BaseTokenizer()).config, BaseTokenizer()))
    examples = [tokenizer("AC" * (10 + i % 3)) for i in range(48)]
    trainer = transformers.Trainer(
        model=model,
        args=training_arguments(tmp_path),
        train_dataset=examples,
        data_collator=transformers.DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.3),
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < losses[0]
    assert losses[0] == pytest.approx(math.log(9), abs=0.4)


def test_generate_continues_a_sequence_as_the_most_likely_tokens_do(tmp_path) -> None:
    ours = language_model("causal")
    registry.save(ours, tmp_path / "hf", layout="hf")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "hf").eval()
    ids = torch.tensor([ours.tokenizer("ACGT")["input_ids"]])
    expected = ids
    with torch.no_grad():
        generated = theirs.generate(ids, max_new_tokens=6, do_sample=False)
        for _ in range(6):
            expected = torch.cat([expected, ours(expected)[:, -1:].argmax(-1)], dim=1)
    assert generated.tolist() == expected.tolist()


def test_input_that_does_not_fit_is_refused() -> None:
    masked, causal = (
        GenoformerConfig.for_tokenizer(language_model(case).config, BaseTokenizer()) for case in ("untied", "causal")
    )
    with pytest.raises(ConfigError, match="found a causal model, which GenoformerForMaskedLM does not hold"):
        GenoformerForMaskedLM(causal)
    with pytest.raises(ConfigError, match="take GenoformerForMaskedLM"):
        GenoformerForCausalLM(masked)
    with pytest.raises(ConfigError, match="without a head that predicts tokens"):
        GenoformerForMaskedLM(GenoformerConfig({**masked.encoder, "output": "none"}))
    model = GenoformerForSequenceClassification(masked)
    ids = torch.from_numpy(BaseTokenizer().encode(CODES).ids)
    with pytest.raises(ConfigError, match="set problem_type"):
        model(ids, labels=torch.rand(3, 2))
    mask = torch.ones_like(ids)
    mask[1, :4] = 0
    with pytest.raises(ConfigError, match="padding before the first token"):
        model(ids, mask)


def test_left_padding_of_a_causal_model_with_rotary_positions_does_not_change_it() -> None:
    ours = language_model("causal")
    theirs = GenoformerForCausalLM(GenoformerConfig.for_tokenizer(ours.config, ours.tokenizer)).eval()
    theirs.model.encoder.load_state_dict(ours.state_dict())
    ids = torch.tensor([ours.tokenizer("ACGTTGCA")["input_ids"]])
    padded = F.pad(ids, (3, 0), value=ours.tokenizer.pad_id)
    with torch.no_grad():
        logits = theirs(padded, (padded != ours.tokenizer.pad_id).long()).logits[:, 3:]
        torch.testing.assert_close(logits, ours(ids), atol=1e-5, rtol=0)
