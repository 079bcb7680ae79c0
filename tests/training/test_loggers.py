"""Loggers of services: the rows of log.csv reach each, a resumed run continues its run there, an absent package is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import assert_refused, run
from torch import nn

import genoformer as gf
from genoformer.errors import ConfigError, Stopped
from genoformer.training import loggers
from genoformer.training.log import read_log
from genoformer.training.loggers import IDS, SERVICES, Service, logged_to, open_loggers
from genoformer.training.loop import Trainable, fit
from genoformer.training.losses import Loss
from genoformer.training.optimizer import LoopConfig

CONFIG = LoopConfig(max_steps=12, log_every=4, eval_every=12, save_every=4, accelerator="cpu")


class Fake:
    """Lightning's logger of a service, in memory."""

    made: list[Fake]

    def __init__(self, folder: Path, run: str | None) -> None:
        self.version, self.rows, self.settings, self.status = run or f"new-{folder.name}", list[Any](), {}, ""
        self.experiment, self.n_finished = self, 0  # as `wandb.Run`, which has finish()
        type(self).made.append(self)

    def log_hyperparams(self, settings: dict[str, Any]) -> None:
        self.settings = settings

    def log_metrics(self, row: dict[str, float], step: int) -> None:
        self.rows.append({"step": step, **row})

    def finish(self) -> None:
        self.n_finished += 1

    def finalize(self, status: str) -> None:
        self.status = status


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> list[Fake]:
    """The runs at a service whose package is there."""
    Fake.made = []
    monkeypatch.setitem(SERVICES, "wandb", Service("json", Fake))
    return Fake.made


class Line(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(()))


def squares(model: Any, x: torch.Tensor) -> Loss:
    return Loss(((model.w - x) ** 2).sum(), torch.tensor(float(len(x))), float(len(x)))


def test_a_service_gets_the_rows_of_the_log(service: list[Fake], tmp_path: Path) -> None:
    with logged_to(["wandb", "wandb"]):
        fit(Trainable(Line(), lambda i: torch.ones(4), squares), tmp_path / "run", CONFIG)
    (logger,) = service
    assert [row["step"] for row in logger.rows] == [4, 8, 12]
    for row, written in zip(logger.rows, read_log(tmp_path / "run" / "log.csv"), strict=True):
        assert row == pytest.approx(written, rel=1e-5)
    assert (logger.settings["max_steps"], logger.status, logger.n_finished) == (12, "success", 1)
    fit(Trainable(Line(), lambda i: torch.ones(4), squares), tmp_path / "other", CONFIG)
    assert len(service) == 1  # outside of the block nothing is logged there
    assert not (tmp_path / "other" / IDS).exists()


def test_a_resumed_run_continues_its_run_at_the_service(service: list[Fake], tmp_path: Path) -> None:
    def stops(number: int) -> torch.Tensor:
        if number == 6 and len(service) == 1:
            raise Stopped(2)
        return torch.ones(4)

    for _ in range(2):
        with logged_to(["wandb"]):
            try:
                fit(Trainable(Line(), stops, squares), tmp_path / "run", CONFIG)
            except Stopped:
                continue
    assert [logger.version for logger in service] == ["new-run", "new-run"]
    assert [(logger.status, logger.n_finished) for logger in service] == [("failed", 1), ("success", 1)]
    assert json.loads((tmp_path / "run" / IDS).read_text()) == {"wandb": "new-run"}


