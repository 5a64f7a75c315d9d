"""Plans a stress suite: every arm under every condition, paired over seeds, the clean control first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mim4dd.configuration import Configuration, apply, assign
from mim4dd.errors import InputError, KnobError, exact
from mim4dd.registry import Flat, check_value, component_fields
from perturbations import PERTURBATIONS, STAGES, SymmetricNoise, stage_of
from perturbations.stages import ORDER
from studies.answers.comparing.plan import FULL_NETWORKS, FULL_STEPS, arm_of, registered_methods
from studies.answers.stress.flags import SuiteFlags
from studies.engine.arms import Arm, Planned, base_arm, changed, cross, default_arm, with_controls
from studies.engine.conditions import CLEAN, Condition, condition, severity_knob, training_data
from studies.engine.options import Options
from studies.engine.plan import Plan
from studies.engine.sizes import NAMED

# Kinds, each as KIND:KNOB, with their severities; and severities that do not fit the data, with why.
Swept = list[tuple[str, tuple[float, ...]]]
Unfit = tuple[tuple[tuple[str, float], str], ...]


@dataclass(frozen=True)
class Sweep:
    """What a suite sweeps unless its flags say otherwise.

    stage: the stage of its perturbations. kinds: pairs of a kind and its severities; quick: the same for `--quick`.
    grid, crossed: the conditions of this stage and of the other one that `--grid` combines, each with each.
    """

    stage: str
    kinds: tuple[tuple[str, tuple[float, ...]], ...]
    quick: tuple[tuple[str, tuple[float, ...]], ...]
    grid: tuple[str, ...]
    crossed: tuple[str, ...]


def plan_stress(options: Options[SuiteFlags], configuration: Configuration, sweep: Sweep) -> Plan:
    """Random real images, the base, the method at its default and its variants, and full data, under each condition.

    Raises: InputError, UnknownNameError or KnobError for an invalid condition, variant or method.
    """
    flags = options.flags
    size = options.read or NAMED.get(str(configuration.flat["dataset"]))
    swept = _swept(flags, sweep, options.classes_as or str(configuration.flat["dataset"]))
    unfit = _unfit(swept, size.classes) if size is not None and not flags.severities else ()
    conditions = _conditions(flags, sweep, swept, unfit)
    factors = (training_data(conditions),)
    planned = _planned(options, flags, configuration)
    settings, trials = cross(planned, factors, options.seeds)
    notes = [
        f"{kind} noise is left out: it is not defined on {configuration.flat['dataset']} (see --classes-as)"
        for kind in skipped_kinds(options.classes_as or str(configuration.flat["dataset"]))
        if STAGES[sweep.stage].relabels and not flags.kinds and not flags.conditions and not flags.quick
    ]
    notes += [
        f"{kind.partition(':')[0]} noise of {exact(severity)} is left out: {why}" for (kind, severity), why in unfit
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
        changes, names = assign(flat, assigned)
        _check_variant(changes, names)
        unchanged = {key: value for key, value in flat.items() if key not in changes}
        arm = changed(default, "variant", {name: changes[name] for name in names})
        planned.append(Planned(replace(arm, role="placebo") if arm.placebo else arm, unchanged | changes))
    planned += _extra_arms(options, flags, planned)
    ceiling = {"evaluation.networks": FULL_NETWORKS, "evaluation.max_steps": FULL_STEPS}
    return [*planned, Planned(Arm("full", "full", role="full"), configuration.with_method("full") | ceiling)]


def _extra_arms(options: Options[SuiteFlags], flags: SuiteFlags, suite_arms: Sequence[Planned]) -> list[Planned]:
    """The arms that `--method` adds, each once; `every` skips the arms that the suite has anyway.

    Raises: InputError, UnknownNameError or KnobError.
    """
    keys, configs = {*(item.arm.key for item in suite_arms), "full"}, [item.config for item in suite_arms]
    extra_arms: dict[str, Planned] = {}
    for spec in flags.methods:
        every = spec == "every"
        for text in registered_methods() if every else [spec]:
            item = arm_of(options, text)
            if item.arm.key not in keys and item.config not in configs:
                extra_arms[item.arm.key] = replace(item, arm=replace(item.arm, role="extra"))
            elif not every:
                raise InputError(f"--method {spec} is in the suite anyway")
    return list(extra_arms.values())


def _check_variant(changed: Flat, names: Sequence[str]) -> None:
    """Refuse a variant that changes more than the MI term, so that no base is its control, or that is the base.

    Raises: InputError.
    """
    for name in names:
        if not name.startswith("method.") or name.startswith("method.base"):
            raise InputError(f"--variant is for knobs of the MI term, got {name}; set it for all methods with --set")
    if changed["method.weight"] == 0:
        raise InputError("--variant weight=0 is the base alone, which is compared with already")


def _conditions(flags: SuiteFlags, sweep: Sweep, swept: Swept, unfit: Unfit) -> tuple[Condition, ...]:
    """The clean control, each kind at each severity, the conditions of `--condition`, and the grid, each once."""
    conditions = [CLEAN]
    left_out = {one for one, _ in unfit}
    for kind, severities in swept:
        kept = [severity for severity in severities if (kind, severity) not in left_out]
        conditions += [condition(f"{kind}={exact(severity)}") for severity in kept]
    conditions += [one if isinstance(one, Condition) else condition(one) for one in flags.conditions]
    if flags.grid:
        for first in sweep.grid:
            for second in sweep.crossed:
                parts = sorted((condition(first), condition(second)), key=lambda one: ORDER.index(one.stages[0]))
                conditions += [*parts, condition(*(part.text for part in parts))]
    for one in conditions:
        if one.cue is not None:
            raise InputError(
                f"{one.label} plants a cue, whose control is the same images with a cue that says nothing, not clean "
                "data; use studies/dataset_bias.py --cue"
            )
    unique = tuple(dict.fromkeys(conditions))
    if len(unique) == 1:
        raise InputError("nothing is perturbed: give --severities above the control, or a --condition")
    return unique


def _unfit(swept: Swept, classes: int) -> Unfit:
    """The default severities at which so few classes cannot be told apart, and why; those asked for are refused."""
    found = []
    for kind, severities in swept:
        name, _, knob = kind.partition(":")
        for severity in severities:
            component = PERTURBATIONS.build(name, {knob: severity})
            if isinstance(component, SymmetricNoise):
                try:
                    component.require_identifiable(classes)
                except KnobError as error:
                    found.append(((kind, severity), str(error)))
    return tuple(found)


def _swept(flags: SuiteFlags, sweep: Sweep, dataset: str) -> Swept:
    """The swept kinds as (kind:severity knob, severities), from the flags or the suite's defaults."""
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
        defaults = dict(sweep.quick if flags.quick else sweep.kinds) | ({} if not flags.kinds else dict(sweep.kinds))
        severities = flags.severities or defaults.get(kind) or stage_of(component).severities
        declared = next(item.metadata["knob"] for item in component_fields(component) if item.name == knob)
        for severity in severities:
            check_value(f"{kind}.{knob}", declared, severity)
        swept.append((f"{kind}:{knob}", severities))
    return swept


def skipped_kinds(dataset: str) -> tuple[str, ...]:
    """The kinds that a suite skips unless `--kinds` names them, because they are not defined on this data set."""
    return () if _has_semantic_map(dataset) else ("asymmetric",)


def _has_semantic_map(dataset: str) -> bool:
    """Whether asymmetric noise has a map of similar classes for this data set."""
    try:
        PERTURBATIONS.build("asymmetric", {"classes_as": dataset})
    except (InputError, KnobError):
        return False
    return dataset != "svhn"
