"""GUE sets (DNABERT-2's benchmark): dev MCC of our recipes, three seeds, compared with regression on k-mers and a CNN.

Each set is trained with the recipe of its name (`genoformer finetune train.csv --valid dev.csv --recipe SET --seeds 3`), and
again without its transformer layers. The regression and the CNN have never seen dev.

Hours on two cores. Members that are finished are kept in `build/gue` and taken again.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import Row, data_folder, script

OUT = Path(__file__).parents[2] / "build" / "gue"
N_SEEDS = 3
LEAST = {"prom_core_all": 0.67, "prom_300_tata": 0.74, "tf_0": 0.66, "mouse_0": 0.69}
PUBLISHED = {"prom_core_all": 0.689, "prom_300_tata": 0.616, "tf_0": 0.668}  # DNABERT-6, test sets (DNABERT-2, table)


def main() -> list[Row]:
    asked = os.environ.get("GUE_SETS", "").split(",") if "GUE_SETS" in os.environ else list(LEAST)
    return [row for name in asked for row in one(name)]


def one(name: str) -> list[Row]:
    from genoformer.datasets.sequences import read_labelled
    from genoformer.datasets.targets import make_targets
    from genoformer.evaluation.baselines import BASELINES
    from genoformer.evaluation.metrics import compute_metrics

    folder = data_folder() / "classification" / "GUE" / name
    train, dev = (read_labelled(folder / f"{part}.csv.gz") for part in ("train", "dev"))
    done, plain = trained(name, folder), trained(name, folder, n_layers=0)
    fitted, asked = (make_targets(part.labels, "classify") for part in (train, dev))
    peers = {}
    for baseline in ("kmer_regression", "cnn"):
        model = BASELINES[baseline](train.sequences, fitted.values, fitted.task)
        peers[baseline] = compute_metrics(fitted.task, asked.values, model.predict(dev.sequences))["mcc"].value
    mean, without, together = done.over_members["mcc"], plain.over_members["mcc"], done.ensemble["mcc"]
    ours = ", ".join(f"{member.metrics['mcc'].value:.3f}" for member in done.members)
    peer = f"k-mers {peers['kmer_regression']:.3f}, CNN {peers['cnn']:.3f}"
    if name in PUBLISHED:
        peer += f"; DNABERT-6, test set {PUBLISHED[name]:.3f}"
    what = f"dev MCC on {name}, recipe of this name, mean of {N_SEEDS} seeds ({ours})"
    found = f"{mean.value:.3f} ({mean.low:.3f} to {mean.high:.3f})"
    return [
        Row(what, peer, found, f">= {LEAST[name]:.2f}", mean.value >= LEAST[name]),
        Row("the same without attention", "", f"{without.value:.3f} ({without.low:.3f} to {without.high:.3f})"),
        Row(f"the recipe, predictions averaged ({len(dev):,} sequences)", "", str(together)),
    ]


def trained(name: str, folder: Path, **model: Any) -> Any:
    """Models of a recipe with some fields of [model] changed; members that are there are taken again."""
    from genoformer.training.finetune import finetune
    from genoformer.training.jobs import FinetuneJob

    out = OUT / "-".join([name, *(f"{field}-{value}" for field, value in model.items())])
    (out / "ensemble.json").unlink(missing_ok=True)  # the members are taken again, and judged anew
    train, dev = (folder / f"{part}.csv.gz" for part in ("train", "dev"))
    job = FinetuneJob.from_names(train, out, recipe=name, valid=dev, seeds=N_SEEDS)
    done = finetune(replace(job, config=replace(job.config, model={**job.config.model, **model})))
    assert done is not None
    return done


if __name__ == "__main__":
    script(main)
