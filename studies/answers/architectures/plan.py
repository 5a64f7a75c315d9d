"""Plans the study of networks: every method on its network, and every set under all networks, paired by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mim4dd.configuration import Configuration
from mim4dd.errors import InputError, exact
from mim4dd.methods import METHODS
from mim4dd.networks import NETWORKS, ConvNet, Network
from mim4dd.registry import Flat, component_fields, flatten, name_of, unflatten
from mim4dd.resolving import component_of
from mim4dd.train import RECIPES
from studies.answers.architectures.flags import ELSEWHERE, EVERY, NONE, ArchitecturesFlags
from studies.answers.comparing.plan import CAPPED, plan_arms, registered_methods
from studies.engine.arms import CEILING, FLOOR, Arm, Factor, Level, Planned, cross
from studies.engine.judging import JUDGES, RATES, SEPARATOR, Judge
from studies.engine.names import network_name
from studies.engine.options import Options
from studies.engine.plan import Plan
from studies.engine.sizes import Size, size_in

FACTOR = "evaluation network"
CORESET = "herding"
# The base that the smallest run leaves out: DC with augmentation.
LEFT_OUT = ("dsa",)
# The networks that judge besides the study's own: of the smallest run, of one on a laptop, and of others.
QUICK = ("mlp", "lenet")
SMALL = ("mlp", "lenet", "alexnet", "resnet18:width=16", "vit:width=64,depth=4,patch=2")
WHOLE = ("mlp", "lenet", "alexnet", "vgg11", "resnet18", "vit")


def plan_architectures(options: Options[ArchitecturesFlags], configuration: Configuration) -> Plan:
    """Each method on the study's own network, those of `elsewhere` on others too, all under every network.

    Raises: InputError, UnknownNameError or KnobError.
    """
    flags, flat = options.flags, configuration.flat
    own: Network = unflatten(NETWORKS, flat, "network")
    planned, alone = plan_arms(options, flags.methods or registered_methods(longer_steps=False), cap=_cap)
    planned = [replace(item, arm=setting.arm) for item, setting in zip(planned, alone.settings, strict=True)]
    planned = [item for item in planned if flags.methods or _usual(item.arm, flags.quick)]
    moving = _moving(flags, planned)
    elsewhere = _distilling(flags, own) if moving else []
    planned += [_moved(item, network, own) for network in elsewhere for item in moving]
    judges = list(dict.fromkeys((own, *elsewhere, *_judging(options, own, flat))))
    if len(judges) < 2:
        raise InputError("--network and --distil-on leave the study's own network alone; name another")
    usual = unflatten(RECIPES, flat, "evaluation")
    views = [Judge(network, usual).text(usual) for network in judges]
    judged: Flat = {JUDGES: SEPARATOR.join(views)}
    if flags.rates:
        judged[RATES] = SEPARATOR.join(map(exact, flags.rates))
    factor = Factor(
        FACTOR,
        tuple(Level(label_of(network, own), view=view) for network, view in zip(judges, views, strict=True)),
    )
    planned = [replace(item, config={**item.config, **judged}) for item in planned]
    ceiling = [replace(item, once=options.seeds[:1]) if item.arm.method == CEILING else item for item in planned]
    settings, trials = cross(ceiling, (factor,), options.seeds)
    return Plan((), settings, trials, factors=(factor,))


def label_of(network: Network, own: Network) -> str:
    """A network's name, with the knobs in which it differs from the study's own, or from the defaults of its kind."""
    return network_name(knobs_of(network, own))


def knobs_of(network: Network, own: Network) -> Flat:
    """The knobs of `label_of`, by their names in a trial's configuration."""
    usual = own if type(network) is type(own) else NETWORKS.build(name_of(network))
    known, flat = flatten(usual, "network"), flatten(network, "network")
    varied = {key: value for key, value in flat.items() if value != known.get(key) and key != "network.upsample"}
    return {"network": name_of(network), **varied}


def _usual(arm: Arm, quick: bool) -> bool:
    """Whether an arm is among the study's own: bases, random images, one coreset, full data."""
    if quick and arm.base in LEFT_OUT:
        return False
    return arm.method in (FLOOR, CORESET, CEILING) or bool(METHODS.build(arm.base).iterations)


