"""One synthetic set held against many networks: of each, fresh ones are trained on it and classify real images.

A view is one of these results in a trial's row: `mlp`, `resnet18:width=16 by dc`, or the trial's own networks on
corrupted test images, `gaussian_noise:severity=3`. The trial's own networks on clean images are the row itself, "", and
the view of their text where that is among the judges.

With RATES, each judge is also scored at the learning rate that suits it and the set: the one at which its first network
has the highest accuracy on at most 1,000 validation images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mim4dd.errors import InputError, exact
from mim4dd.networks import NETWORKS, Network
from mim4dd.networks.precision import multiplying
from mim4dd.registry import PLUGIN, component_fields, default_of, name_of, origin_of, unflatten
from mim4dd.resolving import component_of
from mim4dd.train import RECIPES, Recipe
from studies.engine.measuring import scored

if TYPE_CHECKING:
    from collections.abc import Callable

    from mim4dd.networks.stacked import Params
    from mim4dd.records import ImageData, Integers, Synthetic
    from mim4dd.train import Training
    from studies.engine.trial import Inputs

SEPARATOR = " | "
BY = " by "
# The entries of a trial's configuration with the other networks and recipes, the corruptions of test images, and the
# learning rates among which each judge's is chosen.
JUDGES, CORRUPTIONS, RATES = "judges", "corruptions", "rates"
# A view's entry with what a judge reaches at its chosen rate.
TUNED = "tuned"
Scores = dict[str, dict[str, Any]]


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
    """The judges of a trial by view: its own networks first, then those that are others."""
    usual = unflatten(RECIPES, config, "evaluation")
    own = Judge(unflatten(NETWORKS, config, "network"), usual)
    others = {text: judge_of(text, usual) for text in _texts(config, JUDGES)}
    return {"": own, **{text: judge for text, judge in others.items() if judge != own}}


def rates_of(config: Mapping[str, Any]) -> tuple[float, ...]:
    """The learning rates among which each judge's is chosen, its recipe's aside; none where nothing is chosen."""
    return tuple(float(text) for text in _texts(config, RATES))


def other_rates(judge: Judge, rates: Sequence[float]) -> list[float]:
    """The rates that are tried besides the judge's own."""
    return [rate for rate in rates if rate != judge.recipe.lr]


def _texts(config: Mapping[str, Any], key: str) -> list[str]:
    return [text for text in str(config.get(key, "")).split(SEPARATOR) if text]


