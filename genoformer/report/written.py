"""Report for notebooks: names and paths -> request -> the page, with its counts and a link to it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from genoformer.errors import ConfigError
from genoformer.genome.wording import counted
from genoformer.progress import ProgressCallback
from genoformer.report.run import ReportRequest, make_report


class Report(NamedTuple):
    """The page that `genoformer.report` wrote, with its counts.

    >>> Report(Path("page.html"), 10, 12, 6)
    Report(page.html: 10 of 12 alleles, 6 drawn)
    """

    path: Path
    n_rows: int
    n_alleles: int
    n_figures: int

    def __repr__(self) -> str:
        return f"Report({self.path}: {self.n_rows:,} of {counted(self.n_alleles, 'allele')}, {self.n_figures:,} drawn)"

    def _repr_html_(self) -> str:
        return f'<p>{escape(repr(self))}: <a href="{escape(str(self.path), quote=True)}">open</a></p>'


def write_report(
    scored: str | Path,
    output: str | Path,
    model: str | Path | Sequence[str | Path] = (),
    fasta: str | Path | None = None,
    contexts: str | Path | None = None,
    *,
    progress: ProgressCallback = None,
    **options: Any,
) -> Report:
    """Write the page of a scored VCF; options: other fields of `ReportRequest`. Raises ConfigError for a table in memory."""
    if not isinstance(scored, str | Path):
        raise ConfigError(f"scored is a {type(scored).__name__}; give the file that `genoformer score -o` wrote.")
    models = (model,) if isinstance(model, str | Path) else tuple(model)
    genome, table, genes = (None if path is None else Path(path) for path in (fasta, contexts, options.pop("gtf", None)))
    elements = options.pop("elements", ())
    options["elements"] = (elements,) if isinstance(elements, str) else tuple(map(str, elements))
    request = ReportRequest(Path(scored), Path(output), models=models, fasta=genome, contexts=table, gtf=genes, **options)
    return Report(request.output, *make_report(request, progress=progress))
