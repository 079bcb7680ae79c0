"""A local page that predicts regions and variants on request: genome, model -> canvas of tracks, logos, ISM and attention.

`genoformer.browse(model, fasta)` serves the page: the package can be called.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from genoformer.browse.request import BrowseRequest
from genoformer.genome.reference import Genome
from genoformer.option_checks import names_unknown_options

if TYPE_CHECKING:
    from genoformer.browse.server import Page

__all__ = ["BrowseRequest"]


class _Browse(ModuleType):
    """The package of the page, which serves one when it is called."""

    @names_unknown_options("browse")
    def __call__(
        self,
        model: str | Path | None = None,
        fasta: str | Path | Genome | None = None,
        scored: str | Path | None = None,
        *,
        port: int = 0,
        open: bool = False,
        **options: Any,
    ) -> Page:
        """Serve the page of a model in a thread: see `genoformer.api.pages.browse`."""
        from genoformer.browse.server import serve_in_thread

        return serve_in_thread(model, fasta, scored, port=port, opens=open, **options)

    def __repr__(self) -> str:
        return "<genoformer.browse: call it to serve a page of a model; the package of its parts>"


sys.modules[__name__].__class__ = _Browse
