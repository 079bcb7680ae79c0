"""The model interface: a base class, the capabilities of models as protocols, and the one refusal of a model without one.

A model is a network with its configuration and the origin of its weights. Its capabilities are the protocols below, which
all code outside this package works with. `TokenModel` and `TrackModel` give a new family most of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from genoformer.errors import CheckpointError
from genoformer.formats.track_table import TrackTable
from genoformer.genome.codes import Codes
from genoformer.models.pretrained import Pretrained
from genoformer.tasks import Task

Ints = NDArray[np.int64]
AttentionWeights = Callable[[int, int], Tensor]  # (first, n) -> weights [B, H, n, T] of n queries from number `first` on


class Origin(NamedTuple):
    """Origin of the weights of a model; set by `load`, empty for a model that was built in memory."""

    sha256: str = ""  # of the weights file
    training_sketch: Any = None  # Sketch of the k-mers of the training data, if the model folder has one
    name: str = ""  # name or folder of the model
    licence: str = ""  # of the weights, if it is known


class Model(Pretrained, nn.Module):
    """A network with its configuration and the origin of its weights; the base class of every family.

    A family defines `config_type`, a frozen dataclass with `context_length`, `min_layers`, `min_parameters` and `from_dict`,
    is built as `Family(config)`, and names its repeated blocks `layers`.
    """

    config_type: ClassVar[Any]
    may_be_tied: ClassVar[bool] = False  # True if models of this class can have tied tensors
    purpose: ClassVar[str] = "is a model"  # the kind of model as the end of a sentence
    config: Any
    layers: nn.ModuleList  # the repeated blocks: unit of LoRA, of "last", of activation checkpointing and of FSDP
    origin: Origin = Origin()

    @property
    def tied(self) -> Mapping[str, str]:
        """Name of a tensor -> the tensor that it equals; stored once on disk. A class that has some sets `may_be_tied`."""
        return {}

    @property
    def fused_rows(self) -> Mapping[str, tuple[int, ...]]:
        """Suffix of the name of a module -> rows of the modules that other layouts have in its place, if they differ."""
        return {}

    @property
    def lacks(self) -> Mapping[type, str]:
        """Capabilities that this configuration does not have although its class has the methods -> the reason."""
        return {}

    @property
    def sha256(self) -> str:
        """Hash of the weights file that the model was loaded from; empty for a model built in memory."""
        return self.origin.sha256

    @property
    def training_sketch(self) -> Any:
        """Sketch of the k-mers of the training data, or None."""
        return self.origin.training_sketch

    def set_origin(self, origin: Origin) -> None:
        """Set the origin of the weights."""
        self.origin = origin

    def output_parts(self) -> Sequence[nn.Module | nn.Parameter]:
        """Return the parts that serve only the model's own outputs, so that a new head does not train them."""
        return []

    def last_parts(self) -> Sequence[nn.Module]:
        """Return the parts between the last of `layers` and the outputs, which are trained with the last layers."""
        return []

    def shard_parts(self) -> Sequence[nn.Module]:
        """Return the repeated parts that are sharded one by one over several processes."""
        return list(self.layers)

    def check_complete(self) -> None:
        """Raise ConfigError if something is missing without which the folder of the model could not be read again."""

    def write_assets(self, folder: Path) -> None:
        """Write what genoformer's own layout has besides config.json and weights, such as tokenizer.json."""

    def read_assets(self, folder: Path) -> None:
        """Read what `write_assets` wrote; raise CheckpointError if it does not fit."""

    def write_tables(self, folder: Path) -> None:
        """Write the tables that belong to the outputs of the model, in any layout."""

    def read_tables(self, folder: Path) -> None:
        """Read the tables that belong to the outputs of the model, if there are some."""

    def with_plain_outputs(self) -> Model:
        """Return a model with the same outputs and no scale of them, for which transformers has no field; by default itself."""
        return self

    def window_note(self, name: str) -> str | None:
        """Return a note on a window of which the folder of the model does not tell the length; None if it does."""
        return None

    def describe(self) -> str:
        """Return the kind of model as the end of a sentence: "is a language model, which predicts bases"."""
        return self.purpose


class Hidden(NamedTuple):
    """Hidden states of a batch of sequences."""

    states: Tensor  # [B, T, D]
    spans: Ints  # [B, T, 2]: the bases [start, end) of each token; empty for special tokens and padding


TRACKS, CONTACTS, JUNCTIONS = "tracks", "contacts", "junctions"  # kinds of heads


class Head(NamedTuple):
    """Output of a track model."""

    n_tracks: int
    bin_size: int  # bases
    table: TrackTable | None = None  # names of the tracks, if known
    target_bins: int = 0  # predicted bins in the middle of a window of `context_length`; 0: all
    squashed_scale: str = ""  # how the tracks were squashed for training, a key of SQUASHED_SCALES; "": not
    kind: str = TRACKS  # CONTACTS and JUNCTIONS are `pair_heads`
    published: str = ""  # data set of the catalog with the table, for a head without one: it is not downloaded


