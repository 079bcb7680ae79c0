"""A step of pre-training beside transformers' BertForMaskedLM in the same loop, and the batches that it feeds on.

BENCH_WIDTH=64 makes the model small; `python bench_training.py --profile` shows where the time of a step goes instead.
"""

from __future__ import annotations

import gc
import itertools
import os
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
from common import NotHere, Row, data_folder, faster, script, seconds

WIDTH, N_LAYERS, HEAD = int(os.environ.get("BENCH_WIDTH", "384")), 6, 64
BATCH, N_TOKENS, K = 8, 512, 6
MASK_RATE = 0.15
N_BATCHES = 4  # different ones, taken in turn; each task takes the same
N_ROUNDS = 7
N_DRAWN = 50  # batches of one timing of the pipeline
N_WATCHED = 200  # batches over which memory must not grow
LEAST, LEAST_PIPELINE = 1.2, 20.0
CLOSE = {"float32": 1e-4, "bfloat16": 0.02}  # nats
MOST_GROWTH = 1.0  # MB
CONTIGS = ("chr2", "chr10", "chr11")
PEER = "transformers BertForMaskedLM, SDPA, the same batches, AdamW, clipping and autocast"


def main() -> list[Row]:
    steps, rows = training()
    with tempfile.TemporaryDirectory() as name:
        try:
            feeds = pipelines(Path(name))
        except NotHere as reason:
            print(f"without the data pipeline: {reason}")
            feeds = {}
        for task in (*steps.values(), *feeds.values()):
            task()
        taken = seconds(steps | feeds, N_ROUNDS, long=True)  # all in the same rounds
        speed = {name: BATCH * N_TOKENS * (N_DRAWN if name in feeds else 1) / value for name, value in taken.items()}
        what = f"forward, backward and step, {BATCH} windows of {N_TOKENS} 6-mers, {N_LAYERS} x {WIDTH}"
        for precision in CLOSE:
            ours, theirs = speed[f"ours {precision}"], speed[f"theirs {precision}"]
            rows.append(faster(f"{what}, {precision}", PEER, ours, theirs, LEAST, unit="tokens/s"))
        for name in feeds:
            for precision, least in (("float32", LEAST_PIPELINE), ("bfloat16", None)):
                peer = f"the model trained on them, all cores, {precision}"
                rows.append(faster(name, peer, speed[name], speed[f"ours {precision}"], least, unit="tokens/s"))
        for name, feed in feeds.items():
            grown = growth(feed)
            rows.append(
                Row(
                    f"{name}: memory after {N_WATCHED} more",
                    "",
                    f"{grown:+.2f} MB",
                    f"<= {MOST_GROWTH:g} MB",
                    grown <= MOST_GROWTH,
                )
            )
    return rows


# --- a step of training


def training() -> tuple[dict[str, Callable[[], object]], list[Row]]:
    """The tasks, each one step, and how well both sides agree before it."""
    import torch
    from transformers import BertForMaskedLM
    from transformers.utils import logging

    from genoformer.models import registry
    from genoformer.models.transformer.config import EncoderConfig
    from genoformer.models.transformer.model import Encoder
    from genoformer.tokenizers import KmerTokenizer
    from genoformer.training.language import LanguageModelBatches, language_model_loss
    from genoformer.training.loop import Trainable, _Training
    from genoformer.training.losses import Loss
    from genoformer.training.objectives import IGNORED, MaskedLM
    from genoformer.training.optimizer import LoopConfig

    logging.set_verbosity_error()
    torch.manual_seed(1)
    tokenizer = KmerTokenizer(K)
    config = EncoderConfig(
        n_vocab=tokenizer.n_vocab,
        width=WIDTH,
        n_layers=N_LAYERS,
        n_heads=WIDTH // HEAD,
        ffn_width=4 * WIDTH,
        max_tokens=N_TOKENS,
        context_length=tokenizer.max_bases(N_TOKENS),
        dropout=0.1,
    )
    model = Encoder(config)
    model.tokenizer = tokenizer
    with tempfile.TemporaryDirectory() as folder:
        registry.save(model, folder, layout="dnabert")
        load = {"attn_implementation": "sdpa", "local_files_only": True}
        bert = BertForMaskedLM.from_pretrained(folder, **load)
    assert bert.config._attn_implementation == "sdpa"
    assert bert.config.attention_probs_dropout_prob == bert.config.hidden_dropout_prob == config.dropout

    objective = MaskedLM(tokenizer, MASK_RATE)
    draw = LanguageModelBatches(cast(Any, AnyWindows(config.context_length)), tokenizer, objective)
    batches = [draw(i) for i in range(N_BATCHES)]
    assert all(b.inputs.shape == (BATCH, N_TOKENS) and b.keep is None for b in batches)
    labels = [torch.full_like(b.inputs, IGNORED).scatter(1, cast(torch.Tensor, b.rows), b.labels) for b in batches]  # [B, T]

    def our_loss(model: Any, i: int) -> Loss:
        return language_model_loss(model, batches[i], objective.label_rate)

    def their_loss(model: Any, i: int) -> Loss:
        mean = model(input_ids=batches[i].inputs, labels=labels[i]).loss
        return Loss(mean, torch.ones(()), 1.0)

    def autocast(precision: str) -> torch.autocast:
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16")

    def step(module: Any, optimizer: Any, precision: str) -> Callable[[], object]:
        """What Lightning does in a step of `fit`; the loop, its optimizer and its clipping are those of `fit`.

        Ours also takes the deterministic algorithms that `fit` asks for, which cost a little; the peer need not.
        """
        order = itertools.cycle(range(N_BATCHES))

        def one() -> None:
            torch.use_deterministic_algorithms(module.model is model)
            optimizer.zero_grad()
            with autocast(precision):
                loss = module.training_step(next(order), 0)
            loss.backward()
            module.configure_gradient_clipping(optimizer)
            optimizer.step()
            torch.use_deterministic_algorithms(False)

        return one

    rows = []
    for precision, close in CLOSE.items():  # the same weights and no dropout: the same loss, the same gradients
        with autocast(precision):
            ours, theirs = our_loss(model.eval(), 0), their_loss(bert.eval(), 0)
        (ours.total / ours.weight).backward()
        theirs.total.backward()
        far = abs((ours.total / ours.weight - theirs.total).item())
        norms = [torch.nn.utils.clip_grad_norm_(m.parameters(), torch.inf).item() for m in (model, bert)]
        assert far <= close, f"{precision}: the losses differ by {far} nats"
        assert abs(norms[0] / norms[1] - 1) <= close, f"{precision}: the norms of the gradients are {norms}"
        rows.append(Row(f"difference of the loss before, {precision}", PEER, f"{far:.1g} nats", f"<= {close:g}", True))
        model.zero_grad()
        bert.zero_grad()

    tasks: dict[str, Callable[[], object]] = {}
    for name, trained, loss in (("ours", model, our_loss), ("theirs", bert, their_loss)):
        module = _Training(Trainable(trained, lambda i: i, loss), LoopConfig(batch_size=BATCH))
        optimizer = module.configure_optimizers()["optimizer"]
        tasks |= {f"{name} {precision}": step(module, optimizer, precision) for precision in CLOSE}
    return tasks, rows


