"""Symmetric, pair and asymmetric label noise by exact counts, nested between rates and between imbalance factors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mim4dd.errors import DataError, InputError
from mim4dd.records import ImageData
from perturbations import (
    AsymmetricNoise,
    ExponentialImbalance,
    PairFlip,
    Perturbed,
    SymmetricNoise,
    chain,
    parse_chain,
    text_of,
)
from perturbations.labels.semantic import MAPS, SUPERCLASS, within_superclasses

Make = Callable[..., ImageData]
RATES = [0.0, 0.1, 0.25, 0.4, 0.9]


def matrices(made: Perturbed) -> tuple[np.ndarray, np.ndarray]:
    return np.array(made.realised["transition"]), np.array(made.realised["asked"])


@pytest.mark.parametrize("rate", RATES)
def test_symmetric_noise_flips_exactly_the_rounded_number_and_never_to_the_own_class(
    rate: float, train: ImageData
) -> None:
    noisy = SymmetricNoise(rate=rate)(train, seed=0)
    assert (noisy.data.labels != train.labels).sum() == round(rate * len(train)) == noisy.realised["flips"]
    assert noisy.data.images is train.images
    assert noisy.realised["rate"] == noisy.realised["flips"] / len(train)
    assert noisy.realised["counts"] == noisy.data.counts.tolist()


@pytest.mark.parametrize(("classes", "most"), [(2, 0.5), (3, 0.66), (10, 0.9)])
def test_a_rate_beyond_which_wrong_labels_are_likelier_is_refused_unless_allowed(
    make: Make, classes: int, most: float
) -> None:
    data = make([60] * classes)
    SymmetricNoise(rate=most)(data, seed=0)
    if most < 0.9:
        above = most + 0.1
        with pytest.raises(InputError, match=f"must be at most {(classes - 1) / classes:.3g} with {classes} classes"):
            SymmetricNoise(rate=above)(data, seed=0)
        noisy = SymmetricNoise(rate=above, allow_unidentifiable=True)(data, seed=0)
        assert noisy.realised["flips"] == round(above * len(data))
    SymmetricNoise(rate=0.9, include_own=True)(data, seed=0)


def test_the_text_of_a_chain_names_a_tacit_knob_only_where_it_is_set() -> None:
    plain, allowed = parse_chain(["symmetric:rate=0.4"]), parse_chain(["symmetric:allow_unidentifiable=true"])
    assert text_of(plain) == "symmetric:rate=0.4,include_own=False"
    assert text_of(allowed) == "symmetric:rate=0.2,include_own=False,allow_unidentifiable=True"
    assert parse_chain([text_of(allowed)]) == allowed


def test_including_the_own_class_realises_the_lower_rate(make: Make) -> None:
    noisy = SymmetricNoise(rate=0.4, include_own=True)(make([5_000] * 10), seed=0)
    assert noisy.realised["rate"] == pytest.approx(0.36, abs=0.005)
    realised, asked = matrices(noisy)
    assert asked[0, 0] == pytest.approx(0.64)
    assert asked[0, 1] == pytest.approx(0.04)
    assert np.abs(realised - asked).max() < 0.025


def test_new_labels_are_uniform_over_the_other_classes(make: Make) -> None:
    realised, asked = matrices(SymmetricNoise(rate=0.5)(make([5_000] * 10), seed=1))
    assert realised.sum(1) == pytest.approx(np.ones(10))
    assert asked.sum(1) == pytest.approx(np.ones(10))
    assert np.diag(asked) == pytest.approx(np.full(10, 0.5))
    # 5,000 images a class: the sampling error of 0.5 / 9 is 0.0032.
    others = ~np.eye(10, dtype=bool)
    assert np.abs(realised - asked)[others].max() < 4.5 * 0.0033


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.25, 0.45])
def test_pairs_flip_to_the_next_class_exactly(rate: float, make: Make) -> None:
    data = make([501, 333, 166])
    noisy = PairFlip(rate=rate)(data, seed=0)
    assert noisy.flipped.sum() == round(rate * 1000) == noisy.realised["flips"]
    assert (noisy.data.labels[noisy.flipped] == (data.labels[noisy.flipped] + 1) % 3).all()
    realised, asked = matrices(noisy)
    assert asked == pytest.approx((1 - rate) * np.eye(3) + rate * np.eye(3)[[1, 2, 0]])
    assert np.abs(realised - asked).max() < 0.15


@pytest.mark.parametrize("name", sorted(MAPS))
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.333, 0.45])
def test_asymmetric_noise_flips_exactly_by_class(name: str, rate: float, make: Make) -> None:
    classes, taken_for = MAPS[name]
    data = make([20 + k for k in range(classes)], source=name if name == "digits" else f"{name}/train")
    noisy = AsymmetricNoise(rate=rate)(data, seed=0)
    for label in range(classes):
        given = noisy.data.labels[data.labels == label]
        moved = round(rate * len(given)) if label in taken_for else 0
        assert (given != label).sum() == moved
        assert set(given.tolist()) <= {label, taken_for.get(label, label)}
    realised, asked = matrices(noisy)
    assert asked.sum(1) == pytest.approx(np.ones(classes))
    assert np.abs(realised - asked).max() <= 0.5 / 20


def test_the_published_maps(make: Make) -> None:
    names = {
        "cifar10": "airplane automobile bird cat deer dog frog horse ship truck",
        "fashion_mnist": "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag Ankle_boot",
        "mnist": "0 1 2 3 4 5 6 7 8 9",
    }
    published = {
        "cifar10": "truck>automobile bird>airplane deer>horse cat>dog dog>cat",
        "fashion_mnist": "Ankle_boot>Sneaker Sneaker>Sandal Pullover>Shirt Coat>Dress Dress>Coat",
        "mnist": "7>1 2>7 5>6 6>5 3>8",
    }
    for name, text in published.items():
        words = names[name].split()
        assert {f"{words[k]}>{words[j]}" for k, j in MAPS[name][1].items()} == set(text.split())
    assert MAPS["digits"] == MAPS["mnist"]
    half = AsymmetricNoise(rate=0.4)(make([100] * 10, source="cifar10/train"), seed=0)
    assert half.realised["rate"] == 0.2


SUPERCLASSES = """beaver dolphin otter seal whale; aquarium_fish flatfish ray shark trout;
orchid poppy rose sunflower tulip; bottle bowl can cup plate; apple mushroom orange pear sweet_pepper;
clock keyboard lamp telephone television; bed chair couch table wardrobe; bee beetle butterfly caterpillar cockroach;
bear leopard lion tiger wolf; bridge castle house road skyscraper; cloud forest mountain plain sea;
camel cattle chimpanzee elephant kangaroo; fox porcupine possum raccoon skunk; crab lobster snail spider worm;
baby boy girl man woman; crocodile dinosaur lizard snake turtle; hamster mouse rabbit shrew squirrel;
maple_tree oak_tree palm_tree pine_tree willow_tree; bicycle bus motorcycle pickup_truck train;
lawn_mower rocket streetcar tank tractor"""


def test_cifar100_moves_within_its_twenty_superclasses_of_five() -> None:
    groups = [group.split() for group in SUPERCLASSES.split(";")]
    names = sorted(name for group in groups for name in group)
    assert len(names) == 100
    for number, group in enumerate(groups):
        assert [names[k] for k in range(100) if SUPERCLASS[k] == number] == sorted(group)
    taken_for = within_superclasses()
    assert sorted(taken_for.values()) == list(range(100))
    assert names[taken_for[names.index("beaver")]] == "dolphin"
    assert names[taken_for[names.index("whale")]] == "beaver"


def test_classes_as_says_whose_classes_these_are(make: Make) -> None:
    data = make([10] * 10, source="npz:mine/train")
    made = AsymmetricNoise(rate=0.4, classes_as="cifar10")(data, seed=0)
    assert made.realised["flips"] == 20


@pytest.mark.parametrize(
    ("classes", "source", "message"),
    [
        (10, "svhn/train", "no standard map of svhn's classes; use pairflip"),
        (10, "npz:mine/train", "no map of the classes of 'npz:mine'; give classes_as, one of cifar10, cifar100"),
        (7, "mnist/train", "maps the 10 classes of mnist, mnist/train has 7"),
    ],
)
def test_data_without_a_map_are_refused(classes: int, source: str, message: str, make: Make) -> None:
    with pytest.raises(DataError, match=message):
        AsymmetricNoise()(make([3] * classes, source=source), seed=0)


@pytest.mark.parametrize(
    ("name", "message"),
    [("svhn", "svhn's classes; use pairflip"), ("cifar", "unknown asymmetric.classes_as 'cifar'; did you mean 'cifar")],
)
def test_maps_that_there_are_not(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        AsymmetricNoise(classes_as=name)


@pytest.mark.parametrize("kind", [PairFlip, AsymmetricNoise])
def test_rates_that_nobody_can_identify_must_be_asked_for_by_name(kind: type, train: ImageData) -> None:
    with pytest.raises(InputError, match=r"must be in \[0, 0.5\)"):
        kind(rate=0.5)
    made = kind(rate=0.6, allow_unidentifiable=True)(train, seed=0)
    assert made.realised["rate"] > 0.25


NESTED = [SymmetricNoise, PairFlip, AsymmetricNoise]


@pytest.mark.parametrize("kind", NESTED)
def test_flips_at_a_low_rate_are_among_those_at_a_high_one(kind: type, train: ImageData) -> None:
    low, high = (kind(rate=rate)(train, seed=3) for rate in (0.2, 0.4))
    assert low.flipped.any()
    assert (high.data.labels[low.flipped] == low.data.labels[low.flipped]).all()


@pytest.mark.parametrize("kind", NESTED)
def test_an_image_meets_the_same_noise_whichever_others_are_left(kind: type, train: ImageData) -> None:
    noise = kind(rate=0.3)
    made = [chain([ExponentialImbalance(factor=factor), noise], train, seed=0) for factor in (1.0, 4.0, 20.0)]
    given = [dict(zip(m.data.index.tolist(), m.data.labels.tolist(), strict=True)) for m in made]
    flips = [set(m.data.index[m.flipped].tolist()) for m in made]
    for fewer in (1, 2):
        common = set(given[fewer])
        # Only the border moves: the exact count takes the images with the smallest draws among those left.
        assert len(flips[fewer] ^ (flips[0] & common)) < 0.2 * len(flips[fewer])
        both = flips[fewer] & flips[0]
        assert all(given[fewer][index] == given[0][index] for index in both)


def test_noise_does_not_depend_on_the_order_of_the_images(train: ImageData) -> None:
    turned = train.take(np.arange(len(train))[::-1])
    for kind in NESTED:
        assert (kind(rate=0.3)(turned, seed=0).data.labels[::-1] == kind(rate=0.3)(train, seed=0).data.labels).all()


@pytest.mark.parametrize("kind", [SymmetricNoise, PairFlip])
def test_two_classes_a_hundred_and_classes_of_one_image(kind: type, make: Make) -> None:
    two = kind(rate=0.3)(make([50, 50]), seed=0)
    assert (two.data.labels[two.flipped] == 1 - two.clean_labels[two.flipped]).all()
    assert kind(rate=0.4)(make([5] * 100), seed=0).flipped.sum() == 200
    assert kind(rate=0.4)(make([1] * 5), seed=0).flipped.sum() == 2
    with pytest.raises(DataError, match=r"needs at least 2 classes, made/train has 1"):
        kind(rate=0.4)(make([5]), seed=0)


@pytest.mark.parametrize("index", [-1, 50_000_000])
def test_an_absurd_index_is_refused(index: int, train: ImageData) -> None:
    places = train.index.copy()
    places[7] = index
    bad = ImageData(train.images, train.labels, places, train.classes, train.source)
    with pytest.raises(DataError, match=r"digits: index must be in \[0, 50,000,000\).*number the images from 0"):
        SymmetricNoise()(bad, seed=0)
