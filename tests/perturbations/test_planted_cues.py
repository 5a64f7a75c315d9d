"""Planted cues: exact counts, nesting, independence, what they paint, the splits they are shown on, and bad input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest

from mim4dd.data import load
from mim4dd.errors import DataError, InputError
from mim4dd.records import ImageData
from perturbations import ColourCue, CorruptionCue, GreyCue, PlantedCue, chain, cue_of, parse_chain
from perturbations import perturb as perturb_arrays
from perturbations.cues.colour import COLOURS
from perturbations.cues.corruption import KINDS
from perturbations.cues.planting import PARTS, at, cue_in, shown, unbiased, values_of

Make = Callable[..., ImageData]
CUES: list[tuple[PlantedCue, int, int]] = [(ColourCue(), 1, 10), (CorruptionCue(), 1, 10), (GreyCue(), 3, 2)]
COUNTS = [101, 40, 33, 7, 1, 90, 64, 50, 20, 11]


def conflicts(cue: PlantedCue, data: ImageData, seed: int = 0) -> np.ndarray:
    return values_of(cue, data, seed) != cue.own(data)[data.labels]


@pytest.mark.parametrize(("cue", "channels", "values"), CUES)
@pytest.mark.parametrize("correlation", [0.0, 0.1, 0.5, 0.85, 0.9, 1.0])
def test_counts_are_exact_and_the_rest_is_spread_evenly(
    cue: PlantedCue, channels: int, values: int, correlation: float, make: Make
) -> None:
    data = make(COUNTS, (channels, 2, 2))
    found, own = values_of(at(cue, correlation), data, 3), cue.own(data)
    assert own.max() + 1 == values
    for label, count in enumerate(COUNTS):
        by_value = np.bincount(found[data.labels == label], minlength=values)
        share = correlation * count
        assert by_value[own[label]] in ((0, 1) if 0 < share < 1 else (round(share),))
        others = np.delete(by_value, own[label])
        assert others.max() - others.min() <= 1
    made = at(cue, correlation)(data, seed=3)
    table = np.array(made.realised["cue_counts"])
    assert table.sum(1).tolist() == COUNTS
    assert made.realised["aligned"] == table[np.arange(10), own].sum() == len(data) - made.realised["conflicting"]
    assert made.realised["correlation"] == made.realised["aligned"] / len(data)
    assert made.data.labels is data.labels
    assert made.data.index is data.index


@pytest.mark.parametrize(("cue", "channels", "values"), CUES)
def test_conflicts_at_a_larger_correlation_are_among_those_at_a_smaller_one(
    cue: PlantedCue, channels: int, values: int, make: Make
) -> None:
    data = make(COUNTS, (channels, 2, 2))
    before = np.ones(len(data), bool)
    for correlation in (0.0, 0.1, 0.5, 0.9, 0.95, 1.0):
        now = conflicts(at(cue, correlation), data)
        assert (now <= before).all()
        # with the same value
        shown_now, shown_at_0 = (values_of(at(cue, each), data, 0) for each in (correlation, 0.0))
        assert (shown_now[now] == shown_at_0[now]).all()
        before = now
    assert not before.any()


def test_an_independent_cue_says_nothing_about_the_class(make: Make) -> None:
    data = make([100] * 10, (1, 2, 2))
    table = np.array(unbiased(ColourCue(), data)(data, seed=0).realised["cue_counts"])
    assert (table == 10).all()
    grey = make([100] * 10, (3, 2, 2))
    assert (np.array(unbiased(GreyCue(), grey)(grey, seed=0).realised["cue_counts"]) == 50).all()


def test_the_seed_the_kind_and_the_data_set_choose_the_images(make: Make) -> None:
    data = make([300, 300], (1, 2, 2))
    cue = ColourCue(correlation=0.5)
    first = conflicts(cue, data)
    assert (conflicts(cue, data) == first).all()
    assert (conflicts(ColourCue(correlation=0.5, of="background"), data) == first).all()
    assert (conflicts(cue, data, seed=1) != first).any()
    assert (conflicts(cue, replace(data, source="made/test")) != first).any()
    assert (conflicts(CorruptionCue(correlation=0.5), data) != first).any()


def test_colour_is_of_the_ink_or_of_the_paper(make: Make) -> None:
    data = make([30] * 10, (1, 4, 4))
    for of in ("foreground", "background"):
        cue = ColourCue(correlation=0.5, of=of)
        made, colours = cue(data, seed=0).data, COLOURS[values_of(cue, data, 0)]
        assert made.shape == (3, 4, 4)
        assert (made.images.dtype, made.images.flags.c_contiguous) == (np.float32, True)
        assert 0 <= made.images.min() <= made.images.max() <= 1
        image, ink = made.images[7], data.images[7, 0]
        for channel in range(3):
            colour = colours[7, channel]
            expected = ink * colour if of == "foreground" else ink + (1 - ink) * colour
            np.testing.assert_allclose(image[channel], expected, rtol=1e-6)
    assert len({tuple(colour) for colour in COLOURS.tolist()}) == 10


def test_grey_keeps_the_luminance_and_the_other_half_of_the_classes(make: Make) -> None:
    data = make([40, 40, 40], (3, 4, 4))
    made = GreyCue(correlation=1.0)(data, seed=0).data.images
    first = data.labels == 0  # of three classes one is grey
    assert (made[~first] == data.images[~first]).all()
    assert (made[first][:, 0] == made[first][:, 1]).all()
    red, green, blue = data.images[first].transpose(1, 0, 2, 3)
    np.testing.assert_allclose(made[first][:, 2], 0.299 * red + 0.587 * green + 0.114 * blue, atol=1e-6)
    other = GreyCue(correlation=0.0)(data, seed=0).data.images
    both = np.stack([made, other])
    # every image stands in both versions, once in each
    assert ((both == data.images).all((2, 3, 4)).sum(0) == 1).all()


def test_a_corruption_cue_is_the_corruption_itself(make: Make) -> None:
    data = make([30] * 10, (1, 8, 8))
    cue = CorruptionCue(correlation=0.5, strength=4)
    made, values = cue(data, seed=2).data.images, values_of(cue, data, 2)
    assert (made[values == len(KINDS)] == data.images[values == len(KINDS)]).all()
    noisy = KINDS[0](severity=4)(data, seed=2).data.images
    assert (made[values == 0] == noisy[values == 0]).all()
    assert len(KINDS) == len({kind.__name__ for kind in KINDS}) == 9  # type: ignore[attr-defined]


@pytest.mark.parametrize(("part", "share"), [("unbiased", 0.1), ("aligned", 1.0), ("conflicting", 0.0)])
def test_test_images_are_shown_unbiased_aligned_or_conflicting(part: str, share: float, make: Make) -> None:
    data = make([50] * 10, (1, 2, 2), "made/test")
    cue = shown(ColourCue(correlation=0.9), data, part)
    assert part in PARTS
    assert 1 - conflicts(cue, data).mean() == pytest.approx(share)


def test_a_chain_plants_before_it_relabels(train: ImageData) -> None:
    perturbations = parse_chain(["exponential:factor=5", "colour:correlation=0.9", "symmetric:rate=0.2"])
    made = chain(perturbations, train, seed=0)
    cue = cue_of(perturbations)
    assert cue == ColourCue(correlation=0.9)
    kept = chain(perturbations[:1], train, seed=0).data
    values = values_of(cue, kept, 0)
    # tied to the true class, not to the label
    assert (values == made.clean_labels).mean() == pytest.approx(0.9, abs=0.01)
    assert made.realised["colour"]["aligned"] == (values == kept.labels).sum()
    assert made.flipped.sum() == round(0.2 * len(kept))


def test_plain_arrays_are_planted_and_tested_by_correlation_alone() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (60, 6, 5), dtype=np.uint8)
    labels = np.arange(60) % 3
    made = perturb_arrays(levels, labels, "colour:correlation=0.8")
    assert made.data.images.shape == (60, 3, 6, 5)
    assert made.realised["colour"]["aligned"] == 48
    assert perturb_arrays(levels, labels, "colour:correlation=0").realised["colour"]["conflicting"] == 60


def test_the_cue_is_found_in_the_text_of_a_chain() -> None:
    text = "exponential:factor=5.0,order=label + colour:correlation=0.5,of=background + matrix:file=lost.csv@0123456789"
    assert cue_in(text) == ColourCue(correlation=0.5, of="background")
    assert cue_in("symmetric:rate=0.2") is None is cue_in("")


@pytest.mark.parametrize(
    ("text", "shape", "classes", "message"),
    [
        ("colour", (3, 4, 4), 3, r"colour needs grey images \(1 channel\), made/train has 3; colour images can"),
        ("grey", (1, 4, 4), 3, r"grey needs colour images \(3 channels\), made/train has 1; grey images can"),
        ("colour", (1, 4, 4), 11, "colour has 10 values, one a class, and made/train has 11 classes"),
        ("corruption_cue", (3, 4, 4), 11, "corruption_cue has 10 values, one a class, and made/train has 11"),
        ("colour", (1, 4, 4), 1, "colour needs at least 2 classes"),
        ("grey", (3, 4, 4), 1, "grey needs at least 2 classes"),
    ],
)
def test_data_that_cannot_have_a_cue_are_refused_in_one_line(
    text: str, shape: tuple[int, int, int], classes: int, message: str, make: Make
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        chain(parse_chain([text]), make([5] * classes, shape), seed=0)
    assert "\n" not in str(caught.value)


def test_a_plug_in_s_cue_must_be_one() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Stamp:
        stage: ClassVar[str] = "planted cue"
        name: ClassVar[str] = "stamp"

    with pytest.raises(InputError, match=r"stamp must be a subclass of perturbations\.PlantedCue"):
        cue_of([Stamp()])  # type: ignore[list-item]


def test_digits_in_colour_are_read_by_nothing_but_their_colour_at_1() -> None:
    splits = load("digits")
    made = ColourCue(correlation=1.0)(splits.train, seed=0).data
    hue = made.images.max((2, 3))
    found = ((hue / hue.max(1, keepdims=True))[:, None] - COLOURS / COLOURS.max(1, keepdims=True)) ** 2
    assert (found.sum(2).argmin(1) == made.labels).mean() == 1


@pytest.mark.parametrize("size", [1, 3, 6])
def test_an_independent_cue_is_one_over_classes_that_are_too_small_for_it(
    size: int, make: Callable[..., ImageData]
) -> None:
    """Of ten colours less than one image a class shows its own: one of as many classes as make it a tenth of all."""
    data = make([size] * 10, shape=(1, 4, 4))
    cue = unbiased(ColourCue(), data)
    for seed in range(5):
        realised = cue(data, seed=seed).realised
        assert realised["aligned"] == size
        assert realised["correlation"] == pytest.approx(0.1)
    aligned = [values_of(at(cue, share), data, 0) == data.labels for share in (0.1, 0.5, 0.9, 1.0)]
    for fewer, more in pairwise(aligned):
        assert (more | ~fewer).all()
    assert not (values_of(at(cue, 0.0), data, 0) == data.labels).any()
