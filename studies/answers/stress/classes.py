"""Who pays: recall by class, and of frequent and rare classes; and how far an arm's networks differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from studies.answers.ledger import Part
from studies.answers.parts.drawing import (
    PAGE,
    TITLE,
    bars,
    colour_bar,
    curve_axis,
    dodged,
    legend,
    panels,
    percent_axis,
    styles,
)
from studies.answers.parts.heat_maps import ACCURACY
from studies.answers.parts.response import Levels, Response
from studies.answers.results import Cell, slug
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Claim, Figure, Quantity, Sentence, Table, percent
from studies.engine.arms import CEILING
from studies.engine.failures.groups import Classes, head_and_tail, many_medium_few, thirds
from studies.engine.measuring import LARGEST_MATRIX
from studies.engine.rows import Array
from studies.engine.statistics import Interval, mean_interval
from studies.engine.wording import plural

Grouping = Callable[[Sequence[int]], Sequence[Classes]]
THIRDS = ("head third", "medium third", "tail third")
GROUPS = (*THIRDS, "more than 100 images", "20 to 100", "fewer than 20")


def class_part(found: Response) -> Part:
    """The tails in words, recall of groups and spread in tables, recall of groups and classes in figures."""
    return Part(_tails(found), [_groups(found), _spread(found)], [_group_figure(found), _class_figure(found)])


def _counts(found: Response, levels: Levels, seed: int) -> tuple[int, ...] | None:
    """Training images by true class of one seed."""
    data = found.results.data(levels, seed)
    return data.true_counts if data else None


def _recall(found: Response, cell: Cell, grouping: Grouping, of: Levels) -> Array:
    """Mean test recall of groups of classes, [groups, seeds]; a seed's groups are those of its counts at `of`."""
    columns: list[list[float] | None] = []
    for seed in range(len(found.results.seeds)):
        row, counts = found.results.row(cell, seed), _counts(found, of, seed)
        if row is None or row.test_recall is None or not counts:
            columns.append(None)
        else:
            recall = row.test_recall
            columns.append([float(np.nanmean(recall[:, one])) if len(one) else np.nan for one in grouping(counts)])
    width = max((len(column) for column in columns if column), default=1)
    return np.array([column or [np.nan] * width for column in columns]).T


def _imbalanced(found: Response) -> list[tuple[str, Levels]]:
    """The curves of imbalance, each with its largest factor."""
    return [(curve.name, points[-1][1]) for curve, points in found.curves if curve.scale == "log"]


def _tails(found: Response) -> list[Sentence]:
    """What imbalance does to the rare classes of each arm, at the largest factor of each kind."""
    results, told, contrasts = found.results, [], []
    for _, worst in _imbalanced(found):
        for arm in found.main:
            cell = Cell(arm, worst)
            head, _, tail = _recall(found, cell, thirds, worst)
            # The same classes of the same seed on clean data.
            before = _recall(found, results.cell(arm), thirds, worst)[2]
            what = (
                f"recall of the tail third of {found.name(arm)}{results.at(worst)} less the same classes' on clean data"
            )
            id, terms = slug("tail", arm, *worst), ((1.0, cell), (-1.0, results.cell(arm)))
            contrasts.append(results.contrast(id, what, *terms, metric=found.metric, values=tail - before))
            told.append((worst, arm, mean_interval(head), mean_interval(tail)))
    rulings = found.ledger.family("recall of the tail", contrasts)
    sentences = []
    for _, worst in _imbalanced(found):
        here = [(one, ruling) for one, ruling in zip(told, rulings, strict=True) if one[0] == worst]
        parts = [
            f"{found.name(arm)} {percent(tail)} (head third {percent(head)}; {ruling.points} compared with the same "
            f"classes on clean data, {ruling.word})"
            for (_, arm, head, tail), ruling in here
        ]
        text = f"At {' · '.join(worst)}, recall on the tail third of the classes (the rarest) is: {'; '.join(parts)}."
        means = [_claimed(found, *one) for one, _ in here]
        sentences.append(Sentence(text, (*(ruling.claim for _, ruling in here), *(c for pair in means for c in pair))))
    return sentences


def _claimed(found: Response, worst: Levels, arm: str, head: Interval, tail: Interval) -> list[Claim]:
    """The recall of the two thirds as claims."""
    results = found.results
    return [
        found.ledger.estimate(
            slug("recall", third, arm, *worst),
            f"test recall of the {third} third of the classes, {found.name(arm)}{results.at(worst)}",
            *(one.mean, one.low, one.high, one.n),
            "percent",
        )
        for third, one in (("head", head), ("tail", tail))
    ]


