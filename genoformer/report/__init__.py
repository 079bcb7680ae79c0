"""HTML report of a scored VCF: VCF -> alleles and figures of the strongest -> one self-contained page.

`genoformer.report(scored, page)` writes the page: the package can be called.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from genoformer.option_checks import names_unknown_options
from genoformer.report.run import ReportRequest, make_report
from genoformer.report.scored import read_scored
from genoformer.report.written import Report, write_report

__all__ = ["Report", "ReportRequest", "make_report", "read_scored"]


class _Report(ModuleType):
    """The package of the report, which writes one when it is called."""

    @names_unknown_options("report")
    def __call__(
        self,
        scored: str | Path,
        output: str | Path,
        model: str | Path | Sequence[str | Path] = (),
        fasta: str | Path | None = None,
        **options: Any,
    ) -> Report:
        """Write the HTML page of a scored VCF: see `genoformer.api.variants.report`."""
        return write_report(scored, output, model, fasta, **options)

    def __repr__(self) -> str:
        return "<genoformer.report: call it to write the page of a scored VCF; the package of its parts>"


sys.modules[__name__].__class__ = _Report
