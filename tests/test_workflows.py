"""The rules of docs/workflows: their commands exist, Snakemake's give the records of one run, and the image's steps work."""

from __future__ import annotations

import ast
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


@pytest.mark.parametrize("name", ["Snakefile", "score.nf"])
def test_the_join_step_writes_an_index(tmp_path: Path, name: str) -> None:
    """Run its shell commands, with files in place of the names that Snakemake and Nextflow fill in."""
    parts = []
    with pysam.VariantFile(str(DEMO / "variants.vcf.gz")) as file:
        for contig in ("chrS1", "chrS2"):
            parts.append(tmp_path / f"{contig}.vcf.gz")
            with pysam.VariantFile(str(parts[-1]), "wz", header=file.header) as out:
                for record, _ in zip(file.fetch(contig), range(5), strict=False):
                    out.write(record)
    text = (WORKFLOWS / name).read_text()
    if name == "Snakefile":
        (block,) = re.findall(r"rule joined:.*?shell:\n(.*?)\n\n", text, re.DOTALL)
        shell = "".join(ast.literal_eval(line.strip()) for line in block.splitlines())
        shell = shell.replace("{output.vcf}", "out.vcf.gz").replace("{input}", " ".join(map(str, parts)))
    else:
        (block,) = re.findall(r'process JOIN.*?script:\n *"""\n(.*?)"""', text, re.DOTALL)
        shell = block.replace("\\\\", "\\").replace("${file(params.out).name}", "out.vcf.gz")
        shell = re.sub(r"\$\{parts.*\}", " ".join(map(str, parts)), shell)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run(["bash", "-ec", shell], cwd=tmp_path, env={**os.environ, "PATH": path}, check=True, capture_output=True)
    assert (tmp_path / "out.vcf.gz.tbi").is_file()
    with pysam.VariantFile(str(tmp_path / "out.vcf.gz")) as file:
        assert [sum(1 for _ in file.fetch(contig)) for contig in ("chrS1", "chrS2")] == [5, 5]
        file.reset()
        assert [str(record) for record in file] == [record for path in parts for record in records(path)]
    assert re.search(r"OUT \+ \"\.tbi\"|name\}\.tbi\"", text)  # it is an output of the step


def test_nextflow_module_is_well_formed() -> None:
    """A linter that has Nextflow's grammar reads it; Nextflow itself is not run."""
    reftrace = pytest.importorskip("reftrace", reason="the linter is not installed: pip install reftrace")
    read = reftrace.Module.from_file(str(WORKFLOWS / "score.nf"))
    assert not isinstance(read, reftrace.ParseError), read.error
    assert [process.name for process in read.processes] == ["SCORE", "JOIN"]


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
    assert (tmp_path / "out.vcf.gz.tbi").is_file()
    joined, whole = (split_scores(tmp_path / f"{name}.vcf.gz") for name in ("out", "whole"))
    assert joined[0] == whole[0]
    assert joined[1] == pytest.approx(whole[1], abs=1e-5)  # records of a contig alone share other windows
    assert len(whole[1]) > 10


def split_scores(path: Path) -> tuple[list[str], list[float]]:
    """Return the records of a file without GF_LLR, and its values."""
    texts = records(path)
    values = [float(found[1]) for text in texts if (found := re.search("GF_LLR=([^;\\s]+)", text))]
    return [re.sub("GF_LLR=[^;\\s]+", "", text) for text in texts], values
