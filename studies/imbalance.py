"""What does class imbalance do to MIM4DD, and which classes pay for it?

    python studies/imbalance.py                        # digits: exponential and step imbalance, 5 seeds
    python studies/imbalance.py --quick                # the smallest honest run
    python studies/imbalance.py --seeds 0-9 --grid     # imbalance and noise crossed as well
    python studies/imbalance.py --method every         # every base, alone and with the term, and the coresets too
    python studies/imbalance.py --dataset fashion_mnist --data-root DATA_ROOT --ipc 10 --tail cap

Random real images, the base, the base with the MI term (at its default and as strong as the base) and full data are
distilled from the same long-tailed training split, seed by seed, and evaluated on balanced test images; the balanced
split is always among the conditions. The answer stands in OUT/report.html and OUT/answer.md: balanced accuracy against
the imbalance factor, recall of head, medium and tail classes, the paired gain of the MI term, and the failure map.
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

IMBALANCE = Sweep(
    stage="imbalance",
    kinds=(("exponential", (10, 50, 100, 200)), ("step", (10, 100))),
    quick=(("exponential", (10, 100)), ("step", (100,))),
    grid=("exponential:factor=10", "exponential:factor=50"),
    crossed=("symmetric:rate=0.2", "symmetric:rate=0.4"),
)

STUDY = Study(
    name="imbalance",
    title="What does class imbalance do to MIM4DD?",
    question=(
        "A reviewer asks how the method behaves when some classes have few training images: what it costs, whether "
        "the gain over the base survives, and whether rare classes are lost."
    ),
    description=__doc__ or "",
    flags=SuiteFlags,
    configure=term_on_base,
    plan=partial(plan_stress, sweep=IMBALANCE),
    answer=written_by("studies.answers.stress.answer"),
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
