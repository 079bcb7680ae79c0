"""Windows that hold more tokens than a model has positions, because bases are unknown there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
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


LENGTH = 117  # 39 blocks of 3 bases, as many as the model has positions for, after <cls>
BASES = "".join(np.random.default_rng(1).choice(list("ACGT"), LENGTH))
CENTRE = LENGTH // 2


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of transformers' ESM with 3-mers and 40 positions: a language model, and one with two classes."""
    transformers = pytest.importorskip("transformers", reason="transformers is the reference (extra: dev)")
    tokens = BlockTokenizer.new(3).tokens
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    special = {"pad_token_id": 1, "mask_token_id": 2, "vocab_size": len(tokens), "max_position_embeddings": 42}
    config = transformers.EsmConfig(token_dropout=True, initializer_range=0.3, num_labels=2, **sizes, **special)
    folders = {}
    for kind in ("EsmForMaskedLM", "EsmForSequenceClassification"):
        torch.manual_seed(0)
        folders[kind] = tmp_path_factory.mktemp(kind)
        getattr(transformers, kind)(config).save_pretrained(folders[kind])
        (folders[kind] / "vocab.txt").write_text("\n".join(tokens) + "\n")
    return folders


def texts(n_at: int | None) -> tuple[str, str]:
    """The window of REF and that of ALT, with N at one place."""
    ref = BASES if n_at is None else BASES[:n_at] + "N" + BASES[n_at + 1 :]
    alt = {"A": "C", "C": "A", "G": "T", "T": "G"}[BASES[CENTRE]]
    return ref, ref[:CENTRE] + alt + ref[CENTRE + 1 :]


def scored(folder: Path, tmp_path: Path, n_at: int | None, scores: str) -> dict[str, float]:
    """Scores of the SNV in the middle, on the forward strand."""
    ref, alt = texts(n_at)
    (tmp_path / "g.fa").write_text(f">c\n{ref}\n")
    record = f"c\t{CENTRE + 1}\t.\t{ref[CENTRE]}\t{alt[CENTRE]}\t.\t.\t."
    (tmp_path / "v.vcf").write_text(f"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n{record}\n")
    options = {"scores": scores, "strand": "forward", "verify": 1, "device": "cpu"}
    row = gf.score(tmp_path / "v.vcf", tmp_path / "g.fa", folder, **options).iloc[0]
    assert pd.isna(row["status"])
    return dict(row)


# Without N all 117 bases are read. N at base 6 makes two tokens too many, 41: the 39 over bases 3 to 116 reach least far from
# the middle. N at base 100 has 33 blocks and a letter before it, 5 blocks and a letter after it, also 41: again bases 3 to 116.
READ = {None: (0, 117), 6: (3, 116), 100: (3, 116)}


@pytest.mark.parametrize("n_at", READ)
def test_a_window_with_an_n_is_read_as_transformers_reads_the_bases_nearest_to_its_middle(folders, tmp_path, n_at) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.EsmTokenizer(str(folders["EsmForMaskedLM"] / "vocab.txt"))
    ref, alt = (text[slice(*READ[n_at])] for text in texts(n_at))
    ids = torch.tensor([tokenizer(ref)["input_ids"], tokenizer(alt)["input_ids"]])[:, :-1]  # without <eos>
    assert ids.shape[1] == 40
    (row,) = (ids[0] != ids[1]).nonzero()[0].tolist()
    masked = ids[:1].clone()
    masked[0, row] = 2
    with torch.no_grad():
        logits = transformers.EsmForMaskedLM.from_pretrained(folders["EsmForMaskedLM"]).eval()(masked).logits[0, row]
        classes = transformers.EsmForSequenceClassification.from_pretrained(folders["EsmForSequenceClassification"]).eval()
        of_classes = classes(ids).logits
    expected = float(logits[ids[1, row]] - logits[ids[0, row]]) / np.log(2)
    assert scored(folders["EsmForMaskedLM"], tmp_path, n_at, "TOKEN_LLR")["TOKEN_LLR"] == pytest.approx(expected, abs=1e-4)
    log_odds = of_classes[:, 1] - of_classes[:, 0]
    found = scored(folders["EsmForSequenceClassification"], tmp_path, n_at, "LOGIT")["LOGIT"]
    assert found == pytest.approx(float(log_odds[1] - log_odds[0]), abs=1e-4)


def test_an_n_anywhere_in_the_window_leaves_all_scores_defined(folders, tmp_path) -> None:
    for n_at in range(0, LENGTH, 7):
        if n_at != CENTRE:
            row = scored(folders["EsmForMaskedLM"], tmp_path, n_at, "LLR,TOKEN_LLR,COSINE")
            assert np.isfinite([row["LLR"], row["TOKEN_LLR"], row["COSINE"]]).all()
