"""Biases of data sets: what is planned, what amplification is, what is told of classes and kinds of data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_rows import made_row, replaced

from mim4dd.data import load
from mim4dd.durable import write_json
from mim4dd.records import ImageData, Splits
from perturbations.cues.planting import cue_in
from studies.answers.dataset_bias.amplification import AMPLIFIED, CAPPED, FEW, NOT, SAME, SUPPRESSED, pulls
from studies.answers.dataset_bias.answer import VERBS, write_answer
from studies.answers.dataset_bias.kinds import apart
from studies.answers.dataset_bias.plan import examine
from studies.answers.ledger import Ledger
from studies.answers.parts.classes import below_axis
from studies.answers.results import Results
from studies.dataset_bias import STUDY
from studies.engine.answer import Answer, Cell
from studies.engine.command import main
from studies.engine.folder import StudyFolder
from studies.engine.metadata import configuration_of, study_metadata
from studies.engine.options import Options, parse_options
from studies.engine.plan import Plan
from studies.engine.report import markdown
from studies.engine.rows import Row
from studies.engine.trial import Trial

SMALL = ["--quick", "--seeds", "0-4", "--correlations", "0.9"]
TERM = "mim:base=dm,balance=gradnorm,weight=1"


def asked(*words: str) -> Options[Any]:
    return parse_options("", STUDY.script, STUDY.flags, list(words))


def planned(*words: str) -> Plan:
    options = asked(*words)
    return STUDY.plan(options, configuration_of(STUDY, options))


@cache
def splits() -> Splits:
    return load("digits")


def made(out: Path, *words: str) -> Path:
    """The folder of a study, its rows made up: accuracies by method, with a pull of the cue that grows with it."""
    options = asked(*words)
    configuration = configuration_of(STUDY, options)
    plan = STUDY.plan(options, configuration)
    metadata = study_metadata(STUDY, options, configuration, plan)
    write_json(out / "study.json", {**metadata, "characteristics": characteristics()})
    rows = [scored(trial, np.random.default_rng([k, options.ipc])) for k, trial in enumerate(plan.trials)]
    for name, records in (("settings", [s.json() for s in plan.settings]), ("rows", [row.record for row in rows])):
        (out / f"{name}.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return out


def scored(trial: Trial, rng: np.random.Generator) -> Row:
    """A made row, its recalls drawn by class, network and part of the test images."""
    planted, method = cue_in(str(trial.config.get("perturb", ""))), str(trial.config["method"])
    level, networks = {"full": 0.9, "random": 0.5}.get(method, 0.7), 1 if method == "full" else 2

    def recalls(accuracy: float) -> list[list[float]]:
        drawn = accuracy + rng.normal(0, 0.05, 10) + rng.normal(0, 0.01, (networks, 10))
        return np.clip(drawn, 0, 1).tolist()

    def scores(accuracy: float) -> dict[str, Any]:
        found = recalls(accuracy)
        return {"test_accuracy": np.mean(found, axis=1).tolist(), "test_recall": found}

    row = made_row(trial.hash, trial.config, [level] * networks)
    if planted is None:
        return replaced(row, scores(level))
    rho = planted.correlation
    judged = {view: scores(level + sign * rho / 5) for view, sign in (("aligned", 1), ("conflicting", -1))}
    judged["conflicting"]["cue_followed"] = [rho / 2] * networks
    realised = dict(planted(splits().train, seed=int(trial.config["seed"])).realised)
    measures = {} if method == "full" else {"cue_decoded": rho, "cue_decoder_accuracy": 0.99}
    return replaced(row, {**scores(level), "judged": judged}, perturbed={"colour": realised}, measures=measures)


@cache
def characteristics() -> dict[str, float]:
    return examine(asked("--quick"), splits())


@pytest.fixture(scope="module")
def cue(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    return StudyFolder.read(made(tmp_path_factory.mktemp("bias") / "cue", *SMALL))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The data as they are, at one and at two images per class."""
    folder, words = tmp_path_factory.mktemp("kinds"), [*SMALL[:3], "--cue", "none"]
    return [made(folder / f"ipc{ipc}", *words, "--ipc", str(ipc)) for ipc in (1, 2)]


