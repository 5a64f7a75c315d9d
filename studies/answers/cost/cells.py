"""The cells of the study of cost: on which problem, at which size, with which methods each is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mim4dd.methods import METHODS
from mim4dd.registry import Flat, Scalar
from studies.answers.comparing.plan import registered_methods
from studies.answers.cost.flags import GROWTH, OWN, PUBLISHED, WORTH, CostFlags
from studies.engine.arms import CEILING, EQUAL_STRENGTH, FLOOR, TERM, Level, spec
from studies.engine.options import MOST_SEEDS, Options
from studies.engine.problems import OWN as OWN_DATA
from studies.engine.problems import Problem, enlarged

FACTOR = "problem"
TEN = "32x32, ipc 10, one update"
QUICK_METHODS, QUICK_GROWING = ("random", "dm", "dc", "mtt"), "dm"
# The repeats that measure memory too, where every trial takes long or there are many: without and with `--quick`.
WEIGHED, QUICK_WEIGHED = 2, 0
# The image shapes of the paper's data sets, as large as an iteration and a part of an expert's epoch need.
PAPER = {
    "28x28": ("mnist", Problem("mnist", (1, 28, 28), 10, 2_560, 54_000)),
    "32x32": ("cifar10", Problem("cifar10", (3, 32, 32), 10, 2_560, 45_000)),
}
# Where costs grow from: small enough that the largest of each axis takes seconds.
CENTRE = Problem("noise", (1, 16, 16), 10, 1_000, 1_000)
SMALL: Mapping[str, Scalar] = {
    "network.width": 32, "batch_real": 32, "outer": 1, "inner": 1, "steps": 10, "embedding": 128,
}  # fmt: skip
IMAGES, CLASSES, IPC, SIDE, WIDTH, EMBEDDING = "images", "classes", "images per class", "side", "width", "embedding"
AXES = {
    IMAGES: (500, 2_000, 8_000, 32_000),
    CLASSES: (5, 10, 20, 50, 100),
    IPC: (1, 3, 10, 30),
    SIDE: (8, 16, 32, 64),
    WIDTH: (16, 32, 64, 128),
    EMBEDDING: (16, 64, 256, 1_024),
}
# Whether cost grows with N takes two sizes, an exponent in C four.
QUICK_AXES = {IMAGES: (500, 32_000), CLASSES: (5, 10, 20, 50)}
SYMBOLS = {IMAGES: "N", CLASSES: "C", IPC: "ipc", SIDE: "side", WIDTH: "width", EMBEDDING: "D"}
LABELS = {
    IMAGES: "training images N", CLASSES: "classes C", IPC: "synthetic images per class",
    SIDE: "pixels per side", WIDTH: "channels of the network", EMBEDDING: "embedding D",
}  # fmt: skip
# The knob that an axis varies, where it varies one: a method whose spec fixes it has no such axis.
VARIED = {WIDTH: "network.width", EMBEDDING: "embedding"}
BUDGET = "budget"
BUDGETS, QUICK_BUDGETS = (0.25, 0.5, 1.0, 2.0), (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Cell:
    """One level of the study, and what its trials are.

    methods: as specs; problem: "" for a trial that distils; weighed: the first repeats, which measure memory too;
    options: of the command line, changed; values: of knobs, for methods that have them, whatever else sets them; share:
    of the iterations that a method would have.
    """

    level: Level
    methods: tuple[str, ...]
    problem: str = ""
    weighed: int = MOST_SEEDS
    options: Mapping[str, object] = field(default_factory=dict)
    values: Mapping[str, Scalar] = field(default_factory=dict)
    share: float = 1.0


def cells_of(options: Options[CostFlags]) -> list[Cell]:
    """The cells of the parts that are asked for, those without a method left out."""
    flags, methods = options.flags, _methods(options.flags)
    measured = tuple(method for method in methods if method != CEILING)
    learned = tuple(method for method in measured if METHODS.build(name_of_spec(method)).iterations)
    cells: list[Cell] = []
    if OWN in flags.parts:
        cells.append(Cell(Level(options.dataset), measured, OWN_DATA))
    if PUBLISHED in flags.parts:
        cells += _published(measured, learned)
    if GROWTH in flags.parts:
        growing = tuple(m for m in learned if not flags.quick or _base(m) == QUICK_GROWING)
        floor = tuple(m for m in measured if m == FLOOR and not flags.quick)
        cells += _growth(growing, floor, *((QUICK_AXES, QUICK_WEIGHED) if flags.quick else (AXES, WEIGHED)))
    if WORTH in flags.parts:
        # Of the study's own methods, a quick one asks it of the least costly base.
        few = flags.quick and not flags.methods
        worthy = tuple(m for m in methods if not few or m == CEILING or _base(m) in (FLOOR, QUICK_GROWING))
        cells += _worth(worthy, tuple(m for m in learned if m in worthy), QUICK_BUDGETS if flags.quick else BUDGETS)
    return [cell for cell in cells if cell.methods]


def _methods(flags: CostFlags) -> tuple[str, ...]:
    """The specs of the methods: those asked for, or all, each base alone and with the term."""
    if flags.methods:
        return flags.methods
    if not flags.quick:
        return registered_methods(longer_steps=False)
    found = list[str]()
    for name in QUICK_METHODS:
        found.append(name)
        if METHODS.build(name).iterations:
            term: Flat = {"method.base": name, **EQUAL_STRENGTH}
            found.append(spec(TERM, term))
    return (*found, CEILING)


def name_of_spec(method: str) -> str:
    """`mim` of `mim:base=dc,weight=1`."""
    return method.partition(":")[0]


def _knobs(method: str) -> dict[str, str]:
    """The knobs that a spec fixes, by the last part of their names."""
    pairs = (pair.partition("=") for pair in method.partition(":")[2].split(",") if pair)
    return {key.strip().rpartition(".")[2]: value for key, _, value in pairs}


def _base(method: str) -> str:
    """The base of a spec, `dc` of `mim:base=dc,weight=1` and of `dc`."""
    name = name_of_spec(method)
    return _knobs(method).get("base", "dm") if name == TERM else name


def _published(measured: tuple[str, ...], learned: tuple[str, ...]) -> list[Cell]:
    """Iterations as published, and with 10 images per class one update of methods whose iteration is one loop more."""
    cells = [
        Cell(Level(name), measured, problem.text, WEIGHED, {"protocol": "paper", "dataset": dataset, "ipc": 1})
        for name, (dataset, problem) in PAPER.items()
    ]
    dataset, problem = PAPER["32x32"]
    # The graph of MTT's 30 steps on 100 images would not fit: its growth is fitted on smaller networks.
    few = tuple(method for method in learned if _base(method) != "mtt" and name_of_spec(method) != TERM)
    ten = {"protocol": "paper", "dataset": dataset, "ipc": 10}
    return [*cells, Cell(Level(TEN), few, problem.text, WEIGHED, ten, {"outer": 1, "inner": 1})]


def _growth(
    learned: tuple[str, ...], anchors: tuple[str, ...], axes: Mapping[str, Sequence[int]], weighed: int
) -> list[Cell]:
    """Each axis apart from one centre."""
    cells = []
    for axis, sizes in axes.items():
        # A method whose spec fixes what the axis varies does not lie on it.
        knob = VARIED.get(axis, "").rpartition(".")[2]
        taking = tuple(m for m in learned if (axis != EMBEDDING or name_of_spec(m) == TERM) and knob not in _knobs(m))
        # Random images: the networks that evaluate a set.
        taking += anchors if axis in (IPC, SIDE, WIDTH) else ()
        for size in sizes:
            problem, values = CENTRE, dict(SMALL)
            if axis == IMAGES:
                problem = enlarged(CENTRE, size)
            elif axis == CLASSES:
                problem = enlarged(CENTRE, max(CENTRE.images, 50 * size), size)
            elif axis == SIDE:
                problem = replace(CENTRE, shape=(1, size, size))
            elif axis in VARIED:
                values[VARIED[axis]] = size
            options = {"protocol": "digits", "ipc": size if axis == IPC else 1}
            level = Level(f"{SYMBOLS[axis]} = {size:,}", at=size, curve=axis)
            cells.append(Cell(level, taking, problem.text, weighed, options, values))
    return cells


def _worth(methods: tuple[str, ...], learned: tuple[str, ...], shares: Sequence[float]) -> list[Cell]:
    """Real runs of a part of the iterations; what has none runs once, beside the whole."""
    return [
        Cell(
            Level(f"{share:.0%} of the iterations", at=share, curve=BUDGET),
            methods if share == 1 else learned,
            share=share,
        )
        for share in shares
    ]