class Bins(NamedTuple):
    """Predicted bins of a window: `n` bins, the first with number `first`."""

    first: int
    n: int

    def reversed(self, n_all: int) -> Bins:
        """Return the same bins of the reverse complement of a window of `n_all` bins."""
        return Bins(n_all - self.first - self.n, self.n)


# --- capabilities; ask with `has` and `require`, since isinstance would also find parts of a network with these names


class PredictsBases(Protocol):
    """Predicts masked bases: LLR, PLL and ENTROPY scores, base predictions, tracks of a language model."""

    def n_units(self, length: int) -> int: ...
    def base_log2_probs(self, codes: Codes, target: Ints, end: Ints) -> Tensor:
        """Return log2 P(A, C, G, T) at base `target` of each window with [target, end) masked: [B, L] -> [B, 4]."""


class SequenceLikelihood(Protocol):
    """Gives the likelihood of a sequence: causal models."""

    def n_units(self, length: int) -> int: ...
    def sequence_log2_prob(self, codes: Codes) -> Tensor:
        """Return log2 P(sequence), [B, L] -> [B]."""


class Embeds(Protocol):
    """Gives hidden states of tokens: COSINE and L2 scores, embeddings, probes, heads; every language model does."""

    def n_units(self, length: int) -> int: ...
    def hidden(self, codes: Codes, layer: int | None = None) -> Hidden: ...


class ReadsTokens(Protocol):
    """Reads tokens as a `TokenModel` does: scoring, embeddings of many sequences, and fine-tuning work with its tokens."""

    @property
    def tokenizer(self) -> Any: ...
    @property
    def causal(self) -> bool: ...
    @property
    def longest_window(self) -> int | None: ...
    def embed(
        self, ids: Tensor, keep: Tensor | None = None, rows: Tensor | None = None, layer: int | None = None
    ) -> Tensor: ...
    def head(self, x: Tensor, candidates: Tensor | None = None) -> Tensor: ...
    def keep(self, ids: Tensor) -> Tensor | None: ...
    def logits_at(self, ids: Tensor, rows: Tensor, candidates: Tensor | None = None, keep: Tensor | None = None) -> Tensor: ...


class Attends(Protocol):
    """Has attention maps; tokens and bins are both units over bases."""

    @property
    def n_layers(self) -> int: ...
    @property
    def n_heads(self) -> int: ...
    @property
    def fixed_length(self) -> bool:
        """True if sequences of one length have one number of units."""

    def n_units(self, length: int) -> int:
        """Return the number of units (tokens or bins) of a sequence, or the largest number if it depends on the bases."""

    def default_query(self, n_units: int) -> int:
        """Return the unit whose attention summarises a sequence: [CLS], or the middle bin."""

    def spans(self, codes: Codes) -> Ints:
        """Return the bases [start, end) of each unit, [B, T, 2]; special tokens have empty spans."""

    def attention(self, codes: Codes) -> Iterator[AttentionWeights]:
        """Yield for each layer, in order, a function (first query, n) -> attention weights."""


class PredictsTracks(Protocol):
    """Predicts regulatory tracks in bins: SAD scores, `predict`, ISM and attribution of tracks.

    Heads can have bins of different sizes; the bins of a job are those of its head. `head=None` is the only head, or any one
    if all have the same bins.
    """

    @property
    def track_heads(self) -> Mapping[str, Head]: ...
    def head_named(self, head: str | None) -> str: ...
    def bins_of(self, length: int, n_bins: int | None = None, head: str | None = None) -> Bins: ...
    def embed(self, onehot: Tensor, n_bins: int | Bins | None = None, head: str | None = None) -> Tensor:
        """Return the embedding of the bins of a head: one-hot [B, 4, L] -> [B, D, N]."""

    def tracks(self, embedding: Tensor, head: str | None = None, only: Tensor | None = None) -> Tensor:
        """Return the tracks [B, K, N] of a head, or its tracks with the numbers `only`."""

    def engine(self, head: str | None = None) -> TrackEngine:
        """Return the way to compute embeddings for a head fast; by default `PlainEngine`, which is exact and naive."""


class PredictsPairs(Protocol):
    """Predicts numbers of pairs of positions: contacts of two bins, read counts of splice junctions between two bases."""

    @property
    def pair_heads(self) -> Mapping[str, Head]: ...
    @staticmethod
    def pair_heads_of(config: Any) -> Mapping[str, Head]: ...  # of a configuration, without names of tracks
    def contacts(self, onehot: Tensor, head: str) -> Tensor: ...  # [B, 4, L] -> contact maps [B, K, P, P] of P bins
    def contact_engine(self, head: str) -> Any: ...  # a TrackEngine whose windows have contacts(sequences) -> contact maps
    def base_head(self, head: str) -> str: ...  # head of tracks of one base, whose embedding a head of junctions reads
    def site_probabilities(self, embedding: Tensor, head: str) -> Tensor: ...  # [B, D, N] -> [B, C, N]: 4 kinds of sites first
    def likely_sites(self, probabilities: Tensor) -> Tensor: ...  # positions [B, 4, K], ascending, padded with -1
    def junction_counts(self, at_sites: Tensor, sites: Tensor, head: str) -> Tensor:
        """Return the counts [B, 2 T, K, K] of each donor with each acceptor, tissues of +, then of -.

        at_sites: embedding of the sites [B, D, 4, K]. sites: their positions in the window [B, 4, K]; -1: none, count 0.
        """


