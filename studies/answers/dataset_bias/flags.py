"""The flags of the study of data sets' biases: the planted cue, the methods, and finished studies of other data."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from mim4dd.errors import InputError
from perturbations import PERTURBATIONS
from perturbations.cues.planting import STAGE, values_count
from studies.answers.comparing.added_studies import add_study_flag
from studies.engine.conditions import condition
from studies.engine.flags import Flags, add_method_flag, require_distinct

if TYPE_CHECKING:
    from mim4dd.records import Splits

NONE = "none"
# The correlation of an independent cue: one over the number of its values, on data of ten classes.
INDEPENDENT = {"grey": 0.5}
TENTH = 0.1
CORRELATIONS, QUICK = (0.5, 0.9, 0.95, 1.0), (0.9, 1.0)


@dataclass(frozen=True)
class BiasFlags(Flags):
    """A cue without its correlation, "" for the data as they are; the correlations, the independent one first.

    methods: specs; empty for the study's own. added: the folders of finished studies. usual: whether the independent
    correlation is the default, which follows the data.
    """

    cue: str
    correlations: tuple[float, ...]
    methods: tuple[str, ...] = ()
    added: tuple[Path, ...] = ()
    quick: bool = False
    usual: bool = False

    seeds: ClassVar[tuple[str, str]] = ("0-19", "0-4")
    one_base: ClassVar[bool] = False

    def on(self, splits: Splits) -> Self:
        """With the correlation at which the cue says nothing of these classes, unless another was given.

        Raises: InputError where no other correlation is left.
        """
        cue = condition(with_correlation(self.cue, self.correlations[0])).cue if self.usual else None
        if cue is None:
            return self
        independent = 1 / values_count(cue, splits.train)
        return replace(self, correlations=(independent, *_beyond(self.correlations[1:], independent)))

    def describe(self) -> str:
        """The design in words; without the added studies, which change no trial."""
        if not self.cue:
            return "every method on the data as they are"
        return f"every method under {self.cue} at correlations {', '.join(f'{each:g}' for each in self.correlations)}"

    def metadata(self) -> dict[str, Any]:
        """The added studies, which change the answer but no trial."""
        return {"added_studies": [str(path) for path in self.added]} if self.added else {}

    @staticmethod
    def add_to(parser: argparse.ArgumentParser) -> None:
        """Add the flags."""
        how = parser.add_argument_group("which bias")
        how.add_argument(
            "--cue",
            metavar="NAME[:KNOB=VALUE,...]",
            help="a planted cue: colour, colour:of=background, corruption_cue, grey; none for the data as they are "
            "(default: colour)",
        )
        how.add_argument(
            "--correlations",
            help="of cue and class, as 0.5,0.9,1 (default: "
            f"{', '.join(f'{each:g}' for each in CORRELATIONS)}; quick: {', '.join(f'{each:g}' for each in QUICK)})",
        )
        how.add_argument(
            "--independent",
            type=float,
            help="the correlation at which the cue says nothing: 1 over the number of its values (default: 0.1, of "
            "grey 0.5; on data of your own what they have)",
        )
        add_method_flag(
            how,
            "a method instead of the study's own (DM and DC, alone and with the term as strong as they), as in mtt or "
            "mim:base=dc,weight=1 (repeatable); random images and full data are always there",
        )
        add_study_flag(parser, "which kinds of data its gains are compared over")

    @classmethod
    def parse(cls, arguments: argparse.Namespace) -> Self:
        """Build the flags from parsed arguments and check their syntax.

        Raises: InputError or UnknownNameError.
        """
        cue, methods = arguments.cue or "colour", tuple(arguments.methods)
        require_distinct("--method", methods)
        rest = (methods, tuple(arguments.added), arguments.quick)
        if cue == NONE:
            for flag, given in (("--correlations", arguments.correlations), ("--independent", arguments.independent)):
                if given is not None:
                    raise InputError(f"{flag} is for a planted cue; leave it out with --cue none")
            return cls("", (), *rest)
        if "correlation=" in cue:
            raise InputError(f"--cue names a cue without its correlation, got {cue}; give --correlations")
        name, given = cue.partition(":")[0], arguments.independent
        if PERTURBATIONS.get(name).stage != STAGE:
            cues = [known for known in PERTURBATIONS.names() if PERTURBATIONS.get(known).stage == STAGE]
            raise InputError(f"--cue must be a planted cue, got {name}; known: {', '.join(cues)}")
        independent = INDEPENDENT.get(name, TENTH) if given is None else given
        correlations = (independent, *_correlations(arguments.correlations, arguments.quick, independent))
        return cls(cue, correlations, *rest, usual=given is None)


def with_correlation(cue: str, correlation: float) -> str:
    """The text of a cue at a correlation."""
    return f"{cue}{',' if ':' in cue else ':'}correlation={correlation!r}"


def _correlations(text: str | None, quick: bool, independent: float) -> tuple[float, ...]:
    """Raises: InputError for what are no numbers, or none that differs from the independent cue's."""
    try:
        asked = tuple(float(each) for each in text.split(",")) if text else QUICK if quick else CORRELATIONS
    except ValueError as error:
        raise InputError(f"--correlations must be numbers like 0.5,0.9,1, got '{text}'") from error
    require_distinct("--correlations", asked)
    return _beyond(asked, independent)


def _beyond(asked: Sequence[float], independent: float) -> tuple[float, ...]:
    """Raises: InputError for none that differs from the independent cue's."""
    beyond = tuple(sorted({each for each in asked if each != independent}))
    if not beyond:
        raise InputError(f"--correlations must have one besides {independent:g}, that of the independent cue")
    return beyond
