"""A scored VCF or table, and optionally the genome and model of its scores -> the HTML page."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from genoformer.errors import OptionError
from genoformer.formats.context_table import open_contexts
from genoformer.formats.remote import local_copy
from genoformer.genome.preflight import FIXES, preflight
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.inference import evaluating
from genoformer.interpretation.explain import Printed, explain
from genoformer.interpretation.figures import draw_explained
from genoformer.models import registry
from genoformer.models.base import SCORES_VARIANTS
from genoformer.models.takes_contexts import with_contexts
from genoformer.progress import Progress, ProgressCallback
from genoformer.report.meant import Meant
from genoformer.report.page import Figure, write_page
from genoformer.report.remade import remade
from genoformer.report.scored import BELOW, FIXED, MOST, Scored, read_scored
from genoformer.scoring.scores import SCORES
from genoformer.tables import rounded
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
    contexts: Path | None = None  # table of the contexts of the scores, for models with contexts; None: those of their training


class ReportSummary(NamedTuple):
    """Counts of a report: alleles in the table, all alleles, and figures."""

    n_rows: int
    n_alleles: int
    n_figures: int


def make_report(request: ReportRequest, *, progress: ProgressCallback = None) -> ReportSummary:
    """Write one HTML page of a scored VCF, TSV or Parquet file.

    With the genome, the page includes the preflight table. With models as well, it includes figures of the strongest alleles;
    alleles below the noise floor are drawn only if no allele is above it.

    Raises FileFormatError for a VCF without scores, ConfigError for models without a genome.
    """
    if request.models and request.fasta is None:
        raise OptionError("fasta", "is missing, expected the genome, which figures need as well as the model; give it.")
    if request.contexts is not None and not request.models:
        raise OptionError("contexts", "needs a model that draws figures; give it, or leave the contexts out.")
    meanings = {name: score.meaning for name, score in SCORES.items()}
    with local_copy(request.scored) as path, scored_vcf(path, meanings) as vcf:
        return _make_report(replace(request, scored=vcf, title=request.title or path.name), progress)


def _make_report(request: ReportRequest, progress: ProgressCallback) -> ReportSummary:
    """Write the page of a VCF."""
    scored = read_scored(request.scored, request.most)
    genome = Genome(request.fasta) if request.fasta is not None else None
    figures: list[Figure] = []
    table = ""
    if genome is not None:
        table = preflight(request.scored, genome, max_length=sys.maxsize, fix=_fixes(scored)).table()
        figures = _figures(request, scored, genome, progress) if request.models else []
    title = request.title or request.scored.name
    n = write_page(scored, request.output, title=title, figures=figures, preflight=table)
    return ReportSummary(n, scored.n_alleles, len(figures))


def _figures(request: ReportRequest, scored: Scored, genome: Genome, progress: ProgressCallback) -> list[Figure]:
    loaded = [model for name in request.models for model in registry.load_members(name, SCORES_VARIANTS)]
    table = open_contexts(request.contexts)
    models = [with_contexts(model, table) for model in loaded]
    names = "+".join(map(str, request.models))
    of = remade(scored.options, dict(scored.made_by).get("model", ""), models, names, genome)
    remarks = "".join(f" {remark}" for remark in of.remarks)
    keys = [column.key for column in scored.scores]
    fix = len(FIXED) + keys.index("GF_FIX") if "GF_FIX" in keys else None
    meant = Meant(request.scored, scored.rows, fix, genome)
    figures: dict[tuple[str, int], Figure] = {}
    with ExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "figure"
        for model in models:
            stack.enter_context(evaluating(model))
        for row, which in scored.strongest(len(scored.rows)).rows:
            if len(figures) == request.top:
                break
            place = (row[0], row[1])
            word = row[fix] if fix is not None else None
            variant = meant.variant(row, word)
            if place in figures or variant is None or not _drawable(variant.ref, variant.alt):
                continue
            explained = explain(of.scorer, variant, flank=request.flank, printed=_printed(scored, row, which, of.same_models))
            draw_explained(path, explained, ["png"], dpi=200)
            title = _title(scored, row, which, variant, word)
            figures[place] = Figure(title, explained.meaning + remarks, path.with_suffix(".png").read_bytes())
            if progress:
                progress(Progress("figures", len(figures), request.top))
    return list(figures.values())


def _printed(scored: Scored, row: Sequence[Any], which: int, same_models: bool) -> Printed | None:
    """Return the score of a row as the file reports it; None for a score that this version does not know."""
    score = SCORES.get(scored.scores[which].name)
    if score is None:
        return None
    names = (scored.column_index(word, which) for word in ("TRACK", "CLASS"))
    output = next((row[column] for column in names if column is not None), None)
    return Printed(score, row[len(FIXED) + which], output, same_models)


def _title(scored: Scored, row: Sequence[Any], which: int, variant: Variant, word: str | None) -> str:
    """Return the title of a figure: the allele, its correction, and its score with error and flag."""
    chrom, pos, name, ref, alt = row[:5]
    error, flag = scored.column_index("SE", which), scored.column_index("NOISE", which)
    known = f" {name}" if name not in ("", ".") else ""
    more = f" ± {rounded(row[error])} (standard error over shifts)" if error is not None else ""
    more += ", below the noise floor" if flag is not None and row[flag] == BELOW else ""
    read = f", read as {variant.pos:,} {_short(variant.ref)}>{_short(variant.alt)} ({word})" if word is not None else ""
    score = f"{scored.scores[which].name} {rounded(row[len(FIXED) + which])}"
    return f"{chrom}:{pos:,} {_short(ref)}>{_short(alt)}{known}{read}, {score}{more}"


def _fixes(scored: Scored) -> tuple[str, ...]:
    """Return the fixes named in the header that this version knows."""
    return tuple(name for name in scored.options.get("fix", "").split(",") if name in FIXES)


def _drawable(ref: str, alt: str) -> bool:
    """True for alleles of A, C, G and T that are short enough to draw as letters."""
    return set(ref.upper() + alt.upper()) <= set("ACGT") and max(len(ref), len(alt)) <= _LONGEST


def _short(allele: str) -> str:
    return allele if len(allele) <= 12 else f"{allele[:8]}... ({len(allele)} bases)"
