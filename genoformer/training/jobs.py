"""FinetuneJob and TrackTrainingJob: frozen descriptions of what `genoformer finetune` and `gf.finetune` train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_args

from genoformer.config import checked
from genoformer.datasets.sequence_rows import LabelledSequences
from genoformer.datasets.sequences import read_labelled
from genoformer.datasets.track_set import TrackSet, read_tracks
from genoformer.errors import ConfigError, OptionError
from genoformer.files import check_overwrite
from genoformer.formats.context_table import ContextTable, open_contexts
from genoformer.models.track_heads import CONTEXT_HEADS
from genoformer.option_checks import Strand, check_choice, with_strand
from genoformer.tasks import Goal
from genoformer.training import resume
from genoformer.training.config import FinetuneConfig, TuningConfig
from genoformer.training.loop import STATE
from genoformer.training.recipe import refuse_finished
from genoformer.training.recipes import Recipe, fitting_recipe, recipe_named
from genoformer.training.stage_config import DistilConfig, TrackDistilConfig
from genoformer.training.track_config import TracksConfig, TrackTuningConfig

ModelNames = str | Path | Sequence[str | Path]
_NOT_OF_TRACKS = {
    "valid": "the set names the validation windows",
    "recipe": "recipes are for labelled sequences",
    "label": "the tracks are what is predicted",
    "multi_label": "the tracks are what is predicted",
    "seeds": "one model is trained; run it again with another seed",
    "class_weights": "give track_weights in [tracks]",
    "monitor": "the best step has the highest Pearson's r over positions",
}  # option -> why it does not apply to tracks
_OF_TRACKS = ("contexts", "context_head", "organism")  # options for tracks only


@dataclass(frozen=True)
class LabelOptions:
    """Options of `genoformer finetune` that are no field of [finetune], with their defaults."""

    config: str | Path | Mapping[str, Any] | None = None  # TOML with [finetune] (from scratch [model] ...), or its tables
    recipe: str | None = None  # name of a bundled configuration, in place of config; `recipes.recipe_names()`
    distil: str | Path | None = None  # model or run whose predictions become part of the labels, or of the tracks
    valid: str | Path | None = None  # file of labelled sequences; None: a tenth of the training data
    fasta: str | Path | None = None  # genome of a BED, or of the unlabelled windows of [distil] for tracks
    label: str | Sequence[str] | None = None  # label columns; None: all whose name begins with "label"
    multi_label: bool | None = None  # None: inferred from the labels
    seeds: int = 1  # number of models from each start
    strand: Strand | None = None  # sets both_strands of the table; None: that of the table


@dataclass(frozen=True)
class FinetuneJob:
    """Request to fine-tune models on labelled sequences; `finetune` runs it.

    starts: pre-trained models to fine-tune; none trains from scratch with [tokenizer] and [model]. With one start and one seed
    `folder` is the model itself; otherwise `folder` lists its members, whose predictions are averaged. valid: None holds out a
    tenth of the training data, stratified by class. multi_label: None infers it from the labels. command: as typed, for the
    manifest. recipe: that the configuration is of. teacher: model whose predictions become part of the labels; None: those that
    [distil] trains, if there is that table.
    """

    train: LabelledSequences
    folder: Path
    task: Goal
    config: FinetuneConfig = field(default_factory=FinetuneConfig)
    valid: LabelledSequences | None = None
    starts: Sequence[str | Path] = ()
    n_seeds: int = 1
    multi_label: bool | None = None
    command: str = ""
    recipe: Recipe | None = None
    teacher: str | Path | None = None

    @classmethod
    def from_names(
        cls,
        data: str | Path,
        folder: str | Path,
        model: ModelNames = (),
        task: Goal = "classify",
        *,
        command: str = "",
        **options: Any,
    ) -> FinetuneJob:
        """Build a job from names, paths and text, as `genoformer finetune` takes them.

        options: those of `LabelOptions`, and fields of [finetune], which override the configuration file; None is the default.
        Raises ConfigError for values that are not allowed, TypeError for unknown options, and the errors of `read_labelled`.
        """
        for name in _OF_TRACKS:
            if options.pop(name, None) is not None:
                raise OptionError(
                    name, "is for training on tracks, found labelled sequences; leave it out, or set task to tracks."
                )
        named, changed = _split(with_strand(options), TuningConfig)
        how = LabelOptions(**named)
        if how.config and how.recipe:
            raise OptionError("recipe", f"is {how.recipe}, found a configuration file, too; leave one of them out.")
        columns = [how.label] if isinstance(how.label, str) else list(how.label or ()) or None
        reading: dict[str, Any] = {"fasta": how.fasta, "label": columns, "multi_label": bool(how.multi_label)}
        train, valid = read_labelled(data, **reading), None
        if how.valid:
            valid = read_labelled(how.valid, **reading, n_labels=train.n_labels)
        starts = _names(model)
        if how.recipe and starts:
            raise OptionError("recipe", f"is {how.recipe}, found a model to start from, too; leave one of them out.")
        recipe = recipe_named(how.recipe) if how.recipe else None
        if not (recipe or how.config or starts):
            recipe = fitting_recipe(train.sequences)
        source = recipe.path if recipe is not None else _config(how.config)
        settings = FinetuneConfig.read(source, **changed)
        if how.distil is not None and settings.distil is None:
            settings = replace(settings, distil=DistilConfig())
        return cls(
            train,
            Path(folder),
            task,
            settings,
            valid,
            starts,
            how.seeds,
            how.multi_label,
            command,
            recipe=recipe,
            teacher=how.distil,
        )

    def check(self) -> None:
        """Raise ConfigError for settings that cannot be trained, and for a folder that holds other files."""
        plan, folder = self.config.finetune, self.folder
        refuse_finished(folder)
        check_overwrite(folder, ("manifest.json",), "manifest.json", is_finetuned)  # but refuses a manifest of `data build`
        resume.refuse_other_command(folder, resume.FINETUNE)
        if (folder / STATE).is_file() and (self.n_seeds > 1 or len(self.starts) > 1):
            raise ConfigError(f"{folder} holds the unfinished run of one model, not of several; name another folder.")
        if plan.strategy == "fsdp":
            raise ConfigError("strategy = 'fsdp': a model is fine-tuned whole on every device; take auto or ddp.")
        if self.n_seeds < 1:
            raise ConfigError(f"seeds = {self.n_seeds}: give a whole number of at least 1.")
        if self.config.pretrain and not (self.config.tokenizer or self.starts):
            raise ConfigError("[pretrain] trains an encoder from scratch; give [tokenizer] and [model], too.")
        if self.starts and (self.config.tokenizer or self.config.model or self.config.pretrain):
            raise ConfigError(
                "[tokenizer], [model] and [pretrain] are for training from scratch; leave them out, or the model."
            )


@dataclass(frozen=True)
class TrackTrainingJob:
    """Request to train a track model on a set of windows; `train_tracks` runs it, `plan_tracks` estimates its cost.

    folder: of the model; None for a job of which only the cost is estimated. start: a pre-trained model whose trunk (stem,
    tower and transformer) is reused with a new head; None trains from scratch with [model]. head: name of the new head.
    command: as typed, for the manifest. contexts: the new head predicts the tracks of these contexts, such as cell types, from
    their vectors, and later those of others; context_head: a kind of `models.track_heads.CONTEXT_HEADS`. organism: of the
    tracks, such as mouse, for AlphaGenome; by default the model's first one. teacher: model, or run of several, whose
    predictions become part of the tracks; None: those that [distil] trains, if there is that table. fasta: genome with
    unlabelled windows, whose tracks the teachers predict.
    """

    data: TrackSet
    folder: Path | None = None
    config: TracksConfig = field(default_factory=TracksConfig)
    start: str | Path | None = None
    head: str = "tracks"
    command: str = ""
    contexts: ContextTable | None = None
    context_head: str = "linear"
    organism: str = ""
    teacher: str | Path | None = None
    fasta: Path | None = None

    @classmethod
    def from_names(
        cls,
        data: str | Path,
        folder: str | Path | None = None,
        model: ModelNames = (),
        *,
        command: str = "",
        contexts: str | Path | ContextTable | None = None,
        context_head: str | None = None,
        organism: str | None = None,
        **options: Any,
    ) -> TrackTrainingJob:
        """Build a job from names, paths and text, as `genoformer finetune --task tracks` takes them.

        data: folder of a set of windows. contexts (a table, or its path), context_head, organism: see the class. options:
        `config`, the path of a TOML or a dict of its tables, fields of [tracks], which override it, `distil` (a teacher) and
        `fasta` (of unlabelled windows); None is the default.
        Raises ConfigError for values that are not allowed and for options of labelled sequences, TypeError for unknown
        options, and the errors of `read_tracks` and `read_contexts`.
        """
        for name, why in _NOT_OF_TRACKS.items():
            default = getattr(LabelOptions, name, None)
            if options.get(name) not in (default, None, (), []):
                raise OptionError(name, f"is not for training on tracks: {why}; leave it out.")
        starts = _names(model)
        if len(starts) > 1:
            raise OptionError("model", f"names {len(starts)} models, expected one to start from; leave the others out.")
        if context_head is not None:
            check_choice("context_head", context_head, CONTEXT_HEADS)
            if contexts is None:
                raise OptionError("context_head", "is for a table of contexts, found none; give contexts, or leave it out.")
        applicable = {name: value for name, value in options.items() if name not in _NOT_OF_TRACKS}
        named, changed = _split(with_strand(applicable), TrackTuningConfig)
        settings = TracksConfig.read(_config(named.get("config")), **changed)
        teacher, fasta = named.get("distil"), named.get("fasta")
        if teacher is not None and settings.distil is None:
            settings = replace(settings, distil=TrackDistilConfig())
        if fasta is not None and settings.distil is None:
            raise OptionError(
                "fasta",
                "is not for training on tracks: the set holds its sequence, and only [distil] reads unlabelled windows; "
                "leave it out, or add [distil].",
            )
        return cls(
            read_tracks(data),
            Path(folder) if folder is not None else None,
            settings,
            starts[0] if starts else None,
            command=command,
            contexts=open_contexts(contexts),
            context_head=context_head or "linear",
            organism=organism or "",
            teacher=teacher,
            fasta=Path(fasta) if fasta is not None else None,
        )


def is_finetuned(manifest: Mapping[str, Any]) -> bool:
    """Return True if a manifest is that of a fine-tuned model."""
    return "finetune" in manifest


def _names(model: ModelNames) -> tuple[str | Path, ...]:
    return (model,) if isinstance(model, str | Path) else tuple(model)


def _config(config: str | Path | Mapping[str, Any] | None) -> Path | Mapping[str, Any] | None:
    """Return the path of a configuration file, or its tables; None without any."""
    return config if isinstance(config, Mapping) else Path(config) if config else None


def _split(options: Mapping[str, Any], table: type[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options of `LabelOptions`, and the checked others, which are fields of a table; without None."""
    names, known = ({field.name for field in fields(kind)} for kind in (LabelOptions, table))
    if unknown := sorted(set(options) - names - known):
        raise TypeError(f"unknown options {', '.join(unknown)}; known are {', '.join(sorted(names | known))}")
    given = {name: value for name, value in options.items() if value is not None}
    changed = {name: value for name, value in given.items() if name not in names}
    if (strand := given.get("strand")) is not None:
        check_choice("strand", strand, get_args(Strand))
        changed["both_strands"] = strand == "both"
    return {name: given[name] for name in given if name in names}, checked(table, changed, "options")
