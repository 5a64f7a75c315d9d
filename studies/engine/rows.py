"""Rows: the records of finished trials, typed and checked when they are read."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mim4dd.errors import InputError
from mim4dd.registry import Flat
from studies.engine.reading import checked, opened, parsed, reason
from studies.engine.shapes import RowRecord

Array = npt.NDArray[np.float64]
LONGEST_LINE = 2**28  # bytes; what is longer is no row


@dataclass(frozen=True)
class TrainingData:
    """A trial's training split after its perturbations.

    counts: images of each label, [C]; true_counts: images of each true class, [C], None if unknown; wrong_labels: their
    fraction, None if unknown; perturbed: each perturbation's record, by name; tail: the policy for classes with too few
    images, and these classes; classes: their names, by label, or none if unknown.
    """

    counts: tuple[int, ...]
    true_counts: tuple[int, ...] | None
    wrong_labels: float | None
    perturbed: Mapping[str, Mapping[str, Any]]
    tail: Mapping[str, Any]
    classes: tuple[str, ...] = ()

    def realised(self, key: str) -> list[float]:
        """An entry of the perturbations' records, such as `rate`, of each perturbation that has it."""
        return [float(step[key]) for step in self.perturbed.values() if step.get(key) is not None]


@dataclass(frozen=True, eq=False)
class Tuned:
    """Accuracies of networks at the learning rate that validation chose. tried: of one network, by rate."""

    lr: float
    tried: Mapping[float, float]
    validation: tuple[float, ...]
    test: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Judged:
    """A view of a row besides the trial's own; of corrupted test images, or a cue's, there is no validation.

    followed: the share of images that each network gives a class of their planted cue; none in other views.
    """

    validation: tuple[float, ...]
    test: tuple[float, ...]
    test_recall: Array | None
    tuned: Tuned | None = None
    followed: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Row:
    """One line of rows.jsonl.

    status: `ok`, `diverged` or `error`. selection: `clean` or `noisy`, the validation labels that choices read.
    usable_validation, usable: usable information on validation and on test images. test, usable,
    test_recall: read by the report alone. rungs: (iteration, validation accuracy) of interim evaluations.
    measures: of the synthetic set, its networks and the MI term along the run. failures: each trial detector's finding,
    by the mode's current name. tuned: at the chosen rate, None where none was chosen. judged: by view, see
    `studies.engine.judging`. costs: of a trial that measures cost:
    what was timed and weighed, and the operations that were counted; none in others. record: the line's object as it
    was written.

    Shapes: accuracies and usable information [networks]; recalls [networks, C], NaN for a class without images, None
    if there is none.
    Units: information in nats; in `measured`, seconds, bytes and cores; in `costs`, as each name ends: `_seconds`,
    `_bytes`, `_flops`.
    """

    trial: str
    config: Flat
    status: str
    reason: str
    selection: str
    clean_validation: tuple[float, ...]
    noisy_validation: tuple[float, ...]
    validation_recall: Array | None
    usable_validation: tuple[float, ...]
    usable: tuple[float, ...]
    test: tuple[float, ...]
    test_recall: Array | None
    rungs: tuple[tuple[int, float], ...]
    information: dict[str, float]
    data: TrainingData | None
    measures: dict[str, float]
    failed_by: tuple[str, ...]
    failures: dict[str, dict[str, Any]]
    tuned: Tuned | None
    judged: dict[str, Judged]
    measured: dict[str, Any]
    costs: dict[str, float]
    record: dict[str, Any] = field(repr=False)

    @property
    def validation(self) -> tuple[float, ...]:
        return self.noisy_validation if self.selection == "noisy" else self.clean_validation

    @property
    def validation_mean(self) -> float:
        """The mean validation accuracy that choices read; NaN if the trial has none."""
        return float(np.mean(self.validation)) if self.validation else float("nan")

    @property
    def usable_validation_share(self) -> tuple[float, ...]:
        """Usable information on validation images as a share of H(Y)."""
        return _of_entropy(self.usable_validation, self.validation_recall)

    @property
    def usable_share(self) -> tuple[float, ...]:
        """Usable information on test images as a share of H(Y)."""
        return _of_entropy(self.usable, self.test_recall)

    @property
    def networks(self) -> int:
        """The largest number of networks that have an accuracy in a view."""
        views = [(self.clean_validation, self.test), *((view.validation, view.test) for view in self.judged.values())]
        return max(len(scores) for view in views for scores in view)

    def seen(self, view: str) -> Row:
        """The row as a view of it, with that view's accuracies alone; itself for the view ""."""
        if not view:
            return self
        judged = self.judged.get(view, Judged((), (), None))
        return replace(
            self,
            clean_validation=judged.validation,
            noisy_validation=(),
            validation_recall=None,
            test=judged.test,
            test_recall=judged.test_recall,
            usable=(),
            usable_validation=(),
            tuned=judged.tuned,
        )

    @staticmethod
    def read(record: Any) -> Row:
        """The row of a line's object.

        Raises: ValueError or KeyError for an object of another shape.
        """
        checked(record, RowRecord)
        result, report = record["result"], record["report_only"]
        nats = {
            "label_agreement": result.get("label_agreement_nats"),
            "critic": result.get("critic_information_nats"),
            "entropy": result.get("entropy_nats"),
        }
        return Row(
            trial=record["trial"],
            config=dict(record["config"]),
            status=result["status"],
            reason=result.get("reason") or "",
            selection="noisy" if result.get("selection") == "noisy" else "clean",
            clean_validation=_numbers(result.get("validation_accuracy")),
            noisy_validation=_numbers(result.get("noisy_validation_accuracy")),
            validation_recall=_matrix(result.get("validation_recall")),
            usable_validation=_numbers(result.get("usable_information_nats")),
            usable=_numbers(report.get("usable_information_nats")),
            test=_numbers(report.get("test_accuracy")),
            test_recall=_matrix(report.get("test_recall")),
            rungs=tuple(
                (int(rung["iteration"]), float(rung["validation_accuracy"])) for rung in result.get("rungs") or ()
            ),
            information={kind: float(value) for kind, value in nats.items() if value is not None},
            data=_data(result),
            measures=_costs(result.get("measures")),
            failed_by=tuple(result.get("failed_by") or ()),
            failures={mode: dict(finding) for mode, finding in (result.get("failures") or {}).items()},
            tuned=_tuned(result, report),
            judged=_judged(result, report),
            measured=dict(record["measured"]),
            costs=_costs(record["measured"].get("cost"), result.get("operations")),
            record=record,
        )


