"""A real Ray cluster of several raylets on this machine, as `ray start` makes it, whose nodes do not have the checkout.

Each node has a loopback address of its own; in namespaces, a network namespace of its own, joined by a veth pair.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

HOUSE = Path(__file__).resolve().parents[2]
PACKAGES = ("mim4dd", "perturbations", "studies", "cluster", "tests")
RAY = str(Path(sys.executable).with_name("ray"))


def can_hide() -> bool:
    """Whether a process may have mounts of its own here."""
    return can(["unshare", "-m", "true"])


def can_divide() -> bool:
    """Whether network namespaces may be made here."""
    name = f"mim4dd-try-{os.getpid()}"
    return can(["ip", "netns", "add", name]) and can(["ip", "netns", "del", name])


def can(words: list[str]) -> bool:
    """Whether a command exists and ends well."""
    if shutil.which(words[0]) is None:
        return False
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


class LocalCluster:
    """A head with one CPU; `add_node` adds others, `kill_node` takes one away as a power cut would.

    env: what a driver needs to be let in, nothing where the cluster has no token.
    """

    def __init__(self, *, cpus: int = 1, namespaces: bool = False, token: bool = True) -> None:
        # Short: sockets lie below it, and their paths may have 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="mr", dir="/tmp"))
        self.nodes: list[subprocess.Popen[bytes]] = []
        self.spaces: list[str] = []
        self.env = {"RAY_USAGE_STATS_ENABLED": "0"} | (self._token() if token else {"RAY_AUTH_MODE": "disabled"})
        try:
            if namespaces:
                self._divide()
            with socket.create_server(("", 0)) as held:
                self.port = held.getsockname()[1]
            words = ["--head", f"--port={self.port}", "--include-dashboard=false", f"--temp-dir={self.folder}/h"]
            self._start([*words, f"--num-cpus={cpus}"])
            self.until_nodes(1)
        except BaseException:
            self.stop()
            raise

    def _token(self) -> dict[str, str]:
        token = self.folder / "token"
        token.touch(0o600)
        token.write_text(secrets.token_hex(32))
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}

    @property
    def address(self) -> str:
        return f"{self.host(0)}:{self.port}"

    def host(self, node: int) -> str:
        """A node's address. Ray takes 127.0.0.1 for the machine's own one, so the first is 127.0.0.2."""
        return f"10.77.0.{node + 1}" if self.spaces else f"127.0.0.{node + 2}"

    def prefix(self, node: int = 0) -> list[str]:
        """What runs a command where a node is."""
        return ["ip", "netns", "exec", self.spaces[node]] if self.spaces else []

    def add_node(self, *, cpus: int = 1) -> int:
        """Another node; its number."""
        number = len(self.nodes)
        self._start([f"--address={self.address}", f"--num-cpus={cpus}"])
        self.until_nodes(number + 1)
        return number

    def kill_node(self, number: int) -> None:
        """SIGKILL everything that a node runs."""
        self._kill(self._family(number))
        self.nodes[number].wait()

    def _family(self, number: int) -> list[psutil.Process]:
        try:
            root = psutil.Process(self.nodes[number].pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    @staticmethod
    def _kill(processes: list[psutil.Process]) -> None:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def until_nodes(self, count: int, seconds: float = 60) -> None:
        """Wait until so many raylets listen for workers."""
        deadline = time.monotonic() + seconds
        while self._joined() < count:
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-3000:]
            time.sleep(0.3)

    def _joined(self) -> int:
        return (self.folder / "log").read_text().count("Ray runtime started")

    def _start(self, words: list[str]) -> None:
        number = len(self.nodes)
        asked = [RAY, "start", "--block", f"--node-ip-address={self.host(number)}", *words]
        if can_hide():
            # The packages are there for the driver alone: a node runs what the driver has sent.
            mounts = " && ".join(f"mount -t tmpfs none {HOUSE / package}" for package in PACKAGES)
            asked = ["unshare", "-m", "sh", "-c", f'{mounts} && exec "$@"', "sh", *asked]
        env = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "PYTHONPATH"))}
        with open(self.folder / "log", "ab") as log:
            self.nodes.append(
                subprocess.Popen(
                    [*self.prefix(number), *asked],
                    cwd=self.folder,
                    env=env | self.env,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def _divide(self) -> None:
        self.spaces = [f"mim4dd-{os.getpid()}-{k}" for k in range(2)]
        one, two = self.spaces
        for words in (
            *(f"netns add {space}" for space in self.spaces),
            f"link add veth1 netns {one} type veth peer name veth2 netns {two}",
            *(f"-n {space} addr add 10.77.0.{k}/24 dev veth{k}" for k, space in enumerate(self.spaces, 1)),
            *(f"-n {space} link set veth{k} up" for k, space in enumerate(self.spaces, 1)),
            *(f"-n {space} link set lo up" for space in self.spaces),
        ):
            subprocess.run(["ip", *words.split()], check=True)

    def stop(self) -> None:
        """End every node, and take the namespaces away, whatever happens."""
        families = [process for number in range(len(self.nodes)) for process in self._family(number)]
        try:
            for node in self.nodes:
                if node.poll() is None:
                    node.terminate()
            for node in self.nodes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    node.wait(15)
        finally:
            self._kill(families)
            for node in self.nodes:
                node.wait()
            for space in self.spaces:
                subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)
            shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def local_cluster(*, nodes: int = 2, namespaces: bool = False, token: bool = True) -> Iterator[LocalCluster]:
    """A cluster that ends with the block."""
    cluster = LocalCluster(namespaces=namespaces, token=token)
    try:
        for _ in range(nodes - 1):
            cluster.add_node()
        yield cluster
    finally:
        cluster.stop()
