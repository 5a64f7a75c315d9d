"""A study as a value, and its way from a command line to an answer."""

from __future__ import annotations

import datetime
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mim4dd.configuration import Configuration, configure
from mim4dd.data import load, source_digest
from mim4dd.errors import DataError, InputError
from mim4dd.protocol import PROTOCOL
from mim4dd.records import Splits
from mim4dd.registry import Flat
from studies.engine.design import SEARCHES, Setting
from studies.engine.journal import Journal
from studies.engine.options import Options, fail, parse_options
from studies.engine.space import Space
from studies.engine.tracking import Tracker, address, check
from studies.engine.tracking.server import shown
from studies.engine.trial import Inputs, Trial

if TYPE_CHECKING:
    from cluster import Connection
    from studies.engine.answer import Answer
    from studies.engine.evidence import Evidence


@dataclass(frozen=True)
class Plan:
    """The settings of a study and every trial they need, in the order in which they are run."""

    space: Space
    settings: tuple[Setting, ...]
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class Study:
    """One question: how its trials are planned and how its rows become an answer.

    method: what is distilled, as a flat name and parts; plan and answer: pure functions.
    """

    name: str
    title: str
    question: str
    description: str
    method: Callable[[Options], Flat]
    plan: Callable[[Options, Configuration], Plan]
    answer: Callable[[Evidence], Answer]

    @property
    def script(self) -> str:
        return f"studies/{self.name}.py"


def main(study: Study, words: Sequence[str] | None = None) -> int:
    """Run a study from its command line; the exit status (2 for bad input, 130 after Ctrl-C)."""
    try:
        options = parse_options(study.description, study.script, sys.argv[1:] if words is None else words)
        return run(study, options)
    except InputError as error:
        return fail(error)


def run(study: Study, options: Options) -> int:
    """Plan, then run what has no row yet, then answer.

    Raises: InputError before any trial starts, for whatever cannot be used.
    """
    components = configure(
        source=options.dataset.partition(":")[0],
        method=study.method(options),
        network="convnet",
        protocol_name=options.protocol,
        assigned=options.assigned,
    )
    configuration = replace(components, flat={**shared_entries(options), **components.flat})
    plan = study.plan(options, configuration)
    identity = identify(study, options, configuration, plan)
    out = options.out or Path.cwd() / "runs" / f"{study.name}-{identity['hash']}"
    if options.dry_run:
        from studies.engine.estimate import describe

        print(describe(plan, options, out))
        return 0
    uri = address(options.tracking_uri)
    say(f"{study.name}: results in {out}, MLflow at {shown(uri)}")
    source_knobs = {k.partition(".")[2]: v for k, v in configuration.flat.items() if k.startswith("source.")}
    splits = load(
        options.dataset,
        data_root=options.data_root,
        download=options.download,
        split_seed=options.split_seed,
        knobs=source_knobs,
    )
    require_images(splits, options.ipc)
    journal = Journal(out, {**identity, "data_digest": splits.digest})
    try:
        return Driver(study, options, plan, splits, journal, uri).run()
    finally:
        journal.close()


class Driver:
    """One run of a study while it holds OUT."""

    def __init__(self, study: Study, options: Options, plan: Plan, splits: Splits, journal: Journal, uri: str) -> None:
        self.study, self.options, self.plan = study, options, plan
        self.splits, self.journal, self.uri = splits, journal, uri

    def run(self) -> int:
        """Run the trials that have no row, then write the answer; 130 when interrupted."""
        for note in self.journal.notes:
            say(note)
        adaptive = self.options.design in SEARCHES
        done = self.journal.finished(trial.hash for trial in self.plan.trials)
        pending = [trial for trial in self.plan.trials if trial.hash not in done]
        again = sum(trial.hash in self.journal.rows for trial in pending)
        if done or again:
            say(f"{len(done)} trials have a row already" + (f"; {again} that failed run again" if again else ""))
        interrupted = ""
        if pending or adaptive:
            from cluster import connect, disconnect, resolve_address

            # The two slow starts side by side: a new MLflow database, and Ray.
            with ThreadPoolExecutor(1) as pool:
                checked = pool.submit(check, self.uri)
                address = resolve_address(self.options.address)
                connection = connect(address)
                try:
                    checked.result()
                    say(connection.sentence)
                    with Tracking(Tracker(self.uri, self.journal.out)) as tracker:
                        self.journal.write_settings(self.plan.settings)
                        tracker.start()
                        interrupted = self._trials(pending, adaptive, connection, tracker)
                        return self._answer(tracker, interrupted)
                finally:
                    disconnect()
        check(self.uri)
        with Tracking(Tracker(self.uri, self.journal.out)) as tracker:
            tracker.start()
            return self._answer(tracker, "")

    def _trials(self, pending: list[Trial], adaptive: bool, connection: Connection, tracker: Tracker) -> str:
        from studies.engine.progress import Progress
        from studies.engine.tuner import Resources, Workplace, run_fixed

        options = self.options
        resources = Resources(options.cpus_per_trial, options.gpus_per_trial, options.max_concurrent)
        if resources.gpus > connection.gpus or resources.cpus > connection.cpus:
            raise InputError(
                f"a trial asks for {resources.cpus:g} CPUs and {resources.gpus:g} GPUs, the cluster has "
                f"{connection.cpus:g} and {connection.gpus:g}"
            )
        inputs = Inputs(self.splits, self._reference(resources.device))
        place = Workplace(resources, str(self.journal.out))
        progress = Progress(self.plan, self.journal.rows)

        def sink(outcome: Any, retries: int) -> None:
            row = self.journal.add(outcome, retries)
            progress.add(row)
            tracker.trial(row)

        with Interrupts() as interrupts:
            if pending:
                run_fixed(pending, inputs, place, sink)
            if adaptive and not interrupts.seen:
                self._search(inputs, place, sink)
        if interrupts.seen:
            missing = len([t for t in self.plan.trials if t.hash not in self.journal.rows])
            return f"interrupted with {missing} trials to go; the same command goes on from here"
        return ""

    def _search(self, inputs: Inputs, place: Any, sink: Any) -> None:
        from studies.engine.searching import search_settings

        self.plan = search_settings(self.plan, self.options, self.journal, inputs, place, sink)
        self.journal.write_settings(self.plan.settings)

    def _reference(self, device: str) -> Any:
        from mim4dd.information import Reference
        from mim4dd.networks import ConvNet
        from studies.engine.tuner import reference_on_cluster

        path = self.journal.out / "inputs" / "reference.safetensors"
        if path.exists():
            return Reference.load(path)
        reference = reference_on_cluster(self.splits, ConvNet(width=32), device)
        reference.save(path)
        say(f"reference network for the information estimate: {reference.accuracy:.1%} on validation")
        return reference

    def _answer(self, tracker: Tracker, interrupted: str) -> int:
        from studies.engine.evidence import Evidence
        from studies.engine.journal import read_json
        from studies.engine.report import write_report

        identity = read_json(self.journal.out / "study.json")
        evidence = Evidence(
            self.journal.out, identity, self.plan.space, self.plan.settings, self.journal.rows, interrupted
        )
        answer = self.study.answer(evidence)
        write_report(answer, evidence)
        tracker.finish("killed" if interrupted else "finished")
        say("")
        for sentence in answer.verdict:
            say(sentence)
        say(f"\nreport: {self.journal.out / 'report.html'}   numbers: {self.journal.out / 'answer.md'}")
        if self.uri.startswith("sqlite"):
            say(f"runs, curves and pictures: mlflow ui --backend-store-uri {self.uri}")
        if interrupted:
            say(interrupted)
        return 130 if interrupted else 0


