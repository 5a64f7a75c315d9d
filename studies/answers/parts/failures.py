"""Failure modes: where each occurs, the level at which it begins, and a trial that shows it."""

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
from studies.engine.conditions import CLEAN
from studies.engine.failures import FAILED, FAILURES, UNDECIDED, Group, describe, named
from studies.engine.wording import plural

EXAMPLES = 8
Levels = tuple[str, ...]


@dataclass(frozen=True)
class Occurrence:
    """A failure mode tested for in one cell.

    count of `of` trials failed (a group counts as one); undecided: the tests decide nothing; example: the trial that
    shows the mode most clearly; evidence: the detector's account of it.
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
        """Whether most trials failed, or the group did."""
        return 2 * self.count > self.of

    @property
    def name(self) -> str:
        return named(self.mode, self.side)


def occurrences(
    ledger: Ledger, groups: Mapping[Cell, Group], own: Mapping[str, Levels] | None = None
) -> list[Occurrence]:
    """Every mode that was tested for, by cell. groups: the input of the detectors of groups, by cell.

    own: by arm, the levels to which what its trials showed belongs, where all others are views of the same trials.
    """
    results = ledger.results
    cases: list[Occurrence] = []
    for levels in results.levels:
        for arm in results.arms:
            cell = Cell(arm, levels)
            if results.setting(cell) is not None:
                cases += _of_trials(ledger, cell) if own is None or own[arm] == levels else ()
                cases += _of_group(ledger, cell, groups[cell]) if cell in groups else ()
    return cases


def _of_trials(ledger: Ledger, cell: Cell) -> Iterator[Occurrence]:
    rows = ledger.results.rows(cell)
    for mode in sorted({mode for row in rows for mode in row.failures}):
        findings = [(row.trial, row.failures[mode]) for row in rows if mode in row.failures]
        failed = [(trial, finding) for trial, finding in findings if finding["state"] == FAILED]
        for side in sorted({finding["side"] for _, finding in failed}) or [""]:
            of_side = [(trial, finding) for trial, finding in failed if finding["side"] == side]
            trial, finding = max(
                of_side or findings, key=lambda pair: abs((pair[1]["value"] or 0) - pair[1]["threshold"])
            )
            yield Occurrence(mode, side, False, cell, len(of_side), len(findings), False, finding["evidence"], trial)


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
    """Where a mode (`name`: with its side) fails for an arm, on one curve or at one level that is on no curve.

    begins: the mildest level at and beyond which it always fails, the reference where that is everywhere; only: levels
    where it fails although it does not at a more severe one; everywhere: at every level, the reference included.
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
        """The levels as a phrase, `only at symmetric 0.2 and from symmetric 0.6 on`."""
        if self.everywhere:
            return f"at every level, {self.begins} included"
        phrases = [f"only {at(listed(self.only))}"] if self.only else []
        if self.begins:
            phrases.append(f"at {self.begins}" if self.kind == self.begins else f"from {self.begins} on")
        return " and ".join(phrases)


def onsets(ledger: Ledger, cases: Sequence[Occurrence]) -> list[Onset]:
    """The onsets of every failing mode by arm and curve; a mode that fails at every level has a single one."""
    results, order = ledger.results, list(ledger.results.arms)
    curves = [(curve.name, [levels for _, levels in points[1:]]) for curve, points in results.curves()]
    on_curves = {levels for _, members in curves for levels in members} | {results.reference}
    kinds = curves + [(label(levels), [levels]) for levels in results.levels if levels not in on_curves]
    begun = []
    failing_modes = {(case.name, case.mode, case.cell.arm) for case in cases if case.failed}
    for name, mode, arm in sorted(failing_modes, key=lambda row: (row[0], order.index(row[2]))):
        failing = {
            case.cell.levels: case for case in cases if case.name == name and case.cell.arm == arm and case.failed
        }
        if len(failing) == len(results.levels):
            reference = "clean data" if results.reference == (CLEAN.label,) else label(results.reference)
            begun.append(Onset(name, mode, arm, "all", reference, (), failing[results.reference].evidence, True))
            continue
        if results.reference in failing:
            reference = label(results.reference) or "the reference"
            begun.append(Onset(name, mode, arm, "clean", "", (reference,), failing[results.reference].evidence))
        for kind, members in kinds:
            fails_at = [levels for levels in members if levels in failing]
            if not fails_at:
                continue
            start = len(members)
            while start and members[start - 1] in failing:
                start -= 1
            begins = label(members[start]) if start < len(members) else ""
            only = tuple(label(levels) for levels in fails_at if members.index(levels) < start)
            begun.append(Onset(name, mode, arm, kind, begins, only, failing[fails_at[-1]].evidence))
    return begun


def label(levels: Levels) -> str:
    """Levels joined to one label."""
    return " · ".join(levels)


def failure_part(ledger: Ledger, cases: Sequence[Occurrence]) -> Part:
    """The failure modes as sentences, a table, a map and example pictures; group modes are also listed by trial."""
    begun = onsets(ledger, cases)
    failed: dict[str, list[str]] = {}
    for case in cases:
        if case.group and case.failed:
            for trial in ledger.results.trials(case.cell):
                failed.setdefault(trial, []).append(case.mode)
    figures = [failure_map(ledger, cases), examples(ledger, cases)]
    return Part(_sentences(ledger, cases, begun), [_table(ledger, begun)], figures, failed=failed)


