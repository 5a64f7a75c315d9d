"""The stages of perturbation, in the order in which a chain applies them, and what the perturbations of each share.

A new stage is an entry here. A perturbation names its stage, and what differs between stages is read from the entry.
"""

from __future__ import annotations

from dataclasses import dataclass

from mim4dd.registry import unknown


@dataclass(frozen=True)
class Stage:
    """What the perturbations of a stage share.

    noun: completes a kind, `symmetric noise`. severity: the knob that sets how strong one of them is; control: its
    value that leaves the data unchanged, None where none does; severities: those that a suite sweeps unless it has its
    own. axis: the label of the severity as an x; scale: `share`, `log` or `linear`; unit: what a slope is per, with
    `units` of them in 1 of the axis (for `log`, in a factor of ten); upto: the largest x that enters a slope; realised:
    the entry of the record with the realised severity, "" for the nominal one.
    removes: images may be left out; cleans: those with suspected labels are; relabels: labels change, so validation
    labels get the same where no clean ones are available; of_pixels: images alone change, of any data set; single: a
    chain has at most one; definition: how its perturbations are defined, for reports.
    """

    name: str
    noun: str
    severity: str
    control: float | None
    severities: tuple[float, ...]
    axis: str
    scale: str = "linear"
    unit: str = "step"
    units: float = 1.0
    upto: float | None = None
    realised: str = ""
    removes: bool = False
    cleans: bool = False
    relabels: bool = False
    of_pixels: bool = False
    single: bool = False
    definition: str = ""


# Class counts are fixed before labels are flipped, so that a tail's noise is the noise of its few images; cues are
# tied to true classes.
STAGES = {
    stage.name: stage
    for stage in (
        Stage(
            "imbalance",
            "imbalance",
            severity="factor",
            control=1.0,
            severities=(10.0, 100.0),
            axis="imbalance factor",
            scale="log",
            unit="factor of ten",
            removes=True,
            definition="exponential: n_k = floor(n_max * factor^(-k/(C-1))), at least 1, n_max the smallest class of "
            "the clean split; step: half of the classes have n_max/factor. Unless the order is random, the last "
            "classes by label are the rare ones, and the effect of rarity cannot be separated from that of difficulty.",
        ),
        Stage(
            "planted cue",
            "cue",
            severity="correlation",
            control=None,
            severities=(0.5, 0.9, 0.95, 1.0),
            axis="correlation of cue and class",
            scale="share",
            unit="10 points of correlation",
            units=10.0,
            single=True,
            definition="A planted cue is tied to the class in exactly round(correlation * n_k) images of each class k; "
            "the others show the other values evenly, and images that conflict at one correlation also do at every "
            "smaller one. Where that is less than one image of a class, as many classes have one as make the share "
            "right on average. Validation images have the cue independently of the class.",
        ),
        Stage(
            "label noise",
            "noise",
            severity="rate",
            control=0.0,
            severities=(0.2, 0.4),
            axis="wrong labels (realised)",
            scale="share",
            unit="10% of wrong labels",
            units=10.0,
            upto=0.5,
            realised="rate",
            relabels=True,
            definition="Symmetric noise draws the new label from the other classes unless the condition says include "
            "own; pairflip moves a class to the next; asymmetric noise follows the data set's semantic map, so its "
            "overall rate is lower; instance noise is that of Xia et al. 2020. Images flipped at one rate are also "
            "flipped at every higher one.",
        ),
        Stage(
            "cleaning",
            "cleaning",
            severity="",
            control=None,
            severities=(),
            axis="",
            removes=True,
            cleans=True,
            single=True,
            definition="Cleaning leaves out images with suspected labels before distilling: those with the largest "
            "out-of-fold loss, those that confident learning finds, or, as an oracle, the wrong ones. Its sham leaves "
            "out as many at random.",
        ),
        Stage(
            "pixel corruption",
            "corruption",
            severity="severity",
            control=0.0,
            severities=(1.0, 3.0, 5.0),
            axis="severity",
            of_pixels=True,
            definition="Pixel corruptions are a subset of the common ones, with the constants for CIFAR, of the "
            "training images alone; this is not CIFAR-C.",
        ),
    )
}
ORDER = tuple(STAGES)


def stage_named(name: str) -> Stage:
    """The stage of a name.

    Raises: UnknownNameError.
    """
    if name not in STAGES:
        raise unknown("stage of perturbation", name, STAGES)
    return STAGES[name]
