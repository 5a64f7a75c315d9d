"""Policies for a class with fewer real images than a draw asks for."""

# repeat: the draw is with replacement; cap: the class gives all its images, and gets fewer synthetic ones;
# error: the draw is refused.
TAILS = ("repeat", "cap", "error")
