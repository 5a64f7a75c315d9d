"""The fidelity answer: a sentence and a table row for each method, and its accuracy while distilling."""

from __future__ import annotations

import itertools
import statistics

import numpy as np

from mim4dd.methods import METHODS
from mim4dd.registry import Scalar, flatten
from studies.answers.fidelity.plain import plain
from studies.answers.fidelity.published import Published, published
from studies.answers.ledger import Ledger, Part, Ruling
from studies.answers.parts.contrasts import contrast_table
from studies.answers.parts.drawing import PAGE, bars, dodged, legend, panels, percent_axis, percents, styles
from studies.answers.parts.overview import ENDED, more_seeds, unready
from studies.answers.results import Contrast, Results, slug
from studies.engine.answer import Answer, Cell, Figure, Quantity, Sentence, Table, percent
from studies.engine.arms import TERM
from studies.engine.folder import StudyFolder, images_of
from studies.engine.sizes import NAMED
from studies.engine.statistics import Interval, mean_interval
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import decimal, images, plural

# The margin within which a recipe that is run in full must reproduce the published accuracy, in points.
CLOSE = 1.5
FROM_PUBLISHED = {
    Decision.GAIN: "above it",
    Decision.LOSS: "below it",
    Decision.NEGLIGIBLE: f"no difference beyond {CLOSE} points",
    Decision.UNDECIDED: "undecided",
}


class PublishedComparison:
    """Each base less its published accuracy, and each method with the MI term less its base, judged.

    published: by arm; gaps: the rulings of ours less published, by arm; gains: those of the term, by arm; between: of
    methods with the term on one base, each less those before it.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.results = ledger, ledger.results
        arms = self.results.arms
        self.published = {arm: entry for arm in arms if (entry := self._published(arm)) is not None}
        gains = [self.results.gain(arm.key) for arm in arms.values() if arm.control]
        self.gains = self._by_arm(ledger.family("gains over the base", gains))
        termed = [arm for arm in arms.values() if arm.control]
        pairs = [(a, b) for a, b in itertools.combinations(termed, 2) if a.control == b.control]
        self.between = ledger.family(
            "between methods with the term on one base", [self.results.against(b.key, a.key) for a, b in pairs]
        )
        gaps = [self._gap(arm, entry) for arm, entry in self.published.items()]
        self.gaps = dict(zip(self.published, ledger.family("less the published number", gaps), strict=True))

    def _published(self, arm: str) -> Published | None:
        """The published accuracy of an arm's method; None for a base with the MI term."""
        config = self.results.config(arm)
        if not config or config["method"] == TERM:
            return None
        return published(images_of(config), int(config["ipc"]), str(config["method"]))

    def _gap(self, arm: str, entry: Published) -> Contrast:
        name, cell = self.results.arms[arm].name, self.results.cell(arm)
        values, what = self.results.sets(cell) - entry.accuracy / 100, f"{name} less {entry.accuracy} published"
        return self.results.contrast(slug("published", arm), what, (1.0, cell), margin=CLOSE / 100, values=values)

    @staticmethod
    def _by_arm(rulings: list[Ruling]) -> dict[str, Ruling]:
        return {ruling.contrast.terms[0][1].arm: ruling for ruling in rulings}


def write_answer(folder: StudyFolder) -> Answer:
    """The sentences, the table and the curves."""
    ledger = Ledger(Results(folder))
    if not folder.rows and (why := unready(ledger, list(ledger.results.arms), "test")) is not None:
        return ledger.compose(why)
    comparison = PublishedComparison(ledger)
    arms = list(ledger.results.arms)
    means = {f"{ledger.results.arms[arm].name}/test_accuracy": _mean(comparison, arm).mean for arm in arms}
    return ledger.compose(
        Part([_sentence(comparison, arm) for arm in arms], [_table(comparison)], [_curves(ledger.results)]),
        _between(comparison),
        Part(
            notes=[*_notes(comparison), more_seeds(ledger)],
            summary=means,
            plain=plain(ledger, comparison.gaps, comparison.gains),
        ),
    )


