"""Detection of files of regions among files of labelled sequences, by their suffix or their first row."""

from __future__ import annotations

import re
from pathlib import Path

from genoformer.formats.bed_columns import is_header
from genoformer.formats.bed_layout import is_comment
from genoformer.formats.text import numbered_lines
from genoformer.genome.digits import WHOLE

SEQUENCE_COLUMNS = ("sequence", "seq")
_SUFFIX = re.compile(r"\.(bed\d*|narrowpeak|broadpeak|gappedpeak|bedgraph|bdg|bg)", re.IGNORECASE)


def has_bed_suffix(path: Path) -> bool:
    """True if a file name is that of a BED file.

    >>> has_bed_suffix(Path("a.bed12.gz")), has_bed_suffix(Path("bed.tsv"))
    (True, False)
    """
    return any(map(_SUFFIX.fullmatch, path.suffixes))


def are_regions(path: Path, kind: str) -> bool:
    """True if the first row is that of a table of regions (START and END, no sequences), with any file name."""
    header: list[str] = []
    for _, line in numbered_lines(path, kind):
        fields = line.split("\t")
        if is_header(fields):
            return not {name.strip().lower() for name in fields} & {*SEQUENCE_COLUMNS}
        if not is_comment(line):
            header = fields
            break
    return any(len(header) > i + 1 and all(map(WHOLE.fullmatch, header[i : i + 2])) for i in (1, 2))
