"""A server of the files of a folder, with ranges, in its own process: htslib keeps the interpreter's lock while it waits."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CUT = 1_000  # bytes after which an answer ends while a file of the name "cut" is there


@dataclass
class FolderServer:
    """Address and folder of the server."""

    address: str
    folder: Path

    def put(self, name: str, content: bytes = b"") -> str:
        """Serve something; its address. Names below "plain" are served without ranges and lengths."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content)
        return f"{self.address}/{name}"

    def requests(self) -> list[str]:
        """Return path and Range of the requests so far."""
        return (self.folder / "requests.log").read_text().splitlines()


@contextmanager
def serving_folder(folder: Path) -> Iterator[FolderServer]:
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen([sys.executable, __file__, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield FolderServer(f"http://127.0.0.1:{process.stdout.readline().strip()}", folder)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class _Handler(BaseHTTPRequestHandler):
    folder = Path()

    def do_GET(self) -> None:
        path, asked = self.folder / self.path.lstrip("/"), self.headers.get("Range", "")
        with (self.folder / "requests.log").open("a") as log:
            log.write(f"{self.path} {asked}\n")
        if not path.is_file():
            self.send_error(404)
            return
        content, is_plain = path.read_bytes(), self.path.startswith("/plain")
        match = None if is_plain else re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
        begin = int(match[1]) if match else 0
        end = min(len(content), int(match[2]) + 1) if match and match[2] else len(content)
        if match and begin >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if match else 200)
        if match:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(content)}")
        if not is_plain:
            self.send_header("Content-Length", str(end - begin))
        self.end_headers()
        with suppress(ConnectionError):  # a reader of a part closes the connection
            self.wfile.write(content[begin : min(end, begin + CUT) if (self.folder / "cut").exists() else end])

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    _Handler.folder = Path(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    with suppress(KeyboardInterrupt):
        server.serve_forever()
    os._exit(0)
