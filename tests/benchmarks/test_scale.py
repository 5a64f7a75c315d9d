"""The studies of trials that do nothing: what they plan, and what is read from their rows."""

from __future__ import annotations

import json
from pathlib import Path

import nodes  # type: ignore[import-not-found]
import pytest
import scale  # type: ignore[import-not-found]

from studies.engine.command import main


def asked(monkeypatch: pytest.MonkeyPatch, phases: list[tuple[float, int, int]], workers: int = 2) -> None:
    monkeypatch.setenv(nodes.ASKED, json.dumps({"phases": phases, "workers": workers, "folder": "/nowhere"}))


def test_the_studies_can_be_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked(monkeypatch, [(2.0, 12, 0), (1.0, 20, 2)])
    words = ["--dry-run", "--offline", "--seeds", "0-4", "--out", str(tmp_path / "out")]
    assert main(nodes.STUDY, words) == 0
    assert capsys.readouterr().out.startswith("32 trials of 7 settings")
    assert main(scale.STUDY, ["--trials", "20", *words]) == 0
    assert capsys.readouterr().out.startswith("20 trials of 4 settings")


def test_trials_belong_to_phases_and_some_lose_their_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    asked(monkeypatch, [(2.0, 12, 0), (1.0, 20, 2)])
    assert [nodes.place_of(seed) for seed in (0, 11, 12, 31)] == [(0, 0), (0, 11), (1, 0), (1, 19)]
    with pytest.raises(ValueError, match="no phase has trial 32"):
        nodes.place_of(32)
    long, short = nodes.phases()
    assert [place for place in range(12) if long.loses(place)] == []
    assert [place for place in range(20) if short.loses(place)] == [5, 15]


def test_busy_is_counted_between_the_moment_when_all_had_work_and_the_last_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked(monkeypatch, [(2.0, 4, 0)])
    spans = [(10.0, 12.0), (11.0, 13.0), (13.0, 15.0), (14.0, 16.0)]  # two workers, from 11 to 14
    samples = [scale.Sample(float(at), 0, 0.1 * at, 0.0, 0.0, 0.0) for at in range(10, 17)]
    window, ended, busy, driver = nodes.found(spans, [*spans, (10.5, 11.5)], samples)
    assert (window, ended, busy) == (3.0, 3, 1.0 + 2.0 + 1.0 + 0.5)
    assert driver == pytest.approx(0.3)
