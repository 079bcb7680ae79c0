"""Enrichment: counts against loops, P and intervals against what was planted, matching by hand."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from genoformer import annotation
from genoformer.annotation.enrichment import benjamini_hochberg, enrich, enrich_traits, overlap_ratio, q_values
from genoformer.annotation.figures import write_study
from genoformer.annotation.matching import (
    EDGES,
    FEWEST,
    Described,
    covariates,
    local_gc,
    match,
    membership,
    stratify,
    unmatched,
)
from genoformer.annotation.random_regions import random_regions, random_space, read_sizes
from genoformer.annotation.study import enrich_variants
from genoformer.annotation.study_result import describe, marked_by_chance
from genoformer.annotation.variant_regions import (
    chosen_regions,
    fill_frequencies,
    outside,
    read_variant_regions,
    thinned,
    unique_regions,
)
from genoformer.errors import ConfigError, ContigError, FileFormatError
from genoformer.genome.reference import Genome

HEAD = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def write_vcf(path: Path, places: list[tuple[str, int]], infos: list[str]) -> Path:
    rows = [f"{chrom}\t{pos}\t.\tA\tC\t.\t.\t{info}\n" for (chrom, pos), info in zip(places, infos, strict=True)]
    path.write_text(HEAD + "".join(rows))
    return path


# --- counts, P, intervals


def planted(seed: int, fold: float, n: int = 600, n_controls: int = 12_000):
    """Overlaps and strata of variants that overlap `fold` times as often as controls of their stratum."""
    rng = np.random.default_rng(seed)
    share = rng.uniform(0.02, 0.15, 20)
    control_strata = rng.integers(0, 20, n_controls)
    strata = rng.choice(20, n, p=rng.dirichlet(np.full(20, 2.0)))  # another mix than that of the controls
    overlaps = rng.random(n) < share[strata] * fold
    return overlaps[:, None], strata, (rng.random(n_controls) < share[control_strata])[:, None], control_strata


@pytest.mark.parametrize("fold", [1.0, 2.0, 5.0])
def test_the_interval_holds_what_was_planted(fold: float) -> None:
    held = 0
    for seed in range(100):
        overlaps, strata, theirs, control_strata = planted(seed, fold)
        found = enrich(overlaps, strata, theirs, control_strata, np.ones_like(overlaps), n_resamplings=400, seed=seed)
        held += found.low[0] <= fold <= found.high[0]
    assert held >= 91  # of 100; 95 % intervals hold fewer in 3 % of such experiments, and seeds are fixed


def test_p_is_uniform_where_nothing_is_planted() -> None:
    found = []
    for seed in range(200):
        overlaps, strata, theirs, control_strata = planted(seed, 1.0, n_controls=3_000)  # few controls: they vary, too
        found.append(
            enrich(overlaps, strata, theirs, control_strata, np.ones_like(overlaps), n_resamplings=200, seed=seed).p[0]
        )
    assert stats.kstest(found, "uniform").pvalue > 0.01


def test_counts_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(0)
    n, n_controls, n_annotations, n_traits = 40, 300, 3, 4
    strata, control_strata = rng.integers(0, 3, n), rng.integers(0, 3, n_controls)
    overlaps, theirs = rng.random((n, n_annotations)) < 0.3, rng.random((n_controls, n_annotations)) < 0.2
    could = rng.random((n, n_annotations)) < 0.8
    trait, variant = rng.integers(0, n_traits - 1, 60), rng.integers(0, n, 60)  # the last trait has none
    given = (overlaps, strata, theirs, control_strata, could)
    found = enrich(*given, n_resamplings=50, seed=1)
    matrix = enrich_traits(*given, (trait, variant, n_traits), n_resamplings=50, seed=1)
    for a in range(n_annotations):
        assert found.n[a] == sum(could[i, a] for i in range(n))
        assert found.observed[a] == sum(overlaps[i, a] and could[i, a] for i in range(n))
        shares = [theirs[control_strata == strata[i], a].mean() for i in range(n) if could[i, a]]
        assert found.expected[a] == pytest.approx(sum(shares))
        assert round(51 * found.p[a]) == pytest.approx(51 * found.p[a])
        assert found.p[a] + found.p_depletion[a] > 1  # those of as many are in both
        for t in range(n_traits):
            mine = [v for v, of in zip(variant, trait, strict=True) if of == t]
            assert matrix.n[t, a] == sum(could[v, a] for v in mine)
            assert matrix.observed[t, a] == sum(overlaps[v, a] and could[v, a] for v in mine)
            shares = [theirs[control_strata == strata[v], a].mean() for v in mine if could[v, a]]
            assert matrix.expected[t, a] == pytest.approx(sum(shares))
    assert (matrix.p[n_traits - 1] == 1).all()
    assert np.isnan(matrix.q[n_traits - 1]).all()  # nothing was tested there
    assert (matrix.q[: n_traits - 1] >= matrix.p[: n_traits - 1]).all()
    assert found.controls.mean(axis=1) == pytest.approx(found.expected, rel=0.25)


def test_p_is_never_0_and_the_same_seed_gives_the_same() -> None:
    overlaps, strata, theirs, control_strata = planted(0, 5.0)
    found = [
        enrich(overlaps, strata, theirs, control_strata, np.ones_like(overlaps), n_resamplings=99, seed=s) for s in (3, 3, 4)
    ]
    assert found[0].p[0] == 1 / 100
    assert (found[0].controls == found[1].controls).all()
    assert (found[0].low, found[0].high) == (found[1].low, found[1].high)
    assert (found[0].controls != found[2].controls).any()


def test_nothing_observed_nothing_expected() -> None:
    none = np.zeros((5, 1), dtype=bool)
    found = enrich(none, np.zeros(5, int), np.zeros((20, 1), bool), np.zeros(20, int), ~none, n_resamplings=20)
    assert np.isnan(found.fold[0])
    assert (found.low[0], found.high[0], found.p[0], found.p_depletion[0]) == (0, np.inf, 1, 1)
    every = enrich(~none, np.zeros(5, int), np.zeros((20, 1), bool), np.zeros(20, int), ~none, n_resamplings=20)
    assert every.fold[0] == np.inf
    assert every.p[0] == 1 / 21


def test_p_is_that_of_fisher_where_there_is_one_stratum() -> None:
    """Shuffled labels of one stratum are the hypergeometric distribution."""
    for hits, control_hits in ((7, 20), (2, 0), (0, 5), (30, 0)):
        overlaps, theirs = np.arange(30)[:, None] < hits, np.arange(200)[:, None] < control_hits
        found = enrich(
            overlaps, np.zeros(30, int), theirs, np.zeros(200, int), np.ones_like(overlaps), n_resamplings=20_000, seed=1
        )
        expected = stats.hypergeom.sf(hits - 1, 230, hits + control_hits, 30)
        assert found.p[0] == pytest.approx(expected, rel=0.08, abs=2e-4)


def test_few_controls_do_not_make_a_small_p() -> None:
    """Two overlaps where none of twelve controls has one are not much; of 12,000 controls they are."""
    overlaps = np.arange(10)[:, None] < 2
    few, many = (
        enrich(overlaps, np.zeros(10, int), np.zeros((n, 1), bool), np.zeros(n, int), np.ones_like(overlaps))
        for n in (12, 12_000)
    )
    assert few.p[0] > 0.1
    assert many.p[0] < 0.002
    assert np.isposinf(few.fold[0])
    assert few.low[0] < many.low[0]
    assert np.isposinf(few.high[0])


@given(st.lists(st.floats(0.0001, 1), min_size=1, max_size=30))
def test_q_is_scipys(p: list[float]) -> None:
    assert benjamini_hochberg(np.array(p)) == pytest.approx(stats.false_discovery_control(p))


def test_fold_of_nothing() -> None:
    fold = overlap_ratio(np.array([2, 0, 1]), np.array([4.0, 0.0, 0.0]))
    assert fold[0] == 0.5
    assert np.isnan(fold[1])
    assert np.isposinf(fold[2])


# --- places and matching


def test_places_of_a_vcf_and_of_a_bed(tmp_path: Path) -> None:
    infos = ["AF=0.9;S=-3,2;T=x", "AC=1;AN=4;S=.", "T=y"]
    places = read_variant_regions(
        write_vcf(tmp_path / "a.vcf", [("1", 5), ("1", 9), ("2", 4)], infos), score_key="S", trait="T"
    )
    assert places.starts.tolist() == [4, 8, 3]
    assert np.nan_to_num(places.frequency, nan=-1).round(3).tolist() == [0.1, 0.25, -1]
    assert np.nan_to_num(places.score, nan=-1).tolist() == [3, -1, -1]
    assert [places.traits[t] if t >= 0 else None for t in places.trait.tolist()] == ["x", None, "y"]
    bed = tmp_path / "a.bed"
    bed.write_text("chr1\t4\t5\trs1\tTall\nchr1\t8\t20\trs2\t.\n")
    found = read_variant_regions(bed, trait="5")
    assert (found.ends - found.starts).tolist() == [1, 12]
    assert found.trait.tolist() == [0, -1]
    assert places.keys()[0] == found.keys()[0]  # 1:5 and chr1:4-5
    assert fill_frequencies(found, places).frequency[0] == pytest.approx(0.1)
    assert np.isnan(fill_frequencies(found, places).frequency[1])


def test_places_of_a_table_and_of_ids(tmp_path: Path) -> None:
    """The columns of a table are what the keys of INFO are in a VCF."""
    (tmp_path / "a.tsv").write_text("chr\tbp\tref\talt\tbeta\ttrait\n1\t5\tA\tC\t-3\tx\n2\t4\tAC\tA\t\ty\n")
    places = read_variant_regions(tmp_path / "a.tsv", score_key="beta", trait="trait")
    assert (places.starts.tolist(), places.ends.tolist(), places.name) == ([4, 3], [5, 5], "a.tsv")
    assert np.nan_to_num(places.score, nan=-1).tolist() == [3, -1]
    assert places.traits == ("x", "y")
    assert read_variant_regions(["1:5:A:C", "2:4:AC:A"]).starts.tolist() == [4, 3]


def test_places_in_regions(tmp_path: Path) -> None:
    """REF of a record, or a row, overlaps a region; a row without length lies where it begins."""
    vcf = write_vcf(tmp_path / "a.vcf", [("1", 5), ("1", 9), ("2", 4)], ["."] * 3)
    assert read_variant_regions(vcf, region=["chr1:6-20", "2"]).starts.tolist() == [8, 3]
    (tmp_path / "a.bed").write_text("chr1\t0\t5\nchr1\t8\t8\nchr1\t9\t20\nchr2\t3\t4\n")
    for region, starts in (("1:5-9", [0, 8]), ("1:6-8", None), (["1:6-10", "1:9-12"], [8, 9]), ("chr2", [3])):
        if starts is not None:
            assert read_variant_regions(tmp_path / "a.bed", region=region).starts.tolist() == starts
            continue
        with pytest.raises(FileFormatError, match=r"no row of a\.bed lies in 1:6-8"):
            read_variant_regions(tmp_path / "a.bed", region=region)
    with pytest.raises(FileFormatError, match="has no records to read"):
        read_variant_regions(vcf, region="1:100-200")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"score_key": "NOPE"}, "no record .* has this number"),
        ({"score_key": "T"}, "'x' is not a number"),
        ({"trait": "NOPE"}, "no record .* has this value"),
    ],
)
def test_columns_that_are_not_there(tmp_path: Path, options: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_variant_regions(write_vcf(tmp_path / "a.vcf", [("1", 5)], ["T=x"]), **options)


def test_columns_of_a_bed_that_are_not_there(tmp_path: Path) -> None:
    bed = tmp_path / "a.bed"
    bed.write_text("chr1\t4\t5\trs1\n")
    with pytest.raises(ConfigError, match="the number of a column"):
        read_variant_regions(bed, trait="name")
    with pytest.raises(FileFormatError, match="line 1: 4 columns"):
        read_variant_regions(bed, trait="5")
    bed.write_text("")
    with pytest.raises(FileFormatError, match="no rows"):
        read_variant_regions(bed)


def test_of_many_controls_a_sample_is_kept(tmp_path: Path) -> None:
    path = write_vcf(tmp_path / "a.vcf", [("1", i + 1) for i in range(5_000)], ["AF=0.5"] * 5_000)
    kept = read_variant_regions(path, most=1_000, seed=1)
    assert 1_000 <= len(kept) <= 2_000
    assert 2_000 < kept.starts.mean() < 3_000  # of all of the file
    assert (read_variant_regions(path, most=1_000, seed=1).starts == kept.starts).all()


def test_local_gc_by_hand(tmp_path: Path, make_fasta: Callable[..., Path]) -> None:
    genome = Genome(make_fasta(chr1="A" * 1_000 + "G" * 1_000 + "N" * 2_000))
    places = read_variant_regions(
        write_vcf(tmp_path / "a.vcf", [("1", 501), ("1", 1_001), ("1", 1_501), ("1", 3_000)], ["."] * 4)
    )
    gc = local_gc(places, genome)
    assert gc[:3].tolist() == [1 / 1001, 501 / 1001, 1000 / 1000]  # 500 on either side; of the third the last base is N
    assert np.isnan(gc[3])


def test_strata_keep_apart_what_differs(tmp_path: Path) -> None:
    places = read_variant_regions(
        write_vcf(tmp_path / "a.vcf", [("1", i) for i in range(1, 6)], [f"AF={af}" for af in (0.3, 0.35, 0.01, 0.05, 0.5)])
    )
    values = covariates(places, ["af"], annotation.Annotations([]), None)
    covered = np.ones((5, 1), dtype=bool)
    strata = stratify(Described(places, values, covered), Described(places, values, covered), {"af": 1})
    assert strata.variants[0] == strata.variants[1]
    assert len(set(strata.variants.tolist())) == 4
    assert (strata.variants == strata.controls).all()
    covered_less = covered.copy()
    covered_less[0] = False  # its contig is in no annotation
    apart = stratify(Described(places, values, covered_less), Described(places, values, covered), {"af": 1})
    assert apart.variants[0] not in apart.controls.tolist()
    assert apart.variants[1] == apart.controls[0]
    assert "af 0.3 to 0.4; one base" in strata.table[strata.variants[0]][0]
    assert all(list(edges) == sorted(edges) for edges in EDGES.values())


def test_bins_widen_until_variants_have_controls(tmp_path: Path) -> None:
    def described(places: list[tuple[str, int]], frequencies: list[float]):
        found = read_variant_regions(write_vcf(tmp_path / "a.vcf", places, [f"AF={af}" for af in frequencies]))
        values = covariates(found, ["af"], annotation.Annotations([]), None)
        return Described(found, values, np.ones((len(found), 1), dtype=bool))

    variants = described([("1", i + 1) for i in range(20)], [0.012] * 20)
    near = described([("1", i + 1) for i in range(100)], [0.013] * 100)  # the same bin, 0.01 to 0.02
    next_one = described([("1", i + 1) for i in range(100)], [0.006] * 100)  # 0.005 to 0.01: one with it when two are
    far = described([("1", i + 1) for i in range(100)], [0.4] * 100)
    assert [match(variants, controls).widths["af"] for controls in (near, next_one)] == [1, 2]
    assert not unmatched(match(variants, next_one)).any()
    assert unmatched(match(variants, far)).all()
    assert "af 0.005 to 0.02" in match(variants, next_one).table[0][0]


def test_random_places_lie_where_they_may(tmp_path: Path, make_fasta: Callable[..., Path]) -> None:
    genome = Genome(make_fasta(chr1="ACGT" * 50 + "N" * 100 + "ACGT" * 50, chr2="N" * 500))
    variants = read_variant_regions(write_vcf(tmp_path / "v.vcf", [("1", 5), ("1", 490)], ["."] * 2))
    ground = random_space(variants, genome, None, {"chr1": np.array([[0, 100]])})
    assert ground.intervals["1"].tolist() == [[100, 200], [300, 500]]
    places = random_regions(ground, 3_000, np.array([1]), np.random.default_rng(0))
    inside = ((places.starts >= 100) & (places.starts < 200)) | ((places.starts >= 300) & (places.starts < 500))
    assert inside.all()
    assert (places.starts < 200).mean() == pytest.approx(1 / 3, abs=0.03)
    with pytest.raises(ConfigError, match="need the lengths of contigs"):
        random_space(variants, None, None, {})
    far = read_variant_regions(write_vcf(tmp_path / "v.vcf", [("20", 5), ("20", 60_000_000), ("nowhere", 7)], ["."] * 3))
    found = random_space(far, None, read_sizes("hg19"), {})
    assert found.intervals["20"].tolist() == [[0, 63_025_520]]
    assert "no controls on nowhere" in found.notes[0]


def test_a_region_is_not_compared_with_the_rest_of_its_contig(tmp_path: Path) -> None:
    places = [("20", 1_000_000 + 1_000 * i) for i in range(20)]
    found = random_space(read_variant_regions(write_vcf(tmp_path / "v.vcf", places, ["."] * 20)), None, read_sizes("hg19"), {})
    assert found.intervals["20"].tolist() == [[999_999, 1_019_000]]
    assert "drawn from 20:1,000,000-1,019,000 only" in found.notes[0]
    few = random_space(read_variant_regions(write_vcf(tmp_path / "v.vcf", places[:9], ["."] * 9)), None, read_sizes("hg19"), {})
    assert few.intervals["20"].tolist() == [[0, 63_025_520]]  # too few to be somebody's region


def test_sizes_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.sizes"
    path.write_text("chr1\t500\nchr2 60\n")
    assert read_sizes(str(path)) == {"chr1": 500, "chr2": 60}
    path.write_text("chr1\tlong\n")
    with pytest.raises(FileFormatError, match="line 1"):
        read_sizes(str(path))


@given(st.lists(st.tuples(st.sampled_from("12"), st.integers(1, 50)), min_size=1, max_size=20, unique=True), st.integers(1, 20))
def test_thinned_places_are_far_apart(tmp_path_factory, places: list[tuple[str, int]], distance: int) -> None:
    every = read_variant_regions(write_vcf(tmp_path_factory.mktemp("a") / "a.vcf", places, ["."] * len(places)))
    kept = [places[i] for i in thinned(every, distance).tolist()]
    for i, (chrom, pos) in enumerate(kept):
        assert all(chrom != other or abs(pos - at) >= distance for other, at in kept[:i])
    for chrom, pos in set(places) - set(kept):  # nothing was dropped without need
        assert any(chrom == other and abs(pos - at) < distance for other, at in kept)


# --- the whole of it


@pytest.fixture
def world(tmp_path: Path) -> dict[str, Path]:
    """10,000 bases; elements in every tenth stretch of 100; half of the variants lie in them, of the controls a tenth."""
    rng = np.random.default_rng(0)
    elements = "".join(f"chr1\t{i * 1_000}\t{i * 1_000 + 100}\t{'EW'[i % 2]}{'' if i % 2 == 0 else 'E'}\n" for i in range(10))
    (tmp_path / "e.bed").write_text(elements)
    (tmp_path / "t.bed").write_text("chr1\t75000\t75001\tG\t0\t+\n")
    inside = [int(i * 1_000 + j) for i, j in zip(rng.integers(0, 10, 60), rng.integers(0, 100, 60), strict=True)]
    outside = [int(i * 1_000 + j) for i, j in zip(rng.integers(0, 10, 60), rng.integers(100, 1_000, 60), strict=True)]
    places = sorted(set(inside + outside))
    infos = [f"AF=0.2;S={1 + (p % 1_000 < 100) * 5 + p / 1e5};T={'one' if i % 3 else 'two'}" for i, p in enumerate(places)]
    write_vcf(tmp_path / "v.vcf", [("1", p + 1) for p in places], infos)
    controls = rng.choice(10_000, 3_000, replace=False)
    write_vcf(tmp_path / "c.vcf", [("chr1", int(p) + 1) for p in np.sort(controls)], ["AF=0.21"] * 3_000)
    return {name: tmp_path / name for name in ("e.bed", "t.bed", "v.vcf", "c.vcf")}


@pytest.mark.parametrize("background", ["auto", "c.vcf"])
def test_a_study_in_regions_compares_what_lies_there(world: dict[str, Path], background: str) -> None:
    """Variants and controls outside of the regions are not used, whether controls are drawn or read."""
    annotations = annotation.read_annotations([f"E={world['e.bed']}"])
    options = {"sizes": {"chr1": 10_000}, "controls": 500, "match_on": []} if background == "auto" else {"match_on": []}
    source = world.get(background, background)
    study = enrich_variants(world["v.vcf"], annotations, source, region="chr1:1-4,000", resamplings=20, **options)
    (compared,) = study.compared
    whole = enrich_variants(world["v.vcf"], annotations, source, resamplings=20, **options).compared[0]
    inside = read_variant_regions(world["v.vcf"], region="1:1-4,000")
    assert compared.n_variants == len(inside) < whole.n_variants
    assert (inside.starts < 4_000).all()
    assert compared.n_controls < whole.n_controls
    assert study.settings["places"] == len(inside)


def test_random_controls_of_regions_lie_in_them(tmp_path: Path) -> None:
    places = read_variant_regions(write_vcf(tmp_path / "a.vcf", [("1", i) for i in (5, 90, 95)], ["."] * 3))
    holes = outside(chosen_regions(["chr1:11-20", "1:16-30"], places, None), places.contigs, places.contigs)
    assert {name: rows.tolist() for name, rows in holes.items()} == {"1": [[0, 10], [30, sys.maxsize]]}
    assert random_space(places, None, {"chr1": 100}, holes).intervals["1"].tolist() == [[10, 30]]


def test_a_study_from_files(world: dict[str, Path], tmp_path: Path) -> None:
    annotations = annotation.read_annotations([f"E={world['e.bed']}"], tss=world["t.bed"])
    study = enrich_variants(world["v.vcf"], annotations, world["c.vcf"], trait="T", resamplings=200)
    assert study.annotations == ["E:E", "E:WE"]
    assert study.matched_on == ["af", "tss"]
    (found,) = study.compared
    assert found.enrichment.fold == pytest.approx([5, 5], rel=0.5)
    assert (found.enrichment.p == 1 / 201).all()
    assert study.traits == ["two", "one"]
    assert study.matrix is not None
    assert study.matrix.observed.sum(axis=0).tolist() == found.enrichment.observed.tolist()
    assert study.marked.any()
    assert any("3,000 controls of c.vcf" in line or "controls of c.vcf" in line for line in describe(study))
    written = {path.name for path in write_study(tmp_path / "out", study)}
    figures = {f"{name}.{suffix}" for name in ("enrichment", "traits") for suffix in ("png", "svg")}
    assert written == {"enrichment.tsv", "matching.tsv", "traits.tsv", "enrichment.json"} | figures
    saved = json.loads((tmp_path / "out" / "enrichment.json").read_text())
    assert saved["settings"]["resamplings"] == 200
    again = enrich_variants(world["v.vcf"], annotations, world["c.vcf"], trait="T", resamplings=200)
    assert (again.compared[0].enrichment.controls == found.enrichment.controls).all()


def test_a_variant_is_no_control_of_itself(world: dict[str, Path]) -> None:
    annotations = annotation.read_annotations([f"E={world['e.bed']}"])
    with pytest.raises(ConfigError, match=r"none of 3,000 variants has enough controls .fewer than 10 controls like it: 3,000"):
        enrich_variants(world["c.vcf"], annotations, world["c.vcf"], resamplings=5)


def test_high_scores_beside_the_others(world: dict[str, Path]) -> None:
    annotations = annotation.read_annotations([f"E={world['e.bed']}"])
    study = enrich_variants(world["v.vcf"], annotations, score="S", top=[0.2, 0.4], resamplings=200)
    assert [each.name.split("(")[1] for each in study.compared] == ["top 0.4)", "top 0.2)"]
    for each in study.compared:
        assert each.enrichment.observed.sum() == each.n_variants  # all of the highest lie in elements
        assert (each.enrichment.p < 0.05).all()
    assert study.compared[1].n_variants < study.compared[0].n_variants
    with pytest.raises(ConfigError, match="fractions between 0 and 1"):
        enrich_variants(world["v.vcf"], annotations, score="S", top=[5])


def test_random_controls(world: dict[str, Path]) -> None:
    annotations = annotation.read_annotations([f"E={world['e.bed']}"])
    study = enrich_variants(world["v.vcf"], annotations, sizes={"chr1": 10_000}, controls=5_000, resamplings=100)
    assert study.matched_on == []
    assert study.compared[0].enrichment.fold == pytest.approx([5, 5], rel=0.4)
    assert any("not matched on minor allele frequency" in note for note in study.notes)


@pytest.mark.parametrize(
    ("on", "says"),
    [
        (["tss"], "there are no TSSs"),
        (["gc"], "there is no genome"),
        (["af", "x"], "option match_on is x, expected some of af, tss, gc"),
    ],
)
def test_what_cannot_be_matched_on(world: dict[str, Path], on: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        enrich_variants(world["v.vcf"], annotation.read_annotations([f"E={world['e.bed']}"]), world["c.vcf"], match_on=on)


def test_unmatched_variants_are_counted(world: dict[str, Path], tmp_path: Path) -> None:
    text = world["v.vcf"].read_text().splitlines(keepends=True)
    text[2] = text[2].replace("AF=0.2", "AF=0.0004")  # no control is as rare
    text[3] = text[3].replace("AF=0.2;", "")  # and of this one the frequency is not known
    world["v.vcf"].write_text("".join(text))
    study = enrich_variants(
        world["v.vcf"], annotation.read_annotations([f"E={world['e.bed']}"]), world["c.vcf"], resamplings=20
    )
    lost = study.compared[0].unmatched
    assert lost[f"fewer than {FEWEST} controls like it"] == 1
    assert lost.get("no frequency of the minor allele", 0) in (0, 1)  # unless a control lies at its place
    assert study.compared[0].enrichment.n[0] == study.compared[0].n_variants - sum(lost.values())


def test_an_annotation_that_lacks_a_contig_is_compared_where_it_could_be(tmp_path: Path) -> None:
    (tmp_path / "a.bed").write_text("".join(f"1\t{i * 100}\t{i * 100 + 10}\n" for i in range(50)))
    (tmp_path / "b.bed").write_text("".join(f"{c}\t{i * 100}\t{i * 100 + 10}\n" for i in range(50) for c in "12"))
    rng = np.random.default_rng(0)
    for name, n in (("v.vcf", 100), ("c.vcf", 2_000)):
        places = sorted(
            {("12"[int(c)], int(p) + 1) for c, p in zip(rng.integers(0, 2, n), rng.integers(0, 5_000, n), strict=True)}
        )
        write_vcf(tmp_path / name, places, ["."] * len(places))
    annotations = annotation.read_annotations([f"A={tmp_path / 'a.bed'}", f"B={tmp_path / 'b.bed'}"])
    study = enrich_variants(tmp_path / "v.vcf", annotations, tmp_path / "c.vcf", resamplings=100)
    found = study.compared[0].enrichment
    places = read_variant_regions(tmp_path / "v.vcf")
    names, flags, could = membership(places, annotations)
    assert names == ["A", "B"]
    assert could[:, 1].all()
    assert found.n[0] == (places.contig == places.contigs.index("1")).sum()
    assert found.expected / found.n == pytest.approx([0.1, 0.1], abs=0.025)
    assert (flags[~could] == 0).all()


def test_a_place_has_the_largest_score_of_its_records(tmp_path: Path) -> None:
    """As where a VCF is split by ALT, or an insertion stands beside an SNV and has another score."""
    places = [("1", 5), ("1", 5), ("1", 9), ("1", 5)]
    found = unique_regions(
        read_variant_regions(write_vcf(tmp_path / "a.vcf", places, ["S=1", "S=-7;AF=0.1", "AF=0.2", "AF=0.4"]), score_key="S")
    )
    assert found.starts.tolist() == [4, 8]
    assert np.nan_to_num(found.score, nan=-1).tolist() == [7, -1]
    assert found.frequency.tolist() == [0.1, 0.2]


def test_scores_after_a_record_without_one(world: dict[str, Path], tmp_path: Path) -> None:
    lines = world["v.vcf"].read_text().splitlines(keepends=True)
    unscored = [line.replace(";S=", ";NO=") for line in lines[2:]]
    (tmp_path / "twice.vcf").write_text(
        "".join(lines[:2] + [line for pair in zip(unscored, lines[2:], strict=True) for line in pair])
    )
    annotations = annotation.read_annotations([f"E={world['e.bed']}"])
    once, twice = (
        enrich_variants(path, annotations, score="S", top=[0.2], resamplings=50).compared[0].enrichment
        for path in (world["v.vcf"], tmp_path / "twice.vcf")
    )
    assert once.observed.tolist() == twice.observed.tolist()
    assert once.expected.tolist() == twice.expected.tolist()


def test_traits_are_pruned_each_by_itself(tmp_path: Path) -> None:
    """The second trait has a variant behind each of the first's: closer than that to it, but not to each other."""
    (tmp_path / "e.bed").write_text("".join(f"chr20\t{i * 20_000 + 1_000}\t{i * 20_000 + 1_010}\n" for i in range(100)))
    rows = "".join(
        f"chr20\t{i * 20_000}\t{i * 20_000 + 1}\tr\tA\nchr20\t{i * 20_000 + 1_005}\t{i * 20_000 + 1_006}\tr\tB\n"
        for i in range(100)
    )
    (tmp_path / "v.bed").write_text(rows)
    annotations = annotation.read_annotations([f"E={tmp_path / 'e.bed'}"])
    study = enrich_variants(tmp_path / "v.bed", annotations, sizes=read_sizes("hg19"), trait="5", prune=5_000, resamplings=50)
    assert study.matrix is not None
    assert study.matrix.observed[:, 0].tolist() == [0, 100]
    assert study.compared[0].n_compared == 100  # of both together, one of each pair


