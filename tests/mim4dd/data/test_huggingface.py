"""`hf:FOLDER`: snapshots of the hub and saved sets, as the real library writes them, and one line for every other."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from mim4dd.data import load, source_digest
from mim4dd.errors import DataError

datasets = pytest.importorskip("datasets")
import pyarrow.parquet as parquet  # noqa: E402
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, Value  # noqa: E402

LEVELS = np.random.default_rng(0).integers(0, 256, size=(60, 6, 5, 3), dtype=np.uint8)
LABELS = [number % 4 for number in range(60)]
PIXELS = LEVELS.transpose(0, 3, 1, 2) / np.float32(255)
NAMES = ["ant", "bee", "cat", "dog"]
FEATURES = {"image": Image(), "label": ClassLabel(names=NAMES)}
SPLITS = {"train": range(40), "test": range(40, 48), "validation": range(48, 60)}
Refusal = Callable[[Callable[[], object]], str]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No bars of the library as it writes; and whoever calls the network fails."""

    def connect(*_: object) -> None:
        raise AssertionError("the network was called")

    datasets.disable_progress_bars()
    monkeypatch.setattr(socket.socket, "connect", connect)


def png(levels: np.ndarray, **options: Any) -> dict[str, Any]:
    file = io.BytesIO()
    Picture.fromarray(levels).save(file, "PNG", **options)
    return {"bytes": file.getvalue(), "path": None}


def rows(numbers: Any, features: Mapping[str, Any] = FEATURES, **columns: Any) -> Dataset:
    given = {"image": [png(LEVELS[n]) for n in numbers], "label": [LABELS[n] for n in numbers], **columns}
    return Dataset.from_dict({name: given[name] for name in features}, features=Features(features))


def snapshot(folder: Path, splits: Mapping[str, Dataset], name: str = "data/{}-00000-of-00001.parquet") -> str:
    for split, data in splits.items():
        path = folder / name.format(split)
        path.parent.mkdir(parents=True, exist_ok=True)
        data.to_parquet(path)
    return f"hf:{folder}"


def saved(folder: Path, splits: Mapping[str, Dataset]) -> str:
    DatasetDict(splits).save_to_disk(folder)
    return f"hf:{folder}"


def of(*names: str) -> dict[str, Dataset]:
    return {name: rows(SPLITS[name]) for name in names}


@pytest.mark.parametrize("write", [snapshot, saved])
def test_train_and_test(tmp_path: Path, write: Any) -> None:
    splits = load(write(tmp_path / "toy", of("train", "test", "validation")))
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [36, 4, 8]
    assert (splits.name, splits.classes) == ("toy", tuple(NAMES))
    assert (splits.train.source, splits.test.source) == ("hf:toy/train", "hf:toy/test")
    assert splits.notes == ("files left out: 1 in the split validation, since validation is cut from train",)
    for part, first in ((splits.train, 0), (splits.validation, 0), (splits.test, 40)):
        np.testing.assert_array_equal(part.images, PIXELS[part.index + first])
        np.testing.assert_array_equal(part.labels, np.array(LABELS)[part.index + first])


@pytest.mark.parametrize("name", ["validation", "valid", "val"])
def test_validation_is_the_test_set_where_there_is_no_other(tmp_path: Path, name: str) -> None:
    splits = load(snapshot(tmp_path / "toy", {"train": rows(range(40)), name: rows(range(40, 48))}))
    assert (len(splits.test), splits.test.source) == (8, f"hf:toy/{name}")
    assert splits.notes == (f"the test set is the split {name}, as there is no split test",)


@pytest.mark.parametrize("write", [snapshot, saved, lambda folder, splits: splits["train"].save_to_disk(folder)])
def test_without_a_test_set_a_fifth_is_cut(tmp_path: Path, write: Any) -> None:
    write(tmp_path / "toy", of("train"))
    splits, other = (load(f"hf:{tmp_path}/toy", split_seed=seed) for seed in (0, 1))
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [29, 3, 8]
    assert splits.test.digest == other.test.digest
    assert splits.train.digest != other.train.digest


