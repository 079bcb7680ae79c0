"""Model folders besides the weights: where they are, the card, the manifest, the sketch of the training data."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from genoformer.addresses import refuse_address
from genoformer.catalog import pulled_model, read_catalog, shipped
from genoformer.catalog.cards import CARD, CardLines, card_lines
from genoformer.config import current_manifest
from genoformer.errors import CheckpointError
from genoformer.files import atomic_write
from genoformer.genome.codes import Codes
from genoformer.genome.minhash import Sketch
from genoformer.models.base import Model
from genoformer.models.families import READ
from genoformer.models.weights import read_json

SKETCH = "seen.npz"  # a sample of the k-mers of the model's training data
ENSEMBLE = "ensemble.json"  # names the members of a run of several models
_ENOUGH, _MUCH = 20, 0.1  # least number of sampled k-mers, and least fraction of them, for an overlap note


def resolve_model(name: str | Path) -> Path:
    """Return the folder of a model: a path, or the name of a bundled model or of one downloaded from the catalog."""
    refuse_address(name, expected="folder")
    path, names = Path(name), shipped()
    if str(name) in names and not (path / "config.json").is_file():  # a folder of that name may hold other files
        return names[str(name)]
    if path.is_dir():
        return path
    if (pulled := pulled_model(str(name))) is not None:
        return pulled
    if path.is_file():
        raise CheckpointError(f"{path} is a file, and a model is a folder; {READ}.")
    raise CheckpointError(
        f"no model folder {str(name)!r}; give a folder with config.json, or one of: {', '.join(names) or 'none shipped'}; "
        "genoformer models list names more."
    )


def member_names(name: str | Path) -> list[str]:
    """Return the names of the member folders of an ensemble, or an empty list for a single model.

    The folders are in the folder of ensemble.json; a path to another folder is refused.
    """
    path = resolve_model(name) / ENSEMBLE
    if not path.is_file():
        return []
    names = read_json(path).get("members")
    if not isinstance(names, list) or not names:
        raise CheckpointError(f"{path} names no members; copy the whole run again.")
    for name in names:
        if not isinstance(name, str) or name in ("", ".", "..") or Path(name).name != name or "\\" in name:
            raise CheckpointError(f"{path}: member {name!r} is not the name of a folder next to it; give one.")
    return names


def failures(name: str | Path) -> list[str]:
    """Return the reasons why the training run of a model failed its own check; empty if it passed or has no record."""
    try:
        notes = (read_manifest(name) or {}).get("notes")
    except CheckpointError:  # a model can be used without its manifest
        return []
    return [str(note) for note in notes] if isinstance(notes, list) else []


def read_manifest(name: str | Path) -> dict[str, Any] | None:
    """Return the record of a model's data and settings, or None if its folder has none."""
    path = resolve_model(name) / "manifest.json"
    return current_manifest(read_json(path)) if path.is_file() else None


def read_card(name: str | Path) -> str | None:
    """Return the model card in Markdown, for people to read before they use the model, or None if its folder has none."""
    path = resolve_model(name) / CARD
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None


def cautions(name: str | Path, contigs: Collection[str], *, of_variants: bool = True) -> list[str]:
    """Return what the card of a model, or its catalog entry, warns of: another genome, and scores of variants.

    contigs: those of the genome. of_variants: False leaves out the caution on scores of variants. The name is as the user wrote
    it, without the folders above the model.

    >>> cautions("demo", ["chrS1", "chrS2"])
    []
    """
    shown = Path(name).name or str(name)
    return lines_of_card(name).cautions(shown, contigs, of_variants=of_variants)


def lines_of_card(name: str | Path) -> CardLines:
    """Return the lines on use, genome and caution of a model's card, or of its catalog entry."""
    card = read_card(name)
    if card is None and not Path(name).is_dir() and (entry := read_catalog()["models"].get(str(name))) is not None:
        card = entry.card
    return card_lines(card or "")


def card_title(name: str | Path) -> str:
    """Return the first line of a model's card; empty if it has none."""
    card = read_card(name)
    return card.splitlines()[0].lstrip("# ") if card else ""


def copy_notes(name: str | Path, folder: str | Path) -> None:
    """Copy a model's card and the sketch of its training data, if it has them, into another folder."""
    for part in (CARD, SKETCH):
        if (resolve_model(name) / part).is_file():
            with atomic_write(Path(folder) / part) as copy:
                copy.write_bytes((resolve_model(name) / part).read_bytes())


def read_sketch(name: str | Path) -> Sketch | None:
    """Return a sample of the k-mers of a model's training data, or None if its folder has none."""
    path = resolve_model(name) / SKETCH
    return Sketch.load(path) if path.is_file() else None


def training_overlap_note(model: Model, name: str, sequences: Iterable[Codes], data_name: str) -> str | None:
    """Return a note if many k-mers of the sequences are in the model's training data; None if few are, or without a sketch.

    Repeats share k-mers with the whole genome, so an overlap of a few percent is meaningless. If too few k-mers were sampled to
    judge, the note reports the number that was found.
    """
    if model.training_sketch is None:
        return None
    found = model.training_sketch.containment(sequences)
    if found.n_sampled < _ENOUGH and found.n_found:
        return (
            f"{found.n_found} of the {found.n_sampled} sampled {model.training_sketch.k}-mers of {data_name} were in the "
            f"training data of {name}; this sample is too small to estimate the overlap."
        )
    if not found.n_sampled or found.share < _MUCH:
        return None
    return (
        f"{100 * found.share:.0f} % of the {model.training_sketch.k}-mers of {data_name} were in the training data of "
        f"{name} (of {found.n_sampled:,} sampled); its predictions for them do not show how well it predicts new sequence."
    )
