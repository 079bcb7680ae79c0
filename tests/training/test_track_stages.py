"""[distil] for tracks: teachers and a student by one command, its repetition, a named teacher, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import assert_refused, run, run_well
from small_models import LONG_TABLE

import genoformer as gf
from genoformer.datasets.track_set import Window, read_tracks, write_track_set
from genoformer.errors import ConfigError
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import decode
from genoformer.models import registry
from genoformer.models.base import PredictsTracks
from genoformer.training.jobs import TrackTrainingJob
from genoformer.training.track_fit import measure_fit
from genoformer.training.track_plan import plan_tracks

TABLES = LONG_TABLE + "\n[tracks]\nepochs = 2\nlearning_rate = 1e-2\nevals_per_epoch = 1\n"
DISTIL = "[distil]\nmembers = 2\nweight = 0.6\nepochs = 1\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of 10 windows of 128 bases with the fraction of GC and of T in 8 bins, and a FASTA of 320 other bases."""
    folder, random = tmp_path_factory.mktemp("stages"), np.random.default_rng(0)
    codes = random.integers(0, 4, (10, 128)).astype(np.uint8)
    bins = codes.reshape(10, 16, 8)[:, 4:12]
    tracks = np.stack([np.isin(bins, (1, 2)).mean(-1), (bins == 3).mean(-1)], axis=1)
    windows = [Window("chr1", 128 * i, 128 * (i + 1), "train" if i < 8 else "valid") for i in range(10)]
    write_track_set(folder / "set", codes, tracks, windows, TrackTable((Track(0, "gc"), Track(1, "t", strand_pair=1))), 8)
    (folder / "genome.fa").write_text(f">chr2\n{decode(random.integers(0, 4, 320).astype(np.uint8))}\n")
    (folder / "c.toml").write_text(TABLES + DISTIL)
    return folder


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


def test_one_command_trains_teachers_and_a_student_and_its_repetition_reuses_them(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("finetune", made / "set", "--task", "tracks", "-c", made / "c.toml", "-f", made / "genome.fa", "-o", out)
    done = run_well(*words)
    assert "genome.fa: 4 unlabelled windows of 128 bases." in done.stderr
    assert f"{out / 'teachers'}: trains 2 models, whose predictions become part of the tracks." in done.stderr
    teachers = out / "teachers"
    assert [path.name for path in sorted(teachers.iterdir())] == ["ensemble.json", "seed-1000", "seed-1001"]
    assert manifest(teachers / "seed-1000")["tracks"]["epochs"] == 1.0
    of_student = manifest(out)
    planned = TrackTrainingJob.from_names(made / "set", config=made / "c.toml", fasta=made / "genome.fa")
    plan = plan_tracks(planned, rate=1e9)
    n_taught = sum(manifest(teachers / f"seed-{n}")["best_step"] for n in (1000, 1001))
    assert (plan.n_teaching, plan.n_steps) == (n_taught, n_taught + 2 * 12)  # twelve windows, two epochs
    assert f"{n_taught + 24} steps, of which {n_taught} train the models that teach" in plan.text()
    alone = TrackTrainingJob.from_names(made / "set", config=made / "c.toml", distil=teachers)
    assert plan_tracks(alone, rate=1e9).n_steps == 2 * 8  # no models to train first, and no unlabelled windows
    assert (of_student["tracks"]["epochs"], of_student["data"]["train"], of_student["data"]["valid"]) == (2.0, 12, 2)
    record = of_student["data"]["manifest"]["distilled"]
    assert record["sha256"] == [registry.load(teachers / f"seed-{n}").sha256 for n in (1000, 1001)]
    assert record["unlabelled"]["windows"] == {"chr2": 4}
    student, data = registry.load(out, PredictsTracks), read_tracks(made / "set")
    fit = measure_fit(student, data, data.rows("valid"), both_strands=True, log=True)
    assert of_student["pearson"]["all"]["positions"] == pytest.approx(float(np.nanmean(fit.positions)), abs=1e-4)
    assert_refused(run(*words), "out holds a finished run")
    before = {path: path.stat().st_mtime_ns for path in teachers.rglob("*.safetensors")}
    weights = (out / "model.safetensors").read_bytes()
    for name in ("config.json", "manifest.json", "model.safetensors", "log.csv"):  # as if the run had ended before the student
        (out / name).unlink()
    run_well(*words)
    assert {path: path.stat().st_mtime_ns for path in teachers.rglob("*.safetensors")} == before
    assert (out / "model.safetensors").read_bytes() == weights
    for name in ("config.json", "manifest.json", "model.safetensors", "log.csv"):
        (out / name).unlink()
    assert_refused(run(*words, "--learning-rate", 0.02), "holds a model that was trained in another way (tracks.learning_rate")
    named = gf.finetune(made / "set", tmp_path / "named", task="tracks", config=made / "c.toml", distil=teachers)
    assert named is not None
    assert not (tmp_path / "named" / "teachers").exists()
    assert manifest(tmp_path / "named")["data"]["manifest"]["distilled"]["sha256"] == record["sha256"]


@pytest.mark.parametrize(
    ("tables", "options", "message"),
    [
        (TABLES, {"fasta": "x.fa"}, r"option fasta is not for training on tracks: .* leave it out, or add \[distil\]"),
        (TABLES + DISTIL, {"devices": 2}, r"devices = 2: the stage \[distil\] runs in one process; set it to 1"),
        (TABLES + "[distil]\nsize = 2\n", {}, r"\[distil\]: unknown fields size; known are weight, members, epochs, contigs"),
        (TABLES + "[distil]\nepochs = -1.0\n", {}, r"epochs and windows must be at least 0; change the \[distil\] table"),
        (TABLES + "[distil]\ncomposition = 1.0\n", {}, r"composition = 1\.0: give a number from 0 up to, not including, 1"),
        (
            TABLES + '[distil]\nmotifs = "x.meme"\n',
            {},
            r"\[distil\] motifs are for the regression on composition; give composition",
        ),
        (TABLES + DISTIL + 'contigs = ["chr2"]\n', {}, r"option fasta is missing: \[distil\] contigs names unlabelled windows"),
        (TABLES + DISTIL + "windows = 3\n", {}, r"option fasta is missing: .* give its FASTA, or remove windows"),
        (TABLES, {"distil": "mini-tracks"}, r"mini-tracks predicts tracks that a set of 2 in bins of 8 does not have"),
    ],
)
def test_stages_that_cannot_be_are_refused(
    made: Path, tmp_path: Path, tables: str, options: dict[str, Any], message: str
) -> None:
    (tmp_path / "c.toml").write_text(tables)
    with pytest.raises(ConfigError, match=message):
        gf.finetune(made / "set", tmp_path / "out", task="tracks", config=tmp_path / "c.toml", **options)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_others_and_contexts_are_refused_before_any_training(made: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").write_text("{}")
    options: dict[str, Any] = {"task": "tracks", "config": made / "c.toml"}
    with pytest.raises(ConfigError, match=r"out holds manifest.json, which another program made"):
        gf.finetune(made / "set", tmp_path / "out", **options)
    (tmp_path / "cells.tsv").write_text("context\tx\ngc\t0\nt\t1\n")
    with pytest.raises(ConfigError, match=r"\[distil\] is for the tracks of a set, found a table of contexts, too"):
        gf.finetune(made / "set", tmp_path / "cells", contexts=tmp_path / "cells.tsv", **options)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["manifest.json"]
    assert not (tmp_path / "cells").exists()
