"""6-mers of real windows: our encoder of codes beside transformers' fast tokenizer on ready-made text."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import numpy as np
from common import Row, data_folder, faster, script, seconds

N_WINDOWS, LENGTH, K = 512, 512, 6
LEAST = 200.0


def main() -> list[Row]:
    from transformers import BertTokenizerFast

    from genoformer.genome.codes import decode
    from genoformer.genome.reference import Genome
    from genoformer.tokenizers import KmerTokenizer

    genome = Genome(data_folder() / "hg19" / "hg19.sparse.fa.gz")
    starts = np.random.default_rng(1).integers(1_000_000, 2_000_000 - LENGTH, N_WINDOWS)
    codes = genome.windows("chr20", starts, LENGTH)
    with_n = genome.windows("chr20", [1_000_000 - 100, 2_000_000 - 400], LENGTH)  # N on one side
    tokenizer = KmerTokenizer(K)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        vocab = Path(folder) / "vocab.txt"
        vocab.write_text("\n".join(tokenizer.vocab) + "\n")
        fast = BertTokenizerFast(vocab_file=str(vocab), do_lower_case=False)

    def as_text(windows: np.ndarray) -> list[str]:
        texts = map(decode, windows)
        return [" ".join(text[i : i + K] for i in range(len(text) - K + 1)) for text in texts]

    def theirs(texts: list[str]) -> list[list[int]]:
        return fast(texts, return_attention_mask=False, return_token_type_ids=False)["input_ids"]

    texts = as_text(codes)
    for windows, kmers in ((codes, texts), (with_n, as_text(with_n))):
        assert np.array_equal(tokenizer.encode(windows).ids, theirs(kmers)), "the ids differ"
    peer = "BertTokenizerFast, the k-mers already cut"
    taken = seconds({"ours": lambda: tokenizer.encode(codes), "theirs": lambda: theirs(texts)})
    speed = {name: codes.size / value / 1e6 for name, value in taken.items()}
    what = f"KmerTokenizer({K}).encode of {N_WINDOWS} windows of {LENGTH} bp, the same ids"
    return [faster(what, peer, speed["ours"], speed["theirs"], LEAST, unit="Mb/s")]


if __name__ == "__main__":
    script(main)
