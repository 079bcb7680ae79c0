"""BrowseRequest: the model and files of a local page; Query: a request of the page for one region or variant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

from genoformer.errors import ConfigError, OptionError
from genoformer.formats.squashed_scale import SCALES, Scale
from genoformer.inference.runtime import resolve_device
from genoformer.interpretation.request import Profile
from genoformer.option_checks import Strand, check_choice, check_kind, check_number

MOST_BASES = 1_000  # of logos and ISM: with a track model each base takes three passes
_LONGEST = 500  # characters of a text that the page sends


@dataclass(frozen=True)
class BrowseRequest:
    """A model, a genome, and what the page shows with them.

    Raises OptionError for a value of another kind or out of its range.
    """

    model: str | Path
    fasta: str | Path
    scored: str | Path | None = None  # VCF, TSV or Parquet of `score`, whose strongest variants the page lists
    gtf: str | Path | None = None  # genes (GTF or GFF3)
    elements: tuple[str, ...] = ()  # BED files, or NAME=FILE
    targets: str | Path | None = None  # table of the head's tracks, for a model without its own
    head: str | None = None  # None: the only head
    strand: Strand | None = None  # None: both, or that of the scored file
    scale: Scale | None = None  # of a model with a squashed scale; None: "original", or that of the scored file
    contexts: str | Path | None = None  # for a model with contexts; None: those of its training
    top: int = 50  # listed variants of the scored file
    port: int = 0  # 0: a free one
    device: str = "auto"  # a GPU if there is one

    def __post_init__(self) -> None:
        check_kind("head", self.head, str, "the name of a head")
        if self.strand is not None:
            check_choice("strand", self.strand, get_args(Strand))
        if self.scale is not None:
            check_choice("scale", self.scale, SCALES)
        check_number("top", self.top, 0, "variants")
        check_number("port", self.port, 0)
        if self.port > 65_535:
            raise OptionError("port", f"is {self.port}, expected a number from 0 to 65535; give one, or leave it out.")
        if self.scored is not None:
            of_file = {"head": self.head, "strand": self.strand, "scale": self.scale, "targets": self.targets}
            if given := [name for name, value in of_file.items() if value is not None]:
                raise OptionError(given[0], "is that of the scored file; leave it out, or leave the file out.")
        object.__setattr__(self, "device", resolve_device(self.device))


@dataclass(frozen=True)
class Query:
    """A region or variant, and what is computed for it."""

    place: str  # chr1:1-200,000, chr20:1050100:A:G, or the name of a gene
    tracks: str = ""  # of a track model: numbers, names or patterns; "": the strongest, or the first
    bases: int | None = None  # bases around the middle for logos and ISM; None: 60, or a short region
    ism: bool = False
    attention: str = ""  # profile; "": no attention

    @classmethod
    def from_json(cls, data: Any) -> Query:
        """Return the query of a JSON object. Raises ConfigError for a value of another kind or out of its range.

        >>> Query.from_json({"place": " chr1:1-100 ", "ism": True})
        Query(place='chr1:1-100', tracks='', bases=None, ism=True, attention='')
        >>> Query.from_json({"place": ""})
        Traceback (most recent call last):
        genoformer.errors.ConfigError: no region is given; write one such as chr20:1,000,001-1,001,000, or a variant.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(data, Mapping) or not set(data) <= names:
            raise ConfigError(f"the request is not understood, expected an object with {', '.join(sorted(names))}; correct it.")
        query = cls(**{"place": ""} | dict(data))
        texts = (query.place, query.tracks, query.attention)
        if not all(isinstance(text, str) and len(text) <= _LONGEST for text in texts) or not isinstance(query.ism, bool):
            raise ConfigError(f"the request is not understood, expected texts of at most {_LONGEST} letters; correct it.")
        if not query.place.strip():
            raise ConfigError("no region is given; write one such as chr20:1,000,001-1,001,000, or a variant.")
        check_number("bases", query.bases, 10, "bases")
        if query.bases is not None and query.bases > MOST_BASES:
            raise OptionError("bases", f"is {query.bases:,}, expected {MOST_BASES:,} at most; give fewer.")
        if query.attention:
            check_choice("attention", query.attention, get_args(Profile))
        return cls(query.place.strip(), query.tracks.strip(), query.bases, query.ism, query.attention)
