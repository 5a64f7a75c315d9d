"""Streams are functions of their names: pinned, apart from each other, the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import torch

from mim4dd.seeding import generator, integer, torch_generator

NAMES = [("a",), ("a", 1), ("a", 1.0), ("a", "1"), ("a", 1, 2), ("a", 12), ("a1",), ("a\x1fstr:'1'",), (1, "a")]


def test_values_are_pinned() -> None:
    assert integer("a") == 5470344894887002147
    assert integer("a", 1) == 3046282389187577994
    assert integer("a", 1.0) == 5088832087017760878
    np.testing.assert_allclose(generator("a", 1).random(2), [0.46272417, 0.86557071], atol=1e-8)
    drawn = torch.rand(2, generator=torch_generator("a", 1), dtype=torch.float64)
    again = torch.rand(2, generator=torch.Generator().manual_seed(integer("a", 1)), dtype=torch.float64)
    assert torch.equal(drawn, again)


def test_other_names_types_and_places_are_other_streams() -> None:
    seeds = [integer(*names) for names in NAMES]
    assert len(set(seeds)) == len(NAMES)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_fill_their_range() -> None:
    # a mean of 1000 uniform numbers stays within 4 standard errors
    seeds = np.array([integer("spread", k) for k in range(1000)]) / 2**63
    assert abs(seeds.mean() - 0.5) < 4 / np.sqrt(12 * 1000)


def test_another_process_with_another_hash_seed_draws_the_same() -> None:
    code = (
        "from mim4dd.seeding import *; import torch;"
        "drawn = torch.rand(3, generator=torch_generator('x', 2)).tolist();"
        "print(integer('a', 1), *generator('x', 2).random(3), *drawn)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    there = subprocess.check_output([sys.executable, "-c", code], text=True, env=environment)
    drawn = torch.rand(3, generator=torch_generator("x", 2)).tolist()
    here = " ".join(map(str, [integer("a", 1), *generator("x", 2).random(3).tolist(), *drawn]))
    assert there == f"{here}\n"


def test_nobody_else_moves_a_stream() -> None:
    before = generator("a").random(4)
    np.random.default_rng(0).random(10)
    torch.manual_seed(5)
    other = generator("a")
    generator("a").random(100)
    np.testing.assert_array_equal(other.random(4), before)
