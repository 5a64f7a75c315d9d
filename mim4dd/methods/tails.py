"""Images per class: how many may be asked for, what a batch has of each, and policies where a class has fewer."""

from mim4dd.registry import Knob

IPC = Knob(low=1, high=1_000_000, help="synthetic images per class")

# Of the classes in a batch of real images, or in the synthetic set: as many of each, or as in the training data.
SHARES = ("equal", "proportional")
# Of a class's images in a batch: all equally likely, the likelier the fewer others of the class are near, or as likely
# as their label is.
WEIGHTS = ("equal", "rare", "posterior", "shuffled")

# repeat: the draw is with replacement; cap: the class gives all its images, and gets fewer synthetic ones;
# error: the draw is refused.
TAILS = ("repeat", "cap", "error")
