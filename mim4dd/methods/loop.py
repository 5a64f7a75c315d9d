"""The loop that runs every method: image updates, logging, checkpoints."""

from __future__ import annotations

import time
import warnings
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mim4dd.errors import KnobError
from mim4dd.methods.catalogue import METHODS, Method, Term, UpdateStep, ipc_shares, standard_of
from mim4dd.methods.pixels import pixels_rate, set_rate, share_of_rate
from mim4dd.methods.task import DistillationTask
from mim4dd.networks import NETWORKS, Network
from mim4dd.protocol import RESULTS_VERSION
from mim4dd.pulse import beat
from mim4dd.records import ImageData, Synthetic
from mim4dd.registry import flatten, name_of
from mim4dd.resolving import chosen
from mim4dd.seeding import torch_generator

REPORTS = 25
CHECKED = ("loss", "pixels' gradient", "pixels")


class Distillation:
    """A run of a method that can stop after any iteration, be saved, and continue bit for bit.

    `history` holds about 25 records: iteration, each term's loss (`loss/dm`) and the norm of its gradient on the pixels
    (`gradient_norm/dm`), before weighting; for each added term, its weighted gradient's norm over the base's
    (`gradient_ratio/mim`) and the factor of its loss that this weighting amounts to (`effective_weight/mim`); and the
    method's own numbers. `diverged_at` is the first iteration at which a loss, a gradient or a pixel was not finite, or
    -1; the run then stops at the next report.
    """

    def __init__(self, task: DistillationTask, method: Method) -> None:
        if task.standard != standard_of(method):
            raise KnobError(f"the task's standard must be the method's, {standard_of(method)}, got {task.standard}")
        self.task, self.method = task, method
        pixels, self.labels = method.initial(task)
        self.learnable = {"pixels": pixels.clone(), **method.learnable(task)}
        for tensor in self.learnable.values():
            tensor.requires_grad_()
        self.optimizers = method.optimizers(task, self.learnable)
        self.rate = pixels_rate(self.optimizers)
        self.iteration = 0
        self.history: list[dict[str, float]] = []
        self.probe_seconds = 0.0
        self._diverged = torch.full((len(CHECKED),), torch.inf, device=task.device)

    @property
    def diverged_at(self) -> int:
        first = self._diverged.min()
        return int(first) if torch.isfinite(first) else -1

    @property
    def diverged(self) -> str:
        """What was not finite first, and at which iteration, or ""."""
        if self.diverged_at < 0:
            return ""
        return f"the {CHECKED[int(self._diverged.argmin())]} was not finite at iteration {self.diverged_at}"

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
            if self.optimizers:
                set_rate(self.optimizers, self.rate * share_of_rate(self.method, self.iteration))
            for update in self.method.update_steps(self.task, self.learnable, self.labels, self.iteration):
                if report:
                    self._log(update)
                    report = False
                self._apply(update)
                beat()
            self.iteration += 1

    def _apply(self, update: UpdateStep) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        plain = [term.weight * term.loss for term in update.terms.values() if not term.separate]
        loss = torch.stack(plain).sum()
        # The weights that a term itself differentiates need no gradient of the second order.
        inputs = list(self.learnable.values())
        loss.backward(inputs=inputs, retain_graph=len(plain) < len(update.terms))
        pixels = self.learnable["pixels"]
        assert pixels.grad is not None
        size = pixels.grad.norm()
        for term in (term for term in update.terms.values() if term.separate):
            self._add(term, size)
        gradient = pixels.grad.sum()
        for optimizer in self.optimizers:
            optimizer.step()
        finite = torch.isfinite(torch.stack([loss.detach(), gradient, pixels.detach().sum()]))
        self._diverged = torch.where(finite, self._diverged, self._diverged.clamp(max=self.iteration))

    def _add(self, term: Term, base: Tensor) -> None:
        """Add a separate term's gradients to those of the base, whose pixel gradient has the norm `base`.

        direction both: pixels.grad = g_base + w * g_term, and so for all that the base learns. direction base:
        pixels.grad = g_base * |g_base + w * g_term| / |g_base|, and what else the base learns keeps its gradient.
        direction random: pixels.grad = g_base + w * |g_term| * u, u even on the unit sphere, and otherwise as base.
        """
        gradients = torch.autograd.grad(term.loss, list(self.learnable.values()), allow_unused=True)
        by_name = {n: gradient for n, gradient in zip(self.learnable, gradients, strict=True) if gradient is not None}
        of_pixels, pixels = by_name["pixels"], self.learnable["pixels"]
        weight = term.weight * base / of_pixels.norm().clamp(min=1e-12) if term.balanced else term.weight
        if term.direction != "both":
            assert pixels.grad is not None
            if term.direction == "base":
                pixels.grad = pixels.grad * ((pixels.grad + weight * of_pixels).norm() / base.clamp(min=1e-12))
            else:
                drawn = torch.randn(pixels.shape, generator=torch_generator(*term.stream)).to(pixels)
                pixels.grad = pixels.grad + weight * of_pixels.norm() / drawn.norm() * drawn
        for name, gradient in by_name.items():
            head = name.startswith("head")
            if term.direction != "both" and not head:
                continue
            # A head is trained by this term alone and keeps its own gradient; the base's tensors are balanced.
            scale = 1.0 if head and term.balanced else weight
            tensor = self.learnable[name]
            tensor.grad = scale * gradient if tensor.grad is None else tensor.grad + scale * gradient

    def _log(self, update: UpdateStep) -> None:
        record = {"iteration": float(self.iteration)}
        base = 0.0
        for position, (name, term) in enumerate(update.terms.items()):
            (gradient,) = torch.autograd.grad(term.loss, self.learnable["pixels"], retain_graph=True)
            norm = gradient.norm().item()
            record |= {f"loss/{name}": term.loss.item(), f"gradient_norm/{name}": norm}
            if position == 0:
                base = norm
                continue
            record[f"effective_weight/{name}"] = term.weight * (base / max(norm, 1e-12) if term.balanced else 1.0)
            if base:
                record[f"gradient_ratio/{name}"] = term.weight * (1.0 if term.balanced else norm / base)
        if update.probe:
            began = time.perf_counter()
            record |= update.probe()
            self.probe_seconds += time.perf_counter() - began
        self.history.append(record)

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to continue bit for bit: tensors, numbers and lists of them."""
        return {
            "iteration": self.iteration,
            "learnable": {name: tensor.detach().clone() for name, tensor in self.learnable.items()},
            "optimizers": [deepcopy(optimizer.state_dict()) for optimizer in self.optimizers],
            "history": list(self.history),
            "diverged": self._diverged.clone(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned; the task and method must be the same."""
        with torch.no_grad():
            for name, tensor in self.learnable.items():
                tensor.copy_(state["learnable"][name])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(deepcopy(saved))
        self.iteration, self.history = state["iteration"], list(state["history"])
        self._diverged = state["diverged"].to(self._diverged)

    def synthetic(self) -> Synthetic:
        """The current synthetic set."""
        standard = self.task.to_standard
        return Synthetic(
            images=to_array(self.learnable["pixels"]),
            labels=to_array(self.labels).astype(np.int64),
            classes=self.task.train.classes,
            mean=standard.mean,
            std=standard.std,
            config={
                "source": self.task.train.source,
                "ipc": self.task.ipc,
                "tail": self.task.tail,
                "seed": self.task.seed,
                **flatten(self.method, "method"),
                **flatten(self.task.network, "network"),
            },
            protocol=RESULTS_VERSION,
            whitening=standard.whitening,
        )


