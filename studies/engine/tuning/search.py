"""An adaptive design as data: how suggestions of Optuna become trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mim4dd.registry import Flat
from studies.engine.space import Space, setting_of
from studies.engine.trial import Trial


@dataclass(frozen=True)
class Search:
    """The parameters of a search.

    design: the sampler's name; count: settings still to be tried; template: the configuration without its seed; seeds:
    of each setting; known: validation accuracies by trial hash, so that finished trials are not run again; start:
    settings to try first, as Optuna parameters; asha: whether ASHA stops poor settings; storage, name: of Optuna's
    study.
    """

    design: str
    sampler_seed: int
    count: int
    space: Space
    template: Flat
    seeds: tuple[int, ...]
    known: Mapping[str, float]
    start: tuple[Flat, ...]
    asha: bool
    storage: str
    name: str

    def trials(self, sampled: Mapping[str, Any]) -> list[Trial]:
        """The trials of a suggestion, one for each seed."""
        return [Trial.of({**self.template, **self.knobs(sampled), "seed": seed}) for seed in self.seeds]

    def knobs(self, sampled: Mapping[str, Any]) -> Flat:
        """The knobs that a suggestion sets."""
        return setting_of(self.space, (sampled[axis.key] for axis in self.space))

    def unknown(self, sampled: Mapping[str, Any]) -> list[Trial]:
        """The trials of a suggestion that have no known accuracy and must be run."""
        return [trial for trial in self.trials(sampled) if trial.hash not in self.known]
