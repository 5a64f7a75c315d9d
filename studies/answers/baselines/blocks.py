"""Ranks of methods over blocks: a data set at a number of images per class, this study's and the added ones'."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from scipy.stats import rankdata

from studies.answers.comparing.added_studies import added_studies, block_of
from studies.answers.parts.drawing import INCHES_A_LETTER, INK, PAGE, styles
from studies.answers.results import Results
from studies.engine.answer import Cell, Figure, Quantity, Sentence, Table
from studies.engine.arms import CEILING
from studies.engine.rows import Array
from studies.engine.statistics import Ranks, rank_methods
from studies.engine.statistics.contrasts import LEVEL
from studies.engine.wording import plural

# First parts of the configuration's keys that differ between blocks by definition, or identify a trial.
BLOCK_KEYS = ("dataset", "dataset_digest", "ipc", "seed", "source", "classes_as", "protocol")


@dataclass(frozen=True, eq=False)
class Block:
    """One data set at one ipc.

    source: the study, as the table names it. scores: each entrant's mean test accuracy over the seeds that all entrants
    have; complete_seeds: the number of these. differs: what differs from the comparing study, in words.

    Shapes: scores [entrants], all NaN if there is no such seed.
    """

    results: Results
    source: str
    scores: Array
    complete_seeds: int
    differs: str

    @property
    def label(self) -> str:
        dataset, ipc, size = block_of(self.results.folder)
        return f"{dataset}{f' at {size} pixels' if size else ''}, ipc {ipc}"

    @property
    def complete(self) -> bool:
        return bool(np.isfinite(self.scores).all())


class Blocks:
    """The blocks of a comparison, this study's first, and their ranks of the arms that are methods (`entrants`).

    Full data and placebos of the MI term are not ranked.
    """

    def __init__(self, results: Results) -> None:
        self.results = results
        self.entrants = [arm.key for arm in results.arms.values() if arm.method != CEILING and not arm.placebo]
        added = zip(results.folder.added_studies, added_studies(results.folder), strict=True)
        self.blocks = [
            self._block(results, "this study"),
            *(self._block(Results(folder), path) for path, folder in added),
        ]

    def _block(self, results: Results, source: str) -> Block:
        sets = np.array([results.sets(results.cell(arm)) for arm in self.entrants])
        complete = np.isfinite(sets).all(axis=0)
        scores = sets[:, complete].mean(axis=1) if complete.any() else np.full(len(sets), np.nan)
        return Block(results, source, scores, int(complete.sum()), self._differs(results))

    def _differs(self, added: Results) -> str:
        """The knobs besides the data that differ in an added study, `iterations 20 (50)`: its value (this study's)."""
        differences: dict[str, None] = {}
        for arm in self.results.arms:
            config, added_config = self.results.config(arm), added.config(arm)
            for key, value in added_config.items():
                if key.partition(".")[0] not in BLOCK_KEYS and key in config and config[key] != value:
                    differences[f"{key.rpartition('.')[2]} {value} ({config[key]})"] = None
        return ", ".join(differences)

    @cached_property
    def ranks(self) -> Ranks:
        """Ranks of the entrants over the blocks."""
        return rank_methods(np.array([block.scores for block in self.blocks]))

    @property
    def names(self) -> list[str]:
        return [self.results.arms[arm].name for arm in self.entrants]

    @property
    def average(self) -> list[float]:
        return list(self.ranks.average or ())

    @property
    def order(self) -> list[int]:
        """The entrants, best rank first."""
        return sorted(range(len(self.average)), key=lambda i: self.average[i])

    def sentences(self) -> list[Sentence]:
        """The ranks and which of them differ, or the reason why there are no ranks."""
        ranks, names = self.ranks, self.names
        incomplete = [block.label for block in self.blocks if not block.complete]
        left_out = f" Left out, because no seed has every method: {'; '.join(incomplete)}." if incomplete else ""
        if not self.average or ranks.critical_difference is None:
            needed = (
                f"; with {ranks.methods} methods, a critical difference below one rank needs "
                f"{ranks.blocks_for_one_rank} blocks (add finished studies of other data or ipc with --add-study OUT)"
                if ranks.blocks_for_one_rank
                else ""
            )
            text = f"There are no ranks and no critical-difference diagram, because {ranks.reason}{needed}.{left_out}"
            return [Sentence(text)]
        listed, tested = ", ".join(f"{names[i]} {self.average[i]:.2f}" for i in self.order), ""
        if ranks.friedman is not None and ranks.friedman_p is not None:
            tested = f" (Friedman's chi-squared {ranks.friedman:.2f}, p = {ranks.friedman_p:.2g})"
        average = Sentence(f"The average ranks over {plural(ranks.blocks, 'block')} are: {listed}{tested}.{left_out}")
        return [average, Sentence(self._differing(ranks.critical_difference))]

    def _differing(self, difference: float) -> str:
        """Which ranks differ by the critical difference, and how many blocks would bring it below one rank."""
        ranks, names = self.ranks, self.names
        start = (
            f"Two average ranks differ at level {LEVEL} if they are at least {difference:.2f} apart (Nemenyi's test)"
        )
        more = f"{ranks.blocks_for_one_rank} blocks would lower this critical difference below one rank"
        blocks = plural(ranks.blocks, "block")
        better: list[str] = []
        for i in self.order:
            worse = [names[j] for j in self.order if self.average[j] - self.average[i] >= difference]
            if worse:
                better.append(f"{names[i]} ranks above {', '.join(worse)}")
        if better:
            return f"{start}: {'; '.join(better)}; all other differences are undecided with {blocks} ({more})."
        largest = ranks.methods - 1
        if difference > largest:
            return (
                f"{start}, but those of {ranks.methods} methods can be at most {largest} apart, so {blocks} cannot "
                f"decide anything ({more})."
            )
        return f"{start}; no two are, so nothing is decided with {blocks} ({more})."

    def rank_table(self) -> Table | None:
        """Ranks within blocks and on average."""
        if not self.average:
            return None
        complete = [block for block in self.blocks if block.complete]
        ranks_within = [rankdata(-np.round(block.scores, 12)) for block in complete]
        rows: list[dict[str, Cell]] = []
        for i in self.order:
            row: dict[str, Cell] = {"method": self.names[i], "average rank": round(self.average[i], 2)}
            for block, ranks in zip(complete, ranks_within, strict=True):
                row[f"{block.label}, accuracy"] = Quantity(
                    float(block.scores[i]), n=block.complete_seeds, unit="percent"
                )
                row[f"{block.label}, rank"] = float(ranks[i])
            rows.append(row)
        return Table.of(
            "ranks",
            "Average ranks over blocks",
            rows,
            "Test accuracy and the rank within the block (1 is best; ties share a rank). Full data is not ranked. "
            "Within a block, only seeds for which every method has an accuracy are used.",
        )

    def table(self) -> Table | None:
        """The blocks; None without added studies."""
        if len(self.blocks) < 2:
            return None
        rows = [
            {
                "block": block.label,
                "from": block.source,
                "study": str(block.results.folder.study["hash"]),
                "protocol": str(block.results.folder.study["protocol"]),
                "seeds with every method": f"{block.complete_seeds} of {len(block.results.seeds)}",
                "commit": str(block.results.folder.study.get("git_commit") or "unknown"),
                "differs from this study in": block.differs or "nothing",
            }
            for block in self.blocks
        ]
        return Table.of(
            "blocks",
            "The blocks",
            rows,
            "A block is a data set at a number of images per class. Blocks of one data set share its images and are "
            "therefore less independent than different data sets.",
        )

    def figure(self) -> Figure | None:
        """A critical-difference diagram: ranks on a line, bars over methods whose ranks do not differ.

        Source: Demsar 2006, "Statistical comparisons of classifiers over multiple data sets".
        """
        if not self.average or self.ranks.critical_difference is None:
            return None
        labels = textwrap.shorten(
            "; ".join(block.label for block in self.blocks if block.complete), 400, placeholder=" …"
        )
        return Figure(
            "ranks",
            "Average ranks and critical difference",
            f"Average rank over {plural(self.ranks.blocks, 'block')} ({labels}); "
            "1 is the best. A bar joins methods whose average ranks differ by less than Nemenyi's critical difference "
            f"at level {LEVEL}: their order is undecided. Full data is not ranked.",
            _diagram(self, self.ranks.critical_difference),
        )


def _diagram(blocks: Blocks, difference: float) -> Drawing:
    """The diagram, one unit an inch; difference: the critical difference."""
    ranks, average = blocks.ranks, blocks.average
    k, half, style = ranks.methods, math.ceil(ranks.methods / 2), styles(blocks.results.arms)
    names = [name.replace(" (", "\n(", 1) for name in blocks.names]
    first = 0.35 + 0.22 * len(ranks.groups)
    depth, above = first + 0.42 * (half - 1) + 0.3, 1.0
    letters = INCHES_A_LETTER * (max(len(line) for name in names for line in name.split("\n")) + 8)
    inner = max(2.4, 0.28 * (k - 1), PAGE - 2 * (letters + 0.35))
    width, height = inner + 2 * (letters + 0.35), above + depth
    drawing = Drawing(figsize=(width, height))
    axes = drawing.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(-depth, above)
    axes.axis("off")

    def at(rank: float) -> float:
        return letters + 0.35 + inner * (rank - 1) / (k - 1)

    _ruler(axes, at, k, difference)
    for position, i in enumerate(blocks.order):
        left, look = position < half, style[blocks.entrants[i]]
        x, y = at(average[i]), -(first + 0.42 * (position if left else k - 1 - position))
        edge = at(1) - 0.2 if left else at(k) + 0.2
        axes.plot([x, x, edge], [0, y, y], color=look.colour, ls=look.line, lw=1.2)
        axes.plot(x, 0, marker=look.marker, color=look.colour, mfc=look.face, ms=5.5, zorder=4, clip_on=False)
        axes.plot(edge, y, marker=look.marker, color=look.colour, mfc=look.face, ms=5.5, zorder=4)
        label = f"{names[i]}  {average[i]:.2f}" if left else f"{average[i]:.2f}  {names[i]}"
        side = "right" if left else "left"
        axes.text(edge + (-0.1 if left else 0.1), y, label, ha=side, va="center", ma=side, fontsize=8.5)
    for level, group in enumerate(ranks.groups):
        y, ends = -(0.2 + 0.22 * level), [at(average[group[0]]) - 0.06, at(average[group[-1]]) + 0.06]
        axes.plot(ends, [y, y], color=INK, lw=4, solid_capstyle="butt", zorder=3)
    return drawing


def _ruler(axes: Axes, at: Callable[[float], float], k: int, difference: float) -> None:
    """The axis of the ranks 1 to k, its ends labelled, and the critical difference above it. at: the x of a rank."""
    axes.plot([at(1), at(k)], [0, 0], "-", color=INK, lw=1.2)
    for rank in range(1, k + 1):
        axes.plot([at(rank)] * 2, [0, 0.1], "-", color=INK, lw=1.2)
        axes.text(at(rank), 0.15, str(rank), ha="center", va="bottom", fontsize=8.5)
    text = f"critical difference {difference:.2f}"
    if difference <= k - 1:
        end = at(1 + difference)
        axes.plot([at(1), end], [0.55, 0.55], "-", color=INK, lw=1.2)
        for x in (at(1), end):
            axes.plot([x, x], [0.49, 0.61], "-", color=INK, lw=1.2)
    else:
        text += f", more than ranks of {k} methods can differ"
    axes.text(at(1), 0.66, text, ha="left", va="bottom", fontsize=8.5)
    axes.text(at(1) - 0.18, 0.08, "best", ha="right", va="center", fontsize=8.5, color=INK)
    axes.text(at(k) + 0.18, 0.08, "worst", ha="left", va="center", fontsize=8.5, color=INK)
