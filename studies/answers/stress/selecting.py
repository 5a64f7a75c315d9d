"""What choosing by noisy validation labels costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from studies.answers.stress.findings import Findings
from studies.engine.statistics import PairedInterval, paired_interval


@dataclass(frozen=True)
class Selection:
    """The arm that clean and the arm that noisy validation labels choose under one condition.

    cost: test accuracy of the first less that of the second, paired over seeds; optimism: noisy less clean validation
    accuracy of the arm that the noisy labels chose; seeds: those that every candidate has.
    """

    condition: int
    clean: int
    noisy: int
    cost: PairedInterval
    optimism: PairedInterval
    seeds: int


def selections(found: Findings) -> list[Selection]:
    """One for each condition with label noise, over the base and what adds the MI term to it."""
    made = []
    candidates = [j for j, arm in enumerate(found.arms) if arm.role in ("base", "default", "variant")]
    for i, condition in enumerate(found.conditions):
        if not condition.noisy:
            continue
        scores = {
            key: np.array([_validation(found, i, j, key) for j in candidates])
            for key in ("validation_accuracy", "noisy_validation_accuracy")
        }
        # Compared on the seeds that all candidates have: a lucky seed less must not decide.
        whole = np.isfinite(np.concatenate(list(scores.values()))).all(0)
        if not whole.any():
            continue
        clean, noisy = (int(values[:, whole].mean(1).argmax()) for values in scores.values())
        sets = found.sets[i]
        made.append(
            Selection(
                i,
                candidates[clean],
                candidates[noisy],
                paired_interval(sets[candidates[clean]], sets[candidates[noisy]]),
                paired_interval(scores["noisy_validation_accuracy"][noisy], scores["validation_accuracy"][noisy]),
                int(whole.sum()),
            )
        )
    return made


def _validation(found: Findings, condition: int, arm: int, key: str) -> list[float]:
    held = [found.result(condition, arm, k).get(key) for k in range(found.seeds)]
    return [float(np.mean(values)) if values else np.nan for values in held]
