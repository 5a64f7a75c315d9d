"""Freed memory is kept, and the limits of containers are known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mim4dd.memory import free_memory

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


def group(folder: Path, **files: str) -> None:
    """A control group as the system shows it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


GB = 10**9


def free_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str) -> int:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=16 * GB))
    (tmp_path / "own").write_text(own)
    return free_memory(tmp_path / "groups", tmp_path / "own")


def test_a_container_has_what_its_limit_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    statistics = f"anon {2 * GB}\ninactive_file {GB}\n"
    files = {"memory.max": f"{8 * GB}\n", "memory.current": f"{3 * GB}\n", "memory.stat": statistics}
    group(tmp_path / "groups", **files)
    assert free_in(tmp_path, monkeypatch, "0::/\n") == 6 * GB
    group(tmp_path / "groups" / "job" / "step", **{**files, "memory.max": "max\n"})
    assert free_in(tmp_path, monkeypatch, "0::/job/step\n") == 6 * GB, "the limit of a group above holds below it"
    group(tmp_path / "groups" / "job", **{**files, "memory.max": f"{2 * GB}\n"})
    assert free_in(tmp_path, monkeypatch, "0::/job/step\n") == 0


def test_version_1_of_control_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"memory.limit_in_bytes": f"{4 * GB}", "memory.usage_in_bytes": f"{GB}", "memory.stat": "cache 5\n"}
    group(tmp_path / "groups" / "memory" / "job", **files)
    own = "9:name=systemd:/\n4:cpu,memory:/job\n2:cpuset:/elsewhere\n"
    assert free_in(tmp_path, monkeypatch, own) == 3 * GB


def test_without_limits_the_machine_has_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert free_in(tmp_path, monkeypatch, "0::/nowhere\n") == 16 * GB
    assert free_memory(tmp_path, tmp_path / "none") == 16 * GB
