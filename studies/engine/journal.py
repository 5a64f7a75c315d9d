"""The study folder OUT: its identity, its settings, and one durable JSON line for each finished trial.

A row is the only truth. A trial's files are written before its row, the row is flushed to disk before anybody hears
of it, and MLflow is a view that can be made again from OUT alone.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from mim4dd.errors import InputError
from studies.engine.design import Setting
from studies.engine.trial import Outcome

Row = dict[str, Any]


class Journal:
    """OUT while a driver holds it: opened for one study, refused to a second driver."""

    def __init__(self, out: Path, identity: dict[str, Any]) -> None:
        """Open or create OUT.

        Raises: InputError when it cannot be written, holds another study, or another driver has it.
        """
        self.out = out
        try:
            (out / "trials").mkdir(parents=True, exist_ok=True)
            self._lock: IO[str] = open(out / "lock", "a")
        except OSError as error:
            raise InputError(f"--out {out} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise InputError(
                f"{out} is in use by another run of this study; wait for it, or give another --out"
            ) from error
        held = read_json(out / "study.json")
        if held is not None and held.get("hash") != identity["hash"]:
            self._lock.close()
            differs = [key for key in identity if key in held and held[key] != identity[key]]
            raise InputError(
                f"{out} holds another study (it differs in {', '.join(differs) or 'its rules'}); give another --out"
            )
        if held is not None and held.get("data_digest") != identity.get("data_digest"):
            self._lock.close()
            raise InputError(
                f"{out} was made from other images under the name {identity['dataset']}; give the same data, or "
                "another --out"
            )
        write_json(out / "study.json", {**identity, "created": (held or identity)["created"]})
        self.notes: list[str] = []
        self.rows = {row["trial"]: row for row in self._repair()}
        self._file = open(out / "rows.jsonl", "a", encoding="utf-8")

    def _repair(self) -> list[Row]:
        """The rows, after cutting off a last line that a crash left unfinished."""
        path = self.out / "rows.jsonl"
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        if whole != data:
            with open(path, "r+b") as file:
                file.truncate(len(whole))
                os.fsync(file.fileno())
            self.notes.append("rows.jsonl ended in an unfinished line, which was cut off; that trial runs again")
        return read_rows(self.out)

    def finished(self, hashes: Iterable[str]) -> set[str]:
        """Those of these trials that need not run again: all with a row that is not an error."""
        return {h for h in hashes if h in self.rows and self.rows[h]["result"]["status"] != "error"}

    def add(self, outcome: Outcome, retries: int) -> Row:
        """Write a trial's files, then its row, and flush both to disk."""
        folder = self.out / "trials" / outcome.trial.hash
        folder.mkdir(exist_ok=True)
        write_json(folder / "history.json", finite(outcome.history))
        if outcome.synthetic is not None:
            outcome.synthetic.save(folder / "synthetic.safetensors")
        if outcome.picture:
            (folder / "synthetic.png").write_bytes(outcome.picture)
        row = finite(outcome.row)
        row["measured"]["retries"] = retries
        self._file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.rows[row["trial"]] = row
        checkpoint = self.out / "checkpoints" / f"{outcome.trial.hash}.pt"
        checkpoint.unlink(missing_ok=True)
        return row

    def write_settings(self, settings: Iterable[Setting]) -> None:
        """Save the design: one line a setting."""
        text = "".join(json.dumps(setting.json(), ensure_ascii=False) + "\n" for setting in settings)
        _replace(self.out / "settings.jsonl", text)

    def close(self) -> None:
        self._file.close()
        self._lock.close()


def finite(value: Any) -> Any:
    """The same value with None where a number is not finite: JSON has no other word for it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def read_rows(out: Path) -> list[Row]:
    """The rows of a study folder; of two rows of one trial the later stands.

    Raises: InputError when a line is no row.
    """
    rows: dict[str, Row] = {}
    path = out / "rows.jsonl"
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines() if path.exists() else [], 1):
        try:
            row = json.loads(line)
            rows[row["trial"]] = row
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}:{number} is no row ({error}); repair or remove that line") from error
    return list(rows.values())


def read_settings(out: Path) -> list[Setting]:
    """The settings of a study folder."""
    path = out / "settings.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Setting(**{**(held := json.loads(line)), "trials": tuple(held["trials"])}) for line in lines]


def read_json(path: Path) -> Any:
    """What a JSON file holds; None when there is no such file.

    Raises: InputError when it is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{path} is no JSON file: {error}") from error


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file in one step: readers see the old one or the new one."""
    _replace(path, json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    with open(part, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
