"""Tables of variants as a VCF: the genome tells REF, every column stays, and what cannot be told has a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pysam
import pytest

from genoformer.errors import ConfigError
from genoformer.formats.vcf import open_vcf
from genoformer.formats.vcf_records import parse_info
from genoformer.genome.fit import check_fit
from genoformer.genome.preflight import preflight
from genoformer.genome.reference import Genome
from genoformer.genome.variant_input import variant_file
from genoformer.genome.variants import Status

SEQUENCE = "ACGTTGCATTACGATTTACNACGT"
HEADER = "SNP\tCHR\tBP\tA1\tA2\tBETA\tmy note\tAF\n"


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    (tmp_path / "g.fa").write_text(f">chr1\n{SEQUENCE}\n")
    return Genome(tmp_path / "g.fa")


def converted(genome: Genome | None, tmp_path: Path, rows: list[str], header: str = HEADER):
    path = tmp_path / "t.tsv"
    path.write_text(header + "".join(row.replace(" ", "\t") + "\n" for row in rows))
    with variant_file(path, genome) as made, open_vcf(made.path) as file:
        return list(file), file.header, made


def test_the_genome_tells_ref_in_either_order(genome: Genome, tmp_path: Path) -> None:
    rows = ["rs1 1 1 C A 0.1 x;y 0.5", "rs2 1 1 A C NA . .", "rs3 1 2 CGT C 1 1 1", "rs4 1 3 T C 1 1 1"]
    records, header, made = converted(genome, tmp_path, rows)
    assert [record[1:] for record in records] == [
        ("1", 1, "rs1", "A", ("C",)),
        ("1", 1, "rs2", "A", ("C",)),
        ("1", 2, "rs3", "C", ("CGT",)),  # both match, so the genome does not tell REF
        ("1", 3, "rs4", "C", ("T",)),  # neither matches: as written, the effect allele is ALT
    ]
    info = [parse_info(record) for record in records]
    assert info[0] == {"A1": "C", "A2": "A", "BETA": "0.1", "my_note": "x%3By", "input_AF": "0.5", "effect_is": "ALT"}
    assert info[1] == {"A1": "A", "A2": "C", "my_note": ".", "effect_is": "REF"}
    assert info[2]["GF_INPUT"] == "EITHER_ALLELE"
    assert "effect_is" not in info[2] | info[3]
    assert "##contig=<ID=1,length=24>" in header
    assert '##INFO=<ID=BETA,Number=1,Type=Float,Description="Column BETA of the table of variants">' in header
    assert made.notes[0].startswith(f"{tmp_path / 't.tsv'}: the effect allele is ALT in 1 row and REF in 1; scores are of ALT")
    checked = check_fit(records, genome, {"1": "chr1"}, 100)
    assert [status for (status,) in checked.statuses] == [Status.OK, Status.OK, Status.EITHER_ALLELE, Status.REF_MISMATCH]
    with variant_file(tmp_path / "t.tsv", genome) as again:
        counted = preflight(again.path, genome, max_length=100)
    assert counted.statuses[Status.EITHER_ALLELE] == counted.statuses[Status.REF_MISMATCH] == 1
    assert counted.statuses[Status.OK] == 2


def test_paired_alleles_are_read_only_if_other_snvs_show_the_strand(genome: Genome, tmp_path: Path) -> None:
    paired = "rs1 1 1 T A 1 1 1"
    (record,), _, made = converted(genome, tmp_path, [paired])
    assert parse_info(record)["GF_INPUT"] == "EITHER_STRAND"
    assert "1 row has alleles that pair" in made.notes[-1]
    assert check_fit([record], genome, {"1": "chr1"}, 100).statuses == [(Status.EITHER_STRAND,)]
    many = [f"rs2 1 1 {'CA'[i % 2]} {'AC'[i % 2]} 1 1 1" for i in range(100)]
    forward, _, made = converted(genome, tmp_path, [*many, paired])
    assert parse_info(forward[-1])["effect_is"] == "ALT"
    assert "100 of 100 SNVs show that the alleles are of the forward strand" in made.notes[-1]
    reverse = ["rs3 1 1 T G 1 1 1"] * 2  # 2 of 102 lie on the other strand
    mixed, _, _ = converted(genome, tmp_path, [*many, *reverse, paired])
    assert parse_info(mixed[-1])["GF_INPUT"] == "EITHER_STRAND"


def test_rows_that_a_vcf_cannot_hold_as_they_are(genome: Genome, tmp_path: Path) -> None:
    header = "chrom\tpos\tref\talt\tid\tEND\n"
    rows = ["chr1 1 A C a;b 7", "chr1 2 D I . 7", ". NA A C x 7", "chr1 3 G <DEL> . 7", "chr1 4 T A,C . 7", "chr1 20 N A . 7"]
    records, lines, made = converted(genome, tmp_path, rows, header)
    assert [record[1:] for record in records] == [
        ("chr1", 1, "a_b", "A", ("C",)),
        ("chr1", 2, ".", "N", ("N",)),
        ("unplaced", 0, "x", "A", ("C",)),
        ("chr1", 3, ".", "G", ("<DEL>",)),
        ("chr1", 4, ".", "T", ("A", "C")),
        ("chr1", 20, ".", "N", ("A",)),
    ]
    assert [parse_info(record) for record in records][:2] == [{"input_END": "7"}, {"input_END": "7", "input_alleles": "D/I"}]
    assert "##contig=<ID=unplaced>" in lines
    assert [note.partition(": ")[2][:22] for note in made.notes] == ["1 row has no position;", "1 row has an allele th"]
    checked = check_fit(records, genome, {"chr1": "chr1"}, 100)
    assert [status for statuses in checked.statuses for status in statuses] == [
        *(Status.OK, Status.NOT_ACGT, Status.NO_CONTIG, Status.SYMBOLIC, Status.OK, Status.OK),
        Status.N_IN_REF,
    ]


def test_the_vcf_is_valid(genome: Genome, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('chr,pos,ref,alt,"a ""b""",p-value,1st\nchr1,1,A,C,"x, y=1%",1e-300,\nchr1,2,C,T,,NA,z\n')
    with variant_file(path, genome) as made, pysam.VariantFile(str(made.path)) as file:
        records = list(file)
        assert file.header.contigs["chr1"].length == 24
        assert [(r.chrom, r.pos, r.ref, r.alts) for r in records] == [("chr1", 1, "A", ("C",)), ("chr1", 2, "C", ("T",))]
        assert set(records[0].info) == {"a__b_", "p_value"}
        assert set(records[1].info) == {"input_1st"}