def to_array(tensor: Tensor) -> Any:
    """A tensor as a numpy array."""
    return tensor.detach().cpu().numpy()


def distill(
    train: ImageData,
    *,
    method: Method | str,
    network: Network | str,
    ipc: int = 1,
    seed: int = 0,
    device: str = "cpu",
    tail: str = "repeat",
) -> Synthetic:
    """Distil a training split into `ipc` images per class.

    method, network: a component, or its name with knobs, `dm:iterations=300`, `convnet:width=32`. tail: the policy for
    a class with fewer images than ipc, see `DistillationTask`; warns when there is one.
    Raises: InputError, UnknownNameError or KnobError for a name or knob that does not exist; DataError when a class is
    smaller than ipc and tail is `error`; FloatingPointError when the run diverged.
    """
    by, matched = chosen(METHODS, method, "method"), chosen(NETWORKS, network, "network")
    task = DistillationTask(train, matched, ipc, seed, torch.device(device), tail, standard=standard_of(by))
    if short := task.shortfall(ipc, ipc_shares(by)):
        warnings.warn(f"{tail}: fewer than {ipc} real images in {', '.join(short)}", stacklevel=2)
    run = Distillation(task, by)
    run.advance(by.iterations)
    if run.diverged:
        raise FloatingPointError(f"{name_of(by)} diverged: {run.diverged}")
    return run.synthetic()
