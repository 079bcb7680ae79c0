"""pretrain(): FASTA -> windows -> objective -> AdamW on Lightning -> a model folder with its manifest."""

from __future__ import annotations

import logging
import math
import sys
import tomllib
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from genoformer import __version__
from genoformer.errors import ConfigError
from genoformer.fields import checked
from genoformer.genome.contigs import ContigMap
from genoformer.genome.reference import Genome
from genoformer.genome.regions import Intervals, read_bed
from genoformer.models import checkpoint
from genoformer.models.encoder import Encoder, EncoderConfig
from genoformer.models.posterior import base_posterior
from genoformer.tokenizers import TOKENIZERS, BPETokenizer, KmerTokenizer
from genoformer.training.datasets import RandomWindows
from genoformer.training.objectives import OBJECTIVES, Example, MaskedLM

PRECISIONS = ("32-true", "bf16-mixed", "bf16-true", "16-mixed")
_VALIDATION_WINDOWS = 512
_TOKENIZER_FIELDS = {"kmer": ("k", "stride"), "base": (), "bpe": ("n_vocab",)}
_BPE_WINDOWS = 2_000  # windows that a BPE vocabulary is learned from


@dataclass(frozen=True)
class TrainingConfig:
    """How a language model is trained; the recipe is DNABERT's (README 2.2) unless a comment says otherwise."""

    objective: str = "masked"  # or "causal"
    mask_rate: float = 0.15
    span_tokens: int | None = None  # k; a wider span hides more than one base
    steps: int = 10_000  # DNABERT: 200,000
    batch_size: int = 32  # windows; DNABERT: 2,000
    learning_rate: float = 4e-4
    warmup: float = 0.05  # share of the steps with a rising rate; it then falls to 0 in a straight line
    weight_decay: float = 0.01  # not on biases and norms
    beta2: float = 0.98
    epsilon: float = 1e-6
    clip: float = 1.0  # largest norm of the gradient, Devlin et al. 2019
    both_strands: bool = True  # half of the windows are reverse-complemented
    regions: str = ""  # BED or narrowPeak, from the folder of the configuration: dwell on regulatory elements
    regions_share: float = 0.5  # of the windows that are centred in a region; the others lie anywhere
    valid_contigs: tuple[str, ...] = ()  # held out for validation; () takes the last contig of several
    valid_every: int = 1_000  # steps between validations
    precision: str = "32-true"  # Lightning's names: bf16-mixed, bf16-true ...
    seed: int = 0

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise ConfigError(f"objective = {self.objective!r}: allowed are {', '.join(OBJECTIVES)}.")
        if self.precision not in PRECISIONS:
            raise ConfigError(f"precision = {self.precision!r}: allowed are {', '.join(PRECISIONS)}.")
        if self.seed < 0 or not 0 <= self.beta2 < 1 or self.epsilon <= 0 or self.clip <= 0:
            raise ConfigError("seed must be at least 0, beta2 lie in [0, 1), epsilon and clip be above 0.")
        for name in ("steps", "batch_size", "valid_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)}: give a whole number of at least 1.")
        if not 0 <= self.warmup < 1 or self.learning_rate <= 0:
            raise ConfigError("warmup must lie in [0, 1) and learning_rate above 0; change the [training] table.")
        if not 0 <= self.regions_share <= 1:
            raise ConfigError(f"regions_share = {self.regions_share}: give a share of the windows from 0 to 1.")


@dataclass(frozen=True)
class PretrainConfig:
    """The three tables of a configuration file: [tokenizer], [encoder], [training]."""

    tokenizer: Mapping[str, Any] = field(default_factory=lambda: {"tokenizer": "kmer", "k": 6})
    encoder: Mapping[str, Any] = field(default_factory=dict)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    @classmethod
    def read(cls, path: Path | None) -> PretrainConfig:
        """Read a TOML file; every field has a default, an unknown one is refused."""
        if path is None:
            return cls()
        try:
            tables = tomllib.loads(path.read_text())
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} cannot be read as TOML ({error}).") from error
        training = checked(TrainingConfig, tables.get("training", {}), f"{path}, [training]")
        if training.get("regions"):
            training["regions"] = str(path.parent / training["regions"])
        values = checked(cls, {**tables, "training": TrainingConfig(**training)}, str(path))
        return cls(**values)


