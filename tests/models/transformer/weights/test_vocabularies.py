"""Vocabularies of published folders: WordPiece of k-mers in tokenizer.json, blocks of DNA above a vocabulary of text."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer as HuggingFaceTokenizer
from tokenizers import models, pre_tokenizers, processors

import genoformer as gf
from genoformer.errors import CheckpointError, ConfigError
from genoformer.genome.codes import encode
from genoformer.models import registry
from genoformer.tokenizers import KmerTokenizer, load_tokenizer, save_tokenizer

transformers = pytest.importorskip("transformers", reason="transformers is the reference (extra: dev)")

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SEQUENCE = "".join(np.random.default_rng(4).choice(list("ACGT"), 200))


def bert_folder(folder: Path, n_vocab: int) -> Path:
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=n_vocab, max_position_embeddings=80, initializer_range=0.3, **SIZES)
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    return folder


def words(tokens: list[str], model: Any, *, split: str = "") -> HuggingFaceTokenizer:
    """A tokenizer of whole words with [CLS] and [SEP]."""
    tokenizer = HuggingFaceTokenizer(model({token: i for i, token in enumerate(tokens)}, unk_token="[UNK]"))
    if split:
        from tokenizers import Regex

        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(split), "isolated")
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, tokens.index(name)) for name in ("[CLS]", "[SEP]")]
    )
    return tokenizer


@pytest.mark.parametrize("model", [models.WordPiece, models.WordLevel])
def test_kmers_in_a_tokenizer_json_are_read_as_the_library_reads_them(tmp_path: Path, model: Any) -> None:
    """Newer versions of transformers save DNABERT's vocabulary without a vocab.txt."""
    tokens = list(KmerTokenizer(3).vocab)
    theirs = words(tokens, model)
    folder = bert_folder(tmp_path, len(tokens))
    theirs.save(str(folder / "tokenizer.json"))
    ours = registry.load(folder)
    assert isinstance(ours.tokenizer, KmerTokenizer)
    text = " ".join(SEQUENCE[i : i + 3] for i in range(58))
    ids = theirs.encode(text).ids
    assert ours.tokenizer.encode(encode(SEQUENCE[:60])[None]).ids.tolist() == [ids]
    assert tokens.index("[UNK]") not in ids
    reference = transformers.BertForMaskedLM.from_pretrained(folder).eval()
    with torch.no_grad():
        assert (ours(torch.tensor([ids])) - reference(torch.tensor([ids])).logits).abs().max() <= 1e-4


def test_blocks_in_a_tokenizer_json_keep_their_ids(tmp_path: Path) -> None:
    blocks = ["".join(bases) for bases in product("GATC", repeat=2)]  # no order that the package makes itself
    tokens = [*SPECIAL, *blocks, *"TGCAN"]
    theirs = words(tokens, models.WordLevel, split="[ACGT]{2}|.")
    folder = bert_folder(tmp_path, len(tokens))
    theirs.save(str(folder / "tokenizer.json"))
    ours = registry.load(folder).tokenizer
    for text in (SEQUENCE[:40], SEQUENCE[:41], "ACGNTTANNC"):
        assert ours.encode(encode(text)[None]).ids.tolist() == [theirs.encode(text).ids]
    assert ours.masks_bases


def test_a_tokenizer_that_reads_dna_as_unknown_is_refused(tmp_path: Path) -> None:
    words_of_text = [*SPECIAL, "promoter", "enhancer", "C", "G", "T", "##A"]
    folder = bert_folder(tmp_path / "wordpiece", len(words_of_text))
    words(words_of_text, models.WordPiece).save(str(folder / "tokenizer.json"))
    with pytest.raises(CheckpointError, match="WordPiece"):
        registry.load(folder)
    pieces = {"[UNK]": 0, "[PAD]": 1, "a": 2, "c": 3, "g": 4, "t": 5, "ac": 6}  # and no normalizer makes letters lower case
    lower = HuggingFaceTokenizer(models.BPE(pieces, [("a", "c")], unk_token="[UNK]"))
    folder = bert_folder(tmp_path / "lower", 7)
    lower.save(str(folder / "tokenizer.json"))
    with pytest.raises(CheckpointError, match="reads a sequence of A, C, G and T as unknown tokens"):
        registry.load(folder)
    unigram = HuggingFaceTokenizer(
        models.Unigram([("[PAD]", 0.0), ("[UNK]", 0.0), *((base, -1.0) for base in "ACGT"), ("AC", -1.0)], 1)
    )
    folder = bert_folder(tmp_path / "unigram", 7)
    unigram.save(str(folder / "tokenizer.json"))
    with pytest.raises(CheckpointError, match="holds a Unigram model, which is not read; expected byte-pair encoding"):
        registry.load(folder)


