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
        for other in [name for name, (_, held) in self.entries.items() if held and name != key]:
            if sum(held for _, held in self.entries.values()) <= MAX_BYTES:
                break
            del self.entries[other]
        return self.entries[key][0]

    def held(self, key: str) -> list[Any]:
        """The reference, in a list, to what was asked for under this key; empty if nothing was."""
        return self.entries[key][0] if key in self.entries else []

    def forget(self, key: str) -> None:
        """What was asked for under this key could not be made: who asks next has it made again."""
        self.entries.pop(key, None)

    def _start_making(self, make: Callable[..., Any], arguments: tuple[Any, ...], node: str, file: str) -> Any:
        path, driver_node = self.out / file, ray.get_runtime_context().get_node_id()
        if file and path.is_file():
            return task(read_or_make, driver_node).remote(path, make, arguments)
        reference = task(make, node).remote(*arguments)
        if file:
            task(store, driver_node).remote(path, reference)
        return reference


def task(work: Callable[..., Any], node: str) -> Any:
    """A function as a Ray task, on that node if possible; it reserves no CPU, since the trial that waits has one."""
    strategy = NodeAffinitySchedulingStrategy(node, soft=True)
    remote: Any = ray.remote(work)
    return remote.options(num_cpus=0, scheduling_strategy=strategy)


def store(path: Path, content: bytes) -> None:
    """Save content that is expensive to make; a full disk is ignored here, since writing rows reports it."""
    with contextlib.suppress(OSError):
        write_signed(path, content)


def read_or_make(path: Path, make: Callable[..., bytes], arguments: tuple[Any, ...]) -> bytes:
    """The content that `store` saved; if the file is damaged, it is made and saved again."""
    content, _ = read_signed(path)
    if content is not None:
        return content
    # Ray resolves only references that are arguments themselves, not those inside a tuple.
    resolved = [ray.get(argument) if isinstance(argument, ray.ObjectRef) else argument for argument in arguments]
    content = make(*resolved)
    store(path, content)
    return content


def start_cache(out: Path) -> Any:
    """Start the cache of a study on this machine's node; OUT must exist."""
    this_node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor: Any = ray.remote(InputCache)
    # After a restart the cache is empty; inputs are then read or made again.
    options = actor.options(num_cpus=0, scheduling_strategy=this_node, max_restarts=-1, max_task_retries=-1)
    return options.remote(str(out))
