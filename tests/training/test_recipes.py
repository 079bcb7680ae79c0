"""Recipes: all of the package can be read, one fits each training set, and what has no name is refused."""

from __future__ import annotations

import numpy as np
import pytest
from genoformer_cli.finetune import finetune as command

from genoformer.errors import OptionError
from genoformer.models.hybrid.config import HybridConfig
from genoformer.training.config import FinetuneConfig, encoder_family, encoder_fields
from genoformer.training.recipes import Recipe, fitting_recipe, recipe_named, recipe_names

DEFAULTS = {f"{size}{few}" for size in ("short", "middle", "long") for few in ("", "-few")}


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_a_configuration_from_scratch(name: str) -> None:
    config = FinetuneConfig.read(recipe_named(name).path)
    assert (encoder_family(config.model), config.tokenizer) == ("hybrid", {"tokenizer": "base"})
    HybridConfig.from_dict({**encoder_fields(config.model), "n_vocab": 9})
    assert config.finetune.epochs > 1


@pytest.mark.parametrize(
    ("n", "length", "name"),
    [
        (10_000, 128, "short"),
        (9_999, 128, "short-few"),
        (10_000, 129, "middle"),
        (50, 1_024, "middle-few"),
        (20_000, 1_025, "long"),
        (3, 9_000, "long-few"),
    ],
)
def test_the_default_fits_number_and_length(n: int, length: int, name: str) -> None:
    sequence = np.zeros(length, dtype=np.uint8)
    found = fitting_recipe([sequence] * n)
    assert found.name == name
    assert f"{n:,} sequences" in found.reason
    assert f"{length:,} bases" in found.reason
    assert found.path.is_file()
    assert found.record == {"name": name, "reason": found.reason}
    assert found.reason in found.note


def test_one_sequence_is_counted_as_one() -> None:
    assert fitting_recipe([np.zeros(70, dtype=np.uint8)]).reason.startswith("1 sequence is fewer than 10,000")


def test_a_few_long_sequences_do_not_decide() -> None:
    lengths = [100] * 95 + [5_000] * 5
    assert fitting_recipe([np.zeros(n, dtype=np.uint8) for n in lengths]).name == "short-few"


def test_an_unknown_name_is_refused_with_all_names() -> None:
    with pytest.raises(OptionError, match=r"option recipe is 'tiny', expected one of .*middle, middle-few, .*tf_0; give one"):
        recipe_named("tiny")
    assert recipe_named("tf_0").note == "The settings are those of the recipe tf_0."
    assert Recipe("tf_0").record == {"name": "tf_0"}


def test_the_help_names_every_recipe() -> None:
    (option,) = [parameter for parameter in command.params if parameter.name == "recipe"]
    assert option.help is not None  # type: ignore[attr-defined]
    assert set(recipe_names()) <= set(option.help.replace(",", "").split())  # type: ignore[attr-defined]
    assert set(recipe_names()) >= DEFAULTS
