"""The plan of a sensitivity study: the default, the base alone, the anchors, and a design over the knobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from mim4dd.configuration import Configuration, apply
from mim4dd.errors import InputError
from mim4dd.registry import Flat
from mim4dd.resolving import matching
from studies.answers.comparing.plan import FULL_NETWORKS, FULL_STEPS
from studies.answers.sensitivity.flags import DesignFlags
from studies.answers.sensitivity.staging import best_on_all_seeds
from studies.answers.sensitivity.strength import STRENGTH, WEIGHT, strength_axis
from studies.engine.arms import (
    EQUAL_STRENGTH,
    LONGER_STEP,
    Arm,
    Planned,
    base_arm,
    changed,
    cross,
    default_arm,
    require_few,
    with_controls,
)
from studies.engine.conditions import CLEAN, condition, training_data
from studies.engine.design import fixed_design
from studies.engine.options import Options
from studies.engine.plan import Plan
from studies.engine.space import Space, make_space
from studies.engine.statistics.contrasts import FEWEST_PAIRS

KNOBS = ("method.temperature", "method.weight", "method.layer_decay", "method.embedding")


def plan_sensitivity(options: Options[DesignFlags], configuration: Configuration) -> Plan:
    """Every setting runs on the seeds to choose on, the best of them and what it is compared with on all.

    The base with longer steps runs on half of them, the floor on as few as decide, full data on one.

    With `--perturb` everything runs twice, on clean and on perturbed training data, so that settings are paired.
    """
    flags, design, first = options.flags, options.flags.design, options.flags.choosing(len(options.seeds))
    require_few(design.settings * len(options.seeds))  # before a large design is drawn
    space = _space(flags.ranges, configuration)
    if configuration.flat["method.weight"] == 0:
        raise InputError("--set weight=0 is the base alone, where no other knob does anything; leave the weight free")
    conditions = (CLEAN, condition(*flags.perturb)) if flags.perturb else (CLEAN,)
    if conditions[1:] == (CLEAN,):
        raise InputError(f"--perturb must change the training data, {' '.join(flags.perturb)} does not; leave it out")
    factors = (training_data(conditions),) if len(conditions) > 1 else ()
    default = default_arm(configuration.flat, configuration.fixed)
    half = max(FEWEST_PAIRS, len(options.seeds) // 2)
    planned = [
        # The ceiling on clean data does not depend on the seed.
        Planned(Arm("full", "full", role="full"), _full(configuration), once=options.seeds[:1]),
        Planned(default, configuration.flat),
        Planned(base_arm(default.base), apply(configuration.flat, {"method.weight": 0.0})),
        Planned(Arm("random", "random", role="random"), configuration.with_method("random"), first=FEWEST_PAIRS),
        *_step_control(default, configuration, half),
    ]
    if not design.adaptive:
        for knobs, dummy in fixed_design(design.name, space, design.settings, design.seed):
            flat = apply(configuration.flat, knobs)
            planned.append(Planned(changed(default, "design", knobs), flat, dummy, first=first))
    settings, trials = cross(planned, factors, options.seeds)
    plan = Plan(space, tuple(with_controls(settings)), trials, conditions, factors)
    if first is None:
        return plan
    # Each kind of training data may choose another setting, which runs on all of them.
    growth = (len(options.seeds) - first) * len(conditions) ** 2
    return replace(plan, second_stage=partial(best_on_all_seeds, plan, options.seeds, first), growth=growth)


def _step_control(default: Arm, configuration: Configuration, first: int) -> list[Planned]:
    """The term as strong as its base, and on the first seeds the base alone with steps as long as theirs."""
    if configuration.flat["method.direction"] != "both":
        return []  # the default is this control
    if EQUAL_STRENGTH.items() <= configuration.flat.items():
        equal: list[Planned] = []  # the default, as it is set
    else:
        arm = changed(default, "variant", EQUAL_STRENGTH)
        equal = [Planned(arm, apply(configuration.flat, EQUAL_STRENGTH))]
    longer = {**EQUAL_STRENGTH, **LONGER_STEP}
    placebo = changed(default, "placebo", longer)
    return [*equal, Planned(placebo, apply(configuration.flat, longer), first=first)]


def _space(ranges: Mapping[str, str], configuration: Configuration) -> Space:
    """The axes of the design: the term's strength, or its weight as it is, beside its other knobs."""
    strength = strength_axis(ranges, configuration)
    own = {STRENGTH} | ({key for key in ranges if WEIGHT in matching(key, configuration.knobs)} if strength else set())
    others = {key: text for key, text in ranges.items() if key not in own}
    return make_space(KNOBS, others, configuration.flat, configuration.knobs, configuration.fixed, strength)


def _full(configuration: Configuration) -> Flat:
    flat = configuration.with_method("full")
    return {**flat, "evaluation.networks": FULL_NETWORKS, "evaluation.max_steps": FULL_STEPS}
