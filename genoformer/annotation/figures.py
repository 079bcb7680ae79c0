"""Figures and tables of annotations and enrichment."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genoformer import plots
from genoformer.annotation.breakdown import Breakdown
from genoformer.annotation.element_labels import STATES
from genoformer.annotation.enrichment import Enrichment, overlap_ratio
from genoformer.annotation.genes import PARTS
from genoformer.annotation.mass import SignalShare
from genoformer.annotation.matching import MEANING
from genoformer.annotation.overlap import Annotations
from genoformer.annotation.study import MARK_OVERLAPS, MARK_P, Compared, Study, describe, marked_by_chance
from genoformer.files import make_folder, save_figure, write_text
from genoformer.genome.natural import natural
from genoformer.tables import rounded, tsv_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PART_COLOURS = dict(
    zip(PARTS, ("#D55E00", "#E69F00", "#F0C75E", "#CC79A7", "#FF6969", "#56B4E9", "#A9C4D8", "#C9C9C9"), strict=True)
)
_FREQUENCY_COLOURS = {"common": "#08306B", "low": "#4292C6", "rare": "#C6DBEF", "unknown": "#C9C9C9"}
_TITLE = 105  # letters per line of a title
_MOST_ROWS = 40  # rows of a figure
_TO_SEE = 0.5  # an annotation without overlaps is drawn only from this number of expected overlaps on
_WHOLE = 0.5  # labels are drawn as a composition if more than this fraction of records has one
_TABLE = ("annotation", "kind", "frequency", "records", "of")


def write_breakdown(folder: Path, breakdown: Breakdown, annotations: Annotations) -> list[Path]:
    """Write breakdown.tsv and .png, and NAME.png for each annotation whose labels have colours or cover most records."""
    make_folder(folder)
    written = [_table(folder / "breakdown.tsv", [_TABLE, *breakdown.rows()])]
    elements = elements_by_frequency(breakdown, annotations)
    if elements is not None:
        written.append(save_figure(elements, folder / "breakdown.png"))
    colours = {each.name: each.colours for each in annotations.elements if each.labels}
    n = sum(breakdown.totals.values())
    for name in colours | {"GF_PART": {}}:
        kinds = breakdown.first.get(name, {})
        if sum(sum(of.values()) for of in kinds.values()) > _WHOLE * n or colours.get(name):
            figure = composition(breakdown, name, colours.get(name) or (_PART_COLOURS if name == "GF_PART" else {}))
            written.append(save_figure(figure, folder / f"{'gene_parts' if name == 'GF_PART' else name}.png"))
    return written


def write_study(folder: Path, study: Study) -> list[Path]:
    """Write enrichment.tsv and .png, matching.tsv, enrichment.json and, with traits, traits.tsv and .png."""
    make_folder(folder)
    written = [_table(folder / "enrichment.tsv", enrichment_rows(study)), _table(folder / "matching.tsv", matching_rows(study))]
    for i, comparison in enumerate(study.compared):
        if not comparison.enrichment.observed.any() and not comparison.enrichment.expected.any():
            continue  # nothing to draw
        name = "enrichment.png" if len(study.compared) == 1 else f"enrichment_{i + 1}.png"
        written.append(save_figure(controls_figure(study, comparison), folder / name))
    if study.matrix is not None:
        written.append(_table(folder / "traits.tsv", trait_rows(study)))
        figure = trait_figure(study)
        written += [save_figure(figure, folder / "traits.png")] if figure is not None else []
    write_text(folder / "enrichment.json", json.dumps({"settings": study.settings, "said": describe(study)}, indent=1) + "\n")
    return [*written, folder / "enrichment.json"]


def write_mass(folder: Path, mass: SignalShare, track: str) -> list[Path]:
    """Write mass.tsv and mass.png."""
    make_folder(folder)
    written = [_table(folder / "mass.tsv", mass_rows(mass))]
    kept = [i for i, n in enumerate(mass.bases.tolist()) if n]
    figure = _figure(8.4, 1.3 + 0.36 * len(kept))
    ax = figure.subplots()
    notes = [f"{mass.share[i]:.1%} in {mass.expected[i]:.1%} of bases, P {_p(mass.p[i])}" for i in kept]
    relative = [mass.controls[i] / mass.expected[i] for i in kept]
    what = "share of the track in elements / share of bases"
    plots.over_controls(ax, [mass.annotations[i] for i in kept], mass.fold[kept], relative, notes, xlabel=what)
    ax.set_title(f"{track}, {mass.n_bases:,} bases; grey: the same elements rotated", loc="left", fontsize="medium")
    return [*written, save_figure(figure, folder / "mass.png")]


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
    """Draw observed overlaps (red) and boxes of matched controls for each annotation, relative to the expected number."""
    e = compared.enrichment
    drawn = (e.expected > 0) & ((e.expected >= _TO_SEE) | (e.observed > 0))
    kept = [i for i in np.argsort(-np.nan_to_num(e.fold, nan=-1)).tolist() if drawn[i]][:_MOST_ROWS]
    figure = _figure(8.4, 1.5 + 0.36 * max(1, len(kept)))
    ax = figure.subplots()
    notes = [_told(e, i) for i in kept]
    boxes = [e.controls[i] / e.expected[i] for i in kept]
    names = [study.annotations[i] for i in kept]
    plots.over_controls(ax, names, e.fold[kept], boxes, notes, xlabel="overlaps, relative to matched controls")
    ax.axvline(1, color="black", lw=0.8, ls=":", zorder=0)
    what = f"{compared.n_compared:,} variants" + ("" if compared.name == "all" else f", {compared.name}")
    matched = ", ".join(MEANING[key] for key in study.matched_on) or "length and contigs only"
    title = f"{what} of {study.settings['variants']}; red: observed\n"
    grey = f"grey: {e.controls.shape[1]:,} sets of controls of {study.settings['controls']}, matched on {matched}"
    title += textwrap.fill(grey, _TITLE)
    ax.set_title(title, loc="left", fontsize="small")
    return figure


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
    figure = _figure(5.2 + 0.42 * len(columns), 2.6 + 0.25 * len(rows))
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


def _told(e: Enrichment, i: int) -> str:
    """Return a text with observed of n, expected, and P of enrichment, or of depletion if fewer than expected."""
    fewer = e.observed[i] < e.expected[i]
    p = f"P of fewer {_p(e.p_depletion[i])}" if fewer else f"P {_p(e.p[i])}, q {_p(e.q[i])}"
    return f"{e.observed[i]:,} of {e.n[i]:,}, expected {e.expected[i]:,.1f}; {p}"


def _p(value: float) -> str:
    return f"{value:.2g}"


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
    figure = _figure(7.2, 1.2 + 0.44 * len(counts))
    ax = figure.subplots()
    plots.stacked_fractions(
        ax, ordered, {name: sum(of_classes.values()) for name, of_classes in counts.items()}, _FREQUENCY_COLOURS
    )
    known = "common: minor allele at 5 % or more; low: 0.5 to 5 %; rare: below 0.5 %"
    ax.set_xlabel(f"share of records, by frequency ({known})", fontsize="small")
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
    figure = _figure(8.2, max(2.2, 1.1 + 0.5 * len(counts), 0.6 + 0.2 * len(kinds)))
    ax = figure.subplots()
    plots.stacked_fractions(ax, counts, totals, colours | {"none": "#EFEFEF"})
    ax.set_title("parts of genes" if name == "GF_PART" else name, loc="left", fontsize="medium")
    return figure


def _in_order(kinds: Any) -> list[str]:
    """Return ENCODE's states and gene parts in their own order, other labels by name."""
    known = [kind for kind in (*STATES, *PARTS) if kind in kinds] if set(kinds) <= {*STATES, *PARTS} else []
    return known or sorted(kinds, key=natural)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", dpi=150)
