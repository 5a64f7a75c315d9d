"""A stress answer: what each kind of training data costs, what is left of the term's gain, and where it breaks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from studies.answers.ledger import Ledger, Part
from studies.answers.parts.degradation import degradation_figure, degradation_table, slope_table
from studies.answers.parts.drawing import PAGE
from studies.answers.parts.failures import failure_part, occurrences
from studies.answers.parts.matrix import crossed, matrices
from studies.answers.parts.overview import losses, more_seeds, overview, unready
from studies.answers.parts.pictures import picture_figure
from studies.answers.parts.response import Levels, Response
from studies.answers.parts.wording import grouped
from studies.answers.results import Cell, Contrast, Results, slug
from studies.answers.stress.classes import class_part
from studies.answers.stress.plain import plain
from studies.answers.stress.selecting import selection_part
from studies.answers.stress.training import training_part
from studies.engine.answer import Answer, Figure, Sentence
from studies.engine.arms import CEILING, FLOOR
from studies.engine.conditions import Condition
from studies.engine.failures import FAILURES, Group
from studies.engine.folder import StudyFolder
from studies.engine.statistics.contrasts import Decision

METRIC = "balanced"
# Columns side by side, beyond which pictures become stamps.
SHOWN = 3
CURVES = (
    "Full data is one network trained for at most 500 steps. Horizontal axis: the realised share of wrong labels, the "
    "requested n_max / n_min, or the severity."
)
TOGETHER = {
    Decision.LOSS: "higher for",
    Decision.GAIN: "lower for",
    Decision.NEGLIGIBLE: "no different beyond half a point for",
    Decision.UNDECIDED: "undecided for",
}


def write_answer(folder: StudyFolder) -> Answer:
    """The sentences, tables, figures and failures of a stress suite."""
    ledger = Ledger(Results(folder))
    arms = list(ledger.results.arms.values())
    control = [arm.key for arm in arms if arm.role == "base"]
    if (why := unready(ledger, control, METRIC)) is not None:
        return ledger.compose(why)
    main = [arm.key for arm in arms if arm.role != "extra"]
    found = Response(ledger, METRIC, main)
    clean = Part([overview(ledger, list(ledger.results.arms), METRIC), *found.costs(), *found.gains()])
    with_controls = [*control, *(arm for arm in main if arm in found.terms)]
    every = matrices(found, list(ledger.results.arms)) if len(main) < len(arms) else Part()
    seen = occurrences(ledger, _groups(found, folder.conditions))
    failing = failure_part(ledger, seen)
    classes, (transitions, realised) = class_part(found), training_part(ledger)
    images = _images(found)
    return ledger.compose(
        clean,
        Part(classes.sentences),
        selection_part(found, folder.conditions),
        Part([_together(found)]),
        Part(failing.sentences, failed=failing.failed),
        Part([losses(ledger)]),
        Part(tables=[*every.tables, degradation_table(found), slope_table(found)]),
        Part(tables=[*classes.tables, realised, *failing.tables]),
        Part(
            figures=[
                degradation_figure(found, CURVES),
                *every.figures,
                crossed(found, with_controls),
                failing.figures[0],
            ]
        ),
        Part(figures=[*classes.figures, transitions, images, *failing.figures[1:]]),
        Part(notes=[*_notes(folder), more_seeds(ledger)], summary=_summary(found), plain=plain(found)),
    )


def _groups(found: Response, conditions: Sequence[Condition]) -> dict[Cell, Group]:
    """What the detectors of groups read; the families that only they ask for are judged here."""
    ledger, results = found.ledger, found.results
    cells = [Cell(arm, levels) for levels in results.levels for arm in results.arms]
    cells = [cell for cell in cells if results.setting(cell) and results.arms[cell.arm].method != CEILING]
    over = {
        cell: results.against(cell.arm, FLOOR, cell.levels, METRIC)
        for cell in cells
        if cell.arm != FLOOR and FLOOR in results.arms
    }
    without_noise: dict[Levels, tuple[str, ...]] = {
        (one.label,): _without_noise(one) for one in conditions if one.noisy
    }
    noisy = [cell for cell in cells if cell.levels in without_noise]
    chance = _chance(results)
    random, rejected, memorising = (
        dict(zip(of, ledger.family(name, of.values()), strict=True))
        for name, of in (
            ("over random real images", over),
            ("images that the reference rejects", {cell: _rejected(found, cell, without_noise) for cell in noisy}),
            ("wrong labels given to flipped images, less chance", _memorising(found, noisy, chance)),
        )
    )
    return {
        cell: Group(
            accuracy=results.networks_of(cell, METRIC),
            over_random=random[cell].judged if cell in random else None,
            gain=found.gain(cell.arm, cell.levels).judged if cell.arm in found.terms else None,
            rejected=rejected[cell].judged if cell in rejected else None,
            memorising=memorising[cell].judged if cell in memorising else None,
            chance=chance,
        )
        for cell in cells
    }


def _rejected(found: Response, cell: Cell, without_noise: Mapping[Levels, tuple[str, ...]]) -> Contrast:
    """The share of a cell's images whose label the reference rejects, less that of its control without label noise."""
    results = found.results
    return results.contrast(
        slug("rejected", cell.arm, *cell.levels),
        f"rejected share of {found.name(cell.arm)}{results.at(cell.levels)} less that without label noise",
        *((1.0, cell), (-1.0, Cell(cell.arm, _there(results, without_noise[cell.levels])))),
        metric="rejected",
        margin=FAILURES.build("label_lost").excess,
    )


