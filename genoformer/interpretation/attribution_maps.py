"""Attribution of loci: request -> contribution of each base to a class or to a sum of tracks, figures and motifs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from genoformer.inference.runtime import Floats
from genoformer.interpretation.attribution import Attribution, attributions
from genoformer.interpretation.input_windows import InputWindows, input_windows, targets_of_loci
from genoformer.interpretation.loci import Locus
from genoformer.interpretation.motif_search import find_motifs
from genoformer.interpretation.request import N_STEPS, NO_MOTIFS, AttributionOptions, InterpretationRequest, MotifOptions
from genoformer.interpretation.sanity_checks import check_loci
from genoformer.interpretation.session import Result, Session, join_notes, merge, open_session
from genoformer.interpretation.targets import AttributionTarget, choose_target
from genoformer.models.base import Model
from genoformer.progress import ProgressCallback

MAX_ERROR = 0.05  # maximum completeness error of integrated gradients with enough steps


class Explained(NamedTuple):
    """Targets of the loci of a session, and the sequences that the model reads around them."""

    targets: list[AttributionTarget]
    windows: InputWindows


def explained_outputs(session: Session, options: AttributionOptions) -> Explained:
    """Return the target and the window of each locus of a session.

    Raises the errors of `choose_target`, `input_windows` and `targets_of_loci`.
    """
    target = choose_target(session.model, output=options.output, tracks=options.tracks, head=options.head)
    windows = input_windows(session, options.context)
    return Explained(targets_of_loci(session, windows, target, bins=options.bins, gene=options.gene), windows)


def compute_attributions(
    session: Session,
    options: AttributionOptions,
    loci: Sequence[Locus],
    explained: Explained,
    model: Model | None = None,
    progress: ProgressCallback = None,
) -> list[Attribution]:
    """Return the attributions of the first loci of a session, or of their other alleles, B = 1 for each.

    model: another one than that of the session. Raises the errors of `attributions`.
    """
    return attributions(
        model or session.model,
        loci,
        method=options.method,
        output=explained.targets[: len(loci)],
        windows=explained.windows,
        n_steps=options.n_steps or N_STEPS,
        device=session.request.device,
        progress=progress,
    )


def map_attribution(
    request: InterpretationRequest,
    options: AttributionOptions,
    motifs: MotifOptions = NO_MOTIFS,
    *,
    progress: ProgressCallback = None,
) -> Result:
    """Write the contribution of each base to an output: a class of a fine-tuned model (default: the last), or a sum of tracks.

    A track model reads its context around each region. Raises the errors of `open_session`, `explained_outputs` and
    `attributions`.
    """
    session = open_session(request, motifs, progress)
    explained = explained_outputs(session, options)

    def maps_of(model: Model, loci: Sequence[Locus]) -> list[Floats]:
        return [attribution.values[0].sum(-1) for attribution in compute_attributions(session, options, loci, explained, model)]

    results = compute_attributions(session, options, session.loci, explained, progress=session.progress)
    maps = [attribution.values[0].sum(-1) for attribution in results]
    checks, report = check_loci(session, maps, maps_of, explained.targets, windows=explained.windows)
    notes = join_notes(map(_completeness, results), (one.text() for one in checks))
    return merge(
        session.opened,
        report,
        session.write(maps, f"attribution {options.method}"),
        session.draw(maps, maps_of, "attribution", notes),
        _median_completeness(results),
        find_motifs(session, maps, motifs, hypothetical=[attribution.hypothetical[0] for attribution in results]),
    )


def _completeness(attribution: Attribution) -> str:
    """Return the note of a figure on the completeness of integrated gradients."""
    if attribution.error is None:
        return ""
    error = float(attribution.error[0])
    return f"completeness error {100 * error:.1f} %" + ("; use more steps" if error > MAX_ERROR else "")


def _median_completeness(results: Sequence[Attribution]) -> Result:
    """Return a note on the completeness of all maps of integrated gradients."""
    errors = [attribution.error for attribution in results if attribution.error is not None]
    if not errors:
        return Result()
    values = 100 * np.concatenate(errors)
    remedy = "; use more steps" if values.max() > 100 * MAX_ERROR else ""
    return Result(notes=(f"completeness error: median {np.median(values):.2f} %, maximum {values.max():.2f} %{remedy}",))
