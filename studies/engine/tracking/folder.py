"""A study's folder as tracking reads it: what the study is, its settings, its finished trials."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mim4dd.errors import InputError

Row = dict[str, Any]


class Folder:
    """What lies in OUT. Settings are read again when a trial is met that none of them names.

    Raises: InputError when the folder holds no study.
    """

    def __init__(self, out: Path) -> None:
        self.path = Path(out).absolute()
        try:
            self.study: dict[str, Any] = json.loads((self.path / "study.json").read_text(encoding="utf-8"))
            self.name = str(self.study["study"])
            # Not the path: a folder that was moved or copied to another machine is still the same study.
            told = f"{self.study['hash']}/{self.study['created']}"
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{out} holds no study (its study.json cannot be read: {one_line(error)})") from error
        self.identity = hashlib.sha256(told.encode()).hexdigest()[:16]
        self._settings: dict[str, dict[str, Any]] = {}

    def rows(self) -> Iterator[Row]:
        """The finished trials, a trial's last row only; a line without an end is one that is being written.

        Raises: InputError with the line's number when a whole line is no row.
        """
        last: dict[str, Row] = {}
        for number, line in enumerate(self._lines("rows.jsonl"), 1):
            try:
                row = json.loads(line)
                last[row["trial"]] = row
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"{self.path / 'rows.jsonl'}, line {number} is no row: {one_line(error)}") from error
        return iter(last.values())

    def setting(self, trial: str) -> dict[str, Any]:
        """The setting that a trial belongs to, or nothing."""
        if trial not in self._settings:
            for line in self._lines("settings.jsonl"):
                setting = json.loads(line)
                for name in setting.get("trials", ()):
                    self._settings.setdefault(name, setting)
        return self._settings.get(trial, {})

    def planned(self) -> int:
        """How many trials the settings name."""
        return len({name for line in self._lines("settings.jsonl") for name in json.loads(line).get("trials", ())})

    def summary(self) -> dict[str, Any]:
        """The study's own numbers, when it has written them."""
        try:
            found = json.loads((self.path / "summary.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def failures(self) -> dict[str, list[str]]:
        """The failure modes that only paired trials show, by trial, when the study has an answer."""
        try:
            found = json.loads((self.path / "failures.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _lines(self, name: str) -> list[str]:
        try:
            text = (self.path / name).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        return [line for line in text.split("\n")[:-1] if line.strip()]


def digest(row: Row) -> str:
    """The identity of a row's content."""
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()[:16]


def one_line(error: BaseException) -> str:
    """An error's first line, short enough to stand in a sentence."""
    text = str(error).strip().split("\n")[0] or type(error).__name__
    return text if len(text) <= 200 else f"{text[:197]}..."
