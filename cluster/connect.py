"""Join a Ray cluster, or start one on this machine; errors are one line."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster.authentication import authenticate, refusal, restore
from cluster.packages import package_folders
from mim4dd.errors import InputError

if TYPE_CHECKING:
    import psutil

ADDRESS = "RAY_ADDRESS"
# How often a local cluster is started: on a busy machine Ray gives up after a fixed 30 s.
STARTS = 2
SLOW_START = "timed out during startup"
# The environment of every worker, on the nodes of a cluster too; a value that the user has set is kept.
WORKERS = {
    # Idle OpenMP threads that spin take the cores from the other trials.
    "OMP_WAIT_POLICY": "passive",
    # Tune gives each trial a thread of its own. Where glibc has fewer arenas (8 a core) than Ray has threads, each new
    # thread allocates in the next of them: what one trial frees, later ones do not reuse.
    "MALLOC_ARENA_MAX": "1",
}
# The environment of this process and of those that Ray starts.
ENVIRONMENT = {
    **WORKERS,
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DEDUP_LOGS": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # The rows are a study's record: Tune's snapshots of itself only cost. The study's driver handles Ctrl-C.
    "TUNE_GLOBAL_CHECKPOINT_S": "100000000",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    # Ray's own retries of an unreachable head last over ten minutes.
    "RAY_NUM_REDIS_GET_RETRIES": "1",
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
        """Whether a node has as many CPUs and GPUs as one trial requests."""
        return any(node[0] >= cpus and node[1] >= gpus for node in self.node_resources)

    @property
    def sentence(self) -> str:
        where = "on this machine" if self.address == "local" else f"at {self.address}"
        nodes = f"{self.nodes} node" + ("s" if self.nodes > 1 else "")
        return f"Ray {where}: {nodes}, {self.cpus:g} CPUs, {self.gpus:g} GPUs"


def resolve_address(address: str | None) -> str:
    """The address to connect to: the flag, else RAY_ADDRESS, else `local`.

    Raises: InputError when it is none of local, auto and HOST:PORT.
    """
    source = "--address" if address else ADDRESS
    resolved = address or os.environ.get(ADDRESS) or "local"
    if resolved.startswith("ray://"):
        raise InputError(f"{source} must be the HOST:PORT of `ray start --head`, not a Ray Client's, got {resolved!r}")
    host, _, port = resolved.rpartition(":")
    known = host and re.fullmatch("[0-9]{1,5}", port) and re.fullmatch(r"[\w.:\-\[\]]+", host)
    if resolved not in ("local", "auto") and not (known and 0 < int(port) < 2**16):
        raise InputError(f"{source} must be local, auto or HOST:PORT, got {resolved!r}")
    return resolved


def connect(address: str) -> Connection:
    """Start a local cluster (`local`) or join a running one (`auto`, `HOST:PORT`), shipping the code to its nodes.

    Raises: InputError with one line when there is none, or it refuses this process.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    authenticate(address)
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    with _captured_stderr() as read_stderr:
        try:
            if address == "local":
                _start_here(quiet)
            else:
                with _empty_folder():
                    ray.init(address=_listening(address), runtime_env=_shipped_code(), **quiet)
        except InputError:
            ray.shutdown()
            raise
        except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError, OSError) as error:
            ray.shutdown()
            raise InputError(_explain(address, f"{error} {read_stderr()}")) from error
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    nodes = tuple((node.get("CPU", 0.0), node.get("GPU", 0.0)) for node in alive)
    return Connection(address, len(nodes), sum(n[0] for n in nodes), sum(n[1] for n in nodes), nodes)


def disconnect() -> None:
    """Leave the cluster; a local one ends with it."""
    import ray

    ray.shutdown()
    restore()