def told_by(answer: Answer) -> str:
    return "\n".join(map(str, answer.sentences))


def test_every_method_meets_every_correlation_and_is_scored_in_three_ways() -> None:
    plan = planned()
    data, images = plan.factors
    assert [level.label for level in data.levels] == [
        "colour 0.1",
        "colour 0.5",
        "colour 0.9",
        "colour 0.95",
        "colour 1",
    ]
    assert [(level.label, level.view) for level in images.levels] == [
        *(("unbiased", ""), ("aligned", "aligned"), ("conflicting", "conflicting"))
    ]
    (curve,) = data.curves
    assert (curve.origin, curve.scale, data.levels[0].curve) == (0.1, "share", "")
    keys = list(dict.fromkeys(setting.arm.key for setting in plan.settings))
    assert keys == ["random", "dm", TERM, "dc", TERM.replace("dm", "dc"), "full"]
    assert len(plan.trials) == 6 * 5 * 20
    assert {setting.arm.control for setting in plan.settings} == {"", "dm", "dc"}
    texts = {trial.config["perturb"] for trial in plan.trials}
    assert "colour:correlation=0.95,of=foreground" in texts
    assert len(texts) == 5


def test_data_as_they_are_have_the_hash_of_any_other_study_s_trials() -> None:
    from studies.baselines import STUDY as BASELINES

    plan = planned("--cue", "none", "--seeds", "0-4")
    assert plan.factors == ()
    options = parse_options("", BASELINES.script, BASELINES.flags, ["--method", "random", "--method", "dm"])
    others = BASELINES.plan(options, configuration_of(BASELINES, options))
    assert {trial.hash for trial in others.trials} <= {trial.hash for trial in plan.trials}


def test_numbers_of_the_answer_are_those_of_the_rows(cue: StudyFolder) -> None:
    answer = write_answer(cue)
    claims = {claim.id: claim for claim in answer.claims}
    trials = {(s.arm.key, s.levels["training data"]): s.trials for s in cue.settings}

    def gap(arm: str, level: str) -> np.ndarray:
        rows = [cue.rows[trial] for trial in trials[arm, level]]
        return np.array([np.mean(row.judged["aligned"].test) - np.mean(row.judged["conflicting"].test) for row in rows])

    at = "colour 0.9"
    assert claims["gap/dm/colour-0.9"].estimate == pytest.approx(gap("dm", at).mean())
    for anchor in ("full", "random"):
        claim = claims[f"amplified-over-{anchor}/dm/colour-0.9"]
        assert claim.estimate == pytest.approx((gap("dm", at) - gap(anchor, at)).mean())
        assert (claim.n, claim.family_size, claim.unit) == (5, 2, "points apart")
    term = claims[f"term-gap/{TERM}/colour-0.9"]
    assert term.estimate == pytest.approx((gap(TERM, at) - gap("dm", at)).mean())
    rows = [cue.rows[trial] for trial in trials["dm", at]]
    odds = [
        np.abs(row.judged["aligned"].test_recall.mean(0) - row.judged["conflicting"].test_recall.mean(0))
        for row in rows
    ]
    assert claims["mean/odds_gap/dm/colour-0.9/unbiased"].estimate == pytest.approx(
        np.mean([each.max() for each in odds])
    )
    assert claims["mean/mean_odds_gap/dm/colour-0.9/unbiased"].estimate == pytest.approx(np.mean(odds))
    followed = [np.mean(row.judged["conflicting"].followed) for row in rows]
    assert claims["mean/cue_followed/dm/colour-0.9/unbiased"].estimate == pytest.approx(np.mean(followed))
    worst = [row.test_recall.mean(0).min() for row in (cue.rows[t] for t in trials["dm", "colour 0.1"])]
    assert claims["mean/worst_class/dm/colour-0.1/unbiased"].estimate == pytest.approx(np.mean(worst))
    for sentence in (*answer.sentences, *answer.plain):
        assert all(claim.id in claims for claim in sentence.claims)
    realised = next(table for table in answer.tables if table.name == "realised")
    assert [row[2:4] for row in realised.rows] == [(110, 990), (990, 110)]


