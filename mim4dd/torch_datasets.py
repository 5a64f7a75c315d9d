"""Images of a torch data set, read one by one: as they are, without any transform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mim4dd.capacity import require_image_capacity
from mim4dd.errors import DataError
from mim4dd.pixels import Array, Floats, Integers, as_array, as_pixels, as_whole, channels_first

MODES = ("L", "RGB")


def read_dataset(name: str, dataset: Any) -> tuple[Floats, Integers]:
    """All images and labels of a map-style data set, in its order.

    name: what messages call it. Each item is a pair (image, label): a PIL image (L or RGB) or an array or tensor, uint8
    or floats in [0, 1], [H, W], [H, W, channels] or [channels, H, W]; and a whole number.
    Raises: DataError for another kind of data set, one with a `transform`, an item of another form, and images that
    differ in size or type or do not fit in memory.
    """
    _require_map_style(name, dataset)
    _require_untransformed(name, dataset)
    images: Array | None = None
    labels: list[Any] = []
    for position in range(len(dataset)):
        place = f"{name}: item {position}"
        image, label = _pair(place, dataset[position])
        array = _levels(place, image)
        if images is None:
            images = _room(name, len(dataset), array)
        if array.shape != images.shape[1:] or array.dtype != images.dtype:
            raise DataError(
                f"{name}: images must be of one size and type, got {images.dtype} {list(images.shape[1:])} first and "
                f"{array.dtype} {list(array.shape)} in item {position}; convert them, or store them as files and read "
                "folder:DIR with the knob size"
            )
        images[position] = array
        labels.append(_label(place, label))
    assert images is not None  # it is not empty
    return as_pixels(f"{name}: images", images), as_whole(f"{name}: labels", np.asarray(labels), len(labels))


def name_of_dataset(dataset: Any) -> str:
    """A data set's kind, such as `FashionMNIST`: a subset's is that of what it is a part of."""
    return name_of_dataset(dataset.dataset) if _is_part(dataset) else type(dataset).__name__


def classes_of(name: str, dataset: Any) -> Sequence[str] | None:
    """The class names that a data set has as `.classes`, a subset's or a concatenation's from within; None without.

    Raises: DataError where those of a concatenation differ.
    """
    found: Sequence[str] | None = getattr(dataset, "classes", None)
    if found is not None:
        return found
    inside = [names for part in _inside(dataset) if (names := classes_of(name, part)) is not None]
    if any(list(names) != list(inside[0]) for names in inside):
        raise DataError(f"{name}: the joined data sets must have the same classes, got different ones; give classes=")
    return inside[0] if inside else None


def _require_map_style(name: str, dataset: Any) -> None:
    from torch.utils.data import IterableDataset

    if isinstance(dataset, IterableDataset) or not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise DataError(
            f"{name} must be a map-style data set, with a length and items by position, got "
            f"{type(dataset).__name__}; collect its images into arrays and give ImageData.from_arrays those"
        )
    if not len(dataset):
        raise DataError(f"{name} must have images, got a {type(dataset).__name__} of none")


def _require_untransformed(name: str, dataset: Any) -> None:
    # torchvision joins transform and target_transform into one object that has both
    both = getattr(dataset, "transforms", None)
    if getattr(dataset, "transform", None) is not None or getattr(both, "transform", both) is not None:
        raise DataError(
            f"{name} must give its images as they are, got a {type(dataset).__name__} with a transform; construct it "
            "without: standardisation and augmentation are the recipe's (target_transform may stay)"
        )
    for part in _inside(dataset):
        _require_untransformed(name, part)


def _is_part(dataset: Any) -> bool:
    return hasattr(dataset, "dataset") and hasattr(dataset, "indices")


def _inside(dataset: Any) -> list[Any]:
    """The data sets that a subset, a concatenation or a wrapper of that kind is made of."""
    if hasattr(dataset, "dataset"):
        return [dataset.dataset]
    parts = getattr(dataset, "datasets", ())
    return list(parts) if isinstance(parts, list | tuple) else []


def _pair(place: str, item: Any) -> tuple[Any, Any]:
    if not isinstance(item, tuple | list):
        raise DataError(f"{place} must be a pair (image, label), got {type(item).__name__}")
    if len(item) != 2:
        raise DataError(f"{place} must be a pair (image, label), got {len(item)} entries")
    return item[0], item[1]


def _levels(place: str, image: Any) -> Array:
    """One image as an array of its own layout."""
    mode = getattr(image, "mode", None)
    if isinstance(mode, str) and mode not in MODES:
        raise DataError(
            f"{place}: a PIL image must be grey (L) or RGB, got {mode}; convert it, as in image.convert('RGB')"
        )
    array = as_array(f"{place}: its image", image)
    if array.ndim not in (2, 3):
        raise DataError(
            f"{place}: an image must be a PIL image, or an array [H, W], [H, W, 1 or 3] or [1 or 3, H, W], got "
            f"{type(image).__name__} of shape {list(array.shape)}"
        )
    return array


def _label(place: str, label: Any) -> Any:
    array = as_array(f"{place}: its label", label)
    if array.ndim or array.dtype.kind not in "iu":
        raise DataError(
            f"{place}: a label must be one whole number, got {array.dtype} of shape {list(array.shape)}; "
            "target_transform can convert it"
        )
    return array.item()


def _room(name: str, count: int, first: Array) -> Array:
    """An array for all images, where they fit in memory."""
    channels, height, width = channels_first(f"{name}: images", first[None]).shape[1:]
    require_image_capacity(name, count, (channels, height, width), reading_bytes=count * first.nbytes)
    return np.empty((count, *first.shape), first.dtype)