def _start_here(quiet: dict[str, Any]) -> None:
    """Start a local cluster, once more if this machine is too busy for the first.

    Raises: InputError when it is too busy twice.
    """
    import psutil
    import ray
    from ray.job_config import JobConfig

    others = set(psutil.Process().children(recursive=True))
    for _ in range(STARTS):
        # Workers look for modules where this process does: Ray would put the working folder first, whatever it holds.
        paths = [path for path in reversed(sys.path) if os.path.isdir(path)]
        job = JobConfig(_client_job=True, _py_driver_sys_path=paths)
        try:
            ray.init(address="local", include_dashboard=False, job_config=job, **quiet)
            return
        except Exception as error:
            if SLOW_START not in str(error):  # which Ray raises as a bare Exception
                raise
            ray.shutdown()
            _end(set(psutil.Process().children(recursive=True)) - others)
    raise InputError(
        f"Ray did not start on this machine within 30 s, {STARTS} times: it is too busy or short of memory; end other "
        "programs, then run the same command again"
    )


def _end(processes: set[psutil.Process]) -> None:
    """Kill what a start that failed has left."""
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@contextlib.contextmanager
def _empty_folder() -> Iterator[None]:
    """Work in an empty folder: Ray has workers look for modules in this one, before those that it ships."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def _listening(address: str) -> str:
    """Return HOST:PORT in Ray's form after checking that Ray answers there: Ray's own attempts last 41 seconds.

    Raises: InputError when nothing answers, or something else than Ray; ConnectionError when `auto` finds none.
    """
    from ray._private import services

    canonical = services.canonicalize_bootstrap_address(address)
    if canonical is None:
        raise InputError(f"--address auto needs a running cluster, {ADDRESS} is '{os.environ.get(ADDRESS)}'")
    host, _, port = canonical.rpartition(":")
    where = canonical if address in ("auto", canonical) else f"{address} (for Ray {canonical})"
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=3) as peer:
            speaks = os.environ.get("RAY_USE_TLS") == "1" or _speaks_grpc(peer)
    except (OSError, OverflowError) as error:
        raise InputError(f"no Ray cluster answers at {where}: {error}; start one with `ray start --head`") from error
    if not speaks:
        raise InputError(f"the server at {where} is not a Ray cluster; the port must be that of `ray start --head`")
    return canonical


def _speaks_grpc(peer: socket.socket) -> bool:
    """Whether the other end answers HTTP/2's greeting and empty settings with settings of its own."""
    with contextlib.suppress(OSError):
        peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
        return peer.recv(9)[3:4] == b"\x04"
    return False


def _shipped_code() -> dict[str, Any]:
    """The runtime environment that sends our packages to the nodes: these need the dependencies, not the checkout."""
    modules = [str(path) for path in package_folders()]
    return {"py_modules": modules, "env_vars": {name: os.environ[name] for name in WORKERS}}


@contextlib.contextmanager
def _captured_stderr() -> Iterator[Callable[[], str]]:
    """Capture the stderr of Ray's native code, which writes the reason of a refusal nowhere else."""
    with tempfile.TemporaryFile() as file:
        before = os.dup(2)
        os.dup2(file.fileno(), 2)

        def read() -> str:
            file.seek(0)
            return file.read().decode(errors="replace")

        try:
            yield read
        finally:
            os.dup2(before, 2)
            os.close(before)


def _explain(address: str, output: str) -> str:
    text = " ".join(output.split())
    versions = re.findall(r"Ray: (\S+) Python: (\S+)", text)
    if "Version mismatch" in text and len(versions) == 2:
        there, here = (f"Ray {ray} on Python {python}" for ray, python in versions)
        return f"the cluster at {address} runs {there}, this process {here}; they must be the same"
    if "Could not find any running" in text:
        return f"no Ray cluster runs on this machine for the address '{address}'; start one with `ray start --head`"
    if "uthentication token" in text or "AuthToken" in text:
        return f"the Ray cluster at {address} refused this process: {refusal()}"
    if "No node info" in text or "node IP" in text:
        return (
            f"the driver must run on a node of the cluster at {address}; `ray start --address={address}` makes this one"
        )
    return f"Ray {'on this machine' if address == 'local' else f'at {address}'} could not be used: {text[:300]}"