def test_contigs_that_nothing_has_are_refused(world: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "o.bed").write_text("chr7\t5\t10\nchr7\t50\t60\n")
    with pytest.raises(ContigError, match="no annotation has a contig"):
        enrich_variants(world["v.vcf"], annotation.read_annotations([f"O={tmp_path / 'o.bed'}"]), world["c.vcf"])
    both = annotation.read_annotations([f"O={tmp_path / 'o.bed'}", f"E={world['e.bed']}"])
    study = enrich_variants(world["v.vcf"], both, world["c.vcf"], resamplings=50)
    found = study.compared[0].enrichment
    assert found.n[0] == 0
    assert np.isnan(found.q[0])
    assert found.q[1:] == pytest.approx(q_values(found.p[1:], np.ones(2, bool)))  # the other's q is not paid for it
    assert any("o.bed: none of its contigs is in v.vcf" in note for note in study.notes)


def test_odd_records_are_in_the_notes_of_a_study(world: dict[str, Path]) -> None:
    with world["v.vcf"].open("a") as file:
        file.write("1\t10001\t.\tA\t<DEL>\t.\t.\tAF=0.2;END=5\n")
    annotations = annotation.read_annotations([f"E={world['e.bed']}"])
    study = enrich_variants(world["v.vcf"], annotations, world["c.vcf"], resamplings=50)
    assert any("1 record has an END before POS, which is not used (the first is at 1:10001)" in note for note in study.notes)


