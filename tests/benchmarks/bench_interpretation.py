"""In-silico mutagenesis beside tangermeme's, and the memory of attention that is reduced while it is computed.

Mutagenesis: every change of some bases, one output (a class, or the sum of a track over the bins), the same weights and
numbers. Memory: the largest resident size of a process of its own less that before the attention, on random sequences.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from common import NotHere, Row, script, seconds

N_SEQUENCES = int(os.environ.get("ATTENTION_SEQUENCES", "5920"))
LENGTH, N_HEADS, N_LAYERS = 300, 12, 12
MOST = 2.0  # GB
_MEMORY = """
import json, sys, time
import numpy as np, torch
from genoformer.interpretation.loci import Locus
from genoformer.interpretation.attention_maps import attention_profiles
from genoformer.models.transformer.model import Encoder
from genoformer.tokenizers import KmerTokenizer
n, length, width, heads, layers = map(int, sys.argv[1:])
tokenizer = KmerTokenizer(6)
model = Encoder(EncoderConfig(n_vocab=tokenizer.n_vocab, width=width, n_layers=layers, n_heads=heads, ffn_width=4 * width,
                              max_tokens=512, context_length=510)).eval()
model.tokenizer = tokenizer
codes = np.random.default_rng(0).integers(0, 4, (n, length), dtype=np.uint8)
places = [Locus(str(i), "", 0, row) for i, row in enumerate(codes)]
peak = lambda: int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]) * 1024
before, begin = peak(), time.perf_counter()
found = attention_profiles(model, places)
print(json.dumps({"before": before, "after": peak(), "seconds": time.perf_counter() - begin,
                  "ok": all(abs(np.linalg.norm(of) - 1) < 1e-4 for of in found)}))
"""


def main() -> list[Row]:
    return [*speed(), *memory()]


def memory() -> list[Row]:
    rows = []
    for n, width in ((N_SEQUENCES, 192), (N_SEQUENCES // 20, 768)):
        command = [sys.executable, "-c", _MEMORY, *map(str, (n, LENGTH, width, N_HEADS, N_LAYERS))]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout)
        assert found["ok"]
        above, whole = (found["after"] - found["before"]) / 1e9, found["after"] / 1e9
        stored = n * N_HEADS * LENGTH**2 * 8 / 1e9
        shape = f"{LENGTH} bp, {N_LAYERS} layers of {width}, {N_HEADS} heads"
        rows.append(
            Row(
                f"memory: DNABERT-viz's scores of {n:,} sequences of {shape}",
                f"float64 heads x L x L of all, as `run_finetune.py` keeps them: {stored:,.1f} GB",
                f"{whole:.2f} GB in all, {above:.2f} GB above the model",
                f"< {MOST:g} GB",
                whole < MOST,
                f"{found['seconds']:,.0f} s",
            )
        )
    return rows


def speed() -> list[Row]:
    try:
        from tangermeme.saturation_mutagenesis import saturation_mutagenesis
    except ImportError as missing:
        raise NotHere("tangermeme is not installed: pip install '.[dev]'") from missing
    import torch

    from genoformer.interpretation.ism import substitutions
    from genoformer.interpretation.targets import AttributionTarget
    from genoformer.models.enformer.config import EnformerConfig, preset
    from genoformer.models.enformer.model import Enformer
    from genoformer.models.heads import ClassifierConfig, SequenceClassifier
    from genoformer.models.plain_engine import one_hot
    from genoformer.models.transformer.config import EncoderConfig
    from genoformer.tokenizers import BaseTokenizer, KmerTokenizer

    def classes(tokenizer: Any, window: int, **shape: Any) -> SequenceClassifier:
        sizes = {"n_vocab": tokenizer.n_vocab, "context_length": window, "max_tokens": window + 2}
        encoder = EncoderConfig(**sizes, position="rotary", **shape)
        model = SequenceClassifier(ClassifierConfig(encoder, "classification", ("no", "yes"), window=window)).eval()
        for p in model.parameters():
            torch.nn.init.normal_(p, std=0.1)
        model.tokenizer = tokenizer
        return model

    torch.manual_seed(0)
    toy = EnformerConfig(
        width=24,
        n_blocks=2,
        n_heads=2,
        key_width=6,
        n_pools=3,
        divisible_by=2,
        context_length=256,
        target_bins=0,
        heads={"human": 5},
    )
    demo = {"width": 160, "n_layers": 4, "n_heads": 5, "ffn_width": 480, "conv_kernel": 15}
    cases: dict[str, tuple[Any, int, int]] = {
        "toy of tracks (width 24, 256 bp), all bases": (Enformer(toy).eval(), 256, 256),
        "`tiny` of tracks (16,384 bp), 100 bases": (Enformer(preset("tiny", heads={"cage": 8})).eval(), 16_384, 100),
        "toy classifier of bases (width 16, 64 bp), all bases": (
            classes(BaseTokenizer(), 64, width=16, n_layers=2, n_heads=2, ffn_width=24),
            64,
            64,
        ),
        "classifier of the demo model's shape (128 bp), all bases": (classes(BaseTokenizer(), 128, **demo), 128, 128),
        "the same of 6-mers": (classes(KmerTokenizer(6), 128, **demo), 128, 128),
    }
    rows = []
    for name, (model, length, n) in cases.items():
        codes = np.random.default_rng(1).integers(0, 4, length, dtype=np.uint8)
        start = (length - n) // 2
        output = AttributionTarget(1) if isinstance(model, SequenceClassifier) else AttributionTarget(tracks=[2])
        module = output.module(model, length)
        x = one_hot(torch.from_numpy(codes[None]))

        def ours(model: Any = model, codes: Any = codes, output: Any = output, start: int = start, n: int = n) -> Any:
            return substitutions(codes, lambda made: output.compute(model, made, codes), start=start, end=start + n)

        def theirs(module: Any = module, x: Any = x, start: int = start, n: int = n) -> Any:
            return saturation_mutagenesis(module, x, start=start, end=start + n, device="cpu", raw_outputs=True)

        with torch.inference_mode():
            found, expected = ours(), theirs()
            difference = (expected[1][0, :, :, 0] - expected[0][0, 0]).T.numpy()
            worst = float(np.abs(found - difference).max() / np.abs(difference).max())
            taken = seconds({"ours": ours, "theirs": theirs}, 5, long=True)
        ratio = taken["theirs"] / taken["ours"]
        rows.append(
            Row(
                f"mutagenesis: {name}; largest difference {worst:.0e} of the largest change",
                "tangermeme's saturation_mutagenesis",
                f"{ratio:.3g}x",
                ">= 1x",
                ratio >= 1,
                f"{taken['ours']:.3g} and {taken['theirs']:.3g} s",
            )
        )
    return rows


if __name__ == "__main__":
    check: Callable[[], list[Row]] = main
    script(check)
