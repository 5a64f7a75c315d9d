"""Recall of each class and of frequent and rare classes, and the spread between an arm's sets and networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from studies.answers.ledger import Part
from studies.answers.parts.classes import below_axis, class_names
from studies.answers.parts.drawing import (
    INCHES_A_LETTER,
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


def class_part(response: Response) -> Part:
    """Sentences on the tail's recall, tables of group recall and of spread, figures of group and class recall."""
    return Part(
        _tails(response), [_groups(response), _spread(response)], [_group_figure(response), _class_figure(response)]
    )


def _counts(response: Response, levels: Levels, seed: int) -> tuple[int, ...] | None:
    """The training images of each true class at one seed, [C]; None if no row has them."""
    data = response.results.data(levels, seed)
    return data.true_counts if data else None


def _recall(response: Response, cell: Cell, grouping: Grouping, counted_at: Levels) -> Array:
    """Mean test recall of groups of classes, [groups, seeds].

    counted_at: the levels whose training images, seed by seed, group the classes. NaN without a row or without classes.
    """
    columns: list[list[float] | None] = []
    for seed in range(len(response.results.seeds)):
        row, counts = response.results.row(cell, seed), _counts(response, counted_at, seed)
        if row is None or row.test_recall is None or not counts:
            columns.append(None)
        else:
            recall = row.test_recall
            groups = grouping(counts)
            columns.append([_known_mean(recall[:, group]) for group in groups])
    width = max((len(column) for column in columns if column), default=1)
    return np.array([column or [np.nan] * width for column in columns]).T


def _known_mean(recalls: Array) -> float:
    """The mean without the classes that have no test images; NaN where none has."""
    return np.nan if np.isnan(recalls).all() else float(np.nanmean(recalls))


def _imbalanced(response: Response) -> list[tuple[str, Levels]]:
    """The name of each imbalance curve with the levels of its largest factor."""
    return [(curve.name, points[-1][1]) for curve, points in response.curves if curve.scale == "log"]


def _tails(response: Response) -> list[Sentence]:
    """The recall of each arm's rare classes at the largest factor of each kind of imbalance."""
    results, recalls, contrasts = response.results, [], []
    for _, worst in _imbalanced(response):
        for arm in response.main:
            cell = Cell(arm, worst)
            head, _, tail = _recall(response, cell, thirds, worst)
            # The same classes of the same seed, trained on clean data.
            clean = _recall(response, results.cell(arm), thirds, worst)[2]
            what = f"recall of the tail third of {response.name(arm)}{results.at(worst)} "
            what += "less the same classes' on clean data"
            id, terms = slug("tail", arm, *worst), ((1.0, cell), (-1.0, results.cell(arm)))
            contrasts.append(results.contrast(id, what, *terms, metric=response.metric, values=tail - clean))
            recalls.append((worst, arm, mean_interval(head), mean_interval(tail)))
    rulings = response.ledger.family("recall of the tail", contrasts)
    sentences = []
    for _, worst in _imbalanced(response):
        judged = [(recall, ruling) for recall, ruling in zip(recalls, rulings, strict=True) if recall[0] == worst]
        parts = [
            f"{response.name(arm)} {percent(tail)} (head third {percent(head)}; {ruling.points} compared with the same "
            f"classes on clean data, {ruling.word})"
            for (_, arm, head, tail), ruling in judged
        ]
        text = f"At {' · '.join(worst)}, recall on the tail third of the classes (the rarest) is: {'; '.join(parts)}."
        means = [claim for recall, _ in judged for claim in _claimed(response, *recall)]
        sentences.append(Sentence(text, (*(ruling.claim for _, ruling in judged), *means)))
    return sentences


def _claimed(response: Response, worst: Levels, arm: str, head: Interval, tail: Interval) -> list[Claim]:
    """The claims of an arm's mean recall on the head and on the tail third."""
    results = response.results
    return [
        response.ledger.estimate(
            slug("recall", third, arm, *worst),
            f"test recall of the {third} third of the classes, {response.name(arm)}{results.at(worst)}",
            *(recall.mean, recall.low, recall.high, recall.n),
            "percent",
        )
        for third, recall in (("head", head), ("tail", tail))
    ]


