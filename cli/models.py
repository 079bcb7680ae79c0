"""genoformer models."""

from __future__ import annotations

import click


@click.group()
def models() -> None:
    """What models there are, what one holds, and other layouts."""


@models.command("list")
def list_models() -> None:
    """The models that ship with genoformer.

    \b
    genoformer models list
    """
    from genoformer.models.checkpoint import shipped

    for name, folder in shipped().items():
        click.echo(f"{name}\t{folder}")


@models.command()
@click.argument("model")
def info(model: str) -> None:
    """What a model is: its shape, tokenizer, weights and how it was made.

    \b
    genoformer models info demo
    """
    import json
    from dataclasses import asdict

    from genoformer.models import checkpoint

    loaded = checkpoint.load(model)
    tokenizer = {k: v for k, v in loaded.tokenizer.to_dict().items() if k != "model"}
    shown = {
        "folder": str(checkpoint.find(model)),
        "parameters": checkpoint.count_parameters(loaded),
        "sha256": loaded.sha256,
        "tokenizer": tokenizer,
        "config": asdict(loaded.config),
        "manifest": checkpoint.read_manifest(model),
    }
    click.echo(json.dumps(shown, indent=1))


@models.command()
@click.argument("model")
@click.argument("folder", type=click.Path())
@click.option("--layout", type=click.Choice(["genoformer", "dnabert"]), default="genoformer", show_default=True)
@click.option("--half", is_flag=True, help="Store the weights in float16.")
def convert(model: str, folder: str, layout: str, half: bool) -> None:
    """Write MODEL into FOLDER in another layout.

    \b
    genoformer models convert DNA_bert_6/ my_dnabert6/
    """
    from pathlib import Path

    import torch

    from genoformer.errors import ConfigError
    from genoformer.models import checkpoint

    if (Path(folder) / "config.json").exists():
        raise ConfigError(f"{folder} holds a model already; name another folder.")
    loaded = checkpoint.load(model)
    dtype = torch.float16 if half else torch.float32
    checkpoint.save(loaded, folder, layout=layout, dtype=dtype, manifest=checkpoint.read_manifest(model))
    click.echo(f"{folder}: {layout} layout, {checkpoint.count_parameters(loaded):,} parameters")
