"""Every number of a comparison of baselines, from rows alone: methods in pairs of one seed, and ranks over blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from studies.answers.baselines.beside import Folder, read_beside
from studies.answers.comparing.findings import Findings
from studies.engine.evidence import Array, Evidence
from studies.engine.statistics import (
    Improvement,
    PairedInterval,
    Ranks,
    holm,
    mean_interval,
    paired_interval,
    paired_p_value,
    pairs_to_decide,
    probability_of_improvement,
    rank_methods,
    set_means,
)

LEVEL = 0.05
# What makes blocks differ by their nature, and what names a trial.
OF_A_BLOCK = ("dataset", "dataset_digest", "ipc", "seed", "source", "classes_as", "protocol")


@dataclass(frozen=True)
class Contrast:
    """Method a less method b, paired by seed.

    p: of a paired t test, None where it has no spread or fewer than two pairs; adjusted: by Holm over its table;
    needed: how many pairs would decide it by Holm's strictest step, its mean and spread staying as they are.
    """

    a: int
    b: int
    difference: PairedInterval
    p: float | None
    adjusted: float | None
    wins: Improvement
    needed: int | None

    @property
    def decided(self) -> bool:
        return self.adjusted is not None and self.adjusted < LEVEL


@dataclass(frozen=True, eq=False)
class Block:
    """One data set at one ipc. scores: test accuracy of each entrant over the seeds that all of them have (`whole`).

    Shapes: scores [entrants], NaN throughout where there is no such seed.
    """

    identity: dict[str, Any]
    source: str
    scores: Array
    whole: int
    seeds: int
    differs: str

    @property
    def label(self) -> str:
        return f"{self.identity['dataset']}, ipc {self.identity['configuration']['ipc']}"


@dataclass(frozen=True, eq=False)
class Compared:
    """The methods of this study, in its order, and the blocks that stand beside it."""

    evidence: Evidence
    found: Findings
    beside: Sequence[Folder]

    @cached_property
    def names(self) -> list[str]:
        """With those knobs alone that tell methods of one name apart."""
        given = [(_method(arm.role), knobs_of(arm.role)) for arm in self.found.arms]
        told = []
        for name, knobs in given:
            alike = [set(others) for other, others in given if other == name]
            own = [knob for knob in knobs if knob not in set.intersection(*alike)]
            told.append(f"{name} ({', '.join(own)})" if own else name)
        return told

    @property
    def random(self) -> int | None:
        return next((i for i, arm in enumerate(self.found.arms) if _method(arm.role) == "random"), None)

    @property
    def full(self) -> int | None:
        return next((i for i, arm in enumerate(self.found.arms) if _method(arm.role) == "full"), None)

    @property
    def entrants(self) -> list[int]:
        """The methods that make a set of ipc images: all but full data."""
        return [i for i, arm in enumerate(self.found.arms) if _method(arm.role) != "full"]

    def has_term(self, arm: int) -> bool:
        return _method(self.found.arms[arm].role).endswith(" + mim")

    def base(self, arm: int) -> str:
        """The registered name of a method, or of the base under the MI term."""
        return _method(self.found.arms[arm].role).removesuffix(" + mim")

    @cached_property
    def balanced(self) -> Array:
        """Balanced test accuracy of each set, [arms, seeds]."""
        return set_means(self.found.balanced)

    @cached_property
    def best(self) -> int | None:
        """The entrant with the highest mean validation accuracy, over the seeds that all entrants have if there are."""
        sets = set_means(self.evidence.accuracy(self.found.arms, "validation"))[self.entrants]
        whole = np.isfinite(sets).all(axis=0)
        means = [mean_interval(row[whole] if whole.any() else row).mean for row in sets]
        known = [(mean, arm) for mean, arm in zip(means, self.entrants, strict=True) if mean is not None]
        return max(known, key=lambda pair: pair[0])[1] if known else None

    @cached_property
    def gains(self) -> list[Contrast]:
        """Each base with the MI term less the base alone."""
        pairs = [(i, base) for i in self.entrants if (base := self.found.alone(i)) is not None]
        return self._contrasts(pairs)

    @cached_property
    def over_random(self) -> list[Contrast]:
        """Each method less random real images."""
        random = self.random
        return self._contrasts([(i, random) for i in self.entrants if random is not None and i != random])

    def _contrasts(self, pairs: Sequence[tuple[int, int]]) -> list[Contrast]:
        """Contrasts of one table, with Holm's correction over those that have a p."""
        sets = self.found.sets
        raw = {pair: paired_p_value(sets[pair[0]], sets[pair[1]]) for pair in pairs}
        known = {pair: p for pair, p in raw.items() if p is not None}
        adjusted = dict(zip(known, holm(list(known.values())), strict=True))
        level = 1 - LEVEL / max(1, len(known))
        return [
            Contrast(
                a,
                b,
                paired_interval(sets[a], sets[b]),
                raw[a, b],
                adjusted.get((a, b)),
                self.wins(a, b),
                pairs_to_decide(sets[a] - sets[b], level),
            )
            for a, b in pairs
        ]

    def wins(self, a: int, b: int) -> Improvement:
        """P(a beats b) over seeds."""
        return probability_of_improvement(self.found.sets[a], self.found.sets[b])

    @cached_property
    def blocks(self) -> list[Block]:
        """This study's block, then those beside it."""
        own = self._block(self.evidence, "this study")
        return [own, *(self._block(_evidence(folder), str(folder.path)) for folder in self.beside)]

    def _block(self, evidence: Evidence, source: str) -> Block:
        """Its methods in this study's order."""
        settings = {setting.role: setting for setting in evidence.settings}
        ordered = [settings[self.found.arms[i].role] for i in self.entrants]
        sets = set_means(evidence.accuracy(ordered, "test"))
        whole = np.isfinite(sets).all(axis=0)
        scores = sets[:, whole].mean(axis=1) if whole.any() else np.full(len(ordered), np.nan)
        return Block(evidence.identity, source, scores, int(whole.sum()), sets.shape[1], self._differs(evidence))

    def _differs(self, evidence: Evidence) -> str:
        """What else than the data the methods of a block do otherwise than here, as `iterations 20 (50)`."""
        told: dict[str, None] = {}
        other = Findings(evidence)
        places = {arm.role: i for i, arm in enumerate(other.arms)}
        for i, arm in enumerate(self.found.arms):
            here, there = self.found.config(i), other.config(places[arm.role])
            for key, value in there.items():
                if key.partition(".")[0] not in OF_A_BLOCK and key in here and here[key] != value:
                    told[f"{key.rpartition('.')[2]} {value} ({here[key]})"] = None
        return ", ".join(told)

    @cached_property
    def ranks(self) -> Ranks:
        """Ranks of the entrants over the blocks."""
        return rank_methods(np.array([block.scores for block in self.blocks]))


def compare(evidence: Evidence) -> Compared:
    """Join this study's rows with those of the folders that its command names.

    Raises: InputError when a folder has changed since the study was planned, and is no block any more.
    """
    identity = evidence.identity
    methods = [setting.role for setting in evidence.settings]
    paths = [Path(path) for path in identity.get("beside", [])]
    place = str(identity["dataset"]), int(identity["configuration"]["ipc"])
    folders = read_beside(paths, methods, *place, rules=str(identity["rules"]))
    return Compared(evidence, Findings(evidence), folders)


def _evidence(folder: Folder) -> Evidence:
    return Evidence(folder.path, folder.identity, (), folder.settings, folder.rows)


def knobs_of(name: str) -> list[str]:
    """The knobs in an arm's name, each as `KNOB=VALUE`."""
    knobs = name.removesuffix(")").partition(" (")[2]
    return knobs.split(", ") if knobs else []


def _method(role: str) -> str:
    """An arm's name without its knobs."""
    return role.partition(" (")[0]
