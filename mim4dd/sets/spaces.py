"""How the images of a set were normalised: said by the user or the file, or found from the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mim4dd.data.standard import fit_standard, fit_zca
from mim4dd.errors import InputError
from mim4dd.records import Floats, ImageData
from mim4dd.registry import unknown
from mim4dd.standard import Standard, Whitening

SPACES = ("levels", "pixels", "published", "channels", "zca", "zca-published", "zca-pixels")
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# Mean and std of the public code of DC, DSA and DM.
PUBLISHED = {
    "mnist": ((0.1307,), (0.3081,)),
    "fashion_mnist": ((0.2861,), (0.3530,)),
    "svhn": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": ((0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762)),
    "tinyimagenet": IMAGENET,
    "imagenet": IMAGENET,
}
WHITE = 255


def standardised(
    file: str,
    images: Floats,
    levels: bool,
    data: ImageData,
    names: tuple[str, ...],
    asked: str,
    *,
    by_file: bool = False,
) -> tuple[Floats, Standard, str, str]:
    """(images in the space that networks are trained in, its map from pixels, its name, a line on how it was found).

    levels: whether the file has them as whole numbers 0..255; names: of the data set; asked: one of SPACES, numbers as
    MEAN/STD (`0.5,0.5,0.5/0.2,0.2,0.2`), or "" to find out; by_file: it is the file that asks.
    Levels and pixels are standardised by the training split; all others are taken as they are.
    Raises: InputError for a name that does not exist, or does not fit the data set.
    """
    constants = next((PUBLISHED[name] for name in names if name in PUBLISHED), None)
    if constants is not None and len(constants[0]) != data.shape[0]:
        constants = None
    name, why = (
        (asked, "as the file names it" if by_file else "as asked")
        if asked
        else found_space(file, images, levels, constants is not None)
    )
    if "/" in name:
        return images, _of_numbers(name, data.shape[0]), name, f"normalised by {name}, {why}"
    if name not in SPACES:
        raise unknown("standard", name, SPACES)
    said = f"normalised as {name}: {why}"
    if name in ("levels", "pixels"):
        standard = fit_standard(data.images, "channels")
        return standard(images / np.float32(WHITE) if name == "levels" else images), standard, "channels", said
    if name in ("channels", "zca", "zca-pixels"):
        return images, fit_standard(data.images, name), name, said
    if constants is None:
        raise InputError(
            f"standard {name} needs a data set with published constants ({', '.join(PUBLISHED)}), got {names[0]}; give "
            "numbers as MEAN/STD, or say what a file holds with classes-as"
        )
    mean, std = (np.array(numbers, np.float32) for numbers in constants)
    plain = Standard(mean, std)
    if name == "zca-published":
        plain = Standard(mean, std, fit_zca(data.images, plain))
    return images, plain, name, said


def found_space(file: str, images: Floats, levels: bool, published: bool) -> tuple[str, str]:
    """(one of SPACES, why) by the file's name and numbers. published: whether the data set has constants."""
    low, high = float(images.min()), float(images.max())
    if levels or (low >= 0 and 1 < high <= WHITE):
        return "levels", f"numbers from {low:g} to {high:g}"
    if "images_zca" in file:
        return "pixels", "the file's name is that of MTT's images after the inverse of its whitening"
    if low >= 0 and high <= 1:
        return "pixels", f"numbers from {low:.3g} to {high:.3g}"
    otherwise = "if its maker used other numbers or whitened (MTT with ZCA: zca-pixels), say so with --standard"
    if published:
        return (
            "published",
            f"numbers from {low:.3g} to {high:.3g}, and the data set has published constants; {otherwise}",
        )
    return "channels", f"numbers from {low:.3g} to {high:.3g}, mean and std of the training split; {otherwise}"


def _of_numbers(text: str, channels: int) -> Standard:
    try:
        mean, std = (np.array([float(one) for one in part.split(",")], np.float32) for part in text.split("/"))
    except ValueError as error:
        raise InputError(f"standard must be MEAN/STD, as 0.5,0.5,0.5/0.2,0.2,0.2, got '{text}'") from error
    _require_standard(mean, std, channels)
    return Standard(mean, std)


def space_of_file(space: Mapping[str, Any], data: ImageData) -> Standard:
    """The standardisation that a file itself holds: `mean`, `std` and, where it was whitened, its two arrays.

    Raises: InputError where they do not fit the data set.
    """
    arrays = {}
    for key, value in space.items():
        array = np.asarray(value)
        if array.dtype.kind not in "fiu":
            raise InputError(f"{key} must be numbers, got {array.dtype}")
        arrays[key] = array.astype(np.float32)
    if not {"mean", "std"} <= set(arrays):
        raise InputError(f"the file must have mean and std, both or neither, got {', '.join(arrays)}")
    mean, std = arrays["mean"].reshape(-1), arrays["std"].reshape(-1)
    _require_standard(mean, std, data.shape[0])
    if "whitening" not in arrays:
        return Standard(mean, std)
    centre = arrays.get("whitening_centre")
    if centre is None or centre.size != np.prod(data.shape):
        raise InputError(f"the file's whitening must come with a whitening_centre of {np.prod(data.shape)} numbers")
    return Standard(mean, std, Whitening(centre.reshape(-1), arrays["whitening"]))


def _require_standard(mean: Floats, std: Floats, channels: int) -> None:
    if not len(mean) == len(std) == channels or not np.isfinite([mean, std]).all() or std.min() <= 0:
        raise InputError(
            f"mean and std must be {channels} finite numbers each, std above 0, got {mean.tolist()} and {std.tolist()}"
        )