@pytest.mark.parametrize(
    "name",
    [
        "{}.parquet",
        "{}-00000-of-00001-0123456789abcdef.parquet",
        "data/{}/0000.parquet",
        "default/{}/0000.parquet",
        "plain_text/{}-00000-of-00001.parquet",
        "toy_{}.parquet",
    ],
)
def test_layouts_of_the_hub(tmp_path: Path, name: str) -> None:
    expected = load(snapshot(tmp_path / "one" / "toy", of("train", "test")))
    assert load(snapshot(tmp_path / "other" / "toy", of("train", "test"), name)).digest == expected.digest


def test_a_snapshot_of_links_and_of_several_files(tmp_path: Path) -> None:
    expected = load(snapshot(tmp_path / "one" / "toy", of("train", "test")))
    (tmp_path / "blobs").mkdir()
    (tmp_path / "two" / "toy" / "data").mkdir(parents=True)
    parts = {"test-00000-of-00001": rows(SPLITS["test"])}
    parts |= {f"train-{k:05}-of-00003": rows(range(k * 16, min(40, k * 16 + 16))) for k in range(3)}
    for number, (name, data) in enumerate(parts.items()):
        data.to_parquet(tmp_path / "blobs" / str(number))
        (tmp_path / "two" / "toy" / "data" / f"{name}.parquet").symlink_to(tmp_path / "blobs" / str(number))
    (tmp_path / "two" / "toy" / "README.md").write_text("no data")
    spec = f"hf:{tmp_path}/two/toy"
    assert load(spec).digest == expected.digest
    sharded = DatasetDict(of("train", "test"))
    sharded.save_to_disk(tmp_path / "three" / "toy", num_shards={"train": 3, "test": 1})
    assert load(f"hf:{tmp_path}/three/toy").digest == expected.digest


def test_digests_know_content_and_not_place(tmp_path: Path) -> None:
    spec = snapshot(tmp_path / "toy", of("train", "test"))
    before = source_digest(spec)
    (tmp_path / "toy" / "README.md").write_text("new")
    moved = f"hf:{shutil.copytree(tmp_path / 'toy', tmp_path / 'elsewhere' / 'toy')}"
    assert source_digest(moved) == before
    assert load(moved).digest == load(spec).digest
    rows(range(39)).to_parquet(tmp_path / "toy" / "data" / "train-00000-of-00001.parquet")
    assert source_digest(spec) != before


def test_columns_are_found_by_what_they_are_or_named(tmp_path: Path, refusal: Refusal) -> None:
    features = {"id": Value("int32"), "picture": Image(), "fine": ClassLabel(names=NAMES), "coarse": Value("string")}
    columns = {"id": list(range(40)), "picture": [png(levels) for levels in LEVELS[:40]], "fine": LABELS[:40]}
    columns["coarse"] = ["x"] * 40
    spec = snapshot(tmp_path / "toy", {"train": rows(range(40), features, **columns)})
    assert load(spec).classes == tuple(NAMES)
    features = {
        "image": Image(),
        "thumb": Image(),
        "fine": ClassLabel(names=NAMES),
        "coarse": ClassLabel(num_classes=2),
    }
    columns = {"thumb": [png(levels[:3]) for levels in LEVELS[:40]], "fine": LABELS[:40], "coarse": [0, 1] * 20}
    spec = snapshot(tmp_path / "toy", {"train": rows(range(40), features, **columns)})
    line = "must have one image column with the feature Image, got image and thumb; set the knob image to one of them"
    assert line in refusal(lambda: load(spec))
    line = "column of ClassLabel or whole numbers, got fine and coarse; set the knob label to one of them"
    assert line in refusal(lambda: load(spec, knobs={"image": "thumb"}))
    splits = load(spec, knobs={"image": "thumb", "label": "coarse"})
    assert (splits.train.shape, splits.classes) == ((3, 3, 5), ("0", "1"))
    line = "unknown column 'fin'; did you mean 'fine'?"
    assert line in refusal(lambda: load(spec, knobs={"image": "thumb", "label": "fin"}))
    assert "fine must hold the bytes of image files, got int64" in refusal(
        lambda: load(spec, knobs={"image": "fine", "label": "coarse"})
    )


