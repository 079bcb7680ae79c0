"""Published files of measured effects -> TruthSet: saturation mutagenesis (MPRA), CAGI5, and CRISPRi of enhancers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from genoformer.benchmarking.columns import Table, file_in, read_table
from genoformer.benchmarking.truth_set import Allele, TruthSet, variant_set
from genoformer.errors import MissingFileError
from genoformer.genome.codes import decode
from genoformer.genome.contigs import ContigMap, canonical_key
from genoformer.genome.reference import Genome

_BASES = frozenset("ACGT")
_SAMPLE = 200  # variants of a release that are compared with the genome


def read_mpra(data: Path, genome: Genome | None = None) -> TruthSet:
    """Read the saturation mutagenesis of promoters and enhancers of Kircher et al. 2019: log2 effects of substitutions.

    data: a TSV with Chrom, Pos (1-based), Ref, Alt, Coefficient and Element, and Release if it has several assemblies: the one
    that the genome fits is read, without a genome GRCh38. Deletions of one base (Alt is -) and rows without a position (NA) are
    left out.
    """
    table = read_table(file_in(data, ["*.tsv.gz", "*.tsv"]))
    every = np.arange(len(table))
    if table.has("Release"):
        release = _release(table, genome)
        every = np.flatnonzero(np.array(table.text("Release")) == release)
    refs, alts, effects, at = table.text("Ref"), table.text("Alt"), table.numbers("Coefficient"), table.numbers("Pos")
    placed = [i for i in every.tolist() if np.isfinite(at[i]) and np.isfinite(effects[i])]
    rows = [i for i in placed if refs[i].upper() in _BASES and alts[i].upper() in _BASES]
    chroms, elements = table.text("Chrom"), table.text("Element")
    notes = []
    if len(placed) < len(every):
        notes.append(f"{len(every) - len(placed):,} of {len(every):,} rows have no position or no effect.")
    if len(rows) < len(placed):
        notes.append(f"{len(placed) - len(rows):,} of {len(every):,} rows are no substitutions.")
    return variant_set(
        [Allele(chroms[i], int(at[i]), refs[i].upper(), alts[i].upper()) for i in rows],
        effect=effects[rows],
        subset=tuple(elements[i] for i in rows),
        row=np.array(rows, dtype=np.int64),
        notes=tuple(notes),
    )


def _release(table: Table, genome: Genome | None) -> str:
    """Return the assembly whose REFs are those of the genome most often, or GRCh38."""
    releases = table.text("Release")
    names = [name for name, _ in Counter(releases).most_common()]
    if genome is None or len(names) == 1:
        return "GRCh38" if "GRCh38" in names else names[0]
    chroms, at, refs = table.text("Chrom"), table.numbers("Pos"), table.text("Ref")
    contigs = ContigMap(set(chroms), genome.contigs)
    fits: dict[str, int] = {}
    for name in names:
        rows = [i for i, of in enumerate(releases) if of == name and np.isfinite(at[i])]
        fits[name] = 0
        for i in rows[:: max(1, len(rows) // _SAMPLE)]:
            contig, pos = contigs.get(chroms[i]), int(at[i])
            if contig is not None and pos <= genome.contigs[contig]:
                fits[name] += decode(genome.window(contig, pos - 1, 1)) == refs[i].upper()
    return max(fits, key=lambda name: (fits[name], name == "GRCh38"))


def read_cagi5(data: Path, genome: Genome | None = None) -> TruthSet:
    """Read the Regulation Saturation challenge of CAGI5 (Shigaki et al. 2019): effects with their confidence, on GRCh37.

    data: a folder with challenge_ELEMENT.tsv (the test set): lines of comments, then #Chrom, Pos (1-based), Ref, Alt, Value and
    Confidence. A confidence of 0.1 or more says that the substitution has an effect.
    """
    paths = sorted(data.glob("challenge_*.tsv*")) if data.is_dir() else [data]
    if not paths:
        raise MissingFileError(f"{data} has no challenge_ELEMENT.tsv; give the folder of the challenge.")
    alleles, effects, confidences, elements = list[Allele](), list[float](), list[float](), list[str]()
    for path in paths:
        table = read_table(path)
        has_confidence = table.has("Confidence")
        confidence = table.numbers("Confidence") if has_confidence else np.full(len(table), np.nan)
        columns = (
            table.text("Chrom"),
            table.whole("Pos"),
            table.text("Ref"),
            table.text("Alt"),
            table.numbers("Value"),
            confidence,
        )
        for chrom, pos, ref, alt, value, sure in zip(*columns, strict=True):
            if ref.upper() in _BASES and alt.upper() in _BASES and np.isfinite(value):
                alleles.append(Allele(chrom, pos, ref.upper(), alt.upper()))
                effects.append(float(value))
                confidences.append(float(sure))
                elements.append(path.name.partition(".")[0].removeprefix("challenge_"))
    return variant_set(alleles, effect=np.array(effects), subset=tuple(elements), confidence=np.array(confidences))


def read_crispri(data: Path, genome: Genome | None = None) -> TruthSet:
    """Read enhancer-gene pairs that CRISPRi tested (Enformer, figure 2; ENCODE's benchmark of Gschwind et al.).

    data: a TSV with chrom, chromStart, chromEnd (0-based half-open), measuredGeneSymbol, Regulated and distanceToTSS; pairs
    that are no valid connections (ValidConnection) are left out. Scores of pairs are tables with chrom, start, end, gene.
    """
    table = read_table(file_in(data, ["*.tsv.gz", "*.tsv"]))
    valid = (
        table.flags("ValidConnection", may_be_missing=True) if table.has("ValidConnection") else np.ones(len(table), dtype=bool)
    )
    rows = np.flatnonzero(valid)
    columns = (table.text("chrom"), table.whole("chromStart"), table.whole("chromEnd"), table.text("measuredGeneSymbol"))
    keys = [(canonical_key(c), s, e, g) for c, s, e, g in zip(*columns, strict=True)]
    distance = np.abs(table.numbers("distanceToTSS"))
    once = sorted({keys[i]: i for i in reversed(rows.tolist())}.values())
    notes = (f"{len(table) - len(once):,} of {len(table):,} rows are repeated or no valid connections.",)
    return TruthSet(
        tuple(keys[i] for i in once),
        tuple(keys[i][0] for i in once),
        label=table.take(once).flags("Regulated"),
        distance=distance[once],
        notes=notes if len(once) < len(table) else (),
    )


def read_pair_scores(path: Path) -> dict[str, dict[tuple[str, int, int, str], float]]:
    """Read scores of enhancer-gene pairs from a table with chrom, start, end, gene and columns of numbers, by score."""
    table = read_table(path)
    aliases = (("chrom", "chr"), ("start", "chromStart"), ("end", "chromEnd"), ("gene", "measuredGeneSymbol", "TargetGene"))
    chroms, starts, ends, genes = (table.find(*of) or of[0] for of in aliases)
    columns = (table.text(chroms), table.whole(starts), table.whole(ends), table.text(genes))
    keys = [(canonical_key(c), s, e, g) for c, s, e, g in zip(*columns, strict=True)]
    others = [name for name in table.columns if name not in (chroms, starts, ends, genes)]
    found = {}
    for name in others:
        try:
            values = table.numbers(name)
        except ValueError:
            continue
        found[name] = dict(zip(keys, values.tolist(), strict=True))
    return found
