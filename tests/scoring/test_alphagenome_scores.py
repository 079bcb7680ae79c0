"""AlphaGenome's variant scorers against the published definitions, written again in float64 over whole sequences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from alphagenome_models import small_alphagenome
from borzoi_models import small_borzoi
from commands import assert_refused, rows_of, run, run_well
from published_scorers import CONTIG, EXONS, GENES, KINDS, LENGTH, NEAR, VARIANTS, aligned, body, deletion, insertion, snv
from scoring_jobs import track_scorer

from genoformer.errors import OptionError
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import encode
from genoformer.genome.genes import Genes, read_genes
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.models import registry
from genoformer.models.plain_engine import one_hot
from genoformer.scoring.alphagenome_scores import AGGREGATIONS, ALPHAGENOME_SCORES
from genoformer.scoring.calibration import Calibration
from genoformer.scoring.noise import flag_columns, measure
from genoformer.scoring.scored_heads import scored_heads
from genoformer.scoring.scores import SCORES
from genoformer.scoring.scoring_choices import chosen_scores
from genoformer.scoring.settings import AlleleComparison
from genoformer.scoring.track_scorer import TrackScorer

MODEL = small_alphagenome()


def table(n: int) -> TrackTable:
    """Tracks of which the first two are the strands of one measurement."""
    pairs = [1, 0, *range(2, n)]
    return TrackTable(tuple(Track(i, f"t{'+-'[i] if i < 2 else i}", strand_pair=pairs[i]) for i in range(n)))


@pytest.fixture(scope="module")
def genome(tmp_path_factory) -> Genome:
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    path.write_text(f">c1\n{CONTIG}\n")
    return Genome(path)


def scorer(genome: Genome, names: str, head: str, *, genes: Genes | None = GENES, **changed) -> TrackScorer:
    n = MODEL.track_heads[head].n_tracks
    settings = AlleleComparison(**changed)
    return track_scorer(MODEL, genome, names, head=head, targets=table(n), genes=genes, settings=settings, both_strands=False)


# --- the published definitions


def predicted(text: str, head: str) -> np.ndarray:
    """Predictions [S, T] of a sequence."""
    with torch.no_grad():
        return MODEL(one_hot(torch.tensor(encode(text)[None])), head)[0].double().numpy().T


def published(variant: Variant, start: int, head: str) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of both alleles in the interval: the alternative keeps its left end (`extract_variant_sequences`)."""
    changed = CONTIG[: variant.start] + variant.alt + CONTIG[variant.end :]
    return predicted(CONTIG[start : start + LENGTH], head), predicted(changed[start : start + LENGTH], head)


def center_mask(ref: np.ndarray, alt: np.ndarray, variant: Variant, start: int, width: int | None, resolution: int, how: str):
    n = 0 if width is None else math.ceil(width / resolution)
    first = (variant.start - start) // resolution - n // 2
    inside = list(range(len(ref))) if width is None else [i for i in range(first, first + n) if 0 <= i < len(ref)]
    scores = []
    for k in range(ref.shape[1]):
        r, a = [float(ref[i, k]) for i in inside], [float(alt[i, k]) for i in inside]
        pairs = list(zip(r, a, strict=True))
        scores.append(
            {
                "DIFF_MEAN": lambda r=r, a=a: sum(a) / len(a) - sum(r) / len(r),
                "ACTIVE_MEAN": lambda r=r, a=a: max(sum(a) / len(a), sum(r) / len(r)),
                "DIFF_SUM": lambda r=r, a=a: sum(a) - sum(r),
                "ACTIVE_SUM": lambda r=r, a=a: max(sum(a), sum(r)),
                "L2_DIFF": lambda pairs=pairs: math.sqrt(sum((y - x) ** 2 for x, y in pairs)),
                "L2_DIFF_LOG1P": lambda pairs=pairs: math.sqrt(sum((math.log1p(y) - math.log1p(x)) ** 2 for x, y in pairs)),
                "DIFF_SUM_LOG2": lambda pairs=pairs: sum(math.log2(y + 1) - math.log2(x + 1) for x, y in pairs),
                "DIFF_LOG2_SUM": lambda r=r, a=a: math.log2(1 + sum(a)) - math.log2(1 + sum(r)),
            }[how]()
        )
    return np.array(scores)


