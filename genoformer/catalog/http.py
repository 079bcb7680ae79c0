"""Download one file over HTTP: address -> partial file, resumed after an interruption -> complete file or refusal.

This module checks only the length of a file; the caller checks its checksum.
"""

from __future__ import annotations

import errno
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from genoformer import __version__
from genoformer.errors import DownloadError
from genoformer.progress import ProgressCallback, Stage

CHUNK = 1 << 20  # bytes read at a time
LIST_BYTES = 4 << 20  # the longest list of checksums that is read
PROXIES = ("https_proxy", "http_proxy", "all_proxy", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")


class _Lost(Exception):
    """Temporary failure of the connection or the server; a retry may succeed."""


class _SameOrSafer(urllib.request.HTTPRedirectHandler):
    """Redirect handler that follows HTTP and HTTPS, but never from HTTPS to HTTP, nor to a file or an FTP server."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in ("http", "https") or (old == "https" and new == "http"):
            fp.close()
            raise DownloadError(f"{req.full_url} leads to {newurl}, which is less safe; the redirection was not followed.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(
    url: str,
    part: Path,
    *,
    size: int | None = None,
    checked: bool = False,
    progress: ProgressCallback = None,
    tries: int = 5,
    pause: float = 1.0,
    timeout: float = 60.0,
) -> None:
    """Download `url` into `part`, and resume an earlier attempt if the server still has the same file.

    Args:
        size: expected number of bytes; another length is refused.
        checked: True if the caller compares a checksum; then a download resumes even if the server does not identify the file.
        progress: callback with the number of bytes received and in total (None while unknown).
        tries: number of attempts in a row without a new byte before the download fails.
        pause: seconds before the second attempt; doubled before each further one.
        timeout: seconds without a byte after which the connection counts as lost.

    Raises: DownloadError, with what to do; the part is kept for the next attempt.
    """
    failures = 0
    while True:
        before = _length(part)
        try:
            _resume(url, part, size, checked, progress, timeout)
            return
        except _Lost as error:
            failures = 1 if _length(part) > before else failures + 1
            if failures >= tries:
                raise DownloadError(_unreachable(url, str(error), _length(part))) from error
            time.sleep(pause * 2 ** (failures - 1))


def forget(part: Path) -> None:
    """Remove a part and its metadata file."""
    part.unlink(missing_ok=True)
    _known(part).unlink(missing_ok=True)


def read_list(url: str, *, timeout: float = 60.0, tries: int = 3, pause: float = 1.0) -> str:
    """Return the text of a short file, such as a list of checksums. Raises DownloadError."""
    for attempt in range(1, tries + 1):
        try:
            with _opened(url, {}, timeout) as response:
                content: bytes = response.read(LIST_BYTES + 1)
        except (_Lost, http.client.HTTPException, OSError) as error:
            if isinstance(error, DownloadError):
                raise
            if attempt == tries:
                raise DownloadError(_unreachable(url, str(error), 0)) from error
            time.sleep(pause * 2 ** (attempt - 1))
        else:
            if len(content) > LIST_BYTES:
                raise DownloadError(f"{url} is longer than {LIST_BYTES:,} bytes; expected a list of checksums.")
            return content.decode("utf-8", "replace")
    raise AssertionError("a loop without a try")


def refuse_unreachable(url: str, *, timeout: float = 30.0) -> None:
    """Raise DownloadError immediately if no host answers at an address; skip the test if a proxy is set."""
    parts = urlsplit(url)
    if _proxy() or parts.hostname is None:
        return
    try:
        socket.create_connection((parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)), timeout).close()
    except socket.gaierror as error:
        raise DownloadError(_unreachable(url, "its name cannot be resolved", 0)) from error
    except OSError as error:
        raise DownloadError(_unreachable(url, str(error), 0)) from error


def _resume(url: str, part: Path, size: int | None, checked: bool, progress: ProgressCallback, timeout: float) -> None:
    done, known = _length(part), _read_known(part)
    same = known.get("etag") or known.get("modified")
    if done and (known.get("url") != url or not (same or checked)):
        done = 0  # no evidence that the rest belongs to the same file
    if done and size is not None and done >= size:
        done = 0 if done > size else done
        if done == size:
            Stage(progress, part.name, size).report(done)
            return
    headers = ({"Range": f"bytes={done}-"} | ({"If-Range": same} if same else {})) if done else {}
    with _opened(url, headers, timeout, begun=done) as response:
        if response.status == 416:  # the part is complete, or the file has changed
            if response.headers.get("Content-Range", "").endswith(f"/{done}"):
                return
            forget(part)
            raise _Lost("the file changed on the server")
        if response.status == 206:
            if not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
                forget(part)
                raise _Lost("the server resumed at another position")
        else:
            done = 0
        _refuse_page(url, response.headers)
        length = response.headers.get("Content-Length")
        total = done + int(length) if length and length.isdecimal() else None
        if size is not None and total is not None and total != size:
            forget(part)
            raise DownloadError(
                f"{url} has {total:,} bytes; the catalog expects {size:,}. The file has changed and was not downloaded."
            )
        _refuse_full(part, (size or total or 0) - done)
        _write_known(part, url, response.headers)
        _receive(response, part, done, size or total, progress)
    if (size or total or 0) > _length(part):
        raise _Lost("the connection was cut")


def _receive(response: Any, part: Path, done: int, most: int | None, progress: ProgressCallback) -> None:
    stage = Stage(progress, part.name, most)
    stage.report(done)
    try:
        with part.open("ab" if done else "wb") as file:
            while chunk := response.read(CHUNK):
                done += len(chunk)
                if most is not None and done > most:
                    raise DownloadError(
                        f"{response.url} sends more than the expected {most:,} bytes; the download was stopped."
                    )
                file.write(chunk)
                stage.report(done)
    except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        if isinstance(error, DownloadError):
            raise
        raise _Lost(f"the connection was cut ({error})") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DownloadError(
                f"the disk of {part.parent} is full after {done:,} bytes; make room and run the same command again, which "
                "resumes, or set GENOFORMER_CACHE to a folder with room."
            ) from error
        raise


def _opened(url: str, more: Mapping[str, str], timeout: float, *, begun: int = 0) -> Any:
    """Return a response with status 200, 206 or 416; raise _Lost for a temporary failure, else DownloadError."""
    request = urllib.request.Request(
        url, headers={"User-Agent": f"genoformer/{__version__}", "Accept-Encoding": "identity", **more}
    )
    try:
        return _not_empty(urllib.request.build_opener(_SameOrSafer).open(request, timeout=timeout))
    except urllib.error.HTTPError as error:
        if error.code == 416 and begun:
            error.status = 416  # type: ignore[misc]  # read as a response
            return error
        error.close()
        if error.code == 407:
            raise DownloadError(_proxy_login(url)) from error
        if error.code == 429 or error.code >= 500:
            raise _Lost(f"the server answered {error.code} {error.reason}") from error
        reason = " ".join(str(error.reason).split())
        raise DownloadError(
            f"{url}: the server answered {error.code} {reason}; download the file by hand and give its folder with --from."
        ) from error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        cause = getattr(error, "reason", None) or error
        if isinstance(error, DownloadError):
            raise
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise DownloadError(
                f"{url}: the certificate is not trusted ({cause.verify_message}); nothing was downloaded."
            ) from error
        if "407" in str(cause):
            raise DownloadError(_proxy_login(url)) from error
        if isinstance(cause, socket.gaierror):
            raise DownloadError(_unreachable(url, "its name cannot be resolved", 0)) from error
        raise _Lost(str(cause)) from error


def _not_empty(response: Any) -> Any:
    if response.status not in (200, 206):
        response.close()
        raise DownloadError(f"{response.url}: the server answered {response.status} without a file; nothing was downloaded.")
    return response


def _unreachable(url: str, why: str, kept: int) -> str:
    through = f" through {_proxy()}" if _proxy() else ""
    kept_text = f" {kept:,} bytes are kept, and the same command resumes." if kept else ""
    return (
        f"{urlsplit(url).hostname} cannot be reached{through} ({why}).{kept_text} Without a network: download "
        f"{url} on another machine and give its folder with --from."
    )


def _proxy_login(url: str) -> str:
    return f"{url}: {_proxy() or 'the proxy'} requires a login (407); put user name and password into its address."


def _proxy() -> str | None:
    """Return the proxy from the environment, without its password; None if none is set."""
    for name in PROXIES:
        if value := os.environ.get(name):
            return f"the proxy of {name} ({re.sub('//[^@/]*@', '//', value)})"
    return None


def _refuse_page(url: str, headers: Any) -> None:
    if headers.get_content_type() == "text/html" and not url.endswith((".html", ".htm")):
        raise DownloadError(f"{url} answers with an HTML page, not with the file; is a login required?")


def _refuse_full(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise DownloadError(
            f"{part.parent} has {free / 1e6:,.0f} MB free, and the download needs {needed / 1e6:,.0f} MB; make room, or set "
            "GENOFORMER_CACHE to a folder with room."
        )


# --- metadata of a part: its address, and the version of the file


def _length(part: Path) -> int:
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0


def _known(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_known(part: Path) -> dict[str, str]:
    try:
        known = json.loads(_known(part).read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write_known(part: Path, url: str, headers: Any) -> None:
    etag = headers.get("ETag") or ""
    known = {
        "url": url,
        "etag": "" if etag.startswith("W/") else etag,  # a weak ETag does not guarantee the same bytes
        "modified": headers.get("Last-Modified") or "",
    }
    _known(part).write_text(json.dumps(known) + "\n")
