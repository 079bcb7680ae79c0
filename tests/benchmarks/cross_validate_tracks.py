"""Choose the recipe of mini-tracks: settings compared on held-out training windows, in folds of neighbouring windows.

    python tests/benchmarks/cross_validate_tracks.py run recipe --folds 3 --seeds 0 1
    python tests/benchmarks/cross_validate_tracks.py compare recipe motifs recipe+motifs recipe+recipe+ridge

`run` trains a setting without the windows of a fold, keeps the last step, and saves the predictions for them, both strands
averaged, as log(1 + x) in `build/tracks/cv`. `compare` prints Pearson's r of log(1 + x) over the positions of a fold, mean over
the tracks of a group and then over folds, with its spread. It averages all saved seeds, and settings joined by +, of which one
may be named twice; `ridge` is the regression on composition. The ten validation windows of the set are not read.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from bench_tracks import BIN, OUT, track_set
from common import data_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genoformer.datasets.track_set import TrackSet, Window

CV = OUT / "cv"
GROUPS = {"CAGE": slice(0, 24), "DNASE": slice(24, 34), "both": slice(0, 34), "RNA": slice(34, 74)}
APART = 5_000_000  # bases between two windows of different folds on a contig
MOTIFS = (  # JASPAR 2024 CORE, CC BY 4.0: factors of promoters and of open chromatin in many cells
    *("MA0139.2", "MA0079.5", "MA0506.3", "MA0062.4", "MA0060.4"),  # CTCF, SP1, NRF1, GABPA, NFYA
    *("MA0095.4", "MA0108.3", "MA0018.5", "MA0099.4", "MA0809.3"),  # YY1, TBP, CREB1, FOS::JUN, TEAD4
    *("MA0002.3", "MA0466.4", "MA0148.5", "MA0036.4", "MA0114.5"),  # RUNX1, CEBPB, FOXA1, GATA2, HNF4A
    *("MA0080.7", "MA0050.4", "MA0088.2", "MA0003.5", "MA0522.4"),  # SPI1, IRF1, ZNF143, TFAP2A, TCF3
)
UNLABELLED = ("chr2", "chr10", "chr11")  # slices of hg38 for annotation and unlabelled windows; chr1 and chr22 stay out


@dataclass(frozen=True)
class Setting:
    """Changes to one network of the recipe of mini-tracks, which has neither motifs nor a teacher.

    start: a set that is trained on first. teacher: the setting whose models teach. distil: fields of [distil].
    """

    model: dict[str, Any] = field(default_factory=dict)
    tracks: dict[str, Any] = field(default_factory=dict)
    start: str = ""  # "annotated" or "composed"
    teacher: str = ""
    motifs: bool = False
    distil: dict[str, Any] = field(default_factory=dict)


MIXED = {"composition": 0.5}
SETTINGS = {
    "recipe": Setting(),
    "motifs": Setting(motifs=True),
    "annotated": Setting(start="annotated"),
    "composed": Setting(start="composed"),
    "composed-motifs": Setting(start="composed", motifs=True),
    "dropout": Setting(model={"dropout": 0.4}),
    "slower": Setting(model={"dropout": 0.4}, tracks={"epochs": 20.0}),
    "shorter": Setting(tracks={"epochs": 6.0}),
    "student": Setting(teacher="recipe", tracks={"epochs": 4.0}),
    "student-mixed": Setting(teacher="recipe", tracks={"epochs": 4.0}, distil=MIXED),
    "student-motifs": Setting(teacher="recipe", motifs=True, tracks={"epochs": 4.0}, distil=MIXED),
    "student-longer": Setting(teacher="recipe", motifs=True, tracks={"epochs": 9.0}, distil=MIXED),
    "student-motifs-mixed": Setting(teacher="motifs", motifs=True, tracks={"epochs": 4.0}, distil=MIXED),
}


def folds_of(windows: Sequence[Window], n_folds: int) -> list[list[int]]:
    """The rows of each fold: windows less than APART from each other are in one, and folds have nearly the same size."""
    order = sorted(range(len(windows)), key=lambda i: windows[i][:2])
    groups: list[list[int]] = []
    for before, i in zip([None, *order], order, strict=False):
        near = before is not None and windows[before].chrom == windows[i].chrom
        if near and before is not None and windows[i].start - windows[before].end < APART:
            groups[-1].append(i)
        else:
            groups.append([i])
    np.random.default_rng(0).shuffle(groups)
    folds: list[list[int]] = [[] for _ in range(n_folds)]
    for group in sorted(groups, key=len, reverse=True):
        min(folds, key=len).extend(group)
    return [sorted(fold) for fold in folds]


def training_windows() -> TrackSet:
    """The windows of split train, without those that validate."""
    data = track_set()
    rows = data.rows("train")
    assert (rows == np.arange(len(rows))).all()
    n = len(rows)
    return replace(data, sequence=data.sequence[:n], tracks=data.tracks[:n], windows=data.windows[:n])


def without(data: TrackSet, held_out: Sequence[int]) -> TrackSet:
    """The set without the windows of a fold."""
    rows = [i for i in range(len(data)) if i not in held_out]
    windows = tuple(data.windows[i] for i in rows)
    return replace(data, sequence=data.sequence[rows], tracks=data.tracks[rows], windows=windows)


def motif_file() -> Path:
    """The motifs of MOTIFS in MEME format."""
    from genoformer.formats.motif_files import read_matrices, write_meme

    path = OUT / "motifs.meme"
    if not path.exists():
        named = {
            matrix.name.split()[0]: matrix for matrix in read_matrices(data_folder() / "motifs" / "jaspar2024_core.transfac.gz")
        }
        write_meme(path, [named[name] for name in MOTIFS])
    return path


def annotated_set(data: TrackSet, *, composed: bool) -> TrackSet:
    """Windows of slices of hg38 with TSSs, CTCF and ZNF263 peaks and genes, and if `composed` GC and CpG around each bin."""
    from genoformer.datasets.track_build import build_tracks
    from genoformer.datasets.track_set import read_tracks
    from genoformer.formats.track_table import Track, TrackTable
    from genoformer.genome.reference import Genome
    from genoformer.training.soft_tracks import unlabelled_windows
    from genoformer.training.stage_config import TrackDistilConfig

    out = OUT / ("composed-set" if composed else "annotated-set")
    if (out / "manifest.json").exists():
        return read_tracks(out)
    folder = OUT / "annotation"
    folder.mkdir(parents=True, exist_ok=True)
    names = _annotation(folder)
    with Genome(data_folder() / "hg38" / "hg38.sparse.fa.gz") as genome:
        everything = replace(track_set(), windows=tuple(window._replace(split="valid") for window in track_set().windows))
        chosen, note = unlabelled_windows(genome, everything, TrackDistilConfig(contigs=UNLABELLED))
        print(note)
        if composed:
            names += _composition(folder, genome, chosen.windows)
        pairs = {name: i for i, name in enumerate(names)}
        other = {"tss+": "tss-", "tss-": "tss+", "gene+": "gene-", "gene-": "gene+"}
        table = [
            Track(i, name, str(folder / f"{name}.{'bed' if i < 6 else 'bedgraph'}"), strand_pair=pairs[other.get(name, name)])
            for i, name in enumerate(names)
        ]
        TrackTable(tuple(table)).write(folder / "targets.tsv")
        rows = [f"{window.chrom}\t{window.start}\t{window.end}\ttrain\n" for window in chosen.windows]
        (folder / "windows.bed").write_text("".join(rows))
        build_tracks(out, genome, folder / "targets.tsv", windows=folder / "windows.bed", bin_size=BIN, target_bins=data.n_bins)
    return read_tracks(out)


def _annotation(folder: Path) -> list[str]:
    """Write a BED of each kind of annotation of hg38, and return their names."""
    import gzip

    source = data_folder() / "hg38" / "annotation"
    kinds = {
        "tss+": ("RefSeq_TSS500bp.hg38.bed.gz", lambda row: row[5] == "+"),
        "tss-": ("RefSeq_TSS500bp.hg38.bed.gz", lambda row: row[5] == "-"),
        "ctcf": ("CTCF_ENCODE_narrowPeak.bed.gz", lambda row: True),
        "znf263": ("ZNF263_ENCODE_narrowPeak.bed.gz", lambda row: True),
        "gene+": ("gencode_v28_protein_coding.hg38.bed.gz", lambda row: row[3] == "+"),
        "gene-": ("gencode_v28_protein_coding.hg38.bed.gz", lambda row: row[3] == "-"),
    }
    for name, (file, wanted) in kinds.items():
        with gzip.open(source / file, "rt") as lines:
            rows = [line.split() for line in lines if not line.startswith("#")]
        chosen = ["\t".join(row[:3]) + "\n" for row in rows if row[0] in UNLABELLED and wanted(row)]
        (folder / f"{name}.bed").write_text("".join(chosen))
    return list(kinds)


def _composition(folder: Path, genome: Any, windows: Sequence[Window]) -> list[str]:
    """Write bedGraphs of GC and CpG in bins, and of their means over 9 and 65 bins, and return their names."""
    spans: dict[str, list[list[int]]] = {}
    for window in windows:
        runs = spans.setdefault(window.chrom, [])
        if runs and window.start <= runs[-1][1] and (window.start - runs[-1][0]) % BIN == 0:
            runs[-1][1] = window.end
        else:
            runs.append([window.start, window.end])
    lines: dict[str, list[str]] = {}
    for chrom, runs in spans.items():
        end_before = 0
        for start, end in runs:
            codes = genome.window(chrom, start, end - start)
            gc = np.isin(codes, (1, 2)).reshape(-1, BIN).mean(1)
            cpg = np.append((codes[:-1] == 1) & (codes[1:] == 2), False).reshape(-1, BIN).mean(1) * 10
            for width in (1, 9, 65):
                kernel = np.ones(width) / width
                for name, values in (("gc", gc), ("cpg", cpg)):
                    smooth = np.convolve(values, kernel, "same").round(4)
                    rows = lines.setdefault(f"{name}{width}", [])
                    for i, value in enumerate(smooth):
                        if start + i * BIN >= end_before:
                            rows.append(f"{chrom}\t{start + i * BIN}\t{start + (i + 1) * BIN}\t{value}\n")
            end_before = end
    for name, rows in lines.items():
        (folder / f"{name}.bedgraph").write_text("".join(rows))
    return list(lines)


def job_config(setting: Setting, seed: int) -> Any:
    """One network of the recipe of mini-tracks, without motifs and distillation, with the changes of a setting."""
    from genoformer.training.track_config import TracksConfig

    recipe = TracksConfig.read(Path(str(files("genoformer_data"))) / "models" / "mini-tracks" / "tracks.toml")
    assert recipe.distil is not None
    one = replace(recipe.tracks, epochs=recipe.distil.epochs, motifs=str(motif_file()) if setting.motifs else "")
    tracks = replace(one, seed=seed, **setting.tracks)
    return TracksConfig({**recipe.model, **setting.model}, tracks)


def start_model(data: TrackSet, setting: Setting) -> Path:
    """The model that was trained on annotation first, without any window of the set."""
    from genoformer.training.jobs import TrackTrainingJob
    from genoformer.training.tracks import train_tracks

    config = job_config(replace(setting, tracks={"epochs": 5.0}), 0)
    dropout = config.model.get("dropout")
    out = OUT / f"{setting.start}{'-motifs' if setting.motifs else ''}-{dropout}"
    if not (out / "config.json").exists():
        train_tracks(TrackTrainingJob(annotated_set(data, composed=setting.start == "composed"), out, config))
    return out


def trained(data: TrackSet, setting: Setting, seed: int, out: Path, teacher: Path | None) -> Path:
    """The folder of a model that a setting trains on the windows of a set."""
    from genoformer.training.jobs import TrackTrainingJob
    from genoformer.training.stage_config import TrackDistilConfig
    from genoformer.training.tracks import train_tracks

    if (out / "config.json").exists():
        return out
    shutil.rmtree(out, ignore_errors=True)
    config, start = job_config(setting, seed), None
    if setting.start:
        start = start_model(data, setting)
        config = replace(config, model={}, tracks=replace(config.tracks, motifs=""))
    job = TrackTrainingJob(data, out, config, start)
    if teacher is not None:
        distil = TrackDistilConfig(contigs=UNLABELLED, motifs=str(motif_file()) if setting.motifs else "", **setting.distil)
        fasta = data_folder() / "hg38" / "hg38.sparse.fa.gz"
        job = replace(job, config=replace(config, distil=distil), teacher=teacher, fasta=fasta)
    train_tracks(job)
    return out


def run(name: str, n_folds: int, only: Sequence[int], seeds: Sequence[int]) -> None:
    """Train a setting for each fold and seed, and save the predictions for the windows of the fold."""
    from genoformer.inference.set_windows import predict_windows
    from genoformer.models import registry

    data, setting = training_windows(), SETTINGS[name]
    for fold, held_out in enumerate(folds_of(data.windows, n_folds)):
        if only and fold not in only:
            continue
        for seed in seeds:
            folder = CV / name / f"fold-{fold}-of-{n_folds}"
            saved = folder / f"seed-{seed}.npy"
            if saved.exists():
                continue
            begin = time.perf_counter()
            teacher = ensemble(CV / setting.teacher / folder.name) if setting.teacher else None
            model = registry.load(trained(without(data, held_out), setting, seed, folder / f"seed-{seed}", teacher))
            logs = np.stack([np.log1p(one) for one in predict_windows(model, data, held_out)])
            np.save(saved, logs.astype(np.float32))
            r = correlations(data, held_out, logs)
            print(f"{name}\tfold {fold}\tseed {seed}\t{shown(r)}\t{time.perf_counter() - begin:.0f} s", flush=True)


def ensemble(folder: Path) -> Path:
    """The folder of the models of a fold, named as members of a run."""
    import json

    members = sorted(path.parent.name for path in folder.glob("seed-*/config.json"))
    (folder / "ensemble.json").write_text(json.dumps({"members": members}))
    return folder


def correlations(data: TrackSet, rows: Sequence[int], logs: NDArray[Any]) -> NDArray[np.float64]:
    """Pearson's r of each track over the positions of some windows, from log(1 + x) [n, K, N]."""
    from genoformer.evaluation.tracks import TrackFitting

    fitting = TrackFitting(len(data.targets))
    fitting.add(logs, np.log1p(data.tracks[list(rows)].astype(np.float64)))
    return fitting.fit.positions


