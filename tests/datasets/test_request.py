"""Requests for datasets: values out of range are refused before a file is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from genoformer.datasets.request import DatasetRequest, TrackSetRequest, require_windows
from genoformer.errors import ConfigError
from genoformer.genome.reference import Genome


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    (tmp_path / "g.fa").write_text(">chr1\nACGT\n")
    return Genome(tmp_path / "g.fa")


def test_a_request_knows_what_its_manifest_says(genome: Genome) -> None:
    files = {"tss": "genes.gtf", "peak": "a.bed"}
    request = DatasetRequest("out", genome, files, length=60, valid=["chr1"], blacklist="b.bed")
    assert request.spans == {"tss": (50, 10), "peak": (30, 30)}
    assert request.width == 60
    assert list(request.inputs) == ["genome", "positives tss", "positives peak", "blacklist"]
    assert request.options["valid"] == ["chr1"]
    assert "columns" not in request.options
    assert request == DatasetRequest(
        "out", genome, {"tss": "genes.gtf", "peak": "a.bed"}, length=60, valid=["chr1"], blacklist="b.bed"
    )


def test_values_out_of_range_are_refused(genome: Genome) -> None:
    for options, message in (
        ({"ratio": 0}, "ratio is 0, but must be above 0"),
        ({"max_n": 1.0}, "max_n is 1.0, but must be a fraction"),
        ({"negatives": "any"}, "negatives are 'any', but must be gc"),
        ({"upstream": 3}, "upstream and downstream"),
    ):
        with pytest.raises(ConfigError, match=message):
            DatasetRequest("out", genome, {"x": "a.bed"}, **options)
    with pytest.raises(ConfigError, match="stride is 0, but must be 1 or more bases"):
        TrackSetRequest("out", genome, "targets.tsv", stride=0)
    with pytest.raises(ConfigError, match="a BED gives the windows"):
        TrackSetRequest("out", genome, "targets.tsv", stride=5, windows="w.bed")


def test_a_requested_split_needs_windows(genome: Genome) -> None:
    request = TrackSetRequest("out", genome, "targets.tsv", valid=["chr2"])
    with pytest.raises(ConfigError, match=r"valid \(chr2\) has no window; the windows lie on: chr1 3"):
        require_windows({"train": {"chr1": 3}, "valid": {}, "test": {}}, request)
    notes = require_windows({"train": {"chr1": 3}, "valid": {"chr2": 1}, "test": {}}, request)
    assert notes == ["there is no test set, as no contigs were named for it."]
