"""What sets from files are worth: beside real images of the same number, on every network, recipe and corruption."""

from __future__ import annotations

from studies.answers.ledger import Ledger, Part, Ruling
from studies.answers.parts.judges import judges_part
from studies.answers.parts.overview import losses, unready
from studies.answers.parts.plain import compared
from studies.answers.parts.wording import decisions
from studies.answers.results import Results
from studies.engine.answer import Answer, Sentence, percent
from studies.engine.arms import CEILING, FLOOR
from studies.engine.folder import StudyFolder
from studies.engine.scoring import SET
from studies.engine.wording import decimal, images, plural


def write_answer(folder: StudyFolder) -> Answer:
    """The sentences, the tables and the figures."""
    ledger = Ledger(Results(folder))
    results = ledger.results
    sets = [arm.key for arm in results.arms.values() if arm.method == SET]
    anchors = [arm.key for arm in results.arms.values() if arm.method != SET]
    if (why := unready(ledger, sets, "test")) is not None:
        return ledger.compose(why)
    over = {
        key: ledger.family(
            f"{results.arms[key].name} over random real images",
            [results.gain(key, levels) for levels in results.levels],
        )
        for key in sets
        if FLOOR in anchors
    }
    coresets = [key for key in anchors if key not in (FLOOR, CEILING)]
    others = ledger.family("over coresets", [results.against(key, other) for key in sets for other in coresets])
    sentences = [_accuracies(ledger, [*sets, *anchors])]
    sentences += [_over_random(ledger, key, rulings) for key, rulings in over.items()]
    sentences += [_over_coresets(ledger, sets, others)] if others else []
    return ledger.compose(
        Part([*sentences, losses(ledger.results)]),
        judges_part(ledger, [*sets, *anchors], over),
        Part(notes=_notes(ledger, sets), plain=[_plain(ledger, key, over.get(key, [])) for key in sets]),
    )


def _accuracies(ledger: Ledger, arms: list[str]) -> Sentence:
    """Every arm's accuracy with the study's own network."""
    results, study = ledger.results, ledger.results.folder.study
    means = [ledger.claimed_mean(results.cell(arm)) for arm in arms]
    parts = [f"{results.arms[arm].name} {percent(mean)}" for arm, (mean, _) in zip(arms, means, strict=True)]
    text = (
        f"On {study['dataset']}, with {images(results.folder.configuration['ipc'])} (protocol {study['protocol']}, "
        f"network {results.reference[0]}), the mean test accuracy is: {'; '.join(parts)}."
    )
    return Sentence(text, tuple(claim for _, claim in means))


def _over_random(ledger: Ledger, key: str, rulings: list[Ruling]) -> Sentence:
    """The set less random real images, with the study's own network and wherever else it is decided."""
    by_level = dict(zip((levels[0] for levels in ledger.results.levels), rulings, strict=True))
    first = rulings[0]
    text = (
        f"{ledger.results.arms[key].name} less random real images is {first.points} with {ledger.results.reference[0]} "
        f"(n = {first.interval.n}): {first.statement}. {_everywhere(by_level)}"
    )
    return Sentence(text, tuple(ruling.claim for ruling in rulings))


def _everywhere(rulings: dict[str, Ruling]) -> str:
    """Where it is decided; every level is named only where they differ."""
    found = {ruling.direction for ruling in rulings.values() if ruling.judged.decided}
    if len(found) == 1 and all(ruling.judged.decided for ruling in rulings.values()):
        return f"It is {found.pop()} under all {plural(len(rulings), 'judge')}."
    return decisions(rulings)


def _over_coresets(ledger: Ledger, sets: list[str], rulings: list[Ruling]) -> Sentence:
    results = ledger.results
    clauses = []
    for ruling in rulings:
        (_, a), (_, b) = ruling.contrast.terms
        clauses.append(f"{results.arms[a.arm].name} less {results.arms[b.arm].name} {ruling.points} ({ruling.word})")
    return Sentence(f"With {results.reference[0]}: {'; '.join(clauses)}.", tuple(ruling.claim for ruling in rulings))


def _plain(ledger: Ledger, key: str, rulings: list[Ruling]) -> Sentence:
    """The set's accuracy and how it compares with random real images, in one sentence that can be quoted alone."""
    results = ledger.results
    mean, claim = ledger.claimed_mean(results.cell(key))
    networks = plural(mean.n * results.judges(results.cell(key)), "fresh network")
    text = (
        f"{networks} ({results.reference[0]}) trained on {results.arms[key].name} reach {percent(mean)} on the test "
        f"images of {results.folder.study['dataset']}"
    )
    claims = [claim]
    if rulings:
        text += f"; the set {compared(rulings[0], 'random real images of the same number')}"
        claims.append(rulings[0].claim)
    ceiling = results.mean(results.cell(CEILING)).mean if CEILING in results.arms else None
    floor = results.mean(results.cell(FLOOR)).mean if FLOOR in results.arms else None
    if ceiling is not None and floor is not None and mean.mean is not None and ceiling > floor:
        share = decimal(100 * (mean.mean - floor) / (ceiling - floor), ".0f")
        text += f", {share}% of the way from them to full data"
    return Sentence(f"{text}.", tuple(claims))


def _notes(ledger: Ledger, sets: list[str]) -> list[str]:
    results = ledger.results
    networks = results.judges(results.cell(sets[0]))
    notes = [
        f"A set from a file is one set: its interval is over {plural(len(results.seeds), 'group')} of "
        f"{plural(networks, 'fresh network')}, and says nothing about other sets of its method. Random images and "
        "coresets are another set for every seed. What is decided is decided about this file.",
        "All sets of a seed are evaluated with networks of the same initial weights, trained by the same recipe on the "
        "images as they are in the file; corruptions are of test images alone.",
    ]
    if CEILING in results.arms and (config := results.config(CEILING)):
        notes.append(
            f"Full data: the same recipe on all training images, one network, at most {config['evaluation.max_steps']} "
            "steps."
        )
    return notes
