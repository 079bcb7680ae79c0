"""The package of docs/add_a_model.md: installed from the page, its families go through the commands without an edit here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from genoformer_cli.main import main

from genoformer.errors import CheckpointError
from genoformer.models import families, registry

PAGE = Path(__file__).parents[2] / "docs" / "add_a_model.md"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.S)
FILE = re.compile(r"`([\w./]+)`:\n\n```\w+\n(.*?)```", re.S)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the package of the page is installed."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name, text in FILE.findall(PAGE.read_text()):
        path = source / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet", "--disable-pip-version-check", "--target", target]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *map(str, options), str(source)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def folder(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with inputs, in which the script and the commands of the page have been run."""
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    bases = "".join(rng.choice(list("ACGT"), 6000))
    (folder / "genome.fa").write_text(f">chr1\n{bases}\n")
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=chr1,length=6000>", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    for at in (1999, 2999, 3499):
        other = "ACGT"[("ACGT".index(bases[at]) + 1) % 4]
        lines.append(f"chr1\t{at + 1}\t.\t{bases[at]}\t{other},{bases[at]}GATTACA\t.\t.\t.")
    (folder / "variants.vcf").write_text("\n".join(lines) + "\n")
    rows = [("".join(rng.choice(list("ACGT"), 60)), i % 2) for i in range(40)]
    rows = [(text[:20] + "TATAAA" + text[26:] if label else text, label) for text, label in rows]
    (folder / "sequences.csv").write_text("sequence,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    (folder / "finetune.toml").write_text("[finetune]\nepochs = 2\nbatch_size = 8\n")
    script = next(text for kind, text in BLOCK.findall(PAGE.read_text()) if kind == "python" and "save(language" in text)
    commands = next(text for kind, text in BLOCK.findall(PAGE.read_text()) if kind == "bash").splitlines()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(installed)
        patch.chdir(folder)
        families.families.cache_clear()
        exec(compile(script, "page", "exec"), {})
        for line in commands:
            words = line.split()
            assert words[0] == "genoformer"
            done = CliRunner().invoke(main, words[1:])
            assert done.exit_code == 0, f"{line}\n{done.stderr}"
            (folder / f"{words[1]}.{words[-1]}.out").write_text(done.stdout + done.stderr)
        yield folder
    families.families.cache_clear()


def test_both_families_score_every_allele(folder) -> None:
    for name, keys in (("language.tsv", ("COSINE",)), ("tracks.tsv", ("SAD",))):
        header, *rows = [line.split("\t") for line in (folder / name).read_text().splitlines() if not line.startswith("##")]
        assert len(rows) == 6
        for key in keys:
            column = next(i for i, field in enumerate(header) if field.startswith(key))
            values = [float(row[column]) for row in rows]
            assert np.isfinite(values).all()
            assert len(set(values)) > 1


def test_the_reference_engine_agrees(folder) -> None:
    assert "verified: 3 random records" in (folder / "score.tracks.tsv.out").read_text()


def test_tracks_and_vectors_are_written(folder) -> None:
    table = pq.read_table(folder / "tracks.parquet")
    assert table.num_rows == 64 * 2  # two windows of 64 bins
    assert pq.read_table(folder / "vectors.parquet").num_rows == 40


def test_the_fine_tuned_model_is_saved_with_its_family_and_evaluated(folder) -> None:
    config = json.loads((folder / "classifier" / "config.json").read_text())
    assert config["config"]["family"] == "toy-language"
    assert '"accuracy"' in (folder / "evaluate.classifier.out").read_text()


def test_a_family_that_is_not_installed_is_refused(folder, monkeypatch) -> None:
    monkeypatch.setattr(registry, "families", lambda: families.FAMILIES)
    with pytest.raises(CheckpointError, match=r"toy_family\.language:ToyLanguage.*install its package"):
        registry.load(folder / "toy_language")
