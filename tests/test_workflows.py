"""The rules of docs/workflows: their commands exist, Snakemake's give the records of one run, and the image's steps work."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
from importlib.resources import files
from pathlib import Path

import pysam
import pytest
from amounts import FULL
from commands import run_well
from genoformer_cli.score import score
from processes import quick_command

import genoformer

ROOT = Path(__file__).parents[1]
WORKFLOWS = ROOT / "docs" / "workflows"
DEMO = Path(str(files("genoformer_data"))) / "demo"


@pytest.mark.parametrize("name", ["Snakefile", "score.nf"])
def test_the_commands_have_options_of_score(name: str) -> None:
    text = (WORKFLOWS / name).read_text()
    (command,) = re.findall(r"^\s*\"?(genoformer score [^\n]*)", text, re.MULTILINE)
    known = {flag for parameter in score.params for flag in parameter.opts}
    assert set(re.findall(r"(?<=\s)--?[a-z][a-z-]*", command)) <= known
    assert set(re.findall(r"--[a-z][a-z-]*(?=[ \"'])", text)) - known <= {"--cores", "--config", *PARAMETERS}


PARAMETERS = {f"--{name}" for name in ("vcf", "fasta", "model", "out", "contigs")}  # of score.nf


def test_the_image_runs_the_script() -> None:
    """The Dockerfile copies the checkout, runs install.sh on it, and starts the command."""
    lines = [line for line in (WORKFLOWS / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
    (step,) = [line for line in lines if line.startswith("RUN ")]
    assert step == 'RUN sh /src/docs/workflows/install.sh /src "$EXTRAS" && rm -rf /src'
    assert "COPY . /src" in lines
    assert lines[-1] == 'ENTRYPOINT ["genoformer"]'
    assert ".venv" in (WORKFLOWS / "Dockerfile.dockerignore").read_text().splitlines()


@pytest.mark.timeout(1200)
def test_the_steps_of_the_image_work_in_an_empty_environment(tmp_path: Path) -> None:
    """Some gigabytes of packages are installed: under make test-long, where an index of packages can be reached."""
    if not FULL:
        pytest.skip("installs all packages: make test-long")
    venv.create(tmp_path / "venv", with_pip=True)
    path = os.pathsep.join([str(tmp_path / "venv" / "bin"), os.environ["PATH"]])
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")} | {"PATH": path}
    reach = [tmp_path / "venv" / "bin" / "python", "-m", "pip", "download", "--no-deps", "--dest", tmp_path / "one", "six"]
    if subprocess.run(reach, env=environment, capture_output=True, check=False).returncode:
        pytest.skip("no index of packages can be reached")
    checkout = tmp_path / "checkout"
    ignored = (WORKFLOWS / "Dockerfile.dockerignore").read_text().replace("**/", "").split()
    shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(*ignored, "*.egg-info", ".?*_cache", "benchmarks"))
    words = ["sh", checkout / "docs" / "workflows" / "install.sh", checkout]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"genoformer {genoformer.__version__}" in done.stdout


def records(path: Path) -> list[str]:
    with pysam.VariantFile(str(path)) as file:
        return [str(record) for record in file]


def test_snakemake_gives_the_records_of_one_run(tmp_path: Path) -> None:
    if (snakemake := os.environ.get("GENOFORMER_SNAKEMAKE") or shutil.which("snakemake")) is None:
        pytest.skip("Snakemake is not installed: put it on PATH, or name it in GENOFORMER_SNAKEMAKE")
    some = tmp_path / "in.vcf"
    with pysam.VariantFile(str(DEMO / "variants.vcf.gz")) as file, some.open("w") as out:
        out.write(str(file.header))
        for contig in ("chrS1", "chrS2"):
            out.writelines(str(record) for record, _ in zip(file.fetch(contig), range(8), strict=False))
    common = ["-f", DEMO / "genome.fa.gz", "-m", "demo", "--threads", "1", "--strand", "forward"]
    run_well("score", some, *common, "-o", tmp_path / "whole.vcf.gz")
    config = [f"vcf={some}", f"fasta={DEMO / 'genome.fa.gz'}", "model=demo", "contigs=chrS1,chrS2", "out=out.vcf.gz"]
    config.append("options=--threads 1 --strand forward")
    with quick_command() as folder:
        path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
        words = [snakemake, "-s", str(WORKFLOWS / "Snakefile"), "--cores", "1", "--config", *config]
        done = subprocess.run(words, cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert records(tmp_path / "out.vcf.gz") == records(tmp_path / "whole.vcf.gz")
