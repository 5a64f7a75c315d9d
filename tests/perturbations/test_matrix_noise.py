"""Label noise by a transition matrix: files, exact shares, and what is refused."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mim4dd.errors import InputError
from mim4dd.records import ImageData
from perturbations import MatrixNoise, NotDominantWarning, chain, parse_chain, text_of

Make = Callable[..., ImageData]
T = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [1 / 3, 0.0, 2 / 3]])


def write(path: Path, matrix: np.ndarray = T) -> Path:
    if path.suffix == ".npy":
        np.save(path, matrix)
    else:
        np.savetxt(path, matrix, delimiter="," if path.suffix == ".csv" else " ")
    return path


@pytest.mark.parametrize("name", ["T.csv", "T.txt", "T.npy"])
def test_files_of_every_kind(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name)
    noise = MatrixNoise(file=str(path))
    assert noise.transition == pytest.approx(T)
    assert noise.file.startswith(f"{name}@")
    path.rename(tmp_path / "elsewhere")
    (tmp_path / "deep").mkdir()
    assert MatrixNoise(file=str((tmp_path / "elsewhere").rename(tmp_path / "deep" / name))) == noise
    again = pickle.loads(pickle.dumps(noise))
    assert again == noise
    assert (again.transition == noise.transition).all()


@pytest.mark.parametrize("counts", [[1000, 1000, 1000], [7, 5, 4], [1, 1, 1]])
def test_the_realised_matrix_is_within_one_image_of_the_one_asked_for(counts: list[int], make: Make) -> None:
    made = MatrixNoise.of(T)(make(counts), seed=0)
    realised = np.array(made.realised["transition"])
    assert (np.abs(realised - T) * np.array(counts)[:, None] < 1).all()
    assert (realised[T == 0] == 0).all()
    assert made.realised["asked"] == T.tolist()


def test_shares_that_are_whole_are_exact(make: Make) -> None:
    made = MatrixNoise.of(0.7 * np.eye(10) + 0.03 * np.ones((10, 10)))(make([100] * 10), seed=0)
    assert (np.array(made.realised["transition"]) * 100).round(9).tolist() == (70 * np.eye(10) + 3).tolist()


def test_the_identity_is_the_control(make: Make) -> None:
    data = make([10, 10, 10])
    assert MatrixNoise.of(np.eye(3))(data, seed=0).data is data


def test_flips_are_nested_between_diagonals(make: Make) -> None:
    data = make([200] * 4)
    low, high = (MatrixNoise.of((1 - r) * np.eye(4) + r / 4)(data, seed=0) for r in (0.2, 0.4))
    assert (low.flipped <= high.flipped).all()
    same = high.data.labels[low.flipped] == low.data.labels[low.flipped]
    assert same.mean() > 0.85


def test_a_recorded_name_says_where_to_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = MatrixNoise(file=str(write(tmp_path / "T.csv")))
    monkeypatch.chdir(tmp_path)
    assert parse_chain([text_of([noise])]) == (noise,)
    write(tmp_path / "T.csv", np.eye(3))
    with pytest.raises(InputError, match=r"differs from the T.csv here, T.csv@"):
        MatrixNoise(file=noise.file)
    (tmp_path / "T.csv").unlink()
    with pytest.raises(InputError, match=r"'T.csv@\w{10}' identifies a file without its path; give the path"):
        MatrixNoise(file=noise.file)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((2, 3)) / 3, r"must be numbers \[C, C\]"),
        (np.ones((1, 1)), r"must be numbers \[C, C\]"),
        (np.array([[0.6, 0.5], [0, 1]]), r"sum to 1, row 0 sums to 1.1"),
        (np.array([[1.0000001, 0], [0, 1]]), r"shares in \[0, 1\], got 1.0000001 in row 0"),
        (np.array([[1.5, -0.5], [0, 1]]), r"shares in \[0, 1\], got 1.5 in row 0"),
        (np.array([[1, 0], [np.nan, 1]]), r"shares in \[0, 1\], got nan in row 1"),
    ],
)
def test_matrices_that_are_none(matrix: np.ndarray, message: str, tmp_path: Path) -> None:
    for noise in (lambda: MatrixNoise.of(matrix), lambda: MatrixNoise(file=str(write(tmp_path / "T.csv", matrix)))):
        with pytest.raises(InputError, match=message) as caught:
            noise()
        assert "\n" not in str(caught.value)


class Touch:
    """Unpickled, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("T.csv", b"", "cannot be read as a matrix of numbers: it is empty"),
        ("T.csv", b"1,zero\n0,1", "cannot be read as a matrix of numbers: could not convert"),
        ("T.csv", b"1,0\n1", "cannot be read as a matrix of numbers"),
        ("T.txt", b"\xff\xfe", "cannot be read as a matrix of numbers"),
        ("T.npy", b"nothing", "cannot be read as a matrix of numbers"),
        ("T.npy", b"\x93NUMPY\x01\x00", "cannot be read as a matrix of numbers"),
        ("T.json", b"[]", r"must name a .csv, .txt or .npy file, got '.*T.json'"),
        ("a,b.csv", b"1,0\n0,1", "without ',' and"),
    ],
)
def test_files_that_are_no_matrix(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        MatrixNoise(file=str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"matrix.file must name a .csv, .txt or .npy file, got none"):
        MatrixNoise()
    with pytest.raises(InputError, match=r"cannot be read: No such file"):
        MatrixNoise(file=str(tmp_path / "T.csv"))


def test_files_that_are_no_files(tmp_path: Path, refusal: Callable[[Callable[[], object]], str]) -> None:
    path = tmp_path / "T.csv"
    for make, line in (
        (lambda: os.mkfifo(path), "must be a file, is a named pipe"),
        (lambda: path.symlink_to("/dev/null"), "must be a file, is a device"),
        (lambda: path.symlink_to(path), "cannot be read: Too many levels of symbolic links"),
    ):
        make()
        assert refusal(lambda: MatrixNoise(file=str(path))) == f"{path} {line}"
        path.unlink()
    assert "must name a .csv, .txt or .npy file" in refusal(lambda: MatrixNoise(file="x" * 5000))
    assert "printable UTF-8" in refusal(lambda: MatrixNoise(file="T\udcff.csv"))
    assert "cannot be read: No such file" in refusal(lambda: MatrixNoise(file="~nobody/T.csv"))


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    np.save(tmp_path / "T.npy", np.array([[Touch(tmp_path / "ran")]], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read as a matrix of numbers"):
        MatrixNoise(file=str(tmp_path / "T.npy"))
    assert not (tmp_path / "ran").exists()


def test_a_class_that_is_more_often_another_one_is_warned_of() -> None:
    with pytest.warns(NotDominantWarning, match=r"rows \[1\]"):
        MatrixNoise.of([[0.9, 0.1], [0.5, 0.5]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MatrixNoise.of([[0.4, 0.3, 0.3], [0.2, 0.6, 0.2], [0, 0, 1]])


def test_other_numbers_of_classes_are_refused(train: ImageData) -> None:
    with pytest.raises(InputError, match=r"array@\w+ is a matrix of 3 classes, digits has 10"):
        chain([MatrixNoise.of(T)], train, seed=0)
