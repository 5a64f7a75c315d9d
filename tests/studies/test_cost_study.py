"""What it costs: what is planned, what a trial measures, rates and their forecasts, and what the answer says."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mim4dd.complexity import Operations
from mim4dd.data import load
from mim4dd.errors import InputError
from mim4dd.information import train_reference
from mim4dd.networks import ConvNet
from studies.answers.cost.cells import BUDGET, FACTOR
from studies.cost import STUDY
from studies.engine.answer import Quantity
from studies.engine.costing import cost_trial
from studies.engine.durations import trial_seconds
from studies.engine.folder import StudyFolder
from studies.engine.journal import Journal
from studies.engine.metadata import configuration_of, study_metadata
from studies.engine.options import Options, parse_options
from studies.engine.pace import pace_seconds
from studies.engine.plan import Plan
from studies.engine.problems import COST, MEMORY, WINDOW, Problem, problem_of
from studies.engine.repeating import timed, timed_seconds
from studies.engine.rows import read_rows
from studies.engine.speeds import SHIPPED, Rate, Speeds, fit, speeds_beside
from studies.engine.trial import Inputs, Trial

SMALL = [word for text in ("width=8", "evaluation.epochs=3", "evaluation.networks=2") for word in ("--set", text)]


def planned(*words: str) -> tuple[Options[Any], Plan]:
    options = parse_options("", STUDY.script, STUDY.flags, list(words))
    return options, STUDY.plan(options, configuration_of(STUDY, options))


# The plan


def test_methods_take_turns_within_a_cell() -> None:
    """A B C A B C: what one repeat of a method met, the others of that repeat met too."""
    _, plan = planned("--quick", "--part", "own")
    turns = [(trial.config["seed"], trial.config["method"], trial.config.get("method.base")) for trial in plan.trials]
    first = turns[: len(turns) // 5]
    assert [seed for seed, *_ in turns] == [seed for seed in range(5) for _ in first]
    assert [method for _, *method in turns] == [method for _, *method in first] * 5
    assert {("dm", None), ("mim", "dm")} <= {(method, base) for _, method, base in first}


def test_every_base_is_paired_with_itself_alone_at_the_same_level() -> None:
    _, plan = planned("--quick")
    settings = {(setting.arm.key, setting.levels[FACTOR]): setting for setting in plan.settings}
    configs = {trial.hash: trial.config for trial in plan.trials}
    paired = 0
    for (_, level), setting in settings.items():
        if setting.arm.control:
            base = settings[setting.arm.control, level]
            for ours, alone in zip(setting.trials, base.trials, strict=True):
                shared = [key for key in configs[alone] if not key.startswith("method")]
                assert [configs[ours].get(key) for key in shared] == [configs[alone].get(key) for key in shared]
                paired += 1
    assert paired > 50


def test_an_axis_changes_one_thing() -> None:
    """Along each axis only its own entry of a method's configuration differs."""
    _, plan = planned("--part", "growth", "--method", "dc", "--method", "mim:base=dc,weight=1,balance=gradnorm")
    configs = {trial.hash: trial.config for trial in plan.trials}
    changed: dict[str, set[str]] = {}
    for curve in plan.factors[0].curves:
        levels = [level.label for level in plan.factors[0].levels if level.curve == curve.name]
        own = [configs[s.trials[0]] for s in plan.settings if s.levels[FACTOR] in levels and s.arm.has_term]
        changed[curve.name] = {key for key in own[0] if len({config[key] for config in own}) > 1}
        assert len(own) >= 4, "an exponent takes four sizes"
    assert changed == {
        "images": {COST},
        "classes": {COST},
        "images per class": {"ipc"},
        "side": {COST},
        "width": {"network.width"},
        "embedding": {"method.embedding"},
    }


def test_real_runs_have_parts_of_the_protocols_iterations() -> None:
    _, plan = planned("--quick", "--part", "worth")
    configs = {trial.hash: trial.config for trial in plan.trials}
    found = {
        (level.at, configs[setting.trials[0]]["method.iterations"])
        for level in plan.factors[0].levels
        for setting in plan.settings
        if setting.levels[FACTOR] == level.label and setting.arm.key == "dm" and level.curve == BUDGET
    }
    assert found == {(0.5, 25), (1.0, 50), (2.0, 100)}
    assert not any(COST in config for config in configs.values())


