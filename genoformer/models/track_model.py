"""Base class of models that predict tracks, and the names and tables of their heads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from genoformer.errors import CheckpointError, ConfigError
from genoformer.formats.track_table import TrackTable, read_targets
from genoformer.genome.wording import counted
from genoformer.models.base import Bins, Head, Model, TrackEngine
from genoformer.models.plain_engine import PlainEngine
from genoformer.models.shared_work import SharedWork


class NewHead(NamedTuple):
    """Head on new tracks, and the windows that it is trained on."""

    name: str
    n_tracks: int
    bin_size: int  # bases; a family whose bins are fixed has its own
    context_length: int  # bases of a window
    target_bins: int  # predicted bins in the middle of the window
    organism: str = ""  # of the tracks, for a family whose embeddings depend on it; "": the first one


class TrackModel(Model):
    """Model of regulatory tracks: one-hot DNA [B, 4, L] -> embedding of bins [B, D, N] -> tracks [B, K, N] of a head.

    A family defines `embed`, `tracks` and `output_parts`, and a configuration with context_length, target_bins (0: all bins),
    bin_size and `heads`, a mapping from the name of a head to its number of tracks. If its heads have bins of different sizes,
    it defines `heads_of` instead of the last three.
    """

    targets: dict[str, TrackTable]  # track tables of the heads, if known
    published: Mapping[str, str] = {}  # data sets of the catalog with the tables of other heads, which are not downloaded
    positions_follow_length: ClassVar[bool] = False  # True if relative positions are functions of the length of a window
    few_bins_are_cheaper: bool = False  # True: the embedding of a few bins takes much less time than that of all
    activation_checkpointing: bool = False  # a family may compute its blocks twice in training, to need less memory

    def __init__(self) -> None:
        super().__init__()
        self.targets = {}

    def train(self, mode: bool = True) -> Self:
        """Set the mode as in torch, but keep frozen batch norm in eval mode, so that its statistics do not change."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d) and not module.weight.requires_grad:
                module.eval()
        return self

    @classmethod
    def heads_of(cls, config: Any) -> dict[str, Head]:
        """Return the heads of a model with this configuration by name, without their tables."""
        return {name: Head(n, config.bin_size, target_bins=config.target_bins) for name, n in config.heads.items()}

    @classmethod
    def window_unit_of(cls, config: Any) -> int:
        """Return the number of bases of which the length of a window is a multiple: by default bins of every head fit in it."""
        return window_unit(cls.heads_of(config))

    @classmethod
    def fields_of_head(cls, head: NewHead) -> dict[str, Any]:
        """Return the fields of a configuration that a new head sets, in place of the heads that there are.

        Raises ConfigError for an organism, by default: the embeddings of most families do not depend on it.
        """
        if head.organism:
            raise ConfigError(f"organism = {head.organism!r}: {cls.__name__} reads all DNA alike; leave the organism out.")
        return {
            "heads": {head.name: head.n_tracks},
            "context_length": head.context_length,
            "target_bins": head.target_bins,
        }

    @classmethod
    def config_with_head(cls, config: Any, head: NewHead) -> Any:
        """Return a configuration with one new head, for training on windows of its length."""
        return replace(config, **cls.fields_of_head(head))

    def head_module(self, head: str) -> nn.Module:
        """Return the module of a head, which is trained when the head is new; by default its entry in `heads`."""
        heads: Any = getattr(self, "heads", None)
        if not isinstance(heads, nn.ModuleDict) or head not in heads:
            raise ConfigError(f"{type(self).__name__} has no module of the head {head}; its family must define head_module.")
        return heads[head]

    def embedding_width(self, head: str) -> int:
        """Return the number of channels of the embedding, the input of a head; by default the inputs of its linear layer."""
        width = getattr(self.head_module(head), "in_features", None)
        if width is None:
            raise ConfigError(f"{type(self).__name__} has no linear head {head}; its family must define embedding_width.")
        return int(width)

    def start_at_means(self, head: str, means: Tensor) -> None:
        """Initialise a new head to predict the mean [K] of each track; by default only a linear head with a bias."""
        out = self.head_module(head)
        if isinstance(out, nn.Linear) and out.bias is not None:
            with torch.no_grad():
                out.bias.copy_(inverse_softplus(means))
                out.weight.mul_(0.1)

    def trunk_model(self) -> TrackModel:
        """Return the model from which a new head takes stem, tower and transformer: by default the model itself."""
        return self

    def describe(self) -> str:
        heads = list(self.track_heads)
        return f"is a track model with the head{'s' if len(heads) > 1 else ''} {named_heads(heads)}"

    def embed(self, onehot: Tensor, n_bins: int | Bins | None = None, head: str | None = None) -> Tensor:
        """Return the embedding of bins, the input of a head: one-hot [B, 4, L] -> [B, D, N].

        n_bins: bins, or the number of bins in the middle; None: the number in the configuration, 0: all. head: whose bins; a
        model whose heads have the same bins can ignore it.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no embed; a family must define it.")

    def tracks(self, embedding: Tensor, head: str | None = None, only: Tensor | None = None) -> Tensor:
        """Map the embedding [B, D, N] to the tracks [B, K, N] of a head, or to its tracks with the numbers `only` [K]."""
        raise NotImplementedError(f"{type(self).__name__} defines no tracks; a family must define it.")

    def forward(self, onehot: Tensor, head: str | None = None, n_bins: int | None = None) -> Tensor:
        """Map onehot [B, 4, L] (an unknown base is 0 in all four) to tracks [B, K, N].

        head: its name; None if there is only one. n_bins: number of bins in the middle to predict; None: the number in the
        configuration.
        """
        return self.tracks(self.embed(onehot, n_bins, head), head)

    @classmethod
    def heads_of_table(cls, config: Any, name: str) -> list[str]:
        """Return the heads that a published table of the name of a head (of AlphaGenome: of an organism) is of."""
        return [name] if name in cls.heads_of(config) else []

    @classmethod
    def tables_of_metadata(cls, config: Any, organism: str, tables: Mapping[str, TrackTable]) -> dict[str, TrackTable]:
        """Return the table of each head from the tables of the outputs of AlphaGenome; ConfigError for another model."""
        raise ConfigError("metadata of AlphaGenome's tracks are of AlphaGenome only; give a table of targets.")

    def recommended_scores(self, head: str) -> tuple[str, ...]:
        """Return the names of the scores that the authors of the model recommend for a head; empty if there are none."""
        return ()

    def output_of(self, head: str) -> str:
        """Return the kind of measurement that all tracks of a head are of, such as rna_seq; empty if it is not known."""
        return ""

    def table_remedy(self, head: str) -> str:
        """Return the end of a message on a head without a table of its tracks: how to get one."""
        name = self.published.get(head)
        return f"run genoformer data pull {name}, or give targets" if name else "give targets"

    def embedding_kind(self, head: str) -> str:
        """Return what the embedding of bins depends on besides the bases: it is computed once for heads of one kind.

        By default each head has its own.
        """
        return f"head {head}"

    shared_work: SharedWork | None = None

    @contextmanager
    def sharing(self, work: SharedWork) -> Iterator[None]:
        """Let the engines of all heads keep what they have in common in `work` while the block runs."""
        before, self.shared_work = self.shared_work, work
        try:
            yield
        finally:
            self.shared_work = before

    def engine(self, head: str | None = None) -> TrackEngine:
        """Return the way to compute embeddings of codes for a head: `PlainEngine`, if the family has no faster one."""
        return PlainEngine(self, head)

    def cpu_engine_size(self, length: int, batch: int, head: str, n_bins: int) -> tuple[int, int] | None:
        """Return how many numbers the engine holds on a CPU: copies of weights, and the most values at any time.

        length: bases of a window; batch: windows; n_bins: predicted bins of the head. None: as many as the plain modules.
        """
        return None

    @classmethod
    def timing_config(cls, config: Any, length: int) -> Any:
        """Return the configuration of a model to measure speed with, for windows of `length` bases; may be less deep."""
        all_bins = {"target_bins": 0} if hasattr(config, "target_bins") else {}
        return replace(config, context_length=length, **all_bins)

    def write_tables(self, folder: Path) -> None:
        for head, table in self.targets.items():
            table.write(track_table_path(self.track_heads, folder, head))

    def read_tables(self, folder: Path) -> None:
        self.targets = read_track_tables(self.track_heads, folder)

    def output_parts(self) -> Sequence[nn.Module | nn.Parameter]:
        raise NotImplementedError(f"{type(self).__name__} defines no output_parts; a family must define it.")

    @property
    def track_heads(self) -> Mapping[str, Head]:
        return {name: self.with_table(name, head) for name, head in self.heads_of(self.config).items()}

    def with_table(self, name: str, head: Head) -> Head:
        """Return a head with its table of tracks, if it is known."""
        return head._replace(table=self.targets.get(name, head.table), published=self.published.get(name, ""))

    def head_named(self, head: str | None) -> str:
        """Return the name of the given head, or of the only one; raise ConfigError with the names of all heads otherwise."""
        return head_named(self.track_heads, head)

    def bins_of(self, length: int, n_bins: int | None = None, head: str | None = None) -> Bins:
        """Return the bins of a head in the middle of a window of `length` bases; of an odd remainder the end is cut more.

        head: None is any head if all have the same bins. n_bins: None is the number in the configuration, 0 is all.

        Raises ConfigError, with the number of available bins, if the length is not a whole number of the bins of every head,
        or n_bins is too large.
        """
        binned, unit = self._binned(head), self.window_unit_of(self.config)
        n_units, rest = divmod(length, unit)
        if rest or not n_units:
            raise ConfigError(
                f"a window of {length:,} bases is not a whole number of bins of {unit} bases; give a multiple of {unit}"
                + (f", such as {n_units * unit:,} ({counted(n_units, 'bin')})." if n_units else ".")
            )
        size, available = binned.bin_size, length // binned.bin_size
        n = binned.target_bins if n_bins is None else n_bins
        if n < 0 or n > available:
            raise ConfigError(
                f"found n_bins = {n}, but a window of {length:,} bases has {available} bins of {size} bases; "
                f"give n_bins = {available} or less, or a window of {n * size:,} bases."
            )
        n = n or available
        return Bins((available - n) // 2, n)

    def bin_size_of(self, head: str | None = None) -> int:
        """Return the number of bases in a bin of a head; None is any head if all have the same bins."""
        return self._binned(head).bin_size

    def _binned(self, head: str | None) -> Head:
        heads = self.track_heads
        if head is None and len({(one.bin_size, one.target_bins) for one in heads.values()}) == 1:
            return next(iter(heads.values()))
        return heads[head_named(heads, head)]


def inverse_softplus(means: Tensor) -> Tensor:
    """Return x with softplus(x) = means; means below 0.001 count as 0.001."""
    wide = means.double().clamp_min(1e-3)
    return (wide + torch.log(-torch.expm1(-wide))).float()


def window_unit(heads: Mapping[str, Head]) -> int:
    """Return the number of bases of which the length of a window is a multiple: a whole number of the bins of every head."""
    return math.lcm(*(head.bin_size for head in heads.values()))


def read_track_tables(heads: Mapping[str, Head], folder: Path) -> dict[str, TrackTable]:
    """Return the track tables of heads that are in a model folder."""
    tables = {}
    for name, head in heads.items():
        path = track_table_path(heads, folder, name)
        if path.is_file():
            table = tables[name] = read_targets(path)
            if len(table) != head.n_tracks:
                raise CheckpointError(
                    f"{path}: {len(table):,} tracks for a head of {head.n_tracks:,}; copy the model folder again."
                )
    return tables


def track_table_path(heads: Mapping[str, Any], folder: Path, head: str) -> Path:
    """Return the path of the track table of a head."""
    return folder / ("targets.tsv" if len(heads) == 1 else f"targets.{head}.tsv")


def head_named(heads: Mapping[str, Any], head: str | None) -> str:
    """Return the name of the given head, or of the only one; raise ConfigError with the names of all heads otherwise."""
    if head is None and len(heads) == 1:
        return next(iter(heads))
    if head is None or head not in heads:
        problem = "no head was named" if head is None else f"there is no head {head!r}"
        raise ConfigError(f"{problem}; this model has {named_heads(heads)}; name one of them (head).")
    return head


MOST_NAMED = 6  # heads that a message names


def named_heads(heads: Iterable[str]) -> str:
    """Return the names of heads for a message: all of them, or the first 6 and the number of the others.

    >>> named_heads(f"h{i}" for i in range(9))
    'h0, h1, h2, h3, h4, h5 and 3 more (genoformer models info MODEL lists them)'
    """
    names = list(heads)
    if len(names) <= MOST_NAMED + 1:
        return ", ".join(names)
    more = len(names) - MOST_NAMED
    return f"{', '.join(names[:MOST_NAMED])} and {more} more (genoformer models info MODEL lists them)"
