"""Two measures of information that do not use the objective's critic: usable information and label agreement.

A positive pair shares its class and nothing else: T - Y - S is a Markov chain, so I(T; S) <= H(Y). Since the labels of
S are fixed, no optimisation of its pixels can raise I in the strict sense. Usable information is what networks that
are trained on S predict of the labels of held-out real images: it tells sets apart, and is no estimate of I(T; S).
Label agreement is an estimate of I(T; S) by one fixed decoder: whether a reference network, trained on clean data,
agrees with the labels of S. Both are in nats, to be read as shares of H(Y) (classes weighted equally: log C).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mim4dd.data.standard import channel_statistics
from mim4dd.durable import durably
from mim4dd.errors import InputError
from mim4dd.networks import NETWORKS, Network
from mim4dd.records import Floats, Integers, Splits, Synthetic
from mim4dd.registry import flatten, parse, unflatten
from mim4dd.seeding import generator
from mim4dd.standard import standardise
from mim4dd.tensors import Arrays, packed, read_packed, require_array, require_entries
from mim4dd.train import Recipe, Streams, fresh_networks, train_networks

if TYPE_CHECKING:
    from torch import Tensor

    from mim4dd.networks.stacked import Params

FLOOR = 1e-6
# The largest absolute log of the inverse temperature, for scores with a standard deviation of 1, and how often this
# interval is halved: a search to 1e-8.
WIDEST, HALVINGS = 10.0, 31
# The file of a reference network: its header, and the names of its arrays; parameters stand under a prefix.
HEADER, PARAMS, MEASURED = "reference", "params/", ("mean", "std", "held_out")
Posteriors = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reference:
    """A network trained on the clean training split, its scores divided by a temperature fitted on validation.

    params: by name, [1, ...], as arrays, which any process can read. accuracy: on validation.
    mean, std: the standardisation it was trained under, [channels]. held_out: its posteriors of the validation images,
    [n, C], which every estimate needs. data: the digest of the splits.
    """

    network: Network
    params: dict[str, Floats]
    temperature: float
    accuracy: float
    mean: Floats
    std: Floats
    held_out: Posteriors
    data: str

    def posteriors(self, pixels: Floats) -> Posteriors:
        """p(y | image) for pixels [n, channels, H, W] in [0, 1], floored at 1e-6, [n, C]."""
        from mim4dd.networks.chunks import predict

        params, standard = self._ready(pixels)
        return floored_posteriors(predict(self.network, params, standard)[0], self.temperature)

    def embeddings(self, pixels: Floats) -> Floats:
        """The last block's features of pixels [n, channels, H, W] in [0, 1], flattened, [n, D]."""
        from mim4dd.networks.chunks import features_without_graph

        params, standard = self._ready(pixels)
        embedded: Floats = features_without_graph(self.network, params, standard)[-1][0].flatten(1).numpy()
        return embedded

    def _ready(self, pixels: Floats) -> tuple[Params, Tensor]:
        import torch

        params = {name: torch.tensor(array) for name, array in self.params.items()}
        return params, torch.from_numpy(standardise(pixels, self.mean, self.std))

    def save(self, path: Path) -> None:
        """Write one safetensors file, whole or not at all.

        Raises: OSError.
        """
        numbers = {"temperature": self.temperature, "accuracy": self.accuracy, "data": self.data}
        header = {**flatten(self.network, "network"), **numbers}
        params: Arrays = {f"{PARAMS}{name}": array for name, array in self.params.items()}
        durably(path, packed(params | {name: getattr(self, name) for name in MEASURED}, HEADER, header))

    @staticmethod
    def load(path: Path, splits: Splits) -> Reference:
        """Read what `save` wrote of a network that was trained on these splits.

        Raises: InputError when the file is missing, is not a reference network, or does not fit the splits.
        """
        try:
            arrays, header = read_packed(path, HEADER)
            require_entries(arrays, dict.fromkeys(MEASURED, np.ndarray))
            require_entries(header, dict.fromkeys(("network", "data"), str))
            if header["data"] != splits.digest:
                raise InputError(f"it was trained on other images than those of {splits.name}")
            network_knobs = {key: value for key, value in header.items() if key.partition(".")[0] == "network"}
            network = unflatten(NETWORKS, network_knobs, "network")
            temperature, accuracy = (float(parse(key, 1.0, header.get(key))) for key in ("temperature", "accuracy"))
            if not (0 < temperature < math.inf and 0 <= accuracy <= 1):
                raise InputError(
                    f"temperature must be above 0 and accuracy in [0, 1], got {temperature:g} and {accuracy:g}"
                )
            _require_fitting(arrays, splits)
            params = {name.removeprefix(PARAMS): array for name, array in arrays.items() if name.startswith(PARAMS)}
            mean, std, held_out = (arrays[name] for name in MEASURED)
            return Reference(network, params, temperature, accuracy, mean, std, held_out, splits.digest)
        except InputError as error:
            raise InputError(f"{path} is no reference network written by mim4dd: {error}") from error


