"""Rows of UCSC's tables without column names -> their layout, for tables with contig and positions in other columns than BED.

RepeatMasker (rmsk: bin, scores, genoName, genoStart, genoEnd ...) and genePred (refGene, knownGene ...: name, chrom, strand,
txStart, txEnd ...; with or without bin). They count from 0.
"""

from __future__ import annotations

from genoformer.formats.bed_layout import Layout, most
from genoformer.genome.digits import WHOLE

_STRANDS = ("+", "-")
_RMSK_WHOLE = (0, 1, 2, 3, 4, 6, 7, 8)  # bin, four scores, genoStart, genoEnd, genoLeft
_GENE_PRED_WHOLE = (3, 4, 5, 6, 7)  # txStart, txEnd, cdsStart, cdsEnd, exonCount, after name, chrom and strand


def ucsc_layout(rows: list[list[str]]) -> Layout | None:
    """Return the layout of such a table; None for any other.

    >>> rmsk = "585|463|13|6|17|chr1|1000|1350|-248945922|+|AluY|SINE|Alu|1|463|0|1".split("|")
    >>> layout = ucsc_layout([rmsk])
    >>> [rmsk[at] for at in (layout.chrom, layout.start, layout.end, layout.name, layout.strand)]
    ['chr1', '1000', '1350', 'AluY', '+']
    """
    if most(rows, _is_rmsk):
        return Layout("UCSC's table of repeats (rmsk)", 5, 6, 7, 10, None, 9, colour=None)
    for by in (0, 1):
        if most(rows, lambda row: _is_gene_pred(row[by:])):  # noqa: B023  # used immediately
            return Layout("UCSC's table of genes (genePred)", 1, 3, 4, 0, None, 2, colour=None).shifted(by)
    return None


def _is_rmsk(row: list[str]) -> bool:
    return len(row) == 17 and row[9] in _STRANDS and _are_whole(row, _RMSK_WHOLE) and not WHOLE.fullmatch(row[10])


def _is_gene_pred(row: list[str]) -> bool:
    if len(row) < 10 or row[2] not in _STRANDS or not _are_whole(row, _GENE_PRED_WHOLE):
        return False
    return all(text.replace(",", "").isdecimal() for text in row[8:10])  # starts and ends of exons


def _are_whole(row: list[str], columns: tuple[int, ...]) -> bool:
    return all(WHOLE.fullmatch(row[at]) for at in columns)