def _cap(flat: Flat) -> dict[str, str]:
    return dict(CAPPED) if flat["method"] == CEILING else {}


def _moved(item: Planned, network: Network, own: Network) -> Planned:
    """The same method, distilled on another network."""
    arm, named = item.arm, knobs_of(network, own)
    label = network_name(named)
    config = {key: value for key, value in item.config.items() if not f"{key}.".startswith("network.")}
    control = f"{arm.control}@{label}" if arm.control else ""
    moved = replace(arm, key=f"{arm.key}@{label}", knobs={**arm.knobs, **named}, control=control)
    return replace(item, arm=moved, config={**config, **flatten(network, "network")})


def _moving(flags: ArchitecturesFlags, planned: Sequence[Planned]) -> list[Planned]:
    """The arms that are distilled on other networks too.

    Raises: InputError for a base of `--elsewhere` that no method of the study has, or `--distil-on` without any.
    """
    known = {item.arm.base for item in planned if METHODS.build(item.arm.base).iterations}
    bases = flags.elsewhere or (ELSEWHERE,)
    missing = [base for base in bases if base not in known]
    asked = bool(flags.elsewhere) or flags.distil_on not in (None, (NONE,))
    if missing and asked:
        raise InputError(
            f"--distil-on is for a base among the study's methods, got {missing[0]}; --elsewhere may name one of "
            f"{', '.join(sorted(known)) or 'none: no method of the study distils'}"
        )
    return [item for item in planned if item.arm.base in bases]


def _judging(options: Options[ArchitecturesFlags], own: Network, flat: Flat) -> list[Network]:
    """The networks of `--network`, by default what the protocol can afford with variants of the study's own."""
    flags = options.flags
    if flags.networks == (NONE,):
        return []
    if flags.networks == (EVERY,):
        return [_network(name, own, "--network") for name in NETWORKS.names()]
    if flags.networks is not None:
        return _networks(flags.networks, own, "--network")
    usual = {"quick": QUICK, "digits": SMALL}.get(options.protocol, WHOLE)
    variants = [] if options.protocol == "quick" else _variants(own, flat, options.read)
    return [*variants, *(_network(text, own, "--network") for text in usual)]


def _variants(own: Network, flat: Flat, read: Size | None) -> list[Network]:
    """The ConvNet of another width, depth and norm."""
    if not isinstance(own, ConvNet):
        return []
    blocks = own.blocks(min(size_in(flat, read).shape[1:]))
    return [
        replace(own, width=2 * own.width),
        replace(own, depth=max(1, blocks - 1)),
        *(replace(own, norm=norm) for norm in ("batch", "none") if norm != own.norm),
    ]


def _distilling(flags: ArchitecturesFlags, own: Network) -> list[Network]:
    """The networks of `--distil-on`."""
    if flags.distil_on == (NONE,):
        return []
    if flags.distil_on is not None:
        return _networks(flags.distil_on, own, "--distil-on")
    networks = [_network("mlp", own, "--distil-on")]
    if isinstance(own, ConvNet) and not flags.quick:
        networks.append(replace(own, norm="instance" if own.norm == "batch" else "batch"))
    return networks


def _networks(texts: Sequence[str], own: Network, flag: str) -> list[Network]:
    """The networks of a flag.

    Raises: InputError for the study's own, which is always there, and for two texts of one network.
    """
    named = {text: _network(text, own, flag) for text in texts}
    if same := next((text for text, network in named.items() if network == own), None):
        raise InputError(f"{flag} {same} is the study's own network, which is always there; name another")
    if len(set(named.values())) < len(named):
        raise InputError(f"{flag} names a network twice: {', '.join(texts)}")
    return list(named.values())


def _network(text: str, own: Network, flag: str) -> Network:
    """The network of a text: of the study's own kind, with its knobs where the text names no others.

    Images that are too small for it are enlarged.
    """
    network = component_of(NETWORKS, text, flag)
    named = {pair.partition("=")[0].strip() for pair in text.partition(":")[2].split(",")}
    knobs = {item.name: getattr(network, item.name) for item in component_fields(network)}
    if type(network) is type(own):
        knobs |= {name: getattr(own, name) for name in knobs if name not in named}
    elif "upsample" in knobs and "upsample" not in named:
        knobs["upsample"] = True
    return NETWORKS.build(name_of(network), knobs)
