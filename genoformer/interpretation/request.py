"""Requests of `interpret`: loci, model, and the options of each method; the command line and the API build the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from genoformer.compute import IN_PROCESS, Compute
from genoformer.errors import OptionError
from genoformer.formats.context_table import ContextTable
from genoformer.formats.squashed_scale import SCALES, Scale
from genoformer.formats.track_table import TrackTable
from genoformer.genome.reference import Genome
from genoformer.genome.region_sources import Regions, region_sources
from genoformer.genome.variant_input import VariantSource
from genoformer.inference.runtime import resolve_device
from genoformer.models.base import Model
from genoformer.option_checks import Strand, check_choice, check_flag, check_kind, check_number, check_tracks, whole_numbers
from genoformer.scoring.alignment import Indels
from genoformer.scoring.settings import AlleleComparison, Tile
from genoformer.scoring.windows import Anchor

if TYPE_CHECKING:
    from genoformer.interpretation.loci import Locus

Profile = Literal["viz", "cls", "received", "rollout", "entropy"]
Method = Literal["gradient", "integrated"]
N_STEPS = 50  # steps of integrated gradients, with which the sums of most maps are within 5 % of the output


@dataclass(frozen=True)
class InterpretationRequest:
    """The loci to map, the model, the output folder and the figures; shared by all methods.

    Raises OptionError for a value of another kind or out of its range.
    """

    data: VariantSource | Sequence[Locus] | None  # BED, FASTA, variants as in `score`, or loci with their sequences
    model: str | Path | Model
    out: Path | None = None  # output folder; None: only for maps that are returned and not written
    fasta: Path | Genome | None = None  # genome of regions or variants
    region: Regions | None = None  # regions to map if there are no data; of variants, only those whose REF overlaps one
    length: int | None = None  # bases around the middle of a region or variant
    columns: str | None = None  # columns of a BED, as in --columns
    fix: Sequence[str] = ()  # fixes of a VCF, as in `score`
    force: bool = False  # also accept contigs that do not match the genome, as in `score`
    gtf: Path | None = None  # genes to draw above the figures
    elements: Sequence[str] = ()  # BED files, or NAME=FILE, to draw above the figures
    n_figures: int = 10  # number of figures, of the first loci
    sanity_checks: bool = False  # check the maps of the loci with figures
    device: str = "auto"  # a GPU if there is one
    contexts: Path | ContextTable | None = None  # for a model with contexts; None: those of its training
    compute: Compute = IN_PROCESS  # of ISM

    def __post_init__(self) -> None:
        region_sources(self.region)
        check_kind("contexts", self.contexts, (str, Path, ContextTable), "the path of a table, or a ContextTable")
        check_number("length", self.length, 1, "bases")
        check_number("n_figures", self.n_figures, 0)
        check_flag("force", self.force)
        check_flag("sanity_checks", self.sanity_checks)
        check_kind("device", self.device, str, "auto, or the name of a device such as cpu or cuda:0")
        object.__setattr__(self, "device", resolve_device(self.device))

    @property
    def folder(self) -> Path:
        """Output folder. Raises OptionError without one."""
        if self.out is None:
            raise OptionError("out", "is None, expected the folder of the maps; name one.")
        return self.out


@dataclass(frozen=True)
class AttentionOptions:
    """Options of attention maps; the heads are all heads by default, the query is [CLS] or the middle bin.

    profile: None is viz, and cls for a track model, which has no [CLS] to project from.

    Raises OptionError for an unknown profile, and for layers and heads that are not whole numbers.
    """

    profile: Profile | None = None
    layers: Sequence[int] = (-1,)  # numbers from 0; negative numbers count from the last layer
    heads: Sequence[int] = ()
    query: int | str | None = None  # number of a token or bin; "tss": the bin of the TSS nearest to the middle of a locus
    context: int | None = None  # bases that a track model reads around a region; None: those of the model

    def __post_init__(self) -> None:
        check_choice("profile", self.profile or "viz", get_args(Profile))
        whole_numbers("layers", self.layers, "0,5,-1")
        whole_numbers("heads", self.heads or (0,), "0,3")
        check_number("context", self.context, 1, "bases")
        if self.query != "tss":
            check_kind("query", self.query, int, "the number of a token or bin, or tss with genes")


@dataclass(frozen=True)
class IsmOptions:
    """Options of ISM maps: the score of each change, as in `score`, or the logit of a class for the sequence of each locus.

    Raises OptionError for a value of another kind or out of its range.
    """

    score: str | None = None  # by default LLR (BPE: PLL), SAD for a track model; for a fine-tuned model the logit of a class
    tracks: str | Sequence[int] | None = None  # tracks to sum, by number, name or pattern; by default all
    targets: str | Path | TrackTable | None = None  # table of the tracks; None: that of the model
    head: str | None = None
    output: str | None = None  # class of a fine-tuned model; by default the last
    strand: Strand | None = None  # None: both; for the logit of a class, the strands of its training
    context: int | None = None  # bases of a window; by default those of the model
    shifts: str | Sequence[int] = "0"  # of the windows, in bases; scores are averaged over them
    indels: Indels = "realign"
    anchor: Anchor = "grid"
    scale: Scale | None = None  # of a model with a squashed scale; None: "original"; as in docs/borzoi.md
    tile: Tile | None = None  # for a fine-tuned model: combine several windows; None: one window, or the mean over `shifts`

    def __post_init__(self) -> None:
        check_kind("score", self.score, str, "the name of a score")
        check_tracks("tracks", self.tracks)
        check_kind("targets", self.targets, (str, Path, TrackTable), "the path of a table, or a TrackTable")
        check_kind("head", self.head, str, "the name of a head")
        check_kind("output", self.output, str, "the name of a class")
        if self.strand is not None:
            check_choice("strand", self.strand, ("both", "forward"))
        check_number("context", self.context, 1, "bases")
        _ = self.windows  # checks its own options
        if self.scale is not None:
            check_choice("scale", self.scale, SCALES)
        if self.tile is not None:
            check_choice("tile", self.tile, get_args(Tile))

    @property
    def windows(self) -> AlleleComparison:
        """Windows of a track model, and comparison of the alleles."""
        return AlleleComparison.parse(self.shifts, self.indels, self.anchor)

    @property
    def changed_windows(self) -> list[str]:
        """Names of the options of the windows of a track model that are not the defaults."""
        return [name for name, value in self.windows._asdict().items() if value != AlleleComparison._field_defaults[name]]


@dataclass(frozen=True)
class AttributionOptions:
    """Options of attribution maps: a class of a fine-tuned model, or a sum of tracks.

    Raises OptionError for an unknown method, and for steps without integrated gradients.
    """

    method: Method = "gradient"
    output: str | None = None  # class of a fine-tuned model; by default the last
    tracks: str | Sequence[int] | None = None  # tracks to sum; by default all
    head: str | None = None
    context: int | None = None  # bases that a track model reads around a region; None: those of the model
    bins: str | None = (
        None  # to sum: "region" or an interval such as chr20:1,050,001-1,050,200; None or "all": all that it predicts
    )
    gene: str | None = None  # sum the bins of the exons of a gene of `gtf`
    n_steps: int | None = None  # steps of integrated gradients; None: N_STEPS

    def __post_init__(self) -> None:
        check_choice("method", self.method, get_args(Method))
        check_kind("output", self.output, str, "the name of a class")
        check_tracks("tracks", self.tracks)
        check_number("context", self.context, 1, "bases")
        check_kind("bins", self.bins, str, "all, region, or an interval such as chr20:1,050,001-1,050,200")
        check_kind("gene", self.gene, str, "the name of a gene")
        check_number("n_steps", self.n_steps, 2)
        if self.n_steps is not None and self.method != "integrated":
            raise OptionError("n_steps", f"needs the method integrated, found {self.method}; leave it out, or change it.")


@dataclass(frozen=True)
class MotifOptions:
    """Searches for motifs in the maps; by default none."""

    negative: Path | None = None  # background sequences of DNABERT-viz's search
    min_fold: float = 0.0  # threshold of DNABERT-viz's search as a multiple of the minimum; 0: only the mean
    modisco: bool = False  # search with TF-MoDISco
    known: Path | None = None  # motifs to match the patterns of TF-MoDISco, or the filters, with


NO_MOTIFS = MotifOptions()


def build_request(options: Mapping[str, Any], *kinds: type) -> tuple[InterpretationRequest, list[Any]]:
    """Return a request and the options of a method, each an object of `kinds`, from all options by name.

    Raises TypeError for an unknown option.

    >>> request, (options,) = build_request({"data": Path("a.fa"), "model": "demo", "profile": "cls"}, AttentionOptions)
    >>> request.model, options.profile
    ('demo', 'cls')
    """
    others = dict(options)
    parts = [kind(**{field.name: others.pop(field.name) for field in fields(kind) if field.name in others}) for kind in kinds]
    return InterpretationRequest(**others), parts