class _Batches(Dataset[Example]):
    """Item i is the ready batch i: windows drawn, tokenized, masked."""

    def __init__(self, windows: RandomWindows, model: Encoder, objective: Any, n_batches: int) -> None:
        self.windows, self.tokenizer, self.objective, self.n_batches = windows, model.tokenizer, objective, n_batches

    def __len__(self) -> int:
        return self.n_batches

    def __getitem__(self, i: int) -> Example:
        if i >= self.n_batches:
            raise IndexError(i)
        ids = self.tokenizer.encode(self.windows.batch(i)).ids
        return self.objective(ids, np.random.default_rng([self.windows.seed, i, 1]))


class LanguageModelling(L.LightningModule):
    """One training step: cross-entropy of the labelled tokens only, so that the large output matrix is used sparingly."""

    def __init__(
        self, model: Encoder, config: TrainingConfig, held_out: RandomWindows | None, folder: Path | None = None
    ) -> None:
        super().__init__()
        self.model, self.config, self.held_out, self.folder = model, config, held_out, folder

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        loss = language_model_loss(self.model, batch)
        self.log("train_loss", loss, prog_bar=True, batch_size=len(batch[0]))
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        if self.held_out is not None:
            self.log("valid_bits_per_base", bits_per_base(self.model, self.held_out), prog_bar=True, batch_size=1)
        if self.folder is not None:
            checkpoint.save(self.model, self.folder)  # so that a run can be looked at before it ends

    def configure_optimizers(self) -> Any:
        decayed = [p for p in self.model.parameters() if p.ndim >= 2]
        others = [p for p in self.model.parameters() if p.ndim < 2]
        c = self.config
        optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": c.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=c.learning_rate, betas=(0.9, c.beta2), eps=c.epsilon,
        )  # fmt: skip
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_at(step, c.steps, c.warmup))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def rate_at(step: int, n_steps: int, warmup: float) -> float:
    """Share of the peak learning rate: up in a straight line over the warm-up, then down to 0."""
    n_warm = max(1, round(warmup * n_steps))
    return min((step + 1) / n_warm, max(0.0, (n_steps - step) / max(1, n_steps - n_warm)))


