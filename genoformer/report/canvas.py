"""Tracks of both alleles, maps of bases, genes and elements -> the scene of a zoomable canvas, which canvas.js draws.

Arrays go into the page as base64 of little-endian float32: the numbers of the run, without rounding to decimals.
"""

from __future__ import annotations

import base64
import html
import json
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoformer.genome.codes import Codes, decode
from genoformer.genome.genes import VisibleAnnotation
from genoformer.genome.variants import Alleles
from genoformer.genome.wording import without_empty_items
from genoformer.interpretation.explanation import AlleleTracks, VariantExplanation
from genoformer.tables import rounded

_MOST_BINS = 6_144  # bins of a track that are kept as they are, the number of Borzoi
_FINE, _COARSE = 4_096, 2_048  # of a longer track: bins around the variant, and at most so many means for the whole


class Row(Protocol):
    """Row of a canvas."""

    def data(self) -> dict[str, Any]: ...
    def text(self) -> str: ...  # in words


class TrackRow(NamedTuple):
    """A predicted track in bins of one size, for one allele or for both."""

    label: str
    unit: str
    start: int  # of the first bin on the contig
    bin_size: int
    ref: NDArray[np.floating]  # [N]
    alt: NDArray[np.floating] | None = None  # [N]
    centre: int | None = None  # base around which a long track keeps its bins; None: the middle

    def data(self) -> dict[str, Any]:
        return {"kind": "track", "label": self.label, "unit": self.unit, "pieces": self._pieces()}

    def _pieces(self) -> list[dict[str, Any]]:
        """Return the bins; of a long track the means of neighbouring bins, and the bins around the centre as they are."""
        n = len(self.ref)
        if n <= _MOST_BINS:
            return [self._piece(0, n)]
        middle = n // 2 if self.centre is None else (self.centre - self.start) // self.bin_size
        first = min(max(middle - _FINE // 2, 0), n - _FINE)
        return [self._piece(0, n, -(-n // _COARSE)), self._piece(first, first + _FINE)]

    def _piece(self, low: int, high: int, together: int = 1) -> dict[str, Any]:
        piece = {"start": self.start + low * self.bin_size, "bin": self.bin_size * together}
        sides = {"ref": self.ref, "alt": self.alt}
        means = {name: _means(side[low:high], together) for name, side in sides.items() if side is not None}
        return piece | {name: packed(values) for name, values in means.items()}

    def text(self) -> str:
        if not np.isfinite(self.ref).any():
            return f"{self.label} ({self.unit}): no bin has a value."
        at = self._place(int(np.nanargmax(self.ref)))
        text = f"{self.label} ({self.unit}): the reference is at most {rounded(float(np.nanmax(self.ref)))}, at {at}"
        if self.alt is None:
            return f"{text}."
        change = np.asarray(self.alt, dtype=float) - self.ref
        most = int(np.abs(change).argmax())
        if change[most] == 0:
            return f"{text}; ALT is equal everywhere."
        return f"{text}; the largest ALT - REF is {rounded(float(change[most]))}, at {self._place(most)}."

    def _place(self, i: int) -> str:
        return f"{self.start + i * self.bin_size + 1:,}"


class Change(NamedTuple):
    """Alleles in the row of ALT: index of REF, lengths of REF and ALT, and index of ALT."""

    ref_start: int
    n_ref: int
    n_alt: int
    alt_start: int

    @classmethod
    def of_alleles(cls, alleles: Alleles) -> Change:
        """Return the change of an insertion or deletion; an allele without bases gets the base before it.

        >>> Change.of_alleles(Alleles(np.zeros(9), np.zeros(9), 4, 2, 0, 3))
        Change(ref_start=3, n_ref=1, n_alt=4, alt_start=1)
        """
        lead = int(not alleles.ref_length and min(alleles.ref_start, alleles.alt_start) > 0)
        starts = alleles.ref_start - lead, alleles.alt_start - lead
        return cls(starts[0], alleles.ref_length + lead, alleles.alt_length + lead, starts[1])


class BasesRow(NamedTuple):
    """A number for each base of a sequence, drawn as letters."""

    label: str
    unit: str
    start: int  # of the first base on the contig
    codes: Codes  # [L]
    values: NDArray[np.floating]  # [L]
    change: Change | None = None  # of ALT
    scale: str = ""  # rows with the same word have one scale, so that alleles can be compared

    def data(self) -> dict[str, Any]:
        row = {"kind": "bases", "label": self.label, "unit": self.unit, "start": self.start, "text": decode(self.codes)}
        changed = {"change": list(self.change)} if self.change is not None else {}
        return row | {"values": packed(self.values), "scale": self.scale} | changed

    def text(self) -> str:
        if not np.isfinite(self.values).any():
            return f"{self.label} ({self.unit}): no base has a value."
        at = int(np.nanargmax(np.abs(self.values)))
        base, value = decode(self.codes[at : at + 1]), rounded(float(self.values[at]))
        return f"{self.label} ({self.unit}): the largest value is {value}, of base {at + 1:,} of the sequence, {base}."


class ChangesRow(NamedTuple):
    """The value of each single-base change, drawn as cells."""

    label: str
    unit: str
    start: int
    codes: Codes  # [L]
    values: NDArray[np.floating]  # [L, 4]: base -> A, C, G, T

    def data(self) -> dict[str, Any]:
        row = {"kind": "changes", "label": self.label, "unit": self.unit, "start": self.start, "text": decode(self.codes)}
        return row | {"values": packed(self.values)}

    def text(self) -> str:
        if not np.isfinite(self.values).any():
            return f"{self.label}: no change has a value."
        at, base = np.unravel_index(int(np.nanargmax(np.abs(self.values))), self.values.shape)
        change = f"{self.start + int(at) + 1:,} {decode(self.codes[at : at + 1])}>{'ACGT'[base]}"
        return f"{self.label}: the largest value is {rounded(float(self.values[at, base]))}, of {change}."


class Mark(NamedTuple):
    """A variant on a canvas."""

    start: int
    end: int
    label: str  # such as A>G


class Scene(NamedTuple):
    """Contents of a canvas: the bases [start, end) of a contig, and those that are shown first."""

    title: str
    chrom: str
    start: int
    end: int
    rows: Sequence[Row]
    view: tuple[int, int] | None = None  # None: all
    variant: Mark | None = None
    annotation: VisibleAnnotation | None = None
    has_genes: bool = False  # True: the row of genes is drawn, also if there are none

    def data(self, name: str) -> dict[str, Any]:
        """Return the scene as JSON holds it; name: prefix of the ids of its elements in the page."""
        genes, elements = ([], {}) if self.annotation is None else (self.annotation.genes, self.annotation.elements)
        return {
            "id": name,
            "title": self.title,
            "chrom": self.chrom,
            "start": self.start,
            "end": self.end,
            "view": None if self.view is None else list(self.view),
            "variant": None if self.variant is None else self.variant._asdict(),
            "genes": [{"name": g.name, "strand": g.strand, "exons": g.exons.tolist()} for g in genes]
            if self.has_genes
            else None,
            "elements": [{"name": kind, "intervals": spans.tolist()} for kind, spans in elements.items()],
            "rows": [row.data() for row in self.rows],
        }

    def text(self) -> str:
        """Return the contents in words, for readers of text."""
        parts = [f"{self.chrom}:{self.start + 1:,}-{self.end:,}."]
        if self.annotation is not None and self.has_genes:
            names = [f"{gene.name} ({gene.strand})" for gene in self.annotation.genes]
            parts.append(f"Genes: {', '.join(names) or 'none'}.")
        for kind, spans in (self.annotation.elements if self.annotation is not None else {}).items():
            parts.append(f"Elements of {kind}: {len(spans):,}.")
        return " ".join([*parts, *(row.text() for row in self.rows)])


def packed(values: ArrayLike) -> str:
    """Return numbers as base64 of little-endian float32.

    >>> packed([1.0, 2.0])
    'AACAPwAAAEA='
    """
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode("ascii")


def unpacked(text: str) -> NDArray[np.float32]:
    """Return the numbers of `packed`, in one dimension."""
    return np.frombuffer(base64.b64decode(text), dtype="<f4")


def _means(values: NDArray[np.floating], together: int) -> NDArray[np.floating]:
    """Return the means of neighbouring values; the last may be of fewer."""
    if together == 1:
        return values
    starts = np.arange(0, len(values), together)
    n = np.diff(np.append(starts, len(values)))
    means: NDArray[np.floating] = np.add.reduceat(np.asarray(values, dtype=float), starts) / n
    return means


def track_rows(tracks: Sequence[AlleleTracks], centre: int | None = None) -> list[TrackRow]:
    """Return the rows of the tracks of an explanation."""
    labels = distinct_labels([of.label for of in tracks], [of.name for of in tracks])
    return [
        TrackRow(label, of.unit, int(of.edges[0]), int(of.edges[1] - of.edges[0]), of.ref, of.alt, centre)
        for label, of in zip(labels, tracks, strict=True)
    ]


def distinct_labels(descriptions: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the descriptions of tracks, with their names where several have one description, such as both strands of CAGE.

    >>> distinct_labels(["CAGE:liver", "CAGE:liver", "DNASE:liver"], ["CNhs1+", "CNhs1-", "ENCFF1"])
    ['CAGE:liver (CNhs1+)', 'CAGE:liver (CNhs1-)', 'DNASE:liver']
    """
    n = Counter(descriptions)
    pairs = zip(descriptions, names, strict=True)
    return [
        f"{without_empty_items(text)} ({name})" if n[text] > 1 and name else without_empty_items(text) for text, name in pairs
    ]


def explained_scene(
    explained: VariantExplanation, title: str, annotation: VisibleAnnotation | None = None, *, has_genes: bool = False
) -> Scene:
    """Return the scene of a variant explained by a track model: its tracks in the whole window, first the bins around it.

    annotation: genes and elements of the window.
    """
    tracks, alleles, locus = explained.tracks, explained.locus.alleles, explained.locus
    assert tracks is not None
    assert alleles is not None
    start = locus.start + alleles.ref_start
    whole, near = explained.windows[0].edges, tracks.edges
    return Scene(
        title,
        locus.chrom,
        int(whole[0]),
        int(whole[-1]),
        track_rows(explained.windows, start),
        (int(near[0]), int(near[-1])),
        Mark(start, start + alleles.ref_length, ">".join(explained.shown)),
        annotation,
        has_genes,
    )


def safe_json(data: object) -> str:
    """Return JSON without characters that could end a script element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def canvas_html(scene: Scene, name: str) -> str:
    """Return the element of a canvas, its data and its text; name: prefix of the ids, one for each canvas of a page."""
    title, text = html.escape(scene.title), html.escape(scene.text())
    without = "<noscript>The canvas needs JavaScript.</noscript>"
    return (
        f'<div class="canvas" id="{name}" role="group" aria-label="{title}">{without}</div>'
        f'<script type="application/json" class="scene">{safe_json(scene.data(name))}</script>'
        f'<details class="canvas-text"><summary>The canvas in words</summary><p id="{name}-text">{text}</p></details>'
    )


def canvas_files() -> tuple[str, str]:
    """Return the style and the code of the canvas."""
    folder = files("genoformer.report")
    style, *code = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("canvas.css", "canvas_rows.js", "canvas.js"))
    return style, "\n".join(code)
