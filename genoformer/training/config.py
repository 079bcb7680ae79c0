"""Configuration files: [tokenizer] and [model] with [training] and [genome] for pre-training, or with [finetune]."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, get_args

from genoformer.config import checked
from genoformer.errors import ConfigError
from genoformer.models.families import model_class
from genoformer.models.heads import POOLING, HeadKind, Pooling
from genoformer.models.token_model import TokenModel
from genoformer.models.transformer.config import SHAPES
from genoformer.models.transformer.weights.vocabularies import read_tokenizer_file
from genoformer.models.tuning import TUNE
from genoformer.tokenizers import TOKENIZERS, BPETokenizer, KmerTokenizer, Tokenizer
from genoformer.training.fresh_negatives import NegativesConfig
from genoformer.training.objectives import OBJECTIVES
from genoformer.training.optimizer import EpochsConfig, LoopConfig, at_least_one
from genoformer.training.stage_config import DistilConfig, InDomainConfig

TRANSFORMER, HYBRID, CLOZE = "transformer", "hybrid", "cloze"  # families that are trained from scratch


@dataclass(frozen=True)
class TrainingConfig(LoopConfig):
    """Settings for training a language model; the [training] table."""

    objective: str = "masked"  # "causal"; "cloze": all bases, by the family of this name
    mask_rate: float = 0.15
    span_tokens: int | None = None  # None takes k; a wider span masks more than one base
    both_strands: bool = True  # half of the windows are reverse-complemented
    soft_masked_weight: float = 1.0  # loss weight of soft-masked bases; GPN (Benegas et al. 2023) uses 0.1
    eval_bases: int = 4_000  # scored on each held-out contig in the final report
    log_every: int = 0  # steps; 0 takes 1/20 of the run, at most 50, so that a short run also has a curve
    eval_every: int = 0  # steps between validations; 0 takes 1/10 of the run, at most 1,000

    def __post_init__(self) -> None:
        for name, most, share in (("log_every", 50, 20), ("eval_every", 1_000, 10)):
            if getattr(self, name) == 0:
                object.__setattr__(self, name, max(1, min(most, self.max_steps // share)))
        super().__post_init__()
        if self.objective not in OBJECTIVES:
            raise ConfigError(f"objective = {self.objective!r}: allowed are {', '.join(OBJECTIVES)}.")
        if not 0 <= self.soft_masked_weight <= 1:
            raise ConfigError(f"soft_masked_weight = {self.soft_masked_weight}: give a weight from 0 to 1.")
        at_least_one(self, "eval_bases")


@dataclass(frozen=True)
class GenomeConfig:
    """Parts of a genome to use; the [genome] table, or one [[genome]] table for each FASTA, in the same order."""

    fasta: str = ""  # set here or on the command line; paths are relative to the configuration file
    contigs: tuple[str, ...] = ()  # for training; () takes all contigs that no genome holds out
    valid_contigs: tuple[str, ...] = ()  # held out; if () everywhere: last contig of the first genome, or end of its only one
    blacklist: str = ""  # BED; no training window overlaps it
    regions: str = ""  # BED or narrowPeak, to sample regulatory elements more often
    regions_share: float = 0.5  # fraction of windows centred in a region; the others lie anywhere
    weight: float = 1.0  # sampling weight of a base, relative to the other genomes

    def __post_init__(self) -> None:
        if not 0 <= self.regions_share <= 1:
            raise ConfigError(f"regions_share = {self.regions_share}: give a fraction of the windows from 0 to 1.")
        if self.weight <= 0:
            raise ConfigError(f"weight = {self.weight}: give a number above 0, or leave the genome out.")


@cache
def encoder_names() -> frozenset[str]:
    """Return the names of the fields of [model], for an encoder of tokens."""
    shapes = (model_class(family).config_type for family in (TRANSFORMER, HYBRID, CLOZE))
    return frozenset({"family", *(entry.name for shape in shapes for entry in fields(shape))})


@dataclass(frozen=True)
class PretrainConfig:
    """Pre-training configuration: the tables [tokenizer], [model], [training] and [genome] or [[genome]]."""

    tokenizer: Mapping[str, Any] = field(default_factory=lambda: {"tokenizer": "kmer", "k": 6})
    model: Mapping[str, Any] = field(default_factory=dict)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    genome: Sequence[GenomeConfig] = ()

    @classmethod
    def read(cls, source: Path | Mapping[str, Any] | None) -> PretrainConfig:
        """Read a TOML file, or its tables; every field has a default, and an unknown field is refused.

        Paths in a file are relative to its folder, and paths in tables to the current folder.
        """
        if source is None:
            return cls()
        tables = read_toml(source) if isinstance(source, Path) else dict(source)
        path = source if isinstance(source, Path) else Path("config")
        training = TrainingConfig(**checked(TrainingConfig, tables.get("training", {}), f"{path}, [training]", encoder_names()))
        given = tables.get("genome", [])
        genomes = []
        for table in given if isinstance(given, list) else [given]:
            fields = checked(GenomeConfig, table, f"{path}, [genome]")
            here = {name: str(path.parent / fields[name]) for name in ("fasta", "blacklist", "regions") if fields.get(name)}
            genomes.append(GenomeConfig(**fields | here))
        return cls(**checked(cls, {**tables, "training": training, "genome": genomes}, str(path)))

    def with_fastas(self, fastas: Sequence[Path]) -> PretrainConfig:
        """Return a copy that uses these FASTA files, in this order; no files leaves the genomes unchanged."""
        genomes = list(self.genome)
        if fastas:
            if len(genomes) > 1 and len(genomes) != len(fastas):
                raise ConfigError(f"{len(fastas)} FASTA files, but {len(genomes)} [[genome]] tables; give one for each file.")
            genomes = (genomes or [GenomeConfig()]) * (len(fastas) if len(genomes) < 2 else 1)
            genomes = [replace(g, fasta=str(f)) for g, f in zip(genomes, fastas, strict=True)]
        if not genomes or not all(g.fasta for g in genomes):
            raise ConfigError("no FASTA to train on; name it, or set fasta in a [genome] table.")
        return replace(self, genome=genomes)


@dataclass(frozen=True)
class TuningConfig(EpochsConfig):
    """Settings for fine-tuning a model on labelled sequences; the [finetune] table."""

    learning_rate: float = 3e-4  # DNABERT's 2e-4 with hardly any warm-up is known to collapse
    warmup_fraction: float = 0.1  # DNABERT, README 3.3
    tune: str = "full"  # "last": only the last layers; "norms": layer norms; "frozen": only the head; "lora": adapters
    last_layers: int = 2
    lora_rank: int = 8
    encoder_lr_scale: float = 1.0  # encoder's learning rate as a fraction of learning_rate
    head: str = (
        "norm-gelu"  # "plain": one layer; of other models: "tanh" (BERT, ESM), "gelu-norm" (ModernBERT), "linear" (Llama)
    )
    pooling: str = ""  # "mean-max", "mean", "max", "cls", "last", "mean-all"; "" takes that of the head, `heads.POOLING`
    dropout: float = 0.1  # in encoder and head
    head_dropout: float | None = None  # in the head; None takes dropout
    token_dropout: float = 0.0  # fraction of tokens masked in training, against overfitting
    label_smoothing: float = 0.0  # fraction of a label that is spread evenly over all classes (Szegedy et al. 2016)
    mixup: float = 0.0  # a of Beta(a, a), the weights of two mixed sequences and labels (Zhang et al. 2018); 0 = none
    max_shift: int = 0  # largest shift of a training sequence in bases, either way; N fills the open end
    both_strands: bool = False  # train on either strand, average both; not for directional sequences such as promoters
    class_weights: str = "none"  # "balanced": every class has the same total weight
    window: int | None = None  # bases; None takes the encoder's capacity, or the longest sequence if that is shorter
    overlap: int | None = None  # bases; None takes half a window
    keep: str = "best"  # weights of the best validation; "last": of the last step, which no validation chose
    monitor: str = ""  # metric of the best step: mcc, auroc, accuracy, f1 ..., pearson, or loss; "" takes mcc, auroc or pearson

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least_one(self, "last_layers", "lora_rank")
        if self.pooling == "":
            object.__setattr__(self, "pooling", POOLING.get(self.head, POOLING["norm-gelu"]))
        allowed = {
            "tune": TUNE,
            "head": get_args(HeadKind),
            "pooling": get_args(Pooling),
            "class_weights": ("none", "balanced"),
            "keep": ("best", "last"),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise ConfigError(f"{name} = {getattr(self, name)!r}: allowed are {', '.join(values)}.")
        if self.encoder_lr_scale <= 0:
            raise ConfigError(
                f"encoder_lr_scale = {self.encoder_lr_scale}: give a number above 0; change the [finetune] table."
            )
        if not all(0 <= rate < 1 for rate in (self.token_dropout, self.dropout, self.head_dropout or 0.0)):
            raise ConfigError("token_dropout, dropout and head_dropout lie in [0, 1); change the [finetune] table.")
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(f"label_smoothing = {self.label_smoothing}: give a fraction from 0 up to, not including, 1.")
        if self.mixup < 0:
            raise ConfigError(f"mixup = {self.mixup}: give a number above 0, such as 0.2, or 0 for none.")
        if self.max_shift < 0:
            raise ConfigError(f"max_shift = {self.max_shift}: give the bases that a sequence is moved by at most, 0 for none.")


@dataclass(frozen=True)
class FinetuneConfig:
    """Fine-tuning configuration: [finetune]; [tokenizer] and [model] to train from scratch; stages before the training.

    [pretrain] trains the encoder to predict masked tokens of the training sequences. [distil] trains other models on the same
    data, whose predictions become part of the labels. [negatives] makes new negatives for each epoch.
    """

    tokenizer: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    finetune: TuningConfig = field(default_factory=TuningConfig)
    pretrain: InDomainConfig | None = None
    distil: DistilConfig | None = None
    negatives: NegativesConfig | None = None

    @classmethod
    def read(cls, source: Path | Mapping[str, Any] | None, **changed: Any) -> FinetuneConfig:
        """Read a TOML file, or its tables; every field has a default, and an unknown field is refused.

        changed: fields of [finetune] that override the file.
        """
        tables = tables_with(cls, source, "finetune", TuningConfig, changed, encoder_names())
        path = source if isinstance(source, Path) else "config"
        for name, kind in (("pretrain", InDomainConfig), ("distil", DistilConfig), ("negatives", NegativesConfig)):
            if tables.get(name) is not None:
                tables[name] = kind(**checked(kind, tables[name], f"{path}, [{name}]"))
        return cls(**tables)


def tables_with(
    file: type[Any],
    source: Path | Mapping[str, Any] | None,
    name: str,
    table: type[Any],
    changed: dict[str, Any],
    of_model: Collection[str],
) -> dict[str, Any]:
    """Return the checked tables of a TOML file, or of a dict of its tables, with `name` as a `table` with changed fields.

    of_model: fields of [model], which is named for one of them in the table `name`.
    """
    tables = read_toml(source) if isinstance(source, Path) else dict(source or {})
    path = source if isinstance(source, Path) else Path("config")
    values = checked(table, tables.get(name, {}), f"{path}, [{name}]", of_model)
    return checked(file, {**tables, name: table(**values | changed)}, str(path))


def make_tokenizer(table: Mapping[str, Any], learn: Callable[[int], BPETokenizer]) -> Tokenizer:
    """Return the tokenizer of a [tokenizer] table: of the `file` that it names, or of the kind `tokenizer`.

    learn: function from vocabulary size to a BPE tokenizer of the training data. Raises ConfigError for an unknown tokenizer or
    field, CheckpointError for a file that holds no tokenizer of DNA.
    """
    if "file" in table:
        if len(table) > 1 or not isinstance(table["file"], str):
            raise ConfigError(f"[tokenizer] is {dict(table)}; give file alone, the path of a tokenizer.json, or leave it out.")
        tokenizer: Tokenizer = read_tokenizer_file(Path(table["file"]))
        return tokenizer
    name = table.get("tokenizer", KmerTokenizer.name)
    if name not in TOKENIZERS:
        raise ConfigError(f"tokenizer = {name!r}: allowed are {', '.join(TOKENIZERS)}.")
    settings, given = TOKENIZERS[name].options, {field: value for field, value in table.items() if field != "tokenizer"}
    if unknown := sorted(set(given) - set(settings)):
        known = f"those of {name} are {', '.join(settings)}" if settings else f"{name} has none"
        raise ConfigError(f"[tokenizer]: unknown fields {', '.join(unknown)}; {known}.")
    if wrong := [field for field, value in given.items() if not isinstance(value, int) or isinstance(value, bool)]:
        raise ConfigError(f"[tokenizer]: {wrong[0]} = {given[wrong[0]]!r}: give a whole number.")
    if name != BPETokenizer.name:
        return TOKENIZERS[name].from_dict({"k": KmerTokenizer.k, **given})
    return learn(given.get("n_vocab", 4096))


def tokenizer_record(table: Mapping[str, Any], tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the fields that tell two tokenizers from a `file` apart in the settings of a run; none for another table."""
    if "file" not in table:
        return {}
    return {"vocabulary": hashlib.sha256(json.dumps(tokenizer.to_dict(), sort_keys=True).encode()).hexdigest()}


