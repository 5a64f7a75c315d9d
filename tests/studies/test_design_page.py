"""The page on the default design: which decisions contradict each other, and blocks that are studies of their own."""

from __future__ import annotations

from pathlib import Path

import design  # type: ignore[import-not-found]
import numpy as np
import pytest
from made_rows import made_folder, made_row

from studies.engine.arms import Arm, Setting
from studies.engine.folder import StudyFolder

FOLDER = Path(__file__).parents[2] / "docs" / "results" / "sensitivity-digits"


@pytest.mark.parametrize(
    ("one", "other", "contradict"),
    [
        (("gain", ""), ("loss", ""), True),
        (("gain", "beyond"), ("negligible", ""), True),
        (("gain", "beyond"), ("gain", "below"), True),
        (("gain", ""), ("negligible", ""), False),
        (("gain", "below"), ("negligible", ""), False),
        (("gain", "beyond"), ("undecided", ""), False),
        (("negligible", ""), ("negligible", ""), False),
    ],
)
def test_decisions_contradict_where_both_cannot_be_true(
    one: tuple[str, str], other: tuple[str, str], contradict: bool
) -> None:
    first, second = ({"decision": decision, "size": size} for decision, size in (one, other))
    assert design.contradict(first, second) == design.contradict(second, first) == contradict


def test_a_block_has_the_claims_of_its_study() -> None:
    folder = StudyFolder.read(FOLDER)
    claims = design.block_claims([folder, folder])
    assert [claim["block"] for claim in claims] == [0, 0, 0, 1, 1, 1]
    own = {claim.id: claim for claim in design.STUDY.answer(folder).claims}
    for claim in claims:
        assert (claim["decision"], claim["estimate"]) == (own[claim["id"]].decision, own[claim["id"]].estimate)


def test_draws_have_the_moments_that_were_fitted() -> None:
    of_set, of_network = np.diag([4.0, 1.0, 4.0, 1.0]) * 1e-4, np.full((4, 4), 9e-4)
    moments = design.Moments(("equal", "base"), [0.8, 0.7, 0.6, 0.5], of_set, of_network, [0], 5, 1.0, 1.0)
    test, validation = moments.draw(np.random.default_rng(0), 20_000, 9)
    assert np.concatenate([test.mean(0), validation.mean(0)]) == pytest.approx(moments.mean, abs=1e-3)
    assert np.cov(test.T) == pytest.approx(of_set[:2, :2] + 1e-4, rel=0.05)
    assert np.cov(test[:, 0], validation[:, 0])[0, 1] == pytest.approx(1e-4, rel=0.1)


def test_moments_of_rows_are_those_that_made_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    arms = [Arm("b", "mim", {"method.weight": 0.0}, role="base"), Arm("d", "mim", {}, "b", "default")]
    arms += [
        Arm("e", "mim", {"method.weight": 1.0}, "b", "variant"),
        Arm("s", "mim", {"method.tau": 1.0}, "b", "design"),
    ]
    rows, settings, seeds = {}, [], 400
    for k, arm in enumerate(arms):
        trials = tuple(f"{k:08d}{seed:08d}" for seed in range(seeds))
        for trial in trials:
            scores = 0.8 + 0.01 * k + 0.03 * rng.normal() + 0.02 * rng.normal(size=4)
            rows[trial] = made_row(trial, {"method": "mim"}, scores.tolist())
        settings.append(Setting(k, arm, {}, trials))
    moments = design.Moments.fitted(made_folder(tmp_path, settings, rows, range(seeds)))
    assert [name.split(" ")[0] for name in moments.arms] == ["DM"] * 4
    assert moments.mean[:4] == pytest.approx([0.83, 0.81, 0.82, 0.80], abs=5e-3)
    assert np.sqrt(np.diag(moments.of_set))[:4] == pytest.approx(0.03, rel=0.15)
    assert np.sqrt(np.diag(moments.of_network))[:4] == pytest.approx(0.02, rel=0.1)
    assert (len(moments.seeds), moments.networks) == (400, 4)
    assert moments.seconds(5) == pytest.approx(2.0 + design.NETWORK_SECONDS)
