"""Each published format of variants, on a small file made here; alleles turned by the genome."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genoformer.benchmarking.assay_readers import read_cagi5, read_crispri, read_mpra, read_pair_scores
from genoformer.benchmarking.truth_set import Allele, oriented, variant_set
from genoformer.benchmarking.variant_readers import read_clinvar, read_pairs, read_qtl, read_traitgym
from genoformer.errors import ConfigError, FileFormatError, GenoformerError
from genoformer.genome.reference import Genome

pa = pytest.importorskip("pyarrow", reason="Parquet is an extra: pip install genoformer[parquet]")
pq = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra: pip install genoformer[parquet]")

GENOME = "ACGTACGTACGTACGTACGT"  # position 1 is A, 2 is C ...


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    (tmp_path / "g.fa").write_text(f">chr1\n{GENOME}\n>chr2\n{GENOME[::-1]}\n")
    return Genome(tmp_path / "g.fa")


def test_traitgym_has_labels_groups_and_consequences(tmp_path: Path) -> None:
    rows = {
        "chrom": ["1"] * 10 + ["X"] * 10,
        "pos": list(range(1, 21)),
        "ref": ["A"] * 20,
        "alt": ["G"] * 20,
        "label": [True, *[False] * 9] * 2,
        "match_group": ["dELS_0"] * 10 + ["PLS_1"] * 10,
        "consequence": ["dELS"] * 10 + ["PLS"] * 10,
        "tss_dist": [100] * 20,
    }
    pq.write_table(pa.table(rows), tmp_path / "test.parquet")
    found = read_traitgym(tmp_path)
    assert found.keys[0] == ("1", 1, "A", "G")
    assert (found.label.sum(), len(found), set(found.subset), found.notes) == (2, 20, {"dELS", "PLS"}, ())
    assert found.row.tolist() == list(range(20))
    pq.write_table(pa.table({name: values[:15] for name, values in rows.items()}), tmp_path / "test.parquet")
    assert read_traitgym(tmp_path).notes == ("1 of 2 matched groups are not 1 positive variant and 9 controls.",)


def test_pairs_without_a_partner_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    rows = ["1\t5\tA\tC\t1\tg0\tdistal", "1\t9\tA\tC\t0\tg0\tdistal", "2\t5\tA\tC\t1\tg1\tdistal", "2\t7\tA\tC\t1\tg1\tdistal"]
    path.write_text("\n".join(["chrom\tpos\tref\talt\tlabel\tmatch_group\tsubset", *rows, ""]))
    found = read_pairs(path)
    assert (found.keys, found.group) == ((("1", 5, "A", "C"), ("1", 9, "A", "C")), ("g0", "g0"))
    assert found.notes == ("1 groups without one positive and one negative variant were left out.",)


DART_CAQTL = ("chr_hg38\tpos_hg38\tallele1\tallele2\tlabel\tIsUsed\tin_peaks\tbeta", "chr1\t{}\t{}\t{}\t{}\t{}\tTrue\t{}")
DART_DSQTL = (
    "var.chrom\tvar.pos\tvar.allele1\tvar.allele2\tvar.label\tvar.isused\tobs.estimate",
    "chr1\t{}\t{}\t{}\t{}\t{}\t{}",
)
CHROMBPNET = (
    "var.chr\tvar.pos_hg38\tvar.allele1\tvar.allele2\tobs.label\tvar.isused\tobs.beta",
    "chr1\t{}\t{}\t{}\t{}\t{}\t{}",
)


@pytest.mark.parametrize(
    ("form", "positive", "negative"), [(DART_CAQTL, "True", "False"), (DART_DSQTL, "1", "-1"), (CHROMBPNET, "True", "False")]
)
def test_qtls_of_three_layouts_keep_used_rows_and_effects(tmp_path: Path, form, positive: str, negative: str) -> None:
    header, row = form
    rows = [
        row.format(5, "A", "C", positive, "True", 0.7),
        row.format(6, "T", "C", negative, "True", 0.1),
        row.format(7, "G", "C", positive, "False", 0.9),
    ]
    path = tmp_path / "q.tsv"
    path.write_text("\n".join([header, *rows, ""]))
    found = read_qtl(path)
    assert (found.label.tolist(), found.effect.tolist(), found.oriented) == ([True, False], [0.7, 0.1], False)
    assert found.notes[-1] == "1 of 3 rows are not used by the authors."


def test_a_swapped_allele_changes_the_sign_of_the_effect_or_of_the_score(tmp_path: Path, genome: Genome) -> None:
    """Position 5 is A, position 6 is C: the second row has them the other way round."""
    header, row = CHROMBPNET
    rows = [row.format(5, "A", "C", "True", "True", 0.7), row.format(6, "T", "C", "True", "True", 0.4)]
    rows.append(row.format(7, "A", "C", "False", "True", 0.2))  # neither is G
    rows += [row.format(i, GENOME[i - 1], "ACGT"[i % 4 - 2], "False", "True", 0.1) for i in range(9, 15)]
    path = tmp_path / "q.tsv"
    path.write_text("\n".join([header, *rows, ""]))
    found = oriented(read_qtl(path), genome)
    assert [tuple(allele) for allele in found.alleles[:2]] == [("chr1", 5, "A", "C"), ("chr1", 6, "C", "T")]
    assert found.effect[:2].tolist() == [0.7, -0.4]
    assert len(found) == 8
    assert found.keys[1] == ("1", 6, "C", "T")
    assert any("1 of 9 variants were left out: g.fa lacks their place" in note for note in found.notes)
    scores = {("1", 5, "A", "C"): 2.0, ("1", 6, "C", "T"): 3.0}
    assert read_qtl(path).values_of(scores)[:2].tolist() == [2.0, -3.0]
    assert found.values_of(scores)[:2].tolist() == [2.0, 3.0]


def test_variants_of_another_assembly_are_refused(genome: Genome) -> None:
    wrong = variant_set([Allele("chr1", i, "T" if GENOME[i - 1] != "T" else "G", "N") for i in range(1, 10)])
    with pytest.raises(ConfigError, match=r"REF of 0 of 9 variants is in g.fa; is it the assembly"):
        oriented(wrong, genome)


@pytest.mark.parametrize(
    ("chrom", "shift", "message"),
    [
        ("9", 0, "g.fa has the contigs chr1, chr2, expected those of the benchmark, 9; give"),
        ("1", 500, "g.fa has no bases at any of the 9 variants"),
        ("1", -1, "REF of 9 of 9 variants is in g.fa one base after its position, so that positions count from 0"),
    ],
)
def test_a_genome_that_does_not_fit_is_refused_with_the_cause(genome: Genome, chrom: str, shift: int, message: str) -> None:
    wrong = variant_set([Allele(chrom, i + shift, GENOME[i - 1], "N") for i in range(2, 11)])
    with pytest.raises(ConfigError, match=message):
        oriented(wrong, genome)


def test_scores_of_turned_alleles_change_their_sign_in_tables_of_every_kind(tmp_path: Path, genome: Genome) -> None:
    """Position 6 is C, and the file has T first; its scores are of C, its second allele."""
    header, row = CHROMBPNET
    rows = [row.format(5, "A", "C", "True", "True", 0.7), row.format(6, "T", "C", "True", "True", 0.4)]
    path = tmp_path / "q.tsv"
    path.write_text("\n".join([header, *rows, ""]))
    found = oriented(read_qtl(path), genome)
    assert (found.effect.tolist(), found.turned.tolist()) == ([0.7, -0.4], [False, True])
    assert found.in_order(np.array([2.0, 3.0])).tolist() == [2.0, -3.0]
    assert found.values_of({("1", 5, "A", "C"): 2.0, ("1", 6, "T", "C"): 3.0}).tolist() == [2.0, -3.0]
    assert np.isnan(found.values_of({("1", 5, "C", "A"): 2.0})).all()  # this allele was not turned


def test_a_variant_that_is_listed_twice_counts_once() -> None:
    found = variant_set([Allele("1", 5, "A", "C"), Allele("chr1", 5, "a", "c"), Allele("1", 6, "A", "C")])
    assert (len(found), found.notes) == (2, ("1 repeated rows were left out.",))
    with pytest.raises(ConfigError, match="no variant that the benchmark uses"):
        variant_set([])


def test_clinvar_keeps_classified_variants_outside_of_coding_sequence(tmp_path: Path) -> None:
    rows = [
        ("5", "Pathogenic", "SO:1|intron_variant"),
        ("6", "Benign", "SO:1|5_prime_UTR_variant,SO:2|intron_variant"),
        ("7", "Pathogenic", "SO:1|missense_variant,SO:2|intron_variant"),
        ("8", "Uncertain_significance", "SO:1|intron_variant"),
        ("9", "Likely_benign", ""),
    ]
    head = ["##fileformat=VCFv4.1", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    lines = [f"1\t{pos}\t.\tA\tG\t.\t.\tCLNSIG={of}" + (f";MC={mc}" if mc else "") for pos, of, mc in rows]
    path = tmp_path / "clinvar.vcf"
    path.write_text("\n".join([*head, *lines, ""]))
    found = read_clinvar(tmp_path)
    assert [key[1] for key in found.keys] == [5, 6]
    assert (found.label.tolist(), found.subset) == ([True, False], ("intron_variant", "5_prime_UTR_variant"))
    path.write_text("\n".join([*head, lines[0], ""]))
    with pytest.raises(FileFormatError, match="no pathogenic and benign SNVs"):
        read_clinvar(path)


NOTES = ("1 of 5 rows have no position or no effect.", "1 of 5 rows are no substitutions.")


def test_mpra_reads_the_release_that_the_genome_fits(tmp_path: Path, genome: Genome) -> None:
    header = "Chrom\tPos\tRef\tAlt\tBarcodes\tCoefficient\tElement\tRelease"
    rows = [f"1\t{i}\t{GENOME[i - 1]}\tN\t9\t0.{i}\tE\tGRCh37".replace("\tN\t", "\tG\t") for i in (1, 2, 5)]
    rows += [f"1\t{i + 1}\t{GENOME[i - 1]}\tG\t9\t0.{i}\tE\tGRCh38" for i in (1, 2, 5)]
    rows += ["1\t9\tA\t-\t9\t0.5\tE\tGRCh37", "1\tNA\tA\tG\t9\t0.5\tE\tGRCh37"]
    path = tmp_path / "m.tsv"
    path.write_text("\n".join([header, *rows, ""]))
    found = read_mpra(path, genome)
    assert [key[1] for key in found.keys] == [1, 2, 5]
    assert (found.effect.tolist(), found.notes) == ([0.1, 0.2, 0.5], NOTES)
    assert [key[1] for key in read_mpra(path).keys] == [2, 3, 6]  # without a genome GRCh38


def test_cagi5_reads_the_test_files_with_confidence(tmp_path: Path) -> None:
    for element in ("F9", "LDLR"):
        lines = ["##comment", "#Chrom\tPos\tRef\tAlt\tValue\tConfidence", "X\t5\tA\tG\t-0.4\t0.2", "X\t6\tA\tG\t0.1\t0.01"]
        (tmp_path / f"challenge_{element}.tsv").write_text("\n".join([*lines, ""]))
    found = read_cagi5(tmp_path)
    assert found.subset == ("F9", "F9", "LDLR", "LDLR")  # one variant may be in two elements
    assert found.confidence.tolist() == [0.2, 0.01] * 2
    with pytest.raises(GenoformerError, match="challenge_ELEMENT"):
        read_cagi5(tmp_path / "..")


def test_crispri_pairs_and_their_scores(tmp_path: Path) -> None:
    header = "chrom\tchromStart\tchromEnd\tmeasuredGeneSymbol\tRegulated\tdistanceToTSS\tValidConnection"
    rows = ["chr1\t100\t600\tGATA1\tTRUE\t5000\tTRUE", "chr1\t100\t600\tHBE1\tFALSE\t-80000\tTRUE"]
    rows += ["chr1\t100\t600\tMYC\tFALSE\t9\tFALSE", rows[0]]
    path = tmp_path / "pairs.tsv"
    path.write_text("\n".join([header, *rows, ""]))
    found = read_crispri(path)
    assert found.keys == (("1", 100, 600, "GATA1"), ("1", 100, 600, "HBE1"))
    assert (found.label.tolist(), found.distance.tolist()) == ([True, False], [5000, 80000])
    assert found.notes == ("2 of 4 rows are repeated or no valid connections.",)
    scores = tmp_path / "s.tsv"
    scores.write_text("chrom\tstart\tend\tgene\tABC\tnote\n1\t100\t600\tHBE1\t0.3\tx\n")
    values = read_pair_scores(scores)
    assert list(values) == ["ABC"]
    assert np.isnan(found.values_of(values["ABC"])).tolist() == [True, False]


def test_files_of_other_layouts_are_refused_with_their_columns(tmp_path: Path) -> None:
    path = tmp_path / "q.tsv"
    path.write_text("a\tb\n1\t2\n")
    for read in (read_qtl, read_traitgym, read_pairs, read_mpra, read_cagi5, read_crispri):
        with pytest.raises(FileFormatError, match=r"columns"):
            read(path)


def test_the_real_files_of_mpra_and_crispri(real_data: Path) -> None:
    """Numbers of README.md beside the data: 16 elements; 10,356 pairs, of which 471 are regulated."""
    mpra = read_mpra(real_data / "mpra")
    assert len(set(mpra.subset)) == 16
    assert len(mpra) > 20_000
    pairs = read_crispri(real_data / "hg38" / "crispr_enhancer_gene.K562.tsv.gz")
    assert (len(pairs), int(pairs.label.sum())) == (10_356, 471)
