"""AlphaGenome compared with alphagenome-pt in one process, full configuration with random weights, float32.

BENCH_BASES=16384 shortens the window of 131,072 bases, TRACK_SNVS=4 takes fewer SNVs, BENCH_ROUNDS=1 fewer rounds. The peer
computes all heads in each pass. Averages of norms are those of one random window. The limit is that of bench_borzoi.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np
from common import NotHere, Row, faster, script, seconds
from track_variants import SnvBench, genome_of, limit, measured_rate, snv, timed

N_BASES = int(os.environ.get("BENCH_BASES", "131072"))
N_ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
PEER = "alphagenome-pt"
COARSE, FINE = "human_chip_tf_128bp", "human_dnase_1bp"
MASK = 501  # bases around a variant


def main() -> list[Row]:
    import torch

    from genoformer.models.base import Bins
    from genoformer.models.plain_engine import PlainEngine

    peer = theirs()
    mine = ours(peer)
    codes = np.random.default_rng(0).integers(0, 4, N_BASES).astype(np.uint8)
    onehot = torch.nn.functional.one_hot(torch.from_numpy(codes.astype(np.int64)), 4).float()[None]
    coarse, fine = mine.engine(COARSE), mine.engine(FINE)
    of_bins = [head for head in mine.track_heads if head.startswith("human") and head.endswith("128bp")]

    def full() -> Any:
        with torch.inference_mode():
            return peer(onehot, organism_index=0)

    def everything() -> Any:
        return dict(fine.all_tracks(codes))

    def bins() -> Any:
        with torch.inference_mode():
            embedding = coarse.embed(codes[None], Bins(0, N_BASES // 128))
            return {head: mine.tracks(embedding, head) for head in of_bins}

    worst = apart(mine, everything(), full())
    with torch.inference_mode():
        read = Bins(N_BASES // 2 - 256, 512)
        exact = max(
            largest(mine.engine(head).embed(codes[None], part), PlainEngine(mine, head).embed(codes[None], part))
            for head, part in ((COARSE, Bins(0, N_BASES // 128)), (FINE, read))
        )
    bins()
    taken = seconds({"theirs": full, "all": everything, "bins": bins}, N_ROUNDS, long=True)
    what, each = f"{N_BASES:,} bp", taken["theirs"]
    rate = measured_rate(torch.float32)
    bench = SnvBench(mine, COARSE, N_BASES, PEER)
    return [
        faster(f"{what}, all heads of an organism", PEER, 1 / taken["all"], 1 / each, 1.3),
        *(Row(f"{what}: largest difference of {name}, relative", PEER, f"{e:.1e}", "<= 1e-4", e <= 1e-4) for name, e in worst),
        faster(f"{what}, all heads of 128 bases", f"{PEER}, all heads", 1 / taken["bins"], 1 / each, 2.5),
        limit(f"{what}, 128 bases", mine, COARSE, N_BASES, N_BASES // 128, rate, taken["bins"]),
        Row("embeddings: largest difference, relative", "the plain modules", f"{exact:.1e}", "<= 1e-5", exact <= 1e-5),
        *bench.rows(each=each, near=6.0, far=2.5),
        centre_mask(mine, each),
    ]


def theirs() -> Any:
    """An AlphaGenome of alphagenome-pt with the published outputs, norms with the averages of a random window."""
    import torch

    try:
        import alphagenome_pt
        from alphagenome_pt.layers import BatchNorm
    except ImportError as error:
        raise NotHere(f"alphagenome-pt is not installed ({error})") from error
    from genoformer.models.alphagenome.config import PUBLISHED

    heads: dict[str, Any] = {}
    for name, (n_rows, *counts) in PUBLISHED.items():
        masks = [[1] * n + [0] * (n_rows - n) for n in counts]
        if "usage" in name:
            masks = [2 * ([1] * (n // 2) + [0] * ((n_rows - n) // 2)) for n in counts]
        n_key, mask_key = ("num_tissues", "tissue_mask") if "junction" in name else ("num_tracks", "track_mask")
        heads[name] = {n_key: [n_rows] * 2, mask_key: masks}
        if "splice" not in name and "contact" not in name:
            heads[name]["means"] = np.random.default_rng(1).uniform(0.2, 1.2, (2, n_rows)).tolist()
    torch.manual_seed(0)
    config = alphagenome_pt.AlphaGenomeConfig(
        max_seq_len=max(N_BASES, 131_072), dtype_policy="float32", metadata={"organisms": ["human", "mouse"], "heads": heads}
    )
    model = alphagenome_pt.AlphaGenome(config).eval()

    def follow(module: Any, inputs: tuple[Any, ...]) -> None:
        x, dim = inputs[0], getattr(module, "channels_dim", -1) % inputs[0].ndim
        module.var_EMA.copy_(x.square().mean([i for i in range(x.ndim) if i != dim]))

    hooks = [module.register_forward_pre_hook(follow) for module in model.modules() if isinstance(module, BatchNorm)]
    codes = torch.from_numpy(np.random.default_rng(2).integers(0, 4, 8192))
    with torch.no_grad():
        model(torch.nn.functional.one_hot(codes, 4).float()[None], organism_index=0)
    for hook in hooks:
        hook.remove()
    return model


def ours(model: Any) -> Any:
    """The same model, through its folder."""
    from genoformer.models import registry
    from genoformer.models.base import PredictsTracks

    with tempfile.TemporaryDirectory() as folder:
        model.save(folder)
        return registry.load(folder, PredictsTracks)


def largest(a: Any, b: Any) -> float:
    return float((a - b).abs().max() / b.abs().max())


def apart(model: Any, found: dict[str, Any], expected: dict[str, Any]) -> list[tuple[str, float]]:
    """The largest relative difference of each head."""
    differences = []
    for head, values in found.items():
        output, size = (head, 0) if head not in model.track_heads else model.parts_of(head)[1:]
        tensor = expected[output].get(f"predictions_{size}bp", expected[output].get("predictions"))
        rows = model.outputs[output].get_buffer("rows_0")
        differences.append((head, largest(values, tensor.movedim(-1, 1)[:, rows])))
    return differences


def centre_mask(model: Any, each: float) -> Row:
    """The 501 bases around an SNV at 1 base, both alleles, against a full pass of the peer for each."""
    import torch

    from genoformer.models.base import Bins

    text = "".join(np.random.default_rng(5).choice(list("ACGT"), N_BASES))
    engine = model.engine(FINE)
    bases = Bins(N_BASES // 2 - MASK // 2, MASK)
    with genome_of(text) as genome:
        codes = genome.window("c", 0, N_BASES)
        variant = snv(text, N_BASES // 2)
        other = codes.copy()
        other[variant.pos - 1] = "ACGT".index(variant.alt)

        def score() -> None:
            with torch.inference_mode():
                embeddings = engine.stretch(codes).window(0, N_BASES).embed([None, other], bases)
                model.tracks(embeddings, FINE)

        score()
        seconds_of_both = timed(score)
    what = f"tracks of {MASK} bases around an SNV at 1 base, {N_BASES:,} bp, one pair of alleles alone"
    return faster(what, f"{PEER}, a full pass per allele", 2 / seconds_of_both, 1 / each, 4.0, "alleles/s")


if __name__ == "__main__":
    script(main)
