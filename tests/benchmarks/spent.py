"""What each side of a side-by-side spent, and when it reached an accuracy: from the stamps that it wrote."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any


@dataclass(frozen=True)
class Spent:
    """Seconds of a process, and its page faults that needed no disk."""

    wall: float
    user: float
    system: float
    faults: float

    @property
    def processor(self) -> float:
        return self.user + self.system

    def __add__(self, other: Spent) -> Spent:
        return Spent(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: Spent) -> Spent:
        return Spent(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __truediv__(self, count: int) -> Spent:
        return Spent(*(a / count for a in astuple(self)))


Measure = Callable[[Spent], float]
MEASURES: dict[str, Measure] = {
    "user + system": lambda spent: spent.processor,
    "user": lambda spent: spent.user,
    "wall": lambda spent: spent.wall,
}
NOTHING = Spent(0, 0, 0, 0)
MOMENT = 0.01  # seconds


@dataclass(frozen=True)
class Side:
    """One process: what it spent up to its first iteration, on distilling up to each mark, and on one evaluation.

    marks: iterations after which the set was evaluated, 0 the first; accuracies: the mean of the networks then.
    """

    marks: tuple[int, ...]
    accuracies: tuple[float, ...]
    start: Spent
    distilled: tuple[Spent, ...]
    evaluation: Spent
    peak_mib: float

    @staticmethod
    def of(stamps: Sequence[dict[str, Any]], peak_mib: float) -> Side:
        """From the stamps `begins` and then, for each mark, `evaluates` and `evaluated`."""
        start, *rest = (
            Spent(stamp["wall"], stamp["user"], stamp["system"], float(stamp["faults"])) for stamp in stamps
        )
        now, total, distilled, evaluations = start, NOTHING, list[Spent](), list[Spent]()
        for before, after in zip(rest[::2], rest[1::2], strict=True):
            total = total + (before - now)
            distilled.append(total)
            evaluations.append(after - before)
            now = after
        evaluated = [stamp for stamp in stamps if stamp["event"] == "evaluated"]
        return Side(
            marks=tuple(stamp["iteration"] for stamp in evaluated),
            accuracies=tuple(stamp["accuracy"] for stamp in evaluated),
            start=start,
            distilled=tuple(distilled),
            evaluation=sum(evaluations, NOTHING) / len(evaluations),
            peak_mib=peak_mib,
        )

    @property
    def both(self) -> Spent:
        """Distilling to the last mark, and one evaluation."""
        return self.distilled[-1] + self.evaluation

    def told(self) -> dict[str, Any]:
        return asdict(self)


Pair = tuple[Side, Side]  # the reference, ours
Curve = list[tuple[float, float]]  # (seconds, accuracy), from the first mark to the last


def curve(sides: Sequence[Side], measure: Measure, *, evaluated: bool) -> Curve:
    """The mean curve of these sides. evaluated: with the seconds of one evaluation at each point."""
    found = []
    for position in range(len(sides[0].marks)):
        spent = [one.distilled[position] + (one.evaluation if evaluated else NOTHING) for one in sides]
        accuracy = statistics.fmean(one.accuracies[position] for one in sides)
        found.append((statistics.fmean(measure(one) for one in spent), accuracy))
    return found


def reached(points: Curve, accuracy: float) -> float:
    """Seconds at which a curve first has the accuracy, on straight lines between its points.

    Raises: ValueError when it never has.
    """
    before, low = points[0]
    if low >= accuracy:
        return before
    for now, high in points[1:]:
        if high >= accuracy:
            return before + (now - before) * (accuracy - low) / (high - low)
        before, low = now, high
    raise ValueError(f"the curve never has the accuracy {accuracy}")


def common_accuracy(pairs: Sequence[Pair]) -> float:
    """The highest accuracy that both mean curves reach."""
    sides = zip(*pairs, strict=True)
    return min(max(accuracy for _, accuracy in curve(one, MEASURES["wall"], evaluated=False)) for one in sides)


def to_equal_accuracy(pairs: Sequence[Pair], measure: Measure, *, evaluated: bool) -> tuple[float, float]:
    """Seconds of both mean curves to the highest accuracy that both reach."""
    accuracy = common_accuracy(pairs)
    reference, ours = (reached(curve(one, measure, evaluated=evaluated), accuracy) for one in zip(*pairs, strict=True))
    return reference, ours


def divided(reference: float, ours: float) -> float:
    """Their ratio; none where a side's first images had the accuracy already, after no more than a moment."""
    return reference / ours if min(reference, ours) > MOMENT else math.nan


