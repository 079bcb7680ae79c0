"""Freed memory stays with the process, unless the user has set the allocator."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import resource
import torch
from genoformer.inference.memory import reuse_freed_memory

def faults() -> int:
    def run() -> None:
        for _ in range(20):
            torch.zeros(2_000_000).add(1)  # 8 MB each

    run()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    run()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(reuse_freed_memory(), faults())
"""


def run(**variables: str) -> tuple[bool, int]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment | variables, capture_output=True, text=True, check=True)
    answer, n = done.stdout.split()
    return answer == "True", int(n)


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator of glibc")
def test_arrays_are_written_into_memory_that_the_process_has() -> None:
    is_set, n_faults = run()
    if not is_set:
        pytest.skip("this C library is not glibc")
    assert n_faults < 2_000  # of 80,000 pages


def test_the_setting_of_the_user_stays() -> None:
    assert not run(MALLOC_TRIM_THRESHOLD_="131072")[0]
