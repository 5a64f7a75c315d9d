"""The flags of a stress suite: conditions, and what is run under them."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Self

from mim4dd.configuration import assignments
from mim4dd.errors import InputError
from studies.engine.conditions import Condition
from studies.engine.flags import Flags, add_method_flag, require_distinct

# Equal strength: with a fixed weight, the term's share of the gradient would depend on the scale of the base's loss.
# Beside it, the base with steps as long, to tell the effect of the term from that of its length.
VARIANTS = ("balance=gradnorm,weight=1", "balance=gradnorm,weight=1,direction=base")


@dataclass(frozen=True)
class SuiteFlags(Flags):
    """Which conditions, variants of the method and further methods a stress suite runs.

    kinds, severities: registered perturbations and the values of their main knob; empty for the suite's defaults.
    conditions: further chains of perturbations, as text, or read already. variants: knobs of the method that differ
    from the default.
    methods: specs of methods to run in addition to the base with and without the MI term; `every` for all.
    """

    kinds: tuple[str, ...] = ()
    severities: tuple[float, ...] = ()
    conditions: tuple[str | Condition, ...] = ()
    variants: tuple[dict[str, str], ...] = ()
    methods: tuple[str, ...] = ()
    grid: bool = False
    quick: bool = False

    def describe(self) -> str:
        """The suite in words, for study.json and the report."""
        return "every method under every condition" + (", noise and imbalance crossed" if self.grid else "")

    @staticmethod
    def add_to(parser: argparse.ArgumentParser) -> None:
        """Add the flags."""
        how = parser.add_argument_group("which conditions")
        how.add_argument("--kinds", help="perturbations that are swept, e.g. symmetric,pairflip (default: the suite's)")
        how.add_argument("--severities", help="their severities, e.g. 0.1,0.3 (default: the suite's)")
        how.add_argument(
            "--condition",
            action="append",
            default=[],
            metavar="NAME:KNOB=VALUE",
            dest="conditions",
            help="a condition instead of the suite's own, or besides them with --kinds or --severities; "
            "a chain is joined by +, as in exponential:factor=50+symmetric:rate=0.4",
        )
        how.add_argument("--grid", action="store_true", help="noise and imbalance together as well, crossed")
        how.add_argument(
            "--variant",
            action="append",
            default=[],
            metavar="KEY=VALUE,...",
            dest="variants",
            help="the method with other knobs too (default: balance=gradnorm,weight=1, the term as strong as the base, "
            "and the base with steps as long as with it, direction=base)",
        )
        add_method_flag(
            how,
            "another method beside the base, as in dc, mim:base=dc,weight=1 or herding; `every` is each base, "
            "alone, with the term as strong as it and with steps as long as with the term, and each coreset "
            "(repeatable)",
        )

    @classmethod
    def parse(cls, arguments: argparse.Namespace) -> Self:
        """Build the flags from parsed arguments and check their syntax.

        Raises: InputError.
        """
        kinds = tuple(kind.strip() for kind in arguments.kinds.split(",")) if arguments.kinds else ()
        try:
            severities = tuple(float(text) for text in arguments.severities.split(",")) if arguments.severities else ()
        except ValueError as error:
            raise InputError(f"--severities must be numbers like 0.1,0.3, got '{arguments.severities}'") from error
        for flag, values in (("--kinds", kinds), ("--severities", severities), ("--method", arguments.methods)):
            require_distinct(flag, values)
        variants = arguments.variants or VARIANTS
        return cls(
            kinds,
            severities,
            tuple(arguments.conditions),
            tuple(assignments(text.split(","), "--variant") for text in variants if text != "none"),
            tuple(arguments.methods),
            arguments.grid,
            arguments.quick,
        )
