"""The configuration of a model in job.json: new and renamed fields keep it, other values change it, earlier folders resume."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, make_dataclass, replace
from typing import Any

import pytest

from genoformer import config
from genoformer.models import registry
from genoformer.models.enformer.config import EnformerConfig
from genoformer.models.enformer.model import Enformer
from genoformer.models.heads import ClassifierConfig, SequenceClassifier
from genoformer.models.transformer.config import EncoderConfig
from genoformer.models.transformer.model import Encoder
from genoformer.resume_folder import JobError
from genoformer.scoring.fingerprint import CONFIGURATION, configurations, current_configurations
from genoformer.scoring.parts import PartFolder
from genoformer.tokenizers import BaseTokenizer, KmerTokenizer

# as the version before 20 fields were added stored the bundled models
DEMO = (
    "EncoderConfig(n_vocab=9, width=160, n_layers=4, n_heads=5, ffn_width=480, max_tokens=130, context_length=128, "
    "position='rotary', norm='pre', activation='gelu', conv_kernel=15, causal=False, dropout=0.0, norm_eps=1e-12, "
    "init_std=0.02, n_token_types=2, pooler=False) " + hashlib.sha256(b"{'tokenizer': 'base'}").hexdigest()
)
TRACKS = (
    "EnformerConfig(width=96, n_blocks=2, n_heads=4, key_width=24, stem_kernel=15, tower_kernel=5, n_pools=7, divisible_by=8, "
    "context_length=49152, target_bins=256, heads={'tracks': 74}, dropout=0.2, attention_dropout=0.05, position_dropout=0.01, "
    "qk_init_gain=1.0) "
)


@dataclass(frozen=True)
class Shape:
    size: int
    heads: dict[str, int] = field(default_factory=lambda: {"a": 1})
    kind: str = "plain"


def test_only_fields_that_differ_from_their_defaults_are_written() -> None:
    assert config.earliest(Shape(3)) == {"size": 3}
    assert config.earliest(Shape(3, {"a": 2}, "other")) == {"size": 3, "heads": {"a": 2}, "kind": "other"}
    assert config.earliest((Shape(3), Shape(4))) == [{"size": 3}, {"size": 4}]


def test_a_renamed_field_and_value_keep_their_first_spelling(monkeypatch) -> None:
    now = make_dataclass("Shape", [("n", int), ("sort", str, "plain"), ("added", int, 7)])
    monkeypatch.setitem(config.RENAMED, "Shape", {"size": "n", "kind": "sort"})
    monkeypatch.setitem(config.RENAMED_VALUES, ("Shape", "sort"), {"odd": "strange"})
    before = config.earliest(Shape(3, kind="odd"))
    assert before == config.earliest(now(3, "strange")) == {"size": 3, "kind": "odd"}
    assert config.earliest(now(3, "strange", 8)) == {**before, "added": 8}


def test_the_text_of_a_model_by_hand() -> None:
    shape = EncoderConfig(n_vocab=9, width=16, n_layers=1, n_heads=2, ffn_width=24)
    model = Encoder(shape)
    model.tokenizer = BaseTokenizer()
    by_hand = {"hidden": 24, "n_heads": 2, "n_layers": 1, "n_vocab": 9, "width": 16}
    sha256 = hashlib.sha256(repr(BaseTokenizer().to_dict()).encode()).hexdigest()
    assert json.loads(configurations([model])) == [[by_hand, sha256]]
    for name, value in (("width", 18), ("causal", True), ("norm", "pre")):
        other = Encoder(replace(shape, **{name: value}))
        other.tokenizer = BaseTokenizer()
        assert configurations([other]) != configurations([model])


def test_a_nested_configuration_is_written_the_same_way() -> None:
    model = SequenceClassifier(
        ClassifierConfig(EncoderConfig(9, 16, 1, 2, 24), "regression", ("x",), 50, target_mean=(0.5,), target_std=(2.0,))
    )
    model.tokenizer = BaseTokenizer()
    ((fields, _),) = json.loads(configurations([model]))
    assert fields["encoder"] == {"n_vocab": 9, "width": 16, "n_layers": 1, "n_heads": 2, "hidden": 24}
    assert (fields["kind"], fields["centre"], fields["spread"]) == ("values", [0.5], [2.0])


def upgraded(text: str, *models: Any) -> bool:
    job = {CONFIGURATION: text, "VCF": "v"}
    after = current_configurations(job, models)
    assert after["VCF"] == "v"
    assert after[CONFIGURATION] in (text, configurations(models))
    return after[CONFIGURATION] != text


def test_the_text_of_an_earlier_version_describes_the_same_models() -> None:
    demo, tracks = registry.load("demo"), registry.load("mini-tracks")
    assert upgraded(DEMO, demo)
    assert upgraded(f"{DEMO} {DEMO}", demo, demo)
    assert upgraded(TRACKS, tracks)
    assert upgraded(f"{TRACKS} {TRACKS}", tracks, tracks)
    assert upgraded(DEMO.replace("ffn_width", "hidden"), demo)  # before that field was renamed


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{DEMO} {DEMO}",
        DEMO.replace("width=160", "width=161"),
        DEMO.replace("causal=False", "causal=True"),
        DEMO[:-1] + ("0" if DEMO[-1] != "0" else "1"),
        DEMO.partition(")")[0] + ") ",
        DEMO.replace("pooler=False", "pooler=False, unknown=1"),
        DEMO.replace("n_vocab=9", "n_vocab=print(9)"),
        "[" * 5000 + ") ",
        TRACKS,
    ],
)
def test_the_text_of_another_model_stays_as_it_is(text: str) -> None:
    assert not upgraded(text, registry.load("demo"))


def test_a_folder_of_the_earlier_version_resumes_and_that_of_another_model_does_not(tmp_path) -> None:
    demo, other = registry.load("demo"), registry.load("mini-human")
    PartFolder(tmp_path / "o.vcf", {"VCF": "v", CONFIGURATION: DEMO})

    def opened(*models) -> PartFolder:
        job = {"VCF": "v", CONFIGURATION: configurations(models)}
        return PartFolder(tmp_path / "o.vcf", job, lambda stored: current_configurations(stored, models))

    assert not opened(demo).is_new
    with pytest.raises(JobError, match="unfinished work of a run that differs in model configuration"):
        opened(other)
    with pytest.raises(JobError, match="differs in model configuration"):
        opened(demo, demo)


def test_a_tokenizer_of_another_k_is_another_model() -> None:
    model = Encoder(EncoderConfig(KmerTokenizer(1).n_vocab, 16, 1, 2, 24))
    model.tokenizer = KmerTokenizer(1)
    before = configurations([model])
    model.tokenizer = BaseTokenizer()
    assert configurations([model]) != before


def test_a_model_of_tracks_has_no_tokenizer_in_its_text() -> None:
    shape = EnformerConfig(width=48, n_blocks=1, n_heads=4, divisible_by=4, context_length=1024, target_bins=0, heads={"h": 2})
    ((fields, sha256),) = json.loads(configurations([Enformer(shape)]))
    assert fields["heads"] == {"h": 2}
    assert sha256 == ""
