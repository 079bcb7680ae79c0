"""score_pairs(): pairs of nearby variants -> non-additivity, the joint effect minus the sum of the single effects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from genoformer.errors import OptionError
from genoformer.formats.vcf import Record, open_vcf
from genoformer.genome.fit import scorable
from genoformer.genome.haplotypes import drop_overlapping
from genoformer.genome.normalise import trimmed
from genoformer.genome.variant_input import VariantInput, selected_variants
from genoformer.genome.variants import Variant
from genoformer.progress import ProgressCallback
from genoformer.scoring.effect_table import (
    N_ROWS,
    N_SEQUENCES,
    EffectTable,
    HaplotypeSummary,
    UnsortedError,
    check_input,
)
from genoformer.scoring.job import PairsJob
from genoformer.scoring.parts import Rows
from genoformer.scoring.scorers import open_haplotype_scorer
from genoformer.scoring.track_scores import weighted_sum
from genoformer.scoring.variant_scorer import HaplotypeScorer, haplotype_scorers, shared_work
from genoformer.tables import MISSING, rounded, tsv_line

_WITHIN = 500  # default distance in bases; in a model of short windows a quarter of the window


def score_pairs(job: PairsJob, *, progress: ProgressCallback = None) -> HaplotypeSummary:
    """Write a TSV with one row per pair of ALTs at most `within` bases apart: each alone, both together, and the difference.

    The difference, NONADD, is the joint effect minus the sum of the single effects, on the requested track where it is
    largest. All three effects are computed in one window, centred between the two variants. POS, REF and ALT in the table are
    the corrected ones.
    Raises OptionError if `within` exceeds a quarter of the window or records are not sorted; PreflightError.
    """
    with selected_variants(job.vcf, job.genome, job.region) as variants:
        return _score_pairs(job, variants, progress)


def _score_pairs(job: PairsJob, variants: VariantInput, progress: ProgressCallback) -> HaplotypeSummary:
    left_out: Counter[str] = Counter()
    fixed: Counter[str] = Counter()
    with open_haplotype_scorer(job.genome, job.scoring, job.runtime) as scorer:
        furthest, longest = scorer.window // 4, scorer.longest_allele
        within = min(_WITHIN, furthest) if job.within is None else job.within
        if not 1 <= within <= furthest:
            quarter = f"a quarter of the window of {scorer.window:,} bases"
            raise OptionError(
                "within", f"is {within:,}, expected 1 to {furthest:,}, {quarter}; give that, or a longer context."
            )
        checked, fit = check_input(job, scorer, variants)
        settings = {"within": str(within)} | scorer.options | scorer.inputs
        header = _header(haplotype_scorers(scorer))
        table: EffectTable[list[_Pair]] = EffectTable(job, variants, settings, checked, header, "pairs", None)
    n = job.runtime.parts.pairs

    def parts() -> Iterator[list[_Pair]]:
        left_out.clear()
        fixed.clear()
        with open_vcf(variants.path, name=variants.name) as file:
            pairs = _neighbour_pairs(scorable(file, job.genome, longest, left_out, fit, fixed), within, left_out)
            yield from iter(lambda: list(islice(pairs, n)), [])

    summary = table.write(parts, _rows_of_pairs, progress)
    left_out.update(summary.left_out)
    return summary._replace(left_out=dict(left_out), fixed=dict(fixed))


def _header(heads: Sequence[HaplotypeScorer]) -> list[str]:
    names = []
    for head in heads:
        kinds = ("A", "B", "AB", "NONADD", *(["NONADD_SE"] if head.layout.n_shifts > 1 else []), head.layout.word.upper())
        for score in head.scores:
            names += [
                f"{score.name}_{kind}" for kind in (*kinds, *([score.input.item.upper()] if score.input.per_gene else []))
            ]
    return ["chrom", *(f"{field}_{side}" for side in "ab" for field in ("pos", "ref", "alt")), *names]


class _Pair(NamedTuple):
    """Two ALTs as written in the VCF, and both in order without the bases that they share with REF."""

    first: Variant
    second: Variant
    both: list[Variant]


def _neighbour_pairs(alts: Iterable[tuple[Record, Variant]], within: int, left_out: Counter[str]) -> Iterator[_Pair]:
    """Yield the pairs of ALTs of two records at most `within` bases apart, in input order."""
    recent: list[tuple[Record, Variant]] = []
    done: set[str] = set()
    last: Record | None = None
    for record, variant in alts:
        if last is not None and record.chrom != last.chrom:
            done.add(last.chrom)
        if record.chrom in done:
            raise UnsortedError(
                f"{record.chrom}:{record.pos:,} stands after records of other contigs, but pairs needs all records of a contig "
                "in a row; sort the VCF (bcftools sort)."
            )
        if last is not None and record.chrom == last.chrom and record.pos < last.pos:
            raise UnsortedError(
                f"{record.chrom}:{record.pos:,} stands after {last.chrom}:{last.pos:,}, but pairs needs records in order of "
                "position; sort the VCF (bcftools sort)."
            )
        last = record
        recent = [(of, v) for of, v in recent if v.chrom == variant.chrom and abs(variant.start - v.start) <= within]
        for other_record, other in recent:
            if other_record is record:
                continue  # two ALTs of one record are never on one chromosome
            kept, n_overlapping = drop_overlapping([other, variant])
            if n_overlapping or len(kept) < 2:
                left_out["overlapping"] += 1
            else:
                yield _Pair(other, variant, kept)
        recent.append((record, variant))


def _rows_of_pairs(scorer: HaplotypeScorer, pairs: Sequence[_Pair]) -> Rows:
    heads, lines = haplotype_scorers(scorer), []
    for pair in pairs:
        fields = [pair.second.chrom, *(str(x) for v in (pair.first, pair.second) for x in (v.pos, v.ref, v.alt))]
        with shared_work(scorer):
            for head in heads:
                fields += _fields(head, pair)
        lines.append(tsv_line(fields) + "\n")
    return Rows("".join(lines), {N_ROWS: len(lines), N_SEQUENCES: 3 * len(lines)})


def _fields(head: HaplotypeScorer, pair: _Pair) -> list[str]:
    """Return the effects of a pair on the scores of one head, and their difference, as text."""
    other, variant, kept = pair
    middle = (kept[0].start + kept[1].end) // 2
    start = head.window_start(Variant(variant.chrom, middle + 1, "", ""))
    effects = [[trimmed(other)], [trimmed(variant)], kept]
    # the sequence to the left of both keeps its position, as in `score`
    scores = head.haplotypes(variant.chrom, start, middle, effects, anchor=kept[0].start)
    difference = [weighted_sum(scores, [-1, -1, 1])]
    more, genes = head.layout.strongest(difference)
    errors = head.layout.errors(difference, genes) if head.layout.n_shifts > 1 else None
    fields: list[str] = []
    for i, score in enumerate(head.scores):
        k = int(np.abs(np.nan_to_num(more[0, i])).argmax())
        gene = int(genes[0, i])
        fields += [rounded(head.layout.value(of, i, k, gene)) for of in scores]
        fields += [rounded(float(of[0, i, k])) for of in (more, errors) if of is not None]
        fields.append(head.layout.names[k] if score.per_output else MISSING)
        if score.input.per_gene:
            fields.append(head.layout.name_of_gene(gene))
    return fields
