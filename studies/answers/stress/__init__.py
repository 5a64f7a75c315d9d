"""What perturbed training data do to a method: the suites' plans, and their answers from rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studies.answers.stress.plan import Sweep, plan_stress

if TYPE_CHECKING:
    from mim4dd.configuration import Configuration
    from studies.engine.answer import Answer
    from studies.engine.evidence import Evidence
    from studies.engine.options import Options
    from studies.engine.study import Plan

NOISE = Sweep(
    stage="label noise",
    kinds=(
        ("symmetric", (0.2, 0.4, 0.6, 0.8)),
        ("pairflip", (0.2, 0.4)),
        ("asymmetric", (0.2, 0.4)),
        ("instance", (0.2, 0.4)),
    ),
    quick=(("symmetric", (0.2, 0.4, 0.8)), ("pairflip", (0.4,))),
    own=("symmetric:rate=0.2", "symmetric:rate=0.4"),
    crossed=("exponential:factor=10", "exponential:factor=50"),
)
IMBALANCE = Sweep(
    stage="imbalance",
    kinds=(("exponential", (10, 50, 100, 200)), ("step", (10, 100))),
    quick=(("exponential", (10, 100)), ("step", (100,))),
    own=("exponential:factor=10", "exponential:factor=50"),
    crossed=("symmetric:rate=0.2", "symmetric:rate=0.4"),
)


def plan_noise(options: Options, configuration: Configuration) -> Plan:
    """The trials of the noisy-label suite."""
    return plan_stress(options, configuration, NOISE)


def plan_imbalance(options: Options, configuration: Configuration) -> Plan:
    """The trials of the imbalance suite."""
    return plan_stress(options, configuration, IMBALANCE)


def answer_stress(evidence: Evidence) -> Answer:
    """The answer of either suite; imports scipy and matplotlib, which a plan does not need."""
    from studies.answers.stress.verdict import write_answer

    return write_answer(evidence)