def test_every_allele_of_random_tables_is_read_as_a_naive_reader_does(genome: Genome, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    alleles = ["A", "C", "G", "T", "AC", "CG", "TT", "GCA"]
    rows = [f"r{i} 1 {rng.integers(1, 26)} {' '.join(rng.choice(alleles, 2, replace=False))} 1 1 1" for i in range(300)]
    records, _, _ = converted(genome, tmp_path, rows)
    complement = {"A": "T", "C": "G", "G": "C", "T": "A"}
    for row, record in zip(rows, records, strict=True):
        _, _, pos, effect, other = row.split()[:5]
        at = SEQUENCE[int(pos) - 1 :]
        is_effect, is_other = at.startswith(effect), at.startswith(other)
        expected = (effect, other) if is_effect and not is_other else (other, effect)
        assert (record.ref, *record.alts) == expected
        paired = "".join(complement[base] for base in reversed(effect)) == other
        reason = "EITHER_ALLELE" if is_effect and is_other else "EITHER_STRAND" if paired and (is_effect or is_other) else None
        assert parse_info(record).get("GF_INPUT") == reason


def test_a_table_with_effect_and_other_allele_needs_a_genome(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tells which of them is REF; give its FASTA"):
        converted(None, tmp_path, ["rs1 1 1 C A 1 1 1"])
    records, header, _ = converted(None, tmp_path, ["1 1 A C"], "chrom\tpos\tref\talt\n")
    assert records[0].ref == "A"
    assert "##contig=<ID=1>" in header
