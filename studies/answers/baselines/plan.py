"""Plans a comparison of baselines: anchors, every base alone and with the MI term, one recipe for all."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations

from mim4dd.configuration import Configuration, apply
from mim4dd.errors import InputError
from mim4dd.methods import METHODS
from mim4dd.registry import knobs, unflatten
from studies.answers.baselines.flags import BaselinesFlags
from studies.answers.comparing.added_studies import read_added
from studies.answers.comparing.plan import SETTING, capped, plan_arms, registered_methods, set_knob
from studies.engine.arms import TERM, Planned, Setting, changed, cross, with_controls
from studies.engine.design import fixed_design
from studies.engine.options import Options
from studies.engine.plan import Plan
from studies.engine.space import around, make_space, own_knobs

# Image updates in an iteration: with the iterations they are a budget, and up to 50 times as long a trial.
UPDATES = ("outer", "updates")


def plan_baselines(options: Options[BaselinesFlags], configuration: Configuration) -> Plan:
    """Every method for every seed, with the same data, network and recipe; full data alone is CAPPED.

    Raises: InputError for two methods with the same knobs, and an added study that does not fit as a block.
    """
    flags = options.flags
    planned, plan = plan_arms(options, flags.methods or registered_methods(), cap=capped)
    _require_different(planned)
    flat = configuration.flat
    block = (str(flat["dataset"]), options.ipc, int(flat.get("source.size", 0)))
    read_added(flags.added, "baselines", [item.arm.key for item in planned], block)
    return _tuned(options, planned, plan) if flags.tune else plan


def _tuned(options: Options[BaselinesFlags], planned: Sequence[Planned], plan: Plan) -> Plan:
    """The plan with settings of each method's own knobs on the seeds to choose on; the best runs on the others too.

    Raises: InputError for too few seeds, and where no method has a knob to search.
    """
    from studies.answers.comparing.staging import best_on_all_seeds

    flags, seeds = options.flags, options.seeds
    flags.require_seeds(len(seeds))
    settings = [setting for item in planned for setting in _settings(options, item)]
    methods = {item.arm.control for item in settings}
    if not methods:
        raise InputError("--tune needs a method with a knob to search; no method of this study has one")
    crossed, trials = cross([*planned, *settings], (), seeds)
    plan = replace(plan, settings=tuple(with_controls(crossed)), trials=trials)
    best = partial(best_on_all_seeds, plan, seeds, flags.choose_on, partial(_tuned_method, methods))
    return replace(plan, second_stage=best, growth=len(methods) * (len(seeds) - flags.choose_on))


def _settings(options: Options[BaselinesFlags], item: Planned) -> list[Planned]:
    """The settings that a method is tuned over besides its defaults, each paired with the method; none for a control.

    Knobs that tell the method from others, and those that `--set` gives, are not searched.
    """
    if item.arm.anchor or item.arm.placebo:
        return []
    method, flags = unflatten(METHODS, item.config, "method"), options.flags
    fixed = {*item.arm.knobs, *(knob for key in options.assigned if (knob := set_knob(key, item.config)))}
    tuned = [name for name in own_knobs(method) if name.rpartition(".")[2] not in UPDATES]
    keys = [key for name in tuned if (key := f"method.{name}") not in fixed]
    if item.arm.method == TERM and not item.arm.has_term:  # the base alone reads no knob of the term
        keys = [key for key in keys if key.startswith("method.base.")]
    if not keys:
        return []
    declared = {f"method.{name}": knob for name, knob in knobs(method).items()}
    space = tuple(around(axis, item.config[axis.key]) for axis in make_space(keys, {}, item.config, declared, ()))
    found: dict[str, Planned] = {}
    for values, _ in fixed_design("qmc", space, flags.tune - 1):
        arm = replace(changed(item.arm, SETTING, values), control=item.arm.key)
        found[arm.key] = Planned(arm, apply(item.config, values), first=flags.choose_on)
    return list(found.values())


def _tuned_method(methods: Container[str], setting: Setting) -> str | None:
    """The method that a setting is one of."""
    arm = setting.arm
    return arm.control if arm.role == SETTING else arm.key if arm.key in methods else None


def _require_different(planned: Sequence[Planned]) -> None:
    """Refuse two arms with the same configuration.

    Raises: InputError.
    """
    for first, second in combinations(planned, 2):
        if first.config == second.config:
            raise InputError(
                f"{first.arm.key} and {second.arm.key} are the same method with the same knobs; give one of them"
            )
