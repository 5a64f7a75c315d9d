"""The augmentations: one draw for real and synthetic, gradients, ranges and no-ops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mim4dd.data.augment import Draw, augment_images, draw_siamese, draw_single
from mim4dd.data.operations import SIAMESE, check_augment, operations
from mim4dd.errors import KnobError, UnknownNameError

NAMES = tuple(SIAMESE.split("_"))
# the magnitudes at which an operation leaves the image as it is
AT_REST = {
    "color": [0.5] * 4,
    "crop": [0.5] * 4,
    "flip": [0.5] * 4,
    "scale": [(1 - 1 / 1.2) / (1.2 - 1 / 1.2)] * 4,
    "rotate": [0.5] * 4,
}


def pictures(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def one(name: str, *uniform: float) -> Draw:
    """A draw of one group: this operation at these magnitudes."""
    filled = [*uniform, *[0.5] * (4 - len(uniform))]
    return Draw((name,), np.array([0]), np.array([filled], dtype=np.float32))


def applied(images: Tensor, draw: Draw) -> Tensor:
    return augment_images(images, draw, np.zeros(len(images), dtype=np.int64))


def across(size: int) -> Tensor:
    """Images of the horizontal and of the vertical coordinate in [-1, 1], [2, 1, size, size]."""
    line = torch.linspace(-1, 1, size, dtype=torch.float64)
    return torch.stack([line.expand(size, size), line[:, None].expand(size, size)])[:, None]


@pytest.mark.parametrize("name", sorted(AT_REST))
def test_operation_at_rest_leaves_the_image(name: str) -> None:
    images = pictures(3, 3, 8, 8)
    torch.testing.assert_close(applied(images, one(name, *AT_REST[name])), images, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_pass_and_are_the_numerical_ones(name: str) -> None:
    images = pictures(2, 2, 6, 6, dtype=torch.float64).requires_grad_()
    draw = draw_siamese((name,), 2, np.random.default_rng(1))
    assert torch.autograd.gradcheck(lambda x: augment_images(x, draw, [1, 0]), images)
    (gradient,) = torch.autograd.grad(augment_images(images, draw, [1, 0]).square().sum(), images)
    assert gradient.flatten(1).any(1).all()


@pytest.mark.parametrize("name", NAMES)
def test_real_and_synthetic_of_a_class_are_transformed_alike(name: str) -> None:
    image, draw = pictures(1, 3, 8, 8), draw_siamese((name,), 3, np.random.default_rng(2))
    real = augment_images(image.repeat(7, 1, 1, 1), draw, [0, 1, 2, 2, 1, 0, 0])
    synthetic = augment_images(image.repeat(3, 1, 1, 1), draw, [0, 1, 2])
    for row, group in enumerate([0, 1, 2, 2, 1, 0, 0]):
        torch.testing.assert_close(real[row], synthetic[group], rtol=0, atol=1e-6)


def test_mixed_batch_equals_each_group_alone() -> None:
    groups = np.array([5, 0, 3, 3, 1, 4, 2, 0, 5, 1])
    images, draw = pictures(10, 3, 8, 8), Draw(NAMES, np.arange(6), np.random.default_rng(0).random((6, 4), np.float32))
    mixed = augment_images(images, draw, groups)
    for group in range(6):
        alone = augment_images(images[groups == group], draw, groups[groups == group])
        torch.testing.assert_close(mixed[groups == group], alone, rtol=0, atol=1e-6)


def test_color_shifts_scales_and_keeps_its_range() -> None:
    images = pictures(2, 3, 8, 8)
    torch.testing.assert_close(applied(images, one("color", 0.0)), images - 0.5)
    grey = applied(images, one("color", 0.5, 0.0))
    torch.testing.assert_close(grey, images.mean(1, keepdim=True).expand_as(images))
    flat = applied(images, one("color", 0.5, 0.5, 0.0))
    torch.testing.assert_close(flat.flatten(1).std(1), images.flatten(1).std(1) / 2)
    torch.testing.assert_close(flat.flatten(1).mean(1), images.flatten(1).mean(1))


def test_crop_reaches_every_shift_of_the_padded_image_and_no_other() -> None:
    image, pad = pictures(1, 1, 16, 16), 2
    padded = torch.nn.functional.pad(image, (pad,) * 4)
    shifts = {(y, x): padded[..., y : y + 16, x : x + 16] for y in range(5) for x in range(5)}
    found = set()
    for u in np.linspace(0, 0.999, 21):
        for v in np.linspace(0, 0.999, 21):
            cropped = applied(image, one("crop", float(u), float(v)))
            (place,) = [place for place, shifted in shifts.items() if torch.equal(cropped, shifted)]
            found.add(place)
    assert found == set(shifts)


@pytest.mark.parametrize("size", [8, 9, 28])
def test_cutout_blanks_one_square_of_half_the_side(size: int) -> None:
    image, hole, areas = torch.ones(1, 2, size, size), int(size / 2 + 0.5), set()
    for u in np.linspace(0, 0.999, 12):
        for v in np.linspace(0, 0.999, 12):
            blank = applied(image, one("cutout", float(u), float(v)))[0] == 0
            assert torch.equal(blank[0], blank[1])
            rows, columns = (blank[0].any(axis).sum().item() for axis in (1, 0))
            assert blank[0].sum() == rows * columns
            assert 0 < rows <= hole
            assert 0 < columns <= hole
            areas.add(rows * columns)
    assert hole**2 in areas


def test_flip_mirrors_half_of_the_draws() -> None:
    image = pictures(1, 1, 4, 4)
    assert torch.equal(applied(image, one("flip", 0.49)), image.flip(3))
    assert torch.equal(applied(image, one("flip", 0.51)), image)


@pytest.mark.parametrize(("uniform", "factor"), [(0.0, 1 / 1.2), (1.0, 1.2)])
def test_scale_ends_at_a_fifth(uniform: float, factor: float) -> None:
    coordinate = across(17)
    scaled = applied(coordinate, one("scale", uniform, uniform))
    inside = ((coordinate * factor).abs() <= 1).all(0, keepdim=True).expand_as(coordinate)
    torch.testing.assert_close(scaled[inside], (coordinate * factor)[inside], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("uniform", "degrees"), [(0.0, -15), (0.25, -7.5), (1.0, 15)])
def test_rotation_ends_at_15_degrees(uniform: float, degrees: float) -> None:
    both = across(17)
    x, y = both[0, 0], both[1, 0]
    turned, angle = applied(both, one("rotate", uniform)), math.radians(degrees)
    from_x, from_y = math.cos(angle) * x - math.sin(angle) * y, math.sin(angle) * x + math.cos(angle) * y
    inside = (from_x.abs() <= 1) & (from_y.abs() <= 1)
    torch.testing.assert_close(turned[0, 0][inside], from_x[inside], rtol=0, atol=1e-6)
    torch.testing.assert_close(turned[1, 0][inside], from_y[inside], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_images_of_a_batch_get_magnitudes_of_their_own(name: str) -> None:
    images = pictures(1, 3, 16, 16).repeat(32, 1, 1, 1)
    draw = draw_single((name,), 32, np.random.default_rng(0))
    found = augment_images(images, draw, np.arange(32))
    assert len({image.numpy().tobytes() for image in found}) > (1 if name == "flip" else 10)


def test_a_batch_of_training_gets_one_operation() -> None:
    draws = [draw_single(NAMES, 32, np.random.default_rng(seed)) for seed in range(40)]
    assert all(len(set(draw.operation)) == 1 for draw in draws)
    assert {int(draw.operation[0]) for draw in draws} == set(range(6))


def test_classes_get_operations_of_their_own() -> None:
    draw = draw_siamese(NAMES, 200, np.random.default_rng(0))
    assert set(draw.operation.tolist()) == set(range(6))
    again = draw_siamese(NAMES, 200, np.random.default_rng(0))
    np.testing.assert_array_equal(again.uniform, draw.uniform)
    np.testing.assert_array_equal(again.operation, draw.operation)


def test_no_operation_is_no_change() -> None:
    images = pictures(2, 1, 8, 8)
    assert check_augment("none") == ()
    draw = draw_siamese((), 2, np.random.default_rng(0))
    assert torch.equal(augment_images(images, draw, [0, 1]), images)


@pytest.mark.parametrize("source", ["digits", "mnist/train", "svhn/train"])
def test_digits_are_never_flipped(source: str) -> None:
    assert operations(SIAMESE, source) == tuple(name for name in NAMES if name != "flip")
    assert operations("flip", source) == ()


@pytest.mark.parametrize("source", ["cifar10/train", "fashion_mnist/train", "folder:digits"])
def test_other_pictures_may_be_flipped(source: str) -> None:
    assert operations(SIAMESE, source) == NAMES


def test_unknown_or_repeated_operation_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown augmentation 'colour'; did you mean 'color'\? Known: color"):
        check_augment("colour_crop")
    with pytest.raises(KnobError, match="each operation once, got crop_flip_crop"):
        check_augment("crop_flip_crop")
    for text in ("", "none_crop"):
        with pytest.raises(UnknownNameError):
            check_augment(text)