def exon_mask(name: str, start: int) -> np.ndarray | None:
    """Union of the exons of the transcripts whose TSS is in the interval; None without one.

    `extract_tss` has the End of a transcript of the - strand, the base behind it.
    """
    strand, transcripts = EXONS[name]
    mask, begun = np.zeros(LENGTH, dtype=bool), False
    for exons in transcripts:
        tss = exons[-1][1] if strand == "-" else exons[0][0]
        if start <= tss < start + LENGTH:
            begun = True
            for a, b in exons:
                mask[max(a - start, 0) : max(b - start, 0)] = True
    return mask if begun and mask.any() else None


def on_strand(name: str, values: np.ndarray) -> np.ndarray:
    """Tracks of the other strand have no score (`finalize_variant`)."""
    strands = np.array(["+", "-", *"." * (len(values) - 2)])
    strand = EXONS[name][0]
    return np.where((strands == strand) | (strands == ".") | (strand == "."), values, np.nan)


def polyadenylation(ref: np.ndarray, alt: np.ndarray, name: str, variant: Variant, start: int) -> np.ndarray | None:
    first, end = body(name)
    strand, transcripts = EXONS[name]
    if not (end > variant.start and first < max(variant.end, variant.start + len(variant.alt))):
        return None
    sites = sorted({exons[0][0] if strand == "-" else exons[-1][1] - 1 for exons in transcripts})
    inside = [start <= site and site + 1 < start + LENGTH for site in sites]
    if len(sites) < 2 or not all(inside):
        return None
    ratios = []
    for site in sites:
        low, high = (site - start, site - start + 400) if strand == "-" else (site - start - 399, site - start + 1)
        ratios.append(alt[max(low, 0) : high].sum(0) / ref[max(low, 0) : high].sum(0))
    best = np.zeros(ref.shape[1])
    for k in range(1, len(sites)):
        ratio = (len(sites) - k) / k * sum(ratios[:k]) / sum(ratios[k:])
        best = np.maximum(best, abs(np.log2(ratio)))
    return best


# --- comparisons


@pytest.mark.parametrize("head", ["human_dnase_1bp", "human_chip_tf_128bp"])
@pytest.mark.parametrize("variant", VARIANTS, ids=KINDS)
def test_center_masks_are_those_published(genome, head, variant) -> None:
    widths = (501, 2001, 10001, "WINDOW")
    names = [f"CENTER_MASK_{width}_{how}" for width in widths for how in AGGREGATIONS]
    made = scorer(genome, ",".join(names), head)
    values, _ = made.values([variant])
    start = made.windows.jobs([variant], 0)[0].start
    ref, alt = published(variant, start, head)
    for i, name in enumerate(names):
        _, _, width, how = name.split("_", 3)
        bases = None if width == "WINDOW" else int(width)
        expected = center_mask(ref, alt, variant, start, bases, made.bin_size, how)
        assert values[0, i] == pytest.approx(expected, rel=2e-4, abs=2e-4 * np.abs(ref).max()), name


def test_a_center_mask_ends_where_the_window_does(genome) -> None:
    made = scorer(genome, "CENTER_MASK_2001_DIFF_SUM", "human_dnase_1bp")
    variant = snv(4500)
    job = made.windows.jobs([variant], 0)[0]
    evidence = made.predictor.evidence(next(made.predictor.predict(made.predictor.readers[0], [job], whole=True)))
    for base, n in ((job.start, 1001), (job.start + LENGTH - 1, 1001), (job.start + 2000, 2001)):
        mask = evidence.grid.mask(base, 2001)
        assert mask.stop - mask.start == n


