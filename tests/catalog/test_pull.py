"""Fetching from a server on this machine that cuts, lies, redirects and renews; nothing wrong or half is ever kept."""

from __future__ import annotations

import gzip
import hashlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from catalog_server import COMMIT, Server

from genoformer.catalog import Entry, Remote, folder_of, is_here, pull
from genoformer.catalog.cache import read_receipt, staging_of
from genoformer.errors import CatalogError, CheckpointError, ConfigError, DownloadError
from genoformer.files import cache_folder, lock_folder
from genoformer.models import folders, registry

CONTENT = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


def entry(*files: Remote, **fields: str) -> Entry:
    return Entry("data", "thing", "A thing", "CC0", "Nobody 2020", files, **fields)  # type: ignore[arg-type]


def get(*files: Remote, **how: object):
    return pull(entry(*files), pause=0.001, **how)  # type: ignore[arg-type]


def kept() -> list[str]:
    """All files under the cache; what was fetched in part lies under a name that begins with a dot."""
    root = cache_folder()
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()) if root.exists() else []


def test_fetched_checked_and_kept(server: Server) -> None:
    url = server.put("/a.bin", CONTENT)
    heard: list[object] = []
    got = get(Remote("a.bin", url, size=len(CONTENT), sha256=SHA256, md5=MD5), progress=heard.append)
    assert got.paths[0].read_bytes() == CONTENT
    assert got.fetched
    assert not got.notes
    assert heard
    assert kept() == ["data/thing/a.bin", "data/thing/pulled.json"]
    receipt = read_receipt(got.folder)
    assert receipt["files"]["a.bin"] == {
        "of": url,
        "from": url,
        "size": len(CONTENT),
        "sha256": SHA256,
        "checked": "sha256, md5",
        "md5": MD5,
    }
    assert receipt["licence"] == "CC0"

    second = get(Remote("a.bin", url, sha256=SHA256))  # the second time nobody is asked
    assert not second.fetched
    assert second.paths == got.paths
    assert len(server.files["/a.bin"].asked) == 1


@pytest.mark.parametrize("cuts", [[1], [100_000], [299_999], [70_000, 70_000, 70_000], [0, 0, 5]])
def test_a_cut_connection_goes_on_where_it_was(server: Server, cuts: list[int]) -> None:
    url = server.put("/a.bin", CONTENT, cuts=list(cuts))
    assert get(Remote("a.bin", url, sha256=SHA256)).paths[0].read_bytes() == CONTENT
    reached = [sum(cuts[: i + 1]) for i in range(len(cuts))]
    assert server.files["/a.bin"].asked == ["", *(f"bytes={n}-" if n else "" for n in reached)]


def test_a_run_that_gave_up_goes_on_the_next_time(server: Server) -> None:
    file = Remote("a.bin", server.put("/a.bin", CONTENT, cuts=[1_000, 0, 0, 0, 0, 0]), sha256=SHA256)
    with pytest.raises(DownloadError, match=r"1,000 bytes are kept, and the same command resumes"):
        get(file)
    assert kept() == ["data/.thing.part/a.bin.part", "data/.thing.part/a.bin.part.json"]
    assert not is_here(entry(file))
    server.files["/a.bin"].cuts.clear()
    assert get(file).paths[0].read_bytes() == CONTENT
    assert server.files["/a.bin"].asked[-1] == "bytes=1000-"


def test_a_file_that_changed_meanwhile_is_fetched_from_its_beginning(server: Server) -> None:
    url = server.put("/a.bin", b"x" * 300_000, cuts=[5_000, 0, 0, 0, 0, 0], etag='"old"')
    with pytest.raises(DownloadError):
        get(Remote("a.bin", url))
    server.put("/a.bin", CONTENT, etag='"new"')
    assert get(Remote("a.bin", url)).paths[0].read_bytes() == CONTENT


@pytest.mark.parametrize("how", [{"ranges": False}, {"etag": None}, {"length": False}, {"fails": 3}, {"etag": 'W/"weak"'}])
def test_servers_that_know_less(server: Server, how: dict[str, object]) -> None:
    url = server.put("/a.bin", CONTENT, cuts=[] if how.get("length") is False else [9_000], **how)
    assert get(Remote("a.bin", url)).paths[0].read_bytes() == CONTENT


