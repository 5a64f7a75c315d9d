"""Ours beside the published number: what is run for a cell of the table, and what came out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studies.answers.comparing.plan import plan_arms
from studies.answers.fidelity.published import published_recipe
from studies.engine.asked import Comparison
from studies.engine.identity import dataset_name

if TYPE_CHECKING:
    from mim4dd.configuration import Configuration
    from studies.engine.answer import Answer
    from studies.engine.evidence import Evidence
    from studies.engine.options import Options
    from studies.engine.study import Plan

METHODS = ("random", "dc", "dsa", "dm", "mtt")


def plan_fidelity(options: Options, configuration: Configuration) -> Plan:
    """Each method with the recipe that its published number was made with."""
    assert isinstance(options.asked, Comparison)
    dataset = dataset_name(options.dataset)
    _, plan = plan_arms(options, options.asked.methods or METHODS, lambda flat: published_recipe(flat, dataset))
    return plan


def answer_fidelity(evidence: Evidence) -> Answer:
    """The answer; imports scipy and matplotlib, which a plan does not need."""
    from studies.answers.fidelity.verdict import write_answer

    return write_answer(evidence)