def _groups(found: Response) -> Table:
    """Recall of head, medium and tail classes, where the classes differ in their training images."""
    rows: list[dict[str, Entry]] = []
    seeds = range(len(found.results.seeds))
    for levels in found.results.levels:
        counts = [_counts(found, levels, seed) for seed in seeds]
        if not any(one and head_and_tail(one) for one in counts):
            continue
        for arm in found.results.arms:
            groups = _recall(found, Cell(arm, levels), lambda held: (*thirds(held), *many_medium_few(held)), levels)
            cells = [
                Quantity.of(mean_interval(group), "percent") if np.isfinite(group).any() else None for group in groups
            ]
            named = dict(zip(GROUPS, cells if len(cells) == len(GROUPS) else [None] * len(GROUPS), strict=True))
            rows.append({"training data": " · ".join(levels), "method": found.name(arm), **named})
    return Table.of(
        "groups",
        "Recall of frequent and rare classes",
        rows,
        "Mean test recall over the classes of each group, with 95% t intervals over seeds. Classes are grouped by each "
        "seed's number of training images of the true class: the thirds by rank, the last three columns by count, "
        "where such classes exist.",
    )


def _spread(found: Response) -> Table:
    """The two variance components of every arm at every level."""
    rows: list[dict[str, Entry]] = []
    for levels in found.results.levels:
        for arm in found.results.arms:
            parts = found.results.spread(Cell(arm, levels), found.metric)
            if parts.sets is not None:
                networks = round(100 * parts.networks.value, 2) if parts.networks else None
                row: dict[str, Entry] = {"training data": " · ".join(levels), "method": found.name(arm)}
                row["between sets, points"] = round(100 * parts.sets.value, 2)
                rows.append({**row, "between networks of a set, points": networks})
    return Table.of(
        "spread",
        "Spread over sets and over networks",
        rows,
        f"Standard deviations of balanced test accuracy over {plural(len(found.results.seeds), 'set')}, with network "
        "noise removed, and over the networks trained on one set.",
    )


def _group_figure(found: Response) -> Figure | None:
    """Recall of the thirds along each curve of imbalance."""
    curves = [(curve, points) for curve, points in found.curves if curve.scale == "log"]
    if not curves:
        return None
    style = styles(found.results.arms)
    drawing, grid = panels(3 * len(curves), 3, (PAGE / 3, 2.3), sharey=True, extra=(0.0, 0.6))
    for row, (curve, points) in enumerate(curves):
        x, worst, line = np.array([place for place, _ in points]), points[-1][1], grid[3 * row : 3 * row + 3]
        for k, arm in enumerate(found.main):
            recalls = [_recall(found, Cell(arm, levels), thirds, worst) for _, levels in points]
            at = dodged(x, k, len(found.main), log=True)
            for group, axes in enumerate(line):
                means = [mean_interval(one[group]) for one in recalls]
                bars(axes, at, means, style[arm], found.name(arm), fraction=True)
        for name, axes in zip(THIRDS, line, strict=True):
            axes.set_title(f"{curve.name}, {name}", fontsize=TITLE)
            axes.set_ylim(-0.02, 1.02)
            percent_axis(axes)
            curve_axis(axes, curve, x)
        line[0].set_ylabel("test recall")
    legend(drawing, grid[0])
    return Figure(
        "groups",
        "Recall of head, medium and tail classes",
        "Each curve follows the same classes: each seed's thirds by number of training images at the largest factor. "
        f"Mean over {plural(len(found.results.seeds), 'set')} with 95% t intervals; the arms of a factor stand side by "
        "side. Hollow: a base alone; dotted: random real images and full data.",
        drawing,
    )


def _class_figure(found: Response) -> Figure | None:
    """Recall of each class under each condition, a panel an arm."""
    results = found.results
    data = results.any_data(results.reference)
    if data is None or len(data.counts) > LARGEST_MATRIX:
        return None
    classes, arms = len(data.counts), [arm for arm in found.main if results.arms[arm].method != CEILING]
    size = (PAGE / 2, 0.17 * len(results.levels) + 0.55)
    drawing, grid = panels(len(arms), min(2, len(arms)), size, sharex=True, sharey=True, extra=(0.0, 0.3))
    for axes, arm in zip(grid, arms, strict=True):
        shown = np.full((len(results.levels), classes), np.nan)
        for k, levels in enumerate(results.levels):
            recalls = [
                row.test_recall.mean(axis=0) for row in results.rows(Cell(arm, levels)) if row.test_recall is not None
            ]
            shown[k] = np.mean(recalls, axis=0) if recalls else np.nan
        mesh = axes.imshow(shown, vmin=0, vmax=1, cmap=ACCURACY, aspect="auto", interpolation="nearest")
        axes.set_title(found.name(arm), loc="left", fontsize=TITLE)
        axes.set_yticks(range(len(results.levels)), [" · ".join(levels) for levels in results.levels])
        axes.set_xticks(range(classes))
        axes.tick_params(length=0)
    for axes in grid[-2:]:
        axes.set_xlabel("class")
    if arms:
        colour_bar(drawing, mesh, grid, "test recall")
    return Figure(
        "recall",
        "Recall of each class",
        f"Mean test recall over {plural(len(results.seeds), 'set')} and their networks; rows are training data, "
        "columns are classes by label (rare classes last, unless the order is random).",
        drawing,
    )
