"""What the review of MIM4DD asks, item by item, in our words, and which claims of which studies answer it.

An item's number begins with S for what the summary claims or doubts, Q for a question, C for a detailed comment. The
patterns are those of claims' ids, see docs/ablation.md, docs/architectures.md, docs/bias.md and docs/cost.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Evidence:
    """What a study contributes to an item.

    claims: patterns of the ids of its claims, each of one kind of statement; figure: the name of one that shows it, ""
    for none; data: the data sets that are asked about by name.
    """

    study: str
    claims: tuple[str, ...]
    figure: str = ""
    data: tuple[str, ...] = ()


@dataclass(frozen=True)
class Item:
    """Something that the review asks or doubts.

    argued: what is said of it without a measurement; open: what of it no study can decide; each "" for nothing.
    """

    id: str
    asked: str
    evidence: tuple[Evidence, ...] = ()
    argued: str = ""
    open: str = ""


FOUR = ("mnist", "svhn", "cifar10", "cifar100")  # the paper's data sets
GAINS = Evidence("baselines", ("gain/*",), "accuracy")
COSTS = Evidence("cost", ("total/*", "overhead/*"), "worth")
NOISE = Evidence("noisy_labels", ("gain/*", "cost/*", "change/*", "slope/*"), "degradation")
RARE = Evidence("imbalance", ("gain/*", "cost/*", "change/*", "slope/*", "tail/*"), "degradation")
COMPONENTS = Evidence("ablation", ("shapley/*", "effect/*", "interaction/*"), "effects")
PLACEBOS = Evidence("ablation", ("difference/*",))
KNOBS = Evidence("sensitivity", ("strength/mim*", "best", "regret", "third/*", "importance/*"), "response")
KINDS = Evidence("dataset_bias", ("kinds/*",), "kinds")
CLASSES = Evidence("dataset_bias", ("gap/*", "worst_class/*", "disparity/*", "class/*"), "by_class", FOUR)

ITEMS = (
    Item(
        "S1",
        "It is claimed to match or beat the state of the art with few images a class on MNIST, SVHN, CIFAR-10 and "
        "CIFAR-100.",
        (Evidence("fidelity", ("published/*", "gain/*"), "curves", FOUR), GAINS),
        "No accuracy of the paper is reproduced or claimed: no copy of its method section or code could be obtained. "
        "What stands here are the bases beside their published numbers, and the term's gain on each under one recipe.",
    ),
    Item(
        "S2",
        "It is claimed to generalise across architectures.",
        (Evidence("architectures", ("transfer/*/less-random*", "transfer-of-gain/*", "gain/*"), "matrix"),),
    ),
    Item(
        "S3",
        "It is claimed to be plug and play on existing methods.",
        (GAINS, Evidence("sensitivity", ("gain/*",), "response")),
    ),
    Item(
        "S4",
        "Is the bound on mutual information sound, and is maximising it what helps?",
        (
            Evidence("ablation", ("difference/*direction=base*", "difference/*pairs=shuffled*", "usable/*")),
            Evidence("sensitivity", ("usable/*", "critic/*")),
            Evidence("baselines", ("usable/*",)),
        ),
        "I(T; S) cannot exceed H(Y), ln C nats for classes of one size, and does not depend on the pixels of S once "
        "its labels are fixed. The loss that is trained leaves same-class pairs out of its negatives, so it is no "
        "bound; the reports state a Donsker-Varadhan bound of the critic apart (docs/methods.md#information).",
        "whether it is the information that helps: no study changes it without accuracy",
    ),
    Item(
        "Q1",
        "What is its computational complexity, and its training time and memory beside other methods on the benchmark "
        "data sets?",
        (Evidence("cost", ("total/*", "overhead/*", "over-dm/*", "formula*", "total/mtt/??x??"), "stages"),),
    ),
    Item("Q2", "Ablations that isolate the information term and the contrastive framework.", (COMPONENTS, PLACEBOS)),
    Item(
        "Q3",
        "Other networks than the three-layer ConvNet.",
        (Evidence("architectures", ("gain/*", "transfer/*/less-random*"), "matrix"),),
    ),
    Item(
        "Q4",
        "Biases of the data sets, and what they do to the generality of the results.",
        (
            Evidence("dataset_bias", ("amplified-over-full/*", "amplified-over-random/*"), "cue"),
            KINDS,
            Evidence("dataset_bias", ("gain/*",), "", FOUR),
        ),
    ),
    Item("Q5", "Sensitivity to the temperature, the weight and the like.", (KNOBS,)),
    Item(
        "Q6",
        "Why these baselines, and why were others left out?",
        (Evidence("baselines", ("difference/*",), "beats"),),
        "DC, DSA, DM and MTT, which the review names, are one of each kind of matching: gradients, gradients "
        "of augmented images, features, trajectories; random images and coresets are the floor that any "
        "distilled set must clear. Other methods are out of scope, each for a reason of its own "
        "(docs/methods.md#out).",
        "why others were left out is argued, not measured",
    ),
    Item("Q7", "Noisy labels and unbalanced classes.", (NOISE, RARE)),
    Item(
        "C1a",
        "Failure cases: where does it underperform?",
        (
            Evidence("noisy_labels", ("gain/*", "rejected/*", "memorising/*"), "failures"),
            Evidence("imbalance", ("gain/*", "rejected/*", "tail/*"), "failures"),
            Evidence("baselines", ("gain/*",)),
        ),
    ),
    Item("C1b", "Trade-offs: cost and sensitivity.", (Evidence("cost", ("equal-cost/*", "equal-accuracy/*")), KNOBS)),
    Item(
        "C1c",
        "Are the limits its own, or shared by other distillation methods?",
        (
            Evidence("noisy_labels", ("cost/*", "change/*"), "bases"),
            Evidence("imbalance", ("cost/*", "change/*"), "bases"),
        ),
    ),
    Item(
        "C1d",
        "Ways to mitigate the limits.",
        (
            Evidence("mitigation", ("remedy/*", "over-sham/*", "short-of-oracle/*", "cost/*/dropped*"), "methods"),
            Evidence(
                "mitigation", ("remedied/*", "remedied-over-sham/*", "remedied-short-of-oracle/*", "beforehand/*")
            ),
            Evidence("dataset_bias", ("reweighted/*", "reweighted-gap/*")),
        ),
    ),
    Item(
        "C1e",
        "No analysis of its cost beside other methods.",
        (Evidence("cost", (*COSTS.claims, "over-dm/*", "mean/peak/*", "total/mtt/??x??"), "worth"),),
    ),
    Item("C1f", "No result under label noise or imbalance.", (NOISE, RARE)),
    Item("C2a", "Biases inside the four data sets.", (CLASSES,)),
    Item(
        "C2b",
        "Only image classification.",
        argued="So it is here: perturbations, recipes and measures are those of image classification, and nothing is "
        "said of other tasks.",
    ),
    Item("C2c", "Overfitting to the character of these data sets.", (KINDS, GAINS)),
    Item(
        "C2d",
        "Higher resolution and more complex features.",
        (
            Evidence(
                "dataset_bias",
                ("kinds/height/*", "kinds/resolution/*", "kinds/linear_probe/*", "kinds/intrinsic_dimension/*"),
                "kinds",
            ),
        ),
        open="images larger and features more complex than those of the data that were run",
    ),
    Item(
        "C2e",
        "Do these data sets favour the method?",
        (KINDS,),
        open="over so few data sets no correlation with what characterises them can be decided",
    ),
    Item("C2f", "Are the gains consistent across data sets?", (GAINS, KINDS)),
    Item(
        "C3a",
        "Theoretical complexity in time and space, with the contrastive part and the estimation of information.",
        (Evidence("cost", ("formula*", "term-flops*", "exponent/*", "predicted-exponent/*"), "growth"),),
    ),
    Item("C3b", "Measured time and memory.", (Evidence("cost", ("total/*", "mean/peak/*", "over-dm/*"), "stages"),)),
    Item(
        "C3c",
        "Beside other methods on benchmark data sets.",
        (Evidence("cost", ("total/*", "over-dm/*", "total/mtt/??x??"), "stages"),),
    ),
    Item("C3d", "The overhead of the term alone.", (Evidence("cost", ("overhead/*",), "worth"),)),
    Item(
        "C3e",
        "Growth with the size of the data and the number of classes.",
        (
            Evidence(
                "cost", ("growth/iteration/*/classes", "growth/iteration/*/images", "exponent/*/classes"), "growth"
            ),
            Evidence("cost", ("growth/peak/*/classes", "growth/peak/*/images")),
        ),
        open="experts of MTT, which pass all images, are not among the methods whose growth is measured",
    ),
    Item(
        "C3f",
        "The claim of minimal overhead.",
        (Evidence("cost", ("overhead/*", "equal-cost/*", "overhead/mim:base=dm/*"), "worth"),),
    ),
    Item("C4a", "The contribution of each component.", (COMPONENTS,)),
    Item(
        "C4b",
        "The information term and the contrastive framework apart.",
        (
            Evidence(
                "ablation",
                ("difference/*nce_positives*", "difference/*nce_negatives*", "difference/*direction=random*"),
            ),
        ),
    ),
    Item(
        "C4c",
        "What the framework does to the quality and the generalisation of the set.",
        (
            Evidence("ablation", ("usable/*", "combination/*")),
            Evidence("architectures", ("gain/*", "transfer-of-gain/*"), "matrix"),
            Evidence("sensitivity", ("usable/*",)),
            Evidence("baselines", ("usable/*",)),
        ),
    ),
    Item("C4d", "Beside methods without a contrastive part.", (GAINS,)),
    Item(
        "C4e",
        "How were the defaults 0.8 and 2.0 tuned, and how rigorously?",
        (Evidence("sensitivity", ("best", "regret", "strength/*"), "response"),),
        "How the paper chose them could not be found out; that 0.8 is lambda and 2.0 is beta is our reading. Measured "
        "is what tuning with a stated budget gains over them.",
        "how the paper tuned them",
    ),
    Item(
        "C4f",
        "Sensitivity to the contrastive loss, the temperature, the embedding size and the optimizer.",
        (KNOBS, Evidence("ablation", ("choice/*",)), Evidence("baselines", ("gain/*optimizer=adam*",))),
    ),
    Item(
        "C5a",
        "The limits are only partly acknowledged: no cost, no failure modes.",
        (COSTS, Evidence("noisy_labels", ("rejected/*", "cost/*"), "failures")),
    ),
    Item(
        "C5b",
        "Why these data sets, and why no ImageNet?",
        (),
        "Digits come with scikit-learn and need no download; MNIST, CIFAR-10 and their like are the paper's own, and "
        "Fashion-MNIST is as small and harder. A decision takes five seeds and more of every cell, with controls and "
        "whole designs: at ImageNet's scale one seed would decide nothing (docs/methods.md#out).",
    ),
    Item(
        "C5c",
        "Why were methods with other objectives left out?",
        argued="The term is defined on features of real and synthetic batches under one network. Methods that train "
        "a generator or labels alone offer no such pair; others do (CAFE, IDM, DataDAM) and were not "
        "implemented: nothing is said of the term on them. The four bases stand for one kind of matching "
        "each, and a plug-in can add another (docs/methods.md#out).",
    ),
    Item(
        "C5d",
        "Were the baselines tuned: how much, and over which values?",
        (Evidence("baselines", ("tuned/*",), "tuned"),),
    ),
    Item(
        "C5e",
        "Is the comparison fair?",
        (Evidence("baselines", ("difference/*", "gain/*"), "accuracy"), Evidence("baselines", ("tuned/*",))),
        "All methods share one recipe, the same seeds, data and evaluation networks; beside it `--tune` gives each "
        "the same number of settings to try, and judges its best on other seeds.",
    ),
)

STUDIES = frozenset(evidence.study for item in ITEMS for evidence in item.evidence)
