"""Assemblies of human and mouse as data: lengths of their chromosomes, and their accessions in GenBank and RefSeq."""

from __future__ import annotations

from collections.abc import Iterator


def _human(*lengths: int) -> dict[str, int]:
    return dict(zip([*map(str, range(1, 23)), "X", "Y", "MT"], lengths, strict=False))


def _mouse(*lengths: int) -> dict[str, int]:
    return dict(zip([*map(str, range(1, 20)), "X", "Y", "MT"], lengths, strict=False))


# Lengths as published by UCSC and NCBI. hg19 has no MT here: UCSC's chrM (16571) is not GRCh37's MT (16569).
BUILDS: dict[str, dict[str, int]] = {
    "hg19": _human(
        249250621,
        243199373,
        198022430,
        191154276,
        180915260,
        171115067,
        159138663,
        146364022,
        141213431,
        135534747,
        135006516,
        133851895,
        115169878,
        107349540,
        102531392,
        90354753,
        81195210,
        78077248,
        59128983,
        63025520,
        48129895,
        51304566,
        155270560,
        59373566,
    ),
    "hg38": _human(
        248956422,
        242193529,
        198295559,
        190214555,
        181538259,
        170805979,
        159345973,
        145138636,
        138394717,
        133797422,
        135086622,
        133275309,
        114364328,
        107043718,
        101991189,
        90338345,
        83257441,
        80373285,
        58617616,
        64444167,
        46709983,
        50818468,
        156040895,
        57227415,
        16569,
    ),
    "chm13": _human(  # T2T-CHM13 v2.0
        248387328,
        242696752,
        201105948,
        193574945,
        182045439,
        172126628,
        160567428,
        146259331,
        150617247,
        134758134,
        135127769,
        133324548,
        113566686,
        101161492,
        99753195,
        96330374,
        84276897,
        80542538,
        61707364,
        66210255,
        45090682,
        51324926,
        154259566,
        62460029,
        16569,
    ),
    "mm10": _mouse(
        195471971,
        182113224,
        160039680,
        156508116,
        151834684,
        149736546,
        145441459,
        129401213,
        124595110,
        130694993,
        122082543,
        120129022,
        120421639,
        124902244,
        104043685,
        98207768,
        94987271,
        90702639,
        61431566,
        171031299,
        91744698,
        16299,
    ),
    "mm39": _mouse(
        195154279,
        181755017,
        159745316,
        156860686,
        151758149,
        149588044,
        144995196,
        130127694,
        124359700,
        130530862,
        121973369,
        120092757,
        120883175,
        125139656,
        104073951,
        98008968,
        95294699,
        90720763,
        61420004,
        169476592,
        91455967,
        16299,
    ),
}

# --- accessions: each range covers the chromosomes of one species; the version identifies the assembly

_HUMAN, _MOUSE = ([*map(str, range(1, n + 1)), "X", "Y"] for n in (22, 19))
# NC_000001 ... NC_000024 of GRCh38, NC_000067 ... NC_000087 of GRCm39; GRCh37 and GRCm38 are one version older.
_HG38_VERSIONS = (11, 12, 12, 12, 10, 12, 14, 11, 12, 11, 10, 12, 11, 9, 10, 10, 11, 10, 10, 11, 9, 11, 11, 10)
_MM39_VERSIONS = (7, 8, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 8)


def _accessions() -> Iterator[tuple[str, str, dict[int, str]]]:
    """Yield (accession without its version, chromosome, version -> build) for every chromosome."""
    for i, name in enumerate(_HUMAN):
        yield f"NC_{1 + i:06}", name, {_HG38_VERSIONS[i]: "hg38", _HG38_VERSIONS[i] - 1: "hg19"}
        yield f"CM{663 + i:06}", name, {2: "hg38", 1: "hg19"}
        yield f"NC_{60925 + i:06}", name, {1: "chm13"}
        yield f"CP{68277 - i:06}" if name != "Y" else "CP086569", name, {2: "chm13"}
    for i, name in enumerate(_MOUSE):
        yield f"NC_{67 + i:06}", name, {_MM39_VERSIONS[i]: "mm39", _MM39_VERSIONS[i] - 1: "mm10"}
        yield f"CM{994 + i:06}", name, {3: "mm39", 2: "mm10"}
    # Several builds share a mitochondrion. NC_001807, UCSC's chrM of hg19, is another sequence and not included.
    for accession in ("NC_012920", "J01415", "CP068254", "NC_005089", "AY172335"):
        yield accession, "MT", {}


CHROMOSOMES: dict[str, str] = {accession: name for accession, name, _ in _accessions()}
"""Accession without its version -> chromosome: NC_000023 and CM000685 are X."""

VERSIONS: dict[str, dict[int, str]] = {accession: versions for accession, _, versions in _accessions()}
"""Accession without its version -> version -> build: NC_000001 -> {11: "hg38", 10: "hg19"}."""
