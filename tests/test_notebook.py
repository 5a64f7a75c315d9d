"""docs/first-hour.ipynb: its code runs, and what it shows is what it was executed with, without a path of a machine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

KEPT = Path(__file__).resolve().parent.parent / "docs" / "first-hour.ipynb"
PAGE = KEPT.with_name("notebooks.md")
LONGEST = 400  # seconds, on a very busy machine; on two busy cores it took 96
# An absolute path in a text, no URL and no tag of HTML.
PATH = re.compile(r"(?<![\w./:<~])/(?:[\w.-]+/)+[\w.-]*")


def code_cells(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]


def forms(cell: dict[str, Any]) -> set[str]:
    """The forms in which a cell shows something: stdout, text/plain, image/png."""
    kinds = {output.get("name", "") for output in cell["outputs"]}
    return {form for output in cell["outputs"] for form in output.get("data", {})} | kinds - {""}


def texts(cell: dict[str, Any]) -> str:
    """All that a cell shows but for pictures."""
    shown = [output.get("text", []) for output in cell["outputs"]]
    shown += [text for one in cell["outputs"] for form, text in one.get("data", {}).items() if form != "image/png"]
    text = "\n".join("".join(lines) for lines in shown)
    return re.sub(r"data:image/png;base64,[\w+/=]+", "", text)


def test_it_is_kept_as_one_execution_from_top_to_bottom() -> None:
    cells = code_cells(KEPT)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not [cell for cell in cells if any(output["output_type"] == "error" for output in cell["outputs"])]
    assert not [cell for cell in cells if "stderr" in forms(cell)]
    assert sum("image/png" in forms(cell) for cell in cells) >= 2
    assert "data:image/png;base64," in json.dumps(cells)  # the first figure of the study's answer


def test_it_shows_no_path_of_a_machine_and_no_time_of_its_execution() -> None:
    assert PATH.findall("results in /tmp/x/runs, see https://a.org/b/c </p></td> 4/5 [ 1/15]") == ["/tmp/x/runs"]
    cells = code_cells(KEPT)
    assert [PATH.findall(texts(cell)) for cell in cells if PATH.search(texts(cell))] == []
    assert {key for cell in cells for key in cell["metadata"]} == set()


@pytest.mark.slow
@pytest.mark.ray
def test_its_code_runs_and_shows_the_same_forms(tmp_path: Path) -> None:
    shutil.copy(KEPT, tmp_path / "made.ipynb")
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace", "made.ipynb"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    made, kept = code_cells(tmp_path / "made.ipynb"), code_cells(KEPT)
    assert [forms(cell) for cell in made] == [forms(cell) for cell in kept]
    assert "[15/15]" in "".join(map(texts, made))
    assert str(tmp_path) not in "".join(map(texts, made))
    assert (tmp_path / "runs").is_dir()


@pytest.mark.slow
def test_the_library_on_the_page_runs() -> None:
    library, study = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(compile(library, str(PAGE), "exec"), names)
    assert len(names["synthetic"].labels) == 10
    assert 'run("baselines", method=["random", "dm", "mim:base=dm"], seeds="0-4", quick=True' in study  # the notebook's
