"""GTF -> transcription start sites, strand-aware."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from genoformer.errors import FileFormatError
from genoformer.genome.contigs import listed
from genoformer.genome.lines import numbered_lines
from genoformer.genome.regions import DIGITS, Region

_ATTRIBUTE = re.compile(r'\s*(\S+)\s+(?:"([^"]*)"|([^;"\s]+))\s*;?')
_NAMES = {"transcript": ("transcript_id", "transcript_name"), "gene": ("gene_name", "gene_id")}


def read_tss(path: str | os.PathLike[str], feature: str | None = None) -> Iterator[Region]:
    """The transcription start site of each transcript or gene of a GTF, as a region of one base; streamed.

    On the + strand it is the first base of the line's interval, on the - strand the last one. Its name is the
    transcript_id of a transcript, the gene_name (or gene_id) of a gene.

    Parameters: feature, "transcript" or "gene"; None is transcripts, or genes where the file has no transcript lines.

    Raises: MissingFileError; FileFormatError with the line number, or if the file has no line of that feature.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     gtf = pathlib.Path(folder, "a.gtf")
    ...     _ = gtf.write_text('chr1\\tx\\tgene\\t101\\t200\\t.\\t-\\t.\\tgene_id "G1"; gene_name "ABC";\\n')
    ...     next(read_tss(gtf))[:6]
    ('chr1', 199, 200, 'ABC', '', '-')
    """
    if feature not in (None, *_NAMES):
        raise ValueError(f"feature is {feature!r}; it may be transcript, gene or None.")
    path = Path(path)
    others: Counter[str] = Counter()
    wanted = feature or "transcript"
    n_found = 0
    for number, fields in gtf_rows(path):
        others[fields[2]] += 1
        if fields[2] == wanted:
            n_found += 1
            yield _site(fields, f"{path}, line {number}", number)
    if n_found:
        return
    if feature is None and others["gene"]:
        yield from read_tss(path, "gene")
        return
    raise FileFormatError(
        f"{path} has no {feature or 'transcript or gene'} lines (column 3 holds {listed(others)}); give a GTF with them."
    )


def gtf_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The line number and the nine columns of each line of a GTF; FileFormatError for lines that are none."""
    for number, line in numbered_lines(path, "a GTF file"):
        if line.startswith("#") or not line.strip():
            continue
        fields = line.split("\t")
        if len(fields) != 9 or not all(text.isdecimal() and len(text) <= DIGITS for text in fields[3:5]):
            raise FileFormatError(
                f"{path}, line {number}: GTF has nine columns with START and END in the fourth and fifth, "
                "tab-separated; mend the line."
            )
        if not 1 <= int(fields[3]) <= int(fields[4]):
            raise FileFormatError(
                f"{path}, line {number}: START {fields[3]} and END {fields[4]} are no 1-based interval; mend the line."
            )
        yield number, fields


def attributes_of(text: str) -> dict[str, str]:
    """The last column of a GTF as a table."""
    return {key: quoted or bare for key, quoted, bare in _ATTRIBUTE.findall(text)}


def _site(fields: list[str], where: str, number: int) -> Region:
    if fields[6] not in ("+", "-"):
        raise FileFormatError(f"{where}: the strand, column 7, is {fields[6]!r}; a start site needs + or -.")
    attributes = attributes_of(fields[8])
    name = next((attributes[key] for key in _NAMES[fields[2]] if attributes.get(key)), "")
    tss = int(fields[3]) - 1 if fields[6] == "+" else int(fields[4]) - 1
    score = fields[5] if fields[5] != "." else ""
    return Region(fields[0], tss, tss + 1, name, score, fields[6], tss, number)
