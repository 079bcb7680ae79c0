"""Scores of tracks at full size: Enformer's shape with random weights, 16 SNVs, beside two forwards of enformer-pytorch each.

One strand, all 5,313 tracks, SAD. The SNVs lie within 20 kb (one stretch, few windows), or far apart (each in a window of its
own); mutagenesis of 200 bases is projected from passes that are measured. The naive way is ours, every sequence whole through
the plain modules. In the same process; theirs is measured on some windows before and after ours, and counted twice a variant,
ours once each, since a run takes minutes. The averages of its batch norms are those of one random window: with those it is made
with, one base in 196,608 moves no track by more than float32 rounds, and there is nothing to compare.
"""

from __future__ import annotations

import copy
import os
import time
from functools import partial
from typing import Any

import numpy as np
from bench_longrange import N_BASES, N_BINS, PEER, ours, theirs
from common import Row, faster, script
from track_variants import timed, watched

N_SNVS = int(os.environ.get("TRACK_SNVS", "16"))
WITHIN = 20_000
N_THEIRS = 3  # windows that theirs is measured on


def main() -> list[Row]:
    import tempfile
    from pathlib import Path

    import torch

    from genoformer.genome.reference import Genome
    from genoformer.genome.variants import Variant
    from genoformer.models.plain_engine import one_hot
    from genoformer.scoring.scores import SCORES
    from genoformer.scoring.settings import AlleleComparison, Scoring, TrackOptions
    from genoformer.scoring.track_scorer import TrackScorer

    peer = theirs(use_tf_gamma=N_BASES == 196_608, target_length=N_BINS)
    rng = np.random.default_rng(3)
    sensitive(peer, rng)
    mine = ours(peer)
    half = copy.deepcopy(mine).to(torch.bfloat16)
    text = "".join(rng.choice(list("ACGT"), N_BASES + N_SNVS * 20_000))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "g.fa"
        path.write_text(f">c\n{text}\n")
        genome = Genome(path)

        def variants(places: list[int]) -> list[Variant]:
            return [Variant("c", p + 1, text[p], "ACGT"["ACGT".index(text[p]) - 1]) for p in places]

        middle = len(text) // 2
        near = variants(np.linspace(middle - WITHIN // 2, middle + WITHIN // 2, N_SNVS).astype(int).tolist())
        far = variants([N_BASES // 2 + i * 20_000 for i in range(min(4, N_SNVS))])

        def scorer(model: Any, **changed: Any) -> TrackScorer:
            tracks = TrackOptions("human", settings=AlleleComparison(**changed))
            return TrackScorer(genome, Scoring((model,), (SCORES["SAD"],), both_strands=False, tracks=tracks))

        onehot = one_hot(torch.from_numpy(genome.windows("c", [0], N_BASES))).transpose(1, 2).contiguous()

        def forward() -> None:
            with torch.inference_mode():
                peer(onehot, head="human")

        forward()
        taken = {"theirs": [timed(forward) for _ in range(N_THEIRS)]}
        found: dict[str, np.ndarray] = {}

        def run(name: str, made: TrackScorer, rows: list[Variant]) -> float:
            begin = time.perf_counter()
            found[name] = made.values(rows)[0]
            return time.perf_counter() - begin

        alone = [timed(partial(lambda v: scorer(mine, anchor="variant").values([v]), v)) for v in far]  # a window each
        near_32, near_16 = run("near", scorer(mine), near), run("half", scorer(half), near)
        snvs = [
            v
            for place in (middle, middle + 1)
            for v in (near[0]._replace(pos=place + 1, ref=text[place], alt=a) for a in "ACGT" if a != text[place])
        ]
        one, several = run("one", scorer(mine), snvs[:1]), run("several", scorer(mine), snvs)
        fast, naive = (watched(made, near[:1]) for made in (scorer(mine), scorer(mine).reference_scorer()))
        taken["theirs"] += [timed(forward)]
    each = 2 * float(np.median(taken["theirs"]))
    of_tracks, of_scores = (float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(fast, naive, strict=True))
    rough = float(np.abs(found["half"] - found["near"]).max() / np.abs(found["near"]).max())
    marginal = (several - one) / (len(snvs) - 1)
    ism = one + marginal * (3 * 200 - 1)
    what = f"{N_SNVS} SNVs within {WITHIN // 1000} kb, ref and alt, one strand"
    return [
        faster(f"{what}, float32", f"{PEER}, two forwards a variant", N_SNVS / near_32, 1 / each, 6.0, "variants/s"),
        faster(f"{what}, bfloat16", f"{PEER}, float32", N_SNVS / near_16, 1 / each, 12.0, "variants/s"),
        faster(
            f"SNVs far apart, each in a window of its own, float32 ({len(far)} of them)",
            PEER,
            1 / float(np.median(alone)),
            1 / each,
            3.0,
            "variants/s",
        ),
        Row(
            f"{what}: largest difference of a track of ALT, relative to the largest",
            "the naive way, one SNV",
            f"{of_tracks:.1e}",
            "<= 1e-5",
            of_tracks <= 1e-5,
        ),
        Row(
            f"{what}: largest difference of SAD, relative to the largest SAD (tracks cancel)",
            "the naive way, one SNV",
            f"{of_scores:.1e}",
        ),
        Row(f"{what}, bfloat16: the same", "ours in float32", f"{rough:.1e}"),
        faster(
            "mutagenesis of 200 bp (600 SNVs), projected from measured passes",
            f"{PEER}, 601 forwards",
            1 / ism,
            1 / (601 * each / 2),
            6.0,
            "maps/s",
        ),
    ]


def sensitive(model: Any, rng: np.random.Generator) -> None:
    """Sets the averages of batch norms to those of a random window."""
    import torch

    codes = torch.from_numpy(rng.integers(0, 4, (1, N_BASES)))
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.nn.functional.one_hot(codes, 4).float(), head="human")
    model.eval()


if __name__ == "__main__":
    script(main)
