"""Genome with one allele in the place of the reference: the windows of a variant's ALT, as of a consensus FASTA."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genoformer.errors import ConfigError
from genoformer.genome.reference import Convert, Genome
from genoformer.genome.variants import Variant


class AlternativeGenome(Genome):
    """A genome whose sequence has ALT of a variant instead of REF; bases after an insertion or deletion move.

    variant.chrom is a contig name of the genome. Raises ConfigError if REF is not on the contig.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "tiny.fa").write_text(">chr1\\nACGTACGT\\n")
    ...     genome = AlternativeGenome(Genome(pathlib.Path(folder, "tiny.fa")), Variant("chr1", 3, "GT", "AAAA"))
    ...     genome["chr1"], genome.windows("chr1", [-1, 4], 4).tolist()
    ('ACAAAAACGT', [[4, 0, 1, 0], [0, 0, 0, 1]])
    """

    def __init__(self, genome: Genome, variant: Variant) -> None:
        self.path, self.name, self.notes, self._fasta = genome.path, genome.name, genome.notes, genome._fasta
        self.variant = variant
        self.growth = len(variant.alt) - len(variant.ref)  # bases by which ALT is longer
        length = genome.contigs[variant.chrom]
        if not 0 <= variant.start <= variant.end <= length:
            raise ConfigError(f"{variant} is not on {variant.chrom} of {length:,} bases; give a variant of {genome.name}.")
        self.contigs = genome.contigs | {variant.chrom: length + self.growth}

    def __repr__(self) -> str:
        return f"AlternativeGenome({str(self.path)!r}, {self.variant})"

    @property
    def signature(self) -> str:
        """Signature of the file, and the variant."""
        return f"{super().signature} {self.variant}"

    def _filled(self, chrom: str, starts: ArrayLike, length: int, beyond: int, convert: Convert) -> NDArray[np.uint8]:
        begin = np.asarray(starts)
        if chrom != self.variant.chrom or begin.ndim != 1 or begin.size == 0 or length <= 0:
            return super()._filled(chrom, starts, length, beyond, convert)
        allele = np.empty(len(self.variant.alt), dtype=np.uint8)
        convert(np.frombuffer(self.variant.alt.encode("ascii"), dtype=np.uint8), allele)
        first, last = self.variant.start, self.variant.start + len(allele)  # of ALT
        rows = []
        for start in begin.tolist():
            end = start + length
            inside = allele[max(start - first, 0) : max(end - first, 0)]
            before = super()._filled(chrom, [start], min(max(first - start, 0), length), beyond, convert)[0]
            after = super()._filled(chrom, [max(start, last) - self.growth], min(max(end - last, 0), length), beyond, convert)[
                0
            ]
            rows.append(np.concatenate([before, inside, after]))
        return np.stack(rows)
