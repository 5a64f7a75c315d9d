"""The house: who may import whom, what each room needs to be imported, names, sizes, docstrings."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parent.parent
OURS = ("mim4dd", "mim4dd_cli", "perturbations", "studies", "cluster")
HEAVY = {
    *("torch", "torchvision", "scipy", "sklearn", "PIL", "safetensors", "matplotlib", "datasets", "pyarrow"),
    *("ray", "optuna", "mlflow"),
}
BASICS = [
    f"mim4dd.{name}" for name in ("records", "registry", "seeding", "errors", "files", "functions", "pulse", "standard")
]
DATA_AND_NETWORKS = ["mim4dd.data", "mim4dd.networks"]
# What every command of ours begins and ends with.
COMMANDS = ["mim4dd_cli.command", "mim4dd_cli.parsing"]
# What a study's answer is made of; what its plan is made of stands on it.
ANSWERING = [
    *("mim4dd", "studies.answers.parts"),
    *(f"studies.answers.{name}" for name in ("ledger", "metrics", "results")),
    *(f"studies.engine.{name}" for name in ("answer", "arms", "conditions", "failures", "folder", "measuring")),
    *(f"studies.engine.{name}" for name in ("rows", "space", "statistics", "units", "wording")),
]
PLANNING = [f"studies.engine.{name}" for name in ("configuring", "design", "flags", "names", "options", "plan")]

# A room (a file or a folder) and what of ours it may import, itself and `everything` below it included.
MAY_IMPORT = {
    "mim4dd/errors.py": [],
    "mim4dd/interface.py": [],
    "mim4dd/origins.py": [],
    "mim4dd/functions.py": ["mim4dd.origins"],
    "mim4dd/documenting.py": ["mim4dd.errors"],
    "mim4dd/registry.py": [f"mim4dd.{name}" for name in ("documenting", "errors", "functions", "interface", "origins")],
    "mim4dd/resolving.py": ["mim4dd.errors", "mim4dd.registry"],
    "mim4dd/sources.py": ["mim4dd.errors", "mim4dd.files"],
    "mim4dd/plugins.py": [f"mim4dd.{name}" for name in ("errors", "files", "origins", "sources")],
    "mim4dd/files.py": ["mim4dd.errors"],
    "mim4dd/durable.py": ["mim4dd.errors"],
    "mim4dd/tensors.py": ["mim4dd.errors", "mim4dd.files"],
    "mim4dd/standard.py": ["mim4dd.errors", "mim4dd.tensors"],
    "mim4dd/memory.py": [],
    "mim4dd/pulse.py": [],
    "mim4dd/capacity.py": ["mim4dd.errors", "mim4dd.memory"],
    "mim4dd/pixels.py": ["mim4dd.errors", "mim4dd.files"],
    "mim4dd/torch_datasets.py": ["mim4dd.capacity", "mim4dd.errors", "mim4dd.pixels"],
    "mim4dd/records.py": [
        *("mim4dd.capacity", "mim4dd.durable", "mim4dd.errors", "mim4dd.files", "mim4dd.pixels", "mim4dd.tensors"),
        *("mim4dd.picture", "mim4dd.showing", "mim4dd.standard", "mim4dd.torch_datasets"),
    ],
    "mim4dd/seeding.py": [],
    "mim4dd/protocol.py": ["mim4dd.registry"],
    "mim4dd/contrastive.py": ["mim4dd.errors"],
    "mim4dd/matching.py": ["mim4dd.errors"],
    "mim4dd/coresets.py": ["mim4dd.records"],
    "mim4dd/folds.py": ["mim4dd.records"],
    "mim4dd/given.py": ["mim4dd.errors", "mim4dd.records"],
    "mim4dd/complexity.py": [*BASICS, *DATA_AND_NETWORKS, "mim4dd.methods", "mim4dd.train"],
    "mim4dd/cost.py": [*BASICS, *DATA_AND_NETWORKS, "mim4dd.train"],
    "mim4dd/picture.py": ["mim4dd.pixels"],
    "mim4dd/showing.py": [],
    "mim4dd/data": [*BASICS, "mim4dd.capacity", "mim4dd.data", "mim4dd.pixels", "mim4dd.torch_datasets"],
    "mim4dd/networks": [*BASICS, "mim4dd.networks"],
    "mim4dd/train.py": [*BASICS, *DATA_AND_NETWORKS],
    "mim4dd/methods": [
        *BASICS,
        *DATA_AND_NETWORKS,
        *(
            "mim4dd.methods",
            "mim4dd.train",
            "mim4dd.contrastive",
            "mim4dd.given",
            "mim4dd.matching",
            "mim4dd.coresets",
            "mim4dd.folds",
            "mim4dd.protocol",
            "mim4dd.resolving",
        ),
    ],
    "mim4dd/sets": [*BASICS, *(f"mim4dd.{name}" for name in ("capacity", "data", "durable", "sets", "tensors"))],
    "mim4dd/evaluation.py": [*BASICS, *DATA_AND_NETWORKS, "mim4dd.given", "mim4dd.resolving", "mim4dd.train"],
    "mim4dd/information.py": [*BASICS, *DATA_AND_NETWORKS, "mim4dd.durable", "mim4dd.tensors", "mim4dd.train"],
    "mim4dd/configuration.py": ["mim4dd"],
    "mim4dd/__init__.py": ["mim4dd"],
    "mim4dd_cli": ["mim4dd", "mim4dd_cli", "perturbations"],
    "perturbations": [*BASICS, "mim4dd.folds", "mim4dd.resolving", "perturbations"],
    "cluster": [*BASICS, *COMMANDS, "mim4dd.data", "mim4dd.memory", "mim4dd.plugins", "cluster"],
    "studies": [
        *("studies.answers", "studies.engine.command", "studies.engine.configuring", "studies.engine.study"),
        *(f"studies.engine.{name}" for name in ("calling", "costing", "door", "result", "scoring")),
    ],
    "studies/report.py": [
        *(
            "mim4dd.durable",
            "mim4dd.errors",
            *COMMANDS,
            "mim4dd_cli.output",
            "studies.engine.wording",
            "studies.review",
        ),
    ],
    "studies/review": [
        *("mim4dd.errors", "studies.review"),
        *(f"studies.engine.{name}" for name in ("folder", "glossary", "quoting", "reading", "report", "shapes")),
        *(f"studies.engine.{name}" for name in ("tables", "units", "wording")),
    ],
    "studies/engine": ["mim4dd", *COMMANDS, "perturbations", "cluster", "studies.engine"],
    "studies/engine/statistics": ["mim4dd.seeding", "studies.engine.statistics"],
    "studies/engine/failures": [
        *("mim4dd", "perturbations", "studies.engine.failures", "studies.engine.statistics", "studies.engine.trial"),
        "studies.engine.wording",
    ],
    "studies/engine/tracking": [
        *(*COMMANDS, "studies.engine.tracking"),
        *(f"mim4dd.{name}" for name in ("durable", "errors", "files", "methods", "registry")),
        *(f"studies.engine.{name}" for name in ("arms", "door", "folder", "reading", "rows", "wording")),
    ],
    "studies/engine/tuning": [
        *("cluster", "mim4dd", "perturbations", "studies.engine.tuning"),
        *(f"studies.engine.{name}" for name in ("design", "journal", "running", "runs", "space", "trial")),
    ],
    "studies/answers": [
        *("mim4dd", *COMMANDS, "studies", *ANSWERING),
        *(f"studies.engine.{name}" for name in ("journal", "report", "study")),
    ],
    "studies/answers/parts": [*(name for name in ANSWERING if name != "mim4dd"), "studies.engine.names"],
    "studies/answers/comparing": [*ANSWERING, *PLANNING, "studies.answers.comparing"],
    "studies/answers/sensitivity": [
        *(*ANSWERING, *PLANNING, "studies.answers.comparing", "studies.answers.sensitivity"),
    ],
    "studies/answers/stress": [
        *(*ANSWERING, *PLANNING, "perturbations", "studies.answers.comparing", "studies.answers.stress"),
        "studies.engine.sizes",
    ],
    "studies/answers/mitigation": [
        *(*ANSWERING, *PLANNING, "perturbations", "studies.answers.stress.flags", "studies.answers.stress.plan"),
        *("studies.answers.comparing.plan", "studies.answers.mitigation", "studies.engine.sizes"),
    ],
    "studies/answers/baselines": [*ANSWERING, *PLANNING, "studies.answers.comparing", "studies.answers.baselines"],
    "studies/answers/ablation": [
        *(*ANSWERING, *PLANNING, "studies.answers.comparing", "studies.answers.ablation", "studies.engine.trial"),
    ],
    "studies/answers/cost": [
        *(*ANSWERING, *PLANNING, "studies.answers.comparing", "studies.answers.cost"),
        *(f"studies.engine.{name}" for name in ("durations", "load", "problems", "sizes", "speeds", "trial")),
    ],
    "studies/answers/architectures": [
        *(*ANSWERING, *PLANNING, "studies.answers.comparing", "studies.answers.architectures"),
        *(f"studies.engine.{name}" for name in ("judging", "sizes")),
    ],
    "studies/answers/score": [
        *(*ANSWERING, *PLANNING, "perturbations", "studies.answers.comparing", "studies.answers.score"),
        *(f"studies.engine.{name}" for name in ("judging", "scoring", "sizes")),
    ],
    "studies/answers/dataset_bias": [
        *(*ANSWERING, *PLANNING, "perturbations", "studies.answers.comparing", "studies.answers.dataset_bias"),
    ],
    "studies/answers/fidelity": [
        *(*ANSWERING, *PLANNING, "studies.answers.comparing", "studies.answers.fidelity", "studies.engine.sizes"),
    ],
}

# A library and the only places that may import it.
ONLY_IN = {
    "ray": ["cluster/", "studies/engine/tuning/"],
    "mlflow": ["studies/engine/tracking/"],
    "optuna": ["studies/engine/"],
    "torchvision": ["mim4dd/data/"],
    "datasets": ["mim4dd/data/"],
    "pyarrow": ["mim4dd/data/"],
    "xarray": ["studies/answers/"],
    "tensorboard": [],
    "wandb": [],
}
# Importable in a moment: the catalogue of components and knobs.
LIGHT = [
    *("errors", "files", "durable", "records", "registry", "tensors", "seeding", "protocol", "configuration"),
    *("picture", "cost", "memory", "origins", "functions", "resolving", "sources", "plugins", "standard"),
    *("capacity", "documenting", "pixels", "showing", "torch_datasets"),
    *("train", "complexity"),
    *("methods", "methods.catalogue", "methods.dm", "methods.mim", "methods.selection", "methods.work"),
    *("networks", "networks.convnet", "networks.catalogue", "networks.layers", "networks.passes", "data"),
]


def files(*rooms: str) -> list[str]:
    return sorted(str(path.relative_to(HOUSE)) for room in rooms for path in (HOUSE / room).rglob("*.py"))


@cache
def tree(file: str) -> ast.Module:
    return ast.parse((HOUSE / file).read_text(), file)


def module_name(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {module_name(file) for file in files(*OURS)}


def imported(node: ast.AST, file: str) -> list[str]:
    """What an import statement of a file brings: `from a import b` is the module a.b where there is one, else a."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        above = file.split("/")[: -node.level] if node.level else []
        source = ".".join([*above, *([node.module] if node.module else [])])
        whole = [f"{source}.{alias.name}" for alias in node.names]
        return [name if name in MODULES else source for name in whole]
    return []


