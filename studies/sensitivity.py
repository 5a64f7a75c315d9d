"""How sensitive is MIM4DD to its temperature, weight, layer decay and embedding size?

    python studies/sensitivity.py                      # digits, 16 Sobol settings x 3 seeds, on this machine
    python studies/sensitivity.py --quick              # the smallest honest run
    python studies/sensitivity.py --address auto       # on the Ray cluster of this machine
    python studies/sensitivity.py --dataset fashion_mnist --data-root DATA_ROOT --set iterations=100

Each trial distils and evaluates one synthetic set; a setting is judged over its seeds, in pairs with the paper's
default and with the base method alone. The answer stands in OUT/report.html and OUT/answer.md: the importance of each
knob with a noise floor, its response curve, the interaction map, the region within one standard error of the best, the
regret of the default, seed noise against knob effect, and the gain over the base alone.
"""

from __future__ import annotations

import sys

from studies.answers.sensitivity.flags import DesignFlags
from studies.answers.sensitivity.plan import plan_sensitivity
from studies.engine.command import main
from studies.engine.configuring import term_on_base
from studies.engine.study import Study, written_by

STUDY = Study(
    name="sensitivity",
    title="How sensitive is MIM4DD to its hyperparameters?",
    question=(
        "A reviewer asks how the accuracy depends on the temperature tau, the weight lambda, the layer decay beta and "
        "the embedding size, and whether the paper's defaults are a lucky point."
    ),
    description=__doc__ or "",
    flags=DesignFlags,
    configure=term_on_base,
    plan=plan_sensitivity,
    answer=written_by("studies.answers.sensitivity.answer"),
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
