"""Contig names and genome builds: 20, chr20 and NC_000020.10 match as one contig, by a stated rule."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

from genoformer.errors import printable
from genoformer.genome.assemblies import BUILDS, CHROMOSOMES, VERSIONS
from genoformer.genome.wording import counted

RULE = (
    "names are matched as they are, then with chr or without it, then by chromosome: M is MT, accessions of GenBank and RefSeq "
    "are 1-22, X, Y, MT, and chr1_KI270706v1_random is KI270706.1"
)

_ACCESSION = re.compile(r"([A-Z]{1,2}_?\d{5,8})(?:\.(\d{1,3}))?")
_UCSC_SCAFFOLD = re.compile(  # hg19's chr1_gl000191_random and mm10's chrUn_GL456239 have no version, which means version 1
    r"(?:chr)?(?:Un|\d{1,2}|[A-Z])_([A-Z]{1,6}\d{5,10}|NW_\d{6,9})(?:v(\d{1,3}))?(?:_(?:random|alt|fix))?", re.IGNORECASE
)
_MITOCHONDRION = {"M", "MT", "MITO", "MTDNA", "MITOCHONDRION_GENOME"}  # UCSC and Ensembl; Ensembl's yeast, worm and fly
_PLINK = {"23": "X", "24": "Y", "25": "the part of X that Y shares", "26": "MT"}
_MOST_PAIRS = 30  # enough for all chromosomes of a mammal


def without_chr(name: str) -> str:
    """Return a name without a leading chr, in upper or lower case."""
    return name[3:] if name[:3].lower() == "chr" and len(name) > 3 else name


@lru_cache(maxsize=4096)
def canonical_key(name: str) -> str:
    """Return the canonical name of a contig, the same for all of its spellings.

    >>> [canonical_key(name) for name in ("chr20", "NC_000020.10", "CM000682.2", "20", "chrM", "NC_000023.11")]
    ['20', '20', '20', '20', 'MT', 'X']
    >>> canonical_key("chrUn_KI270302v1"), canonical_key("chr1_gl000191_random"), canonical_key("chrIV")
    ('KI270302.1', 'GL000191.1', 'IV')
    """
    if (accession := _ACCESSION.fullmatch(name)) and accession[1] in CHROMOSOMES:
        return CHROMOSOMES[accession[1]]
    if scaffold := _UCSC_SCAFFOLD.fullmatch(name):
        return f"{scaffold[1].upper()}.{scaffold[2] or 1}"
    bare = without_chr(name)
    return "MT" if bare.upper() in _MITOCHONDRION else bare


class ContigIndex:
    """Contigs of a reference, found under any of their names.

    The lookup tries in order: the same name; chr + name; the name without chr; the only contig with the same
    `canonical_key`.

    >>> index = ContigIndex(["chr20", "chrM", "chrMT"])
    >>> index.get("20"), index.get("MT"), index.get("NC_012920.1"), index.candidates("NC_012920.1")
    ('chr20', 'chrMT', None, ['chrM', 'chrMT'])
    """

    def __init__(self, reference: Iterable[str]) -> None:
        self._names = dict.fromkeys(reference)
        self._by_key: dict[str, list[str]] = {}
        for name in self._names:
            self._by_key.setdefault(canonical_key(name), []).append(name)

    def candidates(self, name: str) -> list[str]:
        """Return every contig with the same key as a name."""
        return self._by_key.get(canonical_key(name), [])

    def get(self, name: str) -> str | None:
        """Return the contig that a name refers to; None if no contig fits or several do."""
        bare = without_chr(name)
        for spelling in (name, f"chr{bare}", bare):
            if spelling in self._names:
                return spelling
        candidates = self.candidates(name)
        return candidates[0] if len(candidates) == 1 else None


class ContigMap:
    """Map from query contigs to reference contigs by the rule of `ContigIndex`, with the ambiguous names.

    Two query names may map to one reference contig (a VCF that holds both 20 and chr20).

    Attributes: ambiguous, query name -> every reference contig with its key, if there are at least two (`get` returns the
    contig that is used, or None); unmatched, the query names without a reference contig.

    >>> names = ContigMap(["20", "21"], ["chr1", "chr20"])
    >>> names.get("20"), names.get("21"), names.renamed, names.unmatched
    ('chr20', None, {'20': 'chr20'}, ['21'])
    """

    def __init__(self, query: Iterable[str], reference: Iterable[str]) -> None:
        index = ContigIndex(reference)
        self._found: dict[str, str] = {}
        self.ambiguous: dict[str, list[str]] = {}
        self.unmatched: list[str] = []
        for name in dict.fromkeys(query):
            name_in_reference = index.get(name)
            if name_in_reference is None:
                self.unmatched.append(name)
            else:
                self._found[name] = name_in_reference
            if len(candidates := index.candidates(name)) > 1:
                self.ambiguous[name] = candidates

    def get(self, name: str) -> str | None:
        """Return the reference contig of a query contig, or None."""
        return self._found.get(name)

    @property
    def renamed(self) -> dict[str, str]:
        """Query name -> reference name, for names that differ."""
        return {name: reference for name, reference in self._found.items() if name != reference}

    def remarks(self, reference: str = "the FASTA") -> list[str]:
        """Return sentences on query names that fit several contigs, and on PLINK's chromosome numbers.

        >>> ContigMap(["MT"], ["chrM", "chrMT"]).remarks("g.fa")
        ['contig MT fits more than one contig of g.fa (chrM, chrMT): chrMT is used.']
        """
        remarks = [f"{text}." for text in self._several(reference)]
        if plink := self._plink():
            remarks.append(f"{plink}.")
        return remarks

    def describe(self, query: str = "VCF", reference: str = "the FASTA") -> str:
        """Return one sentence on the matched, renamed, ambiguous and missing contigs.

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
            parts.append(f"{query} and {reference} name their {count_noun(self._found, 'contig')} alike")
        parts += self._several(reference)
        absent = [name for name in self.unmatched if name not in self.ambiguous]
        if absent:
            parts.append(f"{count_noun(absent, 'contig')} of {query} not in {reference}: {join_names(absent)}")
        if plink := self._plink():
            parts.append(plink)
        return "; ".join(parts) + "." if parts else f"{query} names no contigs."

    def _several(self, reference: str) -> list[str]:
        shown = list(self.ambiguous.items())[:_MOST_PAIRS]
        remarks = []
        for name, candidates in shown:
            used = self._found.get(name)
            end = f"{used} is used" if used else "none is used; rename it"
            remarks.append(f"contig {name} fits more than one contig of {reference} ({join_names(candidates)}): {end}")
        if more := len(self.ambiguous) - len(shown):
            remarks.append(f"{more:,} more contigs fit more than one of {reference}")
        return remarks

    def _plink(self) -> str:
        """Return half a sentence on unmatched query names that are PLINK's numbers of X, Y and MT."""
        numbers = {name: _PLINK[key] for name in self.unmatched if (key := canonical_key(name)) in _PLINK}
        if not numbers:
            return ""
        are = ", ".join(f"{name} is {meaning}" for name, meaning in numbers.items())
        return f"as PLINK numbers human chromosomes {are}: export with --output-chr chrM, or rename them"


