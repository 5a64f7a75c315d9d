"""`mim4dd distill | evaluate | show | list` as a shell runs them."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mim4dd.data import DATASETS
from mim4dd.methods import METHODS
from mim4dd.records import Synthetic
from mim4dd_cli.listing import KINDS
from mim4dd_cli.main import main

Ran = subprocess.CompletedProcess[str]


def shell(*words: str | Path) -> Ran:
    """The command line in this process: importing torch again for each would take most of the time."""
    told, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(complained):
        status = main([*map(str, words)])
    return Ran([], status, told.getvalue(), complained.getvalue())


def test_the_module_is_the_command() -> None:
    ran = subprocess.run([sys.executable, "-m", "mim4dd_cli", "list", "recipes"], capture_output=True, timeout=100)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout.startswith(b"dc\n")


def answer(ran: Ran) -> str:
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quick run with a name that has to be made."""
    folder = tmp_path_factory.mktemp("cli") / "deep" / "run"
    said = answer(shell("distill", "--quick", "--ipc", "2", "--set", "iterations=20", "--out", folder))
    assert said.splitlines()[-1] == f"20 images of 10 classes in {folder / 'synthetic.safetensors'}"
    return folder


@pytest.fixture
def lone_set(tmp_path: Path) -> Path:
    """A set that the library saved: no data set stands in it."""
    one = np.ones(1, np.float32)
    Synthetic(np.zeros((1, 1, 2, 2), np.float32), np.zeros(1, np.int64), ("a",), one, one).save(
        tmp_path / "synthetic.safetensors"
    )
    return tmp_path


def test_distill_writes_what_made_the_set(run_folder: Path) -> None:
    found = Synthetic.load(run_folder / "synthetic.safetensors")
    assert found.images.shape == (20, 1, 8, 8)
    config = found.config
    assert (config["dataset"], config["protocol"], config["ipc"], config["seed"]) == ("digits", "quick", 2, 0)
    assert (config["method"], config["method.base"], config["method.base.iterations"]) == ("mim", "dm", 20)
    assert (config["network.width"], config["evaluation.networks"]) == (16, 3)


def test_a_control_of_the_term_is_a_knob(tmp_path: Path) -> None:
    answer(shell("distill", "--quick", "--set", "iterations=2", "--set", "direction=base", "--out", tmp_path))
    assert Synthetic.load(tmp_path / "synthetic.safetensors").config["method.direction"] == "base"


def test_evaluate_scores_validation_and_only_then_test(run_folder: Path) -> None:
    said = answer(shell("evaluate", run_folder, "--networks", "2", "--set", "epochs=20"))
    scores = json.loads((run_folder / "validation.json").read_text())
    assert len(scores["accuracy"]) == len(scores["recall"]) == 2
    assert np.mean(scores["accuracy"]) > 0.3
    first, information, *recalls = said.splitlines()
    assert first.startswith(
        f"validation accuracy {np.mean(scores['accuracy']):.1%}, standard deviation over 2 networks"
    )
    assert "20 epochs" in first
    nats = np.mean(scores["usable_information_nats"])
    assert nats > 0
    assert information == f"usable information {nats:.3f} nats, {nats / np.log(10):.1%} of H(Y)"
    assert [line.split()[0] for line in recalls] == list("0123456789")
    assert not (run_folder / "test.json").exists()
    said = answer(shell("evaluate", run_folder, "--test", "--networks", "1", "--set", "epochs=5"))
    assert said.startswith("test accuracy")
    assert json.loads((run_folder / "test.json").read_text())["split"] == "test"


def test_show_writes_a_picture(run_folder: Path) -> None:
    said = answer(shell("show", run_folder)).strip()
    assert said == str(run_folder / "synthetic.png")
    with Image.open(said) as picture:
        assert picture.size[1] == 10 * 52 + 4


def test_notes_on_the_data_are_printed_and_size_is_kept_for_evaluation(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, size=(40, 9, 9), dtype=np.uint8)
    for number, image in enumerate(levels):
        folder = tmp_path / "pets" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[: 8 + number % 2]).save(folder / f"{number}.png")
    (tmp_path / "pets" / "a" / "x.gif").write_text("no image")
    words = ["distill", "--dataset", f"folder:{tmp_path}/pets", "--quick", "--out", tmp_path / "out"]
    said = answer(shell(*words, "--method", "random", "--set", "size=8")).splitlines()
    assert said[0].startswith("files left out: 1 whose names do not end in .png,")
    said = answer(shell("evaluate", tmp_path / "out", "--networks", "1", "--set", "epochs=1")).splitlines()
    assert said[0].startswith("files left out: 1 whose names do not end in .png,")
    assert said[1].startswith("validation accuracy ")
    assert Synthetic.load(tmp_path / "out" / "synthetic.safetensors").images.shape == (2, 1, 8, 8)


