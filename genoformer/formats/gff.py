"""GFF3: gene and transcript of a line, by Parent; gene -> transcript -> exon and CDS, or CDS directly under the gene.

Attribute names differ between files: GENCODE has gene_name, Ensembl and RefSeq have Name; ids may begin with gene:, gene-,
transcript: or rna-.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from genoformer.errors import FileFormatError
from genoformer.formats.bed import Region
from genoformer.formats.transcript_exons import is_transcript
from genoformer.genome.contigs import join_names

LEAVES = frozenset(
    {  # kinds of lines that are never a Parent
        "exon",
        "CDS",
        "stop_codon",
        "start_codon",
        "five_prime_UTR",
        "three_prime_UTR",
        "UTR",
        "intron",
        "match",
        "cDNA_match",
        "region",
        "match_part",
        "stop_codon_redefined_as_selenocysteine",
    }
)
_PREFIX = re.compile(r"^(gene|transcript|rna|id|cds)[:-]")
BLANKS = " \t"
_DEEPEST = 20  # largest number of steps from a line to its gene


def attributes_of(text: str) -> dict[str, str]:
    """Return the last column as a dict, values as written (%2C for a comma); the first of duplicate keys counts.

    >>> attributes_of("ID=exon:1;Parent=a,b; Name=x%3By")
    {'ID': 'exon:1', 'Parent': 'a,b', 'Name': 'x%3By'}
    """
    attributes: dict[str, str] = {}
    for part in text.split(";"):
        key, sign, value = part.partition("=")
        if sign and key.strip(BLANKS):
            attributes.setdefault(key.strip(BLANKS), value.strip(BLANKS))
    return attributes


class Node(NamedTuple):
    """Line that may be the Parent of others."""

    kind: str
    parents: tuple[str, ...]
    attributes: Mapping[str, str]


class Family(NamedTuple):
    """Gene and transcript of a line; ids are unique in a file, the name is for display."""

    gene: str
    name: str
    transcript: str
    biotype: str = ""  # of the gene


def parents_of(attributes: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(unquote(part) for part in attributes.get("Parent", "").split(",") if part)


def node_of(kind: str, text: str) -> tuple[str, Node] | None:
    """Return the id and the node of a line, from its kind and attributes; None for a line without ID."""
    attributes = attributes_of(text)
    own = unquote(attributes.get("ID", ""))
    return (own, Node(kind, parents_of(attributes), attributes)) if own else None


BIOTYPES = ("gene_type", "gene_biotype", "biotype")  # of GENCODE, of RefSeq and GTFs of Ensembl, of GFF3s of Ensembl


def biotype_of(attributes: Mapping[str, str]) -> str:
    """Return the biotype of a gene, such as protein_coding; empty if its line has none."""
    return next((attributes[key] for key in BIOTYPES if attributes.get(key)), "")


def is_gene(kind: str) -> bool:
    return kind.lower().endswith("gene")


def family_of(parent: str, nodes: Mapping[str, Node]) -> Family | None:
    """Return the gene and transcript of a line under `parent`; None if the file lacks that line."""
    if parent not in nodes:
        return None
    at, n_steps = parent, 0
    while not is_gene(nodes[at].kind) and n_steps < _DEEPEST:
        above = next((parent for parent in nodes[at].parents if parent in nodes), None)
        if above is None:
            break
        at, n_steps = above, n_steps + 1
    gene = nodes[at]
    if is_gene(gene.kind):
        return Family(at, name_of(at, gene.attributes), parent, biotype_of(gene.attributes))
    own = gene.attributes  # a transcript without a gene
    gene_id = next((unquote(own[key]) for key in ("gene_id", "gene") if own.get(key)), at)
    name = unquote(own.get("gene_name") or own.get("gene") or "") or bare(gene_id)
    return Family(gene_id, name, parent, biotype_of(own))


def own_family(attributes: Mapping[str, str], parent: str) -> Family | None:
    """Return the gene and transcript named in a line's own attributes, for excerpts of files and files without Parent."""
    gene = next((unquote(attributes[key]) for key in ("gene_id", "gene", "locus_tag") if attributes.get(key)), "") or parent
    gene = gene or unquote(attributes.get("ID", ""))
    if not gene:
        return None
    name = unquote(attributes.get("gene_name") or attributes.get("gene") or "") or bare(gene)
    return Family(gene, name, parent or unquote(attributes.get("transcript_id", "")) or gene, biotype_of(attributes))


