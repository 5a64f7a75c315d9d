"""What each component of a factorial carries: sentences, tables, and the figures of effects and interactions."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from studies.answers.ledger import Part, Ruling
from studies.answers.parts.drawing import FAINT, INCHES_A_LETTER, INK, PAGE, TITLE, legend_below, panels, points_axis
from studies.answers.parts.factorial import Effects, Factorial, claimed, share_of_runs
from studies.answers.parts.heat_maps import HeatCell, difference_cell, differences, heat_map
from studies.answers.parts.matrix import MARKED
from studies.answers.parts.wording import listed
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Figure, Quantity, Sentence, Table, percent
from studies.engine.statistics import Interval, mean_interval
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import decimal, plural

# Of so many interactions all are named; of more, only those that are decided.
NAMED = 3


def components_part(design: Factorial, found: Effects) -> Part:
    """What every component carries, and how components depend on each other."""
    sentences = [_whole(design, found), _carried(design, found), _noise(design, found), _interactions(design, found)]
    return Part(
        sentences,
        [_table(design, found), _pairs_table(design, found)],
        [_effects_figure(design, found), _pairs_figure(design, found)],
        notes=[_note(design)],
    )


def _whole(design: Factorial, found: Effects) -> Sentence:
    """What was run, and the accuracy with all components and without any."""
    sets = plural(len(design.results.seeds), "synthetic set")
    draws = f", each with {plural(len(design.draws), 'draw')} of the distillation" if len(design.draws) > 1 else ""
    text = f"A factorial ran {share_of_runs(design)}, on {sets}{draws}"
    if found.total is None:
        return Sentence(f"{text}: effects are those of a fraction, each with its aliases, and have no Shapley values.")
    claims = []
    means = []
    for which, run in (("all", (True,) * len(design.names)), ("none", (False,) * len(design.names))):
        interval = mean_interval(design.sets([design.cell(run, draw) for draw in design.draws]))
        what = f"test accuracy with {which} of the components"
        claims.append(claimed(design.ledger, f"accuracy/{which}", what, interval, "percent"))
        means.append(percent(interval))
    total = found.total
    text += (
        f". With all components, test accuracy is {means[0]}, without any {means[1]}: {total.points} (n = "
        f"{total.interval.n}; {total.statement})."
    )
    return Sentence(text, (*claims, total.claim))


def _carried(design: Factorial, found: Effects) -> Sentence:
    """The Shapley values, or the main effects of a fraction, largest first."""
    order = by_size(found.carried)
    told = [f"{design.names[k]} {found.carried[k].points} ({found.carried[k].statement})" for k in order]
    begins = "By Shapley values, which sum to this difference" if found.shapley else "By main effects"
    return Sentence(f"{begins}, the components carry: {'; '.join(told)}.", tuple(found.carried[k].claim for k in order))


def by_size(rulings: list[Ruling]) -> list[int]:
    """The positions of rulings, the largest effect of either sign first."""
    return sorted(range(len(rulings)), key=lambda k: -abs(rulings[k].interval.mean or 0.0))


def _noise(design: Factorial, found: Effects) -> Sentence | None:
    """The largest noise floor of a component."""
    bounds = [(one.low, one.high) for one, _ in found.noise]
    ends = [max(-low, high) for low, high in bounds if low is not None and high is not None]
    if not ends or len(ends) < len(bounds):
        return None  # of an unfinished study
    k = int(np.argmax(ends))
    return Sentence(
        "The noise floor, half the difference of a component's Shapley values under two draws, which no component "
        f"causes, lies within {decimal(100 * ends[k], '.2f')} points of 0 (the farthest end of an interval, that of "
        f"{design.names[k]}).",
        tuple(claim for _, claim in found.noise),
    )


def _interactions(design: Factorial, found: Effects) -> Sentence:
    """The interactions that are decided."""
    names, rulings = design.names, list(found.pairs.items())
    differing = [(pair, ruling) for pair, ruling in rulings if ruling.differs]
    if len(rulings) <= NAMED:
        differing = rulings
    told = [f"{names[a]} × {names[b]} {ruling.points} ({ruling.statement})" for (a, b), ruling in differing]
    counts = {decision: sum(ruling.decision is decision for _, ruling in rulings) for decision in Decision}
    rest = [
        f"{counts[decision]} {word}"
        for decision, word in ((Decision.NEGLIGIBLE, "negligible"), (Decision.UNDECIDED, "undecided"))
        if counts[decision] and len(rulings) > NAMED
    ]
    clauses = [*told, *([f"{listed(rest)} of {plural(len(rulings), 'interaction')}"] if rest else [])]
    return Sentence(
        f"Interactions, how much more one component adds where the other is present: {'; '.join(clauses)}.",
        tuple(ruling.claim for _, ruling in differing),
    )


def _table(design: Factorial, found: Effects) -> Table:
    rows: list[dict[str, Entry]] = []
    for k, name in enumerate(design.names):
        shapley = found.shapley[k] if found.shapley else None
        low, high = ("", "") if k == 0 else (design.level(name, False), design.level(name, True))
        rows.append(
            {
                "component": name,
                "absent": low or design.results.arms[design.arms[0]].name,
                "present": high or design.results.arms[design.arms[1]].name,
                "Shapley value": shapley.quantity if shapley else None,
                "decision": shapley.word if shapley else None,
                "noise floor": Quantity.of(found.noise[k][0], "points") if found.noise else None,
                "main effect": found.main[k].quantity,
                "decision on it": found.main[k].word,
                "aliased with": design.aliased([k]),
                "usable information, nats": Quantity.of(found.nats[k][0], "nats"),
                "pairs": found.carried[k].interval.n,
                "pairs lost": found.carried[k].lost,
                "pairs that would decide": found.carried[k].needed or None,
            }
        )
    shapley_note = (
        "Shapley value: what a component adds, a mean over all orders in which components can be added; they sum to "
        "all less none. Noise floor: half the difference of the Shapley values under two draws of the distillation, "
        "which no component causes. Usable information: the Shapley value in nats. "
        if found.shapley
        else "Aliased with: effects of at most two components that this fraction cannot tell from it. "
    )
    return Table.of(
        "components",
        "What each component carries",
        rows,
        f"{shapley_note}Main effect: the mean of all combinations with the component less that of those without it. "
        "Differences in test accuracy, paired by seed, with pointwise 95% t intervals; decisions by three paired t "
        f"tests with a margin of half a point, Holm-corrected over the {plural(len(rows), 'component')}.",
    )


def _pairs_table(design: Factorial, found: Effects) -> Table:
    names = design.names
    rows: list[dict[str, Entry]] = [
        {
            "components": f"{names[a]} × {names[b]}",
            "interaction": ruling.quantity,
            "decision": ruling.word,
            "p (Holm)": ruling.judged.difference,
            "aliased with": design.aliased([a, b]),
            "pairs": ruling.interval.n,
            "pairs that would decide": ruling.needed or None,
        }
        for (a, b), ruling in found.pairs.items()
    ]
    return Table.of(
        "interactions",
        "How components depend on each other",
        rows,
        "Interaction: the effect of one component where the other is present less its effect where it is absent, mean "
        "over the others, paired by seed, with pointwise 95% t intervals; Holm-corrected over this table.",
    )


def _effects_figure(design: Factorial, found: Effects) -> Figure:
    """Shapley values with their noise floor, and main effects, as bars."""
    kinds = [("Shapley value", found.shapley)] * bool(found.shapley) + [("main effect", found.main)]
    order = by_size(found.carried)
    width = INCHES_A_LETTER * max(map(len, design.names))
    size = ((PAGE - width) / len(kinds), 0.36 * len(order) + 0.9)
    drawing, grid = panels(len(kinds), len(kinds), size, sharey=True, extra=(width, 0.3))
    for axes, (title, rulings) in zip(grid, kinds, strict=True):
        for y, k in enumerate(order):
            interval, decided = rulings[k].interval, rulings[k].differs
            if interval.mean is None:
                continue
            if found.noise and rulings is found.shapley:
                _band(axes, y, found.noise[k][0])
            colour = "#332288" if (interval.mean or 0) >= 0 else "#CC6677"
            axes.barh(y, interval.mean, height=0.5, color=colour if decided else "white", edgecolor=colour)
            ends = [
                [interval.mean - (interval.low or interval.mean)],
                [(interval.high or interval.mean) - interval.mean],
            ]
            axes.errorbar([interval.mean], [y], xerr=ends, color=INK, capsize=3, lw=1.2)
        axes.axvline(0, color=INK, lw=0.8)
        axes.set_title(title, fontsize=TITLE)
        axes.set_xlabel("points of test accuracy")
        points_axis(axes, "x")
    grid[0].set_yticks(range(len(order)), [design.names[k] for k in order])
    grid[0].set_ylim(len(order) - 0.5, -0.5)
    handles = [
        Line2D([], [], marker="s", ls="", ms=8, color="#332288", label="a gain or a loss is decided"),
        Line2D([], [], marker="s", ls="", ms=8, mfc="white", color="#332288", label="it is not"),
    ]
    if found.noise:
        handles.append(Line2D([], [], color=FAINT, lw=7, alpha=0.45, label="noise floor"))
    legend_below(drawing, handles)
    floor = (
        "; grey: the noise floor, half the difference of the values under two draws, with its interval"
        if found.noise
        else ""
    )
    return Figure(
        "effects",
        "What each component carries",
        f"In points of test accuracy, paired by seed, with pointwise 95% t intervals over "
        f"{plural(len(design.results.seeds), 'set')}{floor}. The Shapley values sum to all components less none."
        if found.shapley
        else f"Main effects in points of test accuracy, of a fraction of the design, paired by seed, with pointwise "
        f"95% t intervals over {plural(len(design.results.seeds), 'set')}; their aliases stand in the table.",
        drawing,
    )


def _band(axes: Axes, y: int, noise: Interval) -> None:
    low, high = (noise.mean if end is None else end for end in (noise.low, noise.high))
    if low is not None and high is not None:
        axes.barh(y, high - low, left=low, height=0.84, color=FAINT, alpha=0.35, zorder=0)


def _pairs_figure(design: Factorial, found: Effects) -> Figure | None:
    """The interactions as a matrix, main effects on its diagonal."""
    names = design.names
    if len(names) < 2:
        return None
    cells = [
        [
            difference_cell(found.main[a] if a == b else found.pairs[b, a]) if b <= a else HeatCell(text="")
            for b in range(len(names))
        ]
        for a in range(len(names))
    ]
    width = INCHES_A_LETTER * max(map(len, names))
    size = (max(4.0, 0.95 * len(names) + width), 0.46 * len(names) + 0.6 * width + 0.4)
    drawing, (axes,) = panels(1, 1, size)
    heat_map(axes, cells, names, names, differences(cells))
    return Figure(
        "interactions",
        "How components depend on each other",
        "How much more one component adds where the other is present than where it is absent, in points of test "
        f"accuracy with its pointwise 95% interval over {plural(len(design.results.seeds), 'set')}; on the diagonal, "
        f"main effects. {MARKED[0].upper()}{MARKED[1:]}, Holm-corrected over each kind.",
        drawing,
    )


def _note(design: Factorial) -> str:
    off, on = (design.results.arms[arm].name for arm in design.arms)
    text = (
        f"{design.names[0]} absent is {off}, present {on}. Without it, components that only the term has do nothing: "
        "such combinations share the trials of the base. Main effects and interactions are means over all combinations "
        "none the less, so the main effect of such a component is half of what it does where the term is present, "
        "which is its interaction with the term."
    )
    if not design.complete:
        text += (
            " A fraction is a regular one of minimum aberration; effects of three and more components may hide in any."
        )
    return text


def summary(design: Factorial, found: Effects) -> dict[str, float | None]:
    """The metrics of MLflow's parent run."""
    kind, names = "shapley" if found.shapley else "effect", [name.replace(" ", "_") for name in design.names]
    return {f"{kind}/{name}": ruling.interval.mean for name, ruling in zip(names, found.carried, strict=True)}
