"""What a user can get wrong: one line each (rule, value, remedy), exit status 2 at the command line."""

from __future__ import annotations


class InputError(ValueError):
    """Something that a user gave cannot be used; the message is one line and says what would be accepted."""


class KnobError(InputError):
    """A knob's value lies outside what its component declares as valid."""


class UnknownNameError(InputError):
    """A component, knob or data set that nothing is registered under; the message proposes the nearest name."""


class DataError(InputError):
    """A data set is missing, corrupt, or unusable for what was asked of it."""
