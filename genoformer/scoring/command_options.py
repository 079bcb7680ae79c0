"""Options of the commands that score variants, with their defaults, as the command line and notebooks write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, get_args

from genoformer.annotation import Annotations
from genoformer.annotation.motif_changes import P_VALUE
from genoformer.compute import Compute
from genoformer.compute.settings import Shard, parse_shard
from genoformer.formats.context_table import ContextTable
from genoformer.formats.squashed_scale import SCALES, Scale
from genoformer.formats.track_table import TrackTable
from genoformer.genome.genes import Genes
from genoformer.genome.preflight import fixes_named
from genoformer.genome.region_sources import Regions, region_sources
from genoformer.option_checks import (
    Phases,
    Strand,
    check_choice,
    check_flag,
    check_kind,
    check_names,
    check_number,
    check_tracks,
)
from genoformer.scoring.alignment import Indels
from genoformer.scoring.calibration import Calibration
from genoformer.scoring.parts import PART_LIMITS, PartLimits
from genoformer.scoring.settings import AlleleComparison, Runtime, Tile
from genoformer.scoring.windows import Anchor


@dataclass(frozen=True)
class ScorerOptions:
    """Options of every command that scores variants; where a file is expected, the object that was read from it also works."""

    scores: str | Sequence[str] | None = None  # None: LLR,PLL, SAD,SAR501 for a track model, LOGIT,DIFF for a fine-tuned one
    context: int | None = None  # bases of a window; None: that of the model
    strand: Strand = "both"
    phases: Phases = "one"  # "all": average over the positions of the variant in its token, for language models
    share_windows: bool = False  # for causal language models: nearby variants are read in one window
    tracks: str | Sequence[int] | None = None  # None: all of the head
    targets: str | Path | TrackTable | None = None  # None: the table of the model
    head: str | Sequence[str] | None = None  # names or patterns, several of them except in `calibrate`; None: the only head
    gtf: str | Path | Genes | None = None  # for the scores of genes, such as LOGSED
    shifts: str | Sequence[int] = "0"
    indels: Indels = "realign"
    anchor: Anchor = "grid"
    scale: Scale | None = None  # of a model with a squashed scale; None: "original"; as in docs/borzoi.md
    classes: str | Sequence[str] | None = None  # names of classes; None: all, of two classes the second
    tile: Tile | None = None  # for a fine-tuned model; None: one window, or the mean over `shifts`
    contexts: str | Path | ContextTable | None = None  # for a model with contexts; None: those of its training
    device: str = "auto"  # a GPU if there is one
    precision: str = "float32"
    batch_size: int | None = None
    several_heads: ClassVar[bool] = False  # True: `head` may be several names, or a pattern

    def __post_init__(self) -> None:
        """Raise OptionError for a value of another kind or out of its range."""
        check_names("scores", self.scores, "names of scores")
        check_number("context", self.context, 1, "bases")
        check_choice("strand", self.strand, get_args(Strand))
        check_choice("phases", self.phases, get_args(Phases))
        check_flag("share_windows", self.share_windows)
        check_tracks("tracks", self.tracks)
        check_kind("targets", self.targets, (str, Path, TrackTable), "the path of a table, or a TrackTable")
        if self.several_heads:
            check_names("head", self.head, "names of heads")
        else:
            check_kind("head", self.head, str, "the name of a head")
        check_kind("gtf", self.gtf, (str, Path, Genes), "the path of a GTF or GFF3, or Genes")
        AlleleComparison.parse(self.shifts, self.indels, self.anchor)
        if self.scale is not None:
            check_choice("scale", self.scale, SCALES)
        check_names("classes", self.classes, "names of classes")
        if self.tile is not None:
            check_choice("tile", self.tile, get_args(Tile))
        check_kind("contexts", self.contexts, (str, Path, ContextTable), "the path of a table, or a ContextTable")
        _ = self.runtime  # checks its own options

    @property
    def is_of_each_model(self) -> bool:
        """True if several models are scored each on its own, which is an option of `score`."""
        return False

    @property
    def runtime(self) -> Runtime:
        options = {field.name: getattr(self, field.name) for field in fields(Runtime) if hasattr(self, field.name)}
        return Runtime(**options)


@dataclass(frozen=True)
class ProcessOptions(ScorerOptions):
    """Options of the commands whose parts several processes compute."""

    workers: int | None = None
    threads: int | None = None
    engine: str = "local"
    shard: Shard | str | None = None  # "2/8": compute only part 2 of 8, without output

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.compute  # checks its own options

    @property
    def compute(self) -> Compute:
        return Compute(self.workers, self.threads, self.engine, parse_shard(self.shard))


@dataclass(frozen=True)
class ScoreOptions(ProcessOptions):
    """Options of `genoformer score` and `gf.score`, with their defaults."""

    region: Regions | None = None  # "chr1:1-200,000", 1-based, or the path of a BED, or several
    annotations: Annotations | str | Sequence[str] = ()  # NAME=FILE
    motifs: str | Path | None = None  # adds the motifs that each allele changes
    motif_p: float = P_VALUE  # largest P of a motif hit
    matrix: str | Path | None = None
    calibration: Calibration | str | Path | None = None  # None: the model's own, if it has one
    noise_places: int | None = None  # positions; None: one per 20 records, at most 16; for a small model at least 8
    verify: int = 0  # records
    force: bool = False
    fix: str | Iterable[str] = ()
    part_size: int = PART_LIMITS.records
    each_model: bool = False  # True: several models are scored each on its own, not as an ensemble
    several_heads = True

    def __post_init__(self) -> None:
        super().__post_init__()
        region_sources(self.region)
        if not isinstance(self.annotations, Annotations):
            check_names("annotations", self.annotations, "NAME=FILE or Annotations")
        check_kind("motifs", self.motifs, (str, Path), "the path of a file of motifs")
        check_kind("motif_p", self.motif_p, float, "a number between 0 and 1")
        check_kind("matrix", self.matrix, (str, Path), "the path of a file")
        check_kind("calibration", self.calibration, (str, Path, Calibration), "the path of a file, or a Calibration")
        check_number("noise_places", self.noise_places, 0)
        check_number("verify", self.verify, 0, "records")
        check_number("part_size", self.part_size, 1, "records")
        check_flag("force", self.force)
        check_flag("each_model", self.each_model)
        check_names("fix", self.fix, "names of fixes")
        fixes_named(self.fix)

    @property
    def is_of_each_model(self) -> bool:
        return self.each_model

    @property
    def parts(self) -> PartLimits:
        return PartLimits(records=self.part_size)


@dataclass(frozen=True)
class CalibrateOptions(ProcessOptions):
    """Options of `genoformer calibrate`, with their defaults."""

    region: Regions | None = None  # as in `ScoreOptions`
    part_size: int = PART_LIMITS.records

    def __post_init__(self) -> None:
        super().__post_init__()
        region_sources(self.region)
        check_number("part_size", self.part_size, 1, "records")

    @property
    def parts(self) -> PartLimits:
        return PartLimits(records=self.part_size)


@dataclass(frozen=True)
class TableOptions(ProcessOptions):
    """Options of `genoformer haplotypes` and, besides its own, of `genoformer pairs`, with their defaults."""

    force: bool = False
    fix: str | Iterable[str] = ()
    part_size: int | None = None  # pairs in a part; None: 64
    several_heads = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flag("force", self.force)
        check_names("fix", self.fix, "names of fixes")
        fixes_named(self.fix)
        check_number("part_size", self.part_size, 1, "pairs")

    @property
    def parts(self) -> PartLimits:
        return PART_LIMITS if self.part_size is None else PartLimits(pairs=self.part_size)


@dataclass(frozen=True)
class PairsOptions(TableOptions):
    """Options of `genoformer pairs`, with their defaults."""

    region: Regions | None = None  # as in `ScoreOptions`

    def __post_init__(self) -> None:
        super().__post_init__()
        region_sources(self.region)
