"""A row in MLflow's terms: the run's name, parameters, metrics and tags, as a person reads them. No MLflow here.

Names: a method's knobs stand bare (`temperature`, `weight`), those of the base, the network and the evaluation under
their part (`base.iterations`, `network.width`): the same name in every row, whatever the method.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import fmean, stdev
from typing import Any, NamedTuple, TypeGuard

from studies.engine.tracking.folder import Row

ROLES = {"base": "base alone", "random": "random real", "full": "full data"}


class Point(NamedTuple):
    """One value of one metric; time in milliseconds since 1970."""

    name: str
    value: float
    time: int
    step: int


def parameter(key: str) -> str:
    """`method.base.lr` is `base.lr`, `method.temperature` is `temperature`; other names stay."""
    return key.removeprefix("method.")


def parameters(row: Row, knobs: Mapping[str, Any]) -> dict[str, str]:
    """Every knob of the trial; those of the study on a log scale also as `Log10 temperature`, for charts.

    The compare view takes the first three that vary for its axes: hence the capital, and seed and dummy are tags.
    """
    config = row["config"]
    found = {parameter(key): str(value) for key, value in config.items() if key != "seed"}
    for key, about in knobs.items():
        if about.get("log") and usable(config.get(key)) and config[key] > 0:
            found[axis(key, knobs)] = f"{math.log10(config[key]):.6g}"
    return found


def axis(key: str, knobs: Mapping[str, Any]) -> str:
    """The parameter that stands for a knob on a chart's axis."""
    return f"Log10 {parameter(key)}" if (knobs.get(key) or {}).get("log") else parameter(key)


def run_name(row: Row, setting: Mapping[str, Any], knobs: Mapping[str, Any], label: str = "") -> str:
    """`τ=0.1 λ=0.8 β=2 D=128 · seed 0`, `base alone (dm) · symmetric 0.4 · seed 0`, `random real · seed 1`.

    label: the condition's, where the study has several.
    """
    config, role = row["config"], str(setting.get("role", ""))
    seed = f"{f' · {label}' if label else ''} · seed {config.get('seed', '?')}"
    if role == "base":
        return f"base alone ({config.get('method.base', config.get('method', '?'))}){seed}"
    if role in ROLES:
        return ROLES[role] + seed
    values = {
        key: config.get(key, (setting.get("knobs") or {}).get(key)) for key in knobs or setting.get("knobs") or {}
    }
    told = " ".join(f"{symbol(key, knobs)}={short(value)}" for key, value in values.items() if value is not None)
    plain = role if role and role != "default" else str(config.get("method", row["trial"]))
    return ("default: " if role == "default" else "") + (told or plain) + seed


def symbol(key: str, knobs: Mapping[str, Any]) -> str:
    return str((knobs.get(key) or {}).get("symbol") or parameter(key))


def short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def tags(row: Row, setting: Mapping[str, Any], study: Mapping[str, Any]) -> dict[str, str]:
    """What a person filters by."""
    config, result = row["config"], row["result"]
    found: dict[str, Any] = {name: config.get(name) for name in ("dataset", "ipc", "method", "seed", "protocol")}
    found |= {"base": config.get("method.base"), "rules": config.get("rules"), "role": setting.get("role")}
    found |= {
        "setting": setting.get("setting"),
        "dummy": setting.get("dummy"),
        "status": result["status"],
        "reason": result.get("reason"),
        "condition": condition(row, study),
        "selection": result.get("selection"),
    }
    if "failed_by" in result:
        found["failed_by"] = failed_by(result["failed_by"])
    found |= source(study)
    if result["status"] != "ok":
        found["mlflow.note.content"] = f"This trial {result['status']}: {result.get('reason') or 'no reason given'}."
    return {name: str(value) for name, value in found.items() if value not in (None, "")}


