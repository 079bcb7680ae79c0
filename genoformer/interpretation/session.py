"""Steps shared by the methods of `interpret`: request -> session -> maps, audits, figures and motifs in a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from genoformer.errors import ConfigError
from genoformer.files import check_overwrite, make_folder, write_text
from genoformer.genome.codes import Codes
from genoformer.genome.genes import LocusAnnotation, VisibleAnnotation, read_landmarks
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.inference.runtime import Floats, evaluating
from genoformer.interpretation import figures
from genoformer.interpretation.audit import Audit, audit, shuffled
from genoformer.interpretation.dnabert_viz import Discovery, discover
from genoformer.interpretation.loci import MANIFEST, MAPS, Locus, read_places, write_map_track, write_maps
from genoformer.interpretation.modisco import patterns
from genoformer.interpretation.motifs import Match, Matrix, read_matrices, tomtom, trimmed, write_meme
from genoformer.interpretation.run import mutageneses
from genoformer.interpretation.targets import AttributionTarget
from genoformer.models import registry
from genoformer.models.enformer.model import Enformer
from genoformer.models.heads import SequenceClassifier
from genoformer.models.transformer.model import Encoder
from genoformer.progress import Progress, ProgressCallback
from genoformer.scoring.scorers import ScoringSpec
from genoformer.tables import rounded, tsv_line

Model = Encoder | SequenceClassifier | Enformer


@dataclass(frozen=True)
class InterpretationRequest:
    """Options shared by all interpretation methods."""

    data: Path  # BED, VCF or FASTA
    model: str | Path
    out: Path  # output folder
    fasta: Path | None = None  # genome of a BED or VCF
    length: int | None = None  # bases around the middle of a region or variant
    columns: str | None = None  # columns of a BED, as in --columns
    fix: Sequence[str] = ()  # fixes of a VCF, as in `score`
    force: bool = False  # also accept contigs that do not match the genome, as in `score`
    gtf: Path | None = None  # genes to draw above the figures
    elements: Sequence[str] = ()  # BED files, or NAME=FILE
    n_figures: int = 10  # number of figures, of the first loci
    audits: bool = False  # audit the loci with figures
    device: str = "cpu"
    progress: ProgressCallback = None


@dataclass
class Session:
    """A request with its files read and its model loaded."""

    asked: InterpretationRequest
    genome: Genome | None
    places: list[Locus]
    model: Any
    landmarks: LocusAnnotation
    alleles: list[Variant] = field(default_factory=list)  # all scorable alleles of a VCF, some of them without a locus
    messages: list[str] = field(default_factory=list)  # lines for the user

    @property
    def n_heads(self) -> int:
        return int(getattr(self.model, "encoder", self.model).config.n_heads)

    @property
    def drawn(self) -> list[Locus]:
        return self.places[: self.asked.n_figures]

    def path(self, i: int) -> Path:
        """Return the path of the figure of locus i, without suffix."""
        return self.asked.out / figures.file_name(i, self.places[i].name)

    def seen(self, place: Locus) -> VisibleAnnotation | None:
        return self.landmarks.over(place.chrom, place.start, place.end) if self.landmarks and place.chrom else None

    def progress_for(self, stage: str, n: int | None = None) -> Callable[[int], None] | None:
        listen, total = self.asked.progress, len(self.places) if n is None else n
        return (lambda done: listen(Progress(stage, done, total))) if listen else None


def on_genome(job: Session) -> tuple[Genome, list[Locus]]:
    """Return the genome that a scorer reads, and the loci on it; a FASTA is its own genome, with N beyond its sequences."""
    if job.genome is not None:
        return job.genome, job.places
    return Genome(job.asked.data), [place._replace(chrom=place.name) for place in job.places]


def begin(asked: InterpretationRequest) -> Session:
    """Read the loci, the model, the genes and the elements, and make the output folder.

    Raises ConfigError for genes or elements without a genome, and for a folder with files that are not maps of genoformer.
    Raises the errors of `read_places`, `read_landmarks` and `registry.load`.
    """
    genome = Genome(asked.fasta) if asked.fasta else None
    if genome is None and (asked.gtf or asked.elements):
        raise ConfigError("genes and elements lie on a genome; give its FASTA with --fasta.")
    lines: list[str] = []
    alleles: list[Variant] = []
    places = read_places(
        asked.data,
        genome,
        length=asked.length,
        notes=lines,
        columns=asked.columns,
        fix=asked.fix,
        force=asked.force,
        alleles=alleles,
    )
    landmarks = read_landmarks(genome, asked.gtf, asked.elements) if genome else LocusAnnotation()
    check_overwrite(asked.out, MAPS, MANIFEST, lambda old: old.get("what") is not None)
    model = registry.load(asked.model)
    make_folder(asked.out)
    core = model.encoder if isinstance(model, SequenceClassifier) else model
    longest = max(len(place.codes) for place in places)
    if isinstance(core, Encoder) and longest > core.config.context_length:
        trained = core.config.context_length
        lines.append(f"places of up to {longest:,} bases: the model was trained on {trained:,}; see --length.")
    return Session(asked, genome, places, model, landmarks, alleles, lines)


def audit_maps(
    job: Session,
    maps: Sequence[Floats],
    maps_of: Callable[[Model, Sequence[Locus]], list[Floats]],
    output: AttributionTarget,
    *,
    itself: bool = False,
    alone: bool = True,
) -> list[Audit]:
    """Return the audit of each locus with a figure, and write audit.tsv.

    itself: the maps are ISM, so the comparison with ISM is skipped. alone: the model reads the sequence of the locus without
    the genome around it.
    """
    if not job.asked.audits or not job.drawn:
        return []
    told = job.progress_for("audit", len(job.drawn))
    again = maps_of(shuffled(job.model), job.drawn)
    changes: list[Floats] = [np.full(len(place.codes), np.nan) for place in job.drawn] if itself else []
    if not itself and isinstance(job.model, Encoder):  # ISM of a language model scores the base itself
        genome, places = on_genome(job)
        with ScoringSpec((job.model,), genome, "LLR", device=job.asked.device).open_scorer() as scorer:
            for place, of in zip(job.drawn, mutageneses(scorer, genome, places[: len(job.drawn)]), strict=True):
                at = of.start - place.start  # no changes beyond the ends of the contig
                changes.append(np.full(len(place.codes), np.nan))
                changes[-1][at : at + len(of.codes)] = np.abs(of.values[0]).max(-1)
    found = []
    with evaluating(job.model, job.asked.device) as model:
        for i, place in enumerate(job.drawn):
            around, at = (place.codes, 0) if alone else _around(job, place)

            def ask(codes: Codes, place: Locus = place, around: Codes = around, at: int = at) -> Floats:
                made = np.tile(around, (len(codes), 1))
                made[:, at : at + len(place.codes)] = codes
                return output.of(model, made, around)

            found.append(audit(place.codes, maps[i], again[i], ask, changes[i] if changes else None))
            if told:
                told(i + 1)
    rows = [
        tsv_line([place.name, *(rounded(x, ".4f") for x in (of.with_mutagenesis, of.deletion.gain, of.reinitialised))])
        for place, of in zip(job.drawn, found, strict=True)
    ]
    header = "place\tspearman_with_mutagenesis\tdeletion_gain\tspearman_shuffled_weights"
    write_text(job.asked.out / "audit.tsv", "\n".join([header, *rows, ""]))
    middle = {
        name: [x for x in of if np.isfinite(x)]
        for name, of in (
            ("Spearman with mutagenesis", [of.with_mutagenesis for of in found]),
            ("deletion beats random order by a share of", [of.deletion.gain for of in found]),
            ("Spearman with the map of shuffled weights", [of.reinitialised for of in found]),
        )
    }
    said = "; ".join(f"{name} {np.median(x):.2f} (n = {len(x)})" for name, x in middle.items() if x)
    job.messages.append(f"audit, medians: {said or 'nothing could be judged'}")
    return found


def _around(job: Session, place: Locus) -> tuple[Codes, int]:
    """Return the input window of a track model around a locus, and the index of the locus in it."""
    if not isinstance(job.model, Enformer) or job.genome is None:
        return place.codes, 0
    length = job.model.config.context_length
    at = (length - len(place.codes)) // 2
    if at < 0:
        raise ConfigError(f"{place.name}: {len(place.codes):,} bases are more than the model's window of {length:,}.")
    return job.genome.window(place.chrom, place.start - at, length), at


def note(audits: Sequence[Audit], i: int) -> str:
    """Return the note of the figure of locus i: its audit, or "" without one."""
    return audits[i].text() if i < len(audits) else ""


def write(job: Session, maps: Sequence[Floats], what: str, by_base: Sequence[Floats] | None = None) -> None:
    """Write maps.npz and, for loci on a genome, maps.bw.

    maps: [L] or [L, 4] for each locus; what: description of the maps for the manifest; by_base: maps [L] for maps.bw, needed
    if `maps` are [L, 4].
    """
    out = job.asked.out
    write_maps(out / "maps.npz", job.places, maps, what)
    job.messages.append(f"{out / 'maps.npz'}: {what}, {len(job.places):,} places")
    if job.genome is not None:
        n = write_map_track(out / "maps.bw", job.places, by_base or maps, job.genome)
        job.messages.append(f"{out / 'maps.bw'}: {n:,} bases")


def draw(
    job: Session,
    maps: Sequence[Floats],
    maps_of: Callable[[Model, Sequence[Locus]], list[Floats]],
    label: str,
    audits: Sequence[Audit],
    notes: Sequence[str] = (),
) -> None:
    """Draw the map of each locus with its audit and note; for variants, the maps of both alleles."""
    some = [place.alternative for place in job.drawn if place.alleles is not None]
    alternatives = maps_of(job.model, some) if some and len(some) == len(job.drawn) else []
    said = ["; ".join(filter(None, (*notes[i : i + 1], note(audits, i)))) for i in range(len(job.drawn))]
    for i, place in enumerate(job.drawn):
        if alternatives:
            figures.draw_alleles(job.path(i), place, maps[i], alternatives[i], label=label, note=said[i])
        else:
            figures.draw_map(job.path(i), place, maps[i], label=label, seen=job.seen(place), note=said[i])


def read_background(job: Session, data: Path | None) -> list[Locus]:
    """Read the background sequences for motif enrichment, before any model runs."""
    if data is None:
        return []
    asked = job.asked
    return read_places(data, job.genome, length=asked.length, notes=job.messages, fix=asked.fix, force=asked.force)


def write_discovered(job: Session, maps: Sequence[Floats], others: Sequence[Locus], min_fold: float) -> None:
    """Write DNABERT-viz's motifs of maps, and report the survivors of each stage."""
    limits = Discovery(min_fold=min_fold)
    known = [np.nan_to_num(of) for of in maps]  # an N is NaN
    found = discover([place.codes for place in job.places], known, [place.codes for place in others], limits)
    job.messages.append(found.text())
    titles = (f"{motif.name}, n = {len(motif.places)}, q = {motif.q:.1g}" for motif in found.motifs)
    write_found(job, list(zip((motif.matrix for motif in found.motifs), titles, strict=True)))


