"""Plans the study of remedies: every arm under each noise or imbalance, with each remedy and without, beside shams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from mim4dd.configuration import Configuration, apply, assignments
from mim4dd.errors import InputError
from mim4dd.methods import METHODS
from mim4dd.registry import Flat, knobs, unknown
from mim4dd.resolving import matching
from studies.answers.comparing.plan import set_knob
from studies.answers.mitigation.cleanings import cleaning_of, conditions
from studies.answers.mitigation.flags import ON_IMBALANCE, ON_NOISE, SHARED_SET, MitigationFlags
from studies.answers.stress.flags import VARIANTS, SuiteFlags
from studies.answers.stress.plan import Sweep, plan_stress
from studies.engine.arms import TERM, Arm, Level, Planned, cross, require_few, spec
from studies.engine.conditions import Condition
from studies.engine.options import Options
from studies.engine.plan import Plan
from studies.engine.sizes import NAMED

OF_METHOD = "method."
FALLING, CHOSEN, SHARE_SEEN = (f"{OF_METHOD}{knob}" for knob in ("last_weight", "positives", "positives_share"))
REMEDY, SHAM_ARM = "remedy", "sham"  # roles of arms
NO_SWEEP = Sweep("label noise", (), (), (), ())


def plan_mitigation(options: Options[MitigationFlags], configuration: Configuration) -> Plan:
    """Random real images, the base, the method at its default and as strong as its base, and full data.

    Raises: InputError, UnknownNameError or KnobError.
    """
    flags = options.flags
    if options.ipc == 1 and any(key.endswith("ipc_shares") for remedy in flags.knobs for key in remedy):
        raise InputError("--remedy ipc_shares changes no set of 1 image per class; give --ipc 2 or more")
    source = options.classes_as or str(configuration.flat["dataset"])
    size = options.read or NAMED.get(str(configuration.flat["dataset"]))
    # Not as text: in that a file has no path.
    chains = tuple(dict.fromkeys(conditions(flags, source, size.classes if size else None)))
    # A term as strong as its base; the longer step is a control of the term's, not of a remedy's.
    variants = (assignments(VARIANTS[0].split(","), "--variant"),)
    suite = SuiteFlags(conditions=chains, variants=variants, methods=flags.methods, quick=flags.quick)
    of_suite: Options[Any] = replace(options, flags=suite)  # type: ignore[arg-type]
    plan = plan_stress(of_suite, configuration, NO_SWEEP)
    # Remedies that are knobs meet no cleaned data: what a cleaning does beside them is not asked.
    factors = [replace(factor, levels=_not_cleaned(factor.levels, plan.conditions)) for factor in plan.factors]
    settings, trials = cross(_remedied(plan, flags), factors, options.seeds)
    numbered = (replace(one, setting=len(plan.settings) + one.setting) for one in settings)
    merged = {trial.hash: trial for trial in (*plan.trials, *trials)}  # a sham may be a method of the study
    require_few(len(merged))
    return replace(plan, settings=(*plan.settings, *numbered), trials=tuple(merged.values()))


def _not_cleaned(levels: tuple[Level, ...], conditions: Sequence[Condition]) -> tuple[Level, ...]:
    cleaned = {one.label for one in conditions if cleaning_of(one) is not None}
    return tuple(level for level in levels if level.label not in cleaned)


def _remedied(plan: Plan, flags: MitigationFlags) -> list[Planned]:
    """Each method that has a remedy's knobs, with them, paired with itself without; and the shams of these.

    Raises: InputError or KnobError for knobs that no method has, that change none, or that take the term away.
    """
    trials = {trial.hash: trial.config for trial in plan.trials}
    first = {setting.arm.key: setting for setting in reversed(plan.settings)}
    plain = [
        (setting.arm, {key: value for key, value in trials[setting.trials[0]].items() if key != "seed"})
        for setting in reversed(first.values())
        if not setting.arm.anchor and not setting.arm.placebo
    ]
    several = (SHARED_SET,) if any(int(config["ipc"]) > 1 for _, config in plain) else ()
    usual: tuple[str, ...] = () if flags.quick or flags.remedies else ON_NOISE
    if flags.imbalance and not flags.noise:
        usual = (*ON_IMBALANCE, *several)
    found: list[Planned] = []
    for remedy in flags.knobs or [assignments(text.split(","), "--remedy") for text in usual]:
        added = [made for arm, config in plain for made in _with_remedy(arm, config, remedy)]
        if not added and flags.knobs:
            _refuse(remedy, [config for _, config in plain])
        # The same remedy may be written in two ways: last_weight=0 and 0.0.
        taken = {one.arm.key for one in found}
        found += [one for one in added if one.arm.key not in taken]
    return found


def _refuse(remedy: Mapping[str, str], configs: Sequence[Flat]) -> NoReturn:
    """Raises: InputError for knobs that change no method or are of no method; UnknownNameError for an unknown one."""
    text = ",".join(f"{key}={value}" for key, value in remedy.items())
    for key in remedy:
        if any(set_knob(key, config, OF_METHOD) for config in configs) or matching(key, _KNOBS):
            continue
        if other := next(filter(None, (set_knob(key, config) for config in configs)), None):
            raise InputError(f"--remedy takes knobs of a method, and {other} is none; set it for all with --set")
        raise unknown("knob", key, _KNOBS)
    raise InputError(f"--remedy {text} changes no method of this study; give one that has it with --method")


_KNOBS = sorted({name for method in METHODS.names() for name in knobs(METHODS.get(method))})


def _with_remedy(arm: Arm, config: Flat, remedy: Mapping[str, str]) -> Iterator[Planned]:
    """The arm with a remedy, and its sham if it has one; nothing where the arm lacks a knob, or has its value already.

    The sham of a weight that falls has the mean of its weights all along; that of posterior weights has them at random
    among the images of a class; that of the positives most like the set has as many drawn.
    Raises: InputError for knobs that take the term away.
    """
    named = {set_knob(key, config, OF_METHOD): text for key, text in remedy.items()}
    own = {key: text for key, text in named.items() if key and _read_by(arm, key)}
    if len(own) < len(named) or (changed := apply(config, own)) == config:
        return
    if SHARE_SEEN in own and (changed.get(CHOSEN, "all") == "all" or changed.get(SHARE_SEEN) == 1):
        raise InputError("--remedy positives_share is below 1 and with positives=similar or positives=drawn")
    # A tacit knob at its default is in no configuration.
    values = {key: changed.get(key, text) for key, text in own.items()}
    with_it = Arm(f"{REMEDY}:{spec(arm.method, arm.knobs | values)}", arm.method, arm.knobs | values, arm.key, REMEDY)
    if arm.has_term and not with_it.has_term:
        text = ",".join(f"{key}={value}" for key, value in remedy.items())
        raise InputError(f"--remedy {text} takes the MI term away, which is a control of the term's and no remedy")
    yield Planned(with_it, changed)
    last = float(changed.get(FALLING, 1.0))
    shammed: Flat = {}
    if FALLING in own and last < 1:
        shammed |= {FALLING: 1.0, "method.weight": float(changed["method.weight"]) * (1 + last) / 2}
    shammed |= {key: "shuffled" for key in own if key.endswith(".batch_weights") and changed.get(key) == "posterior"}
    if CHOSEN in own and changed.get(CHOSEN) == "similar":
        shammed |= {CHOSEN: "drawn"}
    if shammed:
        kept = {key: value for key, value in (with_it.knobs | shammed).items() if (key, value) != (FALLING, 1.0)}
        sham = Arm(f"{SHAM_ARM}:{with_it.key}", arm.method, kept, with_it.key, SHAM_ARM)
        yield Planned(sham, apply(changed, shammed))


def _read_by(arm: Arm, key: str) -> bool:
    """Whether an arm reads a knob of its method: the base alone reads none of the term's."""
    of_base = arm.method != TERM or key.startswith("method.base.")
    return of_base or arm.has_term
