"""The command line of a study: plan, run the trials that have no row yet, write the answer."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cluster import resolve_address
from mim4dd.configuration import Configuration
from mim4dd.data import load, require_files
from mim4dd.durable import finite
from mim4dd.errors import DataError, InputError
from mim4dd.records import Splits
from mim4dd_cli.command import exit_status
from studies.engine.flags import F
from studies.engine.journal import Journal, earlier_study
from studies.engine.metadata import configuration_of, study_metadata
from studies.engine.options import Options, parse_options
from studies.engine.plan import Plan
from studies.engine.sizes import NAMED, Size
from studies.engine.study import Study
from studies.engine.tracking import address
from studies.engine.tracking.server import shown

# The named data set that comes with scikit-learn.
HERE = "digits"
# In the first line of an execution, before OUT: whoever started it learns the folder there.
RESULTS_IN = ": results in "


def main(study: Study[F], arguments: Sequence[str] | None = None) -> int:
    """Run a study from its command line.

    Returns: the exit status: 0 when complete, 2 for bad input, 1 when the study folder cannot be written, 5 when trials
    ended in errors, 6 when Ray was lost, 130 after Ctrl-C, 143 after SIGTERM.
    """
    arguments, began = sys.argv[1:] if arguments is None else arguments, time.monotonic()

    def work() -> int:
        return run(study, parse_options(study.description, study.script, study.flags, arguments), began)

    kept = "interrupted; run the same command again to continue: finished trials are kept"
    return exit_status(work, interrupted=kept)


def run(study: Study[F], options: Options[F], began: float) -> int:
    """Plan, run the trials that have no row yet, write the answer; returns the exit status.

    began: `time.monotonic()` when the command started.

    Raises: InputError, before any trial starts, for a flag, data set, folder, cluster or server that cannot be used.
    """
    cluster_address = resolve_address(options.address)
    uri = "" if options.offline else address(options.tracking_uri)
    configuration = configuration_of(study, options)
    # Data of one's own are read before planning, as the plan may follow them.
    splits = None if options.dataset in NAMED and options.dataset != HERE else _load_splits(options, configuration)
    if splits is not None:
        options = replace(options, read=Size.of(splits), flags=options.flags.on(splits))
    plan = replace(study.plan(options, configuration), size=options.read)
    if options.selection == "noisy" and not any(condition.noisy for condition in plan.conditions):
        raise InputError("--selection noisy needs label noise in the training data, and no condition here has any")
    metadata = study_metadata(study, options, configuration, plan)
    out = options.out or Path.cwd() / "runs" / f"{study.name}-{metadata['hash']}"
    if options.dry_run:
        from studies.engine.estimate import describe, this_machine, workers_at_once

        earlier_study(out, metadata)
        here = [this_machine()] if cluster_address == "local" else []
        if here and here[0][0] < options.cpus_per_trial:
            raise InputError(f"a trial requests {options.cpus_per_trial:g} CPUs, this machine has {here[0][0]:g}")
        # Of data that are read it refuses what a run would, of others what can be known without reading them.
        if splits is None:
            _require_named(plan, options)
        else:
            _require_usable_data(plan, splits, options, configuration.flat)
            if study.sets:
                study.sets(options, splits)
            if study.examine:
                study.examine(options, splits)
        print(describe(plan, options, out, workers_at_once(here, options, study.exclusive)))
        return 0
    from studies.engine.execution import Execution
    from studies.engine.progress import say

    say(f"{study.name}{RESULTS_IN}{out}")
    say("no MLflow (--offline)" if options.offline else f"MLflow at {shown(uri)}")
    for note in plan.notes:
        say(note)
    splits = splits or _load_splits(options, configuration)
    plan = replace(plan, size=Size.of(splits))
    for note in splits.notes:
        say(note)
    _require_usable_data(plan, splits, options, configuration.flat)
    sets, found = study.sets(options, splits) if study.sets else ({}, ())
    for note in found:
        say(note)
    notes = [*splits.notes, *found]
    examined = {"characteristics": finite(study.examine(options, splits))} if study.examine else {}
    journal = Journal(out, {**metadata, "data_digest": splits.digest, "data_notes": notes, **examined})
    try:
        return Execution(study, options, plan, splits, sets, journal, uri, cluster_address, began).run()
    finally:
        journal.close()


def _require_named(plan: Plan, options: Options[Any]) -> None:
    """Raises: InputError for a named data set that is not in the folder that is given, or that its size rules out."""
    from studies.engine.data_checks import require_size

    try:
        require_files(options.dataset, options.data_root)
    except DataError as error:
        if not options.download and options.data_root is not None:
            raise
        print(error)
    require_size(plan.conditions, options, NAMED[options.dataset])


def _load_splits(options: Options[Any], configuration: Configuration) -> Splits:
    """Load the data set."""
    knobs = {k.partition(".")[2]: v for k, v in configuration.flat.items() if k.startswith("source.")}
    return load(
        options.dataset,
        data_root=options.data_root,
        download=options.download,
        split_seed=options.split_seed,
        knobs=knobs,
        classes_as=options.classes_as,
    )


def _require_usable_data(plan: Plan, splits: Splits, options: Options[Any], flat: dict[str, Any]) -> None:
    """Raises: InputError for data that the plan cannot be run on."""
    from studies.engine.data_checks import require_bases, require_conditions, require_images, require_networks

    if options.tail is None:
        require_images(splits, options.ipc)
    require_networks(plan.trials, splits)
    require_bases(plan.trials, splits)
    require_conditions(plan.conditions, splits, options, flat)
