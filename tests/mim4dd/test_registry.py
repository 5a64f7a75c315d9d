"""Knobs, names and flat scalars: what is checked, and what the messages say."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol

import pytest

from mim4dd.data import DATASETS
from mim4dd.data.catalogue import DataSet
from mim4dd.errors import InputError, KnobError, UnknownNameError
from mim4dd.methods import DC, DM, METHODS, MTT, Mim
from mim4dd.networks import NETWORKS, ConvNet
from mim4dd.registry import Registry, component_fields, default_of, flatten, knob, knobs, unflatten
from mim4dd.resolving import resolve
from mim4dd.train import RECIPES, Recipe

REGISTRIES: dict[str, Registry[Any]] = {
    "method": METHODS,
    "network": NETWORKS,
    "source": DATASETS,
    "evaluation": RECIPES,
}
COMPONENTS = [(prefix, name) for prefix, registry in REGISTRIES.items() for name in registry.names()]
THINGS: Registry[Any] = Registry("thing")


@THINGS.add("thing")
@dataclass(frozen=True, kw_only=True)
class Thing:
    """One knob of each type."""

    count: int = knob(3, low=1, high=9)
    rate: float = knob(0.5, above=0)
    on: bool = knob(False)
    kind: str = knob("a", choices=("a", "b"))
    free: float = knob(0.0, high=2)


@pytest.mark.parametrize(("prefix", "name"), COMPONENTS)
def test_component_survives_being_flattened(prefix: str, name: str) -> None:
    component = REGISTRIES[prefix].build(name)
    flat = flatten(component, prefix)
    assert flat[prefix] == name
    assert all(isinstance(value, str | int | float | bool) for value in flat.values())
    assert unflatten(REGISTRIES[prefix], flat, prefix) == component
    texts = {key: str(value) for key, value in flat.items()}
    assert unflatten(REGISTRIES[prefix], texts, prefix) == component
    told = [f"{prefix}.{key}" for key, declared in knobs(component).items() if not declared.tacit]
    assert told == [key for key in flat if key != prefix]


@pytest.mark.parametrize(("prefix", "name"), COMPONENTS)
def test_every_declared_search_value_and_end_is_valid(prefix: str, name: str) -> None:
    for key, declared in knobs(REGISTRIES[prefix].get(name)).items():
        for value in (*declared.search, *declared.choices):
            built = flatten(REGISTRIES[prefix].build(name, {key: value}), prefix)
            left_out = declared.tacit and f"{prefix}.{key}" not in built  # at its default
            assert left_out or built[f"{prefix}.{key}"] == value


@pytest.mark.parametrize(("prefix", "name"), COMPONENTS)
def test_every_component_is_documented_and_says_what_each_knob_is(prefix: str, name: str) -> None:
    component = REGISTRIES[prefix].get(name)
    written = component.__doc__ or ""
    assert written.strip()
    assert not written.startswith(f"{component.__name__}(")  # what dataclass writes where we wrote nothing
    assert all(declared.help for declared in knobs(component).values())


@pytest.mark.parametrize(("prefix", "name"), COMPONENTS)
def test_whole_numbers_that_can_only_be_nonsense_are_refused(prefix: str, name: str) -> None:
    """A run of 10^12 iterations would hang, a batch of 10^12 images exhaust the memory."""
    component = REGISTRIES[prefix].get(name)
    whole = [item.name for item in component_fields(component) if type(default_of(item)) is int]
    for knob_name in whole:
        with pytest.raises(KnobError, match=rf"{name}\.{knob_name} must be in \[\d+, "):
            REGISTRIES[prefix].build(name, {knob_name: 10**12})


def test_nested_knobs_that_are_not_the_default_survive() -> None:
    component = Mim(base=DM(iterations=7, lr=0.3, augment="crop"), temperature=0.5, head="mlp")
    assert unflatten(METHODS, flatten(component, "method"), "method") == component
    assert (
        METHODS.build(
            "mim", {"base.iterations": 7, "base.lr": 0.3, "base.augment": "crop", "temperature": 0.5, "head": "mlp"}
        )
        == component
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"count": 0}, "thing.count must be in [1, 9], got 0"),
        ({"count": "ten"}, "thing.count must be a whole number, got 'ten'"),
        ({"count": 2.5}, "thing.count must be a whole number, got 2.5"),
        ({"count": True}, "thing.count must be a whole number, got True"),
        ({"count": "inf"}, "thing.count must be a whole number, got 'inf'"),
        ({"rate": 0}, "thing.rate must be in (0, inf), got 0"),
        ({"rate": "nan"}, "thing.rate must be finite, got nan"),
        ({"rate": float("inf")}, "thing.rate must be finite, got inf"),
        ({"rate": "x"}, "thing.rate must be a number, got 'x'"),
        ({"rate": None}, "thing.rate must be a number, got None"),
        ({"free": 3}, "thing.free must be in (-inf, 2], got 3"),
        ({"free": 2.0000001}, "thing.free must be in (-inf, 2], got 2.0000001"),
        ({"rate": -1e-12}, "thing.rate must be in (0, inf), got -1e-12"),
        ({"on": "maybe"}, "thing.on must be true or false, got 'maybe'"),
        ({"kind": "c"}, "thing.kind must be one of a, b, got c"),
    ],
)
def test_bad_value_is_refused_with_rule_and_value(given: dict[str, Any], message: str) -> None:
    for make in (lambda: Thing(**given), lambda: THINGS.build("thing", given)):
        with pytest.raises(KnobError) as caught:
            make()
        assert str(caught.value) == message


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"count": "4"}, 4),
        ({"count": "4e0"}, 4),
        ({"count": 4.0}, 4),
        ({"rate": "2"}, 2.0),
        ({"rate": 2}, 2.0),
        ({"on": "yes"}, True),
        ({"on": "0"}, False),
        ({"kind": "b"}, "b"),
    ],
)
def test_values_take_the_declared_type(given: dict[str, Any], expected: Any) -> None:
    (name,) = given
    for made in (Thing(**given), THINGS.build("thing", given)):
        assert getattr(made, name) == expected
        assert type(getattr(made, name)) is type(expected)


def test_a_components_own_check_meets_checked_values() -> None:
    with pytest.raises(UnknownNameError, match="unknown augmentation '5'"):
        DM(augment=5)  # type: ignore[arg-type]
    with pytest.raises(KnobError, match=r"mim\.base must be a method, got ConvNet"):
        Mim(base=ConvNet())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: METHODS.get("min"), "unknown method 'min'; did you mean 'mim'? Known: "),
        (lambda: METHODS.build("qqqq"), "unknown method 'qqqq'. Known: "),
        (lambda: NETWORKS.get("convet"), "unknown network 'convet'; did you mean 'convnet'?"),
        (
            lambda: METHODS.build("dm", {"iteration": 3}),
            "unknown knob of method dm 'iteration'; did you mean 'iterations'?",
        ),
        (lambda: METHODS.build("mim", {"base": "dn"}), "unknown method 'dn'; did you mean 'dm'?"),
        (lambda: METHODS.build("mim", {"base.rl": 3}), "unknown knob of method dm 'rl'"),
    ],
)
def test_unknown_name_proposes_the_nearest(make: Any, message: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        make()
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_value_has_no_knobs_of_its_own() -> None:
    with pytest.raises(KnobError, match=r"mim.weight is a value and has no knobs of its own"):
        METHODS.build("mim", {"weight.x": 1})


def test_long_list_of_names_is_left_out() -> None:
    with pytest.raises(UnknownNameError) as caught:
        resolve("temperatur", [f"method.{n}" for n in ("temperature", *"abcdefghijklm")])
    assert str(caught.value) == "unknown knob 'temperatur'; did you mean 'method.temperature'?"


def test_key_resolves_to_the_one_name_that_ends_in_it() -> None:
    flat = flatten(Mim(), "method") | {"network.width": 1, "evaluation.network.width": 1, "evaluation.lr": 0.1}
    assert resolve("temperature", flat) == "method.temperature"
    assert resolve("iterations", flat) == "method.base.iterations"
    assert resolve("base.lr", flat) == "method.base.lr"
    assert resolve("method", flat) == "method"
    assert resolve("width", flat) == "network.width"
    with pytest.raises(UnknownNameError, match=r"could mean evaluation\.lr or method\.base\.lr"):
        resolve("lr", flat)
    assert resolve("lr", ["method.base.lr", "method.lr"]) == "method.lr"


def test_tie_and_no_match_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"knob 'lr' could mean a\.lr or b\.lr or c\.d\.lr; give the whole name"):
        resolve("lr", ["a.lr", "b.lr", "c.d.lr"])
    with pytest.raises(UnknownNameError, match="unknown knob 'r'"):
        resolve("r", ["a.lr"])


@pytest.mark.parametrize("search", [(2.0, 1.0), (3, 3)])
def test_a_range_to_search_begins_at_its_low_end(search: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"search must be \(low, high\) with low < high, got \("):
        knob(1.0, search=search)
    assert knob(1.0, search=search[::-1] if search[0] > search[1] else (1, 2)).metadata["knob"].search


def test_names_are_registered_once() -> None:
    with pytest.raises(ValueError, match="thing 'thing' is registered already"):
        THINGS.add("thing")(Thing)
    assert THINGS.names() == ["thing"]
    assert "thing" in THINGS
    assert "think" not in THINGS


class Doer(Protocol):
    """An interface of each kind of member."""

    stage: ClassVar[str]

    @property
    def count(self) -> int: ...

    def __call__(self) -> None: ...


def test_what_is_no_component_is_refused_when_it_is_registered() -> None:
    registry: Registry[Any] = Registry("doer", Doer)

    class Plain:
        stage, count = "first", 1

    @dataclass
    class Thawed(Plain):
        pass

    @dataclass(frozen=True)
    class Still(Plain):
        pass

    @dataclass(frozen=True)
    class Doing(Still):
        def __call__(self) -> None: ...

    class Undecorated(Doing):
        pass

    for cls in (Plain, Thawed, Undecorated):
        with pytest.raises(TypeError, match="doer 'mine' must be a frozen dataclass: write @dataclass"):
            registry.add("mine")(cls)
    with pytest.raises(TypeError) as caught:
        registry.add("mine")(Still)
    assert str(caught.value) == "doer 'mine' lacks __call__"
    with pytest.raises(TypeError, match="network 'mine' lacks block_shapes, largest_map, multiply_adds, initial"):
        NETWORKS.add("mine")(Doing)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="dataset 'mine' lacks read"):
        DATASETS.add("mine")(dataclass(frozen=True)(type("Mine", (DataSet,), {})))
    registry.add("mine")(Doing)
    assert registry.names() == ["mine"]


def test_defaults_are_those_of_the_papers() -> None:
    assert {item.name: default_of(item) for item in fields(DM)} | {"augment": ""} == {
        "iterations": 20_000,
        "updates": 1,
        "batch_real": 256,
        "lr": 1.0,
        "momentum": 0.5,
        "init": "real",
        "augment": "",
        "optimizer": "sgd",
        "schedule": "constant",
        "standard": "channels",
        "precision": "float32",
        "batch_shares": "equal",
        "batch_weights": "equal",
        "ipc_shares": "equal",
    }
    dc = DC()
    assert (dc.iterations, dc.batch_real, dc.lr, dc.momentum, dc.lr_network) == (1000, 256, 0.1, 0.5, 0.01)
    assert (dc.init, dc.augment, dc.batch_network, dc.optimizer) == ("noise", "none", 256, "sgd")
    mtt = MTT()
    assert (mtt.iterations, mtt.experts, mtt.expert_epochs, mtt.lr_expert) == (5000, 100, 50, 0.01)
    made = Mim()
    assert (made.weight, made.temperature, made.layer_decay, made.embedding) == (0.8, 0.1, 2.0, 128)
    assert (made.critic, made.head, made.layers, made.balance) == ("nce", "random", "all", "none")
    recipe = Recipe()
    assert (recipe.lr, recipe.momentum, recipe.weight_decay, recipe.batch, recipe.epochs) == (
        0.01,
        0.9,
        5e-4,
        256,
        1000,
    )
    assert (ConvNet().width, ConvNet().blocks(32)) == (128, 3)


def test_errors_are_one_family() -> None:
    assert issubclass(KnobError, InputError)
    assert issubclass(UnknownNameError, InputError)
