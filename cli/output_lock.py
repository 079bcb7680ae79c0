"""Lock the outputs of a command while it runs, and refuse outputs that are also inputs."""

from __future__ import annotations

import os
import sys

import click


def open_streams() -> None:
    """Open closed standard streams on the null device, so that no output file takes their number.

    Otherwise, messages printed by C code would go into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


LOG = "genoformer.log"  # key of the path of --log in the context's meta, which a group and its commands share
_OUTPUTS = ("output", "out", "matrix", "pca", "figures", "folder", "calls")  # options that give an output file or folder


def refuse_own_inputs(ctx: click.Context) -> None:
    """Raise ConfigError if a command would overwrite a file that it reads, under any name or link."""
    from genoformer.errors import ConfigError
    from genoformer.files import same_file

    kinds = {parameter.name: parameter for parameter in ctx.command.params}
    log = [ctx.meta[LOG]] if LOG in ctx.meta else []
    outputs = log + [
        str(value)
        for name, value in ctx.params.items()
        if name in _OUTPUTS and value is not None and isinstance(kinds[name].type, click.Path)
    ]
    for name, value in ctx.params.items():
        values = value if isinstance(value, tuple) else (value,)
        for text in values:
            if not isinstance(text, str | os.PathLike):
                continue
            for path in {os.fspath(text), os.fspath(text).partition("=")[2]}:  # FILE, or NAME=FILE
                for output in outputs if name not in _OUTPUTS else log:
                    if not same_file(path, output):
                        continue
                    if output in log:
                        del ctx.meta[LOG]  # the error is not written into it
                        raise ConfigError(f"{output} is a file of this run, found as the log too; give --log another file.")
                    raise ConfigError(f"{output} is the input, which the output would replace; give another file.")


def refuse_addresses(ctx: click.Context) -> None:
    """Raise MissingFileError for a web address in place of a file or a model; it quotes the address as typed."""
    from genoformer.addresses import refuse_address, without_fields

    from .options import PathOrAddress

    for parameter in ctx.command.params:
        value = ctx.params.get(parameter.name or "")
        values = value if isinstance(value, tuple) else (value,)
        files = isinstance(parameter.type, click.Path) or "FILE" in str(parameter.metavar) or "BED" in str(parameter.metavar)
        for value in values if files or parameter.type.name == "model" else ():
            if isinstance(value, str | os.PathLike):
                text = without_fields(value) if parameter.name == "files" else value
                expected = "folder" if parameter.type.name == "model" else "file"
                is_bigwig = parameter.name == "files" and os.fspath(text).lower().endswith((".bw", ".bigwig"))
                readable = isinstance(parameter.type, PathOrAddress) or is_bigwig
                refuse_address(text, to_write=parameter.name in _OUTPUTS, expected=expected, readable=readable)


def lock_outputs(*paths: str | os.PathLike[str] | None) -> None:
    """Lock these outputs until the command ends; refuse an output that another command has locked.

    "-" is refused: a stream cannot be locked.
    """
    from genoformer.errors import ConfigError
    from genoformer.files import lock_output

    if any(path is not None and os.fspath(path) == "-" for path in paths):
        raise ConfigError("-: standard output is not possible here, because files are written; give a path.")
    for path in dict.fromkeys(os.path.realpath(path) for path in paths if path is not None):
        click.get_current_context().with_resource(lock_output(path))
