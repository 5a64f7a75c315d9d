"""Check every node of a cluster before a study uses it: `python -m cluster.preflight --address auto`.

Prints what each node has, problems that would make a study fail, and warnings. The exit status: 0, 1 when there is a
problem, 2 for bad input. Studies run the same checks before their first trial.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cluster.connect import Connection, connect, disconnect, resolve_address
from cluster.nodes import ABSENT, LIBRARIES, DataSpec, Node, probe
from cluster.packages import require_installed
from mim4dd.plugins import Plugin, load_plugins
from mim4dd.registry import Knob, Scalar, check_value
from mim4dd_cli.command import exit_status
from mim4dd_cli.parsing import Parser, add_import_flag

# How long a node may take to answer: a local one starts its workers beside whatever else this machine does.
REMOTE_SECONDS, LOCAL_SECONDS = 30.0, 300.0
CLOCK_SECONDS = 5.0
# What a command line may ask for, here and in a study.
LIMITS = {
    "--cpus-per-trial": Knob(low=0.01, high=1_024),
    "--gpus-per-trial": Knob(low=0, high=64),
    "--preflight-limit": Knob(above=0, high=7 * 24 * 3_600),
}
LITTLE_MEMORY = 2.0  # GiB for each trial at once; a worker that has imported torch holds 0.7


@dataclass(frozen=True)
class PreflightReport:
    """The nodes, the problems that would make a study fail or its rows differ, and warnings."""

    nodes: tuple[Node, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    def table(self) -> str:
        """A text table with one column per node."""
        names = ["", *(node.host for node in self.nodes)]
        rows = [names, ["address", *(node.address for node in self.nodes)]]
        rows.append(["python", *(node.python or "no answer" for node in self.nodes)])
        rows += [[name, *(node.versions.get(name) or "–" for node in self.nodes)] for name in LIBRARIES]
        rows.append(["mim4dd code", *(node.code or "–" for node in self.nodes)])
        rows.append(["CPUs, GPUs", *(f"{node.cpus:g}, {node.gpus:g}" for node in self.nodes)])
        rows.append(["memory", *(f"{node.memory:.1f} GiB" for node in self.nodes)])
        rows.append(["processor", *(node.processor for node in self.nodes)])
        if any(node.data for node in self.nodes):
            rows.append(["data set", *(node.data for node in self.nodes)])
        rows.append(["sees OUT", *("yes" if node.shares else "no" for node in self.nodes)])
        rows.append(["clock", *(f"{node.clock:+.1f} s" for node in self.nodes)])
        widths = [max(len(row[k]) for row in rows) for k in range(len(names))]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def examine(
    connection: Connection,
    *,
    cpus: float = 1.0,
    gpus: float = 0.0,
    out: Path | None = None,
    data: DataSpec | None = None,
    seconds: float | None = None,
    plugins: Sequence[Plugin] = (),
) -> PreflightReport:
    """Probe every node of the cluster that this process has joined, all at once.

    seconds: how long a node may take to answer; None for LOCAL_SECONDS on this machine, REMOTE_SECONDS elsewhere.
    """
    import ray

    here = probe(None, data)
    token, problem = _token(out)
    try:
        # A node reads what it has; only the driver downloads.
        local_data = replace(data, download=False) if data else None
        limit = seconds or (LOCAL_SECONDS if connection.address == "local" else REMOTE_SECONDS)
        nodes = _probed([node for node in ray.nodes() if node["Alive"]], token, local_data, plugins, limit)
    finally:
        if token is not None:
            token.unlink(missing_ok=True)
    problems, warnings = judge(here, nodes)
    if problem:
        problems.append(problem)
    if here.data == ABSENT:
        name = data.dataset if data else ""
        problems.append(f"the driver, which sends the data set to the nodes, does not have {name}")
    if not connection.fits(cpus, gpus):
        problems.append(
            f"a trial requests {cpus:g} CPUs and {gpus:g} GPUs, no node has as many; all together have "
            f"{connection.cpus:g} and {connection.gpus:g}"
        )
    return PreflightReport(nodes, tuple(problems), tuple(warnings))


def judge(here: Node, nodes: Sequence[Node]) -> tuple[list[str], list[str]]:
    """The problems of the nodes for a study whose driver is `here`, and warnings."""
    problems: list[str] = []
    warnings: list[str] = []
    for node in nodes:
        who = f"node {node.host} ({node.address})"
        if node.failure:
            problems.append(f"{who} {node.failure}")
            continue
        if _minor(node.python) != _minor(here.python):
            problems.append(f"{who} runs Python {node.python}, the driver {here.python}")
        for name in LIBRARIES:
            there, ours = node.versions.get(name, ""), here.versions.get(name, "")
            if there.partition("+")[0] != ours.partition("+")[0]:
                problems.append(f"{who} has {f'{name} {there}' if there else f'no {name}'}, the driver {ours}")
        if node.code != here.code:
            problems.append(f"{who} runs other mim4dd code ({node.code}) than the driver ({here.code})")
        if here.data and node.data not in (here.data, ABSENT):
            warnings.append(f"{who} has other images under the data set's name; it gets the driver's")
        if abs(node.clock) > CLOCK_SECONDS:
            warnings.append(f"{who}: its clock is {node.clock:+.0f} s from the driver's, so times in MLflow are off")
        if node.memory < LITTLE_MEMORY * max(1.0, node.cpus):
            warnings.append(f"{who} has {node.memory:.1f} GiB for {node.cpus:g} CPUs; lower --max-concurrent")
    kinds = sorted({node.processor for node in nodes if not node.failure})
    if len(kinds) > 1:
        warnings.append(f"rows repeat bit for bit on one kind of processor, there are {len(kinds)}: {', '.join(kinds)}")
    return problems, warnings


def _minor(python: str) -> str:
    return ".".join(python.split(".")[:2])


def _token(out: Path | None) -> tuple[Path | None, str]:
    """Create a small file in the study folder for nodes to look for; or None, and why it cannot be written."""
    if out is None:
        return None, ""
    path = out / f".preflight-{os.getpid()}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        path.write_text("here\n")
    except OSError as error:
        return None, f"--out {out} cannot be written: {error.strerror}"
    return path, ""


def _probed(
    alive: Sequence[dict[str, Any]],
    token: Path | None,
    data: DataSpec | None,
    plugins: Sequence[Plugin],
    seconds: float,
) -> tuple[Node, ...]:
    """Probe all nodes at once, for so many seconds; returns their answers in order."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    work: Any = ray.remote(probe)
    pending = {}
    for node in alive:
        affinity = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ref = work.options(num_cpus=0, scheduling_strategy=affinity, max_retries=1).remote(token, data, plugins)
        pending[ref] = node["NodeID"]
    answers: dict[str, Node] = {}
    waiting, deadline = list(pending), time.monotonic() + seconds
    while waiting and (left := deadline - time.monotonic()) > 0:
        done, waiting = ray.wait(waiting, timeout=left)
        for ref in done:
            answers[pending[ref]] = _answer(ref)
    for ref in waiting:
        ray.cancel(ref)
    return tuple(_completed(node, answers.get(node["NodeID"]), seconds) for node in alive)


