"""The library from a shell: distil a set, evaluate it, look at it, list what there is."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mim4dd.errors import InputError
from mim4dd.protocol import PROTOCOLS
from mim4dd.registry import Flat, Registry, unflatten

if TYPE_CHECKING:
    from mim4dd.methods import Method
    from mim4dd.networks import Network
    from mim4dd.records import ImageData, Synthetic

EPILOG = """examples:
  mim4dd distill --dataset digits --ipc 1 --method mim --set base=dm --set temperature=0.5 --out run/
  mim4dd evaluate run/ --network convnet --networks 5
  mim4dd show run/
  mim4dd list methods
"""


class Parser(argparse.ArgumentParser):
    """argparse whose errors are one line, like all others."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def main(words: Sequence[str] | None = None) -> int:
    """The exit status: 2 for bad input, with one line on stderr."""
    try:
        given = parser().parse_args(words)
        return int(given.run(given))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except FloatingPointError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def parser() -> Parser:
    """The whole command line."""
    top = Parser("mim4dd", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = top.add_subparsers(required=True, metavar="distill | evaluate | show | list", parser_class=Parser)
    data = Parser(add_help=False)
    data.add_argument(
        "--data-root", type=Path, help="folder of the named data sets (default: $MIM4DD_DATA, else ./data)"
    )
    data.add_argument("--download", action="store_true", help="fetch a named data set that is not there")
    data.add_argument("--split-seed", type=int, default=0, help="another cut of the validation images")
    data.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 (default: cpu)")
    data.add_argument("--seed", type=int, default=0)
    data.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="assigned", help="set a knob")
    data.add_argument("--quick", action="store_true", help="the smallest honest run: --protocol quick")

    distil = verbs.add_parser("distill", parents=[data], help="distil a data set into a few images a class")
    distil.add_argument("--dataset", default="digits", help="digits, mnist, ..., npz:FILE or folder:DIR")
    distil.add_argument("--ipc", type=int, default=1, help="synthetic images per class")
    distil.add_argument("--method", default="mim", help="see `mim4dd list methods`")
    distil.add_argument("--network", default="convnet", help="the network to match with")
    distil.add_argument(
        "--protocol", help=f"named defaults: {', '.join(PROTOCOLS)} (default: digits for digits, else paper)"
    )
    distil.add_argument(
        "--perturb",
        action="append",
        default=[],
        metavar="NAME:KNOB=VALUE",
        help="perturb the training split first, e.g. exponential:factor=50, then symmetric:rate=0.4",
    )
    distil.add_argument("--out", type=Path, required=True, help="folder for the synthetic set")
    distil.set_defaults(run=_distil)

    evaluate = verbs.add_parser(
        "evaluate", parents=[data], help="train fresh networks on a synthetic set and score them"
    )
    evaluate.add_argument("run_folder", type=Path, metavar="RUN", help="what distill wrote")
    evaluate.add_argument("--network", help="network that is trained (default: the one that distilled it)")
    evaluate.add_argument("--networks", type=int, help="how many (default: the protocol's)")
    evaluate.add_argument("--test", action="store_true", help="score the test split; without it, validation")
    evaluate.set_defaults(run=_evaluate)

    show = verbs.add_parser("show", help="write a synthetic set as a picture")
    show.add_argument("run_folder", type=Path, metavar="RUN", help="what distill wrote")
    show.set_defaults(run=_show)

    listing = verbs.add_parser("list", help="components with their knobs, defaults and sources")
    listing.add_argument("kind", help="methods, networks, datasets, perturbations, recipes or protocols")
    listing.set_defaults(run=_list)
    return top


def _distil(given: argparse.Namespace) -> int:
    from mim4dd.configuration import assignments, configure
    from mim4dd.data import load
    from mim4dd.methods import METHODS
    from mim4dd.networks import NETWORKS
    from perturbations import chain, parse_chain

    perturbations = parse_chain(given.perturb)
    if given.quick and given.protocol:
        raise InputError("--quick is --protocol quick; give one of them")
    protocol = "quick" if given.quick else given.protocol or ("digits" if given.dataset == "digits" else "paper")
    configuration = configure(
        source=given.dataset.partition(":")[0],
        method={"method": given.method},
        network=given.network,
        protocol_name=protocol,
        assigned=assignments(given.assigned, "--set"),
    )
    flat = configuration.flat
    source = {key.partition(".")[2]: value for key, value in flat.items() if key.startswith("source.")}
    splits = load(
        given.dataset,
        data_root=given.data_root,
        download=given.download,
        split_seed=given.split_seed,
        knobs=source,
    )
    method, network = unflatten(METHODS, flat, "method"), unflatten(NETWORKS, flat, "network")
    _make_folder(given.out)
    from dataclasses import replace

    perturbed = chain(perturbations, splits.train, seed=given.seed)
    for name, realised in perturbed.realised.items():
        print(f"{name}: {', '.join(f'{k} {v}' for k, v in realised.items() if k != 'transition')}")
    synthetic = _watched(perturbed.data, method, network, given)
    recipe = {key: value for key, value in flat.items() if key.startswith("evaluation")}
    where = {
        "perturb": list(given.perturb),
        "dataset": str(given.dataset),
        "split_seed": given.split_seed,
        "protocol": protocol,
    }
    synthetic = replace(synthetic, config={**synthetic.config, **where, **recipe, **_prefixed(source)})
    synthetic.save(given.out / "synthetic.safetensors")
    print(
        f"{len(synthetic.labels)} images of {len(synthetic.classes)} classes in {given.out / 'synthetic.safetensors'}"
    )
    return 0


