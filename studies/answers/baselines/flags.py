"""The flags of a baselines study: its methods, and the finished studies that join its ranks."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from studies.answers.comparing.added_studies import add_study_flag
from studies.answers.comparing.flags import ComparisonFlags
from studies.engine.flags import Flags


@dataclass(frozen=True)
class BaselinesFlags(Flags):
    """The methods of a comparison under one recipe, and finished studies on other data that its ranks include.

    methods: specs; empty for all registered ones. added: the paths of the finished studies' folders.
    """

    methods: tuple[str, ...] = ()
    quick: bool = False
    added: tuple[Path, ...] = ()

    one_base: ClassVar[bool] = False

    def describe(self) -> str:
        """The comparison in words; without the added studies, which change no trial."""
        return "every method under one recipe with the same seeds"

    def metadata(self) -> dict[str, Any]:
        """The added studies, which change the answer but no trial: more may be added to a finished study."""
        return {"added_studies": [str(path) for path in self.added]} if self.added else {}

    @staticmethod
    def add_to(parser: argparse.ArgumentParser) -> None:
        """Add the flags."""
        ComparisonFlags.add_to(parser)
        add_study_flag(parser, "which blocks its ranks are over")

    @classmethod
    def parse(cls, arguments: argparse.Namespace) -> Self:
        """Build the flags from parsed arguments and check their syntax.

        Raises: InputError.
        """
        methods = ComparisonFlags.parse(arguments)
        return cls(methods.methods, methods.quick, tuple(arguments.added))
