"""SNVs of chr20 through a model of DNABERT-6's size: our posteriors beside what people do with transformers now.

All on the forward strand, in one process, on the same windows. The peers get their windows ready: text for the loop,
token ids with the masks already set for the batches. BENCH_SNVS=32 doubles the time.
"""

from __future__ import annotations

import math
import os
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from common import Row, data_folder, faster, script, seconds

N_SNVS, LENGTH, K = int(os.environ.get("BENCH_SNVS", "16")), 512, 6
N_LOOP = max(2, N_SNVS // 8)  # the loop is slow
N_ROUNDS = 3
LEAST_LOOP = 2.2
LEAST = {"float32": 1.1, "bfloat16": 1.25}
CLOSE = {"float32": 1e-4, "bfloat16": 0.1}  # bits


def main() -> list[Row]:
    import torch
    from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast
    from transformers.utils import logging

    from genoformer import inference
    from genoformer.formats.vcf import read_variants
    from genoformer.genome.codes import decode
    from genoformer.genome.reference import Genome
    from genoformer.genome.variants import place_snvs
    from genoformer.inference import runtime
    from genoformer.models import registry
    from genoformer.tokenizers import KmerTokenizer

    logging.set_verbosity_error()
    hg19 = data_folder() / "hg19"
    records = read_variants(hg19 / "1000G.chr20_1000001-2000000.vcf.gz")
    every = [r for r in records if len(r.ref) == 1 and all(alt in "ACGT" for alt in r.alts)]
    snvs = every[:: len(every) // N_SNVS][:N_SNVS]
    codes, centre = place_snvs(Genome(hg19 / "hg19.sparse.fa.gz"), "chr20", np.array([r.pos - 1 for r in snvs]), LENGTH)
    target = np.full(N_SNVS, centre)

    torch.manual_seed(1)
    config = BertConfig(vocab_size=len(KmerTokenizer(K).vocab))  # the rest is DNABERT's
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        BertForMaskedLM(config).save_pretrained(folder)
        (folder / "vocab.txt").write_text("\n".join(KmerTokenizer(K).vocab) + "\n")
        ours = registry.load(folder)
        load = {"attn_implementation": "sdpa", "local_files_only": True}
        theirs = {name: BertForMaskedLM.from_pretrained(folder, **load).eval().to(getattr(torch, name)) for name in LEAST}
        fast = BertTokenizerFast(vocab_file=str(folder / "vocab.txt"), do_lower_case=False)

    hidden = ours.tokenizer.mask_bases(codes, target)
    ids, rows, candidates = (torch.from_numpy(np.ascontiguousarray(field)) for field in hidden[:3])
    batch = min(runtime.choose_batch_size(ours, codes, None), N_SNVS)

    def loop() -> list[float]:
        """As in the scripts that come with such models: each allele spelt out, cut, encoded, and run by itself."""
        found = []
        for window, snv in list(zip(codes, snvs, strict=True))[:N_LOOP]:
            text = decode(window)
            sides = []
            for allele in (snv.ref, snv.alts[0]):
                spelt = text[:centre] + allele + text[centre + 1 :]
                kmers = " ".join(spelt[i : i + K] for i in range(LENGTH - K + 1))
                with torch.no_grad():
                    encoded = fast(kmers, return_tensors="pt")
                    log_p = theirs["float32"](**encoded).logits.log_softmax(-1)
                at = torch.arange(centre - K + 1, centre + 1) + 1  # behind [CLS], the tokens over the base
                sides.append(log_p[0, at, encoded["input_ids"][0, at]].sum().item())
            found.append(sides[1] - sides[0])
        return found

    def batches(precision: str) -> list[torch.Tensor]:
        with torch.no_grad():
            return [
                theirs[precision](part).logits.gather(1, at[..., None].expand(-1, -1, config.vocab_size)).float()
                for part, at in zip(ids.split(batch), rows.split(batch), strict=True)
            ]

    with inference.evaluating(ours, "cpu", "bfloat16") as half:
        models = {"float32": ours, "bfloat16": half}
        tasks: dict[str, Callable[[], object]] = {"loop": loop}
        far = {}
        for precision, model in models.items():
            tasks[f"transformers {precision}"] = partial(batches, precision)
            tasks[f"ours {precision}"] = partial(inference.posteriors, model, codes, target)
            log_p = torch.cat(batches(precision)).gather(2, candidates).log_softmax(-1)  # [B, M, 4]
            expected = log_p.mean(1).log_softmax(-1) / math.log(2)
            far[precision] = float(np.abs(inference.posteriors(model, codes, target) - expected.numpy()).max())
            assert far[precision] <= CLOSE[precision], f"{precision}: the numbers differ by {far[precision]} bits"
        taken = seconds(tasks, N_ROUNDS, long=True)
    speed = {name: (N_LOOP if name == "loop" else N_SNVS) / value for name, value in taken.items()}
    usual = "transformers, SDPA: variant by variant, ref and alt, all logits, float32"
    result = [faster(f"SNVs of {LENGTH} bp, float32", usual, speed["ours float32"], speed["loop"], LEAST_LOOP)]
    for precision, least in LEAST.items():
        peer = f"transformers, SDPA: the same masked windows in the same batches of {batch}, all logits, {precision}"
        row = faster(
            f"SNVs of {LENGTH} bp, {precision}", peer, speed[f"ours {precision}"], speed[f"transformers {precision}"], least
        )
        close = Row(
            f"largest difference of log2 P, {precision}",
            peer,
            f"{far[precision]:.1g} bits",
            f"<= {CLOSE[precision]:g}",
            far[precision] <= CLOSE[precision],
        )
        result += [row, close]
    return result


if __name__ == "__main__":
    script(main)
