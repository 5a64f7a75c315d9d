"""The metrics of a trial, each with the units of its means and of its differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from studies.engine.rows import Row


@dataclass(frozen=True)
class Metric:
    """scores: of a row, one for each network, a single one for the synthetic set, or none where it was not measured.

    unit: of a mean; difference: of a contrast. Both are in `studies.engine.answer.UNITS`.
    """

    scores: Callable[[Row], Sequence[float]]
    unit: str = "percent"
    difference: str = "points"


def _measured(values: Mapping[str, float], key: str) -> tuple[float, ...]:
    """A single score of the synthetic set; none where it was not measured."""
    return (values[key],) if key in values else ()


def _balanced(row: Row) -> Sequence[float]:
    """The mean recall of the classes that have test images."""
    return () if row.test_recall is None else tuple(np.nanmean(row.test_recall, axis=1))


def _critic_share(row: Row) -> tuple[float, ...]:
    """The bound of the term's own critic as a share of H(Y)."""
    critic, entropy = row.information.get("critic"), row.information.get("entropy")
    return (critic / entropy,) if critic is not None and entropy else ()


PLAIN, NATS = ("", ""), ("nats", "nats")
OF_ENTROPY = ("percent of H(Y)", "points of H(Y)")
METRICS: dict[str, Metric] = {
    "test": Metric(lambda row: row.test),
    "balanced": Metric(_balanced),
    "validation": Metric(lambda row: row.validation),
    "clean_validation": Metric(lambda row: row.clean_validation),
    "noisy_validation": Metric(lambda row: row.noisy_validation),
    "rejected": Metric(lambda row: _measured(row.measures, "rejected_share")),
    "flipped": Metric(lambda row: _measured(row.measures, "flipped_agreement")),
    "rho": Metric(lambda row: _measured(row.measures, "gradient_ratio"), *PLAIN),
    "effective_weight": Metric(lambda row: _measured(row.measures, "effective_weight"), *PLAIN),
    "usable": Metric(lambda row: row.usable, *NATS),
    "usable_validation": Metric(lambda row: row.usable_validation, *NATS),
    "usable_share": Metric(lambda row: row.usable_share, *OF_ENTROPY),
    "label_agreement": Metric(lambda row: _measured(row.information, "label_agreement"), *NATS),
    "critic": Metric(lambda row: _measured(row.information, "critic"), *NATS),
    "critic_share": Metric(_critic_share, *OF_ENTROPY),
    "entropy": Metric(lambda row: _measured(row.information, "entropy"), *NATS),
}
