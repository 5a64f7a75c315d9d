"""A comparison of baselines: accuracies, the term's gains, who is above random images, ranks over blocks."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np

from studies.answers.baselines.blocks import Blocks
from studies.answers.baselines.pairs import wins_figure, wins_table
from studies.answers.baselines.plain import plain
from studies.answers.baselines.tuned import one_recipe
from studies.answers.baselines.tuning import tuning_part
from studies.answers.ledger import Ledger, Part, Ruling
from studies.answers.parts.contrasts import contrast_table, forest, wins
from studies.answers.parts.information import information_part
from studies.answers.parts.overview import losses, more_seeds, overview, unready
from studies.answers.parts.step_control import controlled, step_control
from studies.answers.parts.wording import ADVANTAGES, chance, grouped
from studies.answers.results import Results
from studies.engine.answer import Answer, Cell, Quantity, Sentence, Table, percent
from studies.engine.arms import CEILING, FLOOR
from studies.engine.folder import StudyFolder
from studies.engine.statistics import mean_interval
from studies.engine.wording import decimal, plural

# Demsar's rule of thumb for Friedman's chi-squared.
ENOUGH_BLOCKS = 10


def write_answer(folder: StudyFolder) -> Answer:
    """The sentences, the tables and the figures."""
    ledger = Ledger(Results(one_recipe(folder)))
    results, blocks = ledger.results, Blocks(ledger.results)
    if (why := unready(ledger, list(results.arms), "test")) is not None:
        return ledger.compose(why)
    gains = ledger.family(
        "gains over the base", [results.gain(arm.key) for arm in results.arms.values() if arm.control]
    )
    floor = [results.against(arm, FLOOR) for arm in blocks.entrants if arm != FLOOR and FLOOR in results.arms]
    over_random = ledger.family("over random real images", floor)
    step = controlled(ledger, results.arms, [results.reference])
    longer = step_control(ledger, step)
    ledger.rest("other pairs of methods", [results.against(a, b) for a, b in combinations(results.arms, 2)])
    controls = [(arm.key, arm.control) for arm in results.arms.values() if arm.control]
    information, tuning = information_part(ledger, controls), tuning_part(ledger, folder)
    anchors = [arm for arm in (FLOOR, CEILING) if arm in results.arms]
    order = [*anchors, *(arm for arm in results.arms if arm not in anchors)]
    sentences = [overview(ledger, order, "test"), _chosen(ledger, blocks), *(_gain(ledger, gain) for gain in gains)]
    sentences += [*longer.sentences, *tuning.sentences]
    tables = [
        _accuracy(ledger),
        contrast_table(ledger, "gains", "What the MI term adds to each base", GAINS, gains),
        *longer.tables,
        *tuning.tables,
        *information.tables,
        contrast_table(ledger, "random", "What each method adds to random real images", OVER, over_random),
        wins_table(results),
        blocks.rank_table(),
        blocks.table(),
    ]
    return ledger.compose(
        Part(
            [
                *sentences,
                *information.sentences,
                _over_random(ledger, over_random),
                *blocks.sentences(),
                losses(Results(folder)),
            ]
        ),
        Part(tables=tables, figures=[forest(ledger, "test"), *tuning.figures, wins_figure(ledger), blocks.figure()]),
        Part(
            notes=[*_notes(ledger, blocks), *longer.notes, *tuning.notes, more_seeds(ledger)],
            summary=_summary(ledger, blocks, gains),
        ),
        Part(plain=[*plain(ledger, _best(results, blocks.entrants), gains, over_random, step), *tuning.plain]),
    )


GAINS = ("with the term", "the base alone", "paired gain")
OVER = ("method", "floor", "paired difference")


def _chosen(ledger: Ledger, blocks: Blocks) -> Sentence | None:
    """The method with the highest validation accuracy, compared with random images and with its base."""
    results, best = ledger.results, _best(ledger.results, blocks.entrants)
    if best is None:
        return None
    references = [(FLOOR, "over random real images"), (results.arms[best].control, "over its base alone")]
    rulings = [
        (ledger[results.against(best, arm)], phrase)
        for arm, phrase in references
        if arm in results.arms and arm != best
    ]
    gains = "".join(
        f", {ruling.points} {phrase} ({ruling.word}, n = {plural(ruling.interval.n, 'pair')})"
        for ruling, phrase in rulings
    )
    mean, claim = ledger.claimed_mean(results.cell(best))
    name = results.arms[best].name
    text = f"{name} has the highest validation accuracy; it reaches {percent(mean)} on test{gains}"
    text += f"{_position(results, best)}."
    return Sentence(text, (claim, *(ruling.claim for ruling, _ in rulings)))


def _best(results: Results, entrants: list[str]) -> str | None:
    """The entrant with the highest mean validation accuracy, over the seeds that all entrants have if there are any."""
    sets = np.array([results.sets(results.cell(arm), "validation") for arm in entrants])
    complete = np.isfinite(sets).all(axis=0)
    means = [mean_interval(row[complete] if complete.any() else row).mean for row in sets]
    known = [(mean, arm) for mean, arm in zip(means, entrants, strict=True) if mean is not None]
    return max(known, key=lambda pair: pair[0])[1] if known else None


def _position(results: Results, arm: str) -> str:
    """A clause: an arm's mean as a percentage of the way from the floor to the ceiling; "" without both anchors."""
    if arm == FLOOR or FLOOR not in results.arms or CEILING not in results.arms:
        return ""
    floor, mean, ceiling = (results.mean(results.cell(key)).mean for key in (FLOOR, arm, CEILING))
    if floor is None or mean is None or ceiling is None or ceiling <= floor:
        return ""
    share = decimal(100 * (mean - floor) / (ceiling - floor), ".0f")
    return f"; its mean accuracy lies {share}% of the way from random real images to full data"


