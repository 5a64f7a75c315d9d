"""Many networks trained at once against plain torch, one by one; and the scores they give."""

from __future__ import annotations

import io
import math
import warnings
from copy import deepcopy

import numpy as np
import pytest
import torch
from plain_convnet import PlainConvNet, train_plain
from torch import Tensor

from mim4dd.errors import InputError, KnobError
from mim4dd.evaluation import evaluate, score, train_on, training_on
from mim4dd.methods import RandomReal
from mim4dd.methods.loop import distill
from mim4dd.networks import ConvNet
from mim4dd.networks.chunks import predict
from mim4dd.networks.stacked import Params
from mim4dd.records import ImageData, Splits, Synthetic
from mim4dd.seeding import generator
from mim4dd.train import Recipe, Streams, fresh_networks, train_networks

CPU = torch.device("cpu")
NETWORK = ConvNet(width=8)


@pytest.fixture(scope="module")
def chosen(digits: Splits) -> Synthetic:
    return distill(digits.train, method=RandomReal(), network=NETWORK, ipc=2)


def doubled(synthetic: Synthetic) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(synthetic.images).double(), torch.from_numpy(synthetic.labels)


def fresh(streams: Streams) -> Params:
    params = fresh_networks(NETWORK, (1, 8, 8), 10, streams, CPU)
    return {name: tensor.double() for name, tensor in params.items()}


def plain_trained(synthetic: Synthetic, recipe: Recipe, streams: Streams, g: int, params: Params) -> PlainConvNet:
    images, labels = (torch.from_numpy(array).to(CPU) for array in (synthetic.images, synthetic.labels))
    network = PlainConvNet(1, 8, 2, 4, 10).take(params, g)

    def order(epoch: int) -> Tensor:
        if recipe.batch >= len(labels):
            return torch.arange(len(labels))
        rng = generator(streams.purpose, "order", streams.seed, streams.networks[g], epoch)
        return torch.from_numpy(rng.permutation(len(labels)))

    return train_plain(network, images.to(network.head.weight.dtype), labels, recipe, order)


