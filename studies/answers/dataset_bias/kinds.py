"""The term's gain over kinds of data: its mean over data sets, and what of a data set goes with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import cycle
from string import ascii_lowercase

import numpy as np

from studies.answers.comparing.added_studies import added_studies
from studies.answers.dataset_bias.blocks import Block, block_from, by_data_set, unit_of
from studies.answers.ledger import Ledger, Part
from studies.answers.parts.drawing import INK, PAGE, TITLE, panels, points_axis, styles
from studies.answers.results import Results, slug
from studies.engine.answer import Cell, Claim, Figure, Quantity, Sentence, Table
from studies.engine.rows import Array
from studies.engine.statistics import holm, mean_interval
from studies.engine.statistics.meta import FEWEST_BLOCKS, MetaMean, RankCorrelation, meta_mean, rank_correlation
from studies.engine.wording import plural

# What of the data is held against the gain: the entry of `characteristics` and its name.
KINDS = {
    "classes": "classes",
    "channels": "channels",
    "height": "resolution, pixels a side",
    "training_images": "training images",
    "smallest_class": "images of the smallest class",
    "linear_probe": "accuracy of a linear probe",
    "intrinsic_dimension": "intrinsic dimension",
}
LOGARITHMIC = ("training_images", "smallest_class", "height")
FEW = 4  # values that stand at ticks of their own on an axis that is not logarithmic
NARROWEST = 0.15  # share of an axis between two ticks
BESIDE = (4, 3), (-9, 3), (4, -9)  # where letters stand, in points from theirs: those of equal points differ


def kinds_part(ledger: Ledger) -> Part:
    """The characteristics of the data, and with added studies the meta-analysis of the term's gains."""
    results = ledger.results
    added = zip(results.folder.added_studies, added_studies(results.folder), strict=True)
    blocks = [block_from(results, "this study"), *(block_from(Results(folder), path) for path, folder in added)]
    arms = [arm.key for arm in results.arms.values() if arm.control]
    table = _data_table(results, blocks, arms)
    if len(blocks) < 2:
        return Part(tables=[table])
    groups = by_data_set(blocks)
    units = [unit_of(group) for group in groups]
    means = {arm: _mean(units, arm) for arm in arms}
    sentences: list[Sentence | None] = [_mean_sentence(ledger, arm, mean, units) for arm, mean in means.items()]
    related = [
        (arm, key, found)
        for arm in arms
        for key in KINDS
        if (found := rank_correlation(_column(units, key), _gains(units, arm))) is not None
    ]
    sentences += [_related_sentence(ledger, related, len(units))]
    sentences += [_resolution_sentence(ledger, arm, group) for arm in arms for group in groups if len(group) > 1]
    return Part(sentences, [table, _related_table(results, related)], [_figure(results, blocks, arms)])


def _column(blocks: Sequence[Block], key: str) -> Array:
    return np.array([block.data.get(key, np.nan) for block in blocks])


def _gains(blocks: Sequence[Block], arm: str) -> Array:
    means = [block.gains[arm].mean for block in blocks]
    return np.array([np.nan if mean is None else mean for mean in means])


def _mean(blocks: Sequence[Block], arm: str) -> MetaMean | None:
    """The random-effects mean of an arm's gains; the standard errors are those of the paired differences."""
    from scipy import stats

    errors = []
    for gain in (block.gains[arm] for block in blocks):
        wide = math.nan if gain.low is None or gain.high is None else gain.high - gain.low
        errors.append(wide / 2 / float(stats.t.ppf(0.975, max(1, gain.n - 1))))
    return meta_mean(_gains(blocks, arm), errors)


