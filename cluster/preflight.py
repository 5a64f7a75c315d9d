"""Looks at every node of a cluster before a study trusts it: `python -m cluster.preflight --address auto`.

Prints what each node has, what would hurt, and what is only to be known. The exit status: 0, 1 when something would
hurt, 2 for bad input. Studies look by themselves before their first trial.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cluster.connect import Connection, connect, disconnect, resolve_address
from mim4dd.errors import InputError

# Libraries whose other version moves a number or breaks what is sent between processes.
LIBRARIES = ("ray", "torch", "numpy", "scipy", "safetensors", "Pillow")
ABSENT = "not there"
ANSWER_SECONDS = 30.0
CLOCK_SECONDS = 5.0
LITTLE_MEMORY = 2.0  # GiB for each trial at once; a worker that has imported torch holds 0.7


@dataclass(frozen=True)
class DataSpec:
    """A data set as a command line names it."""

    dataset: str
    root: Path | None = None


@dataclass(frozen=True)
class Node:
    """What a node says of itself.

    versions: by library, "" for one that is missing; code: the digest of our packages as it runs them; memory: GiB that
    may be used; data: the digest of the data set as read there, "" when it was not asked for, or why it could not be
    read; shares: whether it sees the study folder; clock: seconds it is ahead of the driver; silent: it did not answer.
    """

    host: str
    address: str
    python: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    code: str = ""
    cpus: float = 0.0
    gpus: float = 0.0
    memory: float = 0.0
    processor: str = ""
    data: str = ""
    shares: bool = False
    clock: float = 0.0
    silent: bool = False


@dataclass(frozen=True)
class Examination:
    """What was found: the nodes, what would hurt a study, and what is only to be known."""

    nodes: tuple[Node, ...]
    hurts: tuple[str, ...]
    warnings: tuple[str, ...]

    def table(self) -> str:
        """One column a node, as text."""
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
) -> Examination:
    """Ask every node of the cluster that this process has joined, all at once."""
    import ray

    here = probe(None, data)
    token, trouble = _token(out)
    nodes = _probed([node for node in ray.nodes() if node["Alive"]], token, data)
    if token is not None:
        token.unlink(missing_ok=True)
    hurts, warnings = judge(here, nodes)
    if trouble:
        hurts.append(trouble)
    if here.data == ABSENT:
        hurts.append(f"the driver, which hands the data set to the nodes, does not have {data.dataset if data else ''}")
    if not connection.fits(cpus, gpus):
        hurts.append(
            f"a trial asks for {cpus:g} CPUs and {gpus:g} GPUs, no node has as many; all together have "
            f"{connection.cpus:g} and {connection.gpus:g}"
        )
    return Examination(nodes, tuple(hurts), tuple(warnings))


def judge(here: Node, nodes: Sequence[Node]) -> tuple[list[str], list[str]]:
    """What of the nodes would hurt a study whose driver is `here`, and what is to be known."""
    hurts: list[str] = []
    warnings: list[str] = []
    for node in nodes:
        who = f"node {node.host} ({node.address})"
        if node.silent:
            hurts.append(f"{who} did not answer within {ANSWER_SECONDS:.0f} s")
            continue
        if _minor(node.python) != _minor(here.python):
            hurts.append(f"{who} runs Python {node.python}, the driver {here.python}")
        for name in LIBRARIES:
            there, ours = node.versions.get(name, ""), here.versions.get(name, "")
            if there.partition("+")[0] != ours.partition("+")[0]:
                hurts.append(f"{who} has {f'{name} {there}' if there else f'no {name}'}, the driver {ours}")
        if node.code != here.code:
            hurts.append(f"{who} runs other code of ours ({node.code}) than the driver ({here.code})")
        if here.data and node.data not in (here.data, ABSENT):
            warnings.append(f"{who} has other images under the data set's name; it is handed the driver's")
        if abs(node.clock) > CLOCK_SECONDS:
            warnings.append(f"{who}: its clock is {node.clock:+.0f} s from the driver's, so times in MLflow are off")
        if node.memory < LITTLE_MEMORY * max(1.0, node.cpus):
            warnings.append(f"{who} has {node.memory:.1f} GiB for {node.cpus:g} CPUs; --max-concurrent spares it")
    kinds = sorted({node.processor for node in nodes if not node.silent})
    if len(kinds) > 1:
        warnings.append(f"rows repeat bit for bit on one kind of processor, here are {len(kinds)}: {', '.join(kinds)}")
    return hurts, warnings


def probe(token: Path | None, data: DataSpec | None) -> Node:
    """What this process has, its clock in seconds since 1970; runs on a node."""
    import psutil

    return Node(
        host=platform.node(),
        address="",
        python=platform.python_version(),
        versions={name: _version(name) for name in LIBRARIES},
        code=code_digest(),
        memory=psutil.virtual_memory().available / 2**30,
        processor=processor(),
        data=_data_digest(data) if data else "",
        shares=token is not None and token.exists() and os.access(token.parent, os.W_OK),
        clock=time.time(),
    )


def code_digest() -> str:
    """10 hex digits of the Python files of our packages as this process would import them."""
    import cluster
    import mim4dd
    import perturbations
    import studies

    digest = hashlib.sha256()
    for package in (mim4dd, perturbations, studies, cluster):
        root = Path(package.__path__[0])
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{root.name}/{path.relative_to(root)}".encode() + path.read_bytes())
    return digest.hexdigest()[:10]


def processor() -> str:
    """The processor's model as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _data_digest(data: DataSpec) -> str:
    from mim4dd.data import load

    try:
        return load(data.dataset, data_root=data.root).digest
    except InputError:
        return ABSENT


