"""What choosing by noisy validation labels costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studies.answers.ledger import Part, Ruling
from studies.answers.parts.response import Levels, Response
from studies.answers.results import Cell, slug
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Quantity, Sentence, Table, points
from studies.engine.conditions import Condition
from studies.engine.statistics import Interval, paired_interval
from studies.engine.wording import plural

SPLITS = ("clean_validation", "noisy_validation")


@dataclass(frozen=True)
class Selection:
    """The arm that clean and the arm that noisy validation labels choose at one level.

    cost: test accuracy of the first less that of the second, paired over seeds; optimism: noisy less clean validation
    accuracy of the arm that the noisy labels chose; seeds: those that every candidate has.
    """

    levels: Levels
    clean: str
    noisy: str
    cost: Interval
    optimism: Ruling
    seeds: int


def selection_part(found: Response, conditions: Sequence[Condition]) -> Part:
    """Choosing between the base and what adds the MI term to it, by clean and by noisy labels, in words and a table."""
    made = _selections(found, [(one.label,) for one in conditions if one.noisy])
    if not made:
        return Part()
    differ = [one for one in made if one.clean != one.noisy]
    claims = []
    text = (
        "Choosing between the base alone and the base with the MI term on noisy instead of clean validation labels "
        f"changes the choice in {len(differ)} of {plural(len(made), 'condition')}"
    )
    if differ:
        most = max(differ, key=lambda one: one.cost.mean or 0.0)
        at, cost = " · ".join(most.levels), most.cost
        what = f"test accuracy of what clean labels choose less that of what noisy ones do, {at}"
        ends = (cost.mean, cost.low, cost.high, cost.n)
        claims.append(found.ledger.estimate(slug("selection", *most.levels), what, *ends, "points"))
        text += f" (the largest estimated cost is {points(most.cost)} of test accuracy, at {at})"
    worst = max(made, key=lambda one: abs(one.optimism.interval.mean or 0.0))
    text += (
        ". As an estimate of accuracy, noisy validation labels are furthest off at "
        f"{' · '.join(worst.levels)}, by {worst.optimism.points}{'' if worst.optimism.differs else ' (undecided)'}."
    )
    return Part([Sentence(text, (worst.optimism.claim, *claims))], [_table(found, made)])


def _selections(found: Response, noisy: Sequence[Levels]) -> list[Selection]:
    results = found.results
    candidates = [arm.key for arm in results.arms.values() if arm.role in ("base", "default", "variant")]
    chosen = []
    for levels in noisy:
        scores = [np.array([results.sets(Cell(arm, levels), split) for arm in candidates]) for split in SPLITS]
        # Compared on the seeds that all candidates have: a lucky seed less must not decide.
        whole = np.isfinite(np.concatenate(scores)).all(axis=0)
        if whole.any():
            clean, dirty = (candidates[int(values[:, whole].mean(axis=1).argmax())] for values in scores)
            optimism = scores[1][candidates.index(dirty)] - scores[0][candidates.index(dirty)]
            cell = Cell(dirty, levels)
            what = f"noisy less clean validation accuracy of {found.name(dirty)}{results.at(levels)}"
            contrast = results.contrast(
                slug("optimism", *levels), what, (1.0, cell), metric="noisy_validation", values=optimism
            )
            chosen.append((levels, clean, dirty, int(whole.sum()), contrast))
    rulings = found.ledger.family("noisy less clean validation", [contrast for *_, contrast in chosen])
    return [
        Selection(levels, clean, dirty, _cost(found, levels, clean, dirty), ruling, seeds)
        for (levels, clean, dirty, seeds, _), ruling in zip(chosen, rulings, strict=True)
    ]


def _cost(found: Response, levels: Levels, clean: str, noisy: str) -> Interval:
    first, second = (found.results.sets(Cell(arm, levels), found.metric) for arm in (clean, noisy))
    return paired_interval(first, second)


def _table(found: Response, made: Sequence[Selection]) -> Table:
    rows: list[dict[str, Entry]] = []
    for one in made:
        first, second = (
            Quantity.of(found.results.mean(Cell(arm, one.levels), found.metric), "percent")
            for arm in (one.clean, one.noisy)
        )
        rows.append(
            {
                "training data": " · ".join(one.levels),
                "chosen by clean labels": found.name(one.clean),
                "chosen by noisy labels": found.name(one.noisy),
                "test accuracy of the first": first,
                "of the second": second,
                "cost of noisy labels": Quantity.of(one.cost, "points"),
                "noisy less clean validation": one.optimism.starred,
                "seeds compared": one.seeds,
            }
        )
    return Table.of(
        "selection",
        "Choosing by clean and by noisy validation labels",
        rows,
        "The choice is between the base alone and the base with the MI term, by mean validation accuracy over the "
        "seeds that all of them have. Noisy validation labels carry the same noise as the training labels. Noisy less "
        "clean: the score on noisy labels of the method that they choose, less its score on clean labels (a star: "
        "decided, Holm-corrected over this column). The cost is an estimate, because the methods were chosen first.",
    )
