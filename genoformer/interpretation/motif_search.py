"""Motifs of maps (DNABERT-viz, TF-MoDISco) and of filters -> motifs.meme and logos; matches and hits of motif files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genoformer.errors import ConfigError
from genoformer.formats.motif_files import read_matrices, write_meme
from genoformer.formats.motif_matrix import Matrix
from genoformer.genome.reference import Genome
from genoformer.inference.runtime import Floats
from genoformer.interpretation import figures
from genoformer.interpretation.dnabert_viz import DiscoveryLimits, discover
from genoformer.interpretation.filters import filter_matrices, first_convolution
from genoformer.interpretation.loci import Locus, read_loci
from genoformer.interpretation.matrices import Hit, Match, fimo, tomtom, trimmed
from genoformer.interpretation.modisco import patterns
from genoformer.interpretation.request import NO_MOTIFS, InterpretationRequest, MotifOptions
from genoformer.interpretation.session import Result, Session, merge, open_session
from genoformer.progress import ProgressCallback


def find_motifs(session: Session, maps: Sequence[Floats], options: MotifOptions, hypothetical: Sequence[Floats] = ()) -> Result:
    """Write DNABERT-viz's motifs of maps [L], and TF-MoDISco's patterns of hypothetical contributions [L, 4], as requested."""
    results = [Result()]
    if options.negative is not None:
        results.append(_enriched_motifs(session, maps, options.min_fold))
    if options.modisco:
        results.append(_patterns(session, hypothetical, options.known))
    return merge(*results)


def _enriched_motifs(session: Session, maps: Sequence[Floats], min_fold: float) -> Result:
    """Write DNABERT-viz's motifs of maps, with a note on the survivors of each stage."""
    known = [np.nan_to_num(values) for values in maps]  # an N is NaN
    background = [locus.codes for locus in session.background]
    discovered = discover([locus.codes for locus in session.loci], known, background, DiscoveryLimits(min_fold=min_fold))
    matrices = [motif.matrix for motif in discovered.motifs]
    titles = [f"{motif.name}, n = {len(motif.windows)}, q = {motif.q:.1g}" for motif in discovered.motifs]
    return merge(Result(notes=(discovered.text(),)), _write_motifs(session, matrices, titles))


def _patterns(session: Session, hypothetical: Sequence[Floats], known: Path | None) -> Result:
    """Write TF-MoDISco's patterns, matched with known motifs. Raises ConfigError if the loci differ in length."""
    if len({len(locus.codes) for locus in session.loci}) > 1:
        raise ConfigError("TF-MoDISco needs regions of one length; give a length.")
    matrices = [
        trimmed(pattern.matrix)
        for pattern in patterns(np.stack([locus.codes for locus in session.loci]), np.stack(hypothetical))
    ]
    return merge(Result(notes=(f"{len(matrices)} patterns",)), _write_matched(session, matrices, known))


def map_filters(
    request: InterpretationRequest, options: MotifOptions = NO_MOTIFS, *, progress: ProgressCallback = None
) -> Result:
    """Write the first-layer filters of a model of one-hot DNA as motifs of the loci, matched with known motifs.

    Raises ConfigError for a model without filters over bases, and if the loci differ in length.
    """
    session = open_session(request, progress=progress)
    n_filters = first_convolution(session.model).out_channels
    lengths = {len(locus.codes) for locus in session.loci}
    if len(lengths) > 1:
        raise ConfigError(
            f"found regions of {min(lengths):,} to {max(lengths):,} bases, filters need one length; give a length."
        )
    codes = np.stack([locus.codes for locus in session.loci])
    matrices = [trimmed(matrix) for matrix in filter_matrices(session.model, codes)]
    note = f"{len(matrices)} of {n_filters} filters are active"
    return merge(session.opened, Result(notes=(note,)), _write_matched(session, matrices, options.known))


def _write_matched(session: Session, matrices: Sequence[Matrix], known: Path | None) -> Result:
    """Write matrices, each with a title that gives its number of sites and its best match among the known motifs."""
    matches: dict[str, Match] = {}
    if known and matrices:
        matches = {match.query: match for match in tomtom(matrices, read_matrices(known), n_nearest=1)}
    titles, notes = [], []
    for matrix in matrices:
        title = f"{matrix.name}, n = {matrix.n_sites:,}"
        if match := matches.get(matrix.name):
            title += f"; {match.target}, p = {match.p:.1g}"
            notes.append(f"{match.query}\t{match.target}\tp = {match.p:.2g}\tq = {match.q:.2g}")
        titles.append(title)
    return merge(Result(notes=tuple(notes)), _write_motifs(session, matrices, titles))


def _write_motifs(session: Session, matrices: Sequence[Matrix], titles: Sequence[str]) -> Result:
    """Write motifs.meme, and a figure of each matrix with its title."""
    path = session.request.folder / "motifs.meme"
    write_meme(path, matrices)
    files = [path]
    for i, (matrix, title) in enumerate(zip(matrices, titles, strict=True)):
        files += figures.draw_motif(session.request.folder / f"motif_{figures.file_name(i, matrix.name)}", matrix, title)
    return Result(notes=(f"{path}: {len(matrices):,} motifs",), files=tuple(files))


# --- motifs of files


class Scan(NamedTuple):
    """Motif hits in loci, and the loci."""

    loci: list[Locus]
    hits: list[Hit]
    notes: Sequence[str] = ()

    def bed(self) -> str:
        """Return BED6 lines with score -10 log10 p, at most 1000; coordinates are on the contig, or on the FASTA record."""
        lines = []
        for hit in self.hits:
            locus = self.loci[hit.sequence]
            score = min(1000, round(-10 * np.log10(max(hit.p, 1e-100))))
            start, end = locus.start + hit.start, locus.start + hit.end
            lines.append(f"{locus.chrom or locus.name}\t{start}\t{end}\t{hit.motif}\t{score}\t{hit.strand}")
        return "\n".join(lines)


def match_motifs(motifs: Path, known: Path, n_nearest: int = 3) -> list[Match]:
    """Return the known motifs most similar to each motif of a file, by Tomtom."""
    return tomtom(read_matrices(motifs), read_matrices(known), n_nearest=n_nearest)


def scan_motifs(motifs: Path, data: Path, fasta: Path | None, *, threshold: float = 1e-4) -> Scan:
    """Return the hits of the motifs of a file in the loci of a BED or FASTA, by FIMO."""
    loci = read_loci(data, Genome(fasta) if fasta else None).loci
    matrices = read_matrices(motifs)
    notes = []
    if short := [matrix for matrix in matrices if 0.25 ** len(matrix.p) > threshold]:
        smallest = 0.25 ** len(short[0].p)
        subject = "1 motif is" if len(short) == 1 else f"{len(short):,} motifs are"
        notes.append(
            f"{subject} too short for p up to {threshold:g} and cannot have a hit: p of {short[0].name} "
            f"({len(short[0].p)} bases) is {smallest:.2g} or more; see the option p_value."
        )
    return Scan(loci, fimo(matrices, [locus.codes for locus in loci], threshold=threshold), notes)
