"""The folders of docs/results, and what each answers now."""

from __future__ import annotations

import re
import shutil
from functools import cache
from importlib import import_module
from pathlib import Path

from studies.engine.answer import Answer
from studies.engine.folder import StudyFolder
from studies.engine.reading import unpack

RESULTS = Path(__file__).parents[2] / "docs" / "results"
FOLDERS = sorted(path.parent.name for path in RESULTS.glob("*/study.json"))
# A folder of each kind of study and of each form of answer stays among the fast tests; all are met by the slow ones.
QUICK = {
    *("noise-fashion", "imbalance-fashion", "sensitivity-digits", "updates-digits", "mtt-rate-mnist"),
    *("fidelity-mnist-term", "fidelity-fashion-term"),
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


def numbers(text: str) -> list[str]:
    """The numbers of a text as they are printed, without sign."""
    return re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", text)
