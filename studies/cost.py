"""What does it cost: time, memory, operations; how do they grow; and what are they worth?

    python studies/cost.py --quick                                  # digits, under 5 minutes
    python studies/cost.py                                          # all methods, the paper's shapes, growth
    python studies/cost.py --part own --method dc --method mim:base=dc,weight=1,balance=gradnorm --dataset mnist
    python studies/cost.py --method mine --import mine.py --gpus-per-trial 1

Every method alone and with the MI term, in turns: seconds of an iteration, of its preparation (MTT's experts) and of
the networks that evaluate its set, peak memory in a fresh process, bytes stored, and operations by a formula beside
those that torch counts. The term's overhead is a ratio with its interval. Growth with images, classes, images per
class, resolution, width and embedding is fitted and stands beside the formula's. Real runs say what the seconds are
worth in accuracy. Trials that measure are the only ones on their node, and say when something else kept the machine
busy.

On two cores of an AMD EPYC (AVX2, no GPU, torch 2.14.1) --quick took 4 min 47 s (131 trials), --part growth of two
bases 27 min (450). Expect iterations with the term at equal strength to take 1.2 to 1.5 times those of DM, DC and DSA
on digits (n = 5), and 1.05 to 1.14 times at the paper's width (n = 5): docs/cost.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # this checkout's packages come before others of their names
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from studies.answers.comparing.plan import shared_configuration
from studies.answers.cost.flags import CostFlags
from studies.answers.cost.plan import plan_cost
from studies.engine.command import main
from studies.engine.costing import cost_trial
from studies.engine.study import Study, written_by

STUDY = Study(
    name="cost",
    title="What does it cost?",
    question=(
        "What do the MI term and every method cost in time, memory and operations; how does that grow with the data, "
        "the classes and the networks; and what accuracy does it buy?"
    ),
    description=__doc__ or "",
    flags=CostFlags,
    configure=shared_configuration,
    plan=plan_cost,
    answer=written_by("studies.answers.cost.answer"),
    work=cost_trial,
    exclusive=True,
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
