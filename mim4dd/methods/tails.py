"""Images per class: how many may be asked for, and policies for a class with fewer real ones than a draw asks for."""

from mim4dd.registry import Knob

IPC = Knob(low=1, high=1_000_000, help="synthetic images per class")

# repeat: the draw is with replacement; cap: the class gives all its images, and gets fewer synthetic ones;
# error: the draw is refused.
TAILS = ("repeat", "cap", "error")
