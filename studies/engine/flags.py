"""The flags of one study, in addition to those that all studies have."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

from mim4dd.errors import InputError
from studies.engine.design import Design

if TYPE_CHECKING:
    from mim4dd.records import Splits


class Flags(Protocol):
    """A study's own flags as a record; a study without any inherits these defaults.

    seeds: the default of `--seeds`, without and with `--quick`; one_base: whether `--base` names the study's base,
    which a study of many methods has not; given_ipc: the images per class where the study's own flags decide them;
    adaptive_design: the design whose optimizer suggests
    settings while the study runs, None where all settings are planned beforehand; interim: whether the answer or a
    scheduler reads interim accuracies.
    """

    seeds: ClassVar[tuple[str, str]] = ("0-4", "0-2")
    one_base: ClassVar[bool] = True

    @property
    def given_ipc(self) -> int | None:
        return None

    @property
    def interim(self) -> bool:
        return False

    @property
    def adaptive_design(self) -> Design | None:
        return None

    def on(self, splits: Splits) -> Self:
        """The same for data of a reader's own, where a default follows them."""
        return self

    def describe(self) -> str:
        """How the settings are chosen, in words, for study.json (its hash contains them) and the report."""

    def metadata(self) -> dict[str, Any]:
        """Further entries of study.json, which change the answer but no trial."""
        return {}

    @staticmethod
    def add_to(parser: argparse.ArgumentParser) -> None:
        """Add the flags to a parser."""

    @classmethod
    def parse(cls, arguments: argparse.Namespace) -> Self:
        """The record of the parsed arguments, checked without reading data.

        Raises: InputError or UnknownNameError.
        """
        return cls()


def require_distinct(flag: str, values: Sequence[object]) -> None:
    """Raises: InputError for a value that a flag is given twice."""
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise InputError(f"{flag} names {twice} twice")


F = TypeVar("F", bound=Flags, covariant=True)


def add_method_flag(group: argparse._ArgumentGroup, text: str) -> None:
    """Add `--method`, which may be repeated. text: its help text."""
    group.add_argument(
        "--method", action="append", default=[], metavar="NAME[:KNOB=VALUE,...]", dest="methods", help=text
    )
