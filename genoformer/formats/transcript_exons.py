"""Transcripts without exon lines -> exons inferred from their UTR, CDS and transcript lines, the same for every reader.

UTR and CDS lines that touch or overlap form one exon. The first and the last exon are extended to the limits of the
transcript line, so that the TSS is that of the transcript line. Without such a line, they end with UTR and CDS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

Key = tuple[str, str]  # contig, transcript
Span = tuple[int, int]  # 0-based, half-open

NO_STRAND = (".", "?", "*")  # symbols of an unknown strand; StringTie writes "." for single-exon transcripts
_UTR = re.compile(r"((five|three)_prime_)?utr|[53]'?[-_]?utr|utr[-_]?[53]", re.IGNORECASE)
_TRANSCRIPT = re.compile(r".*(RNA|transcript|gene_segment)|ribozyme", re.IGNORECASE)


def is_utr(kind: str) -> bool:
    """True if a line is a UTR by its kind, as in GENCODE, Ensembl, FlyBase and AUGUSTUS.

    >>> [is_utr(kind) for kind in ("five_prime_UTR", "three_prime_utr", "UTR", "5UTR", "3'-UTR", "CDS")]
    [True, True, True, True, True, False]
    """
    return bool(_UTR.fullmatch(kind))


def is_gene(kind: str) -> bool:
    """True if a line is a gene by its kind."""
    return kind == "gene"


def is_transcript(kind: str) -> bool:
    """True if a line is a transcript by its kind: transcript, mRNA, tRNA, V_gene_segment ..."""
    return bool(_TRANSCRIPT.fullmatch(kind))


def made_exons(
    coding: Mapping[Key, Sequence[Span]], utrs: Mapping[Key, Sequence[Span]], limits: Mapping[Key, Span]
) -> Iterator[tuple[Key, Span]]:
    """Yield the exons of transcripts that have CDS and no exon lines; limits: limits of their transcript lines.

    >>> cds, utrs = {("chr1", "T"): [(50, 90), (200, 240)]}, {("chr1", "T"): [(20, 50)]}
    >>> [span for _, span in made_exons(cds, utrs, {("chr1", "T"): (0, 300)})]
    [(0, 90), (200, 300)]
    """
    for key, spans in coding.items():
        exons: list[list[int]] = []
        for start, end in sorted([*spans, *utrs.get(key, ())]):
            if exons and start <= exons[-1][1]:
                exons[-1][1] = max(exons[-1][1], end)
            else:
                exons.append([start, end])
        first, last = limits.get(key, (exons[0][0], exons[-1][1]))
        exons[0][0], exons[-1][1] = min(exons[0][0], first), max(exons[-1][1], last)
        yield from ((key, (start, end)) for start, end in exons)


def widen(limits: dict[Key, Span], key: Key, start: int, end: int) -> None:
    """Widen the limits of a transcript to include [start, end); an id may occur on several lines."""
    low, high = limits.get(key, (start, end))
    limits[key] = (min(low, start), max(high, end))