def test_without_a_validator_only_a_checksum_lets_it_go_on(server: Server) -> None:
    file = Remote("a.bin", server.put("/a.bin", CONTENT, cuts=[9_000], etag=None))
    get(file)
    assert server.files["/a.bin"].asked == ["", ""]
    shutil.rmtree(cache_folder())
    server.put("/a.bin", CONTENT, cuts=[9_000], etag=None)
    get(file._replace(sha256=SHA256))
    assert server.files["/a.bin"].asked == ["", "bytes=9000-"]


@pytest.mark.parametrize("wrong", [{"sha256": "0" * 64}, {"md5": "0" * 32}])
def test_a_wrong_checksum_is_not_kept(server: Server, wrong: dict[str, str]) -> None:
    url = server.put("/a.bin", CONTENT)
    with pytest.raises(DownloadError, match=rf"{next(iter(wrong))} of the download is .*not stored"):
        get(Remote("a.bin", url, **wrong))  # type: ignore[arg-type]
    assert kept() == []


def test_a_part_that_was_wrong_is_fetched_once_more(server: Server) -> None:
    file = Remote("a.bin", server.put("/a.bin", CONTENT, cuts=[1_000, 0, 0, 0, 0, 0]), sha256=SHA256)
    with pytest.raises(DownloadError):
        get(file)
    part = staging_of(entry(file)) / "a.bin.part"
    part.write_bytes(b"?" * 1_000)
    server.files["/a.bin"].cuts.clear()
    assert get(file).paths[0].read_bytes() == CONTENT
    assert server.files["/a.bin"].asked[-2:] == ["bytes=1000-", ""]


def test_another_length_is_refused_before_it_is_fetched(server: Server) -> None:
    with pytest.raises(DownloadError, match=r"has 300,000 bytes; the catalog expects 5"):
        get(Remote("a.bin", server.put("/a.bin", CONTENT), size=5))
    assert kept() == []


def test_a_flood_is_cut_off(server: Server) -> None:
    """A server that says no length and sends without end: no more is taken than the catalog says."""
    with pytest.raises(DownloadError, match="sends more than the expected 1,000 bytes"):
        get(Remote("a.bin", server.put("/a.bin", CONTENT, length=False), size=1_000))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"status": 404}, "server answered 404 Not Found; download the file by hand.*--from"),
        ({"status": 403}, "server answered 403"),
        ({"status": 500}, "cannot be reached.*500.*--from"),
        ({"kind": "text/html; charset=utf-8"}, "an HTML page"),
        ({"status": 302, "location": "file:///etc/passwd"}, "Redirection to url .file:///etc/passwd. is not allowed"),
        ({"status": 302, "location": "ftp://127.0.0.1/x"}, "leads to ftp://"),
        ({"status": 302, "location": "/a.bin"}, "server answered 302"),
        ({"status": 407}, "requires a login"),
    ],
)
def test_answers_that_are_no_file(server: Server, how: dict[str, object], said: str) -> None:
    with pytest.raises(DownloadError, match=said):
        get(Remote("a.bin", server.put("/a.bin", CONTENT, **how)))
    assert not any("a.bin" in name and not name.startswith("data/.") for name in kept())


def test_redirects_are_followed(server: Server) -> None:
    server.put("/b.bin", CONTENT)
    url = server.put("/a.bin", status=302, location="/b.bin")
    assert get(Remote("a.bin", url, sha256=SHA256)).paths[0].read_bytes() == CONTENT


def nobody_listens() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_offline(server: Server) -> None:
    with pytest.raises(
        DownloadError, match=r"127.0.0.1 cannot be reached \(.*refused.*\).* download http.* on another machine"
    ):
        get(Remote("a.bin", f"{nobody_listens()}/a.bin"))
    with pytest.raises(DownloadError, match=r"nowhere.invalid cannot be reached \(its name cannot be resolved\)"):
        get(Remote("a.bin", "http://nowhere.invalid/a.bin"))


