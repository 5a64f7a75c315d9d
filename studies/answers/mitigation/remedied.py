"""What knobs do as remedies: each method with them less itself without, at every condition and on clean data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from studies.answers.ledger import Ledger, Part, Ruling
from studies.answers.mitigation.cleanings import cleaning_of
from studies.answers.mitigation.plan import REMEDY, SHAM_ARM
from studies.answers.mitigation.times import Needed
from studies.answers.parts.heat_maps import HeatCell, difference_cell
from studies.answers.parts.matrix import MARKED, grid_drawing
from studies.answers.parts.plain import too_few
from studies.answers.parts.wording import grouped, listed
from studies.answers.results import Cell, Contrast, Results, slug
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Figure, Sentence, Table
from studies.engine.arms import Arm
from studies.engine.folder import StudyFolder
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import images, plural

HELPS = {
    Decision.GAIN: "a gain for",
    Decision.LOSS: "a loss for",
    Decision.NEGLIGIBLE: "no difference beyond half a point for",
    Decision.UNDECIDED: "undecided for",
}
ROLES = (REMEDY, SHAM_ARM)


def without_remedies(folder: StudyFolder) -> StudyFolder:
    """The study without the arms that have knobs as remedies, and their shams."""
    return replace(folder, settings=[setting for setting in folder.settings if setting.arm.role not in ROLES])


@dataclass(frozen=True)
class Remedied:
    """A method with a remedy's knobs, at a condition. over_sham: less its sham, None where it has none; of_oracle: less
    the method without it on right labels alone, None where all are right.
    """

    arm: Arm
    plain: Arm
    levels: tuple[str, ...]
    gain: Ruling
    over_sham: Ruling | None
    of_oracle: Ruling | None

    @property
    def knobs(self) -> str:
        """What the remedy sets, `last_weight=0`."""
        return _knobs(self.arm, self.plain)


def _knobs(arm: Arm, plain: Arm) -> str:
    own = {key: value for key, value in arm.knobs.items() if plain.knobs.get(key) != value}
    return ", ".join(f"{key.rpartition('.')[2]}={_short(value)}" for key, value in own.items())


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def remedied_part(ledger: Ledger, folder: StudyFolder, metric: str) -> Part:
    """The gains of all remedies that are knobs, under what they are meant for and on clean data."""
    results = Results(folder)
    arms = [arm for arm in results.arms.values() if arm.role == REMEDY]
    shams = {arm.control: arm for arm in results.arms.values() if arm.role == SHAM_ARM}
    cells = [
        (arm, shams.get(arm.key), levels)
        for levels in results.levels
        for arm in arms
        if results.setting(Cell(arm.key, levels))
    ]
    if not cells:
        return Part()

    def judged(kind: str, what: str, pairs: Sequence[tuple[Cell, Cell]]) -> dict[Cell, Ruling]:
        """The rulings of cells less others, a family on clean data and one elsewhere."""
        found: dict[Cell, Ruling] = {}
        for where, clean in (("under noise or imbalance", False), ("on clean data", True)):
            own = [(cell, other) for cell, other in pairs if (cell.levels == results.reference) is clean]
            contrasts = [_less(results, kind, cell, other, metric) for cell, other in own]
            rulings = ledger.family(f"{what}, {where}", contrasts)
            found |= dict(zip((cell for cell, _ in own), rulings, strict=True))
        return found

    gains = judged(
        "remedied",
        "a method with a remedy less itself without",
        [(Cell(arm.key, levels), Cell(arm.control, levels)) for arm, _, levels in cells],
    )
    over = judged(
        "remedied-over-sham",
        "a method with a remedy less its sham",
        [(Cell(arm.key, levels), Cell(sham.key, levels)) for arm, sham, levels in cells if sham],
    )
    right = _right_labels(folder)
    oracles = judged(
        "remedied-short-of-oracle",
        "a method with a remedy less itself on right labels alone",
        [
            (Cell(arm.key, levels), Cell(arm.control, (right[levels[0]], *levels[1:])))
            for arm, _, levels in cells
            if levels[0] in right
        ],
    )
    found = [
        Remedied(arm, results.arms[arm.control], levels, gains[cell], over.get(cell), oracles.get(cell))
        for arm, _, levels in cells
        for cell in (Cell(arm.key, levels),)
    ]
    sentences = [_told(results, group) for group in _groups(found)]
    return Part(sentences, [_table(found)], [_figure(results, found)], notes=[NOTE], plain=_plain(results, found))


def remedies_needed(folder: StudyFolder) -> list[Needed]:
    """Each method with a remedy's knobs, and without them, wherever both run."""
    results = Results(folder)
    arms = [(arm, results.arms[arm.control]) for arm in results.arms.values() if arm.role == REMEDY]
    pairs = [(arm, plain, levels) for levels in results.levels for arm, plain in arms]
    return [
        Needed(" · ".join(levels), _knobs(arm, plain), cell, Cell(plain.key, levels))
        for arm, plain, levels in pairs
        if results.setting(cell := Cell(arm.key, levels))
    ]


def _right_labels(folder: StudyFolder) -> dict[str, str]:
    """The condition that leaves out exactly the wrong labels, by that which it cleans: their labels."""
    labels = {one.text: one.label for one in folder.conditions}
    cleaned = [one for one in folder.conditions if (by := cleaning_of(one)) is not None and by.by == "oracle"]
    return {labels[before]: one.label for one in cleaned if (before := one.text.rpartition(" + ")[0]) in labels}


