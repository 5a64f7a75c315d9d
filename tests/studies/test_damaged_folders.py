"""Whatever is wrong with a study folder is one line and status 2, for each command that reads one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from studies.answers.__main__ import main as answer
from studies.engine.status import main as status
from studies.engine.tracking.__main__ import main as tracking

RESULTS = Path(__file__).parents[2] / "docs" / "results"
NAMES = ("study.json", "settings.jsonl", "rows.jsonl")
COMMANDS = {"answers": answer, "status": status, "sync": lambda words: tracking(["sync", *words])}


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(RESULTS / "fidelity-mnist-dc", tmp_path / "out"))


def changed(name: str, **parts: Any) -> Callable[[Path], None]:
    """Replaces parts of the first line of a file."""

    def change(out: Path) -> None:
        text = (out / name).read_text()
        line, _, rest = (text, "", "") if name == "study.json" else text.partition("\n")
        (out / name).write_text(json.dumps(json.loads(line) | parts) + "\n" + rest)

    return change


def written(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda out: (out / name).write_bytes(content)


def turned_into_a_folder(name: str) -> Callable[[Path], object]:
    def turn(out: Path) -> None:
        (out / name).unlink()
        (out / name).mkdir()

    return turn


GARBAGE = (b"[]\n", b"\xff\xfe\n", b"[" * 99_999 + b"\n", b"\0" * 512 + b"\n")
SPOILED: list[Callable[[Path], object]] = [
    *(written(name, content) for name in NAMES for content in GARBAGE),
    *map(turned_into_a_folder, NAMES),
    changed("study.json", seeds=["0"]),
    changed("study.json", configuration=None),
    changed("study.json", factors=[{"name": "x", "levels": 3, "curves": []}]),
    changed("study.json", conditions=[{"label": "clean"}]),
    changed("study.json", axes=[{"key": "method.weight"}]),
    changed("settings.jsonl", trials=3),
    changed("settings.jsonl", trials=["a", "b", "c", "d"]),
    changed("rows.jsonl", result=None),
    changed("rows.jsonl", config=[]),
    changed("rows.jsonl", report_only={"test_accuracy": "abc"}),
    changed("rows.jsonl", measured={"ended": "today"}),
    written("settings.jsonl", b""),
    lambda out: (out / "study.json").unlink(),
    lambda out: shutil.rmtree(out),
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("spoil", SPOILED)
def test_a_damaged_folder_is_one_line_and_status_2(
    command: str, spoil: Callable[[Path], object], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(out)
    there = sorted(path.name for path in out.iterdir()) if out.exists() else []
    assert COMMANDS[command]([str(out)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1
    assert str(out) in told.err
    assert (sorted(path.name for path in out.iterdir()) if out.exists() else []) == there


@pytest.mark.parametrize("command", ["answers", "status", "sync"])
def test_a_file_for_a_folder_is_one_line_and_status_2(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("no folder")
    assert COMMANDS[command]([str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert "Not a directory" in told
    assert told.count("\n") == 1


def test_trials_that_partly_lack_do_not_matter(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trial = json.loads((out / "rows.jsonl").read_text().splitlines()[0])["trial"]
    (out / "trials" / trial).mkdir(parents=True)
    assert answer([str(out)]) == 0
    assert status([str(out)]) == 0
    shutil.rmtree(out / "trials")
    (out / "trials").write_text("no folder")
    assert answer([str(out)]) == 0
    assert capsys.readouterr().err == ""
