"""Stages of a run by one configuration: an encoder of the training sequences, teachers, and members that start from both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genoformer import inference
from genoformer.datasets.sequences import read_labelled
from genoformer.errors import ConfigError
from genoformer.genome.codes import decode
from genoformer.models import registry
from genoformer.training.finetune import finetune
from genoformer.training.jobs import FinetuneJob

TABLES = """
[tokenizer]
tokenizer = "base"
[model]
family = "hybrid"
width = 16
n_layers = 1
n_heads = 2
ffn_width = 16
stem_kernel = 5
[finetune]
epochs = 1
batch_size = 20
evals_per_epoch = 1
"""
PRETRAIN = "[pretrain]\nepochs = 1\nbatch_size = 20\n"
DISTIL = "[distil]\nmembers = 2\nweight = 0.6\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 training and 20 validation sequences of 30 bases, rich in G and C or not."""
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(1)
    p = [[0.4, 0.1, 0.1, 0.4], [0.1, 0.4, 0.4, 0.1]]
    for name, n in (("train", 60), ("valid", 20)):
        rows = [f"{decode(random.choice(4, 30, p=p[i % 2]).astype(np.uint8))},{'ab'[i % 2]}\n" for i in range(n)]
        (folder / f"{name}.csv").write_text("sequence,label\n" + "".join(rows))
    return folder


def run(data: Path, out: Path, tables: str, **options: Any) -> tuple[Any, list[str]]:
    (out.parent / "c.toml").write_text(tables)
    notes: list[str] = []
    settings = {"config": out.parent / "c.toml", "valid": data / "valid.csv", **options}
    job = FinetuneJob.from_names(data / "train.csv", out, **settings)
    return finetune(job, on_note=notes.append), notes


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


