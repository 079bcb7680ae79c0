"""Planted motifs found again: by attention and mutagenesis of the demo model, by attributions of a classifier of 80-base tiles.

The demo model is asked about 300 bases around the middle of each of the demo world's 527 elements. The classifier is trained
here, from scratch, on tiles inside and outside of the elements of another world (seed 77, 8 Mb), and asked about 320 bases of
every third element of it. Each map goes through DNABERT-viz's stages over as many windows outside of the elements, and where it
says what each base would add also through TF-MoDISco. A motif is a planted family's if that is its best Tomtom match among the
twelve, q < 0.01. A planted site counts as found where FIMO (p < 1e-4) lays a motif of its family over half of it.

MOTIFS_CLASSIFIER names a folder of a classifier that is trained already.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import Row, script

TILE, N_TILES, WIDE, FLANK = 80, 4, 300, 64
LEAST = 0.8  # of the families, by the best method
ENCODER = {
    "width": 96,
    "n_layers": 2,
    "n_heads": 4,
    "ffn_width": 192,
    "context_length": 80,
    "position": "rotary",
    "norm": "pre",
    "conv_kernel": 15,
}
TRAINING = {"epochs": 4, "learning_rate": 1.5e-3, "batch_size": 128, "both_strands": True, "precision": "bf16-mixed"}


class Places(NamedTuple):
    """Windows of elements, the planted sites in them, and windows outside."""

    codes: Any  # [B, L]
    flanked: Any  # [B, FLANK + L + FLANK]
    sites: list[tuple[int, int, int, str]]  # window, start, end, family
    others: Any

    @property
    def truth(self) -> Any:
        """[B, L], the bases of sites."""
        found = np.zeros(self.codes.shape, dtype=bool)
        for i, start, end, _ in self.sites:
            found[i, max(0, start) : end] = True
        return found


def main() -> list[Row]:
    rows = []
    demo = Path(str(files("genoformer_data"))) / "demo"
    places = windows(demo, WIDE, 1)
    attention, mutagenesis = demo_maps(places)
    rows += found_again("attention received, layers 1 and 2 of the demo model", places, attention)
    hypothetical = mutagenesis - mutagenesis.mean(-1, keepdims=True)
    rows += found_again("mutagenesis by the demo model", places, -mutagenesis.sum(-1) / 3, hypothetical)
    with tempfile.TemporaryDirectory() as folder:
        world, classifier = trained(Path(folder))
        places = windows(world, TILE * N_TILES, 3)
        of = attributed(classifier, places)
        own = np.take_along_axis(of, np.minimum(places.codes, 3)[..., None].astype(int), axis=-1)[..., 0]
        rows += found_again("gradient x input of the classifier of tiles", places, own, of)
    best = max((row for row in rows if row.target), key=lambda row: float(row.value.split("/")[0]))
    return [*rows, best._replace(what=f"best method: {best.what}", target=f">= {LEAST:.0%}", met=_share(best) >= LEAST)]


def _share(row: Row) -> float:
    found, _, of = row.value.split(" ")[0].partition("/")
    return float(found) / float(of)


def windows(world: Path, length: int, every: int) -> Places:
    """Of a simulated world."""
    from genoformer import Genome
    from genoformer.formats.bed import read_regions

    rng = np.random.default_rng(0)
    genome = Genome(world / "genome.fa.gz")
    peaks = list(read_regions(world / "peaks.narrowPeak.gz"))
    inside = {contig: np.zeros(n, dtype=bool) for contig, n in genome.contigs.items()}
    for peak in peaks:
        inside[peak.chrom][max(0, peak.start - 50) : peak.end + 50] = True
    chosen = [(peak.chrom, (peak.start + peak.end) // 2 - length // 2) for peak in peaks[::every]]
    others: list[Any] = []
    while len(others) < len(chosen):
        contig = str(rng.choice(list(genome.contigs)))
        start = int(rng.integers(500, genome.contigs[contig] - 500 - length))
        if not inside[contig][start : start + length].any():
            others.append(genome.window(contig, start, length))
    starts: dict[str, Any] = {}
    for i, (contig, start) in enumerate(chosen):
        starts.setdefault(contig, []).append((start, i))
    sites = []
    for site in read_regions(world / "motifs.bed.gz"):
        for start, i in starts.get(site.chrom, ()):
            if site.start < start + length and site.end > start:
                sites.append((i, site.start - start, site.end - start, site.name))
    flanked = np.stack([genome.window(contig, start - FLANK, length + 2 * FLANK) for contig, start in chosen])
    return Places(flanked[:, FLANK:-FLANK], flanked, sites, np.stack(others))


def demo_maps(places: Places) -> tuple[Any, Any]:
    """What is looked at [B, L], and LLR of every change [B, L, 4], each base in the middle of its window of a sequence."""
    from genoformer import load
    from genoformer.inference import evaluating, predict_bases
    from genoformer.interpretation.attention_maps import attention_profiles
    from genoformer.interpretation.loci import Locus
    from genoformer.interpretation.request import AttentionOptions

    model = load("demo")
    wide, length = model.config.context_length, places.codes.shape[1]
    total, n = np.zeros(places.codes.shape), np.zeros(length)
    for start in np.linspace(0, length - wide, 3).astype(int):
        part = [Locus("", "", 0, codes[start : start + wide]) for codes in places.codes]
        total[:, start : start + wide] += np.stack(attention_profiles(model, part, AttentionOptions("received", layers=[1, 2])))
        n[start : start + wide] += 1
    with evaluating(model, precision="bfloat16") as ready:
        log2_p = np.stack([predict_bases(ready, codes, FLANK, FLANK + length) for codes in places.flanked])
    own = np.take_along_axis(log2_p, np.minimum(places.codes, 3)[..., None].astype(int), axis=-1)
    return total / n, log2_p - own


def trained(folder: Path) -> tuple[Path, Any]:
    """The world, and a classifier of tiles inside and outside of its elements, contig chrS8 held out."""
    from genoformer import Genome, simulate
    from genoformer.datasets.sequences import read_labelled
    from genoformer.formats.bed import read_regions
    from genoformer.genome.codes import decode
    from genoformer.models import registry
    from genoformer.training.config import FinetuneConfig, TuningConfig
    from genoformer.training.finetune import finetune
    from genoformer.training.jobs import FinetuneJob

    world = simulate(folder / "world", seed=77, n_contigs=8, contig_length=1_000_000, n_variants=800)
    if ready := os.environ.get("MOTIFS_CLASSIFIER"):
        return world.folder, registry.load(ready)
    rng, genome = np.random.default_rng(0), Genome(world.genome)
    lines: dict[str, list[str]] = {"train": [], "valid": []}
    spans: dict[str, list[tuple[int, int]]] = {}
    for peak in read_regions(world.peaks):
        spans.setdefault(peak.chrom, []).append((peak.start, peak.end))
    for contig, of in spans.items():
        mine = lines["valid" if contig == "chrS8" else "train"]
        inside = np.zeros(genome.contigs[contig], dtype=bool)
        starts = [start for a, b in of for start in range(a, b - TILE + 1, TILE)]
        for a, b in of:
            inside[a:b] = True
        mine += [f"{decode(genome.window(contig, start, TILE))}\telement\n" for start in starts]
        n = len(starts)
        while n:
            start = int(rng.integers(500, genome.contigs[contig] - 500 - TILE))
            if not inside[start : start + TILE].any():
                mine.append(f"{decode(genome.window(contig, start, TILE))}\tnone\n")
                n -= 1
    lines["valid"] = [lines["valid"][i] for i in rng.permutation(len(lines["valid"]))[:2_000]]
    for split, rows in lines.items():
        (folder / f"{split}.tsv").write_text("sequence\tlabel\n" + "".join(rows))
    config = FinetuneConfig({"tokenizer": "base"}, ENCODER, TuningConfig(**TRAINING))  # type: ignore[arg-type]
    train, valid = (read_labelled(folder / f"{split}.tsv") for split in ("train", "valid"))
    finetune(FinetuneJob(train, folder / "run", "classify", config, valid))
    return world.folder, registry.load(folder / "run")


def attributed(model: Any, places: Places) -> Any:
    """What each base would add to the logit of an element, tile by tile, [B, L, 4]."""
    from genoformer.interpretation.attribution import attributions
    from genoformer.interpretation.loci import Locus
    from genoformer.interpretation.targets import AttributionTarget

    tiles = places.codes.reshape(-1, TILE)
    output = AttributionTarget(model.config.classes.index("element"))
    found = attributions(model, [Locus("", "", 0, codes) for codes in tiles], output=output)
    return np.concatenate([of.hypothetical for of in found]).reshape(*places.codes.shape, 4)


def found_again(what: str, places: Places, values: Any, hypothetical: Any = None) -> list[Row]:
    """How well a map names the bases of sites, and which families its motifs are."""
    from sklearn.metrics import average_precision_score

    from genoformer.interpretation.dnabert_viz import DiscoveryLimits, discover
    from genoformer.interpretation.modisco import patterns

    truth = places.truth
    precision = average_precision_score(truth.ravel(), values.ravel())
    rows = [Row(f"{what}: average precision of bases in planted sites", f"chance {truth.mean():.2f}", f"{precision:.2f}")]
    limits = DiscoveryLimits(shortest=6 if hypothetical is not None else 5, min_fold=0)
    found = discover(list(places.codes), list(values), list(places.others), limits)
    rows.append(families(f"{what}, DNABERT-viz's stages", places, [motif.matrix for motif in found.motifs]))
    if hypothetical is not None:
        made = patterns(places.codes, hypothetical)
        rows.append(families(f"{what}, TF-MoDISco", places, [pattern.matrix for pattern in made]))
    for row in rows:
        print(row, flush=True)
    return rows


def families(what: str, places: Places, matrices: Sequence[Any]) -> Row:
    """Planted families among motifs, and how many of the motifs are one; sites and places as said above."""
    from genoformer.formats.motif_matrix import Matrix
    from genoformer.interpretation.matrices import fimo, tomtom, trimmed
    from genoformer.simulation.motifs import load_motifs

    known = [Matrix(name, np.exp2(motif.log2p)) for name, motif in load_motifs().items()]
    some = [trimmed(matrix) for matrix in matrices]
    matches = {match.query: match for match in tomtom(some, known, n_nearest=1) if match.q < 0.01} if some else {}
    right = {match.target for match in matches.values()}
    hits = fimo([matrix for matrix in some if matrix.name in matches], list(places.codes), threshold=1e-4) if matches else []
    over = {(i, j): family for j, (i, *_, family) in enumerate(places.sites)}
    by_window: dict[int, list[int]] = {}
    for i, j in over:
        by_window.setdefault(i, []).append(j)
    found, true = set(), 0
    for hit in hits:
        here = [
            j
            for j in by_window.get(hit.sequence, ())
            if places.sites[j][3] == matches[hit.motif].target
            and 2 * (min(hit.end, places.sites[j][2]) - max(hit.start, places.sites[j][1]))
            >= min(hit.end - hit.start, places.sites[j][2] - places.sites[j][1])
        ]
        found.update(here)
        true += bool(here)
    names = ", ".join(sorted({motif.name for motif in known} - right)) or "none"
    share = f"{len(matches)} of {len(some)} motifs are one" if some else "no motif"
    sites = f"; sites: recall {len(found) / len(places.sites):.0%}, precision {true / max(len(hits), 1):.0%}" if hits else ""
    what = f"{what}: planted families (missing: {names})"
    return Row(what, "Tomtom, q < 0.01", f"{len(right)}/{len(known)} ({share}{sites})", " ")


if __name__ == "__main__":
    script(main)
