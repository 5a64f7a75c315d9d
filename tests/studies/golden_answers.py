"""What each folder of docs/results answers, from its settings and rows alone: read, and held as JSON."""

from __future__ import annotations

import ast
import json
from importlib import import_module
from pathlib import Path
from typing import Any

from studies.engine.answer import Answer
from studies.engine.evidence import Evidence
from studies.engine.journal import read_json, read_rows, read_settings
from studies.engine.space import Axis

RESULTS = Path(__file__).parents[2] / "docs" / "results"
GOLDEN = Path(__file__).parent / "golden"
FOLDERS = sorted(path.parent.name for path in RESULTS.glob("*/rows.jsonl"))
SUITES = ("noisy_labels", "imbalance")


def evidence_of(name: str) -> Evidence:
    out = RESULTS / name
    identity = read_json(out / "study.json")
    identity["beside"] = [str(RESULTS.parents[1] / path) for path in identity.get("beside", [])]
    rows = {row["trial"]: row for row in read_rows(out)}
    return Evidence(out, identity, tuple(map(axis, identity["space"])), read_settings(out), rows)


def axis(text: str) -> Axis:
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call)
    return Axis(**{word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg})


def answered(evidence: Evidence) -> Answer:
    study = evidence.identity["study"]
    answer: Answer = import_module(f"studies.answers.{'stress' if study in SUITES else study}.verdict").write_answer(
        evidence
    )
    return answer


def told(evidence: Evidence, answer: Answer) -> dict[str, Any]:
    """All that an answer says, as plain values."""
    held: dict[str, Any] = {
        "sentences": list(answer.verdict),
        "notes": list(answer.notes),
        "figures": [figure.name for figure in answer.figures],
        "summary": answer.summary,
        "failed": answer.failed,
        "tables": {one.name: {"columns": list(one.columns), "rows": list(map(list, one.rows))} for one in answer.tables},
    }
    if evidence.identity["study"] in SUITES:
        from studies.answers.stress.breaking import occurrences
        from studies.answers.stress.findings import find

        found = find(evidence)
        held["failure_map"] = [
            [one.name, found.arms[one.arm].name, found.conditions[one.condition].label, one.count, one.of]
            + [one.undecided]
            for one in occurrences(found)
        ]
    loaded: dict[str, Any] = json.loads(json.dumps(held, default=float))
    return loaded


def dump(held: dict[str, Any]) -> str:
    """JSON with a line for each sentence and row, so that a difference can be read."""

    def lines(value: Any, depth: int) -> str:
        if not isinstance(value, dict | list) or not value or depth == 0 or not holds_more(value):
            return json.dumps(value, ensure_ascii=False)
        items = (
            [f"{json.dumps(key)}: {lines(one, depth - 1)}" for key, one in value.items()]
            if isinstance(value, dict)
            else [lines(one, depth - 1) for one in value]
        )
        ends = "{}" if isinstance(value, dict) else "[]"
        return ends[0] + "\n" + ",\n".join(items) + "\n" + ends[1]

    return lines(held, 5) + "\n"


def holds_more(value: Any) -> bool:
    """Whether a value is no row of plain cells."""
    return isinstance(value, dict) or any(isinstance(one, dict | list) or len(str(one)) > 60 for one in value)


if __name__ == "__main__":
    for name in FOLDERS:
        evidence = evidence_of(name)
        (GOLDEN / f"{name}.json").write_text(dump(told(evidence, answered(evidence))), encoding="utf-8")
