"""docs/figures.md has the call of every function that draws, and no call that does not exist."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import genoformer
from genoformer import plots

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "figures.md").read_text()
NOT_DRAWING = {"as_html", "new_figure", "panel_letter", "plain", "running_mean", "n_rows", "shown_axes", "shown_panels"}
AXES_ONLY = {"coordinates", "allele_coordinates"}  # labels of an axis below another figure


def test_every_call_of_the_page_exists() -> None:
    assert set(re.findall(r"\bplots\.(\w+)", PAGE)) - set(plots.__all__) == set()
    assert set(re.findall(r"\bgf\.(\w+)", PAGE)) - set(genoformer.__all__) == set()


def test_every_function_that_draws_is_in_the_page() -> None:
    functions = {name for name in plots.__all__ if name.islower()} - NOT_DRAWING - AXES_ONLY
    assert [name for name in sorted(functions) if f"plots.{name}" not in PAGE] == []


def test_every_function_that_draws_has_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    gallery = pytest.importorskip("figure_gallery")
    functions = {name for name in plots.__all__ if name.islower()} - NOT_DRAWING - AXES_ONLY - {"information"}
    assert set(gallery.GALLERY) == functions
    assert all(f"plots.{name}" in PAGE for name in gallery.GALLERY)
    assert "<!-- gallery -->" in PAGE
    with Image.open(io.BytesIO(gallery.picture("contacts"))) as image:
        assert image.size == (900, 380)
        assert len(np.unique(np.asarray(image.convert("L")))) > 20
    sys.modules.pop("figure_gallery")
