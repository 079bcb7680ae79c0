"""Sinks on hand-written records: what stands in the VCF, TSV and Parquet, and that a file is whole or not there."""

from __future__ import annotations

import csv
import gzip
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoformer.errors import ConfigError, FileFormatError, GenoformerError
from genoformer.formats.score_tables import read_score_table
from genoformer.formats.vcf import Record
from genoformer.formats.vcf_text import ENCODING, ERRORS
from genoformer.genome.variants import Status
from genoformer.scoring.scores import parse_scores
from genoformer.writers import SINKS, Header, Provenance, RecordWriter, Sink, number, open_sink

pa = pytest.importorskip("pyarrow", reason="Parquet is an extra: pip install genoformer[parquet]")
csv_of_arrow = pytest.importorskip("pyarrow.csv", reason="Parquet is an extra: pip install genoformer[parquet]")
pq = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra: pip install genoformer[parquet]")

NAN = float("nan")
SCORES = [score.column for score in parse_scores("LLR,PLL")]
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tann"
PROVENANCE = Provenance("1.2.3", "tiny", "c0ffee", "scores=LLR,PLL;context=32")
INPUT = ["##fileformat=VCFv4.2", "##contig=<ID=chr1,length=1000>", '##FILTER=<ID=low,Description="a,b">', COLUMNS]
HEADER = Header(INPUT, {"chr1": 1000, "chr2": 500}, SCORES, PROVENANCE)
OK, SYMBOLIC, STAR, NO_ALT = Status.OK, Status.SYMBOLIC, Status.STAR, Status.NO_ALT

# The line; statuses and (LLR, PLL) of each ALT; the eighth column that comes out.
TABLE: list[tuple[str, list[Status], list[tuple[float, float]], str]] = [
    ("chr1 10 rs1 A C 50 PASS AF=0.5;DB GT 0|1", [OK], [(-1.5, NAN)], "AF=0.5;DB;GF_LLR=-1.5"),
    ("chr1 20 . AT A . low . GT 0/0", [OK], [(NAN, 0.25)], "GF_PLL=0.25"),
    ("chr1 30 . A C,AG,G . . DP=7 GT 1/2", [OK] * 3, [(1, NAN), (NAN, 2), (3, NAN)], "DP=7;GF_LLR=1,.,3;GF_PLL=.,2,."),
    ("chr1 40 . A <DEL>,C . . X GT .", [SYMBOLIC, OK], [(NAN, NAN), (4, NAN)], "X;GF_LLR=.,4;GF_STATUS=SYMBOLIC"),
    ("chr1 50 . A C,*,<X> . . . GT .", [OK, STAR, SYMBOLIC], [(5, NAN), *[(NAN, NAN)] * 2], "GF_LLR=5,.,.;GF_STATUS=STAR"),
    ("chr1 60 . a . . . END=60 GT .", [NO_ALT], [(NAN, NAN)], "END=60;GF_STATUS=NO_ALT"),
    ("chr2 5 . G T . . GF_LLR=9;A=1;GF_STATUS=STAR;GF_OLD=2 GT .", [OK], [(6, NAN)], "A=1;GF_OLD=2;GF_LLR=6"),
    ("chr2 6 . G T . . GF_LLR=9 GT .", [OK], [(-0.0, NAN)], "GF_LLR=0"),
]


def record(row: str) -> Record:
    chrom, pos, name, ref, alt, *_ = row.split()
    alts = () if alt == "." else tuple(alt.split(","))
    return Record("\t".join(row.split()), chrom, int(pos), name, ref, alts)


def fill(out: RecordWriter, table: Sequence[tuple[str, list[Status], list[tuple[float, float]], str]] = TABLE) -> None:
    for row, statuses, values, _ in table:
        out.write(record(row), statuses, np.array(values, dtype=np.float32))


def write(path: Path, table: Sequence[tuple[str, list[Status], list[tuple[float, float]], str]] = TABLE) -> Sink:
    sink = open_sink(path)
    with sink.writing(HEADER) as out:
        fill(out, table)
    return sink


def text_of(path: Path) -> str:
    raw = path.read_bytes()
    return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode(ENCODING, ERRORS)


# VCF


