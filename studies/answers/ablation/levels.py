"""The components of an ablation as factors: knobs with a low and a high level, and further levels of the critics' part.

A level lies at 0 where its component is absent and at 1 where it is present. The first level is the reference: the
method's own default, where that is one of the two. Its entry is empty, for every arm is configured at the references.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mim4dd.configuration import Configuration, apply
from mim4dd.data.operations import SIAMESE
from mim4dd.errors import InputError
from mim4dd.methods.mim import CRITICS, PLACEBOS
from mim4dd.registry import Flat, Scalar
from mim4dd.resolving import resolve
from studies.engine.arms import Factor, Level, placebo_knobs
from studies.engine.trial import DRAWS

CRITIC, HEAD, LAYERS = "method.critic", "method.head", "method.layers"
OWN: dict[str, tuple[str, str]] = {
    CRITIC: ("infonce", "nce"),
    HEAD: ("random", "learned"),
    LAYERS: ("last", "all"),
    "method.base.augment": ("none", SIAMESE),
    "method.base.init": ("noise", "real"),
}
# The components of a quick run, besides the term.
QUICK = (CRITIC, "method.base.augment", "method.base.init")
NAMES = {"method.base.augment": "augmentation", "method.base.init": "initial images"}
LABELS: dict[tuple[str, Scalar], str] = {
    **{(HEAD, value): f"{value} head" for value in ("random", "learned", "mlp")},
    (LAYERS, "last"): "last layer",
    (LAYERS, "all"): "all layers",
    ("method.base.augment", "none"): "not augmented",
    ("method.base.augment", SIAMESE): "augmented",
    ("method.base.init", "noise"): "from noise",
    ("method.base.init", "real"): "from real images",
}
# The name of the factor whose levels are other draws of the distillation.
REPEATED = "draws"
MOST = 8


def components(
    configuration: Configuration, asked: dict[str, str], *, quick: bool
) -> tuple[tuple[Factor, ...], Flat, tuple[str, ...]]:
    """The factors besides the term, the configuration at their references, and notes on what was left out.

    asked: the texts of --factor.
    Raises: InputError, UnknownNameError or KnobError for what cannot be a factor.
    """
    knobs, flat = configuration.knobs, configuration.flat
    texts = {resolve(key, knobs): text for key, text in asked.items()}
    if len(texts) < len(asked):
        raise InputError(f"--factor names one knob in two ways: {', '.join(asked)}")
    for key in texts:
        _require_factor(key, configuration)
    own = {key: ",".join(pair) for key, pair in OWN.items() if key not in texts and (key in QUICK or not quick)}
    wanted = {key: text for key, text in own.items() if key in knobs and key not in configuration.fixed} | texts
    notes = [
        f"{_name(key)} is no component: {'--set fixes it' if key in knobs else f'the base has no knob {key}'}"
        for key in own
        if key not in wanted
    ]
    if HEAD in wanted and flat["method.embedding"] == 0:
        del wanted[HEAD]
        notes.append("head is no component: --set embedding=0 leaves none")
    if len(wanted) >= MOST:
        raise InputError(f"an ablation has at most {MOST} components with the term, got {len(wanted) + 1}")
    factors, reference = list[Factor](), flat
    for key, text in wanted.items():
        factor, own_value = _factor(key, text, flat)
        factors.append(factor)
        reference = apply(reference, {key: own_value})
    return tuple(factors), reference, tuple(notes)


def _require_factor(key: str, configuration: Configuration) -> None:
    """Raises: InputError for a knob that cannot be a component."""
    if key in configuration.fixed:
        raise InputError(f"{key} is fixed by --set and varied by --factor; give only one of them")
    if key.startswith("source."):
        raise InputError(f"{key} belongs to the data, which all trials share; choose it with --set {key}=VALUE")
    if any(other.startswith(f"{key}.") for other in configuration.knobs):
        raise InputError(f"{key} is a component, which --factor cannot vary; choose one with --set {key}=NAME")
    if key == "method.positives_share" and configuration.flat.get("method.positives", "all") == "all":
        raise InputError(f"{key} is read where not all positives are; give --set positives=similar too")
    if key not in configuration.knobs:
        raise InputError(f"{key} is not part of every configuration and cannot be a factor")


def _factor(key: str, text: str, flat: Flat) -> tuple[Factor, Scalar]:
    """A knob's two levels, the reference first, and the value at the reference.

    Raises: KnobError for a level out of range, InputError for one that leaves out the term or makes a placebo of it.
    """
    asked = [level.strip() for level in text.split(",")]
    configs = [apply(flat, {key: level}) for level in asked]
    for config in configs:
        if placebo_knobs(config) or config["method.weight"] == 0:
            raise InputError(f"--factor {key}={text} takes the term away, which is the component MI term already")
    # A tacit knob at its default is in no configuration.
    low, high = (config.get(key, level) for config, level in zip(configs, asked, strict=True))
    if configs[0] == configs[1]:
        raise InputError(f"--factor {key} must be two different levels, LOW,HIGH, got '{text}'")
    at = {low: 0.0, high: 1.0}
    own = next((level for level, config in zip(at, configs, strict=True) if config == flat), high)
    values = [own, *(value for value in at if value != own)]
    levels = tuple(Level(_label(key, value), {key: value} if value != own else {}, at[value]) for value in values)
    return Factor(_name(key), levels), own


def _name(key: str) -> str:
    return NAMES.get(key, key.removeprefix("method.").removeprefix("base."))


def _label(key: str, value: Scalar) -> str:
    """A level's name: `nce`, `learned head`, `width=16`."""
    if key == CRITIC:
        return str(value)
    return LABELS.get((key, value)) or f"{_name(key)}={f'{value:g}' if isinstance(value, float) else value}"


def of_term(key: str) -> bool:
    """Whether a knob is the MI term's own, and does nothing without it."""
    return key.startswith("method.") and not f"{key}.".startswith("method.base.")


OF_CRITICS = tuple(map(_name, (CRITIC, HEAD, LAYERS)))


def further(factors: Sequence[Factor]) -> tuple[Factor, ...]:
    """The factors with every critic, head and layers that the term can have, besides the levels of the factorial."""
    placebos = {value for knob, value in PLACEBOS if knob == "critic"}
    values: dict[str, Sequence[Scalar]] = {
        CRITIC: [name for name in CRITICS if name not in placebos],
        HEAD: ("random", "learned", "mlp"),
        LAYERS: ("all", "last"),
    }
    named = {_name(key): key for key in values}
    grown = []
    for factor in factors:
        key = named.get(factor.name, "")
        there = {level.label for level in factor.levels}
        more = [Level(_label(key, value), {key: value}) for value in values.get(key, ())]
        more = [level for level in more if level.label not in there]
        if key == HEAD:
            more.append(Level("no head", {"method.embedding": 0}))
        grown.append(replace(factor, levels=(*factor.levels, *more)))
    return tuple(grown)


def repeated(draws: int) -> tuple[Factor, ...]:
    """The factor of other draws; none for a factorial that is run once."""
    others = tuple(Level(f"draws {k + 1}", {DRAWS: k}) for k in range(1, draws))
    return (Factor(REPEATED, (Level("draws 1"), *others)),) if others else ()
