"""Methods that learn nothing: sets chosen from the real images, the anchors of every table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mim4dd.methods.catalogue import METHODS, Learnable, Match

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from mim4dd.methods.problem import Problem


class Selection:
    """What all selections share: no iterations, nothing to learn."""

    @property
    def iterations(self) -> int:
        return 0

    def learnable(self, problem: Problem) -> Learnable:
        return {}

    def optimizers(self, learnable: Learnable) -> list[Optimizer]:
        return []

    def matches(
        self, problem: Problem, learnable: Learnable, labels: Tensor, iteration: int, features: bool = False
    ) -> Iterator[Match]:
        return iter(())


@METHODS.add("random")
@dataclass(frozen=True, kw_only=True)
class RandomReal(Selection):
    """`ipc` random real images of each class: the same that a method with the same seed starts from.

    Source: the "Random" row of the field's tables.
    """

    def initial(self, problem: Problem) -> tuple[Tensor, Tensor]:

        return problem.take(problem.random_rows()), problem.labels()


@METHODS.add("full")
@dataclass(frozen=True, kw_only=True)
class FullData(Selection):
    """The whole training split: the ceiling under the same recipe.

    Source: the "Whole" row of the field's tables.
    """

    def initial(self, problem: Problem) -> tuple[Tensor, Tensor]:
        import torch

        return problem.images, torch.tensor(problem.train.labels, device=problem.device)
