"""Files of regions among those of labelled sequences: known by their suffix, or by their first row."""

from __future__ import annotations

import re
from pathlib import Path

from genoformer.genome.bed_columns import is_header
from genoformer.genome.bed_layout import is_comment
from genoformer.genome.digits import WHOLE
from genoformer.genome.lines import numbered_lines

SEQUENCE_COLUMNS = ("sequence", "seq")
_SUFFIX = re.compile(r"\.(bed\d*|narrowpeak|broadpeak|gappedpeak|bedgraph|bdg)", re.IGNORECASE)


def has_bed_suffix(path: Path) -> bool:
    """A file is BED by its name.

    >>> has_bed_suffix(Path("a.bed12.gz")), has_bed_suffix(Path("bed.tsv"))
    (True, False)
    """
    return any(map(_SUFFIX.fullmatch, path.suffixes))


def are_regions(path: Path, kind: str) -> bool:
    """A file is a table of regions by its first row, whatever its name: it has START and END, and no sequences."""
    header: list[str] = []
    for _, line in numbered_lines(path, kind):
        fields = line.split("\t")
        if is_header(fields):
            return not {name.strip().lower() for name in fields} & {*SEQUENCE_COLUMNS}
        if not is_comment(line):
            header = fields
            break
    return any(len(header) > i + 1 and all(map(WHOLE.fullmatch, header[i : i + 2])) for i in (1, 2))
