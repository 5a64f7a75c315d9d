"""Arms, levels and settings: names, the cross of a plan, controls; what is read of a study's folder."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mim4dd.errors import InputError
from mim4dd.methods import METHODS
from mim4dd.plugins import load_plugins
from mim4dd.registry import Flat
from studies.engine.arms import (
    EQUAL_STRENGTH,
    LONGER_STEP,
    Arm,
    Factor,
    Level,
    Planned,
    Setting,
    base_arm,
    changed,
    control_of,
    cross,
    default_arm,
    longer_step_of,
    placebo_knobs,
    spec,
    unplanned,
    with_controls,
)
from studies.engine.conditions import TRAINING_DATA, condition, training_data
from studies.engine.folder import StudyFolder, read_settings
from studies.engine.rows import Row, read_rows


def on(base: str, **term: float | str) -> Arm:
    knobs: Flat = {"method.base": base, **{f"method.{key}": value for key, value in term.items()}}
    return Arm(spec("mim", knobs), "mim", knobs)


@pytest.mark.parametrize(
    ("arm", "name"),
    [
        (Arm("random", "random", role="random"), "random real images"),
        (Arm("full", "full", role="full"), "full data"),
        (Arm("k_center", "k_center"), "k-center"),
        (Arm("dc", "dc", {"method.batch_real": 32}), "DC (batch_real=32)"),
        (on("dm", weight=0.0), "DM"),
        (on("dm"), "DM + MIM4DD (default)"),
        (on("dsa", balance="gradnorm", weight=1.0), "DSA + MIM4DD (equal strength)"),
        (on("dm", balance="gradnorm", weight=0.1), "DM + MIM4DD (ρ=0.1)"),
        (on("dm", weight=8.0, temperature=0.5), "DM + MIM4DD (τ=0.5, λ=8)"),
        (on("dm", direction="base"), "DM, longer step (default)"),
        (on("dm", pairs="shuffled", critic="nce_positives"), "DM, shuffled labels, positives only (default)"),
        (on("dc", balance="gradnorm", weight=1.0, direction="random"), "DC, random direction (equal strength)"),
        (on("dm", balance="gradnorm", weight=1.0, direction="base"), "DM, longer step (equal strength)"),
        (
            Arm("x", "mim", {"method.base": "dc", "method.base.lr": 1.0, "method.weight": 8.0, **LONGER_STEP}),
            "DC, longer step (lr=1, λ=8)",
        ),
    ],
)
def test_a_name_says_the_method_and_what_tells_it_apart(arm: Arm, name: str) -> None:
    assert arm.name == name


def test_a_key_is_what_a_command_line_gives() -> None:
    knobs: Flat = {"method.base": "dm", **EQUAL_STRENGTH}
    assert spec("mim", knobs) == "mim:base=dm,balance=gradnorm,weight=1"
    assert spec("random", {}) == "random"


def test_a_plan_is_the_cross_with_the_references_first() -> None:
    factor = Factor("light", (Level("day"), Level("night", {"dark": True})))
    planned = [Planned(Arm("full", "full"), {"m": "full"}, once=(0,)), Planned(Arm("dm", "dm"), {"m": "dm"})]
    settings, trials = cross(planned, (factor,), (0, 1))
    assert [one.name for one in settings] == ["full data · day", "DM · day", "full data · night", "DM · night"]
    assert [len(one.trials) for one in settings] == [1, 2, 2, 2]
    assert [one.setting for one in settings] == [0, 1, 2, 3]
    assert [trial.hash for trial in trials] == [trial for one in settings for trial in one.trials]
    assert trials[3].config == {"m": "full", "dark": True, "seed": 0}
    alone, _ = cross(planned, (), (0, 1))
    assert [(one.levels, len(one.trials)) for one in alone] == [({}, 1), ({}, 2)]


def test_a_trial_of_two_arms_is_run_once() -> None:
    planned = [Planned(Arm("a", "dm"), {"m": "dm"}), Planned(Arm("b", "dm"), {"m": "dm"})]
    settings, trials = cross(planned, (), (0,))
    assert settings[0].trials == settings[1].trials == (trials[0].hash,)


def test_the_control_is_the_base_alone_with_the_same_knobs() -> None:
    short, plain = Arm("dc:iterations=9", "dc", {"method.iterations": 9}), Arm("dc", "dc")
    assert control_of(on("dc", weight=8.0), [short, plain]) == "dc"
    long = Arm("x", "mim", {"method.base": "dc", "method.base.iterations": 9})
    assert control_of(long, [plain, short]) == short.key
    assert control_of(long, [plain]) == ""
    assert control_of(plain, [short, plain]) == ""
    assert control_of(on("dm"), [on("dm", weight=0.0)]) == on("dm", weight=0.0).key
    settings = with_controls([Setting(0, plain), Setting(1, on("dc")), Setting(2, on("dsa"))])
    assert [one.arm.control for one in settings] == ["", "dc", ""]


def test_a_longer_step_is_a_placebo_and_found_by_the_knobs_of_its_term() -> None:
    base, default, strong = base_arm("dm"), on("dm"), on("dm", **{"balance": "gradnorm", "weight": 1.0})
    twins = [changed(arm, "placebo", LONGER_STEP) for arm in (default, strong)]
    assert [twin.key for twin in twins] == [
        "mim:base=dm,direction=base",
        "mim:base=dm,balance=gradnorm,weight=1,direction=base",
    ]
    arms = [base, default, strong, *twins]
    assert [longer_step_of(arm, arms) for arm in arms] == ["", twins[0].key, twins[1].key, "", ""]
    assert longer_step_of(strong, [base, default, strong, twins[0]]) == ""
    assert [arm.placebo for arm in arms] == [False, False, False, True, True]
    assert [arm.has_term for arm in arms] == [False, True, True, False, False]
    assert {arm.base for arm in arms} == {"dm"}
    settings = with_controls([Setting(k, arm) for k, arm in enumerate(reversed(arms))])
    assert [one.arm.control for one in settings] == ["", "", "dm", "dm", ""]
    # Changed from an arm with a control, it has none: its contrast with the base is no gain of the term.
    assert changed(replace(strong, control="dm"), "placebo", LONGER_STEP) == replace(twins[1], role="placebo")
    assert placebo_knobs({**strong.knobs, "method.direction": "both"}) == {}


def test_a_changed_default_keeps_what_was_set_by_hand() -> None:
    default = default_arm({"method.base": "dc", "method.temperature": 0.2, "method.base.lr": 1.0}, ["method.base.lr"])
    assert (default.key, default.control, default.name) == ("mim:base=dc", "dc", "DC + MIM4DD (default)")
    default = default_arm({"method.base": "dc", "method.temperature": 0.2}, ["method.temperature"])
    variant = changed(default, "variant", {"method.weight": 8.0})
    assert (variant.key, variant.role) == ("mim:base=dc,temperature=0.2,weight=8", "variant")
    search = unplanned([default], {"method.weight": 8.0, "seed": 0}, ["method.weight"])
    assert (search.key, search.name) == (f"search:{variant.key}", "DC + MIM4DD (τ=0.2, λ=8)")


def test_a_factor_and_a_setting_survive_json() -> None:
    factor = training_data([condition("symmetric:rate=0"), condition("exponential:factor=10", "symmetric:rate=0.4")])
    assert Factor.read(json.loads(json.dumps(factor.json()))) == factor
    setting = Setting(3, on("dm"), {TRAINING_DATA: "clean"}, ("a", "b"), 0.5)
    assert Setting.read(json.loads(json.dumps(setting.json()))) == setting


def write(out: Path, study: object, settings: list[Any] | None = None) -> None:
    (out / "study.json").write_text(json.dumps(study))
    (out / "settings.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in settings or []))


STUDY = dict.fromkeys(("study", "title", "question", "command", "hash", "created", "dataset", "protocol"), "x")
STUDY |= {"rules": "1", "seeds": [0], "configuration": {"ipc": 1}}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (None, "holds no study"),
        ([], r"should be an object, got \[\]"),
        (3, "should be an object, got 3"),
        ({}, "study: field required"),
        ({"study": "x"}, "title: field required"),
        ({**STUDY, "seeds": 0}, "seeds: input should be a valid array, got 0"),
        ({**STUDY, "seeds": ["0"]}, 'seeds.0: input should be a valid integer, got "0"'),
        ({**STUDY, "configuration": {"ipc": []}}, r"configuration.ipc.str: .* got \[\]"),
        ({**STUDY, "configuration": {"ipc": "abc"}}, 'ipc: .* got "abc"'),
        ({**STUDY, "configuration": {}}, "ipc: field required"),
        ({**STUDY, "knobs": {"x": {"log": "yes"}}}, "knobs.x.log: "),
        ({**STUDY, "reference_accuracy": "abc"}, "reference_accuracy: "),
        ({**STUDY, "title": "x" * 99, "rules": ["x" * 99]}, r'rules: .* got \["x{35}\.\.\.\)'),
    ],
)
def test_what_is_no_study_is_one_line(study: object, message: str, tmp_path: Path) -> None:
    write(tmp_path, study)
    refused(lambda: StudyFolder.read(tmp_path), message)


@pytest.mark.parametrize(
    "held",
    [
        {"axes": [{"key": "x"}]},
        {"axes": 3},
        {"conditions": [{"text": ""}]},
        {"factors": [{"name": "x", "levels": [], "curves": []}]},
        {"factors": 3},
    ],
)
def test_what_varied_is_checked_where_a_study_is_read(held: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path, {**STUDY, **held})
    refused(lambda: StudyFolder.read(tmp_path), "study.json cannot be read")


@pytest.mark.parametrize(
    "setting",
    [Setting(0, Arm("dm", "dm"), {"light": "day"}), Setting(0, Arm("dm", "dm"), trials=("a", "b"))],
)
def test_settings_that_do_not_fit_their_study_are_one_line(setting: Setting, tmp_path: Path) -> None:
    write(tmp_path, STUDY, [setting.json()])
    refused(lambda: StudyFolder.read(tmp_path), "settings.jsonl does not fit study.json: setting 0")


def test_a_study_that_is_no_json_or_no_folder_is_one_line(tmp_path: Path) -> None:
    refused(lambda: StudyFolder.read(tmp_path / "nothing"), "holds no study")
    (tmp_path / "study.json").write_text("{")
    refused(lambda: StudyFolder.read(tmp_path), "is no JSON file")
    refused(lambda: StudyFolder.read(tmp_path / "study.json"), "cannot be read")


@pytest.mark.parametrize(
    "line",
    [
        3,
        {"setting": 0},
        {"setting": 0, "role": "dm", "trials": []},
        {"setting": 0, "arm": {"key": "dm"}, "trials": []},
        {"setting": 0, "arm": None, "trials": []},
    ],
)
def test_a_line_that_is_no_setting_is_one_line(line: object, tmp_path: Path) -> None:
    write(tmp_path, STUDY, [line])
    refused(lambda: read_settings(tmp_path), r"settings.jsonl:1 is no setting")


ROW: dict[str, Any] = {"trial": "a", "config": {}, "result": {"status": "ok"}, "report_only": {}, "measured": {}}


@pytest.mark.parametrize(
    "line",
    [
        3,
        {"trial": "a"},
        {**ROW, "result": {"status": "nix"}},
        {**ROW, "measured": None},
        {**ROW, "config": []},
        {**ROW, "trial": 3},
        {**ROW, "result": {"status": "ok", "validation_accuracy": ["x"]}},
        {**ROW, "result": {"status": "ok", "validation_recall": [0.5]}},
        {**ROW, "report_only": []},
        {**ROW, "result": None},
        {**ROW, "result": {"status": "ok", "validation_accuracy": "abc"}},
        {**ROW, "result": {"status": "ok", "failures": {"class_collapse": 3}}},
        {**ROW, "result": {"status": "ok", "perturbed": {"symmetric": {"rate": "x"}}}},
        {**ROW, "result": {"status": "ok", "failed_by": "term_idle"}},
        {**ROW, "measured": {"ended": "today"}},
        {**ROW, "config": {"seed": None}},
    ],
)
def test_a_line_that_is_no_row_is_one_line(line: object, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(f"{json.dumps(ROW)}\n{json.dumps(line)}\n")
    refused(lambda: read_rows(tmp_path), r"rows.jsonl:2 is no row")


@pytest.mark.parametrize(
    ("line", "message"),
    [(b'"\xff"', "not UTF-8 at byte 1"), (b"[" * 99_999, "nested too deeply"), (b"\0" * 512, "Expecting value")],
)
def test_bytes_that_are_no_json_are_one_line(line: bytes, message: str, tmp_path: Path) -> None:
    for name in ("study.json", "settings.jsonl", "rows.jsonl"):
        write(tmp_path, STUDY)
        (tmp_path / "rows.jsonl").unlink(missing_ok=True)
        (tmp_path / name).write_bytes(line)
        refused(lambda: StudyFolder.read(tmp_path), "no JSON file" if name == "study.json" else message)


@pytest.mark.parametrize("name", ["study.json", "settings.jsonl", "rows.jsonl"])
def test_a_folder_where_a_file_belongs_is_one_line(name: str, tmp_path: Path) -> None:
    write(tmp_path, STUDY)
    (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / name).mkdir()
    refused(lambda: StudyFolder.read(tmp_path), f"{name} cannot be read: Is a directory")


def test_rows_without_their_settings_are_one_line(tmp_path: Path) -> None:
    write(tmp_path, STUDY)
    (tmp_path / "rows.jsonl").write_text(f"{json.dumps(ROW)}\n")
    refused(lambda: StudyFolder.read(tmp_path), "settings.jsonl is missing or empty; run the study's own command")


def test_of_two_rows_the_later_stands_and_one_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    later = {**ROW, "result": {"status": "error", "reason": "lost"}}
    (tmp_path / "rows.jsonl").write_text(f'{json.dumps(ROW)}\n{json.dumps(later)}\n{{"trial": "b')
    assert read_rows(tmp_path, unfinished=True)["a"].reason == "lost"
    refused(lambda: read_rows(tmp_path), r"rows.jsonl:3 is no row")


def test_a_row_reads_the_labels_that_its_study_selects_by() -> None:
    result = {"status": "ok", "validation_accuracy": [0.5, 0.7], "noisy_validation_accuracy": [0.1, 0.3]}
    assert Row.read({**ROW, "result": result}).validation_mean == pytest.approx(0.6)
    assert Row.read({**ROW, "result": {**result, "selection": "noisy"}}).validation_mean == pytest.approx(0.2)


def test_usable_information_is_read_with_its_share_and_a_row_may_have_none() -> None:
    recall = [[0.5, None, 0.7], [0.1, None, 0.2]]
    result = {"status": "ok", "usable_information_nats": [0.3, None], "validation_recall": recall}
    report = {"usable_information_nats": [0.6, -0.1], "test_recall": recall}
    row = Row.read({**ROW, "result": result, "report_only": report})
    assert row.usable_validation == pytest.approx((0.3, math.nan), nan_ok=True)
    assert row.usable == (0.6, -0.1)
    # The second class has no image, so H(Y) is log 2.
    assert row.usable_share == pytest.approx((0.6 / math.log(2), -0.1 / math.log(2)))
    assert row.usable_validation_share == pytest.approx((0.3 / math.log(2), math.nan), nan_ok=True)
    none = Row.read({**ROW, "result": {"status": "ok", "validation_recall": recall}})
    assert (none.usable, none.usable_share, none.usable_validation, none.usable_validation_share) == ((),) * 4


def refused(read: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read()
    assert "\n" not in str(caught.value)


def test_an_arm_of_a_plugin_keeps_its_label_where_the_plugin_is_not(tmp_path: Path) -> None:
    """A folder is answered again without the plug-ins of its study."""
    plugin = tmp_path / "plug_labelled.py"
    plugin.write_text(
        "from dataclasses import dataclass\nfrom typing import ClassVar\nfrom mim4dd.methods import DM, METHODS\n\n"
        "@METHODS.add('labelled')\n@dataclass(frozen=True, kw_only=True)\nclass Mine(DM):\n"
        "    label: ClassVar[str] = 'My method'\n"
    )
    load_plugins([str(plugin)])
    try:
        term = {"method.base": "labelled"}
        arms = [Arm("labelled", "labelled"), Arm("mim:base=labelled", "mim", term, "labelled")]
        settings = [Setting(k, arm) for k, arm in enumerate(arms)]
        records = [json.loads(json.dumps(setting.json())) for setting in settings]
    finally:
        del METHODS._classes["labelled"]
    assert [Setting.read(record).arm.name for record in records] == ["My method", "My method + MIM4DD (default)"]
    assert Arm("dm", "dm").label == ""