def _memorising(found: Response, cells: Sequence[Cell], chance: float) -> dict[Cell, Contrast]:
    """How often networks trained on a cell's sets give flipped images their wrong label, less chance."""
    results = found.results
    return {
        cell: results.contrast(
            slug("memorising", cell.arm, *cell.levels),
            f"share of flipped images that networks trained on {found.name(cell.arm)}{results.at(cell.levels)} give "
            f"their wrong label, less {chance:.1%} by chance",
            (1.0, cell),
            metric="flipped",
            values=results.sets(cell, "flipped") - chance,
        )
        for cell in cells
    }


def _chance(results: Results) -> float:
    """One in the classes besides the true one; NaN where no row says how many there are."""
    data = next(filter(None, map(results.any_data, results.levels)), None)
    return 1 / (len(data.counts) - 1) if data else float("nan")


def _without_noise(one: Condition) -> tuple[str, ...]:
    """The labels of the parts of a condition that are no label noise."""
    parts = one.parts or (one.label,)
    return tuple(part for part, stage in zip(parts, one.stages, strict=True) if stage != "label noise")


def _there(results: Results, parts: tuple[str, ...]) -> Levels:
    """The level that joins these parts where it was run, else the reference."""
    (factor,) = results.factors
    held = {level.parts or (level.label,): (level.label,) for level in factor.levels}
    return held.get(parts, results.reference)


def _together(found: Response) -> Sentence | None:
    """Whether noise and imbalance together cost more than the sum of the two."""
    results = found.results
    (factor,) = results.factors
    labels, contrasts = {level.label for level in factor.levels}, []
    arms = [arm.key for arm in results.arms.values() if arm.role in ("base", "variant")]
    for level in factor.levels:
        if len(level.parts) != 2 or not labels.issuperset(level.parts):
            continue
        for arm in arms:
            # The whole loss less the two: the reference, taken from each of them, is left once.
            cells = [Cell(arm, (one,)) for one in (level.label, *level.parts, factor.reference.label)]
            terms = tuple(zip((1.0, -1.0, -1.0, 1.0), cells, strict=True))
            what = f"{found.name(arm)}, {level.label}, less the sum of what each part costs alone"
            contrasts.append(results.contrast(slug("together", arm, level.label), what, *terms, metric=METRIC))
    if not contrasts:
        return None
    rulings = found.ledger.family("noise and imbalance together, less their sum", contrasts)
    ends = [one.contrast.terms[0][1] for one in rulings]
    names = [f"{found.name(cell.arm)} at {' · '.join(cell.levels)} by" for cell in ends]
    told = grouped(rulings, names, TOGETHER, cost=True)
    text = f"Compared with the sum of their separate costs, the cost of noise and imbalance together is {told}."
    return Sentence(text, tuple(one.claim for one in rulings))


