"""Figures and tables of annotations and enrichment."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genoformer import plots
from genoformer.annotation.breakdown import Breakdown
from genoformer.annotation.element_labels import STATES
from genoformer.annotation.enrichment import overlap_ratio
from genoformer.annotation.genes import PARTS
from genoformer.annotation.mass import SignalShare
from genoformer.annotation.matching import MEANING
from genoformer.annotation.overlap import Annotations
from genoformer.annotation.study_result import MARK_OVERLAPS, MARK_P, Compared, Study, describe, marked_by_chance
from genoformer.files import make_folder, save_figures, write_text
from genoformer.genome.natural import natural
from genoformer.genome.wording import counted
from genoformer.tables import rounded, tsv_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PART_COLOURS = dict(
    zip(PARTS, ("#D55E00", "#E69F00", "#F0C75E", "#CC79A7", "#FF6969", "#56B4E9", "#A9C4D8", "#C9C9C9"), strict=True)
)
_FREQUENCY_COLOURS = {"common": "#08306B", "low": "#4292C6", "rare": "#C6DBEF", "unknown": "#C9C9C9"}
_FREQUENCIES = {"common": "common (>= 5%)", "low": "low-frequency (0.5 to 5%)", "rare": "rare (< 0.5%)", "unknown": "unknown"}
_BARS = {"all": "all records", "low": "low-frequency"}  # names of bars
_TITLE = 108  # letters per line of a heading
_MOST_ROWS = 40  # rows of a figure
_TO_SEE = 0.5  # an annotation without overlaps is drawn only from this number of expected overlaps on
_WHOLE = 0.5  # labels are drawn as a composition if more than this fraction of records has one
_TABLE = ("annotation", "kind", "frequency", "records", "of")


def write_breakdown(folder: Path, breakdown: Breakdown, annotations: Annotations) -> list[Path]:
    """Write breakdown.tsv, .png and .svg, and NAME.png and .svg of annotations whose labels have colours or are frequent."""
    make_folder(folder)
    written = [_table(folder / "breakdown.tsv", [_TABLE, *breakdown.rows()])]
    elements = elements_by_frequency(breakdown, annotations)
    if elements is not None:
        written += save_figures(elements, folder / "breakdown.png")
    colours = {each.name: each.colours for each in annotations.elements if each.labels}
    n = sum(breakdown.totals.values())
    for name in colours | {"GF_PART": {}}:
        kinds = breakdown.first.get(name, {})
        if sum(sum(of.values()) for of in kinds.values()) > _WHOLE * n or colours.get(name):
            figure = composition(breakdown, name, colours.get(name) or (_PART_COLOURS if name == "GF_PART" else {}))
            written += save_figures(figure, folder / f"{'gene_parts' if name == 'GF_PART' else name}.png")
    return written


def write_study(folder: Path, study: Study) -> list[Path]:
    """Write enrichment.tsv, .png and .svg, matching.tsv, enrichment.json and, with traits, traits.tsv, .png and .svg."""
    make_folder(folder)
    written = [_table(folder / "enrichment.tsv", enrichment_rows(study)), _table(folder / "matching.tsv", matching_rows(study))]
    for i, comparison in enumerate(study.compared):
        if not comparison.enrichment.observed.any() and not comparison.enrichment.expected.any():
            continue  # nothing to draw
        name = "enrichment.png" if len(study.compared) == 1 else f"enrichment_{i + 1}.png"
        written += save_figures(controls_figure(study, comparison), folder / name)
    if study.matrix is not None:
        written.append(_table(folder / "traits.tsv", trait_rows(study)))
        figure = trait_figure(study)
        written += save_figures(figure, folder / "traits.png") if figure is not None else []
    write_text(folder / "enrichment.json", json.dumps({"settings": study.settings, "said": describe(study)}, indent=1) + "\n")
    return [*written, folder / "enrichment.json"]


def write_mass(folder: Path, mass: SignalShare, track: str) -> list[Path]:
    """Write mass.tsv, mass.png and mass.svg."""
    make_folder(folder)
    written = [_table(folder / "mass.tsv", mass_rows(mass))]
    kept = [i for i, n in enumerate(mass.bases.tolist()) if n]
    figure = plots.new_figure(plots.PAGE, 1.5 + 0.3 * len(kept))
    ax = figure.subplots()
    notes = {
        "signal": [f"{100 * mass.share[i]:.1f} %" for i in kept],
        "bases": [f"{100 * mass.expected[i]:.1f} %" for i in kept],
        "P": [_p(mass.p[i], mass.controls.shape[1]) for i in kept],
    }
    relative = [mass.controls[i] / mass.expected[i] for i in kept]
    what = "fraction of the signal / fraction of the bases"
    plots.over_controls(ax, [mass.annotations[i] for i in kept], mass.fold[kept], relative, notes, xlabel=what)
    _heading(ax, f"{track}, {mass.n_bases:,} bases. Red: observed; grey: {mass.controls.shape[1]:,} rotations of the elements")
    return [*written, *save_figures(figure, folder / "mass.png")]


def enrichment_rows(study: Study) -> list[tuple[object, ...]]:
    """Return the rows of the enrichment table, the header first."""
    rows: list[tuple[object, ...]] = [
        (
            "variants",
            "annotation",
            "n",
            "observed",
            "expected",
            "fold",
            "low",
            "high",
            "p",
            "q",
            "p_depletion",
            "controls_low",
            "controls_high",
        ),
    ]
    for comparison in study.compared:
        e = comparison.enrichment
        low, high = np.percentile(e.controls, [2.5, 97.5], axis=1)
        for i, name in enumerate(study.annotations):
            values = (e.expected[i], e.fold[i], e.low[i], e.high[i], e.p[i], e.q[i], e.p_depletion[i], low[i], high[i])
            rows.append((comparison.name, name, e.n[i], e.observed[i], *(rounded(value, ".4g") for value in values)))
    return rows


def matching_rows(study: Study) -> list[tuple[object, ...]]:
    """Return the strata with variants, and their numbers of variants and controls."""
    rows: list[tuple[object, ...]] = [("variants", "stratum", "n_variants", "n_controls")]
    for comparison in study.compared:
        rows += [(comparison.name, *row) for row in comparison.strata.table if row[1]]
    return rows


def trait_rows(study: Study) -> list[tuple[object, ...]]:
    """Return one row per trait and annotation with at least one overlap, the header first."""
    assert study.matrix is not None
    m, marked, fold = study.matrix, study.marked, overlap_ratio(study.matrix.observed, study.matrix.expected)
    rows: list[tuple[object, ...]] = [("trait", "annotation", "n", "observed", "expected", "fold", "p", "q", "marked")]
    for t, a in np.argwhere(m.observed > 0).tolist():
        values = (rounded(value, ".4g") for value in (m.expected[t, a], fold[t, a], m.p[t, a], m.q[t, a]))
        rows.append((study.traits[t], study.annotations[a], m.n[t, a], m.observed[t, a], *values, int(marked[t, a])))
    return rows


def mass_rows(mass: SignalShare) -> list[tuple[object, ...]]:
    """Return the rows of the signal table, the header first."""
    rows: list[tuple[object, ...]] = [
        ("annotation", "bases", "share", "expected", "fold", "p", "q", "controls_low", "controls_high")
    ]
    low, high = np.percentile(mass.controls, [2.5, 97.5], axis=1)
    for i, name in enumerate(mass.annotations):
        values = (mass.share[i], mass.expected[i], mass.fold[i], mass.p[i], mass.q[i], low[i], high[i])
        rows.append((name, mass.bases[i], *(rounded(value, ".4g") for value in values)))
    return rows


def controls_figure(study: Study, compared: Compared) -> Figure:
    """Draw the observed fold of each annotation with its interval (red) over a box of matched controls, on a log2 axis.

    Annotations of one file stand together, the most enriched first.
    """
    kept = drawn_annotations(study, compared)
    figure = plots.new_figure(plots.PAGE, figure_height(len(kept)))
    controls_panel(figure.subplots(), study, compared, kept)
    return figure


def figure_height(n_rows: int) -> float:
    """Return the height in inches of a figure of annotations over their controls."""
    return 1.9 + 0.27 * max(1, n_rows)


def drawn_annotations(study: Study, compared: Compared) -> list[int]:
    """Return the numbers of the annotations that a figure shows, from the first row on."""
    e = compared.enrichment
    drawn = (e.expected > 0) & ((e.expected >= _TO_SEE) | (e.observed > 0))
    files = {name: i for i, name in reversed(list(enumerate(map(_file_of, study.annotations))))}
    order = sorted(np.flatnonzero(drawn).tolist(), key=lambda i: (files[_file_of(study.annotations[i])], -e.fold[i]))
    return order[:_MOST_ROWS]


def controls_panel(ax: Axes, study: Study, compared: Compared, kept: Sequence[int]) -> None:
    """Draw the rows of `controls_figure` in one panel, with its heading above; kept: see `drawn_annotations`."""
    e, n_sets = compared.enrichment, compared.enrichment.controls.shape[1]
    notes = {
        "observed": [f"{e.observed[i]:,} of {e.n[i]:,}" for i in kept],
        "expected": [f"{e.expected[i]:,.1f}" for i in kept],
        "P": [_p(e.p_depletion[i] if e.observed[i] < e.expected[i] else e.p[i], n_sets) for i in kept],
        "q": ["" if e.observed[i] < e.expected[i] else _p(e.q[i], 0) for i in kept],
    }
    names, boxes = [study.annotations[i] for i in kept], [e.controls[i] / e.expected[i] for i in kept]
    bounds = np.stack([e.low[kept], e.high[kept]], axis=1)
    plots.over_controls(ax, names, e.fold[kept], boxes, notes, xlabel="observed / expected overlaps", intervals=bounds)
    for row, (i, j) in enumerate(pairwise(kept)):
        if _file_of(study.annotations[i]) != _file_of(study.annotations[j]):
            ax.axhline(row + 0.5, color="#BBBBBB", lw=0.8)
    what = counted(compared.n_compared, "variant") + ("" if compared.name == "all" else f", {compared.name}")
    matched = ", ".join(MEANING[key] for key in study.matched_on) or "length and contigs only"
    text = f"{what}, of {study.settings['variants']}. Red: observed, with 95 % interval. Grey: {n_sets:,} sets of controls of "
    text += f"{study.settings['controls']}, matched on {matched} (box: middle half; line: 95 %). "
    text += "P is that of fewer overlaps where there are fewer than expected."
    n_hidden = len(study.annotations) - len(kept)
    if n_hidden:
        is_are = "is" if n_hidden == 1 else "are"
        text += f" {counted(n_hidden, 'annotation')} with fewer than {_TO_SEE:g} expected overlaps {is_are} in the table only."
    _heading(ax, text)


def _file_of(annotation: str) -> str:
    """Return the file of an annotation's name, such as STATE of STATE:E; the parts of genes are of one file."""
    return "genes" if annotation in PARTS else annotation.partition(":")[0]


