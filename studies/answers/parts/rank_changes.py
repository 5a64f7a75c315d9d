"""Whether the methods keep their order from one level of a factor to others, such as from network to network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import rankdata

from studies.answers.ledger import Ledger, Part, Ruling
from studies.answers.parts.drawing import INCHES_A_LETTER, PAGE, panels, styles
from studies.answers.parts.wording import listed
from studies.answers.results import Cell, Results, slug
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Claim, Figure, Quantity, Sentence, Table
from studies.engine.rows import Array
from studies.engine.statistics import Interval, mean_interval
from studies.engine.statistics.agreement import concordance
from studies.engine.wording import decimal, plural

# Of so many pairs that change places each is named.
NAMED = 3


@dataclass(frozen=True)
class Order:
    """The order of the methods at a level, beside that at the reference.

    tau: Kendall's, by seed; decided: pairs of methods whose order is decided at both levels; reversed: those of them,
    (better at the reference, better here), in opposite orders.
    """

    level: str
    tau: Interval
    claim: Claim
    decided: int
    reversed: tuple[tuple[str, str], ...]


def rank_part(ledger: Ledger, arms: Sequence[str], metric: str) -> Part:
    """Ranks, their agreement with those at the reference, and the pairs that decidedly change places."""
    results, levels = ledger.results, [levels[0] for levels in ledger.results.levels]
    if len(arms) < 2 or len(levels) < 2:
        return Part()
    wins = {level: _pairs(ledger, arms, level, metric) for level in levels}
    orders = [_order(ledger, arms, level, metric, wins) for level in levels[1:]]
    chance = _by_networks(ledger, arms, metric)
    return Part(
        [_sentence(results, orders, chance)],
        [_agreement(results, orders), _ranks(results, arms, metric)],
        [_figure(results, arms, metric)],
    )


def _pairs(ledger: Ledger, arms: Sequence[str], level: str, metric: str) -> list[Ruling]:
    """Every pair of methods at a level, judged."""
    contrasts = [ledger.results.against(a, b, (level,), metric) for a, b in combinations(arms, 2)]
    return ledger.rest(f"pairs of methods on {level}", contrasts)


def _order(ledger: Ledger, arms: Sequence[str], level: str, metric: str, wins: dict[str, list[Ruling]]) -> Order:
    results, reference = ledger.results, ledger.results.reference[0]
    first, here = (_sets(results, arms, at, metric) for at in (reference, level))
    tau = mean_interval([concordance(one, other) for one, other in zip(first, here, strict=True)])
    claim = ledger.estimate(
        slug("tau", level),
        f"Kendall's tau of {plural(len(arms), 'method')} between {reference} and {level}",
        *(tau.mean, tau.low, tau.high, tau.n),
        "share",
    )
    both = [
        (at_first, at_here)
        for at_first, at_here in zip(wins[reference], wins[level], strict=True)
        if at_first.differs and at_here.differs
    ]
    swapped = [_sorted(one) for one, other in both if one.decision is not other.decision]
    return Order(level, tau, claim, len(both), tuple(swapped))


def _sorted(ruling: Ruling) -> tuple[str, str]:
    """The arms of a ruling, the better first."""
    (_, a), (_, b) = ruling.contrast.terms
    better = (ruling.interval.mean or 0.0) > 0
    return (a.arm, b.arm) if better else (b.arm, a.arm)


def _sets(results: Results, arms: Sequence[str], level: str, metric: str) -> Array:
    """Accuracies at a level, [seeds, arms]."""
    return np.array([results.sets(Cell(arm, (level,)), metric) for arm in arms]).T


def _by_networks(ledger: Ledger, arms: Sequence[str], metric: str) -> tuple[Interval, Claim] | None:
    """Kendall's tau between two halves of the networks of the reference: what their initial weights alone do."""
    results, reference = ledger.results, ledger.results.reference
    scores = np.array([results.networks_of(Cell(arm, reference), metric) for arm in arms])  # [arms, seeds, networks]
    if scores.shape[2] < 2:
        return None
    first, second = scores[:, :, 0::2].mean(axis=2), scores[:, :, 1::2].mean(axis=2)
    tau = mean_interval([concordance(one, other) for one, other in zip(first.T, second.T, strict=True)])
    what = f"Kendall's tau of {plural(len(arms), 'method')} between two halves of the networks of {reference[0]}"
    numbers = (tau.mean, tau.low, tau.high, tau.n)
    return tau, ledger.estimate(slug("tau", "halves", *reference), what, *numbers, "share")