def test_whole_numbers_are_labels_and_plain_bytes_are_images_if_they_are_named(tmp_path: Path) -> None:
    features = {"image": Value("binary"), "label": Value("uint8")}
    images = [png(levels)["bytes"] for levels in LEVELS[:40]]
    spec = snapshot(tmp_path / "toy", {"train": rows(range(40), features, image=images)})
    splits = load(spec, knobs={"image": "image"})
    assert splits.classes == ("0", "1", "2", "3")
    np.testing.assert_array_equal(splits.train.images, PIXELS[splits.train.index])


def test_grey_upright_and_resized_as_in_a_folder(tmp_path: Path, refusal: Refusal) -> None:
    exif = Picture.Exif()
    exif[0x0112] = 6
    grey = [png(levels[..., 0]) for levels in LEVELS[:40]]
    spec = snapshot(tmp_path / "toy", {"train": rows(range(40), image=grey)})
    assert load(spec).train.shape == (1, 6, 5)
    turned = np.asarray(Picture.fromarray(LEVELS[3]).transpose(Picture.Transpose.ROTATE_90))
    mixed = [*grey[:3], png(turned, exif=exif), png(LEVELS[4, :4]), *grey[5:]]
    spec = snapshot(tmp_path / "toy", {"train": rows(range(40), image=mixed)})
    line = "images must have one size, got 5x6 in train/row 0 and 5x4 in train/row 4; set the knob size=4 to resize all"
    assert refusal(lambda: load(spec)) == f"{tmp_path}/toy: {line}"
    splits = load(spec, knobs={"size": 4})
    part = next(part for part in (splits.train, splits.validation, splits.test) if 3 in part.index)
    expected = np.asarray(Picture.fromarray(LEVELS[3]).resize((4, 4), Picture.Resampling.BICUBIC))
    np.testing.assert_array_equal(part.images[part.index == 3][0], expected.transpose(2, 0, 1) / np.float32(255))


