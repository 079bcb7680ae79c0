"""Whatever bytes a file holds, it is read, or refused in a sentence of ours; nothing is left half written."""

from __future__ import annotations

from pathlib import Path

import pytest
from amounts import examples
from any_bytes import changed, read_or_refuse
from hypothesis import given
from hypothesis import strategies as st

from genoformer import annotation
from genoformer.annotation.elements import read_elements
from genoformer.annotation.genes import read_gene_map, read_sites
from genoformer.annotation.run import annotate_variants
from genoformer.annotation.variant_regions import read_variant_regions
from genoformer.formats.gtf import read_tss

BED = b"chr1\t5\t90\tx\t7\t+\t5\t9\t1,2,3\nchr1\t40\t50\ty\t8\t-\t5\t9\t0\n2\t7\t9\tz,a;b=c%\t.\t.\t5\t9\t0\n"
PEAK = b"chr1\t100\t200\tp1\t900\t.\t7.5\t-1\t3.2\t30\nchr1\t300\t400\t.\t800\t.\t6.5\t-1\t3.1\t-1\n"
GTF = (
    b'1\tx\texon\t5\t90\t.\t+\t.\tgene_id "G"; transcript_id "T"; gene_name "N";\n'
    b'1\tx\tCDS\t9\t30\t.\t+\t0\tgene_id "G"; transcript_id "T";\n1\tx\texon\t95\t99\t.\t-\t.\tgene_id "H";\n'
)
BLOCKS = b"chr1\t5\t90\tx\t7\t+\t5\t90\t0\t2\t9,20,\t0,65,\nchr1\t0\t9\ty\t8\t-\t0\t9\t0\t1\t9\t0\n"
RANGES = b"seqnames\tstart\tend\twidth\tstrand\tname\nchr1\t5\t90\t86\t*\tx\n2\t1\t9\t9\t-\ty\n"
HOMER = b"# HOMER\n#PeakID\tchr\tstart\tend\tstrand\tscore\np1\tchr1\t5\t90\t+\t7\np2\t2\t1\t9\t1\t8\n"
GFF = (
    b"##gff-version 3\n1\tx\tgene\t5\t99\t.\t+\t.\tID=g;Name=N%2C\n1\tx\tmRNA\t5\t90\t.\t+\t.\tID=t;Parent=g\n"
    b"1\tx\texon\t5\t90\t.\t+\t.\tParent=t,g\n1\tx\tCDS\t9\t30\t.\t+\t0\tParent=t\n###\n1\tx\tCDS\t95\t99\t.\t-\t.\tID=c\n"
    b"##FASTA\n>1\nACGT\n"
)
VCF = (
    b"##fileformat=VCFv4.2\n##contig=<ID=1,length=900>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts\n"
    b"1\t5\t.\tA\tC,<DEL>\t.\t.\tAF=0.1,0.2;END=80\tGT\t0|1\n1\t9\t.\tACG\tA\t9\tPASS\t.\tGT\t0/1\n2\t7\trs\tN\t*\t.\t.\tX\tGT\t.\n"
)


@examples(300)
@given(
    content=changed(BED) | changed(PEAK) | changed(BLOCKS) | changed(RANGES) | changed(HOMER),
    name=st.sampled_from(["a.bed", "a.bed", "a.narrowPeak", "a.broadPeak", "a.bed12", "a.bdg"]),
    zipped=st.booleans(),
)
def test_elements(tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str, zipped: bool) -> None:
    folder = tmp_path_factory.mktemp("fuzz")

    def read(path: Path) -> None:
        found = read_elements(path, "X")
        vcf = folder / "v.vcf"
        vcf.write_bytes(VCF)
        for out in ("o.vcf", "o.tsv", "o.parquet"):
            annotate_variants(vcf, annotation.Annotations([found]), folder / out)

    read_or_refuse(read, folder / name, content, zipped)
    assert not list(folder.glob(".*"))


@examples(300)
@given(content=changed(GTF) | changed(GFF), zipped=st.booleans())
def test_genes(tmp_path_factory: pytest.TempPathFactory, content: bytes, zipped: bool) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    read_or_refuse(read_gene_map, folder / "a.gtf", content, zipped)
    read_or_refuse(lambda path: list(read_tss(path)), folder / "b.gtf", content, zipped)


@examples(200)
@given(content=changed(BED), zipped=st.booleans(), trait=st.sampled_from([None, "4", "9"]))
def test_places_and_sites_of_a_bed(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, zipped: bool, trait: str | None
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    read_or_refuse(lambda path: read_variant_regions(path, trait=trait, score_key="5"), folder / "a.bed", content, zipped)
    read_or_refuse(read_sites, folder / "b.bed", content, zipped)


@examples(300)
@given(content=changed(VCF), zipped=st.booleans(), out=st.sampled_from(["o.vcf", "o.vcf.gz", "o.tsv", "o.parquet"]))
def test_variants(tmp_path_factory: pytest.TempPathFactory, content: bytes, zipped: bool, out: str) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "e.bed").write_bytes(BED)
    (folder / "g.gtf").write_bytes(GTF)
    annotations = annotation.read_annotations([f"E={folder / 'e.bed'}"], folder / "g.gtf")
    read_or_refuse(
        lambda path: annotate_variants(path, annotations, folder / out, breakdown=True), folder / "v.vcf", content, zipped
    )
    read_or_refuse(lambda path: read_variant_regions(path, trait="X", score_key="AF"), folder / "w.vcf", content, zipped)
    assert not list(folder.glob(".*"))