@cache
def imports(file: str) -> set[str]:
    return {name for node in ast.walk(tree(file)) for name in imported(node, file)}


def imports_at_import(file: str) -> set[str]:
    """What a file imports when it is imported: not what stands in functions or under TYPE_CHECKING."""

    def walk(body: list[ast.stmt]) -> Iterator[str]:
        for node in body:
            yield from imported(node, file)
            if isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
                yield from walk(node.body + node.orelse)
            elif isinstance(node, ast.Try | ast.With | ast.ClassDef):
                yield from walk(node.body)

    return set(walk(tree(file).body))


def within(name: str, rooms: list[str]) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def room_of(file: str) -> str:
    return max((room for room in MAY_IMPORT if file == room or file.startswith(f"{room}/")), key=len, default="")


@pytest.mark.parametrize("file", files(*OURS))
def test_room_imports_what_it_may(file: str) -> None:
    room = room_of(file)
    assert room, f"{file} stands in no room: give it one in MAY_IMPORT"
    ours = {name for name in imports(file) if within(name, list(OURS))}
    assert {name for name in ours if not within(name, MAY_IMPORT[room])} == set()


def circles() -> list[tuple[str, ...]]:
    """Modules that import each other, however far round; imports for types and in functions count."""
    arrows = {module_name(file): imports(file) & MODULES - {module_name(file)} for file in files(*OURS)}
    reached: dict[str, set[str]] = {}
    for start in arrows:
        seen, open_ = set[str](), [start]
        while open_:
            for name in arrows[open_.pop()] - seen:
                seen.add(name)
                open_.append(name)
        reached[start] = seen
    together = {tuple(sorted(b for b in reached[a] if a in reached[b])) for a in arrows}
    return sorted(together - {()})


