"""Errors -> one sentence on stderr and an exit status."""

from __future__ import annotations

import errno
import sys
from typing import NoReturn

import click

from .verbosity import write_log


def refuse(error: Exception, *, debug: bool, log: str | None = None) -> NoReturn:
    """Print the error and exit with status 2; with --debug, or for an internal bug, raise it with its traceback.

    log: path of a log that gets the error, too.
    """
    from genoformer.errors import GenoformerError, sentence

    def leave(text: str) -> NoReturn:
        write_log(f"Error: {text}", log)
        click.echo(f"Error: {text}", err=True)
        sys.exit(2)

    if debug:
        raise error
    if isinstance(error, GenoformerError):
        leave(str(error))
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):  # EFBIG: ulimit -f
        leave("the disk is full; make room and run the same command again.")
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        leave(sentence(f"{where}{error.strerror or error}; check that it exists and may be read and written."))
    raise error
