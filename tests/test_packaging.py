"""Checkout -> sdist -> wheel -> a folder of its own, where the command works without the checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import pysam
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import genoformer

ROOT = Path(__file__).parents[1]
DATA = ROOT / "data"
PACKAGES = {"genoformer": ROOT / "genoformer", "genoformer_cli": ROOT / "cli", "genoformer_data": DATA}
MODELS = ("demo", "mini-human", "mini-tracks")
NOT_SHIPPED = (".*", "*.egg-info", "__pycache__", "build", "dist", "demo_out", "site", "benchmarks")
BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, 'build_' + sys.argv[1])(sys.argv[2])"


class Built(NamedTuple):
    sdist: Path
    wheel: Path  # built from the sdist, as an installer does where no wheel is


def build(kind: str, source: Path, out: Path) -> Path:
    """What a build front end does in an environment that has setuptools: no network, nothing installed."""
    out.mkdir()
    done = subprocess.run([sys.executable, "-c", BUILD, kind, str(out)], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = out.iterdir()
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    pytest.importorskip("setuptools", "77", reason="building needs setuptools 77, which the extra 'dev' brings")
    folder = tmp_path_factory.mktemp("packaging")
    shutil.copytree(ROOT, folder / "checkout", ignore=shutil.ignore_patterns(*NOT_SHIPPED))  # a build writes beside the source
    sdist = build("sdist", folder / "checkout", folder / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (source,) = (folder / "unpacked").iterdir()
    return Built(sdist, build("wheel", source, folder / "wheel"))


def in_checkout() -> set[str]:
    """The files of our packages as a wheel names them."""
    return {
        f"{name}/{path.relative_to(folder)}"
        for name, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }


def test_the_wheel_has_every_file_of_the_packages_and_nothing_else(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        names = set(archive.namelist())
    about = {name for name in names if name.split("/")[0] == f"genoformer-{genoformer.__version__}.dist-info"}
    assert names - about == in_checkout()
    assert any(name.endswith("/licenses/LICENSE") for name in about)
    assert names >= {"genoformer/py.typed", "genoformer/report/report.html", "genoformer_data/motifs.toml"}
    assert "genoformer_data/recipes/short.toml" in names
    pages = (
        "report/canvas.css",
        "report/canvas.js",
        "report/canvas_rows.js",
        *(f"browse/browse.{s}" for s in ("css", "html", "js")),
    )
    assert names >= {f"genoformer/{name}" for name in pages}
    assert names >= {f"genoformer_data/models/{model}/model.safetensors" for model in MODELS}
    assert names >= {f"genoformer_data/demo/{name}" for name in ("genome.fa.gz", "genome.fa.gz.fai", "genome.fa.gz.gzi")}
    assert not [name for name in names if "test" in name or name.endswith(".ipynb")]


def test_the_sdist_has_what_a_wheel_is_built_of_and_no_tests(built: Built) -> None:
    """A part of the tests is worse than none: without their common files they fail."""
    with tarfile.open(built.sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    assert {name for name in names if name.split("/")[0] in ("genoformer", "cli", "data")} == {
        f"{PACKAGES[package].name}/{rest}" for package, _, rest in (name.partition("/") for name in in_checkout())
    }
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml"} <= names
    assert not [name for name in names if name.startswith(("tests/", "notebooks/")) or name.endswith(".ipynb")]


def test_the_description_of_a_release_is_valid(built: Built) -> None:
    """As an index of packages checks it: README as Markdown, licence, classifiers."""
    pytest.importorskip("twine", reason="checking a release needs twine, which the extra 'dev' brings")
    words = [sys.executable, "-m", "twine", "check", "--strict", str(built.sdist), str(built.wheel)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2


def test_the_release_commands_of_the_page_build_a_wheel(tmp_path: Path) -> None:
    """`python -m build` of docs/releases.md, with the setuptools that is installed, because there may be no network."""
    pytest.importorskip("build", reason="building a release needs build, which the extra 'dev' brings")
    pytest.importorskip("setuptools", "77", reason="building needs setuptools 77, which the extra 'dev' brings")
    assert "python -m build\n" in (ROOT / "docs" / "releases.md").read_text()
    shutil.copytree(ROOT, tmp_path / "checkout", ignore=shutil.ignore_patterns(*NOT_SHIPPED))
    words = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(tmp_path / "checkout")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.suffix for path in (tmp_path / "dist").iterdir()) == [".gz", ".whl"]


def test_the_citation_is_of_this_version() -> None:
    fields = dict(re.findall(r"^  (\w+) += \{(.+)\},?$", (ROOT / "README.md").read_text(), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert fields["version"] == project["version"] == genoformer.__version__
    assert fields["license"] == project["license"]
    assert [author["name"] for author in project["authors"]] == ["genoformer developers"]
    assert fields["author"] == "{genoformer developers}"


def test_the_command_works_away_from_the_checkout(built: Built, tmp_path: Path) -> None:
    """In folders with a space in the name, and without the .pth files by which an editable install finds the checkout."""
    site, empty = tmp_path / "a site", tmp_path / "an empty folder"
    empty.mkdir()
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*install, "--target", str(site), str(built.wheel)], check=True, capture_output=True)
    places = os.pathsep.join([str(site), sysconfig.get_path("purelib")])
    environment = {**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"}

    def run(*arguments: object) -> str:
        command = [sys.executable, "-S", str(site / "bin" / "genoformer"), *map(str, arguments)]
        done = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert str(ROOT) not in done.stdout + done.stderr
        return done.stdout

    assert run("--version").startswith(f"genoformer {genoformer.__version__}\n")
    models = run("models", "list", "--json")
    for name in MODELS:
        assert f"{site}/genoformer_data/models/{name}" in models
    demo = site / "genoformer_data" / "demo"
    out = empty / "scored variants.vcf.gz"
    fasta, options = demo / "genome.fa.gz", ["-s", "LLR", "--strand", "forward", "-r", "chrS1:1-50,000"]
    run("score", demo / "variants.vcf.gz", "-f", fasta, "-m", "demo", "-o", out, *options)
    with pysam.VariantFile(str(out)) as file:
        records = list(file)
    with pysam.VariantFile(str(demo / "variants.vcf.gz")) as file:
        assert len(records) == sum(record.chrom == "chrS1" and record.pos <= 50_000 for record in file) > 50
    assert all("GF_LLR" in record.info or "GF_STATUS" in record.info for record in records)
    assert {path.name for path in empty.iterdir()} == {out.name, f"{out.name}.tbi"}


def test_an_editable_install_is_found_in_the_folder_above_a_clone_of_the_same_name(tmp_path: Path) -> None:
    """There Python finds a folder named genoformer first, without code of its own: an empty namespace package."""
    pytest.importorskip("setuptools", "77", reason="building needs setuptools 77, which the extra 'dev' brings")
    above, site = tmp_path / "projects", tmp_path / "site"
    clone = above / "genoformer"
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(*NOT_SHIPPED, "tests", "notebooks"))
    wheel = build("editable", clone, tmp_path / "wheel")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    code = f"import site, sys; site.addsitedir({str(site)!r}); import genoformer, genoformer_cli; print(genoformer.__file__)"
    python = [sys.executable, "-S", "-c", code]  # -S: without the editable install of the checkout itself
    done = subprocess.run(python, cwd=above, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == clone / "genoformer" / "__init__.py"


@pytest.mark.timeout(300)
def test_current_jupyterlab_installs_beside_it() -> None:
    """As pip resolves it in this environment, of which no package is changed to an older version."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-input", "--report", "-"]
    done = subprocess.run([*command, "genoformer[kipoi]", "jupyterlab>=4.4"], capture_output=True, text=True)
    if done.returncode and (
        "from versions: none" in done.stderr or "No matching distribution found for jupyterlab" in done.stderr
    ):
        pytest.skip("needs a package index, which is not reachable")
    assert done.returncode == 0, done.stderr
    chosen = {canonicalize_name(of["metadata"]["name"]): of["metadata"]["version"] for of in json.loads(done.stdout)["install"]}
    assert "kipoi" not in chosen
    for name, version in chosen.items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        assert Version(version) >= Version(installed), f"{name} {installed} would become {version}"


