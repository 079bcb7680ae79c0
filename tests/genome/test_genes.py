"""Genes of files: biotypes, and which genes code for proteins."""

from __future__ import annotations

from pathlib import Path

import pytest

from genoformer.genome.genes import Genes, read_genes
from genoformer.genome.reference import Genome

GTF = "".join(
    f'c1\tx\texon\t{first}\t{first + 50}\t.\t+\t.\tgene_id "{name}"; {attribute}\n'
    for first, name, attribute in (
        (101, "A", 'gene_type "protein_coding";'),
        (201, "B", 'gene_type "lncRNA";'),
        (301, "C", 'gene_biotype "protein_coding";'),
        (401, "D", ""),
    )
)
GFF = "##gff-version 3\n" + "".join(
    f"c1\tx\tgene\t{first}\t{first + 50}\t.\t+\t.\tID=gene:{name};Name={name};{key}={kind}\n"
    f"c1\tx\tmRNA\t{first}\t{first + 50}\t.\t+\t.\tID=t{name};Parent=gene:{name}\n"
    f"c1\tx\texon\t{first}\t{first + 50}\t.\t+\t.\tParent=t{name}\n"
    for first, name, key, kind in ((101, "A", "biotype", "protein_coding"), (201, "B", "gene_type", "miRNA"))
)


def genes_of(text: str, path: Path) -> Genes:
    fasta = path.parent / "g.fa"
    fasta.write_text(">c1\n" + "ACGT" * 250 + "\n")
    path.write_text(text)
    return read_genes(path, Genome(fasta))


@pytest.mark.parametrize(
    ("text", "name", "coding"),
    [(GTF, "a.gtf", "AC"), (GFF, "a.gff3", "A"), (GTF.replace("gene_type", "x").replace("gene_biotype", "x"), "b.gtf", "ABCD")],
    ids=["GTF", "GFF3", "without biotypes"],
)
def test_genes_that_code_for_proteins(tmp_path, text, name, coding) -> None:
    genes = genes_of(text, tmp_path / name)
    assert "".join(gene.name for gene in genes.over("c1", 0, 1000) if genes.is_coding(gene)) == coding
