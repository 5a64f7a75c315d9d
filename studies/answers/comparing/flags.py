"""The flags of a comparison: its methods."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import ClassVar, Self

from studies.engine.flags import Flags, add_method_flag, require_distinct


@dataclass(frozen=True)
class ComparisonFlags(Flags):
    """The methods of a comparison, as specs; empty for the study's defaults."""

    methods: tuple[str, ...] = ()
    quick: bool = False

    one_base: ClassVar[bool] = False

    def describe(self) -> str:
        """The comparison in words, for study.json and the report."""
        return "every method with the same seeds"

    @staticmethod
    def add_to(parser: argparse.ArgumentParser) -> None:
        """Add the flags."""
        how = parser.add_argument_group("which methods")
        add_method_flag(
            how,
            "a method instead of the study's own, as in dc:batch_real=32 or mim:base=dsa,weight=1 (repeatable)",
        )

    @classmethod
    def parse(cls, arguments: argparse.Namespace) -> Self:
        """Build the flags from parsed arguments and check their syntax.

        Raises: InputError.
        """
        require_distinct("--method", arguments.methods)
        return cls(tuple(arguments.methods), arguments.quick)