def _mean_sentence(ledger: Ledger, arm: str, mean: MetaMean | None, blocks: Sequence[Block]) -> Sentence:
    name = ledger.results.arms[arm].name
    if mean is None:
        return Sentence(f"The gain of {name} has no mean over data sets: fewer than two have an interval.")
    what = f"random-effects mean over data sets of the gain of {name} over its base"
    claim = ledger.estimate(slug("kinds", arm), what, mean.mean, mean.low, mean.high, mean.blocks, "points")
    size = Quantity(mean.mean, mean.low, mean.high, mean.blocks, "points")
    text = (
        f"Over {plural(mean.blocks, 'kind')} of data ({'; '.join(block.label for block in blocks)}), the mean gain of "
        f"{name} over its base is {size} (random effects, {mean.blocks - 1} degree{'s' * (mean.blocks > 2)} of "
        f"freedom); gains differ between data sets by a standard deviation of {100 * mean.tau:.1f} points (I² "
        f"{mean.i_squared:.0%}, p = {mean.q_p:.2g})"
    )
    if mean.predicted is not None:
        low, high = (100 * end for end in mean.predicted)
        text += f", so the gain on another data set is expected between {low:+.1f} and {high:+.1f} points"
    least, most = mean.predicted or (None, None)
    what = f"gain of {name} over its base that is expected on another data set"
    expected = ledger.estimate(slug("kinds", "expected", arm), what, mean.mean, least, most, mean.blocks, "points")
    what = f"standard deviation between data sets of the gain of {name} over its base"
    spread = ledger.estimate(slug("kinds", "spread", arm), what, mean.tau, None, None, mean.blocks, "points")
    return Sentence(f"{text}.", (claim, expected, spread))


def _resolution_sentence(ledger: Ledger, arm: str, group: Sequence[Block]) -> Sentence | None:
    """How the gain changes from the lowest to the highest resolution of one data set, over the seeds of both."""
    low, high = group[0], group[-1]
    name = ledger.results.arms[arm].name
    seeds = [seed for seed in low.pairs[arm] if seed in high.pairs[arm]]
    changed = mean_interval([high.pairs[arm][seed] - low.pairs[arm][seed] for seed in seeds])
    if changed.mean is None or not all("height" in block.data for block in (low, high)):
        return None
    sides = f"{low.data['height']:g} to {high.data['height']:g} pixels a side"
    what = f"change of the gain of {name} from {sides}, {low.dataset}"
    id = slug("kinds", "resolution", low.dataset, str(low.ipc), arm)
    claim = ledger.estimate(id, what, changed.mean, changed.low, changed.high, changed.n, "points")
    size = Quantity.of(changed, "points")
    text = f"On {low.dataset} the gain of {name} over its base changes by {size} from {sides} (an estimate)."
    return Sentence(text, (claim,))


def _related_sentence(
    ledger: Ledger, related: Sequence[tuple[str, str, RankCorrelation]], blocks: int
) -> Sentence | None:
    if blocks >= FEWEST_BLOCKS and not related:
        return Sentence("No characteristic of these data differs together with the gain, so none can go with it.")
    if blocks < FEWEST_BLOCKS:
        return Sentence(
            f"With {plural(blocks, 'kind')} of data nothing can be said about what of them goes with the gain; it "
            f"takes at least {FEWEST_BLOCKS}, and more to decide (add studies with --add-study)."
        )
    claims: list[Claim] = []
    for arm, key, found in related:
        what = f"rank correlation over data sets of {KINDS[key]} and the gain of {ledger.results.arms[arm].name}"
        claims.append(ledger.estimate(slug("kinds", key, arm), what, found.rho, None, None, found.blocks))
    corrected = holm([found.p for _, _, found in related])
    shown = [one for one, p in zip(related, corrected, strict=True) if p < 0.05]
    least = min(found.least_p for *_, found in related)
    arm, key, strongest = max(related, key=lambda one: abs(one[2].rho))
    text = (
        f"Of {plural(len(related), 'rank correlation')} between characteristics of the data and the gain, "
        f"{len(shown) or 'none'} can be shown after Holm's correction; the strongest is "
        f"{strongest.rho:+.2f}, of {KINDS[key]} and the gain of {ledger.results.arms[arm].name} (p = {strongest.p:.2g} "
        f"uncorrected). With {plural(blocks, 'data set')} no uncorrected p-value can be below {least:.2g}, so this "
        "describes these data sets and decides nothing about others."
    )
    return Sentence(text, tuple(claims))


