"""What several trials need and one makes: an actor that hands out references, so that it is made once a study.

Perturbed training data live in the object store; experts and trained networks, which are dear to make, are kept in the
study folder too and outlive the driver.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from studies.engine.durable import read_signed, write_signed

# What is kept for trials to come; what is in use is held by its users.
MAX_BYTES = 2 << 30


class InputCache:
    """Shared inputs by their content hash; the least recently used are let go."""

    def __init__(self, out: str) -> None:
        self.out = Path(out)
        self.entries: OrderedDict[str, tuple[list[Any], int]] = OrderedDict()

    def get(
        self, key: str, size: int, make: Callable[..., Any], arguments: tuple[Any, ...], node: str, file: str = ""
    ) -> list[Any]:
        """A reference, in a list, to what `make(*arguments)` returns: made once, by a task on that node if it can be.

        key: the content hash of what is made; size: about its bytes. file: where, below the study folder, bytes are
        kept that are dear to make.
        """
        if key not in self.entries:
            self.entries[key] = ([self._made(make, arguments, node, file)], size)
        self.entries.move_to_end(key)
        while len(self.entries) > 1 and sum(bytes_ for _, bytes_ in self.entries.values()) > MAX_BYTES:
            self.entries.popitem(last=False)
        return self.entries[key][0]

    def _made(self, make: Callable[..., Any], arguments: tuple[Any, ...], node: str, file: str) -> Any:
        path, here = self.out / file, ray.get_runtime_context().get_node_id()
        if file and path.is_file():
            return task(read_or_make, here).remote(path, make, arguments)
        reference = task(make, node).remote(*arguments)
        if file:
            task(store, here).remote(path, reference)
        return reference


def task(work: Callable[..., Any], node: str) -> Any:
    """A function as a task on that node if it can be; who waits for it leaves its CPU free."""
    strategy = NodeAffinitySchedulingStrategy(node, soft=True)
    remote: Any = ray.remote(work)
    return remote.options(num_cpus=0, scheduling_strategy=strategy)


def store(path: Path, content: bytes) -> None:
    """Write down what was dear to make; a disk that takes no more is noticed by whoever writes rows to it."""
    with contextlib.suppress(OSError):
        write_signed(path, content)


def read_or_make(path: Path, make: Callable[..., bytes], arguments: tuple[Any, ...]) -> bytes:
    """What `store` has written, or the same made again where it was damaged."""
    content, _ = read_signed(path)
    if content is not None:
        return content
    # Given to a task at the top level, references would have been resolved.
    made = make(*(ray.get(one) if isinstance(one, ray.ObjectRef) else one for one in arguments))
    store(path, made)
    return made


def start_cache(out: Path) -> Any:
    """The cache of a study, on this machine's node; OUT must exist."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor: Any = ray.remote(InputCache)
    # Started again it is empty, and makes or reads what is asked for once more.
    return actor.options(num_cpus=0, scheduling_strategy=here, max_restarts=-1, max_task_retries=-1).remote(str(out))
