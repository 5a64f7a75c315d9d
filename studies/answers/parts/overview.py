"""What a study is about in one sentence: every arm's accuracy at the references; and the trials that were lost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studies.answers.ledger import Ledger, Part
from studies.engine.answer import Sentence, images, percent
from studies.engine.statistics.contrasts import FEWEST_PAIRS

WORDS = {"balanced": "balanced test accuracy", "test": "test accuracy", "validation": "validation accuracy"}


def overview(ledger: Ledger, arms: Sequence[str], metric: str) -> Sentence:
    """The accuracy of these arms at the references of all factors."""
    results, study = ledger.results, ledger.results.folder.study
    found = [ledger.claimed_mean(results.cell(arm), metric) for arm in arms]
    told = [f"{results.arms[arm].name} {percent(mean)}" for arm, (mean, _) in zip(arms, found, strict=True)]
    return Sentence(
        f"On {study['dataset']}{results.at(results.reference)}, {images(results.folder.configuration['ipc'])}, "
        f"protocol {study['protocol']}, {len(results.seeds)} sets each, {WORDS[metric]}: {'; '.join(told)}.",
        tuple(claim for _, claim in found),
    )


def unready(ledger: Ledger, arms: Sequence[str], metric: str) -> Part | None:
    """The only sentence of a study whose arms have no accuracy at the references yet; None where one has."""
    results = ledger.results
    if any(np.isfinite(results.sets(results.cell(arm), metric)).any() for arm in arms):
        return None
    counts = ", ".join(f"{n} {status}" for status, n in results.folder.status().items())
    return Part([Sentence(f"Nothing can be said before a trial of the control has an accuracy: {counts}.")])


def losses(ledger: Ledger) -> Sentence | None:
    """Which trials have no accuracy, so that a mean over the others is not taken for one over all."""
    results, told = ledger.results, []
    for setting in results.folder.settings:
        cell = results.cell(setting.arm.key, *setting.levels.values())
        for status in ("diverged", "error", "missing"):
            if setting.arm.role != "stopped" and (count := results.ended(cell, status)):
                told.append(f"{count} of {len(setting.trials)} {status} ({setting.name})")
    if not told:
        return None
    return Sentence(f"Not every trial ended well; means and pairs are of those that did: {'; '.join(told)}.")


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
        "A decision is made once, at the planned number of seeds. More seeds are a study of their own, decided on them "
        f"alone: `{told}`."
    )


MOST_SEEDS = 40
