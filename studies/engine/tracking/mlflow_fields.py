"""A row as the name, parameters, metrics and tags of an MLflow run. This module does not import MLflow.

Names: a method's knobs have no prefix (`temperature`, `weight`); those of the base, the network and the evaluation have
their component's (`base.iterations`, `network.width`). A knob has the same name in every row, whatever the method.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from mim4dd.methods import Mim
from mim4dd.registry import component_fields
from studies.engine.arms import TERM, Setting, unplanned
from studies.engine.folder import StudyFolder
from studies.engine.rows import Array, Row

# What a row says of its process and its machine while it ran.
LOAD = ("cpu_seconds", "others_cores", "stolen_cores")


class Point(NamedTuple):
    """A value of a metric; time in milliseconds since 1970."""

    name: str
    value: float
    time: int
    step: int


def allowed(name: str) -> str:
    """A name that MLflow allows: letters, digits and `_-. :/`; `iterations=500` becomes `iterations:500`."""
    return re.sub(r"[^\w\-. :/]", "", name.replace("=", ":"))


def parameter(key: str) -> str:
    """`method.base.lr` is `base.lr`, `method.temperature` is `temperature`; other names stay."""
    return key.removeprefix("method.")


def parameters(row: Row, knobs: Mapping[str, Any]) -> dict[str, str]:
    """Every knob that the trial reads; log-scaled ones of the study also as `Log10 temperature`, for charts.

    MLflow's compare view takes the first three varying parameters as axes: hence the capital letter, which sorts first,
    and hence seed and dummy are tags.
    """
    unread = idle(row.config)
    config = {key: value for key, value in row.config.items() if key not in unread}
    values = {parameter(key): str(value) for key, value in config.items() if key != "seed"}
    for key, about in knobs.items():
        value = config.get(key)
        if any(config.get(other) != wanted for other, wanted in (about.get("given") or {}).items()):
            value = row.measures.get("gradient_ratio")  # a weight that is no strength: the strength that it has
        if about.get("name") and usable(value):
            values[about["name"]] = f"{value:.4g}"
        if about.get("log") and usable(value) and value > 0:
            values[axis(key, knobs)] = f"{math.log10(value):.6g}"
    return values


def idle(config: Mapping[str, Any]) -> set[str]:
    """The knobs that the trial does not read: with weight 0, those of the MI term except for the weight itself."""
    if config.get("method") != TERM or config.get("method.weight") != 0:
        return set()
    return {f"method.{item.name}" for item in component_fields(Mim) if "registry" not in item.metadata} - {
        "method.weight"
    }


def axis(key: str, knobs: Mapping[str, Any]) -> str:
    """The name of the parameter that shows a knob on a chart's axis."""
    about = knobs.get(key) or {}
    name = about.get("name") or parameter(key)
    return f"Log10 {name}" if about.get("log") else name


def run_name(row: Row, setting: Setting) -> str:
    """`DM + MIM4DD (τ=0.1, λ=0.8) · symmetric 0.4 · seed 0`."""
    return f"{setting.name} · seed {row.config.get('seed', '?')}"


def suggested(row: Row, folder: StudyFolder) -> Setting:
    """The setting of a trial that a search has just suggested, and which no setting lists yet; its number is -1."""
    return Setting(-1, unplanned(folder.arms, row.config, folder.varied))


def tags(row: Row, setting: Setting, study: Mapping[str, Any]) -> dict[str, str]:
    """The tags to filter runs by."""
    config = row.config
    values: dict[str, Any] = {name: config.get(name) for name in ("dataset", "ipc", "method", "seed", "protocol")}
    values |= {"base": config.get("method.base"), "rules": config.get("rules")}
    values |= {"role": setting.arm.role, "arm": setting.arm.name}
    values |= {
        "setting": setting.setting if setting.setting >= 0 else None,
        "dummy": setting.dummy,
        "status": row.status,
        "reason": row.reason,
        "condition": condition(row, study),
        "selection": row.record["result"].get("selection"),
    }
    if "failed_by" in row.record["result"]:
        values["failed_by"] = failed_by(row.failed_by)
    values |= source(study)
    return {name: str(value) for name, value in values.items() if value not in (None, "")}


def condition(row: Row, study: Mapping[str, Any]) -> str:
    """The name of a trial's training data: `clean`, `symmetric 0.4`."""
    text = str(row.config.get("perturb", ""))
    labels = {record["text"]: record["label"] for record in study.get("conditions") or []}
    return str(labels.get(text, text or "clean"))


def dataset_name(dataset: str, condition: str) -> str:
    """The name of a trial's training data, `digits` or `digits · symmetric 0.4`."""
    return dataset if condition == "clean" else f"{dataset} · {condition}"