def shown(row: Row, aligned: float, conflicting: float, seed: int, index: int) -> Row:
    """The same trial with other accuracies on aligned and conflicting images, a little different by seed and arm."""
    report = {**row.record["report_only"]}
    noise = 0.001 * ((seed + 1) * (index + 2) % 5 - 2)
    report["judged"] = {
        view: {**report["judged"][view], "test_accuracy": [accuracy + noise * sign] * 2}
        for view, accuracy, sign in (("aligned", aligned, 1), ("conflicting", conflicting, -0.3))
    }
    return Row.read({**row.record, "report_only": report})


@pytest.mark.parametrize(
    ("dm", "full", "random", "verdict"),
    [
        (0.6, 0.1, 0.2, AMPLIFIED),
        (0.1, 0.4, 0.5, SUPPRESSED),
        (0.5, 0.1, 0.7, FEW),
        (0.4, 0.4, 0.4, SAME),
        (0.2, 0.6, 0.1, CAPPED),
        (0.2, 0.6, 0.2, NOT),
    ],
)
def test_amplified_takes_more_than_full_data_and_more_than_random_images(
    cue: StudyFolder, dm: float, full: float, random: float, verdict: str
) -> None:
    gaps: Mapping[str, float] = {"dm": dm, "full": full, "random": random, TERM: 0.3}
    rows, arms = dict(cue.rows), list(gaps)
    for setting in cue.settings:
        for seed, trial in enumerate(setting.trials):
            rows[trial] = shown(cue.rows[trial], 0.9, 0.9 - gaps[setting.arm.key], seed, arms.index(setting.arm.key))
    folder = replace(cue, rows=rows)
    found = {(pull.arm, pull.level): pull for pull in pulls(Ledger(Results(folder)))}
    assert found["dm", "colour 0.9"].verdict == verdict
    assert found["dm", "colour 0.1"].verdict == found["full", "colour 0.9"].verdict == ""
    told = told_by(write_answer(folder))
    assert ("In DM, the cue is amplified at colour 0.9." in told) == (verdict == AMPLIFIED)
    assert f"{VERBS[verdict]} the cue in " in "\n".join(map(str, write_answer(folder).plain))


def test_a_method_that_draws_rare_images_more_often_is_held_against_itself(tmp_path: Path) -> None:
    rare, term = "dm:batch_weights=rare", f"{TERM},base.batch_weights=rare"
    words = [word for one in ("dm", rare, TERM, term) for word in ("--method", one)]
    held = StudyFolder.read(made(tmp_path / "out", *SMALL, *words))
    assert [arm.name for arm in Results(held).arms.values()][2:5:2] == [
        "DM (batch_weights=rare)",
        "DM + MIM4DD (batch_weights=rare, equal strength)",
    ]

    def lifted(row: Row) -> Row:
        """Two points more on unbiased images, and a gap that is smaller by 6, where rare images come more often."""
        if row.config.get("method.batch_weights") != "rare":
            return row
        more = 0.001 * int(row.config["seed"])  # sets differ a little
        by = {"aligned": -0.02, "conflicting": 0.04 + more}
        judged = {
            view: {**one, "test_accuracy": [value + by[view] for value in one["test_accuracy"]]}
            for view, one in row.record["report_only"]["judged"].items()
        }
        own = [value + 0.02 + more for value in row.record["report_only"]["test_accuracy"]]
        return replaced(row, {"test_accuracy": own, "judged": judged})

    rows = {
        trial: lifted(replaced(row, dict(twin_of(row, held)))) if "rare" in map(str, row.config.values()) else row
        for trial, row in held.rows.items()
    }
    answer = write_answer(replace(held, rows=rows))
    claims = {claim.id: claim for claim in answer.claims}
    for level in ("colour-0.1", "colour-0.9"):
        better, closer = (claims[f"{kind}/{rare}/{level}"] for kind in ("reweighted", "reweighted-gap"))
        assert better.estimate == pytest.approx(0.022)
        assert closer.estimate == pytest.approx(-0.062)
        assert (better.decision, closer.decision) == ("gain", "loss")
        assert claims[f"reweighted/{term}/{level}"].estimate == pytest.approx(0.0, abs=1e-12)
    families = {claim.family for claim in answer.claims if claim.id.startswith("reweighted/")}
    assert families == {"accuracy with rare images drawn more often, less without"}
    told = "(batch_weights=rare), accuracy on unbiased test images is higher for DM (batch_weights=rare)"
    assert told in told_by(answer)
    assert any("drawn more often" in str(sentence) for sentence in answer.plain)
    alone = write_answer(StudyFolder.read(made(tmp_path / "alone", *SMALL)))
    assert not any(claim.id.startswith("reweighted") for claim in alone.claims)


