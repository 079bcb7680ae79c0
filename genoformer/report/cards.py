"""Row of a strong allele -> its card: title, sentence, warnings, gene and TSS, annotations, links, figure."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from genoformer.annotation.genes import PARTS, GeneMap, nearest
from genoformer.genome.variants import Variant
from genoformer.report.canvas import Scene, canvas_html
from genoformer.report.links import Link, variant_links
from genoformer.report.scored import BELOW, FIXED, Scored
from genoformer.report.sentences import score_sentence
from genoformer.tables import rounded

_LONGEST = 12  # letters of an allele that are shown
_FACT = 200  # characters of an annotation that are shown
_GENE_KEYS = ("GF_PART", "GF_GENE", "GF_TSS", "GF_TSS_DISTANCE")


class Figure(NamedTuple):
    """A figure of a card, with its caption."""

    caption: str
    png: bytes
    output: str | None = None  # the track of the score with its description
    scene: Scene | None = None  # the canvas of a track model


class Card(NamedTuple):
    """A variant as the page shows it above the table."""

    title: str
    score: int  # index of the score that ranks it
    value: float
    sentence: str
    warnings: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    links: tuple[Link, ...]
    figure: Figure | None = None


@dataclass(frozen=True)
class CardMaker:
    """Maker of the cards of a scored file."""

    scored: Scored
    build: str | None = None  # hg19 or hg38: the variants get links
    genes: GeneMap | None = None  # None: the genes of the scored file, if it was annotated

    def card(self, row: Sequence[Any], which: int, variant: Variant | None, word: str | None, figure: Figure | None) -> Card:
        """Return the card of a row. which: index of its score. variant: the scored alleles, if known. word: GF_FIX."""
        value = row[len(FIXED) + which]
        column = self.scored.scores[which]
        names = (self.scored.column_index(suffix, which) for suffix in ("TRACK", "CLASS"))
        output = next((row[at] for at in names if at is not None), None)
        output = figure.output if figure is not None and figure.output else output
        alleles = (row[3], row[4]) if variant is None else (variant.ref, variant.alt)
        shown = short(alleles[0]), short(alleles[1])
        links = []
        if variant is not None or word is None:
            pos = row[1] if variant is None else variant.pos
            links = variant_links(self.build, row[0], pos, alleles, row[2])
        return Card(
            card_title(self.scored, row, which, variant, word),
            which,
            value,
            score_sentence(column.name, value, shown, output, column.meaning),
            tuple(self._warnings(row, which)),
            (*self._gene_facts(row), *self._annotations(row)),
            tuple(links),
            figure,
        )

    def _warnings(self, row: Sequence[Any], which: int) -> Iterator[str]:
        flag = self.scored.column_index("NOISE", which)
        if flag is not None and row[flag] == BELOW:
            yield (
                "Below the noise floor: moving the start of the window changes the score as much. Do not interpret its sign "
                "or size."
            )

    def _gene_facts(self, row: Sequence[Any]) -> Iterator[tuple[str, str]]:
        """Yield the gene parts that REF overlaps and the nearest TSS."""
        if self.genes is None:
            yield from _annotated_genes(self._keyed(row))
            return
        start, end = row[1] - 1, row[1] - 1 + len(row[3])
        pieces, sites = self.genes.on(row[0])
        if pieces is not None:
            touched = np.flatnonzero((pieces.intervals[:, 0] < end) & (pieces.intervals[:, 1] > start))
            parts = [f"{PARTS[pieces.part[i]]} of {self.genes.names[pieces.gene[i]]}" for i in touched.tolist()]
            yield "Gene", ", ".join(dict.fromkeys(parts)) or "intergenic"
        if sites is None or not len(sites.at):
            yield "Nearest TSS", f"{self.genes.file} has no TSS on {row[0]}"
            return
        site, distance = nearest(sites, np.array([start]), np.array([end]))
        yield "Nearest TSS", tss_text(self.genes.names[sites.gene[site[0]]], int(distance[0]))

    def _keyed(self, row: Sequence[Any]) -> dict[str, Any]:
        first = len(FIXED) + len(self.scored.scores)
        pairs = zip(self.scored.annotations, row[first:-1], strict=True)
        return {column.key: value for column, value in pairs if value is not None}

    def _annotations(self, row: Sequence[Any]) -> Iterator[tuple[str, str]]:
        """Yield annotations and look-ups of the record, and the rest of its INFO."""
        for key, value in self._keyed(row).items():
            if key not in _GENE_KEYS:
                text = rounded(value, ".6g") if isinstance(value, float) else str(value)
                yield key.removeprefix("GF_"), _cut(text)
        if row[-1]:
            yield "INFO", _cut(row[-1].replace(";", "; "))


def _annotated_genes(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the genes and the TSS of a file that `score -a genes.gtf` or `annotate` wrote."""
    parts, genes = (str(values.get(key, "")).split(",") for key in ("GF_PART", "GF_GENE"))
    if parts != [""]:
        pairs = [f"{part} of {gene}" if gene else part for part, gene in zip(parts, genes, strict=False)]
        yield "Gene", ", ".join(pairs)
    if "GF_TSS_DISTANCE" in values:
        yield "Nearest TSS", tss_text(str(values.get("GF_TSS", "a TSS")), int(float(values["GF_TSS_DISTANCE"])))


