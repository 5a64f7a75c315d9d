"""The folder of a study, OUT, as it is read: what the study is, its settings, its rows, what was written of them."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mim4dd.errors import InputError
from studies.engine.arms import Arm, Factor, Setting, with_controls
from studies.engine.conditions import Condition, training_data
from studies.engine.durable import read_json
from studies.engine.legacy import axis_of, mode_names, setting_of
from studies.engine.rows import Row, read_rows
from studies.engine.space import Axis, Space

NEEDED = ("study", "title", "question", "command", "hash", "created", "dataset", "protocol", "rules", "seeds")


@dataclass(frozen=True, eq=False)
class StudyFolder:
    """What lies in OUT, checked. study: study.json; rows: by trial; interrupted: why rows are missing, or ""."""

    path: Path
    study: dict[str, Any]
    settings: Sequence[Setting] = ()
    rows: dict[str, Row] = field(default_factory=dict)
    interrupted: str = ""

    @staticmethod
    def read(path: Path, *, unfinished: bool = False) -> StudyFolder:
        """unfinished: a driver may be writing there.

        Raises: InputError, in a line, for whatever is no study folder.
        """
        path = Path(path).absolute()
        study = read_study(path)
        folder = StudyFolder(path, study, read_settings(path, study), read_rows(path, unfinished=unfinished))
        _require_whole(folder)
        return folder

    @property
    def name(self) -> str:
        """The study's script, `noisy_labels`."""
        return str(self.study["study"])

    @property
    def version(self) -> str:
        """Of the results: rows compare only within one."""
        return str(self.study["rules"])

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(self.study["seeds"])

    @property
    def configuration(self) -> dict[str, Any]:
        """What the trials share."""
        return dict(self.study["configuration"])

    @property
    def added_studies(self) -> tuple[str, ...]:
        """The folders of finished studies that join this one's ranks, as given; `beside` in older folders."""
        return tuple(self.study.get("added_studies") or self.study.get("beside") or ())

    @property
    def identifier(self) -> str:
        """Which study it is, wherever its folder lies."""
        told = f"{self.study['hash']}/{self.study['created']}"
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    @cached_property
    def space(self) -> Space:
        """The knobs that varied."""
        if "axes" in self.study:
            return tuple(Axis(**{**held, "values": tuple(held["values"])}) for held in self.study["axes"])
        return tuple(map(axis_of, self.study.get("space", ())))

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """The training data of the study, the clean ones first."""
        return tuple(map(Condition.read, self.study.get("conditions") or ())) or (Condition(),)

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """What varied besides the arms."""
        if "factors" in self.study:
            return tuple(map(Factor.read, self.study["factors"]))
        return (training_data(self.conditions),) if len(self.conditions) > 1 else ()

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        """Each arm once, in the order of the settings."""
        return tuple({setting.arm.key: setting.arm for setting in self.settings}.values())

    @cached_property
    def planned(self) -> dict[str, Setting]:
        """Every trial that a setting names, with the setting."""
        return {trial: setting for setting in self.settings for trial in setting.trials}

    def status(self) -> dict[str, int]:
        """How many trials ended in each status, and how many have no row."""
        counts: dict[str, int] = {}
        for trial, setting in self.planned.items():
            absent = "stopped early" if setting.arm.role == "stopped" else "missing"
            status = self.rows[trial].status if trial in self.rows else absent
            counts[status] = counts.get(status, 0) + 1
        return dict(sorted(counts.items()))

    @property
    def unfinished(self) -> str:
        """Why the answer is not that of the whole plan, "" when it is."""
        missing, planned = self.status().get("missing", 0), len(self.planned)
        return self.interrupted or (f"{missing} of {planned} planned trials have no row" if missing else "")

    @property
    def answered(self) -> bool:
        """Whether there is an answer, and a row for every planned trial."""
        return (self.path / "answer.md").is_file() and "missing" not in self.status()

    def summary(self) -> dict[str, Any]:
        """The answer's own numbers, as they were written; none before."""
        return self._written("summary.json")

    def failed(self) -> dict[str, list[str]]:
        """The failure modes that only paired trials show, by trial, by today's names; none before an answer."""
        return {trial: mode_names(modes) for trial, modes in self._written("failures.json").items()}

    def _written(self, name: str) -> dict[str, Any]:
        found = None
        with contextlib.suppress(InputError):  # the next answer writes it again
            found = read_json(self.path / name)
        return found if isinstance(found, dict) else {}

    def picture(self, trial: str) -> Path | None:
        """A trial's picture, if it is there."""
        path = self.path / "trials" / trial / "synthetic.png"
        return path if path.exists() else None


def read_study(path: Path) -> dict[str, Any]:
    """study.json.

    Raises: InputError when there is none, or it is something else.
    """
    held = read_json(path / "study.json")
    if held is None:
        raise InputError(f"{path} holds no study: there is no study.json")
    lacks = [key for key in NEEDED if not isinstance(held, dict) or key not in held]
    if lacks or not isinstance(held["seeds"], list) or not isinstance(held.get("configuration"), dict):
        raise InputError(f"{path} holds no study: its study.json lacks {', '.join(lacks) or 'seeds or configuration'}")
    return dict(held)


def _require_whole(folder: StudyFolder) -> None:
    """Raises: InputError when what varied cannot be read, or a setting lies outside of it."""
    try:
        known = {factor.name: {level.label for level in factor.levels} for factor in folder.factors}
        _ = folder.space, folder.conditions, [factor.reference for factor in folder.factors]
    except (ValueError, SyntaxError, KeyError, TypeError, AttributeError, IndexError) as error:
        told = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise InputError(
            f"{folder.path / 'study.json'} says no factors or knobs ({told}); run its command again"
        ) from error
    for one in folder.settings:
        fits = set(one.levels) == set(known) and all(label in known[name] for name, label in one.levels.items())
        if not fits or len(one.trials) > len(folder.seeds):
            raise InputError(f"{folder.path / 'settings.jsonl'} does not fit study.json: setting {one.setting}")


def read_settings(path: Path, study: dict[str, Any]) -> list[Setting]:
    """The settings of a study folder; none where nothing was planned yet.

    Raises: InputError when a line is no setting.
    """
    file = path / "settings.jsonl"
    lines = file.read_bytes().splitlines() if file.exists() else []
    settings = []
    for number, line in enumerate(lines, 1):
        try:
            held = json.loads(line)
            settings.append(Setting.read(held) if "arm" in held else setting_of(held, study))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            told = f"{type(error).__name__}: {error}".partition("\n")[0]
            raise InputError(f"{file}:{number} is no setting ({told}); run the study's own command again") from error
    return with_controls(settings)
