"""Pixel corruption: identity at 0, ranges, growing change, the published constants, and the formulas written out."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mim4dd.data import load
from mim4dd.records import ImageData
from perturbations import (
    PERTURBATIONS,
    Brightness,
    Contrast,
    DefocusBlur,
    GaussianNoise,
    ImpulseNoise,
    Jpeg,
    Occlusion,
    Pixelate,
    ShotNoise,
    pixel_corruptions,
)
from perturbations.corruption.blocks import Block, corrupted
from perturbations.corruption.compression import box_resized
from perturbations.corruption.defocus import DISKS, disk
from perturbations.corruption.noise import poisson_quantiles

Make = Callable[..., ImageData]
NAMES = pixel_corruptions()
DRAWN = ["gaussian_noise", "shot_noise", "impulse_noise", "occlusion"]


def at(name: str, severity: int, data: ImageData, seed: int = 0) -> ImageData:
    return PERTURBATIONS.build(name, {"severity": severity})(data, seed=seed).data


def smooth(shape: tuple[int, int, int], count: int = 30) -> ImageData:
    """Colour images with edges and gradients, neither black nor white everywhere."""
    channels, height, width = shape
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width] / max(height, width)
    slope = rng.random((count, channels, 2, 1, 1))
    images = 0.1 + 0.3 * (slope[:, :, 0] * y + slope[:, :, 1] * x) + 0.2 * (x > rng.random((count, channels, 1, 1)))
    index = np.arange(count)
    return ImageData(images.astype(np.float32), index % 2, index, ("a", "b"), "made/test")


def test_there_are_nine() -> None:
    assert len(NAMES) == 9


@pytest.mark.parametrize("name", NAMES)
def test_change_grows_with_severity_on_real_digits(name: str) -> None:
    test = load("digits").test
    changes = []
    for severity in range(6):
        made = PERTURBATIONS.build(name, {"severity": severity})(test, seed=0)
        changes.append(made.realised["mean_change"])
        found = np.abs(made.data.images - test.images).mean(dtype=np.float64)
        assert made.realised == {"severity": severity, "mean_change": pytest.approx(found)}
    assert changes[0] == 0 < changes[1]
    # On 8 x 8 pixels two sizes of pixelate, and of occlusion, round to the same one; the last happens to fit digits.
    grows = changes[:5] if name == "pixelate" else changes
    assert grows == sorted(grows)
    assert len(set(grows)) >= (3 if name == "pixelate" else 5)


@pytest.mark.parametrize("name", NAMES)
def test_change_grows_with_every_severity_on_32_pixels(name: str) -> None:
    data = smooth((3, 32, 32))
    changes = [PERTURBATIONS.build(name, {"severity": k})(data, seed=0).realised["mean_change"] for k in range(6)]
    assert (np.diff(changes) > 0).all()


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64), (3, 9, 14), (1, 1, 1)])
@pytest.mark.parametrize("name", NAMES)
def test_images_of_every_size_stay_images(name: str, shape: tuple[int, int, int]) -> None:
    data = smooth(shape)
    made = at(name, 5, data)
    assert (made.images.dtype, made.images.shape) == (np.float32, data.images.shape)
    assert made.images.flags.c_contiguous
    assert 0 <= made.images.min() <= made.images.max() <= 1
    if shape != (1, 1, 1):
        assert (made.images != data.images).any()
    assert made.labels is data.labels
    assert made.source == "made/test"
    assert at(name, 0, data) is data


@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_corrupted_alike_wherever_it_stands(name: str, make: Make) -> None:
    data = make([100, 100], (3, 8, 8))
    rows = np.random.default_rng(3).permutation(200)[:90]
    whole, part = at(name, 3, data).images[rows], at(name, 3, data.take(rows)).images
    if name == "occlusion":  # its colour is the mean of the images given
        hidden, also = whole != data.images[rows], part != data.images[rows]
        assert (hidden == also).mean() > 0.999
    else:
        np.testing.assert_array_equal(whole, part)


@pytest.mark.parametrize("name", DRAWN)
def test_the_seed_and_the_data_set_choose_the_draws(name: str) -> None:
    data = smooth((1, 12, 12))
    first = at(name, 3, data).images
    assert (at(name, 3, data).images == first).all()
    assert (at(name, 3, data, seed=1).images != first).any()
    assert (at(name, 3, replace(data, source="made/train")).images != first).any()


def test_bits_do_not_hang_on_the_number_of_threads(make: Make) -> None:
    data = make([300, 300], (3, 8, 8))

    def change(block: Block) -> np.ndarray:
        return block.images + block.drawn(lambda rng, shape: rng.standard_normal(shape, np.float32))

    made = [corrupted(data, "made", 1, 0, change, threads) for threads in (1, 2, 7)]
    assert len({m.data.digest for m in made}) == 1
    assert len({m.realised["mean_change"] for m in made}) == 1


def test_gaussian_noise_has_its_sigma_and_one_z_for_all_severities(make: Make) -> None:
    data = make([50, 50], (3, 16, 16))
    data = replace(data, images=np.full_like(data.images, 0.5))
    made = [at("gaussian_noise", severity, data).images - np.float32(0.5) for severity in range(1, 6)]
    assert [part.std() for part in made] == pytest.approx([0.04, 0.06, 0.08, 0.09, 0.10], rel=0.02)
    assert made[4] == pytest.approx(made[0] * 2.5, abs=1e-6)
    assert abs(made[0].mean()) < 0.001


def test_shot_noise_has_the_moments_of_its_poisson_numbers(make: Make) -> None:
    data = make([100, 100], (3, 16, 16))
    level = np.float32(102 / 255)
    data = replace(data, images=np.full_like(data.images, level))
    for severity, photons in enumerate((500, 250, 100, 75, 50), 1):
        made = at("shot_noise", severity, data).images.astype(np.float64)
        assert made.mean() == pytest.approx(0.4, abs=0.002)
        assert made.var() == pytest.approx(0.4 / photons, rel=0.02)
        assert np.abs(made * photons - (made * photons).round()).max() < 1e-3


def test_poisson_quantiles_are_the_distribution_s() -> None:
    from scipy.stats import poisson

    table = poisson_quantiles(50).reshape(256, 16384)
    for level in (0, 1, 60, 255):
        assert (np.diff(table[level].astype(int)) >= 0).all()
        seen = np.bincount(table[level], minlength=150) / 16384
        assert seen == pytest.approx(poisson(level / 255 * 50).pmf(np.arange(len(seen))), abs=2 / 16384)


def test_impulse_noise_strikes_its_share_half_to_each_end_and_nested(make: Make) -> None:
    data = make([100, 100], (3, 16, 16))
    data = replace(data, images=np.full_like(data.images, 0.5))
    made = [at("impulse_noise", severity, data).images for severity in range(1, 6)]
    for images, share in zip(made, (0.01, 0.02, 0.03, 0.05, 0.07), strict=True):
        assert (images == 0).mean() == pytest.approx(share / 2, abs=0.002)
        assert (images == 1).mean() == pytest.approx(share / 2, abs=0.002)
    struck = made[0] != 0.5
    assert (made[4][struck] == made[0][struck]).all()


@pytest.mark.parametrize("severity", range(1, 6))
def test_the_disk_is_the_published_one(severity: int) -> None:
    radius, blur = DISKS[severity - 1]
    # As published: a disk on 17 x 17 pixels, blurred by a Gaussian of 3 x 3.
    place = np.arange(-8, 9)
    flat = (place[:, None] ** 2 + place**2 <= radius**2).astype(float)
    taps = np.exp(-(np.array([1, 0, 1]) ** 2) / (2 * blur**2))
    taps /= taps.sum()
    from scipy.ndimage import convolve

    published = convolve(flat / flat.sum(), np.outer(taps, taps), mode="mirror")
    data = smooth((3, 32, 32), 2)
    expected = np.stack([[convolve(c.astype(float), published, mode="mirror") for c in image] for image in data.images])
    assert published[7:10, 7:10] == pytest.approx(disk(radius, blur), abs=2e-5)
    np.testing.assert_allclose(DefocusBlur(severity=severity)(data, seed=0).data.images, expected, atol=2e-5)


def test_contrast_keeps_the_mean_and_shrinks_the_rest() -> None:
    data = smooth((3, 16, 16))
    made = Contrast(severity=5)(data, seed=0).data.images
    mean = data.images.mean((2, 3), keepdims=True)
    np.testing.assert_allclose(made, mean + 0.15 * (data.images - mean), atol=1e-6)


def test_brightness_is_that_of_hsv() -> None:
    from matplotlib.colors import hsv_to_rgb, rgb_to_hsv

    data = smooth((3, 16, 16))
    images = data.images.copy()
    images[0] = 0
    images[1] = 1
    made = Brightness(severity=4)(replace(data, images=images), seed=0).data.images
    hsv = rgb_to_hsv(images.transpose(0, 2, 3, 1))
    hsv[..., 2] = (hsv[..., 2] + 0.2).clip(0, 1)
    np.testing.assert_allclose(made, hsv_to_rgb(hsv).transpose(0, 3, 1, 2), atol=1e-6)
    grey = Brightness(severity=4)(replace(data, images=images[:, :1]), seed=0).data.images
    np.testing.assert_allclose(grey, (images[:, :1] + 0.2).clip(0, 1), atol=1e-6)


def test_pixelate_is_pillow_s_but_for_the_rounding() -> None:
    from PIL import Image

    data = smooth((3, 32, 32), 3)
    levels = np.rint(data.images * 255).astype(np.uint8)
    small = int(32 * 0.65)
    for image, made in zip(
        levels, at("pixelate", 5, replace(data, images=levels / np.float32(255))).images, strict=True
    ):
        picture = Image.fromarray(image.transpose(1, 2, 0))
        there = picture.resize((small, small), Image.Resampling.BOX).resize((32, 32), Image.Resampling.BOX)
        np.testing.assert_allclose(made, np.asarray(there).transpose(2, 0, 1) / 255, atol=1.6 / 255)
    assert box_resized(32, 20).sum(1) == pytest.approx(np.ones(32), abs=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_pillow_s(channels: int) -> None:
    from PIL import Image

    data = smooth((channels, 20, 24), 3)
    made = Jpeg(severity=2)(data, seed=0).data.images
    for image, found in zip(data.images, made, strict=True):
        levels = np.rint(image.transpose(1, 2, 0) * 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(levels if channels == 3 else levels[..., 0]).save(file, "JPEG", quality=65)
        read = np.asarray(Image.open(file)).reshape(20, 24, channels)
        np.testing.assert_array_equal(found, read.transpose(2, 0, 1) / np.float32(255))


def test_occlusion_hides_one_square_that_only_grows(make: Make) -> None:
    data = make([200, 200], (3, 20, 20))
    mean = data.images.mean((0, 2, 3), dtype=np.float64).astype(np.float32)
    before = np.zeros((400, 20, 20), bool)
    for severity, side in enumerate((4, 6, 8, 10, 12), 1):
        made = Occlusion(severity=severity)(data, seed=0).data.images
        hidden = (made == mean[:, None, None]).all(1)
        assert (hidden.sum((1, 2)) == side**2).all()
        assert (hidden.any(2).sum(1) == side).all()
        assert (made.transpose(0, 2, 3, 1)[~hidden] == data.images.transpose(0, 2, 3, 1)[~hidden]).all()
        assert (before <= hidden).all()
        before = hidden
    assert before.any(0).all()  # anywhere within the image


def test_severities_are_the_published_constants() -> None:
    from perturbations.corruption import compression, light, noise

    assert noise.SIGMA == (0.04, 0.06, 0.08, 0.09, 0.10)
    assert noise.PHOTONS == (500, 250, 100, 75, 50)
    assert noise.AMOUNT == (0.01, 0.02, 0.03, 0.05, 0.07)
    assert light.BRIGHTNESS == (0.05, 0.1, 0.15, 0.2, 0.3)
    assert light.CONTRAST == (0.75, 0.5, 0.4, 0.3, 0.15)
    assert compression.QUALITY == (80, 65, 58, 50, 40)
    assert compression.KEPT == (0.95, 0.9, 0.85, 0.75, 0.65)
    assert [kind().severity for kind in (GaussianNoise, ImpulseNoise, ShotNoise, Pixelate)] == [3] * 4
