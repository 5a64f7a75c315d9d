"""MLflow's tracking address: its default, and a check with one-line errors before a study starts."""

from __future__ import annotations

import http.client
import logging
import os
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mim4dd.errors import InputError
from mim4dd.files import require_printable
from studies.engine.tracking.database import ANSWER_SECONDS, check_file, damage, database, make, uri_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

KNOWN = "sqlite:////ABSOLUTE/FILE.db, http://HOST:PORT"
# Retries would block for minutes and may create a run twice; rows are sent again by us.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
USE_SECONDS = 6.0
OPEN_SECONDS = 60.0
MAKE_SECONDS = 180.0  # with several new studies on a busy machine, all wait for the one that makes the file


def address(uri: str | None = None) -> str:
    """The absolute tracking URI: `uri`, else $MLFLOW_TRACKING_URI, else mlflow.db in the current folder.

    Raises: InputError for a URI that MLflow has no store for.
    """
    source = "--tracking-uri" if uri else "MLFLOW_TRACKING_URI"
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        return uri_of(Path.cwd() / "mlflow.db")
    require_printable(uri, source)
    safe_uri = shown(uri)
    try:
        scheme, host, _ = urlsplit(uri).scheme, urlsplit(uri).hostname, urlsplit(uri).port
    except ValueError as error:
        raise InputError(f"{source} must be a URI, got '{safe_uri}' ({error}); known are {KNOWN}") from error
    if scheme.partition("+")[0] == "sqlite":
        path = database(uri)
        if path is None or not path.name:
            raise InputError(f"{source} must name a file, got '{safe_uri}'; known are {KNOWN}")
        return uri_of(Path(os.path.abspath(path)), "".join(uri.partition("?")[1:]))
    if (scheme or uri).startswith("databricks"):
        raise InputError(
            f"{source} cannot be Databricks, got '{safe_uri}': its experiments need workspace paths, which studies do "
            f"not have; known are {KNOWN}"
        )
    if scheme in ("", "file"):
        raise InputError(f"{source} must not be a folder, where MLflow keeps no runs, got '{uri}'; known are {KNOWN}")
    if scheme in ("http", "https") and not host:
        raise InputError(f"{source} must name a host, got '{safe_uri}'; known are {KNOWN}")
    return uri


def shown(uri: str) -> str:
    """A text without the user and password of a URI in it, for messages and records."""
    return re.sub(r"(?<=://)[^/\s]*@", "", uri)


def check(uri: str | None = None) -> None:
    """Check within 10 seconds that MLflow can be used at a URI; makes a missing SQLite file, in 2 to 8 seconds more.

    Raises: InputError with one line.
    """
    uri = address(uri)
    scheme, safe_uri, path = urlsplit(uri).scheme, shown(uri), database(uri)
    failure = None
    seconds = USE_SECONDS
    if path is not None:
        check_file(path)
        failure = within(MAKE_SECONDS, lambda: make(path, use))
        seconds = OPEN_SECONDS  # the file is usable, so only a busy machine can be slow
    elif scheme in ("http", "https"):
        _check_answer(uri)
    # Importing MLflow takes seconds that must not count against the server.
    failure = failure or within(OPEN_SECONDS, lambda: client(uri)) or within(seconds, lambda: use(uri))
    if failure is None:
        return
    if path is not None and (damaged := damage(path, failure)):
        raise InputError(damaged)
    if "out-of-date database schema" in str(failure):
        upgrade = f"mlflow db upgrade {quote(safe_uri)}"
        raise InputError(f"{safe_uri} was made by another version of MLflow; back it up and run: {upgrade}")
    if scheme in ("http", "https") and ("error code 404" in str(failure) or "valid JSON" in str(failure)):
        raise InputError(f"what answers at {safe_uri} is no MLflow tracking server")
    raise InputError(f"MLflow cannot be used at {safe_uri}: {one_line(failure)}")


def use(uri: str) -> None:
    """Ask MLflow for something; makes the tables of an empty database."""
    client(uri).search_experiments(max_results=1)


def client(uri: str) -> MlflowClient:
    """A quiet client that fails fast; environment variables that the user has set keep their values."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        # Its errors reach us as exceptions; the log would add their traces.
        os.environ["MLFLOW_LOGGING_LEVEL"] = "CRITICAL"
        logging.getLogger("mlflow").setLevel(logging.CRITICAL)
        logging.getLogger("alembic").setLevel(logging.WARNING)
    from mlflow import MlflowClient

    return MlflowClient(uri)


def within(seconds: float, work: Callable[[], object]) -> Exception | None:
    """Do the work in a thread; returns its exception, a TimeoutError if it takes longer, or None."""
    failure: list[Exception] = []

    def run() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 (MLflow, SQLAlchemy and requests have no common base)
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        return TimeoutError(f"no answer within {seconds:.0f} s")
    return failure[0] if failure else None


def _check_answer(uri: str) -> None:
    """Require that an HTTP server answers at a URI and accepts its host name.

    Raises: InputError.
    """
    safe_uri = shown(uri)
    request = urllib.request.Request(f"{safe_uri.rstrip('/')}/version")

    def ask() -> None:
        try:
            urllib.request.urlopen(request, timeout=ANSWER_SECONDS).close()
        except urllib.error.HTTPError as answer:
            with answer:
                if answer.code == 403 and b"Host header" in answer.read(1000):
                    raise InputError(
                        f"the MLflow server at {safe_uri} refuses this host name; start it with --allowed-hosts"
                    ) from answer

    failure = within(ANSWER_SECONDS + 0.5, ask)
    if isinstance(failure, InputError):
        raise failure
    if isinstance(failure, http.client.HTTPException):
        raise InputError(f"what answers at {safe_uri} is no MLflow tracking server")
    if failure is not None:
        reason = getattr(failure, "reason", failure)
        raise InputError(f"no MLflow tracking server answers at {safe_uri}: {one_line(_error(reason))}")


def _error(reason: object) -> BaseException:
    return reason if isinstance(reason, BaseException) else OSError(str(reason))


def one_line(error: BaseException) -> str:
    """An error's first line, at most 200 characters."""
    text = str(error).strip().split("\n")[0] or type(error).__name__
    return text if len(text) <= 200 else f"{text[:197]}..."


def reason(error: Exception) -> str:
    """An error's first line, without the details of the HTTP library."""
    text = one_line(error)
    return "its server does not answer" if "HTTPConnectionPool" in text or "HTTPSConnectionPool" in text else text
