"""The fuzz of every command: seeded, so that a case can be made again from its number."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
from invariant import ROOT, Command, Ended, called, run
from mutations import mutated
from tampering import tampered, tampered_set

from mim4dd_cli.main import main as mim4dd
from studies.answers.__main__ import main as answers
from studies.engine.command import main as study_main
from studies.engine.journal import Journal
from studies.engine.status import main as status
from studies.engine.tracking import check
from studies.engine.tracking.__main__ import main as tracking

STUDIES = {
    "sensitivity": "--quick --seeds 0-2 --settings 8 --design qmc --range weight=.1:9 --set batch_real=8 --out OUT",
    "noisy_labels": "--kinds symmetric,pairflip --severities 0.2,0.4 --seeds 0,1 --selection noisy --tracking-uri runs",
    "imbalance": "--kinds exponential --severities 10,50 --condition step:factor=5 --tail repeat --address local",
    "baselines": "--method dm --method mim:base=dm,weight=1 --protocol digits --split-seed 1 --max-concurrent 2",
    "fidelity": "--dataset mnist --method dm --method random --seeds 0-1 --cpus-per-trial 1 --silence-limit 60",
}
EVALUATE = "evaluate RUN --network convnet --networks 1 --set evaluation.epochs=1 --corrupt gaussian_noise:severity=3"
DISTIL = "distill --dataset digits --ipc 1 --method dm --set iterations=1 --perturb symmetric:rate=0.4 --out RUN/new"
FOLDERS = ("mtt-rate-mnist", "updates-digits", "sensitivity-digits")  # of docs/results: a comparison, two, a design


@dataclass(frozen=True)
class Case:
    """What was tried, and how it ended. broken: what did not hold, or ""."""

    tried: str
    ended: Ended
    broken: str


def command_lines(count: int, place: Path, *, seed: int = 0) -> Iterator[Case]:
    """Mutated command lines of every study, as dry runs in this process, which leave no file behind."""
    place.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        name = list(STUDIES)[number % len(STUDIES)]
        line = [*mutated(STUDIES[name].split(), rng), "--dry-run"]
        ended = called(partial(study_main, import_module(f"studies.{name}").STUDY), line)
        left = ", ".join(path.name for path in place.iterdir())
        yield Case(f"{name} {line}", ended, ended.broken or (left and f"a dry run left {left}"))


def library_lines(count: int, run_folder: Path, *, seed: int = 1) -> Iterator[Case]:
    """Mutated command lines of `mim4dd` in this process; RUN is a run folder."""
    lines = (EVALUATE, DISTIL, "show RUN", "list methods")
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        line = [word.replace("RUN", str(run_folder)) for word in mutated(lines[number % 4].split(), rng)]
        ended = called(mim4dd, line)
        yield Case(f"mim4dd {line}", ended, ended.broken)


def processes(count: int, place: Path, *, seed: int = 2) -> Iterator[Case]:
    """Mutated command lines of studies as dry runs, a process each."""
    place.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        name = list(STUDIES)[number % len(STUDIES)]
        line = [word.replace("\x00", "\\0") for word in mutated(STUDIES[name].split(), rng)]
        ended = run([str(ROOT / "studies" / f"{name}.py"), *line, "--dry-run"], place)
        yield Case(f"{name} {line}", ended, ended.broken)


def study_folders(count: int, place: Path, *, seed: int = 3) -> Iterator[Case]:
    """Tampered copies of study folders, read by `status`, `answers`, `sync` and a driver that resumes them."""
    place.mkdir(parents=True, exist_ok=True)
    store = f"sqlite:///{place}/mlflow.db"
    check(store)  # made once: that takes seconds
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        out, source = place / "out", ROOT / "docs" / "results" / FOLDERS[number % len(FOLDERS)]
        told = f"{source.name} {number}: {tampered(source, out, rng)}"
        before = _lines(out)
        readers: dict[str, tuple[Command, list[str]]] = {"status": (status, [str(out)])}
        readers["driver"] = (resume, [str(out), str(source)])
        if source.name != FOLDERS[2]:  # whose answer takes seconds
            readers["answers"] = (answers, [str(out)])
        if number % 15 == 0:
            readers["sync"] = (tracking, ["sync", str(out), "--tracking-uri", store])
        for name, (command, arguments) in readers.items():
            ended = called(command, arguments)
            lost = _lines(out) < before
            yield Case(f"{name} of {told}", ended, ended.broken or ("rows were lost" if lost else ""))


def run_folders(count: int, run_folder: Path, place: Path, *, seed: int = 4) -> Iterator[Case]:
    """Tampered copies of a run folder, read by `show` and `evaluate`."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        told = tampered_set(run_folder, place / "run", rng)
        for words in (["show"], ["evaluate", "--networks", "1"]):
            ended = called(mim4dd, [words[0], str(place / "run"), *words[1:]])
            yield Case(f"{words[0]} {number}: {told}", ended, ended.broken)


def resume(arguments: list[str]) -> int:
    """Open a study folder as the driver of the study that made it does, up to its first trial."""
    import json
    import sys

    from mim4dd.errors import InputError

    out, source = map(Path, arguments)
    try:
        Journal(out, json.loads((source / "study.json").read_text(encoding="utf-8"))).close()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _lines(out: Path) -> int:
    """The number of whole rows of a study folder."""
    file = out / "rows.jsonl"
    return file.read_bytes().count(b"\n") if file.is_file() else 0


def tiny_run(place: Path) -> Path:
    """A run folder that is made and evaluated in a second."""
    if place.exists():
        shutil.rmtree(place)
    knobs: Sequence[str] = ("iterations=1", "evaluation.epochs=1", "evaluation.networks=1", "network.width=8")
    line = ["distill", "--dataset", "digits", "--quick", *(f"--set={knob}" for knob in knobs), "--out", str(place)]
    ended = called(mim4dd, line)
    assert ended.status == 0, ended.errors
    return place


FUZZ: dict[str, Callable[[Path], Iterator[Case]]] = {
    "mutated command lines of studies": lambda place: command_lines(900, place),
    "mutated command lines of mim4dd": lambda place: library_lines(200, tiny_run(place / "run")),
    "mutated command lines of studies, a process each": lambda place: processes(50, place),
    "tampered study folders": lambda place: study_folders(250, place),
    "tampered run folders": lambda place: run_folders(100, tiny_run(place / "run"), place / "tampered"),
}


def broken(cases: Iterable[Case]) -> list[str]:
    """What did not hold, and where."""
    return [f"{case.tried}: {case.broken}" for case in cases if case.broken]