def shown(r: NDArray[np.float64]) -> str:
    return ", ".join(f"{group} {np.nanmean(r[part]):.3f}" for group, part in GROUPS.items())


def saved_logs(name: str, data: TrackSet, n_folds: int, fold: int, held_out: Sequence[int]) -> NDArray[Any] | None:
    """The mean of the saved predictions of all seeds of a setting for a fold, of names joined by +, or of ridge regression."""
    if "+" in name:
        parts = [saved_logs(part, data, n_folds, fold, held_out) for part in name.split("+")]
        kept = [part for part in parts if part is not None]
        return np.mean(kept, axis=0) if len(kept) == len(parts) else None
    if name in ("ridge", "motif-ridge"):
        from genoformer.formats.motif_files import read_matrices
        from genoformer.training.composition import CompositionRidge

        ridge = CompositionRidge.fit(without(data, held_out), np.log1p, read_matrices(motif_file()) if "motif" in name else ())
        return np.stack([ridge.predict(np.asarray(data.sequence[row]), data) for row in held_out])
    name, _, seed = name.partition(":")
    paths = sorted((CV / name / f"fold-{fold}-of-{n_folds}").glob(f"seed-{seed or '*'}.npy"))
    return np.mean([np.load(path) for path in paths], axis=0) if paths else None