def _require_fitting(arrays: Arrays, splits: Splits) -> None:
    """Raises: InputError when the arrays of a reference network do not fit the splits, or are not finite."""
    channels, validation = splits.train.shape[:1], splits.validation
    for name in ("mean", "std"):
        require_array(name, arrays[name], np.float32, channels)
    require_array("held_out", arrays["held_out"], np.float64, (len(validation), len(splits.classes)))
    for name, array in arrays.items():
        if name.startswith(PARAMS):
            require_array(name, array, np.float32, (1, *array.shape[1:]))
        if not np.isfinite(array).all():
            raise InputError(f"{name} must be finite")


def floored_posteriors(scores: Tensor, temperature: float) -> Posteriors:
    """softmax(scores / temperature), floored at 1e-6 and normalised again, [n, C]."""
    floored = (scores.double().cpu() / temperature).softmax(1).clamp(min=FLOOR).numpy()
    return np.asarray(floored / floored.sum(1, keepdims=True))


def train_reference(splits: Splits, network: Network, *, steps: int = 300, device: str = "cpu") -> Reference:
    """Train and calibrate the reference network: `steps` batches of 256 with the standard recipe, one seed for all.

    A calibration on real images need not hold on synthetic ones: read the estimate beside the reference's accuracy.
    """
    import torch
    from scipy.optimize import minimize_scalar

    from mim4dd.networks.chunks import predict

    train, torch_device = splits.train, torch.device(device)
    mean, std = channel_statistics(train.images)
    recipe = Recipe(networks=1, epochs=max(1, round(steps * 256 / max(256, len(train)))), augment="none")
    streams = Streams.first("reference", 0, 1)
    params = fresh_networks(network, train.shape, len(train.classes), streams, torch_device)
    images = torch.from_numpy(standardise(train.images, mean, std)).to(torch_device)
    labels = torch.tensor(train.labels).to(torch_device)
    params = train_networks(network, params, images, labels, recipe, streams, train.source)
    validation = torch.from_numpy(standardise(splits.validation.images, mean, std)).to(torch_device)
    scores, truth = predict(network, params, validation)[0].double().cpu(), torch.tensor(splits.validation.labels)

    def loss(log_temperature: float) -> float:
        return float(torch.nn.functional.cross_entropy(scores / math.exp(log_temperature), truth))

    fitted = minimize_scalar(loss, bounds=(-3, 3), method="bounded")
    accuracy = float((scores.argmax(1) == truth).double().mean())
    held_out = floored_posteriors(scores, math.exp(float(fitted.x)))
    arrays = {name: tensor.cpu().numpy() for name, tensor in params.items()}
    return Reference(network, arrays, math.exp(float(fitted.x)), accuracy, mean, std, held_out, splits.digest)


def label_agreement_nats(p_S: Posteriors, y_S: Integers, p_T: Posteriors, y_T: Integers) -> float:
    """How far a decoder's posteriors agree with the labels of a synthetic set S and of real images T, in nats.

    It is the part of I(T; S) that the decoder recovers, a lower bound up to sampling. Images that the decoder gives
    their label bring it to log C whatever they teach a network, so most methods are equal on clean data; images that
    it gives another label make it negative, down to the floor of the posteriors, as label noise does.

    E_(same-class pairs) log[ sum_y p(y|t) p(y|s) / p(y) ] - log[ sum_y q_T(y) q_S(y) / p(y) ], p(y) = 1/C, classes
    weighted equally on both sides, q the mean posteriors: the second term keeps it a lower bound when p is off.
    Shapes: p_S [M, C], p_T [N, C]; labels [M], [N]. Both sides need images of every class that enters.
    """
    classes = p_S.shape[1]
    shared = [c for c in range(classes) if (y_S == c).any() and (y_T == c).any()]
    joint = np.mean([np.log(p_S[y_S == c] @ p_T[y_T == c].T * classes).mean() for c in shared])
    q_S, q_T = (np.mean([p[y == c].mean(0) for c in shared], 0) for p, y in ((p_S, y_S), (p_T, y_T)))
    return float(joint - np.log((q_S * q_T).sum() * classes))