def _gain(ledger: Ledger, ruling: Ruling) -> Sentence:
    (_, a), (_, b) = ruling.contrast.terms
    results, won = ledger.results, wins(ledger.results, a, b, "test")
    better = "no complete pair" if won.value is None else f"P(better) {chance(won)}, n = {plural(won.n, 'pair')}"
    p = ruling.judged.difference
    tested = "" if p is None else f" (p = {p:.2g}, Holm-corrected over {plural(ruling.judged.family_size, 'gain')})"
    gain = f"The gain of {results.arms[a.arm].name} over {results.arms[b.arm].name} is {ruling.points} ({better})"
    text = f"{gain}: {ruling.statement}{tested}."
    return Sentence(text, (ruling.claim,))


def _over_random(ledger: Ledger, rulings: list[Ruling]) -> Sentence | None:
    if not rulings:
        return None
    names = [ledger.results.arms[ruling.contrast.terms[0][1].arm].name for ruling in rulings]
    text = (
        f"Compared with random real images (Holm-corrected over {plural(len(rulings), 'comparison')}), test accuracy "
        f"is {grouped(rulings, names, ADVANTAGES)}."
    )
    return Sentence(text, tuple(ruling.claim for ruling in rulings))


def _accuracy(ledger: Ledger) -> Table:
    results = ledger.results
    rows: list[dict[str, Cell]] = []
    for arm in results.arms.values():
        cell = results.cell(arm.key)
        plain, balanced, parts = ledger.mean(cell), ledger.mean(cell, "balanced"), results.spread(cell)
        rows.append(
            {
                "method": arm.name,
                "test accuracy": Quantity.of(plain, "percent"),
                "balanced accuracy": Quantity.of(balanced, "percent"),
                "between sets, points": None if parts.sets is None else round(100 * parts.sets.value, 2),
                "between networks, points": None if parts.networks is None else round(100 * parts.networks.value, 2),
                "sets × networks": f"{plain.n} × {results.judges(cell)} of {len(results.trials(cell))}",
                "diverged": results.ended(cell, "diverged"),
                "failed": results.ended(cell, "error"),
                "missing": results.ended(cell, "missing"),
            }
        )
    return Table.of(
        "accuracy",
        "Every method under one recipe",
        rows,
        "Mean over the synthetic sets (seeds) that have an accuracy, with 95% t intervals over sets; balanced accuracy "
        "is the mean recall of the classes. Spreads are standard deviations in points; that between sets excludes "
        "network noise (and includes it where a set has one network). Diverged, failed and missing trials have no "
        "accuracy, and the mean is over the others.",
    )


def _notes(ledger: Ledger, blocks: Blocks) -> list[str]:
    results = ledger.results
    notes = [
        "All methods of a seed share the split, the initial real images (if they start from real images) and the "
        "evaluation networks' initial weights; data, network and recipe are the same for all.",
        "Nothing is chosen by test accuracy: the last iteration and the last epoch count, and the best method is "
        "chosen by validation accuracy. Its test accuracy is that of the best of several, chosen on other images.",
        "Each method runs its own schedule: the protocol's where there is one, otherwise its paper's defaults. Under "
        "one recipe methods are not tuned, so a gap between methods may be due to tuning (--tune N measures that).",
        "(equal strength) means that the MI term is scaled until its pixel gradient is as large as the base's, "
        "(default) that it has the paper's weight; knobs that are not named have their defaults.",
    ]
    without_control = [arm.name for arm in results.arms.values() if arm.has_term and not arm.control]
    if without_control:
        notes.append(
            f"No paired gain for {', '.join(without_control)}: the base alone with the same knobs is not among the "
            "methods."
        )
    if CEILING in results.arms and (config := results.config(CEILING)):
        judges = plural(int(config["evaluation.networks"]), "network")
        notes.append(
            f"Full data: the same recipe on all training images, with {judges} per seed and at most "
            f"{config['evaluation.max_steps']} steps: a ceiling with training stopped early. It is not ranked."
        )
    ranks = blocks.ranks
    if ranks.iman_davenport is not None and ranks.iman_davenport_p is not None:
        notes.append(f"Iman and Davenport's F {ranks.iman_davenport:.2f}, p = {ranks.iman_davenport_p:.2g}.")
    if ranks.friedman is not None and ranks.blocks <= ENOUGH_BLOCKS:
        notes.append(
            "The p-values of Friedman's test, and even more so of Iman and Davenport's, are approximations that need "
            f"more than {ENOUGH_BLOCKS} blocks; with {ranks.blocks} they are too small or too large by an unknown "
            "factor."
        )
    return notes


def _summary(ledger: Ledger, blocks: Blocks, gains: list[Ruling]) -> dict[str, float | None]:
    """The metrics of MLflow's parent run, under names that MLflow allows."""
    results = ledger.results
    names = {arm.key: re.sub(r"[^\w.-]+", "_", arm.name).strip("_") for arm in results.arms.values()}
    metrics = {f"{name}/test_accuracy": results.mean(results.cell(arm)).mean for arm, name in names.items()}
    metrics |= {f"{names[gain.contrast.terms[0][1].arm]}/gain_over_base": gain.interval.mean for gain in gains}
    ranked = zip(blocks.entrants, blocks.average, strict=False)
    return metrics | {f"{names[arm]}/average_rank": rank for arm, rank in ranked}
