"""The transfer of sets in sentences, a table and figures; see `transfer`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from studies.answers.ledger import Part, Ruling
from studies.answers.parts.drawing import ANCHORS, INCHES_A_LETTER, INK, PAGE, bars, legend, panels, points_axis, styles
from studies.answers.parts.heat_maps import HeatCell, difference_cell
from studies.answers.parts.matrix import MARKED, grid_drawing
from studies.answers.parts.transfer import MODE, Transfer, Transfers, mean_of_others
from studies.answers.parts.wording import grouped, listed
from studies.answers.results import Cell
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Figure, Quantity, Sentence, Table
from studies.engine.arms import FLOOR
from studies.engine.failures import FAILED, FAILURES, UNDECIDED
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import plural

# Phrases for a change from network to network beside that of real images, by decision.
BESIDE = {
    Decision.LOSS: "they lose more with",
    Decision.GAIN: "they lose less with",
    Decision.NEGLIGIBLE: "no more than half a point apart with",
    Decision.UNDECIDED: "undecided for",
}
TERM = {
    Decision.GAIN: "larger for",
    Decision.LOSS: "smaller for",
    Decision.NEGLIGIBLE: "not different beyond half a point for",
    Decision.UNDECIDED: "undecided for",
}


def transfer_part(transfers: Transfers, fixed: Mapping[str, Ruling]) -> Part:
    """What is lost on other networks. fixed: by arm, the change to their mean less random images' at the fixed rate."""
    sentences = [
        _real(transfers),
        *(_beside(transfers, name) for name in (FLOOR, transfers.coreset) if name in transfers.results.arms),
        _at_fixed(transfers, fixed),
        _overfitting(transfers),
        _term(transfers),
    ]
    figures = [_figure(transfers), _map(transfers)]
    return Part(sentences, [_table(transfers, fixed), _each(transfers)], figures)


def _name(transfers: Transfers, arm: str) -> str:
    return transfers.results.arms[arm].name


def _real(transfers: Transfers) -> Sentence | None:
    """What real images lose from the study's own network to the mean of the others."""
    own = transfers.networks[0]
    case = next((case for case in transfers.means.values() if case.own == own), None)
    if case is None:
        return None
    real = [(FLOOR, case.of_random), (transfers.coreset, case.of_coreset)]
    told = [(_name(transfers, arm), ruling) for arm, ruling in real if ruling is not None]
    if not told:
        return None
    others = plural(len(transfers.others(own)), "other network")
    texts = [f"{ruling.points} with {name}" for name, ruling in told]
    return Sentence(
        f"From {own} to the mean of the {others}, the test accuracy of networks that are trained on real images "
        f"changes by {listed(texts)} (n = {told[0][1].interval.n}).",
        tuple(ruling.claim for _, ruling in told),
    )


def _beside(transfers: Transfers, real: str) -> Sentence | None:
    """How much more or less sets lose than real images do."""
    cases = [case for case in transfers.means.values() if _less(case, real) is not None]
    rulings = [ruling for case in cases if (ruling := _less(case, real)) is not None]
    if not rulings:
        return None
    names = [_name(transfers, case.arm) for case in cases]
    return Sentence(
        f"Compared with what they lose with {_name(transfers, real)} (Holm-corrected over "
        f"{plural(len(rulings), 'comparison')}), {grouped(rulings, names, BESIDE)}.",
        tuple(ruling.claim for ruling in rulings),
    )


def _at_fixed(transfers: Transfers, fixed: Mapping[str, Ruling]) -> Sentence | None:
    """Whether the recipe's own rate decides the same."""
    both = [(ruling, case.less_random) for arm, ruling in fixed.items() if (case := transfers.means[arm]).less_random]
    if not both:
        return None
    same = sum(ruling.decision is chosen.decision for ruling, chosen in both if chosen)
    return Sentence(
        f"At the recipe's own learning rate for every network, {same} of these {plural(len(both), 'decision')} "
        f"{'is' if same == 1 else 'are'} the same.",
        tuple(ruling.claim for ruling, _ in both),
    )


def _less(case: Transfer, real: str) -> Ruling | None:
    return case.less_random if real == FLOOR else case.less_coreset


def _overfitting(transfers: Transfers) -> Sentence | None:
    """The sets that overfit their network on the mean of the others, by the detector."""
    found = {case.arm: case for case in transfers.means.values() if case.finding is not None}
    if not found:
        return None
    ratio = FAILURES.build(MODE).ratio
    failed = [_name(transfers, arm) for arm, case in found.items() if case.finding and case.finding.state == FAILED]
    open_ = [arm for arm, case in found.items() if case.finding and case.finding.state == UNDECIDED]
    text = (
        f"By the failure mode {MODE} (the set loses, more than random real images do and more than {ratio:g} times "
        f"as much), {len(failed) or 'none'} of the {plural(len(found), 'method')} overfit their network on the mean of "
        f"the others{f': {listed(failed)}' if failed else ''}"
    )
    text += f"; {len(open_)} are undecided." if len(open_) > 1 else "; 1 is undecided." if open_ else "."
    rulings = [ruling for case in found.values() for ruling in (case.less_random, case.doubled) if ruling]
    return Sentence(text, tuple(ruling.claim for ruling in rulings))


def _term(transfers: Transfers) -> Sentence | None:
    """Whether the MI term gains as much on other networks as on its own."""
    if not transfers.terms:
        return None
    rulings = list(transfers.terms.values())
    names = [_name(transfers, arm) for arm in transfers.terms]
    return Sentence(
        "The gain of the MI term over its base on the other networks, compared with its gain on the network that it "
        f"was distilled on, is {grouped(rulings, names, TERM)}.",
        tuple(ruling.claim for ruling in rulings),
    )


