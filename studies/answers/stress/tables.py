"""The tables of a stress answer."""

from __future__ import annotations

import numpy as np

from mim4dd.information import Reference
from studies.answers.stress.breaking import Occurrence, onsets
from studies.answers.stress.findings import Findings
from studies.answers.stress.selecting import selections
from studies.engine.answer import Cell, Table, percent, points
from studies.engine.failures import describe
from studies.engine.failures.groups import head_and_tail, many_medium_few, thirds
from studies.engine.statistics import holm, mean_interval
from studies.engine.statistics.intervals import paired_p_value


def tables(found: Findings, seen: list[Occurrence], stage: str) -> tuple[Table, ...]:
    """What every condition costs every arm, slopes, groups of classes, selection, what was realised, failures."""
    made = [
        _degradation(found),
        _slopes(found, stage),
        _groups(found),
        _selection(found),
        _realised(found),
        _failures(found, seen, stage),
    ]
    return tuple(table for table in made if table and table.rows)


def _degradation(found: Findings) -> Table:
    gains = [(i, j) for i in range(len(found.conditions)) for j, arm in enumerate(found.arms) if arm.has_term]
    raw = [paired_p_value(found.sets[i, j], found.sets[i, found.base]) for i, j in gains]
    tested = [pair for pair, p in zip(gains, raw, strict=True) if p is not None]
    adjusted = dict(zip(tested, holm([p for p in raw if p is not None]), strict=True))
    rows: list[tuple[Cell, ...]] = []
    for i, condition in enumerate(found.conditions):
        for j, arm in enumerate(found.arms):
            gain = found.gain(i, j) if arm.has_term else None
            interval = found.mean(i, j)
            rows.append(
                (
                    condition.label,
                    arm.name,
                    percent(interval),
                    points(found.loss(i, j)) if i else None,
                    points(gain) if gain else None,
                    points(found.gain_change(i, j)) if gain and i else None,
                    adjusted.get((i, j)),
                    f"{interval.n} × {int(np.isfinite(found.accuracy[i, j]).sum(1).max(initial=0))}",
                    found.seeds - interval.n,
                )
            )
    return Table(
        "degradation",
        "Accuracy under every condition",
        (
            "training data",
            "method",
            "balanced test accuracy",
            "against its own clean control",
            "paired gain over the base",
            "change of that gain",
            "p of the gain (Holm)",
            "sets × networks",
            "lost",
        ),
        tuple(rows),
        "Mean over synthetic sets (seeds), 95% t intervals; differences pair sets of one seed, which share the "
        "split, the "
        "corruption, the initial images and the evaluation networks. Balanced accuracy is the mean recall of the "
        "classes "
        "on the clean test split; nothing is chosen by it. p: paired t test, Holm over this table.",
    )


def _slopes(found: Findings, stage: str) -> Table:
    unit = "per 10% of wrong labels" if stage == "label noise" else "per factor of ten"
    rows = tuple(
        (slope.family, slope.arm.name, points(slope.interval), slope.conditions, slope.interval.n)
        for slope in found.slopes(stage)
    )
    return Table(
        "slopes",
        "Slope of degradation",
        ("kind", "method", f"accuracy {unit}", "conditions", "seeds"),
        rows,
        "Each seed's least-squares slope over the clean control and the severities of one kind, by the rate that was "
        "realised; the interval is over seeds. A slope says little where the fall is no line: see the curves."
        if stage == "label noise"
        else "Each seed's least-squares slope over log10 of the factor, the balanced control included; interval "
        "over seeds.",
    )


