"""Shared trunk: the trunk of a stretch of a contig, computed once for all windows in it and for their edited copies.

A convolution of a window pads with zeros beyond its ends, so the outermost positions of each stage differ from those of the
stretch: they are recomputed for each window from its own rows. All other positions are shared. The numbers equal those of
`Trunk` on the window alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from genoformer.errors import ConfigError
from genoformer.models.enformer.tiled_trunk import Edit, Trunk


class SharedTrunk:
    """Activations of a stretch [4, L] of a contig, L a whole number of bins; no flanks beyond the windows are needed."""

    @torch.inference_mode()
    def __init__(self, trunk: Trunk, onehot: Tensor) -> None:
        self.trunk = trunk
        self.stages = trunk.activations(onehot)  # [L, 4] ... [T, C]

    def window(self, first: int, n: int) -> StripWindow:
        """Return the window of n bins from bin `first` of the stretch; raise ConfigError if it is not inside the stretch."""
        n_bins = len(self.stages[-1])
        if first < 0 or n < 1 or first + n > n_bins:
            raise ConfigError(f"bins {first} to {first + n} do not lie in a stretch of {n_bins}; give a longer one.")
        return StripWindow(self, first, n)


class StripWindow:
    """One window of a shared trunk: the output of its trunk, and the outputs after edits."""

    def __init__(self, strip: SharedTrunk, first: int, n: int) -> None:
        self.trunk, self.length = strip.trunk, n * strip.trunk.bin_size
        shared = []
        for x in strip.stages:
            size = len(x) // len(strip.stages[-1])  # positions in a bin
            shared.append(x[first * size : (first + n) * size])
        self.shared = shared  # views; not valid within `margin` of the window's ends

    @cached_property
    def stages(self) -> list[Tensor]:
        """Activations of every stage, as `Trunk.activations` returns them: a copy with this window's own ends."""
        exact = [self.shared[0]]
        left = right = 0  # positions of the stage's input that only this window has
        with torch.inference_mode():
            for stage, rows in zip(self.trunk.stages, self.shared[1:], strict=True):
                x, n = exact[-1], len(rows)
                left = min((left + stage.reach + 1) // 2, n)
                right = min((right + stage.reach + 1) // 2, n)
                rows = rows.clone()
                if left:  # then also right; a kernel of 1 has no padding
                    rows[:left] = stage.between(x, 0, left)
                    rows[n - right :] = stage.between(x, n - right, n)
                exact.append(rows)
        return exact

    @cached_property
    def output(self) -> Tensor:
        """Output of the trunk for the window [T, C]; only positions that differ from the stretch are computed."""
        n = max(1, -(-self.trunk.margin // self.trunk.bin_size))  # bins at each end that only this window has
        near = 2 * n * self.trunk.bin_size  # bases on which these bins depend
        if "stages" in self.__dict__ or self.length < 2 * near:
            return self.stages[-1]
        out = self.shared[-1].clone()
        out[:n] = self.trunk(self.shared[0][:near].T[None])[0, :n]
        out[-n:] = self.trunk(self.shared[0][-near:].T[None])[0, -n:]
        return out

    @torch.inference_mode()
    def edited(self, changes: Sequence[Edit]) -> Tensor:
        """Return the trunk's output [T, C] after edits of one-hot rows; changes are in order, without overlap.

        Raises ConfigError if a change is not inside the window.
        """
        end = 0
        for change in changes:
            if change.start < end or not len(change.rows) or change.start + len(change.rows) > self.length:
                raise ConfigError(
                    f"a change of the bases {change.start} to {change.start + len(change.rows)} does not lie in the window of "
                    f"{self.length} bases, or overlaps the one before it; cut or join them."
                )
            end = change.start + len(change.rows)
        out = self.output.clone()
        far = 2 * (self.trunk.margin + self.trunk.bin_size)
        for group in _group_edits(changes, far):
            first, last = group[0], group[-1]
            end = last.start + len(last.rows)
            rows = self.shared[0][first.start : end].clone()
            for change in group:
                rows[change.start - first.start : change.start - first.start + len(change.rows)] = change.rows
            inside = far <= first.start and end + far <= self.length
            patch = self.trunk.apply_edit(self.shared if inside else self.stages, Edit(first.start, rows))
            out[patch.start : patch.start + len(patch.rows)] = patch.rows
        return out


def _group_edits(changes: Sequence[Edit], gap: int) -> list[list[Edit]]:
    """Group changes that are less than `gap` bases apart, because they can reach the same bin."""
    groups: list[list[Edit]] = []
    end = 0
    for change in changes:
        if groups and change.start - end < gap:
            groups[-1].append(change)
        else:
            groups.append([change])
        end = change.start + len(change.rows)
    return groups
