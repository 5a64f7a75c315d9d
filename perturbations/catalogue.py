"""The register of perturbations, what each offers, and chains of them in their fixed order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from mim4dd.errors import InputError
from mim4dd.records import ImageData
from mim4dd.registry import Flat, Registry, name_of

# Class counts are fixed before labels are flipped, so that a tail's noise is the noise of its few images.
ORDER = ("imbalance", "label noise")


@dataclass(frozen=True, eq=False)
class Perturbed:
    """A perturbed training split and what was realised: counts per class, flips, rates, by perturbation name."""

    data: ImageData
    realised: dict[str, Any] = field(default_factory=dict)


class Perturbation(Protocol):
    """Changes a training split; seeded by (kind, data set, seed) and not by its severity, so that severities nest."""

    stage: ClassVar[str]

    def __call__(self, train: ImageData, *, seed: int) -> Perturbed: ...


PERTURBATIONS: Registry[Perturbation] = Registry("perturbation")


def chain(perturbations: Sequence[Perturbation], train: ImageData, *, seed: int) -> Perturbed:
    """Apply perturbations one after the other; none leaves the data as they are, bit for bit.

    Raises: InputError when they are not in the order imbalance, label noise.
    """
    names = [name_of(perturbation) for perturbation in perturbations]
    places = [ORDER.index(perturbation.stage) for perturbation in perturbations]
    if places != sorted(places):
        right = [name for _, name in sorted(zip(places, names, strict=True), key=lambda pair: pair[0])]
        raise InputError(f"perturbations must be in the order {', then '.join(ORDER)}: give {', '.join(right)}")
    found = Perturbed(train)
    for name, perturbation in zip(names, perturbations, strict=True):
        step = perturbation(found.data, seed=seed)
        found = Perturbed(step.data, {**found.realised, name: step.realised})
    return found


def parse_chain(texts: Sequence[str]) -> tuple[Perturbation, ...]:
    """`symmetric:rate=0.4` texts as perturbations; several knobs are separated by commas.

    Raises: InputError, UnknownNameError or KnobError.
    """
    found = []
    for text in texts:
        name, _, rest = text.partition(":")
        flat: Flat = {}
        for pair in rest.split(",") if rest else ():
            key, equals, value = pair.partition("=")
            if not equals:
                raise InputError(f"--perturb must be NAME:knob=value,knob=value, got '{text}'")
            flat[key] = value
        found.append(PERTURBATIONS.build(name, flat))
    return tuple(found)
