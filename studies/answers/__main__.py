"""Answers finished studies again from their folders: `python -m studies.answers OUT [OUT...]`.

Reads study.json, settings.jsonl, rows.jsonl and the trials' pictures if they are there, and writes answer.md,
report.html, tables/, figures/, claims.jsonl, summary.json and failures.json anew. No Ray, MLflow or data set is needed.
The exit status: 2 when a folder cannot be read or written.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import studies
from mim4dd.errors import InputError
from mim4dd.registry import unknown
from mim4dd_cli.command import exit_status
from mim4dd_cli.parsing import Parser
from studies.engine.folder import StudyFolder
from studies.engine.journal import described
from studies.engine.report import write_report
from studies.engine.study import Study


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(
        prog="python -m studies.answers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", nargs="+", type=Path, help="a study's folder")

    def answer() -> int:
        for out in parser.parse_args(arguments).out:
            answer_again(out)
        return 0

    return exit_status(answer)


def answer_again(out: Path) -> None:
    """Write a folder's answer anew, and print it.

    Raises: InputError when the folder holds no known study, or cannot be written.
    """
    folder = StudyFolder.read(out, unfinished=True)
    answer = study_of(folder).answer(folder)
    try:
        notes = write_report(answer, folder)
    except OSError as error:
        raise InputError(f"{folder.path} cannot be written: {described(error, folder.path)}") from error
    for note in notes:
        print(note)
    if folder.unfinished:
        print(f"Not complete: {folder.unfinished}.")
    for line in answer.lines:
        print(line)
    print(f"\nreport: {folder.path / 'report.html'}   numbers: {folder.path / 'answer.md'}")


def study_of(folder: StudyFolder) -> Study[Any]:
    """The study to which a folder belongs.

    Raises: UnknownNameError.
    """
    known = [module.name for module in iter_modules(studies.__path__) if not module.ispkg]
    if folder.name not in known:
        raise unknown("study", folder.name, known)
    study = import_module(f"studies.{folder.name}").STUDY
    if not isinstance(study, Study):
        raise TypeError(f"studies.{folder.name}.STUDY is {type(study).__name__}")
    return study


if __name__ == "__main__":
    sys.exit(main())
