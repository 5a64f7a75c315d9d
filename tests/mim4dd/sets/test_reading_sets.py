"""Reading sets of others: every layout, every normalisation, and files that are hostile or do not fit."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import mim4dd
from mim4dd.data import channel_statistics
from mim4dd.errors import InputError
from mim4dd.records import ImageData, Splits, Synthetic
from mim4dd.sets.spaces import PUBLISHED

IMAGES = torch.randn(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(10).repeat_interleave(2)
ACCURACIES = {"ConvNet": [np.float64(0.3), np.float32(0.4)], "all": np.array([1.0, 2.0])}


@pytest.fixture(scope="module")
def digits() -> Splits:
    return mim4dd.load("digits")


def save(value: Any, path: Path, legacy: bool = False) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=not legacy)
    return path


def read(path: Path, data: Splits | ImageData, **given: Any) -> Synthetic:
    return mim4dd.read_set(path, data=data, **given)[0]


def colour(name: str = "cifar10", count: int = 30) -> Splits:
    """A stand-in for a published set: its source, its classes' number, small images."""
    rng = np.random.default_rng(0)
    images = rng.random((count, 3, 4, 5), dtype=np.float32)
    classes = tuple(f"class {c}" for c in range(10))
    part = ImageData(images, np.arange(count) % 10, np.arange(count), classes, f"{name}/train")
    return Splits(name, part, part, part)


LAYOUTS: dict[str, Any] = {
    "DC": {"data": [[IMAGES * 2, LABELS], [IMAGES, LABELS]], "accs_all_exps": ACCURACIES},
    "ours": {"images": IMAGES, "labels": LABELS},
    "image_syn": {"image_syn": IMAGES, "label_syn": LABELS, "syn_lr": torch.tensor([0.5])},
    "data": {"data": IMAGES, "label": LABELS.float()},
    "x": {"x": IMAGES, "y": LABELS[:, None].to(torch.uint8)},
    "a pair": [IMAGES, LABELS],
    "three": (IMAGES, LABELS, 0.5),
    "steps": [[IMAGES, LABELS, torch.tensor(0.5)]],
    "learned": {"images": torch.nn.Parameter(IMAGES), "labels": LABELS},
    "channels last": {"images": IMAGES.permute(0, 2, 3, 1), "labels": LABELS},
    "no channel": {"images": IMAGES[:, 0], "labels": LABELS},
    "double": {"images": IMAGES.double(), "labels": LABELS.int()},
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_tensors(layout: str, legacy: bool, digits: Splits, tmp_path: Path) -> None:
    found = read(save(LAYOUTS[layout], tmp_path / "set.pt", legacy), digits)
    np.testing.assert_array_equal(found.images, IMAGES.numpy())
    np.testing.assert_array_equal(found.labels, LABELS.numpy())
    assert (found.soft, found.protocol, found.config["source"], found.config["ipc"]) == (None, "", "digits", 2)
    assert found.config.get("syn_lr") == (0.5 if layout in ("image_syn", "three", "steps") else None)
    assert found.config["origin"] == "set.pt"
    mean, std = channel_statistics(digits.train.images)
    np.testing.assert_array_equal([found.mean, found.std], [mean, std])


def test_numpy_and_safetensors(digits: Splits, tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=IMAGES.numpy(), labels=LABELS.numpy())
    save_file({"images": IMAGES, "labels": LABELS}, tmp_path / "set.safetensors")
    for name in ("set.npz", "set.safetensors"):
        np.testing.assert_array_equal(read(tmp_path / name, digits.train).images, IMAGES.numpy())
    half = save({"images": IMAGES.bfloat16(), "labels": LABELS}, tmp_path / "half.pt")
    np.testing.assert_allclose(read(half, digits).images, IMAGES.numpy(), atol=0.02)


def test_of_several_experiments_the_last_unless_told(digits: Splits, tmp_path: Path) -> None:
    path = save(LAYOUTS["DC"], tmp_path / "res.pt")
    found, notes = mim4dd.read_set(path, data=digits, which=0)
    np.testing.assert_array_equal(found.images, 2 * IMAGES.numpy())
    assert notes[0] == "sets in the file: 2, of which number 0, counted from 0, is read"
    for which in (2, -1):
        with pytest.raises(InputError, match=rf"which must be in \[0, 1\], the sets that res.pt holds, got {which}"):
            read(path, digits, which=which)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("images_best.pt", "labels_best.pt"),
        ("images_5000.pt", "labels_5000.pt"),
        ("images_zca_5000.pt", "labels_5000.pt"),
        ("CIFAR10_IPC50_images.pt", "CIFAR10_IPC50_labels.pt"),
        ("CIFAR10_IPC50_normalize_images.pt", "CIFAR10_IPC50_normalize_labels.pt"),
        ("images.pt", "soft_labels.pt"),
    ],
)
def test_labels_and_rates_beside_their_images(images: str, labels: str, digits: Splits, tmp_path: Path) -> None:
    soft = torch.full((20, 10), 0.05) + 0.5 * torch.eye(10)[LABELS]
    save(soft if "soft" in labels else LABELS, tmp_path / labels)
    path = save(IMAGES, tmp_path / images)
    if images != "images_zca_5000.pt":
        save(torch.tensor(0.25), tmp_path / images.replace("images", "lr"))
    found, notes = mim4dd.read_set(path, data=digits)
    np.testing.assert_array_equal(found.labels, LABELS.numpy())
    assert f"labels: {labels}" in notes
    assert found.config.get("syn_lr") == (None if "zca" in images else 0.25)
    if "soft" in labels:
        np.testing.assert_array_equal(found.soft, soft.numpy())
    if "zca" in images:  # MTT writes these after the inverse of its whitening: they are pixels
        np.testing.assert_allclose(found.pixels, IMAGES.numpy(), atol=1e-5)


