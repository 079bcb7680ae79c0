"""The demo keeps its promise: the shipped model, made by our own command, separates broken motifs from neutral variants."""

from __future__ import annotations

import gzip
import json
from importlib.resources import files
from pathlib import Path

import pytest
from amounts import FULL

from genoformer import demo
from genoformer.demo import DemoResult, read_cases
from genoformer.evaluation import Estimate, auroc, bootstrap
from genoformer.files import sha256_of
from genoformer.formats.vcf import read_variants
from genoformer.genome.reference import Genome
from genoformer.inference.base_probabilities import posteriors_in
from genoformer.models import registry

DATA = Path(str(files("genoformer_data")))
EVERY = 1 if FULL else 8  # all records take a minute and a half: `make test-long` scores them


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled data with every eighth record of the VCF, or every record in `make test-long`."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "demo").mkdir()
    for path in (DATA / "demo").iterdir():
        (folder / "demo" / path.name).symlink_to(path)
    (folder / "demo" / "variants.vcf.gz").unlink()
    with gzip.open(DATA / "demo" / "variants.vcf.gz", "rt") as file:
        lines = list(file)
    n_header = sum(line.startswith("#") for line in lines)
    with gzip.open(folder / "demo" / "variants.vcf.gz", "wt") as file:
        file.writelines(lines[:n_header] + lines[n_header::EVERY])
    return folder


@pytest.fixture(scope="module")
def result(data: Path, tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "files", {"genoformer_data": data}.__getitem__)
        return demo.run_demo(tmp_path_factory.mktemp("demo") / "out")


def test_the_score_finds_broken_motifs(result) -> None:
    assert result.snvs.value >= 0.85
    assert result.snvs.low < result.snvs.value < result.snvs.high
    assert result.indels.value >= 0.8
    assert result.text().startswith(f"AUROC {result.snvs.value:.3f}")


def test_every_record_is_scored_and_the_figure_is_a_picture(result, data) -> None:
    scored = result.folder / "scored.vcf.gz"
    before, after = read_variants(data / "demo" / "variants.vcf.gz"), read_variants(scored)
    assert [r[1:] for r in before] == [r[1:] for r in after]
    assert result.summary.records == -(-2_000 // EVERY)
    cases = read_cases(scored)
    assert sum(case.is_snv for case in cases) == result.n_breaking + result.n_neutral
    assert (result.folder / "demo.png").read_bytes()[:4] == b"\x89PNG"


def test_the_demo_model_says_how_it_was_made() -> None:
    """Made by pretrain, small, and not trained on the demo's genome."""
    folder = DATA / "models" / "demo"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["command"].startswith("genoformer pretrain ")
    assert manifest["fasta"]["sha256"] != sha256_of(DATA / "demo" / "genome.fa.gz")
    assert sum(file.stat().st_size for file in folder.iterdir()) < 5_000_000
    assert sum(file.stat().st_size for file in (DATA / "demo").iterdir()) < 2_000_000


def test_posteriors_along_a_stretch_are_distributions() -> None:
    genome, model = Genome(DATA / "demo" / "genome.fa.gz"), registry.load("demo")
    log2_p = posteriors_in(model, genome, "chrS1", 10_000, 10_020)
    assert (2.0**log2_p).sum(1) == pytest.approx([1.0] * 20, abs=1e-4)


def test_auroc_and_its_interval() -> None:
    """By hand: of 4 pairs 3 are in order. The interval of 400 cases covers the truth of two shifted normals."""
    import numpy as np

    assert auroc(np.array([False, True, False, True]), np.array([1.0, 2.0, 3.0, 4.0])) == 0.75
    random = np.random.default_rng(0)
    truth = np.repeat([False, True], 200)
    found = bootstrap(auroc, truth, random.normal(size=400) + truth)  # P(N(1,1) > N(0,1)) = 0.760
    assert isinstance(found, Estimate)
    assert found.low < 0.760 < found.high
    assert 0.05 < found.high - found.low < 0.15
    with pytest.raises(ValueError, match="at least one of each"):
        bootstrap(auroc, [True, True], [1.0, 2.0])
