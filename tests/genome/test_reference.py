"""Genome beside a naive reader, pysam and pyfaidx; many processes; kipoiseq."""

from __future__ import annotations

import gzip
import multiprocessing
import pickle
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pysam
import pytest
from amounts import examples
from fasta_files import bgzipped, write
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import in_forks
from readings import some_windows

from genoformer.errors import ConfigError, ContigError, FileFormatError
from genoformer.genome import codes
from genoformer.genome.reference import Genome, _to_codes, require_bases

pyfaidx = pytest.importorskip("pyfaidx", reason="the second opinion on every base: pip install pyfaidx")


def naive(sequence: str, start: int, length: int) -> str:
    """The window by one base at a time."""
    base = {**dict(zip("ACGTacgt", "ACGTACGT", strict=True)), "U": "T", "u": "T"}
    return "".join(base.get(sequence[i], "N") if 0 <= i < len(sequence) else "N" for i in range(start, start + length))


class Place(NamedTuple):
    chrom: str
    start: int
    end: int
    strand: str = "."


# --- what is read


LETTERS = st.text(alphabet="ACGTacgtNnRYKMSWBDHVryUu*-", max_size=90) | st.text(alphabet="ACGT", max_size=90)


@st.composite
def fasta_texts(draw: st.DrawFn) -> tuple[dict[str, str], bytes]:
    names = draw(st.lists(st.sampled_from(["chr1", "2", "X", "scaffold|7", "HLA*1:2"]), min_size=1, unique=True))
    contigs = {name: draw(LETTERS) for name in names}
    contigs[names[0]] = contigs[names[0]] or "A"
    end = draw(st.sampled_from(["\n", "\r\n"]))
    width = draw(st.integers(1, 70))
    text = draw(st.sampled_from(["", end]))
    for name, sequence in contigs.items():
        text += f">{name}{draw(st.sampled_from(['', ' some words', chr(9) + 'x']))}{end}"
        text += "".join(sequence[i : i + width] + end for i in range(0, len(sequence), width))
        text += end * draw(st.integers(0, 2))
    return contigs, (text.rstrip() if draw(st.booleans()) else text).encode()


@examples(120)
@given(made=fasta_texts(), windows=st.lists(st.tuples(st.integers(-40, 130), st.integers(0, 120)), max_size=6))
def test_windows_are_those_of_a_naive_reader(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[dict[str, str], bytes], windows: list[tuple[int, int]]
) -> None:
    contigs, text = made
    folder = tmp_path_factory.mktemp("fasta")
    for path in (write(folder / "a.fa", text), bgzipped(folder / "a.fa.gz", text)):
        genome = Genome(path)
        assert genome.contigs == {name: len(sequence) for name, sequence in contigs.items()}
        assert list(genome.contigs) == list(contigs)
        for name, sequence in contigs.items():
            for start, length in windows:
                starts = [start, start + 1, -length, len(sequence), 0]
                found = genome.windows(name, starts, length)
                assert found.shape == (5, length)
                assert found.dtype == np.uint8
                assert [codes.decode(row) for row in found] == [naive(sequence, s, length) for s in starts]


@examples(40)
@given(
    sequence=st.text(alphabet="ACGTacgtNRu-", min_size=1, max_size=90),
    n=st.integers(4_000, 9_000),
    width=st.integers(1, 70),
    end=st.sampled_from(["\n", "\r\n"]),
    start=st.integers(-100, 5_000),
    length=st.integers(4_000, 4_500),  # on both sides of 4,096, where another way of reading begins
)
def test_long_windows_are_those_of_a_naive_reader(
    tmp_path_factory: pytest.TempPathFactory, sequence: str, n: int, width: int, end: str, start: int, length: int
) -> None:
    sequence = (sequence * n)[:n]
    text = ">b" + end + "ACG" + end + ">a" + end + "".join(sequence[i : i + width] + end for i in range(0, n, width))
    folder = tmp_path_factory.mktemp("fasta")
    starts = [start, start + 1, 0, n - length, n]
    for path in (write(folder / "a.fa", text.encode()), bgzipped(folder / "a.fa.gz", text.encode())):
        found = Genome(path).windows("a", starts, length)
        assert [codes.decode(row) for row in found] == [naive(sequence, s, length) for s in starts]