def _watched(train: ImageData, method: Method, network: Network, given: argparse.Namespace) -> Synthetic:
    """Distil, saying now and then how far it is."""
    import time

    import torch

    from mim4dd.methods.loop import Distillation
    from mim4dd.methods.problem import Problem

    problem = Problem(train, network, given.ipc, given.seed, torch.device(_device(given.device)))
    run, began, said = Distillation(problem, method), time.monotonic(), 0.0
    while not run.finished:
        run.advance(run.iteration + run.every)
        passed = time.monotonic() - began
        if passed - said > 5:
            said, left = passed, passed * (method.iterations / max(1, run.iteration) - 1)
            losses = ", ".join(f"{k} {v:.4g}" for k, v in run.history[-1].items() if k.startswith("loss/"))
            print(f"iteration {run.iteration} of {method.iterations}, {losses}, {left:.0f} s left", flush=True)
    if run.diverged_at >= 0:
        raise FloatingPointError(
            f"the run diverged: the pixels' gradient was not finite at iteration {run.diverged_at}"
        )
    return run.synthetic()


def _prefixed(source: Flat) -> dict[str, Any]:
    return {f"source_knob.{key}": value for key, value in source.items()}


def _evaluate(given: argparse.Namespace) -> int:
    import math

    from mim4dd.configuration import assign, assignments
    from mim4dd.data import load
    from mim4dd.networks import NETWORKS
    from mim4dd.records import Synthetic
    from mim4dd.train import RECIPES

    synthetic = Synthetic.load(given.run_folder / "synthetic.safetensors")
    config = synthetic.config
    if "dataset" not in config:
        raise InputError(f"{given.run_folder} does not say which data set it was distilled from")
    flat: Flat = {k: v for k, v in config.items() if k.partition(".")[0] in ("network", "evaluation")}
    if given.network:
        flat = {key: value for key, value in flat.items() if key.startswith("evaluation")} | {"network": given.network}
    if given.quick:
        flat |= {"evaluation.epochs": PROTOCOLS["quick"]["evaluation.epochs"], "evaluation.augment": "none"}
    if given.networks is not None:
        flat["evaluation.networks"] = given.networks
    parts: dict[str, Registry[Any]] = {"network": NETWORKS, "evaluation": RECIPES}
    flat, _ = assign(flat, assignments(given.assigned, "--set"), parts)
    network, recipe = unflatten(NETWORKS, flat, "network"), unflatten(RECIPES, flat, "evaluation")
    knob_values = {k.partition(".")[2]: v for k, v in config.items() if k.startswith("source_knob.")}
    splits = load(
        config["dataset"],
        data_root=given.data_root,
        download=given.download,
        split_seed=config["split_seed"],
        knobs=knob_values,
    )
    from mim4dd.evaluate import evaluate

    split = splits.test if given.test else splits.validation
    found = evaluate(synthetic, split, network=network, recipe=recipe, seed=given.seed, device=_device(given.device))
    spread = found.accuracy.std(ddof=1) if len(found.accuracy) > 1 else math.nan
    name = "test" if given.test else "validation"
    print(
        f"{name} accuracy {found.mean:.1%}, standard deviation over {len(found.accuracy)} networks {spread:.1%} "
        f"({given.network or flat['network']}, {recipe.epochs_for(len(synthetic.labels))} epochs, one synthetic set)"
    )
    for label, recall in zip(synthetic.classes, found.recall.mean(0), strict=True):
        print(f"  {label:<12} recall {recall:.1%}")
    scores = {"split": name, "accuracy": found.accuracy.tolist(), "classes": synthetic.classes, **flat}
    scores["recall"] = [[None if math.isnan(value) else value for value in row] for row in found.recall.tolist()]
    (given.run_folder / f"{name}.json").write_text(json.dumps(scores, indent=1) + "\n")
    return 0


def _show(given: argparse.Namespace) -> int:
    from mim4dd.picture import grid_png
    from mim4dd.records import Synthetic

    picture = given.run_folder / "synthetic.png"
    picture.write_bytes(grid_png(Synthetic.load(given.run_folder / "synthetic.safetensors")))
    print(picture)
    return 0


def _list(given: argparse.Namespace) -> int:
    from mim4dd.listing import listed

    print(listed(given.kind))
    return 0


def _device(name: str) -> str:
    import torch

    try:
        torch.zeros(1, device=name).item()  # `meta` makes tensors that hold nothing
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {name} is not to be had here: {str(error).splitlines()[0]}") from error
    return name


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {path} cannot be written: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
