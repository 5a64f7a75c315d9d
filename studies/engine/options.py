"""The flags that every study has, and the record they become."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mim4dd.cli import Parser
from mim4dd.configuration import assignments
from mim4dd.errors import InputError
from mim4dd.methods.catalogue import TAILS
from mim4dd.protocol import PROTOCOLS
from studies.engine.asked import Asked
from studies.engine.tracking.server import shown


@dataclass(frozen=True)
class Options:
    """What a study was asked for, checked as far as words go."""

    address: str | None
    dataset: str
    data_root: Path | None
    download: bool
    ipc: int
    base: str
    seeds: tuple[int, ...]
    split_seed: int
    protocol: str
    assigned: dict[str, str]
    classes_as: str
    perturb: tuple[str, ...]
    selection: str
    tail: str | None
    asked: Asked
    cpus_per_trial: float
    gpus_per_trial: float
    max_concurrent: int
    checkpoint_seconds: float
    silence_seconds: float
    offline: bool
    out: Path | None
    tracking_uri: str | None
    dry_run: bool
    command: str = field(default="", compare=False)


def parse_options(description: str, script: str, asks: type[Asked], words: Sequence[str]) -> Options:
    """The command line of a study as options; `asks` is the kind of study.

    Raises: InputError for a wrong flag or value.
    """
    parser = Parser(
        prog=f"python {script}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_argument_group("what is studied")
    what.add_argument(
        "--dataset",
        default="digits",
        help="digits, mnist, fashion_mnist, svhn, cifar10, cifar100, npz:FILE or folder:DIR (default: digits)",
    )
    what.add_argument(
        "--data-root", type=Path, help="folder of the named data sets (default: $MIM4DD_DATA, else ./data)"
    )
    what.add_argument("--download", action="store_true", help="fetch a named data set that is not there")
    what.add_argument(
        "--classes-as", default="", help="the named set whose images a file or folder holds, e.g. cifar10"
    )
    what.add_argument("--ipc", type=int, default=1, help="synthetic images per class (default: 1)")
    what.add_argument("--base", default="dm", help="the method that the MI term is added to (default: dm)")
    what.add_argument(
        "--protocol", help=f"named defaults: {', '.join(PROTOCOLS)} (default: digits for digits, else paper)"
    )
    what.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="assigned",
        help="fix a knob, e.g. temperature=0.5 (see `mim4dd list methods`)",
    )
    what.add_argument(
        "--seeds", help=f"synthetic sets, as 0-4 or 0,1,2 (default: {asks.seeds[0]}; quick: {asks.seeds[1]})"
    )
    what.add_argument("--split-seed", type=int, default=0, help="another cut of the validation images (default: 0)")
    what.add_argument(
        "--quick", action="store_true", help="the smallest honest run: protocol quick, few settings and seeds"
    )
    what.add_argument(
        "--selection",
        default="clean",
        choices=("clean", "noisy"),
        help="validation labels that choices read: clean, or with the training labels' noise (default: clean)",
    )
    what.add_argument(
        "--tail",
        choices=TAILS,
        help="a class with fewer real images than a draw wants: repeat some, cap it, or error (default: repeat; on "
        "clean data, an --ipc above a class's images is refused)",
    )
    asks.flags(parser)
    where = parser.add_argument_group("where it runs and what it leaves")
    where.add_argument(
        "--address", help="local, auto or HOST:PORT of a Ray cluster (default: $RAY_ADDRESS, else local)"
    )
    where.add_argument("--cpus-per-trial", type=float, default=1, help="each trial uses as many threads (default: 1)")
    where.add_argument("--gpus-per-trial", type=float, default=0, help="fractions share a GPU, e.g. 0.25 (default: 0)")
    where.add_argument("--max-concurrent", type=int, default=0, help="trials at once (default: as many as fit)")
    where.add_argument(
        "--checkpoint-seconds", type=float, default=30, help="how often a running trial is saved (default: 30)"
    )
    where.add_argument(
        "--silence-limit",
        type=float,
        default=600,
        metavar="SECONDS",
        help="a trial that gives no sign of life for so long is ended and begun elsewhere (default: 600)",
    )
    where.add_argument("--out", type=Path, help="study folder; the same again resumes (default: runs/STUDY-HASH)")
    where.add_argument("--tracking-uri", help="MLflow (default: $MLFLOW_TRACKING_URI, else mlflow.db here)")
    where.add_argument(
        "--offline",
        action="store_true",
        help="no MLflow now; `python -m studies.engine.tracking sync OUT` sends it later",
    )
    where.add_argument(
        "--dry-run", action="store_true", help="print the trials and an estimate of the time, run nothing"
    )
    found = parser.parse_args(words)
    if found.cpus_per_trial <= 0 or found.gpus_per_trial < 0 or found.max_concurrent < 0:
        raise InputError("--cpus-per-trial must be above 0, --gpus-per-trial and --max-concurrent at least 0")
    if found.checkpoint_seconds <= 0 or found.silence_limit <= 0:
        raise InputError("--checkpoint-seconds and --silence-limit must be above 0")
    if found.offline and found.tracking_uri:
        raise InputError("--offline is no MLflow, --tracking-uri names one; give one of them")
    if found.ipc < 1:
        raise InputError(f"--ipc must be at least 1, got {found.ipc}")
    if found.quick and found.protocol:
        raise InputError("--quick is --protocol quick; give one of them")
    return Options(
        address=found.address,
        dataset=found.dataset,
        data_root=found.data_root,
        download=found.download,
        ipc=found.ipc,
        base=found.base,
        seeds=parse_seeds(found.seeds or asks.seeds[found.quick]),
        split_seed=found.split_seed,
        classes_as=found.classes_as,
        perturb=tuple(getattr(found, "perturb", ())),
        selection=found.selection,
        tail=found.tail,
        asked=asks.of(found),
        protocol="quick" if found.quick else found.protocol or ("digits" if found.dataset == "digits" else "paper"),
        assigned=assignments(found.assigned, "--set"),
        cpus_per_trial=found.cpus_per_trial,
        gpus_per_trial=found.gpus_per_trial,
        max_concurrent=found.max_concurrent,
        checkpoint_seconds=found.checkpoint_seconds,
        silence_seconds=found.silence_limit,
        offline=found.offline,
        out=found.out.absolute() if found.out else None,
        tracking_uri=found.tracking_uri,
        dry_run=found.dry_run,
        command=" ".join(["python", script, *(shlex.quote(shown(word)) for word in words)]),
    )


def parse_seeds(text: str) -> tuple[int, ...]:
    """`0-4`, `0,1,2` or a mixture, as distinct seeds in order.

    Raises: InputError for anything else.
    """
    seeds: list[int] = []
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        if not low.isdigit() or (dash and not high.isdigit()) or (dash and int(high) < int(low)):
            raise InputError(f"--seeds must be like 0-4 or 0,1,2, got '{text}'")
        seeds += range(int(low), int(high or low) + 1)
    if len(set(seeds)) < len(seeds):
        raise InputError(f"--seeds names a seed twice: '{text}'")
    return tuple(seeds)


def fail(error: Exception) -> int:
    """One line for what went wrong, and the exit status of bad input."""
    print(f"error: {error}", file=sys.stderr)
    return 2
