"""A trial: the frozen record of everything that decides its result; the inputs that trials share; the outcome."""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mim4dd.errors import InputError
from mim4dd.plugins import Plugins
from mim4dd.records import Integers, Splits, Synthetic
from mim4dd.registry import Flat
from mim4dd.seeding import integer, sampled_rows

if TYPE_CHECKING:
    from mim4dd.information import Reference
    from mim4dd.methods.task import DistillationTask, Preparation, Prepared
    from perturbations import Perturbation, Perturbed

# When interim accuracies are measured, as fractions of the iterations of a trial that has them (`interim` in its
# configuration), because a scheduler or a curve reads them.
RUNGS = (0.25, 0.5)
RUNG_NETWORKS = 2
RUNG_IMAGES = 1_000


@dataclass(frozen=True)
class Trial:
    """A distillation and its evaluation as flat scalars: data set, its digest, seed, method, network, recipe, rules."""

    items: tuple[tuple[str, str | int | float | bool], ...]

    @staticmethod
    def of(config: Mapping[str, str | int | float | bool]) -> Trial:
        return Trial(tuple(sorted(config.items())))

    @cached_property
    def config(self) -> Flat:
        return dict(self.items)

    @cached_property
    def hash(self) -> str:
        """The trial's identifier: 16 hex digits of the sha256 of its config."""
        return hashlib.sha256(json.dumps(self.items, ensure_ascii=False).encode()).hexdigest()[:16]


# The entry of a configuration by which a trial of the same seed distils with other draws: a number, from 1 on.
DRAWS = "draws"


def distillation_seed(config: Flat) -> int:
    """The seed of a trial's initial images, networks, real batches and augmentations.

    It is the trial's own; with DRAWS another one, while the evaluation networks stay those of the seed. So do
    perturbations, but what a method prepares under one is made under that of the seed returned here: no study has both.
    """
    seed, draws = int(config["seed"]), config.get(DRAWS)
    return seed if draws is None else integer("other draws", seed, int(draws))


@dataclass(frozen=True, eq=False)
class Inputs:
    """The inputs that all trials of a study share.

    splits: the clean data; reference: the network that measures information and assesses synthetic images, or what
    returns it: that which trains it or, on a worker, waits for it; None where no trial reads it; plugins: unpickled
    before what stands below them, which may be of their classes;
    perturbations: each chain of the study, by its text, with the files it needs already read; sets: those that it
    scores, by name and digest; variant: returns the
    shared training split under a chain (text, seed); provide: returns a shared preparation of a method under a chain
    (text). Where variant or provide is None, the trial makes its own.
    """

    splits: Splits
    reference: Reference | Callable[[], Reference] | None
    _: KW_ONLY
    plugins: Plugins = field(default_factory=Plugins)
    perturbations: Mapping[str, tuple[Perturbation, ...]] = field(default_factory=dict)
    sets: Mapping[str, Synthetic] = field(default_factory=dict)
    variant: Callable[[str, int], Perturbed] | None = None
    provide: Callable[[Preparation, DistillationTask, str], Prepared] | None = None

    def trained_reference(self) -> Reference:
        """The network that measures information."""
        assert self.reference is not None, "the study trains none"
        return self.reference() if callable(self.reference) else self.reference

    def chain(self, text: str) -> tuple[Perturbation, ...]:
        """The perturbations of a chain's text; none for "", the clean data.

        Raises: InputError for a chain that is not among the study's.
        """
        if not text:
            return ()
        if text not in self.perturbations:
            raise InputError(f"the study has no perturbation '{text}'")
        return self.perturbations[text]

    def perturbed(self, text: str, seed: int) -> Perturbed:
        """The training split under a chain; for the text "", the clean split."""
        from perturbations import chain

        if text and self.variant is not None:
            return self.variant(text, seed)
        return chain(self.chain(text), self.splits.train, seed=seed)

    def prepared(self, preparation: Preparation, task: DistillationTask, text: str) -> Prepared:
        """What a method needs before its first iteration, under a chain: the study's, or made in this process."""
        from mim4dd.methods.task import prepare_here

        return prepare_here(preparation, task) if self.provide is None else self.provide(preparation, task, text)

    @cached_property
    def interim_rows(self) -> Integers:
        """The validation rows on which interim accuracies are measured: all, or a fixed sample of 1,000."""
        return sampled_rows(len(self.splits.validation), RUNG_IMAGES, "interim accuracy")


@dataclass(frozen=True, eq=False)
class Outcome:
    """The outcome of a finished trial.

    result: equal whenever the trial is run again; report_only: what test images gave, which no tuner or selection
    reads; measured: seconds, memory and machine, which differ between runs; picture: the synthetic set as PNG.
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
        """The content of the trial's line in rows.jsonl."""
        return {
            "trial": self.trial.hash,
            "config": self.trial.config,
            "result": self.result,
            "report_only": self.report_only,
            "measured": self.measured,
        }


def error_outcome(trial: Trial, reason: str, began: float) -> Outcome:
    """The outcome, with status `error`, of a trial that raised or was lost. began: seconds since 1970."""
    measured = {"seconds": time.time() - began, "started": began, "ended": time.time()}
    return Outcome(trial, {"status": "error", "reason": reason[:2000]}, measured=measured)


def failed(trial: Trial, error: Exception, began: float) -> Outcome:
    """The outcome, with status `error`, of a trial that raised: the study continues and the row has the reason.

    began: seconds since 1970.
    """
    import torch

    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, torch.OutOfMemoryError):
        reason = f"{memory_reason(error)} by {', '.join(f'{k} {v}' for k, v in memory_knobs(trial).items())}"
        torch.cuda.empty_cache()
    return error_outcome(trial, reason, began)


def memory_reason(error: Exception) -> str:
    """The reason for an out-of-memory error in a row: the size of the failed allocation, from PyTorch's message."""
    match = re.search(r"[Tt]ried to allocate ([\d.]+ \w+)", str(error))
    detail = f"tried to allocate {match[1]}" if match else str(error).partition("\n")[0]
    return f"out of GPU memory: {detail}"


def memory_knobs(trial: Trial) -> dict[str, Any]:
    """The knobs on which a trial's memory depends."""
    ends = ("ipc", "batch_real", "width", "depth", "evaluation.batch", "evaluation.networks")
    return {key: value for key, value in trial.config.items() if key.endswith(ends)}


def validation_mean(result: Mapping[str, Any]) -> float:
    """The mean validation accuracy on the labels by which the study selects settings; NaN if the trial has none."""
    accuracies = result.get(selected_by(result))
    return sum(accuracies) / len(accuracies) if accuracies else math.nan


def selected_by(result: Mapping[str, Any]) -> str:
    """The key of the validation accuracies by which settings are selected: on clean labels, or on noisy ones."""
    return "noisy_validation_accuracy" if result.get("selection") == "noisy" else "validation_accuracy"
