"""Further methods in a stress suite: which trials they add, and that each term is held against its own base."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_rows import factors_of, made_folder, made_row, replaced

from mim4dd.errors import InputError
from mim4dd.methods import METHODS
from studies.answers.ledger import Ledger
from studies.answers.parts.response import Response
from studies.answers.results import Results
from studies.answers.stress.answer import write_answer
from studies.answers.stress.flags import SuiteFlags
from studies.answers.stress.training import training_part
from studies.engine.folder import StudyFolder
from studies.engine.metadata import configuration_of
from studies.engine.options import parse_options
from studies.engine.plan import Plan
from studies.engine.sizes import Size
from studies.noisy_labels import STUDY

STRONG = "balance=gradnorm,weight=1"
WORDS = ["--kinds", "symmetric", "--severities", "0.4", "--seeds", "0-2"]


def planned(*words: str) -> tuple[Plan, StudyFolder]:
    """A plan, and a folder whose accuracies are the setting's number in percent plus the seed in thousandths."""
    options = parse_options("", "noisy_labels.py", SuiteFlags, [*WORDS, *words])
    configuration = configuration_of(STUDY, options)
    plan = STUDY.plan(options, configuration)
    configs, rows = {trial.hash: trial.config for trial in plan.trials}, {}
    for setting in plan.settings:
        for seed, trial in enumerate(setting.trials):
            accuracy = setting.setting / 100 + seed * setting.setting / 1000
            rows[trial] = made_row(trial, configs[trial], [accuracy] * 2)
    conditions = [one.json() for one in plan.conditions]
    held = {"configuration": configuration.flat, "conditions": conditions, **factors_of(*plan.factors)}
    return plan, made_folder(Path("out"), plan.settings, rows, options.seeds, **held)


def response(folder: StudyFolder) -> Response:
    ledger = Ledger(Results(folder))
    return Response(ledger, "balanced", list(ledger.results.arms))


def names_of(folder: StudyFolder) -> list[str]:
    return [arm.name for arm in folder.arms]


def test_every_is_each_base_alone_and_with_the_term_and_each_coreset_once() -> None:
    plan, folder = planned("--method", "every")
    bases = [name for name in METHODS.names() if name != "mim" and METHODS.build(name).iterations]
    coresets = [n for n in METHODS.names() if n not in (*bases, "mim", "random", "full")]
    names = names_of(folder)
    assert len(set(names)) == len(names)
    expected = {"random real images", "full data", "DM + MIM4DD (default)"}
    expected |= {coreset.replace("_", "-") for coreset in coresets}
    for base in map(str.upper, bases):
        expected |= {base, f"{base} + MIM4DD (equal strength)", f"{base}, longer step (equal strength)"}
    assert set(names) == expected
    assert len(plan.trials) == 2 * 3 * len(names)


def test_a_gain_is_over_the_same_base_with_the_same_knobs() -> None:
    asked = ["dc", "dc:lr=1", f"mim:base=dc,{STRONG}", f"mim:base=dc,lr=1,{STRONG}", "mim:weight=50", "mim:base=dsa"]
    _, folder = planned(*(word for spec in asked for word in ("--method", spec)))
    arms = {arm.key: arm for arm in folder.arms}
    over = {arm.name: arms[arm.control].name for arm in arms.values() if arm.control}
    assert over == {
        "DM + MIM4DD (default)": "DM",
        "DM + MIM4DD (equal strength)": "DM",
        "DC + MIM4DD (equal strength)": "DC",
        "DC + MIM4DD (lr=1, equal strength)": "DC (lr=1)",
        "DM + MIM4DD (λ=50)": "DM",
    }
    found, key = response(folder), {arm.name: arm.key for arm in arms.values()}
    term = key["DC + MIM4DD (equal strength)"]
    for levels in found.results.levels:
        settings = [one for one in folder.settings if tuple(one.levels.values()) == levels]
        numbers = [one.setting for name in (term, key["DC"]) for one in settings if one.arm.key == name]
        expected = (numbers[0] - numbers[1]) * np.mean([1 / 100 + seed / 1000 for seed in range(3)])
        gain = found.gain(term, levels)
        assert gain.interval.mean == pytest.approx(expected)
        assert gain.statement == "undecided, because 3 pairs are too few to decide"
    assert key["DSA + MIM4DD (default)"] not in found.terms  # its base was not asked for


def test_tables_and_figures_hold_every_method_and_a_suite_of_one_base_has_none() -> None:
    _, folder = planned("--method", "herding", "--method", "dc", "--method", f"mim:base=dc,{STRONG}")
    answer = write_answer(folder)
    tables = {table.name: [row[0] for row in table.rows] for table in answer.tables}
    assert tables["methods"] == names_of(folder)
    assert tables["bases"] == [arm.name for arm in folder.arms if arm.has_term]
    drawn = {figure.name for figure in answer.figures if figure.drawing is not None}
    assert {"methods", "bases"} <= drawn
    alone = write_answer(planned()[1])
    assert {"methods", "bases"}.isdisjoint([one.name for one in (*alone.tables, *alone.figures)])
    assert "degradation" in {table.name for table in alone.tables}


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


