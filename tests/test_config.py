"""Tables -> dataclasses, and the old spellings of saved files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from importlib import import_module
from pathlib import Path

import pytest

from genoformer import config
from genoformer.catalog import shipped
from genoformer.config import RENAMED, checked, current, current_manifest, current_option
from genoformer.errors import ConfigError
from genoformer.models import registry
from genoformer.models.enformer.config import EnformerConfig, preset
from genoformer.models.heads import ClassifierConfig
from genoformer.models.transformer.config import EncoderConfig
from genoformer.training.config import FinetuneConfig, PretrainConfig, TrainingConfig, model_fields
from genoformer.training.resume import RUN, begin
from genoformer.training.track_config import TracksConfig

HOMES = {
    "EncoderConfig": "models.transformer.model",
    "EnformerConfig": "models.enformer.config",
    "ClassifierConfig": "models.heads",
    "TracksConfig": "training.track_config",
    "TrackTuningConfig": "training.track_config",
}  # others are in training.config
OLD_ENCODER = {"n_vocab": 9, "width": 16, "n_layers": 1, "n_heads": 2, "hidden": 24, "stem_kernel": 5, "n_segments": 0}


@pytest.mark.parametrize("kind", RENAMED)
def test_a_renamed_field_exists_and_its_old_name_does_not(kind: str) -> None:
    known = {field.name for field in fields(getattr(import_module(f"genoformer.{HOMES.get(kind, 'training.config')}"), kind))}
    assert set(RENAMED[kind].values()) <= known
    assert not set(RENAMED[kind]) & known


def test_old_spellings_of_saved_configurations_are_read() -> None:
    encoder = EncoderConfig.from_dict(OLD_ENCODER)
    assert (encoder.ffn_width, encoder.conv_kernel, encoder.n_token_types) == (24, 5, 0)
    saved = {"encoder": OLD_ENCODER, "kind": "values", "classes": ["a"], "window": 50, "centre": [2.0], "spread": [0.5]}
    values = ClassifierConfig.from_dict(saved)
    assert (values.encoder, values.target_mean, values.target_std) == (encoder, (2.0,), (0.5,))
    assert EnformerConfig.from_dict({"attention_scale": 0.2, "stem_kernel": 9}) == EnformerConfig(
        qk_init_gain=0.2, stem_kernel=9
    )


@pytest.mark.parametrize("name", ["demo", "mini-tracks"])
def test_bundled_models_hold_old_spellings_and_load(name: str) -> None:
    saved = json.loads((shipped()[name] / "config.json").read_text())["config"]
    model = registry.load(name)
    assert current(type(model.config).__name__, saved) == {key: getattr(model.config, key) for key in saved_names(model, saved)}


def saved_names(model, saved) -> list[str]:
    names = RENAMED[type(model.config).__name__]
    return [names.get(name, name) for name in saved]


def test_old_spellings_of_a_manifest_are_translated_in_its_own_tables_only() -> None:
    start = {"encoder": {"hidden": 8}, "training": {"steps": 3, "mask_rate": 0.1}, "data": {"steps": 1}}
    manifest = {
        "task": "classify",
        "start": {"sha256": "0", "manifest": start},
        "shape": {"tokenizer": {}, "encoder": {"hidden": 8}},
        "finetune": {"mask_rate": 0.1, "shift": 2, "clip": 1.0},
        "tracks": {"bins": 4, "flank": 2},
    }
    assert current_manifest(manifest) == {
        "task": "classify",
        "start": {
            "sha256": "0",
            "manifest": {"model": {"ffn_width": 8}, "training": {"max_steps": 3, "mask_rate": 0.1}, "data": {"steps": 1}},
        },
        "shape": {"tokenizer": {}, "model": {"ffn_width": 8}},
        "finetune": {"token_dropout": 0.1, "max_shift": 2, "max_grad_norm": 1.0},
        "tracks": {"crop_bins": 4, "context_bins": 2},
    }
    new = current_manifest(manifest)
    assert current_manifest(new) == new


def test_an_unfinished_run_from_before_a_field_was_added_is_resumed(tmp_path: Path) -> None:
    now = {"model": asdict(EncoderConfig(n_vocab=9)), "training": asdict(TrainingConfig(max_steps=3))}
    before = {name: dict(table) for name, table in now.items()}
    del before["model"]["norm_type"], before["training"]["ema_decay"]  # as if these two fields were new
    (tmp_path / "state.ckpt").touch()
    (tmp_path / RUN).write_text(json.dumps(before))
    begin(tmp_path, now)
    (tmp_path / RUN).write_text(json.dumps(before))
    with pytest.raises(ConfigError, match=r"other settings \(model.norm_type\)"):
        begin(tmp_path, {**now, "model": {**now["model"], "norm_type": "rms"}})
    (tmp_path / RUN).write_text(json.dumps({"task": "tracks", "model": {}}))  # there the table is the user's, of any family
    with pytest.raises(ConfigError, match=r"other settings \(model.dropout\)"):
        begin(tmp_path, {"task": "tracks", "model": {"dropout": 0.1}})


def test_an_unfinished_run_with_old_spellings_is_resumed(tmp_path: Path) -> None:
    (tmp_path / "state.ckpt").touch()
    (tmp_path / RUN).write_text(json.dumps({"encoder": {"hidden": 8}, "training": {"steps": 3}}))
    begin(tmp_path, {"model": {"ffn_width": 8}, "training": {"max_steps": 3}})
    (tmp_path / RUN).write_text(json.dumps({"encoder": {"hidden": 8}, "training": {"steps": 3}}))
    with pytest.raises(ConfigError, match=r"other settings \(training.max_steps\)"):
        begin(tmp_path, {"model": {"ffn_width": 8}, "training": {"max_steps": 4}})


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (PretrainConfig.read, "[encoder]\nwidth = 8\n", "encoder was renamed to model"),
        (PretrainConfig.read, "[training]\nsteps = 8\n", r"\[training\]: steps was renamed to max_steps; use that name"),
        (PretrainConfig.read, "[training]\nmask_rate = 0.1\nwarmup = 0.1\n", "warmup was renamed to warmup_fraction"),
        (FinetuneConfig.read, "[finetune]\nmask_rate = 0.1\n", "mask_rate was renamed to token_dropout"),
        (TracksConfig.read, "[tracks]\nflank = 1\n", "flank was renamed to context_bins"),
        (TracksConfig.read, "[longrange]\n", "longrange was renamed to model"),
    ],
)
def test_old_spellings_in_a_toml_file_are_refused_with_the_new_name(tmp_path: Path, read, text: str, said: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read(tmp_path / "c.toml")


def test_old_spellings_of_a_preset_are_refused() -> None:
    with pytest.raises(ConfigError, match="attention_scale was renamed to qk_init_gain"):
        preset("tiny", attention_scale=0.5)


def test_a_name_that_is_a_field_again_is_not_an_old_spelling(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass
    class Shape:
        width: int = 1

    monkeypatch.setitem(config.RENAMED, "Shape", {"width": "other"})
    assert checked(Shape, {"width": 2}, "shape") == {"width": 2}


def test_a_model_table_may_name_its_family() -> None:
    assert model_fields({"family": "enformer", "width": 2}, "enformer") == {"width": 2}
    assert model_fields({"width": 2}, "enformer") == {"width": 2}
    with pytest.raises(ConfigError, match="family = 'enformer', but this command trains 'transformer'"):
        model_fields({"family": "enformer"}, "transformer")


@pytest.mark.parametrize(
    ("word", "now"),
    [("--noise", "--noise-places"), ("--noise=3", "--noise-places=3"), ("-o", "-o"), ("a=--noise", "a=--noise")],
)
def test_options_of_a_saved_command_are_translated(word: str, now: str) -> None:
    assert current_option(word) == now
