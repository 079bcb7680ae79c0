"""Refusal, by their first line, of files that are not tables of sequences."""

from __future__ import annotations

from pathlib import Path

from genoformer.errors import FileFormatError

_OTHERS = (  # start of the first line, kind of file, remedy
    (("{", "["), "JSON", "write a CSV with the columns sequence and label (pandas: read_json, to_csv)"),
    (("@",), "FASTQ or SAM", "write a FASTA (seqkit fq2fa), or a CSV with the columns sequence and label"),
    (("LOCUS ", "ID   "), "a GenBank or EMBL file", "write a FASTA (seqret, or Bio.SeqIO.convert)"),
    (("##fileformat=VCF",), "a VCF", "give it to `genoformer score`"),
    (("##gff-version",), "GFF3", "give a BED of its lines with -f, or build a set with `genoformer data build -p`"),
)


def refuse_other_files(path: Path, line: str) -> None:
    """Refuse, with FileFormatError, a file whose first line is not that of a table of sequences.

    >>> refuse_other_files(Path("a.jsonl"), '{"sequence": "ACGT", "label": 1}')
    Traceback (most recent call last):
        ...
    genoformer.errors.FileFormatError: a.jsonl is JSON, but should be a CSV, TSV, FASTA or BED file; write a CSV with ...
    """
    for begins, name, remedy in _OTHERS:
        if line.lstrip().startswith(begins):
            raise FileFormatError(f"{path} is {name}, but should be a CSV, TSV, FASTA or BED file; {remedy}.")
