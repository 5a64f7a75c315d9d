"""What a command of ours needs before it imports anything: our packages first, and a Python that has the libraries."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def enter() -> None:
    """Let the packages beside this one win over others of their names, and require the libraries; `studies` calls it.

    For `python studies/NAME.py` and `python -m studies...` alone: a program that imports us, and a worker of Ray, has a
    path of its own. Exits with status 2 when libraries are missing.
    """
    script = sys.argv[0] if sys.argv else ""
    if script != "-m" and ROOT / "studies" not in Path(script).resolve().parents:
        return
    sys.path.insert(0, str(ROOT))
    from cluster.packages import require_installed
    from mim4dd.errors import InputError

    try:
        require_installed()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