def renaming_by_length(query: Mapping[str, int], reference: Mapping[str, int]) -> dict[str, str]:
    """Match contigs with different names by length, if the length is unique on both sides: query name -> reference name.

    Parameters: query and reference, name -> length in bases; 0 if unknown.

    >>> renaming_by_length({"ctg1": 500, "ctg2": 70, "ctg3": 70}, {"chrA": 500, "chrB": 70})
    {'ctg1': 'chrA'}
    """
    times = Counter(query.values())
    of_length: dict[int, list[str]] = {}
    for name, length in reference.items():
        of_length.setdefault(length, []).append(name)
    renaming = {}
    for name, length in query.items():
        fits = of_length.get(length, [])
        if length and times[length] == 1 and len(fits) == 1 and fits[0] != name:
            renaming[name] = fits[0]
    return renaming


def renaming_table(renaming: Mapping[str, str], file: str = "in.vcf.gz") -> str:
    """Return instructions to rename contigs with bcftools, with the two columns of its table, at most 30 rows.

    Line breaks separate rows only; a line break inside a name is escaped.

    >>> print(renaming_table({"ctg1": "chrA"}))
    bcftools annotate --rename-chrs names.txt in.vcf.gz, where names.txt holds
    ctg1 chrA
    """
    pairs = list(renaming.items())
    rows = [f"{old} {new}" for old, new in pairs[:_MOST_PAIRS]]
    if more := len(pairs) - len(rows):
        rows.append(f"... and {more:,} more")
    return "\n".join(map(printable, [f"bcftools annotate --rename-chrs names.txt {file}, where names.txt holds", *rows]))


def count_noun(things: Iterable[object], noun: str) -> str:
    """Return a counted noun: "1 contig", "3 contigs"."""
    return counted(sum(1 for _ in things), noun)


def join_names(names: Iterable[str], most: int = 5) -> str:
    """Return the first few names, and the total number of names if there are more."""
    every = list(names)
    tail = f" ... ({len(every)} in all)" if len(every) > most else ""
    return (", ".join(every[:most]) or "none") + tail


def builds_of_accessions(names: Iterable[str]) -> tuple[str, ...]:
    """Return the assemblies that the versions of accessions name, sorted.

    >>> builds_of_accessions(["NC_000020.11", "CM000682.2", "NC_060944.1", "chr20"])
    ('chm13', 'hg38')
    """
    builds = set()
    for name in names:
        if (accession := _ACCESSION.fullmatch(name)) and accession[2]:
            builds.add(VERSIONS.get(accession[1], {}).get(int(accession[2])))
    return tuple(sorted(build for build in builds if build))


def likely_build(lengths: Mapping[str, int]) -> str | None:
    """Return the build whose chromosomes have exactly these lengths, or None if it is unknown.

    A contig votes by its length, or by the version of its GenBank or RefSeq accession (NC_000020.10 is hg19, .11 is hg38,
    CM000994.3 is mm39). Only chromosomes 1-22, X and Y vote. A build wins with more than half of the voting contigs, if it
    has more votes than any other build.

    Parameters: lengths, contig name -> length in bases; 0 if unknown.

    >>> likely_build({"chr20": 63025520}), likely_build({"NC_000020.11": 0}), likely_build({"chr20": 1000})
    ('hg19', 'hg38', None)
    """
    votes: Counter[str] = Counter()
    n_speaking = 0
    for name, length in lengths.items():
        key = canonical_key(name)
        accession = _ACCESSION.fullmatch(name)
        known = VERSIONS.get(accession[1], {}) if accession else {}
        version = int(accession[2]) if accession and known and accession[2] else None
        if key == "MT" or not any(key in table for table in BUILDS.values()) or not (length or version):
            continue
        n_speaking += 1
        speaks_for = {build for build, table in BUILDS.items() if length and table.get(key) == length}
        if version in known:
            speaks_for.add(known[version])
        votes.update(speaks_for)
    ranked = votes.most_common(2)
    if not ranked or 2 * ranked[0][1] <= n_speaking or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]
