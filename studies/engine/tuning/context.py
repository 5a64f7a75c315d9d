"""Where trials run: what each is given, and what all of a study share there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from studies.engine.running import Work

METRIC = "validation_accuracy"


@dataclass(frozen=True)
class Resources:
    """What each trial is given, and how many run at once (0: as many as fit)."""

    cpus: float = 1.0
    gpus: float = 0.0
    max_concurrent: int = 0

    @property
    def threads(self) -> int:
        """One for each CPU of a trial."""
        return max(1, int(self.cpus))

    @property
    def device(self) -> str:
        # From what the trial was given, never from what the machine has: a CPU trial on a GPU node sees its GPUs.
        return "cuda" if self.gpus else "cpu"


@dataclass(frozen=True, eq=False)
class ExecutionContext:
    """What every trial of a study needs on its worker.

    inputs: a reference to `Inputs` in the object store, which a node reads once for all its trials; monitor, cache: the
    actors beside the driver; checkpoint_seconds: how often a running trial is saved; work: what is done with a trial.
    """

    resources: Resources
    inputs: Any
    monitor: Any
    cache: Any
    checkpoint_seconds: float
    work: Work