def test_labels_of_another_name_must_be_given(digits: Splits, tmp_path: Path) -> None:
    path, other = save(IMAGES, tmp_path / "images.pt"), save({"y": LABELS}, tmp_path / "of_mine.pt")
    with pytest.raises(InputError, match=r"images\.pt holds images alone, and no labels file stands beside it"):
        read(path, digits)
    np.testing.assert_array_equal(read(path, digits, labels=other).labels, LABELS.numpy())
    both = save({"images": IMAGES, "labels": LABELS.flip(0)}, tmp_path / "both.pt")
    np.testing.assert_array_equal(read(both, digits, labels=other).labels, LABELS.numpy())


def test_soft_labels_are_probabilities_or_become_them(digits: Splits, tmp_path: Path) -> None:
    centred = torch.eye(10)[LABELS] - 0.1
    found, notes = mim4dd.read_set(save([IMAGES, centred], tmp_path / "set.pt"), data=digits)
    np.testing.assert_allclose(found.soft, centred.softmax(1).numpy(), atol=1e-6)
    assert notes[-1] == "soft labels: -0.1 to 0.9 are no probabilities; their softmax is used"
    np.testing.assert_array_equal(found.labels, LABELS.numpy())
    large = save([IMAGES, 1e4 * centred], tmp_path / "large.pt")
    np.testing.assert_allclose(read(large, digits).soft, np.eye(10)[LABELS], atol=1e-6)
    halves = (0.5 * torch.eye(10)[LABELS] + 0.05).half()
    found, notes = mim4dd.read_set(save([IMAGES, halves], tmp_path / "half.pt"), data=digits)
    assert notes[-1] == "soft labels: probabilities"
    assert found.soft is not None
    np.testing.assert_allclose(found.soft.sum(1), 1, atol=1e-6)


def test_classes_in_another_order(digits: Splits, tmp_path: Path) -> None:
    names = [str(c) for c in range(9, -1, -1)]
    path = save({"images": IMAGES, "labels": LABELS}, tmp_path / "set.pt")
    np.testing.assert_array_equal(read(path, digits, classes=names).labels, 9 - LABELS.numpy())
    soft = save({"images": IMAGES, "labels": torch.eye(10)[LABELS], "classes": names}, tmp_path / "soft.pt")
    np.testing.assert_array_equal(read(soft, digits).labels, 9 - LABELS.numpy())
    two = save({"images": IMAGES, "labels": LABELS % 2}, tmp_path / "two.pt")
    np.testing.assert_array_equal(read(two, digits, classes=["7", "3"]).labels, np.where(LABELS % 2, 3, 7))
    with pytest.raises(InputError, match="classes must be different classes of digits"):
        read(two, digits, classes=["7", "seven"])


