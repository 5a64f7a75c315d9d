"""What sets lose on other networks than the one they were distilled on, beside what real images lose there.

Every contrast is of changes of accuracy from a set's own network to another one, or to the mean of all others. Random
real images and a coreset were made for no network: their change is the other networks' doing, and the difference from
it the set's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studies.answers.ledger import Ledger, Ruling
from studies.answers.results import Cell, Contrast, Results, slug
from studies.engine.arms import FLOOR
from studies.engine.failures import FAILURES, Finding, Group
from studies.engine.names import network_name

MODE = "overfits_architecture"
# In ids, in place of one network: the mean of all but a set's own.
OTHERS = "others"
Weights = tuple[tuple[float, Cell], ...]


@dataclass(frozen=True)
class Transfer:
    """An arm's change of accuracy from its own network to the network `other`, or to the mean of the others (OTHERS).

    change: its own; of_random, of_coreset: that of real images between the same networks; less_random, less_coreset:
    the differences from it; doubled: less so many times that of random images as the detector allows; each None without
    such images. finding: of the detector.
    """

    arm: str
    own: str
    other: str
    change: Ruling
    of_random: Ruling | None = None
    less_random: Ruling | None = None
    doubled: Ruling | None = None
    of_coreset: Ruling | None = None
    less_coreset: Ruling | None = None
    finding: Finding | None = None


class Transfers:
    """The transfer of every set, judged.

    arms: keys of distilled sets and coresets, in order; coreset: the key of the one to compare with, "" for none.
    means: by arm, to the mean of all other networks; each: by (arm, level), to every other one, a family each. terms:
    by arm with the MI term, its gain on the others less that on its own network.
    """

    def __init__(self, ledger: Ledger, arms: Sequence[str], coreset: str, metric: str) -> None:
        self.ledger, self.results, self.metric, self.coreset = ledger, ledger.results, metric, coreset
        self.arms = [arm for arm in arms if arm in self.results.arms]
        self.networks = [levels[0] for levels in self.results.levels]
        self.own = {arm.key: network_name(arm.knobs) or self.networks[0] for arm in self.results.arms.values()}
        self.means = {arm: found for (arm, _), found in self._judged(OTHERS).items()}
        self.each = {case: found for other in self.networks for case, found in self._judged(other).items()}
        with_term = [arm for arm in self.arms if self.results.arms[arm].control]
        judged = ledger.family(
            "the term's gain on the other networks, less that on its own", [self._term(arm) for arm in with_term]
        )
        self.terms = dict(zip(with_term, judged, strict=True))

    def at(self, metric: str, name: str) -> dict[str, Ruling]:
        """By another metric, each arm's change to the mean of the others less that of random real images, by arm."""
        if FLOOR not in self.results.arms:
            return {}
        contrasts = [self._contrast(arm, self.own[arm], OTHERS, FLOOR, 1, metric) for arm in self.arms]
        return dict(zip(self.arms, self.ledger.rest(name, contrasts), strict=True))

    def others(self, own: str) -> list[str]:
        """The networks besides one."""
        return [network for network in self.networks if network != own]

    def group(self, arm: str, network: str, over_random: Ruling | None, gain: Ruling | None) -> Group:
        """What the detectors of groups read of an arm on a network. over_random, gain: its rulings there."""
        case = self.each.get((arm, network))
        return Group(
            accuracy=self.results.networks_of(Cell(arm, (network,)), self.metric),
            over_random=over_random.judged if over_random else None,
            gain=gain.judged if gain else None,
            transferred=case.less_random.judged if case and case.less_random else None,
            doubled=case.doubled.judged if case and case.doubled else None,
            changed=case.change.judged if case else None,
        )

    def _judged(self, other: str) -> dict[tuple[str, str], Transfer]:
        """Every arm's transfer to a network, or to the mean of the others; each kind of comparison is a family."""
        cases = [(arm, other) for arm in self.arms if self.own[arm] != other]
        what = f"to {'the mean of the other networks' if other == OTHERS else other}"
        random = FLOOR if FLOOR in self.results.arms else ""
        ratio = float(FAILURES.build(MODE).ratio)
        changes = self._family(f"change {what}", cases, "", 0)
        of_random = self._alone(f"change of random real images {what}", cases, random)
        less_random = self._family(f"{what}, less random real images", cases, random, 1)
        doubled = self._family(f"{what}, less {ratio:g} times random real images", cases, random, ratio)
        of_coreset = self._alone(f"change of the coreset {what}", cases, self.coreset)
        less_coreset = self._family(f"{what}, less the coreset", cases, self.coreset, 1)
        found = {}
        for case in cases:
            lost, twice = less_random.get(case), doubled.get(case)
            group = Group(
                accuracy=self.results.networks_of(Cell(case[0], (self.own[case[0]],)), self.metric),
                transferred=lost.judged if lost else None,
                doubled=twice.judged if twice else None,
                changed=changes[case].judged,
            )
            own = self.own[case[0]]
            found[case] = Transfer(
                arm=case[0],
                own=own,
                other=case[1],
                change=changes[case],
                of_random=of_random.get((own, case[1])),
                less_random=lost,
                doubled=twice,
                of_coreset=of_coreset.get((own, case[1])),
                less_coreset=less_coreset.get(case),
                finding=FAILURES.build(MODE)(group),
            )
        return found

    def _family(
        self, name: str, cases: Sequence[tuple[str, str]], than: str, times: float
    ) -> dict[tuple[str, str], Ruling]:
        """The changes of arms, less so many times those of real images (`than`, "" for none) there."""
        if times and not than:
            return {}
        compared = [case for case in cases if case[0] != than]
        contrasts = [self._contrast(arm, self.own[arm], other, than, times) for arm, other in compared]
        return dict(zip(compared, self.ledger.rest(name, contrasts), strict=True))

    def _alone(self, name: str, cases: Sequence[tuple[str, str]], arm: str) -> dict[tuple[str, str], Ruling]:
        """The changes of real images between the networks that arms change between, by (own, other)."""
        if not arm:
            return {}
        between = list(dict.fromkeys((self.own[case], other) for case, other in cases))
        contrasts = [self._contrast(arm, own, other, "", 0) for own, other in between]
        return dict(zip(between, self.ledger.rest(name, contrasts), strict=True))

    def _contrast(self, arm: str, own: str, other: str, than: str, times: float, metric: str = "") -> Contrast:
        """The change of an arm from its own network to another, less so many times that of the arm `than`."""
        weights, name = self._change(arm, own, other), self.results.arms[arm].name
        to = f"the mean of the {len(self.others(own))} other networks" if other == OTHERS else other
        what, kind = f"change of {name} from {own} to {to}", ["transfer", arm, own, other]
        if times:
            weights += tuple((-times * weight, cell) for weight, cell in self._change(than, own, other))
            what += f", less {'' if times == 1 else f'{times:g} times '}that of {self.results.arms[than].name}"
            kind.append(f"less-{'' if times == 1 else f'{times:g}-times-'}{than}")
        return self.results.contrast(slug(*kind), what, *weights, metric=metric or self.metric)

    def _change(self, arm: str, own: str, other: str) -> Weights:
        others = self.others(own) if other == OTHERS else [other]
        share = 1 / len(others)
        return (*((share, Cell(arm, (network,))) for network in others), (-1.0, Cell(arm, (own,))))

    def _term(self, arm: str) -> Contrast:
        """The gain of the MI term on the other networks less that on the network it was distilled on."""
        control, own = self.results.arms[arm].control, self.own[arm]
        weights = self._change(arm, own, OTHERS)
        weights += tuple((-weight, cell) for weight, cell in self._change(control, own, OTHERS))
        what = f"gain of {self.results.arms[arm].name} on the other networks, less that on {own}"
        return self.results.contrast(slug("transfer-of-gain", arm), what, *weights, metric=self.metric)


def mean_of_others(results: Results, arm: str, own: str, metric: str) -> float | None:
    """The mean accuracy of an arm on all networks but its own; None where one has none."""
    means = [results.mean(Cell(arm, levels), metric).mean for levels in results.levels if levels[0] != own]
    known = [mean for mean in means if mean is not None]
    return sum(known) / len(known) if known and len(known) == len(means) else None
