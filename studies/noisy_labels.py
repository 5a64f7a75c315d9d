"""What do noisy labels do to MIM4DD, and does its gain survive them?

    python studies/noisy_labels.py                     # digits: four kinds of noise, 5 seeds, on this machine
    python studies/noisy_labels.py --quick             # the smallest honest run
    python studies/noisy_labels.py --seeds 0-9 --grid  # noise and imbalance crossed as well
    python studies/noisy_labels.py --method every      # every base, alone and with the term, and the coresets too
    python studies/noisy_labels.py --dataset npz:cifar10_20k.npz --classes-as cifar10 --quick \\
        --condition human:file=cifar10n.npz,labels=worse

Random real images, the base, the base with the MI term (at its default and as strong as the base) and full data are
distilled from the same corrupted labels, seed by seed, and evaluated on clean test images; clean labels are always
among the conditions. The answer stands in OUT/report.html and OUT/answer.md: what each kind of noise costs, the paired
gain of the MI term at each rate, what selecting on noisy validation labels does, per-class recall, and the failure map.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

if __name__ == "__main__":  # this checkout's packages come before others of their names
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from studies.answers.stress.flags import SuiteFlags
from studies.answers.stress.plan import Sweep, plan_stress
from studies.engine.command import main
from studies.engine.configuring import term_on_base
from studies.engine.study import Study, written_by

NOISE = Sweep(
    stage="label noise",
    kinds=(
        ("symmetric", (0.2, 0.4, 0.6, 0.8)),
        ("pairflip", (0.2, 0.4)),
        ("asymmetric", (0.2, 0.4)),
        ("instance", (0.2, 0.4)),
    ),
    quick=(("symmetric", (0.2, 0.4, 0.8)), ("pairflip", (0.4,))),
    grid=("symmetric:rate=0.2", "symmetric:rate=0.4"),
    crossed=("exponential:factor=10", "exponential:factor=50"),
)

STUDY = Study(
    name="noisy_labels",
    title="What do noisy labels do to MIM4DD?",
    question=(
        "A reviewer asks how the method behaves when training labels are wrong: how much accuracy each kind of noise "
        "costs, whether the gain over the base survives, and when it breaks."
    ),
    description=__doc__ or "",
    flags=SuiteFlags,
    configure=term_on_base,
    plan=partial(plan_stress, sweep=NOISE),
    answer=written_by("studies.answers.stress.answer"),
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
