"""Plans the study of data sets' biases: every method at every correlation of a planted cue, or on the data as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mim4dd.configuration import Configuration
from mim4dd.data import characteristics
from mim4dd.errors import InputError
from mim4dd.records import Splits
from mim4dd.registry import Flat, name_of
from perturbations.cues.planting import PARTS, values_count
from studies.answers.comparing.added_studies import read_added
from studies.answers.comparing.plan import capped, plan_arms
from studies.answers.dataset_bias.flags import BiasFlags, with_correlation
from studies.engine.arms import CEILING, EQUAL_STRENGTH, FLOOR, TERM, Factor, Level, spec
from studies.engine.conditions import CLEAN, Condition, condition, training_data
from studies.engine.options import Options
from studies.engine.plan import Plan

NAME = "dataset_bias"
TEST_IMAGES = "test images"
BASES, QUICK_BASES = ("dm", "dc"), ("dm",)


def plan_bias(options: Options[BiasFlags], configuration: Configuration) -> Plan:
    """Random images, the methods and full data, on the same data, seed by seed.

    Raises: InputError, UnknownNameError or KnobError.
    """
    flags, flat = options.flags, configuration.flat
    conditions = _conditions(flags)
    factors = () if not flags.cue else (training_data(conditions), _test_images())
    planned, plan = plan_arms(options, _specs(flags), cap=capped, factors=factors)
    block = (str(flat["dataset"]), options.ipc, int(flat.get("source.size", 0)))
    for folder in read_added(flags.added, NAME, [item.arm.key for item in planned], block):
        if folder.study["design"] != flags.describe():
            raise InputError(
                f"--add-study {folder.path} has another design ({folder.study['design']}); run both with the same --cue"
            )
    return replace(plan, conditions=conditions)


def _specs(flags: BiasFlags) -> list[str]:
    """The methods' specs, random images first and full data last."""
    own: list[str] = []
    for base in QUICK_BASES if flags.quick else BASES:
        term: Flat = {"method.base": base, **EQUAL_STRENGTH}
        own += [base, spec(TERM, term)]
    methods = [text for text in flags.methods or own if text not in (FLOOR, CEILING)]
    if not methods:
        raise InputError("--method must name a method besides random and full, which are always there")
    return [FLOOR, *methods, CEILING]


def _conditions(flags: BiasFlags) -> tuple[Condition, ...]:
    """The cue at each correlation, the independent one first; the data as they are without a cue."""
    if not flags.cue:
        return (CLEAN,)
    return tuple(condition(with_correlation(flags.cue, each)) for each in flags.correlations)


def _test_images() -> Factor:
    """How the cue stands in the test images: independent of the class, or as a view of the row."""
    first, *others = PARTS
    return Factor(TEST_IMAGES, (Level(first), *(Level(part, view=part) for part in others)))


def examine(options: Options[BiasFlags], splits: Splits) -> dict[str, float]:
    """The characteristics of the data.

    Raises: InputError where the first correlation is not that of an independent cue on these data.
    """
    conditions: Sequence[Condition] = _conditions(options.flags)
    cue = conditions[0].cue
    if cue is not None:
        share = 1 / values_count(cue, splits.train)
        if abs(share - cue.correlation) > 1e-9:
            raise InputError(
                f"{name_of(cue)} has {values_count(cue, splits.train)} values on {splits.name}, so it says nothing at "
                f"{share:.6g}, not at {cue.correlation:g}; give --independent {share!r}"
            )
    return characteristics(splits)
