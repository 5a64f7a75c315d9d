"""Critics of the contrastive term, and the bound that measures information: pure functions of embeddings.

A synthetic image is an anchor; real images of its class are its positives, those of other classes its negatives.
z_S [M, D] and z_T [N, D] are L2-normalised, y_S and y_T their labels, s = z_S z_T' / tau the scores [M, N].
These losses leave same-class pairs out of the negatives (the paper's rule), so they are training objectives and no
bound on I(T; S): `donsker_varadhan_nats` is the bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mim4dd.errors import InputError


def scores(z_S: Tensor, z_T: Tensor, tau: float) -> Tensor:
    """Cosine similarities over the temperature, [M, N]."""
    return z_S @ z_T.T / tau


def logit_adjusted(z_S: Tensor, z_T: Tensor, y_T: Tensor, log_prior: Tensor, tau: float) -> tuple[Tensor, Tensor]:
    """Embeddings of which z_S z_T' / tau is the scores plus the log of the class prior: s_ij + log_prior[y_j].

    One more coordinate of each side, 1 and tau log_prior, does it for any critic of these scores; z_T is then no longer
    normalised. Positives of a rare class begin with lower scores, so a critic that is not saturated pulls them harder.

    Shapes: z_S [M, D], z_T [N, D], y_T [N], log_prior [C] -> [M, D + 1], [N, D + 1].
    Source: Menon et al., "Long-tail learning via logit adjustment", ICLR 2021.
    Differs: the scores of images are adjusted, not a classifier's of classes.
    """
    return torch.cat([z_S, z_S.new_ones(len(z_S), 1)], 1), torch.cat([z_T, tau * log_prior[y_T, None]], 1)


def log_prior(counts: Tensor) -> Tensor:
    """log(K pi_c) of the K classes that have images, [C]: 0 where these are of one size, and for a class without any.

    Shapes: counts [C], images of each class.
    """
    present = counts > 0
    shares = counts.double() * present.sum() / counts.sum()
    return torch.where(present, shares, 1.0).log().float()


def usable_anchors(positive: Tensor) -> Tensor:
    """Which anchors have a positive and a negative, [M]; the others cannot enter a contrast.

    Shapes: positive [M, N], true where the pair shares its class.
    Raises: InputError when none has both: the term would be silently zero.
    """
    usable = positive.any(1) & ~positive.all(1)
    if not bool(usable.any()):
        raise InputError(
            "no synthetic image has both a positive and a negative in the real batch: two classes are needed"
        )
    return usable


def usable_scores(z_S: Tensor, y_S: Tensor, z_T: Tensor, y_T: Tensor, tau: float) -> tuple[Tensor, Tensor]:
    """The scores of the usable anchors [m, N], and which pairs share their class [m, N].

    Raises: InputError when there are none.
    """
    positive = y_S[:, None] == y_T[None]
    usable = usable_anchors(positive)
    return scores(z_S, z_T, tau)[usable], positive[usable]


def nce(z_S: Tensor, y_S: Tensor, z_T: Tensor, y_T: Tensor, tau: float) -> Tensor:
    """Noise-contrastive loss with a batch normaliser.

    h = r / (r + N), r = exp(s) / mean(exp(s)) with the mean over the batch, detached; N = |Neg| / |Pos|.
    L = -mean_pos log h - N * mean_neg log(1 - h), in log space.
    Source: CRD (Tian et al. 2020), eq. 17-18, by way of CMIM (Shang et al. 2022).
    Differs: the normaliser is the current batch's (CRD keeps its first batch's as hidden state), and N is the batch's
    own ratio instead of a count of drawn negatives, so lambda means the same at every batch size.
    """
    pull, push = _of_nce(z_S, y_S, z_T, y_T, tau)
    return pull + push


def nce_positives(z_S: Tensor, y_S: Tensor, z_T: Tensor, y_T: Tensor, tau: float) -> Tensor:
    """The first summand of `nce`, L = -mean_pos log h: it attracts positives and repels nothing.

    A placebo of the contrast: negatives enter by their number and the detached normaliser alone.
    """
    return _of_nce(z_S, y_S, z_T, y_T, tau)[0]


def nce_negatives(z_S: Tensor, y_S: Tensor, z_T: Tensor, y_T: Tensor, tau: float) -> Tensor:
    """The second summand of `nce`, L = -N mean_neg log(1 - h): it repels negatives and attracts nothing.

    A placebo of the contrast: positives enter by their number and the detached normaliser alone.
    """
    return _of_nce(z_S, y_S, z_T, y_T, tau)[1]


def _of_nce(z_S: Tensor, y_S: Tensor, z_T: Tensor, y_T: Tensor, tau: float) -> tuple[Tensor, Tensor]:
    """The two summands of `nce`."""
    s, positive = usable_scores(z_S, y_S, z_T, y_T, tau)
    return _summands(s - (s.detach().flatten().logsumexp(0) - math.log(s.numel())), positive)


def nce_raw(z_S: Tensor, y_S: Tensor, z_T: Tensor, y_T: Tensor, tau: float) -> Tensor:
    """`nce` without its normaliser: h = e / (e + N / B), e = exp(s), B the real images of the batch.

    An ablation of the normaliser: without it, nearly all of the loss pushes negatives away at the start.
    Source: CRD's eq. 17-18 with Z = 1.
    """
    s, positive = usable_scores(z_S, y_S, z_T, y_T, tau)
    pull, push = _summands(s + math.log(len(z_T)), positive)
    return pull + push


def _summands(log_r: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """What attracts positives, and what repels negatives."""
    n_positive = positive.sum()
    log_n = torch.log((positive.numel() - n_positive) / n_positive.to(log_r))
    pull = (F.softplus(log_n - log_r) * positive).sum() / n_positive
    push = (F.softplus(log_r - log_n) * ~positive).sum() / (positive.numel() - n_positive)
    return pull, log_n.exp() * push


def infonce(z_S: Tensor, y_S: Tensor, z_T: Tensor, y_T: Tensor, tau: float) -> Tensor:
    """Each positive against all negatives of its anchor.

    L = mean_i mean_p -log( exp(s_ip) / (exp(s_ip) + sum_n exp(s_in)) ).
    Source: van den Oord et al. 2018 with the paper's pairs: same class positive, other classes negative.
    """
    s, positive = usable_scores(z_S, y_S, z_T, y_T, tau)
    negatives = s.masked_fill(positive, -math.inf).logsumexp(1, keepdim=True)
    losses = F.softplus(negatives - s) * positive
    return (losses.sum(1) / positive.sum(1)).mean()


def supcon(z_S: Tensor, y_S: Tensor, z_T: Tensor, y_T: Tensor, tau: float) -> Tensor:
    """Each positive against all pairs of its anchor, other positives too.

    L = mean_i mean_p -log( exp(s_ip) / sum_a exp(s_ia) ).
    Source: Khosla et al. 2020, "Supervised Contrastive Learning", eq. 2 (L_out), without its rescaling by a base
    temperature, anchors and contrasts from the two sides.
    """
    s, positive = usable_scores(z_S, y_S, z_T, y_T, tau)
    losses = (s.logsumexp(1, keepdim=True) - s) * positive
    return (losses.sum(1) / positive.sum(1)).mean()


def triplet(z_S: Tensor, y_S: Tensor, z_T: Tensor, y_T: Tensor, tau: float) -> Tensor:
    """Each positive against each negative of its anchor, with a soft margin.

    L = mean_i mean_(p, n) log(1 + exp(s_in - s_ip)). tau is the softness: as it falls, tau L tends to the mean of
    max(0, cos_in - cos_ip), the triplet loss of margin 0.
    Memory: the triplets of a few anchors at a time, recomputed in the backward pass.
    Source: Schroff et al. 2015 (FaceNet) with the soft margin of Hermans et al. 2017 (arXiv 1703.07737), all triplets.
    """
    s, positive = usable_scores(z_S, y_S, z_T, y_T, tau)
    losses = []
    for kind in positive.unique(dim=0):  # anchors of one class share their positives
        rows = s[(positive == kind).all(1)]
        few = max(1, TRIPLETS // max(1, int(kind.sum()) * int((~kind).sum())))
        losses += [
            checkpoint(_of_triplets, part, kind, use_reentrant=False, preserve_rng_state=False)
            for part in rows.split(few)
        ]
    return torch.cat(losses).mean()


# Triplets in memory at a time: 32 MB of float32.
TRIPLETS = 8_000_000


def _of_triplets(s: Tensor, positive: Tensor) -> Tensor:
    """Mean soft margin of each anchor's triplets, [m], for anchors with the same positives [N]."""
    return F.softplus(s[:, None, ~positive] - s[:, positive, None]).mean((1, 2))


