"""Pages in notebooks: a local page of a model that predicts regions and variants on request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from genoformer.api.inputs import Fasta
from genoformer.option_checks import names_unknown_options

if TYPE_CHECKING:
    from genoformer.browse.server import Page


@names_unknown_options("browse")
def browse(
    model: str | Path | None = None,
    fasta: Fasta | None = None,
    scored: str | Path | None = None,
    *,
    port: int = 0,
    open: bool = False,
    **options: Any,
) -> Page:
    """Serve a page that shows tracks, both alleles, ISM and attention of regions and variants, as `genoformer browse`.

    model: its name or folder. fasta: genome. scored: output of `genoformer score`, whose strongest variants the page lists.
    port: of the page on this machine; 0: a free one. open: True opens the page in the default browser. options: those of the
    command: gtf, elements (BED files, or NAME=FILE), targets, head, strand, scale, contexts, top and device; see
    `browse.request.BrowseRequest`. Needs the extra "browse".

    The call returns at once, and a thread serves the page: `.url` is its address, which only this machine can open, `.stop()`
    ends it, as does the end of a `with` block or of the process.

    Raises: MissingExtraError without the extra, OptionError for a port that is in use, and the errors of the files.

    >>> from importlib.resources import files
    >>> fasta = files("genoformer_data") / "demo" / "genome.fa.gz"
    >>> with browse("demo", fasta) as page:
    ...     page.url.startswith("http://127.0.0.1:"), page.is_served
    (True, True)
    >>> page
    Page(demo: stopped)
    """
    from genoformer.browse.server import serve_in_thread

    return serve_in_thread(model, fasta, scored, port=port, opens=open, **options)