def requirements(extra: str = "") -> dict[str, list[Requirement]]:
    """Return each package that an installation of genoformer with one extra brings, and the packages that it requires."""
    waiting, packages = ["genoformer"], dict[str, list[Requirement]]()
    while waiting:
        name = waiting.pop()
        if name in packages:
            continue
        try:
            needs = [Requirement(text) for text in metadata.requires(name) or ()]
        except metadata.PackageNotFoundError:  # of another platform
            needs = []
        extras = ("", extra) if name == "genoformer" else ("",)
        packages[name] = [need for need in needs if not need.marker or any(need.marker.evaluate({"extra": e}) for e in extras)]
        waiting += [canonicalize_name(need.name) for need in packages[name]]
    return packages


def test_no_requirement_keeps_current_jupyter_out() -> None:
    """JupyterLab 4 needs attrs from 22.2 and jsonschema from 4.18; kipoi 0.8.6 asked for attrs 21.4 and no later one."""
    current = {"attrs": "26.1.0", "jsonschema": "4.26.0", "jupyter-core": "5.9.1", "tornado": "6.5", "traitlets": "5.14.3"}
    packages = requirements("kipoi")
    for name, needs in packages.items():
        for need in needs:
            other = canonicalize_name(need.name)
            assert other not in current or need.specifier.contains(current[other]), f"{name} needs {need}"
    assert {"kipoi", "kipoiseq"} <= set(packages)
    assert "kipoi==0.8.6" not in (ROOT / "constraints.txt").read_text().split()


def test_the_core_is_light() -> None:
    """docs/install.md has the number of packages; pip comes on top, and PyTorch for CUDA brings more."""
    core = {name for name in requirements() if not name.startswith(("nvidia-", "cuda-", "triton"))}
    assert not core & {"kipoi", "kipoiseq", "pyarrow", "pyfaidx", "pyranges", "sorted-nearest", "h5py", "lightning"}
    assert {"kipoi", "kipoiseq", "six"} <= set(requirements("kipoi"))
    assert "pyarrow" in requirements("parquet")
    assert len(core) <= 50
