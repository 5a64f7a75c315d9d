"""A study as a value: one question, how its trials are planned, and how its rows become an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Generic

from mim4dd.configuration import Configuration
from mim4dd.records import Splits, Synthetic
from mim4dd.registry import unknown
from studies.engine.door import ROOT
from studies.engine.flags import F
from studies.engine.options import Options
from studies.engine.plan import Plan
from studies.engine.running import run_trial
from studies.engine.runs import Work

if TYPE_CHECKING:
    from studies.engine.answer import Answer
    from studies.engine.folder import StudyFolder


@dataclass(frozen=True)
class Study(Generic[F]):
    """A study of one question.

    flags: the class of its own flags; configure: makes and checks the configuration that its trials share; plan and
    answer: pure functions; work: runs a trial on a worker; sets: reads the synthetic sets that are scored, by name,
    with lines on what was found in them; exclusive: its trials are measured, so each is the only one on its node, one
    at a time; examine: what study.json records of the data, after a check that they are of use to the plan;
    informed: whether its trials measure information by the reference network.
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
    sets: Callable[[Options[F], Splits], tuple[dict[str, Synthetic], tuple[str, ...]]] | None = None
    exclusive: bool = False
    examine: Callable[[Options[F], Splits], dict[str, float]] | None = None
    informed: bool = True

    @property
    def script(self) -> str:
        return f"studies/{self.name}.py"


def written_by(module: str) -> Callable[[StudyFolder], Answer]:
    """The `write_answer` of a module, imported when first called: planning needs neither scipy nor matplotlib."""

    def answer(folder: StudyFolder) -> Answer:
        result: Answer = import_module(module).write_answer(folder)
        return result

    return answer


def study_of(folder: StudyFolder) -> Study[Any]:
    """The study to which a folder belongs.

    Raises: UnknownNameError.
    """
    return study_named(folder.name)


# The file in studies/ that reads finished studies and is none.
REPORT = "report"


def study_named(name: str) -> Study[Any]:
    """The study of this name, that of its file: `noisy_labels`.

    Raises: UnknownNameError.
    """
    files = (module.name for module in iter_modules([str(ROOT / "studies")]) if not module.ispkg)
    known = [file for file in files if file != REPORT]
    if name not in known:
        raise unknown("study", name, known)
    study = import_module(f"studies.{name}").STUDY
    if not isinstance(study, Study):
        raise TypeError(f"studies.{name}.STUDY is {type(study).__name__}")
    return study
