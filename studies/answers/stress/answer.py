"""A stress answer: what each kind of training data costs, what is left of the term's gain, and where it breaks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from perturbations import STAGES
from studies.answers.ledger import Ledger, Part
from studies.answers.parts.degradation import degradation_figure, degradation_table, slope_table
from studies.answers.parts.drawing import PAGE
from studies.answers.parts.failures import failure_part, occurrences
from studies.answers.parts.information import information_part
from studies.answers.parts.matrix import crossed, matrices
from studies.answers.parts.overview import losses, more_seeds, overview, unready
from studies.answers.parts.pictures import picture_figure
from studies.answers.parts.response import Levels, Response
from studies.answers.parts.response_plain import response_plain
from studies.answers.parts.step_control import controlled, step_control
from studies.answers.parts.wording import grouped
from studies.answers.results import Cell, Contrast, Results, slug
from studies.answers.stress.classes import class_part
from studies.answers.stress.selecting import selection_part
from studies.answers.stress.training import training_part
from studies.engine.answer import Answer, Figure, Sentence
from studies.engine.arms import CEILING, FLOOR
from studies.engine.conditions import Condition
from studies.engine.failures import FAILURES, Group
from studies.engine.folder import StudyFolder
from studies.engine.statistics.contrasts import Decision

METRIC = "balanced"
# More columns than these make the pictures too small to see.
SHOWN = 3
CURVES = (
    "Full data is one network trained for at most 500 steps. Horizontal axis: the realised share of wrong labels, the "
    "requested n_max / n_min, or the severity."
)
INTERACTIONS = {
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
    main = [arm.key for arm in arms if arm.role != "extra" and not arm.placebo]
    response = Response(ledger, METRIC, main)
    clean = Part([overview(ledger, list(ledger.results.arms), METRIC), *response.costs(), *response.gains()])
    with_controls = [*control, *(arm for arm in main if arm in response.terms)]
    step = controlled(ledger, ledger.results.arms, ledger.results.levels, METRIC)
    longer, extra = step_control(ledger, step), any(arm.role == "extra" for arm in arms)
    matrix = matrices(response, list(ledger.results.arms)) if extra else Part()
    failures = failure_part(ledger, occurrences(ledger, _groups(response, folder.conditions)))
    controls = [(arm, ledger.results.arms[arm].control) for arm in response.terms]
    information = information_part(ledger, controls, accuracy=METRIC)
    classes, (transitions, realised) = class_part(response), training_part(ledger)
    images = _images(response)
    floor = [FLOOR] if FLOOR in response.results.arms else []
    short = response_plain(
        response, "perturbation", " of the training data", floor, {case.arm: case.twin for case in step}
    )
    return ledger.compose(
        clean,
        Part([*longer.sentences, *information.sentences]),
        Part(classes.sentences),
        selection_part(response, folder.conditions),
        Part([_interaction(response)]),
        Part(failures.sentences, failed=failures.failed),
        Part([losses(ledger.results)]),
        Part(tables=[*matrix.tables, degradation_table(response), *longer.tables, slope_table(response)]),
        Part(tables=information.tables),
        Part(tables=[*classes.tables, realised, *failures.tables]),
        Part(
            figures=[
                degradation_figure(response, CURVES),
                *matrix.figures,
                crossed(response, with_controls),
                failures.figures[0],
            ]
        ),
        Part(figures=[*classes.figures, transitions, images, *failures.figures[1:]]),
        Part(
            notes=[*_notes(ledger.results), *longer.notes, more_seeds(ledger)], summary=_summary(response), plain=short
        ),
    )


def _groups(response: Response, conditions: Sequence[Condition]) -> dict[Cell, Group]:
    """What the failure detectors of groups read, by cell; judges the families that only these detectors need."""
    ledger, results = response.ledger, response.results
    cells = [Cell(arm, levels) for levels in results.levels for arm in response.arms]
    cells = [cell for cell in cells if results.setting(cell) and results.arms[cell.arm].method != CEILING]
    over_random = {
        cell: results.against(cell.arm, FLOOR, cell.levels, METRIC)
        for cell in cells
        if cell.arm != FLOOR and FLOOR in results.arms
    }
    without_noise: dict[Levels, tuple[str, ...]] = {
        (condition.label,): _without_noise(condition) for condition in conditions if condition.noisy
    }
    noisy = [cell for cell in cells if cell.levels in without_noise]
    chance = _chance(results)
    random, rejected, memorising = (
        dict(zip(contrasts, ledger.family(name, contrasts.values()), strict=True))
        for name, contrasts in (
            ("over random real images", over_random),
            ("images that the reference rejects", {cell: _rejected(response, cell, without_noise) for cell in noisy}),
            ("wrong labels given to flipped images, less chance", _memorising(response, noisy, chance)),
        )
    )
    return {
        cell: Group(
            accuracy=results.networks_of(cell, METRIC),
            over_random=random[cell].judged if cell in random else None,
            gain=response.gain(cell.arm, cell.levels).judged if cell.arm in response.terms else None,
            rejected=rejected[cell].judged if cell in rejected else None,
            memorising=memorising[cell].judged if cell in memorising else None,
            chance=chance,
        )
        for cell in cells
    }


def _rejected(response: Response, cell: Cell, without_noise: Mapping[Levels, tuple[str, ...]]) -> Contrast:
    """The share of a cell's images whose label the reference rejects, less that of its control without label noise."""
    results = response.results
    return results.contrast(
        slug("rejected", cell.arm, *cell.levels),
        f"rejected share of {response.name(cell.arm)}{results.at(cell.levels)} less that without label noise",
        *((1.0, cell), (-1.0, Cell(cell.arm, _levels_of(results, without_noise[cell.levels])))),
        metric="rejected",
        margin=FAILURES.build("label_lost").excess,
    )


