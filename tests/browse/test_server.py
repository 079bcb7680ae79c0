"""The command as people use it: its address in a browser, wide and narrow, light and dark; and what it refuses."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browse_worlds import SNV, World
from chromium import Tab, open_tab
from commands import assert_refused, run

import genoformer as gf
from genoformer.errors import OptionError
from genoformer.genome.reference import Genome

for _package in ("starlette", "uvicorn"):
    pytest.importorskip(_package, reason="needs the extra browse")


@contextmanager
def running(*arguments: object) -> Iterator[str]:
    """Yield the address that the command prints; it ends with Ctrl-C and status 0."""
    command = [sys.executable, "-m", "genoformer_cli", "browse", *map(str, arguments), "--device", "cpu"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0, said
        assert "Traceback" not in said
        assert "The page has ended." in said
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def address(world: World) -> Iterator[str]:
    more = ("--gtf", world.folder / "g.gtf", "--elements", f"PEAKS={world.folder / 'e.bed'}")
    with running(world.folder / "tracks", world.folder / "s.vcf", "-f", world.fasta, *more) as printed:
        yield printed


def test_the_address_is_of_this_machine_and_has_a_token(address: str) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", address)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(address.rsplit("/", 2)[0] + "/about")
    port = int(re.findall(r":(\d+)/", address)[0])
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}
    for other in others:
        if str(other).startswith("127."):
            continue
        with pytest.raises(OSError, match=r"."):
            socket.create_connection((other, port), timeout=2)


def ask(tab: Tab, place: str) -> None:
    """Type a place and press Enter."""
    tab.value(f"document.getElementById('place').value = {json.dumps(place)}")
    tab.value("document.getElementById('place').focus()")
    tab.press("Enter")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_page_works_in_a_browser(tmp_path: Path, address: str, width: int, dark: bool) -> None:
    with open_tab(tmp_path) as tab:
        tab.show(address, width=width, dark=dark)
        tab.wait("document.querySelectorAll('#listed button').length === 2")
        tab.value("document.querySelector('#listed button').click()")
        tab.wait("document.querySelector('#canvas canvas')")
        tab.wait("document.getElementById('busy').hidden")
        assert tab.value("document.documentElement.scrollWidth") <= width
        pixel = "document.querySelector('canvas').getContext('2d').getImageData(2, 2, 1, 1).data.slice(0, 3).join()"
        assert tab.value(pixel) == ("18,24,31" if dark else "255,255,255")
        assert "In the scored file: SAD" in tab.value("document.getElementById('texts').textContent")
        assert tab.value("document.querySelector('#listed [aria-current=true]').dataset.place") == tab.value(
            "document.getElementById('place').value"
        )
        tab.value("document.getElementById('ism').click()")
        tab.value("document.getElementById('attention').value = 'received'")
        tab.value("document.getElementById('bases').value = '20'")
        ask(tab, SNV)
        tab.wait("document.getElementById('canvas-text').textContent.includes('ISM of SAD')")
        assert "Attention (received)" in tab.value("document.getElementById('canvas-text').textContent")
        assert "Genes: NEAR (+)." in tab.value("document.getElementById('canvas-text').textContent")
        before = tab.value("JSON.stringify(canvas.view())")
        box = json.loads(tab.value("JSON.stringify(document.querySelector('canvas').getBoundingClientRect())"))
        at = (box["x"] + width / 2, box["y"] + 60)
        for kind in ("mousePressed", "mouseReleased"):  # the wheel zooms after a click, and else scrolls the page
            tab.mouse(kind, *at, button="left", clickCount=1)
        tab.mouse("mouseWheel", *at, deltaX=0, deltaY=-200)
        tab.wait(f"JSON.stringify(canvas.view()) !== {json.dumps(before)}")
        low, high = json.loads(tab.value("JSON.stringify(canvas.view())"))
        assert high - low < json.loads(before)[1] - json.loads(before)[0]
        tab.value("document.getElementById('here').click()")
        tab.wait("document.getElementById('place').value.includes('-')")
        tab.wait("document.getElementById('busy').hidden")
        tab.value("history.back()")
        tab.wait(f"document.getElementById('place').value === {json.dumps(SNV)}")
        tab.wait("document.getElementById('busy').hidden")
        assert tab.errors == []
        assert [where for where in tab.loaded if not where.startswith((address, "data:"))] == []


def test_an_error_of_input_is_a_sentence_in_the_page(tmp_path: Path, address: str) -> None:
    with open_tab(tmp_path) as tab:
        tab.show(address)
        tab.wait("document.querySelectorAll('#listed button').length === 2")
        ask(tab, "chr9:1-<b>5</b>")
        tab.wait("!document.getElementById('error').hidden")
        assert "region 'chr9:1-<b>5</b>' is not understood" in tab.value("document.getElementById('error').textContent")
        ask(tab, "chr9:1-5")
        tab.wait("document.getElementById('error').textContent.includes('There is no contig chr9')")
        ask(tab, "NEAR")
        tab.wait("document.querySelector('#canvas canvas')")
        assert tab.value("document.getElementById('error').hidden")


def test_a_call_in_python_serves_the_same_page_in_a_thread(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    gtf, peaks = world.folder / "g.gtf", f"PEAKS={world.folder / 'e.bed'}"
    with Genome(world.fasta) as genome:
        page = gf.browse(world.folder / "language", genome, gtf=gtf, elements=peaks, device="cpu", open=True)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", page.url)
    assert opened == [page.url]
    with urllib.request.urlopen(f"{page.url}about") as answer:
        about = json.load(answer)
    assert (about["has_genes"], about["attention"]) == (True, True)
    asked = urllib.request.Request(f"{page.url}jobs", json.dumps({"place": SNV}).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(asked) as answer:
        job = json.load(answer)["id"]
    end = time.monotonic() + 30
    while (state := json.load(urllib.request.urlopen(f"{page.url}jobs/{job}")))["state"] in ("waiting", "running"):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert state["state"] == "done"
    assert page.url in repr(page)
    assert f'href="{page.url}"' in page._repr_html_()
    page.stop()
    page.stop()  # once more does nothing
    assert not page.is_served
    assert repr(page) == f"Page({world.folder / 'language'}: stopped)"
    with pytest.raises(OSError, match=r"."):
        urllib.request.urlopen(f"{page.url}about")


def test_two_pages_of_one_process_have_their_own_tokens(world: World) -> None:
    with gf.browse(world.folder / "language", world.fasta) as one, gf.browse(world.folder / "language", world.fasta) as two:
        other = f"{one.url.rsplit('/', 2)[0]}/{two.url.rsplit('/', 2)[1]}/about"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(other)
        port = int(re.findall(r":(\d+)/", one.url)[0])
        with pytest.raises(OptionError, match=f"port is {port}, which cannot be used"):
            gf.browse(world.folder / "language", world.fasta, port=port)


@pytest.mark.parametrize(
    ("arguments", "options", "sentence"),
    [
        ((), {}, "model is missing, expected the name of a model or its folder"),
        (("demo",), {}, "fasta is missing, expected the path of a genome"),
        ((5, "g.fa"), {}, "model is a int, expected the name"),
        (("demo", "g.fa"), {"strnad": "both"}, "genoformer.browse has no option 'strnad'; write strand."),
    ],
)
def test_a_call_in_python_is_refused_with_a_sentence(
    arguments: tuple[object, ...], options: dict[str, str], sentence: str
) -> None:
    with pytest.raises((OptionError, TypeError), match=re.escape(sentence)):
        gf.browse(*arguments, **options)


def test_a_port_that_is_in_use_is_refused(world: World) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = run("browse", world.folder / "language", "-f", world.fasta, "--port", port)
    assert_refused(refused, f"--port is {port}, which cannot be used (address already in use); give another")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--head", "human"), "--head needs a track model, found a language model"),
        (("no_such.vcf",), "no_such.vcf"),
        (("--gtf", "no_such.gtf"), "no_such.gtf"),
    ],
)
def test_options_that_the_model_does_not_have_are_refused(world: World, options: tuple[str, ...], sentence: str) -> None:
    assert_refused(run("browse", world.folder / "language", "-f", world.fasta, *options), sentence)
