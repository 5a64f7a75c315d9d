"""Ranks of methods over blocks: a data set at a number of images a class, this study's and those beside it."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib.figure import Figure as Drawing
from scipy.stats import rankdata

from studies.answers.baselines.added_studies import beside, place_of
from studies.answers.parts.drawing import tints
from studies.answers.results import Results
from studies.engine.answer import Cell, Figure, Quantity, Sentence, Table
from studies.engine.arms import CEILING
from studies.engine.rows import Array
from studies.engine.statistics import Ranks, rank_methods
from studies.engine.statistics.contrasts import LEVEL

# What makes blocks differ by their nature, and what names a trial.
OF_A_BLOCK = ("dataset", "dataset_digest", "ipc", "seed", "source", "classes_as", "protocol")
INCHES_A_LETTER = 0.085


@dataclass(frozen=True, eq=False)
class Block:
    """One data set at one ipc. scores: test accuracy of each entrant over the seeds that all of them have (`whole`).

    Shapes: scores [entrants], NaN throughout where there is no such seed.
    """

    results: Results
    source: str
    scores: Array
    whole: int
    differs: str

    @property
    def label(self) -> str:
        dataset, ipc = place_of(self.results.folder)
        return f"{dataset}, ipc {ipc}"

    @property
    def complete(self) -> bool:
        return bool(np.isfinite(self.scores).all())


class Blocks:
    """The blocks of a comparison, its own first; full data is no entrant of their ranks."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.entrants = [arm.key for arm in results.arms.values() if arm.method != CEILING]
        others = zip(results.folder.study.get("beside", ()), beside(results.folder), strict=True)
        self.blocks = [
            self._block(results, "this study"),
            *(self._block(Results(folder), given) for given, folder in others),
        ]

    def _block(self, results: Results, source: str) -> Block:
        sets = np.array([results.sets(results.cell(arm)) for arm in self.entrants])
        whole = np.isfinite(sets).all(axis=0)
        scores = sets[:, whole].mean(axis=1) if whole.any() else np.full(len(sets), np.nan)
        return Block(results, source, scores, int(whole.sum()), self._differs(results))

    def _differs(self, other: Results) -> str:
        """What else than the data the arms of a block do otherwise than here, as `iterations 20 (50)`."""
        told: dict[str, None] = {}
        for arm in self.results.arms:
            here, there = self.results.config(arm), other.config(arm)
            for key, value in there.items():
                if key.partition(".")[0] not in OF_A_BLOCK and key in here and here[key] != value:
                    told[f"{key.rpartition('.')[2]} {value} ({here[key]})"] = None
        return ", ".join(told)

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
        """The ranks and which of them differ, or why there are none."""
        ranks, names = self.ranks, self.names
        lost = [block.label for block in self.blocks if not block.complete]
        left = f" Left out, for no seed has every method: {'; '.join(lost)}." if lost else ""
        if not self.average or ranks.critical_difference is None:
            needed = (
                f"; {ranks.methods} methods want {ranks.blocks_for_one_rank} blocks for a critical difference below "
                "one rank (add finished studies of other data or ipc with --beside OUT)"
                if ranks.blocks_for_one_rank
                else ""
            )
            return [Sentence(f"No ranks and no critical-difference diagram: {ranks.reason}{needed}.{left}")]
        told, tested = ", ".join(f"{names[i]} {self.average[i]:.2f}" for i in self.order), ""
        if ranks.friedman is not None and ranks.friedman_p is not None:
            tested = f" (Friedman's chi-squared {ranks.friedman:.2f}, p = {ranks.friedman_p:.2g})"
        average = Sentence(f"Average ranks over {ranks.blocks} blocks: {told}{tested}.{left}")
        return [average, Sentence(self._told_apart(ranks.critical_difference))]

    def _told_apart(self, difference: float) -> str:
        """Which ranks differ by the critical difference, or how many blocks would let them."""
        ranks, names = self.ranks, self.names
        start = f"Two average ranks differ (level {LEVEL}) when {difference:.2f} apart"
        more = f"{ranks.blocks_for_one_rank} blocks would bring that below one rank"
        better: list[str] = []
        for i in self.order:
            worse = [names[j] for j in self.order if self.average[j] - self.average[i] >= difference]
            if worse:
                better.append(f"{names[i]} ranks above {', '.join(worse)}")
        if better:
            return f"{start}: {'; '.join(better)}; all else is not decided at {ranks.blocks} blocks ({more})."
        most = ranks.methods - 1
        if difference > most:
            return (
                f"{start}, and {ranks.methods} methods' can be at most {most} apart: {ranks.blocks} blocks decide "
                f"nothing ({more})."
            )
        return f"{start}: none are, so nothing is decided at {ranks.blocks} blocks ({more})."

    def rank_table(self) -> Table | None:
        """Ranks within blocks and on average."""
        if not self.average:
            return None
        kept = [block for block in self.blocks if block.complete]
        within = [rankdata(-np.round(block.scores, 12)) for block in kept]
        rows: list[dict[str, Cell]] = []
        for i in self.order:
            row: dict[str, Cell] = {"method": self.names[i], "average rank": round(self.average[i], 2)}
            for block, places in zip(kept, within, strict=True):
                row[f"{block.label}, accuracy"] = Quantity(float(block.scores[i]), n=block.whole, unit="percent")
                row[f"{block.label}, rank"] = float(places[i])
            rows.append(row)
        return Table.of(
            "ranks",
            "Average ranks over blocks",
            rows,
            "Test accuracy and the rank within the block (1 is best, ties share). Full data is no entrant. Within a "
            "block only the seeds count that every entrant has an accuracy for.",
        )

    def table(self) -> Table | None:
        """The blocks; None where this study stands alone."""
        if len(self.blocks) < 2:
            return None
        rows = [
            {
                "block": block.label,
                "from": block.source,
                "study": str(block.results.folder.study["hash"]),
                "protocol": str(block.results.folder.study["protocol"]),
                "seeds with every method": f"{block.whole} of {len(block.results.seeds)}",
                "commit": str(block.results.folder.study.get("git_commit") or "unknown"),
                "differs from this study in": block.differs or "nothing",
            }
            for block in self.blocks
        ]
        return Table.of(
            "blocks",
            "The blocks",
            rows,
            "A block is a data set with a number of images a class. Blocks of one data set share its images, and are "
            "less independent than data sets are.",
        )

    def figure(self) -> Figure | None:
        """Demsar's diagram: ranks on a line, bars over methods that are not told apart."""
        if not self.average or self.ranks.critical_difference is None:
            return None
        labels = "; ".join(block.label for block in self.blocks if block.complete)
        return Figure(
            "ranks",
            "Average ranks and critical difference",
            f"Average rank over {self.ranks.blocks} blocks ({textwrap.shorten(labels, 400, placeholder=' …')}), 1 the "
            "best; a bar joins methods whose ranks differ by less than Nemenyi's critical difference at level 0.05, "
            "which are not told apart. Full data is no entrant.",
            _diagram(self, self.ranks.critical_difference),
        )


