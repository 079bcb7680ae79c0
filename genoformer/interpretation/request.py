"""Requests of `interpret`: loci, model, and the options of each method; the command line and the API build the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from genoformer.errors import ConfigError
from genoformer.scoring.alignment import Indels
from genoformer.scoring.settings import AlleleComparison, Tile
from genoformer.scoring.windows import Anchor

Profile = Literal["viz", "cls", "received", "rollout", "entropy"]
Method = Literal["gradient", "integrated"]


@dataclass(frozen=True)
class InterpretationRequest:
    """The loci to map, the model, the output folder and the figures; shared by all methods."""

    data: Path  # BED, VCF or FASTA
    model: str | Path
    out: Path  # output folder
    fasta: Path | None = None  # genome of a BED or VCF
    length: int | None = None  # bases around the middle of a region or variant
    columns: str | None = None  # columns of a BED, as in --columns
    fix: Sequence[str] = ()  # fixes of a VCF, as in `score`
    force: bool = False  # also accept contigs that do not match the genome, as in `score`
    gtf: Path | None = None  # genes to draw above the figures
    elements: Sequence[str] = ()  # BED files, or NAME=FILE, to draw above the figures
    n_figures: int = 10  # number of figures, of the first loci
    sanity_checks: bool = False  # check the maps of the loci with figures
    device: str = "cpu"


@dataclass(frozen=True)
class AttentionOptions:
    """Options of attention maps; the heads are all heads by default, the query is [CLS] or the middle bin."""

    profile: Profile = "viz"
    layers: Sequence[int] = (-1,)  # numbers from 0; negative numbers count from the last layer
    heads: Sequence[int] = ()
    query: int | str | None = None  # number of a token or bin; "tss": the bin of the TSS nearest to the middle of a locus


@dataclass(frozen=True)
class IsmOptions:
    """Options of ISM maps: the score of each change, as in `score`, or the logit of a class for the sequence of each locus."""

    score: str | None = None  # by default LLR, SAD for a track model; for a fine-tuned model the logit of a class
    tracks: str | None = None  # tracks to sum, by number, name or pattern; by default all
    head: str | None = None
    output: str | None = None  # class of a fine-tuned model; by default the last
    strand: Literal["both", "forward"] = "both"
    context: int | None = None  # bases of a window; by default those of the model
    shifts: str | Sequence[int] = "0"  # of the windows, in bases; scores are averaged over them
    indels: Indels = "realign"
    anchor: Anchor = "grid"
    tile: Tile | None = None  # for a fine-tuned model: combine several windows; None: one window, or the mean over `shifts`

    @property
    def windows(self) -> AlleleComparison:
        """Windows of a track model, and comparison of the alleles. Raises ConfigError for shifts that are not numbers."""
        try:
            shifts = tuple(map(int, self.shifts.split(",") if isinstance(self.shifts, str) else self.shifts))
        except ValueError as error:
            raise ConfigError(f"--shifts {self.shifts}: give whole numbers and commas, such as -1,0,1.") from error
        return AlleleComparison(shifts=shifts, indels=self.indels, anchor=self.anchor)


@dataclass(frozen=True)
class AttributionOptions:
    """Options of attribution maps: a class of a fine-tuned model, or a sum of tracks."""

    method: Method = "gradient"
    output: str | None = None  # class of a fine-tuned model; by default the last
    tracks: str | None = None  # tracks to sum; by default all
    head: str | None = None
    n_steps: int = 50  # steps of integrated gradients; at 50 the sums of most maps are within 5 % of the output


@dataclass(frozen=True)
class MotifOptions:
    """Searches for motifs in the maps; by default none."""

    negative: Path | None = None  # background sequences of DNABERT-viz's search
    min_fold: float = 0.0  # threshold of DNABERT-viz's search as a multiple of the minimum; 0: only the mean
    modisco: bool = False  # search with TF-MoDISco
    known: Path | None = None  # motifs to match the patterns of TF-MoDISco, or the filters, with


NO_MOTIFS = MotifOptions()
