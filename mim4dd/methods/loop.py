"""The loop that every method runs in: image updates, what is logged, what a checkpoint holds."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mim4dd.methods.catalogue import Match, Method
from mim4dd.methods.problem import Problem
from mim4dd.networks import Network
from mim4dd.protocol import PROTOCOL
from mim4dd.records import ImageData, Synthetic
from mim4dd.registry import flatten, name_of

REPORTS = 25


class Distillation:
    """A run of a method that can stop after any iteration, be saved, and go on to the same bits.

    `history` holds about 25 records: iteration, each term's loss (`loss/dm`) and the norm of its gradient on the pixels
    (`gradient_norm/dm`), before weighting. `diverged_at` is the first iteration whose gradient was not finite, or -1;
    the run then stops at the next report.
    """

    def __init__(self, problem: Problem, method: Method) -> None:
        self.problem, self.method = problem, method
        pixels, self.labels = method.initial(problem)
        self.learnable = {"pixels": pixels.clone(), **method.learnable(problem)}
        for tensor in self.learnable.values():
            tensor.requires_grad_()
        self.optimizers = method.optimizers(self.learnable)
        self.iteration = 0
        self.history: list[dict[str, float]] = []
        self._diverged = torch.full((), torch.inf, device=problem.device)

    @property
    def diverged_at(self) -> int:
        return int(self._diverged) if torch.isfinite(self._diverged) else -1

    @property
    def finished(self) -> bool:
        return self.iteration >= self.method.iterations or self.diverged_at >= 0

    @property
    def every(self) -> int:
        """Iterations between two reports."""
        return max(1, self.method.iterations // REPORTS)

    def advance(self, until: int) -> None:
        """Iterate up to `until` (or the method's end, or divergence)."""
        until = min(until, self.method.iterations)
        while self.iteration < until:
            report = self.iteration % self.every == 0 or self.iteration == self.method.iterations - 1
            if report and self.diverged_at >= 0:
                return
            for match in self.method.matches(self.problem, self.learnable, self.labels, self.iteration):
                if report:
                    self._log(match)
                    report = False
                self._update(match)
            self.iteration += 1

    def _update(self, match: Match) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        plain = [term.weight * term.loss for term in match.terms.values() if not term.balanced]
        torch.stack(plain).sum().backward(retain_graph=len(plain) < len(match.terms))
        pixels = self.learnable["pixels"]
        assert pixels.grad is not None
        size = pixels.grad.norm()
        for term in (term for term in match.terms.values() if term.balanced):
            names = list(self.learnable)
            gradients = torch.autograd.grad(term.loss, [self.learnable[n] for n in names], allow_unused=True)
            for name, gradient in zip(names, gradients, strict=True):
                if gradient is None:
                    continue
                held = self.learnable[name]
                # Only the pixels are balanced: a head that is trained by this term alone keeps its own gradient.
                scale = term.weight * size / gradient.norm().clamp(min=1e-12) if name == "pixels" else 1.0
                held.grad = scale * gradient if held.grad is None else held.grad + scale * gradient
        finite = torch.isfinite(pixels.grad.sum())
        self._diverged = torch.where(finite, self._diverged, self._diverged.clamp(max=self.iteration))
        for optimizer in self.optimizers:
            optimizer.step()

    def _log(self, match: Match) -> None:
        record = {"iteration": float(self.iteration)}
        for name, term in match.terms.items():
            (gradient,) = torch.autograd.grad(term.loss, self.learnable["pixels"], retain_graph=True)
            record |= {f"loss/{name}": term.loss.item(), f"gradient_norm/{name}": gradient.norm().item()}
        self.history.append(record)

    def state_dict(self) -> dict[str, Any]:
        """Everything that a later run needs to go on to the same bits: tensors, numbers and lists of them."""
        return {
            "iteration": self.iteration,
            "learnable": {name: tensor.detach().clone() for name, tensor in self.learnable.items()},
            "optimizers": [deepcopy(optimizer.state_dict()) for optimizer in self.optimizers],
            "history": list(self.history),
            "diverged": self._diverged.clone(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned; the problem and method must be the same."""
        with torch.no_grad():
            for name, tensor in self.learnable.items():
                tensor.copy_(state["learnable"][name])
        for optimizer, held in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(deepcopy(held))
        self.iteration, self.history = state["iteration"], list(state["history"])
        self._diverged = state["diverged"].to(self._diverged)

    def synthetic(self) -> Synthetic:
        """The set as it is now."""
        mean, std = self.problem.statistics
        return Synthetic(
            images=to_array(self.learnable["pixels"]),
            labels=to_array(self.labels).astype(np.int64),
            classes=self.problem.train.classes,
            mean=mean,
            std=std,
            config={
                "source": self.problem.train.source,
                "ipc": self.problem.ipc,
                "seed": self.problem.seed,
                **flatten(self.method, "method"),
                **flatten(self.problem.network, "network"),
            },
            protocol=PROTOCOL,
        )


def to_array(tensor: Tensor) -> Any:
    """A tensor as a numpy array."""
    return tensor.detach().cpu().numpy()


def distill(
    train: ImageData, *, method: Method, network: Network, ipc: int = 1, seed: int = 0, device: str = "cpu"
) -> Synthetic:
    """Distil a training split into `ipc` images per class.

    Raises: DataError when a class is smaller than ipc; FloatingPointError when the run diverged.
    """
    run = Distillation(Problem(train, network, ipc, seed, torch.device(device)), method)
    run.advance(method.iterations)
    if run.diverged_at >= 0:
        raise FloatingPointError(
            f"{name_of(method)} diverged: the pixels' gradient was not finite at iteration {run.diverged_at}"
        )
    return run.synthetic()
