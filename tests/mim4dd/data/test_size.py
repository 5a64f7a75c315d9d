"""The knob `size`: every data set has it, only a folder's records hold it at its default."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mim4dd.configuration import apply, configure
from mim4dd.data import DATASETS, load
from mim4dd.errors import DataError, InputError, KnobError
from mim4dd.registry import Flat, flatten, unflatten


@pytest.mark.parametrize("name", DATASETS.names())
def test_every_data_set_has_it(name: str) -> None:
    resized = DATASETS.build(name, {"size": "12"})
    assert flatten(resized, "source") == {"source": name, "source.size": 12}
    assert unflatten(DATASETS, flatten(resized, "source"), "source") == resized
    default = {"source": name, "source.size": 0} if name == "folder" else {"source": name}
    assert flatten(DATASETS.build(name), "source") == default
    with pytest.raises(KnobError, match=rf"{name}\.size must be in \[0, 10000\], got -1"):
        DATASETS.build(name, {"size": -1})


def configured(assigned: dict[str, str]) -> Flat:
    method: Flat = {"method": "mim"}
    return configure(source="digits", method=method, network="convnet", protocol_name="digits", assigned=assigned).flat


def test_it_is_set_by_its_short_name_and_left_out_at_its_default() -> None:
    assert "source.size" not in configured({})
    assert configured({"size": "0"}) == configured({})
    assert configured({"size": "16"}) == {**configured({}), "source.size": 16}
    assert apply(configured({"size": "16"}), {"network.width": 4})["source.size"] == 16


def test_pixels_are_pillows_within_the_range() -> None:
    splits, small = load("digits"), load("digits", knobs={"size": 20})
    assert small.train.shape == (1, 20, 20)
    assert small.train.images.dtype == np.float32
    assert (small.train.images.min(), small.train.images.max()) == (0, 1)
    np.testing.assert_array_equal(small.test.labels, splits.test.labels)
    np.testing.assert_array_equal(small.train.index, splits.train.index)
    for row in (0, 7):
        picture = Image.fromarray(splits.train.images[row, 0]).resize((20, 20), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(small.train.images[row, 0], np.clip(np.asarray(picture), 0, 1))


def test_channels_of_an_archive(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(40, 6, 5, 3), dtype=np.uint8)
    np.savez(tmp_path / "toy.npz", train_images=images, train_labels=np.arange(40) % 4)
    train = load(f"npz:{tmp_path}/toy.npz", knobs={"size": 4}).train
    assert train.shape == (3, 4, 4)
    # Pillow rounds levels after each of two passes
    expected = np.asarray(Image.fromarray(images[train.index[0]]).resize((4, 4), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(train.images[0] * 255, expected.transpose(2, 0, 1), atol=1.5)


def test_a_size_that_does_not_fit_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=10**9))
    with pytest.raises(DataError, match=r"^digits: 1,400 images of 1 x 9000 x 9000 in 3 copies .* 1,000 MB are free"):
        load("digits", knobs={"size": 9000})


def test_no_study_varies_it() -> None:
    from studies.engine.space import make_space

    found = configure(source="folder", method={"method": "mim"}, network="convnet", protocol_name="digits", assigned={})
    with pytest.raises(InputError, match=r"source\.size belongs to the data, .*--set source\.size=VALUE"):
        make_space((), {"size": "4,8"}, found.flat, found.knobs, ())
