"""What the study of remedies can be asked: which noises and imbalances, which cleanings and knobs."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import ClassVar, Self

from mim4dd.configuration import assignments
from mim4dd.errors import InputError
from perturbations import Dropped, parse_chain
from studies.engine.flags import Flags, add_method_flag, require_distinct

NOISE = ("symmetric:rate=0.4", "pairflip:rate=0.4")
LOSS, CONFIDENT, ORACLE = "dropped:by=loss", "dropped:by=confident", "dropped:by=oracle"
# What small-loss selection leaves out where how many labels are wrong is not known before the data are.
SHARE = 0.2
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
            "default under noise: the images with the largest out-of-fold loss, about as many as the noise makes wrong "
            f"where classes have one size (of human labels, {SHARE:.0%}% of all), what confident learning finds, "
            f"and without --quick {' and '.join(ON_NOISE)}; under imbalance alone: {'; '.join(ON_IMBALANCE)}; "
            f"with --ipc 2 or more {SHARED_SET})",
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
