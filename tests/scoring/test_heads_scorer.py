"""Scores of several heads in one run: each equals the run of that head alone, in every output."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from alphagenome_models import small_alphagenome
from borzoi_models import small_borzoi
from commands import assert_refused, rows_of, run, run_well
from published_scorers import CONTIG, EXONS, VARIANTS, snv
from small_models import small_enformer

import genoformer as gf
from genoformer.errors import ConfigError, OptionError
from genoformer.genome.genes import read_genes
from genoformer.genome.reference import Genome
from genoformer.models import registry
from genoformer.scoring.scored_heads import chosen_heads
from genoformer.scoring.scoring_choices import chosen_scores

MODEL = small_alphagenome()
HEADS = ("human_dnase_1bp", "human_chip_tf_128bp", "human_rna_seq_1bp", "human_contact_maps", "human_splice_sites_junction")
ROWS = [*VARIANTS, snv(7500)]
GENOTYPES = ("0|1\t1|0", "1|0\t0|0", "0|1\t1|0", "0|1\t0|1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("heads")
    (path / "g.fa").write_text(f">c1\n{CONTIG}\n")
    registry.save(MODEL, path / "m")
    rows = [f"c1\t{v.pos}\t.\t{v.ref}\t{v.alt}\t.\t.\t.\n" for v in ROWS]
    head = "##fileformat=VCFv4.2\n##contig=<ID=c1,length=9000>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    (path / "in.vcf").write_text(head + "".join(rows))
    line = 'c1\tx\texon\t{}\t{}\t.\t{}\t.\tgene_id "{}"; transcript_id "{}";\n'
    (path / "g.gtf").write_text(
        "".join(
            line.format(a + 1, b, strand, name, f"{name}-{i}")
            for name, (strand, transcripts) in EXONS.items()
            for i, exons in enumerate(transcripts)
            for a, b in exons
        )
    )
    return path


def common(folder: Path) -> tuple:
    return (
        "score",
        folder / "in.vcf",
        "-f",
        folder / "g.fa",
        "-m",
        folder / "m",
        "--strand",
        "forward",
        "--gtf",
        folder / "g.gtf",
    )


def of_heads(heads: tuple[str, ...]) -> tuple:
    return tuple(word for head in heads for word in ("--head", head))


def _of_scores(table: pd.DataFrame) -> list[str]:
    return list(table.columns)[list(table.columns).index("status") + 1 :]


def test_recommended_scores_of_several_heads_are_those_of_each_head_alone(folder, tmp_path) -> None:
    out, matrix = tmp_path / "all.tsv", tmp_path / "all.parquet"
    files = ("-o", out, "--matrix", matrix, "--noise-places", 2, "--verify", 2)
    made = run_well(*common(folder), *of_heads(HEADS), "-s", "recommended", *files)
    assert "verified: 2 random records" in made.stderr
    table, together = pd.read_csv(out, sep="\t"), pd.read_parquet(matrix)
    names: list[str] = []
    for head in HEADS:
        alone = tmp_path / f"{head}.tsv"
        files = ("-o", alone, "--matrix", tmp_path / "one.parquet", "--noise-places", 2)
        run_well(*common(folder), "--head", head, "-s", "recommended", *files)
        one, matrix_of_one = pd.read_csv(alone, sep="\t"), pd.read_parquet(tmp_path / "one.parquet")
        scores = [score.name for score in chosen_scores("recommended", MODEL, head)]
        for column in _of_scores(one):
            score = max((name for name in scores if column.startswith(name)), key=len)
            renamed = f"{score}_{head}{column.removeprefix(score)}"
            names.append(renamed)
            if one[column].dtype == float and not column.endswith("_NOISE"):
                np.testing.assert_allclose(table[renamed], one[column], rtol=1e-4, err_msg=renamed)
            else:
                texts = [of[column_].astype(object).fillna("").tolist() for of, column_ in ((table, renamed), (one, column))]
                assert texts[0] == texts[1], renamed
        rows = together[together.score.isin([f"{score}_{head}" for score in scores])]
        assert len(rows) == len(matrix_of_one)
        assert (rows.score.str.removesuffix(f"_{head}").tolist(), rows.pos.tolist()) == (
            matrix_of_one.score.tolist(),
            matrix_of_one.pos.tolist(),
        )
        tracks = [name for name in matrix_of_one if f"{head}:{name}" in together]
        np.testing.assert_allclose(rows[[f"{head}:{name}" for name in tracks]], matrix_of_one[tracks], rtol=1e-4, atol=1e-6)
        others = [name for name in together if ":" in name and not name.startswith(f"{head}:")]
        assert rows[others].isna().all().all()
    assert set(_of_scores(table)) == set(names)
    assert table.loc[3, "GENE_MASK_LFC_human_rna_seq_1bp"] != table.loc[3, "CENTER_MASK_501_DIFF_LOG2_SUM_human_dnase_1bp"]
    assert np.isnan(table.loc[3, "SPLICE_JUNCTION_human_splice_sites_junction"])
    assert table.status.isin([".", ""]).all() or table.status.isna().all()


def test_pairs_of_several_heads_are_those_of_each_head_alone(folder, tmp_path) -> None:
    words = ("pairs", *common(folder)[1:], "--within", 60, "-s", "SAD,CENTER_MASK_501_DIFF_LOG2_SUM")
    run_well(*words, *of_heads(HEADS[:2]), "-o", tmp_path / "all.tsv")
    together = pd.read_csv(tmp_path / "all.tsv", sep="\t")
    assert len(together) > 1
    n_columns = 7
    for head in HEADS[:2]:
        run_well(*words, "--head", head, "-o", tmp_path / "one.tsv")
        one = pd.read_csv(tmp_path / "one.tsv", sep="\t")
        assert one.columns[:7].tolist() == together.columns[:7].tolist()
        for column in one.columns[7:]:
            score = "SAD" if column.startswith("SAD") else "CENTER_MASK_501_DIFF_LOG2_SUM"
            renamed = together[f"{score}_{head}{column.removeprefix(score)}"]
            if one[column].dtype == float:
                np.testing.assert_allclose(renamed, one[column], rtol=1e-4, err_msg=column)
            else:
                assert renamed.tolist() == one[column].tolist()
            n_columns += 1
    assert len(together.columns) == n_columns


def test_haplotypes_of_several_heads_are_those_of_each_head_alone(folder, tmp_path, monkeypatch) -> None:
    """Heads of bins of 1, 128 and 2,048 bases; on the grid, whose steps their bins set, the window is that of the largest."""
    rows = [f"c1\t{v.pos}\t.\t{v.ref}\t{v.alt}\t.\t.\t.\tGT\t{gt}\n" for v, gt in zip(ROWS, GENOTYPES, strict=True)]
    head = "##fileformat=VCFv4.2\n##contig=<ID=c1,length=9000>\n" + '##FORMAT=<ID=GT,Number=1,Type=String,Description="GT">\n'
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\tS2\n"
    (tmp_path / "phased.vcf").write_text(head + columns + "".join(rows))
    words = ("haplotypes", tmp_path / "phased.vcf", *common(folder)[2:], "-r", "c1:4500-4520", "-r", "c1:7000-7001")
    scores = ("-s", "SAD,CENTER_MASK_501_DIFF_LOG2_SUM,CONTACT_MAP")
    heads = ("human_dnase_1bp", "human_chip_tf_128bp", "human_contact_maps")
    run_well(*words, *scores, *of_heads(heads), "-o", tmp_path / "grid.tsv")
    assert pd.read_csv(tmp_path / "grid.tsv", sep="\t").variants.tolist() == [1, 2, 3, 2, 0, 2, 1, 3, 4, 2, 1, 3]
    words = (*words, "--anchor", "variant")
    run_well(*words, *scores, *of_heads(heads), "-o", tmp_path / "all.tsv")
    together = pd.read_csv(tmp_path / "all.tsv", sep="\t")
    assert together.haplotype.tolist() == ["1", "2", "sum"] * 4
    assert together.variants.tolist() == [1, 2, 3, 2, 0, 2, 0, 1, 1, 0, 1, 1]
    n_columns = 7
    for head in heads:
        of_head = ("-s", "CONTACT_MAP") if head == "human_contact_maps" else ("-s", "SAD,CENTER_MASK_501_DIFF_LOG2_SUM")
        run_well(*words, *of_head, "--head", head, "-o", tmp_path / "one.tsv")
        one = pd.read_csv(tmp_path / "one.tsv", sep="\t")
        pd.testing.assert_frame_equal(one.iloc[:, :7], together.iloc[:, :7])
        for column in one.columns[7:]:
            score = next(name for name in scores[1].split(",") if column.startswith(name))
            renamed = together[f"{score}_{head}{column.removeprefix(score)}"]
            if one[column].dtype == float:
                np.testing.assert_allclose(renamed, one[column], rtol=1e-4, atol=1e-6, err_msg=column)
                assert (one[column][together.variants > 0] != 0).any()
            else:
                assert renamed.fillna("").tolist() == one[column].fillna("").tolist()
            n_columns += 1
    assert len(together.columns) == n_columns
    calls, whole = [], type(MODEL).transform

    def counted(self, x, organism):
        calls.extend([organism] * (x.device.type != "meta"))
        return whole(self, x, organism)

    monkeypatch.setattr(type(MODEL), "transform", counted)
    n_passes = {}
    for name in ("human_dnase_1bp", "human_*_1bp"):  # heads with one embedding
        calls.clear()
        run_well(*words, "-s", "SAD", "--head", name, "-o", tmp_path / "pattern.tsv")
        n_passes[name] = len(calls)
    assert "SAD_human_rna_seq_1bp" in (tmp_path / "pattern.tsv").read_text()
    assert n_passes["human_*_1bp"] == n_passes["human_dnase_1bp"] > 2


def test_vcf_and_parquet_have_the_same_scores(folder, tmp_path) -> None:
    heads = of_heads(HEADS[:2])
    for name in ("o.vcf", "o.parquet"):
        run_well(*common(folder), *heads, "-s", "SAD,CENTER_MASK_501_ACTIVE_SUM", "-o", tmp_path / name, "--noise-places", 1)
    text, table = (tmp_path / "o.vcf").read_text(), pd.read_parquet(tmp_path / "o.parquet")
    values = [float(x) for x in re.findall("GF_SAD_human_dnase_1bp=([^;\\s]+)", text)]
    assert table["SAD_human_dnase_1bp"].tolist() == pytest.approx(values, rel=1e-3)
    assert "##INFO=<ID=GF_SAD_human_chip_tf_128bp_NOISE" in text
    assert "GF_CENTER_MASK_501_ACTIVE_SUM_human_dnase_1bp_NOISE" not in text
    assert "head=human_dnase_1bp,human_chip_tf_128bp" in text
    floors = re.search("##genoformer_noise=(.*)", text)
    assert floors is not None
    assert [name.partition("=")[0] for name in floors[1].split(";")[1:]] == ["SAD_human_dnase_1bp", "SAD_human_chip_tf_128bp"]


def test_a_report_of_several_heads_draws_the_first(folder, tmp_path) -> None:
    out, page = tmp_path / "o.vcf", tmp_path / "page.html"
    run_well(*common(folder), *of_heads(HEADS[:2]), "-s", "SAD", "-o", out, "--noise-places", 1)
    run_well("report", out, "-f", folder / "g.fa", "-m", folder / "m", "-o", page, "--top", 1)
    assert "The scores are of 2 heads; the figures are of human_dnase_1bp." in page.read_text()
    assert "its defaults are taken" not in page.read_text()


def test_a_pattern_names_heads(folder) -> None:
    assert chosen_heads(MODEL, "human_splice*") == [
        "human_splice_sites_classification_1bp",
        "human_splice_sites_usage_1bp",
        "human_splice_sites_junction",
    ]
    assert chosen_heads(MODEL, ["human_cage_1bp", "human_cage*"]) == ["human_cage_1bp", "human_cage_128bp"]
    with pytest.raises(ConfigError, match=r"there is no head 'monkey_\*'; this model has human_atac_1bp, .* and \d+ more"):
        chosen_heads(MODEL, "monkey_*")
    table = gf.score(ROWS[:1], folder / "g.fa", MODEL, "SAD", head="human_cage*", strand="forward", noise_places=0)
    assert _of_scores(table) == [f"SAD_human_cage_{size}{end}" for size in ("1bp", "128bp") for end in ("", "_TRACK")]


def test_scores_go_to_the_heads_that_they_fit(folder) -> None:
    options = {"strand": "forward", "noise_places": 0}
    heads = ["human_dnase_1bp", "human_contact_maps"]
    table = gf.score(ROWS[:1], folder / "g.fa", MODEL, "SAD,CONTACT_MAP", head=heads, **options)
    assert [name for name in table if name.endswith(("1bp", "maps"))] == [
        "SAD_human_dnase_1bp",
        "CONTACT_MAP_human_contact_maps",
    ]
    with pytest.raises(OptionError, match="head has human_contact_maps, which none of the scores fits; leave it out"):
        gf.score(ROWS[:1], folder / "g.fa", MODEL, "SAD", head=heads, **options)
    genes = read_genes(folder / "g.gtf", Genome(folder / "g.fa"), transcripts=True)
    with pytest.raises(OptionError, match="scores has POLYADENYLATION, which fits none of the heads; leave it out"):
        gf.score(ROWS[:1], folder / "g.fa", MODEL, "SAD,POLYADENYLATION,CONTACT_MAP", head=heads, gtf=genes, **options)


def test_tracks_are_chosen_in_each_head(folder) -> None:
    heads = ["human_dnase_1bp", "human_cage_1bp"]
    table = gf.score(ROWS[:1], folder / "g.fa", MODEL, "SAD", head=heads, tracks="1-2", strand="forward", noise_places=0)
    names = [name for name in table if name.startswith("SAD_human_cage_1bp_human")]
    assert names == ["SAD_human_cage_1bp_human_cage_1bp_1", "SAD_human_cage_1bp_human_cage_1bp_2"]


def test_what_one_head_takes_is_refused_for_several(folder, tmp_path) -> None:
    two = of_heads(HEADS[:2])
    refused = run(*common(folder), *two, "-s", "SAD", "--targets", tmp_path / "t.tsv", "-o", "-")
    assert_refused(refused, "--targets is the table of one head, found 2 heads; leave it out")
    words = common(folder)[1:]
    out = tmp_path / "c.npz"
    run_well("calibrate", *words, "--head", HEADS[0], "-s", "SAD", "-o", out)
    made = run_well(*common(folder), *two, "-s", "SAD", "--calibration", out, "-o", tmp_path / "o.tsv", "--noise-places", 0)
    assert "no quantiles: a calibration is of one head; score a head alone for them" in made.stderr
    with pytest.raises(OptionError, match="head is"):
        gf.score(ROWS[:1], folder / "g.fa", MODEL, "SAD", head=7)


def test_an_interrupted_run_of_heads_resumes(folder, tmp_path) -> None:
    """Another order of heads is another run."""
    out = tmp_path / "o.tsv"
    run_well(*common(folder), *of_heads(HEADS[:2]), "-s", "SAD", "-o", out, "--noise-places", 0, "--part-size", 2)
    first = rows_of(out)
    run_well(*common(folder), *of_heads(HEADS[1::-1]), "-s", "SAD", "-o", out, "--noise-places", 0, "--workers", 2)
    for before, after in zip(first, rows_of(out), strict=True):
        assert float(before["SAD_human_dnase_1bp"]) == pytest.approx(float(after["SAD_human_dnase_1bp"]), rel=1e-3)


def test_heads_share_the_transformer(folder, monkeypatch) -> None:
    """Windows of 8,192 bases begin at multiples of 128, for heads of 1 and of 128 bases."""
    model = small_alphagenome(context_length=8192)
    calls, whole = [], type(model).transform

    def counted(self, x, organism):
        calls.extend([organism] * (x.device.type != "meta"))
        return whole(self, x, organism)

    monkeypatch.setattr(type(model), "transform", counted)
    heads = ["human_dnase_1bp", "human_chip_tf_128bp", "human_cage_128bp", "human_atac_1bp"]
    options = {"strand": "forward", "noise_places": 0}
    together = gf.score(ROWS, folder / "g.fa", model, "CENTER_MASK_501_DIFF_SUM,SAD501", head=heads, **options)
    n_windows = len(calls)
    assert n_windows <= 2 * len(ROWS)  # a reference and an alternative for each variant at most
    assert model.shared_work is None
    calls.clear()
    for head in heads:
        alone = gf.score(ROWS, folder / "g.fa", model, "CENTER_MASK_501_DIFF_SUM,SAD501", head=head, **options)
        for name in ("CENTER_MASK_501_DIFF_SUM", "SAD501"):
            assert together[f"{name}_{head}"].tolist() == alone[name].tolist()
    assert len(calls) == 4 * n_windows
    calls.clear()
    gf.score(ROWS[:1], folder / "g.fa", model, "SAD501", head=["human_cage_128bp", "mouse_cage_128bp"], **options)
    assert sorted(calls) == [0, 0, 1, 1]


@pytest.mark.parametrize(("kind", "scores"), [("borzoi", "SAD,SAD501"), ("flashzoi", "LOGSED"), ("enformer", "SAD,COSINE")])
def test_heads_of_borzoi_and_enformer_are_computed_in_one_pass(folder, monkeypatch, kind, scores) -> None:
    """Their heads read one embedding: values and flags are those of each head alone, from no more passes than one needs."""
    model = small_enformer() if kind == "enformer" else small_borzoi(kind)
    calls, whole = [], type(model).attend

    def counted(self, x, *others, **named):
        calls.extend([1] * (x.device.type != "meta"))
        return whole(self, x, *others, **named)

    monkeypatch.setattr(type(model), "attend", counted)
    options = {"strand": "forward", "noise_places": 2, "gtf": folder / "g.gtf"}
    together = gf.score(ROWS, folder / "g.fa", model, scores, head=["human", "mouse"], **options)
    n_passes = len(calls)
    assert n_passes > len(ROWS)
    for head in ("human", "mouse"):
        calls.clear()
        alone = gf.score(ROWS, folder / "g.fa", model, scores, head=head, **options)
        assert len(calls) >= n_passes
        for name in scores.split(","):
            for end in ("", "_TRACK", "_NOISE") if name != "COSINE" else ("",):
                pd.testing.assert_series_equal(together[f"{name}_{head}{end}"], alone[f"{name}{end}"], check_names=False)
    assert model.shared_work is None
