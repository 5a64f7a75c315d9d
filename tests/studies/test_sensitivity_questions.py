"""The declared contrasts of the sensitivity study: thirds, the best on other seeds, families, and the plan's arms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_rows import made_folder, made_row

from mim4dd.errors import InputError
from mim4dd.registry import Flat
from studies.answers.ledger import Ledger
from studies.answers.results import Results
from studies.answers.sensitivity.analysis import Analysis
from studies.answers.sensitivity.asked import values_of
from studies.answers.sensitivity.plan import plan_sensitivity
from studies.answers.sensitivity.questions import split_seeds, third_of, thirds
from studies.engine.arms import Arm, Setting
from studies.engine.design import fixed_design
from studies.engine.metadata import configuration_of
from studies.engine.options import parse_options
from studies.engine.plan import Plan
from studies.engine.sizes import Size
from studies.engine.space import Axis
from studies.engine.statistics.contrasts import Decision
from studies.sensitivity import STUDY

RHO = Axis("method.weight", "ρ", 0.03, 30, log=True, name="strength", given=(("method.balance", "gradnorm"),))
TAU = Axis("method.temperature", "τ", 0.03, 1, log=True)
# Three settings in each third of ρ; those in the middle are the best, and the last ones the worst.
WEIGHTS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
LEVELS = (0.0, 0.001, 0.002, 0.02, 0.02, 0.02, -0.02, -0.02, -0.02)


def folder_of(path: Path, seeds: int, levels: tuple[float, ...] = LEVELS, noise: float = 0.001) -> Any:
    """Nine settings on as many seeds; accuracy is .8 and the setting's level, with a little noise."""
    rng = np.random.default_rng(0)
    base, default = Arm("dm", "mim", {"method.weight": 0.0}, role="base"), Arm("d", "mim", {}, "dm", "default")
    knobs: list[Flat] = [
        {"method.weight": weight, "method.balance": "gradnorm", "method.temperature": (0.05, 0.2, 0.7)[k % 3]}
        for k, weight in enumerate(WEIGHTS)
    ]
    equal = Arm("e", "mim", {"method.weight": 1.0, "method.balance": "gradnorm"}, "dm", "variant")
    arms = [base, default, equal, *(Arm(f"s{k}", "mim", one, "dm", "design") for k, one in enumerate(knobs))]
    rows, settings = {}, []
    for k, (arm, level) in enumerate(zip(arms, (0.0, 0.0005, 0.015, *levels), strict=True)):
        trials = tuple(f"{k:08d}{seed:08d}" for seed in range(seeds))
        for trial in trials:
            scores = 0.8 + level + noise * rng.normal(size=2)
            measures = {} if arm is base else {"gradient_ratio": arm.knobs.get("method.weight", 0.02)}
            rows[trial] = made_row(trial, {"method": "mim"}, scores.tolist(), measures=measures)
        settings.append(Setting(k, arm, {}, trials))
    axes = [{"values": [], **vars(axis)} for axis in (RHO, TAU)]
    configuration = {"ipc": 1, "method.weight": 0.8, "method.balance": "none", "method.temperature": 0.1}
    return made_folder(path, settings, rows, range(seeds), axes=axes, configuration=configuration, fixed=[])


def analysis_of(folder: Any) -> Analysis:
    return Analysis(Ledger(Results(folder)), ())


def test_thirds_of_continuous_and_listed_axes() -> None:
    split = thirds(RHO, np.array([RHO.unit(weight) for weight in WEIGHTS]), range(9))
    assert (split.lower, split.middle, split.upper) == ((0, 1, 2), (3, 4, 5), (6, 7, 8))
    assert [split.span(third) for third in range(3)] == ["ρ 0.03 to 0.3", "ρ 0.3 to 3", "ρ 3 to 30"]
    wide = thirds(Axis("method.weight", "λ", 0.01, 100, log=True), np.array([]), ())
    assert wide.span(2) == "λ 4.6 to 100"
    listed = Axis("method.embedding", "D", values=(0, 16, 32, 64, 128, 256))
    assert [third_of(listed, listed.unit(value)) for value in listed.values] == [0, 0, 1, 1, 2, 2]
    assert thirds(listed, np.array([]), ()).span(1) == "D 32, 64"