@pytest.mark.parametrize("variant", VARIANTS, ids=KINDS)
def test_gene_masks_are_those_published(genome, variant) -> None:
    head = "human_rna_seq_1bp"
    made = scorer(genome, "GENE_MASK_LFC,GENE_MASK_ACTIVE,POLYADENYLATION", head)
    (scores,) = made.score_each([variant])
    start = made.windows.jobs([variant], 0)[0].start
    ref, raw = published(variant, start, head)
    alt = aligned(raw, variant, start)
    seen = set()
    for number, name in enumerate(EXONS):
        mask = exon_mask(name, start)
        expected = {}
        if mask is not None:
            means = [x[mask].mean(0) for x in (ref, alt)]
            expected[0] = np.log(means[1] + 1e-3) - np.log(means[0] + 1e-3)
            expected[1] = np.maximum(*means)
        of_sites = polyadenylation(ref, alt, name, variant, start)
        if of_sites is not None:
            expected[2] = of_sites
        for i, values in expected.items():
            assert scores.items[i, number] == pytest.approx(on_strand(name, values), rel=2e-4, abs=1e-5, nan_ok=True), (i, name)
            seen.add((i, number))
    assert seen == set(scores.items)
    assert {i for i, _ in seen} == {0, 1, 2}
    numbers = {name: number for number, name in enumerate(EXONS)}
    assert (0, numbers["last"]) in seen
    if start == 2432:
        assert not {(0, numbers["ending"]), (0, numbers["touching"])} & seen
    if len(variant.alt) > len(variant.ref):
        assert start == 2432
        # the last bases of the window are 0, not those of the reference
        assert scores.items[0, numbers["last"]][0] < -0.05


@pytest.mark.parametrize("head", ["human_splice_sites_classification_1bp", "human_splice_sites_usage_1bp"])
@pytest.mark.parametrize("variant", [*VARIANTS, snv(4650), snv(5100)], ids=[*KINDS, "one gene", "intron"])
def test_splicing_masks_are_those_published(genome, head, variant) -> None:
    made = scorer(genome, "GENE_MASK_SPLICING", head)
    (scores,) = made.score_each([variant])
    start = made.windows.jobs([variant], 0)[0].start
    ref, raw = published(variant, start, head)
    change = np.abs(aligned(raw, variant, start) - ref)
    overlapping = {}
    for number, name in enumerate(EXONS):
        first, end = body(name)
        if end > variant.start and first < max(variant.end, variant.start + len(variant.alt)):
            overlapping[0, number] = on_strand(name, change[max(first - start, 0) : end - start].max(0))
    assert set(scores.items) == set(overlapping)
    for item, expected in overlapping.items():
        assert scores.items[item] == pytest.approx(expected, rel=2e-4, abs=1e-6, nan_ok=True)


def test_the_strongest_gene_and_the_matrix_leave_out_the_other_strand(genome) -> None:
    made = scorer(genome, "GENE_MASK_LFC", "human_rna_seq_1bp")
    scores = made.score_each(VARIANTS)
    values, genes = made.layout.strongest(scores)
    matrix = made.layout.matrix(scores)
    for row, one in enumerate(scores):
        best = max(one.items, key=lambda item: np.nanmax(np.abs(one.items[item])))
        assert genes[row, 0] == best.number
        np.testing.assert_allclose(values[row, 0], one.items[best], rtol=1e-6)
        assert ((matrix.rows[:, 0] == row) & (matrix.rows[:, 3] == 1)).sum() == 1
    table_ = made.layout.table(scores)
    assert np.isfinite(table_).all()
    assert made.score(VARIANTS).statuses


def test_names_and_signs(genome) -> None:
    assert len({score.name for score in ALPHAGENOME_SCORES}) == len(ALPHAGENOME_SCORES) == 54
    signed = {name for name in AGGREGATIONS if SCORES[f"CENTER_MASK_501_{name}"].signed}
    assert signed == {"DIFF_MEAN", "DIFF_SUM", "DIFF_SUM_LOG2", "DIFF_LOG2_SUM"}  # `is_signed` of CenterMaskScorer
    assert [score.name for score in ALPHAGENOME_SCORES if score.input.per_gene and score.signed] == ["GENE_MASK_LFC"]


def test_scores_of_genes_need_a_file_of_genes(genome) -> None:
    with pytest.raises(OptionError, match="option gtf is missing, and GENE_MASK_LFC compares the exons of a gene whose TSS"):
        scorer(genome, "GENE_MASK_LFC", "human_rna_seq_1bp", genes=None)


def test_polyadenylation_needs_rna_seq(genome) -> None:
    message = "head is human_dnase_1bp, which predicts dnase, and POLYADENYLATION needs rna_seq; give one of human"
    with pytest.raises(OptionError, match=message):
        scorer(genome, "POLYADENYLATION", "human_dnase_1bp")
    assert scorer(genome, "POLYADENYLATION", "mouse_rna_seq_1bp").scores


