"""Beyond the three-layer ConvNet: does a set that was distilled on one network train others?

    python studies/architectures.py                                    # digits, every base, many networks
    python studies/architectures.py --quick                            # the smallest honest run, under 5 minutes
    python studies/architectures.py --dataset mnist --network mlp --network lenet --network alexnet --network resnet18
    python studies/architectures.py --method random --method herding --method mtt --network every --rate none --dry-run

Every base alone and with the MI term, random real images, a coreset and full data; DM on other networks too. A trial
distils one set, and trains fresh networks of every architecture on it: at the recipe's learning rate, and at the one of
a short list that suits network and set on validation images. The answer in OUT/report.html: the matrix, what a set
loses away from the network that it was distilled on, beside what random images and a coreset lose there, whether the
term adds to it, ranks that change, and published transfer accuracies.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # this checkout's packages come before others of their names
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from studies.answers.architectures.flags import ArchitecturesFlags
from studies.answers.architectures.plan import plan_architectures
from studies.answers.comparing.plan import shared_configuration
from studies.engine.command import main
from studies.engine.study import Study, written_by

STUDY = Study(
    name="architectures",
    title="Beyond the three-layer ConvNet?",
    question=(
        "Sets are distilled on a ConvNet. Do they train other networks as well as real images do, which were made for "
        "none; and does the MI term make them more, or less, a thing of the network that they were distilled on?"
    ),
    description=__doc__ or "",
    flags=ArchitecturesFlags,
    configure=shared_configuration,
    plan=plan_architectures,
    answer=written_by("studies.answers.architectures.answer"),
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