@pytest.mark.parametrize("suffix", [".vcf", ".vcf.gz", ".vcf.bgz"])
def test_vcf_records(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"out{suffix}")
    found = [line for line in text_of(tmp_path / f"out{suffix}").splitlines() if not line.startswith("#")]
    expected = []
    for row, _, _, info in TABLE:
        fields = row.split()
        expected.append("\t".join([*fields[:7], info, *fields[8:]]))
    assert found == expected


def test_vcf_header(tmp_path: Path) -> None:
    write(tmp_path / "out.vcf")
    lines = [line for line in text_of(tmp_path / "out.vcf").splitlines() if line.startswith("#")]
    assert lines[:4] == [*INPUT[:3], "##contig=<ID=chr2,length=500>"]  # chr2 had no line
    assert [line.split(",Description")[0] for line in lines[4:7]] == [
        "##INFO=<ID=GF_LLR,Number=A,Type=Float",
        "##INFO=<ID=GF_PLL,Number=A,Type=Float",
        "##INFO=<ID=GF_STATUS,Number=1,Type=String",
    ]
    assert lines[4].endswith(f'Description="{SCORES[0].meaning} Unit: bits.">')
    assert lines[6].endswith(
        ": NO_ALT, SYMBOLIC, BREAKEND, STAR, NOT_ACGT, NO_CONTIG, OTHER_SEQUENCE, OUTSIDE, N_IN_REF, TOO_LONG, "
        'REF_MISMATCH, NO_SCORE">'
    )
    assert lines[7:] == [
        "##genoformer_version=1.2.3",
        '##genoformer_model=<ID=tiny,sha256="c0ffee">',
        "##genoformer_options=scores=LLR,PLL;context=32",
        COLUMNS,
    ]


def test_scoring_the_output_again_changes_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "once.vcf")
    lines = text_of(tmp_path / "once.vcf").splitlines()
    rows = [line for line in lines if not line.startswith("#")]
    sink = open_sink(tmp_path / "twice.vcf")
    with sink.writing(HEADER._replace(lines=[line for line in lines if line.startswith("#")])) as out:
        for row, (_, statuses, values, _) in zip(rows, TABLE, strict=True):
            out.write(record(row), statuses, np.array(values, dtype=np.float32))
    assert text_of(tmp_path / "twice.vcf") == text_of(tmp_path / "once.vcf")


def test_pysam_reads_the_vcf_by_place(tmp_path: Path) -> None:
    write(tmp_path / "out.vcf.gz")
    with pysam.VariantFile(str(tmp_path / "out.vcf.gz")) as file:
        assert file.header.info["GF_LLR"].number == "A"
        assert [r.pos for r in file.fetch("chr1", 15, 45)] == [20, 30, 40]
        assert [r.pos for r in file.fetch("chr2")] == [5, 6]
        third = next(file.fetch("chr1", 29, 30))
        assert third.info["GF_LLR"] == (1, None, 3)
        assert third.info["GF_PLL"] == (None, 2, None)
        assert next(file.fetch("chr1", 39, 40)).info["GF_STATUS"] == "SYMBOLIC"
    assert not list(tmp_path.glob(".*"))


def test_short_lines_get_the_columns_they_lack(tmp_path: Path) -> None:
    write(tmp_path / "out.vcf", [("chr1 5 . A T", [OK], [(1, NAN)], "")])
    assert text_of(tmp_path / "out.vcf").splitlines()[-1] == "chr1\t5\t.\tA\tT\t.\t.\tGF_LLR=1"


# The index

FIRST, SECOND, OTHER = (TABLE[i] for i in (0, 1, 6))
FAR = ("chr1 600000000 . A C . . . GT .", [Status.OUTSIDE], [(NAN, NAN)], "")
VERY_FAR = ("chr1 600000000000000000 . A C . . . GT .", [Status.OUTSIDE], [(NAN, NAN)], "")
END_FAR = ("chr1 70 . A <DEL> . . END=700000000 GT .", [SYMBOLIC], [(NAN, NAN)], "")
TELOMERE = ("chr1 0 . N <DEL> . . . GT .", [SYMBOLIC], [(NAN, NAN)], "")


