"""Define the commands of genoformer models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options as shared
from .catalog import catalog_option, json_option, pull_named, pull_options, show_table
from .model_option import model_argument
from .verbosity import Group, print_note


@click.group(cls=Group, short_help="List, download, describe and convert models.")
def models() -> None:
    """List, download, describe and convert models."""


@models.command("list", short_help="List models, and what each is good for.")
@json_option
@catalog_option
def list_models(as_json: bool, catalog: Path | None) -> None:
    """List the bundled models, and the published models that `genoformer models pull` downloads.

    \b
    genoformer models list
    """
    from genoformer.catalog import shipped
    from genoformer.models.folders import card_title

    show_table("models", catalog, as_json, {name: (folder, card_title(folder)) for name, folder in shipped().items()})


@models.command("pull", short_help="Download models of the catalog.")
@pull_options
def pull_models(names: tuple[str, ...], again: bool, source: Path | None, catalog: Path | None) -> None:
    """Download models of the catalog, check them, store them where -m finds them by name, and print their folders.

    Models are kept in $GENOFORMER_CACHE, by default ~/.cache/genoformer. An interrupted download resumes.

    \b
    genoformer models pull dnabert6
    genoformer score in.vcf.gz -f hg38.fa -m dnabert6 -o out.vcf.gz
    """
    pull_named("models", names, again, source, catalog)


@models.command(short_help="Describe a model.")
@model_argument
@click.option("--json", "as_json", is_flag=True, help="Print only JSON, with the card as a field.")
@catalog_option
def info(model: str, as_json: bool, catalog: Path | None) -> None:
    """Describe a model: its card, inputs, outputs, shape, weights and training.

    \b
    genoformer models info mini-human
    """
    import json
    from dataclasses import asdict

    from genoformer.models import cost, folders, registry

    if (entry := _catalog_state(model, catalog)) is not None:
        click.echo(json.dumps(entry, indent=1))
        return
    loaded = registry.load(model)
    card = folders.read_card(model) or _catalog_card(model, catalog)
    shown = {
        "folder": str(folders.resolve_model(model)),
        "layout": registry.layout_of(model),
        "parameters": cost.count_parameters(loaded),
        "sha256": loaded.sha256,
        **({"failed": notes} if (notes := folders.failures(model)) else {}),
        **_reads(loaded),
        "config": asdict(loaded.config),
        "manifest": folders.read_manifest(model),
        **_calibrations(model),
    }
    if as_json:
        shown["card"] = card
    elif card is not None:
        click.echo(card)
    click.echo(json.dumps(shown, indent=1))


def _calibrations(model: str) -> dict[str, Any]:
    """Return what the calibrations in the folder of a model were made from: one alone, or several by file."""
    from genoformer.models import folders
    from genoformer.scoring.calibration import calibrations_in

    known = {path.name: one.about for path, one in calibrations_in(folders.resolve_model(model)).items()}
    if len(known) > 1:
        return {"calibrations": known}
    return {"calibration": next(iter(known.values()))} if known else {}


def _catalog_state(model: str, catalog: Path | None) -> dict[str, Any] | None:
    """Return the catalog's description of a model that is not downloaded yet; None for any other name."""
    from genoformer.catalog import is_here, read_catalog

    from .catalog import described

    entry = read_catalog(catalog)["models"].get(model)
    if entry is None or Path(model).is_dir() or is_here(entry):
        return None
    of = f" --catalog {catalog}" if catalog is not None else ""
    state = entry.by_hand or f"to download: genoformer models pull {model}{of}"
    return {"state": state} | described(entry)


def _catalog_card(model: str, catalog: Path | None) -> str | None:
    """Return the card of a downloaded model of the catalog; None for any other name."""
    from genoformer.catalog import read_catalog

    entry = None if Path(model).is_dir() else read_catalog(catalog)["models"].get(model)
    return None if entry is None else entry.card


def _reads(model: Any) -> dict[str, Any]:
    """Return the tokenizer of a language model, or the window, bins and tracks of a track model."""
    from genoformer.models.base import PredictsPairs, PredictsTracks, has
    from genoformer.models.takes_contexts import TakesContexts

    if not has(model, PredictsTracks):
        return {"tokenizer": {k: v for k, v in model.tokenizer.to_dict().items() if k != "model"}}
    window, heads = model.config.context_length, model.track_heads
    bins = {}
    for name, head in heads.items():
        n_bins = window // head.bin_size
        bins[name] = {"of_bases": head.bin_size, "in_window": n_bins, "predicted": head.target_bins or n_bins}
    first = next(iter(bins.values()))
    same = all(each == first for each in bins.values())
    about = {
        "window": window,
        "bins": first if same else bins,
        "tracks": {name: head.n_tracks for name, head in heads.items()},
    }
    if has(model, PredictsPairs) and model.pair_heads:
        about["pairs"] = {name: head.n_tracks for name, head in model.pair_heads.items()}
    if has(model, TakesContexts):
        config = model.config
        about["contexts"] = {"names": config.contexts, "columns": config.columns, "measurements": config.measurements}
    return about


