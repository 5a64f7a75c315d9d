"""Plans the study of remedies: every arm under each noise, cleaned and not, beside an oracle and shams."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, ClassVar, Self

from mim4dd.configuration import Configuration, assignments
from mim4dd.errors import InputError
from perturbations import Dropped, parse_chain
from studies.answers.stress.flags import VARIANTS, SuiteFlags
from studies.answers.stress.plan import Sweep, plan_stress
from studies.engine.conditions import Condition, condition
from studies.engine.flags import Flags, add_method_flag
from studies.engine.options import Options
from studies.engine.plan import Plan

NOISE = ("symmetric:rate=0.4", "pairflip:rate=0.4")
LOSS, CONFIDENT, ORACLE = "dropped:by=loss", "dropped:by=confident", "dropped:by=oracle"
SHAM = ",sham=True"
# What small-loss selection leaves out of data whose noise has no rate.
SHARE = 0.2
NO_SWEEP = Sweep("label noise", (), (), (), ())


@dataclass(frozen=True)
class MitigationFlags(Flags):
    """Which noise is cleaned, by which remedies, and for which methods. noise: chains, as text; methods: specs."""

    seeds: ClassVar[tuple[str, str]] = ("0-4", "0-4")  # fewer decide nothing

    noise: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    quick: bool = False

    def describe(self) -> str:
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
            "--remedy",
            action="append",
            default=[],
            dest="remedies",
            metavar="dropped:by=...",
            help="a cleaning, as in dropped:by=loss,share=0.3 (repeatable; default: the images with the largest "
            "out-of-fold loss, as many as the noise has wrong labels, and what confident learning finds)",
        )
        add_method_flag(how, "another method beside the base, as in dc or mim:base=dc,weight=1 (repeatable)")

    @classmethod
    def parse(cls, arguments: argparse.Namespace) -> Self:
        """Build the flags from parsed arguments.

        Raises: InputError, UnknownNameError or KnobError for a remedy that is no cleaning, or is the oracle or a sham.
        """
        for text in arguments.remedies:
            (component, *others) = parse_chain([text])
            if others or not isinstance(component, Dropped):
                raise InputError(f"--remedy takes a cleaning, such as {LOSS},share=0.3; {text} is none")
            if component.sham or component.by == "oracle":
                raise InputError("--remedy needs no oracle and no sham: both are always among the conditions")
        methods = tuple(dict.fromkeys(arguments.methods))
        return cls(tuple(arguments.noise), tuple(arguments.remedies), methods, arguments.quick)


def plan_mitigation(options: Options[MitigationFlags], configuration: Configuration) -> Plan:
    """Random real images, the base, the method at its default and as strong as its base, and full data.

    Raises: InputError, UnknownNameError or KnobError.
    """
    flags = options.flags
    chains = tuple(dict.fromkeys(each.text for each in conditions(flags)))
    # A term as strong as its base; the longer step is a control of the term's, not of a remedy's.
    variants = (assignments(VARIANTS[0].split(","), "--variant"),)
    suite = SuiteFlags(conditions=chains, variants=variants, methods=flags.methods, quick=flags.quick)
    of_suite: Options[Any] = replace(options, flags=suite)  # type: ignore[arg-type]
    return plan_stress(of_suite, configuration, NO_SWEEP)


def conditions(flags: MitigationFlags) -> list[Condition]:
    """Each noise as it is, after each remedy, after its sham and after the oracle; each remedy on clean data too.

    Raises: InputError, UnknownNameError or KnobError.
    """
    found, on_clean = [], []
    for text in flags.noise or (NOISE[:1] if flags.quick else NOISE):
        noise = condition(text)
        if not noise.noisy:
            raise InputError(f"--noise {text} leaves all labels right, so there is nothing to clean")
        found.append(noise)
        for remedy in flags.remedies or _remedies(noise, flags.quick):
            found += [condition(text, remedy), condition(text, remedy + SHAM)]
            on_clean.append(condition(remedy))
        found.append(condition(text, ORACLE))
    return [*found, *on_clean]


def _remedies(noise: Condition, quick: bool) -> list[str]:
    """Small-loss selection of as many images as have a wrong label, and confident learning where it is installed."""
    rates = [getattr(one, "rate", None) for one in noise.perturbations]
    share = next((rate for rate in rates if rate), SHARE)
    confident = [] if quick or find_spec("cleanlab") is None else [CONFIDENT]
    return [f"{LOSS},share={share}", *confident]


def cleaning_of(one: Condition) -> Dropped | None:
    """The cleaning with which a condition's chain ends; None where it has none."""
    last = one.text.split(" + ")[-1]
    if not last.startswith("dropped:"):
        return None
    (component,) = parse_chain([last])
    return component if isinstance(component, Dropped) else None
