"""Studies: a file for each question; `engine` runs them, `answers` makes answers of their rows.

In Python: `from studies import run; result = run("sensitivity", dataset="digits", quick=True)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from studies.engine.door import enter

if TYPE_CHECKING:
    from studies.engine.calling import run
    from studies.engine.result import StudyResult

enter()

__all__ = ["StudyResult", "run"]


def __getattr__(name: str) -> Any:
    # Late: workers and commands import this package too.
    if name not in __all__:
        raise AttributeError(f"module 'studies' has no attribute '{name}'")
    from studies.engine import calling

    return getattr(calling, name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
