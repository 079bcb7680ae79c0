"""Attention of loci: codes -> profiles of bases; request -> profiles, matrices, arcs from TSSs to elements, and motifs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError, OptionError
from genoformer.genome.codes import Codes
from genoformer.genome.genes import VisibleAnnotation
from genoformer.inference.runtime import Floats, evaluating
from genoformer.interpretation import figures
from genoformer.interpretation.attention import AttentionReader, base_scores, observed_over_expected, viz
from genoformer.interpretation.input_windows import InputWindow, InputWindows, batches_of_windows, input_windows
from genoformer.interpretation.loci import MATRICES, Locus, write_arrays
from genoformer.interpretation.motif_search import find_motifs
from genoformer.interpretation.request import NO_MOTIFS, AttentionOptions, InterpretationRequest, MotifOptions, Profile
from genoformer.interpretation.sanity_checks import check_loci
from genoformer.interpretation.session import Result, Session, in_whole_bins, merge, open_session
from genoformer.interpretation.targets import AttributionTarget
from genoformer.models.base import READS_TOKENS, Model, PredictsTracks, has
from genoformer.progress import ProgressCallback, Stage

PROFILES: dict[str, str] = {
    "viz": "attention from [CLS] as in DNABERT-viz: sum over heads and layers, mean over the tokens of a base, L2 norm 1",
    "cls": "attention from [CLS], or from the middle bin: mean over heads and layers",
    "received": "attention that each token or bin receives from all queries: mean over heads and layers",
    "rollout": "attention rollout of [CLS], or of the middle bin, through all layers",
    "entropy": "entropy of the attention of each token or bin in bits: mean over heads and layers",
}
_LABELS = {  # of the y axis
    "viz": "attention from [CLS]\n(DNABERT-viz)",
    "cls": "attention of query",
    "received": "attention received",
    "rollout": "attention rollout",
    "entropy": "entropy (bits)",
}
MAX_UNITS = 2_048  # maximum number of tokens or bins of a drawn attention matrix


def attention_profiles(
    model: Model,
    loci: Sequence[Locus],
    options: AttentionOptions | None = None,
    *,
    queries: Sequence[int | None] | None = None,
    windows: InputWindows | None = None,
    device: str = "cpu",
    progress: ProgressCallback = None,
) -> list[Floats]:
    """Return a number for each base of each locus, [L]; `PROFILES` describes the profiles.

    queries: a query token or bin of each locus; by default the query of the options. windows: the sequences around the loci
    that the model reads; by default the loci alone. The length of a window of a track model is a multiple of the bin size.
    Raises CheckpointError for a model without attention, OptionError for viz with a track model, and ConfigError for sequences
    that do not fit the model.
    """
    options = options or AttentionOptions()
    profile = profile_of(options, model)
    if queries is None:
        queries = [_number(options.query)] * len(loci)
    profiles: dict[int, Floats] = {}
    stage = Stage(progress, "attention", len(loci))
    with evaluating(model, device) as ready:
        reader = AttentionReader(ready, options.layers, options.heads)
        if profile == "viz" and not has(model, READS_TOKENS):
            raise OptionError(
                "profile", "is viz, expected cls, received, rollout or entropy for a track model; give one of them."
            )
        around = windows or InputWindows()
        keys = [(query, around.start(locus)) for query, locus in zip(queries, loci, strict=True)]
        for numbers in batches_of_windows([around.size(locus) for locus in loci], keys):
            read = [around.of(loci[i]) for i in numbers]
            query = _query_of_window(reader, read[0], len(loci[numbers[0]].codes), queries[numbers[0]])
            found = _profile(reader, np.stack([one.codes for one in read]), profile, query)
            ends = [one.start + len(loci[i].codes) for i, one in zip(numbers, read, strict=True)]
            profiles |= {i: row[one.start : end] for i, row, one, end in zip(numbers, found, read, ends, strict=True)}
            stage.report(len(profiles))
    return [profiles[i] for i in range(len(loci))]


def profile_of(options: AttentionOptions, model: Model) -> Profile:
    """Return the profile of the options, or the default of the model: viz for tokens, cls for bins."""
    return options.profile or ("viz" if has(model, READS_TOKENS) else "cls")


def _query_of_window(reader: AttentionReader, window: InputWindow, length: int, query: int | None) -> int | None:
    """Return the number in a window of a query, which is that of a token or bin of its locus of `length` bases."""
    if query is None or len(window.codes) == length:
        return query
    inside = _units_inside(reader, window, length)
    if not 0 <= query < len(inside):
        raise ConfigError(f"query {query}: the regions have {len(inside)} tokens or bins, numbered from 0.")
    return int(inside[query])


def _units_inside(reader: AttentionReader, window: InputWindow, length: int) -> NDArray[np.int64]:
    """Return the tokens or bins of a window that its locus of `length` bases touches."""
    spans = reader.spans(window.codes[None])[0]
    return np.flatnonzero((spans[:, 0] < window.start + length) & (spans[:, 1] > window.start))


def _profile(reader: AttentionReader, codes: Codes, profile: Profile, query: int | None) -> Floats:
    """Return the profile of sequences of one length, [B, L]."""
    length = codes.shape[1]
    number = reader.query(query, reader.n_units(length))
    by_unit: dict[str, Callable[[], Floats]] = {
        "cls": lambda: reader.rows(codes, number).mean((1, 2)),
        "received": lambda: reader.attention_received(codes).mean((1, 2)),
        "rollout": lambda: reader.rollout(codes, number),
        "entropy": lambda: reader.entropy(codes).mean((1, 2)),
    }
    spans = reader.spans(codes)
    return (
        viz(reader.rows(codes, number), spans, length) if profile == "viz" else base_scores(by_unit[profile](), spans, length)
    )


def compute_attention(
    session: Session,
    options: AttentionOptions,
    loci: Sequence[Locus],
    model: Model | None = None,
    progress: ProgressCallback = None,
) -> list[Floats]:
    """Return the attention profiles of loci of a session, [L] for each; model: another one than that of the session.

    Raises the errors of `attention_profiles`.
    """
    return attention_profiles(
        model or session.model,
        loci,
        options,
        queries=[_query(session, locus, options.query) for locus in loci],
        windows=input_windows(session, options.context),
        device=session.request.device,
        progress=progress,
    )


def open_attention(
    request: InterpretationRequest,
    options: AttentionOptions,
    motifs: MotifOptions = NO_MOTIFS,
    progress: ProgressCallback = None,
) -> Session:
    """Return the session of a request: regions of a track model in whole bins, and for the query "tss" those with a TSS.

    Raises the errors of `open_session`, and OptionError for the query "tss" without TSSs.
    """
    session = in_whole_bins(open_session(request, motifs, progress))
    return _with_tss(session) if options.query == "tss" else session


def map_attention(
    request: InterpretationRequest,
    options: AttentionOptions,
    motifs: MotifOptions = NO_MOTIFS,
    *,
    max_units: int = MAX_UNITS,
    progress: ProgressCallback = None,
) -> Result:
    """Write attention profiles, attention matrices, and the motifs of the profiles.

    max_units: number of tokens or bins up to which a matrix is drawn.
    Raises the errors of `open_session` and `attention_profiles`, and OptionError for the query "tss" without TSSs.
    """
    session = open_attention(request, options, motifs, progress)

    def maps_of(model: Model, loci: Sequence[Locus]) -> list[Floats]:
        return compute_attention(session, options, loci, model)

    maps = compute_attention(session, options, session.loci, progress=session.progress)
    checks, report = check_loci(
        session, maps, maps_of, AttributionTarget.default(session.model), windows=input_windows(session, options.context)
    )
    return merge(
        session.opened,
        report,
        session.write(maps, f"attention {profile_of(options, session.model)}"),
        session.draw(maps, maps_of, _LABELS[profile_of(options, session.model)], [one.text() for one in checks]),
        _draw_matrices(session, options, max_units),
        find_motifs(session, maps, motifs),
    )


def _with_tss(session: Session) -> Session:
    """Return the session with the loci that have a TSS, and a note on the number of the others."""
    if not has(session.model, PredictsTracks) or session.annotation.genes is None:
        raise OptionError("query", "is tss, which needs a track model and genes; give them, or a number.")
    kept = [locus for locus in session.loci if (seen := session.visible(locus)) and seen.starts(locus.start, locus.end)]
    if not kept:
        raise ConfigError("found no TSS of the GTF in any of the regions; give a larger length.")
    n_omitted = len(session.loci) - len(kept)
    note = f"{n_omitted:,} {'region has' if n_omitted == 1 else 'regions have'} no TSS and {'is' if n_omitted == 1 else 'are'}"
    notes = [f"{note} left out."] if n_omitted else []
    return replace(session, loci=kept, notes=(*session.notes, *notes))


def _query(session: Session, locus: Locus, query: int | str | None) -> int | None:
    """Return the number of the query; for "tss" the bin of the TSS nearest to the middle of the locus."""
    if query != "tss":
        return _number(query)
    visible = session.visible(locus)
    assert visible is not None
    middle = (locus.start + locus.end) / 2
    tss, _ = min(visible.starts(locus.start, locus.end), key=lambda start: abs(start[0] - middle))
    spans = session.model.spans(locus.codes[None])[0]
    return int(np.searchsorted(spans[:, 0], tss - locus.start, side="right")) - 1


def _number(query: int | str | None) -> int | None:
    if isinstance(query, str):
        raise OptionError("query", f"is {query!r}, expected the number of a token or bin; give one.")
    return query


def _draw_matrices(session: Session, options: AttentionOptions, max_units: int) -> Result:
    """Draw and write the attention matrix of each drawn locus; for a track model, also draw arcs from TSSs to elements."""
    arrays: dict[str, Any] = {}
    around = input_windows(session, options.context)
    notes, files = [], list[Path]()
    with evaluating(session.model, session.request.device) as model:
        reader = AttentionReader(model, options.layers, options.heads)
        heads = "all heads" if reader.has_all_heads else f"heads {', '.join(map(str, reader.heads))}"
        label = f"mean of {heads} of layer {', '.join(map(str, reader.layers))}"
        for i, locus in enumerate(session.drawn):
            if (n := reader.n_units(len(locus.codes))) > max_units:
                notes.append(f"{locus.name}: the matrix of {n:,} x {n:,} is not drawn; the limit is {max_units:,}")
                continue
            weights, edges = _matrix(reader, around.of(locus), len(locus.codes))
            visible = session.visible(locus)
            arrays |= {f"matrix_{i}": weights, f"edges_{i}": locus.start + edges}
            path = session.figure_path(i, "_matrix")
            files += figures.draw_attention(path, locus, weights, edges.tolist(), visible=visible, note=label)
            if visible is not None and has(session.model, PredictsTracks):
                files += _draw_contacts(session.figure_path(i, "_contacts"), locus, weights, edges, visible)
    if arrays:
        write_arrays(session.request.folder / MATRICES, arrays)
        files.append(session.request.folder / MATRICES)
    return Result(notes=tuple(notes), files=tuple(files))


def _matrix(reader: AttentionReader, window: InputWindow, length: int) -> tuple[Floats, NDArray[np.int64]]:
    """Return the attention within a locus of `length` bases, query x key, and the edges of its tokens or bins in the locus."""
    weights, edges = reader.matrix(window.codes)
    inside = np.flatnonzero((edges[:-1] < window.start + length) & (edges[1:] > window.start))
    part = slice(int(inside[0]), int(inside[-1]) + 1)
    return weights[part, part], edges[part.start : part.stop + 1] - window.start


def _draw_contacts(path: Path, locus: Locus, weights: Floats, edges: Any, visible: VisibleAnnotation) -> list[Path]:
    """Draw arcs from the TSSs of a locus to its elements, unless it has none of either."""
    starts = visible.starts(locus.start, locus.end)
    spans = np.concatenate(list(visible.elements.values())) if visible.elements else np.zeros((0, 2), dtype=np.int64)
    if not starts or not len(spans):
        return []
    ratios = observed_over_expected(weights, locus.start + edges, [tss for tss, _ in starts], spans)
    pairs = [
        (float(tss), float(span.mean()), float(ratios[a, b]))
        for a, (tss, _) in enumerate(starts)
        for b, span in enumerate(spans)
        if np.isfinite(ratios[a, b])
    ]
    if not pairs:
        return []
    tss, middle, largest = max(pairs, key=lambda pair: pair[2])
    gene = dict(starts)[int(tss)]
    distance = f"{abs(middle - tss):,.0f} bases"
    label = f"strongest: {gene} to {middle + 1:,.0f}, observed / expected {largest:.2g} at {distance}"
    return figures.draw_contacts(path, locus, pairs, visible, label)
