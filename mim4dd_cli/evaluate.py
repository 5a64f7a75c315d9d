"""`mim4dd evaluate`: train fresh networks on a saved set and score them."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mim4dd.errors import DataError, InputError, UnknownNameError
from mim4dd.protocol import PROTOCOLS
from mim4dd.registry import PLUGIN, Flat, Registry, unflatten
from mim4dd.tensors import require_entries
from mim4dd_cli.device import allocating, checked_device
from mim4dd_cli.output import require_writable, storing
from mim4dd_cli.sets import file_of_ours, read_foreign, require_own_flags, required_dataset

if TYPE_CHECKING:
    from mim4dd.records import ImageData, Score, Splits, Synthetic
    from mim4dd.train import Recipe
    from perturbations import Perturbation

# What a recorded configuration must have, and what it may have: those of before lack it.
NEEDED = {"dataset": str, "split_seed": int, "network": str, "evaluation": str}
OPTIONAL = {"classes_as": str, "data_root": str, "data_digest": str}


def evaluate(arguments: argparse.Namespace) -> int:
    """Run `mim4dd evaluate`; returns the exit status."""
    from mim4dd.durable import finite, write_json
    from mim4dd.evaluation import class_scores, require_finite, score, tally, train_on
    from mim4dd.information import usable_information_nats
    from mim4dd.memory import keep_freed_memory
    from mim4dd.networks import NETWORKS
    from mim4dd.networks.precision import multiplying, slower_note
    from mim4dd.records import Synthetic
    from mim4dd.train import RECIPES
    from perturbations import chain, text_of

    ours = file_of_ours(arguments.run_folder)
    if ours is None:
        source, flat = _configured(arguments)
    else:
        require_own_flags(arguments)
        synthetic = Synthetic.load(ours)
        flat = _network_and_recipe(arguments, synthetic)
    network, recipe = unflatten(NETWORKS, flat, "network"), unflatten(RECIPES, flat, "evaluation")
    corruptions = _corruptions(arguments.corrupt)
    part = "test" if arguments.test else "validation"
    stem = "-".join((part, *(text_of([one]).replace(":severity=", "-") for one in corruptions)))
    folder = arguments.out or (arguments.run_folder if arguments.run_folder.is_dir() else None)
    file = folder / f"{stem}.json" if folder else None
    if file:
        require_writable(str(file), file)
    device = checked_device(arguments.device)
    if ours is None:
        foreign = read_foreign(arguments, source)
        synthetic, splits, notes = foreign.synthetic, foreign.splits, foreign.notes
    else:
        splits = _same_data(arguments, synthetic.config)
        notes = splits.notes
    for note in filter(None, (*notes, slower_note(flat, device))):
        print(note)
    # The scored images are corrupted: a stress of the trained networks at test time.
    views = _shown(splits.test if arguments.test else splits.validation, synthetic.config, arguments.seed)
    split, *cued = (chain(corruptions, data, seed=0).data for data in views.values())
    keep_freed_memory()
    with allocating():
        params = train_on(synthetic, network, recipe, seed=arguments.seed, device=device)
        with multiplying(recipe.precision):
            scored = class_scores(params, network, synthetic, split)
            require_finite(scored)
            others = [score(params, network, synthetic, data) for data in cued]
        result, nats = tally(scored.argmax(2).cpu().numpy(), split), usable_information_nats(scored, split.labels)
    name = " under ".join(filter(None, (part, " and ".join(text_of([one]) for one in corruptions))))
    scores = {"split": name, "corrupt": arguments.corrupt, "classes": synthetic.classes, **flat}
    scores |= {"accuracy": result.accuracy.tolist(), "usable_information_nats": nats.tolist()}
    scores["recall"] = result.recall.tolist()
    by_cue = dict(zip([*views][1:], others, strict=True))
    if by_cue:
        scores["planted_cue"] = {
            view: {"accuracy": one.accuracy.tolist(), "recall": one.recall.tolist()} for view, one in by_cue.items()
        }
    if ours is None:
        scores |= {"set": synthetic.config, "notes": notes}
    try:
        if file:
            with storing(file):
                write_json(file, finite(scores))
    finally:  # a full disk must not cost the score
        trained = f"{flat['network']}, {recipe.epochs_for(len(synthetic.labels))} epochs"
        print("\n".join(_told(name, trained, result, nats, split)))
        for view, one in by_cue.items():
            print(f"where the planted cue is {view} in every image: accuracy {one.mean:.1%}")
        if ours is None:
            print("\n".join(_told_of_file(synthetic, recipe)))
    return 0


def _shown(split: ImageData, config: dict[str, Any], seed: int) -> dict[str, ImageData]:
    """The images to score; of a set distilled with a planted cue they have it too, unbiased, then each other way."""
    from perturbations.cues.planting import PARTS, cue_in, shown

    cue = cue_in(str(config.get("perturb", "")))
    return {"": split} if cue is None else {part: shown(cue, split, part)(split, seed=seed).data for part in PARTS}


def _told_of_file(synthetic: Synthetic, recipe: Recipe) -> list[str]:
    """What to know of the score of a set of other code."""
    lines = ["one set: the deviation is that of networks, and says nothing of other sets of the same method"]
    rate = synthetic.config.get("syn_lr")
    if rate is not None and f"{rate:g}" != f"{recipe.lr:g}":
        lines.append(
            f"trained with the learning rate {recipe.lr:g}; the set has its own, {rate:g}: for that, add "
            f"--set evaluation.lr={rate:g} (and --set evaluation.drop=1 for no drop)"
        )
    return lines


def _configured(arguments: argparse.Namespace) -> tuple[Flat, Flat]:
    """The knobs of the data set, and the network and recipe of the arguments, for a set of other code."""
    from mim4dd.configuration import assignments, configure

    kind = required_dataset(arguments).partition(":")[0]
    if arguments.quick and arguments.protocol:
        raise InputError("--quick is --protocol quick; give one of them")
    usual = "digits" if kind == "digits" else "paper"
    assigned = assignments(arguments.assigned, "--set")
    if arguments.networks is not None:
        assigned = {"evaluation.networks": str(arguments.networks)} | assigned
    flat = configure(
        source=kind,
        method={},
        network=arguments.network or "convnet",
        protocol_name="quick" if arguments.quick else arguments.protocol or usual,
        assigned=assigned,
    ).flat
    source = {key.partition(".")[2]: value for key, value in flat.items() if key.startswith("source.")}
    return source, {key: value for key, value in flat.items() if key.partition(".")[0] != "source"}


def _told(name: str, trained: str, result: Score, nats: npt.NDArray[np.float64], split: ImageData) -> list[str]:
    """The score in lines. name: of the split; trained: which networks were, and for how long."""
    networks = len(result.accuracy)
    spread = f"standard deviation over {networks} networks {result.accuracy.std(ddof=1):.1%}" if networks > 1 else ""
    share = nats.mean() / math.log(np.count_nonzero(split.counts))
    recalls = zip(split.classes, result.recall.mean(0), strict=True)
    return [
        f"{name} accuracy {result.mean:.1%}, {spread or 'one network'} ({trained}, one synthetic set)",
        f"usable information {nats.mean():.3f} nats, {share:.1%} of H(Y)",
        *(f"  {label:<12} {_recalled(recall)}" for label, recall in recalls),
    ]


def _recalled(recall: float) -> str:
    return "no image" if math.isnan(recall) else f"recall {recall:.1%}"


def plugins_of(config: dict[str, Any]) -> str:
    """The plug-ins of a set's configuration, in words; "" for none."""
    named = {str(value) for key, value in config.items() if key.rpartition(".")[2] == PLUGIN}
    return f"the plug-in {', '.join(sorted(named))}" if named else ""


