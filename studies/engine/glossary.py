"""The ten terms that every report explains in its glossary; docs/glossary.md is filled from them."""

from __future__ import annotations

GLOSSARY: tuple[tuple[str, str], ...] = (
    (
        "setting",
        "One choice of a method's knobs and of its training data, run once for each seed. Two settings differ in these "
        "alone: the recipe, the seeds and the evaluation are the same.",
    ),
    (
        "set (synthetic set)",
        "The few images that one trial distils from the training data. Its accuracy is the mean over the fresh "
        "networks that are trained on it; n counts sets, not networks.",
    ),
    (
        "method (arm)",
        "What a study compares: a distillation method with its knobs; (default) has the MI term at the paper's weight, "
        "(equal strength) at the weight that makes its pixel gradient as large as its base's: its strength ρ, the "
        "ratio of the two, is 1. Random real images and full data, trained with the same recipe, stand beside the "
        "methods as the lower and the upper anchor.",
    ),
    (
        "seed, pair",
        "A seed fixes every random choice of a trial: initial images, batches, corruptions, evaluation networks. Two "
        "sets of one seed are a pair, and differences are taken pair by pair.",
    ),
    (
        "gain",
        "The accuracy of a method less that of its control, mostly the same base without the MI term on the same data; "
        "below 0 it is a loss. A star marks a gain or a loss that is decided: a paired t test shows a difference after "
        "Holm's correction.",
    ),
    (
        "margin",
        "The smallest difference that matters, half a point of accuracy unless a study says otherwise. "
        '"No difference beyond half a point" says that tests exclude a gain and a loss larger than that.',
    ),
    (
        "family (Holm's correction)",
        "The contrasts that are judged together, fixed by the plan before any result is seen. Holm's correction raises "
        "the p-values of each kind of test so that the chance of even one false decision in the family is at most 5%.",
    ),
    (
        "undecided",
        "The tests show neither a gain nor a loss, nor that the difference is within the margin: there may be one or "
        "none. Below five pairs, and until all planned pairs have run, everything is undecided.",
    ),
    (
        "P(better)",
        "The share of pairs in which the first method's set has the higher accuracy, ties counted half. Its interval "
        "is exact, wide while pairs are few, and decides nothing: the t tests do.",
    ),
    (
        "H(Y), nats, usable information",
        "H(Y) is the entropy of the label, all that can be known of it: ln C nats (one is 1.44 bits) where C classes "
        "are equally likely. Usable information is H(Y) less the log loss on held-out real images of the networks that "
        "are trained on a set.",
    ),
)
