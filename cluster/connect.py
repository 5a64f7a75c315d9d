"""Joining a Ray cluster, or starting one on this machine, with errors that one line can hold."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mim4dd.errors import InputError

# What Ray, its workers and PyTorch's OpenMP read; a value that the user has set stands.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DEDUP_LOGS": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # The rows are a study's record: Tune's snapshots of itself only cost. Ctrl-C is heard by the study's driver.
    "TUNE_GLOBAL_CHECKPOINT_S": "100000000",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    # Ray's own retries of an unreachable head last over ten minutes.
    "RAY_NUM_REDIS_GET_RETRIES": "1",
    # Idle OpenMP threads that spin take the cores from the other trials.
    "OMP_WAIT_POLICY": "passive",
}


@dataclass(frozen=True)
class Connection:
    """A cluster that this process has joined."""

    address: str
    nodes: int
    cpus: float
    gpus: float
    node_resources: tuple[tuple[float, float], ...]

    def fits(self, cpus: float, gpus: float) -> bool:
        """Whether a node has as many CPUs and GPUs as one trial asks for."""
        return any(node[0] >= cpus and node[1] >= gpus for node in self.node_resources)

    @property
    def sentence(self) -> str:
        where = "on this machine" if self.address == "local" else f"at {self.address}"
        nodes = f"{self.nodes} node" + ("s" if self.nodes > 1 else "")
        return f"Ray {where}: {nodes}, {self.cpus:g} CPUs, {self.gpus:g} GPUs"


def resolve_address(address: str | None) -> str:
    """What a study was asked for: the flag, else RAY_ADDRESS, else `local`.

    Raises: InputError when it is none of local, auto and HOST:PORT.
    """
    found = address or os.environ.get("RAY_ADDRESS") or "local"
    host, _, port = found.rpartition(":")
    if found not in ("local", "auto") and not (host and port.isdigit()):
        raise InputError(f"--address must be local, auto or HOST:PORT, got '{found}'")
    return found


def connect(address: str) -> Connection:
    """Start a local cluster (`local`) or join a running one (`auto`, `HOST:PORT`), shipping the code to its nodes.

    Raises: InputError with one line when there is none, or it refuses this process.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if address not in ("local", "auto"):
        _require_listener(address)
    _authenticate(address)
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    with _native_words() as said:
        try:
            if address == "local":
                ray.init(address="local", include_dashboard=False, **quiet)
            else:
                ray.init(address=address, runtime_env=_shipped_code(), **quiet)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise InputError(_explain(address, f"{error} {said()}")) from error
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    nodes = tuple((node.get("CPU", 0.0), node.get("GPU", 0.0)) for node in alive)
    return Connection(address, len(nodes), sum(n[0] for n in nodes), sum(n[1] for n in nodes), nodes)


def disconnect() -> None:
    """Leave the cluster; a local one ends with it."""
    import ray

    ray.shutdown()


def _authenticate(address: str) -> None:
    """Choose Ray's authentication before Ray is imported, where the user has not.

    A cluster of one's own listens on the loopback alone and has a token that only this process and its children know.
    A token that is there is shown to a running cluster; one without authentication takes it too.
    """
    if address == "local":
        # Ray's name for a cluster of one host, whose node address is then 127.0.0.1.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    if "RAY_AUTH_MODE" in os.environ:
        return
    if address == "local":
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        os.environ["RAY_AUTH_MODE"] = "token"
    else:
        os.environ["RAY_AUTH_MODE"] = "token" if _token_is_there() else "disabled"


def _token_is_there() -> bool:
    path = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token"
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or Path(path).is_file()


def _require_listener(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
    except OSError as error:
        raise InputError(f"no Ray cluster answers at {address}: {error}; start one with `ray start --head`") from error


def _shipped_code() -> dict[str, Any]:
    """Our packages, sent to the nodes: they need the dependencies, not the checkout."""
    import cluster
    import mim4dd
    import perturbations
    import studies

    modules = [module.__path__[0] for module in (mim4dd, perturbations, studies, cluster)]
    return {"py_modules": modules, "env_vars": {"OMP_WAIT_POLICY": "passive"}}


@contextlib.contextmanager
def _native_words() -> Iterator[Callable[[], str]]:
    """Keep what Ray's native code writes to stderr off the terminal: why it was refused, it says nowhere else."""
    with tempfile.TemporaryFile() as kept:
        before = os.dup(2)
        os.dup2(kept.fileno(), 2)

        def said() -> str:
            kept.seek(0)
            return kept.read().decode(errors="replace")

        try:
            yield said
        finally:
            os.dup2(before, 2)
            os.close(before)


def _explain(address: str, said: str) -> str:
    text = " ".join(said.split())
    if "ersion" in text and "mismatch" in text.lower():
        return f"the Ray cluster at {address} runs other versions: {text[:300]}"
    if address == "auto" and "Could not find any running" in text:
        return "no Ray cluster runs on this machine for --address auto; start one with `ray start --head`"
    if "token" in text.lower():
        held = os.environ.get("RAY_AUTH_MODE") == "token" and _token_is_there()
        return (
            f"the Ray cluster at {address} does not let this process in: "
            + ("its authentication token is another one" if held else "it wants an authentication token")
            + "; set RAY_AUTH_TOKEN_PATH to the file that its head node uses (`ray get-auth-token` prints the token)"
        )
    return f"Ray at {address} could not be used: {text[:300]}"
