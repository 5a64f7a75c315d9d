"""Whether tuning changes the comparison: the best of as many settings of each method, judged on other seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from scipy.stats import rankdata

from studies.answers.comparing.plan import SETTING
from studies.answers.comparing.staging import CHOSEN_BY, accuracies
from studies.answers.ledger import Ledger, Part, Ruling
from studies.answers.parts.plain import too_few
from studies.answers.parts.wording import ADVANTAGES, grouped, listed
from studies.answers.results import Contrast, Results, slug
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Quantity, Sentence, Table
from studies.engine.arms import Arm
from studies.engine.folder import StudyFolder
from studies.engine.rows import Array, Row
from studies.engine.statistics import mean_interval
from studies.engine.statistics.contrasts import Decision
from studies.engine.statistics.selection import best_setting
from studies.engine.wording import clock, images, plural


def one_recipe(folder: StudyFolder) -> StudyFolder:
    """The study without the settings that its methods are tuned over."""
    return replace(folder, settings=[setting for setting in folder.settings if setting.arm.role != SETTING])


@dataclass(frozen=True)
class Method:
    """A method that was tuned. tried: its settings, the defaults first; best: the key of the best, "" for none."""

    arm: Arm
    tried: tuple[Arm, ...]
    best: str

    def measured(self, results: Results) -> bool:
        """Whether its best setting was planned on all seeds, which it is once all settings have their rows."""
        return bool(self.best) and len(results.trials(results.cell(self.best))) == len(results.seeds)

    @property
    def kept(self) -> bool:
        """Whether its defaults are the best of its settings."""
        return self.best == self.arm.key


class Tuning:
    """The methods that were tuned, with the seeds to choose on and to judge on."""

    def __init__(self, folder: StudyFolder) -> None:
        self.results = results = Results(folder)
        count = int(folder.study.get("tuned_on", 0))
        self.choosing, self.judging = results.seeds[:count], results.seeds[count:]
        tried: dict[str, list[Arm]] = {}
        for arm in results.arms.values():
            if arm.role == SETTING:
                tried.setdefault(arm.control, [results.arms[arm.control]]).append(arm)
        self.methods = [Method(arms[0], tuple(arms), self._best(arms)) for arms in tried.values()]

    def _best(self, arms: Sequence[Arm]) -> str:
        """The key of the best on the seeds to choose on; "" where each lost one, or one is missing."""
        rows = [[self.results.row(self.results.cell(arm.key), k) for k in range(len(self.choosing))] for arm in arms]
        known = [[row for row in of_arm if row is not None] for of_arm in rows]
        if any(len(of_arm) < len(self.choosing) for of_arm in known):
            return ""
        chosen = best_setting(accuracies(known))
        return "" if chosen is None else arms[chosen].key

    def judged(self, arm: str) -> Array:
        """The test accuracy of an arm's sets on the seeds to judge on, [seeds]."""
        return self.results.sets(self.results.cell(arm))[len(self.choosing) :]

    def gain(self, method: Method) -> Contrast:
        """A method's best setting less its defaults."""
        return self._less(slug("tuned", method.arm.key), method.best, method.arm.key, "tuned", "with its defaults")

    def of_term(self, method: Method, base: Method) -> Contrast:
        """The best setting of a base with the term less the best of the base alone."""
        return self._less(slug("tuned", "gain", method.arm.key), method.best, base.best, "tuned", "tuned")

    def _less(self, id: str, a: str, b: str, how_a: str, how_b: str) -> Contrast:
        results = self.results
        names = [self.method_of(key).arm.name for key in (a, b)]
        what = f"{names[0]}, {how_a}, less {names[1]}, {how_b}"
        terms = ((1.0, results.cell(a)), (-1.0, results.cell(b)))
        return results.contrast(id, what, *terms, among=self.judging)

    def method_of(self, setting: str) -> Method:
        """The method that a setting belongs to."""
        return next(method for method in self.methods if any(arm.key == setting for arm in method.tried))

    def values(self, method: Method) -> str:
        """The knobs of a method's best setting, `lr=3, updates=1`."""
        if method.kept:
            return "its defaults"
        own, knobs = method.arm.knobs, self.results.arms[method.best].knobs
        return ", ".join(f"{key.removeprefix('method.')}={value}" for key, value in knobs.items() if key not in own)

    def span(self, method: Method) -> str:
        """The values of each knob that were tried, from the lowest to the highest, `lr 0.01 to 9.2`."""
        own = method.arm.knobs
        values: dict[str, list[float | str]] = {}
        for arm in method.tried[1:]:
            for key, value in arm.knobs.items():
                if key not in own:
                    values.setdefault(key.removeprefix("method."), []).append(value)
        return "; ".join(f"{key} {_ends(tried)}" for key, tried in values.items())

    def seconds(self, method: Method) -> float:
        """The time of all its trials on the seeds to choose on, on one worker."""
        rows = (
            self.results.row(self.results.cell(arm.key), k) for arm in method.tried for k in range(len(self.choosing))
        )
        return sum(_seconds(row) for row in rows if row is not None)


def _ends(values: Iterable[float | str]) -> str:
    ordered = sorted(set(values), key=lambda value: (isinstance(value, str), value))
    return " to ".join(dict.fromkeys(map(str, (ordered[0], ordered[-1]))))


def _seconds(row: Row) -> float:
    return float(row.measured.get("seconds", 0.0)) - float(row.measured.get("waited_seconds", 0.0))


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
    ruled = dict(zip((method.arm.key for method in changed), gains, strict=True))
    sentences = [_changes(tuning, list(chosen.values()), gains), _term(pairs, of_term), _left_out(tuning, chosen)]
    return Part(
        sentences,
        [_table(ledger, tuning, list(chosen.values()), ruled), _gains(pairs, of_term)],
        notes=[NOTE],
        plain=[_plain(tuning, chosen, gains, pairs, of_term)],
    )


def _how(tuning: Tuning) -> str:
    """`the best of 9 settings on the validation accuracies of 2 seeds, measured on 6 others`."""
    counts = sorted({len(method.tried) for method in tuning.methods})
    settings = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    seeds = plural(len(tuning.choosing), "seed")
    chosen = f"the best of {settings} settings on the {CHOSEN_BY} accuracies of {seeds}"
    return f"{chosen}, measured on {len(tuning.judging)} others"


def _changes(tuning: Tuning, chosen: Sequence[Method], gains: Sequence[Ruling]) -> Sentence:
    kept, changed = ([one.arm.name for one in chosen if one.kept is same] for same in (True, False))
    text = f"Each of {plural(len(chosen), 'method')} tuned ({_how(tuning)}) against its defaults"
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
    text = (
        f"On {_data(tuning)}, tuning ({_how(tuning)}) is shown to improve {better} of {plural(len(chosen), 'method')}"
    )
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
        f"Every method with knobs to search tries as many settings of them, its defaults among them; {_how(tuning)}. "
        "Both accuracies are those of the seeds to judge on, with 95% t intervals over sets; the gain is paired. "
        "Settings are Sobol points of the ranges that a method declares; the recipe of evaluation, the iterations and "
        "the image updates in each are not tuned. Ranks are of the means, 1 the highest. Tuning took: all trials on "
        "the seeds to choose on, on one worker.",
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
