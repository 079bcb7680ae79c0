"""The progress bar at a terminal: notes have lines of their own above it, and a stage of unknown length ends."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

from processes import read_terminal

RUN = """
import click
from genoformer_cli.progress import progress_bar
from genoformer_cli.verbosity import Command, print_note
from genoformer.progress import Progress

@click.command(cls=Command)
def run():
    with progress_bar("records") as show:
        show(Progress("check", 3, None))
        print_note("records   [bold] 3 and a sentence that is longer than the forty columns of this terminal")
        show(Progress("score", 1, 2))
    print_note("end")

run()
"""


def test_notes_have_lines_of_their_own_above_the_bar() -> None:
    leader, follower = pty.openpty()
    environment = os.environ | {"COLUMNS": "40", "LINES": "24", "TERM": "xterm"}
    done = subprocess.Popen([sys.executable, "-c", RUN], stderr=follower, stdin=subprocess.DEVNULL, env=environment)
    os.close(follower)
    text = read_terminal(leader)
    assert done.wait() == 0, text.decode()
    drawn = re.sub(r"\x1b\[[0-9;]*m", "", text.decode())  # without colours
    written = re.split(r"\r\n|\x1b\[2K|\r", drawn)  # ends of lines, and lines that are cleared
    note = "records   [bold] 3 and a sentence that is longer than the forty columns of this terminal"
    assert [line for line in written if "sentence" in line] == [note]
    assert [line for line in written if "end" in line] == ["end"]
    assert "3/3" in drawn  # the stage without a total is complete when the next one begins
