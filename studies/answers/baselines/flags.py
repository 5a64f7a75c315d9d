"""The flags of a baselines study: its methods, and the finished studies that join its ranks."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from mim4dd.errors import InputError
from mim4dd.registry import Knob, check_value
from studies.answers.comparing.added_studies import add_study_flag
from studies.answers.comparing.flags import ComparisonFlags
from studies.engine.flags import Flags
from studies.engine.wording import plural

MOST_SETTINGS = 200
CHOOSE_ON = 2


@dataclass(frozen=True)
class BaselinesFlags(Flags):
    """The methods of a comparison under one recipe, and finished studies on other data that its ranks include.

    methods: specs; empty for all registered ones. added: the paths of the finished studies' folders. tune: the number
    of settings of its own knobs that each method tries, its defaults among them, 0 for none; choose_on: the number of
    seeds, from the first on, whose validation accuracies choose among them.
    """

    methods: tuple[str, ...] = ()
    quick: bool = False
    added: tuple[Path, ...] = ()
    tune: int = 0
    choose_on: int = CHOOSE_ON

    one_base: ClassVar[bool] = False

    def describe(self) -> str:
        """The comparison in words; without the added studies, which change no trial."""
        text = "every method under one recipe with the same seeds"
        if not self.tune:
            return text
        return f"{text}, and each tuned over {self.tune} settings on the first {plural(self.choose_on, 'seed')}"

    def metadata(self) -> dict[str, Any]:
        """The added studies, which change the answer but no trial: more may be added to a finished study."""
        added = {"added_studies": [str(path) for path in self.added]} if self.added else {}
        return added | ({"tuned_on": self.choose_on} if self.tune else {})

    def require_seeds(self, seeds: int) -> None:
        """Raises: InputError for too few seeds to choose on some and decide on the others."""
        from studies.engine.statistics.contrasts import FEWEST_PAIRS

        needed = self.choose_on + FEWEST_PAIRS
        if self.tune and seeds < needed:
            raise InputError(
                f"--tune chooses on {plural(self.choose_on, 'seed')} and needs {FEWEST_PAIRS} others to decide on, got "
                f"{seeds}; give --seeds 0-{needed - 1}"
            )

    @staticmethod
    def add_to(parser: argparse.ArgumentParser) -> None:
        """Add the flags."""
        ComparisonFlags.add_to(parser)
        tuning = parser.add_argument_group("whether each method is tuned")
        tuning.add_argument(
            "--tune",
            type=int,
            metavar="N",
            help="each method with knobs to search tries N settings of its own knobs, its defaults among them, and the "
            "best on validation is measured on the other seeds",
        )
        tuning.add_argument(
            "--choose-on",
            type=int,
            metavar="N",
            help=f"with --tune, choose on the first N seeds (default: {CHOOSE_ON})",
        )
        add_study_flag(parser, "which blocks its ranks are over")

    @classmethod
    def parse(cls, arguments: argparse.Namespace) -> Self:
        """Build the flags from parsed arguments and check their syntax.

        Raises: InputError.
        """
        methods = ComparisonFlags.parse(arguments)
        if arguments.tune is not None:
            check_value("--tune", Knob(low=2, high=MOST_SETTINGS), arguments.tune)
        elif arguments.choose_on is not None:
            raise InputError("--choose-on is for --tune N, which chooses a setting of each method; give both")
        choose_on = CHOOSE_ON if arguments.choose_on is None else arguments.choose_on
        check_value("--choose-on", Knob(low=1), choose_on)
        return cls(methods.methods, methods.quick, tuple(arguments.added), arguments.tune or 0, choose_on)
