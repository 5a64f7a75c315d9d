"""An ablation: the gain and its placebos, what each component carries, paths, and every critic, head and layers."""

from __future__ import annotations

from studies.answers.ablation.levels import OF_CRITICS, REPEATED
from studies.answers.ablation.plain import plain
from studies.answers.ledger import Ledger, Part, Ruling
from studies.answers.parts.ablation_path import paths_part
from studies.answers.parts.choices import choices_part
from studies.answers.parts.coalitions import coalitions_part
from studies.answers.parts.components import components_part, summary
from studies.answers.parts.contrasts import forest
from studies.answers.parts.factorial import Effects, Factorial, effects
from studies.answers.parts.information import information_part
from studies.answers.parts.overview import losses, more_seeds, overview, unready
from studies.answers.parts.placebos import against_placebos, placebos_part
from studies.answers.results import Results
from studies.engine.answer import Answer, Sentence
from studies.engine.arms import CEILING, FLOOR
from studies.engine.folder import StudyFolder

FIRST = "MI term"


def write_answer(folder: StudyFolder) -> Answer:
    """The sentences, the tables and the figures."""
    ledger = Ledger(Results(folder))
    results = ledger.results
    term = next(arm.key for arm in results.arms.values() if arm.role == "default")
    base = results.arms[term].control
    if (why := unready(ledger, [term, base], "test")) is not None:
        return ledger.compose(why)
    (gain,) = ledger.family("the main question", [results.gain(term)])
    tried, _ = against_placebos(ledger, term)
    placebos = placebos_part(ledger, term, tried)
    factorial = _factorial(ledger, base, term)
    shown = [components_part(*factorial), coalitions_part(factorial[0]), paths_part(factorial[0])] if factorial else []
    pairs = [(term, base), *((term, one.arm) for one in tried)]
    information = information_part(ledger, pairs)
    own = [arm.key for arm in results.arms.values() if not arm.placebo and not arm.anchor]
    anchors = [arm for arm in (FLOOR, CEILING) if arm in results.arms]
    opening = Part([overview(ledger, [*anchors, *own], "test"), _gain(gain)])
    figures = Part(figures=[forest(ledger, "test")] if tried else [])
    ending = Part(
        [losses(ledger)],
        notes=[NOTE, more_seeds(ledger)],
        summary={"gain_over_base": gain.interval.mean}
        | (summary(factorial[1], factorial[0].names) if factorial else {}),
        plain=plain(ledger, term, gain, tried, *(factorial or (None, None))),
    )
    return ledger.compose(
        opening, placebos, figures, *shown, choices_part(ledger, term, OF_CRITICS), information, ending
    )


NOTE = (
    "All trials of a seed share the split and the evaluation networks, and those with the same draws their initial "
    "images, networks, real batches and augmentations. Placebos and the main question stand at the method's own "
    "defaults (the references), not at all components present. No head: the flattened block is its own embedding."
)


def _gain(gain: Ruling) -> Sentence:
    return Sentence(
        f"The gain of the term over its base, all else at the references, is {gain.points} (n = {gain.interval.n}; "
        f"{gain.statement}).",
        (gain.claim,),
    )


def _factorial(ledger: Ledger, base: str, term: str) -> tuple[Factorial, Effects] | None:
    """The factorial with its effects; None where the study did not run it."""
    design = Factorial(ledger, (base, term), FIRST, REPEATED, int(ledger.results.folder.study.get("halvings", 0)))
    if not design.factors or any(
        ledger.results.setting(cell) is None for _, cells in design.distinct() for cell in cells
    ):
        return None
    return design, effects(design)
