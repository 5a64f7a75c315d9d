"""The side-by-side's own arithmetic, and its launcher on a script that prints what the reference's scripts print."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
from spent import (
    Pair,
    Side,
    Spent,
    accuracies,
    common_accuracy,
    curve,
    divided,
    in_words,
    reached,
    stages,
    to_equal_accuracy,
)

SCRIPT = """
import argparse
import numpy as np
from utils import NAME
parser = argparse.ArgumentParser()
for word in ("--Iteration", "--num_eval", "--num_exp", "--ipc"):
    parser.add_argument(word, type=int)
for word in ("--dataset", "--data_path", "--save_path", "--eval_mode", "--epoch_eval_train"):
    parser.add_argument(word)
given = parser.parse_args()
assert (given.dataset, given.num_exp, given.eval_mode) == ("FashionMNIST", 1, "S")
asked = np.arange(0, given.Iteration + 1, 2000).tolist()
assert np.arange(0, 10, 5).tolist() == [0, 5]
print("[now] training begins")
for it in range(given.Iteration + 1):
    if it in asked:
        print("---\\nEvaluation\\nmodel_train = %s, model_eval = %s, iteration = %d" % (NAME, NAME, it))
        print("[now] Evaluate_00: epoch = 1000 train time = 3 s, test acc = 0.9")
        print("Evaluate %d random %s, mean = %.4f std = %.4f\\n---" % (given.num_eval, NAME, 0.5 + it / 100, 0))
    print("iteration", it)
