"""Blocks of records -> field values, in this process or in workers; parts are kept for runs of several processes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genoformer.annotation.motif_changes import MotifAnnotation
from genoformer.annotation.overlap import Annotations, FieldValues
from genoformer.files import atomic_write
from genoformer.formats.vcf_blocks import Block
from genoformer.resume_folder import ResumeFolder


@dataclass(frozen=True)
class AnnotationTask:
    """Field values of the records of a block."""

    annotations: Annotations
    motifs: MotifAnnotation | None = None
    first_of_motifs: int = 0  # number of their first field
    device: str = "cpu"
    threads: int = 1  # of a process

    @contextmanager
    def open(self) -> Iterator[Callable[[Block], list[FieldValues]]]:
        """Yield the function from a block to its field values."""
        yield self._values

    def _values(self, block: Block) -> list[FieldValues]:
        values = list(field_values(self.annotations, block))
        return values if self.motifs is None else values + self.motifs.values(block.text, self.first_of_motifs)


def field_values(annotations: Annotations, block: Block) -> Iterator[FieldValues]:
    """Yield the field values of the records of a block, contig by contig."""
    rows: dict[str, list[NDArray[np.int64]]] = {}
    for name, i, j in block.contigs:
        rows.setdefault(name, []).append(np.arange(i, j))
    for name, runs in rows.items():
        records = np.concatenate(runs)
        yield from annotations.field_values(name, records, block.starts[records], block.ends[records])


class FieldFolder(ResumeFolder):
    """Resume folder with the field values of blocks."""

    ending = ".npz"

    def get(self, i: int) -> list[FieldValues] | None:
        """Return the field values of a block; None if they are missing or damaged."""
        try:
            with self._name(i).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                texts = json.loads(arrays["texts"].tobytes())
                return [
                    FieldValues(first, arrays[f"records_{number}"], of_field) for number, (first, of_field) in enumerate(texts)
                ]
        except (FileNotFoundError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
            return None

    def put(self, i: int, values: list[FieldValues]) -> None:
        """Store the field values of a block."""
        texts = json.dumps([(field.first, field.texts) for field in values]).encode()
        arrays = {f"records_{number}": field.records for number, field in enumerate(values)}
        with atomic_write(self._name(i), durable=True) as part, part.open("wb") as file:
            np.savez(file, texts=np.frombuffer(texts, dtype=np.uint8), **arrays)  # type: ignore[arg-type]