def _less(results: Results, kind: str, cell: Cell, other: Cell, metric: str) -> Contrast:
    what = f"{results.arms[cell.arm].name} less {results.arms[other.arm].name}{results.at(cell.levels)}"
    if other.levels != cell.levels:
        what += " with its right labels alone"
    return results.contrast(slug(kind, cell.arm, *cell.levels), what, (1.0, cell), (-1.0, other), metric=metric)


def _plain(results: Results, found: Sequence[Remedied]) -> list[Sentence]:
    """What each remedy does: the gains and losses by name, the others by their number."""
    if why := too_few([one.gain for one in found]):
        return [Sentence(why, tuple(one.gain.claim for one in found))]
    study, sets = results.folder.study, plural(len(results.seeds), "synthetic set")
    start = f"On {study['dataset']}, with {images(results.folder.configuration['ipc'])} and {sets}"
    said = []
    for knobs in dict.fromkeys(one.knobs for one in found):
        own = [one for one in found if one.knobs == knobs]
        parts = [_named(results, one) for one in own if one.gain.differs]
        others = Counter(one.gain.direction for one in own if not one.gain.differs)
        parts += [f"{word} in {count} of {plural(len(own), 'case')}" for word, count in others.items()]
        said.append(Sentence(f"{start}, {knobs} is {listed(parts)}.", tuple(one.gain.claim for one in own)))
    return said


def _named(results: Results, one: Remedied) -> str:
    return f"{one.gain.direction} for {one.plain.name}{_at(results, one)} ({one.gain.points})"


def _at(results: Results, one: Remedied) -> str:
    return " on clean data" if one.levels == results.reference else f" at {' · '.join(one.levels)}"


def _groups(found: Sequence[Remedied]) -> list[list[Remedied]]:
    """Those of one remedy at one condition."""
    groups: dict[tuple[str, tuple[str, ...]], list[Remedied]] = {}
    for one in found:
        groups.setdefault((one.knobs, one.levels), []).append(one)
    return list(groups.values())


def _told(results: Results, group: Sequence[Remedied]) -> Sentence:
    """`At exponential 10, batch_shares=proportional is a loss for DM -3.1 points [...]; undecided for ...`."""
    one, names = group[0], [one.plain.name for one in group]
    where = "On clean data" if one.levels == results.reference else f"At {' · '.join(one.levels)}"
    text = f"{where}, {one.knobs} is {grouped([one.gain for one in group], names, HELPS)}"
    claims = [one.gain.claim for one in group]
    compared = (
        ("its sham", [(other.plain.name, other.over_sham) for other in group if other.over_sham]),
        ("the right labels alone", [(other.plain.name, other.of_oracle) for other in group if other.of_oracle]),
    )
    for than, found in compared:
        if found:
            rulings = [ruling for _, ruling in found]
            text += f"; compared with {than}, it is {grouped(rulings, [name for name, _ in found], HELPS)}"
            claims += [ruling.claim for ruling in rulings]
    return Sentence(f"{text}.", tuple(claims))


def _figure(results: Results, found: Sequence[Remedied]) -> Figure:
    """A row for each method with a remedy, a column for each kind of data."""
    arms = list(dict.fromkeys(one.arm.key for one in found))
    levels = [at for at in results.levels if any(one.levels == at for one in found)]
    gains = {(one.arm.key, one.levels): difference_cell(one.gain) for one in found}
    cells = [[gains.get((arm, at), HeatCell()) for at in levels] for arm in arms]
    names = [results.arms[arm].name for arm in arms]
    return Figure(
        "remedied",
        "What knobs do as remedies",
        "Each method with a remedy less itself without it, in points of balanced test accuracy, paired by seed, with "
        f"its pointwise 95% interval; {MARKED}.",
        grid_drawing(names, [" · ".join(at) for at in levels], cells, signed=True),
    )


PAIRS = " Pairs: of the three differences in their order, where failed trials leave them different numbers."


def pairs(*rulings: Ruling | None) -> int | str:
    """The number of pairs of the differences in a row of a table, or the numbers, `5, 4, 5`, where these differ."""
    counts = [ruling.interval.n if ruling else None for ruling in rulings]
    differ = len(set(counts) - {None}) > 1
    return ", ".join("–" if n is None else str(n) for n in counts) if differ else counts[0] or 0


def told_pairs(rows: Sequence[Mapping[str, Entry]]) -> str:
    """What a table's note adds where pairs differ within a row."""
    return PAIRS if any(isinstance(row["pairs"], str) for row in rows) else ""


def _table(found: Sequence[Remedied]) -> Table:
    rows: list[dict[str, Entry]] = [
        {
            "data": " · ".join(one.levels),
            "remedy": one.knobs,
            "method": one.plain.name,
            "with less without": one.gain.starred,
            "decision": one.gain.word,
            "less its sham": one.over_sham.starred if one.over_sham else None,
            "less the oracle": one.of_oracle.starred if one.of_oracle else None,
            "pairs": pairs(one.gain, one.over_sham, one.of_oracle),
            "pairs that would decide": one.gain.needed or None,
        }
        for one in found
    ]
    return Table.of(
        "remedied",
        "What knobs do as remedies",
        rows,
        "Differences in balanced test accuracy, paired by seed, with pointwise 95% t intervals; a star marks a gain "
        "or a loss that is decided. Each kind of difference is Holm-corrected over all conditions but clean data, and "
        "over clean data apart. The sham of a weight that falls is its mean all along, that of posterior weights the "
        "same weights at random among the images of a class, that of the positives most like the set as many drawn; "
        f"the oracle is the method without the remedy, on the data without their wrong labels.{told_pairs(rows)}",
    )


NOTE = (
    "Remedies that are knobs meet the same data, initial images and evaluation networks as the method without them, on "
    "data that are not cleaned: but for the difference from the right labels alone, whose initial images are drawn "
    "anew."
)
