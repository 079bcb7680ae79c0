"""Published files of labelled variants -> TruthSet: TraitGym, matched eQTL pairs, caQTL and dsQTL, ClinVar."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from genoformer.benchmarking.columns import Table, file_in, read_table
from genoformer.benchmarking.truth_set import Allele, Bools, TruthSet, variant_set
from genoformer.errors import FileFormatError
from genoformer.formats.vcf import open_vcf
from genoformer.formats.vcf_records import parse_info
from genoformer.genome.reference import Genome


def _alleles(table: Table, chrom: str, pos: str, ref: str, alt: str) -> list[Allele]:
    columns = (table.text(chrom), table.whole(pos), table.text(ref), table.text(alt))
    return [Allele(c, p, r.upper(), a.upper()) for c, p, r, a in zip(*columns, strict=True)]


def read_traitgym(data: Path, genome: Genome | None = None) -> TruthSet:
    """Read TraitGym's Mendelian or complex traits (Benegas, Eraslan and Song 2025): causal variants and nine matched controls.

    data: the folder of the set (mendelian_traits_matched_9), or its test.parquet: chrom without chr, pos 1-based, ref, alt,
    label, match_group, consequence. Positions are GRCh38. Source: repository songlab-cal/TraitGym, workflow/rules.
    """
    table = read_table(file_in(data, ["test.parquet", "test.tsv*", "*.parquet"]))
    label = table.flags("label")
    groups = tuple(table.text("match_group")) if table.has("match_group") else ()
    subset = next((tuple(table.text(name)) for name in ("consequence_group", "consequence") if table.has(name)), ())
    notes = _notes_on_groups(groups, label)
    return variant_set(_alleles(table, "chrom", "pos", "ref", "alt"), label=label, group=groups, subset=subset, notes=notes)


def _notes_on_groups(groups: tuple[str, ...], label: Bools) -> tuple[str, ...]:
    """Return a sentence on groups that are not one positive variant with nine controls."""
    if not groups:
        return ("the file has no column match_group.",)
    sizes = Counter(groups)
    positives = Counter(group for group, positive in zip(groups, label, strict=True) if positive)
    other = sum(sizes[group] != 10 or positives[group] != 1 for group in sizes)
    return (f"{other:,} of {len(sizes):,} matched groups are not 1 positive variant and 9 controls.",) if other else ()


def read_pairs(data: Path, genome: Genome | None = None) -> TruthSet:
    """Read matched pairs of a causal eQTL variant and a control: chrom, pos, ref, alt, label, match_group and subset.

    Positions are GRCh38. Groups without one positive and one negative variant are left out. Source of format and metric:
    repository Open-Athena/marin-dna, src/marin_dna/pipelines/evals/metrics.py, and its issue 172.
    """
    table = read_table(file_in(data, ["train.parquet", "test.parquet", "*.parquet", "*.tsv*"]))
    label, groups = table.flags("label"), table.text("match_group")
    positives: dict[str, list[bool]] = {}
    for group, positive in zip(groups, label.tolist(), strict=True):
        positives.setdefault(group, []).append(positive)
    whole = np.array([sorted(positives[group]) == [False, True] for group in groups], dtype=bool)
    n_other = len({group for group, ok in zip(groups, whole, strict=True) if not ok})
    notes = (f"{n_other:,} groups without one positive and one negative variant were left out.",) if n_other else ()
    subset = tuple(table.text("subset")) if table.has("subset") else ()
    alleles = _alleles(table, "chrom", "pos", "ref", "alt")
    rows = np.flatnonzero(whole)
    return variant_set(
        [alleles[i] for i in rows],
        label=label[rows],
        group=tuple(groups[i] for i in rows),
        subset=tuple(subset[i] for i in rows) if subset else (),
        row=rows,
        notes=notes,
    )


_QTL = (  # contig, pos, first allele, second allele, label, used, effect, in peaks (DART-Eval only)
    ("chr_hg38", "pos_hg38", "allele1", "allele2", "label", "IsUsed", "beta", "in_peaks"),  # Afr.CaQTLS.tsv
    ("var.chrom", "var.pos", "var.allele1", "var.allele2", "var.label", "var.isused", "obs.estimate", ""),  # yoruban.dsqtls
    ("var.chr", "var.pos_hg38", "var.allele1", "var.allele2", "obs.label", "var.isused", "obs.beta", ""),  # ChromBPNet's caQTL
    ("var.chr", "var.pos_hg19", "var.allele1", "var.allele2", "obs.label", "var.isused", "obs.estimate", ""),  # its dsQTL
)


def read_qtl(data: Path, genome: Genome | None = None) -> TruthSet:
    """Read chromatin-accessibility QTLs and controls, in the files of DART-Eval's task 5 or of ChromBPNet's benchmark.

    African caQTLs are on GRCh38, Yoruban dsQTLs on GRCh37. Rows that the authors do not use (IsUsed, in_peaks) are left out;
    the effect is that of the second allele. The file does not tell which allele is REF. Sources: kundajelab/DART-Eval,
    task_5_variant_effect_prediction/variant_tasks.py; Open-Athena/marin-dna, chrombpnet_qtl.py.
    """
    table = read_table(file_in(data, ["*.tsv", "*.tsv.gz"]))
    columns = next((names for names in _QTL if table.has(*filter(None, names))), None)
    if columns is None:
        raise FileFormatError(
            f"{table.path} has the columns {', '.join(table.columns)[:200]}, expected those of Afr.CaQTLS.tsv, "
            "yoruban.dsqtls.benchmarking.tsv or ChromBPNet's standardized files; give one of these."
        )
    chrom, pos, first, second, label, used, effect, peaks = columns
    kept = table.flags(used, may_be_missing=True)
    notes = []
    if peaks:
        kept &= table.flags(peaks, may_be_missing=True)
        notes.append("DART-Eval uses variants in peaks; the published figures are of ChromBPNet's file, which has others too.")
    rows = np.flatnonzero(kept)
    if len(rows) < len(table):
        notes.append(f"{len(table) - len(rows):,} of {len(table):,} rows are not used by the authors.")
    table = table.take(rows)
    alleles = _alleles(table, chrom, pos, first, second)
    return variant_set(
        alleles,
        label=table.flags(label),
        effect=table.numbers(effect),
        row=rows,
        oriented=False,
        notes=tuple(notes),
    )


_PATHOGENIC = {"Pathogenic", "Likely_pathogenic", "Pathogenic/Likely_pathogenic"}
_BENIGN = {"Benign", "Likely_benign", "Benign/Likely_benign"}
_NON_CODING = {
    "intron_variant",
    "5_prime_UTR_variant",
    "3_prime_UTR_variant",
    "non-coding_transcript_variant",
    "non_coding_transcript_variant",
    "genic_upstream_transcript_variant",
    "genic_downstream_transcript_variant",
    "upstream_transcript_variant",
    "downstream_transcript_variant",
    "splice_donor_variant",
    "splice_acceptor_variant",
    "no_sequence_alteration",
}


def read_clinvar(data: Path, genome: Genome | None = None) -> TruthSet:
    """Read pathogenic and benign SNVs outside of coding sequence from ClinVar's VCF.

    Pathogenic or likely pathogenic against benign or likely benign (CLNSIG); every molecular consequence (MC) is one of those
    outside of coding sequence, splice sites included. The subset is the first consequence.
    """
    path = file_in(data, ["clinvar*.vcf.gz", "*.vcf.gz", "*.vcf"])
    alleles, labels, subsets = [], [], []
    with open_vcf(path) as file:
        for record in file:
            info = parse_info(record)
            significance = info.get("CLNSIG") or ""
            terms = [part.partition("|")[2] for part in (info.get("MC") or "").split(",") if part]
            is_known = significance in _PATHOGENIC or significance in _BENIGN
            if not is_known or not terms or not set(terms) <= _NON_CODING or len(record.alts) != 1:
                continue
            if len(record.ref) == len(record.alts[0]) == 1 and record.alts[0].upper() in "ACGT":
                alleles.append(Allele(record.chrom, record.pos, record.ref.upper(), record.alts[0].upper()))
                labels.append(significance in _PATHOGENIC)
                subsets.append(terms[0])
    if not any(labels) or all(labels):
        raise FileFormatError(f"{path} has no pathogenic and benign SNVs with CLNSIG and MC; give ClinVar's VCF.")
    return variant_set(alleles, label=np.array(labels, dtype=bool), subset=tuple(subsets))
