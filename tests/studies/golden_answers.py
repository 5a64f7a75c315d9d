"""What each folder of docs/results answered before one rule decided, and what it answers now, as plain values."""

from __future__ import annotations

import json
import re
import shutil
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from studies.engine.answer import Answer
from studies.engine.folder import StudyFolder
from studies.engine.reading import unpack

RESULTS = Path(__file__).parents[2] / "docs" / "results"
GOLDEN = Path(__file__).parent / "golden"
FOLDERS = sorted(path.parent.name for path in RESULTS.glob("*/study.json"))
# Those that were there before one rule decided.
HELD = sorted(path.stem for path in GOLDEN.glob("*.json"))
# A folder of each kind of study and of each form of answer stays among the fast tests; all are met by the slow ones.
QUICK = {
    *("noise-fashion", "imbalance-fashion", "sensitivity-digits"),
    *("fidelity-mnist-term", "fidelity-fashion-mim"),
}
LONG = set(FOLDERS) - QUICK


def copied(name: str, to: Path, *left_out: str) -> Path:
    """A copy of a folder of docs/results with its records unpacked, as a study leaves them."""
    shutil.copytree(RESULTS / name, to, ignore=shutil.ignore_patterns(*left_out))
    for record in ("rows.jsonl", "settings.jsonl", "claims.jsonl"):
        unpack(to / record)
    return to


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
