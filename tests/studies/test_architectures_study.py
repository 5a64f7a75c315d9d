"""Sets on many networks: what is planned, what a trial measures, what the answer decides, and wrong words."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_rows import factors_of, made_folder, made_row

from mim4dd.data import load
from mim4dd.evaluation import score, train_on
from mim4dd.information import train_reference
from mim4dd.networks import ConvNet
from mim4dd.records import ImageData, Splits
from mim4dd.registry import unflatten
from mim4dd.train import RECIPES
from studies.answers.architectures.beside import beside_published
from studies.answers.architectures.published import PUBLISHED
from studies.answers.ledger import Ledger
from studies.answers.parts.rank_changes import rank_part
from studies.answers.parts.transfer import MODE, Transfers
from studies.answers.results import Cell, Results
from studies.architectures import STUDY
from studies.engine.answer import Answer
from studies.engine.arms import EQUAL_STRENGTH, Arm, Factor, Level, Planned, cross
from studies.engine.command import main
from studies.engine.data_checks import require_networks
from studies.engine.durations import trial_seconds
from studies.engine.failures import FAILED, FAILURES, HEALTHY, UNDECIDED, Group
from studies.engine.folder import StudyFolder
from studies.engine.journal import Journal
from studies.engine.judging import JUDGES, RATES, judge_of
from studies.engine.metadata import configuration_of, study_metadata
from studies.engine.options import Options, parse_options
from studies.engine.plan import Plan
from studies.engine.rows import Row
from studies.engine.running import TrialRun, run_trial
from studies.engine.runs import Saved
from studies.engine.speeds import SHIPPED, Speeds
from studies.engine.statistics.agreement import concordance
from studies.engine.statistics.contrasts import Judged, judge, three_tests
from studies.engine.trial import Inputs, Trial

SMALL = [
    "--quick",
    *(word for text in ("width=8", "epochs=3", "networks=2", "iterations=2") for word in ("--set", text)),
]
FEW = [*SMALL, "--method", "random", "--method", "dm", "--network", "lenet", "--network", "convnet:norm=batch"]


def planned(*words: str) -> tuple[Options[Any], Plan]:
    options = parse_options("", STUDY.script, STUDY.flags, list(words))
    return options, STUDY.plan(options, configuration_of(STUDY, options))


def of_arm(plan: Plan, key: str) -> list[Trial]:
    trials = {trial.hash: trial for trial in plan.trials}
    return [trials[h] for h in next(setting for setting in plan.settings if setting.arm.key == key).trials]


@cache
def splits() -> Splits:
    return load("digits")


@cache
def inputs() -> Inputs:
    return Inputs(splits(), train_reference(splits(), ConvNet(width=8), steps=5))


def test_the_studys_own_plan_has_every_base_with_and_without_the_term_on_every_network() -> None:
    _, plan = planned("--seeds", "0-4")
    arms = {setting.arm.key: setting.arm for setting in plan.settings}
    term = {base: f"mim:base={base},balance=gradnorm,weight=1" for base in ("dc", "dsa", "dm", "mtt")}
    anchors = {"random", "herding", "full"}
    elsewhere = {f"{key}@{on}" for key in ("dm", term["dm"]) for on in ("mlp", "convnet:norm=batch")}
    assert arms.keys() == {*term, *term.values(), *anchors, *elsewhere}
    assert all(arms[key].control == base for base, key in term.items())
    assert arms[f"{term['dm']}@mlp"].control == "dm@mlp"
    assert arms["dm@convnet:norm=batch"].name == "DM on convnet:norm=batch"
    (factor,) = plan.factors
    labels = [level.label for level in factor.levels]
    assert labels == [
        *("convnet", "mlp", "convnet:norm=batch", "convnet:width=64", "convnet:depth=1", "convnet:norm=none"),
        *("lenet", "alexnet", "resnet18:width=16", "vit:width=64,depth=4,patch=2"),
    ]
    # One trial a set, whatever the number of networks; full data once.
    assert len(plan.trials) == 14 * 5 + 1
    assert len(plan.settings) == 15 * len(labels)
    trial = of_arm(plan, "dm@mlp")[0]
    assert (trial.config["network"], trial.config["network.width"]) == ("mlp", 128)
    assert trial.config[JUDGES] == of_arm(plan, "dm")[0].config[JUDGES]
    assert trial.config[RATES] == "0.003 | 0.01 | 0.03 | 0.1"


def test_networks_of_the_studys_own_kind_keep_its_knobs_and_small_images_are_enlarged() -> None:
    _, plan = planned(*FEW)
    (factor,) = plan.factors
    assert [level.view for level in factor.levels] == [
        *("convnet:width=8", "mlp", "lenet:upsample=true", "convnet:width=8,norm=batch"),
    ]
    require_networks(plan.trials, splits())


def test_old_trials_have_no_new_entries() -> None:
    _, plan = planned(*FEW)
    config = {key: value for key, value in of_arm(plan, "dm")[0].config.items() if key not in (JUDGES, RATES)}
    alone, judged = run_trial(Trial.of(config), inputs()), run_trial(of_arm(plan, "dm")[0], inputs())
    assert judged.result.keys() - alone.result.keys() == {"judged", "tuned"}
    assert judged.report_only.keys() - alone.report_only.keys() == {"judged", "tuned"}
    assert {key: judged.result[key] for key in alone.result} == alone.result
    assert {key: judged.report_only[key] for key in alone.report_only} == alone.report_only


def test_one_set_is_evaluated_on_each_network_as_it_would_be_alone() -> None:
    _, plan = planned(*FEW, "--rate", "0.01,0.03")
    trial = of_arm(plan, "dm")[1]
    outcome = run_trial(trial, inputs())
    recipe, synthetic = unflatten(RECIPES, trial.config, "evaluation"), outcome.synthetic
    assert synthetic is not None
    judged, report = outcome.result["judged"], outcome.report_only["judged"]
    rows = inputs().interim_rows
    for view in ("lenet:upsample=true", "convnet:width=8,norm=batch", "convnet:width=8"):
        network = judge_of(view, recipe).network

        def reached(lr: float, networks: int, real: ImageData, network: Any = network) -> list[float]:
            of = replace(recipe, lr=lr, networks=networks)
            accuracy: list[float] = score(
                train_on(synthetic, network, of, seed=1), network, synthetic, real
            ).accuracy.tolist()
            return accuracy

        assert report[view]["test_accuracy"] == reached(0.01, 2, splits().test)
        tuned = judged[view]["tuned"]
        assert tuned["tried"]["0.03"] == pytest.approx(reached(0.03, 1, splits().validation.take(rows))[0])
        assert tuned["tried"]["0.01"] == pytest.approx(reached(0.01, 2, splits().validation.take(rows))[0])
        assert tuned["lr"] == (0.03 if tuned["tried"]["0.03"] > tuned["tried"]["0.01"] else 0.01)
        assert report[view]["tuned"]["test_accuracy"] == reached(tuned["lr"], 2, splits().test)
    # The trial's own network is a view too, of the same numbers.
    assert report["convnet:width=8"]["test_accuracy"] == outcome.report_only["test_accuracy"]
    assert judged["convnet:width=8"]["tuned"] == outcome.result["tuned"]
    row = Row.read(json.loads(json.dumps(outcome.row)))
    assert row.seen("lenet:upsample=true").tuned is not None
    assert row.seen("mlp").test == tuple(report["mlp"]["test_accuracy"])


def test_no_test_image_takes_part_in_choosing_a_rate() -> None:
    _, plan = planned(*FEW, "--rate", "0.01,0.03")
    trial, true = of_arm(plan, "random")[0], splits()
    shuffled = replace(true.test, labels=np.roll(true.test.labels, 1))
    blind = replace(inputs(), splits=replace(true, test=shuffled))
    first, second = run_trial(trial, inputs()), run_trial(trial, blind)
    assert first.result["judged"] == second.result["judged"]
    assert first.report_only["judged"] != second.report_only["judged"]
    assert "test" not in json.dumps(first.result)


def test_a_trial_resumes_to_the_same_bits_within_any_network_and_rate() -> None:
    _, plan = planned(*FEW, "--rate", "0.01,0.3")
    trial, states = of_arm(plan, "dm")[0], dict[str, dict[str, Any]]()

    def keep(run: TrialRun) -> None:
        held = io.BytesIO()
        torch.save(run.state_dict(), held)
        states[f"{len(states)} {run.progress}"] = torch.load(io.BytesIO(held.getvalue()), weights_only=True)

    whole = run_trial(trial, inputs(), on_step=keep)  # type: ignore[arg-type]
    places = [name for name in states if "judge" in name]
    assert len(places) >= 3 * (3 + 3)  # three other networks, each at two rates at least
    for place in (next(iter(states)), places[0], places[4], places[len(places) // 2], places[-1]):
        again = run_trial(trial, inputs(), saved=Saved(states[place]))
        assert again.report_only == whole.report_only, place
        assert again.result == whole.result, place


def test_a_forecast_counts_every_network_and_rate() -> None:
    speeds = Speeds.read(SHIPPED)
    seconds = {
        words: trial_seconds(of_arm(planned(*SMALL, "--method", "dm", *words)[1], "dm")[0].config, speeds)
        for words in (
            ("--network", "mlp", "--rate", "none"),
            ("--network", "mlp", "--network", "lenet", "--rate", "none"),
            ("--network", "mlp", "--network", "lenet", "--rate", "0.03"),
        )
    }
    few, more, most = seconds.values()
    assert few < more < most


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--network", "mpl"], "unknown network 'mpl'; did you mean 'mlp'?"),
        (["--network", "lenet:width=3"], "unknown knob of network lenet 'width'"),
        (["--network", "none", "--network", "mlp"], "--network none is given with others; give it alone"),
        (["--network", "mlp", "--network", "mlp"], "--network names mlp twice"),
        (["--network", "mlp", "--network", "mlp:width=128"], "--network names a network twice: mlp, mlp:width=128"),
        (["--network", "convnet"], "--network convnet is the study's own network, which is always there"),
        (["--distil-on", "convnet"], "--distil-on convnet is the study's own network"),
        (["--distil-on", "none", "--elsewhere", "dc"], "--distil-on none has none; give one of them"),
        (["--elsewhere", "dm", "--elsewhere", "dm"], "--elsewhere names dm twice"),
        (["--set", "method=dc"], "--set method=dc: the method is no knob; give --method dc where the study has it"),
        (["--network", "none", "--distil-on", "none"], "leave the study's own network alone"),
        (["--elsewhere", "random"], "--distil-on is for a base among the study's methods, got random"),
        (["--method", "dc", "--distil-on", "mlp"], "got dm; --elsewhere may name one of dc"),
        (["--method", "random", "--elsewhere", "dm"], "none: no method of the study distils"),
        (["--rate", "0,1"], "--rate must be learning rates above 0"),
        (["--rate", "fast"], "--rate must be learning rates above 0"),
        (["--rate", "0.1,0.1"], "--rate names 0.1 twice"),
        (["--base", "dm"], "--base is for studies of one base"),
    ],
)
def test_wrong_words_are_refused_in_one_line(
    words: list[str], told: str, refusal: Callable[[Callable[[], object]], str]
) -> None:
    assert told in refusal(lambda: planned("--quick", *words))


def test_a_network_that_cannot_take_the_images_ends_in_one_line_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*FEW, "--network", "vit:patch=3", "--offline", "--out", str(tmp_path / "out")]
    assert main(STUDY, words) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert (
        line
        == "error: vit:patch=3 cannot be used with these data: vit.patch must divide the image's sides, got 3 for 8x8"
    )
    assert not (tmp_path / "out").exists()


SEEDS = range(8)
NETWORKS = Factor("evaluation network", tuple(Level(name, view=name) for name in ("convnet", "mlp", "vit")))
TERM = Arm("mim:base=dm", "mim", {"method.base": "dm", **EQUAL_STRENGTH}, "dm")
ARMS = (Arm("random", "random", role="random"), *(Arm(name, name) for name in ("herding", "dm", "mtt")), TERM)
# Random images lose 10 points on the others, DM as many, MTT 30 and 40; the term gains 3 points, on the MLP none.
MEANS: Mapping[str, tuple[float, float, float]] = {
    "random": (0.60, 0.50, 0.50),
    "herding": (0.62, 0.52, 0.52),
    "dm": (0.80, 0.70, 0.70),
    "mtt": (0.85, 0.55, 0.45),
    TERM.key: (0.83, 0.70, 0.73),
}
# How much lower all accuracies are at the recipe's own rate, but those of MTT on the last network.
FIXED = 0.02


def folder_of(path: Path, arms: tuple[Arm, ...] = ARMS, *, seeds: range = SEEDS, rated: bool = True) -> StudyFolder:
    rng = np.random.default_rng(0)
    config = {"dataset": "mnist", "ipc": 1, "network": "convnet", "network.width": 8, "evaluation.lr": 0.01}
    config |= {"evaluation.epochs": 3, "evaluation.augment": "none", "evaluation.networks": 2}
    config |= {"evaluation.max_steps": 0, **({RATES: "0.01 | 0.1"} if rated else {})}
    settings, trials = cross(
        [Planned(arm, {**config, "method": arm.method, "arm": arm.key}) for arm in arms], (NETWORKS,), seeds
    )
    configs, rows = {trial.hash: trial.config for trial in trials}, {}
    for setting in settings[: len(arms)]:
        for trial in setting.trials:
            views = {
                level.label: mean + rng.normal(0, 2e-3, 2)
                for level, mean in zip(NETWORKS.levels, MEANS[setting.arm.key], strict=True)
            }
            own = made_row(trial, configs[trial], (views["convnet"] - FIXED).tolist())
            validation, test = ({view: _scores(kind, at, rated) for view, at in views.items()} for kind in KINDS)
            line = own.record
            result = {**line["result"], "judged": validation, **_tuned(validation["convnet"])}
            report = {**line["report_only"], "judged": test, **_tuned(test["convnet"])}
            rows[trial] = Row.read({**line, "result": result, "report_only": report})
    return made_folder(path, settings, rows, seeds, **factors_of(NETWORKS))


KINDS = ("validation", "test")


def _scores(kind: str, accuracy: Any, rated: bool) -> dict[str, Any]:
    """A view's entry on a split, which its best rate raises by FIXED."""
    scores: dict[str, Any] = {f"{kind}_accuracy": (accuracy - FIXED).tolist()}
    if rated:
        chosen = {"lr": 0.1, "tried": {"0.01": 0.5, "0.1": 0.6}} if kind == "validation" else {}
        scores["tuned"] = {**chosen, f"{kind}_accuracy": accuracy.tolist()}
    return scores


