"""The execution context of trials: the resources of each, and the references that all of a study share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from studies.engine.runs import Work

METRIC = "validation_accuracy"


@dataclass(frozen=True)
class Resources:
    """The CPUs and GPUs of each trial, and how many trials run at once (0: as many as fit)."""

    cpus: float = 1.0
    gpus: float = 0.0
    max_concurrent: int = 0

    @property
    def threads(self) -> int:
        """The number of threads: one for each CPU of a trial."""
        return max(1, int(self.cpus))

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
