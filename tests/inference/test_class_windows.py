"""Windows of fine-tuned models: values by a loop that reads each window from the text, bins, calls, and runs that resume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyBigWig
import pytest
import torch
from small_models import small_encoder

import genoformer as gf
from genoformer.errors import CheckpointError, ConfigError
from genoformer.inference import Runtime, class_windows
from genoformer.inference.predict import open_prediction
from genoformer.inference.prediction_request import PredictionFiles, PredictionRequest
from genoformer.models import registry
from genoformer.models.heads import ClassifierConfig, SequenceClassifier
from genoformer.resume_folder import JobError
from genoformer.tokenizers import BPETokenizer, KmerTokenizer
from genoformer.writers.calls import Call, CallMerger, CallRule, CollectedCalls, WindowGrid
from genoformer.writers.tracks import BinnedTracks

WINDOW = 40
CPU = Runtime()


def make_model(
    task: str = "classification", classes: Sequence[str] = ("none", "enhancer"), tokenizer=None, seed: int = 0, **fields
) -> SequenceClassifier:
    """A classifier whose predictions differ visibly between windows."""
    tokenizer = tokenizer or KmerTokenizer(3)
    scale = {"target_mean": (2.0,) * len(classes), "target_std": (3.0,) * len(classes)} if task == "regression" else {}
    encoder = small_encoder(tokenizer, seed, context_length=WINDOW, init_std=0.5)
    config = ClassifierConfig(encoder.config, task, tuple(classes), **{"window": WINDOW, **scale, **fields})
    model = SequenceClassifier(config).eval()
    model.encoder.load_state_dict(encoder.state_dict())
    model.tokenizer = tokenizer
    torch.manual_seed(seed)
    for p in model.out.parameters():
        torch.nn.init.normal_(p, std=2.0)
    return model


@pytest.fixture
def contigs() -> dict[str, str]:
    """A contig with an N run longer than a window, one hardly longer than a window, and one shorter than half of it."""
    random = np.random.default_rng(0)
    text = {name: "".join(random.choice(list("ACGT"), n)) for name, n in (("chr1", 400), ("chr2", 53), ("chr3", 12))}
    text["chr1"] = text["chr1"][:150] + "N" * 70 + text["chr1"][220:]
    return text


@pytest.fixture
def fasta(make_fasta, contigs) -> Path:
    return make_fasta(**contigs)


def window_text(contig: str, number: int, step: int) -> str:
    """The window around bin `number`: WINDOW bases around its centre, N beyond the contig."""
    middle = number * step + step / 2
    first = int(np.floor(middle - WINDOW / 2))
    return "".join(contig[i] if 0 <= i < len(contig) else "N" for i in range(first, first + WINDOW))


def naive(contig: str, step: int, model) -> np.ndarray:
    """Values [C, bins] of a contig, one window at a time."""
    rows = []
    for number in range(-(-len(contig) // step)):
        text = window_text(contig, number, step)
        known = sum(base != "N" for base in text)
        n_classes = len(model.config.classes)
        rows.append(gf.classify([text], model).to_numpy()[0] if 2 * known >= WINDOW else np.full(n_classes, np.nan))
    return np.array(rows).T


def values_of(table, chrom: str, names: Sequence[str]) -> np.ndarray:
    return table[table.chrom == chrom][list(names)].to_numpy().T


@pytest.mark.parametrize("step", [3, 20, 40])
@pytest.mark.parametrize(
    ("task", "classes", "tokenizer"),
    [
        ("classification", ("none", "enhancer"), KmerTokenizer(3)),
        ("classification", ("a", "b", "c"), KmerTokenizer(4, stride=2)),
        ("multilabel", ("a", "b"), KmerTokenizer(3)),
        ("regression", ("x", "y"), KmerTokenizer(1)),
    ],
)
def test_each_bin_has_the_value_of_the_window_around_it(fasta, contigs, step, task, classes, tokenizer) -> None:
    model = make_model(task, classes, tokenizer)
    table = gf.predict(fasta, None, model, step=step, classes=classes)
    for chrom, contig in contigs.items():
        expected = naive(contig, step, model)
        found = values_of(table, chrom, classes)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)
        assert np.isnan(expected).any() == (chrom in ("chr1", "chr3") or step == 40)  # chr2: most of its last window is beyond
        ends = table[table.chrom == chrom].end.to_list()
        assert ends == [min(end, len(contig)) for end in range(step, len(contig) + step, step)]
    assert np.nanstd(values_of(table, "chr1", classes)) > 0.03  # windows differ


def test_windows_of_bpe_tokens_do_not_depend_on_their_batch(fasta, contigs) -> None:
    """They have different numbers of tokens, so that most rows of a batch are padded."""
    random = np.random.default_rng(1)
    model = make_model(tokenizer=BPETokenizer.train([random.integers(0, 4, 500, dtype=np.uint8) for _ in range(3)], 64))
    table = gf.predict(fasta, "chr2", model, step=3)
    np.testing.assert_allclose(table.enhancer, naive(contigs["chr2"], 3, model)[1], rtol=1e-5)


def test_both_strands_are_a_mean_of_logits(fasta, contigs) -> None:
    model = make_model()
    trained = make_model(both_strands=True)
    both = gf.predict(fasta, "chr2", model, step=5, strand="both").enhancer
    np.testing.assert_allclose(both, naive(contigs["chr2"], 5, trained)[1], rtol=1e-5)
    np.testing.assert_array_equal(both, gf.predict(fasta, "chr2", trained, step=5).enhancer)  # as in its training
    one = gf.predict(fasta, "chr2", trained, step=5, strand="forward").enhancer
    np.testing.assert_array_equal(one, gf.predict(fasta, "chr2", model, step=5).enhancer)
    assert (both - one).abs().max() > 1e-3


def test_an_ensemble_is_the_mean_of_its_members(tmp_path: Path, fasta, contigs) -> None:
    members = [make_model(), make_model(seed=1)]
    for i, member in enumerate(members):
        registry.save(member, tmp_path / "run" / f"m{i}")
    (tmp_path / "run" / "ensemble.json").write_text('{"members": ["m0", "m1"]}')
    found = gf.predict(fasta, "chr2", tmp_path / "run", step=5).enhancer
    expected = np.mean([naive(contigs["chr2"], 5, member)[1] for member in members], axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    registry.save(make_model(window=30), tmp_path / "run" / "m1")
    with pytest.raises(ConfigError, match="windows of 40, 30 bases; give one context for all, or name a member"):
        gf.predict(fasta, "chr2", tmp_path / "run")


def test_a_bin_does_not_depend_on_the_other_regions(tmp_path: Path, fasta) -> None:
    (tmp_path / "a.bed").write_text("chr1\t13\t30\nchr1\t31\t33\nchr2\t52\t53\n1\t390\t420\n")
    model = make_model()
    whole = gf.predict(fasta, None, model, step=8)
    found = gf.predict(fasta, None, model, step=8, bed=tmp_path / "a.bed")
    assert [row[:3] for row in found.itertuples(index=False, name=None)] == [
        ("chr1", 13, 16), ("chr1", 16, 24), ("chr1", 24, 30), ("chr1", 31, 32), ("chr1", 32, 33),
        ("chr1", 390, 392), ("chr1", 392, 400), ("chr2", 52, 53),
    ]  # fmt: skip
    by_bin = {(chrom, start // 8): value for chrom, start, _, value in whole.itertuples(index=False, name=None)}
    for chrom, start, _, value in found.itertuples(index=False, name=None):
        assert value == pytest.approx(by_bin[chrom, start // 8], rel=1e-5, nan_ok=True)


def test_parts_have_the_windows_in_order_each_once(fasta) -> None:
    with gf.Genome(fasta) as genome:
        intervals = {"chr1": np.array([[0, 9], [11, 12], [30, 400]]), "chr2": np.array([[50, 53]])}
        windows = class_windows.ClassWindows(genome, WindowGrid(WINDOW, 10), intervals, 5)
        parts = [(chrom, numbers.tolist()) for chrom, numbers in windows.parts()]
        assert parts[:2] == [("chr1", [0, 1, 3, 4, 5]), ("chr1", [6, 7, 8, 9, 10])]
        assert parts[-1] == ("chr2", [5])
        assert max(len(numbers) for _, numbers in parts) == 5
        assert [n for chrom, numbers in parts if chrom == "chr1" for n in numbers] == [0, 1, *range(3, 40)]
        assert windows.n == sum(len(numbers) for _, numbers in parts) == 40
        codes = windows.read("chr1", np.array([0, 1, 39]))
        for row, number in zip(codes, (0, 1, 39), strict=True):
            np.testing.assert_array_equal(row, genome.window("chr1", number * 10 + 5 - 20, WINDOW))


def test_windows_of_odd_lengths_lie_half_a_base_before_their_bin() -> None:
    for window, step in ((40, 7), (41, 8), (41, 7), (40, 8), (5, 5), (5, 1)):
        start = int(WindowGrid(window, step).start_of(np.array([3]))[0])
        assert (3 * step + step / 2) - (start + window / 2) in (0, 0.5), (window, step)


# --- calls


def bins_of(chrom: str, step: int, first: int, *rows: Sequence[float], length: int) -> BinnedTracks:
    starts = np.arange(first, first + len(rows[0])) * step
    return BinnedTracks(chrom, starts, np.minimum(starts + step, length), np.array(rows, dtype=np.float32))


def test_calls_of_an_example_worked_out_by_hand() -> None:
    """Windows of 20 in steps of 10: window i is [10 i - 5, 10 i + 15)."""
    rule = CallRule(("a", "b"), WindowGrid(20, 10), {"chr1": 100, "chr2": 22}, 0.5)
    sink = CollectedCalls(rule)
    nan = float("nan")
    #                             window   0    1    2    3    4    5    6    7    8    9
    sink.add(bins_of("chr1", 10, 0, [0.9, 0.1, 0.1, 0.5, 0.8], [0.1, 0.6, 0.7, 0.7, 0.2], length=100))
    sink.add(bins_of("chr1", 10, 5, [0.2, nan, 0.1, 0.1, 0.5], [0.2, 0.2, 0.9, 0.2, 0.1], length=100))
    sink.add(bins_of("chr2", 10, 0, [0.2, 0.7, 0.2], [0.1, 0.1, 0.1], length=22))
    calls = sink.finish()
    assert [call[:4] for call in calls] == [
        ("chr1", 0, 15, "a"),  # window 0, cut at the start of the contig
        ("chr1", 5, 45, "b"),  # windows 1 to 3
        ("chr1", 25, 55, "a"),  # windows 3 and 4
        ("chr1", 65, 85, "b"),
        ("chr1", 85, 100, "a"),  # window 9, cut at the end
        ("chr2", 5, 22, "a"),
    ]
    assert [rule.row(call) for call in calls][:3] == [
        "chr1\t0\t15\ta\t900\t.\t0.9", "chr1\t5\t45\tb\t700\t.\t0.7", "chr1\t25\t55\ta\t800\t.\t0.8",
    ]  # fmt: skip
    assert rule._replace(are_probabilities=False).row(Call("c", 1, 2, "x", 12.5)) == "c\t1\t2\tx\t0\t.\t12.5"


def naive_calls(values: np.ndarray, step: int, window: int, length: int, threshold: float) -> list[tuple[int, int, int, float]]:
    """Calls (start, end, class, value) of all windows of a contig: bases of called windows, a base at a time."""
    calls = []
    for c, row in enumerate(values):
        covered, largest = np.zeros(length + 1, dtype=bool), np.full(length + 1, -np.inf)
        for i, value in enumerate(row):
            if value >= threshold:
                first = int(np.floor(i * step + step / 2 - window / 2))
                bases = slice(max(first, 0), min(first + window, length))
                covered[bases], largest[bases] = True, np.maximum(largest[bases], value)
        start = None
        for base in range(length + 1):
            if covered[base] and start is None:
                start = base
            if start is not None and not covered[base]:
                calls.append((start, base, c, float(largest[start:base].max())))
                start = None
    return sorted(calls)


@pytest.mark.parametrize(("step", "window"), [(5, 20), (7, 20), (20, 20), (19, 20), (1, 3)])
@pytest.mark.parametrize("n_part", [1, 4, 1000])
def test_calls_are_those_of_a_loop_over_bases(step: int, window: int, n_part: int) -> None:
    random, length = np.random.default_rng(step), 617
    n = -(-length // step)
    values = random.random((3, n), dtype=np.float32) ** np.array([[1], [8], [0.02]], dtype=np.float32)  # rare, and nearly all
    values[:, n // 3 : n // 2] = np.nan
    rule = CallRule(("a", "b", "c"), WindowGrid(window, step), {"c1": length}, 0.7)
    merger, calls = CallMerger(rule), []
    for first in range(0, n, n_part):
        calls += merger.add(bins_of("c1", step, first, *values[:, first : first + n_part], length=length))
    calls += merger.finish()
    assert [(call.start, call.end, "abc".index(call.name), call.value) for call in calls] == [
        (start, end, c, pytest.approx(value)) for start, end, c, value in naive_calls(values, step, window, length, 0.7)
    ]


def test_calls_of_a_regression_are_values_at_or_above_a_threshold(tmp_path: Path, fasta) -> None:
    model = make_model("regression", ("expression",))
    bins = gf.predict(fasta, "chr1", model, step=10).expression
    threshold = float(np.nanquantile(bins, 0.8))
    calls = gf.predict(fasta, "chr1", model, step=10, threshold=threshold)
    assert 0 < len(calls) <= (bins >= threshold).sum()
    assert calls.value.max() == pytest.approx(bins.max())
    assert calls.value.min() >= threshold
    request = PredictionRequest(fasta, model, region="chr1")
    with (
        open_prediction(request) as prediction,
        pytest.raises(ConfigError, match="option threshold is missing, expected a number in the unit of the regression"),
    ):
        prediction.write(PredictionFiles(tmp_path / "a.bw", tmp_path / "a.bed"))


# --- files and resume


def write(fasta: Path, model, output: Path, calls: Path | None = None, *, force=False, progress=None, **options) -> list[str]:
    with open_prediction(PredictionRequest(fasta, model, **options)) as prediction:
        return prediction.write(PredictionFiles(output, calls, force=force), progress)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    registry.save(make_model("classification", ("a", "b", "c")), tmp_path / "model")
    return tmp_path / "model"


def test_bigwigs_are_read_back_by_another_program(tmp_path: Path, fasta, contigs, folder) -> None:
    notes = write(fasta, folder, tmp_path / "out", tmp_path / "calls.bed", step=7, threshold=0.4)
    model = registry.load(folder)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.bw", "b.bw", "c.bw", "tracks.tsv"]
    for i, name in enumerate("abc"):
        with pyBigWig.open(str(tmp_path / "out" / f"{name}.bw")) as file:
            assert file.chroms() == {chrom: len(contig) for chrom, contig in contigs.items()}
            for chrom, contig in contigs.items():
                found = np.array(file.values(chrom, 0, len(contig)))
                expected = np.repeat(naive(contig, 7, model)[i], 7)[: len(contig)]
                np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)
    expected_calls = [
        (chrom, start, end, "abc"[c])
        for chrom, contig in contigs.items()
        for start, end, c, _ in naive_calls(naive(contig, 7, model), 7, WINDOW, len(contig), 0.4)
    ]
    rows = [line.split("\t") for line in (tmp_path / "calls.bed").read_text().splitlines()]
    assert [(row[0], int(row[1]), int(row[2]), row[3]) for row in rows] == expected_calls
    assert all(int(row[4]) == round(1000 * float(row[6])) or abs(1000 * float(row[6]) - int(row[4])) < 1 for row in rows)
    n_unknown = sum(int(np.isnan(naive(contig, 7, model)[0]).sum()) for contig in contigs.values())
    assert notes[0].startswith(f"Note: {n_unknown} of the 68 bins have no value: fewer than half of the bases")
    assert notes[-1] == f"{tmp_path / 'calls.bed'}: {len(rows)} calls"
    assert not list(tmp_path.glob(".*"))


class Stop(Exception):
    pass


def test_a_stopped_run_resumes_and_gives_the_same_bytes(tmp_path: Path, fasta, folder, monkeypatch) -> None:
    options = {"step": 7, "threshold": 0.4, "part_size": 6}
    write(fasta, folder, tmp_path / "whole", tmp_path / "whole.bed", **options)
    computed = []
    real = class_windows._part
    monkeypatch.setattr(class_windows, "_part", lambda *a: computed.append(a[4][0]) or real(*a))

    def stop(progress) -> None:
        if len(computed) in (3, 7):
            raise Stop

    for _ in range(2):
        with pytest.raises(Stop):
            write(fasta, folder, tmp_path / "out", tmp_path / "out.bed", progress=stop, **options)
        assert not (tmp_path / "out").exists()
        assert not (tmp_path / "out.bed").exists()
        computed.append(-1)
    parts = sorted((tmp_path / ".out.parts").glob("*.npz"))
    parts[1].write_bytes(parts[1].read_bytes()[:-40])  # as a full disk leaves it
    with pytest.raises(JobError, match="holds unfinished work of a run that differs in step; repeat that run to finish it"):
        write(fasta, folder, tmp_path / "out", tmp_path / "out.bed", step=8, threshold=0.4, part_size=6)
    notes = write(fasta, folder, tmp_path / "out", tmp_path / "out.bed", **options)
    assert "finished parts of an earlier run were used" in notes[0]
    assert len([i for i in computed if i >= 0]) == 13 + 1  # each part once, and the damaged one again
    for name in ("a.bw", "b.bw", "c.bw", "tracks.tsv"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert (tmp_path / "out.bed").read_bytes() == (tmp_path / "whole.bed").read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_existing_outputs_are_kept_unless_force_is_given(tmp_path: Path, fasta, folder) -> None:
    def run(force: bool = False, calls: Path | None = None, output: Path = tmp_path / "out", **options) -> list[str]:
        return write(fasta, folder, output, calls, force=force, **options)

    run()
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(ConfigError, match="out exists; set force to replace it, or name another output"):
        run(step=5)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    run(force=True, step=5, classes="b")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["b.bw", "tracks.tsv"]
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="out exists and is not an empty folder; name another folder, or remove it"):
        run(force=True)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    (tmp_path / "a.bed").write_text("")
    with pytest.raises(ConfigError, match=r"a\.bed exists; set force"):
        run(calls=tmp_path / "a.bed", output=tmp_path / "new")
    assert not (tmp_path / "new").exists()
    run(calls=tmp_path / "a.bed", output=tmp_path / "new", force=True, threshold=0.01)
    assert (tmp_path / "a.bed").read_text()
    assert not list(tmp_path.glob(".*"))


def test_a_value_that_is_no_number_names_its_place(fasta) -> None:
    model = make_model()
    with torch.no_grad():
        model.out.bias[0] = torch.nan
    with pytest.raises(CheckpointError, match="predicts NaN or infinite values at chr1:1; are its weights damaged"):
        gf.predict(fasta, None, model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 0}, "step = 0: give 1 base up to the window of the model, 40"),
        ({"step": 41}, "step = 41: give 1 base up to the window"),
        ({"classes": "a,x"}, "there is no class 'x'; the model predicts a, b, c"),
        ({"classes": ","}, "option classes names no classes"),
        ({"threshold": 0.0}, "threshold = 0: probabilities are above 0 and up to 1"),
        ({"threshold": 1.5}, "threshold = 1.5: probabilities are above 0 and up to 1"),
        ({"tracks": "1"}, "option tracks needs a track model, found a fine-tuned model"),
        ({"region": "chr1:2,000-3,000"}, "chr1:2,000-3,000 lies beyond its contig, which has 400 bases"),
        ({"data": "x.csv", "step": 3}, "option step is for regions of a genome, found a file of sequences"),
    ],
)
def test_wrong_options_are_refused_in_a_sentence(fasta, options, message: str) -> None:
    region = options.pop("region", None)
    with pytest.raises(ConfigError, match=message):
        gf.predict(fasta, region, make_model("classification", ("a", "b", "c")), **options)


def test_a_threshold_without_a_file_of_calls_is_refused(tmp_path: Path, fasta, folder) -> None:
    with pytest.raises(ConfigError, match="option threshold is the least value of a call and needs a file of calls"):
        write(fasta, folder, tmp_path / "out", threshold=0.5)
    with pytest.raises(ConfigError, match=r"calls are written as BED; end the name in \.bed"):
        write(fasta, folder, tmp_path / "out", tmp_path / "calls.txt")
    with pytest.raises(ConfigError, match="does not exist; create it first"):
        write(fasta, folder, tmp_path / "out", tmp_path / "no" / "calls.bed")
    assert not (tmp_path / "out").exists()


def test_a_bed_beyond_its_contig_is_noted_or_refused(tmp_path: Path, fasta) -> None:
    (tmp_path / "a.bed").write_text("chr2\t40\t90\nchr2\t60\t70\n")
    request = PredictionRequest(fasta, make_model(), bed=tmp_path / "a.bed")
    with open_prediction(request) as prediction:
        assert [note.split(";")[0].partition(" of the regions ")[2][:40] for note in prediction.notes] == [
            "lies beyond the end of its contig and is", "reaches beyond the end of its contig and",
        ]  # fmt: skip
        assert prediction.table().end.max() == 53
    (tmp_path / "a.bed").write_text("chr2\t60\t70\n")
    with pytest.raises(ConfigError, match="no region remains"), open_prediction(request):
        pass
