"""The flags of an ablation: its factors, its fraction, and which parts of the question to run."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from mim4dd.configuration import assignments
from mim4dd.errors import InputError
from studies.engine.flags import Flags

FACTORIAL, PLACEBOS, CRITICS = "factorial", "placebos", "critics"
PARTS = {
    FACTORIAL: "the term and its components, each present or absent",
    PLACEBOS: "the term against what takes its place",
    CRITICS: "every critic with every head and layers",
}
QUICK_PARTS = (FACTORIAL, PLACEBOS)
FRACTIONS = {f"1/{2**halvings}": halvings for halvings in range(4)}


@dataclass(frozen=True)
class AblationFlags(Flags):
    """Which factors vary, besides the term, and what is run.

    factors: the low and the high level of knobs, as text, by their names; halvings: 0 for the complete design, 1 for
    half of it, and so on; draws: how often the factorial is run, each time with other draws of the distillation;
    critics_asked: whether their part was named.
    """

    factors: dict[str, str]
    halvings: int = 0
    draws: int = 2
    parts: tuple[str, ...] = tuple(PARTS)
    quick: bool = False
    critics_asked: bool = False

    seeds: ClassVar[tuple[str, str]] = ("0-19", "0-4")

    def describe(self) -> str:
        """What is run, in words, for study.json and the report."""
        design = f"1/{2**self.halvings} of a factorial" if self.halvings else "a complete factorial"
        return f"{design} over the term and its components; parts: {', '.join(self.parts)}"

    def metadata(self) -> dict[str, Any]:
        """The parts, and the fraction, from which the answer knows the runs and their aliases."""
        return {"parts": list(self.parts), "halvings": self.halvings}

    @staticmethod
    def add_to(parser: argparse.ArgumentParser) -> None:
        """Add the flags."""
        how = parser.add_argument_group("what is taken apart")
        how.add_argument(
            "--factor", action="append", default=[], metavar="KEY=LOW,HIGH", dest="factors",
            help="a knob as one more component, absent at LOW and present at HIGH, or with other levels than its own "
            "(--set KEY=VALUE leaves one of the study's own components out)",
        )  # fmt: skip
        how.add_argument(
            "--fraction", default="1/1", choices=FRACTIONS,
            help="run a part of the factorial: effects with their aliases, no Shapley values (default: 1/1)",
        )  # fmt: skip
        how.add_argument(
            "--draws", type=int, choices=(1, 2),
            help="2 runs the factorial again with other draws of networks and images: the noise floor (default: 2)",
        )  # fmt: skip
        told = "; ".join(f"{name}: {what}" for name, what in PARTS.items())
        how.add_argument(
            "--part", action="append", choices=PARTS, dest="parts",
            help=f"{told} (repeatable; default: all; quick: all but {CRITICS})",
        )  # fmt: skip

    @classmethod
    def parse(cls, arguments: argparse.Namespace) -> Self:
        """Build the flags from parsed arguments and check their syntax.

        Raises: InputError.
        """
        factors, named = assignments(arguments.factors, "--factor"), arguments.parts
        for key, text in factors.items():
            levels = [level.strip() for level in text.split(",")]
            if len(levels) != 2 or not all(levels) or levels[0] == levels[1]:
                raise InputError(f"--factor {key} must be two different levels, LOW,HIGH, got '{text[:80]}'")
        usual = QUICK_PARTS if arguments.quick else tuple(PARTS)
        parts = tuple(part for part in PARTS if part in (named or usual))
        if FACTORIAL not in parts and (factors or FRACTIONS[arguments.fraction] or arguments.draws):
            raise InputError(f"--factor, --fraction and --draws are for the factorial; add --part {FACTORIAL}")
        critics_asked = CRITICS in (named or ())
        return cls(factors, FRACTIONS[arguments.fraction], arguments.draws or 2, parts, arguments.quick, critics_asked)
