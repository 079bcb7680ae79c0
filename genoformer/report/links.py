"""Assembly and variant -> links to UCSC, gnomAD and dbSNP: addresses of anchors, from which the page loads nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from genoformer.genome.assemblies import BUILDS
from genoformer.genome.contigs import canonical_key, likely_build

_GNOMAD = {"hg19": "gnomad_r2_1", "hg38": "gnomad_r4"}  # assemblies that have links, with the data set of gnomAD
_AROUND = 100  # bases on either side in the genome browser
_RS = re.compile(r"rs\d+")


class Link(NamedTuple):
    """Text and address of an anchor."""

    text: str
    address: str


def human_build(lengths: Mapping[str, int]) -> str | None:
    """Return hg19 or hg38 if the contigs have its lengths; None for any other genome.

    >>> human_build({"chr20": 64444167}), human_build({"chrS1": 64444167})
    ('hg38', None)
    """
    build = likely_build(lengths)
    return build if build in _GNOMAD else None


def variant_links(build: str | None, chrom: str, pos: int, alleles: tuple[str, str], name: str = ".") -> list[Link]:
    """Return the links of a variant on a chromosome of hg19 or hg38; [] for other contigs and assemblies.

    pos: 1-based, as in the VCF. name: ID of the record; each rs number in it gets a link to dbSNP.

    >>> [link.text for link in variant_links("hg38", "chr20", 1000, ("A", "G"), "rs12")]
    ['UCSC', 'gnomAD', 'dbSNP rs12']
    >>> variant_links("hg38", "chrS1", 1000, ("A", "G"), "rs12"), variant_links(None, "chr20", 1000, ("A", "G"))
    ([], [])
    """
    key = canonical_key(chrom)
    if build not in _GNOMAD or key not in BUILDS[build]:
        return []
    ref, alt = alleles
    end = pos + len(ref) - 1
    contig = "chrM" if key == "MT" else f"chr{key}"
    place = {
        "db": build,
        "position": f"{contig}:{max(1, pos - _AROUND)}-{end + _AROUND}",
        "highlight": f"{build}.{contig}:{pos}-{end}",
    }
    links = [Link("UCSC", f"https://genome.ucsc.edu/cgi-bin/hgTracks?{urlencode(place)}")]
    if set((ref + alt).upper()) <= set("ACGT"):
        variant = f"{'M' if key == 'MT' else key}-{pos}-{ref.upper()}-{alt.upper()}"
        links.append(Link("gnomAD", f"https://gnomad.broadinstitute.org/variant/{variant}?dataset={_GNOMAD[build]}"))
    rs = [text for text in re.split("[;,]", name) if _RS.fullmatch(text)]
    return links + [Link(f"dbSNP {text}", f"https://www.ncbi.nlm.nih.gov/snp/{text}") for text in rs]