@models.command(short_help="Write a model in another layout.")
@click.argument("model", type=shared.MODEL)
@click.argument("folder", type=click.Path())
@click.option(
    "--to",
    "--layout",
    "layout",
    metavar="NAME",
    default="genoformer",
    show_default=True,
    help="Layout of the files to write: hf, which transformers reads (that of one of its own classes if one fits, "
    "else that of the classes of genoformer.huggingface); genoformer; or one by name: dnabert, gena-lm, dnabert2, esm, "
    "modernbert, decoder-only, genoformer-hf, each also with -classifier for a fine-tuned model, genoformer-hf-hybrid, "
    "genoformer-hf-cloze, enformer, alphagenome-pt, alphagenome-pytorch, borzoi, flashzoi, borzoi-prime, or one that an "
    "installed package adds.",
)
@click.option("--half", is_flag=True, help="Store the weights in float16.")
@click.option(
    "-t",
    "--targets",
    multiple=True,
    metavar="HEAD=FILE",
    help="Table of a head's tracks to store with the model; predict and score read track names and strand pairs from it. "
    "For AlphaGenome also ORGANISM=FILE.textproto, the metadata of all its heads.",
)
@shared.contexts
def convert(model: str, folder: str, layout: str, half: bool, targets: tuple[str, ...], contexts: str | None) -> None:
    """Write MODEL into FOLDER in another layout: genoformer's, one of transformers, or that of a port of a track model.

    \b
    genoformer models convert mini-human/ for_transformers/ --to hf
    genoformer models convert DNA_bert_6/ my_dnabert6/
    genoformer models convert enformer-official-rough/ my_enformer/ -t human=targets_human.txt \\
        -t mouse=targets_mouse.txt
    genoformer models convert my_enformer/ for_enformer_pytorch/ --layout enformer
    """
    import torch

    from genoformer.errors import ConfigError
    from genoformer.files import check_overwrite
    from genoformer.formats.context_table import open_contexts
    from genoformer.models import cost, export, folders, registry
    from genoformer.models.enformer.weights import basis_note
    from genoformer.models.takes_contexts import with_contexts

    from .output_lock import lock_outputs

    lock_outputs(folder)
    if (Path(folder) / "config.json").exists():
        raise ConfigError(f"{folder} already holds a model; give another folder.")
    check_overwrite(
        Path(folder), ("manifest.json", "tokenizer.json", "vocab.txt", registry.WEIGHTS), "", lambda manifest: False
    )
    loaded = with_contexts(registry.load(model), open_contexts(contexts), model)
    _name_tracks(loaded, targets)
    dtype = torch.float16 if half else torch.float32
    registry.save(loaded, folder, layout=layout, dtype=dtype, manifest=folders.read_manifest(model))
    if layout in ("genoformer", export.HF):
        folders.copy_notes(model, folder)
    layout = registry.layout_of(folder)
    if "enformer" in (layout, registry.layout_of(model)) and (note := basis_note(loaded)):
        print_note(note)
    for note in export.notes(layout, loaded.config, registry.load_config(folder)):
        print_note(f"{folder} {note}")
    click.echo(f"{folder}: {layout} layout, {cost.count_parameters(loaded):,} parameters")


@models.command(short_help="Upload a model folder to the Hugging Face Hub.")
@click.argument("folder", type=shared.MODEL)
@click.argument("repository")
@click.option("--licence", default="", metavar="NAME", help="Licence as the hub spells it; default: that of the card.")
@click.option("--private", is_flag=True, help="Create the repository as a private one.")
@click.option("--dry-run", is_flag=True, help="Print the files and the card, and upload nothing.")
def push(folder: str, repository: str, licence: str, private: bool, dry_run: bool) -> None:
    """Upload the model in FOLDER to REPOSITORY (OWNER/NAME) on the Hugging Face hub, and print its address.

    The token is that of HF_TOKEN or of `hf auth login`. README.md on the hub is the card (card.md) with the licence.

    \b
    genoformer models convert my_promoters/ for_the_hub/ --to hf
    genoformer models push for_the_hub/ me/my-promoters --licence apache-2.0 --dry-run
    """
    from genoformer.catalog.push import PushRequest, plan_push
    from genoformer.catalog.push import push as push_folder
    from genoformer.models import folders, registry

    registry.layout_of(folder)  # refuses a folder that is no model
    request = PushRequest(folders.resolve_model(folder), repository, licence, private)
    if not dry_run:
        click.echo(push_folder(request))
        return
    upload = plan_push(request)
    for name, path in upload.files.items():
        click.echo(f"{name}\t{path.stat().st_size}")
    click.echo(f"README.md\t{len(upload.readme.encode())}\n\n{upload.readme}", nl=False)


def _name_tracks(model: Any, named: tuple[str, ...]) -> None:
    """Give the heads of a track model the tables of HEAD=FILE."""
    from genoformer.errors import ConfigError
    from genoformer.formats.alphagenome_metadata import is_metadata, read_metadata
    from genoformer.formats.track_table import read_targets
    from genoformer.inference.track_prediction import head_tracks
    from genoformer.models.base import PredictsTracks, has
    from genoformer.models.track_model import named_heads

    if not named:
        return
    if not has(model, PredictsTracks):
        raise ConfigError("--targets: only a track model has tracks to name; omit the option.")
    for text in named:
        head, _, path = text.partition("=")
        if not path:
            raise ConfigError(f"--targets {text}: give HEAD=FILE, where HEAD is one of {named_heads(model.track_heads)}.")
        if is_metadata(path):
            model.targets.update(model.tables_of_metadata(model.config, head, read_metadata(path)))
        else:
            model.targets[model.head_named(head)] = head_tracks(model.track_heads, head, read_targets(path))
