"""Plans the study of remedies: every arm under each noise or imbalance, with each remedy and without, beside shams."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, ClassVar, NoReturn, Self

from mim4dd.configuration import Configuration, apply, assignments
from mim4dd.errors import InputError
from mim4dd.methods import METHODS
from mim4dd.registry import Flat, knobs, unknown
from mim4dd.resolving import matching
from perturbations import NEEDS_CLEANLAB, STAGES, Dropped, expected_share, parse_chain, stage_of
from studies.answers.comparing.plan import set_knob
from studies.answers.stress.flags import VARIANTS, SuiteFlags
from studies.answers.stress.plan import Sweep, plan_stress
from studies.engine.arms import TERM, Arm, Level, Planned, cross, require_few, spec
from studies.engine.conditions import Condition, condition
from studies.engine.flags import Flags, add_method_flag, require_distinct
from studies.engine.options import Options
from studies.engine.plan import Plan
from studies.engine.sizes import NAMED

NOISE = ("symmetric:rate=0.4", "pairflip:rate=0.4")
LOSS, CONFIDENT, ORACLE = "dropped:by=loss", "dropped:by=confident", "dropped:by=oracle"
# Against imbalance: batches as the data are, also with a critic that is told the shares; experts that see all classes
# alike; a term that is gone in the end.
ON_IMBALANCE = (
    *("batch_shares=proportional", "batch_shares=proportional,prior=added"),
    *("expert_sampling=balanced", "last_weight=0"),
)
# Under noise, besides cleaning: images drawn as often as their label is likely, a term that sees the half of them that
# is most like the set, and one that is gone in the end.
ON_NOISE = ("batch_weights=posterior", "positives=similar", "last_weight=0")
# With more than one image a class: as many of each as the data's own shares give it.
SHARED_SET = "ipc_shares=proportional"
FALLING, CHOSEN, SHARE_SEEN = "method.last_weight", "method.positives", "method.positives_share"
REMEDY, SHAM_ARM = "remedy", "sham"  # roles of arms
# What small-loss selection leaves out where how many labels are wrong is not known before the data are.
SHARE = 0.2
NO_SWEEP = Sweep("label noise", (), (), (), ())


@dataclass(frozen=True)
class MitigationFlags(Flags):
    """Which noise is cleaned, by which remedies, and for which methods.

    noise, imbalance: chains, as text; remedies: cleanings; knobs: assignments to knobs, which are remedies too;
    methods: specs.
    """

    seeds: ClassVar[tuple[str, str]] = ("0-4", "0-4")  # fewer decide nothing

    noise: tuple[str, ...] = ()
    imbalance: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()
    knobs: tuple[dict[str, str], ...] = ()
    methods: tuple[str, ...] = ()
    quick: bool = False

    def describe(self) -> str:
        if self.knobs or self.imbalance:
            return "every remedy under every condition, beside shams"
        return "every remedy under every noise, beside an oracle and shams"

    @staticmethod
    def add_to(parser: argparse.ArgumentParser) -> None:
        """Add the flags."""
        how = parser.add_argument_group("which remedies")
        how.add_argument(
            "--noise",
            action="append",
            default=[],
            metavar="NAME:KNOB=VALUE",
            help="a noise to clean, as in asymmetric:rate=0.4 or exponential:factor=10+symmetric:rate=0.4 (repeatable; "
            f"default: {', '.join(NOISE)})",
        )
        how.add_argument(
            "--imbalance",
            action="append",
            default=[],
            metavar="NAME:KNOB=VALUE",
            help="unequal classes instead of noise, as in exponential:factor=10 (repeatable; with --noise: both)",
        )
        how.add_argument(
            "--remedy",
            action="append",
            default=[],
            dest="remedies",
            metavar="REMEDY",
            help="a cleaning, as in dropped:by=loss,share=0.3, or knobs of a method, as in last_weight=0 (repeatable; "
            "default under noise: the images with the largest out-of-fold loss, as many as the noise has wrong labels "
            f"(of human labels, {SHARE:.0%}% of all), what confident learning finds, and without --quick "
            f"{' and '.join(ON_NOISE)}; under imbalance alone: {'; '.join(ON_IMBALANCE)}; with --ipc 2 or more "
            f"{SHARED_SET})",
        )
        add_method_flag(how, "another method beside the base, as in dc or mim:base=dc,weight=1 (repeatable)")

    @classmethod
    def parse(cls, arguments: argparse.Namespace) -> Self:
        """Build the flags from parsed arguments.

        Raises: InputError, UnknownNameError or KnobError for a remedy that is no cleaning, or is the oracle or a sham.
        """
        cleanings = [text for text in arguments.remedies if "=" not in text.partition(":")[0]]
        knobs = [text for text in arguments.remedies if text not in cleanings]
        for text in cleanings:
            (component, *others) = parse_chain([text])
            if others or not isinstance(component, Dropped):
                raise InputError(f"--remedy takes a cleaning, such as {LOSS},share=0.3; {text} is none")
            if component.by != "loss" and "share=" in text:
                raise InputError(f"--remedy {text}: share is for by=loss, the others find out how many they leave out")
            if component.by == "loss" and component.share == 0:
                raise InputError(f"--remedy {text} leaves nothing out; give a share above 0")
            if component.sham or component.by == "oracle":
                raise InputError("--remedy needs no oracle and no sham: both are always among the conditions")
        require_distinct("--method", arguments.methods)
        for text in knobs:
            if "batch_weights=shuffled" in text:
                raise InputError(f"--remedy {text} is the sham of batch_weights=posterior, beside which it always runs")
        if arguments.imbalance and not arguments.noise and cleanings:
            raise InputError(
                f"--remedy {cleanings[0]} drops wrong labels, of which --imbalance makes none; add --noise"
            )
        return cls(
            tuple(arguments.noise),
            tuple(arguments.imbalance),
            tuple(cleanings),
            tuple(assignments(text.split(","), "--remedy") for text in knobs),
            tuple(arguments.methods),
            arguments.quick,
        )


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
    """Raises: InputError for knobs that change no method; UnknownNameError for one that none could have."""
    text = ",".join(f"{key}={value}" for key, value in remedy.items())
    for key in remedy:
        if not any(set_knob(key, config) for config in configs) and not matching(key, _KNOBS):
            raise unknown("knob", key, _KNOBS)
    raise InputError(f"--remedy {text} changes no method of this study; give one that has it with --method")


_KNOBS = sorted({name for method in METHODS.names() for name in knobs(METHODS.get(method))})


def _with_remedy(arm: Arm, config: Flat, remedy: Mapping[str, str]) -> Iterator[Planned]:
    """The arm with a remedy, and its sham if it has one; nothing where the arm lacks a knob, or has its value already.

    The sham of a weight that falls has the mean of its weights all along; that of posterior weights has them at random
    among the images of a class; that of the positives most like the set has as many drawn.
    Raises: InputError for knobs that take the term away.
    """
    named = {set_knob(key, config): text for key, text in remedy.items()}
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
    return key.startswith("method.") and (of_base or arm.has_term)


def conditions(flags: MitigationFlags, source: str, classes: int | None) -> list[Condition]:
    """Each noise as it is, after each remedy, after its sham and after the oracle; each remedy on clean data too.

    source: the name whose classes the data have; classes: their number, None if it is unknown.

    Raises: InputError, UnknownNameError or KnobError.
    """
    found, on_clean = [], []
    usual = () if flags.imbalance else NOISE[:1] if flags.quick else NOISE
    for text in flags.imbalance:
        if set((imbalanced := condition(text)).stages) != {"imbalance"}:
            raise InputError(f"--imbalance {text} is not imbalance alone; give one such as exponential:factor=10")
        found.append(imbalanced)
    for text in flags.noise or usual:
        noise = condition(text)
        if not noise.noisy:
            raise InputError(f"--noise {text} leaves all labels right, so there is nothing to clean")
        if any(STAGES[stage].of_pixels for stage in noise.stages):
            raise InputError(
                f"--noise {text} changes pixels after labels, and cleaning comes between; give label noise"
            )
        found.append(noise)
        cleanings = flags.remedies or ([] if flags.knobs else _remedies(noise, flags.quick, source, classes))
        for remedy in cleanings:
            _require_cleanlab(remedy)
            sham = f"{remedy}{',' if ':' in remedy else ':'}sham=True"
            found += [condition(text, remedy), condition(text, sham)]
            on_clean.append(condition(remedy))
        found.append(condition(text, ORACLE))
    return [*found, *on_clean]


def _require_cleanlab(remedy: str) -> None:
    """Raises: InputError for confident learning where it is not installed: each of its trials would fail."""
    cleaning = cleaning_of(condition(remedy))
    if cleaning is not None and cleaning.by == "confident" and find_spec("cleanlab") is None:
        raise InputError(f"--remedy {NEEDS_CLEANLAB}")


def _remedies(noise: Condition, quick: bool, source: str, classes: int | None) -> list[str]:
    """Small-loss selection of as many images as have a wrong label, and confident learning where it is installed."""
    shares = [expected_share(one, source, classes) for one in noise.perturbations if stage_of(one).relabels]
    share = next((float(f"{share:.3g}") for share in shares if share), SHARE)
    confident = [] if quick or find_spec("cleanlab") is None else [CONFIDENT]
    return [f"{LOSS},share={share}", *confident]


def cleaning_of(one: Condition) -> Dropped | None:
    """The cleaning with which a condition's chain ends; None where it has none."""
    last = one.text.split(" + ")[-1]
    if not last.startswith("dropped:"):
        return None
    (component,) = parse_chain([last])
    return component if isinstance(component, Dropped) else None
