"""Tables and manifest of a labelled dataset: written together, and compared with a set that is in the folder already."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genoformer import __version__
from genoformer.datasets.leakage import Leakage
from genoformer.datasets.request import MANIFEST, SPLITS, DatasetRequest
from genoformer.datasets.sites import Site
from genoformer.errors import ConfigError, MissingFileError
from genoformer.files import atomic_write, check_overwrite, make_folder, sha256_of
from genoformer.genome.codes import Codes, decode

TABLES = tuple(f"{split}.tsv" for split in SPLITS)
COLUMNS = ("sequence", "label", "chrom", "start", "end", "strand", "name")
KIND = "labelled windows"

Windows = list[tuple[Site, Codes]]


@dataclass
class BuildSummary:
    """Results of `build`.

    counts[split][class]; gc[split][class], mean GC fraction; dropped[class][reason]; leakage["train, test"], leakage from train
    into test; notes, sentences.
    """

    out: Path
    length: int
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    gc: dict[str, dict[str, float]] = field(default_factory=dict)
    dropped: dict[str, dict[str, int]] = field(default_factory=dict)
    leakage: dict[str, Leakage] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def refuse_other_set(request: DatasetRequest) -> None:
    """Raise ConfigError if the folder holds a set that this request would not build, or other files of these names."""
    folder, options, inputs = request.folder, json.loads(json.dumps(request.options)), request.inputs
    if changed := _changed(folder, options, inputs):
        raise ConfigError(
            f"{folder} holds a set that was built with other settings or files ({', '.join(changed)}); give those "
            "again, or name another folder."
        )
    check_overwrite(folder, (MANIFEST, *TABLES), MANIFEST, lambda manifest: _is_same(manifest, folder, options, inputs))


def write_dataset(
    request: DatasetRequest, summary: BuildSummary, windows: Mapping[str, Windows], contigs: Sequence[str]
) -> None:
    """Write the tables and the manifest to temporary files, and move them into place together, the manifest last.

    windows: split -> its rows; contigs: names of the contigs of the genome, in order.
    """
    make_folder(summary.out)
    with ExitStack() as parts:
        manifest = parts.enter_context(atomic_write(summary.out / MANIFEST))  # entered first, so written last
        files = {}
        for split, rows in windows.items():
            part = parts.enter_context(atomic_write(summary.out / f"{split}.tsv"))
            _write_table(part, rows, summary.length)
            files[f"{split}.tsv"] = sha256_of(part)
        chroms = {split: {site.chrom for site, _ in rows} for split, rows in windows.items()}
        content = {
            "genoformer": __version__,
            "kind": KIND,
            "options": request.options,
            "contigs": {split: [contig for contig in contigs if contig in chroms[split]] for split in windows},
            "counts": summary.counts,
            "dropped": summary.dropped,
            "gc": summary.gc,
            "leakage": {pair: leakage.as_dict() for pair, leakage in summary.leakage.items()},
            "notes": summary.notes,
            "inputs": {name: {"path": str(path), "sha256": sha256_of(path)} for name, path in request.inputs.items()},
            "files": files,
        }
        manifest.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _write_table(path: Path, rows: Windows, length: int) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(COLUMNS)
        for site, codes in rows:
            end = site.start + length if site.chrom != "." else 0
            name = site.name or f"{site.chrom}:{site.start}-{end}"
            table.writerow((decode(codes), site.label, site.chrom, site.start, end, site.strand, name))


def _changed(folder: Path, options: dict[str, Any], inputs: Mapping[str, Path]) -> list[str]:
    """Return the names of options and inputs that differ from the set in the folder; an empty list without a set."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        before = {name: entry["sha256"] for name, entry in manifest["inputs"].items()}
        if manifest["kind"] != KIND:
            return []
        changed = [name for name in {**options, **manifest["options"]} if options.get(name) != manifest["options"].get(name)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    for path in inputs.values():
        if not path.is_file():
            raise MissingFileError(f"{path} does not exist or is no file; give the file from which to build the set.")
    now = {name: sha256_of(path) for name, path in inputs.items()}
    changed_files = [name for name in dict.fromkeys([*before, *now]) if before.get(name) != now.get(name)]
    if "spans" in changed:  # they follow from length and files, unless given explicitly
        explicit = "length" not in changed and not any(name.startswith("positives") for name in changed_files)
        changed = [name for name in changed if name != "spans"] + ["upstream", "downstream"] * explicit
    return changed + changed_files


def _is_same(manifest: dict[str, Any], folder: Path, options: dict[str, Any], inputs: Mapping[str, Path]) -> bool:
    """True if a manifest without changes (see `_changed`) is from `build` and has the checksums of the tables in its folder."""
    try:
        if manifest["kind"] != KIND or manifest["options"] != options:
            return False
        if manifest["inputs"].keys() != inputs.keys():
            return False
        tables = [name for name in TABLES if (folder / name).exists()]
        return all(manifest["files"].get(name) == sha256_of(folder / name) for name in tables)
    except (KeyError, TypeError, AttributeError):
        return False
