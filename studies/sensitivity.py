"""How sensitive is MIM4DD to its temperature, weight, layer decay and embedding size?

    python studies/sensitivity.py                      # digits, 9 settings, 14 seeds, on this machine
    python studies/sensitivity.py --quick              # the smallest honest run
    python studies/sensitivity.py --address auto       # on the Ray cluster of this machine
    python studies/sensitivity.py --method mtt         # MTT's own knobs; --import my.py --method mine for your method
    python studies/sensitivity.py --dataset fashion_mnist --data-root DATA_ROOT --set iterations=100

Each trial distils and evaluates one synthetic set; settings vary the strength of the MI term (the norm of its pixel
gradient over that of its base's), its temperature, layer decay and embedding size. The answer stands in OUT/report.html
and OUT/answer.md. Every setting runs on the first seeds (--choose-on), and the best of them, with the default, the base
and the term at equal strength, on the others, which judge it. Declared contrasts are decided: the default against the
base, the strength, the best setting, each other knob, and the term against a longer step of the base alone. With 32
settings and more it has the importance of each knob with a noise floor, response curves, and interaction maps.
--range weight=LOW:HIGH searches the weight without balance instead of the strength.

--method NAME studies a method's own knobs instead, over the ranges that it declares, against random real images; with
--import FILE.py, your own method's.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # this checkout's packages come before others of their names
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from studies.answers.sensitivity.flags import DesignFlags
from studies.answers.sensitivity.plan import configure_sensitivity, plan_sensitivity
from studies.engine.command import main
from studies.engine.study import Study, written_by

STUDY = Study(
    name="sensitivity",
    title="How sensitive is MIM4DD to its hyperparameters?",
    question=(
        "A reviewer asks how the accuracy depends on the weight lambda (and so on the strength of the term), the "
        "temperature tau, the layer decay beta and the embedding size, and whether the paper's defaults are a lucky "
        "point."
    ),
    description=__doc__ or "",
    flags=DesignFlags,
    configure=configure_sensitivity,
    plan=plan_sensitivity,
    answer=written_by("studies.answers.sensitivity.answer"),
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
