"""`python -m studies.answers OUT`: a finished folder's answer made again from its rows, without what ran them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from answered import copied as copy_of_folder
from PIL import Image

from studies.answers.__main__ import main
from studies.answers.parts.pictures import KEPT
from studies.engine.folder import StudyFolder

WRITTEN = ("answer.md", "claims.jsonl", "summary.json", "failures.json")


@pytest.fixture
def copy(tmp_path: Path) -> Callable[..., Path]:
    """A study of docs/results in a folder of its own, with those that stand beside it."""

    def copied(*names: str) -> Path:
        for name in names:
            copy_of_folder(name, tmp_path / name)
        return tmp_path / names[0]

    return copied


def add_pictures(out: Path) -> None:
    """A picture for every trial, as a real study leaves them."""
    for trial in StudyFolder.read(out).planned:
        (out / "trials" / trial).mkdir(parents=True)
        Image.new("RGB", (40, 4), (200, 30, 60)).save(out / "trials" / trial / "synthetic.png")


def written(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in WRITTEN} | {
        f"tables/{path.name}": path.read_bytes() for path in (out / "tables").iterdir()
    }


def figures(out: Path) -> set[str]:
    return {path.name for path in (out / "figures").iterdir()}


def vectors(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "figures").glob("*.svg")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "names", [("noise-fashion",), pytest.param(("baselines-digits", "baselines-mnist"), marks=pytest.mark.slow)]
)
def test_what_was_deleted_is_written_again_to_the_byte_without_what_ran_the_trials(
    names: tuple[str, ...], copy: Callable[..., Path], tmp_path: Path
) -> None:
    out = copy(*names)
    add_pictures(out)
    assert main([str(out)]) == 0
    before, drawn, lines = written(out), figures(out), vectors(out)
    assert len(before) > len(WRITTEN) + 6
    assert drawn == {f"{path.stem}.{kind}" for path in (out / "figures").iterdir() for kind in ("png", "svg")}
    for name in (*WRITTEN, "report.html"):
        (out / name).unlink()
    shutil.rmtree(out / "tables")
    shutil.rmtree(out / "figures")
    asked = [sys.executable, "-X", "importtime", "-m", "studies.answers", str(out)]
    ended = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert written(out) == before
    assert figures(out) == drawn
    assert vectors(out) == lines
    assert 2 * (out / "report.html").read_text().count("data:image/png;base64,") == len(drawn)
    imported = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "matplotlib" in imported
    assert imported.isdisjoint({"torch", "torchvision", "ray", "mlflow", "optuna"})
    first = next(line for line in (out / "answer.md").read_text().splitlines() if line.startswith("- "))
    assert first.removeprefix("- ") in ended.stdout.splitlines()


@pytest.mark.slow
def test_without_the_trials_pictures_the_figures_that_are_there_stay_and_say_so(copy: Callable[..., Path]) -> None:
    out = copy("noise-digits-h100")
    old = {name: (out / "figures" / name).read_bytes() for name in ("images.png", "examples.png")}
    assert main([str(out)]) == 0
    answer = (out / "answer.md").read_text()
    assert answer.count(KEPT) == 2
    assert {name: (out / "figures" / name).read_bytes() for name in old} == old
    (out / "figures" / "images.png").unlink()
    assert main([str(out)]) == 0
    answer = (out / "answer.md").read_text()
    assert "figures/images.png" not in answer
    assert "images.png" not in figures(out)
    assert answer.count(KEPT) == 1
    add_pictures(out)
    assert main([str(out)]) == 0
    answer = (out / "answer.md").read_text()
    assert "figures/images.png" in answer
    assert KEPT not in answer
    assert (out / "figures" / "examples.png").read_bytes() != old["examples.png"]


def test_what_an_earlier_answer_drew_and_this_one_does_not_is_removed(copy: Callable[..., Path]) -> None:
    out = copy("fidelity-cifar10-term")
    stale = [out / "figures" / f"stale.{kind}" for kind in ("png", "svg")]
    stale += [out / "tables" / f"stale.{kind}" for kind in ("csv", "tex")]
    kept = out / "tables" / "mine.txt"
    for path in (*stale, kept):
        path.write_text("old")
    assert main([str(out)]) == 0
    assert [path.exists() for path in (*stale, kept)] == [False] * 4 + [True]


def test_an_unfinished_folder_is_answered_and_says_what_it_lacks(
    copy: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    out = copy("fidelity-cifar10-term")
    lines = (out / "rows.jsonl").read_bytes().splitlines(keepends=True)
    (out / "rows.jsonl").write_bytes(b"".join(lines[:-1]) + lines[-1][:40])  # the last is being written
    assert main([str(out)]) == 0
    assert capsys.readouterr().out.startswith("Not complete: 1 of 10 planned trials have no row.\n")
    assert "**Not complete: 1 of 10 planned trials have no row.**" in (out / "answer.md").read_text()


def damage(out: Path) -> None:
    lines = (out / "rows.jsonl").read_text().splitlines()
    held = json.loads(lines[1])
    del held["report_only"]
    (out / "rows.jsonl").write_text("\n".join([lines[0], json.dumps(held), *lines[2:]]) + "\n")


def rename(out: Path) -> None:
    held = json.loads((out / "study.json").read_text())
    (out / "study.json").write_text(json.dumps({**held, "study": "fidelty"}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda out: (out / "study.json").unlink(), "holds no study: there is no study.json"),
        (lambda out: shutil.rmtree(out), "holds no study"),
        (damage, "rows.jsonl:2 is no row (report_only: field required); repair or remove that line"),
        (lambda out: (out / "rows.jsonl").write_text("no row\n"), "rows.jsonl:1 is no row"),
        (lambda out: (out / "settings.jsonl").write_text("{}\n"), "settings.jsonl:1 is no setting"),
        (rename, "unknown study 'fidelty'; did you mean 'fidelity'"),
    ],
)
def test_a_folder_that_cannot_be_answered_is_one_line_and_status_2(
    spoil: Callable[[Path], object], message: str, copy: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    out = copy("fidelity-cifar10-term")
    answer = (out / "answer.md").read_bytes()
    spoil(out)
    assert main([str(out)]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1
    assert message in told.err
    assert told.out == ""
    assert not out.exists() or (out / "answer.md").read_bytes() == answer
