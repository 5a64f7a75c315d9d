"""Command lines whose errors are one line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from mim4dd.errors import InputError
from mim4dd.files import require_printable


class Parser(argparse.ArgumentParser):
    """argparse that raises InputError instead of printing its usage and exiting."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse a command line whose words are printable and not empty.

        Raises: InputError.
        """
        words = sys.argv[1:] if args is None else list(args)
        for word in words:
            require_printable(word, "a word of the command line")
            if not word or (word.startswith("--") and word.find("=") == len(word) - 1):
                raise InputError(f"the words of the command line must not be empty, got {word!r}; leave the flag out")
        return super().parse_known_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def add_import_flag(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add `--import`, which may be repeated."""
    parser.add_argument(
        "--import",
        action="append",
        default=[],
        metavar="FILE.py|MODULE",
        dest="plugins",
        help="a plug-in: Python that registers methods, networks, data sets, perturbations, recipes or critics",
    )