def test_a_proxy_that_fails_is_named_without_its_password(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = nobody_listens().replace("//", "//me:secret@")
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(DownloadError, match=r"through the proxy of http_proxy \(http://127") as caught:
        get(Remote("a.bin", "http://example.invalid/a.bin"))
    assert "secret" not in str(caught.value)


def test_a_proxy_that_asks_who_we_are(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.put("http://example.invalid/a.bin", status=407)  # the path that a proxy is asked for
    monkeypatch.setenv("http_proxy", server.address)
    with pytest.raises(DownloadError, match=r"the proxy of http_proxy .* requires a login"):
        get(Remote("a.bin", "http://example.invalid/a.bin"))


def test_no_room(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1_000})
    monkeypatch.setattr("genoformer.catalog.http.shutil.disk_usage", lambda path: usage)
    with pytest.raises(DownloadError, match="MB free, and the download needs 0 MB; make room"):
        get(Remote("a.bin", server.put("/a.bin", CONTENT)))


def test_a_list_of_checksums(server: Server) -> None:
    url = server.put("/a.bin", CONTENT)
    sums = server.put("/MD5SUMS", f"{'0' * 32}  other.bin\n{MD5}  ./a.bin\n".encode())
    assert read_receipt(get(Remote("a.bin", url, checksums=sums)).folder)["files"]["a.bin"]["checked"] == "md5"
    shutil.rmtree(cache_folder())
    server.put("/MD5SUMS", f"{SHA256} *a.bin\n".encode())
    assert read_receipt(get(Remote("a.bin", url, checksums=sums)).folder)["files"]["a.bin"]["checked"] == "sha256"
    shutil.rmtree(cache_folder())
    for content, said in [(b"0" * 32 + b"  a.bin", "md5 of the download"), (b"nothing\n", "has no checksum of a.bin")]:
        server.put("/MD5SUMS", content)
        with pytest.raises(DownloadError, match=said):
            get(Remote("a.bin", url, checksums=sums))
    server.files.pop("/MD5SUMS")
    with pytest.raises(DownloadError, match="404"):
        get(Remote("a.bin", url, checksums=sums))
    assert not any(name.endswith("/a.bin") for name in kept())


def test_where_nothing_is_published_the_first_time_stands(server: Server) -> None:
    file = Remote("a.bin", server.put("/a.bin", CONTENT))
    assert SHA256 in get(file).notes[0]
    server.put("/a.bin", b"changed")
    with pytest.raises(DownloadError, match="has changed: sha256"):
        get(file, again=True)
    assert (folder_of(entry(file)) / "a.bin").read_bytes() == CONTENT
    assert get(file._replace(moves=True), again=True).paths[0].read_bytes() == b"changed"


def test_the_old_one_stays_until_the_new_one_is_whole(server: Server) -> None:
    file = Remote("a.bin", server.put("/a.bin", CONTENT), sha256=SHA256)
    path = get(file).paths[0]
    server.put("/a.bin", CONTENT, status=404)
    with pytest.raises(DownloadError):
        get(file, again=True)
    assert path.read_bytes() == CONTENT


def test_several_files_are_there_together_or_not_at_all(server: Server) -> None:
    first = Remote("a.bin", server.put("/a.bin", CONTENT), sha256=SHA256)
    second = Remote("b.bin", f"{server.address}/b.bin")
    with pytest.raises(DownloadError):
        get(first, second)
    assert not folder_of(entry(first, second)).exists()
    server.put("/b.bin", b"b")
    assert [path.name for path in get(first, second).paths] == ["a.bin", "b.bin"]
    assert len(server.files["/a.bin"].asked) == 1  # not fetched twice


def test_a_damaged_copy_is_fetched_again(server: Server) -> None:
    file = Remote("a.bin", server.put("/a.bin", CONTENT), sha256=SHA256)
    path = get(file).paths[0]
    path.write_bytes(CONTENT[:-1])
    assert not is_here(entry(file))
    assert get(file).paths[0].read_bytes() == CONTENT


def test_what_was_fetched_by_another_catalog_is_not_taken_for_this_ones(server: Server) -> None:
    """Neither what is here, nor what was left of a try, under the same name."""
    theirs = Remote("a.bin", server.put("/evil.bin", b"evil"))
    path = get(theirs).paths[0]
    ours = Remote("a.bin", server.put("/a.bin", CONTENT), sha256=SHA256)
    assert not is_here(entry(ours))
    assert get(ours).paths == [path]
    assert path.read_bytes() == CONTENT
    assert not is_here(entry(ours._replace(sha256="0" * 64)))  # a checksum that was renewed
    shutil.rmtree(cache_folder())
    missing = Remote("b.bin", f"{server.address}/b.bin")
    with pytest.raises(DownloadError):
        get(theirs, missing)
    server.put("/b.bin", b"b")
    assert get(ours, missing).paths[0].read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("name", "content", "how", "said"),
    [
        ("a.txt", b"", {}, "is empty"),
        ("a.txt", b"x", {"status": 204}, "server answered 204"),
        ("a.txt", b"\n<!DOCTYPE html><p>log in", {}, "an HTML page"),
        ("a.gz", b"no gzip", {}, "not a complete gzip"),
        ("a.gz", gzip.compress(CONTENT, mtime=0)[:-9], {"length": False}, "not a complete gzip"),
    ],
)
def test_without_a_checksum_what_is_plainly_wrong_is_refused(
    server: Server, name: str, content: bytes, how: dict[str, object], said: str
) -> None:
    with pytest.raises(DownloadError, match=said):
        get(Remote(name, server.put(f"/{name}", content, **how)))
    assert not any(path.endswith(f"/{name}") for path in kept())


