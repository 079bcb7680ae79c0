"""Strands of splicing outputs come with the layout; those of other outputs without a table are noted, not guessed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from alphagenome_models import small_alphagenome
from scoring_jobs import track_scorer

from genoformer.genome.codes import decode
from genoformer.genome.genes import Genes, read_genes
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.models import registry
from genoformer.models.alphagenome.config import AlphaGenomeConfig, heads_of
from genoformer.models.alphagenome.model import AlphaGenome

CONTIG = decode(np.random.default_rng(4).integers(0, 4, 9000, dtype=np.uint8))
GTF = """\
c1\tx\texon\t4001\t4600\t.\t+\t.\tgene_id "F"; transcript_id "F.1";
c1\tx\texon\t4201\t4800\t.\t-\t.\tgene_id "R"; transcript_id "R.1";
"""
SNV = Variant("c1", 4400, CONTIG[4399], "ACGT"[("ACGT".index(CONTIG[4399]) + 1) % 4])
SITES, USAGE, RNA = (f"human_{name}_1bp" for name in ("splice_sites_classification", "splice_sites_usage", "rna_seq"))


@pytest.fixture(scope="module")
def genome(tmp_path_factory) -> Genome:
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    path.write_text(f">c1\n{CONTIG}\n")
    return Genome(path)


@pytest.fixture(scope="module")
def genes(genome, tmp_path_factory) -> Genes:
    path = tmp_path_factory.mktemp("genes") / "genes.gtf"
    path.write_text(GTF)
    return read_genes(path, genome, transcripts=True)


def test_the_published_layout_has_the_strands_of_splicing() -> None:
    """As in OutputMetadataResponse_ORGANISM_HOMO_SAPIENS.textproto: usage is 367 tissues on +, then 367 on -."""
    heads = AlphaGenome.heads_of(AlphaGenomeConfig())
    assert "".join(heads[SITES].table.strands) == "++--"
    assert "".join(heads[USAGE].table.strands) == "+" * 367 + "-" * 367
    assert heads[USAGE].table.strand_pairs[[0, 366, 367]].tolist() == [367, 733, 0]
    assert "".join(heads["mouse_splice_sites_usage_1bp"].table.strands) == "+" * 90 + "-" * 90
    assert heads[RNA].table is None


@pytest.mark.parametrize("head", [SITES, USAGE])
@pytest.mark.parametrize("both", [True, False])
def test_a_gene_has_no_splicing_score_on_the_other_strand(genome, genes, head, both) -> None:
    """Without a file of tracks, on one strand and as the mean of both."""
    made = track_scorer(small_alphagenome(), genome, "GENE_MASK_SPLICING", head=head, genes=genes, both_strands=both)
    (scores,) = made.score_each([SNV])
    n = len(made.tracks)
    assert {genes.item_names[item.number] for item in scores.items} == {"F", "R"}
    for item, values in scores.items.items():
        plus = genes.item_names[item.number] == "F"
        assert np.isfinite(values).tolist() == [plus] * (n // 2) + [not plus] * (n // 2)
    assert not made.strand_notes


def test_rna_seq_without_a_table_has_a_note(genome, genes) -> None:
    model = small_alphagenome()
    made = track_scorer(model, genome, "GENE_MASK_LFC", head=RNA, genes=genes, both_strands=False)
    note = f"strands: no table has the strands of the tracks of {RNA}, so scores of genes also use tracks of the other strand"
    assert made.strand_notes == [f"{note}; give targets."]
    (scores,) = made.score_each([SNV])
    assert all(np.isfinite(values).all() for values in scores.items.values())
    local = track_scorer(model, genome, "CENTER_MASK_501_DIFF_SUM", head=RNA, both_strands=False)
    assert not local.strand_notes
    model.published = {RNA: "alphagenome-tracks"}
    assert model.table_remedy(RNA) == "run genoformer data pull alphagenome-tracks, or give targets"


def test_the_remedy_for_a_head_like_the_published_one_names_its_tracks() -> None:
    counts = {"human": {"rna_seq": 667}, "mouse": {"rna_seq": 6}}
    config = replace(small_alphagenome().config, outputs={"rna_seq": 768}, tracks=counts)
    model = AlphaGenome(config)
    assert model.table_remedy(RNA) == (
        "run genoformer data pull alphagenome-tracks, and give the folder of the model the name alphagenome"
    )
    assert model.table_remedy("mouse_rna_seq_1bp") == "give targets"


def test_tables_of_the_layout_are_those_of_a_model_on_disk(tmp_path: Path) -> None:
    registry.save(small_alphagenome(), tmp_path / "model", layout="alphagenome-pt")
    tables = [of(tmp_path / "model")[USAGE].table for of in (registry.read_heads, lambda path: registry.load(path).track_heads)]
    assert tables[0] == tables[1]
    assert tables[0] is not None
    assert heads_of(small_alphagenome().config)[USAGE].table is None
