"""Many records written together, compared with the same records written one by one."""

from __future__ import annotations

import tempfile
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genoformer.formats.vcf_records import Record
from genoformer.genome.variants import Status
from genoformer.writers import Column, Header, Provenance, Sink, open_sink
from genoformer.writers.base import Field
from genoformer.writers.vcf import VCFWriter

COLUMNS = [
    Column("LLR", "bits", "first score"),
    Column("FIX", "a word", "words", ("SWAP", "A B")),
    Column("PLL%", "bits", "a score with a sign of formats in its name", belongs_to="PLL"),
]
FIELDS = [Field("GENE", "String", "genes"), Field("N", "Integer", "a count", many=False)]
NAN = float("nan")
NUMBERS = st.sampled_from([NAN, NAN, 0.0, -0.0, 1.5, -2.25e-7, 123456.7, float("inf"), 0.1])
INFOS = ["", ".", "AF=0.5", "GF_LLR=3;X", "X;GF_STATUS=STAR", "GF_LLR_SE=1;GF_FIX=SWAP;DB", "XGF_LLR=1", "DP=4;."]


@st.composite
def records(draw: st.DrawFn, *, with_samples: bool) -> Record:
    chrom, pos = draw(st.sampled_from(["chr1", "chr2"])), draw(st.integers(1, 50))
    ref, alt = draw(st.sampled_from(["A", "ACG"])), draw(st.sampled_from([".", "C", "C", "C", "C,G", "<X>,T,G"]))
    fields = [chrom, str(pos), ".", ref, alt, ".", "PASS", draw(st.sampled_from(INFOS))]
    if with_samples or draw(st.integers(0, 9)) == 0:
        fields += ["GT", "0|1", "1|1"]
    elif draw(st.integers(0, 9)) == 0:
        fields = fields[: draw(st.integers(5, 7))]
    return Record("\t".join(fields), chrom, pos, ".", ref, () if alt == "." else tuple(alt.split(",")))


@st.composite
def parts(draw: st.DrawFn) -> tuple[bool, list[Record], list[Status], np.ndarray, dict[int, dict[int, list[str]]]]:
    with_samples = draw(st.booleans())
    rows = draw(st.lists(records(with_samples=with_samples), max_size=8))
    n = sum(max(1, len(record.alts)) for record in rows)
    statuses = draw(st.lists(st.sampled_from([Status.OK, Status.OK, Status.STAR, Status.NO_SCORE]), min_size=n, max_size=n))
    numbers = draw(st.lists(st.tuples(NUMBERS, st.sampled_from([NAN, 0.0, 1.0]), NUMBERS), min_size=n, max_size=n))
    cells = st.dictionaries(st.sampled_from([0, 1]), st.lists(st.sampled_from(["x", "a b", "7"]), min_size=1, max_size=2))
    of_records = draw(st.dictionaries(st.integers(0, max(0, len(rows) - 1)), cells, max_size=3)) if rows else {}
    return with_samples, rows, statuses, np.array(numbers, dtype=np.float32).reshape(-1, 3), of_records


def header(with_samples: bool, n_columns: int) -> Header:
    names = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO" + ("\tFORMAT\ta\tb" if with_samples else "")
    earlier = '##INFO=<ID=GF_LLR_SE,Number=A,Type=Float,Description="of an earlier run">'
    lines = ["##fileformat=VCFv4.2", earlier, names]
    return Header(lines, {"chr1": 100, "chr2": 90}, COLUMNS[:n_columns], Provenance("1"), fields=FIELDS)


def order(writer: VCFWriter) -> tuple[object, ...]:
    return writer.is_sorted, writer.last, writer.contigs, writer.furthest


@settings(max_examples=100, deadline=None)
@given(st.lists(parts(), min_size=1, max_size=2), st.integers(0, 3))
def test_records_written_together_are_written_like_each_alone(
    lists: list[tuple[bool, list[Record], list[Status], np.ndarray, dict[int, dict[int, list[str]]]]], n_columns: int
) -> None:
    of_file = header(lists[0][0], n_columns)
    with tempfile.TemporaryDirectory() as name:
        with (
            open_sink(Path(name, "a.vcf")).writing(of_file) as together,
            open_sink(Path(name, "b.vcf")).writing(of_file) as alone,
        ):
            for _, rows, statuses, values, cells in lists:
                together.write_all(rows, statuses, values[:, :n_columns], cells)
                ends = list(accumulate(max(1, len(record.alts)) for record in rows))
                for i, (record, end) in enumerate(zip(rows, ends, strict=True)):
                    of = slice(end - max(1, len(record.alts)), end)
                    alone.write(record, statuses[of], values[of, :n_columns], cells.get(i, {}))
            assert isinstance(together, VCFWriter)
            assert isinstance(alone, VCFWriter)
            assert order(together) == order(alone)
        assert Path(name, "a.vcf").read_bytes() == Path(name, "b.vcf").read_bytes()


@pytest.mark.parametrize("suffix", [".tsv", ".parquet", ".vcf.gz"])
def test_every_format_writes_records_together(suffix: str, tmp_path: Path) -> None:
    rows = [
        Record(f"chr1\t{i}\t.\tA\t{alt}\t.\t.\tDP={i}", "chr1", i, ".", "A", tuple(alt.split(",")))
        for i, alt in ((3, "C"), (5, "C,G"))
    ]
    statuses, values = [Status.OK, Status.OK, Status.STAR], np.array([[1.5], [NAN], [2]], dtype=np.float32)

    def written(name: str, *, together: bool) -> Sink:
        sink = open_sink(tmp_path / f"{name}{suffix}")
        with sink.writing(header(False, 1)._replace(fields=())) as out:
            if together:
                out.write_all(rows, statuses, values)
            else:
                out.write(rows[0], statuses[:1], values[:1])
                out.write(rows[1], statuses[1:], values[1:])
        return sink

    written("a", together=True)
    written("b", together=False)
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
