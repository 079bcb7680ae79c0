"""A server on this machine that serves files as asked to: with ranges or without, cut, late, wrong, elsewhere; and a hub."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """What the server answers for one path, and what it was asked."""

    content: bytes = b""
    status: int = 200
    etag: str | None = '"v1"'
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)  # bytes after which the first, second ... answers are cut
    fails: int = 0  # answers of 503 before the first good one
    length: bool = True  # whether the length is said
    extra: bytes = b""  # sent beyond the length that is said
    kind: str = "application/octet-stream"
    location: str | None = None
    asked: list[str] = field(default_factory=list)  # the Range of each request


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, Served] = {}

    def put(self, path: str, content: bytes = b"", **how: object) -> str:
        """Serve something; its address."""
        self.files[path] = Served(content, **how)  # type: ignore[arg-type]
        return f"{self.address}{path}"

    def put_on_hub(self, repository: str, name: str, content: bytes, *, large: bool, says: str | None = None) -> None:
        """Serve a file as the hub does: commit, ETag (sha256 of large files, git's SHA-1 of others), at its commit, too."""
        blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
        etag = f'"{says or (hashlib.sha256(content).hexdigest() if large else blob)}"'
        for revision in ("main", COMMIT):
            self.files[f"/{repository}/resolve/{revision}/{name}"] = Served(content, etag=etag, kind="text/plain")

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        server: Server = self.server  # type: ignore[assignment]
        served = server.files.get(self.path)
        self.close_connection = True
        if served is None:
            self.empty(404)
            return
        served.asked.append(self.headers.get("Range", ""))
        if served.fails:
            served.fails -= 1
            self.empty(503)
            return
        if served.location or served.status != 200:
            self.empty(served.status, {"Location": served.location} if served.location else {})
            return
        begin = 0
        asked = self.headers.get("Range", "")
        if served.ranges and asked.startswith("bytes=") and self.headers.get("If-Range", served.etag) == served.etag:
            begin = int(asked.removeprefix("bytes=").split("-")[0])
            if begin >= len(served.content):
                self.empty(416, {"Content-Range": f"bytes */{len(served.content)}"})
                return
        content = served.content[begin:]
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(served.content) - 1}/{len(served.content)}")
        if served.length:
            self.send_header("Content-Length", str(len(content)))
        if served.etag:
            self.send_header("ETag", served.etag)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Type", served.kind)
        self.send_header("Connection", "close")
        self.end_headers()
        if body:
            cut = served.cuts.pop(0) if served.cuts else None
            self.wfile.write(content[:cut] if cut is not None else content + served.extra)

    def empty(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
