"""What perturbed training data do to a method: the suites' plan, and their answer from rows."""