@pytest.mark.parametrize(
    ("table", "index", "note"),
    [
        ([FIRST, SECOND, OTHER], ".tbi", ""),
        ([], ".tbi", ""),
        ([TELOMERE, FIRST], ".tbi", ""),
        ([FIRST, FAR], ".csi", ""),
        ([SECOND, FIRST], "", "out.vcf.gz has no index, because the input is not sorted (bcftools sort)."),
        ([FIRST, OTHER, SECOND], "", "out.vcf.gz has no index, because the input is not sorted (bcftools sort)."),
        ([FIRST, VERY_FAR], "", "out.vcf.gz has no index, because tabix cannot make one"),
        ([FIRST, END_FAR], "", "out.vcf.gz has no index, because tabix cannot make one"),
    ],
    ids=["sorted", "empty", "POS 0", "far", "backwards", "contig twice", "very far", "END far"],
)
def test_index(tmp_path: Path, capfd: pytest.CaptureFixture[str], table: list, index: str, note: str) -> None:
    stale = [tmp_path / f"out.vcf.gz{suffix}" for suffix in (".tbi", ".csi")]
    for path in stale:
        path.write_bytes(b"of an earlier output")
    sink = write(tmp_path / "out.vcf.gz", table)
    assert {path.name for path in tmp_path.iterdir()} == {"out.vcf.gz"} | ({f"out.vcf.gz{index}"} if index else set())
    assert [n[: len(note)] for n in sink.notes] == ([note] if note else [])
    assert capfd.readouterr().err == ""  # htslib keeps quiet
    records = [line for line in text_of(tmp_path / "out.vcf.gz").splitlines() if not line.startswith("#")]
    assert len(records) == len(table)


# TSV and Parquet


@pytest.mark.parametrize("suffix", [".tsv", ".tsv.gz"])
def test_tsv(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"out{suffix}", TABLE[:5])
    assert [line.split("\t") for line in text_of(tmp_path / f"out{suffix}").splitlines()] == [
        [field.replace("_", "") for field in row.split()]  # _ is nothing
        for row in (
            "chrom pos id  ref alt   qual filter info      status   LLR  PLL  FORMAT ann",
            "chr1  10  rs1 A   C     50   PASS   AF=0.5;DB .        -1.5 _    GT     0|1",
            "chr1  20  .   AT  A     _    low    .         .        _    0.25 GT     0/0",
            "chr1  30  .   A   C     _    .      DP=7      .        1    _    GT     1/2",
            "chr1  30  .   A   AG    _    .      DP=7      .        _    2    GT     1/2",
            "chr1  30  .   A   G     _    .      DP=7      .        3    _    GT     1/2",
            "chr1  40  .   A   <DEL> _    .      X         SYMBOLIC _    _    GT     .",
            "chr1  40  .   A   C     _    .      X         .        4    _    GT     .",
            "chr1  50  .   A   C     _    .      .         .        5    _    GT     .",
            "chr1  50  .   A   *     _    .      .         STAR     _    _    GT     .",
            "chr1  50  .   A   <X>   _    .      .         SYMBOLIC _    _    GT     .",
        )
    ]


ODD = ['"5-HTTLPR', '5"', '""', "'", 'a"b', "NA", "nan", "null", "1e5", "#x", "\\", " x", "x\u00a0", "=1", "TRUE"]


def scored(path: Path, names: Sequence[str]) -> Path:
    """A TSV of records with odd text in ID, FILTER and INFO, a score in every second."""
    header = HEADER._replace(lines=[*INPUT[:-1], COLUMNS[: COLUMNS.index("\tFORMAT")]])
    with open_sink(path).writing(header) as out:
        for i, name in enumerate(names):
            row = f"chr1\t{i + 1}\t{name}\tA\tC\t{'.' if i % 2 else 30.5}\t{name}\tX={name}"
            value = [NAN, NAN] if i % 2 else [-0.5, NAN]
            out.write(Record(row, "chr1", i + 1, name, "A", ("C",)), [OK], np.array([value], dtype=np.float32))
    return path


