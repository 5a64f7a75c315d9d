"""Errors of one line each: in what a user passes (exit status 2 at the command line) and in storing results (1)."""

from __future__ import annotations

from typing import Any


class InputError(ValueError):
    """The user's input cannot be used; the message is one line and says what would be accepted."""


class KnobError(InputError):
    """A knob's value lies outside what its component declares as valid."""


class UnknownNameError(InputError):
    """No component, knob or data set has this name; the message proposes the nearest one."""


class DataError(InputError):
    """A data set is missing, corrupt, or unsuitable for the requested use."""


class StorageError(RuntimeError):
    """A result cannot be written: the disk is full, read-only, or gone. The same command works once it is repaired."""


def exact(number: Any) -> str:
    """A number for a message that complains of it: not rounded, since 1.0000001 must not read as 1."""
    return str(number).removesuffix(".0")
