"""Write tables to files: bgzipped FASTA, GTF, BED, narrowPeak, VCF and TSV, with the same bytes for the same dataset."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pysam
from numpy.typing import NDArray

from genoformer.genome.codes import Codes, decode
from genoformer.simulation.grammar import STATES, Element, Gene, Instance
from genoformer.simulation.variants import Record

LINE = 60  # bases per FASTA line
COLOURS = {  # colours of the combined segmentations of ENCODE (Hoffman et al., NAR 2013)
    "TSS": "255,0,0",
    "PF": "255,105,105",
    "E": "250,202,0",
    "WE": "255,252,4",
    "CTCF": "10,190,254",
    "T": "0,176,80",
    "R": "127,127,127",
}
VCF_HEADER = """\
##fileformat=VCFv4.2
##source=genoformer data simulate
##reference=genome.fa.gz
##FILTER=<ID=PASS,Description="All filters passed">
{contigs}
##INFO=<ID=AF,Number=A,Type=Float,Description="Allele frequency">
##INFO=<ID=TRUTH,Number=A,Type=String,Description="MOTIF_BREAKING or NEUTRAL">
##INFO=<ID=MOTIF,Number=1,Type=String,Description="Motif of the instance that is broken">
##INFO=<ID=BITS,Number=A,Type=Float,Description="Bits that the instance loses, log2 p(ref) - log2 p(alt); 0 if neutral">
##INFO=<ID=ELEMENT,Number=1,Type=String,Description="State of the base at POS: TSS, PF, E, WE, CTCF, T or R">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
"""


@contextmanager
def _bgzip(path: Path) -> Iterator[Any]:
    """Open a bgzip file for writing; turn an error without a number into a full-disk error, which pysam does not report."""
    verbosity = pysam.set_verbosity(0)  # htslib would print a message
    try:
        with pysam.BGZFile(str(path), "wb", None) as file:
            yield file
    except OSError as error:
        if error.errno is not None:
            raise
        raise OSError(errno.ENOSPC, "the file could not be written whole", str(path)) from error
    finally:
        pysam.set_verbosity(verbosity)


def write_fasta(path: Path, contigs: dict[str, tuple[Codes, NDArray[np.bool_]]]) -> None:
    """Write contigs, given as (codes, soft mask), with the .fai and .gzi next to the FASTA."""
    with _bgzip(path) as handle:
        for name, (codes, soft) in contigs.items():
            text = np.frombuffer(decode(codes).encode(), dtype=np.uint8) | np.where(soft, 32, 0).astype(np.uint8)
            whole = len(text) // LINE * LINE
            lines = np.full((whole // LINE, LINE + 1), ord("\n"), dtype=np.uint8)
            lines[:, :LINE] = text[:whole].reshape(-1, LINE)
            rest = text[whole:].tobytes()
            handle.write(f">{name}\n".encode() + lines.tobytes() + (rest + b"\n" if rest else b""))
    pysam.faidx(str(path))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    with _bgzip(path) as handle:
        handle.write("".join(f"{line}\n" for line in lines).encode())


def write_vcf(path: Path, lengths: dict[str, int], records: Iterable[Record]) -> None:
    """Write the records as a bgzipped VCF, with the .tbi next to it."""
    contigs = "\n".join(f"##contig=<ID={name},length={length}>" for name, length in lengths.items())
    rows = (_vcf_line(record) for record in records)
    write_lines(path, [VCF_HEADER.format(contigs=contigs).rstrip("\n"), *rows])
    pysam.tabix_index(str(path), preset="vcf")


def gtf_lines(genes: Iterable[Gene]) -> Iterator[str]:
    """Yield GTF rows in Ensembl's style: 1-based, exons in transcription order, the stop codon outside the CDS."""
    for gene in genes:
        gene_id = f'gene_id "{gene.name}"; gene_name "{gene.name}"; gene_biotype "protein_coding";'
        ids = f'{gene_id} transcript_id "{gene.name}.1"; transcript_biotype "protein_coding";'
        yield _gtf_line(gene, "gene", (gene.start, gene.end), gene_id)
        yield _gtf_line(gene, "transcript", (gene.start, gene.end), ids)
        coding = gene.coding()
        n_seen = 0
        exons = gene.exons if gene.strand == "+" else gene.exons[::-1]
        for k, exon in enumerate(exons, 1):
            numbered = f'{ids} exon_number "{k}";'
            yield _gtf_line(gene, "exon", exon, f'{numbered} exon_id "{gene.name}.1.{k}";')
            in_exon = _clip(exon, (int(coding[:-3].min()), int(coding[:-3].max()) + 1))
            if in_exon:
                protein = f'{numbered} protein_id "{gene.name}.P";'
                yield _gtf_line(gene, "CDS", in_exon, protein, str(-n_seen % 3))
                n_seen += in_exon[1] - in_exon[0]
            for feature, codon in (("start_codon", coding[:3]), ("stop_codon", coding[-3:])):
                if exon[0] <= codon[0] < exon[1]:
                    yield _gtf_line(gene, feature, (int(codon.min()), int(codon.max()) + 1), numbered, "0")
        for feature, span in zip(_utr_names(gene.strand), (gene.cds[0], gene.cds[1]), strict=True):
            side = (gene.start, span) if span == gene.cds[0] else (span, gene.end)
            yield from (_gtf_line(gene, feature, utr, ids) for exon in exons if (utr := _clip(exon, side)))


