"""Optuna's two importance evaluators, on an in-memory study of unit-scaled settings.

They answer different questions and can rank knobs in opposite order: fANOVA measures importance over the whole space,
PED-ANOVA for reaching the best settings. Both return raw numbers, not normalised.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from .means import Array

if TYPE_CHECKING:
    from optuna.importance import BaseImportanceEvaluator


def fanova(x: Array, y: Array, *, trees: int, seed: int) -> Array:
    """Main effect of each knob as a fraction of the forest's variance over the unit cube, averaged over trees.

    value_j = mean over trees of Var_{x_j}[E[f_tree | x_j]] / Var_x[f_tree], with x uniform: in [0, 1]; the sum over
    knobs is at most 1, the rest being interactions. The forest's variance holds fitted noise, so a knob's share of the
    true variance is understated, and pure noise still gives .1 to .3 for each knob at 16 settings.

    Optuna integrates over the declared range in raw coordinates (its transform_log is False), so a log knob must be
    passed as its unit-scaled logarithm: x in [0, 1] is required.

    Shapes: x [n, d] in [0, 1]; y [n], higher is better; out [d]. Zeros if no tree finds a split.
    Source: Hutter, Hoos, Leyton-Brown 2014, "An efficient approach for assessing hyperparameter importance".
    """
    from optuna.importance import FanovaImportanceEvaluator

    if np.ptp(y) == 0:
        return np.zeros(x.shape[1])
    try:
        return _importances(x, y, FanovaImportanceEvaluator(n_trees=trees, seed=seed % 2**32))
    except RuntimeError as error:  # the few settings that differ may be missing in every tree's sample
        if "zero total variance" not in str(error):
            raise
        return np.zeros(x.shape[1])


def ped_anova(x: Array, y: Array, *, quantile: float) -> Array:
    """Pearson divergence between a knob's density among the best settings and among all, times quantile squared.

    0 means that the best settings are distributed as all are. There is no upper bound of 1; interactions are ignored.

    Shapes: x [n, d] in [0, 1]; y [n], higher is better; out [d].
    Source: Watanabe, Bansal, Hutter 2023, "PED-ANOVA", equation 16 (as in Optuna 5, `evaluate_on_local`).
    """
    from optuna.importance import PedAnovaImportanceEvaluator

    if np.ptp(y) == 0:
        return np.zeros(x.shape[1])
    evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile, region_quantile=1.0, evaluate_on_local=True)
    return _importances(x, y, evaluator)


def ped_quantile(n: int) -> float:
    """The fraction of settings that count as best: a tenth, but at least 5 settings (Optuna's advice), at most half."""
    return min(max(0.1, 5 / n), 0.5)


def _importances(x: Array, y: Array, evaluator: BaseImportanceEvaluator) -> Array:
    import optuna

    names = [f"x{column:03d}" for column in range(x.shape[1])]
    space: dict[str, optuna.distributions.BaseDistribution] = {
        name: optuna.distributions.FloatDistribution(0.0, 1.0) for name in names
    }
    with _quiet_optuna():
        study = optuna.create_study(direction="maximize")
        study.add_trials(
            [
                optuna.trial.create_trial(
                    params=dict(zip(names, map(float, row), strict=True)), distributions=space, value=float(value)
                )
                for row, value in zip(x, y, strict=True)
            ]
        )
        importances = optuna.importance.get_param_importances(study, evaluator=evaluator, normalize=False)
    return np.array([float(importances[name]) for name in names])


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Silence log lines and warnings: that `normalize` is experimental, that tied scores make all settings best."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.filterwarnings("ignore", message="Target and region quantiles select the same set")
            yield
    finally:
        optuna.logging.set_verbosity(before)
