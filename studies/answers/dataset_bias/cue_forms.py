"""The sentences, the table and the figures of a planted cue."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perturbations.cues.planting import ALIGNED, CONFLICTING, UNBIASED
from studies.answers.dataset_bias.amplification import (
    AMPLIFIED,
    CAPPED,
    FEW,
    NOT,
    OPEN,
    SAME,
    SUPPRESSED,
    Pull,
    unbiased,
)
from studies.answers.ledger import Ledger, Ruling
from studies.answers.parts.drawing import (
    INK,
    PAGE,
    TITLE,
    bars,
    curve_axis,
    dodged,
    legend,
    panels,
    percent_axis,
    points_axis,
    star,
    styles,
)
from studies.answers.parts.pictures import picture_figure
from studies.answers.parts.wording import ADVANTAGES, grouped, listed
from studies.answers.results import Cell, Results
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Figure, Quantity, Sentence, Table, percent
from studies.engine.arms import CEILING
from studies.engine.statistics.contrasts import Decision
from studies.engine.wording import plural

# Classes whose counts by value are listed.
LISTED = 3
VERDICTS = {
    AMPLIFIED: "is amplified",
    SUPPRESSED: "is suppressed",
    SAME: "pulls as in full data and in random images",
    FEW: "pulls more than in full data, but no more than in as many random images",
    CAPPED: "pulls more than in as many random images, but no more than in full data",
    NOT: "is not amplified",
    OPEN: "is undecided",
}
GAPS = {
    Decision.GAIN: "wider for",
    Decision.LOSS: "narrower for",
    Decision.NEGLIGIBLE: "no different beyond half a point for",
    Decision.UNDECIDED: "undecided for",
}


def amplification_sentences(ledger: Ledger, found: Sequence[Pull]) -> list[Sentence]:
    """One sentence for each distilled arm: where the cue is amplified, and by how much at the strongest correlation."""
    results, sentences = ledger.results, []
    for arm in dict.fromkeys(pull.arm for pull in found if pull.verdict):
        own = [pull for pull in found if pull.arm == arm and pull.verdict]
        parts = [
            f"{phrase} at {listed([pull.level for pull in own if pull.verdict == verdict])}"
            for verdict, phrase in VERDICTS.items()
            if any(pull.verdict == verdict for pull in own)
        ]
        text = f"In {results.arms[arm].name}, the cue {'; it '.join(parts)}."
        last = own[-1]
        if last.over_full is not None and last.over_random is not None:
            text += (
                f" At {last.level}, its gap (accuracy on aligned less that on conflicting test images) is "
                f"{last.gap.points}: less that of full data {last.over_full.points} ({last.over_full.word}), less that "
                f"of random images {last.over_random.points} ({last.over_random.word})."
            )
        claims = [ruling.claim for pull in own for ruling in (pull.gap, pull.over_full, pull.over_random) if ruling]
        sentences.append(Sentence(text, tuple(claims)))
    return sentences


def term_sentence(ledger: Ledger, rulings: Sequence[Ruling]) -> Sentence | None:
    """What the term does to the gap of its base."""
    if not rulings:
        return None
    text = f"Compared with its base, the gap with the MI term is {grouped(rulings, _judged(ledger, rulings), GAPS)}."
    return Sentence(text, tuple(ruling.claim for ruling in rulings))


def cost_sentence(ledger: Ledger, rulings: Sequence[Ruling]) -> Sentence:
    """The gain of the term on unbiased test images, at every correlation."""
    told = grouped(rulings, _judged(ledger, rulings), ADVANTAGES)
    text = f"On unbiased test images, accuracy with the MI term is {told}."
    return Sentence(text, tuple(ruling.claim for ruling in rulings))


def reweighted_sentences(
    ledger: Ledger, accuracies: Sequence[Ruling], gaps: Sequence[Ruling], short: bool = False
) -> list[Sentence]:
    """What drawing rare images more often does to accuracy on unbiased test images, and to the gap.

    short: what is undecided is counted.
    """
    told = (("accuracy on unbiased test images", accuracies, ADVANTAGES), ("the gap", gaps, GAPS))
    sentences = []
    for said, rulings, forms in told:
        shown = [one for one in rulings if not short or one.decision is not Decision.UNDECIDED]
        parts = [grouped(shown, _judged(ledger, shown), forms)] if shown else []
        parts += (
            [f"undecided in {len(rulings) - len(shown)} of {len(rulings)} cases"] if len(shown) < len(rulings) else []
        )
        text = f"Where rare images of a class are drawn more often (batch_weights=rare), {said} is {'; '.join(parts)}."
        sentences += [Sentence(text, tuple(ruling.claim for ruling in rulings))] if rulings else []
    return sentences


def _judged(ledger: Ledger, rulings: Sequence[Ruling]) -> list[str]:
    """The arm and the correlation that each ruling is about."""
    cells = [ruling.contrast.terms[0][1] for ruling in rulings]
    return [f"{ledger.results.arms[cell.arm].name} at {cell.levels[0]}" for cell in cells]


def decoded_sentence(ledger: Ledger) -> Sentence | None:
    """How far the cue can be read from the sets, at the strongest correlation."""
    results = ledger.results
    level = results.factors[0].levels[-1].label
    parts, claims = [], []
    for arm in results.arms.values():
        if arm.method == CEILING:
            continue
        mean, claim = ledger.claimed_mean(Cell(arm.key, unbiased(level)), "cue_decoded", "share")
        if mean.mean is not None:
            parts.append(f"{percent(mean)} for {arm.name}")
            claims.append(claim)
    decoder = _decoder(results)
    if not parts or decoder is None:
        return None
    text = (
        f"At {level}, the share of synthetic images in which the cue of their class can be read is {'; '.join(parts)}. "
        f"The decoder that reads it is right on {decoder:.1%} of real validation images with an independent cue."
    )
    return Sentence(text, tuple(claims))


def _decoder(results: Results) -> float | None:
    """The decoder's mean accuracy over all trials that have one."""
    key, rows = "cue_decoder_accuracy", results.folder.rows.values()
    found = [row.measures[key] for row in rows if key in row.measures]
    return float(np.mean(found)) if found else None


