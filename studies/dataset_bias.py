"""What do the biases of a data set do to its distilled set, and on which kinds of data does the MI term help?

    python studies/dataset_bias.py --quick                               # digits with a planted colour, under 5 minutes
    python studies/dataset_bias.py                                        # DM and DC, four correlations, 20 seeds
    python studies/dataset_bias.py --dataset mnist --data-root DATA_ROOT --cue colour:of=background
    python studies/dataset_bias.py --cue none --out runs/digits           # the data as they are: classes, worst class
    python studies/dataset_bias.py --cue none --dataset mnist --data-root DATA_ROOT --add-study runs/digits
    python studies/dataset_bias.py --cue none --dataset folder:DIR --set size=32    # the same images at 32 pixels

A cue (colour, greyness, a corruption) is planted in the pixels, tied to the class in a stated share of the training
images. Amplified is what distilling adds to its pull: the accuracy on test images that the cue aids, less that on those
that it misleads, is larger than with full data, and larger than with as many random real images, both by the rule.
Beside it: how well the cue can be read from the synthetic images, equalised-odds gaps, recall of the worst class and
between classes, and which classes the term helps. `--add-study` joins finished studies of other data: the term's gain
against what kind of data they are, with the few degrees of freedom that so many data sets give.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # this checkout's packages come before others of their names
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from studies.answers.comparing.plan import shared_configuration
from studies.answers.dataset_bias.flags import BiasFlags
from studies.answers.dataset_bias.plan import examine, plan_bias
from studies.engine.command import main
from studies.engine.study import Study, written_by

STUDY = Study(
    name="dataset_bias",
    title="What do the biases of data sets do?",
    question=(
        "A reviewer asks about biases in the data sets and what they do to the generality of the results: does "
        "distilling amplify a bias of its data, which classes pay, and on which kinds of data does the MI term help?"
    ),
    description=__doc__ or "",
    flags=BiasFlags,
    configure=shared_configuration,
    plan=plan_bias,
    answer=written_by("studies.answers.dataset_bias.answer"),
    examine=examine,
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
