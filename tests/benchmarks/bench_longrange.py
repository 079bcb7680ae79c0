"""Enformer beside enformer-pytorch in one process: a full window, one changed base, a training step, memory.

BENCH_BASES=16384 shortens the window. Memory is the peak of a process that does nothing else.
"""

from __future__ import annotations

import copy
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import Row, faster, memory_share, script, seconds
from track_variants import limit, measured_rate

N_BASES = int(os.environ.get("BENCH_BASES", "196608"))
N_BINS = min(896, N_BASES // 128)
N_ROUNDS = 3
SMALL = {"dim": 384, "depth": 6, "heads": 8, "dim_divisible_by": 32, "output_heads": {"human": 100}, "target_length": -1}
SMALL_BASES = min(N_BASES, 131_072)
PEER = "enformer-pytorch"


def main() -> list[Row]:
    return [*windows(), *training(), memory_share(__file__, PEER, N_BASES)]


def theirs(**fields: Any) -> Any:
    """An Enformer of enformer-pytorch whose every weight shows in its output."""
    import torch
    from enformer_pytorch import Enformer

    torch.manual_seed(0)
    model = Enformer.from_hparams(**fields)
    for name, parameter in model.named_parameters():
        if name.endswith("to_out.weight"):
            torch.nn.init.normal_(parameter, std=0.02)
    return model


def ours(model: Any) -> Any:
    """The same model, through its folder."""
    from genoformer.models import registry
    from genoformer.models.base import PredictsTracks

    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, safe_serialization=False)
        return registry.load(folder, PredictsTracks)


def codes(n_bases: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4, (1, n_bases)).astype(np.uint8)


def windows() -> list[Row]:
    import torch

    from genoformer.inference.tracks import TrackPredictor
    from genoformer.models.plain_engine import one_hot

    peer = theirs(use_tf_gamma=N_BASES == 196_608, target_length=N_BINS).eval()
    mine = ours(peer)
    sequence = codes(N_BASES)
    onehot = one_hot(torch.from_numpy(sequence)).transpose(1, 2).contiguous()
    reader = TrackPredictor(mine, "human", N_BINS)
    half = TrackPredictor(copy.deepcopy(mine).to(torch.bfloat16), "human", N_BINS)
    middle = N_BASES // 2
    changed = sequence.copy()
    changed[0, middle] = (sequence[0, middle] + 1) % 4
    n_all = N_BASES // mine.config.bin_size
    window = reader.engine.stretch(sequence[0]).window(0, n_all)
    bins = mine.bins_of(N_BASES, N_BINS, "human")
    with torch.inference_mode():
        window.embed([None], bins)  # the reference is given
    every_track = torch.arange(mine.track_heads["human"].n_tracks)

    def edited() -> np.ndarray:
        with torch.inference_mode():
            return mine.tracks(window.embed([changed[0]], bins), "human", every_track).numpy()

    def full() -> Any:
        with torch.inference_mode():
            return peer(onehot, head="human")

    tasks = {
        "theirs": full,
        "float32": lambda: reader(sequence),
        "bfloat16": lambda: half(sequence),
        "edited": edited,
    }
    found = {name: task() for name, task in tasks.items()}
    rates = {name: measured_rate(getattr(torch, name)) for name in ("float32", "bfloat16")}
    expected = found["theirs"].transpose(1, 2).numpy()

    def apart(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.abs(a - b).max() / np.abs(b).max())

    exact = apart(found["edited"], reader(changed))
    taken = seconds(tasks, N_ROUNDS, long=True)
    speed = {name: 1 / value for name, value in taken.items()}
    what = f"{N_BASES:,} bp, 1,536 channels, 11 blocks"
    error, rough = apart(found["float32"], expected), apart(found["bfloat16"], found["float32"])
    at_limit = [limit(f"{what}, {name}", mine, "human", N_BASES, N_BINS, rate, taken[name]) for name, rate in rates.items()]
    return [
        *at_limit,
        faster(f"{what}, float32", PEER, speed["float32"], speed["theirs"], 2.0),
        Row(f"{what}, float32: largest difference, relative", PEER, f"{error:.1e}", "<= 3e-4", error <= 3e-4),
        faster(f"{what}, bfloat16", f"{PEER}, float32", speed["bfloat16"], speed["theirs"], 4.0),
        Row(f"{what}, bfloat16: largest difference, relative", "ours in float32", f"{rough:.1e}", "< 1e-2", rough < 1e-2),
        faster("the same window with one base changed, given the reference", PEER, speed["edited"], speed["theirs"], 6.0),
        faster("the same", "ours, the full window", speed["edited"], speed["float32"]),
        Row("the same: largest difference, relative", "the whole window again", f"{exact:.1e}", "<= 1e-5", exact <= 1e-5),
    ]


def training() -> list[Row]:
    import torch

    from genoformer.models.plain_engine import one_hot
    from genoformer.training.losses import poisson

    peer = theirs(**SMALL).train()
    mine = ours(peer).train()
    onehot = one_hot(torch.from_numpy(codes(SMALL_BASES)))
    measured = torch.rand(1, 100, SMALL_BASES // 128)
    optimizers = {name: torch.optim.AdamW(model.parameters(), lr=1e-5) for name, model in (("ours", mine), ("theirs", peer))}

    def step(name: str) -> None:
        if name == "ours":
            loss = poisson(mine(onehot, "human"), measured).mean()
        else:
            loss = poisson(peer(onehot.transpose(1, 2), head="human").transpose(1, 2), measured).mean()
        optimizers[name].zero_grad()
        loss.backward()
        optimizers[name].step()

    tasks = {"ours": lambda: step("ours"), "theirs": lambda: step("theirs")}
    for task in tasks.values():
        task()
    taken = seconds(tasks, N_ROUNDS, long=True)
    what = f"forward, backward and step, `small`, {SMALL_BASES:,} bp"
    return [faster(what, PEER, 1 / taken["ours"], 1 / taken["theirs"], 1.0)]


def peak(name: str) -> None:
    import torch

    if name == "ours":
        from genoformer.inference.tracks import TrackPredictor
        from genoformer.models.enformer.config import EnformerConfig
        from genoformer.models.enformer.model import Enformer

        TrackPredictor(Enformer(EnformerConfig()).eval(), "human", N_BINS)(codes(N_BASES))
    else:
        from genoformer.models.plain_engine import one_hot

        model = theirs(use_tf_gamma=N_BASES == 196_608, target_length=N_BINS).eval()
        with torch.inference_mode():
            model(one_hot(torch.from_numpy(codes(N_BASES))).transpose(1, 2), head="human")
    status = Path("/proc/self/status").read_text()  # ru_maxrss would tell of the parent too
    print(int(status.partition("VmHWM:")[2].split()[0]) / 2**20)


if __name__ == "__main__":
    if "--peak" in sys.argv:
        peak(sys.argv[-1])
    else:
        script(main)
