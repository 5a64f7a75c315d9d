"""How far a planted cue pulls, and whether distilling amplifies it, beyond full data and beyond so few images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from perturbations.cues.planting import ALIGNED, CONFLICTING, UNBIASED
from studies.answers.ledger import Ledger, Ruling
from studies.answers.results import Cell, Contrast, Results, slug
from studies.engine.arms import CEILING, FLOOR, Arm
from studies.engine.statistics.contrasts import Decision

# A gap that grows is no gain.
UNIT = "points apart"


@dataclass(frozen=True)
class Pull:
    """An arm at a correlation: its gap, accuracy on aligned less that on conflicting test images, and the gap less
    that of full data and of random images, None for these themselves and at the independent cue."""

    arm: str
    level: str
    gap: Ruling
    over_full: Ruling | None = None
    over_random: Ruling | None = None

    @property
    def verdict(self) -> str:
        """`amplified` where both contrasts are gains, `suppressed` where both are losses; not amplified where one of
        them is decided otherwise, and of which the other is a gain; "" where there is nothing to compare."""
        if self.over_full is None or self.over_random is None:
            return ""
        full, random = self.over_full.decision, self.over_random.decision
        if full is random is Decision.GAIN:
            return AMPLIFIED
        if full is random is Decision.LOSS:
            return SUPPRESSED
        if full is random is Decision.NEGLIGIBLE:
            return SAME
        if full is Decision.GAIN and random is not Decision.UNDECIDED:
            return FEW
        if random is Decision.GAIN and full is not Decision.UNDECIDED:
            return CAPPED
        return NOT if {full, random} & {Decision.LOSS, Decision.NEGLIGIBLE} else OPEN


AMPLIFIED, SUPPRESSED, SAME = "amplified", "suppressed", "as in full data and random images"
FEW, CAPPED = (
    "more than in full data, but no more than in random images",
    "more than in random images, no more than full",
)
NOT, OPEN = "not amplified", "undecided"


def pulls(ledger: Ledger) -> list[Pull]:
    """Every arm at every correlation, judged in families that the plan fixes."""
    results = ledger.results
    levels = [level.label for level in results.factors[0].levels]
    cells = [(arm, level) for level in levels for arm in results.arms]
    gaps = dict(zip(cells, ledger.family("gaps", [_gap(results, *cell) for cell in cells]), strict=True))
    distilled = [(arm, level) for arm, level in cells if not results.arms[arm].anchor and level != levels[0]]
    over = {
        anchor: dict(
            zip(
                distilled,
                ledger.family(f"gaps less those of {results.arms[anchor].name}", _against(results, distilled, anchor)),
                strict=True,
            )
        )
        for anchor in (CEILING, FLOOR)
    }
    return [Pull(*cell, gaps[cell], over[CEILING].get(cell), over[FLOOR].get(cell)) for cell in cells]


def term_on_gap(ledger: Ledger) -> list[Ruling]:
    """The gap of each arm with the term less its base's, at each correlation but the independent one."""
    results = ledger.results
    cells = [
        (arm.key, level.label)
        for level in results.factors[0].levels[1:]
        for arm in results.arms.values()
        if arm.control
    ]
    contrasts = [_less(results, arm, results.arms[arm].control, level, "term-gap") for arm, level in cells]
    return ledger.family("what the term does to gaps", contrasts)


def reweighted(ledger: Ledger) -> tuple[list[Ruling], list[Ruling]]:
    """Each method that draws rare images more often less itself without, at every correlation: accuracy on unbiased
    test images, and gap."""
    results = ledger.results
    twins = {
        arm.key: other.key for arm in results.arms.values() for other in results.arms.values() if _is_twin(arm, other)
    }
    cells = [(arm, other, level.label) for level in results.factors[0].levels for arm, other in twins.items()]
    accuracies = [
        results.contrast(
            slug("reweighted", arm, level),
            f"{results.arms[arm].name} less {results.arms[other].name}, unbiased test images, {level}",
            (1.0, Cell(arm, unbiased(level))),
            (-1.0, Cell(other, unbiased(level))),
        )
        for arm, other, level in cells
    ]
    gaps = [_less(results, arm, other, level, "reweighted-gap") for arm, other, level in cells]
    return (
        ledger.family("accuracy with rare images drawn more often, less without", accuracies),
        ledger.family("gaps with rare images drawn more often, less without", gaps),
    )


def _is_twin(arm: Arm, other: Arm) -> bool:
    """Whether the one draws rare images more often and the other, else the same, does not."""
    left = {key: value for key, value in arm.knobs.items() if not (key.endswith(".batch_weights") and value == "rare")}
    return left != arm.knobs and left == other.knobs and arm.method == other.method


def _terms(arm: str, level: str, weight: float = 1.0) -> tuple[tuple[float, Cell], ...]:
    return ((weight, Cell(arm, (level, ALIGNED))), (-weight, Cell(arm, (level, CONFLICTING))))


def _gap(results: Results, arm: str, level: str) -> Contrast:
    what = f"accuracy of {results.arms[arm].name} on aligned less that on conflicting test images, {level}"
    return replace(results.contrast(slug("gap", arm, level), what, *_terms(arm, level)), unit=UNIT)


def _less(results: Results, arm: str, other: str, level: str, kind: str) -> Contrast:
    what = f"gap of {results.arms[arm].name} less that of {results.arms[other].name}, {level}"
    terms = (*_terms(arm, level), *_terms(other, level, -1.0))
    return replace(results.contrast(slug(kind, arm, level), what, *terms), unit=UNIT)


def _against(results: Results, cells: Sequence[tuple[str, str]], anchor: str) -> list[Contrast]:
    return [_less(results, arm, anchor, level, f"amplified-over-{anchor}") for arm, level in cells]


def unbiased(level: str) -> tuple[str, str]:
    """The levels of a correlation with unbiased test images."""
    return level, UNBIASED
