"""Errors that a user can cause: one sentence each, with the value found, the allowed values and the remedy."""

from __future__ import annotations

from collections.abc import Sequence

_MOST = 1_000  # longest sentence in characters; names in it may have any length


def sentence(text: str) -> str:
    """Return one printable line of limited length, with control characters in the text escaped as \\n, \\x1b ....

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
    """Base class of genoformer's errors; the command line prints the sentence and exits with status 2.

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
    """A file is missing, unreadable, truncated, or not in the format of its name."""


class ContigError(GenoformerError, KeyError):
    """A contig is not in the reference, or its name matches several contigs there."""

    def _text(self) -> str:  # KeyError would print the sentence in quotes
        return str(self.args[0]) if self.args else ""


class PreflightError(GenoformerError, ValueError):
    """A VCF does not belong to its reference."""


class ConfigError(GenoformerError, ValueError):
    """An option or a field of a config file is unknown, out of range, or in conflict with another."""


class MissingExtraError(GenoformerError, ImportError):
    """A package of an optional extra is not installed."""


class OptionError(ConfigError):
    """An option of a command or a function has a value that is not allowed; the command line names it by its flag.

    option: the name in Python; problem: the end of a sentence that begins with the option.

    >>> print(OptionError("verify", "is -3, expected a whole number from 0; give another."))
    option verify is -3, expected a whole number from 0; give another.
    >>> print(OptionError("verify", "is -3, expected a whole number from 0; give another.", flag="--verify"))
    --verify is -3, expected a whole number from 0; give another.
    """

    def __init__(self, option: str, problem: str, flag: str = "") -> None:
        super().__init__(option, problem, flag)
        self.option, self.problem, self.flag = option, problem, flag

    def _text(self) -> str:
        return f"{self.flag or f'option {self.option}'} {self.problem}"


class OptionErrors(ConfigError):
    """Several options have values that are not allowed, found at once.

    errors: what is wrong with each, in the order in which they are named.

    >>> print(OptionErrors([OptionError("gtf", "is missing; give it."), ConfigError("no head was named; name one.")]))
    2 faults were found:
    option gtf is missing; give it.
    no head was named; name one.
    """

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        super().__init__(f"{len(errors)} faults were found:", table=[str(error) for error in errors])
        self.errors = tuple(errors)


class CheckpointError(GenoformerError, ValueError):
    """A model folder is incomplete, malformed, or inconsistent with the model that it names."""


class CatalogError(GenoformerError, ValueError):
    """The catalog has no such entry, or a catalog file is malformed."""


class DownloadError(GenoformerError, ConnectionError):
    """A download of the catalog failed, or its content is not the expected one."""


class UploadError(GenoformerError, ConnectionError):
    """An upload to the Hugging Face hub failed."""


class MissingFileError(FileFormatError, FileNotFoundError):
    """There is no file at the given path."""


class TrainingError(GenoformerError, RuntimeError):
    """A training run cannot continue: its loss is not finite."""


class FailedRunWarning(UserWarning):
    """The training run of a loaded model failed its own check."""


class PackageWarning(UserWarning):
    """A package that adds a family of models cannot be used."""


class Stopped(KeyboardInterrupt):
    """A run was stopped by a signal; the exit status is 128 plus the number of the signal, as in shells."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by signal {int(number)}")
        self.status = 128 + int(number)