def test_the_level_of_tracks_has_no_noise_floor(genome) -> None:
    made = scorer(genome, "CENTER_MASK_501_ACTIVE_SUM,CENTER_MASK_501_DIFF_SUM", "human_dnase_1bp")
    assert [column.name for column in flag_columns(made)] == ["CENTER_MASK_501_DIFF_SUM_NOISE"]
    floor = measure(made, genome, [("c1", 4500)], 1)
    assert floor is not None
    assert (floor.names, len(floor.indel)) == (("CENTER_MASK_501_DIFF_SUM",), 1)


def test_the_floor_of_a_gene_score_is_of_the_places_with_a_gene(genome) -> None:
    made = scorer(genome, "GENE_MASK_SPLICING,CENTER_MASK_501_DIFF_SUM", "human_splice_sites_usage_1bp")
    near, far = ("c1", 4499), ("c1", 8000)
    alone, both, none = (measure(made, genome, places, len(places)) for places in ([near], [near, far], [far]))
    assert alone is not None and both is not None and none is not None  # noqa: PT018
    assert both.indel[0] == alone.indel[0] > 0  # the largest of both places, of which one has a gene
    assert np.isnan(none.indel[0])
    assert none.indel[1] > 0
    assert "GENE_MASK_SPLICING=./.;" in none.text()
    assert none.note.endswith("; no locus of the noise floor has a value of GENE_MASK_SPLICING.")
    assert "GF_GENE_MASK_SPLICING" not in none.note


# --- only the bins that scores compare

LOCAL = "CENTER_MASK_501_DIFF_SUM,SAD501,COSINE,GENE_MASK_SPLICING"


@pytest.mark.parametrize("indels", ["realign", "stitch", "right"])
@pytest.mark.parametrize("head", ["human_splice_sites_usage_1bp", "human_chip_tf_128bp"])
def test_the_decoder_runs_for_the_bins_that_scores_compare(genome, head, indels, monkeypatch) -> None:
    rows = [*VARIANTS, snv(3), snv(8990), insertion(4700, "GATTACA" * 20), deletion(4600, 150)]
    few = scorer(genome, LOCAL, head, genes=NEAR, indels=indels)
    jobs = few.windows.jobs(rows, 0)
    read = [alleles.bins.n for alleles in few.predictor.predict(few.predictor.readers[0], jobs)]
    assert max(read) * few.bin_size < 0.85 * LENGTH
    values, genes = few.values(rows)
    monkeypatch.setattr(type(MODEL), "few_bins_are_cheaper", False)
    whole = scorer(genome, LOCAL, head, genes=NEAR, indels=indels)
    assert {alleles.bins.n for alleles in whole.predictor.predict(whole.predictor.readers[0], jobs)} == {whole.bins.n}
    expected, expected_genes = whole.values(rows)
    np.testing.assert_array_equal(genes, expected_genes)
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5)


def test_a_score_of_all_bins_has_them_all(genome) -> None:
    made = scorer(genome, "SAD," + LOCAL, "human_dnase_1bp")
    jobs = made.windows.jobs(VARIANTS, 0)
    assert {alleles.bins.n for alleles in made.predictor.predict(made.predictor.readers[0], jobs)} == {LENGTH}


# --- recommended scores


def test_recommended_scores_are_those_of_the_head(genome) -> None:
    def names(head: str, scores: str = "recommended") -> list[str]:
        return [score.name for score in chosen_scores(scores, MODEL, head)]

    assert names("human_atac_1bp") == ["CENTER_MASK_501_DIFF_LOG2_SUM", "CENTER_MASK_501_ACTIVE_SUM"]
    assert names("mouse_chip_histone_128bp") == ["CENTER_MASK_2001_DIFF_LOG2_SUM", "CENTER_MASK_2001_ACTIVE_SUM"]
    assert names("human_rna_seq_1bp") == ["GENE_MASK_LFC", "GENE_MASK_ACTIVE", "POLYADENYLATION"]
    assert names("mouse_rna_seq_1bp", "SAD,Recommended") == ["SAD", "GENE_MASK_LFC", "GENE_MASK_ACTIVE"]
    assert names("human_contact_maps") == [score.name for score in chosen_scores(None, MODEL, "human_contact_maps")]
    for head, shape in scored_heads(MODEL).items():
        assert all(SCORES[name].input.output == shape.kind for name in names(head))