def _sentence(results: Results, orders: Sequence[Order], chance: tuple[Interval, Claim] | None) -> Sentence | None:
    known = [order for order in orders if order.tau.mean is not None]
    if not known:
        return None
    least, most = (pick(known, key=lambda order: order.tau.mean or 0.0) for pick in (min, max))
    text = (
        f"Between {results.reference[0]} and the other networks, Kendall's tau of the methods' order is from "
        f"{_tau(least)} ({least.level}) to {_tau(most)} ({most.level})"
    )
    claims = [least.claim, most.claim]
    if chance is not None and chance[0].mean is not None:
        text += f"; between two halves of the networks of {results.reference[0]} it is {decimal(chance[0].mean, '.2f')}"
        claims.append(chance[1])
    swapped = [(order.level, pair) for order in orders for pair in order.reversed]
    if not swapped:
        return Sentence(f"{text}. No pair of methods is decided in opposite orders.", tuple(claims))
    told = [
        f"{results.arms[better].name} before {results.arms[worse].name} becomes the reverse on {level}"
        for level, (better, worse) in swapped[:NAMED]
    ]
    more = f", and {len(swapped) - NAMED} more (in the table)" if len(swapped) > NAMED else ""
    return Sentence(f"{text}. Decided in opposite orders: {listed(told)}{more}.", tuple(claims))


def _tau(order: Order) -> str:
    return decimal(order.tau.mean or 0.0, ".2f")


def _agreement(results: Results, orders: Sequence[Order]) -> Table:
    rows: list[dict[str, Entry]] = [
        {
            "network": order.level,
            "Kendall's tau": Quantity.of(order.tau, "share"),
            "pairs decided on both": order.decided,
            "of them in opposite orders": len(order.reversed),
            "these": "; ".join(
                f"{results.arms[better].name} > {results.arms[worse].name} on {results.reference[0]}"
                for better, worse in order.reversed
            )
            or None,
        }
        for order in orders
    ]
    return Table.of(
        "order",
        "Do the methods keep their order?",
        rows,
        f"Agreement of the methods' order with that on {results.reference[0]}: Kendall's tau by seed (1: the same "
        "order, 0: none, -1: the reverse) with its 95% t interval over seeds; and pairs of methods of which one is "
        "decided to be better on both networks (Holm-corrected over the pairs of a network).",
    )


def _order_of(results: Results, arms: Sequence[str], metric: str) -> Array:
    """Ranks by mean accuracy, 1 the best, [levels, arms]; NaN for an arm without one."""
    ranks = []
    for levels in results.levels:
        found = (results.mean(Cell(arm, levels), metric).mean for arm in arms)
        means = np.array([np.nan if mean is None else mean for mean in found])
        ranks.append(rankdata(-np.round(means, 12), nan_policy="omit"))
    return np.array(ranks)


def _ranks(results: Results, arms: Sequence[str], metric: str) -> Table:
    order = _order_of(results, arms, metric)
    networks = [levels[0] for levels in results.levels]
    rows: list[dict[str, Entry]] = []
    for k in np.argsort(order[0], kind="stable"):
        ranks = {
            name: None if np.isnan(rank) else float(rank) for name, rank in zip(networks, order[:, k], strict=True)
        }
        rows.append({"method": results.arms[arms[k]].name, **ranks})
    return Table.of(
        "ranks",
        "Ranks of the methods on each network",
        rows,
        "Rank of the mean test accuracy, 1 the best, among the methods that were distilled on the study's own network "
        "and real images.",
    )


def _figure(results: Results, arms: Sequence[str], metric: str) -> Figure | None:
    """Ranks from network to network, a line for each method."""
    order, networks = _order_of(results, arms, metric), [levels[0] for levels in results.levels]
    if np.isnan(order).all():
        return None
    names, look = [results.arms[arm].name for arm in arms], styles(results.arms)
    sides = 2 * INCHES_A_LETTER * max(map(len, names))
    below = 0.6 * INCHES_A_LETTER * max(map(len, networks))
    drawing, (axes,) = panels(1, 1, (max(PAGE, 0.75 * len(networks) + sides), 0.26 * len(arms) + below + 0.7))
    for k, arm in enumerate(arms):
        style = look[arm]
        axes.plot(
            range(len(networks)), order[:, k], color=style.colour, marker=style.marker, linestyle=style.line,
            markerfacecolor=style.face, lw=1.3,
        )  # fmt: skip
    for side, at in (("left", 0), ("right", -1)):
        known = [k for k in np.argsort(order[at], kind="stable") if np.isfinite(order[at, k])]
        place = axes if side == "left" else axes.secondary_yaxis("right")
        place.set_yticks([order[at, k] for k in known], [names[k] for k in known])
        place.tick_params(length=0, labelsize=8)
        place.spines[:].set_visible(False)
    axes.set_xticks(range(len(networks)), networks, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_ylim(len(arms) + 0.5, 0.5)
    axes.grid(axis="x", lw=0.4)
    return Figure(
        "ranks",
        "The order of the methods on each network",
        "Rank of the mean test accuracy on each network, the best above; a line for each method. Ranks show no "
        "distances: neighbours may not differ (the table of pairs tells which do).",
        drawing,
    )
