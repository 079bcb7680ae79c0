"""HTML report of a scored VCF: VCF -> alleles and figures of the strongest -> one self-contained page."""

from genoformer.report.page import Figure, write_page
from genoformer.report.run import ReportRequest, make_report
from genoformer.report.scored import MOST, Column, Scored, read_scored

__all__ = ["MOST", "Column", "Figure", "ReportRequest", "Scored", "make_report", "read_scored", "write_page"]
