"""Ray as a context for trials: MLflow is checked while it starts, its messages go to a file, a loss is noticed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from studies.engine.tracking import check

if TYPE_CHECKING:
    from cluster import Connection

# What Ray itself says while trials run: a file of OUT.
MESSAGES = "ray.log"


@contextlib.contextmanager
def joined(address: str, uri: str, out: Path, lost: Callable[[str], NoReturn]) -> Iterator[Connection]:
    """The cluster at an address, which is watched; the messages of Ray go to OUT/ray.log.

    uri: of MLflow, "" for none. lost: called with the reason, in any thread, when Ray is lost.
    Raises: InputError when Ray or MLflow cannot be used.
    """
    from cluster import disconnect, messages_to, watch

    connection = _connect(address, uri)
    with messages_to(out / MESSAGES):
        try:
            with watch(lost):
                yield connection
        finally:
            disconnect()


def _connect(address: str, uri: str) -> Connection:
    """Check that MLflow can be used, and join or start Ray.

    Raises: InputError when one of them cannot be used.
    """
    from cluster import connect

    if not uri:
        return connect(address)
    if address != "local" or not uri.startswith("sqlite"):
        check(uri)
        return connect(address)
    # A new database and a local Ray cluster both start slowly: start them at the same time.
    with ThreadPoolExecutor(1) as pool:
        checked = pool.submit(check, uri)
        connection = connect(address)
    checked.result()
    return connection