@settings(max_examples=30, deadline=None)
@given(sequence=st.text(alphabet="ACGTacgtNRY", min_size=1, max_size=300), width=st.integers(1, 70), data=st.data())
def test_inside_the_contig_windows_are_those_of_pyfaidx(
    tmp_path_factory: pytest.TempPathFactory, sequence: str, width: int, data: st.DataObject
) -> None:
    lines = "".join(sequence[i : i + width] + "\n" for i in range(0, len(sequence), width))
    path = write(tmp_path_factory.mktemp("fasta") / "a.fa", f">a\n{lines}>b\nAC\n")
    start = data.draw(st.integers(0, len(sequence) - 1))
    end = data.draw(st.integers(start + 1, len(sequence)))
    genome = Genome(path)
    with pyfaidx.Fasta(str(path)) as other:  # reads the index that we made
        assert (genome.window("a", start, end - start) == codes.encode(other["a"][start:end].seq)).all()


@pytest.mark.parametrize("length", [1, 60, 512, 4095, 4096, 5000, 70_000, 300_000])
@pytest.mark.parametrize("kind", ["plain", "bgzip"])
def test_long_and_many_windows_cross_lines_blocks_and_ends(tmp_path: Path, kind: str, length: int) -> None:
    rng = np.random.default_rng(length)
    sequence = "".join(rng.choice(list("ACGTacgt"), 200_000)) + "NNRYU" + "".join(rng.choice(list("ACGT"), 10_000))
    text = ">a\n" + "".join(sequence[i : i + 61] + "\n" for i in range(0, len(sequence), 61)) + ">b\nACGT\n"
    genome = Genome(write(tmp_path / "a.fa", text) if kind == "plain" else bgzipped(tmp_path / "a.fa.gz", text))
    starts = np.concatenate([rng.integers(-length, len(sequence), 20), [0, len(sequence) - length, 199_990]])
    padded = codes.encode("N" * length + sequence + "N" * 2 * length)
    found = genome.windows("a", starts, length)
    for row, start in zip(found, starts, strict=True):
        assert (row == padded[start + length : start + 2 * length]).all()


def test_every_byte_has_the_code_of_the_table() -> None:
    for byte in range(256):
        for company in (b"", b"ACGTacgt", b"acgtNNU"):
            letters = np.frombuffer(bytes([byte]) + company, dtype=np.uint8)
            out = np.empty_like(letters)
            _to_codes(letters, out)
            assert out.tolist() == codes.encode(letters.tobytes()).tolist()


def test_windows_far_outside_and_of_no_length(tmp_path: Path) -> None:
    genome = Genome(write(tmp_path / "a.fa", ">a\nACGT\n"))
    far = [-(10**18), 10**18, np.iinfo(np.int64).max, np.iinfo(np.int64).min]
    assert (genome.windows("a", far, 3) == codes.N).all()
    assert genome.windows("a", [1, 2], 0).shape == (2, 0)
    assert genome.windows("a", [], 7).shape == (0, 7)
    assert genome.window("a", 1, 2).tolist() == [1, 2]


@pytest.mark.parametrize(("starts", "length"), [([0.5], 3), (["1"], 3), ([0], -1), (3, 3), ([[1]], 3)])
def test_windows_refuse_what_is_no_list_of_whole_numbers(tmp_path: Path, starts: Any, length: int) -> None:
    genome = Genome(write(tmp_path / "a.fa", ">a\nACGT\n"))
    with pytest.raises(ValueError, match="whole-number starts"):
        genome.windows("a", starts, length)


def test_windows_are_the_callers_own(tmp_path: Path) -> None:
    genome = Genome(write(tmp_path / "a.fa", ">a\nACGT\n"))
    genome.window("a", 0, 4)[:] = 9
    assert genome.window("a", 0, 4).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (Place("a", 0, 4), "AACG"),
        (Place("a", 0, 4, "+"), "AACG"),
        (Place("a", 0, 4, "-"), "CGTT"),
        (Place("a", -2, 2), "NNAA"),
        (Place("a", -2, 2, "-"), "TTNN"),
        (Place("a", 4, 8), "NTNN"),  # R is N
        (Place("a", 9, 9), ""),
    ],
)
def test_extract(tmp_path: Path, place: Place, text: str) -> None:
    assert Genome(write(tmp_path / "a.fa", ">a\naaCG\nRt\n")).extract(place) == text


def test_extract_refuses_an_interval_that_runs_backwards(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="end lies before"):
        Genome(write(tmp_path / "a.fa", ">a\nACGT\n")).extract(Place("a", 3, 1))