def twin_of(row: Row, held: StudyFolder) -> Mapping[str, Any]:
    """What is reported of the trial that is the same but for its draws of rare images."""
    config = {key: value for key, value in row.config.items() if not key.endswith("batch_weights")}
    (found,) = (one for one in held.rows.values() if one.config == config)
    return found.record["report_only"]


def test_lost_trials_are_told_once_and_end_no_answer(cue: StudyFolder) -> None:
    lost = next(s for s in cue.settings if s.arm.key == "dm" and s.levels["training data"] == "colour 0.9").trials[:2]
    answer = write_answer(replace(cue, rows={trial: row for trial, row in cue.rows.items() if trial not in lost}))
    assert told_by(answer).count("2 of 5 trials of DM") == 1
    claim = next(claim for claim in answer.claims if claim.id == "amplified-over-full/dm/colour-0.9")
    assert (claim.n, claim.decision) == (3, "undecided")


def test_there_is_no_answer_without_rows(cue: StudyFolder) -> None:
    assert "There is no answer yet" in told_by(write_answer(replace(cue, rows={})))


def test_a_class_is_told_by_its_name_in_the_data_and_by_its_label_where_no_row_has_one(plain: list[Path]) -> None:
    folder = StudyFolder.read(plain[0])
    names = [f"{word} | class" for word in "first second third fourth fifth sixth seventh eighth ninth tenth".split()]

    def named(classes: tuple[str, ...]) -> StudyFolder:
        rows = {
            trial: replace(row, data=replace(row.data, classes=classes)) if row.data else row
            for trial, row in folder.rows.items()
        }
        return replace(folder, rows=rows)

    def first_column(folder: StudyFolder) -> list[Cell]:
        table = next(table for table in write_answer(folder).tables if table.name == "by_class")
        return [row[0] for row in table.rows]

    assert first_column(folder) == first_column(named(())) == list("0123456789")
    answer = write_answer(named(tuple(names)))
    assert first_column(named(tuple(names))) == names
    assert "\n| first \\| class | " in markdown(answer, named(tuple(names)))
    gains = [claim for claim in answer.claims if claim.family == "gains of the term by class"]
    assert [claim.what.partition(",")[0] for claim in gains] == [f"recall of class {name}" for name in names]
    earlier = [claim for claim in write_answer(folder).claims if claim.family == "gains of the term by class"]
    assert [claim.id for claim in gains] == [claim.id for claim in earlier]


def test_names_below_an_axis_leave_room_for_what_is_above_it() -> None:
    assert below_axis(["Shirt", "x" * 24, "x" * 25]) == ["Shirt", "x" * 24, "x" * 23 + "…"]