def compare(names: Sequence[str], n_folds: int) -> None:
    """Print r of each setting over the folds that are saved for all of them, and over all windows together."""
    data = training_windows()
    folds = folds_of(data.windows, n_folds)
    logs = {name: [saved_logs(name, data, n_folds, i, fold) for i, fold in enumerate(folds)] for name in names}
    common = [i for i in range(n_folds) if all(of[i] is not None for of in logs.values())]
    print(f"folds {', '.join(map(str, common))} of {n_folds}: mean and standard deviation over folds; then each fold")
    for name, of in logs.items():
        by_fold = [correlations(data, folds[i], of[i]) for i in common]  # type: ignore[arg-type]
        cells = []
        for group, part in GROUPS.items():
            values = [float(np.nanmean(r[part])) for r in by_fold]
            spread = f" ±{np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
            cells.append(f"{group} {np.mean(values):.3f}{spread} ({' '.join(f'{value:.3f}' for value in values)})")
        print(f"{name:<32}{'  '.join(cells)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "compare"])
    parser.add_argument("names", nargs="+", help=f"settings: {', '.join(SETTINGS)}; for compare also ridge, NAME:SEED and A+B")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--only", type=int, nargs="*", default=[], help="numbers of folds")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    options = parser.parse_args()
    if options.what == "compare":
        compare(options.names, options.folds)
    else:
        for name in options.names:
            run(name, options.folds, options.only, options.seeds)


if __name__ == "__main__":
    main()