def test_without_a_checksum_what_is_odd_is_told(server: Server) -> None:
    cut = get(Remote("a.txt", server.put("/a.txt", b"one\ntw", length=False), about=1_000))
    assert [note.partition(";")[2] for note in cut.notes[1:]] == [
        " expected about 1,000. Is it the right file?",
        " it may be truncated.",
    ]
    whole = Remote("b.txt", server.put("/b.txt", b"one\ntwo\n"), about=10)
    assert len(pull(entry(whole)._replace(name="other"), pause=0.001).notes) == 1  # its sha256


def test_a_link_to_a_larger_disk(server: Server, tmp_path: Path) -> None:
    file = Remote("a.bin", server.put("/a.bin", CONTENT), sha256=SHA256)
    place = folder_of(entry(file))
    place.parent.mkdir(parents=True)
    (tmp_path / "disk").mkdir()
    place.symlink_to(tmp_path / "disk")
    get(file)
    assert place.is_symlink()
    assert (tmp_path / "disk" / "a.bin").read_bytes() == CONTENT


def test_from_a_folder(server: Server, tmp_path: Path) -> None:
    usb = tmp_path / "usb stick"
    usb.mkdir()
    file = Remote("a.bin", f"{nobody_listens()}/a.bin", sha256=SHA256)
    with pytest.raises(CatalogError, match=r"has no a.bin; the files of thing are a.bin"):
        get(file, source=usb)
    (usb / "a.bin").write_bytes(b"no")
    with pytest.raises(DownloadError, match="not stored"):
        get(file, source=usb)
    (usb / "a.bin").write_bytes(CONTENT)
    assert get(file, source=usb).paths[0].read_bytes() == CONTENT


def test_two_at_once(server: Server) -> None:
    file = Remote("a.bin", server.put("/a.bin", CONTENT))
    staging = staging_of(entry(file))
    staging.mkdir(parents=True)
    with lock_folder(staging, folder_of(entry(file))), pytest.raises(CatalogError, match="another process downloads thing"):
        get(file)


def test_where_things_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENOFORMER_CACHE", str(tmp_path / "a b"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "a b"
    monkeypatch.delenv("GENOFORMER_CACHE")
    assert cache_folder() == tmp_path / "xdg" / "genoformer"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "genoformer"
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    with pytest.raises(ConfigError, match="set GENOFORMER_CACHE"):
        cache_folder()


def test_a_cache_that_cannot_be_written(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENOFORMER_CACHE", "/proc/no")
    with pytest.raises(CatalogError, match=r"/proc/no/data cannot be written .* set GENOFORMER_CACHE"):
        get(Remote("a.bin", server.put("/a.bin", CONTENT)))


# --- the hub


def on_hub(server: Server, folder: Path, *, wrong: str | None = None) -> Entry:
    """A model of three files as the hub serves it."""
    names = ("config.json", "tokenizer.json", "model.safetensors")
    for name in names:
        large = name.endswith("safetensors")
        server.put_on_hub("owner/model", name, (folder / name).read_bytes(), large=large, says=wrong if large else None)
    return Entry("models", "theirs", "A model", "MIT", "Nobody", tuple(map(Remote, names)), hub="owner/model")


def test_a_model_of_the_hub(server: Server, tiny_model_folder: Path) -> None:
    theirs = on_hub(server, tiny_model_folder)
    folder = pull(theirs, endpoint=server.address).folder
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "pulled.json",
        "tokenizer.json",
    ]
    said = read_receipt(folder)["files"]
    assert (said["config.json"]["checked"], said["model.safetensors"]["checked"]) == ("git sha1", "sha256")
    assert said["config.json"]["commit"] == COMMIT
    assert registry.load(folder).sha256 == registry.load(tiny_model_folder).sha256


