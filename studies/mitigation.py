"""Which remedies help against wrong labels and rare classes, how near an oracle, and what do they cost on clean data?

    python studies/mitigation.py                      # digits: two kinds of noise, 5 seeds, on this machine
    python studies/mitigation.py --quick              # the smallest honest run
    python studies/mitigation.py --noise asymmetric:rate=0.4 --remedy dropped:by=loss,share=0.3 --method dc
    python studies/mitigation.py --imbalance exponential:factor=100 --method mtt --remedy expert_sampling=balanced
    python studies/mitigation.py --dataset npz:cifar10_20k.npz --classes-as cifar10 --quick \\
        --noise human:file=cifar10n.npz,labels=worse

Images with suspected labels are left out before anything is distilled: those with the largest out-of-fold loss, or
those that confident learning finds (cleanlab). Each remedy stands beside an oracle, which leaves out exactly the wrong
labels, and its sham, which leaves out as many at random; and on clean data, where it can only cost. The base alone, the
base with the MI term and full data meet the same cleaned data, seed by seed. Knobs of a method are remedies too,
against rare classes above all: batches as the data are, experts that see all classes alike, a critic that knows the
classes' shares, a term that fades, or one that sees only the positives that are most like the set.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # this checkout's packages come before others of their names
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from studies.answers.mitigation.flags import MitigationFlags
from studies.answers.mitigation.plan import plan_mitigation
from studies.engine.command import main
from studies.engine.configuring import term_on_base
from studies.engine.study import Study, written_by

STUDY = Study(
    name="mitigation",
    title="What helps against wrong labels and rare classes?",
    question=(
        "A reviewer asks for ways to mitigate the limits: does cleaning the labels before distilling help, how near "
        "does it come to knowing the wrong ones, is it more than having fewer images, do other batches or a falling "
        "weight help, and what does each cost on clean data?"
    ),
    description=__doc__ or "",
    flags=MitigationFlags,
    configure=term_on_base,
    plan=plan_mitigation,
    answer=written_by("studies.answers.mitigation.answer"),
)

if __name__ == "__main__":
    sys.exit(main(STUDY))
