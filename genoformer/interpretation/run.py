"""Attention profiles, attributions and ISM maps of loci, computed in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import numpy as np
import torch

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N
from genoformer.genome.reference import Genome
from genoformer.inference.runtime import evaluating
from genoformer.interpretation.attention import AttentionReader, base_scores, viz
from genoformer.interpretation.gradients import Attribution, gradient_times_input, integrated_gradients
from genoformer.interpretation.ism import Mutagenesis, mutagenesis, substitutions
from genoformer.interpretation.loci import Locus
from genoformer.interpretation.targets import AttributionTarget
from genoformer.models.enformer.model import Enformer
from genoformer.models.heads import SequenceClassifier
from genoformer.models.track_model import one_hot
from genoformer.models.transformer.model import Encoder
from genoformer.scoring.scorers import Scorer
from genoformer.scoring.scores import Floats

Profile = Literal["viz", "cls", "received", "rollout", "entropy"]
PROFILES: dict[str, str] = {
    "viz": "what [CLS] looks at as DNABERT-viz draws it: heads and layers summed, mean over a base's tokens, L2 norm 1",
    "cls": "what [CLS], or the middle bin, looks at: mean over heads and layers",
    "received": "how much each token or bin is looked at by all: mean over heads and layers",
    "rollout": "where what [CLS], or the middle bin, holds at the end comes from, through all layers",
    "entropy": "bits of what each token or bin looks at: mean over heads and layers",
}
Method = Literal["gradient", "integrated"]


def attention_profiles(
    model: Encoder | SequenceClassifier | Enformer,
    places: Sequence[Locus],
    *,
    profile: Profile = "viz",
    layers: Sequence[int] = (-1,),
    heads: Sequence[int] = (),
    query: int | Sequence[int | None] | None = None,
    device: str = "cpu",
    progress: Callable[[int], None] | None = None,
) -> list[Floats]:
    """Return a number for each base of each locus, [L]; `PROFILES` describes the profiles.

    heads: all by default. query: the query token or bin, or one for each locus; [CLS] or the middle bin by default. The length
    of a locus of a long-range model is a multiple of the bin size.
    Raises ConfigError for an unknown profile, for viz with a long-range model, and for sequences that do not fit the model.
    """
    if profile not in PROFILES:
        raise ConfigError(f"profile {profile!r}: allowed are {', '.join(PROFILES)}.")
    if profile == "viz" and isinstance(model, Enformer):
        raise ConfigError("DNABERT-viz is of language models; take cls, received, rollout or entropy of a model of tracks.")
    queries = list(query) if isinstance(query, Sequence) else [query] * len(places)
    found: dict[int, Floats] = {}
    with evaluating(model, device) as ready:
        looked = AttentionReader(ready, layers, heads)
        for numbers in _batches_of_equal_length(places, queries):
            codes = np.stack([places[i].codes for i in numbers])
            for i, of in zip(numbers, _profile(looked, codes, profile, queries[numbers[0]]), strict=True):
                found[i] = of
            if progress is not None:
                progress(len(found))
    return [found[i] for i in range(len(places))]


def _profile(looked: AttentionReader, codes: Codes, profile: Profile, query: int | None) -> Floats:
    length, n = codes.shape[1], looked.n_tokens(codes.shape[1])
    model = looked.model
    asked = query if query is not None else 0 if isinstance(model, Encoder) else n // 2
    if not 0 <= asked < n:
        raise ConfigError(f"query {asked}: the sequences have {n} tokens or bins, from 0.")
    if isinstance(model, Encoder):
        offsets = looked.tokenizer.encode(codes).spans
        offsets = np.pad(offsets, ((0, 0), (0, n - offsets.shape[1]), (0, 0)))
    else:
        edges = np.arange(n + 1) * model.config.bin_size
        offsets = np.broadcast_to(np.stack([edges[:-1], edges[1:]], axis=1), (len(codes), n, 2))
    if profile in ("viz", "cls"):
        rows = looked.rows(codes, asked)
        return viz(rows, offsets, length) if profile == "viz" else base_scores(rows.mean((1, 2)), offsets, length)
    if profile == "rollout":
        return base_scores(looked.rollout(codes, asked), offsets, length)
    of = looked.attention_received(codes) if profile == "received" else looked.entropy(codes)
    return base_scores(of.mean((1, 2)), offsets, length)


def attributions(
    model: Encoder | SequenceClassifier | Enformer,
    places: Sequence[Locus],
    *,
    method: Method = "gradient",
    output: AttributionTarget | None = None,
    n_steps: int = 50,
    device: str = "cpu",
    progress: Callable[[int], None] | None = None,
) -> list[Attribution]:
    """Return the contribution of each base to one output: a class of a fine-tuned model, or a sum of tracks.

    The default output is the first class, or the sum of all tracks. Raises ConfigError for a language model, which has no
    single output, and for an unknown output.
    """
    wanted = output or AttributionTarget()
    found: dict[int, Attribution] = {}
    with evaluating(model, device) as ready:
        for numbers in _batches_of_equal_length(places):
            codes = np.stack([places[i].codes for i in numbers])
            module = wanted.module(ready, codes.shape[1])
            onehot = one_hot(torch.from_numpy(codes)).to(next(ready.parameters()).device)
            some = (
                integrated_gradients(module, onehot, n_steps=n_steps, batch_size=4)
                if method == "integrated"
                else gradient_times_input(module, onehot, batch_size=4)
            )
            for row, i in enumerate(numbers):
                error = None if some.error is None else some.error[row : row + 1]
                part = slice(row, row + 1)
                found[i] = Attribution(some.values[part], some.hypothetical[part], some.output[part], error)
            if progress is not None:
                progress(len(found))
    return [found[i] for i in range(len(places))]


def mutageneses(
    scorer: Scorer, genome: Genome, places: Sequence[Locus], *, progress: Callable[[int], None] | None = None
) -> list[Mutagenesis]:
    """Score every single-base change of each locus on its genome. Raises ConfigError for a sequence without a genome."""
    found = []
    for i, place in enumerate(places):
        if not place.chrom:
            raise ConfigError(f"{place.name} lies on no genome; mutagenesis needs the sequence around: give a BED and --fasta.")
        found.append(mutagenesis(scorer, genome, place.chrom, max(0, place.start), min(place.end, genome.contigs[place.chrom])))
        if progress is not None:
            progress(i + 1)
    return found


def sequence_mutageneses(
    model: SequenceClassifier | Enformer,
    places: Sequence[Locus],
    *,
    output: AttributionTarget | None = None,
    device: str = "cpu",
    progress: Callable[[int], None] | None = None,
) -> list[Mutagenesis]:
    """Return the effect of every single-base change on one output of a model whose input is the sequence of the locus."""
    wanted, found = output or AttributionTarget(), []
    with evaluating(model, device) as ready:
        for i, place in enumerate(places):
            values = substitutions(place.codes, partial(_of, wanted, ready, place.codes))
            found.append(Mutagenesis(place.chrom, place.start, place.codes, [wanted.name(ready)], values[None]))
            if progress is not None:
                progress(i + 1)
    return found


def _of(output: AttributionTarget, model: torch.nn.Module, truth: Codes, codes: Codes) -> Floats:
    return output.of(model, codes, truth)


def letters(codes: Codes, values: Floats) -> Floats:
    """Return a map [L] as logo heights [L, 4] of the observed bases; 0 at an N."""
    return np.where(codes[:, None] == np.arange(N), np.asarray(values)[:, None], 0.0)


def _batches_of_equal_length(places: Sequence[Locus], queries: Sequence[int | None] | None = None) -> list[list[int]]:
    """Return batches of at most 256 indices of loci with equal length and equal query."""
    groups: dict[tuple[int, int | None], list[int]] = {}
    for i, place in enumerate(places):
        groups.setdefault((len(place.codes), queries[i] if queries else None), []).append(i)
    return [numbers[i : i + 256] for numbers in groups.values() for i in range(0, len(numbers), 256)]