def test_a_file_of_the_hub_that_is_not_what_it_says(server: Server, tiny_model_folder: Path) -> None:
    theirs = on_hub(server, tiny_model_folder, wrong="0" * 64)
    with pytest.raises(DownloadError, match="sha256 of the download"):
        pull(theirs, endpoint=server.address)
    assert not folder_of(theirs).exists()


def test_a_mirror_of_the_hub_that_gives_no_checksum(server: Server, tiny_model_folder: Path) -> None:
    theirs = on_hub(server, tiny_model_folder, wrong="some-etag-of-a-mirror")
    got = pull(theirs, endpoint=server.address)
    assert read_receipt(got.folder)["files"]["model.safetensors"]["checked"] == "nothing published"
    assert "model.safetensors: its source publishes no checksum" in got.notes[0]


def test_a_hub_without_the_model_or_without_a_network(
    server: Server, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = on_hub(server, tiny_model_folder)._replace(hub="owner/other")
    with pytest.raises(DownloadError, match=r"owner/other on the hub: config.json could not be downloaded .*404.*--from"):
        pull(theirs, endpoint=server.address)
    with pytest.raises(DownloadError, match=r"127.0.0.1 cannot be reached \(.*refused.*--from"):
        pull(theirs, endpoint=nobody_listens())
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match=r"owner/other cannot be reached while HF_HUB_OFFLINE is set.*--from"):
        pull(theirs, endpoint=server.address)


def test_a_pulled_model_has_a_name(server: Server, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = on_hub(server, tiny_model_folder)
    monkeypatch.setattr("genoformer.catalog.cache.read_catalog", lambda: {"models": {"theirs": theirs}, "data": {}})
    with pytest.raises(CatalogError, match="theirs is in the catalog but not downloaded; run genoformer models pull theirs"):
        registry.load("theirs")
    pull(theirs, endpoint=server.address)
    assert registry.load("theirs").sha256 == registry.load(tiny_model_folder).sha256


def test_a_model_of_another_catalog_has_a_name_too(server: Server, tiny_model_folder: Path) -> None:
    with pytest.raises(CheckpointError, match="no model folder"):
        folders.resolve_model("theirs")
    folder = pull(on_hub(server, tiny_model_folder), endpoint=server.address).folder
    assert folders.resolve_model("theirs") == folder
    (folder / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="no model folder"):
        folders.resolve_model("theirs")


# --- the command


CATALOG = """
[data.thing]
title = "A thing"
licence = "CC0"
citation = "Nobody 2020"
files = [{{ name = "a.bin", url = "{url}", sha256 = "{sha256}" }}]
"""


def command(catalog: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "genoformer_cli", "data", "pull", "thing", "--catalog", str(catalog), *more]


def test_killed_while_it_fetches_and_begun_again(server: Server, tmp_path: Path) -> None:
    big = random.Random(1).randbytes(40 << 20)
    url = server.put("/a.bin", big)
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(CATALOG.format(url=url, sha256=hashlib.sha256(big).hexdigest()))
    part = cache_folder() / "data" / ".thing.part" / "a.bin.part"
    process = subprocess.Popen(command(catalog), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while process.poll() is None and not (part.exists() and part.stat().st_size):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = subprocess.run(command(catalog), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.strip())
    assert path.read_bytes() == big
    assert "Licence: CC0" in done.stderr
    assert sorted(p.name for p in path.parent.iterdir()) == ["a.bin", "pulled.json"]


def test_a_full_disk_in_the_middle(server: Server, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(CATALOG.format(url=server.put("/a.bin", CONTENT), sha256=SHA256))
    limited = f"ulimit -f 100; exec {' '.join(command(catalog))}"
    done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True)
    assert done.returncode == 2
    assert "is full after" in done.stderr
    assert "Traceback" not in done.stderr
    done = subprocess.run(command(catalog), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).read_bytes() == CONTENT
