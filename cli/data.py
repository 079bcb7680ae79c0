"""Define the commands of genoformer data: download data sets, simulate one, and build training sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options as shared
from .audit import audit
from .catalog import catalog_option, complete_names, described, json_option, pull_named, pull_options, show_table
from .json_output import json_option as numbers_option
from .json_output import plain, print_json
from .verbosity import Group, print_note

if TYPE_CHECKING:
    from genoformer.datasets.dataset_files import BuildSummary
    from genoformer.datasets.track_build import BuiltTracks


@click.group(cls=Group, short_help="Download, simulate, build and audit data.")
def data() -> None:
    """Download, simulate, build and audit data to train and test on."""


data.add_command(audit)


@data.command("list", short_help="List the data sets to download.")
@json_option
@catalog_option
def list_data(as_json: bool, catalog: Path | None) -> None:
    """List the genomes, annotations and variants that `genoformer data pull` downloads.

    \b
    genoformer data list
    """
    show_table("data", catalog, as_json)


@data.command("info", short_help="Print source, licence and citation of a data set.")
@click.argument("name", shell_complete=complete_names)
@catalog_option
def info_data(name: str, catalog: Path | None) -> None:
    """Print addresses, checksums, licence and citation of a data set of the catalog, as JSON.

    \b
    genoformer data info hg38
    """
    import json

    from genoformer.catalog import entry_named, folder_of, is_here
    from genoformer.catalog.listing import ABSENT, HERE

    entry = entry_named(name, "data", catalog)
    state = {"state": HERE, "folder": str(folder_of(entry))} if is_here(entry) else {"state": ABSENT}
    click.echo(json.dumps(state | described(entry), indent=1))


@data.command("pull", short_help="Download data sets of the catalog.")
@pull_options
def pull_data(names: tuple[str, ...], again: bool, source: Path | None, catalog: Path | None) -> None:
    """Download data sets of the catalog, check them, and print the paths of their files.

    Files are kept in $GENOFORMER_CACHE, by default ~/.cache/genoformer; files that are there are not downloaded again. An
    interrupted download resumes.

    \b
    genoformer score in.vcf.gz -f $(genoformer data pull hg38) -m borzoi -o out.vcf.gz
    genoformer data pull clinvar-hg38 --again
    """
    pull_named("data", names, again, source, catalog)


_reference = click.option(
    "-f",
    "--fasta",
    required=True,
    type=click.Path(path_type=Path),
    help="Reference genome (FASTA), plain, gzipped or bgzipped.",
)


@data.command(short_help="Simulate a genome with known effects of variants.")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--seed", default=0, show_default=True, help=shared.SEED_HELP)
@click.option("--contigs", default=2, show_default=True, help="Number of contigs: chrS1, chrS2, ...")
@click.option("--contig-length", default=1_000_000, show_default=True, help="Length of each contig in bases.")
@click.option("--variants", default=4_000, show_default=True, help="Number of records in the VCF.")
@click.option(
    "--element-share",
    default=1.0,
    show_default=True,
    help="Fraction of the enhancers and CTCF sites that is kept; with fewer CTCF sites, enhancers act on more distant genes.",
)
@click.option("--tracks", is_flag=True, help="Also write accessibility, H3K27ac and CAGE of two cell types.")
@numbers_option
def simulate(out: Path, as_json: bool, tracks: bool, **options: Any) -> None:
    """Simulate a genome with known regulatory elements and known variant effects, in the folder OUT.

    The genome has human-like base composition, CpG islands, repeats and genes. Its promoters, enhancers and CTCF sites hold
    motif instances drawn from JASPAR matrices. Peaks, a segmentation in seven states and a VCF come with it; the VCF states
    which variants break a motif and by how many bits. The seed changes the genome, not the motifs. The same command writes the
    same bytes; a folder OUT with another simulated dataset is refused.

    With --tracks, bigWig files computed from the motifs are added, listed in targets.tsv for `genoformer data tracks`. The
    CAGE of a gene depends on its promoter and on enhancers within 50 kb, unless a CTCF site lies between. regulation.tsv
    lists which enhancer acts on which gene, and expression.tsv the resulting CAGE.

    \b
    Example:
      genoformer data simulate world --seed 1 --contigs 2 --contig-length 500000 --variants 2000
      genoformer data simulate sparse --contigs 3 --contig-length 300000 --variants 900 --tracks \\
          --element-share 0.3
      genoformer data tracks set -f sparse/genome.fa.gz -t sparse/targets.tsv --length 131072 \\
          --target-bins 256 --valid chrS3
    """
    from genoformer.simulation import simulate as make

    from .output_lock import lock_outputs

    lock_outputs(out)
    n_contigs = options["contigs"]
    world = make(out, tracks=tracks, n_contigs=options.pop("contigs"), n_variants=options.pop("variants"), **options)
    n = world.counts
    if as_json:
        print_json({"output": out, **n})
        return
    click.echo(
        f"{out}: {n['bases']:,} bases in {n_contigs:,} contigs (seed {options['seed']}) with {n['genes']:,} genes and "
        f"{n['elements']:,} regulatory elements with {n['instances']:,} motif instances; {n['variants']:,} variants "
        f"({n['snvs']:,} SNVs, {n['indels']:,} insertions and deletions), of which {n['motif_breaking']:,} break a "
        f"motif. Checksums, and whom to cite for the motifs, are in {out / 'world.json'}."
    )
    if tracks:
        distal = len({row.gene for row in world.expressed if row.depends_on_distal})
        click.echo(
            f"{world.targets}: the tracks. The CAGE of {distal:,} genes is at least half higher, in a cell type, by enhancers "
            f"more than 2 kb away: {world.regulation.name}."
        )


@data.command(short_help="Build labelled sequences to train on.")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@_reference
@click.option(
    "-p",
    "--positives",
    required=True,
    multiple=True,
    metavar="NAME=FILE",
    help="Class and file of its regions: a BED, peaks, a table, or a GTF or GFF3 (TSS); once per class.",
)
@shared.columns_of_files
@click.option(
    "--negatives",
    type=click.Choice(["gc", "dinucleotide", "elsewhere", "none"]),
    default="gc",
    show_default=True,
    help="Kind of negatives: random windows of the same GC, shuffles that keep dinucleotides, random windows, or none.",
)
@click.option("--ratio", default=1.0, show_default=True, help="Number of negatives per positive.")
@click.option("--length", type=int, help="Window length in bases, around the summit or middle.  [default: 300]")
@click.option("--upstream", type=int, help="Bases before the TSS, summit or middle; replaces --length.")
@click.option("--downstream", type=int, help="Bases from the TSS, summit or middle on.")
@click.option("--valid", multiple=True, metavar="CONTIGS", help="Contigs to validate on: chr8 or chr8,chr9; may be repeated.")
@click.option("--test", multiple=True, metavar="CONTIGS", help="Contigs to test on; may be repeated.")
@click.option("--blacklist", type=click.Path(path_type=Path), help="BED of regions that no window may overlap.")
@click.option("--max-n", default=0.05, show_default=True, help="Maximum fraction of N in a window that is kept.")
@click.option("--seed", default=0, show_default=True, help=shared.SEED_HELP)
@numbers_option
def build(out: Path, fasta: Path, positives: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Build labelled sequences to train on, in the folder OUT.

    Writes train.tsv, valid.tsv and test.tsv (sequence, label, chrom, start, end, strand, name; 0-based half-open), split by
    contig, and manifest.json with the checksums of all inputs. Prints the numbers of kept and dropped windows with the
    reasons, the GC of each class, and the leakage: how much of a split, and of each class in it, also occurs in another split.
    The same command writes the same set again; a folder that holds another set, or other files of these names, is refused.

    A GTF or GFF3 gives a window around each TSS: 5/6 of its length lie before the TSS and 1/6 behind it, unless
    --upstream and --downstream are given. Other files give windows around the summit, or the middle.

    \b
    Example:
      genoformer data simulate world --seed 1 --contigs 3 --contig-length 300000
      genoformer data build promoters -f world/genome.fa.gz -p promoter=world/genes.gtf.gz \\
          --valid chrS2 --test chrS3
    """
    from genoformer.datasets.build import build_dataset
    from genoformer.datasets.request import DatasetRequest
    from genoformer.datasets.sites import format_notes
    from genoformer.genome.reference import Genome

    from .output_lock import lock_outputs

    lock_outputs(out)
    files = _named(positives)
    for note in (file_notes := format_notes(files, options["columns"])):
        print_note(f"Note: {note}")
    if options["negatives"] == "none":
        options["negatives"] = None
    with Genome(fasta) as genome:
        summary = build_dataset(DatasetRequest(out, genome, files, **_split_names(options)))
        for note in [*genome.notes, *(note for note in summary.notes if note not in file_notes)]:
            print_note(f"Note: {note}")
    print_json(plain(summary)) if as_json else _show(summary)


