"""Brings MLflow up to date with a study's folder: `python -m studies.engine.tracking sync OUT`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mim4dd_cli.command import exit_status
from mim4dd_cli.parsing import Parser
from studies.engine.folder import StudyFolder
from studies.engine.tracking import address, sync
from studies.engine.tracking.server import shown
from studies.engine.tracking.tracker import look


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="python -m studies.engine.tracking", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, parser_class=Parser)
    verb = verbs.add_parser("sync", help="send the trials, report and figures that MLflow lacks; may be repeated")
    verb.add_argument("out", type=Path, help="the study's folder")
    verb.add_argument("--tracking-uri", help="default: $MLFLOW_TRACKING_URI, else mlflow.db in the current folder")
    return exit_status(lambda: _sync(parser.parse_args(arguments)))


def _sync(options: argparse.Namespace) -> int:
    uri = address(options.tracking_uri)
    sent, folder = sync(options.out, uri), StudyFolder.read(options.out, unfinished=True)
    hint = look(folder, uri)
    rows, planned = len(folder.rows), len(folder.planned)
    print(f"{folder.path}: {sent} of {rows} finished trials sent, {rows - sent} were there; MLflow at {shown(uri)}")
    print(hint)
    if not folder.answered:
        print(f"The study is not finished ({rows} of {planned} trials): its run in MLflow stays open.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
