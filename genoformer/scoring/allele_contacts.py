"""ContactPredictor: variants in windows -> contacts of the variant's bin with all bins of the window, for both alleles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genoformer.genome.codes import Codes, reverse_complement
from genoformer.inference.runtime import run_batched
from genoformer.inference.tracks import TrackPrediction, WindowRequest
from genoformer.models.base import Bins
from genoformer.models.track_model import one_hot
from genoformer.scoring.allele_tracks import AllelePredictor, AlleleRequest, Alleles, Grid, WindowEvidence, extent_of
from genoformer.scoring.score_inputs import AllelePair


class ContactReader:
    """Model of contact maps in eval mode: codes -> contact maps, whose values of a track are in one row, [K, P * P]."""

    def __init__(self, model: Any, head: str) -> None:
        self.model, self.head = model, head
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
        for request in windows:
            sequences = np.stack([codes[request.start : request.start + request.length], *request.edits])
            if backward:
                sequences = np.stack([reverse_complement(one) for one in sequences])

            def run(part: slice, sequences: Codes = sequences) -> Tensor:
                onehot = one_hot(torch.from_numpy(sequences[part].copy()).to(self.device)).to(self.dtype)
                maps: Tensor = self.model.contacts(onehot, self.head)[:, chosen].flatten(2)
                return maps.flip(-1) if backward else maps

            values = run_batched(run, len(sequences), batch_size)
            yield TrackPrediction(values, values[:, :0])


class ContactPredictor(AllelePredictor):
    """Predictor of contact maps of both alleles with each model of an ensemble; each sequence is predicted separately."""

    def __init__(self, request: AlleleRequest) -> None:
        self._set(request)
        length, model = request.windows.length, request.models[0]
        model.bins_of(length, 0, next(iter(model.track_heads)))  # refuses a length that the model does not read
        self.bins = Bins(0, length // request.windows.bin_size)
        self.readers = [ContactReader(model, request.head) for model in request.models]  # type: ignore[misc]

    def reference(self) -> ContactPredictor:
        """Return the reference implementation, which is this one."""
        return self

    def meta_run(self, like: Any) -> Callable[[], Tensor]:
        """Return a forward pass of a meta model."""
        return lambda: like.contacts(torch.empty(1, 4, self.windows.length, device="meta"), self.head)

    def evidence(self, alleles: Alleles) -> WindowEvidence:
        """Return the contacts [K, P] of the variant's bin for both alleles; bins of the alternative are not realigned."""
        job, n = alleles.job, self.bins.n
        grid, extent = Grid(job.chrom, job.start, n, self.windows.bin_size), extent_of(job)
        at = grid.mask(extent[0], 1).start
        ref, alt = (maps.reshape(-1, n, n)[:, at].astype(np.float64) for maps in (alleles.ref.tracks[0], alleles.alt.tracks[0]))
        empty = alleles.ref.embedding[0]
        return WindowEvidence(grid, job.centre, AllelePair(ref, alt), AllelePair(empty, empty), alt, extent)