def test_the_papers_cells_have_its_network_and_batches() -> None:
    _, plan = planned("--part", "published", "--method", "dm", "--method", "dc")
    levels = {
        trial.hash: setting.levels[FACTOR]
        for setting in plan.settings
        for trial in plan.trials
        if trial.hash in setting.trials
    }
    for trial in plan.trials:
        assert (trial.config["network.width"], trial.config["method.batch_real"]) == (128, 256)
        assert levels[trial.hash].startswith(("28x28", "32x32"))
        if trial.config["method"] == "dc":
            assert trial.config["method.outer"] == ("one update" in levels[trial.hash])


# Problems


def test_a_problem_is_read_as_it_is_written() -> None:
    problem = Problem("cifar100", (3, 32, 32), 100, 5_000, 45_000)
    assert Problem.of(problem.text) == problem
    file = Problem("npz:my images", (1, 8, 8), 3, 30, 30)
    assert Problem.of(file.text) == file
    data = problem.generate()
    assert data.images.shape == (5_000, 3, 32, 32)
    assert (data.counts == 50).all()
    with pytest.raises(InputError, match="must be own or like"):
        Problem.of("cifar100 3x32, many classes")


def test_large_data_of_ones_own_are_sampled_and_counted_whole() -> None:
    whole = Problem("noise", (1, 4, 4), 10, 10_000, 10_000).generate()
    problem, images = problem_of("own", whole)
    assert (len(images), problem.images, problem.whole) == (4_100, 4_100, 10_000)
    assert (images.counts == 410).all(), "as many of every class, as a batch has"


# What a trial measures


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    splits = load("digits")
    return Inputs(splits, train_reference(splits, ConvNet(width=8), steps=5))


def measured(inputs: Inputs, method: str, *words: str) -> dict[str, float]:
    _, plan = planned("--quick", "--part", "own", "--method", method, *SMALL, "--seeds", "0", *words)
    outcome = cost_trial(Trial.of({**plan.trials[0].config, WINDOW: 0.02}), inputs)
    assert outcome.result["status"] == "ok"
    return {**outcome.measured["cost"], **outcome.result["operations"]}


@pytest.mark.slow
def test_an_iteration_is_timed_counted_and_weighed(inputs: Inputs) -> None:
    costs = measured(inputs, "dm")
    assert 0 < costs["iteration_seconds"] < 1
    assert 0 < costs["iteration_cpu_seconds"] < 2
    assert costs["iterations_timed"] >= 3
    assert costs["iteration_flops"] == pytest.approx(costs["counted_flops"], rel=0.02)
    assert 0 < costs["peak_bytes"] < 100 << 20
    assert costs["stored_bytes"] > 10 * 64 * 4, "ten images of 64 numbers"


@pytest.mark.slow
def test_the_term_adds_operations_that_the_formula_names(inputs: Inputs) -> None:
    alone, term = measured(inputs, "dm"), measured(inputs, "mim:base=dm,weight=1,balance=gradnorm")
    assert term["counted_flops"] > alone["counted_flops"]
    assert min(term["heads_flops"], term["critic_flops"]) > 0
    assert alone["heads_flops"] == alone["critic_flops"] == 0


@pytest.mark.slow
def test_experts_are_measured_on_a_part_and_scaled(inputs: Inputs) -> None:
    """A hundred times as many experts take a hundred times the operations, bytes and seconds, though one is trained."""
    few, many = (measured(inputs, "mtt", "--set", f"experts={count}", "--set", "steps=2") for count in (4, 400))
    assert many["preparation_flops"] == pytest.approx(100 * few["preparation_flops"])
    assert many["prepared_bytes"] == pytest.approx(100 * few["prepared_bytes"])
    parameters = 8 * 9 + 8 + 16 + 64 * 9 + 8 + 16 + 8 * 4 * 10 + 10  # two blocks of width 8 with norms, and a head
    assert few["prepared_bytes"] == 4 * 11 * parameters * 4, "quick: 10 epochs, a snapshot before the first"
    assert 10 < many["preparation_seconds"] / few["preparation_seconds"] < 1000


@pytest.mark.slow
def test_random_images_measure_the_evaluating_networks(inputs: Inputs) -> None:
    costs = measured(inputs, "random")
    assert costs["training_seconds"] == pytest.approx(3 * costs["epoch_seconds"])
    assert costs["classified_image_seconds"] > 0
    assert "iteration_seconds" not in costs


def test_a_trial_that_measures_nothing_distils(inputs: Inputs) -> None:
    _, plan = planned("--quick", "--part", "worth", "--method", "dm", *SMALL, "--set", "iterations=2", "--seeds", "0")
    outcome = cost_trial(plan.trials[0], inputs)
    assert len(outcome.report_only["test_accuracy"]) == 2


