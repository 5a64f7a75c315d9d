"""The learning rates that validation chose for networks and sets, and what the choice is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from studies.answers.ledger import Ledger, Part
from studies.answers.results import Cell, Results, slug
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Claim, Quantity, Sentence, Table
from studies.engine.rows import Tuned
from studies.engine.statistics import mean_interval
from studies.engine.wording import plural


def rates_part(ledger: Ledger, arms: Sequence[str]) -> Part:
    """How often each rate is chosen on each network, and what that gains on average over some arms."""
    results = ledger.results
    chosen = {levels[0]: _chosen(results, arms, levels) for levels in results.levels}
    if not any(chosen.values()):
        return Part()
    gains = {levels[0]: _gain(ledger, arms, levels) for levels in results.levels}
    rates = sorted({one.lr for found in chosen.values() for one in found} | _tried(chosen))
    config = next(results.config(arm) for arm in arms if results.config(arm))
    own = float(config["evaluation.lr"])
    rows: list[dict[str, Entry]] = []
    for network, found in chosen.items():
        counts = Counter(one.lr for one in found)
        shares = {f"{rate:g}": counts[rate] or None for rate in rates}
        gain, _ = gains[network]
        rows.append({"network": network, "sets": len(found), **shares, f"gain over {own:g}": gain})
    table = Table.of(
        "rates",
        "Learning rates chosen on validation images",
        rows,
        "How many sets had each rate chosen for them, by the accuracy of one network a rate on at most 1,000 "
        "validation images; the recipe's own where several are as good. Gain: mean test accuracy at the chosen rate "
        f"less that at {own:g}, over all distilled sets and real images but full data, with its 95% t interval over "
        "seeds.",
    )
    others = sum(one.lr != own for found in chosen.values() for one in found)
    total = sum(len(found) for found in chosen.values())
    most = max(gains, key=lambda network: gains[network][0].mean or 0.0)
    gain, claim = gains[most]
    text = (
        f"Another learning rate than the recipe's {own:g} is chosen on validation in {others} of "
        f"{plural(total, 'case')} (a set on a network); over all sets it gains most on {most}, {gain}."
    )
    return Part([Sentence(text, (claim,))], [table])


def _chosen(results: Results, arms: Sequence[str], levels: tuple[str, ...]) -> list[Tuned]:
    """The chosen rates of every set on a network."""
    (factor,) = results.factors
    rows = (row.seen(factor.level(levels[0]).view) for arm in arms for row in results.rows(Cell(arm, levels)))
    return [row.tuned for row in rows if row.tuned is not None]


def _tried(chosen: dict[str, list[Tuned]]) -> set[float]:
    return {rate for found in chosen.values() for one in found for rate in one.tried}


def _gain(ledger: Ledger, arms: Sequence[str], levels: tuple[str, ...]) -> tuple[Quantity, Claim]:
    """The mean over arms of the accuracy at the chosen rate less that at the recipe's, by seed."""
    results = ledger.results
    differences = [results.sets(Cell(arm, levels), "tuned") - results.sets(Cell(arm, levels), "test") for arm in arms]
    complete = [row for row in np.array(differences).T if np.isfinite(row).any()]
    gain = mean_interval([float(np.nanmean(row)) for row in complete])
    what = f"accuracy at the chosen rate less that at the recipe's, mean over all sets, {levels[0]}"
    claim = ledger.estimate(slug("rate", *levels), what, gain.mean, gain.low, gain.high, gain.n, "points")
    return Quantity.of(gain, "points"), claim
