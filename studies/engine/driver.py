"""One run of a study: what has no row is run, then the answer is written from all rows."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from mim4dd.errors import DataError, InputError
from mim4dd.records import Splits
from mim4dd.registry import Flat
from studies.engine.asked import Design
from studies.engine.conditions import Condition
from studies.engine.journal import Journal
from studies.engine.options import Options
from studies.engine.progress import Progress, say
from studies.engine.tracking import Tracker, check
from studies.engine.trial import Inputs, Trial

if TYPE_CHECKING:
    from cluster import Connection
    from studies.engine.study import Plan, Study


class Driver:
    """One run of a study while it holds OUT."""

    def __init__(
        self, study: Study, options: Options, plan: Plan, splits: Splits, journal: Journal, uri: str, address: str
    ) -> None:
        self.study, self.options, self.plan = study, options, plan
        self.splits, self.journal, self.uri, self.address = splits, journal, uri, address
        self.unsearched = 0

    def run(self) -> int:
        """Run the trials that have no row, then write the answer; 130 when interrupted."""
        for note in self.journal.notes:
            say(note)
        adaptive = self.options.asked.adaptive
        done = self.journal.finished(trial.hash for trial in self.plan.trials)
        pending = [trial for trial in self.plan.trials if trial.hash not in done]
        again = sum(trial.hash in self.journal.rows for trial in pending)
        if done or again:
            say(f"{len(done)} trials have a row already" + (f"; {again} that failed run again" if again else ""))
        if pending or adaptive:
            from cluster import disconnect

            connection = self._connect()
            try:
                say(connection.sentence)
                with Tracking(Tracker(self.uri, self.journal.out)) as tracker:
                    self.journal.write_settings(self.plan.settings)
                    tracker.start()
                    return self._answer(tracker, self._trials(pending, adaptive, connection, tracker))
            finally:
                disconnect()
        check(self.uri)
        with Tracking(Tracker(self.uri, self.journal.out)) as tracker:
            tracker.start()
            return self._answer(tracker, "")

    def _connect(self) -> Connection:
        """Find out that MLflow can be used, and join or start Ray."""
        from cluster import connect

        if self.address != "local" or not self.uri.startswith("sqlite"):
            check(self.uri)
            return connect(self.address)
        # Two slow starts of one's own, a new database and Ray, side by side.
        with ThreadPoolExecutor(1) as pool:
            checked = pool.submit(check, self.uri)
            connection = connect(self.address)
        checked.result()
        return connection

    def _trials(self, pending: list[Trial], adaptive: bool, connection: Connection, tracker: Tracker) -> str:
        from studies.engine.tuner import Resources, Workplace, run_fixed

        options = self.options
        resources = Resources(options.cpus_per_trial, options.gpus_per_trial, options.max_concurrent)
        if not connection.fits(resources.cpus, resources.gpus):
            raise InputError(
                f"a trial asks for {resources.cpus:g} CPUs and {resources.gpus:g} GPUs, no node has as many; all "
                f"together have {connection.cpus:g} and {connection.gpus:g}"
            )
        chains = {one.text: one.perturbations for one in self.plan.conditions}
        inputs = Inputs(self.splits, self._reference(resources.device), chains)
        place = Workplace(resources, str(self.journal.out))
        # The default is the first that a search suggests, and is planned already.
        suggested = options.asked.settings * len(options.seeds) if isinstance(options.asked, Design) and adaptive else 0
        progress = Progress(self.plan, self.journal.rows, suggested)

        def sink(outcome: Any, retries: int) -> None:
            row = self.journal.add(outcome, retries)
            progress.add(row)
            tracker.trial(row)

        try:
            if pending:
                run_fixed(pending, inputs, place, sink)
            # Tune answers Ctrl-C by returning what it has: what has no row then was not run.
            if adaptive and not self._missing():
                self._search(inputs, place, sink)
        except KeyboardInterrupt:
            return self._interrupted()
        return self._interrupted() if self._missing() or self.unsearched else ""

    def _missing(self) -> int:
        return sum(trial.hash not in self.journal.rows for trial in self.plan.trials)

    def _interrupted(self) -> str:
        left = f"{self._missing()} planned trials" if self._missing() else f"{self.unsearched} settings"
        return f"interrupted with {left} to go; the same command goes on from here"

    def _search(self, inputs: Inputs, place: Any, sink: Any) -> None:
        from studies.engine.searching import search_settings

        assert isinstance(self.options.asked, Design)
        search = search_settings(self.plan, self.options.asked, self.options.seeds, self.journal, inputs, place, sink)
        self.plan, self.unsearched = search
        self.journal.write_settings(self.plan.settings)

    def _reference(self, device: str) -> Any:
        from mim4dd.information import Reference
        from mim4dd.networks import ConvNet
        from studies.engine.tuner import reference_on_cluster

        path = self.journal.out / "inputs" / "reference.safetensors"
        if path.exists():
            try:
                return Reference.load(path)
            except InputError as error:
                say(f"{error}; it is trained again")
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


def require_conditions(conditions: Sequence[Condition], splits: Splits, options: Options, flat: Flat) -> None:
    """Try every perturbation on the data, pixel corruptions aside, before any worker does.

    Raises: InputError for one that does not fit the data (no semantic map, other clean labels), or that leaves classes
    short of images where `--tail error` forbids it.
    """
    from perturbations import chain, label_noise

    wanted = max([options.ipc, *(int(value) for key, value in flat.items() if key.endswith(".batch_real"))])
    for one in conditions:
        members = [member for member in one.perturbations if member.stage != "pixel corruption"]
        try:
            left = int(chain(members, splits.train, seed=options.seeds[0]).data.counts.min())
            chain(label_noise(members), splits.validation, seed=options.seeds[0])
        except InputError as error:
            raise InputError(f"{one.label}: {error}") from error
        if options.tail == "error" and left < wanted:
            raise InputError(
                f"{one.label}: --tail error, and a class is left with {left} images where {wanted} are drawn; give "
                "--tail repeat or cap"
            )


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