def test_data_as_they_are_tell_of_classes_and_of_their_kind(plain: list[Path]) -> None:
    folder = StudyFolder.read(plain[0])
    answer = write_answer(folder)
    assert {table.name for table in answer.tables} >= {"classes", "by_class", "kinds"}
    by_class = next(table for table in answer.tables if table.name == "by_class")
    assert len(by_class.rows) == 10
    assert "The recall of the worst class, compared with full data" in told_by(answer)
    kinds = next(table for table in answer.tables if table.name == "kinds")
    assert kinds.rows[0][:4] == ("digits, ipc 1", "this study", 10.0, 1.0)
    gains = [claim for claim in answer.claims if claim.family == "gains of the term by class"]
    assert len(gains) == 10
    total = sum(claim.estimate or 0 for claim in gains) / 10
    rows = {
        arm: [folder.rows[t] for s in folder.settings if s.arm.key == arm for t in s.trials] for arm in ("dm", TERM)
    }
    balanced = [
        np.mean([row.test_recall.mean() for row in rows[arm]])  # type: ignore[union-attr]
        for arm in (TERM, "dm")
    ]
    assert total == pytest.approx(balanced[0] - balanced[1])


def test_added_studies_are_the_units_of_the_analysis_over_kinds_of_data(plain: list[Path]) -> None:
    folder = StudyFolder.read(plain[0])
    joined = replace(folder, study={**folder.study, "added_studies": [str(plain[1])]})
    told = told_by(write_answer(joined))
    assert "Over 2 kinds of data (digits, ipc 1; digits, ipc 2)" in told
    assert "1 degree of freedom" in told
    assert "With 2 kinds of data nothing can be said about what of them goes with the gain" in told


def joined_with(
    plain: list[Path], folder: Path, change: Callable[[dict[str, Any], int], None], numbers: Iterable[int]
) -> Answer:
    """The answer of one study with copies of another, whose study.json is changed by each number."""
    added = []
    for number in numbers:
        copy = folder / f"copy{number}"
        shutil.copytree(plain[0], copy)
        study = json.loads((copy / "study.json").read_text())
        change(study, number)
        (copy / "study.json").write_text(json.dumps(study))
        added.append(str(copy))
    own = StudyFolder.read(plain[1])
    return write_answer(replace(own, study={**own.study, "added_studies": added}))


def test_a_data_set_at_several_resolutions_is_one_kind_of_data(plain: list[Path], tmp_path: Path) -> None:
    def sized(study: dict[str, Any], size: int) -> None:
        study["dataset"], study["characteristics"]["height"] = "folder:signs", size
        study["configuration"]["source.size"] = size

    answer = joined_with(plain, tmp_path, sized, (16, 32))
    told = told_by(answer)
    assert "Over 2 kinds of data (digits, ipc 2; folder:signs at 16 and 32, ipc 1)" in told
    assert "1 degree of freedom" in told
    assert "changes by 0.0 points" in told  # the same rows stand for both sizes
    assert "from 16 to 32 pixels a side (an estimate)" in told
    kinds = next(table for table in answer.tables if table.name == "kinds")
    assert [row[0] for row in kinds.rows] == ["digits, ipc 2", "folder:signs at 16, ipc 1", "folder:signs at 32, ipc 1"]
    claims = {claim.id: claim for claim in answer.claims}
    once = claims[f"kinds/{TERM}"]
    assert (once.n, once.low is not None) == (2, True)
    spread = claims[f"kinds/spread/{TERM}"]
    assert (spread.n, spread.unit) == (2, "points")


def test_what_is_said_of_kinds_of_data_tells_how_few_they_are(plain: list[Path], tmp_path: Path) -> None:
    def other(study: dict[str, Any], k: int) -> None:
        study["dataset"], study["characteristics"]["linear_probe"] = f"set{k}", 0.5 + 0.1 * k

    answer = joined_with(plain, tmp_path, other, range(3))
    told = told_by(answer)
    assert "3 degrees of freedom" in told
    assert "no uncorrected p-value can be below" in told
    assert any(figure.name == "kinds" for figure in answer.figures)
    assert any(table.name == "characteristics" for table in answer.tables)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--cue", "color"], "unknown perturbation 'color'; did you mean 'colour'?"),
        (["--cue", "symmetric"], "--cue must be a planted cue, got symmetric; known: colour, corruption_cue, grey"),
        (["--cue", "jpeg:severity=3"], "--cue must be a planted cue, got jpeg"),
        (["--cue", "colour:of=sky"], "colour.of must be one of foreground, background"),
        (["--cue", "colour:correlation=0.5"], "--cue names a cue without its correlation"),
        (["--correlations", "0.5,1.5"], "colour.correlation must be in [0, 1], got 1.5"),
        (["--correlations", "half"], "--correlations must be numbers like 0.5,0.9,1, got 'half'"),
        (["--correlations", "0.1"], "--correlations must have one besides 0.1"),
        (["--correlations", "0.5,0.5"], "--correlations names 0.5 twice"),
        (["--correlations", "0.9999999,1"], "two levels of training data have one name, colour 1"),
        (["--cue", "none", "--correlations", "0.5"], "--correlations is for a planted cue"),
        (["--method", "random"], "--method must name a method besides random and full"),
        (["--method", "dm", "--method", "dm"], "--method names dm twice"),
        (["--base", "dm"], "--base is for studies of one base"),
        (["--add-study", "nowhere"], "--add-study nowhere cannot be read"),
    ],
)
def test_wrong_words_are_refused_in_one_line(
    words: list[str], told: str, refusal: Callable[[Callable[[], object]], str]
) -> None:
    assert told in refusal(lambda: planned(*words))


