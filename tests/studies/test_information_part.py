"""What an answer says of information: usable information, accuracy and the critic's bound, each by its own ruling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_rows import CLASSES, factors_of, made_folder, made_row, replaced

from studies.answers.ledger import Ledger, Part
from studies.answers.parts.information import information_part
from studies.answers.results import Results
from studies.engine.answer import Quantity
from studies.engine.arms import Arm, Factor, Level, Planned, base_arm, cross, with_controls
from studies.engine.folder import StudyFolder
from studies.engine.statistics.contrasts import Decision

SEEDS, ENTROPY = range(10), math.log(CLASSES)
TERM = Arm("term", "mim", {"method.base": "dm"})
WARM = Arm("warm", "mim", {"method.base": "dm", "method.temperature": 0.5})
PLAIN = Arm("dsa", "dsa")
ON_DSA = Arm("on-dsa", "mim", {"method.base": "dsa"})
ARMS = (Arm("random", "random"), base_arm("dm"), TERM, WARM, PLAIN, ON_DSA)
PAIRS = [("term", "dm"), ("warm", "dm"), ("on-dsa", "dsa")]
LEVELS = Factor("noise", (Level("clean"), Level("symmetric 0.4")))
# By arm: (test accuracy, usable share of H(Y), critic's share of H(Y)).
SCORES: dict[str, tuple[float, float, float | None]] = {
    "random": (0.6, 0.5, None),
    "dm": (0.70, 0.80, 0.30),
    "term": (0.74, 0.83, 0.30),
    "warm": (0.70, 0.78, 0.36),
    "dsa": (0.72, 0.81, None),
    "on-dsa": (0.72, 0.81, 0.4),
}


def folder_of(path: Path, *, older: bool = False, factor: Factor | None = None) -> StudyFolder:
    """Ten seeds of each arm, with noise of a tenth of a point; older: rows without usable information."""
    rng, planned = np.random.default_rng(0), [Planned(arm, {"method": arm.method, **arm.knobs}) for arm in ARMS]
    factors = (factor,) if factor else ()
    settings, trials = cross(planned, factors, SEEDS)
    configs, rows = {trial.hash: trial.config for trial in trials}, {}
    for setting in settings:
        accuracy, usable, critic = SCORES[setting.arm.key]
        for trial in setting.trials:
            noise = rng.normal(0, 0.001, 3)
            report: dict[str, Any] = {"usable_information_nats": [ENTROPY * (usable + noise[1])]}
            bound = None if critic is None else ENTROPY * (critic + noise[2])
            row = made_row(trial, configs[trial], [accuracy + noise[0]], critic_information_nats=bound)
            rows[trial] = replaced(row, {"usable_information_nats": None} if older else report)
    return made_folder(path, with_controls(settings), rows, SEEDS, **factors_of(*factors))


def table(part: Part) -> dict[str, Mapping[str, Any]]:
    (found,) = part.tables
    assert found is not None
    return {str(row[0]): dict(zip(found.columns, row, strict=True)) for row in found.rows}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Results(folder_of(tmp_path)))


def test_a_sentence_for_each_arm_says_what_was_decided(ledger: Ledger) -> None:
    term, warm, on_dsa = map(str, information_part(ledger, PAIRS).sentences)
    assert term.startswith("Compared with DM, DM + MIM4DD (default) raises usable information (+3.0 points of H(Y) [+")
    assert "], n = 10: a gain of more than half a point of H(Y)), raises test accuracy (+4." in term
    assert "changes the bound of its own critic by no more than half a point of H(Y) (" in term
    assert term.endswith(", n = 10).")
    assert "lowers usable information (-2.0 points of H(Y) [-" in warm
    assert "changes test accuracy by no more than half a point (" in warm
    assert "and raises the bound of its own critic (+6." in warm
    assert warm.endswith("; the two critics differ in temperature).")
    assert on_dsa.count("changes ") == 2
    assert "critic" not in on_dsa  # DSA's own code has none


def test_usable_information_and_the_critics_bound_are_a_family_each(ledger: Ledger) -> None:
    results = ledger.results
    gains = ledger.family("gains over the base", [results.against("term", "dm")])
    part = information_part(ledger, PAIRS)
    families = {ruling.judged.family: ruling.judged.family_size for ruling in ledger.rulings}
    assert families == {
        "gains over the base": 1,
        "gains in usable information": 3,
        "gains in the critic's bound": 2,
        "gains in test accuracy": 2,  # the third is judged already, and that ruling stands
    }
    first = part.sentences[0]
    assert first is not None
    assert gains[0].claim in first.claims
    usable = first.claims[0]
    assert (usable.id, usable.unit, usable.split, usable.metric) == (
        "usable/term",
        "points of H(Y)",
        "test",
        "usable_share",
    )
    assert usable.estimate == pytest.approx(0.03, abs=0.001)
    assert (usable.decision, usable.size) == (Decision.GAIN, "beyond")
    sets = [results.sets(results.cell(arm), "usable") / ENTROPY for arm in ("term", "dm")]
    assert usable.estimate == pytest.approx(float(np.mean(sets[0] - sets[1])))
    assert [claim.id for claim in first.claims] == ["usable/term", gains[0].claim.id, "critic/term"]


def test_the_table_has_nats_and_shares_and_a_dash_where_nothing_was_measured(ledger: Ledger) -> None:
    rows = table(information_part(ledger, PAIRS))
    assert list(rows)[:3] == ["random real images", "DM", "DM + MIM4DD (default)"]
    base = rows["DM"]
    assert base["usable information, nats"].mean == pytest.approx(0.8 * ENTROPY, abs=0.01)
    assert str(base["usable information, % of H(Y)"]).startswith("80.0% [")
    assert str(base["label agreement, nats"]).startswith("1.000")
    assert base["critic information, nats"].mean == pytest.approx(0.3 * ENTROPY, abs=0.01)
    assert base["sets"] == 10
    assert rows["DSA"]["critic information, nats"] is None
    claim = next(claim for claim in ledger.compose().claims if claim.id == "mean/usable/dm")
    assert (claim.unit, claim.split, claim.n) == ("nats", "test", 10)


def test_older_rows_leave_the_part_out(tmp_path: Path) -> None:
    ledger = Ledger(Results(folder_of(tmp_path, older=True)))
    part = information_part(ledger, PAIRS)
    assert (list(part.sentences), list(part.tables), ledger.rulings) == ([], [], ())


def test_rows_of_both_kinds_are_pairs_that_are_lost(tmp_path: Path) -> None:
    folder, older = folder_of(tmp_path), folder_of(tmp_path, older=True)
    results = Results(folder)
    for trial in results.trials(results.cell("term"))[:4]:
        folder.rows[trial] = older.rows[trial]
    part = information_part(Ledger(Results(folder)), PAIRS)
    assert "], n = 6: a gain" in str(part.sentences[0])
    assert table(part)["DM + MIM4DD (default)"]["sets"] == 6


def test_levels_have_families_ids_and_tables_of_their_own(tmp_path: Path) -> None:
    ledger = Ledger(Results(folder_of(tmp_path, factor=LEVELS)))
    parts = [information_part(ledger, PAIRS[:1], levels) for levels in ((), ("symmetric 0.4",))]
    assert [str(part.sentences[0]).partition(", DM")[0] for part in parts] == [
        "Compared with DM on clean data",
        "Compared with DM at symmetric 0.4",
    ]
    assert [part.tables[0].name for part in parts if part.tables[0]] == ["information", "information-symmetric-0.4"]
    ids = {ruling.contrast.id for ruling in ledger.rulings if ruling.contrast.metric == "usable_share"}
    assert ids == {"usable/term/clean", "usable/term/symmetric-0.4"}
    assert {ruling.judged.family for ruling in ledger.rulings if ruling.contrast.metric == "critic_share"} == {
        "gains in the critic's bound, clean",
        "gains in the critic's bound, symmetric 0.4",
    }


def test_a_share_of_entropy_prints_in_its_unit() -> None:
    assert str(Quantity(0.011, 0.007, 0.015, 10, "points of H(Y)", starred=True)) == (
        "+1.1 points of H(Y) [+0.7, +1.5]*"
    )
    assert str(Quantity(-0.02, -0.05, 0.01, 10, "percent of H(Y)")) == "-2.0% [-5.0, 1.0]"
