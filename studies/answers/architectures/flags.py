"""The flags of the study of networks: its methods, the networks that judge and distil, and the learning rates."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from mim4dd.errors import InputError
from studies.answers.comparing.flags import ComparisonFlags
from studies.engine.flags import Flags, require_distinct

NONE, EVERY = "none", "every"
RATES, QUICK_RATES = (0.003, 0.01, 0.03, 0.1), (0.01, 0.03)
# The base that is distilled on other networks too, where none is named.
ELSEWHERE = "dm"


@dataclass(frozen=True)
class ArchitecturesFlags(Flags):
    """Methods and networks as texts, empty (None for networks) for the study's own.

    networks: those that judge every set; distil_on: those on which the bases of `elsewhere` are distilled too; rates:
    among which a network's learning rate is chosen besides the recipe's, none to keep that.
    """

    methods: tuple[str, ...] = ()
    networks: tuple[str, ...] | None = None
    distil_on: tuple[str, ...] | None = None
    elsewhere: tuple[str, ...] = ()
    rates: tuple[float, ...] = RATES
    quick: bool = False

    seeds: ClassVar[tuple[str, str]] = ("0-4", "0-4")
    one_base: ClassVar[bool] = False

    def describe(self) -> str:
        """The comparison in words, for study.json and the report."""
        return "every set on many networks, with the same seeds"

    @staticmethod
    def add_to(parser: argparse.ArgumentParser) -> None:
        """Add the flags."""
        ComparisonFlags.add_to(parser)
        how = parser.add_argument_group("which networks")
        add = how.add_argument
        add(
            "--network", action="append", metavar="NAME[:KNOB=VALUE,...]", dest="networks",
            help="a network that judges every set besides the study's own; every, or none of the others (repeatable; "
            "default: what the protocol can afford)",
        )  # fmt: skip
        add(
            "--distil-on", action="append", metavar="NAME[:KNOB=VALUE,...]", dest="distil_on",
            help="a network besides the study's own on which the bases of --elsewhere are distilled too; none "
            "(repeatable; default: mlp, and the ConvNet with batch norm)",
        )  # fmt: skip
        add(
            "--elsewhere", action="append", default=[], metavar="BASE",
            help=f"a base to distil on the networks of --distil-on (repeatable; default: {ELSEWHERE})",
        )  # fmt: skip
        add(
            "--rate", metavar="LR,...", dest="rates",
            help="learning rates among which each network's is chosen for each set, by one network on validation "
            f"images, besides the recipe's own; none to keep that (default: {_written(RATES)}; quick: "
            f"{_written(QUICK_RATES)})",
        )  # fmt: skip

    @classmethod
    def parse(cls, arguments: argparse.Namespace) -> Self:
        """Build the flags from parsed arguments and check their syntax.

        Raises: InputError.
        """
        methods = ComparisonFlags.parse(arguments).methods
        networks, distil_on = (
            None if texts is None else tuple(texts) for texts in (arguments.networks, arguments.distil_on)
        )
        for flag, texts, words in (
            ("--network", networks or (), (NONE, EVERY)),
            ("--distil-on", distil_on or (), (NONE,)),
        ):
            alone = [text for text in texts if text in words]
            if alone and len(texts) > 1:
                raise InputError(f"{flag} {alone[0]} is given with others; give it alone")
            require_distinct(flag, texts)
        elsewhere = tuple(arguments.elsewhere)
        if elsewhere and distil_on == (NONE,):
            raise InputError(
                "--elsewhere names a base for other networks and --distil-on none has none; give one of them"
            )
        require_distinct("--elsewhere", elsewhere)
        usual = QUICK_RATES if arguments.quick else RATES
        rates = usual if arguments.rates is None else _rates(arguments.rates)
        return cls(methods, networks, distil_on, elsewhere, rates, arguments.quick)


def _written(rates: Sequence[float]) -> str:
    return ",".join(f"{rate:g}" for rate in rates)


def _rates(text: str) -> tuple[float, ...]:
    """The learning rates of a text such as `0.001,0.01`, in ascending order; none for `none`.

    Raises: InputError.
    """
    if text == NONE:
        return ()
    try:
        rates = [float(part) for part in text.split(",")]
    except ValueError:
        rates = []
    if not rates or not all(0 < rate < math.inf for rate in rates):
        raise InputError(f"--rate must be learning rates above 0, as 0.001,0.01, or none; got '{text[:80]}'")
    require_distinct("--rate", rates)
    return tuple(sorted(rates))
