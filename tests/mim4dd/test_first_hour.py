"""What a notebook or an IDE shows of the library: names, help, short forms of records, components by their names."""

from __future__ import annotations

import inspect
import io
import pydoc
import subprocess
import sys
from dataclasses import dataclass, fields

import numpy as np
import pytest
from PIL import Image

import mim4dd
from mim4dd.data import DATASETS
from mim4dd.errors import InputError, KnobError, UnknownNameError
from mim4dd.methods import METHODS
from mim4dd.methods.mim import CRITICS
from mim4dd.networks import NETWORKS
from mim4dd.origins import plugin_of
from mim4dd.picture import grid_png
from mim4dd.records import ImageData, Score, Splits, Synthetic
from mim4dd.registry import Registry, knob, part
from mim4dd.train import RECIPES

OURS = [
    pytest.param(registry, name, id=f"{registry.kind}-{name}")
    for registry in (METHODS, NETWORKS, DATASETS, RECIPES)
    for name in registry.names()
    if not plugin_of(registry.get(name))
]


def test_every_method_network_and_recipe_is_a_name_of_the_package() -> None:
    for registry in (METHODS, NETWORKS, RECIPES):
        for name in registry.names():
            component = registry.get(name)
            if component.__module__.startswith("mim4dd.") and not plugin_of(component):
                assert getattr(mim4dd, component.__name__) is component


def test_completion_offers_the_names_before_anything_is_imported() -> None:
    code = "import mim4dd, sys; print(*dir(mim4dd)); print('torch' in sys.modules, 'mim4dd.methods' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100)
    offered, loaded = ran.stdout.splitlines()
    assert {name for name in offered.split() if not name.startswith("__")} == set(mim4dd.__all__)
    assert loaded == "False False"


@pytest.mark.parametrize(("registry", "name"), OURS)
def test_help_shows_every_knob_with_its_default_and_help(registry: Registry[object], name: str) -> None:
    component = registry.get(name)
    shown = pydoc.plain(pydoc.render_doc(component))
    declared = [item for item in fields(component) if "knob" in item.metadata]  # type: ignore[arg-type]
    for item in declared:
        assert f"     {item.name} = " in shown
        assert item.metadata["knob"].help in shown
    assert shown.count("Knobs:\n") == bool(declared)
    assert "(*args" not in shown.splitlines()[3]


def test_a_knob_line_has_the_valid_range_and_an_inherited_knob_is_there() -> None:
    lines = [line.strip() for line in (mim4dd.Mim.__doc__ or "").splitlines()]
    assert "temperature = 0.1  [> 0]  divides the similarities" in lines
    assert "base = dm  the method that the term is added to" in lines
    assert "head = random  [random | learned | mlp]  map into the contrastive space" in lines
    assert "optimizer = sgd  [sgd | adam]  of the pixels" in (mim4dd.DM.__doc__ or "")  # of LearnedPixels
    assert list(inspect.signature(mim4dd.RandomReal).parameters) == [item.name for item in fields(mim4dd.RandomReal)]


def test_choices_that_are_added_later_are_in_the_docstring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CRITICS, "_added", {"pulled": lambda: None})
    assert f"critic = nce  [{' | '.join(CRITICS)}]" in (mim4dd.Mim.__doc__ or "")
    assert [*CRITICS][-1] == "pulled"


def test_registering_needs_no_component_that_a_part_names() -> None:
    inner: Registry[object] = Registry("inner")
    outer: Registry[object] = Registry("outer")

    @outer.add("outer")
    @dataclass(frozen=True)
    class Outer:
        """Holds another."""

        held: object = part(inner, "late", help="registered later")

    @inner.add("late")
    @dataclass(frozen=True)
    class Late:
        """Comes late."""

        size: int = knob(1, low=1, help="of it")

    assert Outer.__doc__ == "Holds another.\n\nKnobs:\n    held = late  registered later"
    assert Late.__doc__ == Late().__doc__ == "Comes late.\n\nKnobs:\n    size = 1  [>= 1]  of it"


def small(**given: object) -> Synthetic:
    ones = np.ones(1, np.float32)
    images = np.linspace(0, 1, 4 * 64, dtype=np.float32).reshape(4, 1, 8, 8)
    values = {"config": {"method": "mim", "method.base": "dm", "seed": 3, "source": "digits"}, **given}
    return Synthetic(images, np.array([0, 0, 1, 1]), ("a", "b"), 0 * ones, ones, **values)  # type: ignore[arg-type]


