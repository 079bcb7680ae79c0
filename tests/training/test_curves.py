"""The table and figures of a run: cells by eye, what a log may lack, and files that appear whole or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from genoformer import plots
from genoformer.errors import ConfigError, FileFormatError, MissingFileError
from genoformer.training.curves import BitsRow, bits_rows, loss_curve, pooled, write_report
from genoformer.training.kmer_baseline import CONTEXTS

ROWS = [
    BitsRow("mine", "chr1", 1.5, 0.03, 300),
    BitsRow("order 0", "chr1", 2.0, 0.01, 300),
    BitsRow("mine", "chr22", 1.9, 0.12, 100),
    BitsRow("5+5", "chr22", 1.8, float("nan"), 100),
]


def is_png(path) -> bool:
    return path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_table_has_a_row_for_each_model_and_a_dot_for_what_was_not_measured(tmp_path) -> None:
    write_report(tmp_path / "run", ROWS)
    lines = [line.split("\t") for line in (tmp_path / "run/bits_per_base.tsv").read_text().splitlines()]
    assert lines == [
        ["model", "chr1", "chr1_se", "chr1_n", "chr22", "chr22_se", "chr22_n", "all", "all_se", "all_n"],
        ["mine", "1.5000", "0.0300", "300", "1.9000", "0.1200", "100", "1.6000", "0.0375", "400"],
        ["order 0", "2.0000", "0.0100", "300", *[""] * 6],
        ["5+5", "", "", "", "1.8000", "", "100", "", "", ""],
    ]
    assert is_png(tmp_path / "run/bits_per_base.png")
    assert names(tmp_path / "run") == ["bits_per_base.png", "bits_per_base.svg", "bits_per_base.tsv"]


def test_the_report_of_the_same_rows_is_the_same_bytes(tmp_path) -> None:
    for run in ("a", "b"):
        write_report(tmp_path / run, ROWS)
    for name in names(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("n_contigs", [1, 3, 4, 7])
def test_any_number_of_contigs_can_be_drawn(tmp_path, monkeypatch, n_contigs) -> None:
    titles = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **_: (path.touch(), titles.__setitem__(slice(None), self.axes)))
    rows = [
        BitsRow(model, f"chr{i}", 1.9, 0.01, 100 * i)
        for i in range(1, n_contigs + 1)
        for model in ("mine", *(context.name for context in CONTEXTS))
    ]
    write_report(tmp_path, rows)
    shown = [ax.get_title(loc="left").split()[0] for ax in titles if ax.get_visible()]
    expected = ["all", "chr7", "chr6", "chr5"] if n_contigs == 7 else [f"chr{i}" for i in range(1, n_contigs + 1)]
    assert shown == expected
    lines = titles[0].get_lines()
    assert [len(line.get_xdata()) for line in lines] == [12, 4, 2]  # orders, two-sided, the model across
    assert lines[1].get_xdata().tolist() == [4, 6, 8, 10]


def test_rows_that_do_not_make_a_table_are_refused(tmp_path) -> None:
    for rows in ([], [ROWS[0], ROWS[0]]):
        with pytest.raises(ConfigError, match="give one for each model and contig"):
            write_report(tmp_path, rows)
    assert names(tmp_path) == []


def test_models_are_compared_on_the_bases_that_all_of_them_answer() -> None:
    bits = [[1.0, 2.0, np.nan, 3.0], [2.0, 2.0, 2.0, np.inf]]
    assert bits_rows(["a", "b"], "chr1", bits) == [BitsRow("a", "chr1", 1.5, 0.5, 2), BitsRow("b", "chr1", 2.0, 0.0, 2)]
    assert np.isnan(bits_rows(["a"], "chr1", [[1.0]])[0].error)
    with pytest.raises(ConfigError, match="no base of chr1"):
        bits_rows(["a"], "chr1", [[np.nan]])
    with pytest.raises(ValueError, match="shorter"):
        bits_rows(["a", "b"], "chr1", [[1.0]])


def test_pooled_contigs_are_as_if_measured_together() -> None:
    random = np.random.default_rng(0)
    parts = {"chr1": random.normal(1.9, 1, 4_000), "chr2": random.normal(1.9, 1, 1_000)}
    apart = pooled([bits_rows(["a"], contig, [values])[0] for contig, values in parts.items()])
    together = bits_rows(["a"], "all", [np.concatenate(list(parts.values()))])[0]
    assert apart.bits == pytest.approx(together.bits)
    assert apart.error == pytest.approx(together.error, rel=0.01)
    assert apart.n == together.n


LOG = """epoch,step,train_loss,valid_bits_per_base
0,9,1.5,
0,19,1.25,
0,19,,1.9
0,29,nan,
0,19,1.75,
"""


@pytest.mark.parametrize("tokens", [None, 512])
@pytest.mark.parametrize("columns", [4, 3])
def test_the_loss_curve_is_drawn_with_and_without_validation(tmp_path, tokens, columns) -> None:
    (tmp_path / "log.csv").write_text("".join(",".join(line.split(",")[:columns]) + "\n" for line in LOG.splitlines()))
    loss_curve(tmp_path, tokens_per_step=tokens)
    assert is_png(tmp_path / "loss.png")


def test_a_long_log_is_smoothed(tmp_path) -> None:
    rows = "".join(f"{step},{1 + 1 / (step + 1)}\n" for step in range(400))
    (tmp_path / "log.csv").write_text("step,train_loss\n" + rows)
    loss_curve(tmp_path)
    assert is_png(tmp_path / "loss.png")
    ax = plots.loss_with_trend(Figure().add_subplot(), np.arange(400), np.ones(400), ylabel="loss")
    assert [len(line.get_xdata()) for line in ax.get_lines()] == [400, 400]


def test_values_above_the_axis_are_counted() -> None:
    """Two steps of 400 begin far above the others, whose axis does not reach them."""
    ax = plots.loss_with_trend(Figure().add_subplot(), np.arange(400), [9.0, 8.0, *np.linspace(1, 0, 398)], ylabel="loss")
    assert ax.get_ylim()[1] < 2
    assert [text.get_text() for text in ax.texts] == ["2 values above the axis"]
    whole = plots.loss_with_trend(Figure().add_subplot(), np.arange(400), np.linspace(1, 0, 400), ylabel="loss")
    assert not whole.texts


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        (None, MissingFileError, "no log.csv"),
        ("", FileFormatError, "no finite train_loss"),
        ("epoch,train_loss\n1,2\n", FileFormatError, "no finite train_loss"),
        ("step,train_loss\n1,\n", FileFormatError, "no finite train_loss"),
        ("step,train_loss\n1,nan\n", FileFormatError, "no finite train_loss"),
        ("step,train_loss\n1,x\n", FileFormatError, "no finite train_loss"),
    ],
)
def test_a_log_without_a_loss_is_refused(tmp_path, text, error, says) -> None:
    if text is not None:
        (tmp_path / "log.csv").write_text(text)
    with pytest.raises(error, match=says):
        loss_curve(tmp_path)
    assert not (tmp_path / "loss.png").exists()


def test_a_running_mean_keeps_a_straight_line_at_its_start() -> None:
    line = np.arange(10.0)
    assert plots.running_mean(line, 3)[:7].tolist() == line[:7].tolist()
    assert plots.running_mean(line, 3)[9] == 7.5  # of 6, 7, 8, 9