print("Final Results")
"""


def stamp(event: str, seconds: float, iteration: int = 0, accuracy: float = 0.0) -> dict[str, float | str]:
    spent = {"wall": seconds, "user": seconds / 2, "system": seconds / 4, "faults": 8 * seconds}
    return {"event": event, "iteration": iteration, "accuracy": accuracy, **spent}


def side(pace: float, *, scores: tuple[float, ...] = (0.2, 0.4, 0.5), start: float = 4) -> Side:
    """A side that distils 10 iterations in 10 `pace` seconds and evaluates in 6."""
    stamps, now = [stamp("begins", start)], start
    for mark, score in enumerate(scores):
        now += 10 * pace * (mark > 0)
        stamps.append(stamp("evaluates", now, 10 * mark))
        now += 6
        stamps.append(stamp("evaluated", now, 10 * mark, score))
    return Side.of(stamps, peak_mib=100)


def wall(spent: Spent) -> float:
    return spent.wall


def test_a_side_tells_distilling_evaluating_and_its_start_apart() -> None:
    one = side(2)
    assert one.marks == (0, 10, 20)
    assert one.accuracies == (0.2, 0.4, 0.5)
    assert (one.start.wall, one.evaluation.wall) == (4, 6)
    assert [spent.wall for spent in one.distilled] == [0, 20, 40]
    assert one.both == Spent(46, 23, 11.5, 368)
    assert one.both.processor == 34.5
    assert json.loads(json.dumps(one.told()))["marks"] == [0, 10, 20]


@pytest.mark.parametrize(("accuracy", "seconds"), [(0.1, 0), (0.2, 0), (0.3, 5), (0.4, 10), (0.45, 15), (0.5, 20)])
def test_seconds_to_an_accuracy_lie_on_straight_lines(accuracy: float, seconds: float) -> None:
    points = [(0.0, 0.2), (10.0, 0.4), (20.0, 0.5)]
    assert reached(points, accuracy) == pytest.approx(seconds)


def test_a_curve_that_falls_counts_where_it_first_has_the_accuracy() -> None:
    assert reached([(0.0, 0.2), (10.0, 0.4), (20.0, 0.3), (30.0, 0.5)], 0.3) == pytest.approx(5)
    with pytest.raises(ValueError, match="never has the accuracy"):
        reached([(0.0, 0.2), (10.0, 0.4)], 0.5)


def test_equal_accuracy_is_what_both_mean_curves_reach() -> None:
    pairs: list[Pair] = [
        (side(2), side(1, scores=(0.2, 0.5, 0.7))),
        (side(2), side(1, scores=(0.2, 0.3, 0.5))),
    ]
    assert common_accuracy(pairs) == pytest.approx(0.5)
    ours = curve([ours for _, ours in pairs], wall, evaluated=True)
    assert [point for pair in ours for point in pair] == pytest.approx([6, 0.2, 16, 0.4, 26, 0.6])
    assert to_equal_accuracy(pairs, wall, evaluated=False) == pytest.approx((40, 15))
    assert to_equal_accuracy(pairs, wall, evaluated=True) == pytest.approx((46, 21))


def test_tables_have_every_stage_and_mark() -> None:
    pairs: list[Pair] = [(side(2), side(1)), (side(4), side(1, scores=(0.2, 0.4, 0.6)))]
    lines = stages(pairs, networks=2)
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| distilling, 20 iterations | 45.0 | 15.0 | 3.00 (2.00 to 4.00) |")
    assert lines[3].startswith("| one evaluation, 2 networks | 4.5 | 4.5 | 1.00 (1.00 to 1.00) |")
    assert lines[4].startswith("| both | 49.5 | 19.5 | 2.54 (1.77 to 3.31) |")
    # the second of ours is at 0.5 after 15 s of wall
    assert lines[6].startswith("| distilling to equal accuracy | 45.0 | 12.5 | 3.60 (2.00 to 5.33) |")
    assert accuracies(pairs)[2:] == [
        "| 0 iterations | 20.0 | 20.0 | +0.0 (+0.0 to +0.0) |",
        "| 10 iterations | 40.0 | 40.0 | +0.0 (+0.0 to +0.0) |",
        "| 20 iterations | 50.0 | 55.0 | +5.0 (+0.0 to +10.0) |",
    ]


def test_a_ratio_without_seconds_is_a_dash() -> None:
    assert math.isnan(divided(3.0, 0.001))
    assert divided(3.0, 2.0) == 1.5
    assert in_words([math.nan]) == "–"
    assert in_words([2.0, math.nan]) == "2.00"
    assert in_words([2.0, 3.0], math.nan) == "–"


@pytest.mark.parametrize(("method", "script", "epochs"), [("dm", "main_DM.py", 50), ("dc", "main.py", 0)])
def test_the_script_runs_as_it_lies_but_for_when_it_evaluates(
    method: str, script: str, epochs: int, tmp_path: Path
) -> None:
    from beside import run
    from sides import Asked

    (tmp_path / "utils.py").write_text("NAME, AUGMENT_FNS = 'ConvNet', {}\n")
    (tmp_path / script).write_text(SCRIPT)
    where = str(tmp_path)
    found = run("reference", Asked(where, where, method, 1, 20, 10, 3, epochs, 0, []), threads=1)
    assert found.marks == (0, 10, 20)
    assert found.accuracies == (0.5, 0.6, 0.7)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["utils.py", script])
    assert found.peak_mib > 1
    assert 0 < found.start.wall < 60


def test_augmentations_are_mended_for_one_image_and_one_channel() -> None:
    import torch
    from sides import mend

    met: list[tuple[int, bool]] = []

    def crop(images: torch.Tensor, param: SimpleNamespace) -> torch.Tensor:
        met.append((len(images), param.Siamese))
        return images.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format).permute(0, 3, 1, 2)

    operations = {"crop": [crop]}
    mend(operations)
    param = SimpleNamespace(Siamese=True)
    for count in (1, 2):
        images = torch.rand(count, 1, 4, 5)
        augmented = operations["crop"][0](images, param)
        assert torch.equal(augmented, images)
        assert augmented.stride() == images.stride() != crop(images, param).stride()
        assert param.Siamese
    assert met == [(1, False), (1, True), (2, True), (2, True)]


def test_a_side_that_fails_says_why(tmp_path: Path) -> None:
    from beside import run
    from sides import Asked

    where = str(tmp_path)
    with pytest.raises(RuntimeError, match="No module named 'utils'"):
        run("reference", Asked(where, where, "dm", 1, 20, 10, 3, 0, 0, []), threads=1)


def test_a_command_line_that_cannot_be_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from beside import arguments

    (tmp_path / "main.py").touch()
    words = ["--reference", str(tmp_path), "--data-root", str(tmp_path), "--method"]
    assert arguments([*words, "dc"]).iterations == 10
    for wrong, told in (
        (["dm"], "holds no main_DM.py"),
        (["dc", "--iterations", "5"], "a multiple of --points"),
        (["dc", "--epochs", "5"], "sets its own"),
    ):
        with pytest.raises(SystemExit):
            arguments([*words, *wrong])
        assert told in capsys.readouterr().err


def test_asked_passes_as_json() -> None:
    from sides import Asked

    asked = Asked("a", "b", "dm", 1, 20, 10, 3, 0, 0, ["lr=1"])
    assert Asked(**json.loads(json.dumps(asdict(asked)))) == asked
