"""Classes at the reference levels: the worst one, how far they lie apart, and which of them the MI term helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studies.answers.ledger import Ledger, Part, Ruling
from studies.answers.parts.drawing import INCHES_A_LETTER, PAGE, panels
from studies.answers.parts.heat_maps import HeatCell, difference_cell, differences, heat_map
from studies.answers.parts.wording import grouped, listed
from studies.answers.results import Results, slug
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Figure, Quantity, Sentence, Table
from studies.engine.arms import CEILING, FLOOR
from studies.engine.rows import Array
from studies.engine.statistics import mean_interval
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import plural

WORST, APART = "worst_class", "disparity"
METRICS_OF = {WORST: "recall of the worst class", APART: "recall of the best class less that of the worst"}
PHRASES = {
    WORST: {
        Decision.GAIN: "higher for",
        Decision.LOSS: "lower for",
        Decision.NEGLIGIBLE: "no different beyond half a point for",
        Decision.UNDECIDED: "undecided for",
    },
    APART: {
        Decision.GAIN: "larger for",
        Decision.LOSS: "smaller for",
        Decision.NEGLIGIBLE: "no different beyond half a point for",
        Decision.UNDECIDED: "undecided for",
    },
}
LONGEST = 24  # letters of a name below an axis
# More classes than these leave no room for the numbers of a map.
LEGIBLE = 20


@dataclass(frozen=True)
class Helped:
    """The gain of an arm with the term over its base on one class."""

    arm: str
    label: int
    name: str
    ruling: Ruling


def class_names(results: Results, classes: int) -> list[str]:
    """The names of the classes by label, as the data set has them; the labels themselves where no row says them."""
    data = results.any_data(results.reference)
    return list(data.classes) if data and len(data.classes) == classes else [str(label) for label in range(classes)]


def below_axis(names: Sequence[str]) -> list[str]:
    """Names of classes as ticks; what is longer than LONGEST is cut."""
    return [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in names]


def class_part(ledger: Ledger) -> Part:
    """Disparity against full data, random images and the base; the gain of the term on each class."""
    results = ledger.results
    sentences, rows = [], _rows(ledger)
    helped = _helped(ledger)
    for metric, what in METRICS_OF.items():
        for other, rulings in _families(ledger, metric, what).items():
            if rulings:
                names = [results.arms[ruling.contrast.terms[0][1].arm].name for ruling in rulings]
                text = f"The {what}, compared with {other}, is {grouped(rulings, names, PHRASES[metric])}."
                sentences.append(Sentence(text, tuple(ruling.claim for ruling in rulings)))
    table = Table.of(
        "classes",
        "Classes: the worst one, and how far they lie apart",
        rows,
        "Recall of a class: mean over the networks of a set; then means over sets with 95% t intervals. A noisier "
        "estimate lies further apart, so compare methods with as many networks (full data have one).",
    )
    return Part([*sentences, *_sentences(ledger, helped)], [table, _table(ledger, helped)], [_figure(ledger, helped)])


def _families(ledger: Ledger, metric: str, what: str) -> dict[str, list[Ruling]]:
    """The contrasts of a metric: distilled arms against each anchor, and arms with the term against their bases."""
    results = ledger.results
    distilled = [arm.key for arm in results.arms.values() if not arm.anchor]
    pairs = {
        results.arms[anchor].name: [(arm, anchor) for arm in distilled]
        for anchor in (CEILING, FLOOR)
        if anchor in results.arms
    }
    pairs["the base"] = [(arm.key, arm.control) for arm in results.arms.values() if arm.control]
    return {
        other: ledger.family(
            f"{what}, less that of {other}",
            [results.against(a, b, metric=metric, kind=slug(metric, b)) for a, b in own],
        )
        for other, own in pairs.items()
    }


def _rows(ledger: Ledger) -> list[dict[str, Entry]]:
    results = ledger.results
    return [
        {
            "method": arm.name,
            "test accuracy": Quantity.of(ledger.mean(results.cell(arm.key)), "percent"),
            "worst class": Quantity.of(ledger.mean(results.cell(arm.key), WORST), "percent"),
            "best less worst class": Quantity.of(ledger.mean(results.cell(arm.key), APART), "percent"),
            "class that is worst most often": _worst(results, arm.key),
            "sets × networks": f"{results.mean(results.cell(arm.key)).n} × {results.judges(results.cell(arm.key))}",
        }
        for arm in results.arms.values()
    ]


def _recalls(results: Results, arm: str) -> Array | None:
    """Recall of each class, [seeds, C]; NaN for a seed without a row; None without any."""
    rows = [results.row(results.cell(arm), seed) for seed in range(len(results.seeds))]
    found = [None if row is None or row.test_recall is None else row.test_recall.mean(axis=0) for row in rows]
    width = max((len(each) for each in found if each is not None), default=0)
    if not width:
        return None
    return np.array([np.full(width, np.nan) if each is None else each for each in found])


def _worst(results: Results, arm: str) -> str | None:
    """The label with the lowest recall in most sets, with how many."""
    recalls = _recalls(results, arm)
    if recalls is None:
        return None
    kept = recalls[np.isfinite(recalls).all(axis=1)]
    if not len(kept):
        return None
    worst = np.bincount(kept.argmin(axis=1), minlength=recalls.shape[1])
    name = class_names(results, len(worst))[int(worst.argmax())]
    return f"class {name} ({worst.max()} of {plural(len(kept), 'set')})"


def _helped(ledger: Ledger) -> list[Helped]:
    """The gain on each class of each arm with the term, one family."""
    results = ledger.results
    asked, contrasts = [], []
    for arm in results.arms.values():
        own, base = (_recalls(results, key) if key else None for key in (arm.key, arm.control))
        if own is None or base is None:
            continue
        for label, name in enumerate(class_names(results, own.shape[1])):
            what = f"recall of class {name}, {arm.name} less {results.arms[arm.control].name}"
            terms = ((1.0, results.cell(arm.key)), (-1.0, results.cell(arm.control)))
            values = own[:, label] - base[:, label]
            contrasts.append(results.contrast(slug("class", str(label), arm.key), what, *terms, values=values))
            asked.append((arm.key, label, name))
    rulings = ledger.family("gains of the term by class", contrasts)
    return [Helped(*of, ruling) for of, ruling in zip(asked, rulings, strict=True)]


def _sentences(ledger: Ledger, helped: Sequence[Helped]) -> list[Sentence]:
    """Which classes the term helps and which it harms."""
    sentences = []
    for arm in dict.fromkeys(one.arm for one in helped):
        own = [one for one in helped if one.arm == arm]
        parts = []
        for decision, verb in ((Decision.GAIN, "helps"), (Decision.LOSS, "harms")):
            found = [f"{one.name} ({one.ruling.points})" for one in own if one.ruling.decision is decision]
            if found:
                parts.append(f"{verb} class {listed(found)}")
        undecided = sum(one.ruling.decision is Decision.UNDECIDED for one in own)
        decided = " and ".join(parts) if parts else "is shown neither to help nor to harm any class"
        means = [one.ruling.interval.mean for one in own if one.ruling.interval.mean is not None]
        spread = (
            f"; its estimates range from {100 * min(means):+.1f} to {100 * max(means):+.1f} points" if means else ""
        )
        text = f"{ledger.results.arms[arm].name} {decided} ({undecided} of {len(own)} undecided){spread}."
        sentences.append(Sentence(text, tuple(one.ruling.claim for one in own)))
    return sentences


def _table(ledger: Ledger, helped: Sequence[Helped]) -> Table:
    results = ledger.results
    rows: list[dict[str, Entry]] = []
    recalls = {arm: found for arm in results.arms if (found := _recalls(results, arm)) is not None}
    classes = max((found.shape[1] for found in recalls.values()), default=0)
    by_class = {(one.arm, one.label): one.ruling for one in helped}
    arms = list(dict.fromkeys(one.arm for one in helped))
    for label, name in enumerate(class_names(results, classes)):
        row: dict[str, Entry] = {"class": name}
        for arm, found in recalls.items():
            row[results.arms[arm].name] = Quantity.of(mean_interval(found[:, label]), "percent")
        row |= {f"gain of {results.arms[arm].name}": by_class[arm, label].starred for arm in arms}
        rows.append(row)
    return Table.of(
        "by_class",
        "Recall of every class, and the gain of the MI term on it",
        rows,
        "Mean over sets with 95% t intervals; gains are paired by seed, stars mark those that are decided "
        f"(Holm-corrected over {plural(len(helped), 'gain')}).",
    )


def _figure(ledger: Ledger, helped: Sequence[Helped]) -> Figure | None:
    """The gain of the term on each class, a row for each arm."""
    arms = list(dict.fromkeys(one.arm for one in helped))
    labels = {one.label: one.name for one in helped}
    if not arms or len(labels) > LEGIBLE:
        return None
    by_class = {(one.arm, one.label): one.ruling for one in helped}
    cells: list[list[HeatCell]] = [[difference_cell(by_class[arm, label]) for label in labels] for arm in arms]
    names = [ledger.results.arms[arm].name for arm in arms]
    beside = INCHES_A_LETTER * max(map(len, names))
    ticks = below_axis(list(labels.values()))
    below = 0.6 * INCHES_A_LETTER * max(map(len, ticks))
    drawing, (axes,) = panels(1, 1, (max(PAGE, 0.98 * len(labels) + beside), 0.45 * len(arms) + 0.7 + below))
    heat_map(axes, cells, names, ticks, differences(cells))
    axes.set_xlabel("class")
    return Figure(
        "by_class",
        "Which classes the MI term helps",
        "Gain in recall over the base, in points, paired by seed, with its pointwise 95% interval; bold where a gain "
        "or a loss is decided, hatched on grey where nothing is.",
        drawing,
    )