@pytest.mark.parametrize(("n", "choosing"), [(1, 0), (2, 1), (5, 1), (6, 1), (8, 2), (10, 2), (20, 4)])
def test_a_choice_leaves_seeds_enough_to_decide(n: int, choosing: int) -> None:
    chosen, judged = split_seeds(range(n), n)
    assert len(chosen) == choosing
    assert (*chosen, *judged) == tuple(range(n))


def test_the_seeds_that_every_setting_has_are_those_to_choose_on() -> None:
    assert split_seeds(range(3, 15), 5) == ((3, 4, 5, 6, 7), (8, 9, 10, 11, 12, 13, 14))


def test_every_contrast_is_that_of_its_cells(tmp_path: Path) -> None:
    analysis = analysis_of(folder_of(tmp_path, 10))
    questions, test = analysis.questions, analysis.test.mean(axis=2)
    assert (questions.default.decision, questions.default.judged.size) == (Decision.GAIN, "below")
    assert questions.strength is not None
    assert questions.strength.contrast.differences == pytest.approx(test[1] - test[0])
    assert (questions.strength.decision, questions.strength.judged.size) == (Decision.GAIN, "beyond")
    assert questions.best is not None
    main = (questions.default, questions.strength, questions.best)
    assert {(ruling.judged.family, ruling.judged.family_size) for ruling in main} == {("the main questions", 3)}
    by_members = {step.members: ruling for step, ruling in questions.knobs if step.thirds.axis == RHO}
    assert list(by_members) == [((2, 3, 4), (5, 6, 7)), ((5, 6, 7), (8, 9, 10))]
    weaker, stronger = by_members.values()
    assert weaker.contrast.differences == pytest.approx(test[5:8].mean(0) - test[2:5].mean(0))
    assert (weaker.decision, stronger.decision) == (Decision.GAIN, Decision.LOSS)
    [(step, knob)] = [one for one in questions.knobs if one[0].thirds.axis == TAU]
    assert (step.of, step.to, step.where) == (0, 2, "ρ below 3")
    assert step.members == ((2, 5), (4, 7)), "without the settings in the upper third of ρ"
    assert knob.contrast.differences == pytest.approx(test[[4, 7]].mean(0) - test[[2, 5]].mean(0))
    assert (knob.judged.family, knob.judged.family_size) == ("the knobs over their ranges", 3)


def test_the_best_setting_is_judged_on_seeds_that_its_choice_did_not_read(tmp_path: Path) -> None:
    analysis = analysis_of(folder_of(tmp_path, 10))
    questions, test = analysis.questions, analysis.test.mean(axis=2)
    assert (questions.choosing, questions.judging) == ((0, 1), (2, 3, 4, 5, 6, 7, 8, 9))
    assert questions.chosen in (5, 6, 7)
    assert questions.best is not None
    expected = test[questions.chosen, 2:] - analysis.base_sets[2:]
    assert questions.best.contrast.differences == pytest.approx(expected)
    assert questions.best.claim.seeds == questions.judging
    assert questions.best.claim.planned == 8
    assert {trial[8:] for trial in questions.best.claim.trials} == {f"{seed:08d}" for seed in range(2, 10)}
    assert questions.best.decision is Decision.GAIN
    assert questions.regret is not None
    assert questions.regret.decision is Decision.GAIN


def test_few_seeds_decide_nothing(tmp_path: Path) -> None:
    questions = analysis_of(folder_of(tmp_path, 3)).questions
    assert questions.best is not None
    assert questions.best.interval.n == 2
    assert questions.strength is not None
    rulings = [questions.default, questions.strength, questions.best, *(ruling for _, ruling in questions.knobs)]
    assert {ruling.decision for ruling in rulings} == {Decision.UNDECIDED}


def test_a_setting_that_never_finishes_is_left_out_of_its_third(tmp_path: Path) -> None:
    levels = (*LEVELS[:4], float("nan"), *LEVELS[5:])
    questions = analysis_of(folder_of(tmp_path, 6, levels)).questions
    [weaker, _] = [one for one in questions.knobs if one[0].thirds.axis == RHO]
    assert weaker[0].members == ((2, 3, 4), (5, 7))
    assert weaker[1].interval.n == 6


