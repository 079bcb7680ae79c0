"""ContextTracks: a track model whose head predicts a track for each context, such as a cell type, from a vector.

The trunk is a model of any family of track models. The head (`track_heads`) generates the tracks from the vectors of the
contexts, so that a trained model also predicts contexts that it was not trained on.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from genoformer.config import checked
from genoformer.errors import ConfigError
from genoformer.formats.context_table import ContextTable
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import Codes
from genoformer.models.base import Attends, AttentionWeights, Bins, Head, Ints, Origin, TrackEngine, has
from genoformer.models.families import model_class
from genoformer.models.track_heads import CONTEXT_HEADS, make_context_head
from genoformer.models.track_model import NewHead, TrackModel


@dataclass(frozen=True)
class ContextConfig:
    """A track model with a head for contexts: a track for each context and measurement, in the order of the contexts."""

    trunk: Any  # the configuration of the trunk, with one head, whose bins the tracks have
    contexts: tuple[str, ...]  # names, such as cell types
    columns: tuple[str, ...]  # names of the numbers that describe a context
    measurements: tuple[str, ...] = ("",)  # names of the measurements of each context, such as DNASE
    strand_pairs: tuple[int, ...] = (0,)  # number of each measurement on the other strand, or its own
    groups: tuple[str, ...] = ("",)  # kind of assay of each measurement
    head: str = "linear"  # "linear": vectors generate the weights (ContextHead); "attention": bins attend to the vector
    constant: bool = True  # add a 1 to each vector for the part that all contexts share; for "linear" only
    family: str = "enformer"  # of the trunk; one of `families.families()`
    strands: tuple[str, ...] = ()  # +, - or . of each measurement, "" if not known; (): told by their names

    def __post_init__(self) -> None:
        if self.head not in CONTEXT_HEADS:
            raise ConfigError(f"head = {self.head!r}: allowed are {', '.join(CONTEXT_HEADS)}.")
        for name in ("contexts", "columns", "measurements"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ConfigError(f"{name} = {list(values)}: give at least one, each with a name of its own.")
        n = len(self.measurements)
        if len(self.groups) != n or len(self.strand_pairs) != n:
            raise ConfigError(f"groups and strand_pairs are of {n} measurements; give {n} of each.")
        if self.strands and len(self.strands) != n:
            raise ConfigError(f"strands are {list(self.strands)}, of {n} measurements; give one for each, or none.")
        if any(not 0 <= pair < n or self.strand_pairs[pair] != i for i, pair in enumerate(self.strand_pairs)):
            raise ConfigError(
                f"strand_pairs = {list(self.strand_pairs)}: two measurements of a pair name each other; correct it."
            )
        if self.head == "attention" and len(self.columns) < 2:
            raise ConfigError("attention normalises each vector, so one number says nothing; give 2 columns, or take linear.")
        if len(model_class(self.family).heads_of(self.trunk)) != 1:
            raise ConfigError("the trunk of a model with contexts has several heads; give it one.")

    @property
    def head_name(self) -> str:
        """Name of the one head."""
        return next(iter(model_class(self.family).heads_of(self.trunk)))

    @property
    def context_length(self) -> int:
        """Number of bases of a window."""
        return int(self.trunk.context_length)

    @property
    def width(self) -> int:
        """Number of channels of the trunk."""
        return int(getattr(self.trunk, "width", 1))

    @property
    def n_blocks(self) -> int:
        """Number of repeated blocks of the trunk."""
        return int(getattr(self.trunk, "n_blocks", 0))

    @property
    def min_layers(self) -> int:
        """Number of layers with weights."""
        return int(self.trunk.min_layers)

    @property
    def min_parameters(self) -> int:
        """Lower bound of the parameter count."""
        return int(self.trunk.min_parameters) + len(self.contexts) * len(self.columns)

    @property
    def table(self) -> TrackTable:
        """Table of the tracks: context:measurement, or the name of the context if it has one measurement."""
        n, one = len(self.measurements), len(self.measurements) == 1
        return TrackTable(
            tuple(
                Track(
                    k * n + a,
                    context if one else f"{context}:{measurement}",
                    strand_pair=k * n + self.strand_pairs[a],
                    group=self.groups[a],
                    strand=self.strands[a] if self.strands else "",
                )
                for k, context in enumerate(self.contexts)
                for a, measurement in enumerate(self.measurements)
            )
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ContextConfig:
        """Return the configuration in a mapping that `dataclasses.asdict` wrote.

        Unknown fields and values of other types are refused.
        """
        fields = checked(cls, values, "model with contexts")
        trunk = model_class(fields.get("family", cls.family)).config_type.from_dict(values["trunk"])
        return cls(**{**fields, "trunk": trunk})


class ContextTracks(TrackModel):
    """Track model with a head for contexts: one-hot DNA [B, 4, L] -> tracks [B, K A, N] of K contexts and A measurements.

    >>> import numpy as np
    >>> from genoformer.models.enformer.config import preset
    >>> config = ContextConfig(preset("tiny", heads={"tracks": 1}), ("liver", "brain"), ("a", "b", "c"))
    >>> model = ContextTracks(config).eval()
    >>> model(torch.zeros(1, 4, 2048)).shape
    torch.Size([1, 2, 16])
    >>> other = model.with_contexts(ContextTable(("lung",), ("a", "b", "c"), np.ones((1, 3))))
    >>> other(torch.zeros(1, 4, 2048)).shape, other.track_heads["tracks"].table[0].identifier
    (torch.Size([1, 1, 16]), 'lung')
    """

    config_type = ContextConfig

    def __init__(self, config: ContextConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk: TrackModel = model_class(config.family)(config.trunk)
        n_numbers = len(config.columns) + self.has_constant
        width = self.trunk.embedding_width(config.head_name)
        self.head = make_context_head(config.head, width, n_numbers, len(config.measurements))
        self.register_buffer("vectors", torch.zeros(len(config.contexts), len(config.columns)))
        self.vectors: Tensor

    @property
    def has_constant(self) -> bool:
        return self.config.constant and self.config.head == "linear"

    # Contexts

    @classmethod
    def config_with_contexts(cls, config: ContextConfig, table: ContextTable) -> ContextConfig:
        """Return the configuration with other contexts; ConfigError for a table of other columns than in training."""
        return replace(config, contexts=table.with_columns(config.columns).names)

    def with_contexts(self, table: ContextTable) -> Self:
        """Return a model that predicts the tracks of other contexts, with the same weights in memory.

        Raises ConfigError for a table of other columns than in training.
        """
        other = copy.copy(self)
        other.config = self.config_with_contexts(self.config, table)
        vectors = torch.from_numpy(table.with_columns(self.config.columns).vectors).to(self.vectors)
        other._buffers = {**self._buffers, "vectors": vectors}
        other.targets = {}
        weights = hashlib.sha256(f"{self.sha256} {table.with_columns(self.config.columns).sha256}".encode()).hexdigest()
        other.set_origin(self.origin._replace(sha256=weights) if self.sha256 else Origin())
        return other

    def described_contexts(self) -> Tensor:
        """Return the input of the head, [K, D] or [K, D + 1] with a 1."""
        if not self.has_constant:
            return self.vectors
        return torch.cat([self.vectors, self.vectors.new_ones(len(self.vectors), 1)], dim=1)

    # Tracks

    @classmethod
    def heads_of(cls, config: ContextConfig) -> dict[str, Head]:
        name, table = config.head_name, config.table
        bins = model_class(config.family).heads_of(config.trunk)[name]
        return {name: bins._replace(n_tracks=len(table), table=table)}

    @property
    def track_heads(self) -> Mapping[str, Head]:
        return {name: self.with_table(name, head) for name, head in self.heads_of(self.config).items()}

    @classmethod
    def window_unit_of(cls, config: ContextConfig) -> int:
        return int(model_class(config.family).window_unit_of(config.trunk))

    @classmethod
    def config_with_head(cls, config: ContextConfig, head: NewHead) -> Any:
        """Return a configuration of the trunk with one new head."""
        return model_class(config.family).config_with_head(config.trunk, head)

    @classmethod
    def timing_config(cls, config: ContextConfig, length: int) -> ContextConfig:
        return replace(config, trunk=model_class(config.family).timing_config(config.trunk, length))

    def trunk_model(self) -> TrackModel:
        return self.trunk

    def embed(self, onehot: Tensor, n_bins: int | Bins | None = None, head: str | None = None) -> Tensor:
        """Return the embedding of bins by the trunk, [B, D, N]."""
        return self.trunk.embed(onehot, n_bins, self.head_named(head))

    def tracks(self, embedding: Tensor, head: str | None = None, only: Tensor | None = None) -> Tensor:
        """Map the embedding [B, D, N] to the tracks [B, K A, N], or to the tracks with the numbers `only`."""
        self.head_named(head)
        tracks: Tensor = self.head(embedding, self.described_contexts(), only=only)
        return tracks

    def head_module(self, head: str) -> nn.Module:
        return self.head

    def embedding_width(self, head: str) -> int:
        return self.trunk.embedding_width(head)

    def engine(self, head: str | None = None) -> TrackEngine:
        """Return the engine of the trunk: only the head depends on the contexts."""
        return self.trunk.engine(self.head_named(head))

    def cpu_engine_size(self, length: int, batch: int, head: str, n_bins: int) -> tuple[int, int] | None:
        return self.trunk.cpu_engine_size(length, batch, head, n_bins)

    def start_at_means(self, head: str, means: Tensor) -> None:
        """Initialise the head to predict the mean of each measurement over the contexts."""
        self.head.start_at(means.view(-1, len(self.config.measurements)).mean(0), has_constant=self.has_constant)

    def check_complete(self) -> None:
        self.trunk.check_complete()

    def write_assets(self, folder: Path) -> None:
        self.trunk.write_assets(folder)

    def read_assets(self, folder: Path) -> None:
        self.trunk.read_assets(folder)

    def describe(self) -> str:
        n, of = len(self.config.contexts), len(self.config.measurements)
        return f"is a track model of {n} contexts with {of} measurement{'s' if of > 1 else ''} each"

    # Parts of the trunk

    @property
    def layers(self) -> nn.ModuleList:  # type: ignore[override]
        return self.trunk.layers

    @property
    def activation_checkpointing(self) -> bool:
        return self.trunk.activation_checkpointing

    @activation_checkpointing.setter
    def activation_checkpointing(self, value: bool) -> None:
        self.trunk.activation_checkpointing = value

    @property
    def few_bins_are_cheaper(self) -> bool:  # type: ignore[override]
        return self.trunk.few_bins_are_cheaper

    def output_parts(self) -> list[nn.Module | nn.Parameter]:
        return [self.head, *self.trunk.output_parts()]

    def last_parts(self) -> list[nn.Module]:
        return list(self.trunk.last_parts())

    def shard_parts(self) -> list[nn.Module]:
        return list(self.trunk.shard_parts())

    # Attention maps of the trunk

    @property
    def lacks(self) -> Mapping[type, str]:
        return {} if has(self.trunk, Attends) else {Attends: "has a trunk without attention"}

    @property
    def _attention(self) -> Any:
        return self.trunk

    @property
    def n_layers(self) -> int:
        return int(self._attention.n_layers)

    @property
    def n_heads(self) -> int:
        return int(self._attention.n_heads)

    @property
    def fixed_length(self) -> bool:
        return bool(self._attention.fixed_length)

    def n_units(self, length: int) -> int:
        return int(self._attention.n_units(length))

    def default_query(self, n_units: int) -> int:
        return int(self._attention.default_query(n_units))

    def spans(self, codes: Codes) -> Ints:
        spans: Ints = self._attention.spans(codes)
        return spans

    def attention(self, codes: Codes) -> Iterator[AttentionWeights]:
        weights: Iterator[AttentionWeights] = self._attention.attention(codes)
        return weights