def language_model_loss(model: Encoder, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Mean cross-entropy in nats over the labelled tokens."""
    inputs, labels = batch
    keep = None if bool((inputs != model.tokenizer.pad_id).all()) else inputs != model.tokenizer.pad_id
    hidden = model.embed(inputs, keep)
    chosen = labels != -100
    if not chosen.any():  # a small batch in which nothing was masked
        return hidden.sum() * 0.0
    return F.cross_entropy(model.head(hidden[chosen]), labels[chosen])


@torch.no_grad()
def bits_per_base(model: Encoder, windows: RandomWindows, n_windows: int = _VALIDATION_WINDOWS) -> float:
    """Mean of -log2 P(true base) of the exact single-base posterior at one base in the middle half of each window."""
    training, total, n = model.training, 0.0, 0
    model.eval()
    device = next(model.parameters()).device
    for i in range(math.ceil(n_windows / windows.batch_size)):
        codes = windows.batch(i)
        random = np.random.default_rng([windows.seed, i, 2])
        target = random.integers(codes.shape[1] // 4, codes.shape[1] * 3 // 4, size=len(codes))
        hidden = model.tokenizer.hide(codes, target)
        log2_p = base_posterior(model, *(torch.from_numpy(field).to(device) for field in hidden)).cpu().numpy()
        true = codes[np.arange(len(codes)), target]
        known = (true < 4) & np.isfinite(log2_p[:, 0])
        total -= float(log2_p[known, true[known]].sum())
        n += int(known.sum())
    model.train(training)
    return total / max(n, 1)


def build_tokenizer(table: Mapping[str, Any], windows: RandomWindows) -> KmerTokenizer | BPETokenizer:
    """The tokenizer of a [tokenizer] table; a BPE vocabulary is learned from the training windows."""
    name = table.get("tokenizer", "kmer")
    if name not in _TOKENIZER_FIELDS:
        raise ConfigError(f"tokenizer = {name!r}: allowed are {', '.join(TOKENIZERS)}.")
    numbers = {field: value for field, value in table.items() if field != "tokenizer"}
    if unknown := sorted(set(numbers) - set(_TOKENIZER_FIELDS[name])):
        known = ", ".join(_TOKENIZER_FIELDS[name]) or "none"
        raise ConfigError(f"[tokenizer]: unknown fields {', '.join(unknown)}; those of {name} are {known}.")
    if wrong := [field for field, value in numbers.items() if not isinstance(value, int) or isinstance(value, bool)]:
        raise ConfigError(f"[tokenizer]: {wrong[0]} = {numbers[wrong[0]]!r}: give a whole number.")
    if name == BPETokenizer.name:
        n_batches = math.ceil(_BPE_WINDOWS / windows.batch_size)
        rows = (row for batch in windows.batches(n_batches) for row in batch)
        return BPETokenizer.train(rows, numbers.get("n_vocab", 4096))
    return TOKENIZERS[name].from_dict({"k": 6, **numbers})


def pretrain(
    fasta: Path, folder: Path, config: PretrainConfig, *, start: str | Path | None = None, command: str = ""
) -> dict[str, Any]:
    """Train a language model on a genome; writes the model folder and returns its manifest.

    The contigs named in `valid_contigs` are held out; validation is bits per base of the single-base posterior there.
    start: a model whose weights, shape and tokenizer are taken on; [encoder] and [tokenizer] then have no say.
    """
    plan = config.training
    begun = checkpoint.load(start) if start is not None else None
    if begun and (config.encoder or config.tokenizer != PretrainConfig().tokenizer):
        raise ConfigError(f"the shape and the tokenizer are those of {start}; leave out [encoder] and [tokenizer].")
    if begun and begun.config.causal != (plan.objective == "causal"):
        raise ConfigError(f"{start} is {'causal' if begun.config.causal else 'masked'}; set objective to that.")
    if set(config.encoder) & {"n_vocab", "causal"}:
        raise ConfigError("[encoder]: n_vocab follows from the tokenizer and causal from the objective; leave them out.")
    if (folder / "config.json").exists():
        raise ConfigError(f"{folder} holds a model already; name another folder, or remove it.")
    checked(EncoderConfig, config.encoder, "[encoder]")
    genome = Genome(fasta)
    held = [genome.resolve(name) for name in plan.valid_contigs]
    if not held and len(genome.contigs) > 1:
        held = [list(genome.contigs)[-1]]
    used = [name for name in genome.contigs if name not in held]
    if not used:
        raise ConfigError(f"valid_contigs holds out every contig of {fasta.name}; leave at least one for training.")

    L.seed_everything(plan.seed, verbose=False)
    shape = asdict(begun.config) if begun else config.encoder
    length = int(shape.get("context_length", EncoderConfig.context_length))
    regions = _regions(genome, plan.regions) if plan.regions else None
    windows = RandomWindows(
        genome, used, length, plan.batch_size, plan.seed,
        both_strands=plan.both_strands, regions=regions, regions_share=plan.regions_share,
    )  # fmt: skip
    held_out = RandomWindows(genome, held, length, plan.batch_size, plan.seed + 1) if held else None
    tokenizer = begun.tokenizer if begun else build_tokenizer(config.tokenizer, windows)
    encoder = {"max_tokens": max(EncoderConfig.max_tokens, tokenizer.n_tokens(length)), **config.encoder}
    fixed = {"n_vocab": tokenizer.n_vocab, "causal": plan.objective == "causal"}
    model = begun or Encoder(EncoderConfig.from_dict(encoder | fixed))
    model.tokenizer = tokenizer
    objective: Any = (
        MaskedLM(tokenizer, plan.mask_rate, plan.span_tokens)
        if plan.objective == "masked"
        else OBJECTIVES[plan.objective](tokenizer)
    )
    measured = held_out if plan.objective == "masked" and isinstance(tokenizer, KmerTokenizer) else None
    module = LanguageModelling(model, plan, measured, folder)
    manifest: dict[str, Any] = {
        "command": command,
        "version": __version__,
        "fasta": {"name": fasta.name, "sha256": checkpoint.sha256_of(fasta)},
        "contigs": {"train": used, "valid": held},
        "start": {"sha256": model.sha256, "manifest": checkpoint.read_manifest(start)} if start is not None else None,
        "tokenizer": {field: value for field, value in tokenizer.to_dict().items() if field != "model"},
        "encoder": asdict(model.config),
        "training": {**asdict(plan), "regions": Path(plan.regions).name},
        "packages": {"torch": torch.__version__, "lightning": L.__version__, "numpy": np.__version__},
    }
    if plan.regions:
        manifest["regions"] = {"name": Path(plan.regions).name, "sha256": checkpoint.sha256_of(Path(plan.regions))}
    metrics = _fit(module, _Batches(windows, model, objective, plan.steps), folder, plan)
    manifest["metrics"] = metrics
    checkpoint.save(model, folder, manifest=manifest)
    return manifest


def _regions(genome: Genome, path: str) -> dict[str, Intervals]:
    """Regions by the FASTA's own contig names; those on contigs it lacks are left out."""
    found = read_bed(path)
    names = ContigMap(list(found), list(genome.contigs))
    return {contig: rows for name, rows in found.items() if (contig := names.get(name)) is not None}


def _fit(module: LanguageModelling, batches: _Batches, folder: Path, plan: TrainingConfig) -> dict[str, float]:
    folder.mkdir(parents=True, exist_ok=True)
    callbacks: list[Callback] = [RichProgressBar()] if sys.stderr.isatty() else []
    with _quiet():
        trainer = L.Trainer(
            max_steps=plan.steps, gradient_clip_val=plan.clip, precision=plan.precision,  # type: ignore[arg-type]
            logger=CSVLogger(str(folder), name="", version="log"), callbacks=callbacks,
            val_check_interval=min(plan.valid_every, plan.steps), check_val_every_n_epoch=None, limit_val_batches=1,
            num_sanity_val_steps=0, enable_checkpointing=False, enable_model_summary=False,
            enable_progress_bar=bool(callbacks), log_every_n_steps=min(50, plan.steps), deterministic=True,
        )  # fmt: skip
        loader = DataLoader(batches, batch_size=None, shuffle=False)
        trainer.fit(module, loader, DataLoader(_One(), batch_size=None))
    metrics = {name: round(float(value), 4) for name, value in trainer.callback_metrics.items()}
    if not all(map(math.isfinite, metrics.values())):
        raise ConfigError(f"the training diverged ({metrics}); lower learning_rate, or lengthen the warmup.")
    return metrics


class _One(Dataset[int]):
    """The single item that makes Lightning call validation_step once."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, i: int) -> int:
        return i


class _quiet:
    """Silence what Lightning says about itself; errors and our own progress remain."""

    def __enter__(self) -> None:
        self.logger = logging.getLogger("lightning.pytorch")
        self.level = self.logger.level
        self.logger.setLevel(logging.ERROR)
        self.catcher = warnings.catch_warnings()
        self.catcher.__enter__()
        warnings.filterwarnings("ignore", module="lightning")
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")

    def __exit__(self, *reason: Any) -> None:
        self.catcher.__exit__(*reason)
        self.logger.setLevel(self.level)

