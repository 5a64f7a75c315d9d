"""The sensitivity of a method to its knobs: the plan of the trials, and the answer from their rows."""
