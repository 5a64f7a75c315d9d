"""The records that cross rooms: checks, digests, and the file of a synthetic set."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mim4dd.errors import DataError, InputError
from mim4dd.records import ImageData, Score, Synthetic


def image_data(**given: Any) -> ImageData:
    rng = np.random.default_rng(0)
    values: dict[str, Any] = {
        "images": rng.random((6, 3, 4, 5), dtype=np.float32),
        "labels": np.array([0, 2, 2, 0, 2, 2]),
        "index": np.arange(6),
        "classes": ("a", "b", "c"),
        "source": "made",
    }
    return ImageData(**{**values, **given})


def synthetic(**given: Any) -> Synthetic:
    values: dict[str, Any] = {
        "images": np.random.default_rng(0).standard_normal((4, 3, 5, 6), dtype=np.float32),
        "labels": np.array([0, 0, 1, 1]),
        "classes": ("α", "b c"),
        "mean": np.array([0.1, 0.2, 0.3], dtype=np.float32),
        "std": np.array([1, 2, 4], dtype=np.float32),
        "config": {"method": "dm", "method.lr": 0.1, "ipc": 2, "flag": True},
        "protocol": "7",
    }
    return Synthetic(**{**values, **given})


def test_shape_counts_and_length() -> None:
    data = image_data()
    assert (len(data), data.shape, data.counts.tolist()) == (6, (3, 4, 5), [2, 0, 4])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"images": np.zeros((6, 4, 5), np.float32)}, r"made: images must be float32 \[N, channels, H, W\]"),
        ({"images": np.zeros((6, 3, 4, 5))}, "got float64"),
        ({"labels": np.zeros(5, np.int64)}, "6 images, 5 labels and 6 indices differ"),
        ({"index": np.zeros(7, np.int64)}, "6 images, 6 labels and 7 indices differ"),
        ({"labels": np.array([0, 1, 2, 3, 0, 0])}, r"labels must be in \[0, 2\], got 0 to 3"),
        ({"labels": np.array([0, 1, 2, -1, 0, 0])}, r"labels must be in \[0, 2\], got -1 to 2"),
    ],
)
def test_data_that_does_not_fit_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        image_data(**given)


def test_take_keeps_images_labels_and_index_together() -> None:
    data, rows = image_data(), np.array([4, 0, 4])
    taken = data.take(rows)
    np.testing.assert_array_equal(taken.images, data.images[rows])
    assert (taken.labels.tolist(), taken.index.tolist(), taken.source) == ([2, 0, 2], [4, 0, 4], "made")


def test_digest_follows_the_content_and_not_the_memory() -> None:
    data = image_data()
    same = image_data(images=np.asfortranarray(data.images))
    assert data.digest == same.digest
    moved = data.images.copy()
    moved[3, 1, 2, 2] += 1e-6
    others = [
        image_data(images=moved),
        image_data(labels=np.array([0, 2, 2, 0, 2, 1])),
        image_data(index=np.arange(1, 7)),
        image_data(classes=("a", "b", "d")),
        image_data(images=data.images.transpose(0, 1, 3, 2).copy()),
    ]
    assert len({data.digest, *(other.digest for other in others)}) == 6


def test_set_survives_its_file(tmp_path: Path) -> None:
    made, path = synthetic(), tmp_path / "new" / "folder" / "set.safetensors"
    made.save(path)
    found = Synthetic.load(path)
    for name in ("images", "labels", "mean", "std"):
        np.testing.assert_array_equal(getattr(found, name), getattr(made, name))
        assert getattr(found, name).dtype == getattr(made, name).dtype
    assert (found.classes, found.config, found.protocol) == (made.classes, made.config, made.protocol)
    assert type(found.config["flag"]) is bool
    first = path.read_bytes()
    made.save(path)
    assert path.read_bytes() == first


def test_views_are_saved_as_they_look(tmp_path: Path) -> None:
    made = synthetic()
    turned = synthetic(images=made.images.transpose(0, 1, 3, 2))
    turned.save(tmp_path / "set")
    np.testing.assert_array_equal(Synthetic.load(tmp_path / "set").images, turned.images)


def test_pixels_undo_the_standardisation() -> None:
    made = synthetic()
    for channel in range(3):
        expected = made.images[:, channel] * made.std[channel] + made.mean[channel]
        np.testing.assert_allclose(made.pixels[:, channel], expected, rtol=1e-6)
    assert made.pixels.dtype == np.float32


def test_images_and_labels_must_match() -> None:
    with pytest.raises(InputError, match=r"labels must be int64 \[4\], got int64 \[3\]"):
        synthetic(labels=np.array([0, 0, 1]))
    with pytest.raises(InputError, match=r"images must be float32 \[M, channels, H, W\], got float32 \[4, 5, 6\]"):
        synthetic(images=np.zeros((4, 5, 6), np.float32))


TENSORS = {
    "images": np.zeros((2, 3, 2, 2), np.float32),
    "labels": np.arange(2),
    "mean": np.zeros(3, np.float32),
    "std": np.ones(3, np.float32),
}
HEADER = {"classes": ["a", "b"], "config": {}, "protocol": "1"}
TAMPERED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "config": ({}, {"config": [1]}, "config must be an object, got [1]"),
    "classes": ({}, {"classes": None}, "classes must be a list, got None"),
    "class names": ({}, {"classes": ["a", 1]}, "classes must be different names, got ('a', 1)"),
    "a class twice": ({}, {"classes": ["a", "a"]}, "classes must be different names, got ('a', 'a')"),
    "fewer classes": ({}, {"classes": ["a"]}, "labels must be in [0, 0], got 0 to 1"),
    "protocol": ({}, {"protocol": 3}, "protocol must be text, got 3"),
    "images' type": ({"images": np.zeros((2, 3, 2, 2))}, {}, "images must be float32 [M, channels, H, W], got float64"),
    "images' shape": ({"images": np.zeros((2, 3, 4), np.float32)}, {}, "got float32 [2, 3, 4]"),
    "no images": ({"images": np.zeros((0, 3, 2, 2), np.float32), "labels": np.arange(0)}, {}, "at least one"),
    "labels' type": ({"labels": np.zeros(2)}, {}, "labels must be int64 [2], got float64 [2]"),
    "labels": ({"labels": np.array([0, -1])}, {}, "labels must be in [0, 1], got -1 to 0"),
    "mean": ({"mean": np.zeros(1, np.float32)}, {}, "mean must be float32 [3], got float32 [1]"),
    "mean is NaN": ({"mean": np.full(3, np.nan, np.float32)}, {}, "mean must be finite, got [nan, nan, nan]"),
    "std": ({"std": np.zeros(3, np.float32)}, {}, "std must be above 0, got [0.0, 0.0, 0.0]"),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_a_tampered_file_says_what_must_hold(case: str, tmp_path: Path) -> None:
    from mim4dd.tensors import packed

    tensors, header, message = TAMPERED[case]
    path = tmp_path / "set.safetensors"
    path.write_bytes(packed(TENSORS, "mim4dd", HEADER))
    assert Synthetic.load(path).classes == ("a", "b")
    path.write_bytes(packed(TENSORS | tensors, "mim4dd", HEADER | header))
    with pytest.raises(InputError) as caught:
        Synthetic.load(path)
    assert str(caught.value).startswith(f"{path} is no synthetic set written by mim4dd: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_set_that_diverged_can_be_read_but_not_trained_on(tmp_path: Path) -> None:
    from mim4dd.evaluation import train_on
    from mim4dd.networks import ConvNet
    from mim4dd.train import Recipe

    images = synthetic().images.copy()
    images[0, 0, 0, 0] = np.nan
    synthetic(images=images).save(tmp_path / "set")
    with pytest.raises(InputError, match="images must be finite to train on"):
        train_on(Synthetic.load(tmp_path / "set"), ConvNet(width=4), Recipe(epochs=1))


def test_file_that_is_no_set_is_refused(tmp_path: Path, refusal: Callable[[Callable[[], object]], str]) -> None:
    from safetensors.numpy import save_file

    whole = tmp_path / "whole"
    synthetic().save(whole)
    content = whole.read_bytes()
    tensors = {
        "images": np.zeros((2, 1, 2, 2), np.float32),
        "labels": np.arange(2),
        "mean": np.zeros(1, np.float32),
        "std": np.ones(1, np.float32),
    }
    header = '{"classes": ["a", "b"], "config": {}, "protocol": "1"}'
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_text("nothing of the kind")
    (tmp_path / "cut").write_bytes(content[: len(content) // 2])
    save_file(tensors, tmp_path / "no header")
    save_file(tensors, tmp_path / "not JSON", metadata={"mim4dd": "{"})
    save_file(tensors, tmp_path / "empty header", metadata={"mim4dd": "{}"})
    save_file(tensors, tmp_path / "a list", metadata={"mim4dd": "[1]"})
    save_file({"images": tensors["images"]}, tmp_path / "no labels", metadata={"mim4dd": header})
    save_file(tensors | {"labels": np.arange(3)}, tmp_path / "misfit", metadata={"mim4dd": header})
    save_file(tensors, tmp_path / "good", metadata={"mim4dd": header})
    assert Synthetic.load(tmp_path / "good").classes == ("a", "b")
    (tmp_path / "good").unlink()
    whole.unlink()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    bad = [*tmp_path.iterdir(), tmp_path / "missing"]
    assert len(bad) == 12
    for path in bad:
        assert f"{path} is no synthetic set written by mim4dd" in refusal(lambda path=path: Synthetic.load(path))


def test_score_has_its_mean() -> None:
    found = Score("made", np.array([0.2, 0.4]), np.zeros((2, 3)))
    assert found.mean == pytest.approx(0.3)