def test_calls_in_python_log_to_a_service_too(service: list[Fake], tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_text(f">a\n{'ACGTTGCA' * 50}\n>b\n{'GATTACA' * 20}\n")
    tables = {
        "tokenizer": {"tokenizer": "base"},
        "model": {"width": 8, "n_layers": 1, "n_heads": 1, "ffn_width": 8, "context_length": 32},
        "training": {"max_steps": 3, "batch_size": 2, "eval_bases": 10, "log_every": 1, "accelerator": "cpu"},
    }
    gf.pretrain(tmp_path / "g.fa", tmp_path / "run", config=tables, logger="wandb")
    (logger,) = service
    assert [row["step"] for row in logger.rows if "train_loss" in row] == [1, 2, 3]
    assert (logger.version, logger.status) == ("new-run", "success")
    for call in (gf.pretrain, gf.finetune):
        with pytest.raises(ConfigError, match="logger 'comet' is unknown"):
            call(tmp_path / "g.fa", tmp_path / "other", logger=["comet"])
        assert not (tmp_path / "other").exists()


def test_mlflow_writes_to_a_database_in_the_folder_or_to_its_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """MLflow 3 refuses to write runs as a folder of files."""
    calls: list[dict[str, Any]] = []

    class MLflow:
        def __init__(self, **settings: Any) -> None:
            calls.append(settings)

        @property
        def experiment(self) -> None:
            os.environ["MLFLOW_TRACKING_URI"] = calls[-1]["tracking_uri"]  # as mlflow.set_tracking_uri

    monkeypatch.setattr("lightning.pytorch.loggers.MLFlowLogger", MLflow)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    SERVICES["mlflow"].make(tmp_path / "run", None)
    assert "MLFLOW_TRACKING_URI" not in os.environ
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    SERVICES["mlflow"].make(tmp_path / "run", "7")
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:5000"
    names = {"experiment_name": "genoformer", "run_name": "run"}
    place = {"tracking_uri": f"sqlite:///{tmp_path}/run/mlflow.db", "artifact_location": f"file://{tmp_path}/run/mlruns"}
    assert calls == [names | place | {"run_id": None}, names | {"run_id": "7", "tracking_uri": "http://127.0.0.1:5000"}]


@pytest.mark.filterwarnings("ignore")  # of the services
@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_the_service_itself_keeps_a_run_without_a_network(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = pytest.importorskip(name, reason=f"{name} is no dependency: pip install {name}")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with logged_to([name]):
        fit(Trainable(Line(), lambda i: torch.ones(4), squares), tmp_path / "run", CONFIG)
    run_id = json.loads((tmp_path / "run" / IDS).read_text())[name]
    if name == "wandb":
        (record,) = (tmp_path / "run" / "wandb").glob(f"offline-run-*-{run_id}/*.wandb")
        assert b"train_loss" in record.read_bytes()
        return
    client = package.tracking.MlflowClient(f"sqlite:///{tmp_path}/run/mlflow.db")
    assert [metric.step for metric in client.get_metric_history(run_id, "train_loss")] == [4, 8, 12]
    assert client.get_run(run_id).info.status == "FINISHED"


def test_a_service_that_cannot_start_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(folder: Path, run: str | None) -> None:
        raise RuntimeError("No API key:\n  log in.")

    monkeypatch.setitem(SERVICES, "wandb", Service("json", refuse))
    sentence = r"the logger wandb cannot start \(No API key: log in\); change its settings, or leave it out\.$"
    with pytest.raises(ConfigError, match=sentence), logged_to(["wandb"]):
        fit(Trainable(Line(), lambda i: torch.ones(4), squares), tmp_path / "run", CONFIG)


def test_an_absent_package_and_an_unknown_service_are_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    for name in SERVICES:
        with (
            pytest.raises(ConfigError, match=f"logger {name} needs the package {name}, .* pip install {name}"),
            logged_to([name]),
        ):
            pass
    with pytest.raises(ConfigError, match="'comet' is unknown, expected wandb or mlflow"), logged_to(["comet"]):
        pass
    assert len(open_loggers(tmp_path, 0, {})) == 1  # TensorBoard
    (tmp_path / "g.fa").write_text(">a\n" + "ACGTTGCA" * 500 + "\n")
    refused = run("pretrain", "-f", tmp_path / "g.fa", "-o", tmp_path / "m", "--logger", "mlflow")
    assert_refused(refused, "the logger mlflow needs the package mlflow")
    assert not (tmp_path / "m").exists()