def assert_same_weights(params: Params, g: int, plain: PlainConvNet) -> None:
    for block in range(2):
        for kind, layer in (("conv", plain.blocks[block][0]), ("norm", plain.blocks[block][1])):
            for part in ("weight", "bias"):
                expected = getattr(layer, part).detach()
                torch.testing.assert_close(params[f"{kind}{block}.{part}"][g], expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(params["head.weight"][g], plain.head.weight.detach(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(("epochs", "batch"), [(20, 256), (7, 8)], ids=["full batch", "minibatches"])
def test_networks_trained_together_equal_plain_ones(chosen: Synthetic, epochs: int, batch: int, restart: bool) -> None:
    recipe = Recipe(networks=3, epochs=epochs, batch=batch, lr=0.05, augment="none", restart_momentum=restart)
    streams = Streams.first("test", 0, 3)
    initial = fresh(streams)
    params = train_networks(NETWORK, initial, *doubled(chosen), recipe, streams, "digits")
    for g in range(3):
        assert_same_weights(params, g, plain_trained(chosen, recipe, streams, g, initial))
    assert not torch.allclose(params["head.weight"], initial["head.weight"], atol=1e-3)


@pytest.mark.parametrize("augment", ["none", "color_crop_cutout_flip_scale_rotate"])
def test_a_network_trains_alike_alone(chosen: Synthetic, augment: str) -> None:
    recipe, together = Recipe(epochs=5, batch=8, augment=augment), Streams.first("test", 0, 3)
    params = train_networks(NETWORK, fresh(together), *doubled(chosen), recipe, together, "digits")
    for g in range(3):
        alone = Streams("test", 0, (g,))
        found = train_networks(NETWORK, fresh(alone), *doubled(chosen), recipe, alone, "digits")
        for name in params:
            torch.testing.assert_close(found[name][0], params[name][g], rtol=0, atol=1e-9)


@pytest.mark.parametrize("augment", ["none", "color_crop_cutout_flip_scale_rotate"])
def test_a_batch_in_pieces_trains_alike(chosen: Synthetic, augment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, streams = Recipe(epochs=5, batch=16, augment=augment), Streams.first("test", 0, 2)
    given = (fresh(streams), *doubled(chosen), recipe, streams, "digits")
    whole = train_networks(NETWORK, *given)
    monkeypatch.setattr("mim4dd.train.TRAINING", 3 * NETWORK.largest_map((1, 8, 8)))  # 16 are 5 of 3 and 1
    found = train_networks(NETWORK, *given)
    for name in whole:
        torch.testing.assert_close(found[name], whole[name], rtol=0, atol=1e-9)
    assert any(not torch.equal(found[name], whole[name]) for name in whole), "it passed in pieces"


def test_a_batch_norm_meets_its_batch_whole(chosen: Synthetic, monkeypatch: pytest.MonkeyPatch) -> None:
    network, recipe, streams = ConvNet(width=8, norm="batch"), Recipe(epochs=3), Streams.first("test", 0, 1)
    images, labels = torch.from_numpy(chosen.images), torch.from_numpy(chosen.labels)
    params = fresh_networks(network, (1, 8, 8), 10, streams, CPU)
    whole = train_networks(network, params, images, labels, recipe, streams, "digits")
    monkeypatch.setattr("mim4dd.train.TRAINING", 1)
    found = train_networks(network, params, images, labels, recipe, streams, "digits")
    assert all(torch.equal(found[name], whole[name]) for name in whole)


def test_forgetting_the_momentum_matters_at_the_drop_only(chosen: Synthetic) -> None:
    streams = Streams.first("test", 0, 1)

    def trained(**knobs: object) -> Tensor:
        recipe = Recipe(**{"epochs": 8, "augment": "none", "lr": 0.05, **knobs})  # type: ignore[arg-type]
        return train_networks(NETWORK, fresh(streams), *doubled(chosen), recipe, streams, "digits")["head.weight"]

    assert not torch.allclose(trained(restart_momentum=True), trained(), atol=1e-4)
    # a lone epoch has no half to drop at
    assert torch.equal(trained(epochs=1), trained(epochs=1, restart_momentum=True))


@pytest.mark.parametrize(("images", "max_steps", "epochs"), [(10, 0, 100), (10, 7, 7), (513, 9, 3), (513, 2, 1)])
def test_max_steps_cuts_whole_epochs(images: int, max_steps: int, epochs: int) -> None:
    assert Recipe(epochs=100, max_steps=max_steps).epochs_for(images) == epochs


def test_max_steps_is_the_shorter_schedule_bit_for_bit(chosen: Synthetic) -> None:
    params = [
        train_on(chosen, NETWORK, Recipe(networks=2, batch=8, augment="none", **knobs))
        for knobs in ({"epochs": 100, "max_steps": 12}, {"epochs": 4})
    ]
    assert all(torch.equal(params[0][name], params[1][name]) for name in params[0])


def test_accuracy_is_that_of_plain_networks(chosen: Synthetic, digits: Splits) -> None:
    recipe, streams = Recipe(networks=4, epochs=40, augment="none"), Streams.first("evaluation", 0, 4)
    found = evaluate(chosen, digits.validation, network=NETWORK, recipe=recipe)
    initial = fresh_networks(NETWORK, (1, 8, 8), 10, streams, CPU)
    standard = torch.from_numpy((digits.validation.images - chosen.mean[:, None, None]) / chosen.std[:, None, None])
    truth, plain = torch.from_numpy(digits.validation.labels), []
    for g in range(4):
        network = plain_trained(chosen, recipe, streams, g, initial)
        plain.append((network(standard).argmax(1) == truth).double().mean().item())
    assert found.split == digits.validation.source
    assert found.mean > 0.3  # chance is 0.1
    spread = np.std(plain, ddof=1) / math.sqrt(len(plain))
    assert abs(found.mean - np.mean(plain)) <= spread
    np.testing.assert_allclose(found.accuracy, plain, atol=0.02)


def test_evaluation_is_a_function_of_its_seed(chosen: Synthetic, digits: Splits) -> None:
    recipe = Recipe(networks=2, epochs=5)
    scores = [evaluate(chosen, digits.validation, network=NETWORK, recipe=recipe, seed=s).accuracy for s in (0, 0, 1)]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert (scores[0] != scores[2]).any()


def test_more_networks_leave_the_first_ones_as_they_were(chosen: Synthetic, digits: Splits) -> None:
    few, many = (
        evaluate(chosen, digits.validation, network=NETWORK, recipe=Recipe(networks=n, epochs=5)) for n in (2, 3)
    )
    np.testing.assert_allclose(many.accuracy[:2], few.accuracy, atol=0.01)


def test_recall_and_accuracy_are_those_of_scikit_learn(chosen: Synthetic, digits: Splits) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what importing scikit-learn says is not ours to judge
        from sklearn.metrics import accuracy_score, recall_score

    params = train_on(chosen, NETWORK, Recipe(networks=3, epochs=20, augment="none"))
    real = digits.validation
    found = score(params, NETWORK, chosen, real)
    standard = torch.from_numpy((real.images - chosen.mean[:, None, None]) / chosen.std[:, None, None])
    guesses = predict(NETWORK, params, standard).argmax(2).numpy()
    for g in range(3):
        assert found.accuracy[g] == pytest.approx(accuracy_score(real.labels, guesses[g]), abs=1e-12)
        expected = recall_score(real.labels, guesses[g], average=None)
        np.testing.assert_allclose(found.recall[g], expected, atol=1e-12)


def test_class_without_images_has_no_recall(chosen: Synthetic, digits: Splits) -> None:
    real = digits.validation.take(np.flatnonzero(digits.validation.labels != 3))
    found = score(train_on(chosen, NETWORK, Recipe(networks=2, epochs=2)), NETWORK, chosen, real)
    assert np.isnan(found.recall[:, 3]).all()
    assert np.isfinite(np.delete(found.recall, 3, axis=1)).all()
    assert np.isfinite(found.accuracy).all()


def test_prediction_does_not_depend_on_the_pieces(chosen: Synthetic, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams.first("test", 0, 2)
    params, (images, _) = fresh(streams), doubled(chosen)
    whole = predict(NETWORK, params, images)
    monkeypatch.setattr("mim4dd.networks.chunks.WITHOUT_GRADIENTS", 1)  # an image at a time
    torch.testing.assert_close(predict(NETWORK, params, images), whole)


def test_a_network_predicts_the_same_bits_alone_and_beside_others(chosen: Synthetic) -> None:
    params, (images, _) = fresh(Streams.first("test", 0, 3)), doubled(chosen)
    kept = images.clone()
    together = predict(NETWORK, params, images)
    alone = [predict(NETWORK, {name: tensor[g : g + 1] for name, tensor in params.items()}, images) for g in range(3)]
    assert torch.equal(together, torch.cat(alone))
    assert torch.equal(images, kept)


def test_training_leaves_the_given_weights_alone(chosen: Synthetic) -> None:
    streams = Streams.first("test", 0, 1)
    params = fresh(streams)
    kept = {name: tensor.clone() for name, tensor in params.items()}
    train_networks(NETWORK, params, *doubled(chosen), Recipe(epochs=2), streams, "digits")
    assert all(torch.equal(params[name], kept[name]) for name in kept)


@pytest.mark.parametrize("restart", [False, True], ids=["momentum kept", "momentum restarted"])
@pytest.mark.parametrize(("batch", "augment"), [(256, "none"), (8, "none"), (8, "color_crop_cutout_flip_scale_rotate")])
@pytest.mark.parametrize("stop", [0, 2, 4, 5, 8], ids=lambda stop: f"after {stop} of 8")
def test_a_training_resumes_to_the_same_bits(
    chosen: Synthetic, stop: int, batch: int, augment: str, restart: bool
) -> None:
    recipe = Recipe(networks=2, epochs=8, batch=batch, augment=augment, lr=0.05, restart_momentum=restart)
    first, held = training_on(chosen, NETWORK, recipe), io.BytesIO()
    first.advance(stop)
    torch.save(first.state_dict(), held)
    first.advance(stop + 1)  # what comes after it was saved leaves the state alone
    held.seek(0)
    resumed = training_on(chosen, NETWORK, recipe)
    resumed.load_state_dict(torch.load(held, weights_only=True))
    assert resumed.epoch == stop
    resumed.advance(100)
    assert resumed.epoch == resumed.epochs == 8
    whole = train_on(chosen, NETWORK, recipe)
    assert all(torch.equal(resumed.params[name], whole[name]) for name in whole)
    assert not any(tensor.requires_grad for tensor in resumed.params.values())


def test_a_state_does_not_change_as_its_training_goes_on(chosen: Synthetic) -> None:
    training = training_on(chosen, NETWORK, Recipe(networks=1, epochs=8, lr=0.05))
    training.advance(2)
    state = training.state_dict()
    kept = deepcopy(state)
    training.advance(8)
    assert state["epoch"] == 2
    for now, then in zip(state["groups"], kept["groups"], strict=True):
        assert all(torch.equal(now[name], then[name]) for name in then)
    assert state["optimizer"]["param_groups"] == kept["optimizer"]["param_groups"]
    for place, held in kept["optimizer"]["state"].items():
        assert torch.equal(state["optimizer"]["state"][place]["momentum_buffer"], held["momentum_buffer"])


def test_other_images_or_classes_are_refused(chosen: Synthetic, digits: Splits) -> None:
    real, recipe = digits.validation, Recipe(networks=1, epochs=1)
    cropped = ImageData(real.images[..., :6], real.labels, real.index, real.classes, real.source)
    renamed = ImageData(real.images, real.labels, real.index, tuple("abcdefghij"), real.source)
    with pytest.raises(InputError, match=r"10 classes of \[1, 8, 8\] images, digits has 10 of \[1, 8, 6\]"):
        evaluate(chosen, cropped, network=NETWORK, recipe=recipe)
    with pytest.raises(InputError, match="the synthetic set has 10 classes"):
        evaluate(chosen, renamed, network=NETWORK, recipe=recipe)


def test_recipe_names_each_operation_once() -> None:
    with pytest.raises(KnobError, match="each operation once"):
        Recipe(augment="crop_crop")


def test_what_is_no_split_of_images_is_one_line(chosen: Synthetic, digits: Splits) -> None:
    pair = digits.train.images, digits.train.labels
    for given, name in ((digits, "Splits"), (pair, "tuple")):
        with pytest.raises(InputError, match=f"train must be one split of images, .* got {name}"):
            distill(given, method="random", network="convnet:width=8")  # type: ignore[arg-type]
        with pytest.raises(InputError, match=f"real must be one split of images, .* got {name}"):
            evaluate(chosen, given, network="convnet:width=8", recipe="standard:epochs=1")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"ipc must be a whole number, got 1\.5"):
        distill(digits.train, method="random", network="convnet:width=8", ipc=1.5)  # type: ignore[arg-type]