def _diagram(blocks: Blocks, difference: float) -> Drawing:
    ranks, names, average = blocks.ranks, blocks.names, blocks.average
    k, half, tint = ranks.methods, math.ceil(ranks.methods / 2), tints(blocks.results.arms)
    first = 0.35 + 0.22 * len(ranks.groups)
    depth, above, inner = first + 0.42 * (half - 1) + 0.25, 1.1, max(3.2, 0.8 * (k - 1))
    letters = INCHES_A_LETTER * (max(map(len, names)) + 7)
    width, height = inner + 2 * (letters + 0.35), above + depth
    drawing = Drawing(figsize=(width, height))
    axes = drawing.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(-depth, above)
    axes.axis("off")

    def place(rank: float) -> float:
        return letters + 0.35 + inner * (rank - 1) / (k - 1)

    axes.plot([place(1), place(k)], [0, 0], "k-", lw=1.2)
    for rank in range(1, k + 1):
        axes.plot([place(rank)] * 2, [0, 0.1], "k-", lw=1.2)
        axes.text(place(rank), 0.15, str(rank), ha="center", va="bottom", fontsize=9)
    told = f"critical difference {difference:.2f}"
    if difference <= k - 1:
        end = place(1 + difference)
        axes.plot([place(1), end], [0.62, 0.62], "k-", lw=1.2)
        for x in (place(1), end):
            axes.plot([x, x], [0.56, 0.68], "k-", lw=1.2)
    else:
        told += f", more than ranks of {k} methods can differ"
    axes.text(place(1), 0.74, told, ha="left", va="bottom", fontsize=9)
    axes.text(place(1) - 0.18, 0, "best", ha="right", va="center", fontsize=9, color="#5b6575")
    axes.text(place(k) + 0.18, 0, "worst", ha="left", va="center", fontsize=9, color="#5b6575")
    for position, i in enumerate(blocks.order):
        left = position < half
        x, y = place(average[i]), -(first + 0.42 * (position if left else k - 1 - position))
        edge = place(1) - 0.2 if left else place(k) + 0.2
        axes.plot([x, x, edge], [0, y, y], color=tint[blocks.entrants[i]], lw=1.2)
        label = f"{names[i]}  {average[i]:.2f}" if left else f"{average[i]:.2f}  {names[i]}"
        axes.text(edge + (-0.06 if left else 0.06), y, label, ha="right" if left else "left", va="center", fontsize=9.5)
    for level, group in enumerate(ranks.groups):
        y, ends = -(0.2 + 0.22 * level), [place(average[group[0]]) - 0.06, place(average[group[-1]]) + 0.06]
        axes.plot(ends, [y, y], color="#1d2430", lw=4, solid_capstyle="butt", zorder=3)
    return drawing