def _groups(response: Response) -> Table:
    """Recall of head, medium and tail classes, where the classes differ in their training images."""
    rows: list[dict[str, Entry]] = []
    seeds = range(len(response.results.seeds))
    for levels in response.results.levels:
        counts = [_counts(response, levels, seed) for seed in seeds]
        if not any(count and head_and_tail(count) for count in counts):
            continue
        for arm in response.results.arms:
            groups = _recall(response, Cell(arm, levels), _thirds_and_sizes, levels)
            cells = [
                Quantity.of(mean_interval(group), "percent") if np.isfinite(group).any() else None for group in groups
            ]
            named = dict(zip(GROUPS, cells if len(cells) == len(GROUPS) else [None] * len(GROUPS), strict=True))
            rows.append({"training data": " · ".join(levels), "method": response.name(arm), **named})
    return Table.of(
        "groups",
        "Recall of frequent and rare classes",
        rows,
        "Mean test recall over the classes of each group, with 95% t intervals over seeds. Classes are grouped by each "
        "seed's number of training images of the true class: the thirds by rank, the last three columns by count, "
        "where such classes exist.",
    )


def _thirds_and_sizes(counts: Sequence[int]) -> tuple[Classes, ...]:
    """The classes of each of GROUPS."""
    return (*thirds(counts), *many_medium_few(counts))


def _spread(response: Response) -> Table:
    """The spread between sets and between networks, of every arm at every level."""
    rows: list[dict[str, Entry]] = []
    for levels in response.results.levels:
        for arm in response.results.arms:
            parts = response.results.spread(Cell(arm, levels), response.metric)
            if parts.sets is not None:
                networks = round(100 * parts.networks.value, 2) if parts.networks else None
                row: dict[str, Entry] = {"training data": " · ".join(levels), "method": response.name(arm)}
                row["between sets, points"] = round(100 * parts.sets.value, 2)
                rows.append({**row, "between networks of a set, points": networks})
    return Table.of(
        "spread",
        "Spread over sets and over networks",
        rows,
        f"Standard deviations of balanced test accuracy over {plural(len(response.results.seeds), 'set')}, with "
        "network noise removed, and over the networks trained on one set.",
    )


def _group_figure(response: Response) -> Figure | None:
    """Recall of the thirds along each curve of imbalance."""
    curves = [(curve, points) for curve, points in response.curves if curve.scale == "log"]
    if not curves:
        return None
    style = styles(response.results.arms)
    drawing, grid = panels(3 * len(curves), 3, (PAGE / 3, 2.3), sharey=True, extra=(0.0, 0.6))
    for row, (curve, points) in enumerate(curves):
        x, worst, line = np.array([value for value, _ in points]), points[-1][1], grid[3 * row : 3 * row + 3]
        for k, arm in enumerate(response.main):
            recalls = [_recall(response, Cell(arm, levels), thirds, worst) for _, levels in points]
            at = dodged(x, k, len(response.main), log=True)
            for group, axes in enumerate(line):
                means = [mean_interval(recall[group]) for recall in recalls]
                bars(axes, at, means, style[arm], response.name(arm), fraction=True)
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
        f"Mean over {plural(len(response.results.seeds), 'set')} with 95% t intervals; the arms of a factor stand "
        "side by side. Hollow: a base alone; dotted: random real images and full data.",
        drawing,
    )


def _class_figure(response: Response) -> Figure | None:
    """Recall of each class under each condition; a panel for each arm."""
    results = response.results
    data = results.any_data(results.reference)
    if data is None or len(data.counts) > LARGEST_MATRIX:
        return None
    classes, arms = len(data.counts), [arm for arm in response.main if results.arms[arm].method != CEILING]
    names = below_axis(class_names(results, classes))
    letters = max(map(len, names))
    size = (PAGE / 2, 0.17 * len(results.levels) + 0.55)
    drawing, grid = panels(
        len(arms), min(2, len(arms)), size, sharex=True, sharey=True, extra=(0.0, 0.2 + INCHES_A_LETTER * letters)
    )
    for axes, arm in zip(grid, arms, strict=True):
        shown = np.full((len(results.levels), classes), np.nan)
        for k, levels in enumerate(results.levels):
            recalls = [
                row.test_recall.mean(axis=0) for row in results.rows(Cell(arm, levels)) if row.test_recall is not None
            ]
            shown[k] = np.mean(recalls, axis=0) if recalls else np.nan
        mesh = axes.imshow(shown, vmin=0, vmax=1, cmap=ACCURACY, aspect="auto", interpolation="nearest")
        axes.set_title(response.name(arm), loc="left", fontsize=TITLE)
        axes.set_yticks(range(len(results.levels)), [" · ".join(levels) for levels in results.levels])
        axes.set_xticks(range(classes), names, rotation=90 if letters > 2 else 0)
        axes.tick_params(length=0)
    for axes in grid[-2:]:
        axes.set_xlabel("class")
    if arms:
        colour_bar(drawing, mesh, grid, "test recall")
    return Figure(
        "recall",
        "Recall of each class",
        f"Mean test recall over {plural(len(results.seeds), 'set')} and their networks; rows are training data, "
        "columns are classes in the order of their labels (rare classes last, unless the order is random).",
        drawing,
    )
