"""The library from a shell: distil a data set, evaluate and show the result, list components."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mim4dd.methods.tails import TAILS
from mim4dd.plugins import load_plugins
from mim4dd.protocol import PROTOCOLS
from mim4dd_cli.command import exit_status
from mim4dd_cli.parsing import Parser, add_import_flag

EPILOG = """examples:
  mim4dd distill --dataset digits --ipc 1 --method mim --set base=dm --set temperature=0.5 --out run/
  mim4dd evaluate run/ --network convnet --networks 5
  mim4dd show run/
  mim4dd list methods
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 2 for bad input, with one line on stderr."""
    return exit_status(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> int:
    arguments = parser().parse_args(argv)
    load_plugins(arguments.plugins)
    return int(arguments.run(arguments))


def parser() -> Parser:
    """The whole command line."""
    top = Parser("mim4dd", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = top.add_subparsers(required=True, metavar="distill | evaluate | show | list", parser_class=Parser)
    plugins = Parser(add_help=False)
    add_import_flag(plugins)
    data = Parser(add_help=False, parents=[plugins])
    data.add_argument(
        "--data-root", type=Path, help="folder of the named data sets (default: $MIM4DD_DATA, else ./data)"
    )
    data.add_argument("--download", action="store_true", help="download a named data set that is missing")
    data.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 (default: cpu)")
    data.add_argument("--seed", type=int, default=0)
    data.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="assigned", help="set a knob")
    data.add_argument("--quick", action="store_true", help="the smallest honest run: --protocol quick")

    distil = verbs.add_parser("distill", parents=[data], help="distil a data set into a few images per class")
    distil.add_argument("--dataset", default="digits", help="digits, mnist, ..., npz:FILE, folder:DIR or hf:DIR")
    distil.add_argument("--split-seed", type=int, default=0, help="seed of the cut of the validation images")
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
    distil.add_argument(
        "--tail",
        choices=TAILS,
        help="a class with fewer real images than a draw asks for: repeat some, cap it, or error (default: repeat; "
        "without --perturb, error for --ipc)",
    )
    distil.add_argument(
        "--classes-as", default="", help="the named set whose images a file or folder holds, e.g. cifar10"
    )
    distil.add_argument("--out", type=Path, required=True, help="folder for the synthetic set")
    distil.set_defaults(run=_distil)

    evaluate = verbs.add_parser(
        "evaluate", parents=[data], help="train fresh networks on a synthetic set and score them"
    )
    evaluate.add_argument("run_folder", type=Path, metavar="RUN", help="the folder that distill wrote")
    evaluate.add_argument(
        "--dataset", help="where the data lies now, as npz:FILE, folder:DIR or hf:DIR, if it has moved"
    )
    evaluate.add_argument("--network", help="network that is trained (default: the one that distilled it)")
    evaluate.add_argument("--networks", type=int, help="how many (default: the protocol's)")
    evaluate.add_argument("--test", action="store_true", help="score the test split; without it, validation")
    evaluate.add_argument(
        "--corrupt",
        action="append",
        default=[],
        metavar="NAME:severity=1..5",
        help="corrupt the scored images, e.g. gaussian_noise:severity=3; the synthetic set stays as it is",
    )
    evaluate.set_defaults(run=_evaluate)

    show = verbs.add_parser("show", parents=[plugins], help="write a synthetic set as a picture")
    show.add_argument("run_folder", type=Path, metavar="RUN", help="the folder that distill wrote")
    show.set_defaults(run=_show)

    listing = verbs.add_parser("list", parents=[plugins], help="components with their knobs, defaults and sources")
    listing.add_argument("kind", help="methods, networks, datasets, perturbations, recipes or protocols")
    listing.set_defaults(run=_list)
    return top


def _distil(arguments: argparse.Namespace) -> int:
    from mim4dd_cli.distill import distill

    return distill(arguments)


def _evaluate(arguments: argparse.Namespace) -> int:
    from mim4dd_cli.evaluate import evaluate

    return evaluate(arguments)


def _show(arguments: argparse.Namespace) -> int:
    from mim4dd.durable import durably
    from mim4dd.picture import grid_png
    from mim4dd.records import Synthetic
    from mim4dd_cli.output import storing

    picture = arguments.run_folder / "synthetic.png"
    synthetic = Synthetic.load(arguments.run_folder / "synthetic.safetensors")
    with storing(picture):
        durably(picture, grid_png(synthetic))
    print(picture)
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from mim4dd_cli.listing import listed

    print(listed(arguments.kind))
    return 0
