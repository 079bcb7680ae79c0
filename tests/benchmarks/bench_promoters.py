"""Promoters of a real genome, the documented path: RefSeq start sites on the hg38 slices -> build -> finetune -> evaluate.

The slices hold about a hundred promoters, so that the intervals are wide; what counts is that the path works on real files.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from common import Row, data_folder, script

N_SEEDS = 3


def main() -> list[Row]:
    from genoformer.datasets.build import build
    from genoformer.datasets.sequences import read_labelled
    from genoformer.evaluation.run import EvaluationJob, evaluate_models
    from genoformer.genome.reference import Genome
    from genoformer.training.config import FinetuneConfig, TuningConfig
    from genoformer.training.finetune import finetune
    from genoformer.training.jobs import FinetuneJob

    hg38 = data_folder() / "hg38"
    with tempfile.TemporaryDirectory() as folder:
        made, run = Path(folder, "set"), Path(folder, "run")
        sites = hg38 / "annotation/RefSeq_TSS500bp.hg38.bed.gz"
        blacklist = hg38 / "annotation/hg38-blacklist.v2.bed"
        build(
            made,
            Genome(hg38 / "hg38.sparse.fa.gz"),
            {"promoter": sites},
            length=300,
            blacklist=blacklist,
            valid=["chr2"],
            test=["chr1", "chr22"],
        )
        train, valid = (read_labelled(made / f"{split}.tsv") for split in ("train", "valid"))
        config = FinetuneConfig(finetune=TuningConfig(epochs=12, learning_rate=3e-4))
        finetune(FinetuneJob(train, run, "classify", config, valid, starts=["mini-human"], n_seeds=N_SEEDS))
        found = evaluate_models(
            EvaluationJob(made / "test.tsv", [str(run)], train=made / "train.tsv", baselines=("kmer_regression", "cnn"))
        )
    where = f"{found['n']} sequences of chr1 and chr22 after {len(train)} of chr10 and chr11"
    rows = {row["model"]: row["auroc"] for row in found["models"]}
    beside = "; ".join(f"{name} {_text(auroc)}" for name, auroc in rows.items() if name in ("kmer_regression", "cnn"))
    what = f"AUROC of promoters against GC-matched sequence, {where}; mini-human, the mean of {N_SEEDS} seeds"
    return [Row(what, beside, _text(found["auroc"]))]


def _text(found: dict[str, float]) -> str:
    return f"{found['value']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


if __name__ == "__main__":
    script(main)
