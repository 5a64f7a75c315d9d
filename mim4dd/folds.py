"""What a simple classifier says of each image that it has not seen: how likely its label is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from mim4dd.records import ImageData, Integers

FOLDS = 5
# Directions of the pixels in which images differ most, which the classifier sees.
COMPONENTS = 64


def out_of_fold(train: ImageData, folds: Integers, states: Sequence[int]) -> npt.NDArray[np.float64]:
    """Probabilities of the classes for each image by a classifier that has not seen its fold, [N, C].

    The classifier is a logistic regression on the leading principal components of the pixels: our choice, fast and the
    same everywhere. A class that the other folds lack is NaN, as nothing is known of it.
    Shapes: folds [N], 0 to FOLDS - 1; states: the random state of each fold's classifier.
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    pixels = train.images.reshape(len(train), -1)
    probabilities = np.full((len(train), len(train.classes)), np.nan)
    for fold, state in enumerate(states):
        held = folds == fold
        seen = np.unique(train.labels[~held])
        if not held.any() or len(seen) < 2:
            continue
        components = min(COMPONENTS, pixels.shape[1], int((~held).sum()) - 1)
        model = make_pipeline(PCA(components, whiten=True, random_state=state), LogisticRegression(max_iter=300))
        model.fit(pixels[~held], train.labels[~held])
        probabilities[np.ix_(held, seen)] = model.predict_proba(pixels[held])
    return probabilities
