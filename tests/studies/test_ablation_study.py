"""The ablation: its plan and its refusals, its answer from made rows with known effects, and other draws of a seed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from made_rows import factors_of, lost, made_folder, made_row

from mim4dd.data import load
from mim4dd.data.operations import SIAMESE
from mim4dd.information import train_reference
from mim4dd.networks import ConvNet
from mim4dd.registry import Flat
from studies.ablation import STUDY
from studies.answers.ablation.answer import at_references, write_answer
from studies.answers.ablation.flags import AblationFlags
from studies.answers.ablation.levels import REPEATED
from studies.answers.ablation.plan import plan_ablation
from studies.answers.ledger import Ledger
from studies.answers.parts.ablation_path import greedy, paths_part
from studies.answers.parts.factorial import Factorial, effects
from studies.answers.parts.placebos import against_placebos
from studies.answers.results import Results
from studies.engine.answer import Answer, Quantity
from studies.engine.arms import placebo_knobs
from studies.engine.command import main
from studies.engine.estimate import preparation_of
from studies.engine.folder import StudyFolder
from studies.engine.metadata import configuration_of, study_metadata
from studies.engine.options import Options, parse_options
from studies.engine.plan import Plan
from studies.engine.report import write_report
from studies.engine.running import TrialRun, run_trial
from studies.engine.statistics.contrasts import Decision
from studies.engine.trial import DRAWS, Inputs, Trial, distillation_seed

SCRIPT = Path(__file__).parents[2] / "studies" / "ablation.py"
TERM, BASE = "mim:base=dm,balance=gradnorm,weight=1", "dm"
SIX = ("MI term", "critic", "head", "layers", "augmentation", "initial images")


def asked(*words: str) -> Options[AblationFlags]:
    return parse_options("", STUDY.script, AblationFlags, words)


@cache
def planned(*words: str) -> Plan:
    options = asked(*words)
    return plan_ablation(options, configuration_of(STUDY, options))


def configs(plan: Plan) -> dict[str, Flat]:
    return {trial.hash: trial.config for trial in plan.trials}


Value = Callable[[Flat], float]


def folder_of(path: Path, value: Value, *words: str, noise: float = 0.004) -> StudyFolder:
    """A finished study whose accuracy is a function of the configuration, with noise of the seed and of the trial."""
    options, plan = asked(*words), planned(*words)
    rows, rng = {}, np.random.default_rng(0)
    of_seed = {seed: rng.normal(0, 0.02) for seed in options.seeds}
    for trial in plan.trials:
        config = trial.config
        score = 0.5 + value(config) + of_seed[int(config["seed"])] + rng.normal(0, noise)
        row = made_row(trial.hash, config, [score], critic_information_nats=0.2)
        rows[trial.hash] = row
    metadata = study_metadata(STUDY, options, configuration_of(STUDY, options), plan)
    kept = {
        key: metadata[key] for key in ("study", "title", "question", "halvings", "parts", "command") if key in metadata
    }
    return made_folder(path, plan.settings, rows, options.seeds, **factors_of(*plan.factors), **kept)


def known(config: Flat) -> float:
    """Augmentation 5 points, the term 3; its nce 2 more, with real images 4 more; head and layers nothing."""
    term = config["method"] == "mim" and config["method.weight"] != 0
    placebo = bool(placebo_knobs(config))
    real = config["method.base.init"] == "real"
    score = 0.05 * (config["method.base.augment"] == SIAMESE)
    return score + (term and not placebo) * (0.03 + 0.02 * (config["method.critic"] == "nce") + 0.04 * real)


def of_methods(value: Value) -> Value:
    return lambda config: value(config) if config["method"] == "mim" else -0.2


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    path = tmp_path_factory.mktemp("ablation")
    return folder_of(path, of_methods(known), "--seeds", "0-5", "--part", "factorial", "--part", "placebos")


def design_of(folder: StudyFolder) -> Factorial:
    halvings = int(folder.study.get("halvings", 0))
    results = Results(folder)
    return Factorial(Ledger(results), results, (BASE, TERM), "MI term", REPEATED, halvings)


# The plan


def test_the_complete_design_has_36_distinct_cells_of_64_each_under_two_draws() -> None:
    plan = planned("--seeds", "0", "--part", "factorial")
    assert [factor.name for factor in plan.factors] == [*SIX[1:], REPEATED]
    of_methods = [config for config in configs(plan).values() if config["method"] == "mim"]
    assert Counter((config["method.weight"] != 0, config.get(DRAWS, 0)) for config in of_methods) == {
        (True, 0): 32,
        (True, 1): 32,
        (False, 0): 4,
        (False, 1): 4,
    }
    assert len(configs(planned("--seeds", "0", "--part", "factorial", "--draws", "1"))) == 36 + 2
    for config in of_methods:
        varied = ("critic", "head", "layers") if config["method.weight"] == 0 else ()
        assert {name: config[f"method.{name}"] for name in varied} == dict(
            zip(varied, ("nce", "random", "all"), strict=False)
        )


def test_levels_are_low_and_high_and_the_reference_is_the_methods_own_default() -> None:
    plan = planned("--seeds", "0", "--part", "factorial")
    levels = {factor.name: [(level.label, level.at, level.entry) for level in factor.levels] for factor in plan.factors}
    assert levels["critic"] == [("nce", 1.0, {}), ("infonce", 0.0, {"method.critic": "infonce"})]
    assert levels["head"] == [("random head", 0.0, {}), ("learned head", 1.0, {"method.head": "learned"})]
    assert levels["initial images"][0] == ("from real images", 1.0, {})
    of_dc = planned("--seeds", "0", "--part", "factorial", "--base", "dc").factors
    assert [
        (one.reference.label, one.reference.at) for one in of_dc if one.name in ("augmentation", "initial images")
    ] == [
        ("not augmented", 0.0),
        ("from noise", 0.0),
    ]


def test_references_are_the_trials_of_other_studies() -> None:
    from studies.answers.comparing.plan import arm_of

    plan, options = planned("--seeds", "0"), asked("--seeds", "0")
    first = {
        setting.arm.key: setting.trials[0]
        for setting in reversed(plan.settings)
        if setting.levels[REPEATED] == "draws 1"
    }
    for spec in (TERM, f"{TERM},direction=base", f"{TERM},pairs=shuffled", f"{TERM},critic=nce_positives", "random"):
        assert first[spec] == Trial.of({**arm_of(options, spec).config, "seed": 0}).hash
    config = configs(plan)[first[BASE]]
    assert (config["method.weight"], config["method.balance"]) == (0.0, "none")
    assert "method.pairs" not in config


def test_every_critic_head_and_layers_run_once_at_the_references_of_the_rest() -> None:
    plan = planned("--seeds", "0", "--part", "critics")
    assert len(plan.factors) == 3
    of_term = [setting for setting in plan.settings if setting.arm.key == TERM]
    assert len(of_term) == 5 * 4 * 2
    found = [configs(plan)[setting.trials[0]] for setting in of_term]
    assert {config["method.critic"] for config in found} == {"nce", "nce_raw", "infonce", "supcon", "triplet"}
    assert Counter((config["method.head"], config["method.embedding"]) for config in found) == {
        ("random", 128): 10,
        ("learned", 128): 10,
        ("mlp", 128): 10,
        ("random", 0): 10,
    }
    assert len(configs(planned("--seeds", "0"))) == 72 + 5 + 1 + 1 + 32  # 8 of the 40 are among the factorial's


def test_a_quick_run_decides_with_fewer_components() -> None:
    plan = planned("--quick")
    assert [factor.name for factor in plan.factors] == ["critic", "augmentation", "initial images", REPEATED]
    assert asked("--quick").seeds == (0, 1, 2, 3, 4)
    assert len(plan.trials) == 5 * (2 * (8 + 4) + 5 + 1) + 1


def test_a_fraction_keeps_the_runs_of_the_design_and_says_so() -> None:
    plan = planned("--seeds", "0", "--part", "factorial", "--fraction", "1/2", "--draws", "1")
    assert len([setting for setting in plan.settings if setting.arm.key == TERM]) == 16 + 1  # the reference besides
    assert study_metadata_of("--fraction", "1/2")["halvings"] == 1
    assert study_metadata_of()["halvings"] == 0
    hashes = {study_metadata_of(*words)["hash"] for words in ((), ("--fraction", "1/2"), ("--draws", "1"))}
    assert len(hashes) == 3


def study_metadata_of(*words: str) -> dict[str, object]:
    options = asked(*words)
    return study_metadata(STUDY, options, configuration_of(STUDY, options), planned(*words))


def test_knobs_of_base_network_and_term_can_be_components() -> None:
    plan = planned("--seeds", "0", "--part", "factorial", "--factor", "network.width=8,32", "--factor", "weight=0.3,3")
    names = [factor.name for factor in plan.factors]
    assert names == ["critic", "head", "layers", "augmentation", "initial images", "network.width", "weight", REPEATED]
    width = next(factor for factor in plan.factors if factor.name == "network.width")
    assert [(level.label, level.at) for level in width.levels] == [("network.width=32", 1.0), ("network.width=8", 0.0)]
    found = [config for config in configs(plan).values() if config["method"] == "mim" and config.get(DRAWS) is None]
    assert {config["method.weight"] for config in found} == {0.0, 0.3, 3.0}
    assert Counter(config["network.width"] for config in found if config["method.weight"] == 0) == {8: 4, 32: 4}


def test_knobs_that_configurations_leave_out_at_their_default_can_be_components() -> None:
    plan = planned("--quick", "--factor", "last_weight=0,1", "--part", "factorial")
    (factor,) = [factor for factor in plan.factors if factor.name == "last_weight"]
    own, other = factor.levels
    assert (own.label, own.entry, own.at) == ("last_weight=1", {}, 1.0)
    assert (other.entry, other.at) == ({"method.last_weight": 0.0}, 0.0)


def test_what_is_fixed_is_no_component_and_is_told() -> None:
    plan = planned("--seeds", "0", "--set", "critic=infonce")
    assert "critic" not in {factor.name for factor in plan.factors}
    assert plan.notes[0] == "critic is no component: --set fixes it"
    assert "nce, and the critic is infonce" in plan.notes[1]
    kinds = [setting.arm.name for setting in plan.settings if setting.arm.placebo]
    assert kinds == [
        f"DM, {what} (equal strength, infonce)" for what in ("longer step", "random direction", "shuffled labels")
    ]
    given = planned("--seeds", "0", "--set", "weight=8").settings
    assert next(setting.arm.name for setting in given if setting.arm.role == "default") == "DM + MIM4DD (λ=8)"
    assert "head" not in {factor.name for factor in planned("--seeds", "0", "--set", "embedding=0").factors}


REFUSED = {
    "--factor foo=1,2": "unknown knob 'foo'",
    "--factor critic=nce": "--factor critic must be two different levels, LOW,HIGH, got 'nce'",
    "--factor critic=nce,nce": "--factor critic must be two different levels",
    "--factor lr": "--factor must be key=value, got 'lr'",
    "--factor temperature=-1,1": "mim.temperature must be in (0, inf), got -1",
    "--factor temperature=a,1": "mim.temperature must be a number, got 'a'",
    "--factor critic=nce,mine": "mim.critic must be one of",
    "--factor weight=0,1": "takes the term away",
    "--factor direction=both,base": "takes the term away",
    "--factor critic=nce,nce_positives": "takes the term away",
    "--factor base=dm,dc": "method.base is a component, which --factor cannot vary",
    "--factor size=8,16": "source.size belongs to the data",
    "--factor temperature=0.1,1 --factor method.temperature=0.2,0.9": "--factor names one knob in two ways",
    "--factor pairs=class,shuffled": "takes the term away, which is the component MI term already",
    "--set critic=nce --factor critic=nce,infonce": "is fixed by --set and varied by --factor",
    "--set weight=0": "--set method.weight=0.0 leaves no MI term to take apart",
    "--set direction=base": "--set method.direction=base leaves no MI term to take apart",
    "--quick --fraction 1/8": "--fraction 1/8 leaves too few runs: 4 factors need more than 2 runs",
    "--part critics --fraction 1/2": "--factor, --fraction and --draws are for the factorial; add --part factorial",
    "--part critics --draws 1": "--factor, --fraction and --draws are for the factorial; add --part factorial",
    "--part critics --set critic=nce --set head=mlp --set layers=all": "--set fixes all three; leave one free",
    "--part critics --part placebos --set critic=nce --set head=mlp --set layers=all": "--set fixes all three",
    "--factor positives_share=0.3,0.5": "is read where not all positives are; give --set positives=similar too",
    "--factor temperature=0.1,0.10000000001": "two levels of temperature have one name, temperature=0.1",
    "--set method=dc": "--set method=dc: the method is no knob; give --base dc",
    "--base mtt --set base=dc": "--base mtt and --set base=dc both name the base; give one of them",
    "--cpus-per-trial 1000": "a trial requests 1000 CPUs, this machine has",
    "--seeds 0-299": "a study must have at most 20,000 trials",
    "--base random": "mim.base must be a method that matches real and synthetic images",
    "--factor base.lr=0.1,1 --factor base.momentum=0,0.5 --factor temperature=0.1,1": "at most 8 components with",
}


@pytest.mark.parametrize("words", REFUSED)
def test_bad_input_is_one_line_and_status_2(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(STUDY, [*words.split(), "--dry-run"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("error: ")
    assert REFUSED[words] in line


def test_a_dry_run_says_trials_and_time_without_torch() -> None:
    code = (
        f"import sys, runpy; sys.argv = ['ablation.py', '--dry-run', '--quick']\ntry: runpy.run_path({str(SCRIPT)!r}, "
    )
    code += (
        "run_name='__main__')\nexcept SystemExit as end: print(end.code, {'torch', 'ray', 'mlflow'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.startswith("151 trials of 31 settings")
    assert ran.stdout.endswith("0 set()\n")


# Other draws


@cache
def inputs() -> Inputs:
    splits = load("digits")
    return Inputs(splits, train_reference(splits, ConvNet(width=8), steps=20))


def small(**more: int) -> Trial:
    words = [
        f"{k}={v}"
        for k, v in {"iterations": 4, "batch_real": 8, "width": 8, "epochs": 10, "evaluation.networks": 2}.items()
    ]
    options = asked(*[word for one in words for word in ("--set", one)])
    flat = configuration_of(STUDY, options).flat
    return Trial.of({**flat, "seed": 3, **more})


def test_other_draws_of_a_seed_are_another_set_judged_by_the_same_networks() -> None:
    first, again, other = (TrialRun(small(**more), inputs()) for more in ({}, {}, {DRAWS: 1}))
    assert first.task.seed == 3 == first.seed == other.seed
    assert (
        other.task.seed
        == distillation_seed(small(**{DRAWS: 1}).config)
        != distillation_seed(small(**{DRAWS: 2}).config)
    )
    assert torch.equal(first.distillation.learnable["pixels"], again.distillation.learnable["pixels"])
    assert not torch.equal(first.distillation.learnable["pixels"], other.distillation.learnable["pixels"])
    # An untrained set has the accuracy of the evaluation networks' initial weights, which are those of the seed.
    rows = [run_trial(small(**more), inputs()) for more in ({DRAWS: 1}, {DRAWS: 1})]
    assert json.dumps(rows[0].result) == json.dumps(rows[1].result)
    assert rows[0].result["validation_accuracy"] != run_trial(small(), inputs()).result["validation_accuracy"]


def test_other_draws_prepare_apart() -> None:
    plan = planned("--seeds", "0", "--base", "mtt", "--part", "factorial")
    shared = {preparation_of(config) for config in configs(plan).values() if config["method"] == "mim"}
    assert Counter(one.seed == 0 for one in shared if one is not None) == {True: 2, False: 2}  # augmented, or not


# The answer

# Of these, all components against none is the gain of one critic, head and layers.
SET = f"--set base.augment={SIAMESE} --set init=real"


def found_in(answer: Answer, name: str) -> list[dict[str, object]]:
    table = next(one for one in answer.tables if one.name == name)
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def mean_of(entry: object) -> float:
    assert isinstance(entry, Quantity)
    assert entry.mean is not None
    return entry.mean


def test_shapley_values_and_effects_are_those_of_the_made_rows(finished: StudyFolder) -> None:
    design = design_of(finished)
    assert design.names == SIX
    assert design.complete
    assert len(list(design.distinct())) == 36
    found = effects(design)
    shapley = dict(zip(SIX, found.shapley, strict=True))
    # The term shares what it has only with nce and with real images with each of the two.
    expected = {"MI term": 0.03 + 0.01 + 0.02, "critic": 0.01, "initial images": 0.02, "augmentation": 0.05}
    for name in SIX:
        assert shapley[name].interval.mean == pytest.approx(expected.get(name, 0.0), abs=0.002)
        assert shapley[name].judged.family_size == 6
    assert shapley["augmentation"].decision is shapley["MI term"].decision is Decision.GAIN
    assert shapley["head"].decision is shapley["layers"].decision is Decision.NEGLIGIBLE
    assert found.total is not None
    per_seed = np.sum([one.contrast.differences for one in found.shapley], axis=0)
    assert per_seed == pytest.approx(found.total.contrast.differences)
    main = dict(zip(SIX, found.main, strict=True))
    assert main["critic"].interval.mean == pytest.approx(0.01, abs=0.002)
    assert found.pairs[0, 1].interval.mean == pytest.approx(0.02, abs=0.002)
    assert found.pairs[0, 5].interval.mean == pytest.approx(0.04, abs=0.002)
    assert found.pairs[2, 3].decision is Decision.NEGLIGIBLE


def test_shapley_values_of_a_seed_are_those_of_all_orders(finished: StudyFolder) -> None:
    from itertools import permutations

    design = design_of(finished)
    value = {
        tuple(run): design.sets([design.cell(run, draw) for draw in design.draws])[2] for run in design.runs.tolist()
    }
    sums = np.zeros(6)
    orders = list(permutations(range(6)))
    for order in orders:
        run = [False] * 6
        for k in order:
            before = value[tuple(run)]
            run[k] = True
            sums[k] += value[tuple(run)] - before
    assert [one.contrast.differences[2] for one in effects(design).shapley] == pytest.approx(sums / len(orders))


def test_the_noise_floor_is_that_of_other_draws_and_has_no_effect_in_it(finished: StudyFolder) -> None:
    found = effects(design_of(finished))
    for interval, claim in found.noise:
        assert interval.mean == pytest.approx(0, abs=0.003)
        assert (claim.kind, claim.unit) == ("estimate", "points")
    # Trials repeat to the bit: were the second draws the first ones, the floor would be exactly 0.
    draws = {setting.trials: setting for setting in finished.settings}
    first = {(s.arm.key, *list(s.levels.values())[:-1]): s for s in draws.values() if s.levels[REPEATED] == "draws 1"}
    same = [
        replace(s, trials=first[(s.arm.key, *list(s.levels.values())[:-1])].trials)
        if s.levels[REPEATED] != "draws 1"
        else s
        for s in finished.settings
    ]
    twice = effects(design_of(replace(finished, settings=same)))
    assert [interval.mean for interval, _ in twice.noise] == pytest.approx([0.0] * 6, abs=1e-15)


def test_the_term_is_held_against_each_placebo_in_declared_families(finished: StudyFolder) -> None:
    ledger = Ledger(Results(at_references(finished)))
    tried = against_placebos(ledger, TERM)
    assert [ledger.results.arms[one.arm].name for one in tried] == [
        f"DM, {what} (equal strength)"
        for what in ("longer step", "random direction", "shuffled labels", "positives only", "negatives only")
    ]
    families = {ruling.judged.family: ruling.judged.family_size for ruling in ledger.rulings}
    assert families == {
        "the term against a longer step of its base": 1,
        "a longer step against the base": 1,
        "the term against its other placebos": 4,
        "its other placebos against the base": 4,
    }
    for one in tried:
        assert one.of_term.interval.mean == pytest.approx(0.09, abs=0.01)
        assert one.of_term.decision is Decision.GAIN
        assert abs(one.of_base.interval.mean or 1) < 0.01


def test_the_answer_says_what_carries_what(finished: StudyFolder, tmp_path: Path) -> None:
    answer = write_answer(finished)
    short = [str(sentence) for sentence in answer.plain]
    assert len(short) == 3
    assert short[0].startswith(
        "On digits, with 1 image per class and 6 synthetic sets, DM + MIM4DD (equal strength) improves"
    )
    assert "it improves on DM alone with steps as long by" in short[0]
    assert "it improves on itself with shuffled labels by" in short[1]
    assert short[2].index("MI term") < short[2].index("augmentation") < short[2].index("critic")
    names = [figure.name for figure in answer.figures]
    assert names == ["accuracy", "effects", "interactions", "combinations", "paths"]
    rows = found_in(answer, "combinations")
    assert len(rows) == 36
    assert rows[0]["method"] == "DM + MIM4DD (equal strength)"
    assert mean_of(rows[0]["test accuracy"]) > mean_of(rows[-1]["test accuracy"])
    assert mean_of(rows[0]["usable information, nats"]) == pytest.approx(mean_of(rows[0]["test accuracy"]) * np.log(10))
    components = {str(row["component"]): row for row in found_in(answer, "components")}
    assert mean_of(components["augmentation"]["usable information, nats"]) == pytest.approx(0.05 * np.log(10), abs=0.01)
    ids = [claim.id for claim in answer.claims]
    assert len(set(ids)) == len(ids)
    for id in (
        "shapley/MI-term",
        "effect/critic",
        "interaction/MI-term/critic",
        "noise/head",
        "gain/" + TERM,
        "path/forth/1/change",
    ):
        assert id in ids
    notes = write_report(answer, replace(finished, path=tmp_path))
    assert not notes
    assert (tmp_path / "figures" / "effects.png").stat().st_size > 10_000


def test_paths_go_both_ways_in_the_order_that_validation_chooses(finished: StudyFolder) -> None:
    design = design_of(finished)
    part = paths_part(design)
    (table,) = [one for one in part.tables if one]
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert len(rows) == 14
    forth, back = (rows[:7], rows[7:])
    # With no component the term adds 3 points, augmentation 5; then the term, whose partners follow.
    assert [row["component"] for row in forth[:5]] == ["start", "augmentation", "MI term", "initial images", "critic"]
    # With all of them the term is worth 9 points and is given up last but for what it leaves idle.
    assert str(back[1]["component"]) in ("head", "layers")
    for path in (forth, back):
        total = sum(mean_of(row["change"]) for row in path[1:])
        assert total == pytest.approx(mean_of(path[-1]["from the start"]))
    assert mean_of(forth[-1]["from the start"]) == pytest.approx(-mean_of(back[-1]["from the start"]))


def test_a_greedy_path_takes_the_best_next_step() -> None:
    worth = (1.0, 3.0, 2.0)

    def value(run: tuple[bool, ...]) -> float:
        return sum(w for w, there in zip(worth, run, strict=True) if there) + 5.0 * (run[0] and run[2])

    assert greedy(value, (False, False, False)) == [1, 2, 0]
    assert greedy(value, (True, True, True)) == [1, 0, 2]


def test_a_fraction_has_effects_with_aliases_and_no_shapley_values(tmp_path: Path) -> None:
    words = ("--seeds", "0-5", "--part", "factorial", "--fraction", "1/4", "--draws", "1")
    folder = folder_of(tmp_path, of_methods(known), *words)
    design = design_of(folder)
    assert len(design.runs) == 16
    found = effects(design)
    assert (found.shapley, found.total, found.noise) == ([], None, [])
    answer = write_answer(folder)
    assert "Shapley values." in str(answer.sentences[2])
    rows = found_in(answer, "components")
    assert all(row["Shapley value"] is None for row in rows)
    assert any(row["aliased with"] for row in found_in(answer, "interactions"))
    # Of a resolution IV design main effects are free of pairs, and those of made rows without triples exact.
    main = dict(zip(SIX, found.main, strict=True))
    assert main["augmentation"].interval.mean == pytest.approx(0.05, abs=0.004)
    assert "paths" not in [figure.name for figure in answer.figures]


def test_every_critic_is_held_against_the_default_and_the_base(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, of_methods(known), "--seeds", "0-4", "--part", "critics")
    answer = write_answer(folder)
    assert len(found_in(answer, "choices")) == 40
    levels = {str(row["level"]): row for row in found_in(answer, "levels")}
    assert sorted(levels) == sorted(
        ["infonce", "nce_raw", "supcon", "triplet", "learned head", "mlp head", "no head", "last layer"]
    )
    assert mean_of(levels["triplet"]["difference"]) == pytest.approx(-0.02, abs=0.003)
    assert levels["triplet"]["decision"] == "a loss of more than half a point"
    assert mean_of(levels["no head"]["difference"]) == pytest.approx(0, abs=0.003)
    assert [figure.name for figure in answer.figures] == ["choices"]
    assert "the difference from the base is a gain in 40" in "\n".join(map(str, answer.sentences))


def test_a_critic_that_collapses_is_not_in_the_means_of_other_choices(tmp_path: Path) -> None:
    """nce without its normaliser loses 50 points on all layers: that is its own, and nothing of layers or heads."""

    def made(config: Flat) -> float:
        collapsed = config.get("method.critic") == "nce_raw" and config.get("method.layers") == "all"
        return known(config) - (0.5 if collapsed else 0.0)

    folder = folder_of(tmp_path, of_methods(made), "--seeds", "0-4", "--part", "critics")
    levels = {str(row["level"]): row for row in found_in(write_answer(folder), "levels")}
    assert mean_of(levels["last layer"]["difference"]) == pytest.approx(0, abs=0.003)
    assert mean_of(levels["nce_raw"]["difference"]) < -0.2


@pytest.mark.parametrize("words", ["--set critic=nce --set head=random --set layers=all --set init=real", SET])
def test_few_components_are_judged_once_where_two_questions_are_one(words: str, tmp_path: Path) -> None:
    given = (*words.split(), "--seeds", "0-4", "--draws", "1")
    answer = write_answer(folder_of(tmp_path, of_methods(known), *given))
    ids = [claim.id for claim in answer.claims]
    assert len(set(ids)) == len(ids)
    assert "main effect" in found_in(answer, "components")[0]


def test_placebos_alone_are_an_answer(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, of_methods(known), "--seeds", "0-4", "--part", "placebos")
    answer = write_answer(folder)
    assert [figure.name for figure in answer.figures] == ["accuracy"]
    rows = found_in(answer, "placebos")
    assert [row["decision on that"] for row in rows] == [None, *["a gain of more than half a point"] * 5]
    assert len(answer.plain) == 2


@pytest.mark.slow
def test_lost_trials_are_counted_and_nothing_is_decided_without_pairs(finished: StudyFolder, tmp_path: Path) -> None:
    setting = next(one for one in finished.settings if one.arm.key == TERM)
    rows = {**finished.rows, setting.trials[0]: lost(finished.rows[setting.trials[0]], "diverged")}
    answer = write_answer(replace(finished, rows=rows))
    assert any("diverged" in str(sentence) for sentence in answer.sentences)
    assert found_in(answer, "components")[0]["pairs lost"] == 1
    # Interrupted before the factorial: what has run is answered, and nothing is said of the rest.
    ran = {t for one in finished.settings[:8] for t in one.trials}
    partly = write_answer(replace(finished, rows={t: row for t, row in finished.rows.items() if t in ran}))
    assert len(partly.plain) == 2
    assert "noise floor" not in "\n".join(map(str, partly.sentences))
    few = folder_of(tmp_path, of_methods(known), "--seeds", "0-2", "--part", "factorial", "--part", "placebos")
    (only,) = write_answer(few).plain
    assert str(only).startswith("With 3 pairs per comparison nothing can be decided")
    none = write_answer(replace(few, rows={}))
    assert str(none.sentences[0]).startswith("There is no answer yet")
