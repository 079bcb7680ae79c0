"""Phase of the first allele in the text of a BCF: htslib's output for VCF 4.4 and later -> the original genotype.

In BCF each allele has a phase bit. The bit of the first allele had no meaning before VCF 4.4, and many programs still leave
it unset (htslib before 1.22; pysam on assignment of a genotype). Since then htslib prints such a 0|1 as /0|1, and a haploid
1 as /1. If no genotype of a file has the bit, the prefix / is therefore removed; if some have it, it was set on purpose.
The chromosomes that `genotypes` assigns to the alleles are the same in both cases.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_ALLELE = r"(?:\d+|\.)"
_SET = re.compile(rf"\t(?:\||(?:{_ALLELE}(?:\|{_ALLELE})+|\d+)(?=[:\t\n]))")  # all forms that htslib prints with the bit set
_UNSET = "\t/"
_VERSION = re.compile(r"##fileformat=VCFv(\d+)\.(\d+)")


class FirstPhase:
    """Filter that keeps the text of a file unchanged or removes the prefix; the first informative records decide."""

    def __init__(self, header: str) -> None:
        version = _VERSION.match(header)
        self._has_prefixes = version is not None and (int(version[1]), int(version[2])) >= (4, 4)
        self._on_purpose: bool | None = None

    def restored(self, lines: Sequence[str]) -> Sequence[str]:
        """Return consecutive records, with or without the prefix, each with its line end."""
        if not self._has_prefixes or self._on_purpose:
            return lines
        if self._on_purpose is None:
            self._on_purpose = _on_purpose(_text_of_gt(line) for line in lines)
        return lines if self._on_purpose is not False else list(map(_without_prefix, lines))


def _on_purpose(texts: Iterable[str]) -> bool | None:
    """Return True if some genotype has the bit of its first allele set, False if none has though it would show, else None."""
    answer = None
    for text in texts:
        if _SET.search(text):
            return True
        if answer is None and _UNSET in text:
            answer = False
    return answer


def _text_of_gt(line: str) -> str:
    """Return the sample columns with a tab before each, GT first; "" without GT."""
    fields = line.split("\t", 9)
    if len(fields) < 10:
        return ""
    keys = fields[8].split(":")
    if keys[0] == "GT":
        return "\t" + fields[9]
    if "GT" not in keys:
        return ""
    at = keys.index("GT")
    samples = (sample.split(":") for sample in fields[9].rstrip("\n").split("\t"))
    return "".join(f"\t{parts[at]}" for parts in samples if at < len(parts)) + "\n"


def _without_prefix(line: str) -> str:
    fields = line.split("\t", 9)
    if len(fields) < 10 or "/" not in fields[9]:
        return line
    keys = fields[8].split(":")
    if keys[0] == "GT":
        fields[9] = ("\t" + fields[9]).replace(_UNSET, "\t")[1:]
    elif "GT" in keys:
        at = keys.index("GT")
        samples = [sample.split(":") for sample in fields[9].split("\t")]
        for parts in samples:
            if at < len(parts):
                parts[at] = parts[at].removeprefix("/")
        fields[9] = "\t".join(map(":".join, samples))
    return "\t".join(fields)
