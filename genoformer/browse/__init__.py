"""A local page that predicts regions and variants on request: genome, model -> canvas of tracks, logos, ISM and attention."""

from __future__ import annotations

from genoformer.browse.request import BrowseRequest

__all__ = ["BrowseRequest"]
