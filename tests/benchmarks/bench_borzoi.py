"""Borzoi compared with borzoi-pytorch in one process: a full window, scores of SNVs, mutagenesis, memory.

BENCH_BASES=131072 shortens the window, TRACK_SNVS=4 takes fewer SNVs, BENCH_ROUNDS=1 fewer rounds. Memory is the peak of a
process that does nothing else. The limit is the time that the multiplications and additions of the published network (counted
by torch) would take at the rate of the largest convolution or matrix product, measured in the same run; above 100 % a
convolution takes fewer of them. Averages of batch norms are those of one random window, as in bench_track_scoring.
"""

from __future__ import annotations

import copy
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import NotHere, Row, faster, memory_share, script, seconds
from track_variants import SCALE, SnvBench, limit, measured_rate, timed

N_BASES = int(os.environ.get("BENCH_BASES", "524288"))
N_BINS = min(6144, N_BASES // 64)
N_ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
PEER = "borzoi-pytorch"


def main() -> list[Row]:
    return [*windows(), memory_share(__file__, PEER, N_BASES)]


def theirs() -> Any:
    """A Borzoi of borzoi-pytorch whose every weight shows in its output."""
    import torch

    try:
        from borzoi_pytorch import Borzoi
    except ImportError as error:
        raise NotHere(f"borzoi-pytorch is not installed ({error})") from error
    torch.manual_seed(0)
    model = Borzoi.from_hparams(bins_to_return=N_BINS, enable_mouse_head=False)
    for name, parameter in model.named_parameters():
        if name.endswith("to_out.weight"):
            torch.nn.init.normal_(parameter, std=0.02)
        if name.endswith("_bias") and "rel_" in name:
            torch.nn.init.normal_(parameter, std=0.5)  # as TensorFlow's Borzoi begins; with 1 attention falls on single bins
    return model


def forget_positions(model: Any) -> Any:
    """Remove the relative positions of the first length that the model saw, which it keeps for all others."""
    for module in model.modules():
        if hasattr(module, "positions"):
            module.positions = None
    return model


def ours(model: Any) -> Any:
    """The same model, through its folder."""
    from genoformer.models import registry
    from genoformer.models.base import PredictsTracks

    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return registry.load(folder, PredictsTracks)


def codes() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4, (1, N_BASES)).astype(np.uint8)


def windows() -> list[Row]:
    import torch

    from genoformer.inference.tracks import TrackPredictor
    from genoformer.models.plain_engine import PlainEngine, one_hot

    peer = theirs()
    onehot = one_hot(torch.from_numpy(codes()))
    settled(peer, onehot)
    mine = ours(peer)
    half = copy.deepcopy(mine).to(torch.bfloat16)
    readers = {"float32": TrackPredictor(mine, "human", N_BINS), "bfloat16": TrackPredictor(half, "human", N_BINS)}

    def full() -> Any:
        with torch.inference_mode():
            return peer(onehot)

    def ours_once(reader: TrackPredictor) -> Any:
        return reader(codes())

    tasks: dict[str, Callable[[], Any]] = {
        "theirs": full,
        **{name: partial(ours_once, reader) for name, reader in readers.items()},
    }
    found = {name: np.asarray(task()) for name, task in tasks.items()}
    plain = TrackPredictor(mine, "human", N_BINS, PlainEngine(mine, "human"))(codes())
    taken = seconds(tasks, N_ROUNDS, long=True)
    rate = {torch.float32: measured_rate(torch.float32), torch.bfloat16: measured_rate(torch.bfloat16)}

    def apart(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.abs(a - b).max() / np.abs(b).max())

    what = f"{N_BASES:,} bp, 1,536 channels, 8 blocks, 7,611 tracks"
    error, exact, rough = (
        apart(found["float32"], found["theirs"]),
        apart(found["float32"], plain),
        apart(found["bfloat16"], found["float32"]),
    )
    related = float(np.corrcoef(found["bfloat16"].ravel(), found["float32"].ravel())[0, 1])
    rows = [
        faster(f"{what}, float32", PEER, 1 / taken["float32"], 1 / taken["theirs"], 1.5),
        Row(f"{what}, float32: largest difference, relative", PEER, f"{error:.1e}", "<= 1e-4", error <= 1e-4),
        Row(f"{what}, float32: the same", "the plain modules", f"{exact:.1e}", "<= 1e-5", exact <= 1e-5),
        limit(f"{what}, float32", mine, "human", N_BASES, N_BINS, rate[torch.float32], taken["float32"]),
        faster(f"{what}, bfloat16", f"{PEER}, float32", 1 / taken["bfloat16"], 1 / taken["theirs"], 3.0),
        limit(f"{what}, bfloat16", mine, "human", N_BASES, N_BINS, rate[torch.bfloat16], taken["bfloat16"]),
        Row(f"{what}, bfloat16: largest difference, relative", "ours in float32", f"{rough:.1e}", "< 1e-2", rough < 1e-2),
        Row(f"{what}, bfloat16: correlation", "ours in float32", f"{related:.4f}"),
    ]
    targets = {"near": 6.0, "far": 2.5, "mutagenesis": 6.0}
    rows += SnvBench(mine, "human", N_BASES, PEER).rows(each=taken["theirs"], **targets)
    rows += SnvBench(half, "human", N_BASES, PEER, exact=mine).rows(each=taken["theirs"], **targets)
    return [*rows, flashzoi(taken["theirs"])]


def flashzoi(theirs: float) -> Row:
    """The same window by Flashzoi, whose reference needs a GPU: beside Borzoi's, `theirs` seconds."""
    from genoformer.inference.tracks import TrackPredictor
    from genoformer.models.borzoi.config import preset
    from genoformer.models.borzoi.model import Borzoi

    model = Borzoi(preset("flashzoi", heads={"human": 7611}, target_bins=0, context_length=N_BASES)).eval()
    reader = TrackPredictor(model, "human", N_BINS)
    reader(codes())  # weights are prepared once
    taken = timed(lambda: reader(codes()))
    return faster(f"{N_BASES:,} bp, Flashzoi, float32", f"{PEER}, Borzoi", 1 / taken, 1 / theirs)


def settled(model: Any, onehot: Any) -> None:
    """Set the averages of batch norms to those of a window, and leave the model in eval mode."""
    import torch

    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    crop, model.crop = model.crop, torch.nn.Identity()  # the shorter window has fewer bins than it keeps
    with torch.no_grad():
        model.train()
        model.final_joined_convs(model.get_embs_after_crop(onehot[..., :SCALE]))
    model.crop = crop
    forget_positions(model.eval())


def peak(name: str) -> None:
    import torch

    from genoformer.models.plain_engine import one_hot

    if name == "ours":
        from genoformer.inference.tracks import TrackPredictor
        from genoformer.models.borzoi.config import preset
        from genoformer.models.borzoi.model import Borzoi

        model = Borzoi(preset("borzoi", heads={"human": 7611}, target_bins=0, context_length=N_BASES)).eval()
        TrackPredictor(model, "human", N_BINS)(codes())
    else:
        peer = theirs().eval()
        with torch.inference_mode():
            peer(one_hot(torch.from_numpy(codes())))
    status = Path("/proc/self/status").read_text()  # ru_maxrss would tell of the parent too
    print(int(status.partition("VmHWM:")[2].split()[0]) / 2**20)


if __name__ == "__main__":
    if "--peak" in sys.argv:
        peak(sys.argv[-1])
    else:
        script(main)
