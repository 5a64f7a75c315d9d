"""What one kind of study asks for besides what all ask: a design over knobs, conditions, or methods to compare."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from mim4dd.configuration import assignments
from mim4dd.errors import InputError
from mim4dd.registry import unknown
from studies.engine.design import FIXED, SEARCHES


class Asked(Protocol):
    """What a study's command line has besides what all studies have: its flags, and the record that they become.

    seeds: the default, and that of `--quick`; adaptive: an optimizer suggests settings while the study runs; told: in
    words, for study.json and the report; of: the parsed flags, checked.
    """

    seeds: ClassVar[tuple[str, str]]

    @property
    def adaptive(self) -> bool: ...

    def told(self) -> str: ...

    @staticmethod
    def flags(parser: argparse.ArgumentParser) -> None: ...

    @staticmethod
    def of(found: argparse.Namespace) -> Asked: ...


@dataclass(frozen=True)
class Design:
    """How the settings of a sensitivity study are chosen."""

    name: str = "qmc"
    settings: int = 16
    seed: int = 0
    asha: bool = False
    ranges: dict[str, str] = field(default_factory=dict)

    # How many sets a setting is judged by: here the settings are many, and the seeds are pooled over them.
    seeds: ClassVar[tuple[str, str]] = ("0-2", "0-1")

    @property
    def adaptive(self) -> bool:
        """Whether an optimizer suggests the settings while the study runs."""
        return self.name in SEARCHES

    def told(self) -> str:
        """The design in words, as study.json and the report state it."""
        again = f", draw {self.seed}" if self.seed else ""
        return f"{self.name}{' with ASHA' if self.asha else ''}, {self.settings} settings{again}"

    @staticmethod
    def flags(parser: argparse.ArgumentParser) -> None:
        """Add the flags."""
        how = parser.add_argument_group("how it is designed")
        how.add_argument(
            "--settings",
            type=int,
            help="settings tried besides the default and the base alone (default: 16; quick: 8)",
        )
        how.add_argument(
            "--design", default="qmc", help="qmc, random, grid (fixed up front), or tpe, gp (searches) (default: qmc)"
        )
        how.add_argument(
            "--range",
            action="append",
            default=[],
            metavar="KEY=LOW:HIGH",
            dest="ranges",
            help="search a knob over low:high or a,b,c instead of its own range",
        )
        how.add_argument("--asha", action="store_true", help="stop poor settings of a search early")
        how.add_argument("--design-seed", type=int, default=0, help="another draw of the design (default: 0)")
        how.add_argument(
            "--perturb",
            action="append",
            default=[],
            metavar="NAME:KNOB=VALUE",
            help="the same design on perturbed training data too, compared with the clean one setting by setting",
        )

    @staticmethod
    def of(found: argparse.Namespace) -> Design:
        """The parsed flags, checked.

        Raises: InputError or UnknownNameError.
        """
        if found.design not in FIXED + SEARCHES:
            raise unknown("design", found.design, FIXED + SEARCHES)
        if found.asha and found.design in FIXED:
            raise InputError(f"--asha stops settings of a search; --design {found.design} runs them all: use tpe or gp")
        if found.perturb and found.design in SEARCHES:
            raise InputError("--perturb compares one fixed design on two kinds of data: use --design qmc, random, grid")
        settings = found.settings if found.settings is not None else 8 if found.quick else 16
        if settings < 1:
            raise InputError(f"--settings must be at least 1, got {settings}")
        return Design(found.design, settings, found.design_seed, found.asha, assignments(found.ranges, "--range"))


# The term as strong as the base: at its default weight it is as weak or strong as the scale of each base's own loss
# makes it.
TERM = "balance=gradnorm,weight=1"


def _method_flag(group: argparse._ArgumentGroup, told: str) -> None:
    """Add `--method`, which may be repeated."""
    group.add_argument(
        "--method", action="append", default=[], metavar="NAME[:KNOB=VALUE,...]", dest="methods", help=told
    )


@dataclass(frozen=True)
class Suite:
    """Which conditions a stress suite runs, and which variants of the method it takes along.

    kinds, severities: registered perturbations and the values of their main knob; empty for the suite's own.
    conditions: further chains, as given. variants: settings of the method's knobs besides the default.
    methods: others that are run beside the base and the MI term on it, as given; `every` is all that there are.
    """

    kinds: tuple[str, ...] = ()
    severities: tuple[float, ...] = ()
    conditions: tuple[str, ...] = ()
    variants: tuple[dict[str, str], ...] = ()
    methods: tuple[str, ...] = ()
    grid: bool = False
    quick: bool = False

    # Every sentence of a suite is an interval over its seeds.
    seeds: ClassVar[tuple[str, str]] = ("0-4", "0-2")

    @property
    def adaptive(self) -> bool:
        """A suite's conditions are all known beforehand."""
        return False

    def told(self) -> str:
        """The suite in words."""
        return "every method under every condition" + (", noise and imbalance crossed" if self.grid else "")

    @staticmethod
    def flags(parser: argparse.ArgumentParser) -> None:
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
            help="the method with other knobs too (default: balance=gradnorm,weight=1, the term as strong as the base)",
        )
        _method_flag(
            how,
            "another method beside the base, as in dc, mim:base=dc,weight=1 or herding; `every` is each base, "
            "alone and with the term as strong as it, and each coreset (repeatable)",
        )

    @staticmethod
    def of(found: argparse.Namespace) -> Suite:
        """The parsed flags, checked as far as words go.

        Raises: InputError.
        """
        kinds = tuple(kind.strip() for kind in found.kinds.split(",")) if found.kinds else ()
        try:
            severities = tuple(float(text) for text in found.severities.split(",")) if found.severities else ()
        except ValueError as error:
            raise InputError(f"--severities must be numbers like 0.1,0.3, got '{found.severities}'") from error
        variants = found.variants or [TERM]
        return Suite(
            kinds,
            severities,
            tuple(found.conditions),
            tuple(assignments(text.split(","), "--variant") for text in variants if text != "none"),
            tuple(dict.fromkeys(found.methods)),
            found.grid,
            found.quick,
        )


