"""The flags of the study of cost: its methods, and which parts of the question to measure."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import ClassVar, Self

from studies.engine.flags import Flags, add_method_flag, require_distinct

OWN, PUBLISHED, GROWTH, WORTH = "own", "published", "growth", "worth"
PARTS = {
    OWN: "every stage of every method on the data set",
    PUBLISHED: "iterations on 28x28 and 32x32 images with the paper's network and batches",
    GROWTH: "growth with images, classes, images per class, resolution, width, embedding",
    WORTH: "accuracy beside cost, at several numbers of iterations",
}
QUICK_PARTS = (OWN, GROWTH, WORTH)


@dataclass(frozen=True)
class CostFlags(Flags):
    """The methods as specs, empty for the study's own; the parts that are measured."""

    methods: tuple[str, ...] = ()
    parts: tuple[str, ...] = tuple(PARTS)
    quick: bool = False

    seeds: ClassVar[tuple[str, str]] = ("0-4", "0-4")
    one_base: ClassVar[bool] = False

    def describe(self) -> str:
        """What is measured, in words, for study.json and the report."""
        return f"cost of every method in turns: {', '.join(self.parts)}"

    @staticmethod
    def add_to(parser: argparse.ArgumentParser) -> None:
        """Add the flags."""
        how = parser.add_argument_group("what is measured")
        add_method_flag(how, "a method instead of the study's own, as in dc or mim:base=dc,weight=1 (repeatable)")
        told = "; ".join(f"{name}: {what}" for name, what in PARTS.items())
        how.add_argument(
            "--part", action="append", choices=PARTS, dest="parts",
            help=f"{told} (repeatable; default: all; quick: all but {PUBLISHED})",
        )  # fmt: skip

    @classmethod
    def parse(cls, arguments: argparse.Namespace) -> Self:
        """Build the flags from parsed arguments.

        Raises: InputError.
        """
        methods, named = tuple(arguments.methods), arguments.parts
        require_distinct("--method", methods)
        usual = QUICK_PARTS if arguments.quick else tuple(PARTS)
        return cls(methods, tuple(part for part in PARTS if part in (named or usual)), arguments.quick)