@data.command(short_help="Build windows with tracks to train on.")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@_reference
@click.option(
    "-t",
    "--targets",
    required=True,
    type=click.Path(path_type=Path),
    help="TSV of tracks with the columns identifier and file, and those of Basenji and Enformer: clip, scale, sum_stat ...",
)
@click.option("--tracks", metavar="SPEC", help=shared.TRACKS_HELP)
@click.option("-w", "--windows", type=click.Path(path_type=Path), help="BED of windows; without it, windows tile the genome.")
@click.option("--length", type=int, help="Window length in bases.  [default: that of the BED's rows; 196608 without a BED]")
@click.option("--bin", "bin_size", default=128, show_default=True, help="Bin size in bases.")
@click.option(
    "--target-bins", default=0, show_default=True, help="Number of bins with targets, in the middle of a window; 0: all."
)
@click.option("--stride", type=int, help="Distance in bases between windows that tile the genome.  [default: targets adjoin]")
@click.option("--valid", multiple=True, metavar="CONTIGS", help="Contigs to validate on: chr8 or chr8,chr9; may be repeated.")
@click.option("--test", multiple=True, metavar="CONTIGS", help="Contigs to test on; may be repeated.")
@click.option("--blacklist", type=click.Path(path_type=Path), help="BED of regions whose values are clipped to the median.")
@click.option("--max-n", default=0.05, show_default=True, help="Maximum fraction of N in a window that is kept.")
@numbers_option
def tracks(out: Path, fasta: Path, as_json: bool, **options: Any) -> None:
    """Build windows with their tracks to train a track model on, in the folder OUT.

    The table has one track per row. file is a bigWig, a bedGraph, or peaks as BED, narrowPeak or broadPeak; its path is
    relative to the table. sum_stat is the statistic of a bin: mean, sum, max, min, median, sum_sqrt or mean_sqrt. Binned
    values are squashed above clip_soft, clipped to clip, and multiplied by scale. strand_pair is the index of the track on
    the other strand, and strand is + or -.

    Writes sequence.npy (uint8 codes), tracks.npy (float16), windows.tsv, targets.tsv, and manifest.json with the checksums
    of all inputs. Splits are by contig, or by the names of the BED's rows if these are train, valid and test.

    \b
    Example:
      genoformer data simulate world --seed 1 --contigs 3 --contig-length 300000
      printf 'identifier\\tfile\\nelements\\tworld/peaks.narrowPeak.gz\\n' > targets.tsv
      genoformer data tracks set -f world/genome.fa.gz -t targets.tsv --length 16384 \\
          --target-bins 64 --valid chrS2 --test chrS3
    """
    from genoformer.datasets.request import TrackSetRequest
    from genoformer.datasets.track_build import build_track_set
    from genoformer.genome.reference import Genome

    from .output_lock import lock_outputs
    from .progress import progress_bar

    lock_outputs(out)
    with Genome(fasta) as genome, progress_bar("windows") as progress:
        built = build_track_set(TrackSetRequest(out, genome, **_split_names(options)), progress=progress)
        notes = [*genome.notes, *built.notes]
    for note in notes:
        print_note(f"Note: {note}")
    print_json(plain(built)) if as_json else _show_tracks(built)


