"""Every hostile kind, tried, and the fuzz, as a Markdown table: `make hostile`.

python tests/hostile/hostile_table.py                 # all of them, about ten minutes on two cores
python tests/hostile/hostile_table.py image word      # kinds whose names hold one of these words, without the fuzz
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import fuzz
from invariant import VARIABLES, Ended
from kinds import KINDS


def main(words: list[str]) -> int:
    """Print the table; returns 1 when something does not hold."""
    for name in VARIABLES:
        os.environ.pop(name, None)
    red = 0
    print("| kind | tried | before | now | s |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="mim4dd-hostile-") as place:
        for number, kind in enumerate(kind for kind in KINDS if not words or any(word in kind.name for word in words)):
            folder = Path(place) / str(number)
            folder.mkdir()
            ended = kind.tries(folder)
            red += any(one.broken for one in ended)
            row(kind.name, kind.tried, kind.before, *now(ended, str(folder)))
        for name, cases in fuzz.FUZZ.items() if not words else ():
            folder = Path(place) / name.replace(" ", "-")
            folder.mkdir()
            os.chdir(folder)
            tried = list(cases(folder))
            bad = fuzz.broken(tried)
            red += bool(bad)
            print("\n".join(bad), file=sys.stderr)
            counts = Counter(case.ended.status for case in tried)
            statuses = ", ".join(f"{count} with status {status}" for status, count in sorted(counts.items()))
            slowest = f"{max(case.ended.seconds for case in tried):.1f}"
            row(name, f"{len(tried)} cases", "", f"{statuses}{f'; **{len(bad)} broken**' if bad else ''}", slowest)
    return 1 if red else 0


def row(*cells: str) -> None:
    print("| " + " | ".join(" ".join(cell.replace("|", "/").split()) for cell in cells) + " |", flush=True)


def now(ended: Sequence[Ended], place: str) -> tuple[str, str]:
    """What the user sees, each text once, and the seconds of the slowest."""
    told: dict[str, None] = {}
    for one in ended:
        lines = (one.errors.strip() or one.output.strip() or "done").splitlines()
        text = f"**{one.broken.splitlines()[-1]}**" if one.broken else lines[0]
        told.setdefault(f"{one.status}: {shortened(text.replace(place, ''))}")
    return "; ".join(told), f"{max(one.seconds for one in ended):.1f}"


def shortened(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
