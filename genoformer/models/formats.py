"""Foreign layouts of model folders, declared as tables: names of tensors and fields of configurations, both ways.

A name is a template: "bert.encoder.layer.{}.output.dense" stands for the weight and the bias of this module in every layer.
"{+1}" on our side stands for the next number, and NAME for a name that both sides share.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genoformer.errors import CheckpointError
from genoformer.models.base import Model
from genoformer.models.shards import read_weights, weights_path, weights_sha256
from genoformer.models.weights import WEIGHTS, check_size, empty_model, load_checked, write_tensors

_NUMBER = re.compile(r"\{([+-]\d+)?\}")


class NameMap(NamedTuple):
    """Names of the tensors of a foreign layout and ours, both ways."""

    rename: Mapping[str, str]  # their template -> our template, of a tensor or of a module with its tensors
    fuse: Mapping[str, tuple[str, ...]] = {}  # our module -> their modules, concatenated along the first dimension
    tied: Mapping[str, str] = {}  # their tensor -> the one that it equals unless it is in the file; not written while tied
    copies: Mapping[str, str] = {}  # their module -> another name under which they store it too; both must be equal
    suffixes: Mapping[str, str] = {}  # suffixes of older files -> today's
    axes: Mapping[str, tuple[Any, ...]] = {}  # suffix of our names -> index that gives their shape, with sides of length 1
    swapped: tuple[str, ...] = ()  # suffixes of our names of tensors whose last two sides are in the other order
    ignore_others: bool = False  # True: tensors without a name of ours are left out; False: they are refused

    def ours(self, name: str) -> str | None:
        """Return our name of one of their tensors, or None."""
        return _translated(name, self.rename)

    def read(self, tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
        """Return their tensors under our names; raise CheckpointError if two copies differ.

        The dictionary is emptied: the parts of a fused tensor are freed as soon as it is made.
        """
        renamed = {_with_suffix(name, self.suffixes): tensor for name, tensor in tensors.items()}
        tensors.clear()
        theirs = self._without_copies(renamed, path)
        renamed.clear()
        for copy, original in self.tied.items():
            if original in theirs:
                theirs.setdefault(copy, theirs[original])
        named = {}
        fused: dict[str, dict[str, Tensor]] = {}
        for name in list(theirs):
            our_name = self.ours(name)
            if our_name is not None:
                named[our_name] = theirs.pop(name)
            elif (part := self._part(name)) is not None:
                fused.setdefault(part[0], {})[part[1]] = theirs.pop(name)
            elif not self.ignore_others:
                named[name] = theirs.pop(name)  # refused where the model is filled
        for name in named:
            if name.endswith(self.swapped):
                named[name] = named[name].mT.contiguous()
        for whole, parts in fused.items():
            names = [name for _, name in self._parts_of(whole)]
            if all(name in parts for name in names):
                named[whole] = torch.cat([parts.pop(name) for name in names])
        return named

    def write(
        self,
        tensors: Mapping[str, Tensor],
        buffers: frozenset[str] = frozenset(),
        sizes: Mapping[str, tuple[int, ...]] = {},
    ) -> dict[str, Tensor]:
        """Return our tensors under their names; buffers are stored under both names of a copy.

        sizes: suffix of the name of a module of ours -> rows of the modules of theirs that are fused in it; by default equal.
        """
        back = {ours: theirs for theirs, ours in self.rename.items()}
        named: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            parts = self._parts_of(name)
            if parts:
                rows = next((n for suffix, n in sizes.items() if name.rpartition(".")[0].endswith(suffix)), None)
                pieces = tensor.chunk(len(parts)) if rows is None else tensor.split(list(rows))
                for (_, theirs), piece in zip(parts, pieces, strict=True):
                    named[theirs] = piece.contiguous()
                continue
            theirs_name = _translated(name, back, backward=True)
            if theirs_name is None or self._is_tied(theirs_name, tensor, tensors):
                continue
            axes = next((axes for suffix, axes in self.axes.items() if name.endswith(suffix)), None)
            ordered = tensor.mT if name.endswith(self.swapped) else tensor
            named[theirs_name] = ordered if axes is None else ordered[axes]
            if name in buffers:
                for short, long in self.copies.items():
                    if theirs_name.startswith(f"{short}."):
                        named[long + theirs_name.removeprefix(short)] = named[theirs_name].clone()
        return named

    def _without_copies(self, tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
        """Return each tensor under its first name; raise CheckpointError if its two copies differ."""
        named = {name: t for name, t in tensors.items() if not any(name.startswith(f"{c}.") for c in self.copies.values())}
        for short, long in self.copies.items():
            for name in [name for name in tensors if name.startswith(f"{long}.")]:
                first = short + name.removeprefix(long)
                if not torch.equal(named.setdefault(first, tensors[name]), tensors[name]):
                    raise CheckpointError(
                        f"{path}: {first} and {name} should be the same tensor and differ; the file was put together "
                        "from two models, save it again from one."
                    )
        return named

    def _is_tied(self, name: str, tensor: Tensor, tensors: Mapping[str, Tensor]) -> bool:
        """True if a tensor of this name of theirs is the same as its original, in memory."""
        original = self.ours(self.tied[name]) if name in self.tied else None
        return original in tensors and tensors[str(original)].data_ptr() == tensor.data_ptr()

    def _part(self, name: str) -> tuple[str, str] | None:
        """Return our tensor that one of their tensors is a part of, and its own name; None if it is not part of one."""
        for whole, parts in self.fuse.items():
            for part in parts:
                if (ours := _translated(name, {part: whole})) is not None:
                    return ours, name
        return None

    def _parts_of(self, name: str) -> list[tuple[str, str]]:
        """Return the names of their tensors that one of ours is fused from, in order: (template, name)."""
        for whole, parts in self.fuse.items():
            names = [(part, _translated(name, {whole: part})) for part in parts]
            if all(named is not None for _, named in names):
                return [(part, str(named)) for part, named in names]
        return []


def _with_suffix(name: str, suffixes: Mapping[str, str]) -> str:
    """Return a name with today's suffix in place of one of an older file."""
    for old, new in suffixes.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _translated(name: str, table: Mapping[str, str], *, backward: bool = False) -> str | None:
    """Return a name by the first template that fits; the rest after a module's name (".weight") is kept."""
    for template, other in table.items():
        match = re.fullmatch(_pattern(template), name)
        if match is None:
            continue
        shifts = [int(shift or 0) for shift in _NUMBER.findall(template if backward else other)]
        numbers = [int(text) for text in match.groups()[: len(shifts)]]
        shifted = [n - s if backward else n + s for n, s in zip(numbers, shifts, strict=True)]
        if any(n < 0 for n in shifted):
            continue
        named = other.replace("NAME", match.groupdict().get("name") or "NAME")
        for n in shifted:
            named = _NUMBER.sub(str(n), named, count=1)
        return named + (match["rest"] or "")
    return None


