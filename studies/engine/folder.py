"""Reading the folder of a study, OUT: its study.json, settings, rows and, once answered, the answer's files."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from mim4dd.durable import read_json
from mim4dd.errors import InputError
from mim4dd.registry import Flat
from studies.engine.arms import Arm, Factor, Setting, with_controls
from studies.engine.conditions import Condition
from studies.engine.reading import checked, contents, parsed, reason
from studies.engine.rows import Row, read_rows
from studies.engine.shapes import Shared, StudyRecord
from studies.engine.space import Axis, Space, keys_of

T = TypeVar("T")
AGAIN = "run the study's own command again"


@dataclass(frozen=True, eq=False)
class StudyFolder:
    """The contents of OUT, checked. study: study.json; rows: by trial; interrupted: why rows are missing, or ""."""

    path: Path
    study: dict[str, Any]
    settings: Sequence[Setting] = ()
    rows: dict[str, Row] = field(default_factory=dict)
    interrupted: str = ""

    @staticmethod
    def read(path: Path, *, unfinished: bool = False) -> StudyFolder:
        """Read a study folder. unfinished: whether a driver may still be writing to it.

        Raises: InputError, in one line, for a folder that is no study folder.
        """
        path = Path(path).absolute()
        study = read_study(path)
        folder = StudyFolder(path, study, read_settings(path), read_rows(path, unfinished=unfinished))
        _require_whole(folder)
        return folder

    @property
    def name(self) -> str:
        """The name of the study's script, `noisy_labels`."""
        return str(self.study["study"])

    @property
    def version(self) -> str:
        """The results version: only rows of the same version can be compared."""
        return str(self.study["rules"])

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(self.study["seeds"])

    @property
    def configuration(self) -> dict[str, Any]:
        """The configuration that the trials share."""
        return dict(self.study["configuration"])

    @property
    def added_studies(self) -> tuple[str, ...]:
        """The folders of finished studies that `--add-study` joins to this one's ranks."""
        return tuple(self.study.get("added_studies") or ())

    @property
    def identifier(self) -> str:
        """A hash that identifies the study wherever its folder is moved to."""
        text = f"{self.study['hash']}/{self.study['created']}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @cached_property
    def space(self) -> Space:
        """The knobs that varied."""
        return tuple(map(Axis.read, self.study.get("axes", ())))

    @property
    def varied(self) -> tuple[str, ...]:
        """The knobs that every setting of the space has."""
        return keys_of(self.space)

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """The kinds of training data of the study, the clean data first."""
        return tuple(map(Condition.read, self.study.get("conditions") or ())) or (Condition(),)

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """What varied besides the arms."""
        return tuple(map(Factor.read, self.study.get("factors", ())))

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        """Each arm once, in the order of the settings."""
        return tuple({setting.arm.key: setting.arm for setting in self.settings}.values())

    @cached_property
    def planned(self) -> dict[str, Setting]:
        """Every trial of the settings, with its setting."""
        return {trial: setting for setting in reversed(self.settings) for trial in setting.trials}

    def status(self) -> dict[str, int]:
        """The number of trials in each status; without a row, a trial is `missing` or `stopped early`."""
        counts: dict[str, int] = {}
        for trial, setting in self.planned.items():
            absent = "stopped early" if setting.arm.role == "stopped" else "missing"
            status = self.rows[trial].status if trial in self.rows else absent
            counts[status] = counts.get(status, 0) + 1
        return dict(sorted(counts.items()))

    @property
    def unfinished(self) -> str:
        """Why the answer is not that of the whole plan, "" if it is."""
        missing, planned = self.status().get("missing", 0), len(self.planned)
        return self.interrupted or (f"{missing} of {planned} planned trials have no row" if missing else "")

    @property
    def answered(self) -> bool:
        """Whether there is an answer, and a row for every planned trial."""
        return (self.path / "answer.md").is_file() and "missing" not in self.status()

    def summary(self) -> dict[str, Any]:
        """The answer's own numbers, as they were written; empty before the first answer.

        Raises: InputError.
        """
        return self.written("summary.json", dict[str, Any])

    def failed(self) -> dict[str, list[str]]:
        """The failure modes that only paired trials show, by trial; none before an answer.

        Raises: InputError.
        """
        return self.written("failures.json", dict[str, list[str]])

    def written(self, name: str, shape: type[T]) -> T:
        """A JSON file of the answer; empty before the first one.

        Raises: InputError where it has another shape.
        """
        try:
            content = read_json(self.path / name)
            return checked({} if content is None else content, shape)
        except ValueError as error:
            raise InputError(
                f"{self.path / name} cannot be read ({reason(error)}); write it again: python -m studies.answers "
                f"{shlex.quote(str(self.path))}"
            ) from error

    def picture(self, trial: str) -> Path | None:
        """The path of a trial's picture, None if there is none."""
        path = self.path / "trials" / trial / "synthetic.png"
        return path if path.exists() else None


def images_of(config: Flat) -> str:
    """The named data set whose images a trial's are, as `--classes-as` says of a file; else its own data's name."""
    return str(config.get("classes_as") or config["dataset"])


def read_study(path: Path) -> dict[str, Any]:
    """Read study.json.

    Raises: InputError when there is none, or it has another shape.
    """
    study = read_json(path / "study.json")
    if study is None:
        raise InputError(f"{path} holds no study: there is no study.json")
    try:
        checked(checked(study, StudyRecord)["configuration"], Shared)
    except ValueError as error:
        raise InputError(f"{path / 'study.json'} cannot be read ({error}); move it away, then {AGAIN}") from error
    return dict(study)


def _require_whole(folder: StudyFolder) -> None:
    """Raises: InputError when factors or knobs cannot be read, or a setting does not fit the factors and seeds."""
    try:
        known = {factor.name: {level.label for level in factor.levels} for factor in folder.factors}
        _ = folder.space, folder.conditions, [factor.reference for factor in folder.factors]
    except (ValueError, SyntaxError, TypeError, IndexError) as error:
        raise InputError(
            f"the factors or knobs in {folder.path / 'study.json'} cannot be read ({reason(error)}); move it away, "
            f"then {AGAIN}"
        ) from error
    if folder.rows and not folder.settings:
        raise InputError(f"{folder.path / 'settings.jsonl'} is missing or empty; {AGAIN}")
    for setting in folder.settings:
        levels = setting.levels
        fits = set(levels) == set(known) and all(label in known[name] for name, label in levels.items())
        if not fits or len(setting.trials) > len(folder.seeds):
            raise InputError(
                f"{folder.path / 'settings.jsonl'} does not fit study.json: setting {setting.setting} has unknown "
                f"levels or more trials than seeds; {AGAIN}"
            )


def read_settings(path: Path) -> list[Setting]:
    """The settings of a study folder; none before the study has started.

    Raises: InputError when a line is no setting, or the file cannot be read.
    """
    file = path / "settings.jsonl"
    settings = []
    for number, line in enumerate(contents(file).splitlines(), 1):
        try:
            settings.append(Setting.read(parsed(line)))
        except (ValueError, KeyError) as error:
            raise InputError(f"{file}:{number} is no setting ({reason(error)}); {AGAIN}") from error
    return with_controls(settings)
