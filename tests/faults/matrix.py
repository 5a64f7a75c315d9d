"""Every fault against a running study, as a Markdown table: `make faults`.

python tests/faults/matrix.py                 # all of them, about fifteen minutes on two cores
python tests/faults/matrix.py disk worker     # those whose names hold one of these words
"""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from pathlib import Path

from faults import DIVIDE, FAULTS, MOUNT, can_mount
from harness import rows, run_of
from local_cluster import can_divide


def main(words: list[str]) -> int:
    chosen = [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]
    lacking = {MOUNT: not can_mount(), DIVIDE: not can_divide()}
    red = 0
    columns = ["fault", "finished when it struck", "lost", "retries in rows", "rows equal", "what the user sees", "s"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    with tempfile.TemporaryDirectory(prefix="mim4dd-faults-") as place:
        undisturbed = Path(place) / "undisturbed"
        undisturbed.mkdir()
        with run_of(undisturbed) as run:
            assert run.finish() == 0, run.log
        wanted = rows(undisturbed / "out")
        for number, fault in enumerate(chosen):
            if lacking.get(fault.needs):
                print(f"| {fault.name} | not run: needs {fault.needs} | | | | | |", flush=True)
                continue
            folder, began = Path(place) / str(number), time.monotonic()
            folder.mkdir()
            try:
                found = fault.strike(folder, wanted)
            except Exception:  # noqa: BLE001 - a fault that was not survived is a line of the table
                red += 1
                traceback.print_exc()
                print(f"| {fault.name} | **failed** | | | | | |", flush=True)
                continue
            red += found.lost > 0 or not found.equal
            told = found.told.replace(str(folder), "").replace("|", "/")
            cells = [fault.name, found.finished, found.lost, found.retried, "yes" if found.equal else "**no**", told]
            print(f"| {' | '.join(map(str, cells))} | {time.monotonic() - began:.0f} |", flush=True)
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
