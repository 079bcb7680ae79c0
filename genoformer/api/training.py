"""Training and evaluation in notebooks: pre-training, fine-tuning, and metrics of fine-tuned models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genoformer.api.inputs import Fasta, loaded_model, opened, require_model
from genoformer.errors import ConfigError, OptionError
from genoformer.option_checks import check_choice, names_unknown_options
from genoformer.progress_bar import shown_progress
from genoformer.training.imports import training_imports

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from genoformer.datasets.track_set import TrackSet
    from genoformer.evaluation.result import Evaluation
    from genoformer.evaluation.scored_variants import ScoredEvaluation
    from genoformer.tokenizers import Tokenizer
    from genoformer.training.finetune import Finetuned
    from genoformer.training.objectives import CausalLM, ClozeLM, MaskedLM
    from genoformer.training.pretrained import Pretrained
    from genoformer.training.track_recipe import TrainedTracks


def pretrain(
    fasta: str | Path | Sequence[str | Path],
    output: str | Path,
    model: str | Path | None = None,
    *,
    config: str | Path | Mapping[str, Any] | None = None,
    logger: str | Sequence[str] = (),
    progress: bool | None = None,
) -> Pretrained | None:
    """Train a masked or causal language model on genomes and write its folder, as `genoformer pretrain`.

    fasta: a genome or several; () takes those that the configuration names. output: folder of the model. model: to start from;
    its weights, shape and tokenizer are used. config: the path of a TOML with the tables [tokenizer], [model], [training] and
    [genome], or a dict of these tables; the defaults are DNABERT-6 and 10,000 steps. logger: "wandb" or "mlflow", or both;
    they get the metrics, too, if they are installed. The same call resumes an interrupted run. progress: True shows a bar,
    False none, None one if stderr is a terminal.

    Return a `Pretrained` with `.metrics`, `.failed`, `.notes`, `.manifest`, `.to_frame()` (the log) and `.plot()` (the loss);
    None in processes other than the first. Needs the extra "train".

    Raises ConfigError for unknown fields and settings that cannot be trained, TrainingError when the loss is not finite.

    >>> import tempfile
    >>> tables = {
    ...     "tokenizer": {"tokenizer": "base"},
    ...     "model": {"width": 8, "n_layers": 1, "n_heads": 1, "ffn_width": 8, "context_length": 32},
    ...     "training": {"max_steps": 2, "batch_size": 2, "eval_bases": 10},
    ... }
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "g.fa").write_text(f">chr1\\n{'ACGTTGCATTAGC' * 40}\\n>chr2\\n{'GATTACA' * 40}\\n")
    ...     done = pretrain(Path(folder, "g.fa"), Path(folder, "run"), config=tables)
    ...     sorted(done.metrics)[:1], list(done.to_frame().columns[:2])
    (['train_loss'], ['step', 'train_loss'])
    """
    with training_imports():
        from genoformer.training.config import PretrainConfig
        from genoformer.training.loggers import logged_to
        from genoformer.training.pretrain import pretrain as run
        from genoformer.training.pretrained import Pretrained
    fastas = [fasta] if isinstance(fasta, str | Path) else list(fasta)
    plan = PretrainConfig.read(Path(config) if isinstance(config, str) else config)
    with logged_to(logger), shown_progress(progress, "steps") as report:
        manifest = run(plan.with_fastas([Path(path) for path in fastas]), Path(output), start=model, progress=report)
    return None if manifest is None else Pretrained(Path(output), manifest)


def language_batches(
    fasta: Fasta,
    tokenizer: Tokenizer,
    length: int,
    *,
    batch_size: int = 32,
    n_batches: int | None = None,
    contigs: Sequence[str] = (),
    objective: str | MaskedLM | CausalLM | ClozeLM = "masked",
    seed: int = 0,
) -> Iterator[dict[str, Tensor]]:
    """Yield batches of random windows of a genome for a training loop of your own, as `genoformer pretrain` draws them.

    length: bases of a window; windows with many N are left out, and half are reverse-complemented. contigs: by default all.
    objective: "masked" (15 % of the tokens, in runs that mask whole bases), "causal", "cloze" (all, none masked), or an object
    of `training.objectives`.
    n_batches: None yields batches without end. Batch i depends only on the seed and i.

    Each batch has input_ids and labels, int64 [B, T], where -100 is ignored by cross-entropy, and attention_mask, 1 for tokens
    and 0 for padding. Raises ConfigError if no window fits.

    >>> import torch.nn.functional as F
    >>> from importlib.resources import files
    >>> from genoformer import load
    >>> model = load("demo")
    >>> fasta = files("genoformer_data") / "demo" / "genome.fa.gz"
    >>> (batch,) = language_batches(fasta, model.tokenizer, 32, batch_size=4, n_batches=1)
    >>> logits = model(batch["input_ids"], attention_mask=batch["attention_mask"])
    >>> logits.shape, bool(F.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten()) < 3)
    (torch.Size([4, 34, 9]), True)
    """
    from itertools import count

    import numpy as np
    import torch

    from genoformer.training.objectives import OBJECTIVES
    from genoformer.training.random_streams import RandomStream
    from genoformer.training.windows import RandomWindows, Source

    if isinstance(objective, str):
        check_choice("objective", objective, OBJECTIVES)
    label = OBJECTIVES[objective](tokenizer) if isinstance(objective, str) else objective
    with opened(fasta) as genome:
        names = [genome.resolve(name) for name in contigs] or [name for name, n in genome.contigs.items() if n >= length]
        windows = RandomWindows([Source(genome, names or list(genome.contigs))], length, batch_size, seed)
        for i in count() if n_batches is None else range(n_batches):
            numbers = np.arange(i * batch_size, (i + 1) * batch_size)
            encoding = tokenizer.encode(windows.batch(i))
            ids, labels = label(encoding, RandomStream(seed, numbers, stream=1))
            mask = (encoding.ids != tokenizer.pad_id).astype(np.int64)
            arrays = {"input_ids": ids, "attention_mask": mask, "labels": labels}
            yield {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


def finetune(
    data: str | Path,
    output: str | Path,
    model: str | Path | Sequence[str | Path] = (),
    task: Literal["classify", "regress", "tracks"] = "classify",
    *,
    logger: str | Sequence[str] = (),
    progress: bool | None = None,
    **options: Any,
) -> Finetuned | TrainedTracks | None:
    """Train a model for labelled sequences or tracks, write its folder, and return its metrics, as `genoformer finetune`.

    data: CSV, TSV, FASTA, or a BED with `fasta`; for tracks the folder of a set. model: to start from, several for an ensemble;
    none trains from scratch with the tables of `config`, or with a recipe: the one of that name, or the one that fits the data.
    logger: "wandb" or "mlflow", or both; they get the metrics, too, if they are installed. options: those of the command, such
    as config, recipe, distil, valid, label, seeds, epochs, learning_rate and tune; see `FinetuneJob.from_names` and
    `TrackTrainingJob.from_names`. progress: True shows a bar, False none, None one if stderr is a terminal.
    Needs the extra "train".

    The result has `.to_frame()`, a row for each model and metric; that of sequences also has `.plot()` and `.failed`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rows = [f"{'ACGT'[i % 4] * 12},{'yes' if i % 4 else 'no'}\\n" for i in range(40)]
    ...     _ = Path(folder, "train.csv").write_text("sequence,label\\n" + "".join(rows))
    ...     done = finetune(Path(folder, "train.csv"), Path(folder, "run"), "demo", epochs=1, tune="frozen")
    ...     done.reported, (done.members[0].folder / "config.json").is_file()
    (['mcc'], True)
    """
    with training_imports():
        from genoformer.training import finetune as sequences
        from genoformer.training.jobs import FinetuneJob, TrackTrainingJob
        from genoformer.training.loggers import logged_to
        from genoformer.training.tracks import train_tracks
    check_choice("task", task, ("classify", "regress", "tracks"))
    with logged_to(logger), shown_progress(progress, "steps") as report:
        if task == "tracks":
            return train_tracks(TrackTrainingJob.from_names(data, output, model, **options), progress=report)
        return sequences.finetune(FinetuneJob.from_names(data, output, model, task, **options), progress=report)


@names_unknown_options("evaluate")
def evaluate(
    data: str | Path,
    model: str | Path | Sequence[str | Path] | None = None,
    *,
    progress: bool | None = None,
    **options: Any,
) -> Evaluation | ScoredEvaluation:
    """Return metrics, each with its 95 % interval, of a fine-tuned model on labelled sequences, or of scored variants.

    Scored variants: evaluate(scored, table=path, truth=column), as `genoformer evaluate variants`; options: positive, element,
    where ({"Release": "GRCh38"}), scores, also, rank_mean, output. See `evaluation.scored_variants.VariantEvaluationJob`.

    Sequences: data is a CSV, TSV, FASTA, or a BED with `fasta`. model: the name of a model or its folder, or several, whose
    predictions are averaged. options: those of the command: fasta, label, train, baselines, out, device, precision, seed. With
    train, the training sequences of the model, the baselines are trained on them and compared with the model; by default these
    are "kmer_regression", "cnn" and "lstm_attention". See `evaluation.run.EvaluationJob`. progress, of sequences: True shows a
    bar, False none, None one if stderr is a terminal.

    The result is a dict, ready for `json.dumps`, with `.to_frame()`, a row for each model (or score) and metric, and `.plot()`.

    >>> import tempfile
    >>> from genoformer.models import registry
    >>> from genoformer.models.heads import SequenceClassifier, ClassifierConfig
    >>> encoder = registry.load("demo")
    >>> untrained = SequenceClassifier(ClassifierConfig(encoder.config, "classification", ("no", "yes"), window=128))
    >>> untrained.tokenizer = encoder.tokenizer
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     registry.save(untrained, Path(folder, "model"))
    ...     _ = Path(folder, "test.csv").write_text("sequence,label\\nACGTTGCATTAGC,no\\nTTTTTTTTTTTTT,yes\\n")
    ...     metrics = evaluate(Path(folder, "test.csv"), Path(folder, "model"))
    >>> sorted(metrics["models"][0]["accuracy"]), list(metrics.to_frame().columns)
    (['high', 'low', 'value'], ['model', 'metric', 'value', 'low', 'high'])
    """
    from genoformer.evaluation.result import Evaluation
    from genoformer.evaluation.run import EvaluationJob, evaluate_models
    from genoformer.evaluation.scored_variants import VariantEvaluationJob, evaluate_scored

    if {"table", "truth"} & options.keys():
        from genoformer.scoring.scores import SCORES

        if model is not None:
            raise OptionError("model", "is of labelled sequences, found a table of scored variants; leave it out.")
        for option in ("table", "truth"):
            if options.get(option) is None:
                raise OptionError(option, "is missing, expected the table of effects or labels, and its column; give both.")
        return evaluate_scored(VariantEvaluationJob(data, **options), SCORES)
    require_model(model)
    models = [model] if isinstance(model, str | Path) or not isinstance(model, Sequence) else list(model)
    for name in models:
        if not isinstance(name, str | Path):
            raise ConfigError(f"model is a {type(name).__name__}; give the name of a model or its folder.")
    job = EvaluationJob(data, [str(name) for name in models], **options)
    with shown_progress(progress, "windows") as report:
        return Evaluation(evaluate_models(job, progress=report))


def gene_tracks(
    data: str | Path | TrackSet,
    model: Any,
    gtf: str | Path,
    *,
    split: str = "test",
    around: int = 1,
    device: str = "auto",
    progress: bool | None = None,
) -> pd.DataFrame:
    """Return the tracks of windows around each TSS, measured and as a model predicts them: a row for each gene and track.

    data: a set of windows with tracks (`genoformer.data.tracks`), or its folder. model: trained on these tracks; a folder, or
    loaded. gtf: GTF or GFF3; the TSS of a gene is the first base of its transcripts. split: train, valid or test. around: bins
    on each side of that of the TSS. Predictions are averaged over both strands. progress: True shows a bar, False none, None
    one if stderr is a terminal.

    Columns: gene, chrom, tss (0-based), strand, track (its identifier), measured and predicted (sums over 2 x around + 1 bins).
    A gene without its bins in any window has no row. `genoformer.correlate` compares the columns.

    Raises ConfigError if no TSS lies in the windows or the tracks are not those of the model, ContigError if no gene lies on
    their contigs.

    >>> import tempfile
    >>> from genoformer import data
    >>> shape = {"preset": "tiny", "width": 48, "n_blocks": 0, "n_heads": 2, "key_width": 12}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     world = data.simulate(Path(folder, "world"), n_contigs=1, contig_length=50_000, n_variants=50, tracks=True)
    ...     _ = data.tracks(Path(folder, "set"), world.genome, world.targets, tracks="CAGE", length=8_192)
    ...     _ = finetune(Path(folder, "set"), Path(folder, "run"), task="tracks", config={"model": shape}, epochs=0.2)
    ...     table = gene_tracks(Path(folder, "set"), Path(folder, "run"), world.gtf, split="train")
    >>> table.columns.tolist(), table["track"].unique().tolist()[:2]
    (['gene', 'chrom', 'tss', 'strand', 'track', 'measured', 'predicted'], ['cage.liver.plus', 'cage.liver.minus'])
    """
    from genoformer.datasets.track_set import TrackSet, read_tracks
    from genoformer.evaluation import gene_tracks as genes
    from genoformer.inference.runtime import evaluating, resolve_device
    from genoformer.models.base import PredictsTracks

    windows = data if isinstance(data, TrackSet) else read_tracks(data)
    loaded = loaded_model(model, PredictsTracks)
    with evaluating(loaded, resolve_device(device)) as ready, shown_progress(progress, "windows") as report:
        return genes.gene_tracks(ready, windows, gtf, split=split, around=around, progress=report)