def cue_tables(ledger: Ledger, found: Sequence[Pull]) -> list[Table]:
    """Every arm at every correlation: accuracies, gaps and the verdict; and how networks and sets follow the cue."""
    gaps, follows = list[dict[str, Entry]](), list[dict[str, Entry]]()
    for pull in found:
        start: dict[str, Entry] = {"training data": pull.level, "method": ledger.results.arms[pull.arm].name}
        gaps.append(
            {
                **start,
                "unbiased test images": _mean(ledger, pull, "test"),
                "aligned": _mean(ledger, pull, "test", ALIGNED),
                "conflicting": _mean(ledger, pull, "test", CONFLICTING),
                "gap": pull.gap.starred,
                "gap less full data's": pull.over_full.starred if pull.over_full else None,
                "gap less random images'": pull.over_random.starred if pull.over_random else None,
                "the cue is": pull.verdict or None,
                "sets": pull.gap.interval.n,
            }
        )
        follows.append(
            {
                **start,
                "conflicting images given a class of their cue": _mean(ledger, pull, "cue_followed"),
                "odds gap, mean over classes": _mean(ledger, pull, "mean_odds_gap"),
                "odds gap, largest": _mean(ledger, pull, "odds_gap"),
                "synthetic images that show their class's cue": _mean(ledger, pull, "cue_decoded"),
            }
        )
    sizes = {ruling.judged.family: ruling.judged.family_size for ruling in ledger.rulings}
    told = ", ".join(f"{size} in {family}" for family, size in sizes.items() if family.startswith("gaps"))
    return [
        Table.of(
            "cue",
            "The pull of the planted cue",
            gaps,
            "Test accuracy over sets with 95% t intervals. Gap: accuracy on the test images when all of them show the "
            "cue of their class, less that on the same images when none does, paired by seed; a star marks a gap, or a "
            f"difference of gaps, that is decided (Holm-corrected over the comparisons of its family: {told}). "
            "Amplified: larger than full data's and than that of as many random real images, both decided.",
        ),
        Table.of(
            "followed",
            "How networks and synthetic images follow the cue",
            follows,
            "Means over sets with 95% t intervals. Odds gap: how far a class's recall on aligned and on conflicting "
            "images lie apart (equalised odds). The last column is read by a decoder that learnt the cue from real "
            "images whose class says nothing about it.",
        ),
    ]


def _mean(ledger: Ledger, pull: Pull, metric: str, part: str = UNBIASED) -> Quantity | None:
    """A metric of an arm at a correlation, on one part of the test images; None where it was not measured."""
    interval = ledger.mean(Cell(pull.arm, (pull.level, part)), metric)
    return None if interval.mean is None else Quantity.of(interval, "percent")


