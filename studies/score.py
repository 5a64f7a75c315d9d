"""How good is this distilled set, and on what does it hold?

    python studies/score.py run/                                        # a set of `mim4dd distill`, on digits
    python studies/score.py res_DC_CIFAR10_ConvNet_10ipc.pt --dataset cifar10 --data-root DATA_ROOT
    python studies/score.py images_best.pt --dataset cifar10 --standard zca-pixels --network every --address auto
    python studies/score.py mine.npz theirs.pt --dataset npz:data.npz --quick

Sets from anywhere (.pt, .npz, .safetensors; the layouts of DC, DSA, DM, MTT, DC-BENCH and DD-Ranking) beside random
real images and coresets of the same number and full data. Fresh networks of many architectures are trained on each, by
every recipe, and classify clean and corrupted test images. One file is one set: intervals are over groups of networks,
and what is decided is decided about this file.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # this checkout's packages come before others of their names
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from studies.answers.comparing.plan import shared_configuration
from studies.answers.score.flags import ScoreFlags
from studies.answers.score.plan import plan_score, read_sets
from studies.engine.command import main
from studies.engine.scoring import score_trial
from studies.engine.study import Study, written_by

STUDY = Study(
    name="score",
    title="How good is this set?",
    question=(
        "What do networks that are trained on a distilled set reach, beside random real images and coresets of the "
        "same number and full data; and does that hold on other networks, recipes and corrupted images?"
    ),
    description=__doc__ or "",
    flags=ScoreFlags,
    configure=shared_configuration,
    plan=plan_score,
    answer=written_by("studies.answers.score.answer"),
    work=score_trial,
    sets=read_sets,
    informed=False,
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
