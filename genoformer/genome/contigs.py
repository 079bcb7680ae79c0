"""Contig names and genome builds: 20, chr20 and NC_000020.10 are one contig, by a stated rule."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

RULE = "names are matched as they are, then without a leading chr, with M as MT and NC_000001-NC_000024 as 1-22, X, Y"

_REFSEQ = re.compile(r"NC_0000(0[1-9]|1[0-9]|2[0-4])(?:\.(\d+))?")
_REFSEQ_MT = re.compile(r"NC_012920(?:\.\d+)?")


def canonical_key(name: str) -> str:
    """The name under which differently spelt contigs meet.

    >>> [canonical_key(name) for name in ("chr20", "NC_000020.10", "20", "chrM", "NC_000023.11", "chrUn_KI270302v1")]
    ['20', '20', '20', 'MT', 'X', 'Un_KI270302v1']
    """
    if accession := _REFSEQ.fullmatch(name):
        number = int(accession[1])
        return {23: "X", 24: "Y"}.get(number, str(number))
    if _REFSEQ_MT.fullmatch(name):
        return "MT"
    bare = name[3:] if name[:3].lower() == "chr" and len(name) > 3 else name
    return "MT" if bare.upper() in ("M", "MT") else bare


class ContigMap:
    """Which reference contig each query contig is: the same name, else the only one with the same `canonical_key`.

    Two query names may meet in one reference contig (a VCF that holds both 20 and chr20). A query name that fits
    several reference contigs equally well is not matched.

    >>> names = ContigMap(["20", "21"], ["chr1", "chr20"])
    >>> names.get("20"), names.get("21"), names.renamed, names.unmatched
    ('chr20', None, {'20': 'chr20'}, ['21'])
    """

    def __init__(self, query: Iterable[str], reference: Iterable[str]) -> None:
        known = dict.fromkeys(reference)
        by_key: dict[str, list[str]] = {}
        for name in known:
            by_key.setdefault(canonical_key(name), []).append(name)
        self._found: dict[str, str] = {}
        self.ambiguous: dict[str, list[str]] = {}
        self.unmatched: list[str] = []
        for name in dict.fromkeys(query):
            candidates = [name] if name in known else by_key.get(canonical_key(name), [])
            if len(candidates) == 1:
                self._found[name] = candidates[0]
            else:
                self.unmatched.append(name)
                if candidates:
                    self.ambiguous[name] = candidates

    def get(self, name: str) -> str | None:
        """The reference contig of a query contig, or None."""
        return self._found.get(name)

    @property
    def renamed(self) -> dict[str, str]:
        """Query name -> reference name, where the two differ."""
        return {name: found for name, found in self._found.items() if name != found}

    def describe(self, query: str = "VCF", reference: str = "the FASTA") -> str:
        """One sentence on what was matched, renamed and left out.

        >>> ContigMap(["20"], ["chr20"]).describe("VCF", "genome.fa").split(" (")[0]
        'VCF contig 20 is chr20 in genome.fa'
        """
        renamed = self.renamed
        parts = []
        if renamed:
            first, *more = renamed.items()
            tail = f", and {len(more)} more likewise" if more else ""
            parts.append(f"{query} contig {first[0]} is {first[1]} in {reference}{tail} ({RULE})")
        elif self._found:
            parts.append(f"{query} and {reference} name their {some(self._found, 'contig')} alike")
        parts += [f"{name} fits more than one of them: {listed(fits)}" for name, fits in self.ambiguous.items()]
        absent = [name for name in self.unmatched if name not in self.ambiguous]
        if absent:
            parts.append(f"{some(absent, 'contig')} of {query} not in {reference}: {listed(absent)}")
        return "; ".join(parts) + "." if parts else f"{query} names no contigs."


def some(things: Iterable[object], noun: str) -> str:
    """A counted noun: "1 contig", "3 contigs"."""
    n = sum(1 for _ in things)
    return f"{n} {noun}{'' if n == 1 else 's'}"


def listed(names: Iterable[str], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    every = list(names)
    tail = f" ... ({len(every)} in all)" if len(every) > most else ""
    return (", ".join(every[:most]) or "none") + tail


def likely_build(lengths: Mapping[str, int]) -> str | None:
    """The build whose chromosomes have exactly these lengths, or None where that is unknown.

    A contig speaks by its length, or by the version of its RefSeq accession (NC_000020.10 is hg19, .11 is hg38). A
    build is named when more than half of the chromosomes 1-22, X and Y that speak do so for it, and fewer for any
    other.

    Parameters: lengths, contig name -> length in bases; 0 where it is not known.

    >>> likely_build({"chr20": 63025520}), likely_build({"NC_000020.11": 0}), likely_build({"chr20": 1000})
    ('hg19', 'hg38', None)
    """
    votes: Counter[str] = Counter()
    n_speaking = 0
    for name, length in lengths.items():
        key = canonical_key(name)
        accession = _REFSEQ.fullmatch(name)
        version = int(accession[2]) if accession and accession[2] else None
        if key == "MT" or not any(key in table for table in BUILDS.values()) or not (length or version):
            continue
        n_speaking += 1
        speaks_for = {build for build, table in BUILDS.items() if length and table.get(key) == length}
        if version is not None:
            newest = _HG38_ACCESSION_VERSIONS[int(accession[1]) - 1] if accession else 0
            speaks_for |= {build for build, its in (("hg38", newest), ("hg19", newest - 1)) if its == version}
        votes.update(speaks_for)
    ranked = votes.most_common(2)
    if not ranked or 2 * ranked[0][1] <= n_speaking or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]


# NC_000001 .. NC_000024 of GRCh38; those of GRCh37 are each one version older.
_HG38_ACCESSION_VERSIONS = (
    11, 12, 12, 12, 10, 12, 14, 11, 12, 11, 10, 12, 11, 9, 10, 10, 11, 10, 10, 11, 9, 11, 11, 10,
)  # fmt: skip


def _human(*lengths: int) -> dict[str, int]:
    return dict(zip([*map(str, range(1, 23)), "X", "Y", "MT"], lengths, strict=False))


def _mouse(*lengths: int) -> dict[str, int]:
    return dict(zip([*map(str, range(1, 20)), "X", "Y", "MT"], lengths, strict=False))


# Lengths as published by UCSC and NCBI. hg19 stands without MT: UCSC's chrM (16571) is not GRCh37's MT (16569).
BUILDS: dict[str, dict[str, int]] = {
    "hg19": _human(
        249250621, 243199373, 198022430, 191154276, 180915260, 171115067, 159138663, 146364022, 141213431, 135534747,
        135006516, 133851895, 115169878, 107349540, 102531392, 90354753, 81195210, 78077248, 59128983, 63025520,
        48129895, 51304566, 155270560, 59373566,
    ),
    "hg38": _human(
        248956422, 242193529, 198295559, 190214555, 181538259, 170805979, 159345973, 145138636, 138394717, 133797422,
        135086622, 133275309, 114364328, 107043718, 101991189, 90338345, 83257441, 80373285, 58617616, 64444167,
        46709983, 50818468, 156040895, 57227415, 16569,
    ),
    "chm13": _human(  # T2T-CHM13 v2.0
        248387328, 242696752, 201105948, 193574945, 182045439, 172126628, 160567428, 146259331, 150617247, 134758134,
        135127769, 133324548, 113566686, 101161492, 99753195, 96330374, 84276897, 80542538, 61707364, 66210255,
        45090682, 51324926, 154259566, 62460029, 16569,
    ),
    "mm10": _mouse(
        195471971, 182113224, 160039680, 156508116, 151834684, 149736546, 145441459, 129401213, 124595110, 130694993,
        122082543, 120129022, 120421639, 124902244, 104043685, 98207768, 94987271, 90702639, 61431566, 171031299,
        91744698, 16299,
    ),
    "mm39": _mouse(
        195154279, 181755017, 159745316, 156860686, 151758149, 149588044, 144995196, 130127694, 124359700, 130530862,
        121973369, 120092757, 120883175, 125139656, 104073951, 98008968, 95294699, 90720763, 61420004, 169476592,
        91455967, 16299,
    ),
}  # fmt: skip
