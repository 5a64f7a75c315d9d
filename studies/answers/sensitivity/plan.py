"""Which settings a sensitivity study runs: the default, the base alone, the anchors, and a design over the knobs."""

from __future__ import annotations

from collections.abc import Sequence

from mim4dd.configuration import Configuration, apply
from mim4dd.errors import InputError
from mim4dd.registry import Flat
from studies.engine.asked import Design
from studies.engine.conditions import CLEAN, condition
from studies.engine.design import Setting, fixed_design
from studies.engine.options import Options
from studies.engine.space import make_space
from studies.engine.study import Plan
from studies.engine.trial import Trial

KNOBS = ("method.temperature", "method.weight", "method.layer_decay", "method.embedding")
# The ceiling trains on the whole data set: the recipe's epochs, but no more steps than these, on two networks.
FULL_STEPS = 1_500
FULL_NETWORKS = 2


def plan_sensitivity(options: Options, configuration: Configuration) -> Plan:
    """Every setting meets the same seeds; the anchors too, but for full data, which no seed changes.

    With `--perturb` all of it runs twice, on clean and on perturbed training data, so that settings are paired.
    """
    asked = options.asked
    assert isinstance(asked, Design)
    space = make_space(KNOBS, asked.ranges, configuration.flat, configuration.knobs, configuration.fixed)
    if configuration.flat["method.weight"] == 0:
        raise InputError("--set weight=0 is the base alone, where no other knob does anything; leave the weight free")
    default = {axis.key: configuration.flat[axis.key] for axis in space}
    wanted: list[tuple[str, Flat, float | None, Flat, Sequence[int]]] = [
        ("full", {}, None, _full(configuration), options.seeds[:1]),
        ("default", default, None, configuration.flat, options.seeds),
        ("base", {"method.weight": 0.0}, None, apply(configuration.flat, {"method.weight": 0.0}), options.seeds),
        ("random", {}, None, configuration.with_method("random"), options.seeds),
    ]
    if not asked.adaptive:
        for knobs, dummy in fixed_design(asked.name, space, asked.settings, asked.seed):
            wanted.append(("design", knobs, dummy, apply(configuration.flat, knobs), options.seeds))
    settings: list[Setting] = []
    trials: dict[str, Trial] = {}
    conditions = (CLEAN, condition(*options.perturb)) if options.perturb else (CLEAN,)
    for one in dict.fromkeys(conditions):
        for role, knobs, place, config, few in wanted:
            seeds = options.seeds if one.text else few  # a seed changes perturbed data, and then the ceiling too
            own = [Trial.of(config | one.entry | {"seed": seed}) for seed in seeds]
            settings.append(Setting(len(settings), role, knobs, place, tuple(trial.hash for trial in own), one.text))
            trials |= {trial.hash: trial for trial in own}
    return Plan(space, tuple(settings), tuple(trials.values()), tuple(dict.fromkeys(conditions)))


def _full(configuration: Configuration) -> Flat:
    flat = configuration.with_method("full")
    return {**flat, "evaluation.networks": FULL_NETWORKS, "evaluation.max_steps": FULL_STEPS}
