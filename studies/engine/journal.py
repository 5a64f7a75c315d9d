"""Writing the study folder OUT: its metadata, its settings, and one durable JSON line for each finished trial.

The row is the record of a trial: its other files are written first, it is flushed to disk before any callback sees it,
and MLflow is a view that can be rebuilt from OUT alone.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from mim4dd.durable import durably, encoded, finite, read_json, write_all, write_json
from mim4dd.errors import InputError
from studies.engine.arms import Setting
from studies.engine.reading import checked, contents, reason, unpack
from studies.engine.rows import Row, read_rows
from studies.engine.trial import Outcome

# The entry of study.json that an execution measures, and later ones keep.
REFERENCE_ACCURACY = "reference_accuracy"
# What differs wherever anything else does.
FOLLOWING = ("hash", "command", "created", "git_commit", "versions")
REMOVED = "it was removed or replaced while the study ran"


def earlier_study(out: Path, metadata: dict[str, Any]) -> dict[str, Any] | None:
    """The study.json of OUT, which may lack one, if it is of the study with this metadata.

    Raises: InputError when OUT holds another study.
    """
    earlier = _earlier(out / "study.json")
    if earlier is not None and earlier.get("hash") != metadata["hash"]:
        asked = json.loads(json.dumps(metadata))  # lists, where there were tuples
        keys = [key for key in asked if key in earlier and earlier[key] != asked[key] and key not in FOLLOWING]
        differs = ", ".join("results version" if key == "rules" else key for key in keys)
        if not differs:  # arms are in the hash alone
            of_old = "its results version" if "rules" not in earlier else "methods or their knobs"
            differs = f"{of_old}; it was made by: {earlier['command']}" if "command" in earlier else of_old
        raise InputError(f"{out} holds another study (it differs in {differs}); give another --out")
    return earlier


class Journal:
    """The files of OUT, open for writing and locked against a second driver."""

    def __init__(self, out: Path, metadata: dict[str, Any]) -> None:
        """Open or create OUT. metadata: the study's.

        Raises: InputError when OUT cannot be written, holds another study, or is locked by another driver.
        """
        self.out = out
        self._lock = self._acquire_lock()
        try:
            self._open(metadata)
        except OSError as error:
            self._lock.close()
            raise InputError(f"--out {out} cannot be written: {described(error, out)}") from error
        except InputError:
            self._lock.close()
            raise

    def _acquire_lock(self) -> IO[str]:
        """Lock OUT until this process ends.

        Raises: InputError when OUT cannot be locked.
        """
        try:
            (self.out / "trials").mkdir(parents=True, exist_ok=True)
            lock = open(self.out / "lock", "a+", encoding="utf-8")
        except OSError as error:
            raise InputError(f"--out {self.out} cannot be written: {described(error, self.out)}") from error
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
        with contextlib.suppress(
            OSError
        ):  # the text only informs people; a full disk is reported when a row is written
            lock.truncate(0)
            lock.write(f"process {os.getpid()} on {platform.node()}")
            lock.flush()
        return lock

    def keep_lock(self) -> Path:
        """Let the program that this process becomes keep the lock; returns OUT."""
        os.set_inheritable(self._lock.fileno(), True)
        return self.out

    def _open(self, metadata: dict[str, Any]) -> None:
        """Write study.json, read the rows, and open rows.jsonl."""
        out = self.out
        earlier = earlier_study(out, metadata)
        if earlier is not None and earlier.get("data_digest") != metadata.get("data_digest"):
            raise InputError(
                f"{out} was made from other images under the name {metadata['dataset']}; give the same data, or "
                "another --out"
            )
        kept = {key: earlier[key] for key in ("created", REFERENCE_ACCURACY) if key in earlier} if earlier else {}
        self.study = {**metadata, **kept}
        write_json(out / "study.json", self.study)
        self.notes: list[str] = []
        self.rows = self._repair()
        # Unbuffered: bytes that a full disk has rejected must not be written again when the file is closed.
        self._file = open(out / "rows.jsonl", "ab", buffering=0)

    def _repair(self) -> dict[str, Row]:
        """Read the rows, after truncating a last line that a crash left unfinished; packed ones are unpacked."""
        for name in ("rows.jsonl", "settings.jsonl"):
            unpack(self.out / name)
        if cut_unfinished(self.out / "rows.jsonl"):
            self.notes.append("rows.jsonl ended in an unfinished line, which was removed; its trial will run again")
        return read_rows(self.out)

    def finished(self, hashes: Iterable[str]) -> set[str]:
        """Those of these trials that have a row with a status other than `error`; they need not run again."""
        return {h for h in hashes if h in self.rows and self.rows[h].status != "error"}

    def add(self, outcome: Outcome, retries: int) -> Row:
        """Write a trial's files, then its row, flush both to disk, and delete its checkpoint.

        retries: how often the trial lost its worker.
        Raises: OSError when they cannot be written, or OUT is another folder by now; the trial then has no row.
        """
        self._require_same()
        folder = self.out / "trials" / outcome.trial.hash
        write_json(folder / "history.json", finite(outcome.history))
        if outcome.synthetic is not None:
            durably(folder / "synthetic.safetensors", outcome.synthetic.to_bytes())
        if outcome.picture:
            durably(folder / "synthetic.png", outcome.picture)
        record = finite(outcome.row)
        record["measured"]["retries"] = retries
        row = Row.read(record)
        self._append(encoded(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"))
        self._require_same()
        self.rows[row.trial] = row
        checkpoint_path(self.out, outcome.trial.hash).unlink(missing_ok=True)
        return row

    def _require_same(self) -> None:
        """Raises: OSError when OUT/rows.jsonl is not the open file: its rows would be lost."""
        require_same(self.out / "rows.jsonl", os.fstat(self._file.fileno()))

    def _append(self, line: bytes) -> None:
        """Add a line completely or not at all: a full disk may store a part of it.

        Raises: OSError.
        """
        end = os.fstat(self._file.fileno()).st_size
        try:
            write_all(self._file, line)
            os.fsync(self._file.fileno())
        except OSError:
            with contextlib.suppress(OSError):  # else `_repair` removes the part when the study is resumed
                os.ftruncate(self._file.fileno(), end)
            raise

    def write_settings(self, settings: Iterable[Setting]) -> None:
        """Write settings.jsonl: one line for each setting."""
        text = "".join(json.dumps(setting.json(), ensure_ascii=False) + "\n" for setting in settings)
        durably(self.out / "settings.jsonl", encoded(text))

    def write_reference(self, accuracy: float) -> None:
        """Add the validation accuracy of the reference network to study.json."""
        if self.study.get(REFERENCE_ACCURACY) != accuracy:
            self.study = {**self.study, REFERENCE_ACCURACY: accuracy}
            write_json(self.out / "study.json", self.study)

    def close(self) -> None:
        """Close rows.jsonl and unlock OUT."""
        self._file.close()
        self._lock.close()


def cut_unfinished(path: Path) -> bool:
    """Remove what stands after a file's last complete line, which a crash left there; returns whether it did.

    Raises: InputError or OSError.
    """
    data = contents(path)
    complete = data.rfind(b"\n") + 1
    if complete == len(data):
        return False
    with open(path, "r+b") as file:
        file.truncate(complete)
        os.fsync(file.fileno())
    return True


def _earlier(path: Path) -> dict[str, Any] | None:
    """What study.json holds; None when there is none.

    Raises: InputError when it cannot be read.
    """
    try:
        earlier = read_json(path)
        return None if earlier is None else checked(earlier, dict[str, Any])
    except ValueError as error:
        raise InputError(
            f"{path} cannot be read ({reason(error)}); move it away, then run the same command again: rows are kept"
        ) from error


def require_same(path: Path, opened: os.stat_result) -> None:
    """Raises: OSError when a path is no longer the file or folder that it was. opened: its `stat` of then."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if os.path.samestat(os.stat(path), opened):
            return
    raise OSError(errno.ESTALE, REMOVED)


def described(error: OSError, out: Path) -> str:
    """A file system's error, with the file below OUT that it is about."""
    file = Path(str(error.filename)) if error.filename else out
    place = f" ({file.relative_to(out)})" if file != out and file.is_relative_to(out) else ""
    return f"{error.strerror or error}{place}"


def checkpoint_path(out: Path, trial: str) -> Path:
    """The file of an unfinished trial's saved state."""
    return out / "checkpoints" / f"{trial}.pt"