def test_contigs_under_other_names(tmp_path: Path) -> None:
    genome = Genome(write(tmp_path / "a.fa", ">chr1\nAC\n>chr20\nGT\n>X\nA\n>chrX\nC\n"))
    assert genome.resolve("20") == genome.resolve("NC_000020.10") == genome.resolve("chr20") == "chr20"
    assert "chr20" in genome
    assert "20" not in genome
    with pytest.raises(ContigError, match=r"no contig 21 in a\.fa, which has chr1, chr20"):
        genome.resolve("21")
    with pytest.raises(ContigError, match="fits more than one"):
        genome.resolve("NC_000023.10")
    assert genome.notes == ["contig NC_000023.10 fits more than one contig of a.fa (X, chrX): none is used; rename it."]
    assert genome.resolve("CHRX") == genome.resolve("CHRX") == "chrX"
    assert genome.notes[1:] == ["contig CHRX fits more than one contig of a.fa (X, chrX): chrX is used."]
    with pytest.raises(ContigError, match=r"no contig 23 in a\.fa.*As PLINK numbers human chromosomes 23 is X"):
        genome.resolve("23")
    with pytest.raises(ContigError, match="calls contig 20 chr20"):
        genome.window("20", 0, 1)
    with pytest.raises(KeyError, match="no contig 7"):
        genome.window("7", 0, 1)


# --- processes and threads


@pytest.fixture(params=["plain", "bgzip"])
def big(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    bases = np.random.default_rng(0).choice(np.frombuffer(b"ACGTacgtN", dtype=np.uint8), 150_000).tobytes()
    text = b">a\n" + b"".join(bases[i : i + 60] + b"\n" for i in range(0, len(bases), 60))
    return write(tmp_path / "a.fa", text) if request.param == "plain" else bgzipped(tmp_path / "a.fa.gz", text)


def test_forked_workers_read_the_same(big: Path) -> None:
    genome = Genome(big)
    assert in_forks(some_windows, [(genome, n) for n in range(4)]) == [some_windows(genome, n) for n in range(4)]


def test_spawned_workers_read_the_same(big: Path) -> None:
    genome = Genome(big)
    expected = [some_windows(genome, n) for n in range(2)]  # the parent's handle is open when the children start
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.starmap(some_windows, [(genome, n) for n in range(2)]) == expected


def test_threads_share_a_genome(big: Path) -> None:
    expected = [some_windows(Genome(big), n) for n in range(8)]
    genome = Genome(big)
    found: dict[int, bytes] = {}
    threads = [threading.Thread(target=lambda n=n: found.update({n: some_windows(genome, n)})) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[n] for n in range(8)] == expected


def test_pickled_and_closed_genomes_read_on(big: Path) -> None:
    genome = Genome(big)
    expected = some_windows(genome, 1)
    small = pickle.dumps(genome)
    assert len(small) < 3000
    assert some_windows(pickle.loads(small), 1) == expected
    with genome as same:
        assert same is genome
    assert some_windows(genome, 1) == expected


def test_processes_that_race_for_the_index_all_read_right(big: Path) -> None:
    expected = some_windows(Genome(big), 3)
    for index in big.parent.glob("*.fai"):
        index.unlink()
    script = (
        "import sys, hashlib, numpy as np; from genoformer.genome.reference import Genome\n"
        "sys.stdin.readline(); g = Genome(sys.argv[1])\n"
        "s = np.random.default_rng(3).integers(-100, 50_000, 40)\n"
        "sys.stdout.buffer.write(g.windows('a', s, 700).tobytes() + g.window('a', 10, 9000).tobytes())"
    )
    command = [sys.executable, "-c", script, str(big)]
    runners = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(4)]
    for runner in runners:
        assert runner.stdin is not None
        runner.stdin.write(b"\n")
        runner.stdin.flush()
    assert [runner.communicate()[0] for runner in runners] == [expected] * 4
    assert not list(big.parent.glob(".*"))  # no parts left behind
    assert Genome(big).notes == []


# --- others