def _data_table(results: Results, blocks: Sequence[Block], arms: Sequence[str]) -> Table:
    rows: list[dict[str, Cell]] = []
    for block in blocks:
        row: dict[str, Cell] = {"data": block.label, "from": block.source}
        for key, name in KINDS.items():
            value = block.data.get(key)
            share = key == "linear_probe"
            row[name] = None if value is None else Quantity(value, unit="percent") if share else round(value, 1)
        row["random real images"] = Quantity.of(block.floor, "percent")
        row |= {f"gain of {results.arms[arm].name}": Quantity.of(block.gains[arm], "points") for arm in arms}
        rows.append(row)
    return Table.of(
        "kinds",
        "The kinds of data",
        rows,
        "Characteristics of the training images (the probe is scored on validation images; both it and the intrinsic "
        "dimension, by the two-nearest-neighbour estimator, read at most 2,000). Gains are paired by seed, with 95% t "
        "intervals over sets; they are of one data set each, and data sets are the units of the analysis over them. "
        "One at several resolutions counts once, by its means over them.",
    )


def _related_table(results: Results, related: Sequence[tuple[str, str, RankCorrelation]]) -> Table | None:
    if not related:
        return None
    corrected = holm([found.p for _, _, found in related])
    rows: list[dict[str, Cell]] = [
        {
            "characteristic": KINDS[key],
            "gain of": results.arms[arm].name,
            "rank correlation": round(found.rho, 2),
            "p": found.p,
            "p (Holm)": p,
            "least p that can be": found.least_p,
            "data sets": found.blocks,
        }
        for (arm, key, found), p in zip(related, corrected, strict=True)
    ]
    return Table.of(
        "characteristics",
        "Characteristics of the data against the gain of the MI term",
        rows,
        "Spearman's rank correlation over data sets; p by all orders of up to 8 of them, Holm-corrected over this "
        "table.",
    )


def apart(x: Array, *, logarithmic: bool) -> list[float]:
    """Those of some values that can be ticks without overlapping numbers; the least and the largest are among them."""
    values = np.unique(x[np.isfinite(x)])
    places = np.log(values) if logarithmic else values
    least = NARROWEST * float(places[-1] - places[0])
    kept = [0]
    for place in range(1, len(values) - 1):
        if places[place] - places[kept[-1]] >= least and places[-1] - places[place] >= least:
            kept.append(place)
    return [float(value) for value in values[[*kept, len(values) - 1] if len(values) > 1 else kept]]


def _figure(results: Results, blocks: Sequence[Block], arms: Sequence[str]) -> Figure | None:
    """The gain on each data set against each characteristic that differs between them."""
    varied = [key for key in KINDS if len(set(_column(blocks, key)[np.isfinite(_column(blocks, key))].tolist())) > 1]
    if not varied:
        return None
    style = styles(results.arms)
    drawing, grid = panels(
        len(varied), min(3, len(varied)), (PAGE / min(3, len(varied)), 2.3), sharey=True, extra=(0, 0.5)
    )
    for axes, key in zip(grid, varied, strict=True):
        x = _column(blocks, key)
        for arm in arms:
            y = _gains(blocks, arm)
            low, high = (
                np.array([np.nan if (end := getattr(block.gains[arm], side)) is None else end for block in blocks])
                for side in ("low", "high")
            )
            look, name = style[arm], results.arms[arm].name
            axes.errorbar(x, y, (y - low, high - y), fmt=look.marker, color=look.colour, ms=5, capsize=2, label=name)
            for letter, beside, at, gain in zip(ascii_lowercase, cycle(BESIDE), x, y, strict=False):
                if np.isfinite(at) and np.isfinite(gain):
                    axes.annotate(letter, (at, gain), beside, textcoords="offset points", fontsize=8, color=INK)
        if key in LOGARITHMIC:
            axes.set_xscale("log")
        if key in LOGARITHMIC or len(set(x[np.isfinite(x)].tolist())) <= FEW:
            ticks = apart(x, logarithmic=key in LOGARITHMIC)
            axes.set_xticks(ticks, [f"{value:g}" for value in ticks])
            axes.minorticks_off()
        axes.axhline(0, color=INK, lw=0.8)
        points_axis(axes)
        axes.set_title(KINDS[key], fontsize=TITLE)
    grid[0].set_ylabel("gain over the base (points)")
    handles, names = grid[0].get_legend_handles_labels()
    drawing.legend(handles, names, loc="outside upper center", ncols=2, frameon=False, fontsize=8.5)
    named = "; ".join(f"{letter}: {block.label}" for letter, block in zip(ascii_lowercase, blocks, strict=False))
    return Figure(
        "kinds",
        "The gain of the MI term against what kind of data it is on",
        f"Each point is a study ({named}); paired gains over the base with 95% t intervals over sets.",
        drawing,
    )