def _table(transfers: Transfers, fixed: Mapping[str, Ruling]) -> Table:
    results, metric = transfers.results, transfers.metric
    rows: list[dict[str, Entry]] = []
    for case in transfers.means.values():
        own = results.mean(Cell(case.arm, (case.own,)), metric)
        others = mean_of_others(results, case.arm, case.own, metric)
        rows.append(
            {
                "method": _name(transfers, case.arm),
                "on its own": Quantity.of(own, "percent"),
                "on others": None if others is None else Quantity(others, unit="percent"),
                "change": case.change.quantity,
                "random images": case.of_random.quantity if case.of_random else None,
                "coreset": case.of_coreset.quantity if case.of_coreset else None,
                "less random": case.less_random.starred if case.less_random else None,
                "less coreset": case.less_coreset.starred if case.less_coreset else None,
                MODE: case.finding.state if case.finding else None,
                "less random, fixed rate": fixed[case.arm].starred if case.arm in fixed else None,
            }
        )
    return Table.of(
        "transfer",
        "What sets lose on other networks",
        rows,
        f"Mean test accuracy on the network that a set was distilled on ({transfers.networks[0]}, but where the name "
        "tells another) and on all others; change: from the first to the second, beside that of random real images "
        "and of the coreset between the same networks, paired by seed, with pointwise 95% t intervals. Less random, "
        "less coreset: the change less theirs; below 0, more is lost. A star marks a decided difference "
        "(Holm-corrected over its column). Fixed rate: every network at the recipe's own learning rate.",
    )


def _each(transfers: Transfers) -> Table:
    """The change to each network less random images'."""
    rows: list[dict[str, Entry]] = []
    for arm in transfers.arms:
        cells = {network: transfers.each.get((arm, network)) for network in transfers.networks}
        shown = {
            network: None if case is None or case.less_random is None else case.less_random.starred
            for network, case in cells.items()
        }
        if any(shown.values()):
            rows.append({"method": _name(transfers, arm), **shown})
    return Table.of(
        "each_network",
        "What sets lose on each network, less what random images lose",
        rows,
        "Change of test accuracy from the network that a set was distilled on to each other one, less the change of "
        "random real images, in points, paired by seed, with pointwise 95% t intervals; a star marks a decided "
        "difference (Holm-corrected over the methods of a network). Below 0: more is lost.",
    )


def _figure(transfers: Transfers) -> Figure | None:
    """Every set's change to the mean of the others, with those of real images between the same networks."""
    cases = [case for case in transfers.means.values() if case.change.interval.mean is not None]
    if not cases:
        return None
    names = [_name(transfers, case.arm) for case in cases]
    wide = INCHES_A_LETTER * max(map(len, names))
    drawing, (axes,) = panels(1, 1, (PAGE, max(2.2, 0.26 * len(cases) + 1.1)))
    look, seen = styles(transfers.results.arms), set[str]()
    for y, case in enumerate(cases):
        style = look[case.arm]
        bars(axes, np.array([float(y)]), [case.change.interval], style, "", across=True)
        for shift, arm, ruling in ((-0.25, FLOOR, case.of_random), (0.25, transfers.coreset, case.of_coreset)):
            if ruling is not None and ruling.interval.mean is not None and arm != case.arm:
                own = ANCHORS[FLOOR] if arm == FLOOR else look[arm]
                label = "" if arm in seen else f"{_name(transfers, arm)}, between the same networks"
                bars(axes, np.array([y + shift]), [ruling.interval], own, label, across=True)
                seen.add(arm)
    axes.axvline(0, color=INK, lw=0.8)
    axes.set_yticks(range(len(cases)), names)
    axes.invert_yaxis()
    points_axis(axes, "x")
    axes.set_xlabel("change of test accuracy to the mean of the other networks, points")
    axes.margins(y=0.6 / max(len(cases), 4))
    if seen:
        legend(drawing, axes, most=2)
    drawing.set_size_inches(max(PAGE, wide + 4), drawing.get_size_inches()[1])
    return Figure(
        "transfer",
        "From the network of a set to others",
        "Change of mean test accuracy from the network that a set was distilled on to the mean of all others, with "
        "pointwise 95% t intervals over sets; above and below it, where they were run, that of random real images and "
        "of the coreset between the same networks. Filled: with the MI term.",
        drawing,
    )


def _map(transfers: Transfers) -> Figure | None:
    """The change to each network less random images', as a heat map."""
    arms = [
        arm
        for arm in transfers.arms
        if any(case.less_random for (key, _), case in transfers.each.items() if key == arm)
    ]
    if not arms:
        return None
    cells = [[_cell(transfers, arm, network) for network in transfers.networks] for arm in arms]
    return Figure(
        "each_network",
        "What sets lose on each network, less what random images lose",
        "Change of test accuracy from the network that a set was distilled on (empty) to each other one, less that of "
        f"random real images, in points with its pointwise 95% interval; {MARKED}. Orange: more is lost than with "
        "random images.",
        grid_drawing([_name(transfers, arm) for arm in arms], transfers.networks, cells, signed=True),
    )


def _cell(transfers: Transfers, arm: str, network: str) -> HeatCell:
    case = transfers.each.get((arm, network))
    return HeatCell(text="") if case is None or case.less_random is None else difference_cell(case.less_random)