def condition(row: Row, study: Mapping[str, Any]) -> str:
    """The name of a trial's training data: `clean`, `symmetric 0.4`."""
    text = row["config"].get("perturb", "")
    labels = {held["text"]: held["label"] for held in study.get("conditions") or []}
    return str(labels.get(text, text or "clean"))


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
    measured = row.get("measured") or {}
    ended = float(measured.get("ended") or 0.0)
    started = float(measured.get("started") or max(0.0, ended - float(measured.get("seconds") or 0.0)))
    return int(1000 * started), int(1000 * max(started, ended))


def final(row: Row) -> dict[str, float]:
    """The trial's numbers. A mean is over networks; a worst class is the lowest of the classes' mean recalls."""
    result, test, measured = row["result"], row.get("report_only") or {}, row.get("measured") or {}
    found: dict[str, float | None] = {
        "validation_accuracy": mean(result.get("validation_accuracy")),
        "validation_accuracy_std_networks": spread(result.get("validation_accuracy")),
        "validation_worst_class_recall": worst(result.get("validation_recall")),
        "noisy_validation_accuracy": mean(result.get("noisy_validation_accuracy")),
        "test_accuracy": mean(test.get("test_accuracy")),
        "test_worst_class_recall": worst(test.get("test_recall")),
    }
    entropy = result.get("entropy_nats")
    for kind in ("decodable", "critic"):
        nats = result.get(f"{kind}_information_nats")
        found[f"{kind}_information_nats"] = nats
        found[f"{kind}_information_fraction"] = nats / entropy if nats is not None and entropy else None
    found["wrong_labels"] = result.get("wrong_labels")
    found |= {f"failure/{mode}": finding["value"] for mode, finding in (result.get("failures") or {}).items()}
    for name in ("seconds", "distil_seconds", "evaluate_seconds", "retries"):
        found[name] = measured.get(name)
    found["peak_memory_bytes"] = measured.get("peak_bytes")
    return {name: float(value) for name, value in found.items() if usable(value)}


def points(row: Row, history: list[dict[str, float]]) -> list[Point]:
    """All metrics: the final ones at step 0 (MLflow draws those as bars), losses, norms and interim scores at theirs.

    What is not finite is left out: it would bend every axis; a diverged trial says so in its tags.
    """
    started, ended = times(row)
    rungs = row["result"].get("rungs") or []
    seen = [int(record["iteration"]) for record in [*history, *rungs] if usable(record.get("iteration"))]
    last = max([*seen, iterations(row)])
    distilled = started + int(1000 * float((row.get("measured") or {}).get("distil_seconds") or 0.0))

    def time(step: int) -> int:
        return started + (distilled - started) * step // max(last, 1)

    numbers = final(row)
    found = [Point(name, value, ended, 0) for name, value in numbers.items()]
    for record in history:
        step = int(record["iteration"])
        found += [Point(k, float(v), time(step), step) for k, v in record.items() if k != "iteration" and usable(v)]
    curve = {int(rung["iteration"]): rung.get("validation_accuracy") for rung in rungs}
    found += [Point("by_iteration/validation_accuracy", float(v), time(k), k) for k, v in curve.items() if usable(v)]
    if "validation_accuracy" in numbers and last not in curve:
        found.append(Point("by_iteration/validation_accuracy", numbers["validation_accuracy"], ended, last))
    return found


def iterations(row: Row) -> int:
    config = row["config"]
    if row["result"]["status"] == "diverged":
        return max(0, int(row["result"].get("diverged_at", 0)))
    return int(config.get("method.base.iterations", config.get("method.iterations", 0)))


def usable(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)


def mean(values: Any) -> float | None:
    return fmean(values) if values else None


def spread(values: Any) -> float | None:
    return stdev(values) if values and len(values) > 1 else None


def worst(recall: Any) -> float | None:
    """The lowest mean over networks of a class's recall; a class without images has none."""
    if not recall:
        return None
    by_class = [[value for value in values if usable(value)] for values in zip(*recall, strict=True)]
    return min((fmean(values) for values in by_class if values), default=None)
