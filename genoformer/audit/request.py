"""Request to audit a labelled set: a folder or files of its splits -> the splits, in the order train, valid, test."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from genoformer.datasets.region_files import has_bed_suffix
from genoformer.datasets.sequence_rows import LabelledSequences
from genoformer.datasets.sequences import read_sequences
from genoformer.errors import MissingFileError, OptionError
from genoformer.option_checks import check_kind, check_names, check_number

_SPLITS = {  # names of files of a folder -> their place in the order
    "train": 0,
    "training": 0,
    "dev": 1,
    "val": 1,
    "valid": 1,
    "validation": 1,
    "test": 2,
    "testing": 2,
}
_FILE = re.compile(r"(?P<split>\w+)\.(csv|tsv|txt|fa|fasta|fna|bed)(\.gz)?", re.IGNORECASE)


class Split(NamedTuple):
    """Split of a set: its name and its sequences."""

    name: str
    data: LabelledSequences


@dataclass(frozen=True)
class AuditRequest:
    """Request to audit a labelled set; `audit_set` runs it.

    data: the folder of a set, with train, and valid (dev, val) or test, as .csv, .tsv, .fa or .bed; or the files of its splits,
    the training sequences first. fasta: genome of BED files. label: label columns; () finds them. seed: of the folds. n_kmer:
    number of sequences, drawn at random, for the k-mer baseline.

    Raises OptionError for values of another kind.
    """

    data: str | Path | Sequence[str | Path]
    fasta: str | Path | None = None
    label: str | Sequence[str] = ()
    seed: int = 0
    n_kmer: int = 20_000

    def __post_init__(self) -> None:
        check_names("data", self.data, "the folder of a set, or the files of its splits")
        check_kind("fasta", self.fasta, (str, Path), "a path")
        check_names("label", self.label, "names of columns")
        check_number("seed", self.seed, 0)
        check_number("n_kmer", self.n_kmer, 100, "sequences")
        if not self.paths:
            raise OptionError("data", "is empty, expected the folder of a set, or the files of its splits; name them.")

    @property
    def paths(self) -> list[Path]:
        """Folder or files."""
        return [Path(self.data)] if isinstance(self.data, str | Path) else [Path(path) for path in self.data]

    def files(self) -> dict[str, Path]:
        """Return the file of each split by name, the training sequences first.

        Raises MissingFileError for a folder without such files and for a file that does not exist.
        """
        paths = self.paths
        if len(paths) == 1 and paths[0].is_dir():
            return _files_of(paths[0])
        for path in paths:
            if not path.is_file():
                raise MissingFileError(f"{path} is no file; give the folder of a set, or the files of its splits.")
        stems = [path.name.partition(".")[0] for path in paths]
        names = stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
        return dict(zip(names, paths, strict=True))

    def read(self, on_note: Callable[[str], None]) -> list[Split]:
        """Read the splits; on_note receives the notes of the readers, with the name of the split."""
        columns = [self.label] if isinstance(self.label, str) else list(self.label) or None
        splits = []
        for name, path in self.files().items():
            data = read_sequences(path, fasta=self.fasta if has_bed_suffix(path) else None, label=columns)
            for note in data.notes:
                on_note(f"{name}: {note}")
            splits.append(Split(name, data))
        return splits


def _files_of(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        match = _FILE.fullmatch(path.name)
        if match and match["split"].lower() in _SPLITS:
            name = match["split"].lower()
            if name in found:
                raise OptionError(
                    "data", f"is {folder}, found {found[name].name} and {path.name}, expected one of them; name the files."
                )
            found[name] = path
    if not found:
        raise MissingFileError(f"{folder} has no train.csv, train.tsv, train.fa or train.bed; give the files of the splits.")
    return dict(sorted(found.items(), key=lambda item: _SPLITS[item[0]]))