class Tracking:
    """Closes a tracker whatever happens, marking the parent run as failed when something was raised."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker

    def __enter__(self) -> Tracker:
        return self.tracker

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.tracker.finish("failed")
        self.tracker.close()


class Interrupts:
    """Notices Ctrl-C, which Tune handles itself (it returns what it has), so that the study can say so."""

    seen = False

    def __enter__(self) -> Interrupts:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        if kind is KeyboardInterrupt:
            self.seen = True
        return kind is KeyboardInterrupt


def shared_entries(options: Options) -> Flat:
    """What decides a trial besides its components and its seed."""
    return {
        "dataset": dataset_name(options.dataset),
        "dataset_digest": source_digest(options.dataset),
        "ipc": options.ipc,
        "split_seed": options.split_seed,
        "protocol": options.protocol,
        "rules": PROTOCOL,
    }


def dataset_name(spec: str) -> str:
    """A data set's name in rows and titles: results must not depend on where its file lies."""
    kind, colon, path = spec.partition(":")
    where = Path(path)
    return f"{kind}:{where.stem if kind == 'npz' else where.name}" if colon else kind


def require_images(splits: Splits, ipc: int) -> None:
    """Refuse more synthetic images per class than the smallest class has real ones.

    Raises: DataError.
    """
    counts = splits.train.counts
    smallest = int(counts.argmin())
    if counts[smallest] < ipc:
        raise DataError(
            f"--ipc must be at most the training images of the smallest class: '{splits.classes[smallest]}' has "
            f"{counts[smallest]}, got {ipc}"
        )


def identify(study: Study, options: Options, configuration: Configuration, plan: Plan) -> dict[str, Any]:
    """study.json: what the study is, and the hash of everything that decides its trials."""
    decides = {
        "study": study.name,
        "dataset": dataset_name(options.dataset),
        "protocol": options.protocol,
        "rules": PROTOCOL,
        "design": options.design,
        "settings": options.settings,
        "asha": options.asha,
        "design_seed": options.design_seed,
        "seeds": list(options.seeds),
        "configuration": configuration.flat,
        "space": [str(axis) for axis in plan.space],
    }
    text = json.dumps([decides, [trial.hash for trial in plan.trials]], sort_keys=True)
    return {
        **decides,
        "hash": hashlib.sha256(text.encode()).hexdigest()[:10],
        "title": study.title,
        "question": study.question,
        "command": options.command,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds"),
        "git_commit": git_commit(),
        "versions": versions(),
        "fixed": list(configuration.fixed),
        "knobs": {
            axis.key: {"symbol": axis.symbol, "help": configuration.knobs[axis.key].help, "log": axis.log}
            for axis in plan.space
        },
    }


def git_commit() -> str:
    """The checkout's commit, with a + when files differ from it; "" where there is no checkout."""
    asked = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--abbrev=10"]
    try:
        found = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def versions() -> dict[str, str]:
    """The versions that can move a number."""
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "numpy", "optuna", "ray", "mlflow", "mim4dd")}


def say(text: str) -> None:
    """A line on the terminal, at once, also in a log file."""
    print(text, flush=True)
