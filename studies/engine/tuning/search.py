"""An adaptive design as data: how what Optuna suggests becomes trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mim4dd.registry import Flat
from studies.engine.space import Space
from studies.engine.trial import Trial


@dataclass(frozen=True)
class Search:
    """How settings become trials, and what is known already.

    template: the flat configuration; seeds: each setting's; known: validation accuracies by trial hash, so that
    finished trials are not run again; start: settings tried first, as Optuna samples them.
    """

    design: str
    sampler_seed: int
    count: int
    space: Space
    template: Flat
    seeds: tuple[int, ...]
    known: Mapping[str, float]
    start: tuple[Mapping[str, float], ...]
    asha: bool
    storage: str
    name: str

    def trials(self, sampled: Mapping[str, Any]) -> list[Trial]:
        """A suggestion as one trial a seed."""
        values = {axis.key: axis.value(sampled[axis.key]) for axis in self.space}
        return [Trial.of({**self.template, **values, "seed": seed}) for seed in self.seeds]

    def unknown(self, sampled: Mapping[str, Any]) -> list[Trial]:
        """Those of its trials that are still to be run."""
        return [trial for trial in self.trials(sampled) if trial.hash not in self.known]