def _network_and_recipe(arguments: argparse.Namespace, synthetic: Synthetic) -> Flat:
    """The network and the recipe of a set's configuration, changed by the arguments.

    Raises: InputError for a configuration without them, or with knobs that are out of range.
    """
    from mim4dd.configuration import assign, assignments, complete
    from mim4dd.networks import NETWORKS
    from mim4dd.train import RECIPES

    parts: dict[str, Registry[Any]] = {"network": NETWORKS, "evaluation": RECIPES}
    config = synthetic.config
    try:
        require_entries(config, {**NEEDED, **{key: kind for key, kind in OPTIONAL.items() if key in config}})
        flat = complete({key: value for key, value in config.items() if key.partition(".")[0] in parts}, parts)
    except UnknownNameError as error:
        if not (named := plugins_of(config)):
            raise InputError(f"{arguments.run_folder} does not say how it was distilled: {error}") from error
        raise InputError(
            f"{arguments.run_folder} was distilled with {named}, to be given by --import: {error}"
        ) from error
    except InputError as error:
        raise InputError(f"{arguments.run_folder} does not say how it was distilled: {error}") from error
    if arguments.network:
        flat = {key: value for key, value in flat.items() if key.startswith("evaluation")}
        flat["network"] = arguments.network
    if arguments.quick:
        flat |= {"evaluation.epochs": PROTOCOLS["quick"]["evaluation.epochs"], "evaluation.augment": "none"}
    if arguments.networks is not None:
        flat["evaluation.networks"] = arguments.networks
    flat, _ = assign(flat, assignments(arguments.assigned, "--set"), parts)
    return flat


def _corruptions(texts: list[str]) -> tuple[Perturbation, ...]:
    from perturbations import parse_corruptions
    from perturbations.catalogue import check_chain

    corruptions = parse_corruptions(texts, "--corrupt")
    check_chain(corruptions)
    return corruptions


def _same_data(arguments: argparse.Namespace, config: dict[str, Any]) -> Splits:
    """The data set that the run was distilled from, from where it lies now.

    Raises: DataError when it is missing, or holds other images.
    """
    from mim4dd.data import load

    recorded = config.get("data_root", "")
    root = arguments.data_root or (recorded if Path(recorded).is_dir() else None)
    spec = arguments.dataset or config["dataset"]
    try:
        splits = load(
            spec,
            data_root=root,
            download=arguments.download,
            split_seed=config["split_seed"],
            knobs={key.partition(".")[2]: value for key, value in config.items() if key.startswith("source_knob.")},
            classes_as=config.get("classes_as", ""),
        )
    except DataError as error:
        if arguments.dataset or ":" not in spec:
            raise
        raise DataError(
            f"{error}; {arguments.run_folder} names it: if it has moved, say where with --dataset"
        ) from error
    if "data_digest" not in config:
        print(f"note: {arguments.run_folder} does not say which images it was distilled from: they are not compared")
    elif splits.digest != config["data_digest"]:
        raise DataError(
            f"{spec} must hold the images that {arguments.run_folder} was distilled from, under the same name; it "
            f"holds others (digest {splits.digest}, not {config['data_digest']})"
        )
    return splits
