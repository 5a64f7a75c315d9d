"""The blocks of docs/own/data.md run, in their order, in an empty folder."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "own" / "data.md"


def test_every_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    if importlib.util.find_spec("datasets") is None:
        blocks = [block for block in blocks if "datasets import ClassLabel" not in block]
    names: dict[str, Any] = {}
    shapes = []
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
        shapes.append(names["splits"].train.shape)
    assert len(blocks) >= 6
    assert (shapes[0], shapes[-1][1:]) == ((1, 8, 8), (8, 8) if "hf:" in blocks[-1] else (16, 16))
    assert capsys.readouterr().out.splitlines()[0] == "1294 144 359 (1, 8, 8)"
