"""`mim4dd evaluate`: train fresh networks on a saved set and score them."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from mim4dd.errors import InputError
from mim4dd.protocol import PROTOCOLS
from mim4dd.registry import Flat, Registry, unflatten
from mim4dd_cli.device import checked_device

if TYPE_CHECKING:
    from mim4dd.networks import Network
    from mim4dd.records import ImageData
    from mim4dd.train import Recipe


def evaluate(arguments: argparse.Namespace) -> int:
    """Run `mim4dd evaluate`; returns the exit status."""
    import math

    import numpy as np

    from mim4dd.data import load
    from mim4dd.memory import keep_freed_memory
    from mim4dd.records import Synthetic

    synthetic = Synthetic.load(arguments.run_folder / "synthetic.safetensors")
    config = synthetic.config
    if "dataset" not in config:
        raise InputError(f"{arguments.run_folder} does not say which data set it was distilled from")
    flat, network, recipe = _network_and_recipe(arguments, config)
    knob_values = {k.partition(".")[2]: v for k, v in config.items() if k.startswith("source_knob.")}
    splits = load(
        config["dataset"],
        data_root=arguments.data_root,
        download=arguments.download,
        split_seed=config["split_seed"],
        knobs=knob_values,
        classes_as=config.get("classes_as", ""),
    )
    for note in splits.notes:
        print(note)
    from mim4dd.evaluate import class_scores, tally, train_on
    from mim4dd.information import usable_information_nats

    keep_freed_memory()
    split = _corrupted(splits.test if arguments.test else splits.validation, arguments.corrupt)
    params = train_on(synthetic, network, recipe, seed=arguments.seed, device=checked_device(arguments.device))
    scored = class_scores(params, network, synthetic, split)
    result, nats = tally(scored.argmax(2).cpu().numpy(), split), usable_information_nats(scored, split.labels)
    spread = result.accuracy.std(ddof=1) if len(result.accuracy) > 1 else math.nan
    name = stem = "test" if arguments.test else "validation"
    if arguments.corrupt:
        name += f" under {' and '.join(arguments.corrupt)}"
        stem += "".join(f"-{text.replace(':severity=', '-')}" for text in arguments.corrupt)
    print(
        f"{name} accuracy {result.mean:.1%}, standard deviation over {len(result.accuracy)} networks {spread:.1%} "
        f"({arguments.network or flat['network']}, {recipe.epochs_for(len(synthetic.labels))} epochs, "
        "one synthetic set)"
    )
    share = nats.mean() / math.log(np.count_nonzero(split.counts))
    print(f"usable information {nats.mean():.3f} nats, {share:.1%} of H(Y)")
    for label, recall in zip(synthetic.classes, result.recall.mean(0), strict=True):
        print(f"  {label:<12} recall {recall:.1%}")
    scores = {"split": name, "corrupt": arguments.corrupt, "classes": synthetic.classes, **flat}
    scores["accuracy"] = result.accuracy.tolist()
    scores["usable_information_nats"] = [None if math.isnan(value) else value for value in nats.tolist()]
    scores["recall"] = [[None if math.isnan(value) else value for value in row] for row in result.recall.tolist()]
    (arguments.run_folder / f"{stem}.json").write_text(json.dumps(scores, indent=1) + "\n")
    return 0


def _network_and_recipe(arguments: argparse.Namespace, config: Flat) -> tuple[Flat, Network, Recipe]:
    """The network and the recipe of a set's configuration, changed by the arguments, also as flat knobs."""
    from mim4dd.configuration import assign, assignments
    from mim4dd.networks import NETWORKS
    from mim4dd.train import RECIPES

    flat: Flat = {k: v for k, v in config.items() if k.partition(".")[0] in ("network", "evaluation")}
    if arguments.network:
        flat = {key: value for key, value in flat.items() if key.startswith("evaluation")}
        flat["network"] = arguments.network
    if arguments.quick:
        flat |= {"evaluation.epochs": PROTOCOLS["quick"]["evaluation.epochs"], "evaluation.augment": "none"}
    if arguments.networks is not None:
        flat["evaluation.networks"] = arguments.networks
    parts: dict[str, Registry[Any]] = {"network": NETWORKS, "evaluation": RECIPES}
    flat, _ = assign(flat, assignments(arguments.assigned, "--set"), parts)
    return flat, unflatten(NETWORKS, flat, "network"), unflatten(RECIPES, flat, "evaluation")


def _corrupted(split: ImageData, texts: list[str]) -> ImageData:
    """Apply pixel corruptions to the scored images: a stress of the trained networks at test time."""
    from perturbations import chain, parse_chain

    corruptions = parse_chain(texts)
    for one, text in zip(corruptions, texts, strict=True):
        if one.stage != "pixel corruption":
            raise InputError(f"--corrupt takes pixel corruptions, {text} is {one.stage}")
    return chain(corruptions, split, seed=0).data
