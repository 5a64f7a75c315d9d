"""The execution context of trials: the resources of each, and the references that all of a study share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from studies.engine.runs import Work

METRIC = "validation_accuracy"


@dataclass(frozen=True)
class Resources:
    """The CPUs and GPUs of each trial, and how many trials run at once (0: as many as fit).

    exclusive: whether a trial keeps all other trials, of this study and of others, off its node while it runs.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    max_concurrent: int = 0
    exclusive: bool = False

    @property
    def threads(self) -> int:
        """The number of threads: one for each CPU of a trial."""
        return max(1, int(self.cpus))

    @property
    def at_once(self) -> int:
        """The most units that run at the same time, 0 for no limit; of exclusive ones, so that one worker runs all."""
        return 1 if self.exclusive else self.max_concurrent

    @property
    def device(self) -> str:
        # From the trial's resources, never from the machine: on a GPU node, a CPU trial could see the GPUs too.
        return "cuda" if self.gpus else "cpu"


@dataclass(frozen=True, eq=False)
class ExecutionContext:
    """The references and settings that every trial of a study needs on its worker.

    inputs: a reference to `Inputs` in the object store, which a node reads once for all its trials; monitor, cache: the
    actors on the driver's node; checkpoint_seconds: between saves of a running trial; work: the function that runs a
    trial.
    """

    resources: Resources
    inputs: Any
    monitor: Any
    cache: Any
    checkpoint_seconds: float
    work: Work
