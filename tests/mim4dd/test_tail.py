"""Classes with fewer real images than a draw wants: repeated, capped or refused, and never silently."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mim4dd import DM, ConvNet, Mim
from mim4dd.errors import DataError, KnobError
from mim4dd.methods import METHODS
from mim4dd.methods.loop import Distillation, distill
from mim4dd.methods.task import DistillationTask
from mim4dd.records import ImageData, Splits

SMALL = {"iterations": 4, "batch_real": 6}
# Few real images and steps: what becomes of short classes does not hang on them.
FEW: dict[str, dict[str, int]] = {
    "dc": {"batch_real": 16},
    "dsa": {"batch_real": 16},
    "mtt": {"experts": 1, "expert_epochs": 4, "steps": 2},
}
CPU = torch.device("cpu")


def long_tailed(digits: Splits, *counts: int) -> ImageData:
    """The first images of each class, as many as asked."""
    rows = [np.flatnonzero(digits.train.labels == c)[:n] for c, n in enumerate(counts)]
    return digits.train.take(np.sort(np.concatenate(rows)))


def few(digits: Splits) -> ImageData:
    return long_tailed(digits, 50, 40, 30, 20, 10, 8, 6, 4, 2, 1)


def task(train: ImageData, tail: str, ipc: int = 5) -> DistillationTask:
    return DistillationTask(train, ConvNet(width=8), ipc, 0, CPU, tail)


def test_repeat_gives_every_class_its_images_and_says_which_were_short(digits: Splits) -> None:
    found = task(few(digits), "repeat")
    assert found.labels().bincount().tolist() == [5] * 10
    assert found.shortfall(5) == ["7", "8", "9"]
    assert found.train.labels[found.random_rows()].tolist() == found.labels().tolist()
    assert len(set(found.random_rows()[-5:])) == 1
    _, labels = found.real_batch(6, 0)
    assert labels.bincount().tolist() == [6] * 10


def test_cap_gives_a_class_no_more_than_it_has(digits: Splits) -> None:
    found = task(few(digits), "cap")
    assert found.labels().bincount().tolist() == [5] * 7 + [4, 2, 1]
    assert len(set(found.random_rows())) == 5 * 7 + 4 + 2 + 1
    _, labels = found.real_batch(6, 0)
    assert labels.bincount().tolist() == [6] * 7 + [4, 2, 1]


def test_error_refuses_first_images_and_real_batches_that_are_too_few(digits: Splits) -> None:
    with pytest.raises(DataError, match="class '9' has 1, ipc is 5"):
        task(few(digits), "error")
    with pytest.raises(DataError, match="class '9' has 1, batch_real is 6"):
        task(few(digits), "error", ipc=1).real_batch(6, 0)
    with pytest.raises(KnobError, match="tail must be one of repeat, cap, error, got cut"):
        task(few(digits), "cut")


# Those whose updates take seconds, and share their draws with methods that are met by the fast tests.
LONG = [pytest.param(name, marks=pytest.mark.slow if name in ("dc", "dsa") else ()) for name in METHODS.names()]


@pytest.mark.parametrize("method", LONG)
@pytest.mark.parametrize("tail", ["repeat", "cap"])
def test_every_method_survives_a_long_tail_and_a_class_that_has_lost_all_its_images(
    method: str, tail: str, digits: Splits
) -> None:
    train = long_tailed(digits, 50, 20, 20, 10, 10, 5, 5, 3, 1, 0)
    knobs = FEW | {"mim": {f"base.{k}": v for k, v in SMALL.items()}, "dm": SMALL}
    run = Distillation(task(train, tail), METHODS.build(method, knobs.get(method, {})))
    run.advance(4)
    assert run.diverged_at == -1
    assert bool(torch.isfinite(run.learnable["pixels"]).all())
    assert 9 not in run.labels.tolist()
    assert task(train, tail).shortfall(1) == ["9"]


def test_ipc_50_at_factor_200(digits: Splits) -> None:
    train = long_tailed(digits, *(max(1, int(106 * 200 ** (-k / 9))) for k in range(10)))
    with pytest.warns(UserWarning, match="repeat: fewer than 50 real images in 2, 3, 4"):
        synthetic = distill(train, method=DM(**SMALL), network=ConvNet(width=8), ipc=50)
    assert np.bincount(synthetic.labels).tolist() == [50] * 10
    assert synthetic.config["tail"] == "repeat"


def test_one_class_is_nothing_to_tell_apart(digits: Splits) -> None:
    with pytest.raises(DataError, match="fewer than two classes"):
        task(long_tailed(digits, 10, *[0] * 9), "repeat")


def test_the_policies_agree_bit_for_bit_where_no_class_is_short(digits: Splits) -> None:
    made = [
        distill(digits.train, method=Mim(base=DM(**SMALL)), network=ConvNet(width=8), ipc=2, tail=tail)
        for tail in ("repeat", "cap", "error")
    ]
    assert (made[0].images == made[1].images).all()
    assert (made[0].images == made[2].images).all()


def test_what_is_recorded_of_a_run_holds_the_pull_of_the_term_and_the_state_of_its_critic(digits: Splits) -> None:
    def history(temperature: float, weight: float, balance: str = "none") -> list[dict[str, float]]:
        method = Mim(base=DM(**SMALL), temperature=temperature, weight=weight, balance=balance)
        run = Distillation(task(digits.train, "repeat", 1), method)
        run.advance(4)
        return run.history

    usual, heavy, balanced = history(0.1, 0.8), history(0.1, 80.0), history(0.1, 0.5, "gradnorm")
    first = usual[0]
    expected = 0.8 * first["gradient_norm/mim"] / first["gradient_norm/dm"]
    assert first["gradient_ratio/mim"] == pytest.approx(expected, rel=1e-6)
    assert heavy[0]["gradient_ratio/mim"] == pytest.approx(100 * expected, rel=1e-5)
    assert [record["gradient_ratio/mim"] for record in balanced] == [0.5] * len(balanced)
    entropy = [history(tau, 0.8)[0]["critic/entropy"] for tau in (1e-5, 0.01, 0.1, 100.0)]
    assert entropy == sorted(entropy)
    assert entropy[0] < 0.02
    assert entropy[-1] > 0.98
    assert history(1e-5, 0.8)[0]["critic/share_peaked"] == 1
    assert history(100.0, 0.8)[0]["critic/share_flat"] == 1
    assert "critic/entropy" not in history(0.1, 0.0)[0]


def test_contrast_entropy_of_a_critic_that_knows_the_class_and_no_more() -> None:
    from mim4dd.contrastive import contrast_entropy

    z = torch.eye(4).repeat_interleave(8, 0)
    expected = np.log(8) / np.log(32)
    assert contrast_entropy(torch.eye(4), z, 1e-3).tolist() == pytest.approx([expected] * 4, abs=1e-6)
    assert contrast_entropy(torch.eye(4), z, 1e6).tolist() == pytest.approx([1.0] * 4, abs=1e-6)


def test_a_file_may_say_which_published_images_it_holds(digits: Splits, tmp_path: object) -> None:
    from pathlib import Path

    from mim4dd.data import load
    from mim4dd.errors import InputError

    path = Path(str(tmp_path)) / "mine.npz"
    np.savez(path, train_images=digits.train.images[:, 0], train_labels=digits.train.labels)
    known = load(f"npz:{path}", classes_as="mnist")
    assert known.train.source == "mnist/train"
    assert replace(known.train, source="npz:mine/train").digest == load(f"npz:{path}").train.digest
    with pytest.raises(InputError, match="did you mean 'cifar10'"):
        load(f"npz:{path}", classes_as="cifar1")
    with pytest.raises(DataError, match="needs 100 classes"):
        load(f"npz:{path}", classes_as="cifar100")
