"""Windows that a model reads around a locus, and the bins of an attribution, against gradients of the whole window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from borzoi_models import small_borzoi

import genoformer as gf
from genoformer.errors import ConfigError, OptionError
from genoformer.genome.codes import decode, encode
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant, place_alleles
from genoformer.interpretation.attribution_maps import compute_attributions, explained_outputs
from genoformer.interpretation.input_windows import InputWindows, batches_of_windows
from genoformer.interpretation.loci import Locus
from genoformer.interpretation.request import AttributionOptions, InterpretationRequest
from genoformer.interpretation.session import open_session
from genoformer.models.plain_engine import one_hot

TEXT = decode(np.random.default_rng(8).integers(0, 4, 5000, dtype=np.uint8))
CONTEXT, SIZE = 1024, 32
MODEL = small_borzoi(context_length=CONTEXT)
GTF = """\
c\tx\texon\t2301\t2350\t.\t+\t.\tgene_id "F";
c\tx\texon\t2501\t2600\t.\t+\t.\tgene_id "F";
c\tx\texon\t4501\t4600\t.\t+\t.\tgene_id "far";
"""


@pytest.fixture
def genome(make_fasta) -> Genome:
    return Genome(make_fasta(c=TEXT))


@pytest.fixture
def gtf(tmp_path) -> Path:
    (tmp_path / "genes.gtf").write_text(GTF)
    return tmp_path / "genes.gtf"


def gradient_map(codes: np.ndarray, bins: list[int] | None = None, track: int = 0) -> np.ndarray:
    """Gradient x input of the sum of a track over bins of a window, minus the mean gradient of the four bases."""
    onehot = one_hot(torch.from_numpy(codes.copy())[None]).requires_grad_()
    tracks = MODEL(onehot, "human")[0, track]
    (tracks if bins is None else tracks[bins]).sum().backward()
    gradient = onehot.grad[0].double().numpy()
    return gradient[np.minimum(codes, 3), np.arange(len(codes))] * (codes < 4) - gradient.mean(0) * (codes < 4)


def padded(start: int, length: int) -> np.ndarray:
    """Bases of the contig, N beyond its ends."""
    return encode(("N" * 2000 + TEXT + "N" * 2000)[2000 + start : 2000 + start + length])


def attributed(genome: Genome, region: str, **options) -> np.ndarray:
    return np.asarray(gf.attribution(genome, region, MODEL, head="human", tracks="0", **options))


@pytest.mark.parametrize(("first", "end"), [(2400, 2410), (2000, 2133), (3, 9), (4990, 5000)])
def test_a_map_is_the_middle_of_that_of_the_context(genome, first, end) -> None:
    start = first - (CONTEXT - (end - first)) // 2
    found = attributed(genome, f"c:{first + 1}-{end}")
    expected = gradient_map(padded(start, CONTEXT))[first - start : end - start]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_a_longer_region_is_read_whole(genome) -> None:
    found = attributed(genome, "c:1001-2101")
    expected = gradient_map(padded(1000 - 25, 1152))[25 : 25 + 1101]  # 9 times 128 bases
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_bins_of_the_region_of_a_place_and_of_a_gene(genome, gtf) -> None:
    start = 2400 - (CONTEXT - 10) // 2
    codes = padded(start, CONTEXT)
    whole = attributed(genome, "c:2401-2410")

    def touched(low: int, high: int) -> list[int]:
        return [i for i in range(CONTEXT // SIZE) if start + i * SIZE < high and start + (i + 1) * SIZE > low]

    exons = [tuple(round((base - start) / SIZE) for base in exon) for exon in ((2300, 2350), (2500, 2600))]
    cases = {
        ("bins", "region"): touched(2400, 2410),
        ("bins", "c:2,301-2,400"): touched(2300, 2400),
        ("gene", "F"): [i for low, high in exons for i in range(low, high)],
    }
    for (option, value), bins in cases.items():
        found = attributed(genome, "c:2401-2410", gtf=gtf, **{option: value})
        expected = gradient_map(codes, bins)[2400 - start : 2410 - start]
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max(), err_msg=value)
        assert not np.allclose(found, whole, rtol=0.05)
    np.testing.assert_array_equal(attributed(genome, "c:2401-2410", bins="all"), whole)
    with pytest.raises(ConfigError, match=r"predicts the bins of c:1,894-2,917, and none of them is of an exon of far; give"):
        attributed(genome, "c:2401-2410", gtf=gtf, gene="far")
    with pytest.raises(ConfigError, match="none of them is of c:4,501-4,600"):
        attributed(genome, "c:2401-2410", bins="c:4,501-4,600")
    with pytest.raises(OptionError, match="gene is F, found no genes; give a GTF"):
        attributed(genome, "c:2401-2410", gene="F")
    with pytest.raises(OptionError, match=r"gene is G, which genes.gtf does not have; give a gene_name of it"):
        attributed(genome, "c:2401-2410", gtf=gtf, gene="G")
    with pytest.raises(OptionError, match="bins is region, and a gene names bins, too"):
        attributed(genome, "c:2401-2410", gtf=gtf, gene="F", bins="region")


@pytest.mark.parametrize(("ref", "alt"), [("X", "Y"), ("XXX", "X"), ("X", "XACGT")])
def test_both_alleles_of_a_variant_are_read_in_the_context(genome, ref, alt) -> None:
    ref = TEXT[2404 : 2404 + len(ref)]
    alt = {"Y": "ACGT"["ACGT".index(ref[0]) - 1], "X": ref[0]}.get(alt, ref[0] + "ACGT")
    variant = Variant("c", 2405, ref, alt)
    placed = place_alleles(genome, variant, 2390, 30)
    locus = Locus("v", "c", 2390, placed.ref, placed, variant)
    session = open_session(InterpretationRequest([locus], MODEL, fasta=genome, length=30))
    options = AttributionOptions(head="human", tracks="0")
    start = 2390 - (CONTEXT - 30) // 2
    changed = TEXT[:2404] + alt + TEXT[2404 + len(ref) :]
    for one, text in ((locus, TEXT), (locus.alternative, changed)):
        (found,) = compute_attributions(session, options, [one], explained_outputs(session, options))
        expected = gradient_map(encode(text[start : start + CONTEXT]))[2390 - start : 2420 - start]
        np.testing.assert_allclose(found.values[0].sum(-1), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
        assert found.values.shape == found.hypothetical.shape == (1, 30, 4)


def test_windows_of_loci_by_hand(genome) -> None:
    windows = InputWindows(genome, 1024, 128)
    short, even, long = (Locus("", "c", 2000, padded(2000, n)) for n in (10, 128, 1100))
    assert [windows.size(locus) for locus in (short, even, long)] == [1024, 1024, 1152]
    assert [windows.start(locus) for locus in (short, even, long)] == [507, 384, 26]  # whole bins before whole bins
    assert windows.of(even).codes.tolist() == padded(2000 - 384, 1024).tolist()
    assert InputWindows().of(short) == (short.codes, 0)
    assert InputWindows(genome, 1024, 128).size(short._replace(chrom="")) == 10
    assert batches_of_windows([8, 4, 8, 8, 4], "abaab") == [[0, 2, 3], [1, 4]]
    assert batches_of_windows([1 << 21] * 3, [0, 0, 0]) == [[0, 1], [2]]