@lru_cache(maxsize=1024)
def _pattern(template: str) -> re.Pattern[str]:
    pieces = _NUMBER.split(template)[::2]
    text = r"(\d+)".join(re.escape(piece) for piece in pieces).replace("NAME", r"(?P<name>[^.]+)")
    return re.compile(text + r"(?P<rest>\.[^.]+)?")


class WeightFormat(NamedTuple):
    """A foreign layout of model folders, for one family of models."""

    detect: Callable[[dict[str, Any]], bool]  # True if a config.json has this layout
    to_config: Callable[[dict[str, Any], Path, Mapping[str, Tensor]], Any]  # config.json, folder, our tensors -> our config
    from_config: Callable[[Any], dict[str, Any]]  # model -> config.json; raises ConfigError if the layout cannot hold it
    names: NameMap
    check: Callable[[dict[str, Tensor], Path, dict[str, Any]], dict[str, Tensor]] | None = None  # their tensors, as they are
    read_assets: Callable[[Any, Path], None] | None = None  # model, folder: sets the tokenizer
    write_assets: Callable[[Any, Path], None] | None = None
    in_transformers: Callable[[Any], bool] | None = None  # configuration of the encoder: a class of transformers computes it


def read_foreign(layout: WeightFormat, kind: type[Any], folder: Path, config: dict[str, Any]) -> Any:
    """Load a folder in a foreign layout into a model of class `kind`."""
    layout.to_config(config, folder, {})  # a configuration that does not fit is refused before the weights are read
    path = weights_path(folder)
    tensors = read_weights(path)
    if layout.check is not None:
        tensors = layout.check(tensors, path, config)  # may be another dictionary
    named = layout.names.read(tensors, path)
    shape = layout.to_config(config, folder, named)
    check_size(shape, named, path)
    model = empty_model(kind, shape)
    if layout.read_assets is not None:
        layout.read_assets(model, folder)
    own = model.state_dict()
    for copy in layout.names.tied:  # of a decoder that this model does not have
        if (name := layout.names.ours(copy)) not in own:
            named.pop(str(name), None)
    for name in own.keys() & named.keys():
        named[name] = _reshaped(named[name], own[name])
    return load_checked(model, named, path, weights_sha256(path))


def write_foreign(layout: WeightFormat, model: Model, folder: Path, dtype: torch.dtype) -> dict[str, Any]:
    """Write the weights and other files of a foreign layout, and return config.json."""
    config = layout.from_config(model)
    if layout.write_assets is not None:
        layout.write_assets(model, folder)
    buffers = frozenset(name for name, _ in model.named_buffers())
    write_tensors(folder / WEIGHTS, layout.names.write(model.state_dict(), buffers, model.fused_rows), dtype)
    return config


def _reshaped(tensor: Tensor, own: Tensor) -> Tensor:
    """Reshape a tensor to our shape if only sides of length 1 differ."""
    same = [n for n in tensor.shape if n != 1] == [n for n in own.shape if n != 1]
    return tensor.reshape(own.shape) if same else tensor