def test_list_names_every_component_and_knob() -> None:
    said = answer(shell("list", "methods"))
    assert [line for line in said.splitlines() if line and not line.startswith(" ")] == METHODS.names()
    assert "temperature = 0.1  [> 0]  divides the similarities" in said
    assert "base = dm" in said
    assert "direction = both  [both | base | random]" in said
    assert answer(shell("list", "datasets")).count("size = 0  [>= 0, <= 10000]  resize every image") == len(
        DATASETS.names()
    )
    for kind, expected in (("networks", "convnet"), ("datasets", "cifar10"), ("recipes", "standard")):
        assert expected in answer(shell("list", kind)).splitlines()
    assert "quick: network.width=16" in answer(shell("list", "protocols"))


def test_list_without_a_kind_is_a_line_on_each() -> None:
    lines = answer(shell("list")).splitlines()
    assert [line.split()[0] for line in lines if line and line[0] != "`"] == [*KINDS, "protocols"]
    for kind, registry in KINDS.items():
        (line,) = (line for line in lines if line.startswith(f"{kind} "))
        assert line.endswith(f": {', '.join(registry.names())}")
    assert lines[-1] == "`mim4dd list KIND` names the source and the knobs of each"


DISTIL = ["distill", "--quick", "--out", "{tmp}/out"]
BAD = {
    "no verb": ([], "the following arguments are required"),
    "unknown verb": (["distil"], "invalid choice: 'distil'"),
    "no out": (["distill"], "the following arguments are required: --out"),
    "unknown flag": ([*DISTIL, "--epochs", "3"], "unrecognized arguments: --epochs 3"),
    "method": ([*DISTIL, "--method", "min"], "unknown method 'min'; did you mean 'mim'?"),
    "network": ([*DISTIL, "--network", "convet"], "did you mean 'convnet'?"),
    "protocol": (["distill", "--protocol", "papr", "--out", "{tmp}/out"], "did you mean 'paper'?"),
    "two protocols": ([*DISTIL, "--protocol", "paper"], "--quick is --protocol quick; give one of them"),
    "dataset": ([*DISTIL, "--dataset", "cifr10"], "did you mean 'cifar10'?"),
    "dataset is missing": ([*DISTIL, "--dataset", "cifar10", "--data-root", "{tmp}"], "cifar10 is not under {tmp}"),
    "npz is missing": (
        [*DISTIL, "--dataset", "npz:{tmp}/none.npz"],
        "{tmp}/none.npz cannot be read: No such file",
    ),
    "knob": ([*DISTIL, "--set", "temprature=1"], "did you mean 'method.temperature'?"),
    "value": ([*DISTIL, "--set", "temperature=0"], "mim.temperature must be in (0, inf), got 0"),
    "text": ([*DISTIL, "--set", "iterations=nan"], "dm.iterations must be a whole number, got 'nan'"),
    "no value": ([*DISTIL, "--set", "temperature"], "--set must be key=value, got 'temperature'"),
    "twice": ([*DISTIL, "--set", "width=1", "--set", "width=2"], "--set width is given twice"),
    "no term": (
        [*DISTIL, "--set", "weight=0", "--set", "direction=base"],
        "mim.direction must be both where mim.weight",
    ),
    "base": ([*DISTIL, "--set", "base=mim"], "mim.base must be a method that matches real and synthetic images"),
    "perturbation": ([*DISTIL, "--perturb", "symetric:rate=0.4"], "did you mean 'symmetric'?"),
    "rate": ([*DISTIL, "--perturb", "symmetric:rate=1.2"], "symmetric.rate must be in [0, "),
    "ipc is no number": ([*DISTIL, "--ipc", "x"], "argument --ipc: invalid int value: 'x'"),
    "ipc is 0": ([*DISTIL, "--ipc", "0"], "ipc must be in [1, 1000000], got 0"),
    "device without memory": ([*DISTIL, "--device", "meta"], "--device meta is not available here"),
    "out is a file": (["distill", "--quick", "--out", "{tmp}/file"], "--out {tmp}/file cannot be written: File exists"),
    "no run": (["evaluate", "{tmp}"], "{tmp}/synthetic.safetensors is no synthetic set written by mim4dd"),
    "not from a data set": (
        ["evaluate", "{lone}"],
        "{lone} does not say how it was distilled: it lacks dataset, split_seed",
    ),
    "cut of a finished run": (
        ["evaluate", "{run}", "--split-seed", "1"],
        "--split-seed is for a file of other code; {run} says it itself: leave it out",
    ),
    "other images": (["evaluate", "{run}", "--dataset", "npz:{npz}"], "npz:{npz} must hold the images that {run} was"),
    "~nobody": ([*DISTIL, "--dataset", "npz:~nouser/x.npz"], "{cwd}/~nouser/x.npz cannot be read"),
    "nobody's file": ([*DISTIL, "--perturb", "matrix:file=~nouser/x.csv"], "~nouser/x.csv cannot be read"),
    "long name": (["distill", "--quick", "--out", "{tmp}/" + 300 * "a"], "cannot be written: File name too long"),
    "folder in the way": (["distill", "--quick", "--out", "{tmp}/way"], "--out {tmp}/way cannot be written: Is a dir"),
    "a set is there": (
        ["distill", "--quick", "--out", "{run}"],
        "{run} holds a synthetic set; give another folder, or",
    ),
    "of two parts": (
        [*DISTIL, "--set", "lr=1"],
        "knob 'lr' could mean evaluation.lr or method.base.lr; give the whole",
    ),
    "score in the way": (
        ["evaluate", "{run}", "--test", "--corrupt", "jpeg:severity=1"],
        "cannot be written: Is a dir",
    ),
    "nonsense": ([*DISTIL, "--set", "iterations=1e12"], "dm.iterations must be in [1, 100000000], got 1000000000000"),
    "enormous": ([*DISTIL, "--set", "iterations=" + 500 * "9"], "dm.iterations must be a whole number, got '9999"),
    "superscript": ([*DISTIL, "--set", "width=²"], "convnet.width must be a whole number, got '²'"),
    "infinite": ([*DISTIL, "--set", "temperature=inf"], "mim.temperature must be finite, got inf"),
    "ipc is nonsense": ([*DISTIL, "--ipc", "1000000000000"], "ipc must be in [1, 1000000], got 1000000000000"),
    "networks": (["evaluate", "{run}", "--networks", "0"], "standard.networks must be in [1, 1000], got 0"),
    "another network": (["evaluate", "{run}", "--network", "resnet"], "unknown network 'resnet'"),
    "recipe's knob": (["evaluate", "{run}", "--set", "lr=-1"], "standard.lr must be in (0, inf), got -1"),
    "method of a finished run": (["evaluate", "{run}", "--set", "temperature=1"], "unknown knob 'temperature'"),
    "picture of nothing": (["show", "{tmp}"], "{tmp}/synthetic.safetensors is no synthetic set written by mim4dd"),
    "kind": (["list", "metods"], "unknown kind 'metods'; did you mean 'methods'?"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_status_2(case: str, run_folder: Path, lone_set: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    if case in ("no run", "picture of nothing"):
        (tmp_path / "synthetic.safetensors").unlink()
    words, expected = BAD[case]
    (tmp_path / "way" / "synthetic.safetensors").mkdir(parents=True)
    (run_folder / "test-jpeg-1.json").mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 255, (60, 8, 8), dtype=np.uint8), np.arange(60) % 10
    np.savez(tmp_path / "other.npz", train_images=images, train_labels=labels)
    places = {"{tmp}": str(tmp_path), "{run}": str(run_folder), "{lone}": str(lone_set), "{cwd}": str(Path.cwd())}
    places["{npz}"] = str(tmp_path / "other.npz")
    for name, place in places.items():
        words, expected = [word.replace(name, place) for word in words], expected.replace(name, place)
    ran = shell(*words)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: ")
    assert expected in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_networks_that_diverge_are_no_score(run_folder: Path, tmp_path: Path) -> None:
    ran = shell("evaluate", run_folder, "--networks", "2", "--set", "evaluation.lr=1e12", "--out", tmp_path / "scores")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        "error: 2 of 2 networks diverged: their class scores are not finite; lower evaluation.lr, or mend the network\n"
    )
    assert not [*(tmp_path / "scores").glob("*.json")]


def test_a_set_is_replaced_with_its_picture_and_scores_when_asked(tmp_path: Path) -> None:
    again = ["distill", "--quick", "--method", "random", "--out", tmp_path]
    assert shell(*again).returncode == 0
    assert shell("show", tmp_path).returncode == 0
    (tmp_path / "test.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("mine")
    assert shell(*again, "--overwrite", "--seed", "3").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "synthetic.safetensors"]


def test_run_that_diverges_is_one_line_and_status_1(tmp_path: Path) -> None:
    far = ["--set", "method.base.lr=1e30", "--set", "iterations=20"]
    ran = shell("distill", "--quick", *far, "--out", tmp_path)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("error: the run diverged: the ")
    assert ran.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["distill", "--help"],
        ["list"],
        ["list", "methods"],
        ["list", "perturbations"],
        ["distill", "--set", "x"],
    ],
)
def test_help_listing_and_mistakes_need_no_torch(words: list[str]) -> None:
    code = (
        "import sys; from mim4dd_cli.main import main\n"
        f"main({words!r})\n"
        "print('heavy:', *{'torch', 'torchvision', 'sklearn', 'scipy', 'ray', 'mlflow', 'optuna'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "heavy:"


def test_help_shows_examples() -> None:
    assert "mim4dd distill --dataset digits" in answer(shell("--help"))
