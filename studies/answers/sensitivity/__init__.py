"""How sensitive is a method to its knobs: the plan of the trials, and the answer from their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studies.answers.sensitivity.plan import plan_sensitivity

if TYPE_CHECKING:
    from studies.engine.answer import Answer
    from studies.engine.evidence import Evidence

__all__ = ["answer_sensitivity", "plan_sensitivity"]


def answer_sensitivity(evidence: Evidence) -> Answer:
    """The verdict, tables and figures; imports scipy, scikit-learn and matplotlib, which a plan does not need."""
    from studies.answers.sensitivity.verdict import write_answer

    return write_answer(evidence)
