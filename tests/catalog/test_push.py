"""Upload of a model folder to a hub on this machine: files, card, licence, private repositories, and refusals."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from commands import assert_refused, run
from huggingface_hub import HfApi

from genoformer.catalog.push import PushRequest, plan_push, push
from genoformer.errors import CheckpointError, ConfigError, UploadError
from genoformer.models import registry

TOKEN = "hf_" + "a" * 34


class Hub(ThreadingHTTPServer):
    """The part of the hub's interface that a push uses; keeps the files of commits."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.created: list[dict[str, Any]] = []
        self.tokens: set[str | None] = set()
        self.public = False  # the repository exists and is public
        self.status = 200  # of every answer

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        self.answer({"id": "me/model", "private": not self.server.public, "siblings": []})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.tokens.add(self.headers.get("Authorization"))
        if self.path == "/api/repos/create":
            self.server.created.append(json.loads(body))
            self.answer({"url": f"{self.server.address}/me/model"})
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            self.answer({"files": [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]})
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self.answer({"commitUrl": "https://huggingface.co/me/model/commit/1", "commitOid": "1"})
        else:
            self.answer({"warnings": [], "errors": []})

    def answer(self, content: dict[str, Any]) -> None:
        body = json.dumps(content if self.server.status == 200 else {"error": "not allowed here"}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch):
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder with its card, and files that are no part of the model."""
    registry.save(registry.load("demo"), tmp_path / "model", layout="hf", manifest={"seed": 1})
    (tmp_path / "model" / "card.md").write_text("# Ours\n\nA small one.\n")
    (tmp_path / "model" / "notes.txt").write_text("private")
    (tmp_path / "model" / "parts").mkdir()
    return tmp_path / "model"


def test_a_folder_is_uploaded_in_one_commit_with_its_card(hub, folder) -> None:
    request = PushRequest(folder, "me/model", licence="apache-2.0")
    assert push(request, HfApi(endpoint=hub.address)) == f"{hub.address}/me/model"
    names = {path.name for path in folder.iterdir()} - {"notes.txt", "parts"}
    assert set(hub.files) == names | {"README.md"}
    assert all(hub.files[name] == (folder / name).read_bytes() for name in names)
    assert hub.files["README.md"].decode() == (
        "---\nlicense: apache-2.0\nlibrary_name: genoformer\npipeline_tag: fill-mask\ntags: [dna, genomics, genoformer]\n"
        "---\n\n# Ours\n\nA small one.\n"
    )
    assert hub.tokens == {f"Bearer {TOKEN}"}
    (created,) = hub.created
    assert (created["name"], created["organization"]) == ("model", "me")
    assert not created.get("private")


def test_a_private_repository_is_private(hub, folder) -> None:
    request = PushRequest(folder, "me/model", licence="mit", private=True)
    push(request, HfApi(endpoint=hub.address))
    assert hub.created[0]["private"] is True
    hub.files.clear()
    hub.public = True
    with pytest.raises(UploadError, match="exists and is public, but a private one was requested"):
        push(request, HfApi(endpoint=hub.address))
    assert hub.files == {}


def test_metadata_of_the_card_stays(folder) -> None:
    (folder / "card.md").write_text("---\nlicense: cc-by-nc-sa-4.0\ntags:\n- promoters\n---\n\n# Ours\n")
    assert plan_push(PushRequest(folder, "me/model")).readme == (
        "---\nlicense: cc-by-nc-sa-4.0\ntags:\n- promoters\nlibrary_name: genoformer\npipeline_tag: fill-mask\n---\n\n# Ours\n"
    )
    (folder / "card.md").unlink()
    assert plan_push(PushRequest(folder, "me/model", licence="other")).readme.endswith("---\n\n# model\n")


def test_a_dry_run_prints_the_files_and_sends_nothing(hub, folder, monkeypatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    done = run("models", "push", folder, "me/model", "--licence", "mit", "--dry-run")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert f"model.safetensors\t{(folder / 'model.safetensors').stat().st_size}" in lines
    assert "license: mit" in lines
    assert "notes.txt" not in done.stdout
    assert hub.created == []


@pytest.mark.parametrize(
    ("change", "request_", "error", "message"),
    [
        ({}, ("me/model", ""), ConfigError, "names no licence; give --licence"),
        ({}, ("me/model", "Apache 2.0"), ConfigError, "give a name as the hub spells it"),
        ({}, ("a/b/c", "mit"), ConfigError, "'a/b/c' is no name of a repository"),
        ({"model.safetensors": None}, ("me/model", "mit"), CheckpointError, "has no weights in safetensors"),
        ({"config.json": None}, ("me/model", "mit"), CheckpointError, "has no config.json"),
        ({"config.json": "[]"}, ("me/model", "mit"), CheckpointError, "cannot be read"),
    ],
)
def test_what_cannot_be_pushed_is_refused_before_a_connection(change, request_, error, message, folder) -> None:
    for name, text in change.items():
        (folder / name).unlink()
        if text is not None:
            (folder / name).write_text(text)
    with pytest.raises(error, match=message):
        push(PushRequest(folder, *request_), api=None)


def test_refusals_of_the_hub_are_one_sentence(hub, folder) -> None:
    hub.status = 403
    with pytest.raises(UploadError, match="me/model could not be pushed") as caught:
        push(PushRequest(folder, "me/model", licence="mit"), HfApi(endpoint=hub.address))
    assert "\n" not in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_no_token_and_no_hub(folder, monkeypatch, tmp_path) -> None:
    request = PushRequest(folder, "me/model", licence="mit")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(UploadError, match="set HF_TOKEN, or log in"):
        push(request)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: TOKEN)
    with pytest.raises(UploadError, match="me/model could not be pushed"):
        push(request, HfApi(endpoint="http://127.0.0.1:9"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UploadError, match="HF_HUB_OFFLINE is set"):
        push(request)
    assert_refused(run("models", "push", tmp_path / "none", "me/model"), "no model folder")
