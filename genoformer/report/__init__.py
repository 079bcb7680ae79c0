"""HTML report of a scored VCF: VCF -> alleles and figures of the strongest -> one self-contained page.

`genoformer.report(scored, page)` writes the page: the package can be called.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from genoformer.report.run import Report, ReportRequest, make_report
from genoformer.report.scored import read_scored

__all__ = ["Report", "ReportRequest", "make_report", "read_scored"]


class _Report(ModuleType):
    """The package of the report, which writes one when it is called."""

    def __call__(
        self,
        scored: str | Path,
        output: str | Path,
        model: str | Path | Sequence[str | Path] = (),
        fasta: str | Path | None = None,
        **options: Any,
    ) -> Report:
        """Write the HTML page of a scored VCF, as `genoformer report`, and return its path and counts.

        scored: output of `genoformer score`. model, with fasta: draws the predictions for both alleles of the strongest
        variants; several models form an ensemble. options: title, top (number of variants to draw), flank (bases on either
        side), most (alleles in the table), contexts; see `ReportRequest`.

        Raises: FileFormatError for a file without scores; ConfigError for a model without a genome, and for a table in memory.
        """
        request = ReportRequest.from_names(scored, output, model, fasta, **options)
        return Report(request.output, *make_report(request))

    def __repr__(self) -> str:
        return "<genoformer.report: call it to write the page of a scored VCF; the package of its parts>"


sys.modules[__name__].__class__ = _Report
