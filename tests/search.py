"""Run the property tests with new random examples until the time is up: python tests/search.py --minutes 10 [PYTEST ARGUMENTS]

`make test` tries the same examples each time. This script tries others: each round has the next seed, which is printed, and a
round that fails ends the search with status 1. Repeat it with: python tests/search.py --seed SEED --minutes 0
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="no round begins after this time; 0 is one round")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31), help="of the first round")
    options, arguments = parser.parse_known_args()
    until = time.monotonic() + 60 * options.minutes
    seed = options.seed
    while True:
        sys.stderr.write(f"property tests with --seed {seed}\n")
        pytest = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "-m", "hypothesis", f"--hypothesis-seed={seed}"]
        environment = {**os.environ, "HYPOTHESIS_PROFILE": "search"}
        done = subprocess.run([*pytest, *arguments], cwd=Path(__file__).resolve().parents[1], env=environment)
        if done.returncode:
            sys.exit(1)
        seed += 1
        if time.monotonic() >= until:
            return


if __name__ == "__main__":
    main()
