"""BrowseRequest -> a server on the loopback address of this machine, until it is stopped."""

from __future__ import annotations

import socket
from collections.abc import Callable

from genoformer.browse.app import make_app, new_token, require_extra
from genoformer.browse.jobs import Jobs
from genoformer.browse.request import BrowseRequest
from genoformer.browse.views import open_browser
from genoformer.errors import OptionError

_LOOPBACK = "127.0.0.1"


def serve(request: BrowseRequest, on_ready: Callable[[str], None]) -> None:
    """Open the model and serve the page until Ctrl-C. on_ready: is called with the address of the page.

    Raises MissingExtraError without the packages of the extra, OptionError for a port that is in use, and the errors of
    `opened.open_model`.
    """
    require_extra()
    import uvicorn

    with _bound(request.port) as listening, open_browser(request) as browser:
        port, token = listening.getsockname()[1], new_token()
        jobs = Jobs(lambda query, progress: browser.show(query, progress).data())
        app = make_app(browser, jobs, token, [f"{_LOOPBACK}:{port}", f"localhost:{port}"])
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, lifespan="off")
        try:
            on_ready(f"http://{_LOOPBACK}:{port}/{token}/")
            uvicorn.Server(config).run(sockets=[listening])
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
