"""Distal enhancers: a `tiny` track model with and without attention on tracks of the simulated world, the same steps.

The CAGE of a gene follows from its promoter and from enhancers up to 50 kb away, unless a CTCF site lies between
(`genoformer.simulation.regulation`). Each model is trained twice. First on all tracks of a world that is dense with elements,
in short windows: its stem and tower learn the motifs, those that are active in one cell type too (joint training on long
windows does not get there in hours). Then, stem and tower as they are, on the CAGE of a world with a tenth of the enhancers
and CTCF sites, in windows with 49 kb on each side. The one without attention (n_blocks = 0) sees about 650 bases for a bin.

Pearson's r of log(1 + CAGE) around start sites on contigs that neither has seen, over pairs of a gene and a cell type, apart
for those that depend on distal enhancers (contributions from beyond 2 kb of at least half of what the promoter gives) and those
that do not, and of the difference between the cell types of a gene, which no promoter can tell; intervals of 95 % by resampling
genes. Beside them stand the r of what is known from the promoter and enhancers within 2 kb, and that of the expected CAGE,
which only noise keeps from 1.

About 12 minutes a model on one core. Worlds, sets and finished models are kept in `build/distal` and taken again.
DISTAL_SIZE=quick only shows that it works, DISTAL_MODEL=attention trains one of the two.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from common import Row, script

if TYPE_CHECKING:
    from genoformer.datasets.track_set import TrackSet
    from genoformer.simulation import World

OUT = Path(__file__).resolve().parents[2] / "build" / "distal"
MODELS: dict[str, dict[str, Any]] = {"attention": {"n_blocks": 2}, "no attention": {"n_blocks": 0}}
SHAPE: dict[str, Any] = {"preset": "tiny", "dropout": 0.0, "attention_dropout": 0.0, "qk_init_gain": 0.2}  # of both
FIRST: dict[str, Any] = {"learning_rate": 2e-3, "max_grad_norm": 1.0, "ema_decay": 0.99, "precision": "bf16-mixed"}
SECOND: dict[str, Any] = {
    "learning_rate": 3e-3,
    "max_grad_norm": 1.0,
    "ema_decay": 0.99,
    "precision": "bf16-mixed",
    "batch_size": 2,
    "tune": "last",
}
AROUND = 1  # bins on each side of that of the start site
N_RESAMPLINGS = 2_000
SEED = 11


class Stage(NamedTuple):
    """A world, the windows of it, and how long a model is trained on them."""

    element_share: float
    n_train: int  # contigs; one more is validated on, and n_test more are tested on
    n_test: int
    contig_length: int
    length: int  # bases of a window
    target_bins: int
    epochs: float


SIZES = {
    "full": (Stage(1.0, 40, 2, 1_000_000, 32_768, 256, 3.4), Stage(0.1, 60, 9, 1_000_000, 196_608, 768, 3)),
    "quick": (Stage(1.0, 1, 1, 200_000, 8_192, 64, 0.3), Stage(0.1, 1, 1, 200_000, 32_768, 64, 1)),
}


def main() -> list[Row]:
    from genoformer.models import registry
    from genoformer.models.base import PredictsTracks
    from genoformer.training.jobs import TrackTrainingJob
    from genoformer.training.track_config import TracksConfig, TrackTuningConfig
    from genoformer.training.tracks import train_tracks

    name = os.environ.get("DISTAL_SIZE", "full")
    only = os.environ.get("DISTAL_MODEL")
    dense, sparse = SIZES[name]
    _, first_data = built(OUT / name / "dense", dense, cage_only=False)
    world, data = built(OUT / name / "sparse", sparse, cage_only=True)
    found = {}
    for model, shape in MODELS.items():
        if only not in (None, model):
            continue
        first, run = (OUT / name / f"{model.replace(' ', '-')}-{part}" for part in ("first", "second"))
        how = (dense, FIRST), (sparse, SECOND)
        plans = [TrackTuningConfig(epochs=stage.epochs, seed=SEED, **recipe) for stage, recipe in how]
        if not (first / "config.json").exists():
            train_tracks(TrackTrainingJob(first_data, first, TracksConfig({**SHAPE, **shape}, plans[0])))
        if not (run / "config.json").exists():
            train_tracks(TrackTrainingJob(data, run, TracksConfig({}, plans[1]), first))
        found[model] = read_cage(registry.load(run, PredictsTracks), data, world)
    return rows(found, len(data.rows("train"))) if len(found) == len(MODELS) else []


def built(folder: Path, stage: Stage, *, cage_only: bool) -> tuple[World, TrackSet]:
    """A world, and the windows of it with all tracks or those of CAGE."""
    from genoformer.datasets.track_build import build_tracks
    from genoformer.datasets.track_set import read_tracks
    from genoformer.formats.track_table import TrackTable, read_targets
    from genoformer.genome.reference import Genome
    from genoformer.simulation import simulate

    n_contigs = stage.n_train + 1 + stage.n_test
    world = simulate(
        folder / "world",
        seed=SEED,
        n_contigs=n_contigs,
        contig_length=stage.contig_length,
        n_variants=100 * n_contigs,
        element_share=stage.element_share,
        tracks=True,
    )
    targets = world.targets
    if cage_only:
        chosen = [track for track in read_targets(targets) if track.group == "CAGE"]
        place = {track.index: i for i, track in enumerate(chosen)}
        targets = folder / "world" / "cage.tsv"
        TrackTable(tuple(replace(t, index=place[t.index], strand_pair=place[t.strand_pair]) for t in chosen)).write(targets)
    if not (folder / "set").exists():
        valid, *test = [f"chrS{i + 1}" for i in range(stage.n_train, n_contigs)]
        with Genome(world.genome) as genome:
            build_tracks(
                folder / "set", genome, targets, length=stage.length, target_bins=stage.target_bins, valid=[valid], test=test
            )
    return world, read_tracks(folder / "set")


class Cage(NamedTuple):
    """Of every gene and cell type in the targets of the test windows, [n]: all but gene, cell and dependent are logarithms."""

    gene: np.ndarray
    cell: np.ndarray
    dependent: np.ndarray  # on distal enhancers
    near: np.ndarray  # what promoter and enhancers within 2 kb give
    expected: np.ndarray
    measured: np.ndarray
    predicted: np.ndarray


def read_cage(model: Any, data: TrackSet, world: World) -> Cage:
    from genoformer.inference.tracks import TrackPredictor
    from genoformer.simulation.tracks import ASSAYS

    cage = [assay for assay in ASSAYS if assay.group == "CAGE"]
    track = {(assay.cell, assay.strand): i for i, assay in enumerate(cage)}
    reader = TrackPredictor(model.eval(), None, data.n_bins)
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
                table.append((gene.gene, gene.cell, gene.depends_on_distal, *np.log1p(expected)))
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
    return [*made, *between_cells(found, weights, of)]


def between_cells(found: dict[str, Cage], weights: np.ndarray, of: np.ndarray) -> list[Row]:
    """Of the genes that both cell types have, the difference of log CAGE between them."""
    cage = found["attention"]
    first, second = np.unique(cage.cell)
    pairs = [
        (i, j)
        for gene in np.unique(of)
        for i in np.flatnonzero((of == gene) & (cage.cell == first))
        for j in np.flatnonzero((of == gene) & (cage.cell == second))
    ]
    i, j = np.array(pairs).T
    measured, w = cage.measured[i] - cage.measured[j], weights[:, i]
    r = {name: pearson(x.predicted[i] - x.predicted[j], measured, w) for name, x in found.items()}
    expected = pearson(cage.expected[i] - cage.expected[j], measured, w)
    what = f"r of the difference of log CAGE between the cell types, {len(pairs)} genes, attention"
    return [Row(what, f"no attention {text(r['no attention'])}; expected {text(expected)}", text(r["attention"]))]


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