def _between(comparison: PublishedComparison) -> Part:
    """The methods with the term on one base, each less those before it: a weaker term, or one that falls, for one."""
    if not comparison.between:
        return Part()
    arms = comparison.results.arms
    sentences = [
        Sentence(
            f"{arms[a.arm].name} less {arms[b.arm].name} is {ruling.points} over "
            f"{plural(ruling.interval.n, 'pair')} ({ruling.word}).",
            (ruling.claim,),
        )
        for ruling in comparison.between
        for (_, a), (_, b) in [ruling.contrast.terms]
    ]
    title, columns = "Methods with the MI term on one base", ("method", "less", "difference")
    return Part(sentences, [contrast_table(comparison.ledger, "between", title, columns, comparison.between)])


def _mean(comparison: PublishedComparison, arm: str) -> Interval:
    return comparison.results.mean(comparison.results.cell(arm))


def schedule(config: dict[str, Scalar]) -> list[str]:
    """The differences from a method's published schedule, `batch_real 32 (256)`: our value (the published one)."""
    defaults = _defaults(config)
    differences = [
        f"{key.rpartition('.')[2]} {_shown(value)} ({_shown(defaults[key])})"
        for key, value in config.items()
        if key in defaults and value != defaults[key]
    ]
    if config.get("network.width", 128) != 128:
        differences.append(f"network width {config['network.width']} (128)")
    return differences + (_trajectories(config) if config.get("method.base", config["method"]) == "mtt" else [])


def _trajectories(config: dict[str, Scalar]) -> list[str]:
    """The differences from MTT's published runs that no knob expresses; see the docstring of MTT."""
    differences = ["rate of the recipe (the learned one)"]
    if images_of(config) != "cifar10":
        return [*differences, "CIFAR-10's settings"]
    return [*differences, "no ZCA (ZCA)"] if int(config["ipc"]) < 50 else differences


def _shown(value: Scalar) -> str:
    if isinstance(value, bool | str):
        return str(value)
    return f"{value:g}" if value else "follows ipc"  # the only knobs with the default 0 are those that follow ipc


def _defaults(config: dict[str, Scalar]) -> dict[str, Scalar]:
    """The default knobs of the configured method, or of the MI term with the configured base."""
    if config["method"] != TERM:
        return flatten(METHODS.build(str(config["method"])), "method")
    return flatten(METHODS.build(TERM, {"base": config["method.base"]}), "method")


def _sentence(comparison: PublishedComparison, arm: str) -> Sentence | None:
    results, cell, config = comparison.results, comparison.results.cell(arm), comparison.results.config(arm)
    if not config:
        return None
    ours, claim = comparison.ledger.claimed_mean(cell)
    lost = "".join(f"; {n} {ENDED[status]}" for status in ("diverged", "error") if (n := results.ended(cell, status)))
    name, start = results.arms[arm].name, f"On {config['dataset']}, with {images(int(config['ipc']))}"
    if ours.mean is None:
        return Sentence(f"{start}, no set of {name} could be scored{lost}.")
    sets = f"{plural(ours.n, 'set')} of {plural(results.judges(cell), 'network')}"
    text, claims = f"{start}, {name} reached {percent(ours)} (n = {sets}{lost})", [claim]
    if arm in comparison.gaps:
        gap = comparison.gaps[arm]
        difference = decimal(100 * (gap.interval.mean or 0.0), "+.1f")
        text += f", where {comparison.published[arm].accuracy:.1f}% is published"
        text += f" (difference {difference} points, {FROM_PUBLISHED[gap.decision]})"
        claims.append(gap.claim)
    if arm in comparison.gains:
        gain = comparison.gains[arm]
        text += f", {gain.points} compared with its base alone over {plural(gain.interval.n, 'pair')} ({gain.word})"
        claims.append(gain.claim)
    changed = schedule(config)
    text += f"; schedule (published): {', '.join(changed)}." if changed else "; the schedule is the published one."
    return Sentence(text, tuple(claims))


def _table(comparison: PublishedComparison) -> Table:
    return Table.of(
        "fidelity",
        "Our accuracy and the published one",
        [_row(comparison, arm) for arm in comparison.results.arms],
        "Test accuracy with 95% t intervals over synthetic sets; a star marks a decided difference (Holm-corrected "
        f"over this column, margin {CLOSE} points). Spreads are standard deviations in points, that between sets with "
        "network noise removed. Nothing is chosen by these numbers: the last iteration and the last epoch count. From "
        "memory: the published number is quoted from memory and not checked again. Times are medians of one worker "
        "with the number of threads stated below; preparing: experts and similar inputs, made once for all trials of a "
        "seed that share them. Peak memory is that of the worker.",
    )


