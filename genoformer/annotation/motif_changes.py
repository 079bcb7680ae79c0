"""Motif matrices and alleles -> the motif that each allele gains or loses most, with its scores and P.

The score of a matrix at an offset is the sum of log2(p / 0.25) over its positions, rounded to 0.01 bits at each, so that P is
exact: the fraction of random sequences, each base with probability 0.25, that score as high or higher (as FIMO, Grant et al.
2011).
An allele has the best score over both strands and all offsets that overlap the changed bases; after a deletion these are the
offsets across the junction. A matrix counts if P of the better allele is at most the threshold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.annotation.field_values import Matches
from genoformer.annotation.lookup_fields import PRESENCE, SourceField, Texts
from genoformer.annotation.lookup_files import LookupFile
from genoformer.annotation.lookup_readers import Reader
from genoformer.annotation.lookups import Lookup, LookupCounts
from genoformer.errors import FileFormatError, OptionError
from genoformer.formats.motif_files import read_matrices
from genoformer.formats.motif_matrix import Matrix
from genoformer.genome.allele_table import AlleleTable
from genoformer.genome.codes import Codes, N, encode
from genoformer.genome.contigs import ContigIndex
from genoformer.genome.normalise import trim
from genoformer.genome.reference import Genome
from genoformer.writers import Field

Integers = NDArray[np.int64]
Scores = NDArray[np.float32]  # whole numbers of 0.01 bits

P_VALUE = 1e-4  # FIMO's
NAME = "GF_MOTIF"
_UNIT = 100  # scores are whole numbers of 1 / 100 bit
_PSEUDOCOUNT = 0.1  # sites, spread over the four bases
_N_SITES = 20  # if the file does not tell; MEME's default
_MOST_SCORES = 1 << 22  # scores held at a time
_NO_SCORE = np.float32(-1e9)  # of a window with an unknown base


class _Group(NamedTuple):
    """Matrices of one width, on both strands."""

    width: int
    columns: Integers  # [M], numbers of the matrices
    weights: Scores  # [4 * W, 2 * M], forward and then reverse


def motif_fields(p_value: float) -> tuple[SourceField, ...]:
    """Return the fields of the output."""
    fields = []
    for key, what, other in (("GAINED", "increases", "larger"), ("LOST", "decreases", "smaller")):
        name = f"Motif whose best score the ALT {what} most, of those with P <= {p_value:g} in the better allele"
        fields += [
            SourceField(key, "A", "String", name, PRESENCE.read),
            SourceField(
                f"{key}_REF", "A", "Float", f"Best score of this motif with REF, in bits; {other} with ALT", PRESENCE.read
            ),
            SourceField(f"{key}_ALT", "A", "Float", "Best score of this motif with ALT, in bits", PRESENCE.read),
            SourceField(f"{key}_P", "A", "Float", "P of the better of both scores at one place", PRESENCE.read),
        ]
    return tuple(fields)


class MotifReader:
    """Scores of motif matrices for alleles; it stands where other files have a reader of their lines.

    Raises: FileFormatError for a file without motifs.
    """

    def __init__(self, path: Path, genome: Genome, p_value: float = P_VALUE) -> None:
        self._genome, self._contigs, self._names = genome, ContigIndex(genome.contigs), dict[str, str]()
        matrices = read_matrices(path)
        scores = [integer_scores(matrix) for matrix in matrices]
        self._titles = [matrix.name for matrix in matrices]
        self._tails = [tail_probabilities(of) for of in scores]
        self._cut = np.array([_cut(of, p_value) for of in self._tails], dtype=np.float32)  # [M]
        if not np.isfinite(self._cut).any():
            raise FileFormatError(f"{path} has no motif that reaches P = {p_value:g}; give longer motifs or a larger P.")
        self._groups = _groups(scores)
        self._flank = max(len(of) for of in scores) - 1

    def add(self, contig: str, alleles: AlleleTable, matches: Matches) -> bool:
        """Store the values of alleles on a contig; False if the genome does not have the contig."""
        own = self._contigs.get(contig)
        if own is None:
            return False
        self._names[contig] = own
        for rows, ref, alt in self._windows(own, alleles):
            before, after = self._best(ref), self._best(alt)
            texts = self._texts(before, after)
            known = np.flatnonzero([any(of[i] is not None for of in texts) for i in range(len(rows))])
            chosen = [[of[i] for i in known.tolist()] for of in texts]
            matches.add(alleles.record[rows[known]], alleles.number[rows[known]], chosen)
        return True

    def names(self) -> Mapping[str, str]:
        return {}

    def close(self) -> None:
        pass

    def _windows(self, contig: str, alleles: AlleleTable) -> Iterator[tuple[Integers, Codes, Codes]]:
        """Yield rows [B] and the codes of both alleles with the bases around them, [B, flank + n + flank]."""
        starts, alts = alleles.start.copy(), list[str]()
        groups: dict[tuple[int, int], list[int]] = {}
        for row in range(len(alleles)):
            start, ref, alt = alleles.spelling(row)
            cut, ref, alt = trim(ref, alt)
            starts[row] = start + cut
            alts.append(alt)
            if ref != alt:
                groups.setdefault((len(ref), len(alt)), []).append(row)
        n_scores = sum(group.weights.shape[1] for group in self._groups)
        for (n_ref, n_alt), members in groups.items():
            step = max(1, _MOST_SCORES // (n_scores * (max(n_ref, n_alt) + self._flank)))
            for i in range(0, len(members), step):
                rows = np.array(members[i : i + step], dtype=np.int64)
                before = self._genome.windows(contig, starts[rows] - self._flank, n_ref + 2 * self._flank)
                changed = encode("".join(alts[row] for row in rows.tolist())).reshape(len(rows), n_alt)
                right = before[:, self._flank + n_ref :]
                yield rows, before, np.concatenate([before[:, : self._flank], changed, right], axis=1)

    def _best(self, codes: Codes) -> Scores:
        """Return the best score of each matrix over strands and offsets that overlap the middle, [B, M]."""
        best = np.empty((len(codes), len(self._titles)), dtype=np.float32)
        onehot = np.zeros((*codes.shape, 4), dtype=np.float32)  # [B, L, 4]; zeros for an unknown base
        for code in range(N):
            onehot[..., code] = codes == code
        is_unknown = codes >= N
        for group in self._groups:
            w, skipped = group.width, self._flank - (group.width - 1)
            span = onehot[:, skipped : onehot.shape[1] - skipped]  # [B, n + 2 * (W - 1), 4]
            n = span.shape[1] - w + 1
            if n < 1:  # after a deletion, of a matrix of one position
                best[:, group.columns] = _NO_SCORE
                continue
            windows = np.lib.stride_tricks.sliding_window_view(span, w, axis=1)  # [B, n, 4, W]
            flat = np.ascontiguousarray(windows.transpose(0, 1, 3, 2)).reshape(-1, 4 * w)
            scores = (flat @ group.weights).reshape(len(codes), n, 2 * len(group.columns))
            if is_unknown.any():
                unknown = np.lib.stride_tricks.sliding_window_view(
                    is_unknown[:, skipped : codes.shape[1] - skipped], w, axis=1
                ).any(axis=2)
                scores[unknown] = _NO_SCORE
            of_strands = scores.max(axis=1)
            m = len(group.columns)
            best[:, group.columns] = np.maximum(of_strands[:, :m], of_strands[:, m:])
        return best

    def _texts(self, before: Scores, after: Scores) -> list[Texts]:
        """Return the texts of each field of alleles with best scores [B, M]."""
        change = after - before
        change[(np.maximum(before, after) < self._cut) | (np.minimum(before, after) <= _NO_SCORE / 2)] = 0
        texts: list[Texts] = []
        for sign in (1, -1):
            best = (sign * change).argmax(axis=1)
            rows = np.arange(len(best))
            columns: list[Texts] = [[], [], [], []]
            for motif, amount, ref, alt in zip(
                best.tolist(), change[rows, best].tolist(), before[rows, best].tolist(), after[rows, best].tolist(), strict=True
            ):
                if sign * amount <= 0:
                    values: list[str | None] = [None] * 4
                else:
                    p = _p_of(self._tails[motif], max(ref, alt))
                    title = self._titles[motif].replace("%", "%25").replace(",", "%2C")
                    values = [title, f"{ref / _UNIT:g}", f"{alt / _UNIT:g}", f"{p:.3g}"]
                for column, value in zip(columns, values, strict=True):
                    column.append(value)
            texts += columns
        return texts


class Tail(NamedTuple):
    """P of a score or a higher one: p[i] is that of the score `lowest` + i."""

    lowest: int
    p: NDArray[np.float64]


def integer_scores(matrix: Matrix) -> Integers:
    """Return log2(p / 0.25) of a matrix in units of 0.01 bits, whole numbers [W, 4]; 0.1 sites are added to each position."""
    n = matrix.n_sites or _N_SITES
    p = (matrix.p * n + _PSEUDOCOUNT / 4) / (n + _PSEUDOCOUNT)
    return np.rint(_UNIT * np.log2(p / 0.25)).astype(np.int64)


def tail_probabilities(scores: Integers) -> Tail:
    """Return the exact distribution of the score of a random sequence, from the scores [W, 4] of a matrix."""
    lowest = int(scores.min(axis=1).sum())
    density = np.ones(1)
    for row in scores - scores.min(axis=1, keepdims=True):
        wider = np.zeros(len(density) + int(row.max()))
        for step in row.tolist():
            wider[step : step + len(density)] += density / 4
        density = wider
    return Tail(lowest, np.cumsum(density[::-1])[::-1])


def _cut(tail: Tail, p_value: float) -> float:
    """Return the smallest score with P up to a value; infinite if there is none."""
    low = np.flatnonzero(tail.p <= p_value * (1 + 1e-9))
    return float(tail.lowest + low[0]) if len(low) else float("inf")


def _p_of(tail: Tail, score: float) -> float:
    return float(tail.p[round(score) - tail.lowest])


def _groups(scores: list[Integers]) -> list[_Group]:
    by_width: dict[int, list[int]] = {}
    for i, of in enumerate(scores):
        by_width.setdefault(len(of), []).append(i)
    groups = []
    for width, members in sorted(by_width.items()):
        forward = np.stack([scores[i] for i in members])  # [M, W, 4]
        both = np.concatenate([forward, forward[:, ::-1, ::-1]])  # reverse complement: T G C A, from the end
        weights = both.reshape(len(both), -1).T.astype(np.float32)
        groups.append(_Group(width, np.array(members, dtype=np.int64), np.ascontiguousarray(weights)))
    return groups


@dataclass(frozen=True, eq=False)
class MotifLookup(Lookup):
    """Motif changes of each allele, among the look-ups of a run."""

    p_value: float = P_VALUE

    @cached_property
    def fields(self) -> list[Field]:
        return [
            Field(f"{self.name}_{of.name}", of.type, f"{of.meaning} ({self.file.path.name})", number=of.number)
            for of in self.file.fields
        ]

    def open(self, genome: Genome | None) -> Reader:
        if genome is None:
            raise OptionError("motifs", "needs the sequence around the variants, expected a FASTA; give the option fasta.")
        return MotifReader(self.file.path, genome, self.p_value)

    def sentence(self, counts: LookupCounts) -> str:
        n = counts.alleles - counts.no_contig - counts.no_sequence
        return f"motifs: {counts.matched:,} of {n:,} alleles change a motif of {self.file.path.name} with P <= {self.p_value:g}"


def read_motif_lookup(path: str | Path, p_value: float = P_VALUE) -> MotifLookup:
    """Return the look-up of a file of motifs; OptionError for a P that is no probability, FileFormatError for other files."""
    if not 0 < p_value < 1:
        raise OptionError("motif_p", f"is {p_value:g}, expected a probability between 0 and 1; correct it.")
    path = Path(path)
    read_matrices(path)
    return MotifLookup(LookupFile(NAME, path, "motifs", motif_fields(p_value)), p_value)
