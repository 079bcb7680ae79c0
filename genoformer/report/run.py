"""A scored VCF, and perhaps the model and genome of its scores -> the page."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from genoformer.errors import ConfigError
from genoformer.genome.preflight import preflight
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.interpretation.explain import Explained, explain
from genoformer.interpretation.figures import draw_explained
from genoformer.models import checkpoint
from genoformer.progress import Listener, Progress
from genoformer.report.page import Figure, write_page
from genoformer.report.scored import FIXED, MOST, Scored, read_scored

_LONGEST = 30  # bases of an allele that is drawn


class Written(NamedTuple):
    """What became of a report: alleles in its table, of how many, and figures."""

    n_rows: int
    n_alleles: int
    n_figures: int


def make_report(
    scored: Path, output: Path, *, title: str | None = None, model: str | Path | None = None, fasta: Path | None = None,
    top: int = 6, flank: int = 25, most: int = MOST, listen: Listener = None,
) -> Written:  # fmt: skip
    """One HTML page of a VCF that `score` wrote.

    With its genome also what the preflight says, with its model, too, figures of the strongest alleles.

    Parameters: top, alleles that are drawn, each place once; flank, bases on either side; most, alleles of the table.
    Raises FileFormatError for a VCF without scores, ConfigError for a model without a genome.
    """
    if model is not None and fasta is None:
        raise ConfigError("figures need the genome as well as the model; give it with -f.")
    found = read_scored(scored, most)
    genome = Genome(fasta) if fasta is not None else None
    checked = preflight(scored, genome, max_length=sys.maxsize).table() if genome is not None else ""
    figures = _figures(found, model, genome, top, flank, listen) if model is not None and genome is not None else []
    n = write_page(found, output, title=title or scored.name, figures=figures, preflight=checked)
    return Written(n, found.n_alleles, len(figures))


def _figures(found: Scored, model: str | Path, genome: Genome, top: int, flank: int, listen: Listener) -> list[Figure]:
    loaded = checkpoint.load_scoring(model)
    header = dict(found.made_by).get("model", "")
    other = bool(header and loaded.sha256) and loaded.sha256 not in header
    remark = f" Drawn by {model}, which did not make these scores." if other else ""
    score = found.scores[0]
    keys = [column.key for column in found.scores]
    of_track = len(FIXED) + keys.index(f"{score.key}_TRACK") if f"{score.key}_TRACK" in keys else None
    fix = len(FIXED) + keys.index("GF_FIX") if "GF_FIX" in keys else None
    made: dict[tuple[str, int], Figure] = {}
    with tempfile.TemporaryDirectory() as folder:
        for row in found.strongest(len(found.rows)):
            if len(made) == top:
                break
            chrom, pos, name, ref, alt, value = row[0], row[1], row[2], row[3], row[4], row[6]
            if (chrom, pos) in made or not _drawable(ref, alt):
                continue
            if fix is not None and row[fix] is not None:
                continue  # its letters are not those that were scored
            variant = Variant(genome.resolve(chrom), pos, ref.upper(), alt.upper())
            explained: Explained = explain(
                loaded, genome, variant, flank=flank, head=found.options.get("head"),
                track=row[of_track] if of_track is not None else None,
                both_strands=found.options.get("strands", "both") == "both",
            )  # fmt: skip
            draw_explained(Path(folder) / "figure", explained)
            known = f" {name}" if name not in ("", ".") else ""
            title = f"{chrom}:{pos:,} {_short(ref)}>{_short(alt)}{known}, {score.name} {value:.3g}"
            made[chrom, pos] = Figure(title, explained.meaning + remark, (Path(folder) / "figure.png").read_bytes())
            if listen:
                listen(Progress("figures", len(made), top))
    return list(made.values())


def _drawable(ref: str, alt: str) -> bool:
    """Sequences that can be read as letters."""
    return set(ref.upper() + alt.upper()) <= set("ACGT") and max(len(ref), len(alt)) <= _LONGEST


def _short(allele: str) -> str:
    return allele if len(allele) <= 12 else f"{allele[:8]}... ({len(allele)} bases)"
