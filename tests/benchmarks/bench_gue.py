"""GUE sets (DNABERT-2's benchmark): dev MCC of our fine-tuned models, three seeds, beside regression on k-mers and a CNN.

The best step of each run is chosen on dev, and so were the recipes, one seed each; what the last step gives, which no
number of dev has chosen, stands beside it. The regression and the CNN have never seen dev.
tf_0 is trained twice: its peaks are promoters, of which prom_core_all and prom_300_tata know 28,000. First a model tells
those, the peaks and what is neither apart (training sets only, 70 bases of each sequence), then it goes on with tf_0 itself.

Hours on two cores. Members that are finished are kept in `build/gue` and taken again; the recipes are in `gue/SET.toml`.
"""

from __future__ import annotations

import os
from pathlib import Path

from common import Row, data_folder, script

HERE = Path(__file__).parent
OUT = HERE.parents[1] / "build" / "gue"
N_SEEDS = 3
MARGINS = {"prom_core_all": 0.06, "prom_300_tata": 0.06, "tf_0": 0.06, "mouse_0": 0.0}  # over the k-mer regression
PUBLISHED = {"prom_core_all": 0.689, "prom_300_tata": 0.616, "tf_0": 0.668}  # DNABERT-6, test sets (DNABERT-2, table)


def main() -> list[Row]:
    asked = os.environ.get("GUE_SETS", "").split(",") if "GUE_SETS" in os.environ else list(MARGINS)
    return [row for name in asked for row in one(name)]


def one(name: str) -> list[Row]:
    from genoformer.datasets.sequences import read_labelled
    from genoformer.datasets.targets import make_targets
    from genoformer.evaluation.baselines import BASELINES
    from genoformer.evaluation.metrics import compute_metrics
    from genoformer.training.config import FinetuneConfig
    from genoformer.training.finetune import finetune
    from genoformer.training.jobs import FinetuneJob
    from genoformer.training.log import LOG, read_log

    folder = data_folder() / "classification" / "GUE" / name
    train, dev = (read_labelled(folder / f"{part}.csv.gz") for part in ("train", "dev"))
    recipe = HERE / "gue" / f"{name}.toml"
    config = FinetuneConfig.read(recipe)
    starts = [] if config.model else [first(name, folder.parent)]
    if (OUT / name / "ensemble.json").is_file():
        (OUT / name / "ensemble.json").unlink()  # the members are taken again, and judged anew
    done = finetune(FinetuneJob(train, OUT / name, "classify", config, dev, starts=starts, n_seeds=N_SEEDS))
    assert done is not None
    fitted, asked = (make_targets(part.labels, "classify") for part in (train, dev))
    beside = {}
    for baseline in ("kmer_regression", "cnn"):
        model = BASELINES[baseline](train.sequences, fitted.values, fitted.task)
        beside[baseline] = compute_metrics(fitted.task, asked.values, model.predict(dev.sequences))["mcc"].value
    mean, together = done.over_members["mcc"], done.ensemble["mcc"]
    ours = ", ".join(f"{member.metrics['mcc'].value:.3f}" for member in done.members)
    last = [[row["valid_mcc"] for row in read_log(member.folder / LOG) if "valid_mcc" in row][-1] for member in done.members]
    peer = f"k-mers {beside['kmer_regression']:.3f}, CNN {beside['cnn']:.3f}"
    if name in PUBLISHED:
        peer += f"; DNABERT-6, test set {PUBLISHED[name]:.3f}"
    least = beside["kmer_regression"] + MARGINS[name]
    start = "after promoters" if starts else "from scratch"
    what = f"dev MCC on {name}, {start}, mean of {N_SEEDS} seeds ({ours})"
    return [
        Row(what, peer, f"{mean.value:.3f} ({mean.low:.3f} to {mean.high:.3f})", f">= {least:.3f}", mean.value >= least),
        Row("the same at the last step of each run", "", f"{sum(last) / len(last):.3f}"),
        Row(f"the same, their predictions averaged ({len(dev):,} sequences)", "", str(together)),
    ]


def first(name: str, folder: Path) -> Path:
    """The model that the second training of a set starts from."""
    import pandas as pd

    from genoformer.datasets.sequences import read_labelled
    from genoformer.training.config import FinetuneConfig
    from genoformer.training.finetune import finetune
    from genoformer.training.jobs import FinetuneJob

    out = OUT / f"{name}-first"
    if (out / "config.json").is_file():
        return out
    own, core, tata = (pd.read_csv(folder / part / "train.csv.gz") for part in (name, "prom_core_all", "prom_300_tata"))
    rows = [(s[a : a + 70], ("genome", "tf")[y]) for s, y in zip(own.sequence, own.label, strict=True) for a in (0, 31)]
    rows += [(s, "promoter") for s, y in zip(core.sequence, core.label, strict=True) if y]
    rows += [(s[a : a + 70], "promoter") for s, y in zip(tata.sequence, tata.label, strict=True) if y for a in (180, 230)]
    table = pd.DataFrame(list({row[0]: row for row in rows}.values()), columns=["sequence", "label"])
    OUT.mkdir(parents=True, exist_ok=True)
    table.sample(frac=1, random_state=0).to_csv(OUT / f"{name}-first.csv", index=False)
    data = read_labelled(OUT / f"{name}-first.csv")
    finetune(FinetuneJob(data, out, "classify", FinetuneConfig.read(HERE / "gue" / f"{name}-first.toml")))
    return out


if __name__ == "__main__":
    script(main)
