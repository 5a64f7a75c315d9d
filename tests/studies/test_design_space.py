"""Spaces and designs: ranges from the knobs, exact points, and every refusal in one line."""

from __future__ import annotations

import numpy as np
import pytest

from mim4dd.errors import InputError
from mim4dd.methods import Mim
from mim4dd.registry import flatten, knobs
from studies.answers.sensitivity.flags import DesignFlags
from studies.engine.design import fixed_design
from studies.engine.options import parse_options, parse_seeds
from studies.engine.space import Space, make_space

CONFIG, KNOBS = flatten(Mim(), "method"), knobs(Mim(), "method.")
MAIN = ("method.temperature", "method.weight", "method.layer_decay", "method.embedding")


def space(ranges: dict[str, str] | None = None, fixed: tuple[str, ...] = ()) -> Space:
    return make_space(MAIN, ranges or {}, CONFIG, KNOBS, fixed)


def test_the_default_space_is_the_knobs_own_search_range() -> None:
    tau, weight, beta, embedding = space()
    assert (tau.low, tau.high, tau.log, tau.symbol) == (0.03, 1, True, "τ")
    assert (weight.low, weight.high) == (0.001, 100)
    assert (beta.low, beta.high) == (0.5, 8)
    assert embedding.values == (0, 16, 32, 64, 128, 256)


def test_range_narrows_widens_and_adds_knobs_and_set_removes_them() -> None:
    axes = space({"temperature": "0.05:0.5", "embedding": "16:64", "base.lr": "0.1:10"}, fixed=("method.weight",))
    assert [axis.key for axis in axes] == [
        "method.temperature",
        "method.layer_decay",
        "method.embedding",
        "method.base.lr",
    ]
    assert (axes[0].low, axes[0].high) == (0.05, 0.5)
    assert axes[2].values == (16, 32, 64)
    assert space({"critic": "nce,infonce"})[-1].values == ("nce", "infonce")


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({"temperature": "1:0.1"}, "low < high"),
        ({"temperature": "1:1"}, "low < high"),
        ({"temperature": "-1:1"}, r"must be in \(0, inf\)"),
        ({"weight": "0:1"}, "log scale"),
        ({"temperature": "a:b"}, "must be a number"),
        ({"temperature": "1:2:3"}, "low:high"),
        ({"embedding": "100:110"}, "at least two values"),
        ({"critic": "nce:infonce"}, "takes values"),
        ({"critic": "nce,nix"}, "must be one of"),
        ({"head": ""}, "declares no search range"),
        ({"temprature": "1:2"}, "did you mean 'method.temperature'"),
        ({"base": "dm,random"}, "is a component"),
    ],
)
def test_a_range_that_cannot_be_searched_is_refused(ranges: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        space(ranges)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["qmc", "random"])
def test_designs_stay_inside_repeat_and_differ_by_seed(name: str) -> None:
    axes = space()
    points = fixed_design(name, axes, 16, seed=0)
    assert points == fixed_design(name, axes, 16, seed=0)
    assert points != fixed_design(name, axes, 16, seed=1)
    units = np.array([[axis.unit(values[axis.key]) for axis in axes] for values, _ in points])
    assert units.min() >= -1e-2
    assert units.max() <= 1 + 1e-2


def test_sobol_points_fill_each_half_and_each_quarter_of_every_continuous_knob_evenly() -> None:
    axes = space()
    points = fixed_design("qmc", axes, 16)
    for axis in axes[:3]:
        quarters = np.floor([4 * min(axis.unit(values[axis.key]), 0.999) for values, _ in points])
        assert np.bincount(quarters.astype(int), minlength=4).tolist() == [4, 4, 4, 4]
    assert sorted({values["method.embedding"] for values, _ in points}) == [0, 16, 32, 64, 128, 256]
    assert len({dummy for _, dummy in points}) == 16


def test_a_grid_holds_the_ends_and_is_a_full_factorial() -> None:
    axes = space()
    points = [values for values, _ in fixed_design("grid", axes, 16)]
    assert len(points) == 16
    assert {values["method.temperature"] for values in points} == {0.03, 1.0}
    assert {values["method.embedding"] for values in points} == {0, 256}


def test_units_and_values_are_inverse() -> None:
    for axis in space():
        for place in (0.0, 0.5, 0.999):
            assert axis.unit(axis.value(axis.sample(place))) == pytest.approx(place, abs=0.11 if axis.values else 1e-2)


@pytest.mark.parametrize(("text", "seeds"), [("0-4", (0, 1, 2, 3, 4)), ("3", (3,)), ("0,5-6", (0, 5, 6))])
def test_seeds(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "4-0"], "--seeds must be like"),
        (["--seeds", "1,1"], "twice"),
        (["--seeds", "x"], "--seeds must be like"),
        (["--settings", "0"], r"--settings must be in \[1, 1000\], got 0"),
        (["--ipc", "0"], r"--ipc must be in \[1, 1000000\], got 0"),
        (["--design", "sobol"], "unknown design"),
        (["--asha"], "--asha stops settings of a search"),
        (["--set", "temperature"], "key=value"),
        (["--set", "a=1", "--set", "a=2"], "twice"),
        (["--cpus-per-trial", "0"], r"--cpus-per-trial must be in \[0.01, 1024\], got 0"),
        (["--nix"], "unrecognized"),
    ],
)
def test_wrong_flags_are_one_line(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_options("", "studies/x.py", DesignFlags, words)
    assert "\n" not in str(caught.value)


def test_the_command_is_kept_as_it_was_typed() -> None:
    options = parse_options("", "studies/x.py", DesignFlags, ["--dataset", "npz:a b.npz", "--seeds", "0-1"])
    assert options.command == "python studies/x.py --dataset 'npz:a b.npz' --seeds 0-1"
