"""MLflow's SQLite file: made once, found in any folder, and recognised when it is damaged or half made."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.tracking._tracking_service.utils import _get_store
from small_study import Study, row  # type: ignore[import-not-found]

from mim4dd.errors import InputError
from studies.engine.tracking import address, check, sync
from studies.engine.tracking.database import database, make, uri_of

# MLflow 3.17 under SQLAlchemy 2.1
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
STRANGE = ["feature%2Fx", "what?now", "a#b", "a b", "100%", "%41", "a:b", "a'b", "ü & +"]


@pytest.mark.parametrize("name", STRANGE)
def test_any_path_is_the_same_after_its_uri(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    path = tmp_path / name / "mlflow.db"
    assert database(address()) == path
    assert address(address()) == address()
    assert database(uri_of(path, "?timeout=3")) == path


@pytest.mark.parametrize("uri", ["http://host:5000", "postgresql://me@host/name", "nosuch"])
def test_other_stores_have_no_file(uri: str) -> None:
    assert database(uri) is None


@pytest.mark.parametrize(
    "name", ["feature%2Fx", *(pytest.param(n, marks=pytest.mark.slow) for n in ("what?now", "a#b c"))]
)
def test_mlflow_stores_in_a_folder_of_any_name(
    name: str, study: Study, migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "place" / name
    folder.mkdir(parents=True)
    shutil.copy(migrated, folder / "mlflow.db")
    monkeypatch.chdir(folder)
    study.plan(("design", ["aaaa"]))
    study.add(row("aaaa"))
    study.answer()
    assert sync(study.path) == 1
    assert sync(study.path, address()) == 0
    (found,) = MlflowClient(address()).search_runs(["1"], "tags.`mim4dd.trial` = 'aaaa'")
    _get_store(address()).engine.dispose()
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (2,)
    held = folder / "mlruns" / "mim4dd-sensitivity" / found.info.run_id / "artifacts" / "synthetic.png"
    assert held.read_text() == "picture"
    assert [entry.name for entry in folder.parent.iterdir()] == [name]
    assert sorted(entry.name for entry in folder.iterdir()) == ["mlflow.db", "mlruns"]


def test_of_many_one_makes_the_file_and_the_others_wait(tmp_path: Path) -> None:
    path, made = tmp_path / "mlflow.db", []
    (tmp_path / ".mlflow.db.made-left").mkdir()

    def use(uri: str) -> None:
        aside = database(uri)
        assert aside is not None
        made.append(aside)
        assert not path.exists()
        aside.write_text("whole")

    threads = [threading.Thread(target=make, args=(path, use)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["mlflow.db"]


def test_a_failure_leaves_nothing_and_an_empty_file_is_made_whole(tmp_path: Path) -> None:
    def fail(uri: str) -> None:
        raise ConnectionError(uri)

    (tmp_path / "mlflow.db").touch()
    with pytest.raises(ConnectionError):
        make(tmp_path / "mlflow.db", fail)
    assert not [entry for entry in tmp_path.iterdir() if entry.is_dir()]
    make(tmp_path / "mlflow.db", lambda uri: (database(uri) or tmp_path).write_text("whole"))
    assert (tmp_path / "mlflow.db").read_text() == "whole"


def run_sql(*statements: str) -> Callable[[Path], None]:
    def run(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return run


def overwrite(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[2048 : len(content) // 2] = b"\xff" * (len(content) // 2 - 2048)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (run_sql("DROP TABLE metrics", "DELETE FROM alembic_version"), "already exists"),
        (
            run_sql("CREATE TABLE _alembic_tmp_tags (x)", "UPDATE alembic_version SET version_num = '451aebb31d03'"),
            "tmp",
        ),
        (overwrite, "malformed"),
        (lambda path: path.write_bytes(b"\0" * 5000), "not a database"),
        (lambda path: path.write_bytes(path.read_bytes()[:9000]), "malformed"),
    ],
)
def test_a_half_made_or_damaged_file_is_one_line_with_a_remedy(
    spoil: Callable[[Path], None], found: str, migrated: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mlflow.db"
    shutil.copy(migrated, path)
    spoil(path)
    with pytest.raises(InputError) as caught:
        check(f"sqlite:///{path}")
    told = str(caught.value)
    assert "is damaged or half made (" in told
    assert found in told
    assert f"mv {path} {path}.damaged" in told
    assert "\n" not in told


def test_a_file_of_another_version_is_told_how_to_be_upgraded(migrated: Path, tmp_path: Path) -> None:
    shutil.copy(migrated, tmp_path / "a b.db")
    run_sql("UPDATE alembic_version SET version_num = '451aebb31d03'")(tmp_path / "a b.db")
    with pytest.raises(InputError, match=r"another version of MLflow; .* mlflow db upgrade 'sqlite:///"):
        check(f"sqlite:///{tmp_path}/a b.db")


CHECK = "import sys; from studies.engine.tracking import check, address; check(address())"


@pytest.mark.slow
def test_three_studies_at_once_in_a_fresh_folder_make_one_whole_database(tmp_path: Path) -> None:
    folder = tmp_path / "fresh%2Fone?"
    folder.mkdir()
    started = [
        subprocess.Popen([sys.executable, "-c", CHECK], cwd=folder, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    ended = [process.communicate(timeout=300)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], json.dumps(ended)
    assert [entry.name for entry in folder.iterdir()] == ["mlflow.db"]
    check(uri_of(folder / "mlflow.db"))


@pytest.mark.slow
def test_a_process_killed_while_it_makes_the_database_leaves_the_next_a_fresh_start(tmp_path: Path) -> None:
    first = subprocess.Popen([sys.executable, "-c", CHECK], cwd=tmp_path)
    while not list(tmp_path.glob(".mlflow.db.made-*/mlflow.db")):
        assert first.poll() is None
    first.kill()
    first.wait()
    assert not (tmp_path / "mlflow.db").exists()
    check(f"sqlite:///{tmp_path}/mlflow.db")
    assert [entry.name for entry in tmp_path.iterdir()] == ["mlflow.db"]
