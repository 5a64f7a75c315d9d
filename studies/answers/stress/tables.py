"""The tables of a stress answer."""

from __future__ import annotations

import numpy as np

from mim4dd.information import Reference
from studies.answers.stress.breaking import Occurrence, onsets
from studies.answers.stress.findings import Findings
from studies.answers.stress.methods import method_tables
from studies.answers.stress.selecting import selections
from studies.engine.answer import Cell, Table, percent, points
from studies.engine.failures import describe, mode_of
from studies.engine.failures.groups import head_and_tail, many_medium_few, thirds
from studies.engine.running import LARGEST_MATRIX
from studies.engine.statistics import mean_interval, probability_of_improvement, variance_components


def tables(found: Findings, seen: list[Occurrence]) -> tuple[Table, ...]:
    """Costs, slopes, groups of classes, selection, spread, what was realised, and failures."""
    made = [
        *method_tables(found),
        _degradation(found),
        _slopes(found),
        _groups(found),
        _selection(found),
        _spread(found),
        _realised(found),
        _failures(found, seen),
    ]
    return tuple(table for table in made if table and table.rows)


def _degradation(found: Findings) -> Table:
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
                    found.gain_p.get((i, j)),
                    _wins(found, i, j) if gain else None,
                    gain.n if gain else None,
                    points(found.gain_change(i, j)) if gain and i else None,
                    found.change_p.get((i, j)),
                    f"{interval.n} × {int(np.isfinite(found.accuracy[i, j]).sum(1).max(initial=0))}",
                    found.ended(i, j, "diverged"),
                    found.seeds - interval.n - found.ended(i, j, "diverged"),
                )
            )
    return Table(
        "degradation",
        "Accuracy under every condition",
        (
            *("training data", "method", "balanced test accuracy", "against its own clean control"),
            *("paired gain over its base", "p of the gain (Holm)", "P(better than its base)", "pairs"),
            *("change of the gain from clean data", "p of the change (Holm)", "sets × networks", "diverged", "lost"),
        ),
        tuple(rows),
        "Mean over the synthetic sets (seeds) that did not diverge, 95% t intervals; differences pair sets of one "
        "seed. Balanced accuracy is the mean recall of the classes on the clean test split; nothing is chosen by it. "
        "p: paired t tests, Holm over all gains and, apart, over all changes of this table. P(better): share of "
        "pairs won, ties half, exact interval.",
    )


def _wins(found: Findings, condition: int, arm: int) -> str | None:
    wins = probability_of_improvement(found.sets[condition, arm], found.sets[condition, found.base_of(arm)])
    if wins.value is None or wins.low is None or wins.high is None:
        return None
    return f"{wins.value:.2f} [{wins.low:.2f}, {wins.high:.2f}]"


def _slopes(found: Findings) -> Table:
    units = {"label noise": "10% of wrong labels", "imbalance": "factor of ten", "pixel corruption": "step"}
    rows = tuple(
        (
            slope.curve.family,
            slope.arm.name,
            points(slope.interval),
            units[slope.curve.stage],
            found.conditions[slope.upto].label,
            None if slope.misfit is None else round(100 * slope.misfit, 2),
            slope.interval.n,
        )
        for slope in found.slopes
    )
    return Table(
        "slopes",
        "Slope of degradation",
        ("kind", "method", "accuracy per unit", "unit", "from clean data up to", "largest misfit, points", "seeds"),
        rows,
        "Each seed's least-squares slope over the clean control and the severities of one kind (wrong labels as "
        "realised, up to half of them; log10 of the factor); the interval is over seeds and says nothing of the "
        "misfit, the largest distance of a condition's mean from the mean line.",
    )


def _groups(found: Findings) -> Table | None:
    """Recall of head, medium and tail classes, where the classes differ in their training images."""
    rows: list[tuple[Cell, ...]] = []
    for i, condition in enumerate(found.conditions):
        counts = [found.class_counts(i, k) for k in range(found.seeds)]
        if not any(one and head_and_tail(one) for one in counts):
            continue
        for j, arm in enumerate(found.arms):
            groups = found.group_recall(i, j, lambda counts: (*thirds(counts), *many_medium_few(counts)))
            cells = [percent(mean_interval(group)) if np.isfinite(group).any() else None for group in groups]
            rows.append((condition.label, arm.name, *(cells if len(cells) == 6 else [None] * 6)))
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
        "Mean test recall of the classes of each group by each seed's number of training images of their true class, "
        "95% t interval over seeds. The thirds go by rank; the last three columns by count, where such classes exist.",
    )


def _spread(found: Findings) -> Table:
    """The two variance components of every arm under every condition."""
    rows: list[tuple[Cell, ...]] = []
    for i, condition in enumerate(found.conditions):
        for j, arm in enumerate(found.arms):
            parts = variance_components(found.accuracy[i, j][None])
            if parts.sets is None:
                continue
            networks = round(100 * parts.networks.value, 2) if parts.networks else None
            rows.append((condition.label, arm.name, round(100 * parts.sets.value, 2), networks))
    return Table(
        "spread",
        "Spread over sets and over networks",
        ("training data", "method", "between sets, points", "between networks of a set, points"),
        tuple(rows),
        f"Standard deviations of balanced test accuracy over {found.seeds} sets, network noise removed, and over the "
        "networks trained on one set.",
    )


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
                one.seeds,
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
            "seeds compared",
        ),
        tuple(rows),
        "The choice is between the base and the base with the MI term, by mean validation accuracy over the seeds "
        "that all of them have. Noisy: the validation labels bear the same noise as the training labels. Noisy less "
        "clean: what the arm chosen by noisy labels scores on them, less its score on clean ones.",
    )


def _realised(found: Findings) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for i, condition in enumerate(found.conditions):
        result = found.any_result(i)
        if not result:
            continue
        steps = result["perturbed"].values()
        rates = [step["rate"] for step in steps if "rate" in step]
        factors = [step["factor"] for step in steps if "factor" in step]
        counts, tail = result["train_counts"], result["tail"]
        short = f"{tail['policy']}: {', '.join(tail['short_of_ipc'])}" if tail["short_of_ipc"] else "none"
        rows.append(
            (
                condition.label,
                f"{100 * result.get('wrong_labels', rates[0] if rates else 0.0):.2f}%",
                round(factors[0], 1) if factors else None,
                f"{max(counts)} to {min(counts)}",
                " ".join(map(str, counts)) if len(counts) <= LARGEST_MATRIX else None,
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
            *("training data", "wrong labels", "realised factor", "images a label", "by label", "images in all"),
            *("classes short of ipc", "short of the real batch", "classes without images"),
        ),
        tuple(rows),
        "Of the first seed that has a row; the others' are in rows.jsonl. A class short of the real batch repeats "
        "its images unless the policy is cap.",
    )


def _failures(found: Findings, seen: list[Occurrence]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for onset in onsets(found, seen):
        told = (onset.where(found), onset.evidence, describe(mode_of(onset.mode)))
        rows.append((onset.mode, found.arms[onset.arm].name, onset.kind, *told))
    path = found.evidence.out / "inputs" / "reference.safetensors"
    accuracy = f"{Reference.load(path).accuracy:.1%}" if path.exists() else "unknown"
    return Table(
        "failures",
        "Where each failure mode begins",
        ("mode", "method", "kind", "fails", "evidence there", "what it is"),
        tuple(rows),
        "A mode of single trials fails where most seeds do, one of groups where the paired trials do; `from`: under "
        "every more severe condition of the kind as well. The reference network that judges synthetic images has "
        f"{accuracy} on validation.",
    )