def dataset_source(config: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a configuration that define the training split, except for the seed of its perturbations."""
    keys = ("dataset", "dataset_digest", "split_seed", "classes_as", "perturb")
    return {key: config[key] for key in keys if config.get(key, "") != ""}


def failed_by(modes: Iterable[str]) -> str:
    """The failure modes of a trial as one tag, to be filtered with LIKE '%mode%'."""
    return ", ".join(sorted(set(modes))) or "none"


def source(study: Mapping[str, Any]) -> dict[str, Any]:
    """The tags that MLflow's own columns show as the source of a run: commit and script."""
    commit, command = study.get("git_commit"), str(study.get("command", ""))
    script = next((word for word in command.split() if word.endswith(".py")), command)
    values = {"git_commit": commit, "mlflow.source.git.commit": commit, "mlflow.source.name": script}
    return values | {"mlflow.source.type": "LOCAL"}


def times(row: Row) -> tuple[int, int]:
    """Start and end of a trial, in milliseconds since 1970, from its row, so that sending it again changes nothing."""
    measured = row.measured
    ended = float(measured.get("ended") or 0.0)
    started = float(measured.get("started") or max(0.0, ended - float(measured.get("seconds") or 0.0)))
    return int(1000 * started), int(1000 * max(started, ended))


def final(row: Row) -> dict[str, float]:
    """The trial's final metrics. Means are over networks; a worst class has the lowest mean recall."""
    entropy = row.information.get("entropy")
    values: dict[str, float | None] = {
        "validation_accuracy": mean(row.clean_validation),
        "validation_accuracy_std_networks": spread(row.clean_validation),
        "validation_worst_class_recall": worst(row.validation_recall),
        "noisy_validation_accuracy": mean(row.noisy_validation),
        "test_accuracy": mean(row.test),
        "test_balanced_accuracy": balanced(row.test_recall),
        "test_worst_class_recall": worst(row.test_recall),
        "validation_usable_information_nats": mean(row.usable_validation),
        "validation_usable_information_fraction": mean(row.usable_validation_share),
        "test_usable_information_nats": mean(row.usable),
        "test_usable_information_fraction": mean(row.usable_share),
    }
    for kind, name in (("label_agreement", "label_agreement"), ("critic", "critic_information")):
        nats = row.information.get(kind)
        values[f"{name}_nats"] = nats
        values[f"{name}_fraction"] = nats / entropy if nats is not None and entropy else None
    values["wrong_labels"] = row.data.wrong_labels if row.data else None
    values |= {f"failure/{mode}": finding["value"] for mode, finding in row.failures.items()}
    for name in ("seconds", "distil_seconds", "evaluate_seconds", "retries", *LOAD):
        values[name] = row.measured.get(name)
    values["peak_memory_bytes"] = row.measured.get("peak_bytes")
    return {name: float(value) for name, value in values.items() if usable(value)}


def points(row: Row, history: list[dict[str, float | None]]) -> list[Point]:
    """All metrics: final ones at step 0 (MLflow draws those as bars), losses, norms and interim scores by iteration.

    Values that are not finite are left out, because they would distort the charts; tags mark a diverged trial.
    """
    started, ended = times(row)
    recorded = [(int(step), record) for record in history if usable(step := record.get("iteration"))]
    last = max([*(step for step, _ in recorded), *(iteration for iteration, _ in row.rungs), iterations(row)])
    distilled = started + int(1000 * float(row.measured.get("distil_seconds") or 0.0))

    def time(step: int) -> int:
        return started + (distilled - started) * step // max(last, 1)

    numbers = final(row)
    listed = [Point(name, value, ended, 0) for name, value in numbers.items()]
    for step, record in recorded:
        listed += [Point(k, float(v), time(step), step) for k, v in record.items() if k != "iteration" and usable(v)]
    curve = dict(row.rungs)
    listed += [Point("by_iteration/validation_accuracy", v, time(k), k) for k, v in curve.items() if usable(v)]
    if "validation_accuracy" in numbers and last not in curve:
        listed.append(Point("by_iteration/validation_accuracy", numbers["validation_accuracy"], ended, last))
    return listed


def iterations(row: Row) -> int:
    """The last iteration of the trial."""
    if row.status == "diverged":
        return max(0, int(row.record["result"].get("diverged_at", 0)))
    return int(row.config.get("method.base.iterations", row.config.get("method.iterations", 0)))


def usable(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)


def mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def spread(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None


def balanced(recall: Array | None) -> float | None:
    """The mean over networks of the mean recall of the classes; a class without images has none."""
    return None if recall is None else float(np.nanmean(recall, axis=1).mean())


def worst(recall: Array | None) -> float | None:
    """The lowest mean over networks of a class's recall; a class without images has none."""
    if recall is None:
        return None
    by_class = [column[np.isfinite(column)].tolist() for column in recall.T]
    return min((fmean(values) for values in by_class if values), default=None)


def digest(row: Row) -> str:
    """The identity of a row's content."""
    return hashlib.sha256(json.dumps(row.record, sort_keys=True).encode()).hexdigest()[:16]
