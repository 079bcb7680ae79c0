"""Shared by all tests: where the real data lie, and small files made on the spot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def real_data_folder() -> Path | None:
    """`GENOFORMER_TEST_DATA`, else `../shared/data` beside the checkout, else None."""
    named = os.environ.get("GENOFORMER_TEST_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def real_data() -> Path:
    folder = real_data_folder()
    if folder is None:
        pytest.skip("real data not found: set GENOFORMER_TEST_DATA to the folder that holds hg19/, hg38/ ...")
    return folder
