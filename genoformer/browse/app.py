"""Browser -> web application: the page, its files and its jobs, for requests of this machine that know the token."""

from __future__ import annotations

import html
import json
import secrets
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from genoformer import extras
from genoformer.browse.jobs import Jobs
from genoformer.browse.request import Query
from genoformer.browse.views import Browser
from genoformer.errors import GenoformerError
from genoformer.report.canvas import canvas_files

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_MOST = 1 << 14  # bytes of a request
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' "
    "data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def new_token() -> str:
    """Return a token that nobody can guess, of letters that an address may have."""
    return secrets.token_urlsafe(24)


def require_extra() -> None:
    """Raise MissingExtraError if the packages of the extra are not installed."""
    extras.require_extra("browse", "genoformer browse", "starlette", "uvicorn")


class Guard:
    """Middleware that lets only requests through that name this host, and whose path begins with the token.

    The name of the host keeps out pages of other sites whose names lead to this machine (DNS rebinding); the token keeps out
    other users and other pages.
    """

    def __init__(self, app: Any, token: str, hosts: Sequence[str]) -> None:
        self.app, self.token, self.hosts = app, token, tuple(hosts)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, or refuse it with status 403."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if (problem := self._problem(scope["path"], headers)) is not None:
            await _refuse(problem, send)
            return

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                more = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await self.app(scope, receive, with_headers)

    def _problem(self, path: str, headers: dict[str, str]) -> str | None:
        """Return the reason to refuse a request; None to accept it."""
        origin = headers.get("origin")
        if headers.get("host") not in self.hosts or (origin is not None and origin not in [f"http://{h}" for h in self.hosts]):
            return "This page is for this machine alone; open the address that genoformer browse printed."
        if not secrets.compare_digest(path.split("/")[1].encode() if "/" in path else b"", self.token.encode()):
            return "The address has no token, or another one; open the address that genoformer browse printed."
        return None


async def _refuse(text: str, send: Any) -> None:
    body = text.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def make_app(browser: Browser, jobs: Jobs, token: str, hosts: Sequence[str]) -> Starlette:
    """Return the application. hosts: the values of the Host header that are accepted, such as 127.0.0.1:8000."""
    require_extra()
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
    from starlette.routing import Mount, Route

    style, code = canvas_files()
    folder = files("genoformer.browse")
    own_style, own_code, page = (folder.joinpath(f"browse.{end}").read_text(encoding="utf-8") for end in ("css", "js", "html"))
    title = html.escape(f"{browser.opened.request.model} on {browser.genome.name}")

    def problem(text: str, status: int) -> Response:
        return JSONResponse({"error": text}, status)

    async def submit(request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _MOST:
                return problem(f"the request is longer than {_MOST:,} bytes; shorten it.", 413)
        try:
            return JSONResponse(jobs.submit(Query.from_json(json.loads(body))).data(), 202)
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
            return problem("the request is no JSON; send an object.", 400)
        except GenoformerError as error:
            return problem(str(error), 400)

    def job(request: Request) -> Response:
        found = jobs.get(request.path_params["number"])
        return (
            JSONResponse(found.data()) if found is not None else problem("there is no such job; send the request again.", 404)
        )

    def cancel(request: Request) -> Response:
        jobs.cancel(request.path_params["number"])
        return Response(status_code=204)

    routes = [
        Route("/", lambda request: HTMLResponse(page.replace("{{TITLE}}", title))),
        Route("/browse.css", lambda request: Response(f"{style}\n{own_style}", media_type="text/css")),
        Route("/browse.js", lambda request: Response(f"{code}\n{own_code}", media_type="text/javascript")),
        Route("/about", lambda request: JSONResponse(browser.about())),
        Route("/jobs", submit, methods=["POST"]),
        Route("/jobs/{number:int}", job),
        Route("/jobs/{number:int}", cancel, methods=["DELETE"]),
    ]
    with_slash = Route(f"/{token}", lambda request: RedirectResponse(f"/{token}/"))
    guard = Middleware(Guard, token=token, hosts=hosts)
    return Starlette(routes=[with_slash, Mount(f"/{token}", routes=routes)], middleware=[guard])
