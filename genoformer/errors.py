"""The errors a user can cause: one sentence each, with what was found, what is allowed and what to do."""

from __future__ import annotations

from collections.abc import Sequence

_MOST = 1_000  # letters of a sentence; names in it may be of any length


def sentence(text: str) -> str:
    """One line that can be printed anywhere, whatever the names in it: control characters as \\n, \\x1b ..., not too long.

    >>> sentence("there is no file a\\nb")
    'there is no file a\\\\nb'
    """
    text = printable(text)
    return text if len(text) <= _MOST else f"{text[: _MOST // 2]} ... {text[8 - _MOST // 2 :]}"


def printable(text: str) -> str:
    """Escape control characters, line breaks included, and bytes that were not UTF-8."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class GenoformerError(Exception):
    """Any refusal of ours; the command line prints its sentence and exits with status 2.

    table: lines to print below the sentence.

    >>> print(GenoformerError("give a\\nb these names:", table=["x y", "z w"]))
    give a\\nb these names:
    x y
    z w
    """

    def __init__(self, *args: object, table: Sequence[str] = ()) -> None:
        super().__init__(*args)
        self.table = tuple(table)

    def __str__(self) -> str:
        return "\n".join(map(sentence, (self._text(), *self.table)))

    def _text(self) -> str:
        return super().__str__()


class FileFormatError(GenoformerError, ValueError):
    """A file is missing, unreadable, truncated, or not what its name says."""


class ContigError(GenoformerError, KeyError):
    """A contig is not in the reference, or its name fits more than one there."""

    def _text(self) -> str:  # KeyError would show the sentence in quotes
        return str(self.args[0]) if self.args else ""


class PreflightError(GenoformerError, ValueError):
    """A VCF does not belong to the reference it is to be scored against."""


class ConfigError(GenoformerError, ValueError):
    """An option or a field of a config file is unknown, out of range, or at odds with another."""


class CheckpointError(GenoformerError, ValueError):
    """A model folder is incomplete, malformed, or does not fit the model it names."""


class CatalogError(GenoformerError, ValueError):
    """The catalog has no such entry, or a file of its form is malformed."""


class DownloadError(GenoformerError, ConnectionError):
    """Something of the catalog could not be fetched, or is not what was to be fetched."""


class MissingFileError(FileFormatError, FileNotFoundError):
    """There is no file at the path that was given."""


class TrainingError(GenoformerError, RuntimeError):
    """A training run that cannot go on: its loss is no number."""


class FailedRunWarning(UserWarning):
    """A model is loaded whose training run failed its own check."""


class Stopped(KeyboardInterrupt):
    """A run was told to stop; the status of the process is 128 and the number of the signal, as shells have it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by signal {int(number)}")
        self.status = 128 + int(number)
