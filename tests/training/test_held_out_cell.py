"""A cell type of the simulated world that was held out of training is predicted from its factors."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from genoformer.datasets.track_set import TrackSet, Window, read_tracks, write_track_set
from genoformer.formats.context_table import ContextTable
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.reference import Genome
from genoformer.inference.tracks import TrackPredictor
from genoformer.models import registry
from genoformer.models.contexts import ContextTracks
from genoformer.simulation.grammar import PROGRAMS
from genoformer.simulation.regulation import BITS
from genoformer.simulation.tracks import ACCESSIBLE, BACKGROUND, DISPERSION, WIDTHS
from genoformer.simulation.world import World, simulate
from genoformer.training.jobs import TrackTrainingJob
from genoformer.training.tracks import train_tracks

HELD_OUT = "liver"
FACTORS = tuple(factor for program in PROGRAMS.values() for factor in program)  # of enhancers
BIN, WINDOW, LENGTH, N_CONTIGS, N_CELLS = 64, 512, 400_000, 6, 10
TARGETS = slice(1, 7)  # bins of a window
TABLE = """
[model]
preset = "tiny"
width = 48
n_heads = 2
key_width = 8
n_pools = 6
n_blocks = 0
dropout = 0.0
[tracks]
epochs = 20
batch_size = 16
learning_rate = 4e-3
max_grad_norm = 1.0
loss = "log"
evals_per_epoch = 0.2
"""


def cell_types() -> ContextTable:
    """Ten cell types, each with some of the factors of enhancers, and the liver of the simulated world, the last one."""
    liver = tuple(float(factor in PROGRAMS[HELD_OUT]) for factor in FACTORS)
    random, cells = np.random.default_rng(1), list[tuple[float, ...]]()
    while len(cells) < N_CELLS:
        cell = tuple((random.random(len(FACTORS)) < 0.5).astype(float).tolist())
        if 1 < sum(cell) < len(FACTORS) and cell not in cells and cell != liver:
            cells.append(cell)
    names = (*(f"cell{i}" for i in range(N_CELLS)), HELD_OUT)
    return ContextTable(names, FACTORS, np.array([*cells, liver]))


def accessibility(world: World, contig: str, factors: set[str], random: np.random.Generator) -> np.ndarray:
    """Counts of accessible bases as in `simulation.tracks`, in bins of 64 bases, of a cell type with these factors."""
    edges, means = np.arange(0, LENGTH + 1, BIN), np.full(LENGTH // BIN, BACKGROUND["DNASE"])
    activity: dict[str, float] = {}
    for instance in world.instances:
        if instance.contig == contig and instance.motif in factors and instance.bits > 0:
            activity[instance.element] = activity.get(instance.element, 0.0) + instance.bits / BITS
    for element in world.elements:
        if element.contig == contig and element.name in activity:
            near = slice(max(0, element.start // BIN - 10), element.end // BIN + 11)
            z = (edges[near] - (element.start + element.end) / 2) / (WIDTHS["DNASE"] * math.sqrt(2))
            share = np.diff([math.erf(value) / 2 for value in z])
            means[near][: len(share)] += ACCESSIBLE * activity[element.name] * share
    return random.negative_binomial(1 / DISPERSION, 1 / (1 + DISPERSION * means)).astype(np.float64)


def write_set(folder: Path, cells: ContextTable) -> None:
    """Write a set of a window around each enhancer and promoter; the last two contigs are for validation and test."""
    world = simulate(folder / "world", seed=1, n_contigs=N_CONTIGS, contig_length=LENGTH, n_variants=50 * N_CONTIGS)
    random, genome = np.random.default_rng(2), Genome(world.genome)
    windows, sequences, tracks = [], [], []
    for i, contig in enumerate(world.lengths):
        counts = []
        for vector in cells.vectors:
            factors = {factor for factor, value in zip(FACTORS, vector, strict=True) if value}
            counts.append(accessibility(world, contig, factors, random))
        split = {N_CONTIGS - 2: "valid", N_CONTIGS - 1: "test"}.get(i, "train")
        for element in world.elements:
            start = int((element.start + element.end) / 2 - WINDOW / 2 + random.integers(-120, 120)) // BIN * BIN
            if element.contig != contig or element.state == "CTCF" or start < 0 or start + WINDOW > LENGTH:
                continue
            windows.append(Window(contig, start, start + WINDOW, split))
            sequences.append(genome.windows(contig, np.array([start]), WINDOW)[0])
            tracks.append(np.stack(counts)[:, start // BIN : (start + WINDOW) // BIN][:, TARGETS])
    table = TrackTable(tuple(Track(i, f"dnase.{name}", strand_pair=i) for i, name in enumerate(cells.names)))
    write_track_set(folder / "set", sequences, tracks, windows, table, BIN)


def predicted(model: ContextTracks, data: TrackSet, rows: np.ndarray) -> np.ndarray:
    """Tracks [W, K, N] of windows."""
    predictor = TrackPredictor(model)
    return np.concatenate([predictor(np.array(data.sequence[row])[None]) for row in rows])


def test_a_held_out_cell_type_is_predicted_better_than_the_mean_of_the_others(tmp_path: Path) -> None:
    """Pearson's r of log(1 + counts) on a contig that was not trained on, with an interval over windows (bootstrap).

    The means are of the other cell types: predicted by the same model, and measured on the very windows.
    """
    cells = cell_types()
    write_set(tmp_path, cells)
    data, others = read_tracks(tmp_path / "set"), cells.rows(cells.names[:-1])
    (tmp_path / "c.toml").write_text(TABLE)
    done = train_tracks(
        TrackTrainingJob.from_names(tmp_path / "set", tmp_path / "run", config=tmp_path / "c.toml", contexts=others)
    )
    assert done is not None
    assert "left out: dnase.liver" in done.notes[0]
    model, rows = registry.load(tmp_path / "run"), data.rows("test")
    measured = np.stack([data.tracks[row].astype(np.float64) for row in rows])
    held_out = predicted(model.with_contexts(cells.rows([HELD_OUT])), data, rows)[:, 0]
    means = {"predicted": predicted(model, data, rows).mean(1), "measured": measured[:, :-1].mean(1)}

    def r(values: np.ndarray, chosen: np.ndarray) -> float:
        return float(np.corrcoef(np.log1p(values[chosen]).ravel(), np.log1p(measured[chosen, -1]).ravel())[0, 1])

    every, random = np.arange(len(rows)), np.random.default_rng(0)
    assert r(held_out, every) > 0.7
    for mean in means.values():
        draws = (random.integers(0, len(rows), len(rows)) for _ in range(300))
        differences = [r(held_out, chosen) - r(mean, chosen) for chosen in draws]
        assert np.percentile(differences, 2.5) > 0.1
