"""A study from Python: `run("sensitivity", dataset="digits", quick=True)`, for notebooks.

The study runs as the command that a shell would run, in a process of its own, whose lines are printed as they come. So
a lost Ray ends that process and not the notebook's, signals and event loops do not meet, and there is one way to run a
study.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path

from mim4dd.errors import InputError
from mim4dd.registry import unknown
from studies.engine.command import RESULTS_IN
from studies.engine.door import ROOT
from studies.engine.options import parser_of
from studies.engine.progress import say
from studies.engine.result import StudyResult
from studies.engine.study import study_named
from studies.engine.wording import below

ERROR = "error: "


def run(study: str, /, **flags: object) -> StudyResult | None:
    """Run a study as its command line does, and return what it left; the same call again goes on where it stopped.

    study: its name, `sensitivity`, `noisy_labels`, `baselines` and so on. flags: those of its command line
    (`python studies/NAME.py --help`), with underscores for dashes: a text or number; True for a switch; a list where a
    flag may be repeated, or a mapping where it takes KEY=VALUE, as in `set={"iterations": 100}`; `import_` for
    `--import`. None and False leave a flag out. Paths are those of the working folder.
    An interrupt saves the running trials and returns the answer to what there is; a second one ends the study at once.

    Returns: the result, None after `dry_run=True`.
    Raises: InputError for a study, flag, value, data set, folder or cluster that cannot be used; RuntimeError when the
    study folder cannot be written, or the study ended without an answer; KeyboardInterrupt when it was interrupted
    before it had one.
    """
    found = study_named(study)
    words = words_of(parser_of(found.description, found.script, found.flags), flags)
    status, out, error = _followed([sys.executable, str(ROOT / found.script), *words], found.name)
    if status == 2:
        raise InputError(error)
    if out is None and status == 0:
        return None
    if out is not None and status != 1 and (out / "answer.md").exists():
        return StudyResult(out)
    if status in (128 + signal.SIGINT, 128 + signal.SIGTERM):
        raise KeyboardInterrupt
    raise RuntimeError(error or f"{found.script} ended with status {status} and without an answer; its lines say why")


def words_of(parser: argparse.ArgumentParser, given: Mapping[str, object]) -> list[str]:
    """The words of a command line from keyword arguments; the parser itself checks them afterwards.

    Raises: InputError for an argument that is no flag, or a value that no flag can have.
    """
    actions = {_keyword(action): action for action in parser._actions if not isinstance(action, argparse._HelpAction)}
    words, last = [], []
    for name, value in given.items():
        action = actions.get(name.removesuffix("_"))
        if action is None:
            raise unknown("argument", name, actions)
        if action.option_strings:
            words += _words(name, action, value)
        else:
            last += _texts(name, action, value)
    return [*last, *words]


def _keyword(action: argparse.Action) -> str:
    longest = max(action.option_strings, key=len, default=action.dest)
    return longest.lstrip("-").replace("-", "_")


def _words(name: str, action: argparse.Action, value: object) -> list[str]:
    flag = action.option_strings[-1]
    if action.nargs != 0:
        # a value that begins with a dash would be taken for a flag
        words = [[f"{flag}={text}"] if text.startswith("-") else [flag, text] for text in _texts(name, action, value)]
        return [word for pair in words for word in pair]
    if value is not None and not isinstance(value, bool):
        raise InputError(f"{name} is a switch and must be True or False, got {value!r}")
    return [flag] if value else []


def _texts(name: str, action: argparse.Action, value: object) -> list[str]:
    """The texts of a value: one, or several where the flag may be repeated."""
    if value is None or value is False:
        return []
    repeated = isinstance(action, argparse._AppendAction) or action.nargs in ("+", "*")
    if not repeated:
        return [_text(name, value)]
    if isinstance(value, Mapping):
        return [f"{key}={one}" for key, one in value.items()]
    return [_text(name, one) for one in (value if isinstance(value, list | tuple) else [value])]


def _text(name: str, value: object) -> str:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, bool) or not isinstance(value, str | Real):
        raise InputError(f"{name} must be a text or a number, got {value!r}")
    return str(value)


def _followed(command: Sequence[str], study: str) -> tuple[int, Path | None, str]:
    """Run a command and print its lines, paths below the working folder from there.

    Returns: its exit status, the study folder if it named one, and its last error.
    """
    out, error, interrupts = None, "", 0
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        encoding="utf-8",
        errors="backslashreplace",
        # An interrupt of the notebook reaches it once, from here, whomever the notebook's server sends it to.
        process_group=0,
    ) as child:
        assert child.stdout is not None
        while True:
            try:
                for line in child.stdout:
                    text = line.rstrip("\n")
                    if text.startswith(f"{study}{RESULTS_IN}"):
                        out = Path(text.partition(RESULTS_IN)[2])
                    if text.startswith(ERROR):
                        error = text.removeprefix(ERROR)
                    else:
                        say(below(Path.cwd(), text))
                return child.wait(), out, error
            except KeyboardInterrupt:
                child.send_signal(signal.SIGINT)
                interrupts += 1
                if interrupts > 1:
                    raise