def _minor(python: str) -> str:
    return ".".join(python.split(".")[:2])


def _token(out: Path | None) -> tuple[Path | None, str]:
    """A small file in the study folder for nodes to look for; and why there can be none."""
    if out is None:
        return None, ""
    path = out / f".preflight-{os.getpid()}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        path.write_text("here\n")
    except OSError as error:
        return None, f"--out {out} cannot be written: {error.strerror}"
    return path, ""


def _probed(alive: Sequence[dict[str, Any]], token: Path | None, data: DataSpec | None) -> tuple[Node, ...]:
    """Every node's answer, in their order, all asked at once."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    work: Any = ray.remote(probe)
    asked = {}
    for node in alive:
        place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        asked[work.options(num_cpus=0, scheduling_strategy=place, max_retries=1).remote(token, data)] = node["NodeID"]
    found: dict[str, Node] = {}
    waiting, deadline = list(asked), time.monotonic() + ANSWER_SECONDS
    while waiting and time.monotonic() < deadline:
        done, waiting = ray.wait(waiting, timeout=deadline - time.monotonic())
        for ref in done:
            answer: Node = ray.get(ref)
            found[asked[ref]] = replace(answer, clock=answer.clock - time.time())
    return tuple(_placed(node, found.get(node["NodeID"])) for node in alive)


def _placed(node: dict[str, Any], found: Node | None) -> Node:
    """A node's answer with what Ray knows of the node."""
    address, resources = node["NodeManagerAddress"], node["Resources"]
    if found is None:
        return Node(node["NodeManagerHostname"], address, silent=True)
    return replace(found, address=address, cpus=resources.get("CPU", 0.0), gpus=resources.get("GPU", 0.0))


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m cluster.preflight", description=__doc__)
    parser.add_argument("--address", help="local, auto or HOST:PORT (default: $RAY_ADDRESS, else local)")
    parser.add_argument("--dataset", help="also compare this data set on every node")
    parser.add_argument("--data-root", type=Path, help="folder of the named data sets (default: $MIM4DD_DATA)")
    parser.add_argument("--out", type=Path, help="also look whether this study folder can be written and is shared")
    parser.add_argument("--nodes", type=int, default=1, help="how many there must be at least (default: 1)")
    parser.add_argument("--cpus-per-trial", type=float, default=1.0, help="as for studies (default: 1)")
    parser.add_argument("--gpus-per-trial", type=float, default=0.0, help="as for studies (default: 0)")
    given = parser.parse_args(words)
    try:
        connection = connect(resolve_address(given.address))
        try:
            data = DataSpec(given.dataset, given.data_root) if given.dataset else None
            out = given.out.absolute() if given.out else None
            found = examine(connection, cpus=given.cpus_per_trial, gpus=given.gpus_per_trial, out=out, data=data)
        finally:
            disconnect()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{connection.sentence}\n\n{found.table()}\n")
    hurts = list(found.hurts)
    if len(found.nodes) < given.nodes:
        hurts.append(f"{len(found.nodes)} nodes are there, {given.nodes} are wanted")
    for line in hurts:
        print(f"would hurt: {line}")
    for line in found.warnings:
        print(f"to know: {line}")
    if not hurts:
        print(f"{len(found.nodes)} node(s) can run studies")
    return 1 if hurts else 0


if __name__ == "__main__":
    sys.exit(main())