def _images(found: Response) -> Figure | None:
    """Clean data on the left, the strongest condition of each kind beside it; a row for each method."""
    results = found.results
    ends = [points[-1][1] for _, points in found.curves]
    columns = [results.reference, *ends][:SHOWN]
    arms = [arm for arm in results.arms.values() if arm.method != CEILING]
    grid = [
        [(f"{' · '.join(levels)}: {arm.name}", results.trials(Cell(arm.key, levels))[0]) for levels in columns]
        for arm in arms
    ]
    caption = (
        f"Seed {results.seeds[0]}; the first column is clean data, the others are the most severe condition of the "
        "first kinds. Methods that start from real images start from the random ones of their column, so a wrong label "
        "among these appears in all of them. Pixels outside the range of real images are clipped."
    )
    title = "Images distilled from clean and from perturbed data"
    return picture_figure(results.folder, "images", title, caption, grid, PAGE)


NOTES = {
    "label noise": "Symmetric noise draws the new label from the other classes unless the condition says include own; "
    "pairflip moves a class to the next; asymmetric noise follows the data set's semantic map, so its overall rate is "
    "lower; instance noise is that of Xia et al. 2020. Images flipped at one rate are also flipped at every higher "
    "one.",
    "imbalance": "exponential: n_k = floor(n_max * factor^(-k/(C-1))), at least 1, n_max the smallest class of the "
    "clean split; step: half of the classes have n_max/factor. Unless the order is random, the last classes by label "
    "are the rare ones, and the effect of rarity cannot be separated from that of difficulty.",
    "pixel corruption": "Pixel corruptions are a subset of the common ones, with the constants for CIFAR, of the "
    "training images alone; this is not CIFAR-C.",
}


def _notes(folder: StudyFolder) -> list[str]:
    stages = {stage for one in folder.conditions for stage in one.stages}
    selection = folder.study.get("selection", "clean")
    return [
        "All methods of a seed share the split, the corruption, the initial real images and the evaluation networks. "
        "Conditions share the split, the networks and, where they nest, the corruptions; the initial images are drawn "
        "anew from what each class then holds, so a difference between conditions includes their noise.",
        f"Test labels are clean. Choices are made on {selection} validation labels; a separate table shows what the "
        "other labels would have chosen.",
        "Full data is one network trained with the same recipe on the whole perturbed split for at most 500 steps, so "
        "it is a ceiling with training stopped early.",
        "Failure detectors of single trials use validation accuracy; those of paired trials and all tables use test "
        "accuracy. `unstable` is decided by the exact interval of its ratio, without correction for multiple tests.",
        *(note for stage, note in NOTES.items() if stage in stages),
    ]


def _summary(found: Response) -> dict[str, float | None]:
    """The numbers that MLflow's parent run shows, under names that it takes; variants are numbered in their order."""
    held: dict[str, float | None] = {}
    variants = [arm.key for arm in found.results.arms.values() if arm.role == "variant"]
    for arm in found.results.arms.values():
        told = f"variant{variants.index(arm.key) + 1}" if arm.key in variants else arm.role
        name = re.sub(r"[^\w.-]+", "_", arm.name if arm.role == "extra" else told).strip("_")
        held[f"clean_test_accuracy/{name}"] = found.results.mean(found.results.cell(arm.key), METRIC).mean
        for slope in found.slopes:
            if slope.arm == arm.key:
                held[f"slope/{slope.curve.name}/{name}"] = slope.ruling.interval.mean
        if arm.key in found.terms:
            held[f"clean_gain/{name}"] = found.gain(arm.key, found.results.reference).interval.mean
    return held
