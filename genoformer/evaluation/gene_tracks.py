"""Windows of a set, a track model and genes -> measured and predicted tracks around each TSS, as a table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.datasets.track_set import TrackSet
from genoformer.errors import ConfigError, ContigError
from genoformer.formats.gtf import gene_rows, without_exons
from genoformer.genome.contigs import ContigMap, join_names
from genoformer.inference.set_windows import predict_windows
from genoformer.models.track_model import TrackModel
from genoformer.option_checks import check_number
from genoformer.progress import ProgressCallback, Stage

if TYPE_CHECKING:
    import pandas as pd


class Start(NamedTuple):
    """TSS of a gene: 0-based position of the first transcribed base of its transcripts."""

    gene: str
    chrom: str
    tss: int
    strand: str


def gene_tracks(
    model: TrackModel,
    data: TrackSet,
    gtf: str | os.PathLike[str],
    *,
    split: str = "test",
    around: int = 1,
    progress: ProgressCallback = None,
) -> pd.DataFrame:
    """Return the tracks of a split of a set around each TSS, measured and predicted; see `genoformer.gene_tracks`."""
    import pandas as pd

    check_number("around", around, 0, "bins")
    starts = read_starts(gtf, {window.chrom for window in data.windows})
    rows = data.rows(split)
    rows_of_starts: list[tuple[Start, NDArray[np.float64]]] = []
    seen: set[Start] = set()
    stage = Stage(progress, "predict", len(rows))
    for row, predicted in zip(rows, predict_windows(model, data, rows), strict=True):
        stage.add(1)
        window = data.windows[row]
        begin = window.start + data.first_bin * data.bin_size
        for start in starts:
            at = (start.tss - begin) // data.bin_size
            if start.chrom == window.chrom and around <= at < data.n_bins - around and start not in seen:
                seen.add(start)
                bins = slice(at - around, at + around + 1)
                sums = np.stack([tracks[:, bins].sum(axis=-1, dtype=np.float64) for tracks in (data.tracks[row], predicted)])
                rows_of_starts.append((start, sums))  # [2, K]
    if not rows_of_starts:
        raise ConfigError(
            f"no TSS of {Path(gtf).name} is in the bins of split {split} of {data.folder}; give the GTF of this genome."
        )
    n_tracks = len(data.targets)
    table = pd.DataFrame([start for start, _ in rows_of_starts for _ in range(n_tracks)], columns=list(Start._fields))
    table["track"] = [track.identifier for track in data.targets] * len(rows_of_starts)
    table["measured"], table["predicted"] = np.concatenate([sums for _, sums in rows_of_starts], axis=1)
    return table


def read_starts(gtf: str | os.PathLike[str], chroms: set[str]) -> list[Start]:
    """Return the TSS of each gene with a strand that lies on the contigs, in the order of the file.

    Raises: FileFormatError for a file without exons, ContigError if no gene lies on the contigs.
    """
    path = Path(gtf)
    ends: dict[tuple[str, str], tuple[str, int]] = {}  # contig and identifier of a gene -> its name, TSS
    strands: dict[tuple[str, str], str] = {}
    for row in gene_rows(path):
        if row.is_exon and row.strand in ("+", "-"):
            key = (row.contig, row.gene)
            strands.setdefault(key, row.strand)
            first = row.start if row.strand == "+" else row.end - 1
            _, known = ends.get(key, (row.name, first))
            ends[key] = (row.name, min(first, known) if row.strand == "+" else max(first, known))
    if not ends:
        raise without_exons(path)
    names = ContigMap([contig for contig, _ in ends], chroms)
    starts = [
        Start(name, chrom, tss, strands[key]) for key, (name, tss) in ends.items() if (chrom := names.get(key[0])) is not None
    ]
    if not starts:
        contigs = dict.fromkeys(contig for contig, _ in ends)
        raise ContigError(
            f"no contig of {path} ({join_names(contigs)}) is in the windows ({join_names(sorted(chroms))}); give the GTF of "
            "this genome."
        )
    return starts
