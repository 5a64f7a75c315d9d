"""Plans a fidelity study: each method with the recipe of its published accuracy."""

from __future__ import annotations

from mim4dd.configuration import Configuration
from studies.answers.comparing.flags import ComparisonFlags
from studies.answers.comparing.plan import plan_arms
from studies.answers.fidelity.published import published_recipe
from studies.engine.configuring import dataset_name
from studies.engine.options import Options
from studies.engine.plan import Plan

METHODS = ("random", "dc", "dsa", "dm", "mtt")


def plan_fidelity(options: Options[ComparisonFlags], configuration: Configuration) -> Plan:
    """Each method of `--method`, by default METHODS, for every seed.

    Raises: InputError, UnknownNameError or KnobError.
    """
    dataset = options.classes_as or dataset_name(options.dataset)
    _, plan = plan_arms(options, options.flags.methods or METHODS, lambda flat: published_recipe(flat, dataset))
    return plan