def test_marks_by_chance_are_those_of_poisson_counts() -> None:
    rng = np.random.default_rng(0)
    expected = np.repeat([0.05, 0.5, 4.0], 40_000)
    observed = rng.poisson(expected)
    p = stats.poisson.sf(observed - 1, expected)
    marked = ((p <= 0.01) & (observed >= 3)).sum()
    assert marked_by_chance(expected) == pytest.approx(marked, rel=0.1)


def test_several_traits_of_a_record(tmp_path: Path) -> None:
    found = read_variant_regions(
        write_vcf(tmp_path / "a.vcf", [("1", 5), ("1", 9)], ["T=Body%20mass%2Cindex,height", "X"]), trait="T"
    )
    assert [found.traits[t] if t >= 0 else None for t in found.trait.tolist()] == ["Body mass,index", "height", None]
    assert found.starts.tolist() == [4, 4, 8]


def test_a_frequency_that_is_none_is_named_by_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a.vcf, line 4: INFO AF=7 is no frequency"):
        read_variant_regions(write_vcf(tmp_path / "a.vcf", [("1", 5), ("1", 9)], ["AF=0.1", "AF=7"]))


def test_nothing_to_look_for(world: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="found no annotation with elements"):
        enrich_variants(world["v.vcf"], annotation.read_annotations(tss=world["t.bed"]), world["c.vcf"])
    with pytest.raises(ConfigError, match=r"option score is .* and the trait is .*, expected one of the two"):
        enrich_variants(
            world["v.vcf"], annotation.read_annotations([f"E={world['e.bed']}"]), world["c.vcf"], score="S", trait="T"
        )


def test_pruned_variants(world: dict[str, Path]) -> None:
    annotations = annotation.read_annotations([f"E={world['e.bed']}"])
    study = enrich_variants(world["v.vcf"], annotations, world["c.vcf"], prune=500, trait="T", resamplings=20)
    assert study.compared[0].n_compared <= 20
    assert any("lie within 500 bases" in note for note in study.notes)


def test_lead_snps_of_the_gwas_catalog_lie_in_regulatory_peaks(real_data: Path) -> None:
    folder = real_data / "hg19" / "annotation"
    annotations = annotation.read_annotations(
        [f"EP300={folder / 'tf_chip' / 'GM12878.EP300.narrowPeak.gz'}"], tss=folder / "wgEncodeGencodeBasicV19.txStart.bed.gz"
    )
    study = enrich_variants(
        real_data / "hg19" / "gwasCatalog_2014-07-09.bed.gz", annotations, sizes=read_sizes("hg19"), resamplings=100
    )
    found = study.compared[0].enrichment
    assert found.low[0] > 1.5
    assert found.p[0] == 1 / 101
    assert found.n[0] < study.compared[0].n_variants  # the peaks lack chr1, chr8 and chr21
