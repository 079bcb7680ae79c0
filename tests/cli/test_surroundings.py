"""Odd names, odd bytes, odd terminals and records of any size: the program as a process of its own, where that matters."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run
from genoformer_cli.main import limit_openmp_spin

from genoformer.errors import ContigError, FileFormatError, GenoformerError, MissingFileError, PreflightError, sentence

TEXT = "".join(np.random.default_rng(7).choice(list("ACGT"), 2_000))
COLUMNS = b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
ODD = ["a b.vcf", 'it\'s "so".vcf', "a\nb.vcf", "-o.vcf", "é ü 変.vcf", "$HOME;rm.vcf", "a\tb.vcf", "%s{}.vcf", "\udcff.vcf"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENOFORMER_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "g.fa").write_text(f">chr1\n{TEXT}\n")
    (tmp_path / "e.bed").write_text("chr1\t0\t900\tx\n")
    return tmp_path


def row(pos: int, ref: str | None = None, alt: str = "", rest: bytes = b"\t.\t.\t.") -> bytes:
    ref = TEXT[pos - 1] if ref is None else ref
    return f"chr1\t{pos}\t.\t{ref}\t{alt or ('A' if ref != 'A' else 'C')}".encode() + rest + b"\n"


def vcf(path: Path, *rows: bytes, columns: bytes = COLUMNS) -> Path:
    path.write_bytes(columns + b"\n" + b"".join(rows))
    return path


def program(*arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "genoformer_cli", *map(str, arguments)], timeout=300, **{"capture_output": True, **options}
    )


def records(path: Path) -> list[bytes]:
    return [line for line in path.read_bytes().split(b"\n") if line and not line.startswith(b"#")]


# --- names


@pytest.mark.parametrize("name", ODD)
def test_odd_names_of_files(place: Path, tiny_model_folder: Path, name: str) -> None:
    """Of the VCF, the FASTA, the elements, and the output."""
    try:
        given = vcf(place / name, row(100), row(200))
    except (OSError, UnicodeError):
        pytest.skip("this disk takes no such name")
    fasta, bed, out = (place / name.replace("vcf", end) for end in ("fa", "bed", "out.vcf"))
    fasta.write_bytes((place / "g.fa").read_bytes())
    bed.write_bytes((place / "e.bed").read_bytes())
    found = run("score", "-f", fasta, "-m", tiny_model_folder, "-o", out, "-a", f"E={bed}", "-q", "--", given)
    assert found.exit_code == 0, (found.output, found.exception)
    assert len(records(out)) == 2
    assert all(b"GF_LLR=" in line and b"E=x" in line for line in records(out))
    assert not list(place.glob(".*"))
    given.unlink()
    found = run("score", "-f", fasta, "-m", tiny_model_folder, "-o", out, "--", given)
    assert found.exit_code == 2
    assert len(found.stderr.strip().splitlines()) == 1  # whatever is in the name


def test_a_name_that_begins_with_a_dash(place: Path, tiny_model_folder: Path) -> None:
    vcf(place / "-in.vcf", row(100))
    found = run("annotate", "-o", "./-out.vcf", "-a", "e.bed", "-q", "--", "-in.vcf")
    assert found.exit_code == 0, found.output
    assert len(records(place / "-out.vcf")) == 1


@pytest.mark.parametrize("error", [FileFormatError, ContigError, MissingFileError])
def test_what_is_said_is_one_line_that_can_be_printed(error: Callable[[str], Exception]) -> None:
    said = str(error("a\nb\x1b[31m\udcff" + "x" * 10_000))
    assert said.startswith(r"a\nb\x1b[31m\udcff")
    assert len(said) < 1_010
    said.encode()
    assert sentence("é 変") == "é 変"


@pytest.mark.parametrize("kind", [PreflightError, ContigError, FileFormatError])
def test_a_table_stands_below_the_sentence(kind: type[GenoformerError]) -> None:
    error = pickle.loads(pickle.dumps(kind("rename\nthem:", table=["a\x1b b", "c d"])))  # as from another process
    assert str(error).split("\n") == [r"rename\nthem:", r"a\x1b b", "c d"]


# --- bytes


def test_bytes_that_are_no_utf8(place: Path, tiny_model_folder: Path) -> None:
    """Those of a VCF come out again; names of contigs and elements in other files do not stop anything, or are refused."""
    columns = COLUMNS.replace(b"#CHROM", b"##caf\xe9=\xff\n#CHROM") + b"\tFORMAT\ts\xe9"
    given = vcf(place / "a.vcf", row(100, rest=b"\t.\t.\tX=\xe9\xff\tGT\t0|1"), columns=columns)
    (place / "g.fa").write_bytes(f">chr1 caf\n{TEXT}\n".encode() + b">caf\xe9 \xff\nACGT\n")
    for out in ("o.vcf", "o.tsv", "o.parquet"):
        found = run("score", given, "-f", "g.fa", "-m", tiny_model_folder, "-o", place / out, "-q")
        assert found.exit_code == 0, (found.output, found.exception)
    assert b"##caf\xe9=\xff\n" in (place / "o.vcf").read_bytes()
    assert b"X=\xe9\xff" in records(place / "o.vcf")[0]
    for name, content in (("b.bed", b"chr1\t1\t900\tcaf\xe9\n"), ("b.gtf", b'chr1\tx\texon\t1\t9\t.\t+\t.\tgene_id "\xe9";\n')):
        (place / name).write_bytes(content)
        found = run("annotate", given, "-a", f"E={name}", "-o", "o.vcf")
        assert found.exit_code == 2
        assert "cannot be read ('utf-8' codec" in found.stderr


@pytest.mark.parametrize(
    "environment",
    [
        {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"TERM": "dumb"},
        {"TMPDIR": "/nonexistent/tmp"},
        {},
    ],
    ids=["C", "dumb", "no TMPDIR", "nothing"],
)
def test_a_bare_environment(place: Path, tiny_model_folder: Path, environment: dict[str, str]) -> None:
    """No HOME, no terminal, another alphabet; names and bytes that are not ASCII."""
    columns = COLUMNS.replace(b"#CHROM", "##note=é\n#CHROM".encode())
    given = vcf(place / "é.vcf", row(100, rest="\t.\t.\tX=é".encode()), columns=columns)
    (place / "é.bed").write_text("chr1\t0\t900\té\n", encoding="utf-8")
    scoring = ["score", given, "-f", place / "g.fa", "-m", tiny_model_folder] if "LANG" in environment else ["annotate", given]
    done = program(
        *scoring,
        "-o",
        place / "ö.vcf",
        "-a",
        f"E={place / 'é.bed'}",
        env={**environment, "OMP_NUM_THREADS": "1", "PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stderr
    assert "X=é".encode() in records(place / "ö.vcf")[0]
    assert "E=é".encode() in records(place / "ö.vcf")[0]


# --- ends of pipes


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_closed_end(place: Path, closed: int) -> None:
    """Standard input, output or error that is not open at all: as a daemon may start us."""
    given = vcf(place / "a.vcf", row(100))
    shell = f'exec "$0" -m genoformer_cli annotate "$1" -a "$2" -o "$3" {closed}{"<" if not closed else ">"}&-'
    command = ["/bin/sh", "-c", shell, sys.executable, str(given), "e.bed", "o.vcf"]
    done = subprocess.run(command, capture_output=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert len(records(place / "o.vcf")) == 1
    assert b"annotated" not in (place / "o.vcf").read_bytes()


def test_a_closed_standard_output_or_input_that_is_asked_for(place: Path) -> None:
    given = vcf(place / "a.vcf", row(100))
    for words, redirect in ((f"{given} -o -", ">&-"), ("- -o o.vcf", "<&-")):
        command = ["/bin/sh", "-c", f'exec "$0" -m genoformer_cli annotate {words} -a e.bed {redirect}', sys.executable]
        done = subprocess.run(command, capture_output=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith(b"Error: "), done.stderr
        assert not (place / "o.vcf").exists()


def test_a_reader_that_has_had_enough(place: Path) -> None:
    given = vcf(place / "a.vcf", *[row(100)] * 50_000)
    command = f'"$0" -m genoformer_cli annotate {given} -a e.bed -o - | head -n 3'
    done = subprocess.run(["/bin/sh", "-c", command, sys.executable], capture_output=True, timeout=300)
    assert done.returncode == 0
    assert done.stdout.count(b"\n") == 3
    assert b"Traceback" not in done.stderr


# --- records


@pytest.mark.parametrize("out", ["o.vcf", "o.vcf.gz", "o.tsv", "o.parquet"])
def test_records_of_any_size(place: Path, tiny_model_folder: Path, out: str) -> None:
    """An allele of a million bases, 10,000 ALTs, a megabyte of INFO: each comes out, with its neighbours."""
    ref = TEXT[299]
    alts = ",".join(f"{ref}{i:04d}".translate(str.maketrans("0123456789", "ACGTACGTAC")) for i in range(10_000))
    long = "".join(np.random.default_rng(1).choice(list("ACGT"), 1_000_000))
    given = vcf(
        place / "a.vcf",
        row(100),
        row(200, alt=TEXT[199] + long),
        row(250, ref=TEXT[249] + long, alt="A"),
        row(300, alt=alts),
        row(400, rest=b"\t.\t.\tX=" + b"y" * 1_000_000),
        row(500),
    )
    found = run("score", given, "-f", "g.fa", "-m", tiny_model_folder, "-o", out, "-q", "--force", "-s", "LLR")
    assert found.exit_code == 0, (found.output, found.exception)
    if out == "o.vcf":
        lines = records(place / out)
        assert len(lines) == 6
        assert all(line.split(b"\t")[:7] == before.split(b"\t")[:7] for line, before in zip(lines, records(given), strict=True))
        assert [b"GF_LLR=" in lines[i] for i in (0, 5)] == [True, True]
        assert lines[1].endswith(b"GF_STATUS=TOO_LONG")


def test_five_thousand_samples(place: Path, tiny_model_folder: Path) -> None:
    names = b"\tFORMAT" + b"".join(b"\ts%d" % i for i in range(5_000))
    rows = [row(i, rest=b"\t.\t.\t.\tGT:DP" + b"\t0|1:30" * 5_000) for i in range(100, 120)]
    given = vcf(place / "a.vcf", *rows, columns=COLUMNS + names)
    for out in ("o.vcf", "o.tsv"):
        found = run("score", given, "-f", "g.fa", "-m", tiny_model_folder, "-o", out, "-q")
        assert found.exit_code == 0, (found.output, found.exception)
    assert all(line.count(b"\t") == 5_008 for line in records(place / "o.vcf"))


# --- a machine that others use, too


@pytest.mark.parametrize(
    ("given", "then"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "5"}, "5"), *(({"OMP_WAIT_POLICY": how}, None) for how in ("active", "passive"))],
)
def test_threads_spin_for_less_long_unless_the_environment_says_how_long(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], then: str | None
) -> None:
    monkeypatch.setattr(os, "environ", given)
    limit_openmp_spin()
    assert given.get("GOMP_SPINCOUNT") == then


def test_threads_are_told_before_torch_comes(place: Path) -> None:
    asked = (
        "import os, sys, genoformer_cli.main as m\n"
        "real = m.limit_openmp_spin\n"
        "m.limit_openmp_spin = lambda: (print('torch' in sys.modules), real())\n"
        "try: m.main(['models', 'info', 'demo', '--json'])\n"
        "except SystemExit: print('torch' in sys.modules)\n"
    )
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, timeout=300).stdout
    assert (said.splitlines()[0], said.splitlines()[-1]) == ("False", "True")