def in_words(ratios: Sequence[float], middle: float | None = None) -> str:
    """The median of the ratios, or `middle`, with the smallest and largest; a dash where there is none."""
    finite = sorted(ratio for ratio in ratios if math.isfinite(ratio))
    if not finite or (middle is not None and not math.isfinite(middle)):
        return "–"
    told = f"{statistics.median(finite) if middle is None else middle:.2f}"
    return f"{told} ({finite[0]:.2f} to {finite[-1]:.2f})" if len(finite) > 1 else told


def stages(pairs: Sequence[Pair], networks: int) -> list[str]:
    """A Markdown table of the stages: seconds of both, and their ratios pair by pair."""
    last, trained = pairs[0][0].marks[-1], f"{networks} network{'s' if networks > 1 else ''}"
    rows: dict[str, Callable[[Side], Spent]] = {
        f"distilling, {last} iterations": lambda side: side.distilled[-1],
        f"one evaluation, {trained}": lambda side: side.evaluation,
        "both": lambda side: side.both,
        "before the first iteration: imports and images": lambda side: side.start,
    }
    names = list(MEASURES)
    lines = [
        f"| stage | reference, s | ours, s | {' | '.join(names)} | page faults, millions |",
        "|" + "---|" * (len(names) + 4),
    ]
    for name, stage in rows.items():
        spent = [(stage(reference), stage(ours)) for reference, ours in pairs]
        seconds = [f"{statistics.median(one.processor for one in side):.1f}" for side in zip(*spent, strict=True)]
        ratios = [
            in_words([divided(measure(reference), measure(ours)) for reference, ours in spent])
            for measure in MEASURES.values()
        ]
        faults = [f"{statistics.median(one.faults for one in side) / 1e6:.2f}" for side in zip(*spent, strict=True)]
        lines.append(f"| {' | '.join([name, *seconds, *ratios, ', '.join(faults)])} |")
    for name, evaluated in (("distilling to equal accuracy", False), ("the same and one evaluation", True)):
        seconds = [f"{one:.1f}" for one in to_equal_accuracy(pairs, MEASURES[names[0]], evaluated=evaluated)]
        ratios = []
        for measure in MEASURES.values():
            alone = [divided(*to_equal_accuracy([pair], measure, evaluated=evaluated)) for pair in pairs]
            ratios.append(in_words(alone, divided(*to_equal_accuracy(pairs, measure, evaluated=evaluated))))
        lines.append(f"| {' | '.join([name, *seconds, *ratios, ''])} |")
    peaks = [f"{statistics.median(side.peak_mib for side in sides):.0f} MiB" for sides in zip(*pairs, strict=True)]
    return [*lines, f"| {' | '.join(['peak memory', *peaks, *([''] * len(names)), ''])} |"]


def accuracies(pairs: Sequence[Pair]) -> list[str]:
    """A Markdown table of the accuracies after each mark: means, and ours minus the reference's pair by pair."""
    lines = ["| after | reference, % | ours, % | difference, points |", "|---|---|---|---|"]
    for position, mark in enumerate(pairs[0][0].marks):
        found = [(100 * reference.accuracies[position], 100 * ours.accuracies[position]) for reference, ours in pairs]
        means = [f"{statistics.fmean(side):.1f}" for side in zip(*found, strict=True)]
        apart = sorted(ours - reference for reference, ours in found)
        told = f"{statistics.fmean(apart):+.1f}" + (f" ({apart[0]:+.1f} to {apart[-1]:+.1f})" if len(apart) > 1 else "")
        lines.append(f"| {mark} iterations | {' | '.join([*means, told])} |")
    return lines
