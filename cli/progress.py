"""Show one progress bar on stderr, with stage, rate and time left, if it is a terminal; with -v or --log, a line per stage."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

from .verbosity import level, lines_by, log_path, print_detail


@contextmanager
def progress_bar(unit: str) -> Iterator[Callable[[Any], None] | None]:
    """Yield a callback for `genoformer.progress.Progress`, or None if no progress is shown."""
    from genoformer.progress_bar import StageLines

    stages = StageLines(unit, print_detail) if level() > 0 or log_path() is not None else None
    with _bar(unit) if level() == 0 and sys.stderr.isatty() else nullcontext() as show:
        reports = [report for report in (stages.report if stages else None, show) if report is not None]

        def report_all(p: Any) -> None:
            for report in reports:
                report(p)

        yield report_all if reports else None
    if stages is not None:
        stages.end()


@contextmanager
def _bar(unit: str) -> Iterator[Callable[[Any], None]]:
    from genoformer.progress_bar import stderr_console, terminal_bar

    console = stderr_console()
    # `print` of a console folds lines at the width of the terminal, and reads [words] as styles
    plain = partial(console.print, soft_wrap=True, markup=False, highlight=False, emoji=False)
    with terminal_bar(unit, console) as show, lines_by(plain):
        yield show
