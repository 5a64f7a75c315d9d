"""A study as a value, and its way from a command line to an answer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import resolve_address
from mim4dd.configuration import Configuration, configure
from mim4dd.data import load
from mim4dd.errors import InputError
from mim4dd.registry import Flat
from studies.engine.arms import Factor, Setting
from studies.engine.conditions import CLEAN, Condition
from studies.engine.journal import Journal
from studies.engine.metadata import shared_entries, study_metadata
from studies.engine.options import Asked, Options, fail, parse_options
from studies.engine.running import Work, run_trial
from studies.engine.space import Space
from studies.engine.tracking import address
from studies.engine.tracking.server import shown
from studies.engine.trial import StorageError, Trial

if TYPE_CHECKING:
    from studies.engine.answer import Answer
    from studies.engine.folder import StudyFolder


@dataclass(frozen=True)
class Plan:
    """The settings of a study and every trial they need, in the order in which they are run.

    conditions: the training data, the clean ones first; factors: what varies besides the arms, those among it. notes:
    what a reader of its log must know, such as kinds that were left out.
    """

    space: Space
    settings: tuple[Setting, ...]
    trials: tuple[Trial, ...]
    conditions: tuple[Condition, ...] = (CLEAN,)
    factors: tuple[Factor, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Study:
    """One question: how its trials are planned and how its rows become an answer.

    asks: what its command line has besides what all have; configure: what its trials share, checked; plan and answer:
    pure functions; work: what a worker does with a trial.
    """

    name: str
    title: str
    question: str
    description: str
    asks: type[Asked]
    configure: Callable[[Options], Configuration]
    plan: Callable[[Options, Configuration], Plan]
    answer: Callable[[StudyFolder], Answer]
    work: Work = run_trial

    @property
    def script(self) -> str:
        return f"studies/{self.name}.py"


def configured(options: Options, method: Flat, assigned: Mapping[str, str] | None = None) -> Configuration:
    """Data set, network, recipe and a method, by name and parts, under the protocol and what was set by hand.

    assigned: instead of what `--set` says.
    Raises: UnknownNameError or KnobError.
    """
    return configure(
        source=options.dataset.partition(":")[0],
        method=method,
        network="convnet",
        protocol_name=options.protocol,
        assigned=options.assigned if assigned is None else assigned,
    )


def term_on_base(options: Options) -> Configuration:
    """The MI term on the base that `--base` names."""
    return configured(options, {"method": "mim", "method.base": options.base})


def written_by(module: str) -> Callable[[StudyFolder], Answer]:
    """The `write_answer` of a module that is imported when it is called: a plan needs no scipy and no matplotlib."""

    def answer(folder: StudyFolder) -> Answer:
        found: Answer = import_module(module).write_answer(folder)
        return found

    return answer


def main(study: Study, words: Sequence[str] | None = None) -> int:
    """Run a study from its command line.

    The exit status: 2 for bad input, 1 when the study folder takes no more, 130 after Ctrl-C, 143 after SIGTERM.
    """
    try:
        options = parse_options(study.description, study.script, study.asks, sys.argv[1:] if words is None else words)
        return run(study, options)
    except InputError as error:
        return fail(error)
    except StorageError as error:
        fail(error)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the rows that are there", file=sys.stderr)
        return 130


def configuration_of(study: Study, options: Options) -> Configuration:
    """What the trials of a study share, data set and results version included.

    Raises: InputError, UnknownNameError or KnobError.
    """
    components = study.configure(options)
    if "source" in components.fixed:
        raise InputError("--set source is not for data sets; name one with --dataset")
    return replace(components, flat={**shared_entries(options), **components.flat})


def run(study: Study, options: Options) -> int:
    """Plan, then run what has no row yet, then answer.

    Raises: InputError before any trial starts, for whatever cannot be used.
    """
    cluster_address = resolve_address(options.address)
    configuration = configuration_of(study, options)
    plan = study.plan(options, configuration)
    metadata = study_metadata(study, options, configuration, plan)
    out = options.out or Path.cwd() / "runs" / f"{study.name}-{metadata['hash']}"
    if options.dry_run:
        from studies.engine.estimate import describe

        print(describe(plan, options, out))
        return 0
    uri = address(options.tracking_uri)
    from studies.engine.driver import Driver, require_conditions, require_images
    from studies.engine.progress import say

    say(f"{study.name}: results in {out}, {'no MLflow (--offline)' if options.offline else f'MLflow at {shown(uri)}'}")
    for note in plan.notes:
        say(note)
    source_knobs = {k.partition(".")[2]: v for k, v in configuration.flat.items() if k.startswith("source.")}
    splits = load(
        options.dataset,
        data_root=options.data_root,
        download=options.download,
        split_seed=options.split_seed,
        knobs=source_knobs,
        classes_as=options.classes_as,
    )
    if options.tail is None:
        require_images(splits, options.ipc)
    require_conditions(plan.conditions, splits, options, configuration.flat)
    journal = Journal(out, {**metadata, "data_digest": splits.digest})
    try:
        return Driver(study, options, plan, splits, journal, uri, cluster_address).run()
    finally:
        journal.close()
