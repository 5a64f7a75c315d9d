"""Answers finished studies again from their folders: `python -m studies.answers OUT [OUT...]`.

Reads study.json, settings.jsonl, rows.jsonl and the trials' pictures if they are there, and writes answer.md,
report.html, tables/, figures/, claims.jsonl, summary.json and failures.json anew. No Ray, MLflow or data set is needed.
The exit status: 2 when a folder cannot be read or written, 1 when its disk is full or read-only.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mim4dd.durable import STORAGE_ERRORS
from mim4dd.errors import InputError, StorageError
from mim4dd_cli.command import exit_status
from mim4dd_cli.parsing import Parser
from studies.engine.folder import StudyFolder
from studies.engine.journal import described
from studies.engine.report import write_report
from studies.engine.study import study_of


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

    Raises: InputError when the folder holds no known study, or cannot be written; StorageError when its disk is full or
    read-only.
    """
    folder = StudyFolder.read(out, unfinished=True)
    answer = study_of(folder).answer(folder)
    try:
        notes = write_report(answer, folder)
    except OSError as error:
        kind = StorageError if error.errno in STORAGE_ERRORS else InputError
        raise kind(f"{folder.path} cannot be written: {described(error, folder.path)}") from error
    for note in notes:
        print(note)
    if folder.unfinished:
        print(f"Not complete: {folder.unfinished}.")
    for line in answer.lines:
        print(line)
    print(f"\nreport: {folder.path / 'report.html'}   numbers: {folder.path / 'answer.md'}")


if __name__ == "__main__":
    sys.exit(main())
