"""Plans the study of cost: every method on every problem, in turns, and real runs for what it is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from mim4dd.configuration import Configuration
from mim4dd.methods import METHODS
from mim4dd.registry import Flat
from mim4dd.resolving import matching
from studies.answers.comparing.plan import CAPPED, arm_of, registered_methods
from studies.answers.cost.flags import GROWTH, OWN, PUBLISHED, WORTH, CostFlags
from studies.engine.arms import (
    CEILING,
    EQUAL_STRENGTH,
    FLOOR,
    TERM,
    Curve,
    Factor,
    Level,
    Planned,
    Setting,
    cross,
    spec,
    with_controls,
)
from studies.engine.options import MOST_SEEDS, Options
from studies.engine.plan import Plan
from studies.engine.problems import COST, MEMORY, WINDOW, Problem, enlarged
from studies.engine.problems import OWN as OWN_DATA
from studies.engine.trial import Trial

FACTOR = "problem"
TEN = "32x32, ipc 10, one update"
# The seconds for which each stage is timed in each repeat.
WINDOWS = {True: 0.2, False: 0.3}
QUICK_METHODS = ("random", "dm", "dc", "mtt")
# The repeats that measure memory too, where every trial takes long or there are many: without and with `--quick`.
WEIGHED, QUICK_WEIGHED = 2, 0
# The image shapes of the paper's data sets, as large as an iteration and a part of an expert's epoch need.
PAPER = {
    "28x28": ("mnist", Problem("mnist", (1, 28, 28), 10, 2_560, 54_000)),
    "32x32": ("cifar10", Problem("cifar10", (3, 32, 32), 10, 2_560, 45_000)),
}
# Where costs grow from: small enough that the largest of each axis takes seconds.
CENTRE = Problem("noise", (1, 16, 16), 10, 1_000, 1_000)
SMALL = {
    "network.width": "32", "batch_real": "32", "outer": "1", "inner": "1", "steps": "10",
    "embedding": "128",
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
QUICK_AXES = {IMAGES: (500, 2_000, 8_000, 32_000), CLASSES: (5, 10, 20, 50), IPC: (1, 3, 10, 30)}
SYMBOLS = {IMAGES: "N", CLASSES: "C", IPC: "ipc", SIDE: "side", WIDTH: "width", EMBEDDING: "D"}
LABELS = {
    IMAGES: "training images N", CLASSES: "classes C", IPC: "synthetic images per class",
    SIDE: "pixels per side", WIDTH: "channels of the network", EMBEDDING: "embedding D",
}  # fmt: skip
BUDGET = "budget"
BUDGETS, QUICK_BUDGETS = (0.25, 0.5, 1.0, 2.0), (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Cell:
    """One level of the study, and what its trials are.

    methods: as specs; problem: "" for a trial that distils; weighed: the first repeats, which measure memory too.
    """

    level: Level
    methods: tuple[str, ...]
    problem: str = ""
    weighed: int = MOST_SEEDS
    options: dict[str, object] = field(default_factory=dict)
    assigned: dict[str, str] = field(default_factory=dict)


def plan_cost(options: Options[CostFlags], configuration: Configuration) -> Plan:
    """Every cell's methods for every repeat; within a cell the methods take turns, A B C A B C.

    Raises: InputError, UnknownNameError or KnobError.
    """
    methods = _methods(options.flags)
    cells = [cell for cell in _cells(options, methods) if cell.methods]
    factor = Factor(FACTOR, tuple(cell.level for cell in cells), _curves(cells))
    settings, trials = list[Setting](), dict[str, Trial]()
    for cell in cells:
        own, made = _crossed(options, cell)
        settings += [replace(setting, setting=len(settings) + k) for k, setting in enumerate(own)]
        in_turns = sorted(made, key=lambda trial: options.seeds.index(int(trial.config["seed"])))
        trials |= {trial.hash: trial for trial in in_turns if trial.hash not in trials}
    return Plan((), tuple(with_controls(settings)), tuple(trials.values()), factors=(factor,))


def _methods(flags: CostFlags) -> tuple[str, ...]:
    """The specs of the methods: those asked for, or all, each base alone and with the term."""
    if flags.methods:
        return flags.methods
    if not flags.quick:
        return tuple(text for text in registered_methods() if "direction" not in text)
    term: Flat = {"method.base": "dm", **EQUAL_STRENGTH}
    found = []
    for name in QUICK_METHODS:
        found += [name] + [spec(TERM, {**term, "method.base": name})] * bool(METHODS.build(name).iterations)
    return (*found, CEILING)


def _cells(options: Options[CostFlags], methods: tuple[str, ...]) -> list[Cell]:
    parts, quick = options.flags.parts, options.flags.quick
    measured = tuple(method for method in methods if method != CEILING)
    learned = tuple(method for method in measured if METHODS.build(_name(method)).iterations)
    own = Cell(Level(options.dataset), measured, OWN_DATA)
    cells = [own]
    if PUBLISHED in parts:
        cells += _published(measured, learned)
    if GROWTH in parts:
        growing = tuple(m for m in learned if not quick or _base(m) == "dm")
        floor = tuple(m for m in measured if m == FLOOR and not quick)
        cells += _growth(growing, floor, *((QUICK_AXES, QUICK_WEIGHED) if quick else (AXES, WEIGHED)))
    if WORTH in parts:
        worthy = tuple(m for m in methods if not quick or _base(m) != "mtt")  # experts take longer than all the rest
        cells += _worth(worthy, tuple(m for m in learned if m in worthy), QUICK_BUDGETS if quick else BUDGETS)
    return cells if OWN in parts else cells[1:]


def _name(method: str) -> str:
    return method.partition(":")[0]


def _base(method: str) -> str:
    """The base of a spec, `dc` of `mim:base=dc,weight=1` and of `dc`."""
    return next((pair[5:] for pair in method.partition(":")[2].split(",") if pair.startswith("base=")), _name(method))


def _published(measured: tuple[str, ...], learned: tuple[str, ...]) -> list[Cell]:
    """Iterations as published, and with 10 images per class one update of methods whose iteration is one loop more."""
    cells = [
        Cell(Level(name), measured, problem.text, WEIGHED, {"protocol": "paper", "dataset": dataset, "ipc": 1})
        for name, (dataset, problem) in PAPER.items()
    ]
    dataset, problem = PAPER["32x32"]
    # The graph of MTT's 30 steps on 100 images would not fit: its growth is fitted on smaller networks.
    few = tuple(method for method in learned if _base(method) != "mtt" and _name(method) != TERM)
    ten: dict[str, object] = {"protocol": "paper", "dataset": dataset, "ipc": 10}
    once = {"outer": "1", "inner": "1"}
    return [*cells, Cell(Level(TEN), few, problem.text, WEIGHED, ten, once)]


def _growth(
    learned: tuple[str, ...], anchors: tuple[str, ...], axes: Mapping[str, Sequence[int]], weighed: int
) -> list[Cell]:
    """Each axis apart from one centre."""
    cells = []
    for axis, values in axes.items():
        for value in values:
            assigned, problem, ipc = dict(SMALL), CENTRE, 1
            match axis:
                case "images":
                    problem = enlarged(CENTRE, value)
                case "classes":
                    problem = enlarged(CENTRE, max(CENTRE.images, 50 * value), value)
                case "images per class":
                    ipc = value
                case "side":
                    problem = replace(CENTRE, shape=(1, value, value))
                case "width":
                    assigned["network.width"] = str(value)
                case _:
                    assigned["embedding"] = str(value)
            level = Level(f"{SYMBOLS[axis]} = {value:,}", at=value, curve=axis)
            taking = tuple(m for m in learned if axis != EMBEDDING or _name(m) == TERM)
            # Random images: the networks that evaluate a set.
            taking += tuple(m for m in anchors if axis in (IPC, SIDE, WIDTH))
            cells.append(Cell(level, taking, problem.text, weighed, {"protocol": "digits", "ipc": ipc}, assigned))
    return cells


def _worth(methods: tuple[str, ...], learned: tuple[str, ...], parts: Sequence[float]) -> list[Cell]:
    """Real runs of a part of the iterations; what has none runs once, beside the whole."""
    return [
        Cell(
            Level(f"{part:.0%} of the iterations", at=part, curve=BUDGET),
            methods if part == 1 else learned,
            assigned={"iterations": f"x{part:g}"} if part != 1 else {},
        )
        for part in parts
    ]


def _crossed(options: Options[CostFlags], cell: Cell) -> tuple[list[Setting], list[Trial]]:
    """The settings and trials of a cell, whose first repeats alone measure memory where that hardly differs."""
    weighed = options.seeds[: cell.weighed] if cell.problem else options.seeds
    parts = [(seeds, memory) for seeds, memory in ((weighed, True), (options.seeds[len(weighed) :], False)) if seeds]
    whole: list[Setting] = []
    trials: list[Trial] = []
    for seeds, memory in parts:
        planned = [_planned(options, cell, method, memory) for method in cell.methods]
        if not memory:  # full data run once
            planned = [item for item in planned if item.once is None]
        own, made = cross(planned, (Factor(FACTOR, (cell.level,)),), seeds)
        more = {setting.arm.key: setting.trials for setting in own}
        whole = [replace(s, trials=s.trials + more.get(s.arm.key, ())) for s in whole] if whole else list(own)
        trials += made
    return whole, trials


def _planned(options: Options[CostFlags], cell: Cell, method: str, memory: bool) -> Planned:
    """A method's trials in a cell."""
    given = replace(options, **cell.options) if cell.options else options  # type: ignore[arg-type]
    planned = arm_of(given, method, cap=partial(_assigned, cell.assigned, method))
    entries: Flat = {COST: cell.problem, WINDOW: WINDOWS[options.flags.quick], MEMORY: memory} if cell.problem else {}
    config = {**planned.config, **entries}
    once = options.seeds[:1] if _name(method) == CEILING else None
    return replace(planned, config=config, once=once)


def _assigned(values: dict[str, str], method: str, flat: Flat) -> dict[str, str]:
    """Those of a cell's values whose knob a method's configuration has."""
    if _name(method) == CEILING:
        return dict(CAPPED)
    found = {}
    for key, value in values.items():
        for knob in matching(key, flat)[:1]:
            part = value.startswith("x")
            found[knob] = str(max(1, round(float(value[1:]) * float(flat[knob])))) if part else value
    return found


def _curves(cells: Sequence[Cell]) -> tuple[Curve, ...]:
    """The axes that the cells lie on."""
    curves = dict.fromkeys(cell.level.curve for cell in cells if cell.level.curve)
    return tuple(
        Curve(name, LABELS.get(name, "part of the iterations"), scale="log", unit="factor of ten") for name in curves
    )
