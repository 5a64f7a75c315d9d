"""What each remedy gains under noise, what dropping as many at random does, and what it costs on clean data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perturbations import STAGES, Dropped
from studies.answers.ledger import Ledger, Part, Ruling
from studies.answers.mitigation.cleanings import cleaning_of
from studies.answers.mitigation.remedied import (
    HELPS,
    pairs,
    remedied_part,
    remedies_needed,
    told_pairs,
    without_remedies,
)
from studies.answers.mitigation.times import Needed, beforehand_part
from studies.answers.parts.matrix import matrices
from studies.answers.parts.overview import losses, more_seeds, overview, unready
from studies.answers.parts.response import Response
from studies.answers.parts.wording import grouped, listed
from studies.answers.results import Cell, Contrast, Results, slug
from studies.engine.answer import Answer, Quantity, Sentence, Table
from studies.engine.answer import Cell as Entry
from studies.engine.conditions import CLEAN, Condition
from studies.engine.folder import StudyFolder
from studies.engine.statistics import mean_interval
from studies.engine.wording import images, plural

METRIC = "balanced"


@dataclass(frozen=True)
class Case:
    """A remedy under a noise. noise: the condition before it, CLEAN on clean data; sham, oracle: None on clean data."""

    noise: Condition
    cleaned: Condition
    cleaning: Dropped
    sham: Condition | None
    oracle: Condition | None

    @property
    def remedy(self) -> str:
        """The remedy in words."""
        if self.cleaning.by == "loss":
            return f"dropping the {100 * self.cleaning.share:.3g}% of images with the largest loss"
        return "dropping what confident learning suspects"


def cases(conditions: Sequence[Condition]) -> list[Case]:
    """Every remedy of a study's conditions, with what it is held against."""
    cleaned = [(one, cleaning) for one in conditions if (cleaning := cleaning_of(one)) is not None]
    before = {one.text: one for one in conditions} | {"": CLEAN}

    def chain(one: Condition) -> str:
        return one.text.rpartition(" + ")[0]

    def other(one: Condition, cleaning: Dropped) -> Condition | None:
        return next((found for found, by in cleaned if by == cleaning and chain(found) == chain(one)), None)

    return [
        Case(
            before[chain(one)],
            one,
            cleaning,
            other(one, Dropped(by=cleaning.by, share=cleaning.share, sham=True)),
            next((found for found, by in cleaned if by.by == "oracle" and chain(found) == chain(one)), None),
        )
        for one, cleaning in cleaned
        if not cleaning.sham and cleaning.by != "oracle"
    ]


def write_answer(folder: StudyFolder) -> Answer:
    """The sentences, tables and figures of a study of remedies."""
    ledger = Ledger(Results(without_remedies(folder)))
    results = ledger.results
    control = [arm.key for arm in results.arms.values() if arm.role == "base"]
    if (why := unready(ledger, control, METRIC)) is not None:
        return ledger.compose(why)
    response = Response(ledger, METRIC, list(results.arms))
    found = cases(folder.conditions)
    noisy = [case for case in found if case.noise != CLEAN]
    remedies, shams, oracles = (
        _judged(ledger, kind, name, pairs)
        for kind, name, pairs in (
            ("remedy", "cleaned less not cleaned", [(case, case.cleaned, case.noise) for case in noisy]),
            ("over-sham", "cleaned less as many dropped at random", [(c, c.cleaned, c.sham) for c in noisy]),
            ("short-of-oracle", "cleaned less the oracle", [(c, c.cleaned, c.oracle) for c in noisy]),
        )
    )
    on_clean = {
        (case.cleaned.label, arm): response.cost(arm, (case.cleaned.label,))
        for case in found
        if case.noise == CLEAN
        for arm in response.arms
    }
    sentences: list[Sentence | None] = [overview(ledger, list(results.arms), METRIC)]
    for case in noisy:
        label, start = case.cleaned.label, f"At {case.noise.label}, {case.remedy} before distilling is "
        sentences += [
            _told(results, start, label, remedies),
            _told(results, "Compared with dropping as many images at random, it is ", label, shams),
            _told(results, "Compared with dropping exactly the wrong ones, it is ", label, oracles),
        ]
    for case in found:
        if case.noise == CLEAN:
            start = f"On clean data, {case.remedy} is "
            sentences.append(_told(results, start, case.cleaned.label, on_clean))
    matrix, knobs = matrices(response, response.arms), remedied_part(ledger, folder, METRIC)
    needed = [*_cleanings_needed(results, found), *remedies_needed(folder)]
    times = beforehand_part(ledger, Results(folder), needed)
    return ledger.compose(
        Part(
            [*sentences, *knobs.sentences, *times.sentences, *response.gains(), losses(Results(folder))],
            plain=[*_short(response, noisy, remedies, on_clean), *knobs.plain],
        ),
        Part(
            tables=[
                _table(results, found, remedies, shams, oracles, on_clean),
                *knobs.tables,
                *times.tables,
                *matrix.tables,
            ],
            figures=[*knobs.figures, *matrix.figures],
        ),
        Part(notes=[*_notes(folder), *knobs.notes, *times.notes, more_seeds(ledger)]),
    )


def _cleanings_needed(results: Results, found: Sequence[Case]) -> list[Needed]:
    """Each cleaning and the data before it, by any method that ran on both."""
    pairs = [(case, arm) for case in found for arm in results.arms.values() if not arm.anchor]
    return [
        Needed(case.noise.label, case.remedy, cell, other)
        for case, arm in pairs
        if results.setting(cell := Cell(arm.key, (case.cleaned.label,)))
        and results.setting(other := Cell(arm.key, (case.noise.label,)))
    ]


Rulings = dict[tuple[str, str], Ruling]


