"""BrowseRequest -> a server on the loopback address of this machine, in this thread or its own, until it is stopped."""

from __future__ import annotations

import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from html import escape
from pathlib import Path
from typing import Any

from genoformer.browse.app import make_app, new_token, require_extra
from genoformer.browse.jobs import Jobs
from genoformer.browse.request import BrowseRequest
from genoformer.browse.views import open_browser
from genoformer.errors import OptionError
from genoformer.genome.reference import Genome
from genoformer.option_checks import with_strand

_LOOPBACK = "127.0.0.1"
_PATIENCE = 10  # seconds for a server to end


def serve(request: BrowseRequest, on_ready: Callable[[str], None]) -> None:
    """Open the model and serve the page until Ctrl-C. on_ready: is called with the address of the page.

    Raises MissingExtraError without the packages of the extra, OptionError for a port that is in use, and the errors of
    `opened.open_model`.
    """
    with _prepared(request) as (server, listening, address):
        on_ready(address)
        server.run(sockets=[listening])


class Page:
    """A local page that a thread serves until `stop()`, the end of a `with` block, or the end of the process.

    url: its address, with a random token; only this machine can open it.
    """

    def __init__(self, request: BrowseRequest, *, opens: bool = False) -> None:
        """Open the model and serve the page. opens: also open it in the default browser. Raises the errors of `serve`."""
        self._opened = ExitStack()
        self._server, listening, self.url = self._opened.enter_context(_prepared(request))
        self.model = str(request.model)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listening]}, name="genoformer page", daemon=True
        )
        self._thread.start()
        if opens:
            webbrowser.open(self.url)

    @property
    def is_served(self) -> bool:
        """True until the page is stopped."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End the page, and close its files; a page that has ended stays so."""
        self._server.should_exit = True
        self._thread.join(timeout=_PATIENCE)
        self._opened.close()

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"Page({self.model}: {self.url if self.is_served else 'stopped'})"

    def _repr_html_(self) -> str:
        url = escape(self.url, quote=True)
        link = f'<a href="{url}" target="_blank" rel="noopener">{url}</a>' if self.is_served else "stopped"
        return f"<p>Page of {escape(self.model)}: {link}</p>"


def serve_in_thread(
    model: Any, fasta: Any, scored: str | Path | None = None, *, port: int = 0, opens: bool = False, **options: Any
) -> Page:
    """Serve the page of a model in a thread; options: the other fields of `BrowseRequest`, as the command has them.

    Raises OptionError for a model that is not named and for a genome that is neither a path nor a `Genome`, and the errors of
    `serve`.
    """
    if not isinstance(model, str | Path):
        raise OptionError("model", f"is {_kind(model)}, expected the name of a model or its folder; give it.")
    if not isinstance(fasta, str | Path | Genome):
        raise OptionError("fasta", f"is {_kind(fasta)}, expected the path of a genome (FASTA) or a Genome; give it.")
    elements = options.pop("elements", ())
    beds = (elements,) if isinstance(elements, str | Path) else tuple(elements)
    request = BrowseRequest(
        model,
        fasta.path if isinstance(fasta, Genome) else fasta,
        scored,
        elements=tuple(map(str, beds)),
        port=port,
        **with_strand(options),
    )
    return Page(request, opens=opens)


def _kind(value: Any) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"


@contextmanager
def _prepared(request: BrowseRequest) -> Iterator[tuple[Any, socket.socket, str]]:
    """Yield the server of a request, the socket on which it listens, and the address of the page."""
    require_extra()
    import uvicorn

    with _bound(request.port) as listening, open_browser(request) as browser:
        port, token = listening.getsockname()[1], new_token()
        jobs = Jobs(lambda query, progress: browser.show(query, progress).data())
        app = make_app(browser, jobs, token, [f"{_LOOPBACK}:{port}", f"localhost:{port}"])
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=1,  # a request that waits for nothing is not waited for
        )
        try:
            yield uvicorn.Server(config), listening, f"http://{_LOOPBACK}:{port}/{token}/"
        finally:
            jobs.close()


def _bound(port: int) -> socket.socket:
    """Return a socket on a port of the loopback address; 0: a free one."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((_LOOPBACK, port))
        made.listen()  # a page that is opened at once waits until the server begins
    except OSError as error:
        made.close()
        reason = (error.strerror or str(error)).lower()
        raise OptionError("port", f"is {port}, which cannot be used ({reason}); give another, or leave it out.") from error
    return made