def test_models_without_recommended_scores_say_so() -> None:
    with pytest.raises(OptionError, match="option scores is recommended, but the authors of this model recommend no scores"):
        chosen_scores("recommended", small_borzoi(), "human")
    with pytest.raises(OptionError, match="which is of track models such as AlphaGenome; name the scores"):
        chosen_scores("recommended", registry.load("demo"), None)


def test_the_commands_take_recommended_scores_of_every_kind_of_head(genome, tmp_path) -> None:
    folder, vcf, gtf = (tmp_path / name for name in ("model", "in.vcf", "genes.gtf"))
    registry.save(MODEL, folder)
    rows = [f"c1\t{v.pos}\t.\t{v.ref}\t{v.alt}\t.\t.\t.\n" for v in VARIANTS]
    vcf.write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + "".join(rows))
    line = 'c1\tx\texon\t{}\t{}\t.\t{}\t.\tgene_id "{}"; transcript_id "{}";\n'
    gtf.write_text(
        "".join(
            line.format(a + 1, b, strand, name, f"{name}-{i}")
            for name, (strand, transcripts) in EXONS.items()
            for i, exons in enumerate(transcripts)
            for a, b in exons
        )
    )
    for head in ("human_dnase_1bp", "human_rna_seq_1bp", "human_contact_maps", "human_splice_sites_junction"):
        out = tmp_path / f"{head}.tsv"
        common = ("-f", genome.path, "-m", folder, "--head", head, "--strand", "forward", "--gtf", gtf)
        run_well("score", vcf, *common, "-s", "recommended", "-o", out, "--noise-places", 1, "--verify", 2)
        table = rows_of(out)
        names = [score.name for score in chosen_scores("recommended", MODEL, head)]
        genes = read_genes(gtf, genome, transcripts=True)
        made = track_scorer(MODEL, genome, ",".join(names), head=head, genes=genes, both_strands=False)
        values, _ = made.values(VARIANTS)
        for i, name in enumerate(names):
            largest = [values[row, i][np.nanargmax(np.abs(values[row, i]))] for row in range(3)]
            assert [float(row[name]) for row in table] == pytest.approx(largest, rel=1e-3, abs=1e-4), (head, name)
    out = tmp_path / "calibration.npz"
    run_well("calibrate", vcf, "-f", genome.path, "-m", folder, "--head", "human_contact_maps", "-o", out)
    calibration = Calibration.load(out)
    assert list(calibration.grids) == ["CONTACT_MAP"]
    assert calibration.options["head"] == "human_contact_maps"
    refused = run("score", vcf, "-f", genome.path, "-m", folder, "--head", "human_dnase_1bp", "-s", "CONTACT_MAP", "-o", "-")
    assert_refused(refused, "--head is human_dnase_1bp, which predicts tracks, and CONTACT_MAP needs contact maps")


def test_a_report_of_pairs_draws_tracks_and_says_so(genome, tmp_path) -> None:
    folder, vcf, out, page = (tmp_path / name for name in ("model", "in.vcf", "out.vcf", "page.html"))
    registry.save(MODEL, folder)
    row = VARIANTS[0]
    head = "##fileformat=VCFv4.2\n##contig=<ID=c1,length=9000>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    vcf.write_text(f"{head}c1\t{row.pos}\t.\t{row.ref}\t{row.alt}\t.\t.\t.\n")
    run_well("score", vcf, "-f", genome.path, "-m", folder, "--head", "human_contact_maps", "-o", out, "--noise-places", 0)
    run_well("report", out, "-f", genome.path, "-m", folder, "-o", page)
    assert "human_contact_maps; contact maps are not drawn, the figures are of a head of tracks" in page.read_text()


def test_long_windows_are_scored_outside_no_grad(genome) -> None:
    """The encoder runs in several tiles, and the weights require gradients, as those of a loaded model do."""
    model = small_alphagenome(context_length=65_536)
    assert next(model.parameters()).requires_grad
    for name, head in (("CENTER_MASK_501_DIFF_LOG2_SUM", "human_dnase_1bp"), ("CONTACT_MAP", "human_contact_maps")):
        made = track_scorer(model, genome, name, head=head, both_strands=False)
        values, _ = made.values([snv(4500)])
        assert np.isfinite(values).all()
