"""How long a user waits for `--help`, beside the least that a click program can take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from common import NotHere, Row, script, seconds

N_ROUNDS = 9
MOST = 0.3  # seconds


def main() -> list[Row]:
    program = Path(sys.executable).with_name("genoformer")
    if not program.is_file():
        raise NotHere("the command genoformer is not installed beside this Python: pip install -e .")
    commands = {
        "click": [sys.executable, "-c", "import click"],
        "genoformer --help": [str(program), "--help"],
        "genoformer score --help": [str(program), "score", "--help"],
    }
    tasks = {
        name: lambda command=command: subprocess.run(command, check=True, capture_output=True)
        for name, command in commands.items()
    }
    taken = seconds(tasks, N_ROUNDS)
    base = taken.pop("click")
    rows = []
    for name, value in taken.items():
        found, seen = f"{value / base:.2f} times as long", f"{value:.3f} and {base:.3f} s"
        rows.append(Row(name, "python -c 'import click'", found, f"<= {MOST:g} s", value <= MOST, seen))
    return rows


if __name__ == "__main__":
    script(main)
