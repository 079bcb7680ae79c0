"""AfterTower: embeddings of edited copies equal those of whole outputs with the changed rows in them."""

from __future__ import annotations

import pytest
import torch
from borzoi_models import KINDS, small_borzoi

from genoformer.models.base import Bins
from genoformer.models.borzoi.after_tower import AfterTower, shares_first_block, stage_image
from genoformer.models.borzoi.tiled_tower import Rows

N_UNITS = 30


def outputs_of(model) -> list[torch.Tensor]:
    """Random outputs of a tower: the stages that the decoder reads, the finest first, and the input of the transformer."""
    widths, n = model.config.widths, model.config.n_upsamples
    stages = [torch.randn(N_UNITS << (n - i), width) for i, width in enumerate(widths[-n:])]
    return [*stages, torch.randn(N_UNITS, widths[-1])]


def edit_at(outputs: list[torch.Tensor], first: int, n: int) -> list[Rows]:
    """Other rows of n bins of the transformer, and a row more at each side of the finer stages."""
    patches = []
    for x in outputs:
        size = len(x) // N_UNITS
        start, end = max(0, first * size - (size > 1)), min(len(x), (first + n) * size + (size > 1))
        patches.append(Rows(start, 3 * torch.randn(end - start, x.shape[1])))
    return patches


def naive(model, outputs: list[torch.Tensor], patches: list[list[Rows]], bins: Bins) -> torch.Tensor:
    copies = [x.clone() for x in outputs]
    for edit in patches:
        for x, rows in zip(copies, edit, strict=True):
            x[rows.start : rows.end] = rows.values
    *stages, last = copies
    x = model.attend(last.T[None], model.units_of(bins, N_UNITS))
    return model.decode(x, [stage_image(stage) for stage in stages], bins)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("edits", [[], [(12, 3)], [(0, 2), (28, 2)], [(3, 20)]])
@torch.inference_mode()
def test_edited_copies_equal_whole_outputs(kind, edits) -> None:
    """All bins, few bins in which the edit lies, and few far from it; the window is left as it was."""
    torch.manual_seed(0)
    model = small_borzoi(kind)
    outputs = outputs_of(model)
    shared = AfterTower(model, outputs)
    per_unit = model.config.unit // model.config.bin_size
    for bins in (Bins(0, N_UNITS * per_unit), Bins(13 * per_unit + 1, 3), Bins(25 * per_unit, 2)):
        patches = [edit_at(outputs, *edit) for edit in edits]
        for of in (patches, []):
            expected = naive(model, outputs, of, bins)
            found = shared.embedding(of, bins)
            assert found.shape == expected.shape
            assert float((found - expected).abs().max() / expected.abs().max()) < 1e-5


def test_the_first_block_is_shared_where_it_is_exact() -> None:
    """Not with rotary positions, in 16 bits, or if it is the last block too."""
    x = torch.zeros(4, 8)
    assert shares_first_block(small_borzoi("borzoi"), x)
    assert not shares_first_block(small_borzoi("borzoi"), x.bfloat16())
    assert not shares_first_block(small_borzoi("flashzoi"), x)
    assert not shares_first_block(small_borzoi("borzoi", n_blocks=1), x)
