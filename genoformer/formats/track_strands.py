"""Strands of tracks: column strand, or the names of the two tracks of a strand pair -> +, - or none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from genoformer.errors import FileFormatError

if TYPE_CHECKING:
    from genoformer.formats.track_table import Track

NONE, UNKNOWN = ".", "?"  # an unstranded track; a track of a pair whose strand is not known
_OTHER = {"+": "-", "-": "+"}
_WORDS = {
    **dict.fromkeys(("plus", "fwd", "forward", "pos", "positive"), "+"),
    **dict.fromkeys(("minus", "rev", "reverse", "neg", "negative"), "-"),
}
_COLUMN = {**_WORDS, **dict.fromkeys(("*", "both", "unstranded", "none"), NONE), **dict.fromkeys(("na", "nan"), "")}
_LETTERS = re.compile(r"[a-z]+")


def strands_of(tracks: Sequence[Track]) -> list[str]:
    """Return the strand of each track: +, -, NONE, or UNKNOWN for a track of a pair that does not tell it.

    The strand is that of the column strand; else, of a track with a pair, the + or - at the end of the identifiers of the pair;
    else a word, such as plus and minus or fwd and rev, in which identifiers or descriptions of the pair differ.
    """
    strands = [track.strand or (NONE if track.strand_pair == track.index else UNKNOWN) for track in tracks]
    for i, track in enumerate(tracks):
        j = track.strand_pair
        if strands[i] != UNKNOWN or j < i:
            continue
        if strands[j] != UNKNOWN:
            strands[i] = _OTHER.get(strands[j], UNKNOWN)
            continue
        other = tracks[j]
        strand = (
            _told_by(*(one.identifier[-1:] if one.identifier[-1:] in _OTHER else "" for one in (track, other)))
            or _told_by(*_words(track.identifier, other.identifier))
            or _told_by(*_words(track.description, other.description))
        )
        if strand:
            strands[i], strands[j] = strand, _OTHER[strand]
    return [
        _OTHER.get(strands[track.strand_pair], strand) if strand == UNKNOWN else strand
        for track, strand in zip(tracks, strands, strict=True)
    ]


def signs_of(tracks: Iterable[Track]) -> str:
    """Return the + or - at the end of the identifier of each track with a pair, "." for all others."""
    return "".join(
        track.identifier[-1] if track.strand_pair != track.index and track.identifier[-1] in _OTHER else NONE
        for track in tracks
    )


def read_strand(text: str, where: str) -> str:
    """Return +, -, . or "" (not known) for the text of a column strand; FileFormatError for another text.

    >>> [read_strand(text, "line 2") for text in ("+", "Minus", ".", "")]
    ['+', '-', '.', '']
    """
    if text in (*_OTHER, NONE, ""):
        return text
    if (word := text.lower()) in _COLUMN:
        return _COLUMN[word]
    raise FileFormatError(f"{where}: strand is {text!r}; give +, -, . for an unstranded track, or nothing.")


def _told_by(own: str, others: str) -> str:
    """Return the strand of the first of two tracks from the strands that their names tell; "" if these contradict."""
    return "" if own == others else own or _OTHER[others]


def _words(own: str, other: str) -> tuple[str, str]:
    """Return the strands that the words in which two texts differ tell; "" for none, and for both."""
    words, others = (Counter(_LETTERS.findall(text.lower())) for text in (own, other))
    told = [{_WORDS[word] for word in counts if word in _WORDS} for counts in (words - others, others - words)]
    if not all(len(one) == 1 for one in told):
        return "", ""
    return next(iter(told[0])), next(iter(told[1]))