def _heading(ax: Any, text: str) -> None:
    """Write a text above the panel, from the left edge of the figure, wrapped to its width."""
    ax.figure.suptitle(textwrap.fill(text, _TITLE), x=0.01, ha="left", fontsize="small")


def trait_figure(study: Study) -> Figure | None:
    """Draw the trait matrix: traits with most marked cells first, then those with most overlaps; None without overlaps."""
    assert study.matrix is not None
    m, marked = study.matrix, study.marked
    columns = np.flatnonzero(m.observed.sum(axis=0) > 0)
    most = m.observed.max(axis=1)
    rows = np.lexsort((-most, -marked.sum(axis=1)))[:_MOST_ROWS]
    rows = rows[most[rows] > 0]
    if not len(rows) or not len(columns):
        return None
    figure = plots.new_figure(5.2 + 0.42 * len(columns), 2.6 + 0.25 * len(rows))
    ax = figure.subplots()
    cut = np.ix_(rows, columns)
    names = [f"{study.traits[t]} (n = {m.n[t].max():,})" for t in rows.tolist()]
    plots.trait_matrix(
        ax,
        names,
        [study.annotations[a] for a in columns.tolist()],
        overlap_ratio(m.observed, m.expected)[cut],
        m.observed[cut],
        marked[cut],
    )
    n_more = int((most > 0).sum()) - len(rows)
    more = f"\n{n_more:,} more traits are in the table" if n_more else ""
    n_cells = int((~np.isnan(m.q)).sum())
    chance = f"by chance some {marked_by_chance(m.expected):,.1f}"
    title = f"overlaps; framed: P <= {MARK_P:g} and at least {MARK_OVERLAPS}\n"
    title += f"{marked.sum():,} of {n_cells:,} cells, {chance}{more}"
    ax.set_title(title, loc="left", fontsize="small")
    return figure


