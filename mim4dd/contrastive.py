"""Critics of the contrastive term, and the bound that measures information: pure functions of embeddings.

A synthetic image is an anchor; real images of its class are its positives, those of other classes its negatives.
z_S [M, D] and z_T [N, D] are L2-normalised, y_S and y_T their labels, s = z_S z_T' / tau the scores [M, N].
These losses leave same-class pairs out of the negatives (the paper's rule), so they are training objectives and no
bound on I(T; S): `donsker_varadhan_nats` is the bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from mim4dd.errors import InputError

Critic = Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]


def scores(z_S: Tensor, z_T: Tensor, tau: float) -> Tensor:
    """Cosine similarities over the temperature, [M, N]."""
    return z_S @ z_T.T / tau


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


def nce(z_S: Tensor, y_S: Tensor, z_T: Tensor, y_T: Tensor, tau: float) -> Tensor:
    """Noise-contrastive loss with a batch normaliser.

    h = r / (r + N), r = exp(s) / mean(exp(s)) with the mean over the batch, detached; N = |Neg| / |Pos|.
    L = -mean_pos log h - N * mean_neg log(1 - h), in log space.
    Source: CRD (Tian et al. 2020), eq. 17-18, by way of CMIM (Shang et al. 2022).
    Differs: the normaliser is the current batch's (CRD keeps its first batch's as hidden state), and N is the batch's
    own ratio instead of a count of drawn negatives, so lambda means the same at every batch size.
    """
    positive = y_S[:, None] == y_T[None]
    usable = usable_anchors(positive)
    s, positive = scores(z_S, z_T, tau)[usable], positive[usable]
    log_r = s - (s.detach().flatten().logsumexp(0) - math.log(s.numel()))
    n_positive = positive.sum()
    log_n = torch.log((positive.numel() - n_positive) / n_positive.to(s))
    pull = (F.softplus(log_n - log_r) * positive).sum() / n_positive
    push = (F.softplus(log_r - log_n) * ~positive).sum() / (positive.numel() - n_positive)
    return pull + log_n.exp() * push


def infonce(z_S: Tensor, y_S: Tensor, z_T: Tensor, y_T: Tensor, tau: float) -> Tensor:
    """Each positive against all negatives of its anchor.

    L = mean_i mean_p -log( exp(s_ip) / (exp(s_ip) + sum_n exp(s_in)) ).
    Source: van den Oord et al. 2018 with the paper's pairs: same class positive, other classes negative.
    """
    positive = y_S[:, None] == y_T[None]
    usable = usable_anchors(positive)
    s, positive = scores(z_S, z_T, tau)[usable], positive[usable]
    negatives = s.masked_fill(positive, -math.inf).logsumexp(1, keepdim=True)
    losses = F.softplus(negatives - s) * positive
    return (losses.sum(1) / positive.sum(1)).mean()


CRITICS: dict[str, Critic] = {"nce": nce, "infonce": infonce}
# An anchor's normalised contrast entropy below or above which its gradient says next to nothing.
PEAKED, FLAT = 0.02, 0.98


def contrast_entropy(z_S: Tensor, z_T: Tensor, tau: float) -> Tensor:
    """Entropy of each anchor's softmax over its contrasts, over the log of their number, [M] in [0, 1].

    0: one real image takes all the weight, and gradients hang on it; 1: all weigh the same, tau drowns the scores. A
    critic that knows the class and no more stands between: log B / log(B C) for B images of each of C classes.
    """
    log_p = scores(z_S, z_T, tau).log_softmax(1)
    return -(log_p.exp() * log_p).nan_to_num(0.0).sum(1) / math.log(z_T.shape[0])


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
