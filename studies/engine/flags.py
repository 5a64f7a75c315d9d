"""What one study's command line has besides what all studies have."""

from __future__ import annotations

import argparse
from typing import Any, ClassVar, Protocol, Self, TypeVar

from studies.engine.design import Design


class Flags(Protocol):
    """A study's own flags as a record; a study without any uses this one's defaults.

    seeds: the default of `--seeds`, and that with `--quick`; adaptive_design: what suggests settings while the study
    runs, None where all are planned beforehand.
    """

    seeds: ClassVar[tuple[str, str]] = ("0-4", "0-2")

    @property
    def adaptive_design(self) -> Design | None:
        return None

    def describe(self) -> str:
        """How the trials are chosen, in words, for study.json and the report."""

    def metadata(self) -> dict[str, Any]:
        """What study.json holds besides: it changes the answer and no trial."""
        return {}

    @staticmethod
    def add_to(parser: argparse.ArgumentParser) -> None:
        """Add the flags to a parser."""

    @classmethod
    def parse(cls, arguments: argparse.Namespace) -> Self:
        """The parsed flags, checked as far as words go.

        Raises: InputError or UnknownNameError.
        """
        return cls()


F = TypeVar("F", bound=Flags, covariant=True)


def add_method_flag(group: argparse._ArgumentGroup, text: str) -> None:
    """Add `--method`, which may be repeated. text: its help."""
    group.add_argument(
        "--method", action="append", default=[], metavar="NAME[:KNOB=VALUE,...]", dest="methods", help=text
    )