@given(names=st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1)))
def test_any_text_comes_back_from_a_tsv(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    """To pandas, the csv module and the reader of `gf.score`; a dot is a missing ID."""
    names = [name for name in [*ODD, *names] if name != "."]
    path = scored(tmp_path_factory.mktemp("t") / "o.tsv", names)
    table = pd.read_csv(path, sep="\t", keep_default_na=False, dtype={"id": str, "filter": str})
    ours = read_score_table(path)
    for of in (table, ours):
        assert of["id"].tolist() == of["filter"].tolist() == names
        assert of["info"].tolist() == [f"X={name}" for name in names]
    with path.open(newline="") as file:
        assert [row["id"] for row in csv.DictReader(file, delimiter="\t")] == names
    assert ours["LLR"].isna().tolist() == [bool(i % 2) for i in range(len(names))]


@pytest.mark.parametrize("read", ["pandas", "polars", "pyarrow", "evaluate"])
def test_numbers_of_a_tsv_are_read_as_numbers(tmp_path: Path, read: str) -> None:
    path = scored(tmp_path / "o.tsv", ODD)
    wanted = [None if i % 2 else -0.5 for i in range(len(ODD))]
    if read == "evaluate":
        pytest.importorskip("torch", reason="evaluation needs torch")
        from genoformer.evaluation.variants import read_scores

        found = read_scores(path)["LLR"]
        assert [found.get(("1", i + 1, "A", "C")) for i in range(len(ODD))] == wanted
        return
    if read == "pandas":
        table = pd.read_csv(path, sep="\t").astype({"id": object})
        assert [table[name].dtype.kind for name in ("pos", "qual", "LLR", "PLL")] == ["i", "f", "f", "f"]
        columns = {name: [None if x != x else x for x in table[name]] for name in ("id", "qual", "LLR")}
    elif read == "polars":
        polars = pytest.importorskip("polars", reason="polars is not installed")
        frame = polars.read_csv(path, separator="\t", infer_schema_length=None)
        assert [frame.schema[name].is_float() for name in ("qual", "LLR")] == [True, True]
        columns = frame.to_dict(as_series=False)
    else:
        frame = csv_of_arrow.read_csv(path, parse_options=csv_of_arrow.ParseOptions(delimiter="\t"))
        assert [str(frame.schema.field(name).type) for name in ("qual", "LLR")] == ["double"] * 2
        columns = frame.to_pydict()
    assert columns["LLR"] == wanted
    assert columns["qual"] == [None if i % 2 else 30.5 for i in range(len(ODD))]
    assert [columns["id"][i] for i in (0, 1, 4, 8)] == ['"5-HTTLPR', '5"', 'a"b', "1e5"]


def test_parquet(tmp_path: Path) -> None:
    write(tmp_path / "out.parquet", TABLE[2:6])
    table = pq.read_table(tmp_path / "out.parquet")
    text, number_type = pa.string(), pa.float32()
    assert list(zip(table.schema.names, table.schema.types, strict=True)) == [
        ("chrom", text),
        ("pos", pa.int64()),
        ("id", text),
        ("ref", text),
        ("alt", text),
        ("qual", text),
        ("filter", text),
        ("info", text),
        ("status", text),
        ("LLR", number_type),
        ("PLL", number_type),
        ("FORMAT", text),
        ("ann", text),
    ]
    assert table.select(["pos", "alt", "status", "LLR", "PLL", "ann"]).to_pydict() == {
        "pos": [30, 30, 30, 40, 40, 50, 50, 50, 60],
        "alt": ["C", "AG", "G", "<DEL>", "C", "C", "*", "<X>", "."],
        "status": [".", ".", ".", "SYMBOLIC", ".", ".", "STAR", "SYMBOLIC", "NO_ALT"],
        "LLR": [1, None, 3, None, 4, 5, None, None, None],
        "PLL": [None, 2, None, None, None, None, None, None, None],
        "ann": ["1/2", "1/2", "1/2", *["."] * 6],
    }
    made = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert made == {f"genoformer_{key}": value for key, value in PROVENANCE._asdict().items() if value}


def test_a_missing_qual_is_null_in_parquet_as_it_is_empty_in_a_table_of_text(tmp_path: Path) -> None:
    rows = [("chr1 1 . A C . . . GT .", [OK], [(1, NAN)], ""), ("chr1 2 . A C,G 50.5 . . GT .", [OK] * 2, [(1, NAN)] * 2, "")]
    for suffix in (".parquet", ".tsv"):
        write(tmp_path / f"out{suffix}", rows)
    found = pq.read_table(tmp_path / "out.parquet").select(["id", "qual", "filter"]).to_pydict()
    assert found == {"id": ["."] * 3, "qual": [None, "50.5", "50.5"], "filter": ["."] * 3}
    assert pd.read_csv(tmp_path / "out.tsv", sep="\t")["qual"].isna().tolist() == [True, False, False]


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    """They stay as they are in text; Parquet, which cannot hold them, has U+FFFD."""
    line = b"chr1\t5\tr\xe9\tA\tT\t.\t.\tX=\xe9\tGT\t\xff".decode(ENCODING, ERRORS)
    header = HEADER._replace(lines=[*INPUT[:-1], COLUMNS + b"\xe9".decode(ENCODING, ERRORS)])
    for suffix in (".vcf", ".tsv", ".parquet"):
        with open_sink(tmp_path / f"out{suffix}").writing(header) as out:
            out.write(Record(line, "chr1", 5, "r", "A", ("T",)), [OK], np.array([[1, NAN]], dtype=np.float32))
    assert b"\tr\xe9\tA\tT\t.\t.\tX=\xe9;GF_LLR=1\tGT\t\xff\n" in (tmp_path / "out.vcf").read_bytes()
    assert b"ann\xe9\n" in (tmp_path / "out.vcf").read_bytes()
    assert b"\tX=\xe9\t.\t1\t\tGT\t\xff\n" in (tmp_path / "out.tsv").read_bytes()
    row = pq.read_table(tmp_path / "out.parquet").to_pylist()[0]
    assert (row["id"], row["info"], row["ann�"]) == ("r�", "X=�", "�")


def test_more_or_fewer_columns_than_the_header_names(tmp_path: Path) -> None:
    short, longer = ("chr1 5 . A T . . X", *FIRST[1:]), (f"{FIRST[0]} 1|1", *FIRST[1:])
    write(tmp_path / "out.tsv", [short])
    assert text_of(tmp_path / "out.tsv").splitlines()[-1].split("\t")[-4:] == ["-1.5", "", ".", "."]
    write(tmp_path / "out.parquet", [short])
    assert pq.read_table(tmp_path / "out.parquet").select(["FORMAT", "ann"]).to_pylist() == [{"FORMAT": None, "ann": None}]
    write(tmp_path / "long.tsv", [longer])
    assert text_of(tmp_path / "long.tsv").splitlines()[-1].endswith("\tGT\t0|1\t1|1")
    with pytest.raises(FileFormatError, match="chr1:10 has 11 columns and the header names 10"):
        write(tmp_path / "long.parquet", [longer])


# Numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (NAN, "."),
        (0.0, "0"),
        (-0.0, "0"),
        (1 / 3, "0.33333"),
        (-12.3456789, "-12.346"),
        (123456.0, "1.2346e+05"),
        (1e-9, "1e-09"),
        (float("inf"), "inf"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


# Whole or not there


@pytest.mark.parametrize("suffix", SINKS)
def test_two_runs_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    write(tmp_path / f"a{suffix}")
    later = time.time() + 100_000  # gzip would write the time
    monkeypatch.setattr(time, "time", lambda: later)
    write(tmp_path / f"b{suffix}")
    first, second = ({p.name[1:]: p.read_bytes() for p in tmp_path.glob(f"{name}.*")} for name in "ab")
    assert first == second
    assert suffix in first


@pytest.mark.parametrize("suffix", SINKS)
def test_the_final_name_appears_with_the_whole_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    with open_sink(path).writing(HEADER) as out:
        fill(out)
        assert not path.exists()
    assert path.stat().st_size > 0
    assert {p.name for p in tmp_path.iterdir()} <= {path.name, f"{path.name}.tbi"}


@pytest.mark.parametrize("suffix", SINKS)
def test_an_unfinished_file_leaves_the_old_one(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    path.write_bytes(b"old")

    def stopped() -> None:
        with open_sink(path).writing(HEADER) as out:
            fill(out)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"old"


def test_a_header_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = open_sink(tmp_path / "out.vcf")

    def full(self: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("genoformer.writers.base.TextWriter.flush", full)
    header = HEADER._replace(lines=[INPUT[0], *[f"##contig=<ID=HLA{i}>" for i in range(3_000)], COLUMNS])
    with pytest.raises(OSError, match="No space left"), sink.writing(header):
        pass
    assert list(tmp_path.iterdir()) == []


# Refusals


@pytest.mark.parametrize("name", ["out", "out.txt", "out.bcf", "out.VCF", "out.gz", "out.vcf.zip"])
def test_an_unknown_suffix_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"names no known format; end the name in \.vcf, \.vcf\.gz"):
        open_sink(tmp_path / name)


def test_no_folder_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere does not exist; create it"):
        open_sink(tmp_path / "nowhere" / "out.vcf")
    (tmp_path / "out.vcf").mkdir()
    with pytest.raises(GenoformerError, match=r"out\.vcf is a folder, not a file"):
        open_sink(tmp_path / "out.vcf")
