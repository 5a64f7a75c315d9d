"""One execution of a study: run the trials that have no row yet, then write the answer from all rows."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NoReturn

from mim4dd.durable import STORAGE_ERRORS
from mim4dd.errors import InputError, StorageError
from mim4dd.networks.precision import slower_note
from mim4dd.records import Splits, Synthetic
from studies.engine.dashboard import LiveDesign
from studies.engine.design import Design
from studies.engine.ending import Tracking, end, end_without_ray, left_to_run
from studies.engine.estimate import speeds_of, workers_at_once
from studies.engine.folder import StudyFolder
from studies.engine.joining import joined
from studies.engine.journal import REMOVED, Journal, described
from studies.engine.measuring import reads_reference
from studies.engine.options import Options
from studies.engine.plan import Plan, shipped
from studies.engine.progress import Progress, say
from studies.engine.remaining import Remaining
from studies.engine.runner import Callback, Runner
from studies.engine.signals import Signals
from studies.engine.study import Study
from studies.engine.taken import Taken, told
from studies.engine.tracking import Tracker, Untracked, check
from studies.engine.trial import Inputs, Trial

if TYPE_CHECKING:
    from cluster import Connection
    from mim4dd.information import Reference
    from studies.engine.tuning.context import ExecutionContext

REFERENCE_FILE = "inputs/reference.safetensors"


class Execution:
    """Executes a study whose OUT is locked: joins a cluster, runs and tracks trials, writes the answer.

    uri: of the MLflow server, "" for none; address: of the Ray cluster; began: `time.monotonic()` when the command
    started.
    """

    def __init__(
        self,
        study: Study[Any],
        options: Options[Any],
        plan: Plan,
        splits: Splits,
        sets: Mapping[str, Synthetic],
        journal: Journal,
        uri: str,
        address: str,
        began: float,
    ) -> None:
        self.study, self.options = study, options
        # A trial that ended in an error runs again, and may choose otherwise.
        self.first_stage, self.plan = plan, plan.grown(journal.rows)
        self.splits, self.sets = splits, sets
        self.journal, self.uri, self.address = journal, uri, address
        speeds = speeds_of(options, journal.out, here=address == "local")
        self.taken, self.workers = Taken(journal.rows.values(), began, speeds), 0
        self._awaits_reference = False  # it is being trained, or will be
        self._untried = 0  # settings that a search has not tried yet
        self._leaving = Lock()  # held for ever by the thread that leaves Ray
        self.signals = Signals()

    def run(self) -> int:
        """Run the trials that have no row, then write the answer.

        Returns: the exit status: 0, WITH_ERRORS when trials ended in errors, 130 after Ctrl-C, 143 after SIGTERM. When
        Ray is lost, this process ends the study without it, with LOST.
        Raises: StorageError when OUT cannot be written.
        """
        try:
            return self._run()
        except (StorageError, OSError) as error:
            out, reason = self.journal.out, str(error)
            if isinstance(error, OSError):
                if error.errno not in STORAGE_ERRORS and not Path(str(error.filename)).is_relative_to(out):
                    raise
                reason = described(error, out)
            done = sum(row.status != "error" for row in self.journal.rows.values())
            kept = f"{done} finished trials are saved there: free space or repair the disk"
            if reason == REMOVED:
                kept = f"{done} finished trials were saved there: put the folder back"
            raise StorageError(f"cannot write to {out} ({reason}); {kept}, then run the same command again") from error

    def _run(self) -> int:
        for note in self.journal.notes:
            say(note)
        self.journal.write_settings(self.plan.settings)
        pending, design = self._pending(self.plan.trials), self.options.flags.adaptive_design
        if not pending and design is None:
            if not self.options.offline:
                check(self.uri)
            self._live_design()  # makes a lost one again
            with Tracking(self.uri, self.journal.out) as tracker:
                return self._answer(tracker, "")
        with contextlib.ExitStack() as on_ray:
            connection = on_ray.enter_context(joined(self.address, self.uri, self.journal.out, self._leave))
            say(connection.sentence)
            self.workers = workers_at_once(connection.node_resources, self.options, self.study.exclusive)
            self._check_nodes(connection)
            self._check_plugins()
            with Tracking(self.uri, self.journal.out) as tracker:
                if watch := tracker.where():
                    say(watch)
                self._run_trials(pending, design)
                on_ray.close()  # an answer needs no workers
                return self._answer(tracker, self._interrupted())

    def _pending(self, planned: Iterable[Trial]) -> list[Trial]:
        """Those of planned trials that have no row, or a row with status `error`."""
        planned = list(planned)
        done = self.journal.finished(trial.hash for trial in planned)
        pending = [trial for trial in planned if trial.hash not in done]
        failed = sum(trial.hash in self.journal.rows for trial in pending)
        if done or failed:
            again = f"; {failed} that ended in an error will run again" if failed else ""
            say(f"{len(done)} trials have a row already{again}")
        return pending

    def _check_nodes(self, connection: Connection) -> None:
        """Examine every node before the first trial, and print warnings.

        Raises: InputError when a node has a problem.
        """
        from cluster.preflight import examine

        options = self.options
        report = examine(
            connection,
            cpus=options.cpus_per_trial,
            gpus=options.gpus_per_trial,
            out=self.journal.out,
            seconds=options.preflight_seconds,
            plugins=options.plugins.loaded,
        )
        if report.problems or (report.warnings and connection.address != "local"):
            say(report.table())
        for warning in report.warnings:
            say(f"note: {warning}")
        if report.problems:
            raise InputError("; ".join(report.problems))

    def _check_plugins(self) -> None:
        """Raises: InputError for a perturbation or preparation of a plug-in that cannot be sent to workers."""
        from studies.engine.tuning.shipping import require_shippable

        if self.options.plugins.loaded:
            require_shippable(shipped(self.plan))

    def _run_trials(self, pending: list[Trial], design: Design | None) -> None:
        """Run the pending trials, then those that a search suggests, unless a signal or the loss of Ray ends it."""
        from cluster import ClusterLost

        try:
            with self.signals:
                context = self._context()
                runner = self._runner(context, design)
                completed = runner.run(pending)
                while more := self._second_stage():
                    completed = completed and self._runner(context, design).run(more)
                if completed and design:
                    self._search(design, runner)
        except ClusterLost as error:
            self._leave(str(error))

    def _runner(self, context: ExecutionContext, design: Design | None) -> Runner:
        """A runner of today's plan."""
        # A search suggests the default first, which is among the planned trials.
        suggested = design.settings * len(self.options.seeds) if design else self.plan.growth
        remaining = Remaining(self.plan, self.journal.rows, suggested, self.workers, self.taken.speeds)
        progress = Progress(self.plan, self.journal.rows, remaining, suggested, self.study.exclusive)
        callbacks: list[Callback] = [lambda row: self._keep_reference(context), progress.add, self.taken.add]
        if design is None:
            callbacks.append(self._live_design().add)
        return Runner(context, self.journal, callbacks, progress, lambda: bool(self.signals.received))

    def _second_stage(self) -> list[Trial]:
        """What is left to run of the trials that the rows of the others have added to the plan."""
        before, self.plan = {trial.hash for trial in self.plan.trials}, self.first_stage.grown(self.journal.rows)
        self.journal.write_settings(self.plan.settings)
        return self._pending(trial for trial in self.plan.trials if trial.hash not in before)

    def _leave(self, lost: str) -> NoReturn:
        """End this execution in a process without Ray, once. lost: why Ray can be used no longer."""
        self._leaving.acquire()
        end_without_ray(self.journal.keep_lock(), self.uri, lost, self._settings_left)

    def _live_design(self) -> LiveDesign:
        return LiveDesign(self.journal.out, self.study.name, self.study.question, self.plan, self.journal.rows)

    def _context(self) -> ExecutionContext:
        """The resources, inputs and actors that every trial needs on its worker."""
        from studies.engine.tuning.context import Resources
        from studies.engine.tuning.fitting import open_context

        options = self.options
        per_trial = options.cpus_per_trial, options.gpus_per_trial
        resources = Resources(*per_trial, options.max_concurrent, self.study.exclusive)
        if self.address == "local":
            for note in sorted({slower_note(trial.config, resources.device) for trial in self.plan.trials} - {""}):
                say(f"note: {note}")
        chains = {condition.text: condition.perturbations for condition in self.plan.conditions}
        return open_context(
            resources,
            Inputs(
                self.splits,
                self._reference(resources.device),
                plugins=options.plugins,
                perturbations=chains,
                sets=self.sets,
            ),
            self.journal.out,
            checkpoint_seconds=options.checkpoint_seconds,
            silence_seconds=options.silence_seconds,
            work=self.study.work,
        )

    def _search(self, design: Design, runner: Runner) -> None:
        from studies.engine.searching import search_settings

        self.plan, self._untried = search_settings(self.plan, design, self.options.seeds, self.study.question, runner)
        self.journal.write_settings(self.plan.settings)

    @property
    def _settings_left(self) -> int:
        """The settings that are not planned yet: of a search, or the one that goes on in a second stage."""
        return self._untried or int(self.plan.second_stage is not None)

    def _missing(self) -> int:
        """The number of planned trials without a row."""
        return sum(trial.hash not in self.journal.rows for trial in self.plan.trials)

    def _interrupted(self) -> str:
        """Why trials are left to run, "" if none are."""
        left = left_to_run(self._missing(), self._settings_left)
        return left and f"interrupted with {left}"

    def _reference(self, device: str) -> Reference | Callable[[], Reference] | None:
        """The reference network, which measures information: read from OUT, or what trains it on a worker.

        None where no trial reads it.
        """
        from mim4dd.information import Reference, train_reference
        from mim4dd.networks import ConvNet

        if not (self.study.informed and any(reads_reference(trial.config) for trial in self.plan.trials)):
            return None
        path = self.journal.out / REFERENCE_FILE
        if path.exists():
            try:
                reference = Reference.load(path, self.splits)
                self.journal.write_reference(reference.accuracy)
                return reference
            except InputError as error:
                say(f"{error}; training the reference network again")
        self._awaits_reference = True
        return partial(train_reference, self.splits, ConvNet(width=32), device=device)

    def _keep_reference(self, context: ExecutionContext) -> None:
        """Save the reference network in OUT as soon as a worker has trained it."""
        from studies.engine.tuning.sharing import reference_made

        if self._awaits_reference and (reference := reference_made(context.cache)) is not None:
            self._awaits_reference = False
            reference.save(self.journal.out / REFERENCE_FILE)
            self.journal.write_reference(reference.accuracy)
            say(f"reference network for the information estimate: {reference.accuracy:.1%} on validation")

    def _answer(self, tracker: Tracker | Untracked, interrupted: str) -> int:
        """Write the answer, end tracking and print the answer; returns the exit status."""
        journal = self.journal
        folder = StudyFolder(journal.out, journal.study, self.plan.settings, journal.rows, interrupted)
        return end(self.study, folder, tracker, 128 + (self.signals.received or signal.SIGINT), self._took)

    def _took(self) -> str:
        """The line on the forecast, which is written to OUT too; "" where nothing was run.

        Nor for a search: the seeds of a setting share a worker, and how many settings it ends early is not forecast.
        """
        if self.options.flags.adaptive_design is not None:
            return ""
        whole = not self._interrupted()
        return told(self.taken.compared(self.plan, self.workers, whole=whole), self.journal.out)
