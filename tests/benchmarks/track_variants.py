"""Scores of SNVs by a track model, and the limit of the arithmetic: shared by the benchmarks of Borzoi and AlphaGenome."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from common import Row, faster

N_SNVS = int(os.environ.get("TRACK_SNVS", "16"))
SPACING = 20_000 / 16  # bases between near SNVs: 16 within 20 kb
SCALE = 131_072  # bases of the window whose averages batch norms get


class SnvBench:
    """SAD of all tracks of a head, one strand: SNVs near each other, far apart, and mutagenesis projected from passes.

    Windows lie on the lattice, as by default (`--anchor grid`): near SNVs share windows, and a window its reference. Fewer SNVs
    (TRACK_SNVS) are as dense as 16 within 20 kb, so that about as many share a window. exact: the model in float32, for one in
    bfloat16, which is compared with it instead of the plain modules.
    """

    def __init__(self, model: Any, head: str, n_bases: int, peer: str, exact: Any = None) -> None:
        self.model, self.head, self.n_bases, self.peer, self.exact = model, head, n_bases, peer, exact

    def rows(self, each: float, near: float, far: float, mutagenesis: float | None = None) -> list[Row]:
        """Rows of speeds and of the exactness; each: seconds of a forward pass of the peer in float32; the others: targets."""
        n_far = min(4, N_SNVS)
        text = "".join(np.random.default_rng(3).choice(list("ACGT"), self.n_bases + n_far * self.n_bases))
        with genome_of(text) as genome:
            middle = len(text) // 2
            half = int(N_SNVS * SPACING / 2)
            places = np.linspace(middle - half, middle + half, N_SNVS).astype(int).tolist()
            together = [snv(text, place) for place in places]
            apart = [snv(text, self.n_bases // 2 + i * self.n_bases) for i in range(n_far)]
            scorer = self._scorer(genome, self.model)
            scorer.values(together[:1])  # weights are prepared once
            near_s = timed(lambda: scorer.values(together))
            far_s = timed(lambda: scorer.values(apart)) / n_far
            more = [snv(text, middle + i // 3, 1 + i % 3) for i in range(4)]
            maps = {
                "all tracks": mutagenesis_seconds(scorer, more),
                "one track": mutagenesis_seconds(self._scorer(genome, self.model, [0]), more),
            }
            oracle = scorer.reference_scorer() if self.exact is None else self._scorer(genome, self.exact)
            fast, naive = (watched(made, together[:1]) for made in (scorer, oracle))
        of_tracks, of_scores = (np.abs(a - b).max() / np.abs(b).max() for a, b in zip(fast, naive, strict=True))
        precision = "float32" if self.exact is None else "bfloat16"
        oracle_name = "the plain modules" if self.exact is None else "ours in float32"
        what = f"{N_SNVS} SNVs within {N_SNVS * SPACING / 1000:.3g} kb, {self.head}, {self.n_bases:,} bp, {precision}"
        rows = [
            faster(what, f"{self.peer}, two forwards a variant", N_SNVS / near_s, 1 / (2 * each), near, "variants/s"),
            faster(f"{n_far} SNVs far apart, the same", self.peer, 1 / far_s, 1 / (2 * each), far, "variants/s"),
            Row(
                f"{what}: largest difference of a track of ALT, relative to the largest",
                oracle_name,
                f"{of_tracks:.1e}",
                *(("<= 1e-5", bool(of_tracks <= 1e-5)) if self.exact is None else ()),
            ),
            Row(f"{what}: of SAD, relative to the largest SAD (tracks cancel)", oracle_name, f"{of_scores:.1e}"),
        ]
        if mutagenesis is not None:
            for of, taken in maps.items():
                name = f"mutagenesis of 200 bp (600 SNVs), {of}, {precision}, projected from measured passes"
                peer = f"{self.peer}, 601 forwards, all tracks"
                rows.append(faster(name, peer, 1 / taken, 1 / (601 * each), mutagenesis, "maps/s"))
        return rows

    def _scorer(self, genome: Any, model: Any, only: list[int] | None = None) -> Any:
        from genoformer.scoring.scores import SCORES
        from genoformer.scoring.settings import Scoring, TrackOptions
        from genoformer.scoring.track_scorer import TrackScorer

        tracks = TrackOptions(self.head, tracks=only, scale="model")
        scoring = Scoring((model,), (SCORES["SAD"],), context=self.n_bases, both_strands=False, tracks=tracks)
        return TrackScorer(genome, scoring)


@contextmanager
def genome_of(text: str) -> Iterator[Any]:
    """A genome of one contig, c."""
    from genoformer.genome.reference import Genome

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "g.fa"
        path.write_text(f">c\n{text}\n")
        yield Genome(path)


def snv(text: str, place: int, step: int = 1) -> Any:
    from genoformer.genome.variants import Variant

    return Variant("c", place + 1, text[place], "ACGT"["ACGT".index(text[place]) - step])


def watched(scorer: Any, variants: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """The tracks of the ALT of the first variant, and its scores."""
    tracks: list[np.ndarray] = []
    true = scorer.predictor.evidence

    def keep(alleles: Any) -> Any:
        tracks.append(alleles.alt.tracks[0])
        return true(alleles)

    scorer.predictor.evidence = keep
    values = np.asarray(scorer.values(variants)[0][0])
    scorer.predictor.evidence = true
    return tracks[0], values


def mutagenesis_seconds(scorer: Any, snvs: list[Any]) -> float:
    """Seconds for the 600 SNVs of 200 bp, from those of a few; the first of them also takes the pass of the reference."""
    one, several = timed(lambda: scorer.values(snvs[:1])), timed(lambda: scorer.values(snvs))
    return one + (several - one) / (len(snvs) - 1) * (3 * 200 - 1)


def timed(task: Callable[[], object]) -> float:
    begin = time.perf_counter()
    task()
    return time.perf_counter() - begin


def limit(what: str, model: Any, head: str, n_bases: int, n_bins: int, rate: float, seconds: float) -> Row:
    """The time that the operations need at a measured rate, as a fraction of the time taken."""
    from genoformer.models import cost

    like = cost.meta_model(type(model), model.config).eval()
    n = 2 * cost.trace(like, cost.track_run(like, head, n_bases, n_bins)).multiply_adds
    share = n / rate / seconds
    return Row(
        f"{what}: fraction of the limit of the machine", "", f"{share:.0%}", ">= 85 %", share >= 0.85, f"{n / 1e12:.2f} TFLOP"
    )


def measured_rate(dtype: Any) -> float:
    """Operations per second of the faster of a large convolution and a large matrix product."""
    import torch

    a, b = torch.randn(4096, 1536).to(dtype), torch.randn(3072, 1536).to(dtype)
    x = torch.randn(1, 1056, 1, 4096).to(dtype).contiguous(memory_format=torch.channels_last)
    w = torch.randn(1280, 1056, 1, 5).to(dtype).contiguous(memory_format=torch.channels_last)
    rates = []
    with torch.inference_mode():
        for n, task in (
            (2 * 4096 * 1536 * 3072, lambda: torch.nn.functional.linear(a, b)),
            (2 * 4092 * 5 * 1056 * 1280, lambda: torch.nn.functional.conv2d(x, w)),
        ):
            rates += [n / timed(task) for _ in range(5)]
    return max(rates)
