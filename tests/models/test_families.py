"""Families and their layouts: a config.json is asked of the layouts of its model_type, and no other is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest

from genoformer.models import families
from genoformer.models.families import FAMILIES, Family, Layout

CLASSIFIER = {"architectures": ["BertForSequenceClassification"], "hidden_size": 8}
OWN_LAYOUTS = {name: layout for family in FAMILIES.values() for name, layout in family.layouts.items()}
WEIGHTS = "genoformer.models.transformer.weights."
PROGRAM = f"""
import sys
from genoformer.models import registry
print(registry.layout_of(sys.argv[1]), *sorted(name for name in sys.modules if name.startswith({WEIGHTS!r})))
"""


@pytest.mark.parametrize(
    ("config", "layout", "modules"),
    [
        ({"model_type": "bert", "hidden_size": 8}, "dnabert", {"bert"}),
        ({"hidden_size": 8}, "dnabert", {"bert"}),
        ({"model_type": "bert", "hidden_size": 8, "alibi_starting_size": 9}, "dnabert2", {"bert", "mosaic"}),
        ({"model_type": "bert", **CLASSIFIER}, "dnabert-classifier", {"bert", "mosaic"}),
        ({"model_type": "qwen3"}, "decoder-only", {"decoders"}),
    ],
)
def test_a_config_imports_the_layouts_of_its_model_type_alone(
    tmp_path: Path, config: dict[str, Any], layout: str, modules: set[str]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True)
    name, *imported = done.stdout.split()
    assert name == layout
    assert {name.removeprefix(WEIGHTS) for name in imported} - {"classifiers", "huggingface", "vocabularies"} == modules


@pytest.mark.parametrize("name", OWN_LAYOUTS)
def test_a_layout_names_the_model_types_that_it_detects(name: str) -> None:
    """No config.json of another type is detected, so that nothing is lost when the layout is not asked."""
    layout, types = OWN_LAYOUTS[name], {kind for other in OWN_LAYOUTS.values() for kind in other.model_types}
    detect = resolve_name(layout.format).detect
    language = [
        {},
        {"hidden_size": 8},
        {"hidden_size": 8, "pre_layer_norm": True},
        {"alibi_starting_size": 9},
        {"flashed": True},
        {"family": "hybrid"},
        {"family": "cloze"},
    ]
    more = [*language, *({**fields, **CLASSIFIER} for fields in language), {"model_name": "AlphaGenome", "num_channels": 8}]
    configs = [{"model_type": kind, **fields} for kind in [*sorted(types), "gpt2", None] for fields in more] + more
    assert any(detect(config) for config in configs)
    for config in configs:
        assert layout.may_hold(config) or not detect(config), config


def test_a_layout_without_model_types_is_asked_of_every_config() -> None:
    layout = Layout("package.module:FORMAT")
    assert layout.may_hold({})
    assert layout.may_hold({"model_type": "bert"})
    assert Family("package.module:Model", {"toy": "package.module:FORMAT"}).layouts == {"toy": layout}
    assert not Layout("package.module:FORMAT", ("toy",)).may_hold({"model_type": ["toy"]})


def test_messages_name_the_models_of_every_family() -> None:
    for layout in OWN_LAYOUTS.values():
        assert layout.models in families.READ
    assert families.READ.endswith(", and Enformer as enformer-pytorch has it")
