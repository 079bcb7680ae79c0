"""A scored VCF, and optionally the genome and model of its scores -> the HTML page."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from genoformer.errors import ConfigError
from genoformer.genome.preflight import FIXES, preflight
from genoformer.genome.reference import Genome
from genoformer.inference import evaluating
from genoformer.interpretation.explain import Printed, explain
from genoformer.interpretation.figures import draw_explained
from genoformer.models import registry
from genoformer.models.base import SCORES_VARIANTS
from genoformer.progress import Progress, ProgressCallback
from genoformer.report.meant import Meant
from genoformer.report.page import Figure, write_page
from genoformer.report.remade import remade
from genoformer.report.scored import BELOW, FIXED, MOST, Scored, read_scored
from genoformer.scoring.scores import SCORES
from genoformer.tables import rounded

_LONGEST = 30  # maximum number of bases of a drawn allele


class Written(NamedTuple):
    """Counts of a report: alleles in the table, all alleles, and figures."""

    n_rows: int
    n_alleles: int
    n_figures: int


def make_report(
    scored: Path,
    output: Path,
    *,
    title: str | None = None,
    model: str | Path | Sequence[str | Path] | None = None,
    fasta: Path | None = None,
    top: int = 6,
    flank: int = 25,
    most: int = MOST,
    progress: ProgressCallback = None,
) -> Written:
    """Write one HTML page of a VCF that `score` wrote.

    With the genome, the page includes the preflight table. With the model (or the models of the ensemble) as well, it includes
    figures of the strongest alleles; alleles below the noise floor are drawn only if no allele is above it.

    Parameters: top, number of alleles to draw, at most one for each position; flank, bases on either side; most, maximum number
    of alleles in the table.
    Raises FileFormatError for a VCF without scores, ConfigError for a model without a genome.
    """
    if model is not None and fasta is None:
        raise ConfigError("figures need the genome as well as the model; give it with -f.")
    found = read_scored(scored, most)
    genome = Genome(fasta) if fasta is not None else None
    checked = preflight(scored, genome, max_length=sys.maxsize, asked=_asked(found)).table() if genome is not None else ""
    names = [] if model is None else [model] if isinstance(model, str | Path) else list(model)
    figures = _figures(scored, found, names, genome, top, flank, progress) if names and genome is not None else []
    n = write_page(found, output, title=title or scored.name, figures=figures, preflight=checked)
    return Written(n, found.n_alleles, len(figures))


def _figures(
    scored: Path, found: Scored, names: Sequence[str | Path], genome: Genome, top: int, flank: int, progress: ProgressCallback
) -> list[Figure]:
    models = [registry.load(name, SCORES_VARIANTS) for name in names]
    of = remade(found.options, dict(found.made_by).get("model", ""), models, "+".join(map(str, names)), genome)
    remarks = "".join(f" {remark}" for remark in of.remarks)
    strongest = found.strongest(len(found.rows))
    keys = [column.key for column in found.scores]
    fix = len(FIXED) + keys.index("GF_FIX") if "GF_FIX" in keys else None
    meant = Meant(scored, found.rows, fix, genome)
    made: dict[tuple[str, int], Figure] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for model in models:
            stack.enter_context(evaluating(model))
        for row, which in strongest.rows:
            if len(made) == top:
                break
            chrom, pos, name, ref, alt = row[:5]
            word = row[fix] if fix is not None else None
            variant = meant.variant(row, word)
            if (chrom, pos) in made or variant is None or not _drawable(variant.ref, variant.alt):
                continue
            score, value = found.scores[which], row[len(FIXED) + which]
            track, error, flag = (found.column_of(what, which) for what in ("TRACK", "SE", "NOISE"))
            printed = None
            if score.name in SCORES:
                of_track = row[track] if track is not None else None
                printed = Printed(SCORES[score.name], value, of_track, of.same_models)
            explained = explain(of.scorer, variant, flank=flank, printed=printed)
            draw_explained(folder / "figure", explained)
            known = f" {name}" if name not in ("", ".") else ""
            more = f" ± {rounded(row[error])} (standard error over shifts)" if error is not None else ""
            more += ", below the noise floor" if flag is not None and row[flag] == BELOW else ""
            read = f", read as {variant.pos:,} {_short(variant.ref)}>{_short(variant.alt)} ({word})" if word is not None else ""
            title = f"{chrom}:{pos:,} {_short(ref)}>{_short(alt)}{known}{read}, {score.name} {rounded(value)}{more}"
            made[chrom, pos] = Figure(title, explained.meaning + remarks, (folder / "figure.png").read_bytes())
            if progress:
                progress(Progress("figures", len(made), top))
    return list(made.values())


def _asked(found: Scored) -> tuple[str, ...]:
    """Return the fixes named in the header that this version knows."""
    return tuple(name for name in found.options.get("fix", "").split(",") if name in FIXES)


def _drawable(ref: str, alt: str) -> bool:
    """True for alleles of A, C, G and T that are short enough to draw as letters."""
    return set(ref.upper() + alt.upper()) <= set("ACGT") and max(len(ref), len(alt)) <= _LONGEST


def _short(allele: str) -> str:
    return allele if len(allele) <= 12 else f"{allele[:8]}... ({len(allele)} bases)"
