"""AlphaGenome: one-hot DNA -> encoder -> transformer with pairs -> decoder -> outputs (Avsec et al. 2026).

Written after google-deepmind/alphagenome_research, in float32 throughout. A head is an output of an organism in bins of 1 or
128 bases, such as human_dnase_1bp; the decoder runs for heads of 1 base only, and there over the requested bases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from genoformer.errors import ConfigError
from genoformer.formats.track_table import TrackTable
from genoformer.genome.codes import Codes
from genoformer.models.alphagenome.config import (
    BIN,
    CONTACTS,
    HUMAN_SCORES,
    JUNCTIONS,
    OUTPUTS,
    PAIR_BIN,
    RECOMMENDED_SCORES,
    SITES,
    AlphaGenomeConfig,
    HeadName,
    head_names,
    heads_of,
    pair_head_names,
    pair_heads_of,
)
from genoformer.models.alphagenome.fast_layers import engine_size
from genoformer.models.alphagenome.layers import DownStage, Stem, UpStage
from genoformer.models.alphagenome.outputs import Embedder, PairEmbedder, embedding_widths, likely_sites, output_modules
from genoformer.models.alphagenome.strands import is_published, layout_table
from genoformer.models.alphagenome.tiles import decode, decoded_bins, encode
from genoformer.models.alphagenome.tower import Block
from genoformer.models.base import AttentionWeights, Bins, Head, TrackEngine
from genoformer.models.bin_transformer import BinTransformer
from genoformer.models.inputs import check_onehot
from genoformer.models.plain_engine import one_hot
from genoformer.models.track_layers import linear_tracks
from genoformer.models.track_model import NewHead, read_track_tables

if TYPE_CHECKING:
    from genoformer.models.alphagenome.engine import AlphaGenomeEngine


class Junctions(NamedTuple):
    """Predicted splice junctions of windows."""

    sites: Tensor  # [B, 4, K]: donors and acceptors of the positive, then of the negative strand; -1: none
    counts: Tensor  # [B, 2 T, K, K]: of each donor with each acceptor, tissues of the positive, then of the negative strand


class AlphaGenome(BinTransformer):
    """Track model: one-hot DNA [B, 4, L] -> tracks [B, K, N] of a named head, in bins of 1 or 128 bases.

    >>> from genoformer.models.alphagenome.config import preset
    >>> model = AlphaGenome(preset("tiny")).eval()
    >>> model(torch.zeros(1, 4, 2048), "human_procap_128bp").shape
    torch.Size([1, 12, 16])
    >>> model.contact_maps(torch.zeros(1, 4, 4096), "mouse").shape
    torch.Size([1, 8, 2, 2])
    """

    config_type = AlphaGenomeConfig
    few_bins_are_cheaper = True  # the decoder runs over the bases that are read

    def __init__(self, config: AlphaGenomeConfig) -> None:
        super().__init__()
        self.config = config
        n, channels, widths = len(config.organisms), config.channels, embedding_widths(config)
        self.stages = nn.ModuleList([Stem(channels[0], config.stem_kernel, config.kernel)])
        self.stages.extend(DownStage(a, b, config.kernel) for a, b in pairwise(channels))
        self.organism = nn.Embedding(n, config.trunk_width)
        self.blocks = nn.ModuleList(Block(config, updates_pairs=i % 2 == 0) for i in range(config.n_blocks))
        self.decoder = nn.ModuleList(  # from 64 bases to 1
            UpStage(a, b, config.kernel) for a, b in zip([channels[-1], *channels[:0:-1]], channels[::-1], strict=True)
        )
        self.embed_bins = Embedder(n, config.trunk_width)
        self.embed_bases = Embedder(n, config.width, skip_width=widths[BIN])
        self.embed_pairs = PairEmbedder(n, config.pair_width)
        self.outputs = output_modules(config)
        self.heads = nn.ModuleDict({name: nn.Linear(widths[config.bin_size], n) for name, n in config.heads.items()})
        self.activation_checkpointing = False  # recompute the blocks in the backward pass: less memory, a third more time

    # Tracks

    @classmethod
    def heads_of(cls, config: AlphaGenomeConfig) -> dict[str, Head]:
        """Return the heads; those of splice sites and their usage have a table, as their strands are part of the layout."""
        names = {text: name for text, name in head_names(config).items() if text not in config.heads}
        tables = {text: layout_table(config, name) for text, name in names.items()}
        return {text: head._replace(table=tables.get(text)) for text, head in heads_of(config).items()}

    @classmethod
    def window_unit_of(cls, config: AlphaGenomeConfig) -> int:
        return PAIR_BIN

    def embed(self, onehot: Tensor, n_bins: int | Bins | None = None, head: str | None = None) -> Tensor:
        """Return the embedding of the bins of a head, [B, D, N]; it depends on the organism and the bin size of the head."""
        self._check_input(onehot)
        name = self.parts_of(head)
        bins = n_bins if isinstance(n_bins, Bins) else self.bins_of(onehot.shape[-1], n_bins, self.head_named(head))
        return self._embedding(onehot, self._organism(name.organism), name.bin_size, bins)

    def tracks(self, embedding: Tensor, head: str | None = None, only: Tensor | None = None) -> Tensor:
        """Map the embedding [B, D, N] to the tracks [B, K, N] of a head, or to its tracks with the numbers `only` [K].

        Tracks are in the scale of the measurements (`outputs.unscaled`); of splice sites they are probabilities.
        """
        head = self.head_named(head)
        if head in self.heads:
            return linear_tracks(embedding, self.heads[head], only)
        name = self.parts_of(head)
        tracks: Tensor = self.outputs[name.output](embedding, self._organism(name.organism), name.bin_size, only)
        return tracks

    def parts_of(self, head: str | None) -> HeadName:
        """Return the organism, the output and the bin size that the name of a head stands for."""
        return head_names(self.config)[self.head_named(head)]

    def head_module(self, head: str) -> nn.Module:
        return self.heads[head] if head in self.heads else self.outputs[self.parts_of(head).output]

    def embedding_width(self, head: str) -> int:
        return embedding_widths(self.config)[self.parts_of(head).bin_size]

    def embedding_kind(self, head: str) -> str:
        name = self.parts_of(head)
        return f"{name.organism}, bins of {name.bin_size}"

    def engine(self, head: str | None = None) -> TrackEngine:
        """Return `AlphaGenomeEngine`: the encoder shared by the windows of a stretch and by edited copies."""
        from genoformer.models.alphagenome.engine import AlphaGenomeEngine

        return AlphaGenomeEngine(self, head)

    @classmethod
    def fields_of_head(cls, head: NewHead) -> dict[str, Any]:
        """Return the fields that a new head sets; it has bins of 1 or 128 bases, as its tracks have."""
        own = {"bin_size": head.bin_size, "head_organism": head.organism, "outputs": {}, "tracks": {}}
        return {**super().fields_of_head(head._replace(organism="")), **own}

    @classmethod
    def timing_config(cls, config: AlphaGenomeConfig, length: int) -> AlphaGenomeConfig:
        """Return a configuration of the same width to measure speed with: windows of `length` bases, one block, one track."""
        if config.heads:
            return replace(config, n_blocks=1, heads={next(iter(config.heads)): 1}, target_bins=0, context_length=length)
        one = {"dnase": 1}
        tracks = dict.fromkeys(config.organisms, one)
        return replace(config, n_blocks=1, outputs=one, tracks=tracks, heads={}, target_bins=0, context_length=length)

    def cpu_engine_size(self, length: int, batch: int, head: str, n_bins: int) -> tuple[int, int] | None:
        """Return how many numbers the engine holds on a CPU: copies of weights, and the most values at any time."""
        return engine_size(self, length, head, n_bins)

    def output_parts(self) -> list[nn.Module | nn.Parameter]:
        return [self.outputs, self.heads]

    def shard_parts(self) -> list[nn.Module]:
        return [*self.stages, *self.blocks, *self.decoder]

    def last_parts(self) -> list[nn.Module]:
        return [*self.decoder, self.embed_bins, self.embed_bases, self.embed_pairs]

    # Outputs that are no tracks

    def contact_maps(self, onehot: Tensor, organism: str) -> Tensor:
        """Return contact maps [B, K, P, P] of bins of 2,048 bases; ConfigError if the model has none of the organism."""
        self._require_output(CONTACTS, organism)
        number = self._organism(organism)
        self._check_input(onehot)
        _, pairs = self.transform(encode(self, onehot).x, number)
        maps: Tensor = self.outputs[CONTACTS].maps(self.embed_pairs(pairs, number), number)  # type: ignore[operator]
        return maps

    def junctions(self, onehot: Tensor, organism: str, sites: Tensor | None = None) -> Junctions:
        """Return the read counts of splice junctions between sites.

        sites: positions in the window [B, 4, K], see `Junctions`; None: the likeliest ones, at most `n_junction_sites` of each
        kind, with a probability of at least `site_threshold`.
        """
        self._require_output(JUNCTIONS, organism)
        number = self._organism(organism)
        embedding = self._embedding(onehot, number, 1, Bins(0, onehot.shape[-1]))
        if sites is None:
            probabilities = self.outputs[SITES].probabilities(embedding, number)  # type: ignore[operator]
            sites = self.likely_sites(probabilities)
        return Junctions(sites, self.outputs[JUNCTIONS].counts(embedding, number, sites))  # type: ignore[operator]

    def read_tables(self, folder: Path) -> None:
        self.targets = read_track_tables({**self.heads_of(self.config), **pair_heads_of(self.config)}, folder)

    @classmethod
    def heads_of_table(cls, config: AlphaGenomeConfig, name: str) -> list[str]:
        """Return the heads of an organism."""
        names = {**head_names(config), **pair_head_names(config)}
        return [text for text, head in names.items() if head.organism == name and text not in config.heads]

    @classmethod
    def tables_of_metadata(
        cls, config: AlphaGenomeConfig, organism: str, tables: Mapping[str, TrackTable]
    ) -> dict[str, TrackTable]:
        """Return the table of each head of an organism, of all bin sizes; ConfigError if a number of tracks differs."""
        names = {**head_names(config), **pair_head_names(config)}
        heads = {text: name for text, name in names.items() if name.organism == organism}
        if not heads:
            raise ConfigError(f"found no organism {organism!r}, expected one of {', '.join(config.organisms)}.")
        made = {text: tables[name.output] for text, name in heads.items() if name.output in tables}
        for text, table in made.items():
            if len(table) != (n := config.tracks[organism][heads[text].output]):
                raise ConfigError(
                    f"the metadata have {len(table):,} tracks, but head {text} has {n:,}; give those of its organism."
                )
        return made

    def table_remedy(self, head: str) -> str:
        """Return the end of a message on a head without a table: for one like those of the published weights, their names."""
        name = head_names(self.config)[head]
        if head in self.published or head in self.config.heads or not is_published(self.config, name):
            return super().table_remedy(head)
        return "run genoformer data pull alphagenome-tracks, and give the folder of the model the name alphagenome"

    def recommended_scores(self, head: str) -> tuple[str, ...]:
        name = {**head_names(self.config), **pair_head_names(self.config)}[head]
        scores = RECOMMENDED_SCORES.get(name.output, ())
        return tuple(score for score in scores if name.organism == "human" or score not in HUMAN_SCORES)

    def output_of(self, head: str) -> str:
        output = {**head_names(self.config), **pair_head_names(self.config)}[head].output
        return output if output in OUTPUTS else ""

    # Heads of pairs (`PredictsPairs`)

    pair_heads_of = staticmethod(pair_heads_of)

    @property
    def pair_heads(self) -> dict[str, Head]:
        """Heads of contact maps and of splice junctions, such as human_contact_maps."""
        return {name: self.with_table(name, head) for name, head in pair_heads_of(self.config).items()}

    def contacts(self, onehot: Tensor, head: str) -> Tensor:
        """Return the contact maps [B, K, P, P] of a head."""
        return self.contact_maps(onehot, pair_head_names(self.config)[head].organism)

    def contact_engine(self, head: str) -> AlphaGenomeEngine:
        """Return the engine of an organism, whose windows have `contacts`."""
        from genoformer.models.alphagenome.engine import AlphaGenomeEngine

        engine = AlphaGenomeEngine(self, next(iter(self.track_heads)))
        engine.organism = self._organism(pair_head_names(self.config)[head].organism)
        return engine

    def base_head(self, head: str) -> str:
        """Return the head of splice sites of the same organism."""
        return str(HeadName(pair_head_names(self.config)[head].organism, SITES, 1))

    def site_probabilities(self, embedding: Tensor, head: str) -> Tensor:
        """Return the probabilities of the classes of splice sites, [B, D, N] -> [B, 5, N]."""
        organism = self._organism(pair_head_names(self.config)[head].organism)
        probabilities: Tensor = self.outputs[SITES].probabilities(embedding, organism)  # type: ignore[operator]
        return probabilities

    def likely_sites(self, probabilities: Tensor) -> Tensor:
        """Return the positions [B, 4, K] of the likeliest splice sites, see `outputs.likely_sites`."""
        return likely_sites(probabilities, self.config.n_junction_sites, self.config.site_threshold)

    def junction_counts(self, at_sites: Tensor, sites: Tensor, head: str) -> Tensor:
        """Return the counts [B, 2 T, K, K] of junctions from the embedding of the sites [B, D, 4, K]."""
        organism = self._organism(pair_head_names(self.config)[head].organism)
        counts: Tensor = self.outputs[JUNCTIONS].counts_between(at_sites, organism, sites)  # type: ignore[operator]
        return counts

    def _require_output(self, output: str, organism: str) -> None:
        if not self.config.tracks.get(organism, {}).get(output):
            having = [name for name in self.config.organisms if self.config.tracks.get(name, {}).get(output)]
            raise ConfigError(f"found no {output} of {organism!r}, expected one of: {', '.join(having) or 'none'}.")

    # Parts

    def _organism(self, organism: str) -> int:
        return self.config.organisms.index(organism)

    def _embedding(self, onehot: Tensor, organism: int, bin_size: int, bins: Bins) -> Tensor:
        """Return the embedding [B, D, N] of bins of 1 or 128 bases."""
        self._check_input(onehot)
        if bin_size == BIN:
            x, _ = self.transform(encode(self, onehot).x, organism)
            embedding: Tensor = self.embed_bins(x[:, bins.first : bins.first + bins.n], organism)
            return embedding
        kept = decoded_bins(self, bins, onehot.shape[-1] // BIN)
        encoded = encode(self, onehot, kept)
        x, _ = self.transform(encoded.x, organism)
        return decode(self, x, encoded.stages, kept, bins, organism)

    def transform(self, x: Tensor, organism: int) -> tuple[Tensor, Tensor]:
        """Apply the transformer to the encoder's output: [B, C, T] -> sequence [B, T, C] and pairs [B, P, P, F]."""
        x, pairs = x.mT + self.organism.weight[organism], None
        for block in self.blocks:
            x, pairs = self._block(block, x, pairs)
        assert pairs is not None
        return x, pairs

    def _check_input(self, onehot: Tensor) -> None:
        check_onehot(onehot)
        self._check_length(onehot.shape[-1])

    def _check_length(self, length: int) -> None:
        self.bins_of(length, 0, next(iter(self.track_heads)))  # raises ConfigError if it is no multiple of 2,048

    def _block(self, block: nn.Module, x: Tensor, pairs: Tensor | None) -> tuple[Tensor, Tensor]:
        if self.activation_checkpointing and self.training:
            again: tuple[Tensor, Tensor] = checkpoint(block, x, pairs, use_reentrant=False)
            return again
        plain: tuple[Tensor, Tensor] = block(x, pairs)
        return plain

    # Attention maps of bins of 128 bases

    @property
    def attention_unit(self) -> int:
        return BIN

    def attention(self, codes: Codes) -> Iterator[AttentionWeights]:
        """Yield for each layer a function (first query, n) -> attention weights, of the first organism."""
        parameter = next(self.parameters())
        x = one_hot(torch.from_numpy(np.array(codes)).to(parameter.device)).to(parameter.dtype)
        x, pairs = encode(self, x).x.mT + self.organism.weight[0], None
        for block in self.blocks:
            assert isinstance(block, Block)
            if block.pairs is not None:
                pairs = block.pairs(x, pairs)
            assert pairs is not None
            yield partial(block.attention.weights, x, pairs)
            x = block.sequence(x, pairs)