def _row(comparison: PublishedComparison, arm: str) -> dict[str, Cell]:
    results, config = comparison.results, comparison.results.config(arm)
    cell, ours, gains = results.cell(arm), _mean(comparison, arm), comparison.gains
    entry, peak, parts = comparison.published.get(arm), _measured(results, arm, "peak_bytes"), results.spread(cell)
    return {
        "method": results.arms[arm].name,
        "published": None if entry is None else Quantity(entry.accuracy / 100, unit="percent"),
        "published, from memory": None if entry is None else "" if entry.certain else "yes",
        "ours": Quantity.of(ours, "percent"),
        "difference": comparison.gaps[arm].starred if arm in comparison.gaps else None,
        "paired gain over its base": gains[arm].quantity if arm in gains and config else None,
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
    """The median of a measurement, such as `peak_bytes`, over an arm's trials; None without any."""
    rows = results.rows(results.cell(arm))
    values = [row.measured[key] for row in rows if row.measured.get(key) is not None]
    return statistics.median(values) if values else None


def _recipe(config: dict[str, Scalar]) -> str:
    augment = str(config["evaluation.augment"])
    text = "none" if augment == "none" else f"{augment.replace('_', ' ')} for each {config['evaluation.drawn']}"
    return f"{config['evaluation.epochs']} epochs, augmentation: {text}"


def _seconds(median: float | None) -> Quantity | None:
    return None if median is None else Quantity(median, unit="seconds")


def curve_of(results: Results, arm: str) -> list[tuple[int, Interval]]:
    """(iteration, validation accuracy over sets) at the interim evaluations and at the end."""
    accuracies: dict[int, list[float]] = {}
    for row in results.rows(results.cell(arm)):
        if row.clean_validation:
            for iteration, accuracy in row.rungs:
                accuracies.setdefault(iteration, []).append(accuracy)
            last = next((int(value) for key, value in row.config.items() if key.endswith(".iterations")), 0)
            accuracies.setdefault(last, []).append(statistics.fmean(row.clean_validation))
    return [(iteration, mean_interval(values)) for iteration, values in sorted(accuracies.items())]


def _curves(results: Results) -> Figure | None:
    curves = {arm: curve for arm in results.arms if len(curve := curve_of(results, arm)) > 1}
    if not curves:
        return None
    drawing, (axes,) = panels(1, 1, (PAGE, 4.2))
    style = styles(results.arms)
    for k, (arm, curve) in enumerate(curves.items()):
        share = np.array([iteration for iteration, _ in curve]) / curve[-1][0]
        named = any(key.endswith(".iterations") for key in results.arms[arm].knobs)
        name = results.arms[arm].name + ("" if named else f", {curve[-1][0]} iterations")
        bars(axes, dodged(share, k, len(curves)), [interval for _, interval in curve], style[arm], name, fraction=True)
    axes.set_xlabel("share of the iterations")
    axes.set_ylabel("validation accuracy")
    axes.set_xlim(0, 1.06)
    axes.xaxis.set_major_formatter(percents(axes.xaxis))
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


def _notes(comparison: PublishedComparison) -> list[str]:
    results, sources = comparison.results, {entry.source for entry in comparison.published.values()}
    notes = [f"Published numbers: {'; '.join(sorted(sources))}."] if sources else []
    whole = NAMED.get(images_of(results.folder.configuration))
    used = max((sum(row.data.counts) for row in results.folder.rows.values() if row.data is not None), default=0)
    if sources and whole is not None and 0 < used < whole.images:
        notes.append(
            f"The published numbers are of the whole data set, of which {whole.images:,} images are left for training "
            f"once those for validation are set apart; of this file they are {used:,}."
        )
    names = {arm: results.arms[arm].name for arm in results.arms}
    far = [names[arm] for arm, gap in comparison.gaps.items() if 100 * abs(gap.interval.mean or 0.0) > CLOSE]
    if far:
        notes.append(f"More than {CLOSE} points from the published number: {', '.join(far)}.")
    single = [name for arm, name in names.items() if _mean(comparison, arm).n == 1]
    if single:
        notes.append(f"From a single set, without an interval: {', '.join(single)}.")
    return notes
