"""Variants in notebooks: score them, compare their annotations with those of controls, and report on them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genoformer.api.inputs import Fasta, opened, require_model, warn_of_genome
from genoformer.errors import OptionError
from genoformer.genome.variants import Variant
from genoformer.option_checks import names_unknown_options
from genoformer.progress_bar import shown_progress

if TYPE_CHECKING:
    import pandas as pd

    from genoformer.annotation.mass import SignalShare
    from genoformer.annotation.study_result import Study
    from genoformer.genome.reference import Genome
    from genoformer.models.base import Model
    from genoformer.report.written import Report

_BIGWIG = (".bw", ".bigwig")


@names_unknown_options("score")
def score(
    variants: str | Path | Iterable[Variant | str] | pd.DataFrame,
    fasta: Fasta,
    model: str | Path | Model | Sequence[str | Path | Model] | None = None,
    scores: str | Sequence[str] | None = None,
    *,
    progress: bool | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Score variants and return a table with a row for each ALT, as `genoformer score -o x.tsv` writes it, scores unrounded.

    variants: a VCF, BCF or table of variants, a text such as "chr20:1050100:A:G" or several, `Variant(chrom, pos, ref, alt)`
    objects, pos 1-based, or a DataFrame with these columns or others of docs/variant-tables.md, whose further columns are kept.
    model: one model, or several for an ensemble. scores: names of `SCORES`, as a list or comma-separated; by default LLR and
    PLL for a language model, SAD and SAR501 for a track model, LOGIT and DIFF for a fine-tuned model. options: those of the
    command, such as region, strand, tracks, gtf, shifts, classes, tile, matrix, noise_places, fix, force, device (see
    `scoring.options.ScoreOptions`); a file may also be the object read from it. progress: True shows a
    bar, False none, None one if stderr is a terminal.

    The column status has the reason if an allele has no score. Text is returned as in the VCF, also an ID "NA"; a dot in the
    VCF, and a score that an allele does not have, are missing. Warns about contigs and records that do not match the FASTA, and
    of a model for another genome.

    Raises PreflightError if no contig matches (force=True continues), ConfigError without a model and for scores and options
    that the model does not have, TypeError for unknown options.

    >>> from importlib.resources import files
    >>> demo = files("genoformer_data") / "demo"
    >>> table = score([Variant("chrS1", 6_000, "G", "A"), Variant("chrS1", 6_100, "T", "TG")], demo / "genome.fa.gz", "demo")
    >>> list(table.columns[:5]), table[["LLR", "PLL"]].notna().to_numpy().tolist()
    (['chrom', 'pos', 'id', 'ref', 'alt'], [[True, False], [False, True]])
    >>> score("chrS1:6000:G>A", demo / "genome.fa.gz", "demo")["LLR"].size
    1
    """
    from dataclasses import replace

    from genoformer.formats.score_tables import read_score_table
    from genoformer.genome.preflight import warn_of_findings
    from genoformer.scoring.job import ScoringJob
    from genoformer.scoring.plan import score_variants
    from genoformer.writers.tables import EXACT, TSVSink
    from genoformer.writers.variants import variants_of

    require_model(model)
    assert model is not None
    if "output" in options:
        raise OptionError("output", "is for files, found a table in memory; write `.to_csv(path)`, or run genoformer score.")
    if options.get("shard") is not None:
        raise OptionError("shard", "keeps its parts next to an output, found a table in memory; leave it out.")
    with tempfile.TemporaryDirectory() as folder, opened(fasta) as genome:
        source = variants_of(variants, Path(folder, "in.vcf"), genome)
        out = Path(folder, "out.tsv")
        job = ScoringJob.from_names(source, genome, model, TSVSink(out, EXACT), scores=scores, **options)
        job = job if source is variants else replace(job, name="the variants given")
        with shown_progress(progress, "records") as report:
            score_variants(job, on_preflight=warn_of_findings, progress=report)
        warn_of_genome(model, genome)
        return read_score_table(out)