def test_a_vocabulary_that_is_refused_names_its_file(tmp_path: Path) -> None:
    """Bases in both cases: no published model has them."""
    tokens = ["[PAD]", "[UNK]", "[BOS]", *"ACGT", *"acgt"]
    both = HuggingFaceTokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token="[UNK]"))
    folder = bert_folder(tmp_path / "both", len(tokens))
    both.save(str(folder / "tokenizer.json"))
    with pytest.raises(CheckpointError, match=r"both/tokenizer.json: the vocabulary of blocks names 'A' twice"):
        registry.load(folder)


# --- Carbon: ids of text, then <dna>, </dna>, <oov>, and the blocks with the digits A, T, C, G

N_TEXT, K, N_DNA = 40, 3, 72  # 3 special tokens, 64 blocks, 5 unused ids
DNA_FIELDS = {
    "k": K,
    "dna_start_id": N_TEXT,
    "dna_vocab_size": N_DNA,
    "dna_special_tokens": ["<dna>", "</dna>", "<oov>"],
    "auto_dna_tags": False,
}


def published_ids(text: str) -> list[int]:
    """Ids of the published tokenizer: <dna>, then blocks of K letters, filled up with A; <oov> for one with another letter."""
    ids = [N_TEXT]
    for i in range(0, len(text), K):
        block = text[i : i + K].ljust(K, "A")
        number = int("".join(str("ATCG".index(base)) for base in block), 4) if set(block) <= set("ACGT") else -1
        ids.append(N_TEXT + 3 + number)
    return ids


@pytest.fixture(scope="module", params=["Llama", "Qwen3"])
def carbon(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp(request.param)
    special = {"pad_token_id": 7, "bos_token_id": 7, "eos_token_id": 7}
    config = getattr(transformers, f"{request.param}Config")(
        vocab_size=N_TEXT + N_DNA, num_key_value_heads=2, initializer_range=0.3, max_position_embeddings=64, **special, **SIZES
    )
    torch.manual_seed(0)
    getattr(transformers, f"{request.param}ForCausalLM")(config).save_pretrained(folder)
    (folder / "dna_config.json").write_text(json.dumps(DNA_FIELDS))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "HybridDNATokenizer"}')
    return folder


def test_blocks_above_a_vocabulary_of_text_have_the_published_ids(carbon: Path, tmp_path: Path) -> None:
    tokenizer = registry.load(carbon).tokenizer
    for text in (SEQUENCE[:60], "ACGNTTACC", "NNNNNNACG", SEQUENCE[:61], SEQUENCE[:62], "ACGTN", "ACGNT", "G", "N"):
        assert tokenizer.encode(encode(text)[None]).ids.tolist() == [published_ids(text)]
    assert tokenizer.n_vocab == N_TEXT + N_DNA
    assert tokenizer.pad_id == 7
    encoding = tokenizer.encode(encode("ACGTT")[None])  # the two bases after the last block are read as TTA
    assert encoding.ids.tolist() == [published_ids("ACGTTA")]
    assert encoding.spans.tolist() == [[[0, 0], [0, 3], [3, 5]]]
    assert tokenizer.text(published_ids("ACGNTTACC")) == "ACGNNNACC"
    assert [tokenizer.n_tokens(n) for n in (3, 4, 60)] == [2, 3, 21]
    save_tokenizer(tokenizer, tmp_path / "t.json")
    assert load_tokenizer(tmp_path / "t.json").to_dict() == tokenizer.to_dict()


