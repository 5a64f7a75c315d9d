"""What a study is about in one sentence: every arm's accuracy at the references; and the trials that were lost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studies.answers.ledger import Ledger, Part
from studies.answers.results import Results
from studies.engine.answer import Sentence, percent
from studies.engine.statistics.contrasts import FEWEST_PAIRS
from studies.engine.wording import images, plural

# How a trial ended, as the predicate of a sentence.
ENDED = {"ok": "finished", "diverged": "diverged", "error": "failed with an error", "missing": "did not run"}
WORDS = {"balanced": "balanced test accuracy", "test": "test accuracy", "validation": "validation accuracy"}


def overview(ledger: Ledger, arms: Sequence[str], metric: str) -> Sentence:
    """The accuracy of these arms at the references of all factors."""
    results, study = ledger.results, ledger.results.folder.study
    found = [ledger.claimed_mean(results.cell(arm), metric) for arm in arms]
    told = [f"{results.arms[arm].name} {percent(mean)}" for arm, (mean, _) in zip(arms, found, strict=True)]
    return Sentence(
        f"On {study['dataset']}{results.at(results.reference)}, with {images(results.folder.configuration['ipc'])} "
        f"(protocol {study['protocol']}, {plural(len(results.seeds), 'synthetic set')} per method), the mean "
        f"{WORDS[metric]} is: {'; '.join(told)}.",
        tuple(claim for _, claim in found),
    )


def unready(ledger: Ledger, arms: Sequence[str], metric: str) -> Part | None:
    """The only sentence of a study whose arms have no accuracy at the references yet; None where one has."""
    results = ledger.results
    if any(np.isfinite(results.sets(results.cell(arm), metric)).any() for arm in arms):
        return None
    who = results.arms[arms[0]].name if len(arms) == 1 else "any method"
    text = f"There is no answer yet, because no trial of {who} has an accuracy"
    return Part([Sentence(f"{text} ({ended(results)}).")])


def ended(results: Results) -> str:
    """How the planned trials ended, `3 finished, 1 diverged`."""
    return ", ".join(f"{n} {ENDED.get(status, status)}" for status, n in results.folder.status().items())


def losses(ledger: Ledger) -> Sentence | None:
    """Which trials have no accuracy, so that a mean over the others is not taken for one over all."""
    results, told = ledger.results, []
    for setting in results.folder.settings:
        cell = results.cell(setting.arm.key, *setting.levels.values())
        for status in ("diverged", "error", "missing"):
            if setting.arm.role != "stopped" and (count := results.ended(cell, status)):
                trials = plural(len(setting.trials), "trial")
                told.append(f"{count} of {trials} of {setting.name} {ENDED[status]}")
    if not told:
        return None
    return Sentence(f"Some trials have no accuracy, and means and pairs leave them out: {'; '.join(told)}.")


def more_seeds(ledger: Ledger) -> str:
    """The command that would decide more: new seeds alone, as many as the undecided contrasts ask for."""
    import shlex

    results = ledger.results
    open_ = [one.judged.needed[1] or one.judged.needed[0] for one in ledger.rulings if one.judged.needed]
    if not open_ and all(one.judged.decided for one in ledger.rulings):
        return ""
    most = max(MOST_SEEDS, len(results.seeds))
    count = min(max([len(results.seeds), FEWEST_PAIRS, *open_]), most)
    first = max(results.seeds) + 1
    words, kept = shlex.split(str(results.folder.study["command"])), []
    while words:
        word = words.pop(0)
        if word in ("--seeds", "--out"):
            words = words[1:]
        elif not word.startswith(("--seeds=", "--out=")):
            kept.append(word)
    told = shlex.join([*kept, "--seeds", f"{first}-{first + count - 1}"])
    return (
        "Decisions are made once, at the planned number of seeds. More seeds are a separate study, which is decided on "
        f"those seeds alone: `{told}`."
    )


MOST_SEEDS = 40
