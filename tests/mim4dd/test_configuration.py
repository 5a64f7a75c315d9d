"""From names and texts to a whole configuration: what comes over what, and what is refused."""

from __future__ import annotations

import pytest

from mim4dd.configuration import Configuration, apply, assign, assignments, complete, configure
from mim4dd.errors import InputError, KnobError, UnknownNameError
from mim4dd.protocol import PROTOCOLS, protocol
from mim4dd.registry import Flat

FULL: Flat = {"source": "digits", "method": "mim", "network": "convnet", "evaluation": "standard"}


def configured(protocol_name: str, texts: dict[str, str] | None = None, method: str = "mim") -> Configuration:
    return configure(
        source="digits", method={"method": method}, network="convnet", protocol_name=protocol_name, assigned=texts or {}
    )


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
@pytest.mark.parametrize("method", ["mim", "dm", "random"])
def test_protocols_values_come_over_the_defaults(name: str, method: str) -> None:
    found = configured(name, method=method)
    default = complete({**FULL, "method": method})
    told = {key for key, declared in found.knobs.items() if not declared.tacit}
    assert set(found.flat) == told | {"source", "method", "network", "evaluation"}
    expected = dict(default)
    for key, value in protocol(name).items():
        place = {"mim": f"method.base.{key}", "dm": f"method.{key}"}.get(method, "") if "." not in key else key
        if place in default:
            expected[place] = value
    assert found.flat == expected
    assert found.fixed == ()


def test_paper_is_the_published_defaults() -> None:
    assert configured("paper").flat == complete(FULL)


def test_hand_set_values_come_over_the_protocols() -> None:
    found = configured("quick", {"iterations": "7", "network.width": "24", "epochs": "5", "temperature": "0.5"})
    assert (found.flat["method.base.iterations"], found.flat["method.base.batch_real"]) == (7, 16)
    assert (found.flat["network.width"], found.flat["evaluation.epochs"]) == (24, 5)
    assert found.flat["method.temperature"] == 0.5
    assert set(found.fixed) == {
        "method.base.iterations",
        "network.width",
        "evaluation.epochs",
        "method.temperature",
    }


@pytest.mark.parametrize("texts", [{"base": "dm"}, {"method.base": "dm"}, {"iterations": "7", "base": "dm"}])
def test_naming_a_part_keeps_the_protocols_values(texts: dict[str, str]) -> None:
    found = configured("quick", texts)
    assert found.flat["method.base.iterations"] == int(texts.get("iterations", 50))
    assert found.flat["method.base.batch_real"] == 16
    assert found.fixed[0] == "method.base"


def test_another_method_gets_the_protocols_values_too() -> None:
    found = configured("quick", {"method": "dm", "method.lr": "0.5"})
    assert (found.flat["method"], found.flat["method.iterations"], found.flat["method.lr"]) == ("dm", 50, 0.5)
    assert "method.base" not in found.flat


def test_every_knob_of_the_flat_has_its_declaration() -> None:
    found = configured("digits")
    assert found.knobs["method.temperature"].symbol == "τ"
    assert found.knobs["method.base.lr"].log
    assert found.knobs["network.width"].low == 1


def test_with_method_keeps_data_network_and_recipe() -> None:
    flat = configured("quick", {"temperature": "0.5"}).with_method("random")
    assert {key for key in flat if key.startswith("method")} == {"method"}
    assert flat["method"] == "random"
    assert flat["network.width"] == 16
    assert complete(flat) == flat


def test_changed_component_starts_with_its_defaults() -> None:
    flat, fixed = assign({**complete(FULL), "method.base.lr": 9.0}, {"base": "dm"})
    assert flat["method.base.lr"] == 1.0
    assert fixed == ("method.base",)
    assert flat == complete(FULL)


def test_apply_checks_and_leaves_what_is_no_components() -> None:
    flat = complete(FULL)
    found = apply({**flat, "seed": 3}, {"method.temperature": 0.5})
    assert found == {**flat, "seed": 3, "method.temperature": 0.5}
    with pytest.raises(KnobError, match=r"mim.temperature must be in \(0, inf\), got -1"):
        apply(flat, {"method.temperature": -1})
    with pytest.raises(UnknownNameError, match="unknown knob of method mim 'tau'"):
        apply(flat, {"method.tau": 1})


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"temprature": "1"}, "did you mean 'method.temperature'?"),
        ({"temperature": "0"}, r"mim.temperature must be in \(0, inf\), got 0"),
        ({"base": "mim"}, "mim.base must be a method that matches real and synthetic images, got mim"),
        ({"base": "dn"}, "unknown method 'dn'; did you mean 'dm'?"),
        ({"base": "dm", "evaluation.momentum": "2"}, r"standard.momentum must be in \[0, 0.999\], got 2"),
        ({"iterations": "many"}, "dm.iterations must be a whole number, got 'many'"),
        ({"evaluation.augment": "colour"}, "unknown augmentation 'colour'"),
        ({"lr": "0.1"}, "'lr' could mean evaluation.lr or method.base.lr; give the whole name"),
        ({"augment": "none"}, "could mean evaluation.augment or method.base.augment"),
    ],
)
def test_bad_assignment_is_refused(texts: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        configured("digits", texts)


def test_unknown_protocol_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown protocol 'papr'; did you mean 'paper'"):
        configured("papr")


def test_texts_are_split_at_the_first_equals_sign() -> None:
    assert assignments(["a=1", "b.c=x=y"], "--set") == {"a": "1", "b.c": "x=y"}
    for bad in ("a", "=1", "a=", ""):
        with pytest.raises(InputError, match="--set must be key=value, got"):
            assignments([bad], "--set")
    with pytest.raises(InputError, match="--set a is given twice"):
        assignments(["a=1", "a=2"], "--set")


def test_a_protocols_knob_of_one_method_goes_to_that_method_alone_wherever_it_is() -> None:
    value = protocol("digits")["mtt.lr"]
    assert configured("digits", method="mtt").flat["method.lr"] == value
    wrapped = configured("digits", {"base": "mtt"}).flat
    assert wrapped["method.base.lr"] == value
    assert wrapped["evaluation.lr"] == complete(FULL)["evaluation.lr"]
    assert configured("digits").flat["method.base.lr"] == complete(FULL)["method.base.lr"]