def test_no_import_goes_round_in_a_circle() -> None:
    assert circles() == []


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_library_is_imported_in_its_one_place(library: str) -> None:
    users = [file for file in files(*OURS) if any(within(name, [library]) for name in imports(file))]
    assert [file for file in users if not file.startswith(tuple(ONLY_IN[library] or ["-"]))] == []


def test_the_walk_sees_imports_of_every_kind() -> None:
    assert "torch" in imports("mim4dd/train.py")  # inside a function
    assert "torch" not in imports_at_import("mim4dd/train.py")
    assert "torch" in imports_at_import("mim4dd/contrastive.py")
    assert "mim4dd.methods.loop" in imports("mim4dd/__init__.py")  # under TYPE_CHECKING
    assert any(within(name, ["ray"]) for name in imports("studies/engine/tuning/monitor.py"))
    (relative,) = ast.parse("from ..data import npz").body
    assert imported(relative, "mim4dd/methods/dm.py") == ["mim4dd.data.npz"]


@pytest.mark.parametrize("name", LIGHT)
def test_catalogue_imports_nothing_heavy_at_module_level(name: str) -> None:
    whole = f"mim4dd.{name}"
    file = next(file for file in files("mim4dd") if module_name(file) == whole)
    names = {found.split(".")[0] for found in imports_at_import(file)}
    assert names & HEAVY == set()


