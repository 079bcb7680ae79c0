"""Counts of records by frequency (common, low, rare) and by element, state and gene part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from genoformer.annotation.frequency import CLASSES, UNKNOWN, frequency_classes, frequency_reader
from genoformer.annotation.overlap import Annotations, FieldValues
from genoformer.errors import ConfigError
from genoformer.formats.vcf_blocks import Block
from genoformer.formats.vcf_text import ENCODING, ERRORS
from genoformer.genome.natural import natural


class Breakdown:
    """Counts of records: annotation -> kind of element -> frequency class; kinds of one annotation may overlap."""

    def __init__(self, af_key: str = "AF") -> None:
        self.counts: dict[str, dict[str, Counter[str]]] = {}
        self.first: dict[str, dict[str, Counter[str]]] = {}  # same, but each record counts only for its first label by position
        self.totals: Counter[str] = Counter()  # records by class
        self._frequency = frequency_reader(af_key)

    @property
    def classes(self) -> list[str]:
        """Frequency classes with records, from common to rare."""
        return [name for name in (*reversed(CLASSES), UNKNOWN) if self.totals[name]]

    def add(self, block: Block, values: Sequence[FieldValues], annotations: Annotations, vcf: str) -> None:
        """Count the records of a block; vcf: name of the file in error messages."""
        classes = frequency_classes(read_frequencies(block, np.arange(len(block.starts)), self._frequency, vcf))
        self.totals.update(classes)
        labelled = {field.name for field in annotations.elements if field.labels}
        for field in values:
            name = annotations.keys[field.first]
            if name not in labelled and name != "GF_PART":
                if not name.startswith("GF_TSS"):
                    records = np.unique(field.records).tolist()
                    self._count(name, name).update(classes[i] for i in records)
                continue
            texts = field.texts[0]
            pairs: dict[tuple[int, str], None] = {}
            for record, text in zip(field.records.tolist(), texts, strict=True):
                pairs[record, text] = None
            first = dict(reversed(pairs))
            for record, text in first.items() if name == "GF_PART" else pairs:  # with several genes only the first part counts
                self._count(name, text)[classes[record]] += 1
            for record, text in first.items():
                self.first.setdefault(name, {}).setdefault(text, Counter())[classes[record]] += 1

    def _count(self, name: str, kind: str) -> Counter[str]:
        return self.counts.setdefault(name, {}).setdefault(kind, Counter())

    def rows(self) -> list[tuple[str, str, str, int, int]]:
        """Return the table rows (annotation, kind, class, overlapping records, all records of the class)."""
        return [
            (name, kind, of, counts[of], self.totals[of])
            for name, kinds in self.counts.items()
            for kind, counts in sorted(kinds.items(), key=lambda item: natural(item[0]))
            for of in self.classes
        ]


def read_frequencies(block: Block, rows: NDArray[np.int64], read: Callable[[str], float], vcf: str) -> NDArray[np.float64]:
    """Return the frequency of each record, parsed from INFO by `read`; ConfigError with the line of an invalid one."""
    frequencies = np.empty(len(rows))
    for i, row in enumerate(rows.tolist()):
        try:
            frequencies[i] = read(info_of_record(block, row))
        except ConfigError as error:
            raise ConfigError(f"{vcf}, line {block.number + row}: {error}") from None
    return frequencies


def info_of_record(block: Block, i: int) -> str:
    """Return INFO of a record."""
    end = int(block.info[i])
    if end < 0:
        return ""
    begin = block.text.rfind(b"\t", 0, end) + 1
    return block.text[begin:end].decode(ENCODING, ERRORS)
