"""Plans an ablation: the factorial, run twice with other draws; the term's placebos; every critic, head and layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from mim4dd.configuration import Configuration, apply
from mim4dd.errors import InputError
from mim4dd.methods.mim import PLACEBOS as KINDS
from mim4dd.registry import Flat
from studies.answers.ablation.flags import CRITICS, FACTORIAL, PLACEBOS, AblationFlags
from studies.answers.ablation.levels import CRITIC, OF_CRITICS, components, further, of_term, repeated
from studies.answers.comparing.plan import FULL_NETWORKS, FULL_STEPS
from studies.engine.arms import (
    EQUAL_STRENGTH,
    FLOOR,
    Arm,
    Factor,
    Planned,
    Setting,
    base_arm,
    changed,
    cross,
    default_arm,
    placebo_knobs,
    require_few,
)
from studies.engine.options import Options
from studies.engine.plan import Plan
from studies.engine.statistics.factorial import fraction
from studies.engine.trial import Trial

SUMMANDS = ("nce_positives", "nce_negatives")


def plan_ablation(options: Options[AblationFlags], configuration: Configuration) -> Plan:
    """Anchors, base, term and placebos at the references; the factorial's runs; every critic, head and layers.

    Raises: InputError, UnknownNameError or KnobError for what cannot be a component, and for too many or too few.
    """
    flags, parts = options.flags, options.flags.parts
    strong = _with_term(configuration)
    factors, flat, notes = components(strong, flags.factors, quick=flags.quick)
    if flags.critics_asked and not any(factor.name in OF_CRITICS for factor in factors):
        raise InputError(f"--part {CRITICS} varies critic, head and layers, and --set fixes all three; leave one free")
    if FACTORIAL not in parts:
        factors = tuple(factor for factor in factors if CRITICS in parts and factor.name in OF_CRITICS)
    require_few(2 ** (len(factors) + 1) * flags.draws * len(options.seeds))
    draws = repeated(flags.draws) if FACTORIAL in parts else ()
    every = (*(further(factors) if CRITICS in parts else factors), *draws)
    reference = replace(strong, flat=flat)
    default = default_arm(flat, strong.fixed)
    term = replace(changed(default, "variant", {key: flat[key] for key in EQUAL_STRENGTH}), role="default")
    method = Planned(term, flat)
    # The knobs of the term are left at their defaults where there is none: such a trial is that of every other study.
    own = {key: value for key, value in configuration.flat.items() if of_term(key)}
    base = Planned(base_arm(term.base), apply({**flat, **own}, {"method.weight": 0.0}))
    placebos, left_out = _placebos(method) if PLACEBOS in parts else ([], ())
    floor = Planned(Arm(FLOOR, FLOOR, role="random"), reference.with_method(FLOOR))
    cells = _Cells(options.seeds)
    cells.add([floor, base, method, *placebos, _ceiling(reference, options.seeds)], [_reference(one) for one in every])
    if FACTORIAL in parts:
        _add_runs(cells, method, base, [_two_levels(factor) for factor in factors], draws, flags.halvings)
    if CRITICS in parts:
        cells.add([method], [factor if factor.name in OF_CRITICS else _reference(factor) for factor in every])
    settings, trials = tuple(cells.settings.values()), tuple(cells.trials.values())
    return Plan((), settings, trials, factors=every, notes=(*notes, *left_out))


def _with_term(configuration: Configuration) -> Configuration:
    """The configuration with the term as strong as its base, unless `--set` decides its weight or balance.

    Raises: InputError where `--set` leaves no term, or a placebo.
    """
    flat = configuration.flat
    if flat["method.weight"] == 0 or placebo_knobs(flat):
        key = "method.weight" if flat["method.weight"] == 0 else next(iter(placebo_knobs(flat)))
        raise InputError(f"--set {key}={flat[key]} leaves no MI term to take apart; leave it out")
    if set(EQUAL_STRENGTH) & set(configuration.fixed):
        return configuration
    return replace(configuration, flat=apply(flat, EQUAL_STRENGTH))


def _placebos(method: Planned) -> tuple[list[Planned], tuple[str, ...]]:
    """Every placebo of the term at the references; the summands of nce only where nce is its critic, with a note."""
    kinds: list[Flat] = [{f"method.{knob}": value} for knob, value in KINDS if value not in SUMMANDS]
    critic, notes = method.config[CRITIC], tuple[str, ...]()
    if critic == "nce":
        kinds += [{CRITIC: summand} for summand in SUMMANDS]
    else:
        notes = (f"positives only and negatives only are the summands of nce, and the critic is {critic}: left out",)
    return [Planned(changed(method.arm, "placebo", kind), apply(method.config, kind)) for kind in kinds], notes


def _ceiling(configuration: Configuration, seeds: Sequence[int]) -> Planned:
    """Full data with training cut short, on one seed."""
    capped = {"evaluation.networks": FULL_NETWORKS, "evaluation.max_steps": FULL_STEPS}
    config: Flat = {**configuration.with_method("full"), **capped}
    return Planned(Arm("full", "full", role="full"), config, once=tuple(seeds[:1]))


def _reference(factor: Factor) -> Factor:
    return replace(factor, levels=factor.levels[:1])


def _two_levels(factor: Factor) -> Factor:
    """A component at its low and its high level alone."""
    return replace(factor, levels=tuple(level for level in factor.levels if level.at is not None))


class _Cells:
    """The settings of a plan, each arm at each combination of levels once, and their trials."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self.seeds = seeds
        self.settings: dict[tuple[str, ...], Setting] = {}
        self.trials: dict[str, Trial] = {}

    def add(
        self, planned: Sequence[Planned], factors: Sequence[Factor], kept: Callable[[Setting], bool] = lambda _: True
    ) -> None:
        """Add the arms at every combination of these levels, or at those that are kept."""
        settings, trials = cross(planned, factors, self.seeds)
        by_hash = {trial.hash: trial for trial in trials}
        for setting in settings:
            key = (setting.arm.key, *setting.levels.values())
            if key not in self.settings and kept(setting):
                self.settings[key] = replace(setting, setting=len(self.settings))
                self.trials |= {trial: by_hash[trial] for trial in setting.trials}


def _add_runs(
    cells: _Cells, method: Planned, base: Planned, factors: Sequence[Factor], draws: Sequence[Factor], halvings: int
) -> None:
    """Add the factorial, or a fraction of it, under every draw.

    What only the term reads does nothing without it: one cell of the base stands for all of them.
    Raises: InputError for a fraction with too few runs.
    """
    try:
        runs = {tuple(run) for run in fraction(len(factors) + 1, halvings)[0].tolist()}
    except ValueError as error:
        raise InputError(f"--fraction 1/{2**halvings} leaves too few runs: {error}") from error
    heard = [factor for factor in factors if not any(of_term(key) for level in factor.levels for key in level.entry)]
    alone = {
        tuple(present for present, factor in zip(run[1:], factors, strict=True) if factor in heard)
        for run in runs
        if not run[0]
    }
    cells.add([method], (*factors, *draws), lambda setting: (True, *_present(setting, factors)) in runs)
    without = [factor if factor in heard else _reference(factor) for factor in factors]
    cells.add([base], (*without, *draws), lambda setting: _present(setting, heard) in alone)


def _present(setting: Setting, factors: Sequence[Factor]) -> tuple[bool, ...]:
    """Which components a setting has."""
    return tuple(factor.level(setting.levels[factor.name]).at == 1 for factor in factors)
