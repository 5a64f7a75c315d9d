"""Plug-ins: what they bring, their identity, how they travel, and one line for each that is wrong."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mim4dd.configuration import apply, configure
from mim4dd.methods import METHODS
from mim4dd.methods.mim import CRITICS
from mim4dd.plugins import Plugin, load_plugins
from mim4dd.registry import flatten, unflatten

METHOD = """
from dataclasses import dataclass
from mim4dd.methods import DM, METHODS
from mim4dd.registry import knob

@METHODS.add("NAME")
@dataclass(frozen=True, kw_only=True)
class Mine(DM):
    sharpness: float = knob(1.0, above=0, search=(0.1, 10), log=True)
"""
Refusal = Callable[[Callable[[], object]], str]


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """What a test registers is gone after it: other tests walk the registries."""
    methods, critics = dict(METHODS._classes), dict(CRITICS._added)
    yield
    METHODS._classes.clear()
    METHODS._classes.update(methods)
    CRITICS._added.clear()
    CRITICS._added.update(critics)


def written(path: Path, source: str) -> Path:
    path.write_text(source, encoding="utf-8")
    return path


def load(path: Path) -> Plugin:
    return load_plugins([str(path)]).loaded[-1]


def elsewhere(code: str, *words: str) -> str:
    """What a program prints in a process of its own."""
    ended = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_a_method_is_listed_built_and_named_by_its_content(tmp_path: Path) -> None:
    plugin = load(written(tmp_path / "plug_listed.py", METHOD.replace("NAME", "listed")))
    assert plugin.registered == ("method listed",)
    flat = flatten(METHODS.build("listed", {"sharpness": 2}), "method")
    assert flat["method.plugin"] == plugin.identity == f"plug_listed@{plugin.digest}"
    assert unflatten(METHODS, flat, "method").sharpness == 2  # type: ignore[attr-defined]
    assert "method.plugin" not in flatten(METHODS.build("dm"), "method")


def test_identity_is_the_content_and_not_the_place(tmp_path: Path) -> None:
    code = "import sys; from mim4dd.plugins import load_plugins; print(load_plugins(sys.argv[1:]).loaded[0].identity)"
    found = []
    for folder, source in (("a", METHOD), ("b", METHOD), ("c", METHOD + "# edited\n")):
        (tmp_path / folder).mkdir()
        found.append(elsewhere(code, str(written(tmp_path / folder / "plug.py", source))))
    assert found[0] == found[1] != found[2]


def test_what_it_imports_from_its_folder_is_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "parts_of_mine").mkdir()
    written(tmp_path / "parts_of_mine" / "__init__.py", "")
    written(tmp_path / "parts_of_mine" / "deep.py", "from .other import VALUE\n")
    written(tmp_path / "parts_of_mine" / "other.py", "VALUE = 3.0\n")
    written(tmp_path / "beside.py", "raise RuntimeError('nothing imports it')\n")
    written(tmp_path / "random.py", "raise RuntimeError('Python has its own')\n")
    source = METHOD.replace("NAME", "with_parts").replace("knob(1.0", "knob(VALUE")
    plugin = load(written(tmp_path / "plug_parts.py", "import random\nfrom parts_of_mine.deep import VALUE\n" + source))
    modules = {each.module for each in plugin.sources}
    assert modules == {"plug_parts", "parts_of_mine", "parts_of_mine.deep", "parts_of_mine.other"}
    assert METHODS.build("with_parts").sharpness == 3  # type: ignore[attr-defined]


def test_it_is_there_where_what_follows_it_is_unpickled_without_its_file(tmp_path: Path) -> None:
    path = written(tmp_path / "plug_travels.py", METHOD.replace("NAME", "travels"))
    plugins = load_plugins([str(path)])
    packed = tmp_path / "packed"
    packed.write_bytes(pickle.dumps((plugins, METHODS.build("travels", {"sharpness": 5}))))
    path.unlink()
    code = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb'))[1].sharpness)"
    assert elsewhere(code, str(packed)) == "5.0"


def test_an_installed_package_offers_its_own(tmp_path: Path) -> None:
    (tmp_path / "offering").mkdir()
    written(tmp_path / "offering" / "__init__.py", "")
    written(tmp_path / "offering" / "methods.py", METHOD.replace("NAME", "offered"))
    info = tmp_path / "offering-1.0.dist-info"
    info.mkdir()
    written(info / "METADATA", "Metadata-Version: 2.1\nName: offering\nVersion: 1.0\n")
    written(info / "entry_points.txt", "[mim4dd.plugins]\nmine = offering.methods\n")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from mim4dd.plugins import load_plugins\n"
        "one, = load_plugins().loaded; print(one.module, *(s.module for s in one.sources), *one.registered)"
    )
    assert elsewhere(code, str(tmp_path)) == "offering.methods offering offering.methods method offered"


def test_changing_a_component_forgets_the_plugin_of_the_one_before(tmp_path: Path) -> None:
    plugin = load(
        written(
            tmp_path / "plug_critic.py",
            "from mim4dd.methods.mim import CRITICS\n\n"
            "@CRITICS.add('attract')\ndef attract(z_S, y_S, z_T, y_T, tau):\n"
            "    return -(z_S @ z_T.T).mean() / tau\n",
        )
    )
    assert "attract" in CRITICS
    method = {"method": "mim", "method.base": "dm"}
    flat = configure(
        source="digits", method=method, network="convnet", protocol_name="quick", assigned={"critic": "attract"}
    ).flat
    assert flat["method.plugin"] == plugin.identity
    assert "method.plugin" not in apply(flat, {"method.critic": "nce"})


def test_a_trial_planned_with_another_source_is_refused(tmp_path: Path, refusal: Refusal) -> None:
    load(written(tmp_path / "plug_edited.py", METHOD.replace("NAME", "edited")))
    flat = {**flatten(METHODS.build("edited"), "method"), "method.plugin": "plug_edited@000000000000"}
    assert "was planned with the plug-in plug_edited@000000000000" in refusal(
        lambda: unflatten(METHODS, flat, "method")
    )
    own = {**flatten(METHODS.build("dm"), "method"), "method.plugin": "plug_edited@000000000000"}
    assert "here it is ours" in refusal(lambda: unflatten(METHODS, own, "method"))


WRONG = {
    "def f(:\n": "line 1: invalid syntax",
    "x = 1\n\nimport no_such_library\n": "line 3: ModuleNotFoundError: No module named 'no_such_library'",
    "def f():\n    raise ValueError('two\\nlines')\n\nf()\n": "line 2: ValueError: two lines",
    "raise SystemExit\n": "ends the program when it is imported",
    "x = 1\n": "registers nothing",
    METHOD.replace("NAME", "dm"): "method 'dm' is registered already",
    METHOD.replace("(1.0", "(-1.0").replace("NAME", "bad_default") + "\nMETHODS.build('bad_default')": "must be in (0",
    METHOD.replace("@dataclass(frozen=True, kw_only=True)\n", "").replace("NAME", "plain"): "frozen dataclass",
    METHOD.replace("(DM)", "").replace("NAME", "empty"): "lacks",
}


@pytest.mark.parametrize("source", WRONG, ids=range(len(WRONG)))
def test_a_wrong_one_is_refused_in_one_line(source: str, tmp_path: Path, refusal: Refusal) -> None:
    path = written(tmp_path / f"plug_wrong_{abs(hash(source))}.py", source)
    told = refusal(lambda: load(path))
    assert WRONG[source] in told
    assert path.name in told


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nothing_here.py", "No such file"),
        ("no_module_of_this_name", "Python finds no module"),
        ("my-method.py", "must be a name of Python"),
        ("random.py", "another module called random; rename the file"),
        ("latin.py", "must be UTF-8"),
        ("folder.py", "must be a file, is a folder"),
        ("math", "must be a module with Python source"),
        ("no.such.module", "No module named 'no'"),
    ],
)
def test_what_cannot_be_a_plugin_is_refused(name: str, told: str, tmp_path: Path, refusal: Refusal) -> None:
    for made in ("my-method.py", "random.py"):
        written(tmp_path / made, METHOD)
    (tmp_path / "latin.py").write_bytes(b"# \xe4\n")
    (tmp_path / "folder.py").mkdir()
    given = str(tmp_path / name) if name.endswith(".py") else name
    assert told in refusal(lambda: load_plugins([given]))


def test_the_same_name_with_another_content_is_refused(tmp_path: Path, refusal: Refusal) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    load(written(tmp_path / "a" / "plug_again.py", METHOD.replace("NAME", "again")))
    load(tmp_path / "a" / "plug_again.py")
    other = written(tmp_path / "b" / "plug_again.py", METHOD.replace("NAME", "other"))
    assert "loaded before with another content" in refusal(lambda: load(other))


def test_a_method_without_features_takes_no_term_and_says_why(tmp_path: Path, refusal: Refusal) -> None:
    import torch

    from mim4dd.data import load as load_data
    from mim4dd.methods import Mim
    from mim4dd.methods.loop import Distillation
    from mim4dd.methods.task import DistillationTask
    from mim4dd.networks import ConvNet

    source = METHOD.replace("NAME", "bare") + (
        "\n    def update_steps(self, task, learnable, labels, iteration, features=False):\n"
        "        yield from super().update_steps(task, learnable, labels, iteration, False)\n"
    )
    load(written(tmp_path / "plug_bare.py", source))
    base = METHODS.build("bare", {"iterations": 1, "batch_real": 2})
    task = DistillationTask(load_data("digits").train, ConvNet(width=4), 1, 0, torch.device("cpu"))
    Distillation(task, base).advance(1)
    told = refusal(lambda: Distillation(task, Mim(base=base)).advance(1))
    assert told.startswith("bare gives the MI term no features")