def test_normalisation_is_found_and_said(tmp_path: Path) -> None:
    data, rng = colour(), np.random.default_rng(1)
    pixels = rng.random((10, 3, 4, 5), dtype=np.float32)
    levels = (pixels * 255).round().astype(np.uint8)
    mean, std = (np.array(one, np.float32)[:, None, None] for one in PUBLISHED["cifar10"])
    cases = {
        "levels": (levels, levels / 255),
        "float levels": (levels.astype(np.float32), levels / 255),
        "pixels": (pixels, pixels),
        "published": ((pixels - mean) / std, pixels),
    }
    for name, (images, expected) in cases.items():
        path = save([torch.tensor(images), torch.arange(10)], tmp_path / "set.pt")
        found, notes = mim4dd.read_set(path, data=data)
        assert notes[0].startswith(f"normalised as {name.split()[-1]}: "), name
        np.testing.assert_allclose(found.pixels, expected, atol=1e-5)
        if name == "published":
            np.testing.assert_array_equal(found.images, images.astype(np.float32))
            np.testing.assert_array_equal(found.mean, mean.reshape(-1))
        else:
            np.testing.assert_array_equal(found.mean, channel_statistics(data.train.images)[0])
    other = colour("npz:mine")
    assert mim4dd.read_set(path, data=other)[1][0].startswith("normalised as channels: ")