def fewer_positives(z_S: Tensor, y_S: Tensor, z_T: Tensor, y_T: Tensor, share: float, order: Tensor | None) -> Tensor:
    """The rows of the real batch that stay: of each class a share, rounded up; ascending, [R].

    order: a number for each real image, of which the largest stay, [N]; None: its mean similarity to the anchors of
    its class. A wrong label is seldom among the most similar ones. Those left out are nobody's negatives either, whose
    labels are as doubtful.
    """
    if order is None:
        same = y_S[:, None] == y_T[None]
        order = ((z_S @ z_T.T).detach() * same).sum(0) / same.sum(0).clamp(min=1)
    ranked = order.argsort(descending=True, stable=True)
    ranked = ranked[y_T[ranked].argsort(stable=True)]
    _, counts = y_T[ranked].unique_consecutive(return_counts=True)
    starts = (counts.cumsum(0) - counts).repeat_interleave(counts)
    place = torch.arange(len(ranked), device=ranked.device) - starts
    # As 0.07 * 100 is a little above 7.
    kept = (share * counts.double() - 1e-9).ceil().repeat_interleave(counts)
    return ranked[place < kept].sort().values


# An anchor whose normalised contrast entropy lies outside these bounds has an almost uninformative gradient.
PEAKED, FLAT = 0.02, 0.98


