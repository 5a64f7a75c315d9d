"""Command lines whose errors are one line."""

from __future__ import annotations

import argparse
from typing import NoReturn

from mim4dd.errors import InputError


class Parser(argparse.ArgumentParser):
    """argparse that raises InputError instead of printing its usage and exiting."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message)
