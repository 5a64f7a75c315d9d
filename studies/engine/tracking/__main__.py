"""Brings MLflow up to date with a study's folder: `python -m studies.engine.tracking sync OUT`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mim4dd.errors import InputError
from studies.engine.tracking import address, sync
from studies.engine.tracking.folder import Folder
from studies.engine.tracking.server import shown


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m studies.engine.tracking", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("sync", help="send the trials, report and figures that MLflow lacks; may be repeated")
    verb.add_argument("out", type=Path, help="the study's folder")
    verb.add_argument("--tracking-uri", help="default: $MLFLOW_TRACKING_URI, else mlflow.db in the current folder")
    given = parser.parse_args(arguments)
    try:
        uri, folder = address(given.tracking_uri), Folder(given.out)
        sent, rows = sync(given.out, uri), len(list(folder.rows()))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{folder.path}: {sent} of {rows} finished trials sent, {rows - sent} were there; MLflow at {shown(uri)}")
    if not (folder.path / "answer.md").is_file() or rows < folder.planned():
        print(f"The study is not finished ({rows} of {folder.planned()} trials): its run in MLflow stays open.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
