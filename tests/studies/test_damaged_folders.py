"""Whatever is wrong with a study folder is one line and status 2, for each command that reads one."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from answered import copied

from mim4dd.errors import InputError
from studies.answers.__main__ import main as answer
from studies.engine import reading
from studies.engine import rows as rows_module
from studies.engine.folder import read_settings
from studies.engine.journal import Journal
from studies.engine.reading import contents, unpack
from studies.engine.rows import read_rows
from studies.engine.status import main as status
from studies.engine.tracking.__main__ import main as tracking

NAMES = ("study.json", "settings.jsonl", "rows.jsonl")
COMMANDS = {"answers": answer, "status": status, "sync": lambda words: tracking(["sync", *words])}


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return copied("fidelity-cifar10-term", tmp_path / "out")


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
    changed("settings.jsonl", trials=["a", "b", "c", "d", "e", "f"]),
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


def packed(out: Path, name: str) -> Path:
    """What `gzip` makes of a file."""
    subprocess.run(["gzip", "-n", str(out / name)], check=True)
    return out / f"{name}.gz"


@pytest.mark.slow
def test_packed_records_are_read_as_they_were(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, claims = read_rows(out), (out / "claims.jsonl").read_bytes()
    there, _ = packed(out, "rows.jsonl"), packed(out, "settings.jsonl")
    packed(out, "claims.jsonl")
    assert list(read_rows(out)) == list(rows)
    assert contents(out / "claims.jsonl") == claims
    assert status([str(out)]) == 0
    assert tracking(["sync", str(out), "--tracking-uri", f"sqlite:///{out.parent}/mlflow.db"]) == 0
    assert f"{len(rows)} of {len(rows)} finished trials sent" in capsys.readouterr().out
    assert answer([str(out)]) == 0
    assert there.is_file()
    assert not (out / "claims.jsonl.gz").exists(), "two files would hold the claims"
    assert (out / "claims.jsonl").read_bytes() == claims


def test_a_study_that_goes_on_unpacks_its_rows(out: Path) -> None:
    before = (out / "rows.jsonl").read_bytes()
    settings, there = packed(out, "settings.jsonl"), packed(out, "rows.jsonl")
    journal = Journal(out, json.loads((out / "study.json").read_text()))
    journal.close()
    assert (out / "rows.jsonl").read_bytes() == before
    assert not there.exists()
    assert not settings.exists()
    assert read_settings(out)
    there.write_bytes(b"of another time")
    Journal(out, json.loads((out / "study.json").read_text())).close()
    assert (out / "rows.jsonl").read_bytes() == before, "what is there wins"
    assert not there.exists(), "old rows would come back where the others are lost"


def test_a_record_that_is_unpacked_while_it_is_opened_is_read(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (out / "rows.jsonl").read_bytes()
    packed(out, "rows.jsonl")

    def late(*asked: Any) -> Any:
        monkeypatch.undo()
        unpack(out / "rows.jsonl")
        return gzip.open(*asked)

    monkeypatch.setattr(reading.gzip, "open", late)
    assert contents(out / "rows.jsonl") == before


@pytest.mark.parametrize("read", [contents, read_rows])
def test_a_name_that_no_file_can_have_is_one_line(read: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: File name too long"):
        read(tmp_path / ("x" * 300))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("spoil", [lambda data: data[:-40], lambda data: b"no gzip" + data, lambda data: data[:30]])
def test_a_damaged_packed_file_is_one_line(
    command: str, spoil: Callable[[bytes], bytes], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = packed(out, "rows.jsonl")
    there.write_bytes(spoil(there.read_bytes()))
    assert COMMANDS[command]([str(out)]) == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    assert f"{there} cannot be read" in told.err


def test_what_unpacks_to_more_than_a_machine_holds_is_one_line(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST", 2**20)
    monkeypatch.setattr(rows_module, "LONGEST_LINE", 2**20)
    (out / "rows.jsonl").unlink()
    (out / "rows.jsonl.gz").write_bytes(gzip.compress(b" " * 2**21))
    with pytest.raises(InputError, match="it unpacks to over 1 MiB"):
        contents(out / "rows.jsonl")
    with pytest.raises(InputError, match=r"rows.jsonl:1 is no row"):
        read_rows(out)
