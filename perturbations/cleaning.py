"""Cleaning: images whose labels are suspected are left out before anything is distilled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mim4dd.errors import InputError
from mim4dd.folds import FOLDS, out_of_fold
from mim4dd.records import ImageData, Integers
from mim4dd.registry import knob
from mim4dd.seeding import generator, integer
from perturbations.catalogue import PERTURBATIONS, Perturbed
from perturbations.draws import check_classes, ranks, uniforms

RULES = ("loss", "confident", "oracle")
NEEDS_CLEANLAB = "dropped:by=confident needs cleanlab: pip install 'mim4dd[cleaning]'"

Mask = npt.NDArray[np.bool_]


@PERTURBATIONS.add("dropped")
@dataclass(frozen=True, kw_only=True)
class Dropped:
    """Images with suspected labels are left out, before distilling.

    by: `loss` leaves out the `share` of images with the largest out-of-fold loss of their label, `confident` those
    that confident learning finds (cleanlab; pip install 'mim4dd[cleaning]'), `oracle` those whose label is wrong, which
    only an experiment knows: the most that cleaning can do. sham: as many images as the rule would leave out, drawn at
    random: what is gained by that is not due to finding wrong labels.
    Out-of-fold probabilities are those of a logistic regression on the leading principal components of the pixels,
    fitted on four fifths of the images and asked about the other fifth. An image whose class the four fifths lack is
    not suspected by its loss, and of every class the least suspected image stays, but for the oracle's: where a rare
    class has a few images, all of them may look wrong.
    Source: Northcutt et al. 2021, "Confident learning"; small-loss selection as in Han et al. 2018 (Co-teaching).
    """

    stage: ClassVar[str] = "cleaning"
    by: str = knob("loss", choices=RULES, help="how wrong labels are suspected; oracle knows them")
    share: float = knob(0.2, low=0.0, high=0.9, search=(0.0, 0.5), help="fraction of the images that `loss` drops")
    sham: bool = knob(False, help="as many images, drawn at random")

    def __call__(self, train: ImageData, *, seed: int, clean_labels: Integers | None = None) -> Perturbed:
        """clean_labels: the true ones, [N], by default those of the data."""
        check_classes("dropped", train)
        clean = train.labels if clean_labels is None else clean_labels
        wrong = train.labels != clean
        suspected = self._suspected(train, wrong, seed)
        if self.sham:
            (draws,) = uniforms(generator("cleaning", "sham", train.source, seed), train)
            suspected = lowest(draws, int(suspected.sum()), train.labels)
        data = train.take(np.flatnonzero(~suspected))
        found = int((suspected & wrong).sum())
        realised = {
            "share": float(suspected.mean()),
            "counts": data.counts.tolist(),
            "wrong_dropped": found,
            "right_dropped": int(suspected.sum()) - found,
            "wrong_left": int(wrong.sum()) - found,
        }
        return Perturbed(data, clean[~suspected], realised)

    def _suspected(self, train: ImageData, wrong: Mask, seed: int) -> Mask:
        if self.by == "oracle":
            return wrong
        probabilities = self._out_of_fold(train, seed)
        if self.by == "confident":
            return confident(train.labels, probabilities)
        likely = probabilities[np.arange(len(train)), train.labels]
        return lowest(np.where(np.isnan(likely), np.inf, likely), round(self.share * len(train)), train.labels)

    @staticmethod
    def _out_of_fold(train: ImageData, seed: int) -> npt.NDArray[np.float64]:
        """Folds have as many images of each class as can be."""
        (draws,) = uniforms(generator("cleaning", "folds", train.source, seed), train)
        folds = ranks(train.labels, len(train.classes), draws) % FOLDS
        states = [integer("cleaning", train.source, seed, fold) % 2**32 for fold in range(FOLDS)]
        return out_of_fold(train, folds, states)


def lowest(values: npt.NDArray[np.float64], count: int, labels: Integers) -> Mask:
    """Which images have the `count` smallest values, [N]; the largest of each class is never among them."""
    order = np.lexsort((values, labels))
    last = np.append(labels[order][1:] != labels[order][:-1], [True] * bool(len(labels)))
    among = values.copy()
    among[order[np.flatnonzero(last)]] = np.inf
    count = min(count, int(np.isfinite(among).sum()))
    return ranks(np.zeros(len(among), np.int64), 1, among) < count


def confident(labels: Integers, probabilities: npt.NDArray[np.float64]) -> Mask:
    """The images whose labels confident learning calls wrong, [N].

    Raises: InputError where cleanlab is not installed.
    """
    try:
        from cleanlab.filter import find_label_issues
    except ImportError as error:
        raise InputError(NEEDS_CLEANLAB) from error
    present = np.unique(labels)  # a tail may have lost a class
    among = np.nan_to_num(probabilities[:, present])
    among = among / among.sum(1, keepdims=True).clip(1e-12)
    found: Mask = find_label_issues(np.searchsorted(present, labels), among, n_jobs=1)
    return found