def label_agreement(reference: Reference, synthetic: Synthetic, splits: Splits) -> float:
    """`label_agreement_nats` between a synthetic set and the validation images."""
    return label_agreement_nats(
        reference.posteriors(synthetic.pixels),
        synthetic.labels,
        reference.held_out,
        splits.validation.labels,
    )


def usable_information_nats(scores: Tensor, labels: Integers) -> npt.NDArray[np.float64]:
    """Information about the label that each network, trained on a synthetic set, predicts from real images, in nats.

    I_V(X -> Y) = H(Y) - E[-log p(y | x; T)], p(. | x; T) = softmax(scores / T), with H(Y) the log of the number of
    classes that have images, and the expectation over held-out real images (x, y), classes weighted equally. The
    temperature T of each network is fitted on one half of the images and scored on the other, crosswise, so that all
    images are scored; a positive factor of the scores changes nothing. It is a log score of held-out images and not
    I(T; S): at most H(Y), about 0 for a network that knows nothing, and negative where one half misleads about the
    other.

    Shapes: scores [networks, N, C], on any device; labels [N]; returns [networks], NaN for a network whose scores are
    not finite, and for fewer than two images.
    Source: Xu, Zhao, Song, Stewart & Ermon, "A theory of usable information under computational constraints", ICLR 2020
    (predictive V-information).
    Differs: there the best predictor of a family V enters, fitted to the real distribution; here the networks that the
    evaluation trains on the synthetic set, so it is a lower bound, up to sampling, of theirs for this family.
    """
    import torch

    if len(labels) < 2:
        return np.full(len(scores), np.nan)
    scores, truth = scores.double(), torch.tensor(labels, device=scores.device)
    scores = scores - scores.mean(2, keepdim=True)
    halves, weights = torch.tensor(_second_half(labels), device=scores.device), _class_weights(truth)
    log_score = torch.zeros(len(scores), dtype=scores.dtype, device=scores.device)
    for scored in (halves, ~halves):
        inverse = _inverse_temperatures(scores[:, ~scored], truth[~scored])
        log_p = (scores[:, scored] * inverse[:, None, None]).log_softmax(2)
        log_score += _of_the_label(log_p, truth[scored]) @ weights[scored]
    return np.asarray(math.log(len(np.unique(labels))) + log_score.cpu().numpy())


def _second_half(labels: Integers) -> npt.NDArray[np.bool_]:
    """Half of the images of each class, and of all, to within one: equal for equal labels, [N]."""
    order = np.argsort(generator("usable information").random(len(labels)), kind="stable")
    order = order[np.argsort(labels[order], kind="stable")]
    second = np.zeros(len(labels), dtype=bool)
    second[order[1::2]] = True
    return second


def _of_the_label(scores: Tensor, labels: Tensor) -> Tensor:
    """The score of each image's label, [networks, N], of scores [networks, N, C]."""
    return scores.gather(2, labels[None, :, None].expand(len(scores), -1, -1))[:, :, 0]


def _class_weights(labels: Tensor) -> Tensor:
    """Weights of images, [N], that sum to 1, with an equal sum for each class that has images."""
    counts = labels.bincount()
    return 1 / (counts[labels] * (counts > 0).sum()).double()


def _inverse_temperatures(scores: Tensor, labels: Tensor) -> Tensor:
    """The 1 / T of each network that minimises the log loss of these images, classes weighted equally, [networks].

    A label counts N / (N + 1) and the rest is spread evenly over the classes, as if one image more had a random label:
    without an error among these images, T would be 0, and one error among the scored ones infinitely bad.
    The loss is convex in 1 / T, so the sign of its slope, E_p[score] - target, says which half of an interval of
    log(1 / T) holds its minimum.

    Shapes: scores [networks, N, C], their mean over classes 0; labels [N].
    Source: Guo, Pleiss, Sun & Weinberger 2017 (temperature); Platt 1999 (targets that are not certain).
    """
    import torch

    weights, certain = _class_weights(labels), len(labels) / (len(labels) + 1)
    scale = scores.square().mean((1, 2)).sqrt()
    scale = torch.where(scale == 0, 1.0, scale)
    units = scores / scale[:, None, None]
    target = certain * (_of_the_label(units, labels) @ weights)  # the even rest has a score of 0
    low, high = (torch.full_like(scale, end) for end in (-WIDEST, WIDEST))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        p = (units * middle.exp()[:, None, None]).softmax(2)
        rising = (p * units).sum(2) @ weights > target
        low, high = torch.where(rising, low, middle), torch.where(rising, middle, high)
    return ((low + high) / 2).exp() / scale