def test_one_configuration_runs_all_stages_and_its_repetition_reuses_them(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done, notes = run(data, out, TABLES + PRETRAIN + DISTIL, seeds=2)
    assert done is not None
    assert [path.name for path in sorted(out.iterdir()) if path.is_dir()] == ["pretrained", "seed-0", "seed-1", "teachers"]
    assert [path.name for path in sorted((out / "teachers").iterdir())] == ["seed-1000", "seed-1001"]
    assert any("masked tokens of the 60 training sequences" in note for note in notes)
    assert any("trains 2 models, whose predictions become part of the labels" in note for note in notes)
    encoder = registry.load(out / "pretrained")
    for folder in (out / "seed-0", out / "teachers" / "seed-1000"):
        assert manifest(folder)["start"]["sha256"] == encoder.sha256
    assert "teacher" not in manifest(out / "teachers" / "seed-1000")
    taught = [registry.load(out / "teachers" / f"seed-{seed}").sha256 for seed in (1000, 1001)]
    assert manifest(out / "seed-0")["teacher"] == {"names": ["seed-1000", "seed-1001"], "sha256": taught, "weight": 0.6}
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    (out / "ensemble.json").unlink()  # as if the run had ended before it
    again, _ = run(data, out, TABLES + PRETRAIN + DISTIL, seeds=2)
    assert again is not None
    assert repr(again.ensemble) == repr(done.ensemble)  # with NaN for MCC
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")} == before
    (out / "ensemble.json").unlink()
    with pytest.raises(
        ConfigError, match=r"pretrained holds an encoder that was trained in another way \(in_domain.epochs differ"
    ):
        run(data, out, TABLES + PRETRAIN.replace("epochs = 1", "epochs = 2") + DISTIL, seeds=2)


def test_labels_become_those_of_a_model_that_is_named(data: Path, tmp_path: Path) -> None:
    """With weight 1 and training to the end a model learns a teacher that says the opposite of the labels."""
    swapped = tmp_path / "swapped"
    swapped.mkdir()
    for name in ("train.csv", "valid.csv"):
        text = (data / name).read_text()
        (swapped / name).write_text(text.replace(",a\n", ",x\n").replace(",b\n", ",a\n").replace(",x\n", ",b\n"))
    learn = TABLES.replace("epochs = 1", "epochs = 12\nlearning_rate = 1e-2\ndropout = 0.0")
    run(swapped, tmp_path / "teacher", learn)
    out = tmp_path / "out"
    run(
        data,
        out,
        learn.replace("evals_per_epoch", 'keep = "last"\nevals_per_epoch') + "[distil]\nweight = 1.0\n",
        distil=tmp_path / "teacher",
    )
    sequences, labels = read_labelled(data / "valid.csv").sequences, [i % 2 for i in range(20)]
    values = inference.predictions(registry.load(out), sequences).values
    assert (values.argmax(1) == 1 - np.array(labels)).mean() > 0.8
    assert not (out / "teachers").exists()


def test_the_last_step_is_kept_or_the_best(data: Path, tmp_path: Path) -> None:
    """A learning rate at which the last step is not the best one."""
    tables = TABLES.replace("epochs = 1", "epochs = 4\nlearning_rate = 1e-2\npatience = 1\nwarmup_fraction = 0.01")
    steps = {}
    for keep in ("best", "last"):
        run(data, tmp_path / keep, tables + f'keep = "{keep}"\nmonitor = "loss"\n')
        steps[keep] = manifest(tmp_path / keep)["best_step"]
    assert steps["last"] == 12


@pytest.mark.parametrize(
    ("tables", "options", "message"),
    [
        (
            TABLES + "[distil]\nweight = 0.0\n",
            {},
            r"weight = 0\.0: give a number above 0, up to 1; change the \[distil\] table",
        ),
        (TABLES + "[distil]\nmembers = 0\n", {}, "members = 0: give a whole number of at least 1"),
        (TABLES + "[distil]\nsize = 2\n", {}, r"\[distil\]: unknown fields size; known are weight, members"),
        (PRETRAIN, {}, r"\[pretrain\] trains an encoder from scratch; give \[tokenizer\] and \[model\], too"),
        (TABLES + "[pretrain]\nrate = 2\n", {}, r"\[pretrain\]: unknown fields rate; known are batch_size"),
        (
            TABLES + "[pretrain]\nepochs = 1\n",
            {"devices": 2},
            r"devices = 2: the stages \[pretrain\] and \[distil\] run in one",
        ),
        ("[pretrain]\nepochs = 1\n", {"model": "demo"}, r"\[pretrain\] are for training from scratch; leave them out"),
        ("", {"recipe": "short", "config": None, "model": "demo"}, "recipe is short, found a model to start from, too"),
        (TABLES, {"recipe": "short"}, "option recipe is short, found a configuration file, too; leave one of them out"),
    ],
)
def test_stages_that_cannot_be_are_refused(
    data: Path, tmp_path: Path, tables: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(data, tmp_path / "out", tables, **options)
    assert not (tmp_path / "out").exists()


def test_without_a_configuration_the_recipe_that_fits_is_recorded(data: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    job = FinetuneJob.from_names(
        data / "train.csv", tmp_path / "out", valid=data / "valid.csv", epochs=0.1, precision="32-true"
    )
    torch.manual_seed(0)
    finetune(job, on_note=notes.append)
    reason = "60 sequences are fewer than 10,000, and most have 30 bases or less"
    assert manifest(tmp_path / "out")["recipe"] == {"name": "short-few", "reason": reason}
    assert [note for note in notes if reason in note] == [job.recipe.note if job.recipe is not None else ""]
    named = FinetuneJob.from_names(data / "train.csv", tmp_path / "named", recipe="short-few")
    assert named.config.model == job.config.model
    assert FinetuneJob.from_names(data / "train.csv", tmp_path / "tuned", "demo").recipe is None


def test_settings_that_do_not_fit_the_labels_are_refused_before_the_first_stage(data: Path, tmp_path: Path) -> None:
    values = tmp_path / "values.csv"
    rows = (data / "train.csv").read_text().splitlines()[1:]
    values.write_text("sequence,label\n" + "".join(f"{row.partition(',')[0]},{i / 7}\n" for i, row in enumerate(rows)))
    (tmp_path / "c.toml").write_text(TABLES + "label_smoothing = 0.1\n" + PRETRAIN)
    job = FinetuneJob.from_names(values, tmp_path / "out", task="regress", config=tmp_path / "c.toml")
    with pytest.raises(ConfigError, match=r"label_smoothing = 0\.1 is for classes and labels, found values"):
        finetune(job)
    assert not (tmp_path / "out").exists()
