"""Show one progress bar on stderr, with stage, rate and time left, if it is a terminal; with -v or --log, a line per stage."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

from .verbosity import level, lines_by, log_path, print_detail


@contextmanager
def progress_bar(unit: str) -> Iterator[Callable[[Any], None] | None]:
    """Yield a callback for `genoformer.progress.Progress`, or None if no progress is shown."""
    stages = _Stages(unit) if level() > 0 or log_path() is not None else None
    with _bar(unit) if level() == 0 and sys.stderr.isatty() else nullcontext() as show:
        reports = [report for report in (stages.report if stages else None, show) if report is not None]

        def report_all(p: Any) -> None:
            for report in reports:
                report(p)

        yield report_all if reports else None
    if stages is not None:
        stages.end()


class _Stages:
    """Report when a stage begins and how long it took; for logs, where a bar would be a thousand lines."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.stage: str | None = None
        self.start = self.last = time.monotonic()
        self.done = 0

    def report(self, p: Any) -> None:
        now = time.monotonic()
        if p.stage != self.stage:
            self.end()
            self.stage, self.start, self.last = p.stage, now, now
            print_detail(f"  {p.stage} ...")
        elif now - self.last > 60:  # a sign of life
            self.last = now
            print_detail(
                f"  {p.stage}: {p.done:,}{f' of {p.total:,}' if p.total else ''} {self.unit} after {now - self.start:,.0f} s"
            )
        self.done = p.done

    def end(self) -> None:
        if self.stage is not None:
            print_detail(f"  {self.stage}: {self.done:,} {self.unit} in {time.monotonic() - self.start:,.1f} s")
            self.stage = None


@contextmanager
def _bar(unit: str) -> Iterator[Callable[[Any], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    console = Console(stderr=True)
    # `print` of a console folds lines at the width of the terminal, and reads [words] as styles
    plain = partial(console.print, soft_wrap=True, markup=False, highlight=False, emoji=False)
    with Progress(*columns, console=console, transient=True) as bar, lines_by(plain):
        tasks: dict[str, Any] = {}

        def show(p: Any) -> None:
            if p.stage not in tasks:
                for earlier in bar.tasks:
                    if earlier.total is None:  # its bar would pulse until the end of the run
                        bar.update(earlier.id, total=earlier.completed)
                tasks[p.stage] = bar.add_task(p.stage, total=p.total, rate="", note="")
            task = tasks[p.stage]
            bar.update(task, completed=p.done, note=p.note)
            speed = bar.tasks[task].finished_speed or bar.tasks[task].speed
            bar.update(task, rate=f"{speed:,.0f} {unit}/s" if speed else "")

        yield show