def families(attributes: Mapping[str, str], nodes: Mapping[str, Node]) -> list[Family]:
    """Return the genes and transcripts of a line, one pair for each Parent."""
    parents = parents_of(attributes)
    candidates = [family_of(parent, nodes) or own_family(attributes, parent) for parent in parents or ("",)]
    return [family for family in candidates if family is not None]


def name_of(own: str, attributes: Mapping[str, str]) -> str:
    """Return the display name of a gene."""
    for key in ("gene_name", "Name", "gene", "locus_tag", "gene_id"):
        if attributes.get(key):
            return unquote(attributes[key])
    return bare(own)


def bare(own: str) -> str:
    """Return an id without gene:, rna- and similar prefixes.

    >>> bare("gene:ENSG01"), bare("rna-NM_1.2"), bare("Gene7")
    ('ENSG01', 'NM_1.2', 'Gene7')
    """
    return _PREFIX.sub("", own)


# --- transcription start sites


def start_sites(path: Path, rows: Iterable[tuple[int, list[str]]], feature: str | None) -> Iterator[Region]:
    """Yield the TSSs of the transcripts or genes of a GFF3; `gtf.read_tss` has the rules."""
    kinds: dict[str, None] = {}
    kept: list[tuple[int, list[str], str]] = []  # line, columns and ID of possible genes and transcripts
    nodes: dict[str, Node] = {}
    direct: set[str] = set()  # ids that have exons or CDS directly under them
    for number, fields in rows:
        kinds.setdefault(fields[2])
        if fields[2] in ("exon", "CDS"):
            direct.update(parents_of(attributes_of(fields[8])))
        elif fields[2] not in LEAVES:
            own, node = node_of(fields[2], fields[8]) or ("", None)
            kept.append((number, fields, own))
            if node is not None:
                nodes.setdefault(own, node)
    genes = [row for row in kept if is_gene(row[1][2])]
    transcripts = [row for row in kept if _is_transcript(row[1], row[2], nodes, direct)]
    chosen = genes if feature == "gene" or (feature is None and not transcripts) else transcripts
    if not chosen:
        raise without_lines(path, feature or "transcript or gene", kinds)
    for number, fields, _ in chosen:
        yield _site(number, fields)


def without_lines(path: Path, wanted: str, kinds: Iterable[str]) -> FileFormatError:
    """Return the error for a GTF or GFF3 that lacks lines of genes; kinds: what its column 3 holds."""
    return FileFormatError(
        f"{path} has no {wanted} lines (column 3 holds {join_names(kinds)}); GTF and GFF3 are read as genes: give one with "
        "these lines, or for regions that are not genes a BED of its lines (columns 1, 4, 5 and 3, 1 subtracted from column 4)."
    )


def _is_transcript(fields: list[str], own: str, nodes: Mapping[str, Node], direct: Collection[str]) -> bool:
    """True if a line is a transcript by its kind, or if it is a gene or below a gene and has exons or CDS directly under it.

    Other lines under a gene (FlyBase has point_mutation, Ensembl's regulatory lines) are not transcripts.
    """
    if is_gene(fields[2]):
        return own in direct
    if is_transcript(fields[2]):
        return True
    parents = parents_of(attributes_of(fields[8]))
    return own in direct and any(is_gene(nodes[parent].kind) for parent in parents if parent in nodes)


def _site(number: int, fields: list[str]) -> Region:
    attributes = attributes_of(fields[8])
    own = unquote(attributes.get("ID", ""))
    if is_gene(fields[2]):
        name = name_of(own, attributes)
    else:
        name = unquote(attributes.get("transcript_id") or "") or bare(own) or unquote(attributes.get("Name", ""))
    return site(fields[0], int(fields[3]) - 1, int(fields[4]), fields[6], name, fields[5], number)


def site(chrom: str, start: int, end: int, strand: str, name: str, score: str, line: int) -> Region:
    """Return the first base of an interval on its strand; an interval without strand has no TSS, and its start is returned."""
    at = end - 1 if strand == "-" else start
    return Region(chrom, at, at + 1, name, score if score != "." else "", strand, at, line)
