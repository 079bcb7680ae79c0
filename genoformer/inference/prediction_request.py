"""PredictionRequest: what `predict` computes; PredictionFiles: where it is written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from genoformer import __version__
from genoformer.compute import IN_PROCESS, THREADS, Compute, resumed_threads
from genoformer.errors import OptionError
from genoformer.extras import require_parquet
from genoformer.formats.bed import Intervals
from genoformer.formats.context_table import ContextTable
from genoformer.formats.squashed_scale import TRACK_SCALES, Scale
from genoformer.formats.track_table import TrackTable
from genoformer.genome.reference import Genome
from genoformer.genome.region_sources import Regions, region_sources
from genoformer.inference.runtime import CPU, Runtime, n_cores
from genoformer.models.base import Model
from genoformer.option_checks import Phases, Strand, check_choice, check_kind, check_names, check_number, check_tracks

ModelName = str | Path | Model
OF_TRACKS = ("tracks", "targets", "head", "scale", "contexts")  # options that need a track model
OF_CLASSES = ("data", "classes", "context", "step", "threshold")  # options that need a fine-tuned model
OF_BASES = ("track", "stride", "phases")  # options that need a language model
OF_REGIONS = ("region", "bed", "contigs", "columns", "step", "threshold")  # options without a meaning for a file of sequences


@dataclass(frozen=True)
class PredictionRequest:
    """Predictions of a track model, a fine-tuned or a language model in regions, or of a fine-tuned model for sequences.

    Regions are one of `region`, `bed` and `contigs`, or the whole genome; sequences are in `data`.
    """

    fasta: str | Path | Genome | None
    model: ModelName | Sequence[ModelName]  # several language models: the mean of their tracks
    region: Regions | None = None  # chr1:1-200,000, 1-based as in samtools, or the path of a BED, or several
    bed: str | Path | None = None
    columns: str | None = None  # columns of the BED, as in --columns
    contigs: Sequence[str] = ()  # names; one text may hold several, separated by commas
    tracks: str | Sequence[int] | None = None  # numbers, names or patterns: 5, 0-10, CAGE, *liver*; None: all of the head
    targets: str | Path | TrackTable | None = None  # table of the head's tracks, for a model without its own
    head: str | Sequence[str] | None = None  # names or patterns; None: the only head
    strand: Strand | None = None  # None: forward for a track model, both for a language model, as trained for a fine-tuned one
    scale: Scale | None = None  # of a model with a squashed scale; None: "original"; "model": the values that it predicts
    data: str | Path | None = None  # sequences: CSV, TSV, FASTA, or BED with `fasta`
    classes: Sequence[str] = ()  # names as in `contigs`; (): all, but in regions of two classes the second
    track: str | Sequence[str] = ()  # of a language model: entropy, information, logprob, constraint; several as in `contigs`
    stride: int | None = None  # bases of a window at this distance are masked together; None: one base in each pass
    phases: Phases | None = None  # "all": mean over the window starts that put a base at each position of its token
    context: int | None = None  # bases of a window of a fine-tuned or language model; None: those of the model
    step: int | None = None  # bases from window to window, and of a bin; None: half of the window
    threshold: float | None = None  # least value of a call; None: 0.5 for probabilities
    part_size: int | None = None  # windows, sequences or bases predicted together; None: chosen automatically
    contexts: str | Path | ContextTable | None = None  # for a model with contexts; None: those of its training
    runtime: Runtime = CPU
    compute: Compute = IN_PROCESS

    def __post_init__(self) -> None:
        """Raise OptionError for a value of another kind or out of its range."""
        if isinstance(self.model, list | tuple):
            if not self.model:
                raise OptionError("model", "is empty, expected a model; give one.")
            object.__setattr__(self, "model", self.model[0] if len(self.model) == 1 else tuple(self.model))
        region_sources(self.region)
        check_kind("bed", self.bed, (str, Path), "the path of a file")
        check_kind("columns", self.columns, str, "text such as 'chrom=1,start=2,end=3'")
        check_names("contigs", self.contigs, "names of contigs")
        check_tracks("tracks", self.tracks)
        check_kind("targets", self.targets, (str, Path, TrackTable), "the path of a table, or a TrackTable")
        check_names("head", self.head, "names of heads")
        if self.strand is not None:
            check_choice("strand", self.strand, get_args(Strand))
        if self.scale is not None:
            check_choice("scale", self.scale, TRACK_SCALES)
        check_kind("contexts", self.contexts, (str, Path, ContextTable), "the path of a table, or a ContextTable")
        check_names("classes", self.classes, "names of classes")
        check_names("track", self.track, "names of tracks of a language model")
        check_number("stride", self.stride, 1, "bases")
        if self.phases is not None:
            check_choice("phases", self.phases, get_args(Phases))
        check_number("context", self.context, 1, "bases")
        check_number("part_size", self.part_size, 1, "windows")

    @property
    def both_strands(self) -> bool | None:
        """True for the mean of both strands; None for the default of the model."""
        return None if self.strand is None else self.strand == "both"

    def threads_of(self, output: Path | None) -> int:
        """Return the CPU threads of each process; those of an interrupted run of the output, if there is one."""
        return self.compute.n_threads(resumed_threads(output), n_cores())

    @property
    def members(self) -> tuple[ModelName, ...]:
        """The models, of which a track model or a fine-tuned model is alone."""
        return self.model if isinstance(self.model, tuple) else (cast(ModelName, self.model),)

    @property
    def contig_names(self) -> list[str]:
        names = _names(self.contigs)
        if self.contigs and not names:
            raise OptionError("contigs", "names no contigs; name some, or leave it out for the whole genome.")
        return names

    @property
    def class_names(self) -> list[str]:
        names = _names(self.classes)
        if self.classes and not names:
            raise OptionError("classes", "names no classes; name some, or leave it out.")
        return names

    @property
    def track_names(self) -> list[str]:
        names = _names(self.track)
        if self.track and not names:
            raise OptionError("track", "names no tracks; name some, or leave it out.")
        return names

    def refuse(self, options: Sequence[str], reason: str) -> None:
        """Raise OptionError if one of these options is set; `reason` completes "option NAME ..."."""
        empty: tuple[Any, ...] = (None, ())
        for name in options:
            if getattr(self, name) not in empty:
                raise OptionError(name, f"{reason}; leave it out.")


@dataclass(frozen=True)
class PredictionFiles:
    """Output of a prediction, and what is drawn in it."""

    output: Path  # format by suffix; a folder for a bigWig per track or class
    calls: Path | None = None  # BED of the windows of a fine-tuned model at or above the threshold, merged
    gtf: str | Path | None = None  # genes above the tracks of a figure
    elements: Sequence[str] = ()  # [NAME=]BED, drawn there, too
    force: bool = False  # replace existing outputs

    def __post_init__(self) -> None:
        require_parquet(self.output)  # fails before the model is loaded


def request_fingerprint(
    request: PredictionRequest, genome: Genome, intervals: Mapping[str, Intervals], n_threads: int
) -> dict[str, str]:
    """Return what the predictions in intervals depend on besides the model and its outputs, for the resume folder."""
    regions = hashlib.sha256()
    for chrom, rows in intervals.items():
        regions.update(chrom.encode() + b"\0" + rows.astype("<i8").tobytes())
    return {"FASTA": genome.signature, "regions": regions.hexdigest()} | runtime_fingerprint(request, n_threads)


def runtime_fingerprint(request: PredictionRequest, n_threads: int) -> dict[str, str]:
    """Return what the last digits of predictions depend on, for the resume folder."""
    runtime = request.runtime
    return {
        "strands": str(request.both_strands),
        **runtime.fingerprint(),
        THREADS: str(n_threads) if runtime.device == "cpu" else "any",
        "version": __version__,
    }


def _names(texts: str | Sequence[str]) -> list[str]:
    texts = [texts] if isinstance(texts, str) else texts
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]
