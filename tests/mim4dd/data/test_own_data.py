"""People's own arrays and torch data sets: every form that is read, and one clear line for every other."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset
from torchvision.datasets.vision import VisionDataset

from mim4dd import ImageData

LEVELS = np.random.default_rng(0).integers(0, 256, size=(40, 6, 5, 3), dtype=np.uint8)
LABELS = np.arange(40) % 4
PIXELS = LEVELS.transpose(0, 3, 1, 2) / np.float32(255)
Refusal = Callable[[Callable[[], object]], str]


class Photos(Dataset[Any]):
    """A map-style data set of whatever it is given."""

    def __init__(self, images: Any, labels: Any, classes: Any = None, transform: Any = None) -> None:
        self.images, self.labels, self.transform = images, labels, transform
        if classes is not None:
            self.classes = classes

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, position: int) -> Any:
        return self.images[position], self.labels[position]


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (LEVELS, PIXELS),
        (LEVELS.transpose(0, 3, 1, 2).copy(), PIXELS),
        (LEVELS[..., 0].copy(), PIXELS[:, :1]),
        (LEVELS[..., :1].copy(), PIXELS[:, :1]),
        ((LEVELS / 255).astype(np.float32), PIXELS),
        (LEVELS / 255, PIXELS),
    ],
)
def test_layouts_and_types_of_arrays(convert: Any, images: np.ndarray, expected: np.ndarray) -> None:
    data = ImageData.from_arrays(convert(images), convert(LABELS))
    np.testing.assert_array_equal(data.images, expected)
    assert data.images.dtype == np.float32
    assert data.images.flags.c_contiguous
    assert data.labels.dtype == np.int64
    assert (data.labels.tolist(), data.index.tolist()) == (LABELS.tolist(), list(range(40)))
    assert (data.classes, data.source) == (("0", "1", "2", "3"), "arrays")


def test_what_is_said_of_arrays_is_kept_and_the_arrays_are_copied() -> None:
    images = torch.from_numpy(LEVELS / 255).float().requires_grad_()
    data = ImageData.from_arrays(
        images, LABELS.tolist(), classes=["a", "b", "c", "d", "e"], source="mine/train", index=range(100, 140)
    )
    assert (data.classes, data.source, data.index[0]) == (("a", "b", "c", "d", "e"), "mine/train", 100)
    with torch.no_grad():
        images.zero_()
    assert data.images.max() == 1


BAD_ARRAYS: list[tuple[dict[str, Any], str]] = [
    ({"images": LEVELS.astype(np.int64)}, "arrays: images must be uint8, or floats in [0, 1], got int64"),
    ({"images": LEVELS * 1.0}, "arrays: images must be in [0, 1] when they are floats, got 0 to 255; scale them"),
    ({"images": LEVELS.reshape(40, -1)}, "arrays: images must be [N, H, W], [N, H, W, 1 or 3] or [N, 1 or 3, H, W], "),
    ({"images": LEVELS[:0]}, "arrays: images must not be empty, got shape [0, 6, 5, 3]"),
    ({"images": [[1, 2], [3]]}, "arrays: images cannot be read as an array: "),
    ({"images": torch.zeros(40, 2, 2, dtype=torch.bfloat16)}, "arrays: images cannot be read as an array: "),
    ({"images": None}, "arrays: images must be [N, H, W]"),
    ({"labels": LABELS[:-1]}, "arrays: labels must be one number for each image, shape [40], got shape [39]"),
    ({"labels": np.eye(4)[LABELS]}, "arrays: labels must be one number for each image, shape [40], got shape [40, 4]"),
    ({"labels": ["cat"] * 40}, "arrays: labels must be whole numbers, got <U3"),
    ({"labels": LABELS - 1}, "arrays: labels must be whole numbers from 0 up, got -1"),
    ({"labels": LABELS + 0.5}, "arrays: labels must be whole numbers from 0 up, got 0.5"),
    ({"labels": LABELS + 10**9}, "arrays: every class needs a training image, got label 1000000003 and 40 images"),
    ({"classes": ["a", "b"]}, "arrays: labels must be in [0, 1], as there are 2 classes, got 3"),
    ({"classes": "abcd"}, "arrays: classes must be different strings, one for each class, got 'abcd'"),
    ({"classes": ["a", "b", "c", "a"]}, "arrays: classes must be different strings"),
    ({"classes": range(4)}, "arrays: classes must be different strings"),
    ({"classes": []}, "arrays: classes must be different strings"),
    ({"classes": ["a", "b", "c", "d\n"]}, r"a name that results hold must be printable UTF-8, got 'd\n'"),
    ({"source": ""}, "source must be a text that names where the images are from, got ''"),
    ({"source": "a\nb"}, r"source must be printable UTF-8, got 'a\nb'"),
    ({"index": [0] * 40}, "arrays: index must name each position once, got repeated positions"),
    ({"index": range(39)}, "arrays: index must be one number for each image, shape [40], got shape [39]"),
]


@pytest.mark.parametrize(("given", "line"), BAD_ARRAYS)
def test_arrays_that_do_not_fit_are_refused(given: dict[str, Any], line: str, refusal: Refusal) -> None:
    arguments = {"images": LEVELS, "labels": LABELS, **given}
    assert refusal(lambda: ImageData.from_arrays(**arguments)).startswith(line)


def test_more_than_the_free_memory_is_refused(monkeypatch: pytest.MonkeyPatch, refusal: Refusal) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=10_000))
    line = "40 images of 3 x 6 x 5 in 3 copies as float32 would take 1 MB of memory, 1 MB are free; give fewer"
    assert f"arrays: {line}" in refusal(lambda: ImageData.from_arrays(LEVELS, LABELS))
    assert f"torch:Photos: {line}" in refusal(lambda: ImageData.from_torch(Photos(LEVELS, LABELS)))


@pytest.mark.parametrize(
    ("form", "channels"),
    [
        (Image.fromarray, 3),
        (lambda levels: Image.fromarray(levels[..., 0]), 1),
        (lambda levels: levels, 3),
        (lambda levels: levels.transpose(2, 0, 1) / 255, 3),
        (lambda levels: torch.from_numpy(levels), 3),
        (lambda levels: torch.from_numpy(levels[..., :1].transpose(2, 0, 1) / np.float32(255)), 1),
        (lambda levels: torch.from_numpy(levels[..., 0] / np.float32(255)), 1),
    ],
)
def test_items_of_a_torch_data_set(form: Callable[[np.ndarray], Any], channels: int) -> None:
    data = ImageData.from_torch(Photos([form(levels) for levels in LEVELS], LABELS.tolist()))
    np.testing.assert_array_equal(data.images, PIXELS[:, :channels])
    assert (data.classes, data.source) == (("0", "1", "2", "3"), "torch:Photos")
    assert (data.labels.tolist(), data.index.tolist()) == (LABELS.tolist(), list(range(40)))


def test_labels_of_every_kind_and_a_plain_list_of_pairs() -> None:
    labels = [3, np.int32(1), torch.tensor(2), np.array(0, np.uint8)]
    data = ImageData.from_torch(list(zip(LEVELS, labels, strict=False)), source="mine", classes=list("abcd"))
    assert (data.labels.tolist(), data.source, data.classes) == ([3, 1, 2, 0], "mine", ("a", "b", "c", "d"))
    assert len(ImageData.from_torch(TensorDataset(torch.from_numpy(PIXELS), torch.from_numpy(LABELS)))) == 40


def test_parts_and_joined_data_sets_keep_the_names_of_classes() -> None:
    whole = Photos(LEVELS, LABELS, classes=["a", "b", "c", "d"])
    part = Subset(whole, [7, 3, 5])
    data = ImageData.from_torch(Subset(part, [2, 0]))
    assert (data.labels.tolist(), data.index.tolist()) == ([1, 3], [0, 1])
    assert (data.classes, data.source) == (("a", "b", "c", "d"), "torch:Photos")
    np.testing.assert_array_equal(data.images, PIXELS[[5, 7]])
    joined = ImageData.from_torch(ConcatDataset([part, whole]))
    assert (len(joined), joined.classes, joined.source) == (43, ("a", "b", "c", "d"), "torch:ConcatDataset")


def test_torchvision_transforms(refusal: Refusal) -> None:
    class Vision(VisionDataset):
        def __len__(self) -> int:
            return 40

        def __getitem__(self, position: int) -> Any:
            return Image.fromarray(LEVELS[position]), self.target_transform(LABELS[position])

    def halved(label: int) -> int:
        return int(label) // 2

    def both(image: Any, label: Any) -> Any:
        return image, label

    data = ImageData.from_torch(Vision("", target_transform=halved))
    assert data.classes == ("0", "1")
    line = "torch:Vision must give its images as they are, got a Vision with a transform; construct it without: "
    for dataset in (Vision("", transform=halved, target_transform=halved), Vision("", transforms=both)):
        assert refusal(lambda dataset=dataset: ImageData.from_torch(dataset)) == (
            f"{line}standardisation and augmentation are the recipe's (target_transform may stay)"
        )
        for wrapped in (Subset(dataset, [0, 1]), ConcatDataset([Subset(Photos(LEVELS, LABELS), [1]), dataset])):
            assert "got a Vision with a transform" in refusal(lambda wrapped=wrapped: ImageData.from_torch(wrapped))


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter([(LEVELS[0], 0)])


PAIR = "torch:Photos: item 1 must be a pair (image, label), got "
BAD_DATASETS: dict[str, tuple[Any, str]] = {
    "another size": (
        Photos([*LEVELS, LEVELS[0, :4]], [0] * 41),
        "torch:Photos: images must be of one size and type, got uint8 [6, 5, 3] first and uint8 [4, 5, 3] in item 40; ",
    ),
    "grey among colour": (Photos([LEVELS[0], LEVELS[1, ..., 0]], [0, 1]), "and uint8 [6, 5] in item 1; convert them"),
    "another type": (Photos([LEVELS[0], LEVELS[1] / 255], [0, 1]), "and float64 [6, 5, 3] in item 1; convert them"),
    "a stream": (
        Stream(),
        "torch:Stream must be a map-style data set, with a length and items by position, got",
    ),
    "a number": (3, "torch:int must be a map-style data set"),
    "nothing": (Photos([], []), "torch:Photos must have images, got a Photos of none"),
    "three entries": ([(LEVELS[0], 0), (LEVELS[0], 0, 0)], "torch:list: item 1 must be a pair (image, label), got 3"),
    "images alone": (list(LEVELS), "torch:list: item 0 must be a pair (image, label), got ndarray"),
    "a dictionary": ([{"image": 1, "label": 2}], "torch:list: item 0 must be a pair (image, label), got dict"),
    "a palette": (
        Photos([Image.fromarray(LEVELS[0]).quantize(4)], [0]),
        "torch:Photos: item 0: a PIL image must be grey (L) or RGB, got P; convert it, as in image.convert('RGB')",
    ),
    "deep": (Photos([Image.new("I;16", (5, 6))], [0]), "must be grey (L) or RGB, got I;16; convert it"),
    "a text as image": (Photos(["cat.png"], [0]), "got str of shape []"),
    "flat": (Photos(LEVELS.reshape(40, -1), LABELS), "got ndarray of shape [90]"),
    "five channels": (Photos(np.zeros((2, 6, 4, 5)), [0, 1]), "images must be [N, H, W], [N, H, W, 1 or 3] or"),
    "whole floats": (Photos(LEVELS * 1.0, LABELS), "images must be in [0, 1] when they are floats, got 0 to 255"),
    "a text as label": (Photos(LEVELS, ["cat"] * 40), "item 0: a label must be one whole number, got <U3 of shape []"),
    "a truth as label": (Photos(LEVELS, LABELS > 1), "item 0: a label must be one whole number, got bool of shape []"),
    "one-hot labels": (Photos(LEVELS, np.eye(4)[LABELS]), "a label must be one whole number, got float64 of shape [4]"),
    "a negative label": (Photos(LEVELS, LABELS - 1), "torch:Photos: labels must be whole numbers from 0 up, got -1"),
    "few classes": (Photos(LEVELS, LABELS, classes=["a"]), "labels must be in [0, 0], as there are 1 classes, got 3"),
    "odd classes": (Photos(LEVELS, LABELS, classes=3), "torch:Photos: classes must be different strings"),
    "different classes": (
        ConcatDataset([Photos(LEVELS, LABELS, classes=list(names)) for names in ("abcd", "abdc")]),
        "torch:ConcatDataset: the joined data sets must have the same classes, got different ones; give classes=",
    ),
}


@pytest.mark.parametrize("case", BAD_DATASETS)
def test_torch_data_sets_that_cannot_be_read(case: str, refusal: Refusal) -> None:
    dataset, line = BAD_DATASETS[case]
    assert line in refusal(lambda: ImageData.from_torch(dataset))