FORTY = range(40)
STRINGS = {"image": Image(), "label": Value("string")}
NO_IMAGE = {"text": Value("string"), "label": ClassLabel(names=NAMES)}
BAD: dict[str, tuple[Callable[[], Mapping[str, Dataset]], str]] = {
    "no image column": (
        lambda: {"train": rows(FORTY, NO_IMAGE, text=["a"] * 40)},
        "must have one image column with the feature Image, got none of text (string), label (int64)",
    ),
    "no label column": (
        lambda: {"train": rows(FORTY, {"image": Image()})},
        "must have one label column of ClassLabel or whole numbers, got none of image (PIL.Image.Image) (class_encode",
    ),
    "labels that are texts": (
        lambda: {"train": rows(FORTY, STRINGS, label=["a", "b"] * 20)},
        "got none of image (PIL.Image.Image), label (string) (class_encode_column makes one of texts)",
    ),
    "labels held back": (
        lambda: {"train": rows(FORTY), "test": rows(range(8), label=[-1] * 8)},
        "toy/test: label must hold a label for every image, got -1, as where labels are held back",
    ),
    "a row without label": (
        lambda: {"train": rows(FORTY, label=[None, *LABELS[1:40]])},
        "toy/train: label must hold a label for every image, got rows without; leave them out",
    ),
    "a row without image": (
        lambda: {"train": rows(FORTY, image=[None, *[png(levels) for levels in LEVELS[1:40]]])},
        "toy/train: image must hold the bytes of every image, got rows that are empty or only name a file; write the",
    ),
    "no rows": (lambda: {"train": rows(FORTY), "test": rows(range(0))}, "toy/test must have rows, got none"),
    "no train": (lambda: {"test": rows(FORTY), "extra": rows(FORTY)}, "must have a split train, got extra, test"),
    "other classes": (
        lambda: {"train": rows(FORTY), "test": rows(FORTY, {**FEATURES, "label": ClassLabel(names=NAMES[::-1])})},
        "must have the columns image and label of ",
    ),
    "one class": (
        lambda: {"train": rows(FORTY, {**FEATURES, "label": ClassLabel(names=["a"])}, label=[0] * 40)},
        "two",
    ),
    "a class twice": (
        lambda: {"train": rows(FORTY, {"image": Image(), "label": Value("int64")}, label=[0, 5] * 20)},
        "every class needs a training image, got none of 1, 2, 3, 4",
    ),
    "no image": (
        lambda: {"train": rows(FORTY, image=[{"bytes": b"no image", "path": None}] * 40)},
        "toy/train/row 0 cannot be read as an image: it is damaged or none of PNG, JPEG, BMP, WEBP, TIFF, PPM",
    ),
    "a deep image": (
        lambda: {"train": rows(FORTY, image=[png(levels[..., 0].astype(np.uint16) * 9) for levels in LEVELS[:40]])},
        "toy/train/row 0 must have at most 8 bits for each channel, got 16; convert it",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_sets_that_cannot_be_used(tmp_path: Path, case: str, refusal: Refusal) -> None:
    make, line = BAD[case]
    assert line in refusal(lambda: load(snapshot(tmp_path / "toy", make())))


@pytest.mark.parametrize("place", ["/etc/passwd", "https://127.0.0.1/x.png"])
def test_what_rows_only_name_is_not_opened(tmp_path: Path, place: str, refusal: Refusal) -> None:
    named = rows(FORTY, image=[{"bytes": None, "path": place}] * 40)
    (tmp_path / "toy").mkdir()
    # to_parquet would open it
    parquet.write_table(named.data.table.cast(named.features.arrow_schema), tmp_path / "toy" / "train.parquet")
    line = "toy/train: image must hold the bytes of every image, got rows that are empty or only name a file; write the"
    assert line in refusal(lambda: load(f"hf:{tmp_path}/toy"))


def test_labels_that_are_texts_and_are_named(tmp_path: Path, refusal: Refusal) -> None:
    spec = snapshot(tmp_path / "toy", {"train": rows(FORTY, STRINGS, label=["a", "b"] * 20)})
    line = "toy: label must be ClassLabel or whole numbers, got string; encode it with class_encode_column"
    assert line in refusal(lambda: load(spec, knobs={"label": "label"}))


def test_folders_of_another_kind(tmp_path: Path, refusal: Refusal) -> None:
    for read in (load, source_digest):
        assert "hf needs an existing folder, got" in refusal(lambda read=read: read(f"hf:{tmp_path}/none"))
        line = "must be a snapshot of the hub with parquet files, or what save_to_disk wrote, got neither; image files"
        assert line in refusal(lambda read=read: read(f"hf:{tmp_path}"))
    for name in ("cropped", "full"):
        snapshot(tmp_path / "two" / name, of("train"), "{}-00000-of-00001.parquet")
    line = f"two must hold one data set, got several (cropped, full); give the folder of one, as in hf:{tmp_path}/two/"
    assert line in refusal(lambda: load(f"hf:{tmp_path}/two"))
    assert load(f"hf:{tmp_path}/two/full").name == "full"
    snapshot(tmp_path / "two" / "full", {"more": rows(FORTY)}, "{}.parquet")
    assert load(f"hf:{tmp_path}/two/full").notes == (
        "files left out: 1 whose names say no split, since only train and test are read",
        "the validation split has no image of dog: accuracies there say nothing of these classes",
    )


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-300])


@pytest.mark.parametrize("write", [snapshot, saved])
@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (pipe, "must be a file, is a named pipe"),
        (Path.unlink, "cannot be read: No such file or directory"),
        (empty, "cannot be read, it may be damaged: "),
        (cut_short, "cannot be read, it may be damaged: "),
    ],
)
def test_files_that_are_none_or_damaged(tmp_path: Path, write: Any, spoil: Any, line: str, refusal: Refusal) -> None:
    spec = write(tmp_path / "toy", of("train", "test"))
    path = next((tmp_path / "toy").rglob("train*.parquet" if write is snapshot else "train/*.arrow"))
    spoil(path)
    if write is snapshot and spoil is Path.unlink:
        assert "must have a split train, got test" in refusal(lambda: load(spec))
        return
    assert refusal(lambda: load(spec)).startswith(f"{path} {line}")
    if spoil in (pipe, Path.unlink):
        assert refusal(lambda: source_digest(spec)).startswith(f"{path} {line}")


