"""Variants of loci, scored as by `score` -> variants.tsv, a note for each figure, and a line on the windows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genoformer.files import write_text
from genoformer.genome.variants import Status, Variant
from genoformer.interpretation.loci import Locus
from genoformer.scoring.variant_scorer import VariantScorer
from genoformer.tables import tsv_line

VARIANTS = "variants.tsv"


def write_variant_scores(path: Path, scorer: VariantScorer, loci: Sequence[Locus], alleles: Sequence[Variant]) -> list[str]:
    """Write a row for each allele, with the columns of `score`, and return the note of each locus.

    The note is "" for a locus without one of the alleles. Without alleles no file is written.
    """
    if not alleles:
        return [""] * len(loci)
    rows = [["chrom", "pos", "ref", "alt", "status", *(column.name for column in scorer.columns)]]
    scores = [score.name for score in scorer.scores]
    short = [max(len(allele.ref), len(allele.alt)) <= scorer.longest_allele for allele in alleles]
    batch = scorer.score([allele for allele, fits in zip(alleles, short, strict=True) if fits]) if any(short) else None
    scored = iter(zip(batch.statuses, batch.values.tolist(), strict=True) if batch else ())
    notes = {}
    for allele, fits in zip(alleles, short, strict=True):
        status, values = next(scored) if fits else (Status.TOO_LONG, [np.nan] * len(scorer.columns))
        texts = [column.text(value) for column, value in zip(scorer.columns, values, strict=True)]
        rows.append([allele.chrom, str(allele.pos), allele.ref, allele.alt, status.value, *texts])
        named = zip(scorer.columns, texts, strict=True)
        notes[allele] = ", ".join(f"{column.name} {text}" for column, text in named if text and column.name in scores)
    write_text(path, "".join(tsv_line(row) + "\n" for row in rows))
    return [notes.get(locus.allele, "") if locus.allele is not None else "" for locus in loci]


def describe_windows(scorer: VariantScorer) -> str:
    """Return a line that describes the windows in which changes are scored."""
    strands = "both strands" if scorer.options["strands"] == "both" else "the forward strand"
    anchor, shifts = scorer.options.get("anchor"), scorer.options.get("shifts", "0")
    position = "in the most central grid window of" if anchor == "grid" else "in the middle of its own"
    mean = f", mean of shifts {shifts}" if shifts != "0" else ""
    return f"windows: each change {position} {scorer.window:,} bases, {strands}{mean}, as in `score`"
