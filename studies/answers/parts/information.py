"""Whether the MI term raises information, or only accuracy, or only the bound that it maximises."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from studies.answers.ledger import Ledger, Part, Ruling, margin
from studies.answers.parts.overview import METRIC_NAMES
from studies.answers.parts.wording import at, listed
from studies.answers.results import Cell, Contrast, Results, slug
from studies.engine.answer import Cell as Entry
from studies.engine.answer import Quantity, Sentence, Table
from studies.engine.arms import TERM
from studies.engine.statistics.contrasts import Decision

Levels = tuple[str, ...]
Pair = tuple[str, str]
USABLE, CRITIC = "usable information", "the bound of its own critic"
# Knobs of the critic whose bound is measured; two critics that differ in one have bounds that do not compare.
OF_THE_CRITIC = ("temperature", "embedding", "head")
VERBS = {Decision.GAIN: "raises", Decision.LOSS: "lowers", Decision.UNDECIDED: "is not shown to change"}


def information_part(ledger: Ledger, pairs: Sequence[Pair], levels: Levels = (), *, accuracy: str = "test") -> Part:
    """A sentence for each pair of arms at these levels, and a table of their information; empty for older rows.

    pairs: (arm, control), by their keys; levels: the references by default; accuracy: the metric whose rulings stand
    beside those of information. Usable information and the bound of the term's critic are judged here, as shares of
    H(Y), each in a family of its own; accuracy only where it is not judged yet. A pair enters the second family if both
    arms run the term's code, for a method without it has no critic.
    """
    results, levels = ledger.results, levels or ledger.results.reference
    pairs = [pair for pair in pairs if all(results.setting(Cell(arm, levels)) for arm in pair)]
    arms = list(dict.fromkeys(arm for pair in pairs for arm in reversed(pair)))
    if not any(np.isfinite(results.sets(Cell(arm, levels), "usable")).any() for arm in arms):
        return Part()
    with_critic = [pair for pair in pairs if all(results.arms[arm].method == TERM for arm in pair)]
    where, scores = results.at(levels), [results.against(*pair, levels, accuracy) for pair in pairs]
    usable, critics = (
        ledger.family(f"gains in {noun}{where}", [_gain(results, pair, levels, kind, noun) for pair in kept])
        for kind, noun, kept in (("usable", USABLE, pairs), ("critic", "the critic's bound", with_critic))
    )
    accuracies = ledger.rest(f"gains in {METRIC_NAMES[accuracy]}{where}", scores)
    bounds = dict(zip(with_critic, critics, strict=True))
    sentences = [
        _sentence(results, pair, levels, [(USABLE, gain), (METRIC_NAMES[accuracy], score)], bounds.get(pair))
        for pair, gain, score in zip(pairs, usable, accuracies, strict=True)
    ]
    anchors = [arm.key for arm in results.arms.values() if arm.anchor and results.setting(Cell(arm.key, levels))]
    return Part(sentences, [_table(ledger, [*anchors, *arms], levels)])


def _gain(results: Results, pair: Pair, levels: Levels, kind: str, noun: str) -> Contrast:
    """The share of H(Y) of an arm less that of its control; its id begins with the kind."""
    arm, control = pair
    named = "" if results.arms[arm].control == control else control
    what = f"{noun} of {results.arms[arm].name} less {results.arms[control].name}{results.at(levels)}"
    terms = (1.0, Cell(arm, levels)), (-1.0, Cell(control, levels))
    return results.contrast(slug(kind, arm, named, *levels), what, *terms, metric=f"{kind}_share")


def _sentence(
    results: Results, pair: Pair, levels: Levels, rulings: list[tuple[str, Ruling]], bound: Ruling | None
) -> Sentence:
    """What the arm does to usable information, accuracy and its critic's bound, each as it was decided."""
    arm, control = (results.arms[key].name for key in pair)
    clauses = [_clause(what, ruling) for what, ruling in rulings]
    claims = [ruling.claim for _, ruling in rulings]
    if bound is not None:
        clauses.append(_clause(CRITIC, bound, _differing(results, pair)))
        claims.append(bound.claim)
    text = f"Compared with {control}{_where(levels)}, {arm} {listed(clauses)}."
    return Sentence(text, tuple(claims))


def _clause(what: str, ruling: Ruling, caution: str = "") -> str:
    """`raises usable information (+1.1 points of H(Y) [+0.7, +1.5], n = 10: a gain)`."""
    size = f"{ruling.points}, n = {ruling.interval.n}"
    if ruling.decision is Decision.NEGLIGIBLE:
        return f"changes {what} by no more than {margin(ruling.contrast)} ({size}{caution})"
    return f"{VERBS[ruling.decision]} {what} ({size}: {ruling.statement}{caution})"


def _where(levels: Levels) -> str:
    """` on clean data`, ` at symmetric 0.4`; "" without levels."""
    return f" {at(' · '.join(levels))}" if levels else ""


def _differing(results: Results, pair: Pair) -> str:
    """A clause that names the knobs in which the critics of two arms differ; "" for the same critic."""
    one, other = (results.config(arm) for arm in pair)
    knobs = [knob for knob in OF_THE_CRITIC if one.get(f"method.{knob}") != other.get(f"method.{knob}")]
    return f"; the two critics differ in {listed(knobs)}" if knobs else ""


def _table(ledger: Ledger, arms: Sequence[str], levels: Levels) -> Table:
    """The information of each arm in nats, and usable information as a share of H(Y)."""
    results, rows = ledger.results, list[dict[str, Entry]]()
    for arm in arms:
        cell = Cell(arm, levels)
        rows.append(
            {
                "method": results.arms[arm].name,
                "usable information, nats": _mean(ledger, cell, "usable", "information", "nats"),
                "usable information, % of H(Y)": _mean(ledger, cell, "usable_share", "of H(Y)", "percent of H(Y)"),
                "label agreement, nats": _mean(ledger, cell, "label_agreement", "in nats", "nats"),
                "critic information, nats": _mean(ledger, cell, "critic", "information", "nats"),
                "sets": results.mean(cell, "usable").n,
            }
        )
    return Table.of(
        "-".join(["information", *([] if levels == results.reference else levels)]).replace(" ", "-"),
        f"Information about the label{_where(levels)}",
        rows,
        "Mean over synthetic sets with a 95% t interval over sets; a dash where it was not measured. Usable "
        "information: H(Y) less the log loss on test images of the networks trained on a set, classes weighted "
        "equally, with a temperature fitted on one half of the images and scored on the other; it is a log score, not "
        "the mutual information of real and synthetic images, and nothing is chosen by it. Label agreement: how far a "
        "reference network trained on clean data agrees with the labels of the set. Critic: the Donsker-Varadhan "
        "bound of the term's own critic on validation images, of methods that run the term's code.",
    )


def _mean(ledger: Ledger, cell: Cell, metric: str, what: str, unit: str) -> Quantity | None:
    """A metric's mean over sets; None where no set has it."""
    if not ledger.results.mean(cell, metric).n:
        return None
    return Quantity.of(ledger.mean(cell, metric, what), unit)
