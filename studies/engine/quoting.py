"""Claims in prose: their numbers as documents quote them, and whether a text says what was decided."""

from __future__ import annotations

import re
from typing import Any

from studies.engine.answer import Quantity
from studies.engine.units import UNITS, Unit
from studies.engine.wording import decimal

SCALES = {"percent": 100, "points": 100, "percent of H(Y)": 100, "points of H(Y)": 100, "points apart": 100}
WORDS = {
    "gain": r"gains?|gained|rises?|grows?|better|above|ahead|lifts?",
    "loss": r"loss|losses|lose|loses|lost|costs?|falls?|fallen|worse|below|smaller",
    "negligible": r"no difference",
    "undecided": r"undecided",
}
# Words that turn a decision's words into their opposite; "no difference" is a decision's own.
NEGATION = r"\b(no(?! difference)|not|nor|never|neither|without|hardly)\b"
# A ratio, mostly one of costs, is no gain and no loss, and neither is a gap that changes.
OF_RATIOS = {
    **WORDS,
    "gain": r"larger|more|longer|slower|wider|grows?|rises?|above",
    "loss": r"smaller|less|fewer|shorter|narrower|faster|cheaper|falls?|below",
}
HALF = r"half a point( of H\(Y\))?"
# A line of claims.jsonl.
Claim = dict[str, Any]


def printed(record: Claim, *, unit: bool = False, cost: bool = False, interval: bool = True) -> str:
    """`+1.1 points [+0.8, +1.5]`, `86.7% [86.0, 87.5]`; cost: a loss as a positive number, without signs.

    Raises: ValueError for cost in a unit with significant digits, which knows no losses.
    """
    if record["estimate"] is None:
        return "–"
    if unit_of(record).figures:
        if cost:
            raise ValueError(f"{record['id']} is in {record['unit']}, which has no losses; leave out `cost`")
        return _in_figures(record, unit=unit, interval=interval)
    kind, scale = record["unit"], SCALES.get(record["unit"], 1)
    scale, sign = (-scale, "") if cost else (scale, "+" if kind.startswith("points") else "")
    digits = ".1f" if kind in SCALES else ".2f"

    def formatted(value: float) -> str:
        value = min(1.0, max(0.0, value)) if kind == "percent" else value
        return decimal(scale * value, f"{sign}{digits}")

    name = kind.replace("percent", "%") if kind.startswith("percent") else f" {kind.removesuffix(' apart')}".rstrip()
    text = formatted(record["estimate"]) + (name if unit else "")
    if not interval or record["low"] is None or record["high"] is None:
        return text
    low, high = (record["high"], record["low"]) if cost else (record["low"], record["high"])
    return f"{text} [{formatted(low)}, {formatted(high)}]"


def unit_of(record: Claim) -> Unit:
    """How the claim's numbers print."""
    return UNITS[record["unit"]]


def _in_figures(record: Claim, *, unit: bool, interval: bool) -> str:
    """`1.13 times [1.08, 1.18]`, `12.3 ms [11.9, 12.8]`: in a unit with significant digits, as reports print it."""
    low, high = (record["low"], record["high"]) if interval else (None, None)
    estimate, ends = Quantity(record["estimate"], low, high, unit=record["unit"]).written
    return f"{estimate}{unit_of(record).word if unit else ''} {ends}".rstrip()


def decided(record: Claim) -> bool:
    """Whether the claim is a decided gain or loss."""
    return record["decision"] in ("gain", "loss")


def p_value(record: Claim) -> str:
    """Holm's p of the difference, to two digits."""
    return "untested" if record["p_adjusted"] is None else f"{record['p_adjusted']:.2g}"


def word(record: Claim) -> str:
    """The decision in words."""
    return unit_of(record).ruling(record["decision"], record["size"], record["margin"])


def fine(record: Claim) -> str:
    """`0.19 points [0.09, 0.27]`: two digits and no sign, for spreads and other sizes."""
    if unit_of(record).figures:
        return printed(record, unit=True)
    scale = SCALES.get(record["unit"], 1)
    estimate, low, high = (
        "" if record[end] is None else decimal(scale * record[end], ".2f") for end in ("estimate", "low", "high")
    )
    text = f"{estimate} {record['unit'].removesuffix(' apart')}".rstrip()
    return text if record["low"] is None else f"{text} [{low}, {high}]"


def end(record: Claim, which: str) -> str:
    """The lower or the upper end of the interval, with its unit."""
    return printed({**record, "estimate": record[which]}, unit=True, interval=False)


def says(record: Claim, text: str) -> str:
    """The text, if its words express the claim's decision.

    Raises: ValueError for words of another decision, for its words negated, or of a size that was not decided.
    """
    margin, (more, less), words = HALF, (f"more than {HALF}", f"below {HALF}"), WORDS
    unit = unit_of(record)
    if unit.ratio or unit.neutral:
        margin, words = re.escape(unit.margin(record["margin"])), OF_RATIOS
        more, less = f"by more than {margin}", f"by less than {margin}"
    bare = re.sub(f"beyond {margin}|{more}|{less}", "", text)
    decisions = [decision for decision, pattern in words.items() if re.search(rf"\b({pattern})\b", bare)]
    size = "beyond" if re.search(more, text) else "below" if re.search(less, text) else ""
    other_margin = unit.ratio and re.search(r"(beyond|than) (a factor|[\d.]+%)", bare)
    negated = re.search(NEGATION, text)
    if decisions != [record["decision"]] or (size and record["size"] != size) or other_margin or negated:
        raise ValueError(f"{record['id']} is {word(record)}; the text says {text!r}")
    return text
