"""Errors -> one sentence on stderr and an exit status."""

from __future__ import annotations

import errno
import sys
from typing import NoReturn

import click


def refuse(error: Exception, *, debug: bool) -> NoReturn:
    """Print the error and exit with status 2; with --debug, or for an internal bug, raise it with its traceback."""
    from genoformer.errors import GenoformerError, sentence

    if debug:
        raise error
    if isinstance(error, GenoformerError):
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):  # EFBIG: ulimit -f
        click.echo("Error: the disk is full; make room and run the same command again.", err=True)
        sys.exit(2)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        text = sentence(f"{where}{error.strerror or error}; check that it exists and may be read and written.")
        click.echo(f"Error: {text}", err=True)
        sys.exit(2)
    raise error
