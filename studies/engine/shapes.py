"""The shapes of the records in a study folder, as `reading.checked` requires them; entries not listed may be anything.

Entries without `Required` may be absent: a trial that was lost has few.
"""

from __future__ import annotations

from typing import Any, Literal, Required

from typing_extensions import TypedDict  # on Python 3.11, pydantic takes no other

from mim4dd.registry import Scalar

Numbers = list[float | None] | None
Matrix = list[list[float | None]] | None


class ConditionRecord(TypedDict, total=False):
    text: Required[str]
    label: Required[str]
    family: Required[str]
    severity: Required[float | None]
    stages: Required[list[str]]
    parts: list[str]


class Knob(TypedDict, total=False):
    symbol: str
    help: str
    log: bool
    name: str
    given: dict[str, Scalar]


class StudyRecord(TypedDict, total=False):
    """study.json, except for `axes` and `factors`, which are dataclasses."""

    study: Required[str]
    title: Required[str]
    question: Required[str]
    command: Required[str]
    hash: Required[str]
    created: Required[str]
    dataset: Required[str]
    protocol: Required[str]
    rules: Required[str]
    seeds: Required[list[int]]
    configuration: Required[dict[str, Scalar]]
    axes: list[dict[str, Any]]
    conditions: list[ConditionRecord] | None
    factors: list[dict[str, Any]]
    knobs: dict[str, Knob] | None
    fixed: list[str]
    versions: dict[str, str]
    added_studies: list[str] | None
    tuned_on: int
    parts: list[str]
    halvings: int
    data_digest: str
    design: str
    selection: str
    git_commit: str | None
    reference_accuracy: float | None
    characteristics: dict[str, float | None]


class Shared(TypedDict):
    """What every study's shared configuration has, besides its other knobs."""

    ipc: int


class Rung(TypedDict):
    iteration: int
    validation_accuracy: float


class FindingRecord(TypedDict, total=False):
    value: Required[float | None]
    state: str
    threshold: float | None
    evidence: str
    side: str


class PerturbedRecord(TypedDict, total=False):
    counts: list[int]
    rate: float | None
    factor: float | None
    correlation: float | None


class Tail(TypedDict, total=False):
    policy: str
    short_of_ipc: list[str]
    short_of_batch: list[str]
    absent: list[str]


class Tuned(TypedDict, total=False):
    """Scores at the rate that validation chose: on validation with the rates, or on test."""

    lr: float
    tried: dict[str, float]
    validation_accuracy: Numbers
    test_accuracy: Numbers


class ValidationScores(TypedDict, total=False):
    validation_accuracy: Numbers
    validation_recall: Matrix
    usable_information_nats: Numbers
    tuned: Tuned


class Result(TypedDict, total=False):
    status: Required[Literal["ok", "diverged", "error"]]
    reason: str | None
    diverged_at: int
    selection: str
    validation_accuracy: Numbers
    validation_recall: Matrix
    noisy_validation_accuracy: Numbers
    usable_information_nats: Numbers
    label_agreement_nats: float | None
    critic_information_nats: float | None
    entropy_nats: float | None
    rungs: list[Rung] | None
    classes: list[str]
    train_counts: list[int]
    clean_counts: list[int] | None
    wrong_labels: float | None
    perturbed: dict[str, PerturbedRecord] | None
    tail: Tail | None
    measures: dict[str, float | None] | None
    failed_by: list[str] | None
    failures: dict[str, FindingRecord] | None
    judged: dict[str, ValidationScores]
    tuned: Tuned
    operations: dict[str, float | None] | None


class TestScores(TypedDict, total=False):
    test_accuracy: Numbers
    test_recall: Matrix
    usable_information_nats: Numbers
    tuned: Tuned
    cue_followed: Numbers


class Report(TestScores, total=False):
    judged: dict[str, TestScores]


class Measured(TypedDict, total=False):
    seconds: float
    distil_seconds: float
    evaluate_seconds: float
    waited_seconds: float
    prepared_seconds: float
    perturbed_seconds: float
    started: float
    ended: float
    peak_bytes: int
    cpu_seconds: float
    others_cores: float | None
    stolen_cores: float
    retries: int
    threads: int
    node: str
    device: str
    cost: dict[str, float | None] | None


class RowRecord(TypedDict):
    """A line of rows.jsonl."""

    trial: str
    config: dict[str, Scalar]
    result: Result
    report_only: Report
    measured: Measured


class RunningTrial(TypedDict):
    trial: str
    attempt: int
    host: str
    pid: int
    began: float
    heard: float
    progress: str


class Running(TypedDict):
    """running.json."""

    running: list[RunningTrial]


class ClaimRecord(TypedDict):
    """What is read of a line of claims.jsonl, see `studies.engine.answer.Claim`."""

    id: str
    what: str
    metric: str
    unit: str
    estimate: float | None
    low: float | None
    high: float | None
    n: int
    decision: Literal["", "gain", "loss", "negligible", "undecided"]
    size: str
    margin: float | None
    terms: list[tuple[float, str, list[str]]]
    trials: list[str]


class FigureRecord(TypedDict):
    name: str
    title: str
    caption: str


class AnswerRecord(TypedDict):
    """answer.json: the answer in short and in full, by sentences, and its figures."""

    short: list[str]
    sentences: list[str]
    figures: list[FigureRecord]
