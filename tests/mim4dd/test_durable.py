"""Files that are whole or not there: replaced at once, and without a trace where they cannot be written."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

import mim4dd.durable
from mim4dd.durable import durably, read_json, read_signed, try_writing, write_json, write_signed
from mim4dd.errors import InputError


def test_file_is_replaced_and_its_folder_made(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "file"
    for content in (b"first", b"second" * 10_000):
        durably(file, content)
        assert file.read_bytes() == content
    assert [path.name for path in file.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_file_that_cannot_be_finished_stays_as_it_was(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(file: io.FileIO, content: bytes) -> None:
        file.write(content[: len(content) // 2])
        raise error

    file = tmp_path / "file"
    durably(file, b"before")
    monkeypatch.setattr(mim4dd.durable, "write_all", half)
    for work in (lambda: durably(file, b"after"), lambda: try_writing(file)):
        with pytest.raises(type(error)):
            work()
        assert [path.name for path in tmp_path.iterdir()] == ["file"]
        assert file.read_bytes() == b"before"


def test_trying_to_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name in ("new/file", "there/new/deeper/file", "there/file"):
        try_writing(tmp_path / name)
        assert list(tmp_path.rglob("*")) == [tmp_path / "there"]


def test_what_could_not_be_written_is_known_before(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    cases = {"file/inside": errno.EEXIST, "folder": errno.EISDIR, "long" * 100: errno.ENAMETOOLONG}
    for name, number in cases.items():
        for write in (try_writing, lambda path: durably(path, b"content")):
            with pytest.raises(OSError, match=r"\[Errno") as caught:
                write(tmp_path / name)
            assert caught.value.errno == number
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_json_keeps_names_that_are_no_utf8(tmp_path: Path) -> None:
    value = {"path": os.fsdecode(b"caf\xe9"), "name": "café τ", "quoted": 'a"\\b'}
    write_json(tmp_path / "value.json", value)
    assert read_json(tmp_path / "value.json") == value
    assert json.loads((tmp_path / "value.json").read_bytes()) == value


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000, b""])
def test_what_is_no_json_is_told_with_its_file(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "value.json"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"value\.json is no JSON file: "):
        read_json(file)


def test_a_signed_file_that_was_changed_is_told(tmp_path: Path) -> None:
    file = tmp_path / "signed"
    found: Any = read_signed(file)
    assert found == (None, "")
    write_signed(file, b"content")
    assert read_signed(file) == (b"content", "")
    file.write_bytes(file.read_bytes()[:-1])
    assert read_signed(file) == (None, "was damaged")
