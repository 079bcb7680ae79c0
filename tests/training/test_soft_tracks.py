"""Soft tracks: losses on them against weighted sums of two losses, means against plain models, and windows without tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import small_enformer

from genoformer.datasets.track_set import TrackSet, Window, read_tracks, write_track_set
from genoformer.errors import ConfigError
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import decode, reverse_complement
from genoformer.genome.reference import Genome
from genoformer.models import registry
from genoformer.models.enformer.model import Enformer
from genoformer.models.plain_engine import one_hot
from genoformer.training.composition import CompositionRidge
from genoformer.training.losses import TRACK_LOSSES
from genoformer.training.soft_tracks import (
    RECORD,
    TrackTeacher,
    Unlabelled,
    load_teachers,
    soft_track_set,
    unlabelled_windows,
)
from genoformer.training.stage_config import TrackDistilConfig

TABLE = TrackTable((Track(0, "a"), Track(1, "b", strand_pair=1)))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrackSet:
    """Three training windows, one of valid and one of test: 64 bases, two tracks in the middle 4 of 8 bins."""
    folder, random = tmp_path_factory.mktemp("soft") / "set", np.random.default_rng(0)
    codes = random.integers(0, 4, (5, 64)).astype(np.uint8)
    tracks = random.gamma(1.0, 4.0, (5, 2, 4))
    splits = ["train", "valid", "train", "test", "train"]
    windows = [Window("chr1", 64 * i, 64 * (i + 1), split) for i, split in enumerate(splits)]
    write_track_set(folder, codes, tracks, windows, TABLE, 8)
    return read_tracks(folder)


def teacher_model(seed: int) -> Enformer:
    """A small model of both tracks, of windows as long as those of the set."""
    model = small_enformer(seed, n_blocks=1, heads={"tracks": 2}, context_length=64, target_bins=4)
    model.targets = {"tracks": TABLE}
    return model


def fasta(path: Path, **contigs: str) -> Path:
    path.write_text("".join(f">{name}\n{text}\n" for name, text in contigs.items()))
    return path


@pytest.mark.parametrize("loss", ["log", "poisson", "multinomial"])
def test_the_gradient_of_the_loss_is_the_weighted_sum_of_two_gradients(loss: str) -> None:
    random = np.random.default_rng(1)
    measured, taught = random.gamma(1.0, 4.0, (2, 1, 2, 4)).astype(np.float32)
    predicted = torch.from_numpy(random.gamma(1.0, 4.0, (1, 2, 4))).requires_grad_()

    def gradient(targets: np.ndarray) -> torch.Tensor:
        value = TRACK_LOSSES[loss](predicted, torch.from_numpy(targets).double()).sum()
        return torch.autograd.grad(value, predicted)[0]

    soft = TrackTeacher([], 0.3, loss).blend(measured, taught)
    expected = 0.7 * gradient(measured) + 0.3 * gradient(taught)
    torch.testing.assert_close(gradient(soft), expected, atol=1e-6, rtol=1e-5)
    assert not torch.allclose(gradient(measured), expected, atol=1e-3)


@pytest.mark.parametrize("loss", ["log", "poisson"])
def test_the_mean_of_teachers_is_that_of_plain_models_on_the_scale_of_the_loss(data: TrackSet, loss: str) -> None:
    models = [teacher_model(seed) for seed in range(3)]
    codes = [np.array(data.sequence[row]) for row in range(2)]
    found = list(TrackTeacher(models, 0.5, loss, both_strands=False).mean(data, iter(codes)))
    with torch.no_grad():
        each = torch.stack([model(one_hot(torch.from_numpy(np.stack(codes)))) for model in models])  # [models, 2, K, N]
    expected = each.log1p().mean(0).expm1() if loss == "log" else each.mean(0)
    np.testing.assert_allclose(np.stack(found), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_composition_has_its_part_of_the_mean(data: TrackSet) -> None:
    codes = np.array(data.sequence[3])
    alone = next(TrackTeacher([teacher_model(0)], 0.5, "log").mean(data, [codes]))
    found = next(TrackTeacher([teacher_model(0)], 0.5, "log", composition=0.4).mean(data, [codes]))
    ridge = CompositionRidge.fit(data, np.log1p).predict(codes, data)
    np.testing.assert_allclose(np.log1p(found), 0.6 * np.log1p(alone) + 0.4 * ridge, rtol=1e-4, atol=1e-5)


def test_windows_lie_between_stretches_of_n_and_outside_of_the_validation_data(data: TrackSet, tmp_path: Path) -> None:
    """64 bases every 32; the copy of a validation window, on the other strand, and what overlaps it are left out."""
    random = np.random.default_rng(2)
    text = decode(random.integers(0, 4, 140).astype(np.uint8))
    copy = decode(reverse_complement(np.array(data.sequence[1])))
    path = fasta(tmp_path / "genome.fa", one=f"NNN{text[:100]}N{text[100:]}", two=text[:63] + "N" + copy, three=text)
    with Genome(path) as genome:
        found, note = unlabelled_windows(genome, data, TrackDistilConfig(contigs=("one", "two")))
        assert [window[:3] for window in found.windows] == [("one", 3, 67), ("one", 35, 99)]
        assert note == ("genome.fa: 2 unlabelled windows of 64 bases; left out for sequence of validation or test windows: 1.")
        assert found.record["windows"] == {"one": 2}
        spread, _ = unlabelled_windows(genome, data, TrackDistilConfig(windows=2))
        assert [window[:2] for window in spread.windows] == [("one", 3), ("three", 64)]
        with pytest.raises(ConfigError, match=r"genome.fa has no window of 64 bases without N that is not in the validation"):
            unlabelled_windows(genome, data, TrackDistilConfig(contigs=("two",)))


def test_a_set_with_soft_tracks(data: TrackSet, tmp_path: Path) -> None:
    """Training windows are blended, others are as before; unlabelled windows follow; the same call keeps the files."""
    teacher = TrackTeacher([teacher_model(0), teacher_model(1)], 0.25, "log")
    path = fasta(tmp_path / "genome.fa", one=decode(np.random.default_rng(3).integers(0, 4, 64).astype(np.uint8)))
    seen: list[int] = []
    with Genome(path) as genome:
        unlabelled = Unlabelled(genome, [Window("one", 0, 64, "train")])
        made = soft_track_set(tmp_path / "soft", data, teacher, unlabelled, lambda event: seen.append(event.done))
        before = (tmp_path / "soft" / "tracks.npy").stat().st_mtime_ns
        soft_track_set(tmp_path / "soft", data, teacher, unlabelled)
        assert (tmp_path / "soft" / "tracks.npy").stat().st_mtime_ns == before
        (alone,) = teacher.mean(data, unlabelled.sequences())
        assert decode(made.sequence[5]) == decode(genome.window("one", 0, 64))
    assert seen == [1, 2, 3, 4]
    assert [window.split for window in made.windows] == ["train", "valid", "train", "test", "train", "train"]
    for row in (1, 3):
        assert (made.tracks[row] == data.tracks[row]).all()
    np.testing.assert_allclose(made.tracks[5], alone, rtol=1e-3)
    predicted = list(teacher.mean(data, (np.array(data.sequence[row]) for row in (0, 2, 4))))
    for row, one in zip((0, 2, 4), predicted, strict=True):
        logs = 0.75 * np.log1p(data.tracks[row].astype(float)) + 0.25 * np.log1p(one.astype(float))
        np.testing.assert_allclose(np.log1p(made.tracks[row].astype(float)), logs, rtol=1e-3, atol=1e-3)
    assert made.manifest[RECORD]["weight"] == 0.25
    again = soft_track_set(tmp_path / "soft", data, teacher._replace(weight=1.0), None)
    assert len(again) == 5
    np.testing.assert_allclose(again.tracks[0], predicted[0], rtol=1e-3)


def test_models_of_other_tracks_are_refused(data: TrackSet, tmp_path: Path) -> None:
    model = teacher_model(0)
    registry.save(model, tmp_path / "same")
    assert [type(one) for one in load_teachers([tmp_path / "same"], data)] == [Enformer]
    model.targets = {"tracks": TrackTable((Track(0, "a"), Track(1, "c", strand_pair=1)))}
    registry.save(model, tmp_path / "other")
    with pytest.raises(ConfigError, match="other predicts other tracks than those of "):
        load_teachers([tmp_path / "other"], data)
    registry.save(small_enformer(), tmp_path / "two")
    with pytest.raises(ConfigError, match=r"a set of 2 in bins of 8 does not have \(found 5 in bins of 8"):
        load_teachers([tmp_path / "two"], data)