def tss_text(gene: str, distance: int) -> str:
    """Return the nearest TSS in words; the distance is negative upstream.

    >>> tss_text("SIRPA", -1500), tss_text("SIRPA", 0)
    ('SIRPA; the variant is 1,500 bases upstream', 'SIRPA; the variant is at the TSS')
    """
    side = "upstream" if distance < 0 else "downstream"
    where = f"{abs(distance):,} {'base' if abs(distance) == 1 else 'bases'} {side}" if distance else "at the TSS"
    return f"{gene}; the variant is {where}"


def card_title(scored: Scored, row: Sequence[Any], which: int, variant: Variant | None, word: str | None) -> str:
    """Return the title of a card: the allele, its correction, and its score with error and flag."""
    chrom, pos, name, ref, alt = row[:5]
    error, flag = scored.column_index("SE", which), scored.column_index("NOISE", which)
    known = f" {name}" if name not in ("", ".") else ""
    more = f" ± {rounded(row[error])} (standard error over shifts)" if error is not None else ""
    more += ", below the noise floor" if flag is not None and row[flag] == BELOW else ""
    read = ""
    if variant is not None and word is not None:
        read = f", read as {variant.pos:,} {short(variant.ref)}>{short(variant.alt)} ({word})"
    score = f"{scored.scores[which].name} {rounded(row[len(FIXED) + which])}"
    return f"{chrom}:{pos:,} {short(ref)}>{short(alt)}{known}{read}, {score}{more}"


def card_html(card: Card, number: int) -> str:
    """Return the HTML of a card; all text is escaped."""
    title, name = html.escape(card.title), f"variant-{number}"
    warnings = "".join(f'<p class="warning">{html.escape(text)}</p>' for text in card.warnings)
    facts = "".join(f"<div><dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd></div>" for k, v in card.facts)
    links = " ".join(
        f'<a href="{html.escape(link.address)}" target="_blank" rel="noopener noreferrer">{html.escape(link.text)}</a>'
        for link in card.links
    )
    parts = [
        f'<h3 id="{name}"><span class="rank">{number}</span> {title}</h3>{warnings}',
        f'<p class="sentence">{html.escape(card.sentence)}</p>' if card.sentence else "",
        f"<dl>{facts}</dl>" if facts else "",
        f'<p class="links">Open in {links}</p>' if links else "",
        canvas_html(card.figure.scene, f"canvas-{number}") if card.figure is not None and card.figure.scene else "",
        _figure_html(card.figure, title) if card.figure is not None else "",
    ]
    return f'<article class="variant" aria-labelledby="{name}">{"".join(parts)}</article>'


def _figure_html(figure: Figure, title: str) -> str:
    image = f'<img alt="Figure of {title}" src="data:image/png;base64,{base64.b64encode(figure.png).decode()}">'
    return f"<figure>{image}<figcaption>{html.escape(figure.caption)}</figcaption></figure>"


def short(allele: str) -> str:
    """Return an allele, or its first bases and its length."""
    return allele if len(allele) <= _LONGEST else f"{allele[: _LONGEST - 4]}... ({len(allele)} bases)"


def _cut(text: str) -> str:
    return text if len(text) <= _FACT else f"{text[: _FACT - 3]}..."
