"""The fidelity answer: a sentence and a row for each method, and its accuracy on the way."""

from __future__ import annotations

import statistics

import numpy as np
from matplotlib.ticker import PercentFormatter

from mim4dd.methods import METHODS
from mim4dd.registry import Scalar, flatten
from studies.answers.fidelity.plain import plain
from studies.answers.fidelity.published import SAME, Published, published
from studies.answers.ledger import Ledger, Part, Ruling
from studies.answers.parts.drawing import PAGE, bars, dodged, legend, panels, percent_axis, styles
from studies.answers.parts.overview import ENDED, more_seeds, unready
from studies.answers.results import Contrast, Results, slug
from studies.engine.answer import Answer, Cell, Figure, Quantity, Sentence, Table, percent
from studies.engine.arms import TERM
from studies.engine.folder import StudyFolder
from studies.engine.statistics import Interval, mean_interval
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import decimal, images, plural

# What method.md asks of a recipe that is run in full, in points.
CLOSE = 1.5
FROM_PUBLISHED = {
    Decision.GAIN: "above it",
    Decision.LOSS: "below it",
    Decision.NEGLIGIBLE: f"no difference beyond {CLOSE} points",
    Decision.UNDECIDED: "undecided",
}


class Beside:
    """The rulings of a fidelity study: each base against its published number, each term against its base."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.results = ledger, ledger.results
        self.cells = {arm: cell for arm in self.results.arms if (cell := self._published(arm)) is not None}
        gains = [self.results.gain(arm.key) for arm in self.results.arms.values() if arm.control]
        self.gains = self._by_arm(ledger.family("gains over the base", gains))
        gaps = [self._gap(arm, cell) for arm, cell in self.cells.items()]
        self.gaps = dict(zip(self.cells, ledger.family("less the published number", gaps), strict=True))

    def _published(self, arm: str) -> Published | None:
        """The published number that an arm stands beside; none for a base with the MI term."""
        config = self.results.config(arm)
        if not config or config["method"] == TERM:
            return None
        return published(str(config["dataset"]), int(config["ipc"]), str(config["method"]))

    def _gap(self, arm: str, cell: Published) -> Contrast:
        name, place = self.results.arms[arm].name, self.results.cell(arm)
        values, what = self.results.sets(place) - cell.accuracy / 100, f"{name} less {cell.accuracy} published"
        return self.results.contrast(slug("published", arm), what, (1.0, place), margin=CLOSE / 100, values=values)

    @staticmethod
    def _by_arm(rulings: list[Ruling]) -> dict[str, Ruling]:
        return {one.contrast.terms[0][1].arm: one for one in rulings}


def write_answer(folder: StudyFolder) -> Answer:
    """The sentences, the table and the curves."""
    ledger = Ledger(Results(folder))
    if not folder.rows and (why := unready(ledger, list(ledger.results.arms), "test")) is not None:
        return ledger.compose(why)
    found = Beside(ledger)
    arms = list(ledger.results.arms)
    means = {f"{ledger.results.arms[arm].name}/test_accuracy": _mean(found, arm).mean for arm in arms}
    return ledger.compose(
        Part([_sentence(found, arm) for arm in arms], [_table(found)], [_curves(ledger.results)]),
        Part(notes=[*_notes(found), more_seeds(ledger)], summary=means, plain=plain(ledger, found.gaps)),
    )


def _mean(found: Beside, arm: str) -> Interval:
    return found.results.mean(found.results.cell(arm))


def schedule(config: dict[str, Scalar]) -> list[str]:
    """What differs from the method's published defaults, as `batch_real 32 (256)`."""
    usual = _usual(config)
    told = [
        f"{key.rpartition('.')[2]} {_shown(value)} ({_shown(usual[key])})"
        for key, value in config.items()
        if key in usual and value != usual[key]
    ]
    if config.get("network.width", 128) != 128:
        told.append(f"network width {config['network.width']} (128)")
    return told + (_trajectories(config) if config.get("method.base", config["method"]) == "mtt" else [])