def _tuned(scores: dict[str, Any]) -> dict[str, Any]:
    return {"tuned": scores["tuned"]} if "tuned" in scores else {}


def answer_of(folder: StudyFolder) -> Answer:
    found: Answer = STUDY.answer(folder)
    return found


def test_transfer_is_the_change_from_a_sets_own_network_beside_that_of_random_images(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    ledger = Ledger(Results(folder))
    transfers = Transfers(ledger, ["herding", "dm", "mtt", TERM.key], "herding", "tuned")
    results = ledger.results

    def sets(arm: str, *networks: str) -> np.ndarray:
        return np.mean([results.sets(Cell(arm, (network,)), "tuned") for network in networks], axis=0)

    def change(arm: str, *others: str) -> np.ndarray:
        return sets(arm, *others) - sets(arm, "convnet")

    mtt = transfers.means["mtt"]
    others = ("mlp", "vit")
    assert mtt.change.contrast.differences == pytest.approx(change("mtt", *others))
    assert mtt.less_random is not None
    assert mtt.less_coreset is not None
    assert mtt.doubled is not None
    assert mtt.less_random.contrast.differences == pytest.approx(change("mtt", *others) - change("random", *others))
    assert mtt.less_coreset.contrast.differences == pytest.approx(change("mtt", *others) - change("herding", *others))
    assert mtt.doubled.contrast.differences == pytest.approx(change("mtt", *others) - 2 * change("random", *others))
    assert transfers.terms[TERM.key].contrast.differences == pytest.approx(
        change(TERM.key, *others) - change("dm", *others)
    )
    sizes = {ruling.judged.family: ruling.judged.family_size for ruling in ledger.rulings}
    assert sizes["to the mean of the other networks, less random real images"] == 4
    assert sizes["to vit, less random real images"] == 4
    assert sizes["to vit, less the coreset"] == 3


def test_the_detector_finds_a_set_that_overfits_its_network_and_is_silent_on_healthy_ones(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    answer = answer_of(folder)
    transfers = Transfers(Ledger(Results(folder)), ["herding", "dm", "mtt", TERM.key], "herding", "tuned")
    states = {arm: case.finding.state for arm, case in transfers.means.items() if case.finding}
    assert states == {"herding": HEALTHY, "dm": HEALTHY, "mtt": FAILED, TERM.key: HEALTHY}
    assert {case: found.finding.state for case, found in transfers.each.items() if found.finding} == {
        **{(arm, network): HEALTHY for arm in ("herding", "dm", TERM.key) for network in ("mlp", "vit")},
        **{("mtt", network): FAILED for network in ("mlp", "vit")},
    }
    of_mtt = {trial for trial, row in folder.rows.items() if row.config["arm"] == "mtt"}
    assert {trial for trial, modes in answer.failed.items() if MODE in modes} == of_mtt
    text = " ".join(sentence.text for sentence in answer.sentences)
    assert "1 of the 4 methods overfit their network on the mean of the others: MTT." in text
    assert f"The failure mode {MODE} occurs for MTT" in text


def test_a_set_that_gains_elsewhere_does_not_overfit_where_random_images_gain_more() -> None:
    """Random images gain 10 points from network to network, the set 8: less than twice as much, and no loss."""

    def judged(points: float) -> Judged:
        return judge("one", [three_tests(0.01 * points + 0.001 * np.sin(np.arange(10)))])[0]

    def state(own: float, random: float) -> str:
        group = Group(
            accuracy=np.full((10, 1), 0.5),
            changed=judged(own),
            transferred=judged(own - random),
            doubled=judged(own - 2 * random),
        )
        found = FAILURES.build(MODE)(group)
        assert found is not None
        return str(found.state)

    assert state(8, 10) == HEALTHY
    assert state(-8, 10) == FAILED
    assert state(-8, -3) == FAILED
    assert state(-8, -7.9) == HEALTHY


def test_too_few_pairs_leave_the_detector_undecided(tmp_path: Path) -> None:
    transfers = Transfers(Ledger(Results(folder_of(tmp_path, seeds=range(4)))), ["mtt"], "", "tuned")
    finding = transfers.means["mtt"].finding
    assert finding is not None
    assert finding.state == UNDECIDED
    assert "4 pairs are too few" in finding.evidence


def test_the_answer_decides_on_each_network_at_the_chosen_rate_and_shows_the_fixed_one(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    answer = answer_of(folder)
    claims = {claim.id: claim for claim in answer.claims}
    assert claims[f"gain/{TERM.key}/convnet"].decision == "gain"
    assert claims[f"gain/{TERM.key}/mlp"].decision == "negligible"
    assert claims[f"gain/{TERM.key}/vit"].metric == "tuned"
    assert claims[f"gain/{TERM.key}/vit"].family == "gains over the base, on vit"
    assert claims["difference/mtt/random/vit"].decision == "loss"
    assert claims["rate/vit"].estimate == pytest.approx(FIXED)
    tables = {table.name: table for table in answer.tables}
    assert list(tables) == [
        *("matrix", "transfer", "each_network", "gains", "order", "ranks", "rates", "fixed", "failures"),
    ]
    at = tables["matrix"].columns.index("convnet")
    chosen, fixed = ({row[0]: row[at] for row in tables[name].rows} for name in ("matrix", "fixed"))
    assert chosen["DM"].mean - fixed["DM"].mean == pytest.approx(FIXED)  # type: ignore[union-attr]
    assert {figure.name for figure in answer.figures} >= {"matrix", "transfer", "each_network", "ranks", "failures"}
    text = " ".join(sentence.text for sentence in answer.sentences)
    assert "At the recipe's own learning rate for every network, 4 of these 4 decisions are the same." in text
    assert "Another learning rate than the recipe's 0.01 is chosen on validation in 120 of 120 cases" in text
    assert any("lose more" in sentence.text for sentence in answer.plain)


def test_without_rates_anchors_or_a_second_method_the_answer_says_what_there_is(tmp_path: Path) -> None:
    unrated = answer_of(folder_of(tmp_path / "a", rated=False))
    assert {table.name for table in unrated.tables}.isdisjoint({"rates", "fixed"})
    alone = answer_of(folder_of(tmp_path / "b", (ARMS[2],), rated=False))
    assert [table.name for table in alone.tables][:2] == ["matrix", "transfer"]
    assert not any(claim.terms and "random" in claim.id for claim in alone.claims)


def test_pairs_that_are_decided_in_opposite_orders_are_named(tmp_path: Path) -> None:
    ledger = Ledger(Results(folder_of(tmp_path)))
    part = rank_part(ledger, [arm.key for arm in ARMS], "tuned")
    order = next(table for table in part.tables if table and table.name == "order")
    rows = {row[0]: dict(zip(order.columns, row, strict=True)) for row in order.rows}
    # MTT is the best on the ConvNet, third on the MLP, and the worst on the ViT.
    assert rows["mlp"]["of them in opposite orders"] == 2
    assert rows["vit"]["of them in opposite orders"] == 4
    assert "MTT > random real images on convnet" in str(rows["vit"]["these"])
    assert rows["vit"]["Kendall's tau"].mean == pytest.approx((6 - 4) / 10)  # type: ignore[union-attr]
    assert ledger.claimed_mean(Cell("dm", ("vit",)), "tuned")[0].n == len(SEEDS)


def test_published_accuracies_stand_beside_ours_where_the_setting_is_theirs(tmp_path: Path) -> None:
    ledger = Ledger(Results(folder_of(tmp_path, (ARMS[0], replace(ARMS[2], key="dm"), TERM))))
    assert beside_published(ledger, "tuned").tables == ()  # of DM on MNIST nothing is published
    dc = next(entry for entry in PUBLISHED if (entry.dataset, entry.method) == ("mnist", "dc"))
    assert dc.accuracies == {
        **{"mlp": 69.6, "convnet": 91.6, "lenet": 85.3},
        **{"alexnet": 85.1, "vgg11": 83.4, "resnet18": 90.0},
    }
    folder = folder_of(tmp_path, (replace(ARMS[2], key="dm", method="dc"),))
    part = beside_published(Ledger(Results(folder)), "tuned")
    (table,) = part.tables
    assert table is not None
    rows = {row[1]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert rows.keys() == {"mlp", "convnet"}  # those of its networks that the study has
    assert rows["mlp"]["published"].mean == pytest.approx(0.696)  # type: ignore[union-attr]
    assert rows["mlp"]["ours"].mean == pytest.approx(0.70, abs=0.01)  # type: ignore[union-attr]
    assert (part.sentences[0].text if part.sentences[0] else "").startswith("DC reaches")


def test_concordance_by_hand() -> None:
    assert concordance([1, 2, 3], [2, 3, 9]) == 1
    assert concordance([1, 2, 3], [3, 2, 1]) == -1
    assert concordance([1, 2, 3, np.nan], [1, 3, 2, 5]) == pytest.approx(1 / 3)
    assert np.isnan(concordance([1, 1], [1, 2]))
    assert np.isnan(concordance([1, np.nan], [1, 2]))


@pytest.mark.slow
def test_real_sets_that_overfit_the_convnet_are_found_and_a_healthy_one_is_not(tmp_path: Path) -> None:
    """DM's pixels at sixty times its rate leave the range of real ones, which instance norm hides from the ConvNet."""
    words = ["--quick", "--seeds", "0-7", "--rate", "none", "--network", "mlp", "--distil-on", "none"]
    words += [word for method in ("random", "dm", "dm:lr=60") for word in ("--method", method)]
    options, plan = planned(*words)
    metadata = study_metadata(STUDY, options, configuration_of(STUDY, options), plan)
    journal = Journal(tmp_path, {**metadata, "data_digest": ""})
    for trial in plan.trials:
        journal.add(run_trial(trial, inputs()), 0)
    journal.write_settings(plan.settings)
    journal.close()
    folder = StudyFolder.read(tmp_path)
    transfers = Transfers(Ledger(Results(folder)), ["dm", "dm:lr=60"], "", "test")
    states = {arm: case.finding.state for arm, case in transfers.means.items() if case.finding}
    assert states == {"dm": HEALTHY, "dm:lr=60": FAILED}
    lost = transfers.means["dm:lr=60"].less_random
    assert lost is not None
    assert lost.interval.mean is not None
    assert lost.interval.mean < -0.1
    (claim,) = [claim for claim in answer_of(folder).claims if claim.id == "mean/test/dm:lr=60/convnet"]
    assert claim.estimate is not None
    assert claim.estimate > 0.65, "on the ConvNet alone it looks like a set"
