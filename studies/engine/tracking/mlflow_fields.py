"""A row in MLflow's terms: the run's name, parameters, metrics and tags, as a person reads them. No MLflow here.

Names: a method's knobs stand bare (`temperature`, `weight`), those of the base, the network and the evaluation under
their part (`base.iterations`, `network.width`): the same name in every row, whatever the method.
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


class Point(NamedTuple):
    """One value of one metric; time in milliseconds since 1970."""

    name: str
    value: float
    time: int
    step: int


def allowed(name: str) -> str:
    """A name that MLflow takes: letters, digits and `_-. :/`; `iterations=500` becomes `iterations:500`."""
    return re.sub(r"[^\w\-. :/]", "", name.replace("=", ":"))


def parameter(key: str) -> str:
    """`method.base.lr` is `base.lr`, `method.temperature` is `temperature`; other names stay."""
    return key.removeprefix("method.")


def parameters(row: Row, knobs: Mapping[str, Any]) -> dict[str, str]:
    """Every knob of the trial that acts; those of the study on a log scale also as `Log10 temperature`, for charts.

    The compare view takes the first three that vary for its axes: hence the capital, and seed and dummy are tags.
    """
    unread = idle(row.config)
    config = {key: value for key, value in row.config.items() if key not in unread}
    found = {parameter(key): str(value) for key, value in config.items() if key != "seed"}
    for key, about in knobs.items():
        value = config.get(key)
        if about.get("log") and usable(value) and value > 0:
            found[axis(key, knobs)] = f"{math.log10(value):.6g}"
    return found


def idle(config: Mapping[str, Any]) -> set[str]:
    """The knobs that nothing reads: with weight 0 the MI term's own (not its base's), but the weight that says so."""
    if config.get("method") != TERM or config.get("method.weight") != 0:
        return set()
    return {f"method.{item.name}" for item in component_fields(Mim) if "registry" not in item.metadata} - {
        "method.weight"
    }


def axis(key: str, knobs: Mapping[str, Any]) -> str:
    """The parameter that stands for a knob on a chart's axis."""
    return f"Log10 {parameter(key)}" if (knobs.get(key) or {}).get("log") else parameter(key)


def run_name(row: Row, setting: Setting) -> str:
    """`DM + MIM4DD (τ=0.1, λ=0.8) · symmetric 0.4 · seed 0`."""
    return f"{setting.name} · seed {row.config.get('seed', '?')}"


def suggested(row: Row, folder: StudyFolder) -> Setting:
    """The setting of a trial that none names yet, as a search has suggested it; it has no number."""
    return Setting(-1, unplanned(folder.arms, row.config, folder.study.get("knobs") or {}))


def tags(row: Row, setting: Setting, study: Mapping[str, Any]) -> dict[str, str]:
    """What a person filters by."""
    config = row.config
    found: dict[str, Any] = {name: config.get(name) for name in ("dataset", "ipc", "method", "seed", "protocol")}
    found |= {"base": config.get("method.base"), "rules": config.get("rules")}
    found |= {"role": setting.arm.role, "arm": setting.arm.name}
    found |= {
        "setting": setting.setting if setting.setting >= 0 else None,
        "dummy": setting.dummy,
        "status": row.status,
        "reason": row.reason,
        "condition": condition(row, study),
        "selection": row.held["result"].get("selection"),
    }
    if "failed_by" in row.held["result"]:
        found["failed_by"] = failed_by(row.failed_by)
    found |= source(study)
    return {name: str(value) for name, value in found.items() if value not in (None, "")}


def condition(row: Row, study: Mapping[str, Any]) -> str:
    """The name of a trial's training data: `clean`, `symmetric 0.4`."""
    text = str(row.config.get("perturb", ""))
    labels = {held["text"]: held["label"] for held in study.get("conditions") or []}
    return str(labels.get(text, text or "clean"))


def dataset_name(dataset: str, condition: str) -> str:
    """What a trial was distilled from, `digits` or `digits · symmetric 0.4`."""
    return dataset if condition == "clean" else f"{dataset} · {condition}"


