"""Substitutions and the bases around them -> features of an effect probe: bases, GC, CpG, k-mers and motif changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.annotation.motif_changes import P_VALUE
from genoformer.annotation.motif_scores import UNIT, MotifSet, Units
from genoformer.benchmarking.effect_probe import Block
from genoformer.benchmarking.truth_set import Allele, Floats
from genoformer.evaluation.kmer_regression import kmer_frequencies
from genoformer.formats.motif_files import read_matrices
from genoformer.genome.codes import BASES, A, C, Codes, G, N, encode
from genoformer.genome.contigs import ContigMap
from genoformer.genome.reference import Genome
from genoformer.progress import ProgressCallback, Stage

_GC_FLANKS = (5, 25, 100)  # bases on either side
_KMER = 4  # bases of the longest k-mer
_WEAKER = 1e-3  # largest P of a weaker hit
_LOWEST = -30.0  # bits below the least hit, also of a motif without a window or a possible hit
_N_COMPONENTS = 100  # of the changes of motifs
_AT_ONCE = 1_024  # alleles


def windows_of(alleles: Sequence[Allele], genome: Genome, flank: int) -> Codes:
    """Return the codes of the reference around substitutions, uint8 [N, 2 flank + 1]; N beyond the ends of a contig."""
    contigs = ContigMap({allele.chrom for allele in alleles}, genome.contigs)
    codes = np.full((len(alleles), 2 * flank + 1), N, dtype=np.uint8)
    rows: dict[str, list[int]] = {}
    for i, allele in enumerate(alleles):
        contig = contigs.get(allele.chrom)
        if contig is not None:
            rows.setdefault(contig, []).append(i)
    for contig, of in rows.items():
        codes[of] = genome.windows(contig, np.array([alleles[i].pos - 1 - flank for i in of]), 2 * flank + 1)
    return codes


def with_alt(codes: Codes, alleles: Sequence[Allele]) -> Codes:
    """Return windows [N, 2 flank + 1] with the new base in the middle."""
    changed = codes.copy()
    changed[:, codes.shape[1] // 2] = encode("".join(allele.alt for allele in alleles))
    return changed


def base_features(alleles: Sequence[Allele], genome: Genome) -> dict[str, Floats]:
    """Return features of the bases: each type of substitution, transversion, CpG gained or lost, and GC around; each [N].

    Types are those of either strand: C>T has G>A.
    """
    flank = max(_GC_FLANKS)
    codes = windows_of(alleles, genome, flank)
    ref, alt = codes[:, flank], with_alt(codes, alleles)[:, flank]
    before, after = codes[:, flank - 1], codes[:, flank + 1]
    on_other = (ref == A) | (ref == G)  # read from the strand with C or T
    ref_c, alt_c = np.where(on_other, 3 - ref, ref), np.where(on_other, 3 - alt, alt)
    features = {
        f"{BASES[r]}>{BASES[a]}": ((ref_c == r) & (alt_c == a)).astype(np.float64) for r in (1, 3) for a in range(4) if r != a
    }
    features |= {f"REF {BASES[b]}": (ref == b).astype(np.float64) for b in range(4)}
    features |= {f"ALT {BASES[b]}": (alt == b).astype(np.float64) for b in range(4)}
    features["transversion"] = ((ref % 2) != (alt % 2)).astype(np.float64)

    def is_cpg(base: Codes) -> Floats:
        return (((base == C) & (after == G)) | ((base == G) & (before == C))).astype(np.float64)

    features["CpG"] = is_cpg(ref)
    features["CpG change"] = is_cpg(alt) - is_cpg(ref)
    for size in _GC_FLANKS:
        near = codes[:, flank - size : flank + size + 1]
        known = (near < N).sum(1)
        features[f"GC {size}"] = ((near == C) | (near == G)).sum(1) / np.maximum(known, 1)
        cpg = ((near[:, :-1] == C) & (near[:, 1:] == G)).sum(1)
        features[f"CpG {size}"] = cpg / np.maximum(known, 1)
    return features


def kmer_changes(alleles: Sequence[Allele], genome: Genome) -> Floats:
    """Return how the substitution changes the frequencies of k-mers up to 4 (either strand) that touch it, [N, K]."""
    codes = windows_of(alleles, genome, _KMER - 1)
    before = kmer_frequencies(list(codes), _KMER, canonical=True)
    change = np.asarray((kmer_frequencies(list(with_alt(codes, alleles)), _KMER, canonical=True) - before).todense())
    return np.asarray(change[:, np.abs(change).max(0) > 0], dtype=np.float64)


class MotifFeatures(NamedTuple):
    """Summaries over the motifs, each [N], and the change of occupancy of each motif, float32 [N, M]."""

    summaries: dict[str, Floats]
    changes: NDArray[np.float32]


def motif_features(alleles: Sequence[Allele], genome: Genome, path: Path, progress: ProgressCallback = None) -> MotifFeatures:
    """Return what substitutions change in the motifs of a file.

    The occupancy of a motif is 1 / (1 + exp(least hit - best score)), in bits, over the windows that touch the base; a hit has
    P up to 1e-4. Summaries: the largest gain and loss of a motif with a hit, in bits (as in `motif_changes`); sums of the gains
    and of the losses of occupancy; occupancy, hits, hits with P up to 1e-3 and best score in REF; and hits gained and lost.
    """
    matrices = read_matrices(path)
    motifs = MotifSet(matrices, P_VALUE)
    weaker = MotifSet(matrices, _WEAKER).least_hits
    codes = windows_of(alleles, genome, motifs.flank)
    changed = with_alt(codes, alleles)
    parts, changes, stage = [], [], Stage(progress, "motifs", len(alleles))
    for first in range(0, len(alleles), _AT_ONCE):
        before, after = (motifs.best_scores(of[first : first + _AT_ONCE], 1) for of in (codes, changed))
        summary, change = _of_motifs(before, after, motifs.least_hits, weaker)
        parts.append(summary)
        changes.append(change)
        stage.add(len(change))
    names = list(parts[0])
    return MotifFeatures({name: np.concatenate([part[name] for part in parts]) for name in names}, np.concatenate(changes))


def _of_motifs(before: Units, after: Units, least: Units, weaker: Units) -> tuple[dict[str, Floats], NDArray[np.float32]]:
    """Return the summaries and changes of some alleles, from the best scores of each motif, [B, M], in units."""
    above, above_alt = (np.clip((of - least) * UNIT, _LOWEST, None) for of in (before, after))
    occupied, occupied_alt = (1 / (1 + np.exp(-of)) for of in (above, above_alt))
    change, bits = occupied_alt - occupied, above_alt - above
    hit, hit_alt = above >= 0, above_alt >= 0
    summary = {
        "gain": np.where(hit_alt, bits, 0).clip(min=0).max(1),
        "loss": np.where(hit, -bits, 0).clip(min=0).max(1),
        "gains": change.clip(min=0).sum(1),
        "losses": (-change).clip(min=0).sum(1),
        "occupancy": occupied.sum(1),
        "hits": hit.sum(1),
        "weaker hits": (before >= weaker).sum(1),
        "best": above.max(1),
        "hits gained": (hit_alt & ~hit).sum(1),
        "hits lost": (hit & ~hit_alt).sum(1),
    }
    return {name: np.asarray(values, dtype=np.float64) for name, values in summary.items()}, np.asarray(change, np.float32)


def blocks_of(
    alleles: Sequence[Allele],
    genome: Genome,
    scores: Sequence[Floats],
    motifs: Path | None = None,
    progress: ProgressCallback = None,
) -> list[Block]:
    """Return the features of an effect probe: bases, scores [N] and summaries of motifs; changes of k-mers; changes of motifs.

    A score is its root with its sign, and, if it has negative values, also the root of its size.
    """
    main = list(base_features(alleles, genome).values())
    for values in scores:
        root = np.sqrt(np.abs(values))
        main += [np.sign(values) * root, root] if (values < 0).any() else [root]
    others = [Block(kmer_changes(alleles, genome))]
    if motifs is not None:
        summaries, changes = motif_features(alleles, genome, motifs, progress)
        main += list(summaries.values())
        others.append(Block(changes, _N_COMPONENTS))
    return [Block(np.stack(main, axis=1)), *others]
