"""A study survives what happens to it: each fault of the matrix."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults import DIVIDE, FAULTS, MOUNT, Fault, can_mount
from harness import Rows, rows
from local_cluster import can_divide

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="session")
def wanted(undisturbed: Path) -> Rows:
    """The rows of an undisturbed run."""
    return rows(undisturbed / "out")


# Those that every change is held against; the others wait for `make test-long`.
FIRST = ("driver_killed", "worker_killed", "sending_process_killed", "disk_full")
STRIKES = [
    pytest.param(fault, id=name, marks=() if name in FIRST else pytest.mark.long)
    for fault in FAULTS
    if (name := fault.strike.__name__)
]


@pytest.mark.parametrize("fault", STRIKES)
def test_nothing_finished_is_lost_nothing_runs_twice_and_rows_are_as_without_it(
    fault: Fault, wanted: Rows, tmp_path: Path
) -> None:
    if fault.needs == MOUNT and not can_mount():
        pytest.skip("file systems may not be mounted here")
    if fault.needs == DIVIDE and not can_divide():
        pytest.skip("network namespaces may not be made here")
    found = fault.strike(tmp_path, wanted)
    assert found.lost == 0
    assert found.equal
