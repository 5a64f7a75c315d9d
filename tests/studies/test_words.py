"""Words on a command line that no study can use: one line and status 2, at once, whatever the study."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path

import pytest

from mim4dd.errors import InputError
from studies.engine.command import main
from studies.engine.options import MOST_SEEDS, parse_seeds

LONG = "x" * 300
NUMBERS = [
    *[("--seeds", word) for word in ("0-9999999999", "0-1000000", "²", "1-²", "5-2", "-1", "1,1", "1.5", "9" * 30)],
    *[("--settings", word) for word in ("100000", "0", "-3", "nan", "1e9")],
    *[("--ipc", word) for word in ("0", "-1", "99999999999", "0x10", "inf")],
    *[("--split-seed", word) for word in ("-1", "9" * 30)],
    *[("--design-seed", word) for word in ("-1", "9" * 30)],
    *[("--cpus-per-trial", word) for word in ("0", "nan", "inf", "-1", "1e9")],
    *[("--gpus-per-trial", word) for word in ("-1", "nan", "inf", "1.5", "1000")],
    *[("--max-concurrent", word) for word in ("-1", "9" * 30)],
    *[(flag, word) for flag in ("--checkpoint-seconds", "--silence-limit") for word in ("0", "nan", "inf", "-5")],
    *[("--preflight-limit", word) for word in ("0", "nan", "inf")],
]


def refusal(name: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    began = time.monotonic()
    assert main(import_module(f"studies.{name}").STUDY, words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1, said.err
    assert time.monotonic() - began < 20  # three seconds on a machine with nothing else to do
    return said.err


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS", "MIM4DD_DATA"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("flag", "word"), NUMBERS)
def test_a_number_outside_its_limits(flag: str, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert flag in refusal("sensitivity", [f"{flag}={word}", "--dry-run"], capsys)


def test_seeds_up_to_their_limits() -> None:
    assert parse_seeds("0-2, 7") == (0, 1, 2, 7)
    assert len(parse_seeds(f"0-{MOST_SEEDS - 1}")) == MOST_SEEDS
    assert parse_seeds(str(2**32 - 1)) == (2**32 - 1,)
    for text in (f"0-{MOST_SEEDS}", str(2**32)):
        with pytest.raises(InputError):
            parse_seeds(text)


def test_a_study_of_too_many_trials_is_refused_before_it_is_planned(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--settings", "1000", "--seeds", "0-999", "--dry-run"]
    assert "at most 20,000 trials" in refusal("sensitivity", words, capsys)
    assert "at most 20,000 trials" in refusal("noisy_labels", ["--seeds", "0-999", "--dry-run"], capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", LONG], "File name too long"),
        (["--out", "a\nb"], "must be printable UTF-8"),
        (["--out", "a\0b"], "must be printable UTF-8"),
        (["--out", "a\udcff"], "must be printable UTF-8"),
        (["--out", ""], "empty"),
        (["--out="], "empty"),
        (["--out", "/etc/passwd"], "must be a folder"),
        (["--dataset", "folder:~nouser/x"], "existing folder"),
        (["--dataset", f"folder:{LONG}"], "File name too long"),
        (["--dataset", f"npz:{LONG}.npz"], "File name too long"),
        (["--dataset", "mnist", "--data-root", LONG, "--offline"], "mnist is not under"),
        (["--perturb", f"human:file={LONG}.npz"], "File name too long"),
        (["--perturb", "human:file=~nouser/x.npz"], "No such file"),
        (["--set", "temperature=nan"], "finite"),
        (["--set", "temperature=inf"], "finite"),
        (["--range", "temperature=nan:1"], "finite"),
        (["--perturb", "symmetric:rate=nan"], "finite"),
        (["--tracking-uri", "http://["], "--tracking-uri must be a URI"),
        (["--tracking-uri", "http://host:99999"], "Port out of range"),
        (["--tracking-uri", "http://"], "--tracking-uri must name a host"),
        (["--tracking-uri", "databricks"], "Databricks"),
        (["--tracking-uri", "databricks://profile"], "Databricks"),
        (["--tracking-uri", "file:/x"], "must not be a folder"),
        (["--tracking-uri", "mlruns"], "must not be a folder"),
        (["--address", "host:²"], "--address must be local"),
        (["--address", "host:99999"], "--address must be local"),
        (["--address", "ray://host:10001"], "Ray Client"),
    ],
)
def test_a_name_or_address_that_cannot_be_one(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dry = [] if "--offline" in words else ["--dry-run"]
    began = "sensitivity: results in"
    if dry:
        assert message in refusal("sensitivity", [*words, *dry], capsys)
    else:  # found when the data are read, after the first line
        assert main(import_module("studies.sensitivity").STUDY, words) == 2
        said = capsys.readouterr()
        assert said.out.startswith(began)
        assert message in said.err
        assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("baselines", ["--base", "dc"], "--method mim:base=dc"),
        ("fidelity", ["--base", "zzz"], "--method mim:base=zzz"),
        ("baselines", ["--set", "weight=abc"], "must be a number"),
        ("baselines", ["--set", "weight=5"], "read by no method of this study"),
        ("baselines", ["--set", "ipc=0x10"], "unknown knob 'ipc'"),
        ("fidelity", ["--set", "temperature=3"], "unknown knob"),
        ("noisy_labels", ["--set", "seed=3"], "unknown knob 'seed'"),
        ("sensitivity", ["--set", "dataset=mnist"], "unknown knob 'dataset'"),
        ("sensitivity", ["--classes-as", "zz"], "unknown data set 'zz'"),
        ("sensitivity", ["--classes-as", "cifar10"], "--classes-as says what a file or folder holds"),
        ("sensitivity", ["--dataset", "npz:x.npz", "--classes-as", "cifar1"], "did you mean 'cifar10'"),
        ("sensitivity", ["--download"], "'digits' does not use it"),
        ("sensitivity", ["--dataset", "npz:x.npz", "--download"], "does not use it"),
        ("sensitivity", ["--data-root", "x"], "'digits' does not use it"),
        ("sensitivity", ["--selection", "noisy"], "needs label noise"),
        ("sensitivity", ["--perturb", "gaussian_noise:severity=3", "--selection", "noisy"], "needs label noise"),
        ("imbalance", ["--selection", "noisy"], "needs label noise"),
        ("fidelity", ["--selection", "noisy"], "needs label noise"),
        ("sensitivity", ["--perturb", "symmetric:rate=0"], "must change the training data"),
        ("sensitivity", ["--design", "grid", "--design-seed", "5"], "no draw"),
    ],
)
def test_a_flag_that_the_study_would_not_read(
    name: str, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refusal(name, [*words, "--dry-run"], capsys)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("baselines", ["--set", "temperature=0.5"]),
        ("baselines", ["--set", "base.batch_real=16"]),
        ("baselines", ["--method", "mim:base=dm,weight=5", "--method", "dm", "--set", "weight=5"]),
        ("imbalance", ["--grid", "--selection", "noisy"]),
        ("noisy_labels", ["--selection", "noisy"]),
        ("sensitivity", ["--base", "dc"]),
        ("sensitivity", ["--dataset", "mnist", "--data-root", "x", "--download"]),
        ("sensitivity", ["--tracking-uri", "postgresql://me:secret@host/mlflow"]),
        ("sensitivity", ["--tracking-uri", "http://host"]),
        ("sensitivity", ["--design", "random", "--design-seed", "5"]),
    ],
)
def test_a_flag_that_is_read(name: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(import_module(f"studies.{name}").STUDY, [*words, "--dry-run"]) == 0
    assert "trials of" in capsys.readouterr().out


def test_a_word_of_the_environment_is_blamed_on_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("RAY_ADDRESS", "garbage")
        assert refusal("sensitivity", ["--dry-run"], capsys).startswith("error: RAY_ADDRESS must be")
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "http://[")
        assert refusal("sensitivity", ["--dry-run"], capsys).startswith("error: MLFLOW_TRACKING_URI must be")
        assert main(import_module("studies.sensitivity").STUDY, ["--dry-run", "--offline"]) == 0
        capsys.readouterr()
    monkeypatch.setenv("MIM4DD_DATA", "/nowhere")
    assert main(import_module("studies.sensitivity").STUDY, ["--dataset", "mnist", "--offline"]) == 2
    assert "the data root is MIM4DD_DATA's" in capsys.readouterr().err
