"""Matching training trajectories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from mim4dd.data.operations import SIAMESE, check_augment
from mim4dd.errors import KnobError
from mim4dd.methods.catalogue import METHODS, Learnable, Term, UpdateStep
from mim4dd.methods.pixels import LearnedPixels
from mim4dd.methods.work import Work
from mim4dd.networks.layers import SMALLEST, Layers
from mim4dd.networks.passes import BATCH_NORM_IMAGES, WITHOUT_GRADIENTS, Passes, images_at_once, parts, settling
from mim4dd.pulse import beat
from mim4dd.registry import knob
from mim4dd.train import SAMPLINGS

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from mim4dd.methods.preparations import Experts
    from mim4dd.methods.task import DistillationTask
    from mim4dd.networks.stacked import Params


@dataclass(frozen=True)
class Schedule:
    """Settings that follow the images per class unless they are set.

    steps: of the student; ahead: expert epochs from its start to its target; latest: starts are drawn below this epoch;
    lr, lr_rate: learning rates of the pixels and of the student's rate; rate: the student's first learning rate.
    """

    steps: int
    ahead: int
    latest: int
    lr: float
    lr_rate: float
    rate: float


SCHEDULES = {
    1: Schedule(50, 2, 2, 100, 1e-7, 0.01),
    10: Schedule(30, 2, 20, 100, 1e-5, 0.001),
    50: Schedule(30, 2, 40, 1000, 1e-5, 0.001),
}


@METHODS.add("mtt")
@dataclass(frozen=True, kw_only=True)
class MTT(LearnedPixels):
    """Matches students, trained on the synthetic images, to the trajectories of experts, trained on the real ones.

    loss = |theta_N - theta_target|^2 / |theta_start - theta_target|^2, start and target on an expert's trajectory,
    theta_N the student after N plain SGD steps from the start, whose learning rate is learned with the pixels.
    The graph of all N steps is kept: memory grows with steps x images per step x the network's maps.
    Source: Cazenavette et al. 2022, "Dataset Distillation by Matching Training Trajectories" (arXiv 2203.11932), and
    its public code for the defaults; those that follow ipc are its settings for CIFAR-10.
    Differs: ZCA whitening is off unless standard=zca-pixels (there: on for CIFAR-10 at 1 and 10 images per class); it
    is fitted to the training split without its validation images, in float64 (there: to all, in float32); other ipc and
    data take the nearest listed setting; the last set counts (there: the best by test accuracy), and it is evaluated
    with the recipe's learning rate (there: the learned one). batch_real is for an added term, MTT itself draws no real
    batch.
    """

    label: ClassVar[str] = "MTT"

    iterations: int = knob(5000, low=1, high=100_000_000, search=(50, 5000), log=True, help="image updates")
    experts: int = knob(100, low=1, high=10_000, help="networks trained on the real images, once for all trials")
    expert_epochs: int = knob(50, low=1, high=1_000_000, help="of each expert, a snapshot after every one")
    lr_expert: float = knob(0.01, above=0, help="of the experts (SGD, no momentum)")
    batch_expert: int = knob(256, low=1, high=1_000_000, help="real images per step of an expert")
    expert_sampling: str = knob(
        "uniform",
        choices=SAMPLINGS,
        help="of an expert's images: each once an epoch, or all classes equally likely (balanced)",
        tacit=True,
    )
    steps: int = knob(0, low=0, high=1_000_000, search=(10, 50), help="of the student; 0 follows ipc (50, 30, 30)")
    ahead: int = knob(
        0, low=0, high=1_000_000, search=(1, 3), help="expert epochs from start to target; 0 follows ipc (2)"
    )
    latest: int = knob(0, low=0, high=1_000_000, help="starts are drawn below this epoch; 0 follows ipc (2, 20, 40)")
    batch_synthetic: int = knob(0, low=0, high=1_000_000, help="synthetic images per step of the student; 0 is all")
    batch_real: int = knob(
        256, low=1, high=1_000_000, help="real images per class for an added term; MTT alone draws none"
    )
    lr: float = knob(0.0, low=0, search=(10, 1000), log=True, help="of the pixels (SGD); 0 follows ipc (100, 1000)")
    lr_rate: float = knob(0.0, low=0, help="of the student's learning rate (SGD); 0 follows ipc (1e-7, 1e-5, 1e-5)")
    rate: float = knob(0.0, low=0, help="the student's first learning rate; 0 follows ipc (0.01, 0.001, 0.001)")
    augment: str = knob(SIAMESE, help="operations on the experts' and the student's batches, or none")
    through: str = knob("start", choices=("start", "end"), help="weights through which an added term sees both sides")

    def __post_init__(self) -> None:
        check_augment(self.augment)
        if self.ahead > self.expert_epochs:
            raise KnobError(f"mtt.ahead must be at most mtt.expert_epochs, got {self.ahead} and {self.expert_epochs}")

    def settings(self, ipc: int) -> Schedule:
        """The knobs, or where they are 0 what follows ipc, limited to the epochs that the experts have."""
        usual = SCHEDULES[min(SCHEDULES, key=lambda listed: max(listed / ipc, ipc / listed))]
        ahead = min(self.ahead or usual.ahead, self.expert_epochs)
        return Schedule(
            self.steps or usual.steps,
            ahead,
            min(self.latest or usual.latest, self.expert_epochs - ahead + 1),
            self.lr or usual.lr,
            self.lr_rate or usual.lr_rate,
            self.rate or usual.rate,
        )

    @property
    def preparation(self) -> Experts:
        """The experts, to be trained once."""
        from mim4dd.methods.preparations import Experts

        return Experts(
            self.experts, self.expert_epochs, self.lr_expert, self.batch_expert, self.augment, self.expert_sampling
        )

    def least_prepared(self) -> MTT:
        """The same with one expert of as many epochs as a segment spans."""
        ahead = self.ahead or min(schedule.ahead for schedule in SCHEDULES.values())
        return replace(self, experts=1, expert_epochs=ahead)

    def image_passes(self, classes: int, ipc: int, features: bool = False) -> float:
        return self.work(classes, ipc, features).image_passes

    def work(
        self, classes: int, ipc: int, features: bool = False, separate: bool = False, layers: Layers = SMALLEST
    ) -> Work:
        """(9 steps - 1) b image passes for a student that steps on b synthetic images, and what a term needs.

        A step goes forward (1) and back to the weights (2), then from there to the pixels and to the weights before it
        (6; the first step's are fixed: 5). A term passes the real batch forward (C B) and all synthetic images forward
        and back to the pixels (2 C ipc; `through=end`: to the student's weights too, 3 C ipc, and a separate term then
        goes back through all steps again).
        """
        steps, synthetic = self.settings(ipc).steps, classes * ipc
        batch = min(self.batch_synthetic or synthetic, synthetic)
        back = [Passes("second", batch), Passes("second of both", (steps - 1) * batch, steps - 1)]
        passes = [Passes(kind, steps * batch, steps) for kind in ("scores", "weights")] + back
        if features:
            real, end = classes * self.batch_real, self.through == "end"
            passes += settling(layers, 2 * BATCH_NORM_IMAGES * classes, 2)
            passes.append(Passes("blocks", real, parts(real, images_at_once(layers.largest, WITHOUT_GRADIENTS))))
            passes += [Passes("blocks", synthetic), Passes("both" if end else "pixels", synthetic)]
            passes += back if end and separate else []
        return Work(tuple(passes), networks=0)

    def learnable(self, task: DistillationTask) -> Learnable:
        import torch

        return {"rate": torch.tensor(self.settings(task.ipc).rate, device=task.device)}

    def optimizers(self, task: DistillationTask, learnable: Learnable) -> list[Optimizer]:
        import torch

        schedule = self.settings(task.ipc)
        return [
            self.pixel_optimizer(learnable["pixels"], schedule.lr),
            torch.optim.SGD([learnable["rate"]], lr=schedule.lr_rate, momentum=self.momentum),
        ]

    def update_steps(
        self, task: DistillationTask, learnable: Learnable, labels: Tensor, iteration: int, features: bool = False
    ) -> Iterator[UpdateStep]:
        import torch

        start, target = self._segment(task, iteration)
        student = self._trained(task, start, learnable, labels, iteration)
        apart = torch.stack([(student[name] - target[name]).square().sum() for name in target]).sum()
        whole = torch.stack([(start[name] - target[name]).square().sum() for name in target]).sum()
        update = UpdateStep({"mtt": Term(apart / whole)}, start, labels[:0], labels)
        update.probe = lambda: {"student_rate": learnable["rate"].item()}
        if features:
            self._add_features(task, update, learnable, target, student, iteration)
        yield update

    def _segment(self, task: DistillationTask, iteration: int) -> tuple[Params, Params]:
        """An expert's weights at a random start and some epochs later, [1, ...]."""
        import torch

        from mim4dd.seeding import generator

        schedule, arrays = self.settings(task.ipc), task.prepared(self.preparation).arrays
        rng = generator("expert", task.seed, iteration)
        expert, start = int(rng.integers(self.experts)), int(rng.integers(schedule.latest))
        epochs = (start, start + schedule.ahead)
        begin, end = (
            {name: torch.tensor(array[expert, epoch][None], device=task.device) for name, array in arrays.items()}
            for epoch in epochs
        )
        return begin, end

    def _trained(
        self, task: DistillationTask, start: Params, learnable: Learnable, labels: Tensor, iteration: int
    ) -> Params:
        """The student after its steps, as a function of the pixels and of its learning rate."""
        import numpy as np
        import torch
        import torch.nn.functional as F

        from mim4dd.data.augment import augment_images, draw_single
        from mim4dd.data.operations import operations
        from mim4dd.networks.module import draws_seeded
        from mim4dd.seeding import generator

        pixels, rate, network = learnable["pixels"], learnable["rate"], task.network
        names, rng = operations(self.augment, task.train.source), generator("student", task.seed, iteration)
        count = min(self.batch_synthetic or len(labels), len(labels))
        order: list[int] = []
        student = {name: tensor.clone().requires_grad_() for name, tensor in start.items()}
        for step in range(self.settings(task.ipc).steps):
            if len(order) < count:
                order = rng.permutation(len(labels)).tolist()
            rows = torch.tensor([order.pop() for _ in range(count)], device=pixels.device)
            batch = augment_images(pixels[rows], draw_single(names, count, rng), np.arange(count))
            with draws_seeded(network, pixels.device, "student dropout", task.seed, iteration, step):
                logits = network.logits(student, network.features(student, batch))[0]
            gradients = torch.autograd.grad(
                F.cross_entropy(logits, labels[rows]), list(student.values()), create_graph=True, materialize_grads=True
            )
            pairs = zip(student.items(), gradients, strict=True)
            student = {name: tensor - rate * gradient for (name, tensor), gradient in pairs}
            beat()
        return student

    def _add_features(
        self,
        task: DistillationTask,
        update: UpdateStep,
        learnable: Learnable,
        target: Params,
        student: Params,
        iteration: int,
    ) -> None:
        """Add both sides through the start's weights, or the real one through the target's, the other the student's."""
        from mim4dd.methods.batches import siamese_batch
        from mim4dd.networks.chunks import features_without_graph

        real, update.y_real, synthetic = siamese_batch(
            task, learnable["pixels"], update.y_synthetic, self.batch_real, self.augment, iteration
        )
        start = update.params
        of_real, of_synthetic = (start, start) if self.through == "start" else (target, student)
        of_real, of_synthetic = (task.settled(params, iteration) for params in (of_real, of_synthetic))
        update.real_features = [maps[0] for maps in features_without_graph(task.network, of_real, real)]
        update.synthetic_features = [maps[0] for maps in task.network.features(of_synthetic, synthetic)]