@pytest.mark.parametrize(
    "content", ["", "[]", "[" * 10**5, '{"_data_files": 3}', '{"_data_files": [{"filename": "../../x.arrow"}]}', "{}"]
)
def test_descriptions_that_lead_elsewhere(tmp_path: Path, content: str, refusal: Refusal) -> None:
    spec = saved(tmp_path / "toy", of("train"))
    path = tmp_path / "toy" / "train" / "state.json"
    path.write_text(content)
    said = refusal(lambda: load(spec))
    assert said.startswith((f"{path} must list the files of", f"{path} is no such file of save_to_disk"))
    (tmp_path / "toy" / "dataset_dict.json").write_text(json.dumps({"splits": ["..", "train"]}))
    assert "dataset_dict.json must list the names of splits, got" in refusal(lambda: load(spec))


def test_damaged_files_end_in_one_line_or_are_read(tmp_path: Path) -> None:
    draw = random.Random(0)
    refused: list[str] = []
    for write, pattern in ((snapshot, "train*.parquet"), (saved, "train/*.arrow")):
        spec = write(tmp_path / write.__name__, of("train"))
        path = next((tmp_path / write.__name__).rglob(pattern))
        content = path.read_bytes()
        for _ in range(60):
            damaged = bytearray(content)
            for _ in range(draw.choice((1, 4, 16))):
                # more often near the end, where a parquet file is described, or near the beginning, where a stream is
                place = int(len(damaged) * draw.random() ** 3)
                damaged[-1 - place if write is snapshot else place] = draw.randrange(256)
            path.write_bytes(damaged)
            try:
                load(spec)
            except DataError as error:
                refused.append(str(error))
    assert len(refused) > 40
    assert not [line for line in refused if "\n" in line]


def test_more_than_the_free_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Refusal
) -> None:
    spec = snapshot(tmp_path / "toy", of("train"))
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1000))
    assert "toy, read, would take 1 MB of memory, 1 MB are free" in refusal(lambda: load(spec))
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=30_000))
    assert "hf:toy: 40 images of 3 x 6 x 5 in 3 copies as float32" in refusal(lambda: load(spec))


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Refusal) -> None:
    spec = snapshot(tmp_path / "toy", of("train"))
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert refusal(lambda: load(spec)).endswith("pip install 'mim4dd[hf]'")
    assert len(source_digest(spec)) == 16


def test_nothing_is_written_or_said(tmp_path: Path) -> None:
    specs = [snapshot(tmp_path / "a", of("train")), saved(tmp_path / "b", of("train"))]
    (tmp_path / "home").mkdir()
    code = f"from mim4dd import load\nfor spec in {specs!r}: load(spec)"
    home = {name: str(tmp_path / "home") for name in ("HOME", "TMPDIR", "HF_HOME", "XDG_CACHE_HOME")}
    words = [sys.executable, "-W", "error", "-B", "-c", code]
    house = Path(__file__).parents[3]
    ran = subprocess.run(words, capture_output=True, text=True, env=os.environ | home, cwd=house, timeout=100)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert list((tmp_path / "home").iterdir()) == []


def test_its_columns_are_set_on_the_command_line() -> None:
    from mim4dd.configuration import configure

    def flat(**assigned: str) -> dict[str, Any]:
        made = configure(
            source="hf", method={"method": "mim"}, network="convnet", protocol_name="digits", assigned=assigned
        )
        return {key: value for key, value in made.flat.items() if key.startswith("source.")}

    assert flat() == {}
    assert flat(label="fine", image="thumb") == {"source.label": "fine", "source.image": "thumb"}


def test_its_name_in_rows_is_its_folder(tmp_path: Path) -> None:
    from studies.engine.configuring import dataset_name

    assert dataset_name(f"hf:{tmp_path}/toy.v2/") == "hf:toy.v2"
