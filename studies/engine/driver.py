"""One run of a study: what has no row is run, then the answer is written from all rows."""

from __future__ import annotations

import errno
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from mim4dd.errors import DataError, InputError
from mim4dd.records import Splits
from mim4dd.registry import Flat
from studies.engine.asked import Design
from studies.engine.conditions import Condition
from studies.engine.dashboard import Live
from studies.engine.journal import Journal
from studies.engine.options import Options
from studies.engine.progress import Progress, say
from studies.engine.signals import Signals
from studies.engine.tracking import Tracker, Untracked, check
from studies.engine.trial import Inputs, Outcome, StorageError, Trial

if TYPE_CHECKING:
    from cluster import Connection
    from studies.engine.study import Plan, Study
    from studies.engine.tuning import Sink, Studio

# What a file system says that is full, over its quota, read-only, broken or gone.
REFUSED = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE}


class Driver:
    """One run of a study while it holds OUT."""

    def __init__(
        self, study: Study, options: Options, plan: Plan, splits: Splits, journal: Journal, uri: str, address: str
    ) -> None:
        self.study, self.options, self.plan = study, options, plan
        self.splits, self.journal, self.uri, self.address = splits, journal, uri, address
        self.unsearched = 0
        self.signals = Signals()

    def run(self) -> int:
        """Run the trials that have no row, then write the answer; 130 when interrupted, 143 by SIGTERM.

        Raises: StorageError when OUT takes no more.
        """
        try:
            return self._run()
        except (StorageError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in REFUSED:
                raise
            done = sum(row.status != "error" for row in self.journal.rows.values())
            told = str(error) if isinstance(error, StorageError) else error.strerror
            raise StorageError(
                f"{self.journal.out} takes no more ({told}); {done} finished trials are safe there, and once it is "
                "repaired the same command runs the others"
            ) from error

    def _run(self) -> int:
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
                self._examine(connection)
                with self._tracking() as tracker:
                    self.journal.write_settings(self.plan.settings)
                    tracker.start()
                    return self._answer(tracker, self._trials(pending, adaptive, tracker))
            finally:
                disconnect()
        if not self.options.offline:
            check(self.uri)
        with self._tracking() as tracker:
            tracker.start()
            return self._answer(tracker, "")

    def _tracking(self) -> Tracking:
        offline = self.options.offline
        return Tracking(Untracked(self.journal.out) if offline else Tracker(self.uri, self.journal.out))

    def _connect(self) -> Connection:
        """Find out that MLflow can be used, and join or start Ray."""
        from cluster import connect

        if self.options.offline:
            return connect(self.address)
        if self.address != "local" or not self.uri.startswith("sqlite"):
            check(self.uri)
            return connect(self.address)
        # Two slow starts of one's own, a new database and Ray, side by side.
        with ThreadPoolExecutor(1) as pool:
            checked = pool.submit(check, self.uri)
            connection = connect(self.address)
        checked.result()
        return connection

    def _examine(self, connection: Connection) -> None:
        """Look at every node before the first trial.

        Raises: InputError when one would hurt the study.
        """
        from cluster.preflight import examine

        options = self.options
        found = examine(connection, cpus=options.cpus_per_trial, gpus=options.gpus_per_trial, out=self.journal.out)
        if found.hurts or (found.warnings and connection.address != "local"):
            say(found.table())
        for warning in found.warnings:
            say(f"note: {warning}")
        if found.hurts:
            raise InputError("; ".join(found.hurts))

    def _trials(self, pending: list[Trial], adaptive: bool, tracker: Tracker | Untracked) -> str:
        from studies.engine.tuning import Resources, open_studio, run_fixed

        options = self.options
        resources = Resources(options.cpus_per_trial, options.gpus_per_trial, options.max_concurrent)
        chains = {one.text: one.perturbations for one in self.plan.conditions}
        inputs = Inputs(self.splits, self._reference(resources.device), chains)
        studio = open_studio(
            resources,
            inputs,
            self.journal.out,
            checkpoint_seconds=options.checkpoint_seconds,
            silence_seconds=options.silence_seconds,
            work=self.study.work,
        )
        # The default is the first that a search suggests, and is planned already.
        suggested = options.asked.settings * len(options.seeds) if isinstance(options.asked, Design) and adaptive else 0
        progress = Progress(self.plan, self.journal.rows, suggested)
        live = None if adaptive else Live(self.journal.out, self.study.name, self.plan, self.journal.rows)

        def sink(outcome: Outcome, retries: int) -> None:
            row = self.journal.add(outcome, retries)
            progress.add(row)
            tracker.trial(row)
            if live:
                live.add(row)

        with self.signals as signals:
            going = not pending or run_fixed(pending, studio, sink, lambda: bool(signals.asked))
            if adaptive and going:
                self._search(studio, sink, lambda: bool(signals.asked))
        return self._interrupted() if self._missing() or self.unsearched else ""

    def _missing(self) -> int:
        return sum(trial.hash not in self.journal.rows for trial in self.plan.trials)

    def _interrupted(self) -> str:
        left = f"{self._missing()} planned trials" if self._missing() else f"{self.unsearched} settings"
        return f"interrupted with {left} to go; the same command goes on from here"

    def _search(self, studio: Studio, sink: Sink, interrupted: Callable[[], bool]) -> None:
        from studies.engine.searching import search_settings

        asked, seeds = self.options.asked, self.options.seeds
        assert isinstance(asked, Design)
        found = search_settings(self.plan, asked, seeds, self.journal, studio, sink, interrupted)
        self.plan, self.unsearched = found
        self.journal.write_settings(self.plan.settings)

    def _reference(self, device: str) -> Any:
        from mim4dd.information import Reference
        from mim4dd.networks import ConvNet
        from studies.engine.tuning import reference_on_cluster

        path = self.journal.out / "inputs" / "reference.safetensors"
        if path.exists():
            try:
                reference = Reference.load(path)
                self.journal.write_reference(reference.accuracy)
                return reference
            except InputError as error:
                say(f"{error}; it is trained again")
        reference = reference_on_cluster(self.splits, ConvNet(width=32), device)
        reference.save(path)
        self.journal.write_reference(reference.accuracy)
        say(f"reference network for the information estimate: {reference.accuracy:.1%} on validation")
        return reference

    def _answer(self, tracker: Tracker | Untracked, interrupted: str) -> int:
        from studies.engine.folder import StudyFolder
        from studies.engine.report import write_report

        journal = self.journal
        folder = StudyFolder(journal.out, journal.study, self.plan.settings, journal.rows, interrupted)
        answer = self.study.answer(folder)
        write_report(answer, folder)
        tracker.finish("killed" if interrupted else "finished")
        say("")
        for line in answer.lines:
            say(line)
        say(f"\nreport: {self.journal.out / 'report.html'}   numbers: {self.journal.out / 'answer.md'}")
        if not self.options.offline and self.uri.startswith("sqlite"):
            say(f"runs, curves and pictures: mlflow ui --backend-store-uri {self.uri}")
        if interrupted:
            say(interrupted)
        return 128 + (self.signals.asked or signal.SIGINT) if interrupted else 0


class Tracking:
    """Closes a tracker whatever happens, marking the parent run as failed when something was raised."""

    def __init__(self, tracker: Tracker | Untracked) -> None:
        self.tracker = tracker

    def __enter__(self) -> Tracker | Untracked:
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
