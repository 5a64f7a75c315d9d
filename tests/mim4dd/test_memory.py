"""Freed memory is kept: what is made again faults in no new pages."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from mim4dd.memory import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    print("no glibc")
    raise SystemExit
def work():
    for _ in range(20):
        held = [torch.ones(300_000) for _ in range(5)]
        del held
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_memory_that_is_freed_is_not_faulted_in_again() -> None:
    found = subprocess.run([sys.executable, "-c", FAULTS, "keep"], capture_output=True, text=True, check=True)
    if found.stdout.strip() == "no glibc":
        pytest.skip("this C library has no mallopt")
    # 20 times 5 tensors of 1.2 MB are 29,000 pages.
    assert int(found.stdout) < 500
