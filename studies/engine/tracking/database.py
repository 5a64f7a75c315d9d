"""MLflow's SQLite file: its URI, whether it can be used, and how it is made: once, by one process, whole or not."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

from mim4dd.errors import InputError

ANSWER_SECONDS = 3.0
# In the errors of a file whose making was cut short, or which is damaged.
HALF_MADE = ("already exists", "duplicate column", "no such table", "no such column", "0 found")


def database(uri: str) -> Path | None:
    """The file of a SQLite URI; None for another store, or where no file is named."""
    if urlsplit(uri).scheme.partition("+")[0] != "sqlite":
        return None
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        name = make_url(uri).database
    except ArgumentError:
        return None
    return Path(name) if name else None


def uri_of(path: Path, query: str = "") -> str:
    """The URI of a SQLite file. query: with its `?`, "" for none.

    Raises: InputError for a path that this version of SQLAlchemy cannot be given.
    """
    from sqlalchemy import __version__
    from sqlalchemy.engine import make_url

    plain = str(path)
    escaped = plain.replace("%", "%25").replace("?", "%3F")
    # MLflow makes the folder of whatever follows `sqlite:///`, escapes included; it takes the driver's name as well.
    text = f"sqlite{'' if escaped == plain else '+pysqlite'}:///{escaped}{query}"
    if make_url(text).database != plain:
        raise InputError(
            f"SQLAlchemy {__version__} cannot open a database whose path contains % or ?, got {plain}; upgrade it to "
            "2.1, or give another --tracking-uri"
        )
    return text


def check_file(path: Path) -> None:
    """Require that a SQLite file can be written or created.

    Raises: InputError.
    """
    if not path.parent.is_dir():
        raise InputError(f"the tracking database {path} cannot be made: {path.parent} is no folder")
    if not _is_made(path):
        if not os.access(path.parent, os.W_OK):
            raise InputError(f"the tracking database {path} cannot be made: the folder is not writable")
        return
    try:
        with closing(sqlite3.connect(path, timeout=ANSWER_SECONDS, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("SELECT count(*) FROM sqlite_master")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise InputError(damage(path, error) or f"the tracking database {path} cannot be written: {error}") from error
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        raise InputError(f"the tracking database {path} cannot be written: it or its folder is read-only")


def _is_made(path: Path) -> bool:
    """Whether there is a file with content."""
    return path.exists() and (path.is_dir() or path.stat().st_size > 0)


def make(path: Path, use: Callable[[str], object]) -> None:
    """Make the file if it is not there; of several processes one makes it, aside, and the others wait.

    use: opens a URI with MLflow, which makes its tables. They take it seconds and many transactions: a process that is
    killed in between leaves a file that MLflow never opens again, and two at once leave one too.
    Raises: OSError, and whatever MLflow raises.
    """
    if _is_made(path):
        return
    name = f".{path.name}."
    with open(path.with_name(f"{name}lock"), "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_made(path):
            return
        for left in [entry for entry in path.parent.iterdir() if entry.name.startswith(f"{name}made-")]:
            shutil.rmtree(left, ignore_errors=True)  # by a process that was killed
        aside = Path(tempfile.mkdtemp(prefix=f"{name}made-", dir=path.parent))
        try:
            use(uri_of(aside / path.name))
            os.replace(aside / path.name, path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(lock.name)  # who waits for it, or comes later, finds the file


def damage(path: Path, failure: BaseException) -> str:
    """What to tell of a file that is damaged or half made, judged by an error and its content; "" if it is neither."""
    error = str(failure).strip().partition("\n")[0]
    found = error if any(sign in error for sign in HALF_MADE) else _damage_of(path)
    if not found:
        return ""
    return (
        f"the tracking database {path} is damaged or half made ({found[:160]}); unless another program is making it "
        f"now, run: mv {quote(str(path))} {quote(f'{path}.damaged')}, then the same command again; python -m "
        "studies.engine.tracking sync OUT sends a finished study anew"
    )


def _damage_of(path: Path) -> str:
    """What SQLite finds wrong with a file, or a table in it that a migration makes and drops again; "" for none."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            left = "SELECT name FROM sqlite_master WHERE name LIKE '\\_alembic\\_tmp%' ESCAPE '\\'"
            for (name,) in connection.execute(left):
                return f"a migration left its table {name}"
            (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            return "" if state == "ok" else str(state).replace("\n", " ")
    except sqlite3.OperationalError:  # it is locked, say, which is no damage
        return ""
    except sqlite3.DatabaseError as error:
        return str(error)
