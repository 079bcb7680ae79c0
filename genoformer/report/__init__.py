"""HTML report of a scored VCF: VCF -> alleles and figures of the strongest -> one self-contained page."""

from genoformer.report.run import ReportRequest, make_report
from genoformer.report.scored import read_scored

__all__ = ["ReportRequest", "make_report", "read_scored"]
