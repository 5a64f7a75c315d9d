"""One synthetic set held against many networks: of each, fresh ones are trained on it and classify real images.

A view is one of these results in a trial's row: `mlp`, `resnet18:width=16 by dc`, or the trial's own networks on
corrupted test images, `gaussian_noise:severity=3`. The trial's own networks on clean images are the row itself, "".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mim4dd.networks import NETWORKS, Network
from mim4dd.registry import PLUGIN, component_fields, default_of, name_of, origin_of, unflatten
from mim4dd.resolving import component_of
from mim4dd.train import RECIPES, Recipe
from studies.engine.measuring import scored

if TYPE_CHECKING:
    from collections.abc import Callable

    from mim4dd.records import Splits, Synthetic
    from mim4dd.train import Training

SEPARATOR = " | "
BY = " by "
# The entries of a trial's configuration with the other networks and recipes, and the corruptions of test images.
JUDGES, CORRUPTIONS = "judges", "corruptions"


@dataclass(frozen=True)
class Judge:
    """An architecture and a recipe by which fresh networks of it are trained."""

    network: Network
    recipe: Recipe

    def text(self, usual: Recipe, *, identity: bool = True) -> str:
        """`mlp`, or `mlp by dc` where the recipe is not the usual one: parsed by `judge_of`.

        identity: name the plug-ins too, as a trial does and a label does not.
        """
        network = spec_of(self.network, identity=identity)
        if self.recipe == usual:
            return network
        return f"{network}{BY}{spec_of(as_many(self.recipe, Recipe()), identity=identity)}"


def as_many(recipe: Recipe, as_: Recipe) -> Recipe:
    """The recipe with the number of networks and the limit on the steps of another."""
    return replace(recipe, networks=as_.networks, max_steps=as_.max_steps)


def spec_of(component: Any, *, identity: bool = True) -> str:
    """A component as `name:knob=value,...`: the knobs that are not at their defaults; identity: its plug-in too."""
    pairs = [(item.name, getattr(component, item.name)) for item in component_fields(component)]
    defaults = {item.name: default_of(item) for item in component_fields(component)}
    texts = [f"{name}={_written(value)}" for name, value in pairs if value != defaults[name]]
    texts += [f"{PLUGIN}={origin}" for origin in [origin_of(component)] if origin and identity]
    return f"{name_of(component)}:{','.join(texts)}" if texts else name_of(component)


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def judge_of(text: str, usual: Recipe) -> Judge:
    """The judge of a text; its recipe, where it names none, is the usual one.

    Raises: InputError, UnknownNameError or KnobError.
    """
    network, _, recipe = text.partition(BY)
    by = as_many(component_of(RECIPES, recipe, "--recipe"), usual) if recipe else usual
    return Judge(component_of(NETWORKS, network, "--network"), by)


def judges_of(config: Mapping[str, Any]) -> dict[str, Judge]:
    """The judges of a trial by view, its own networks first."""
    usual = unflatten(RECIPES, config, "evaluation")
    texts = str(config.get(JUDGES, "")).split(SEPARATOR)
    own = Judge(unflatten(NETWORKS, config, "network"), usual)
    return {"": own, **{text: judge_of(text, usual) for text in texts if text}}


class Judging:
    """The judging of one set, which can be saved after any epoch.

    done: by view, what it measured. training: of the judge at work, None between two of them.
    """

    def __init__(self, config: Mapping[str, Any], synthetic: Synthetic, splits: Splits, seed: int, device: str) -> None:
        self.config, self.synthetic, self.splits, self.seed, self.device = config, synthetic, splits, seed, device
        self.judges = judges_of(config)
        self.done: dict[str, dict[str, Any]] = {}
        self.training: Training | None = None
        self._saved: dict[str, Any] | None = None

    @property
    def progress(self) -> str:
        """How far it is, in words."""
        if self.training is None:
            return f"{len(self.done)} results"
        done = sum(view in self.done for view in self.judges)
        return f"judge {done + 1} of {len(self.judges)}, epoch {self.training.epoch} of {self.training.epochs}"

    def state_dict(self) -> dict[str, Any]:
        """The state from which another process continues to the same bits."""
        training = self._saved if self.training is None else self.training.state_dict()
        return {"done": dict(self.done), "training": training}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the state that `state_dict` returned."""
        self.done, self._saved = dict(state["done"]), state["training"]

    def run(self, on_epoch: Callable[[], None]) -> None:
        """Train every judge's networks that have no result yet, and score them. on_epoch: called after every epoch."""
        from mim4dd.evaluation import training_on
        from mim4dd.networks.precision import multiplying

        for view, judge in self.judges.items():
            if view in self.done:
                continue
            training = training_on(self.synthetic, judge.network, judge.recipe, seed=self.seed, device=self.device)
            if self._saved is not None:
                training.load_state_dict(self._saved)
                self._saved = None
            self.training = training
            while training.epoch < training.epochs:
                training.advance(training.epoch + 1)
                on_epoch()
            self.training = None
            with multiplying(judge.recipe.precision):
                self.done |= self._scores(view, judge.network, training.params)

    def _scores(self, view: str, network: Network, params: Any) -> dict[str, dict[str, Any]]:
        """The scores of trained networks; those of the trial's own also on corrupted test images."""
        from perturbations import chain

        splits, found = self.splits, {}
        _, validation = scored(params, network, self.synthetic, splits.validation, "validation")
        _, test = scored(params, network, self.synthetic, splits.test, "test")
        found[view] = {"validation": validation, "test": test}
        texts = str(self.config.get(CORRUPTIONS, "")).split(SEPARATOR) if view == "" else []
        for text in filter(None, texts):
            corrupted = chain(_corruption(text), splits.test, seed=0).data
            found[text] = {"test": scored(params, network, self.synthetic, corrupted, "test")[1]}
        return found

    def result(self) -> dict[str, Any]:
        """The entries of a row's `result`: scores on validation images, of the views besides the trial's own too."""
        others = {view: entry["validation"] for view, entry in self._others().items() if "validation" in entry}
        return {**self.done[""]["validation"], "judged": others}

    def report_only(self) -> dict[str, Any]:
        """The entries of a row's `report_only`: scores on test images."""
        return {**self.done[""]["test"], "judged": {view: entry["test"] for view, entry in self._others().items()}}

    def _others(self) -> dict[str, dict[str, Any]]:
        return {view: entry for view, entry in self.done.items() if view}


def _corruption(text: str) -> Any:
    from perturbations import parse_chain

    return parse_chain([text])
