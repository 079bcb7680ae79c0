"""Outputs that are links, devices, in folders that cannot be written to, on a full disk, or another run's already."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pysam
import pytest
from commands import run
from genoformer_cli.main import main
from processes import no_file_larger_than
from small_models import LONG_TABLE, small_enformer

from genoformer import files
from genoformer.errors import ConfigError
from genoformer.files import BusyError, atomic_write, lock_output, resolve_link
from genoformer.formats import fasta_index
from genoformer.genome.reference import Genome
from genoformer.models import registry

TEXT = "".join(np.random.default_rng(3).choice(list("ACGT"), 3_000))
ROWS = tuple(f"chr1 {i} . {TEXT[i - 1]} {'A' if TEXT[i - 1] != 'A' else 'C'}" for i in range(300, 420, 10))
HOLD = """
import sys
from genoformer.files import lock_output
with lock_output(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""


class World:
    """Small inputs of every command, and a model of each kind."""

    def __init__(self, folder: Path, tiny: Path) -> None:
        self.folder, self.tiny = folder, tiny
        self.fasta, self.bed, self.vcf = folder / "g.fa", folder / "e.bed", folder / "in.vcf"
        self.fasta.write_text(f">chr1\n{TEXT}\n>chr2\n{TEXT[:900]}\n")
        self.bed.write_text("chr1\t300\t360\tx\nchr1\t380\t440\ty\nchr2\t300\t360\tx\nchr2\t500\t560\tx\n")
        header = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts\n"
        rows = ("\t".join([*row.split(), ".", ".", ".", "GT", "0|1"]) + "\n" for row in ROWS)
        self.vcf.write_text(header + "".join(rows))
        labelled = "".join(f"{TEXT[i : i + 24]},{i % 2}\n" for i in range(40))
        (folder / "l.csv").write_text("sequence,label\n" + labelled)
        (folder / "targets.tsv").write_text("identifier\tfile\nx\te.bed\n")
        self.tracks = folder / "long"
        registry.save(small_enformer(), self.tracks)
        (folder / "c.toml").write_text(LONG_TABLE)

    def commands(self) -> dict[str, list[object]]:
        """Command -> its words; {out} is the output."""
        f, v, bed = self.fasta, self.vcf, self.bed
        labels = self.folder / "l.csv"
        tiny, long = ["-m", self.tiny], ["-m", self.tracks, "--head", "human", "--strand", "forward"]
        return {
            "score": ["score", v, "-f", f, *tiny, "-o", "{out}.vcf"],
            "score --matrix": ["score", v, "-f", f, *long, "-o", "-", "--matrix", "{out}.parquet"],
            "annotate": ["annotate", v, "-a", f"E={bed}", "-o", "{out}.vcf"],
            "annotate --figures": ["annotate", v, "-a", f"E={bed}", "-o", "-", "--figures", "{out}"],
            "haplotypes": ["haplotypes", v, "-f", f, *long, "-b", bed, "-o", "{out}.tsv"],
            "pairs": ["pairs", v, "-f", f, *long, "--within", "20", "-o", "{out}.tsv"],
            "predict": ["predict", "-f", f, "-m", self.tracks, "--head", "human", "-b", bed, "-o", "{out}.parquet"],
            "predict to a folder": ["predict", "-f", f, "-m", self.tracks, "--head", "human", "-b", bed, "-o", "{out}"],
            "predict --calls": [
                *("predict", "-f", f, "-m", self.tracks, "-o", self.folder / "other", "--calls", "{out}.bed"),
            ],
            "sample": ["sample", self.tiny, "-o", "{out}.fa"],
            "embed": ["embed", labels, *tiny, "-o", "{out}.npy"],
            "embed --pca": ["embed", labels, *tiny, "-o", self.folder / "other.npy", "--pca", "{out}.png"],
            "enrich": ["enrich", v, "-a", f"E={bed}", "-f", f, "-o", "{out}"],
            "interpret": ["interpret", "ism", labels.with_suffix(".fa"), *tiny, "-o", "{out}"],
            "report": ["report", v, "-o", "{out}.html"],
            "calibrate": ["calibrate", v, "-f", f, *tiny, "-o", "{out}.npz"],
            "pretrain": ["pretrain", "-f", f, "-o", "{out}"],
            "finetune": ["finetune", labels, *tiny, "-o", "{out}"],
            "finetune --task tracks": [
                *("finetune", self.folder, "--task", "tracks", "-c", self.folder / "c.toml", "-o", "{out}"),
            ],
            "evaluate": ["evaluate", "sequences", labels, *tiny, "-o", "{out}"],
            "evaluate variants": ["evaluate", "variants", v, labels, "--truth", "label", "-o", "{out}"],
            "simulate": ["data", "simulate", "{out}"],
            "build": ["data", "build", "{out}", "-f", f, "-p", f"x={bed}", "--valid", "chr2", "--length", "40"],
            "tracks": ["data", "tracks", "{out}", "-f", f, "-t", self.folder / "targets.tsv", "--length", "256"],
            "convert": ["models", "convert", self.tiny, "{out}"],
            "demo": ["demo", "-o", "{out}"],
            "audit": ["data", "audit", labels, "-o", "{out}.tsv"],
            "benchmark": ["benchmark", "run", "mpra", labels, "-f", f, *tiny, "-o", "{out}"],
        }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> World:
    return World(tmp_path_factory.mktemp("world"), tiny_model_folder)


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENOFORMER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def words(command: list[object], place: Path) -> list[str]:
    return [str(word).replace("{out}", str(place)) for word in command]


NAMES = [
    *("score", "score --matrix", "annotate", "annotate --figures", "haplotypes", "pairs", "predict", "predict to a folder"),
    *("predict --calls", "sample"),
    *("embed", "embed --pca", "enrich", "interpret", "report", "calibrate", "pretrain", "finetune", "finetune --task tracks"),
    *("evaluate", "evaluate variants", "simulate", "build", "tracks", "convert", "demo", "benchmark", "audit"),
]


# --- two runs, one output


def held_by_another(path: Path) -> Iterator[None]:
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdin is not None
    assert other.stdout is not None
    with other.stdin, other.stdout:
        assert other.stdout.readline() == "held\n"
        yield
        other.kill()
        other.wait()


def test_another_process_holds_it_until_it_ends(out: Path) -> None:
    for _ in held_by_another(out / "a" / "b"):
        for place in (out / "a" / "b", out / "x" / ".." / "a" / "b"):
            with pytest.raises(BusyError, match=r"another process is writing .*out/a/b"), lock_output(place):
                pass
        with lock_output(out / "a" / "c"):
            pass
    with lock_output(out / "a" / "b"):  # what the other left is no hindrance
        pass
    assert not list(out.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_every_command_refuses_what_another_run_writes(
    world: World, out: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The lock is asked for before anything else is done, so that here nothing has to be computed."""
    command = words(world.commands()[name], out / "o")
    mine = next(word for word in command if word.startswith(str(out / "o")))
    if name == "score":
        (out / ".o.vcf.parts").mkdir()
    asked: list[str] = []

    def busy(handle: int, path: Path) -> None:
        asked.append(os.fspath(path))
        if str(path) == mine:
            raise BusyError(f"another process is writing {path}; wait until it is done, or name another file with -o.")

    monkeypatch.setattr(files, "_take", busy)
    found = run(*command)
    assert found.exit_code == 2, (found.output, found.exception)
    assert f"Error: another process is writing {mine}; wait" in found.stderr
    assert mine in asked
    assert not (out / Path(mine).name).exists()


def test_every_command_that_writes_is_tried_here() -> None:
    """Options and arguments that name outputs, of all commands."""
    found = set()

    def look(group: object, at: tuple[str, ...]) -> None:
        for name, command in getattr(group, "commands", {}).items():
            look(command, (*at, name))
            names = {parameter.name for parameter in command.params}
            if names & {"output", "out", "folder", "matrix", "figures", "pca", "calls"}:
                found.add(" ".join((*at, name)))

    look(main, ())
    assert found - {"models push"} == {  # its folder is an input
        *("score", "merge", "calibrate", "haplotypes", "pairs", "pretrain", "finetune", "embed", "predict", "sample"),
        *("evaluate sequences", "evaluate variants", "interpret attention", "interpret ism", "interpret attribution"),
        *("annotate", "enrich", "report", "models convert", "data simulate", "data build", "data tracks", "demo"),
        *("benchmark run", "data audit"),
    } | ({"interpret filters"} & found)


def test_processes_of_one_run_do_not_wait_for_each_other(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with lock_output(out / "a"):
        monkeypatch.setenv("RANK", "1")
        with lock_output(out / "a"):
            pass
    assert not list(out.iterdir())


# --- links and devices


@pytest.mark.parametrize("name", ["o.vcf", "o.vcf.gz", "o.tsv", "o.parquet"])
@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_followed(world: World, out: Path, name: str, there: bool) -> None:
    """It stays a link; what it leads to is replaced, or made; nothing else is left in either folder."""
    target = out / "elsewhere" / "data"
    target.parent.mkdir()
    if there:
        target.write_text("before")
    (out / name).symlink_to(target)
    for command in ("score", "annotate"):
        words_ = [word.replace(f"{out}/o.vcf", f"{out}/{name}") for word in words(world.commands()[command], out / "o")]
        assert run(*words_, "-q").exit_code == 0
        assert (out / name).is_symlink()
        assert target.is_file()
        assert target.read_bytes() != b"before"
    assert [path.name for path in target.parent.iterdir()] == ["data"]
    assert sorted(path.name for path in out.iterdir()) == sorted(["elsewhere", name, *[f"{name}.tbi"] * name.endswith("gz")])
    if name.endswith("gz"):
        with pysam.VariantFile(str(out / name)) as file:
            assert len(list(file.fetch("chr1", 299, 310))) == 2


def test_links_that_lead_nowhere_or_to_a_folder(world: World, out: Path) -> None:
    (out / "o.vcf").symlink_to(out / "no" / "such" / "o.vcf")
    found = run(*words(world.commands()["annotate"], out / "o"))
    assert found.exit_code == 2
    assert "is a link to" in found.stderr
    (out / "o.vcf").unlink()
    (out / "folder").mkdir()
    (out / "o.vcf").symlink_to(out / "folder")
    found = run(*words(world.commands()["annotate"], out / "o"))
    assert found.exit_code == 2
    assert "is a folder, not a file" in found.stderr
    (out / "o.vcf").unlink()
    (out / "o.vcf").symlink_to(out / "o.vcf")  # to itself
    found = run(*words(world.commands()["annotate"], out / "o"))
    assert found.exit_code == 0
    assert not (out / "o.vcf").is_symlink()


def test_a_link_to_the_input(world: World, out: Path) -> None:
    """Every command refuses it, as the input itself."""
    (out / "in.vcf").write_bytes(world.vcf.read_bytes())
    (out / "o.vcf").symlink_to(out / "in.vcf")
    commands = world.commands()
    annotate, score = (
        [word.replace(str(world.vcf), str(out / "in.vcf")) for word in words(commands[name], out / "o")]
        for name in ("annotate", "score")
    )
    for command in (annotate, score):
        found = run(*command, "-q")
        assert found.exit_code == 2
        assert "is the input, which the output would replace" in found.stderr
        assert (out / "in.vcf").read_bytes() == world.vcf.read_bytes()
        assert (out / "o.vcf").is_symlink()


@pytest.mark.parametrize(("option", "value"), [("-f", "{}"), ("-a", "X={}"), ("--gtf", "{}"), ("--calibration", "{}")])
def test_no_output_replaces_what_another_option_names(world: World, out: Path, option: str, value: str) -> None:
    own = out / "o.tsv"
    own.write_text("mine\n")
    found = run("score", world.vcf, "-f", world.vcf, option, value.format(own), "-o", own)
    assert found.exit_code == 2
    assert "is the input" in found.stderr
    assert own.read_text() == "mine\n"


@pytest.mark.parametrize("name", ["predict to a folder", "tracks", "convert", "build", "enrich"])
def test_a_link_to_a_folder_of_results(world: World, out: Path, name: str) -> None:
    (out / "elsewhere").mkdir()
    (out / "o").symlink_to(out / "elsewhere")
    found = run(*words(world.commands()[name], out / "o"))
    assert found.exit_code == 0, (found.output, found.exception)
    assert (out / "o").is_symlink()
    assert list((out / "elsewhere").iterdir())
    assert not list(out.glob(".*"))


@pytest.mark.parametrize("name", ["haplotypes", "report", "embed --pca"])
def test_a_device_is_not_replaced(world: World, out: Path, name: str) -> None:
    os.mkfifo(out / "pipe")
    (out / "o.png").symlink_to(out / "pipe")
    for device in (out / "pipe", Path(os.devnull)):
        command = words(world.commands()[name], out / "o")
        command = [str(device) if word.startswith(f"{out}/o") else word for word in command]
        if name == "embed --pca":
            command = words(world.commands()[name], out / "o")
        found = run(*command)
        assert found.exit_code == 2, (found.output, found.exception)
        assert "is a device or a pipe, and a file would take its place" in found.stderr
    assert stat.S_ISFIFO((out / "pipe").stat().st_mode)
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("c/d")
    assert resolve_link(tmp_path / "a") == tmp_path.resolve() / "c" / "d"
    (tmp_path / "c").mkdir()
    with atomic_write(tmp_path / "a") as part:
        part.write_text("x")
    assert (tmp_path / "c" / "d").read_text() == "x"
    with pytest.raises(ConfigError, match="device or a pipe"), atomic_write(Path(os.devnull)):
        pass


# --- folders that cannot be written to, and disks that are full


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc, in which nobody can make a file")
@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_cannot_be_written_to(world: World, out: Path, name: str) -> None:
    found = run(*words(world.commands()[name], Path("/proc/o")))
    assert found.exit_code == 2, (found.output, found.exception)
    assert len(found.stderr.strip().splitlines()) < 20
    assert "/proc" in found.stderr.strip().splitlines()[-1]
    assert found.stderr.strip().splitlines()[-1].startswith("Error: ")


def test_a_fasta_whose_index_can_be_kept_nowhere(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    (out / "g.fa").write_text(">chr1\nACGT\n")
    monkeypatch.setattr(fasta_index, "atomic_write", refuse)
    with Genome(out / "g.fa") as genome:
        assert genome.window("chr1", 0, 4).tolist() == [0, 1, 2, 3]
        assert "cannot be stored and is built each time: set GENOFORMER_CACHE" in genome.notes[-1]
    assert [path.name for path in out.iterdir()] == ["g.fa"]


def test_a_folder_of_ours_in_one_of_others(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A volume that is mounted at /out, say: there the folder itself is held."""
    (out / "o").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != out)
    with lock_output(out / "o"):
        assert not list((out / "o").iterdir())
        assert [path.name for path in out.iterdir()] == ["o"]
        with pytest.raises(BusyError), lock_output(out / "o"):
            pass


@pytest.mark.parametrize(
    "name", ["annotate", "haplotypes", "predict", "predict to a folder", "embed", "enrich", "build", "simulate", "convert"]
)
def test_a_full_disk(world: World, out: Path, name: str) -> None:
    """No file may become larger than 400 bytes."""
    Path(f"{world.fasta}.fai").unlink(missing_ok=True)
    with no_file_larger_than(400):
        found = run(*words(world.commands()[name], out / "o"))
    last = found.stderr.strip().splitlines()[-1]
    assert found.exit_code == 2, found.stderr
    assert "disk" in last, found.stderr
    assert "Traceback" not in found.stderr
    hidden = [path for path in out.rglob(".*") if not path.name.endswith(".parts")]
    assert not hidden