def _judged(result: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, Judged]:
    validation, test = (record.get("judged") or {} for record in (result, report))
    return {
        view: Judged(
            _numbers(validation.get(view, {}).get("validation_accuracy")),
            _numbers(scores.get("test_accuracy")),
            _matrix(scores.get("test_recall")),
            _tuned(validation.get(view, {}), scores),
            _numbers(scores.get("cue_followed")),
        )
        for view, scores in test.items()
    }


def _tuned(validation: Mapping[str, Any], test: Mapping[str, Any]) -> Tuned | None:
    """What networks reach at the chosen rate. validation, test: their scores on these splits."""
    chosen, scores = validation.get("tuned"), test.get("tuned")
    if chosen is None or scores is None:
        return None
    return Tuned(
        float(chosen["lr"]),
        {float(rate): float(accuracy) for rate, accuracy in chosen["tried"].items()},
        _numbers(chosen.get("validation_accuracy")),
        _numbers(scores.get("test_accuracy")),
    )


def _costs(*records: Mapping[str, float | None] | None) -> dict[str, float]:
    """The finite numbers of these records; an integer that is no float is none of them."""
    named = [one for record in records for one in (record or {}).items()]
    return {name: float(value) for name, value in named if value is not None and abs(value) <= sys.float_info.max}


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(np.nan if value is None else float(value) for value in values or ())


def _of_entropy(nats: tuple[float, ...], recall: Array | None) -> tuple[float, ...]:
    """Nats as shares of H(Y), the log of the number of classes that have images: those with a recall."""
    entropy = 0.0 if recall is None else np.log(np.isfinite(recall).all(axis=0).sum())
    return tuple(value / float(entropy) for value in nats) if entropy > 0 else ()


def _matrix(values: Any) -> Array | None:
    if not values:
        return None
    matrix = np.array([[np.nan if value is None else value for value in row] for row in values], dtype=float)
    if matrix.ndim != 2:
        raise ValueError("a recall must be [networks, classes]")
    return matrix


def _data(result: Mapping[str, Any]) -> TrainingData | None:
    if "train_counts" not in result:
        return None
    perturbed = result.get("perturbed") or {}
    counts = tuple(int(count) for count in result["train_counts"])
    wrong = result.get("wrong_labels")
    return TrainingData(
        counts,
        tuple(int(count) for count in result["clean_counts"]),
        None if wrong is None else float(wrong),
        perturbed,
        result.get("tail") or {},
        tuple(result.get("classes", ())),
    )


def read_rows(out: Path, *, unfinished: bool = False) -> dict[str, Row]:
    """The rows of a study folder by trial; of two rows of one trial, the later. As `each_row`."""
    return {row.trial: row for row in each_row(out, unfinished=unfinished)}


def each_row(out: Path, *, unfinished: bool = False) -> Iterator[Row]:
    """The rows of a study folder, one after the other.

    unfinished: the study may be running, so a last line without a newline is still being written and is left out.
    Raises: InputError for a line that is no row, or a file that cannot be read.
    """
    path = out / "rows.jsonl"
    with contextlib.suppress(FileNotFoundError), opened(path) as file:
        # As bytes: str.splitlines would also split at other characters, which JSON strings may contain.
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), 1):
            if unfinished and not line.endswith(b"\n"):
                return
            try:
                row = Row.read(parsed(line.removesuffix(b"\n")))
            except (ValueError, KeyError) as error:
                raise InputError(f"{path}:{number} is no row ({reason(error)}); repair or remove that line") from error
            yield row
