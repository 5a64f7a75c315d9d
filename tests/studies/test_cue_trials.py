"""A trial on data with a planted cue: what it sees, what it is scored on, and how far its set shows the cue."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from mim4dd.configuration import configure
from mim4dd.data import load
from mim4dd.evaluation import train_on
from mim4dd.information import train_reference
from mim4dd.networks import ConvNet
from mim4dd.records import Synthetic
from perturbations import ColourCue, CorruptionCue, GreyCue, PlantedCue, parse_chain, text_of
from perturbations.cues.planting import at, unbiased, values_of
from studies.engine.cues import decoded, decoder, scored_by_part, seen
from studies.engine.rows import Row
from studies.engine.running import TrialRun, run_trial
from studies.engine.sizes import size_in
from studies.engine.trial import Inputs, Trial

CHAIN = "colour:correlation=0.9 + symmetric:rate=0.2"


@cache
def inputs(text: str = CHAIN) -> Inputs:
    splits, perturbations = load("digits"), parse_chain(text.split(" + "))
    return Inputs(
        splits,
        train_reference(splits, ConvNet(width=8), steps=20),
        perturbations={text_of(perturbations): perturbations} if text else {},
    )


def trial(method: str, **entries: Any) -> Trial:
    small = {"width": "8", "epochs": "20", "networks": "2"} | ({"iterations": "5"} if method == "mim" else {})
    flat = configure(
        source="digits", method={"method": method}, network="convnet", protocol_name="quick", assigned=small
    ).flat
    text = text_of(parse_chain(CHAIN.split(" + ")))
    return Trial.of({"dataset": "digits", "ipc": 1, "seed": 3, "perturb": text, **flat, **entries})


@cache
def ran(method: str) -> dict[str, Any]:
    return run_trial(trial(method), inputs()).row


def test_held_out_images_have_the_cue_independently_of_their_class() -> None:
    run = TrialRun(trial("mim", selection="noisy"), inputs())
    assert run.splits.train is inputs().splits.train
    for part in ("validation", "test"):
        found, clean = getattr(run.splits, part), getattr(inputs().splits, part)
        assert found.shape == (3, 8, 8)
        assert (found.labels == clean.labels).all()
        cue = unbiased(ColourCue(), clean)
        assert (found.images == cue(clean, seed=3).data.images).all()
        share = (values_of(cue, clean, 3) == clean.labels).mean()
        assert share == pytest.approx(0.1, abs=0.01)
    assert run.noisy_validation.shape == (3, 8, 8)
    assert (run.noisy_validation.labels != run.splits.validation.labels).mean() == pytest.approx(0.2, abs=0.01)
    assert run.perturbed.data.shape == (3, 8, 8)


def test_without_a_cue_the_splits_are_the_study_s() -> None:
    splits = inputs().splits
    assert seen(splits, None, 0) is splits


def test_a_row_has_aligned_and_conflicting_images_and_what_the_set_shows() -> None:
    record = ran("mim")
    row = Row.read(json.loads(json.dumps(record)))
    assert set(row.judged) == {"aligned", "conflicting"}
    for view in row.judged.values():
        assert len(view.test) == 2
        assert view.test_recall is not None
        assert view.test_recall.shape == (2, 10)
    assert row.judged["aligned"].followed == ()
    assert all(0 <= share <= 1 for share in row.judged["conflicting"].followed)
    assert len(row.judged["conflicting"].followed) == 2
    assert row.measures["cue_decoder_accuracy"] > 0.95
    assert 0 <= row.measures["cue_decoded"] <= 1
    assert "rejected_share" not in row.measures
    assert "label_agreement" not in row.information
    assert row.information["critic"] is not None
    assert row.data is not None
    assert row.data.perturbed["colour"]["aligned"] == 990


def test_a_trial_with_a_cue_reads_no_reference_network() -> None:
    with_it, without = (run_trial(trial("dm"), given) for given in (inputs(), replace(inputs(), reference=None)))
    assert json.dumps(without.row["result"]) == json.dumps(with_it.row["result"])
    assert without.row["result"]["status"] == "ok"


def test_a_set_of_real_images_shows_the_cue_as_often_as_they_do() -> None:
    text = text_of((ColourCue(correlation=1.0),))
    random = Row.read(run_trial(trial("random", perturb=text), inputs(text)).row)
    assert random.measures["cue_decoded"] == 1
    assert "cue_decoded" not in Row.read(json.loads(json.dumps(ran("full")))).measures


def test_full_data_at_a_correlation_of_1_follow_the_cue() -> None:
    text = text_of((ColourCue(correlation=1.0),))
    row = Row.read(run_trial(trial("full", perturb=text), inputs(text)).row)
    aligned, conflicting = row.judged["aligned"], row.judged["conflicting"]
    assert np.mean(aligned.test) > 0.95
    assert np.mean(conflicting.test) < 0.5 < np.mean(conflicting.followed) + np.mean(conflicting.test)


def test_aligned_and_conflicting_images_are_the_same_images_and_followed_is_counted_by_hand() -> None:
    from mim4dd.evaluation import classify

    splits, cue = load("digits"), ColourCue(correlation=0.9)
    made = cue(splits.train, seed=0).data
    synthetic = Synthetic(
        made.images[:40], made.labels[:40], made.classes, np.zeros(3, np.float32), np.ones(3, np.float32)
    )
    network, recipe = ConvNet(width=8), _recipe()
    params = train_on(synthetic, network, recipe, seed=0)
    found = scored_by_part(params, network, synthetic, splits.test, cue, 0)
    conflicting = replace(cue, correlation=0.0)
    data, values = conflicting(splits.test, seed=0).data, values_of(conflicting, splits.test, 0)
    predictions = classify(params, network, synthetic, data)
    assert found["conflicting"]["cue_followed"] == pytest.approx((predictions == values).mean(1).tolist())
    assert found["conflicting"]["test_accuracy"] == pytest.approx((predictions == data.labels).mean(1).tolist())
    assert (values != data.labels).all()


def _recipe() -> Any:
    from mim4dd.train import Recipe

    return Recipe(networks=2, epochs=30, augment="none")


@pytest.mark.parametrize(
    ("cue", "channels", "least"), [(ColourCue(), 1, 0.99), (CorruptionCue(), 1, 0.5), (GreyCue(), 3, 0.99)]
)
def test_the_decoder_reads_a_cue_whatever_the_class(cue: PlantedCue, channels: int, least: float) -> None:
    splits = load("digits")
    if channels == 3:
        coloured = {
            name: replace(part, images=part.images * np.array([1, 0.6, 0.3], np.float32)[:, None, None])
            for name, part in (("train", splits.train), ("validation", splits.validation))
        }
        splits = replace(splits, **coloured)
    train, held_out = splits.train, splits.validation
    planted = unbiased(cue, train)
    read = decoder(planted(train, seed=0).data.images, values_of(planted, train, 0))
    accuracy = (read(planted(held_out, seed=0).data.images) == values_of(planted, held_out, 0)).mean()
    assert accuracy > least
    real = replace(cue, correlation=1.0)(train, seed=0).data  # type: ignore[type-var]
    standard = np.zeros(real.shape[0], np.float32), np.ones(real.shape[0], np.float32)
    whole = Synthetic(real.images[:300], real.labels[:300], real.classes, *standard)
    found = decoded(whole, splits, cue, 0)
    assert found["cue_decoder_accuracy"] == pytest.approx(accuracy)
    assert found["cue_decoded"] > least - 0.1


def test_a_forecast_counts_the_channels_and_the_images_that_a_cue_adds() -> None:
    clean = {"dataset": "digits", "seed": 0}
    assert size_in(clean)[0] == (1, 8, 8)
    shape, _, images, evaluated = size_in({**clean, "perturb": "colour:correlation=0.9,of=foreground"})
    assert (shape, images, evaluated) == ((3, 8, 8), 1_100, 3 * 697)
    assert size_in({**clean, "perturb": "corruption_cue:correlation=0.9,strength=5"})[0] == (1, 8, 8)
    assert size_in({**clean, "perturb": "symmetric:rate=0.2,include_own=False"}) == size_in(clean)


def test_a_decoder_reads_the_values_that_it_has_seen() -> None:
    """Of ten colours three are there: the decoder reads these, and not an absent one."""
    train = load("digits").train
    cue = at(ColourCue(), 1.0)
    held = train.take(np.flatnonzero(np.isin(train.labels, (2, 5, 9))))
    images, values = cue(held, seed=0).data.images, values_of(cue, held, 0)
    read = decoder(images, values)
    assert set(np.unique(values)) == {2, 5, 9}
    assert (read(images) == values).mean() > 0.95