class Judging:
    """The judging of one set, which can be saved after any epoch.

    done: by view, what it measured; tried: by view, the accuracy of one network at each rate; tuned: by view, what it
    measured at the best of them. training: of the judge at work, None between two of them.
    """

    def __init__(self, config: Mapping[str, Any], synthetic: Synthetic, inputs: Inputs, device: str) -> None:
        self.config, self.synthetic, self.inputs, self.device = config, synthetic, inputs, device
        self.judges, self.rates = judges_of(config), rates_of(config)
        self.done: dict[str, Scores] = {}
        self.tried: dict[str, dict[float, float]] = {}
        self.tuned: dict[str, Scores] = {}
        self.training: Training | None = None
        self._saved: dict[str, Any] | None = None

    @property
    def progress(self) -> str:
        """How far it is, in words."""
        if self.training is None:
            return f"{len(self.done)} results"
        done = sum(view in (self.tuned if self.rates else self.done) for view in self.judges)
        return f"judge {done + 1} of {len(self.judges)}, epoch {self.training.epoch} of {self.training.epochs}"

    def state_dict(self) -> dict[str, Any]:
        """The state from which another process continues to the same bits."""
        training = self._saved if self.training is None else self.training.state_dict()
        tried = {view: dict(rates) for view, rates in self.tried.items()}
        return {"done": dict(self.done), "tried": tried, "tuned": dict(self.tuned), "training": training}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the state that `state_dict` returned."""
        self.done, self.tried, self.tuned = dict(state["done"]), dict(state["tried"]), dict(state["tuned"])
        self._saved = state["training"]

    def run(self, on_epoch: Callable[[], None], own: tuple[Params, Scores] | None = None) -> None:
        """Train every judge's networks that have no result yet, and score them.

        on_epoch: called after every epoch. own: the trial's own networks, where they are trained already, and their
        scores on validation and test images.
        """
        for view, judge in self.judges.items():
            if view not in self.done:
                if view == "" and own is not None:
                    params, scores = own
                else:
                    params = self._trained(judge.network, judge.recipe, on_epoch)
                    scores = self._split_scores(judge, params)
                if self.rates:
                    self.tried[view] = {judge.recipe.lr: self._first_accuracy(judge, params)}
                self.done |= {view: scores, **(self._on_corrupted(judge, params) if view == "" else {})}
            if self.rates and view not in self.tuned:
                self.tuned[view] = self._tuned(view, judge, on_epoch)

    def _tuned(self, view: str, judge: Judge, on_epoch: Callable[[], None]) -> Scores:
        """The judge's scores at the best of the rates, its own where several are as good."""
        tried = self.tried[view]
        for rate in other_rates(judge, self.rates):
            if rate not in tried:
                one = replace(judge.recipe, networks=1, lr=rate)
                tried[rate] = self._first_accuracy(judge, self._trained(judge.network, one, on_epoch))
        best = _best(tried)
        if best == judge.recipe.lr:
            return self.done[view]
        params = self._trained(judge.network, replace(judge.recipe, lr=best), on_epoch)
        return self._split_scores(judge, params)

    def _trained(self, network: Network, recipe: Recipe, on_epoch: Callable[[], None]) -> Params:
        """Fresh networks, trained on the set: from where a saved training was, if there is one."""
        from mim4dd.evaluation import training_on

        seed = int(self.config["seed"])
        training = training_on(self.synthetic, network, recipe, seed=seed, device=self.device)
        if self._saved is not None:
            training.load_state_dict(self._saved)
            self._saved = None
        self.training = training
        while training.epoch < training.epochs:
            training.advance(training.epoch + 1)
            on_epoch()
        self.training = None
        return training.params

    def _first_accuracy(self, judge: Judge, params: Params) -> float:
        """The accuracy of the first of the networks on at most 1,000 validation images."""
        from mim4dd.evaluation import score

        rows: Integers = self.inputs.interim_rows
        first = {name: tensor[:1] for name, tensor in params.items()}
        with multiplying(judge.recipe.precision):
            return score(first, judge.network, self.synthetic, self.inputs.splits.validation.take(rows)).mean

    def _split_scores(self, judge: Judge, params: Params) -> Scores:
        """The scores of trained networks on validation and test images."""
        splits = self.inputs.splits
        parts = {"validation": splits.validation, "test": splits.test}
        return {split: self._scored(judge, params, images, split) for split, images in parts.items()}

    def _scored(self, judge: Judge, params: Params, images: ImageData, split: str) -> dict[str, Any]:
        with multiplying(judge.recipe.precision):
            return scored(params, judge.network, self.synthetic, images, split)[1]

    def _on_corrupted(self, judge: Judge, params: Params) -> dict[str, Scores]:
        """The scores of the trial's own networks on corrupted test images, by corruption."""
        from perturbations import chain

        found = {}
        for text in _texts(self.config, CORRUPTIONS):
            corrupted = chain(_corruption(text), self.inputs.splits.test, seed=0).data
            found[text] = {"test": self._scored(judge, params, corrupted, "test")}
        return found

    def result(self) -> dict[str, Any]:
        """The entries of a row's `result`: scores on validation images, of the views besides the trial's own too."""
        return self._entries("validation")

    def report_only(self) -> dict[str, Any]:
        """The entries of a row's `report_only`: scores on test images."""
        return self._entries("test")

    def _entries(self, split: str) -> dict[str, Any]:
        """The scores on a split: the trial's own, and by view, under `judged`, those of all others."""
        # A text that is no other judge's is that of the trial's own networks.
        views = {text: "" for text in _texts(self.config, JUDGES) if text not in self.judges}
        views |= {view: view for view, scores in self.done.items() if view and split in scores}
        return {**self._entry("", split), "judged": {text: self._entry(view, split) for text, view in views.items()}}

    def _entry(self, view: str, split: str) -> dict[str, Any]:
        """The scores of a view on a split; and at its chosen rate, with what every rate gave."""
        scores = self.done[view][split]
        if view not in self.tuned:
            return scores
        tuned = self.tuned[view][split]
        if split == "validation":
            tried = self.tried[view]
            tuned = {"lr": _best(tried), "tried": {exact(rate): tried[rate] for rate in sorted(tried)}, **tuned}
        return {**scores, TUNED: tuned}


def _best(tried: Mapping[float, float]) -> float:
    """The rate with the highest accuracy, the first of those that have it: the recipe's own where it is among them."""
    return max(tried, key=lambda rate: tried[rate])


def _corruption(text: str) -> Any:
    from perturbations import parse_chain

    return parse_chain([text])


@contextmanager
def refusing(network: Network) -> Iterator[None]:
    """Raises: InputError, with the network's name, for what it refuses, and for what a user's raises."""
    name = spec_of(network, identity=False)
    try:
        yield
    except InputError as error:
        raise InputError(f"{name} cannot be used with these data: {error}") from error
    except Exception as error:
        if not origin_of(network):
            raise
        reason = " ".join(str(error).split()) or "no message"
        raise InputError(f"{name} cannot be used with these data: {type(error).__name__}: {reason}") from error
