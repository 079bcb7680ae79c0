"""The training loop: runs that are killed and go on, two processes as one with twice the batch, logs, runs that fail."""

from __future__ import annotations

import math
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from processes import command, command_and_exit, genoformer, killed, run, run_here, run_together, started
from torch import nn

from genoformer.errors import CheckpointError, ConfigError, Stopped, TrainingError
from genoformer.genome.codes import decode
from genoformer.models import registry
from genoformer.training.log import Log, read_log
from genoformer.training.loop import Monitor, Trainable, fit
from genoformer.training.losses import Loss
from genoformer.training.optimizer import LoopConfig, rate_at
from genoformer.training.random_streams import RandomStream

TABLES = """
[tokenizer]
tokenizer = "base"
[model]
width = 32
n_layers = 2
n_heads = 2
ffn_width = 64
context_length = 64
position = "rotary"
norm = "pre"
conv_kernel = 5
dropout = {dropout}
[training]
max_steps = {max_steps}
batch_size = {batch_size}
grad_accumulation = {grad_accumulation}
learning_rate = 3e-3
eval_every = 20
save_every = 5
log_every = 5
strategy = "{strategy}"
ema_decay = {ema_decay}
seed = 3
"""


@pytest.fixture(scope="module")
def fasta(tmp_path_factory):
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    random = np.random.default_rng(0)
    text = {name: decode(np.repeat(random.integers(0, 4, 10_000), 3).astype(np.uint8)) for name in ("one", "held")}
    path.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in text.items()))
    return path


def prepared(folder: Path, fasta: Path, **fields) -> list[object]:
    """The arguments of a run in `folder`."""
    values = {
        "dropout": 0.0,
        "max_steps": 60,
        "batch_size": 8,
        "grad_accumulation": 1,
        "strategy": "auto",
        "ema_decay": 0.0,
    } | fields
    folder.mkdir()
    (folder / "c.toml").write_text(TABLES.format(**values))
    return ["pretrain", "-f", fasta, "-o", folder / "run", "-c", folder / "c.toml"]


def test_a_run_that_is_killed_goes_on_and_ends_with_the_same_bytes(tmp_path, fasta) -> None:
    """kill -9 at random moments, three times, with dropout and averaging; the end is that of an undisturbed run."""
    said = tmp_path / "said"
    run_here(prepared(tmp_path / "whole", fasta, dropout=0.1, ema_decay=0.9), said)
    arguments = prepared(tmp_path / "killed", fasta, dropout=0.1, ema_decay=0.9)
    whole, again = tmp_path / "whole/run", tmp_path / "killed/run"
    assert killed(arguments, again / "state.ckpt", again / "config.json", said) >= 2
    for name in ("model.safetensors", "log.csv"):
        assert (again / name).read_bytes() == (whole / name).read_bytes(), name
    assert not (again / "state.ckpt").exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_stopped_says_so_and_is_no_success(tmp_path, fasta, number, status) -> None:
    out, said = tmp_path / "out", tmp_path / "said"
    child = started(command_and_exit, prepared(tmp_path / "a", fasta, max_steps=100_000), said, out)
    while child.is_alive() and not (tmp_path / "a/run/state.ckpt").is_file():
        time.sleep(0.01)
    assert child.pid is not None
    os.kill(child.pid, number)
    child.join(300)
    assert child.exitcode == status, said.read_text()
    assert "Interrupted" in said.read_text()
    assert "Traceback" not in said.read_text()
    assert out.read_text() == ""
    assert not (tmp_path / "a/run/config.json").exists()


def test_other_settings_do_not_go_on_with_a_state(tmp_path, fasta) -> None:
    arguments, said = prepared(tmp_path / "a", fasta), tmp_path / "said"
    child = started(command, arguments, said)
    while child.is_alive() and not (tmp_path / "a/run/state.ckpt").is_file():
        time.sleep(0.01)
    child.kill()
    child.join()
    config = tmp_path / "a/c.toml"
    config.write_text(config.read_text().replace("learning_rate = 3e-3", "learning_rate = 1e-3"))
    again = started(command, arguments, said)
    again.join(300)
    assert again.exitcode == 2
    assert "started with other settings (training.learning_rate)" in said.read_text()


@pytest.fixture(scope="module")
def large_batches(tmp_path_factory, fasta) -> Path:
    """The log of a run in batches of 16."""
    folder = tmp_path_factory.mktemp("large")
    run_here(prepared(folder / "one", fasta, batch_size=16, max_steps=40), folder / "said")
    return folder / "one/run/log.csv"


