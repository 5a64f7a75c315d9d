"""A method on a problem, ready to be measured: its operations by formula, and its memory in a fresh process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mim4dd.registry import unflatten
from studies.engine.problems import Problem

if TYPE_CHECKING:
    from mim4dd.methods import Method
    from mim4dd.methods.loop import Distillation
    from mim4dd.methods.task import DistillationTask, Preparation, Prepared
    from mim4dd.networks import Network
    from mim4dd.records import ImageData
    from mim4dd.train import Recipe, Training

# The iterations of a measured run: so many that none that is timed is a report, after the first.
ITERATIONS = 1_000_000


@dataclass(eq=False)
class Workload:
    """A method on a problem, ready to be measured: in this process, or in a fresh one for its memory.

    prepared: what the method has prepared once it was measured, so that the fresh process need not.
    """

    config: dict[str, Any]
    problem: Problem
    data: ImageData
    device: str
    prepared: Prepared | None = None

    @property
    def method(self) -> Method:
        from mim4dd.methods import METHODS

        return unflatten(METHODS, self.config, "method")

    @property
    def network(self) -> Network:
        from mim4dd.networks import NETWORKS

        return unflatten(NETWORKS, self.config, "network")

    @property
    def recipe(self) -> Recipe:
        from mim4dd.train import RECIPES

        recipe: Recipe = unflatten(RECIPES, self.config, "evaluation")
        return recipe

    def task(self, prepare: Callable[[Preparation, DistillationTask], Prepared]) -> DistillationTask:
        import torch

        from mim4dd.methods.catalogue import standard_of
        from mim4dd.methods.task import DistillationTask

        ipc, seed, standard = int(self.config["ipc"]), int(self.config["seed"]), standard_of(self.method)
        on, tail = torch.device(self.device), str(self.config.get("tail", "repeat"))
        return DistillationTask(self.data, self.network, ipc, seed, on, tail, prepare, standard)

    def distillation(self, task: DistillationTask, method: Method) -> Distillation:
        """A run with as little preparation as its iterations need, which cost no less for that."""
        from mim4dd.methods.catalogue import least_prepared, with_iterations
        from mim4dd.methods.loop import Distillation

        method = least_prepared(method)
        return Distillation(task, with_iterations(method, ITERATIONS) if method.iterations else method)

    @property
    def base(self) -> Method | None:
        """The method that the trial's own adds a term to; None where it adds none."""
        from mim4dd.methods.catalogue import wrapped

        return wrapped(self.method) if getattr(self.method, "weight", 0.0) else None

    def training(self, run: Distillation) -> Training:
        """The training of the networks that evaluate the run's set."""
        from mim4dd.evaluation import training_on

        seed = int(self.config["seed"])
        return training_on(run.synthetic(), self.network, self.recipe, seed=seed, device=self.device)


def operations(workload: Workload) -> dict[str, float]:
    """The operations of each stage by formula: of an iteration, of it heads and critic, of what is prepared, and of the
    networks that evaluate the set.

    Units: FLOPs.
    """
    from mim4dd.complexity import iteration_operations, preparation_operations, training_operations

    method, network, problem, ipc = workload.method, workload.network, workload.problem, int(workload.config["ipc"])
    iteration = iteration_operations(method, network, problem.shape, problem.classes, ipc)
    preparation = preparation_operations(method, network, problem.shape, problem.classes, problem.whole)
    training = training_operations(workload.recipe, network, problem.shape, problem.classes, problem.classes * ipc)
    return {
        "iteration_flops": float(iteration.flops),
        "heads_flops": float(2 * iteration.heads),
        "critic_flops": float(2 * iteration.critic),
        "preparation_flops": float(preparation.flops),
        "training_flops": float(training.flops),
    }


def memory_of(workload: Workload) -> dict[str, float]:
    """The peak memory of an iteration, or of an epoch of evaluating networks, above what its process holds before.

    Runs in a process that does nothing else. The first repetition, which loads kernels, is not counted.
    Units: bytes.
    """
    import torch

    from mim4dd.cost import Meter
    from mim4dd.methods.task import prepare_here

    made = workload.prepared
    prepare = prepare_here if made is None else lambda preparation, task: made
    torch.set_num_threads(1)  # each thread has buffers of its own
    run = workload.distillation(workload.task(prepare), workload.method)
    if workload.method.iterations:
        run.advance(1)
        meter = Meter(workload.device)
        idle = meter.peak_bytes
        run.advance(2)
        return {"peak_bytes": meter.peak_bytes - idle, "idle_bytes": idle}
    training = workload.training(run)
    training.epochs = ITERATIONS
    training.advance(1)
    meter = Meter(workload.device)
    idle = meter.peak_bytes
    training.advance(2)
    return {"training_peak_bytes": meter.peak_bytes - idle, "idle_bytes": idle}