@pytest.mark.parametrize(("once", "window", "repeats"), [(0.02, 0.05, 3), (0.02, 0.11, 6), (0.05, 0.004, 1)])
def test_a_stage_is_repeated_as_forecast(once: float, window: float, repeats: int) -> None:
    """For a window and at least three times, but a stage of more than ten windows once."""
    timing = timed(lambda: time.sleep(once), window, "cpu", lambda: None)
    assert len(timing.wall) == repeats
    assert timed_seconds(once, window) == pytest.approx((1 + repeats) * once)


def test_what_runs_in_turns_gives_the_ratio_of_neighbours() -> None:
    timing = timed(lambda: time.sleep(0.02), 0.05, "cpu", lambda: None, lambda: time.sleep(0.01))
    assert len(timing.others) == len(timing.wall)
    assert 1.2 < timing.ratio < 2.2


# Rates and forecasts


def test_rates_that_made_the_seconds_are_found() -> None:
    rate = Rate(step=1e-3, multiply_add=2e-11, number=3e-9, draw=0.0)
    rng = np.random.default_rng(0)
    operations = [
        Operations(
            network=10.0 ** rng.uniform(6, 11), steps=int(rng.integers(1, 50)), activations=10.0 ** rng.uniform(4, 8)
        )
        for _ in range(40)
    ]
    seconds = [rate.seconds(one) * math.exp(rng.normal(0, 0.02)) for one in operations]
    found = fit(operations, seconds)
    assert found.step == pytest.approx(rate.step, rel=0.1)
    assert found.multiply_add == pytest.approx(rate.multiply_add, rel=0.1)
    assert found.number == pytest.approx(rate.number, rel=0.2)
    assert found.off == pytest.approx(1.02, abs=0.01)


def test_the_rates_beside_a_study_are_the_latest(tmp_path: Path) -> None:
    shipped = Speeds.read(SHIPPED)
    assert speeds_beside(tmp_path / "sensitivity-1", "cpu", 1) == shipped
    (tmp_path / "cost-1").mkdir()
    (tmp_path / "cost-1" / "speeds.json").write_text(json.dumps({**shipped.json(), "machine": "mine"}))
    assert speeds_beside(tmp_path / "sensitivity-1", "cpu", 1).machine == "mine"
    assert speeds_beside(tmp_path / "sensitivity-1", "cuda", 1) == shipped, "one of a processor says nothing of a GPU"
    (tmp_path / "cost-1" / "speeds.json").write_text("{}")
    with pytest.raises(InputError, match="holds no speeds of a machine"):
        speeds_beside(tmp_path / "sensitivity-1", "cpu", 1)


def test_speeds_are_those_of_this_machine_by_its_pace() -> None:
    _, plan = planned("--quick", "--part", "worth", "--method", "dm")
    config, shipped = plan.trials[0].config, Speeds.read(SHIPPED)
    known = replace(shipped, pace=0.01)
    slower = known.at(0.03)
    assert trial_seconds(config, slower) == pytest.approx(3 * trial_seconds(config, known))
    assert slower.driver.startup_seconds == pytest.approx(3 * known.driver.startup_seconds)
    assert slower.machine.endswith(", times 3 for this machine")
    assert slower.at(0.01).driver.startup_seconds == pytest.approx(known.driver.startup_seconds)
    unknown, of_a_gpu = replace(shipped, pace=0.0), replace(known, device="cuda")
    assert unknown.at(0.03) == unknown
    assert of_a_gpu.at(0.03) == of_a_gpu


def test_a_pace_is_a_time_that_a_dry_run_can_afford() -> None:
    began = time.perf_counter()
    seconds = pace_seconds.__wrapped__()
    assert 0 < seconds < time.perf_counter() - began < 10


def test_twice_the_iterations_are_forecast_to_take_longer() -> None:
    speeds = Speeds.read(SHIPPED)
    _, plan = planned("--quick", "--part", "worth", "--method", "dm")
    by_iterations = {
        int(trial.config["method.iterations"]): trial_seconds(trial.config, speeds) for trial in plan.trials
    }
    assert by_iterations[25] < by_iterations[50] < by_iterations[100]


# The answer


