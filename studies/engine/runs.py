"""A trial in progress as others see it: its step callback, its checkpoint, and the function that runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from studies.engine.trial import Inputs, Outcome, Trial


class Run(Protocol):
    """A trial in progress, as its step callback sees it: it can say how far it is, and be saved."""

    trial: Trial

    @property
    def progress(self) -> str: ...

    def state_dict(self) -> dict[str, Any]: ...


StepCallback = Callable[[Run], None]
"""Called after every iteration and every epoch, for example to send a heartbeat or to save the state."""


@dataclass(frozen=True)
class Saved:
    """The checkpoint of an earlier attempt: its `TrialRun.state_dict`, or None; unreadable: why none, or ""."""

    state: dict[str, Any] | None = None
    unreadable: str = ""


Work = Callable[[Trial, Inputs, str, Saved, StepCallback | None], Outcome]
"""The function with which a study runs a trial, given its inputs, a device, its checkpoint and a step callback."""
