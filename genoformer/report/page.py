"""Self-contained HTML page: warnings, counts by status, score distributions, cards of the top variants, a table.

The page works offline and loads nothing; its only addresses are anchors. It contains its data as JSON and its pictures as SVG
or PNG. All text from the VCF is shown as text, never as HTML.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from genoformer.files import write_text
from genoformer.genome.variants import STATUS_MEANING
from genoformer.report.canvas import canvas_files, safe_json
from genoformer.report.cards import Card, card_html
from genoformer.report.histogram import Mark, histogram
from genoformer.report.scored import FIXED, Column, Scored
from genoformer.scoring.scores import SCORES

_STATUSES = {status.value: meaning for status, meaning in STATUS_MEANING.items()}
_FIXED_MEANINGS = (
    "Contig",
    "Position, 1-based",
    "ID of the record",
    "Reference allele",
    "Alternative allele",
    "OK, or the reason for a missing score",
)
_SHOW = """
for (const data of document.querySelectorAll("script.scene")) {  // a canvas, and for print its picture
  const shown = genomeCanvas(data.previousElementSibling, JSON.parse(data.textContent)), print = new Image();
  print.className = "canvas-print";
  print.alt = data.previousElementSibling.getAttribute("aria-label");
  print.src = shown.picture().toDataURL();
  data.after(print);
}
"""


def _said(text: str) -> str:
    """Return a header line in readable form.

    >>> _said('<ID=demo,sha256="f960">'), _said("scores=LLR;strands=both")
    ('demo, sha256 f960', 'scores=LLR; strands=both')
    """
    return re.sub(r";(?=\S)", "; ", re.sub(r'^<ID=(.*),sha256="(\w+)">$', r"\1, sha256 \2", text))


def write_page(
    scored: Scored,
    output: Path,
    *,
    title: str,
    cards: Sequence[Card] = (),
    warnings: Sequence[str] = (),
    preflight: str = "",
) -> int:
    """Write the page, and return the number of alleles in its table.

    warnings: in addition to the cautions and the noise floor of the header. preflight: a table of two columns, as text.
    """
    rows, columns = scored.rows, scored.columns
    data = {
        "title": title,
        "names": [*FIXED, *(column.name for column in columns), "INFO"],
        "numeric": [name == "pos" for name in FIXED] + [column.numeric for column in columns] + [False],
        "meanings": [*_FIXED_MEANINGS, *(column.meaning for column in columns), "Other INFO of the record"],
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
        "SUMMARY": "".join(_status_row(k, n) for k, n in scored.statuses.most_common()),
        "PREFLIGHT": f"<h3>VCF compared with the genome</h3><pre>{html.escape(preflight)}</pre>" if preflight else "",
        "SHOWN": shown,
        "DISTRIBUTIONS": "".join(_distribution(scored, i, cards) for i in range(len(scored.scores))),
        "MEANINGS": "".join(_meaning(column) for column in scored.scores if column.numeric),
        "WARNINGS": _warnings(scored, warnings),
        "TO_CARDS": '<a href="#top">Top variants</a>' if cards else "",
        "CARDS": _cards(scored, cards) if cards else "",
        "DATA": safe_json(data),
    }
    has_canvas = any(card.figure is not None and card.figure.scene is not None for card in cards)
    style, code = canvas_files() if has_canvas else ("", "")
    parts |= {"CANVAS_STYLE": style, "CANVAS_CODE": f"<script>\n{code}{_SHOW}</script>" if code else ""}
    page = files("genoformer.report").joinpath("report.html").read_text(encoding="utf-8")
    write_text(output, re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], page))
    return len(rows)


def _status_row(status: str, n: int) -> str:
    """Return the row of the summary for a status, with its meaning."""
    meaning = "scored" if status == "OK" else _STATUSES.get(status, "")
    return f"<tr><td>{html.escape(status)}</td><td>{n:,}</td><td>{html.escape(meaning)}</td></tr>"


def _cards(scored: Scored, cards: Sequence[Card]) -> str:
    heading, articles = _heading(scored), "".join(card_html(card, i) for i, card in enumerate(cards, 1))
    return f'<section aria-label="{heading}" id="top"><h2>{heading}</h2>{_order(scored)}{articles}</section>'


def _order(scored: Scored) -> str:
    """Return a paragraph on the order of the cards if two scores rank them; "" for one score, which each title has."""
    names = [f"|{html.escape(scored.scores[i].name)}|" for i in scored.ranking]
    if len(names) < 2:
        return ""
    order = f"Ordered by {names[0]}. Insertions and deletions are ordered by {names[1]}, and alternate with the others."
    return f'<p class="soft">{order}</p>'


def _warnings(scored: Scored, others: Sequence[str]) -> str:
    """Return the section of warnings; "" without any."""
    cautions = [v.removeprefix("caution: ") for k, v in scored.made_by if k == "caution"]
    texts = [*cautions, *others, *([scored.noise()] if scored.noise() else [])]
    items = "".join(f'<p class="warning"><b>Warning:</b> {html.escape(text)}</p>' for text in dict.fromkeys(texts))
    return f'<section aria-label="Warnings" id="warnings">{items}</section>' if items else ""


def _distribution(scored: Scored, i: int, cards: Sequence[Card]) -> str:
    """Return the histogram of score number i, with the cards of that score marked."""
    column = scored.scores[i]
    marks = [Mark(k, card.value, card.title) for k, card in enumerate(cards, 1) if card.score == i]
    return histogram(np.array(scored.values[i]), name=column.name, unit=_unit(column), marks=marks)


def _unit(column: Column) -> str:
    """Return the unit of a score or of its error; "" for a column that is no score of this version."""
    score = SCORES.get(column.name.removesuffix("_SE"))
    return score.unit if score is not None else ""


def _meaning(column: Column) -> str:
    """Return the description of a score for the list of scores."""
    return f"<div><dt>{html.escape(column.name)}</dt><dd>{html.escape(column.meaning)}</dd></div>"


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
