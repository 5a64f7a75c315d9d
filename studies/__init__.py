"""Studies: a file for each question; `engine` runs them, `answers` makes answers of their rows."""

from studies.engine.door import enter

enter()
