"""Files of vectors that say what their rows are: values and names by hand, as NumPy and pandas read them again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genoformer.datasets.sequence_rows import LabelledSequences
from genoformer.errors import ConfigError
from genoformer.genome.codes import encode
from genoformer.inference import TokenEmbeddings
from genoformer.writers.embeddings import SUFFIXES, check_output, label_columns, write_tokens, write_vectors

pq = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra: pip install genoformer[parquet]")

VALUES = np.arange(12, dtype=np.float32).reshape(3, 2, 2)  # of 3 sequences after 2 layers, 2 wide


def three(*columns: str) -> LabelledSequences:
    """Sequences s0, s1, s2, each with its number as every label."""
    labels = tuple((str(i),) * len(columns) for i in range(3))
    return LabelledSequences(("s0", "s1", "s2"), (encode("ACG"),) * 3, labels, columns, Path("in.csv"))


def test_npy_of_one_layer_and_of_several(tmp_path: Path) -> None:
    write_vectors(tmp_path / "one.npy", three("label"), [VALUES[:2, :1], VALUES[2:, :1]], [4], 2)
    assert np.load(tmp_path / "one.npy").tolist() == [[0, 1], [4, 5], [8, 9]]
    assert (tmp_path / "one.names.tsv").read_bytes() == b"name\tlabel\ns0\t0\ns1\t1\ns2\t2\n"
    write_vectors(tmp_path / "two.npy", three(), [VALUES], [4, 2], 2)
    found = np.load(tmp_path / "two.npy")
    assert (found.dtype, found.tolist()) == (np.float32, VALUES.tolist())
    assert (tmp_path / "two.names.tsv").read_bytes() == b"name\ns0\ns1\ns2\n"
    assert {path.name for path in tmp_path.iterdir()} == {"one.npy", "one.names.tsv", "two.npy", "two.names.tsv"}


@pytest.mark.parametrize("at_once", [1, 2, 16_384])
def test_parquet_has_a_row_for_each_sequence_and_layer(tmp_path: Path, at_once: int) -> None:
    write_vectors(tmp_path / "x.parquet", three("kind"), [VALUES], [4, 2], 2, n_group=at_once)
    expected = [
        ["s0", "0", 4, 0, 1],
        ["s0", "0", 2, 2, 3],
        ["s1", "1", 4, 4, 5],
        ["s1", "1", 2, 6, 7],
        ["s2", "2", 4, 8, 9],
        ["s2", "2", 2, 10, 11],
    ]
    found = pd.read_parquet(tmp_path / "x.parquet")
    assert list(found.columns) == ["name", "kind", "layer", "e0", "e1"]
    assert found.to_numpy().tolist() == expected
    write_vectors(tmp_path / "x.parquet", three(), [VALUES[:, 1:]], [2], 2, n_group=at_once)
    found = pd.read_parquet(tmp_path / "x.parquet")
    assert list(found.columns) == ["name", "e0", "e1"]
    assert found.to_numpy().tolist() == [["s0", 2, 3], ["s1", 6, 7], ["s2", 10, 11]]


def tokens(*spans: tuple[int, int]) -> TokenEmbeddings:
    """A vector (start, end) for each token."""
    return TokenEmbeddings(np.array(spans, dtype=np.float32), np.array(spans))


def test_tokens_go_into_row_groups_with_their_bases(tmp_path: Path) -> None:
    each = [[tokens((0, 3))], [tokens((0, 3), (1, 4))], [tokens((0, 2))]]
    assert write_tokens(tmp_path / "x.parquet", three("label"), iter(each), [1], 2, n_group=2) == 4
    found = pd.read_parquet(tmp_path / "x.parquet")
    assert list(found.columns) == ["name", "label", "start", "end", "e0", "e1"]
    assert found["name"].tolist() == ["s0", "s1", "s1", "s2"]
    assert found[["start", "end"]].to_numpy().tolist() == found[["e0", "e1"]].to_numpy().tolist()
    assert found["end"].tolist() == [3, 3, 4, 2]
    assert pq.ParquetFile(tmp_path / "x.parquet").num_row_groups == 3  # 3 rows in groups of 2, then the last one


def test_a_file_that_is_not_finished_is_not_there(tmp_path: Path) -> None:
    def breaks():
        yield [tokens((0, 3))]
        raise ValueError("half-way")

    with pytest.raises(ValueError, match="half-way"):
        write_tokens(tmp_path / "x.parquet", three(), breaks(), [1], 2)
    assert not list(tmp_path.iterdir())


def test_the_name_column_of_a_bed_is_its_label() -> None:
    assert label_columns(three("name", "score")) == ["label", "score"]


@pytest.mark.parametrize("columns", [("e0",), ("kind", "e17"), ("layer",), ("start",), ("end",), ("name", "label")])
def test_label_columns_with_the_name_of_an_output_column_are_refused(columns: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"in.csv: the output already has a column .*; rename that label column"):
        label_columns(three(*columns))


def test_outputs_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    check_output(tmp_path / "x.npy", SUFFIXES)
    with pytest.raises(ConfigError, match=r"names no known format; end the name in .npy or .parquet"):
        check_output(tmp_path / "x.npz", SUFFIXES)
    with pytest.raises(ConfigError, match=r"the folder .* does not exist; create it first"):
        check_output(tmp_path / "no" / "x.npy", SUFFIXES)
