"""The library from a shell: distil a data set, evaluate, show and export the result, list components."""

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
  mim4dd evaluate images_best.pt --dataset cifar10 --test
  mim4dd show run/
  mim4dd export run/ --as folder --out pictures/
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
    verbs = top.add_subparsers(required=True, metavar="distill | evaluate | show | export | list", parser_class=Parser)
    plugins = Parser(add_help=False)
    add_import_flag(plugins)
    place = Parser(add_help=False, parents=[plugins])
    place.add_argument(
        "--data-root", type=Path, help="folder of the named data sets (default: $MIM4DD_DATA, else ./data)"
    )
    place.add_argument("--download", action="store_true", help="download a named data set that is missing")
    data = Parser(add_help=False, parents=[place])
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
    distil.add_argument(
        "--overwrite", action="store_true", help="replace a set that is there, with its picture and scores"
    )
    distil.set_defaults(run=_distil)

    foreign = _foreign()
    evaluate = verbs.add_parser(
        "evaluate", parents=[data, foreign], help="train fresh networks on a synthetic set and score them"
    )
    evaluate.add_argument("--protocol", help="named defaults for a file of other code (default: as distill's)")
    evaluate.add_argument(
        "--out", type=Path, help="folder for the scores (default: RUN; of a file, nothing is written)"
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

    show = verbs.add_parser("show", parents=[place, foreign], help="write a synthetic set as a picture")
    show.add_argument("--out", type=Path, help="folder for the picture (default: RUN)")
    show.set_defaults(run=_show)

    export = verbs.add_parser("export", parents=[place, foreign], help="write a set for tools without this library")
    export.add_argument("--as", dest="form", choices=("folder", "pt", "dc", "npz"), help="PNG files, tensors or arrays")
    export.add_argument("--image", type=int, metavar="K", help="one image as PNG in place of the whole set")
    export.add_argument("--out", type=Path, required=True, help="the folder or file to write; nothing is overwritten")
    export.set_defaults(run=_export)
    for verb in (show, export):
        verb.add_argument("--size", type=int, default=0, help="the data set's knob, where it needs one")

    listing = verbs.add_parser("list", parents=[plugins], help="components with their knobs, defaults and sources")
    listing.add_argument(
        "kind",
        nargs="?",
        help="methods, networks, datasets, perturbations, recipes or protocols (default: a line on each kind)",
    )
    listing.set_defaults(run=_list)
    return top


def _foreign() -> Parser:
    """A set, and what says how to read one of other code."""
    flags = Parser(add_help=False)
    flags.add_argument("run_folder", type=Path, metavar="RUN", help="the folder that distill wrote, or any set's file")
    flags.add_argument(
        "--dataset", help="of a file: what it was distilled from; of a RUN: where npz:FILE or folder:DIR is"
    )
    flags.add_argument("--split-seed", type=int, help="of a file: seed of the cut of the validation images")
    flags.add_argument("--classes-as", default="", help="of a file: the named set that npz:FILE or folder:DIR holds")
    flags.add_argument("--labels", type=Path, help="of a file: the file of its labels, where none is found")
    flags.add_argument(
        "--standard",
        default="",
        help="of a file: how it was normalised: levels, pixels, published, channels, zca, zca-published, zca-pixels or "
        "numbers as MEAN/STD (default: found from its numbers)",
    )
    flags.add_argument("--which", type=int, help="of a file with several sets: which, from 0 (default: the last)")
    return flags


def _distil(arguments: argparse.Namespace) -> int:
    from mim4dd_cli.distill import distill

    return distill(arguments)


def _evaluate(arguments: argparse.Namespace) -> int:
    from mim4dd_cli.evaluate import evaluate

    return evaluate(arguments)


def _show(arguments: argparse.Namespace) -> int:
    from mim4dd_cli.export import show

    return show(arguments)


def _export(arguments: argparse.Namespace) -> int:
    from mim4dd_cli.export import export

    return export(arguments)


def _list(arguments: argparse.Namespace) -> int:
    from mim4dd_cli.listing import kinds, listed

    print(kinds() if arguments.kind is None else listed(arguments.kind))
    return 0
