"""What becomes of a class with fewer real images than a draw wants."""

# repeat: the draw is with replacement; cap: the class gives the images it has, and gets fewer synthetic ones;
# error: the draw is refused.
TAILS = ("repeat", "cap", "error")
