"""Looks at every node of a cluster before a study trusts it: `python -m cluster.preflight --address auto`.

Prints what each node has, what would hurt, and what is only to be known. The exit status: 0, 1 when something would
hurt, 2 for bad input. Studies look by themselves before their first trial.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cluster.connect import Connection, connect, disconnect, resolve_address
from cluster.nodes import ABSENT, LIBRARIES, DataSpec, Node, probe
from mim4dd.errors import InputError

ANSWER_SECONDS = 30.0
CLOCK_SECONDS = 5.0
LITTLE_MEMORY = 2.0  # GiB for each trial at once; a worker that has imported torch holds 0.7


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
    try:
        # A node reads what it has; only the driver downloads.
        asked = replace(data, download=False) if data else None
        nodes = _probed([node for node in ray.nodes() if node["Alive"]], token, asked)
    finally:
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
            hurts.append(f"{who} {node.silent}")
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
    while waiting and (left := deadline - time.monotonic()) > 0:
        done, waiting = ray.wait(waiting, timeout=left)
        for ref in done:
            found[asked[ref]] = _answer(ref)
    for ref in waiting:
        ray.cancel(ref)
    return tuple(_placed(node, found.get(node["NodeID"])) for node in alive)


def _answer(ref: Any) -> Node:
    """What a node said, or why it could say nothing: a missing library, code that did not arrive, a lost worker."""
    import ray

    try:
        answer: Node = ray.get(ref)
    except ray.exceptions.RayError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return Node("", "", silent=f"could not run our code: {lines[-1][:200] if lines else type(error).__name__}")
    return replace(answer, clock=answer.clock - time.time())


def _placed(node: dict[str, Any], found: Node | None) -> Node:
    """A node's answer with what Ray knows of the node."""
    host, address, resources = node["NodeManagerHostname"], node["NodeManagerAddress"], node["Resources"]
    if found is None:
        return Node(host, address, silent=f"did not answer within {ANSWER_SECONDS:.0f} s")
    if found.silent:
        return replace(found, host=host, address=address)
    # What Ray found when it started knows a container's limit, what is free does not.
    limit = (resources.get("memory", 0.0) + resources.get("object_store_memory", 0.0)) / 2**30
    memory = min(found.memory, limit) if limit else found.memory
    return replace(
        found, address=address, cpus=resources.get("CPU", 0.0), gpus=resources.get("GPU", 0.0), memory=memory
    )


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m cluster.preflight", description=__doc__)
    parser.add_argument("--address", help="local, auto or HOST:PORT (default: $RAY_ADDRESS, else local)")
    parser.add_argument("--dataset", help="also compare this data set on every node")
    parser.add_argument("--data-root", type=Path, help="folder of the named data sets (default: $MIM4DD_DATA)")
    parser.add_argument("--download", action="store_true", help="fetch it to the driver if it is not there")
    parser.add_argument("--out", type=Path, help="also look whether this study folder can be written and is shared")
    parser.add_argument("--nodes", type=int, default=1, help="how many there must be at least (default: 1)")
    parser.add_argument("--cpus-per-trial", type=float, default=1.0, help="as for studies (default: 1)")
    parser.add_argument("--gpus-per-trial", type=float, default=0.0, help="as for studies (default: 0)")
    given = parser.parse_args(words)
    try:
        connection = connect(resolve_address(given.address))
        try:
            data = None
            if given.dataset:
                root = given.data_root.absolute() if given.data_root else None
                data = DataSpec(given.dataset, root, given.download)
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
        print(f"{len(found.nodes)} node{'' if len(found.nodes) == 1 else 's'} can run studies")
    return 1 if hurts else 0


if __name__ == "__main__":
    sys.exit(main())
