"""Units: how the numbers of an answer print, and in which words differences in them are decided."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from studies.engine.wording import clock, significant

# What a unit prints in, as (stored units, name), from the smallest on.
Sizes = tuple[tuple[float, str], ...]
SECONDS: Sizes = ((1e-6, "µs"), (1e-3, "ms"), (1, "s"), (60, "min"), (3600, "h"))
BYTES: Sizes = tuple((1024.0**k, name) for k, name in enumerate(("B", "KiB", "MiB", "GiB", "TiB", "PiB")))
FLOPS: Sizes = tuple((1000.0**k, f"{prefix}FLOP") for k, prefix in enumerate(("", "k", "M", "G", "T", "P", "E")))
# e to a larger power is no float.
LARGEST_LOG = 709.0
# A ratio that is larger is no gain: most are of costs.
RATIOS = {"gain": "larger", "loss": "smaller"}
# Where a margin is this much of the smaller number or more, percent of the larger one are another number.
PERCENT = 0.5


@dataclass(frozen=True)
class Unit:
    """How quantities of a unit print.

    scale: the factor from stored to printed numbers; digits: after the point, None for four significant digits of the
    estimate and two of the bounds; figures: significant digits of all three instead; sign: `+` to print it; word:
    behind the estimate; label: in a table's head; average: what a mean of it is, if not the arithmetic mean; lone: the
    text in place of a missing interval; bounded: whether bounds are cut at 0 and 1; spelt: formats the estimate, which
    then has no bounds; sizes: what estimate and bounds print in, the one that fits the estimate; one: the noun of a
    single one, `point`; neutral: more is not better, so that a gain reads `larger`. log: stored as natural logarithms;
    a unit without sizes is then that of ratios.
    """

    scale: float = 1
    digits: int | None = None
    figures: int = 0
    sign: str = ""
    word: str = ""
    label: str = ""
    average: str = ""
    lone: str = ""
    bounded: bool = False
    spelt: Callable[[float], str] | None = None
    sizes: Sizes = ()
    one: str = ""
    log: bool = False
    neutral: bool = False

    @property
    def ratio(self) -> bool:
        """Whether its quantities are ratios, whose logarithms are differences."""
        return self.log and not self.sizes

    def printed(self, stored: float) -> float:
        """A stored number in the unit of a table's head: seconds, bytes, FLOPs, ratios, percent, points."""
        if self.log:
            return math.exp(stored) if stored < LARGEST_LOG else math.inf
        return self.scale * stored

    def size(self, number: float) -> tuple[float, str]:
        """The largest size of which a number prints as 1 or more, the base for 0; (1, "") without sizes."""
        if not self.sizes or number == 0:
            return 1.0, next((name for size, name in self.sizes if size == 1), "")
        held = [one for one in self.sizes if float(significant(abs(number) / one[0], self.figures)) >= 1]
        return held[-1] if held else self.sizes[0]

    def margin(self, size: float) -> str:
        """A margin in words, `half a point`; of a ratio `5%`, which is from 1 / 1.05 to 1.05, or `a factor of 2`."""
        if self.ratio:
            more = math.expm1(size)
            return f"{100 * more:.3g}%" if more < PERCENT else f"a factor of {more + 1:.3g}"
        size *= self.scale
        if self.one and size == 0.5:
            return f"half a {self.one}"
        return f"{size:g} {self.one if self.one and size == 1 else self.label}".rstrip()

    def ruling(self, decision: str, size: str, margin: float) -> str:
        """A decision in words: `a gain of more than half a point`; of a ratio, `larger by more than 5%`.

        decision, size: as the rule gives them (`studies.engine.statistics.contrasts`); margin: as it is stored.
        """
        within = self.margin(margin)
        if decision == "negligible":
            return f"no difference beyond {within}"
        if decision == "undecided":
            return "undecided"
        if self.ratio or self.neutral:
            word, sizes = RATIOS[decision], {"beyond": f" by more than {within}", "below": f" by less than {within}"}
        else:
            word, sizes = f"a {decision}", {"beyond": f" of more than {within}", "below": f" below {within}"}
        return word + sizes.get(size, "")


LONE = "(no interval, n = {n})"
GEOMETRIC = "geometric mean"
UNITS = {
    "percent": Unit(100, 1, word="%", label="%", bounded=True),  # a t interval of few sets knows no bounds
    "points": Unit(100, 1, sign="+", word=" points", label="points", lone=LONE, one="point"),
    "points of H(Y)": Unit(
        100, 1, sign="+", word=" points of H(Y)", label="points of H(Y)", lone=LONE, one="point of H(Y)"
    ),
    "points apart": Unit(100, 1, sign="+", word=" points", label="points", lone=LONE, one="point", neutral=True),
    "points lost": Unit(-100, 1, word=" points", label="points", lone=LONE),
    "percent of H(Y)": Unit(100, 1, word="%", label="% of H(Y)"),
    "share": Unit(1, 2),
    "ratio": Unit(figures=3),
    "settings": Unit(1, 0, word=" settings"),
    "nats": Unit(1, 3, label="nats"),
    "seconds": Unit(label="seconds", spelt=clock),
    "s": Unit(figures=3, label="s", sizes=SECONDS),
    "bytes": Unit(figures=3, label="bytes", sizes=BYTES),
    "flops": Unit(figures=3, label="FLOP", sizes=FLOPS),
    "log seconds": Unit(figures=3, label="s", average=GEOMETRIC, sizes=SECONDS, log=True),
    "log bytes": Unit(figures=3, label="bytes", average=GEOMETRIC, sizes=BYTES, log=True),
    "log flops": Unit(figures=3, label="FLOP", average=GEOMETRIC, sizes=FLOPS, log=True),
    "times": Unit(figures=3, word=" times", label="ratio", lone=LONE, log=True),
    "": Unit(),
}
