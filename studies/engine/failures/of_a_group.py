"""Failure modes that only trials paired by seed can show; undecided if there are too few pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import stats

from mim4dd.registry import knob
from studies.engine.failures.catalogue import FAILED, FAILURES, HEALTHY, UNDECIDED, Finding, Group
from studies.engine.statistics.contrasts import FEWEST_PAIRS, Decision, Judged
from studies.engine.wording import decimal, plural

STATES = {Decision.GAIN: HEALTHY, Decision.UNDECIDED: UNDECIDED}


@FAILURES.add("below_random")
@dataclass(frozen=True, kw_only=True)
class BelowRandom:
    """The set is worse to train on than random real images of the same number, seed and recipe.

    The value is the paired difference; it fails where the rule decides a loss.
    """

    scope: ClassVar[str] = "group"

    def __call__(self, group: Group) -> Finding | None:
        if group.over_random is None:
            return None
        lost = group.over_random.decision is Decision.LOSS
        state = FAILED if lost else STATES.get(group.over_random.decision, HEALTHY)
        return Finding(state, group.over_random.interval.mean, 0, _evidence(group.over_random, "points over random"))


@FAILURES.add("no_gain")
@dataclass(frozen=True, kw_only=True)
class NoGain:
    """The MI term adds nothing worth having to its base; the value is the paired difference.

    It fails where the rule decides a loss, or no difference beyond the margin.
    """

    scope: ClassVar[str] = "group"

    def __call__(self, group: Group) -> Finding | None:
        if group.gain is None:
            return None
        worthless = group.gain.decision in (Decision.LOSS, Decision.NEGLIGIBLE)
        state = FAILED if worthless else STATES.get(group.gain.decision, HEALTHY)
        evidence = _evidence(group.gain, "points over the base")
        return Finding(state, group.gain.interval.mean, group.gain.tested.margin, evidence)


@FAILURES.add("label_lost")
@dataclass(frozen=True, kw_only=True)
class LabelLost:
    """Synthetic images no longer show the class that their label says, as a network trained on clean data sees them.

    The value is the share of images whose label the clean reference network rejects, less that of the same seed's
    control without label noise. It fails where the rule decides more than the excess allowed, and is healthy where it
    decides less, or no difference. The evidence adds what memorising would be: whether networks trained on the set give
    flipped real images their wrong label more often than chance.
    """

    scope: ClassVar[str] = "group"
    excess: float = knob(0.1, low=0, high=1, help="over the clean control, as a fraction of the images")

    def __call__(self, group: Group) -> Finding | None:
        judged = group.rejected
        if judged is None:
            return None
        beyond = judged.decision is Decision.GAIN and judged.size == "beyond"
        healthy = judged.decision in (Decision.LOSS, Decision.NEGLIGIBLE) or judged.size == "below"
        what = "points more images rejected by the reference than in the control without label noise"
        evidence = _evidence(judged, what)
        if group.memorising is not None:
            evidence += _memorised(group.memorising, group.chance)
        state = FAILED if beyond else HEALTHY if healthy else UNDECIDED
        return Finding(state, judged.interval.mean, self.excess, evidence)


@FAILURES.add("overfits_architecture")
@dataclass(frozen=True, kw_only=True)
class OverfitsArchitecture:
    """Another network loses far more accuracy with the set than with random real images, which were made for none.

    The value is the change of accuracy from the network that the set was distilled on to another, less that of random
    real images of the same number and seed. It fails where the rule decides that the set loses there, that it loses
    more by more than the margin, and more than `ratio` times what random images lose; it is healthy where it decides
    that one of these is not so.
    """

    scope: ClassVar[str] = "group"
    ratio: float = knob(2.0, low=1, help="what is lost with the set by what is lost with random images")

    def __call__(self, group: Group) -> Finding | None:
        lost, doubled, change = group.transferred, group.doubled, group.changed
        if lost is None or doubled is None or change is None:
            return None
        beyond = lost.decision is Decision.LOSS and lost.size == "beyond"
        kept = lost.decision in (Decision.GAIN, Decision.NEGLIGIBLE) or lost.size == "below"
        within = doubled.decision in (Decision.GAIN, Decision.NEGLIGIBLE)
        # Where random images gain, a set that gains less than they do has lost nothing.
        loses = change.decision is Decision.LOSS
        stays = change.decision in (Decision.GAIN, Decision.NEGLIGIBLE)
        failed = beyond and doubled.decision is Decision.LOSS and loses
        state = FAILED if failed else HEALTHY if kept or within or stays else UNDECIDED
        evidence = _evidence(lost, "points less random images' change from network to network")
        if beyond and not loses:
            evidence += f"; {'its own change is no loss' if stays else 'whether it loses itself is undecided'}"
        elif beyond and not failed:
            evidence += f"; {'not' if within else 'undecided whether'} more than {self.ratio:g} times theirs"
        return Finding(state, lost.interval.mean, -lost.tested.margin, evidence)


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

    def __call__(self, group: Group) -> Finding | None:
        complete = group.accuracy[np.isfinite(group.accuracy).all(1)]
        sets, networks = complete.shape
        if sets < FEWEST_PAIRS or networks < 2:
            return Finding(
                UNDECIDED, None, self.ratio, f"{plural(sets, 'set')} of {plural(networks, 'network')} cannot decide"
            )
        within = float(complete.var(1, ddof=1).mean())
        between = float(networks * complete.mean(1).var(ddof=1))
        if within == 0:
            return Finding(UNDECIDED, None, self.ratio, "the networks trained on one set do not differ")
        value = float(np.sqrt(max(0.0, between / within - 1) / networks))
        quantiles = stats.f.ppf([0.975, 0.025], sets - 1, sets * (networks - 1))
        low, high = (float(np.sqrt(max(0.0, between / within / q - 1) / networks)) for q in quantiles)
        state = FAILED if low > self.ratio else HEALTHY if high <= self.ratio else UNDECIDED
        evidence = f"{value:.2g} [{low:.2g}, {high:.2g}] times, {sets} sets of {networks} networks"
        return Finding(state, value, self.ratio, evidence)


def _memorised(judged: Judged, chance: float) -> str:
    """Whether networks repeat wrong labels, as the last clause of the evidence; "" without data.

    chance: 1 / (C - 1), the largest share of flipped images to which networks that know nothing of the flips can give
    the wrong label: the more often they give the true label, the less often each wrong one. A larger share shows
    memorising; a smaller one does not exclude it.
    """
    if judged.interval.mean is None:
        return ""
    doubt = {Decision.GAIN: "memorises wrong labels", Decision.UNDECIDED: "undecided whether it memorises wrong labels"}
    verdict = doubt.get(judged.decision, "gives wrong labels no more often than chance")
    share = chance + judged.interval.mean
    return f"; {verdict}: {share:.0%} of flipped images get their wrong label, chance {chance:.0%}"


def _evidence(judged: Judged, what: str) -> str:
    """A contrast in points: mean, interval, `what`, n, and the reason if it could not be tested."""
    interval, why = judged.interval, judged.tested.why_not
    if interval.mean is None:
        return "no pair is left, because the trials failed or diverged"
    numbers = (interval.mean, interval.low, interval.high)
    mean, *bounds = (None if number is None else decimal(100 * number, "+.1f") for number in numbers)
    text = mean if None in bounds else f"{mean} [{bounds[0]}, {bounds[1]}]"
    return f"{text} {what}, n = {interval.n}{f' ({why})' if why else ''}"