def test_an_unbalanced_default_lies_where_its_measured_strength_does(tmp_path: Path) -> None:
    analysis = analysis_of(folder_of(tmp_path, 5))
    assert analysis.units[0, 0] == pytest.approx(RHO.unit(0.02))
    assert analysis.units[0, 0] < 0
    assert analysis.units[1, 0] == pytest.approx(RHO.unit(1.0))
    assert analysis.units[2, 0] == pytest.approx(RHO.unit(0.05))


def test_the_span_of_a_listed_knob_names_its_values(tmp_path: Path) -> None:
    analysis = analysis_of(folder_of(tmp_path, 5))
    critic = Axis("method.critic", "critic", values=("nce", "infonce"))
    analysis.space = (RHO, critic)
    analysis.folder.study["configuration"]["method.critic"] = "nce"
    analysis.tried[2].knobs["method.critic"] = "infonce"
    assert values_of(analysis, (1, 2)) == "ρ 0.05 to 1, critic infonce to nce"
    assert values_of(analysis, (0, 1)) == "ρ 0.02 to 1, critic nce"


def plan_of(*words: str) -> Plan:
    options = parse_options("", STUDY.script, STUDY.flags, words)
    plan: Plan = plan_sensitivity(options, configuration_of(STUDY, options))
    return plan


def test_the_default_design_is_over_strength_with_its_control() -> None:
    plan = plan_of("--seeds", "0-1")
    assert [axis.symbol for axis in plan.space] == ["τ", "ρ", "β", "D"]
    assert (plan.space[1].low, plan.space[1].high) == (0.03, 30)
    roles = [one.arm.role for one in plan.settings]
    assert roles == ["full", "default", "base", "random", "variant", "placebo", *["design"] * 9]
    configs = {trial.hash: trial.config for trial in plan.trials}
    designed = [configs[one.trials[0]] for one in plan.settings if one.arm.role == "design"]
    assert {config["method.balance"] for config in designed} == {"gradnorm"}
    default = next(one for one in plan.settings if one.arm.role == "default")
    assert configs[default.trials[0]]["method.balance"] == "none"
    placebo = next(one for one in plan.settings if one.arm.placebo)
    assert configs[placebo.trials[0]]["method.direction"] == "base"
    assert len(plan.trials) == 1 + 2 * 14
    assert not any("interim" in trial.config for trial in plan.trials)


def test_the_floor_and_the_control_run_on_some_of_the_seeds_but_on_enough_to_decide() -> None:
    for seeds, few, first in (("0-9", 5, 5), ("0-5", 5, 6), ("0-2", 3, 3), ("0-19", 10, 5)):
        sizes = {one.arm.role: len(one.trials) for one in plan_of("--seeds", seeds).settings}
        assert (sizes["random"], sizes["placebo"]) == (min(few, 5), few)
        assert sizes["default"] == sizes["base"] == sizes["variant"]
        assert sizes["design"] == first


def rows_of(plan: Plan, best: int, seeds: int) -> Any:
    """Rows of the first seeds of every setting; the design's setting of that number is the best on them."""
    designed = [one for one in plan.settings if one.arm.role == "design"]
    return {
        trial: made_row(trial, {"method": "mim"}, [0.9 if one is designed[best] else 0.8])
        for one in plan.settings
        for trial in one.trials[:seeds]
    }


def test_the_best_setting_goes_on_to_the_seeds_that_judge_it() -> None:
    plan = replace(plan_of("--seeds", "3-12"), size=Size((1, 8, 8), 10, 1_000, 500))
    assert (plan.growth, plan.grown({})) == (5, plan)
    rows = rows_of(plan, 4, 5)
    grown = plan.grown(rows)
    assert (grown.second_stage, grown.growth, grown.size) == (None, 0, plan.size)
    sizes = [len(one.trials) for one in grown.settings if one.arm.role == "design"]
    assert sizes == [5, 5, 5, 5, 10, 5, 5, 5, 5]
    added = [trial for trial in grown.trials if trial not in plan.trials]
    before = {trial.hash: trial.config for trial in plan.trials}
    best = next(one for one in grown.settings if len(one.trials) == 10 and one.arm.role == "design")
    assert [trial.config for trial in added] == [{**before[best.trials[0]], "seed": seed} for seed in range(8, 13)]
    assert best.trials[5:] == tuple(trial.hash for trial in added)
    del rows[best.trials[0]]
    assert plan.grown(rows) is plan


