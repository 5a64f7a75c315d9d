"""Further methods in a stress suite: which trials they add, and that each term is held against its own base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mim4dd.errors import InputError
from mim4dd.methods import METHODS
from studies.answers.stress.findings import Findings, find
from studies.answers.stress.methods import draw_bases, draw_methods, method_tables
from studies.engine.asked import Suite
from studies.engine.evidence import Evidence
from studies.engine.identity import shared_entries
from studies.engine.options import parse_options
from studies.engine.study import Plan
from studies.noisy_labels import STUDY

STRONG = "balance=gradnorm,weight=1"
WORDS = ["--kinds", "symmetric", "--severities", "0.4", "--seeds", "0-2"]


def planned(*words: str) -> tuple[Plan, dict[str, Any]]:
    options = parse_options("", "noisy_labels.py", Suite, [*WORDS, *words])
    configuration = STUDY.configure(options)
    flat = {**shared_entries(options), **configuration.flat}
    plan = STUDY.plan(options, type(configuration)(**(vars(configuration) | {"flat": flat})))
    return plan, {"configuration": flat, "conditions": [one.json() for one in plan.conditions]}


def found_of(plan: Plan, identity: dict[str, Any]) -> Findings:
    """Rows whose test accuracy is the setting's number in percent plus the seed in thousandths."""
    rows: dict[str, Any] = {}
    for setting in plan.settings:
        for seed, trial in enumerate(setting.trials):
            accuracy = setting.setting / 100 + seed * setting.setting / 1000
            result = {"status": "ok", "train_counts": [9] * 10, "perturbed": {}}
            rows[trial] = {"trial": trial, "result": result, "report_only": {"test_recall": [[accuracy] * 10] * 2}}
    return find(Evidence(Path("out"), identity, (), plan.settings, rows))


def test_every_is_each_base_alone_and_with_the_term_and_each_coreset_once() -> None:
    plan, identity = planned("--method", "every")
    found = found_of(plan, identity)
    bases = [name for name in METHODS.names() if name != "mim" and METHODS.build(name).iterations]
    coresets = [n for n in METHODS.names() if n not in (*bases, "mim", "random", "full")]
    names = [arm.name for arm in found.arms]
    assert len(set(names)) == len(names)
    expected = {"random real images", "full data", "DM + MIM4DD", *coresets}
    expected |= {base.upper() for base in bases} | {f"{base.upper()} + MIM4DD (gradnorm, λ=1)" for base in bases}
    assert set(names) == expected
    assert len(plan.trials) == 2 * 3 * len(names)


def test_a_gain_is_over_the_same_base_with_the_same_knobs() -> None:
    asked = ["dc", "dc:lr=1", f"mim:base=dc,{STRONG}", f"mim:base=dc,lr=1,{STRONG}", "mim:weight=50", "mim:base=dsa"]
    found = found_of(*planned(*(word for spec in asked for word in ("--method", spec))))
    place = {arm.name: j for j, arm in enumerate(found.arms)}
    over = {arm.name: found.arms[arm.base].name for arm in found.arms if arm.base is not None}
    assert over == {
        "DM + MIM4DD": "DM",
        "DM + MIM4DD (gradnorm, λ=1)": "DM",
        "DC + MIM4DD (gradnorm, λ=1)": "DC",
        "DC + MIM4DD (gradnorm, lr=1, λ=1)": "DC (lr=1)",
        "DM + MIM4DD (λ=50)": "DM",
    }
    term, base = place["DC + MIM4DD (gradnorm, λ=1)"], place["DC"]
    for condition in range(2):
        numbers = [found.settings[condition][j].setting for j in (term, base)]
        expected = (numbers[0] - numbers[1]) * np.mean([1 / 100 + seed / 1000 for seed in range(3)])
        assert found.gain(condition, term).mean == pytest.approx(expected)
    assert not found.arms[place["DSA + MIM4DD"]].has_term  # its base was not asked for


def test_tables_and_figures_hold_every_method_and_a_suite_of_one_base_has_none() -> None:
    found = found_of(*planned("--method", "herding", "--method", "dc", "--method", f"mim:base=dc,{STRONG}"))
    methods, bases = method_tables(found)
    assert [row[0] for row in methods.rows] == [arm.name for arm in found.arms]
    assert [row[0] for row in bases.rows] == [arm.name for arm in found.arms if arm.has_term]
    assert draw_methods(found) is not None
    assert draw_bases(found) is not None
    alone = found_of(*planned())
    assert method_tables(alone) == []
    assert draw_methods(alone) is None


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("random", "is in the suite anyway"),
        ("mim:base=dm", "is in the suite anyway"),
        ("dc:epochs=3", "set evaluation.epochs with --set"),
        ("dx", "unknown method 'dx'"),
        ("dc:lr=-1", r"dc.lr must be in \(0"),
    ],
)
def test_a_method_that_cannot_be_is_told_in_a_line(spec: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        planned("--method", spec)


def test_variants_given_by_hand_are_not_run_twice() -> None:
    plan, identity = planned("--variant", STRONG, "--variant", "weight=3", "--method", "every")
    assert len(plan.trials) == sum(len(setting.trials) for setting in plan.settings)
    names = [arm.name for arm in found_of(plan, identity).arms]
    assert len(set(names)) == len(names)


def test_what_is_set_for_all_bases_reaches_them_with_and_without_the_term() -> None:
    plan, _ = planned("--set", "base.batch_real=7", "--method", "dc", "--method", "mim:base=dc")
    found = {key: value for trial in plan.trials for key, value in trial.config.items() if key.endswith("batch_real")}
    assert found == {"method.base.batch_real": 7, "method.batch_real": 7}


@pytest.mark.parametrize("knob", ["lr", "momentum", "augment"])
def test_a_knob_that_a_method_and_the_recipe_have_must_be_named_whole(knob: str) -> None:
    value = "none" if knob == "augment" else "0.5"
    with pytest.raises(InputError, match="could mean"):
        planned("--set", f"{knob}={value}", "--method", "dc")
    plan, _ = planned("--set", f"evaluation.{knob}={value}", "--method", "dc")
    assert len({trial.config[f"evaluation.{knob}"] for trial in plan.trials}) == 1


def test_a_methods_own_knob_comes_before_one_of_the_recipe() -> None:
    plan, _ = planned("--method", "mtt:lr=3")
    trial = next(t for t in plan.trials if t.config["method"] == "mtt")
    assert trial.config["method.lr"] == 3.0
    assert trial.config["evaluation.lr"] == 0.01
