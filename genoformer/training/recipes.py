"""Recipes: configurations of `finetune` that are part of the package, by name, and the one that fits a training set."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genoformer.errors import OptionError
from genoformer.genome.codes import Codes
from genoformer.genome.wording import counted_with

FEW = 10_000  # sequences; a set with fewer is trained for more epochs, with more regularisation
LENGTHS = (("short", 128), ("middle", 1_024))  # name of a default recipe -> longest sequence in bases; above: "long"


class Recipe(NamedTuple):
    """A recipe by name, and the reason for it if it was chosen automatically."""

    name: str
    reason: str = ""

    @property
    def path(self) -> Path:
        """The TOML file of the recipe."""
        return _folder() / f"{self.name}.toml"

    @property
    def record(self) -> dict[str, str]:
        """The entry of a manifest."""
        return {"name": self.name, **({"reason": self.reason} if self.reason else {})}

    @property
    def note(self) -> str:
        """A sentence on the recipe for the user."""
        reason = f": {self.reason}. Another recipe or a configuration replaces them" if self.reason else ""
        return f"The settings are those of the recipe {self.name}{reason}."


def recipe_names() -> list[str]:
    """Return the names of the recipes.

    >>> "short" in recipe_names()
    True
    """
    return sorted(path.stem for path in _folder().glob("*.toml"))


def recipe_named(name: str) -> Recipe:
    """Return a recipe by name; raise OptionError, with all names, if there is none."""
    if name not in recipe_names():
        raise OptionError("recipe", f"is {name!r}, expected one of {', '.join(recipe_names())}; give one of these.")
    return Recipe(name)


def fitting_recipe(sequences: Sequence[Codes]) -> Recipe:
    """Return the default recipe for training sequences, by their number and by the length that nine of ten do not exceed.

    >>> fitting_recipe([np.zeros(70, np.uint8)] * 20)
    Recipe(name='short-few', reason='20 sequences are fewer than 10,000, and most have 70 bases or less')
    """
    length = int(np.quantile([len(sequence) for sequence in sequences], 0.9, method="lower"))
    size = next((name for name, longest in LENGTHS if length <= longest), "long")
    n = len(sequences)
    few = f"{counted_with(n, 'sequence', 'is', 'are')} fewer than {FEW:,}"
    number = few if n < FEW else f"there are {n:,} sequences"
    return Recipe(size + "-few" * (n < FEW), f"{number}, and most have {length:,} bases or less")


def _folder() -> Path:
    return Path(str(files("genoformer_data"))) / "recipes"