class Classifies(Protocol):
    """Predicts classes, labels or values of a sequence: a fine-tuned model."""

    @property
    def task(self) -> Task:
        """The outputs by name, and how logits become probabilities or values."""

    def logits(self, codes: Codes) -> Tensor: ...  # [B, L] -> [B, C]


class TrackWindow(Protocol):
    """A window of a stretch of a contig, and edited copies of it."""

    def embed(self, sequences: Sequence[Codes | None], bins: Bins) -> Tensor:
        """Return the embeddings [B, D, N] of edited copies [L] of the window; None is the unedited window."""


class TrackStretch(Protocol):
    """A stretch of a contig, of which windows share work; bins are those of the head of the engine."""

    def window(self, first: int, n: int) -> TrackWindow:
        """Return the window of n bins from bin `first` of the stretch."""


class TrackEngine(Protocol):
    """Computes embeddings of codes with a model in eval mode, on the model's device; no gradients."""

    def embed(self, codes: Codes, bins: Bins) -> Tensor:
        """Return the embedding of bins of windows: codes [B, L] -> [B, D, N]."""

    def stretch(self, codes: Codes) -> TrackStretch:
        """Prepare a stretch of a contig [L], a whole number of bins."""


class TracksInParts(Protocol):
    """An engine that computes tracks without the embedding of all bins, which can be large."""

    def tracks_in_parts(self, codes: Codes, bins: Bins, tracks: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the tracks of bins, codes [B, L] -> [B, K, N]; tracks: from the embedding of some bins, [B, D, n]."""


# --- refusal

Need = type | tuple[type, ...]
SCORES_VARIANTS: Need = (ReadsTokens, PredictsTracks, Classifies)
SCORES_HAPLOTYPES: Need = (PredictsTracks, Classifies)
READS_TOKENS: Need = (ReadsTokens, Classifies)
EMBEDS: Need = (ReadsTokens, Classifies, PredictsTracks)

_REMEDIES: dict[type, str] = {
    PredictsBases: "a language model",
    SequenceLikelihood: "a causal language model",
    PredictsTracks: "a model that predicts tracks",
    Classifies: "a model that `finetune` made",
    Embeds: "a language model",
    ReadsTokens: "a language model",
    Attends: "a model with attention",
}


def has(model: object, *needs: Need) -> bool:
    """True if a model, or a class of models, has all capabilities; a tuple stands for any one of its members."""
    lacks = getattr(model, "lacks", {})
    lacks = lacks if isinstance(lacks, Mapping) else {}  # a class has a property there
    return all(any(not _missing(model, kind) and kind not in lacks for kind in _kinds(need)) for need in needs)


def _missing(model: object, capability: type) -> list[str]:
    """Return the methods of a capability that a model does not have."""
    kind = model if isinstance(model, type) else type(model)  # parts of a network are attributes of the model only
    return [name for name in vars(capability) if not name.startswith("_") and not hasattr(kind, name)]


def require(model: Model, *needs: Need, name: str = "the model") -> None:
    """Raise CheckpointError, with the kind of model found and the kind needed, if a model lacks a capability.

    >>> from genoformer.models.registry import load
    >>> require(load("demo"), PredictsTracks, name="demo")
    Traceback (most recent call last):
    genoformer.errors.CheckpointError: demo is a language model, which predicts bases; give a model that predicts tracks.
    """
    for need in needs:
        if has(model, need):
            continue
        reasons = [model.lacks[kind] for kind in _kinds(need) if kind in model.lacks]
        if not reasons and ReadsTokens in _kinds(need) and has(model, (Embeds, PredictsBases, SequenceLikelihood)):
            reasons = [f"has no {', '.join(_missing(model, ReadsTokens))}, which every TokenModel has"]
        raise CheckpointError(f"{name} {reasons[0] if reasons else model.describe()}; give {remedy(need)}.")


def remedy(*needs: Need) -> str:
    """Return the kind of model with these capabilities, in words: "a model that predicts tracks"."""
    kinds = [kind for need in needs for kind in _kinds(need)]
    return " or ".join(str(_REMEDIES.get(kind) or getattr(kind, "_remedy", f"a model with {kind.__name__}")) for kind in kinds)


def _kinds(need: Need) -> tuple[type, ...]:
    return need if isinstance(need, tuple) else (need,)
