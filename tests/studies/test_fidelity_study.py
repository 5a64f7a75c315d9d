"""The fidelity study: what is planned for a cell, and what its table says of rows that were really run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mim4dd.data import load
from mim4dd.errors import InputError
from mim4dd.information import train_reference
from mim4dd.methods import METHODS as REGISTERED
from mim4dd.networks import ConvNet
from mim4dd.registry import Flat, flatten
from studies.answers.comparing.findings import Findings
from studies.answers.fidelity.published import PUBLISHED, published, published_recipe
from studies.answers.fidelity.verdict import schedule, write_answer
from studies.engine.design import Setting
from studies.engine.evidence import Evidence
from studies.engine.identity import identify
from studies.engine.options import parse_options
from studies.engine.running import run_trial
from studies.engine.study import Plan
from studies.engine.trial import Inputs
from studies.fidelity import STUDY

WORDS = ("--protocol", "quick", "--seeds", "0-1", "--set", "evaluation.epochs=3", "--set", "evaluation.networks=2")
METHODS = (
    "random",
    "dc:iterations=4,batch_real=4",
    "mim:base=dsa,iterations=4,batch_real=4,embedding=8",
    "dsa:iterations=4,batch_real=4",
)


def planned(*words: str) -> Plan:
    options = parse_options("", STUDY.script, STUDY.asks, words)
    return STUDY.plan(options, STUDY.configure(options))


def test_every_method_has_the_recipe_of_its_published_number() -> None:
    plan = planned("--dataset", "mnist", "--seeds", "0")
    configs = {
        setting.role: next(t.config for t in plan.trials if t.hash in setting.trials) for setting in plan.settings
    }
    assert list(configs) == ["random", "dc", "dsa", "dm", "mtt"]
    assert configs["dc"]["evaluation.augment"] == "crop_scale_rotate"
    assert configs["dc"]["evaluation.drawn"] == "image"
    assert configs["random"]["evaluation.augment"] == "none"
    assert configs["random"]["evaluation.epochs"] == 300
    for name in ("dsa", "dm", "mtt"):
        assert configs[name]["evaluation"] == "standard"
        assert configs[name]["evaluation.restart_momentum"] is True
        assert configs[name]["evaluation.epochs"] == 1000
    assert configs["dc"]["method.batch_real"] == 256
    assert all(config["network.width"] == 128 for config in configs.values())


def test_a_base_with_the_term_is_evaluated_as_its_base() -> None:
    plan = planned("--dataset", "fashion_mnist", "--method", "dc", "--method", "mim:base=dc")
    first, last = (next(t.config for t in plan.trials if t.hash in s.trials) for s in plan.settings)
    recipes = [{k: v for k, v in config.items() if k.startswith("evaluation")} for config in (first, last)]
    assert recipes[0] == recipes[1]
    assert [s.role for s in plan.settings] == ["dc", "dc + mim"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--method", "cd"), "unknown method 'cd'"),
        (("--method", "dc:bath_real=3"), "unknown knob 'bath_real'"),
        (("--method", "dc:evaluation.batch=3"), "--method is for the method's own knobs"),
        (("--method", "dc:batch_real=0"), "must be in"),
        (("--method", "dc", "--method", "dc"), "twice"),
        (("--set", "temperature=1", "--method", "dc"), "unknown knob 'temperature'"),
    ],
)
def test_wrong_methods_and_knobs_are_one_line(words: tuple[str, ...], told: str) -> None:
    with pytest.raises(InputError, match=told):
        planned(*words)


def test_published_numbers_are_those_of_the_specification() -> None:
    assert {key[0] for key in PUBLISHED} == {"mnist", "fashion_mnist", "svhn", "cifar10", "cifar100"}
    assert PUBLISHED["mnist", 1, "dc"].accuracy == 91.7
    assert PUBLISHED["cifar10", 50, "mtt"].accuracy == 71.6
    found = published("npz:cifar10_20k", 1, "dm")
    assert found is not None
    assert (found.accuracy, found.certain) == (26.0, True)
    assert published("digits", 1, "dc") is None
    assert published_recipe({"method": "dm"}, "cifar10") == {"evaluation.restart_momentum": "true"}


def test_table_tells_ours_from_published_and_names_the_schedule(tmp_path: Path) -> None:
    words = (*WORDS, *(word for method in METHODS for word in ("--method", method)))
    options = parse_options("", STUDY.script, STUDY.asks, words)
    configuration = STUDY.configure(options)
    plan = STUDY.plan(options, configuration)
    splits = load("digits")
    inputs = Inputs(splits, train_reference(splits, ConvNet(width=4), steps=5))
    rows = {trial.hash: run_trial(trial, inputs).row for trial in plan.trials}
    lost = plan.settings[1].trials[1]
    del rows[lost]
    evidence = Evidence(tmp_path, identify(STUDY, options, configuration, plan), (), plan.settings, rows)
    answer = write_answer(evidence)
    (table,) = answer.tables
    columns = {name: [row[i] for row in table.rows] for i, name in enumerate(table.columns)}
    assert columns["method"][0] == "random"
    assert columns["published %"] == [None] * 4
    assert columns["sets × networks"] == ["2 × 2 of 2", "1 × 2 of 2", "2 × 2 of 2", "2 × 2 of 2"]
    assert columns["95% interval"][1] is None
    assert "batch_real 4 (256)" in str(columns["schedule (published)"][1])
    assert "network width 16 (128)" in str(columns["schedule (published)"][2])
    assert any("From a single set" in note for note in answer.notes)
    term, base = (np.mean([rows[t]["report_only"]["test_accuracy"] for t in s.trials]) for s in plan.settings[2:])
    gains = columns["paired gain over its base"]
    assert str(gains[2]).startswith(f"{100 * (term - base):+.1f} points [")
    assert [gains[i] for i in (0, 1, 3)] == [None] * 3
    assert f"{gains[2]} against its base alone on the same 2 seed(s)" in answer.verdict[2]
    assert len(answer.verdict) == 4
    (figure,) = answer.figures
    assert len(figure.drawing.axes[0].lines) == 3


def test_schedule_of_trajectories_names_what_no_knob_says() -> None:
    grey = flatten(REGISTERED.build("mtt"), "method") | {"dataset": "mnist", "ipc": 1}
    assert told_of(grey) == ["rate of the recipe (the learned one)", "CIFAR-10's settings"]
    colour = grey | {"dataset": "npz:cifar10_20k"}
    assert told_of(colour) == ["rate of the recipe (the learned one)", "no ZCA (ZCA)"]
    assert told_of(colour | {"ipc": 50}) == ["rate of the recipe (the learned one)"]
    wrapped = flatten(REGISTERED.build("mim", {"base": "mtt"}), "method") | {"dataset": "svhn", "ipc": 1}
    assert "CIFAR-10's settings" in told_of(wrapped)


def told_of(config: Flat) -> list[str]:
    """The schedule of a method with one row."""
    row = {"config": config, "result": {"status": "ok"}, "report_only": {}, "measured": {}}
    setting = Setting(0, "mtt", {}, None, ("row",))
    return schedule(Findings(Evidence(Path("out"), {}, (), (setting,), {"row": row})), 0)
