"""The machine on which a cost was measured, and what else kept it busy."""

from __future__ import annotations

from studies.answers.results import Results
from studies.engine.load import BUSY
from studies.engine.problems import COST
from studies.engine.rows import Row
from studies.engine.wording import plural


def machine_notes(results: Results) -> list[str]:
    """How it was measured, on how many machines, and which rows had company."""
    rows = [row for row in results.folder.rows.values() if COST in row.config and row.status == "ok"]
    if not rows:
        return []
    kinds = sorted({_kind(row) for row in rows})
    notes = [
        f"{plural(len(rows), 'trial')} measured on {'; '.join(kinds)}: alone on the machine, one at a time, methods in "
        "turns within each repeat, after a repetition that is not counted; the median over repetitions is a repeat's "
        "value, and intervals are over repeats.",
    ]
    if len({row.measured.get("node") for row in rows}) > 1:
        notes.append("Trials ran on more than one machine: ratios of pairs from two machines say less.")
    seen = [float(load) for row in rows if (load := row.measured.get("others_cores")) is not None]
    busy = [load for load in seen if load >= BUSY]
    if busy:
        notes.append(
            f"{len(busy)} of {len(rows)} measured trials had company: other processes used {min(busy):.1f} to "
            f"{max(busy):.1f} cores meanwhile. They are kept; `busy` in rows.jsonl marks them."
        )
    elif seen:
        notes.append(f"No measured trial had company: other processes used less than {BUSY:g} cores during each.")
    if len(seen) < len(rows):
        notes.append(
            f"Of {len(rows) - len(seen)} of {len(rows)} measured trials the load is unknown: the system hides it."
        )
    stolen = max((float(row.measured.get("stolen_cores") or 0.0) for row in rows), default=0.0)
    if stolen >= BUSY:
        notes.append(f"A hypervisor gave up to {stolen:.1f} cores to other machines during a measured trial.")
    return notes


def _kind(row: Row) -> str:
    """Device, threads and torch of a row."""
    measured = row.measured
    return (
        f"{measured.get('processor') or measured.get('device')}, {plural(int(measured.get('threads', 1)), 'thread')}, "
        f"torch {measured.get('torch')}"
    )
