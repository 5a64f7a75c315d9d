"""A study as a value: one question, how its trials are planned, and how its rows become an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Generic

from mim4dd.configuration import Configuration
from studies.engine.flags import F
from studies.engine.options import Options
from studies.engine.plan import Plan
from studies.engine.running import Work, run_trial

if TYPE_CHECKING:
    from studies.engine.answer import Answer
    from studies.engine.folder import StudyFolder


@dataclass(frozen=True)
class Study(Generic[F]):
    """One question.

    flags: what its command line has besides what all have; configure: what its trials share, checked; plan and answer:
    pure functions; work: what a worker does with a trial.
    """

    name: str
    title: str
    question: str
    description: str
    flags: type[F]
    configure: Callable[[Options[F]], Configuration]
    plan: Callable[[Options[F], Configuration], Plan]
    answer: Callable[[StudyFolder], Answer]
    work: Work = run_trial

    @property
    def script(self) -> str:
        return f"studies/{self.name}.py"


def written_by(module: str) -> Callable[[StudyFolder], Answer]:
    """The `write_answer` of a module that is imported when it is called: a plan needs no scipy and no matplotlib."""

    def answer(folder: StudyFolder) -> Answer:
        written: Answer = import_module(module).write_answer(folder)
        return written

    return answer
