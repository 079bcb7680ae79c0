"""One self-contained HTML page of a scored VCF: what became of its alleles, distributions, a table to sort and filter, figures.

The page works offline and asks for nothing: its data are JSON inside of it, its pictures are SVG or PNG inside of it, and all
text from the VCF reaches the screen as text, never as HTML.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genoformer.errors import FileFormatError
from genoformer.genome.vcf import open_vcf
from genoformer.whole import whole_file

MOST = 10_000  # alleles in the table; of more, those with the largest |first score|
_BINS = 40


class Column(NamedTuple):
    """A score in the VCF: its key in INFO, whether it is of numbers, and what its header line says."""

    key: str
    numeric: bool
    meaning: str

    @property
    def name(self) -> str:
        return self.key.removeprefix("GF_")


class Figure(NamedTuple):
    """A picture of the page."""

    title: str
    png: bytes


class Scored(NamedTuple):
    """The alleles of a scored VCF: places, statuses and scores in rows, and what INFO says besides."""

    columns: list[Column]
    rows: list[list[Any]]  # chrom, pos, id, ref, alt, status, then a value a column (None where missing), then INFO
    version: str


FIXED = ("chrom", "pos", "id", "ref", "alt", "status")


def read_scored(path: Path) -> Scored:
    """Reads what `score` wrote as VCF; FileFormatError where it has no scores."""
    rows: list[list[Any]] = []
    with open_vcf(path) as file:
        columns, version = _columns(file.header)
        if not columns:
            raise FileFormatError(f"{path} has no scores; give a VCF that `genoformer score` wrote.")
        for record in file:
            fields = record.line.split("\t")
            info = dict(item.partition("=")[::2] for item in fields[7].split(";")) if len(fields) > 7 else {}
            rest = ";".join(f"{k}={v}" if v else k for k, v in info.items() if not k.startswith("GF_") and k != ".")
            statuses = info.get("GF_STATUS", "")
            for i, alt in enumerate(record.alts):
                values = [_value(info.get(column.key, ""), i, numeric=column.numeric) for column in columns]
                known = any(value is not None for value in values)
                status = "OK" if known else statuses or "NONE"
                rows.append([record.chrom, record.pos, fields[2], record.ref, alt, status, *values, rest])
    return Scored(columns, rows, version)


def _columns(header: Sequence[str]) -> tuple[list[Column], str]:
    found, version = [], ""
    for line in header:
        match = re.match(r'##INFO=<ID=(GF_[^,]+),Number=A,Type=(\w+),Description="(.*?)"', line)
        if match and match[1] != "GF_STATUS":
            found.append(Column(match[1], match[2] == "Float", match[3]))
        if line.startswith("##genoformer"):
            version += (" · " if version else "") + line[2:]
    return found, version


def _value(text: str, i: int, *, numeric: bool) -> Any:
    values = text.split(",")
    if i >= len(values) or values[i] in ("", "."):
        return None
    if not numeric:
        return values[i]
    try:
        number = float(values[i])
    except ValueError:
        return None
    return number if np.isfinite(number) else None  # JSON has no others


def write_report(scored: Scored, output: Path, *, title: str, figures: Sequence[Figure] = (), most: int = MOST) -> int:
    """Write the page; how many alleles its table has, `most` of them at the most."""
    rows = scored.rows
    if len(rows) > most:
        first = len(FIXED)
        rows = sorted(rows, key=lambda row: -abs(row[first] if isinstance(row[first], float) else 0.0))[:most]
    names = [*FIXED, *(column.name for column in scored.columns), "INFO"]
    data = {
        "names": names,
        "numeric": [name == "pos" for name in FIXED] + [column.numeric for column in scored.columns] + [False],
        "meanings": [""] * len(FIXED) + [column.meaning for column in scored.columns] + ["what the VCF says besides"],
        "rows": rows,
    }
    counts = Counter(str(row[len(FIXED) - 1]) for row in scored.rows)
    parts = {
        "TITLE": html.escape(title),
        "VERSION": html.escape(scored.version),
        "SUMMARY": "".join(f"<tr><td>{html.escape(k)}</td><td>{n:,}</td></tr>" for k, n in counts.most_common()),
        "SHOWN": f"{len(rows):,} of {len(scored.rows):,} alleles" + ("" if len(rows) == len(scored.rows) else
                 f", those with the largest |{html.escape(scored.columns[0].name)}|"),
        "DISTRIBUTIONS": "".join(_histogram(scored, i) for i, column in enumerate(scored.columns) if column.numeric),
        "FIGURES": "".join(
            f"<figure><figcaption>{html.escape(f.title)}</figcaption>"
            f'<img alt="{html.escape(f.title)}" src="data:image/png;base64,{base64.b64encode(f.png).decode()}"></figure>'
            for f in figures
        ),
        "DATA": _json(data),
    }  # fmt: skip
    page = files("genoformer").joinpath("report.html").read_text(encoding="utf-8")
    with whole_file(output) as part:
        part.write_text(re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], page), encoding="utf-8")
    return len(rows)


def _json(data: object) -> str:
    """JSON that ends no script element, whatever is in it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _histogram(scored: Scored, i: int) -> str:
    """Bars as SVG; beyond the outer permille all in the last bar."""
    values = np.array([row[len(FIXED) + i] for row in scored.rows if row[len(FIXED) + i] is not None], dtype=float)
    values = values[np.isfinite(values)]
    column = scored.columns[i]
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
