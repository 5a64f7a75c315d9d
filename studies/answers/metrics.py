"""The metrics of a trial, each with the units of its means and of its differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from studies.engine.rows import Row
from studies.engine.statistics.contrasts import MARGIN
from studies.engine.units import UNITS

# 5% more or less is of no use to anyone who pays the cost.
RATIO_MARGIN = math.log(1.05)


@dataclass(frozen=True)
class Metric:
    """scores: of a row, one for each network, a single one for the synthetic set, or none where it was not measured.

    unit: of a mean; difference: of a contrast. Both are in `studies.engine.units.UNITS`. margin: of a contrast, unless
    it has its own.
    """

    scores: Callable[[Row], Sequence[float]]
    unit: str = "percent"
    difference: str = "points"
    margin: float = MARGIN

    @property
    def less(self) -> str:
        """The word between the two sides of a contrast: of logarithms, a difference is a ratio."""
        return "over" if UNITS[self.difference].ratio else "less"


def _measured(values: Mapping[str, float], key: str) -> tuple[float, ...]:
    """A single score of the synthetic set; none where it was not measured."""
    return (values[key],) if key in values else ()


def _balanced(row: Row) -> Sequence[float]:
    """The mean recall of the classes that have test images."""
    return () if row.test_recall is None else tuple(np.nanmean(row.test_recall, axis=1))


def _class_recalls(row: Row) -> npt.NDArray[np.float64]:
    """The mean recall of each class over the networks of a set, of classes that have test images; [] without any."""
    recall = row.test_recall
    return np.zeros(0) if recall is None else recall.mean(axis=0)[np.isfinite(recall).all(axis=0)]


def _of_classes(reduce: Callable[[npt.NDArray[np.float64]], float]) -> Callable[[Row], tuple[float, ...]]:
    def score(row: Row) -> tuple[float, ...]:
        recalls = _class_recalls(row)
        return (float(reduce(recalls)),) if len(recalls) else ()

    return score


def _odds_gap(reduce: Callable[[npt.NDArray[np.float64]], float]) -> Callable[[Row], tuple[float, ...]]:
    """The equalised-odds gap: how far a class's recall differs between images that a planted cue aids and misleads."""

    def score(row: Row) -> tuple[float, ...]:
        if not {"aligned", "conflicting"} <= set(row.judged):
            return ()
        aligned, conflicting = (_class_recalls(row.seen(view)) for view in ("aligned", "conflicting"))
        return (float(reduce(np.abs(aligned - conflicting))),) if len(aligned) and len(conflicting) else ()

    return score


def _followed(row: Row) -> Sequence[float]:
    """The share of images in conflict with a planted cue that each network gives a class of their cue."""
    return row.judged["conflicting"].followed if "conflicting" in row.judged else ()


def _critic_share(row: Row) -> tuple[float, ...]:
    """The bound of the term's own critic as a share of H(Y)."""
    critic, entropy = row.information.get("critic"), row.information.get("entropy")
    return (critic / entropy,) if critic is not None and entropy else ()


def _logged(values: Mapping[str, float], *keys: str) -> tuple[float, ...]:
    """The logarithm of the sum of these costs; none where one is missing or their sum is not above 0."""
    if not all(key in values for key in keys):
        return ()
    total = sum(values[key] for key in keys)
    return (math.log(total),) if 0 < total < math.inf else ()


def _cost(key: str, unit: str) -> Metric:
    """A measured or counted cost of a trial, on a log scale: means are geometric, differences ratios."""
    return Metric(lambda row: _logged(row.costs, key), unit, "times", RATIO_MARGIN)


def _iterations(row: Row) -> tuple[float, ...]:
    """The logarithm of the iterations of a row's method, or of the base that it wraps."""
    found = row.config.get("method.iterations", row.config.get("method.base.iterations"))
    return () if found is None else _logged({"iterations": float(found)}, "iterations")


PLAIN, NATS, APART = ("", ""), ("nats", "nats"), ("percent", "points apart")
OF_ENTROPY = ("percent of H(Y)", "points of H(Y)")
METRICS: dict[str, Metric] = {
    "test": Metric(lambda row: row.test),
    # At the learning rate that validation chose.
    "tuned": Metric(lambda row: row.tuned.test if row.tuned else ()),
    "tuned_validation": Metric(lambda row: row.tuned.validation if row.tuned else ()),
    "balanced": Metric(_balanced),
    "validation": Metric(lambda row: row.validation),
    "clean_validation": Metric(lambda row: row.clean_validation),
    "noisy_validation": Metric(lambda row: row.noisy_validation),
    "worst_class": Metric(_of_classes(np.min)),
    "disparity": Metric(_of_classes(np.ptp), *APART),
    "odds_gap": Metric(_odds_gap(np.max), *APART),
    "mean_odds_gap": Metric(_odds_gap(np.mean), *APART),
    "cue_followed": Metric(_followed, *APART),
    "cue_decoded": Metric(lambda row: _measured(row.measures, "cue_decoded"), *APART),
    "cue_decoder": Metric(lambda row: _measured(row.measures, "cue_decoder_accuracy")),
    "rejected": Metric(lambda row: _measured(row.measures, "rejected_share"), *APART),
    "flipped": Metric(lambda row: _measured(row.measures, "flipped_agreement"), *APART),
    "rho": Metric(lambda row: _measured(row.measures, "gradient_ratio"), *PLAIN),
    "effective_weight": Metric(lambda row: _measured(row.measures, "effective_weight"), *PLAIN),
    "usable": Metric(lambda row: row.usable, *NATS),
    "usable_validation": Metric(lambda row: row.usable_validation, *NATS),
    "usable_share": Metric(lambda row: row.usable_share, *OF_ENTROPY),
    "label_agreement": Metric(lambda row: _measured(row.information, "label_agreement"), *NATS),
    "critic": Metric(lambda row: _measured(row.information, "critic"), *NATS),
    "critic_share": Metric(_critic_share, *OF_ENTROPY),
    "entropy": Metric(lambda row: _measured(row.information, "entropy"), *NATS),
    "iteration": _cost("iteration_seconds", "log seconds"),
    # Of base and term over the base alone, iterations in turns within a repeat.
    "overhead": _cost("overhead", "times"),
    "iteration_cpu": _cost("iteration_cpu_seconds", "log seconds"),
    "preparation": _cost("preparation_seconds", "log seconds"),
    "selection": _cost("selection_seconds", "log seconds"),
    "training": _cost("training_seconds", "log seconds"),
    "classification": _cost("classified_image_seconds", "log seconds"),
    "prepared": _cost("prepared_bytes", "log bytes"),
    "training_peak": _cost("training_peak_bytes", "log bytes"),
    "peak": _cost("peak_bytes", "log bytes"),
    "stored": _cost("stored_bytes", "log bytes"),
    "iterations": Metric(_iterations, "times", "times", RATIO_MARGIN),
    # What any trial took to distil, its preparations included, in whichever process these were made.
    "spent": Metric(
        lambda row: _logged(row.measured, "distil_seconds", "prepared_seconds"), "log seconds", "times", RATIO_MARGIN
    ),
}
