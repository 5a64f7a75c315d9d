"""The plan of a sensitivity study: the default, the base alone, the anchors, and a design over the knobs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from mim4dd.configuration import Configuration, apply
from mim4dd.errors import InputError
from mim4dd.methods import METHODS
from mim4dd.registry import Flat, unflatten
from mim4dd.resolving import matching
from studies.answers.comparing.plan import FULL_NETWORKS, FULL_STEPS
from studies.answers.comparing.staging import best_on_all_seeds
from studies.answers.sensitivity.flags import DesignFlags
from studies.answers.sensitivity.strength import STRENGTH, WEIGHT, strength_axis
from studies.engine.arms import (
    EQUAL_STRENGTH,
    FLOOR,
    LONGER_STEP,
    Arm,
    Planned,
    Setting,
    base_arm,
    changed,
    cross,
    default_arm,
    require_few,
    spec,
    with_controls,
)
from studies.engine.conditions import CLEAN, condition, training_data
from studies.engine.configuring import configured, term_on_base
from studies.engine.design import fixed_design
from studies.engine.options import Options
from studies.engine.plan import Plan
from studies.engine.space import Space, make_space, own_knobs
from studies.engine.statistics.contrasts import FEWEST_PAIRS

# The roles of the settings that are tried.
TRIED = ("default", "variant", "design")
KNOBS = ("method.temperature", "method.weight", "method.layer_decay", "method.embedding")


def configure_sensitivity(options: Options[DesignFlags]) -> Configuration:
    """The MI term on its base, or the method that is studied alone."""
    method = options.flags.method
    return configured(options, {"method": method}) if method else term_on_base(options)


def plan_sensitivity(options: Options[DesignFlags], configuration: Configuration) -> Plan:
    """Every setting runs on the seeds to choose on, the best of them and what it is compared with on all.

    The base with longer steps runs on half of them, the floor on as few as decide, full data on one.

    With `--perturb` everything runs twice, on clean and on perturbed training data, so that settings are paired.
    """
    flags, design, first = options.flags, options.flags.design, options.flags.choosing(len(options.seeds))
    require_few(design.settings * len(options.seeds))  # before a large design is drawn
    space = _space(flags, configuration)
    if configuration.flat.get("method.weight") == 0:
        raise InputError("--set weight=0 is the base alone, where no other knob does anything; leave the weight free")
    conditions = (CLEAN, condition(*flags.perturb)) if flags.perturb else (CLEAN,)
    if conditions[1:] == (CLEAN,):
        raise InputError(f"--perturb must change the training data, {' '.join(flags.perturb)} does not; leave it out")
    factors = (training_data(conditions),) if len(conditions) > 1 else ()
    # The ceiling on clean data does not depend on the seed.
    ceiling = Planned(Arm("full", "full", role="full"), _full(configuration), once=options.seeds[:1])
    default, *controls = (_method if flags.method else _term)(configuration, len(options.seeds))
    planned = [ceiling, default, *controls]
    if not design.adaptive:
        for knobs, dummy in fixed_design(design.name, space, design.settings, design.seed):
            flat = apply(configuration.flat, knobs)
            planned.append(Planned(changed(default.arm, "design", knobs), flat, dummy, first=first))
    settings, trials = cross(planned, factors, options.seeds)
    plan = Plan(space, tuple(with_controls(settings)), trials, conditions, factors)
    if first is None:
        return plan
    # Each kind of training data may choose another setting, which runs on all of them.
    growth = (len(options.seeds) - first) * len(conditions) ** 2
    best = partial(best_on_all_seeds, plan, options.seeds, first, _group)
    return replace(plan, second_stage=best, growth=growth)


def _group(setting: Setting) -> tuple[tuple[str, str], ...] | None:
    """What a setting that is tried is compared within: its kind of training data. The order is that of an analysis."""
    return tuple(setting.levels.items()) if setting.arm.role in TRIED else None


def _term(configuration: Configuration, seeds: int) -> list[Planned]:
    """The MI term at its default, its base alone, the floor, and the control of the term's length."""
    default, half = default_arm(configuration.flat, configuration.fixed), max(FEWEST_PAIRS, seeds // 2)
    return [
        Planned(default, configuration.flat),
        Planned(base_arm(default.base), apply(configuration.flat, {"method.weight": 0.0})),
        Planned(Arm(FLOOR, FLOOR, role="random"), configuration.with_method(FLOOR), first=FEWEST_PAIRS),
        *_step_control(default, configuration, half),
    ]


def _method(configuration: Configuration, seeds: int) -> list[Planned]:
    """A method at its default, and what it is compared with: random real images."""
    knobs: Flat = {key: configuration.flat[key] for key in configuration.fixed if key.startswith("method.")}
    name = str(configuration.flat["method"])
    default = Arm(spec(name, knobs), name, knobs, FLOOR, "default")
    floor = Arm(FLOOR, FLOOR, role="base")
    return [Planned(default, configuration.flat), Planned(floor, configuration.with_method(FLOOR))]


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


def _space(flags: DesignFlags, configuration: Configuration) -> Space:
    """The axes of the design: the term's strength, or its weight, beside its other knobs; or a method's own knobs."""
    ranges = flags.ranges
    if flags.method:
        method = unflatten(METHODS, configuration.flat, "method")
        keys = [f"method.{name}" for name in own_knobs(method)]
        if not keys and not ranges:
            raise InputError(f"{flags.method} declares no knob with a range; give one with --range KEY=LOW:HIGH")
        return make_space(keys, ranges, configuration.flat, configuration.knobs, configuration.fixed)
    strength = strength_axis(ranges, configuration)
    own = {STRENGTH} | ({key for key in ranges if WEIGHT in matching(key, configuration.knobs)} if strength else set())
    others = {key: text for key, text in ranges.items() if key not in own}
    return make_space(KNOBS, others, configuration.flat, configuration.knobs, configuration.fixed, strength)


def _full(configuration: Configuration) -> Flat:
    flat = configuration.with_method("full")
    return {**flat, "evaluation.networks": FULL_NETWORKS, "evaluation.max_steps": FULL_STEPS}
