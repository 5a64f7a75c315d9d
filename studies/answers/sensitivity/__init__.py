"""How sensitive is a method to its knobs: the plan of the trials, and the answer from their rows."""

from studies.answers.sensitivity.plan import plan_sensitivity
from studies.answers.sensitivity.verdict import answer_sensitivity

__all__ = ["answer_sensitivity", "plan_sensitivity"]
