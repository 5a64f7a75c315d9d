"""Plans the study of cost: every cell's methods in turns, and real runs for what the seconds are worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from mim4dd.configuration import Configuration, apply
from mim4dd.errors import InputError
from mim4dd.registry import Flat
from mim4dd.resolving import matching
from studies.answers.comparing.plan import CAPPED, arm_of
from studies.answers.cost.cells import BUDGET, FACTOR, LABELS, Cell, cells_of, name_of_spec
from studies.answers.cost.flags import CostFlags
from studies.engine.arms import CEILING, Curve, Factor, Planned, Setting, cross, with_controls
from studies.engine.options import Options
from studies.engine.plan import Plan
from studies.engine.problems import COST, MEMORY, WINDOW
from studies.engine.trial import Trial

# A method's arm, by the options that differ from the study's own, as items, and its spec.
ArmOf = Callable[[tuple[tuple[str, Any], ...], str], Planned]
# The seconds for which each stage is timed in each repeat, with `--quick` and without.
WINDOWS = {True: 0.2, False: 0.3}


def plan_cost(options: Options[CostFlags], configuration: Configuration) -> Plan:
    """Every cell's methods for every repeat.

    Within a repeat of a cell the methods take turns, A B C A B C; growth takes turns along all its axes, so that what
    the machine does meanwhile meets the largest size in one repeat as it meets the smallest.
    Raises: InputError, UnknownNameError or KnobError.
    """
    cells = cells_of(options)
    if not cells:
        raise InputError("--part and --method leave nothing to measure; name a method that has iterations")
    factor = Factor(FACTOR, tuple(cell.level for cell in cells), _curves(cells))

    @cache  # many cells share a method's arm, which takes longer to make than all else
    def arm(given: tuple[tuple[str, Any], ...], method: str) -> Planned:
        ceiling = name_of_spec(method) == CEILING
        return arm_of(replace(options, **dict(given)), method, cap=(lambda _: CAPPED) if ceiling else None)

    settings, made = list[Setting](), list[tuple[tuple[int, int], Trial]]()
    for number, cell in enumerate(cells):
        own, trials = _crossed(options, cell, arm)
        settings += [replace(setting, setting=len(settings) + k) for k, setting in enumerate(own)]
        turn = -1 if cell.problem and cell.level.curve else number
        made += [((turn, options.seeds.index(int(trial.config["seed"]))), trial) for trial in trials]
    # Cells before growth, then growth by repeats, then real runs; Python's sort keeps the order within a repeat.
    first = min((number for number, cell in enumerate(cells) if cell.problem and cell.level.curve), default=0)
    made.sort(key=lambda one: (first if one[0][0] < 0 else one[0][0], one[0][1]))
    trials_by_hash = {trial.hash: trial for _, trial in made}
    return Plan((), tuple(with_controls(settings)), tuple(trials_by_hash.values()), factors=(factor,))


def _crossed(options: Options[CostFlags], cell: Cell, arm: ArmOf) -> tuple[list[Setting], list[Trial]]:
    """The settings and trials of a cell, whose first repeats alone measure memory where that hardly differs."""
    weighed = options.seeds[: cell.weighed] if cell.problem else options.seeds
    whole: list[Setting] = []
    trials: list[Trial] = []
    for seeds, memory in ((weighed, True), (options.seeds[len(weighed) :], False)):
        if seeds:
            planned = [
                _planned(options, cell, arm(tuple(cell.options.items()), method), memory) for method in cell.methods
            ]
            own, made = cross(planned, (Factor(FACTOR, (cell.level,)),), seeds)
            more = {setting.arm.key: setting.trials for setting in own}
            whole = [replace(s, trials=s.trials + more[s.arm.key]) for s in whole] if whole else list(own)
            trials += made
    return whole, trials


def _planned(options: Options[CostFlags], cell: Cell, planned: Planned, memory: bool) -> Planned:
    """A method's trials in a cell. planned: its arm there; memory: whether they measure it."""
    changed: Flat = {knob: value for key, value in cell.values.items() for knob in matching(key, planned.config)[:1]}
    if cell.share != 1:
        changed |= _shortened(cell.share, planned.config)
    entries: Flat = {COST: cell.problem, WINDOW: WINDOWS[options.flags.quick], MEMORY: memory} if cell.problem else {}
    config = {**(apply(planned.config, changed) if changed else planned.config), **entries}
    return replace(planned, config=config, once=options.seeds[:1] if planned.arm.method == CEILING else None)


def _shortened(share: float, config: Flat) -> Flat:
    """A share of the iterations that a configuration has."""
    return {knob: max(1, round(share * int(config[knob]))) for knob in matching("iterations", config)[:1]}


def _curves(cells: Sequence[Cell]) -> tuple[Curve, ...]:
    """The axes that the cells lie on."""
    curves = dict.fromkeys(cell.level.curve for cell in cells if cell.level.curve)
    names = {**LABELS, BUDGET: "part of the iterations"}
    return tuple(Curve(name, names[name], scale="log", unit="factor of ten") for name in curves)
