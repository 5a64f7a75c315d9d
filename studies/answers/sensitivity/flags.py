"""The flags of a sensitivity study: a design over knobs."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from mim4dd.configuration import assignments
from mim4dd.errors import InputError
from mim4dd.methods import METHODS
from mim4dd.registry import Knob, check_value, unknown
from studies.engine.arms import TERM
from studies.engine.design import FIXED, LATIN, SEARCHES, Design
from studies.engine.flags import Flags
from studies.engine.names import label_of
from studies.engine.space import own_knobs
from studies.engine.statistics.contrasts import FEWEST_PAIRS

# A thousand settings and their trials are planned in about six seconds.
MOST_SETTINGS = 1_000
# As many as decide anything, so that the contrasts of single knobs may be decided on them.
CHOOSE_ON = FEWEST_PAIRS


@dataclass(frozen=True)
class DesignFlags(Flags):
    """How the settings are chosen, and the perturbation under which the design runs as well."""

    design: Design = field(default_factory=Design)
    ranges: dict[str, str] = field(default_factory=dict)
    perturb: tuple[str, ...] = ()
    method: str = ""
    choose_on: int | None = None

    # The design that decides most a second (docs/results/design.md).
    seeds: ClassVar[tuple[str, str]] = ("0-13", "0-1")

    @property
    def interim(self) -> bool:
        return self.design.asha

    @property
    def adaptive_design(self) -> Design | None:
        return self.design if self.design.adaptive else None

    def choosing(self, seeds: int) -> int | None:
        """The number of seeds, from the first on, that every setting runs on; None for all.

        Raises: InputError for a number that leaves too few of the seeds to judge the best setting on.
        """
        if self.choose_on is None:
            return CHOOSE_ON if seeds >= CHOOSE_ON + FEWEST_PAIRS and not self.design.adaptive else None
        if self.choose_on > seeds - FEWEST_PAIRS:
            raise InputError(
                f"--choose-on must leave {FEWEST_PAIRS} of the seeds, which judge the best setting, got "
                f"{self.choose_on} of {seeds}"
            )
        return self.choose_on

    def describe(self) -> str:
        """The design in words."""
        return self.design.describe()

    def metadata(self) -> dict[str, Any]:
        """The question, where it is not about the MI term."""
        if not self.method:
            return {}
        name = label_of(self.method)
        return {
            "title": f"How sensitive is {name} to its hyperparameters?",
            "question": f"How does the accuracy of {name} depend on its own knobs, and are its defaults a lucky point?",
        }

    @staticmethod
    def add_to(parser: argparse.ArgumentParser) -> None:
        """Add the flags to a parser."""
        how = parser.add_argument_group("how it is designed")
        how.add_argument(
            "--method",
            help="study this method's own knobs instead of the MI term's, over the ranges that it declares; it is "
            "compared with random real images (iterations are a budget: --range iterations=LOW:HIGH varies them)",
        )
        how.add_argument(
            "--settings",
            type=int,
            help="settings tried besides the default and the base alone (default: 9)",
        )
        how.add_argument(
            "--design",
            help="latin, qmc, random, grid (fixed up front), or tpe, gp (searches) (default: latin for 4, 9, 25 or 49 "
            "settings, else qmc)",
        )
        how.add_argument(
            "--range",
            action="append",
            default=[],
            metavar="KEY=LOW:HIGH",
            dest="ranges",
            help="search a knob over low:high or a,b,c instead of its own range",
        )
        how.add_argument(
            "--choose-on",
            type=int,
            metavar="N",
            help="run every setting on the first N seeds, and the best of them on the others, which judge it (default: "
            f"{CHOOSE_ON} of {CHOOSE_ON + FEWEST_PAIRS} seeds and more; of fewer, every setting runs on all)",
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

    @classmethod
    def parse(cls, arguments: argparse.Namespace) -> Self:
        """The parsed flags, checked.

        Raises: InputError or UnknownNameError.
        """
        method = "" if arguments.method in (None, TERM) else arguments.method
        if method and arguments.base:
            raise InputError(
                f"--base is for the MI term, and --method {method} studies a method alone; give one of them"
            )
        usual = settings_for(len(own_knobs(METHODS.get(method)))) if method else LATIN[1]
        settings = usual if arguments.settings is None else arguments.settings
        name = arguments.design or ("latin" if settings in LATIN else "qmc")
        if name not in FIXED + SEARCHES:
            raise unknown("design", name, FIXED + SEARCHES)
        if arguments.asha and name in FIXED:
            raise InputError(f"--asha stops settings of a search; --design {name} runs them all: use tpe or gp")
        if arguments.perturb and name in SEARCHES:
            raise InputError("--perturb compares one fixed design on two kinds of data: use --design qmc, random, grid")
        check_value("--settings", Knob(low=1, high=MOST_SETTINGS), settings)
        if arguments.choose_on is not None:
            if name in SEARCHES:
                raise InputError("--choose-on is for a fixed design: use --design latin, qmc, random or grid")
            check_value("--choose-on", Knob(low=1), arguments.choose_on)
        check_value("--design-seed", Knob(low=0, high=2**32 - 1), arguments.design_seed)
        if arguments.design_seed and name == "grid":
            raise InputError("--design-seed draws a design and --design grid has no draw; give only one of them")
        design = Design(name, settings, arguments.design_seed, arguments.asha)
        ranges = assignments(arguments.ranges, "--range")
        return cls(design, ranges, tuple(arguments.perturb), method, arguments.choose_on)


def settings_for(knobs: int) -> int:
    """The least settings of a Latin hypercube of so many knobs, 9 at least."""
    return next((count for count in LATIN[1:] if knobs <= math.isqrt(count) + 1), LATIN[-1])
