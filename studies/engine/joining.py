"""Ray as a context for trials: MLflow is checked while it starts, its messages go to a file, a loss is noticed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from studies.engine.signals import LOST, Signals
from studies.engine.tracking import check

if TYPE_CHECKING:
    from cluster import Connection, Watch

# What Ray itself says while trials run: a file of OUT.
MESSAGES = "ray.log"


@contextlib.contextmanager
def joined(address: str, uri: str, out: Path, signals: Signals) -> Iterator[tuple[Connection, Watch]]:
    """The cluster at an address, and its watch; the messages of Ray go to OUT/ray.log.

    uri: of MLflow, "" for none. signals: those that end the wait of the trials when Ray is lost.
    Raises: InputError when Ray or MLflow cannot be used; ClusterLost when Ray is lost.
    """
    from cluster import ClusterLost, disconnect, messages_to, watch

    connection = _connect(address, uri)
    with messages_to(out / MESSAGES):
        watched = watch(signals.abandon, LOST)
        try:
            with watched:
                yield connection, watched
        except KeyboardInterrupt:
            if not watched.lost:
                raise
            raise ClusterLost(f"{watched.lost}; run the same command again to continue") from None
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