def _judged(
    ledger: Ledger, kind: str, family: str, pairs: Sequence[tuple[Case, Condition, Condition | None]]
) -> Rulings:
    """The rulings of one condition less another for each case and arm, by the cleaned condition's label and the arm."""
    results = ledger.results
    contrasts: dict[tuple[str, str], Contrast] = {}
    for case, a, b in pairs:
        for arm in results.arms:
            if b is None or not all(results.setting(Cell(arm, (one.label,))) for one in (a, b)):
                continue
            what = f"{results.arms[arm].name}, {a.label} less {b.label}"
            terms = ((1.0, Cell(arm, (a.label,))), (-1.0, Cell(arm, (b.label,))))
            id = slug(kind, arm, case.cleaned.label)
            contrasts[case.cleaned.label, arm] = results.contrast(id, what, *terms, metric=METRIC)
    return dict(zip(contrasts, ledger.family(family, contrasts.values()), strict=True))


def _told(results: Results, start: str, label: str, rulings: Rulings) -> Sentence | None:
    """What was decided of every arm at a condition."""
    here = {arm: ruling for (at, arm), ruling in rulings.items() if at == label}
    if not here:
        return None
    names = [results.arms[arm].name for arm in here]
    text = grouped(list(here.values()), names, HELPS)
    return Sentence(f"{start}{text}.", tuple(ruling.claim for ruling in here.values()))


def _short(response: Response, noisy: Sequence[Case], remedies: Rulings, on_clean: Rulings) -> list[Sentence]:
    """For the base and its strong terms: the first remedy under the first noise, then all by their decisions."""
    results = response.results
    arms = [arm.key for arm in results.arms.values() if arm.role in ("base", "variant")]
    first = next(iter(noisy), None)
    if first is None:
        return []
    here = {arm: remedies[first.cleaned.label, arm] for arm in arms if (first.cleaned.label, arm) in remedies}
    named = [f"{results.arms[arm].name} {one.points} ({one.word})" for arm, one in here.items()]
    study, sets = results.folder.study, plural(len(results.seeds), "synthetic set")
    told = [
        Sentence(
            f"On {study['dataset']}, with {images(results.folder.configuration['ipc'])} and {sets}, the difference in "
            f"accuracy that {first.remedy} makes at {first.noise.label} is: {'; '.join(named)}.",
            tuple(one.claim for one in here.values()),
        )
    ]
    for start, rulings in (("Under noise", remedies), ("On clean data", on_clean)):
        judged = [ruling for (_, arm), ruling in rulings.items() if arm in arms]
        words = dict.fromkeys(one.direction for one in judged)
        counts = [f"{word} in {sum(one.direction == word for one in judged)}" for word in words]
        if counts:
            pairs = plural(len(judged), "pair")
            text = f"{start}, over {pairs} of a remedy and one of these methods, it is {listed(counts)}."
            told.append(Sentence(text, tuple(one.claim for one in judged)))
    return told


def _table(
    results: Results, found: Sequence[Case], remedies: Rulings, shams: Rulings, oracles: Rulings, on_clean: Rulings
) -> Table:
    """A row for each remedy and arm: what was dropped, and what came of it."""
    rows: list[dict[str, Entry]] = []
    for case in found:
        label = case.cleaned.label
        dropped = _dropped(results, case.cleaned)
        for arm in results.arms:
            gain = remedies.get((label, arm)) or on_clean.get((label, arm))
            if gain is None:
                continue
            sham, oracle = shams.get((label, arm)), oracles.get((label, arm))
            rows.append(
                {
                    "data": case.noise.label,
                    "remedy": case.remedy,
                    "method": results.arms[arm].name,
                    **dropped,
                    "cleaned less not cleaned": gain.starred,
                    "decision": gain.word,
                    "less as many at random": sham.starred if sham else None,
                    "less the oracle": oracle.starred if oracle else None,
                    "pairs": pairs(gain, sham, oracle),
                    "pairs that would decide": gain.needed or None,
                }
            )
    return Table.of(
        "remedies",
        "What each remedy does",
        rows,
        "Differences in balanced test accuracy, paired by seed, with pointwise 95% t intervals; a star marks a gain or "
        "a loss that is decided, Holm-corrected over its column, on clean data over all costs. Wrong labels found: the "
        "share of the wrong labels that were dropped; right among dropped: the share of the dropped images whose label "
        f"was right.{told_pairs(rows)}",
    )


def _dropped(results: Results, one: Condition) -> dict[str, Entry]:
    """What a cleaning left out, mean over seeds."""
    data = [results.data((one.label,), seed) for seed in range(len(results.seeds))]
    steps = [training.perturbed["dropped"] for training in data if training is not None]
    shares, found, right = [], [], []
    for step in steps:
        wrong, dropped = step["wrong_dropped"] + step["wrong_left"], step["wrong_dropped"] + step["right_dropped"]
        shares.append(float(step["share"]))
        found += [step["wrong_dropped"] / wrong] if wrong else []
        right += [step["right_dropped"] / dropped] if dropped else []

    def mean(values: Sequence[float]) -> Quantity | None:
        return Quantity.of(mean_interval(np.array(values)), "percent") if values else None

    return {"dropped": mean(shares), "wrong labels found": mean(found), "right among dropped": mean(right)}


def _notes(folder: StudyFolder) -> list[str]:
    stages = {stage for condition in folder.conditions for stage in condition.stages}
    return [
        "All methods of a seed share the split, the training data of each condition and the evaluation networks; test "
        "labels are clean. The initial images are drawn anew from what each class then holds, so a difference between "
        "conditions includes their noise.",
        *(stage.definition for stage in STAGES.values() if stage.name in stages),
    ]
