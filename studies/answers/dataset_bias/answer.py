"""What the biases of a data set do to distilling: amplification of a planted cue, classes, and kinds of data."""

from __future__ import annotations

import re

from perturbations import STAGES
from studies.answers.dataset_bias.amplification import (
    AMPLIFIED,
    CAPPED,
    FEW,
    NOT,
    OPEN,
    SAME,
    SUPPRESSED,
    Pull,
    pulls,
    reweighted,
    term_on_gap,
    unbiased,
)
from studies.answers.dataset_bias.cue_forms import (
    amplification_sentences,
    cost_sentence,
    cue_figure,
    cue_tables,
    decoded_sentence,
    images_figure,
    realised_table,
    reweighted_sentences,
    term_sentence,
)
from studies.answers.dataset_bias.kinds import kinds_part
from studies.answers.ledger import Ledger, Part, Ruling
from studies.answers.parts.classes import class_part
from studies.answers.parts.overview import losses, more_seeds, overview, unready
from studies.answers.parts.plain import compared, too_few
from studies.answers.parts.wording import ADVANTAGES, grouped, listed
from studies.answers.results import Results
from studies.engine.answer import Answer, Sentence
from studies.engine.folder import StudyFolder
from studies.engine.wording import images

# What distilling does to the cue, by the verdict: of OPEN nothing is said.
VERBS = {
    AMPLIFIED: "amplifies",
    SUPPRESSED: "suppresses",
    SAME: "leaves as it is in full data and in random images",
    NOT: "does not amplify",
    FEW: "does no more than choosing as few real images at random to",
    CAPPED: "amplifies beyond random images, but not beyond full data,",
}


def write_answer(folder: StudyFolder) -> Answer:
    """The sentences, the tables and the figures."""
    ledger = Ledger(Results(folder))
    results = ledger.results
    if (why := unready(ledger, list(results.arms), "test")) is not None:
        return ledger.compose(why)
    levels = [unbiased(level.label) for level in results.factors[0].levels] if results.factors else [()]
    terms = [arm.key for arm in results.arms.values() if arm.control]
    gains = ledger.family("gains over the base", [results.gain(arm, at) for at in levels for arm in terms])
    found = pulls(ledger) if results.factors else []
    rare = reweighted(ledger) if found else ([], [])
    cue = _cue_part(ledger, found, gains, rare) if found else Part()
    classes, kinds = class_part(ledger), kinds_part(ledger)
    first = gains[: len(terms)]
    return ledger.compose(
        Part(
            [
                overview(ledger, list(results.arms), "test", levels[0]),
                None if results.factors else _gains(ledger, first),
            ]
        ),
        cue,
        classes,
        kinds,
        Part([losses(ledger.results)], notes=[*_notes(results), more_seeds(ledger)]),
        Part(
            plain=[*_plain(ledger, found, first), *reweighted_sentences(ledger, rare[0], [], short=True)],
            summary=_summary(ledger, found, first),
        ),
    )


def _cue_part(ledger: Ledger, found: list[Pull], gains: list[Ruling], rare: tuple[list[Ruling], list[Ruling]]) -> Part:
    """What a planted cue does: amplification first, then the term, the decoder, and every number."""
    results = ledger.results
    return Part(
        [
            *amplification_sentences(ledger, found),
            term_sentence(ledger, term_on_gap(ledger)),
            cost_sentence(ledger, gains) if gains else None,
            *reweighted_sentences(ledger, *rare),
            decoded_sentence(ledger),
        ],
        [*cue_tables(ledger, found), realised_table(results)],
        [cue_figure(ledger, found), images_figure(results)],
    )


def _gains(ledger: Ledger, gains: list[Ruling]) -> Sentence | None:
    """The gain of the term on the data as they are."""
    if not gains:
        return None
    names = [ledger.results.arms[gain.contrast.terms[0][1].arm].name for gain in gains]
    text = f"Compared with the base alone, test accuracy is {grouped(gains, names, ADVANTAGES)}."
    return Sentence(text, tuple(gain.claim for gain in gains))


def _plain(ledger: Ledger, found: list[Pull], gains: list[Ruling]) -> list[Sentence | None]:
    """Which arms amplify the cue, and what the term gains, in sentences that can be quoted alone."""
    results = ledger.results
    if why := too_few(gains):
        return [Sentence(why, tuple(gain.claim for gain in gains))]
    where = f"On {results.folder.study['dataset']}, with {images(results.folder.configuration['ipc'])}"
    told: list[Sentence | None] = []
    judged = [pull for pull in found if pull.verdict]
    if judged:
        parts = []
        for verdict, verb in VERBS.items():
            own = [f"{results.arms[pull.arm].name} at {pull.level}" for pull in judged if pull.verdict == verdict]
            if own:
                parts.append(f"{verb} the cue in {len(own)} ({listed(own)})")
        undecided = sum(pull.verdict == OPEN for pull in judged)
        cases = f"of {len(judged)} cases of method and correlation with a planted cue, distilling "
        text = f"{where}, {cases}{'; it '.join(parts) if parts else 'is shown in none to amplify or to suppress it'}"
        text += f"; {undecided} {'is' if undecided == 1 else 'are'} undecided." if undecided and parts else "."
        rulings = [ruling for pull in judged for ruling in (pull.over_full, pull.over_random) if ruling is not None]
        told.append(Sentence(text, tuple(ruling.claim for ruling in rulings)))
    for gain in gains:
        (_, a), (_, b) = gain.contrast.terms
        name, base = results.arms[a.arm].name, results.arms[b.arm].name
        on = "with a cue that says nothing" if found else "on the data as they are"
        told.append(Sentence(f"{where}, {on}, {name} {compared(gain, base)}.", (gain.claim,)))
    return told


def _notes(results: Results) -> list[str]:
    notes = [
        f"All methods of a seed share the split, {'the cue, ' if results.factors else ''}the initial real images and "
        "the evaluation networks. Nothing is chosen by test accuracy.",
        "Full data is one network trained with the same recipe for at most 500 steps: a ceiling with training stopped "
        "early, whose gap longer training might narrow or widen.",
    ]
    if results.factors:
        stages = {stage for condition in results.folder.conditions for stage in condition.stages}
        notes += [stage.definition for stage in STAGES.values() if stage.name in stages]
        notes.append(
            "Random real images of that number tell the size of a set apart from distilling: with one image per class "
            "and a correlation of 0.9, most such sets hold one conflicting image or none."
        )
        notes.append("The reference network, which knows no images with the cue, measures nothing here.")
    return notes


def _summary(ledger: Ledger, found: list[Pull], gains: list[Ruling]) -> dict[str, float | None]:
    """The metrics of MLflow's parent run, under names that MLflow allows."""
    results = ledger.results

    def name(*parts: str) -> str:
        return "/".join(re.sub(r"[^\w.-]+", "_", part).strip("_") for part in parts)

    metrics = {name("gain", results.arms[gain.contrast.terms[0][1].arm].name): gain.interval.mean for gain in gains}
    for pull in found:
        metrics[name("gap", pull.level, results.arms[pull.arm].name)] = pull.gap.interval.mean
    return metrics