@pytest.mark.parametrize("file", [file for file in files("mim4dd/data") if not file.endswith("augment.py")])
def test_data_imports_nothing_heavy_at_module_level(file: str) -> None:
    assert {name.split(".")[0] for name in imports_at_import(file)} & HEAVY == set()


def python(code: str) -> str:
    words = [sys.executable, "-W", "error", "-c", code]
    ran = subprocess.run(words, capture_output=True, text=True, cwd=HOUSE, timeout=100)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_catalogue_is_imported_without_anything_heavy() -> None:
    names = ", ".join(f"mim4dd.{name}" for name in LIGHT)
    assert python(f"import sys, {names}; print(*{HEAVY!r} & set(sys.modules))").split() == []


def test_library_is_imported_where_ray_optuna_and_mlflow_are_not() -> None:
    names = [module_name(file) for file in files("mim4dd", "mim4dd_cli", "perturbations")]
    code = (
        "import sys, importlib\n"
        "sys.modules.update(dict.fromkeys(('ray', 'optuna', 'mlflow', 'studies', 'cluster')))\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "import mim4dd; print(*[getattr(mim4dd, name) for name in mim4dd.__all__], sep='\\n')"
    )
    assert len(python(code).splitlines()) >= 16


def test_no_study_bears_a_name_that_shadows_a_module() -> None:
    # a study is run as a file, so its folder is first on sys.path
    names = {path.stem for path in (HOUSE / "studies").iterdir() if path.suffix == ".py" or path.is_dir()}
    taken = (
        set(sys.stdlib_module_names)
        | HEAVY
        | {"numpy", "pandas", "jinja2", "markdown_it", "psutil", "pydantic", "pytest", *OURS}
    )
    assert names & taken == set()


def test_file_names_of_tests_are_unique() -> None:
    names = [path.name for path in (HOUSE / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))
    assert "__init__.py" not in names


@pytest.mark.parametrize("file", files("mim4dd", "mim4dd_cli"))
def test_whatever_is_public_has_a_docstring(file: str) -> None:
    module = tree(file)
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    public = [node for node in module.body if isinstance(node, kinds) and not node.name.startswith("_")]
    assert [node.name for node in public if not ast.get_docstring(node)] == []
    assert ast.get_docstring(module)


@pytest.mark.parametrize("file", files(*OURS))
def test_module_stays_under_300_lines(file: str) -> None:
    assert len((HOUSE / file).read_text().splitlines()) <= 300


@pytest.mark.parametrize("file", files(*OURS))
def test_house_rules_that_a_parser_can_see(file: str) -> None:
    nodes = list(ast.walk(tree(file)))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    # `on_...` are called by Tune, which passes more from version to version.
    starred = {
        node.name for node in functions if node.args.kwarg and node.name != "init" and not node.name.startswith("on_")
    }
    # Its arguments are a command line, which the study's own parser checks.
    assert starred == ({"run"} if file == "studies/engine/calling.py" else set())
    assert not [node for node in nodes if isinstance(node, ast.ExceptHandler) and node.type is None]
    called = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    assert called & {"exit", "quit", "random.random", "torch.manual_seed", "np.random.seed"} == set()
    assert Path(file).stem not in {"utils", "common", "misc", "helpers"}


def test_actors_and_tasks_that_make_inputs_import_neither_tune_nor_optuna_nor_torch() -> None:
    modules = ", ".join(f"studies.engine.tuning.{name}" for name in ("monitor", "cache", "sharing", "session"))
    heavy = "{'ray.tune', 'optuna', 'torch', 'mlflow'}"
    assert python(f"import sys, {modules}; print({heavy} & set(sys.modules))").strip() == "set()"
