"""A trial: a frozen record of everything that decides its result, what it shares with others, and what comes of it."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mim4dd.errors import InputError
from mim4dd.records import Integers, Splits, Synthetic
from mim4dd.registry import Flat
from mim4dd.seeding import generator

if TYPE_CHECKING:
    from mim4dd.information import Reference
    from mim4dd.methods.task import DistillationTask, Preparation, Prepared
    from perturbations import Perturbation, Perturbed

# Interim accuracies, as fractions of a trial's iterations: what a scheduler may stop on and what a curve shows.
RUNGS = (0.25, 0.5)
RUNG_NETWORKS = 2
RUNG_IMAGES = 1_000


class StorageError(RuntimeError):
    """The study folder takes no more: what has a row is safe, the same command runs the rest once it is repaired."""


@dataclass(frozen=True)
class Trial:
    """One distil-then-evaluate, as flat scalars: data set and its digest, seed, method, network, recipe, rules."""

    items: tuple[tuple[str, str | int | float | bool], ...]

    @staticmethod
    def of(config: Mapping[str, str | int | float | bool]) -> Trial:
        return Trial(tuple(sorted(config.items())))

    @cached_property
    def config(self) -> Flat:
        return dict(self.items)

    @cached_property
    def hash(self) -> str:
        """The trial's name everywhere: sha256 of its config, 16 hex digits."""
        return hashlib.sha256(json.dumps(self.items, ensure_ascii=False).encode()).hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Inputs:
    """What all trials of a study share.

    splits: the clean data; reference: the network that measures information and judges synthetic images;
    perturbations: each chain that a trial may name, by its text, with what it has read from files; variant: where a
    perturbed training split is to be had by its text and seed, made here when it is None; provide: where what a method
    needs prepared is to be had, by the chain's text, made here when it is None.
    """

    splits: Splits
    reference: Reference
    perturbations: Mapping[str, tuple[Perturbation, ...]] = field(default_factory=dict)
    variant: Callable[[str, int], Perturbed] | None = None
    provide: Callable[[Preparation, DistillationTask, str], Prepared] | None = None

    def chain(self, text: str) -> tuple[Perturbation, ...]:
        """The perturbations that a trial names; none for the clean data.

        Raises: InputError when the study does not know them.
        """
        if not text:
            return ()
        if text not in self.perturbations:
            raise InputError(f"the study has no perturbation '{text}'")
        return self.perturbations[text]

    def perturbed(self, text: str, seed: int) -> Perturbed:
        """The training split under a chain, "" for the clean one."""
        from perturbations import chain

        if text and self.variant is not None:
            return self.variant(text, seed)
        return chain(self.chain(text), self.splits.train, seed=seed)

    @cached_property
    def watched(self) -> Integers:
        """The validation rows that interim accuracies are taken on: all, or a fixed draw of 1,000."""
        count = len(self.splits.validation)
        if count <= RUNG_IMAGES:
            return np.arange(count)
        return np.sort(generator("interim accuracy").permutation(count)[:RUNG_IMAGES])


@dataclass(frozen=True, eq=False)
class Outcome:
    """A finished trial.

    `result` is equal whenever the trial is run again; `report_only` holds test accuracies, which no tuner or selection
    reads; `measured` differs between runs.
    """

    trial: Trial
    result: dict[str, Any]
    report_only: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    synthetic: Synthetic | None = None
    picture: bytes = b""

    @property
    def row(self) -> dict[str, Any]:
        """The JSON line that is the trial's record."""
        return {
            "trial": self.trial.hash,
            "config": self.trial.config,
            "result": self.result,
            "report_only": self.report_only,
            "measured": self.measured,
        }


def without_result(trial: Trial, reason: str, began: float) -> Outcome:
    """The outcome, with status `error`, of a trial that has none of its own."""
    measured = {"seconds": time.time() - began, "started": began, "ended": time.time()}
    return Outcome(trial, {"status": "error", "reason": reason[:2000]}, measured=measured)


def validation_mean(result: Mapping[str, Any]) -> float:
    """A result's mean validation accuracy, on the labels that its study selects by; NaN when the trial has none."""
    accuracies = result.get(selected_by(result))
    return sum(accuracies) / len(accuracies) if accuracies else math.nan


def selected_by(result: Mapping[str, Any]) -> str:
    """Which of a result's validation accuracies choices read: clean labels, or noisy ones as a user may only have."""
    return "noisy_validation_accuracy" if result.get("selection") == "noisy" else "validation_accuracy"
