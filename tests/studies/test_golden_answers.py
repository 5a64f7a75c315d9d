"""The answers of docs/results, recomputed from their settings and rows without Ray or MLflow."""

from __future__ import annotations

import json
from typing import Any

import pytest
from golden_answers import FOLDERS, GOLDEN, answered, evidence_of, told

# The importances of a large design take long.
LONG = {"sensitivity-digits-64x5", "sensitivity-stress", "sensitivity-digits-dc", "sensitivity-digits-dsa"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in LONG else ()) for n in FOLDERS])
def test_an_answer_recomputed_from_its_rows_says_what_it_said(name: str) -> None:
    evidence = evidence_of(name)
    golden = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    assert same(told(evidence, answered(evidence)), golden)


def same(found: Any, golden: Any) -> bool:
    """Equal but for the last digits of floats, which another processor may round otherwise."""
    if isinstance(golden, dict):
        assert set(found) == set(golden)
        return all(same(found[key], golden[key]) for key in golden)
    if isinstance(golden, list):
        assert len(found) == len(golden)
        return all(same(one, other) for one, other in zip(found, golden, strict=True))
    assert found == (pytest.approx(golden, rel=1e-6, abs=1e-12) if isinstance(golden, float) else golden)
    return True
