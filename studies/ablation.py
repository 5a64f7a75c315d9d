"""What does each component contribute, and is it mutual information that helps?

    python studies/ablation.py                          # digits, DM, 6 components, 5 placebos, every critic; 20 seeds
    python studies/ablation.py --quick                  # the smallest honest run, under 5 minutes
    python studies/ablation.py --base dc                # another base
    python studies/ablation.py --factor temperature=0.03,0.3 --fraction 1/2
    python studies/ablation.py --part placebos --seeds 20-39

Components are present or absent: the MI term (as strong as its base), its critic (nce or infonce), head (learned or
random), layers (all or the last), augmentation, and initial images (real or noise). Every combination is run, seed by
seed, so main effects, interactions and Shapley values are weighted sums of real runs, each with a paired interval;
the same design with other draws of networks and images is the noise floor. The term is compared with placebos: its
base with steps as long, shuffled labels, positives only, negatives only, and a random direction. Every critic is run
with every head and layers. The answer in OUT/report.html: how many points each component carries, whether the
contrast or its labels matter, and usable information in nats beside accuracy.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # this checkout's packages come before others of their names
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from studies.answers.ablation.flags import AblationFlags
from studies.answers.ablation.plan import plan_ablation
from studies.engine.command import main
from studies.engine.configuring import term_on_base
from studies.engine.study import Study, written_by

STUDY = Study(
    name="ablation",
    title="What does each component contribute?",
    question=(
        "A reviewer asks for ablations that isolate the information term and the contrastive framework: how many "
        "points each component carries, and whether it is mutual information that helps, or longer steps, or a "
        "contrast without its labels."
    ),
    description=__doc__ or "",
    flags=AblationFlags,
    configure=term_on_base,
    plan=plan_ablation,
    answer=written_by("studies.answers.ablation.answer"),
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
