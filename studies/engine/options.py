"""The flags that every study has, and the record of all flags of a command line."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic

from cluster import preflight
from mim4dd.configuration import assignments
from mim4dd.data import require_used
from mim4dd.errors import InputError
from mim4dd.methods.tails import IPC, TAILS
from mim4dd.plugins import Plugins, load_plugins
from mim4dd.protocol import PROTOCOLS
from mim4dd.registry import Knob
from mim4dd_cli.parsing import Parser, add_import_flag
from studies.engine.flags import F
from studies.engine.sizes import Size
from studies.engine.tracking.server import shown

WEEK = 7 * 24 * 3600.0
# What a study's numbers may be: above these limits planning would not end, or no machine has as much.
LIMITS = {
    **preflight.LIMITS,
    "--ipc": IPC,
    "--split-seed": Knob(low=0, high=2**32 - 1),
    "--max-concurrent": Knob(low=0, high=100_000),
    "--checkpoint-seconds": Knob(above=0, high=WEEK),
    "--silence-limit": Knob(above=0, high=WEEK),
}
MOST_SEEDS = 1_000
SEEDS = re.compile(r"([0-9]{1,12})(?:-([0-9]{1,12}))?")


@dataclass(frozen=True)
class Options(Generic[F]):
    """The command line of a study, checked without reading data. flags: the study's own; read: the size of the data.

    Data of a named set are read after planning; the size of others is known before, by reading them.
    """

    flags: F
    address: str | None
    dataset: str
    data_root: Path | None
    download: bool
    classes_as: str
    ipc: int
    base: str
    seeds: tuple[int, ...]
    split_seed: int
    protocol: str
    assigned: dict[str, str]
    selection: str
    interim: bool
    tail: str | None
    cpus_per_trial: float
    gpus_per_trial: float
    max_concurrent: int
    checkpoint_seconds: float
    silence_seconds: float
    preflight_seconds: float | None
    offline: bool
    out: Path | None
    tracking_uri: str | None
    dry_run: bool
    plugins: Plugins
    command: str = field(default="", compare=False)
    read: Size | None = None


def parse_options(description: str, script: str, flags: type[F], arguments: Sequence[str]) -> Options[F]:
    """Parse a study's command line. flags: the class of the study's own flags.

    Raises: InputError for a wrong flag or value.
    """
    parsed = parser_of(description, script, flags).parse_args(arguments)
    # first, since every other flag may name what they register
    plugins = load_plugins(parsed.plugins)
    _check(parsed, flags)
    own = flags.parse(parsed)
    return Options(
        flags=own,
        address=parsed.address,
        dataset=parsed.dataset,
        data_root=parsed.data_root,
        download=parsed.download,
        classes_as=parsed.classes_as,
        ipc=own.given_ipc or parsed.ipc or 1,
        base=parsed.base or "dm",
        seeds=parse_seeds(parsed.seeds or flags.seeds[parsed.quick]),
        split_seed=parsed.split_seed,
        protocol="quick" if parsed.quick else parsed.protocol or ("digits" if parsed.dataset == "digits" else "paper"),
        assigned=_assigned(parsed, flags),
        selection=parsed.selection,
        interim=parsed.interim or own.interim,
        tail=parsed.tail,
        cpus_per_trial=parsed.cpus_per_trial,
        gpus_per_trial=parsed.gpus_per_trial,
        max_concurrent=parsed.max_concurrent,
        checkpoint_seconds=parsed.checkpoint_seconds,
        silence_seconds=parsed.silence_limit,
        preflight_seconds=parsed.preflight_limit,
        offline=parsed.offline,
        out=parsed.out.absolute() if parsed.out else None,
        tracking_uri=parsed.tracking_uri,
        dry_run=parsed.dry_run,
        plugins=plugins,
        command=" ".join(["python", script, *(shlex.quote(shown(word)) for word in arguments)]),
    )


def parser_of(description: str, script: str, flags: type[F]) -> Parser:
    """The parser of a study's command line. flags: the class of the study's own flags."""
    parser = Parser(
        prog=f"python {script}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    _add_study_flags(parser, flags)
    flags.add_to(parser)
    _add_run_flags(parser)
    return parser


def _add_study_flags(parser: Parser, flags: type[F]) -> None:
    """Add the flags that decide the trials. flags: the class of the study's own, for what depends on the study."""
    group = parser.add_argument_group("what is studied")
    add = group.add_argument
    add_import_flag(group)
    add(
        "--dataset",
        default="digits",
        help="digits, mnist, fashion_mnist, svhn, cifar10, cifar100, npz:FILE, folder:DIR or hf:DIR (default: digits)",
    )
    add("--data-root", type=Path, help="folder of the named data sets (default: $MIM4DD_DATA, else ./data)")
    add("--download", action="store_true", help="download a named data set that is missing")
    add("--classes-as", default="", help="the named set whose images a file or folder holds, e.g. cifar10")
    add("--ipc", type=int, help="synthetic images per class (default: 1)")
    add("--base", help="the method that the MI term is added to (default: dm)" if flags.one_base else argparse.SUPPRESS)
    add("--protocol", help=f"named defaults: {', '.join(PROTOCOLS)} (default: digits for digits, else paper)")
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="assigned",
        help="fix a knob, e.g. temperature=0.5 (see `mim4dd list methods`)",
    )
    add("--seeds", help=f"synthetic sets, as 0-4 or 0,1,2 (default: {flags.seeds[0]}; quick: {flags.seeds[1]})")
    add("--split-seed", type=int, default=0, help="seed of the split into training and validation images (default: 0)")
    add("--quick", action="store_true", help="a short run: protocol quick, few settings and seeds")
    add(
        "--selection",
        default="clean",
        choices=("clean", "noisy"),
        help="validation labels for choosing settings: clean, or with the training labels' noise (default: clean)",
    )
    add(
        "--interim",
        action="store_true",
        help="validation accuracy at a quarter and at half of the iterations too (always with --asha and in fidelity)",
    )
    add(
        "--tail",
        choices=TAILS,
        help="when a class has fewer real images than a draw needs: repeat some, cap the draw, or error (default: "
        "repeat; on clean data, an --ipc above a class's images is refused)",
    )


