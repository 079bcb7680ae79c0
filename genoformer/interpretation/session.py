"""Request -> session: the loci, the model and the annotation of one run, and the maps and figures that it writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from genoformer.errors import ConfigError, OptionError
from genoformer.files import check_overwrite, make_folder
from genoformer.formats.context_table import open_contexts
from genoformer.genome.contigs import count_noun
from genoformer.genome.genes import LocusAnnotation, VisibleAnnotation, read_landmarks
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.inference.runtime import Floats
from genoformer.interpretation import figures
from genoformer.interpretation.loci import MANIFEST, MAPS, Loci, Locus, read_loci, write_map_track, write_maps
from genoformer.interpretation.request import NO_MOTIFS, InterpretationRequest, MotifOptions
from genoformer.models import registry
from genoformer.models.base import READS_TOKENS, PredictsTracks, has
from genoformer.models.takes_contexts import with_contexts
from genoformer.progress import ProgressCallback

if TYPE_CHECKING:
    from genoformer.genome.variant_input import VariantSource

MapFunction = Callable[[Any, Sequence[Locus]], list[Floats]]  # (model, loci) -> a map [L] of each locus


class Result(NamedTuple):
    """Maps of an interpretation, [L] or [L, 4] for each locus, notes for the user, and the files written."""

    maps: tuple[Floats, ...] = ()
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()


def merge(*results: Result) -> Result:
    """Return one result with the maps, notes and files of several, in their order."""
    return Result(*(tuple(chain.from_iterable(fields)) for fields in zip(*results, strict=True)))


def join_notes(*columns: Iterable[str]) -> list[str]:
    """Return the notes of each figure in one line; empty notes are left out.

    >>> join_notes(["a", ""], ["b"])
    ['a; b', '']
    """
    return ["; ".join(filter(None, notes)) for notes in zip_longest(*columns, fillvalue="")]


@dataclass(frozen=True)
class Session:
    """A request with its files read and its model loaded."""

    request: InterpretationRequest
    genome: Genome | None
    loci: Sequence[Locus]
    model: Any
    annotation: LocusAnnotation
    alleles: Sequence[Variant] = ()  # all scorable alleles of a VCF, some of them without a locus
    background: Sequence[Locus] = ()  # background sequences for motif enrichment
    notes: Sequence[str] = ()  # notes on the loci, for the user
    others: Sequence[Any] = ()  # the other members of an ensemble, of which `model` is the first
    progress: ProgressCallback = None

    @property
    def opened(self) -> Result:
        """The notes on the loci, as a result."""
        return Result(notes=tuple(self.notes))

    @property
    def drawn(self) -> Sequence[Locus]:
        """The loci with figures."""
        return self.loci[: self.request.n_figures]

    def figure_path(self, i: int, suffix: str = "") -> Path:
        """Return the path of a figure of locus i, without the suffix of its format."""
        return self.request.folder / f"{figures.file_name(i, self.loci[i].name)}{suffix}"

    def visible(self, locus: Locus) -> VisibleAnnotation | None:
        """Return the genes and elements at a locus; None without an annotation."""
        return self.annotation.over(locus.chrom, locus.start, locus.end) if self.annotation and locus.chrom else None

    def on_genome(self) -> tuple[Genome, list[Locus]]:
        """Return the genome that a scorer reads, and the loci on it; a FASTA is its own genome, with N beyond its sequences."""
        if self.genome is not None:
            return self.genome, list(self.loci)
        assert isinstance(self.request.data, str | Path)  # loci without a file have a genome
        return Genome(self.request.data), [locus._replace(chrom=locus.name) for locus in self.loci]

    def write(self, maps: Sequence[Floats], description: str, by_base: Sequence[Floats] | None = None) -> Result:
        """Write maps.npz and, for loci on a genome, maps.bw.

        maps: [L] or [L, 4] for each locus; description: of the maps, for the manifest; by_base: maps [L] for maps.bw, needed
        if `maps` are [L, 4].
        """
        path, track = self.request.folder / "maps.npz", self.request.folder / "maps.bw"
        write_maps(path, self.loci, maps, description)
        result = Result(tuple(maps), (f"{path}: {description}, {count_noun(self.loci, 'region')}",), (path,))
        if self.genome is None:
            return result
        n = write_map_track(track, self.loci, by_base or maps, self.genome)
        return merge(result, Result(notes=(f"{track}: {n:,} bases",), files=(track,)))

    def draw(self, maps: Sequence[Floats], maps_of: MapFunction, label: str, notes: Sequence[str] = ()) -> Result:
        """Draw the map of each locus with its note below the name; for variants, the maps of both alleles."""
        with_alt = [locus.alternative for locus in self.drawn if locus.alleles is not None]
        alternatives = maps_of(self.model, with_alt) if with_alt and len(with_alt) == len(self.drawn) else []
        files: list[Path] = []
        for i, locus in enumerate(self.drawn):
            path, note = self.figure_path(i), notes[i] if i < len(notes) else ""
            if alternatives:
                files += figures.draw_alleles(path, locus, maps[i], alternatives[i], label=label, note=note)
            else:
                files += figures.draw_map(path, locus, maps[i], label=label, visible=self.visible(locus), note=note)
        return Result(files=tuple(files))


def open_session(
    request: InterpretationRequest,
    motifs: MotifOptions = NO_MOTIFS,
    progress: ProgressCallback = None,
    *,
    with_ensembles: bool = False,
) -> Session:
    """Read the loci, the model, the genes and elements, and the background of a motif search; make the output folder, if any.

    with_ensembles: also accept the folder of an ensemble; without it, the refusal names the members.

    Raises ConfigError for genes or elements without a genome, and for a folder with files that are not maps of genoformer.
    Raises the errors of `read_loci`, `read_landmarks` and `registry.load`.
    """
    genome = request.fasta if isinstance(request.fasta, Genome) else Genome(request.fasta) if request.fasta else None
    if genome is None and (request.gtf or request.elements):
        raise ConfigError("genes and elements need a genome; give its FASTA.")
    read = _read_loci(request, genome)
    annotation = read_landmarks(genome, request.gtf, request.elements) if genome else LocusAnnotation()
    if request.out is not None:
        check_overwrite(request.out, MAPS, MANIFEST, lambda manifest: manifest.get("what") is not None)
    load = registry.load_members if with_ensembles else lambda name: [registry.load(name)]
    loaded = load(request.model) if isinstance(request.model, str | Path) else [request.model]
    table = open_contexts(request.contexts)
    model, *others = [with_contexts(one, table) for one in loaded]
    if others and request.sanity_checks:
        raise OptionError("sanity_checks", "needs a single model, found an ensemble; leave it out, or name one of its members.")
    if request.out is not None:
        make_folder(request.out)
    background = Loci([])
    if motifs.negative is not None:
        background = read_loci(motifs.negative, genome, length=request.length, fix=request.fix, force=request.force)
    return Session(
        request,
        genome,
        read.loci,
        model,
        annotation,
        read.alleles,
        background.loci,
        [*read.notes, *_length_note(model, read.loci), *background.notes],
        others,
        progress,
    )


def in_whole_bins(session: Session) -> Session:
    """Return the session with regions of a track model that are no whole number of bins widened around their middle.

    A note has their number. Regions of a given length, variants and sequences without a genome stay as they are.
    """
    genome, model = session.genome, session.model
    if genome is None or session.request.length is not None or not has(model, PredictsTracks):
        return session
    unit = model.window_unit_of(model.config)
    loci, n_widened = [], 0
    for locus in session.loci:
        more = -len(locus.codes) % unit
        if more and locus.chrom and locus.alleles is None:
            start, length = locus.start - more // 2, len(locus.codes) + more
            locus = locus._replace(start=start, codes=genome.window(locus.chrom, start, length))
            n_widened += 1
        loci.append(locus)
    if not n_widened:
        return session
    regions = "1 region is" if n_widened == 1 else f"{n_widened:,} regions are"
    note = f"{regions} widened around the middle to whole bins, a multiple of {unit:,} bases; give a length for another size."
    return replace(session, loci=loci, notes=(*session.notes, note))


def _read_loci(request: InterpretationRequest, genome: Genome | None) -> Loci:
    """Return the loci of the data or the regions of a request, or those that it holds itself."""
    data = request.data
    if isinstance(data, list | tuple) and all(isinstance(locus, Locus) for locus in data):
        return Loci(list(data))
    return read_loci(
        cast("VariantSource | None", data),
        genome,
        region=request.region,
        length=request.length,
        columns=request.columns,
        fix=request.fix,
        force=request.force,
    )


def _length_note(model: Any, loci: Sequence[Locus]) -> list[str]:
    """Return a note if loci are longer than the sequences that a language model was trained on."""
    if not has(model, READS_TOKENS):
        return []
    longest, trained = max(len(locus.codes) for locus in loci), model.encoder.config.context_length
    if longest <= trained:
        return []
    return [f"regions have up to {longest:,} bases, but the model was trained on {trained:,}; give a shorter length."]