def peak_lines(elements: Iterable[Element], instances: Iterable[Instance], rng: np.random.Generator) -> Iterator[str]:
    """Yield narrowPeak rows, one per element; the signal is the bits of its instances times log-normal noise of 20 %.

    The summit is the mean of the instances' middles, weighted by bits. p and q values are -1, which means not assigned.
    """
    bits: dict[str, float] = {}
    moment: dict[str, float] = {}
    for i in instances:
        bits[i.element] = bits.get(i.element, 0.0) + i.bits
        moment[i.element] = moment.get(i.element, 0.0) + i.bits * (i.start + i.end) / 2
    for e in elements:
        signal = bits[e.name] * float(np.exp(rng.normal(0, 0.2)))
        score = min(1000, round(5 * signal))
        summit = int(moment[e.name] / bits[e.name]) - e.start
        yield f"{e.contig}\t{e.start}\t{e.end}\t{e.name}\t{score}\t.\t{signal:.3f}\t-1\t-1\t{summit}"


def state_lines(contig: str, states: NDArray[np.uint8]) -> Iterator[str]:
    """Yield BED9 rows, one per run of one state."""
    edges = np.flatnonzero(np.diff(states)) + 1
    for start, end in zip([0, *edges.tolist()], [*edges.tolist(), len(states)], strict=True):
        state = STATES[states[start]]
        yield f"{contig}\t{start}\t{end}\t{state}\t1000\t.\t{start}\t{end}\t{COLOURS[state]}"


def instance_lines(instances: Iterable[Instance]) -> Iterator[str]:
    """Yield BED6 rows (score: bits, rounded), followed by the bits with four decimals and the element."""
    for i in instances:
        score = max(0, round(i.bits))
        yield f"{i.contig}\t{i.start}\t{i.end}\t{i.motif}\t{score}\t{i.strand}\t{i.bits:.4f}\t{i.element}"


def truth_lines(records: Iterable[Record]) -> Iterator[str]:
    yield "chrom\tpos\tref\talt\ttruth\tmotif\tbits\telement"
    for r in records:
        for alt, truth, bits in zip(r.alts, r.truths, r.bits, strict=True):
            yield f"{r.contig}\t{r.pos}\t{r.ref}\t{alt}\t{truth}\t{r.motif}\t{bits:.4f}\t{r.state}"


def _vcf_line(r: Record) -> str:
    info = [f"AF={','.join(f'{af:.6g}' for af in r.afs)}", f"TRUTH={','.join(r.truths)}"]
    if r.motif != ".":
        info.append(f"MOTIF={r.motif}")
    info += [f"BITS={','.join(f'{bits:.4f}' for bits in r.bits)}", f"ELEMENT={r.state}"]
    return f"{r.contig}\t{r.pos}\t.\t{r.ref}\t{','.join(r.alts)}\t.\tPASS\t{';'.join(info)}"


def _gtf_line(gene: Gene, feature: str, span: tuple[int, int], attributes: str, frame: str = ".") -> str:
    where = f"{gene.contig}\tsimulated\t{feature}\t{span[0] + 1}\t{span[1]}"
    return f"{where}\t.\t{gene.strand}\t{frame}\t{attributes}"


def _utr_names(strand: str) -> tuple[str, str]:
    """Return the names of the UTR to the left and to the right of the coding bases."""
    names = ("five_prime_utr", "three_prime_utr")
    return names if strand == "+" else names[::-1]


def _clip(span: tuple[int, int], to: tuple[int, int]) -> tuple[int, int] | None:
    start, end = max(span[0], to[0]), min(span[1], to[1])
    return (start, end) if start < end else None
