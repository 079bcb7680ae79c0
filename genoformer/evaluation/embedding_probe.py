"""Labelled sequences + EmbeddingRequest -> vectors -> a linear probe of the labels for each layer."""

from __future__ import annotations

from typing import Any, NamedTuple

from genoformer.datasets.sequence_rows import LabelledSequences
from genoformer.datasets.targets import Targets, make_targets, targets_for
from genoformer.errors import OptionError
from genoformer.evaluation.probe import check_probe, probe
from genoformer.inference.embed import make_embedder
from genoformer.inference.embedder import EmbeddingRequest
from genoformer.progress import ProgressCallback
from genoformer.tasks import Goal


class ProbedEmbeddings(NamedTuple):
    """Notes on the run, and for each layer the result of `probe` with "layer"."""

    notes: list[str]
    probes: list[dict[str, Any]]


def probe_embeddings(
    data: LabelledSequences,
    request: EmbeddingRequest,
    task: Goal = "classify",
    *,
    valid: LabelledSequences | None = None,
    progress: ProgressCallback = None,
) -> ProbedEmbeddings:
    """Embed sequences as `embed_sequences` does, and fit a linear model of their labels to the vectors of each layer.

    valid: sequences on which the probe is tested, instead of a held-out fifth of `data`.

    Raises ConfigError, before anything is computed, for labels that are too few or do not fit.
    """
    if request.pooling == "tokens":
        raise OptionError("pooling", "is tokens, expected one vector per sequence for a probe; give mean, max or cls.")
    embedder = make_embedder(request)
    embedder.check(data)
    targets, valid_targets = _targets(task, data, valid)
    embeddings = embedder.embed(data, progress)
    if request.compute.shard is not None:
        return ProbedEmbeddings(embeddings.notes, [])
    assert embeddings.values is not None
    notes, valid_values = embeddings.notes, None
    if valid is not None:
        valid_values = embedder.vectors(valid.sequences, progress, "valid, ")
        notes += embedder.summary(valid)
    probes = []
    for i, layer in enumerate(embedder.layers):
        held_out = None if valid_values is None or valid_targets is None else (valid_values[:, i], valid_targets.values)
        metrics = probe(embeddings.values[:, i], targets.values, targets.task, valid=held_out)
        probes.append({"layer": layer, **metrics})
    return ProbedEmbeddings(notes, probes)


def _targets(task: Goal, data: LabelledSequences, valid: LabelledSequences | None) -> tuple[Targets, Targets | None]:
    """Return the targets of the probe, and those of the validation data."""
    targets = make_targets(data.labels, task, columns=data.columns)
    check_probe(targets.values, targets.task, held_out=valid is None)
    if valid is None:
        return targets, None
    return targets, targets_for(targets.task, valid.labels, columns=valid.columns)