def dataset_source(config: Mapping[str, Any]) -> dict[str, Any]:
    """All that decides a training split, but the seed that a perturbation is drawn with."""
    keys = ("dataset", "dataset_digest", "split_seed", "classes_as", "perturb")
    return {key: config[key] for key in keys if config.get(key, "") != ""}


def failed_by(modes: Iterable[str]) -> str:
    """The failure modes of a trial as one tag, to be filtered with LIKE '%mode%'."""
    return ", ".join(sorted(set(modes))) or "none"


def source(study: Mapping[str, Any]) -> dict[str, Any]:
    """The code that made it, as MLflow's own columns show it."""
    commit, command = study.get("git_commit"), str(study.get("command", ""))
    script = next((word for word in command.split() if word.endswith(".py")), command)
    found = {"git_commit": commit, "mlflow.source.git.commit": commit, "mlflow.source.name": script}
    return found | {"mlflow.source.type": "LOCAL"}


def times(row: Row) -> tuple[int, int]:
    """Start and end, in milliseconds: the row's own, so that a replay writes the same points."""
    measured = row.measured
    ended = float(measured.get("ended") or 0.0)
    started = float(measured.get("started") or max(0.0, ended - float(measured.get("seconds") or 0.0)))
    return int(1000 * started), int(1000 * max(started, ended))


def final(row: Row) -> dict[str, float]:
    """The trial's numbers. A mean is over networks; a worst class is the lowest of the classes' mean recalls."""
    entropy = row.information.get("entropy")
    found: dict[str, float | None] = {
        "validation_accuracy": mean(row.clean_validation),
        "validation_accuracy_std_networks": spread(row.clean_validation),
        "validation_worst_class_recall": worst(row.validation_recall),
        "noisy_validation_accuracy": mean(row.noisy_validation),
        "test_accuracy": mean(row.test),
        "test_balanced_accuracy": balanced(row.test_recall),
        "test_worst_class_recall": worst(row.test_recall),
    }
    for kind in ("decodable", "critic"):
        nats = row.information.get(kind)
        found[f"{kind}_information_nats"] = nats
        found[f"{kind}_information_fraction"] = nats / entropy if nats is not None and entropy else None
    found["wrong_labels"] = row.data.wrong_labels if row.data else None
    found |= {f"failure/{mode}": finding["value"] for mode, finding in row.failures.items()}
    for name in ("seconds", "distil_seconds", "evaluate_seconds", "retries"):
        found[name] = row.measured.get(name)
    found["peak_memory_bytes"] = row.measured.get("peak_bytes")
    return {name: float(value) for name, value in found.items() if usable(value)}


def points(row: Row, history: list[dict[str, float]]) -> list[Point]:
    """All metrics: the final ones at step 0 (MLflow draws those as bars), losses, norms and interim scores at theirs.

    What is not finite is left out: it would bend every axis; a diverged trial says so in its tags.
    """
    started, ended = times(row)
    seen = [int(record["iteration"]) for record in history if usable(record.get("iteration"))]
    last = max([*seen, *(iteration for iteration, _ in row.rungs), iterations(row)])
    distilled = started + int(1000 * float(row.measured.get("distil_seconds") or 0.0))

    def time(step: int) -> int:
        return started + (distilled - started) * step // max(last, 1)

    numbers = final(row)
    found = [Point(name, value, ended, 0) for name, value in numbers.items()]
    for record in history:
        step = int(record["iteration"])
        found += [Point(k, float(v), time(step), step) for k, v in record.items() if k != "iteration" and usable(v)]
    curve = dict(row.rungs)
    found += [Point("by_iteration/validation_accuracy", v, time(k), k) for k, v in curve.items() if usable(v)]
    if "validation_accuracy" in numbers and last not in curve:
        found.append(Point("by_iteration/validation_accuracy", numbers["validation_accuracy"], ended, last))
    return found


def iterations(row: Row) -> int:
    if row.status == "diverged":
        return max(0, int(row.held["result"].get("diverged_at", 0)))
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
    return hashlib.sha256(json.dumps(row.held, sort_keys=True).encode()).hexdigest()[:16]
