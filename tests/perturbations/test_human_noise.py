"""Human label noise: the published files where they are, a made one always, and what is refused."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mim4dd.errors import InputError
from mim4dd.records import ImageData
from perturbations import HumanNoise, text_of

Make = Callable[..., ImageData]
CLEAN = np.arange(60) % 10
WORSE = np.where(np.arange(60) % 3 == 0, (CLEAN + 1) % 10, CLEAN)
ARRAYS = {"clean_label": CLEAN, "aggre_label": CLEAN, "worse_label": WORSE}


@pytest.fixture(params=["npz", "pt"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write(tmp_path / f"made.{request.param}", ARRAYS)


def write(path: Path, held: dict[str, np.ndarray]) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **held)
    else:
        import torch

        torch.save(held, path)
    return path


def split(rows: np.ndarray, source: str = "cifar10/train", classes: int = 10) -> ImageData:
    images = np.zeros((len(rows), 1, 1, 1), np.float32)
    return ImageData(images, CLEAN[rows], rows, tuple(str(k) for k in range(classes)), source)


def test_labels_are_found_by_index(file: Path) -> None:
    rows = np.array([6, 3, 50, 7])
    noise = HumanNoise(file=str(file), labels="worse")
    made = noise(split(rows), seed=0)
    assert made.data.labels.tolist() == WORSE[rows].tolist()
    assert made.flipped.tolist() == [True, True, False, False]
    assert made.realised["flips"] == 2
    assert made.realised["asked"] is None
    data = split(rows)
    assert HumanNoise(file=str(file))(data, seed=0).data is data
    again = pickle.loads(pickle.dumps(noise))
    assert again == noise
    assert (again(split(rows), seed=1).data.labels == made.data.labels).all()
    assert text_of([noise]).startswith(f"human:file={file.name}@")


def test_data_that_are_not_cifar_s_are_refused(file: Path) -> None:
    noise = HumanNoise(file=str(file))
    everything = np.arange(60)
    other = ImageData(np.zeros((2, 1, 1, 1), np.float32), np.array([0, 5]), np.array([0, 1]), tuple("0123456789"), "")
    for data, message in [
        (split(everything, "npz:mine/train"), "got npz:mine/train; give classes_as=cifar10 or cifar100"),
        (split(everything, "cifar10/test"), "got cifar10/test; give classes_as"),
        (split(everything, "cifar10/train", 11), "human labels are of 10 classes, cifar10/train has 11"),
    ]:
        with pytest.raises(InputError, match=message):
            noise(data, seed=0)
    as_cifar = HumanNoise(file=str(file), classes_as="cifar10")
    assert as_cifar(split(everything, "npz:mine/train"), seed=0).realised["flips"] == 0
    with pytest.raises(InputError, match=r"other clean labels than  at 1 of 2 images, first at index 1: 1, not 5") as e:
        as_cifar(other, seed=0)
    assert "\n" not in str(e.value)
    beyond = ImageData(other.images, np.array([0, 0]), np.array([0, 60]), other.classes, "mine")
    with pytest.raises(InputError, match="has 60 images, mine an index of 0 to 60"):
        as_cifar(beyond, seed=0)


def test_cifar100_has_one_kind_of_answer(tmp_path: Path) -> None:
    clean = np.arange(200) % 100
    path = write(tmp_path / "made100.npz", {"clean_label": clean, "noisy_label": (clean + 1) % 100})
    noise = HumanNoise(file=str(path), labels="noisy")
    data = ImageData(
        np.zeros((200, 1, 1, 1), np.float32), clean, np.arange(200), tuple(map(str, range(100))), "cifar100/train"
    )
    assert noise(data, seed=0).realised["rate"] == 1
    with pytest.raises(InputError, match="must hold worse_label; people's labels that it has: noisy"):
        HumanNoise(file=str(path), labels="worse")
    with pytest.raises(InputError, match=r"must hold labels in \[0, 9\], got 99"):
        noise(split(np.arange(10)), seed=0)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({"aggre_label": CLEAN}, "must hold clean_label"),
        ({"clean_label": CLEAN, "aggre_label": CLEAN[:9]}, "as many aggre_labels as clean_labels, got 9 and 60"),
        ({"clean_label": CLEAN, "aggre_label": CLEAN - 1}, "aggre_label must be labels from 0 up"),
        (
            {"clean_label": CLEAN, "aggre_label": CLEAN / 2},
            "aggre_label must be labels|cannot be read as plain",
        ),
        ({"clean_label": CLEAN, "aggre_label": CLEAN[:, None]}, "aggre_label must be labels from 0 up"),
    ],
)
@pytest.mark.parametrize("suffix", ["npz", "pt"])
def test_files_that_do_not_hold_the_labels(
    held: dict[str, np.ndarray], message: str, suffix: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        HumanNoise(file=str(write(tmp_path / f"made.{suffix}", held)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["npz", "pt"])
@pytest.mark.parametrize("cut", [0, 3, 200, -40])
def test_files_that_are_damaged(suffix: str, cut: int, tmp_path: Path) -> None:
    path = write(tmp_path / f"made.{suffix}", ARRAYS)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match="cannot be read as plain arrays") as caught:
        HumanNoise(file=str(path))
    assert "\n" not in str(caught.value)


class Touch:
    """Unpickled, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", ["made.npz", "made.pt", "plain.pt", "plain.npz", "array.npz", "array.pt"])
def test_nothing_in_a_file_is_run(name: str, tmp_path: Path) -> None:
    evil = Touch(tmp_path / "ran")
    path = tmp_path / name
    if name.startswith("made"):
        write(path, {"clean_label": np.array([evil], dtype=object), "aggre_label": CLEAN})
    elif name.startswith("plain"):
        path.write_bytes(pickle.dumps({"clean_label": evil, "aggre_label": evil}))
    else:
        with path.open("wb") as stream:
            np.save(stream, np.array([evil], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read as plain arrays") as caught:
        HumanNoise(file=str(path))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_knobs_that_are_wrong(file: Path) -> None:
    with pytest.raises(InputError, match="must be one of aggre, worse, random1"):
        HumanNoise(file=str(file), labels="best")
    with pytest.raises(InputError, match=r"unknown human.classes_as 'cifar1'; did you mean 'cifar10"):
        HumanNoise(file=str(file), classes_as="cifar1")
    with pytest.raises(InputError, match=r"human.file must name a .npz or .pt file, got none"):
        HumanNoise()


@pytest.mark.parametrize("name", ["cifar10n.npz", "CIFAR-10_human.pt"])
def test_the_published_labels(name: str) -> None:
    root = Path(os.environ.get("MIM4DD_DATA", ""))
    if not os.environ.get("MIM4DD_DATA") or not (root / name).is_file():
        pytest.skip(f"MIM4DD_DATA names no folder with {name}")
    rates = {"aggre": 9.01, "random1": 17.23, "random2": 18.12, "random3": 17.64, "worse": 40.21}
    for labels, rate in rates.items():
        noise = HumanNoise(file=str(root / name), labels=labels)
        clean = noise.answers[0]
        data = ImageData(
            np.zeros((50_000, 1, 1, 1), np.float32), clean, np.arange(50_000), tuple("0123456789"), "cifar10/train"
        )
        assert 100 * noise(data, seed=0).realised["rate"] == pytest.approx(rate, abs=0.005)
    assert np.bincount(clean).tolist() == [5000] * 10
