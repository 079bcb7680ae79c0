"""What all training commands share, with a recipe whose answer is known: one weight that moves to 2."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import small_encoder

from genoformer.errors import ConfigError
from genoformer.genome.codes import encode
from genoformer.genome.minhash import Sketch
from genoformer.models import folders, registry
from genoformer.tokenizers import BaseTokenizer
from genoformer.training.loop import STATE, FitResult, Trainable
from genoformer.training.losses import Loss
from genoformer.training.optimizer import LoopConfig
from genoformer.training.recipe import Finished, Run, refuse_finished, run_recipe, training_sketch
from genoformer.training.resume import RUN

SEQUENCE = encode("ACGTTGCATTAGCCATGGATCCAGTACGTTAGCATGCATCGATTACA")


class Toy:
    """Trains the bias of a tiny encoder's decoder towards 2; `draws` says which random number the recipe was built with."""

    def __init__(self, rate: float = 0.5, fails: bool = False) -> None:
        self.rate, self.fails, self.drawn = rate, fails, float(torch.rand(()))
        self.model = small_encoder(BaseTokenizer(), width=8, n_layers=1, ffn_width=8)
        self.loop = LoopConfig(max_steps=4, learning_rate=rate, weight_decay=0.0, warmup_fraction=0.0)

    @property
    def trainable(self) -> Trainable:
        def loss(model, batch) -> Loss:
            return Loss((model.decoder.bias - 2).square().sum(), torch.tensor(1.0), 1.0)

        return Trainable(self.model, lambda i: torch.zeros(1), loss)

    @property
    def settings(self) -> dict[str, object]:
        return {"training": {"learning_rate": self.rate}}

    def finish(self, fitted: FitResult, folder: Path, progress) -> Finished[str]:
        if self.fails:
            raise OSError(28, "No space left on device")
        self.model.load_state_dict(fitted.weights)
        return Finished(self.model, {"best_step": fitted.step}, training_sketch([SEQUENCE], 1), f"drew {self.drawn:.6f}")


def test_a_run_writes_weights_manifest_and_sketch_and_removes_its_state(tmp_path: Path) -> None:
    report = run_recipe(Toy, Run(tmp_path / "run", seed=3, command="toy run"))
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert list(manifest) == ["command", "version", "training", "packages", "best_step"]
    assert (manifest["command"], manifest["best_step"]) == ("toy run", 4)
    model = registry.load(tmp_path / "run")
    assert model.training_sketch.containment([SEQUENCE]).share == 1
    assert model.decoder.bias.mean() > 0.5  # 4 steps of 0.5 and less, from about 0
    assert not (tmp_path / "run" / STATE).exists()
    assert not (tmp_path / "run" / RUN).exists()
    assert report == run_recipe(Toy, Run(tmp_path / "again", seed=3))  # built after the seed is set
    assert report != run_recipe(Toy, Run(tmp_path / "other", seed=4))


def test_a_finished_run_is_refused_before_the_recipe_is_built(tmp_path: Path) -> None:
    (tmp_path / "config.json").touch()

    def build() -> Toy:
        raise AssertionError("built")

    with pytest.raises(ConfigError, match="holds a finished run"):
        run_recipe(build, Run(tmp_path, seed=0))
    (tmp_path / "config.json").rename(tmp_path / "ensemble.json")
    with pytest.raises(ConfigError, match="holds a finished run"):
        refuse_finished(tmp_path)


def test_a_run_that_fails_after_its_last_step_resumes_there_and_only_with_its_settings(tmp_path: Path) -> None:
    run_recipe(Toy, Run(tmp_path / "whole", seed=3))
    with pytest.raises(OSError, match="No space left"):
        run_recipe(lambda: Toy(fails=True), Run(tmp_path / "run", seed=3))
    assert not (tmp_path / "run" / "config.json").exists()
    assert json.loads((tmp_path / "run" / RUN).read_text())["training"] == {"learning_rate": 0.5}
    run_recipe(Toy, Run(tmp_path / "run", seed=3))
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "run")]
    assert weights[0] == weights[1]


def test_the_sketch_of_the_start_model_is_joined(tmp_path: Path) -> None:
    other = np.random.default_rng(0).integers(0, 4, 60, dtype=np.uint8)
    Sketch.from_sequences([other], scale=1).save(tmp_path / folders.SKETCH)
    sketch = training_sketch([SEQUENCE], 1, tmp_path)
    assert sketch.containment([other]).share == sketch.containment([SEQUENCE]).share == 1
    assert training_sketch([SEQUENCE], 1).containment([other]).share == 0
