"""Every published shape is pre-trained, saved in its own layout, continued from there and fine-tuned with LoRA."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from small_models import small_encoder

from genoformer.datasets.sequences import read_labelled
from genoformer.errors import CheckpointError, ConfigError
from genoformer.genome.codes import decode, encode
from genoformer.models import folders, registry
from genoformer.models.lora import LowRank
from genoformer.models.transformer.config import SHAPES, EncoderConfig
from genoformer.models.transformer.model import Encoder
from genoformer.models.tuning import set_trainable, trained_names
from genoformer.tokenizers import BlockTokenizer, BPETokenizer
from genoformer.training.config import FinetuneConfig, PretrainConfig, encoder_fields
from genoformer.training.finetune import finetune
from genoformer.training.jobs import FinetuneJob
from genoformer.training.log import LOG, read_log
from genoformer.training.pretrain import pretrain


class Case(NamedTuple):
    """A family, its tokenizer as TOML, and the layout of its folders."""

    tokenizer: str
    layout: str
    more: str = ""  # lines of [model]


KMERS, BLOCKS, BPE = (
    'tokenizer = "kmer"\nk = 3',
    'tokenizer = "blocks"\nk = 2',
    'tokenizer = "bpe"\nn_vocab = 40',
)
CASES = {
    "bert": Case(KMERS, "dnabert"),
    "dnabert2": Case(BPE, "dnabert2"),
    "gena-lm": Case(BPE, "gena-lm"),
    "esm": Case(BLOCKS, "esm"),
    "nucleotide-transformer": Case(BLOCKS, "esm"),
    "nucleotide-transformer-v2": Case(BLOCKS, "esm"),
    "modernbert": Case(BPE, "modernbert", "local_window = 8"),
    "llama": Case(BLOCKS, "decoder-only", "n_kv_heads = 2"),
    "qwen3": Case(BPE, "decoder-only", "n_kv_heads = 2"),
}
PRETRAIN = """
[tokenizer]
{tokenizer}
[model]
family = "{family}"
width = 32
n_layers = 2
n_heads = 4
ffn_width = 48
context_length = 40
max_tokens = 48
dropout = 0.0
{more}
[training]
objective = "{objective}"
max_steps = 40
batch_size = 16
learning_rate = 5e-3
log_every = 5
eval_bases = 50
"""
FINETUNE = "\n[finetune]\nepochs = 3\nbatch_size = 10\nlearning_rate = 1e-2\ndropout = 0.0\n"


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two contigs in which 9 of 10 bases follow from the one before."""
    random = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    codes = [random.integers(0, 4, 6_000).astype(np.uint8) for _ in range(2)]
    for contig in codes:
        for i in range(1, len(contig)):
            if random.random() < 0.9:
                contig[i] = (contig[i - 1] + 1) % 4
    path.write_text("".join(f">c{i}\n{decode(contig)}\n" for i, contig in enumerate(codes)))
    return path


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sequences of 40 bases, rich in G and C or not."""
    random = np.random.default_rng(1)
    p = [[0.4, 0.1, 0.1, 0.4], [0.1, 0.4, 0.4, 0.1]]
    rows = [(decode(random.choice(4, 40, p=p[i % 2]).astype(np.uint8)), i % 2) for i in range(60)]
    path = tmp_path_factory.mktemp("labelled") / "train.csv"
    path.write_text("sequence,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    return path


def objective_of(family: str) -> str:
    return "causal" if SHAPES[family].get("causal") else "masked"


def config_of(family: str, folder: Path, **changed: str) -> PretrainConfig:
    case = CASES[family]
    fields = {"tokenizer": case.tokenizer, "family": family, "objective": objective_of(family), "more": case.more, **changed}
    (folder / "c.toml").write_text(PRETRAIN.format(**fields))
    return PretrainConfig.read(folder / "c.toml")


def losses(folder: Path) -> list[float]:
    return [row["train_loss"] for row in read_log(folder / LOG) if "train_loss" in row]


@pytest.fixture(scope="module", params=CASES)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, genome: Path) -> tuple[str, Path]:
    """A family, and the folder of a run that was pre-trained in its shape."""
    folder = tmp_path_factory.mktemp(request.param)
    pretrain(config_of(request.param, folder).with_fastas([genome]), folder / "run")
    registry.save(registry.load(folder / "run"), folder / "published", layout=CASES[request.param].layout)
    return request.param, folder


def test_a_family_is_trained_in_its_shape(trained: tuple[str, Path]) -> None:
    family, folder = trained
    shape = registry.load(folder / "run").config
    expected = {**SHAPES[family], **encoder_fields({"width": 32, "dropout": 0.0})}
    if CASES[family].more:
        expected |= {"local_window": 8} if family == "modernbert" else {"n_kv_heads": 2}
    assert {name: getattr(shape, name) for name in expected} == expected
    curve = losses(folder / "run")
    assert all(map(math.isfinite, curve))
    assert curve[-1] < curve[0] - 0.1


@pytest.mark.parametrize("trained", ["gena-lm", "modernbert", "nucleotide-transformer-v2", "llama"], indirect=True)
def test_training_continues_from_published_weights(trained: tuple[str, Path], genome: Path) -> None:
    family, folder = trained
    plan = config_of(family, folder).training
    pretrain(PretrainConfig(training=plan).with_fastas([genome]), folder / "more", start=folder / "published")
    assert losses(folder / "more")[0] < losses(folder / "run")[0]  # it starts where the first run ended
    assert registry.load(folder / "more").config == registry.load(folder / "published").config


def test_published_weights_are_fine_tuned_with_adapters(trained: tuple[str, Path], labelled: Path) -> None:
    _, folder = trained
    (folder / "f.toml").write_text(FINETUNE + 'tune = "lora"\nlora_rank = 2\n')
    config = FinetuneConfig.read(folder / "f.toml")
    job = FinetuneJob(read_labelled(labelled), folder / "tuned", "classify", config, starts=[folder / "published"])
    done = finetune(job)
    assert done is not None
    curve = losses(folder / "tuned")
    assert all(map(math.isfinite, curve))
    assert min(curve[1:]) < curve[0]
    before, after = registry.load(folder / "published"), registry.load(folder / "tuned").encoder
    for part in ("attention.qkv", "attention.out", "up", "down"):  # all four have an adapter, which was merged
        name = f"layers.1.{part}.weight"
        assert not torch.equal(before.state_dict()[name], after.state_dict()[name]), name
    assert torch.equal(before.tokens.weight, after.tokens.weight)


@pytest.mark.parametrize("family", ["modernbert", "llama"])
def test_a_classifier_is_trained_from_scratch_in_a_familys_shape(family: str, labelled: Path, tmp_path: Path) -> None:
    tables = f'[tokenizer]\n{BLOCKS}\n[model]\nfamily = "{family}"\nwidth = 16\nn_layers = 1\nn_heads = 2\nffn_width = 24\n'
    (tmp_path / "f.toml").write_text(tables + FINETUNE)
    done = finetune(
        FinetuneJob(read_labelled(labelled), tmp_path / "out", "classify", FinetuneConfig.read(tmp_path / "f.toml"))
    )
    assert done is not None
    curve = losses(tmp_path / "out")
    assert all(map(math.isfinite, curve))
    assert curve[-1] < curve[0]
    shape = registry.load(tmp_path / "out").config.encoder
    assert (shape.norm_type, shape.causal) == (("rms", True) if family == "llama" else ("layer", False))


# --- what is refused


def test_a_causal_family_needs_the_causal_objective(genome: Path, tmp_path: Path) -> None:
    config = config_of("llama", tmp_path, objective="masked").with_fastas([genome])
    with pytest.raises(ConfigError, match=r'llama is a causal model; set objective = "causal" in \[training\]'):
        pretrain(config, tmp_path / "run")


HYBRID = """
[tokenizer]
tokenizer = "base"
[model]
family = "hybrid"
width = 16
n_heads = 2
ffn_width = 24
pool = 2
context_length = 40
[training]
max_steps = 60
batch_size = 16
learning_rate = 1e-2
log_every = 5
eval_bases = 50
"""


def test_a_hybrid_model_is_pretrained_continued_and_fine_tuned(genome: Path, labelled: Path, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(HYBRID)
    config = PretrainConfig.read(tmp_path / "c.toml").with_fastas([genome])
    pretrain(config, tmp_path / "run")
    curve = losses(tmp_path / "run")
    assert curve[-1] < curve[0] - 0.3
    assert [row["valid_bits_per_base"] for row in read_log(tmp_path / "run" / LOG) if "valid_bits_per_base" in row][-1] < 1.6
    assert folders.read_manifest(tmp_path / "run")["model"]["family"] == "hybrid"  # type: ignore[index]
    plan = replace(config.training, max_steps=6)
    pretrain(PretrainConfig(training=plan).with_fastas([genome]), tmp_path / "more", start=tmp_path / "run")
    assert losses(tmp_path / "more")[0] < curve[0] - 0.3
    (tmp_path / "f.toml").write_text(FINETUNE + 'tune = "lora"\nlora_rank = 2\n')
    settings = FinetuneConfig.read(tmp_path / "f.toml")
    job = FinetuneJob(read_labelled(labelled), tmp_path / "tuned", "classify", settings, starts=[tmp_path / "run"])
    assert finetune(job) is not None
    before, after = registry.load(tmp_path / "run").state_dict(), registry.load(tmp_path / "tuned").encoder.state_dict()
    changed = {name for name, x in before.items() if not torch.equal(x, after[name])}
    assert changed == {f"layers.{i}.{part}.weight" for i in (0, 1) for part in ("attention.qkv", "attention.out", "up", "down")}


def test_a_hybrid_model_cannot_be_causal(genome: Path, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(HYBRID.replace("[training]", '[training]\nobjective = "causal"'))
    with pytest.raises(ConfigError, match="a hybrid model sees both sides of a base; set objective"):
        pretrain(PretrainConfig.read(tmp_path / "c.toml").with_fastas([genome]), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"\[model\]: unknown fields position; known are n_vocab, width, token_width"):
        encoder_fields({"family": "hybrid", "position": "alibi"})


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"family": "bart"}, r"family = 'bart'; from scratch it is transformer, hybrid, cloze, bert, dnabert2, .*, qwen3"),
        ({"family": ["llama"]}, "family = .'llama'."),
        ({"family": "llama", "n_vocab": 3}, "n_vocab follows from the tokenizer"),
        ({"family": "llama", "layers": 3}, "unknown fields layers"),
    ],
)
def test_model_tables_that_are_refused(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        encoder_fields(table)


def test_fields_of_the_table_override_those_of_the_family() -> None:
    assert encoder_fields({"family": "llama", "norm_eps": 1e-5, "width": 8})["norm_eps"] == 1e-5
    assert encoder_fields({"family": "transformer", "width": 8}) == encoder_fields({"width": 8}) == {"width": 8}


def test_a_model_without_a_head_is_not_pretrained(genome: Path, tmp_path: Path) -> None:
    model = Encoder(EncoderConfig(n_vocab=27, width=8, n_layers=1, n_heads=2, ffn_width=8, max_tokens=64, output="none"))
    model.tokenizer = BlockTokenizer.new(2)
    registry.save(model, tmp_path / "m")
    with pytest.raises(ConfigError, match="has no head that predicts tokens, which pretrain trains"):
        pretrain(PretrainConfig().with_fastas([genome]), tmp_path / "run", start=tmp_path / "m")


# --- freezing


@pytest.mark.parametrize("family", CASES)
def test_every_way_of_freezing_trains_what_it_names(family: str) -> None:
    model = Encoder(
        EncoderConfig(**{**SHAPES[family], "n_vocab": 27, "width": 16, "n_layers": 3, "n_heads": 2, "ffn_width": 16})
    )
    chosen = {tune: trained_names(model, tune, 1) for tune in ("full", "last", "norms", "frozen")}
    assert not any(name.startswith(("decoder", "transform", "norm_transform")) for name in chosen["full"])
    last = {name for name in chosen["full"] if name.startswith("layers.2.")}
    assert chosen["last"] == last | {
        name for name in chosen["full"] if name.startswith("norm.") and model.layers[0].post is False
    }
    assert chosen["norms"] == {name for name in chosen["full"] if "norm" in name}
    assert len(chosen["norms"]) >= 7
    assert not chosen["frozen"]
    set_trainable(model, "lora", rank=2)
    adapters = [name for name, module in model.named_modules() if isinstance(module, LowRank)]
    assert len(adapters) == 3 * 4
    assert {name.rpartition(".")[2] for name, p in model.named_parameters() if p.requires_grad} == {"a", "b"}


def test_a_genome_with_n_is_trained_on_with_learned_positions(genome: Path, tmp_path: Path) -> None:
    """N make more tokens than a model has positions for: from scratch, continued from a published layout, and fine-tuned."""
    random = np.random.default_rng(2)
    codes = [random.integers(0, 4, 3_000).astype(np.uint8) for _ in range(2)]
    for contig in codes:
        contig[::25] = 4
    (tmp_path / "n.fa").write_text("".join(f">c{i}\n{decode(contig)}\n" for i, contig in enumerate(codes)))
    config_of("nucleotide-transformer", tmp_path)
    text = (tmp_path / "c.toml").read_text().replace("max_tokens = 48", "max_tokens = 21")
    (tmp_path / "c.toml").write_text(text.replace("max_steps = 40", "max_steps = 4"))
    config = PretrainConfig.read(tmp_path / "c.toml").with_fastas([tmp_path / "n.fa"])
    pretrain(config, tmp_path / "run")
    assert registry.load(tmp_path / "run").tokenizer.longest == 21
    registry.save(registry.load(tmp_path / "run"), tmp_path / "published", layout="esm")
    plan = PretrainConfig(training=config.training).with_fastas([tmp_path / "n.fa"])
    pretrain(plan, tmp_path / "more", start=tmp_path / "published")
    rows = [(decode(codes[0][i : i + 40]), i // 41 % 2) for i in range(0, 2_000, 41)]
    (tmp_path / "n.csv").write_text("sequence,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    (tmp_path / "f.toml").write_text(FINETUNE)
    config_of_tuning = FinetuneConfig.read(tmp_path / "f.toml")
    finetune(
        FinetuneJob(
            read_labelled(tmp_path / "n.csv"), tmp_path / "tuned", "classify", config_of_tuning, starts=[tmp_path / "published"]
        )
    )
    assert registry.load(tmp_path / "tuned").config.window == 40


FROM_SCRATCH = """
[tokenizer]
{tokenizer}
[model]
family = "{family}"
width = 16
n_layers = 2
n_heads = 2
ffn_width = 24
max_tokens = 48
[finetune]
epochs = 1
batch_size = 10
"""


def tuned_from_scratch(folder: Path, labelled: Path, family: str, tokenizer: str) -> Any:
    """The model that a run from scratch writes."""
    (folder / "f.toml").write_text(FROM_SCRATCH.format(family=family, tokenizer=tokenizer))
    finetune(FinetuneJob(read_labelled(labelled), folder / "out", "classify", FinetuneConfig.read(folder / "f.toml")))
    return registry.load(folder / "out")


@pytest.mark.parametrize("family", ["modernbert", "dnabert2", "gena-lm"])
def test_families_of_bpe_are_fine_tuned_from_scratch_with_a_vocabulary_of_the_training_data(family, labelled, tmp_path) -> None:
    data = read_labelled(labelled)
    model = tuned_from_scratch(tmp_path, labelled, family, 'tokenizer = "bpe"\nn_vocab = 24')
    assert model.tokenizer.n_vocab == 24
    pieces = [token for token in model.tokenizer.vocab if set(token) <= set("ACGT")]
    assert len(pieces) == 24 - 5
    texts = [decode(codes) for codes in data.sequences]
    assert all(any(piece in text for text in texts) for piece in pieces)
    assert any(len(piece) > 1 for piece in pieces)


@pytest.mark.parametrize("layout", ["genoformer", "modernbert"])
def test_a_tokenizer_file_is_taken(layout, labelled, tmp_path, genome) -> None:
    """The tokenizer.json of a model, in genoformer's layout and in that of transformers."""
    tokenizer = BPETokenizer.train([encode("ACGTTACCGGTAACG" * 4)], 20)
    registry.save(small_encoder(tokenizer, **SHAPES["modernbert"]), tmp_path / "model", layout=layout)
    path = tmp_path / "model" / "tokenizer.json"
    model = tuned_from_scratch(tmp_path, labelled, "modernbert", f'file = "{path}"')
    codes = encode("ACGTTACCGGTAACGATTACA")[None]
    assert model.tokenizer.encode(codes).ids.tolist() == tokenizer.encode(codes).ids.tolist()
    config_of("modernbert", tmp_path, tokenizer=f'file = "{path}"')
    (tmp_path / "c.toml").write_text((tmp_path / "c.toml").read_text().replace("max_steps = 40", "max_steps = 2"))
    pretrain(PretrainConfig.read(tmp_path / "c.toml").with_fastas([genome]), tmp_path / "run")
    assert registry.load(tmp_path / "run").tokenizer.encode(codes).ids.tolist() == tokenizer.encode(codes).ids.tolist()


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        ('file = "absent.json"', "absent.json cannot be read"),
        ('file = "{}/f.toml"', "not a tokenizer file .*; give the path of a tokenizer.json"),
        ('file = "a.json"\nk = 3', "give file alone, the path of a tokenizer.json"),
        ("file = 3", "give file alone, the path of a tokenizer.json"),
    ],
)
def test_a_file_that_is_no_tokenizer_is_refused(tokenizer, message, labelled, tmp_path) -> None:
    with pytest.raises((ConfigError, CheckpointError), match=message):
        tuned_from_scratch(tmp_path, labelled, "modernbert", tokenizer.format(tmp_path))
