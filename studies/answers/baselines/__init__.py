"""Every method under one recipe: what is run, and who beats whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studies.answers.baselines.plan import plan_baselines

if TYPE_CHECKING:
    from studies.engine.answer import Answer
    from studies.engine.evidence import Evidence

__all__ = ["answer_baselines", "plan_baselines"]


def answer_baselines(evidence: Evidence) -> Answer:
    """The answer; imports scipy and matplotlib, which a plan does not need."""
    from studies.answers.baselines.verdict import write_answer

    return write_answer(evidence)
