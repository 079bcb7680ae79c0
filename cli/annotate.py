"""Define the command genoformer annotate."""

from __future__ import annotations

from typing import Any

import click

from . import options as shared
from .json_output import json_option, print_json
from .verbosity import Command, print_note

element_option = click.option(
    "-a",
    "--annotation",
    "files",
    metavar="NAME=FILE[:FIELDS]",
    multiple=True,
    help="Elements (BED, peaks, segmentation or table), genes (GTF or GFF3; NAME is ignored), or a file that is looked up by "
    "allele or position (VCF, BCF, table, bigWig; also NAME=FILE:FIELD,...); may be repeated.",
)


motif_options = shared.option_group(
    click.option(
        "--motifs",
        type=click.Path(),
        metavar="FILE",
        help="Motifs (MEME, JASPAR, TRANSFAC or HOCOMOCO): adds the most gained and the most lost motif of each ALT.",
    ),
    click.option(
        "--motif-p",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        default=1e-4,
        show_default=True,
        metavar="P",
        help="Largest P of a motif hit, whose score is positive; a gained motif has one in ALT, a lost motif in REF.",
    ),
)
annotation_options = shared.option_group(
    element_option,
    shared.columns_of_files,
    click.option("--gtf", type=click.Path(), help="Genes (GTF or GFF3), for gene parts and TSS."),
    click.option("--tss", type=click.Path(), help="TSS as a BED with strands, if there is no GTF."),
    click.option(
        "--promoter",
        nargs=2,
        type=click.IntRange(min=0),
        default=(1000, 100),
        show_default=True,
        metavar="BEFORE BEHIND",
        help="Extent of a promoter in bases before and behind each TSS of the GTF.",
    ),
    click.option(
        "--flank",
        type=click.IntRange(min=0),
        default=5000,
        show_default=True,
        metavar="BASES",
        help="Distance from a gene, in bases, that counts as flanking.",
    ),
)


def read_annotation_options(options: dict[str, Any]) -> Any:
    """Read the annotations of -a, --gtf and --tss, and remove these keys from the options."""
    from genoformer.annotation import read_annotations

    keys = ("files", "gtf", "tss", "promoter", "flank", "columns")
    return read_annotations(**{key: options.pop(key) for key in keys})


def refuse_file(folder: str, option: str) -> None:
    """Raise ConfigError if the path of an output folder is a file."""
    from pathlib import Path

    from genoformer.errors import ConfigError

    if Path(folder).exists() and not Path(folder).is_dir():
        raise ConfigError(f"{option} {folder} is a file, but must be a folder for figures and tables; give another name.")


@click.command(cls=Command, short_help="Add elements, genes and known values to variants.")
@shared.variants
@annotation_options
@shared.variant_output
@shared.regions(shared.RECORDS_IN)
@click.option(
    "-f",
    "--fasta",
    type=shared.PathOrAddress(),
    help="Reference genome (FASTA), needed to align insertions and deletions that are looked up by allele, to find REF of a "
    "table with effect and other allele, and to scan motifs.",
)
@click.option(
    "--figures",
    type=click.Path(),
    metavar="FOLDER",
    help="Folder for figures and a table of variants by frequency and element.",
)
@motif_options
@click.option("--af-key", default="AF", show_default=True, metavar="KEY", help="INFO key of the allele frequency.")
@shared.compute_options()
@json_option
def annotate(
    vcf: str | tuple[str, ...], output: str, fasta: str | None, figures: str | None, af_key: str, as_json: bool, **options: Any
) -> None:
    """Write every record of VCF (or BCF, or a table; - is stdin) with elements, genes and values of its alleles.

    \b
    genoformer annotate in.vcf.gz -a CTCF=ctcf.narrowPeak.gz -a STATE=states.bed \\
        --gtf genes.gtf.gz -o out.vcf.gz
    bcftools view in.bcf | genoformer annotate - -a BLACKLIST=blacklist.bed \\
        | bcftools view -e 'BLACKLIST!="."'
    genoformer annotate in.vcf.gz -f hg38.fa -a CLINVAR=clinvar.vcf.gz:ID,CLNSIG \\
        -a CADD=cadd.tsv.gz:PHRED -a PHYLOP=phylop.bw -o out.vcf.gz

    INFO gets NAME (names, labels or positions of the elements), and NAME_SCORE, NAME_SIGNAL and NAME_SUMMIT (signed distance)
    if the file has them; for genes GF_PART, GF_GENE, GF_TSS and GF_TSS_DISTANCE. A record covers its REF; a symbolic allele
    covers the length given by SVLEN or END. Zero-length lines overlap nothing; malformed lines are refused with their number.
    In BED12, each block is an element; in ENCODE's cCREs, the class is the name. Columns of a table are found by their names
    (docs/files.md). Files that are looked up by allele or position add NAME_FIELD, one value per ALT (docs/lookups.md). With
    --workers, --engine ray or --shard, finished parts are kept, and the same command resumes.

    --motifs adds GF_MOTIF_GAINED and GF_MOTIF_LOST with one value for each ALT: the motif whose best score over the changed
    bases rises or falls most, and which is a hit in ALT or REF; _REF and _ALT (both scores, in bits) and _P
    (docs/motif-changes.md).
    """
    from pathlib import Path

    from genoformer.annotation.motif_changes import motif_annotation
    from genoformer.annotation.request import AnnotationRequest
    from genoformer.annotation.run import run_annotation
    from genoformer.genome.reference import Genome
    from genoformer.genome.wording import counted

    from .output_lock import lock_outputs
    from .progress import progress_bar

    compute = shared.take_compute(options)
    lock_outputs(None if compute.shard else figures)
    if figures is not None:
        refuse_file(figures, "--figures")
    genome = Genome(fasta) if fasta is not None else None
    for note in genome.notes if genome is not None else ():
        print_note(note)
    path, threshold = options.pop("motifs"), options.pop("motif_p")
    motifs = None if path is None else motif_annotation(path, genome, threshold)
    annotations = read_annotation_options(options)
    region = shared.with_regions(options).get("region")
    request = AnnotationRequest(vcf, annotations, output, figures is not None, af_key, genome, motifs, compute, region)
    with progress_bar("records") as progress:
        summary = run_annotation(request, progress=progress)
    if figures is not None and summary.breakdown is not None:
        from genoformer.annotation.figures import write_breakdown

        write_breakdown(Path(figures), summary.breakdown, request.annotations)
    for note in summary.notes:
        print_note(note)
    if compute.shard:
        return
    if as_json:
        numbers = {name: getattr(summary, name) for name in ("records", "seconds", "overlapping", "parts", "lookups")}
        print_json(numbers, output=output)
        return
    rate = summary.records / max(summary.seconds, 1e-9)
    print_note(f"annotated {counted(summary.records, 'record')} ({rate:,.0f} per second)")
    for name, n in (summary.overlapping | summary.parts).items():
        print_note(f"  {name:24} {n:>10,} {100 * n / max(summary.records, 1):>6.1f} %")
    for sentence in summary.found:
        print_note(f"  {sentence}")
