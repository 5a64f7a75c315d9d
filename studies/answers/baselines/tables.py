"""The tables of a baselines answer."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from studies.answers.baselines.compared import Compared, Contrast
from studies.engine.answer import Cell, Table, points
from studies.engine.statistics import Improvement, Interval, mean_interval


def tables(compared: Compared) -> tuple[Table, ...]:
    """Accuracy, gains of the term, what beats random, who beats whom, ranks, and the blocks they are over."""
    made = [
        _accuracy(compared),
        _contrasts(
            compared,
            compared.gains,
            "gains",
            "What the MI term adds to each base",
            ("with the term", "the base alone", "paired gain"),
        ),
        _contrasts(
            compared,
            compared.over_random,
            "random",
            "What each method adds to random real images",
            ("method", "floor", "paired difference"),
        ),
        _beats(compared),
        _ranks(compared),
        _blocks(compared),
    ]
    return tuple(table for table in made if table and table.rows)


def bounds(interval: Interval) -> str | None:
    """An accuracy's interval in percent; a t interval of few sets knows no bounds, an accuracy does."""
    if interval.low is None or interval.high is None:
        return None
    return f"[{100 * max(0.0, interval.low):.1f}, {100 * min(1.0, interval.high):.1f}]"


def chance(wins: Improvement) -> str | None:
    """P(A beats B) as `0.80 [0.28, 0.99]`."""
    if wins.value is None:
        return None
    if wins.low is None or wins.high is None:
        return f"{wins.value:.2f}"
    return f"{wins.value:.2f} [{wins.low:.2f}, {wins.high:.2f}]"


def _accuracy(compared: Compared) -> Table:
    found = compared.found
    rows: list[tuple[Cell, ...]] = []
    for i, arm in enumerate(found.arms):
        plain, balanced, parts = found.mean(i), mean_interval(compared.balanced[i]), found.spread(i)
        ended = {status: found.ended(i, status) for status in ("diverged", "error")}
        rows.append(
            (
                arm.role,
                None if plain.mean is None else round(100 * plain.mean, 1),
                bounds(plain),
                None if balanced.mean is None else round(100 * balanced.mean, 1),
                bounds(balanced),
                None if parts.sets is None else round(100 * parts.sets.value, 2),
                None if parts.networks is None else round(100 * parts.networks.value, 2),
                f"{plain.n} × {found.networks(i)} of {len(arm.trials)}",
                ended["diverged"],
                ended["error"],
                len(arm.trials) - len(found.rows(i)),
            )
        )
    return Table(
        "accuracy",
        "Every method under one recipe",
        (
            *("method", "test accuracy %", "95% interval", "balanced %", "95% interval of balanced"),
            *("between sets", "between networks", "sets × networks", "diverged", "failed", "missing"),
        ),
        tuple(rows),
        "Mean over the synthetic sets (seeds) that have an accuracy, 95% t interval over sets; balanced accuracy is "
        "the mean recall of the classes. Spreads are standard deviations in points, that between sets with network "
        "noise removed (in it where a set has one network). Diverged, failed and missing trials have no accuracy: a "
        "mean beside them is of the others.",
    )


def _contrasts(
    compared: Compared, contrasts: list[Contrast], name: str, title: str, columns: tuple[str, str, str]
) -> Table:
    rows = tuple(
        (
            compared.found.arms[one.a].role,
            compared.found.arms[one.b].role,
            points(one.difference),
            one.p,
            one.adjusted,
            chance(one.wins),
            one.difference.n,
            one.difference.lost,
            one.needed if not one.decided else None,
        )
        for one in contrasts
    )
    return Table(
        name,
        title,
        (*columns, "p", "p (Holm)", "P(better)", "pairs", "pairs lost", "pairs that would decide"),
        rows,
        "Test accuracy of sets of one seed, 95% t interval of the paired difference (not corrected for the number of "
        "rows); p of a paired t test, Holm over this table; P(better): share of pairs won, ties half, exact interval. "
        "Pairs that would decide: a forecast at level 0.05 over the number of rows, were mean and spread to stay as "
        "they are; it is as uncertain as they are.",
    )


def _beats(compared: Compared) -> Table:
    order = by_mean(compared)
    rows = tuple((compared.names[a], *(None if a == b else chance(compared.wins(a, b)) for b in order)) for a in order)
    return Table(
        "beats",
        "P(row beats column)",
        ("method", *(compared.names[b] for b in order)),
        rows,
        f"Share of the pairs of one seed that the row wins, ties half, with an exact 95% interval; {_pairs(compared)} "
        "Rows and columns by mean test accuracy. Not corrected for the number of cells.",
    )


def by_mean(compared: Compared) -> list[int]:
    """The methods for the eye, by mean test accuracy, those without any at the end."""
    means = [compared.found.mean(i).mean for i in range(len(compared.found.arms))]
    return sorted(range(len(means)), key=lambda i: -np.inf if (mean := means[i]) is None else mean, reverse=True)


def _pairs(compared: Compared) -> str:
    counts = {compared.wins(a, b).n for a in range(len(compared.found.arms)) for b in range(a) if compared.wins(a, b).n}
    if not counts:
        return "there is no whole pair."
    fewest, most = min(counts), max(counts)
    return f"{fewest} pairs each." if fewest == most else f"{fewest} to {most} pairs each."


def _ranks(compared: Compared) -> Table | None:
    ranks = compared.ranks
    if ranks.average is None:
        return None
    kept = [block for block in compared.blocks if np.isfinite(block.scores).all()]
    within = {block.label: _places(block.scores) for block in kept}
    rows: list[tuple[Cell, ...]] = []
    for place in sorted(range(ranks.methods), key=lambda i: ranks.average[i] if ranks.average else 0.0):
        cells = [f"{100 * block.scores[place]:.1f} ({within[block.label][place]:g})" for block in kept]
        rows.append((compared.names[compared.entrants[place]], round(ranks.average[place], 2), *cells))
    return Table(
        "ranks",
        "Average ranks over blocks",
        ("method", "average rank", *(block.label for block in kept)),
        tuple(rows),
        "Test accuracy in percent and, in brackets, the rank within the block (1 is best, ties share). Full data is "
        "no entrant. Within a block only the seeds count that every entrant has an accuracy for.",
    )


def _places(scores: np.ndarray) -> np.ndarray:
    return np.asarray(rankdata(-np.round(scores, 12)))


def _blocks(compared: Compared) -> Table | None:
    if len(compared.blocks) < 2:
        return None
    rows = tuple(
        (
            block.label,
            block.source,
            str(block.identity["hash"]),
            str(block.identity["protocol"]),
            f"{block.whole} of {block.seeds}",
            str(block.identity.get("git_commit") or "unknown"),
            block.differs or "nothing",
        )
        for block in compared.blocks
    )
    return Table(
        "blocks",
        "The blocks",
        ("block", "from", "study", "protocol", "seeds with every method", "commit", "differs from this study in"),
        rows,
        "A block is a data set with a number of images a class. Blocks of one data set share its images, and are less "
        "independent than data sets are.",
    )
