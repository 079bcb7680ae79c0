"""Files that appear whole or not at all, with the permissions that the umask asks for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure

import genoformer as gf
from genoformer.errors import ConfigError, MissingFileError
from genoformer.files import (
    BusyError,
    atomic_folder,
    atomic_write,
    check_overwrite,
    lock_folder,
    made_folder,
    make_folder,
    partial_path,
    save_figure,
)

DEMO = Path(__file__).resolve().parents[1] / "data" / "demo"


def test_a_block_that_fails_leaves_what_was_there(tmp_path) -> None:
    path = tmp_path / "a"
    path.write_text("before")

    def fails() -> None:
        with atomic_write(path) as part:
            part.write_text("half")
            raise RuntimeError("in the block")

    with pytest.raises(RuntimeError, match="in the block"):
        fails()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_the_only_process_that_writes_a_file_replaces_what_a_killed_one_left(tmp_path) -> None:
    path = tmp_path / "a"
    partial_path(path).write_text("of a killed run, and longer")
    with atomic_write(path, exclusive=True) as part:
        assert part == partial_path(path)
        part.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_another_process_begins_after_the_rename_is_not_removed(tmp_path) -> None:
    path = tmp_path / "a"
    with atomic_write(path, exclusive=True) as part:
        os.link(part, tmp_path / "kept")  # so that the inode stays
        part.unlink()
        part.write_text("new")
    partial_path(path).write_text("of the next process")
    assert path.read_text() == "new"
    assert partial_path(path).read_text() == "of the next process"


def test_a_folder_appears_whole_or_not_at_all(tmp_path) -> None:
    path = tmp_path / "out"
    path.mkdir()  # an empty one is replaced

    def fails() -> None:
        with atomic_folder(path) as part:
            (part / "a").write_text("half")
            raise RuntimeError("in the block")

    with pytest.raises(RuntimeError, match="in the block"):
        fails()
    assert list(tmp_path.iterdir()) == [path]
    assert list(path.iterdir()) == []
    with atomic_folder(path) as part:
        (part / "a").write_text("whole")
    assert [file.read_text() for file in path.iterdir()] == ["whole"]
    with pytest.raises(ConfigError, match="exists and is not an empty folder"), atomic_folder(path):
        pass
    assert [file.read_text() for file in path.iterdir()] == ["whole"]


@pytest.mark.parametrize(("umask", "mode"), [("022", 0o644), ("077", 0o600), ("002", 0o664)])
def test_permissions_are_those_of_the_umask_even_of_a_file_that_was_made_private(tmp_path, umask, mode) -> None:
    path = tmp_path / "a"
    program = (
        "import os, pathlib; from genoformer.files import atomic_write\n"
        f"os.umask(0o{umask})\n"
        f"with atomic_write(pathlib.Path({str(path)!r})) as part:\n"
        "    part.unlink(); os.close(os.open(part, os.O_CREAT | os.O_WRONLY, 0o600))\n"  # as safetensors does
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ)
    assert path.stat().st_mode & 0o777 == mode


def test_figures_are_whole_and_the_same_bytes_in_any_case_of_their_suffix(tmp_path) -> None:
    figure = Figure(figsize=(1, 1))
    for suffix in ("png", "PNG", "svg"):
        first, second = (save_figure(figure, tmp_path / f"{name}.{suffix}").read_bytes() for name in "ab")
        assert first == second or suffix == "svg"  # whose ids are drawn anew
        assert b"Software" not in first
        assert b"<dc:date>" not in first
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".PNG", ".PNG", ".png", ".png", ".svg", ".svg"]


def test_a_folder_that_went_while_it_was_asked_for_is_not_held(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()

    def taken(handle, path) -> None:
        folder.rmdir()
        folder.mkdir()

    monkeypatch.setattr("genoformer.files._take", taken)
    with pytest.raises(BusyError, match="has just written out"), lock_folder(folder, "out"):
        pass


def save_demo(path: Path) -> None:
    pytest.importorskip("torch", reason="models need torch")
    gf.save(gf.load("demo"), path)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: atomic_write(path).__enter__(),
        lambda path: made_folder(path).__enter__(),
        make_folder,
        lambda path: check_overwrite(path, (), "m.json", lambda found: True),
        save_demo,
        gf.simulate,
        lambda path: gf.annotate_variants(DEMO / "variants.vcf.gz", gf.read_annotations(DEMO / "peaks.narrowPeak.gz"), path),
    ],
    ids=["atomic_write", "made_folder", "make_folder", "check_overwrite", "save", "simulate", "annotate_variants"],
)
@pytest.mark.parametrize("address", ["s3://bucket/x.vcf", "https://a.org/x.vcf"])
def test_nothing_is_written_to_an_address(tmp_path, monkeypatch, write: Callable[[Path], object], address: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingFileError, match=f"^{address} is an address, and only local files can be written"):
        write(Path(address))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_made_where_a_file_is(tmp_path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").symlink_to("nowhere")
    for path, said in (("a", "a is a file"), ("a/b/c", "a is a file"), ("b", "b is a link to a missing file")):
        with pytest.raises(ConfigError, match=f"{said}, and the outputs need a folder"):
            make_folder(tmp_path / path)
    make_folder(tmp_path / "c/d")
    assert (tmp_path / "c/d").is_dir()


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_same_figure_gives_the_same_bytes(tmp_path, suffix: str) -> None:
    """Lines and clips of an SVG have ids, which matplotlib would draw at random."""
    from matplotlib.figure import Figure

    from genoformer.files import save_figure

    for name in ("a", "b"):
        figure = Figure()
        figure.add_subplot().plot([1, 2, 3])
        save_figure(figure, tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