def _trajectories(config: dict[str, Scalar]) -> list[str]:
    """What MTT's published numbers have that no knob of ours says; see its docstring."""
    name = SAME.get(str(config["dataset"]), str(config["dataset"]))
    told = ["rate of the recipe (the learned one)"]
    if name != "cifar10":
        return [*told, "CIFAR-10's settings"]
    return [*told, "no ZCA (ZCA)"] if int(config["ipc"]) < 50 else told


def _shown(value: Scalar) -> str:
    if isinstance(value, bool | str):
        return str(value)
    return f"{value:g}" if value else "follows ipc"  # of a method's knobs, only those that do are 0 by default


def _usual(config: dict[str, Scalar]) -> dict[str, Scalar]:
    """The knobs of the configured method, or of the base under it, at their defaults."""
    if config["method"] != TERM:
        return flatten(METHODS.build(str(config["method"])), "method")
    return flatten(METHODS.build(TERM, {"base": config["method.base"]}), "method")


def _sentence(found: Beside, arm: str) -> Sentence | None:
    results, cell, config = found.results, found.results.cell(arm), found.results.config(arm)
    if not config:
        return None
    ours, claim = found.ledger.claimed_mean(cell)
    lost = "".join(f"; {n} {ENDED[status]}" for status in ("diverged", "error") if (n := results.ended(cell, status)))
    name, start = results.arms[arm].name, f"On {config['dataset']}, with {images(int(config['ipc']))}"
    if ours.mean is None:
        return Sentence(f"{start}, no set of {name} could be scored{lost}.")
    sets = f"{plural(ours.n, 'set')} of {plural(results.judges(cell), 'network')}"
    text, claims = f"{start}, {name} reached {percent(ours)} (n = {sets}{lost})", [claim]
    if arm in found.gaps:
        gap = found.gaps[arm]
        difference = decimal(100 * (gap.interval.mean or 0.0), "+.1f")
        text += f", where {found.cells[arm].accuracy:.1f}% is published"
        text += f" (difference {difference} points, {FROM_PUBLISHED[gap.decision]})"
        claims.append(gap.claim)
    if arm in found.gains:
        gain = found.gains[arm]
        text += f", {gain.points} compared with its base alone over {plural(gain.interval.n, 'pair')} ({gain.word})"
        claims.append(gain.claim)
    changed = schedule(config)
    text += f"; schedule (published): {', '.join(changed)}." if changed else "; the schedule is the published one."
    return Sentence(text, tuple(claims))


def _table(found: Beside) -> Table:
    return Table.of(
        "fidelity",
        "Our accuracy and the published one",
        [_row(found, arm) for arm in found.results.arms],
        "Test accuracy with 95% t intervals over synthetic sets; a star marks a decided difference (Holm-corrected "
        f"over this column, margin {CLOSE} points). Spreads are standard deviations in points, that between sets with "
        "network noise removed. Nothing is chosen by these numbers: the last iteration and the last epoch count. From "
        "memory: the published number is quoted from memory and not checked again. Times are medians of one worker "
        "with the number of threads stated below; preparing: experts and similar inputs, made once for all trials of a "
        "seed that share them. Peak memory is that of the worker.",
    )


def _row(found: Beside, arm: str) -> dict[str, Cell]:
    results, config = found.results, found.results.config(arm)
    cell, ours = results.cell(arm), _mean(found, arm)
    beside, peak, parts = found.cells.get(arm), _measured(results, arm, "peak_bytes"), results.spread(cell)
    return {
        "method": results.arms[arm].name,
        "published": None if beside is None else Quantity(beside.accuracy / 100, unit="percent"),
        "published, from memory": None if beside is None else "" if beside.certain else "yes",
        "ours": Quantity.of(ours, "percent"),
        "difference": found.gaps[arm].starred if arm in found.gaps else None,
        "paired gain over its base": found.gains[arm].quantity if arm in found.gains and config else None,
        "between sets, points": None if parts.sets is None else round(100 * parts.sets.value, 2),
        "between networks, points": None if parts.networks is None else round(100 * parts.networks.value, 2),
        "sets × networks": f"{ours.n} × {results.judges(cell)} of {len(results.trials(cell))}",
        "schedule (published)": (", ".join(schedule(config)) or "as published") if config else None,
        "evaluation": _recipe(config) if config else None,
        "preparing, once": _seconds(_measured(results, arm, "prepared_seconds") or None),
        "distilling, a set": _seconds(_measured(results, arm, "distil_seconds")),
        "evaluating, a set": _seconds(_measured(results, arm, "evaluate_seconds")),
        "peak MiB": None if peak is None else round(peak / 2**20),
        "lost": results.ended(cell, "diverged") + results.ended(cell, "error") if config else None,
    }


