"""Is each base the published method? Ours beside the published number, cell by cell.

    python studies/fidelity.py --dataset mnist                        # 1 image per class, every base (days on 2 cores)
    python studies/fidelity.py --dataset mnist --method random --method dc:batch_real=32 --seeds 0-2
    python studies/fidelity.py --dataset fashion_mnist --ipc 10 --method dm:iterations=1000 --dry-run

Every method is run with its paper's defaults and evaluated with the recipe of its published number, whatever is not
given otherwise; what is given otherwise stands in the table as the schedule. The answer in OUT/report.html: published
accuracy, ours with its interval over synthetic sets, time and memory, and accuracy against iterations.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # this checkout's packages come before others of their names
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from studies.answers.comparing.plan import shared_configuration
from studies.answers.fidelity.flags import FidelityFlags
from studies.answers.fidelity.plan import plan_fidelity
from studies.engine.command import main
from studies.engine.study import Study, written_by

STUDY = Study(
    name="fidelity",
    title="Is each base the published method?",
    question=(
        "A comparison is worth what its baselines are worth: does each method, run as its paper runs it, reach the "
        "accuracy that its paper reports?"
    ),
    description=__doc__ or "",
    flags=FidelityFlags,
    configure=shared_configuration,
    plan=plan_fidelity,
    answer=written_by("studies.answers.fidelity.answer"),
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
