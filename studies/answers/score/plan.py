"""Plans a study that scores sets: each file and its anchors, all under the same judges, paired by seed."""

from __future__ import annotations

from mim4dd.configuration import Configuration
from mim4dd.errors import InputError
from mim4dd.networks import NETWORKS, Network
from mim4dd.records import Splits, Synthetic
from mim4dd.registry import Flat, component_fields, name_of, origin_of, unflatten
from mim4dd.resolving import component_of
from mim4dd.train import RECIPES, Recipe
from perturbations import parse_corruptions, pixel_corruptions
from studies.answers.comparing.plan import CAPPED, arm_of, require_read
from studies.answers.score.flags import EVERY, NONE, ScoreFlags
from studies.engine.arms import CEILING, FLOOR, Arm, Factor, Level, Planned, cross
from studies.engine.configuring import shared_entries
from studies.engine.judging import BY, CORRUPTIONS, JUDGES, SEPARATOR, Judge, judge_of, refusing, spec_of
from studies.engine.options import Options
from studies.engine.plan import Plan
from studies.engine.scoring import SET

# The networks that judge beside the study's own where the protocol is for a laptop; otherwise every one.
SMALL = {
    "quick": ("mlp", "lenet"),
    "digits": ("mlp", "lenet", "alexnet", "resnet18:width=16"),
}
SEVERITY = 3
FACTOR = "judge"


def plan_score(options: Options[ScoreFlags], configuration: Configuration) -> Plan:
    """Each file, random images, coresets and full data under every judge, for every seed.

    A seed gives a file other evaluation networks, and the anchors other images too.
    Raises: InputError, UnknownNameError or KnobError.
    """
    flags, flat = options.flags, configuration.flat
    usual = unflatten(RECIPES, flat, "evaluation")
    own = Judge(unflatten(NETWORKS, flat, "network"), usual)
    _require_images(own.network, flags.shape)
    notes: list[str] = []
    judges = [*_networks(flags, options.protocol, own, notes), *_recipes(flags, own)]
    corruptions = _corruptions(flags)
    views = {judge.text(usual): judge.text(usual, identity=False) for judge in judges if judge != own}
    levels = [Level(own.text(usual, identity=False)), *(Level(label, view=view) for view, label in views.items())]
    levels += [Level(text.replace(":severity=", " "), view=text) for text in corruptions]
    judged: Flat = {JUDGES: SEPARATOR.join(views), CORRUPTIONS: SEPARATOR.join(corruptions)}
    shared = {key: value for key, value in {**shared_entries(options), **flat}.items() if not _of_method(key)}
    planned = [
        Planned(Arm(file.label, SET, {SET: file.label}, FLOOR), {**shared, **judged, SET: file.name})
        for file in flags.files
    ]
    for name in flags.anchors:
        made = arm_of(options, name, cap=(lambda _: CAPPED) if name == CEILING else None)
        once = options.seeds[:1] if name == CEILING else None
        planned.append(Planned(made.arm, {**made.config, **judged}, once=once))
    for key, text in options.assigned.items():
        require_read(options, key, text, [item for item in planned if SET not in item.config])
    factor = Factor(FACTOR, tuple(levels))
    settings, trials = cross(planned, (factor,), options.seeds)
    return Plan((), settings, trials, factors=(factor,), notes=tuple(notes))


def read_sets(options: Options[ScoreFlags], splits: Splits) -> tuple[dict[str, Synthetic], tuple[str, ...]]:
    """The sets of the files, by name, and lines on what was found in them.

    Raises: InputError for a file that is no set of this data set.
    """
    from mim4dd.sets import read_set

    flags, sets, notes = options.flags, dict[str, Synthetic](), list[str]()
    for file in flags.files:
        sets[file.name], found = read_set(
            file.path, data=splits, labels=flags.labels, standard=flags.standard, which=flags.which
        )
        notes += [f"{file.label}: {line}" for line in found]
    return sets, tuple(notes)


def _of_method(key: str) -> bool:
    return f"{key}.".startswith("method.")


def _networks(flags: ScoreFlags, protocol: str, own: Judge, notes: list[str]) -> list[Judge]:
    """The networks that judge beside the study's own; a usual one that cannot take the images is left out."""
    named = flags.networks
    if named == (NONE,):
        return []
    usual = SMALL.get(protocol, ()) if named is None else ()
    texts = usual or [name for name in NETWORKS.names() if named in (None, (EVERY,))] or list(named or ())
    judges = []
    for text in texts:
        judge = judge_of(_enlarging(text, flags.shape), own.recipe)
        try:
            _require_images(judge.network, flags.shape)
        except InputError as error:
            if named not in (None, (EVERY,)):
                raise
            notes.append(f"{text} is left out: {error}")
            continue
        if judge.network != own.network:
            judges.append(judge)
    return judges


def _require_images(network: Network, shape: tuple[int, int, int]) -> None:
    """Raises: InputError for images that a network cannot take. A judge of a user's may have no blocks."""
    with refusing(network):
        if origin_of(network):
            network.largest_map(shape)
        else:
            network.block_shapes(shape)


def _enlarging(text: str, shape: tuple[int, int, int]) -> str:
    """A network with `upsample=true` where it cannot take the images without it."""
    component = component_of(NETWORKS, text, "--network")
    if not any(item.name == "upsample" for item in component_fields(component)) or "upsample" in text:
        return text
    try:
        _require_images(component, shape)
    except InputError:
        return _with(text, "upsample=true")
    return text


def _with(text: str, pair: str) -> str:
    """A component's text with one knob more."""
    return f"{text}{',' if ':' in text else ':'}{pair}"


def _recipes(flags: ScoreFlags, own: Judge) -> list[Judge]:
    """The study's own network under other recipes."""
    named = flags.recipes
    if named == (NONE,):
        return []
    texts = RECIPES.names() if named in (None, (EVERY,)) else list(named or ())
    if named is None and flags.quick:
        texts = []
    usual: Recipe = own.recipe
    texts = [text for text in texts if text != name_of(usual)]
    if usual.epochs != type(usual)().epochs:  # a protocol's, or set by hand: the others train as long
        texts = [text if "epochs=" in text else _with(text, f"epochs={usual.epochs}") for text in texts]
    return [judge_of(f"{spec_of(own.network)}{BY}{text}", usual) for text in texts]


def _corruptions(flags: ScoreFlags) -> list[str]:
    """The corruptions of test images, as canonical texts."""
    named = flags.corruptions
    if named == (NONE,) or (named is None and flags.quick):
        return []
    if named in (None, (EVERY,)):
        return [f"{name}:severity={SEVERITY}" for name in pixel_corruptions()]
    for text in named or ():
        parse_corruptions([text], "--corrupt")
    return list(named or ())
