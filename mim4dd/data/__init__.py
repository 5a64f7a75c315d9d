"""Data sets: named, from a file or a folder, or people's own arrays; always read as train, validation and test."""

from mim4dd.data.catalogue import DATASETS, Contents, DataSet
from mim4dd.data.characteristics import characteristics
from mim4dd.data.cuts import cut
from mim4dd.data.digits import Digits
from mim4dd.data.folder import Folder
from mim4dd.data.huggingface import HuggingFace
from mim4dd.data.loading import load, located, require_files, require_used, source_digest
from mim4dd.data.npz import Npz
from mim4dd.data.published import CIFAR10, CIFAR100, MNIST, SVHN, FashionMNIST
from mim4dd.data.standard import channel_statistics, fit_standard
from mim4dd.standard import standardise

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "DATASETS",
    "MNIST",
    "SVHN",
    "Contents",
    "DataSet",
    "Digits",
    "FashionMNIST",
    "Folder",
    "HuggingFace",
    "Npz",
    "channel_statistics",
    "characteristics",
    "cut",
    "fit_standard",
    "load",
    "located",
    "require_files",
    "require_used",
    "source_digest",
    "standardise",
]