def write_patterns(job: Session, hypothetical: Sequence[Floats], known: Path | None) -> None:
    """Write TF-MoDISco's patterns of hypothetical contributions, [L, 4] for each locus.

    known: a file of motifs to match the patterns with. Raises ConfigError if the loci differ in length.
    """
    if len({len(place.codes) for place in job.places}) > 1:
        raise ConfigError("TF-MoDISco takes places of one length; give --length.")
    made = patterns(np.stack([place.codes for place in job.places]), np.stack(hypothetical))
    job.messages.append(f"{len(made)} patterns")
    write_found(job, matched(job, [trimmed(pattern.matrix) for pattern in made], known))


def matched(job: Session, found: Sequence[Matrix], known: Path | None) -> list[tuple[Matrix, str]]:
    """Return matrices, each with a title that gives its number of sites and its best match among the known motifs."""
    best: dict[str, Match] = {}
    if known and found:
        best = {match.query: match for match in tomtom(found, read_matrices(known), n_nearest=1)}
    named = []
    for matrix in found:
        title = f"{matrix.name}, n = {matrix.n_sites:,}"
        if match := best.get(matrix.name):
            title += f"; {match.target}, p = {match.p:.1g}"
            job.messages.append(f"{match.query}\t{match.target}\tp = {match.p:.2g}\tq = {match.q:.2g}")
        named.append((matrix, title))
    return named


def write_found(job: Session, found: Sequence[tuple[Matrix, str]]) -> None:
    """Write motifs.meme, and a figure of each matrix with its title."""
    out = job.asked.out
    write_meme(out / "motifs.meme", [matrix for matrix, _ in found])
    job.messages.append(f"{out / 'motifs.meme'}: {len(found):,} motifs")
    for i, (matrix, title) in enumerate(found):
        figures.draw_motif(out / f"motif_{figures.file_name(i, matrix.name)}", matrix, title)