@dataclass(frozen=True)
class Comparison:
    """Which methods a comparison holds against each other; empty for the study's own."""

    methods: tuple[str, ...] = ()
    quick: bool = False

    seeds: ClassVar[tuple[str, str]] = ("0-4", "0-2")

    @property
    def adaptive(self) -> bool:
        """The methods are all known beforehand."""
        return False

    def told(self) -> str:
        """The comparison in words."""
        return "every method with the same seeds"

    @staticmethod
    def flags(parser: argparse.ArgumentParser) -> None:
        """Add the flags."""
        how = parser.add_argument_group("which methods")
        _method_flag(
            how,
            "a method instead of the study's own, as in dc:batch_real=32 or mim:base=dsa,weight=1 (repeatable)",
        )

    @staticmethod
    def of(found: argparse.Namespace) -> Comparison:
        """The parsed flags, checked as far as words go.

        Raises: InputError.
        """
        if len(set(found.methods)) < len(found.methods):
            raise InputError("--method names a method twice with the same knobs")
        return Comparison(tuple(found.methods), found.quick)


@dataclass(frozen=True)
class Blocks:
    """A comparison of methods under one recipe, and finished ones on other data that its ranks are taken over too.

    beside: their study folders, as given.
    """

    methods: tuple[str, ...] = ()
    quick: bool = False
    beside: tuple[Path, ...] = ()

    seeds: ClassVar[tuple[str, str]] = Comparison.seeds

    @property
    def adaptive(self) -> bool:
        """The methods are all known beforehand."""
        return False

    def told(self) -> str:
        """The comparison in words; not what stands beside it, which decides no trial."""
        return "every method under one recipe with the same seeds"

    @staticmethod
    def flags(parser: argparse.ArgumentParser) -> None:
        """Add the flags."""
        Comparison.flags(parser)
        how = parser.add_argument_group("which blocks its ranks are over")
        how.add_argument(
            "--beside",
            action="append",
            default=[],
            type=Path,
            metavar="OUT",
            help="the folder of a finished study of the same methods on another data set or ipc: one more block "
            "(repeatable)",
        )

    @staticmethod
    def of(found: argparse.Namespace) -> Blocks:
        """The parsed flags, checked as far as words go.

        Raises: InputError.
        """
        methods = Comparison.of(found)
        return Blocks(methods.methods, methods.quick, tuple(found.beside))