def _groups(found: Findings) -> Table | None:
    """Recall of head, medium and tail classes, where the classes differ in their training images."""
    rows: list[tuple[Cell, ...]] = []
    for i, condition in enumerate(found.conditions):
        counts = found.any_result(i).get("train_counts")
        if not counts or head_and_tail(counts) is None:
            continue
        for j, arm in enumerate(found.arms):
            cells: list[Cell] = [condition.label, arm.name]
            for group in (*thirds(counts), *many_medium_few(counts)):
                cells.append(percent(mean_interval(_recall_of(found, i, j, group))) if len(group) else None)
            rows.append(tuple(cells))
    if not rows:
        return None
    return Table(
        "groups",
        "Recall of frequent and rare classes",
        (
            *("training data", "method", "head third", "medium third", "tail third"),
            *("more than 100 images", "20 to 100", "fewer than 20"),
        ),
        tuple(rows),
        "Mean test recall of the classes of each group by their number of training images, 95% t interval over seeds. "
        "The thirds go by rank; the last three columns by count, where such classes exist.",
    )


def _recall_of(found: Findings, condition: int, arm: int, group: np.ndarray) -> list[float]:
    return [float(np.nanmean(one[:, group])) for one in found.recall[condition][arm] if one is not None]


def _selection(found: Findings) -> Table | None:
    rows: list[tuple[Cell, ...]] = []
    for one in selections(found):
        rows.append(
            (
                found.conditions[one.condition].label,
                found.arms[one.clean].name,
                found.arms[one.noisy].name,
                percent(found.mean(one.condition, one.clean)),
                percent(found.mean(one.condition, one.noisy)),
                points(one.cost),
                points(one.optimism),
            )
        )
    if not rows:
        return None
    return Table(
        "selection",
        "Choosing by clean and by noisy validation labels",
        (
            *("training data", "chosen by clean labels", "chosen by noisy labels"),
            *("test accuracy of the first", "of the second", "cost of noisy labels", "noisy less clean validation"),
        ),
        tuple(rows),
        "The choice is between the base and the base with the MI term, by mean validation accuracy over seeds. "
        "Noisy: the "
        "validation labels bear the same noise as the training labels, drawn apart. The last column is how much "
        "lower the "
        "chosen method scores on them.",
    )


def _realised(found: Findings) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for i, condition in enumerate(found.conditions):
        result = found.any_result(i)
        if not result:
            continue
        rates = [step["rate"] for step in result["perturbed"].values() if "rate" in step]
        counts, tail = result["train_counts"], result["tail"]
        short = f"{tail['policy']}: {', '.join(tail['short_of_ipc'])}" if tail["short_of_ipc"] else "none"
        rows.append(
            (
                condition.label,
                f"{100 * rates[0]:.2f}%" if rates else "0%",
                f"{max(counts)} to {min(counts)}",
                " ".join(map(str, counts)) if len(counts) <= 20 else None,
                sum(counts),
                short,
                len(tail["short_of_batch"]),
                ", ".join(tail["absent"]) or "none",
            )
        )
    return Table(
        "realised",
        "What the perturbations realised",
        (
            *("training data", "wrong labels", "images a class", "by class", "images in all"),
            *("classes short of ipc", "short of the real batch", "classes without images"),
        ),
        tuple(rows),
        f"Of seed {found.evidence.identity['seeds'][0]}; the other seeds' are in rows.jsonl. A class short of the real "
        "batch repeats its images unless the policy is cap.",
    )


def _failures(found: Findings, seen: list[Occurrence], stage: str) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for onset in onsets(found, seen, stage):
        assert onset.begins is not None
        mode = onset.mode.partition(" (")[0]
        begins = "the clean data already" if onset.begins == 0 else found.conditions[onset.begins].label
        rows.append((onset.mode, found.arms[onset.arm].name, onset.family, begins, onset.evidence, describe(mode)))
    path = found.evidence.out / "inputs" / "reference.safetensors"
    accuracy = f"{Reference.load(path).accuracy:.1%}" if path.exists() else "unknown"
    return Table(
        "failures",
        "Where each failure mode begins",
        ("mode", "method", "kind", "begins at", "evidence there", "what it is"),
        tuple(rows),
        "A mode of single trials begins where most seeds fail, one of groups where the paired trials do. The reference "
        f"network that judges synthetic images has {accuracy} on validation.",
    )
