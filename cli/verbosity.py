"""Print notes of commands on stderr and into a log, and add -q, -v, --log and --debug to every command."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .help_groups import write_options
from .options import NAMES
from .output_lock import LOG, refuse_addresses, refuse_own_inputs

if TYPE_CHECKING:
    from genoformer.errors import ConfigError

_LEVEL = "genoformer.talk"  # key in the context's meta, which a group and its commands share; -1, 0 or 1
_DEBUG = "genoformer.debug"
_LINE = "genoformer.line"  # key in the context's meta: prints a line above the progress bar, while there is one
COMMON_FLAGS = ("--quiet", "--verbose", "--log", "--debug")


def program_name() -> str:
    """Return the program as the next command has it: genoformer, or the path that started it while PATH does not have it."""
    started = Path(sys.argv[0])
    return sys.argv[0] if started.name == "genoformer" and shutil.which("genoformer") is None else "genoformer"


def _set(key: str, value: int) -> Any:
    def callback(ctx: click.Context, _: click.Parameter, is_set: bool) -> None:
        if is_set:
            ctx.meta[key] = value

    return callback


def _open_log(ctx: click.Context, _: click.Parameter, path: str | None) -> None:
    """Check that the log can be written before the command runs."""
    if path is None or ctx.resilient_parsing:
        return
    try:
        with Path(path).open("a", encoding="utf-8"):
            ctx.meta[LOG] = path
    except OSError as error:
        raise click.BadParameter(
            f"{path} cannot be written ({error.strerror}); name a file in a folder that exists."
        ) from error


def talk_options() -> list[click.Parameter]:
    """Return the options -q, -v, --log and --debug, which the group and every command take."""
    return [
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=_set(_LEVEL, -1),
            help="Print only results and errors.",
        ),
        click.Option(
            ["-v", "--verbose"],
            is_flag=True,
            expose_value=False,
            callback=_set(_LEVEL, 1),
            help="Also log stages, timing and memory use to stderr.",
        ),
        click.Option(
            ["--log"],
            type=click.Path(dir_okay=False),
            metavar="FILE",
            expose_value=False,
            callback=_open_log,
            help="Append messages, stages, timing and errors to FILE, with -q too.",
        ),
        click.Option(
            ["--debug"], is_flag=True, expose_value=False, callback=_set(_DEBUG, 1), help="Show the traceback of an error."
        ),
    ]


class Command(click.Command):
    """Click command with -q, -v, --log and --debug, and a help with headings if it has many options."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.params += talk_options()

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if not write_options(self, ctx, formatter, COMMON_FLAGS):
            super().format_options(ctx, formatter)

    def invoke(self, ctx: click.Context) -> Any:
        from genoformer import __version__
        from genoformer.errors import OptionError, OptionErrors

        refuse_addresses(ctx)
        refuse_own_inputs(ctx)
        start = time.monotonic()
        write_log(f"genoformer {shlex.join(sys.argv[1:])}")
        print_detail(f"{ctx.command_path}: genoformer {__version__}, Python {sys.version.split()[0]}")
        try:
            result = super().invoke(ctx)
        except OptionError as error:
            raise _with_flag(ctx, error) from error
        except OptionErrors as several:
            raise OptionErrors([_with_flag(ctx, one) for one in several.errors]) from several
        print_detail(f"{ctx.command_path}: {time.monotonic() - start:,.1f} s, at most {_peak():,.0f} MB of memory")
        return result


def _with_flag(ctx: click.Context, error: ConfigError) -> ConfigError:
    """Return an error on an option with the flag of the command line; other errors unchanged."""
    from genoformer.errors import OptionError

    if not isinstance(error, OptionError):
        return error
    return OptionError(error.option, error.problem, error.flag or flag_of(ctx, error.option))


def flag_of(ctx: click.Context, option: str) -> str:
    """Return the flag of a command for an option by its name in Python; empty if the command has no such flag."""
    names = {option, *(name for name, of_python in NAMES.items() if of_python == option)}
    flags = [parameter.opts for parameter in ctx.command.params if parameter.name in names]
    return max(flags[0], key=len) if flags and flags[0][0].startswith("-") else ""


class Group(click.Group):
    """Click group with -q, -v, --log and --debug, which its commands also take."""

    command_class = Command

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.params += talk_options()


def print_note(text: str) -> None:
    """Print a line on stderr, unless -q was given, and into the log."""
    write_log(text)
    if level() >= 0:
        _print_line(text)


def print_detail(text: str) -> None:
    """Print a line on stderr if -v was given, and into the log."""
    write_log(text)
    if level() > 0:
        click.echo(text, err=True)


def _print_line(text: str) -> None:
    ctx = click.get_current_context(silent=True)
    above_bar = ctx.meta.get(_LINE) if ctx is not None else None
    if above_bar is None:
        click.echo(text, err=True)
    else:
        above_bar(text)


@contextmanager
def lines_by(printer: Callable[[str], None]) -> Iterator[None]:
    """Print the notes of a command by `printer`, which puts them above a progress bar; click.echo writes into its line."""
    ctx = click.get_current_context(silent=True)
    if ctx is None:
        yield
        return
    ctx.meta[_LINE] = printer
    try:
        yield
    finally:
        del ctx.meta[_LINE]


def log_path() -> str | None:
    """Return the path of --log; None without it."""
    ctx = click.get_current_context(silent=True)
    return ctx.meta.get(LOG) if ctx is not None else None


def write_log(text: str, path: str | None = None) -> None:
    """Append lines to the log with the time (UTC); do nothing without --log. path: that of the log, outside of a command."""
    if (path := path or log_path()) is None:
        return
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with Path(path).open("a", encoding="utf-8", errors="replace") as file:
        file.writelines(f"{now} {line}\n" for line in text.splitlines())


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Print the library's warnings of failed runs and broken packages as notes, each once."""
    from genoformer.errors import FailedRunWarning, PackageWarning

    printed: set[str] = set()
    kinds = (FailedRunWarning, PackageWarning)
    with warnings.catch_warnings():
        show = warnings.showwarning

        def show_once(
            message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
        ) -> None:
            if not issubclass(category, kinds):
                show(message, category, filename, lineno, file, line)
            elif str(message) not in printed:
                printed.add(str(message))
                print_note(f"{message}")

        for kind in kinds:
            warnings.simplefilter("always", kind)
        warnings.showwarning = show_once
        yield


def wants_traceback(ctx: click.Context) -> bool:
    return bool(ctx.meta.get(_DEBUG, False))


def level() -> int:
    """Return -1 after -q, 1 after -v, otherwise 0."""
    ctx = click.get_current_context(silent=True)
    return ctx.meta.get(_LEVEL, 0) if ctx is not None else 0


def _peak() -> float:
    """Return the peak memory in MiB: the largest of this process and its children.

    On Linux ``ru_maxrss`` also counts the process that started this one, so ``VmHWM`` is used if it exists.
    """
    import resource

    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    try:
        own = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
    except (OSError, IndexError):
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return max(own, children) / (1024 if sys.platform != "darwin" else 1024 * 1024)
