"""Inputs of the functions of `genoformer.api`: DNA as text or as regions of a FASTA, and a model, by name or as an object.

DNA comes in three forms: call(texts, model), call(fasta, region, model), and call(region, model, fasta=fasta).
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from genoformer.errors import ConfigError, OptionError
from genoformer.genome.codes import Codes, decode, encode_texts, is_dna
from genoformer.genome.reference import Genome
from genoformer.genome.region_sources import EXPECTED, region_sources
from genoformer.interpretation.loci import Locus, read_loci

if TYPE_CHECKING:
    from genoformer.models.base import Need

Fasta = str | Path | Genome


class Source(NamedTuple):
    """DNA and model of a call, before anything is opened: texts, or a FASTA with regions."""

    texts: Sequence[str] | None  # None: regions of the FASTA
    fasta: Any
    region: Any
    model: Any
    is_one: bool  # one text or one region, so that the call returns one result

    @classmethod
    def of(cls, dna: Any, region: Any, model: Any, fasta: Any) -> Source:
        """Return the source of the arguments of a call; raise ConfigError if they do not fit together.

        >>> Source.of("ACGT", "demo", None, None).texts, Source.of("a.fa", "chr1:1-9", "demo", None).region
        (['ACGT'], 'chr1:1-9')
        >>> Source.of("chr1:1-9", "demo", None, "a.fa")
        Source(texts=None, fasta='a.fa', region='chr1:1-9', model='demo', is_one=True)
        """
        if fasta is not None:
            if dna is not None and region is not None and model is not None:
                raise OptionError("fasta", "is given in addition to three arguments; give the region, the model and fasta.")
            if dna is not None:
                region, model = dna, region if model is None else model
            return cls(None, fasta, region, model, _is_one_region(region))
        if _is_text(dna):
            if region is not None and model is not None:
                raise OptionError("region", f"is {region!r}, found DNA as text as well; leave it out.")
            texts: Any = [dna] if isinstance(dna, str) else dna if isinstance(dna, bytes | Mapping) else list(dna)
            return cls(texts, None, None, region if model is None else model, isinstance(dna, str))
        if isinstance(dna, str) and _is_place(dna):
            raise OptionError("fasta", f"is missing, expected the FASTA of the region {dna!r}; give it as fasta=PATH.")
        return cls(None, dna, region, model, _is_one_region(region))

    def codes(self) -> list[Codes]:
        """Return the integer-encoded DNA, uint8 [L] for each text or region."""
        with self.open() as (_, loci):
            return [locus.codes for locus in loci]

    def names(self) -> list[str] | None:
        """Return the regions as texts; None for DNA as text."""
        if self.texts is not None:
            return None
        with opened(self.fasta) as genome:
            return [locus.name for locus in loci_of(genome, self.region)]

    @contextmanager
    def open(self, *, on_genome: bool = False) -> Iterator[tuple[Genome | None, list[Locus]]]:
        """Yield the genome and the loci on it; texts have no genome, or with `on_genome` a genome of their own.

        A genome that was open stays open. Warns (UserWarning) of a model for another genome.
        """
        with ExitStack() as stack:
            if self.texts is None:
                genome = stack.enter_context(opened(self.fasta))
                warn_of_genome(self.model, genome)
                yield genome, loci_of(genome, self.region)
                return
            codes = encode_texts(self.texts)
            names = [f"sequence_{i}" for i in range(1, len(codes) + 1)]
            if not on_genome:
                yield None, [Locus(name, "", 0, of) for name, of in zip(names, codes, strict=True)]
                return
            path = self.write_fasta(Path(stack.enter_context(tempfile.TemporaryDirectory())))
            genome = stack.enter_context(Genome(path))
            yield genome, [Locus(name, name, 0, of) for name, of in zip(names, codes, strict=True)]

    def write_fasta(self, folder: Path) -> Path:
        """Write the texts to a FASTA with the names sequence_1, sequence_2 ..., and return its path."""
        assert self.texts is not None
        path = folder / "sequences.fa"
        codes = enumerate(encode_texts(self.texts), 1)
        path.write_text("".join(f">sequence_{i}\n{decode(of)}\n" for i, of in codes), encoding="ascii")
        return path


def loci_of(genome: Genome, region: Any) -> list[Locus]:
    """Return the loci of a region, of several, and of BED files, in their order. Raises OptionError for None."""
    if region is None:
        raise OptionError("region", f"is None, expected {EXPECTED}; give this.")
    loci = []
    for source in region_sources(region):
        if isinstance(source, Path):
            loci += read_loci(source, genome).loci
        else:
            chrom, start, end = one_region(genome, source)
            loci.append(Locus(source, chrom, start, genome.window(chrom, start, end - start)))
    return loci


def opened(fasta: Fasta) -> AbstractContextManager[Genome]:
    """Return a context with the genome; it is closed at the end unless it was already open."""
    if isinstance(fasta, Genome):
        return nullcontext(fasta)
    if fasta is None:
        raise OptionError("fasta", "is missing, expected DNA as text, or a FASTA and a region; give one of them.")
    if not isinstance(fasta, str | Path):
        raise ConfigError(f"fasta is a {type(fasta).__name__}; give the path of a FASTA, or a Genome.")
    return Genome(fasta)


def one_region(genome: Genome, region: str) -> tuple[str, int, int]:
    """Return contig, start and end (0-based half-open) of one region of a genome; ConfigError for several."""
    from genoformer.inference.regions import resolve_regions

    if not isinstance(region, str):
        raise ConfigError(f"region is {region!r}; give one text such as 'chr1:1-200,000', from 1.")
    resolved = resolve_regions(genome, region=region).intervals
    rows = [(chrom, start, end) for chrom, intervals in resolved.items() for start, end in intervals.tolist()]
    if len(rows) > 1:
        raise ConfigError(f"{region} has {len(rows):,} regions, expected one; call the function for each.")
    return rows[0]


def loaded_model(model: Any, *needs: Need) -> Any:
    """Load a model from its name or folder, or return a loaded model; it must have the needed capabilities."""
    from genoformer.models.base import Model, require
    from genoformer.models.registry import load

    require_model(model)
    if isinstance(model, str | Path):
        return load(model, *needs)
    if not isinstance(model, Model):
        raise ConfigError(f"model is a {type(model).__name__}; give the name of a model, its folder, or a loaded model.")
    require(model, *needs)
    return model


def named_or_loaded(model: Any) -> Any:
    """Return the name or folder of a model, or a loaded model that is checked; of several, a tuple of them."""
    if isinstance(model, list | tuple):
        return tuple(map(named_or_loaded, model))
    return model if isinstance(model, str | Path) else loaded_model(model)


def require_model(model: Any) -> None:
    """Raise ConfigError, with the models that are there and their uses, if no model is given."""
    if model is None:
        from genoformer.catalog import models_here

        uses = [f"  {name}: {use}" for name, use in models_here()]
        raise ConfigError("no model is named; give its folder, or a name of genoformer.models(), such as", table=uses)


def warn_of_genome(models: Any, genome: Genome) -> None:
    """Warn (UserWarning) of models, by name, that are for another genome, as their cards have it."""
    from genoformer.models.folders import cautions

    for model in models if isinstance(models, list | tuple) else [models]:
        for caution in cautions(model, genome.contigs, of_variants=False) if isinstance(model, str | Path) else ():
            warnings.warn(caution, UserWarning, stacklevel=3)


def _is_text(dna: Any) -> bool:
    """True for DNA as text, or for several values that should be texts; False for a FASTA or None."""
    if isinstance(dna, str):
        return is_dna(dna) and not (len(dna) < 256 and Path(dna).is_file())
    return isinstance(dna, Iterable) and not isinstance(dna, PathLike | Genome)


def _is_place(text: str) -> bool:
    """True for a text that is a region and no file."""
    name, colon, span = text.rpartition(":")
    numbers = span.replace(",", "").replace("-", "")
    return bool(name and colon) and numbers.isdigit() and not Path(text).is_file()


def _is_one_region(region: Any) -> bool:
    return isinstance(region, str) and isinstance(region_sources(region)[0], str)
