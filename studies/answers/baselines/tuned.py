"""The settings that methods were tuned over, and the best of each on the seeds that choose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from studies.answers.comparing.plan import SETTING
from studies.answers.comparing.staging import CHOSEN_BY, accuracies
from studies.answers.results import Contrast, Results, slug
from studies.engine.arms import Arm
from studies.engine.folder import StudyFolder
from studies.engine.rows import Array, Row
from studies.engine.statistics.selection import best_setting
from studies.engine.wording import plural


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


def chosen_how(tuning: Tuning) -> str:
    """`the best of 9 settings on the validation accuracies of 2 seeds, measured on 6 others`."""
    counts = sorted({len(method.tried) for method in tuning.methods})
    settings = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    seeds = plural(len(tuning.choosing), "seed")
    chosen = f"the best of {settings} settings on the {CHOSEN_BY} accuracies of {seeds}"
    return f"{chosen}, measured on {len(tuning.judging)} others"
