"""Rows of overlapping k-mers, the format of DNABERT's sequences -> plain sequences."""

from __future__ import annotations

from genoformer.errors import FileFormatError


class Kmers:
    """Converter from k-mers to sequences; k is that of the first row with blanks, and every row must have the same format."""

    def __init__(self) -> None:
        self.k = 0
        self.lengths: dict[int, str] = {}  # length of a row without blanks -> the first such row

    def joined(self, text: str, where: str) -> str:
        words = text.split()
        if len(words) < 2:
            self.lengths.setdefault(len(text), where)
        if len(words) >= 2 and not self.k:
            self.k = len(words[0])
        if not self.k:
            return text
        if odd := next((place for length, place in self.lengths.items() if length != self.k), None):
            raise FileFormatError(f"{odd}: the sequence is plain, but other rows hold {self.k}-mers; write all in one way.")
        for i, word in enumerate(words):
            if len(word) != self.k:
                raise FileFormatError(
                    f"{where}: {word[:20]!r} is no {self.k}-mer as the first one; correct or remove the line."
                )
            if i and words[i - 1][1:] != word[:-1]:
                raise FileFormatError(
                    f"{where}: {word!r} does not continue {words[i - 1]!r}; k-mers must overlap in all but one base."
                )
        return words[0] + "".join(word[-1] for word in words[1:]) if words else ""
