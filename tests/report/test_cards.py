"""Cards: gene, TSS, annotations, links and warnings of a row, against values worked out by hand."""

from __future__ import annotations

import html
import re
from pathlib import Path

from commands import run_well

from genoformer.report.cards import tss_text

HEAD = """##fileformat=VCFv4.3
##contig=<ID=20,length=63025520>
##INFO=<ID=AF,Number=A,Type=Float,Description="f">
##INFO=<ID=STATE,Number=.,Type=String,Description="s">
##INFO=<ID=GF_SAD,Number=A,Type=Float,Description="d">
##INFO=<ID=GF_SAD_TRACK,Number=A,Type=String,Description="t">
##INFO=<ID=GF_SAD_NOISE,Number=A,Type=String,Description="n">
##INFO=<ID=GF_PART,Number=.,Type=String,Description="p">
##INFO=<ID=GF_GENE,Number=.,Type=String,Description="g">
##INFO=<ID=GF_TSS,Number=1,Type=String,Description="t">
##INFO=<ID=GF_TSS_DISTANCE,Number=1,Type=Integer,Description="b">
##genoformer_annotation=<ID=STATE,Keys="STATE",File="s.bed",sha256="0">
##genoformer_annotation=<ID=genes,Keys="GF_PART,GF_GENE,GF_TSS,GF_TSS_DISTANCE",File="g.gtf",sha256="0">
##genoformer_options=scores=SAD;shifts=0
##genoformer_caution=caution: tiny: no effect <i>size</i>.
##genoformer_noise=places=8;SAD=0.5/0.1
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
"""
ROW = "20\t1000\trs7\tACC\tA\t.\t.\tAF=0.25;STATE=T,R;GF_SAD=0.75;GF_SAD_TRACK=liver;GF_PART=intron,CDS;GF_GENE=G1,G2"
ROW += ";GF_TSS=G1;GF_TSS_DISTANCE=-1200;X=1;DB"
GTF = """20\tx\texon\t1101\t1200\t.\t+\t.\tgene_id "g9"; transcript_id "t9"; gene_name "NINE";
20\tx\texon\t801\t900\t.\t-\t.\tgene_id "g8"; transcript_id "t8"; gene_name "EIGHT";
"""


def page(tmp_path: Path, row: str = ROW, *options: object) -> str:
    (tmp_path / "s.vcf").write_text(HEAD + row + "\n")
    run_well("report", tmp_path / "s.vcf", "-o", tmp_path / "r.html", *options)
    return (tmp_path / "r.html").read_text()


def facts(text: str) -> dict[str, str]:
    card = re.search("<article.*?</article>", text, re.DOTALL)
    assert card is not None
    pairs = re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", card[0])
    return {key: html.unescape(value) for key, value in pairs}


def test_a_card_has_the_annotations_of_its_record(tmp_path: Path) -> None:
    text = page(tmp_path)
    assert facts(text) == {
        "Gene": "intron of G1, CDS of G2",
        "Nearest TSS": "G1; the variant is 1,200 bases upstream",
        "AF": "0.25",
        "STATE": "T,R",
        "INFO": "X=1; DB",
    }
    assert "The predicted liver over the window is higher with A than with ACC." in text
    assert "gnomad.broadinstitute.org/variant/20-1000-ACC-A?dataset=gnomad_r2_1" in text
    assert "tiny: no effect &lt;i&gt;size&lt;/i&gt;." in text
    assert "Noise floor of |SAD|" in text
    assert "Do not interpret its sign" not in text


def test_a_gtf_gives_the_gene_and_the_nearest_tss(tmp_path: Path) -> None:
    """REF is 999 to 1,002 (0-based); TSS of EIGHT at 899 on the minus strand, of NINE at 1,100: 99 upstream of it."""
    (tmp_path / "g.gtf").write_text(GTF)
    found = facts(page(tmp_path, ROW, "--gtf", tmp_path / "g.gtf"))
    assert found["Nearest TSS"] == "NINE; the variant is 99 bases upstream"
    assert found["Gene"] == "promoter of NINE, promoter of EIGHT" or found["Gene"] == "promoter of EIGHT, promoter of NINE"


def test_a_score_below_the_noise_floor_has_a_warning(tmp_path: Path) -> None:
    text = page(tmp_path, ROW.replace("GF_SAD_TRACK", "GF_SAD_NOISE=below;GF_SAD_TRACK"))
    assert "Below the noise floor" in text
    assert "Do not interpret its sign" in text


def test_another_genome_has_no_links(tmp_path: Path) -> None:
    text = page(tmp_path, ROW.replace("20\t", "c1\t", 1))
    assert "https://" not in text
    assert 'class="links"' not in text


def test_no_card_is_made_where_none_is_wanted(tmp_path: Path) -> None:
    assert "<article" not in page(tmp_path, ROW, "--top", 0)


def test_one_base_is_no_bases() -> None:
    assert tss_text("G", 1) == "G; the variant is 1 base downstream"
