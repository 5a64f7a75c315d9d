"""What each folder of docs/results answered before one rule decided, and what it answers now, as plain values."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from studies.engine.answer import Answer
from studies.engine.folder import StudyFolder

RESULTS = Path(__file__).parents[2] / "docs" / "results"
GOLDEN = Path(__file__).parent / "golden"
FOLDERS = sorted(path.parent.name for path in RESULTS.glob("*/rows.jsonl"))
# Those that were there before one rule decided.
HELD = sorted(path.stem for path in GOLDEN.glob("*.json"))
# A folder of each kind of study and of each form of answer stays among the fast tests; all are met by the slow ones.
QUICK = {
    *("noise-fashion", "imbalance-fashion", "sensitivity-digits", "lambda-digits", "mtt-rate-mnist"),
    *("fidelity-mnist-short", "fidelity-fashion-mim"),
}
LONG = set(FOLDERS) - QUICK


@cache
def folder_of(name: str) -> StudyFolder:
    return StudyFolder.read(RESULTS / name)


@cache
def answer_of(name: str) -> Answer:
    """Recomputed from study.json, settings.jsonl and rows.jsonl."""
    folder = folder_of(name)
    answer: Answer = import_module(f"studies.{folder.name}").STUDY.answer(folder)
    return answer


def golden_of(name: str) -> dict[str, Any]:
    held: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    return held


def numbers(text: str) -> list[str]:
    """The numbers of a text as they are printed, without sign."""
    return re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", text)
