"""Lines of a model card that commands read: what the model is for, the genome it is for, and a caution."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from genoformer.catalog.cache import is_here, shipped
from genoformer.catalog.entries import read_catalog

CARD = "card.md"
_LINE = re.compile(r"^\* (Use|Contigs|Caution): (.+(?:\n  \S.*)*)$", re.MULTILINE)
_SHOWN = 3  # contigs of a genome in a caution


class CardLines(NamedTuple):
    """Lines `* Use: ...`, `* Contigs: ...` and `* Caution: ...` of a card; each is empty without its line."""

    use: str = ""
    contigs: str = ""  # names or patterns of the contigs of the genome that the model is for, such as chrS*
    caution: str = ""  # what the scores of variants do not show

    def cautions(self, name: str, contigs: Collection[str], *, of_variants: bool = True) -> list[str]:
        """Return warnings on a genome that the model is not for, and on its scores of variants.

        name: that of the model. contigs: those of the genome; without any the genome is not judged.

        >>> lines = CardLines(contigs="chrS*", caution="its LLR is no effect size")
        >>> lines.cautions("tiny", ["chrS1"])
        ['caution: tiny: its LLR is no effect size.']
        >>> lines.cautions("tiny", ["chr1", "chr2", "chr3", "chr4"], of_variants=False)
        ['caution: tiny is for genomes with contigs such as chrS*, found chr1, chr2, chr3 ...; its values mean nothing there.']
        """
        notes = []
        patterns = self.contigs.replace(",", " ").split()
        if contigs and patterns and not any(fnmatchcase(contig, pattern) for contig in contigs for pattern in patterns):
            shown = ", ".join(list(contigs)[:_SHOWN]) + (" ..." if len(contigs) > _SHOWN else "")
            notes.append(
                f"caution: {name} is for genomes with contigs such as {', '.join(patterns)}, found {shown}; "
                "its values mean nothing there."
            )
        if of_variants and self.caution:
            notes.append(f"caution: {name}: {self.caution.rstrip('.')}.")
        return notes


def card_lines(card: str) -> CardLines:
    """Return the lines of a card, each on one line; a line that is there twice counts once, the last.

    >>> card_lines("# tiny: a model\\n\\n* Use: tests\\n* Caution: its LLR is\\n  no effect size\\n").caution
    'its LLR is no effect size'
    """
    return CardLines(**{name.lower(): " ".join(text.split()) for name, text in _LINE.findall(card)})


def models_here() -> Iterator[tuple[str, str]]:
    """Yield name and use of each model that needs no download: those of the catalog that are in the cache, then the bundled."""
    for name, entry in read_catalog()["models"].items():
        if is_here(entry):
            yield name, entry.use
    for name, folder in shipped().items():
        yield name, use_in(folder)


def use_in(folder: Path) -> str:
    """Return the line `* Use: ...` of the card in a model folder; empty without a card or the line."""
    card = folder / CARD
    return card_lines(card.read_text(encoding="utf-8")).use if card.is_file() else ""
