"""Chains: their order, what they carry along, their text and back, and plain arrays in one call."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from mim4dd.errors import DataError, InputError, UnknownNameError
from mim4dd.records import ImageData
from perturbations import (
    PERTURBATIONS,
    MatrixNoise,
    SymmetricNoise,
    chain,
    label_noise,
    parse_chain,
    parse_corruptions,
    perturb,
    stage_of,
    text_of,
)
from perturbations.stages import ORDER


def test_an_empty_chain_is_the_data_itself(train: ImageData) -> None:
    same = chain((), train, seed=0)
    assert same.data is train
    assert same.realised == {}
    assert not same.flipped.any()


def test_true_labels_are_carried_through_every_step(train: ImageData) -> None:
    texts = ["exponential:factor=5", "symmetric:rate=0.2", "pairflip:rate=0.1", "contrast:severity=1"]
    made = chain(parse_chain(texts), train, seed=0)
    true = dict(zip(train.index.tolist(), train.labels.tolist(), strict=True))
    assert made.clean_labels.tolist() == [true[index] for index in made.data.index.tolist()]
    assert (made.flipped == (made.data.labels != made.clean_labels)).all()
    assert list(made.realised) == ["exponential", "symmetric", "pairflip", "contrast"]
    assert made.flipped.sum() > made.realised["symmetric"]["flips"]
    json.dumps(made.realised)


def test_a_chain_says_how_long_it_took(train: ImageData) -> None:
    began = time.perf_counter()
    made = chain(parse_chain(["symmetric:rate=0.4", "dropped:by=loss,share=0.4"]), train, seed=0)
    assert 0 < made.seconds <= time.perf_counter() - began
    assert chain((), train, seed=0).seconds == 0


def test_controls_are_the_very_same_data(train: ImageData) -> None:
    same = chain(parse_chain(["exponential:factor=1", "symmetric:rate=0", "jpeg:severity=0"]), train, seed=5)
    assert same.data is train
    assert same.realised["symmetric"]["transition"] == np.eye(10).tolist()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            ["symmetric", "exponential"],
            "order imbalance, then planted cue, then label noise, then .*: give exponential, symm",
        ),
        (["jpeg", "symmetric", "step"], "give step, symmetric, jpeg"),
        (["jpeg", "colour", "symmetric"], "give colour, symmetric, jpeg"),
        (["colour", "corruption_cue"], "at most one planted cue, got colour and corruption_cue"),
        (["symmetric:rate=0.1", "symmetric:rate=0.2"], "must differ, got symmetric twice"),
    ],
)
def test_the_order_is_fixed_and_the_error_names_it(texts: list[str], message: str, train: ImageData) -> None:
    with pytest.raises(InputError, match=message):
        chain(parse_chain(texts), train, seed=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("symetric:rate=0.2", "did you mean 'symmetric'"),
        ("symmetric:rate=1.2", r"must be in \[0, 0.9\]"),
        ("symmetric:rat=0.2", "did you mean 'rate'"),
        ("symmetric:0.2", "NAME:knob=value"),
        ("symmetric:rate=0.2,rate=0.3", "give a knob once, got rate twice"),
        ("symmetric:rate=0.2,", "NAME:knob=value"),
        ("symmetric:include_own=maybe", "must be true or false"),
        ("exponential:factor=0.5", r"must be in \[1, inf\)"),
        ("exponential:order=size", "must be one of label, random"),
        ("step:minority=1.5", r"must be in \[0, 1\]"),
        ("jpeg:severity=6", r"must be in \[0, 5\]"),
        ("jpeg:severity=2.5", "must be a whole number"),
        ("colour:correlation=1.01", r"must be in \[0, 1\], got 1.01"),
        ("colour:of=ink", "must be one of foreground, background"),
        ("corruption_cue:strength=0", r"must be in \[1, 5\]"),
        ("pairflip:rate=0.5", r"in \[0, 0.5\), got 0.5: .*allow_unidentifiable=true"),
        ("pairflip:rate=0.50000001", r"in \[0, 0.5\), got 0.50000001: .*allow_unidentifiable=true"),
        ("asymmetric:rate=0.7", r"in \[0, 0.5\), got 0.7: .*allow_unidentifiable=true"),
        ("", "unknown perturbation ''"),
    ],
)
def test_bad_chains_are_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_chain([text, "jpeg"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "exponential:factor=50.0,order=label + symmetric:rate=0.4,include_own=False",
        "step:factor=10.0,minority=0.30000000000000004,order=random + asymmetric:rate=0.4,classes_as=,"
        "allow_unidentifiable=False + jpeg:severity=3",
    ],
)
def test_the_canonical_text_gives_the_same_chain_again(text: str) -> None:
    found = parse_chain(text.split(" + "))
    assert text_of(found) == text
    assert parse_chain(text_of(found).split(" + ")) == found


def test_every_default_has_a_text_that_gives_it_again() -> None:
    for name in set(PERTURBATIONS.names()) - {"matrix", "human"}:
        found = (PERTURBATIONS.build(name),)
        assert parse_chain([text_of(found)]) == found


def test_a_file_stands_in_the_text_by_name_and_content() -> None:
    assert text_of([MatrixNoise.of(np.eye(3))]).startswith("matrix:file=array@")


def test_label_noise_is_what_changes_labels() -> None:
    found = parse_chain(["step", "symmetric", "pairflip", "jpeg"])
    assert label_noise(found) == found[1:3]
    assert {PERTURBATIONS.get(name).stage for name in PERTURBATIONS.names()} == set(ORDER)


def test_a_plug_in_of_no_stage_is_refused_with_the_stages() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Lost:
        stage: ClassVar[str] = "label nois"

    with pytest.raises(UnknownNameError, match=r"'label nois'; did you mean 'label noise'"):
        stage_of(Lost)  # type: ignore[arg-type]


def test_corruptions_of_test_images_change_images_alone() -> None:
    assert [one.stage for one in parse_corruptions(["jpeg", "contrast:severity=1"], "--corrupt")] == [ORDER[-1]] * 2
    with pytest.raises(InputError, match=r"--corrupt takes pixel corruptions, symmetric:rate=0\.2 is label noise"):
        parse_corruptions(["jpeg", "symmetric:rate=0.2"], "--corrupt")


def test_the_room_is_imported_without_anything_heavy() -> None:
    code = "import sys, perturbations; print(*{'scipy', 'PIL', 'torch', 'sklearn'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout.strip()) == (0, ""), ran.stderr


LEVELS = np.random.default_rng(0).integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)
LABELS = np.arange(40) % 4


@pytest.mark.parametrize(
    ("images", "shape"),
    [
        (LEVELS, (40, 3, 6, 5)),
        (LEVELS.transpose(0, 3, 1, 2), (40, 3, 6, 5)),
        (LEVELS[..., 0], (40, 1, 6, 5)),
        (LEVELS[..., :1], (40, 1, 6, 5)),
        (LEVELS / 255, (40, 3, 6, 5)),
        ((LEVELS / 255).astype(np.float16), (40, 3, 6, 5)),
    ],
)
def test_plain_arrays_of_every_layout(images: np.ndarray, shape: tuple[int, ...]) -> None:
    before = images.copy()
    made = perturb(images, LABELS.astype(np.int32), "symmetric:rate=0.5", "gaussian_noise:severity=5")
    assert made.data.images.shape == shape
    assert (made.data.images.dtype, made.data.labels.dtype) == (np.float32, np.int64)
    assert made.flipped.sum() == 20
    assert (images == before).all()


def test_plain_arrays_are_scaled_and_not_shared() -> None:
    made = perturb(LEVELS, LABELS)
    np.testing.assert_array_equal(made.data.images, LEVELS.transpose(0, 3, 1, 2) / np.float32(255))
    pixels = LEVELS[..., 0] / np.float32(255)
    assert not np.shares_memory(perturb(pixels, LABELS).data.images, pixels)
    assert (perturb(LEVELS, LABELS, seed=1).data.labels == LABELS).all()


def test_the_source_and_the_seed_choose_the_draws() -> None:
    words = [("array", 0), ("array", 0), ("other", 0), ("array", 1)]
    made = [perturb(LEVELS, LABELS, "symmetric:rate=0.5", source=source, seed=seed) for source, seed in words]
    assert (made[0].data.labels == made[1].data.labels).all()
    assert (made[0].data.labels != made[2].data.labels).any()
    assert (made[0].data.labels != made[3].data.labels).any()


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (LEVELS.astype(np.int64), LABELS, "must be uint8, or floats in .*got int64"),
        (LEVELS / 255 * 1.000001, LABELS, r"must be in \[0, 1\] when they are floats, got 0 to 1.000001;"),
        (LEVELS / 2.0, LABELS, r"must be in \[0, 1\] when they are floats, got 0 to 127.5"),
        (LEVELS / np.nan, LABELS, r"got nan"),
        (LEVELS[:, 0], LABELS[:39], r"one number for each image, shape \[40\], got shape \[39\]"),
        (LEVELS, LABELS / 1.0, "labels must be whole numbers, got float64"),
        (LEVELS, LABELS - 1, r"labels must be in \[0, 2\], got -1"),
        (LEVELS, LABELS * 10**9, "must be below 40, .*or give classes"),
        (LEVELS[:0], LABELS[:0], "must not be empty"),
        (LEVELS[0, 0], LABELS[:6], r"must be \[N, H, W\]"),
        (LEVELS[..., :2], LABELS, r"must be \[N, H, W\]"),
    ],
)
def test_plain_arrays_that_do_not_fit(images: np.ndarray, labels: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        perturb(images, labels, "symmetric")
    assert "\n" not in str(caught.value)


def test_classes_may_be_named_and_then_need_no_images() -> None:
    made = perturb(LEVELS, LABELS, "symmetric:rate=0.9", classes=[f"c{k}" for k in range(100)])
    assert made.data.labels.max() > 3
    with pytest.raises(DataError, match="exponential needs an image of every class, array has none of c4, c5"):
        perturb(LEVELS, LABELS, "exponential", classes=[f"c{k}" for k in range(100)])


def test_a_perturbed_split_knows_what_is_flipped(train: ImageData) -> None:
    made = SymmetricNoise(rate=0.3)(train, seed=0)
    assert made.flipped.sum() == made.realised["flips"]
    assert made.clean_labels is train.labels
