"""The blocks of an analysis over kinds of data, and its units: a data set at several resolutions is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from studies.answers.comparing.added_studies import block_of
from studies.answers.results import Results
from studies.engine.statistics import Interval, paired_interval


@dataclass(frozen=True)
class Block:
    """One study, or those of one data set at several resolutions. gains: by arm with the term, over its base at the
    reference levels; pairs: the differences behind them, by arm and seed.
    """

    dataset: str
    ipc: int
    size: str
    source: str
    data: dict[str, float]
    gains: dict[str, Interval]
    pairs: dict[str, dict[int, float]]
    floor: Interval

    @property
    def label(self) -> str:
        return f"{self.dataset}{f' at {self.size}' if self.size else ''}, ipc {self.ipc}"


def block_from(results: Results, source: str) -> Block:
    dataset, ipc, size = block_of(results.folder)
    sets = {arm: results.sets(results.cell(arm)) for arm in results.arms}
    with_term = [arm for arm in results.arms.values() if arm.control]
    gains: dict[str, Interval] = {arm.key: paired_interval(sets[arm.key], sets[arm.control]) for arm in with_term}
    pairs = {
        arm.key: dict(zip(results.seeds, (sets[arm.key] - sets[arm.control]).tolist(), strict=True))
        for arm in with_term
    }
    data: dict[str, Any] = results.folder.study.get("characteristics") or {}
    known = {key: float(value) for key, value in data.items() if value is not None}
    floor = results.mean(results.cell("random"))
    return Block(dataset, ipc, str(size or ""), source, known, gains, pairs, floor)


def by_data_set(blocks: Sequence[Block]) -> list[list[Block]]:
    """The studies of each data set and number of images per class, by resolution."""
    groups: dict[tuple[str, int], list[Block]] = {}
    for block in blocks:
        groups.setdefault((block.dataset, block.ipc), []).append(block)
    return [sorted(group, key=lambda block: block.data.get("height", 0)) for group in groups.values()]


def unit_of(group: Sequence[Block]) -> Block:
    """A unit of the analysis: a data set at several resolutions counts once, by means over them.

    Its intervals are as wide as theirs on average, for they are of the same images.
    """
    if len(group) == 1:
        return group[0]
    first = group[0]
    gains = {arm: _middle([block.gains[arm] for block in group]) for arm in first.gains}
    data = {
        key: float(np.mean([block.data[key] for block in group]))
        for key in first.data
        if all(key in block.data for block in group)
    }
    size = " and ".join(f"{block.data.get('height', 0):g}" for block in group)
    return replace(first, size=size, data=data, gains=gains, floor=_middle([block.floor for block in group]))


def _middle(intervals: Sequence[Interval]) -> Interval:
    """The means of some intervals' centres and ends; unknown where one of them is."""

    def mean(ends: Sequence[float | None]) -> float | None:
        known = [end for end in ends if end is not None]
        return float(np.mean(known)) if len(known) == len(ends) else None

    return replace(
        intervals[0],
        n=min(one.n for one in intervals),
        mean=mean([one.mean for one in intervals]),
        low=mean([one.low for one in intervals]),
        high=mean([one.high for one in intervals]),
    )
