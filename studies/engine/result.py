"""What a study left in its folder, for notebooks: the answer, its claims and figures, the rows as a table."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mim4dd.errors import InputError
from studies.engine.folder import StudyFolder
from studies.engine.reading import contents, parsed, reason
from studies.engine.report import embedded
from studies.engine.shapes import AnswerRecord
from studies.engine.wording import below

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Picture:
    """A figure of an answer; a notebook shows it."""

    title: str
    caption: str
    path: Path = field(repr=False)

    @property
    def png(self) -> bytes:
        return self.path.read_bytes()

    def _repr_png_(self) -> bytes:
        return self.png


@dataclass(frozen=True)
class StudyResult:
    """The result of a study. out: its folder, one of an earlier command as well.

    Raises: InputError for a folder that holds no study with an answer.
    """

    out: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "out", Path(os.path.abspath(self.out)))
        _ = self._written

    @cached_property
    def folder(self) -> StudyFolder:
        """The folder as it is read, with its settings, arms, factors and rows."""
        return StudyFolder.read(self.out, unfinished=True)

    @cached_property
    def _written(self) -> AnswerRecord:
        return self.folder.written("answer.json", AnswerRecord)

    @property
    def short(self) -> str:
        """The answer in one to three sentences, "" where the study has none that are so short."""
        return " ".join(self._written["short"])

    @property
    def answer(self) -> list[str]:
        """The answer in full, sentence by sentence."""
        return self._written["sentences"]

    @cached_property
    def figures(self) -> dict[str, Picture]:
        """The figures by their names, in the order of the report."""
        folder = self.out / "figures"
        listed = {
            one["name"]: Picture(one["title"], one["caption"], folder / f"{one['name']}.png")
            for one in self._written["figures"]
        }
        return {name: picture for name, picture in listed.items() if picture.path.exists()}

    @cached_property
    def claims(self) -> DataFrame:
        """The numbers that the answer states, one a line, by id: claims.jsonl.

        Units: percent and points are fractions, `times` and the units that begin with `log` natural logarithms.
        """
        from pandas import DataFrame

        path = self.out / "claims.jsonl"
        try:
            lines = [parsed(line) for line in contents(path).splitlines()]
        except ValueError as error:
            raise InputError(f"{path} cannot be read ({reason(error)})") from error
        return DataFrame(lines, columns=None if lines else ["id"]).set_index("id")

    @cached_property
    def rows(self) -> DataFrame:
        """The finished trials, one a line, by hash: arm, levels, seed, accuracies, and the knobs that vary.

        Units: accuracies are fractions, means over the networks of a trial; seconds.
        """
        from pandas import DataFrame

        rows = self.folder.rows
        keys = dict.fromkeys(key for row in rows.values() for key in row.config)
        varied = [key for key in keys if key != "seed" and len({row.config.get(key) for row in rows.values()}) > 1]
        records = []
        for trial, row in rows.items():
            setting = self.folder.planned.get(trial)
            record: dict[str, Any] = {"trial": trial, "arm": setting.arm.name if setting else ""}
            record |= setting.levels if setting else {}
            record |= {"seed": row.config["seed"], "status": row.status, "validation_accuracy": row.validation_mean}
            record |= {"test_accuracy": float(np.mean(row.test)) if row.test else math.nan}
            record |= {"failed_by": ", ".join(row.failed_by), "seconds": row.measured.get("seconds", math.nan)}
            records.append(record | {key: row.config.get(key) for key in varied})
        return DataFrame(records, columns=None if records else ["trial"]).set_index("trial")

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in self.folder.status().items())
        return f"StudyResult({self.folder.name}: trials {counts}; {self._where('')})"

    def __str__(self) -> str:
        return "\n".join([*self._incomplete, *filter(None, [self.short]), *self.answer])

    def _repr_html_(self) -> str:
        picture = next(iter(self.figures.values()), None)
        texts = [*self._incomplete, self.short or " ".join(self.answer[:2])]
        parts = [f"<h4>{escape(self.folder.study['title'])}</h4>", *(f"<p>{escape(text)}</p>" for text in texts)]
        if picture is not None:
            parts.append(f'<img alt="{escape(picture.title)}" src="{embedded(picture.path)}" style="max-width: 100%">')
            parts.append(f"<p><small>{escape(picture.caption)}</small></p>")
        parts.append(f"<p>{escape(self._where('report.html'))}</p>")
        return "\n".join(parts)

    @property
    def _incomplete(self) -> list[str]:
        return [f"Not complete: {self.folder.unfinished}."] if self.folder.unfinished else []

    def _where(self, name: str) -> str:
        """A file of the folder, from the working folder where it is below it."""
        return below(Path.cwd(), str(self.out / name))
