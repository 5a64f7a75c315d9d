"""Which trials a stress suite runs: every arm under every condition, paired over seeds, the clean control first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mim4dd.configuration import Configuration, apply, assign
from mim4dd.errors import InputError, KnobError
from mim4dd.registry import Flat, check_value, component_fields
from perturbations import PERTURBATIONS
from studies.answers.comparing.plan import FULL_NETWORKS, FULL_STEPS, arm_of, own_methods
from studies.answers.stress.flags import SuiteFlags
from studies.engine.arms import Arm, Planned, base_arm, changed, cross, default_arm, with_controls
from studies.engine.conditions import CLEAN, Condition, condition, severity_knob, training_data
from studies.engine.options import Options
from studies.engine.plan import Plan

# Severities of a kind that the suite itself does not sweep.
USUAL = {"label noise": (0.2, 0.4), "imbalance": (10.0, 100.0), "pixel corruption": (1.0, 3.0, 5.0)}


@dataclass(frozen=True)
class Sweep:
    """What a suite sweeps unless it is told otherwise.

    stage: the perturbations it is about. kinds: (text before the severity, severities); quick: the same for `--quick`;
    crossed: for `--grid`, the conditions that its own are crossed with; own: those of its own that are.
    """

    stage: str
    kinds: tuple[tuple[str, tuple[float, ...]], ...]
    quick: tuple[tuple[str, tuple[float, ...]], ...]
    own: tuple[str, ...]
    crossed: tuple[str, ...]


def plan_stress(options: Options[SuiteFlags], configuration: Configuration, sweep: Sweep) -> Plan:
    """Random real images, the base, the method at its default and its variants, and full data, under each condition.

    Raises: InputError, UnknownNameError or KnobError for a condition or variant that cannot be.
    """
    flags = options.flags
    if "method.weight" not in configuration.flat:
        raise InputError(
            f"{configuration.flat['method']} has no weight; this suite compares mim on a base with the base"
        )
    conditions = _conditions(flags, sweep, str(configuration.flat["dataset"]), options.classes_as)
    factors = (training_data(conditions),)
    planned = _planned(options, flags, configuration)
    settings, trials = cross(planned, factors, options.seeds)
    notes = [
        f"{kind} noise is left out: it is not defined on {configuration.flat['dataset']} (see --classes-as)"
        for kind in skipped_kinds(options.classes_as or str(configuration.flat["dataset"]))
        if sweep.stage == "label noise" and not flags.kinds and not flags.conditions and not flags.quick
    ]
    return Plan((), tuple(with_controls(settings)), trials, conditions, factors, tuple(notes))


def _planned(options: Options[SuiteFlags], flags: SuiteFlags, configuration: Configuration) -> list[Planned]:
    """The arms of a suite in the order in which they run: the floor first, the ceiling last."""
    flat = configuration.flat
    default = default_arm(flat, configuration.fixed)
    planned = [
        Planned(Arm("random", "random", role="random"), configuration.with_method("random")),
        Planned(base_arm(default.base), apply(flat, {"method.weight": 0.0})),
        Planned(default, flat),
    ]
    for assigned in flags.variants:
        given, names = assign(flat, assigned)
        _check_variant(given, names)
        others = {key: value for key, value in flat.items() if key not in given}
        planned.append(Planned(changed(default, "variant", {name: given[name] for name in names}), others | given))
    planned += _others(options, flags, planned)
    ceiling = {"evaluation.networks": FULL_NETWORKS, "evaluation.max_steps": FULL_STEPS}
    return [*planned, Planned(Arm("full", "full", role="full"), configuration.with_method("full") | ceiling)]


def _others(options: Options[SuiteFlags], flags: SuiteFlags, planned: Sequence[Planned]) -> list[Planned]:
    """The further methods of a suite, each once, without those that it has anyway.

    Raises: InputError, UnknownNameError or KnobError.
    """
    keys, configs = {*(one.arm.key for one in planned), "full"}, [one.config for one in planned]
    found: dict[str, Planned] = {}
    for spec in flags.methods:
        every = spec == "every"
        for text in own_methods() if every else [spec]:
            one = arm_of(options, text)
            if one.arm.key not in keys and one.config not in configs:
                found[one.arm.key] = replace(one, arm=replace(one.arm, role="extra"))
            elif not every:
                raise InputError(f"--method {spec} is in the suite anyway")
    return list(found.values())


def _check_variant(changed: Flat, names: Sequence[str]) -> None:
    """Refuse a variant that would not meet the base it is compared with, or that is the base.

    Raises: InputError.
    """
    for name in names:
        if not name.startswith("method.") or name.startswith("method.base"):
            raise InputError(f"--variant is for knobs of the MI term, got {name}; set it for all methods with --set")
    if changed["method.weight"] == 0:
        raise InputError("--variant weight=0 is the base alone, which is compared with already")


def _conditions(flags: SuiteFlags, sweep: Sweep, dataset: str, classes_as: str) -> tuple[Condition, ...]:
    """The clean control, each kind at each severity, what `--condition` adds, and the grid."""
    found = [CLEAN]
    for kind, severities in _swept(flags, sweep, classes_as or dataset):
        found += [condition(f"{kind}={severity:g}") for severity in severities]
    found += [condition(text) for text in flags.conditions]
    if flags.grid:
        for first in sweep.own:
            for second in sweep.crossed:
                parts = (first, second) if sweep.stage == "imbalance" else (second, first)
                found += [condition(first), condition(second), condition(*parts)]
    unique = tuple(dict.fromkeys(found))
    if len(unique) == 1:
        raise InputError("nothing is perturbed: give --severities above the control, or a --condition")
    return unique


def _swept(flags: SuiteFlags, sweep: Sweep, dataset: str) -> list[tuple[str, tuple[float, ...]]]:
    """(kind and its severity knob, severities), as the flags or the suite say."""
    if flags.conditions and not flags.kinds and not flags.severities:
        return []
    swept = []
    for kind in flags.kinds or [kind for kind, _ in (sweep.quick if flags.quick else sweep.kinds)]:
        component = PERTURBATIONS.get(kind)
        knob = severity_knob(component)
        if not knob:
            raise InputError(f"--kinds {kind} has no severity to sweep; give it as --condition {kind}:...")
        if not flags.kinds and kind in skipped_kinds(dataset):
            continue
        own = dict(sweep.quick if flags.quick else sweep.kinds) | ({} if not flags.kinds else dict(sweep.kinds))
        wanted = flags.severities or own.get(kind) or USUAL[component.stage]
        declared = next(item.metadata["knob"] for item in component_fields(component) if item.name == knob)
        for severity in wanted:
            check_value(f"{kind}.{knob}", declared, severity)
        swept.append((f"{kind}:{knob}", wanted))
    return swept


def skipped_kinds(dataset: str) -> tuple[str, ...]:
    """Kinds that a suite leaves out because they are not defined on a data set: they must be asked for by name."""
    return () if _has_semantic_map(dataset) else ("asymmetric",)


def _has_semantic_map(dataset: str) -> bool:
    """Whether asymmetric noise knows which classes of this data set are alike."""
    try:
        PERTURBATIONS.build("asymmetric", {"classes_as": dataset})
    except (InputError, KnobError):
        return False
    return dataset != "svhn"
