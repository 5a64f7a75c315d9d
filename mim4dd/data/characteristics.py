"""What kind of data a data set holds: sizes, and how hard it is for the simplest methods."""

from __future__ import annotations

import numpy as np

from mim4dd.records import Floats, ImageData, Splits
from mim4dd.seeding import sampled_rows

# The images that a probe or a dimension is estimated from, at most.
MOST_IMAGES = 2_000
# The ridge penalty as a share of the mean diagonal of the Gram matrix.
RIDGE = 0.01
# The share of the largest ratios of distances that is left out, as by the estimator's authors.
DISCARDED = 0.1


def characteristics(splits: Splits) -> dict[str, float]:
    """Classes, channels, height and width; training images, of all classes, of the smallest and of the largest one;
    the accuracy of a linear probe, and the intrinsic dimension of the training images.

    Both estimates read at most 2,000 training images, and the probe as many validation images.
    """
    train, counts = splits.train, splits.train.counts
    channels, height, width = train.shape
    sample = _sample(train)
    return {
        "classes": len(splits.classes),
        "channels": channels,
        "height": height,
        "width": width,
        "training_images": len(train),
        "smallest_class": int(counts.min()),
        "largest_class": int(counts.max()),
        "linear_probe": linear_probe(sample, _sample(splits.validation)),
        "intrinsic_dimension": intrinsic_dimension(sample.images),
    }


def _sample(data: ImageData) -> ImageData:
    """At most MOST_IMAGES of a split, the same ones every time."""
    return data.take(sampled_rows(len(data), MOST_IMAGES, "characteristics"))


def linear_probe(train: ImageData, held_out: ImageData) -> float:
    """The accuracy on held-out images of a linear classifier of the pixels, fitted by regularised least squares.

    It is solved over images, not pixels: [N, N]. Source: Hoerl & Kennard 1970, "Ridge regression".
    """
    pixels, other = (data.images.reshape(len(data), -1).astype(np.float64) for data in (train, held_out))
    centre = pixels.mean(axis=0)
    pixels, other = pixels - centre, other - centre
    targets = np.eye(len(train.classes))[train.labels]
    mean = targets.mean(axis=0)
    gram = pixels @ pixels.T
    penalty = RIDGE * max(np.trace(gram) / len(gram), 1e-12)
    weights = np.linalg.solve(gram + penalty * np.eye(len(gram)), targets - mean)
    scores = other @ (pixels.T @ weights) + mean
    return float((scores.argmax(axis=1) == held_out.labels).mean())


def intrinsic_dimension(images: Floats) -> float:
    """The number of coordinates in which neighbouring images differ, by the distances to the two nearest ones.

    The maximum-likelihood form of the estimator; identical images have no ratio and are left out. NaN where fewer than
    two are left.
    Source: Facco, d'Errico, Rodriguez & Laio 2017, "Estimating the intrinsic dimension of datasets by a minimal
    neighborhood information" (TwoNN).
    """
    points = images.reshape(len(images), -1).astype(np.float64)
    squares = (points**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0)
    np.fill_diagonal(distances, np.inf)
    first, second = np.sqrt(np.partition(distances, 1, axis=1)[:, :2]).T
    kept = (first > 1e-6) & np.isfinite(second)
    ratios = np.sort(np.log(second[kept] / first[kept]))
    # The largest are the noisiest: a censored sample, of which the rest counts as the last one kept.
    used = int(len(ratios) * (1 - DISCARDED))
    if used < 2:
        return float("nan")
    total = ratios[:used].sum() + (len(ratios) - used) * ratios[used - 1]
    return float(used / total) if total > 0 else float("nan")
