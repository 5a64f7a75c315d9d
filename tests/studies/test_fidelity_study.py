"""The fidelity study: what is planned for a cell, and what its table says of rows that were really run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_rows import made_folder, made_row

from mim4dd.data import load
from mim4dd.errors import InputError
from mim4dd.information import train_reference
from mim4dd.methods import METHODS as REGISTERED
from mim4dd.networks import ConvNet
from mim4dd.registry import flatten
from studies.answers.fidelity.answer import CLOSE, schedule, write_answer
from studies.answers.fidelity.published import PUBLISHED, published, published_recipe
from studies.engine.folder import StudyFolder
from studies.engine.metadata import configuration_of, study_metadata
from studies.engine.options import parse_options
from studies.engine.plan import Plan
from studies.engine.rows import Row
from studies.engine.running import run_trial
from studies.engine.trial import Inputs
from studies.engine.wording import decimal
from studies.fidelity import STUDY

WORDS = ("--protocol", "quick", "--seeds", "0-1", "--set", "evaluation.epochs=3", "--set", "evaluation.networks=2")
METHODS = (
    "random",
    "dc:iterations=4,batch_real=4",
    "mim:base=dsa,iterations=4,batch_real=4,embedding=8",
    "dsa:iterations=4,batch_real=4",
)


def planned(*words: str) -> Plan:
    options = parse_options("", STUDY.script, STUDY.flags, words)
    return STUDY.plan(options, STUDY.configure(options))


def test_every_method_has_the_recipe_of_its_published_number() -> None:
    plan = planned("--dataset", "mnist", "--seeds", "0")
    configs = {
        setting.arm.key: next(t.config for t in plan.trials if t.hash in setting.trials) for setting in plan.settings
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
    assert [s.arm.name for s in plan.settings] == ["DC", "DC + MIM4DD (default)"]
    assert [s.arm.control for s in plan.settings] == ["", "dc"]


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
    found = published("cifar10", 1, "dm")
    assert found is not None
    assert (found.accuracy, found.certain) == (26.0, True)
    assert published("digits", 1, "dc") is None
    assert published_recipe({"method": "dm"}, "cifar10") == {"evaluation.restart_momentum": "true"}


def finished(path: Path, *words: str) -> StudyFolder:
    """A folder, in memory, whose trials the plain function has run."""
    options = parse_options("", STUDY.script, STUDY.flags, words)
    configuration = configuration_of(STUDY, options)
    plan = STUDY.plan(options, configuration)
    splits = load("digits")
    inputs = Inputs(splits, train_reference(splits, ConvNet(width=4), steps=5))
    rows = {trial.hash: Row.read(run_trial(trial, inputs).row) for trial in plan.trials}
    return StudyFolder(path, study_metadata(STUDY, options, configuration, plan), plan.settings, rows)


def test_table_tells_ours_from_published_and_names_the_schedule(tmp_path: Path) -> None:
    folder = finished(tmp_path, *WORDS, *(word for method in METHODS for word in ("--method", method)))
    del folder.rows[folder.settings[1].trials[1]]
    answer = write_answer(folder)
    (table,) = answer.tables
    columns = {name: [row[i] for row in table.rows] for i, name in enumerate(table.columns)}
    assert columns["method"][0] == "random real images"
    assert columns["published"] == [None] * 4
    assert columns["sets × networks"] == ["2 × 2 of 2", "1 × 2 of 2", "2 × 2 of 2", "2 × 2 of 2"]
    assert [one.low is None for one in columns["ours"]] == [False, True, False, False]
    assert "batch_real 4 (256)" in str(columns["schedule (published)"][1])
    assert "network width 16 (128)" in str(columns["schedule (published)"][2])
    assert any("From a single set" in note for note in answer.notes)
    pair = [[folder.rows[trial].test for trial in setting.trials] for setting in folder.settings[2:]]
    term, base = map(np.mean, pair)
    gains = columns["paired gain over its base"]
    assert str(gains[2]).startswith(f"{decimal(100 * (term - base), '+.1f')} points [")
    assert [gains[i] for i in (0, 1, 3)] == [None] * 3
    told = [str(sentence) for sentence in answer.sentences]
    assert f"{gains[2]} compared with its base alone over 2 pairs (undecided" in told[2]
    assert len(told) == 4
    (figure,) = answer.figures
    assert figure.drawing is not None
    assert len(figure.drawing.axes[0].containers) == 3


@pytest.mark.parametrize(
    ("accuracies", "words"),
    [
        ([0.917, 0.919, 0.915, 0.918, 0.916], "no difference beyond 1.5 points"),
        ([0.867, 0.869, 0.865, 0.868, 0.866], "below it"),
        ([0.967, 0.969, 0.965, 0.968, 0.966], "above it"),
        ([0.7, 0.99, 0.85, 0.95, 0.9], "undecided"),
        ([0.867, 0.869, 0.865, 0.868], "undecided"),
    ],
)
def test_ours_is_judged_against_the_published_number(accuracies: list[float], words: str, tmp_path: Path) -> None:
    """DC on MNIST with 1 image a class has 91.7 % in its paper."""
    plan = planned("--dataset", "mnist", "--method", "dc", "--seeds", f"0-{len(accuracies) - 1}")
    rows = {
        trial.hash: made_row(trial.hash, trial.config, [accuracy] * 2)
        for trial, accuracy in zip(plan.trials, accuracies, strict=True)
    }
    answer = write_answer(made_folder(tmp_path, plan.settings, rows, range(len(accuracies)), dataset="mnist"))
    (claim,) = (claim for claim in answer.claims if claim.kind == "contrast")
    assert claim.estimate == pytest.approx(np.mean(accuracies) - 0.917)
    assert claim.margin == pytest.approx(CLOSE / 100)
    (told,) = map(str, answer.sentences)
    difference = decimal(100 * float(np.mean(accuracies)) - 91.7, "+.1f")
    assert f"where 91.7% is published (difference {difference} points, {words})" in told
    far = any("More than 1.5 points from the published number: DC" in note for note in answer.notes)
    assert far == (abs(100 * np.mean(accuracies) - 91.7) > CLOSE)


@pytest.mark.parametrize(("sets", "told"), [(5, "DC + MIM4DD (default) falls below DC by 2.0 points ["), (4, "")])
def test_in_short_it_says_what_the_term_does_where_that_can_be_decided(sets: int, told: str, tmp_path: Path) -> None:
    plan = planned("--dataset", "mnist", "--method", "dc", "--method", "mim:base=dc", "--seeds", f"0-{sets - 1}")
    rows = {}
    for trial in plan.trials:
        accuracy = 0.917 + 0.002 * (int(trial.config["seed"]) % 3)
        lower = 0.02 + 0.001 * (int(trial.config["seed"]) % 2) if trial.config["method"] == "mim" else 0.0
        rows[trial.hash] = made_row(trial.hash, trial.config, [accuracy - lower] * 2)
    answer = write_answer(made_folder(tmp_path, plan.settings, rows, range(sets), dataset="mnist"))
    short = [str(sentence) for sentence in answer.plain]
    assert any(sentence.startswith("DC + MIM4DD") for sentence in short) == bool(told)
    assert told in short[-1]


def test_methods_with_the_term_on_one_base_are_compared_with_each_other(tmp_path: Path) -> None:
    term, falling = "mim:base=dc", "mim:base=dc,last_weight=0"
    words = [word for method in ("dc", term, falling, "mim:base=dm") for word in ("--method", method)]
    plan = planned("--dataset", "mnist", *words, "--seeds", "0-4")
    levels = {"dc": 0.917, term: 0.89, falling: 0.91, "mim:base=dm": 0.88}
    rows = {}
    for setting in plan.settings:
        for k, trial in enumerate(setting.trials):
            config = next(one.config for one in plan.trials if one.hash == trial)
            rows[trial] = made_row(trial, config, [levels[setting.arm.key] + 0.001 * (k % 2)] * 2)
    answer = write_answer(made_folder(tmp_path, plan.settings, rows, range(5), dataset="mnist"))
    [claim] = [one for one in answer.claims if one.id.startswith("difference/")]
    assert claim.id == f"difference/{falling}/{term}"
    assert claim.estimate == pytest.approx(0.02)
    assert "less DC + MIM4DD (default) is +2.0 points" in str(answer.sentences[-1])
    assert [table.name for table in answer.tables] == ["fidelity", "between"]


def test_a_part_of_a_published_data_set_is_told_by_its_images(tmp_path: Path) -> None:
    labels = np.arange(20) % 10
    np.savez(tmp_path / "mine.npz", train_images=np.zeros((20, 28, 28), np.uint8), train_labels=labels)
    file = ["--dataset", f"npz:{tmp_path / 'mine.npz'}", "--classes-as", "mnist"]
    plan = planned(*file, "--method", "dc", "--seeds", "0")
    [trial] = plan.trials
    assert trial.config["evaluation"] == "dc", "the published recipe is that of the images, whatever their file's name"
    row = made_row(trial.hash, trial.config, [0.9])
    folder = made_folder(tmp_path, plan.settings, {trial.hash: row}, [0], configuration=trial.config)
    answer = write_answer(folder)
    assert any("91.7" in str(sentence) for sentence in answer.sentences)
    [note] = [note for note in answer.notes if "whole data set" in note]
    assert "54,000 images are left for training" in note
    assert note.endswith(f"of this file they are {sum(row.data.counts):,}.")  # type: ignore[union-attr]


def test_schedule_of_trajectories_names_what_no_knob_says() -> None:
    grey = flatten(REGISTERED.build("mtt"), "method") | {"dataset": "mnist", "ipc": 1}
    assert schedule(grey) == ["rate of the recipe (the learned one)", "CIFAR-10's settings"]
    assert "CIFAR-10's settings" in schedule(grey | {"dataset": "npz:cifar10"})
    colour = grey | {"dataset": "npz:mine", "classes_as": "cifar10"}
    assert schedule(colour) == ["rate of the recipe (the learned one)", "no ZCA (ZCA)"]
    assert schedule(colour | {"ipc": 50}) == ["rate of the recipe (the learned one)"]
    wrapped = flatten(REGISTERED.build("mim", {"base": "mtt"}), "method") | {"dataset": "svhn", "ipc": 1}
    assert "CIFAR-10's settings" in schedule(wrapped)
