"""The study folder OUT: its metadata, its settings, and one durable JSON line for each finished trial.

A row is the only truth. A trial's files are written before its row, the row is flushed to disk before anybody hears
of it, and MLflow is a view that can be made again from OUT alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from mim4dd.errors import InputError
from studies.engine.arms import Setting
from studies.engine.durable import durably, finite, read_json, write_all, write_json
from studies.engine.rows import Row, read_rows
from studies.engine.trial import Outcome

# What a run finds out about a study, and a later one need not.
FOUND = "reference_accuracy"


class Journal:
    """OUT while a driver holds it: opened for one study, refused to a second driver."""

    def __init__(self, out: Path, metadata: dict[str, Any]) -> None:
        """Open or create OUT.

        Raises: InputError when it cannot be written, holds another study, or another driver has it.
        """
        self.out = out
        self._lock = self._held()
        try:
            self._open(metadata)
        except OSError as error:
            self._lock.close()
            raise InputError(f"--out {out} cannot be written: {error.strerror}") from error
        except InputError:
            self._lock.close()
            raise

    def _held(self) -> IO[str]:
        """The lock on OUT, which ends with this process."""
        try:
            (self.out / "trials").mkdir(parents=True, exist_ok=True)
            lock = open(self.out / "lock", "a+")
        except OSError as error:
            raise InputError(f"--out {self.out} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            holder = lock.read().strip()
            lock.close()
            if not isinstance(error, BlockingIOError):
                raise InputError(f"--out {self.out} cannot be locked: {error.strerror}") from error
            raise InputError(
                f"{self.out} is in use by another run of this study ({holder}); wait for it, or give another --out"
            ) from error
        with contextlib.suppress(OSError):  # who holds it is said for people; a full disk is met when a row is written
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {platform.node()}")
            lock.flush()
        return lock

    def _open(self, metadata: dict[str, Any]) -> None:
        out = self.out
        held = read_json(out / "study.json")
        if held is not None and held.get("hash") != metadata["hash"]:
            keys = [key for key in metadata if key in held and held[key] != metadata[key]]
            differs = ", ".join("results version" if key == "rules" else key for key in keys) or "its results version"
            raise InputError(f"{out} holds another study (it differs in {differs}); give another --out")
        if held is not None and held.get("data_digest") != metadata.get("data_digest"):
            raise InputError(
                f"{out} was made from other images under the name {metadata['dataset']}; give the same data, or "
                "another --out"
            )
        kept = {key: held[key] for key in ("created", FOUND) if key in held} if held else {}
        self.study = {**metadata, **kept}
        write_json(out / "study.json", self.study)
        self.notes: list[str] = []
        self.rows = self._repair()
        # Unbuffered: what a full disk refuses must not be tried again when the file is closed.
        self._file = open(out / "rows.jsonl", "ab", buffering=0)

    def _repair(self) -> dict[str, Row]:
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
        return {h for h in hashes if h in self.rows and self.rows[h].status != "error"}

    def add(self, outcome: Outcome, retries: int) -> Row:
        """Write a trial's files, then its row, and flush both to disk.

        Raises: OSError when the disk takes no more; the trial then has no row.
        """
        folder = self.out / "trials" / outcome.trial.hash
        write_json(folder / "history.json", finite(outcome.history))
        if outcome.synthetic is not None:
            durably(folder / "synthetic.safetensors", outcome.synthetic.to_bytes())
        if outcome.picture:
            durably(folder / "synthetic.png", outcome.picture)
        held = finite(outcome.row)
        held["measured"]["retries"] = retries
        row = Row.read(held)
        self._append((json.dumps(held, ensure_ascii=False, allow_nan=False) + "\n").encode())
        self.rows[row.trial] = row
        checkpoint_path(self.out, outcome.trial.hash).unlink(missing_ok=True)
        return row

    def _append(self, line: bytes) -> None:
        """Add a line in one piece: a disk may take a part of it and refuse the rest."""
        end = os.fstat(self._file.fileno()).st_size
        try:
            write_all(self._file, line)
            os.fsync(self._file.fileno())
        except OSError:
            with contextlib.suppress(OSError):  # what could not be cut off now is, when the study goes on
                os.ftruncate(self._file.fileno(), end)
            raise

    def write_settings(self, settings: Iterable[Setting]) -> None:
        """Save the design: one line a setting."""
        text = "".join(json.dumps(setting.json(), ensure_ascii=False) + "\n" for setting in settings)
        durably(self.out / "settings.jsonl", text.encode())

    def write_reference(self, accuracy: float) -> None:
        """Add to study.json what the reference network reaches on validation."""
        if self.study.get(FOUND) != accuracy:
            self.study = {**self.study, FOUND: accuracy}
            write_json(self.out / "study.json", self.study)

    def close(self) -> None:
        self._file.close()
        self._lock.close()


def checkpoint_path(out: Path, trial: str) -> Path:
    """Where the state of a trial that was not finished lies."""
    return out / "checkpoints" / f"{trial}.pt"
