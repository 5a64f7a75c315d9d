"""A small study's folder with real files, which grows as a study's does."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from mim4dd.registry import Flat
from studies.engine.arms import Arm, Setting
from studies.engine.rows import Row

KNOBS = {"method.temperature": ("τ", True), "method.weight": ("λ", True), "method.layer_decay": ("β", True)}
KNOWN: dict[str, Flat] = {"default": {"method.base": "dm"}, "design": {"method.base": "dm", "method.temperature": 0.1}}
ENTROPY = math.log(3)


def row(trial: str, seed: int = 0, **changes: Any) -> dict[str, Any]:
    """A finished trial; `changes` replace parts of its result."""
    config = {"dataset": "digits", "ipc": 1, "seed": seed, "protocol": "digits", "rules": "1", "method": "mim"}
    config |= {"method.base": "dm", "method.base.iterations": 100, "method.temperature": 0.1, "method.weight": 0.8}
    config |= {"method.layer_decay": 2.0, "network": "convnet", "network.width": 16, "evaluation.epochs": 60}
    result = {"status": "ok", "reason": "", "diverged_at": -1, "validation_accuracy": [0.8, 0.9]}
    result |= {"validation_recall": [[1.0, 0.6, None], [1.0, 0.8, None]], "label_agreement_nats": ENTROPY / 2}
    result |= {"critic_information_nats": None, "entropy_nats": ENTROPY}
    result |= {"usable_information_nats": [0.2, 0.4]}
    result |= {"rungs": [{"iteration": 50, "validation_accuracy": 0.7}]}
    measured = {"seconds": 2.0, "distil_seconds": 1.5, "evaluate_seconds": 0.5, "peak_bytes": 7_000_000}
    measured |= {"retries": 0, "started": 1000.0 + seed, "ended": 1002.0 + seed}
    report_only = {"test_accuracy": [0.7, 0.8], "test_recall": [[0.5, 0.9, 1.0], [0.7, 0.9, 1.0]]}
    report_only |= {"usable_information_nats": [ENTROPY / 4, ENTROPY / 2]}
    return {
        "trial": trial,
        "config": config,
        "result": result | changes,
        "report_only": report_only,
        "measured": measured,
    }


class Study:
    """A folder that grows as a study's does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        knobs = {key: {"symbol": symbol, "help": "a knob", "log": log} for key, (symbol, log) in KNOBS.items()}
        about: dict[str, Any] = {
            "study": "sensitivity",
            "title": "How sensitive?",
            "question": "How sensitive is it?",
            "knobs": knobs,
        }
        about |= {"command": "python studies/sensitivity.py --quick", "hash": "3f2a9c01d4e5b678", "dataset": "digits"}
        about |= {
            "protocol": "digits",
            "rules": "1",
            "git_commit": "abc123",
            "created": "2026-01-02T03:04:05.678+00:00",
            "seeds": [0, 1],
            "configuration": {"method": "mim", "method.base": "dm", "ipc": 1},
        }
        self.write("study.json", json.dumps(about | {"versions": {"torch": "2.9"}}))

    def write(self, name: str, text: str) -> None:
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(text, encoding="utf-8")

    def plan(self, *settings: tuple[str, list[str]]) -> None:
        lines = [
            Setting(place, Arm(role, "mim", KNOWN.get(role, {}), role=role), {}, tuple(trials), 0.25).json()
            for place, (role, trials) in enumerate(settings)
        ]
        self.write("settings.jsonl", "".join(json.dumps(line) + "\n" for line in lines))

    def add(self, finished: dict[str, Any]) -> Row:
        place = f"trials/{finished['trial']}"
        history = [
            {"iteration": float(k), "loss/dm": 3.0 / (k + 1), "gradient_norm/dm": 0.5, "loss/mim": math.nan}
            for k in (0, 4, 99)
        ]
        self.write(f"{place}/history.json", json.dumps(history))
        self.write(f"{place}/synthetic.png", "picture")
        self.write(f"{place}/synthetic.safetensors", "images")
        with (self.path / "rows.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(finished) + "\n")
        return Row.read(finished)

    def answer(self) -> None:
        self.write("answer.md", "The temperature matters most.\n\n![map](figures/map.png)\n")
        self.write("report.html", "<h1>Report</h1>")
        self.write("figures/map.png", "figure")
        self.write("tables/settings.csv", "a,b\n")
        self.write("summary.json", json.dumps({"gain_over_base": 0.1, "verdict": "text", "missing": None}))