@pytest.mark.parametrize("standard", ["channels", "zca", "zca-published", "zca-pixels", "0.5,0.4,0.3/0.2,0.2,0.1"])
def test_a_space_that_is_named_holds_the_images_as_they_are(standard: str, tmp_path: Path) -> None:
    data = colour()
    images = torch.randn(10, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    found = read(save([images, torch.arange(10)], tmp_path / "set.pt"), data, standard=standard)
    np.testing.assert_array_equal(found.images, images.numpy())
    assert (found.whitening is not None) == standard.startswith("zca")
    np.testing.assert_allclose(found.standard(found.pixels), found.images, atol=1e-4)
    if standard == "zca-pixels":
        assert (found.mean.tolist(), found.std.tolist()) == ([0, 0, 0], [1, 1, 1])
    if standard[0] == "0":
        np.testing.assert_allclose(found.std, [0.2, 0.2, 0.1])


def test_standards_that_do_not_fit(digits: Splits, tmp_path: Path) -> None:
    path = save([IMAGES, LABELS], tmp_path / "set.pt")
    for standard, message in (
        ("levls", "unknown standard 'levls'; did you mean 'levels'?"),
        ("published", "standard published needs a data set with published constants"),
        ("0.5,0.5/0.2", "mean and std must be 1 finite numbers each"),
        ("0.5/0", "std above 0"),
        ("nan/1", "finite numbers"),
        ("a/b", r"standard must be MEAN/STD"),
        ("1/2/3", r"standard must be MEAN/STD"),
    ):
        with pytest.raises(InputError, match=message):
            read(path, digits, standard=standard)


def test_our_own_file_says_all_itself(digits: Splits, tmp_path: Path) -> None:
    read(save([IMAGES, LABELS], tmp_path / "set.pt"), digits).save(tmp_path / "synthetic.safetensors")
    for path in (tmp_path, tmp_path / "synthetic.safetensors"):
        found, notes = mim4dd.read_set(path, data=digits)
        assert notes == ("a set written by mim4dd",)
        np.testing.assert_array_equal(found.images, IMAGES.numpy())
    with pytest.raises(InputError, match="says its standard itself; leave it out"):
        read(tmp_path, digits, standard="zca")
    with pytest.raises(InputError, match="has 10 classes of"):
        read(tmp_path, colour())


class Code:
    ran = False

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("code of a file ran",)


def bomb() -> bytes:
    """A torch file that unpacks to far more than it holds."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    content = buffer.getvalue()
    at = content.rindex(b"PK\x01\x02") + 24  # the size in the directory
    return content[:at] + struct.pack("<I", 2**32 - 2) + content[at + 4 :]


def cut(value: Any, keep: float) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()[: int(len(buffer.getvalue()) * keep)]


DC = LAYOUTS["DC"]
HOSTILE: dict[str, tuple[str, Any, str]] = {
    "code": ("set.pt", {"images": IMAGES, "labels": Code()}, "code of a file is never run"),
    "a pickle": ("set.pt", pickle.dumps(Code()), "cannot be read"),
    "a python object": ("set.pt", {"images": IMAGES, "labels": LABELS, "args": Path("x")}, "is never run"),
    "half a file": ("set.pt", cut(DC, 0.5), "damaged or truncated"),
    "nearly a file": ("set.pt", cut(DC, 0.99), "damaged or truncated"),
    "nothing": ("set.pt", b"", "damaged or truncated"),
    "text": ("set.pt", b"no tensors here", "cannot be read"),
    "npz of text": ("set.npz", b"no arrays here", "is no zip file"),
    "safetensors of text": ("set.safetensors", b"no tensors here at all", "cannot be read"),
    "a huge header": ("set.safetensors", struct.pack("<Q", 2**62) + b"{}", "cannot be read"),
    "suffix": ("set.pkl", b"", "must end in .pt, .pth, .npz, .safetensors, ends in '.pkl'"),
    "more than memory": ("set.pt", {"images": IMAGES[:1].expand(2**40, 1, 8, 8), "labels": LABELS}, "MB of memory"),
    "sparse": ("set.pt", {"images": IMAGES.to_sparse(), "labels": LABELS}, "must hold plain tensors"),
    "complex": ("set.pt", {"images": IMAGES.to(torch.complex64), "labels": LABELS}, "must hold plain tensors"),
    "boolean": ("set.pt", {"images": IMAGES > 0, "labels": LABELS}, "images must be numbers, got bool"),
    "deep": ("set.pt", [[[[[[[[[[IMAGES]]]]]]]]]], "nested deeper than any set"),
    "other keys": ("set.pt", {"weights": IMAGES}, "it holds a dictionary with the keys 'weights'"),
    "empty dictionary": ("set.pt", {}, "it holds an empty dictionary"),
    "a number": ("set.pt", 3, "it holds one int"),
    "no experiments": ("set.pt", {"data": [], "accs_all_exps": {}}, "it holds a dictionary with the keys 'data'"),
    "NaN": ("set.pt", [IMAGES * float("nan"), LABELS], "images must be finite"),
    "too large": ("set.pt", [IMAGES.double() * 1e300, LABELS], "images must be finite"),
    "no images": ("set.pt", [IMAGES[:0], LABELS[:0]], "at least one, got shape [0, 1, 8, 8]"),
    "RGB": ("set.pt", [IMAGES.expand(20, 3, 8, 8), LABELS], "got shape [20, 3, 8, 8]"),
    "size": ("set.pt", [IMAGES[..., :7], LABELS], "must be like those of digits, [1, 8, 8] as [channels, H, W]"),
    "labels": ("set.pt", [IMAGES, LABELS + 1], "labels must be whole numbers in [0, 9], got 10"),
    "below 0": ("set.pt", [IMAGES, LABELS - 1], "labels must be whole numbers in [0, 9], got -1"),
    "half a label": ("set.pt", [IMAGES, LABELS + 0.5], "labels must be whole numbers in [0, 9], got 0.5"),
    "NaN labels": ("set.pt", [IMAGES, LABELS / 0.0 * 0], "labels must be finite"),
    "count": ("set.pt", [IMAGES, LABELS[1:]], "labels must be one for each of 20 images, got shape [19]"),
    "columns": ("set.pt", [IMAGES, torch.zeros(20, 9)], "soft labels must have 10 columns, one a class, got 9"),
    "one label": ("set.pt", {"images": IMAGES, "labels": 3}, "labels must be an array of numbers, got int"),
    "text labels": ("set.pt", {"images": IMAGES, "labels": ["a"] * 20}, "labels must be an array of numbers"),
    "rate": ("set.pt", (IMAGES, LABELS, -1.0), "the learning rate must be one number above 0, got -1.0"),
    "rates": ("set.pt", (IMAGES, LABELS, torch.ones(2)), "the learning rate must be one number above 0"),
    "half a standard": ("set.pt", {"images": IMAGES, "labels": LABELS, "mean": torch.ones(1)}, "both or neither"),
    "std of 0": (
        "set.pt",
        {"images": IMAGES, "labels": LABELS, "mean": torch.ones(1), "std": torch.zeros(1)},
        "std above 0",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_no_set_is_one_line(
    case: str,
    digits: Splits,
    tmp_path: Path,
    refusal: Callable[[Callable[[], object]], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, value, message = HOSTILE[case]
    path = tmp_path / file
    if isinstance(value, bytes):
        path.write_bytes(value)
    else:
        save(value, path)
    assert message in refusal(lambda: read(path, digits))
    assert "code of a file ran" not in capsys.readouterr().out


def test_a_pipe_a_folder_and_nothing(
    digits: Splits, tmp_path: Path, refusal: Callable[[Callable[[], object]], str]
) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "bomb.pt").write_bytes(bomb())
    assert "is a named pipe" in refusal(lambda: read(tmp_path / "pipe.pt", digits))
    assert "is a folder" in refusal(lambda: read(tmp_path / "folder.pt", digits))
    assert "No such file" in refusal(lambda: read(tmp_path / "none.pt", digits))
    refusal(lambda: read(tmp_path / "bomb.pt", digits))
    np.savez(tmp_path / "objects.npz", images=np.array([Code()], dtype=object), labels=np.zeros(1))
    assert "images cannot be read" in refusal(lambda: read(tmp_path / "objects.npz", digits))
