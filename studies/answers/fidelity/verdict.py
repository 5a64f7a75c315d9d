"""The fidelity answer: a sentence and a row for each method, and its accuracy on the way."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import PercentFormatter

from mim4dd.methods import METHODS
from mim4dd.registry import Scalar, flatten
from studies.answers.comparing.findings import Findings
from studies.answers.fidelity.published import SAME, Published, published
from studies.engine.answer import Answer, Cell, Figure, Table, percent, points
from studies.engine.evidence import Evidence
from studies.engine.progress import clock
from studies.engine.statistics import PairedInterval, paired_interval

# What method.md asks of a recipe that is run in full.
CLOSE = 1.5


def write_answer(evidence: Evidence) -> Answer:
    """The verdict, the table and the curves."""
    found = Findings(evidence)
    told = [_sentence(found, i) for i in range(len(found.arms)) if found.rows(i)]
    if not told:
        return Answer(("Nothing can be said before the first trial is finished.",))
    return Answer(
        verdict=tuple(told),
        tables=(_table(found),),
        figures=tuple(figure for figure in (_curves(found),) if figure),
        notes=_notes(found),
        summary={
            f"{arm.role}/test_accuracy": float(mean)
            for i, arm in enumerate(found.arms)
            if (mean := found.mean(i).mean) is not None
        },
    )


def beside(found: Findings, arm: int) -> Published | None:
    """The published number that a method stands beside; none for a base with the MI term."""
    config = found.config(arm)
    if not config or config["method"] == "mim":
        return None
    return published(str(config["dataset"]), int(config["ipc"]), str(config["method"]))


def gain(found: Findings, arm: int) -> PairedInterval | None:
    """A base with the MI term less the base alone, seed by seed, where both are among the methods."""
    base = found.alone(arm)
    return None if base is None else paired_interval(found.sets[arm], found.sets[base])


def schedule(found: Findings, arm: int) -> list[str]:
    """What differs from the method's published defaults, as `batch_real 32 (256)`."""
    config = found.config(arm)
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
    if config["method"] != "mim":
        return flatten(METHODS.build(str(config["method"])), "method")
    return flatten(METHODS.build("mim", {"base": config["method.base"]}), "method")


def _sentence(found: Findings, arm: int) -> str:
    config, ours, cell = found.config(arm), found.mean(arm), beside(found, arm)
    ended = {status: found.ended(arm, status) for status in ("diverged", "error")}
    lost = "".join(f"; {count} {status}" for status, count in ended.items() if count)
    start = f"{found.arms[arm].role} on {config['dataset']}, {config['ipc']} image(s) a class"
    if ours.mean is None:
        return f"{start}: no set could be scored{lost}."
    text = f"{start}: {percent(ours)}, n = {ours.n} set(s) of {found.networks(arm)} networks{lost}"
    if cell is not None:
        gap = 100 * ours.mean - cell.accuracy
        text += f", beside {cell.accuracy:.1f} published ({gap:+.1f})"
    if (gained := gain(found, arm)) is not None and gained.mean is not None:
        text += f", {points(gained)} against its base alone on the same {gained.n} seed(s)"
    changed = schedule(found, arm)
    return text + (f"; schedule: {', '.join(changed)}." if changed else "; the published schedule.")


