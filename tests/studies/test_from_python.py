"""Studies from Python: keyword arguments are a command line, errors are exceptions, what is left is shown."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from answered import copied
from PIL import Image
from test_door import STUDIES, TINY

import studies
from mim4dd.errors import InputError, UnknownNameError
from studies import StudyResult, run
from studies.answers.__main__ import answer_again
from studies.engine import calling
from studies.engine.calling import words_of
from studies.engine.folder import StudyFolder
from studies.engine.options import parse_options, parser_of
from studies.engine.study import study_named
from studies.engine.wording import below


def words(study: str, **given: object) -> list[str]:
    found = study_named(study)
    return words_of(parser_of(found.description, found.script, found.flags), given)


@pytest.mark.parametrize(
    ("study", "given", "expected"),
    [
        ("sensitivity", {}, ""),
        ("sensitivity", {"dataset": "digits", "quick": True}, "--dataset digits --quick"),
        ("sensitivity", {"quick": False, "out": None, "dry_run": True}, "--dry-run"),
        ("sensitivity", {"set": ["iterations=5", "width=8"]}, "--set iterations=5 --set width=8"),
        ("sensitivity", {"set": {"iterations": 5, "width": 8}}, "--set iterations=5 --set width=8"),
        ("sensitivity", {"range": "temperature=0.1:1"}, "--range temperature=0.1:1"),
        ("sensitivity", {"set": {"method.restart": True}}, "--set method.restart=True"),
        ("sensitivity", {"cpus_per_trial": 0.5, "ipc": np.int64(2)}, "--cpus-per-trial 0.5 --ipc 2"),
        ("sensitivity", {"out": Path("a b"), "import_": "moments.py"}, "--out|a b|--import|moments.py"),
        ("sensitivity", {"perturb": ("symmetric:rate=0.4",)}, "--perturb symmetric:rate=0.4"),
        ("sensitivity", {"dataset": "-x"}, "--dataset=-x"),
        ("baselines", {"method": ["random", "dm"], "seeds": "0-4"}, "--method random --method dm --seeds 0-4"),
        ("score", {"dataset": "digits", "files": ["a.pt", "b.pt"]}, "a.pt b.pt --dataset digits"),
    ],
)
def test_arguments_are_the_flags_of_the_command_line(study: str, given: dict[str, object], expected: str) -> None:
    assert words(study, **given) == expected.split("|" if "|" in expected else None)


def test_they_mean_what_the_flags_mean() -> None:
    study = study_named("sensitivity")

    def options(arguments: list[str]) -> Any:
        return replace(parse_options(study.description, study.script, study.flags, arguments), command="")

    made = words("sensitivity", quick=True, set={"iterations": 5}, seeds="0-1", perturb="symmetric:rate=0.4", ipc=2)
    typed = "--ipc 2 --seeds 0-1 --perturb symmetric:rate=0.4 --set iterations=5 --quick"
    assert options(made) == options(typed.split())


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"sedes": "0"}, UnknownNameError, "unknown argument 'sedes'; did you mean 'seeds'?"),
        ({"cpus-per-trial": 1}, UnknownNameError, "did you mean 'cpus_per_trial'?"),
        ({"help": True}, UnknownNameError, "unknown argument 'help'"),
        ({"quick": 1}, InputError, "quick is a switch and must be True or False, got 1"),
        ({"quick": "yes"}, InputError, "quick is a switch and must be True or False, got 'yes'"),
        ({"ipc": True}, InputError, "ipc must be a text or a number, got True"),
        ({"ipc": [1, 2]}, InputError, "ipc must be a text or a number, got [1, 2]"),
        ({"seeds": {0: 1}}, InputError, "seeds must be a text or a number, got {0: 1}"),
        ({"set": [["a=1"]]}, InputError, "set must be a text or a number, got ['a=1']"),
    ],
)
def test_what_is_no_flag_is_refused_before_anything_runs(
    given: dict[str, object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as refused:
        run("sensitivity", **given)
    assert message in str(refused.value)


def test_an_unknown_study_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown study 'sensitivty'; did you mean 'sensitivity'"):
        run("sensitivty")


@pytest.mark.parametrize("name", STUDIES)
def test_every_flag_of_every_study_has_a_name_of_its_own(name: str) -> None:
    study = study_named(name)
    parser = parser_of(study.description, study.script, study.flags)
    names = [calling._keyword(action) for action in parser._actions]
    assert len(names) == len(set(names))
    assert all(found.isidentifier() for found in names)


def test_a_wrong_value_is_the_error_that_the_command_ends_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="unknown dataset 'cifr10'; did you mean 'cifar10'"):
        run("sensitivity", dataset="cifr10")
    assert capsys.readouterr().out == ""
    assert run("sensitivity", quick=True, dry_run=True) is None
    out = capsys.readouterr().out
    assert "trials of" in out
    assert "to runs/sensitivity-" in out.splitlines()[0]


def ending(status: int, *lines: str) -> list[str]:
    """A command that prints lines and ends."""
    return [sys.executable, "-c", f"import sys; print({chr(10).join(lines)!r}); sys.exit({status})"]


def test_the_lines_are_shown_but_for_the_error_which_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = (f"x: results in {tmp_path}/a: results in b", f"MLflow at sqlite:///{tmp_path}/mlflow.db", "error: of one")
    status, out, error = calling._followed(ending(3, *lines), "x")
    assert (status, out, error) == (3, tmp_path / "a: results in b", "of one")
    assert capsys.readouterr().out == "x: results in a: results in b\nMLflow at sqlite:///mlflow.db\n"


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (1, RuntimeError, "of one"),
        (2, InputError, "of one"),
        (5, RuntimeError, "of one"),
        (130, KeyboardInterrupt, ""),
        (143, KeyboardInterrupt, ""),
    ],
)
def test_a_study_without_an_answer_ends_in_an_exception(
    status: int, kind: type[BaseException], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(calling, "_followed", lambda command, study: (status, tmp_path, "of one"))
    with pytest.raises(kind) as ended:
        run("sensitivity")
    assert str(ended.value) == message


WAITING = """
import signal, sys, time
def receive(number, frame):
    global received
    received += 1
    print("got", received, flush=True)
