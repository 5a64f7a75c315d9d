"""The cache of inputs that trials share: an actor that has each made once and returns references to it.

Perturbed training data are in the object store only; experts and trained networks, which are expensive to make, are
also saved in the study folder and outlive the driver. The reference network is saved by the driver.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from mim4dd.durable import read_signed, write_signed

# The limit for inputs kept for later trials; the object store keeps those in use as long as a trial refers to them.
MAX_BYTES = 2 << 30


class InputCache:
    """Shared inputs by their content hash; above MAX_BYTES the least recently used are dropped."""

    def __init__(self, out: str) -> None:
        self.out = Path(out)
        self.entries: OrderedDict[str, tuple[list[Any], int]] = OrderedDict()

    def get(
        self, key: str, size: int, make: Callable[..., Any], arguments: tuple[Any, ...], node: str, file: str = ""
    ) -> list[Any]:
        """A reference, in a list, to the result of `make(*arguments)`, made once by a task, on that node if possible.

        key: a hash of the content; size: approximate bytes, 0 for what must be the same for all trials and is never
        dropped. file: the path below the study folder in which to save
        content that is expensive to make, "" for none; `make` must then return bytes.
        """
        if key not in self.entries:
            self.entries[key] = ([self._start_making(make, arguments, node, file)], size)
        self.entries.move_to_end(key)
        self._let_go()
        return self.entries[key][0]

    def weigh(self, key: str, size: int) -> None:
        """How many bytes the result has, now that it is made: the experts of a large network are many."""
        if key in self.entries:
            self.entries[key] = self.entries[key][0], size
            self._let_go()

    def held(self, key: str) -> list[Any]:
        """The reference, in a list, to what was asked for under this key; empty if nothing was."""
        return self.entries[key][0] if key in self.entries else []

    def forget(self, key: str) -> None:
        """What was asked for under this key could not be made: who asks next has it made again."""
        self.entries.pop(key, None)

    def _let_go(self) -> None:
        """Drop what was asked for longest ago, but never what was asked for last."""
        for other in [name for name, (_, size) in self.entries.items() if size][:-1]:
            if sum(size for _, size in self.entries.values()) <= MAX_BYTES:
                break
            del self.entries[other]

    def _start_making(self, make: Callable[..., Any], arguments: tuple[Any, ...], node: str, file: str) -> Any:
        if not file:
            return task(make, node).remote(*arguments)
        path, driver_node = self.out / file, ray.get_runtime_context().get_node_id()
        # Read where the file is, but made where the trial is, which may have the only GPU.
        found = task(read, driver_node).remote(path) if path.is_file() else None
        reference = task(given_or_made, node).remote(found, make, *arguments)
        task(store, driver_node).remote(path, reference)
        return reference


def task(work: Callable[..., Any], node: str) -> Any:
    """A function as a Ray task, on that node if possible; it reserves no CPU, since the trial that waits has one."""
    strategy = NodeAffinitySchedulingStrategy(node, soft=True)
    remote: Any = ray.remote(work)
    return remote.options(num_cpus=0, scheduling_strategy=strategy)


def store(path: Path, content: bytes) -> None:
    """Save content that is expensive to make, where no file has it already.

    A full disk is ignored here, since writing rows reports it.
    """
    with contextlib.suppress(OSError):
        if not path.exists():
            write_signed(path, content)


def read(path: Path) -> bytes | None:
    """The content that `store` saved; None for a damaged file, which is removed."""
    content, _ = read_signed(path)
    if content is None:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    return content


def given_or_made(content: bytes | None, make: Callable[..., bytes], *arguments: Any) -> bytes:
    """The content, made if there is none."""
    return make(*arguments) if content is None else content


def start_cache(out: Path) -> Any:
    """Start the cache of a study on this machine's node; OUT must exist."""
    this_node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor: Any = ray.remote(InputCache)
    # After a restart the cache is empty; inputs are then read or made again.
    options = actor.options(num_cpus=0, scheduling_strategy=this_node, max_restarts=-1, max_task_retries=-1)
    return options.remote(str(out))
