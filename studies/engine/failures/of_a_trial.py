"""Failure modes that the record of a single trial shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from mim4dd.registry import knob
from studies.engine.failures.catalogue import FAILED, FAILURES, HEALTHY, Array, Finding
from studies.engine.failures.groups import head_and_tail
from studies.engine.failures.measures import term_measures

History = Sequence[Mapping[str, float]]
Result = Mapping[str, Any]


@FAILURES.add("diverged")
@dataclass(frozen=True, kw_only=True)
class Diverged:
    """A loss, a gradient or a pixel was not finite; the value is the iteration at which."""

    scope: ClassVar[str] = "trial"

    def __call__(self, result: Result, history: History) -> Finding | None:
        if "diverged_at" not in result:
            return None
        step = result["diverged_at"]
        if step < 0:
            return Finding(HEALTHY, None, 0, "every loss, gradient and pixel was finite")
        return Finding(FAILED, float(step), 0, str(result["reason"]))


@FAILURES.add("critic_saturated")
@dataclass(frozen=True, kw_only=True)
class CriticSaturated:
    """The critic's softmax is all on one image (peaked: tau too small) or the same everywhere (flat: too large).

    The value is the entropy of each anchor's softmax over its contrasts, divided by the log of their number, averaged
    over anchors, blocks and the records of the run.
    """

    scope: ClassVar[str] = "term"
    low: float = knob(0.02, low=0, high=1, help="below it the critic is peaked")
    high: float = knob(0.98, low=0, high=1, help="above it the critic is flat")

    def __call__(self, result: Result, history: History) -> Finding | None:
        value = _mean(history, "critic/entropy")
        if value is None:
            return None
        side = "peaked" if value < self.low else "flat" if value > self.high else ""
        peaked, flat = _mean(history, "critic/share_peaked"), _mean(history, "critic/share_flat")
        evidence = f"contrast entropy {value:.3f}; {peaked:.0%} of the anchors peaked, {flat:.0%} flat"
        threshold = self.low if value < (self.low + self.high) / 2 else self.high
        return Finding(FAILED if side else HEALTHY, value, threshold, evidence, side)


@FAILURES.add("term_dominant")
@dataclass(frozen=True, kw_only=True)
class TermDominant:
    """The MI term's gradient on the pixels drowns the base's: the images follow the term alone.

    The value is the median over the run of the ratio of the two norms, lambda included.
    """

    scope: ClassVar[str] = "term"
    ratio: float = knob(10.0, above=0, help="of the term's gradient norm to the base's: above it the term dominates")

    def __call__(self, result: Result, history: History) -> Finding | None:
        value = term_measures(history).get("gradient_ratio")
        if value is None:
            return None
        return Finding(FAILED if value > self.ratio else HEALTHY, value, self.ratio, _of_the_base(value))


@FAILURES.add("term_idle")
@dataclass(frozen=True, kw_only=True)
class TermIdle:
    """The MI term's gradient on the pixels is lost in the base's: the images follow the base alone.

    The value is the median over the run of the ratio of the two norms, lambda included.
    """

    scope: ClassVar[str] = "term"
    ratio: float = knob(0.1, low=0, help="of the term's gradient norm to the base's: below it the term is idle")

    def __call__(self, result: Result, history: History) -> Finding | None:
        value = term_measures(history).get("gradient_ratio")
        if value is None:
            return None
        return Finding(FAILED if value < self.ratio else HEALTHY, value, self.ratio, _of_the_base(value))


@FAILURES.add("representation_collapse")
@dataclass(frozen=True, kw_only=True)
class RepresentationCollapse:
    """The classes' synthetic images look alike to a trained network: their embeddings use few directions.

    The value is the effective rank of the classes' mean embeddings in the clean reference network; the rule is a
    fraction of the number of classes.
    """

    scope: ClassVar[str] = "trial"
    fraction: float = knob(0.5, above=0, high=1, help="of the classes: a lower rank is a collapse")

    def __call__(self, result: Result, history: History) -> Finding | None:
        value = result.get("measures", {}).get("effective_rank")
        if value is None:
            return None
        threshold = self.fraction * len(result["train_counts"])
        cosine = result["measures"]["mean_cosine"]
        evidence = f"effective rank {value:.1f}, mean pairwise cosine {cosine:.2f}"
        return Finding(FAILED if value < threshold else HEALTHY, value, threshold, evidence)


@FAILURES.add("class_collapse")
@dataclass(frozen=True, kw_only=True)
class ClassCollapse:
    """Some class is recognised less than half as often as by chance; the value is the number of such classes."""

    scope: ClassVar[str] = "trial"
    fraction: float = knob(0.5, above=0, high=1, help="of chance: a lower recall is a collapse")

    def __call__(self, result: Result, history: History) -> Finding | None:
        recall = _recall(result)
        if recall is None:
            return None
        limit = self.fraction / len(recall)
        lost = [int(label) for label in np.flatnonzero(recall < limit)]
        evidence = f"recall below {limit:.1%} in class {', '.join(map(str, lost))}" if lost else "no class is lost"
        return Finding(FAILED if lost else HEALTHY, float(len(lost)), 0, evidence)


@FAILURES.add("tail_collapse")
@dataclass(frozen=True, kw_only=True)
class TailCollapse:
    """Rare classes are lost: their recall is a small fraction of the frequent classes'.

    The value is mean recall of the tail third of the classes by training images (of their true class) over that of the
    head third; only where the head has at least twice the images of the tail.
    """

    scope: ClassVar[str] = "trial"
    fraction: float = knob(0.25, above=0, high=1, help="of the head's recall: a lower tail is a collapse")

    def __call__(self, result: Result, history: History) -> Finding | None:
        recall = _recall(result)
        if recall is None:
            return None
        parts = head_and_tail(result["clean_counts"])
        if parts is None:
            return None
        if any(np.isnan(recall[part]).all() for part in parts):
            return None  # no validation image of any of these classes
        head, tail = (float(np.nanmean(recall[part])) for part in parts)
        if head == 0:
            return Finding(FAILED, 0.0, self.fraction, "the head's recall is 0 already")
        value = tail / head
        evidence = f"recall {tail:.1%} in the tail third of the classes, {head:.1%} in the head third"
        return Finding(FAILED if value < self.fraction else HEALTHY, value, self.fraction, evidence)


@FAILURES.add("pixel_blowup")
@dataclass(frozen=True, kw_only=True)
class PixelBlowup:
    """Pixels have left the range of real ones by more than 3 standard deviations; the value is their share."""

    scope: ClassVar[str] = "trial"
    share: float = knob(0.05, low=0, high=1, help="of the pixels")

    def __call__(self, result: Result, history: History) -> Finding | None:
        value = result.get("measures", {}).get("outside_share")
        if value is None:
            return None
        evidence = f"{value:.1%} of the pixels lie more than 3 standard deviations outside the clean range"
        return Finding(FAILED if value > self.share else HEALTHY, value, self.share, evidence)


def _recall(result: Result) -> Array | None:
    """Mean validation recall over networks, [C]; NaN for a class without validation images, None without recall."""
    recall = result.get("validation_recall")
    if not recall:
        return None
    return np.array(recall, dtype=float).mean(0)


def _of_the_base(ratio: float) -> str:
    return f"the MI term's pixel gradient is {ratio:.3g} times the base's"


def _mean(history: History, key: str) -> float | None:
    values = [record[key] for record in history if key in record and np.isfinite(record[key])]
    return float(np.mean(values)) if values else None
