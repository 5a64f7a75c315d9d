"""Ablation paths: from no component to all, and back, one at a time, in the order that validation images choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from studies.answers.ledger import Part
from studies.answers.parts.drawing import INCHES_A_LETTER, INK, PAGE, TITLE, panels, points_axis
from studies.answers.parts.factorial import Factorial, Run, claimed
from studies.answers.results import Cell, slug
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Claim, Figure, Quantity, Sentence, Table, points
from studies.engine.statistics import Interval, mean_interval
from studies.engine.wording import plural

FORTH, BACK = "from no component to all", "from all components to none"


@dataclass(frozen=True)
class Step:
    """One step of a path: the component that changes, the accuracy there, and its differences.

    change: from the step before; so_far: from the path's start. All None or empty at the start.
    """

    name: str
    accuracy: Interval
    change: Interval | None
    so_far: Interval | None
    claims: tuple[Claim, ...] = ()


def greedy(value: Callable[[Run], float], start: Run) -> list[int]:
    """The order in which components change: at each step the one after which the value is highest.

    Source: Fawcett & Hoos 2016, "Analysing differences between algorithm configurations through ablation".
    """
    run, order = list(start), list[int]()
    while len(order) < len(run):
        left = [k for k in range(len(run)) if k not in order]
        best = max(left, key=lambda k: value(tuple(not there if i == k else there for i, there in enumerate(run))))
        run[best] = not run[best]
        order.append(best)
    return order


def paths_part(design: Factorial) -> Part:
    """Both paths, as sentences, a table and a figure; empty for a fraction, which lacks their combinations."""
    if not design.complete:
        return Part()
    both = {FORTH: _path(design, False, "forth", FORTH), BACK: _path(design, True, "back", BACK)}
    found = {title: steps for title, steps in both.items() if steps}
    if not found:
        return Part()
    return Part([_sentence(title, steps) for title, steps in found.items()], [_table(found)], [_figure(design, found)])


def _path(design: Factorial, there: bool, kind: str, title: str) -> list[Step]:
    """The steps of a path, its start first; none while validation accuracies are missing."""

    def cells(run: Run) -> list[Cell]:
        return [design.cell(run, draw) for draw in design.draws]

    def value(run: Run) -> float:
        sets = design.sets(cells(run), "validation")
        return float(np.nanmean(sets)) if np.isfinite(sets).any() else float("nan")

    start: Run = (there,) * len(design.names)
    if not all(np.isfinite(value(tuple(run))) for run in design.runs.tolist()):
        return []
    steps = [Step("", mean_interval(design.sets(cells(start))), None, None)]
    run, first = start, design.sets(cells(start))
    before = first
    for number, k in enumerate(greedy(value, start), 1):
        run = tuple(not here if i == k else here for i, here in enumerate(run))
        now = design.sets(cells(run))
        change, so_far = mean_interval(now - before), mean_interval(now - first)
        claims = tuple(
            claimed(design.ledger, slug("path", kind, str(number), of), what, one, "points")
            for of, what, one in (
                ("change", f"step {number} of the path {title}: {design.names[k]}", change),
                ("so-far", f"the path {title} up to step {number}", so_far),
            )
        )
        steps.append(Step(design.names[k], mean_interval(now), change, so_far, claims))
        before = now
    return steps


def _sentence(title: str, steps: Sequence[Step]) -> Sentence:
    told = [f"{step.name} {points(step.change)}" for step in steps if step.change is not None]
    verb = "adds" if title == FORTH else "removes"
    return Sentence(
        f"The ablation path {title}, chosen on validation images, {verb} one after the other: {'; '.join(told)}.",
        tuple(claim for step in steps for claim in step.claims[:1]),
    )


def _table(found: dict[str, list[Step]]) -> Table:
    rows: list[dict[str, Entry]] = [
        {
            "path": title,
            "step": number,
            "component": step.name or "start",
            "test accuracy": Quantity.of(step.accuracy, "percent"),
            "change": Quantity.of(step.change, "points") if step.change else None,
            "from the start": Quantity.of(step.so_far, "points") if step.so_far else None,
        }
        for title, steps in found.items()
        for number, step in enumerate(steps)
    ]
    return Table.of(
        "paths",
        "Ablation paths",
        rows,
        "Each step changes the component after which the mean validation accuracy is highest (Fawcett & Hoos 2016); "
        "the accuracies are of test images. Differences are paired by seed, with pointwise 95% t intervals; nothing is "
        "decided by them, for the order follows from the data. The two paths differ where components interact.",
    )


def _figure(design: Factorial, found: dict[str, list[Step]]) -> Figure:
    """The difference from the start at each step, with its band."""
    beside = INCHES_A_LETTER * (max(map(len, design.names)) + 2)
    size = ((PAGE - 2 * beside) / len(found), 0.34 * len(design.names) + 1.0)
    drawing, grid = panels(len(found), len(found), size, extra=(2 * beside, 0.0))
    for axes, (title, steps) in zip(grid, found.items(), strict=True):
        at = np.arange(len(steps))
        mean, low, high = (
            np.array([0.0 if step.so_far is None else getattr(step.so_far, end) for step in steps], dtype=float)
            for end in ("mean", "low", "high")
        )
        axes.fill_betweenx(at, low, high, color="#332288", alpha=0.2, lw=0)
        axes.plot(mean, at, "o-", color="#332288", ms=4.5)
        axes.axvline(0, color=INK, lw=0.8)
        sign = "+" if title == FORTH else "−"
        axes.set_yticks(at, ["none" if title == FORTH else "all", *(f"{sign} {step.name}" for step in steps[1:])])
        axes.set_ylim(len(steps) - 0.5, -0.5)
        axes.set_title(title, fontsize=TITLE)
        axes.set_xlabel("points from the start")
        points_axis(axes, "x")
    return Figure(
        "paths",
        "Ablation paths",
        "Test accuracy less that of the path's start, paired by seed, with its pointwise 95% t interval over "
        f"{plural(len(design.results.seeds), 'set')}. At each step the component changes after which the mean "
        "validation accuracy is highest; the two orders differ where components interact.",
        drawing,
    )
