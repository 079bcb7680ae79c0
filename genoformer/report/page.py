"""Self-contained HTML page: counts of alleles by status, score distributions, a sortable and filterable table, figures.

The page works offline and loads nothing. It contains its data as JSON and its pictures as SVG or PNG. All text from the VCF
is shown as text, never as HTML.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.files import write_text
from genoformer.report.scored import FIXED, Column, Scored

_BINS = 40


class Figure(NamedTuple):
    """A figure of the page."""

    title: str
    meaning: str
    png: bytes


def _said(text: str) -> str:
    """Return a header line in readable form.

    >>> _said('<ID=demo,sha256="f960">'), _said("scores=LLR;strands=both")
    ('demo, sha256 f960', 'scores=LLR; strands=both')
    """
    return re.sub(r";(?=\S)", "; ", re.sub(r'^<ID=(.*),sha256="(\w+)">$', r"\1, sha256 \2", text))


def write_page(scored: Scored, output: Path, *, title: str, figures: Sequence[Figure] = (), preflight: str = "") -> int:
    """Write the page, and return the number of alleles in its table. preflight: a table of two columns, as text."""
    rows, columns = scored.rows, scored.columns
    data = {
        "names": [*FIXED, *(column.name for column in columns), "INFO"],
        "numeric": [name == "pos" for name in FIXED] + [column.numeric for column in columns] + [False],
        "meanings": [""] * len(FIXED) + [column.meaning for column in columns] + ["what else INFO says"],
        "first": len(FIXED),  # index of the first score
        "noise": scored.column_index("NOISE"),  # rows below the noise floor are grey
        "rows": rows,
    }
    shown = f"{len(rows):,} of {scored.n_alleles:,} alleles"
    if len(rows) < scored.n_alleles:
        shown += f", those with the largest {_ranked_by(scored)}"
    parts = {
        "TITLE": html.escape(title),
        "MADE_BY": "".join(f"<tr><td>{html.escape(k)}</td><td>{html.escape(_said(v))}</td></tr>" for k, v in scored.made_by),
        "SUMMARY": "".join(f"<tr><td>{html.escape(k)}</td><td>{n:,}</td></tr>" for k, n in scored.statuses.most_common()),
        "PREFLIGHT": f"<h2>VCF compared with the genome</h2><pre>{html.escape(preflight)}</pre>" if preflight else "",
        "SHOWN": shown,
        "DISTRIBUTIONS": "".join(
            _histogram(np.array(values), column) for column, values in zip(scored.scores, scored.values, strict=True)
        ),
        "CAUTION": "".join(f'<p class="caution">{html.escape(v)}</p>' for k, v in scored.made_by if k == "caution"),
        "NOISE": f"<p>{html.escape(scored.noise())}</p>" if scored.noise() else "",
        "FIGURES": f"<h2>{_heading(scored)}</h2>" + "".join(map(_figure, figures)) if figures else "",
        "DATA": _json(data),
    }
    page = files("genoformer.report").joinpath("report.html").read_text(encoding="utf-8")
    write_text(output, re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], page))
    return len(rows)


def _ranked_by(scored: Scored) -> str:
    """Return the scores by which the alleles of the table were chosen."""
    names = " or ".join(f"|{html.escape(scored.scores[i].name)}|" for i in scored.ranking)
    return names + (", those above the noise floor first" if scored.column_index("NOISE") is not None else "")


def _heading(scored: Scored) -> str:
    """Return the heading of the figures; variants are "strongest" only above a known noise floor or for language models."""
    above = scored.strongest(1).above
    if above or (above is None and not scored.of_tracks):
        return "Strongest variants"
    name = html.escape(scored.scores[0].name)
    return f"Largest |{name}|: none is above the noise floor" if above is False else f"Largest |{name}|, no noise floor known"


def _figure(figure: Figure) -> str:
    title = html.escape(figure.title)
    image = f'<img alt="{title}" src="data:image/png;base64,{base64.b64encode(figure.png).decode()}">'
    return f'<figure class="variant"><figcaption><b>{title}</b><br>{html.escape(figure.meaning)}</figcaption>{image}</figure>'


def _json(data: object) -> str:
    """Return JSON without characters that could end a script element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _histogram(values: NDArray[np.float64], column: Column) -> str:
    """Return a histogram as SVG; the first and last bars include the outer 0.1 % of values on each side."""
    if len(values) < 2 or np.ptp(values) == 0:
        return ""
    low, high = np.quantile(values, [0.001, 0.999])
    if low == high:
        low, high = float(values.min()), float(values.max())
    counts, edges = np.histogram(values.clip(low, high), _BINS, (low, high))
    width, height = 7, 90
    bars = "".join(
        f'<rect x="{k * width}" y="{height - height * n / counts.max():.1f}" width="{width - 1}" '
        f'height="{height * n / counts.max():.1f}"><title>{edges[k]:.3g} to {edges[k + 1]:.3g}: {n:,}</title></rect>'
        for k, n in enumerate(counts.tolist())
    )
    label = f"{html.escape(column.name)} <small>n = {len(values):,}</small>"
    axis = f'<span class="low">{low:.3g}</span><span class="high">{high:.3g}</span>'
    return (
        f'<figure class="bars" title="{html.escape(column.meaning)}"><figcaption>{label}</figcaption>'
        f'<svg viewBox="0 0 {_BINS * width} {height}" role="img" aria-label="{html.escape(column.name)}">{bars}</svg>'
        f'<div class="axis">{axis}</div></figure>'
    )