def test_a_suite_runs_a_longer_step_beside_its_variant_and_compares_the_two_at_every_level() -> None:
    plan, folder = planned()
    roles = {arm.name: arm.role for arm in folder.arms}
    assert list(roles.items())[2:] == [
        ("DM + MIM4DD (default)", "default"),
        ("DM + MIM4DD (equal strength)", "variant"),
        ("DM, longer step (equal strength)", "placebo"),
        ("full data", "full"),
    ]
    term, twin = folder.arms[3], folder.arms[4]
    configs = [{t.hash: t.config for t in plan.trials}[s.trials[0]] for s in plan.settings if s.arm in (term, twin)]
    assert [config["method.direction"] for config in configs] == ["both", "base"] * 2
    for one, other in (configs[:2], configs[2:]):
        assert {key for key in one if one[key] != other[key]} == {"method.direction"}
    answer = write_answer(folder)
    families = {claim.family: claim.family_size for claim in answer.claims if claim.family}
    assert families["the term against a longer step of its base"] == 2
    assert families["a longer step against the base"] == 2
    # 5 methods besides full data's own; the twin is in none of their families.
    assert (families["gains over the base"], families["costs"], families["over random real images"]) == (4, 5, 6)
    assert "step" in {table.name for table in answer.tables}
    assert not [claim for claim in answer.claims if claim.id.startswith(("gain/", "cost/")) and twin.key in claim.id]
    assert "DM, longer step (equal strength)" in str(answer.plain[0])


def test_without_the_twin_the_answer_has_no_part_of_it() -> None:
    answer = write_answer(planned("--variant", STRONG)[1])
    assert "step" not in {table.name for table in answer.tables}
    assert not [claim for claim in answer.claims if "longer step" in claim.family]
    assert not [line for line in (*answer.sentences, *answer.plain, *answer.notes) if "longer step" in str(line)]


def test_the_method_itself_cannot_be_set_to_its_control() -> None:
    with pytest.raises(InputError, match=r"mim\.direction must be both where mim\.weight is 0"):
        planned("--set", "direction=base")


def test_variants_given_by_hand_are_not_run_twice() -> None:
    plan, folder = planned("--variant", STRONG, "--variant", "weight=3", "--method", "every")
    assert len(plan.trials) == sum(len(setting.trials) for setting in plan.settings)
    names = names_of(folder)
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


def test_default_severities_that_do_not_fit_few_classes_are_left_out_and_told_and_those_asked_for_refused(
    tmp_path: Path,
) -> None:
    labels = np.arange(60) % 3
    np.savez(tmp_path / "three.npz", train_images=np.zeros((60, 8, 8), np.uint8), train_labels=labels)
    words = ["--quick", "--dataset", f"npz:{tmp_path / 'three.npz'}"]
    options = replace(parse_options("", "noisy_labels.py", SuiteFlags, words), read=Size((1, 8, 8), 3, 54, 6))
    plan = STUDY.plan(options, configuration_of(STUDY, options))
    assert [one.label for one in plan.conditions] == ["clean", "symmetric 0.2", "symmetric 0.4", "pairflip 0.4"]
    [note] = [note for note in plan.notes if "symmetric" in note]
    assert note.startswith("symmetric noise of 0.8 is left out: symmetric.rate must be at most 0.667 with 3 classes")
    other = parse_options("", "noisy_labels.py", SuiteFlags, [*words, "--condition", "pairflip:rate=0.1"])
    assert not STUDY.plan(replace(other, read=options.read), configuration_of(STUDY, other)).notes
    asked = parse_options("", "noisy_labels.py", SuiteFlags, [*words, "--kinds", "symmetric", "--severities", "0.8"])
    plan = STUDY.plan(replace(asked, read=options.read), configuration_of(STUDY, asked))
    assert [one.label for one in plan.conditions] == ["clean", "symmetric 0.8"], "refused by the data, as any condition"


def test_classes_short_of_a_real_batch_are_those_of_the_methods_that_draw_one() -> None:
    _, folder = planned("--kinds", "symmetric", "--severities", "0.4")
    drawing = {trial for setting in folder.settings if setting.arm.key != "random" for trial in setting.trials}
    tail = {"policy": "repeat", "short_of_ipc": [], "absent": []}
    rows = {
        trial: replaced(row, tail={**tail, "short_of_batch": ["3", "7"] if trial in drawing else []})
        for trial, row in folder.rows.items()
    }
    _, table = training_part(Ledger(Results(replace(folder, rows=rows))))
    at = table.columns.index("short of a real batch")
    assert [row[at] for row in table.rows] == [2, 2]


def test_a_cut_to_the_smallest_class_is_told_where_it_leaves_out_a_tenth() -> None:
    _, folder = planned("--condition", "exponential:factor=4")
    for counts, told in (([90, *[30] * 9], True), ([30] * 9 + [32], False)):
        rows = {trial: replaced(row, train_counts=counts) for trial, row in folder.rows.items()}
        notes = write_answer(replace(folder, rows=rows)).notes
        assert any("cut to the 30 images of the smallest, which leaves 300 of 360" in note for note in notes) is told
