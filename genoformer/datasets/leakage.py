"""Two sets of sequences -> number of sequences of the second that also, or almost, occur in the first on either strand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np

from genoformer.genome.codes import Codes, reverse_complement
from genoformer.genome.minhash import Sketch

LONG_K, SHORT_K = 31, 16  # 31 is nearly unique in a genome; 16 (4.3e9 k-mers) tolerates more mismatches in few bases
LONG = 100  # bases; below this median length k is SHORT_K, because a mismatch changes 31 of the 31-mers
MIN_SHARE = 0.5  # smallest fraction of shared k-mers at which a sequence has leaked
_NAMED = 3  # classes named in a sentence; the manifest has all
EXACT_BASES = 1 << 25  # bases of the first set up to which every k-mer is kept (256 MiB); above, one in `scale`


@dataclass(frozen=True)
class Leakage:
    """Numbers of the n sequences of a set that occur in another set.

    n_leaked: at least half (MIN_SHARE) of their k-mers occur there. n_duplicates: exact duplicates; n_reverse_duplicates: only
    their reverse complement is an exact duplicate. n_unchecked: too short, with too many N, or with no k-mer in the sample;
    these are tested for duplicates only. classes[name]: n and n_leaked of a class, if labels were given; shuffled negatives
    cannot leak, and would make the total fraction look small.
    """

    n: int
    n_leaked: int
    n_duplicates: int
    n_reverse_duplicates: int
    n_unchecked: int
    k: int
    scale: int
    classes: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def percent(self) -> float:
        """Percentage of leaked sequences; 0 for an empty set."""
        return 100 * self.n_leaked / self.n if self.n else 0.0

    def describe(self, train: str = "train", other: str = "valid") -> str:
        """Return the leakage as one sentence, with the three classes that leak most.

        >>> Leakage(200, 3, 1, 1, 0, 31, 1).describe().split(": ")[0]
        '1.50 % of valid (3 of 200) shares half or more of its 31-mers with train'
        >>> each = {"negative": (100, 0), "promoter": (100, 3)}
        >>> Leakage(200, 3, 1, 1, 0, 31, 1, classes=each).describe().partition(" shares")[0]
        '1.50 % of valid (3 of 200; 3.00 % of promoter)'
        """
        sample = f", of which 1 in {self.scale} was checked" if self.scale > 1 else ""
        unchecked = f"; {self.n_unchecked:,} could not be checked" if self.n_unchecked else ""
        leaking = {name: 100 * n_leaked / n for name, (n, n_leaked) in self.classes.items() if n_leaked}
        worst = sorted(leaking, key=lambda name: -leaking[name])[:_NAMED]
        percentages = ", ".join(f"{leaking[name]:.2f} % of {name}" for name in worst)
        percentages += f" and less of {len(leaking) - _NAMED} more" if len(leaking) > _NAMED else ""
        all_of_it = f"{self.n_leaked:,} of {self.n:,}{'; ' if percentages else ''}{percentages}"
        return (
            f"{self.percent:.2f} % of {other} ({all_of_it}) shares half or more of its {self.k}-mers with {train}{sample}: "
            f"{self.n_duplicates:,} exact duplicates, {self.n_reverse_duplicates:,} of the reverse complement{unchecked}."
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the entry for a manifest."""
        each = {
            name: {"n": n, "n_leaked": n_leaked, "percent": round(100 * n_leaked / n, 4)}
            for name, (n, n_leaked) in self.classes.items()
        }
        return {**self.__dict__, "min_share": MIN_SHARE, "percent": round(self.percent, 4), "classes": each}


def leakage(
    train: Sequence[Codes] | Codes,
    other: Sequence[Codes] | Codes,
    labels: Sequence[str] = (),
    *,
    exact_bases: int = EXACT_BASES,
) -> Leakage:
    """Count the sequences of `other` that occur in `train`; codes [L] each, of any lengths.

    A sequence has leaked if at least half of its k-mers, counted with repeats, occur anywhere in `train` on either
    strand, or if it is an exact duplicate on either strand. k is 31, or 16 if the median length of `other` is below 100
    bases. All k-mers of `train` are kept up to `exact_bases`, and a sample of them above. labels: classes of `other`,
    to count each class separately.

    >>> from genoformer.genome.codes import encode
    >>> found = leakage([encode("ACGGTTCAACGGATATCCAG")], [encode("CTGGATATCCGTTGAACCGT"), encode("A" * 20)])
    >>> found.n_leaked, found.n_duplicates, found.n_reverse_duplicates
    (1, 0, 1)
    """
    lengths = [len(sequence) for sequence in other]
    k = SHORT_K if lengths and float(np.median(lengths)) < LONG else LONG_K
    scale = -(-sum(len(sequence) for sequence in train) // exact_bases) or 1
    n_found, n_sampled = Sketch.from_sequences(train, k, scale).matches(other)
    known = {_digest(sequence) for sequence in train}
    same = _are_in(known, other)
    turned = _are_in(known, (reverse_complement(sequence) for sequence in other)) & ~same
    leaked = ((n_sampled > 0) & (n_found >= MIN_SHARE * n_sampled)) | same | turned
    of = np.array(labels, dtype=np.str_)
    return Leakage(
        n=len(lengths),
        n_leaked=int(leaked.sum()),
        n_duplicates=int(same.sum()),
        n_reverse_duplicates=int(turned.sum()),
        n_unchecked=int((n_sampled == 0).sum()),
        k=k,
        scale=scale,
        classes={name: (int((of == name).sum()), int(leaked[of == name].sum())) for name in sorted(set(labels))},
    )


def _digest(sequence: Codes) -> bytes:
    return blake2b(np.ascontiguousarray(sequence).data, digest_size=16).digest()


def _are_in(known: set[bytes], sequences: Iterable[Codes]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.array([_digest(sequence) in known for sequence in sequences], dtype=bool)
