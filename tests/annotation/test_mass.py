"""Where the sum of a track lies: by hand, and rotations against numpy's roll."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genoformer import annotation
from genoformer.annotation.figures import write_mass
from genoformer.annotation.mass import mass_in_elements
from genoformer.errors import ConfigError, FileFormatError
from genoformer.formats.bigwig_writer import write_bigwig


def bigwig(path: Path, values: dict[str, tuple[int, np.ndarray]]) -> Path:
    """Values of each contig from a base on, one a base."""
    runs = [(chrom, start + np.arange(len(v)), start + np.arange(len(v)) + 1, v) for chrom, (start, v) in values.items()]
    write_bigwig(path, dict.fromkeys(values, 1000), runs)
    return path


@pytest.fixture
def track(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    values = {"chr1": (100, rng.random(300).astype(np.float32)), "chr2": (0, rng.random(200).astype(np.float32))}
    values["chr1"][1][50:100] += 5  # bases 150 to 200 of chr1
    return bigwig(tmp_path / "a.bw", values)


def test_the_share_in_elements(track: Path, tmp_path: Path) -> None:
    (tmp_path / "e.bed").write_text(
        "1\t150\t180\tE\n1\t170\t200\tE\n1\t0\t60\tR\n2\t0\t50\tR\n2\t900\t950\tR\n1\t390\t500\tR\n"
    )
    found = mass_in_elements(track, annotation.read_annotations([f"S={tmp_path / 'e.bed'}"]), resamplings=200)
    import pyBigWig

    with pyBigWig.open(str(track)) as file:
        chr1, chr2 = file.values("chr1", 100, 400, numpy=True), file.values("chr2", 0, 200, numpy=True)
    total = chr1.sum() + chr2.sum()
    assert found.annotations == ["S:E", "S:R"]
    assert found.n_bases == 500
    assert found.bases.tolist() == [50, 60]  # overlapping ones once; what has no value is left out
    assert found.share == pytest.approx([chr1[50:100].sum() / total, (chr1[290:].sum() + chr2[:50].sum()) / total], rel=1e-5)
    assert found.expected == pytest.approx([0.1, 0.12])
    assert found.p[0] == pytest.approx(found.p.min())
    assert found.fold[0] > 4
    row = np.concatenate([chr1, chr2]).astype(np.float64)
    inside = np.zeros(500, dtype=bool)
    inside[50:100] = True
    turns = np.random.default_rng(0).integers(0, 500, 200)
    assert found.controls[0] == pytest.approx([row[np.roll(inside, t)].sum() / total for t in turns], rel=1e-5)
    assert {path.name for path in write_mass(tmp_path / "out", found, "a.bw")} == {"mass.tsv", "mass.png", "mass.svg"}


def test_tracks_that_have_no_share(tmp_path: Path) -> None:
    (tmp_path / "e.bed").write_text("chr1\t0\t50\nchr1\t60\t70\n")
    annotations = annotation.read_annotations([f"E={tmp_path / 'e.bed'}"])
    with pytest.raises(ConfigError, match="below 0"):
        mass_in_elements(bigwig(tmp_path / "n.bw", {"chr1": (0, np.array([1.0, -2.0]))}), annotations)
    with pytest.raises(ConfigError, match="0 everywhere"):
        mass_in_elements(bigwig(tmp_path / "z.bw", {"chr1": (0, np.zeros(5))}), annotations)
    with pytest.raises(ConfigError, match="no element overlaps the values"):
        mass_in_elements(bigwig(tmp_path / "o.bw", {"chr1": (500, np.ones(5))}), annotations)
    with pytest.raises(FileFormatError, match="no values"):
        mass_in_elements(bigwig(tmp_path / "e.bw", {"chr1": (0, np.zeros(0))}), annotations)