def realised_table(results: Results) -> Table:
    """The cue as it was planted: exact counts of the first seed with a row."""
    rows: list[dict[str, Entry]] = []
    for level in results.factors[0].levels:
        data = results.any_data(unbiased(level.label))
        step = next(iter(data.perturbed.values()), None) if data else None
        if step is not None:
            rows.append(
                {
                    "training data": level.label,
                    "realised correlation": Quantity(step["correlation"], unit="share", digits=4),
                    "aligned images": step["aligned"],
                    "conflicting images": step["conflicting"],
                    "images of each class by value": "; ".join(
                        " ".join(map(str, row)) for row in step["cue_counts"][:LISTED]
                    ),
                }
            )
    return Table.of(
        "realised",
        "The cue as planted in the training images",
        rows,
        "For the first seed with a finished trial; rows.jsonl has every class, and every seed. The last column has the "
        f"first {LISTED} classes. Conflicting images of one correlation are among those of every smaller one.",
    )


def cue_figure(ledger: Ledger, found: Sequence[Pull]) -> Figure | None:
    """Accuracy on unbiased images, the gap, and the gap less full data's and random images', along the correlations."""
    results = ledger.results
    if not results.factors[0].curves:
        return None
    curve = results.factors[0].curves[0]
    levels = results.factors[0].levels
    x = np.array([curve.origin, *(level.at for level in levels[1:])], dtype=float)
    style, arms = styles(results.arms), list(results.arms)
    drawing, grid = panels(4, 2, (PAGE / 2, 2.6), extra=(0.0, 0.6))
    by_cell = {(pull.arm, pull.level): pull for pull in found}
    for k, arm in enumerate(arms):
        at, name = dodged(x, k, len(arms)), results.arms[arm].name
        own = [by_cell[arm, level.label] for level in levels]
        means = [results.mean(Cell(arm, unbiased(level.label))) for level in levels]
        bars(grid[0], at, means, style[arm], name, fraction=True)
        bars(grid[1], at, [pull.gap.interval for pull in own], style[arm], name)
        for axes, rulings in (
            (grid[2], [pull.over_full for pull in own[1:]]),
            (grid[3], [pull.over_random for pull in own[1:]]),
        ):
            if any(ruling is None for ruling in rulings):
                continue
            judged = [ruling for ruling in rulings if ruling is not None]
            bars(axes, at[1:], [ruling.interval for ruling in judged], style[arm], name)
            for ruling, place in zip(judged, at[1:], strict=True):
                if ruling.differs and ruling.interval.high is not None:
                    star(axes, place, ruling.interval.high, style[arm].colour)
    titles = ("accuracy on unbiased test images", "gap", "gap less full data's", "gap less random images'")
    for axes, title in zip(grid, titles, strict=True):
        axes.set_title(title, fontsize=TITLE)
        curve_axis(axes, curve, x)
    percent_axis(grid[0])
    for axes in grid[1:]:
        axes.axhline(0, color=INK, lw=0.8)
        points_axis(axes)
        axes.set_ylabel("points")
    legend(drawing, grid[0])
    return Figure(
        "cue",
        "The pull of the planted cue along its correlation with the class",
        f"Means over {plural(len(results.seeds), 'set')} with pointwise 95% t intervals; arms of one correlation stand "
        "side by side, and the first correlation is that of an independent cue. Gap: accuracy on aligned less that on "
        "conflicting test images, the same images. A star: decided. Amplified is what has a star above 0 in both lower "
        "panels. Hollow: a base alone; dotted: random real images and full data.",
        drawing,
    )


def images_figure(results: Results) -> Figure | None:
    """A set of every arm with the independent and with the strongest cue."""
    levels = [results.factors[0].levels[0].label, results.factors[0].levels[-1].label]
    arms = [arm for arm in results.arms.values() if arm.method != CEILING]
    grid = [
        [(f"{level}: {arm.name}", results.trials(Cell(arm.key, unbiased(level)))[0]) for level in levels]
        for arm in arms
    ]
    caption = f"Seed {results.seeds[0]}; pixels outside the range of real images are clipped."
    title = "Images distilled with an independent and with the strongest cue"
    return picture_figure(results.folder, "images", title, caption, grid, PAGE)
