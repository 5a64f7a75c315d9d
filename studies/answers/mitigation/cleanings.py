"""The conditions of the study of remedies: each noise as it is, cleaned, after the cleaning's sham and the oracle's."""

from __future__ import annotations

import math
from importlib.util import find_spec

from mim4dd.errors import InputError
from perturbations import NEEDS_CLEANLAB, STAGES, Dropped, expected_share, parse_chain, stage_of
from studies.answers.mitigation.flags import CONFIDENT, LOSS, NOISE, ORACLE, SHARE, MitigationFlags
from studies.engine.conditions import Condition, condition


def conditions(flags: MitigationFlags, source: str, classes: int | None) -> list[Condition]:
    """Each noise as it is, after each remedy, after its sham and after the oracle; each remedy on clean data too.

    source: the name whose classes the data have; classes: their number, None if it is unknown.

    Raises: InputError, UnknownNameError or KnobError.
    """
    found, on_clean = [], []
    usual = () if flags.imbalance else NOISE[:1] if flags.quick else NOISE
    for text in flags.imbalance:
        if set((imbalanced := condition(text)).stages) != {"imbalance"}:
            raise InputError(f"--imbalance {text} is not imbalance alone; give one such as exponential:factor=10")
        found.append(imbalanced)
    for text in flags.noise or usual:
        noise = condition(text)
        if not noise.noisy:
            raise InputError(f"--noise {text} leaves all labels right, so there is nothing to clean")
        if any(STAGES[stage].of_pixels for stage in noise.stages):
            raise InputError(
                f"--noise {text} changes pixels after labels, and cleaning comes between; give label noise"
            )
        found.append(noise)
        cleanings = flags.remedies or ([] if flags.knobs else _remedies(noise, flags.quick, source, classes))
        for remedy in cleanings:
            _require_cleanlab(remedy)
            sham = f"{remedy}{',' if ':' in remedy else ':'}sham=True"
            found += [condition(text, remedy), condition(text, sham)]
            on_clean.append(condition(remedy))
        found.append(condition(text, ORACLE))
    return [*found, *on_clean]


def _require_cleanlab(remedy: str) -> None:
    """Raises: InputError for confident learning where it is not installed: each of its trials would fail."""
    cleaning = cleaning_of(condition(remedy))
    if cleaning is not None and cleaning.by == "confident" and find_spec("cleanlab") is None:
        raise InputError(f"--remedy {NEEDS_CLEANLAB}")


def _remedies(noise: Condition, quick: bool, source: str, classes: int | None) -> list[str]:
    """Small-loss selection of as many images as have a wrong label, and confident learning where it is installed."""
    shares = [expected_share(one, source, classes) for one in noise.perturbations if stage_of(one).relabels]
    known = [share for share in shares if share is not None]
    # Of noises one after the other: the labels that not all of them have left alone.
    wrong = 1 - math.prod(1 - share for share in known) if len(known) == len(shares) else SHARE
    share = float(f"{wrong:.3g}")
    confident = [] if quick or find_spec("cleanlab") is None else [CONFIDENT]
    return [f"{LOSS},share={share}", *confident]


def cleaning_of(one: Condition) -> Dropped | None:
    """The cleaning with which a condition's chain ends; None where it has none."""
    last = one.text.split(" + ")[-1]
    if not last.startswith("dropped:"):
        return None
    (component,) = parse_chain([last])
    return component if isinstance(component, Dropped) else None