@pytest.mark.parametrize(
    ("strategy", "processes", "accumulate"), [("ddp", 2, 1), ("fsdp", 2, 1), ("auto", 1, 2)], ids=["ddp", "fsdp", "accumulated"]
)
def test_two_small_batches_are_one_large_batch(tmp_path, fasta, large_batches, strategy, processes, accumulate) -> None:
    """The loss curve and the validation of two processes (or two backward passes) are those of one with twice the batch."""
    fields = {"batch_size": 8, "max_steps": 40, "strategy": strategy, "grad_accumulation": accumulate}
    arguments = prepared(tmp_path / "two", fasta, **fields)
    if processes == 1:
        run_here(arguments, tmp_path / "said")
    elif strategy == "ddp":
        run(genoformer(*arguments, processes=processes))
    else:
        run_together(arguments, tmp_path, processes=processes)
    one, two = read_log(large_batches), read_log(tmp_path / "two/run/log.csv")
    assert [row["step"] for row in one] == [row["step"] for row in two] == list(range(5, 41, 5))
    for name in ("train_loss", "valid_bits_per_base"):
        a, b = ([row[name] for row in rows if name in row] for rows in (one, two))
        assert a == pytest.approx(b, abs=1e-4)
    assert one[0]["train_loss"] > one[-1]["train_loss"] + 0.1  # something was learned, so that there is a curve