@names_unknown_options("enrich")
def enrich(
    variants: str | Path | Iterable[Variant | str] | pd.DataFrame,
    sources: str | Path | Sequence[str | Path] = (),
    fasta: Fasta | None = None,
    *,
    progress: bool | None = None,
    **options: Any,
) -> Study | SignalShare:
    """Test whether variants lie in annotations more often than matched controls, as `genoformer enrich`.

    variants: a VCF, BCF or BED, `Variant` objects, ids, or a DataFrame; of a bigWig, the fraction of its signal in the
    annotations is tested. sources: NAME=FILE of elements, as in `genoformer.annotate`. fasta: genome, for GC and for random
    controls without N. options: those of the command: gtf, tss, promoter, flank and columns (see `read_annotations`),
    background, sizes, exclude, match ("af,tss,gc" or "none"), af_key, trait, score, top, prune, resamplings, seed,
    controls (see `EnrichmentRequest`). progress: True shows a bar, False none, None one if stderr is a terminal.

    The result has `.to_frame()`, a row for each annotation with observed and expected overlaps, fold with its 95 % interval, P
    and q; `.plot()`, and `.notes`.

    Raises: ConfigError for options that exclude each other, and if nothing can be matched; the errors of `read_annotations`.

    >>> from importlib.resources import files
    >>> demo = files("genoformer_data") / "demo"
    >>> sizes = {"chrS1": 500_000, "chrS2": 500_000}
    >>> study = enrich("chrS1:6000:G:A", f"P={demo / 'peaks.narrowPeak.gz'}", sizes=sizes, controls=500, match="none")
    >>> study.to_frame()[["annotation", "n"]].to_dict("records")
    [{'annotation': 'P', 'n': 1}]
    """
    from genoformer.annotation import read_annotations
    from genoformer.annotation.mass import mass_in_elements
    from genoformer.annotation.request import EnrichmentRequest
    from genoformer.annotation.study import run_enrichment

    names = ("gtf", "tss", "promoter", "flank", "columns")
    annotations = read_annotations(sources, **{name: options.pop(name) for name in names if name in options})
    if isinstance(variants, str | Path) and str(variants).lower().endswith(_BIGWIG):
        if fasta is not None:
            raise OptionError("fasta", "is for variants, found a bigWig; leave it out.")
        return mass_in_elements(variants, annotations, **options)
    _refuse_ineffective(options)
    with ExitStack() as stack:
        genome = None if fasta is None else stack.enter_context(opened(fasta))
        path = stack.enter_context(_variant_path(variants, genome))
        request = EnrichmentRequest.from_names(path, annotations, genome=genome, **options)
        return run_enrichment(request, progress=stack.enter_context(shown_progress(progress, "steps")))


@names_unknown_options("report")
def report(
    scored: str | Path,
    output: str | Path,
    model: str | Path | Sequence[str | Path] = (),
    fasta: str | Path | None = None,
    *,
    progress: bool | None = None,
    **options: Any,
) -> Report:
    """Write the HTML page of scored variants, as `genoformer report`, and return its path and counts.

    scored: output of `genoformer score` (VCF, TSV or Parquet). model, with fasta: draws the predictions for both alleles of the
    strongest variants; several models form an ensemble. options: title, top (number of variants to draw), flank (bases on
    either side), logos, device, most (alleles in the table), gtf (genes of the top variants), elements, contexts; see
    `ReportRequest`.
    progress: True shows a bar, False none, None one if stderr is a terminal.

    Raises: FileFormatError for a file without scores; ConfigError for a model without a genome, and for a table in memory.

    >>> from importlib.resources import files
    >>> from genoformer import ScoringJob, score_variants
    >>> fasta = files("genoformer_data") / "demo" / "genome.fa.gz"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     scored = Path(folder, "scored.vcf")
    ...     _ = score_variants(ScoringJob.from_names("chrS1:6000:G:A", fasta, "demo", scored))
    ...     report(scored, Path(folder, "page.html")).n_alleles
    1
    """
    from genoformer.report.written import write_report

    with shown_progress(progress, "variants") as report_step:
        return write_report(scored, output, model, fasta, progress=report_step, **options)


def _refuse_ineffective(options: Mapping[str, Any]) -> None:
    """Raise OptionError for an option of `enrich` that the others make ineffective, as the command does."""
    has_score = options.get("score") is not None
    if "top" in options and not has_score:
        raise OptionError("top", "needs a score, found none; give a score, or leave it out.")
    is_random = str(options.get("background", "auto")) == "auto" and not has_score
    if unused := [name for name in ("exclude", "sizes", "controls") if name in options and not is_random]:
        raise OptionError(unused[0], "is for random controls, but the controls are others; leave it out.")


@contextmanager
def _variant_path(variants: Any, genome: Genome | None) -> Iterator[Path]:
    """Yield the path of variants: that of a file, or of a temporary VCF of other variants."""
    from genoformer.genome.variant_input import is_variant, variant_file
    from genoformer.writers.variants import variants_of

    if isinstance(variants, str | Path) and not is_variant(variants):
        yield Path(variants)
        return
    with tempfile.TemporaryDirectory() as folder:
        source = variants_of(variants, Path(folder, "variants.vcf"), genome)
        with variant_file(source, genome, "the variants given") as given:
            yield given.path
