"""Packages of optional extras: are they installed, and the sentence if they are not."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from genoformer.errors import MissingExtraError


def is_installed(package: str) -> bool:
    """True if a package can be imported.

    >>> is_installed("json"), is_installed("no_such_package")
    (True, False)
    """
    try:
        import_module(package)
    except ImportError:
        return False
    return True


def require_extra(extra: str, purpose: str, *packages: str) -> None:
    """Raise MissingExtraError if one of the packages of an extra is not installed.

    purpose: the beginning of the sentence: the file, command or option that needs the packages.

    >>> require_extra("parquet", "a.parquet", "no_such_package")
    Traceback (most recent call last):
    genoformer.errors.MissingExtraError: a.parquet needs no_such_package, which is not installed; \
install the extra: pip install 'genoformer[parquet]'.
    """
    if not all(map(is_installed, packages)):
        verb = "is" if len(packages) == 1 else "are"
        raise MissingExtraError(
            f"{purpose} needs {' and '.join(packages)}, which {verb} not installed; install the extra: "
            f"pip install 'genoformer[{extra}]'."
        )


def require_parquet(path: str | Path) -> None:
    """Raise MissingExtraError for a Parquet file, by its name, if pyarrow, which reads and writes Parquet, is not installed.

    >>> require_parquet("scores.tsv")
    """
    if str(path).lower().endswith(".parquet"):
        require_extra("parquet", f"{path}: Parquet", "pyarrow")
