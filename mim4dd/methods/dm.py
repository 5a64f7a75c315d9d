"""Distribution matching."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mim4dd.data.operations import SIAMESE, check_augment
from mim4dd.methods.catalogue import METHODS, Learnable, Match, Term
from mim4dd.registry import knob

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from mim4dd.methods.problem import Problem


@METHODS.add("dm")
@dataclass(frozen=True, kw_only=True)
class DM:
    """Matches the mean embedding of each class under a fresh random network each iteration.

    Source: Zhao & Bilen 2023, "Dataset Condensation with Distribution Matching" (arXiv 2110.04181), and its public code
    for the defaults.
    Differs: a class with fewer real images than the batch repeats some (the public code takes a smaller batch, as
    does the tail policy `cap`); the classes share one forward pass.
    """

    iterations: int = knob(20_000, low=1, search=(100, 20_000), log=True, help="image updates")
    batch_real: int = knob(256, low=1, search=(16, 256), log=True, help="real images per class and iteration")
    lr: float = knob(1.0, above=0, search=(0.01, 10), log=True, help="of the pixels (SGD)")
    momentum: float = knob(0.5, low=0, high=0.999, help="of the pixels (SGD)")
    init: str = knob("real", choices=("real", "noise"), help="first images: random real ones, or Gaussian noise")
    augment: str = knob(SIAMESE, help="Siamese operations, or none")

    def __post_init__(self) -> None:
        check_augment(self.augment)

    def initial(self, problem: Problem) -> tuple[Tensor, Tensor]:
        return initial_images(problem, self.init), problem.labels()

    def learnable(self, problem: Problem) -> Learnable:
        return {}

    def optimizers(self, learnable: Learnable) -> list[Optimizer]:
        import torch

        return [torch.optim.SGD([learnable["pixels"]], lr=self.lr, momentum=self.momentum)]

    def matches(self, problem: Problem, learnable: Learnable, labels: Tensor, iteration: int) -> Iterator[Match]:
        import torch

        from mim4dd.data.augment import augment_images, draw_siamese
        from mim4dd.data.operations import operations
        from mim4dd.matching import mean_distance
        from mim4dd.networks.chunks import features_without_graph
        from mim4dd.seeding import generator

        params = problem.fresh_network(iteration)
        real, y_real = problem.real_batch(self.batch_real, iteration)
        names = operations(self.augment, problem.train.source)
        draw = draw_siamese(names, problem.classes, generator("siamese augmentation", problem.seed, iteration))
        with torch.no_grad():
            real = augment_images(real, draw, y_real.cpu().numpy())
        real_features = [maps[0] for maps in features_without_graph(problem.network, params, real)]
        synthetic = augment_images(learnable["pixels"], draw, labels.cpu().numpy())
        synthetic_features = [maps[0] for maps in problem.network.features(params, synthetic)]
        loss = mean_distance(
            real_features[-1].flatten(1), y_real, synthetic_features[-1].flatten(1), labels, problem.classes
        )
        yield Match({"dm": Term(loss)}, params, real, y_real, synthetic, labels, real_features, synthetic_features)


def initial_images(problem: Problem, init: str) -> Tensor:
    """First synthetic images, standardised: random real ones or unit Gaussian noise."""
    import torch

    from mim4dd.seeding import torch_generator

    if init == "real":
        return problem.take(problem.random_rows())
    shape = (len(problem.labels()), *problem.train.shape)
    return torch.randn(shape, generator=torch_generator("initial noise", problem.seed)).to(problem.device)
