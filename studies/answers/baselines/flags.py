"""The flags of a baselines study: its methods, and finished studies that join its ranks."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from studies.answers.comparing.flags import ComparisonFlags
from studies.engine.flags import Flags


@dataclass(frozen=True)
class BaselinesFlags(Flags):
    """A comparison of methods under one recipe, and finished ones on other data that its ranks are taken over too.

    added: their study folders, as given.
    """

    methods: tuple[str, ...] = ()
    quick: bool = False
    added: tuple[Path, ...] = ()

    def describe(self) -> str:
        """The comparison in words; without the studies that were added, which decide no trial."""
        return "every method under one recipe with the same seeds"

    def metadata(self) -> dict[str, Any]:
        """The added studies: the same study may be answered again with more of them."""
        return {"added_studies": [str(path) for path in self.added]} if self.added else {}

    @staticmethod
    def add_to(parser: argparse.ArgumentParser) -> None:
        """Add the flags."""
        ComparisonFlags.add_to(parser)
        how = parser.add_argument_group("which blocks its ranks are over")
        how.add_argument(
            "--add-study",
            action="append",
            default=[],
            type=Path,
            dest="added",
            metavar="OUT",
            help="the folder of a finished study of the same methods on another data set or ipc: one more block "
            "(repeatable)",
        )

    @classmethod
    def parse(cls, arguments: argparse.Namespace) -> Self:
        """The parsed flags, checked as far as words go.

        Raises: InputError.
        """
        methods = ComparisonFlags.parse(arguments)
        return cls(methods.methods, methods.quick, tuple(arguments.added))
