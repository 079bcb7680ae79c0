"""Distal enhancers: a `tiny` long-range model with and without attention on tracks of the simulated world, the same steps.

The CAGE of a gene follows from its promoter and from enhancers up to 50 kb away (`genoformer.simulation.regulation`). Both
models are trained from scratch on the same windows; the one without attention (n_blocks = 0) has stem and tower only, which
see about 650 bases for a bin. Pearson's r of log(1 + CAGE) around start sites on contigs that neither has seen, over pairs of
a gene and a cell type, apart for those that depend on distal enhancers (contributions from beyond 2 kb of at least half of
what the promoter gives) and those that do not; intervals of 95 % by resampling genes. Beside them stand the r of what is
known from the promoter and enhancers within 2 kb, and that of the expected CAGE, which only noise keeps from 1.

Hours on two cores. World, set and finished models are kept in `build/distal` and taken again. DISTAL_SIZE=quick only shows
that it works.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from common import Row, script

if TYPE_CHECKING:
    from genoformer.labelled.track_sets import TrackSet
    from genoformer.simulation import World

OUT = Path(__file__).resolve().parents[2] / "build" / "distal"
MODELS: dict[str, dict[str, Any]] = {"attention": {}, "no attention": {"n_blocks": 0}}
RECIPE: dict[str, Any] = {"learning_rate": 1e-3, "clip": 1.0, "average": 0.99, "precision": "bf16-mixed"}  # of both
AROUND = 1  # bins on each side of that of the start site
N_RESAMPLINGS = 2_000
SEED = 11


class Size(NamedTuple):
    n_train: int  # contigs; one more is validated on, and n_test more are tested on
    n_test: int
    contig_length: int
    length: int  # bases of a window: 49 kb on each side of the targets
    target_bins: int
    epochs: float
    shape: dict[str, Any]  # what differs from the preset `tiny`


SIZES = {
    "full": Size(6, 2, 1_000_000, 196_608, 768, 40, {}),
    "quick": Size(1, 1, 200_000, 32_768, 64, 1, {"width": 48, "n_heads": 2}),
}


def main() -> list[Row]:
    from genoformer.genome.reference import Genome
    from genoformer.labelled.track_sets import read_tracks
    from genoformer.labelled.tracks import build_tracks
    from genoformer.models import checkpoint
    from genoformer.simulation import simulate
    from genoformer.training.tracks import TracksConfig, TrackTuningConfig, train_tracks

    name = os.environ.get("DISTAL_SIZE", "full")
    size, folder = SIZES[name], OUT / name
    n_contigs = size.n_train + 1 + size.n_test
    world = simulate(
        folder / "world", seed=SEED, n_contigs=n_contigs, contig_length=size.contig_length, n_variants=100 * n_contigs,
        element_share=0.3, tracks=True,
    )  # fmt: skip
    if not (folder / "set").exists():
        with Genome(world.genome) as genome:
            valid, *test = [f"chrS{i + 1}" for i in range(size.n_train, n_contigs)]
            build_tracks(
                folder / "set", genome, world.targets, length=size.length, target_bins=size.target_bins, valid=[valid],
                test=test,
            )  # fmt: skip
    data = read_tracks(folder / "set")
    plan = TrackTuningConfig(epochs=size.epochs, seed=SEED, validations=0.25, **RECIPE)
    found = {}
    for model, shape in MODELS.items():
        run = folder / model.replace(" ", "-")
        if not (run / "config.json").exists():
            train_tracks(TracksConfig({"preset": "tiny", **size.shape, **shape}, plan), data, run)
        found[model] = read_cage(checkpoint.load_long_range(run), data, world)
    return rows(found, len(data.rows("train")))


class Cage(NamedTuple):
    """Of every gene and cell type in the targets of the test windows, [n]: all but gene and dependent are logarithms."""

    gene: np.ndarray
    dependent: np.ndarray  # on distal enhancers
    near: np.ndarray  # what promoter and enhancers within 2 kb give
    expected: np.ndarray
    measured: np.ndarray
    predicted: np.ndarray


def read_cage(model: Any, data: TrackSet, world: World) -> Cage:
    from genoformer.inference.tracks import TrackReader
    from genoformer.simulation.tracks import ASSAYS

    track = {(assay.cell, assay.strand): i for i, assay in enumerate(ASSAYS) if assay.group == "CAGE"}
    reader = TrackReader(model.eval(), None, data.n_bins)
    table = []
    for row in data.rows("test"):
        window = data.windows[row]
        begin = window.start + data.first_bin * data.bin_size
        predicted = reader.both_strands(np.array(data.sequence[row])[None], data.targets.strand_pairs)[0]  # [K, N]
        for gene in world.expressed:
            at = (gene.tss - begin) // data.bin_size
            if gene.contig == window.chrom and AROUND <= at < data.n_bins - AROUND:
                here = (track[gene.cell, gene.strand], slice(at - AROUND, at + AROUND + 1))
                measured = data.tracks[row][here].sum(dtype=np.float64)
                expected = (gene.promoter * (1 + gene.near), gene.cage, measured, predicted[here].sum(dtype=np.float64))
                table.append((gene.gene, gene.depends_on_distal, *np.log1p(expected)))
    return Cage(*(np.array(column) for column in zip(*table, strict=True)))


def rows(found: dict[str, Cage], n_train: int) -> list[Row]:
    cage = found["attention"]
    rng = np.random.default_rng(SEED)
    genes, of = np.unique(cage.gene, return_inverse=True)
    weights = rng.multinomial(len(genes), np.full(len(genes), 1 / len(genes)), size=N_RESAMPLINGS)[:, of]  # [R, n]
    weights = np.concatenate([np.ones_like(weights[:1]), weights])  # the first are the genes as they are
    made = []
    for dependent, kind in ((True, "depend on"), (False, "do not depend on")):
        here = cage.dependent == dependent
        r = {name: pearson(x.predicted[here], x.measured[here], weights[:, here]) for name, x in found.items()}
        known = {
            name: pearson(x[here], cage.measured[here], weights[:, here])
            for name, x in (("known from 2 kb", cage.near), ("expected", cage.expected))
        }
        beside = "; ".join(f"{name} {text(x)}" for name, x in {"no attention": r["no attention"], **known}.items())
        what = f"r of log CAGE over {here.sum()} pairs of gene and cell type that {kind} distal enhancers, attention"
        made.append(Row(f"{what}; {n_train} windows to train on", beside, text(r["attention"])))
        more = r["attention"] - r["no attention"]
        low = np.nanquantile(more[1:], 0.025)
        target = "> 0 with its interval" if dependent else ""
        made.append(Row("the same, more than without attention", "", text(more), target, bool(low > 0) if dependent else None))
    return made


def pearson(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Correlation of x and y [n] under each row of weights [R, n]."""
    total = np.maximum(weights.sum(1), 1)

    def mean(values: np.ndarray) -> np.ndarray:
        return (weights @ values) / total

    xy = mean(x * y) - mean(x) * mean(y)
    square = (mean(x * x) - mean(x) ** 2) * (mean(y * y) - mean(y) ** 2)
    return xy / np.sqrt(np.where(square > 1e-12, square, np.nan))  # few genes, all alike


def text(values: np.ndarray) -> str:
    """The first, and the interval of the others."""
    low, high = np.nanquantile(values[1:], [0.025, 0.975])
    return f"{values[0]:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    script(main)
