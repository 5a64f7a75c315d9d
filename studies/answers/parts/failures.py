"""Where a study breaks: every failure mode at every level, where it begins, and a trial that shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from studies.answers.ledger import Ledger, Part
from studies.answers.parts.drawing import INCHES_A_LETTER, INK, PAGE, SMALLEST, panels
from studies.answers.parts.heat_maps import hatch, ink_on, shares_map
from studies.answers.parts.pictures import picture_figure
from studies.answers.parts.wording import at, listed
from studies.answers.results import Cell
from studies.engine.answer import Figure, Sentence, Table
from studies.engine.arms import CEILING
from studies.engine.failures import FAILED, FAILURES, UNDECIDED, Group, describe, named
from studies.engine.wording import plural

EXAMPLES = 8
Levels = tuple[str, ...]


@dataclass(frozen=True)
class Occurrence:
    """One mode of one cell.

    count of `of` trials failed (a group counts as one); undecided: the rule decides nothing; example: the trial that
    shows it most clearly, with what its detector said.
    """

    mode: str
    side: str
    group: bool
    cell: Cell
    count: int
    of: int
    undecided: bool
    evidence: str
    example: str

    @property
    def failed(self) -> bool:
        """Most trials failed, or the group did."""
        return 2 * self.count > self.of

    @property
    def name(self) -> str:
        return named(self.mode, self.side)


def occurrences(ledger: Ledger, groups: Mapping[Cell, Group]) -> list[Occurrence]:
    """Every mode that could occur in every cell. groups: what the detectors of groups read, by cell."""
    results = ledger.results
    seen: list[Occurrence] = []
    for levels in results.levels:
        for arm in results.arms:
            cell = Cell(arm, levels)
            if results.setting(cell) is not None:
                seen += _of_trials(ledger, cell)
                seen += _of_group(ledger, cell, groups[cell]) if cell in groups else ()
    return seen


def _of_trials(ledger: Ledger, cell: Cell) -> Iterator[Occurrence]:
    rows = ledger.results.rows(cell)
    for mode in sorted({mode for row in rows for mode in row.failures}):
        held = [(row.trial, row.failures[mode]) for row in rows if mode in row.failures]
        failed = [(trial, finding) for trial, finding in held if finding["state"] == FAILED]
        for side in sorted({finding["side"] for _, finding in failed}) or [""]:
            here = [(trial, finding) for trial, finding in failed if finding["side"] == side]
            trial, finding = max(here or held, key=lambda pair: abs((pair[1]["value"] or 0) - pair[1]["threshold"]))
            yield Occurrence(mode, side, False, cell, len(here), len(held), False, finding["evidence"], trial)


def _of_group(ledger: Ledger, cell: Cell, group: Group) -> Iterator[Occurrence]:
    for mode in FAILURES.names():
        detector = FAILURES.build(mode)
        finding = detector(group) if detector.scope == "group" else None
        if finding is not None:
            failed, example = finding.state == FAILED, ledger.results.trials(cell)[0]
            undecided = finding.state == UNDECIDED
            yield Occurrence(mode, finding.side, True, cell, int(failed), 1, undecided, finding.evidence, example)


@dataclass(frozen=True)
class Onset:
    """Where a mode (`name`: with its side) fails for an arm on one curve, or at one level that lies on none.

    begins: the mildest level from which on it always fails; only: the levels where it fails although it does not at a
    more severe one; everywhere: at every level, the reference too.
    """

    name: str
    mode: str
    arm: str
    kind: str
    begins: str
    only: tuple[str, ...]
    evidence: str
    everywhere: bool = False

    @property
    def where(self) -> str:
        """The place in words."""
        if self.everywhere:
            return "at every level, clean data included"
        told = [f"only {at(listed(self.only))}"] if self.only else []
        if self.begins:
            told.append(f"at {self.begins}" if self.kind == self.begins else f"from {self.begins} on")
        return " and ".join(told)


def onsets(ledger: Ledger, seen: Sequence[Occurrence]) -> list[Onset]:
    """Where every mode that fails somewhere begins, by arm; one that fails everywhere stands once."""
    results, order = ledger.results, list(ledger.results.arms)
    curves = [(curve.name, [levels for _, levels in points[1:]]) for curve, points in results.curves()]
    on_curves = {levels for _, members in curves for levels in members} | {results.reference}
    kinds = curves + [(label(one), [one]) for one in results.levels if one not in on_curves]
    begun = []
    failing_modes = {(one.name, one.mode, one.cell.arm) for one in seen if one.failed}
    for name, mode, arm in sorted(failing_modes, key=lambda one: (one[0], order.index(one[2]))):
        failing = {one.cell.levels: one for one in seen if one.name == name and one.cell.arm == arm and one.failed}
        if len(failing) == len(results.levels):
            begun.append(Onset(name, mode, arm, "all", "", (), failing[results.reference].evidence, True))
            continue
        if results.reference in failing:
            told = (label(results.reference) or "the reference",)
            begun.append(Onset(name, mode, arm, "clean", "", told, failing[results.reference].evidence))
        for kind, members in kinds:
            here = [levels for levels in members if levels in failing]
            if not here:
                continue
            start = len(members)
            while start and members[start - 1] in failing:
                start -= 1
            begins = label(members[start]) if start < len(members) else ""
            only = tuple(label(levels) for levels in here if members.index(levels) < start)
            begun.append(Onset(name, mode, arm, kind, begins, only, failing[here[-1]].evidence))
    return begun


def label(levels: Levels) -> str:
    """Levels in words."""
    return " · ".join(levels)


def failure_part(ledger: Ledger, seen: Sequence[Occurrence]) -> Part:
    """The failure map in words, as a table and as pictures; the modes of groups by trial."""
    begun = onsets(ledger, seen)
    failed: dict[str, list[str]] = {}
    for one in seen:
        if one.group and one.failed:
            for trial in ledger.results.trials(one.cell):
                failed.setdefault(trial, []).append(one.mode)
    figures = [failure_map(ledger, seen), examples(ledger, seen)]
    return Part(_sentences(ledger, seen, begun), [_table(ledger, begun)], figures, failed=failed)


def _sentences(ledger: Ledger, seen: Sequence[Occurrence], begun: Sequence[Onset]) -> list[Sentence]:
    """What fails where, and what is undecided."""
    results, sentences = ledger.results, []
    for name in sorted({onset.name for onset in begun}):
        told = []
        for arm in dict.fromkeys(onset.arm for onset in begun if onset.name == name):
            places = [onset.where for onset in begun if (onset.name, onset.arm) == (name, arm)]
            told.append(f"{results.arms[arm].name} {', '.join(places)}")
        sentences.append(Sentence(f"The failure mode {name} occurs for {'; for '.join(told)}."))
    if not sentences:
        sentences.append(Sentence("No failure mode occurs in most seeds of any condition."))
    counts = []
    for mode in sorted({one.mode for one in seen if one.undecided}):
        judged = [one for one in seen if one.mode == mode]
        counts.append(f"{mode} in {sum(one.undecided for one in judged)} of {len(judged)} cases")
    if counts:
        sentences.append(Sentence(f"Undecided with {plural(len(results.seeds), 'seed')}: {', '.join(counts)}."))
    return sentences


def _table(ledger: Ledger, begun: Sequence[Onset]) -> Table:
    accuracy = ledger.results.folder.study.get("reference_accuracy")
    rows = [
        {
            "mode": one.name,
            "method": ledger.results.arms[one.arm].name,
            "kind": one.kind,
            "fails": one.where,
            "evidence there": one.evidence,
            "what it is": describe(one.mode),
        }
        for one in begun
    ]
    return Table.of(
        "failures",
        "Where each failure mode begins",
        rows,
        "A failure mode of single trials occurs where most seeds show it, one of paired trials where the tests decide "
        "it; `from X on`: also at every more severe level of the same kind. The reference network that classifies the "
        f"synthetic images has {'an unknown accuracy' if accuracy is None else f'an accuracy of {accuracy:.1%}'} on "
        "validation.",
    )


def failure_map(ledger: Ledger, seen: Sequence[Occurrence]) -> Figure | None:
    """Mode x level, a row for each arm that shows the mode somewhere or may, with the counts of failed trials."""
    results = ledger.results
    columns, arms = list(results.levels), list(results.arms)
    rows = sorted(
        {(one.name, one.mode, one.cell.arm) for one in seen if one.count or one.undecided},
        key=lambda row: (row[0], arms.index(row[2])),
    )
    if not rows:
        return None
    names, levels = [results.arms[arm].name for *_, arm in rows], [label(one) for one in columns]
    left, right = (INCHES_A_LETTER * max(map(len, one)) for one in (names, [name for name, *_ in rows]))
    size = (max(6.0, 0.26 * len(columns) + left + right + 0.3), 0.2 * len(rows) + 0.065 * max(map(len, levels)) + 0.4)
    drawing, (axes,) = panels(1, 1, size)
    _fill(axes, rows, columns, seen)
    axes.set_xticks(range(len(columns)), levels, rotation=90)
    axes.set_yticks(range(len(rows)), names)
    axes.tick_params(length=0)
    for y, (name, *_) in enumerate(rows):
        if y == 0 or rows[y - 1][0] != name:
            axes.axhline(y - 0.5, color=INK, lw=0.8)
            at = ("axes fraction", "data")
            axes.annotate(name, (1.01, y), xycoords=at, va="center", fontsize=8.5, annotation_clip=False)
    return Figure(
        "failures",
        "Failure map",
        f"Failed trials out of {plural(len(results.seeds), 'seed')} for each failure mode (right), method (left) and "
        "training data (columns); `yes`: the tests over paired trials decide it, `?` and hatched: they leave it "
        "undecided. White: tested for and not present; grey: cannot occur. Modes, and methods of a mode, without a "
        "failed or undecided case are omitted.",
        drawing,
    )


def _fill(
    axes: Axes, rows: Sequence[tuple[str, str, str]], columns: Sequence[Levels], seen: Sequence[Occurrence]
) -> None:
    """The shares of failed trials as colours, with their counts; undecided cells hatched."""
    share, texts = np.full((len(rows), len(columns)), np.nan), {}
    for one in seen:
        x = columns.index(one.cell.levels)
        for y, (name, mode, arm) in enumerate(rows):
            if one.cell.arm != arm or one.mode != mode:
                continue
            if one.name != name:
                # Its other side failed here, or none: this one was looked for and not found.
                share[y, x] = np.nan_to_num(share[y, x])
                continue
            share[y, x] = one.count / one.of if one.of else np.nan
            texts[y, x] = (
                "?" if one.undecided else ("yes" if one.group else f"{one.count}/{one.of}") if one.count else ""
            )
            if one.undecided:
                hatch(axes, x, y)
    image = axes.imshow(share, vmin=0, vmax=1, cmap=shares_map(), aspect="auto", interpolation="nearest")
    colours = image.to_rgba(share)
    for (y, x), text in texts.items():
        axes.text(x, y, text, ha="center", va="center", fontsize=SMALLEST, color=ink_on(colours[y, x]))


def examples(ledger: Ledger, seen: Sequence[Occurrence]) -> Figure | None:
    """For each mode the trial that shows it most clearly."""
    results = ledger.results
    columns = list(results.levels)
    worst: dict[str, tuple[tuple[bool, bool, float, int], Occurrence]] = {}
    for one in seen:
        arm, level = results.arms[one.cell.arm], columns.index(one.cell.levels)
        if one.count and arm.method != CEILING and results.folder.picture(one.example) is not None:
            # A method says more than random images, perturbed data more than clean ones.
            rank = (not arm.anchor, level > 0, one.count / one.of, level)
            if one.name not in worst or rank > worst[one.name][0]:
                worst[one.name] = (rank, one)
    shown = [worst[name][1] for name in sorted(worst)][:EXAMPLES]
    grid = []
    for one in shown:
        where = ", ".join([results.arms[one.cell.arm].name, *filter(None, [label(one.cell.levels)])])
        grid.append([(f"{one.name}: {where}\n{one.evidence}", one.example)])
    caption = (
        f"For each failure mode that occurs (at most {EXAMPLES}): a synthetic set from the most severe condition in "
        "which it occurs, with the evidence of its detector; for a mode of paired trials, the set of the first seed."
    )
    return picture_figure(results.folder, "examples", "Examples of the failure modes", caption, grid or [[]], PAGE)
