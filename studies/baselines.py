"""Why these baselines? Every method under one recipe, with the same seeds: who beats whom, and how surely.

    python studies/baselines.py                                   # digits, 1 image per class, every method, 5 seeds
    python studies/baselines.py --quick                           # the smallest honest run
    python studies/baselines.py --method random --method dm --method mim:base=dm,balance=gradnorm,weight=1 --method full
    python studies/baselines.py --tune 9 --seeds 0-7              # each method tuned too, on seeds 0 and 1
    python studies/baselines.py --ipc 10 --out runs/ten && python studies/baselines.py --add-study runs/ten

Random real images and full data are the floor and the ceiling; between them stands every registered base, alone and
with the MI term as strong as the base. With `--tune N` each method also tries N settings of its own knobs on the first
seeds, and the best on validation is measured on the others. The answer in OUT/report.html: test accuracy of each with
its interval, the paired gain of the term on each base, P(A beats B) for every pair, and average ranks over blocks of
data set and ipc with their critical difference: each `--add-study OUT` adds a finished study as a block.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # this checkout's packages come before others of their names
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from studies.answers.baselines.flags import BaselinesFlags
from studies.answers.baselines.plan import plan_baselines
from studies.answers.comparing.plan import shared_configuration
from studies.engine.command import main
from studies.engine.study import Study, written_by

STUDY = Study(
    name="baselines",
    title="Why these baselines?",
    question=(
        "A reviewer asks why the method is compared with these baselines and how: does each base beat random real "
        "images under one recipe, does the MI term improve it, and does the order hold on other data?"
    ),
    description=__doc__ or "",
    flags=BaselinesFlags,
    configure=shared_configuration,
    plan=plan_baselines,
    answer=written_by("studies.answers.baselines.answer"),
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
