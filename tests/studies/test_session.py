"""What a worker tells the monitor: heartbeats within long steps too, states between steps alone."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from studies.engine.trial import Trial
from studies.engine.tuning import session as sessions
from studies.engine.tuning.monitor import Start, Ticket, Worker
from studies.engine.tuning.session import WorkerSession

TRIAL = Trial.of({"seed": 0})


class Remote:
    """An actor's method that is called here."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.remote = function


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A session whose monitor records what it is told, and a clock that the test sets."""
    record = SimpleNamespace(now=0.0, heartbeats=[], saved=0)

    def saved(ticket: Ticket, content: bytes) -> None:
        record.saved += 1

    monitor = SimpleNamespace(
        begin=Remote(lambda trial, worker: Start(Ticket(trial, 1, worker), None, "", False)),
        heartbeat=Remote(lambda tickets, progress: record.heartbeats.append((record.now, progress))),
        save=Remote(saved),
    )
    monkeypatch.setattr(sessions, "time", SimpleNamespace(monotonic=lambda: record.now))
    monkeypatch.setattr(sessions, "ray", SimpleNamespace(get=lambda x: x, wait=lambda x, timeout: (x, [])))
    context: Any = SimpleNamespace(monitor=monitor, checkpoint_seconds=30.0)
    record.session = WorkerSession([TRIAL], context, Worker("node", "host", 1, 0.0))
    return record


def step(told: SimpleNamespace, at: float, progress: str) -> None:
    told.now = at
    told.session(SimpleNamespace(trial=TRIAL, progress=progress, state_dict=dict))


def beat(told: SimpleNamespace, at: float) -> None:
    told.now = at
    told.session.beat()


def test_signs_within_a_step_are_heartbeats_every_few_seconds_with_the_last_progress(told: SimpleNamespace) -> None:
    for at in range(0, 20):
        beat(told, float(at))
    step(told, 20.0, "epoch 1 of 2")
    for at in range(21, 31):
        beat(told, float(at))
    assert told.heartbeats == [
        *((at, "starting") for at in (5.0, 10.0, 15.0)),
        *((at, "epoch 1 of 2") for at in (20.0, 25.0, 30.0)),
    ]


def test_signs_within_a_step_put_off_no_checkpoint(told: SimpleNamespace) -> None:
    for at in range(0, 100):
        beat(told, float(at))
    assert told.saved == 0
    step(told, 100.0, "epoch 1 of 2")
    assert told.saved == 1