def _add_run_flags(parser: Parser) -> None:
    """Add the flags that decide where trials run and where results are written."""
    group = parser.add_argument_group("where trials run and where results go")
    add = group.add_argument
    add("--address", help="local, auto or HOST:PORT of a Ray cluster (default: $RAY_ADDRESS, else local)")
    add("--cpus-per-trial", type=float, default=1, help="each trial uses as many threads (default: 1)")
    add("--gpus-per-trial", type=float, default=0, help="fractions share a GPU, e.g. 0.25 (default: 0)")
    add("--max-concurrent", type=int, default=0, help="trials at once (default: as many as fit)")
    add("--checkpoint-seconds", type=float, default=30, help="how often a running trial is saved (default: 30)")
    add(
        "--silence-limit",
        type=float,
        default=600,
        metavar="SECONDS",
        help="a trial without a heartbeat for this long is ended and started on another worker (default: 600)",
    )
    add(
        "--preflight-limit",
        type=float,
        metavar="SECONDS",
        help="a node that does not answer for this long before the first trial is refused (default: "
        f"{preflight.REMOTE_SECONDS:g}, on this machine {preflight.LOCAL_SECONDS:g})",
    )
    add("--out", type=Path, help="study folder; an existing one is resumed (default: runs/STUDY-HASH)")
    add("--tracking-uri", help="of MLflow (default: $MLFLOW_TRACKING_URI, else mlflow.db in this folder)")
    add(
        "--offline",
        action="store_true",
        help="do not use MLflow; `python -m studies.engine.tracking sync OUT` sends the study later",
    )
    add("--dry-run", action="store_true", help="print the trials and an estimate of the time, run nothing")


def _check(parsed: argparse.Namespace, flags: type[F]) -> None:
    """Raises: InputError for values that no study can use, and for flags that have no meaning here."""
    preflight.require_within(LIMITS, parsed)
    if parsed.gpus_per_trial > 1 and parsed.gpus_per_trial % 1:
        raise InputError(f"--gpus-per-trial must be whole above 1, got {parsed.gpus_per_trial:g}")
    if parsed.offline and parsed.tracking_uri:
        raise InputError("--offline uses no MLflow and --tracking-uri names one; give only one of them")
    if parsed.quick and parsed.protocol:
        raise InputError("--quick already means --protocol quick; give only one of them")
    if parsed.base and not flags.one_base:
        raise InputError(f"--base is for studies of one base, got {parsed.base}; give --method mim:base={parsed.base}")
    require_used(parsed.dataset, data_root=parsed.data_root, download=parsed.download, classes_as=parsed.classes_as)
    if parsed.out is not None:
        _require_name(parsed.out)


def _assigned(parsed: argparse.Namespace, flags: type[F]) -> dict[str, str]:
    """The knobs that `--set` fixes.

    Raises: InputError for the method, which other flags name, or for a base that `--base` names too.
    """
    assigned = assignments(parsed.assigned, "--set")
    if method := assigned.get("method"):
        how = f"--base {method}" if flags.one_base else f"--method {method} where the study has it"
        raise InputError(f"--set method={method}: the method is no knob; give {how}")
    if parsed.base and (twice := next((key for key in ("base", "method.base") if key in assigned), None)):
        raise InputError(
            f"--base {parsed.base} and --set {twice}={assigned[twice]} both name the base; give one of them"
        )
    return assigned


def _require_name(out: Path) -> None:
    """Raises: InputError for a path that no file system here can have, a file, or a path through one."""
    try:
        for path in (out, *out.absolute().parents):
            if path.exists() and not path.is_dir():
                raise InputError(f"--out must be a folder, {path} is a file")
    except OSError as error:
        raise InputError(f"--out cannot be used ({error.strerror}): {str(out)[:80]}") from error


def parse_seeds(text: str) -> tuple[int, ...]:
    """`0-4`, `0,1,2` or a mixture, as distinct seeds in order.

    Raises: InputError for anything else, a seed of 2^32 or above, or more than MOST_SEEDS.
    """
    seeds: list[int] = []
    for part in text.split(","):
        found = SEEDS.fullmatch(part.strip())
        if found is None or int(found[2] or found[1]) < int(found[1]):
            raise InputError(f"--seeds must be like 0-4 or 0,1,2, got '{text[:80]}'")
        low, high = int(found[1]), int(found[2] or found[1])
        if high >= 2**32:
            raise InputError(f"--seeds must be below 2^32, got {high}")
        if len(seeds) + high - low >= MOST_SEEDS:
            raise InputError(f"--seeds must name at most {MOST_SEEDS} seeds, got '{text[:80]}'")
        seeds += range(low, high + 1)
    if len(set(seeds)) < len(seeds):
        raise InputError(f"--seeds names a seed twice: '{text[:80]}'")
    return tuple(seeds)
