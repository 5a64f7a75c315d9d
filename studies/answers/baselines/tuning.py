"""Whether tuning changes the comparison: the best of as many settings of each method, judged on other seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scipy.stats import rankdata

from studies.answers.baselines.tuned import Method, Tuning, chosen_how
from studies.answers.baselines.tuning_figure import tuning_figure
from studies.answers.ledger import Ledger, Part, Ruling
from studies.answers.parts.plain import too_few
from studies.answers.parts.wording import ADVANTAGES, grouped, listed
from studies.answers.results import slug
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Quantity, Sentence, Table
from studies.engine.folder import StudyFolder
from studies.engine.statistics import mean_interval
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import clock, images, plural


def tuning_part(ledger: Ledger, folder: StudyFolder) -> Part:
    """Each method's best setting beside its defaults, and the term's gain where base and term are both tuned."""
    if "tuned_on" not in folder.study:
        return Part()
    tuning = Tuning(folder)
    chosen = {method.arm.key: method for method in tuning.methods if method.measured(tuning.results)}
    if not chosen:
        return Part(
            [Sentence("Tuning has no answer yet, because settings have no accuracy on the seeds to choose on.")]
        )
    changed = [method for method in chosen.values() if not method.kept]
    gains = ledger.family("tuned methods over their defaults", map(tuning.gain, changed))
    pairs = [(method, chosen[method.arm.control]) for method in chosen.values() if method.arm.control in chosen]
    of_term = ledger.family("the term's gain where both are tuned", [tuning.of_term(*pair) for pair in pairs])
    decided = {tuning.method_of(one.contrast.terms[0][1].arm).arm.key for one in gains if one.differs}
    ruled = dict(zip((method.arm.key for method in changed), gains, strict=True))
    sentences = [_changes(tuning, list(chosen.values()), gains), _term(pairs, of_term), _left_out(tuning, chosen)]
    return Part(
        sentences,
        [_table(ledger, tuning, list(chosen.values()), ruled), _gains(pairs, of_term)],
        [tuning_figure(tuning, list(chosen.values()), decided)],
        notes=[NOTE],
        plain=[_plain(tuning, chosen, gains, pairs, of_term)],
    )


def _changes(tuning: Tuning, chosen: Sequence[Method], gains: Sequence[Ruling]) -> Sentence:
    kept, changed = ([one.arm.name for one in chosen if one.kept is same] for same in (True, False))
    text = f"Each of {plural(len(chosen), 'method')} tuned ({chosen_how(tuning)}) against its defaults"
    parts = [f"test accuracy is {grouped(gains, changed, ADVANTAGES)}"] if gains else []
    parts += [f"the defaults are the best setting of {listed(kept)}"] if kept else []
    return Sentence(f"{text}: {'; '.join(parts)}.", tuple(ruling.claim for ruling in gains))


def _term(pairs: Sequence[tuple[Method, Method]], rulings: Sequence[Ruling]) -> Sentence | None:
    if not rulings:
        return None
    names = [f"{method.arm.name} over {base.arm.name}" for method, base in pairs]
    text = f"Where base and term are both tuned, test accuracy is {grouped(rulings, names, ADVANTAGES)}."
    return Sentence(text, tuple(ruling.claim for ruling in rulings))


def _left_out(tuning: Tuning, chosen: Mapping[str, Method]) -> Sentence | None:
    left = [method.arm.name for method in tuning.methods if method.arm.key not in chosen]
    if not left:
        return None
    why = "each of its settings lacks an accuracy on a seed to choose on, or the best has not run on the others"
    return Sentence(f"Tuning says nothing of {listed(left)}: {why}.")


def _plain(
    tuning: Tuning,
    chosen: Mapping[str, Method],
    gains: Sequence[Ruling],
    pairs: Sequence[tuple[Method, Method]],
    of_term: Sequence[Ruling],
) -> Sentence:
    """How many methods tuning changes, and on how many bases the term still gains."""
    rulings = (*gains, *of_term)
    if why := too_few(rulings):
        return Sentence(f"On {_data(tuning)}, tuning: {why[0].lower()}{why[1:]}", tuple(one.claim for one in rulings))
    better = sum(ruling.decision is Decision.GAIN for ruling in gains)
    of = plural(len(chosen), "method")
    text = f"On {_data(tuning)}, tuning ({chosen_how(tuning)}) is shown to improve {better} of {of}"
    if of_term:
        names = [base.arm.name for _, base in pairs]
        text += f"; with base and term both tuned, the term is {grouped(of_term, names, ON_BASE)}"
    return Sentence(f"{text}.", tuple(ruling.claim for ruling in rulings))


ON_BASE = {
    Decision.GAIN: "a gain on",
    Decision.LOSS: "a loss on",
    Decision.NEGLIGIBLE: "no difference beyond half a point on",
    Decision.UNDECIDED: "undecided on",
}


def _data(tuning: Tuning) -> str:
    folder = tuning.results.folder
    return f"{folder.study['dataset']}, with {images(folder.configuration['ipc'])}"


def _table(ledger: Ledger, tuning: Tuning, chosen: Sequence[Method], ruled: Mapping[str, Ruling]) -> Table:
    found = [(method, tuning.judged(method.arm.key), tuning.judged(method.best)) for method in chosen]
    means = [[mean_interval(one) for one in (default, best)] for _, default, best in found]
    ranks = [_ranks([pair[k].mean for pair in means]) for k in (0, 1)]
    rows: list[dict[str, Entry]] = []
    for k, (method, *_) in enumerate(found):
        default, best = means[k]
        ruling = ruled.get(method.arm.key)
        ends = best.mean, best.low, best.high
        ledger.estimate(
            slug("tuned", "mean", method.arm.key),
            f"test accuracy of {method.arm.name}, tuned",
            *ends,
            best.n,
            "percent",
        )
        rows.append(
            {
                "method": method.arm.name,
                "settings": len(method.tried),
                "tried": tuning.span(method),
                "best": tuning.values(method),
                "with its defaults": Quantity.of(default, "percent"),
                "tuned": Quantity.of(best, "percent"),
                "gain of tuning": None if ruling is None else ruling.quantity,
                "decision": "the same setting" if ruling is None else ruling.word,
                "rank with defaults": ranks[0][k],
                "rank tuned": ranks[1][k],
                "tuning took": clock(tuning.seconds(method)),
            }
        )
    return Table.of(
        "tuned",
        "One recipe, and each method tuned",
        rows,
        "Every method with knobs to search tries as many settings of them, its defaults among them: "
        f"{chosen_how(tuning)}. Both accuracies are of the seeds to judge on, with 95% t intervals over sets; the "
        "gain is paired. Settings are Sobol points of the ranges that a method declares; the recipe of evaluation, the "
        "iterations and the image updates in each are not tuned. Ranks are of the means, 1 the highest. Tuning took: "
        "all trials on the seeds to choose on, on one worker.",
    )


def _ranks(means: Sequence[float | None]) -> list[float | None]:
    """The rank of each mean, 1 for the highest; None where there is none."""
    known = [mean for mean in means if mean is not None]
    return [None if mean is None else float(rankdata([-other for other in known])[known.index(mean)]) for mean in means]


def _gains(pairs: Sequence[tuple[Method, Method]], rulings: Sequence[Ruling]) -> Table | None:
    rows: list[dict[str, Entry]] = [
        {
            "with the term": method.arm.name,
            "the base alone": base.arm.name,
            "paired gain, both tuned": ruling.quantity,
            "decision": ruling.word,
            "p (Holm)": ruling.judged.difference,
            "pairs": ruling.interval.n,
            "pairs that would decide": ruling.needed or None,
        }
        for (method, base), ruling in zip(pairs, rulings, strict=True)
    ]
    if not rows:
        return None
    note = "Each at its own best setting. Paired by seed over the seeds to judge on, with 95% t intervals."
    return Table.of("tuned_gains", "What the MI term adds where base and term are both tuned", rows, note)


NOTE = (
    "Tuning: every method has as many settings, as far as its knobs have so many values, not the same time. The seeds "
    "that judge a chosen setting are none of those that chose it, so what is judged is fixed before it is measured. "
    "Knobs that tell one method from another and those that --set gives are not tuned. A gain of tuning is the regret "
    "of the defaults by this search; another one may find more."
)