@pytest.fixture(scope="module")
def folder(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A whole study of two methods, each trial as it is run."""
    out = tmp_path_factory.mktemp("cost")
    words = ["--quick", "--method", "dm", "--method", "mim:base=dm,weight=1,balance=gradnorm", "--method", "random"]
    options, plan = planned(*words, *SMALL, "--set", "iterations=4")
    metadata = study_metadata(STUDY, options, configuration_of(STUDY, options), plan)
    journal = Journal(out, {**metadata, "data_digest": inputs.splits.digest, "data_notes": []})
    journal.write_settings(plan.settings)
    for trial in plan.trials:
        quicker = {**trial.config, WINDOW: 0.01} if COST in trial.config else trial.config
        outcome = cost_trial(Trial.of(quicker), inputs)
        journal.add(type(outcome)(trial, outcome.result, outcome.report_only, outcome.measured), 0)
    journal.close()
    return StudyFolder.read(out)


@pytest.mark.slow  # a hundred trials
def test_the_answer_is_a_function_of_its_rows(folder: StudyFolder) -> None:
    answer = STUDY.answer(folder)
    text = " ".join(map(str, answer.sentences))
    assert "the time of an iteration with the MI term, over the base's without it, is" in text
    assert "DM + MIM4DD (equal strength) less DM that has as much time for iterations is" in text
    assert {"overhead", "stages", "operations", "growth", "worth"} <= {table.name for table in answer.tables}
    assert {figure.name for figure in answer.figures} >= {"stages", "growth", "worth"}
    speeds = answer.files["speeds.json"]
    rows = [row for row in read_rows(folder.path).values() if COST in row.config]
    assert Speeds.of_record(speeds).iteration["any method"].n == sum("iteration_seconds" in row.costs for row in rows)


def answered(tmp_path: Path, inputs: Inputs, *words: str) -> str:
    """The sentences of a study whose trials ran as they are run, each stage for an instant."""
    options, plan = planned(*words, *SMALL, "--seeds", "0")
    metadata = study_metadata(STUDY, options, configuration_of(STUDY, options), plan)
    journal = Journal(tmp_path / "out", {**metadata, "data_digest": inputs.splits.digest, "data_notes": []})
    journal.write_settings(plan.settings)
    for trial in plan.trials:
        config = {**trial.config, WINDOW: 0.01, MEMORY: False} if COST in trial.config else trial.config
        outcome = cost_trial(Trial.of(config), inputs)
        journal.add(replace(outcome, trial=trial), 0)
    journal.close()
    return " ".join(map(str, STUDY.answer(StudyFolder.read(tmp_path / "out")).sentences))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--part", "own", "--method", "random"], "one synthetic set by the protocol's iterations takes"),
        (["--part", "own", "--method", "dm"], "preparation included, evaluation not measured: DM"),
        (["--part", "own", "--method", "mim:base=dm,weight=1"], "over the base's without it, is"),
        (["--quick", "--part", "worth", "--method", "dm", "--set", "iterations=4"], "the mean test accuracy is: DM"),
    ],
)
def test_a_part_of_the_study_has_an_answer(tmp_path: Path, inputs: Inputs, words: list[str], expected: str) -> None:
    assert expected in answered(tmp_path, inputs, *words)


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(InputError, match="leave nothing to measure"):
        planned("--part", "growth", "--method", "random", "--quick")


def test_a_spec_that_fixes_what_an_axis_varies_is_not_on_it() -> None:
    _, plan = planned("--part", "growth", "--method", "mim:base=dm,weight=1,embedding=64")
    assert not any(level.curve == "embedding" for level in plan.factors[0].levels)


def test_the_figure_of_stages_prints_the_tables_time_and_no_stage_that_took_none() -> None:
    """MTT at the paper's width: evaluating was not measured, and a mean of seconds is not their geometric mean."""
    results = STUDY.answer(StudyFolder.read(Path(__file__).parents[2] / "docs" / "results" / "cost-mtt"))
    [figure] = [one for one in results.figures if one.name == "stages"]
    [table] = [one for one in results.tables if one.name == "stages"]
    assert figure.drawing is not None
    printed = [text.get_text() for axes in figure.drawing.axes for text in axes.texts]
    wholes = [row[table.columns.index("a set in all")] for row in table.rows]
    assert len(wholes) == 6
    assert all(isinstance(one, Quantity) for one in wholes)
    assert printed == [" ".join(Quantity(one.mean, unit=one.unit).printed) for one in wholes]  # type: ignore[union-attr]
    assert [text.get_text() for text in figure.drawing.legends[0].get_texts()] == ["preparing", "distilling"]
