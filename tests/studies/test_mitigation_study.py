"""The study of remedies: its conditions, what each is held against, and that sentences say what was decided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_rows import factors_of, made_folder, made_row

from mim4dd.errors import InputError
from studies.answers.mitigation.answer import cases, write_answer
from studies.answers.mitigation.cleanings import cleaning_of
from studies.answers.mitigation.flags import MitigationFlags
from studies.engine.answer import Answer
from studies.engine.conditions import CLEAN
from studies.engine.folder import StudyFolder
from studies.engine.metadata import configuration_of
from studies.engine.options import parse_options
from studies.engine.plan import Plan
from studies.mitigation import STUDY

NOISY, LOSS = "symmetric:rate=0.4,include_own=False", "dropped:by=loss,share=0.4"


def planned(*words: str) -> tuple[Plan, dict[str, Any]]:
    options = parse_options("", STUDY.script, MitigationFlags, list(words))
    configuration = configuration_of(STUDY, options)
    plan = STUDY.plan(options, configuration)
    held = {"configuration": configuration.flat, "conditions": [one.json() for one in plan.conditions]}
    return plan, {**held, **factors_of(*plan.factors), "study": "mitigation"}


def accuracy(config: dict[str, Any], seed: int) -> float:
    """Noise costs 20 points; cleaning wins 15 back, the oracle all, a sham nothing; on clean data it costs 2."""
    text, noise = config.get("perturb", ""), 0.001 * np.sin(9 * seed + len(str(config)))
    if "symmetric" not in text:
        return 0.9 + noise - (0.02 if "dropped" in text and "sham=True" not in text else 0)
    if "oracle" in text:
        return 0.9 + noise
    return 0.7 + noise + (0.15 if "sham=False" in text else 0)


def folder(*words: str) -> StudyFolder:
    plan, held = planned(*words)
    configs = {trial.hash: trial.config for trial in plan.trials}
    dropped = {"share": 0.4, "counts": [9] * 10, "wrong_dropped": 30, "right_dropped": 10, "wrong_left": 10}
    rows = {}
    for setting in plan.settings:
        for seed, trial in enumerate(setting.trials):
            perturbed = {"dropped": dropped} if "dropped" in configs[trial].get("perturb", "") else {}
            rows[trial] = made_row(trial, configs[trial], [accuracy(configs[trial], seed)] * 2, perturbed=perturbed)
    return made_folder(Path("out"), plan.settings, rows, range(5), **held)


@pytest.fixture(scope="module")
def answer() -> Answer:
    return write_answer(folder("--quick"))


def test_each_noise_meets_each_remedy_its_sham_and_the_oracle_and_clean_data_the_remedy() -> None:
    plan, _ = planned("--quick")
    texts = [one.text for one in plan.conditions]
    assert texts == [
        "",
        NOISY,
        f"{NOISY} + {LOSS},sham=False",
        f"{NOISY} + {LOSS},sham=True",
        f"{NOISY} + dropped:by=oracle,share=0.2,sham=False",
        f"{LOSS},sham=False",
    ]
    assert len(plan.trials) == len(texts) * 5 * 5
    whole, _ = planned("--seeds", "0")
    assert len(whole.conditions) == 1 + 2 * (1 + 2 * 2 + 1) + 2, "two noises, two remedies, on clean data as well"


@pytest.mark.parametrize(
    ("noise", "share"),
    [
        ("exponential:factor=10+symmetric:rate=0.4", 0.4),
        # 80% are left by the first, of which the second leaves 70%.
        ("symmetric:rate=0.2+pairflip:rate=0.3", 0.44),
    ],
)
def test_as_many_are_dropped_as_chained_noises_make_wrong(noise: str, share: float) -> None:
    plan, _ = planned("--noise", noise, "--quick")
    cleanings = filter(None, map(cleaning_of, plan.conditions))
    assert {one.share for one in cleanings if one.by == "loss"} == {share}


def test_a_remedy_s_short_name_is_a_knob_of_the_method_and_not_of_the_recipe() -> None:
    plan, _ = planned("--quick", "--remedy", "lr=3")
    remedied = {trial.config["method.base.lr"] for trial in plan.trials if trial.config["method"] == "mim"}
    assert remedied == {1.0, 3.0}
    assert {trial.config["evaluation.lr"] for trial in plan.trials} == {0.01}


def test_a_case_knows_its_noise_its_sham_and_its_oracle() -> None:
    plan, _ = planned("--quick")
    noisy, clean = cases(plan.conditions)
    assert (noisy.noise.text, clean.noise) == (NOISY, CLEAN)
    assert noisy.sham is not None
    assert noisy.oracle is not None
    assert noisy.sham.text.endswith("sham=True")
    assert cleaning_of(noisy.oracle).by == "oracle"  # type: ignore[union-attr]
    assert (clean.sham, clean.oracle) == (None, None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--remedy", "symmetric:rate=0.1"], "--remedy takes a cleaning"),
        (["--remedy", "dropped:by=oracle"], "needs no oracle and no sham"),
        (["--remedy", "dropped:sham=True"], "needs no oracle and no sham"),
        (["--remedy", "dropped:by=lost"], "by must be one of"),
        (["--noise", "jpeg:severity=3"], "leaves all labels right"),
        (["--noise", "symetric:rate=0.4"], "did you mean 'symmetric'"),
        (["--imbalance", "symmetric:rate=0.4"], "is not imbalance alone"),
        (["--imbalance", "exponential:factor=10+dropped:by=loss,share=0.3"], "is not imbalance alone"),
        (["--imbalance", "exponential:factor=10", "--remedy", "dropped:by=loss"], "of which --imbalance makes none"),
        (["--remedy", "dropped:by=confident,share=0.3"], "share is for by=loss"),
        (["--remedy", "dropped:share=0"], "leaves nothing out; give a share above 0"),
        (["--remedy", "batch_weights=shuffled"], "is the sham of batch_weights=posterior"),
        (["--method", "dc", "--method", "dc"], "--method names dc twice"),
        (["--remedy", "positives_share=0.3"], "is below 1 and with positives=similar or positives=drawn"),
        (["--remedy", "positives=similar,positives_share=1"], "is below 1 and with positives=similar"),
        (["--remedy", "last_wait=0"], "did you mean 'last_weight'"),
        (["--remedy", "evaluation.lr=0.5"], "takes knobs of a method, and evaluation.lr is none; set it for all"),
        (["--remedy", "expert_sampling=balanced"], "changes no method of this study"),
        (["--remedy", "last_weight=2"], "last_weight must be"),
        (["--remedy", "batch_shares=equal"], "changes no method of this study"),
        (["--remedy", "ipc_shares=proportional"], "changes no set of 1 image per class; give --ipc 2 or more"),
    ],
)
def test_wrong_flags_are_one_line(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        planned(*words)
    assert "\n" not in str(caught.value)


def test_confident_learning_is_refused_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studies.answers.mitigation.cleanings.find_spec", lambda name: None)
    with pytest.raises(InputError, match="--remedy dropped:by=confident needs cleanlab"):
        planned("--remedy", "dropped:by=confident")
    assert "confident" not in str(planned()[0].conditions)


def test_shares_that_differ_print_apart() -> None:
    plan, _ = planned("--quick", "--remedy", "dropped:share=0.12", "--remedy", "dropped:share=0.125")
    assert {case.remedy for case in cases(plan.conditions)} == {
        "dropping the 12% of images with the largest loss",
        "dropping the 12.5% of images with the largest loss",
    }


def test_a_cleaning_may_be_named_without_knobs() -> None:
    short, whole = (planned("--quick", "--remedy", text)[0] for text in ("dropped", "dropped:by=loss,share=0.2"))
    assert [one.text for one in short.conditions] == [one.text for one in whole.conditions]


def test_noise_of_a_file_is_cleaned(tmp_path: Path) -> None:
    """A condition as text has no path: its file is the one that was read."""
    file = tmp_path / "pairs.csv"
    matrix = 0.7 * np.eye(10) + 0.3 * np.roll(np.eye(10), 1, axis=1)
    file.write_text("\n".join(",".join(map(str, row)) for row in matrix))
    plan, _ = planned("--quick", "--noise", f"matrix:file={file}")
    noise = plan.conditions[1]
    assert "pairs.csv@" in noise.text
    assert str(tmp_path) not in noise.text
    assert [one.text.removeprefix(noise.text) for one in plan.conditions[2:5]] == [
        *(f" + dropped:by=loss,share=0.3,sham={sham}" for sham in (False, True)),
        " + dropped:by=oracle,share=0.2,sham=False",
    ]
    assert all(len(one.perturbations) for one in plan.conditions[1:])


def test_the_answer_says_what_was_decided(answer: Answer) -> None:
    claims = {one.id: one for one in answer.claims}
    label = "symmetric-0.4-+-dropped-share-0.4"
    assert (claims[f"remedy/dm/{label}"].decision, claims[f"over-sham/dm/{label}"].decision) == ("gain", "gain")
    assert claims[f"short-of-oracle/dm/{label}"].decision == "loss"
    assert claims["cost/dm/dropped-share-0.4"].decision == "loss"
    text = " ".join(map(str, answer.sentences))
    assert "dropping the 40% of images with the largest loss before distilling is a gain for" in text
    assert "On clean data, dropping the 40% of images with the largest loss is a loss for" in text
    first, noise, clean = map(str, answer.plain)
    assert first.startswith("On digits, with 1 image per class and 5 synthetic sets, the difference in accuracy that ")
    assert "dropping the 40% of images with the largest loss makes at symmetric 0.4 is: DM +15." in first
    assert noise == "Under noise, over 2 pairs of a remedy and one of these methods, it is a gain in 2."
    assert clean == "On clean data, over 2 pairs of a remedy and one of these methods, it is a loss in 2."


def test_the_table_says_what_was_dropped(answer: Answer) -> None:
    table = next(one for one in answer.tables if one.name == "remedies")
    row = dict(zip(table.columns, table.rows[1], strict=True))
    assert str(row["wrong labels found"]).startswith("75.0%")
    assert str(row["right among dropped"]).startswith("25.0%")


def test_a_sham_whose_trial_failed_has_its_own_number_of_pairs(answer: Answer) -> None:
    def told(answer: Answer) -> tuple[list[object], str]:
        table = next(one for one in answer.tables if one.name == "remedies")
        place = table.columns.index("pairs")
        return [row[place] for row in table.rows], table.note

    whole, note = told(answer)
    assert set(whole) == {5}
    assert "Pairs:" not in note
    held = folder("--quick")
    sham = next(
        one for one in held.settings if one.arm.key == "dm" and "share 0.4 sham" in " ".join(one.levels.values())
    )
    del held.rows[sham.trials[2]]
    pairs, note = told(write_answer(held))
    assert sorted(map(str, pairs)) == ["5"] * (len(whole) - 1) + ["5, 4, 5"]
    assert note.endswith("leave them different numbers.")


def test_without_any_trial_of_the_base_there_is_no_answer_yet() -> None:
    held = folder("--quick")
    held.rows.clear()
    assert "There is no answer yet" in str(write_answer(held).sentences[0])


IMBALANCE = ("--imbalance", "exponential:factor=10", "--seeds", "0-5")


def test_remedies_that_are_knobs_stand_beside_each_method_that_has_them() -> None:
    plan, _ = planned(*IMBALANCE)
    assert [one.label for one in plan.conditions] == ["clean", "exponential 10"]
    remedied = {one.arm.key: one.arm.control for one in plan.settings if one.arm.role == "remedy"}
    shares, falling = "method.base.batch_shares", "method.last_weight"
    of = {key: arm for key, arm in {one.arm.key: one.arm for one in plan.settings}.items() if arm.role == "remedy"}
    assert sorted(remedied.values()) == sorted(
        ["dm"] + ["mim:base=dm"] * 3 + ["mim:base=dm,balance=gradnorm,weight=1"] * 3
    )
    assert {of[key].knobs.get(shares) for key in of} == {"proportional", None}
    both, _ = planned(*IMBALANCE, "--remedy", "prior=added,batch_shares=proportional")
    joined = {one.arm.control: one.arm.knobs for one in both.settings if one.arm.role == "remedy"}
    assert set(joined) == {"mim:base=dm", "mim:base=dm,balance=gradnorm,weight=1"}, "the base alone has no critic"
    assert all(one["method.prior"] == "added" and one[shares] == "proportional" for one in joined.values())
    shams = [one.arm for one in plan.settings if one.arm.role == "sham"]
    assert {arm.knobs["method.weight"] for arm in shams} == {0.4, 0.5}
    assert all(falling not in arm.knobs and remedied[arm.control] for arm in shams)
    trials = {trial.hash: trial.config for trial in plan.trials}
    for setting in plan.settings:
        assert [trials[trial]["seed"] for trial in setting.trials] == list(range(len(setting.trials)))
    assert [setting.setting for setting in plan.settings] == list(range(len(plan.settings)))
    ten, _ = planned(*IMBALANCE, "--ipc", "10")
    assert "proportional" in {one.arm.knobs.get("method.base.ipc_shares") for one in ten.settings}
    with_mtt, _ = planned(*IMBALANCE, "--method", "mtt", "--remedy", "expert_sampling=balanced")
    (of_mtt,) = {one.arm.key: one.arm for one in with_mtt.settings if one.arm.role == "remedy"}.values()
    assert (of_mtt.control, of_mtt.knobs) == ("mtt", {"method.expert_sampling": "balanced"})


def test_what_knobs_do_as_remedies_is_decided_at_each_condition() -> None:
    """The share costs 8 points under imbalance and nothing else; a falling weight gains 3, its sham 1."""
    plan, held = planned(*IMBALANCE)
    configs = {trial.hash: trial.config for trial in plan.trials}
    rows = {}
    for trial, config in configs.items():
        noise = 0.001 * np.sin(7 * config["seed"] + len(str(config)))
        cost = 0.08 * ("proportional" in str(config) and "exponential" in str(config.get("perturb")))
        gain = 0.03 * ("method.last_weight" in config) + 0.01 * (config.get("method.weight") in (0.4, 0.5))
        rows[trial] = made_row(trial, config, [0.7 + noise - cost + gain] * 2)
    answer = write_answer(made_folder(Path("out"), plan.settings, rows, range(6), **held))
    claims = {one.id: one for one in answer.claims}
    hurt, level = "remedied/remedy:mim:base=dm,weight=0,base.batch_shares=proportional", "exponential-10"
    assert (claims[f"{hurt}/{level}"].decision, claims[f"{hurt}/clean"].decision) == ("loss", "negligible")
    fall = "remedy:mim:base=dm,balance=gradnorm,weight=1,last_weight=0"
    for at in (level, "clean"):
        assert claims[f"remedied/{fall}/{at}"].estimate == pytest.approx(0.03, abs=0.003)
        assert claims[f"remedied-over-sham/{fall}/{at}"].estimate == pytest.approx(0.02, abs=0.003)
        assert claims[f"remedied-over-sham/{fall}/{at}"].decision == "gain"
    text = " ".join(map(str, answer.sentences))
    assert "At exponential 10, batch_shares=proportional is a loss for" in text
    assert "compared with its sham, it is a gain for" in text
    assert not any(key.startswith("gain/remedy:") for key in claims), "a remedy's gain is none of the term's"
    first, _, last = map(str, answer.plain[-3:])
    start = "On digits, with 1 image per class and 6 synthetic sets, "
    assert first.startswith(f"{start}batch_shares=proportional is a loss for DM at exponential 10 (-8.")
    assert "in 3 of 6 cases." in first
    assert last.startswith(f"{start}last_weight=0 is a gain for DM + MIM4DD (default) on clean data (+")


def test_knobs_under_noise_are_held_against_the_right_labels_alone() -> None:
    """Noise costs 20 points; the knob wins 15 back, so it is 5 short of the oracle."""
    plan, held = planned("--quick", "--noise", NOISY, "--remedy", "batch_weights=posterior")
    rows = {}
    for trial in plan.trials:
        won = 0.15 * ("posterior" in str(trial.config))
        of = accuracy(dict(trial.config), trial.config["seed"]) + won * ("symmetric" in trial.config.get("perturb", ""))
        dropped = {"share": 0.4, "counts": [9] * 10, "wrong_dropped": 40, "right_dropped": 0, "wrong_left": 0}
        perturbed = {"dropped": dropped} if "dropped" in trial.config.get("perturb", "") else {}
        rows[trial.hash] = made_row(trial.hash, trial.config, [of] * 2, perturbed=perturbed)
    answer = write_answer(made_folder(Path("out"), plan.settings, rows, range(5), **held))
    claims = {one.id: one for one in answer.claims}
    remedy = "remedy:mim:base=dm,weight=0,base.batch_weights=posterior"
    sham = claims[f"remedied-over-sham/{remedy}/symmetric-0.4"]
    assert (sham.estimate, sham.decision) == (pytest.approx(0.15, abs=0.003), "gain")
    short = claims[f"remedied-short-of-oracle/{remedy}/symmetric-0.4"]
    assert short.estimate == pytest.approx(-0.05, abs=0.003)
    assert (short.decision, f"remedied-short-of-oracle/{remedy}/clean" in claims) == ("loss", False)
    assert "compared with the right labels alone, it is a loss for" in " ".join(map(str, answer.sentences))


def test_the_whole_study_of_noise_has_knobs_too_and_each_noise_its_own_share() -> None:
    plan, _ = planned()
    assert {one.arm.role for one in plan.settings} >= {"remedy", "sham"}
    for noise, share in (("asymmetric:rate=0.4", 0.2), ("symmetric:rate=0.4,include_own=True", 0.36)):
        plan, _ = planned("--quick", "--noise", noise)
        cleanings = [found for one in plan.conditions if (found := cleaning_of(one)) is not None]
        assert {one.share for one in cleanings if one.by == "loss"} == {share}


@pytest.mark.parametrize(
    ("noise", "dataset", "share"),
    [
        ("symmetric:rate=0.4,include_own=True", "svhn", 0.36),
        ("symmetric:rate=0.4,include_own=True", "cifar100", 0.396),
        ("symmetric:rate=0.0004", "svhn", 0.0004),
        ("pairflip:rate=0.3", "svhn", 0.3),
        ("asymmetric:rate=0.2", "cifar100", 0.2),
    ],
)
def test_small_loss_selection_leaves_out_as_many_as_are_wrong(noise: str, dataset: str, share: float) -> None:
    plan, _ = planned("--quick", "--noise", noise, "--dataset", dataset, "--data-root", "anywhere")
    cleanings = [found for one in plan.conditions if (found := cleaning_of(one)) is not None]
    assert {one.share for one in cleanings if one.by == "loss"} == {share}


@pytest.mark.parametrize(
    ("words", "means"),
    [
        (("--remedy", "last_weight=0", "--remedy", "last_weight=0.5"), {0.5, 0.75}),
        (("--remedy", "last_weight=0", "--remedy", "weight=2"), {0.5}),
        (("--remedy", "last_weight=0,weight=2"), {1.0}),
        (("--remedy", "last_weight=0", "--set", "method.last_weight=0.5"), {0.5}),
    ],
)
def test_each_falling_weight_has_its_own_sham(words: tuple[str, ...], means: set[float]) -> None:
    plan, _ = planned(*IMBALANCE, *words)
    trials = {trial.hash: trial.config for trial in plan.trials}
    arms = {one.arm.key: one for one in plan.settings}
    shams = [one for one in arms.values() if one.arm.role == "sham" and "gradnorm" in one.arm.key]
    assert {trials[one.trials[0]]["method.weight"] for one in shams} == means
    assert all("method.last_weight" not in trials[one.trials[0]] for one in shams)


def test_the_sham_of_the_most_similar_positives_has_as_many_drawn() -> None:
    plan, _ = planned("--quick", "--remedy", "positives=similar,positives_share=0.3", "--remedy", "positives=drawn")
    trials = {trial.hash: trial.config for trial in plan.trials}
    arms = {one.arm.key: (one.arm, trials[one.trials[0]]) for one in plan.settings}
    remedies = [arm for arm, _ in arms.values() if arm.role == "remedy"]
    assert len(remedies) == 4, "the default term and the one at equal strength, with each of the two"
    shams = [(arm, config) for arm, config in arms.values() if arm.role == "sham"]
    assert {arm.control for arm, _ in shams} == {arm.key for arm in remedies if "similar" in arm.key}
    for arm, config in shams:
        assert (config["method.positives"], config["method.positives_share"]) == ("drawn", 0.3)
        assert "similar" not in str(arm.knobs)


@pytest.mark.parametrize("remedy", ["weight=0", "direction=base", "pairs=shuffled"])
def test_what_takes_the_term_away_is_no_remedy(remedy: str) -> None:
    with pytest.raises(InputError, match=f"--remedy {remedy} takes the MI term away"):
        planned(*IMBALANCE, "--remedy", remedy)


def test_a_remedy_written_twice_is_one() -> None:
    once, _ = planned(*IMBALANCE, "--remedy", "last_weight=0")
    twice, _ = planned(*IMBALANCE, "--remedy", "last_weight=0", "--remedy", "last_weight=0.0")
    assert len(once.settings) == len(twice.settings)


def test_a_sham_that_is_a_method_of_the_study_runs_once() -> None:
    plan, _ = planned(*IMBALANCE, "--remedy", "last_weight=0", "--method", "mim:base=dm,weight=0.4")
    assert len({trial.hash for trial in plan.trials}) == len(plan.trials)


def test_knobs_alone_take_the_place_of_cleanings_and_meet_no_cleaned_data() -> None:
    plan, _ = planned("--quick", "--remedy", "last_weight=0")
    oracle = plan.conditions[-1]
    assert [one.text for one in plan.conditions] == ["", NOISY, oracle.text]
    assert getattr(cleaning_of(oracle), "by", "") == "oracle"
    plan, _ = planned("--quick", "--remedy", "last_weight=0", "--remedy", LOSS)
    met = {one.levels["training data"] for one in plan.settings if one.arm.role in ("remedy", "sham")}
    assert met == {"clean", "symmetric 0.4"}
