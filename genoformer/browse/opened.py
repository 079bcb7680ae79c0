"""BrowseRequest -> the genome, the model on its device, its scorer, genes, elements and listed variants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from genoformer.annotation.genes import read_gene_map
from genoformer.browse.request import BrowseRequest
from genoformer.formats.context_table import open_contexts
from genoformer.formats.remote import local_copy
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.inference.runtime import evaluating
from genoformer.inference.track_prediction import head_tracks
from genoformer.interpretation.explain import Printed
from genoformer.models import registry
from genoformer.models.base import SCORES_VARIANTS, Classifies, has
from genoformer.models.folders import cautions
from genoformer.models.takes_contexts import with_contexts
from genoformer.report.cards import short
from genoformer.report.landmarks import Landmarks
from genoformer.report.meant import Meant
from genoformer.report.remade import remade
from genoformer.report.scored import FIXED, Scored, read_scored
from genoformer.scoring.command_options import ScorerOptions
from genoformer.scoring.options import parse_options
from genoformer.scoring.scored_heads import scored_heads
from genoformer.scoring.scorers import make_scorer
from genoformer.scoring.scores import SCORES
from genoformer.scoring.scoring_choices import read_scoring
from genoformer.scoring.settings import Scoring, TrackOptions
from genoformer.scoring.track_scorer import TrackScorer
from genoformer.scoring.variant_scorer import VariantScorer
from genoformer.tables import rounded
from genoformer.writers.scored_tables import scored_vcf


class Listed(NamedTuple):
    """A variant of the scored file."""

    variant: Variant
    name: str  # ID of the record
    score: str  # name and value of its score
    printed: Printed | None

    def data(self) -> dict[str, str]:
        """Return the variant as the page lists it."""
        place = f"{self.variant.chrom}:{self.variant.pos}:{self.variant.ref}:{self.variant.alt}"
        shown = f"{self.variant.chrom}:{self.variant.pos:,} {short(self.variant.ref)}>{short(self.variant.alt)}"
        return {"place": place, "shown": shown, "id": "" if self.name == "." else self.name, "score": self.score}


@dataclass(frozen=True)
class Opened:
    """Files and model of a request, ready to answer queries."""

    request: BrowseRequest
    genome: Genome
    model: Any
    scorer: VariantScorer
    landmarks: Landmarks
    listed: tuple[Listed, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_classifier(self) -> bool:
        """True for a fine-tuned model."""
        return has(self.model, Classifies)

    def scorer_of(self, tracks: str) -> VariantScorer:
        """Return the scorer, of the tracks that a text names alone. Raises ConfigError for tracks that are not there."""
        scorer = self.scorer
        if not tracks or not isinstance(scorer, TrackScorer):
            return scorer
        chosen = head_tracks(scored_heads(self.model), scorer.head, scorer.targets).choose(tracks)
        options = TrackOptions(
            scorer.head,
            scorer.targets,
            chosen,
            settings=scorer.settings,
            scale="original" if scorer.scale is None else scorer.scale,
        )
        settings = Scoring((self.model,), tuple(scorer.scores), scorer.window, scorer.both_strands, options)
        return make_scorer(self.genome, settings)


@contextmanager
def open_model(request: BrowseRequest) -> Iterator[Opened]:
    """Open the files of a request and load its model, which is on its device in the block.

    Raises the errors of `registry.load`, `read_scored`, `read_gene_map` and `read_landmarks`, and OptionError for options that
    the model does not have.
    """
    with Genome(request.fasta) as genome:
        genes = read_gene_map(request.gtf) if request.gtf is not None else None
        landmarks = Landmarks.read(genome, genes, request.elements)
        loaded = with_contexts(registry.load(request.model, SCORES_VARIANTS), open_contexts(request.contexts))
        with evaluating(loaded, request.device) as model:
            notes = [*genome.notes, *cautions(request.model, genome.contigs), *(genes.notes if genes is not None else ())]
            opened = _opened(request, genome, model, landmarks)
            yield replace(opened, warnings=(*(note.removeprefix("caution: ") for note in notes), *opened.warnings))


def _opened(request: BrowseRequest, genome: Genome, model: Any, landmarks: Landmarks) -> Opened:
    """Return the scorer of the options, with the defaults of `score`, or of the header of the scored file."""
    if request.scored is None:
        names = ("head", "targets", "strand", "scale")
        options = parse_options(ScorerOptions, {name: getattr(request, name) for name in names}, [model])
        return Opened(request, genome, model, make_scorer(genome, read_scoring(genome, [model], options)), landmarks)
    meanings = {name: score.meaning for name, score in SCORES.items()}
    with local_copy(Path(request.scored)) as copy, scored_vcf(copy, meanings) as vcf:
        scored = read_scored(vcf)
        made = remade(scored.options, dict(scored.made_by).get("model", ""), [model], str(request.model), genome)
        opened = Opened(request, genome, model, made.scorer, landmarks, warnings=made.remarks)
        return replace(opened, listed=tuple(_listed(opened, scored, vcf, made.same_models)))


def _listed(opened: Opened, scored: Scored, path: Path, same_models: bool) -> Iterator[Listed]:
    """Yield the strongest variants of a scored file, one at each position, that the genome determines."""
    keys = [column.key for column in scored.scores]
    fix = len(FIXED) + keys.index("GF_FIX") if "GF_FIX" in keys else None
    meant = Meant(path, scored.rows, fix, opened.genome)
    places: set[tuple[str, int]] = set()
    for row, which in scored.strongest(len(scored.rows)).rows:
        if len(places) == opened.request.top:
            return
        variant = meant.variant(row, row[fix] if fix is not None else None)
        place = (row[0], row[1])
        if variant is None or place in places or not set(variant.ref + variant.alt) <= set("ACGT"):
            continue
        places.add(place)
        name, value = scored.scores[which].name, row[len(FIXED) + which]
        suffixes = (scored.column_index(word, which) for word in ("TRACK", "CLASS"))
        output = next((row[column] for column in suffixes if column is not None), None)
        score = SCORES.get(name)
        printed = None if score is None else Printed(score, value, output, same_models)
        yield Listed(variant, row[2], f"{name} {rounded(value)}", printed)
