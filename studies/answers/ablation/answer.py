"""An ablation: the gain and its placebos, what each component carries, paths, and every critic, head and layers."""

from __future__ import annotations

from dataclasses import replace

from studies.answers.ablation.flags import FACTORIAL
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
    whole, ledger = Results(folder), Ledger(Results(at_references(folder)))
    results = ledger.results
    term = next(arm.key for arm in results.arms.values() if arm.role == "default")
    base = results.arms[term].control
    if (why := unready(ledger, [term, base], "test")) is not None:
        return ledger.compose(why)
    (gain,) = ledger.family("the main question", [results.gain(term)])
    tried = against_placebos(ledger, term)
    factorial = _factorial(ledger, whole, base, term)
    shown = [components_part(*factorial), coalitions_part(factorial[0]), paths_part(factorial[0])] if factorial else []
    own = [arm.key for arm in results.arms.values() if not arm.placebo and not arm.anchor]
    anchors = [arm for arm in (FLOOR, CEILING) if arm in results.arms]
    return ledger.compose(
        Part([overview(ledger, [*anchors, *own], "test"), _gain(gain)]),
        placebos_part(ledger, term, tried),
        Part(figures=[forest(ledger, "test")] if tried else []),
        *shown,
        choices_part(ledger, whole, gain, OF_CRITICS),
        information_part(ledger, [(term, base), *((term, one.arm) for one in tried[:1])]),
        Part(
            [losses(whole)],
            notes=[NOTE, more_seeds(ledger)],
            summary={"gain_over_base": gain.interval.mean} | (summary(*factorial) if factorial else {}),
            plain=plain(ledger, gain, tried, *(factorial or (None, None))),
        ),
    )


NOTE = (
    "All trials of a seed share the split and the evaluation networks, and those with the same draws their initial "
    "images, networks, real batches and augmentations. Placebos and the main question stand at the method's own "
    "defaults (the references), not at all components present. No head: the flattened block is its own embedding."
)


def at_references(folder: StudyFolder) -> StudyFolder:
    """The study's settings at the references alone, where no factor has to be named."""
    reference = {factor.name: factor.reference.label for factor in folder.factors}
    settings = [replace(setting, levels={}) for setting in folder.settings if setting.levels == reference]
    return replace(folder, settings=settings, study={**folder.study, "factors": []})


def _gain(gain: Ruling) -> Sentence:
    text = f"The gain of the term over its base, all else at the references, is {gain.points}"
    return Sentence(f"{text} (n = {gain.interval.n}; {gain.statement}).", (gain.claim,))


def _factorial(ledger: Ledger, whole: Results, base: str, term: str) -> tuple[Factorial, Effects] | None:
    """The factorial with its effects; None where the study did not run it."""
    study = whole.folder.study
    if FACTORIAL not in study.get("parts", ()) or not whole.factors:
        return None
    design = Factorial(ledger, whole, (base, term), FIRST, REPEATED, study.get("halvings", 0))
    return design, effects(design)