received = 0
signal.signal(signal.SIGINT, receive)
print("ready", flush=True)
while received < {count}: time.sleep(0.01)
sys.exit(130)
"""


def interrupted_at(*shown: str) -> Callable[[str], None]:
    """Ctrl-C when these lines are shown."""

    def say(line: str) -> None:
        if line in shown:
            raise KeyboardInterrupt

    return say


def test_an_interrupt_is_passed_on_and_the_study_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "say", interrupted_at("ready"))
    assert calling._followed([sys.executable, "-c", WAITING.format(count=1)], "x") == (130, None, "")


def test_a_second_interrupt_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "say", interrupted_at("ready", "got 1"))
    with pytest.raises(KeyboardInterrupt):
        calling._followed([sys.executable, "-c", WAITING.format(count=2)], "x")


def test_paths_below_a_folder_are_written_from_there() -> None:
    assert below(Path("/a/b"), "in /a/b/c, /x/a/b/c and file:///a/b/c; /a/bc") == "in c, /x/a/b/c and file://c; /a/bc"


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of docs/results with its answer."""
    out = tmp_path_factory.mktemp("answered") / "out"
    copied("fidelity-cifar10-term", out)
    answer_again(out)
    return out


def test_a_result_is_what_the_folder_holds(answered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(answered.parent)
    result, folder = StudyResult(Path("out")), StudyFolder.read(answered)
    assert result.out == answered
    text = (answered / "answer.md").read_text("utf-8")
    assert result.answer
    assert all(f"- {sentence}" in text.splitlines() for sentence in result.answer)
    assert result.short in text
    lines = [json.loads(line) for line in (answered / "claims.jsonl").read_text("utf-8").splitlines()]
    assert list(result.claims.index) == [line["id"] for line in lines]
    assert result.claims.loc[lines[0]["id"], "estimate"] == lines[0]["estimate"]
    assert set(result.rows.index) == set(folder.rows)
    for trial, row in folder.rows.items():
        shown = result.rows.loc[trial]
        assert (shown["seed"], shown["status"], shown["arm"]) == (
            row.config["seed"],
            row.status,
            folder.planned[trial].arm.name,
        )
        assert shown["test_accuracy"] == pytest.approx(np.mean(row.test), nan_ok=True)
    configs = [row.config for row in folder.rows.values()]
    shared = {key for key, value in configs[0].items() if all(config.get(key) == value for config in configs)}
    assert len(shared) > 10
    assert set(result.rows.columns).isdisjoint(shared)
    assert str(result).splitlines()[-len(result.answer) :] == result.answer


def test_a_knob_that_varies_is_a_column(answered: Path, tmp_path: Path) -> None:
    shutil.copytree(answered, tmp_path / "out")
    path = tmp_path / "out" / "rows.jsonl"
    records = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    records[0]["config"]["method.lr"] = 0.5
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    rows = StudyResult(tmp_path / "out").rows
    assert rows.loc[records[0]["trial"], "method.lr"] == 0.5
    assert set(rows["method.lr"].dropna()) == {0.5, records[1]["config"]["method.lr"]}


def test_a_result_shows_its_answer_and_first_picture(answered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(answered.parent)
    result = StudyResult(answered)
    assert set(result.figures) == {path.stem for path in (answered / "figures").glob("*.png")}
    picture = next(iter(result.figures.values()))
    with Image.open(io.BytesIO(picture._repr_png_())) as opened:
        assert opened.format == "PNG"
    html = result._repr_html_()
    assert html.count("<img ") == html.count("data:image/png;base64,") == 1
    assert "<p>out/report.html</p>" in html
    assert str(answered) not in html + repr(result)
    assert repr(result).startswith("StudyResult(fidelity: trials ")
    assert len(repr(result)) < 120


def test_what_is_missing_is_said(answered: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no study"):
        StudyResult(tmp_path)
    shutil.copytree(answered, tmp_path / "out")
    rows = (tmp_path / "out" / "rows.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "out" / "rows.jsonl").write_bytes(b"".join(rows[1:]))
    result = StudyResult(tmp_path / "out")
    assert "Not complete: 1 of " in result._repr_html_()
    assert str(result).startswith("Not complete: 1 of ")
    (tmp_path / "out" / "answer.json").unlink()
    with pytest.raises(
        InputError, match=r"answer.json cannot be read \(short: field required\); write it again: python"
    ):
        StudyResult(tmp_path / "out")


def test_names_of_the_package() -> None:
    assert {name for name in dir(studies) if not name.startswith("__")} == {"StudyResult", "run"}
    with pytest.raises(AttributeError, match="no attribute 'rum'"):
        _ = studies.rum


@pytest.mark.slow
@pytest.mark.ray
def test_a_study_runs_and_the_same_call_finds_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small: dict[str, Any] = {"method": ["random", "full"], "seeds": 0, "quick": True, "offline": True, "out": "out"}
    small["set"] = {"evaluation.epochs": 3, "evaluation.networks": 1}
    assert words("baselines", **small) == TINY
    result = run("baselines", **small)
    assert result is not None
    assert result.folder.status() == {"ok": 2}
    assert list(result.rows["status"]) == ["ok", "ok"]
    told = capsys.readouterr().out
    assert told.splitlines()[:2] == ["baselines: results in out", "no MLflow (--offline)"]
    assert "[2/2]" in told
    assert str(tmp_path) not in told
    again = run("baselines", **small)
    assert again is not None
    assert again.answer == result.answer
    assert "2 trials have a row already" in capsys.readouterr().out
