"""Failure modes that only trials paired over seeds can show; where n is too small they say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import stats

from mim4dd.registry import knob
from studies.engine.failures.catalogue import FAILED, FAILURES, HEALTHY, UNDECIDED, Finding, Pairs
from studies.engine.statistics import paired_interval, set_means

NO_PAIR = "no pair is left: the trials failed or diverged"


@FAILURES.add("below_random")
@dataclass(frozen=True, kw_only=True)
class BelowRandom:
    """The set is worse to train on than random real images of the same number, seed and recipe.

    The value is the paired difference; it fails where the whole 95% interval lies below 0.
    """

    scope: ClassVar[str] = "group"

    def __call__(self, pairs: Pairs) -> Finding | None:
        if pairs.random is None:
            return None
        found = paired_interval(set_means(pairs.accuracy[None])[0], pairs.random)
        if found.mean is None:
            return Finding(UNDECIDED, None, 0, NO_PAIR)
        if found.low is None or found.high is None:
            return Finding(UNDECIDED, found.mean, 0, f"{found.n} pair(s) give no interval")
        state = FAILED if found.high < 0 else HEALTHY if found.low > 0 else UNDECIDED
        evidence = (
            f"{_points(found.mean)} [{_points(found.low)}, {_points(found.high)}] points over random, n = {found.n}"
        )
        return Finding(state, found.mean, 0, evidence)


@FAILURES.add("no_gain")
@dataclass(frozen=True, kw_only=True)
class NoGain:
    """The MI term adds nothing worth having to its base; the value is the paired difference.

    It fails where the whole 95% interval lies below the margin and is undecided where the interval contains it.
    """

    scope: ClassVar[str] = "group"
    margin: float = knob(0.005, low=0, high=1, help="the smallest gain worth having, as a fraction")

    def __call__(self, pairs: Pairs) -> Finding | None:
        if pairs.base is None:
            return None
        found = paired_interval(set_means(pairs.accuracy[None])[0], pairs.base)
        if found.mean is None:
            return Finding(UNDECIDED, None, self.margin, NO_PAIR)
        if found.low is None or found.high is None:
            return Finding(UNDECIDED, found.mean, self.margin, f"{found.n} pair(s) give no interval")
        state = FAILED if found.high < self.margin else HEALTHY if found.low > self.margin else UNDECIDED
        evidence = (
            f"{_points(found.mean)} [{_points(found.low)}, {_points(found.high)}] points over the base, n = {found.n}"
        )
        return Finding(state, found.mean, self.margin, evidence)


@FAILURES.add("memorised_noise")
@dataclass(frozen=True, kw_only=True)
class MemorisedNoise:
    """Synthetic images show another class than their label says: wrong labels of the real ones were distilled.

    The value is the share of images whose label the clean reference network rejects, less that of the same seed's
    control without label noise; it fails where the whole 95% interval over seeds lies above the excess allowed. The
    evidence adds how often networks trained on the set give flipped real images their wrong label.
    """

    scope: ClassVar[str] = "group"
    excess: float = knob(0.1, low=0, high=1, help="over the clean control, as a fraction of the images")

    def __call__(self, pairs: Pairs) -> Finding | None:
        if pairs.rejected is None or pairs.rejected_clean is None:
            return None
        found = paired_interval(pairs.rejected, pairs.rejected_clean)
        if found.mean is None:
            return Finding(UNDECIDED, None, self.excess, NO_PAIR)
        if found.low is None or found.high is None:
            return Finding(UNDECIDED, found.mean, self.excess, f"{found.n} pair(s) give no interval")
        state = FAILED if found.low > self.excess else HEALTHY if found.high <= self.excess else UNDECIDED
        evidence = (
            f"the reference rejects {_points(found.mean)} points [{_points(found.low)}, {_points(found.high)}] more "
            f"images than of the control without label noise, n = {found.n}"
        )
        agreed = pairs.flipped_agreement
        if agreed is not None and np.isfinite(agreed).any():
            evidence += (
                f"; networks trained on them give {np.nanmean(agreed):.0%} of the flipped images the wrong label"
            )
        return Finding(state, found.mean, self.excess, evidence)


@FAILURES.add("unstable")
@dataclass(frozen=True, kw_only=True)
class Unstable:
    """The outcome hangs on the seed of the set far more than on that of the networks trained on it.

    The value is the standard deviation between synthetic sets, network noise removed, over that between networks of a
    set. With F = MS_sets / MS_networks and E networks a set, its square is (F - 1) / E, and F's distribution gives the
    exact 95% interval of a nested analysis of variance under normality.
    """

    scope: ClassVar[str] = "group"
    ratio: float = knob(3.0, above=0, help="spread over sets by spread over networks")

    def __call__(self, pairs: Pairs) -> Finding | None:
        whole = pairs.accuracy[np.isfinite(pairs.accuracy).all(1)]
        sets, networks = whole.shape
        if sets < 2 or networks < 2:
            return Finding(UNDECIDED, None, self.ratio, f"{sets} set(s) of {networks} network(s) show no spread")
        within = float(whole.var(1, ddof=1).mean())
        between = float(networks * whole.mean(1).var(ddof=1))
        if within == 0:
            return Finding(UNDECIDED, None, self.ratio, "networks of a set do not differ")
        value = float(np.sqrt(max(0.0, between / within - 1) / networks))
        quantiles = stats.f.ppf([0.975, 0.025], sets - 1, sets * (networks - 1))
        low, high = (float(np.sqrt(max(0.0, between / within / q - 1) / networks)) for q in quantiles)
        state = FAILED if low > self.ratio else HEALTHY if high <= self.ratio else UNDECIDED
        evidence = f"{value:.2g} [{low:.2g}, {high:.2g}] times, {sets} sets of {networks} networks"
        return Finding(state, value, self.ratio, evidence)


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"