def _memorising(response: Response, cells: Sequence[Cell], chance: float) -> dict[Cell, Contrast]:
    """How often networks trained on a cell's sets give flipped images their wrong label, less chance."""
    results = response.results
    return {
        cell: results.contrast(
            slug("memorising", cell.arm, *cell.levels),
            f"share of flipped images that networks trained on {response.name(cell.arm)}{results.at(cell.levels)} give "
            f"their wrong label, less {chance:.1%} by chance",
            (1.0, cell),
            metric="flipped",
            values=results.sets(cell, "flipped") - chance,
        )
        for cell in cells
    }


def _chance(results: Results) -> float:
    """1 / (C - 1), the chance of giving a flipped image its wrong label; NaN if no row has C."""
    data = next(filter(None, map(results.any_data, results.levels)), None)
    return 1 / (len(data.counts) - 1) if data else float("nan")


def _without_noise(condition: Condition) -> tuple[str, ...]:
    """The labels of a condition's parts, without those that are label noise."""
    parts = condition.parts or (condition.label,)
    return tuple(part for part, stage in zip(parts, condition.stages, strict=True) if not STAGES[stage].relabels)


def _levels_of(results: Results, parts: tuple[str, ...]) -> Levels:
    """The level that combines these parts if the study ran it, else the reference."""
    (factor,) = results.factors
    by_parts = {level.parts or (level.label,): (level.label,) for level in factor.levels}
    return by_parts.get(parts, results.reference)


def _interaction(response: Response) -> Sentence | None:
    """Whether noise and imbalance together cost more than the sum of their separate costs."""
    results = response.results
    (factor,) = results.factors
    labels, contrasts = {level.label for level in factor.levels}, []
    arms = [arm.key for arm in results.arms.values() if arm.role in ("base", "variant")]
    for level in factor.levels:
        if len(level.parts) != 2 or not labels.issuperset(level.parts):
            continue
        for arm in arms:
            # (both - reference) - (noise - reference) - (imbalance - reference)
            cells = [Cell(arm, (label,)) for label in (level.label, *level.parts, factor.reference.label)]
            terms = tuple(zip((1.0, -1.0, -1.0, 1.0), cells, strict=True))
            what = f"{response.name(arm)}, {level.label}, less the sum of what each part costs alone"
            contrasts.append(results.contrast(slug("together", arm, level.label), what, *terms, metric=METRIC))
    if not contrasts:
        return None
    rulings = response.ledger.family("noise and imbalance together, less their sum", contrasts)
    combined = [ruling.contrast.terms[0][1] for ruling in rulings]
    names = [f"{response.name(cell.arm)} at {' · '.join(cell.levels)} by" for cell in combined]
    costs = grouped(rulings, names, INTERACTIONS, cost=True)
    text = f"Compared with the sum of their separate costs, the cost of noise and imbalance together is {costs}."
    return Sentence(text, tuple(ruling.claim for ruling in rulings))


def _images(response: Response) -> Figure | None:
    """Images of each method (rows) on clean data and under the most severe condition of each kind (columns)."""
    results = response.results
    most_severe = [points[-1][1] for _, points in response.curves]
    columns = [results.reference, *most_severe][:SHOWN]
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


def _notes(results: Results) -> list[str]:
    folder = results.folder
    stages = {stage for condition in folder.conditions for stage in condition.stages}
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
        *(stage.definition for stage in STAGES.values() if stage.name in stages),
        *(_cut(results) if "imbalance" in stages else ()),
    ]


def _cut(results: Results) -> Iterator[str]:
    """That classes of unequal size are cut to the smallest before they are made unequal, if that is a tenth or more."""
    data = results.any_data(results.reference)
    if data is not None and (left := len(data.counts) * min(data.counts)) < 0.9 * sum(data.counts):
        yield (
            f"Before imbalance every class is cut to the {min(data.counts):,} images of the smallest, which leaves "
            f"{left:,} of {sum(data.counts):,}: costs against the data as they are include that of losing the others."
        )


def _summary(response: Response) -> dict[str, float | None]:
    """The metrics of MLflow's parent run, under names that MLflow allows; variants are numbered in their order."""
    metrics: dict[str, float | None] = {}
    variants = [arm.key for arm in response.results.arms.values() if arm.role == "variant"]
    for arm in response.results.arms.values():
        label = f"variant{variants.index(arm.key) + 1}" if arm.key in variants else arm.role
        name = re.sub(r"[^\w.-]+", "_", arm.name if arm.role in ("extra", "placebo") else label).strip("_")
        metrics[f"clean_test_accuracy/{name}"] = response.results.mean(response.results.cell(arm.key), METRIC).mean
        for slope in response.slopes:
            if slope.arm == arm.key:
                metrics[f"slope/{slope.curve.name}/{name}"] = slope.ruling.interval.mean
        if arm.key in response.terms:
            metrics[f"clean_gain/{name}"] = response.gain(arm.key, response.results.reference).interval.mean
    return metrics
