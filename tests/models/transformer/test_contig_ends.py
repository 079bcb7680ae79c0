"""Windows that hold more tokens than a model has positions, because bases are unknown there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import genoformer as gf
from genoformer.models import registry
from genoformer.models.transformer.config import SHAPES, EncoderConfig
from genoformer.models.transformer.model import Encoder
from genoformer.tokenizers import BlockTokenizer


def test_variants_at_a_contig_end_and_near_a_gap_are_scored_with_learned_positions(tmp_path: Path) -> None:
    """The Nucleotide Transformer has positions for 1,000 tokens, and each N is a token."""
    tokenizer = BlockTokenizer.new(3)
    shape = {**SHAPES["nucleotide-transformer"], "n_vocab": tokenizer.n_vocab, "width": 16, "n_layers": 1, "n_heads": 2}
    shape |= {"ffn_width": 16, "max_tokens": 40, "context_length": 117, "position_offset": 2}
    torch.manual_seed(0)
    model = Encoder(EncoderConfig(**shape))
    model.tokenizer = tokenizer
    registry.save(model, tmp_path / "nt", layout="esm")
    bases = "".join(np.random.default_rng(0).choice(list("ACGT"), 600))
    bases = bases[:300] + "N" * 40 + bases[340:]
    (tmp_path / "g.fa").write_text(f">chr1\n{bases}\n")
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=chr1,length=600>", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    for position in (2, 100, 290, 345, 599):
        ref = bases[position - 1]
        lines.append(f"chr1\t{position}\t.\t{ref}\t{'ACGT'['ACGT'.index(ref) - 1]}\t.\t.\t.")
    (tmp_path / "v.vcf").write_text("\n".join(lines) + "\n")
    table = gf.score(tmp_path / "v.vcf", tmp_path / "g.fa", tmp_path / "nt", scores="LLR,TOKEN_LLR,COSINE", device="cpu")
    assert np.isfinite(table["LLR"]).all()
    assert np.isfinite(table["TOKEN_LLR"]).all()
    assert table["status"].isna().all()
