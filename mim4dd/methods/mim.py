"""MIM4DD: a term that maximises the mutual information of real and synthetic data, on top of any base."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mim4dd.errors import InputError, KnobError
from mim4dd.functions import Functions
from mim4dd.methods.catalogue import METHODS, Learnable, Method, Term, UpdateStep, precision_of
from mim4dd.methods.work import Work, work_of
from mim4dd.networks.layers import SMALLEST, Layers
from mim4dd.registry import knob, name_of, part

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from mim4dd.methods.task import DistillationTask, Preparation
    from mim4dd.records import ImageData
    from mim4dd.seeding import Name

    # Of each block its weight in the sum, z_S [M, D] and z_T [B, D].
    Blocks = list[tuple[float, Tensor, Tensor]]

# Functions of (z_S, y_S, z_T, y_T, tau), see `mim4dd.contrastive`, which needs torch.
OWN_CRITICS = ("nce", "nce_raw", "infonce", "supcon", "triplet", "nce_positives", "nce_negatives")
CRITICS = Functions("critic", dict.fromkeys(OWN_CRITICS, "mim4dd.contrastive"))
# Values of knobs that make a placebo of the term: what is left then, or takes its place, in words.
PLACEBOS: dict[tuple[str, str], str] = {
    ("direction", "base"): "longer step",
    ("direction", "random"): "random direction",
    ("pairs", "shuffled"): "shuffled labels",
    ("critic", "nce_positives"): "positives only",
    ("critic", "nce_negatives"): "negatives only",
}


@METHODS.add("mim")
@dataclass(frozen=True, kw_only=True)
class Mim:
    """L = L_base + lambda * sum_k L_critic^k / beta^(K-1-k) over the K blocks of the base's network.

    The term uses the same network, real batch and augmentation as the base, and the features that the base computed,
    where it did. weight 0 is the base alone, bit for bit. In iteration i of I, lambda is the weight times
    1 - (1 - last_weight) i / (I - 1): all along the same, unless last_weight says otherwise. For
    positives see `fewer_positives`: one choice for all blocks, at each update.
    Placebos, which leave out what the term is tested for, whatever its balance:
    direction `base`: the base with its pixel gradient scaled, at each update, to the length that base and term have
    together. Whatever `both` gains over it is due to the term's direction, not to longer steps.
    direction `random`: the term's pixel gradient g is replaced by |g| u, u drawn evenly from the unit sphere at each
    update. Whatever `both` gains over it is due to where the term points, not to noise of its size.
    pairs `shuffled`: L_critic(z_S, y_S, z_T, P y_T), P a permutation of the real batch drawn at each update. Whatever
    `class` gains over it is due to the labels, not to a contrast of images.
    critic `nce_positives` or `nce_negatives`: one of the two summands of `nce`.
    Source: Shang, Yuan & Yan, "MIM4DD", NeurIPS 2023 (arXiv 2312.16627), eq. 17, for the sum, lambda and
    beta; CMIM and CRD for temperature, embedding and the nce critic.
    MTT draws no real batch and trains its student on images augmented one by one: there the term draws a batch and a
    Siamese augmentation of its own.
    Differs: a reconstruction; no copy of the paper's method section or code was available. Every open choice is a knob.
    """

    base: Method = part(METHODS, "dm", help="the method that the term is added to")
    weight: float = knob(0.8, low=0, search=(1e-3, 100), log=True, symbol="λ", help="of the term; 0 is the base alone")
    temperature: float = knob(0.1, above=0, search=(0.03, 1), log=True, symbol="τ", help="divides the similarities")
    layer_decay: float = knob(
        2.0, above=0, search=(0.5, 8), log=True, symbol="β", help="each earlier block weighs less by this factor"
    )
    embedding: int = knob(
        128, low=0, high=65_536, search=(0, 16, 32, 64, 128, 256), symbol="D", help="contrastive space; 0 is no head"
    )
    critic: str = knob("nce", choices=CRITICS, help="the contrastive loss")
    head: str = knob("random", choices=("random", "learned", "mlp"), help="map into the contrastive space")
    layers: str = knob("all", choices=("all", "last"), help="blocks that enter the sum")
    balance: str = knob("none", choices=("none", "gradnorm"), help="gradnorm: lambda is a ratio of gradient norms")
    direction: str = knob(
        "both",
        choices=("both", "base", "random"),
        help="of the pixels' update; base: as long, but the base's; random: of the term, as long",
    )
    pairs: str = knob(
        "class", choices=("class", "shuffled"), tacit=True, help="what positives share; shuffled: labels at random"
    )
    last_weight: float = knob(
        1.0, low=0, high=1, tacit=True, help="share of the weight that is left in the last iteration; it falls linearly"
    )
    prior: str = knob(
        "none",
        choices=("none", "added"),
        help="added: the log of each class's share in the data, to the scores of its images",
        tacit=True,
    )
    positives: str = knob(
        "all",
        choices=("all", "drawn", "similar"),
        help="of a class's real batch, that the term sees; similar: most like its synthetic images",
        tacit=True,
    )
    positives_share: float = knob(0.5, above=0, high=1, tacit=True, help="of the class's real batch, where not all")

    def __post_init__(self) -> None:
        if isinstance(self.base, Mim) or self.base.iterations == 0:
            raise KnobError(
                f"mim.base must be a method that matches real and synthetic images, got {name_of(self.base)}"
            )
        for name, value in PLACEBOS:
            if getattr(self, name) == value and not self.weight:
                raise KnobError(
                    f"mim.{name} must be {getattr(type(self), name)} where mim.weight is 0, got {value}; a placebo "
                    "takes the place of a term"
                )

    @property
    def placebo(self) -> bool:
        """Whether this is a control of the term, and not the method."""
        return any(getattr(self, name) == value for name, value in PLACEBOS)

    @property
    def iterations(self) -> int:
        return self.base.iterations

    @property
    def preparation(self) -> Preparation | None:
        return self.base.preparation

    def image_passes(self, classes: int, ipc: int, features: bool = False) -> float:
        return self.work(classes, ipc, features).image_passes

    def work(
        self, classes: int, ipc: int, features: bool = False, separate: bool = False, layers: Layers = SMALLEST
    ) -> Work:
        """The base's, whose passes the term shares; a term that is differentiated by itself goes back once more."""
        own = bool(self.weight)
        return work_of(self.base, classes, ipc, features or own, separate or (own and self.separate), layers)

    @property
    def separate(self) -> bool:
        """Whether the term's gradient is computed separately from the base's; see `Term`."""
        return self.balance == "gradnorm" or self.direction != "both"

    @property
    def head_layers(self) -> int:
        """Linear maps of a head: an mlp has two."""
        return 2 if self.head == "mlp" else 1

    def initial(self, task: DistillationTask) -> tuple[Tensor, Tensor]:
        return self.base.initial(task)

    def learnable(self, task: DistillationTask) -> Learnable:
        from mim4dd.methods.heads import make_heads

        tensors = self.base.learnable(task)
        if self.weight and self.embedding and self.head != "random":
            for block, head in enumerate(make_heads(task, self.embedding, self.head_layers, "learned heads")):
                tensors |= {f"head{block}.{layer}": weight for layer, weight in enumerate(head)}
        return tensors

    def optimizers(self, task: DistillationTask, learnable: Learnable) -> list[Optimizer]:
        import torch

        heads = [tensor for name, tensor in learnable.items() if name.startswith("head")]
        return self.base.optimizers(task, learnable) + ([torch.optim.Adam(heads, lr=1e-3)] if heads else [])

    def update_steps(
        self, task: DistillationTask, learnable: Learnable, labels: Tensor, iteration: int, features: bool = False
    ) -> Iterator[UpdateStep]:
        from mim4dd.methods.task import within

        heads: list[list[Tensor]] = []
        updates = self.base.update_steps(task, learnable, labels, iteration, features or bool(self.weight))
        for step, update in enumerate(updates):
            if self.weight:
                # Once an iteration: random heads are those of its network, learned ones change in place.
                heads = heads or self.heads(task, learnable, iteration)
                at = (*within(iteration, step), task.seed)
                blocks = self.embeddings(task, update, heads)
                blocks, y_real = self.kept(update, blocks, self.real_labels(update, *at), *at)
                loss = self.term(task, update, blocks, y_real)
                stream: tuple[Name, ...] = ("random direction", *at)
                update.terms["mim"] = Term(
                    loss, self.weight_at(iteration), self.balance == "gradnorm", self.direction, stream
                )
                update.probe = self.probe(update, blocks)
            yield update

    def weight_at(self, iteration: int) -> float:
        """The term's weight in an iteration: lambda in the first, `last_weight` times as much in the last."""
        passed = iteration / max(1, self.iterations - 1)
        return self.weight * (1 - (1 - self.last_weight) * passed)

    def heads(self, task: DistillationTask, learnable: Learnable, iteration: int) -> list[list[Tensor]]:
        """Each block's head: the learned ones, or random ones redrawn with the network; empty lists for none."""
        from mim4dd.methods.heads import make_heads

        blocks = len(task.network.block_shapes(task.train.shape))
        if not self.embedding:
            return [[] for _ in range(blocks)]
        if "head0.0" in learnable:
            layers = range(self.head_layers)
            return [[learnable[f"head{block}.{layer}"] for layer in layers] for block in range(blocks)]
        return make_heads(task, self.embedding, self.head_layers, "random heads", iteration)

    def embeddings(self, task: DistillationTask, update: UpdateStep, heads: list[list[Tensor]]) -> Blocks:
        """(weight in the sum, z_S [M, D], z_T [B, D]) of each block; gradients reach z_S and learned heads."""
        from mim4dd.contrastive import layer_weights
        from mim4dd.methods.heads import embed
        from mim4dd.networks.precision import FLOAT32, multiplying

        real, synthetic = update.real_features, update.synthetic_features
        if not len(real) == len(synthetic) == len(heads):
            raise InputError(
                f"{name_of(self.base)} gives the MI term no features: asked with features=True, its update_steps must "
                f"yield the outputs of all {len(heads)} blocks for both sides, got {len(real)} and {len(synthetic)}"
            )
        weights = layer_weights(len(real), self.layer_decay)
        # Random heads keep no graph of the real side, as the base's passes.
        precision = precision_of(self.base) if self.head == "random" else FLOAT32

        def embed_real(block: int) -> Tensor:
            with multiplying(precision):
                return embed(real[block].detach(), heads[block])

        first = len(real) - 1 if self.layers == "last" else 0
        sides = [(embed(synthetic[block], heads[block]), embed_real(block)) for block in range(first, len(real))]
        return [(weight, *both) for weight, both in zip(weights[first:], sides, strict=True)]

    def real_labels(self, update: UpdateStep, *at: Name) -> Tensor:
        """The labels of the real batch by which pairs are made, [B]. at: names that seed a permutation of them."""
        import torch

        from mim4dd.seeding import torch_generator

        if self.pairs == "class":
            return update.y_real
        shuffled = torch.randperm(len(update.y_real), generator=torch_generator("shuffled labels", *at))
        return update.y_real[shuffled.to(update.y_real.device)]

    def kept(self, update: UpdateStep, blocks: Blocks, y_real: Tensor, *at: Name) -> tuple[Blocks, Tensor]:
        """The blocks and the labels of the real images that enter the term; by similarity, that in the last block."""
        import torch

        from mim4dd.contrastive import fewer_positives
        from mim4dd.seeding import torch_generator

        if self.positives == "all":
            return blocks, y_real
        drawn = None
        if self.positives == "drawn":
            drawn = torch.rand(len(y_real), generator=torch_generator("positives", *at)).to(y_real.device)
        _, z_S, z_T = blocks[-1]
        rows = fewer_positives(z_S, update.y_synthetic, z_T, y_real, self.positives_share, drawn)
        return [(weight, z_S, z_T[rows]) for weight, z_S, z_T in blocks], y_real[rows]

    def term(self, task: DistillationTask, update: UpdateStep, blocks: Blocks, y_real: Tensor) -> Tensor:
        """The weighted sum of the critic over the blocks. y_real: the labels of the real batch, [B]."""
        from mim4dd.contrastive import logit_adjusted

        critic, total = CRITICS.get(self.critic), blocks[0][1].new_zeros(())
        for weight, z_S, z_T in blocks:
            if self.prior == "added":
                z_S, z_T = logit_adjusted(z_S, z_T, y_real, task.log_prior, self.temperature)
            total = total + weight * critic(z_S, update.y_synthetic, z_T, y_real, self.temperature)
        return total

    def probe(self, update: UpdateStep, blocks: Blocks) -> Callable[[], dict[str, float]]:
        """The base's own numbers and the critic's."""
        from mim4dd.contrastive import saturation

        base = update.probe
        return lambda: (base() if base else {}) | saturation(blocks, self.temperature)

    def critic_information(
        self, task: DistillationTask, learnable: Learnable, synthetic: Tensor, labels: Tensor, held_out: ImageData
    ) -> float:
        """`donsker_varadhan_nats` of the last block on held-out images, mean over 5 fresh networks (and their heads).

        Of more than 1,000 held-out images it takes a fixed draw of 1,000: cheaper, with hardly any change of the bound.

        Shapes: synthetic [M, channels, H, W], standardised; labels [M].
        """
        import torch

        from mim4dd.contrastive import donsker_varadhan_nats
        from mim4dd.methods.heads import embed
        from mim4dd.networks.chunks import features_without_graph
        from mim4dd.seeding import sampled_rows

        held_out = held_out.take(sampled_rows(len(held_out), 1000, "critic information"))
        real = torch.from_numpy(task.to_standard(held_out.images)).to(task.device)
        y_real, bounds = torch.tensor(held_out.labels, device=task.device), []
        for draw in range(-5, 0):  # iterations that no run has: networks and heads that it has not used
            params, heads = task.fresh_network(draw), self.heads(task, learnable, draw)
            maps = [features_without_graph(task.network, params, x, last=True)[0][0] for x in (synthetic, real)]
            with torch.no_grad():
                z_S, z_T = (embed(of_last, heads[-1]) for of_last in maps)
                bounds.append(donsker_varadhan_nats(z_S, labels, z_T, y_real, self.temperature))
        return float(torch.stack(bounds).mean())
