"""Every command of ours that a document or a script's docstring shows is one that its parser and its planner take."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from mim4dd_cli.main import parser
from studies.engine.metadata import configuration_of
from studies.engine.options import parse_options
from studies.engine.study import Study

ROOT = Path(__file__).parents[1]
SHELL = re.compile(r"```bash\n(.*?)```", re.DOTALL)
# The report shows commands that were run, whose studies stand beside it.
DOCUMENTS = sorted({ROOT / "README.md", *(ROOT / "docs").rglob("*.md")} - {ROOT / "docs" / "report.md"})
SCRIPTS = sorted((ROOT / "studies").glob("*.py"))
# Files of a reader's, which the pages on one's own components make and their tests run.
OWN = re.compile(r"--import|\.pt\b|--add-study|npz:|folder:|hf:| run/")


def shown() -> Iterator[tuple[str, str]]:
    """Where a command stands, and the command."""
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for line in "\n".join(SHELL.findall(text)).replace("\\\n", " ").splitlines():
            yield document.relative_to(ROOT).as_posix(), line
    for script in SCRIPTS:
        docstring = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
        for line in docstring.replace("\\\n", " ").splitlines():
            yield script.relative_to(ROOT).as_posix(), line


def commands(start: str) -> list[tuple[str, str]]:
    found = {}
    for where, line in shown():
        words = " ".join(shlex.split(line, comments=True)) if start in line else ""
        for command in words.split(" && "):
            if command.startswith(start):
                found.setdefault(command, where)
    return [(where, command) for command, where in found.items()]


OF_STUDIES = [one for one in commands("python studies/") if not one[1].startswith("python studies/report.py")]
PLANNED = [one for one in OF_STUDIES if not OWN.search(one[1])]


def test_commands_are_found() -> None:
    scripts = {command.split()[1] for _, command in OF_STUDIES}
    assert scripts == {f"studies/{script.name}" for script in SCRIPTS} - {"studies/report.py", "studies/__init__.py"}
    assert len(PLANNED) > 60


@pytest.mark.parametrize(("where", "command"), PLANNED, ids=[command for _, command in PLANNED])
def test_command_of_a_study_can_be_planned(where: str, command: str) -> None:
    _, script, *words = shlex.split(command)
    study: Study = import_module(f"studies.{Path(script).stem}").STUDY
    options = parse_options("", study.script, study.flags, words)
    plan = study.plan(options, configuration_of(study, options))
    assert len({trial.hash for trial in plan.trials}) == len(plan.trials) > 0, where


@pytest.mark.parametrize("command", [command for _, command in commands("mim4dd ")])
def test_command_of_the_library_is_one(command: str) -> None:
    arguments = parser().parse_args(shlex.split(command)[1:])
    assert callable(arguments.run)
