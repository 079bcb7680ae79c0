"""Quantiles of a background, kept with the model, against counting."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from commands import run_well
from genoformer_cli.main import main
from scoring_jobs import run_score
from small_models import small_encoder, small_enformer

from genoformer.errors import CheckpointError, ConfigError, MissingFileError
from genoformer.genome.reference import Genome
from genoformer.models import registry
from genoformer.scoring.background import calibrate
from genoformer.scoring.calibration import GRID, Calibration, calibrations_in
from genoformer.scoring.job import CalibrationJob, Checks
from genoformer.tokenizers import BaseTokenizer

pq = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra: pip install genoformer[parquet]")


@pytest.fixture
def genome(make_fasta) -> Genome:
    random = np.random.default_rng(0)
    return Genome(make_fasta(chr1="".join(random.choice(list("ACGT"), 3000))))


def write_vcf(path: Path, genome: Genome, positions) -> Path:
    rows = ["##fileformat=VCFv4.3", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    for pos in positions:
        ref = "ACGT"[int(genome.window("chr1", pos - 1, 1)[0])]
        rows.append(f"chr1\t{pos}\t.\t{ref}\t{'ACGT'['ACGT'.index(ref) - 1]}\t.\t.\t.")
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def background(genome, tmp_path) -> Path:
    return write_vcf(tmp_path / "background.vcf", genome, range(200, 2800, 40))


def test_a_quantile_is_the_share_of_the_background_that_is_not_larger(genome, background, tmp_path) -> None:
    model, options = small_enformer(), {"strand": "forward", "head": "human"}
    made = CalibrationJob.from_names(background, genome, model, tmp_path / "c.npz", scores="SAD,D2,L2", **options)
    found, summary = calibrate(made)
    assert found.n_alleles == summary.records == 65
    assert {name: grid.shape for name, grid in found.grids.items()} == {"SAD": (5, 1001), "D2": (5, 1001), "L2": (1, 1001)}
    asked = write_vcf(tmp_path / "in.vcf", genome, range(215, 2700, 311))
    for name in ("b", "q"):  # the background again, and others
        vcf = background if name == "b" else asked
        out, matrix = (tmp_path / f"{name}.{suffix}" for suffix in ("tsv", "parquet"))
        known = Calibration.load(tmp_path / "c.npz")
        run_score(
            vcf,
            genome,
            model,
            out,
            scores="SAD,D2,L2",
            tracks=[4, 1],
            noise_places=0,
            matrix=matrix,
            calibration=known,
            **options,
        )
    whole = pq.read_table(tmp_path / "b.parquet").to_pandas()
    with (tmp_path / "q.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for row in rows:
        for column, track in (("SAD", row["SAD_TRACK"]), ("SAD_human_4", "human_4"), ("D2_human_1", "human_1")):
            values = whole.loc[whole.score == column.partition("_")[0], track].abs()
            share = (values <= abs(float(row[column])) * (1 + 1e-5)).mean()
            assert float(row[f"{column}_Q"]) == pytest.approx(share, abs=0.02)  # between two of 65 the grid is a line
        assert 0 <= float(row["L2_Q"]) <= 1


def test_settings_that_differ_give_no_quantiles_and_a_note(genome, background, tmp_path) -> None:
    model = small_encoder(BaseTokenizer(), context_length=40)
    calibrate(CalibrationJob.from_names(background, genome, model, tmp_path / "c.npz", scores="LLR"))
    known = Calibration.load(tmp_path / "c.npz")

    def notes(**options) -> str:
        made = run_score(background, genome, model, tmp_path / "o.tsv", scores="LLR,PLL", calibration=known, **options)
        return "\n".join(made.notes)

    assert "no quantiles of PLL" in notes()
    assert "LLR_Q" in (tmp_path / "o.tsv").read_text()
    assert "PLL_Q" not in (tmp_path / "o.tsv").read_text()
    assert "no quantiles: of the calibration with background.vcf, it was made with another context" in notes(context=38)
    assert "LLR_Q" not in (tmp_path / "o.tsv").read_text()
    other = known._replace(model="x")
    made = run_score(background, genome, model, tmp_path / "o.tsv", scores="LLR", calibration=other)
    assert "it was made with other weights" in "\n".join(made.notes)


GENES = ('chr1\tx\texon\t{}\t{}\t.\t+\t.\tgene_id "g";\n', (600, 700), (900, 1000))


def test_quantiles_of_genes_need_the_same_genes(genome, background, tmp_path) -> None:
    from genoformer.genome.genes import read_genes

    of = []
    for i, place in enumerate(GENES[1:]):
        (tmp_path / f"{i}.gtf").write_text(GENES[0].format(*place))
        of.append(read_genes(tmp_path / f"{i}.gtf", genome))
    model, options = small_enformer(), {"strand": "forward", "head": "human"}
    job = CalibrationJob.from_names(background, genome, model, tmp_path / "c.npz", scores="SAD,LOGSED", gtf=of[0], **options)
    known, _ = calibrate(job)

    def said(names: str, genes) -> tuple[str, str]:
        made = run_score(
            background,
            genome,
            model,
            tmp_path / "o.tsv",
            scores=names,
            gtf=genes,
            noise_places=0,
            calibration=Calibration.load(tmp_path / "c.npz"),
            **options,
        )
        return "\n".join(made.notes), (tmp_path / "o.tsv").read_text().partition("\n")[0]

    notes, header = said("SAD,LOGSED", of[0])
    assert "no quantiles" not in notes
    assert "LOGSED_Q" in header
    assert f"background.vcf has {known.n_alleles} alleles; take thousands" in notes
    notes, header = said("SAD,LOGSED,D2", of[1])
    assert "no quantiles of LOGSED, D2" in notes
    assert "SAD_Q" in header
    assert "LOGSED_Q" not in header


def test_the_grid_holds_quantiles() -> None:
    known = Calibration("b", 3, "", {}, {}, {"S": np.quantile([1.0, 2.0, 3.0], GRID)[None].astype(np.float32)})
    found = known.quantile("S", np.zeros(6, dtype=int), np.array([0.5, 1.0, -2.0, 3.0, 9.0, np.nan]))
    assert found[:5].tolist() == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.0])
    assert np.isnan(found[5])


def test_bad_calibrations_and_backgrounds_are_refused(genome, background, tmp_path) -> None:
    (tmp_path / "c.npz").write_bytes(b"no")
    with pytest.raises(CheckpointError, match="is not a calibration of genoformer"):
        Calibration.load(tmp_path / "c.npz")
    with pytest.raises(MissingFileError, match=r"x\.npz does not exist, expected a calibration; make one with `calibrate`"):
        Calibration.load(tmp_path / "x.npz")
    none = tmp_path / "none.vcf"
    none.write_text("##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\nchr1\t5\t.\tA\t<DEL>\t.\t.\t.\n")
    model = small_encoder(BaseTokenizer(), context_length=40)
    job = CalibrationJob.from_names(none, genome, model, tmp_path / "d.npz", scores="LLR")
    with pytest.raises(ConfigError, match="has a score; give a background"):
        calibrate(replace(job, checks=Checks(force=True)))


def test_the_command_keeps_it_with_the_model(genome, background, tmp_path) -> None:
    registry.save(small_enformer(), tmp_path / "model")
    common = ["-f", str(genome.path), "-m", str(tmp_path / "model"), "--head", "human", "--strand", "forward"]
    done = CliRunner().invoke(main, ["calibrate", str(background), *common, "-s", "SAD"])
    assert done.exit_code == 0, done.output
    assert "calibration.npz: SAD of 65 alleles of 65 records" in done.stderr
    assert sorted(path.name for path in (tmp_path / "model").iterdir() if "calib" in path.name) == ["calibration.npz"]
    out = ["-s", "SAD", "-o", str(tmp_path / "o.vcf"), "--noise-places", "0"]
    done = CliRunner().invoke(main, ["score", str(background), *common, *out])
    assert done.exit_code == 0, done.output
    assert "##INFO=<ID=GF_SAD_Q,Number=A,Type=Float" in (tmp_path / "o.vcf").read_text()


def test_a_calibration_of_another_head_or_other_scores_is_kept_next_to_the_first(genome, background, tmp_path) -> None:
    folder = tmp_path / "model"
    registry.save(small_enformer(), folder)

    def common(head: str, scores: str) -> tuple:
        return (background, "-f", genome.path, "-m", folder, "--head", head, "--strand", "forward", "-s", scores)

    for head, scores in (("human", "SAD"), ("mouse", "SAD"), ("human", "SAD,D2"), ("mouse", "SAD")):
        run_well("calibrate", *common(head, scores))
    made = {path.name: one for path, one in calibrations_in(folder).items()}
    assert {name: (one.options["head"], list(one.grids)) for name, one in made.items()} == {
        "calibration.npz": ("human", ["SAD"]),
        "calibration.mouse.npz": ("mouse", ["SAD"]),
        "calibration.human.npz": ("human", ["SAD", "D2"]),
    }
    for head, scores in (("human", "SAD"), ("mouse", "SAD"), ("human", "D2")):
        out = tmp_path / "o.tsv"
        run_well("score", *common(head, scores), "-o", out, "--noise-places", 0)
        assert f"{scores}_Q" in out.read_text().partition("\n")[0], (head, scores)
    about = json.loads(run_well("models", "info", folder, "--json").output)["calibrations"]
    assert {name: one["scores"] for name, one in about.items()} == {name: list(one.grids) for name, one in made.items()}
    (folder / "calibration.mouse.npz").write_bytes(b"damaged")
    run_well("calibrate", *common("mouse", "SAR"))
    assert list(Calibration.load(folder / "calibration.mouse.npz").grids) == ["SAR"]


def test_an_ensemble_is_calibrated_as_one(genome, background, tmp_path) -> None:
    for i in (1, 2):
        registry.save(small_enformer(seed=i), tmp_path / f"m{i}")
    models = ["-m", str(tmp_path / "m1"), "-m", str(tmp_path / "m2")]
    common = [str(background), "-f", str(genome.path), *models, "--head", "human", "--strand", "forward", "-s", "SAD"]
    done = CliRunner().invoke(main, ["calibrate", *common])
    assert done.exit_code == 2
    assert "the calibration of an ensemble belongs to none of its models; name an output file" in done.stderr
    done = CliRunner().invoke(main, ["calibrate", *common, "-o", str(tmp_path / "c.npz")])
    assert done.exit_code == 0, done.output
    out = tmp_path / "o.tsv"
    arguments = [*common, "-o", str(out), "--noise-places", "0", "--verify", "3", "--calibration", str(tmp_path / "c.npz")]
    done = CliRunner().invoke(main, ["score", *arguments])
    assert done.exit_code == 0, done.output
    assert "SAD_Q" in out.read_text()
    assert "verified: 3 random records" in done.stderr
    one = [str(background), "-f", str(genome.path), *models[:2], *common[7:]]
    done = CliRunner().invoke(
        main, ["score", *one, "-o", str(out), "--noise-places", "0", "--calibration", str(tmp_path / "c.npz")]
    )
    assert done.exit_code == 0, done.output
    assert "no quantiles: of the calibration with background.vcf, it was made with other weights" in done.stderr


def test_a_calibration_says_what_it_was_made_from(genome, background, tmp_path) -> None:
    registry.save(small_encoder(BaseTokenizer(), context_length=40), tmp_path / "model")
    job = CalibrationJob.from_names(background, genome, tmp_path / "model", scores="LLR")
    made, _ = calibrate(job)
    known = Calibration.load(tmp_path / "model" / "calibration.npz")
    assert known.made_from == made.made_from
    assert known.made_from["sha256 of the VCF"] == hashlib.sha256(background.read_bytes()).hexdigest()
    assert (known.made_from["FASTA"], known.made_from["VCF"]) == (genome.name, str(background))
    about = json.loads(run_well("models", "info", tmp_path / "model", "--json").output)["calibration"]
    assert (about["scores"], about["n_alleles"], about["made_from"]) == (["LLR"], known.n_alleles, known.made_from)
    path = tmp_path / "old.npz"  # of a version without made_from
    fields = {name: value for name, value in known.about.items() if name not in ("scores", "made_from")}
    np.savez_compressed(path, about=np.array(json.dumps(fields)), **known.grids)
    assert Calibration.load(path)._replace(made_from=known.made_from, grids={}) == known._replace(grids={})
