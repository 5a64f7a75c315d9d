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
    """The arms that clean and that noisy validation labels choose under one condition.

    clean, noisy: keys of the chosen arms; cost: test accuracy of `clean` less that of `noisy`, paired over seeds;
    optimism: noisy less clean validation accuracy of the arm `noisy`; seeds: the number that every candidate has.
    """

    levels: Levels
    clean: str
    noisy: str
    cost: Interval
    optimism: Ruling
    seeds: int


def selection_part(response: Response, conditions: Sequence[Condition]) -> Part:
    """A sentence and a table on choosing the base or an arm with the MI term by clean and by noisy labels."""
    selections = _selections(response, [(condition.label,) for condition in conditions if condition.noisy])
    if not selections:
        return Part()
    differing = [selection for selection in selections if selection.clean != selection.noisy]
    claims = []
    text = (
        "Choosing between the base alone and the base with the MI term on noisy instead of clean validation labels "
        f"changes the choice in {len(differing)} of {plural(len(selections), 'condition')}"
    )
    if differing:
        costliest = max(differing, key=lambda selection: selection.cost.mean or 0.0)
        label, cost = " · ".join(costliest.levels), costliest.cost
        what = f"test accuracy of what clean labels choose less that of what noisy ones do, {label}"
        numbers = (cost.mean, cost.low, cost.high, cost.n)
        claims.append(response.ledger.estimate(slug("selection", *costliest.levels), what, *numbers, "points"))
        text += f" (the largest estimated cost is {points(cost)} of test accuracy, at {label})"
    worst = max(selections, key=lambda selection: abs(selection.optimism.interval.mean or 0.0))
    text += (
        ". As an estimate of accuracy, noisy validation labels are furthest off at "
        f"{' · '.join(worst.levels)}, by {worst.optimism.points}{'' if worst.optimism.differs else ' (undecided)'}."
    )
    return Part([Sentence(text, (worst.optimism.claim, *claims))], [_table(response, selections)])


def _selections(response: Response, noisy: Sequence[Levels]) -> list[Selection]:
    results = response.results
    candidates = [arm.key for arm in results.arms.values() if arm.role in ("base", "default", "variant")]
    chosen = []
    for levels in noisy:
        scores = [np.array([results.sets(Cell(arm, levels), split) for arm in candidates]) for split in SPLITS]
        # Only the seeds that all candidates have: a missing seed must not decide the choice.
        complete = np.isfinite(np.concatenate(scores)).all(axis=0)
        if complete.any():
            clean, dirty = (candidates[int(values[:, complete].mean(axis=1).argmax())] for values in scores)
            optimism = scores[1][candidates.index(dirty)] - scores[0][candidates.index(dirty)]
            cell = Cell(dirty, levels)
            what = f"noisy less clean validation accuracy of {response.name(dirty)}{results.at(levels)}"
            contrast = results.contrast(
                slug("optimism", *levels), what, (1.0, cell), metric="noisy_validation", values=optimism
            )
            chosen.append((levels, clean, dirty, int(complete.sum()), contrast))
    rulings = response.ledger.family("noisy less clean validation", [contrast for *_, contrast in chosen])
    return [
        Selection(levels, clean, dirty, _cost(response, levels, clean, dirty), ruling, seeds)
        for (levels, clean, dirty, seeds, _), ruling in zip(chosen, rulings, strict=True)
    ]


def _cost(response: Response, levels: Levels, clean: str, noisy: str) -> Interval:
    first, second = (response.results.sets(Cell(arm, levels), response.metric) for arm in (clean, noisy))
    return paired_interval(first, second)


def _table(response: Response, selections: Sequence[Selection]) -> Table:
    rows: list[dict[str, Entry]] = []
    for selection in selections:
        first, second = (
            Quantity.of(response.results.mean(Cell(arm, selection.levels), response.metric), "percent")
            for arm in (selection.clean, selection.noisy)
        )
        rows.append(
            {
                "training data": " · ".join(selection.levels),
                "chosen by clean labels": response.name(selection.clean),
                "chosen by noisy labels": response.name(selection.noisy),
                "test accuracy of the first": first,
                "of the second": second,
                "cost of noisy labels": Quantity.of(selection.cost, "points"),
                "noisy less clean validation": selection.optimism.starred,
                "seeds compared": selection.seeds,
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