def _measured(results: Results, arm: str, key: str) -> float | None:
    """The median of what an arm's trials measured."""
    rows = results.rows(results.cell(arm))
    found = [row.measured[key] for row in rows if row.measured.get(key) is not None]
    return statistics.median(found) if found else None


def _recipe(config: dict[str, Scalar]) -> str:
    augment = str(config["evaluation.augment"])
    told = "none" if augment == "none" else f"{augment.replace('_', ' ')} for each {config['evaluation.drawn']}"
    return f"{config['evaluation.epochs']} epochs, augmentation: {told}"


def _seconds(median: float | None) -> Quantity | None:
    return None if median is None else Quantity(median, unit="seconds")


def curve_of(results: Results, arm: str) -> list[tuple[int, Interval]]:
    """(iteration, validation accuracy over sets) at the interim stops and at the end."""
    found: dict[int, list[float]] = {}
    for row in results.rows(results.cell(arm)):
        if row.clean_validation:
            for iteration, accuracy in row.rungs:
                found.setdefault(iteration, []).append(accuracy)
            last = next((int(value) for key, value in row.config.items() if key.endswith(".iterations")), 0)
            found.setdefault(last, []).append(statistics.fmean(row.clean_validation))
    return [(iteration, mean_interval(values)) for iteration, values in sorted(found.items())]


def _curves(results: Results) -> Figure | None:
    curves = {arm: curve for arm in results.arms if len(curve := curve_of(results, arm)) > 1}
    if not curves:
        return None
    drawing, (axes,) = panels(1, 1, (PAGE, 4.2))
    style = styles(results.arms)
    for k, (arm, curve) in enumerate(curves.items()):
        share = np.array([iteration for iteration, _ in curve]) / curve[-1][0]
        told = any(key.endswith(".iterations") for key in results.arms[arm].knobs)
        name = results.arms[arm].name + ("" if told else f", {curve[-1][0]} iterations")
        bars(axes, dodged(share, k, len(curves)), [one for _, one in curve], style[arm], name, fraction=True)
    axes.set_xlabel("share of the iterations")
    axes.set_ylabel("validation accuracy")
    axes.set_xlim(0, 1.06)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    percent_axis(axes, 1)
    legend(drawing, axes)
    return Figure(
        "curves",
        "Accuracy against iterations",
        "Validation accuracy at a quarter, half and all of the iterations, mean over synthetic sets with 95% t "
        "intervals where there are two or more; the methods of one share stand side by side. Interim points are scored "
        "with two networks trained on the set as it then is, the last point with as many as the table says. A curve "
        "that still rises shows that its schedule was cut short.",
        drawing,
    )


def _notes(found: Beside) -> list[str]:
    results, sources = found.results, {cell.source for cell in found.cells.values()}
    notes = [f"Published numbers: {'; '.join(sorted(sources))}."] if sources else []
    if str(results.folder.study["dataset"]).startswith("npz:cifar10_20k"):
        notes.append("The published numbers use all 50,000 training images, ours the 20,000 of this file.")
    names = {arm: results.arms[arm].name for arm in results.arms}
    far = [names[arm] for arm, gap in found.gaps.items() if 100 * abs(gap.interval.mean or 0.0) > CLOSE]
    if far:
        notes.append(f"More than {CLOSE} points from the published number: {', '.join(far)}.")
    single = [name for arm, name in names.items() if _mean(found, arm).n == 1]
    if single:
        notes.append(f"From a single set, without an interval: {', '.join(single)}.")
    return notes