def _sentences(ledger: Ledger, cases: Sequence[Occurrence], begun: Sequence[Onset]) -> list[Sentence]:
    """Which modes occur where, and how many cases are undecided."""
    results, sentences = ledger.results, []
    for name in sorted({onset.name for onset in begun}):
        clauses = []
        for arm in dict.fromkeys(onset.arm for onset in begun if onset.name == name):
            phrases = [onset.where for onset in begun if (onset.name, onset.arm) == (name, arm)]
            clauses.append(f"{results.arms[arm].name} {', '.join(phrases)}")
        sentences.append(Sentence(f"The failure mode {name} occurs for {'; for '.join(clauses)}."))
    if not sentences:
        sentences.append(Sentence("No failure mode occurs in most seeds of any condition."))
    counts = []
    for mode in sorted({case.mode for case in cases if case.undecided}):
        judged = [case for case in cases if case.mode == mode]
        counts.append(f"{mode} in {sum(case.undecided for case in judged)} of {len(judged)} cases")
    if counts:
        sentences.append(Sentence(f"Undecided with {plural(len(results.seeds), 'seed')}: {', '.join(counts)}."))
    return sentences


def _table(ledger: Ledger, begun: Sequence[Onset]) -> Table:
    accuracy = ledger.results.folder.study.get("reference_accuracy")
    rows = [
        {
            "mode": onset.name,
            "method": ledger.results.arms[onset.arm].name,
            "kind": onset.kind,
            "fails": onset.where,
            "evidence there": onset.evidence,
            "what it is": describe(onset.mode),
        }
        for onset in begun
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


def failure_map(ledger: Ledger, cases: Sequence[Occurrence]) -> Figure | None:
    """The counts of failed trials by level, in one row for each mode and arm with a failed or undecided case."""
    results = ledger.results
    columns, arms = list(results.levels), list(results.arms)
    rows = sorted(
        {(case.name, case.mode, case.cell.arm) for case in cases if case.count or case.undecided},
        key=lambda row: (row[0], arms.index(row[2])),
    )
    if not rows:
        return None
    names, levels = [results.arms[arm].name for *_, arm in rows], [*map(label, columns)]
    left, right = (INCHES_A_LETTER * max(map(len, labels)) for labels in (names, [name for name, *_ in rows]))
    size = (max(6.0, 0.26 * len(columns) + left + right + 0.3), 0.2 * len(rows) + 0.065 * max(map(len, levels)) + 0.4)
    drawing, (axes,) = panels(1, 1, size)
    _fill(axes, rows, columns, cases)
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
        f"{', '.join(factor.name for factor in results.factors) or 'training data'} (columns); `yes`: the tests over "
        "paired trials decide it, `?` and hatched: they leave it undecided. White: tested for and not present; grey: "
        "cannot occur. Modes, and methods of a mode, without a "
        "failed or undecided case are omitted.",
        drawing,
    )


def _fill(
    axes: Axes, rows: Sequence[tuple[str, str, str]], columns: Sequence[Levels], cases: Sequence[Occurrence]
) -> None:
    """Draw the shares of failed trials as colours, with their counts; undecided cells are hatched."""
    share, texts = np.full((len(rows), len(columns)), np.nan), {}
    for case in cases:
        x = columns.index(case.cell.levels)
        for y, (name, mode, arm) in enumerate(rows):
            if case.cell.arm != arm or case.mode != mode:
                continue
            if case.name != name:
                # The test covers all sides of a mode, so this side was tested for and is not present.
                share[y, x] = np.nan_to_num(share[y, x])
                continue
            share[y, x] = case.count / case.of if case.of else np.nan
            texts[y, x] = (
                "?" if case.undecided else ("yes" if case.group else f"{case.count}/{case.of}") if case.count else ""
            )
            if case.undecided:
                hatch(axes, x, y)
    image = axes.imshow(share, vmin=0, vmax=1, cmap=shares_map(), aspect="auto", interpolation="nearest")
    colours = image.to_rgba(share)
    for (y, x), text in texts.items():
        axes.text(x, y, text, ha="center", va="center", fontsize=SMALLEST, color=ink_on(colours[y, x]))


def examples(ledger: Ledger, cases: Sequence[Occurrence]) -> Figure | None:
    """Pictures of one failed trial for each mode."""
    results = ledger.results
    columns = list(results.levels)
    worst: dict[str, tuple[tuple[bool, bool, float, int], Occurrence]] = {}
    for case in cases:
        arm, level = results.arms[case.cell.arm], columns.index(case.cell.levels)
        if case.count and arm.method != CEILING and results.folder.picture(case.example) is not None:
            # Distilled sets are preferred to random images, and perturbed data to clean data.
            rank = (not arm.anchor, level > 0, case.count / case.of, level)
            if case.name not in worst or rank > worst[case.name][0]:
                worst[case.name] = (rank, case)
    shown = [worst[name][1] for name in sorted(worst)][:EXAMPLES]
    grid = []
    for case in shown:
        where = ", ".join([results.arms[case.cell.arm].name, *filter(None, [label(case.cell.levels)])])
        grid.append([(f"{case.name}: {where}\n{case.evidence}", case.example)])
    caption = (
        f"For each failure mode that occurs (at most {EXAMPLES}): a synthetic set from the most severe condition in "
        "which it occurs, with the evidence of its detector; for a mode of paired trials, the set of the first seed."
    )
    return picture_figure(results.folder, "examples", "Examples of the failure modes", caption, grid or [[]], PAGE)