def _answer(ref: Any) -> Node:
    """A node's answer, or why there is none: a missing library, code that did not arrive, a lost worker."""
    import ray

    try:
        answer: Node = ray.get(ref)
    except ray.exceptions.RayError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return Node("", "", failure=f"could not run our code: {lines[-1][:200] if lines else type(error).__name__}")
    return replace(answer, clock=answer.clock - time.time())


def _completed(node: dict[str, Any], answer: Node | None, seconds: float) -> Node:
    """Complete a node's answer with what Ray knows of the node. seconds: how long it was waited for."""
    host, address, resources = node["NodeManagerHostname"], node["NodeManagerAddress"], node["Resources"]
    if answer is None:
        return Node(
            host, address, failure=f"did not answer within {seconds:g} s; raise --preflight-limit if it is busy"
        )
    if answer.failure:
        return replace(answer, host=host, address=address)
    # The memory that Ray measured at its start respects a container's limit, the free memory does not.
    limit = (resources.get("memory", 0.0) + resources.get("object_store_memory", 0.0)) / 2**30
    memory = min(answer.memory, limit) if limit else answer.memory
    return replace(
        answer, address=address, cpus=resources.get("CPU", 0.0), gpus=resources.get("GPU", 0.0), memory=memory
    )


def require_within(limits: Mapping[str, Knob], arguments: argparse.Namespace) -> None:
    """Require that each number of a command line is inside its limits, by flag.

    Raises: KnobError.
    """
    for flag, declared in limits.items():
        value: Scalar | None = getattr(arguments, flag.strip("-").replace("-", "_"), None)
        if value is not None:
            check_value(flag, declared, value)


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(prog="python -m cluster.preflight", description=__doc__)
    parser.add_argument("--address", help="local, auto or HOST:PORT (default: $RAY_ADDRESS, else local)")
    add_import_flag(parser)
    parser.add_argument("--dataset", help="also compare this data set on every node")
    parser.add_argument("--data-root", type=Path, help="folder of the named data sets (default: $MIM4DD_DATA)")
    parser.add_argument("--download", action="store_true", help="download it to the driver if it is missing")
    parser.add_argument("--out", type=Path, help="also check that this study folder can be written and is shared")
    parser.add_argument("--nodes", type=int, default=1, help="the least number of nodes (default: 1)")
    parser.add_argument("--cpus-per-trial", type=float, default=1.0, help="as for studies (default: 1)")
    parser.add_argument("--gpus-per-trial", type=float, default=0.0, help="as for studies (default: 0)")
    parser.add_argument("--preflight-limit", type=float, metavar="SECONDS", help="as for studies")
    return exit_status(lambda: _examined(parser.parse_args(argv)))


def _examined(arguments: argparse.Namespace) -> int:
    """Join the cluster, examine it and print what was found; returns the exit status."""
    require_installed()
    require_within(LIMITS, arguments)
    plugins = load_plugins(arguments.plugins).loaded
    connection = connect(resolve_address(arguments.address))
    try:
        data = None
        if arguments.dataset:
            root = arguments.data_root.absolute() if arguments.data_root else None
            data = DataSpec(arguments.dataset, root, arguments.download)
        out = arguments.out.absolute() if arguments.out else None
        cpus, gpus = arguments.cpus_per_trial, arguments.gpus_per_trial
        limit = arguments.preflight_limit
        report = examine(connection, cpus=cpus, gpus=gpus, out=out, data=data, seconds=limit, plugins=plugins)
    finally:
        disconnect()
    print(f"{connection.sentence}\n\n{report.table()}\n")
    count, problems = len(report.nodes), list(report.problems)
    nodes = f"{count} node{'' if count == 1 else 's'}"
    if count < arguments.nodes:
        problems.append(f"the cluster has {nodes}, fewer than --nodes {arguments.nodes}")
    for line in problems:
        print(f"problem: {line}")
    for line in report.warnings:
        print(f"warning: {line}")
    if not problems:
        print(f"{nodes} can run studies")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
