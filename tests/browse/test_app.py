"""The application: routes, the token, the Host header, and bad input, with starlette's client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from browse_worlds import BASES, SNV, World

from genoformer.browse.app import make_app, new_token
from genoformer.browse.jobs import Jobs
from genoformer.browse.views import open_browser

pytest.importorskip("starlette", reason="needs the extra browse")
pytest.importorskip("httpx2", reason="starlette's client needs httpx2")

HOST, TOKEN = "127.0.0.1:8123", "a-token_1"


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[Any]:
    from starlette.testclient import TestClient

    with open_browser(world.request("language")) as browser:
        jobs = Jobs(lambda query, progress: browser.show(query, progress).data())
        yield TestClient(make_app(browser, jobs, TOKEN, [HOST, "localhost:8123"]), base_url=f"http://{HOST}")
        jobs.close()


def finished(client: Any, query: dict[str, Any]) -> dict[str, Any]:
    """The job of a query at its end."""
    job = client.post(f"/{TOKEN}/jobs", json=query).json()
    end = time.monotonic() + 30
    while job["state"] in ("waiting", "running"):
        assert time.monotonic() < end
        time.sleep(0.01)
        job = client.get(f"/{TOKEN}/jobs/{job['id']}").json()
    return job


def test_the_page_and_its_files_are_served(client: Any) -> None:
    page = client.get(f"/{TOKEN}/")
    assert page.status_code == 200
    assert "language on g.fa</h1>" in page.text
    assert "{{" not in page.text
    assert client.get(f"/{TOKEN}").url.path == f"/{TOKEN}/"
    code = client.get(f"/{TOKEN}/browse.js")
    assert "genomeCanvas" in code.text
    assert code.headers["content-type"].startswith("text/javascript")
    assert ".canvas" in client.get(f"/{TOKEN}/browse.css").text
    about = client.get(f"/{TOKEN}/about").json()
    assert (about["kind"], about["attention"], about["example"]) == ("language", True, "chr1:501-600")
    transition = BASES[550].translate(str.maketrans("ACGT", "GTAC"))
    assert about["variant"] == f"chr1:551:{BASES[550]}:{transition}"  # in the middle of the region


@pytest.mark.parametrize(
    "path", ["/", "/about", "/wrong/", "/wrong/about", f"/{TOKEN}x/", f"/{TOKEN[:-1]}/", f"//{TOKEN}/", "/jobs"]
)
def test_nothing_is_served_without_the_token(client: Any, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = client.request(method, path)
        assert answer.status_code == 403
        assert "open the address that genoformer browse printed" in answer.text
        assert "chr1" not in answer.text


@pytest.mark.parametrize(
    "headers", [{"host": "evil.example"}, {"host": "127.0.0.1"}, {"host": ""}, {"origin": "http://evil.example"}]
)
def test_only_this_machine_by_its_own_name_is_served(client: Any, headers: dict[str, str]) -> None:
    answer = client.get(f"/{TOKEN}/about", headers=headers)
    assert answer.status_code == 403
    assert "for this machine alone" in answer.text
    assert client.get(f"/{TOKEN}/about", headers={"host": "localhost:8123", "origin": f"http://{HOST}"}).status_code == 200


def test_answers_forbid_frames_and_other_sources(client: Any) -> None:
    headers = client.get(f"/{TOKEN}/").headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert (headers["cache-control"], headers["referrer-policy"]) == ("no-store", "no-referrer")


def test_a_query_gives_a_scene(client: Any) -> None:
    job = finished(client, {"place": SNV, "ism": True, "bases": 10})
    assert (job["state"], job["error"]) == ("done", "")
    scene = job["view"]["scene"]
    assert scene["chrom"] == "chr1"
    assert [row["kind"] for row in scene["rows"]] == ["bases", "bases", "bases", "changes"]
    assert job["view"]["scores"][0]["name"] == "LLR"
    assert job["view"]["text"].startswith("chr1:")


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("chr9:1-5", "There is no contig chr9 in g.fa, which has chr1."),
        ("chr1:1:N:C", "N_IN_REF"),
        ("/etc/passwd", "There is no contig /etc/passwd in g.fa"),
        ("<b>x</b>", "<b>x</b>"),
    ],
)
def test_an_error_of_input_is_a_sentence(client: Any, place: str, sentence: str) -> None:
    job = finished(client, {"place": place})
    assert job["state"] == "failed"
    assert sentence in job["error"]
    assert "Traceback" not in job["error"]


@pytest.mark.parametrize(
    ("content", "status", "sentence"),
    [
        (b"{", 400, "the request is no JSON; send an object."),
        (b"\xff\xfe", 400, "the request is no JSON; send an object."),
        (b"[" * 9_000, 400, "the request is no JSON; send an object."),
        (b"[]", 400, "is not understood, expected an object"),
        (b'{"place": "chr1", "bases": "many"}', 400, "option bases is 'many'"),
        (b'{"place": ""}', 400, "no region is given"),
        (b"x" * 20_000, 413, "the request is longer than 16,384 bytes; shorten it."),
    ],
)
def test_a_request_that_is_none_is_refused(client: Any, content: bytes, status: int, sentence: str) -> None:
    answer = client.post(f"/{TOKEN}/jobs", content=content)
    assert answer.status_code == status
    assert sentence in answer.json()["error"]


def test_a_job_that_is_not_there_is_none(client: Any) -> None:
    assert client.get(f"/{TOKEN}/jobs/999").status_code == 404
    assert client.get(f"/{TOKEN}/jobs/x").status_code == 404
    assert client.delete(f"/{TOKEN}/jobs/999").status_code == 204


def test_tokens_are_long_and_differ() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 32