class AnyWindows:
    """Windows of random bases, in place of RandomWindows: a step takes as long on them as on real ones."""

    def __init__(self, length: int) -> None:
        self.length, self.batch_size, self.seed = length, BATCH, 1

    def drawn(self, numbers: np.ndarray, *, soft_masked: bool = False) -> tuple[np.ndarray, None]:
        rng = np.random.default_rng(int(numbers[0]))
        return rng.integers(0, 4, (len(numbers), self.length), dtype=np.uint8), None


# --- the batches


def pipelines(folder: Path) -> dict[str, Callable[[], object]]:
    """The tasks, each N_DRAWN batches that were not drawn before."""
    from genoformer.genome.codes import decode
    from genoformer.genome.reference import Genome
    from genoformer.tokenizers import KmerTokenizer
    from genoformer.training.language import LanguageModelBatches
    from genoformer.training.objectives import MaskedLM
    from genoformer.training.windows import RandomWindows, Source

    tokenizer = KmerTokenizer(K)

    def windows_of(path: Path) -> RandomWindows:
        source = Source(Genome(path), CONTIGS)
        return RandomWindows([source], tokenizer.max_bases(N_TOKENS), BATCH, seed=0)

    def task(windows: RandomWindows, *, cold: bool) -> Callable[[], object]:
        draw = LanguageModelBatches(windows, tokenizer, MaskedLM(tokenizer, MASK_RATE))
        numbers = itertools.count()

        def some() -> None:
            for i in itertools.islice(numbers, N_DRAWN):
                if cold:
                    windows.sources[0].genome.close()
                assert draw(i).inputs.shape == (BATCH, N_TOKENS)

        return some

    packed = data_folder() / "hg38" / "hg38.sparse.fa.gz"
    if not packed.is_file():
        raise NotHere(f"no hg38/{packed.name} in the folder of real data")
    zipped, plain = windows_of(packed), folder / "slices.fa"
    genome, places = zipped.sources[0].genome, zipped.places[0]
    with plain.open("w") as file:
        for i, contig in enumerate(places.names):
            starts = places.starts[places.contig_of == i]  # from the first to the last known base
            text = decode(genome.window(contig, int(starts[0]), int(starts[-1] - starts[0])))
            file.write(f">{contig}\n" + "".join(f"{text[j : j + 60]}\n" for j in range(0, len(text), 60)))
    what = f"batches of {BATCH} windows of {N_TOKENS} 6-mers, one process"
    return {
        f"{what}, plain FASTA": task(windows_of(plain), cold=False),
        f"{what}, bgzip FASTA": task(zipped, cold=False),
        f"{what}, bgzip FASTA, opened anew for each batch": task(windows_of(packed), cold=True),
    }


def growth(feed: Callable[[], object]) -> float:
    """MB of Python's memory, numpy's arrays included, that N_WATCHED batches leave behind."""
    tracemalloc.start()
    try:
        now = []
        for n in (N_WATCHED, N_WATCHED):  # the first ones fill what is kept of a bgzipped file
            for _ in range(n // N_DRAWN):
                feed()
            gc.collect()
            now.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    return (now[1] - now[0]) / 1e6


# --- where the time goes


def profile() -> None:
    """Print the longest operations of one step of each."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiled

    for name, step in training()[0].items():
        step()
        with profiled(activities=[ProfilerActivity.CPU]) as found:
            step()
        print(f"\n## {name}\n\n{found.key_averages().table(sort_by='self_cpu_time_total', row_limit=20)}")


if __name__ == "__main__":
    if "--profile" in sys.argv[1:]:
        profile()
    else:
        script(main)
