"""What can be made again from rows never stops a study: it is set aside, made again, and said in one line."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from answered import copied
from made_rows import made_folder, made_row
from PIL import Image

from mim4dd.errors import StorageError
from studies.answers.__main__ import main
from studies.answers.parts.pictures import picture_figure
from studies.engine.arms import Arm, Setting, changed
from studies.engine.dashboard import STORAGE, LiveDesign, open_storage, restored_storage
from studies.engine.execution import Execution
from studies.engine.journal import REMOVED, Journal
from studies.engine.plan import Plan
from studies.engine.rows import Row
from studies.engine.searching import search_settings
from studies.engine.space import Axis
from studies.engine.trial import Outcome, Trial

with io.BytesIO() as made:
    Image.effect_noise((40, 40), 50).save(made, "PNG")
    PICTURE = made.getvalue()
AXIS = Axis("method.weight", "λ", 0.1, 10.0, log=True)
DEFAULT = Arm("mim", "mim", {"method.base": "dm"}, "dm", "default")
SHARED = {"method": "mim", "method.base": "dm", "method.weight": 1.0}


def trials_at(weight: float) -> list[Trial]:
    return [Trial.of({**SHARED, "method.weight": weight, "seed": seed}) for seed in (0, 1)]


def plan_of(*weights: float) -> Plan:
    """The default, and a setting of the design for each further weight."""
    settings, trials = [], []
    for number, weight in enumerate((1.0, *weights)):
        own = trials_at(weight)
        arm = changed(DEFAULT, "design", {"method.weight": weight}) if number else DEFAULT
        settings.append(Setting(number, arm, trials=tuple(trial.hash for trial in own)))
        trials += own
    return Plan((AXIS,), tuple(settings), tuple(trials))


def rows_of(trials: list[Trial], accuracy: float = 0.5) -> dict[str, Row]:
    return {trial.hash: made_row(trial.hash, trial.config, [accuracy]) for trial in trials}


@pytest.fixture
def whole(tmp_path: Path) -> Plan:
    """A plan whose settings all have rows, and are in tmp_path's storage."""
    plan = plan_of(2.0, 3.0)
    LiveDesign(tmp_path, "s", "How?", plan, rows_of(list(plan.trials)))
    assert len(open_storage(tmp_path / STORAGE, "s").trials) == 3
    return plan


def into_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def glue(path: Path) -> None:
    """As an earlier version left it: appended to what a power cut had left."""
    path.write_bytes(path.read_bytes() + b"\0" * 512 + b'{"op_code": 0}\n{"op_code": 0}\n')