def test_studies_of_another_design_are_no_kinds_of_data(
    cue: StudyFolder, plain: list[Path], refusal: Callable[[Callable[[], object]], str]
) -> None:
    words = [*SMALL[:3], "--ipc", "5", "--add-study"]
    told = refusal(lambda: planned(*words, str(plain[0])))
    assert "has another design (every method on the data as they are); run both with the same --cue" in told
    told = refusal(lambda: planned(*words, str(plain[0]), "--cue", "none", "--ipc", "1"))
    assert "is digits with 1 image per class, as this study is" in told


def test_a_correlation_that_says_nothing_of_two_classes_is_no_planted_bias(refusal: Callable[..., str]) -> None:
    images = np.zeros((8, 1, 8, 8), np.float32)
    two = ImageData(images, np.arange(8) % 2, np.arange(8), ("a", "b"), "mine")
    flags = asked("--correlations", "0.5").flags
    told = refusal(lambda: flags.on(replace(splits(), train=two)))
    assert told == "--correlations must have one besides 0.5, that of the independent cue"


def test_an_independent_cue_must_be_one_on_the_data(refusal: Callable[[Callable[[], object]], str]) -> None:
    assert examine(asked("--quick"), splits())["classes"] == 10
    told = refusal(lambda: examine(asked("--quick", "--independent", "0.2"), splits()))
    assert told == "colour has 10 values on digits, so it says nothing at 0.1, not at 0.2; give --independent 0.1"
    grey = refusal(lambda: examine(asked("--quick", "--cue", "grey"), splits()))
    assert "grey needs colour images (3 channels), digits has 1" in grey


@pytest.mark.parametrize(
    ("values", "logarithmic", "ticks"),
    [
        ([1100, 54000, 1485, 18000, np.nan, 1485], True, [1100, 18000, 54000]),
        ([106, 147, 1733, 4879, 5400], True, [106, 1733, 5400]),
        ([1, 3, 3], False, [1, 3]),
        ([28], True, [28]),
    ],
)
def test_numbers_at_ticks_do_not_overlap(values: list[float], logarithmic: bool, ticks: list[float]) -> None:
    assert apart(np.array(values, float), logarithmic=logarithmic) == ticks


def test_a_cue_says_nothing_at_what_own_data_have(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = np.arange(120) % 4
    np.savez(tmp_path / "four.npz", train_images=np.zeros((120, 8, 8, 1), np.uint8), train_labels=labels)
    words = ["--dataset", f"npz:{tmp_path / 'four.npz'}", "--quick", "--method", "dm", "--dry-run"]
    assert main(STUDY, words) == 0
    assert "DM · colour 0.25 · unbiased" in capsys.readouterr().out
    assert main(STUDY, [*words, "--independent", "0.1"]) == 2
    assert "colour has 4 values on four, so it says nothing at 0.25, not at 0.1" in capsys.readouterr().err
    assert main(STUDY, [*words, "--cue", "symmetric"]) == 2
    assert "--cue must be a planted cue, got symmetric" in capsys.readouterr().err