def _p(value: float, n_controls: int) -> str:
    """Return a P as text; the smallest that n_controls sets of controls can show is a bound."""
    return f"≤ {1 / (n_controls + 1):.1g}" if n_controls and value <= 1.001 / (n_controls + 1) else f"{value:.2g}"


def _table(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    write_text(path, "".join(tsv_line(map(str, row)) + "\n" for row in rows))
    return path


def elements_by_frequency(breakdown: Breakdown, annotations: Annotations) -> Figure | None:
    """Draw the fractions of common, low and rare records among those that overlap each annotation; all records first."""
    counts: dict[str, Counter[str]] = {"all records": breakdown.totals}
    for each in annotations.elements:
        kinds = breakdown.counts.get(each.name, {})
        if each.labels:
            counts |= {f"{each.name}: {kind}": kinds.get(kind, Counter()) for kind in each.labels}
        else:
            counts[each.name] = kinds.get(each.name, Counter())
    if "GF_PART" in breakdown.counts:
        kinds = breakdown.counts["GF_PART"]
        counts |= {part: kinds[part] for part in PARTS if part in kinds}
    if len(counts) == 1:
        return None
    ordered = {name: {of: of_classes[of] for of in breakdown.classes if of_classes[of]} for name, of_classes in counts.items()}
    figure = plots.new_figure(plots.PAGE, 1.2 + 0.34 * len(counts))
    ax = figure.subplots()
    totals = {name: sum(of_classes.values()) for name, of_classes in counts.items()}
    plots.stacked_fractions(ax, ordered, totals, _FREQUENCY_COLOURS, names=_FREQUENCIES, legend="minor allele frequency")
    ax.set_xlabel("fraction of the records that overlap")
    return figure


def composition(breakdown: Breakdown, name: str, colours: dict[str, str]) -> Figure:
    """Draw the fraction of records in each state (or gene part), the first by position, and in none, per frequency class."""
    kinds = breakdown.first.get(name, {})
    counts: dict[str, dict[str, int]] = {}
    totals: dict[str, int] = {}
    for of in ("all", *breakdown.classes):
        totals[of] = sum(breakdown.totals.values()) if of == "all" else breakdown.totals[of]
        records = {kind: (sum(kinds[kind].values()) if of == "all" else kinds[kind][of]) for kind in _in_order(kinds)}
        n_none = totals[of] - sum(records.values())
        counts[of] = records | ({"none": n_none} if n_none else {})
    figure = plots.new_figure(plots.PAGE, max(2.2, 1.1 + 0.5 * len(counts), 0.6 + 0.2 * len(kinds)))
    ax = figure.subplots()
    meanings = {kind: f"{kind}: {STATES[kind][1]}" for kind in kinds if set(kinds) <= set(STATES)}
    named = {_BARS.get(of, of): records for of, records in counts.items()}
    plots.stacked_fractions(
        ax, named, {_BARS.get(of, of): n for of, n in totals.items()}, colours | {"none": "#EFEFEF"}, names=meanings
    )
    ax.set_title("parts of genes" if name == "GF_PART" else name, loc="left", fontsize="medium")
    return figure


def _in_order(kinds: Any) -> list[str]:
    """Return ENCODE's states and gene parts in their own order, other labels by name."""
    known = [kind for kind in (*STATES, *PARTS) if kind in kinds] if set(kinds) <= {*STATES, *PARTS} else []
    return known or sorted(kinds, key=natural)