@pytest.mark.parametrize(
    ("spoil", "said", "aside"),
    [
        (
            lambda path: path.write_bytes(path.read_bytes() + b"\0" * 512),
            "an unfinished line, which was removed",
            False,
        ),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "an unfinished line, which was removed", False),
        (glue, "cannot be read", True),
        (lambda path: path.write_text("[]\n{}\n3\n"), "cannot be read", True),
        (into_a_folder, "is now optuna.journal.damaged", True),
    ],
)
def test_a_damaged_copy_of_the_design_is_made_again(
    spoil: Callable[[Path], None],
    said: str,
    aside: bool,
    whole: Plan,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(tmp_path / STORAGE)
    LiveDesign(tmp_path, "s", "How?", whole, rows_of(list(whole.trials)))
    told = capsys.readouterr().out
    assert said in told
    assert told.count("\n") == 1
    assert (tmp_path / f"{STORAGE}.damaged").exists() == aside
    found = open_storage(tmp_path / STORAGE, "s").trials
    assert sorted(trial.user_attrs["setting"] for trial in found) == [0, 1, 2]


def test_optuna_gets_values_as_they_are_named_with_the_times_and_the_accuracy_of_each_seed(tmp_path: Path) -> None:
    sizes = Axis("method.embedding", "d", values=(0, 64, 128))
    trials = [Trial.of({**SHARED, "method.embedding": 128, "seed": seed}) for seed in (0, 1)]
    arm = changed(DEFAULT, "design", {"method.embedding": 128})
    plan = Plan((sizes,), (Setting(0, arm, trials=tuple(trial.hash for trial in trials)),), tuple(trials))
    rows = rows_of(trials[:1], 0.5) | rows_of(trials[1:], 0.75)
    for number, row in enumerate(rows.values()):
        row.measured.update(started=1000.0 + number, ended=1010.0 + 10 * number)
    LiveDesign(tmp_path, "s", "How?", plan, rows)
    study = open_storage(tmp_path / STORAGE, "s")
    (found,) = study.trials
    assert found.params == {"method.embedding": 128}
    assert found.user_attrs["validation accuracy by seed"] == {"0": 0.5, "1": 0.75}
    assert found.value == 0.625
    assert [when.timestamp() for when in (found.datetime_start, found.datetime_complete)] == [1000.0, 1020.0]
    assert study.user_attrs["question"] == "How?"
    assert str(tmp_path / "report.html") in study.user_attrs["report"]


def test_a_copy_that_holds_values_by_rank_is_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from optuna.distributions import IntDistribution
    from optuna.trial import create_trial

    sizes = Axis("method.embedding", "d", values=(0, 64, 128))
    older = create_trial(
        params={sizes.key: 2}, distributions={sizes.key: IntDistribution(0, 2)}, value=0.5, user_attrs={"setting": 0}
    )
    open_storage(tmp_path / STORAGE, "s").add_trial(older)
    study, aside = restored_storage(tmp_path / STORAGE, "s", (sizes,))
    assert aside
    assert not study.trials
    assert "an earlier version wrote it" in capsys.readouterr().out


def test_a_copy_that_fails_in_the_middle_is_said_once_and_the_study_goes_on(
    whole: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more, rows = plan_of(2.0, 3.0, 4.0, 5.0), rows_of(list(whole.trials))
    live = LiveDesign(tmp_path, "s", "How?", more, rows)
    into_a_folder(tmp_path / STORAGE)
    for trial in more.trials[6:]:
        rows |= rows_of([trial])
        live.add(rows[trial.hash])
    told = capsys.readouterr().out
    assert "takes no more settings" in told
    assert told.count("\n") == 1


def test_a_search_finds_its_settings_again_in_the_rows(tmp_path: Path) -> None:
    plan, rows = plan_of(), rows_of(trials_at(1.0), 0.5) | rows_of(trials_at(2.0), 0.7) | rows_of(trials_at(3.0)[:1])
    (tmp_path / STORAGE).write_text("[]\n{}\n3\n")
    runner: Any = SimpleNamespace(journal=SimpleNamespace(out=tmp_path, rows=rows), search=pytest.fail)
    design: Any = SimpleNamespace(name="tpe", seed=0, settings=1, asha=False)
    held, left = search_settings(plan, design, (0, 1), "How?", runner)
    assert left == 0
    assert [setting.arm.role for setting in held.settings] == ["default", "search"]
    study, again = restored_storage(tmp_path / STORAGE, "tpe", (AXIS,))
    assert not again
    assert sorted((trial.params["method.weight"], trial.value) for trial in study.trials) == [(1.0, 0.5), (2.0, 0.7)]


@pytest.mark.parametrize("name", ["answer.md", "summary.json", "figures", "tables", "tables/arms.csv"])
def test_what_stands_in_the_place_of_the_report_is_set_aside(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    copied("fidelity-cifar10-term", out)
    name = name.replace("arms", next((out / "tables").glob("*.csv")).stem)
    if (out / name).is_dir():
        shutil.rmtree(out / name)
        (out / name).write_text("mine")
    else:
        (out / name).unlink()
        (out / name / "mine").mkdir(parents=True)
    assert main([str(out)]) == 0
    assert f"{out / name} is " in capsys.readouterr().out.splitlines()[0]
    aside = out / f"{name}.damaged"
    assert aside.read_text() == "mine" if aside.is_file() else (aside / "mine").is_dir()
    assert (out / "answer.md").read_text().startswith("# ")


def test_a_damaged_picture_is_left_out_and_named(tmp_path: Path) -> None:
    for trial, content in (("a", PICTURE), ("b", PICTURE[:50]), ("c", b"\0" * 50)):
        (tmp_path / "trials" / trial).mkdir(parents=True)
        (tmp_path / "trials" / trial / "synthetic.png").write_bytes(content)
    grid = [[(trial, trial) for trial in ("a", "b", "c", "none")]]
    figure = picture_figure(made_folder(tmp_path, [], {}, [0]), "images", "Images", "Sets.", grid, 5.0)
    assert figure is not None
    assert figure.caption == "Sets. The pictures of b, c cannot be read."


def outcome(seed: int) -> Outcome:
    return Outcome(Trial.of({"seed": seed}), {"status": "ok", "validation_accuracy": [0.5]})


def another(out: Path) -> None:
    """The same folder again, as `cp` leaves it."""
    out.rename(out.with_name("before"))
    shutil.copytree(out.with_name("before"), out)


@pytest.mark.parametrize(
    ("gone", "left"),
    [(shutil.rmtree, False), (lambda out: out.rename(out.with_name("renamed")), False), (another, True)],
)
def test_a_folder_that_is_removed_or_replaced_takes_no_rows(
    gone: Callable[[Path], object], left: bool, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    journal = Journal(out, {"hash": "abc", "dataset": "digits"})
    journal.add(outcome(0), 0)
    gone(out)
    with pytest.raises(OSError, match=REMOVED):
        journal.add(outcome(1), 0)
    assert len(journal.rows) == 1
    journal.close()
    assert out.exists() == left


def test_a_removed_folder_is_one_line_that_claims_no_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = execution(tmp_path, plan_of(), pytest.fail)
    shutil.rmtree(tmp_path / "out")
    monkeypatch.setattr(study, "_run", lambda: study.journal.add(outcome(1), 0))
    with contextlib.closing(study.journal), pytest.raises(StorageError) as caught:
        study.run()
    assert str(caught.value) == (
        f"cannot write to {tmp_path / 'out'} ({REMOVED}); 2 finished trials were saved there: put the folder back, "
        "then run the same command again"
    )


def execution(tmp_path: Path, plan: Plan, answer: Callable[[Any], object]) -> Execution:
    """One of a study whose trials all have rows."""
    journal = Journal(tmp_path / "out", {"hash": "abc", "dataset": "digits"})
    for trial in plan.trials:
        journal.add(Outcome(trial, {"status": "ok", "validation_accuracy": [0.5]}), 0)
    study: Any = SimpleNamespace(name="s", question="How?", answer=answer)
    flags = SimpleNamespace(adaptive_design=None)
    options: Any = SimpleNamespace(offline=True, flags=flags, cpus_per_trial=1, gpus_per_trial=0)
    splits: Any = None
    return Execution(study, options, plan, splits, {}, journal, "", "local", 0.0)


def test_the_settings_and_the_copy_of_a_finished_study_are_made_again(tmp_path: Path) -> None:
    plan = plan_of()

    class FarEnough(Exception): ...

    def answer(folder: Any) -> Any:
        raise FarEnough

    study = execution(tmp_path, plan, answer)
    with contextlib.closing(study.journal), pytest.raises(FarEnough):
        study.run()
    assert len(open_storage(tmp_path / "out" / STORAGE, "s").trials) == 1
    (line,) = (tmp_path / "out" / "settings.jsonl").read_text().splitlines()
    assert Setting.read(json.loads(line)) == plan.settings[0]