def test_records_are_short_and_show_no_array(digits: Splits) -> None:
    assert repr(digits.train) == f"ImageData(digits: {len(digits.train)} images of 1x8x8, 10 classes)"
    counts = f"{len(digits.train)} for training, {len(digits.validation)} for validation, {len(digits.test)} for test"
    assert repr(digits) == f"Splits(digits: {counts}; images of 1x8x8, 10 classes)"
    assert repr(small()) == "Synthetic(4 images of 1x8x8, 2 classes; mim on dm, seed 3, digits)"
    assert repr(small(config={})) == "Synthetic(4 images of 1x8x8, 2 classes)"
    one = ImageData.from_arrays(np.zeros((1, 2, 3)), [0], source="mine")
    assert repr(one) == "ImageData(mine: 1 image of 1x2x3, 1 class)"


def test_a_set_shows_itself_as_its_picture() -> None:
    made = small()
    assert made._repr_png_() == grid_png(made)
    with Image.open(io.BytesIO(made._repr_png_())) as picture:
        assert picture.format == "PNG"


def test_a_score_says_its_spread_and_each_class() -> None:
    recall = np.array([[0.5, np.nan, 1.0], [0.7, np.nan, 0.9]])
    score = Score("<mine>", np.array([0.6, 0.8]), recall)
    assert repr(score) == "Score(<mine>: 70.0%, standard deviation over 2 networks 14.1%)"
    html = score._repr_html_()
    assert html.startswith("<p>&lt;mine&gt;: accuracy 70.0%, standard deviation over 2 networks 14.1%</p><table>")
    assert "<td>60.0%</td><td>–</td><td>95.0%</td>" in html
    assert repr(Score("x", np.array([0.25]), recall[:1])) == "Score(x: 25.0%, one network)"
    many = Score("x", np.array([0.25]), np.ones((1, 1000)))
    assert many._repr_html_().count("<td>100.0%</td>") == 20


def test_components_by_name_are_those_of_objects(digits: Splits) -> None:
    network = mim4dd.ConvNet(width=4)
    method = mim4dd.Mim(base=mim4dd.DM(iterations=2, batch_real=4), temperature=0.5)
    text = "mim:base=dm,base.iterations=2,base.batch_real=4,temperature=0.5"
    named = mim4dd.distill(digits.train, method=text, network="convnet:width=4")
    made = mim4dd.distill(digits.train, method=method, network=network)
    assert np.array_equal(named.images, made.images)
    assert named.config == made.config
    recipe = mim4dd.Recipe(networks=2, epochs=3)
    by_name = mim4dd.evaluate(
        named, digits.validation, network="convnet:width=4", recipe="standard:networks=2,epochs=3"
    )
    assert np.array_equal(
        by_name.accuracy, mim4dd.evaluate(made, digits.validation, network=network, recipe=recipe).accuracy
    )


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"network": "resnet"}, UnknownNameError, "unknown network 'resnet'; did you mean 'resnet18'?"),
        ({"network": "convnet:widht=3"}, UnknownNameError, "did you mean 'width'?"),
        ({"network": "convnet:width=0"}, KnobError, "convnet.width must be in [1, 4096], got 0"),
        ({"network": "convnet:width"}, InputError, "network must be NAME:knob=value,knob=value, got 'convnet:width'"),
        ({"network": mim4dd.ConvNet}, InputError, "network must be a network or the name of one, got the class: write"),
        ({"network": None}, InputError, "network must be a network or the name of one, got NoneType"),
        ({"network": mim4dd.DM()}, InputError, "network must be a network or the name of one, got DM"),
        ({"recipe": "dm"}, UnknownNameError, "unknown recipe 'dm'"),
    ],
)
def test_what_names_no_component_is_refused(
    given: dict[str, object], kind: type[Exception], message: str, digits: Splits
) -> None:
    with pytest.raises(kind) as refused:
        mim4dd.evaluate(small(), digits.validation, **given)  # type: ignore[arg-type]
    assert message in str(refused.value)


def test_a_method_that_is_none_is_refused(digits: Splits) -> None:
    with pytest.raises(UnknownNameError, match="unknown method 'dms'"):
        mim4dd.distill(digits.train, method="dms", network="convnet")