def _table(found: Findings) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for i, arm in enumerate(found.arms):
        ours, cell, config = found.mean(i), beside(found, i), found.config(i)
        if not config:
            rows.append((arm.role, *[None] * 7, f"0 × 0 of {len(arm.trials)}", *[None] * 7))
            continue
        parts, gained = found.spread(i), gain(found, i)
        peak = found.measured(i, "peak_bytes")
        rows.append(
            (
                arm.role,
                None if cell is None else f"{cell.accuracy:.1f}{'' if cell.certain else '*'}",
                None if ours.mean is None else round(100 * ours.mean, 1),
                None if ours.low is None or ours.high is None else f"[{100 * ours.low:.1f}, {100 * ours.high:.1f}]",
                None if cell is None or ours.mean is None else f"{100 * ours.mean - cell.accuracy:+.1f}",
                None if gained is None else points(gained),
                None if parts.sets is None else round(100 * parts.sets.value, 2),
                None if parts.networks is None else round(100 * parts.networks.value, 2),
                f"{ours.n} × {found.networks(i)} of {len(arm.trials)}",
                ", ".join(schedule(found, i)) or "as published",
                _recipe(config),
                _clock(found.measured(i, "prepared_seconds") or None),
                _clock(found.measured(i, "distil_seconds")),
                _clock(found.measured(i, "evaluate_seconds")),
                None if peak is None else round(peak / 2**20),
                found.ended(i, "diverged") + found.ended(i, "error"),
            )
        )
    return Table(
        "fidelity",
        "Ours beside the published number",
        (
            *("method", "published %", "ours %", "95% interval", "difference", "paired gain over its base"),
            *("between sets", "between networks"),
            *("sets × networks", "schedule (published)", "evaluation", "preparing, once", "distilling, a set"),
            *("evaluating, a set", "peak MiB", "lost"),
        ),
        tuple(rows),
        "Test accuracy; 95% t interval over synthetic sets; spreads are standard deviations in points, that between "
        "sets with network noise removed. Nothing is chosen by these numbers: the last iteration and the last epoch "
        "count. * a published number from memory of the literature, not read again. Times are medians of one worker "
        "with the threads named below; preparing: experts and the like, made once for all sets of a seed and whoever "
        "shares them. Peak memory is the worker's.",
    )


def _recipe(config: dict[str, Scalar]) -> str:
    augment = str(config["evaluation.augment"])
    told = "none" if augment == "none" else f"{augment.replace('_', ' ')} for each {config['evaluation.drawn']}"
    return f"{config['evaluation.epochs']} epochs, augmentation: {told}"


def _clock(seconds: float | None) -> str | None:
    return None if seconds is None else clock(seconds)


def _curves(found: Findings) -> Figure | None:
    curves = {i: curve for i in range(len(found.arms)) if len(curve := found.curve(i)) > 1}
    if not curves:
        return None
    drawing = Drawing(figsize=(7.5, 4.6), layout="constrained")
    axes = drawing.subplots()
    for i, curve in curves.items():
        share = np.array([iteration for iteration, _ in curve]) / curve[-1][0]
        means = np.array([one.mean for _, one in curve], dtype=float)
        role = found.arms[i].role
        name = role if "iterations=" in role else f"{role}, {curve[-1][0]} iterations"
        (line,) = axes.plot(share, means, marker="o", label=name)
        if all(one.low is not None for _, one in curve):
            low, high = (np.array([getattr(one, side) for _, one in curve], dtype=float) for side in ("low", "high"))
            axes.fill_between(share, low, np.minimum(high, 1), color=line.get_color(), alpha=0.15, lw=0)
    axes.set_xlabel("share of the iterations")
    axes.set_ylabel("validation accuracy")
    axes.set_xlim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
    drawing.legend(loc="outside upper center", ncols=1, frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return Figure(
        "curves",
        "Accuracy against iterations",
        "Validation accuracy at a quarter, half and all of the iterations, mean over synthetic sets with 95% t bands "
        "where there are two or more. The interim points train two networks on the set as it is, the last as many as "
        "the table says: a curve that still rises says that its schedule was cut short.",
        drawing,
    )


def _notes(found: Findings) -> tuple[str, ...]:
    sources = {cell.source for i in range(len(found.arms)) if (cell := beside(found, i))}
    data = str(found.evidence.identity["dataset"])
    notes = [f"Published numbers: {'; '.join(sorted(sources))}."] if sources else []
    if data.startswith("npz:cifar10_20k"):
        notes.append("The published numbers are of all 50,000 training images, ours of the 20,000 of this file.")
    far = [
        found.arms[i].role
        for i in range(len(found.arms))
        if (cell := beside(found, i))
        and (mean := found.mean(i).mean) is not None
        and abs(100 * mean - cell.accuracy) > CLOSE
    ]
    if far:
        notes.append(f"More than {CLOSE} points from the published number: {', '.join(far)}.")
    single = [found.arms[i].role for i in range(len(found.arms)) if found.mean(i).n == 1]
    if single:
        notes.append(f"From a single set, without an interval: {', '.join(single)}.")
    return tuple(notes)