def contrast_entropy(z_S: Tensor, z_T: Tensor, tau: float) -> Tensor:
    """Entropy of each anchor's softmax over its contrasts, divided by the log of their number, [M] in [0, 1].

    0: one real image has all the weight and decides the gradient; 1: all have equal weight, tau flattens the scores. A
    critic that knows only the class lies between: log B / log(B C) for B images of each of C classes.
    """
    log_p = scores(z_S, z_T, tau).log_softmax(1)
    return -(log_p.exp() * log_p).nan_to_num(0.0).sum(1) / math.log(z_T.shape[0])


def saturation(blocks: Sequence[tuple[float, Tensor, Tensor]], tau: float) -> dict[str, float]:
    """How flat each anchor's softmax over the real batch is, of blocks (weight, z_S, z_T) weighted as in the sum.

    `critic/entropy` is 0 where one real image has all the weight (tau too small) and 1 where all have the same (too
    large); `critic/share_peaked` and `critic/share_flat` are the anchors below 0.02 and above 0.98.
    """
    entropies = torch.stack([contrast_entropy(z_S.detach(), z_T.detach(), tau) for _, z_S, z_T in blocks]).double()
    weights = torch.tensor([weight for weight, _, _ in blocks], dtype=torch.float64, device=entropies.device)
    numbers = torch.stack([entropies, (entropies < PEAKED).double(), (entropies > FLAT).double()]).mean(2) @ weights
    entropy, peaked, flat = (numbers / weights.sum()).tolist()
    return {"critic/entropy": entropy, "critic/share_peaked": peaked, "critic/share_flat": flat}


def layer_weights(blocks: int, beta: float) -> list[float]:
    """1 / beta^(K-1-k) for k = 0..K-1: the last block weighs 1, earlier ones less when beta > 1.

    Source: the sum of the paper's eq. 17. Differs: its index base is not known; ours gives the last block weight 1.
    """
    return [beta ** -(blocks - 1 - k) for k in range(blocks)]


def donsker_varadhan_nats(z_S: Tensor, y_S: Tensor, z_T: Tensor, y_T: Tensor, tau: float) -> Tensor:
    """The information that a critic shows on held-out pairs, in nats: at most about H(Y), negative for a poor critic.

    mean over same-class pairs of s - log of the mean over *all* pairs of exp(s), classes weighted equally on both
    sides (positives are pairs of one class drawn uniformly; the product draws both sides so).
    Source: Donsker & Varadhan 1983.
    """
    s = scores(z_S, z_T, tau).double()
    shared = [c for c in y_S.unique().tolist() if bool((y_T == c).any())]
    w_S, w_T = (_class_weights(labels, shared).to(s) for labels in (y_S, y_T))
    joint = w_S[:, None] * w_T[None] * len(shared) * (y_S[:, None] == y_T[None])
    log_product = (w_S[:, None] * w_T[None]).log()
    return (joint * s).sum() - (s + log_product).flatten().logsumexp(0)


def _class_weights(labels: Tensor, classes: list[int]) -> Tensor:
    """Weights that give each class the same total and sum to 1, [n]."""
    weights = torch.zeros(len(labels), dtype=torch.float64)
    for label in classes:
        members = (labels == label).cpu()
        weights[members] = 1 / (len(classes) * int(members.sum()))
    return weights
