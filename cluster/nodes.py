"""What a cluster's node reports of itself; `probe` runs on each."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cluster.packages import package_folders
from mim4dd.errors import InputError, UnknownNameError
from mim4dd.memory import free_memory
from mim4dd.plugins import Plugin, install

# Libraries of which another version changes results or breaks messages between processes.
LIBRARIES = ("ray", "torch", "numpy", "scipy", "safetensors", "Pillow")
ABSENT = "missing"


@dataclass(frozen=True)
class DataSpec:
    """A data set as a command line names it."""

    dataset: str
    root: Path | None = None
    download: bool = False


@dataclass(frozen=True)
class Node:
    """What a node reports of itself.

    versions: by library, "" for one that is missing; code: the digest of our packages that it runs; memory: free GiB;
    data: the digest of the data set as read there, "" when it was not requested, or ABSENT; shares: whether it sees the
    study folder; clock: seconds it is ahead of the driver; failure: why nothing else is known of it.
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
    failure: str = ""


def probe(token: Path | None, data: DataSpec | None, plugins: Sequence[Plugin] = ()) -> Node:
    """Examine this process's node, its clock in seconds since 1970; runs on the node."""
    try:
        install(plugins)
    except InputError as error:
        return Node(platform.node(), "", failure=f"cannot use {error}")
    return Node(
        host=platform.node(),
        address="",
        python=platform.python_version(),
        versions={name: _version(name) for name in LIBRARIES},
        code=code_digest(),
        memory=free_memory() / 2**30,
        processor=processor(),
        data=_data_digest(data) if data else "",
        shares=token is not None and token.exists() and os.access(token.parent, os.W_OK),
        clock=time.time(),
    )


def code_digest() -> str:
    """10 hex digits of the Python files of our packages as this process would import them."""
    digest = hashlib.sha256()
    for root in package_folders():
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{root.name}/{path.relative_to(root)}".encode() + path.read_bytes())
    return digest.hexdigest()[:10]


def processor() -> str:
    """The processor's model name, from the system."""
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
        return load(data.dataset, data_root=data.root, download=data.download).digest
    except UnknownNameError:
        raise
    except (InputError, OSError):
        return ABSENT
