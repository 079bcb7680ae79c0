"""A scored VCF -> alleles, figures of the strongest -> one self-contained HTML page."""

from genoformer.report.page import Figure, write_page
from genoformer.report.run import make_report
from genoformer.report.scored import MOST, Column, Scored, read_scored

__all__ = ["MOST", "Column", "Figure", "Scored", "make_report", "read_scored", "write_page"]