def model_fields(table: Mapping[str, Any], family: str) -> dict[str, Any]:
    """Return the fields of a [model] table without `family`, which may only name the family that is trained."""
    fields = {"family": family, **table}
    if (named := fields.pop("family")) != family:
        raise ConfigError(f"[model]: family = {named!r}, but this command trains {family!r} from scratch; use that.")
    return fields


def encoder_family(table: Mapping[str, Any]) -> str:
    """Return the family of models that a [model] table trains from scratch; ConfigError for one that is not trained so.

    >>> encoder_family({"family": "dnabert2"}), encoder_family({"family": "hybrid"})
    ('transformer', 'hybrid')
    """
    family = table.get("family", TRANSFORMER)
    if family not in [TRANSFORMER, HYBRID, CLOZE, *SHAPES]:
        known = ", ".join([TRANSFORMER, HYBRID, CLOZE, *SHAPES])
        raise ConfigError(f"[model]: family = {family!r}; from scratch it is {known}.")
    return family if family in (HYBRID, CLOZE) else TRANSFORMER


def encoder_fields(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a [model] table for the configuration of its family.

    `family` is "hybrid", "cloze", or a published shape of a transformer (`SHAPES`: "modernbert", "llama", ...), whose fields
    those of the table override. Raises ConfigError for an unknown family or field, and for n_vocab, which follows from the
    tokenizer.

    >>> encoder_fields({"family": "dnabert2", "width": 32})
    {'position': 'alibi', 'activation': 'geglu', 'up_bias': False, 'width': 32}
    """
    family = encoder_family(table)
    fields = model_fields({**table, "family": family}, family)
    if "n_vocab" in fields:
        raise ConfigError("[model]: n_vocab follows from the tokenizer; leave it out.")
    return checked(model_class(family).config_type, {**SHAPES.get(table.get("family", ""), {}), **fields}, "[model]")


def new_encoder(table: Mapping[str, Any], tokenizer: Tokenizer, **settings: Any) -> TokenModel:
    """Return an encoder with new weights for a [model] table, and with its tokenizer; settings: fields of its configuration."""
    kind = model_class(encoder_family(table))
    encoder: TokenModel = kind(kind.config_type.from_dict({**settings, **encoder_fields(table), "n_vocab": tokenizer.n_vocab}))
    encoder.tokenizer = tokenizer.limited_to(encoder.config.n_positions)
    return encoder


def encoder_for_sequences(table: Mapping[str, Any], tokenizer: Tokenizer, longest: int, **settings: Any) -> TokenModel:
    """Return a new encoder; one with learned positions of the hybrid family has as many as the longest sequence needs."""
    if encoder_fields(table).get("learned_positions"):
        most = model_class(HYBRID).config_type.max_tokens
        settings["max_tokens"] = min(most, tokenizer.n_tokens(longest))
    return new_encoder(table, tokenizer, **settings)


def read_toml(path: Path) -> dict[str, Any]:
    """Read the tables of a TOML file; ConfigError names [model] for a table [transformer]."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no TOML, no UTF-8, or a number of 4,301 digits
        raise ConfigError(f"{path} cannot be read as TOML ({error}).") from error
    if "transformer" in tables:
        raise ConfigError(
            f'{path} has a table [transformer]; the shape of a model is in [model], with family = "modernbert", say: '
            "rename the table."
        )
    return tables