def test_carbon_scores_a_variant_as_two_passes_of_transformers(carbon: Path, tmp_path: Path) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(carbon).eval()
    ours = registry.load(carbon)
    text = SEQUENCE[:60]
    ids = torch.tensor([published_ids(text)])
    with torch.no_grad():
        assert (ours(ids) - model(ids).logits).abs().max() <= 1e-4
    (tmp_path / "g.fa").write_text(f">c\n{SEQUENCE}\n")
    at = 100
    alt = {"A": "C", "C": "A", "G": "T", "T": "G"}[SEQUENCE[at]]
    record = f"c\t{at + 1}\t.\t{SEQUENCE[at]}\t{alt}\t.\t.\t."
    (tmp_path / "v.vcf").write_text(f"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n{record}\n")
    table = gf.score(tmp_path / "v.vcf", tmp_path / "g.fa", carbon, scores="LLR", context=60, strand="forward", device="cpu")
    windows = [SEQUENCE[at - 30 : at] + base + SEQUENCE[at + 1 : at + 30] for base in (SEQUENCE[at], alt)]
    sums = []
    for window in windows:
        ids = torch.tensor([published_ids(window)])
        with torch.no_grad():
            log_p = model(ids).logits[:, :-1].log_softmax(-1)
        sums.append(float(log_p.gather(-1, ids[:, 1:, None]).sum()) / np.log(2))
    assert table["LLR"][0] == pytest.approx(sums[1] - sums[0], abs=1e-4)
    with pytest.raises(ConfigError, match="the prompt has 4 bases, and the model reads blocks of 3 and no single letters"):
        gf.sample(carbon, number=1, length=30, prompt="ACGA")
    drawn = gf.sample(carbon, number=2, length=30, prompt="ACGACG")
    assert all(len(sequence.bases) == 30 and sequence.bases.startswith("ACGACG") for sequence in drawn)
    assert not set("".join(sequence.bases for sequence in drawn)) - set("ACGT")


def test_carbon_is_converted_to_genoformers_layouts_and_back(carbon: Path, tmp_path: Path) -> None:
    model = registry.load(carbon)
    registry.save(model, tmp_path / "own")
    registry.save(model, tmp_path / "hf", layout="genoformer-hf")
    ids = torch.tensor([published_ids(SEQUENCE[:60])])
    for folder in (tmp_path / "own", tmp_path / "hf"):
        again = registry.load(folder)
        assert again.tokenizer.to_dict() == model.tokenizer.to_dict()
        with torch.no_grad():
            assert torch.equal(again(ids), model(ids))
    with pytest.raises(ConfigError, match="no tokenizer that fills blocks up"):
        registry.save(model, tmp_path / "stock", layout="decoder-only")


def test_blocks_added_to_a_vocabulary_of_text_are_read_behind_dna(tmp_path: Path) -> None:
    text = HuggingFaceTokenizer(
        models.BPE({"<unk>": 0, "<pad>": 1, "<dna>": 2, **dict(zip("ACGTab", range(3, 9), strict=True))}, [], unk_token="<unk>")
    )
    text.add_special_tokens(["<unk>", "<pad>", "<dna>"])
    text.add_tokens(["".join(bases) for bases in product("ATCG", repeat=2)])
    config = transformers.LlamaConfig(vocab_size=text.get_vocab_size(), num_key_value_heads=2, pad_token_id=1, **SIZES)
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path)
    text.save(str(tmp_path / "tokenizer.json"))
    found = registry.load(tmp_path).tokenizer.encode(encode("ACGTTA")[None]).ids
    assert found.tolist() == [text.encode("<dna>ACGTTA").ids]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"k": 9}, "expected k from 1 to 8"),
        ({"dna_vocab_size": 20}, "room for all of them"),
        ({"dna_special_tokens": ["</dna>"]}, "the token <dna>"),
        ({"dna_start_id": "x"}, "expected k, dna_start_id and dna_special_tokens"),
    ],
)
def test_a_damaged_dna_config_is_refused(carbon: Path, tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    for path in carbon.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "dna_config.json").write_text(json.dumps(DNA_FIELDS | changed))
    with pytest.raises(CheckpointError, match=message):
        registry.load(tmp_path)