class Line(torch.nn.Module):
    """y = w x, for losses worked out by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor(0.0))


def squares(model: Line, x: torch.Tensor) -> Loss:
    return Loss(((model.w * x - 2 * x) ** 2).sum(), torch.tensor(float(len(x))), float(len(x)))


def test_a_line_is_found_and_logged(tmp_path) -> None:
    model = Line()
    config = LoopConfig(max_steps=200, learning_rate=0.1, log_every=100, eval_every=100, weight_decay=0.0, warmup_fraction=0.1)
    heard = []
    fitted = fit(
        Trainable(model, lambda i: torch.ones(4), squares, validate=lambda m: {"w": float(m.w)}),
        tmp_path,
        config,
        progress=heard.append,
    )
    assert fitted is not None
    assert float(fitted.weights["w"]) == pytest.approx(2, abs=0.05)
    assert [row["step"] for row in read_log(tmp_path / "log.csv")] == [100, 200]
    assert [p.done for p in heard] == list(range(1, 201))
    (events,) = (tmp_path / "tensorboard").glob("events.*")
    assert events.stat().st_size > 100


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(("accumulate", "average"), [(1, 0.0), (2, 0.9)])
def test_a_run_that_is_stopped_between_two_rows_of_its_log_loses_nothing(tmp_path, number, accumulate, average) -> None:
    """Stopped in step 7 of 20, where a row of the log is written each 5 steps and a state each 1,000."""
    config = LoopConfig(
        max_steps=20,
        learning_rate=0.1,
        log_every=5,
        save_every=1000,
        grad_accumulation=accumulate,
        ema_decay=average,
        batch_size=4,
    )

    def batch(i):
        return torch.from_numpy(np.random.default_rng(i).normal(size=4)).float()

    def trained(folder, stop_in=0):
        calls = iter(range(1, 1000))

        def loss(model, x):
            if next(calls) == stop_in:
                os.kill(os.getpid(), number)
            return squares(model, x)

        torch.manual_seed(0)
        return fit(Trainable(Line(), batch, loss), folder, config)

    whole = trained(tmp_path / "whole")
    with pytest.raises(Stopped):
        trained(tmp_path / "again", 7 * accumulate)
    assert torch.load(tmp_path / "again/state.ckpt", weights_only=True)["global_step"] == 7
    again = trained(tmp_path / "again")
    assert whole is not None
    assert again is not None
    assert torch.equal(whole.weights["w"], again.weights["w"])
    assert (tmp_path / "again/log.csv").read_bytes() == (tmp_path / "whole/log.csv").read_bytes()


def test_the_best_step_is_kept_and_the_run_stops_early(tmp_path) -> None:
    """Validation says 1, 3, 2, 2, 2 ...: step 2 is the best, and three without a better one end the run."""
    said = iter([1.0, 3.0, 2.0, 2.0, 2.0, 9.0])
    seen = []

    def validate(model):
        seen.append(float(model.w))
        return {"score": next(said)}

    config = LoopConfig(max_steps=50, learning_rate=0.1, eval_every=1, log_every=1)
    fitted = fit(Trainable(Line(), lambda i: torch.ones(4), squares, validate, Monitor("score", True, 3)), tmp_path, config)
    assert fitted is not None
    assert (fitted.step, len(seen)) == (2, 5)
    assert float(fitted.weights["w"]) == seen[1]


def test_a_loss_that_is_no_number_is_said(tmp_path) -> None:
    def broken(model, x):
        return Loss(model.w * torch.nan, torch.tensor(1.0), 1.0)

    with pytest.raises(TrainingError, match="the loss of the first batch is nan, before the first step, and no learning rate"):
        fit(Trainable(Line(), lambda i: torch.ones(4), broken), tmp_path, LoopConfig(max_steps=20, log_every=10))
    with pytest.raises(CheckpointError, match=r"a training run that diverged \(at step 10 the loss is nan\); train again in a"):
        registry.load(tmp_path)


def test_a_run_that_diverges_after_good_steps_names_the_learning_rate(tmp_path) -> None:
    def breaks(model, x):
        return Loss(model.w * x.sum(), torch.tensor(1.0), 1.0)

    batches = [torch.ones(4)] * 7 + [torch.full((4,), torch.inf)] * 13
    with pytest.raises(TrainingError, match=r"diverged: at step 10 the loss is (nan|-?inf); lower learning_rate"):
        fit(Trainable(Line(), lambda i: batches[i], breaks), tmp_path, LoopConfig(max_steps=20, log_every=5))
    assert [row["step"] for row in read_log(tmp_path / "log.csv")] == [5, 10]
    with pytest.raises(CheckpointError, match=r"a training run that diverged \(at step 10"):
        registry.load(tmp_path)


def test_what_fails_before_the_first_step_is_said_as_it_is(tmp_path, monkeypatch) -> None:
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("genoformer.training.loop.Log", full)
    with pytest.raises(OSError, match="No space left on device"):
        fit(Trainable(Line(), lambda i: torch.ones(4), squares), tmp_path, LoopConfig(max_steps=2))


def test_a_log_drops_what_came_after_the_state_and_a_torn_line(tmp_path) -> None:
    log = Log(tmp_path / "log.csv", 0)
    for step in (1, 2, 3):
        log.write(step, {"train_loss": 1 / step} | ({"valid": 5.0} if step == 2 else {}))
    log.close()
    with (tmp_path / "log.csv").open("a") as file:
        file.write("4,0.2")
    assert read_log(tmp_path / "log.csv")[1] == {"step": 2, "train_loss": 0.5, "valid": 5.0}
    again = Log(tmp_path / "log.csv", 2)
    again.close()
    assert [row["step"] for row in read_log(tmp_path / "log.csv")] == [1, 2]


def test_draws_belong_to_the_window(tmp_path) -> None:
    """The same for a window alone and among others; uniform: mean and variance of 10^5 within 5 standard errors."""
    many = RandomStream(1, np.arange(100))
    first, second = many(500), many(500)
    assert np.array_equal(RandomStream(1, np.array([17]))(500)[0], first[17])
    assert not np.array_equal(first, second)
    assert not np.array_equal(RandomStream(2, np.arange(100))(500), first)
    assert not np.array_equal(RandomStream(1, np.arange(100), stream=1)(500), first)
    x = np.concatenate([first, second]).ravel()
    assert abs(x.mean() - 0.5) < 5 / np.sqrt(12 * x.size)
    assert abs(x.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / x.size)
    assert abs(np.corrcoef(first[:-1].ravel(), first[1:].ravel())[0, 1]) < 5 / np.sqrt(x.size / 2)


def test_the_learning_rate_rises_and_falls_in_straight_lines() -> None:
    rates = [rate_at(step, 10, 0.2) for step in range(10)]
    assert rates == pytest.approx([0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])


def test_the_learning_rate_falls_as_half_a_cosine() -> None:
    rates = [rate_at(step, 10, 0.2, "cosine") for step in range(11)]
    fall = [(1 + np.cos(np.pi * (step - 2) / 8)) / 2 for step in range(2, 11)]
    assert rates == pytest.approx([0.5, 1, *fall])
    assert (rates[6], rates[10]) == (pytest.approx(0.5), pytest.approx(0, abs=1e-12))


@pytest.mark.parametrize(
    "fields",
    [
        {"strategy": "x"},
        {"schedule": "x"},
        {"precision": "x"},
        {"devices": 0},
        {"grad_accumulation": 0},
        {"max_grad_norm": 0.0},
    ],
)
def test_refusals(tmp_path, fields) -> None:
    with pytest.raises(ConfigError):
        fit(Trainable(Line(), lambda i: torch.ones(4), squares), tmp_path, LoopConfig(**{"max_steps": 1} | fields))


def test_a_device_that_is_not_there_is_refused_in_a_sentence(tmp_path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    config = LoopConfig(max_steps=1, accelerator="gpu")
    with pytest.raises(ConfigError, match="accelerator = 'gpu'"):
        fit(
            Trainable(nn.Linear(1, 1), lambda i: i, lambda model, batch: Loss(model.weight.sum(), torch.ones(()), 1.0)),
            tmp_path,
            config,
        )


@pytest.mark.parametrize("name", ["learning_rate", "warmup_fraction", "weight_decay", "max_grad_norm", "beta2", "epsilon"])
def test_a_setting_that_is_no_number_is_refused(name) -> None:
    with pytest.raises(ConfigError, match=f"{name} = nan"):
        LoopConfig(**{name: math.nan})


def test_a_run_does_not_stop_before_its_steps_have_grown(tmp_path) -> None:
    config = LoopConfig(max_steps=50, learning_rate=0.1, eval_every=1, log_every=50, warmup_fraction=0.5)
    heard = []
    fit(
        Trainable(Line(), lambda i: torch.ones(4), squares, lambda model: {"score": 0.0}, Monitor("score", True, 3)),
        tmp_path,
        config,
        progress=heard.append,
    )
    assert heard[-1].done == 28