def _named(positives: tuple[str, ...]) -> dict[str, Path]:
    """Return the file of each class from NAME=FILE; refuse a class that is given twice."""
    files: dict[str, Path] = {}
    for text in positives:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise click.BadParameter(f"{text!r} is not NAME=FILE, such as promoter=tss.bed", param_hint="--positives")
        if name in files:
            raise click.BadParameter(f"class {name} is given twice; each class has one file", param_hint="--positives")
        files[name] = Path(path)
    return files


def _split_names(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with --valid and --test as lists of contigs."""
    names = {split: ",".join(options[split]).split(",") for split in ("valid", "test")}
    return options | {split: [name.strip() for name in contigs if name.strip()] for split, contigs in names.items()}


def _show(summary: BuildSummary) -> None:
    click.echo(f"{summary.out}: windows of {summary.length:,} bases")
    for split, counts in summary.counts.items():
        parts = [
            f"{n:,} {name}" + (f" (GC {100 * summary.gc[split][name]:.1f} %)" if name in summary.gc[split] else "")
            for name, n in counts.items()
        ]
        click.echo(f"  {split}: {', '.join(parts)}")
    for name, reasons in summary.dropped.items():
        if reasons:
            click.echo(f"  left out of {name}: {', '.join(f'{n:,} {reason}' for reason, n in reasons.items())}")
    for pair, leakage in summary.leakage.items():
        first, second = pair.split(", ")
        click.echo(f"  leakage: {leakage.describe(first, second)}")


def _show_tracks(built: BuiltTracks) -> None:
    tracks = "1 track" if built.n_tracks == 1 else f"{built.n_tracks:,} tracks"
    click.echo(f"{built.out}: windows of {built.length:,} bases, {tracks} in {built.n_bins:,} bins of {built.bin_size:,}")
    for split, n in built.counts.items():
        if n:
            click.echo(f"  {split}: {n:,} windows")
    if built.dropped:
        click.echo(f"  left out: {', '.join(f'{n:,} {reason}' for reason, n in built.dropped.items())}")
