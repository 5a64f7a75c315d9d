"""A tracking server that cannot be used is refused in one line, within ten seconds."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mim4dd.errors import InputError
from studies.engine.tracking import address, check, sync

# MLflow 3.17 under SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


@contextlib.contextmanager
def listening(answers: bool) -> Iterator[str]:
    """A port that takes connections and says nothing, or speaks HTTP but is no MLflow."""
    if not answers:
        with socket.create_server(("127.0.0.1", 0)) as held:
            yield f"http://127.0.0.1:{held.getsockname()[1]}"
        return

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *given: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def refused(uri: str) -> str:
    started = time.monotonic()
    with pytest.raises(InputError) as error:
        check(uri)
    assert time.monotonic() - started < 10
    assert "\n" not in str(error.value)
    return str(error.value)


def test_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert address() == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert address() == "http://tracking:5000"
    assert address("sqlite:///runs/a b.db?timeout=3") == f"sqlite:///{tmp_path}/runs/a b.db?timeout=3"
    for wrong in ("mlruns", "file:///mlruns", "sqlite://", "http://"):
        with pytest.raises(InputError, match="known are"):
            address(wrong)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    assert "no MLflow tracking server answers" in refused(f"http://me:secret@127.0.0.1:{port}")


def test_secrets_are_not_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    assert "secret" not in refused(f"http://me:secret@127.0.0.1:{port}")


def test_the_command_in_records_has_no_secrets() -> None:
    from studies.answers.sensitivity.flags import DesignFlags
    from studies.engine.options import parse_options

    for words in (["--tracking-uri", "http://me:secret@host:5000"], ["--tracking-uri=http://me:secret@host:5000"]):
        command = parse_options("", "studies/sensitivity.py", DesignFlags, words).command
        assert "secret" not in command
        assert "host:5000" in command


@pytest.mark.slow
def test_a_host_that_hangs() -> None:
    with listening(answers=False) as uri:
        assert "no MLflow tracking server answers" in refused(uri)


def test_a_server_that_is_no_mlflow() -> None:
    with listening(answers=True) as uri:
        assert "is no MLflow tracking server" in refused(uri)


def test_databases_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "text.db").write_text("no database, but long enough to be taken for one " * 40)
    assert "is no folder" in refused(f"sqlite:///{tmp_path}/file/mlflow.db")
    assert "not a database" in refused(f"sqlite:///{tmp_path}/text.db")
    assert "nosuch" in refused("nosuch://host/name")


@pytest.mark.slow
def test_a_real_server(study, migrated: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from mlflow import MlflowClient
    from small_study import row

    shutil.copy(migrated, tmp_path / "mlflow.db")
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--artifacts-destination", f"{tmp_path}/kept"]
    quiet = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    uri = f"http://127.0.0.1:{port}"
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=quiet, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                check(uri)
                break
            except InputError:
                assert time.monotonic() < deadline, (tmp_path / "server.log").read_text()
                time.sleep(0.5)
        study.plan(("design", ["aaaa"]))
        study.add(row("aaaa"))
        study.answer()
        assert (sync(study.path, uri), sync(study.path, uri)) == (1, 0)
        client = MlflowClient(uri)
        (found,) = client.search_runs(["1"], "tags.`mim4dd.trial` = 'aaaa'")
        names = {artifact.path for artifact in client.list_artifacts(found.info.run_id)}
        assert names == {"synthetic.png", "synthetic.safetensors", "history.json"}
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)
