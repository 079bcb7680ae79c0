"""Pictures of docs/figures.md: name of a function of `plots` -> an example with simulated data.

The site draws them when it is built, so that they are those of the code.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from genoformer import plots

Draw = Callable[[Sequence[Axes]], object]
WIDTH = 4.5  # of a picture in inches
_FONT = 10.1  # points, the base size of the figures of commands


class Example(NamedTuple):
    """A picture: the heights of its panels in inches, and the function that draws them."""

    heights: tuple[float, ...]
    draw: Draw


def _random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _codes(n: int) -> Any:
    return _random(4).integers(0, 4, n).astype(np.uint8)


def _log2_p(n: int) -> Any:
    p = _random(1).dirichlet([0.3] * 4, n)
    return np.log2(p + 1e-6)


def _signal(seed: int = 0, n: int = 120) -> Any:
    x = np.arange(n)
    peaks = sum(a * np.exp(-0.5 * ((x - m) / 4) ** 2) for a, m in ((8, 30), (5, 66), (3, 95)))
    return peaks + _random(seed).gamma(1.0, 0.3, n)


EDGES = 1_000_000 + 128 * np.arange(121)
GENES = [("GENE1", "+", [[1_001_000, 1_001_300], [1_003_600, 1_004_000]]), ("GENE2", "-", [[1_009_000, 1_009_600]])]
ELEMENTS = {"enhancers": [[1_006_000, 1_006_900], [1_011_900, 1_012_600]]}


def _curves() -> dict[str, tuple[Any, Any]]:
    random = _random(2)
    truth = random.random(300) < 0.4
    names = ("fine-tuned model", "k-mer regression", "CNN")
    return {name: (truth, random.normal(size=300) + shift * truth) for name, shift in zip(names, (2.0, 1.3, 0.7), strict=True)}


def _allele_logos(axes: Sequence[Axes]) -> None:
    ref = plots.letters(_codes(24), _random(5).normal(0.4, 0.5, 24))
    alt = ref.copy()
    alt[12] = [0, 0, 1.4, 0]
    plots.allele_logos(axes, ref, alt, first=1_000_001, changed=(12, 1, 1), label="ISM of LLR (bits)")
    plots.allele_coordinates(axes, 1_000_001, 24, (12, 1, 1), "chr20")


def _heat_map(axes: Sequence[Axes]) -> None:
    codes, values = _codes(30), _random(6).normal(0, 0.6, (30, 4))
    values[np.arange(30), codes] = 0
    plots.heat_map(axes[0], values, codes, first=1_000_001, label="LLR (bits)")
    plots.coordinates(axes[0], 1_000_000, 1_000_030, "chr20")


def _tracks(axes: Sequence[Axes]) -> None:
    values = np.stack([_signal(0), _signal(3) * 0.8])
    plots.tracks(axes, EDGES, values, labels=["DNASE: measured", "DNASE: predicted"], groups=["DNASE"] * 2, chrom="chr20")


def _allele_tracks(axes: Sequence[Axes]) -> None:
    ref = _signal()
    alt = ref * (1 - 0.4 * np.exp(-0.5 * ((np.arange(120) - 66) / 5) ** 2))
    plots.allele_tracks(axes, EDGES, ref, alt, label="DNASE of liver", chrom="chr20", at=1_008_400)


def _attention_map(axes: Sequence[Axes]) -> None:
    edges = EDGES[:41]
    distance = np.abs(np.subtract.outer(np.arange(40), np.arange(40)))
    weights = np.exp(-distance / 6) + 0.5 * _random(7).random((40, 40))
    plots.attention_map(axes[0], weights / weights.sum(1, keepdims=True), edges, edges, chrom="chr20")


def _contact_map(axes: Sequence[Axes]) -> None:
    change = _random(8).normal(0, 0.05, (40, 40))
    change[10:18, 24:32] -= 0.5
    plots.contact_map(axes[0], EDGES[:41], change + change.T, label="HFF cells", chrom="chr20", unit="contacts, ALT − REF")


def _contacts(axes: Sequence[Axes]) -> None:
    pairs = [(1_001_000.0, 1_006_450.0, 3.0), (1_001_000.0, 1_012_250.0, 1.2), (1_009_600.0, 1_006_450.0, 2.0)]
    plots.contacts(axes[0], pairs, start=1_000_000, end=1_015_000, label="strongest: GENE1 to 1,006,451")
    plots.coordinates(axes[0], 1_000_000, 1_015_000, "chr20")
    axes[0].tick_params(labelbottom=True)


def _landmarks(axes: Sequence[Axes]) -> None:
    plots.landmarks(axes[0], 1_000_000, 1_015_000, genes=GENES, elements=ELEMENTS)


def _calibration(axes: Sequence[Axes]) -> None:
    p = _random(9).beta(2, 2, 2_000)
    plots.calibration(axes[0], np.maximum(p, 1 - p), _random(10).random(2_000) < np.maximum(p, 1 - p) ** 1.2, low=0.5)


def _intervals_by_row(axes: Sequence[Axes]) -> None:
    rows = {
        "SAD": {"SORT1 (n = 1,700)": (0.41, 0.36, 0.46), "MYC (n = 1,500)": (0.22, 0.16, 0.28)},
        "SAR501": {"SORT1 (n = 1,700)": (0.45, 0.40, 0.50), "MYC (n = 1,500)": (0.25, 0.19, 0.31)},
    }
    plots.intervals_by_row(axes[0], rows, xlabel="Spearman correlation, 95 % interval", chance=0.0)


def _agreement(axes: Sequence[Axes]) -> None:
    x = _random(11).normal(size=400)
    plots.agreement(axes[0], x, 0.7 * x + _random(12).normal(0, 0.5, 400), label="expression")


def _two_histograms(axes: Sequence[Axes]) -> None:
    groups = {"motif-disrupting": _random(13).normal(-3, 1.5, 400), "neutral": _random(14).normal(0, 1, 900)}
    plots.two_histograms(axes[0], groups, xlabel="LLR (bits)")


def _scatter(axes: Sequence[Axes]) -> None:
    x = _random(15).uniform(2, 9, 300)
    plots.scatter(axes[0], x, -x / 2 + _random(16).normal(0, 1, 300), xlabel="loss of PWM score (bits)", ylabel="LLR (bits)")


def _principal_components(axes: Sequence[Axes]) -> None:
    centres = np.repeat(_random(17).normal(0, 2, (3, 16)), 80, axis=0)
    labels = np.repeat(["promoter", "enhancer", "other"], 80).tolist()
    plots.principal_components(axes[0], centres + _random(18).normal(size=(240, 16)), labels, name="element")


def _loss(axes: Sequence[Axes]) -> None:
    steps = np.arange(1_000)
    plots.loss_with_trend(
        axes[0], steps, 1.3 + 0.7 * np.exp(-steps / 150) + _random(19).normal(0, 0.03, 1_000), ylabel="loss (nats)"
    )
    axes[0].set_xlabel("step")


def _context_curve(axes: Sequence[Axes]) -> None:
    one = {k: 1.95 - 0.02 * k for k in range(0, 13, 2)}
    two = {m: 1.92 - 0.03 * m for m in range(0, 7)}
    plots.context_curve(axes[0], one, two, {"transformer": (1.63, 0.004)})
    axes[0].legend(frameon=False, fontsize="small")


def _stacked_fractions(axes: Sequence[Axes]) -> None:
    counts = {
        "lead SNPs": {"promoter": 90, "intron": 500, "intergenic": 410},
        "controls": {"promoter": 35, "intron": 465, "intergenic": 500},
    }
    plots.stacked_fractions(axes[0], counts, {"lead SNPs": 1_000, "controls": 1_000})


def _over_controls(axes: Sequence[Axes]) -> None:
    controls = [_random(20 + i).lognormal(0, 0.12, 300) for i in range(2)]
    notes = {"observed": ["212", "95"], "q": ["0.003", "0.4"]}
    plots.over_controls(axes[0], ["enhancers", "exons"], [2.1, 1.1], controls, notes, xlabel="observed / expected")


def _trait_matrix(axes: Sequence[Axes]) -> None:
    fold = np.array([[4.0, 1.0, 0.5], [1.2, 2.5, 1.0]])
    n = np.array([[12, 5, 2], [6, 9, 4]])
    plots.trait_matrix(axes[0], ["lipids", "height"], ["liver", "bone", "brain"], fold, n, n > 8)


GALLERY: dict[str, Example] = {
    "logo": Example((1.2,), lambda axes: plots.logo(axes[0], plots.information(_log2_p(24)), first=1)),
    "letters": Example(
        (1.2,), lambda axes: plots.logo(axes[0], plots.letters(_codes(24), _random(3).normal(0.3, 0.6, 24)), first=1)
    ),
    "allele_logos": Example((1.1, 1.1), _allele_logos),
    "heat_map": Example((1.4,), _heat_map),
    "landmarks": Example((0.9,), _landmarks),
    "tracks": Example((0.9, 0.9), _tracks),
    "allele_tracks": Example((1.2, 0.8), _allele_tracks),
    "attention_map": Example((2.9,), _attention_map),
    "contact_map": Example((2.9,), _contact_map),
    "contacts": Example((1.4,), _contacts),
    "roc": Example((2.9,), lambda axes: plots.roc(axes[0], *_curves()["fine-tuned model"], label="fine-tuned model")),
    "roc_curves": Example((2.9,), lambda axes: plots.roc_curves(axes[0], _curves())),
    "precision_recall": Example((2.9,), lambda axes: plots.precision_recall(axes[0], _curves())),
    "calibration": Example((3.2,), _calibration),
    "confusion": Example((2.9,), lambda axes: plots.confusion(axes[0], [[420, 60], [35, 285]], ["other", "enhancer"])),
    "comparison": Example(
        (1.3,),
        lambda axes: plots.comparison(
            axes[0],
            {"fine-tuned model": (0.71, 0.66, 0.76), "k-mer regression": (0.58, 0.52, 0.64), "CNN": (0.61, 0.55, 0.67)},
            xlabel="MCC with 95 % interval (n = 800)",
        ),
    ),
    "intervals_by_row": Example((1.5,), _intervals_by_row),
    "agreement": Example((2.9,), _agreement),
    "two_histograms": Example((2.0,), _two_histograms),
    "scatter": Example((2.4,), _scatter),
    "principal_components": Example((2.9,), _principal_components),
    "loss_with_trend": Example((2.0,), _loss),
    "context_curve": Example((2.4,), _context_curve),
    "stacked_fractions": Example((1.4,), _stacked_fractions),
    "over_controls": Example((1.3,), _over_controls),
    "trait_matrix": Example((1.8,), _trait_matrix),
}


def picture(name: str) -> bytes:
    """Return the PNG of an example."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    example = GALLERY[name]
    with mpl.rc_context({"font.size": _FONT}):
        figure = plots.new_figure(WIDTH, sum(example.heights) + 0.5)
        FigureCanvasAgg(figure)
        axes = figure.subplots(len(example.heights), 1, squeeze=False, height_ratios=example.heights)[:, 0]
        example.draw(list(axes))
        out = io.BytesIO()
        figure.savefig(out, dpi=200)
    return out.getvalue()


def gallery_text() -> str:
    """Return the Markdown of all pictures, in the order of the gallery."""
    cells = [
        f'<figure><img src="figures/{name}.png" alt="Example of plots.{name}" loading="lazy">'
        f"<figcaption><code>plots.{name}</code></figcaption></figure>"
        for name in GALLERY
    ]
    return f'<div class="gallery">{"".join(cells)}</div>'
