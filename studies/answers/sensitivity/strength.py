"""The axis of the MI term's strength: the norm of its pixel gradient over that of its base's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mim4dd.configuration import Configuration
from mim4dd.errors import InputError
from mim4dd.resolving import matching
from studies.engine.space import Axis, make_axis

WEIGHT, BALANCE = "method.weight", "method.balance"
STRENGTH, SYMBOL = "strength", "ρ"
HELP = "the norm of the term's pixel gradient over that of its base's: the weight of a balanced term, else measured"
# Where the term is alive: below, its gradient is too small to matter; above, hardly any of the base's is left.
RANGE = (0.03, 30.0)


def strength_axis(ranges: Mapping[str, str], configuration: Configuration) -> Axis | None:
    """The axis of the strength; None where the weight is fixed or searched as it is, without balance.

    A balanced term (`balance=gradnorm`) has its weight as its strength.
    Raises: InputError if `--range` names the strength where the weight is not one; KnobError for an impossible range.
    """
    if WEIGHT not in configuration.flat:
        return None  # no MI term, which the space refuses
    unbalanced = BALANCE in configuration.fixed and configuration.flat[BALANCE] == "none"
    fixed = WEIGHT in configuration.fixed
    weight = next((key for key in ranges if WEIGHT in matching(key, configuration.knobs)), "")
    text = ranges.get(STRENGTH, "")
    if text and (unbalanced or fixed or weight):
        given = f"--range {weight}" if weight else f"--set {'weight' if fixed else 'balance'}"
        raise InputError(
            f"--range {STRENGTH} varies the weight under balance=gradnorm, and so does not go with {given}"
        )
    if unbalanced or fixed or (weight and BALANCE not in configuration.fixed):
        return None
    knob = replace(configuration.knobs[WEIGHT], search=RANGE)
    text = text or ranges.get(weight, "")
    axis = make_axis(STRENGTH, knob, configuration.flat[WEIGHT], text)
    return replace(axis, key=WEIGHT, symbol=SYMBOL, name=STRENGTH, help=HELP, given=((BALANCE, "gradnorm"),))
