"""Rates at which the wrong label cannot be told from the true one."""

from __future__ import annotations

from mim4dd.errors import KnobError, exact


def check_identifiable(name: str, rate: float, allowed: bool) -> None:
    """Raises: KnobError for a rate of a half or more towards one class, unless `allowed`."""
    if rate >= 0.5 and not allowed:
        raise KnobError(
            f"{name}.rate must be in [0, 0.5), got {exact(rate)}: from 0.5 on the wrong class is as likely as the true "
            "one; give allow_unidentifiable=true to run it nevertheless"
        )
