"""Without the packages of the extras `parquet` and `kipoi`: what works as with them, and the sentence where one is needed."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from genoformer.annotation import element_tables, gene_tables, read_annotations
from genoformer.annotation.run import annotate_variants
from genoformer.errors import MissingExtraError

DEMO = Path(str(files("genoformer_data"))) / "demo"
VCF, FASTA, REGION = DEMO / "variants.vcf.gz", DEMO / "genome.fa.gz", "chrS1:1-8,000"
SENTENCE = "needs pyarrow, which is not installed; install the extra: pip install 'genoformer[parquet]'."

# Commands in one process that has none of the packages; each line of the output is a command that worked.
PROGRAM = """
import sys

class Absent:
    names = ("kipoi", "kipoiseq", "kipoi_conda", "kipoi_utils", "gffutils", "pyranges", "sorted_nearest", "pyfaidx", "pyarrow")

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
import genoformer
import genoformer_cli.main
if len(sys.argv) > 1:
    import pathlib
    import genoformer.demo
    genoformer.demo.files = {"genoformer_data": pathlib.Path(sys.argv[1])}.__getitem__
for words in map(str.split, sys.stdin):
    genoformer_cli.main.main(words, prog_name="genoformer", standalone_mode=False)
    print("done:", words[0])
"""


def without_the_extras(folder: Path, *lines: str, data: Path | None = None) -> list[str]:
    """Run commands, one a line, in a process without the packages; return what it printed. data: of the demo."""
    command = [sys.executable, "-c", PROGRAM, *([str(data)] if data else [])]
    done = subprocess.run(command, input="\n".join(lines), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_commands_work_without_pyarrow_and_kipoiseq(tmp_path: Path) -> None:
    annotations = f"-a STATE={DEMO / 'states.bed.gz'} -a PEAK={DEMO / 'peaks.narrowPeak.gz'} --gtf {DEMO / 'genes.gtf.gz'}"
    printed = without_the_extras(
        tmp_path,
        f"score {VCF} -f {FASTA} -m demo -r {REGION} --strand forward -o scored.tsv -q",
        f"annotate {VCF} {annotations} -r {REGION} -o located.tsv -q",
        "report scored.tsv -o report.html -q",
    )
    assert [line for line in printed if line.startswith("done")] == ["done: score", "done: annotate", "done: report"]
    scored = (tmp_path / "scored.tsv").read_text().splitlines()
    assert len(scored) > 5
    assert len((tmp_path / "located.tsv").read_text().splitlines()) == len(scored)
    assert "<html" in (tmp_path / "report.html").read_text()


def test_the_demo_works_without_pyarrow_and_kipoiseq(tmp_path: Path) -> None:
    """With one record in sixteen of its VCF."""
    (tmp_path / "data" / "demo").mkdir(parents=True)
    for path in (*DEMO.parent.iterdir(), *DEMO.iterdir()):
        if path not in (DEMO, VCF):
            (tmp_path / "data" / path.relative_to(DEMO.parent)).symlink_to(path)
    with gzip.open(VCF, "rt") as file:
        lines = list(file)
    n_header = sum(line.startswith("#") for line in lines)
    with gzip.open(tmp_path / "data" / "demo" / VCF.name, "wt") as file:
        file.writelines(lines[:n_header] + lines[n_header::16])
    (line, *_) = without_the_extras(tmp_path, "demo -o out -q", data=tmp_path / "data")
    assert line.startswith("AUROC 0.")
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"demo.png", "scored.vcf.gz"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("score", VCF, "-f", FASTA, "-m", "demo", "-r", REGION, "-o", "x.parquet"),
        ("score", VCF, "-f", FASTA, "-m", "mini-tracks", "-r", REGION, "-o", "x.tsv", "--matrix", "x.parquet"),
        ("annotate", VCF, "-a", DEMO / "states.bed.gz", "-o", "x.parquet"),
        ("predict", "-f", FASTA, "-m", "mini-tracks", "-r", REGION, "-o", "x.parquet"),
        ("embed", "-f", FASTA, "-m", "demo", "-r", REGION, "-o", "x.parquet"),
        ("report", "old.parquet", "-o", "x.html"),
        ("enrich", "old.parquet", "-a", DEMO / "states.bed.gz"),
        ("calibrate", VCF, "-f", FASTA, "-m", "demo", "-o", "x.npz"),
    ],
    ids=lambda words: f"{words[0]} {words[-1] if words[0] == 'score' else ''}".strip(),
)
def test_a_command_names_the_extra_that_parquet_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[object, ...]
) -> None:
    pytest.importorskip("torch", reason="the command line needs torch")
    from commands import assert_refused, run

    monkeypatch.chdir(tmp_path)
    Path("old.parquet").write_bytes(b"PAR1")
    before = sorted(tmp_path.iterdir())
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert_refused(run(*arguments), SENTENCE)
    assert sorted(tmp_path.iterdir()) == before


def test_python_names_the_extra_that_parquet_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genoformer.benchmarking.columns import read_table
    from genoformer.evaluation.variants import read_scores
    from genoformer.writers import open_sink
    from genoformer.writers.parquet import ParquetRows
    from genoformer.writers.scored_tables import scored_vcf

    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    def convert() -> None:
        with scored_vcf(path):
            pass

    calls: list[Callable[[], object]] = [
        lambda: open_sink(path),
        lambda: read_table(path),
        lambda: read_scores(path),
        lambda: ParquetRows(path, [("a", "string")], n_group=1),
        convert,
    ]
    for call in calls:
        with pytest.raises(MissingExtraError, match=r"Parquet needs pyarrow, which .* pip install 'genoformer\[parquet\]'\.$"):
            call()


def test_annotations_are_the_same_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, scores, summits, gene parts and TSSs of elements and genes, byte for byte."""
    pytest.importorskip("pyarrow", reason="the fast readers need pyarrow, which the extra parquet brings")
    sources = [f"{name}={DEMO / file}" for name, file in (("STATE", "states.bed.gz"), ("PEAK", "peaks.narrowPeak.gz"))]
    sources.append(f"MOTIF={DEMO / 'motifs.bed.gz'}")
    calls: list[str] = []
    for module in (element_tables, gene_tables):
        read = module.read_fast
        monkeypatch.setattr(module, "read_fast", lambda *a, read=read, name=module.__name__: [calls.append(name), read(*a)][1])

    def annotated(name: str) -> bytes:
        annotate_variants(VCF, read_annotations(sources, gtf=DEMO / "genes.gtf.gz"), tmp_path / name)
        return (tmp_path / name).read_bytes()

    fast, n_fast = annotated("fast.tsv"), len(calls)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert annotated("careful.tsv") == fast
    assert len(calls) == n_fast == 4
