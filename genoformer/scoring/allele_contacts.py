"""ContactPredictor: variants in windows -> contacts of the variant's bin with all bins of the window, for both alleles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genoformer.genome.codes import Codes, reverse_complement
from genoformer.inference.runtime import batches
from genoformer.inference.tracks import TrackPrediction, WindowRequest
from genoformer.models.base import Bins
from genoformer.models.plain_engine import one_hot
from genoformer.scoring.allele_tracks import AllelePredictor, AlleleRequest, Alleles, Grid, WindowEvidence, extent_of
from genoformer.scoring.score_inputs import AllelePair

_Maps = Callable[[Sequence[Codes | None]], Tensor]


class ContactReader:
    """Model of contact maps in eval mode: codes -> contact maps, whose values of a track are in one row, [K, P * P].

    plain: each whole sequence is predicted separately, as a reference.
    """

    def __init__(self, model: Any, head: str, *, plain: bool = False) -> None:
        self.model, self.head = model, head
        self.engine: Any = None if plain else model.contact_engine(head)
        parameter = next(model.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype

    def predict_edits(
        self,
        codes: Codes,
        windows: Sequence[WindowRequest],
        *,
        tracks: NDArray[np.int64],
        batch_size: int = 1,
        backward: bool = False,
    ) -> Iterator[TrackPrediction]:
        """Predict windows of a stretch [L_s] and their edited copies, as `TrackPredictor.predict_edits` does.

        backward: the model reads the other strand; the maps are those of the forward strand.
        """
        chosen = torch.from_numpy(tracks).to(self.device)
        strand = reverse_complement(codes) if backward else codes
        stretch = None if self.engine is None else self.engine.stretch(strand)
        for request in windows:
            first = len(codes) - request.start - request.length if backward else request.start
            maps_of = self._maps(stretch, strand, first, request.length)
            edits = [reverse_complement(edit) if backward else edit for edit in request.edits]
            sequences: list[Codes | None] = [None, *edits]

            def run(part: slice, sequences: list[Codes | None] = sequences, maps_of: _Maps = maps_of) -> Tensor:
                maps = maps_of(sequences[part])[:, chosen].flatten(2)
                return maps.flip(-1) if backward else maps

            for _, values in batches(run, len(sequences), batch_size):
                for one in np.split(values, len(values)):
                    yield TrackPrediction(one, one[:, :0])

    def _maps(self, stretch: Any, codes: Codes, first: int, length: int) -> _Maps:
        """Return a function: edited copies of a window of a stretch, None for the window itself -> contact maps."""
        if stretch is not None:
            size = self.engine.bin_size
            window = stretch.window(first // size, length // size)
            shared: _Maps = window.contacts
            return shared
        window = codes[first : first + length]

        def plain(sequences: Sequence[Codes | None]) -> Tensor:
            stacked = torch.from_numpy(np.stack([window if one is None else one for one in sequences]))
            maps: Tensor = self.model.contacts(one_hot(stacked.to(self.device)).to(self.dtype), self.head)
            return maps

        return plain


class ContactPredictor(AllelePredictor):
    """Predictor of contact maps of both alleles with each model of an ensemble."""

    def __init__(self, request: AlleleRequest) -> None:
        self._set(request)
        length, model = request.windows.length, request.models[0]
        model.bins_of(length, 0, next(iter(model.track_heads)))  # refuses a length that the model does not read
        self.bins = Bins(0, length // request.windows.bin_size)
        self.readers = [ContactReader(model, request.head) for model in request.models]  # type: ignore[misc]

    def reference(self) -> ContactPredictor:
        """Return the reference implementation: each whole sequence separately through the plain modules of the models."""
        other = self.copy()
        other.readers = [ContactReader(model, self.head, plain=True) for model in self.models]  # type: ignore[misc]
        return other

    def meta_run(self, like: Any) -> Callable[[], Tensor]:
        """Return a forward pass of a meta model."""
        return lambda: like.contacts(torch.empty(1, 4, self.windows.length, device="meta"), self.head)

    def evidence(self, alleles: Alleles) -> WindowEvidence:
        """Return the contacts [K, P] of the variant's bin for both alleles; bins of the alternative are not realigned."""
        job, n = alleles.job, self.bins.n
        grid, extent = Grid(job.chrom, job.start, n, self.windows.bin_size), extent_of(job)
        at = grid.mask(extent[0], 1).start
        ref, alt = (
            maps.reshape(-1, n, n)[:, :, at].astype(np.float64) for maps in (alleles.ref.tracks[0], alleles.alt.tracks[0])
        )
        empty = alleles.ref.embedding[0]
        return WindowEvidence(grid, job.centre, AllelePair(ref, alt), AllelePair(empty, empty), alt, extent)
