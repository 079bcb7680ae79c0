"""A scored VCF or table, and optionally the genome and model of its scores -> the HTML page."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from genoformer.annotation.genes import read_gene_map
from genoformer.errors import OptionError
from genoformer.formats.remote import local_copy
from genoformer.genome.preflight import FIXES, preflight
from genoformer.genome.reference import Genome
from genoformer.interpretation.allele_ism import LOGOS, Logos
from genoformer.option_checks import check_choice
from genoformer.progress import Progress, ProgressCallback
from genoformer.report.cards import Card, CardMaker
from genoformer.report.drawer import Drawer, Drawing
from genoformer.report.landmarks import Landmarks
from genoformer.report.links import human_build
from genoformer.report.meant import Meant
from genoformer.report.page import write_page
from genoformer.report.scored import FIXED, MOST, Scored, read_scored
from genoformer.scoring.scores import SCORES
from genoformer.writers.scored_tables import scored_vcf

_LONGEST = 30  # maximum number of bases of a drawn allele


@dataclass(frozen=True)
class ReportRequest:
    """Description of a report: a scored VCF and the page to write."""

    scored: Path  # VCF, TSV or Parquet that `score` wrote, also its address (https, s3)
    output: Path
    title: str | None = None  # None: the name of the file
    models: tuple[str | Path, ...] = ()  # models that draw figures, with a genome; several form an ensemble
    fasta: Path | None = None  # genome; the page reports how the VCF fits it
    top: int = 6  # alleles to draw, at most one per position
    flank: int = 25  # bases to draw on either side
    most: int = MOST  # maximum number of alleles in the table
    gtf: Path | None = None  # genes (GTF or GFF3): the top variants get their gene and nearest TSS
    elements: tuple[str, ...] = ()  # BED files, or NAME=FILE, of the elements on the canvas of a track model
    logos: Logos = "auto"  # "ism", "gradient" (gradient x input, much faster), or ISM where it is quick
    device: str = "auto"  # of the models that draw figures
    contexts: Path | None = None  # table of the contexts of the scores, for models with contexts; None: those of their training


class ReportSummary(NamedTuple):
    """Counts of a report: alleles in the table, all alleles, and figures."""

    n_rows: int
    n_alleles: int
    n_figures: int


def make_report(request: ReportRequest, *, progress: ProgressCallback = None) -> ReportSummary:
    """Write one HTML page of a scored VCF, TSV or Parquet file.

    The page has a card for each of the strongest alleles; alleles below the noise floor get one only if no allele is above it.
    With the genome, the page includes the preflight table. With models as well, each card has a figure of both alleles.

    Raises FileFormatError for a VCF without scores, ConfigError for models without a genome.
    """
    if request.models and request.fasta is None:
        raise OptionError("fasta", "is missing, expected the genome, which figures need as well as the model; give it.")
    if request.contexts is not None and not request.models:
        raise OptionError("contexts", "needs a model that draws figures; give it, or leave the contexts out.")
    if request.elements and not request.models:
        raise OptionError("elements", "needs a track model that draws figures; give it, or leave the elements out.")
    check_choice("logos", request.logos, LOGOS)
    meanings = {name: score.meaning for name, score in SCORES.items()}
    with local_copy(request.scored) as path, scored_vcf(path, meanings) as vcf:
        return _make_report(replace(request, scored=vcf, title=request.title or path.name), progress)


def _make_report(request: ReportRequest, progress: ProgressCallback) -> ReportSummary:
    """Write the page of a VCF."""
    scored = read_scored(request.scored, request.most)
    genome = Genome(request.fasta) if request.fasta is not None else None
    genes = read_gene_map(request.gtf) if request.gtf is not None else None
    maker = CardMaker(scored, human_build(scored.contig_lengths if genome is None else genome.contigs), genes)
    table, warnings = "", list(genes.notes) if genes is not None else []
    if genome is not None:
        table = preflight(request.scored, genome, max_length=sys.maxsize, fix=_fixes(scored)).table()
    if genome is not None and request.models:
        drawing = Drawing(request.flank, request.logos, request.device)
        drawer = Drawer(request.models, request.contexts, scored, genome, drawing)
        cards = _drawn_cards(request, maker, drawer, Landmarks.read(genome, genes, request.elements), progress)
        warnings += drawer.warnings()
    else:
        cards = _plain_cards(request, maker)
    title = request.title or request.scored.name
    n = write_page(scored, request.output, title=title, cards=cards, warnings=warnings, preflight=table)
    return ReportSummary(n, scored.n_alleles, sum(card.figure is not None for card in cards))


def _fix_index(scored: Scored) -> int | None:
    """Return the index of GF_FIX in a row; None without that column."""
    keys = [column.key for column in scored.scores]
    return len(FIXED) + keys.index("GF_FIX") if "GF_FIX" in keys else None


def _plain_cards(request: ReportRequest, maker: CardMaker) -> list[Card]:
    """Return the cards of the strongest alleles without figures."""
    scored, fix = maker.scored, _fix_index(maker.scored)
    cards: dict[tuple[str, int], Card] = {}
    for row, which in scored.strongest(len(scored.rows)).rows:
        if len(cards) == request.top:
            break
        word = row[fix] if fix is not None else None
        cards.setdefault((row[0], row[1]), maker.card(row, which, None, word, None))
    return list(cards.values())


def _drawn_cards(
    request: ReportRequest, maker: CardMaker, drawer: Drawer, landmarks: Landmarks, progress: ProgressCallback
) -> list[Card]:
    """Return the cards of the strongest alleles that can be drawn, with their figures."""
    scored, fix = maker.scored, _fix_index(maker.scored)
    meant = Meant(request.scored, scored.rows, fix, drawer.genome)
    cards: dict[tuple[str, int], Card] = {}
    with drawer.ready():
        for row, which in scored.strongest(len(scored.rows)).rows:
            if len(cards) == request.top:
                break
            place = (row[0], row[1])
            word = row[fix] if fix is not None else None
            variant = meant.variant(row, word)
            if place in cards or variant is None or not _drawable(variant.ref, variant.alt):
                continue
            watch = _within_figures(progress, len(cards), request.top)
            figure = drawer.draw(variant, row, which, landmarks, progress=watch)
            cards[place] = maker.card(row, which, variant, word, figure)
            if progress:
                progress(Progress("figures", len(cards), request.top))
    return list(cards.values())


def _within_figures(progress: ProgressCallback, n_drawn: int, n: int) -> ProgressCallback:
    """Return a callback that shows the bases of ISM as a note of the figures; None without a callback."""
    if progress is None:
        return None
    return lambda event: progress(Progress("figures", n_drawn, n, f"ISM, base {event.done:,} of {event.total:,}"))


def _fixes(scored: Scored) -> tuple[str, ...]:
    """Return the fixes named in the header that this version knows."""
    return tuple(name for name in scored.options.get("fix", "").split(",") if name in FIXES)


def _drawable(ref: str, alt: str) -> bool:
    """True for alleles of A, C, G and T that are short enough to draw as letters."""
    return set(ref.upper() + alt.upper()) <= set("ACGT") and max(len(ref), len(alt)) <= _LONGEST
