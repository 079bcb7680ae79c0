"""Git LFS pointers are refused; other files and files that cannot be opened are left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from genoformer.errors import CheckpointError, FileFormatError
from genoformer.formats.pointers import refuse_pointer

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


def test_a_pointer_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_text(POINTER)
    with pytest.raises(FileFormatError, match=r"model.safetensors is a Git LFS pointer, .*; run `git lfs pull`"):
        refuse_pointer(path)
    with pytest.raises(CheckpointError, match="is a Git LFS pointer"):
        refuse_pointer(path, CheckpointError)


@pytest.mark.parametrize("content", ["", "version 2\n", "x" + POINTER, POINTER[:20]])
def test_other_files_pass(tmp_path: Path, content: str) -> None:
    (tmp_path / "a").write_text(content)
    refuse_pointer(tmp_path / "a")


def test_what_cannot_be_opened_is_left_to_the_caller(tmp_path: Path) -> None:
    refuse_pointer(tmp_path / "none")
    refuse_pointer(tmp_path)
