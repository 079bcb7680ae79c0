"""AlphaGenomeEngine: codes -> embeddings of bins, with the encoder shared by the windows of a stretch and by edited copies.

The encoder is local (`tiles`): a window takes its output from that of the stretch, except for the bins near its ends, where the
window ends and the stretch does not; an edited copy recomputes the bins that the edits reach. Transformer and decoder run for
each copy, the decoder over the requested bases. The numbers equal those of whole sequences (`PlainEngine`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genoformer.genome.codes import Codes
from genoformer.models.alphagenome.config import BIN, CONTACTS, head_names
from genoformer.models.alphagenome.fast_layers import FastLayers
from genoformer.models.alphagenome.model import AlphaGenome
from genoformer.models.alphagenome.tiles import (
    NO_BINS,
    TILE,
    Encoded,
    bins_around,
    decode,
    decode_tile,
    decoded_bins,
    encode,
    encode_bins,
    encoder_reach,
    tiles,
)
from genoformer.models.base import Bins
from genoformer.models.plain_engine import PlainEngine, one_hot


class AlphaGenomeEngine(PlainEngine):
    """Fast forward passes of an AlphaGenome in eval mode for one head."""

    model: AlphaGenome

    def __init__(self, model: AlphaGenome, head: str | None) -> None:
        super().__init__(model, model.head_named(head))
        name, parameter = model.parts_of(head), next(model.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype
        self.organism_name, self.bin_size = name.organism, name.bin_size
        self.organism = model.config.organisms.index(name.organism)

    @cached_property
    def layers(self) -> Any:
        """Encoder and decoder: on a CPU in a faster form; make a new engine after the weights of the model change."""
        if self.device.type != "cpu":
            return self.model
        work = self.model.shared_work
        if work is None:
            return FastLayers(self.model)
        work.layers = work.layers or FastLayers(self.model)
        return work.layers

    def transform(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return `AlphaGenome.transform` of the encoder's output [1, C, T]; heads that share their work compute it once."""
        work = self.model.shared_work
        if work is None:
            return self.model.transform(x, self.organism)
        return work.of(f"transformer {self.organism}", x, lambda: self.model.transform(x, self.organism))

    def one_hot(self, codes: Codes) -> Tensor:
        """Return codes [L] as one-hot [1, 4, L], on the device and in the precision of the model."""
        return one_hot(torch.from_numpy(np.array(codes[None])).to(self.device)).to(self.dtype)

    def embed(self, codes: Codes, bins: Bins) -> Tensor:
        """Return the embedding of bins of windows: codes [B, L] -> [B, D, N]."""
        return _joined([self._embedding(*self._encode(window, bins), bins) for window in codes])

    def tracks_in_parts(self, codes: Codes, bins: Bins, tracks: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the tracks of bins, codes [B, L] -> [B, K, N]; the embedding of one tile is in memory at a time.

        tracks: the tracks from the embedding of some bins, [B, D, n] -> [B, K, n].
        """
        if self.bin_size == BIN or bins.n <= TILE * BIN:
            return tracks(self.embed(codes, bins))
        of_windows: list[Tensor] = []
        for window in codes:
            encoded, kept = self._encode(window, bins)
            x, _ = self.transform(encoded.x)
            out = x.new_empty(0)
            for tile in tiles(bins, TILE * BIN):
                values = tracks(decode_tile(self.layers, x, encoded, kept, tile, self.organism))
                out = out if len(out) else values.new_empty(1, values.shape[1], bins.n)
                out[..., tile.first - bins.first : tile.first - bins.first + tile.n] = values
            of_windows.append(out)
        return _joined(of_windows)

    def _encode(self, window: Codes, bins: Bins) -> tuple[Encoded, Bins]:
        """Return the output of the encoder for a window [L], and the bins of which it keeps the stages for the decoder."""
        self.model.bins_of(len(window), 0, self.head)  # refuses other lengths
        kept = NO_BINS if self.bin_size == BIN else decoded_bins(self.model, bins, len(window) // BIN)
        work = self.model.shared_work
        if work is None:
            return encode(self.layers, self.one_hot(window), kept), kept
        found: list[Encoded] = []

        def encoded() -> tuple[Tensor, ...]:
            found.append(encode(self.layers, self.one_hot(window), kept))
            return (found[0].x,)

        x = work.of("encoder", torch.from_numpy(np.array(window)), encoded)[0]
        if kept.n and not found:  # the stages are not kept
            return encode(self.layers, self.one_hot(window), kept), kept
        return found[0] if found else Encoded(x, []), kept

    def stretch(self, codes: Codes) -> AlphaGenomeStretch:  # type: ignore[override]
        """Prepare a stretch of a contig [L]."""
        return AlphaGenomeStretch(self, codes)

    def embedding(self, onehot: Tensor, x: Tensor, bins: Bins) -> Tensor:
        """Return the embedding [1, D, N] of bins of a window [1, 4, L], x: the encoder's output [1, C, T]."""
        if self.bin_size == BIN:
            return self._embedding(Encoded(x, []), NO_BINS, bins)
        read = decoded_bins(self.model, bins, x.shape[-1])
        return self._embedding(Encoded(x, encode_bins(self.layers, onehot, read, read).stages), read, bins)

    def _embedding(self, encoded: Encoded, kept: Bins, bins: Bins) -> Tensor:
        x, _ = self.transform(encoded.x)
        if self.bin_size == BIN:
            embedding: Tensor = self.model.embed_bins(x[:, bins.first : bins.first + bins.n], self.organism)
            return embedding
        return decode(self.layers, x, encoded.stages, kept, bins, self.organism)

    @torch.inference_mode()
    def all_tracks(self, codes: Codes) -> Iterator[tuple[str, Tensor]]:
        """Yield each head of the organism with its tracks [1, K, N], and contact maps, from one pass over a window [L].

        Encoder and transformer run once for all heads, the decoder if a head has bins of 1 base.
        """
        model, organism = self.model, self.organism
        of_organism = {name: parts for name, parts in head_names(model.config).items() if parts.organism == self.organism_name}
        sizes = {parts.bin_size for parts in of_organism.values()}
        model.bins_of(len(codes), 0, self.head)  # refuses other lengths
        kept = Bins(0, len(codes) // BIN) if sizes - {BIN} else NO_BINS
        encoded = encode(self.layers, self.one_hot(codes), kept)
        x, pairs = model.transform(encoded.x, organism)
        for size in sorted(sizes, reverse=True):
            if size == BIN:
                embedding = model.embed_bins(x, organism)
            else:
                embedding = decode(self.layers, x, encoded.stages, kept, Bins(0, len(codes)), organism)
                encoded.stages.clear()
            for name, parts in of_organism.items():
                if parts.bin_size == size:
                    yield name, model.tracks(embedding, name)
        if model.config.tracks.get(self.organism_name, {}).get(CONTACTS):
            yield CONTACTS, model.outputs[CONTACTS].maps(model.embed_pairs(pairs, organism), organism)  # type: ignore[operator]


def _joined(embeddings: list[Tensor]) -> Tensor:
    """Join embeddings or tracks [1, D, N] to [B, D, N]; a single one is not copied."""
    return embeddings[0] if len(embeddings) == 1 else torch.cat(embeddings)


class AlphaGenomeStretch:
    """A stretch of a contig [L]; its windows that begin at whole bins of 128 bases share the encoder's output."""

    def __init__(self, engine: AlphaGenomeEngine, codes: Codes) -> None:
        self.engine, self.codes = engine, codes

    @cached_property
    def encoded(self) -> Tensor:
        """Output of the encoder over the whole bins of the stretch, [1, C, T]."""
        whole = self.codes[: len(self.codes) // BIN * BIN]

        def encoded() -> tuple[Tensor, ...]:
            return (encode(self.engine.layers, self.engine.one_hot(whole)).x,)

        work = self.engine.model.shared_work
        return (encoded() if work is None else work.of("encoder", torch.from_numpy(np.array(whole)), encoded))[0]

    @torch.inference_mode()  # `encoded` is computed here
    def window(self, first: int, n: int) -> AlphaGenomeWindow:
        """Return the window of n bins of the head from bin `first` of the stretch."""
        start, length = first * self.engine.bin_size, n * self.engine.bin_size
        codes = self.codes[start : start + length]
        onehot = self.engine.one_hot(codes)
        if start % BIN or length == len(self.codes):
            return AlphaGenomeWindow(self.engine, codes, encode(self.engine.layers, onehot).x if start % BIN else self.encoded)
        n_all, reach = length // BIN, -(-encoder_reach(self.engine.model.config) // BIN)
        x = self.encoded[..., start // BIN : start // BIN + n_all].clone()
        for ends in {Bins(0, min(reach, n_all)), Bins(max(0, n_all - reach), min(reach, n_all))}:
            x[..., ends.first : ends.first + ends.n] = encode_bins(self.engine.layers, onehot, ends).x
        return AlphaGenomeWindow(self.engine, codes, x)


class AlphaGenomeWindow:
    """A window [L] with its encoder's output [1, C, T], and edited copies of it."""

    def __init__(self, engine: AlphaGenomeEngine, codes: Codes, x: Tensor) -> None:
        self.engine, self.codes, self.x = engine, codes, x

    def embed(self, sequences: Sequence[Codes | None], bins: Bins) -> Tensor:
        """Return the embeddings [B, D, N] of edited copies [L] of the window; None is the unedited window."""
        embeddings = []
        for codes in sequences:
            onehot = self.engine.one_hot(self.codes if codes is None else codes)
            x = self.x if codes is None else self._edited(codes, onehot)
            embeddings.append(self.engine.embedding(onehot, x, bins))
        return _joined(embeddings)

    @torch.inference_mode()
    def contacts(self, sequences: Sequence[Codes | None]) -> Tensor:
        """Return the contact maps [B, K, P, P] of edited copies [L] of the window; None is the unedited window."""
        model, organism, maps = self.engine.model, self.engine.organism, []
        for codes in sequences:
            x = self.x if codes is None else self._edited(codes, self.engine.one_hot(codes))
            _, pairs = self.engine.transform(x)
            maps.append(model.outputs[CONTACTS].maps(model.embed_pairs(pairs, organism), organism))  # type: ignore[operator]
        return torch.cat(maps)

    def _edited(self, codes: Codes, onehot: Tensor) -> Tensor:
        x = self.x.clone()
        for bins in self._changed_bins(codes):
            x[..., bins.first : bins.first + bins.n] = encode_bins(self.engine.layers, onehot, bins).x
        return x

    def _changed_bins(self, codes: Codes) -> Iterator[Bins]:
        """Yield the bins that the differences between an edited copy and the window reach; near ones together."""
        at = np.flatnonzero(self.codes != codes)
        if not len(at):
            return
        reach, n_all = encoder_reach(self.engine.model.config), len(codes) // BIN
        breaks = np.flatnonzero(np.diff(at) > 4 * reach)
        starts, ends = at[np.append(0, breaks + 1)], at[np.append(breaks, len(at) - 1)] + 1
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            yield bins_around(start, end, reach, n_all)
