"""An audit of whole sets: planted leaks and shortcuts of every kind fail, and a clean set passes."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from genoformer.audit import Audit, AuditRequest, audit_set
from genoformer.audit.run import _overlapping
from genoformer.datasets.sequence_rows import Place
from genoformer.errors import GenoformerError
from genoformer.progress import Progress

BASES = np.array(list("ACGT"))
COMPLEMENT = str.maketrans("ACGT", "TGCA")


class Rows:
    """Rows of a split: sequence, label, contig and start, of random sequences that are the same in every class."""

    def __init__(self, n: int, seed: int, contig: str) -> None:
        random = np.random.default_rng(seed)
        self.sequences = ["".join(BASES[random.integers(4, size=120)]) for _ in range(n)]
        self.labels = [str(i) for i in random.integers(2, size=n)]
        self.contigs = [contig] * n
        self.starts = [int(i) for i in random.permutation(n) * 500]

    def write(self, path: Path) -> None:
        lines = ["sequence\tlabel\tchrom\tstart\tend"]
        rows = zip(self.sequences, self.labels, self.contigs, self.starts, strict=True)
        lines += [f"{s}\t{label}\t{c}\t{at}\t{at + len(s)}" for s, label, c, at in rows]
        path.write_text("\n".join([*lines, ""]))


def make(folder: Path, change=lambda train, test: None) -> Audit:
    train, test = Rows(400, 0, "chr1"), Rows(150, 1, "chr2")
    change(train, test)
    train.write(folder / "train.tsv")
    test.write(folder / "test.tsv")
    return audit_set(AuditRequest(folder))


def failed(audit: Audit) -> set[str]:
    return {check.name for check in audit.checks if check.verdict in ("WARN", "FAIL")}


def test_leaks_are_listed_with_the_sequence_of_the_earlier_split(tmp_path: Path) -> None:
    def change(train: Rows, test: Rows) -> None:
        test.sequences[4], test.sequences[9] = train.sequences[7], train.sequences[2][30:] + "ACGTTGCAAC" * 3
        test.contigs[11], test.starts[11] = "chr1", train.starts[5] + 119

    audit = make(tmp_path, change)
    assert [(leak.check, leak.split, leak.sequence, leak.of_split, leak.of_sequence) for leak in audit.leaks] == [
        ("exact copies", "test", 5, "train", 8),
        ("shifted or partial copies", "test", 10, "train", 3),
        ("overlapping regions", "test", 12, "train", 6),
    ]
    audit.write_leaks(tmp_path / "leaks.tsv")
    lines = (tmp_path / "leaks.tsv").read_text().splitlines()
    assert lines[:2] == [
        "check\tsplit\tsequence\tname\tof_split\tof_sequence\tof_name",
        "exact copies\ttest\t5\t5\ttrain\t8\t8",
    ]
    assert audit.leak_frame().shape == (3, 7)


def test_overlaps_are_those_of_a_comparison_of_all_pairs() -> None:
    random = np.random.default_rng(0)

    def places(n: int) -> list[Place]:
        starts, lengths = random.integers(0, 3000, n), random.integers(0, 120, n)
        return [Place(f"chr{i % 2}", int(at), int(at + k)) for i, (at, k) in enumerate(zip(starts, lengths, strict=True))]

    first, other = places(60), places(200)
    for place, origin in zip(other, _overlapping(first, other).tolist(), strict=True):
        meet = {
            i for i, of in enumerate(first) if of.contig == place.contig and max(of.start, place.start) < min(of.end, place.end)
        }
        assert origin in meet if meet else origin == -1


def test_a_clean_set_passes_every_check(tmp_path: Path) -> None:
    audit = make(tmp_path)
    assert audit.verdict == "PASS", audit.lines()
    assert failed(audit) == set()
    names = {check.name for check in audit.checks}
    assert names >= {"exact copies", "near copies", "overlapping regions", "length", "GC", "k-mers", "contig", "position"}
    assert audit.sizes == {"train": 400, "test": 150}


def exact(train: Rows, test: Rows) -> None:
    test.sequences[:5] = train.sequences[:5]


def turned(train: Rows, test: Rows) -> None:
    test.sequences[:5] = [text.translate(COMPLEMENT)[::-1] for text in train.sequences[:5]]


def shifted(train: Rows, test: Rows) -> None:
    test.sequences[:5] = [text[30:] + "ACGTTGCAAC" * 3 for text in train.sequences[:5]]


def near(train: Rows, test: Rows) -> None:
    random = np.random.default_rng(7)
    for i in range(20):
        text = list(train.sequences[i])
        for at in random.choice(120, 9, replace=False):
            text[at] = "A" if text[at] != "A" else "C"
        test.sequences[i] = "".join(text)


def overlapping(train: Rows, test: Rows) -> None:
    test.contigs[:5], test.starts[:5] = train.contigs[:5], [at + 60 for at in train.starts[:5]]


def repeated(train: Rows, test: Rows) -> None:
    train.sequences[:60] = train.sequences[60:120]
    train.labels[:60] = train.labels[60:120]


def conflicting(train: Rows, test: Rows) -> None:
    train.sequences[:10] = train.sequences[10:20]
    train.labels[:20] = ["0"] * 10 + ["1"] * 10


def short(train: Rows, test: Rows) -> None:
    train.sequences = [s[:100] if label == "1" else s for s, label in zip(train.sequences, train.labels, strict=True)]


def unknown(train: Rows, test: Rows) -> None:
    train.sequences = ["NN" + s[2:] if label == "1" else s for s, label in zip(train.sequences, train.labels, strict=True)]


def masked(train: Rows, test: Rows) -> None:
    train.sequences = [
        s[:50].lower() + s[50:] if label == "1" else s for s, label in zip(train.sequences, train.labels, strict=True)
    ]


def rich(train: Rows, test: Rows) -> None:
    random = np.random.default_rng(5)
    p = {"0": [0.25] * 4, "1": [0.15, 0.35, 0.35, 0.15]}
    train.sequences = ["".join(random.choice(BASES, 120, p=p[label])) for label in train.labels]


def words(train: Rows, test: Rows) -> None:
    motif = {"0": "ATTAATGCATTAATTC" * 2, "1": "GATAAGATAAGATAAC" * 2}
    train.sequences = [s[:40] + motif[label] + s[72:] for s, label in zip(train.sequences, train.labels, strict=True)]


def clustered(train: Rows, test: Rows) -> None:
    train.starts = [i * 500 + (10**6 if label == "1" else 0) for i, label in enumerate(train.labels)]


def by_chromosome(train: Rows, test: Rows) -> None:
    train.contigs = [f"chr{3 if label == '1' else 4}" for label in train.labels]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (exact, "exact copies"),
        (turned, "reverse complements"),
        (shifted, "shifted or partial copies"),
        (near, "near copies"),
        (overlapping, "overlapping regions"),
        (repeated, "repeated sequences"),
        (conflicting, "conflicting labels"),
        (short, "length"),
        (unknown, "N"),
        (masked, "lower case"),
        (rich, "GC"),
        (words, "k-mers"),
        (clustered, "position"),
        (by_chromosome, "contig"),
    ],
)
def test_a_planted_fault_fails_its_check(tmp_path: Path, change, name: str) -> None:
    audit = make(tmp_path, change)
    assert {check.name for check in audit.checks if check.verdict == "FAIL"} >= {name}, audit.lines()
    side_effects = {  # the fault is one of these, too
        "GC": {"k-mers"},
        "conflicting labels": {"repeated sequences"},
        "contig": {"position"},
    }
    assert failed(audit) <= {name} | side_effects.get(name, set()), audit.lines()
    assert any(line.startswith(f"FAIL {name}: ") for line in audit.lines())


def test_a_few_copies_warn_and_one_per_cent_fails(tmp_path: Path) -> None:
    def one(train: Rows, test: Rows) -> None:
        test.sequences[0] = train.sequences[0]

    (check,) = [check for check in make(tmp_path, one).checks if check.name == "exact copies"]
    assert (check.verdict, check.found, check.n) == ("WARN", "1 of 150 (0.667 %)", 150)


def test_labels_of_three_classes_and_numbers(tmp_path: Path) -> None:
    def three(train: Rows, test: Rows) -> None:
        train.labels = [str(i % 3) for i in range(400)]
        train.sequences = [s[: 120 - 20 * (i % 3 == 2)] for i, s in enumerate(train.sequences)]

    (check,) = [check for check in make(tmp_path, three).checks if check.name == "length"]
    assert (check.verdict, "of 2" in check.found) == ("FAIL", True)

    def numbers(train: Rows, test: Rows) -> None:
        train.labels = [f"{i / 400:.4f}" for i in range(400)]
        train.sequences = [s[: 120 - 20 * (i > 200)] for i, s in enumerate(train.sequences)]

    (check,) = [check for check in make(tmp_path, numbers).checks if check.name == "length"]
    assert check.verdict == "FAIL"


def test_of_several_label_columns_the_worst_counts(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = []
    for i in range(200):
        text = "".join(BASES[random.integers(4, size=60 + 10 * (i % 2))])
        rows.append(f"{text},{random.integers(2)},{i % 2}")
    (tmp_path / "train.csv").write_text("\n".join(["sequence,label1,label2", *rows, ""]))
    (check,) = [check for check in audit_set(AuditRequest(tmp_path)).checks if check.name == "length"]
    assert (check.verdict, round(check.value, 2)) == ("FAIL", 1.0)


def test_beds_are_read_with_their_genome(tmp_path: Path) -> None:
    dna = "".join(BASES[np.random.default_rng(0).integers(4, size=4000)])
    (tmp_path / "g.fa").write_text(f">chr1\n{dna}\n")
    for name, shift in (("train", 0), ("test", 20)):
        lines = [f"chr1\t{i * 200 + shift}\t{i * 200 + shift + 100}\t{'ab'[i % 2]}" for i in range(10)]
        (tmp_path / f"{name}.bed").write_text("\n".join([*lines, ""]))
    verdicts = {check.name: check.verdict for check in audit_set(AuditRequest(tmp_path, fasta=tmp_path / "g.fa")).checks}
    assert (verdicts["overlapping regions"], verdicts["shifted or partial copies"]) == ("FAIL", "FAIL")
    assert "lower case" not in verdicts


def test_a_set_without_labels_or_with_one_split_is_checked_for_the_rest(tmp_path: Path) -> None:
    one, two = tmp_path / "a.fa", tmp_path / "b.fa"
    texts = Rows(30, 0, "chr1").sequences
    one.write_text("".join(f">s{i}\n{text}\n" for i, text in enumerate(texts)))
    two.write_text("".join(f">s{i}\n{text}\n" for i, text in enumerate(texts[:3])))
    audit = audit_set(AuditRequest([one, two]))
    verdicts = {(check.name, check.where): check.verdict for check in audit.checks}
    assert verdicts["exact copies", "b in a"] == "FAIL"
    assert verdicts["k-mers", "a"] == "SKIP"
    alone = audit_set(AuditRequest(one))
    assert {check.verdict for check in alone.checks} == {"SKIP", "PASS"}
    assert alone.sizes == {"a": 30}


def test_files_of_other_names_and_gzip_and_positions_across_splits(tmp_path: Path) -> None:
    train, test = Rows(200, 0, "chr1"), Rows(100, 1, "chr1")
    train.starts = [i * 500 + (10**6 if label == "1" else 0) for i, label in enumerate(train.labels)]
    test.starts = [i * 500 + 90 + (10**6 if label == "1" else 0) for i, label in enumerate(test.labels)]
    train.write(tmp_path / "mine.tsv")
    test.write(tmp_path / "theirs.tsv")
    (tmp_path / "theirs.tsv.gz").write_bytes(gzip.compress((tmp_path / "theirs.tsv").read_bytes()))
    audit = audit_set(AuditRequest([tmp_path / "mine.tsv", tmp_path / "theirs.tsv.gz"]))
    verdicts = {(check.name, check.where): check.verdict for check in audit.checks}
    assert verdicts["position", "theirs from mine"] == "FAIL"


def test_the_result_is_the_same_again_and_progress_is_told(tmp_path: Path) -> None:
    first = make(tmp_path, near)
    events: list[Progress] = []
    again = audit_set(AuditRequest(tmp_path), progress=events.append)
    assert again.to_dict() == first.to_dict()
    assert {event.stage for event in events} == {"copies", "shortcuts"}
    assert all(event.done == event.total for event in {event.stage: event for event in events}.values())
    frame = again.to_frame()
    assert list(frame["check"]) == [check.name for check in again.checks]
    assert repr(again).startswith("Audit(FAIL: ")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("nowhere.csv", "nowhere.csv is no file"),
        (".", "has no train.csv"),
        ([], "option data is empty"),
    ],
)
def test_wrong_input_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GenoformerError, match=message):
        audit_set(AuditRequest(data))
