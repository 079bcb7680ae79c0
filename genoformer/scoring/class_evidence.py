"""Variants in windows -> log-odds and values of each class for both alleles, from one model, on each strand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genoformer.genome.codes import Codes, reverse_complement
from genoformer.genome.reference import Genome
from genoformer.inference.class_logits import tokens_differ
from genoformer.inference.runtime import Floats
from genoformer.scoring.score_inputs import AllelePair
from genoformer.scoring.windows import Job
from genoformer.tasks import Task

LogitsOf = Callable[[Any, Codes], Floats]  # (model, codes [B, L]) -> logits [B, C]


@dataclass
class JobEvidence:
    """Evidence of one model for n windows, converted when a score requests it.

    The logits are those of distinct windows, so that equal windows give equal numbers.
    """

    task: Task
    logits: Floats  # [U, C]
    rows: NDArray[np.int64]  # [strands, 2, n]: the row in `logits` of REF and ALT
    unread: NDArray[np.bool_]  # [strands, n]: True where the alleles differ and the model reads the same tokens of both

    @cached_property
    def log_odds(self) -> list[AllelePair]:
        return self._pairs(self.task.log_odds(self.logits))

    @cached_property
    def values(self) -> list[AllelePair]:
        return self._pairs(self.task.values(torch.from_numpy(self.logits.astype(np.float64))).double().numpy())

    def _pairs(self, values: NDArray[np.float64]) -> list[AllelePair]:
        return [AllelePair(values[ref], values[alt]) for ref, alt in self.rows]


class ClassPredictor:
    """One model over a genome: the logits of both alleles in their windows.

    Equal windows are predicted once: variants of one window share its reference, and an allele equal to the reference gets its
    logits. The windows are sorted by their bases, so that a batch does not depend on which allele is called REF.
    """

    def __init__(self, model: Any, genome: Genome, length: int, *, both_strands: bool, logits_of: LogitsOf) -> None:
        self.model, self.genome, self.length = model, genome, length
        self.both_strands, self.logits_of = both_strands, logits_of

    def evidence(self, jobs: Sequence[Job]) -> JobEvidence:
        """Return the evidence for both alleles of each job, in the order of the jobs; a job has one alternative."""
        starts = {place: i for i, place in enumerate(dict.fromkeys((job.chrom, job.start) for job in jobs))}
        references = np.stack([self.genome.window(chrom, start, self.length) for chrom, start in starts])
        alternatives = np.stack([job.alternatives[0] for job in jobs])
        which = np.array([starts[job.chrom, job.start] for job in jobs], dtype=np.int64)
        codes = np.concatenate([references, alternatives])
        strands = [codes, reverse_complement(codes)] if self.both_strands else [codes]
        windows, rows = np.unique(np.concatenate(strands), axis=0, return_inverse=True)
        rows = rows.reshape(len(strands), len(codes))
        pairs = np.stack([rows[:, which], rows[:, len(references) :]], axis=1)
        return JobEvidence(self.model.task, self.logits_of(self.model, windows), pairs, _unread(self.model, windows, pairs))


class PlainPredictor(ClassPredictor):
    """The reference implementation: each allele of each job is predicted alone, on each strand."""

    def evidence(self, jobs: Sequence[Job]) -> JobEvidence:
        windows = []
        for backward in (False, True) if self.both_strands else (False,):
            for is_alternative in (False, True):
                for job in jobs:
                    window = self.genome.window(job.chrom, job.start, self.length)
                    codes = job.alternatives[0] if is_alternative else window
                    windows.append(reverse_complement(codes) if backward else codes)
        logits = np.stack([self.logits_of(self.model, codes[None])[0] for codes in windows])
        pairs = np.arange(len(logits)).reshape(-1, 2, len(jobs))
        return JobEvidence(self.model.task, logits, pairs, _unread(self.model, np.stack(windows), pairs))


def _unread(model: Any, windows: Codes, pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return True where the alleles of a pair [strands, 2, n] of windows differ and the model reads the same tokens of both."""
    ref, alt = windows[pairs[:, 0].ravel()], windows[pairs[:, 1].ravel()]
    unread = (ref != alt).any(axis=1) & ~tokens_differ(model, ref, alt)
    return np.asarray(unread.reshape(len(pairs), -1))
