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
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from common import Row, script

if TYPE_CHECKING:
    import pandas as pd

    from genoformer.datasets.track_set import TrackSet
    from genoformer.evaluation.intervals import Estimate
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
    if not (folder / "set").exists():
        valid, *test = [f"chrS{i + 1}" for i in range(stage.n_train, n_contigs)]
        options: dict[str, Any] = {
            "length": stage.length,
            "target_bins": stage.target_bins,
            "tracks": "CAGE" if cage_only else None,
        }
        with Genome(world.genome) as genome:
            build_tracks(folder / "set", genome, world.targets, valid=[valid], test=test, **options)
    return world, read_tracks(folder / "set")


def read_cage(model: Any, data: TrackSet, world: World) -> pd.DataFrame:
    """Return a row for each gene and cell type whose TSS lies in the test windows, with log(1 + CAGE) as known and predicted.

    Columns: gene, cell, dependent (on distal enhancers), near (what promoter and enhancers within 2 kb give), expected,
    measured and predicted.
    """
    import pandas as pd

    from genoformer.evaluation.gene_tracks import gene_tracks
    from genoformer.simulation.tracks import ASSAYS

    names = {(assay.cell, assay.strand): assay.identifier for assay in ASSAYS if assay.group == "CAGE"}
    known = pd.DataFrame(world.expressed)
    known["track"] = [names[row.cell, row.strand] for row in world.expressed]
    known["dependent"] = [row.depends_on_distal for row in world.expressed]
    found = gene_tracks(model.eval(), data, world.gtf, around=AROUND)[["gene", "track", "measured", "predicted"]]
    table = known.merge(found, on=["gene", "track"])
    near = table["promoter"] * (1 + table["near"])
    logs = {"near": near, "expected": table["cage"], "measured": table["measured"], "predicted": table["predicted"]}
    return table[["gene", "cell", "dependent"]].assign(**{name: np.log1p(of) for name, of in logs.items()})


def rows(found: dict[str, pd.DataFrame], n_train: int) -> list[Row]:
    from genoformer.evaluation.correlations import correlate

    cage = found["attention"]
    every = cage[["near", "expected"]].assign(**{name: of["predicted"] for name, of in found.items()})
    made = []
    for dependent, kind in ((True, "depend on"), (False, "do not depend on")):
        here = cage["dependent"] == dependent
        r = correlate(every[here], cage["measured"][here], groups=cage["gene"][here], resamplings=N_RESAMPLINGS, seed=SEED)
        names = {"no attention": "no attention", "known from 2 kb": "near", "expected": "expected"}
        beside = "; ".join(f"{name} {text(r[of])}" for name, of in names.items())
        what = f"r of log CAGE over {here.sum()} pairs of gene and cell type that {kind} distal enhancers, attention"
        made.append(Row(f"{what}; {n_train} windows to train on", beside, text(r["attention"])))
        more = r.difference("attention", "no attention")
        target = "> 0 with its interval" if dependent else ""
        made.append(Row("the same, more than without attention", "", text(more), target, more.low > 0 if dependent else None))
    return [*made, between_cells(cage, every)]


def between_cells(cage: pd.DataFrame, every: pd.DataFrame) -> Row:
    """Return the row of r of the difference of log CAGE between the cell types, over the genes that both have."""
    from genoformer.evaluation.correlations import correlate

    columns = every.assign(gene=cage["gene"], measured=cage["measured"])
    first, second = (columns[cage["cell"] == cell].set_index("gene") for cell in np.unique(cage["cell"]))
    both = first.join(second, how="inner", lsuffix=" of the first", rsuffix=" of the second")
    names = [*every, "measured"]
    change = {name: (both[f"{name} of the first"] - both[f"{name} of the second"]).to_numpy() for name in names}
    r = correlate(change, change["measured"], resamplings=N_RESAMPLINGS, seed=SEED)
    what = f"r of the difference of log CAGE between the cell types, {len(both)} genes, attention"
    return Row(what, f"no attention {text(r['no attention'])}; expected {text(r['expected'])}", text(r["attention"]))


def text(found: Estimate) -> str:
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


if __name__ == "__main__":
    script(main)
