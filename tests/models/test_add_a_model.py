"""The page docs/add_a_model.md, followed as it stands: its files, then its commands, in an empty folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from processes import quick_command

from genoformer.datasets.track_set import Window, read_tracks, write_track_set
from genoformer.errors import CheckpointError
from genoformer.formats.track_table import Track, TrackTable
from genoformer.models import families, registry
from genoformer.models.base import PredictsTracks
from genoformer.training.jobs import TrackTrainingJob
from genoformer.training.track_config import TracksConfig, TrackTuningConfig
from genoformer.training.tracks import train_tracks

pq = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra: pip install genoformer[parquet]")

PAGE = (Path(__file__).parents[2] / "docs" / "add_a_model.md").read_text()
FILES = re.findall(r"`([\w./]+)`:\n\n```\w+\n(.*?)```", PAGE, re.S)
COMMANDS = re.findall(r"```bash\n(.*?)```", PAGE, re.S)
INSTALL = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "false", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the page has been followed; `pip install` goes to a folder of its own, without a network."""
    folder, target = tmp_path_factory.mktemp("page"), tmp_path_factory.mktemp("installed")
    for name, text in FILES:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(target), *filter(None, [os.environ.get("PYTHONPATH")])]))
        patch.setenv("PIP_TARGET", str(target))
        for name, value in INSTALL.items():
            patch.setenv(name, value)
        with quick_command() as commands:
            patch.setenv("PATH", os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]]))
            for i, text in enumerate(COMMANDS):
                shell = ["bash", "-euo", "pipefail", "-c", text]
                done = subprocess.run(shell, cwd=folder, capture_output=True, text=True)
                assert done.returncode == 0, f"{text}\n{done.stderr}"
                (folder / f"block{i}.log").write_text(done.stdout + done.stderr)
        patch.syspath_prepend(target)
        families.families.cache_clear()
        yield folder
    families.families.cache_clear()


def test_the_page_names_its_files_and_commands() -> None:
    assert [name for name, _ in FILES][-2:] == ["pyproject.toml", "build_models.py"]
    assert COMMANDS[0] == "pip install .\npython build_models.py\n"


def test_both_families_score_variants(folder: Path) -> None:
    for name, key in (("language.tsv", "COSINE"), ("tracks.tsv", "SAD")):
        header, *rows = [line.split("\t") for line in (folder / name).read_text().splitlines() if not line.startswith("##")]
        column = next(i for i, field in enumerate(header) if field.startswith(key))
        values = [float(row[column]) for row in rows]
        assert len(values) > 3
        assert np.isfinite(values).all()
        assert len(set(values)) > 1


def test_the_reference_engine_agrees(folder: Path) -> None:
    assert "verified: 3 random records" in (folder / f"block{len(COMMANDS) - 1}.log").read_text()


def test_tracks_and_vectors_are_written(folder: Path) -> None:
    table = pq.read_table(folder / "tracks.parquet")
    assert table.num_rows == 64 * 2  # two windows of 64 bins
    n_sequences = len((folder / "set" / "test.tsv").read_text().splitlines()) - 1
    assert pq.read_table(folder / "vectors.parquet").num_rows == n_sequences > 0


def test_the_fine_tuned_model_is_saved_with_its_family_and_evaluated(folder: Path) -> None:
    config = json.loads((folder / "classifier" / "config.json").read_text())
    assert config["config"]["family"] == "toy-language"
    assert "accuracy" in (folder / "metrics.json").read_text()


@pytest.mark.parametrize("tune", ["full", "last", "frozen"])
def test_the_track_model_is_trained_on_other_tracks(folder: Path, tmp_path: Path, tune: str) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (12, 1024)).astype(np.uint8)
    gc = np.isin(codes.reshape(12, 32, 32), (1, 2)).mean(-1)[:, None, 8:24]
    windows = [Window("chr1", 1024 * i, 1024 * (i + 1), "train" if i < 9 else "valid") for i in range(12)]
    write_track_set(tmp_path / "set", codes, gc, windows, TrackTable((Track(0, "gc"),)), 32)
    config = TracksConfig(tracks=TrackTuningConfig(epochs=2, batch_size=4, tune=tune, last_blocks=1, accelerator="cpu"))
    data, start = read_tracks(tmp_path / "set"), folder / "toy_tracks"
    trained = train_tracks(TrackTrainingJob(data, tmp_path / "run", config, start, head="gc"))
    assert trained is not None
    model = registry.load(tmp_path / "run", PredictsTracks)
    assert type(model).__name__ == "ToyTracks"
    assert dict(model.config.heads) == {"gc": 1}
    start = registry.load(folder / "toy_tracks")
    assert np.array_equal(model.stem.weight.numpy(force=True), start.stem.weight.numpy(force=True)) == (tune != "full")


def test_a_family_that_is_not_installed_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "families", lambda: families.FAMILIES)
    with pytest.raises(CheckpointError, match=r"toy_family\.language:ToyLanguage.*install its package"):
        registry.load(folder / "toy_language")
