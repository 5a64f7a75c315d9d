"""mim4dd: distil a data set, score the synthetic set, and measure its information about the real one.

    import mim4dd

    data = mim4dd.load("digits")
    synthetic = mim4dd.distill(data.train, method="mim:base=dm,base.iterations=300", network="convnet:width=32")
    print(mim4dd.evaluate(synthetic, data.validation, network="convnet:width=32"))

A method, network or recipe is given by its name with knobs, or as what the name stands for: mim4dd.DM(iterations=300).
help(mim4dd.DM) lists its knobs, `mim4dd list methods` those of all. Names are imported when they are first used:
listing components needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mim4dd.data import DATASETS, load
    from mim4dd.evaluation import evaluate
    from mim4dd.methods import DC, DM, DSA, METHODS, MTT, FullData, Herding, KCenter, KMedoids, Mim, RandomReal
    from mim4dd.methods.loop import distill
    from mim4dd.networks import MLP, NETWORKS, VGG11, AlexNet, ConvNet, LeNet, ModuleNetwork, ResNet18, ViT, from_module
    from mim4dd.protocol import RESULTS_VERSION
    from mim4dd.records import ImageData, Score, Splits, Synthetic
    from mim4dd.sets import export_set, read_set
    from mim4dd.train import RECIPES, DCRecipe, Recipe

_NAMES = {
    "mim4dd.data": "DATASETS load",
    "mim4dd.evaluation": "evaluate",
    "mim4dd.methods": "DC DM DSA METHODS MTT FullData Herding KCenter KMedoids Mim RandomReal",
    "mim4dd.methods.loop": "distill",
    "mim4dd.networks": "MLP NETWORKS VGG11 AlexNet ConvNet LeNet ModuleNetwork ResNet18 ViT from_module",
    "mim4dd.protocol": "RESULTS_VERSION",
    "mim4dd.records": "ImageData Score Splits Synthetic",
    "mim4dd.sets": "export_set read_set",
    "mim4dd.train": "RECIPES DCRecipe Recipe",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "DATASETS",
    "DC",
    "DM",
    "DSA",
    "METHODS",
    "MLP",
    "MTT",
    "NETWORKS",
    "RECIPES",
    "RESULTS_VERSION",
    "VGG11",
    "AlexNet",
    "ConvNet",
    "DCRecipe",
    "FullData",
    "Herding",
    "ImageData",
    "KCenter",
    "KMedoids",
    "LeNet",
    "Mim",
    "ModuleNetwork",
    "RandomReal",
    "Recipe",
    "ResNet18",
    "Score",
    "Splits",
    "Synthetic",
    "ViT",
    "distill",
    "evaluate",
    "export_set",
    "from_module",
    "load",
    "read_set",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value = getattr(import_module(_MODULES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'mim4dd' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
