"""One execution of a study: what has no row is run, then the answer is written from all rows."""

from __future__ import annotations

import errno
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from mim4dd.errors import InputError
from mim4dd.records import Splits
from studies.engine.dashboard import Live
from studies.engine.design import Design
from studies.engine.journal import Journal
from studies.engine.options import Options
from studies.engine.plan import Plan
from studies.engine.progress import Progress, say
from studies.engine.runner import Callback, Runner
from studies.engine.signals import Signals
from studies.engine.study import Study
from studies.engine.tracking import Tracker, Untracked, check
from studies.engine.trial import Inputs, StorageError, Trial

if TYPE_CHECKING:
    from cluster import Connection
    from studies.engine.tuning import ExecutionContext

# What a file system says that is full, over its quota, read-only, broken or gone.
REFUSED = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE}


class Execution:
    """A study while it holds OUT: joins a cluster, runs trials, tracks them, answers."""

    def __init__(
        self,
        study: Study[Any],
        options: Options[Any],
        plan: Plan,
        splits: Splits,
        journal: Journal,
        uri: str,
        address: str,
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
            reason = str(error) if isinstance(error, StorageError) else error.strerror
            raise StorageError(
                f"{self.journal.out} takes no more ({reason}); {done} finished trials are safe there, and once it is "
                "repaired the same command runs the others"
            ) from error

    def _run(self) -> int:
        for note in self.journal.notes:
            say(note)
        pending, design = self._pending(), self.options.flags.adaptive_design
        if not pending and design is None:
            if not self.options.offline:
                check(self.uri)
            with self._tracking() as tracker:
                tracker.start()
                return self._answer(tracker, "")
        from cluster import disconnect

        connection = self._connect()
        try:
            say(connection.sentence)
            self._examine(connection)
            with self._tracking() as tracker:
                self.journal.write_settings(self.plan.settings)
                tracker.start()
                return self._answer(tracker, self._trials(pending, design, tracker))
        finally:
            disconnect()

    def _pending(self) -> list[Trial]:
        """The planned trials that have no row, or one that says error."""
        done = self.journal.finished(trial.hash for trial in self.plan.trials)
        pending = [trial for trial in self.plan.trials if trial.hash not in done]
        again = sum(trial.hash in self.journal.rows for trial in pending)
        if done or again:
            say(f"{len(done)} trials have a row already" + (f"; {again} that failed run again" if again else ""))
        return pending

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

        Raises: InputError when one has a problem.
        """
        from cluster.preflight import examine

        options = self.options
        report = examine(connection, cpus=options.cpus_per_trial, gpus=options.gpus_per_trial, out=self.journal.out)
        if report.problems or (report.warnings and connection.address != "local"):
            say(report.table())
        for warning in report.warnings:
            say(f"note: {warning}")
        if report.problems:
            raise InputError("; ".join(report.problems))

    def _trials(self, pending: list[Trial], design: Design | None, tracker: Tracker | Untracked) -> str:
        """Run them, then what a search suggests; why the study was interrupted, or ""."""
        # The default is the first that a search suggests, and is planned already.
        suggested = design.settings * len(self.options.seeds) if design else 0
        progress = Progress(self.plan, self.journal.rows, suggested)
        callbacks: list[Callback] = [progress.add, tracker.trial]
        if design is None:
            callbacks.append(Live(self.journal.out, self.study.name, self.plan, self.journal.rows).add)
        with self.signals as signals:
            runner = Runner(self._context(), self.journal, callbacks, lambda: bool(signals.received))
            if runner.run(pending) and design:
                self._search(design, runner)
        return self._interrupted() if self._missing() or self.unsearched else ""

    def _context(self) -> ExecutionContext:
        """What every trial needs on its worker."""
        from studies.engine.tuning import Resources, open_context

        options = self.options
        resources = Resources(options.cpus_per_trial, options.gpus_per_trial, options.max_concurrent)
        chains = {one.text: one.perturbations for one in self.plan.conditions}
        return open_context(
            resources,
            Inputs(self.splits, self._reference(resources.device), chains),
            self.journal.out,
            checkpoint_seconds=options.checkpoint_seconds,
            silence_seconds=options.silence_seconds,
            work=self.study.work,
        )

    def _search(self, design: Design, runner: Runner) -> None:
        from studies.engine.searching import search_settings

        self.plan, self.unsearched = search_settings(self.plan, design, self.options.seeds, runner)
        self.journal.write_settings(self.plan.settings)

    def _missing(self) -> int:
        return sum(trial.hash not in self.journal.rows for trial in self.plan.trials)

    def _interrupted(self) -> str:
        left = f"{self._missing()} planned trials" if self._missing() else f"{self.unsearched} settings"
        return f"interrupted with {left} to go; the same command goes on from here"

    def _reference(self, device: str) -> Any:
        """The network that measures information: read from OUT, else trained on a worker."""
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
        """Write the answer, print it, and end tracking; the exit status."""
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
        if where := tracker.where():
            say(where)
        if interrupted:
            say(interrupted)
        return 128 + (self.signals.received or signal.SIGINT) if interrupted else 0


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
