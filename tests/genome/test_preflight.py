"""Preflight: a VCF that does not belong to the reference is stopped, and told why; everything else is counted."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genoformer.errors import ConfigError, PreflightError
from genoformer.formats.vcf import COLUMNS, read_variants
from genoformer.genome.contigs import ContigMap
from genoformer.genome.fit import check_fit
from genoformer.genome.preflight import check_preflight, preflight
from genoformer.genome.preflight_result import ContigUse, LengthDifference, Preflight
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Status
from genoformer.genome.wording import counted
from genoformer.progress import Progress


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    path = tmp_path_factory.mktemp("made") / "made.fa"
    path.write_text(">chr1\nACGTACGTACGTNNNN\n>chr2\nGGGGCCCC\n")
    return Genome(path)


def write(folder: Path, *rows: str, header: tuple[str, ...] = ()) -> Path:
    lines = ["##fileformat=VCFv4.2", *header, COLUMNS, *("\t".join([*row.split(), ".", ".", "."]) for row in rows)]
    path = folder / "in.vcf"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_counts(made: Genome, tmp_path: Path) -> None:
    rows = ["1 1 . A T", "1 2 . C G,<DEL>,*", "chr2 1 . G .", "1 13 . A T", "1 99 . A T", "9 1 . A T", "1 3 . G GAAAAA"]
    seen: list[Progress] = []
    path = write(tmp_path, *rows, "2 8 . A C")
    found = preflight(path, made, max_length=5, force=True, progress=seen.append)  # much of contig 1 is beyond its end
    assert (found.n_records, found.n_alts, found.n_scorable) == (8, 9, 2)
    assert {status.name: n for status, n in found.statuses.items() if n} == {
        "OK": 2,
        "NO_ALT": 1,
        "SYMBOLIC": 1,
        "STAR": 1,
        "NO_CONTIG": 1,
        "OUTSIDE": 1,
        "N_IN_REF": 1,
        "TOO_LONG": 1,
        "REF_MISMATCH": 1,
    }
    assert found.contigs == (
        ContigUse("1", "chr1", 5),
        ContigUse("chr2", "chr2", 1),
        ContigUse("9", None, 1),
        ContigUse("2", "chr2", 1),
    )
    assert (found.n_compared, found.n_agreeing, found.n_swapped) == (5, 4, 1)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert seen == [Progress("preflight", 8, None)]


def test_an_empty_vcf_is_fine(made: Genome, tmp_path: Path) -> None:
    found = preflight(write(tmp_path), made, max_length=5)
    assert (found.n_records, found.n_alts, found.n_scorable, found.agreement) == (0, 0, 0, None)
    assert found.problem() is None
    assert "records" in found.table()


def test_region(made: Genome, tmp_path: Path) -> None:
    path = write(tmp_path, "1 1 . A T", "chr1 2 . C T", "1 3 . G T", "2 2 . G T")
    found = preflight(path, made, max_length=5, region="chr1:2-3")
    assert [use.name for use in found.contigs] == ["chr1", "1"]
    assert found.n_records == 2
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_no_contig_in_common(made: Genome, tmp_path: Path) -> None:
    found = preflight(write(tmp_path, "7 1 . A T", "8 1 . A T"), made, max_length=5)
    assert "(7, 8)" in (found.problem() or "")
    assert "(chr1, chr2)" in (found.problem() or "")
    with pytest.raises(PreflightError, match="None of the contigs"):
        check_preflight(found)
    check_preflight(found, force=True)


def test_a_build_that_contig_names_show_is_not_said_to_be_in_the_header(made: Genome, tmp_path: Path) -> None:
    of_names = preflight(write(tmp_path, "NC_000020.11 1 . A T"), made, max_length=5).problem() or ""
    assert "(chr1, chr2); the names of its contigs point to hg38; give the FASTA" in of_names
    header = ("##contig=<ID=chr20,length=64444167>",)
    assert "its header points to hg38" in (
        preflight(write(tmp_path, "chr20 1 . A T", header=header), made, max_length=5).problem() or ""
    )


def test_nothing_scorable_is_no_problem(made: Genome, tmp_path: Path) -> None:
    found = preflight(write(tmp_path, "1 1 . A <DEL>", "1 13 . N T"), made, max_length=5)
    assert (found.n_scorable, found.problem()) == (0, None)


def test_records_beyond_their_contigs_are_of_another_assembly(made: Genome, tmp_path: Path) -> None:
    for n_good in (9, 4, 1):
        few = preflight(write(tmp_path, *["1 1 . A T"] * n_good, "1 99 . A T"), made, max_length=5)
        assert (few.n_outside, few.problem(), few.n_scorable) == (1, None, n_good)
    unknown = preflight(write(tmp_path, *["1 13 . N T"] * 9, "1 99 . A T"), made, max_length=5)
    assert (unknown.n_compared, unknown.problem()) == (0, None)
    for rows in (["1 99 . A T"], ["1 99 . A T", "9 1 . A T"]):
        found = preflight(write(tmp_path, *rows), made, max_length=5)
        says = rf"1 of {counted(len(rows), 'record')} of .* lie beyond the ends of their contigs"
        with pytest.raises(PreflightError, match=says):
            check_preflight(found)
        check_preflight(found, force=True)


def test_a_region_without_records_is_noted_and_one_beyond_its_contig_is_refused(made: Genome, tmp_path: Path) -> None:
    path = write(tmp_path, "1 1 . A T")
    assert "no record of" in preflight(path, made, max_length=5, region="1:10-99").notes[0]
    with pytest.raises(ConfigError, match="the region begins at chr1:17, and chr1 has 16 bases in made"):
        preflight(path, made, max_length=5, region="1:17-99")


HG19_20, HG38_20 = 63_025_520, 64_444_167


@pytest.mark.parametrize(
    ("header", "build"),
    [
        ((), None),
        ((f"##contig=<ID=20,length={HG19_20}>",), "hg19"),
        ((f"##contig=<ID=chr20,length={HG38_20}>",), "hg38"),
        (("##reference=file:///data/hs37d5.fa.gz",), "hg19"),
        (("##reference=GRCh37/hg19",), "hg19"),
        (("##reference=human_b37_decoy.fasta",), "hg19"),
        (("##reference=GRCh38_full_analysis_set_plus_decoy_hla.fa",), "hg38"),
        (("##contig=<ID=20,assembly=b38>",), "hg38"),
        (("##assembly=T2T-CHM13v2.0",), "chm13"),
        (("##reference=hg19", "##reference=hg38"), None),  # lifted over: it cannot be told
        (("##reference=GRCh37", f"##contig=<ID=20,length={HG38_20}>"), "hg38"),  # lengths do not lie
        (("##source=hg19ToHg38",), None),
    ],
)
def test_build_of_the_header(header: tuple[str, ...], build: str | None, made: Genome, tmp_path: Path) -> None:
    assert preflight(write(tmp_path, header=header), made, max_length=5).vcf_build == build


def test_build_of_refseq_names_and_lengths(made: Genome, tmp_path: Path) -> None:
    found = preflight(write(tmp_path, "NC_000001.10 1 . A T"), made, max_length=5)
    assert (found.vcf_build, found.contig_map) == ("hg19", {"NC_000001.10": "chr1"})
    found = preflight(write(tmp_path, header=("##contig=<ID=1,length=20>", "##contig=<ID=2,length=8>")), made, max_length=5)
    assert found.length_differences == (LengthDifference("1", 20, "chr1", 16),)


def test_table_and_json_of_odd_names(made: Genome, tmp_path: Path) -> None:
    path = write(tmp_path, *(f"{'long' * 9}{i} 1 . A T" for i in range(9)), "CAF\udce9 1 . A T".replace("\udce9", "E"))
    path.write_bytes(path.read_bytes().replace(b"CAFE", b"CAF\xe9"))
    found = preflight(path, made, max_length=5)
    for text in (found.table(), found.problem() or "", json.dumps(found.to_dict())):
        text.encode("utf-8")
    assert max(len(line) for line in found.table().splitlines()) < 80
    assert json.loads(json.dumps(found.to_dict()))["statuses"] == {"NO_CONTIG": 10}


def test_contigs_that_a_name_could_be_are_reported(tmp_path: Path, make_fasta: Callable[..., Path]) -> None:
    genome = Genome(make_fasta(chr1="ACGTACGT", chrM="ACGTTTTT", chrMT="ACGTACCC"))
    found = preflight(write(tmp_path, "MT 1 . A T", "23 2 . C T", "1 3 . G T"), genome, max_length=5)
    assert found.contig_map == {"MT": "chrMT", "1": "chr1"}
    assert f"contig MT fits more than one contig of {genome.name} (chrM, chrMT): chrMT is used." in found.notes
    assert any(note.startswith("as PLINK numbers human chromosomes 23 is X") for note in found.notes)
    assert "chrMT is used" in " ".join(found.table().split())
    for region, names in (("chrMT", ["MT"]), ("chrM", []), ("MT:1", ["MT"])):
        only = preflight(write(tmp_path, "MT 1 . A T", "1 3 . G T"), genome, max_length=5, region=region)
        assert [use.name for use in only.contigs] == names


@pytest.mark.parametrize(("by", "moves"), [(-1, True), (1, True), (0, False)])
def test_the_places_of_a_shifted_file_are_those_of_the_corrected_one(tmp_path: Path, make_fasta, by: int, moves: bool) -> None:
    text = "".join(np.random.default_rng(5).choice(list("ACGT"), 2_000))
    genome = Genome(make_fasta(chr1=text, chr2=text[::-1]))
    rows = [("1", pos, text[pos - 1]) for pos in range(2, 1_900, 19)]
    rows += [("chr2", pos, text[-pos]) for pos in range(3, 1_900, 21)]

    def places(by: int, asked: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
        lines = [f"{name} {pos + by} . {ref} {'C' if ref == 'A' else 'A'}" for name, pos, ref in rows]
        return preflight(write(tmp_path, *lines), genome, max_length=100, fix=asked).places

    right = places(0, ())
    assert right == tuple(({"1": "chr1"}.get(name, name), pos - 1) for name, pos, _ in rows)
    assert places(by, ("shift",)) == right
    assert (places(by, ()) != right) == moves


# Real files


def run(real_data: Path, fasta: str, vcf: str) -> Preflight:
    return preflight(real_data / vcf, Genome(real_data / fasta), max_length=196_608)


def test_1000_genomes_on_hg19(real_data: Path) -> None:
    found = run(real_data, "hg19/hg19.sparse.fa.gz", "hg19/1000G.chr20_1000001-2000000.vcf.gz")
    assert (found.n_records, found.n_compared, found.n_agreeing) == (28_998, 28_998, 28_998)
    assert (found.statuses[Status.SYMBOLIC], found.n_scorable) == (24, 29_120)
    assert found.contigs == (ContigUse("20", "chr20", 28_998),)
    assert (found.reference_build, found.vcf_build, found.likely_build) == ("hg19", "hg19", "hg19")
    assert found.problem() is None
    text = gzip.decompress((real_data / "hg19/1000G.chr20_1000001-2000000.vcf.gz").read_bytes())
    assert found.sha256 == hashlib.sha256(text).hexdigest()


def test_1000_genomes_on_hg38(real_data: Path) -> None:
    found = run(real_data, "hg38/hg38.sparse.fa.gz", "hg38/1000G.chr21-22.sites.vcf.gz")
    assert (found.n_records, found.n_scorable) == (96_711, 273)
    assert (found.n_agreeing, found.n_compared) == (273, 273)
    assert found.contig_map == {"22": "chr22"}
    assert found.problem() is None


def test_swapped_alleles(real_data: Path) -> None:
    found = run(real_data, "hg38/hg38.sparse.fa.gz", "hg38/chr1_eqtl_flip.vcf")
    assert " 0 % of 8 records" in (found.problem() or "")
    assert "swapped" in (found.problem() or "")
    assert run(real_data, "hg38/hg38.sparse.fa.gz", "hg38/chr1_eqtl.vcf").problem() is None


def test_wrong_build(real_data: Path) -> None:
    found = run(real_data, "hg19/hg19.sparse.fa.gz", "hg38/1000G.chr21-22.sites.vcf.gz")
    assert found.agreement == pytest.approx(0.227, abs=0.001)  # SNVs agree by chance in a quarter to a third
    assert (found.vcf_build, found.likely_build) == ("hg38", "hg38")
    assert "its header points to hg38" in (found.problem() or "")
    other = run(real_data, "hg38/hg38.sparse.fa.gz", "hg19/1000G.chr20_1000001-2000000.vcf.gz")
    assert "None of the contigs" in (other.problem() or "")


def test_preflight_and_scorer_count_the_same(real_data: Path) -> None:
    genome = Genome(real_data / "hg38/hg38.sparse.fa.gz")
    path = real_data / "hg38/1000G.chr21-22.sites.vcf.gz"
    found = preflight(path, genome, max_length=100)
    records = list(read_variants(path))
    for contigs in (ContigMap(["21", "22"], genome.contigs), found.contig_map):
        statuses = [s for row in check_fit(records, genome, contigs, 100).statuses for s in row]
        names, counts = np.unique([s.name for s in statuses], return_counts=True)
        assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == found.to_dict()["statuses"]