def test_with_perturbed_data_each_kind_chooses_and_the_chosen_run_on_both() -> None:
    plan = plan_of("--seeds", "0-9", "--perturb", "symmetric:rate=0.4")
    rows = rows_of(plan, 2, 5)
    noisy = [one for one in plan.settings if one.arm.role == "design" and one.levels != plan.settings[0].levels]
    rows |= {trial: made_row(trial, {"method": "mim"}, [0.95]) for trial in noisy[6].trials}
    grown = plan.grown(rows)
    sizes = [len(one.trials) for one in grown.settings if one.arm.role == "design"]
    assert sizes == 2 * [5, 5, 10, 5, 5, 5, 10, 5, 5]
    assert plan.growth == 20


def test_the_seeds_to_choose_on_are_given_or_are_five_of_ten() -> None:
    def first(*words: str) -> set[int]:
        return {len(one.trials) for one in plan_of(*words).settings if one.arm.role == "design"}

    assert [first("--seeds", seeds) for seeds in ("0-8", "0-9")] == [{9}, {5}]
    assert first("--seeds", "0-8", "--choose-on", "3") == {3}
    with pytest.raises(
        InputError, match="--choose-on must leave 5 of the seeds, which judge the best setting, got 4 of 8"
    ):
        plan_of("--seeds", "0-7", "--choose-on", "4")
    with pytest.raises(InputError, match="--choose-on is for a fixed design"):
        plan_of("--design", "tpe", "--choose-on", "4")


def test_a_contrast_is_judged_on_the_seeds_that_are_planned_for_all_of_its_cells(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 8)
    short = [replace(one, trials=one.trials[:5]) if one.arm.key == "s0" else one for one in folder.settings]
    results = Results(replace(folder, settings=short))
    gain = results.gain("s0")
    assert (len(gain.differences), gain.absent, gain.seeds) == (5, 0, (0, 1, 2, 3, 4))
    assert len(gain.trials) == 10
    assert (len(results.gain("s1").differences), results.gain("s1").seeds) == (8, ())


def test_a_range_of_the_weight_searches_it_without_balance() -> None:
    plan = plan_of("--seeds", "0", "--range", "weight=0.001:100")
    axis = next(axis for axis in plan.space if axis.key == "method.weight")
    assert (axis.symbol, axis.low, axis.high, axis.given) == ("λ", 0.001, 100, ())
    configs = {trial.hash: trial.config for trial in plan.trials}
    designed = [configs[one.trials[0]] for one in plan.settings if one.arm.role == "design"]
    assert {config["method.balance"] for config in designed} == {"none"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--range", "strength=1:2", "--range", "weight=1:2"], "does not go with --range weight"),
        (["--range", "strength=1:2", "--set", "weight=3"], "does not go with --set weight"),
        (["--range", "strength=2:1"], "--range strength must have low < high"),
        (["--design", "latin", "--settings", "8"], "takes 4, 9, 25, 49 settings, got 8"),
        (["--range", "critic=nce,infonce"], "takes at most 4 knobs, got 5; --settings 25 takes as many"),
    ],
)
def test_what_no_design_can_be_is_refused_in_one_line(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        plan_of(*words)
    assert "\n" not in str(caught.value)


def test_any_two_knobs_of_a_latin_design_meet_in_every_pair_of_thirds() -> None:
    axes = plan_of("--seeds", "0").space
    points = [knobs for knobs, _ in fixed_design("latin", axes, 9)]
    cells = np.array([[third_of(axis, axis.unit(knobs[axis.key])) for axis in axes] for knobs in points])
    for a in range(4):
        for b in range(a):
            assert len({(int(one), int(other)) for one, other in cells[:, [a, b]]}) == 9
    assert points == [knobs for knobs, _ in fixed_design("latin", axes, 9)]
    assert points != [knobs for knobs, _ in fixed_design("latin", axes, 9, seed=1)]
