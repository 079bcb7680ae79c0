"""Progress events -> a bar on stderr; in a Jupyter notebook an output of the cell; without a terminal lines of text."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from genoformer.errors import OptionError
from genoformer.progress import RESUMED, Progress, ProgressCallback

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

Report = Callable[[Progress], None]

_PATIENCE = 0.5  # seconds; an automatic bar of a shorter call would only flicker
_SIGN_OF_LIFE = 60.0  # seconds between the lines of a long stage
_RATE_OVER = 600.0  # seconds whose steps give rate and time left; a step of a large model takes minutes on a CPU
_REDRAW = 0.25  # seconds between two updates in a notebook, each of which is a message to the browser


@contextmanager
def shown_progress(show: bool | None, unit: str) -> Iterator[ProgressCallback]:
    """Yield a callback that shows the progress of a Python call, or None if it is not shown.

    show: True: always, in a Jupyter notebook as an output of the cell, else on stderr; False: never; None: on stderr if that is
    a terminal and the call takes more than half a second. A notebook needs True, since a kernel cannot know if anyone watches
    it, and a bar would stay in the outputs of a run without a browser. unit: of the steps, such as "records".

    Raises OptionError for another value.

    >>> with shown_progress(False, "records") as progress:
    ...     print(progress)
    None
    """
    if not isinstance(show, bool | None):
        raise OptionError("progress", f"is {show!r}, expected True, False or None; give one of them.")
    if show:
        with _display(unit) as report:
            yield _of_this_run(report)
    elif show is None and _is_terminal():
        with ExitStack() as stack:
            yield _of_this_run(_late(lambda: stack.enter_context(terminal_bar(unit, stderr_console()))))
    else:
        yield None


def stderr_console() -> Console:
    """Return the console of stderr."""
    from rich.console import Console

    return Console(stderr=True)


@contextmanager
def terminal_bar(unit: str, console: Console) -> Iterator[Report]:
    """Draw one bar for each stage at the end of a terminal, with rate and time left; it vanishes at the end."""
    with _new_bar(console, transient=True) as bar:
        yield _tasks_of(bar, unit)


class StageLines:
    """Report when a stage begins and how long it took; for logs, where a bar would be a thousand lines.

    >>> from genoformer.progress import Progress
    >>> lines = []
    >>> stages = StageLines("records", lines.append)
    >>> stages.report(Progress("score", 0, 5))
    >>> lines
    ['  score ...']
    """

    def __init__(self, unit: str, print_line: Callable[[str], None]) -> None:
        self.unit, self.print_line = unit, print_line
        self.stage: str | None = None
        self.start = self.last = time.monotonic()
        self.done = 0

    def report(self, event: Progress) -> None:
        """Print the stage if it is new, and how far it is once a minute."""
        now = time.monotonic()
        if event.stage != self.stage:
            self.end()
            self.stage, self.start, self.last = event.stage, now, now
            self.print_line(f"  {event.stage} ...")
        elif now - self.last > _SIGN_OF_LIFE:
            self.last = now
            of_total = f" of {event.total:,}" if event.total else ""
            self.print_line(f"  {event.stage}: {event.done:,}{of_total} {self.unit} after {now - self.start:,.0f} s")
        self.done = event.done

    def end(self) -> None:
        """Print the number of steps and the time of the stage, if there is one."""
        if self.stage is not None:
            self.print_line(f"  {self.stage}: {self.done:,} {self.unit} in {time.monotonic() - self.start:,.1f} s")
            self.stage = None


def _display(unit: str) -> AbstractContextManager[Report]:
    """Return the context of a bar that is shown wherever the call runs."""
    if _in_kernel():
        return _notebook_bar(unit)
    return terminal_bar(unit, stderr_console()) if _is_terminal() else _stage_lines(unit)


@contextmanager
def _stage_lines(unit: str) -> Iterator[Report]:
    def print_line(text: str) -> None:
        if sys.stderr is not None:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    stages = StageLines(unit, print_line)
    yield stages.report
    stages.end()


@contextmanager
def _notebook_bar(unit: str) -> Iterator[Report]:
    """Show the bar as one output of the cell, which is updated and stays; a run without a browser stores its last state."""
    from io import StringIO

    from IPython.display import display
    from rich.console import Console

    bar = _new_bar(Console(file=StringIO()), auto_refresh=False)  # never started: each display draws its present state
    report, handle, last = _tasks_of(bar, unit), None, 0.0

    def show(event: Progress) -> None:
        nonlocal handle, last
        report(event)
        now = time.monotonic()
        if handle is None:
            handle, last = display(bar, display_id=True), now
        elif now - last > _REDRAW:
            handle.update(bar)
            last = now

    try:
        yield show
    finally:
        if handle is not None:
            handle.update(bar)


def _new_bar(console: Console, **options: Any) -> Bar:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description:10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    return Bar(*columns, console=console, speed_estimate_period=_RATE_OVER, **options)


def _tasks_of(bar: Bar, unit: str) -> Report:
    """Return a function that shows the steps of each stage in a row of the bar."""
    tasks: dict[str, Any] = {}

    def show(event: Progress) -> None:
        if event.stage not in tasks:
            for earlier in bar.tasks:
                if earlier.total is None:  # its row would pulse until the end of the run
                    bar.update(earlier.id, total=earlier.completed)
            tasks[event.stage] = bar.add_task(event.stage, total=event.total, rate="", note="")
        task = tasks[event.stage]
        bar.update(task, completed=event.done, note=event.note)
        speed = bar.tasks[task].finished_speed or bar.tasks[task].speed
        rate = f"{speed:,.0f} {unit}/s" if (speed or 0) >= 1 else f"{60 * (speed or 0):,.1f} {unit}/min"
        bar.update(task, rate=rate if speed else "")

    return show


def _late(start: Callable[[], Report]) -> Report:
    """Return a function that shows events of a call that takes long, and starts the bar with the first of them."""
    began, report = time.monotonic(), None

    def show(event: Progress) -> None:
        nonlocal report
        if report is None and time.monotonic() - began > _PATIENCE:
            report = start()
        if report is not None:
            report(event)

    return show


def _of_this_run(report: Report) -> Report:
    """Return a function without the event that names the step from which a training run resumes."""
    return lambda event: None if event.stage == RESUMED else report(event)


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _in_kernel() -> bool:
    """True in the kernel of a notebook; IPython in a terminal has a shell without a kernel."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")
