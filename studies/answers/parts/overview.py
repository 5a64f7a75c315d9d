"""The opening sentence with the arms' accuracies, and the sentences about lost trials and more seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studies.answers.ledger import Ledger, Part
from studies.answers.results import Cell, Results
from studies.engine.answer import Sentence, percent
from studies.engine.statistics.contrasts import FEWEST_PAIRS
from studies.engine.wording import images, plural

# The statuses of trials as predicates of a sentence.
ENDED = {"ok": "finished", "diverged": "diverged", "error": "failed with an error", "missing": "did not run"}
# Of so many settings that lack trials each is named.
MOST_NAMED = 10
METRIC_NAMES = {
    "balanced": "balanced test accuracy",
    "test": "test accuracy",
    "validation": "validation accuracy",
    "tuned": "test accuracy at the learning rate that validation chose",
}


def overview(ledger: Ledger, arms: Sequence[str], metric: str, levels: tuple[str, ...] = ()) -> Sentence:
    """The accuracy of these arms at some levels, by default the references of all factors."""
    results, study = ledger.results, ledger.results.folder.study
    levels = levels or results.reference
    means = [ledger.claimed_mean(Cell(arm, levels), metric) for arm in arms]
    accuracies = [f"{results.arms[arm].name} {percent(mean)}" for arm, (mean, _) in zip(arms, means, strict=True)]
    return Sentence(
        f"On {study['dataset']}{results.at(levels)}, with {images(results.folder.configuration['ipc'])} "
        f"(protocol {study['protocol']}, {plural(len(results.seeds), 'synthetic set')} per method), the mean "
        f"{METRIC_NAMES[metric]} is: {'; '.join(accuracies)}.",
        tuple(claim for _, claim in means),
    )


def unready(ledger: Ledger, arms: Sequence[str], metric: str) -> Part | None:
    """The sentence that there is no answer yet; None once one of these arms has an accuracy at the references."""
    results = ledger.results
    if any(np.isfinite(results.sets(results.cell(arm), metric)).any() for arm in arms):
        return None
    who = results.arms[arms[0]].name if len(arms) == 1 else "any method"
    text = f"There is no answer yet, because no trial of {who} has an accuracy"
    return Part([Sentence(f"{text} ({ended(results)}).")])


def ended(results: Results) -> str:
    """The number of planned trials by status, `3 finished, 1 diverged`."""
    return ", ".join(f"{n} {ENDED.get(status, status)}" for status, n in results.folder.status().items())


def losses(results: Results) -> Sentence | None:
    """The trials that have no accuracy and are left out of means and pairs; None if there are none.

    Each setting that lost some is named, with those that did not run only where these are few: an interrupted study
    has some in most of its settings.
    """
    settings = [setting for setting in results.folder.settings if setting.arm.role != "stopped"]
    clauses: dict[str, list[str]] = {}
    for status in ("diverged", "error", "missing"):
        for setting in settings:
            cell = results.cell(setting.arm.key, *setting.levels.values())
            if results.view(cell):
                continue  # a part of the rows that another setting counts
            if count := results.ended(cell, status):
                of = f"{count} of {plural(len(setting.trials), 'trial')} of {setting.name}"
                clauses.setdefault(status, []).append(f"{of} {ENDED[status]}")
    if len(clauses.get("missing", ())) > MOST_NAMED:
        missing, planned = results.folder.status()["missing"], len(results.folder.planned)
        clauses["missing"] = [f"{missing} of {planned} planned trials {ENDED['missing']}"]
    if not clauses:
        return None
    told = "; ".join(clause for named in clauses.values() for clause in named)
    return Sentence(f"Some trials have no accuracy, and means and pairs leave them out: {told}.")


def more_seeds(ledger: Ledger) -> str:
    """The note with the command for more seeds, as many as the undecided contrasts need; "" if all are decided."""
    import shlex

    results = ledger.results
    open_ = [ruling.judged.needed[1] or ruling.judged.needed[0] for ruling in ledger.rulings if ruling.judged.needed]
    if not open_ and all(ruling.judged.decided for ruling in ledger.rulings):
        return ""
    most = max(MOST_SEEDS, len(results.seeds))
    count = min(max([len(results.seeds), FEWEST_PAIRS, *open_]), most)
    first = max(results.seeds) + 1
    arguments, kept = shlex.split(str(results.folder.study["command"])), []
    while arguments:
        argument = arguments.pop(0)
        if argument in ("--seeds", "--out"):
            arguments = arguments[1:]
        elif not argument.startswith(("--seeds=", "--out=")):
            kept.append(argument)
    command = shlex.join([*kept, "--seeds", f"{first}-{first + count - 1}"])
    return (
        "Decisions are made once, at the planned number of seeds. More seeds are a separate study, which is decided on "
        f"those seeds alone: `{command}`."
    )


MOST_SEEDS = 40
