"""ISM of loci: request -> the score of every single-base change, or its effect on a class, with figures and motifs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from genoformer.compute import reused_note
from genoformer.errors import OptionError
from genoformer.formats.track_table import open_targets
from genoformer.genome.reference import Genome
from genoformer.inference.runtime import Floats, evaluating
from genoformer.interpretation import figures
from genoformer.interpretation.input_windows import input_windows
from genoformer.interpretation.ism import Mutagenesis, mutageneses, sequence_mutageneses
from genoformer.interpretation.ism_parts import open_map_run
from genoformer.interpretation.loci import Locus
from genoformer.interpretation.motif_search import find_motifs
from genoformer.interpretation.request import NO_MOTIFS, InterpretationRequest, IsmOptions, MotifOptions
from genoformer.interpretation.sanity_checks import check_loci
from genoformer.interpretation.session import Result, Session, join_notes, merge, open_session
from genoformer.interpretation.targets import AttributionTarget, choose_target
from genoformer.interpretation.variant_scores import VARIANTS, describe_windows, write_variant_scores
from genoformer.models.base import Classifies, PredictsTracks, has
from genoformer.progress import ProgressCallback, Stage
from genoformer.scoring.scorers import default_scores, open_scorer
from genoformer.scoring.scores import parse_scores
from genoformer.scoring.scoring_choices import read_score_genes
from genoformer.scoring.settings import ClassOptions, Runtime, Scoring, TrackOptions


@dataclass(frozen=True)
class Ism:
    """ISM of one model: the score of each change, or without `scoring` the effect on the target."""

    target: AttributionTarget
    genome: Genome
    scoring: Scoring | None
    device: str = "cpu"
    others: tuple[Any, ...] = ()  # the other members of an ensemble, over which the effects are averaged

    @contextmanager
    def reader(self, model: Any, progress: ProgressCallback = None) -> Iterator[Callable[[Locus], Mutagenesis]]:
        """Yield the function from a locus to its map, the sum over tracks, of this model or of a copy with other weights.

        progress: receives the finished bases of each locus; without `scoring` it is not called.
        """
        models, scoring = (model, *self.others), self.scoring
        if scoring is None:
            with ExitStack() as stack:
                ready = [stack.enter_context(evaluating(one, self.device)) for one in models]
                yield lambda locus: _mean(
                    [sequence_mutageneses(one, [locus], output=self.target, device=self.device)[0] for one in ready]
                )
            return
        name = scoring.names if scoring.classes is None else f"{scoring.names} of {self.target.name(model)}"
        with open_scorer(self.genome, replace(scoring, models=models), Runtime(self.device)) as scorer:
            yield lambda locus: mutageneses(scorer, self.genome, [locus], bases=progress)[0].summed(name)

    def counts_bases(self, loci: Sequence[Locus]) -> bool:
        """Return True if the steps of `maps` are bases: those of an only locus."""
        return len(loci) == 1 and self.scoring is not None

    def maps(self, model: Any, loci: Sequence[Locus], progress: ProgressCallback = None) -> list[Mutagenesis]:
        """Return one map of each locus, the sum over tracks, of this model or of a copy of it with other weights."""
        of_bases = progress if self.counts_bases(loci) else None
        stage, maps = Stage(None if of_bases else progress, "ism", len(loci)), []
        with self.reader(model, of_bases) as read:
            for locus in loci:
                maps.append(read(locus))
                stage.add(1)
        return maps


def _mean(maps: Sequence[Mutagenesis]) -> Mutagenesis:
    """Return the mean of the maps of one locus over the members of an ensemble."""
    if len(maps) == 1:
        return maps[0]
    return maps[0]._replace(values=np.mean([one.values for one in maps], axis=0))


def make_ism(model: Any, genome: Genome, options: IsmOptions, *, gtf: Path | None = None, device: str = "cpu") -> Ism:
    """Return the ISM that options describe for a model. gtf: genes for scores of genes.

    Raises ConfigError for options that the model does not have.
    """
    table = open_targets(options.targets)
    target = choose_target(model, output=options.output, tracks=options.tracks, head=options.head, table=table)
    if has(model, Classifies):
        return Ism(target, genome, _class_scoring(model, target, options), device)
    if options.tile is not None:
        raise OptionError("tile", "needs a fine-tuned model; leave it out, or choose another model.")
    scores = parse_scores(options.score or ("SAD" if has(model, PredictsTracks) else default_scores(model)[0].name))
    of_tracks = None
    if has(model, PredictsTracks):
        with_genes = gtf is not None and any(score.input.per_gene for score in scores)
        of_tracks = TrackOptions(
            target.head,
            targets=table or model.targets.get(target.head),
            tracks=target.tracks,
            genes=read_score_genes(gtf, genome, scores) if with_genes else None,
            settings=options.windows,
            scale=options.scale or "original",
        )
    elif changed := options.changed_windows + ["scale"] * (options.scale is not None):
        raise OptionError(changed[0], "needs a track model, found a language model; leave it out, or choose another model.")
    scoring = Scoring((model,), tuple(scores), options.context, options.strand != "forward", of_tracks)
    return Ism(target, genome, scoring, device)


def _class_scoring(model: Any, target: AttributionTarget, options: IsmOptions) -> Scoring | None:
    """Return the scores of a class in the windows of `score`; without a score None: the logit of the sequence of each locus."""
    changed = options.changed_windows
    if of_tracks := [name for name in changed if name != "shifts"]:
        raise OptionError(of_tracks[0], "needs a track model, found a fine-tuned model; leave it out, or choose another model.")
    if options.score is None:
        of_score = [name for name in ("strand", "context", "tile") if getattr(options, name) is not None]
        if unused := [*of_score, *changed]:
            problem = "needs a score, as the logit of a class is that of the sequence alone; leave it out, or give a score."
            raise OptionError(unused[0], problem)
        return None
    classes = ClassOptions((target.number,), options.windows.shifts, options.tile)
    scores = tuple(parse_scores(options.score))
    return Scoring((model,), scores, options.context, options.strand != "forward", classes=classes)


def open_ism(session: Session, options: IsmOptions) -> tuple[Session, Ism]:
    """Return the ISM that options describe for the model of a session, and the session with the loci that the ISM reads.

    Raises the errors of `make_ism`.
    """
    request = session.request
    genome, loci = session.on_genome()
    ism = make_ism(session.model, genome, options, gtf=request.gtf, device=request.device)
    if others := tuple(session.others):
        scoring = None if ism.scoring is None else replace(ism.scoring, models=(session.model, *others))
        ism = replace(ism, scoring=scoring, others=others)
    return (session if ism.scoring is None else replace(session, loci=loci)), ism


def map_ism(
    request: InterpretationRequest,
    options: IsmOptions,
    motifs: MotifOptions = NO_MOTIFS,
    *,
    progress: ProgressCallback = None,
) -> Result:
    """Write ISM maps: each change as a `genoformer score`, or as the effect on the logit of a class for the sequence itself.

    For a VCF the scores of its variants are also written, as in `score` (insertions and deletions have PLL instead of LLR).
    Finished maps are kept next to the folder until it is complete, so that the same request resumes an interrupted run. A shard
    computes its maps only.
    Raises the errors of `open_session` and `make_ism`, and ConfigError for a score that is defined only for insertions and
    deletions.
    """
    shard = request.compute.shard
    opened = replace(request, out=None) if shard is not None else request  # a shard makes no folder of maps
    session, ism = open_ism(open_session(opened, motifs, progress, with_ensembles=True), options)
    stage = Stage(progress, "ism", len(session.loci))
    with open_map_run(request, options, ism, session.model, session.loci) as run:
        if shard is not None:
            return Result(notes=(run.compute_shard(request.folder, stage),))
        variant_notes, variants = _write_variants(session, ism, options)
        maps = [mutagenesis for _, mutagenesis in run.results(stage)]
        result = merge(session.opened, variants, _write(session, ism, maps, motifs, variant_notes))
        n_found = getattr(run.store, "n_found", 0)
    return merge(result, Result(notes=(reused_note(n_found, request.compute.assemble),))) if n_found else result


def _write(
    session: Session, ism: Ism, maps: Sequence[Mutagenesis], motifs: MotifOptions, variant_notes: Sequence[str]
) -> Result:
    """Check, write and draw the maps, and find motifs in them."""

    def importance_of(model: Any, loci: Sequence[Locus]) -> list[Floats]:
        return [mutagenesis.base_importance[0] for mutagenesis in ism.maps(model, loci)]

    shaded = [locus.variant for locus in session.loci]
    on_contig = [
        locus._replace(start=mutagenesis.start, codes=mutagenesis.codes, alleles=None)
        for locus, mutagenesis in zip(session.loci, maps, strict=True)
    ]
    session = replace(session, loci=on_contig)
    importance = [mutagenesis.base_importance[0] for mutagenesis in maps]
    checks, report = check_loci(
        session,
        importance,
        importance_of,
        ism.target,
        maps_are_ism=True,
        windows=None if ism.scoring is None else input_windows(session, None),
    )
    written = session.write([one.values[0] for one in maps], f"mutagenesis {maps[0].names[0]}", importance)
    notes = join_notes(variant_notes, (one.text() for one in checks))
    files: list[Path] = []
    for i, locus in enumerate(session.drawn):
        path = session.figure_path(i)
        visible = session.visible(locus)
        files += figures.draw_mutagenesis(path, locus, maps[i], visible=visible, note=notes[i], shaded=shaded[i])
    hypothetical = [mutagenesis.hypothetical[0] for mutagenesis in maps]
    found = find_motifs(session, importance, motifs, hypothetical)
    return merge(report, written, Result(files=tuple(files)), found)


def _write_variants(session: Session, ism: Ism, options: IsmOptions) -> tuple[list[str], Result]:
    """Write the scores of the variants of the loci, report the windows, and return a note for each locus."""
    if ism.scoring is None:
        return [""] * len(session.loci), Result()
    scoring = ism.scoring
    if scoring.names == "LLR":
        scoring = replace(scoring, scores=tuple(parse_scores("LLR,PLL")))
    if scoring.tracks is not None and options.tracks is None:
        scoring = replace(scoring, tracks=replace(scoring.tracks, tracks=None))
    path = session.request.folder / VARIANTS
    with open_scorer(ism.genome, scoring, Runtime(ism.device)) as scorer:
        notes = write_variant_scores(path, scorer, session.loci, session.alleles)
        windows = describe_windows(scorer)
    if not session.alleles:
        return notes, Result(notes=(windows,))
    return notes, Result(notes=(windows, f"{path}: scores of the variants, as in `score`"), files=(path,))
