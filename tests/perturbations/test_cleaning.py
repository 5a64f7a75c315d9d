"""Cleaning: which images are left out, what is recorded of them, and that a sham drops as many at random."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from mim4dd.errors import InputError
from mim4dd.records import ImageData
from perturbations import Dropped, Perturbed, chain, parse_chain, perturb
from perturbations.cleaning import lowest

NOISE = "symmetric:rate=0.4"


def cleaned(train: ImageData, *texts: str, seed: int = 0) -> Perturbed:
    return chain(parse_chain([NOISE, *texts]), train, seed=seed)


def test_the_oracle_leaves_out_every_wrong_label_and_no_other(train: ImageData) -> None:
    noisy, found = chain(parse_chain([NOISE]), train, seed=0), cleaned(train, "dropped:by=oracle")
    assert not found.flipped.any()
    np.testing.assert_array_equal(found.data.index, noisy.data.index[~noisy.flipped])
    wrong = int(noisy.flipped.sum())
    record = found.realised["dropped"]
    assert (record["wrong_dropped"], record["right_dropped"], record["wrong_left"]) == (wrong, 0, 0)
    assert record["share"] == wrong / len(train)
    assert record["counts"] == found.data.counts.tolist()


@pytest.mark.parametrize("rule", ["by=loss,share=0.4", "by=confident"])
def test_a_rule_finds_most_wrong_labels_of_digits_and_its_sham_as_many_at_random(rule: str, train: ImageData) -> None:
    found, sham = cleaned(train, f"dropped:{rule}"), cleaned(train, f"dropped:{rule},sham=True")
    assert len(found.data) == len(sham.data)
    by_rule, at_random = found.realised["dropped"], sham.realised["dropped"]
    assert by_rule["wrong_dropped"] > 0.8 * (by_rule["wrong_dropped"] + by_rule["wrong_left"])
    dropped = at_random["wrong_dropped"] + at_random["right_dropped"]
    assert abs(at_random["wrong_dropped"] / dropped - 0.4) < 0.08
    assert found.flipped.mean() < 0.2 < sham.flipped.mean()
    assert int(found.flipped.sum()) == by_rule["wrong_left"]
    truth = dict(zip(train.index.tolist(), train.labels.tolist(), strict=True))
    assert [truth[index] for index in found.data.index.tolist()] == found.clean_labels.tolist()


def test_seeds_draw_other_shams_and_the_same_one_again(train: ImageData) -> None:
    sham = parse_chain(["dropped:share=0.2,sham=True"])
    first, again, other = (chain(sham, train, seed=seed).data.index for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_after_imbalance_and_noise_the_true_labels_are_kept(train: ImageData) -> None:
    before = ["exponential:factor=10", NOISE]
    noisy = chain(parse_chain(before), train, seed=0)
    found = chain(parse_chain([*before, "dropped:by=loss,share=0.3"]), train, seed=0)
    truth = dict(zip(train.index.tolist(), train.labels.tolist(), strict=True))
    assert [truth[index] for index in found.data.index.tolist()] == found.clean_labels.tolist()
    assert len(found.data) == len(noisy.data) - round(0.3 * len(noisy.data))
    record = found.realised["dropped"]
    assert (record["wrong_dropped"] + record["wrong_left"], record["wrong_left"]) == (
        int(noisy.flipped.sum()),
        int(found.flipped.sum()),
    )
    # At random 0.3 of the wrong ones would be found.
    assert record["wrong_dropped"] > 0.5 * noisy.flipped.sum()


def test_a_class_of_one_image_and_a_class_that_is_gone(make) -> None:
    data = make([40, 30, 1], shape=(1, 4, 4))
    kept = Dropped(by="loss", share=0.1)(data, seed=0)
    assert len(kept.data) == 64
    none = ImageData(data.images, np.where(data.labels == 2, 0, data.labels), data.index, data.classes, data.source)
    assert len(Dropped(by="confident")(none, seed=0).data) > 0
    assert len(Dropped(by="loss", share=0.1)(none, seed=0).data) == 64


def test_without_cleanlab_one_line_says_how_to_get_it(train: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    with pytest.raises(InputError, match=r"dropped:by=confident needs cleanlab: pip install 'mim4dd\[cleaning\]'"):
        Dropped(by="confident")(train, seed=0)


def test_it_comes_after_the_noise_that_it_cleans_and_works_on_plain_arrays(train: ImageData) -> None:
    with pytest.raises(InputError, match="then label noise, then cleaning"):
        chain(parse_chain(["dropped:by=oracle", NOISE]), train, seed=0)
    made = perturb(train.images[:, 0], train.labels, NOISE, "dropped:by=oracle")
    assert not made.flipped.any()
    assert len(made.data) < len(train)


def test_rare_classes_whose_labels_are_right_keep_an_image(train: ImageData) -> None:
    for text in ("dropped:by=loss,share=0.05", "dropped:by=loss,share=0.9", "dropped:by=loss,share=0.9,sham=True"):
        found = chain(parse_chain(["exponential:factor=100", text]), train, seed=0)
        assert found.data.counts.min() > 0, text


def test_an_image_whose_class_no_other_fold_has_is_not_suspected(make) -> None:
    data = make([50, 1, 3], shape=(1, 4, 4))
    kept = Dropped(by="loss", share=0.1)(data, seed=0)
    assert kept.realised["counts"][1] == 1
    assert len(kept.data) == 49  # as many as were asked for, of the others


def test_the_least_suspected_image_of_each_class_stays() -> None:
    values = np.array([0.1, 0.2, 0.3, 0.05, 0.06])
    labels = np.array([0, 0, 0, 1, 1])
    np.testing.assert_array_equal(lowest(values, 2, labels), [True, False, False, True, False])
    np.testing.assert_array_equal(lowest(values, 5, labels), [True, True, False, True, False])
    assert lowest(np.zeros(0), 0, np.zeros(0, int)).shape == (0,)
