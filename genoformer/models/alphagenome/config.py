"""Configuration of AlphaGenome: the shape of the network, its organisms, and its outputs with their tracks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, get_type_hints

from torch import nn

from genoformer.config import checked, preset_of
from genoformer.errors import ConfigError
from genoformer.models.base import Head

N_POOLS = 7  # each halves the length: the transformer has bins of 2^7 = 128 bases
BIN = 2**N_POOLS
PAIR_POOL = 16  # bins of the transformer in a bin of the pair representation
PAIR_BIN = PAIR_POOL * BIN  # 2,048 bases; a window is a multiple of it
CONTACTS, SITES, USAGE, JUNCTIONS = "contact_maps", "splice_sites_classification", "splice_sites_usage", "splice_sites_junction"


class Output(NamedTuple):
    """Kind of an output: bin sizes of its heads, and how its numbers follow from the last linear layer."""

    bin_sizes: tuple[int, ...]  # of its heads; empty: the output is no track
    kind: str = "tracks"  # a key of `outputs.OUTPUT_MODULES`
    squashed: bool = False  # training targets were raised to the power 0.75

    @property
    def has_means(self) -> bool:
        """True for tracks of measurements, which the model scales by the mean of each."""
        return self.kind == "tracks"


# heads.py of google-deepmind/alphagenome_research, `get_head_config`
OUTPUTS = {
    "atac": Output((1, 128)),
    "dnase": Output((1, 128)),
    "procap": Output((1, 128)),
    "cage": Output((1, 128)),
    "rna_seq": Output((1, 128), squashed=True),
    "chip_tf": Output((128,)),
    "chip_histone": Output((128,)),
    CONTACTS: Output((), "contacts"),
    SITES: Output((1,), "sites"),
    USAGE: Output((1,), "usage"),
    JUNCTIONS: Output((), "junctions"),
}
# Rows of the published weights, a multiple of 128 for most outputs, and the real tracks among them: (rows, human, mouse).
PUBLISHED = {
    "atac": (256, 167, 18),
    "dnase": (384, 305, 67),
    "procap": (128, 12, 0),
    "cage": (640, 546, 188),
    "rna_seq": (768, 667, 173),
    "chip_tf": (1664, 1617, 127),
    "chip_histone": (1152, 1116, 183),
    CONTACTS: (28, 28, 8),
    SITES: (5, 4, 4),  # the fifth class is "no splice site"
    USAGE: (734, 734, 180),  # 367 tissues on each strand
    JUNCTIONS: (367, 367, 90),  # tissues
}


_LOCAL = ("CENTER_MASK_501_DIFF_LOG2_SUM", "CENTER_MASK_501_ACTIVE_SUM")
RECOMMENDED_SCORES: dict[str, tuple[str, ...]] = {  # RECOMMENDED_VARIANT_SCORERS of google-deepmind/alphagenome
    **dict.fromkeys(("atac", "dnase", "procap", "cage", "chip_tf"), _LOCAL),
    "rna_seq": ("GENE_MASK_LFC", "GENE_MASK_ACTIVE", "POLYADENYLATION"),
    "chip_histone": ("CENTER_MASK_2001_DIFF_LOG2_SUM", "CENTER_MASK_2001_ACTIVE_SUM"),
    CONTACTS: ("CONTACT_MAP",),
    SITES: ("GENE_MASK_SPLICING",),
    USAGE: ("GENE_MASK_SPLICING",),
    JUNCTIONS: ("SPLICE_JUNCTION",),
}
HUMAN_SCORES = ("POLYADENYLATION",)  # recommended for human only


def _published(organism: int | None) -> dict[str, int]:
    return {name: row[0 if organism is None else organism + 1] for name, row in PUBLISHED.items()}


@dataclass(frozen=True)
class AlphaGenomeConfig:
    """The shape of an AlphaGenome. The defaults are those of the published weights."""

    width: int = 768  # channels of the first stage
    width_step: int = 128  # channels that each of the six further stages adds
    n_blocks: int = 9  # of the transformer; every second one, from the first, updates the pair representation
    n_heads: int = 8
    key_width: int = 128  # of a query head, and of the one head of keys
    value_width: int = 192  # of the one head of values
    pair_width: int = 128  # channels of the pair representation, and of each of its heads
    n_pair_heads: int = 32
    n_pair_features: int = 64  # features of a relative position
    stem_kernel: int = 15
    kernel: int = 5
    longest_window: int = 1_048_576  # bases; sets the frequencies and thresholds of relative positions
    context_length: int = 1_048_576  # default window, in bases
    organisms: tuple[str, ...] = ("human", "mouse")
    outputs: Mapping[str, int] = field(default_factory=lambda: _published(None))  # name -> rows of its weights
    tracks: Mapping[str, Mapping[str, int]] = field(  # organism -> output -> number of rows that are real tracks
        default_factory=lambda: {"human": _published(0), "mouse": _published(1)}
    )
    junction_width: int = 768  # channels in which a donor and an acceptor are compared
    n_junction_sites: int = 512  # largest number of splice sites of each kind among which junctions are predicted
    site_threshold: float = 0.1  # smallest probability of these splice sites
    heads: Mapping[str, int] = field(default_factory=dict)  # heads trained here on other tracks: name -> number of tracks
    bin_size: int = BIN  # bases of a bin of these heads, 1 or 128
    head_organism: str = ""  # whose embedding these heads read; "": the first one
    target_bins: int = 0  # bins that they predict in the middle of a window; 0: all

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for entry in fields(self):
            value = getattr(self, entry.name)
            if hints[entry.name] is int and value < (0 if entry.name in ("n_blocks", "target_bins") else 1):
                raise ConfigError(f"{entry.name} = {value}: give a whole number above 0.")
        for name in ("stem_kernel", "kernel"):
            if getattr(self, name) % 2 == 0:
                raise ConfigError(f"{name} = {getattr(self, name)} has no middle; give an odd number.")
        for name in ("key_width", "n_pair_features") + (("junction_width",) if JUNCTIONS in self.outputs else ()):
            if getattr(self, name) % 2:
                raise ConfigError(
                    f"{name} = {getattr(self, name)}: give an even number, half for each of two kinds of features."
                )
        for name in ("longest_window", "context_length"):
            if getattr(self, name) % PAIR_BIN:
                raise ConfigError(f"{name} = {getattr(self, name):,}: give a multiple of {PAIR_BIN:,} bases.")
        if self.n_blocks < 1:
            raise ConfigError("n_blocks = 0: the pair representation needs a block; give at least 1.")
        if not 0 <= self.site_threshold < 1:
            raise ConfigError(f"site_threshold = {self.site_threshold}: give a probability below 1.")
        self._check_heads()
        self._check_outputs()

    def _check_heads(self) -> None:
        if self.head_organism and self.head_organism not in self.organisms:
            raise ConfigError(
                f"organism = {self.head_organism!r}: the model has {', '.join(self.organisms)}; name one of them."
            )
        if self.bin_size not in (1, BIN):
            raise ConfigError(f"bin_size = {self.bin_size}: the bins of AlphaGenome have 1 or {BIN} bases; give one of them.")
        if self.target_bins > self.context_length // self.bin_size:
            raise ConfigError(
                f"target_bins = {self.target_bins}: a window of {self.context_length:,} bases has "
                f"{self.context_length // self.bin_size:,} bins of {self.bin_size}; give at most that, or 0 for all."
            )
        if any(type(n) is not int or n < 1 for n in self.heads.values()):
            raise ConfigError(f"heads = {dict(self.heads)}: give each head its number of tracks, at least 1.")
        if bad := [name for name in self.heads if not name.isidentifier() or hasattr(nn.ModuleDict, name)]:
            raise ConfigError(f"heads: {bad[0]!r} is no name, or one that torch needs; take other letters, digits and _.")

    def _check_outputs(self) -> None:
        if not self.organisms or len(set(self.organisms)) < len(self.organisms):
            raise ConfigError(f"organisms = {self.organisms}: name at least one organism, each once.")
        if bad := [name for name in self.organisms if not name.isidentifier()]:
            raise ConfigError(f"organisms: {bad[0]!r} is not a name; take letters, digits and _.")
        if not self.outputs and self.heads and not self.tracks:
            return
        if not self.outputs or (set(self.outputs) - set(OUTPUTS)):
            raise ConfigError(f"outputs = {', '.join(self.outputs) or 'none'}: give some of {', '.join(OUTPUTS)}.")
        if bad := [name for name, n in self.outputs.items() if type(n) is not int or n < 1]:
            raise ConfigError(f"outputs: {bad[0]} = {self.outputs[bad[0]]!r}: give its number of rows, at least 1.")
        if SITES in self.outputs and self.outputs[SITES] != 5:
            raise ConfigError(f"outputs: {SITES} = {self.outputs[SITES]}: it has 5 classes; give 5.")
        if JUNCTIONS in self.outputs and SITES not in self.outputs:
            raise ConfigError(f"outputs: {JUNCTIONS} needs {SITES}, which finds the splice sites; add it.")
        if set(self.tracks) != set(self.organisms):
            raise ConfigError(f"tracks are of {', '.join(self.tracks)}; give them for {', '.join(self.organisms)}.")
        for organism, counts in self.tracks.items():
            if not isinstance(counts, Mapping) or set(counts) != set(self.outputs):
                raise ConfigError(f"tracks of {organism}: give a number of tracks for {', '.join(self.outputs)}.")
            for name, n in counts.items():
                if type(n) is not int or not 0 <= n <= self.outputs[name]:
                    raise ConfigError(f"tracks of {organism}: {name} = {n!r}: give a number from 0 to {self.outputs[name]:,}.")
        if not heads_of(self):
            raise ConfigError("outputs and tracks: no output has tracks; give at least one track.")

    @property
    def channels(self) -> list[int]:
        """Number of channels of each stage of the encoder."""
        return [self.width + i * self.width_step for i in range(N_POOLS)]

    @property
    def trunk_width(self) -> int:
        """Number of channels of the transformer."""
        return self.channels[-1]

    @property
    def min_layers(self) -> int:
        """Lower bound of the number of tensors with weights."""
        return 2 * N_POOLS + self.n_blocks

    @property
    def min_parameters(self) -> int:
        """Lower bound of the parameter count: the parameters of the large matrices."""
        c, k = self.trunk_width, self.kernel
        stages = sum(k * n * n for n in self.channels) + 4 * self.stem_kernel * self.width
        block = 4 * c * c + c * (self.n_heads * (self.key_width + self.value_width))
        pair = 2 * c * self.n_pair_heads * self.pair_width
        outputs = sum(rows for rows in self.outputs.values()) * len(self.organisms)
        return 3 * stages + self.n_blocks * block + (self.n_blocks + 1) // 2 * pair + outputs

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AlphaGenomeConfig:
        """Return the configuration in a mapping that `dataclasses.asdict` wrote.

        Unknown fields and values of other types are refused.
        """
        return cls(**checked(cls, values, "model"))


class HeadName(NamedTuple):
    """Parts of the name of a head, such as human_dnase_1bp."""

    organism: str
    output: str
    bin_size: int

    def __str__(self) -> str:
        return f"{self.organism}_{self.output}_{self.bin_size}bp"


def head_names(config: AlphaGenomeConfig) -> dict[str, HeadName]:
    """Return the parts of the name of each head: an organism, an output with tracks of it, and a bin size.

    Heads that were trained here read the embedding of `head_organism`.
    """
    names = [
        HeadName(organism, output, size)
        for organism in config.organisms
        for output in config.outputs
        for size in OUTPUTS[output].bin_sizes
        if config.tracks[organism][output]
    ]
    own = {name: HeadName(config.head_organism or config.organisms[0], name, config.bin_size) for name in config.heads}
    return {str(name): name for name in names} | own


def heads_of(config: AlphaGenomeConfig) -> dict[str, Head]:
    """Return the heads by name."""
    own = {name: Head(n, config.bin_size, target_bins=config.target_bins) for name, n in config.heads.items()}
    names = {text: name for text, name in head_names(config).items() if text not in own}
    return {text: Head(config.tracks[name.organism][name.output], name.bin_size) for text, name in names.items()} | own


def pair_head_names(config: AlphaGenomeConfig) -> dict[str, HeadName]:
    """Return the parts of the name of each head of pairs: contact maps, and junctions if there are splice sites."""
    names = {}
    for organism in config.organisms:
        counts = config.tracks.get(organism, {})  # none with heads that were trained here
        if counts.get(CONTACTS):
            names[f"{organism}_{CONTACTS}"] = HeadName(organism, CONTACTS, PAIR_BIN)
        if counts.get(JUNCTIONS) and counts.get(SITES):
            names[f"{organism}_{JUNCTIONS}"] = HeadName(organism, JUNCTIONS, 1)
    return names


def pair_heads_of(config: AlphaGenomeConfig) -> dict[str, Head]:
    """Return the heads of pairs of positions by name; the tracks of junctions are tissues."""
    return {
        text: Head(config.tracks[name.organism][name.output], name.bin_size, kind=OUTPUTS[name.output].kind)
        for text, name in pair_head_names(config).items()
    }


PRESETS: dict[str, dict[str, Any]] = {
    "alphagenome": {},
    # a quarter of the channels, for training from scratch
    "small": {
        "width": 192,
        "width_step": 32,
        "n_blocks": 5,
        "key_width": 48,
        "value_width": 48,
        "pair_width": 32,
        "n_pair_heads": 8,
        "longest_window": 131_072,
        "context_length": 131_072,
    },
    "tiny": {
        "width": 24,
        "width_step": 4,
        "n_blocks": 3,
        "n_heads": 2,
        "key_width": 8,
        "value_width": 12,
        "pair_width": 8,
        "n_pair_heads": 4,
        "n_pair_features": 8,
        "longest_window": 65_536,
        "context_length": 8192,
        "junction_width": 16,
        "n_junction_sites": 8,
    },
}


def preset(name: str, **changed: Any) -> AlphaGenomeConfig:
    """Return the configuration of a named size (`PRESETS`) with some fields changed."""
    return preset_of(AlphaGenomeConfig, PRESETS, name, changed)