def test_bases_as_text_are_those_of_pyfaidx(tmp_path: Path) -> None:
    path = tmp_path / "g.fa"
    path.write_text(">chr1 first\nACGTacgtNN\nGGRAT\n>2\nTTT\n")
    theirs = pyfaidx.Fasta(str(path), sequence_always_upper=True)
    with Genome(path) as genome:
        for first, last in ((0, 15), (3, 11), (5, 5), (14, 15)):
            text = str(theirs["chr1"][first:last]).replace("R", "N")
            assert genome.fetch("chr1", first, last) == genome["chr1", first:last] == text
            assert genome["1", first:last] == text  # any spelling of the contig
            if last > first:
                assert genome[f"chr1:{first + 1}-{last}"] == genome.fetch(f"chr1:{first + 1}-{last}") == text
        assert genome["chr1", 3] == "T"
        assert genome["chr1", :4] == "ACGT"
        assert genome["chr1", 12:] == "NAT"
        assert genome["chr2"] == genome.fetch("2") == genome["2:1-"] == "TTT"
        assert "chr1" in genome
        for place in (("chr1", slice(-3, 2)), ("chr1", slice(0, 16)), ("chr1", slice(4, 2)), ("chr1", 15), ("chr1", -1)):
            with pytest.raises(ConfigError, match="are not on the contig, which has 15"):
                genome[place]
        with pytest.raises(ConfigError, match="the step of the bases is 2"):
            genome["chr1", 0:4:2]
        with pytest.raises(ConfigError, match=r"write genome\['chr1', 100:200\]"):
            genome[0]
        with pytest.raises(ContigError, match="There is no contig chr3"):
            genome["chr3", 0:4]
        with pytest.raises(TypeError, match="not iterable"):
            iter(genome)


def test_plugs_into_kipoiseq(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies' deprecations
        pytest.importorskip("kipoiseq", reason="kipoiseq is an extra: pip install genoformer[kipoi]")
        from kipoiseq import Interval, Variant
        from kipoiseq.extractors import FastaStringExtractor, VariantSeqExtractor

        path = write(tmp_path / "a.fa", ">chr1\nAACCGGTTAC\nGTNNacgtAC\n")
        genome = Genome(path)
        theirs = FastaStringExtractor(str(path), use_strand=True, force_upper=True)
        for strand in "+-.":
            place = Interval("chr1", 3, 17, strand=strand)
            assert genome.extract(place) == theirs.extract(place)
            assert len(genome.extract(place)) == place.width()
        variants = [Variant("chr1", 5, "G", "T"), Variant("chr1", 8, "TA", "T"), Variant("chr1", 11, "G", "GCC")]
        ours = VariantSeqExtractor(reference_sequence=genome)
        reference_extractor = VariantSeqExtractor(reference_sequence=theirs)
        for anchor in (2, 7, 14):
            for fixed_len in (True, False):
                place = Interval("chr1", 2, 14)
                found = ours.extract(place, variants, anchor, fixed_len=fixed_len)
                assert found == reference_extractor.extract(place, variants, anchor, fixed_len=fixed_len)
        assert ours.extract(Interval("chr1", 3, 7), variants[:1], 3) == "CTGT"  # AAC CGGT: the first G, at 5, is T
        theirs.close()


@pytest.mark.parametrize(("build", "chrom", "middle"), [("hg19", "chr20", 1_500_000), ("hg38", "chr22", 32_150_000)])
def test_real_windows_are_those_of_pysam(real_data: Path, build: str, chrom: str, middle: int) -> None:
    path = real_data / build / f"{build}.sparse.fa.gz"
    genome = Genome(path)
    assert genome.notes == []
    rng = np.random.default_rng(0)
    with pysam.FastaFile(str(path)) as other:
        assert genome.contigs == dict(zip(other.references, other.lengths, strict=True))
        for length in (64, 512, 196_608):
            starts = np.sort(rng.integers(middle - 300_000, middle + 300_000, 20))
            for row, start in zip(genome.windows(chrom, starts, length), starts.tolist(), strict=True):
                assert (row == codes.encode(other.fetch(chrom, start, start + length))).all()
        end = genome.contigs[chrom]
        assert (genome.window(chrom, end - 50, 100)[50:] == codes.N).all()


# --- records without bases, in plain and gzipped files


@pytest.mark.parametrize("name", ["a.fa", "a.fa.gz"])
def test_the_first_empty_record_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    text = b">one\nACGT\nAC\n>onetwo\n>three\n>two x\nA\n"
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    with Genome(tmp_path / name) as genome, pytest.raises(FileFormatError) as refused:
        require_bases(genome)
    said = "line 4: record onetwo has 0 bases, as has 1 other; complete or remove it."
    assert str(refused.value) == f"{tmp_path / name}, {said}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (">a\n>b\nAC\n", "record a has 0 bases; complete"),
        (">a\n>b\nAC\n>c\n", "record a has 0 bases, as has 1 other; complete"),
        (">a\n>b\nAC\n>c\n>d\n", "record a has 0 bases, as have 2 others; complete"),
    ],
)
def test_the_others_are_counted(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.fa").write_text(text)
    with Genome(tmp_path / "a.fa") as genome, pytest.raises(FileFormatError, match=said):
        require_bases(genome)


def test_records_with_bases_pass(make_fasta) -> None:
    require_bases(Genome(make_fasta(a="ACGT", b="N")))
