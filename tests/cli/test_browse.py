"""genoformer browse without its extra; the page is tested in tests/browse."""

from __future__ import annotations

import sys

import pytest
from commands import assert_refused, run


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_without_the_extra_one_sentence_names_it(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    refused = run("browse", "demo", "-f", "genome.fa")
    assert_refused(refused, "genoformer browse needs starlette and uvicorn, which are not installed; install the extra")
    assert "pip install 'genoformer[browse]'" in refused.stderr
