"""Tables from a genome and peaks: every row beside a naive reader of the FASTA, every drop with its reason."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pysam
import pytest
from commands import rows_of

from genoformer.datasets.build import build
from genoformer.datasets.sequences import read_labelled
from genoformer.errors import ConfigError, ContigError, FileFormatError
from genoformer.formats.bed import read_bed, read_regions
from genoformer.genome.reference import Genome

OTHER = str.maketrans("ACGTN", "TGCAN")
LENGTH = 40


def random_text(length: int, seed: int) -> str:
    """Bases whose GC goes up and down along the text."""
    random = np.random.default_rng(seed)
    gc = 0.5 + 0.3 * np.sin(np.arange(length) / 300)
    return "".join(np.where(random.random(length) < gc, random.choice(["C", "G"], length), random.choice(["A", "T"], length)))


CONTIGS = {
    "chr1": random_text(6000, 1) + "N" * 3000 + random_text(3000, 2),
    "chr2": random_text(5000, 3),
    "chr3": random_text(5000, 4),
}


@pytest.fixture
def genome(make_fasta: Callable[..., Path]) -> Genome:
    return Genome(make_fasta(**CONTIGS))


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join("\t".join(line.split(" ")) + "\n" for line in lines))
    return path


def peaks(path: Path) -> Path:
    """20 peaks on each contig, a third of them on the - strand, summit off the middle."""
    lines = []
    for chrom in ("1", "2", "3"):
        lines += [f"{chrom} {200 * i + 90} {200 * i + 150} p{i} 9 {'+-.'[i % 3]} 1 -1 -1 {5 + i}" for i in range(20)]
    return write(path, *lines)


def bases(contigs: dict[str, str], row: dict[str, str]) -> str:
    text = contigs[row["chrom"]][int(row["start"]) : int(row["end"])].upper()
    return text.translate(OTHER)[::-1] if row["strand"] == "-" else text


def gc(text: str) -> float:
    return (text.count("C") + text.count("G")) / len(text)


@pytest.mark.parametrize("negatives", ["gc", "elsewhere", "dinucleotide"])
def test_every_row_is_what_it_says(tmp_path: Path, genome: Genome, negatives: str) -> None:
    black = write(tmp_path / "black.bed", "chr1 4500 6000", "chr2 4200 4600")
    files = {"peak": peaks(tmp_path / "p.narrowPeak")}
    built = build(
        tmp_path / "out",
        genome,
        files,
        length=LENGTH,
        negatives=negatives,
        valid=["2"],
        test=["chr3"],
        blacklist=black,
        max_n=0,
    )
    for split, chrom in (("train", "chr1"), ("valid", "chr2"), ("test", "chr3")):
        rows = rows_of(tmp_path / "out" / f"{split}.tsv")
        positive = [row for row in rows if row["label"] == "peak"]
        negative = [row for row in rows if row["label"] == "negative"]
        assert built.counts[split] == {"peak": 20, "negative": len(negative)} == dict(Counter(row["label"] for row in rows))
        assert len(negative) + (built.dropped.get("negative", {}).get("not_found", 0) if negatives == "gc" else 0) >= 20
        for i, row in enumerate(positive):
            summit = 200 * i + 90 + 5 + i
            first = summit - LENGTH // 2 + (row["strand"] == "-")  # the summit is base number 20 on either strand
            assert (row["chrom"], int(row["start"]), row["strand"], row["name"]) == (chrom, first, "+-."[i % 3], f"p{i}")
            assert row["sequence"] == bases(CONTIGS, row)
            summit_base = CONTIGS[chrom][summit]
            assert row["sequence"][LENGTH // 2] == (summit_base.translate(OTHER) if row["strand"] == "-" else summit_base)
        if negatives == "dinucleotide":
            assert {row["chrom"] for row in negative} == {"."}
            for row, source in zip(negative, positive, strict=True):
                assert Counter(pairwise(row["sequence"])) == Counter(pairwise(source["sequence"]))
            continue
        hidden = [(200 * i + 90 - LENGTH, 200 * i + 150 + LENGTH) for i in range(20)]
        hidden += {"chr1": [(4500, 6000), (6000, 9000)], "chr2": [(4200, 4600)], "chr3": []}[chrom]
        for row in negative:
            assert row["sequence"] == bases(CONTIGS, row)
            assert all(int(row["end"]) <= start or int(row["start"]) >= end for start, end in hidden)
        starts = sorted(int(row["start"]) for row in negative)
        assert all(b - a >= LENGTH for a, b in pairwise(starts))
        assert built.gc[split]["peak"] == pytest.approx(np.mean([gc(row["sequence"]) for row in positive]), abs=1e-6)
        if negatives == "gc":
            have = Counter(int(gc(row["sequence"]) * 50 + 1e-9) for row in negative)
            assert not have - Counter(int(gc(row["sequence"]) * 50 + 1e-9) for row in positive)
    assert built.leakage["train, valid"].n_leaked == 0


def test_each_drop_has_its_reason(tmp_path: Path, genome: Genome) -> None:
    first = write(
        tmp_path / "a.bed",
        "chr1 1000 1001 kept",
        "chr1 1019 1020 repeated",  # 21 of 40 bases are the same
        "chr1 1020 1021 kept",  # 20 of 40
        "chr1 1000 1001 repeated . -",
        "chr1 5 6 outside",
        "chr1 11990 11991 outside",
        "chr9 1000 1001 no_contig",
        "chr1 7000 7001 too_many_n",
        "chr1 5983 5984 too_many_n",  # 3 of 40 bases are N
        "chr1 5981 5982 kept",  # 1 of 40
        "chr1 2019 2020 blacklist",
        "chr1 2020 2021 kept",
        "chr1 3000 3001 ambiguous",
        "chr1 3100 3101 kept",
    )
    second = write(tmp_path / "b.bed", "chr1 3020 3021 ambiguous", "chr1 3121 3122 kept")
    black = write(tmp_path / "black.bed", "chr1 1999 2000")
    built = build(tmp_path / "out", genome, {"a": first, "b": second}, length=LENGTH, negatives=None, blacklist=black)
    expected = Counter(row.name for row in read_regions(first))
    assert built.counts == {"train": {"a": expected.pop("kept"), "b": 1}}
    assert built.dropped == {"a": dict(expected), "b": {"ambiguous": 1}}
    assert {row["name"] for row in rows_of(tmp_path / "out" / "train.tsv")} == {"kept"}
    assert built.notes == [
        "there is no valid set, as no contigs were named for it.",
        "there is no test set, as no contigs were named for it.",
    ]


def test_start_sites_lie_at_the_same_base_on_both_strands(tmp_path: Path, genome: Genome) -> None:
    lines = [f'chr1|x|gene|{500 * i + 101}|{500 * i + 300}|.|{"+-"[i % 2]}|.|gene_name "g{i}";' for i in range(8)]
    gtf = tmp_path / "a.gtf"
    gtf.write_text("".join(line.replace("|", "\t") + "\n" for line in lines))
    build(tmp_path / "out", genome, {"promoter": gtf}, upstream=30, downstream=12)
    rows = [row for row in rows_of(tmp_path / "out" / "train.tsv") if row["label"] == "promoter"]
    assert [row["name"] for row in rows] == [f"g{i}" for i in range(8)]
    for i, row in enumerate(rows):
        site = 500 * i + 100 if row["strand"] == "+" else 500 * i + 299
        assert row["sequence"] == bases(CONTIGS, row)
        assert int(row["start"]) == (site - 30 if row["strand"] == "+" else site - 11)
        assert int(row["end"]) - int(row["start"]) == 42
    assert len(rows[0]["sequence"]) == 42
    build(tmp_path / "by_length", genome, {"promoter": gtf}, length=60)
    [first, *_] = rows_of(tmp_path / "by_length" / "train.tsv")
    assert (first["name"], first["start"]) == ("g0", "50")


def test_start_sites_of_transcripts_without_strand_are_left_out_and_noted(tmp_path: Path, genome: Genome) -> None:
    """As StringTie writes transcripts of one exon."""
    lines = [f'chr1|x|transcript|{500 * i + 101}|{500 * i + 300}|.|{"+-.?"[i % 4]}|.|transcript_id "t{i}";' for i in range(8)]
    gtf = tmp_path / "a.gtf"
    gtf.write_text("".join(line.replace("|", "\t") + "\n" for line in lines))
    built = build(tmp_path / "out", genome, {"promoter": gtf}, upstream=30, downstream=12)
    rows = [row for row in rows_of(tmp_path / "out" / "train.tsv") if row["label"] == "promoter"]
    assert [row["name"] for row in rows] == ["t0", "t1", "t4", "t5"]
    assert "a.gtf: 4 transcripts without strand (column 7) are left out." in built.notes


@pytest.mark.parametrize("negatives", ["gc", "dinucleotide"])
def test_the_same_seed_writes_the_same_bytes(tmp_path: Path, genome: Genome, negatives: str) -> None:
    files = {"peak": peaks(tmp_path / "p.narrowPeak")}
    options: dict[str, Any] = {"length": LENGTH, "valid": ["chr2"], "negatives": negatives, "ratio": 0.7}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        built = build(tmp_path / name, genome, files, seed=seed, **options)
        assert built.counts["valid"]["negative"] <= 14
    content = {name: {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "abc"}
    assert content["a"] == content["b"]
    assert content["a"]["train.tsv"] != content["c"]["train.tsv"]
    assert set(content["a"]) == {"train.tsv", "valid.tsv", "manifest.json"}


def test_the_manifest_tells_what_went_in_and_out(tmp_path: Path, genome: Genome) -> None:
    files = {"peak": peaks(tmp_path / "p.narrowPeak")}
    out = tmp_path / "out"
    build(out, genome, files, length=LENGTH, valid=["chr2"], seed=3)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["options"]["seed"] == 3
    assert manifest["contigs"] == {"train": ["chr1", "chr3"], "valid": ["chr2"]}
    assert manifest["inputs"]["genome"]["sha256"] == hashlib.sha256(genome.path.read_bytes()).hexdigest()
    assert manifest["files"]["train.tsv"] == hashlib.sha256((out / "train.tsv").read_bytes()).hexdigest()
    assert set(manifest["leakage"]) == {"train, valid"}
    found = read_labelled(out / "valid.tsv")
    assert len(found) == sum(manifest["counts"]["valid"].values())


def test_the_same_build_is_written_again_and_nothing_else_is_replaced(tmp_path: Path, genome: Genome) -> None:
    files, out = {"peak": peaks(tmp_path / "p.narrowPeak")}, tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")

    def again(**options: Any) -> None:
        build(out, genome, files, **{"length": LENGTH, **options})

    again(valid=["chr2"])
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert set(before) == {"train.tsv", "valid.tsv", "manifest.json", "notes.txt"}
    again(valid=["chr2"])
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    for changed, named in (
        ({}, "valid"),
        ({"seed": 1}, "valid, seed"),
        ({"valid": ["chr2"], "negatives": "elsewhere", "ratio": 2}, "negatives, ratio"),
        ({"valid": ["chr2"], "length": None, "upstream": 30, "downstream": 10}, "upstream, downstream"),
        ({"valid": ["chr2"], "length": 50}, "length"),
        ({"valid": ["chr2"], "blacklist": write(tmp_path / "black.bed", "chr1 1 2")}, "blacklist"),
    ):
        with pytest.raises(ConfigError, match=rf"out holds a set .* other settings or files \({named}\);.* another folder"):
            again(**changed)
    with pytest.raises(ConfigError, match=r"files \(positives peak, positives summit\)"):
        build(out, genome, {"summit": files["peak"]}, length=LENGTH, valid=["chr2"])
    with pytest.raises(FileFormatError, match=r"none\.bed does not exist"):
        build(out, genome, {"peak": tmp_path / "none.bed"}, length=LENGTH, valid=["chr2"])
    with (tmp_path / "p.narrowPeak").open("a") as file:
        file.write("1\t4090\t4150\tlate\t9\t+\t1\t-1\t-1\t5\n")
    with pytest.raises(ConfigError, match=r"files \(positives peak\)"):
        again(valid=["chr2"])
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    peaks(tmp_path / "p.narrowPeak")
    (out / "test.tsv").write_text("mine")
    with pytest.raises(ConfigError, match=r"test\.tsv, which another program made"):
        again(valid=["chr2"])
    assert (out / "test.tsv").read_text() == "mine"
    (out / "test.tsv").unlink()
    (out / "train.tsv").write_text("changed by hand")
    with pytest.raises(ConfigError, match="changed since"):
        again(valid=["chr2"])
    (out / "manifest.json").unlink()
    with pytest.raises(ConfigError, match=r"out holds train\.tsv, valid\.tsv, which another program made"):
        again(valid=["chr2"])


def test_a_repeat_across_contigs_is_leakage(tmp_path: Path, make_fasta: Callable[..., Path]) -> None:
    shared = random_text(300, 9)
    fasta = make_fasta(chr1=random_text(500, 1) + shared, chr2=random_text(400, 2) + shared.translate(OTHER)[::-1])
    bed = write(tmp_path / "a.bed", "chr1 100 200", "chr1 550 750", "chr2 450 650")
    with Genome(fasta) as genome:
        built = build(tmp_path / "out", genome, {"x": bed}, length=200, negatives="dinucleotide", test=["chr2"])
    found = built.leakage["train, test"]
    assert (found.n, found.n_leaked, found.n_reverse_duplicates) == (2, 1, 1)
    assert found.classes == {"negative": (1, 0), "x": (1, 1)}  # a shuffle cannot leak
    assert "50.00 % of test (1 of 2; 100.00 % of x) shares" in found.describe("train", "test")


def test_negatives_that_are_not_there_are_counted(tmp_path: Path, make_fasta: Callable[..., Path]) -> None:
    with Genome(make_fasta(chr1="GC" * 100 + "AT" * 500)) as genome:
        bed = write(tmp_path / "a.bed", "chr1 60 100", "chr1 100 140")
        built = build(tmp_path / "out", genome, {"x": bed}, length=40)
        assert built.counts == {"train": {"x": 2, "negative": 0}}
        assert built.dropped == {"x": {}, "negative": {"not_found": 2}}
        built = build(tmp_path / "more", genome, {"x": bed}, length=40, negatives="elsewhere", ratio=50)
        assert built.counts["train"]["negative"] + built.dropped["negative"]["not_found"] == 100
        assert built.counts["train"]["negative"] > 15  # 1060 bases are free, 26 windows fit


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"upstream": 10}, "upstream and downstream go together"),
        ({"upstream": 10, "downstream": 5, "length": 20}, "length 20 is not upstream 10"),
        ({"upstream": -1, "downstream": 5}, "upstream -1"),
        ({"length": 0}, "length 0: give 1 or more"),
        ({"negatives": "random"}, "negatives are 'random', but must be gc, dinucleotide, elsewhere or none"),
        ({"negatives": None}, "leaves nothing to classify"),
        ({"ratio": 0}, "ratio is 0"),
        ({"max_n": 1}, "max_n is 1"),
        ({"valid": ["chr2"], "test": ["2"]}, "both in valid and in test"),
        ({"length": 20_000}, "no window of class peak is left .dropped: 60 outside"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path: Path, genome: Genome, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(tmp_path / "out", genome, {"peak": peaks(tmp_path / "p.narrowPeak")}, **options)
    assert not (tmp_path / "out").exists()


def test_a_class_of_which_nothing_is_left_is_told_why(tmp_path: Path, genome: Genome) -> None:
    """Windows of 40 bases: on those of another class, beyond the end, on N, on the blacklist, on a contig that is not there."""
    black = write(tmp_path / "black.bed", "chr1 3900 4100")
    other = write(tmp_path / "b.bed", "chr1 500 501")
    for place, reason, advice in (
        ("chr1 510 511", "1 ambiguous", "windows lie on those of another class"),
        ("chr1 5 6", "1 outside", "are the windows too long"),
        ("chr1 7000 7001", "1 too_many_n", "allow more N"),
        ("chr1 4000 4001", "1 blacklist", "is it the right blacklist"),
        ("chr9 1000 1001", "1 no_contig", "are file and FASTA of one assembly"),
    ):
        files = {"a": write(tmp_path / "a.bed", place), "b": other}
        with pytest.raises(ConfigError, match=rf"no window of class a is left \(dropped: {reason}\); .*{advice}") as refused:
            build(tmp_path / "out", genome, files, length=LENGTH, blacklist=black)
        assert ("one assembly" in str(refused.value)) == (reason == "1 no_contig")
    for place, first in (
        ("chr1 5 6", "the window of 40 bases of chr1:5-6 reaches beyond the begin of chr1 of"),
        ("chr1 90000000 90000100", "chr1:90,000,000-90,000,100 lies beyond the end of chr1 of"),
    ):
        files = {"a": write(tmp_path / "a.bed", place, place), "b": other}
        with pytest.raises(ConfigError, match=rf"\(dropped: 2 outside\); .*a\.bed, line 1: {first} .*, which has"):
            build(tmp_path / "out", genome, files, length=LENGTH)
    with pytest.raises(FileFormatError, match=r"empty\.bed is empty: class a has no region"):
        build(tmp_path / "out", genome, {"a": write(tmp_path / "empty.bed"), "b": other}, length=LENGTH)
    assert not (tmp_path / "out").exists()


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path, genome: Genome) -> None:
    bed = write(tmp_path / "a.bed", "scaffold7 100 200")
    with pytest.raises(ContigError, match=r"no contig of the positives \(scaffold7\) is in genome\.fa \(chr1, chr2, chr3\)"):
        build(tmp_path / "out", genome, {"x": bed})
    one = write(tmp_path / "b.bed", "chr1 500 600")
    with pytest.raises(ConfigError, match=r"valid \(chr2\) has no positive; the windows lie on: chr1 1"):
        build(tmp_path / "out", genome, {"x": one}, length=50, valid=["chr2"])
    with pytest.raises(ConfigError, match=r"train \(the other contigs\) has no positive"):
        build(tmp_path / "out", genome, {"x": one}, length=50, valid=["chr1"])
    with pytest.raises(ConfigError, match="no positives are given"):
        build(tmp_path / "out", genome, {})
    for name, message in (("a;b", "without semicolon"), ("negative", "a class is named negative")):
        with pytest.raises(ConfigError, match=message):
            build(tmp_path / "out", genome, {name: one})
    with pytest.raises(FileFormatError, match="does not exist"):
        build(tmp_path / "out", genome, {"x": one}, length=50, blacklist=tmp_path / "nothing.bed")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("build_name", "positives", "valid"),
    [("hg38", "RefSeq_TSS500bp.hg38.bed.gz", "chr1"), ("hg19", "tf_chip/HepG2.CTCF.narrowPeak.gz", "chr20")],
)
def test_real_start_sites_and_peaks(real_data: Path, tmp_path: Path, build_name: str, positives: str, valid: str) -> None:
    folder = real_data / build_name
    fasta, peaks = folder / f"{build_name}.sparse.fa.gz", folder / "annotation" / positives
    black = folder / "annotation" / f"{build_name}-blacklist.v2.bed"
    with Genome(fasta) as genome:
        built = build(tmp_path, genome, {"p": peaks}, upstream=250, downstream=50, valid=[valid], blacklist=black)
    n_rows = sum(len(rows) for rows in read_bed(peaks).values())
    assert sum(counts["p"] for counts in built.counts.values()) + sum(built.dropped["p"].values()) == n_rows
    at_site: dict[str, Counter[str]] = {"+": Counter(), "-": Counter(), ".": Counter()}
    with pysam.FastaFile(str(fasta)) as oracle:
        for split in ("train", "valid"):
            assert built.gc[split]["negative"] == pytest.approx(built.gc[split]["p"], abs=0.02)
            for row in rows_of(tmp_path / f"{split}.tsv"):
                text = oracle.fetch(row["chrom"], int(row["start"]), int(row["end"])).upper()
                assert row["sequence"] == (text.translate(OTHER)[::-1] if row["strand"] == "-" else text)
                if row["label"] == "p":
                    at_site[row["strand"]].update({row["sequence"][249:251]: 1})
    if build_name == "hg38":  # the initiator: a pyrimidine before the start site, a purine on it, on either strand
        for strand in "+-":
            pairs = at_site[strand]
            assert sum(n for pair, n in pairs.items() if pair[1] in "AG") > 0.7 * pairs.total()
            assert sum(n for pair, n in pairs.items() if pair[0] in "CT" and pair[1] in "AG") > 0.4 * pairs.total()
